/* SPDX-License-Identifier: ISC */
/* NVMe controllers: drivers/nvme/nvme.h. What the controller writes is copied once and checked. */
#include "drivers/nvme/nvme.h"

#include <string.h>

/* Registers (NVM Express 1.4, 3.1). */
#define CAP       0x00
#define CC        0x14
#define CSTS      0x1c
#define AQA       0x24
#define ASQ       0x28
#define ACQ       0x30
#define DOORBELLS 0x1000

#define CAP_ENTRIES(low)   (((low)&0xffff) + 1) /* of a queue, at most */
#define CAP_TIMEOUT(low)   ((low) >> 24)        /* until it is ready or at rest, in units of 500 ms */
#define CAP_STRIDE(high)   ((high)&0xf)
#define CAP_PAGE_MIN(high) ((high) >> 16 & 0xf)
#define CC_ENABLE          1u
#define CC_SIZES           (6u << 16 | 4u << 20) /* log2 of an entry's bytes */
#define CSTS_READY         1u
#define CSTS_FATAL         2u
#define TIMEOUT_WAITS      500u /* in such a unit */

#define SUBMISSION_BYTES 64u
#define COMPLETION_WORDS 4u
#define ANSWER_WAITS     64u /* interrupts without an answer */

enum admin_command { CREATE_SUBMISSION = 1, CREATE_COMPLETION = 5, IDENTIFY = 6 };
enum io_command { WRITE = 1, READ = 2 };

#define IDENTIFY_NAMESPACE  0u
#define IDENTIFY_CONTROLLER 1u
#define NAMESPACE           1u
#define IDENTIFY_MODEL      24u
#define NAMESPACE_LAST      25u                /* NLBAF: the highest number of a format */
#define NAMESPACE_FORMAT    26u                /* FLBAS: the one that is used */
#define NAMESPACE_FORMATS   128u               /* LBAF: each in four bytes */
#define FORMAT_METADATA(f)  ((f)&0xffff)       /* bytes a block */
#define FORMAT_SHIFT(f)     ((f) >> 16 & 0xff) /* log2 of a block's bytes */
#define FORMAT(last, flbas) (((flbas)&0xf) | ((last) > 15 ? (flbas) >> 1 & 0x30 : 0))
#define QUEUE_CONTIGUOUS    1u
#define QUEUE_INTERRUPTS    2u

/* Pages of the memory: submissions and completions of each queue, then what IDENTIFY tells. */
#define PAGE_SUBMISSIONS(queue) (2u * (queue))
#define PAGE_COMPLETIONS(queue) (2u * (queue) + 1u)
#define PAGE_IDENTIFY           4u

static uint64_t page_address(const struct nvme *nvme, unsigned page)
{
    return nvme->io_address + (uint64_t)page * NVME_PAGE;
}

static void write64(struct nvme *nvme, unsigned offset, uint64_t value)
{
    nvme->access->write32(nvme->context, offset, (uint32_t)value);
    nvme->access->write32(nvme->context, offset + 4, (uint32_t)(value >> 32));
}

/* A controller says itself how long that may take, at most 127.5 s. One that says 0 gets a unit, too. */
static bool ready_wait(struct nvme *nvme, bool ready)
{
    unsigned units = CAP_TIMEOUT(nvme->access->read32(nvme->context, CAP));
    for (unsigned i = 0; i <= (units ? units : 1) * TIMEOUT_WAITS; i++) {
        uint32_t status = nvme->access->read32(nvme->context, CSTS);
        if (status == UINT32_MAX || (ready && (status & CSTS_FATAL))) {
            return false;
        }
        if ((status & CSTS_READY) == (ready ? CSTS_READY : 0)) {
            return true;
        }
        if (!nvme->access->wait(nvme->context)) {
            return false;
        }
    }
    return false;
}

const char *nvme_stop(struct nvme *nvme)
{
    nvme->access->write32(nvme->context, CC, 0);
    return ready_wait(nvme, false) ? NULL : "it does not come to rest";
}

static void submit(struct nvme *nvme, enum nvme_queue queue, const uint32_t command[16])
{
    uint8_t *page = nvme->memory + PAGE_SUBMISSIONS(queue) * NVME_PAGE;
    uint32_t entry[16];
    memcpy(entry, command, sizeof entry);
    entry[0] |= (uint32_t)++nvme->command << 16;
    memcpy(page + nvme->queue[queue].tail * SUBMISSION_BYTES, entry, sizeof entry);
    nvme->queue[queue].tail = (nvme->queue[queue].tail + 1) % nvme->entries;
    nvme->queue[queue].busy++;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    nvme->access->write32(nvme->context, DOORBELLS + 2 * queue * nvme->stride, nvme->queue[queue].tail);
}

/* Take the next completion; false: there is none. */
static bool complete(struct nvme *nvme, enum nvme_queue queue, uint32_t *last)
{
    const volatile uint32_t *entries =
        (const volatile uint32_t *)(const void *)(nvme->memory + PAGE_COMPLETIONS(queue) * NVME_PAGE);
    *last = entries[nvme->queue[queue].head * COMPLETION_WORDS + 3];
    if ((*last >> 16 & 1) != nvme->queue[queue].phase) {
        return false;
    }
    nvme->queue[queue].head = (nvme->queue[queue].head + 1) % nvme->entries;
    nvme->queue[queue].phase ^= nvme->queue[queue].head == 0;
    nvme->queue[queue].busy -= nvme->queue[queue].busy != 0;
    nvme->access->write32(nvme->context, DOORBELLS + (2 * queue + 1) * nvme->stride, nvme->queue[queue].head);
    return true;
}

/* Room for one more command: a queue that is full has one entry empty. */
static bool room_wait(struct nvme *nvme, enum nvme_queue queue)
{
    uint32_t last;
    for (unsigned i = 0; i < ANSWER_WAITS; i++) {
        while (complete(nvme, queue, &last)) {
        }
        if (nvme->queue[queue].busy + 1 < nvme->entries) {
            return true;
        }
        if (!nvme->access->wait(nvme->context)) {
            return false;
        }
    }
    return false;
}

/* One command, and the answer to it. */
static bool execute(struct nvme *nvme, enum nvme_queue queue, const uint32_t command[16], unsigned *status)
{
    uint32_t last;
    *status = 0;
    if (!room_wait(nvme, queue)) {
        return false;
    }
    submit(nvme, queue, command);
    for (unsigned i = 0; i < ANSWER_WAITS; i++) {
        while (complete(nvme, queue, &last)) {
            if ((uint16_t)last == nvme->command) {
                *status = last >> 17 & 0x7ff;
                return *status == 0;
            }
        }
        if (!nvme->access->wait(nvme->context)) {
            return false;
        }
    }
    return false;
}

static bool admin(struct nvme *nvme, enum admin_command opcode, unsigned space, unsigned page, uint32_t first,
                  uint32_t second)
{
    uint64_t address = page_address(nvme, page);
    const uint32_t command[16] = {
        [0] = opcode, [1] = space,  [6] = (uint32_t)address, [7] = (uint32_t)(address >> 32),
        [10] = first, [11] = second};
    unsigned status;
    return execute(nvme, NVME_ADMIN, command, &status);
}

static const char *namespace_read(struct nvme *nvme, const uint8_t *data)
{
    unsigned last = data[NAMESPACE_LAST], number = FORMAT(last, data[NAMESPACE_FORMAT]);
    uint32_t format;
    memcpy(&nvme->blocks, data, sizeof nvme->blocks);
    memcpy(&format, data + NAMESPACE_FORMATS + number * sizeof format, sizeof format);
    if (number > last) {
        return "its namespace 1 is in a format that it does not list";
    }
    if (FORMAT_METADATA(format) != 0) {
        return "its namespace 1 has metadata, in its blocks or beside them: expected none";
    }
    if (FORMAT_SHIFT(format) < 9 || FORMAT_SHIFT(format) > 12) {
        return "its blocks are not of 512 to 4096 bytes";
    }
    nvme->block_bytes = 1u << FORMAT_SHIFT(format);
    return NULL;
}

static const char *identify(struct nvme *nvme)
{
    const uint8_t *data = nvme->memory + PAGE_IDENTIFY * NVME_PAGE;
    if (!admin(nvme, IDENTIFY, 0, PAGE_IDENTIFY, IDENTIFY_CONTROLLER, 0)) {
        return "it does not identify itself";
    }
    for (unsigned i = 0; i + 1 < NVME_MODEL; i++) {
        char c = (char)data[IDENTIFY_MODEL + i];
        nvme->model[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    for (unsigned i = NVME_MODEL - 1; i > 0 && nvme->model[i - 1] == ' '; i--) {
        nvme->model[i - 1] = '\0';
    }
    if (!admin(nvme, IDENTIFY, NAMESPACE, PAGE_IDENTIFY, IDENTIFY_NAMESPACE, 0)) {
        return "it has no namespace 1";
    }
    return namespace_read(nvme, data);
}

const char *nvme_start(struct nvme *nvme)
{
    uint32_t low = nvme->access->read32(nvme->context, CAP);
    uint32_t high = nvme->access->read32(nvme->context, CAP + 4);
    const char *wrong = nvme_stop(nvme);
    if (wrong != NULL) {
        return wrong;
    }
    if (CAP_PAGE_MIN(high) != 0) {
        return "it has no pages of 4096 bytes";
    }
    if (CAP_ENTRIES(low) < 2) {
        return "its queues have less than 2 entries";
    }
    nvme->entries = CAP_ENTRIES(low) < NVME_ENTRIES ? CAP_ENTRIES(low) : NVME_ENTRIES;
    nvme->stride = 4u << CAP_STRIDE(high);
    memset(nvme->queue, 0, sizeof nvme->queue);
    for (unsigned i = 0; i < NVME_QUEUES; i++) {
        nvme->queue[i].phase = true;
        memset(nvme->memory + PAGE_COMPLETIONS(i) * NVME_PAGE, 0, NVME_PAGE);
    }
    nvme->access->write32(nvme->context, AQA, (nvme->entries - 1) << 16 | (nvme->entries - 1));
    write64(nvme, ASQ, page_address(nvme, PAGE_SUBMISSIONS(NVME_ADMIN)));
    write64(nvme, ACQ, page_address(nvme, PAGE_COMPLETIONS(NVME_ADMIN)));
    nvme->access->write32(nvme->context, CC, CC_SIZES | CC_ENABLE);
    if (!ready_wait(nvme, true)) {
        return "it does not become ready";
    }
    wrong = identify(nvme);
    if (wrong != NULL) {
        return wrong;
    }
    uint32_t size = NVME_IO | (nvme->entries - 1) << 16;
    if (!admin(nvme, CREATE_COMPLETION, 0, PAGE_COMPLETIONS(NVME_IO), size,
               QUEUE_CONTIGUOUS | QUEUE_INTERRUPTS) ||
        !admin(nvme, CREATE_SUBMISSION, 0, PAGE_SUBMISSIONS(NVME_IO), size,
               QUEUE_CONTIGUOUS | NVME_IO << 16)) {
        return "it makes no queues";
    }
    return NULL;
}

static void command_make(uint32_t command[16], enum io_command opcode, uint64_t block, unsigned count,
                         uint64_t address)
{
    memset(command, 0, 16 * sizeof *command);
    command[0] = opcode;
    command[1] = NAMESPACE;
    command[6] = (uint32_t)address;
    command[7] = (uint32_t)(address >> 32);
    command[8] = (uint32_t)(address + NVME_PAGE); /* looked at if there is more than a page */
    command[9] = (uint32_t)((address + NVME_PAGE) >> 32);
    command[10] = (uint32_t)block;
    command[11] = (uint32_t)(block >> 32);
    command[12] = count - 1;
}

static bool transfer(struct nvme *nvme, enum io_command opcode, uint64_t block, unsigned count,
                     uint64_t address, unsigned *status)
{
    uint32_t command[16];
    *status = 0;
    if (count == 0 || count > NVME_BYTES / nvme->block_bytes || address % NVME_PAGE != 0) {
        return false;
    }
    command_make(command, opcode, block, count, address);
    return execute(nvme, NVME_IO, command, status);
}

bool nvme_read(struct nvme *nvme, uint64_t block, unsigned count, uint64_t io_address, unsigned *status)
{
    return transfer(nvme, READ, block, count, io_address, status);
}

bool nvme_write(struct nvme *nvme, uint64_t block, unsigned count, uint64_t io_address, unsigned *status)
{
    return transfer(nvme, WRITE, block, count, io_address, status);
}

bool nvme_read_begin(struct nvme *nvme, uint64_t block, unsigned count, uint64_t io_address)
{
    uint32_t command[16];
    if (!room_wait(nvme, NVME_IO)) {
        return false;
    }
    command_make(command, READ, block, count, io_address);
    submit(nvme, NVME_IO, command);
    return true;
}
