/* SPDX-License-Identifier: ISC */
/* From the <config> element to tables, all checked. */
#include "servers/report_rom/config.h"

#include "base/include/config.h"

#include <string.h>

static const char *const report_attributes[] = {"label!", "bytes", "first", "log", NULL};
static const struct xml_schema report_schema = {.name = "report", .attributes = report_attributes};
static const char *const rom_attributes[] = {"label!", "report!", NULL};
static const struct xml_schema rom_schema = {.name = "rom", .attributes = rom_attributes};
static const struct xml_child_rule config_children[] = {
    {&report_schema, 1, KEPT_REPORTS}, {&rom_schema, 0, KEPT_ROMS}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {.name = "config", .children = config_children};

static bool text_read(const struct xml_node *node, const char *name, char *text, size_t size,
                      struct xml_error *error)
{
    const char *value = xml_get_string_or(node, name, "");

    if (strlen(value) >= size)
        return xml_fail(error, node->line, "%=\"%\" is too long", name, value);
    memcpy(text, value, strlen(value) + 1);
    return true;
}

static unsigned report_find(const struct kept_config *kept, const char *label)
{
    unsigned i = 0;

    while (i < kept->reports && strcmp(kept->report[i].label, label) != 0)
        i++;
    return i;
}

static bool report_read(const struct xml_node *node, struct kept_config *kept, struct xml_error *error)
{
    static const struct xml_range range = {.min = 1, .max = KEPT_MOST, .size = true};
    struct kept_report *report = &kept->report[kept->reports];

    if (!text_read(node, "label", report->label, sizeof(report->label), error) ||
        !text_read(node, "first", report->first, sizeof(report->first), error) ||
        !xml_get_unsigned_or(node, "bytes", &range, KEPT_BYTES, &report->bytes, error) ||
        !xml_get_bool_or(node, "log", false, &report->log, error))
        return false;
    if (report_find(kept, report->label) < kept->reports)
        return xml_fail(error, node->line, "two reports have the label '%'", report->label);
    kept->reports++;
    return true;
}

static bool rom_read(const struct xml_node *node, struct kept_config *kept, struct xml_error *error)
{
    struct kept_rom *rom = &kept->rom[kept->roms];
    const char *report = xml_get_string_or(node, "report", "");

    if (!text_read(node, "label", rom->label, sizeof(rom->label), error))
        return false;
    rom->report = report_find(kept, report);
    if (rom->report == kept->reports)
        return xml_fail(error, node->line, "ROM '%': there is no report '%'", rom->label, report);
    for (unsigned i = 0; i < kept->roms; i++)
        if (strcmp(kept->rom[i].label, rom->label) == 0)
            return xml_fail(error, node->line, "two ROMs have the label '%'", rom->label);
    kept->roms++;
    return true;
}

bool kept_config_read(void *config, char *text, size_t bytes, struct xml_error *error)
{
    struct kept_config *kept = config;
    const struct xml_node *node, *root = config_parse(text, bytes, &config_schema, error);

    *kept = (struct kept_config){0};
    if (!root)
        return false;
    for (node = xml_child(root, "report"); node; node = xml_next(node, "report"))
        if (!report_read(node, kept, error))
            return false;
    for (node = xml_child(root, "rom"); node; node = xml_next(node, "rom"))
        if (!rom_read(node, kept, error))
            return false;
    return true;
}
