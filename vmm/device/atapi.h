/* SPDX-License-Identifier: ISC */
/*
 * The packets of a CD drive (SFF-8020i and MMC-3, as far as drivers and firmware use them): a medium of sectors of
 * 2048 bytes with one data track, which can be ejected and comes back when the tray is closed.
 */
#pragma once

#include "vmm/device/ata.h"

#define ATAPI_SECTOR 2048u
#define ATAPI_RATIO  (ATAPI_SECTOR / DISK_SECTOR)

#define ATAPI_NOT_READY       0x2u /* sense keys */
#define ATAPI_MEDIUM_ERROR    0x3u
#define ATAPI_ILLEGAL_REQUEST 0x5u
#define ATAPI_UNIT_ATTENTION  0x6u

#define ATAPI_CODE_READ  0x11u /* additional sense codes */
#define ATAPI_CODE_RESET 0x29u

/* The command PACKET. */
void atapi_begin(struct ata_drive *drive);

/* The packet is in the buffer. */
void atapi_packet(struct ata_drive *drive);

/* The host is asked for the next `size` bytes of the buffer. */
void atapi_open_block(struct ata_drive *drive, unsigned size);

/* The end of a packet. */
void atapi_finish(struct ata_drive *drive);
void atapi_fail(struct ata_drive *drive, uint8_t key, uint8_t code);
