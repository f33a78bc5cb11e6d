/* SPDX-License-Identifier: ISC */
/* Typed attributes and the schema check: values, defaults, limits, and the words of each refusal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "lib/xml/xml.h"

static struct xml_error error;

/* Parses into storage that lasts until the next call. */
static const struct xml_node *parse(const char *source)
{
    static char text[512];
    static struct xml_node nodes[16];
    static struct xml_attribute attributes[16];
    static struct xml_document document;

    document = (struct xml_document){
        .nodes = nodes, .attributes = attributes, .node_limit = 16, .attribute_limit = 16};
    assert_true(strlen(source) < sizeof(text));
    strcpy(text, source);
    if (!xml_parse(&document, text, strlen(source), &error))
        fail_msg("line %u: %s", error.line, error.reason);
    return document.root;
}

static void assert_refused(bool result, const char *reason)
{
    assert_false(result);
    assert_string_equal(error.reason, reason);
}

static void test_string(void **state)
{
    const struct xml_node *vm = parse("<vm name='one'/>");
    (void)state;

    assert_string_equal(xml_get_string_or(vm, "name", "x"), "one");
    assert_string_equal(xml_get_string_or(vm, "disk", "x"), "x");
}

static void test_unsigned(void **state)
{
    static const struct xml_range all = {.min = 0, .max = UINT64_MAX, .size = true};
    static const struct xml_range few = {.min = 1, .max = 64};
    static const struct xml_range ram = {.min = 16 << 20, .max = 64ULL << 30, .size = true};
    const struct xml_node *n =
        parse("<n a='0' b='0x1F' c='512M' d='3G' e='18446744073709551615' f='65' g='1K' h='-1' "
              "i='' j='18446744073709551616' k='17179869184G' l='1T' m='0x' n='4KB' o='1 '/>");
    uint64_t value = 7;
    (void)state;

    assert_true(xml_get_unsigned(n, "a", &all, &value, &error) && value == 0);
    assert_true(xml_get_unsigned(n, "b", &few, &value, &error) && value == 31);
    assert_true(xml_get_unsigned(n, "c", &ram, &value, &error) && value == 512 << 20);
    assert_true(xml_get_unsigned(n, "d", &ram, &value, &error) && value == 3ULL << 30);
    assert_true(xml_get_unsigned(n, "e", &all, &value, &error) && value == UINT64_MAX);
    assert_true(xml_get_unsigned_or(n, "g", &all, 5, &value, &error) && value == 1024);
    assert_true(xml_get_unsigned_or(n, "z", &few, 500, &value, &error) && value == 500);
    assert_refused(xml_get_unsigned(n, "z", &few, &value, &error), "<n> lacks the attribute 'z'");
    assert_refused(xml_get_unsigned(n, "a", &few, &value, &error), "<n> a '0': expected 1 to 64");
    assert_refused(xml_get_unsigned_or(n, "f", &few, 1, &value, &error), "<n> f '65': expected 1 to 64");
    assert_refused(xml_get_unsigned(n, "g", &few, &value, &error), "<n> g '1K': expected a number");
    assert_refused(xml_get_unsigned(n, "g", &ram, &value, &error), "<n> g '1K': expected 16M to 64G");
    assert_refused(xml_get_unsigned(n, "h", &few, &value, &error), "<n> h '-1': expected a number");
    assert_refused(xml_get_unsigned(n, "i", &few, &value, &error), "<n> i '': expected a number");
    assert_refused(xml_get_unsigned(n, "j", &all, &value, &error),
                   "<n> j '18446744073709551616': expected 0 to 18446744073709551615");
    assert_refused(xml_get_unsigned(n, "k", &all, &value, &error),
                   "<n> k '17179869184G': expected 0 to 18446744073709551615");
    assert_refused(xml_get_unsigned(n, "l", &all, &value, &error),
                   "<n> l '1T': expected a number, with K, M or G");
    assert_refused(xml_get_unsigned(n, "m", &few, &value, &error), "<n> m '0x': expected a number");
    assert_refused(xml_get_unsigned(n, "n", &all, &value, &error),
                   "<n> n '4KB': expected a number, with K, M or G");
    assert_refused(xml_get_unsigned(n, "o", &few, &value, &error), "<n> o '1 ': expected a number");
    assert_int_equal(value, 500);
}

static void test_words(void **state)
{
    static const char *const chips[] = {"piix3", "ich9", "none", NULL};
    const struct xml_node *n = parse("<n a='true' b='no' c='TRUE'\n d='ich9' e='via' f='yes' g='false'/>");
    bool truth = false;
    unsigned choice = 9;
    (void)state;

    assert_true(xml_get_bool_or(n, "a", false, &truth, &error) && truth);
    assert_true(xml_get_bool_or(n, "b", true, &truth, &error) && !truth);
    assert_true(xml_get_bool_or(n, "z", true, &truth, &error) && truth);
    assert_true(xml_get_bool_or(n, "z", false, &truth, &error) && !truth);
    assert_true(xml_get_bool_or(n, "f", false, &truth, &error) && truth);
    assert_true(xml_get_bool_or(n, "g", true, &truth, &error) && !truth);
    assert_refused(xml_get_bool_or(n, "c", true, &truth, &error),
                   "<n> c 'TRUE': expected true, false, yes or no");
    assert_false(truth);
    assert_true(xml_get_choice_or(n, "d", chips, 0, &choice, &error) && choice == 1);
    assert_true(xml_get_choice_or(n, "z", chips, 2, &choice, &error) && choice == 2);
    assert_refused(xml_get_choice_or(n, "e", chips, 0, &choice, &error),
                   "<n> e 'via': expected piix3, ich9 or none");
    assert_int_equal(error.line, 2);
    assert_int_equal(choice, 2);
}

/* A hostile value neither overflows the message nor reaches the log's terminal unchanged. */
static void test_message_is_bounded(void **state)
{
    static const struct xml_range few = {.min = 1, .max = 64};
    uint64_t value = 0;
    (void)state;

    const struct xml_node *n =
        parse("<nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn "
              "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
              "='\xc3\xa4\x7fxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'/>");
    assert_false(xml_get_unsigned(n, n->attributes[0].name, &few, &value, &error));
    assert_true(strlen(error.reason) < sizeof(error.reason));
    for (const char *byte = error.reason; *byte != '\0'; byte++)
        assert_true(*byte >= ' ' && *byte <= '~');
    assert_non_null(strstr(error.reason, "... '???xxx"));
}

static const char *const start_attributes[] = {"name!", "restart", NULL};
static const struct xml_schema config = {.name = "config", .opaque = true};
static const struct xml_schema note = {.name = "note", .text = true};
static const struct xml_schema start;
static const struct xml_child_rule start_children[] = {
    {&config, 0, 1}, {&note, 0, XML_MANY}, {&start, 0, XML_MANY}, {NULL, 0, 0}};
static const struct xml_schema start = {
    .name = "start", .attributes = start_attributes, .children = start_children};
static const struct xml_child_rule top_children[] = {{&start, 1, 2}, {NULL, 0, 0}};
static const struct xml_schema top = {.name = "donjon", .children = top_children};

static void check_refused(const char *text, uint32_t line, const char *reason)
{
    assert_refused(xml_check(parse(text), &top, &error), reason);
    assert_int_equal(error.line, line);
}

static void test_schema_accepts(void **state)
{
    (void)state;
    assert_true(
        xml_check(parse("<donjon><start name='a'/><start restart='' name='b'><note>hi</note>"
                        "<config x='1'><any thing='1'>text</any></config><start name='c'/></start></donjon>"),
                  &top, &error));
}

static void test_schema_refuses(void **state)
{
    (void)state;
    check_refused("<system/>", 1, "expected <donjon>, found <system>");
    check_refused("<donjon/>", 1, "<donjon> lacks a <start>");
    check_refused("<donjon x='1'/>", 1, "<donjon> has no attribute 'x'");
    check_refused("<donjon>\n<strat name='a'/></donjon>", 2, "<strat> has no place in <donjon>");
    check_refused("<donjon>\n<start/></donjon>", 2, "<start> lacks the attribute 'name'");
    check_refused("<donjon><start name='a'\nnam='b'/></donjon>", 2, "<start> has no attribute 'nam'");
    check_refused("<donjon><start name='a'\nname1='b'/></donjon>", 2, "<start> has no attribute 'name1'");
    check_refused("<donjon>\n<start name='a'>hello</start></donjon>", 2, "<start> holds text: 'hello'");
    check_refused("<donjon><start name='a'>\n<note x=''/></start></donjon>", 2,
                  "<note> has no attribute 'x'");
    check_refused("<donjon><start name='a'/><start name='a'/>\n<start name='a'/></donjon>", 2,
                  "too many <start> in <donjon>");
    check_refused("<donjon><start name='a'><config/>\n<config/></start></donjon>", 2,
                  "too many <config> in <start>");
    check_refused("<donjon><start name='a'><start name='b'>\n<start/></start></start></donjon>", 2,
                  "<start> lacks the attribute 'name'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_string),         cmocka_unit_test(test_unsigned),
        cmocka_unit_test(test_words),          cmocka_unit_test(test_message_is_bounded),
        cmocka_unit_test(test_schema_accepts), cmocka_unit_test(test_schema_refuses),
    };
    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
