/* SPDX-License-Identifier: ISC */
/* The referee's configuration: which attacks, for how long, how often, and how each must end. */
#pragma once

#include "lib/xml/xml.h"

#define ATTACKS_MAX       96u
#define ATTACK_NAME_BYTES 32u

enum attack_ends { ENDS_THROUGH, ENDS_RESET, ENDS_EITHER }; /* in the order of the words in config.c */

struct referee_attack {
    char name[ATTACK_NAME_BYTES];
    unsigned milliseconds, times;
    enum attack_ends ends;
};

struct referee_config {
    unsigned attacks;
    struct referee_attack attack[ATTACKS_MAX];
};

/* A config_reader (base/include/config.h); config: a struct referee_config. */
XML_CHECKED bool referee_config_read(void *config, char *text, size_t bytes, struct xml_error *error);
