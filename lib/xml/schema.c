/* SPDX-License-Identifier: ISC */
/*
 * Checks a document against tables of what each element may hold. A configuration with a misspelt name must
 * not pass as one without that name: such an error is hard to find.
 */
#include "lib/xml/xml.h"
#include <string.h>

/* Whether an entry of an attribute table is this attribute; a trailing '!' does not belong to the name. */
static bool is_attribute(const char *entry, const char *name)
{
    size_t length = strlen(name);

    return strncmp(entry, name, length) == 0 && (entry[length] == '\0' || strcmp(entry + length, "!") == 0);
}

static bool check_known(const struct xml_node *node, const struct xml_schema *schema, struct xml_error *error)
{
    for (uint32_t i = 0; i < node->attribute_count; i++) {
        const struct xml_attribute *attribute = &node->attributes[i];
        const char *const *entry = schema->attributes;

        while (entry != NULL && *entry != NULL && !is_attribute(*entry, attribute->name))
            entry++;
        if (entry == NULL || *entry == NULL)
            return xml_fail(error, attribute->line, "<%> has no attribute '%'", node->name, attribute->name);
    }
    return true;
}

static bool check_required(const struct xml_node *node, const struct xml_schema *schema,
                           struct xml_error *error)
{
    for (const char *const *entry = schema->attributes; entry != NULL && *entry != NULL; entry++) {
        size_t length = strlen(*entry);
        bool found = (*entry)[length - 1] != '!';

        for (uint32_t i = 0; i < node->attribute_count && !found; i++)
            found = is_attribute(*entry, node->attributes[i].name);
        if (!found) {
            char name[40] = {0};
            memcpy(name, *entry, length - 1 < sizeof(name) ? length - 1 : sizeof(name) - 1);
            return xml_fail(error, node->line, "<%> lacks the attribute '%'", node->name, name);
        }
    }
    return true;
}

static const struct xml_child_rule *find_rule(const struct xml_schema *schema, const char *name)
{
    for (const struct xml_child_rule *rule = schema->children; rule != NULL && rule->schema != NULL; rule++)
        if (strcmp(rule->schema->name, name) == 0)
            return rule;
    return NULL;
}

static bool check_counts(const struct xml_node *node, const struct xml_schema *schema,
                         struct xml_error *error)
{
    for (const struct xml_child_rule *rule = schema->children; rule != NULL && rule->schema != NULL; rule++) {
        uint32_t count = 0;
        const char *name = rule->schema->name;

        for (const struct xml_node *child = xml_child(node, name); child != NULL;
             child = xml_next(child, name)) {
            count++;
            if (count > rule->max)
                return xml_fail(error, child->line, "too many <%> in <%>", name, node->name);
        }
        if (count < rule->min)
            return xml_fail(error, node->line, "<%> lacks a <%>", node->name, name);
    }
    return true;
}

/* The recursion is as deep as the text, which the parser limits to XML_DEPTH_MAX. */
static bool check_node(const struct xml_node *node, const struct xml_schema *schema, struct xml_error *error)
{
    if (schema->opaque)
        return true;
    if (!check_known(node, schema, error) || !check_required(node, schema, error))
        return false;
    if (!schema->text && node->text[0] != '\0')
        return xml_fail(error, node->line, "<%> holds text: '%'", node->name, node->text);
    for (const struct xml_node *child = node->first_child; child != NULL; child = child->next) {
        const struct xml_child_rule *rule = find_rule(schema, child->name);
        if (rule == NULL)
            return xml_fail(error, child->line, "<%> has no place in <%>", child->name, node->name);
        if (!check_node(child, rule->schema, error))
            return false;
    }
    return check_counts(node, schema, error);
}

bool xml_check(const struct xml_node *node, const struct xml_schema *schema, struct xml_error *error)
{
    if (strcmp(node->name, schema->name) != 0)
        return xml_fail(error, node->line, "expected <%>, found <%>", schema->name, node->name);
    return check_node(node, schema, error);
}
