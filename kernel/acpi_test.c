/* SPDX-License-Identifier: ISC */
/* The kernel's tables are found by XSDT or RSDT, whichever there is. They lie in low memory, as at boot. */
#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/boot.h"
#include "kernel/acpi.h"
#include "kernel/ioapic.h"
#include "kernel/print.h"

#define BASE 0x10000000ul
#define RSDP (BASE + 0x100)
#define XSDT (BASE + 0x200)
#define RSDT (BASE + 0x300)
#define MADT (BASE + 0x400)
#define DMAR (BASE + 0x500)

void ioapic_add(uint8_t id, uint64_t physical, uint32_t gsi)
{
    (void)id, (void)physical, (void)gsi;
}

uint32_t ioapic_gsis(void)
{
    return 0;
}

void panic(const char *format, ...)
{
    (void)format;
    mock_assert(0, "panic", __FILE__, __LINE__);
    __builtin_unreachable();
}

static void put(uint64_t at, uint64_t value, size_t bytes)
{
    memcpy((void *)at, &value, bytes);
}

static void sum(uint64_t at, unsigned bytes, unsigned place)
{
    uint8_t *p = (uint8_t *)at, total = 0;

    p[place] = 0;
    for (unsigned i = 0; i < bytes; i++)
        total = (uint8_t)(total + p[i]);
    p[place] = (uint8_t)-total;
}

static void table(uint64_t at, const char *signature, unsigned bytes)
{
    memcpy((void *)at, signature, 4);
    put(at + 4, bytes, 4);
    sum(at, bytes, 9);
}

/* Which of the two lists has the MADT and the DMAR; the other one has nothing. */
static void machine(bool xsdt, bool rsdt)
{
    memset((void *)BASE, 0, 0x1000);
    memcpy((void *)RSDP, "RSD PTR ", 8);
    put(RSDP + 15, 2, 1);
    put(RSDP + 16, RSDT, 4);
    put(RSDP + 20, 36, 4);
    put(RSDP + 24, XSDT, 8);
    put(MADT + 36, 0xfee00000, 4);
    put(MADT + 44, 0x0100030200000800, 8); /* a processor: APIC ID 2 */
    put(MADT + 46, 2, 1), put(MADT + 47, 2, 1), put(MADT + 48, 1, 4);
    table(MADT, "APIC", 52);
    put(DMAR + 48, 1, 2), put(DMAR + 50, 24, 2), put(DMAR + 56, 0x7c000000, 8), put(DMAR + 64, 0x7c00ffff, 8);
    table(DMAR, "DMAR", 72);
    put(XSDT + 36, xsdt ? MADT : 0, 8), put(XSDT + 44, xsdt ? DMAR : 0, 8);
    table(XSDT, "XSDT", 52);
    put(RSDT + 36, rsdt ? MADT : 0, 4), put(RSDT + 40, rsdt ? DMAR : 0, 4);
    table(RSDT, "RSDT", 44);
}

static void found(void)
{
    static struct acpi_platform platform;
    struct boot_info info = {.acpi_rsdp = RSDP};

    memset(&platform, 0, sizeof(platform));
    acpi_unities(&info, &platform.iommu);
    assert_int_equal(info.unities, 1);
    assert_int_equal(info.unity[0].base, 0x7c000000);
    assert_int_equal(info.unity[0].length, 0x10000);
    acpi_init(&info, &platform);
    assert_int_equal(platform.processors, 1);
    assert_int_equal(platform.apic_ids[0], 2);
    assert_int_equal(info.acpi_rsdp, RSDP);
}

static void either_list(void **state)
{
    (void)state;
    machine(true, true);
    found();
    machine(true, false);
    found();
    put(RSDP + 16, 0, 4); /* no RSDT */
    found();
    put(RSDP + 16, 0xfffffff0, 4); /* out of reach */
    found();
    machine(false, true);
    found();
    put(RSDP + 24, 0, 8); /* no XSDT */
    found();
    put(RSDP + 24, XSDT + (4ul << 30), 8);
    found();
    machine(true, true);
    put(XSDT + 9, ~*(uint8_t *)(XSDT + 9), 1); /* its sum is wrong */
    found();
    machine(true, true);
    put(XSDT + 4, UINT32_MAX, 4);
    found();
    machine(false, true);
    put(RSDP + 15, 0, 1); /* before revision 2 there is none: these bytes are another's */
    put(RSDP + 24, 0x123456789abcdef0, 8);
    found();
}

static void neither_list(void **state)
{
    static struct acpi_platform platform;
    struct boot_info info = {.acpi_rsdp = RSDP};

    (void)state;
    machine(false, false);
    acpi_unities(&info, &platform.iommu);
    assert_int_equal(info.unities, 0);
    expect_assert_failure(acpi_init(&info, &platform));
    put(RSDP + 16, 0, 4), put(RSDP + 24, 0, 8);
    expect_assert_failure(acpi_init(&info, &platform));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(either_list),
        cmocka_unit_test(neither_list),
    };

    if (mmap((void *)BASE, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
             -1, 0) != (void *)BASE)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
