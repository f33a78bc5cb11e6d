/* SPDX-License-Identifier: ISC */
/*
 * Reading a parsed document: children, attributes, and attribute values as numbers, truth values and words.
 * Every refusal names element, attribute, value and expectation, since its reader sees only that line.
 */
#include "lib/format/format.h"
#include "lib/xml/utf8.h"
#include "lib/xml/xml.h"
#include <string.h>

static const struct xml_node *find(const struct xml_node *node, const char *name)
{
    while (node != NULL && name != NULL && strcmp(node->name, name) != 0)
        node = node->next;
    return node;
}

const struct xml_node *xml_child(const struct xml_node *node, const char *name)
{
    return find(node->first_child, name);
}

const struct xml_node *xml_next(const struct xml_node *node, const char *name)
{
    return find(node->next, name);
}

const struct xml_attribute *xml_attribute(const struct xml_node *node, const char *name)
{
    for (uint32_t i = 0; i < node->attribute_count; i++)
        if (strcmp(node->attributes[i].name, name) == 0)
            return &node->attributes[i];
    return NULL;
}

/* Refuses a value; what was expected is one to three strings. */
#define refuse(error, node, attribute, ...)                                                                  \
    xml_fail(error, (attribute)->line, "<%> % '%': expected %%%", (node)->name, (attribute)->name,           \
             (attribute)->value, __VA_ARGS__)

const char *xml_get_string_or(const struct xml_node *node, const char *name, const char *fallback)
{
    const struct xml_attribute *attribute = xml_attribute(node, name);

    return attribute != NULL ? attribute->value : fallback;
}

/* The bits to shift by for what follows the digits; 64 if that is no suffix. */
static unsigned suffix_shift(const char *suffix, bool size)
{
    if (suffix[0] == '\0')
        return 0;
    if (!size || suffix[1] != '\0')
        return 64;
    return suffix[0] == 'K' ? 10 : suffix[0] == 'M' ? 20 : suffix[0] == 'G' ? 30 : 64;
}

enum number { NUMBER_OK, NUMBER_MALFORMED, NUMBER_TOO_LARGE };

static enum number parse_number(const char *text, bool size, uint64_t *value)
{
    unsigned base = text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    const char *digit = base == 16 ? text + 2 : text;
    uint64_t result = 0;
    bool overflow = false;

    if (xml_digit(*digit, base) == base)
        return NUMBER_MALFORMED;
    for (; xml_digit(*digit, base) != base; digit++) {
        overflow |= __builtin_mul_overflow(result, (uint64_t)base, &result);
        overflow |= __builtin_add_overflow(result, (uint64_t)xml_digit(*digit, base), &result);
    }
    unsigned shift = suffix_shift(digit, size);
    if (shift == 64)
        return NUMBER_MALFORMED;
    if (overflow || result > UINT64_MAX >> shift)
        return NUMBER_TOO_LARGE;
    *value = result << shift;
    return NUMBER_OK;
}

/* A number as people write it: a size by the largest suffix that loses nothing. */
static const char *write_number(uint64_t number, bool size, char text[24])
{
    static const char *const suffixes[] = {"", "K", "M", "G"};
    unsigned suffix = 0;

    for (; size && suffix < 3 && number != 0 && number % 1024 == 0; suffix++)
        number /= 1024;
    format_text(text, 24, "%lu%s", number, suffixes[suffix]);
    return text;
}

bool xml_get_unsigned(const struct xml_node *node, const char *name, const struct xml_range *range,
                      uint64_t *value, struct xml_error *error)
{
    const struct xml_attribute *attribute = xml_attribute(node, name);
    char low[24], high[24];
    uint64_t number = 0;

    if (attribute == NULL)
        return xml_fail(error, node->line, "<%> lacks the attribute '%'", node->name, name);
    enum number kind = parse_number(attribute->value, range->size, &number);
    if (kind == NUMBER_MALFORMED)
        return refuse(error, node, attribute, "a number", range->size ? ", with K, M or G" : "");
    if (kind == NUMBER_TOO_LARGE || number < range->min || number > range->max)
        return refuse(error, node, attribute, write_number(range->min, range->size, low), " to ",
                      write_number(range->max, range->size, high));
    *value = number;
    return true;
}

bool xml_get_unsigned_or(const struct xml_node *node, const char *name, const struct xml_range *range,
                         uint64_t fallback, uint64_t *value, struct xml_error *error)
{
    if (xml_attribute(node, name) != NULL)
        return xml_get_unsigned(node, name, range, value, error);
    *value = fallback;
    return true;
}

/* "a, b or c", cut off where it does not fit. */
static void list_words(const char *const *words, char *text, size_t size)
{
    const char *before = "";
    size_t used = 0;

    for (; *words != NULL; words++) {
        used += format_text(text + used, size - used, "%s%s", before, *words);
        before = words[1] != NULL && words[2] == NULL ? " or " : ", ";
    }
}

bool xml_get_choice_or(const struct xml_node *node, const char *name, const char *const *words,
                       unsigned fallback, unsigned *value, struct xml_error *error)
{
    const struct xml_attribute *attribute = xml_attribute(node, name);
    char expected[41];

    for (unsigned i = 0; attribute != NULL && words[i] != NULL; i++) {
        if (strcmp(attribute->value, words[i]) == 0) {
            *value = i;
            return true;
        }
    }
    if (attribute == NULL) {
        *value = fallback;
        return true;
    }
    list_words(words, expected, sizeof(expected));
    return refuse(error, node, attribute, expected);
}

bool xml_get_bool_or(const struct xml_node *node, const char *name, bool fallback, bool *value,
                     struct xml_error *error)
{
    static const char *const words[] = {"true", "false", "yes", "no", NULL};
    unsigned index = fallback ? 0 : 1;

    if (!xml_get_choice_or(node, name, words, index, &index, error))
        return false;
    *value = index % 2 == 0;
    return true;
}
