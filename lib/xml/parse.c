/* SPDX-License-Identifier: ISC */
/*
 * The parser: one pass over the text, one loop for the content of elements, the open elements kept as a chain
 * of parents. It writes only into text that it has consumed: unescaped strings are never longer than what
 * they are made from, and the NUL behind a string takes the place of a delimiter.
 */
#include "lib/format/format.h"
#include "lib/xml/utf8.h"
#include "lib/xml/xml.h"
#include <string.h>

struct parser {
    struct xml_document *document;
    struct xml_error *error;
    char *text;
    size_t size, at;
    uint32_t line;
    unsigned depth;
    struct xml_node *open; /* innermost open element */
    char *content;         /* its text so far, NULL if none, up to content_end */
    char *content_end;
};

#define fail(parser, ...) xml_fail((parser)->error, (parser)->line, __VA_ARGS__)

/* The byte at offset from the current one; '\0', which no valid text contains, beyond the end. */
static char peek(const struct parser *parser, size_t offset)
{
    return parser->size - parser->at > offset ? parser->text[parser->at + offset] : '\0';
}

static bool at_end(const struct parser *parser)
{
    return parser->at == parser->size;
}

static void advance(struct parser *parser)
{
    if (parser->text[parser->at] == '\n')
        parser->line++;
    parser->at++;
}

/* Consumes word if it is next; word holds no line feed. */
static bool take(struct parser *parser, const char *word)
{
    size_t length = strlen(word);

    if (parser->size - parser->at < length || memcmp(parser->text + parser->at, word, length) != 0)
        return false;
    parser->at += length;
    return true;
}

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static bool skip_space(struct parser *parser)
{
    bool some = false;

    while (is_space(peek(parser, 0))) {
        advance(parser);
        some = true;
    }
    return some;
}

static bool starts_name(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' || byte == ':';
}

static bool continues_name(char byte)
{
    return starts_name(byte) || (byte >= '0' && byte <= '9') || byte == '-' || byte == '.';
}

/* The name that is next, not yet terminated: *end is its delimiter. what is for the error. */
XML_CHECKED static bool take_name(struct parser *parser, const char *what, char **name, char **end)
{
    char found[2] = {peek(parser, 0), '\0'};

    if (at_end(parser))
        return fail(parser, "the text ends where % is expected", what);
    if (!starts_name(found[0]))
        return fail(parser, "expected %, found '%'", what, found);
    *name = parser->text + parser->at;
    while (continues_name(peek(parser, 0)))
        parser->at++;
    *end = parser->text + parser->at;
    return !at_end(parser) || fail(parser, "the text ends behind %", what); /* so that a NUL has room */
}

/* A character reference behind "&#": &#10; or &#xa;. */
XML_CHECKED static bool take_code(struct parser *parser, uint32_t *code)
{
    uint32_t base = take(parser, "x") ? 16 : 10;
    uint32_t value = 0;
    unsigned digits = 0;

    for (;; digits++) {
        uint32_t digit = xml_digit(peek(parser, 0), base);
        if (digit == base)
            break;
        /* Saturates far above the last character: the product of what is below it cannot overflow. */
        value = value > 0x10ffff ? value : value * base + digit;
        parser->at++;
    }
    if (digits == 0 || !take(parser, ";"))
        return fail(parser, "malformed character reference");
    if (!xml_is_character(value))
        return fail(parser, "a character reference to no character");
    *code = value;
    return true;
}

/* Replaces the reference at the current '&' by its character, written at *out, which moves on. */
XML_CHECKED static bool take_reference(struct parser *parser, char **out)
{
    static const struct {
        const char *name;
        char byte;
    } entities[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};
    char name[16] = {0};
    uint32_t code = 0;

    for (unsigned i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
        if (take(parser, entities[i].name)) {
            *(*out)++ = entities[i].byte;
            return true;
        }
    }
    if (take(parser, "&#")) {
        if (!take_code(parser, &code))
            return false;
        *out += xml_utf8_put(*out, code);
        return true;
    }
    for (size_t i = 0; i + 1 < sizeof(name) && continues_name(peek(parser, i + 1)); i++)
        name[i] = peek(parser, i + 1);
    if (name[0] == '\0')
        return fail(parser, "a bare '&': write &amp;", NULL, NULL);
    return fail(parser, "unknown entity '%': only lt, gt, amp, quot and apos are known", name);
}

/* A quoted value, unescaped and terminated. */
XML_CHECKED static bool take_value(struct parser *parser, const char *attribute, const char **value)
{
    char quote[2] = {peek(parser, 0), '\0'};
    uint32_t line = parser->line;

    if (quote[0] != '"' && quote[0] != '\'')
        return fail(parser, "the value of '%' is not in quotes", attribute);
    parser->at++;
    char *out = parser->text + parser->at;
    *value = out;
    while (!take(parser, quote)) {
        char byte = peek(parser, 0);
        if (at_end(parser))
            return xml_fail(parser->error, line, "the value of '%' is not closed", attribute);
        if (byte == '<')
            return fail(parser, "'<' in the value of '%': write &lt; or close the value", attribute, NULL);
        if (byte == '&') {
            if (parser->document->node_count == 0)
                return fail(parser, "a reference in the XML declaration");
            if (!take_reference(parser, &out))
                return false;
            continue;
        }
        advance(parser);
        if (byte != '\r' || peek(parser, 0) != '\n')
            *out++ = is_space(byte) ? ' ' : byte;
    }
    *out = '\0';
    return true;
}

XML_CHECKED static bool take_attribute(struct parser *parser, struct xml_attribute *attribute)
{
    char *name = NULL;
    char *end = NULL;

    attribute->line = parser->line;
    if (!take_name(parser, "an attribute", &name, &end))
        return false;
    skip_space(parser);
    if (!take(parser, "=")) {
        *end = '\0'; /* nothing behind it is read any more */
        return fail(parser, "attribute '%' has no value", name);
    }
    skip_space(parser);
    *end = '\0';
    attribute->name = name;
    return take_value(parser, name, &attribute->value);
}

XML_CHECKED static bool take_comment(struct parser *parser)
{
    uint32_t line = parser->line;

    while (!take(parser, "-->")) {
        if (at_end(parser))
            return xml_fail(parser->error, line, "the comment is not closed");
        if (peek(parser, 0) == '-' && peek(parser, 1) == '-')
            return fail(parser, "'--' within a comment");
        advance(parser);
    }
    return true;
}

/* Comments and white space around the root element. */
XML_CHECKED static bool take_misc(struct parser *parser)
{
    do {
        skip_space(parser);
        if (!take(parser, "<!--"))
            return true;
    } while (take_comment(parser));
    return false;
}

static bool is_utf8(const char *name)
{
    static const char lower[] = "utf-8";
    unsigned i = 0;

    while (lower[i] != '\0' && (name[i] | 0x20) == lower[i])
        i++;
    return lower[i] == '\0' && name[i] == '\0';
}

/* <?xml version="1.0" encoding="UTF-8" standalone="yes"?>, which may be left out, and of which all but the
 * version may (XML 1.0, 2.8). */
XML_CHECKED static bool take_declaration(struct parser *parser)
{
    static const char *const parts[] = {"version", "encoding", "standalone"};
    struct xml_attribute part;
    unsigned next = 0, i;

    if (!(peek(parser, 0) == '<' && peek(parser, 1) == '?'))
        return true;
    if (!take(parser, "<?xml") || continues_name(peek(parser, 0)))
        return fail(parser, "processing instructions are not supported");
    for (;; next = i + 1) {
        bool space = skip_space(parser);
        if (take(parser, "?>"))
            break;
        if (!space)
            return fail(parser, "malformed XML declaration");
        if (!take_attribute(parser, &part))
            return false;
        for (i = 0; i < 3 && strcmp(part.name, parts[i]) != 0;)
            i++;
        if (i == 3)
            return xml_fail(parser->error, part.line, "XML declaration: '%' is unknown", part.name);
        if (i < next)
            return xml_fail(parser->error, part.line, "XML declaration: '%' is there twice or too late",
                            part.name);
        if (i > 0 && next == 0)
            return xml_fail(parser->error, part.line, "the XML declaration lacks a version before '%'",
                            part.name);
        if ((i == 0 && strcmp(part.value, "1.0") != 0) || (i == 1 && !is_utf8(part.value)))
            return xml_fail(parser->error, part.line, "XML declaration: % '%' is not supported", part.name,
                            part.value);
        if (i == 2 && strcmp(part.value, "yes") != 0 && strcmp(part.value, "no") != 0)
            return xml_fail(parser->error, part.line,
                            "XML declaration: expected standalone 'yes' or 'no', found '%'", part.value);
    }
    return next > 0 || fail(parser, "the XML declaration lacks a version");
}

XML_CHECKED static bool add_attribute(struct parser *parser, struct xml_node *node)
{
    struct xml_document *document = parser->document;

    if (document->attribute_count == document->attribute_limit)
        return fail(parser, "more attributes than there is room for");
    if (node->attribute_count == XML_ATTRIBUTES_MAX)
        return fail(parser, "more attributes than an element may have");
    struct xml_attribute *attribute = &document->attributes[document->attribute_count];
    if (!take_attribute(parser, attribute))
        return false;
    if (xml_attribute(node, attribute->name) != NULL)
        return xml_fail(parser->error, attribute->line, "attribute '%' is there twice", attribute->name);
    document->attribute_count++;
    node->attribute_count++;
    return true;
}

XML_CHECKED static bool add_node(struct parser *parser, struct xml_node **added)
{
    struct xml_document *document = parser->document;
    struct xml_node *parent = parser->open;

    if (document->node_count == document->node_limit)
        return fail(parser, "more elements than there is room for");
    if (parser->depth == XML_DEPTH_MAX)
        return fail(parser, "elements are nested too deeply");
    if (parser->content != NULL)
        return fail(parser, "<%> holds text and elements: it may hold either", parent->name);
    struct xml_node *node = &document->nodes[document->node_count];
    *node = (struct xml_node){
        .text = "",
        .attributes = document->attributes + document->attribute_count,
        .line = parser->line,
        .start = (uint32_t)parser->at,
        .parent = parent,
    };
    document->node_count++;
    if (parent == NULL)
        document->root = node;
    else if (parent->last_child == NULL)
        parent->first_child = node;
    else
        parent->last_child->next = node;
    if (parent != NULL)
        parent->last_child = node;
    *added = node;
    return true;
}

/* The start tag at the current '<'; leaves the element open unless it is an empty one. */
XML_CHECKED static bool take_start_tag(struct parser *parser)
{
    struct xml_node *node = NULL;
    char *name = NULL;
    char *end = NULL;
    bool closed = false;

    if (!add_node(parser, &node))
        return false;
    parser->at++;
    if (!take_name(parser, "the name of an element", &name, &end))
        return false;
    for (;;) {
        bool space = skip_space(parser);
        closed = take(parser, "/>");
        if (closed || take(parser, ">"))
            break;
        if (at_end(parser))
            return xml_fail(parser->error, node->line, "the tag is not closed by '>'");
        if (!space)
            return fail(parser, "expected a space or '>' in the tag");
        if (!add_attribute(parser, node))
            return false;
    }
    *end = '\0';
    node->name = name;
    node->end = (uint32_t)parser->at;
    if (!closed) {
        parser->open = node;
        parser->depth++;
    }
    return true;
}

/* Ends the text of the open element, without the white space behind it. */
static void finish_content(struct parser *parser)
{
    if (parser->content == NULL)
        return;
    while (parser->content_end > parser->content && is_space(parser->content_end[-1]))
        parser->content_end--;
    *parser->content_end = '\0';
    parser->open->text = parser->content;
    parser->content = NULL;
}

/* The end tag whose "</" has been consumed. */
XML_CHECKED static bool take_end_tag(struct parser *parser)
{
    struct xml_node *node = parser->open;
    char *name = NULL;
    char *end = NULL;

    if (!take_name(parser, "the name of an element", &name, &end))
        return false;
    size_t length = (size_t)(end - name);
    if (strlen(node->name) != length || memcmp(node->name, name, length) != 0) {
        *end = '\0';
        return fail(parser, "</%> where </%> is expected", name, node->name);
    }
    skip_space(parser);
    if (!take(parser, ">"))
        return fail(parser, "</%> is not closed by '>'", node->name);
    finish_content(parser);
    node->end = (uint32_t)parser->at;
    parser->open = node->parent;
    parser->depth--;
    return true;
}

/* One character or reference of text in the open element. */
XML_CHECKED static bool take_text(struct parser *parser)
{
    char byte = peek(parser, 0);

    if (parser->content == NULL) {
        if (is_space(byte)) {
            advance(parser);
            return true;
        }
        if (parser->open->first_child != NULL)
            return fail(parser, "<%> holds text and elements: it may hold either", parser->open->name);
        parser->content = parser->text + parser->at;
        parser->content_end = parser->content;
    }
    if (byte == '&')
        return take_reference(parser, &parser->content_end);
    if (byte == ']' && peek(parser, 1) == ']' && peek(parser, 2) == '>')
        return fail(parser, "']]>' in text: write ]]&gt;", NULL, NULL);
    advance(parser);
    if (byte != '\r')
        *parser->content_end++ = byte;
    else if (peek(parser, 0) != '\n')
        *parser->content_end++ = '\n';
    return true;
}

/* Whatever is next inside the open element. */
XML_CHECKED static bool take_content(struct parser *parser)
{
    if (peek(parser, 0) != '<')
        return take_text(parser);
    if (take(parser, "</"))
        return take_end_tag(parser);
    if (take(parser, "<!--"))
        return take_comment(parser);
    if (peek(parser, 1) == '?')
        return fail(parser, "processing instructions are not supported");
    if (peek(parser, 1) == '!')
        return fail(parser, "CDATA sections and declarations are not supported");
    return take_start_tag(parser);
}

XML_CHECKED static bool take_root(struct parser *parser)
{
    if (at_end(parser))
        return fail(parser, "there is no element");
    if (peek(parser, 0) != '<')
        return fail(parser, "text outside of the root element");
    if (peek(parser, 1) == '!' || peek(parser, 1) == '?')
        return fail(parser, "DOCTYPE and processing instructions are not supported");
    if (!take_start_tag(parser))
        return false;
    while (parser->open != NULL) {
        char line[12];
        if (at_end(parser)) {
            format_text(line, sizeof(line), "%u", parser->open->line);
            return fail(parser, "the text ends before </%> of the element in line %", parser->open->name,
                        line);
        }
        if (!take_content(parser))
            return false;
    }
    return true;
}

/* All text is checked before any of it is looked at, so that the rest can treat it as bytes. */
XML_CHECKED static bool check_characters(struct parser *parser)
{
    uint32_t line = 1;
    size_t length = 0;

    for (size_t at = parser->at; at < parser->size; at += length) {
        length = xml_utf8_length(parser->text + at, parser->size - at);
        if (length == 0)
            return xml_fail(parser->error, line, "malformed UTF-8 or a character that XML does not allow");
        if (parser->text[at] == '\n')
            line++;
    }
    return true;
}

bool xml_parse(struct xml_document *document, char *text, size_t size, struct xml_error *error)
{
    struct parser parser = {.document = document, .error = error, .text = text, .size = size, .line = 1};

    document->node_count = 0;
    document->attribute_count = 0;
    document->root = NULL;
    if (size > XML_SIZE_MAX)
        return fail(&parser, "the text is too large");
    /* Editors of another system open a file with this mark. */
    (void)take(&parser, "\xef\xbb\xbf");
    if (!check_characters(&parser) || !take_declaration(&parser) || !take_misc(&parser) ||
        !take_root(&parser) || !take_misc(&parser))
        return false;
    return at_end(&parser) || fail(&parser, "something follows the root element");
}
