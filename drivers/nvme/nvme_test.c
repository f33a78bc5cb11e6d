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
    uint32_t cap_high, cc, csts, aqa;
    uint64_t asq, acq;
    struct {
        uint64_t submissions, completions;
        unsigned head, tail, filled;
        bool phase;
    } queue[2];
    uint8_t format;
    unsigned waits, reads;
} model;

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
        page[26] = 1;
        page[128 + 4 + 2] = model.format;
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
        assert_int_equal(command[10], 1 | (NVME_ENTRIES - 1) << 16);
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
    model.queue[queue].filled = (model.queue[queue].filled + 1) % NVME_ENTRIES;
    model.queue[queue].phase ^= model.queue[queue].filled == 0;
}

static void doorbell(unsigned number, uint32_t value)
{
    unsigned queue = number / 2;
    assert_in_range(queue, 0, 1);
    assert_in_range(value, 0, NVME_ENTRIES - 1);
    if (number % 2)
        return;
    model.queue[queue].tail = value;
    while (model.mood != MOOD_SILENT && model.queue[queue].head != value) {
        answer(queue, (uint32_t *)at(model.queue[queue].submissions) + 16 * model.queue[queue].head);
        model.queue[queue].head = (model.queue[queue].head + 1) % NVME_ENTRIES;
    }
}

static uint32_t model_read(void *context, unsigned offset)
{
    (void)context;
    if (model.mood == MOOD_GONE)
        return UINT32_MAX;
    return offset == 0x1c ? model.csts : offset == 4 ? model.cap_high : 0;
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
    return ++model.waits < 100000 && model.mood != MOOD_SILENT;
}

static const struct nvme_access access = {model_read, model_write, model_wait};
static struct nvme nvme;

static int setup(void **state)
{
    (void)state;
    memset(&model, 0, sizeof model);
    memset(memory, 0, sizeof memory);
    model.format = 9;
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
        nvme_read_begin(&nvme, i, 1, IO_ADDRESS + 7 * NVME_PAGE);
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
    model.format = 8;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(starts_and_reads, setup),
        cmocka_unit_test_setup(fails, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
