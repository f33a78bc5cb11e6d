/* SPDX-License-Identifier: ISC */
/*
 * The driver against a model of a controller, which answers as it is told: well, not at all, with nonsense,
 * or late. The model sees the driver's memory only through the addresses that it is given.
 */
#include <cmocka.h>
#include <string.h>

#include "drivers/nvme/nvme.h"

#define IO_ADDRESS 0x40000000ull

static _Alignas(4096) uint8_t memory[NVME_PAGES * NVME_PAGE];

enum mood {
    MOOD_WELL,
    MOOD_SILENT,
    MOOD_REFUSES,
    MOOD_WRONG_COMMAND,
    MOOD_NEVER_READY,
    MOOD_FATAL,
    MOOD_GONE
};

static struct {
    enum mood mood;
    uint32_t cap_low, cap_high, cc, csts, aqa;
    uint64_t asq, acq;
    struct {
        uint64_t submissions, completions;
        unsigned head, tail, filled;
        bool phase;
    } queue[2];
    uint8_t last, flbas;
    uint32_t format; /* the one that FLBAS names: MS in 16 bits, then LBADS */
    unsigned waits, reads, ready_after;
} model;

static unsigned entries(void)
{
    return (model.cap_low & 0xffff) < NVME_ENTRIES ? (model.cap_low & 0xffff) + 1 : NVME_ENTRIES;
}

static void *at(uint64_t address)
{
    assert_in_range(address, IO_ADDRESS, IO_ADDRESS + sizeof memory - 1);
    return memory + (address - IO_ADDRESS);
}

static void identify(const uint32_t *command, uint8_t *page)
{
    memset(page, 0, NVME_PAGE);
    if (command[10] == 1) {
        memset(page + 24, ' ', 40);
        memcpy(page + 24, "Model\x01", 6);
    } else {
        page[0] = 0x10;
        page[25] = model.last;
        page[26] = model.flbas;
        memset(page + 128, 8, 256);
        memcpy(page + 128 + 4 * ((model.flbas & 15) | (model.last > 15 ? model.flbas >> 5 << 4 : 0)),
               &model.format, 4);
    }
}

static void answer(unsigned queue, const uint32_t *command)
{
    uint32_t *entry = (uint32_t *)at(model.queue[queue].completions) + 4 * model.queue[queue].filled;
    uint64_t address = (uint64_t)command[7] << 32 | command[6];
    uint32_t status = model.mood == MOOD_REFUSES ? 0x4 : 0, id = command[0] >> 16;
    unsigned opcode = command[0] & 0xff;
    if (queue == 0 && opcode == 6)
        identify(command, at(address));
    if (queue == 0 && opcode == 5) {
        assert_int_equal(command[10], 1 | (entries() - 1) << 16);
        assert_int_equal(command[11], 3);
        model.queue[1].completions = address;
    }
    if (queue == 0 && opcode == 1) {
        assert_int_equal(command[11], 1 | 1 << 16);
        model.queue[1].submissions = address;
        model.queue[1].phase = true;
    }
    if (queue == 1 && opcode == 2 && address >= IO_ADDRESS && address < IO_ADDRESS + sizeof memory) {
        model.reads++;
        memset(at(address), (int)command[10], 64);
    }
    if (model.mood == MOOD_WRONG_COMMAND)
        id = (id + 1) & 0xffff;
    entry[3] = id | (uint32_t)model.queue[queue].phase << 16 | status << 17;
    model.queue[queue].filled = (model.queue[queue].filled + 1) % entries();
    model.queue[queue].phase ^= model.queue[queue].filled == 0;
}

static void doorbell(unsigned number, uint32_t value)
{
    unsigned queue = number / 2;
    assert_in_range(queue, 0, 1);
    assert_in_range(value, 0, entries() - 1);
    if (number % 2)
        return;
    model.queue[queue].tail = value;
    while (model.mood != MOOD_SILENT && model.queue[queue].head != value) {
        answer(queue, (uint32_t *)at(model.queue[queue].submissions) + 16 * model.queue[queue].head);
        model.queue[queue].head = (model.queue[queue].head + 1) % entries();
    }
}

static uint32_t model_read(void *context, unsigned offset)
{
    (void)context;
    if (model.mood == MOOD_GONE)
        return UINT32_MAX;
    if (offset == 0x1c && model.waits < model.ready_after)
        return 0;
    return offset == 0x1c ? model.csts : offset == 0 ? model.cap_low : offset == 4 ? model.cap_high : 0;
}

static void model_write(void *context, unsigned offset, uint32_t value)
{
    (void)context;
    if (offset == 0x14) {
        model.cc = value;
        model.csts = value & 1;
        if (model.mood == MOOD_NEVER_READY)
            model.csts = 0;
        if (model.mood == MOOD_FATAL)
            model.csts = value & 1 ? 3 : 0;
        model.queue[0].submissions = model.asq;
        model.queue[0].completions = model.acq;
        for (unsigned i = 0; i < 2; i++) {
            model.queue[i].head = model.queue[i].filled = 0;
            model.queue[i].phase = true;
        }
    } else if (offset == 0x24)
        model.aqa = value;
    else if (offset == 0x28 || offset == 0x30)
        *(offset == 0x28 ? &model.asq : &model.acq) = value;
    else if (offset >= 0x1000)
        doorbell((offset - 0x1000) / (4u << (model.cap_high & 0xf)), value);
}

static bool model_wait(void *context)
{
    (void)context;
    return ++model.waits < 200000 && model.mood != MOOD_SILENT;
}

static const struct nvme_access access = {model_read, model_write, model_wait};
static struct nvme nvme;

static int setup(void **state)
{
    (void)state;
    memset(&model, 0, sizeof model);
    memset(memory, 0, sizeof memory);
    model.cap_low = 0x140003ff; /* 10 s, 1024 entries */
    model.last = 1;
    model.flbas = 1;
    model.format = 9 << 16;
    nvme = (struct nvme){.access = &access, .memory = memory, .io_address = IO_ADDRESS};
    return 0;
}

static void starts_and_reads(void **state)
{
    unsigned status;
    (void)state;
    model.cap_high = 2; /* doorbells 16 bytes apart */
    assert_null(nvme_start(&nvme));
    assert_int_equal(model.aqa, 0xf000f);
    assert_int_equal(model.cc, 0x460001);
    assert_string_equal(nvme.model, "Model?");
    assert_int_equal(nvme.blocks, 16);
    assert_int_equal(nvme.block_bytes, 512);
    for (unsigned i = 0; i < 100; i++) { /* around the queue some times */
        assert_true(nvme_read_begin(&nvme, i, 1, IO_ADDRESS + 7 * NVME_PAGE));
        assert_true(nvme_read(&nvme, i, 2, IO_ADDRESS + NVME_DATA * NVME_PAGE, &status));
        assert_int_equal(memory[NVME_DATA * NVME_PAGE], i);
    }
    assert_int_equal(model.reads, 200);
    assert_true(nvme_write(&nvme, 1, 1, IO_ADDRESS + NVME_DATA * NVME_PAGE, &status));
    assert_false(nvme_read(&nvme, 0, 0, IO_ADDRESS, &status));
    assert_false(nvme_read(&nvme, 0, 17, IO_ADDRESS, &status));
    assert_false(nvme_read(&nvme, 0, 1, IO_ADDRESS + 1, &status));
    assert_null(nvme_stop(&nvme));
    assert_null(nvme_start(&nvme)); /* once more, with queues that were used */
    assert_true(nvme_read(&nvme, 5, 1, IO_ADDRESS + NVME_DATA * NVME_PAGE, &status));
}

static void fails(void **state)
{
    static const struct {
        enum mood mood;
        const char *reason;
    } moods[] = {
        {MOOD_SILENT, "it does not identify itself"},
        {MOOD_REFUSES, "it does not identify itself"},
        {MOOD_WRONG_COMMAND, "it does not identify itself"},
        {MOOD_NEVER_READY, "it does not become ready"},
        {MOOD_FATAL, "it does not become ready"},
        {MOOD_GONE, "it does not come to rest"},
    };
    unsigned status;
    for (unsigned i = 0; i < sizeof moods / sizeof *moods; i++) {
        setup(state);
        model.mood = moods[i].mood;
        assert_string_equal(nvme_start(&nvme), moods[i].reason);
    }
    setup(state);
    model.format = 8 << 16;
    assert_string_equal(nvme_start(&nvme), "its blocks are not of 512 to 4096 bytes");
    setup(state);
    model.cap_high = 1 << 16;
    assert_string_equal(nvme_start(&nvme), "it has no pages of 4096 bytes");
    setup(state);
    assert_null(nvme_start(&nvme));
    model.mood = MOOD_REFUSES;
    assert_false(nvme_read(&nvme, 0, 1, IO_ADDRESS, &status));
    assert_int_equal(status, 4);
    model.mood = MOOD_SILENT;
    assert_false(nvme_read(&nvme, 0, 1, IO_ADDRESS, &status));
    assert_int_equal(status, 0);
}

/* CAP.TO is in units of 500 ms; a wait is a millisecond. */
static void waits_as_long_as_it_says(void **state)
{
    static const struct {
        unsigned units, needs;
        bool well;
    } rows[] = {{30, 15000, true}, {30, 15100, false}, {255, 127500, true}, {1, 499, true},
                {1, 600, false},   {0, 400, true},     {0, 600, false}};
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        setup(state);
        model.cap_low = rows[i].units << 24 | 0xffff;
        model.ready_after = rows[i].needs;
        const char *wrong = nvme_start(&nvme);
        if (rows[i].well)
            assert_null(wrong);
        else
            assert_string_equal(wrong, "it does not become ready");
    }
}

/* CAP.MQES, which counts from 0. */
static void queues_are_no_longer_than_it_takes(void **state)
{
    static const unsigned lengths[] = {2, 3, 8, 15, 16, 17, 0x10000};
    unsigned status;
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        unsigned expected = lengths[i] < NVME_ENTRIES ? lengths[i] : NVME_ENTRIES;
        setup(state);
        model.cap_low = 0x14000000 | (lengths[i] - 1);
        assert_null(nvme_start(&nvme));
        assert_int_equal(model.aqa, (expected - 1) << 16 | (expected - 1));
        for (unsigned j = 0; j < 40; j++) {
            assert_true(nvme_read_begin(&nvme, j, 1, IO_ADDRESS + 7 * NVME_PAGE));
            assert_true(nvme_read(&nvme, j, 1, IO_ADDRESS + NVME_DATA * NVME_PAGE, &status));
        }
        assert_int_equal(model.reads, 80);
        model.mood = MOOD_SILENT; /* all entries but one can be filled, and the tail never meets the head */
        for (unsigned j = 1; j < expected; j++)
            assert_true(nvme_read_begin(&nvme, j, 1, IO_ADDRESS + 7 * NVME_PAGE));
        assert_false(nvme_read_begin(&nvme, 0, 1, IO_ADDRESS + 7 * NVME_PAGE));
        assert_false(nvme_read(&nvme, 0, 1, IO_ADDRESS + 7 * NVME_PAGE, &status));
        assert_int_equal(status, 0);
    }
    setup(state);
    model.cap_low = 0x14000000;
    assert_string_equal(nvme_start(&nvme), "its queues have less than 2 entries");
}

/* QEMU's nvme-ns,ms=8 has seven formats and uses the second one; mset=1 sets bit 4 of FLBAS. */
static void metadata_is_refused(void **state)
{
    static const uint32_t sizes[] = {8, 16, 64, 0xffff};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (unsigned inside = 0; inside < 2; inside++) {
            setup(state);
            model.last = 7;
            model.flbas = (uint8_t)(inside << 4 | 1);
            model.format = 9 << 16 | sizes[i];
            assert_string_equal(nvme_start(&nvme),
                                "its namespace 1 has metadata, in its blocks or beside them: expected none");
        }
    setup(state);
    model.last = 0; /* format 1 is used */
    assert_string_equal(nvme_start(&nvme), "its namespace 1 is in a format that it does not list");
    setup(state);
    model.last = 35; /* beyond 16 formats, bits 5 and 6 count, too */
    model.flbas = 0x42;
    assert_null(nvme_start(&nvme));
    assert_int_equal(nvme.block_bytes, 512);
    setup(state);
    model.flbas = 0x61; /* else they do not */
    assert_null(nvme_start(&nvme));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(starts_and_reads, setup),
        cmocka_unit_test_setup(fails, setup),
        cmocka_unit_test_setup(waits_as_long_as_it_says, setup),
        cmocka_unit_test_setup(queues_are_no_longer_than_it_takes, setup),
        cmocka_unit_test_setup(metadata_is_refused, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
