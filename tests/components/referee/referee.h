/* SPDX-License-Identifier: ISC */
/* The referee's configuration: which attacks, for how long, how often, and how each must end. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

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

/* False: what is wrong has been said on the log. */
bool referee_config_read(struct referee_config *config) __attribute__((warn_unused_result));
