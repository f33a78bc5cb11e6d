/* SPDX-License-Identifier: ISC */
/*
 * The part of a configuration's reader that also runs on the build machine.
 */
#include "base/include/config.h"

#define NODES      128u
#define ATTRIBUTES 512u

const struct xml_node *config_parse(char *text, size_t bytes, const struct xml_schema *schema,
                                    struct xml_error *error)
{
    static struct xml_node nodes[NODES];
    static struct xml_attribute attributes[ATTRIBUTES];
    struct xml_document document = {
        .nodes = nodes, .attributes = attributes, .node_limit = NODES, .attribute_limit = ATTRIBUTES};

    return xml_parse(&document, text, bytes, error) && xml_check(document.root, schema, error) ? document.root
                                                                                               : NULL;
}
