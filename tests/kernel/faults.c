/* SPDX-License-Identifier: ISC */
/* Programs that die of a processor exception, and the FPU's registers of those that have one. */
#include "tests/kernel/tests.h"

#define WATCH_BITS 0x2000
#define NOWHERE    0x7ffff0000000ul
#define KERNEL     0xffffffff80209000ul /* in its image */

#define ERROR_IDT    2u /* error code: an entry of the IDT */
#define LDT_SELECTOR 7u /* the first of the LDT, by user mode */
#define LDT_ERROR    4u
#define PF_PRESENT   1u
#define PF_WRITE     2u
#define PF_USER      4u
#define PF_FETCH     16u

static volatile uint64_t survived;

static void read_nowhere(void)
{
    (void)*(volatile uint64_t *)NOWHERE;
}

static void write_nowhere(void)
{
    *(volatile uint64_t *)(NOWHERE + 8) = 1;
}

static void write_code(void)
{
    *(volatile uint8_t *)0x400000 = 1;
}

static void read_kernel(void)
{
    (void)*(volatile uint64_t *)KERNEL;
}

static void execute_data(void)
{
    static uint8_t code[16];
    void (*volatile function)(void) = (void (*)(void))(uintptr_t)code;

    function();
}

static void halt(void)
{
    __asm__ volatile("hlt");
}

static void interrupts_off(void)
{
    __asm__ volatile("cli");
}

static void noncanonical(void)
{
    (void)*(volatile uint64_t *)0x8000000000000000ul;
}

static void undefined(void)
{
    __asm__ volatile("ud2");
}

static void divide(void)
{
    __asm__ volatile("xor %%ecx, %%ecx\n\tmov $1, %%eax\n\txor %%edx, %%edx\n\tdiv %%ecx"
                     :
                     :
                     : "eax", "ecx", "edx");
}

static void fpu(void)
{
    __asm__ volatile("pxor %%xmm0, %%xmm0" : :);
}

static void breakpoint(void)
{
    __asm__ volatile("int3");
}

static void kernel_interrupt(void)
{
    __asm__ volatile("int $0xf0");
}

static void port(void)
{
    __asm__ volatile("in $0x60, %%al" : : : "eax");
}

/* After reset the LDT is 64 KiB at address 0, which a program could fill; it has to be none. */
static void local_descriptor(void)
{
    __asm__ volatile("mov %w0, %%es" : : "r"(LDT_SELECTOR));
}

static void step(void)
{
    __asm__ volatile("pushf\n\torl $0x100, (%%rsp)\n\tpopf\n\tnop" : : : "memory");
}

/* A stack that is none must not hurt the kernel either. */
static void bad_stack(void)
{
    __asm__ volatile("mov %0, %%rsp\n\tud2" : : "r"(KERNEL));
}

static const struct {
    const char *name;
    void (*function)(void);
    uint64_t vector, error, address;
} kinds[] = {
    {"fault: read", read_nowhere, 14, PF_USER, NOWHERE},
    {"fault: write", write_nowhere, 14, PF_USER | PF_WRITE, NOWHERE + 8},
    {"fault: write to code", write_code, 14, PF_USER | PF_WRITE | PF_PRESENT, 0x400000},
    {"fault: read the kernel", read_kernel, 14, PF_USER | PF_PRESENT, KERNEL},
    {"fault: execute data", execute_data, 14, PF_USER | PF_FETCH | PF_PRESENT, UINT64_MAX},
    {"fault: HLT", halt, 13, 0, 0},
    {"fault: CLI", interrupts_off, 13, 0, 0},
    {"fault: non-canonical address", noncanonical, 13, 0, 0},
    {"fault: undefined instruction", undefined, 6, 0, 0},
    {"fault: division by zero", divide, 0, 0, 0},
    {"fault: SSE without FPU", fpu, 7, 0, 0},
    {"fault: INT3", breakpoint, 13, 3 * 8 + 2, 0},
    {"fault: INT of the kernel's", kernel_interrupt, 13, 0xf0 * 8 + 2, 0},
    {"fault: port", port, 13, 0, 0},
    {"fault: a segment of an LDT", local_descriptor, 13, LDT_ERROR, 0},
    {"fault: single step", step, 1, 0, 0},
    {"fault: no stack", bad_stack, 6, 0, 0},
};
static unsigned kind;

static void victim(uint64_t argument)
{
    (void)argument;
    kinds[kind].function();
    survived = 1;
    thread_end();
}

static void uses_fpu(uint64_t argument)
{
    __asm__ volatile("movq %0, %%xmm1" : : "r"(argument));
    thread_end();
}

static void fault(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    selector nt = notification(), bit = fresh();
    uint64_t what = 0, ip = 0, bits;

    survived = 0;
    OK(nt_narrow(nt, bit, WATCH_BITS));
    OK(pd_fault(child.pd, &what, &ip));
    EXPECT(what, 0);
    OK(pd_watch(child.pd, bit));
    if (kinds[kind].function == fpu) /* right after one that has it */
        (void)thread_start(&own, 2, uses_fpu, 0, 30, THREAD_FPU);
    (void)thread_start(&child, 1, victim, 0, 20, 0);
    OK(nt_wait(nt, now() + milliseconds(500), &bits));
    EXPECT(bits, WATCH_BITS);
    EXPECT(survived, 0);
    OK(pd_fault(child.pd, &what, &ip));
    EXPECT(what & 0xff, kinds[kind].vector);
    EXPECT(what & PD_FAULT_VALID, PD_FAULT_VALID);
    /* QEMU 7.2 gives 16 times the vector where the architecture has 8 times (APM vol. 2, 8.4.1). */
    if (kinds[kind].error & ERROR_IDT && kinds[kind].vector == 13 && what >> 32 != kinds[kind].error)
        EXPECT(what >> 32, 2 * (kinds[kind].error - ERROR_IDT) + ERROR_IDT);
    else
        EXPECT(what >> 32, kinds[kind].error);
    if (kinds[kind].function != execute_data) {
        EXPECT(ROOT_UTCB[0], kinds[kind].address);
        expect_range("instruction pointer", ip, (uint64_t)kinds[kind].function,
                     (uint64_t)kinds[kind].function + 64);
    } else {
        EXPECT(ROOT_UTCB[0], ip);
    }
}

static void stops(uint64_t argument)
{
    (void)argument;
    __asm__ volatile("hlt");
}

static void is_undefined(uint64_t argument)
{
    (void)argument;
    __asm__ volatile("ud2");
}

/* Of two threads of a PD that die, the first is the one that is told about. */
static void second_fault(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    uint64_t what = 0, ip = 0, first = 0;

    for (unsigned i = 1; i <= 2; i++) {
        (void)thread_start(&child, i, i == 1 ? is_undefined : stops, 0, 20, 0);
        pass(milliseconds(2));
        OK(pd_fault(child.pd, &what, &ip));
        EXPECT(what & 0xff, 6);
        first = i == 1 ? ip : first;
        EXPECT(ip, first);
    }
}

/* The registers of one that is dead, and of one that waits. */
static void dies_with_registers(uint64_t argument)
{
    __asm__ volatile("mov %0, %%r15\n\tmov %0, %%rbx\n\tnot %%rbx\n\tmov $7, %%edi\n\tud2"
                     :
                     : "r"(argument)
                     : "r15", "rbx", "rdi");
}

static void waits_for(uint64_t nt)
{
    uint64_t bits;

    (void)!nt_wait(nt, DEADLINE_NEVER, &bits);
    thread_end();
}

static enum status ec_control(selector ec, enum ec_operation operation, uint64_t argument)
{
    return system_call_status(CALL_EC_CONTROL, ec, operation, argument, 0, 0, 0);
}

static void registers_of_others(void)
{
    selector nt = notification(), dead = thread_start(&own, 1, dies_with_registers, 0x123456789a, 20, 0);
    selector waiting = thread_start(&own, 2, waits_for, nt, 20, 0);

    pass(milliseconds(1));
    OK(ec_control(dead, EC_STATE, 0));
    EXPECT(ROOT_UTCB[EC_R15], 0x123456789a);
    EXPECT(ROOT_UTCB[EC_RBX], ~0x123456789aul);
    EXPECT(ROOT_UTCB[EC_RDI], 7);
    EXPECT(ROOT_UTCB[EC_VECTOR], 6);
    EXPECT(ROOT_UTCB[EC_CS] & 3, 3);
    expect_range("RIP", ROOT_UTCB[EC_RIP], (uint64_t)dies_with_registers, (uint64_t)dies_with_registers + 64);
    OK(ec_control(waiting, EC_STATE, 0));
    EXPECT(ROOT_UTCB[EC_VECTOR], 256);
    EXPECT(ROOT_UTCB[EC_RDI], nt);
    EXPECT_STATUS(ec_control(dead, EC_FS_BASE, 0), STATUS_DEAD);
    OK(ec_control(waiting, EC_FS_BASE, WINDOW));
}

/* Each has the FS base that was set for it, and none the other's. */
static volatile uint64_t fs_words[2], fs_wrong[2], fs_done;

static void reads_fs(uint64_t index)
{
    uint64_t word;

    while (!fs_done) {
        __asm__ volatile("mov %%fs:0, %0" : "=r"(word));
        fs_wrong[index] += word != 0x1000 + index;
        for (unsigned i = 0; i < 100; i++)
            __asm__ volatile("pause");
        fs_words[index]++;
    }
    thread_end();
}

static void fs_bases(void)
{
    static volatile uint64_t storage[2];
    struct pd_space child = child_create(ROOT_ACCOUNT);
    uint64_t word;

    fs_done = 0;
    for (unsigned i = 0; i < 2; i++) {
        selector ec;

        storage[i] = 0x1000 + i;
        fs_words[i] = fs_wrong[i] = 0;
        ec = thread_start(i ? &child : &own, i + 1, reads_fs, i, 20, 0);
        OK(ec_control(ec, EC_FS_BASE, (uint64_t)&storage[i]));
    }
    OK(ec_control(ROOT_EC, EC_FS_BASE, (uint64_t)&storage[1]));
    for (unsigned round = 0; round < 20; round++) {
        pass(milliseconds(1));
        __asm__ volatile("mov %%fs:0, %0" : "=r"(word));
        if (!EXPECT(word, 0x1001))
            break;
    }
    OK(ec_control(ROOT_EC, EC_FS_BASE, 0));
    fs_done = 1;
    pass(milliseconds(5));
    for (unsigned i = 0; i < 2; i++) {
        EXPECT(fs_wrong[i], 0);
        expect_range("reads through FS", fs_words[i], 10, UINT64_MAX);
    }
}

/* Two that change all they have, and one without in between, while time is shared. */
#define FPU_ROUNDS 200000u
static volatile uint64_t mixed[4], finished;

static void keeps_registers(uint64_t pattern)
{
    for (unsigned i = 0; i < FPU_ROUNDS; i++) {
        uint64_t low, high, value = pattern + i;
        uint32_t mxcsr = pattern & 1 ? 0x1f80 : 0x9f80, back;

        __asm__ volatile("movq %2, %%xmm0\n\tmovq %2, %%xmm15\n\tldmxcsr %3\n\t"
                         "mov $100, %%ecx\n1:\tpause\n\tdec %%ecx\n\tjnz 1b\n\t"
                         "movq %%xmm0, %0\n\tmovq %%xmm15, %1\n\tstmxcsr %4"
                         : "=&r"(low), "=&r"(high)
                         : "r"(value), "m"(mxcsr), "m"(back)
                         : "ecx", "memory");
        mixed[pattern & 3] += low != value || high != value || back != mxcsr;
        if (now() >> 62)
            break;
        if (i % 64 == 0 && finished)
            break;
    }
    thread_end();
}

static void integer(uint64_t argument)
{
    while (!finished)
        mixed[3] += argument;
    thread_end();
}

static void fpu_apart(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);

    mixed[0] = mixed[1] = mixed[2] = mixed[3] = finished = 0;
    (void)thread_start(&own, 1, keeps_registers, 0x1111000000000000, 20, THREAD_FPU);
    (void)thread_start(&child, 2, keeps_registers, 0x2222000000000001, 20, THREAD_FPU);
    (void)thread_start(&own, 3, integer, 1, 20, 0);
    (void)thread_start(&child, 4, keeps_registers, 0x4444000000000002, 20, THREAD_FPU);
    pass(milliseconds(100));
    finished = 1;
    pass(milliseconds(5));
    EXPECT(mixed[0], 0);
    EXPECT(mixed[1], 0);
    EXPECT(mixed[2], 0);
    expect_range("the one without FPU", mixed[3], 1, UINT64_MAX);
}

/* A new FPU is a fresh one: nothing of whose registers were loaded before. */
static volatile uint64_t fresh_xmm[2];

static void reads_fresh(uint64_t slot)
{
    uint64_t low, high;

    __asm__ volatile("movq %%xmm0, %0\n\tmovq %%xmm7, %1" : "=r"(low), "=r"(high));
    fresh_xmm[slot] = low | high;
    __asm__ volatile("movq %0, %%xmm0\n\tmovq %0, %%xmm7" : : "r"(UINT64_MAX));
    thread_end();
}

static void fpu_fresh(void)
{
    for (unsigned slot = 0; slot < 2; slot++) {
        fresh_xmm[slot] = 1;
        (void)thread_start(&own, slot + 1, reads_fresh, slot, 20, THREAD_FPU);
        pass(milliseconds(1));
        EXPECT(fresh_xmm[slot], 0);
    }
}

void test_faults(void)
{
    static const struct test tests[] = {
        {"fpu: registers stay apart", fpu_apart},
        {"fpu: fresh registers", fpu_fresh},
        {"fault: registers of others", registers_of_others},
        {"fault: the second of two", second_fault},
        {"fs: each its own base", fs_bases},
    };

    for (kind = 0; kind < COUNT(kinds); kind++) {
        struct test test = {kinds[kind].name, fault};

        run_tests(&test, 1);
    }
    run_tests(tests, COUNT(tests));
}
