/* SPDX-License-Identifier: ISC */
/*
 * The configuration: what is right is read as it stands, what is wrong is refused with its line, and routes
 * decide as they are written: first match, exact, nothing implied.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "init/config.h"
#include "init/route.h"
#include "lib/format/format.h"

static struct config_scratch scratch;
static struct init_config config;
static struct xml_error wrong;

static bool read_text(const char *text)
{
    size_t bytes = strlen(text);
    char *copy = malloc(bytes);
    assert_non_null(copy);
    memcpy(copy, text, bytes);
    bool good = init_config_read(copy, bytes, &scratch, NULL, NULL, &config, &wrong);
    free(copy); /* nothing read may point into it */
    return good;
}

static const char good_text[] =
    "<donjon>\n"
    "  <module name=\"vmm\" file=\"vmm.elf\"/>\n"
    "  <module name=\"uart16550\" file=\"uart16550.elf\"/>\n"
    "  <run memory=\"1024\"/>\n"
    "  <start name=\"uart\" binary=\"uart16550\" ram=\"1M\" priority=\"40\">\n"
    "    <provides service=\"Terminal\"/>\n"
    "    <route>\n"
    "      <service name=\"IO_PORT\" label=\"0x2f8\" arguments=\"8\"><core/></service>\n"
    "    </route>\n"
    "    <config><port base=\"0x2f8\"/></config>\n"
    "  </start>\n"
    "  <start name=\"vm\" binary=\"vmm\" ram=\"rest\" kernel=\"128\" cpus=\"all\" restart=\"yes\">\n"
    "    <route>\n"
    "      <service name=\"ROM\" label=\"initrd\"><core/></service>\n"
    "      <service name=\"Terminal\" label=\"\"><core/></service>\n"
    "      <service name=\"Terminal\"><child name=\"uart\"/></service>\n"
    "    </route>\n"
    "  </start>\n"
    "</donjon>\n";

static void test_reads_what_is_written(void **state)
{
    (void)state;
    assert_true(read_text(good_text));
    assert_int_equal(config.modules, 2);
    assert_string_equal(config.module[1], "uart16550");
    assert_int_equal(config.module_line[1], 3);
    assert_int_equal(config.starts, 2);
    const struct config_start *uart = &config.start[0], *vm = &config.start[1];
    assert_string_equal(uart->name, "uart");
    assert_string_equal(uart->binary, "uart16550");
    assert_int_equal(uart->ram, 1 << 20);
    assert_int_equal(uart->kernel, 64);
    assert_int_equal(uart->priority, 40);
    assert_int_equal(uart->restart, RESTART_NEVER);
    assert_int_equal(uart->config_line, 10);
    static const char own[] = "<config><port base=\"0x2f8\"/></config>";
    assert_int_equal(uart->config_bytes, sizeof own - 1);
    assert_memory_equal(good_text + uart->config_at, own, sizeof own - 1);
    assert_true(vm->ram == CONFIG_RAM_REST);
    assert_int_equal(vm->kernel, 128);
    assert_int_equal(uart->cpus, 1);
    assert_true(vm->cpus == UINT64_MAX);
    assert_int_equal(vm->priority, CONFIG_PRIORITY);
    assert_int_equal(vm->restart, RESTART_FAILED);
    assert_int_equal(vm->config_bytes, 0);
}

/* A changed configuration: who was there keeps its place, and new ones take what neither uses. */
static void test_places(void **state)
{
    static struct init_config next;
    char text[8192] = "<config>", more[] = "<start name=\"x00\" binary=\"b\" ram=\"1M\"/>";

    (void)state;
    assert_true(read_text(good_text));
    strcat(text, "<start name=\"new\" binary=\"b\" ram=\"1M\"/><start name=\"vm\" binary=\"b\" ram=\"1M\">"
                 "<route><service name=\"S\"><child name=\"z\"/></service></route></start>"
                 "<start name=\"z\" binary=\"b\" ram=\"1M\"><provides service=\"S\"/></start></config>");
    assert_true(init_config_read(text, strlen(text), &scratch, NULL, &config, &next, &wrong));
    assert_string_equal(next.start[0].name, "");
    assert_string_equal(next.start[1].name, "vm");
    assert_string_equal(next.start[2].name, "new");
    assert_string_equal(next.start[3].name, "z");
    assert_int_equal(next.start[1].route[0].child_index, 3);
    assert_int_equal(next.starts, 4);
    strcpy(text, "<config>");
    for (unsigned i = 0; i < CONFIG_STARTS - 1; i++) {
        more[14] = (char)('a' + i);
        strcat(text, more);
    }
    strcat(text, "</config>");
    assert_false(init_config_read(text, strlen(text), &scratch, NULL, &config, &next, &wrong));
    assert_non_null(strstr(wrong.reason, "too many components"));
}

static void test_routes(void **state)
{
    (void)state;
    const struct config_route *rule;
    assert_true(read_text(good_text));
    assert_int_equal(route_find(&config, 0, "IO_PORT", "0x2f8", "8", &rule), ROUTE_PARENT);
    assert_int_equal(route_find(&config, 0, "IO_PORT", "0x2f8", "80", &rule), ROUTE_DENIED);
    assert_int_equal(route_find(&config, 0, "IO_PORT", "0x2f", "8", &rule), ROUTE_DENIED);
    assert_int_equal(route_find(&config, 0, "IO_PORT", "", "8", &rule), ROUTE_DENIED);
    assert_int_equal(route_find(&config, 0, "LOG", "", "", &rule), ROUTE_DENIED);
    assert_int_equal(route_find(&config, 0, "ROM", "initrd", "", &rule), ROUTE_DENIED);
    assert_int_equal(route_find(&config, 0, "ROM", "config", "", &rule), ROUTE_CONFIG);
    assert_int_equal(route_find(&config, 1, "ROM", "initrd", "anything", &rule), ROUTE_PARENT);
    assert_int_equal(route_find(&config, 1, "Terminal", "", "", &rule), ROUTE_PARENT);
    assert_int_equal(route_find(&config, 1, "Terminal", "console", "", &rule), ROUTE_CHILD);
    assert_int_equal(rule->child_index, 0);
    assert_int_equal(route_find(&config, 1, "terminal", "console", "", &rule), ROUTE_DENIED);
}

/* Its own configuration comes from its parent unless a rule names it; one for all ROMs does not. */
static void test_own_configuration(void **state)
{
    static const char text[] =
        "<donjon><start name=\"a\" binary=\"b\" ram=\"1M\"><provides service=\"ROM\"/><route>"
        "<service name=\"ROM\"><parent/></service></route></start>"
        "<start name=\"c\" binary=\"b\" ram=\"1M\"><route>"
        "<service name=\"ROM\" label=\"config\"><child name=\"a\"/></service>"
        "</route></start></donjon>";
    const struct config_route *rule;

    (void)state;
    assert_true(read_text(text));
    assert_int_equal(route_find(&config, 0, "ROM", "config", "", &rule), ROUTE_CONFIG);
    assert_int_equal(route_find(&config, 0, "ROM", "configuration", "", &rule), ROUTE_PARENT);
    assert_int_equal(route_find(&config, 1, "ROM", "config", "", &rule), ROUTE_CHILD);
    assert_int_equal(rule->child_index, 0);
    assert_int_equal(route_find(&config, 1, "ROM", "other", "", &rule), ROUTE_DENIED);
}

/* The server sees another label where the rule says so; the rule itself matches the client's. */
static void test_label_of_the_child(void **state)
{
    static const char text[] =
        "<donjon><start name=\"a\" binary=\"b\" ram=\"1M\"><provides service=\"S\"/></start>"
        "<start name=\"c\" binary=\"b\" ram=\"1M\"><route>"
        "<service name=\"S\" label=\"mine\"><child name=\"a\" label=\"theirs\"/></service>"
        "<service name=\"S\"><child name=\"a\"/></service>"
        "</route></start></donjon>";
    const struct config_route *rule;

    (void)state;
    assert_true(read_text(text));
    assert_int_equal(route_find(&config, 1, "S", "mine", "", &rule), ROUTE_CHILD);
    assert_string_equal(route_label(rule, "mine"), "theirs");
    assert_int_equal(route_find(&config, 1, "S", "theirs", "", &rule), ROUTE_CHILD);
    assert_string_equal(route_label(rule, "theirs"), "theirs");
    assert_int_equal(route_find(&config, 1, "S", "other", "", &rule), ROUTE_CHILD);
    assert_string_equal(route_label(rule, "other"), "other");
    assert_int_equal(route_find(&config, 1, "T", "mine", "", &rule), ROUTE_DENIED);
    assert_null(rule);
}

/* Refused with this line, and the reason names this word. */
static void refused(const char *text, unsigned line, const char *word)
{
    assert_false(read_text(text));
    assert_int_equal(wrong.line, line);
    if (strstr(wrong.reason, word) == NULL)
        fail_msg("'%s' does not name '%s'", wrong.reason, word);
}

#define START "<start name=\"a\" binary=\"b\" ram=\"1M\">"

static void test_refuses_with_line_and_reason(void **state)
{
    (void)state;
    refused("", 1, "");
    refused("<other/>", 1, "other");
    refused("<donjon>\n<strat/></donjon>", 2, "strat");
    refused("<donjon>\n<start name=\"a\" binary=\"b\"/></donjon>", 2, "ram");
    refused("<donjon>\n<start name=\"a\" binary=\"b\" ram=\"1X\"/></donjon>", 2, "1X");
    refused("<donjon>\n<start name=\"\" binary=\"b\" ram=\"1M\"/></donjon>", 2, "name");
    refused("<donjon>\n<start name=\"a b\" binary=\"b\" ram=\"1M\"/></donjon>", 2, "a b");
    refused("<donjon>\n<start name='a\"b' binary=\"b\" ram=\"1M\"/></donjon>", 2, "a\"b");
    refused("<donjon>\n<start name=\"0123456789012345678901234567890123\" binary=\"b\" ram=\"1M\"/></donjon>",
            2, "too long");
    refused("<donjon>\n<start name=\"a\" binary=\"b\" ram=\"1M\" priority=\"64\"/></donjon>", 2, "64");
    refused("<donjon>\n<start name=\"a\" binary=\"b\" ram=\"1M\" restart=\"maybe\"/></donjon>", 2, "maybe");
    refused("<donjon>" START "</start>\n" START "</start></donjon>", 2, "'a'");
    refused("<donjon>" START "<route>\n<service name=\"X\"/></route></start></donjon>", 2, "X");
    refused("<donjon>" START
            "<route>\n<service name=\"X\"><core/><child name=\"a\"/></service></route></start></donjon>",
            2, "X");
    refused("<donjon>" START
            "<route>\n<service name=\"X\"><child name=\"c\"/></service></route></start></donjon>",
            2, "'c'");
    refused("<donjon>" START
            "<route>\n<service name=\"X\"><child name=\"a\"/></service></route></start></donjon>",
            2, "provide");
    refused("<donjon><start name=\"a\" binary=\"b\" ram=\"rest\"/>\n<start name=\"c\" binary=\"b\" "
            "ram=\"rest\"/></donjon>",
            2, "rest");
    refused("<donjon>\n" START "</donjon>", 2, "");
    refused("<donjon><module name=\"a\" file=\"x\"/>\n<module name=\"a\" file=\"y\"/></donjon>", 2,
            "second module");
    refused("<donjon>" START "<provides service=\"X\"/>\n<provides service=\"X\"/></start></donjon>", 2,
            "provided twice");
}

#define ROUTES(first, second)                                                                                \
    "<donjon>" START "<route><service name=\"X\"" first "><core/></service>\n<service name=\"X\"" second     \
    "><core/></service></route></start></donjon>"

/* The first rule that matches wins, so one that no request can reach was meant otherwise. */
static void test_cpus(void **state)
{
    static const struct {
        const char *list;
        uint64_t cpus; /* 0: refused */
    } lists[] = {{"0", 1},           {"all", UINT64_MAX},
                 {"1", 2},           {"0,2-3", 0xd},
                 {"63", 1ull << 63}, {"0-63", UINT64_MAX},
                 {"5-5,1", 0x22},    {"", 0},
                 {"64", 0},          {"0,", 0},
                 {",0", 0},          {"3-2", 0},
                 {"1-", 0},          {"-1", 0},
                 {"1-2-3", 0},       {"0 1", 0},
                 {"all,1", 0},       {"1,all", 0},
                 {"0x1", 0},         {"18446744073709551616", 0}};

    (void)state;
    for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++) {
        char text[256];
        format_text(text, sizeof text,
                    "<donjon>\n<start name=\"a\" binary=\"b\" ram=\"1M\" cpus=\"%s\"/></donjon>",
                    lists[i].list);
        if (lists[i].cpus == 0) {
            refused(text, 2, "0,2-3");
        } else {
            assert_true(read_text(text));
            assert_true(config.start[0].cpus == lists[i].cpus);
        }
    }
}

static void test_refuses_a_rule_behind_all(void **state)
{
    (void)state;
    refused(ROUTES("", ""), 2, "before it");
    refused(ROUTES("", " label=\"a\""), 2, "before it");
    refused(ROUTES(" label=\"a\"", " label=\"a\" arguments=\"1\""), 2, "before it");
    refused(ROUTES(" label=\"a\" arguments=\"1\"", " label=\"a\" arguments=\"1\""), 2, "before it");
    assert_true(read_text(ROUTES(" label=\"a\"", "")));
    assert_true(read_text(ROUTES(" label=\"a\"", " label=\"b\"")));
    assert_true(read_text(ROUTES(" label=\"a\" arguments=\"1\"", " label=\"a\"")));
    assert_true(read_text(ROUTES(" arguments=\"1\"", " label=\"a\"")));
}

static void test_refuses_too_many(void **state)
{
    (void)state;
    static char text[8192];
    size_t at = (size_t)0;
    static const char head[] = "<donjon>" START "<route>", rule[] = "<service name=\"X\"><core/></service>",
                      tail[] = "</route></start></donjon>";
    memcpy(text, head, sizeof head - 1);
    at += sizeof head - 1;
    for (unsigned i = 0; i <= CONFIG_ROUTES; i++) {
        memcpy(text + at, rule, sizeof rule - 1);
        at += sizeof rule - 1;
    }
    memcpy(text + at, tail, sizeof tail);
    refused(text, 1, "service");
}

/* No prefix of a good text does harm; all but the whole one are refused. */
static void test_refuses_every_cut(void **state)
{
    (void)state;
    static char text[sizeof good_text];
    for (size_t bytes = 0; bytes + 2 < sizeof good_text; bytes++) {
        memcpy(text, good_text, bytes);
        text[bytes] = '\0';
        assert_false(read_text(text));
        assert_true(wrong.line >= 1 && wrong.reason[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_what_is_written),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_own_configuration),
        cmocka_unit_test(test_label_of_the_child),
        cmocka_unit_test(test_refuses_with_line_and_reason),
        cmocka_unit_test(test_cpus),
        cmocka_unit_test(test_refuses_a_rule_behind_all),
        cmocka_unit_test(test_refuses_too_many),
        cmocka_unit_test(test_refuses_every_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
