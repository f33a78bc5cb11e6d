/* SPDX-License-Identifier: ISC */
/*
 * nvme: the namespaces of an NVMe controller, each a disk for one client by a Block session. The session's label is
 * the namespace's number, or its serial number: that of the controller, for namespaces other than 1 with ":NUMBER"
 * behind it. The configuration:
 *
 *   <config device="00:04.0"/>     DEVICE session of this label
 *
 * A controller that is dead costs the driver its life: the next one brings it up anew, and the clients send again
 * what was not answered.
 */
#include "base/include/log.h"
#include "drivers/nvme/nvme.h"
#include "lib/block/driver.h"
#include "lib/format/format.h"

#include <string.h>

#define REGISTERS 0u /* BAR */

static volatile uint32_t *registers;
static struct nvme nvme;

/* A place for each namespace. */
static struct server_place places[NVME_NAMESPACES];
static struct block_session sessions[NVME_NAMESPACES];
static struct driver_disk disks[NVME_NAMESPACES];
static struct driver driver;

/* ---- The controller */

static uint32_t register_read(void *context, unsigned offset)
{
    (void)context;
    return registers[offset / 4];
}

static void register_write(void *context, unsigned offset, uint32_t value)
{
    (void)context;
    registers[offset / 4] = value;
}

static void done(void *context, struct disk_request *request, enum disk_status status)
{
    (void)context;
    if (status != DISK_GONE) /* then the driver ends, and its client sends this again */
        driver_done(&driver, request, status);
}

static uint64_t work(uint64_t bits)
{
    uint64_t next = nvme_work(&nvme, driver_now(&driver));

    (void)bits;
    if (nvme.state == NVME_DEAD) {
        driver_wrong(&driver, nvme.wrong);
        component_exit(1);
    }
    return next;
}

static bool submit(unsigned place, struct disk_request *request)
{
    if (!nvme_submit(&nvme, place, request, driver_now(&driver)))
        return false;
    driver_wake(&driver, nvme.deadline);
    return true;
}

/* ---- Namespaces */

static unsigned choose(void *context, const struct server_request *request)
{
    unsigned place = 0;
    char number[12];

    (void)context;
    for (; place < nvme.identity.namespaces; place++) {
        const struct block_header *header = &disks[place].header;

        format_text(number, sizeof(number), "%u", nvme.identity.namespace[place].id);
        if (header->sectors && (!strcmp(request->label, number) ||
                                (header->serial[0] && !strcmp(request->label, header->serial))))
            return place;
    }
    return SERVER_NO_PLACE;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void describe(unsigned place)
{
    const struct nvme_namespace *is = &nvme.identity.namespace[place];
    const char *serial = nvme.identity.serial;
    struct block_header header = {.flags = (is->read_only ? BLOCK_READ_ONLY : 0u) |
                                           (nvme.identity.discards ? BLOCK_DISCARDS : 0u),
                                  .sectors = is->sectors,
                                  .sector_bytes = is->bytes,
                                  .physical_bytes = is->bytes,
                                  .most = least(is->most, (BLOCK_DONATION - BLOCK_DATA) / is->bytes),
                                  .depth = nvme.depth};

    disks[place].zeroes = is->most_zeroes;
    header.most_empty = is->most_zeroes ? is->most_zeroes : least(DRIVER_ZEROS / is->bytes, header.most);
    if (is->id == 1)
        format_text(header.serial, sizeof(header.serial), "%s", serial);
    else
        format_text(header.serial, sizeof(header.serial), "%s:%u", serial, is->id);
    driver_describe(&driver, place, &header);
    log_line("namespace %u: %lu sectors of %u bytes, serial '%s'%s", is->id, is->sectors, is->bytes,
             header.serial, is->read_only ? ", read-only" : "");
}

static void describe_all(void)
{
    const struct nvme_identity *is = &nvme.identity;

    log_line("device %s: %s, depth %u%s%s%s", driver.config.device, is->model, nvme.depth,
             is->flushes ? ", write cache" : "", is->discards ? ", discards" : "",
             is->zeroes ? ", zeroes" : "");
    if (is->count > is->namespaces)
        log_line("device %s: expected %u namespaces at most, found %u: the others are not served",
                 driver.config.device, NVME_NAMESPACES, is->count);
    for (unsigned i = 0; i < is->namespaces; i++)
        if (is->namespace[i].wrong)
            log_line("namespace %u: %s", is->namespace[i].id, is->namespace[i].wrong);
        else
            describe(i);
}

/* ---- The start: nothing else happens yet, so it may wait. */

static const char *rest(uint64_t bytes)
{
    const char *wrong;

    while (!nvme_rest(&nvme, bytes, driver_now(&driver), &wrong)) {
        if (wrong)
            return wrong;
        event_turn(tsc_read() + driver.tsc_hz / 1000);
    }
    return NULL;
}

static bool controller_start(void)
{
    volatile void *bar;
    void *memory;
    const char *wrong;
    uint64_t bytes;
    bool msix;
    enum error error;

    if (!driver_open(&driver, &msix) || !driver_memory(&driver, NVME_MEMORY, DRIVER_IO, &memory))
        return false;
    error = device_bar(&driver.device, REGISTERS, &bar, &bytes);
    registers = bar;
    nvme.wiring = (struct nvme_wiring){.read = register_read, .write = register_write, .done = done};
    nvme.memory = memory;
    nvme.io_address = DRIVER_IO;
    wrong = error ? error_text(error) : rest(bytes);
    if (!wrong) {
        error = device_dma(&driver.device, true);
        wrong = error ? error_text(error) : NULL;
    }
    if (wrong) {
        driver_wrong(&driver, wrong);
        return false;
    }
    nvme_start(&nvme, driver_now(&driver));
    driver_work(&driver);
    while (nvme.state != NVME_READY) /* or the driver ends */
        event_turn(DEADLINE_NEVER);
    return true;
}

int component_main(void)
{
    driver =
        (struct driver){.server = {.server = {.place = places, .places = NVME_NAMESPACES, .choose = choose},
                                   .session = sessions},
                        .disk = disks,
                        .submit = submit,
                        .work = work};
    if (!controller_start())
        return 1;
    driver.server.server.places = nvme.identity.namespaces;
    describe_all();
    if (!driver_serve(&driver))
        return 1;
    event_loop();
}
