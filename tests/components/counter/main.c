/* SPDX-License-Identifier: ISC */
/*
 * A client of Beat (tests/components/beat). After <config><count messages="400"/></config> messages it says how
 * many were missing between two others and what the longest time without one was, and goes on. When its session
 * ends it says so and ends.
 */
#include "base/include/config.h"
#include "base/include/event.h"
#include "base/include/link.h"
#include "base/include/log.h"
#include "tests/components/beat/beat.h"

#define MESSAGES_MAX 1000000u
#define BIT_BEAT     1ull

static const char *const count_attributes[] = {"messages!", NULL};
static const struct xml_schema count_schema = {.name = "count", .attributes = count_attributes};
static const struct xml_child_rule config_children[] = {{&count_schema, 1, 1}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {.name = "config", .children = config_children};

static struct link beat = {
    .request = {.service = BEAT_SERVICE,
                .label = "beat",
                .donation = BEAT_DONATION,
                .base = CAP_FREE,
                .bits = BIT_BEAT},
    .rights = MEM_READ,
};
static uint64_t messages, tsc_hz, last, at, longest, counted, missing;

static bool read_count(void *config, char *text, size_t bytes, struct xml_error *error)
{
    static const struct xml_range range = {.min = 1, .max = MESSAGES_MAX};
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);

    return root && xml_get_unsigned(xml_child(root, "count"), "messages", &range, config, error);
}

static void signalled(void *context, uint64_t bits)
{
    uint64_t now = tsc_read(), word = __atomic_load_n((const uint64_t *)beat.memory, __ATOMIC_RELAXED);

    (void)context;
    if (bits & NT_PARENT_NEWS) {
        enum error error = link_poll(&beat);
        if (error) {
            log_line("counter: the session has ended: %s", error_text(error));
            component_exit(0);
        }
    }
    if (word == last)
        return;
    if (counted++) {
        missing += word - last - 1;
        longest = now - at > longest ? now - at : longest;
    }
    last = word;
    at = now;
    if (counted == messages)
        log_line("counter: %lu messages, %lu missing, the longest gap %lu us", counted, missing,
                 longest / (tsc_hz / 1000000));
}

int component_main(void)
{
    static struct event event = {.bits = BIT_BEAT | NT_PARENT_NEWS, .handle = signalled};
    struct pd_info info;

    if (!config_load(read_count, &messages) || pd_info(&info) != ERROR_OK)
        return 1;
    tsc_hz = info.tsc_hz;
    enum error error = link_wait(&beat);
    if (error) {
        log_line("counter: no session: %s", error_text(error));
        return 1;
    }
    log_line("counter: begins");
    event_add(&event);
    event_loop();
}
