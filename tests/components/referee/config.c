/* SPDX-License-Identifier: ISC */
/* From the <config> element to the table of attacks; see main.c. */
#include "base/include/dataspace.h"
#include "base/include/log.h"
#include "lib/xml/xml.h"
#include "tests/components/referee/referee.h"

#include <string.h>

#define TEXT_BYTES 32768u /* the configuration's, with the empty lines before it */
#define NODES      (ATTACKS_MAX + 4)
#define ATTRIBUTES (4 * ATTACKS_MAX + 4)

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

static bool config_parse(char *text, size_t bytes, struct referee_config *config, struct xml_error *error)
{
    static const struct xml_range range = {.min = 1, .max = 600000};
    static struct xml_node nodes[NODES];
    static struct xml_attribute attributes[ATTRIBUTES];
    struct xml_document document = {
        .nodes = nodes, .attributes = attributes, .node_limit = NODES, .attribute_limit = ATTRIBUTES};
    uint64_t usual = 0;
    if (!xml_parse(&document, text, bytes, error) || !xml_check(document.root, &config_schema, error) ||
        !xml_get_unsigned(xml_child(document.root, "run"), "milliseconds", &range, &usual, error)) {
        return false;
    }
    for (const struct xml_node *n = xml_child(document.root, "attack"); n != NULL;
         n = xml_next(n, "attack")) {
        if (!attack_read(n, usual, &config->attack[config->attacks++], error)) {
            return false;
        }
    }
    return true;
}

bool referee_config_read(struct referee_config *config)
{
    static char text[TEXT_BYTES];
    struct xml_error wrong;
    struct rom rom;
    enum error error = rom_open("config", &rom);
    if (error != ERROR_OK || rom.bytes == 0 || rom.bytes > sizeof text) {
        log_line("config: %s", error != ERROR_OK ? error_text(error) : "empty or too long");
        return false;
    }
    memcpy(text, rom.data, rom.bytes);
    if (config_parse(text, rom.bytes, config, &wrong)) {
        return true;
    }
    log_line("config:%u: %s", wrong.line, wrong.reason);
    return false;
}
