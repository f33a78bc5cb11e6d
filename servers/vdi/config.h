/* SPDX-License-Identifier: ISC */
/*
 * The configuration: the disk's image and its parents, each the label of a Block session.
 *
 *     <config read-only="yes">
 *       <image label="today"/>
 *       <image label="base"/>
 *     </config>
 */
#pragma once

#include "lib/xml/xml.h"
#include "servers/vdi/chain.h"

struct vdi_config {
    bool read_only;
    uint32_t images;
    char label[CHAIN_IMAGES][CHAIN_LABEL];
};

/* A config_reader (base/include/config.h); config: a struct vdi_config. */
XML_CHECKED bool vdi_config_read(void *config, char *text, size_t bytes, struct xml_error *error);
