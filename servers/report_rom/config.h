/* SPDX-License-Identifier: ISC */
/* The configuration of report_rom: which reports there are, and by what name they are read. */
#pragma once

#include "base/include/message.h"
#include "lib/xml/xml.h"

#define KEPT_REPORTS 16u
#define KEPT_ROMS    32u
#define KEPT_NAME    32u /* of a boot module, with its NUL */
#define KEPT_BYTES   0x4000u
#define KEPT_MOST    0x100000u

struct kept_report {
    char label[LABEL_SIZE];
    char first[KEPT_NAME]; /* the boot module with what it holds before the first report; "": nothing */
    uint64_t bytes;        /* of the longest text */
    bool log;              /* it is shown on the log, too */
};

struct kept_rom {
    char label[LABEL_SIZE];
    unsigned report;
};

struct kept_config {
    unsigned reports, roms;
    struct kept_report report[KEPT_REPORTS];
    struct kept_rom rom[KEPT_ROMS];
};

/* A config_reader (base/include/config.h); config: a struct kept_config. */
XML_CHECKED bool kept_config_read(void *config, char *text, size_t bytes, struct xml_error *error);
