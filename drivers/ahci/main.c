/* SPDX-License-Identifier: ISC */
/*
 * ahci: the disks at a SATA controller, each a disk for one client by a Block session. The session's label is the
 * number of the port, or the drive's serial number. The configuration:
 *
 *   <config device="00:1f.2"/>     DEVICE session of this label
 *
 * The controller reads and writes the client's own data area: the driver never looks at a byte of it.
 */
#include "base/include/log.h"
#include "drivers/ahci/ahci.h"
#include "lib/block/driver.h"

#include <string.h>

#define DISKS      8u /* with clients, at a time */
#define REGISTERS  5u /* BAR */
#define PORTS_AT   0x100u
#define PORT_BYTES 0x80u

static volatile uint32_t *registers;
static struct ahci ahci;

static struct server_place places[DISKS];
static struct block_session sessions[DISKS];
static struct driver_disk disks[DISKS];
static struct driver driver;
static unsigned ports[DISKS]; /* a place's: chosen when its session begins */

/* ---- The controller */

static uint32_t hba_read(void *context, unsigned offset)
{
    (void)context;
    return registers[offset / 4];
}

static void hba_write(void *context, unsigned offset, uint32_t value)
{
    (void)context;
    registers[offset / 4] = value;
}

static uint64_t work(uint64_t bits)
{
    (void)bits;
    return ahci_work(&ahci, driver_now(&driver));
}

/* ---- Disks */

static void describe(unsigned place)
{
    const struct ahci_drive *drive = ahci_drive(&ahci, ports[place]);
    uint32_t most = drive ? (BLOCK_DONATION - BLOCK_DATA) / drive->bytes : 0;
    struct block_header header;

    if (!drive) {
        driver_describe(&driver, place, NULL);
        return;
    }
    if (drive->atapi)
        most = 64;
    else if (!drive->lba48 && most > 256)
        most = 256;
    header = (struct block_header){.flags = (drive->atapi ? BLOCK_READ_ONLY : 0u) |
                                            (drive->discards ? BLOCK_DISCARDS : 0u),
                                   .sectors = drive->sectors,
                                   .sector_bytes = drive->bytes,
                                   .physical_bytes = drive->physical,
                                   .most = most,
                                   .most_empty = DRIVER_ZEROS / drive->bytes,
                                   .depth = drive->depth};
    memcpy(header.serial, drive->serial, sizeof(drive->serial));
    driver_describe(&driver, place, &header);
}

/* A drive has become ready, or has gone: whoever has its port is told. */
static void changed(void *context, unsigned port)
{
    const struct ahci_drive *drive = ahci_drive(&ahci, port);

    (void)context;
    if (drive)
        log_line("port %u: %s, %lu sectors of %u bytes, serial '%s', depth %u%s", port, drive->model,
                 drive->sectors, drive->bytes, drive->serial, drive->depth,
                 drive->discards ? ", discards" : "");
    else
        log_line("port %u: %s", port,
                 ahci.port[port].wrong ? ahci.port[port].wrong : "the drive was taken away");
    for (unsigned i = 0; i < DISKS; i++)
        if (places[i].open && ports[i] == port)
            describe(i);
}

static void done(void *context, unsigned port, struct disk_request *request, enum disk_status status)
{
    (void)context;
    (void)port;
    driver_done(&driver, request, status);
}

/* A port that does not work yet has its deadline already. */
static bool submit(unsigned place, struct disk_request *request)
{
    if (!ahci_submit(&ahci, ports[place], request, driver_now(&driver)))
        return false;
    driver_wake(&driver, ahci.port[ports[place]].deadline);
    return true;
}

/* ---- Clients */

static bool label_is(const char *label, unsigned port)
{
    const struct ahci_drive *drive = ahci_drive(&ahci, port);
    char number[8];

    format_text(number, sizeof(number), "%u", port);
    return !strcmp(label, number) || (drive && drive->serial[0] && !strcmp(label, drive->serial));
}

/* A port's drive may be one yet whose serial number is asked for. */
static bool settled(void)
{
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        if (ahci.port[i].state != AHCI_ABSENT && ahci.port[i].state != AHCI_EMPTY &&
            ahci.port[i].state != AHCI_DEAD && !ahci.port[i].known)
            return false;
    return true;
}

/* One client a port: the place that the port has, or a free one. */
static unsigned choose(void *context, const struct server_request *request)
{
    unsigned port = 0, place = 0;

    (void)context;
    while (port < AHCI_PORTS && !((ahci.implemented >> port & 1) && label_is(request->label, port)))
        port++;
    if (port == AHCI_PORTS)
        return settled() ? SERVER_NO_PLACE : DISKS;
    for (unsigned i = 0; i < DISKS; i++)
        if (places[i].open && ports[i] == port)
            return i;
    while (place < DISKS && places[place].open)
        place++;
    if (place == DISKS)
        return DISKS;
    ports[place] = port;
    describe(place);
    return place;
}

/* ---- The start */

/* Nothing else happens yet, so it may wait. */
static const char *rest(void)
{
    const char *wrong;

    while (!ahci_rest(&ahci, driver_now(&driver), &wrong)) {
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

    if (!driver_open(&driver, &msix))
        return false;
    error = device_bar(&driver.device, REGISTERS, &bar, &bytes);
    if (error) {
        driver_wrong(&driver, error_text(error));
        return false;
    }
    registers = bar;
    ahci.wiring =
        (struct ahci_wiring){.read = hba_read, .write = hba_write, .changed = changed, .done = done};
    wrong = bytes < PORTS_AT + PORT_BYTES ? "its registers are too short" : rest();
    for (unsigned i = 0; i < AHCI_PORTS; i++) /* a port has to lie in the registers that there are */
        if (PORTS_AT + (i + 1) * PORT_BYTES > bytes)
            ahci.implemented &= ~(1u << i);
    if (!wrong && !driver_memory(&driver, (uint64_t)ahci_ports(&ahci) * AHCI_PORT_SIZE, DRIVER_IO, &memory))
        return false;
    if (!wrong) {
        error = device_dma(&driver.device, true);
        wrong = error ? error_text(error) : ahci_start(&ahci, driver_now(&driver), memory, DRIVER_IO);
    }
    if (wrong)
        driver_wrong(&driver, wrong);
    return !wrong;
}

int component_main(void)
{
    driver = (struct driver){
        .server = {.server = {.place = places, .places = DISKS, .choose = choose}, .session = sessions},
        .disk = disks,
        .submit = submit,
        .work = work};
    if (!controller_start())
        return 1;
    driver_work(&driver);
    if (!driver_serve(&driver))
        return 1;
    event_loop();
}
