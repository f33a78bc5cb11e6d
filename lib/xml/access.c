/* SPDX-License-Identifier: ISC */
/*
 * Reading a parsed document: children, attributes, and attribute values as numbers, truth values and words.
 * Every refusal names element, attribute, value and what was expected, as its reader has only that line to go
 * by.
 */
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
    for (uint32_t i = 0; i < node->attribute_count; i++) {
        if (strcmp(node->attributes[i].name, name) == 0)
            return &node->attributes[i];
    }
    return NULL;
}

/* The attribute, or the error that it is missing. */
static const struct xml_attribute *require(const struct xml_node *node, const char *name,
                                           struct xml_error *error)
{
    const struct xml_attribute *attribute = xml_attribute(node, name);

    if (attribute == NULL && !xml_fail(error, node->line, "<%> lacks the attribute '%'", node->name, name))
        return NULL;
    return attribute;
}

bool xml_get_string(const struct xml_node *node, const char *name, const char **value,
                    struct xml_error *error)
{
    const struct xml_attribute *attribute = require(node, name, error);

    if (attribute == NULL)
        return false;
    *value = attribute->value;
    return true;
}

const char *xml_get_string_or(const struct xml_node *node, const char *name, const char *fallback)
{
    const struct xml_attribute *attribute = xml_attribute(node, name);

    return attribute != NULL ? attribute->value : fallback;
}

/* The value of a digit, or base if it is none. */
static unsigned digit_value(char digit, unsigned base)
{
    unsigned value = base;

    if (digit >= '0' && digit <= '9')
        value = (unsigned)(digit - '0');
    else if (digit >= 'a' && digit <= 'f')
        value = (unsigned)(digit - 'a') + 10;
    else if (digit >= 'A' && digit <= 'F')
        value = (unsigned)(digit - 'A') + 10;
    return value < base ? value : base;
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

    if (digit_value(*digit, base) == base)
        return NUMBER_MALFORMED;
    for (; digit_value(*digit, base) != base; digit++) {
        overflow |= __builtin_mul_overflow(result, (uint64_t)base, &result);
        overflow |= __builtin_add_overflow(result, (uint64_t)digit_value(*digit, base), &result);
    }
    unsigned shift = suffix_shift(digit, size);
    if (shift == 64)
        return NUMBER_MALFORMED;
    if (overflow || result > UINT64_MAX >> shift)
        return NUMBER_TOO_LARGE;
    *value = result << shift;
    return NUMBER_OK;
}

/* A number as people write it: a size by the largest suffix that loses nothing. text has room for 24 bytes.
 */
static const char *write_number(uint64_t number, bool size, char text[24])
{
    static const char suffixes[] = {'\0', 'K', 'M', 'G'};
    unsigned suffix = 0;
    char *position = text + 23;

    *position = '\0';
    while (size && suffix < 3 && number != 0 && number % 1024 == 0) {
        number /= 1024;
        suffix++;
    }
    if (suffix != 0)
        *--position = suffixes[suffix];
    do {
        *--position = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return position;
}

/* "<vm memory="7M">: " opens the reason of every refused value. */
static bool refuse(struct xml_error *error, const struct xml_node *node,
                   const struct xml_attribute *attribute, const char *format, const char *first,
                   const char *second)
{
    struct xml_error head, tail;
    size_t used, more;

    if (xml_fail(&tail, attribute->line, format, first, second) ||
        xml_fail(&head, attribute->line, "% '%': ", attribute->name, attribute->value) ||
        xml_fail(error, attribute->line, "<%> ", node->name, NULL))
        return false;
    const char *parts[] = {head.reason, tail.reason};
    used = strlen(error->reason);
    for (unsigned i = 0; i < 2; i++) {
        more = strnlen(parts[i], sizeof(error->reason) - 1 - used);
        memcpy(error->reason + used, parts[i], more);
        used += more;
    }
    error->reason[used] = '\0';
    return false;
}

static bool read_unsigned(const struct xml_node *node, const struct xml_attribute *attribute,
                          const struct xml_range *range, uint64_t *value, struct xml_error *error)
{
    char low[24], high[24];
    uint64_t number = 0;

    switch (parse_number(attribute->value, range->size, &number)) {
    case NUMBER_MALFORMED:
        return refuse(error, node, attribute,
                      range->size ? "expected a number, with K, M or G" : "expected a number", NULL, NULL);
    case NUMBER_OK:
        if (number >= range->min && number <= range->max) {
            *value = number;
            return true;
        }
        break;
    case NUMBER_TOO_LARGE:
        break;
    }
    return refuse(error, node, attribute, "expected % to %", write_number(range->min, range->size, low),
                  write_number(range->max, range->size, high));
}

bool xml_get_unsigned(const struct xml_node *node, const char *name, const struct xml_range *range,
                      uint64_t *value, struct xml_error *error)
{
    const struct xml_attribute *attribute = require(node, name, error);

    return attribute != NULL && read_unsigned(node, attribute, range, value, error);
}

bool xml_get_unsigned_or(const struct xml_node *node, const char *name, const struct xml_range *range,
                         uint64_t fallback, uint64_t *value, struct xml_error *error)
{
    if (xml_attribute(node, name) != NULL)
        return xml_get_unsigned(node, name, range, value, error);
    *value = fallback;
    return true;
}

bool xml_get_bool(const struct xml_node *node, const char *name, bool *value, struct xml_error *error)
{
    const struct xml_attribute *attribute = require(node, name, error);

    if (attribute == NULL)
        return false;
    bool yes = strcmp(attribute->value, "true") == 0 || strcmp(attribute->value, "yes") == 0;
    if (!yes && strcmp(attribute->value, "false") != 0 && strcmp(attribute->value, "no") != 0)
        return refuse(error, node, attribute, "expected true or false", NULL, NULL);
    *value = yes;
    return true;
}

bool xml_get_bool_or(const struct xml_node *node, const char *name, bool fallback, bool *value,
                     struct xml_error *error)
{
    if (xml_attribute(node, name) != NULL)
        return xml_get_bool(node, name, value, error);
    *value = fallback;
    return true;
}

/* "a, b or c", cut off where it does not fit. */
static void list_words(const char *const *words, char *text, size_t size)
{
    size_t used = 0;

    for (unsigned i = 0; words[i] != NULL; i++) {
        const char *parts[] = {i == 0 ? "" : words[i + 1] == NULL ? " or " : ", ", words[i]};
        for (unsigned part = 0; part < 2; part++) {
            size_t more = strnlen(parts[part], size - 1 - used);
            memcpy(text + used, parts[part], more);
            used += more;
        }
    }
    text[used] = '\0';
}

bool xml_get_choice(const struct xml_node *node, const char *name, const char *const *words, unsigned *value,
                    struct xml_error *error)
{
    const struct xml_attribute *attribute = require(node, name, error);
    char expected[41];

    if (attribute == NULL)
        return false;
    for (unsigned i = 0; words[i] != NULL; i++) {
        if (strcmp(attribute->value, words[i]) == 0) {
            *value = i;
            return true;
        }
    }
    list_words(words, expected, sizeof(expected));
    return refuse(error, node, attribute, "expected %", expected, NULL);
}

bool xml_get_choice_or(const struct xml_node *node, const char *name, const char *const *words,
                       unsigned fallback, unsigned *value, struct xml_error *error)
{
    if (xml_attribute(node, name) != NULL)
        return xml_get_choice(node, name, words, value, error);
    *value = fallback;
    return true;
}
