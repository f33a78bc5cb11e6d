/* SPDX-License-Identifier: ISC */
/*
 * ahci: the disks at a SATA controller, each a disk for one client by a Block session. The session's label is the
 * number of the port, or the drive's serial number. The configuration:
 *
 *   <config device="00:1f.2"/>     DEVICE session of this label
 *
 * The controller reads and writes the client's own data area: the driver never looks at a byte of it.
 */
#include "base/include/config.h"
#include "base/include/device.h"
#include "base/include/log.h"
#include "drivers/ahci/ahci.h"
#include "drivers/ahci/config.h"
#include "lib/block/block_server.h"

#include <string.h>

#define DISKS       8u /* with clients, at a time */
#define REGISTERS   5u /* BAR */
#define PORTS_AT    0x100u
#define PORT_BYTES  0x80u
#define TURNS       20000u
#define IRQ_TURNS   50000u     /* interrupts are served so often in a second at most */
#define ZEROS_BYTES 0x10000u   /* what zeroes are written from */
#define IO_PORTS    0x1000000u /* where the controller sees its ports' memory, zeros, and each client's */
#define IO_ZEROS    0x2000000u
#define IO_CLIENTS  0x10000000u
#define IO_CLIENT   0x1000000u

/* Selectors, and bits of CAP_NT: the interrupt, then the clients'. */
#define CAP_IRQ    CAP_FREE
#define CAP_CLIENT (CAP_FREE + 1)
#define BIT_IRQ    1ull

static struct ahci_config config;
static struct device device;
static volatile uint32_t *registers;
static uint64_t tsc_hz;
static struct ahci ahci;
static struct event interrupt_event;

static struct server_place places[DISKS];
static struct block_session sessions[DISKS];
static struct block_server server;

/* A place's disk: chosen when its session begins. */
static struct {
    unsigned port;
    struct block_header header;
    bool mapped;
    struct disk_request request[BLOCK_TAGS];
} disks[DISKS];

static uint64_t now(void)
{
    return tsc_read() / (tsc_hz / 1000);
}

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

static void work(void)
{
    uint64_t next = ahci_work(&ahci, now());

    interrupt_event.deadline = next == AHCI_NEVER ? DEADLINE_NEVER : (next + 1) * (tsc_hz / 1000);
}

static void interrupted(void *context, uint64_t bits)
{
    (void)context;
    (void)bits;
    work();
}

/* ---- Disks */

static void describe(unsigned place)
{
    const struct ahci_drive *drive = ahci_drive(&ahci, disks[place].port);
    uint32_t data = BLOCK_DONATION - BLOCK_DATA;

    disks[place].header = (struct block_header){.flags = (drive->atapi ? BLOCK_READ_ONLY : 0u) |
                                                         (drive->discards ? BLOCK_DISCARDS : 0u),
                                                .sectors = drive->sectors,
                                                .sector_bytes = drive->bytes,
                                                .physical_bytes = drive->physical,
                                                .most = drive->atapi ? 64 : data / drive->bytes,
                                                .most_empty = ZEROS_BYTES / drive->bytes,
                                                .depth = drive->depth};
    if (!drive->atapi && !drive->lba48 && disks[place].header.most > 256)
        disks[place].header.most = 256;
    memcpy(disks[place].header.serial, drive->serial, sizeof(drive->serial));
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
        if (places[i].open && disks[i].port == port) {
            if (drive)
                describe(i);
            block_server_changed(&server, i);
        }
}

/* Of a drive that has gone, the client is told that first: then no answer goes to it, and it opens again. */
static void done(void *context, unsigned port, struct disk_request *request, enum disk_status status)
{
    static const enum block_status statuses[] = {
        [DISK_OK] = BLOCK_OK, [DISK_MEDIUM] = BLOCK_MEDIUM, [DISK_GONE] = BLOCK_MEDIUM};

    (void)context;
    (void)port;
    for (unsigned i = 0; i < DISKS; i++)
        if (request >= disks[i].request && request < disks[i].request + BLOCK_TAGS) {
            if (status == DISK_GONE)
                block_server_changed(&server, i);
            block_answer(&server, i, (unsigned)(request - disks[i].request), statuses[status]);
        }
}

static const struct block_header *disk_of(void *context, unsigned place)
{
    const struct ahci_drive *drive = ahci_drive(&ahci, disks[place].port);

    (void)context;
    return drive && drive->sectors && disks[place].header.sectors ? &disks[place].header : NULL;
}

static bool begin(void *context, unsigned place, const struct block_request *request)
{
    static const enum disk_action actions[] = {[BLOCK_READ] = DISK_READ,
                                               [BLOCK_WRITE] = DISK_WRITE,
                                               [BLOCK_FLUSH] = DISK_FLUSH,
                                               [BLOCK_WRITE_ZEROES] = DISK_WRITE,
                                               [BLOCK_DISCARD] = DISK_DISCARD};
    const struct ahci_drive *drive = ahci_drive(&ahci, disks[place].port);
    struct disk_request *wanted = &disks[place].request[request->tag];
    uint32_t bytes = request->count * disks[place].header.sector_bytes;
    bool data = request->action == BLOCK_READ || request->action == BLOCK_WRITE;

    (void)context;
    *wanted = (struct disk_request){.action = actions[request->action],
                                    .fua = request->flags & BLOCK_FUA,
                                    .sector = request->sector,
                                    .count = request->count};
    if (data || request->action == BLOCK_WRITE_ZEROES) {
        wanted->pieces = 1;
        wanted->piece[0].bytes = bytes;
        wanted->piece[0].address =
            data ? IO_CLIENTS + place * (uint64_t)IO_CLIENT + BLOCK_DATA + request->offset : IO_ZEROS;
    }
    if (request->action == BLOCK_DISCARD && drive && !drive->discards) {
        block_answer(&server, place, request->tag, BLOCK_OK); /* it may do nothing */
        return true;
    }
    if (!ahci_submit(&ahci, disks[place].port, wanted, now()))
        return false;
    work();
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
        if (places[i].open && disks[i].port == port)
            return i;
    while (place < DISKS && places[place].open)
        place++;
    if (place == DISKS)
        return DISKS;
    disks[place].port = port;
    disks[place].header = (struct block_header){.sectors = 0};
    if (ahci_drive(&ahci, port))
        describe(place);
    return place;
}

/* The session's memory becomes the controller's; of more than a window it sees the beginning only. */
static enum error (*frame_open)(void *context, unsigned place);

static enum error opened(void *context, unsigned place)
{
    uint64_t bytes = places[place].session.bytes;
    enum error error;

    if (bytes > IO_CLIENT)
        return ERROR_BAD_ARGUMENT;
    error = device_map(&device, &(struct dataspace){places[place].session.dataspace, bytes},
                       IO_CLIENTS + place * (uint64_t)IO_CLIENT, MEM_READ | MEM_WRITE);
    disks[place].mapped = !error;
    return error ? error : frame_open(context, place);
}

static void closed(void *context, unsigned place)
{
    enum error error =
        disks[place].mapped ? device_unmap(&device, IO_CLIENTS + place * (uint64_t)IO_CLIENT) : ERROR_OK;

    (void)context;
    if (error)
        log_line("port %u: its client's memory: %s", disks[place].port, error_text(error));
    disks[place].mapped = false;
}

/* ---- The start */

/* Nothing else happens yet, so it may wait. */
static const char *rest(void)
{
    const char *wrong;

    while (!ahci_rest(&ahci, now(), &wrong)) {
        if (wrong)
            return wrong;
        event_turn(tsc_read() + tsc_hz / 1000);
    }
    return NULL;
}

static bool memory_for(uint64_t bytes, uint64_t address, uint64_t rights, void **attached)
{
    struct dataspace memory;
    enum error error = memory_alloc(bytes, &memory, attached);

    if (!error)
        error = device_map(&device, &memory, address, rights);
    if (error)
        log_line("device %s: memory: %s", config.device, error_text(error));
    return !error;
}

static bool controller_start(void)
{
    struct device_message message;
    volatile void *bar;
    void *ports, *zeros;
    const char *wrong;
    uint64_t bytes;
    enum error error = device_open(config.device, &device);

    if (!error)
        error = device_bar(&device, REGISTERS, &bar, &bytes);
    if (!error)
        error = device_interrupt(&device, CAP_IRQ, BIT_IRQ, &message);
    if (error) {
        log_line("device %s: %s", config.device, error_text(error));
        return false;
    }
    registers = bar;
    ahci.wiring =
        (struct ahci_wiring){.read = hba_read, .write = hba_write, .changed = changed, .done = done};
    wrong = bytes < PORTS_AT + PORT_BYTES ? "its registers are too short" : rest();
    for (unsigned i = 0; i < AHCI_PORTS; i++) /* a port has to lie in the registers that there are */
        if (PORTS_AT + (i + 1) * PORT_BYTES > bytes)
            ahci.implemented &= ~(1u << i);
    if (!wrong &&
        !(memory_for((uint64_t)ahci_ports(&ahci) * AHCI_PORT_SIZE, IO_PORTS, MEM_READ | MEM_WRITE, &ports) &&
          memory_for(ZEROS_BYTES, IO_ZEROS, MEM_READ, &zeros)))
        return false;
    if (!wrong) {
        error = device_dma(&device, true);
        wrong = error ? error_text(error) : ahci_start(&ahci, now(), ports, IO_PORTS);
    }
    if (wrong)
        log_line("device %s: %s", config.device, wrong);
    return !wrong;
}

int component_main(void)
{
    struct pd_info info;

    if (!config_load(ahci_config_read, &config) || pd_info(&info) != ERROR_OK)
        return 1;
    tsc_hz = info.tsc_hz;
    if (!controller_start())
        return 1;
    interrupt_event = (struct event){.bits = BIT_IRQ, .period = tsc_hz / IRQ_TURNS, .handle = interrupted};
    event_add(&interrupt_event);
    server = (struct block_server){.server = {.place = places,
                                              .places = DISKS,
                                              .period = tsc_hz / TURNS,
                                              .signal = CAP_CLIENT,
                                              .bit = 1,
                                              .choose = choose,
                                              .close = closed},
                                   .session = sessions,
                                   .disk = disk_of,
                                   .begin = begin};
    block_server_start(&server);
    frame_open = server.server.open;
    server.server.open = opened;
    event_loop();
}
