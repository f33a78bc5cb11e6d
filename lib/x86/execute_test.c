/* SPDX-License-Identifier: ISC */
/*
 * What native_test.c cannot show on the processor of an ordinary program: other modes, segmentation, faults
 * in the middle of an instruction, locked accesses, ports, branches, and instructions that are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/x86/x86.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_BASE 0x10000u
#define MEMORY_SIZE 0x30000u
#define PAGE        0x1000u
#define NO_PAGE     UINT64_MAX

/* A machine: memory with one page that faults, and a record of the last accesses. */
struct machine {
    struct x86_cpu cpu;
    struct x86_fault fault;
    uint8_t memory[MEMORY_SIZE];
    uint64_t absent_page;
    uint64_t read_only_page;
    uint64_t touched;
    bool lose_exchange;
    bool deny_ports;
    unsigned exchanges;
    unsigned reads;
    unsigned writes;
    uint16_t port;
    unsigned port_size;
    unsigned port_count;
    uint32_t port_value;
    uint64_t block_most; /* elements that go at once */
    unsigned blocks;
};

static struct machine machine;
#define cpu (machine.cpu)

static uint8_t *at(uint64_t linear)
{
    assert_true(linear >= MEMORY_BASE && linear < MEMORY_BASE + MEMORY_SIZE);
    return &machine.memory[linear - MEMORY_BASE];
}

static uint64_t load(uint64_t linear, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, at(linear), size);
    return value;
}

static void store(uint64_t linear, unsigned size, uint64_t value)
{
    memcpy(at(linear), &value, size);
}

static enum x86_result check_page(uint64_t linear, unsigned size, bool write, struct x86_fault *fault)
{
    for (uint64_t byte = linear; byte < linear + size; byte++) {
        uint64_t page = byte & ~(uint64_t)(PAGE - 1);

        if (page != machine.absent_page && (!write || page != machine.read_only_page))
            continue;
        *fault = (struct x86_fault){.vector = X86_VECTOR_PF,
                                    .has_error = true,
                                    .error = (write ? X86_PF_WRITE : 0) |
                                             (page == machine.absent_page ? 0 : X86_PF_PRESENT),
                                    .address = byte};
        return X86_FAULT;
    }
    return X86_DONE;
}

static enum x86_result test_read(void *context, uint64_t linear, unsigned size, enum x86_access access,
                                 uint64_t *value, struct x86_fault *fault)
{
    enum x86_result result = check_page(linear, size, access == X86_ACCESS_MODIFY, fault);

    (void)context;
    machine.reads++;
    if (result == X86_DONE)
        *value = load(linear, size);
    return result;
}

static enum x86_result test_write(void *context, uint64_t linear, unsigned size, uint64_t value,
                                  struct x86_fault *fault)
{
    enum x86_result result = check_page(linear, size, true, fault);

    (void)context;
    if (result == X86_DONE) {
        store(linear, size, value);
        machine.writes++;
    }
    return result;
}

static enum x86_result test_exchange(void *context, uint64_t linear, unsigned size, uint64_t expected,
                                     uint64_t desired, struct x86_fault *fault)
{
    machine.exchanges++;
    if (machine.lose_exchange || load(linear, size) != expected)
        return X86_RETRY;
    return test_write(context, linear, size, desired, fault);
}

static enum x86_result test_probe(void *context, uint64_t linear, unsigned size, struct x86_fault *fault)
{
    (void)context;
    return check_page(linear, size, true, fault);
}

static enum x86_result test_touch(void *context, uint64_t linear, struct x86_fault *fault)
{
    (void)context;
    machine.touched = linear;
    return check_page(linear, 1, false, fault);
}

static void note_port(uint16_t port, unsigned size)
{
    machine.port = port;
    machine.port_size = size;
    machine.port_count++;
}

static enum x86_result test_in(void *context, uint16_t port, unsigned size, uint32_t *value,
                               struct x86_fault *fault)
{
    (void)context;
    (void)fault;
    note_port(port, size);
    *value = machine.port_value++;
    return X86_DONE;
}

static enum x86_result test_out(void *context, uint16_t port, unsigned size, uint32_t value,
                                struct x86_fault *fault)
{
    (void)context;
    (void)fault;
    note_port(port, size);
    machine.port_value = value;
    return X86_DONE;
}

static uint64_t test_block(void *context, uint16_t port, unsigned size, bool in, uint64_t linear,
                           uint64_t count)
{
    uint64_t done = 0;

    assert_true(count >= 2 && linear / PAGE == (linear + count * size - 1) / PAGE);
    for (; done < count && done < machine.block_most; done++, linear += size) {
        uint32_t value = 0;

        if (check_page(linear, size, in, &machine.fault) != X86_DONE)
            return done;
        if (in && test_in(context, port, size, &value, NULL) == X86_DONE)
            store(linear, size, value);
        else
            (void)test_out(context, port, size, (uint32_t)load(linear, size), NULL);
    }
    machine.blocks += done > 0;
    return done;
}

static enum x86_result test_allowed(void *context, uint16_t port, unsigned size, struct x86_fault *fault)
{
    (void)context;
    (void)port;
    (void)size;
    *fault = (struct x86_fault){.vector = X86_VECTOR_GP, .has_error = true};
    return machine.deny_ports ? X86_FAULT : X86_DONE;
}

static const struct x86_ops ops = {.read = test_read,
                                   .write = test_write,
                                   .compare_exchange = test_exchange,
                                   .probe_write = test_probe,
                                   .touch = test_touch,
                                   .port_in = test_in,
                                   .port_out = test_out,
                                   .port_block = test_block,
                                   .port_allowed = test_allowed};

/* Flat segments; in 16-bit mode those of real mode, with limit FFFF and base 10000 for all. */
static void reset(enum x86_mode mode)
{
    bool is_real = mode == X86_MODE_16;

    memset(&machine, 0, sizeof(machine));
    machine.absent_page = NO_PAGE;
    machine.read_only_page = NO_PAGE;
    for (unsigned i = 0; i < X86_SEGMENT_COUNT; i++)
        cpu.segment[i] =
            (struct x86_segment){.selector = (uint16_t)(0x10 + 8 * i),
                                 .attributes = X86_SEGMENT_PRESENT | X86_SEGMENT_S | X86_SEGMENT_WRITABLE |
                                               X86_SEGMENT_ACCESSED | (is_real ? 0 : X86_SEGMENT_BIG),
                                 .limit = is_real ? 0xffff : UINT32_MAX,
                                 .base = is_real ? MEMORY_BASE : 0};
    cpu.segment[X86_CS].attributes |= X86_SEGMENT_CODE;
    if (!is_real)
        cpu.cr0 = X86_CR0_PE;
    cpu.rflags = X86_RFLAGS_ONE;
    cpu.rip = 0x1000;
    cpu.gpr[X86_RSP] = is_real ? 0x8000 : 0x18000;
    if (mode == X86_MODE_64) {
        cpu.efer = X86_EFER_LMA;
        cpu.segment[X86_CS].attributes ^= X86_SEGMENT_BIG | X86_SEGMENT_LONG;
    }
}

/* Decodes and executes the bytes, in hexadecimal, wherever RIP is. */
static enum x86_result run(const char *text)
{
    uint8_t bytes[16];
    size_t count = 0;
    char *end;
    struct x86_insn insn;

    for (; *text; text = *end ? end + 1 : end)
        bytes[count++] = (uint8_t)strtoul(text, &end, 16);
    assert_int_equal(x86_decode(x86_cpu_mode(&cpu), bytes, count, &insn), X86_DECODE_OK);
    return x86_execute(&cpu, &insn, &ops, NULL, &machine.fault);
}

/* The instruction faults so, and leaves the processor as it was. */
static void run_faults(const char *text, unsigned vector, bool has_error)
{
    struct x86_cpu before = cpu;
    enum x86_result result = run(text);

    if (result != X86_FAULT || machine.fault.vector != vector || machine.fault.has_error != has_error)
        fail_msg("%s: result %d, vector %u", text, result, machine.fault.vector);
    assert_memory_equal(&cpu, &before, sizeof(before));
}

static void run_done(const char *text)
{
    enum x86_result result = run(text);

    if (result != X86_DONE)
        fail_msg("%s: result %d, vector %u", text, result, machine.fault.vector);
}

static void real_mode(void **state)
{
    (void)state;
    reset(X86_MODE_16);
    cpu.gpr[X86_RBX] = 0xffff0100; /* upper halves play no part */
    cpu.gpr[X86_RSI] = 0xfff8;
    store(MEMORY_BASE + 0x108, 2, 0x1234);
    run_done("8b 40 10"); /* mov ax, [bx + si + 16]: wraps at 64 KiB */
    assert_int_equal(cpu.gpr[X86_RAX], 0x1234);
    assert_int_equal(cpu.rip, 0x1003);
    cpu.gpr[X86_RBX] = 0xffff;
    run_faults("8b 07", X86_VECTOR_GP, false); /* a word at FFFF: beyond the limit, and no error code */
    cpu.gpr[X86_RBP] = 0xffff;
    run_faults("8b 46 00", X86_VECTOR_SS, false);
    run_faults("f0 8b 07", X86_VECTOR_UD, false);
    cpu.rip = 0xffff; /* no wrap: the next fetch is beyond the limit */
    run_done("90");
    assert_int_equal(cpu.rip, 0x10000);
    cpu.rip = 0xfffe;
    run_done("eb 00"); /* a branch's target has 16 bits */
    assert_int_equal(cpu.rip, 0);
    run_done("2e 89 06 00 02"); /* code segments can be written */
    assert_int_equal(load(MEMORY_BASE + 0x200, 2), 0x1234);
}

static void protected_segments(void **state)
{
    struct x86_segment *ds;

    (void)state;
    reset(X86_MODE_32);
    ds = &cpu.segment[X86_DS];
    cpu.gpr[X86_RBX] = 0x10000;
    cpu.gpr[X86_RSI] = 0xffffffff;
    run_done("89 03");
    ds->limit = 0x10002;
    run_faults("89 03", X86_VECTOR_GP, true);
    ds->limit = 0x10003;
    run_done("89 03");
    ds->attributes |= X86_SEGMENT_EXPAND; /* now valid are 10004 to FFFFFFFF */
    run_faults("89 03", X86_VECTOR_GP, true);
    run_done("89 43 04");
    ds->attributes &= (uint16_t)~X86_SEGMENT_BIG;
    ds->limit = 0x0fff;
    run_faults("89 43 04", X86_VECTOR_GP, true); /* above FFFF */
    reset(X86_MODE_32);
    ds->attributes &= (uint16_t)~X86_SEGMENT_WRITABLE;
    run_faults("89 1d 00 00 01 00", X86_VECTOR_GP, true);
    run_faults("01 1d 00 00 01 00", X86_VECTOR_GP, true);
    assert_int_equal(machine.reads, 0); /* a device register must not be read for nothing */
    run_done("8b 1d 00 00 01 00");
    ds->attributes |= X86_SEGMENT_CODE;
    run_faults("8b 1d 00 00 01 00", X86_VECTOR_GP, true); /* execute only */
    ds->attributes = 0;
    run_faults("8b 1d 00 00 01 00", X86_VECTOR_GP, true); /* null selector */
    run_faults("2e 89 1d 00 00 01 00", X86_VECTOR_GP, true);
    cpu.segment[X86_FS].base = 0xffff0000; /* base and offset wrap at 4 GiB */
    store(0x10010, 4, 0xabcd);
    run_done("64 8b 1d 10 00 02 00");
    assert_int_equal(cpu.gpr[X86_RBX], 0xabcd);
}

static void long_mode_addresses(void **state)
{
    (void)state;
    reset(X86_MODE_64);
    cpu.gpr[X86_RBX] = 0x00007ffffffffffd;
    cpu.gpr[X86_RBP] = 0x0000800000000000;
    run_faults("8b 03", X86_VECTOR_GP, true); /* the last byte is not canonical */
    run_faults("8b 45 00", X86_VECTOR_SS, true);
    run_faults("3e 8b 45 00", X86_VECTOR_SS, true); /* DS is ignored, SS stays */
    cpu.segment[X86_DS].base = 0x5000;              /* ignored, as is the limit */
    cpu.segment[X86_DS].limit = 0;
    cpu.segment[X86_GS].base = 0x10000;
    store(0x10100, 8, 0x1122334455667788);
    run_done("65 48 8b 04 25 00 01 00 00");
    assert_true(cpu.gpr[X86_RAX] == 0x1122334455667788);
    run_done("48 a1 00 01 01 00 00 00 00 00");
    run_done("8c d8"); /* mov eax, ds */
    assert_int_equal(cpu.gpr[X86_RAX], cpu.segment[X86_DS].selector);
    cpu.rflags |= X86_RFLAGS_RF;
    run_done("0f 1f 00");
    assert_false(cpu.rflags & X86_RFLAGS_RF);
    cpu.cr0 |= X86_CR0_AM;
    cpu.cpl = 3;
    cpu.rflags |= X86_RFLAGS_AC;
    run_faults("8b 04 25 02 01 01 00", X86_VECTOR_AC, true);
    cpu.cpl = 0;
    run_done("8b 04 25 02 01 01 00");
}

static void page_faults(void **state)
{
    (void)state;
    reset(X86_MODE_64);
    machine.absent_page = 0x11000;
    machine.read_only_page = 0x12000;
    cpu.gpr[X86_RBX] = 0x10ffe;
    run_faults("8b 03", X86_VECTOR_PF, true);
    assert_int_equal(machine.fault.address, 0x11000);
    assert_int_equal(machine.fault.error, 0);
    run_faults("01 03", X86_VECTOR_PF, true); /* an addition to memory is reported as a write */
    assert_int_equal(machine.fault.error, X86_PF_WRITE);
    cpu.gpr[X86_RBX] = 0x12000;
    run_done("39 03");
    run_faults("29 03", X86_VECTOR_PF, true);
    assert_int_equal(machine.fault.error, X86_PF_WRITE | X86_PF_PRESENT);
    run_faults("0f b1 0b", X86_VECTOR_PF, true);
    run_faults("0f c1 0b", X86_VECTOR_PF, true);
    run_faults("87 0b", X86_VECTOR_PF, true);
    run_faults("8f 03", X86_VECTOR_PF, true); /* RSP has not moved */
    cpu.gpr[X86_RSP] = 0x12004;
    run_faults("53", X86_VECTOR_PF, true);
    run_faults("e8 00 00 00 00", X86_VECTOR_PF, true);
    assert_int_equal(machine.writes, 0);
}

static void locked(void **state)
{
    struct x86_cpu before;

    (void)state;
    reset(X86_MODE_64);
    cpu.gpr[X86_RBX] = 0x10000;
    cpu.gpr[X86_RCX] = 5;
    run_done("01 0b");
    assert_int_equal(machine.exchanges, 0);
    run_done("f0 01 0b");
    assert_int_equal(machine.exchanges, 1);
    assert_int_equal(load(0x10000, 4), 10);
    run_done("87 0b"); /* needs no prefix */
    assert_int_equal(machine.exchanges, 2);
    assert_int_equal(cpu.gpr[X86_RCX], 10);
    machine.lose_exchange = true;
    before = cpu;
    assert_int_equal(run("f0 0f c1 0b"), X86_RETRY);
    assert_memory_equal(&cpu, &before, sizeof(before));
    run_faults("f0 01 c8", X86_VECTOR_UD, false); /* no memory */
    run_faults("f0 03 0b", X86_VECTOR_UD, false); /* memory is the source */
    run_faults("f0 39 0b", X86_VECTOR_UD, false);
    run_faults("f0 89 0b", X86_VECTOR_UD, false);
    run_faults("f0 0f ba 23 01", X86_VECTOR_UD, false);
    run_faults("0f c7 c8", X86_VECTOR_UD, false);
    run_faults("8d c0", X86_VECTOR_UD, false);
    run_faults("48 0f c7 4b 08", X86_VECTOR_GP, true);     /* CMPXCHG16B not aligned */
    run_faults("c4 e2 64 f2 c1", X86_VECTOR_UD, false);    /* ANDN with VEX.L */
    run_faults("c4 e3 63 f0 c1 05", X86_VECTOR_UD, false); /* RORX with a register in vvvv */
}

static void strings_restart(void **state)
{
    (void)state;
    reset(X86_MODE_64);
    cpu.gpr[X86_RSI] = 0x10000;
    cpu.gpr[X86_RDI] = 0x12ff4;
    cpu.gpr[X86_RCX] = 10;
    machine.absent_page = 0x13000;
    assert_int_equal(run("f3 a5"), X86_FAULT);
    assert_int_equal(machine.fault.address, 0x13000);
    assert_int_equal(cpu.gpr[X86_RCX], 7);
    assert_int_equal(cpu.gpr[X86_RSI], 0x1000c);
    assert_int_equal(cpu.gpr[X86_RDI], 0x13000);
    assert_int_equal(cpu.rip, 0x1000);
    machine.absent_page = NO_PAGE;
    run_done("f3 a5");
    assert_int_equal(cpu.gpr[X86_RCX], 0);
    assert_int_equal(cpu.gpr[X86_RDI], 0x1301c);

    cpu.gpr[X86_RDI] = 0x10000;
    cpu.gpr[X86_RCX] = 2 * X86_STRING_LIMIT + 1;
    assert_int_equal(run("f3 aa"), X86_AGAIN);
    assert_int_equal(cpu.gpr[X86_RCX], X86_STRING_LIMIT + 1);
    assert_int_equal(run("f3 aa"), X86_AGAIN);
    run_done("f3 aa");
    assert_int_equal(cpu.gpr[X86_RDI], 0x10000 + 2 * X86_STRING_LIMIT + 1);
    cpu.gpr[X86_RCX] = X86_STRING_LIMIT;
    run_done("f3 aa");
    machine.writes = 0;
    run_done("f3 aa"); /* a count of zero */
    assert_int_equal(machine.writes, 0);
}

/* A scan that faults later keeps the flags of the last comparison and can go on. */
static void strings_compare(void **state)
{
    (void)state;
    reset(X86_MODE_64);
    cpu.gpr[X86_RDI] = 0x10ff0;
    cpu.gpr[X86_RCX] = 100;
    machine.absent_page = 0x11000;
    store(0x11004, 1, 'x');
    assert_int_equal(run("f3 ae"), X86_FAULT);
    assert_int_equal(cpu.gpr[X86_RCX], 84);
    assert_true(cpu.rflags & X86_RFLAGS_ZF);
    machine.absent_page = NO_PAGE;
    run_done("f3 ae");
    assert_int_equal(cpu.gpr[X86_RDI], 0x11005);
    assert_int_equal(cpu.gpr[X86_RCX], 79);
    assert_false(cpu.rflags & X86_RFLAGS_ZF);

    reset(X86_MODE_16); /* backwards, across the wrap of DI, with a source override */
    cpu.segment[X86_GS].base = MEMORY_BASE + 0x10000;
    cpu.rflags |= X86_RFLAGS_DF;
    cpu.gpr[X86_RSI] = 0xaaaa0002;
    cpu.gpr[X86_RDI] = 0xbbbb0000;
    cpu.gpr[X86_RCX] = 0xcccc0002;
    store(MEMORY_BASE + 0x10002, 2, 0x1234);
    run_done("f3 65 a5");
    assert_int_equal(load(MEMORY_BASE, 2), 0x1234);
    assert_int_equal(cpu.gpr[X86_RSI], 0xaaaafffe);
    assert_int_equal(cpu.gpr[X86_RDI], 0xbbbbfffc);
    assert_int_equal(cpu.gpr[X86_RCX], 0xcccc0000);
}

static void ports(void **state)
{
    (void)state;
    reset(X86_MODE_64);
    cpu.gpr[X86_RAX] = UINT64_MAX;
    machine.port_value = 0x12345678;
    run_done("e4 80");
    assert_int_equal(machine.port, 0x80);
    assert_int_equal(machine.port_size, 1);
    assert_true(cpu.gpr[X86_RAX] == 0xffffffffffffff78);
    cpu.gpr[X86_RDX] = 0x1ffff;
    run_done("48 ed"); /* four bytes, the upper half cleared; DX alone counts */
    assert_int_equal(machine.port, 0xffff);
    assert_int_equal(machine.port_size, 4);
    assert_int_equal(cpu.gpr[X86_RAX], 0x12345679);
    run_done("66 ef");
    assert_int_equal(machine.port_value, 0x5679);
    run_done("e7 cf");
    assert_int_equal(machine.port, 0xcf);

    cpu.cpl = 3;
    run_done("ec");
    machine.deny_ports = true;
    run_faults("ec", X86_VECTOR_GP, true);
    cpu.rflags |= X86_RFLAGS_IOPL;
    run_done("ec");
    cpu.efer = 0;
    cpu.segment[X86_CS].attributes &= (uint16_t) ~(X86_SEGMENT_LONG | X86_SEGMENT_BIG);
    cpu.rflags |= X86_RFLAGS_VM; /* the bitmap decides, whatever IOPL is */
    run_faults("ec", X86_VECTOR_GP, true);
}

static void port_strings(void **state)
{
    (void)state;
    reset(X86_MODE_64);
    cpu.gpr[X86_RDI] = 0x10ffc;
    cpu.gpr[X86_RCX] = 4;
    cpu.gpr[X86_RDX] = 0x1f0;
    machine.read_only_page = 0x11000;
    machine.port_value = 0x100;
    assert_int_equal(run("f3 66 6d"), X86_FAULT);
    assert_int_equal(machine.port_count, 2); /* nothing is taken that cannot be stored */
    assert_int_equal(cpu.gpr[X86_RCX], 2);
    assert_int_equal(load(0x10ffc, 4), 0x01010100);
    machine.read_only_page = NO_PAGE;
    run_done("f3 66 6d");
    assert_int_equal(machine.port_count, 4);
    cpu.gpr[X86_RSI] = 0x10ffc;
    cpu.gpr[X86_RCX] = 4;
    run_done("f3 6e");
    assert_int_equal(machine.port_size, 1);
    assert_int_equal(machine.port_value, 1);
}

/* Many elements at once are the same as one by one, wherever a page, a segment or the address space ends. */
static void port_blocks(void **state)
{
    static const char *const codes[] = {"f3 6c",    "f3 66 6d", "f3 6d",    "f3 6e",
                                        "f3 66 6f", "f3 6f",    "f3 67 6d", "f3 67 6e"};
    static const uint64_t ends[] = {0x11000, 0x12000, 0x10100, 0x13000};
    uint64_t random = 1;
    unsigned blocks = 0;

    (void)state;
    for (unsigned round = 0; round < 4000; round++) {
        enum x86_mode mode = round / 8 % 3 == 0   ? X86_MODE_16
                             : round / 8 % 3 == 1 ? X86_MODE_32
                                                  : X86_MODE_64;
        const char *code = codes[round % (mode == X86_MODE_32 ? 6 : 8)]; /* its memory is beyond 16 bits */
        static struct machine alone;
        struct x86_cpu alone_cpu = {0};
        enum x86_result result = X86_DONE;

        random = random * 6364136223846793005u + 1442695040888963407u;
        for (unsigned at_once = 0; at_once < 2; at_once++) {
            reset(mode);
            cpu.gpr[X86_RCX] = random >> 40 & 31;
            cpu.gpr[X86_RDI] = ends[random >> 32 & 3] - (random >> 50 & 31);
            cpu.gpr[X86_RSI] = ends[random >> 34 & 3] - (random >> 55 & 31);
            if (mode == X86_MODE_16) {
                cpu.gpr[X86_RDI] -= MEMORY_BASE;
                cpu.gpr[X86_RSI] -= MEMORY_BASE;
            }
            if (mode != X86_MODE_64 && random >> 36 & 1) {
                cpu.segment[X86_ES].limit = mode == X86_MODE_16 ? 0x1ff7 : 0x11ff7;
                cpu.segment[X86_DS].limit = mode == X86_MODE_16 ? 0x1ff7 : 0x11ff7;
            }
            cpu.rflags |= (random >> 37 & 7) == 0 ? X86_RFLAGS_DF : 0;
            cpu.rflags |= (random >> 45 & 15) == 0 ? X86_RFLAGS_TF : 0;
            machine.read_only_page = random >> 60 & 1 ? 0x11000 : NO_PAGE;
            machine.absent_page = (random >> 61 & 3) == 0 ? 0x12000 : NO_PAGE;
            for (unsigned i = 0; i < MEMORY_SIZE; i++)
                machine.memory[i] = (uint8_t)(i * 7);
            machine.block_most = at_once ? (random >> 63 ? 5 : UINT64_MAX) : 0;
            if (at_once == 0) {
                result = run(code);
                alone = machine;
                alone_cpu = cpu;
                continue;
            }
            assert_int_equal(run(code), result);
            blocks += machine.blocks;
        }
        assert_memory_equal(&cpu, &alone_cpu, sizeof(cpu));
        assert_memory_equal(machine.memory, alone.memory, MEMORY_SIZE);
        assert_int_equal(machine.port_count, alone.port_count);
        assert_int_equal(machine.port_value, alone.port_value);
        if (result == X86_FAULT)
            assert_memory_equal(&machine.fault, &alone.fault, sizeof(machine.fault));
    }
    assert_true(blocks > 1000);
}

static void branches(void **state)
{
    (void)state;
    reset(X86_MODE_64);
    run_done("75 10");
    assert_int_equal(cpu.rip, 0x1012);
    run_done("74 10");
    assert_int_equal(cpu.rip, 0x1014);
    run_done("e8 fb ff ff ff"); /* to itself */
    assert_int_equal(cpu.rip, 0x1014);
    assert_int_equal(cpu.gpr[X86_RSP], 0x17ff8);
    assert_int_equal(load(0x17ff8, 8), 0x1019);
    run_done("c2 10 00");
    assert_int_equal(cpu.rip, 0x1019);
    assert_int_equal(cpu.gpr[X86_RSP], 0x18010);
    cpu.gpr[X86_RAX] = 0x800000000000;
    run_faults("ff e0", X86_VECTOR_GP, true);
    run_faults("ff d0", X86_VECTOR_GP, true);
    cpu.gpr[X86_RCX] = 2;
    cpu.rip = 0x1000;
    run_done("e2 fe");
    assert_int_equal(cpu.rip, 0x1000);
    run_done("e2 fe");
    assert_int_equal(cpu.rip, 0x1002);
    run_done("e3 10");
    assert_int_equal(cpu.rip, 0x1014);
    cpu.gpr[X86_RBP] = 0x17000;
    store(0x17000, 8, 0x1234);
    run_done("c9");
    assert_int_equal(cpu.gpr[X86_RSP], 0x17008);
    assert_int_equal(cpu.gpr[X86_RBP], 0x1234);

    reset(X86_MODE_16);
    cpu.gpr[X86_RSP] = 0xffff0000; /* SP wraps, the upper half stays */
    run_done("e8 00 10");
    assert_int_equal(cpu.rip, 0x2003);
    assert_int_equal(cpu.gpr[X86_RSP], 0xfffffffe);
    run_done("c3");
    assert_int_equal(cpu.rip, 0x1003);
    assert_int_equal(cpu.gpr[X86_RSP], 0xffff0000);
    cpu.segment[X86_CS].limit = 0x1010;
    run_faults("eb 7f", X86_VECTOR_GP, false);
}

static void one_byte_inc(void **state)
{
    (void)state;
    reset(X86_MODE_32);
    cpu.gpr[X86_RAX] = 0xffffffff;
    run_done("40");
    assert_int_equal(cpu.gpr[X86_RAX], 0);
    assert_true(cpu.rflags & X86_RFLAGS_ZF);
    assert_false(cpu.rflags & X86_RFLAGS_CF);
    run_done("4f");
    assert_int_equal(cpu.gpr[X86_RDI], 0xffffffff);
}

/* CRC32C of "123456789" is E3069283; its bits are inverted before and after. ADCX and ADOX leave each other's
 * carry. */
static void map_0f38(void **state)
{
    static const char digits[] = "123456789";

    (void)state;
    reset(X86_MODE_64);
    cpu.gpr[X86_RAX] = UINT32_MAX;
    cpu.gpr[X86_RBX] = 0x10000;
    for (size_t i = 0; i < 9; i++)
        store(0x10000 + i, 1, (uint8_t)digits[i]);
    run_done("f2 48 0f 38 f1 03");
    run_done("f2 0f 38 f0 43 08");
    assert_true(cpu.gpr[X86_RAX] == (uint32_t)~0xe3069283u);
    cpu.gpr[X86_RAX] = UINT32_MAX;
    cpu.gpr[X86_RCX] = 0;
    cpu.rflags |= X86_RFLAGS_CF;
    run_done("66 0f 38 f6 c1");
    assert_int_equal(cpu.gpr[X86_RAX], 0);
    run_done("f3 0f 38 f6 c1");
    assert_int_equal(cpu.gpr[X86_RAX], 0);
    assert_true((cpu.rflags & (X86_RFLAGS_CF | X86_RFLAGS_OF)) == X86_RFLAGS_CF);
}

/* CLFLUSH, CLFLUSHOPT and CLWB need an address that can be read, and neither read nor write there. */
static void flushes(void **state)
{
    static const char *const instructions[] = {"0f ae 3b", "66 0f ae 3b", "66 0f ae 33"};

    (void)state;
    for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
        reset(X86_MODE_64);
        cpu.gpr[X86_RBX] = 0x10ffd;
        machine.absent_page = 0x11000;
        machine.read_only_page = 0x10000;
        run_done(instructions[i]);
        assert_int_equal(machine.touched, 0x10ffd);
        assert_int_equal(machine.reads + machine.writes, 0);
        cpu.gpr[X86_RBX] = 0x11000;
        run_faults(instructions[i], X86_VECTOR_PF, true);
        assert_int_equal(machine.fault.error, 0);
        cpu.gpr[X86_RBX] = 1ull << 47;
        run_faults(instructions[i], X86_VECTOR_GP, true);
    }
}

static void smsw(void **state)
{
    (void)state;
    reset(X86_MODE_64);
    cpu.cr0 = 0x80051235;
    cpu.gpr[X86_RBX] = MEMORY_BASE;
    store(MEMORY_BASE, 8, UINT64_MAX);
    run_done("48 0f 01 23"); /* a word, whatever the operand size */
    assert_true(load(MEMORY_BASE, 8) == 0xffffffffffff1235);
    cpu.cr4 = X86_CR4_UMIP;
    run_done("0f 01 23");
    cpu.cpl = 3;
    run_faults("0f 01 23", X86_VECTOR_GP, true);
}

static void refused(void **state)
{
    static const char *const instructions[] = {
        "f4",
        "0f a2",
        "0f 22 c0",
        "c5 f9 6f 00",
        "0f 6f 00",
        "0f 38 f9 08",
        "0f 38 f6 c1",
        "f0 48 0f c7 08",
        "fe f8",
        "c7 f8 00 00 00 00",
        "0f 0b",
        "66 0f c7 30",
        "cd 80",
        "8e d8",
        "62 f1 7c 48 10 00",
        "0f 3a 0f c1 08",
        "0f 01 e0",
        "0f ae f0",
        "0f ae 33",
        "f3 0f ae 33",
    };
    struct x86_cpu before;
    struct x86_insn insn;
    const uint8_t nop = 0x90;

    (void)state;
    reset(X86_MODE_64);
    before = cpu;
    for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++)
        if (run(instructions[i]) != X86_UNSUPPORTED)
            fail_msg("%s", instructions[i]);
    assert_int_equal(run("8b 04 25 fe ff ff ff"), X86_UNSUPPORTED); /* from the last byte to the first */
    assert_int_equal(x86_decode(X86_MODE_32, &nop, 1, &insn), X86_DECODE_OK);
    assert_int_equal(x86_execute(&cpu, &insn, &ops, NULL, &machine.fault), X86_UNSUPPORTED);
    assert_memory_equal(&cpu, &before, sizeof(before));
}

/* Corners that native_forms_test.c has found, for hosts on which it cannot run. */
static void as_on_the_processor(void **state)
{
    (void)state;
    reset(X86_MODE_16);
    cpu.gpr[X86_RAX] = 0x12345678;
    cpu.gpr[X86_RBX] = 0x100;
    run_done("0f c3 07"); /* MOVNTI stores four bytes in 16-bit code too */
    assert_int_equal(load(MEMORY_BASE + 0x100, 4), 0x12345678);
    cpu.gpr[X86_RSP] = 0xabcd8000;
    run_done("66 c8 00 00 00"); /* ENTER with a frame wider than the stack pointer */
    assert_int_equal(cpu.gpr[X86_RBP], 0xabcd7ffc);

    reset(X86_MODE_32);
    machine.absent_page = 0x11000;
    cpu.gpr[X86_RBX] = 0x10ffc;
    store(0x10ffc, 4, 5);
    run_faults("62 03", X86_VECTOR_BR, false); /* BOUND: 0 is below 5, whatever the upper bound is */
    machine.read_only_page = 0x12000;
    cpu.gpr[X86_RSI] = 0x10ffe;
    cpu.gpr[X86_RDI] = 0x11ffe;
    cpu.segment[X86_DS].limit = 0;
    run_faults("a7", X86_VECTOR_PF, true); /* CMPS: the fault at EDI comes before that at ESI */

    reset(X86_MODE_64);
    cpu.gpr[X86_RAX] = 1;
    cpu.gpr[X86_R8] = 2;
    run_done("f3 41 90"); /* PAUSE in spite of REX.B */
    assert_int_equal(cpu.gpr[X86_RAX], 1);
    run_done("41 90");
    assert_int_equal(cpu.gpr[X86_RAX], 2);
    cpu.cpl = 3;
    machine.deny_ports = true;
    run_faults("f3 6e", X86_VECTOR_GP, true); /* no right to the port, and nothing to repeat */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_mode),
        cmocka_unit_test(protected_segments),
        cmocka_unit_test(long_mode_addresses),
        cmocka_unit_test(page_faults),
        cmocka_unit_test(locked),
        cmocka_unit_test(strings_restart),
        cmocka_unit_test(strings_compare),
        cmocka_unit_test(ports),
        cmocka_unit_test(port_strings),
        cmocka_unit_test(port_blocks),
        cmocka_unit_test(branches),
        cmocka_unit_test(one_byte_inc),
        cmocka_unit_test(map_0f38),
        cmocka_unit_test(flushes),
        cmocka_unit_test(smsw),
        cmocka_unit_test(refused),
        cmocka_unit_test(as_on_the_processor),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
