/* SPDX-License-Identifier: ISC */
/* IDENTIFY DEVICE and IDENTIFY PACKET DEVICE (ATA8-ACS, 7.16 and 7.17), READ CAPACITY (MMC-6, 6.27). */
#include "drivers/ahci/engine.h"

#define WORD_SERIAL       10u
#define WORD_MODEL        27u
#define WORD_CAPABILITIES 49u /* bit 8: DMA, bit 9: LBA */
#define WORD_SECTORS_28   60u
#define WORD_DISCARD      69u
#define WORD_DEPTH        75u
#define WORD_SATA         76u /* bit 8: NCQ */
#define WORD_COMMANDS     83u /* bit 10: 48 bits, bit 12: FLUSH CACHE, bit 13: its EXT form */
#define WORD_FUA          84u /* bit 6 */
#define WORD_SECTORS_48   100u
#define WORD_SIZES        106u
#define WORD_BYTES        117u /* of a logical sector, in words */
#define WORD_TRIM         169u

#define SECTOR_BYTES_MAX 4096u
#define SECTORS_MAX_28   (1ull << 28)
#define SECTORS_MAX_48   (1ull << 48)
#define DISC_SECTOR      2048u
#define DISC_SECTORS_MAX 0x4000000u /* 128 GiB */

static unsigned word_at(const uint8_t *data, unsigned word)
{
    return data[2 * word] | (unsigned)data[2 * word + 1] << 8;
}

/* Two characters a word, the first in the upper byte; blanks at both ends do not count. */
static void text_read(const uint8_t *data, unsigned word, unsigned length, char *text)
{
    unsigned used = 0;

    for (unsigned i = 0; i < length; i++) {
        uint8_t character = data[2 * word + (i ^ 1)];

        if (character < ' ' || character > '~')
            character = ' ';
        if (character != ' ' || used)
            text[used++] = (char)character;
    }
    while (used && text[used - 1] == ' ')
        used--;
    text[used] = '\0';
}

/* Words 83, 84, 106 and others are valid with bit 14 set and bit 15 clear. */
static unsigned valid_word(const uint8_t *data, unsigned word)
{
    unsigned value = word_at(data, word);

    return (value & 0xc000) == 0x4000 ? value : 0;
}

static const char *disk_read(const uint8_t *data, bool ncq, unsigned slots, struct ahci_drive *drive)
{
    unsigned commands = valid_word(data, WORD_COMMANDS), sizes = valid_word(data, WORD_SIZES);
    unsigned depth = (word_at(data, WORD_DEPTH) & 31) + 1, sata = word_at(data, WORD_SATA);

    if ((word_at(data, WORD_CAPABILITIES) & 0x300) != 0x300)
        return "the disk has no DMA or no LBA";
    drive->lba48 = commands >> 10 & 1;
    drive->flushes = commands >> 12 & 1;
    drive->flushes_ext = drive->lba48 && (commands >> 13 & 1);
    drive->fua = drive->lba48 && (valid_word(data, WORD_FUA) >> 6 & 1);
    drive->ncq = ncq && drive->lba48 && sata != 0xffff && (sata >> 8 & 1);
    drive->depth = !drive->ncq ? 1 : depth < slots ? depth : slots;
    drive->discards = drive->lba48 && (word_at(data, WORD_TRIM) & 1);
    drive->sectors = word_at(data, WORD_SECTORS_28) | (uint64_t)word_at(data, WORD_SECTORS_28 + 1) << 16;
    if (drive->lba48) {
        drive->sectors = 0;
        for (unsigned i = 4; i-- > 0;)
            drive->sectors = drive->sectors << 16 | word_at(data, WORD_SECTORS_48 + i);
    }
    drive->bytes = 512;
    if (sizes & 1u << 12)
        drive->bytes = 2 * (word_at(data, WORD_BYTES) | (uint32_t)word_at(data, WORD_BYTES + 1) << 16);
    if (drive->bytes < 512 || drive->bytes > SECTOR_BYTES_MAX || (drive->bytes & (drive->bytes - 1)))
        return "the size of its sectors is none of 512 to 4096 bytes";
    drive->physical = drive->bytes << (sizes & 1u << 13 ? sizes & 7 : 0);
    if (!drive->sectors || drive->sectors > (drive->lba48 ? SECTORS_MAX_48 : SECTORS_MAX_28))
        return "the disk says that it has no sectors, or more than can be named";
    return NULL;
}

const char *identify_read(const uint8_t *data, bool atapi, bool ncq, unsigned slots, struct ahci_drive *drive)
{
    *drive = (struct ahci_drive){.atapi = atapi, .depth = 1, .bytes = DISC_SECTOR, .physical = DISC_SECTOR};
    text_read(data, WORD_SERIAL, sizeof(drive->serial) - 1, drive->serial);
    text_read(data, WORD_MODEL, sizeof(drive->model) - 1, drive->model);
    return atapi ? NULL : disk_read(data, ncq, slots, drive);
}

static uint32_t big_endian(const uint8_t *data)
{
    return (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
}

void capacity_read(const uint8_t *data, struct ahci_drive *drive)
{
    uint32_t last = big_endian(data), bytes = big_endian(data + 4);

    drive->sectors = bytes == DISC_SECTOR && last < DISC_SECTORS_MAX ? (uint64_t)last + 1 : 0;
}
