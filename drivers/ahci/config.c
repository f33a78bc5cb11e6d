/* SPDX-License-Identifier: ISC */
/* From the <config> element to the controller's label. */
#include "drivers/ahci/config.h"

#include "base/include/config.h"

#include <string.h>

static const char *const config_attributes[] = {"device!", NULL};
static const struct xml_schema config_schema = {.name = "config", .attributes = config_attributes};

bool ahci_config_read(void *config, char *text, size_t bytes, struct xml_error *error)
{
    struct ahci_config *ahci = config;
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);
    const char *label = root ? xml_get_string_or(root, "device", "") : "";

    *ahci = (struct ahci_config){.device = ""};
    if (!root)
        return false;
    if (strlen(label) >= sizeof(ahci->device))
        return xml_fail(error, root->line, "device=\"%\" is too long", label);
    memcpy(ahci->device, label, strlen(label) + 1);
    return true;
}
