/* SPDX-License-Identifier: ISC */
/*
 * The driver against a model of a device, which sees the driver's memory only by the addresses that it is given,
 * answers in any order, and errs as it is told.
 */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/virtio_blk/virtio_blk.h"

#define IO       0x300000000ull
#define DATA     0x400000000ull
#define SECTORS  2048u
#define DATA_MAX 65536u
#define PLATFORM (1ull << 33)
#define ALL      (PLATFORM | 1ull << 32 | 0x6646u)

enum mood { MOOD_WELL, MOOD_HEAD, MOOD_TWICE, MOOD_COUNT, MOOD_RANDOM };

static _Alignas(4096) uint8_t memory[VIRTIO_MEMORY], data[DATA_MAX];

static struct {
    enum mood mood;
    uint64_t features, taken;
    uint32_t select, driver_select, status, generation;
    uint16_t size, message, enabled, notify;
    uint32_t config[15];
    uint64_t descriptors, available, used;
    uint16_t seen, given;
    bool refuses_features, refuses_message, changes;
    uint8_t media[SECTORS * 512], bad; /* bad: the status of what is asked next */
    unsigned doorbells, flushes, isr_reads;
    uint16_t heads[256];
    unsigned waiting;
} model;

static struct virtio_blk virtio;
static unsigned finished[3];

static void *at(uint64_t address, size_t bytes)
{
    if (address >= IO && address + bytes <= IO + sizeof(memory))
        return memory + (address - IO);
    assert_in_range(address, DATA, DATA + sizeof(data) - bytes);
    return data + (address - DATA);
}

static uint32_t device_read(void *context, enum virtio_part part, unsigned offset, unsigned bytes)
{
    (void)context;
    (void)bytes;
    if (part == VIRTIO_CONFIG)
        return model.config[offset / 4];
    if (part == VIRTIO_ISR) {
        model.isr_reads++;
        return 1;
    }
    assert_int_equal(part, VIRTIO_COMMON);
    switch (offset) {
    case 0x04:
        return (uint32_t)(model.features >> 32 * model.select);
    case 0x14:
        return model.status;
    case 0x15:
        model.generation += model.changes;
        return model.generation & 0xff;
    case 0x18:
        return model.size;
    case 0x1a:
        return model.refuses_message ? 0xffff : model.message;
    case 0x1e:
        return model.notify;
    default:
        return 0;
    }
}

static void set_half(uint64_t *value, unsigned high, uint32_t half)
{
    *value = high ? (*value & UINT32_MAX) | (uint64_t)half << 32 : (*value & ~(uint64_t)UINT32_MAX) | half;
}

static void device_write(void *context, enum virtio_part part, unsigned offset, unsigned bytes,
                         uint32_t value)
{
    (void)context;
    (void)bytes;
    if (part == VIRTIO_NOTIFY) {
        assert_int_equal(offset, 8);
        assert_int_equal(model.status, 15);
        model.doorbells++;
        return;
    }
    assert_int_equal(part, VIRTIO_COMMON);
    switch (offset) {
    case 0x00:
        model.select = value;
        break;
    case 0x08:
        model.driver_select = value;
        break;
    case 0x0c:
        set_half(&model.taken, model.driver_select, value);
        break;
    case 0x14:
        model.status = model.refuses_features ? value & ~8u : value;
        if (!value)
            model.enabled = 0;
        break;
    case 0x18:
        model.size = (uint16_t)value;
        break;
    case 0x1a:
        model.message = (uint16_t)value;
        break;
    case 0x1c:
        model.enabled = (uint16_t)value;
        break;
    case 0x20:
    case 0x24:
        set_half(&model.descriptors, offset & 4, value);
        break;
    case 0x28:
    case 0x2c:
        set_half(&model.available, offset & 4, value);
        break;
    case 0x30:
    case 0x34:
        set_half(&model.used, offset & 4, value);
        break;
    default:
        break;
    }
}

struct link {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};

static const struct link *link_at(uint16_t index)
{
    assert_true(index < model.size);
    return at(model.descriptors + 16u * index, 16);
}

static uint8_t execute(uint16_t head)
{
    const struct link *link = link_at(head);
    const uint8_t *header = at(link->address, 16);
    uint32_t type;
    uint64_t sector;

    memcpy(&type, header, 4);
    memcpy(&sector, header + 8, 8);
    assert_int_equal(link->bytes, 16);
    model.flushes += type == 4;
    if (model.bad)
        return model.bad;
    while (link->flags & 1) {
        link = link_at(link->next);
        if (!(link->flags & 1))
            break;
        if (type == 8) {
            assert_int_equal(link->bytes, 20);
            memcpy(at(link->address, 20), "a-serial-of-20-bytes", 20);
        } else if (type == 11 || type == 13) {
            uint64_t range[2];

            memcpy(range, at(link->address, 16), 16);
            assert_true(range[0] + range[1] <= SECTORS);
            memset(model.media + 512 * range[0], 0, 512 * range[1]);
        } else {
            uint8_t *place = at(link->address, link->bytes);

            assert_true(sector * 512 + link->bytes <= sizeof(model.media));
            assert_int_equal(!!(link->flags & 2), type == 0);
            memcpy(type == 0 ? place : model.media + 512 * sector,
                   type == 0 ? model.media + 512 * sector : place, link->bytes);
            sector += link->bytes / 512;
        }
    }
    return 0;
}

static uint8_t *status_of(uint16_t head)
{
    const struct link *link = link_at(head);

    while (link->flags & 1)
        link = link_at(link->next);
    assert_int_equal(link->flags, 2);
    assert_int_equal(link->bytes, 1);
    return at(link->address, 1);
}

/* Answers what waits, in any order. */
static void device_step(void)
{
    const uint16_t *available = at(model.available, 4 + 2u * model.size);
    uint16_t *used = at(model.used, 4);
    uint32_t *ring = at(model.used + 4, 8u * model.size);

    while (model.seen != available[1])
        model.heads[model.waiting++] = available[2 + model.seen++ % model.size];
    while (model.waiting) {
        unsigned which = (unsigned)rand() % model.waiting;
        uint16_t head = model.heads[which];

        model.heads[which] = model.heads[--model.waiting];
        *status_of(head) = execute(head);
        ring[2 * (model.given % model.size)] = model.mood == MOOD_HEAD     ? head + 1u
                                               : model.mood == MOOD_RANDOM ? (uint32_t)rand() % 300
                                                                           : head;
        model.given++;
        if (model.mood == MOOD_TWICE)
            ring[2 * (model.given++ % model.size)] = head;
        used[1] = (uint16_t)(model.given + (model.mood == MOOD_COUNT ? 100 : 0));
    }
}

static void request_done(void *context, struct disk_request *request, enum disk_status status)
{
    (void)context;
    assert_non_null(request);
    finished[status]++;
}

static int setup(void **state)
{
    (void)state;
    srand(7);
    memset(&model, 0, sizeof(model));
    memset(&virtio, 0, sizeof(virtio));
    memset(finished, 0, sizeof(finished));
    memset(memory, 0xcc, sizeof(memory));
    for (unsigned i = 0; i < sizeof(model.media); i++)
        model.media[i] = (uint8_t)(i / 512 * 3 + i);
    model.features = ALL;
    model.size = 256;
    model.notify = 2;
    model.config[0] = SECTORS;
    model.config[2] = 0x10000;
    model.config[3] = 126;
    model.config[5] = 512;
    model.config[6] = 3;
    model.config[9] = model.config[12] = 1024;
    virtio.wiring = (struct virtio_wiring){NULL, device_read, device_write, request_done};
    virtio.layout.notify_multiplier = 4;
    for (unsigned i = 0; i < VIRTIO_PARTS; i++)
        virtio.layout.part[i].bytes = 0x1000;
    virtio.memory = memory;
    virtio.io_address = IO;
    return 0;
}

static void start(void)
{
    assert_true(virtio_rest(&virtio));
    assert_null(virtio_start(&virtio, true, 0));
}

static struct disk_request request_of(enum disk_action action, uint64_t sector, uint32_t count, size_t offset)
{
    bool has_data = action == DISK_READ || action == DISK_WRITE;

    return (struct disk_request){.action = action,
                                 .sector = sector,
                                 .count = count,
                                 .pieces = has_data,
                                 .piece = {{DATA + offset, count * 512}}};
}

static void test_start(void **state)
{
    (void)state;
    start();
    assert_int_equal(virtio.disk.sectors, SECTORS);
    assert_int_equal(virtio.disk.bytes, 512);
    assert_int_equal(virtio.disk.physical, 4096);
    assert_int_equal(virtio.disk.depth, 32);
    assert_int_equal(virtio.disk.most, 128);
    assert_int_equal(virtio.disk.most_discard, 1024);
    assert_true(virtio.disk.flushes && !virtio.disk.read_only);
    assert_int_equal(model.status, 15);
    assert_int_equal(model.enabled, 1);
    assert_int_equal(model.taken, ALL);
    setup(state);
    model.features = 1ull << 32;
    model.size = 64;
    assert_null(virtio_start(&virtio, false, 0xffff));
    assert_int_equal(virtio.disk.depth, 8);
    assert_int_equal(virtio.disk.pieces, 1);
    assert_int_equal(virtio.disk.most_zeroes, 0);
    assert_true(virtio_work(&virtio));
    assert_int_equal(model.isr_reads, 1);
}

static void test_refused_devices(void **state)
{
    for (unsigned i = 0; i < 11; i++) {
        setup(state);
        switch (i) {
        case 0:
            model.features &= ~(1ull << 32);
            break;
        case 1:
            model.features &= ~PLATFORM;
            break;
        case 2:
            model.refuses_features = true;
            break;
        case 3:
            model.config[0] = 0;
            break;
        case 4:
            model.config[5] = 500;
            break;
        case 5:
            model.config[2] = 100;
            break;
        case 6:
            model.size = 4;
            break;
        case 7:
            model.notify = 0x400;
            break;
        case 8:
            model.refuses_message = true;
            break;
        case 9:
            model.changes = true;
            break;
        default:
            model.config[1] = UINT32_MAX;
            break;
        }
        assert_true(virtio_rest(&virtio));
        assert_non_null(virtio_start(&virtio, true, 0));
        assert_int_equal(model.status & 4, 0);
    }
}

static void test_requests(void **state)
{
    struct disk_request request[33];

    (void)state;
    start();
    for (unsigned i = 0; i < 32; i++) {
        request[i] = request_of(DISK_READ, 3 * i, 3, 1536 * i);
        request[i].pieces = 2;
        request[i].piece[0].bytes = 512;
        request[i].piece[1] = (struct disk_piece){DATA + 1536 * i + 512, 1024};
        assert_true(virtio_submit(&virtio, &request[i]));
    }
    request[32] = request[0];
    assert_false(virtio_submit(&virtio, &request[32]));
    device_step();
    assert_true(virtio_work(&virtio));
    assert_int_equal(finished[DISK_OK], 32);
    assert_memory_equal(data, model.media, 32 * 1536);
    assert_int_equal(model.isr_reads, 0);
    /* Round the ring several times. */
    for (unsigned i = 0; i < 1000; i++) {
        memset(data, (int)i, 512);
        request[0] = request_of(i % 2 ? DISK_WRITE : DISK_DISCARD, i, 1, 0);
        assert_true(virtio_submit(&virtio, &request[0]));
        device_step();
        assert_true(virtio_work(&virtio));
        assert_int_equal(model.media[512 * i], i % 2 ? i & 0xff : 0);
    }
    assert_int_equal(finished[DISK_OK], 1032);
    request[0] = request_of(DISK_WRITE_ZEROES, 1, 1, 0);
    assert_true(virtio_submit(&virtio, &request[0]));
    request[1] = (struct disk_request){.pieces = 1, .piece = {{DATA, 20}}};
    assert_true(virtio_serial(&virtio, &request[1]));
    device_step();
    assert_true(virtio_work(&virtio));
    assert_int_equal(model.media[512], 0);
    assert_memory_equal(data, "a-serial-of-20-bytes", 20);
    model.bad = 1;
    request[0] = request_of(DISK_READ, 0, 1, 0);
    assert_true(virtio_submit(&virtio, &request[0]));
    device_step();
    assert_true(virtio_work(&virtio));
    assert_int_equal(finished[DISK_MEDIUM], 1);
}

/* Durable by a flush behind it; where the device keeps nothing back, without. So are zeroes. */
static void test_fua(void **state)
{
    for (unsigned row = 0; row < 4; row++) {
        struct disk_request write = request_of(row & 2 ? DISK_WRITE_ZEROES : DISK_WRITE, 5, 1, 0),
                            flush = request_of(DISK_FLUSH, 0, 0, 0);
        unsigned flushes = row & 1;

        setup(state);
        model.features &= flushes ? UINT64_MAX : ~(1ull << 9);
        start();
        write.fua = true;
        assert_true(virtio_submit(&virtio, &write));
        device_step();
        assert_true(virtio_work(&virtio));
        assert_int_equal(finished[DISK_OK], !flushes);
        device_step();
        assert_true(virtio_work(&virtio));
        assert_int_equal(finished[DISK_OK], 1);
        assert_true(virtio_submit(&virtio, &flush));
        device_step();
        assert_true(virtio_work(&virtio));
        assert_int_equal(finished[DISK_OK], 2);
        assert_int_equal(model.flushes, 2 * flushes);
    }
}

static void test_refused_requests(void **state)
{
    struct disk_request wrong[] = {
        request_of(DISK_READ, SECTORS, 1, 0),
        request_of(DISK_READ, SECTORS - 1, 2, 0),
        request_of(DISK_READ, UINT64_MAX, 2, 0),
        request_of(DISK_READ, 0, 0, 0),
        request_of(DISK_WRITE, 0, 129, 0),
        request_of(DISK_DISCARD, 0, 1025, 0),
        request_of(DISK_WRITE_ZEROES, 1, SECTORS, 0),
    };
    struct disk_request write = request_of(DISK_WRITE, 0, 1, 0), bytes = request_of(DISK_READ, 0, 1, 0);
    unsigned count = sizeof(wrong) / sizeof(*wrong);

    (void)state;
    start();
    for (unsigned i = 0; i < count; i++)
        assert_true(virtio_submit(&virtio, &wrong[i]));
    bytes.piece[0].bytes = 1024;
    assert_true(virtio_submit(&virtio, &bytes));
    model.features |= 1u << 5;
    virtio = (struct virtio_blk){
        .wiring = virtio.wiring, .layout = virtio.layout, .memory = memory, .io_address = IO};
    start();
    assert_true(virtio_submit(&virtio, &write));
    assert_int_equal(finished[DISK_MEDIUM], count + 2);
    assert_int_equal(model.doorbells, 0);
}

/* A ring that makes no sense costs the device, not the driver; each request ends once. */
static void test_hostile(void **state)
{
    for (unsigned round = 0; round < 500; round++) {
        static struct disk_request request[8];
        unsigned submitted = 0;

        setup(state);
        srand(round);
        start();
        model.mood = (enum mood)(round % 5);
        for (unsigned turn = 0; turn < 20 && !virtio.dead; turn++) {
            for (unsigned i = 0; i < 8; i++) {
                request[i] = request_of((enum disk_action)(rand() % 5), (uint64_t)rand() % 2000, 4, i * 2048);
                submitted += virtio_submit(&virtio, &request[i]);
            }
            device_step();
            (void)virtio_work(&virtio);
        }
        if (round % 5 == MOOD_HEAD || round % 5 == MOOD_COUNT) {
            assert_true(virtio.dead);
            assert_int_equal(model.status, 0);
            assert_false(virtio_submit(&virtio, &request[0]));
            assert_false(virtio_work(&virtio));
        }
        if (virtio.dead || model.mood == MOOD_WELL)
            assert_int_equal(finished[0] + finished[1] + finished[2], submitted);
        assert_true(finished[0] + finished[1] + finished[2] <= submitted);
    }
}

static void test_serial(void **state)
{
    static const struct {
        const char *told, *text;
    } rows[] = {{"DISK42", "DISK42"},
                {"exactly-20-bytes-lon", "exactly-20-bytes-lon"},
                {"a b  ", "a b"},
                {"\x01\xff\n", ""},
                {"", ""},
                {"x\033[2Jy", "x [2Jy"}};
    char text[VIRTIO_SERIAL + 1];

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        uint8_t told[VIRTIO_SERIAL] = {0};

        memcpy(told, rows[i].told, strlen(rows[i].told));
        memset(text, 'z', sizeof(text));
        virtio_serial_text(told, text);
        assert_string_equal(text, rows[i].text);
    }
}

static uint8_t space[256];

static uint32_t space_read(void *context, unsigned offset)
{
    uint32_t value;

    (void)context;
    assert_true(offset % 4 == 0 && offset <= 252);
    memcpy(&value, space + offset, 4);
    return value;
}

static void capability(unsigned at_offset, unsigned next, unsigned kind, unsigned bar, uint32_t offset,
                       uint32_t bytes)
{
    uint32_t words[5] = {0x09 | next << 8 | 20u << 16 | kind << 24, bar, offset, bytes, 4};

    memcpy(space + at_offset, words, sizeof(words));
}

static void test_find(void **state)
{
    struct virtio_layout layout;

    (void)state;
    memset(space, 0, sizeof(space));
    assert_non_null(virtio_find(space_read, NULL, &layout));
    space[0x34] = 0xb8;
    capability(0x40, 0x54, 5, 0, 0, 0);
    capability(0x54, 0x68, 2, 4, 0x3000, 0x1000);
    capability(0x68, 0x7c, 4, 4, 0x2000, 0x1000);
    capability(0x7c, 0x90, 3, 4, 0x1000, 0x1000);
    capability(0x90, 0xa4, 1, 4, 0, 0x1000);
    capability(0xa4, 0xb8, 1, 4, 0x800, 0x800); /* a second choice */
    capability(0xb8, 0x40, 1, 7, 0, 0x1000);    /* no such BAR, and a loop */
    assert_null(virtio_find(space_read, NULL, &layout));
    assert_int_equal(layout.part[VIRTIO_COMMON].bar, 4);
    assert_int_equal(layout.part[VIRTIO_COMMON].offset, 0);
    assert_int_equal(layout.part[VIRTIO_NOTIFY].offset, 0x3000);
    assert_int_equal(layout.notify_multiplier, 4);
    for (unsigned i = 0; i < 2000; i++) {
        for (unsigned j = 0; j < sizeof(space); j++)
            space[j] = rand() % 3 ? (uint8_t)rand() : 9;
        if (!virtio_find(space_read, NULL, &layout))
            for (unsigned j = 0; j < VIRTIO_PARTS; j++)
                assert_true(layout.part[j].bar < 6 && layout.part[j].bytes);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_start),
        TEST(test_refused_devices),
        TEST(test_requests),
        TEST(test_fua),
        TEST(test_refused_requests),
        TEST(test_hostile),
        TEST(test_serial),
        TEST(test_find),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
