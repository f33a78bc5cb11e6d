/* SPDX-License-Identifier: ISC */
/*
 * All chunks of a machine; see saved.h.
 */
#include "vmm/board/saved.h"

#include "vmm/board/parts.h"

#define LATEST INT64_MAX /* virtual time: 292 years */

/* What two machines have to have in common, beside their parts. */
static void fields(struct state *state, struct machine *machine)
{
    uint64_t now = state->now, hz = machine->clock.hz, low = machine->ram.low_size,
             high = machine->ram.high_size;
    uint32_t cpus = machine->cpus;

    state_u64(state, &now);
    state_u32(state, &cpus);
    state_u64(state, &hz);
    state_u64(state, &low);
    state_u64(state, &high);
    if (cpus != machine->cpus || hz != machine->clock.hz || low != machine->ram.low_size ||
        high != machine->ram.high_size || now > LATEST)
        state->failed = true;
    if (!state->failed)
        state->now = now;
}

static void save_machine(const void *device, struct state *state)
{
    struct machine *machine = (struct machine *)(uintptr_t)device; /* only read when saved */

    fields(state, machine);
}

static bool load_machine(void *device, struct state *state)
{
    fields(state, device);
    return state_is_whole(state);
}

static const struct device_class machine_class = {
    .name = "machine", .version = 1, .save = save_machine, .load = load_machine};

static enum device_status transfer(const struct device_class *class, unsigned number, void *device,
                                   struct state *state)
{
    return state->loads ? device_load(class, number, device, state)
                        : device_save(class, number, device, state);
}

static struct machine_saved transfer_all(struct machine *machine, struct state *state)
{
    struct machine_saved saved = {.status = transfer(&machine_class, 0, machine, state),
                                  .name = machine_class.name};

    for (const struct part *part = machine_parts; part->class; part++)
        for (unsigned i = 0; i < part_instances(part, machine) && saved.status == DEVICE_OK; i++) {
            saved.name = part->class->name;
            saved.number = i;
            saved.status = transfer(part->class, i, part_device(part, machine, i), state);
        }
    if (saved.status == DEVICE_OK && state->loads && state->at != state->size)
        saved.status = DEVICE_REFUSED;
    saved.bytes = state->at;
    saved.now = state->now;
    return saved;
}

struct machine_saved machine_save(struct machine *machine, uint64_t now, uint8_t *bytes, size_t size)
{
    struct state state = {.bytes = bytes, .size = size, .now = now};
    struct machine_saved saved;

    machine_lock(machine, 0);
    machine_sync_lint(machine);
    saved = transfer_all(machine, &state);
    machine_unlock(machine, 0);
    return saved;
}

/* The 8259s' output is the one line with a state of its own on the board; when a machine is saved, LINT0 is
 * as high. */
struct machine_saved machine_load(struct machine *machine, uint8_t *bytes, size_t size)
{
    struct state state = {.bytes = bytes, .size = size, .loads = true};
    struct machine_saved saved;

    machine_lock(machine, 0);
    saved = transfer_all(machine, &state);
    machine->intr = machine->pic.reg.intr;
    if (saved.status == DEVICE_OK && machine->cpu[0].lapic.lint_level[0] != machine->intr) {
        saved.status = DEVICE_REFUSED;
        saved.name = lapic_class.name;
        saved.number = 0;
    }
    machine->lint_seen = machine->lint_raised;
    bus_update(&machine->bus);
    machine_unlock(machine, 0);
    for (unsigned cpu = 0; cpu < machine->cpus; cpu++)
        machine_wake(machine, cpu);
    return saved;
}
