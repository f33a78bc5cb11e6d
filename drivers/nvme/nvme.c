/* SPDX-License-Identifier: ISC */
/* The controller's state machine (NVM Express 1.4, 7.6): see nvme.h. */
#include "drivers/nvme/engine.h"

#include <string.h>

#define POLL_MS    1u
#define UNIT_MS    500u   /* of the controller's own time limit */
#define OWN_MS     5000u  /* until it has done a command of the driver's own */
#define COMMAND_MS 30000u /* until it has done one of those under way */
#define TRIES      3u     /* for a request, and for a controller that does not come up */

static void finish(struct nvme *nvme, unsigned slot, enum disk_status status)
{
    struct disk_request *request = nvme->slot[slot].request;

    nvme->slot[slot].request = NULL;
    nvme->busy &= ~(1ull << slot);
    nvme->slot[slot].issued = false;
    nvme->wiring.done(nvme->wiring.context, request, status);
}

static void state_enter(struct nvme *nvme, enum nvme_state state, uint64_t deadline)
{
    nvme->state = state;
    nvme->deadline = deadline;
}

static void die(struct nvme *nvme, const char *wrong)
{
    nvme->wrong = wrong;
    nvme_write(nvme, NVME_CC, 0);
    state_enter(nvme, NVME_DEAD, NVME_NEVER);
    for (unsigned i = 0; i < NVME_SLOTS; i++)
        if (nvme->slot[i].request)
            finish(nvme, i, DISK_GONE);
}

/* What it had it may be at until it has come to rest. */
static void reset(struct nvme *nvme, uint64_t now, const char *wrong)
{
    if (nvme->resets++ >= TRIES) {
        die(nvme, wrong);
        return;
    }
    nvme_write(nvme, NVME_CC, 0);
    state_enter(nvme, NVME_RESTING, now + nvme->patience);
}

static void command_begin(struct nvme *nvme, enum nvme_state state, uint64_t now)
{
    command_own(nvme, state);
    state_enter(nvme, state, now + OWN_MS);
}

/* ---- The way up */

bool nvme_rest(struct nvme *nvme, uint64_t bytes, uint64_t now, const char **wrong)
{
    uint32_t low = nvme_read(nvme, NVME_CAP), high = nvme_read(nvme, NVME_CAP + 4);
    unsigned units = CAP_TIMEOUT(low);

    *wrong = NULL;
    nvme->stride = 4u << CAP_STRIDE(high);
    if (low == UINT32_MAX && high == UINT32_MAX)
        *wrong = "there is no controller behind its registers";
    else if (bytes < NVME_DOORBELLS || bytes - NVME_DOORBELLS < 4 * nvme->stride)
        *wrong = "its registers are too short";
    else if (CAP_PAGE_MIN(high) != 0)
        *wrong = "it has no pages of 4096 bytes";
    else if (!CAP_NVM(high))
        *wrong = "it has no commands of disks";
    else if (CAP_ENTRIES(low) < 2)
        *wrong = "its queues have less than 2 entries";
    if (*wrong)
        return false;
    if (!nvme->patience) {
        nvme->patience = (units ? units : 1) * UNIT_MS;
        nvme->entries = CAP_ENTRIES(low);
        nvme_write(nvme, NVME_CC, 0);
        state_enter(nvme, NVME_RESTING, now + nvme->patience);
    }
    if (!(nvme_read(nvme, NVME_CSTS) & CSTS_READY))
        return true;
    if (now >= nvme->deadline)
        *wrong = "it does not come to rest";
    return false;
}

void nvme_start(struct nvme *nvme, uint64_t now)
{
    queues_clear(nvme);
    nvme->depth = nvme->io.entries - 1 < NVME_SLOTS ? nvme->io.entries - 1 : NVME_SLOTS;
    nvme_write(nvme, NVME_CC, CC_SIZES | CC_ENABLE);
    state_enter(nvme, NVME_ENABLING, now + nvme->patience);
}

static void work_resting(struct nvme *nvme, uint64_t now)
{
    if (nvme_read(nvme, NVME_CSTS) & CSTS_READY) {
        if (now >= nvme->deadline)
            die(nvme, "it does not come to rest");
        return;
    }
    for (unsigned i = 0; i < NVME_SLOTS; i++) {
        bool had = nvme->slot[i].request && nvme->slot[i].issued;

        nvme->slot[i].issued = false;
        if (had && ++nvme->slot[i].request->tries >= TRIES)
            finish(nvme, i, DISK_MEDIUM);
    }
    nvme_start(nvme, now);
}

static void work_enabling(struct nvme *nvme, uint64_t now)
{
    uint32_t status = nvme_read(nvme, NVME_CSTS);

    if (status & CSTS_FATAL || now >= nvme->deadline)
        reset(nvme, now, "it does not become ready");
    else if (status & CSTS_READY)
        command_begin(nvme, NVME_IDENTIFYING, now);
}

static void issue(struct nvme *nvme, unsigned slot, uint64_t now)
{
    command_issue(nvme, slot);
    if (nvme->deadline == NVME_NEVER)
        nvme->deadline = now + COMMAND_MS;
}

/* What was submitted meanwhile, or was under way before a reset. */
static void become_ready(struct nvme *nvme, uint64_t now)
{
    if (nvme->known && !identity_same(&nvme->identity, &nvme->before)) {
        die(nvme, "it is another one after a reset");
        return;
    }
    nvme->known = true;
    nvme->before = nvme->identity;
    state_enter(nvme, NVME_READY, NVME_NEVER);
    for (unsigned i = 0; i < NVME_SLOTS; i++)
        if (nvme->slot[i].request)
            issue(nvme, i, now);
}

static void measure_next(struct nvme *nvme, uint64_t now)
{
    command_begin(nvme, nvme->measured < nvme->identity.namespaces ? NVME_MEASURING : NVME_COUNTING, now);
}

/* The driver's own command has ended, well or not. */
static void own_ended(struct nvme *nvme, bool good, uint64_t now)
{
    uint8_t data[NVME_PAGE];

    memcpy(data, nvme->memory + AT_IDENTIFY, sizeof(data));
    switch (nvme->state) {
    case NVME_IDENTIFYING:
        if (!good) {
            reset(nvme, now, "it does not identify itself");
            break;
        }
        identify_controller(data, &nvme->identity);
        nvme->measured = 0;
        if (nvme_read(nvme, NVME_VS) >= VS_1_1) {
            command_begin(nvme, NVME_LISTING, now);
            break;
        }
        good = false;
        __attribute__((fallthrough));
    case NVME_LISTING:
        identify_list(good ? data : NULL, &nvme->identity);
        measure_next(nvme, now);
        break;
    case NVME_MEASURING:
        identify_namespace(good ? data : NULL, &nvme->identity, &nvme->identity.namespace[nvme->measured++]);
        measure_next(nvme, now);
        break;
    case NVME_COUNTING: /* each controller has one pair */
        command_begin(nvme, NVME_COMPLETIONS, now);
        break;
    case NVME_COMPLETIONS:
        if (good)
            command_begin(nvme, NVME_SUBMISSIONS, now);
        else
            reset(nvme, now, "it makes no queues");
        break;
    default:
        if (good)
            become_ready(nvme, now);
        else
            reset(nvme, now, "it makes no queues");
        break;
    }
}

static void work_own(struct nvme *nvme, uint64_t now)
{
    struct completion completion;

    if (completion_next(nvme, &nvme->admin, &completion)) {
        completions_taken(nvme, &nvme->admin);
        if (completion.command == nvme->command)
            own_ended(nvme, !(completion.status & 0x7ff), now);
        else
            reset(nvme, now, "expected an answer to the driver's command, found another");
    } else if (now >= nvme->deadline) {
        reset(nvme, now, "it does not answer the driver's commands");
    }
}

/* ---- Requests */

static void answered(struct nvme *nvme, unsigned slot, uint16_t status, uint64_t now)
{
    struct disk_request *request = nvme->slot[slot].request;

    nvme->deadline = now + COMMAND_MS;
    if (!(status & 0x7ff)) {
        nvme->resets = 0;
        finish(nvme, slot, DISK_OK);
    } else if (status & STATUS_FINAL || ++request->tries >= TRIES) {
        finish(nvme, slot, DISK_MEDIUM);
    } else {
        command_issue(nvme, slot);
    }
}

static void work_ready(struct nvme *nvme, uint64_t now)
{
    struct completion completion;
    unsigned slot = 0, taken = 0;

    for (; taken < nvme->io.entries && completion_next(nvme, &nvme->io, &completion); taken++) {
        slot = command_slot(nvme, completion.command);
        if (slot == NVME_SLOTS)
            break;
        answered(nvme, slot, completion.status, now);
    }
    if (slot == NVME_SLOTS) {
        reset(nvme, now, "expected answers to its requests, found others");
        return;
    }
    if (taken)
        completions_taken(nvme, &nvme->io);
    nvme->more = taken == nvme->io.entries;
    if (!nvme->busy)
        nvme->deadline = NVME_NEVER;
    else if (now >= nvme->deadline)
        reset(nvme, now, "it does not answer");
}

uint64_t nvme_work(struct nvme *nvme, uint64_t now)
{
    /* Only what polls, or is too late, reads a register: that is dear. */
    if (nvme->state != NVME_DEAD && (nvme->state <= NVME_ENABLING || now >= nvme->deadline) &&
        nvme_read(nvme, NVME_CSTS) == UINT32_MAX)
        die(nvme, "it is not there any more");
    switch (nvme->state) {
    case NVME_RESTING:
        work_resting(nvme, now);
        break;
    case NVME_ENABLING:
        work_enabling(nvme, now);
        break;
    case NVME_READY:
        work_ready(nvme, now);
        break;
    case NVME_DEAD:
        break;
    default:
        work_own(nvme, now);
        break;
    }
    if (nvme->state == NVME_READY && nvme->more)
        return now;
    return nvme->state <= NVME_ENABLING ? now + POLL_MS : nvme->deadline;
}

static bool pieces_fit(const struct disk_request *request, uint64_t expected)
{
    uint64_t bytes = 0;

    if (!request->pieces || request->pieces > DISK_PIECES)
        return false;
    for (unsigned i = 0; i < request->pieces; i++) {
        const struct disk_piece *piece = &request->piece[i];

        /* The controller knows pages: only the first may begin, and the last end, within one. */
        if (!piece->bytes || piece->address % (i ? NVME_PAGE : 4) ||
            piece->address > UINT64_MAX - piece->bytes - NVME_PAGE ||
            (i + 1 < request->pieces && (piece->address + piece->bytes) % NVME_PAGE))
            return false;
        bytes += piece->bytes;
    }
    return bytes == expected;
}

static bool fits(const struct nvme *nvme, const struct nvme_namespace *namespace,
                 const struct disk_request *request)
{
    if (request->action == DISK_FLUSH)
        return true;
    if (!request->count || request->sector >= namespace->sectors ||
        request->count > namespace->sectors - request->sector ||
        (request->action != DISK_READ && namespace->read_only))
        return false;
    switch (request->action) {
    case DISK_DISCARD:
        return nvme->before.discards;
    case DISK_WRITE_ZEROES:
        return request->count <= namespace->most_zeroes;
    default:
        return request->count <= namespace->most &&
               pieces_fit(request, (uint64_t)request->count * namespace->bytes);
    }
}

bool nvme_submit(struct nvme *nvme, unsigned number, struct disk_request *request, uint64_t now)
{
    const struct nvme_namespace *namespace;
    unsigned slot;

    if (!nvme->known || nvme->state == NVME_DEAD || number >= nvme->before.namespaces ||
        nvme->before.namespace[number].wrong)
        return false;
    namespace = &nvme->before.namespace[number];
    slot = (unsigned)__builtin_ctzll(~nvme->busy); /* there are fewer slots than bits */
    if (slot >= nvme->depth)
        return false;
    nvme->busy |= 1ull << slot;
    nvme->slot[slot].request = request;
    nvme->slot[slot].namespace = namespace;
    request->tries = 0;
    if (!fits(nvme, namespace, request))
        finish(nvme, slot, DISK_MEDIUM);
    else if (request->action == DISK_FLUSH && !nvme->before.flushes)
        finish(nvme, slot, DISK_OK); /* it keeps nothing back */
    else if (nvme->state == NVME_READY)
        issue(nvme, slot, now);
    return true;
}
