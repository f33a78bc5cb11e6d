/* SPDX-License-Identifier: ISC */
/* The controller: from whoever had it before to rest, and when each port has to do something. */
#include "drivers/ahci/engine.h"

#define FIRMWARE_MS 2000u /* to let go of it (AHCI 1.3.1, 10.6.3) */
#define RESET_MS    1000u /* (10.4.3) */
#define POLL_MS     10u

/* True: the firmware has it no more. One that does not let go loses it. */
static bool firmware_gone(struct ahci *ahci, uint64_t now)
{
    if (!(hba_read(ahci, HBA_CAP2) & CAP2_BOH) || !(hba_read(ahci, HBA_BOHC) & BOHC_BOS))
        return true;
    if (ahci->rest == AHCI_REST_FIRST) {
        ahci->rest = AHCI_REST_FIRMWARE;
        ahci->rest_until = now + FIRMWARE_MS;
        hba_write(ahci, HBA_BOHC, hba_read(ahci, HBA_BOHC) | BOHC_OOS);
    }
    return now >= ahci->rest_until;
}

bool ahci_rest(struct ahci *ahci, uint64_t now, const char **wrong)
{
    uint32_t capabilities = hba_read(ahci, HBA_CAP);

    *wrong = NULL;
    if (capabilities == UINT32_MAX) {
        *wrong = "there is no controller behind its registers";
        return false;
    }
    if (ahci->rest < AHCI_REST_RESET) {
        if (!firmware_gone(ahci, now))
            return false;
        hba_write(ahci, HBA_GHC, GHC_AE);
        hba_write(ahci, HBA_GHC, GHC_AE | GHC_HR);
        ahci->rest = AHCI_REST_RESET;
        ahci->rest_until = now + RESET_MS;
    }
    if (hba_read(ahci, HBA_GHC) & GHC_HR) {
        if (now >= ahci->rest_until)
            *wrong = "it does not come to rest";
        return false;
    }
    ahci->rest = AHCI_REST_DONE;
    ahci->implemented = hba_read(ahci, HBA_PI);
    ahci->slots = CAP_SLOTS(capabilities);
    ahci->wide = capabilities & CAP_S64A;
    ahci->queues = capabilities & CAP_SNCQ;
    return true;
}

unsigned ahci_ports(const struct ahci *ahci)
{
    unsigned count = 0;

    for (unsigned i = 0; i < AHCI_PORTS; i++)
        count += ahci->implemented >> i & 1;
    return count;
}

const char *ahci_start(struct ahci *ahci, uint64_t now, uint8_t *memory, uint64_t io_address)
{
    uint64_t bytes = (uint64_t)ahci_ports(ahci) * AHCI_PORT_SIZE;

    if (!ahci->implemented)
        return "it has no ports";
    if (!ahci->wide && io_address + bytes > 1ull << 32)
        return "it takes no addresses above 4 GiB";
    hba_write(ahci, HBA_GHC, GHC_AE);
    for (unsigned i = 0; i < AHCI_PORTS; i++) {
        if (!(ahci->implemented >> i & 1))
            continue;
        ahci->port[i].memory = memory;
        ahci->port[i].io_address = io_address;
        memory += AHCI_PORT_SIZE;
        io_address += AHCI_PORT_SIZE;
        port_start(ahci, i, now);
    }
    hba_write(ahci, HBA_IS, UINT32_MAX);
    hba_write(ahci, HBA_GHC, GHC_AE | GHC_IE);
    return NULL;
}

uint64_t ahci_work(struct ahci *ahci, uint64_t now)
{
    uint32_t interrupts = hba_read(ahci, HBA_IS);
    uint64_t next = AHCI_NEVER;

    /* Each port's first, then the controller's: in the other order its bits would be set again. */
    ahci->gone |= interrupts == UINT32_MAX && hba_read(ahci, HBA_CAP) == UINT32_MAX;
    for (uint32_t left = ahci->implemented; left; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);
        struct ahci_port *port = &ahci->port[i];

        if (port->state == AHCI_ABSENT)
            continue;
        if (ahci->gone || interrupts >> i & 1 || port->deadline <= now || port_polls(port))
            port_work(ahci, i, now);
        if (port->deadline < next)
            next = port->deadline;
        if (port_polls(port) && now + POLL_MS < next)
            next = now + POLL_MS;
    }
    if (interrupts && !ahci->gone)
        hba_write(ahci, HBA_IS, interrupts);
    return next;
}

const struct ahci_drive *ahci_drive(const struct ahci *ahci, unsigned port)
{
    return port < AHCI_PORTS && ahci->port[port].known ? &ahci->port[port].drive : NULL;
}
