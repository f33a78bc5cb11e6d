/* SPDX-License-Identifier: ISC */
/*
 * Instructions that the monitor executes itself: those that touch device memory, and string I/O.
 *
 * Bytes are fetched and operands are found by walking the guest's page tables, which other processors may
 * change between the exit and here; then the guest gets the fault that it would have had. The processor has
 * checked what exited and nothing else: so nothing is done, and the guest executes what stands there by
 * itself, unless the instruction does what the exit was for. String I/O must be the same at the same port;
 * of device memory the first access must be of the kind and in the page that exited, and what comes before it
 * must change nothing. One call executes one instruction (or a bounded share of a repeated one), so a guest
 * cannot hold its monitor here.
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
    uint64_t now; /* virtual time of all its accesses */
    bool does;    /* what the exit was for has been seen */
};

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
    result = vcpu_translate(emulation->vcpu, linear, access, &place->physical[0], fault);
    if (result != X86_DONE || place->size[1] == 0)
        return result;
    return vcpu_translate(emulation->vcpu, linear + room, access, &place->physical[1], fault);
}

/* All of it. */
static bool is_ram(const struct machine *machine, const struct place *place)
{
    return machine_ram(machine, place->physical[0], place->size[0]) &&
           (place->size[1] == 0 || machine_ram(machine, place->physical[1], place->size[1]));
}

static bool is_readable(const struct machine *machine, const struct place *place)
{
    return machine_to_read(machine, place->physical[0], place->size[0]) &&
           (place->size[1] == 0 || machine_to_read(machine, place->physical[1], place->size[1]));
}

/*
 * Whether an access may be made: once the one that exited has been seen, any; before it, memory may be read.
 * `kind`: MODIFY is a read that a write follows, and exits as either.
 */
static bool may_access(struct emulation *emulation, const struct place *place, enum x86_access kind)
{
    const struct vcpu *vcpu = emulation->vcpu;
    const struct vcpu_state *state = vcpu->state;
    uint64_t page = state->info[0] / PAGE;
    bool write = state->info[1] & VCPU_MMIO_WRITE;

    if (emulation->does)
        return true;
    if (kind == X86_ACCESS_READ ? is_readable(vcpu->machine, place) : is_ram(vcpu->machine, place))
        return kind == X86_ACCESS_READ;
    emulation->does =
        (kind == X86_ACCESS_MODIFY || write == (kind == X86_ACCESS_WRITE)) &&
        (place->physical[0] / PAGE == page || (place->size[1] && place->physical[1] / PAGE == page));
    return emulation->does;
}

static uint64_t physical_read(struct emulation *emulation, uint64_t physical, unsigned size)
{
    struct machine *machine = emulation->vcpu->machine;
    const uint8_t *bytes = machine_to_read(machine, physical, size);
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
    uint8_t *bytes = machine_to_write(machine, physical, size);

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
    if (!may_access(emulation, &place, access))
        return X86_RETRY;
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
    if (!may_access(emulation, &place, X86_ACCESS_WRITE))
        return X86_RETRY;
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

static enum x86_result memory_touch(void *context, uint64_t linear, struct x86_fault *fault)
{
    struct emulation *emulation = context;
    struct place place;
    enum x86_result result = find(emulation, linear, 1, false, &place, fault);

    if (result != X86_DONE)
        return result;
    return may_access(emulation, &place, X86_ACCESS_READ) ? X86_DONE : X86_RETRY;
}

static enum x86_result port_in(void *context, uint16_t port, unsigned size, uint32_t *value,
                               struct x86_fault *fault)
{
    struct emulation *emulation = context;

    (void)fault;
    if (emulation->vcpu->state->exit != VCPU_EXIT_IO)
        return X86_RETRY;
    *value = (uint32_t)bus_read(&emulation->vcpu->machine->bus, BUS_PORT, port, (uint8_t)size,
                                emulation->vcpu->number, emulation->now);
    return X86_DONE;
}

static enum x86_result port_out(void *context, uint16_t port, unsigned size, uint32_t value,
                                struct x86_fault *fault)
{
    struct emulation *emulation = context;

    (void)fault;
    if (emulation->vcpu->state->exit != VCPU_EXIT_IO)
        return X86_RETRY;
    bus_write(&emulation->vcpu->machine->bus, BUS_PORT, port, (uint8_t)size, value, emulation->vcpu->number,
              emulation->now);
    return X86_DONE;
}

/* One translation and one access of the bus for what lies in a page of RAM. */
static uint64_t port_block(void *context, uint16_t port, unsigned size, bool in, uint64_t linear,
                           uint64_t count)
{
    struct emulation *emulation = context;
    struct vcpu *vcpu = emulation->vcpu;
    struct x86_walk_access access = {.write = in, .user = emulation->cpu.cpl == 3};
    struct x86_fault fault;
    uint64_t physical;
    uint8_t *bytes;

    if (vcpu->state->exit != VCPU_EXIT_IO ||
        vcpu_translate(vcpu, linear, access, &physical, &fault) != X86_DONE)
        return 0;
    bytes = machine_ram(vcpu->machine, physical, size * count);
    if (!bytes)
        return 0;
    bus_port_block(&vcpu->machine->bus, port, (uint8_t)size, !in, bytes, count, vcpu->number, emulation->now);
    return count;
}

/* Port accesses are executed only where this one exited, and the processor checks the permission before it
 * exits. */
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
    .touch = memory_touch,
    .port_in = port_in,
    .port_out = port_out,
    .port_block = port_block,
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

uint64_t vcpu_linear_rip(const struct vcpu *vcpu)
{
    const struct vcpu_state *state = vcpu->state;

    return vcpu_is_64bit(state) ? state->rip : (uint32_t)(state->cs.base + state->rip);
}

/* There is no code outside of memory: ones, which a PC's empty bus reads as, are no instruction. */
static void refuse_fetch(struct vcpu *vcpu, uint64_t linear, uint64_t physical)
{
    if (!vcpu->fetched_outside)
        log_line("vm %s: vCPU %u executes outside of memory, at %lx (physical %lx), and gets #UD",
                 vcpu->machine->name, (unsigned)vcpu->number, (unsigned long)linear, (unsigned long)physical);
    vcpu->fetched_outside = true;
    vcpu_raise(vcpu, X86_VECTOR_UD);
}

unsigned vcpu_fetch(struct vcpu *vcpu, uint64_t linear, unsigned size, uint8_t *bytes)
{
    struct x86_walk_access access = {.fetch = true, .user = vcpu_cpl(vcpu->state) == 3};
    unsigned room = PAGE - (unsigned)(linear & (PAGE - 1));
    unsigned part = size < room ? size : room;
    struct x86_fault fault;
    enum x86_result result;
    const uint8_t *code;
    uint64_t physical;

    result = vcpu_translate(vcpu, linear, access, &physical, &fault);
    if (result == X86_FAULT)
        raise_fault(vcpu, &fault);
    if (result != X86_DONE)
        return 0;
    code = machine_to_read(vcpu->machine, physical, part);
    if (!code) {
        refuse_fetch(vcpu, linear, physical);
        return 0;
    }
    memcpy(bytes, code, part);
    return part;
}

static enum x86_mode mode_of(const struct vcpu_state *state)
{
    if (vcpu_is_64bit(state))
        return X86_MODE_64;
    return state->cs.attributes & X86_SEGMENT_BIG ? X86_MODE_32 : X86_MODE_16;
}

/* The bytes beyond `have` lie in the next page. */
static unsigned fetch_rest(struct vcpu *vcpu, uint64_t linear, unsigned have, uint8_t *bytes)
{
    uint64_t next = linear + have;
    unsigned more;

    if (!vcpu_is_64bit(vcpu->state))
        next = (uint32_t)next;
    more = vcpu_fetch(vcpu, next, X86_INSN_MAX - have, bytes + have);
    return more ? have + more : 0;
}

const uint8_t *vcpu_code(struct vcpu *vcpu, uint64_t linear, unsigned size)
{
    struct x86_walk_access access = {.fetch = true, .user = vcpu_cpl(vcpu->state) == 3};
    struct x86_fault fault;
    uint64_t physical;

    if ((linear & (PAGE - 1)) > PAGE - size ||
        vcpu_translate(vcpu, linear, access, &physical, &fault) != X86_DONE)
        return NULL;
    return machine_to_read(vcpu->machine, physical, size);
}

/* Without calls: -ffreestanding makes one of a plain memcpy. */
static bool is_same(const uint8_t *a, const uint8_t *b)
{
    uint64_t a_first, a_last, b_first, b_last;

    __builtin_memcpy(&a_first, a, 8);
    __builtin_memcpy(&b_first, b, 8);
    __builtin_memcpy(&a_last, a + X86_INSN_MAX - 8, 8);
    __builtin_memcpy(&b_last, b + X86_INSN_MAX - 8, 8);
    return a_first == b_first && a_last == b_last;
}

/* What was decoded last from the same place stands if the bytes are the same: decoding depends on nothing
 * else. */
static const struct x86_insn *decode_again(struct vcpu *vcpu, enum x86_mode mode, uint64_t linear)
{
    const struct vcpu_state *state = vcpu->state;
    struct vcpu_decoded *decoded = &vcpu->decoded[(linear ^ linear >> 6) % VCPU_DECODED];
    const uint8_t *code =
        state->instruction_bytes == X86_INSN_MAX ? state->instruction : vcpu_code(vcpu, linear, X86_INSN_MAX);
    uint8_t bytes[X86_INSN_MAX];

    if (!code)
        return NULL;
    if (decoded->valid && decoded->insn.mode == mode && is_same(decoded->bytes, code))
        return &decoded->insn;
    memcpy(bytes, code, sizeof bytes);
    decoded->valid = x86_decode(mode, bytes, sizeof bytes, &decoded->insn) == X86_DECODE_OK;
    memcpy(decoded->bytes, bytes, sizeof bytes);
    return decoded->valid ? &decoded->insn : NULL;
}

bool vcpu_decode(struct vcpu *vcpu, struct x86_insn *insn)
{
    const struct vcpu_state *state = vcpu->state;
    uint64_t linear = vcpu_linear_rip(vcpu);
    unsigned have = state->instruction_bytes <= X86_INSN_MAX ? state->instruction_bytes : 0;
    enum x86_decode_status status = X86_DECODE_TRUNCATED;
    const struct x86_insn *again = decode_again(vcpu, mode_of(state), linear);
    uint8_t bytes[X86_INSN_MAX];

    if (again) {
        *insn = *again;
        return true;
    }
    if (have) {
        memcpy(bytes, state->instruction, have);
        status = x86_decode(mode_of(state), bytes, have, insn);
    }
    if (status == X86_DECODE_TRUNCATED) {
        have = vcpu_fetch(vcpu, linear, X86_INSN_MAX, bytes);
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

/* The string access that exited: INS or OUTS, its width, the port in DX. */
static bool is_exit_io(const struct vcpu_state *state, const struct x86_insn *insn)
{
    unsigned size = insn->opcode & 1 ? (insn->operand_size < 4 ? insn->operand_size : 4) : 1;

    return insn->encoding == X86_ENCODING_LEGACY && insn->map == X86_MAP_ONE &&
           (insn->opcode & 0xfc) == 0x6c &&
           ((insn->opcode & 2) == 0) == ((state->info[0] & VCPU_IO_IN) != 0) &&
           VCPU_IO_SIZE(state->info[0]) == size &&
           VCPU_IO_PORT(state->info[0]) == (uint16_t)state->gpr[VCPU_RDX];
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
    cpu->cpl = (uint8_t)vcpu_cpl(state);
    memcpy(&cpu->segment[X86_ES], &state->es, sizeof state->es);
    memcpy(&cpu->segment[X86_CS], &state->cs, sizeof state->cs);
    memcpy(&cpu->segment[X86_SS], &state->ss, sizeof state->ss);
    memcpy(&cpu->segment[X86_DS], &state->ds, sizeof state->ds);
    memcpy(&cpu->segment[X86_FS], &state->fs, sizeof state->fs);
    memcpy(&cpu->segment[X86_GS], &state->gs, sizeof state->gs);
    cpu->takes_segments = false; /* the executor loads none, and enters no handlers */
    cpu->has_idtr = false;
    emulation->now = clock_now(&vcpu->machine->clock);
    emulation->does = false;
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

static const char *const encodings[] = {"legacy", "VEX", "EVEX", "XOP"};

static void refuse(struct vcpu *vcpu, const struct x86_insn *insn)
{
    if (vcpu->unsupported++ < LOGGED_AT_MOST)
        log_line("vm %s: instruction on device memory refused: %s map %u opcode %02x modrm %02x at %lx: %s",
                 vcpu->machine->name, encodings[insn->encoding & 3], insn->map, insn->opcode, insn->modrm,
                 (unsigned long)vcpu->state->rip,
                 x86_refusal(insn) ?: "it is no instruction that the guest is offered");
    vcpu_raise(vcpu, X86_VECTOR_UD);
}

/* MOV between a register, or to memory a constant, and a device: what drivers do. In 64-bit mode, where
 * segments have no say, and without a prefix, so that 4 or 8 bytes are moved. */
static bool is_plain_move(const struct vcpu_state *state, const struct x86_insn *insn)
{
    if (insn->encoding != X86_ENCODING_LEGACY || insn->map != X86_MAP_ONE || insn->prefixes ||
        !insn->is_memory || insn->operand_size < 4)
        return false;
    if (state->rflags & X86_RFLAGS_AC && vcpu_cpl(state) == 3)
        return false;
    return insn->opcode == 0x8b || insn->opcode == 0x89 ||
           (insn->opcode == 0xc7 && (insn->modrm & 0x38) == 0);
}

static uint64_t move_address(const struct vcpu_state *state, const struct x86_insn *insn)
{
    uint64_t address = insn->displacement;

    if (insn->base != X86_REGISTER_NONE)
        address += state->gpr[insn->base];
    if (insn->index != X86_REGISTER_NONE)
        address += state->gpr[insn->index] << insn->scale;
    return insn->is_rip_relative ? address + state->rip + insn->length : address;
}

static bool is_memory(const struct machine *machine, uint64_t physical, bool write)
{
    return (write ? machine_to_write(machine, physical, 1) : machine_to_read(machine, physical, 1)) != NULL;
}

/*
 * The short way for MOV. False: nothing has happened, and the executor is to do it, with all its checks and
 * faults.
 */
static bool move(struct vcpu *vcpu)
{
    struct vcpu_state *state = vcpu->state;
    struct bus *bus = &vcpu->machine->bus;
    const struct x86_insn *insn = vcpu_is_64bit(state) ? decode_again(vcpu, X86_MODE_64, state->rip) : NULL;
    struct x86_walk_access access = {.user = vcpu_cpl(state) == 3};
    uint64_t address, physical, now;
    struct x86_fault fault;
    uint8_t size;

    if (!insn || !is_plain_move(state, insn))
        return false;
    size = insn->operand_size;
    access.write = insn->opcode != 0x8b;
    address = move_address(state, insn);
    if ((address & (PAGE - 1)) > PAGE - size ||
        vcpu_translate(vcpu, address, access, &physical, &fault) != X86_DONE ||
        is_memory(vcpu->machine, physical, access.write) || physical / PAGE != state->info[0] / PAGE ||
        access.write != ((state->info[1] & VCPU_MMIO_WRITE) != 0))
        return false;
    now = clock_now(&vcpu->machine->clock);
    if (!access.write) {
        state->gpr[insn->reg] = bus_read(bus, BUS_MMIO, physical, size, vcpu->number, now);
    } else {
        uint64_t value = insn->opcode == 0x89 ? state->gpr[insn->reg] : insn->immediate;

        bus_write(bus, BUS_MMIO, physical, size, value, vcpu->number, now);
        vcpu_update_deadline(vcpu);
    }
    vcpu_set_rip(vcpu, state->rip + insn->length);
    return true;
}

void vcpu_emulate_mmio(struct vcpu *vcpu)
{
    if (!move(vcpu) && vcpu_need(vcpu, VCPU_EMULATE_GROUPS))
        vcpu_emulate(vcpu);
}

/* What has become of the instruction. */
static void finish(struct emulation *emulation, enum x86_result result, const struct x86_fault *fault)
{
    struct vcpu *vcpu = emulation->vcpu;

    store(emulation, result == X86_DONE);
    if (result == X86_FAULT)
        raise_fault(vcpu, fault);
    if (result == X86_AGAIN) {
        vcpu->state->rflags |= X86_RFLAGS_RF; /* what comes in the middle pushes it (SDM vol. 3, 17.3.1.1) */
        vcpu->state->interruptibility = 0;    /* and can come behind each iteration */
        if (vcpu->state->rflags & VCPU_RFLAGS_TF)
            vcpu_single_step(vcpu); /* one iteration is a step */
    }
    vcpu_update_deadline(vcpu);
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
    if (vcpu->state->exit == VCPU_EXIT_IO) {
        if (!is_exit_io(vcpu->state, &insn))
            return;
        emulation.does = true;
    }
    result = x86_execute(&emulation.cpu, &insn, &ops, &emulation, &fault);
    if (result == X86_UNSUPPORTED) {
        refuse(vcpu, &insn);
        return;
    }
    if (!emulation.does && result != X86_FAULT)
        return; /* RIP and registers as they were */
    finish(&emulation, result, &fault);
}

bool vcpu_execute(struct vcpu *vcpu, const struct x86_insn *insn)
{
    struct emulation emulation;
    struct x86_fault fault;
    enum x86_result result;

    load(&emulation, vcpu);
    emulation.does = true;
    result = x86_execute(&emulation.cpu, insn, &ops, &emulation, &fault);
    if (result != X86_DONE && result != X86_FAULT)
        return false;
    finish(&emulation, result, &fault);
    return true;
}
