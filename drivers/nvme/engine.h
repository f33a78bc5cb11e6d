/* SPDX-License-Identifier: ISC */
/* Between the files of the driver's library: registers, memory, and what each file does for the others. */
#pragma once

#include "drivers/nvme/nvme.h"

/* Registers (NVM Express 1.4, 3.1). */
#define NVME_CAP       0x00u
#define NVME_VS        0x08u
#define NVME_CC        0x14u
#define NVME_CSTS      0x1cu
#define NVME_AQA       0x24u
#define NVME_ASQ       0x28u
#define NVME_ACQ       0x30u
#define NVME_DOORBELLS 0x1000u

#define CAP_ENTRIES(low)   (((low)&0xffff) + 1) /* of a queue, at most */
#define CAP_TIMEOUT(low)   ((low) >> 24)        /* until it is ready or at rest, in units of 500 ms */
#define CAP_STRIDE(high)   ((high)&0xf)
#define CAP_NVM(high)      ((high) >> 5 & 1) /* it has the commands of disks */
#define CAP_PAGE_MIN(high) ((high) >> 16 & 0xf)
#define VS_1_1             0x00010100u
#define CC_ENABLE          1u
#define CC_SIZES           (6u << 16 | 4u << 20) /* log2 of an entry's bytes */
#define CSTS_READY         1u
#define CSTS_FATAL         2u

/* The memory. */
#define AT_ADMIN_SUBMISSIONS 0x0000u
#define AT_ADMIN_COMPLETIONS 0x1000u
#define AT_SUBMISSIONS       0x2000u
#define AT_COMPLETIONS       0x3000u
#define AT_IDENTIFY          0x4000u
#define AT_LISTS             0x5000u /* of each slot: its pages, or the range that is to be discarded */
#define LIST_BYTES           0x400u
#define ENTRIES              64u /* of the queues, if the controller takes as many */

/* A completion, copied; status: 0 is good. */
struct completion {
    uint16_t command, status;
};

#define STATUS_FINAL 0x4000u /* DNR: it would be the same again */

static inline uint32_t nvme_read(const struct nvme *nvme, unsigned offset)
{
    return nvme->wiring.read(nvme->wiring.context, offset);
}

static inline void nvme_write(const struct nvme *nvme, unsigned offset, uint32_t value)
{
    nvme->wiring.write(nvme->wiring.context, offset, value);
}

/* command.c */
void queues_clear(struct nvme *nvme);
/* The driver's own command for this state. */
void command_own(struct nvme *nvme, enum nvme_state state);
/* Gives a slot's request to the controller. */
void command_issue(struct nvme *nvme, unsigned slot);
/* The slot that an identifier names; NVME_SLOTS: none that is under way. */
unsigned command_slot(const struct nvme *nvme, uint16_t command);
/* The next completion of a queue. False: there is none. */
bool completion_next(const struct nvme *nvme, struct nvme_queue *queue, struct completion *completion);
/* Tells the controller how many of them have been taken. */
void completions_taken(const struct nvme *nvme, const struct nvme_queue *queue);

/* identify.c: from NVME_PAGE bytes, copied. */
void identify_controller(const uint8_t *data, struct nvme_identity *identity);
/* The numbers of active namespaces; data NULL: it does not list them, they are the first ones. */
void identify_list(const uint8_t *data, struct nvme_identity *identity);
/* data NULL: it does not tell. */
void identify_namespace(const uint8_t *data, const struct nvme_identity *identity,
                        struct nvme_namespace *namespace);
bool identity_same(const struct nvme_identity *a, const struct nvme_identity *b);
