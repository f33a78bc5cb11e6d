/* SPDX-License-Identifier: ISC */
/*
 * A model of an NVMe controller for the driver's test and fuzzer, which define MODEL_CHECK(condition) for what a driver
 * must not do. It sees the driver's memory and its clients' data only by the addresses that it is given, executes
 * commands when it is told to, in any order, and errs as it is told.
 */
#pragma once

#include "drivers/nvme/nvme.h"

#include <stdlib.h>
#include <string.h>

#define MODEL_IO         0x300000000ull
#define MODEL_DATA       0x400000000ull
#define MODEL_DATA_BYTES 0x200000u
#define MODEL_BLOCKS     2048u /* of 512 bytes, of each namespace */
#define MODEL_SPACES     3u    /* namespaces that hold something */
#define MODEL_QUEUE      64u

enum model_mood {
    MODEL_WELL,
    MODEL_SILENT,
    MODEL_REFUSES, /* with model.status */
    MODEL_WRONG_COMMAND,
    MODEL_TWICE,
    MODEL_RANDOM
};

struct model_command {
    uint32_t head, namespace;
    uint64_t zero[2], first, second;
    uint32_t word[6];
};

struct model_queue {
    uint64_t submissions, completions;
    unsigned entries, head, tail, filled, taken;
    bool phase;
    struct model_command waiting[MODEL_QUEUE];
    unsigned count;
};

static _Alignas(4096) uint8_t model_memory[NVME_MEMORY], model_data[MODEL_DATA_BYTES];

static struct {
    enum model_mood mood;
    bool gone, fatal, never_ready, never_rests;
    uint16_t status;      /* of a refusal: SC, SCT and DNR as in a completion, from bit 0 on */
    unsigned refuses;     /* so many I/O commands, then well */
    unsigned refuses_own; /* the admin command of this code; 0: none */
    uint64_t now, since;  /* the time, and since when CC has been as it is */
    unsigned ready_after; /* ms */
    uint32_t cap_low, cap_high, version, cc, aqa;
    uint64_t asq, acq;
    struct model_queue queue[2];
    uint32_t namespaces, list[8];
    uint32_t format; /* the one that FLBAS names: MS in 16 bits, then LBADS */
    uint8_t last, flbas, attributes, cache, transfer;
    uint16_t commands; /* ONCS */
    uint64_t blocks;
    char serial[21];
    uint8_t media[MODEL_SPACES][MODEL_BLOCKS * 512];
    unsigned reads, writes, flushes, discards, zeroes, fua, starts, alien;
} model;

static void model_init(void)
{
    memset(&model, 0, sizeof(model));
    memset(model_memory, 0, sizeof(model_memory));
    model.cap_low = 0x140003ff; /* 10 s, 1024 entries */
    model.cap_high = 1 << 5;
    model.version = 0x00010400;
    model.namespaces = 1;
    model.list[0] = 1;
    model.last = 1;
    model.flbas = 1;
    model.format = 9 << 16;
    model.cache = 1;
    model.commands = 0xc;
    model.transfer = 7;
    model.blocks = MODEL_BLOCKS;
    strcpy(model.serial, "SERIAL");
    for (unsigned i = 0; i < MODEL_SPACES; i++)
        for (unsigned j = 0; j < sizeof(model.media[i]); j++)
            model.media[i][j] = (uint8_t)(j / 512 * 3 + j + i);
}

/* Where the controller gets by DMA: NULL, nowhere, is the IOMMU's affair and never the driver's. */
static uint8_t *model_at(uint64_t address, size_t bytes)
{
    if (address >= MODEL_IO && address - MODEL_IO <= sizeof(model_memory) - bytes)
        return model_memory + (address - MODEL_IO);
    MODEL_CHECK(address >= MODEL_DATA && address - MODEL_DATA <= sizeof(model_data) - bytes);
    return model_data + (address - MODEL_DATA);
}

static void model_identify(const struct model_command *command)
{
    uint8_t *page = model_at(command->first, NVME_PAGE);

    MODEL_CHECK(command->first % NVME_PAGE == 0);
    memset(page, 0, NVME_PAGE);
    if (command->word[0] == 1) {
        memset(page + 4, ' ', 60);
        memcpy(page + 4, model.serial, strlen(model.serial));
        memcpy(page + 24, "Model\x01", 6);
        page[77] = model.transfer;
        memcpy(page + 516, &model.namespaces, 4);
        memcpy(page + 520, &model.commands, 2);
        page[525] = model.cache;
    } else if (command->word[0] == 2) {
        memcpy(page, model.list, sizeof(model.list));
    } else {
        memcpy(page, &model.blocks, 8);
        page[25] = model.last;
        page[26] = model.flbas;
        page[99] = model.attributes;
        memset(page + 128, 8, 256);
        memcpy(page + 128 + 4 * ((model.flbas & 15) | (model.last > 15 ? model.flbas >> 5 << 4 : 0)),
               &model.format, 4);
    }
}

/* The part of a transfer that lies in its page number `index`. */
static uint64_t model_page(const struct model_command *command, unsigned index, unsigned pages)
{
    uint64_t address;

    MODEL_CHECK(command->first % 4 == 0);
    if (!index)
        return command->first;
    MODEL_CHECK(command->second % (pages == 2 ? NVME_PAGE : 8) == 0);
    if (pages == 2)
        return command->second;
    MODEL_CHECK((command->second & (NVME_PAGE - 1)) + 8ull * (pages - 1) <= NVME_PAGE);
    memcpy(&address, model_at(command->second + 8ull * (index - 1), 8), 8);
    MODEL_CHECK(address % NVME_PAGE == 0);
    return address;
}

static void model_transfer(const struct model_command *command, bool write)
{
    uint64_t block = command->word[0] | (uint64_t)command->word[1] << 32;
    uint32_t bytes = ((command->word[2] & 0xffff) + 1) * 512, done = 0;
    uint8_t *media = model.media[command->namespace % MODEL_SPACES];
    unsigned pages = (unsigned)((command->first & (NVME_PAGE - 1)) + bytes + NVME_PAGE - 1) / NVME_PAGE;

    MODEL_CHECK(block < MODEL_BLOCKS && block * 512 + bytes <= sizeof(model.media[0]));
    MODEL_CHECK(!model.transfer || bytes <= NVME_PAGE << model.transfer);
    for (unsigned i = 0; done < bytes; i++) {
        uint64_t address = model_page(command, i, pages);
        uint32_t room = NVME_PAGE - (uint32_t)(address & (NVME_PAGE - 1));
        uint32_t size = room < bytes - done ? room : bytes - done;
        uint8_t *memory = model_at(address, size);

        memcpy(write ? media + block * 512 + done : memory, write ? memory : media + block * 512 + done,
               size);
        done += size;
    }
}

static void model_io(const struct model_command *command)
{
    uint64_t block = command->word[0] | (uint64_t)command->word[1] << 32;
    uint32_t range[4], count = (command->word[2] & 0xffff) + 1;
    uint8_t *media = model.media[command->namespace % MODEL_SPACES];

    MODEL_CHECK(command->namespace != 0);
    model.fua += command->word[2] >> 30 & 1;
    switch (command->head & 0xff) {
    case 0:
        model.flushes++;
        break;
    case 1:
        model.writes++;
        model_transfer(command, true);
        break;
    case 2:
        model.reads++;
        MODEL_CHECK(!(command->word[2] >> 30 & 1));
        model_transfer(command, false);
        break;
    case 8:
        model.zeroes++;
        MODEL_CHECK(model.commands & 8 && block < MODEL_BLOCKS && count <= MODEL_BLOCKS - block);
        memset(media + block * 512, 0, count * 512);
        break;
    case 9:
        model.discards++;
        memcpy(range, model_at(command->first, 16), 16);
        MODEL_CHECK(model.commands & 4 && command->word[0] == 0 && command->word[1] == 4);
        MODEL_CHECK(!range[3] && range[2] < MODEL_BLOCKS && range[1] <= MODEL_BLOCKS - range[2]);
        memset(media + range[2] * 512, 0, range[1] * 512);
        break;
    default:
        MODEL_CHECK(false);
    }
}

static void model_own(const struct model_command *command)
{
    unsigned size = command->word[0] >> 16;

    switch (command->head & 0xff) {
    case 1:
    case 5:
        MODEL_CHECK((command->word[0] & 0xffff) == 1 && command->first % NVME_PAGE == 0);
        MODEL_CHECK(size >= 1 && size < MODEL_QUEUE && size <= (model.cap_low & 0xffff));
        model.queue[1].entries = size + 1;
        if ((command->head & 0xff) == 5)
            model.queue[1].completions = command->first;
        else
            model.queue[1].submissions = command->first;
        break;
    case 6:
        model_identify(command);
        break;
    default:
        MODEL_CHECK((command->head & 0xff) == 9 && command->word[0] == 7);
    }
}

static void model_complete(struct model_queue *queue, uint32_t id, uint32_t status)
{
    uint32_t *entry = (uint32_t *)(void *)model_at(queue->completions + 16ull * queue->filled, 16);

    entry[3] = (id & 0xffff) | (uint32_t)queue->phase << 16 | status << 17;
    queue->filled = (queue->filled + 1) % queue->entries;
    queue->phase ^= queue->filled == 0;
}

static void model_answer(struct model_queue *queue, const struct model_command *command)
{
    uint32_t id = command->head >> 16, status = 0;
    bool io = queue == &model.queue[1];

    if (model.mood == MODEL_REFUSES || (io && model.refuses) ||
        (!io && model.refuses_own && (command->head & 0xff) == (model.refuses_own & 0xff) &&
         (model.refuses_own < 0x100 || command->word[0] == model.refuses_own >> 8)))
        status = model.status;
    if (io && model.refuses)
        model.refuses--;
    if (!status && io)
        model_io(command);
    else if (!status)
        model_own(command);
    if (model.mood == MODEL_WRONG_COMMAND)
        id++;
    if (model.mood == MODEL_RANDOM) {
        id = rand() % 4 ? id : (uint32_t)rand();
        status = rand() % 3 ? 0 : (uint32_t)rand() & 0x7fff;
    }
    model_complete(queue, id, status);
    if (model.mood == MODEL_TWICE && io)
        model_complete(queue, id, 0);
}

/* Answers what waits, in any order. */
static void model_step(void)
{
    for (unsigned i = 0; i < 2 && model.mood != MODEL_SILENT; i++)
        while (model.queue[i].count) {
            unsigned which = (unsigned)rand() % model.queue[i].count;
            struct model_command command = model.queue[i].waiting[which];

            model.queue[i].waiting[which] = model.queue[i].waiting[--model.queue[i].count];
            model_answer(&model.queue[i], &command);
        }
}

static void model_doorbell(unsigned number, uint32_t value)
{
    struct model_queue *queue = &model.queue[number / 2];

    MODEL_CHECK(number < 4 && model.cc & 1 && queue->entries && value < queue->entries);
    if (number % 2) {
        queue->taken = value;
        return;
    }
    while (queue->head != value) {
        MODEL_CHECK(queue->count < queue->entries - 1);
        memcpy(&queue->waiting[queue->count++], model_at(queue->submissions + 64ull * queue->head, 64), 64);
        queue->head = (queue->head + 1) % queue->entries;
    }
}

static uint32_t model_read(void *context, unsigned offset)
{
    bool late = model.now < model.since + model.ready_after;

    (void)context;
    if (model.gone)
        return UINT32_MAX;
    switch (offset) {
    case 0x00:
        return model.cap_low;
    case 0x04:
        return model.cap_high;
    case 0x08:
        return model.version;
    case 0x1c:
        if (model.never_rests && !(model.cc & 1))
            return 1;
        if (model.fatal && model.cc & 1)
            return 3;
        return model.cc & 1 && !late && !model.never_ready;
    default:
        return 0;
    }
}

static void model_write(void *context, unsigned offset, uint32_t value)
{
    (void)context;
    switch (offset) {
    case 0x14:
        MODEL_CHECK(!(value & 1) || value == 0x460001);
        model.cc = value;
        model.since = model.now;
        model.starts += value & 1;
        memset(model.queue, 0, sizeof(model.queue));
        model.queue[0] = (struct model_queue){
            .submissions = model.asq, .completions = model.acq, .entries = (model.aqa & 0xfff) + 1};
        model.queue[0].phase = model.queue[1].phase = true;
        break;
    case 0x24:
        MODEL_CHECK((value & 0xfff) == value >> 16);
        model.aqa = value;
        break;
    case 0x28:
    case 0x30:
        *(offset == 0x28 ? &model.asq : &model.acq) = value;
        break;
    case 0x2c:
    case 0x34:
        *(offset == 0x2c ? &model.asq : &model.acq) |= (uint64_t)value << 32;
        break;
    default:
        MODEL_CHECK(offset >= 0x1000);
        model_doorbell((offset - 0x1000) / (4u << (model.cap_high & 0xf)), value);
    }
}
