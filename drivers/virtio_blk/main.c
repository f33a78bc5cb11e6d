/* SPDX-License-Identifier: ISC */
/*
 * virtio_blk: a virtio disk, for one client by a Block session. The session's label is "0" or the disk's serial
 * number. The configuration:
 *
 *   <config device="00:04.0"/>     DEVICE session of this label
 *
 * A device that does not answer, or whose answers make no sense, costs the driver its life: the next one resets it,
 * and the client sends again what was not answered.
 */
#include "base/include/log.h"
#include "drivers/virtio_blk/virtio_blk.h"
#include "lib/block/driver.h"

#include <string.h>

#define REST_MS   1000u
#define ANSWER_MS 30000u /* the device may take until its next answer */
#define IO_SERIAL (DRIVER_IO + VIRTIO_MEMORY)
#define MEMORY    (VIRTIO_MEMORY + 0x1000u)

static volatile uint8_t *registers[VIRTIO_PARTS];
static struct virtio_blk virtio;
static uint64_t limit; /* milliseconds: until then it has to give the next answer */

static struct server_place place;
static struct block_session session;
static struct driver_disk disk;
static struct driver driver;

/* For the serial number, before the disk has a client. */
static struct disk_request identity;
static enum disk_status identity_status;
static char serial[VIRTIO_SERIAL + 1];

/* ---- The device */

static uint32_t space_read(void *context, unsigned offset)
{
    uint32_t value;
    enum error error = device_read(&driver.device, offset, &value);

    (void)context;
    return error ? 0 : value;
}

static uint32_t part_read(void *context, enum virtio_part part, unsigned offset, unsigned bytes)
{
    volatile void *at = registers[part] + offset;

    (void)context;
    return bytes == 1   ? *(volatile uint8_t *)at
           : bytes == 2 ? *(volatile uint16_t *)at
                        : *(volatile uint32_t *)at;
}

static void part_write(void *context, enum virtio_part part, unsigned offset, unsigned bytes, uint32_t value)
{
    volatile void *at = registers[part] + offset;

    (void)context;
    if (bytes == 1)
        *(volatile uint8_t *)at = (uint8_t)value;
    else if (bytes == 2)
        *(volatile uint16_t *)at = (uint16_t)value;
    else
        *(volatile uint32_t *)at = value;
}

static void end(const char *wrong)
{
    driver_wrong(&driver, wrong);
    component_exit(1);
}

static bool under_way(void)
{
    return virtio.busy != 0;
}

static void done(void *context, struct disk_request *request, enum disk_status status)
{
    (void)context;
    if (request == &identity)
        identity_status = status;
    else if (status != DISK_GONE) /* then the driver ends, and its client sends this again */
        driver_done(&driver, request, status);
}

/* The time starts anew with each answer; without requests it does not run. */
static uint64_t work(uint64_t bits)
{
    uint64_t now = driver_now(&driver);
    uint16_t used = virtio.used;

    (void)bits;
    if (!virtio_work(&virtio))
        end("expected answers to its requests, found others");
    if (virtio.used != used)
        limit = now + ANSWER_MS;
    else if (under_way() && now >= limit)
        end("it does not answer");
    return under_way() ? limit : DRIVER_NEVER;
}

static bool submit(unsigned number, struct disk_request *request)
{
    bool first = !under_way();

    (void)number;
    if (!virtio_submit(&virtio, request))
        return false;
    if (first)
        limit = driver_now(&driver) + ANSWER_MS;
    driver_wake(&driver, limit);
    return true;
}

/* ---- The client: the disk has one. */

static unsigned choose(void *context, const struct server_request *request)
{
    bool is_disk = !strcmp(request->label, "0") || (serial[0] && !strcmp(request->label, serial));

    (void)context;
    return is_disk ? 0 : SERVER_NO_PLACE;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void describe(void)
{
    const struct virtio_disk *is = &virtio.disk;
    struct block_header header = {.flags = (is->read_only ? BLOCK_READ_ONLY : 0u) |
                                           (is->most_discard ? BLOCK_DISCARDS : 0u),
                                  .sectors = is->sectors,
                                  .sector_bytes = is->bytes,
                                  .physical_bytes = is->physical,
                                  .most = least(is->most, (BLOCK_DONATION - BLOCK_DATA) / is->bytes),
                                  .depth = is->depth};

    disk.zeroes = is->most_zeroes;
    header.most_empty = disk.zeroes ? is->most_zeroes : least(DRIVER_ZEROS / is->bytes, header.most);
    if (is->most_discard)
        header.most_empty = least(header.most_empty, is->most_discard);
    memcpy(header.serial, serial, sizeof(serial));
    driver_describe(&driver, 0, &header);
}

/* ---- The start: nothing else happens yet, so it may wait. */

static const char *registers_find(void)
{
    const char *wrong = virtio_find(space_read, NULL, &virtio.layout);

    for (unsigned i = 0; !wrong && i < VIRTIO_PARTS; i++) {
        const struct virtio_place *at = &virtio.layout.part[i];
        volatile void *bar;
        uint64_t bytes;
        enum error error = device_bar(&driver.device, at->bar, &bar, &bytes);

        if (error)
            return error_text(error);
        if (at->offset > bytes || at->bytes > bytes - at->offset)
            return "its registers do not lie in its BARs";
        registers[i] = (volatile uint8_t *)bar + at->offset;
    }
    return wrong;
}

static const char *rest(void)
{
    for (unsigned i = 0; i < REST_MS; i++) {
        if (virtio_rest(&virtio))
            return NULL;
        event_turn(tsc_read() + driver.tsc_hz / 1000);
    }
    return "it does not come to rest";
}

/* A disk that tells none has none. */
static const char *serial_read(void)
{
    uint64_t until = tsc_read() + ANSWER_MS * (driver.tsc_hz / 1000);

    identity = (struct disk_request){.pieces = 1, .piece = {{IO_SERIAL, VIRTIO_SERIAL}}};
    limit = driver_now(&driver) + ANSWER_MS;
    driver_work(&driver);
    if (!virtio_serial(&virtio, &identity))
        return "it takes no requests";
    while (under_way() && tsc_read() < until)
        event_turn(until);
    if (under_way())
        return "it does not tell its serial number";
    if (identity_status == DISK_OK)
        virtio_serial_text(virtio.memory + VIRTIO_MEMORY, serial);
    return NULL;
}

static const char *device_start(bool msix)
{
    const char *wrong = registers_find();
    enum error error;

    virtio.wiring = (struct virtio_wiring){.read = part_read, .write = part_write, .done = done};
    virtio.io_address = DRIVER_IO;
    if (!wrong)
        wrong = rest();
    if (wrong)
        return wrong;
    error = device_dma(&driver.device, true);
    if (error)
        return error_text(error);
    wrong = virtio_start(&virtio, true, msix ? 0 : VIRTIO_NO_MESSAGE);
    return wrong ? wrong : serial_read();
}

int component_main(void)
{
    const char *wrong;
    void *memory;
    bool msix;

    driver = (struct driver){
        .server = {.server = {.place = &place, .places = 1, .choose = choose}, .session = &session},
        .disk = &disk,
        .submit = submit,
        .work = work};
    if (!driver_open(&driver, &msix) || !driver_memory(&driver, MEMORY, DRIVER_IO, &memory))
        return 1;
    virtio.memory = memory;
    wrong = device_start(msix);
    if (wrong) {
        driver_wrong(&driver, wrong);
        return 1;
    }
    describe();
    log_line("device %s: %lu sectors of %u bytes, serial '%s', depth %u%s%s%s", driver.config.device,
             virtio.disk.sectors, virtio.disk.bytes, serial, virtio.disk.depth,
             virtio.disk.read_only ? ", read-only" : "", virtio.disk.most_discard ? ", discards" : "",
             virtio.disk.most_zeroes ? ", zeroes" : "");
    if (!driver_serve(&driver))
        return 1;
    event_loop();
}
