/* SPDX-License-Identifier: ISC */
/*
 * A component that is busy on one CPU, for so many milliseconds, and says which share of that CPU's time it had. Its
 * main thread only waits; core tells it the time of all its threads.
 */
#include "base/include/component.h"
#include "base/include/config.h"
#include "base/include/log.h"

#define PRIORITY 10u
#define STACK    0x4000u

static struct {
    uint64_t cpu, milliseconds;
} config;

static void spins(void *argument)
{
    (void)argument;
    for (;;)
        __asm__ volatile("");
}

static bool read_busy(void *values, char *text, size_t bytes, struct xml_error *error)
{
    static const char *const attributes[] = {"cpu!", "milliseconds!", NULL};
    static const struct xml_schema schema = {.name = "config", .attributes = attributes};
    static const struct xml_range cpus = {.min = 0, .max = CPUS_MAX - 1}, times = {.min = 100, .max = 600000};
    const struct xml_node *root = config_parse(text, bytes, &schema, error);

    (void)values;
    return root && xml_get_unsigned(root, "cpu", &cpus, &config.cpu, error) &&
           xml_get_unsigned(root, "milliseconds", &times, &config.milliseconds, error);
}

int component_main(void)
{
    struct pd_info before, after;
    uint64_t bits, begin;
    enum error error;

    if (!config_load(read_busy, NULL))
        return 1;
    error = thread_create(spins, NULL, PRIORITY, STACK, (unsigned)config.cpu);
    error = error ? error : pd_info(&before);
    if (error) {
        log_line("busy: CPU %lu: %s", config.cpu, error_text(error));
        return 1;
    }
    begin = tsc_read();
    while (tsc_read() - begin < config.milliseconds * (before.tsc_hz / 1000))
        if (nt_wait(CAP_NT, begin + config.milliseconds * (before.tsc_hz / 1000), &bits) == STATUS_BUSY)
            return 1;
    error = pd_info(&after);
    log_line("busy: CPU %lu: %lu %% of %lu ms: %s", config.cpu,
             (after.time - before.time) / ((tsc_read() - begin) / 100), config.milliseconds,
             error_text(error));
    return error != ERROR_OK;
}
