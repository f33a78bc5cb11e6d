/* SPDX-License-Identifier: ISC */
/* Configurations: a right one, the units of memory, and what each wrong one is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/config/config.h"

static bool read_text(const char *xml, struct vm_description *config, struct xml_error *error)
{
    static char text[CONFIG_TEXT_MAX];

    assert_true(strlen(xml) < sizeof text);
    strcpy(text, xml);
    memset(error, 0, sizeof *error);
    return config_read(config, text, strlen(xml), error);
}

static void test_linux(void **state)
{
    struct vm_description config;
    struct xml_error error;

    (void)state;
    assert_true(read_text("<config><vm name='deb' memory='256' kernel='vmlinuz' initrd='initrd' cmdline='a "
                          "b' exits='ready: '/></config>",
                          &config, &error));
    assert_string_equal(config.name, "deb");
    assert_int_equal(config.memory, 256ull << 20);
    assert_string_equal(config.kernel, "vmlinuz");
    assert_string_equal(config.initrd, "initrd");
    assert_string_equal(config.cmdline, "a b");
    assert_string_equal(config.guest, "");
    assert_string_equal(config.exits, "ready: ");
    assert_string_equal(config.terminal, "console");
    assert_true(read_text("<config><vm name='a' memory='64' guest='spin' terminal='second'/></config>",
                          &config, &error));
    assert_string_equal(config.terminal, "second");
}

static void test_memory_units(void **state)
{
    struct vm_description config;
    struct xml_error error;

    (void)state;
    assert_true(
        read_text("<config><vm name='a' memory='6G' guest='spin' vram='16'/></config>", &config, &error));
    assert_int_equal(config.memory, 6ull << 30);
    assert_int_equal(config.vram, 16u << 20);
    assert_true(read_text("<config><vm name='a' memory='4097K' guest='spin'/></config>", &config, &error));
    assert_int_equal(config.memory, 4096u << 10);
    assert_string_equal(config.guest, "spin");
}

static void test_modules(void **state)
{
    struct vm_description config;
    struct xml_error error;

    (void)state;
    assert_true(read_text("<config><vm name='a' memory='64' kernel='k'><module rom='one' cmdline='a b'/>"
                          "<module rom='two'/></vm></config>",
                          &config, &error));
    assert_int_equal(config.modules, 2);
    assert_string_equal(config.module[0].rom, "one");
    assert_string_equal(config.module[0].cmdline, "a b");
    assert_string_equal(config.module[1].rom, "two");
    assert_string_equal(config.module[1].cmdline, "");
}

static void test_firmware(void **state)
{
    struct vm_description config;
    struct xml_error error;

    (void)state;
    assert_true(read_text("<config><vm name='a' memory='64' firmware='bios' boot='dvd floppy' menu='yes' "
                          "debug='yes'><file name='genroms/a.bin' rom='a'/>"
                          "<file name='etc/boot-fail-wait' number='5000'/></vm></config>",
                          &config, &error));
    assert_string_equal(config.firmware, "bios");
    assert_int_equal(config.boot[0], CMOS_BOOT_DVD);
    assert_int_equal(config.boot[1], CMOS_BOOT_FLOPPY);
    assert_int_equal(config.boot[2], CMOS_BOOT_NONE);
    assert_true(config.boot_menu);
    assert_true(config.debug);
    assert_int_equal(config.files, 2);
    assert_string_equal(config.file[0].name, "genroms/a.bin");
    assert_string_equal(config.file[0].rom, "a");
    assert_string_equal(config.file[1].rom, "");
    assert_int_equal(config.file[1].number, 5000);
    assert_true(read_text("<config><vm name='a' memory='64' firmware='bios'/></config>", &config, &error));
    assert_int_equal(config.boot[0], CMOS_BOOT_DISK);
    assert_int_equal(config.boot[1], CMOS_BOOT_DVD);
    assert_false(config.boot_menu);
    assert_false(config.debug);
}

static void test_disks(void **state)
{
    struct vm_description config;
    struct xml_error error;

    (void)state;
    assert_true(read_text("<config><vm name='a' memory='64' kernel='k'><disk label='root' controller='ide'/>"
                          "<disk controller='ide' port='1' device='1' type='dvd'/></vm></config>",
                          &config, &error));
    assert_int_equal(config.vram, 0);
    assert_int_equal(config.disks, 2);
    assert_string_equal(config.disk[0].label, "root");
    assert_int_equal(config.disk[0].type, VM_HARD_DISK);
    assert_int_equal(config.disk[0].port + config.disk[0].device, 0);
    assert_string_equal(config.disk[1].label, "");
    assert_int_equal(config.disk[1].type, VM_DVD);
    assert_int_equal(config.disk[1].port, 1);
    assert_int_equal(config.disk[1].device, 1);
}

#define BIOS_OPENS "<config>\n<vm name='a' memory='64' firmware='b'"
#define VM_OPENS   "<config>\n<vm name='a' memory='64' kernel='k'"

/* What is wrong, the line it is told for, and a word that the reason must have. */
static const struct {
    const char *xml;
    uint32_t line;
    const char *word;
} wrong[] = {
    {"", 1, ""},
    {"<config>\n</config>", 1, "vm"},
    {"<config>\n<vm memory='64' kernel='k'/></config>", 2, "name"},
    {"<config>\n<vm name='a' kernel='k'/></config>", 2, "memory"},
    {"<config>\n\n<vm name='a' memory='64'/></config>", 3, "kernel"},
    {"<config>\n<vm name='a' memory='1' kernel='k'/></config>", 2, "memory"},
    {"<config>\n<vm name='a' memory='0M' kernel='k'/></config>", 2, "memory"},
    {"<config>\n<vm name='a' memory='many' kernel='k'/></config>", 2, "memory"},
    {"<config>\n<vm name='' memory='64' kernel='k'/></config>", 2, "name"},
    {"<config>\n<vm name='a' memory='64' kernel='k' guest='spin'/></config>", 2, "both"},
    {"<config>\n<vm name='a' memory='64' kernel='k' cpu='2'/></config>", 2, "cpu"},
    {"<config>\n<vm name='a' memory='64' kernel='k'/>\n<vm name='b' memory='64' kernel='k'/></config>", 3,
     "vm"},
    {"<config>\n<vm name='0123456789012345678901234567890123456789' memory='64' kernel='k'/></config>", 2,
     "name"},
    {"<other/>", 1, "config"},
    {BIOS_OPENS " kernel='k'/></config>", 2, "both"},
    {BIOS_OPENS " guest='spin'/></config>", 2, "both"},
    {BIOS_OPENS ">\n<module rom='m'/></vm></config>", 2, "both"},
    {BIOS_OPENS " boot='disk tape'/></config>", 2, "tape"},
    {BIOS_OPENS " boot='disk  dvd'/></config>", 2, "boot"},
    {BIOS_OPENS " boot='disk dvd disk dvd'/></config>", 2, "three"},
    {BIOS_OPENS " menu='perhaps'/></config>", 2, "menu"},
    {BIOS_OPENS ">\n<file rom='m'/></vm></config>", 3, "name"},
    {BIOS_OPENS ">\n<file name='n'/></vm></config>", 3, "either"},
    {BIOS_OPENS ">\n<file name='n' rom='m' number='1'/></vm></config>", 3, "either"},
    {BIOS_OPENS ">\n<file name='n' number='x'/></vm></config>", 3, "number"},
    {BIOS_OPENS "><file name='n' rom='m'/>\n<file name='n' rom='o'/></vm></config>", 3, "twice"},
    {BIOS_OPENS ">\n<file name='0123456789012345678901234567890123456789012345678901234567890' rom='m'/></vm>"
                "</config>",
     3, "name"},
    {VM_OPENS ">\n<file name='n' rom='m'/></vm></config>", 2, "firmware"},
    {VM_OPENS ">\n<module/></vm></config>", 3, "rom"},
    {VM_OPENS ">\n<module rom=''/></vm></config>", 3, "ROM"},
    {VM_OPENS ">\n<module rom='m' line='x'/></vm></config>", 3, "line"},
    {VM_OPENS ">\n<modul rom='m'/></vm></config>", 3, "modul"},
    {VM_OPENS ">\n<module rom='m'><module rom='n'/></module></vm></config>", 3, "module"},
    {VM_OPENS " initrd='i'>\n<module rom='m'/></vm></config>", 2, "initrd"},
    {"<config>\n<vm name='a' memory='64' guest='spin'>\n<module rom='m'/></vm></config>", 2, "guest"},
    {VM_OPENS "><module rom='1'/><module rom='2'/><module rom='3'/><module rom='4'/><module rom='5'/>"
              "<module rom='6'/><module rom='7'/><module rom='8'/>\n<module rom='9'/></vm></config>",
     3, "module"},
    {VM_OPENS " vram='3'/></config>", 2, "power of two"},
    {VM_OPENS " vram='0'/></config>", 2, "vram"},
    {VM_OPENS " vram='512'/></config>", 2, "vram"},
    {VM_OPENS ">\n<disk label='a'/></vm></config>", 3, "controller"},
    {VM_OPENS ">\n<disk label='a' controller='scsi'/></vm></config>", 3, "scsi"},
    {VM_OPENS ">\n<disk label='a' controller='ide' port='2'/></vm></config>", 3, "port"},
    {VM_OPENS ">\n<disk label='a' controller='ide' device='2'/></vm></config>", 3, "device"},
    {VM_OPENS ">\n<disk controller='ide'/></vm></config>", 3, "label"},
    {VM_OPENS "><disk label='a' controller='ide'/>\n<disk label='b' controller='ide'/></vm></config>", 3,
     "place"},
    {VM_OPENS
     "><disk label='a' controller='ide'/>\n<disk label='a' controller='ide' port='1'/></vm></config>",
     3, "twice"},
};

static void test_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct vm_description config;
        struct xml_error error;

        assert_false(read_text(wrong[i].xml, &config, &error));
        assert_int_equal(error.line, wrong[i].line);
        assert_non_null(strstr(error.reason, wrong[i].word));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linux),    cmocka_unit_test(test_memory_units), cmocka_unit_test(test_modules),
        cmocka_unit_test(test_firmware), cmocka_unit_test(test_disks),        cmocka_unit_test(test_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
