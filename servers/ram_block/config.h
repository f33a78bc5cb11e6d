/* SPDX-License-Identifier: ISC */
/* The configuration of ram_block: its disks. */
#pragma once

#include "base/include/session/rom.h"
#include "lib/block/session.h"
#include "lib/xml/xml.h"

#define RAM_DISKS  8u
#define RAM_LABEL  64u
#define RAM_SECTOR 512u
#define RAM_MIBS   4096u

struct ram_disk {
    char label[RAM_LABEL];
    char serial[BLOCK_SERIAL];
    char rom[RAM_LABEL]; /* what it holds at first; "": zeros */
    uint64_t bytes;      /* 0: as many as the ROM has */
    bool read_only;
};

struct ram_config {
    unsigned disks;
    struct ram_disk disk[RAM_DISKS];
};

/* A config_reader (base/include/config.h); config: a struct ram_config. */
XML_CHECKED bool ram_config_read(void *config, char *text, size_t bytes, struct xml_error *error);
