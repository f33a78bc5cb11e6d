/* SPDX-License-Identifier: ISC */
/*
 * From the <config> element to labels, all checked.
 */
#include "servers/vdi/config.h"

#include "base/include/config.h"

#include <string.h>

static const char *const image_attributes[] = {"label!", NULL};
static const char *const config_attributes[] = {"read-only", NULL};
static const struct xml_schema image_schema = {.name = "image", .attributes = image_attributes};
static const struct xml_child_rule config_children[] = {{&image_schema, 1, CHAIN_IMAGES}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {
    .name = "config", .attributes = config_attributes, .children = config_children};

static bool already_named(const struct vdi_config *vdi, const char *label)
{
    for (uint32_t i = 0; i < vdi->images; i++)
        if (strcmp(vdi->label[i], label) == 0)
            return true;
    return false;
}

bool vdi_config_read(void *config, char *text, size_t bytes, struct xml_error *error)
{
    struct vdi_config *vdi = config;
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);

    *vdi = (struct vdi_config){0};
    if (!root || !xml_get_bool_or(root, "read-only", false, &vdi->read_only, error))
        return false;
    for (const struct xml_node *node = root->first_child; node; node = node->next) {
        const char *label = xml_get_string_or(node, "label", "");

        if (strlen(label) >= CHAIN_LABEL)
            return xml_fail(error, node->line, "label=\"%\" is too long", label);
        /* Twice the same disk would be an image that is its own parent. */
        if (already_named(vdi, label))
            return xml_fail(error, node->line, "label=\"%\" is that of an image before it", label);
        memcpy(vdi->label[vdi->images++], label, strlen(label) + 1);
    }
    return true;
}
