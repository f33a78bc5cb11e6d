/* SPDX-License-Identifier: ISC */
/*
 * Every way to a reset. What is to be known after it stands in RAM that no reset clears and no image covers;
 * the guest begins anew each time, and goes on with the next way.
 */
#include "tests/guest/body/reset.h"
#include "tests/guest/body/apic.h"

#define MAGIC 0x7e5e7ed5u

struct persistent {
    uint32_t magic, stage;
    uint32_t passed, failed, skipped; /* apart: real mode's compiler copies structures by 16-bit addresses */
};

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    word_t base;
};

static volatile struct persistent *persistent(void)
{
    return (volatile struct persistent *)mmio32(RAM_PERSISTENT);
}

static void triple_fault(void)
{
    struct table_pointer none = {0, 0};

    __asm__ volatile("lidt %0\n int3" : : "m"(none) : "memory");
}

static void port_cf9_soft(void)
{
    out8(0xcf9, 2);
    out8(0xcf9, 6);
}

static void port_cf9_full(void)
{
    out8(0xcf9, 0xe);
}

static void port_92(void)
{
    out8(0x92, in8(0x92) & 0xfe);
    out8(0x92, in8(0x92) | 1);
}

static void wait_8042(void)
{
    while (in8(0x64) & 2)
        ;
}

static void pulse_8042(void)
{
    wait_8042();
    out8(0x64, 0xfe);
}

static void output_port_8042(void)
{
    wait_8042();
    out8(0x64, 0xd1);
    wait_8042();
    out8(0x60, 0xde);
}

static void init_ipi(void)
{
    lapic_set(APIC_ICR_HIGH, lapic_get(APIC_ID));
    lapic_set(APIC_ICR, 0x4500);
}

/* The register that the FADT names (ACPI 5.2.9). */
static uint32_t acpi_table(uint32_t address, uint32_t offset)
{
    return *mmio32(address + offset);
}

static uint32_t find_rsdp(void)
{
    for (uint32_t at = 0xe0000; at < 0x100000; at += 16)
        if (acpi_table(at, 0) == 0x20445352 && acpi_table(at, 4) == 0x20525450)
            return at;
    return 0;
}

/* By the RSDT, or by the XSDT where there is none. */
static uint32_t find_fadt(void)
{
    uint32_t rsdp = find_rsdp(), step = 4, tables = rsdp ? acpi_table(rsdp, 16) : 0;

    if (rsdp && !tables) {
        tables = acpi_table(rsdp, 24);
        step = 8;
    }
    for (uint32_t at = 36; tables && at < acpi_table(tables, 4); at += step)
        if (acpi_table(acpi_table(tables, at), 0) == 0x50434146)
            return acpi_table(tables, at);
    return 0;
}

/* Offered, and in an I/O port (space 1). */
static bool has_acpi_register(void)
{
    uint32_t fadt = find_fadt();

    return fadt && acpi_table(fadt, 112) & 1u << 10 && (acpi_table(fadt, 116) & 0xff) == 1;
}

static void acpi_register(void)
{
    uint32_t fadt = find_fadt();

    if (has_acpi_register())
        out8((uint16_t)acpi_table(fadt, 120), (uint8_t)acpi_table(fadt, 128));
}

/* As Linux does it with reboot=b. */
static void real_vector(void)
{
    __asm__ volatile(".byte 0xea, 0x00, 0x00, 0xff, 0xff");
}

static const struct test ways[] = {
    {"reset.triple-fault", triple_fault},
    {"reset.port-cf9", port_cf9_soft},
    {"reset.port-cf9-full", port_cf9_full},
    {"reset.port-92", port_92},
    {"reset.8042-pulse", pulse_8042},
    {"reset.8042-output-port", output_port_8042},
    {"reset.init", init_ipi},
    {"reset.acpi", acpi_register},
    {"reset.vector", real_vector}, /* the last: only real mode has it */
};

#define WAYS (sizeof ways / sizeof ways[0] - (IS_REAL ? 0 : 1))

/* What a guest leaves behind, and what a reset must not leave. */
static void disturb(void)
{
    apic_enable();
    lapic_set(APIC_TPR, 0x70);
    *mmio32(IOAPIC_BASE) = 0x10 + 2 * 5;
    *mmio32(IOAPIC_BASE + 0x10) = 0x55;
}

static void is_clean(void)
{
    *mmio32(IOAPIC_BASE) = 0x10 + 2 * 5;
    (void)expect("mask of the I/O APIC's pin 5", APIC_MASKED, *mmio32(IOAPIC_BASE + 0x10) & APIC_MASKED);
    (void)expect("TPR", 0, lapic_get(APIC_TPR));
    (void)expect("APIC's base", 0xfee00900u, rdmsr(MSR_APIC_BASE));
}

static void did_nothing(void)
{
    if (ways[persistent()->stage - 1].run == acpi_register && !has_acpi_register())
        test_skip("the FADT offers no register");
    else
        (void)expect("a reset", 1, 0);
}

bool reset_continues(void)
{
    volatile struct persistent *p = persistent();

    if (p->magic != MAGIC || p->stage == 0 || p->stage > WAYS)
        return false;
    counts.passed = p->passed;
    counts.failed = p->failed;
    counts.skipped = p->skipped;
    test_run(&(struct test){ways[p->stage - 1].name, is_clean});
    return true;
}

void reset_tests(void)
{
    volatile struct persistent *p = persistent();
    uint32_t stage = p->magic == MAGIC ? p->stage : 0;

    for (; stage < WAYS; stage++) {
        p->passed = counts.passed;
        p->failed = counts.failed;
        p->skipped = counts.skipped;
        p->stage = stage + 1;
        p->magic = MAGIC;
        disturb();
        ways[stage].run();
        wait_us(50000);
        test_run(&(struct test){ways[stage].name, did_nothing});
    }
    p->magic = 0;
}
