/* SPDX-License-Identifier: ISC */
/*
 * <kill>: the component dies at a random moment and comes back at once: the wait after a failure, which grows, is
 * not for it. What is free with it dead is told after the first and the last kill.
 */
#include "tests/init/test.h"

#include "base/include/component.h"
#include "base/include/log.h"

#define GONE_MILLISECONDS 50u /* until it is back: its servers let go meanwhile */

static struct {
    unsigned done;
    uint64_t at; /* TSC of the next; DEADLINE_NEVER: no more */
    uint32_t random;
    struct free_info before; /* with the component dead for the first time */
} state[TEST_KILLS];

void kills_begin(struct init *init)
{
    for (unsigned i = 0; i < test_config.kills; i++) {
        state[i].random = test_config.kill[i].seed;
        state[i].at = tsc_read() + init->tsc_hz / 1000 * test_config.kill[i].milliseconds;
    }
}

static void kill_work(struct init *init, unsigned number)
{
    const struct test_kill *kill = &test_config.kill[number];
    uint64_t now = tsc_read(), gone = init->tsc_hz / 1000 * GONE_MILLISECONDS, random;

    if (now < state[number].at || init->child[kill->start].state != CHILD_RUNS)
        return;
    state[number].random = state[number].random * 1664525u + 1013904223u;
    random = (state[number].random >> 8) % (kill->milliseconds * 1000 + 1);
    state[number].done++;
    state[number].at =
        state[number].done < kill->times ? now + gone + random * (init->tsc_hz / 1000000) : DEADLINE_NEVER;
    child_stop(init, kill->start, now + gone);
}

bool will_be_killed(unsigned index)
{
    for (unsigned i = 0; i < test_config.kills; i++)
        if (test_config.kill[i].start == index && state[i].done < test_config.kill[i].times)
            return true;
    return false;
}

void kills_account(struct init *init, unsigned index)
{
    const char *name = init->config->start[index].name;
    struct free_info info;

    if ((!test_config.kills && !test_config.account) || free_info(&info) != ERROR_OK)
        return;
    for (unsigned i = 0; i < test_config.kills; i++) {
        const struct test_kill *kill = &test_config.kill[i];
        if (kill->start != index || state[i].done == 0)
            continue;
        if (state[i].done == 1)
            state[i].before = info;
        if (state[i].done == kill->times) {
            log_line("%s: killed %u times: free pages of core %lu -> %lu, of the kernel %lu -> %lu", name,
                     kill->times, state[i].before.core_free, info.core_free, state[i].before.kernel_free,
                     info.kernel_free);
            state[i].done++; /* said once */
        }
    }
    if (test_config.account)
        log_line("%s: starts; free pages: core %lu of %lu, kernel %lu of %lu", name, info.core_free,
                 info.core_pages, info.kernel_free, info.kernel_pages);
}

uint64_t kills_work(struct init *init)
{
    uint64_t deadline = DEADLINE_NEVER;

    for (unsigned i = 0; i < test_config.kills; i++)
        kill_work(init, i);
    for (unsigned i = 0; i < test_config.kills; i++)
        if (init->child[test_config.kill[i].start].state == CHILD_RUNS)
            deadline = init_earlier(deadline, state[i].at);
    return deadline;
}
