/* SPDX-License-Identifier: ISC */
/*
 * CPUID policy against made-up hosts that offer everything (every bit set): what reaches the guest then is
 * exactly what the policy allows, and what a guest must not see is named here a second time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "vmm/cpu/cpuid.h"

struct fake {
    bool intel;
    uint32_t max_basic;
    uint32_t max_extended;
    uint32_t fill;
};

static void fake_host(void *context, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *regs)
{
    const struct fake *fake = context;

    *regs = (struct cpuid_regs){fake->fill, fake->fill, fake->fill, fake->fill};
    if (leaf == 0) {
        static const struct cpuid_regs intel = {0, 0x756e6547, 0x6c65746e, 0x49656e69};
        static const struct cpuid_regs amd = {0, 0x68747541, 0x444d4163, 0x69746e65};

        *regs = fake->intel ? intel : amd;
        regs->eax = fake->max_basic;
    }
    if (leaf == 0x80000000)
        regs->eax = fake->max_extended;
    if (leaf == 0xd && subleaf == 2)
        *regs = (struct cpuid_regs){256, 576, 0, 0};
    if (leaf == 4 || leaf == 0x8000001d) {
        static const uint32_t types[] = {0x121, 0x122, 0x143, 0x163, 0};

        *regs = (struct cpuid_regs){types[subleaf < 4 ? subleaf : 4] | 0xffffc000, 0x01c0003f, 0x3f, 0};
    }
}

static struct fake intel = {true, 0x20, 0x80000008, UINT32_MAX};
static struct fake amd = {false, 0x10, 0x80000021, UINT32_MAX};

static struct cpuid_config config_for(struct fake *fake)
{
    return (struct cpuid_config){2, 6, 7, true, false, true, 0, 0, fake_host, fake};
}

static struct cpuid_regs get(const struct cpuid_config *config, uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_regs regs;

    cpuid_guest(config, leaf, subleaf, 0, 1, &regs);
    return regs;
}

static void vendor_and_range(void **state)
{
    struct cpuid_config i = config_for(&intel), a = config_for(&amd);
    struct fake old = {true, 5, 0x80000004, 0};
    struct cpuid_config o = config_for(&old);

    (void)state;
    assert_int_equal(get(&i, 0, 0).eax, 0xd);
    assert_int_equal(get(&i, 0, 0).ebx, 0x756e6547);
    assert_int_equal(get(&a, 0, 0).ebx, 0x68747541);
    assert_int_equal(get(&i, 0x80000000, 0).eax, 0x80000008);
    assert_int_equal(get(&a, 0x80000000, 0).eax, 0x8000001e);
    assert_int_equal(get(&o, 0, 0).eax, 5);
    assert_int_equal(get(&o, 0x80000000, 0).eax, 0x80000004);
    assert_int_equal(get(&a, 0x14, 0).eax | get(&a, 0x8000001f, 0).eax | get(&a, 0xc0000000, 0).eax, 0);
    assert_int_equal(get(&i, 0x99, 0).eax, get(&i, 0xd, 0).eax); /* Intel: the highest basic leaf */
    assert_int_equal(get(&i, 0x80000009, 0).ecx, get(&i, 0xd, 0).ecx);
}

static void leaf_1(void **state)
{
    struct cpuid_config c = config_for(&intel);
    struct fake none = {true, 0xd, 0x80000008, 0};
    struct cpuid_config n = config_for(&none);
    struct cpuid_regs regs = get(&c, 1, 0);

    (void)state;
    assert_int_equal(regs.ebx >> 24, 2);
    assert_int_equal(regs.ebx >> 16 & 0xff, 6);
    /* MONITOR, VMX, SMX, EST, SDBG, PDCM, OSXSAVE; ACPI, DS, TM, PBE */
    assert_int_equal(regs.ecx & (1u << 3 | 1u << 5 | 1u << 6 | 1u << 7 | 1u << 11 | 1u << 15 | 1u << 27), 0);
    assert_int_equal(regs.edx & (1u << 21 | 1u << 22 | 1u << 29 | 1u << 31), 0);
    assert_int_equal(regs.ecx >> 31, 1);
    assert_true(regs.ecx & 1u << 21 && regs.ecx & 1u << 24 && regs.edx & 1u << 28);
    cpuid_guest(&c, 1, 0, CPUID_CR4_OSXSAVE, 1, &regs);
    assert_true(regs.ecx & 1u << 27);
    c.x2apic = false;
    c.cpus = 1;
    c.xcr0 = 3;
    cpuid_guest(&c, 1, 0, CPUID_CR4_OSXSAVE, 1, &regs);
    assert_int_equal(regs.ecx & (1u << 21 | 1u << 28 | 1u << 12 | 1u << 29), 0);
    assert_true(regs.ecx & 1u << 26 && regs.ecx & 1u << 27);
    assert_int_equal(regs.edx & 1u << 28, 0);
    c.xcr0 = 0;
    cpuid_guest(&c, 1, 0, CPUID_CR4_OSXSAVE, 1, &regs);
    assert_int_equal(regs.ecx & (1u << 26 | 1u << 27), 0);
    regs = get(&n, 1, 0); /* a host with nothing: only what we emulate */
    assert_true(regs.ecx == (1u << 31 | 1u << 24 | 1u << 21));
    assert_true(regs.edx == 1u << 28);
}

static void leaf_7(void **state)
{
    struct cpuid_config c = config_for(&intel);
    struct cpuid_regs regs = get(&c, 7, 0);

    (void)state;
    assert_int_equal(regs.eax, 0);
    /* SGX, HLE, RTM, PQM, MPX, PQE, AVX512F, PT; PKU, WAITPKG, LA57; SPEC_CTRL, ARCH_CAPABILITIES */
    assert_int_equal(regs.ebx & (1u << 2 | 1u << 4 | 1u << 11 | 1u << 12 | 1u << 14 | 1u << 15 | 1u << 16),
                     0);
    assert_int_equal(regs.ebx & 1u << 25, 0);
    assert_int_equal(regs.ecx & (1u << 3 | 1u << 5 | 1u << 16), 0);
    assert_int_equal(regs.edx & (1u << 26 | 1u << 29), 0);
    assert_true(regs.ebx & 1u << 5 && regs.ebx & 1u << 7 && regs.ebx & 1u << 20);
    c.spec_ctrl = true;
    c.xcr0 = 3;
    regs = get(&c, 7, 0);
    assert_true(regs.edx & 1u << 26);
    assert_int_equal(regs.ebx & 1u << 5, 0);
    regs = get(&c, 7, 1);
    assert_int_equal(regs.eax | regs.ebx | regs.ecx | regs.edx, 0);
}

static void xsave(void **state)
{
    struct cpuid_config c = config_for(&intel);
    struct cpuid_regs regs;

    (void)state;
    cpuid_guest(&c, 0xd, 0, 0, 1, &regs);
    assert_int_equal(regs.eax, 7);
    assert_int_equal(regs.edx, 0);
    assert_int_equal(regs.ebx, 576);
    assert_int_equal(regs.ecx, 832);
    cpuid_guest(&c, 0xd, 0, 0, 7, &regs);
    assert_int_equal(regs.ebx, 832);
    cpuid_guest(&c, 0xd, 1, 0, 7, &regs);
    assert_int_equal(regs.eax, 7);   /* no XSAVES */
    assert_int_equal(regs.ebx, 832); /* of XSAVEC */
    assert_int_equal(regs.ecx, 0);
    cpuid_guest(&c, 0xd, 1, 0, 3, &regs);
    assert_int_equal(regs.ebx, 576);
    assert_int_equal(get(&c, 0xd, 2).eax, 256);
    assert_int_equal(get(&c, 0xd, 3).eax, 0);
    c.xcr0 = 3;
    assert_int_equal(get(&c, 0xd, 0).ecx, 576);
    assert_int_equal(get(&c, 0xd, 2).eax, 0);
    c.xcr0 = 0;
    assert_int_equal(get(&c, 0xd, 0).eax, 0);
}

static void topology(void **state)
{
    struct cpuid_config i = config_for(&intel), a = config_for(&amd);

    (void)state;
    assert_int_equal(get(&i, 0xb, 0).ebx, 1);
    assert_int_equal(get(&i, 0xb, 0).ecx, 0x100);
    assert_int_equal(get(&i, 0xb, 1).eax, 3);
    assert_int_equal(get(&i, 0xb, 1).ebx, 6);
    assert_int_equal(get(&i, 0xb, 1).ecx, 0x201);
    assert_int_equal(get(&i, 0xb, 7).ecx, 7);
    assert_int_equal(get(&i, 0xb, 7).edx, 2);
    assert_int_equal(get(&i, 4, 0).eax, 7u << 26 | 0x121);
    assert_int_equal(get(&i, 4, 3).eax, 7u << 26 | 7u << 14 | 0x163);
    assert_int_equal(get(&i, 4, 4).eax, 0);
    assert_int_equal(get(&i, 4, 4).ebx, 0);
    assert_int_equal(get(&a, 0x8000001d, 3).eax, 7u << 14 | 0x163);
    assert_int_equal(get(&a, 0x8000001e, 0).eax, 2);
    assert_int_equal(get(&a, 0x8000001e, 0).ebx, 2);
    assert_int_equal(get(&a, 0x80000008, 0).ecx, 3u << 12 | 5);
    assert_int_equal(get(&i, 0x80000008, 0).eax, 0xffff);
}

static void extended(void **state)
{
    struct cpuid_config a = config_for(&amd);
    struct cpuid_regs regs = get(&a, 0x80000001, 0);

    (void)state;
    /* SVM, EXTAPIC, IBS, SKINIT, WDT, LWP, PERFCTR, MWAITX */
    assert_int_equal(regs.ecx & (1u << 2 | 1u << 3 | 1u << 10 | 1u << 12 | 1u << 13 | 1u << 15 | 3u << 23),
                     0);
    assert_int_equal(regs.ecx & 1u << 29, 0);
    assert_true(regs.ecx & 2);
    assert_true(regs.edx & 1u << 29 && regs.edx & 1u << 20 && regs.edx & 1u << 11);
    a.cpus = 1;
    assert_int_equal(get(&a, 0x80000001, 0).ecx & 2, 0);
    regs = get(&a, 0x80000007, 0);
    assert_int_equal(regs.eax | regs.ebx | regs.ecx, 0);
    assert_int_equal(regs.edx, 0x100);
    regs = get(&a, 0x8000000a, 0);
    assert_int_equal(regs.eax | regs.ebx | regs.ecx | regs.edx, 0);
    assert_int_equal(get(&a, 5, 0).ecx | get(&a, 0xa, 0).eax, 0);
    assert_int_equal(get(&a, 6, 0).eax, 4);
}

static void hypervisor(void **state)
{
    struct cpuid_config c = config_for(&amd);
    struct cpuid_regs regs = get(&c, 0x40000000, 0);

    (void)state;
    assert_int_equal(regs.eax, 0x40000001);
    assert_memory_equal(&regs.ebx, "KVMKVMKVM\0\0\0", 12);
    regs = get(&c, 0x40000001, 0);
    assert_int_equal(regs.eax, c.cpus > 1 ? 0x010008cb : 0x0100004b);
    assert_int_equal(regs.ebx | regs.ecx | regs.edx, 0);
    c.cpus = 1;
    assert_int_equal(get(&c, 0x40000001, 0).eax, 0x0100004b);
    regs = get(&c, 0x40000100, 0);
    assert_int_equal(regs.eax, 0x40000100);
    assert_memory_equal(&regs.ebx, "DonjonDonjon", 12);
    regs = get(&c, 0x40000002, 0);
    assert_int_equal(regs.eax | regs.ebx | regs.ecx | regs.edx, 0);
}

/* The frequencies: in kHz for all, as Intel has them where the host is Intel's. The product is computed as
 * Linux does it, in 32 bits. */
static void frequencies(void **state)
{
    static const uint32_t khz[] = {1,       266666,  500000,  999999,  1000000, 1000001, 1193182, 1999997,
                                   2000000, 2100000, 2593905, 2904123, 3000300, 3400007, 3999999, 5700001};
    struct fake small = {true, 0xb, 0x80000008, UINT32_MAX};
    struct cpuid_config hosts[] = {config_for(&intel), config_for(&small), config_for(&amd)};

    (void)state;
    for (unsigned i = 0; i < sizeof(hosts) / sizeof(hosts[0]) * (sizeof(khz) / sizeof(khz[0])); i++) {
        struct cpuid_config *c = &hosts[i % 3];
        struct cpuid_regs regs;
        uint32_t product;

        c->tsc_khz = khz[i / 3];
        c->apic_khz = 1000000;
        assert_int_equal(get(c, 0x40000000, 0).eax, 0x40000010);
        regs = get(c, 0x40000010, 0);
        assert_int_equal(regs.eax, c->tsc_khz);
        assert_int_equal(regs.ebx, 1000000);
        assert_int_equal(regs.ecx | regs.edx, 0);
        regs = get(c, 0x15, 0);
        if (i % 3 == 2) { /* AMD */
            assert_int_equal(get(c, 0, 0).eax, 0xd);
            assert_int_equal(regs.eax | regs.ebx | regs.ecx | regs.edx, 0);
            continue;
        }
        assert_int_equal(get(c, 0, 0).eax, 0x16);
        assert_true(regs.eax && regs.ebx && regs.edx == 0);
        product = regs.ecx / 1000 * regs.ebx / regs.eax;
        assert_in_range(product, c->tsc_khz - c->tsc_khz / 500000, c->tsc_khz + c->tsc_khz / 500000);
        assert_in_range(regs.ecx / 1000, 1000000 - 250, 1000000 + 250);
        regs = get(c, 0x16, 0);
        assert_int_equal(regs.eax, c->tsc_khz / 1000);
        assert_int_equal(regs.ebx, c->tsc_khz / 1000);
        assert_int_equal(regs.ecx, 100);
        assert_int_equal(get(c, 0x14, 0).eax | get(c, 0xe, 0).ebx | get(c, 0x13, 0).ecx, 0);
        assert_int_equal(get(c, 0x99, 0).eax, regs.eax); /* beyond the last */
    }
    assert_int_equal(get(&hosts[1], 7, 0).ebx, get(&hosts[0], 7, 0).ebx);
    assert_int_equal(get(&hosts[1], 0xd, 1).eax, 0); /* the host has no such leaf */
}

/* All that the host has, none of it, and without XSAVE: the bits go with what CPUID says. */
static void control_bits(void **state)
{
    struct fake none = {false, 0x10, 0x80000021, 0};
    struct cpuid_config c = config_for(&amd), n = config_for(&none);

    (void)state;
    assert_int_equal(cpuid_cr4(&c), 0x370fff);
    c.xcr0 = 0;
    assert_int_equal(cpuid_cr4(&c), 0x330fff);
    assert_int_equal(cpuid_cr4(&n), 0x7ff);
    none.fill = 1u << 7; /* SMEP */
    assert_int_equal(cpuid_cr4(&n), 0x1007ff);
    none.fill = 1u << 20; /* SMAP */
    assert_int_equal(cpuid_cr4(&n), 0x2007ff);
    none.fill = 1u << 2; /* UMIP */
    assert_int_equal(cpuid_cr4(&n), 0xfff);
    none.fill = 1u << 0; /* FSGSBASE */
    assert_int_equal(cpuid_cr4(&n), 0x107ff);
    none.fill = 1u << 17; /* PCID */
    assert_int_equal(cpuid_cr4(&n), 0x207ff);
}

static void every_leaf(void **state)
{
    struct fake *fakes[] = {&intel, &amd};

    (void)state;
    for (unsigned f = 0; f < 2; f++) {
        struct cpuid_config c = config_for(fakes[f]);

        for (uint32_t leaf = 0; leaf < 0x100; leaf++)
            for (uint32_t subleaf = 0; subleaf < 70; subleaf++) {
                (void)get(&c, leaf, subleaf);
                (void)get(&c, 0x80000000u + leaf, subleaf);
                (void)get(&c, 0xffffff00u + leaf, subleaf);
            }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(vendor_and_range), cmocka_unit_test(leaf_1),
        cmocka_unit_test(leaf_7),           cmocka_unit_test(xsave),
        cmocka_unit_test(topology),         cmocka_unit_test(extended),
        cmocka_unit_test(hypervisor),       cmocka_unit_test(frequencies),
        cmocka_unit_test(control_bits),     cmocka_unit_test(every_leaf),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
