/* SPDX-License-Identifier: ISC */
/*
 * A packet is copied out of the buffer, checked, and answered: with bytes that are put into the buffer, or with
 * sectors, for which ata_next() does the rest.
 */
#include "vmm/device/atapi.h"

#include <string.h>

#define FEATURE_DMA     0x01u
#define FEATURE_OVERLAP 0x02u
#define REASON_PACKET   0x01u /* C/D */
#define REASON_TO_HOST  0x02u /* I/O */
#define BYTES_DEFAULT   0xfffeu
#define CODE_COMMAND    0x20u /* additional sense codes */
#define CODE_RANGE      0x21u
#define CODE_FIELD      0x24u
#define CODE_MEDIUM     0x28u
#define CODE_NO_MEDIUM  0x3au
#define CODE_LOCKED     0x53u
#define START           0x01u
#define EJECT           0x02u
#define CD_SECTORS_MOST (80u * 60 * 75) /* beyond, the medium is a DVD */
#define PROFILE_CD      0x0008u
#define PROFILE_DVD     0x0010u
#define MEDIA_CLASS     4u
#define LEAD_OUT        0xaau
#define FRAMES          75u
#define PREGAP          150u
#define ADDRESS_MSF     0x02u
#define TRACK_DATA      0x14u
#define PAGE_RECOVERY   0x01u
#define PAGE_CAPABILITY 0x2au
#define PAGE_ALL        0x3fu
#define ANSWER_MOST     64u

/* When a packet is answered though the drive has something to say first. */
#define ALWAYS 1u /* unit attention waits */
#define MEDIUM 2u /* there must be a medium */

static void put16(uint8_t *to, unsigned value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

static void put32(uint8_t *to, uint32_t value)
{
    put16(to, value >> 16);
    put16(to + 2, value & 0xffff);
}

static unsigned get16(const uint8_t *from)
{
    return from[0] * 256u + from[1];
}

static uint32_t get32(const uint8_t *from)
{
    return get16(from) << 16 | get16(from + 2);
}

static bool has_medium(const struct ata_drive *drive)
{
    return drive->config.disk && !drive->reg.cd.open;
}

/* Sectors of the medium: 0 without one. */
static uint32_t capacity(const struct ata_drive *drive)
{
    uint64_t sectors = has_medium(drive) ? drive->config.disk->sectors / ATAPI_RATIO : 0;

    return sectors < INT32_MAX ? (uint32_t)sectors : INT32_MAX;
}

static void put_reason(struct ata_drive *drive, unsigned reason)
{
    drive->reg.count[0] = (uint8_t)reason;
}

void atapi_finish(struct ata_drive *drive)
{
    drive->reg.transfer = ATA_BY_NONE; /* status is a phase of its own: it interrupts */
    put_reason(drive, REASON_PACKET | REASON_TO_HOST);
    drive->reg.cd.key = 0;
    drive->reg.cd.code = 0;
    ata_finish(drive);
}

void atapi_fail(struct ata_drive *drive, uint8_t key, uint8_t code)
{
    put_reason(drive, REASON_PACKET | REASON_TO_HOST);
    drive->reg.cd.key = key;
    drive->reg.cd.code = code;
    ata_fail(drive, (uint8_t)((unsigned)key << 4 | ATA_ERROR_ABRT));
}

static void refuse_field(struct ata_drive *drive)
{
    atapi_fail(drive, ATAPI_ILLEGAL_REQUEST, CODE_FIELD);
}

void atapi_open_block(struct ata_drive *drive, unsigned size)
{
    drive->reg.lba[1][0] = (uint8_t)size;
    drive->reg.lba[2][0] = (uint8_t)(size >> 8);
    put_reason(drive, REASON_TO_HOST);
}

/* The host reads at most so many bytes at an interrupt, an even number if more follow. */
void atapi_begin(struct ata_drive *drive)
{
    struct ata_registers *reg = &drive->reg;
    unsigned bytes = (reg->lba[1][0] | (unsigned)reg->lba[2][0] << 8) & ~1u;

    if (reg->feature[0] & FEATURE_OVERLAP) {
        ata_fail(drive, ATA_ERROR_ABRT);
        return;
    }
    reg->block = (uint16_t)(bytes ? bytes : BYTES_DEFAULT);
    reg->transfer = ATA_BY_PIO;
    reg->filled = ATA_PACKET;
    reg->block_end = ATA_PACKET;
    reg->phase = ATA_OUT;
    put_reason(drive, REASON_PACKET);
}

/* Sends `size` bytes of the buffer, or as many as the packet allows. */
static void answer(struct ata_drive *drive, unsigned size, unsigned allowed)
{
    struct ata_registers *reg = &drive->reg;

    reg->at = 0;
    reg->block_end = 0;
    reg->filled = (uint16_t)(size < allowed ? size : allowed);
    reg->transfer = reg->feature[0] & FEATURE_DMA ? ATA_BY_DMA : ATA_BY_PIO;
    if (reg->filled == 0)
        atapi_finish(drive);
    else if (reg->transfer == ATA_BY_DMA)
        ata_await_dma(drive);
    else
        ata_open_block(drive, ATA_IN, true);
}

static void read_sectors(struct ata_drive *drive, uint32_t sector, uint32_t count)
{
    struct ata_registers *reg = &drive->reg;
    uint32_t sectors = capacity(drive);

    if (sector >= sectors || count > sectors - sector) {
        atapi_fail(drive, ATAPI_ILLEGAL_REQUEST, CODE_RANGE);
        return;
    }
    reg->sector = (uint64_t)sector * ATAPI_RATIO;
    reg->left = (uint64_t)count * ATAPI_RATIO;
    reg->at = 0;
    reg->filled = 0;
    reg->block_end = 0;
    reg->transfer = reg->feature[0] & FEATURE_DMA ? ATA_BY_DMA : ATA_BY_PIO;
    if (reg->left > 0 && reg->transfer == ATA_BY_DMA)
        ata_await_dma(drive);
    else
        ata_next(drive);
}

/* ---- packets: `p` is a copy, the buffer is zeros */

static void packet_nothing(struct ata_drive *drive, const uint8_t *p)
{
    (void)p;
    atapi_finish(drive);
}

static void packet_read10(struct ata_drive *drive, const uint8_t *p)
{
    read_sectors(drive, get32(p + 2), get16(p + 7));
}

static void packet_read12(struct ata_drive *drive, const uint8_t *p)
{
    read_sectors(drive, get32(p + 2), get32(p + 6));
}

static void packet_seek(struct ata_drive *drive, const uint8_t *p)
{
    read_sectors(drive, get32(p + 2), 0);
}

static void packet_sense(struct ata_drive *drive, const uint8_t *p)
{
    struct ata_registers *reg = &drive->reg;
    uint8_t *data = reg->buffer;

    if (reg->cd.key == 0 && reg->cd.attention) {
        reg->cd.key = ATAPI_UNIT_ATTENTION;
        reg->cd.code = reg->cd.attention;
        reg->cd.attention = 0;
    }
    data[0] = 0x70;
    data[2] = reg->cd.key;
    data[7] = 10;
    data[12] = reg->cd.code;
    answer(drive, 18, p[4]);
}

static void packet_inquiry(struct ata_drive *drive, const uint8_t *p)
{
    uint8_t *data = drive->reg.buffer;

    if (p[1] & 1) { /* vital product data */
        refuse_field(drive);
        return;
    }
    data[0] = 5;    /* CD-ROM */
    data[1] = 0x80; /* removable */
    data[3] = 0x21; /* ATAPI */
    data[4] = 31;
    memcpy(&data[8], "VBOX    CD-ROM          1.0 ", 28);
    answer(drive, 36, p[4]);
}

/* LOAD without a medium in the tray finds none. */
static void packet_start(struct ata_drive *drive, const uint8_t *p)
{
    struct atapi_registers *cd = &drive->reg.cd;
    bool open = !(p[4] & START);

    if (p[4] & EJECT && open && cd->locked) {
        atapi_fail(drive, has_medium(drive) ? ATAPI_ILLEGAL_REQUEST : ATAPI_NOT_READY, CODE_LOCKED);
        return;
    }
    if (p[4] & EJECT && open != cd->open) {
        cd->open = open;
        cd->changed = true;
        cd->attention = !open && drive->config.disk ? CODE_MEDIUM : 0;
    }
    atapi_finish(drive);
}

static void packet_prevent(struct ata_drive *drive, const uint8_t *p)
{
    drive->reg.cd.locked = p[4] & 1;
    atapi_finish(drive);
}

static void packet_capacity(struct ata_drive *drive, const uint8_t *p)
{
    uint32_t sectors = capacity(drive);

    (void)p;
    put32(drive->reg.buffer, sectors ? sectors - 1 : 0);
    put32(drive->reg.buffer + 4, ATAPI_SECTOR);
    answer(drive, 8, 8);
}

static void put_address(uint8_t *to, uint32_t sector, bool msf)
{
    if (!msf) {
        put32(to, sector);
        return;
    }
    sector += PREGAP;
    to[1] = (uint8_t)(sector / FRAMES / 60);
    to[2] = (uint8_t)(sector / FRAMES % 60);
    to[3] = (uint8_t)(sector % FRAMES);
}

static unsigned put_track(uint8_t *to, uint8_t number, uint32_t sector, bool msf)
{
    to[1] = TRACK_DATA;
    to[2] = number;
    put_address(to + 4, sector, msf);
    return 8;
}

/* Format 0: tracks from p[6] on, and the lead-out; 1: the first track of the last session. */
static void packet_toc(struct ata_drive *drive, const uint8_t *p)
{
    uint8_t *data = drive->reg.buffer;
    unsigned format = p[2] & 15 ? p[2] & 15 : p[9] >> 6, size = 4;
    bool msf = p[1] & ADDRESS_MSF;

    if (format > 1 || (format == 0 && p[6] > 1 && p[6] != LEAD_OUT)) {
        refuse_field(drive);
        return;
    }
    data[2] = 1;
    data[3] = 1;
    if (format == 1 || p[6] <= 1)
        size += put_track(data + size, 1, 0, msf);
    if (format == 0)
        size += put_track(data + size, LEAD_OUT, capacity(drive), msf);
    put16(data, size - 2);
    answer(drive, size, get16(p + 7));
}

/* The profiles (feature 0) with the present one in the header; nothing that a data medium does not have. */
static void packet_configuration(struct ata_drive *drive, const uint8_t *p)
{
    uint8_t *data = drive->reg.buffer;
    uint32_t sectors = capacity(drive);
    unsigned profile = sectors > CD_SECTORS_MOST ? PROFILE_DVD : PROFILE_CD, size = 8;

    put16(data + 6, sectors ? profile : 0);
    if (get16(p + 2) == 0) {
        data[10] = 3; /* persistent and current */
        data[11] = 8;
        put16(data + 12, PROFILE_DVD);
        data[14] = profile == PROFILE_DVD && sectors;
        put16(data + 16, PROFILE_CD);
        data[18] = profile == PROFILE_CD && sectors;
        size = 20;
    }
    put32(data, size - 4);
    answer(drive, size, get16(p + 7));
}

static void packet_event(struct ata_drive *drive, const uint8_t *p)
{
    struct ata_registers *reg = &drive->reg;
    uint8_t *data = reg->buffer;
    bool asked = p[4] & 1u << MEDIA_CLASS;

    if (!(p[1] & 1)) { /* only polling: there is no queue */
        refuse_field(drive);
        return;
    }
    put16(data, asked ? 6 : 2);
    data[2] = asked ? MEDIA_CLASS : 0x80;
    data[3] = 1u << MEDIA_CLASS;
    if (asked) {
        data[4] = !reg->cd.changed ? 0 : has_medium(drive) ? 2 : 3; /* new medium, or removed */
        data[5] = (uint8_t)(reg->cd.open | (has_medium(drive) ? 2 : 0));
        reg->cd.changed = false;
    }
    answer(drive, asked ? 8 : 4, get16(p + 7));
}

static void packet_disc(struct ata_drive *drive, const uint8_t *p)
{
    uint8_t *data = drive->reg.buffer;

    put16(data, 32);
    data[2] = 0x0e; /* complete, and so is its last session */
    data[3] = 1;    /* tracks and sessions */
    data[4] = 1;
    data[5] = 1;
    data[6] = 1;
    memset(data + 16, 0xff, 8); /* nothing to be written to */
    answer(drive, 34, get16(p + 7));
}

static void packet_mechanism(struct ata_drive *drive, const uint8_t *p)
{
    drive->reg.buffer[1] = drive->reg.cd.open ? 0x10 : 0;
    answer(drive, 8, get16(p + 8));
}

static void packet_mode(struct ata_drive *drive, const uint8_t *p)
{
    uint8_t *data = drive->reg.buffer;
    unsigned page = p[2] & 0x3f, size = 8;

    if ((page != PAGE_RECOVERY && page != PAGE_CAPABILITY && page != PAGE_ALL) || p[2] >> 6 == 3) {
        refuse_field(drive);
        return;
    }
    data[2] = has_medium(drive) ? 0x01 : 0x70;
    if (page != PAGE_CAPABILITY) {
        data[size] = PAGE_RECOVERY;
        data[size + 1] = 6;
        data[size + 3] = 5; /* retries */
        size += 8;
    }
    if (page != PAGE_RECOVERY && p[2] >> 6 != 1) { /* nothing of it can be changed */
        data[size] = PAGE_CAPABILITY;
        data[size + 1] = 18;
        data[size + 2] = 0x08;                                        /* reads DVD-ROM */
        data[size + 6] = (uint8_t)(0x29 | drive->reg.cd.locked << 1); /* a tray that ejects and locks */
        put16(data + size + 8, 706);                                  /* kB/s */
        put16(data + size + 12, ATA_BUFFER / 1024);
        put16(data + size + 14, 706);
        size += 20;
    }
    put16(data, size - 2);
    answer(drive, size, get16(p + 7));
}

static const struct packet {
    uint8_t code, flags;
    void (*run)(struct ata_drive *drive, const uint8_t *packet);
} packets[] = {
    {0x00, MEDIUM, packet_nothing}, /* TEST UNIT READY */
    {0x03, ALWAYS, packet_sense},   {0x12, ALWAYS, packet_inquiry},  {0x1b, 0, packet_start},
    {0x1e, 0, packet_prevent},      {0x25, MEDIUM, packet_capacity}, {0x28, MEDIUM, packet_read10},
    {0x2b, MEDIUM, packet_seek},    {0x43, MEDIUM, packet_toc},      {0x46, ALWAYS, packet_configuration},
    {0x4a, ALWAYS, packet_event},   {0x51, MEDIUM, packet_disc},     {0x5a, 0, packet_mode},
    {0xa8, MEDIUM, packet_read12},  {0xbb, 0, packet_nothing}, /* SET CD SPEED */
    {0xbd, 0, packet_mechanism},
};

static const struct packet *find_packet(uint8_t code)
{
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++)
        if (packets[i].code == code)
            return &packets[i];
    return NULL;
}

void atapi_packet(struct ata_drive *drive)
{
    struct ata_registers *reg = &drive->reg;
    const struct packet *packet = find_packet(reg->buffer[0]);
    uint8_t bytes[ATA_PACKET], attention = reg->cd.attention;

    memcpy(bytes, reg->buffer, sizeof(bytes));
    memset(reg->buffer, 0, ANSWER_MOST);
    if (!packet) {
        atapi_fail(drive, ATAPI_ILLEGAL_REQUEST, CODE_COMMAND);
    } else if (attention && !(packet->flags & ALWAYS)) {
        reg->cd.attention = 0;
        atapi_fail(drive, ATAPI_UNIT_ATTENTION, attention);
    } else if (packet->flags & MEDIUM && !has_medium(drive)) {
        atapi_fail(drive, ATAPI_NOT_READY, CODE_NO_MEDIUM);
    } else {
        packet->run(drive, bytes);
    }
}
