/* SPDX-License-Identifier: ISC */
/*
 * From one configuration to the next: what is the same is not touched, whatever stands around it and in whatever
 * order, and what has changed is stopped once and started once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "init/init.h"
#include "init/route.h"

static struct init init;
static struct init_config config[2], empty;
static struct config_scratch scratch;
static unsigned used;
static char stopped[CONFIG_STARTS * 4], started[CONFIG_STARTS * 4]; /* their names, a letter each */
static unsigned checked;

void child_stop(struct init *of, unsigned index, uint64_t restart_at)
{
    assert_true(restart_at == DEADLINE_NEVER);
    if (of->config->start[index].name[0])
        strncat(stopped, of->config->start[index].name, 1);
    of->child[index].state = CHILD_ENDED;
}

void sessions_check(struct init *of)
{
    assert_ptr_equal(of->config, &config[used]);
    checked++;
}

void creator_signal(selector nt)
{
    assert_int_equal(nt, INIT_CAP_WORK);
}

static void change(const char *text)
{
    static char kept[2][4096], copy[4096];
    struct xml_error error;
    unsigned next = !used;

    strcpy(kept[next], text);
    strcpy(copy, text);
    if (!init_config_read(copy, strlen(text), &scratch, NULL, init.config, &config[next], &error))
        fail_msg("%u: %s", error.line, error.reason);
    stopped[0] = started[0] = '\0';
    used = next;
    init_change(&init, &config[next], kept[next]);
    for (unsigned i = 0; i < CONFIG_STARTS; i++)
        if (init.child[i].state == CHILD_STOPPED) {
            strncat(started, init.config->start[i].name, 1);
            init.child[i].state = CHILD_RUNS;
        }
}

static int begin(void **state)
{
    (void)state;
    memset(&init, 0, sizeof(init));
    init.config = &empty;
    return 0;
}

#define A(more)     "<start name=\"a\" binary=\"x\" ram=\"1M\"" more "</start>\n"
#define B           "<start name=\"b\" binary=\"x\" ram=\"1M\"><provides service=\"S\"/></start>\n"
#define ROUTE(rule) "><route>" rule "</route>"
#define LOG         "<service name=\"LOG\"><core/></service>"

static void changes(const char *text, const char *stops, const char *starts)
{
    change(text);
    assert_string_equal(stopped, stops);
    assert_string_equal(started, starts);
}

static void test_what_runs(void **state)
{
    (void)state;
    changes("<config>" A(">") B "</config>", "", "ab");
    changes("<config>" A(">") B "</config>", "", "");
    changes("<config>\n\n\n" B A(">") "</config>", "", "");
    changes("<config>" A(" restart=\"yes\">") B "</config>", "", "");
    changes("<config>" A(" priority=\"3\">") B "</config>", "a", "a");
    changes("<config>" A(" priority=\"3\"><config/>") B "</config>", "a", "a");
    changes("<config>" B A(" priority=\"3\"><config/>") "</config>", "", "");
    changes("<config>" A(" priority=\"3\"><config></config>") B "</config>", "a", "a");
    changes("<config>" B "</config>", "a", "");
    changes("<config><start name=\"c\" binary=\"x\" ram=\"1M\"/>" B A(">") "</config>", "", "ca");
    changes("<config/>", "cba", "");
    assert_int_equal(checked, 11);
}

/* What the parent has given cannot be taken back under it; what a component has given can. */
static void test_routes(void **state)
{
    (void)state;
    change("<config>" B A(ROUTE(LOG)) "</config>");
    changes("<config>" B A(ROUTE(LOG "<service name=\"S\"><child name=\"b\"/></service>")) "</config>", "",
            "");
    changes("<config>" B A(ROUTE(LOG)) "</config>", "", "");
    changes("<config>" B A(ROUTE("<service name=\"ROM\"><core/></service>" LOG)) "</config>", "", "");
    changes("<config>" B A(ROUTE("<service name=\"ROM\" label=\"x\"><core/></service>" LOG)) "</config>", "a",
            "a");
    changes("<config>" B A(ROUTE(LOG)) "</config>", "a", "a");
    changes("<config>" B A(">") "</config>", "a", "a");
    change("<config>" B A(ROUTE("<service name=\"S\" label=\"x\"><core/></service>")) "</config>");
    changes("<config>" B A(ROUTE("<service name=\"S\" arguments=\"y\"><child name=\"b\"/></service>"
                                 "<service name=\"S\"><core/></service>")) "</config>",
            "a", "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_what_runs, begin),
        cmocka_unit_test_setup(test_routes, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
