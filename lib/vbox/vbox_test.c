/* SPDX-License-Identifier: ISC */
/*
 * Settings files of vbox_corpus, each against the description or the error line in vbox_expected, and what files
 * cannot show. VBOX_EXPECTED names a folder that the descriptions are written to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vbox/vbox.h"

#define CORPUS   "lib/vbox/vbox_corpus"
#define EXPECTED "lib/vbox/vbox_expected"
#define TEXT_MAX (256u << 10)
#define DUMP_MAX (64u << 10)

static struct xml_node nodes[VBOX_NODES];
static struct xml_attribute attributes[VBOX_ATTRIBUTES];
static struct vbox_machine machine;
static char dump[DUMP_MAX];
static size_t used;
static struct xml_error error;

static void say(const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(dump + used, sizeof(dump) - used, format, arguments);
    va_end(arguments);
    assert_true(length >= 0 && used + (size_t)length < sizeof(dump));
    used += (size_t)length;
}

static void note(void *context, uint32_t line, const char *text)
{
    (void)context;
    say("%u: note: %s\n", line, text);
}

static bool read_text(char *text, size_t size)
{
    struct xml_document document = {.nodes = nodes,
                                    .attributes = attributes,
                                    .node_limit = VBOX_NODES,
                                    .attribute_limit = VBOX_ATTRIBUTES};

    used = 0;
    dump[0] = '\0';
    memset(&error, 0, sizeof(error));
    return vbox_read(&machine, &document, text, size, note, NULL, &error);
}

static void say_media(void)
{
    static const char *const kinds[] = {"disk", "dvd", "floppy"};

    for (size_t i = 0; i < machine.media; i++) {
        const struct vbox_medium *medium = &machine.medium[i];

        say("%u: medium %zu: %s %s \"%s\" format \"%s\" type %d parent %d\n", medium->line, i,
            kinds[medium->kind], medium->uuid, medium->location, medium->format, medium->type,
            (int)medium->parent);
    }
    for (size_t i = 0; i < machine.controllers; i++)
        say("%u: controller %zu: \"%s\" type %d ports %u\n", machine.controller[i].line, i,
            machine.controller[i].name, machine.controller[i].type, machine.controller[i].ports);
    for (size_t i = 0; i < machine.devices; i++) {
        const struct vbox_device *device = &machine.device[i];

        say("%u: device: %s at %u:%u:%u, image \"%s\", medium %d, non-rotational %d, discard %d\n",
            device->line, kinds[device->kind], device->controller, device->port, device->device, device->uuid,
            (int)device->medium, device->non_rotational, device->discard);
    }
}

static void say_machine(void)
{
    say("version 1.%u, machine %s \"%s\", OS \"%s\"\n", machine.version, machine.uuid, machine.name,
        machine.os_type);
    say("cpus %u, memory %lu, pae %d, long mode %d, I/O APIC %d, HPET %d, menu %d, UTC %d, offset %ld\n",
        machine.cpus, (unsigned long)machine.memory, machine.pae, machine.long_mode, machine.ioapic,
        machine.hpet, machine.boot_menu, machine.utc, (long)machine.time_offset);
    say("chipset %d, paravirt %d, pointing %d, graphics %d, VRAM %u, boot %d %d %d %d\n", machine.chipset,
        machine.paravirt, machine.pointing, machine.graphics, machine.vram, machine.boot[0], machine.boot[1],
        machine.boot[2], machine.boot[3]);
    say_media();
    for (size_t i = 0; i < machine.adapters; i++) {
        const struct vbox_adapter *adapter = &machine.adapter[i];
        const uint8_t *mac = adapter->mac;

        say("%u: adapter %u: type %d network %d cable %d %02x:%02x:%02x:%02x:%02x:%02x\n", adapter->line,
            adapter->slot, adapter->type, adapter->network, adapter->cable, mac[0], mac[1], mac[2], mac[3],
            mac[4], mac[5]);
    }
    for (size_t i = 0; i < machine.uarts; i++)
        say("%u: uart %u: %x irq %u %s \"%s\"\n", machine.uart[i].line, machine.uart[i].slot,
            machine.uart[i].base, machine.uart[i].irq, machine.uart[i].mode, machine.uart[i].path);
    for (size_t i = 0; i < machine.folders; i++)
        say("%u: folder \"%s\" is \"%s\", writable %d, mounted %d\n", machine.folder[i].line,
            machine.folder[i].name, machine.folder[i].path, machine.folder[i].writable,
            machine.folder[i].auto_mount);
}

static size_t load(const char *folder, const char *name, const char *suffix, char *to, size_t size)
{
    char path[512];
    FILE *file;
    size_t bytes;

    snprintf(path, sizeof(path), "%s/%s%s", folder, name, suffix);
    file = fopen(path, "rb");
    if (!file)
        fail_msg("%s: cannot be read", path);
    bytes = fread(to, 1, size - 1, file);
    assert_true(feof(file));
    assert_int_equal(fclose(file), 0);
    to[bytes] = '\0';
    return bytes;
}

static void keep(const char *folder, const char *name)
{
    char path[512];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s.txt", folder, name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(dump, 1, used, file), used);
    assert_int_equal(fclose(file), 0);
}

static void check_file(const char *name)
{
    static char text[TEXT_MAX], expected[DUMP_MAX];
    size_t bytes = load(CORPUS, name, ".vbox", text, sizeof(text));
    const char *folder = getenv("VBOX_EXPECTED");

    if (read_text(text, bytes))
        say_machine();
    else
        say("%u: error: %s\n", error.line, error.reason);
    if (folder) {
        keep(folder, name);
        return;
    }
    (void)load(EXPECTED, name, ".txt", expected, sizeof(expected));
    if (strcmp(dump, expected) != 0)
        fail_msg("%s: expected\n%sfound\n%s", name, expected, dump);
}

static void test_corpus(void **state)
{
    struct dirent *entry;
    DIR *folder = opendir(CORPUS);
    unsigned files = 0;

    (void)state;
    assert_non_null(folder);
    while ((entry = readdir(folder))) {
        char *suffix = strstr(entry->d_name, ".vbox");

        if (!suffix || suffix[5])
            continue;
        *suffix = '\0';
        check_file(entry->d_name);
        files++;
    }
    assert_int_equal(closedir(folder), 0);
    assert_true(files >= 40);
}

#define BEGIN                                                                                                \
    "<VirtualBox version='1.18'><Machine uuid='{01234567-89ab-cdef-0123-456789abcdef}' name='a'>"            \
    "<Hardware><Memory RAMSize='64'/></Hardware>"
#define END "</Machine></VirtualBox>"

/* A tree of snapshots is as deep as somebody has made it; none of it is read. */
static void test_deep_snapshots(void **state)
{
    static char text[TEXT_MAX];
    size_t at = (size_t)snprintf(text, sizeof(text), "%s", BEGIN);

    (void)state;
    for (unsigned i = 0; i < 250; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "<Snapshot name='>%u'><Snapshots>", i);
    for (unsigned i = 0; i < 250; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "</Snapshots></Snapshot>");
    at += (size_t)snprintf(text + at, sizeof(text) - at, "<!-- <Snapshot> --><Snapshot/>%s", END);
    assert_true(read_text(text, at));
    assert_string_equal(machine.name, "a");
    assert_int_equal(used, 0);
}

static void test_many_notes(void **state)
{
    static char text[TEXT_MAX];
    size_t at = (size_t)snprintf(text, sizeof(text),
                                 "<VirtualBox version='1.18'><Machine "
                                 "uuid='01234567-89ab-cdef-0123-456789abcdef' name='a'>"
                                 "<Hardware><Memory RAMSize='64'/>\n");
    unsigned lines = 0;

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "<Strange/>\n");
    at += (size_t)snprintf(text + at, sizeof(text) - at, "</Hardware>" END);
    assert_true(read_text(text, at));
    for (size_t i = 0; i < used; i++)
        lines += dump[i] == '\n';
    assert_int_equal(lines, 65);
    assert_non_null(strstr(dump, "66: note: there is more"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus),
        cmocka_unit_test(test_deep_snapshots),
        cmocka_unit_test(test_many_notes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
