/* SPDX-License-Identifier: ISC */
/*
 * Detaching and attaching; see churn.h. It is a clock on the bus: the main thread calls it with the lock
 * held.
 */
#include "vmm/test/churn.h"

#include "base/include/log.h"

#define PIECES     64u /* at most: core keeps a table of attachments */
#define LARGE_PAGE 0x200000u
#define STRIDE     8u /* words: one a cache line, so that the guest is not kept waiting for long */

static uint64_t length_at(const struct churn *churn, uint64_t offset)
{
    return churn->bytes - offset < churn->piece ? churn->bytes - offset : churn->piece;
}

static enum error attach_piece(const struct churn *churn, uint64_t offset)
{
    return vm_attach(churn->vm, churn->dataspace, CHURN_BASE + offset, length_at(churn, offset),
                     CHURN_BASE + offset, churn->rights);
}

enum error churn_attach(struct churn *churn)
{
    enum error error = ERROR_OK;

    churn->piece = (churn->bytes / PIECES + LARGE_PAGE - 1) & ~(uint64_t)(LARGE_PAGE - 1);
    if (churn->piece == 0)
        churn->piece = LARGE_PAGE;
    for (uint64_t offset = 0; offset < churn->bytes && error == ERROR_OK; offset += churn->piece)
        error = attach_piece(churn, offset);
    return error;
}

/* Cache lines of the piece that are the monitor's: their first words. */
static unsigned find_written(const struct churn *churn, uint64_t offset, uint64_t bytes, uint64_t *words)
{
    unsigned count = 0;

    for (unsigned i = 0; i < churn->writers; i++) {
        uint64_t at = *churn->written[i] - CHURN_BASE - offset; /* what lies before wraps */

        if (at < bytes)
            words[count++] = at / sizeof(uint64_t) / STRIDE * STRIDE;
    }
    return count;
}

static bool is_one_of(uint64_t word, const uint64_t *words, unsigned count)
{
    while (count)
        if (words[--count] == word)
            return true;
    return false;
}

static uint64_t sum(const uint8_t *memory, uint64_t bytes, const uint64_t *written, unsigned writers)
{
    const volatile uint64_t *word = (const volatile uint64_t *)(const void *)memory;
    uint64_t result = 0;

    for (uint64_t i = 0; i < bytes / sizeof *word; i += STRIDE)
        if (!is_one_of(i, written, writers))
            result = (result << 1 | result >> 63) ^ word[i];
    return result;
}

static bool changes(const struct churn *churn, uint64_t offset, uint64_t length)
{
    uint64_t written[MACHINE_CPUS];
    unsigned writers = find_written(churn, offset, length, written);
    const uint8_t *memory = churn->memory + offset;

    return sum(memory, length, written, writers) != sum(memory, length, written, writers);
}

static uint64_t deadline(void *context)
{
    const struct churn *churn = context;

    return churn->deadline;
}

static void advance(void *context, uint64_t now)
{
    struct churn *churn = context;
    uint64_t offset = churn->next, length = length_at(churn, offset);
    enum error error = vm_detach(churn->vm, CHURN_BASE + offset);

    churn->deadline = now + churn->period;
    churn->next = offset + length < churn->bytes ? offset + length : 0;
    if (error == ERROR_OK) {
        churn->times++;
        churn->changed += changes(churn, offset, length);
        error = attach_piece(churn, offset);
    }
    if (error == ERROR_OK)
        return;
    log_line("vm %s: memory at %lx: cannot be detached and attached again: %s", churn->name,
             (unsigned long)(CHURN_BASE + offset), error_text(error));
    churn->deadline = BUS_NEVER;
}

bool churn_start(struct churn *churn, struct bus *bus, const char *name, uint64_t period)
{
    churn->name = name;
    churn->period = period;
    churn->deadline = period;
    return bus_attach_clock(
               bus, &(struct bus_clock){.deadline = deadline, .advance = advance, .device = churn}) == BUS_OK;
}

void churn_log(const struct churn *churn)
{
    if (churn->period)
        log_line("vm %s: memory was detached %lu times and changed meanwhile %lu times", churn->name,
                 (unsigned long)churn->times, (unsigned long)churn->changed);
}
