/* SPDX-License-Identifier: ISC */
/*
 * Chains that are opened, and the one line that those get that are not.
 */
#include <cmocka.h>

#include "lib/vdi/simulation.h"
#include "servers/vdi/chain.h"

#include <stdio.h>

#define BLOCK  4096u
#define BLOCKS 300u /* a map of more than two sectors */
#define BOUNCE 4096u

struct fixture {
    struct chain chain;
    struct chain_source source;
    uint8_t *bytes[CHAIN_IMAGES];
    uint64_t broken; /* an offset that cannot be read; 0: none */
    void *memory[4 * CHAIN_IMAGES];
    unsigned pieces, lines;
    uint64_t limit; /* of memory that there is */
    char said[1024];
};

static bool read_store(void *context, uint32_t store, uint64_t offset, uint64_t length, void *bytes)
{
    struct fixture *f = context;
    const struct chain_store *of = &f->chain.store[store];

    assert_int_equal((offset | length) % of->unit, 0);
    assert_true(length && length <= BOUNCE && offset + length <= of->bytes);
    memcpy(bytes, f->bytes[store] + offset, length);
    return !f->broken || f->broken < offset || f->broken >= offset + length;
}

static void *memory(void *context, uint64_t bytes)
{
    struct fixture *f = context;

    if (bytes > f->limit)
        return NULL;
    f->memory[f->pieces] = calloc(1, bytes);
    return f->memory[f->pieces++];
}

__attribute__((format(printf, 2, 0))) static void say(void *context, const char *format, va_list arguments)
{
    struct fixture *f = context;

    f->lines++;
    (void)vsnprintf(f->said, sizeof(f->said), format, arguments); /* cut at worst */
}

static struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    f->limit = 1 << 20;
    f->source = (struct chain_source){
        .context = f, .read = read_store, .memory = memory, .say = say, .bounce_size = BOUNCE};
    f->source.bounce = malloc(BOUNCE);
    return f;
}

/* Another image on a store of its own, as the parent of those before it. */
static void add(struct fixture *f, const char *label, uint8_t *bytes, uint64_t size)
{
    struct chain_store *store = &f->chain.store[f->chain.count];

    (void)snprintf(store->label, sizeof(store->label), "%s", label); /* short */
    store->bytes = size;
    store->unit = VDI_SECTOR;
    f->bytes[f->chain.count++] = bytes;
}

static void release(struct fixture *f)
{
    while (f->pieces)
        free(f->memory[--f->pieces]);
    memset(f->chain.image, 0, sizeof(f->chain.image));
}

static void fixture_delete(struct fixture *f)
{
    release(f);
    for (uint32_t i = 0; i < f->chain.count; i++)
        free(f->bytes[i]);
    free(f->source.bounce);
    free(f);
}

static void opens(struct fixture *f)
{
    release(f);
    f->lines = 0;
    if (!chain_open(&f->chain, &f->source) || f->lines)
        fail_msg("%s", f->said);
}

static void refuses(struct fixture *f, const char *line)
{
    release(f);
    f->lines = 0;
    assert_false(chain_open(&f->chain, &f->source));
    assert_int_equal(f->lines, 1);
    if (strncmp(f->said, line, strlen(line)) != 0)
        fail_msg("expected '%s'\nfound '%s'", line, f->said);
}

static uint8_t *dynamic(uint64_t *size)
{
    return sim_image_new(VDI_DYNAMIC, BLOCKS * BLOCK, BLOCK, 1, NULL, VDI_SECTOR, size);
}

static void test_one(void **state)
{
    struct fixture *f = fixture_new();
    uint64_t size;
    uint8_t *bytes = dynamic(&size);

    (void)state;
    memset(bytes + VDI_SECTOR + 4 * 299, 0, 4);
    add(f, "disk", bytes, size);
    opens(f);
    assert_int_equal(f->chain.image[0].mapped, 1);
    assert_true(f->chain.image[0].writable);
    assert_memory_equal(f->chain.header, bytes, VDI_SECTOR);
    f->chain.read_only = true;
    f->chain.store[0].read_only = true;
    f->chain.header = NULL;
    opens(f);
    assert_false(f->chain.image[0].writable);
    assert_null(f->chain.header);
    fixture_delete(f);
}

/* A map at a byte of its own, longer than the memory it is read through. */
static void test_map_anywhere(void **state)
{
    struct fixture *f = fixture_new();
    struct vdi_header header;
    uint8_t *bytes, *moved;
    uint64_t size;

    (void)state;
    bytes = sim_image_new(VDI_FIXED, 2500 * BLOCK, BLOCK, 1, NULL, VDI_SECTOR, &size);
    assert_true(vdi_header_parse(&header, bytes, size, NULL));
    moved = calloc(1, size + VDI_SECTOR);
    header.map_offset += 100;
    header.data_offset += VDI_SECTOR;
    vdi_header_build(moved, &header);
    memcpy(moved + header.map_offset, bytes + VDI_SECTOR, vdi_map_size(&header));
    free(bytes);
    add(f, "disk", moved, size + VDI_SECTOR);
    f->chain.read_only = true;
    opens(f);
    assert_int_equal(f->chain.image[0].mapped, 2500);
    for (uint32_t i = 0; i < 2500; i++)
        assert_int_equal(f->chain.image[0].map[i], i);
    fixture_delete(f);
}

static void test_chain(void **state)
{
    struct fixture *f = fixture_new();
    uint64_t size, child_size;
    uint8_t *parent = dynamic(&size);
    uint8_t *child =
        sim_image_new(VDI_DIFFERENCING, BLOCKS * BLOCK, BLOCK, 2, parent, VDI_SECTOR, &child_size);

    (void)state;
    add(f, "today", child, child_size);
    refuses(f, "image 'today': parents of the differencing image 0: expected at least 1, found 0");
    add(f, "base", parent, size);
    f->chain.store[1].read_only = true;
    opens(f);
    assert_false(f->chain.image[1].writable);
    parent[0x198] ^= 1; /* uuidModify */
    refuses(f,
            "image 'today': parent was written after its child was made: its state (uuidModify): expected ");
    parent[0x188] ^= 1; /* uuidCreate */
    refuses(f, "image 'today': another parent: its UUID (uuidCreate): expected ");
    parent[0x40] ^= 1;
    refuses(f, "image 'base': ");
    fixture_delete(f);
}

static void test_no_image(void **state)
{
    struct fixture *f = fixture_new();

    (void)state;
    add(f, "disk", calloc(1, 4096), 0);
    refuses(f, "image 'disk': expected a disk with an image on it, bytes of the disk, found 0");
    f->chain.store[0].bytes = 4096;
    refuses(f, "image 'disk': ");
    assert_non_null(strstr(f->said, "expected"));
    f->chain.store[0].unit = 8192;
    refuses(f, "image 'disk': expected a disk with sectors of 512 to 4096 bytes, found 8192");
    fixture_delete(f);
}

static void test_cut(void **state)
{
    struct fixture *f = fixture_new();
    uint64_t size;
    uint8_t *bytes = dynamic(&size);
    const uint32_t slot = 7;

    (void)state;
    memcpy(bytes + VDI_SECTOR + 4 * 5, &slot, 4);
    add(f, "disk", bytes, size);
    f->chain.store[0].bytes = size / 2;
    opens(f); /* a disk without room for all blocks, but for those it has */
    f->chain.store[0].bytes = 1024;
    refuses(f, "image 'disk': expected its map of 1200 bytes at 512 on the disk, found a disk of 1024 bytes");
    assert_int_equal(f->pieces, 1); /* the header's: no memory for a map that is not there */
    f->chain.store[0].bytes = 2048 + 8 * BLOCK - 1024;
    refuses(f, "image 'disk': image is cut: size for block 5: expected at least ");
    fixture_delete(f);
}

static void test_failures(void **state)
{
    struct fixture *f = fixture_new();
    uint64_t size;
    uint8_t *bytes = dynamic(&size);

    (void)state;
    add(f, "disk", bytes, size);
    f->chain.store[0].read_only = true;
    refuses(f, "image 'disk': expected a disk that can be written, found a read-only one");
    f->chain.store[0].read_only = false;
    f->broken = 1;
    refuses(f, "image 'disk': expected to read its header, found that the disk failed");
    f->broken = 1700;
    refuses(f, "image 'disk': expected to read its map, found that the disk failed");
    f->broken = 0;
    f->limit = 1024;
    refuses(f, "image 'disk': expected memory for its map, bytes that it needs, found 1574");
    fixture_delete(f);
}

static void test_duplicates(void **state)
{
    struct fixture *f = fixture_new();
    uint64_t size;
    uint8_t *bytes = dynamic(&size);

    (void)state;
    memset(bytes + VDI_SECTOR, 0, 8);
    add(f, "disk", bytes, size);
    refuses(f, "image 'disk': slot of block 1: expected not the one of block 0, found 0");
    f->chain.read_only = true;
    release(f);
    assert_true(chain_open(&f->chain, &f->source));
    assert_non_null(strstr(f->said, "found 1 blocks with the slot of another"));
    fixture_delete(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),        cmocka_unit_test(test_map_anywhere),
        cmocka_unit_test(test_chain),      cmocka_unit_test(test_no_image),
        cmocka_unit_test(test_cut),        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_duplicates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
