/* SPDX-License-Identifier: ISC */
/*
 * What QEMU makes is read here, and what is written here is taken by QEMU: its check finds nothing, its
 * compare no difference to a raw twin. After a cut of power its check may find the one thing that is a leak
 * in truth: a number of slots in the header above that of the blocks in the map. Once the image was used on
 * in good order it finds nothing.
 */
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "lib/vdi/simulation.h"

#define MIB       (UINT64_C(1) << 20)
#define DISK_SIZE (6 * MIB + MIB / 2)
#define CUTS      8

static char folder[] = "/tmp/vdi-test-XXXXXX";

/* Runs a command in the folder; its exit status. What it says is in the file "out". */
static int command(const char *text)
{
    char line[512];

    (void)snprintf(line, sizeof(line), "cd %s && { %s; } >out 2>&1", folder, text); /* all texts are short */
    return system(line);
}

static void file_name(char *path, size_t size, const char *name)
{
    (void)snprintf(path, size, "%s/%s", folder, name); /* short */
}

static void save(const char *name, const uint8_t *bytes, uint64_t size)
{
    char path[64];
    FILE *file;

    file_name(path, sizeof(path), name);
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* A file's bytes, in memory that has room for `room` more. */
static uint8_t *load(const char *name, uint64_t room, uint64_t *size)
{
    char path[64];
    uint8_t *bytes;
    FILE *file;

    file_name(path, sizeof(path), name);
    file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    *size = (uint64_t)ftell(file);
    rewind(file);
    bytes = malloc(*size + room);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    memset(bytes + *size, SIM_GARBAGE, room);
    (void)fclose(file); /* was only read */
    return bytes;
}

/* What the last command said. */
static void said(char text[1024])
{
    uint64_t size;
    uint8_t *bytes = load("out", 1, &size);

    bytes[size] = '\0';
    (void)snprintf(text, 1024, "%s", (char *)bytes); /* the beginning is enough */
    free(bytes);
}

static void run(const char *text)
{
    char output[1024];

    if (!command(text))
        return;
    said(output);
    fail_msg("%s: %s", text, output);
}

/* QEMU found an error: it must be that the header counts more slots than blocks have, and nothing else. */
static void check_leak(void)
{
    char text[1024];
    unsigned int mapped, counted;

    said(text);
    if (sscanf(text, "ERROR: allocated blocks mismatch, is %u, should be %u", &mapped, &counted) != 2 ||
        mapped >= counted || strstr(text + 1, "ERROR"))
        fail_msg("after a cut: %s", text);
}

/* Random requests, the twin changed alike; both are `size` bytes. */
static void scribble(struct sim *sim, uint8_t *twin, uint64_t size, uint32_t count)
{
    static uint8_t bytes[2 * MIB];

    for (uint32_t i = 0; i < count; i++) {
        uint64_t offset = sim_random(sim, size / VDI_SECTOR) * VDI_SECTOR;
        uint64_t length = (1 + sim_random(sim, 4096)) * VDI_SECTOR;

        length = length < size - offset ? length : size - offset;
        switch (sim_random(sim, 6)) {
        case 0:
            offset &= ~(MIB - 1);
            length = MIB < size - offset ? MIB : size - offset;
            assert_int_equal(sim_do(sim, VDI_DISCARD, offset, length, NULL, false), VDI_OK);
            if (sim->images[0].header.type != VDI_FIXED)
                memset(twin + offset, 0, length);
            break;
        case 1:
            assert_int_equal(sim_do(sim, VDI_WRITE_ZEROES, offset, length, NULL, false), VDI_OK);
            memset(twin + offset, 0, length);
            break;
        case 2:
            assert_int_equal(sim_do(sim, VDI_FLUSH, 0, 0, NULL, false), VDI_OK);
            break;
        default:
            memset(bytes, (int)(i + 1), length);
            assert_int_equal(sim_do(sim, VDI_WRITE, offset, length, bytes, false), VDI_OK);
            memcpy(twin + offset, bytes, length);
            break;
        }
    }
}

/* The file as it is on a disk, without what was never given to it. */
static void save_image(const struct sim *sim, const char *name, const uint8_t *bytes)
{
    save(name, bytes, vdi_slot_offset(&sim->images[0].header, sim->images[0].header.slot_count));
}

static void exchange(const char *make, const char *options)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    uint64_t raw_size, file_size;
    uint8_t *twin = calloc(1, DISK_SIZE), *read, *raw;
    char line[200];

    assert_true(sim && twin);
    for (uint64_t i = 0; i < 3 * MIB; i++)
        twin[MIB / 2 + i] = (uint8_t)(i * 7 >> 3);
    save("raw", twin, DISK_SIZE);
    free(twin);
    (void)snprintf(line, sizeof(line), "%s %s", make, options); /* short */
    run(line);
    run("qemu-img convert -f vdi -O raw made.vdi raw"); /* QEMU rounds up to its blocks */
    raw = load("raw", 0, &raw_size);
    sim->image_count = 1;
    sim->bytes[0] = load("made.vdi", 8 * MIB, &file_size);
    sim->size[0] = file_size + 8 * MIB;
    sim_open(sim, true);
    assert_int_equal(sim->images[0].header.disk_size, raw_size);
    read = malloc(raw_size);
    assert_non_null(read);
    assert_int_equal(sim_do(sim, VDI_READ, 0, raw_size, read, false), VDI_OK);
    assert_memory_equal(read, raw, raw_size);
    scribble(sim, raw, raw_size, 60);
    assert_int_equal(sim_do(sim, VDI_COMPACT, 0, 0, NULL, false), VDI_OK);
    save_image(sim, "ours.vdi", sim->bytes[0]);
    save("raw", raw, raw_size);
    run("qemu-img check -f vdi ours.vdi");
    run("qemu-img compare -f raw -F vdi raw ours.vdi");
    sim_close(sim);
    free(sim->bytes[0]);
    free(read);
    free(raw);
    free(sim);
}

static bool skipped(void)
{
    if (!system("qemu-img --version >/dev/null 2>&1"))
        return false;
    print_message("skipped: there is no qemu-img (package qemu-utils)\n");
    return true;
}

static void test_dynamic(void **state)
{
    (void)state;
    if (skipped())
        skip();
    exchange("qemu-img convert -f raw -O vdi raw made.vdi", "");
}

static void test_fixed(void **state)
{
    (void)state;
    if (skipped())
        skip();
    exchange("qemu-img convert -f raw -O vdi raw made.vdi", "-o static=on");
}

/* An empty image of ours, in the layout that vdi_create() gives. */
static void test_created(void **state)
{
    struct vdi_create_config config = {.type = VDI_DYNAMIC, .disk_size = DISK_SIZE};
    struct vdi_header header;
    uint8_t *bytes;

    (void)state;
    if (skipped())
        skip();
    for (uint32_t fixed = 0; fixed < 2; fixed++) {
        config.type = fixed ? VDI_FIXED : VDI_DYNAMIC;
        memset(config.random, 0x42, sizeof(config.random));
        assert_true(vdi_create(&header, &config, NULL));
        bytes = calloc(1, vdi_create_size(&header));
        assert_non_null(bytes);
        vdi_header_build(bytes, &header);
        vdi_create_map(&header, 0, header.block_count, (uint32_t *)(void *)(bytes + header.map_offset));
        save("ours.vdi", bytes, vdi_create_size(&header));
        run("qemu-img check -f vdi ours.vdi");
        run("qemu-img info -f vdi ours.vdi | grep 'virtual size: 6.5 MiB'");
        free(bytes);
    }
}

struct cutter {
    uint64_t at, seen;
    uint8_t *image;
};

/* Keeps one state that a cut at a certain time may leave. */
static void cut(struct sim *sim)
{
    struct cutter *cutter = sim->test;

    if (cutter->seen++ != cutter->at)
        return;
    memcpy(cutter->image, sim->durable, sim->size[0]);
    for (uint32_t i = 0; i < sim->write_count; i++)
        if (sim_random(sim, 2))
            memcpy(cutter->image + sim->writes[i].offset, sim->writes[i].bytes, sim->writes[i].length);
}

static void cut_once(uint64_t at)
{
    struct cutter cutter = {.at = at};
    struct sim *sim = calloc(1, sizeof(*sim));
    uint8_t *twin = calloc(1, DISK_SIZE);
    static uint8_t bytes[VDI_SECTOR];

    assert_true(sim && twin);
    sim->image_count = 1;
    sim->random = at + 1;
    sim->bytes[0] = sim_image_new(VDI_DYNAMIC, DISK_SIZE, VDI_BLOCK_SIZE, 1, NULL, VDI_SECTOR, &sim->size[0]);
    cutter.image = malloc(sim->size[0]);
    sim->durable = malloc(sim->size[0]);
    assert_true(cutter.image && sim->durable);
    memcpy(sim->durable, sim->bytes[0], sim->size[0]);
    memcpy(cutter.image, sim->bytes[0], sim->size[0]);
    sim->test = &cutter;
    sim_open(sim, true);
    sim->changed = cut;
    scribble(sim, twin, DISK_SIZE, 30);
    sim->changed = NULL;
    sim_close(sim);
    save("cut.vdi", cutter.image, sim->size[0]);
    if (command("qemu-img check -f vdi cut.vdi"))
        check_leak();
    /* Used on: one write, and closed in order. */
    memcpy(sim->bytes[0], cutter.image, sim->size[0]);
    sim_open(sim, true);
    assert_int_equal(sim_do(sim, VDI_WRITE, 0, VDI_SECTOR, bytes, false), VDI_OK);
    assert_int_equal(sim_do(sim, VDI_COMPACT, 0, 0, NULL, false), VDI_OK);
    assert_int_equal(sim_do(sim, VDI_READ, 0, DISK_SIZE, twin, false), VDI_OK);
    save_image(sim, "ours.vdi", sim->bytes[0]);
    save("raw", twin, DISK_SIZE);
    run("qemu-img check -f vdi ours.vdi");
    run("qemu-img compare -f raw -F vdi raw ours.vdi");
    sim_close(sim);
    free(sim->bytes[0]);
    free(sim->durable);
    free(cutter.image);
    free(twin);
    free(sim);
}

static void test_after_cuts(void **state)
{
    (void)state;
    if (skipped())
        skip();
    for (uint64_t i = 0; i < CUTS; i++)
        cut_once(i * 11 + 3);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)command("rm -f raw made.vdi ours.vdi cut.vdi; true"); /* the next line sees it */
    (void)command("rm -f out; true");
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dynamic),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_created),
        cmocka_unit_test(test_after_cuts),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
