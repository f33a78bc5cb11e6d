/* SPDX-License-Identifier: ISC */
/*
 * A small strict XML parser for configurations. An error is reported with line and reason. A hostile text finds
 * little to attack: no DTD, no entities but the five predefined ones and character references, no CDATA, no
 * processing instructions, no recursion, and no memory but the caller's.
 *
 * The text is parsed in place: names, values and texts become NUL-terminated strings inside the caller's
 * buffer, which must live as long as the document. A reader whose source another component can still write
 * must copy it first.
 *
 * Supported: UTF-8 (checked), an XML declaration, comments, elements, attributes. An element holds other
 * elements or text, never both. Names are ASCII.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XML_CHECKED __attribute__((warn_unused_result))

#define XML_DEPTH_MAX      32          /* nested elements */
#define XML_ATTRIBUTES_MAX 64          /* of one element: bounds the search for duplicates */
#define XML_SIZE_MAX       (16U << 20) /* bytes of text */

/* Why something was refused: a line of the text (from 1) and a sentence without a full stop, ready for a log.
 */
struct xml_error {
    uint32_t line;
    char reason[156];
};

struct xml_attribute {
    const char *name;
    const char *value; /* unescaped; tabs and line ends have become spaces */
    uint32_t line;
};

struct xml_node {
    const char *name;
    const char
        *text; /* unescaped; "" unless the element holds something else than white space and elements */
    const struct xml_attribute *attributes;
    uint32_t attribute_count;
    uint32_t line;
    uint32_t start,
        end; /* offsets in the text of its '<' and behind its last '>', to cut it out of an unparsed copy */
    struct xml_node *parent, *first_child, *last_child, *next;
};

/* The caller provides the two arrays and their sizes; the parser fills in the rest. */
struct xml_document {
    struct xml_node *nodes;
    struct xml_attribute *attributes;
    size_t node_limit, attribute_limit;
    size_t node_count, attribute_count;
    struct xml_node *root;
};

/*
 * Parses size bytes at text, which are changed. On success document->root is the root element. On failure the
 * document must not be used, and *error says why: malformed text, invalid UTF-8, a limit of this header or of
 * the arrays.
 */
XML_CHECKED bool xml_parse(struct xml_document *document, char *text, size_t size, struct xml_error *error);

/* The first child called name, or the first of all if name is NULL; NULL if there is none. */
const struct xml_node *xml_child(const struct xml_node *node, const char *name);

/* The next sibling called name, or the next of all if name is NULL; NULL if there is none. */
const struct xml_node *xml_next(const struct xml_node *node, const char *name);

/* The attribute called name, or NULL. */
const struct xml_attribute *xml_attribute(const struct xml_node *node, const char *name);

/*
 * Typed access. xml_get_unsigned() fails if the attribute is missing, the *_or forms then deliver fallback;
 * all fail if the value is malformed or out of range, with an *error that names element, attribute, value and
 * expectation. *value is written on success only.
 */

/* Any value, the empty one included. Cannot fail. */
const char *xml_get_string_or(const struct xml_node *node, const char *name, const char *fallback);

/* min and max are inclusive; size allows the suffixes K, M and G (1024, 1024^2, 1024^3), as in memory="512M".
 */
struct xml_range {
    uint64_t min, max;
    bool size;
};

/* A decimal number or a hexadecimal one with 0x. */
XML_CHECKED bool xml_get_unsigned(const struct xml_node *node, const char *name,
                                  const struct xml_range *range, uint64_t *value, struct xml_error *error);
XML_CHECKED bool xml_get_unsigned_or(const struct xml_node *node, const char *name,
                                     const struct xml_range *range, uint64_t fallback, uint64_t *value,
                                     struct xml_error *error);

/* "true" or "yes", "false" or "no". */
XML_CHECKED bool xml_get_bool_or(const struct xml_node *node, const char *name, bool fallback, bool *value,
                                 struct xml_error *error);

/* One of the words of a NULL-terminated list; *value is its index. */
XML_CHECKED bool xml_get_choice_or(const struct xml_node *node, const char *name, const char *const *words,
                                   unsigned fallback, unsigned *value, struct xml_error *error);

/*
 * What an element may hold. A schema may contain itself (through a child's) for elements that nest.
 *
 *     static const char *const vm_attributes[] = {"name!", "memory!", "cpus", NULL};
 *     static const struct xml_schema vm = {.name = "vm", .attributes = vm_attributes};
 *     static const struct xml_child_rule children[] = {{&vm, 1, XML_MANY}, {NULL, 0, 0}};
 *     static const struct xml_schema top = {.name = "donjon", .children = children};
 */
#define XML_MANY UINT32_MAX

struct xml_schema;

struct xml_child_rule {
    const struct xml_schema *schema; /* NULL ends the table */
    uint32_t min, max;               /* how many of them */
};

struct xml_schema {
    const char *name;
    const char *const *attributes; /* NULL-terminated, a trailing '!' marks a required one; NULL: none */
    const struct xml_child_rule *children; /* NULL: none */
    bool text;                             /* text is allowed */
    bool opaque; /* its attributes and what is below are another reader's to check */
};

/* Checks node and all below it: unknown or missing elements and attributes, and unexpected text, are errors.
 */
XML_CHECKED bool xml_check(const struct xml_node *node, const struct xml_schema *schema,
                           struct xml_error *error);

/*
 * Refuses a node for a reason of the caller's own, in the form of the errors above. Each '%' of the format is
 * replaced by the next of the strings behind it (by nothing when there are no more), shortened and with
 * unprintable bytes replaced. Always returns false, so that a check can end in "return xml_fail(...)".
 */
#define xml_fail(error, line, ...) xml_fail_list(error, line, (const char *const[]){__VA_ARGS__, NULL})
XML_CHECKED bool xml_fail_list(struct xml_error *error, uint32_t line, const char *const *list);
