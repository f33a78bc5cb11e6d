/* SPDX-License-Identifier: ISC */
/* What the parser accepts and how it comes out, and what it refuses with which line and words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/xml/utf8.h"
#include "lib/xml/xml.h"

#define NODES      8
#define ATTRIBUTES 80

/* One parsed text: the buffer has exactly its size, so that the sanitizer sees every byte too many. */
struct sample {
    char *text;
    struct xml_node nodes[NODES];
    struct xml_attribute attributes[ATTRIBUTES];
    struct xml_document document;
    struct xml_error error;
};

static bool parse_bytes(struct sample *sample, const char *text, size_t size)
{
    sample->document = (struct xml_document){.nodes = sample->nodes,
                                             .attributes = sample->attributes,
                                             .node_limit = NODES,
                                             .attribute_limit = ATTRIBUTES};
    sample->text = malloc(size != 0 ? size : 1);
    assert_non_null(sample->text);
    memcpy(sample->text, text, size);
    return xml_parse(&sample->document, sample->text, size, &sample->error);
}

static const struct xml_node *accept(struct sample *sample, const char *text)
{
    if (!parse_bytes(sample, text, strlen(text)))
        fail_msg("line %u: %s", sample->error.line, sample->error.reason);
    return sample->document.root;
}

static void release(struct sample *sample)
{
    free(sample->text);
}

static void refuse(const char *text, uint32_t line, const char *reason)
{
    struct sample sample;

    assert_false(parse_bytes(&sample, text, strlen(text)));
    assert_string_equal(sample.error.reason, reason);
    assert_int_equal(sample.error.line, line);
    release(&sample);
}

static void test_tree(void **state)
{
    static const char text[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                               "<!-- a system -->\n"
                               "<donjon>\n"
                               "  <vm name = 'one' memory=\"512M\"\n"
                               "      cpus='2'/>\n"
                               "  <start name=\"uart\"><route/></start>\n"
                               "  <vm name='two'></vm>\n"
                               "</donjon>\n<!-- end -->\n";
    struct sample sample;
    (void)state;
    const struct xml_node *root = accept(&sample, text);

    assert_string_equal(root->name, "donjon");
    assert_int_equal(root->line, 3);
    assert_null(root->parent);
    const struct xml_node *vm = xml_child(root, NULL);
    assert_string_equal(vm->name, "vm");
    assert_ptr_equal(vm->parent, root);
    assert_int_equal(vm->attribute_count, 3);
    assert_string_equal(xml_attribute(vm, "memory")->value, "512M");
    assert_int_equal(xml_attribute(vm, "cpus")->line, 5);
    assert_null(xml_attribute(vm, "disk"));
    assert_null(xml_child(vm, NULL));
    const struct xml_node *two = xml_next(vm, "vm");
    assert_string_equal(xml_attribute(two, "name")->value, "two");
    assert_null(xml_next(two, NULL));
    const struct xml_node *start = xml_next(vm, NULL);
    assert_string_equal(start->name, "start");
    assert_string_equal(xml_child(start, "route")->name, "route");
    assert_null(xml_child(root, "route"));
    /* The offsets cut the element out of an unparsed copy. */
    static const char cut[] = "<start name=\"uart\"><route/></start>";
    assert_int_equal(start->end - start->start, strlen(cut));
    assert_memory_equal(text + start->start, cut, strlen(cut));
    assert_memory_equal(text + root->start, "<donjon>", 8);
    assert_memory_equal(text + root->end - 9, "</donjon>", 9);
    release(&sample);
}

static void test_strings(void **state)
{
    struct sample sample;
    const struct xml_node *root;
    (void)state;

    root =
        accept(&sample,
               "<a b='&lt;&gt;&amp;&quot;&apos;' c=\"x'\ty\r\nz\n\" d='&#65;&#xe9;&#x20AC;&#x1f600;' e=''/>");
    assert_string_equal(xml_attribute(root, "b")->value, "<>&\"'");
    assert_string_equal(xml_attribute(root, "c")->value, "x' y z ");
    assert_string_equal(xml_attribute(root, "d")->value, "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    assert_string_equal(xml_attribute(root, "e")->value, "");
    assert_string_equal(root->text, "");
    release(&sample);

    root =
        accept(&sample, "\xef\xbb\xbf<a> \n one <!-- not - this -->&amp;\r\ntwo\rthree > \xc3\xa4 \t</a >");
    assert_string_equal(root->text, "one &\ntwo\nthree > \xc3\xa4");
    release(&sample);

    root = accept(&sample, "<a:b-1._><c>x</c> <!-- --> <d>y</d></a:b-1._>");
    assert_string_equal(root->name, "a:b-1._");
    assert_string_equal(xml_child(root, "c")->text, "x");
    assert_string_equal(xml_child(root, "d")->text, "y");
    release(&sample);
}

static void test_declarations(void **state)
{
    static const char *const good[] = {
        "<?xml version='1.0'?><a/>",
        "<?xml\n version = \"1.0\"\r\n\tencoding='Utf-8' standalone=\"no\" ?>\n<a/>",
        "\xef\xbb\xbf<?xml version='1.0' standalone='yes'?><a/>",
    };
    struct sample sample;
    (void)state;

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_string_equal(accept(&sample, good[i])->name, "a");
        release(&sample);
    }
    refuse("<?xml version='1.0' version='1.0'?><a/>", 1,
           "XML declaration: 'version' is there twice or too late");
    refuse("<?xml version='1.0' encoding='UTF-8' encoding='UTF-8'?><a/>", 1,
           "XML declaration: 'encoding' is there twice or too late");
    refuse("<?xml version='1.0' standalone='no'\nstandalone='no'?><a/>", 2,
           "XML declaration: 'standalone' is there twice or too late");
    refuse("<?xml version='1.0'\nstandalone='yes'\nencoding='UTF-8'?><a/>", 3,
           "XML declaration: 'encoding' is there twice or too late");
    refuse("<?xml encoding='UTF-8' version='1.0'?><a/>", 1,
           "the XML declaration lacks a version before 'encoding'");
    refuse("<?xml standalone='yes' version='1.0'?><a/>", 1,
           "the XML declaration lacks a version before 'standalone'");
    refuse("<?xml?><a/>", 1, "the XML declaration lacks a version");
    refuse("<?xml ?><a/>", 1, "the XML declaration lacks a version");
    refuse("<?xml version='1.0'\n\nstandalone='maybe'?><a/>", 3,
           "XML declaration: expected standalone 'yes' or 'no', found 'maybe'");
    refuse("<?xml version='1.0' standalone=''?><a/>", 1,
           "XML declaration: expected standalone 'yes' or 'no', found ''");
    refuse("<?xml version='2.0'?><a/>", 1, "XML declaration: version '2.0' is not supported");
    refuse("<?xml version='1.0 '?><a/>", 1, "XML declaration: version '1.0 ' is not supported");
    refuse("<?xml version='1.&#48;'?><a/>", 1, "a reference in the XML declaration");
    refuse("<?xml version='1.0' encoding='UTF-16'?><a/>", 1,
           "XML declaration: encoding 'UTF-16' is not supported");
    refuse("<?xml version='1.0' encoding=''?><a/>", 1, "XML declaration: encoding '' is not supported");
    refuse("<?xml version='1.0' encoding='utf-8x'?><a/>", 1,
           "XML declaration: encoding 'utf-8x' is not supported");
    refuse("<?xml version='1.0' junk='yes'?><a/>", 1, "XML declaration: 'junk' is unknown");
    refuse("<?xml version='1.0' junk?><a/>", 1, "attribute 'junk' has no value");
    refuse("<?xml version='1.0'encoding='UTF-8'?><a/>", 1, "malformed XML declaration");
    refuse("<?xml version='1.0' ? ><a/>", 1, "expected an attribute, found '?'");
    refuse("<?xml version=1.0?><a/>", 1, "the value of 'version' is not in quotes");
    refuse("<?xml version='1.0'", 1, "malformed XML declaration");
    refuse("<?xml-stylesheet href='a'?><a/>", 1, "processing instructions are not supported");
    refuse("<?xml version='1.0'?><?xml version='1.0'?><a/>", 1,
           "DOCTYPE and processing instructions are not supported");
}

static void test_malformed_tags(void **state)
{
    (void)state;
    refuse("", 1, "there is no element");
    refuse(" \n\n", 3, "there is no element");
    refuse("x<a/>", 1, "text outside of the root element");
    refuse("<a/>\n<b/>", 2, "something follows the root element");
    refuse("<a/>x", 1, "something follows the root element");
    refuse("<", 1, "the text ends where the name of an element is expected");
    refuse("< a/>", 1, "expected the name of an element, found ' '");
    refuse("<1/>", 1, "expected the name of an element, found '1'");
    refuse("<a", 1, "the text ends behind the name of an element");
    refuse("\n<a\n\n", 2, "the tag is not closed by '>'");
    refuse("<a/", 1, "expected a space or '>' in the tag");
    refuse("<a / >", 1, "expected an attribute, found '/'");
    refuse("<a>", 1, "the text ends before </a> of the element in line 1");
    refuse("<a>\n\n<b>\n</b>\n", 5, "the text ends before </a> of the element in line 1");
    refuse("<a>\n<b></a>", 2, "</a> where </b> is expected");
    refuse("<a></ab>", 1, "</ab> where </a> is expected");
    refuse("<ab></a>", 1, "</a> where </ab> is expected");
    refuse("<a></a", 1, "the text ends behind the name of an element");
    refuse("<a></>", 1, "expected the name of an element, found '>'");
    refuse("<a><b/>\nx</a>", 2, "<a> holds text and elements: it may hold either");
    refuse("<a>x<b/></a>", 1, "<a> holds text and elements: it may hold either");
    refuse("<a>]]></a>", 1, "']]>' in text: write ]]&gt;");
}

static void test_malformed_attributes(void **state)
{
    (void)state;
    refuse("<a b/>", 1, "attribute 'b' has no value");
    refuse("<a b", 1, "the text ends behind an attribute");
    refuse("<a b=c/>", 1, "the value of 'b' is not in quotes");
    refuse("<a b=", 1, "the value of 'b' is not in quotes");
    refuse("<a b='c\n\n", 1, "the value of 'b' is not closed");
    refuse("<a b='<'/>", 1, "'<' in the value of 'b': write &lt; or close the value");
    refuse("<a b='c'd='e'/>", 1, "expected a space or '>' in the tag");
    refuse("<a b='1'\n c='2'\n b='3'/>", 3, "attribute 'b' is there twice");
    refuse("<a b='&nbsp;'/>", 1, "unknown entity 'nbsp': only lt, gt, amp, quot and apos are known");
    refuse("<a b='x & y'/>", 1, "a bare '&': write &amp;");
    refuse("<a>&amp</a>", 1, "unknown entity 'amp': only lt, gt, amp, quot and apos are known");
    refuse("<a>&#;</a>", 1, "malformed character reference");
    refuse("<a>&#x;</a>", 1, "malformed character reference");
    refuse("<a>&#12", 1, "malformed character reference");
    refuse("<a>&#0;</a>", 1, "a character reference to no character");
    refuse("<a>&#xd800;</a>", 1, "a character reference to no character");
    refuse("<a>&#x110000;</a>", 1, "a character reference to no character");
    refuse("<a>&#18446744073709551681;</a>", 1, "a character reference to no character");
}

static void test_unsupported(void **state)
{
    (void)state;
    refuse("<!DOCTYPE a><a/>", 1, "DOCTYPE and processing instructions are not supported");
    refuse("<?php ?><a/>", 1, "processing instructions are not supported");
    refuse("<a><?b ?></a>", 1, "processing instructions are not supported");
    refuse("<a><![CDATA[x]]></a>", 1, "CDATA sections and declarations are not supported");
    refuse("<?xml version='1.1'?><a/>", 1, "XML declaration: version '1.1' is not supported");
    refuse("<?xml version='1.0' encoding='latin1'?><a/>", 1,
           "XML declaration: encoding 'latin1' is not supported");
    refuse("<?xml encoding='UTF-8'?><a/>", 1, "the XML declaration lacks a version before 'encoding'");
    refuse("<?xml version='1.0'><a/>", 1, "malformed XML declaration");
    refuse("\n<?xml version='1.0'?><a/>", 2, "DOCTYPE and processing instructions are not supported");
    refuse("<!-- \n--", 2, "'--' within a comment");
    refuse("<a><!-- x", 1, "the comment is not closed");
    refuse("<a>\n<!-- -- --></a>", 2, "'--' within a comment");
}

static void test_characters(void **state)
{
    static const char *const bad[] = {
        "<a>\n\x01</a>",
        "<a>\n\x7f\x80</a>",
        "<a>\n\xc0\x80</a>",
        "<a>\n\xe0\x80\x80</a>",
        "<a>\n\xed\xa0\x80</a>",
        "<a>\n\xf4\x90\x80\x80</a>",
        "<a>\n\xf8\x88\x80\x80</a>",
        "<a>\n\xc3",
        "<a>\n\xef\xbf\xbf</a>",
        "<a>\n\xc3(</a>",
        "<a>\n\xf0\x9f\x98",
        "<a>\n\xff</a>",
    };
    struct sample sample;
    (void)state;

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(bad[i], 2, "malformed UTF-8 or a character that XML does not allow");
    assert_false(parse_bytes(&sample, "<a>\0</a>", 8));
    release(&sample);
    /* Names are ASCII: two that look alike are the same. */
    refuse("<\xc3\xa4/>", 1, "expected the name of an element, found '?'");
}

static void test_utf8_round_trip(void **state)
{
    char text[4];
    (void)state;

    for (uint32_t code = 1; code <= 0x10ffff; code++) {
        if (!xml_is_character(code))
            continue;
        size_t length = xml_utf8_put(text, code);
        assert_int_equal(xml_utf8_length(text, length), length);
        assert_int_equal(xml_utf8_length(text, length - 1), 0);
    }
}

static void test_limits(void **state)
{
    char text[4096] = "";
    size_t used = 0;
    struct sample sample;
    (void)state;

    /* NODES elements fit, one more does not. */
    release((accept(&sample, "<a><b/><b/><b/><b/><b/><b/><b/></a>"), &sample));
    refuse("<a><b/><b/><b/><b/><b/><b/><b/>\n<b/></a>", 2, "more elements than there is room for");

    used = (size_t)snprintf(text, sizeof(text), "<a");
    for (unsigned i = 0; i < XML_ATTRIBUTES_MAX; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, " b%u=''", i);
    snprintf(text + used, sizeof(text) - used, "/>");
    release((accept(&sample, text), &sample));
    snprintf(text + used, sizeof(text) - used, " c=''/>");
    refuse(text, 1, "more attributes than an element may have");
    snprintf(text + used, sizeof(text) - used,
             "><c d0='' d1='' d2='' d3='' d4='' d5='' d6='' d7='' d8='' d9='' "
             "e0='' e1='' e2='' e3='' e4='' e5='' e6=''/></a>");
    refuse(text, 1, "more attributes than there is room for");
}

static void test_depth(void **state)
{
    struct xml_node nodes[XML_DEPTH_MAX + 1];
    struct xml_document document = {.nodes = nodes, .node_limit = XML_DEPTH_MAX + 1};
    struct xml_error error;
    char text[8 * (XML_DEPTH_MAX + 1)];
    (void)state;

    for (unsigned depth = XML_DEPTH_MAX; depth <= XML_DEPTH_MAX + 1; depth++) {
        size_t used = 0;
        for (unsigned i = 0; i < depth; i++)
            used += (size_t)sprintf(text + used, "<a>");
        for (unsigned i = 0; i < depth; i++)
            used += (size_t)sprintf(text + used, "</a>");
        assert_int_equal(xml_parse(&document, text, used, &error), depth == XML_DEPTH_MAX);
    }
    assert_string_equal(error.reason, "elements are nested too deeply");
    assert_false(xml_parse(&document, text, (size_t)XML_SIZE_MAX + 1, &error));
    assert_string_equal(error.reason, "the text is too large");
}

/* Every text cut off anywhere is an error with a line, and nothing beyond the cut is touched. */
static void test_truncation(void **state)
{
    static const char text[] =
        "\xef\xbb\xbf<?xml version='1.0'?><!-- c --><a b='&lt;&#x41;'>\n<c/><d>t&amp;\xc3\xa4</d></a>";
    struct sample sample;
    (void)state;

    for (size_t size = 0; size + 1 < sizeof(text); size++) {
        assert_false(parse_bytes(&sample, text, size));
        assert_true(sample.error.line >= 1 && strlen(sample.error.reason) > 0);
        release(&sample);
    }
    release((accept(&sample, text), &sample));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_declarations),
        cmocka_unit_test(test_malformed_tags),
        cmocka_unit_test(test_malformed_attributes),
        cmocka_unit_test(test_unsupported),
        cmocka_unit_test(test_characters),
        cmocka_unit_test(test_utf8_round_trip),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_truncation),
    };
    return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
