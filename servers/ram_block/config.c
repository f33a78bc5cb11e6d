/* SPDX-License-Identifier: ISC */
/* From the <config> element to a table of disks, all checked. */
#include "servers/ram_block/config.h"

#include "base/include/config.h"

#include <string.h>

static const char *const disk_attributes[] = {"label!", "mebibytes", "rom", "serial", "read-only", NULL};
static const struct xml_schema disk_schema = {.name = "disk", .attributes = disk_attributes};
static const struct xml_child_rule config_children[] = {{&disk_schema, 1, RAM_DISKS}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {.name = "config", .children = config_children};

/* fallback NULL: it has to be there. */
static bool text_read(const struct xml_node *node, const char *name, const char *fallback, char *text,
                      size_t size, struct xml_error *error)
{
    const char *value = xml_get_string_or(node, name, fallback);

    if (strlen(value) >= size)
        return xml_fail(error, node->line, "%=\"%\" is too long", name, value);
    memcpy(text, value, strlen(value) + 1);
    return true;
}

static bool disk_read(const struct xml_node *node, struct ram_disk *disk, struct xml_error *error)
{
    static const struct xml_range range = {.min = 0, .max = RAM_MIBS};
    uint64_t mebibytes;

    if (!text_read(node, "label", "", disk->label, sizeof(disk->label), error) ||
        !text_read(node, "serial", disk->label, disk->serial, sizeof(disk->serial), error) ||
        !text_read(node, "rom", "", disk->rom, sizeof(disk->rom), error) ||
        !xml_get_unsigned_or(node, "mebibytes", &range, 0, &mebibytes, error) ||
        !xml_get_bool_or(node, "read-only", false, &disk->read_only, error))
        return false;
    disk->bytes = mebibytes << 20;
    if (!disk->bytes && !disk->rom[0])
        return xml_fail(error, node->line, "disk %: expected mebibytes or a rom, found neither", disk->label);
    return true;
}

bool ram_config_read(void *config, char *text, size_t bytes, struct xml_error *error)
{
    struct ram_config *ram = config;
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);

    *ram = (struct ram_config){0};
    if (!root)
        return false;
    for (const struct xml_node *node = xml_child(root, "disk"); node; node = xml_next(node, "disk")) {
        if (!disk_read(node, &ram->disk[ram->disks], error))
            return false;
        for (unsigned i = 0; i < ram->disks; i++)
            if (!strcmp(ram->disk[i].label, ram->disk[ram->disks].label))
                return xml_fail(error, node->line, "two disks have the label %", ram->disk[i].label);
        ram->disks++;
    }
    return true;
}
