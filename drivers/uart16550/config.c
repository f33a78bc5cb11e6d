/* SPDX-License-Identifier: ISC */
/*
 * From the driver's <config> element to a table of ports, all checked.
 */
#include "drivers/uart16550/config.h"

#include "base/include/config.h"
#include "drivers/uart16550/uart.h"

#include <string.h>

static const char *const port_attributes[] = {"service-label!", "base!", "irq!", NULL};
static const struct xml_schema port_schema = {.name = "port", .attributes = port_attributes};
static const struct xml_child_rule config_children[] = {{&port_schema, 1, UART_CONFIGS}, {NULL, 0, 0}};
static const char *const config_attributes[] = {"period", NULL};
static const struct xml_schema config_schema = {
    .name = "config", .attributes = config_attributes, .children = config_children};

bool uart_label_equal(const struct uart_config *config, const char *label)
{
    return strcmp(config->label, label) == 0;
}

static bool port_read(const struct xml_node *node, struct uart_config *config, struct xml_error *error)
{
    static const struct xml_range bases = {.min = 0x100, .max = 0x10000 - UART_PORTS};
    static const struct xml_range interrupts = {.min = 1, .max = 15};
    const char *label = xml_get_string_or(node, "service-label", "");
    uint64_t base = 0, irq = 0;
    if (!xml_get_unsigned(node, "base", &bases, &base, error) ||
        !xml_get_unsigned(node, "irq", &interrupts, &irq, error)) {
        return false;
    }
    if (label[0] == '\0' || strlen(label) >= UART_LABEL_SIZE) {
        return xml_fail(error, node->line, "service-label=\"%\" is empty or too long", label);
    }
    memcpy(config->label, label, strlen(label) + 1);
    config->base = (uint16_t)base;
    config->irq = (unsigned)irq;
    return true;
}

bool uart_config_read(void *config, char *text, size_t bytes, struct xml_error *error)
{
    static const struct xml_range periods = {.min = 100, .max = 1000000};
    struct uart_configs *configs = config;
    uint64_t period = 0;
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);

    *configs = (struct uart_configs){0};
    if (!root || !xml_get_unsigned_or(root, "period", &periods, UART_PERIOD, &period, error))
        return false;
    configs->period = (unsigned)period;
    for (const struct xml_node *n = xml_child(root, "port"); n; n = xml_next(n, "port")) {
        if (!port_read(n, &configs->port[configs->count], error))
            return false;
        for (unsigned i = 0; i < configs->count; i++)
            if (uart_label_equal(&configs->port[i], configs->port[configs->count].label) ||
                configs->port[i].base == configs->port[configs->count].base)
                return xml_fail(error, n->line, "port %: its label or base is taken", configs->port[i].label);
        configs->count++;
    }
    return true;
}
