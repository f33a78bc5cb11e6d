/* SPDX-License-Identifier: ISC */
/*
 * The fw_cfg device. An item's bytes are const and outlive the machine, so a guest can only choose which of them
 * it gets. A descriptor is copied and checked before anything of it is done; what it costs is bounded by
 * FW_CFG_DMA_MOST.
 */
#include "vmm/device/fw_cfg.h"

#include "vmm/bus/bytes.h"

#include <string.h>

#define PORT_SELECTOR 0x510u
#define PORT_DMA      0x514u

#define VERSION_TRADITIONAL 1u
#define VERSION_DMA         2u

/* Bits of a descriptor's control word. The key of SELECT has the upper half. */
#define DMA_ERROR  0x01u
#define DMA_READ   0x02u
#define DMA_SKIP   0x04u
#define DMA_SELECT 0x08u
#define DMA_WRITE  0x10u

static const uint8_t signature[] = {'Q', 'E', 'M', 'U'};
static const uint8_t dma_signature[] = {'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};

static void put_big(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (bytes - 1 - i) * 8);
}

static uint64_t get_big(const uint8_t *from, unsigned bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < bytes; i++)
        value = value << 8 | from[i];
    return value;
}

static const struct fw_cfg_item *find(const struct fw_cfg *fw, uint16_t key)
{
    for (uint32_t i = 0; i < fw->config.items; i++)
        if (fw->config.item[i].key == key)
            return &fw->config.item[i];
    return NULL;
}

static uint32_t size_of(const struct fw_cfg *fw, uint16_t key)
{
    const struct fw_cfg_item *item = find(fw, key);

    return item ? item->size : 0;
}

/* `length` bytes of the selected item, zeros behind its end. */
static void take(struct fw_cfg *fw, uint8_t *to, uint32_t length)
{
    const struct fw_cfg_item *item = find(fw, fw->reg.key);
    uint32_t left = item ? item->size - fw->reg.offset : 0;
    uint32_t count = length < left ? length : left;

    if (count && item->data)
        memcpy(to, item->data + fw->reg.offset, count);
    for (uint32_t i = 0; i < count && !item->data; i++)
        to[i] = (uint8_t)(item->number >> (fw->reg.offset + i) * 8);
    if (length > count)
        memset(to + count, 0, length - count);
    fw->reg.offset += count;
}

static void skip(struct fw_cfg *fw, uint32_t length)
{
    uint32_t left = size_of(fw, fw->reg.key) - fw->reg.offset;

    fw->reg.offset += length < left ? length : left;
}

static void choose(struct fw_cfg *fw, uint16_t key)
{
    fw->reg.key = key;
    fw->reg.offset = 0;
}

/* What a descriptor asks for. False: it cannot be done. */
static bool transfer(struct fw_cfg *fw, uint32_t control, uint32_t length, uint64_t address)
{
    uint8_t *to;

    if (control & DMA_SELECT)
        choose(fw, (uint16_t)(control >> 16));
    if (control & DMA_READ) {
        if (length == 0)
            return true;
        to = length <= FW_CFG_DMA_MOST ? guest_ram_at(fw->ram, address, length) : NULL;
        if (to)
            take(fw, to, length);
        return to != NULL;
    }
    if (control & DMA_WRITE)
        return false;
    if (control & DMA_SKIP)
        skip(fw, length);
    return true;
}

/* The descriptor: control, length, address; the first word becomes the result. One that does not lie in RAM has
 * no place for a result either. */
static void run_descriptor(struct fw_cfg *fw, uint64_t address)
{
    uint8_t descriptor[16], result[4];
    bool done, written;

    if (!guest_ram_read(fw->ram, address, descriptor, sizeof(descriptor)))
        return;
    done = transfer(fw, (uint32_t)get_big(descriptor, 4), (uint32_t)get_big(descriptor + 4, 4),
                    get_big(descriptor + 8, 8));
    put_big(result, done ? 0 : DMA_ERROR, sizeof(result));
    written = guest_ram_write(fw->ram, address, result, sizeof(result));
    (void)written; /* it was RAM a moment ago */
}

/* A word at the first port selects; the second gives a byte. The first port cannot be read. */
static void item_access(void *device, struct bus_access *access)
{
    struct fw_cfg *fw = device;
    uint8_t byte;

    if (access->write) {
        if (access->offset == 0 && access->size == 2)
            choose(fw, (uint16_t)access->value);
        return;
    }
    if (access->size != 1)
        return;
    take(fw, &byte, 1);
    access->value = byte;
}

/* Big-endian, in two halves: the lower one starts the descriptor. */
static void dma_access(void *device, struct bus_access *access)
{
    struct fw_cfg *fw = device;
    uint32_t value = __builtin_bswap32((uint32_t)access->value);

    if (!access->write) {
        access->value = 0;
        for (unsigned i = 0; i < access->size; i++)
            access->value |= (uint64_t)dma_signature[(access->offset + i) % sizeof(dma_signature)] << i * 8;
        return;
    }
    if (access->size != 4)
        return;
    if (access->offset == 0) {
        fw->reg.dma_high = value;
    } else if (access->offset == 4) {
        uint64_t address = (uint64_t)fw->reg.dma_high << 32 | value;

        fw->reg.dma_high = 0;
        run_descriptor(fw, address);
    }
}

static bool add(struct fw_cfg *fw, const struct fw_cfg_item *item)
{
    if (fw->config.items == FW_CFG_ITEMS || find(fw, item->key))
        return false;
    fw->config.item[fw->config.items++] = *item;
    return true;
}

static void set_directory_size(struct fw_cfg *fw)
{
    for (uint32_t i = 0; i < fw->config.items; i++)
        if (fw->config.item[i].key == FW_CFG_FILE_DIRECTORY)
            fw->config.item[i].size = 4 + fw->config.files * (8 + FW_CFG_NAME);
    put_big(fw->config.directory, fw->config.files, 4);
}

void fw_cfg_init(struct fw_cfg *fw, const struct guest_ram *ram, bool present)
{
    const struct fw_cfg_item first[] = {
        {.key = FW_CFG_SIGNATURE, .size = sizeof(signature), .data = signature},
        {.key = FW_CFG_ID, .size = 4, .number = VERSION_TRADITIONAL | VERSION_DMA},
        {.key = FW_CFG_FILE_DIRECTORY, .data = fw->config.directory},
    };

    memset(fw, 0, sizeof(*fw));
    fw->ram = ram;
    fw->config.present = present;
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
        fw->config.item[fw->config.items++] = first[i];
    set_directory_size(fw);
}

bool fw_cfg_add_number(struct fw_cfg *fw, uint16_t key, uint64_t number, unsigned bytes)
{
    if (bytes == 0 || bytes > sizeof(number))
        return false;
    return add(fw, &(struct fw_cfg_item){.key = key, .size = bytes, .number = number});
}

/* An entry of the directory: size, key, two bytes of zeros, name. */
static bool add_file(struct fw_cfg *fw, const char *name, struct fw_cfg_item item)
{
    struct fw_cfg_config *config = &fw->config;
    uint8_t *entry = config->directory + 4 + config->files * (8 + FW_CFG_NAME);
    size_t length = strlen(name);

    if (config->files == FW_CFG_FILES || length == 0 || length >= FW_CFG_NAME)
        return false;
    for (uint32_t i = 0; i < config->files; i++)
        if (strcmp((const char *)config->directory + 4 + i * (8 + FW_CFG_NAME) + 8, name) == 0)
            return false;
    item.key = (uint16_t)(FW_CFG_FILE + config->files);
    if (!add(fw, &item))
        return false;
    put_big(entry, item.size, 4);
    put_big(entry + 4, item.key, 2);
    memcpy(entry + 8, name, length);
    config->files++;
    set_directory_size(fw);
    return true;
}

bool fw_cfg_add_file(struct fw_cfg *fw, const char *name, const void *data, uint32_t size)
{
    return (data || size == 0) &&
           add_file(fw, name, (struct fw_cfg_item){.size = size, .data = size ? data : signature});
}

bool fw_cfg_add_file_number(struct fw_cfg *fw, const char *name, uint64_t number, unsigned bytes)
{
    return bytes != 0 && bytes <= sizeof(number) &&
           add_file(fw, name, (struct fw_cfg_item){.size = bytes, .number = number});
}

static void reset_device(void *device, uint64_t now)
{
    struct fw_cfg *fw = device;

    (void)now;
    fw->reg = (struct fw_cfg_registers){.key = FW_CFG_SIGNATURE};
}

static enum bus_status attach_device(void *device, struct bus *bus)
{
    struct fw_cfg *fw = device;
    const struct bus_region items = {
        .name = "fw_cfg", .base = PORT_SELECTOR, .length = 2, .handler = item_access, .device = fw};
    const struct bus_region dma = {
        .name = "fw_cfg dma", .base = PORT_DMA, .length = 8, .handler = dma_access, .device = fw};
    enum bus_status status = fw->config.present ? bus_attach(bus, BUS_PORT, &items) : BUS_OK;

    return status == BUS_OK && fw->config.present ? bus_attach(bus, BUS_PORT, &dma) : status;
}

static void fields(struct state *state, struct fw_cfg_registers *reg)
{
    state_u16(state, &reg->key);
    state_u32(state, &reg->offset);
    state_u32(state, &reg->dma_high);
}

static void save_device(const void *device, struct state *state)
{
    struct fw_cfg_registers reg = ((const struct fw_cfg *)device)->reg;

    fields(state, &reg);
}

static bool load_device(void *device, struct state *state)
{
    struct fw_cfg *fw = device;
    struct fw_cfg_registers reg = fw->reg;

    fields(state, &reg);
    if (!state_is_whole(state) || reg.offset > size_of(fw, reg.key))
        return false;
    fw->reg = reg;
    return true;
}

const struct device_class fw_cfg_class = {.name = "fw_cfg",
                                          .version = 1,
                                          .save = save_device,
                                          .load = load_device,
                                          .reset = reset_device,
                                          .attach = attach_device};
