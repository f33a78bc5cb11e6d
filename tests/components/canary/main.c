/* SPDX-License-Identifier: ISC */
/*
 * A neighbour of drivers whose devices are told to write where they must not: it fills memory with a pattern,
 * listens to an interrupt that nothing sends, and says at the end what has become of both. <config><run
 * seconds="5" memory="8M" irq="5"/></config>
 */
#include "base/include/config.h"
#include "base/include/dataspace.h"
#include "base/include/event.h"
#include "base/include/log.h"
#include "base/include/session.h"
#include "base/include/session/irq.h"

#define BIT_IRQ 1ull
#define PATTERN 0xc0ffee1234567891ul

static const char *const run_attributes[] = {"seconds!", "memory!", "irq!", NULL};
static const struct xml_schema run_schema = {.name = "run", .attributes = run_attributes};
static const struct xml_child_rule config_children[] = {{&run_schema, 1, 1}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {.name = "config", .children = config_children};

static uint64_t seconds, bytes, irq;
static unsigned interrupts;

static bool read_run(void *config, char *text, size_t size, struct xml_error *error)
{
    static const struct xml_range times = {.min = 1, .max = 3600}, numbers = {.min = 0, .max = 255},
                                  sizes = {.min = 4096, .max = 1u << 30, .size = true};
    const struct xml_node *root = config_parse(text, size, &config_schema, error), *run;

    (void)config;
    if (!root)
        return false;
    run = xml_child(root, "run");
    return xml_get_unsigned(run, "seconds", &times, &seconds, error) &&
           xml_get_unsigned(run, "memory", &sizes, &bytes, error) &&
           xml_get_unsigned(run, "irq", &numbers, &irq, error);
}

static void interrupted(void *context, uint64_t bits)
{
    (void)context;
    interrupts += bits != 0;
}

int component_main(void)
{
    static struct event interrupt = {.bits = BIT_IRQ, .deadline = DEADLINE_NEVER, .handle = interrupted};
    struct pd_info info;
    struct dataspace dataspace;
    struct session session;
    uint64_t *memory;
    void *attached;
    char name[16];
    if (!config_load(read_run, NULL) || pd_info(&info) != ERROR_OK) {
        return 1;
    }
    format_text(name, sizeof name, "%lu", irq);
    enum error error = memory_alloc(bytes, &dataspace, &attached);
    if (error == ERROR_OK) {
        error = session_open(
            &(struct session_request){
                .service = IRQ_SERVICE, .label = name, .base = CAP_FREE, .bits = BIT_IRQ},
            &session);
    }
    if (error != ERROR_OK) {
        log_line("canary: %s", error_text(error));
        return 1;
    }
    memory = attached;
    for (uint64_t i = 0; i < bytes / 8; i++) {
        memory[i] = i * PATTERN;
    }
    log_line("canary: watches %lu KiB", bytes / 1024);
    uint64_t end = tsc_read() + seconds * info.tsc_hz, changed = 0;
    event_add(&interrupt);
    while (tsc_read() < end)
        event_turn(end);
    for (uint64_t i = 0; i < bytes / 8; i++) {
        changed += memory[i] != i * PATTERN;
    }
    log_line("canary: %lu words changed, %u interrupts", changed, interrupts);
    log_line("dma: done");
    return changed != 0 || interrupts != 0;
}
