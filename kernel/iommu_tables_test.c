/* SPDX-License-Identifier: ISC */
/* IVRS and DMAR as firmware writes them, cut off at every byte, and what the two kinds of IOMMU are given to
 * read. */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/amdvi.h"
#include "kernel/iommu_tables.h"
#include "kernel/vtd.h"

static uint8_t table[512];
static size_t bytes;

static void put(uint64_t value, unsigned count)
{
    for (; count--; value >>= 8)
        table[bytes++] = (uint8_t)value;
}

static void begin(void)
{
    memset(table, 0, sizeof(table));
    bytes = 48;
}

static bool covers(const struct iommu_tables *tables, unsigned id)
{
    return tables->covered[id / 8] & 1u << id % 8;
}

/* In memory of just that length, so that reading beyond is seen. */
static void read_cut(struct iommu_tables *tables, size_t length,
                     void (*function)(struct iommu_tables *, const uint8_t *, size_t))
{
    uint8_t *copy = malloc(length);

    assert_non_null(copy);
    memcpy(copy, table, length);
    memset(tables, 0, sizeof(*tables));
    function(tables, copy, length);
    free(copy);
}

static void make_ivrs(void)
{
    begin();
    put(0x10, 1), put(0, 1), put(24 + 9 * 4 + 2 * 8, 2); /* IVHD with nine entries of 4 bytes, two of 8 */
    put(2, 2), put(0x40, 2), put(0xfed80000, 8), put(0, 2), put(0, 2), put(0, 4);
    put(2, 1), put(0x10, 2), put(0, 1);                                   /* one */
    put(3, 1), put(0x20, 2), put(0, 1);                                   /* first ... */
    put(4, 1), put(0x27, 2), put(0, 1);                                   /* ... last */
    put(0, 4);                                                            /* padding */
    put(66, 1), put(0x30, 2), put(0, 2), put(0x108, 2), put(0, 1);        /* alias */
    put(72, 1), put(0, 2), put(0, 1), put(5, 1), put(0xa0, 2), put(1, 1); /* IOAPIC 5 */
    put(2, 1), put(0x40, 2), put(0, 1), put(2, 1), put(0x41, 2), put(0, 1), put(2, 1), put(0x42, 2),
        put(0, 1);
    put(2, 1), put(0x43, 2), put(0, 1), put(2, 1), put(0xffff, 2), put(0, 1);
    put(0x22, 1), put(1, 1), put(32, 2), put(0x10, 2), put(0x17, 2), put(0, 8), put(0x7f000000, 8),
        put(0x20000, 8);
}

static void ivrs(void **state)
{
    struct iommu_tables tables;

    (void)state;
    make_ivrs();
    read_cut(&tables, bytes, iommu_tables_ivrs);
    assert_int_equal(tables.vendor, IOMMU_AMD);
    assert_int_equal(tables.units, 1);
    assert_int_equal(tables.registers[0], 0xfed80000);
    assert_true(covers(&tables, 0x10) && !covers(&tables, 0x11) && !covers(&tables, 0x1f) &&
                covers(&tables, 0x20));
    assert_true(covers(&tables, 0x27) && !covers(&tables, 0x28) && covers(&tables, 0x30) &&
                covers(&tables, 0x108));
    assert_true(covers(&tables, 0xa0) && covers(&tables, 0xffff) && !covers(&tables, 0));
    assert_int_equal(tables.last_device, 0xffff);
    assert_int_equal(tables.ioapics, 1);
    assert_int_equal(tables.ioapic[0].ioapic, 5);
    assert_int_equal(tables.ioapic[0].device, 0xa0);
    assert_int_equal(tables.unities, 1);
    assert_int_equal(tables.unity[0].base, 0x7f000000);
    assert_int_equal(tables.unity[0].length, 0x20000);
    assert_int_equal(tables.unity[0].first, 0x10);
    assert_int_equal(tables.unity[0].last, 0x17);
    assert_false(tables.truncated);
}

/* A block of a type, for the unit that is device `id`, before one device. */
static void put_ivhd(unsigned type, unsigned id, uint64_t registers, unsigned device)
{
    put(type, 1), put(0, 1), put((type == 0x10 ? 24 : 40) + 4, 2);
    put(id, 2), put(0x40, 2), put(registers, 8), put(0, 2), put(0, 2), put(0, type == 0x10 ? 4 : 20);
    put(2, 1), put(device, 2), put(0, 1);
}

/* Of the types that describe a unit the highest counts, whatever their order, and for each unit by itself. */
static void ivhd_types(void **state)
{
    static const uint8_t orders[][3] = {{0x10, 0x11, 0x40}, {0x40, 0x11, 0x10}, {0x11, 0x40, 0x10}};
    struct iommu_tables tables;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        begin();
        for (unsigned j = 0; j < 3; j++)
            put_ivhd(orders[i][j], 2, 0xfed80000, 0x100u + orders[i][j]);
        put_ivhd(0x11, 0x102, 0xfed84000, 0x211);
        put_ivhd(0x10, 0x102, 0xfed84000, 0x210);
        put_ivhd(0x10, 0x202, 0xfed88000, 0x310);
        put_ivhd(0x41, 0x202, 0xfed8c000, 0x341); /* not known */
        put_ivhd(0x10, 0x202, 0xfed88000, 0x311); /* one more block of the same type */
        read_cut(&tables, bytes, iommu_tables_ivrs);
        assert_int_equal(tables.units, 3);
        assert_int_equal(tables.registers[0], 0xfed80000);
        assert_int_equal(tables.registers[1], 0xfed84000);
        assert_int_equal(tables.registers[2], 0xfed88000);
        assert_true(covers(&tables, 0x140) && covers(&tables, 0x211) && covers(&tables, 0x310) &&
                    covers(&tables, 0x311));
        assert_false(covers(&tables, 0x110) || covers(&tables, 0x111) || covers(&tables, 0x210) ||
                     covers(&tables, 0x341));
        assert_false(tables.truncated);
    }
    begin();
    for (unsigned i = 0; i < 9; i++)
        put_ivhd(0x11, i << 8 | 2, 0xfed80000 + i * 0x4000, i);
    read_cut(&tables, bytes, iommu_tables_ivrs);
    assert_true(tables.truncated);
}

/* Entries of 16 and 32 bytes and those that ACPI names are stepped over; the last ones count. */
static void ivhd_long_entries(void **state)
{
    struct iommu_tables tables;

    (void)state;
    begin();
    put(0x40, 1), put(0, 1), put(40 + 16 + 32 + 22 + 5 + 4, 2), put(2, 2), put(0x40, 2), put(0xfed80000, 8),
        put(0, 24);
    put(130, 1), put(0x50, 2), put(0, 13);
    put(193, 1), put(0x51, 2), put(0, 29);
    put(240, 1), put(0xa5, 2), put(0, 1), put(0x4d41, 8), put(0, 8), put(2, 1), put(5, 1), put(0x5f, 5);
    put(2, 1), put(0x60, 2), put(0, 1);
    read_cut(&tables, bytes, iommu_tables_ivrs);
    assert_int_equal(tables.units, 1);
    assert_true(covers(&tables, 0xa5) && covers(&tables, 0x60));
    assert_false(covers(&tables, 0x50) || covers(&tables, 0x51));
    for (size_t i = 48; i < bytes; i++) { /* blocks that end anywhere, in an entry, too */
        table[50] = (uint8_t)(i - 48);
        read_cut(&tables, i, iommu_tables_ivrs);
    }
}

/* RMRRs of devices behind bridges, of another segment, of none, and such as are none. */
static void unities(void **state)
{
    struct iommu_tables tables;

    (void)state;
    begin();
    put(1, 2), put(24 + 8, 2), put(0, 2), put(0, 2), put(0x7e000000, 8), put(0x7e00ffff, 8);
    put(2, 1), put(8, 1), put(0, 2), put(0, 1), put(0, 1), put(0x1d, 1), put(0, 1); /* a bridge */
    put(1, 2), put(24 + 8, 2), put(0, 2), put(1, 2), put(0x7d000000, 8), put(0x7d00ffff, 8);
    put(1, 1), put(8, 1), put(0, 2), put(0, 1), put(0, 1), put(0x1d, 1), put(0, 1);
    put(1, 2), put(24, 2), put(0, 2), put(0, 2), put(0x7c000000, 8), put(0x7c00ffff, 8);
    put(1, 2), put(24, 2), put(0, 2), put(0, 2), put(0x7c000000, 8), put(0x7bffffff, 8);
    put(1, 2), put(24, 2), put(0, 2), put(0, 2), put(0x7c000000, 8), put(0x7b000000, 8);
    put(1, 2), put(24, 2), put(0, 2), put(0, 2), put(0, 8), put(UINT64_MAX, 8);
    read_cut(&tables, bytes, iommu_tables_dmar);
    assert_int_equal(tables.unities, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(tables.unity[i].base, 0x7e000000 - i * 0x1000000);
        assert_int_equal(tables.unity[i].length, 0x10000);
        assert_true(tables.unity[i].first > tables.unity[i].last); /* no device is given them */
    }
}

static void make_dmar(unsigned units)
{
    begin();
    for (unsigned i = 0; i < units; i++) {
        put(0, 2), put(16 + 24, 2), put(i == 1, 1), put(0, 1), put(0, 2), put(0xfed90000 + i * 0x1000, 8);
        put(3, 1), put(8, 1), put(0, 2), put(2, 1), put(0xf0, 1), put(0x1f, 1), put(0, 1); /* IOAPIC 2 */
        put(1, 1), put(8, 1), put(0, 2), put(0, 1), put(1, 1), put(2, 1), put(3, 1);       /* 01:02.3 */
        put(1, 1), put(8, 1), put(0, 2), put(0, 1), put(0, 1), put(0x1f, 1), put(2, 1);    /* 00:1f.2 */
    }
    put(1, 2), put(24 + 8, 2), put(0, 2), put(0, 2), put(0x7e000000, 8), put(0x7e00ffff, 8);
    put(1, 1), put(8, 1), put(0, 2), put(0, 1), put(0, 1), put(0x1d, 1), put(0, 1);
}

static void dmar(void **state)
{
    struct iommu_tables tables;

    (void)state;
    make_dmar(1);
    read_cut(&tables, bytes, iommu_tables_dmar);
    assert_int_equal(tables.vendor, IOMMU_INTEL);
    assert_int_equal(tables.units, 1);
    assert_true(covers(&tables, 0x113) && covers(&tables, 0xfa) && !covers(&tables, 0));
    assert_int_equal(tables.ioapic[0].ioapic, 2);
    assert_int_equal(tables.ioapic[0].device, 0xf0f8);
    assert_int_equal(tables.unities, 1);
    assert_int_equal(tables.unity[0].length, 0x10000);
    assert_int_equal(tables.unity[0].first, 0x1d << 3);
    make_dmar(2); /* the second one stands before all */
    read_cut(&tables, bytes, iommu_tables_dmar);
    assert_int_equal(tables.units, 2);
    assert_true(covers(&tables, 0) && covers(&tables, 0xffff));
    make_dmar(9);
    read_cut(&tables, bytes, iommu_tables_dmar);
    assert_true(tables.truncated);
}

/* Cut off anywhere, and every byte once 0 and once 255: no more is read than there is, and it ends. */
static void nonsense(void **state)
{
    static struct iommu_tables tables;

    (void)state;
    for (unsigned kind = 0; kind < 2; kind++) {
        for (size_t i = 48; i < 250; i++) {
            kind ? make_dmar(3) : make_ivrs();
            read_cut(&tables, i < bytes ? i : bytes, kind ? iommu_tables_dmar : iommu_tables_ivrs);
            table[i] = 0;
            read_cut(&tables, bytes, kind ? iommu_tables_dmar : iommu_tables_ivrs);
            table[i] = 0xff;
            read_cut(&tables, bytes, kind ? iommu_tables_dmar : iommu_tables_ivrs);
        }
    }
}

/* The specifications' bits, written out. */
static void encodings(void **state)
{
    const uint64_t event[2] = {0x2000000000000108, 0x1234567000};
    struct amdvi_device refused = amdvi_device_refused(0x5000);
    uint64_t address;
    uint16_t device;

    (void)state;
    assert_int_equal(refused.word[0], 0x5803);
    assert_int_equal(refused.word[2], 1);
    assert_int_equal(amdvi_device_translation(0x5000), 0x6000000000005803);
    assert_int_equal(amdvi_device_interrupts(0x6400), 0x2000000000006411);
    assert_int_equal(amdvi_interrupt(0x51, 3), 0x510301);
    assert_int_equal(amdvi_completion_wait(0x7008, 9).word[0], 0x1000000000007009);
    assert_int_equal(amdvi_completion_wait(0x7008, 9).word[1], 9);
    assert_int_equal(amdvi_invalidate_device(0x108).word[0], 0x2000000000000108);
    assert_int_equal(amdvi_invalidate_domain(7).word[0], 0x3000000700000000);
    assert_int_equal(amdvi_invalidate_domain(7).word[1], 0x7ffffffffffff003);
    assert_int_equal(amdvi_invalidate_interrupts(0x108).word[0], 0x5000000000000108);
    assert_true(amdvi_event(event, &device, &address));
    assert_int_equal(device, 0x108);
    assert_int_equal(address, 0x1234567000);
    assert_int_equal(vtd_root(0x5000).low, 0x5001);
    assert_int_equal(vtd_context(0x5000, 3, 7).low, 0x5001);
    assert_int_equal(vtd_context(0x5000, 3, 7).high, 0x701);
    assert_int_equal(vtd_context(0x5000, 4, 7).high, 0x702);
    assert_int_equal(vtd_interrupt(0x108, 0x51, 3, true).low, 0x30000510011);
    assert_int_equal(vtd_interrupt(0x108, 0x51, 3, true).high, 0x40108);
    assert_int_equal(vtd_message(0x51), 0xfee00a30);
    assert_int_equal(vtd_invalidate_context(0x108, 7).low, 0x10800070031);
    assert_int_equal(vtd_invalidate_domain(7).low, 0x700e2);
    assert_int_equal(vtd_invalidate_interrupt(0x51).low, 0x5100000014);
    assert_int_equal(vtd_wait(0x7008, 9).low, 0x900000025);
    assert_int_equal(vtd_wait(0x7008, 9).high, 0x7008);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ivrs),      cmocka_unit_test(ivhd_types), cmocka_unit_test(ivhd_long_entries),
        cmocka_unit_test(unities),   cmocka_unit_test(dmar),       cmocka_unit_test(nonsense),
        cmocka_unit_test(encodings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
