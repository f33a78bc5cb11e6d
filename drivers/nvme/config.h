/* SPDX-License-Identifier: ISC */
/*
 * The driver's configuration: which device, and what is to be done with it.
 */
#pragma once

#include "lib/xml/xml.h"

struct nvme_config {
    char label[16];  /* of the DEVICE session */
    uint64_t rounds; /* 0: for ever */
    bool outside, forge;
    uint64_t from, to, step; /* outside: addresses */
};

/* A config_reader (base/include/config.h); config: a struct nvme_config. */
XML_CHECKED bool nvme_config_read(void *config, char *text, size_t bytes, struct xml_error *error);
