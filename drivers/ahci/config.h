/* SPDX-License-Identifier: ISC */
/* The driver's configuration: which controller. */
#pragma once

#include "lib/xml/xml.h"

struct ahci_config {
    char device[16]; /* label of the DEVICE session */
};

/* A config_reader (base/include/config.h); config: a struct ahci_config. */
XML_CHECKED bool ahci_config_read(void *config, char *text, size_t bytes, struct xml_error *error);
