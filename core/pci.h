/* SPDX-License-Identifier: ISC */
/*
 * PCI configuration space (PCI Local Bus 3.0, 6). What is done is written in terms of two functions that read
 * and write four bytes, so that it is tested on the build machine. `id`: bus, device, function in 8, 5, 3
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
/* Bridges and IOMMUs: the machine stands on them, nobody drives them. */
bool pci_is_machine(uint32_t class_code);

/* A BAR of memory: false if it is none, was given no address, or is not of whole pages. Its decoding is off
 * meanwhile. */
MUST_CHECK bool pci_bar(const struct pci_access *access, unsigned id, unsigned number, uint64_t *base,
                        uint64_t *bytes);

/* What the function may do: decode memory; beside that, DMA. Pins and ports are off. */
void pci_command(const struct pci_access *access, unsigned id, bool memory, bool dma);

/* Turn on messages: MSI with this one, or MSI-X with all entries as they are. False: it has neither. */
MUST_CHECK bool pci_message(const struct pci_access *access, unsigned id, uint64_t address, uint32_t data);
/* How many it can send; 0: none. */
unsigned pci_messages(const struct pci_access *access, unsigned id);
/* No messages, and no DMA that goes around the processors' caches ("no snoop"): memory that is cleared is
 * cleared in them. */
void pci_quiet(const struct pci_access *access, unsigned id);
