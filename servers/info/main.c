/* SPDX-License-Identifier: ISC */
/*
 * A line on the log, every <config><info seconds="5"/></config>, about what the machine has free and how idle it
 * was since the line before. It needs LOG and INFO.
 */
#include "base/include/config.h"
#include "base/include/event.h"
#include "base/include/log.h"
#include "servers/info/free.h"

#define SECONDS_MAX 3600u

static const char *const info_attributes[] = {"seconds!", NULL};
static const struct xml_schema info_schema = {.name = "info", .attributes = info_attributes};
static const struct xml_child_rule config_children[] = {{&info_schema, 1, 1}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {.name = "config", .children = config_children};

static bool read_seconds(void *config, char *text, size_t bytes, struct xml_error *error)
{
    static const struct xml_range range = {.min = 1, .max = SECONDS_MAX};
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);

    return root && xml_get_unsigned(xml_child(root, "info"), "seconds", &range, config, error);
}

int component_main(void)
{
    struct free_info now, last = {0};
    struct pd_info info;
    uint64_t seconds;

    if (!config_load(read_seconds, &seconds) || pd_info(&info) != ERROR_OK)
        return 1;
    for (uint64_t next = 0;; next = tsc_read() + seconds * info.tsc_hz) {
        while (tsc_read() < next)
            event_turn(next);
        enum error error = free_info(&now);
        if (error) {
            log_line("info: %s", error_text(error));
            return 1;
        }
        uint64_t ticks = now.tsc - last.tsc, idle = now.idle_ticks - last.idle_ticks;
        uint64_t share = ticks >= 1000 ? idle / (ticks / 1000) : 0;
        log_line("info: CPU idle %lu.%lu %% of %lu ms; free pages: core %lu of %lu, kernel %lu of %lu",
                 share / 10, share % 10, ticks / (info.tsc_hz / 1000), now.core_free, now.core_pages,
                 now.kernel_free, now.kernel_pages);
        last = now;
    }
}
