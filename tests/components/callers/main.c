/* SPDX-License-Identifier: ISC */
/*
 * A thread on each CPU makes requests to core at once: memory comes, is attached, written to, detached and given
 * back, and in between the quota is asked for. Each finds its own memory only, and at the end all of it is there
 * again. With rounds="0" it goes on for ever, for a parent that kills it.
 */
#include "base/include/component.h"
#include "base/include/config.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"

#define PRIORITY 10u /* of the threads */
#define STACK    0x4000u
#define PAGES    70u /* more than core clears in a step */

static uint64_t rounds;
static uint64_t done[CPUS_MAX];
static bool failed;

static void failure(const char *what, enum error error)
{
    if (error && !__atomic_exchange_n(&failed, true, __ATOMIC_RELAXED))
        log_line("callers: failed: %s on CPU %u: %s", what, thread_cpu(), error_text(error));
}

static void round_make(uint64_t number)
{
    struct dataspace dataspace;
    struct pd_info info;
    void *attached;
    uint64_t bytes = (number % PAGES + 1) * 0x1000, word = number << 8 | thread_cpu();
    enum error error = memory_alloc(bytes, &dataspace, &attached);

    failure("memory", error);
    if (error)
        return;
    for (uint64_t i = 0; i < bytes / 0x1000; i++)
        failure("clear memory", ((uint64_t *)attached)[i * 512] ? ERROR_FAULT : ERROR_OK);
    for (uint64_t i = 0; i < bytes / 0x1000; i++)
        ((uint64_t *)attached)[i * 512] = word;
    failure("information", pd_info(&info));
    for (uint64_t i = 0; i < bytes / 0x1000; i++)
        failure("own memory", ((uint64_t *)attached)[i * 512] == word ? ERROR_OK : ERROR_FAULT);
    failure("freeing", dataspace_free(&dataspace));
}

static void calls(void *argument)
{
    uint64_t bits;

    for (uint64_t i = 0; !rounds || i < rounds; i++) {
        round_make(i);
        __atomic_fetch_add(&done[thread_cpu()], 1, __ATOMIC_RELAXED);
    }
    for (;;)
        if (nt_wait((selector)(uintptr_t)argument, DEADLINE_NEVER, &bits) != STATUS_OK)
            __builtin_trap();
}

static bool all_done(uint64_t cpus)
{
    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++)
        if (!(cpus >> cpu & 1))
            continue;
        else if (!rounds || __atomic_load_n(&done[cpu], __ATOMIC_RELAXED) < rounds)
            return false;
    return true;
}

static enum error threads_start(uint64_t cpus)
{
    enum error error = ERROR_OK;

    for (unsigned cpu = 0; cpu < CPUS_MAX && !error; cpu++) {
        if (!(cpus >> cpu & 1))
            continue;
        error = notification_create(CAP_FREE + cpu, NULL);
        error =
            error ? error : thread_create(calls, (void *)(uintptr_t)(CAP_FREE + cpu), PRIORITY, STACK, cpu);
    }
    return error;
}

static bool read_callers(void *config, char *text, size_t bytes, struct xml_error *error)
{
    static const char *const attributes[] = {"rounds!", NULL};
    static const struct xml_schema schema = {.name = "config", .attributes = attributes};
    static const struct xml_range range = {.min = 0, .max = 1000000};
    const struct xml_node *root = config_parse(text, bytes, &schema, error);

    return root && xml_get_unsigned(root, "rounds", &range, config, error);
}

int component_main(void)
{
    struct pd_info before = {0}, after;
    uint64_t bits;
    uint64_t cpus;
    enum error error;

    if (!config_load(read_callers, &rounds))
        return 1;
    error = pd_info(&before);
    cpus = before.cpus;
    error = error ? error : threads_start(cpus);
    error = error ? error : pd_info(&before);
    failure("start", error);
    while (!failed && !all_done(cpus))
        if (nt_wait(CAP_NT, tsc_read() + before.tsc_hz / 100, &bits) == STATUS_BUSY)
            return 1;
    failure("information", pd_info(&after));
    if (!failed && after.kernel_used > before.kernel_used + 16) /* tables of its address space */
        failure("kernel memory", ERROR_NO_KMEM);
    if (failed)
        return 1;
    log_line("callers: done: %lu rounds on each of the CPUs 0x%lx, %lu of %lu bytes used", rounds, cpus,
             after.ram_used, before.ram_used);
    return 0;
}
