/* SPDX-License-Identifier: ISC */
/*
 * Instructions that the monitor executes itself: those that touch device memory, and string I/O.
 *
 * Bytes are fetched and operands are found by walking the guest's page tables, which may change between the
 * exit and here; then the guest gets the fault that it would have had. Guest-physical addresses outside of
 * RAM go to the bus, whatever address the exit named. One call executes one instruction (or a bounded share
 * of a repeated one), so a guest cannot hold its monitor here.
 */
#include "vmm/cpu/vcpu.h"

#include "base/include/log.h"

#include <string.h>

#define PAGE           4096u
#define LOGGED_AT_MOST 8u

_Static_assert(sizeof(struct x86_segment) == sizeof(struct vcpu_segment) &&
                   offsetof(struct x86_segment, attributes) == offsetof(struct vcpu_segment, attributes) &&
                   offsetof(struct x86_segment, limit) == offsetof(struct vcpu_segment, limit) &&
                   offsetof(struct x86_segment, base) == offsetof(struct vcpu_segment, base),
               "segments are copied as they are");
_Static_assert((unsigned)X86_RSP == VCPU_RSP && (unsigned)X86_RDI == VCPU_RDI,
               "registers have the same order");

/* One instruction under execution. */
struct emulation {
    struct vcpu *vcpu;
    struct x86_cpu cpu;
    struct x86_paging paging;
    uint64_t now; /* virtual time of all its accesses */
};

static bool table_read(void *context, uint64_t physical, unsigned size, uint64_t *value)
{
    const struct vcpu *vcpu = context;
    const uint8_t *bytes = machine_ram(vcpu->machine, physical, size);

    if (!bytes)
        return false;
    *value = 0;
    memcpy(value, bytes, size);
    return true;
}

static bool table_update(void *context, uint64_t physical, unsigned size, uint64_t expected, uint64_t desired)
{
    const struct vcpu *vcpu = context;
    uint8_t *bytes = machine_ram(vcpu->machine, physical, size);
    uint32_t expected32 = (uint32_t)expected;

    if (!bytes)
        return false;
    if (size == 4)
        return __atomic_compare_exchange_n((uint32_t *)(void *)bytes, &expected32, (uint32_t)desired, false,
                                           __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
    return __atomic_compare_exchange_n((uint64_t *)(void *)bytes, &expected, desired, false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

static const struct x86_walk_ops walk_ops = {.read = table_read, .update = table_update};

static struct x86_paging paging_of(const struct vcpu *vcpu)
{
    const struct vcpu_state *state = vcpu->state;

    return (struct x86_paging){
        .cr0 = state->cr0,
        .cr3 = state->cr3,
        .cr4 = state->cr4,
        .efer = state->efer,
        .rflags = state->rflags,
        .physical_bits = vcpu->physical_bits,
        .has_1g_pages = vcpu->has_1g_pages,
    };
}

static unsigned cpl_of(const struct vcpu_state *state)
{
    if (!(state->cr0 & X86_CR0_PE))
        return 0;
    return state->rflags & X86_RFLAGS_VM ? 3 : state->ss.attributes >> 5 & 3;
}

/* X86_DONE, X86_FAULT or X86_RETRY. A table outside of memory reads as ones on a PC: reserved bits are set.
 */
static enum x86_result translate(struct vcpu *vcpu, const struct x86_paging *paging, uint64_t linear,
                                 struct x86_walk_access access, uint64_t *physical, struct x86_fault *fault)
{
    struct x86_walk_result result;
    enum x86_walk_status status;

    if (!(paging->cr0 & X86_CR0_PG)) {
        *physical = (uint32_t)linear;
        return X86_DONE;
    }
    status = x86_walk(paging, linear, access, &walk_ops, vcpu, &result);
    if (status == X86_WALK_OK) {
        *physical = result.physical;
        return X86_DONE;
    }
    if (status == X86_WALK_RETRY)
        return X86_RETRY;
    if (status == X86_WALK_NON_CANONICAL) {
        *fault = (struct x86_fault){.vector = X86_VECTOR_GP, .has_error = true};
        return X86_FAULT;
    }
    *fault = (struct x86_fault){
        .vector = X86_VECTOR_PF, .has_error = true, .error = result.error, .address = linear};
    if (status == X86_WALK_NO_MEMORY)
        fault->error = X86_PF_PRESENT | X86_PF_RESERVED | (access.write ? X86_PF_WRITE : 0) |
                       (access.user ? X86_PF_USER : 0);
    return X86_FAULT;
}

/* Where an operand lies: in one page or in two. */
struct place {
    uint64_t physical[2];
    unsigned size[2]; /* the second is 0 in one page */
};

static enum x86_result find(struct emulation *emulation, uint64_t linear, unsigned size, bool write,
                            struct place *place, struct x86_fault *fault)
{
    struct x86_walk_access access = {.write = write, .user = emulation->cpu.cpl == 3};
    unsigned room = PAGE - (unsigned)(linear & (PAGE - 1));
    enum x86_result result;

    place->size[0] = size < room ? size : room;
    place->size[1] = size - place->size[0];
    result = translate(emulation->vcpu, &emulation->paging, linear, access, &place->physical[0], fault);
    if (result != X86_DONE || place->size[1] == 0)
        return result;
    return translate(emulation->vcpu, &emulation->paging, linear + room, access, &place->physical[1], fault);
}

static uint64_t physical_read(struct emulation *emulation, uint64_t physical, unsigned size)
{
    struct machine *machine = emulation->vcpu->machine;
    const uint8_t *bytes = machine_ram(machine, physical, size);
    uint64_t value = 0;

    if (!bytes)
        return bus_read(&machine->bus, BUS_MMIO, physical, (uint8_t)size, emulation->vcpu->number,
                        emulation->now);
    memcpy(&value, bytes, size);
    return value;
}

static void physical_write(struct emulation *emulation, uint64_t physical, unsigned size, uint64_t value)
{
    struct machine *machine = emulation->vcpu->machine;
    uint8_t *bytes = machine_ram(machine, physical, size);

    if (bytes)
        memcpy(bytes, &value, size);
    else
        bus_write(&machine->bus, BUS_MMIO, physical, (uint8_t)size, value, emulation->vcpu->number,
                  emulation->now);
}

static enum x86_result memory_read(void *context, uint64_t linear, unsigned size, enum x86_access access,
                                   uint64_t *value, struct x86_fault *fault)
{
    struct emulation *emulation = context;
    struct place place;
    enum x86_result result = find(emulation, linear, size, access != X86_ACCESS_READ, &place, fault);

    if (result != X86_DONE)
        return result;
    *value = physical_read(emulation, place.physical[0], place.size[0]);
    if (place.size[1])
        *value |= physical_read(emulation, place.physical[1], place.size[1]) << (place.size[0] * 8);
    return X86_DONE;
}

static enum x86_result memory_write(void *context, uint64_t linear, unsigned size, uint64_t value,
                                    struct x86_fault *fault)
{
    struct emulation *emulation = context;
    struct place place;
    enum x86_result result = find(emulation, linear, size, true, &place, fault);

    if (result != X86_DONE)
        return result;
    physical_write(emulation, place.physical[0], place.size[0], value);
    if (place.size[1])
        physical_write(emulation, place.physical[1], place.size[1], value >> (place.size[0] * 8));
    return X86_DONE;
}

static enum x86_result memory_probe_write(void *context, uint64_t linear, unsigned size,
                                          struct x86_fault *fault)
{
    struct place place;

    return find(context, linear, size, true, &place, fault);
}

static enum x86_result port_in(void *context, uint16_t port, unsigned size, uint32_t *value,
                               struct x86_fault *fault)
{
    struct emulation *emulation = context;

    (void)fault;
    *value = (uint32_t)bus_read(&emulation->vcpu->machine->bus, BUS_PORT, port, (uint8_t)size,
                                emulation->vcpu->number, emulation->now);
    return X86_DONE;
}

static enum x86_result port_out(void *context, uint16_t port, unsigned size, uint32_t value,
                                struct x86_fault *fault)
{
    struct emulation *emulation = context;

    (void)fault;
    bus_write(&emulation->vcpu->machine->bus, BUS_PORT, port, (uint8_t)size, value, emulation->vcpu->number,
              emulation->now);
    return X86_DONE;
}

/* Only instructions that exited are executed here, and the processor checks the permission before it exits.
 */
static enum x86_result port_allowed(void *context, uint16_t port, unsigned size, struct x86_fault *fault)
{
    (void)context;
    (void)port;
    (void)size;
    (void)fault;
    return X86_DONE;
}

static const struct x86_ops ops = {
    .read = memory_read,
    .write = memory_write,
    .probe_write = memory_probe_write,
    .port_in = port_in,
    .port_out = port_out,
    .port_allowed = port_allowed,
};

static void raise_fault(struct vcpu *vcpu, const struct x86_fault *fault)
{
    if (fault->vector == X86_VECTOR_PF) {
        vcpu->state->cr2 = fault->address;
        vcpu->state->dirty |= VCPU_CR;
    }
    if (fault->has_error && vcpu->state->cr0 & X86_CR0_PE)
        vcpu_raise_error(vcpu, fault->vector, fault->error);
    else
        vcpu_raise(vcpu, fault->vector);
}

static bool is_64bit(const struct vcpu_state *state)
{
    return state->efer & X86_EFER_LMA && state->cs.attributes & X86_SEGMENT_LONG;
}

uint64_t vcpu_linear_rip(const struct vcpu *vcpu)
{
    const struct vcpu_state *state = vcpu->state;

    return is_64bit(state) ? state->rip : (uint32_t)(state->cs.base + state->rip);
}

/* Code outside of RAM reads as ones, which is no instruction. */
unsigned vcpu_fetch(struct vcpu *vcpu, uint64_t linear, unsigned size, uint8_t *bytes, const uint8_t **host)
{
    struct x86_paging paging = paging_of(vcpu);
    struct x86_walk_access access = {.fetch = true, .user = cpl_of(vcpu->state) == 3};
    unsigned room = PAGE - (unsigned)(linear & (PAGE - 1));
    unsigned part = size < room ? size : room;
    struct x86_fault fault;
    enum x86_result result;
    const uint8_t *code;
    uint64_t physical;

    if (host)
        *host = NULL;
    result = translate(vcpu, &paging, linear, access, &physical, &fault);
    if (result == X86_FAULT)
        raise_fault(vcpu, &fault);
    if (result != X86_DONE)
        return 0;
    code = machine_ram(vcpu->machine, physical, part);
    if (code)
        memcpy(bytes, code, part);
    else
        memset(bytes, 0xff, part);
    if (host && part == size)
        *host = code;
    return part;
}

static enum x86_mode mode_of(const struct vcpu_state *state)
{
    if (is_64bit(state))
        return X86_MODE_64;
    return state->cs.attributes & X86_SEGMENT_BIG ? X86_MODE_32 : X86_MODE_16;
}

/* The bytes beyond `have` lie in the next page. */
static unsigned fetch_rest(struct vcpu *vcpu, uint64_t linear, unsigned have, uint8_t *bytes)
{
    uint64_t next = linear + have;
    unsigned more;

    if (!is_64bit(vcpu->state))
        next = (uint32_t)next;
    more = vcpu_fetch(vcpu, next, X86_INSN_MAX - have, bytes + have, NULL);
    return more ? have + more : 0;
}

bool vcpu_decode(struct vcpu *vcpu, struct x86_insn *insn)
{
    const struct vcpu_state *state = vcpu->state;
    uint64_t linear = vcpu_linear_rip(vcpu);
    unsigned have = state->instruction_bytes <= X86_INSN_MAX ? state->instruction_bytes : 0;
    enum x86_decode_status status = X86_DECODE_TRUNCATED;
    uint8_t bytes[X86_INSN_MAX];

    if (have) {
        memcpy(bytes, state->instruction, have);
        status = x86_decode(mode_of(state), bytes, have, insn);
    }
    if (status == X86_DECODE_TRUNCATED) {
        have = vcpu_fetch(vcpu, linear, X86_INSN_MAX, bytes, NULL);
        if (have == 0)
            return false;
        status = x86_decode(mode_of(state), bytes, have, insn);
    }
    if (status == X86_DECODE_TRUNCATED) {
        have = fetch_rest(vcpu, linear, have, bytes);
        if (have == 0)
            return false;
        status = x86_decode(mode_of(state), bytes, have, insn);
    }
    if (status == X86_DECODE_OK)
        return true;
    if (status == X86_DECODE_UNDEFINED)
        vcpu_raise(vcpu, X86_VECTOR_UD);
    else
        vcpu_raise_error(vcpu, X86_VECTOR_GP, 0);
    return false;
}

static void load(struct emulation *emulation, struct vcpu *vcpu)
{
    const struct vcpu_state *state = vcpu->state;
    struct x86_cpu *cpu = &emulation->cpu;

    emulation->vcpu = vcpu;
    memcpy(cpu->gpr, state->gpr, sizeof cpu->gpr);
    cpu->rip = state->rip;
    cpu->rflags = state->rflags;
    cpu->cr0 = state->cr0;
    cpu->cr4 = state->cr4;
    cpu->efer = state->efer;
    cpu->cpl = (uint8_t)cpl_of(state);
    memcpy(&cpu->segment[X86_ES], &state->es, sizeof state->es);
    memcpy(&cpu->segment[X86_CS], &state->cs, sizeof state->cs);
    memcpy(&cpu->segment[X86_SS], &state->ss, sizeof state->ss);
    memcpy(&cpu->segment[X86_DS], &state->ds, sizeof state->ds);
    memcpy(&cpu->segment[X86_FS], &state->fs, sizeof state->fs);
    memcpy(&cpu->segment[X86_GS], &state->gs, sizeof state->gs);
    emulation->paging = paging_of(vcpu);
    emulation->now = clock_now(&vcpu->machine->clock);
}

static void store(struct emulation *emulation, bool done)
{
    struct vcpu_state *state = emulation->vcpu->state;

    memcpy(state->gpr, emulation->cpu.gpr, sizeof state->gpr);
    state->rflags = emulation->cpu.rflags;
    state->dirty |= VCPU_RIP;
    if (done)
        vcpu_set_rip(emulation->vcpu, emulation->cpu.rip);
}

static void refuse(struct vcpu *vcpu, const struct x86_insn *insn)
{
    if (vcpu->unsupported++ < LOGGED_AT_MOST)
        log_line("vm %s: instruction on device memory not known: map %u opcode %02x modrm %02x at %lx",
                 vcpu->machine->name, insn->map, insn->opcode, insn->modrm, (unsigned long)vcpu->state->rip);
    vcpu_raise(vcpu, X86_VECTOR_UD);
}

void vcpu_emulate(struct vcpu *vcpu)
{
    struct emulation emulation;
    struct x86_fault fault;
    struct x86_insn insn;
    enum x86_result result;

    if (!vcpu_decode(vcpu, &insn))
        return;
    load(&emulation, vcpu);
    result = x86_execute(&emulation.cpu, &insn, &ops, &emulation, &fault);
    if (result == X86_UNSUPPORTED) {
        refuse(vcpu, &insn);
        return;
    }
    store(&emulation, result == X86_DONE);
    if (result == X86_FAULT)
        raise_fault(vcpu, &fault);
    vcpu_update_deadline(vcpu);
}
