/* SPDX-License-Identifier: ISC */
/*
 * A state page full of nonsense: each word of it set to each value that some check may turn on, one by one,
 * from a guest in real mode and one in 64-bit mode, then many at a time at random. The state runs or is
 * refused; the kernel, the monitor (we), the vCPU itself and a second VM go on as if nothing had been.
 */
#include "tests/kernel/tests.h"

#include "abi/vcpu.h"

#include <string.h>

#define GUEST_PAGES 16u
#define GUEST_RAM   64u  /* index of the first page of a guest's memory */
#define OTHER_RAM   128u /* of the second one's */
#define CODE        0x1000u
#define COUNTER     0x3000u
#define TABLES      0x8000u /* of the guest in 64-bit mode */
#define HANDLER     0x2000u
#define STEPS       100u
#define RANDOM      2000u
#define EFER_LME    0x100u
#define CR0_PE      1u
#define CR0_PG      0x80000000u
#define CR4_PAE     0x20u
#define SS_DPL      0x60u
#define MODES       2u /* of the good state */
#define WORDS       (sizeof(struct vcpu_state) / sizeof(uint64_t))

struct machine {
    selector gst, vcpu, nt;
    volatile struct vcpu_state *state;
    uint8_t *memory;
};
static struct machine victim, other;
static uint64_t image[WORDS]; /* of the victim's state: good */
static uint64_t refused, ran, strange, wrong, rounds, counted;

static const uint8_t code_hlt[] = {0xf4, 0xeb, 0xfd}; /* 1: hlt; jmp 1b */
static const uint8_t code_count[] = {
    0xb9, STEPS, 0x00,       /* 1: mov $STEPS, %cx */
    0xff, 0x06,  0x00, 0x30, /* 2: incw (COUNTER) */
    0xe2, 0xfa,              /* loop 2b */
    0xf4, 0xeb,  0xf4,       /* hlt; jmp 1b */
};

static struct vcpu_segment segment(uint16_t attributes, uint32_t limit)
{
    return (struct vcpu_segment){.attributes = attributes, .limit = limit};
}

static enum status run(const struct machine *machine, uint64_t ticks)
{
    uint64_t bits;

    return vcpu_run(machine->vcpu, machine->nt, now() + ticks, &bits);
}

static void load(const struct machine *machine, const uint8_t *code, size_t bytes)
{
    uint64_t *tables = (uint64_t *)(machine->memory + TABLES);

    memset(machine->memory, 0, GUEST_PAGES * PAGE);
    memcpy(machine->memory + CODE, code, bytes);
    machine->memory[HANDLER] = 0xcf; /* iret */
    for (unsigned vector = 0; vector < 256; vector++)
        machine->memory[4 * vector + 1] = HANDLER >> 8;
    tables[0] = (TABLES + PAGE) | 3;
    tables[PAGE / 8] = (TABLES + 2 * PAGE) | 3;
    tables[2 * PAGE / 8] = 0x83; /* 2 MiB one to one */
}

static void real_mode(volatile struct vcpu_state *s)
{
    s->cs = segment(0x9b, 0xffff);
    s->ss = s->ds = s->es = segment(0x93, 0xffff);
    s->idtr = (struct vcpu_segment){.limit = 0x3ff};
    s->rip = CODE;
    s->rflags = 2;
    s->gpr[VCPU_RSP] = 0x7000;
    s->dirty = VCPU_CS_SS | VCPU_DS_ES | VCPU_RIP | VCPU_TABLES;
}

static void long_mode(volatile struct vcpu_state *s)
{
    real_mode(s);
    s->cs = segment(0x29b, 0xffffffff);
    s->ss = s->ds = s->es = segment(0xc93, 0xffffffff);
    s->cr0 = 0x80000011;
    s->cr3 = TABLES;
    s->cr4 = 0x20;
    s->efer = 0x500;
    s->dirty |= VCPU_CR | VCPU_EFER;
}

static struct machine machine_create(unsigned ram, uint64_t state, const uint8_t *code, size_t bytes)
{
    struct machine machine = {.gst = fresh(),
                              .vcpu = fresh(),
                              .nt = notification(),
                              .state = (volatile struct vcpu_state *)state,
                              .memory = ram_map(ram)};

    OK(create_space(machine.gst, ROOT_ACCOUNT, SPACE_GST, 0));
    OK(space_copy(ROOT_MEM, ram_page(ram), machine.gst, 0, GUEST_PAGES, MEM_READ | MEM_WRITE | MEM_EXECUTE));
    OK(create_vcpu(machine.vcpu, ROOT_ACCOUNT, ROOT_PD, machine.gst, state));
    load(&machine, code, bytes);
    for (unsigned exit = 0; exit < VCPU_EXITS; exit++)
        machine.state->want[exit] = VCPU_GROUPS;
    return machine;
}

/* The second VM counts on, and has the registers it had. */
static bool other_is_well(void)
{
    volatile struct vcpu_state *s = other.state;

    s->gpr[VCPU_RBX] = 0x1111222233334444 + counted;
    s->gpr[15] = ~counted;
    s->rip = CODE;
    s->dirty |= VCPU_RIP;
    if (run(&other, milliseconds(1000)) != STATUS_OK || s->exit != VCPU_EXIT_HLT)
        return false;
    counted += STEPS;
    return *(volatile uint16_t *)(other.memory + COUNTER) == (uint16_t)counted &&
           s->gpr[VCPU_RBX] == 0x1111222233334444 + counted - STEPS && s->gpr[15] == ~(counted - STEPS) &&
           s->cr0 == 0x60000010 && s->cs.base == 0 && s->rip == CODE + 9;
}

static void restore(void)
{
    for (unsigned i = 0; i < WORDS; i++)
        ((volatile uint64_t *)victim.state)[i] = image[i];
    victim.state->dirty = VCPU_GROUPS;
    victim.state->activity = VCPU_ACTIVE;
}

static void begin(unsigned mode)
{
    victim = machine_create(GUEST_RAM, STATE_PAGE, code_hlt, sizeof(code_hlt));
    other = machine_create(OTHER_RAM, STATE_PAGE + PAGE, code_count, sizeof(code_count));
    refused = ran = strange = wrong = rounds = counted = 0;
    (mode ? long_mode : real_mode)(victim.state);
    EXPECT_STATUS(run(&victim, milliseconds(1000)), STATUS_OK);
    EXPECT(victim.state->exit, VCPU_EXIT_HLT);
    for (unsigned i = 0; i < WORDS; i++)
        image[i] = ((volatile uint64_t *)victim.state)[i];
    real_mode(other.state);
    EXPECT(other_is_well(), true);
}

/* Two states that no processor minds are kept out, because QEMU 7.2 does not go on from them. When a guest
 * exits with LME, without PG and without PAE, the host's CR0 is not loaded; and a guest in real mode that is
 * not at level 0 and faults again and again is not always left for an interrupt of the host. */
static void spare_the_emulator(volatile struct vcpu_state *s)
{
    if ((s->efer & EFER_LME) && !(s->cr0 & CR0_PG) && !(s->cr4 & CR4_PAE))
        s->efer &= ~(uint64_t)EFER_LME;
    if (!(s->cr0 & CR0_PE))
        s->ss.attributes &= (uint16_t)~SS_DPL;
}

/* The state as it is now; whatever comes of it. */
static void round_run(void)
{
    enum status status;

    spare_the_emulator(victim.state);
    status = run(&victim, milliseconds(1) / 50);

    if (status == STATUS_OK && victim.state->exit == VCPU_EXIT_INVALID_STATE)
        refused++;
    else if (status == STATUS_OK || status == STATUS_TIMEOUT)
        ran++;
    else
        strange++;
    wrong += !other_is_well();
    rounds++;
}

static void recovers(void)
{
    load(&victim, code_hlt, sizeof(code_hlt));
    restore();
    wrong += run(&victim, milliseconds(1000)) != STATUS_OK || victim.state->exit != VCPU_EXIT_HLT ||
             victim.state->rip != CODE;
}

static void word_set(unsigned word, uint64_t value)
{
    restore();
    ((volatile uint64_t *)victim.state)[word] = value;
    round_run();
}

static void each_word(unsigned mode)
{
    static const uint64_t edges[] = {
        0,          UINT64_MAX,        0x7fffffffffff, 0x800000000000, 0xffff7fffffffffff, 0xffff800000000000,
        0xffffffff, 0x80000000ffffffff};

    begin(mode);
    for (unsigned word = 0; word < WORDS; word++) {
        for (unsigned i = 0; i < COUNT(edges); i++)
            word_set(word, edges[i]);
        for (unsigned bit = 0; bit < 64; bit++) {
            word_set(word, 1ull << bit);
            word_set(word, image[word] ^ 1ull << bit);
        }
        recovers();
        if (wrong || strange) {
            expect("word of the state page", word, WORDS);
            break;
        }
    }
    EXPECT(wrong, 0);
    EXPECT(strange, 0);
    expect_range("refused", refused, rounds / 20, rounds);
    expect_range("run", ran, rounds / 20, rounds);
    say("ktest: %u states refused, %u run", refused, ran);
}

static void one_by_one_real(void)
{
    each_word(0);
}

static void one_by_one_long(void)
{
    each_word(1);
}

/* Many words at a time; some rounds with most of the page as it should be, since a state that is nonsense
 * throughout is refused at the first look. */
static void at_random(void)
{
    uint64_t total = parameter("nonsense", RANDOM);

    for (unsigned mode = 0; mode < MODES; mode++) {
        begin(mode);
        for (uint64_t round = 0; round < total / MODES && !wrong && !strange; round++) {
            uint64_t changes = 1 + random() % (round % 16 ? 6 : 200);

            if (round % 4 == 0)
                recovers(); /* groups that are not dirty then are good */
            restore();
            for (uint64_t i = 0; i < changes; i++) {
                volatile uint64_t *field = (volatile uint64_t *)victim.state + random() % WORDS;
                unsigned how = random() % 4;

                *field = how == 0   ? random()
                         : how == 1 ? *field ^ 1ull << random() % 64
                                    : random() >> random() % 64;
            }
            victim.state->dirty = round % 4 ? VCPU_GROUPS : (uint32_t)random();
            if (round % 64)
                victim.state->activity = VCPU_ACTIVE;
            round_run();
        }
        EXPECT(wrong, 0);
        EXPECT(strange, 0);
        expect_range("refused", refused, 1, rounds);
        expect_range("run", ran, 1, rounds);
        say("ktest: %u random states refused, %u run", refused, ran);
        clean();
    }
}

void test_nonsense(void)
{
    static const struct test tests[] = {
        {"nonsense: each word of the state page, real mode", one_by_one_real},
        {"nonsense: each word of the state page, 64-bit mode", one_by_one_long},
        {"nonsense: at random", at_random},
    };

    if (BOOT->features & BOOT_FEATURE_VM)
        run_tests(tests, COUNT(tests));
}
