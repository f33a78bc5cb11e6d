/* SPDX-License-Identifier: ISC */
/* Two CPUs and guests: everything that a guest needs goes while it runs on the other CPU. */
#include "tests/kernel/smp.h"

#include "abi/vcpu.h"

#define GUEST_CODE 0x1000u

static const uint8_t code_loop[] = {0xfa, 0xeb, 0xfd}; /* 1: cli; jmp 1b, as in vcpus.c */
static selector guest_vcpu, guest_gst;
static volatile struct vcpu_state *const guest = (volatile struct vcpu_state *)STATE_PAGE;

static void guest_make(unsigned cpu)
{
    uint8_t *memory = ram_map(GUEST_RAM + 2);

    guest_gst = fresh();
    guest_vcpu = fresh();
    for (unsigned i = 0; i < sizeof(code_loop); i++)
        memory[i] = code_loop[i];
    OK(create_space(guest_gst, ROOT_ACCOUNT, SPACE_GST, 0));
    OK(space_copy(ROOT_MEM, ram_page(GUEST_RAM + 2), guest_gst, GUEST_CODE / PAGE, 1,
                  MEM_READ | MEM_WRITE | MEM_EXECUTE));
    OK(create_vcpu(guest_vcpu, ROOT_ACCOUNT, ROOT_PD, guest_gst, STATE_PAGE | cpu));
    guest->cs = (struct vcpu_segment){.attributes = 0x9b, .limit = 0xffff};
    guest->rip = GUEST_CODE;
    guest->rflags = 2;
    guest->dirty = VCPU_CS_SS | VCPU_RIP;
}

static void runs(uint64_t deadline)
{
    uint64_t bits;

    shared[5] = 1;
    result = vcpu_run(guest_vcpu, ping, deadline, &bits);
    shared[2] = 1;
    thread_end();
}

/* What ends a stay in the guest on the other CPU, and how. No timer does it instead: the thread's turn is
 * long. */
static void guest_disturbed(unsigned way, enum status expected)
{
    uint64_t begin;

    for (uint64_t i = 0; i < lives / 3; i++) {
        guest_make(1);
        ping = notification();
        shared[2] = shared[5] = 0;
        result = STATUSES;
        (void)thread_start(&own, 1, runs, now() + PATIENCE, PRIORITY, OTHER | THREAD_LONG);
        (void)wait_until(&shared[5], 1);
        for (unsigned spin = 0; spin < i * 100; spin++)
            __builtin_ia32_pause();
        begin = now();
        switch (way) {
        case 0:
            OK(nt_signal(ping));
            break;
        case 1:
            OK(destroy(guest_vcpu));
            break;
        case 2:
            OK(destroy(guest_gst));
            break;
        case 3:
            OK(space_remove(guest_gst, GUEST_CODE / PAGE, 1));
            break;
        default:
            OK(destroy(ping));
            OK(space_remove(guest_gst, GUEST_CODE / PAGE, 1)); /* else it is not looked at for long */
            break;
        }
        if (!wait_until(&shared[2], 1) ||
            !expect("it ends before its deadline", now() - begin < PATIENCE / 2, true))
            return;
        if (way < 4 && !EXPECT_STATUS(result, expected))
            return;
        if (way == 3)
            EXPECT(guest->exit, VCPU_EXIT_MMIO);
        clean();
    }
}

/* The registers of whoever runs the guest are its own again, however the call ends. Words 6 and 7: before and
 * after. */
static void runs_with_fpu(uint64_t deadline)
{
    uint64_t bits, after = shared[6];

    __asm__ volatile("movq %0, %%xmm3" : : "r"(after));
    shared[5] = 1;
    result = vcpu_run(guest_vcpu, ping, deadline, &bits);
    __asm__ volatile("movq %%xmm3, %0" : "=r"(after));
    shared[7] = after;
    shared[2] = 1;
    thread_end();
}

static void guest_leaves_registers(void)
{
    for (uint64_t i = 0; i < 20; i++) {
        guest_make(1);
        ping = notification();
        shared[2] = shared[5] = shared[7] = 0;
        shared[6] = 0x1234567800000000 + i;
        (void)thread_start(&own, 1, runs_with_fpu, now() + PATIENCE, PRIORITY, OTHER | THREAD_FPU);
        (void)wait_until(&shared[5], 1);
        pass(milliseconds(1));
        OK(destroy(i % 2 ? guest_vcpu : guest_gst));
        if (!wait_until(&shared[2], 1))
            return;
        EXPECT_STATUS(result, STATUS_DEAD);
        EXPECT(shared[7], shared[6]);
        clean();
    }
}

static void guest_signalled(void)
{
    guest_disturbed(0, STATUS_SIGNAL);
}

static void guest_vcpu_dies(void)
{
    guest_disturbed(1, STATUS_DEAD);
}

static void guest_space_dies(void)
{
    guest_disturbed(2, STATUS_DEAD);
}

static void guest_memory_goes(void)
{
    guest_disturbed(3, STATUS_OK);
}

static void guest_signal_dies(void)
{
    guest_disturbed(4, STATUS_OK);
}

static void guest_of_the_other(void)
{
    uint64_t bits;

    guest_make(1);
    ping = notification();
    EXPECT_CALL(CALL_VCPU_RUN, vcpu_run(guest_vcpu, ping, 0, &bits), STATUS_BAD_CPU);
}

static void scribbles(uint64_t argument)
{
    volatile uint8_t *page = (volatile uint8_t *)STATE_PAGE;
    uint64_t x = argument | 1;

    for (;;) {
        x = x * 6364136223846793005ul + 1442695040888963407ul;
        page[x >> 52] = (uint8_t)(x >> 40);
        guest->dirty = VCPU_GROUPS;
        beat++;
    }
}

/* The state page changes while the kernel looks at it. */
static void state_scribbled(void)
{
    uint64_t bits, entered = 0; /* how often is chance */

    ping = notification();
    for (unsigned i = 0; i < 20; i++) {
        selector ec;

        guest_make(0);
        ec = thread_start(&own, 1, scribbles, i, PRIORITY, OTHER);
        for (unsigned k = 0; k < 500; k++) {
            if (k % 10 == 0) {
                guest->cs = (struct vcpu_segment){.attributes = 0x9b, .limit = 0xffff};
                guest->cr0 = 0x10;
                guest->cr4 = guest->efer = guest->inject = 0;
            }
            (void)!vcpu_run(guest_vcpu, ping, now() + 20000, &bits);
            entered += guest->exit != VCPU_EXIT_INVALID_STATE;
        }
        OK(destroy(ec));
        OK(destroy(guest_vcpu));
        OK(space_remove(ROOT_OBJ, guest_vcpu, 1));
        OK(space_remove(ROOT_OBJ, guest_gst, 1));
        OK(space_remove(ROOT_OBJ, ec, 2));
    }
    say("ktest: entered %u times of 10000 with a page that changes", entered);
}

/* The same with a guest's space and its vCPU. */
static void guest_space_of_the_forgotten(void)
{
    for (uint64_t i = 0; i < lives; i++) {
        guest_make(1);
        OK(space_remove(ROOT_OBJ, guest_vcpu, 1));
        for (unsigned spin = 0; spin < i % 64; spin++)
            __builtin_ia32_pause();
        OK(destroy(guest_gst));
        clean();
        for (uint64_t end = now() + PATIENCE; objects(OBJECT_VCPU) && now() < end;)
            pass(milliseconds(1)); /* its own CPU frees it, and then its state page has a place again */
    }
}

static void reads_fs(uint64_t argument)
{
    uint64_t value;

    (void)argument;
    __asm__ volatile("mov %%fs:0, %0" : "=r"(value));
    shared[6] = value;
    thread_end();
}

/* The base of FS is set from here while the thread is in a guest: the next thread there has none. */
static void fs_base_stays_its_own(void)
{
    static volatile uint64_t secret;

    secret = 4711;
    shared[6] = 0;
    for (uint64_t i = 0; i < lives / 10; i++) {
        selector ec;

        guest_make(1);
        ping = notification();
        shared[2] = shared[5] = 0;
        ec = thread_start(&own, 1, runs, now() + PATIENCE, PRIORITY, OTHER);
        (void)wait_until(&shared[5], 1);
        for (unsigned spin = 0; spin < i * 100; spin++)
            __builtin_ia32_pause();
        OK(system_call_status(CALL_EC_CONTROL, ec, EC_FS_BASE, (uint64_t)&secret, 0, 0, 0));
        OK(nt_signal(ping));
        if (!wait_until(&shared[2], 1))
            return;
        (void)thread_start(&own, 2, reads_fs, 0, PRIORITY, OTHER);
        pass(milliseconds(3));
        clean();
    }
    EXPECT(shared[6], 0);
}

static const struct test tests[] = {
    {"two CPUs: the base of FS stays its thread's", fs_base_stays_its_own},
    {"two CPUs: a guest's thread is signalled", guest_signalled},
    {"two CPUs: a guest leaves its thread's registers", guest_leaves_registers},
    {"two CPUs: a vCPU dies in its guest", guest_vcpu_dies},
    {"two CPUs: a guest's space dies", guest_space_dies},
    {"two CPUs: a guest's memory goes", guest_memory_goes},
    {"two CPUs: a guest's notification dies", guest_signal_dies},
    {"two CPUs: calls to run a vCPU, too", guest_of_the_other},
    {"two CPUs: the state page is scribbled on", state_scribbled},
    {"two CPUs: a guest's space ends with a forgotten vCPU", guest_space_of_the_forgotten},
};

void smp_guest(void)
{
    run_tests(tests, COUNT(tests));
}
