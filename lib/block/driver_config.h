/* SPDX-License-Identifier: ISC */
/* The configuration of a driver of disks: which device. <config device="00:1f.2"/> */
#pragma once

#include "lib/xml/xml.h"

struct driver_config {
    char device[16]; /* label of the DEVICE session */
};

/* A config_reader (base/include/config.h); config: a struct driver_config. */
XML_CHECKED bool driver_config_read(void *config, char *text, size_t bytes, struct xml_error *error);
