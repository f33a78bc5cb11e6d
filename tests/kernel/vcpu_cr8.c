/* SPDX-License-Identifier: ISC */
/*
 * CR8, which a guest writes without an exit: it comes with each return of VCPU_RUN, and the window for an
 * interrupt can wait for it. QEMU 7.2 ends with a failed assertion where MOV CR8 lets through what waits in
 * SVM's virtual interrupt (doc/caveats.md), so that on SVM it is the monitor that lowers CR8.
 */
#include "tests/kernel/vm.h"

#define HIGH 9u

static const uint8_t code_sti_spin[] = {0xfb, 0x90, 0xeb, 0xfe};
/* 1: mov cr8, rax; out 0x80, al; jmp 1b */
static const uint8_t code_out[] = {0x44, 0x0f, 0x22, 0xc0, 0xe6, 0x80, 0xeb, 0xf8};
static const uint8_t code_stay[] = {0x44, 0x0f, 0x22, 0xc0,
                                    0xfa, 0xeb, 0xfd}; /* mov cr8, rax; 1: cli; jmp 1b */

static void always_valid(void)
{
    volatile struct vcpu_state *s;

    MAKE(code_out);
    s = vm.state;
    vm_start_long();
    for (uint64_t value = 0; value < 16; value++) {
        s->gpr[VCPU_RAX] = value;
        vm_exits(VCPU_EXIT_IO, CODE + 4);
        EXPECT(s->cr8, value);
        EXPECT(s->valid, VCPU_GPR | VCPU_RIP);
        s->rip = CODE;
        s->dirty = VCPU_RIP;
    }
    /* The page's is not the guest's until it is given. */
    s->cr8 = 3;
    EXPECT_STATUS(vm_run(0), STATUS_TIMEOUT);
    EXPECT(s->cr8, 15);
    vm_load(code_stay, sizeof(code_stay));
    vm_start();
    vm_start_long();
    s->gpr[VCPU_RAX] = 7;
    EXPECT_STATUS(vm_run(milliseconds(2)), STATUS_TIMEOUT);
    EXPECT(s->cr8, 7);
}

/* The window of a class, asked for with CR8 at `cr8`, by a guest that lets all in. */
static void ask(uint64_t cr8, uint64_t class)
{
    vm_start();
    vm.state->cr8 = cr8;
    vm.state->window = VCPU_WINDOW_INTERRUPT | class << VCPU_WINDOW_CLASS_SHIFT;
    vm.state->dirty |= VCPU_CR;
}

/* No exit, but for one that comes too early, which is asked for again. Whether there was one. */
static bool stays_closed(void)
{
    bool early = vm_run(milliseconds(1)) == STATUS_OK;

    if (early) {
        EXPECT(vm.state->exit, VCPU_EXIT_INTERRUPT_WINDOW);
        vm.state->dirty = VCPU_EVENT;
        EXPECT_STATUS(vm_run(milliseconds(1)), STATUS_TIMEOUT);
    }
    return early;
}

static void opens(uint64_t cr8)
{
    EXPECT_STATUS(vm_run(milliseconds(500)), STATUS_OK);
    EXPECT(vm.state->exit, VCPU_EXIT_INTERRUPT_WINDOW);
    expect_range("RIP behind the shadow of STI", vm.state->rip, CODE + 1, CODE + 2);
    EXPECT(vm.state->cr8, cr8);
    EXPECT_STATUS(vm_run(milliseconds(1)), STATUS_TIMEOUT); /* it is closed again */
}

static void window_of_a_class(void)
{
    unsigned early = 0;

    MAKE(code_sti_spin);
    for (uint64_t class = 1; class <= 15; class ++) {
        ask(class, class);
        early += stays_closed();
        EXPECT(vm.state->cr8, class);
        vm.state->cr8 = class - 1;
        vm.state->dirty = VCPU_CR;
        opens(class - 1);
        ask(class - 1, class);
        opens(class - 1);
    }
    /* At most once and for all, as QEMU 7.2 does: a guest would never get on. */
    expect_range("windows too early", early, 0, BOOT->features & BOOT_FEATURE_SVM ? 1 : 0);
    ask(15, 0);
    opens(15);
    ask(15, 15);
    vm.state->window = 15u << VCPU_WINDOW_CLASS_SHIFT; /* no window */
    vm.state->cr8 = 0;
    EXPECT_STATUS(vm_run(milliseconds(1)), STATUS_TIMEOUT);
}

/* Something else is on its way to the guest, and the window stays. */
static void window_beside_an_event(void)
{
    volatile uint16_t *counter;

    MAKE(code_hlt);
    counter = (volatile uint16_t *)(vm.memory + 0x3000);
    ask(HIGH, 5);
    vm.state->rflags = RFLAGS_IF | 2;
    vm.state->inject = 32 | VCPU_EVENT_INTERRUPT | VCPU_EVENT_VALID;
    vm_exits(VCPU_EXIT_HLT, CODE);
    EXPECT(*counter, 1);
    vm.state->cr8 = 4;
    vm.state->dirty = VCPU_CR;
    vm_exits(VCPU_EXIT_INTERRUPT_WINDOW, CODE);
    vm_exits(VCPU_EXIT_HLT, CODE);
    EXPECT(*counter, 1);
}

static void write_cr8(uint64_t value, uint32_t exit)
{
    vm.state->gpr[VCPU_RAX] = value;
    vm.state->rip = CODE;
    vm.state->dirty |= VCPU_RIP;
    vm_exits(exit, CODE + 4);
    EXPECT(vm.state->cr8, value);
}

static void guest_opens_it(void)
{
    MAKE(code_out);
    ask(HIGH, 5);
    vm_start_long();
    vm.state->rflags = RFLAGS_IF | 2;
    write_cr8(15, VCPU_EXIT_IO);
    write_cr8(6, VCPU_EXIT_IO);
    if (BOOT->features & BOOT_FEATURE_SVM)
        return;
    write_cr8(5, VCPU_EXIT_IO);
    write_cr8(4, VCPU_EXIT_INTERRUPT_WINDOW);
    vm_exits(VCPU_EXIT_IO, CODE + 4);
    write_cr8(HIGH, VCPU_EXIT_IO); /* it is closed again */
    write_cr8(0, VCPU_EXIT_IO);
    /* The exit of one window closes the other. */
    write_cr8(HIGH, VCPU_EXIT_IO);
    vm.state->window = VCPU_WINDOW_NMI | VCPU_WINDOW_INTERRUPT | 8u << VCPU_WINDOW_CLASS_SHIFT;
    vm.state->dirty = VCPU_EVENT;
    vm_exits(VCPU_EXIT_NMI_WINDOW, CODE + 4); /* no NMI is being handled */
    write_cr8(0, VCPU_EXIT_IO);
}

void test_cr8(void)
{
    static const struct test tests[] = {
        {"vcpu: CR8 is always valid", always_valid},
        {"vcpu: the window of a class", window_of_a_class},
        {"vcpu: the window of a class beside an event", window_beside_an_event},
        {"vcpu: the guest's CR8 opens the window", guest_opens_it},
    };

    run_tests(tests, COUNT(tests));
}
