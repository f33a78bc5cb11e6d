/* SPDX-License-Identifier: ISC */
/* Instructions on device memory, string I/O, fetches, and what hostile code gets. */
#include "vmm/cpu/test_bench.h"

#define TABLES 0x300000u

static void set_table(struct bench *bench, uint64_t table, unsigned entry, uint64_t value)
{
    memcpy(bench->ram + table + entry * 8, &value, 8);
}

/* Long mode with 2 MiB pages one to one, and linear 0x40000000 by 4 KiB pages. */
static void enter_long_mode(struct bench *bench)
{
    set_table(bench, TABLES, 0, (TABLES + 0x1000) | 7);
    set_table(bench, TABLES + 0x1000, 0, (TABLES + 0x2000) | 7);
    set_table(bench, TABLES + 0x1000, 1, (TABLES + 0x3000) | 7);
    set_table(bench, TABLES + 0x1000, 3, 0xc0000000 | 0x83 | 0); /* 1 GiB */
    for (unsigned i = 0; i < 512; i++)
        set_table(bench, TABLES + 0x2000, i, (uint64_t)i << 21 | 0x87);
    set_table(bench, TABLES + 0x3000, 0, (TABLES + 0x4000) | 7);
    set_table(bench, TABLES + 0x4000, 0, (CODE + 0x5000) | 7);
    set_table(bench, TABLES + 0x4000, 1, (CODE + 0x1000) | 7);
    bench->state.cr0 = 0x80000011;
    bench->state.cr3 = TABLES;
    bench->state.cr4 = 0x20;
    bench->state.efer = 0x500;
    bench->state.cs.attributes = 0xa9b;
    bench->vcpu.has_1g_pages = true;
}

static void test_mmio_read_write(void **state)
{
    struct bench *bench = *state;

    /* mov eax, [rbx]; mov dword [rbx + 0x50], 0x1ff (SVR is at 0xf0). */
    put_code(bench, CODE, "\x8b\x03\xc7\x43\x50\xff\x01\x00\x00", 9);
    bench->state.gpr[VCPU_RBX] = 0xfee00030;
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee00030, 0));
    assert_int_equal(bench->state.rip, CODE + 2);
    assert_int_equal(bench->state.gpr[VCPU_RAX] & 0xff, 0x14);
    bench->state.gpr[VCPU_RBX] = 0xfee000a0;
    bench->machine.cpu[0].attention = false;
    assert_true(leave_write(bench, 0xfee000f0));
    assert_int_equal(bench->state.rip, CODE + 9);
    assert_int_equal(bench->machine.cpu[0].lapic.svr, 0x1ff);
    assert_true(bench->machine.cpu[0].attention);
}

/* mov [rbx], eax with its bytes in two pages that do not lie together; the second is then taken away. */
static void test_fetch_across_pages(void **state)
{
    struct bench *bench = *state;

    enter_long_mode(bench);
    put_code(bench, CODE + 0x5ffe, "\xc7\x03", 2);
    put_code(bench, CODE + 0x1000, "\xff\x01\x00\x00", 4);
    bench->state.rip = 0x40000ffe;
    bench->state.gpr[VCPU_RBX] = 0xfee000f0;
    assert_true(leave_write(bench, 0xfee000f0));
    assert_int_equal(bench->state.rip, 0x40001004);
    assert_int_equal(bench->machine.cpu[0].lapic.svr, 0x1ff);

    set_table(bench, TABLES + 0x4000, 1, 0);
    bench->state.rip = 0x40000ffe;
    assert_true(leave_write(bench, 0xfee000f0));
    assert_int_equal(bench->state.rip, 0x40000ffe);
    assert_int_equal(bench->state.cr2, 0x40001000);
    assert_int_equal(bench->vcpu.exception & 0xff, 14);
    assert_true(bench->vcpu.exception & VCPU_EVENT_ERROR);
    assert_true(bench->state.dirty & VCPU_CR);
}

#define MMIO 0x40002000u

/* The short way of MOV in 64-bit mode, at linear MMIO: the local APIC's page. */
static void prepare_move(struct bench *bench)
{
    enter_long_mode(bench);
    set_table(bench, TABLES + 0x4000, 2, 0xfee00000 | 3);
    bench->state.rip = 0x40000000;
    bench->state.gpr[VCPU_RBX] = MMIO;
    bench->state.want[VCPU_EXIT_MMIO] = VCPU_FETCH_GROUPS;
    for (unsigned i = 8; i < 16; i++)
        bench->state.gpr[i] = i * 0x1111111111111111ull;
}

static bool move(struct bench *bench, const char *code, size_t length, uint64_t physical)
{
    put_code(bench, CODE + 0x5000, code, length);
    bench->state.rip = 0x40000000;
    return leave(bench, VCPU_EXIT_MMIO, physical, 0) && bench->state.rip == 0x40000000 + length;
}

static bool move_out(struct bench *bench, const char *code, size_t length, uint64_t physical)
{
    put_code(bench, CODE + 0x5000, code, length);
    bench->state.rip = 0x40000000;
    return leave_write(bench, physical) && bench->state.rip == 0x40000000 + length;
}

static void test_moves(void **state)
{
    struct bench *bench = *state;

    prepare_move(bench);
    /* mov r9d, [rbx + 0x30]: the upper half is cleared. */
    assert_true(move(bench, "\x44\x8b\x4b\x30", 4, 0xfee00030));
    assert_int_equal(bench->state.gpr[9], bench->state.gpr[9] & UINT32_MAX);
    assert_int_equal(bench->state.gpr[9] & 0xff, 0x14);
    /* mov [rbx + rcx * 8 + 0x80], r10d: the TPR keeps eight bits. */
    bench->state.gpr[VCPU_RCX] = 0;
    assert_true(move_out(bench, "\x44\x89\x94\xcb\x80\x00\x00\x00", 8, 0xfee00080));
    assert_int_equal(bench->machine.cpu[0].lapic.tpr, 0xaa);
    bench->state.gpr[VCPU_RCX] = 0x10; /* the same, now the SVR at 0x100 - 0x10 */
    bench->state.gpr[VCPU_RBX] = MMIO - 0x10;
    assert_true(move_out(bench, "\x44\x89\x94\xcb\x80\x00\x00\x00", 8, 0xfee000f0));
    assert_int_equal(bench->machine.cpu[0].lapic.svr & 0xff, 0xaa);
    /* mov dword [rbx + 0x100], 0x1ff */
    assert_true(move_out(bench, "\xc7\x83\x00\x01\x00\x00\xff\x01\x00\x00", 10, 0xfee000f0));
    assert_int_equal(bench->machine.cpu[0].lapic.svr, 0x1ff);
    /* mov eax, [rip + 0x202a] */
    assert_true(move(bench, "\x8b\x05\x2a\x20\x00\x00", 6, 0xfee00030));
    assert_int_equal(bench->state.gpr[VCPU_RAX] & 0xff, 0x14);
    /* No more than what a fetch needs was asked for by now. */
    assert_int_equal(bench->state.want[VCPU_EXIT_MMIO], VCPU_FETCH_GROUPS);
}

/* What is decoded once is not executed when other bytes stand there, or the page is another. */
static void test_moves_change(void **state)
{
    struct bench *bench = *state;

    prepare_move(bench);
    for (unsigned i = 0; i < 3; i++)
        assert_true(move(bench, "\x8b\x43\x30\x90", 3, 0xfee00030)); /* mov eax, [rbx + 0x30] */
    assert_true(move(bench, "\x8b\x4b\x30\x90", 3, 0xfee00030));     /* mov ecx */
    assert_int_equal(bench->state.gpr[VCPU_RCX] & 0xff, 0x14);
    put_code(bench, CODE + 0x1000, "\x8b\x53\x30", 3); /* mov edx, on the other page */
    set_table(bench, TABLES + 0x4000, 0, (CODE + 0x1000) | 7);
    bench->state.rip = 0x40000000;
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee00030, 0));
    assert_int_equal(bench->state.gpr[VCPU_RDX] & 0xff, 0x14);
    bench->state.rip = 0x40000000;
    set_table(bench, TABLES + 0x4000, 2, 0);
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee00030, 0));
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee00030, 0)); /* with all groups */
    assert_int_equal(bench->vcpu.exception & 0xff, 14);
    assert_int_equal(bench->state.cr2, MMIO + 0x30);
    assert_int_equal(bench->state.rip, 0x40000000);
}

/* Alignment is the executor's to check, and so is a user's write where it may not. */
static void test_moves_that_fault(void **state)
{
    struct bench *bench = *state;

    prepare_move(bench);
    bench->state.want[VCPU_EXIT_MMIO] |= VCPU_EMULATE_GROUPS;
    bench->state.cr0 |= X86_CR0_AM;
    bench->state.rflags |= X86_RFLAGS_AC;
    bench->state.ss.attributes = 0xcf3;
    set_table(bench, TABLES + 0x4000, 2, 0xfee00000 | 7);
    assert_false(move(bench, "\x8b\x43\x31", 3, 0xfee00031)); /* mov eax, [rbx + 0x31] */
    assert_int_equal(bench->vcpu.exception & 0xff, 17);
    bench->vcpu.exception = 0;
    bench->state.rflags &= ~X86_RFLAGS_AC;
    set_table(bench, TABLES + 0x4000, 2, 0xfee00000 | 5);
    assert_true(move(bench, "\x8b\x43\x30", 3, 0xfee00030));
    assert_false(move(bench, "\x89\x43\x30", 3, 0xfee00030)); /* mov [rbx + 0x30], eax */
    assert_int_equal(bench->vcpu.exception & 0xff, 14);
    assert_int_equal(bench->vcpu.exception >> 32, 7);
}

/* What looks like a plain MOV and is none. */
static void test_no_plain_moves(void **state)
{
    struct bench *bench = *state;

    prepare_move(bench);
    bench->state.want[VCPU_EXIT_MMIO] |= VCPU_EMULATE_GROUPS;
    /* mov eax, fs:[rbx + 0x30] */
    bench->state.fs.base = 0x10; /* without it, the ID */
    bench->state.gpr[VCPU_RBX] = MMIO - 0x10;
    assert_true(move(bench, "\x64\x8b\x43\x30", 4, 0xfee00030));
    assert_int_equal(bench->state.gpr[VCPU_RAX] & 0xff, 0x14);
    /* mov eax, [ebx + 0x30] with more in RBX */
    bench->state.gpr[VCPU_RBX] = 0x100000000 | MMIO;
    bench->state.gpr[VCPU_RAX] = 0;
    assert_true(move(bench, "\x67\x8b\x43\x30", 4, 0xfee00030));
    assert_int_equal(bench->state.gpr[VCPU_RAX] & 0xff, 0x14);
    /* mov [rbx], r10d where RAM is: the guest's own to do */
    bench->state.gpr[VCPU_RBX] = 0x40001000;
    assert_false(move_out(bench, "\x44\x89\x13", 3, 0xfee00030));
    assert_memory_equal(bench->ram + CODE + 0x1000, "\0\0\0\0", 4);
    assert_int_equal(bench->vcpu.exception, 0);
    /* mov eax, [rbx + 0xffe], into a page that is not there */
    bench->state.gpr[VCPU_RBX] = MMIO;
    assert_false(move(bench, "\x8b\x83\xfe\x0f\x00\x00", 6, 0xfee00ffe));
    assert_int_equal(bench->vcpu.exception & 0xff, 14);
    assert_int_equal(bench->state.cr2, MMIO + 0x1000);
    bench->vcpu.exception = 0;
    /* C7 /1 */
    assert_false(move(bench, "\xc7\x4b\x30\x00\x00\x00\x00", 7, 0xfee00030));
    assert_int_equal(bench->vcpu.exception & 0xff, 6);
}

static void test_rep_outs(void **state)
{
    struct bench *bench = *state;

    put_code(bench, CODE, "\xf3\x6e", 2);
    put_code(bench, CODE + 0x100, "hello", 5);
    bench->state.gpr[VCPU_RSI] = CODE + 0x100;
    bench->state.gpr[VCPU_RCX] = 5;
    bench->state.gpr[VCPU_RDX] = 0x3f8;
    assert_true(leave(bench, VCPU_EXIT_IO, io_info(0x3f8, 1, VCPU_IO_STRING | VCPU_IO_REP), CODE + 2));
    assert_int_equal(bench->state.rip, CODE); /* more groups are needed */
    assert_true(leave(bench, VCPU_EXIT_IO, io_info(0x3f8, 1, VCPU_IO_STRING | VCPU_IO_REP), CODE + 2));
    assert_string_equal(console, "hello");
    assert_int_equal(bench->state.rip, CODE + 2);
    assert_int_equal(bench->state.gpr[VCPU_RCX], 0);
    assert_true(bench->state.want[VCPU_EXIT_IO] != 0);
    assert_true(leave(bench, VCPU_EXIT_IO, io_info(0x80, 1, 0), CODE + 4));
    assert_int_equal(bench->state.want[VCPU_EXIT_IO], 0);
}

/* rep insb across a page: what nothing decodes reads as ones, by one exit. */
static void test_rep_ins(void **state)
{
    struct bench *bench = *state;

    put_code(bench, CODE, "\xf3\x6c", 2);
    bench->state.want[VCPU_EXIT_IO] = VCPU_EMULATE_GROUPS;
    bench->state.gpr[VCPU_RDI] = CODE + 0xff0;
    bench->state.gpr[VCPU_RCX] = 0x30;
    bench->state.gpr[VCPU_RDX] = 0x300;
    assert_true(
        leave(bench, VCPU_EXIT_IO, io_info(0x300, 1, VCPU_IO_STRING | VCPU_IO_REP | VCPU_IO_IN), CODE + 2));
    assert_int_equal(bench->state.rip, CODE + 2);
    assert_int_equal(bench->state.gpr[VCPU_RDI], CODE + 0x1020);
    for (unsigned i = 0xff0; i < 0x1020; i++)
        assert_int_equal(bench->ram[CODE + i], 0xff);
    assert_int_equal(bench->ram[CODE + 0xfef] | bench->ram[CODE + 0x1020], 0);
    /* Into device memory: one by one. */
    bench->state.rip = CODE;
    bench->state.gpr[VCPU_RDI] = 0xfee000f0;
    bench->state.gpr[VCPU_RCX] = 2;
    assert_true(
        leave(bench, VCPU_EXIT_IO, io_info(0x300, 1, VCPU_IO_STRING | VCPU_IO_REP | VCPU_IO_IN), CODE + 2));
    assert_int_equal(bench->state.rip, CODE + 2);
}

/* Execution in device memory and behind the end of RAM: no instruction, and one line until the next reset. */
static void test_execute_from_device(void **state)
{
    struct bench *bench = *state;

    bench->state.rip = 0xfee00000;
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee00000, 0));
    assert_int_equal(bench->vcpu.exception, VCPU_EVENT_VALID | VCPU_EVENT_EXCEPTION | 6);
    assert_int_equal(bench->state.rip, 0xfee00000);
    assert_non_null(strstr(logged, "vCPU 0 executes outside of memory, at fee00000 (physical fee00000)"));
    for (unsigned i = 0; i < 2; i++) {
        logged[0] = '\0';
        bench->vcpu.exception = 0;
        bench->state.rip = RAM_SIZE;
        assert_true(leave(bench, VCPU_EXIT_MMIO, RAM_SIZE, 0));
        assert_int_equal(bench->vcpu.exception & 0xff, 6);
        assert_int_equal(logged[0] != '\0', i);
        bench->vcpu.fetched_outside = false;
    }
    /* An instruction that begins in RAM and ends beyond it. */
    put_code(bench, RAM_SIZE - 2, "\x8b\x80", 2);
    bench->vcpu.exception = 0;
    bench->state.rip = RAM_SIZE - 2;
    assert_true(leave(bench, VCPU_EXIT_MMIO, RAM_SIZE, 0));
    assert_int_equal(bench->vcpu.exception & 0xff, 6);
}

static void count_access(void *device, struct bus_access *access)
{
    unsigned *count = device;

    (void)access;
    ++*count;
}

static void test_unknown_instruction(void **state)
{
    struct bench *bench = *state;

    put_code(bench, CODE, "\x0f\xae\x03", 3); /* FXSAVE */
    bench->state.gpr[VCPU_RBX] = 0xfee00000;
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee00000, 0));
    assert_int_equal(bench->vcpu.exception & 0xff, 6);
    assert_non_null(
        strstr(logged, "refused: legacy map 1 opcode ae modrm 03 at 200000: it uses the registers"));
}

/* CLFLUSH, CLFLUSHOPT, CLWB on a register whose read has an effect, and where no device is: nothing happens.
 */
static void test_flushes(void **state)
{
    static const char *const codes[] = {"\x0f\xae\x3b\x90", "\x66\x0f\xae\x3b", "\x66\x0f\xae\x33"};
    struct bench *bench = *state;
    unsigned reads = 0;
    const struct bus_region region = {
        .name = "counter", .base = 0xfd001000, .length = 0x1000, .handler = count_access, .device = &reads};

    assert_int_equal(bus_attach(&bench->machine.bus, BUS_MMIO, &region), BUS_OK);
    for (unsigned i = 0; i < 6; i++) {
        put_code(bench, CODE, codes[i % 3], 4);
        bench->state.rip = CODE;
        bench->state.gpr[VCPU_RBX] = i < 3 ? 0xfd001020 : 0xfd000000;
        assert_true(leave(bench, VCPU_EXIT_MMIO, bench->state.gpr[VCPU_RBX], 0));
        assert_int_equal(bench->state.rip, CODE + (i % 3 ? 4 : 3));
        assert_int_equal(bench->vcpu.exception, 0);
    }
    assert_int_equal(reads, 0);
    /* Not where the exit was: other code. */
    put_code(bench, CODE, codes[0], 3);
    bench->state.rip = CODE;
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee00000, 0));
    assert_int_equal(bench->state.rip, CODE);
    assert_string_equal(logged, "");
}

/* SMSW to where no device is: the word vanishes. */
static void test_smsw(void **state)
{
    struct bench *bench = *state;

    put_code(bench, CODE, "\x0f\x01\x23", 3);
    bench->state.cr0 = 0x31;
    bench->state.gpr[VCPU_RBX] = 0xfd000000;
    assert_true(leave_write(bench, 0xfd000000));
    assert_int_equal(bench->state.rip, CODE + 3);
    assert_int_equal(bench->vcpu.exception, 0);
}

static void test_prefix_flood(void **state)
{
    struct bench *bench = *state;

    memset(bench->ram + CODE, 0x66, 64);
    assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee00000, 0));
    assert_int_equal(bench->vcpu.exception & 0xff, 13);
}

/* The same linear address leads to another page without a word: CPUID there has a prefix. */
static void test_remapped_code(void **state)
{
    struct bench *bench = *state;

    enter_long_mode(bench);
    put_code(bench, CODE + 0x5000, "\x0f\xa2", 2);
    put_code(bench, CODE + 0x1000, "\x66\x0f\xa2", 3);
    for (unsigned i = 0; i < 4; i++) {
        set_table(bench, TABLES + 0x4000, 0, (CODE + (i & 1 ? 0x1000 : 0x5000)) | 7);
        bench->state.rip = 0x40000000;
        bench->state.gpr[VCPU_RAX] = 0;
        bench->state.want[VCPU_EXIT_CPUID] = VCPU_FETCH_GROUPS;
        assert_true(leave(bench, VCPU_EXIT_CPUID, 0, 0));
        assert_int_equal(bench->state.rip, 0x40000002 + (i & 1));
    }
}

/* Between the exit and the fetch another processor has put other code there, which the guest is to execute by
 * itself. */
static void test_changed_code(void **state)
{
    static const struct {
        const char *code;
        size_t length;
        bool write;
    } rows[] = {
        {"\x8b\x83\x00\x10\x00\x00", 6, false}, /* mov eax, [rbx + 0x1000]: the I/O APIC, not what exited */
        {"\x89\x43\x30", 3, false},             /* mov [rbx + 0x30], eax, where a read has exited */
        {"\x8b\x43\x30", 3, true},              /* and the other way round */
        {"\x40\x8b\x43\x30", 4, true},
        {"\x44\x89\x14\x25\x00\x10\x00\x40", 8, true}, /* mov [0x40001000], r10d: RAM */
        {"\x31\xc0", 2, false},                        /* xor eax, eax */
        {"\xfa", 1, false},                            /* cli */
        {"\xee", 1, true},                             /* out dx, al: perhaps not allowed */
        {"\x6e", 1, true},                             /* outsb */
        {"\x6c", 1, false},                            /* insb */
    };
    struct bench *bench = *state;

    prepare_move(bench);
    set_table(bench, TABLES + 0x4000, 3, 0xfec00000 | 3);
    bench->state.want[VCPU_EXIT_MMIO] |= VCPU_EMULATE_GROUPS;
    bench->state.gpr[VCPU_RDX] = MACHINE_COM1;
    bench->state.gpr[VCPU_RSI] = bench->state.gpr[VCPU_RDI] = 0x40000000;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct vcpu_state before;

        put_code(bench, CODE + 0x5000, rows[i].code, rows[i].length);
        bench->state.rip = 0x40000000;
        bench->state.gpr[VCPU_RAX] = 0x1234;
        bench->state.info[1] = rows[i].write ? VCPU_MMIO_WRITE : 0;
        before = bench->state;
        assert_true(leave(bench, VCPU_EXIT_MMIO, 0xfee00030, 0));
        assert_memory_equal(bench->state.gpr, before.gpr, sizeof before.gpr);
        assert_int_equal(bench->state.rip, 0x40000000);
        assert_int_equal(bench->state.rflags, before.rflags);
        assert_int_equal(bench->vcpu.exception & VCPU_EVENT_VALID, 0);
        assert_int_equal(console_length, 0);
    }
    assert_memory_equal(bench->ram + CODE + 0x1000, "\0\0\0\0", 4);
}

/* The same of string I/O: another port, width or direction, and of an instruction that is to be skipped. */
static void test_changed_io(void **state)
{
    static const uint64_t infos[] = {
        0x80ull << 16 | 1 << 4 | VCPU_IO_STRING, /* another port */
        (uint64_t)MACHINE_COM1 << 16 | 2 << 4 | VCPU_IO_STRING,
        (uint64_t)MACHINE_COM1 << 16 | 1 << 4 | VCPU_IO_STRING | VCPU_IO_IN,
    };
    struct bench *bench = *state;

    put_code(bench, CODE, "\x6e", 1); /* outsb */
    bench->state.gpr[VCPU_RDX] = MACHINE_COM1;
    bench->state.gpr[VCPU_RSI] = CODE;
    bench->state.want[VCPU_EXIT_IO] = VCPU_EMULATE_GROUPS;
    for (unsigned i = 0; i < sizeof infos / sizeof *infos; i++) {
        assert_true(leave(bench, VCPU_EXIT_IO, infos[i], CODE + 1));
        assert_int_equal(bench->state.rip, CODE);
        assert_int_equal(console_length, 0);
        bench->state.want[VCPU_EXIT_IO] = VCPU_EMULATE_GROUPS;
    }
    assert_true(leave(bench, VCPU_EXIT_IO, io_info(MACHINE_COM1, 1, VCPU_IO_STRING), CODE + 1));
    assert_int_equal(bench->state.rip, CODE + 1);
    assert_int_equal(console_length, 1);

    put_code(bench, CODE, "\x0f\x30", 2); /* wrmsr where a CPUID has exited */
    bench->state.rip = CODE;
    bench->state.want[VCPU_EXIT_CPUID] = VCPU_FETCH_GROUPS;
    assert_true(leave(bench, VCPU_EXIT_CPUID, 0, 0));
    assert_int_equal(bench->state.rip, CODE);
    assert_int_equal(bench->vcpu.exception & VCPU_EVENT_VALID, 0);
}

/* rep outsb in two shares: what comes in between pushes RF as 1, and what comes behind it as 0; a shadow ends
 * with the first iteration. */
static void test_middle_of_a_string(void **state)
{
    struct bench *bench = *state;

    put_code(bench, CODE, "\xf3\x6e", 2);
    bench->state.gpr[VCPU_RCX] = X86_STRING_LIMIT + 1;
    bench->state.gpr[VCPU_RDX] = 0x80;
    bench->state.gpr[VCPU_RSI] = CODE + 0x100;
    bench->state.interruptibility = VCPU_SHADOW;
    for (unsigned left = 2; left-- > 0;) {
        bench->state.want[VCPU_EXIT_IO] = VCPU_EMULATE_GROUPS;
        assert_true(leave(bench, VCPU_EXIT_IO, io_info(0x80, 1, VCPU_IO_STRING | VCPU_IO_REP), 0));
        assert_int_equal(bench->state.gpr[VCPU_RCX], left);
        assert_int_equal(bench->state.rflags & X86_RFLAGS_RF, left ? X86_RFLAGS_RF : 0);
        assert_int_equal(bench->state.interruptibility, 0);
        assert_int_equal(bench->state.rip, left ? CODE : CODE + 2);
    }
}

/* rep outsb under TF: #DB after each byte, RIP behind it only after the last. */
static void test_single_steps_of_a_string(void **state)
{
    struct bench *bench = *state;

    put_code(bench, CODE, "\xf3\x6e", 2);
    bench->state.rflags |= VCPU_RFLAGS_TF;
    bench->state.gpr[VCPU_RCX] = 2;
    bench->state.gpr[VCPU_RDX] = 0x80;
    bench->state.gpr[VCPU_RSI] = CODE + 0x100;
    bench->state.want[VCPU_EXIT_IO] = VCPU_EMULATE_GROUPS | VCPU_DR;
    for (unsigned left = 2; left-- > 0;) {
        bench->vcpu.exception = 0;
        assert_true(leave(bench, VCPU_EXIT_IO, io_info(0x80, 1, VCPU_IO_STRING | VCPU_IO_REP), 0));
        assert_int_equal(bench->state.gpr[VCPU_RCX], left);
        assert_int_equal(bench->vcpu.exception & 0xff, 1);
        assert_true(bench->state.dr6 & 1u << 14);
        assert_int_equal(bench->state.rip, left ? CODE : CODE + 2);
    }
}

#define NO_READS(segment)  (1u << (segment))
#define NO_WRITES(segment) (1u << (RAM_SEGMENTS + (segment)))

/* Segment 0 is not there, 4 is RAM that cannot be written, 12 the ROM whose writes reach RAM. */
static void prepare_shadow(struct bench *bench)
{
    static uint8_t rom[0x10000];

    memset(rom, 0x11, sizeof(rom));
    memset(bench->ram + RAM_ROM, 0x22, RAM_HIGH - RAM_ROM);
    bench->machine.ram.rom = rom;
    bench->machine.ram.rom_size = sizeof(rom);
    bench->machine.ram.shadow = NO_READS(0) | NO_WRITES(0) | NO_WRITES(4) | NO_READS(12);
}

static void test_shadow(void **state)
{
    static const struct {
        const char *code;
        size_t length;
        uint32_t at, eax; /* of the access that exits, and afterwards */
        bool write;
        uint8_t byte; /* in RAM afterwards */
    } rows[] = {
        {"\x89\x03", 2, 0xd0000, 0x77777777, true, 0x22},  /* mov [rbx], eax: the write vanishes */
        {"\x89\x03", 2, 0xf0000, 0x77777777, true, 0x77},  /* reaches the RAM behind the ROM */
        {"\x8b\x03", 2, 0xc0000, 0xffffffff, false, 0x22}, /* mov eax, [rbx]: nothing is there */
        {"\x09\x03", 2, 0xd0000, 0x77777777, true, 0x22},  /* or [rbx], eax */
        {"\x01\x03", 2, 0xf0000, 0x77777777, true, 0x88},  /* add: what is read is the ROM's */
        {"\x87\x03", 2, 0xd0000, 0x22222222, true, 0x22},  /* xchg */
    };
    struct bench *bench = *state;

    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        prepare_shadow(bench);
        put_code(bench, CODE, rows[i].code, rows[i].length);
        bench->state.rip = CODE;
        bench->state.gpr[VCPU_RAX] = 0x77777777;
        bench->state.gpr[VCPU_RBX] = rows[i].at;
        bench->state.info[1] = rows[i].write ? VCPU_MMIO_WRITE : 0;
        assert_true(leave(bench, VCPU_EXIT_MMIO, rows[i].at, 0));
        assert_int_equal(bench->state.rip, CODE + rows[i].length);
        assert_int_equal(bench->state.gpr[VCPU_RAX], rows[i].eax);
        assert_int_equal(bench->ram[rows[i].at], rows[i].byte);
    }
}

/* movsd from the ROM to a device: what is read first is not what exited. And outsb of RAM that is read only. */
static void test_rom_operand(void **state)
{
    struct bench *bench = *state;

    prepare_shadow(bench);
    put_code(bench, CODE, "\xa5", 1);
    bench->state.gpr[VCPU_RSI] = 0xf0000;
    bench->state.gpr[VCPU_RDI] = 0xa0000;
    assert_true(leave_write(bench, 0xa0000));
    assert_int_equal(bench->state.rip, CODE + 1);
    assert_int_equal(bench->state.gpr[VCPU_RSI], 0xf0004);
    put_code(bench, CODE, "\x6e", 1);
    bench->state.rip = CODE;
    bench->state.gpr[VCPU_RDX] = MACHINE_COM1;
    bench->state.gpr[VCPU_RSI] = 0xd0000;
    bench->state.want[VCPU_EXIT_IO] = VCPU_EMULATE_GROUPS;
    assert_true(leave(bench, VCPU_EXIT_IO, io_info(MACHINE_COM1, 1, VCPU_IO_STRING), CODE + 1));
    assert_string_equal(console, "\x22");
}

/* Code in the ROM is fetched, at both of its places. */
static void test_rom_code(void **state)
{
    struct bench *bench = *state;
    uint8_t *rom;

    prepare_shadow(bench);
    rom = (uint8_t *)(uintptr_t)bench->machine.ram.rom;
    memcpy(rom + 0x100, "\x89\x03", 2);
    bench->state.gpr[VCPU_RBX] = 0xa0000;
    bench->state.rip = 0xf0100;
    assert_true(leave_write(bench, 0xa0000));
    assert_int_equal(bench->state.rip, 0xf0102);
    bench->state.rip = 0xffff0100;
    assert_true(leave_write(bench, 0xa0000));
    assert_int_equal(bench->state.rip, 0xffff0102);
    assert_int_equal(bench->vcpu.exception & VCPU_EVENT_VALID, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_remapped_code),
        TEST(test_changed_code),
        TEST(test_changed_io),
        TEST(test_single_steps_of_a_string),
        TEST(test_middle_of_a_string),
        TEST(test_mmio_read_write),
        TEST(test_fetch_across_pages),
        TEST(test_rep_outs),
        TEST(test_rep_ins),
        TEST(test_moves),
        TEST(test_moves_change),
        TEST(test_moves_that_fault),
        TEST(test_no_plain_moves),
        TEST(test_execute_from_device),
        TEST(test_unknown_instruction),
        TEST(test_flushes),
        TEST(test_smsw),
        TEST(test_prefix_flood),
        cmocka_unit_test_setup_teardown(test_shadow, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rom_operand, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rom_code, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
