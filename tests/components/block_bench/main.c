/* SPDX-License-Identifier: ISC */
/*
 * block_bench: the length of a request's way from a client to ram_block and back, under deterministic counting
 * (tools/bench.py): a difference of RDTSC is the number of instructions executed, by the client, the kernel and the
 * server. A flush copies nothing: it is what the session costs by itself. The server is below its client in
 * priority, so it finds all requests of a batch; a pause before each keeps its period out of the figure. Reads that do
 * not all fit into the data area share its bytes, for nobody looks at them.
 */
#include "base/include/config.h"
#include "base/include/log.h"
#include "lib/block/block.h"

#define CAP_DISK CAP_FREE
#define BIT_DISK 1ull
#define DEPTH    32u
#define WARM     8u
#define ROUNDS   16u
#define PAUSE    200000u /* TSC: longer than a server's period */

static struct block disk;
static struct block_operation operations[DEPTH];
static unsigned answered;

static void failed(const char *what, uint64_t value)
{
    log_line("bench: failed: %s: %lu", what, value);
    component_exit(1);
}

static void done(void *context, struct block_operation *operation, enum block_status status)
{
    (void)context;
    (void)operation;
    answered++;
    if (status)
        failed("a request's status", status);
}

static void changed(void *context)
{
    (void)context;
    if (disk.client.state == BLOCK_CLIENT_FAILED)
        failed(disk.client.failure, 0);
}

/* Instructions from the first request to the last answer. */
static uint64_t batch(enum block_action action, unsigned depth, uint32_t count)
{
    uint32_t bytes = count * disk.client.info.sector_bytes, fit = bytes ? disk.client.data_bytes / bytes : 1;
    uint64_t pause = tsc_read() + PAUSE, begin;

    while (tsc_read() < pause)
        event_turn(pause);
    answered = 0;
    begin = tsc_read();
    for (unsigned i = 0; i < depth; i++) {
        operations[i] = (struct block_operation){
            .action = action, .sector = (uint64_t)i * count, .count = count, .offset = i % fit * bytes};
        if (!block_submit(&disk, &operations[i]))
            failed("requests that the server took", i);
    }
    while (answered < depth)
        event_turn(DEADLINE_NEVER);
    return tsc_read() - begin;
}

/* Instructions of a request: the least of many batches. */
static void measure(const char *name, enum block_action action, unsigned depth, uint32_t bytes)
{
    uint64_t least = UINT64_MAX;

    for (unsigned round = 0; round < WARM + ROUNDS; round++) {
        uint64_t length = batch(action, depth, bytes / disk.client.info.sector_bytes);

        if (round >= WARM && length < least)
            least = length;
    }
    log_line("bench: block.%s = %lu instructions", name, (least + depth - 1) / depth);
}

int component_main(void)
{
    disk = (struct block){
        .label = "scratch", .signal = CAP_DISK, .bit = BIT_DISK, .done = done, .changed = changed};
    block_start(&disk);
    while (disk.client.state != BLOCK_CLIENT_READY)
        event_turn(DEADLINE_NEVER);
    measure("flush.depth1", BLOCK_FLUSH, 1, 0);
    measure("flush.depth32", BLOCK_FLUSH, DEPTH, 0);
    measure("read_4k.depth1", BLOCK_READ, 1, 4096);
    measure("read_4k.depth32", BLOCK_READ, DEPTH, 4096);
    measure("read_64k.depth32", BLOCK_READ, DEPTH, 65536);
    log_line("bench: done");
    return 0;
}
