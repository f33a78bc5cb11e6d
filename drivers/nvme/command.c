/* SPDX-License-Identifier: ISC */
/* Queues and commands as the controller reads them (NVM Express 1.4, 4 to 6). */
#include "drivers/nvme/engine.h"

#include <string.h>

#define SUBMISSION_BYTES 64u
#define COMPLETION_WORDS 4u
#define ADMIN_ENTRIES    2u /* one command at a time */

enum admin_command { CREATE_SUBMISSION = 1, CREATE_COMPLETION = 5, IDENTIFY = 6, SET_FEATURES = 9 };
enum io_command { IO_FLUSH = 0, IO_WRITE = 1, IO_READ = 2, IO_ZEROES = 8, IO_DISCARD = 9 };

#define IDENTIFY_NAMESPACE  0u
#define IDENTIFY_CONTROLLER 1u
#define IDENTIFY_LIST       2u
#define FEATURE_QUEUES      7u
#define QUEUE               1u /* the I/O queues' number */
#define QUEUE_CONTIGUOUS    1u
#define QUEUE_INTERRUPTS    2u
#define DISCARD_DEALLOCATE  4u
#define FUA                 (1u << 30)
#define SLOT_BITS           6u

_Static_assert(AT_LISTS + (NVME_SLOTS + 1) * LIST_BYTES == NVME_MEMORY, "each slot has a list");
_Static_assert(NVME_MOST / NVME_PAGE * 8 <= LIST_BYTES, "a list has room for all pages but the first");
_Static_assert(NVME_SLOTS < 1u << SLOT_BITS && NVME_SLOTS < ENTRIES, "a slot is part of an identifier");

/* A submission as the controller reads it. */
struct submission {
    uint32_t head, namespace;
    uint64_t zero[2], first, second; /* PRP 1 and 2 */
    uint32_t word[6];                /* 10 to 15 */
};

_Static_assert(sizeof(struct submission) == SUBMISSION_BYTES, "as the controller reads it");

void queues_clear(struct nvme *nvme)
{
    nvme->admin = (struct nvme_queue){.entries = ADMIN_ENTRIES, .phase = true};
    nvme->io =
        (struct nvme_queue){.entries = nvme->entries < ENTRIES ? nvme->entries : ENTRIES, .phase = true};
    memset(nvme->memory + AT_ADMIN_COMPLETIONS, 0, NVME_PAGE);
    memset(nvme->memory + AT_COMPLETIONS, 0, NVME_PAGE);
    nvme_write(nvme, NVME_AQA, (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
    nvme_write(nvme, NVME_ASQ, (uint32_t)(nvme->io_address + AT_ADMIN_SUBMISSIONS));
    nvme_write(nvme, NVME_ASQ + 4, (uint32_t)((nvme->io_address + AT_ADMIN_SUBMISSIONS) >> 32));
    nvme_write(nvme, NVME_ACQ, (uint32_t)(nvme->io_address + AT_ADMIN_COMPLETIONS));
    nvme_write(nvme, NVME_ACQ + 4, (uint32_t)((nvme->io_address + AT_ADMIN_COMPLETIONS) >> 32));
}

static unsigned number_of(const struct nvme *nvme, const struct nvme_queue *queue)
{
    return queue == &nvme->io ? QUEUE : 0;
}

static void submit(struct nvme *nvme, struct nvme_queue *queue, const struct submission *submission)
{
    unsigned number = number_of(nvme, queue);
    uint8_t *entries = nvme->memory + (number ? AT_SUBMISSIONS : AT_ADMIN_SUBMISSIONS);

    memcpy(entries + queue->tail * SUBMISSION_BYTES, submission, sizeof(*submission));
    queue->tail = queue->tail + 1 == queue->entries ? 0 : queue->tail + 1;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    nvme_write(nvme, NVME_DOORBELLS + 2 * number * nvme->stride, queue->tail);
}

void command_own(struct nvme *nvme, enum nvme_state state)
{
    const uint64_t page = nvme->io_address + AT_IDENTIFY;
    const uint32_t size = QUEUE | (nvme->io.entries - 1) << 16;
    struct submission submission = {.head = IDENTIFY, .first = page};

    switch (state) {
    case NVME_IDENTIFYING:
        submission.word[0] = IDENTIFY_CONTROLLER;
        break;
    case NVME_LISTING:
        submission.word[0] = IDENTIFY_LIST;
        break;
    case NVME_MEASURING:
        submission.namespace = nvme->identity.namespace[nvme->measured].id;
        submission.word[0] = IDENTIFY_NAMESPACE;
        break;
    case NVME_COUNTING:
        submission = (struct submission){.head = SET_FEATURES, .word = {FEATURE_QUEUES, 0}};
        break;
    case NVME_COMPLETIONS:
        submission = (struct submission){.head = CREATE_COMPLETION,
                                         .first = nvme->io_address + AT_COMPLETIONS,
                                         .word = {size, QUEUE_CONTIGUOUS | QUEUE_INTERRUPTS}};
        break;
    default:
        submission = (struct submission){.head = CREATE_SUBMISSION,
                                         .first = nvme->io_address + AT_SUBMISSIONS,
                                         .word = {size, QUEUE_CONTIGUOUS | QUEUE << 16}};
        break;
    }
    memset(nvme->memory + AT_IDENTIFY, 0, NVME_PAGE);
    submission.head |= (uint32_t)++nvme->command << 16;
    submit(nvme, &nvme->admin, &submission);
}

/* The first page may begin anywhere in it; the second one, or a list of all others, comes in PRP 2. */
static void put_pages(struct nvme *nvme, unsigned slot, struct submission *submission)
{
    const struct disk_request *request = nvme->slot[slot].request;
    uint64_t *list = (uint64_t *)(void *)(nvme->memory + AT_LISTS + slot * LIST_BYTES);
    unsigned pages = 0;

    submission->first = request->piece[0].address;
    for (unsigned i = 0; i < request->pieces; i++) {
        uint64_t address = request->piece[i].address, end = address + request->piece[i].bytes;

        for (uint64_t page = i ? address : (address | (NVME_PAGE - 1)) + 1; page < end; page += NVME_PAGE)
            list[pages++] = page;
    }
    if (pages)
        submission->second = pages == 1 ? list[0] : nvme->io_address + AT_LISTS + slot * LIST_BYTES;
}

static void put_range(struct nvme *nvme, unsigned slot, struct submission *submission)
{
    const struct disk_request *request = nvme->slot[slot].request;
    uint8_t *range = nvme->memory + AT_LISTS + slot * LIST_BYTES;

    memset(range, 0, 4);
    memcpy(range + 4, &request->count, sizeof(request->count));
    memcpy(range + 8, &request->sector, sizeof(request->sector));
    submission->first = nvme->io_address + AT_LISTS + slot * LIST_BYTES;
    submission->word[1] = DISCARD_DEALLOCATE;
}

void command_issue(struct nvme *nvme, unsigned slot)
{
    static const uint8_t codes[] = {[DISK_READ] = IO_READ,
                                    [DISK_WRITE] = IO_WRITE,
                                    [DISK_FLUSH] = IO_FLUSH,
                                    [DISK_DISCARD] = IO_DISCARD,
                                    [DISK_WRITE_ZEROES] = IO_ZEROES};
    const struct disk_request *request = nvme->slot[slot].request;
    uint32_t command = (uint32_t)++nvme->slot[slot].round << SLOT_BITS | slot;
    struct submission submission = {.head = codes[request->action] | command << 16,
                                    .namespace = nvme->slot[slot].namespace->id};

    switch (request->action) {
    case DISK_FLUSH:
        break;
    case DISK_DISCARD:
        put_range(nvme, slot, &submission);
        break;
    default:
        if (request->action != DISK_WRITE_ZEROES)
            put_pages(nvme, slot, &submission);
        submission.word[0] = (uint32_t)request->sector;
        submission.word[1] = (uint32_t)(request->sector >> 32);
        submission.word[2] = (request->count - 1) | (request->fua && request->action != DISK_READ ? FUA : 0);
        break;
    }
    nvme->slot[slot].issued = true;
    submit(nvme, &nvme->io, &submission);
}

unsigned command_slot(const struct nvme *nvme, uint16_t command)
{
    unsigned slot = command & ((1u << SLOT_BITS) - 1);

    return slot < nvme->depth && nvme->slot[slot].request && nvme->slot[slot].issued &&
                   (uint16_t)((unsigned)nvme->slot[slot].round << SLOT_BITS | slot) == command
               ? slot
               : NVME_SLOTS;
}

bool completion_next(const struct nvme *nvme, struct nvme_queue *queue, struct completion *completion)
{
    const volatile uint32_t *entries =
        (const volatile uint32_t *)(const void *)(nvme->memory + (number_of(nvme, queue)
                                                                      ? AT_COMPLETIONS
                                                                      : AT_ADMIN_COMPLETIONS));
    uint32_t last = __atomic_load_n(&entries[queue->head * COMPLETION_WORDS + 3], __ATOMIC_ACQUIRE);

    if ((last >> 16 & 1) != queue->phase)
        return false;
    *completion = (struct completion){(uint16_t)last, (uint16_t)(last >> 17)};
    queue->head = queue->head + 1 == queue->entries ? 0 : queue->head + 1;
    queue->phase ^= queue->head == 0;
    return true;
}

void completions_taken(const struct nvme *nvme, const struct nvme_queue *queue)
{
    nvme_write(nvme, NVME_DOORBELLS + (2 * number_of(nvme, queue) + 1) * nvme->stride, queue->head);
}
