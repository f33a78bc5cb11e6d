/* SPDX-License-Identifier: ISC */
/*
 * <capabilities>: what authority a component really has, as the kernel sees it, a line on the log for each of
 * its selectors in use. A test compares them with the list of what it should have. The space is long and
 * mostly empty; a step looks at a part of it and leaves the CPU to the others before the next. What the
 * numbers mean stands in abi/syscall.h.
 */
#include "tests/init/test.h"

#include "base/include/component.h"
#include "base/include/log.h"
#include "base/include/session.h"

#define STEP_MILLISECONDS 1u
#define WAITS             (DEADLINE_NEVER - 1) /* restart_at of a component that another's list comes before */

static struct {
    bool done;
    selector next; /* to be looked at; 0: not begun */
    unsigned found;
    uint64_t at; /* TSC of the next step */
} state[TEST_DUMPS];

struct capability {
    uint64_t at; /* selector */
    uint64_t type, permissions, bits;
};

/* The first capability from `first` on. ERROR_MORE: only *at is set, ask again from there; ERROR_NOT_FOUND: no
 * more. */
static enum error capability_next(uint64_t child, uint64_t first, struct capability *found)
{
    enum error error = core_call(CHILD_CAPABILITIES, child, first, 0, 0, 0);
    const uint64_t *words = utcb();

    if (error == ERROR_OK || error == ERROR_MORE)
        *found = (struct capability){.at = words[1]};
    if (error == ERROR_OK)
        *found = (struct capability){words[1], words[2], words[3], words[4]};
    return error;
}

/* All that lie close together, up to where a step ends. */
static enum error dump_step(struct init *init, unsigned number)
{
    const struct test_dump *dump = &test_config.dump[number];
    for (;;) {
        struct capability found;
        enum error error = capability_next(init->child[dump->start].handle, state[number].next, &found);
        if (error == ERROR_MORE)
            state[number].next = found.at;
        if (error != ERROR_OK)
            return error;
        state[number].next = found.at + 1;
        state[number].found++;
        log_line("%s: capability %lu: type %lu, permissions 0x%lx, bits 0x%lx",
                 init->config->start[dump->start].name, found.at, found.type, found.permissions, found.bits);
    }
}

static void dump_end(struct init *init, unsigned number, enum error error)
{
    const struct test_dump *dump = &test_config.dump[number];
    state[number].done = true;
    if (error == ERROR_NOT_FOUND)
        log_line("%s: %u capabilities", init->config->start[dump->start].name, state[number].found);
    else
        log_line("%s: capabilities: %s", init->config->start[dump->start].name, error_text(error));
    if (dump->first && init->child[dump->then].restart_at == WAITS) {
        init->child[dump->then].restart_at = 0;
        creator_signal(INIT_CAP_WORK);
    }
}

/* DEADLINE_NEVER: its component does not run, or is yet to be killed, and begins anew. */
static uint64_t dump_work(struct init *init, unsigned number)
{
    const struct test_dump *dump = &test_config.dump[number];
    const struct child *child = &init->child[dump->start];
    if (state[number].done)
        return DEADLINE_NEVER;
    if (child->state != CHILD_RUNS || will_be_killed(dump->start)) {
        state[number].at = 0;
        return DEADLINE_NEVER;
    }
    uint64_t tick = init->tsc_hz / 1000, now = tsc_read();
    if (state[number].at == 0) {
        state[number].next = 0;
        state[number].found = 0;
        state[number].at = child->started + tick * dump->milliseconds;
    }
    if (now < state[number].at)
        return state[number].at;
    enum error error = dump_step(init, number);
    if (error != ERROR_MORE) {
        dump_end(init, number, error);
        return DEADLINE_NEVER;
    }
    state[number].at = tsc_read() + tick * STEP_MILLISECONDS;
    return state[number].at;
}

void capabilities_begin(struct init *init)
{
    for (unsigned i = 0; i < test_config.dumps; i++)
        if (test_config.dump[i].first)
            init->child[test_config.dump[i].then].restart_at = WAITS;
}

uint64_t capabilities_work(struct init *init)
{
    uint64_t deadline = DEADLINE_NEVER;
    for (unsigned i = 0; i < test_config.dumps; i++)
        deadline = init_earlier(deadline, dump_work(init, i));
    return deadline;
}
