/* SPDX-License-Identifier: ISC */
/* The driver against a model of a controller, which answers as it is told: well, not at all, with nonsense, or late. */
#include <cmocka.h>

#define MODEL_CHECK(condition) assert_true(condition)
#include "drivers/nvme/nvme_model.h"

#define BAR 0x4000u /* bytes of registers */

static struct nvme nvme;
static unsigned finished[3];

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
    model_init();
    memset(model_data, 0, sizeof(model_data));
    memset(finished, 0, sizeof(finished));
    nvme = (struct nvme){.wiring = {.read = model_read, .write = model_write, .done = request_done},
                         .memory = model_memory,
                         .io_address = MODEL_IO};
    return 0;
}

/* One look of the driver's at its controller, and the time of the next. */
static void turn(void)
{
    uint64_t next;

    model_step();
    next = nvme_work(&nvme, model.now);
    if (next != NVME_NEVER && next > model.now && !model.queue[0].count && !model.queue[1].count)
        model.now = next;
    else
        model.now++;
}

/* From whatever it is to rest, and up. NULL, or what is wrong. */
static const char *start(void)
{
    const char *wrong;

    while (!nvme_rest(&nvme, BAR, model.now, &wrong)) {
        if (wrong)
            return wrong;
        model.now++;
    }
    nvme_start(&nvme, model.now);
    while (nvme.state != NVME_READY && nvme.state != NVME_DEAD)
        turn();
    return nvme.state == NVME_DEAD ? nvme.wrong : NULL;
}

static void turns(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        turn();
}

static struct disk_request request_of(enum disk_action action, uint64_t sector, uint32_t count, size_t offset)
{
    bool has_data = action == DISK_READ || action == DISK_WRITE;

    return (struct disk_request){.action = action,
                                 .sector = sector,
                                 .count = count,
                                 .pieces = has_data,
                                 .piece = {{MODEL_DATA + offset, count * 512}}};
}

static bool submit(struct disk_request *request)
{
    return nvme_submit(&nvme, 0, request, model.now);
}

static void starts(void **state)
{
    (void)state;
    model.cap_high |= 2; /* doorbells 16 bytes apart */
    assert_null(start());
    assert_int_equal(model.aqa, 0x10001);
    assert_int_equal(model.queue[1].entries, 64);
    assert_int_equal(nvme.depth, 63);
    assert_string_equal(nvme.identity.model, "Model");
    assert_string_equal(nvme.identity.serial, "SERIAL");
    assert_int_equal(nvme.identity.namespaces, 1);
    assert_int_equal(nvme.identity.namespace[0].sectors, MODEL_BLOCKS);
    assert_int_equal(nvme.identity.namespace[0].bytes, 512);
    assert_int_equal(nvme.identity.namespace[0].most, 1024);
    assert_int_equal(nvme.identity.namespace[0].most_zeroes, 1024);
    assert_true(nvme.identity.flushes && nvme.identity.discards && nvme.identity.zeroes);
    assert_int_equal(nvme_work(&nvme, model.now), NVME_NEVER);
    setup(state);
    model.transfer = 0;
    model.commands = model.cache = 0;
    model.attributes = 1;
    assert_null(start());
    assert_int_equal(nvme.identity.namespace[0].most, NVME_MOST / 512);
    assert_int_equal(nvme.identity.namespace[0].most_zeroes, 0);
    assert_false(nvme.identity.flushes || nvme.identity.discards || nvme.identity.zeroes);
    assert_true(nvme.identity.namespace[0].read_only);
}

static void is_refused(void **state)
{
    static const char silent[] = "it does not answer the driver's commands";
    static const char other[] = "expected an answer to the driver's command, found another";
    const char *wrong;

    setup(state);
    model.gone = true;
    assert_string_equal(start(), "there is no controller behind its registers");
    setup(state);
    assert_false(nvme_rest(&nvme, 0x100c, 0, &wrong));
    assert_string_equal(wrong, "its registers are too short");
    setup(state);
    model.cap_high |= 1 << 16;
    assert_string_equal(start(), "it has no pages of 4096 bytes");
    setup(state);
    model.cap_high = 0;
    assert_string_equal(start(), "it has no commands of disks");
    setup(state);
    model.cap_low = 0x14000000;
    assert_string_equal(start(), "its queues have less than 2 entries");
    setup(state);
    model.never_rests = true;
    assert_string_equal(start(), "it does not come to rest");
    setup(state);
    model.never_ready = true;
    assert_string_equal(start(), "it does not become ready");
    setup(state);
    model.fatal = true;
    assert_string_equal(start(), "it does not become ready");
    setup(state);
    model.mood = MODEL_SILENT;
    assert_string_equal(start(), silent);
    assert_int_equal(model.starts, 4);
    setup(state);
    model.mood = MODEL_WRONG_COMMAND;
    assert_string_equal(start(), other);
    setup(state);
    model.mood = MODEL_REFUSES;
    model.status = 4;
    assert_string_equal(start(), "it does not identify itself");
    for (unsigned code = 1; code <= 5; code += 4) {
        setup(state);
        model.status = 4;
        model.refuses_own = code;
        assert_string_equal(start(), "it makes no queues");
    }
}

/* CAP.TO is in units of 500 ms. */
static void waits_as_long_as_it_says(void **state)
{
    static const struct {
        unsigned units, needs;
        bool well;
    } rows[] = {{30, 15000, true}, {30, 15100, false}, {255, 127500, true}, {1, 499, true},
                {1, 600, false},   {0, 400, true},     {0, 600, false}};

    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *wrong;

        setup(state);
        model.cap_low = rows[i].units << 24 | 0xffff;
        model.ready_after = rows[i].needs - 1;
        wrong = start();
        if (rows[i].well)
            assert_null(wrong);
        else
            assert_string_equal(wrong, "it does not become ready");
    }
}

/* CAP.MQES, which counts from 0. All entries but one can be filled, and the tail never meets the head. */
static void queues_are_no_longer_than_it_takes(void **state)
{
    static const unsigned lengths[] = {2, 3, 8, 15, 16, 17, 63, 64, 65, 0x10000};

    for (unsigned i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        struct disk_request requests[64];
        unsigned depth = (lengths[i] < 64 ? lengths[i] : 64) - 1;

        setup(state);
        model.cap_low = 0x14000000 | (lengths[i] - 1);
        assert_null(start());
        assert_int_equal(model.queue[1].entries, depth + 1);
        for (unsigned round = 0; round < 50; round++) { /* around the queue some times */
            for (unsigned j = 0; j < depth; j++) {
                requests[j] = request_of(DISK_READ, j, 1, 512 * j);
                assert_true(submit(&requests[j]));
            }
            requests[depth] = requests[0];
            assert_false(submit(&requests[depth]));
            turns(1);
            assert_int_equal(finished[DISK_OK], (round + 1) * depth);
        }
    }
}

/* QEMU's nvme-ns,ms=8 has seven formats and uses the second one; mset=1 sets bit 4 of FLBAS. */
static void metadata_is_refused(void **state)
{
    static const uint32_t sizes[] = {8, 16, 64, 0xffff};

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        for (unsigned inside = 0; inside < 2; inside++) {
            setup(state);
            model.last = 7;
            model.flbas = (uint8_t)(inside << 4 | 1);
            model.format = 9 << 16 | sizes[i];
            assert_null(start());
            assert_string_equal(nvme.identity.namespace[0].wrong,
                                "it has metadata, in its blocks or beside them: expected none");
        }
    setup(state);
    model.last = 0; /* format 1 is used */
    assert_null(start());
    assert_string_equal(nvme.identity.namespace[0].wrong, "it is in a format that it does not list");
    setup(state);
    model.last = 35; /* beyond 16 formats, bits 5 and 6 count, too */
    model.flbas = 0x42;
    assert_null(start());
    assert_null(nvme.identity.namespace[0].wrong);
    setup(state);
    model.flbas = 0x61; /* else they do not */
    assert_null(start());
    assert_null(nvme.identity.namespace[0].wrong);
}

static void sizes_are_refused(void **state)
{
    static const uint8_t shifts[] = {0, 8, 13, 255};

    for (unsigned i = 0; i < sizeof(shifts); i++) {
        setup(state);
        model.format = (uint32_t)shifts[i] << 16;
        assert_null(start());
        assert_string_equal(nvme.identity.namespace[0].wrong, "its blocks are not of 512 to 4096 bytes");
    }
    for (unsigned i = 0; i < 3; i++) {
        struct disk_request request = request_of(DISK_READ, 0, 1, 0);

        setup(state);
        model.blocks = i == 0 ? 0 : i == 1 ? UINT64_MAX : 1ull << 54;
        assert_null(start());
        assert_string_equal(nvme.identity.namespace[0].wrong,
                            "it says that it has no blocks, or more than can be named");
        assert_false(submit(&request));
    }
}

static void several_namespaces(void **state)
{
    struct disk_request request = request_of(DISK_READ, 5, 1, 0);

    memcpy(model.list, (const uint32_t[]){2, 4, 5, 5}, 16); /* the last one makes no sense: the end */
    assert_null(start());
    assert_int_equal(nvme.identity.namespaces, 3);
    assert_int_equal(nvme.identity.count, 3);
    assert_int_equal(nvme.identity.namespace[1].id, 4);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(nvme_submit(&nvme, i, &request, model.now));
        turns(1);
        assert_memory_equal(model_data, model.media[nvme.identity.namespace[i].id % MODEL_SPACES] + 5 * 512,
                            512);
    }
    assert_false(nvme_submit(&nvme, 3, &request, model.now));
    /* One that does not list them has the first ones; so has one of before 1.1. */
    for (unsigned i = 0; i < 2; i++) {
        setup(state);
        model.namespaces = 12;
        model.status = 2;
        model.refuses_own = 6 | 2 << 8;
        model.version = i ? 0x00010000 : 0x00010400;
        assert_null(start());
        assert_int_equal(nvme.identity.namespaces, NVME_NAMESPACES);
        assert_int_equal(nvme.identity.count, 12);
        assert_int_equal(nvme.identity.namespace[7].id, 8);
    }
    setup(state);
    model.namespaces = 0;
    model.list[0] = 0;
    assert_null(start());
    assert_int_equal(nvme.identity.namespaces, 0);
}

/* At each place in a page, over so many pages; the bytes beside it are as they were. */
static void requests_of_each_size(void **state)
{
    static const uint32_t counts[] = {1, 7, 8, 9, 15, 16, 17, 64, 1000, 1024};

    (void)state;
    assert_null(start());
    for (unsigned i = 0; i < sizeof(counts) / sizeof(*counts); i++)
        for (size_t offset = 512; offset <= 4096; offset += 512) {
            struct disk_request request = request_of(DISK_READ, 3 * i, counts[i], offset);
            size_t bytes = counts[i] * 512;

            memset(model_data, 0xee, sizeof(model_data));
            assert_true(submit(&request));
            turns(1);
            assert_memory_equal(model_data + offset, model.media[1] + 3 * i * 512, bytes);
            assert_true(model_data[offset - 1] == 0xee && model_data[offset + bytes] == 0xee);
            memset(model_data, (int)(offset / 512 + i), sizeof(model_data));
            request.action = DISK_WRITE;
            assert_true(submit(&request));
            turns(1);
            assert_memory_equal(model_data + offset, model.media[1] + 3 * i * 512, bytes);
        }
    assert_int_equal(finished[DISK_OK], 2 * 8 * sizeof(counts) / sizeof(*counts));
}

static void requests_in_pieces(void **state)
{
    struct disk_request request = request_of(DISK_READ, 0, 25, 0);

    (void)state;
    request.pieces = 3;
    request.piece[0] = (struct disk_piece){MODEL_DATA + 0x1e00, 512};
    request.piece[1] = (struct disk_piece){MODEL_DATA + 0x8000, 8192};
    request.piece[2] = (struct disk_piece){MODEL_DATA + 0x4000, 4096};
    assert_null(start());
    assert_true(submit(&request));
    turns(1);
    assert_int_equal(finished[DISK_OK], 1);
    assert_memory_equal(model_data + 0x1e00, model.media[1], 512);
    assert_memory_equal(model_data + 0x8000, model.media[1] + 512, 8192);
    assert_memory_equal(model_data + 0x4000, model.media[1] + 512 + 8192, 4096);
}

static void other_requests(void **state)
{
    struct disk_request request = request_of(DISK_FLUSH, 0, 0, 0);

    (void)state;
    assert_null(start());
    assert_true(submit(&request));
    turns(1);
    request = request_of(DISK_WRITE, 9, 1, 0);
    request.fua = true;
    assert_true(submit(&request));
    turns(1);
    assert_int_equal(model.fua, 1);
    request = request_of(DISK_WRITE_ZEROES, 10, 100, 0);
    request.fua = true;
    assert_true(submit(&request));
    turns(1);
    assert_int_equal(model.fua, 2);
    request = request_of(DISK_DISCARD, 500, 100, 0);
    assert_true(submit(&request));
    turns(1);
    assert_int_equal(model.discards + model.zeroes + model.flushes + model.writes, 4);
    assert_int_equal(model.media[1][10 * 512] | model.media[1][599 * 512], 0);
    assert_int_equal(finished[DISK_OK], 4);
    /* Without a write cache nothing is kept back. */
    setup(state);
    model.cache = 0;
    assert_null(start());
    request = request_of(DISK_FLUSH, 0, 0, 0);
    assert_true(submit(&request));
    assert_int_equal(finished[DISK_OK], 1);
    assert_int_equal(model.flushes, 0);
}

static void requests_are_refused(void **state)
{
    struct disk_request wrong[] = {
        request_of(DISK_READ, MODEL_BLOCKS, 1, 0),
        request_of(DISK_READ, MODEL_BLOCKS - 1, 2, 0),
        request_of(DISK_READ, UINT64_MAX, 2, 0),
        request_of(DISK_READ, 0, 0, 0),
        request_of(DISK_WRITE, 0, 1025, 0),
        request_of(DISK_WRITE_ZEROES, 0, 1025, 0),
        request_of(DISK_DISCARD, 1, MODEL_BLOCKS, 0),
        request_of(DISK_READ, 0, 1, 2),
        request_of(DISK_READ, 0, 8, 0),
        request_of(DISK_READ, 0, 8, 0),
        request_of(DISK_READ, 0, 8, 0),
        request_of(DISK_READ, 0, 8, 0),
    };
    unsigned count = sizeof(wrong) / sizeof(*wrong);
    struct disk_request write = request_of(DISK_WRITE, 0, 1, 0);

    (void)state;
    wrong[8].pieces = 0;
    wrong[9].piece[0].bytes = 512;
    wrong[10].pieces = 2; /* the second one begins within a page */
    wrong[10].piece[0] = (struct disk_piece){MODEL_DATA + 2048, 2048};
    wrong[10].piece[1] = (struct disk_piece){MODEL_DATA + 0x2200, 2048};
    wrong[11].pieces = 2; /* the first one ends within one */
    wrong[11].piece[0].bytes = 2048;
    wrong[11].piece[1] = (struct disk_piece){MODEL_DATA + 4096, 2048};
    assert_null(start());
    for (unsigned i = 0; i < count; i++) {
        assert_true(submit(&wrong[i]));
        assert_int_equal(finished[DISK_MEDIUM], i + 1);
    }
    turns(1);
    assert_int_equal(model.reads + model.writes + model.zeroes + model.discards, 0);
    setup(state);
    model.attributes = 1;
    model.commands = 0;
    assert_null(start());
    assert_true(submit(&write));
    wrong[0] = request_of(DISK_DISCARD, 0, 1, 0);
    wrong[1] = request_of(DISK_WRITE_ZEROES, 0, 1, 0);
    assert_true(submit(&wrong[0]) && submit(&wrong[1]));
    assert_int_equal(finished[DISK_MEDIUM], 3);
}

/* DNR: it would be the same again. Without it a request is tried a few times. */
static void errors_of_requests(void **state)
{
    static const struct {
        uint16_t status;
        unsigned refuses, reads;
        enum disk_status end;
    } rows[] = {{0x4281, 1, 0, DISK_MEDIUM}, /* unrecovered read error */
                {0x0082, 1, 1, DISK_OK},     /* namespace not ready */
                {0x0082, 2, 1, DISK_OK},
                {0x0082, 3, 0, DISK_MEDIUM}};

    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct disk_request request = request_of(DISK_READ, 0, 1, 0);

        setup(state);
        assert_null(start());
        model.status = rows[i].status;
        model.refuses = rows[i].refuses;
        assert_true(submit(&request));
        turns(5);
        assert_int_equal(finished[rows[i].end], 1);
        assert_int_equal(model.reads, rows[i].reads);
        assert_int_equal(model.starts, 1);
    }
}

/* It is reset, what it had is given to it once more, and what is submitted meanwhile waits. */
static void a_silent_controller_is_reset(void **state)
{
    struct disk_request requests[4];

    (void)state;
    assert_null(start());
    model.mood = MODEL_SILENT;
    for (unsigned i = 0; i < 3; i++) {
        requests[i] = request_of(DISK_READ, i, 1, 512 * i);
        assert_true(submit(&requests[i]));
    }
    while (nvme.state == NVME_READY)
        turn();
    assert_in_range(model.now, 30000, 31000);
    assert_int_equal(finished[0] + finished[1] + finished[2], 0);
    requests[3] = request_of(DISK_READ, 3, 1, 512 * 3);
    assert_true(submit(&requests[3]));
    model.mood = MODEL_WELL;
    while (nvme.state != NVME_READY || nvme_work(&nvme, model.now) != NVME_NEVER)
        turn();
    assert_int_equal(model.starts, 2);
    assert_int_equal(finished[DISK_OK], 4);
    assert_memory_equal(model_data, model.media[1], 4 * 512);
}

/* A request that makes it silent ends; then so does the controller. */
static void a_silent_controller_dies(void **state)
{
    struct disk_request request = request_of(DISK_READ, 0, 1, 0), more = request;

    (void)state;
    assert_null(start());
    model.mood = MODEL_SILENT;
    assert_true(submit(&request));
    for (unsigned i = 0; i < 3; i++) {
        model.mood = MODEL_SILENT;
        while (nvme.state == NVME_READY)
            turn();
        model.mood = MODEL_WELL;
        while (nvme.state != NVME_READY) {
            model.mood = nvme.state < NVME_READY ? MODEL_WELL : MODEL_SILENT;
            assert_int_not_equal(nvme.state, NVME_DEAD);
            if (nvme.state == NVME_SUBMISSIONS) {
                model_step();
                model.mood = MODEL_SILENT;
                (void)nvme_work(&nvme, model.now);
                break;
            }
            turn();
        }
    }
    assert_int_equal(finished[DISK_MEDIUM], 1);
    model.mood = MODEL_SILENT;
    assert_true(submit(&more));
    while (nvme.state != NVME_DEAD)
        turn();
    assert_string_equal(nvme.wrong, "it does not answer");
    assert_int_equal(finished[DISK_GONE], 1);
    assert_int_equal(model.cc, 0);
    assert_false(submit(&more));
    assert_int_equal(nvme_work(&nvme, model.now), NVME_NEVER);
}

/* It may be at what it had until it is at rest: nothing of that ends before. */
static void one_that_does_not_come_to_rest(void **state)
{
    struct disk_request request = request_of(DISK_READ, 0, 1, 0);

    (void)state;
    assert_null(start());
    model.mood = MODEL_SILENT;
    assert_true(submit(&request));
    request.tries = 2; /* the last one */
    model.never_rests = true;
    while (nvme.state == NVME_READY)
        turn();
    turns(9000);
    assert_int_equal(finished[DISK_MEDIUM] + finished[DISK_GONE], 0);
    turns(2000);
    assert_string_equal(nvme.wrong, "it does not come to rest");
    assert_int_equal(finished[DISK_GONE], 1);
}

static void another_controller_after_a_reset(void **state)
{
    for (unsigned i = 0; i < 4; i++) {
        struct disk_request request = request_of(DISK_WRITE, 0, 1, 0);

        setup(state);
        assert_null(start());
        model.mood = MODEL_SILENT;
        assert_true(submit(&request));
        while (nvme.state == NVME_READY)
            turn();
        model.mood = MODEL_WELL;
        if (i == 0)
            strcpy(model.serial, "OTHER");
        else if (i == 1)
            model.blocks--;
        else if (i == 2)
            model.format = 12 << 16;
        else
            model.list[0] = 2;
        for (unsigned j = 0; j < 100000 && nvme.state != NVME_DEAD; j++)
            turn();
        assert_int_equal(nvme.state, NVME_DEAD);
        assert_string_equal(nvme.wrong, "it is another one after a reset");
        assert_int_equal(finished[DISK_GONE], 1);
        assert_int_equal(model.writes, 0);
    }
}

static void a_controller_that_goes(void **state)
{
    struct disk_request request = request_of(DISK_READ, 0, 1, 0);

    (void)state;
    assert_null(start());
    model.mood = MODEL_SILENT;
    assert_true(submit(&request));
    model.gone = true;
    while (nvme.state != NVME_DEAD)
        turn();
    assert_string_equal(nvme.wrong, "it is not there any more");
    assert_int_equal(finished[DISK_GONE], 1);
}

/* The answer to a slot's request before is none to the one that it has now. */
static void an_answer_that_came_before(void **state)
{
    struct disk_request first = request_of(DISK_READ, 0, 1, 0), second = request_of(DISK_READ, 1, 1, 512);
    uint32_t command;

    (void)state;
    assert_null(start());
    assert_true(submit(&first));
    command = model.queue[1].waiting[0].head >> 16;
    turns(1);
    assert_true(submit(&second));
    assert_int_not_equal(model.queue[1].waiting[0].head >> 16, command);
    model_complete(&model.queue[1], command, 0);
    (void)nvme_work(&nvme, model.now);
    assert_int_equal(nvme.state, NVME_RESTING);
    assert_int_equal(finished[DISK_OK], 1);
    while (nvme.state != NVME_READY || nvme_work(&nvme, model.now) != NVME_NEVER)
        turn();
    assert_int_equal(finished[DISK_OK], 2);
}

/* Completions that make no sense cost the controller, not the driver; each request ends once. */
static void hostile(void **state)
{
    for (unsigned round = 0; round < 300; round++) {
        static struct disk_request requests[2000];
        unsigned submitted = 0;

        setup(state);
        srand(round);
        assert_null(start());
        model.mood = round % 3 == 0 ? MODEL_RANDOM : round % 3 == 1 ? MODEL_TWICE : MODEL_WRONG_COMMAND;
        for (unsigned i = 0; i < 20 && nvme.state != NVME_DEAD; i++) {
            for (unsigned j = 0; j < 8; j++) {
                requests[submitted] =
                    request_of((enum disk_action)(rand() % 5), (uint64_t)rand() % 2100, 4, j * 2048);
                submitted += submit(&requests[submitted]);
            }
            turns(3);
        }
        if (model.mood == MODEL_WRONG_COMMAND)
            assert_string_equal(nvme.wrong, "expected an answer to the driver's command, found another");
        model.mood = MODEL_WELL;
        while (nvme.state != NVME_DEAD &&
               (nvme.state != NVME_READY || nvme_work(&nvme, model.now) != NVME_NEVER))
            turn();
        assert_int_equal(finished[0] + finished[1] + finished[2], submitted);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(starts),
        TEST(is_refused),
        TEST(waits_as_long_as_it_says),
        TEST(queues_are_no_longer_than_it_takes),
        TEST(metadata_is_refused),
        TEST(sizes_are_refused),
        TEST(several_namespaces),
        TEST(requests_of_each_size),
        TEST(requests_in_pieces),
        TEST(other_requests),
        TEST(requests_are_refused),
        TEST(errors_of_requests),
        TEST(a_silent_controller_is_reset),
        TEST(a_silent_controller_dies),
        TEST(one_that_does_not_come_to_rest),
        TEST(another_controller_after_a_reset),
        TEST(a_controller_that_goes),
        TEST(an_answer_that_came_before),
        TEST(hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
