/* SPDX-License-Identifier: ISC */
/* KVM's hypercalls: who gets an interrupt, who is woken, and what is refused. */
#include "vmm/cpu/test_bench.h"

#define CPUS 4u

enum { KICK = 5, SEND = 10 };
enum { ENOSYS = -1000, EPERM = -1, EINVAL = -22 };

static void several(struct bench *bench)
{
    bench->machine.cpus = CPUS;
    for (unsigned i = 0; i < CPUS; i++) {
        struct machine_cpu *cpu = &bench->machine.cpu[i];
        const struct lapic_config config = {.cpu = i, .bsp = i == 0, .x2apic = true, .tsc_khz = 1000000};

        cpu->number = (uint8_t)i;
        cpu->machine = &bench->machine;
        lapic_init(&cpu->lapic, &config, &bench->machine.cpu[0].lapic.link);
        bench->machine.lapics[i] = &cpu->lapic;
        assert_true(lapic_msr_write(&cpu->lapic, MSR_APIC_BASE, cpu->lapic.base | APIC_BASE_EXTD, 0));
        assert_true(lapic_msr_write(&cpu->lapic, 0x80f, 0x1ff, 0));
    }
}

static int64_t call(struct bench *bench, uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    uint64_t *gpr = bench->state.gpr;

    gpr[VCPU_RAX] = number;
    gpr[VCPU_RBX] = a;
    gpr[VCPU_RCX] = b;
    gpr[VCPU_RDX] = c;
    gpr[VCPU_RSI] = d;
    bench->state.rip = CODE;
    assert_true(leave(bench, VCPU_EXIT_HYPERCALL, 0, CODE + 3));
    assert_int_equal(bench->state.rip, CODE + 3);
    return vcpu_is_64bit(&bench->state) ? (int64_t)gpr[VCPU_RAX] : (int32_t)gpr[VCPU_RAX];
}

/* Which processors have the vector, which is taken away. */
static unsigned got(struct bench *bench, unsigned vector)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < CPUS; i++) {
        uint64_t *irr = &bench->machine.cpu[i].lapic.irr[vector / 64];

        mask |= (unsigned)(*irr >> vector % 64 & 1) << i;
        *irr &= ~(1ull << vector % 64);
    }
    return mask;
}

static void test_interrupts(void **state)
{
    struct bench *bench = *state;

    several(bench);
    assert_int_equal(call(bench, SEND, 0xa, 0, 0, 0x51), 2);
    assert_int_equal(got(bench, 0x51), 0xa);
    assert_int_equal(call(bench, SEND, 0xf, 0, 1, 0x51), 3); /* there is no fifth */
    assert_int_equal(got(bench, 0x51), 0xe);
    assert_int_equal(call(bench, SEND, 0, UINT64_MAX, 0, 0x51), 0);
    bench->machine.cpu[1].lapic.id = 33;
    assert_int_equal(call(bench, SEND, 1ull << 33, 2, 0, 0x51), 1); /* 32 bits a word */
    assert_int_equal(got(bench, 0x51), 2);
    assert_int_equal(call(bench, SEND, 1u << 2, 0, 0, 0x400), 1);
    assert_true(bench->machine.cpu[2].nmi);
    for (unsigned mode = 0; mode < 8; mode++)
        assert_int_equal(call(bench, SEND, 1, 0, 0, mode << 8 | 0x51), mode == 0 || mode == 4 ? 1 : EINVAL);
    assert_int_equal(call(bench, SEND, 1, 0, 0, 0x80051), EINVAL); /* shorthand */
    assert_int_equal(call(bench, SEND, 1, 0, 0, 0x851), EINVAL);   /* logical */
}

static void test_64_bits(void **state)
{
    struct bench *bench = *state;

    several(bench);
    bench->state.efer = X86_EFER_LMA;
    bench->state.cs.attributes |= X86_SEGMENT_LONG;
    bench->machine.cpu[1].lapic.id = 65;
    bench->machine.cpu[2].lapic.id = 33;
    assert_int_equal(call(bench, SEND, 1ull << 33, 2, 0, 0x51), 2); /* 64 bits a word */
    assert_int_equal(got(bench, 0x51), 6);
    assert_int_equal(call(bench, 1ull << 32 | SEND, 1, 0, 0, 0x51), ENOSYS);
}

/* 0xffffffff is no APIC ID, and none comes after it: nobody is reached, by any of the 128 bits, in either
 * mode. */
static void test_no_broadcast(void **state)
{
    struct bench *bench = *state;

    several(bench);
    for (unsigned wide = 0; wide < 2; wide++) {
        bench->state.efer = wide ? X86_EFER_LMA : 0;
        bench->state.cs.attributes =
            (uint16_t)((bench->state.cs.attributes & ~X86_SEGMENT_LONG) | (wide ? X86_SEGMENT_LONG : 0));
        for (unsigned bit = 0; bit < (wide ? 128 : 64); bit++) {
            uint64_t low = bit < (wide ? 64 : 32) ? 1ull << bit : 0;
            uint64_t high = low ? 0 : 1ull << (bit - (wide ? 64 : 32));

            assert_int_equal(call(bench, SEND, low, high, UINT32_MAX - bit, 0x51), 0);
            assert_int_equal(call(bench, SEND, low, high, UINT32_MAX - bit, 0x400), 0);
            assert_int_equal(call(bench, SEND, low, high, UINT32_MAX - bit + 1, 0x51), bit ? 0 : 1);
            assert_int_equal(got(bench, 0x51), bit ? 0 : 1);
        }
        assert_int_equal(call(bench, SEND, UINT64_MAX, UINT64_MAX, UINT32_MAX - 2, 0x51), 0);
        assert_int_equal(call(bench, KICK, 0, UINT32_MAX, 0, 0), 0);
    }
    assert_int_equal(got(bench, 0x51), 0);
    for (unsigned i = 0; i < CPUS; i++)
        assert_false(bench->machine.cpu[i].nmi || bench->machine.cpu[i].kicked);
}

/* A kick ends the HLT that waits, or the next one, and none twice; who waits for a STARTUP stays. */
static void test_kicks(void **state)
{
    struct bench *bench = *state;

    several(bench);
    assert_int_equal(call(bench, KICK, 0, 0, 0, 0), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(leave(bench, VCPU_EXIT_HLT, 0, CODE + 4));
        vcpu_inject(&bench->vcpu);
        assert_int_equal(bench->state.activity, i ? VCPU_HALTED : VCPU_ACTIVE);
    }
    assert_int_equal(call(bench, KICK, 0, 2, 0, 0), 0);
    assert_true(bench->machine.cpu[2].kicked && bench->machine.cpu[2].attention);
    assert_int_equal(call(bench, KICK, 0, 77, 0, 0), 0);
    bench->state.activity = VCPU_HALTED;
    assert_int_equal(call(bench, KICK, 0, 0, 0, 0), 0);
    bench->machine.cpu[0].startup = STARTUP_WAITS;
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->state.activity, VCPU_HALTED);
    bench->machine.cpu[0].startup = 0;
    vcpu_inject(&bench->vcpu);
    assert_int_equal(bench->state.activity, VCPU_ACTIVE);
}

static void test_refused(void **state)
{
    struct bench *bench = *state;

    assert_int_equal(call(bench, KICK, 0, 0, 0, 0), ENOSYS); /* one processor */
    several(bench);
    assert_int_equal(call(bench, 0, 0, 0, 0, 0), ENOSYS);
    assert_int_equal(call(bench, 11, 0, 0, 0, 0), ENOSYS);
    bench->state.ss.attributes |= 0x60;
    assert_int_equal(call(bench, SEND, 1, 0, 0, 0x51), EPERM);
    assert_int_equal(got(bench, 0x51), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_interrupts), TEST(test_64_bits), TEST(test_no_broadcast),
        TEST(test_kicks),      TEST(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
