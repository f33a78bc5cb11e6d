/* SPDX-License-Identifier: ISC */
/* The frame of a driver of disks; see driver.h. */
#include "lib/block/driver.h"

#include "base/include/component.h"
#include "base/include/config.h"
#include "base/include/log.h"
#include "lib/pci/msix.h"

#define TURNS      20000u /* a second: clients are served so often at most, but for one turn more in each, */
#define IRQ_TURNS  50000u /* and interrupts */
#define IO_ZEROS   0x2000000u
#define IO_CLIENTS 0x10000000ull
#define IO_CLIENT  0x1000000u /* bytes of a session at most */

static uint64_t client_address(unsigned place)
{
    return IO_CLIENTS + (uint64_t)place * IO_CLIENT;
}

void driver_wrong(const struct driver *driver, const char *wrong)
{
    log_line("device %s: %s", driver->config.device, wrong);
}

/* ---- The device */

static uint32_t config_read(void *context, unsigned offset)
{
    struct driver *driver = context;
    uint32_t value;
    enum error error = device_read(&driver->device, offset, &value);

    return error ? 0 : value;
}

/* MSI-X is on, with all entries masked. */
static enum error msix_set(struct driver *driver, const struct msix_table *table,
                           const struct device_message *message)
{
    volatile uint32_t *entry;
    volatile void *bar;
    uint64_t bytes;
    enum error error = device_bar(&driver->device, table->bar, &bar, &bytes);

    if (error)
        return error;
    if (bytes < MSIX_ENTRY || table->offset > bytes - MSIX_ENTRY)
        return ERROR_UNSUPPORTED;
    entry = (volatile uint32_t *)((volatile uint8_t *)bar + table->offset);
    entry[0] = (uint32_t)message->address;
    entry[1] = (uint32_t)(message->address >> 32);
    entry[2] = message->data;
    entry[3] = 0;
    return ERROR_OK;
}

static const struct block_header *disk_of(void *context, unsigned place)
{
    struct driver *driver = context;

    return driver->disk[place].header.sectors ? &driver->disk[place].header : NULL;
}

/* A disk may be described before the driver serves. */
bool driver_open(struct driver *driver, bool *msix)
{
    struct server *server = &driver->server.server;
    struct device_message message;
    struct msix_table table;
    struct pd_info info;
    enum error error;

    *msix = false;
    if (!config_load(driver_config_read, &driver->config) || pd_info(&info) != ERROR_OK)
        return false;
    driver->tsc_hz = info.tsc_hz;
    driver->server.context = driver;
    driver->server.disk = disk_of;
    server->period = info.tsc_hz / TURNS;
    server->signal = DRIVER_CAP_IRQ + 1;
    server->bit = 1;
    error = device_open(driver->config.device, &driver->device);
    if (!error)
        error = device_interrupt(&driver->device, DRIVER_CAP_IRQ, DRIVER_BIT_IRQ, &message);
    if (!error && msix_find(config_read, driver, &table)) {
        *msix = true;
        error = msix_set(driver, &table, &message);
    }
    if (error)
        driver_wrong(driver, error_text(error));
    return !error;
}

static bool memory(struct driver *driver, uint64_t bytes, uint64_t io_address, uint64_t rights,
                   void **attached)
{
    struct dataspace dataspace;
    enum error error = memory_alloc(bytes, &dataspace, attached);

    if (!error)
        error = device_map(&driver->device, &dataspace, io_address, rights);
    if (error)
        log_line("device %s: memory: %s", driver->config.device, error_text(error));
    return !error;
}

bool driver_memory(struct driver *driver, uint64_t bytes, uint64_t io_address, void **attached)
{
    return memory(driver, bytes, io_address, MEM_READ | MEM_WRITE, attached);
}

/* ---- Time */

uint64_t driver_now(const struct driver *driver)
{
    return tsc_read() / (driver->tsc_hz / 1000);
}

static void wake_at(struct driver *driver, uint64_t next)
{
    driver->interrupt.deadline = next == DRIVER_NEVER ? DEADLINE_NEVER : (next + 1) * (driver->tsc_hz / 1000);
}

static void interrupted(void *context, uint64_t bits)
{
    struct driver *driver = context;

    block_pace(&driver->interrupt, driver->tsc_hz / IRQ_TURNS, &driver->interrupted);
    wake_at(driver, driver->work(bits));
}

void driver_work(struct driver *driver)
{
    driver->interrupt = (struct event){.bits = DRIVER_BIT_IRQ, .handle = interrupted, .context = driver};
    event_add(&driver->interrupt);
}

void driver_wake(struct driver *driver, uint64_t next)
{
    if (driver->interrupt.deadline == DEADLINE_NEVER)
        wake_at(driver, next);
}

/* ---- Disks */

void driver_describe(struct driver *driver, unsigned place, const struct block_header *header)
{
    driver->disk[place].header = header ? *header : (struct block_header){.sectors = 0};
    block_server_changed(&driver->server, place);
}

/* Of a drive that has gone, the client is told that first: then no answer goes to it, and it opens again. */
void driver_done(struct driver *driver, const struct disk_request *request, enum disk_status status)
{
    static const enum block_status statuses[] = {
        [DISK_OK] = BLOCK_OK, [DISK_MEDIUM] = BLOCK_MEDIUM, [DISK_GONE] = BLOCK_MEDIUM};

    for (unsigned i = 0; i < driver->server.server.places; i++) {
        struct driver_disk *disk = &driver->disk[i];

        if (request < disk->request || request >= disk->request + BLOCK_TAGS)
            continue;
        if (status == DISK_GONE)
            driver_describe(driver, i, NULL);
        block_answer(&driver->server, i, (unsigned)(request - disk->request), statuses[status]);
    }
}

/* Discards may do nothing, and zeroes are written by the drive or from the driver's. */
static bool begin(void *context, unsigned place, const struct block_request *request)
{
    static const enum disk_action actions[] = {[BLOCK_READ] = DISK_READ,
                                               [BLOCK_WRITE] = DISK_WRITE,
                                               [BLOCK_FLUSH] = DISK_FLUSH,
                                               [BLOCK_WRITE_ZEROES] = DISK_WRITE_ZEROES,
                                               [BLOCK_DISCARD] = DISK_DISCARD};
    struct driver *driver = context;
    struct driver_disk *disk = &driver->disk[place];
    struct disk_request *wanted = &disk->request[request->tag];
    uint64_t address = client_address(place) + BLOCK_DATA + request->offset;

    if (request->action == BLOCK_DISCARD && !(disk->header.flags & BLOCK_DISCARDS)) {
        block_answer(&driver->server, place, request->tag, BLOCK_OK);
        return true;
    }
    wanted->action = actions[request->action];
    wanted->fua = request->flags & BLOCK_FUA;
    wanted->sector = request->sector;
    wanted->count = request->count;
    wanted->pieces = 0;
    if (wanted->action == DISK_WRITE_ZEROES && !disk->zeroes) {
        wanted->action = DISK_WRITE;
        address = IO_ZEROS;
    }
    if (wanted->action == DISK_READ || wanted->action == DISK_WRITE) {
        wanted->pieces = 1;
        wanted->piece[0] = (struct disk_piece){address, request->count * disk->header.sector_bytes};
    }
    return driver->submit(place, wanted);
}

/* ---- Clients: the frames' functions get the server of disks as their context. */

static void closed(void *context, unsigned place)
{
    struct driver *driver = ((struct block_server *)context)->context;
    enum error error = ERROR_OK;

    if (driver->disk[place].mapped)
        error = device_unmap(&driver->device, client_address(place));
    if (error)
        log_line("device %s: its client's memory: %s", driver->config.device, error_text(error));
    driver->disk[place].mapped = false;
}

static enum error opened(void *context, unsigned place)
{
    struct driver *driver = ((struct block_server *)context)->context;
    const struct session *session = &driver->server.server.place[place].session;
    struct dataspace dataspace = {session->dataspace, session->bytes};
    enum error error = ERROR_BAD_ARGUMENT;

    if (session->bytes <= IO_CLIENT)
        error = device_map(&driver->device, &dataspace, client_address(place), MEM_READ | MEM_WRITE);
    driver->disk[place].mapped = !error;
    if (!error)
        error = driver->frame_open(context, place);
    if (error)
        closed(context, place);
    return error;
}

bool driver_serve(struct driver *driver)
{
    struct server *server = &driver->server.server;
    void *zeros; /* never written to */

    if (!memory(driver, DRIVER_ZEROS, IO_ZEROS, MEM_READ, &zeros))
        return false;
    driver->server.begin = begin;
    server->close = closed;
    block_server_start(&driver->server);
    driver->frame_open = server->open;
    server->open = opened;
    return true;
}
