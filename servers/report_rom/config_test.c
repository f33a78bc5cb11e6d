/* SPDX-License-Identifier: ISC */
/* What a configuration of report_rom may say, and the line and reason where it says something else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "servers/report_rom/config.h"

static struct kept_config kept;
static struct xml_error error;

static bool read_text(const char *text)
{
    static char copy[16384];

    strcpy(copy, text);
    return kept_config_read(&kept, copy, strlen(copy), &error);
}

static void refused(const char *text, unsigned line, const char *reason)
{
    assert_false(read_text(text));
    assert_int_equal(error.line, line);
    assert_string_equal(error.reason, reason);
}

static void test_good(void **state)
{
    (void)state;
    assert_true(read_text(
        "<config><report label='a' bytes='1M' log='yes'/><report label='b' first='m'/>"
        "<rom label='x' report='b'/><rom label='a' report='a'/><rom label='y' report='b'/></config>"));
    assert_int_equal(kept.reports, 2);
    assert_int_equal(kept.report[0].bytes, 1 << 20);
    assert_true(kept.report[0].log);
    assert_string_equal(kept.report[0].first, "");
    assert_int_equal(kept.report[1].bytes, KEPT_BYTES);
    assert_false(kept.report[1].log);
    assert_string_equal(kept.report[1].first, "m");
    assert_int_equal(kept.roms, 3);
    assert_int_equal(kept.rom[0].report, 1);
    assert_int_equal(kept.rom[1].report, 0);
    assert_string_equal(kept.rom[2].label, "y");
}

static void test_refused(void **state)
{
    char text[16384] = "<config>";
    char label[LABEL_SIZE + 40] = "<config><report label='";

    (void)state;
    refused("<config/>", 1, "<config> lacks a <report>");
    refused("<config><report/></config>", 1, "<report> lacks the attribute 'label'");
    refused("<config><report label='a' bytes='2M'/></config>", 1, "<report> bytes '2M': expected 1 to 1M");
    refused("<config>\n<report label='a'/>\n<report label='a'/></config>", 3,
            "two reports have the label 'a'");
    refused("<config><report label='a'/>\n<rom label='x' report='b'/></config>", 2,
            "ROM 'x': there is no report 'b'");
    refused("<config><report label='a'/><rom label='x' report='a'/>\n<rom label='x' report='a'/></config>", 2,
            "two ROMs have the label 'x'");
    refused("<config><report label='a' first='123456789012345678901234567890ab'/></config>", 1,
            "first=\"123456789012345678901234567890ab\" is too long");
    memset(label + strlen(label), 'x', LABEL_SIZE);
    strcat(label, "'/></config>");
    assert_false(read_text(label));
    assert_non_null(strstr(error.reason, "is too long"));
    for (unsigned i = 0; i <= KEPT_REPORTS; i++) {
        char report[] = "<report label='A'/>";

        report[15] = (char)('A' + i);
        strcat(text, report);
    }
    strcat(text, "</config>");
    refused(text, 1, "too many <report> in <config>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
