/* SPDX-License-Identifier: ISC */
/*
 * When an interrupt comes: the shadow of STI with instructions in it that exit, windows, priorities, NMI,
 * wake-ups. The local APIC's interrupt to itself is the source, which waits as soon as it is written.
 */
#include "tests/guest/body/apic.h"
#include "tests/guest/body/suites.h"

#define VECTOR    0x40u
#define IF        0x200u
#define EXIT_PORT "0x80"

static volatile uint64_t seen_ip;
static volatile uint32_t order[8], orders;

static void note_ip(struct frame *frame)
{
    seen_ip = frame->ip;
    apic_eoi();
}

/* One interrupt waits; it must come right behind `text`, which follows STI. */
#define BEHIND(what, text, ...)                                                                              \
    do {                                                                                                     \
        trap_handlers[VECTOR] = note_ip;                                                                     \
        seen_ip = 0;                                                                                         \
        apic_send_self(VECTOR);                                                                              \
        __asm__ volatile("mov" W " $1f, trap_start\n sti\n " text "\n 1: nop\n nop\n cli" __VA_ARGS__);      \
        (void)expect(what, trap_start, seen_ip);                                                             \
    } while (0)

static void shadow(void)
{
    uint32_t a = 0, c = 0, d = 0;
    uintptr_t lapic = LAPIC_BASE;

    apic_enable();
    BEHIND("STI; NOP", "nop", : : : "memory");
    BEHIND("STI; STI", "sti", : : : "memory");
    BEHIND("STI; OUT", "outb %%al, $" EXIT_PORT, : : "a"(0) : "memory");
    BEHIND("STI; IN", "inb $" EXIT_PORT ", %%al", : "=a"(a) : : "memory");
    BEHIND("STI; CPUID", "cpuid", : "+a"(a), "+c"(c), "=d"(d) : : "ebx", "memory");
    c = 0x1b;
    BEHIND("STI; RDMSR", "rdmsr", : "=a"(a), "=d"(d) : "c"(c) : "memory");
    BEHIND("STI; WRMSR", "wrmsr", : : "a"(a), "d"(d), "c"(c) : "memory");
    BEHIND("STI; load from a device", "movl 0x20(%1), %0", : "=a"(a) : "S"(lapic) : "memory");
    BEHIND("STI; store to a device", "movl %0, 0x3e0(%1)", : : "a"(11), "S"(lapic) : "memory");
    BEHIND("STI; WBINVD", "wbinvd", : : : "memory");
    BEHIND("STI; RDTSC", "rdtsc", : "=a"(a), "=d"(d) : : "memory");
    BEHIND("STI; HLT", "hlt", : : : "memory");
    BEHIND("STI; MOV from CR0", "mov %%cr0, " RAX, : : : "eax", "memory");
}

/* No shadow: at once. */
static void no_shadow(void)
{
    apic_enable();
    trap_handlers[VECTOR] = note_ip;
    seen_ip = 0;
    apic_send_self(VECTOR);
    __asm__ volatile("mov" W " $1f, trap_start\n pushf" W "\n orl $0x200, (" RSP ")\n popf" W
                     "\n 1: nop\n nop\n cli"
                     :
                     :
                     : "memory", "cc");
    (void)expect("POPF", trap_start, seen_ip);
    seen_ip = 0;
    __asm__ volatile("mov" W
                     " $1f, trap_start\n sti\n nop\n movl %0, 0x300(%1)\n jmp 1f\n 1: nop\n nop\n nop\n cli"
                     :
                     : "a"(0x44000 | VECTOR), "S"((uintptr_t)LAPIC_BASE)
                     : "memory");
    (void)expect_between("behind the store that sends", trap_start - 2, trap_start + 3, seen_ip);
}

/* MOV SS behind STI: whether its shadow counts too is the processor's choice. */
static void stack_segment(void)
{
    apic_enable();
    trap_handlers[VECTOR] = note_ip;
    seen_ip = 0;
    apic_send_self(VECTOR);
    __asm__ volatile("mov" W
                     " $1f, trap_start\n mov %%ss, %%eax\n sti\n mov %%eax, %%ss\n 1: nop\n nop\n nop\n cli"
                     :
                     :
                     : "eax", "memory");
    (void)expect_between("STI; MOV SS", trap_start, trap_start + 1, seen_ip);
}

static void window_test(void)
{
    uint32_t before = trap_counts[VECTOR];

    apic_enable();
    trap_handlers[VECTOR] = note_ip;
    apic_send_self(VECTOR);
    apic_send_self(VECTOR);
    for (unsigned i = 0; i < 100; i++)
        out8(0x80, (uint8_t)i);
    (void)expect("came with IF clear", before, trap_counts[VECTOR]);
    (void)expect("waits in IRR", 1, apic_bit(APIC_IRR, VECTOR));
    irq_on();
    irq_off();
    (void)expect("came once", before + 1, trap_counts[VECTOR]);
    (void)expect("IRR afterwards", 0, apic_bit(APIC_IRR, VECTOR));
    (void)expect("ISR afterwards", 0, apic_bit(APIC_ISR, VECTOR));
}

static void note_order(struct frame *frame)
{
    if (orders < 8)
        order[orders++] = (uint32_t)frame->vector;
    apic_eoi();
}

static void priorities(void)
{
    static const uint8_t vectors[] = {0x41, 0x63, 0x52, 0x42};
    static const uint8_t expected[] = {0x63, 0x52, 0x42, 0x41};

    apic_enable();
    orders = 0;
    for (unsigned i = 0; i < 4; i++) {
        trap_handlers[vectors[i]] = note_order;
        apic_send_self(vectors[i]);
    }
    irq_on();
    irq_off();
    (void)expect("interrupts", 4, orders);
    for (unsigned i = 0; i < 4; i++)
        (void)expect("in their order", expected[i], order[i]);
}

/* Within the handler of 0x52: 0x63 nests, 0x5f of the same class waits for the EOI. */
static void outer(struct frame *frame)
{
    order[orders++] = (uint32_t)frame->vector;
    apic_send_self(0x5f);
    apic_send_self(0x63);
    (void)expect("PPR", 0x50, lapic_get(APIC_PPR));
    (void)expect("in service", 1, apic_bit(APIC_ISR, 0x52));
    irq_on();
    irq_off();
    order[orders++] = 1;
    apic_eoi();
}

static void nested(void)
{
    static const uint32_t expected[] = {0x52, 0x63, 1, 0x5f};

    apic_enable();
    orders = 0;
    trap_handlers[0x52] = outer;
    trap_handlers[0x5f] = note_order;
    trap_handlers[0x63] = note_order;
    apic_send_self(0x52);
    irq_on();
    irq_off();
    (void)expect("steps", 4, orders);
    for (unsigned i = 0; i < 4; i++)
        (void)expect("in their order", expected[i], order[i]);
}

#define KVM_EOI      0x4b564d04u
#define KVM_FEATURES 0x40000001u
#define KVM_HAS_EOI  (1u << 6)

/* As Linux ends an interrupt: by the bit, if the hypervisor has set it. */
static void end_by_bit(struct frame *frame)
{
    volatile uint32_t *word = mmio32(RAM_SCRATCH);

    order[orders++ & 7] = (uint32_t)frame->vector | (*word & 1) << 8;
    if (*word & 1)
        *word = 0;
    else
        apic_eoi();
}

/* The hypervisor offers that an interrupt is ended without an exit while no other waits, and sees that it
 * was. */
static void paravirtual_end(void)
{
    if (cpuid(0x40000000, 0).ebx != 0x4b4d564b || !(cpuid(KVM_FEATURES, 0).eax & KVM_HAS_EOI)) {
        test_skip("no paravirtual EOI");
        return;
    }
    apic_enable();
    orders = 0;
    trap_handlers[0x52] = end_by_bit;
    trap_handlers[0x63] = end_by_bit;
    *mmio32(RAM_SCRATCH) = 0;
    wrmsr(KVM_EOI, RAM_SCRATCH | 1);
    for (unsigned i = 0; i < 2; i++) {
        apic_send_self(0x52);
        irq_on();
        irq_off();
        (void)expect("ended by the bit", 0x152, order[i]);
        (void)expect("in service", 0, lapic_get(0x100 + 0x52 / 32 * 0x10));
    }
    apic_send_self(0x52);
    apic_send_self(0x63);
    irq_on();
    irq_off();
    (void)expect("not offered, for another waits", 0x63, order[2]);
    (void)expect("offered with the last", 0x152, order[3]);
    (void)expect("interrupts", 4, orders);
    TRAP("wrmsr", : : "c"(KVM_EOI), "a"(RAM_SCRATCH | 3), "d"(0) : "memory");
    (void)expect_trap("a reserved bit", VECTOR_GP, 0);
    TRAP("wrmsr", : : "c"(KVM_EOI), "a"(1), "d"(0x1000) : "memory");
    (void)expect_trap("an address that is no RAM", VECTOR_GP, 0);
    wrmsr(KVM_EOI, 0);
    apic_send_self(0x52);
    irq_on();
    irq_off();
    (void)expect("not offered, for it is off", 0x52, order[4]);
}

static void task_priority(void)
{
    uint32_t before = trap_counts[0x52];

    apic_enable();
    trap_handlers[0x52] = note_order;
    trap_handlers[0x63] = note_order;
    orders = 0;
    lapic_set(APIC_TPR, 0x50);
    apic_send_self(0x52);
    apic_send_self(0x63);
    irq_on();
    irq_off();
    (void)expect("above TPR", 0x63, order[0]);
    (void)expect("held by TPR", before, trap_counts[0x52]);
    (void)expect("PPR", 0x50, lapic_get(APIC_PPR));
    irq_on();
    lapic_set(APIC_TPR, 0x40);
    __asm__ volatile("jmp 1f\n 1: nop");
    irq_off();
    (void)expect("let go by TPR", before + 1, trap_counts[0x52]);
    lapic_set(APIC_TPR, 0);
}

static volatile uint32_t nmis, nmis_within;

static void send_nmi(void)
{
    lapic_set(APIC_ICR_HIGH, lapic_get(APIC_ID));
    lapic_set(APIC_ICR, 0x4400);
}

static const struct frame *volatile first_frame, *volatile second_frame;
static volatile uint64_t first_ip, second_ip;

/* The second NMI must wait for the first one's IRET, whatever happens in between, and come right behind it.
 */
static void note_nmi(struct frame *frame)
{
    second_frame = frame;
    second_ip = frame->ip;
    if (++nmis != 1)
        return;
    first_frame = frame;
    first_ip = frame->ip;
    send_nmi();
    (void)cpuid(0, 0);
    out8(0x80, 0);
    nmis_within = nmis;
}

static void nmi(void)
{
    apic_enable();
    nmis = 0;
    trap_handlers[VECTOR_NMI] = note_nmi;
    send_nmi();
    for (unsigned i = 0; i < 100 && nmis < 2; i++)
        (void)in8(0x80);
    (void)expect("NMIs with IF clear", 2, nmis);
    (void)expect("NMIs before the first one's IRET", 1, nmis_within);
    (void)expect("the second one's frame on the first one's", 0, second_frame < first_frame);
    (void)expect("where the second one comes", first_ip, second_ip);
    nmis = 1;
    trap_handlers[VECTOR] = note_ip;
    seen_ip = 0;
    send_nmi();
    apic_send_self(VECTOR);
    irq_on();
    irq_off();
    (void)expect("NMI beside an interrupt", 2, nmis);
    (void)expect("interrupt beside an NMI", 1, seen_ip != 0);
    trap_handlers[VECTOR_NMI] = NULL;
}

/* HLT ends by the timer, and not before. */
static void wake(void)
{
    uint32_t ticks = apic_ticks_of_us(3000);
    uint64_t start;

    apic_enable();
    trap_handlers[VECTOR] = note_ip;
    for (unsigned i = 0; i < 3; i++) {
        seen_ip = 0;
        start = now_ticks();
        lapic_set(APIC_LVT_TIMER, VECTOR);
        lapic_set(APIC_TIMER_INITIAL, ticks);
        halt();
        (void)expect_between("HLT for 3 ms, in PM ticks", ticks_of_us(2990), ticks_of_us(60000),
                             now_ticks() - start);
        (void)expect("the handler ran", 1, seen_ip != 0);
    }
    lapic_set(APIC_LVT_TIMER, APIC_MASKED);
}

/* A string instruction goes on after each interrupt where it was. */
static void in_strings(void)
{
    volatile uint32_t *from = mmio32(RAM_SCRATCH), *to = mmio32(RAM_SCRATCH + 0x80000);
    uint32_t before = trap_counts[VECTOR], words = 0x1f000, wrong = 0;
    uint32_t ticks = apic_ticks_of_us(150);

    apic_enable();
    for (uint32_t i = 0; i < words; i++) {
        from[i] = i * 2654435761u;
        to[i] = 0;
    }
    trap_handlers[VECTOR] = note_ip;
    lapic_set(APIC_LVT_TIMER, VECTOR | APIC_PERIODIC);
    lapic_set(APIC_TIMER_INITIAL, ticks);
    irq_on();
    for (unsigned i = 0; i < 20 || (trap_counts[VECTOR] - before < 5 && i < 5000); i++)
        memcpy((void *)(uintptr_t)to, (const void *)(uintptr_t)from, words * 4);
    irq_off();
    lapic_set(APIC_LVT_TIMER, APIC_MASKED);
    lapic_set(APIC_TIMER_INITIAL, 0);
    for (uint32_t i = 0; i < words; i++)
        wrong += to[i] != i * 2654435761u;
    (void)expect("words that differ", 0, wrong);
    (void)expect_between("interrupts meanwhile", 5, 1000000, trap_counts[VECTOR] - before);
    irq_on();
    irq_off();
}

const struct test interrupt_tests[] = {
    {"interrupt.shadow", shadow},
    {"interrupt.no-shadow", no_shadow},
    {"interrupt.mov-ss", stack_segment},
    {"interrupt.window", window_test},
    {"interrupt.priorities", priorities},
    {"interrupt.nested", nested},
    {"interrupt.paravirtual-end", paravirtual_end},
    {"interrupt.tpr", task_priority},
    {"interrupt.nmi", nmi},
    {"interrupt.halt", wake},
    {"interrupt.strings", in_strings},
    {NULL, NULL},
};
