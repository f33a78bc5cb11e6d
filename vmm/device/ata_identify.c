/* SPDX-License-Identifier: ISC */
/*
 * What a drive says about itself: 256 words (ATA/ATAPI-6 8.15 and 8.16), of which a driver takes what it may use.
 */
#include "vmm/device/ata.h"

#include <string.h>

#define CAPABILITIES  0x0f00u /* LBA, DMA, IORDY that can be switched off */
#define WORD_VALID    0x4000u
#define VERSIONS      0x01f0u /* ATA-4 to ATA8-ACS */
#define CACHE         0x0020u
#define FLUSH_AND_EXT 0x3400u /* FLUSH CACHE, FLUSH CACHE EXT, 48-bit addresses */
#define FUA           0x0040u
#define PACKETS       0x0010u
#define PHYSICAL      0x2000u
#define CABLE         0x2001u /* device 0 has been reset; 80 wires */
#define SOLID_STATE   1u
#define CHECKED       0xa5u

/* Strings have their bytes exchanged in pairs, and spaces at the end. */
static void put_string(uint16_t *words, unsigned first, unsigned count, const char *text)
{
    size_t length = strlen(text);

    for (unsigned i = 0; i < count * 2; i++) {
        unsigned byte = i < length ? (unsigned char)text[i] : ' ';

        words[first + i / 2] |= (uint16_t)(i % 2 ? byte : byte << 8);
    }
}

static void put_long(uint16_t *words, unsigned first, unsigned count, uint64_t value)
{
    for (unsigned i = 0; i < count; i++)
        words[first + i] = (uint16_t)(value >> (i * 16));
}

/* The modes of a kind that the drive has (0 to 2), and the chosen one in the high byte. */
static uint16_t modes(uint8_t mode, unsigned kind)
{
    return (uint16_t)(0x07 | ((mode & 0xf8) == kind ? 0x100u << (mode & 7) : 0));
}

static void put_sizes(uint16_t *words, const struct ata_drive *drive)
{
    const struct ata_registers *reg = &drive->reg;
    uint64_t sectors = drive->config.disk->sectors, cylinders = sectors / (ATA_HEADS * ATA_TRACK);
    uint32_t tracks = (uint32_t)reg->heads * reg->track;
    uint64_t current = sectors / tracks < UINT16_MAX ? sectors / tracks : UINT16_MAX;

    cylinders = cylinders > ATA_CYLINDERS ? ATA_CYLINDERS : cylinders;
    words[1] = (uint16_t)(cylinders ? cylinders : 1);
    words[3] = ATA_HEADS;
    words[6] = ATA_TRACK;
    words[54] = (uint16_t)(current ? current : 1);
    words[55] = reg->heads;
    words[56] = reg->track;
    put_long(words, 57, 2, words[54] * tracks);
    put_long(words, 60, 2, sectors < 0x0fffffff ? sectors : 0x0fffffff);
    put_long(words, 100, 4, sectors);
}

static void put_disk(uint16_t *words, const struct ata_drive *drive)
{
    const struct ata_registers *reg = &drive->reg;
    const struct disk *disk = drive->config.disk;
    unsigned ratio = disk->physical_bytes / DISK_SECTOR;

    words[0] = 0x0040; /* fixed */
    put_sizes(words, drive);
    words[47] = 0x8000 | ATA_MULTIPLE;
    words[50] = WORD_VALID;
    words[59] = reg->multiple ? 0x100 | reg->multiple : 0;
    words[82] = CACHE;
    words[83] = WORD_VALID | FLUSH_AND_EXT;
    words[84] = WORD_VALID | FUA;
    words[85] = reg->write_cache ? CACHE : 0;
    words[86] = FLUSH_AND_EXT;
    words[87] = WORD_VALID | FUA;
    if (ratio > 1 && (ratio & (ratio - 1)) == 0)
        words[106] = (uint16_t)(WORD_VALID | PHYSICAL | (unsigned)__builtin_ctz(ratio));
    if (disk->discards) {
        words[105] = 1; /* block of ranges at once */
        words[169] = 1;
    }
    words[217] = SOLID_STATE;
}

static void put_cd(uint16_t *words)
{
    words[0] = 0x85c0; /* removable CD-ROM, packets of 12 bytes that are asked for at once */
    words[82] = PACKETS;
    words[83] = WORD_VALID;
    words[84] = WORD_VALID;
    words[85] = PACKETS;
    words[87] = WORD_VALID;
}

void ata_identify(const struct ata_drive *drive, uint8_t data[DISK_SECTOR])
{
    uint16_t words[256] = {0};
    uint8_t sum = 0;
    bool cd = drive->config.kind == ATA_CD;

    put_string(words, 10, 10, drive->config.disk ? drive->config.disk->serial : "");
    put_string(words, 23, 4, "1.0");
    put_string(words, 27, 20, cd ? "VBOX CD-ROM" : "VBOX HARDDISK");
    words[49] = CAPABILITIES;
    words[53] = 0x0007; /* words 54 to 58, 64 to 70 and 88 are valid */
    words[63] = modes(drive->reg.mode, 0x20);
    words[64] = 3; /* PIO 3 and 4 */
    for (unsigned i = 65; i <= 68; i++)
        words[i] = 120; /* ns of a cycle */
    words[80] = VERSIONS;
    words[88] = modes(drive->reg.mode, 0x40);
    words[93] = drive->config.serial ? 0 : WORD_VALID | CABLE;
    if (cd)
        put_cd(words);
    else
        put_disk(words, drive);
    words[255] = CHECKED;
    memcpy(data, words, DISK_SECTOR);
    for (unsigned i = 0; i < DISK_SECTOR - 1; i++)
        sum = (uint8_t)(sum + data[i]);
    data[DISK_SECTOR - 1] = (uint8_t)-sum;
}
