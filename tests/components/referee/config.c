/* SPDX-License-Identifier: ISC */
/* From the <config> element to the table of attacks; see main.c. */
#include "base/include/config.h"
#include "tests/components/referee/referee.h"

#include <string.h>

static const char *const attack_attributes[] = {"name!", "milliseconds", "times", "ends", NULL};
static const char *const run_attributes[] = {"milliseconds!", NULL};
static const char *const ends_words[] = {"through", "reset", "either", NULL};
static const struct xml_schema attack_schema = {.name = "attack", .attributes = attack_attributes};
static const struct xml_schema run_schema = {.name = "run", .attributes = run_attributes};
static const struct xml_child_rule config_children[] = {
    {&run_schema, 1, 1}, {&attack_schema, 1, ATTACKS_MAX}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {.name = "config", .children = config_children};

static bool attack_read(const struct xml_node *node, uint64_t usual, struct referee_attack *attack,
                        struct xml_error *error)
{
    static const struct xml_range times = {.min = 1, .max = 10000}, milliseconds = {.min = 1, .max = 600000};
    const char *name = xml_get_string_or(node, "name", ""),
               *ends = xml_get_string_or(node, "ends", ends_words[0]);
    uint64_t count = 0, time = 0;
    unsigned end = 0;
    if (!xml_get_unsigned_or(node, "times", &times, 1, &count, error) ||
        !xml_get_unsigned_or(node, "milliseconds", &milliseconds, usual, &time, error)) {
        return false;
    }
    while (ends_words[end] != NULL && strcmp(ends_words[end], ends) != 0) {
        end++;
    }
    if (ends_words[end] == NULL || strlen(name) >= sizeof attack->name) {
        return xml_fail(error, node->line, "attack name=\"%\" ends=\"%\": not understood", name, ends);
    }
    memcpy(attack->name, name, strlen(name) + 1);
    attack->ends = (enum attack_ends)end;
    attack->times = (unsigned)count;
    attack->milliseconds = (unsigned)time;
    return true;
}

bool referee_config_read(void *read, char *text, size_t bytes, struct xml_error *error)
{
    static const struct xml_range range = {.min = 1, .max = 600000};
    struct referee_config *config = read;
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);
    uint64_t usual = 0;

    if (!root || !xml_get_unsigned(xml_child(root, "run"), "milliseconds", &range, &usual, error))
        return false;
    for (const struct xml_node *n = xml_child(root, "attack"); n; n = xml_next(n, "attack"))
        if (!attack_read(n, usual, &config->attack[config->attacks++], error))
            return false;
    return true;
}
