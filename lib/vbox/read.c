/* SPDX-License-Identifier: ISC */
/*
 * Attributes of settings, and what is cut off before they are parsed; see read.h.
 */
#include "lib/vbox/read.h"

#include <string.h>

void vbox_tell_list(const struct vbox_reader *reader, uint32_t line, const char *const *list)
{
    static const char *const more[] = {"there is more that is not offered, which is left out here", NULL};
    unsigned number = (*reader->notes)++;
    struct xml_error told;
    bool failed;

    if (number > VBOX_NOTES)
        return;
    failed = xml_fail_list(&told, line, number < VBOX_NOTES ? list : more);
    (void)failed; /* it only makes the sentence */
    if (reader->note)
        reader->note(reader->context, told.line, told.reason);
}

bool vbox_text(const struct vbox_reader *reader, const struct xml_node *node, const char *name, char *to,
               size_t size)
{
    const char *value = xml_get_string_or(node, name, "");
    size_t length = strlen(value);

    if (length >= size)
        return xml_fail(reader->error, node->line, "<%>: attribute % is too long: \"%\"", node->name, name,
                        value);
    memcpy(to, value, length + 1);
    return true;
}

static bool is_hex(char digit)
{
    return (digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f') || (digit >= 'A' && digit <= 'F');
}

/* {01234567-89ab-cdef-0123-456789abcdef}, with braces or without. */
static bool take_uuid(const char *value, char uuid[VBOX_UUID])
{
    bool braces = *value == '{';
    size_t length = VBOX_UUID - 1;

    value += braces;
    if (strlen(value) != length + braces || (braces && value[length] != '}'))
        return false;
    for (size_t i = 0; i < length; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? value[i] != '-' : !is_hex(value[i]))
            return false;
        uuid[i] = value[i] >= 'A' && value[i] <= 'F' ? (char)(value[i] - 'A' + 'a') : value[i];
    }
    uuid[length] = '\0';
    return true;
}

bool vbox_uuid(const struct vbox_reader *reader, const struct xml_node *node, const char *name, bool needed,
               char uuid[VBOX_UUID])
{
    const char *value = xml_get_string_or(node, name, "");

    uuid[0] = '\0';
    if ((!*value && !needed) || take_uuid(value, uuid))
        return true;
    return xml_fail(reader->error, node->line, "<%>: expected a UUID as %, found \"%\"", node->name, name,
                    value);
}

bool vbox_number(const struct vbox_reader *reader, const struct xml_node *node, const char *name,
                 uint64_t min, uint64_t max, uint64_t fallback, uint32_t *value)
{
    const struct xml_range range = {.min = min, .max = max};
    uint64_t number;

    if (!xml_get_unsigned_or(node, name, &range, fallback, &number, reader->error))
        return false;
    *value = (uint32_t)number;
    return true;
}

bool vbox_bool(const struct vbox_reader *reader, const struct xml_node *node, const char *name, bool fallback,
               bool *value)
{
    const char *text = xml_get_string_or(node, name, fallback ? "true" : "false");

    *value = strcmp(text, "true") == 0 || strcmp(text, "1") == 0;
    if (*value || strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
        return true;
    return xml_fail(reader->error, node->line, "<%>: expected true or false as %, found \"%\"", node->name,
                    name, text);
}

unsigned vbox_choice(const struct vbox_reader *reader, const struct xml_node *node, const char *name,
                     const char *const *words, unsigned fallback, unsigned unknown)
{
    const char *text = xml_get_string_or(node, name, "");

    if (!*text)
        return fallback;
    for (unsigned i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0)
            return i;
    vbox_tell(reader, node->line, "<%>: %=\"%\" is not known", node->name, name, text);
    return unknown;
}

bool vbox_child_enabled(const struct vbox_reader *reader, const struct xml_node *node, const char *child,
                        bool fallback, bool *value)
{
    const struct xml_node *found = xml_child(node, child);

    *value = fallback;
    return !found || vbox_bool(reader, found, "enabled", fallback, value);
}

/* A text with a place in it. */
struct scan {
    char *text;
    size_t size, at;
};

static bool looks_at(const struct scan *scan, const char *word)
{
    size_t length = strlen(word);

    return length <= scan->size - scan->at && memcmp(scan->text + scan->at, word, length) == 0;
}

/* To behind the next `end`, or to the end of the text. */
static void pass(struct scan *scan, const char *end)
{
    while (scan->at < scan->size && !looks_at(scan, end))
        scan->at++;
    if (scan->at < scan->size)
        scan->at += strlen(end);
}

/* To behind a tag's '>', which may stand in an attribute's value as well. True: the element ends with it. */
static bool pass_tag(struct scan *scan)
{
    char quote = '\0', before = '\0';

    for (; scan->at < scan->size; scan->at++) {
        char now = scan->text[scan->at];

        if (quote) {
            quote = now == quote ? '\0' : quote;
        } else if (now == '"' || now == '\'') {
            quote = now;
        } else if (now == '>') {
            scan->at++;
            return before == '/';
        }
        before = now;
    }
    return false;
}

static void blank(char *from, const char *to)
{
    for (; from < to; from++)
        if (*from != '\n' && *from != '\r')
            *from = ' ';
}

/* A tag's name ends here. */
static bool ends_name(char next)
{
    return next == ' ' || next == '\t' || next == '\r' || next == '\n' || next == '/' || next == '>';
}

static bool is_element(const struct scan *scan, const char *tag)
{
    size_t behind = scan->at + strlen(tag);

    return looks_at(scan, tag) && behind < scan->size && ends_name(scan->text[behind]);
}

void vbox_cut_snapshots(char *text, size_t size)
{
    struct scan scan = {.text = text, .size = size};
    size_t depth = 0, start = 0;

    while (scan.at < scan.size) {
        size_t tag = scan.at;

        if (looks_at(&scan, "<!--")) {
            pass(&scan, "-->");
        } else if (is_element(&scan, "<Snapshot")) {
            if (depth == 0)
                start = tag;
            if (!pass_tag(&scan))
                depth++;
            else if (depth == 0)
                blank(text + start, text + scan.at);
        } else if (is_element(&scan, "</Snapshot")) {
            (void)pass_tag(&scan);
            if (depth > 0 && --depth == 0)
                blank(text + start, text + scan.at);
        } else if (text[scan.at] == '<') {
            (void)pass_tag(&scan);
        } else {
            scan.at++;
        }
    }
}
