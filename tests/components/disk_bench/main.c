/* SPDX-License-Identifier: ISC */
/*
 * disk_bench: the length of a request's way from a client to a driver's doorbell, and from the disk's interrupt back,
 * under deterministic counting (tools/bench.py). Beside what the request costs, a disk takes its time. A thread below
 * all others spends it and says how much that was, so that it can be taken away; the processor is never idle, when time
 * would not be the instructions that were executed. The configuration:
 *
 *   <config>
 *     <disk label="0" name="ahci"/>                   one after the other
 *     <disk label="1" name="nvme" deep="no"/>         without the batches of 32
 *   </config>
 */
#include "base/include/config.h"
#include "base/include/log.h"
#include "lib/block/block.h"
#include "lib/format/format.h"

#include <string.h>

#define DISKS    4u
#define CAP_DISK CAP_FREE
#define DEPTH    32u
#define WARM     4u
#define ROUNDS   32u
#define PAUSE    200000u /* TSC: longer than a server's period */
#define STACK    0x2000u
#define TICK     600u /* instructions: the scheduler alone takes no more */

static const char *const disk_attributes[] = {"label!", "name!", "deep", NULL};
static const struct xml_schema disk_schema = {.name = "disk", .attributes = disk_attributes};
static const struct xml_child_rule config_children[] = {{&disk_schema, 1, DISKS}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {.name = "config", .children = config_children};

static struct {
    char label[64], name[32];
    bool deep;
} config[DISKS];
static unsigned count;

static struct block disks[DISKS];
static struct block_operation operations[DEPTH];
static unsigned answered;
static volatile uint64_t waited;

static bool config_read(void *context, char *text, size_t bytes, struct xml_error *error)
{
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);

    (void)context;
    if (!root)
        return false;
    for (const struct xml_node *disk = xml_child(root, "disk"); disk;
         disk = xml_next(disk, "disk"), count++) {
        if (!xml_get_bool_or(disk, "deep", true, &config[count].deep, error))
            return false;
        format_text(config[count].label, sizeof(config[count].label), "%s",
                    xml_get_string_or(disk, "label", ""));
        format_text(config[count].name, sizeof(config[count].name), "%s",
                    xml_get_string_or(disk, "name", ""));
    }
    return true;
}

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
    const struct block *disk = context;

    if (disk->client.state == BLOCK_CLIENT_FAILED)
        failed(disk->client.failure, 0);
}

static void spin(void *argument)
{
    uint64_t last = tsc_read();

    (void)argument;
    for (;;) {
        uint64_t now = tsc_read();

        if (now - last < TICK)
            waited = waited + (now - last);
        last = now;
    }
}

/* Instructions from the first request to the last answer, without those that only waited. */
static uint64_t batch(struct block *disk, unsigned depth, uint32_t sectors)
{
    uint32_t bytes = sectors * disk->client.info.sector_bytes, fit = disk->client.data_bytes / bytes;
    uint64_t pause = tsc_read() + PAUSE, begin, before;

    while (tsc_read() < pause)
        event_turn(pause);
    answered = 0;
    before = waited;
    begin = tsc_read();
    for (unsigned i = 0; i < depth; i++) {
        operations[i] = (struct block_operation){.action = BLOCK_READ,
                                                 .sector = (uint64_t)i * sectors,
                                                 .count = sectors,
                                                 .offset = i % fit * bytes};
        if (!block_submit(disk, &operations[i]))
            failed("requests that the server took", i);
    }
    while (answered < depth)
        event_turn(DEADLINE_NEVER);
    return tsc_read() - begin - (waited - before);
}

/* Instructions of a request: of many batches a quarter is shorter, for now and then a disk answers before the request
 * has gone all of its way. */
static void measure(struct block *disk, const char *name, const char *what, unsigned depth, uint32_t bytes)
{
    uint64_t sorted[ROUNDS];

    for (unsigned round = 0; round < WARM + ROUNDS; round++) {
        uint64_t length = batch(disk, depth, bytes / disk->client.info.sector_bytes);
        unsigned at = round < WARM ? 0 : round - WARM;

        for (; at && sorted[at - 1] > length; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = length;
    }
    log_line("bench: %s.%s = %lu instructions", name, what, (sorted[ROUNDS / 4] + depth - 1) / depth);
}

int component_main(void)
{
    if (!config_load(config_read, NULL) || thread_create(spin, NULL, 1, STACK, 0) != ERROR_OK)
        return 1;
    for (unsigned i = 0; i < count; i++) {
        disks[i] = (struct block){.label = config[i].label,
                                  .signal = CAP_DISK + i,
                                  .bit = 1ull << i,
                                  .context = &disks[i],
                                  .done = done,
                                  .changed = changed};
        block_start(&disks[i]);
        while (disks[i].client.state != BLOCK_CLIENT_READY)
            event_turn(DEADLINE_NEVER);
        measure(&disks[i], config[i].name, "read_4k.depth1", 1, 4096);
        if (config[i].deep)
            measure(&disks[i], config[i].name, "read_64k.depth32", DEPTH, 65536);
    }
    log_line("bench: done");
    return 0;
}
