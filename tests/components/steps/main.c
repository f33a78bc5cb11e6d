/* SPDX-License-Identifier: ISC */
/*
 * How long one request holds core, which serves the others only then: a large dataspace is attached in pieces
 * of 4 KiB and detached, and whatever may come in between two steps does. Under deterministic time a tick is
 * an instruction, this component's own part of each call included.
 */
#include "base/include/component.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"
#include "base/include/session.h"
#include "base/include/session/pd.h"

#define BYTES  (128ul << 20)
#define PLACE  0x200000001000ul /* no multiple of 2 MiB, as the dataspace's memory is */
#define LARGE  0x210000000000ul
#define PAGE   4096ul
#define RIGHTS (MEM_READ | MEM_WRITE)

static unsigned failures;

static struct {
    unsigned requests;
    uint64_t longest;
} cost;

static enum error timed(uint64_t operation, uint64_t a, uint64_t address)
{
    uint64_t begin = tsc_read(), rights = operation == PD_ATTACH ? RIGHTS : 0;
    enum error error = core_call(operation, a, 0, 0, address, rights);
    uint64_t ticks = tsc_read() - begin;
    cost.requests++;
    if (ticks > cost.longest)
        cost.longest = ticks;
    return error;
}

static void expect(const char *what, enum error found, enum error expected)
{
    if (found == expected)
        return;
    failures++;
    log_line("steps: %s: expected \"%s\", found \"%s\"", what, error_text(expected), error_text(found));
}

/* The whole of it, with what it costs on the log. */
static void repeat(const char *what, uint64_t operation, uint64_t a, uint64_t address)
{
    enum error error = ERROR_MORE;
    cost.requests = 0;
    cost.longest = 0;
    while (error == ERROR_MORE)
        error = timed(operation, a, address);
    expect(what, error, ERROR_OK);
    log_line("steps: %s: %u requests, the longest %lu", what, cost.requests, cost.longest);
}

static void touch(uint64_t place)
{
    volatile uint64_t *word = (volatile uint64_t *)place; /* NOLINT: an address */
    word[0] = place;
    word[BYTES / 8 - 1] = ~place;
    if (word[0] != place || word[BYTES / 8 - 1] != ~place)
        failures++;
}

static enum error attach(uint64_t handle, uint64_t offset, uint64_t bytes, uint64_t address)
{
    return core_call(PD_ATTACH, handle, offset, bytes, address, RIGHTS);
}

/* Between two steps. */
static void interrupted(uint64_t handle, uint64_t other)
{
    expect("the first step", attach(handle, 0, 0, PLACE), ERROR_MORE);
    expect("another one there", attach(other, 0, 0, PLACE), ERROR_EXISTS);
    expect("less of it there", attach(handle, 0, BYTES / 2, PLACE), ERROR_EXISTS);
    expect("it within", attach(handle, 0, BYTES / 2, PLACE + PAGE), ERROR_EXISTS);
    expect("another one at its end", attach(other, 0, 0, PLACE + BYTES - PAGE), ERROR_EXISTS);
    expect("more than there is", attach(handle, PAGE, BYTES, PLACE), ERROR_BAD_ARGUMENT);
    expect("another one behind it", attach(other, 0, 0, PLACE + BYTES), ERROR_OK);
    expect("the second step", attach(handle, 0, 0, PLACE), ERROR_MORE);
    expect("detaching from within", core_call(PD_DETACH, PLACE + PAGE, 0, 0, 0, 0), ERROR_NOT_FOUND);
    expect("detaching it half done", core_call(PD_DETACH, PLACE, 0, 0, 0, 0), ERROR_MORE);
    expect("and no step more", attach(handle, 0, 0, PLACE), ERROR_EXISTS);
    repeat("detach what was attached", PD_DETACH, PLACE, 0);
    expect("it twice", core_call(PD_DETACH, PLACE, 0, 0, 0, 0), ERROR_NOT_FOUND);
    expect("the place is free", attach(other, 0, 0, PLACE), ERROR_OK);
    expect("the place's end", core_call(PD_DETACH, PLACE, 0, 0, 0, 0), ERROR_OK);
    expect("the one behind it", core_call(PD_DETACH, PLACE + BYTES, 0, 0, 0, 0), ERROR_OK);
}

/* What is half attached goes with its dataspace. */
static void freed(uint64_t other)
{
    struct dataspace dataspace;
    expect("memory", dataspace_alloc(BYTES, &dataspace), ERROR_OK);
    uint64_t handle = dataspace.handle;
    expect("its first step", attach(handle, 0, 0, PLACE), ERROR_MORE);
    expect("its end", dataspace_free(&dataspace), ERROR_OK);
    expect("its second step", attach(handle, 0, 0, PLACE), ERROR_NOT_FOUND);
    expect("its place", attach(other, 0, 0, PLACE), ERROR_OK);
    expect("its place again", core_call(PD_DETACH, PLACE, 0, 0, 0, 0), ERROR_OK);
}

/* Without kernel memory for the tables: what earlier steps have entered is there until it is detached. */
static void fails(uint64_t handle)
{
    struct pd_info info;
    uint64_t place = LARGE + PAGE;
    enum error error = ERROR_OK;
    void *attached;
    while (error == ERROR_OK) {
        place += 1ul << 32;
        do
            error = attach(handle, 0, 0, place);
        while (error == ERROR_MORE);
    }
    expect("too many tables", error, ERROR_NO_KMEM);
    do
        error = core_call(PD_DETACH, place, 0, 0, 0, 0);
    while (error == ERROR_MORE);
    expect("detaching it", error == ERROR_NOT_FOUND ? ERROR_OK : error, ERROR_OK);
    expect("it anywhere", dataspace_attach(handle, place, RIGHTS, &attached), ERROR_NO_KMEM);
    expect("nothing remains of that", core_call(PD_DETACH, place, 0, 0, 0, 0), ERROR_NOT_FOUND);
    expect("information", pd_info(&info), ERROR_OK);
}

int component_main(void)
{
    struct dataspace dataspace, other;
    void *attached;
    if (dataspace_alloc(BYTES, &dataspace) != ERROR_OK || dataspace_alloc(PAGE, &other) != ERROR_OK)
        return 1;
    repeat("attach in pieces", PD_ATTACH, dataspace.handle, PLACE);
    touch(PLACE);
    repeat("detach in pieces", PD_DETACH, PLACE, 0);
    repeat("attach as it comes", PD_ATTACH, dataspace.handle, LARGE);
    touch(LARGE);
    repeat("detach as it came", PD_DETACH, LARGE, 0);
    expect("anywhere", dataspace_attach(dataspace.handle, 0, RIGHTS, &attached), ERROR_OK);
    touch((uintptr_t)attached);
    expect("no more", dataspace_detach(attached), ERROR_OK);
    interrupted(dataspace.handle, other.handle);
    freed(other.handle);
    fails(dataspace.handle);
    log_line("steps: done: %u failures", failures);
    return failures != 0;
}
