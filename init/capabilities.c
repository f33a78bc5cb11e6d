/* SPDX-License-Identifier: ISC */
/*
 * <capabilities>: what authority a component really has, as the kernel sees it, a line on the log for each of
 * its selectors in use. A test compares them with the list of what it should have. The space is long and
 * mostly empty; a step looks at a part of it and leaves the CPU to the others before the next. What the
 * numbers mean stands in abi/syscall.h.
 */
#include "init/init.h"

#include "base/include/component.h"
#include "base/include/log.h"

#define STEP_MILLISECONDS 1u

/* All that lie close together, up to where a step ends. */
static enum error dump_step(struct init *init, unsigned number)
{
    const struct config_dump *dump = &init->config.dump[number];
    for (;;) {
        struct creator_capability found;
        enum error error =
            creator_capability(init->child[dump->start].handle, init->dump[number].next, &found);
        if (error == ERROR_MORE)
            init->dump[number].next = found.at;
        if (error != ERROR_OK)
            return error;
        init->dump[number].next = found.at + 1;
        init->dump[number].found++;
        log_line("%s: capability %lu: type %lu, permissions 0x%lx, bits 0x%lx", dump->name, found.at,
                 found.type, found.permissions, found.bits);
    }
}

static void dump_end(struct init *init, unsigned number, enum error error)
{
    const struct config_dump *dump = &init->config.dump[number];
    init->dump[number].done = true;
    if (error == ERROR_NOT_FOUND)
        log_line("%s: %u capabilities", dump->name, init->dump[number].found);
    else
        log_line("%s: capabilities: %s", dump->name, error_text(error));
    if (dump->then[0] != '\0' && init->child[dump->then_start].state == CHILD_WAITS) {
        init->child[dump->then_start].state = CHILD_STOPPED;
        init->child[dump->then_start].restart_at = 0;
        creator_signal(INIT_CAP_WORK);
    }
}

/* DEADLINE_NEVER: its component does not run, or is yet to be killed, and begins anew. */
static uint64_t dump_work(struct init *init, unsigned number)
{
    const struct config_dump *dump = &init->config.dump[number];
    const struct child *child = &init->child[dump->start];
    if (init->dump[number].done)
        return DEADLINE_NEVER;
    if (child->state != CHILD_RUNS || child_will_be_killed(init, dump->start)) {
        init->dump[number].at = 0;
        return DEADLINE_NEVER;
    }
    uint64_t tick = init->tsc_hz / 1000, now = tsc_read();
    if (init->dump[number].at == 0) {
        init->dump[number].next = 0;
        init->dump[number].found = 0;
        init->dump[number].at = child->started + tick * dump->milliseconds;
    }
    if (now < init->dump[number].at)
        return init->dump[number].at;
    enum error error = dump_step(init, number);
    if (error != ERROR_MORE) {
        dump_end(init, number, error);
        return DEADLINE_NEVER;
    }
    init->dump[number].at = tsc_read() + tick * STEP_MILLISECONDS;
    return init->dump[number].at;
}

void capabilities_init(struct init *init)
{
    for (unsigned i = 0; i < init->config.dumps; i++)
        if (init->config.dump[i].then[0] != '\0')
            init->child[init->config.dump[i].then_start].state = CHILD_WAITS;
}

uint64_t capabilities_work(struct init *init)
{
    uint64_t deadline = DEADLINE_NEVER;
    for (unsigned i = 0; i < init->config.dumps; i++)
        deadline = init_earlier(deadline, dump_work(init, i));
    return deadline;
}
