/* SPDX-License-Identifier: ISC */
/*
 * A neighbour of drivers whose devices are told to write where they must not: it fills memory with a pattern,
 * listens to an interrupt that nothing sends, and says at the end what has become of both. <config><run
 * seconds="5" memory="8M" irq="5"/></config>
 */
#include "base/include/component.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"
#include "base/include/session.h"
#include "base/include/session/irq.h"
#include "lib/xml/xml.h"

#include <string.h>

#define TEXT_BYTES 16384u
#define NODES      4u
#define ATTRIBUTES 4u
#define BIT_IRQ    1ull
#define PATTERN    0xc0ffee1234567891ul
#define LOOKS      10u /* a second */

static const char *const run_attributes[] = {"seconds!", "memory!", "irq!", NULL};
static const struct xml_schema run_schema = {.name = "run", .attributes = run_attributes};
static const struct xml_child_rule config_children[] = {{&run_schema, 1, 1}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {.name = "config", .children = config_children};

static uint64_t seconds, bytes, irq;

static bool read_config(void)
{
    static const struct xml_range times = {.min = 1, .max = 3600}, numbers = {.min = 0, .max = 255},
                                  sizes = {.min = 4096, .max = 1u << 30, .size = true};
    static char text[TEXT_BYTES];
    static struct xml_node nodes[NODES];
    static struct xml_attribute attributes[ATTRIBUTES];
    struct xml_document document = {
        .nodes = nodes, .attributes = attributes, .node_limit = NODES, .attribute_limit = ATTRIBUTES};
    struct xml_error wrong;
    struct rom rom;
    enum error error = rom_open("config", &rom);
    if (error != ERROR_OK || rom.bytes == 0 || rom.bytes > sizeof text) {
        log_line("config: %s", error != ERROR_OK ? error_text(error) : "empty or too long");
        return false;
    }
    memcpy(text, rom.data, rom.bytes);
    const struct xml_node *run;
    if (xml_parse(&document, text, rom.bytes, &wrong) && xml_check(document.root, &config_schema, &wrong) &&
        (run = xml_child(document.root, "run")) != NULL &&
        xml_get_unsigned(run, "seconds", &times, &seconds, &wrong) &&
        xml_get_unsigned(run, "memory", &sizes, &bytes, &wrong) &&
        xml_get_unsigned(run, "irq", &numbers, &irq, &wrong)) {
        return true;
    }
    log_line("config:%u: %s", wrong.line, wrong.reason);
    return false;
}

int component_main(void)
{
    struct pd_info info;
    struct dataspace dataspace;
    struct session session;
    uint64_t *memory;
    void *attached;
    char name[16];
    if (!read_config() || pd_info(&info) != ERROR_OK) {
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
    unsigned interrupts = 0;
    uint64_t end = tsc_read() + seconds * info.tsc_hz, changed = 0;
    while (tsc_read() < end) {
        uint64_t bits;
        if (nt_wait(CAP_NT, tsc_read() + info.tsc_hz / LOOKS, &bits) == STATUS_OK) {
            interrupts += (bits & BIT_IRQ) != 0;
        }
    }
    for (uint64_t i = 0; i < bytes / 8; i++) {
        changed += memory[i] != i * PATTERN;
    }
    log_line("canary: %lu words changed, %u interrupts", changed, interrupts);
    log_line("dma: done");
    return changed != 0 || interrupts != 0;
}
