/* SPDX-License-Identifier: ISC */
/*
 * Parses arbitrary bytes, then walks the document with every accessor: no input may reach beyond the text,
 * and what a document contains is made of proper strings inside of it.
 */
#include "lib/xml/xml.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(const struct xml_node *node)
{
    static const struct xml_range range = {.min = 1, .max = 1000, .size = true};
    static const char *const words[] = {"on", "off", NULL};
    static const char *const attributes[] = {"a!", "b", NULL};
    static const struct xml_schema inner = {.name = "b", .attributes = attributes, .text = true};
    static const struct xml_child_rule children[] = {{&inner, 1, 2}, {NULL, 0, 0}};
    static const struct xml_schema schema = {.name = "a", .attributes = attributes, .children = children};
    struct xml_error error;
    uint64_t number = 0;
    unsigned choice = 0;
    bool truth = false;
    size_t total = strlen(node->name) + strlen(node->text);

    for (uint32_t i = 0; i < node->attribute_count; i++) {
        const char *name = node->attributes[i].name;
        total += strlen(node->attributes[i].value);
        if (!xml_get_unsigned(node, name, &range, &number, &error) ||
            !xml_get_bool_or(node, name, false, &truth, &error) ||
            !xml_get_choice_or(node, name, words, 0, &choice, &error))
            total += strlen(error.reason);
    }
    if (!xml_check(node, &schema, &error))
        total += strlen(error.reason);
    if (total > 4 * (size_t)XML_SIZE_MAX || node->start >= node->end)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xml_node nodes[32];
    struct xml_attribute attributes[32];
    struct xml_document document = {
        .nodes = nodes, .attributes = attributes, .node_limit = 32, .attribute_limit = 32};
    struct xml_error error;
    char *text = malloc(size + 1);

    if (text == NULL)
        return 0;
    /* Exactly size bytes of heap, so that the sanitizer sees one byte too many. */
    char *exact = realloc(text, size != 0 ? size : 1);
    if (exact == NULL)
        abort();
    memcpy(exact, data, size);
    if (xml_parse(&document, exact, size, &error)) {
        for (size_t i = 0; i < document.node_count; i++)
            visit(&document.nodes[i]);
    } else if (error.line == 0 || strlen(error.reason) == 0) {
        abort();
    }
    free(exact);
    return 0;
}
