/* SPDX-License-Identifier: ISC */
/*
 * Saved state from elsewhere: chunks of a running machine with bytes replaced are loaded; whether they were
 * taken or not, the machine then gets accesses of all kinds. Whatever state it gets into is saved and taken
 * again. Input: a byte with the number of replacements, three bytes for each (two of place, one to be there),
 * then eight bytes that choose the accesses.
 */
#include "vmm/board/saved.h"
#include "vmm/board/test_machine.h"

#include <stdio.h>

#define ACCESSES 200u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct test_machine machine;
static uint8_t running[MACHINE_SAVED_MAX];
static size_t running_size;

static void require(bool holds)
{
    if (!holds)
        abort();
}

/* The state that is changed: of a machine with its chips in use. */
static void make_running(void)
{
    uint64_t seed = 11;

    require(test_machine_init(&machine));
    for (unsigned i = 0; i < 1000; i++)
        test_machine_access(&machine, &seed);
    running_size = machine_save(&machine.machine, machine.now, running, sizeof(running)).bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t changed[MACHINE_SAVED_MAX];
    struct machine_saved saved, loaded;
    uint64_t seed = 0;
    size_t count = size ? data[0] : 0, at = 1;

    if (running_size == 0)
        make_running();
    if (size < 1 + 3 * count + sizeof(seed))
        return 0;
    memcpy(changed, running, running_size);
    for (size_t i = 0; i < count; i++, at += 3)
        changed[(data[at] | (size_t)data[at + 1] << 8) % running_size] = data[at + 2];
    memcpy(&seed, data + at, sizeof(seed));
    seed |= 1;
    require(test_machine_init(&machine));
    loaded = machine_load(&machine.machine, changed, running_size);
    machine.now = loaded.now;
    if (loaded.status != DEVICE_OK)
        machine_reset(&machine.machine, machine.now);
    for (unsigned i = 0; i < ACCESSES; i++)
        test_machine_access(&machine, &seed);
    saved = machine_save(&machine.machine, machine.now, changed, sizeof(changed));
    require(saved.status == DEVICE_OK);
    loaded = machine_load(&machine.machine, changed, saved.bytes);
    if (loaded.status != DEVICE_OK)
        fprintf(stderr, "%s %u: status %d\n", loaded.name, loaded.number, loaded.status);
    require(loaded.status == DEVICE_OK);
    return 0;
}
