/* SPDX-License-Identifier: ISC */
/*
 * When an NMI comes that has to wait: behind the IRET of the handler before it, and behind the shadow of STI,
 * MOV SS and POP SS, whatever the instruction there is. What is pushed meanwhile has the guest's own flags.
 */
#include "tests/guest/body/apic.h"
#include "tests/guest/body/pit.h"
#include "tests/guest/body/suites.h"

#define TF            0x100u
#define RF            0x10000u
#define IOAPIC_PIT    2u /* the pin */
#define IOAPIC_NMI    0x400u
#define IOAPIC_MASKED 0x10000u
#define ROUNDS        24u
#define LOOPS         3000000u
#define NOTED         4u

static volatile uint32_t nmis, stop, foreign_flags;
static volatile uint64_t nmi_ip[NOTED], nmi_flags[NOTED];
static struct frame *volatile nmi_frame;

static void send_nmi(void)
{
    lapic_set(APIC_ICR_HIGH, lapic_get(APIC_ID));
    lapic_set(APIC_ICR, 0x4400);
}

static void note(const struct frame *frame)
{
    if (nmis < NOTED) {
        nmi_ip[nmis] = frame->ip;
        nmi_flags[nmis] = frame->flags;
    }
    nmis++;
    stop = 1;
}

static void begin(trap_handler *handler)
{
    apic_enable();
    nmis = 0;
    trap_handlers[VECTOR_NMI] = handler;
}

/* Each but the last sends the next. */
static void note_and_send(struct frame *frame)
{
    note(frame);
    if (nmis < NOTED)
        send_nmi();
}

static void behind_iret(void)
{
    begin(note_and_send);
    send_nmi();
    __asm__ volatile("nop\n nop\n nop\n nop" : : : "memory");
    (void)expect("NMIs", NOTED, nmis);
    for (unsigned i = 1; i < NOTED; i++)
        (void)expect("where the next comes", nmi_ip[0], nmi_ip[i]);
    trap_handlers[VECTOR_NMI] = NULL;
}

/* The IRET sets TF: the next comes before the instruction that is stepped, and with that flag. */
static void note_and_trace(struct frame *frame)
{
    note(frame);
    if (nmis > 1)
        return;
    send_nmi();
    frame->flags |= TF;
}

static volatile uint32_t steps;
static volatile uint64_t step_ip;

static void note_step(struct frame *frame)
{
    steps++;
    step_ip = frame->ip;
    frame->flags &= (__typeof__(frame->flags))~TF;
}

static void behind_iret_that_traces(void)
{
    begin(note_and_trace);
    steps = 0;
    trap_handlers[VECTOR_DB] = note_step;
    send_nmi();
    __asm__ volatile("nop\n nop\n nop\n nop" : : : "memory");
    trap_handlers[VECTOR_DB] = trap_handlers[VECTOR_NMI] = NULL;
    (void)expect("NMIs", 2, nmis);
    (void)expect("where the second comes", nmi_ip[0], nmi_ip[1]);
    (void)expect("TF there", TF, nmi_flags[1] & TF);
    (void)expect("steps", 1, steps);
    (void)expect_between("the step's address", nmi_ip[0] + 1, nmi_ip[0] + 15, step_ip);
}

/* The IRET faults, since the selector is beyond the table; the fault's handler mends that. */
static uint16_t right_selector;
static volatile uint64_t fault_flags;

static void note_and_spoil(struct frame *frame)
{
    note(frame);
    if (nmis > 1)
        return;
    send_nmi();
    nmi_frame = frame;
    right_selector = (uint16_t)frame->cs;
    frame->cs = 0xfff8;
}

static void mend(struct frame *frame)
{
    fault_flags = frame->flags;
    nmi_frame->cs = right_selector;
}

static void behind_iret_that_faults(void)
{
    uint32_t before = trap_counts[VECTOR_GP];

    begin(note_and_spoil);
    trap_handlers[VECTOR_GP] = mend;
    send_nmi();
    for (unsigned i = 0; i < 100 && nmis < 2; i++)
        (void)in8(0x80);
    trap_handlers[VECTOR_GP] = trap_handlers[VECTOR_NMI] = NULL;
    (void)expect("faults", before + 1, trap_counts[VECTOR_GP]);
    (void)expect("NMIs", 2, nmis);
    (void)expect("TF of the fault", 0, fault_flags & TF);
}

static void redirect(uint32_t low)
{
    *mmio32(IOAPIC_BASE) = 0x11 + 2 * IOAPIC_PIT;
    *mmio32(IOAPIC_BASE + 0x10) = lapic_get(APIC_ID) & 0xff000000u;
    *mmio32(IOAPIC_BASE) = 0x10 + 2 * IOAPIC_PIT;
    *mmio32(IOAPIC_BASE + 0x10) = low;
}

static void note_only(struct frame *frame)
{
    note(frame);
}

/* Of the instruction in the shadow: INT pushes no TF, UD2 none either and goes on behind itself. */
static void note_flags(struct frame *frame)
{
    foreign_flags |= (uint32_t)frame->flags & TF;
    if (frame->vector == VECTOR_UD)
        frame->ip += 2;
}

/* A loop that ends with the NMI; `text` begins with a shadow. */
#define LOOP(name, text)                                                                                     \
    static void name(void)                                                                                   \
    {                                                                                                        \
        word_t loops = LOOPS, flags = 0;                                                                     \
                                                                                                             \
        __asm__ volatile("mov %%ss, %%eax\n 1: " text "\n jne 2f\n dec" W " %0\n jnz 1b\n 2: cli"            \
                         : "+c"(loops), "+d"(flags)                                                          \
                         :                                                                                   \
                         : "eax", "ebx", "memory", "cc");                                                    \
        foreign_flags |= (uint32_t)flags & TF;                                                               \
    }

#define AND_TEST  "\n cmpl $0, stop"
#define SEE_FLAGS "pushf" W "\n pop" W " " RBX "\n or" W " " RBX ", " RDX

LOOP(sti, "cli\n sti" AND_TEST)
LOOP(sti_with_if, "sti" AND_TEST)
LOOP(mov_ss, "mov %%eax, %%ss" AND_TEST)
LOOP(mov_ss_with_if, "sti\n mov %%eax, %%ss" AND_TEST)
LOOP(mov_ss_twice, "mov %%eax, %%ss\n mov %%eax, %%ss" AND_TEST)
LOOP(pushf, "mov %%eax, %%ss\n " SEE_FLAGS AND_TEST)
LOOP(popf, "pushf" W "\n mov %%eax, %%ss\n popf" W AND_TEST)
LOOP(software_interrupt, "mov %%eax, %%ss\n int $0x91" AND_TEST)
LOOP(undefined, "mov %%eax, %%ss\n ud2" AND_TEST)
LOOP(port, "cli\n sti\n inb $0x80, %%al\n mov %%ss, %%eax" AND_TEST)
#if GUEST_MODE == MODE_LONG
#define pop_ss mov_ss
#else
LOOP(pop_ss, "push %%ss\n pop %%ss" AND_TEST)
#endif

/* An NMI some time later. */
static bool arrives(void (*loop)(void), uint32_t after)
{
    begin(note_only);
    stop = 0;
    pit_low();
    redirect(IOAPIC_NMI);
    pit_once(after);
    loop();
    redirect(IOAPIC_MASKED);
    return nmis == 1;
}

static void behind_shadows(void)
{
    static const struct {
        const char *what;
        void (*loop)(void);
    } loops[] = {
        {"in STI", sti},
        {"in STI with IF set", sti_with_if},
        {"in MOV SS", mov_ss},
        {"in MOV SS with IF set", mov_ss_with_if},
        {"in MOV SS twice", mov_ss_twice},
        {"in POP SS", pop_ss},
        {"in MOV SS; PUSHF", pushf},
        {"in MOV SS; POPF", popf},
        {"in MOV SS; INT", software_interrupt},
        {"in MOV SS; UD2", undefined},
        {"in STI; IN", port},
    };

    foreign_flags = 0;
    trap_handlers[0x91] = trap_handlers[VECTOR_UD] = note_flags;
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++) {
        uint32_t round = 0;

        while (round < ROUNDS && arrives(loops[i].loop, 40 + 7 * round))
            round++;
        (void)expect(loops[i].what, ROUNDS, round);
    }
    (void)expect("TF that is not the guest's", 0, foreign_flags);
    trap_handlers[0x91] = trap_handlers[VECTOR_UD] = trap_handlers[VECTOR_NMI] = NULL;
    pit_stop();
}

const struct test nmi_tests[] = {
    {"nmi.iret", behind_iret},
    {"nmi.iret-traces", behind_iret_that_traces},
    {"nmi.iret-faults", behind_iret_that_faults},
    {"nmi.shadow", behind_shadows},
    {NULL, NULL},
};
