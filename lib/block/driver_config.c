/* SPDX-License-Identifier: ISC */
/* From the <config> element to the label of the device. */
#include "lib/block/driver_config.h"

#include "base/include/config.h"

#include <string.h>

static const char *const config_attributes[] = {"device!", NULL};
static const struct xml_schema config_schema = {.name = "config", .attributes = config_attributes};

bool driver_config_read(void *config, char *text, size_t bytes, struct xml_error *error)
{
    struct driver_config *driver = config;
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);
    const char *label = root ? xml_get_string_or(root, "device", "") : "";

    *driver = (struct driver_config){.device = ""};
    if (!root)
        return false;
    if (strlen(label) >= sizeof(driver->device))
        return xml_fail(error, root->line, "device=\"%\" is too long", label);
    memcpy(driver->device, label, strlen(label) + 1);
    return true;
}
