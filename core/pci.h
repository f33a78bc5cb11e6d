/* SPDX-License-Identifier: ISC */
/*
 * PCI configuration space (PCI Local Bus 3.0, 6). All access goes through two functions that read and write
 * four bytes, so it is tested on the build machine. `id`: bus, device, function in 8, 5, 3
 * bits.
 */
#pragma once

#include "base/include/check.h"

#include <stdbool.h>
#include <stdint.h>

#define PCI_FUNCTIONS 0x10000u
#define PCI_BARS      6u

struct pci_access {
    uint32_t (*read)(unsigned id, unsigned offset);
    void (*write)(unsigned id, unsigned offset, uint32_t value);
};

/* What a label names: a place "00:04.0" (*id), or a class "010802" (*class_code). False: neither. */
MUST_CHECK bool pci_label(const char *label, bool *is_class, uint32_t *value);

/* The first function from `id` on that is there; PCI_FUNCTIONS: none. */
unsigned pci_next(const struct pci_access *access, unsigned id);
uint32_t pci_class(const struct pci_access *access, unsigned id);
/* Bridges and IOMMUs: the machine depends on them, so no driver gets them. */
bool pci_is_machine(uint32_t class_code);

struct pci_bar {
    uint64_t base, bytes; /* bytes 0: no memory */
};

/* A function as the firmware left it: later the function or its driver may have changed its registers. */
struct pci_function {
    uint16_t id;
    bool on;           /* it decoded memory */
    const char *owner; /* label of the PD that has it; NULL: none has */
    uint8_t bars;      /* how many its kind of header has room for */
    uint8_t refused;   /* bit a BAR: not where it can be left */
    uint32_t class_code;
    uint32_t word[PCI_BARS + 1]; /* BARs as they were read; then the ROM's, off */
    struct pci_bar bar[PCI_BARS];
};

/* Its decoding is off meanwhile, but for bridges and IOMMUs, which others need. */
void pci_function_read(const struct pci_access *access, unsigned id, struct pci_function *function);

struct pci_check {
    /* The other thing at this place; NULL: nothing. */
    const char *(*taken)(uint64_t base, uint64_t last);
    /* A BAR is refused for what was found at its place; other: whose BAR it is, or NULL. */
    void (*tell)(const struct pci_function *function, unsigned number, const char *found,
                 const struct pci_function *other);
};

/* Refuse BARs without an address, at no multiple of their size, and where something else is, which a function
 * that was off is not. */
void pci_functions_check(struct pci_function *functions, unsigned count, const struct pci_check *check);

/* A BAR of memory that can be given away: whole pages, and not refused. NULL: none. */
const struct pci_bar *pci_bar(const struct pci_function *function, uint64_t number);

/* Write BARs back as they were; decoding is off. False: *number, of a BAR or the ROM (6), does not stay so,
 * but reads *found. */
MUST_CHECK bool pci_restore(const struct pci_access *access, const struct pci_function *function,
                            unsigned *number, uint32_t *found);

/* Lets the function decode memory and, if asked, do DMA. Its pin and its ports are off. */
void pci_command(const struct pci_access *access, unsigned id, bool memory, bool dma);

/* Turn on messages: MSI with this one, or MSI-X with all entries as they are. False: it has neither. */
MUST_CHECK bool pci_message(const struct pci_access *access, unsigned id, uint64_t address, uint32_t data);
/* How many messages it can send; 0: none. */
unsigned pci_messages(const struct pci_access *access, unsigned id);
/* No messages, and no DMA that goes around the processors' caches ("no snoop"): memory that is cleared is
 * cleared in them. */
void pci_quiet(const struct pci_access *access, unsigned id);
