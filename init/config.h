/* SPDX-License-Identifier: ISC */
/*
 * The configuration as init uses it: the scenario's XML, read and validated as a whole before any component is
 * started. config.c lists the elements and attributes beside the code that reads them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/include/message.h"
#include "lib/xml/xml.h"

#define CONFIG_STARTS       24u
#define CONFIG_MODULES      24u
#define CONFIG_ROUTES       16u /* of one component */
#define CONFIG_PROVIDES     4u
#define CONFIG_NAME_SIZE    32u
#define CONFIG_LABEL_SIZE   64u
#define CONFIG_NODES        1024u
#define CONFIG_ATTRIBUTES   2048u
#define CONFIG_PRIORITY     20u /* if the component names none */
#define CONFIG_PRIORITY_MAX 61u /* below init's own, which is below core's */
#define CONFIG_CHILDREN_MAX 60u
#define CONFIG_RAM_REST     UINT64_MAX /* ram="rest": all that the others leave */

/* One rule: requests for `service` that match label and arguments go to the parent (core) or to a child. */
struct config_route {
    char service[SERVICE_SIZE];
    bool any_label, any_arguments;
    char label[CONFIG_LABEL_SIZE];
    char arguments[CONFIG_LABEL_SIZE];
    bool to_parent;
    char child[CONFIG_NAME_SIZE];
    char child_label[CONFIG_LABEL_SIZE]; /* that the child gets to see; "": the client's */
    /* Up to here two rules are the same if these bytes are. */
    unsigned child_index; /* into start[], when not to_parent */
    unsigned line;
};

/* After what a component is started again; the order is that of the words in config.c. */
enum config_restart { RESTART_NEVER, RESTART_FAILED, RESTART_ALWAYS };

struct config_start {
    char name[CONFIG_NAME_SIZE];
    char binary[CONFIG_NAME_SIZE]; /* name of the ROM with the program */
    uint64_t ram;                  /* bytes, a multiple of 4096, or CONFIG_RAM_REST */
    uint64_t kernel;               /* pages */
    unsigned priority;
    uint64_t cpus;     /* bit a CPU that it may use */
    unsigned children; /* how many components there may be below it */
    unsigned provides;
    char service[CONFIG_PROVIDES][SERVICE_SIZE];
    /* A change of a field up to here, or of its <config>, restarts the component. */
    enum config_restart restart;
    bool essential; /* when it has ended well, the machine is powered off */
    unsigned routes;
    struct config_route route[CONFIG_ROUTES];
    size_t config_at, config_bytes; /* its <config> element in the text; 0 bytes: none */
    unsigned config_line;
    unsigned line;
};

struct init_config {
    unsigned modules;
    char module[CONFIG_MODULES][CONFIG_NAME_SIZE];
    unsigned module_line[CONFIG_MODULES];
    uint64_t report; /* ms between two reports of what they do; 0: none */
    unsigned starts; /* places in use, but for those with an empty name */
    struct config_start start[CONFIG_STARTS];
};

/* A further element of the root, for a program that uses init's reader. */
struct config_more {
    const struct xml_schema *schema;
    bool (*read)(const struct xml_node *node, const struct init_config *config, struct xml_error *error);
};

/* The parser's memory; not used afterwards. */
struct config_scratch {
    struct xml_node nodes[CONFIG_NODES];
    struct xml_attribute attributes[CONFIG_ATTRIBUTES];
};

/*
 * Reads the XML text, which is changed: config_at counts in an unchanged copy. old (NULL: none): a component keeps
 * the place that its name has there. more: NULL, too. False: the first error, with line and reason, is in
 * *error and *config is not to be used.
 */
bool init_config_read(char *text, size_t bytes, struct config_scratch *scratch,
                      const struct config_more *more, const struct init_config *old,
                      struct init_config *config, struct xml_error *error)
    __attribute__((warn_unused_result));

/* The place of the component of this name. */
bool config_find(const struct init_config *config, const char *name, unsigned *index);
/* Whether the first rule, if it comes before the second, matches all that the second does. */
bool config_route_covers(const struct config_route *first, const struct config_route *second);
