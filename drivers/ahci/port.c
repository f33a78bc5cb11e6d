/* SPDX-License-Identifier: ISC */
/*
 * A port's state machine (AHCI 1.3.1, 6, 10.1 and 10.4). A drive's requests outlive what happens on the way:
 * while the port is reset, or started again after an error, they wait in their slots and are given to the
 * drive once more, a few times. They end when the drive has done them, when it says that it cannot, when it is
 * taken away, or when another one answers after a reset.
 */
#include "drivers/ahci/engine.h"

#include <string.h>

#define RESET_MS       2u     /* COMRESET (AHCI 1.3.1, 10.4.2) */
#define STOP_MS        500u   /* (10.1.2) */
#define LINK_MS        1000u  /* until a drive is seen */
#define READY_MS       30000u /* until it has come to itself: a disk's motor */
#define COMMAND_MS     30000u /* until it has done one of those under way */
#define DISC_MS        2000u  /* from one look for a disc to the next */
#define TRIES          3u     /* for a request, and for a drive that does not come up */
#define ATTEMPTS       4u     /* to measure a disc: each may be refused once for what happened before */
#define LOG_NOT_QUEUED 0x80u

/* The lowest of some slots, which is taken from them. */
static unsigned slot_next(uint32_t *slots)
{
    unsigned slot = (unsigned)__builtin_ctz(*slots);

    *slots &= *slots - 1;
    return slot;
}

static struct ahci_port *port_at(struct ahci *ahci, unsigned number)
{
    return &ahci->port[number];
}

static bool connected(const struct ahci *ahci, unsigned number)
{
    return (port_read(ahci, number, PORT_SSTS) & SSTS_DET) == DET_PRESENT;
}

static void state_enter(struct ahci_port *port, enum ahci_port_state state, uint64_t deadline)
{
    port->state = state;
    port->deadline = deadline;
}

static void finish(struct ahci *ahci, unsigned number, unsigned slot, enum disk_status status)
{
    struct ahci_port *port = port_at(ahci, number);
    struct disk_request *request = port->slot[slot];

    port->slot[slot] = NULL;
    port->taken &= ~(1u << slot);
    ahci->wiring.done(ahci->wiring.context, number, request, status);
}

/* The drive is no more what the requests were for. */
static void forget(struct ahci *ahci, unsigned number)
{
    struct ahci_port *port = port_at(ahci, number);
    bool known = port->known;

    port->known = false;
    port->issued = port->queued = 0;
    for (unsigned i = 0; i < AHCI_SLOTS; i++)
        if (port->slot[i])
            finish(ahci, number, i, DISK_GONE);
    if (known)
        ahci->wiring.changed(ahci->wiring.context, number);
}

static void die(struct ahci *ahci, unsigned number, const char *wrong)
{
    struct ahci_port *port = port_at(ahci, number);

    port->wrong = wrong;
    port->known = true; /* so that it is told */
    state_enter(port, AHCI_DEAD, AHCI_NEVER);
    forget(ahci, number);
}

/* What the drive has is to be given to it again, or has been tried too often. */
static void take_back(struct ahci *ahci, unsigned number)
{
    struct ahci_port *port = port_at(ahci, number);
    uint32_t issued = port->issued;

    port->issued = port->queued = 0;
    for (unsigned i = 0; i < AHCI_SLOTS; i++)
        if (issued >> i & 1 && port->slot[i] && ++port->slot[i]->tries >= TRIES)
            finish(ahci, number, i, DISK_MEDIUM);
}

static void stop(struct ahci *ahci, unsigned number)
{
    port_write(ahci, number, PORT_CMD, port_read(ahci, number, PORT_CMD) & ~CMD_ST);
}

static bool stopped(const struct ahci *ahci, unsigned number)
{
    return !(port_read(ahci, number, PORT_CMD) & CMD_CR);
}

static void run(struct ahci *ahci, unsigned number)
{
    uint32_t command = port_read(ahci, number, PORT_CMD) & ~CMD_ATAPI;

    port_write(ahci, number, PORT_SERR, UINT32_MAX);
    port_write(ahci, number, PORT_IS, UINT32_MAX);
    port_write(ahci, number, PORT_CMD,
               command | CMD_ST | (port_at(ahci, number)->drive.atapi ? CMD_ATAPI : 0));
}

static void reset(struct ahci *ahci, unsigned number, uint64_t now)
{
    struct ahci_port *port = port_at(ahci, number);

    take_back(ahci, number);
    if (port->resets++ >= TRIES) {
        die(ahci, number, "it does not answer, also after it was reset");
        return;
    }
    stop(ahci, number);
    state_enter(port, AHCI_STOPPING, now + STOP_MS);
}

static void recover(struct ahci *ahci, unsigned number, uint64_t now)
{
    stop(ahci, number);
    state_enter(port_at(ahci, number), AHCI_RECOVERING, now + STOP_MS);
}

static void issue_slot(struct ahci *ahci, unsigned number, unsigned slot, bool queued)
{
    struct ahci_port *port = port_at(ahci, number);

    port->issued |= 1u << slot;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (queued) {
        port->queued |= 1u << slot;
        port_write(ahci, number, PORT_SACT, 1u << slot);
    }
    port_write(ahci, number, PORT_CI, 1u << slot);
}

static void issue_own(struct ahci *ahci, unsigned number, enum ahci_port_state state,
                      enum own_command command, uint64_t now)
{
    struct ahci_port *port = port_at(ahci, number);

    command_put_own(port, command);
    issue_slot(ahci, number, 0, false);
    state_enter(port, state, now + COMMAND_MS);
}

void port_issue(struct ahci *ahci, unsigned number, uint64_t now)
{
    struct ahci_port *port = port_at(ahci, number);

    while (port->state == AHCI_READY) {
        uint32_t waiting = port->taken & ~port->issued;
        unsigned oldest;
        bool queued;

        if (!waiting)
            return;
        oldest = slot_next(&waiting);
        while (waiting) {
            unsigned slot = slot_next(&waiting);

            if (port->slot[slot]->number < port->slot[oldest]->number)
                oldest = slot;
        }
        /* Commands of NCQ are under way together, any other one alone. */
        queued = command_queued(&port->drive, port->slot[oldest]);
        if (port->issued && (!queued || port->queued != port->issued))
            return;
        command_put(port, oldest, port->slot[oldest]);
        issue_slot(ahci, number, oldest, queued);
        port->deadline = now + COMMAND_MS;
    }
}

static bool fits(const struct ahci *ahci, const struct ahci_drive *drive, const struct disk_request *request)
{
    uint64_t bytes = 0;
    bool data = request->action == DISK_READ || request->action == DISK_WRITE;
    uint32_t most = drive->atapi ? 64 : drive->lba48 ? AHCI_SECTORS : 256;

    if (request->action == DISK_FLUSH)
        return true;
    if (!request->count || request->count > most || request->sector >= drive->sectors ||
        request->count > drive->sectors - request->sector || (data && request->pieces > DISK_PIECES))
        return false;
    for (unsigned i = 0; data && i < request->pieces; i++) {
        const struct disk_piece *piece = &request->piece[i];

        if (!piece->bytes || piece->bytes > AHCI_PIECE || piece->bytes % 2 || piece->address % 2 ||
            (!ahci->wide && piece->address + piece->bytes > 1ull << 32))
            return false;
        bytes += piece->bytes;
    }
    if (data)
        return bytes == (uint64_t)request->count * drive->bytes &&
               (request->action == DISK_READ || !drive->atapi);
    return request->action == DISK_DISCARD && drive->discards;
}

bool ahci_submit(struct ahci *ahci, unsigned number, struct disk_request *request, uint64_t now)
{
    struct ahci_port *port;
    unsigned slots, slot;

    if (!ahci_drive(ahci, number))
        return false;
    port = port_at(ahci, number);
    slots = port->drive.ncq ? port->drive.depth : ahci->slots;
    slot = ~port->taken ? (unsigned)__builtin_ctz(~port->taken) : AHCI_SLOTS;
    if (slot >= slots)
        return false;
    port->slot[slot] = request;
    port->taken |= 1u << slot;
    request->number = ++port->submitted;
    request->tries = 0;
    request->flushing = false;
    if (!fits(ahci, &port->drive, request))
        finish(ahci, number, slot, DISK_MEDIUM);
    else if (request->action == DISK_FLUSH && !port->drive.flushes)
        finish(ahci, number, slot, DISK_OK); /* it keeps nothing back */
    else
        port_issue(ahci, number, now);
    return true;
}

/* The drive has done it; a write that is to be durable may have a flush before it. */
static void done(struct ahci *ahci, unsigned number, unsigned slot)
{
    struct ahci_port *port = port_at(ahci, number);
    struct disk_request *request = port->slot[slot];

    port->issued &= ~(1u << slot);
    port->queued &= ~(1u << slot);
    port->resets = 0;
    if (request->action == DISK_WRITE && request->fua && !port->drive.fua && port->drive.flushes &&
        !request->flushing)
        request->flushing = true;
    else
        finish(ahci, number, slot, DISK_OK);
}

/* Whether the command of the port's own has ended; one that is refused or too late has *failed. */
static bool own_ended(struct ahci *ahci, unsigned number, uint32_t interrupts, uint64_t now, bool *failed)
{
    struct ahci_port *port = port_at(ahci, number);

    *failed = interrupts & IS_ERRORS || now >= port->deadline;
    if (!*failed && port_read(ahci, number, PORT_CI) & 1)
        return false;
    port->issued = 0;
    return true;
}

static void become_ready(struct ahci *ahci, unsigned number, uint64_t now)
{
    struct ahci_port *port = port_at(ahci, number);
    bool known = port->known;

    port->known = true;
    state_enter(port, AHCI_READY, port->drive.atapi && !port->drive.sectors ? now + DISC_MS : AHCI_NEVER);
    if (!known)
        ahci->wiring.changed(ahci->wiring.context, number);
    port_issue(ahci, number, now);
}

/* Also in what it can: that is what requests that wait were checked by. */
static bool same_drive(const struct ahci_drive *a, const struct ahci_drive *b)
{
    return a->atapi == b->atapi && (a->atapi || a->sectors == b->sectors) && a->bytes == b->bytes &&
           a->lba48 == b->lba48 && a->ncq == b->ncq && a->discards == b->discards && a->depth == b->depth &&
           !strcmp(a->serial, b->serial) && !strcmp(a->model, b->model);
}

static void work_identifying(struct ahci *ahci, unsigned number, uint32_t interrupts, uint64_t now)
{
    struct ahci_port *port = port_at(ahci, number);
    struct ahci_drive drive;
    uint8_t data[OWN_BYTES];
    const char *wrong;
    bool failed;

    if (!own_ended(ahci, number, interrupts, now, &failed))
        return;
    if (failed) {
        reset(ahci, number, now);
        return;
    }
    memcpy(data, port->memory + AT_DATA, sizeof(data));
    wrong = identify_read(data, port->drive.atapi, ahci->queues, ahci->slots, &drive);
    if (wrong) {
        die(ahci, number, wrong);
        return;
    }
    if (port->known && !same_drive(&drive, &port->drive))
        forget(ahci, number);
    if (drive.atapi && port->known)
        drive.sectors = port->drive.sectors;
    port->drive = drive;
    port->attempts = 0;
    if (drive.atapi)
        issue_own(ahci, number, AHCI_MEASURING, OWN_CAPACITY, now);
    else
        become_ready(ahci, number, now);
}

/* A drive refuses this without a disc, and once after a disc has been put in or the drive reset. */
static void work_measuring(struct ahci *ahci, unsigned number, uint32_t interrupts, uint64_t now)
{
    struct ahci_port *port = port_at(ahci, number);
    uint64_t sectors = port->drive.sectors;
    uint8_t data[8];
    bool failed;

    if (!own_ended(ahci, number, interrupts, now, &failed))
        return;
    if (failed && now >= port->deadline) {
        reset(ahci, number, now);
    } else if (failed) {
        port->attempts++;
        recover(ahci, number, now);
    } else {
        memcpy(data, port->memory + AT_DATA, sizeof(data));
        capacity_read(data, &port->drive);
        port->attempts = ATTEMPTS;
        port->resets = 0;
        if (port->known && sectors != port->drive.sectors)
            forget(ahci, number);
        become_ready(ahci, number, now);
    }
}

/* Which of the drive's commands it could not do: page 10h of its log (ATA8-ACS, A.7). */
static void work_explaining(struct ahci *ahci, unsigned number, uint32_t interrupts, uint64_t now)
{
    struct ahci_port *port = port_at(ahci, number);
    uint32_t queued = port->failed;
    uint8_t which;
    bool failed;

    if (!own_ended(ahci, number, interrupts, now, &failed))
        return;
    which = port->memory[AT_DATA];
    if (!failed && !(which & LOG_NOT_QUEUED) && queued >> (which & 31) & 1) {
        finish(ahci, number, which & 31, DISK_MEDIUM);
        queued &= ~(1u << (which & 31));
    } else {
        /* It does not say which, so each of them may be the one. */
        port->issued = queued;
        take_back(ahci, number);
    }
    port->failed = 0;
    if (failed)
        reset(ahci, number, now);
    else
        become_ready(ahci, number, now);
}

/* The port has let go: what it could not do is told, the rest given to it again. */
static void work_recovering(struct ahci *ahci, unsigned number, uint64_t now)
{
    struct ahci_port *port = port_at(ahci, number);

    if (!stopped(ahci, number)) {
        if (now >= port->deadline)
            reset(ahci, number, now);
        return;
    }
    if (port_read(ahci, number, PORT_TFD) & (TFD_BSY | TFD_DRQ)) {
        port->failed = 0;
        reset(ahci, number, now);
        return;
    }
    run(ahci, number);
    if (port->failed)
        issue_own(ahci, number, AHCI_EXPLAINING, OWN_LOG, now);
    else if (port->attempts && port->attempts < ATTEMPTS)
        issue_own(ahci, number, AHCI_MEASURING, OWN_CAPACITY, now);
    else
        become_ready(ahci, number, now);
}

static void work_ready(struct ahci *ahci, unsigned number, uint32_t interrupts, uint64_t now)
{
    struct ahci_port *port = port_at(ahci, number);
    uint32_t active = port_read(ahci, number, PORT_CI), ended;
    bool refused = interrupts & IS_TASK_FILE;

    active |= port_read(ahci, number, PORT_SACT);
    ended = port->issued & ~active;
    if (refused && !port->queued)
        ended = 0; /* a controller may count the refused command as done */
    if (ended)
        port->deadline = now + COMMAND_MS;
    while (ended)
        done(ahci, number, slot_next(&ended));
    if (interrupts & IS_ERRORS & ~IS_TASK_FILE || (port->issued && now >= port->deadline)) {
        reset(ahci, number, now);
    } else if (refused) {
        port->failed = port->queued;
        port->attempts = port->drive.atapi; /* its disc may be another one */
        for (unsigned i = 0; i < AHCI_SLOTS; i++)
            if ((port->issued & ~port->queued) >> i & 1)
                finish(ahci, number, i, DISK_MEDIUM);
        port->issued = port->queued = 0;
        recover(ahci, number, now);
    } else {
        bool due = now >= port->deadline;

        port_issue(ahci, number, now);
        if (port->issued)
            return;
        if (!port->drive.atapi || port->drive.sectors) {
            port->deadline = AHCI_NEVER;
        } else if (due) {
            port->attempts = 0;
            issue_own(ahci, number, AHCI_MEASURING, OWN_CAPACITY, now);
        }
    }
}

static void work_starting(struct ahci *ahci, unsigned number, uint64_t now)
{
    struct ahci_port *port = port_at(ahci, number);
    uint32_t signature;

    if (port_read(ahci, number, PORT_TFD) & (TFD_BSY | TFD_DRQ)) {
        if (now >= port->deadline)
            reset(ahci, number, now);
        return;
    }
    signature = port_read(ahci, number, PORT_SIG);
    if (signature != SIG_ATA && signature != SIG_ATAPI) {
        die(ahci, number, "what is there is neither a disk nor an optical drive");
        return;
    }
    if (port->known && port->drive.atapi != (signature == SIG_ATAPI))
        forget(ahci, number);
    port->drive.atapi = signature == SIG_ATAPI;
    run(ahci, number);
    issue_own(ahci, number, AHCI_IDENTIFYING, port->drive.atapi ? OWN_IDENTIFY_PACKET : OWN_IDENTIFY, now);
}

/* The states before a drive answers. */
static void work_link(struct ahci *ahci, unsigned number, uint64_t now)
{
    struct ahci_port *port = port_at(ahci, number);

    switch (port->state) {
    case AHCI_STOPPING:
        if (stopped(ahci, number)) {
            port_write(ahci, number, PORT_SCTL, SCTL_NO_LOW | SCTL_RESET);
            state_enter(port, AHCI_RESETTING, now + RESET_MS);
        } else if (now >= port->deadline) {
            die(ahci, number, "it does not stop");
        }
        break;
    case AHCI_RESETTING:
        if (now < port->deadline)
            break;
        port_write(ahci, number, PORT_SCTL, SCTL_NO_LOW);
        state_enter(port, AHCI_LINKING, now + LINK_MS);
        break;
    case AHCI_LINKING:
        if (connected(ahci, number)) {
            port_write(ahci, number, PORT_SERR, UINT32_MAX);
            state_enter(port, AHCI_STARTING, now + READY_MS);
        } else if (now >= port->deadline) {
            state_enter(port, AHCI_EMPTY, AHCI_NEVER);
            forget(ahci, number);
        }
        break;
    default:
        break;
    }
}

/* Whether the drive has been taken away, or another one put in. */
static bool replaced(struct ahci *ahci, unsigned number, uint32_t interrupts)
{
    enum ahci_port_state state = ahci->port[number].state;

    if (interrupts & (IS_CONNECT | IS_PHY))
        port_write(ahci, number, PORT_SERR, UINT32_MAX);
    if (state == AHCI_EMPTY || state == AHCI_DEAD)
        return interrupts & (IS_CONNECT | IS_PHY) && connected(ahci, number);
    return state >= AHCI_STARTING && (interrupts & IS_CONNECT || !connected(ahci, number));
}

void port_work(struct ahci *ahci, unsigned number, uint64_t now)
{
    struct ahci_port *port = port_at(ahci, number);
    uint32_t interrupts = port_read(ahci, number, PORT_IS);

    if (ahci->gone) {
        if (port->state != AHCI_DEAD)
            die(ahci, number, "the controller is not there any more");
        return;
    }
    port_write(ahci, number, PORT_IS, interrupts);
    if (replaced(ahci, number, interrupts)) {
        forget(ahci, number);
        port->failed = 0;
        port->resets = 0;
        port->wrong = NULL;
        reset(ahci, number, now);
        interrupts = 0;
    }
    if (port->state < AHCI_STARTING)
        work_link(ahci, number, now);
    switch (port->state) {
    case AHCI_STARTING:
        work_starting(ahci, number, now);
        break;
    case AHCI_IDENTIFYING:
        work_identifying(ahci, number, interrupts, now);
        break;
    case AHCI_MEASURING:
        work_measuring(ahci, number, interrupts, now);
        break;
    case AHCI_READY:
        work_ready(ahci, number, interrupts, now);
        break;
    case AHCI_RECOVERING:
        work_recovering(ahci, number, now);
        break;
    case AHCI_EXPLAINING:
        work_explaining(ahci, number, interrupts, now);
        break;
    default:
        break;
    }
}

bool port_polls(const struct ahci_port *port)
{
    return port->state == AHCI_RECOVERING || (port->state > AHCI_EMPTY && port->state <= AHCI_STARTING);
}

void port_start(struct ahci *ahci, unsigned number, uint64_t now)
{
    struct ahci_port *port = port_at(ahci, number);

    port_write(ahci, number, PORT_CLB, (uint32_t)(port->io_address + AT_LIST));
    port_write(ahci, number, PORT_CLBU, (uint32_t)((port->io_address + AT_LIST) >> 32));
    port_write(ahci, number, PORT_FB, (uint32_t)(port->io_address + AT_FIS));
    port_write(ahci, number, PORT_FBU, (uint32_t)((port->io_address + AT_FIS) >> 32));
    port_write(ahci, number, PORT_SERR, UINT32_MAX);
    port_write(ahci, number, PORT_IS, UINT32_MAX);
    port_write(ahci, number, PORT_SCTL, SCTL_NO_LOW);
    port_write(ahci, number, PORT_IE, IE_ALL);
    port_write(ahci, number, PORT_CMD, CMD_FRE | CMD_SUD | CMD_POD);
    state_enter(port, AHCI_LINKING, now + LINK_MS);
}
