/* SPDX-License-Identifier: ISC */
/* Between the files of the controller's model of itself: registers, and what each file does for the others. */
#pragma once

#include "drivers/ahci/ahci.h"

/* Registers of the controller (AHCI 1.3.1, 3.1) ... */
#define HBA_CAP  0x00u
#define HBA_GHC  0x04u
#define HBA_IS   0x08u
#define HBA_PI   0x0cu
#define HBA_CAP2 0x24u
#define HBA_BOHC 0x28u

#define CAP_SLOTS(cap) (((cap) >> 8 & 31) + 1)
#define CAP_SSS        (1u << 27) /* staggered spin-up */
#define CAP_SNCQ       (1u << 30)
#define CAP_S64A       (1u << 31)
#define GHC_HR         1u
#define GHC_IE         2u
#define GHC_AE         (1u << 31)
#define CAP2_BOH       1u
#define BOHC_BOS       1u
#define BOHC_OOS       2u

/* ... and of each port (3.3). */
#define PORT_CLB  0x00u
#define PORT_CLBU 0x04u
#define PORT_FB   0x08u
#define PORT_FBU  0x0cu
#define PORT_IS   0x10u
#define PORT_IE   0x14u
#define PORT_CMD  0x18u
#define PORT_TFD  0x20u
#define PORT_SIG  0x24u
#define PORT_SSTS 0x28u
#define PORT_SCTL 0x2cu
#define PORT_SERR 0x30u
#define PORT_SACT 0x34u
#define PORT_CI   0x38u

#define IS_CONNECT   (1u << 6)   /* PCS */
#define IS_PHY       (1u << 22)  /* PRCS */
#define IS_ERRORS    0x7d000000u /* OFS, INFS, IFS, HBDS, HBFS, TFES */
#define IS_TASK_FILE (1u << 30)
#define IE_ALL       (0x0000002fu | IS_CONNECT | IS_PHY | IS_ERRORS) /* and what ends a command */
#define CMD_ST       1u
#define CMD_SUD      2u
#define CMD_POD      4u
#define CMD_FRE      (1u << 4)
#define CMD_FR       (1u << 14)
#define CMD_CR       (1u << 15)
#define CMD_ATAPI    (1u << 24)
#define TFD_ERR      1u
#define TFD_DRQ      8u
#define TFD_BSY      0x80u
#define SSTS_DET     0xfu
#define DET_PRESENT  3u
#define SCTL_RESET   1u
#define SCTL_NO_LOW  0x300u /* no transitions to partial and slumber */
#define SIG_ATAPI    0xeb140101u
#define SIG_ATA      0x00000101u

/* The port's memory: the command list, received FISes, data of its own commands, then tables. */
#define AT_LIST   0x0000u
#define AT_FIS    0x0400u
#define AT_DATA   0x0800u /* a sector's worth: IDENTIFY, the log, a disc's capacity ... */
#define AT_RANGES 0x0a00u /* ... and what is to be discarded */
#define AT_TABLES 0x1000u
#define TABLE     0x100u
#define OWN_BYTES 512u

/* What the drive does for the port itself; in slot 0 while nothing else is under way. */
enum own_command { OWN_IDENTIFY, OWN_IDENTIFY_PACKET, OWN_CAPACITY, OWN_LOG };

static inline uint32_t hba_read(const struct ahci *ahci, unsigned offset)
{
    return ahci->wiring.read(ahci->wiring.context, offset);
}

static inline void hba_write(const struct ahci *ahci, unsigned offset, uint32_t value)
{
    ahci->wiring.write(ahci->wiring.context, offset, value);
}

static inline uint32_t port_read(const struct ahci *ahci, unsigned number, unsigned offset)
{
    return hba_read(ahci, 0x100 + number * 0x80 + offset);
}

static inline void port_write(const struct ahci *ahci, unsigned number, unsigned offset, uint32_t value)
{
    hba_write(ahci, 0x100 + number * 0x80 + offset, value);
}

/* port.c */
void port_start(struct ahci *ahci, unsigned number, uint64_t now);
/* One look at it. */
void port_work(struct ahci *ahci, unsigned number, uint64_t now);
/* It waits for what no interrupt tells. */
bool port_polls(const struct ahci_port *port);
/* Gives the drive what waits and may go. */
void port_issue(struct ahci *ahci, unsigned number, uint64_t now);

/* command.c */
/* Whether it goes by NCQ, beside others. */
bool command_queued(const struct ahci_drive *drive, const struct disk_request *request);
/* Writes header and table of a slot. */
void command_put(const struct ahci_port *port, unsigned slot, const struct disk_request *request);
void command_put_own(const struct ahci_port *port, enum own_command command);

/* identify.c */
/* From the drive's 512 bytes. NULL, or what is wrong with it. */
const char *identify_read(const uint8_t *data, bool atapi, bool ncq, unsigned slots,
                          struct ahci_drive *drive);
/* From the 8 bytes of READ CAPACITY; 0 sectors for sizes that no disc has. */
void capacity_read(const uint8_t *data, struct ahci_drive *drive);
