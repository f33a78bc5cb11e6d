/* SPDX-License-Identifier: ISC */
/* The element <test>: tests/init/config.h. */
#include "tests/init/config.h"

#define MILLISECONDS_MAX 3600000u

static const char *const test_attributes[] = {"account", NULL};
static const char *const dump_attributes[] = {"name!", "milliseconds!", "then", NULL};
static const char *const kill_attributes[] = {"name!", "times!", "milliseconds!", "seed", NULL};
static const struct xml_schema kill_schema = {.name = "kill", .attributes = kill_attributes};
static const struct xml_schema dump_schema = {.name = "capabilities", .attributes = dump_attributes};
static const struct xml_child_rule test_children[] = {
    {&kill_schema, 0, TEST_KILLS}, {&dump_schema, 0, TEST_DUMPS}, {NULL, 0, 0}};
const struct xml_schema test_schema = {
    .name = "test", .attributes = test_attributes, .children = test_children};

struct test_config test_config;

static bool start_find(const struct xml_node *node, const char *attribute, const struct init_config *config,
                       unsigned *index, struct xml_error *error)
{
    const char *name = xml_get_string_or(node, attribute, "");

    return config_find(config, name, index) ||
           xml_fail(error, node->line, "%: no component is called '%'", node->name, name);
}

static bool number(const struct xml_node *node, const char *name, uint64_t least, uint64_t most,
                   unsigned *value, struct xml_error *error)
{
    const struct xml_range range = {.min = least, .max = most};
    uint64_t found = 1; /* the seed, which may be missing */

    if (!xml_get_unsigned_or(node, name, &range, 1, &found, error))
        return false;
    *value = (unsigned)found;
    return true;
}

bool test_read(const struct xml_node *node, const struct init_config *config, struct xml_error *error)
{
    const struct xml_node *n;

    test_config = (struct test_config){0};
    if (!xml_get_bool_or(node, "account", false, &test_config.account, error))
        return false;
    for (n = xml_child(node, "kill"); n; n = xml_next(n, "kill")) {
        struct test_kill *kill = &test_config.kill[test_config.kills++];

        if (!start_find(n, "name", config, &kill->start, error) ||
            !number(n, "times", 1, 100000, &kill->times, error) ||
            !number(n, "milliseconds", 1, MILLISECONDS_MAX, &kill->milliseconds, error) ||
            !number(n, "seed", 0, UINT32_MAX, &kill->seed, error))
            return false;
    }
    for (n = xml_child(node, "capabilities"); n; n = xml_next(n, "capabilities")) {
        struct test_dump *dump = &test_config.dump[test_config.dumps++];

        dump->first = xml_attribute(n, "then");
        if (!start_find(n, "name", config, &dump->start, error) ||
            !number(n, "milliseconds", 0, MILLISECONDS_MAX, &dump->milliseconds, error) ||
            (dump->first && !start_find(n, "then", config, &dump->then, error)))
            return false;
    }
    return true;
}
