/* SPDX-License-Identifier: ISC */
/*
 * From the driver's <config> element to what it is to do, all checked.
 */
#include "drivers/nvme/config.h"

#include "base/include/config.h"

#include <string.h>

static const char *const disk_attributes[] = {"device!", "rounds!", NULL};
static const char *const outside_attributes[] = {"from!", "to!", "step!", NULL};
static const struct xml_schema disk_schema = {.name = "disk", .attributes = disk_attributes};
static const struct xml_schema outside_schema = {.name = "outside", .attributes = outside_attributes};
static const struct xml_schema forge_schema = {.name = "forge"};
static const struct xml_child_rule config_children[] = {
    {&disk_schema, 1, 1}, {&outside_schema, 0, 1}, {&forge_schema, 0, 1}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {.name = "config", .children = config_children};

bool nvme_config_read(void *config, char *text, size_t bytes, struct xml_error *error)
{
    static const struct xml_range range = {.min = 0, .max = UINT64_MAX / 2};
    struct nvme_config *nvme = config;
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error), *disk, *outside;
    const char *label;

    *nvme = (struct nvme_config){0};
    if (!root)
        return false;
    disk = xml_child(root, "disk");
    outside = xml_child(root, "outside");
    label = xml_get_string_or(disk, "device", "");
    if (strlen(label) >= sizeof(nvme->label))
        return xml_fail(error, disk->line, "device=\"%\" is too long", label);
    memcpy(nvme->label, label, strlen(label) + 1);
    nvme->forge = xml_child(root, "forge");
    nvme->outside = outside;
    return xml_get_unsigned(disk, "rounds", &range, &nvme->rounds, error) &&
           (!outside || (xml_get_unsigned(outside, "from", &range, &nvme->from, error) &&
                         xml_get_unsigned(outside, "to", &range, &nvme->to, error) &&
                         xml_get_unsigned(outside, "step", &range, &nvme->step, error)));
}
