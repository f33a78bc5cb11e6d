/* SPDX-License-Identifier: ISC */
/* The kernel's address space. See memory.h and layout.h. */
#include "kernel/memory.h"

#include "abi/boot.h"
#include "kernel/account.h"
#include "kernel/arch.h"
#include "kernel/cpu.h"
#include "kernel/layout.h"
#include "kernel/pagetable.h"
#include "kernel/print.h"
#include "kernel/smp.h"
#include <string.h>

#define ENTRIES      512
#define POOL_DEFAULT (16ul << 20)
#define BOOT_LIMIT   (4ul << 30) /* boot.S maps no more */

extern char image_start[], text_start[], text_end[], rodata_end[], image_end[], boot_cpu_stack_guard[];

#define L4_INDEX(address) ((address) >> 39 & (ENTRIES - 1))
#define L3_INDEX(address) ((address) >> 30 & (ENTRIES - 1))
_Static_assert(L4_INDEX(POOL_BASE) == L4_INDEX(KERNEL_OFFSET) &&
                   L4_INDEX(DEVICE_BASE) == L4_INDEX(KERNEL_OFFSET),
               "image, pool and devices share one entry of the root");

typedef uint64_t page_table[ENTRIES] __attribute__((aligned(PAGE_SIZE)));

/* The kernel's tables: image in 4 KiB pages, each section with its rights; pool in 2 MiB pages; devices. */
static page_table root, l3, pool_l2, image_l2, image_l1, device_l2, device_l1, cpu_l2, cpu_l1;

/* What nobody may map: the kernel's image and pool, and devices. */
static struct {
    uint64_t first, last; /* page numbers, inclusive */
} taken[MEMORY_DEVICES + 2];
static unsigned takens, devices;

static void take(uint64_t base, uint64_t bytes)
{
    taken[takens].first = base / PAGE_SIZE;
    taken[takens++].last = (base + bytes - 1) / PAGE_SIZE;
}

bool memory_may_be_mapped(uint64_t page, uint64_t count)
{
    uint64_t limit = (cpu_features.physical_mask + 1) / PAGE_SIZE;

    if (!count || page >= limit || count > limit - page)
        return false;
    for (unsigned i = 0; i < takens; i++)
        if (page <= taken[i].last && page + count - 1 >= taken[i].first)
            return false;
    return true;
}

static uint64_t image_physical(const void *address)
{
    return (uint64_t)address - KERNEL_OFFSET;
}

/* Entries for the image's section from `first` to `last`. */
static void map_section(const char *first, const char *last, uint64_t bits)
{
    for (const char *p = first; p < last; p += PAGE_SIZE)
        image_l1[(uint64_t)p / PAGE_SIZE % ENTRIES] = image_physical(p) | PTE_PRESENT | PTE_GLOBAL | bits;
}

/* The highest place below 4 GiB that holds `bytes`, aligned to 2 MiB, in RAM without image, modules and the
 * first MiB. 0: none. */
static uint64_t find_place(const struct boot_info *info, uint64_t bytes)
{
    uint64_t best = 0;

    for (uint32_t r = 0; r < info->regions; r++) {
        uint64_t base = info->region[r].base, end = base + info->region[r].length, place;

        if (info->region[r].type != BOOT_REGION_RAM)
            continue;
        if (end > BOOT_LIMIT)
            end = BOOT_LIMIT;
        if (base < image_physical(image_end))
            base = image_physical(image_end);
        for (place = (end - bytes) & ~(LARGE_SIZE - 1ul); end >= bytes && place >= base;) {
            bool free = true;

            for (uint32_t m = 0; m < info->modules; m++) {
                uint64_t module = info->module[m].base;

                if (module >= place + bytes || module + info->module[m].length <= place)
                    continue;
                free = false;
                if (module < bytes) {
                    place = 0;
                    break;
                }
                place = (module - bytes) & ~(LARGE_SIZE - 1ul);
                break;
            }
            if (free)
                break;
        }
        if (end >= bytes && place >= base && place > best)
            best = place;
    }
    return best;
}

static uint64_t ram_bytes(const struct boot_info *info)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < info->regions; i++)
        if (info->region[i].type == BOOT_REGION_RAM)
            sum += info->region[i].length;
    return sum;
}

static void region_add(struct boot_info *info, uint64_t base, uint64_t end, uint64_t type)
{
    if (base >= end)
        return;
    if (info->regions == BOOT_REGIONS)
        panic("the memory map has more than %u regions", BOOT_REGIONS);
    info->region[info->regions++] = (struct boot_region){base, end - base, type};
}

/* Cut a range out of the RAM it lies in. */
static void region_cut(struct boot_info *info, uint64_t base, uint64_t bytes)
{
    for (uint32_t i = 0, regions = info->regions; i < regions; i++) {
        struct boot_region *region = &info->region[i];
        uint64_t end = region->base + region->length;

        if (region->type != BOOT_REGION_RAM || base >= end || base + bytes <= region->base)
            continue;
        region->length = base > region->base ? base - region->base : 0;
        region_add(info, base + bytes, end, BOOT_REGION_RAM);
    }
}

static void region_keep(struct boot_info *info, uint64_t base, uint64_t bytes, enum boot_region_type type)
{
    region_cut(info, base, bytes);
    region_add(info, base, base + bytes, type);
}

#define RSDP_BYTES 36u

/* Firmware's maps overlap at times: what is not RAM by any entry is not RAM, nor is what a device uses all
 * the time. */
static void regions_settle(struct boot_info *info)
{
    for (uint32_t i = 0; i < info->regions; i++)
        if (info->region[i].type != BOOT_REGION_RAM)
            region_cut(info, info->region[i].base, info->region[i].length);
    for (uint32_t i = 0; i < info->unities; i++)
        region_cut(info, info->unity[i].base, info->unity[i].length);
}

/* The loader's copy may lie in RAM, in the same page as a module even: it gets a page of its own. */
static void rsdp_move(struct boot_info *info, uint64_t page)
{
    if (!info->acpi_rsdp)
        return;
    memcpy((void *)page, (const void *)info->acpi_rsdp, RSDP_BYTES);
    info->acpi_rsdp = page;
    region_keep(info, page, PAGE_SIZE, BOOT_REGION_ACPI);
}

void memory_init(struct boot_info *info)
{
    uint64_t bytes = (POOL_DEFAULT + ram_bytes(info) / 100 + LARGE_SIZE - 1) & ~(LARGE_SIZE - 1ul);
    uint64_t pool;

    if (bytes > POOL_MAX)
        bytes = POOL_MAX;
    regions_settle(info);
    pool = find_place(info, bytes + PAGE_SIZE);
    if (!pool)
        panic("no room for %u MiB of kernel memory below 4 GiB", (unsigned)(bytes >> 20));
    rsdp_move(info, pool + bytes);

    map_section(text_start, text_end, 0);
    map_section(text_end, rodata_end, PTE_NX);
    map_section(rodata_end, image_end, PTE_NX | PTE_WRITE);
    image_l1[(uint64_t)boot_cpu_stack_guard / PAGE_SIZE % ENTRIES] = 0;
    image_l2[image_physical(image_start) / LARGE_SIZE] = image_physical(image_l1) | PTE_PRESENT | PTE_WRITE;
    l3[L3_INDEX(KERNEL_OFFSET)] = image_physical(image_l2) | PTE_PRESENT | PTE_WRITE;
    l3[L3_INDEX(DEVICE_BASE)] = image_physical(device_l2) | PTE_PRESENT | PTE_WRITE;
    device_l2[0] = image_physical(device_l1) | PTE_PRESENT | PTE_WRITE;
    for (uint64_t i = 0; i < bytes / LARGE_SIZE; i++)
        pool_l2[i] = (pool + i * LARGE_SIZE) | PTE_PRESENT | PTE_WRITE | PTE_LARGE | PTE_GLOBAL | PTE_NX;
    l3[L3_INDEX(POOL_BASE)] = image_physical(pool_l2) | PTE_PRESENT | PTE_WRITE;
    l3[L3_INDEX(CPU_BASE)] = image_physical(cpu_l2) | PTE_PRESENT | PTE_WRITE;
    cpu_l2[0] = image_physical(cpu_l1) | PTE_PRESENT | PTE_WRITE;

    root[L4_INDEX(KERNEL_OFFSET)] = image_physical(l3) | PTE_PRESENT | PTE_WRITE;
    /* For as long as the boot code reads physical memory: its own one-to-one mapping. */
    root[0] = *(uint64_t *)(read_cr3() & PTE_ADDRESS);
    write_cr3(image_physical(root));

    take(image_physical(image_start), (uint64_t)(image_end - image_start));
    take(pool, bytes);
    pool_init(pool, bytes);
    region_keep(info, image_physical(image_start), (uint64_t)(image_end - image_start), BOOT_REGION_KERNEL);
    region_keep(info, pool, bytes, BOOT_REGION_KERNEL);
}

void memory_drop_identity(void)
{
    root[0] = 0;
    write_cr3(image_physical(root));
}

uint64_t memory_kernel_root(void)
{
    return image_physical(root);
}

void memory_kernel_half(uint64_t *table)
{
    memcpy(table + ENTRIES / 2, root + ENTRIES / 2, PAGE_SIZE / 2);
}

#define CPU_PAGES       (CPU_AREA / PAGE_SIZE)
#define CPU_STACK_PAGES (KERNEL_STACK_SIZE / PAGE_SIZE)

_Static_assert(sizeof(struct cpu) <= CPU_AREA - KERNEL_STACK_SIZE - PAGE_SIZE, "a page has to stay empty");
_Static_assert(CPUS *CPU_PAGES <= ENTRIES, "the areas fit one page table");

void *memory_map_cpu(unsigned number)
{
    for (unsigned i = 0; i < CPU_PAGES; i++) {
        void *page = i == CPU_PAGES - CPU_STACK_PAGES - 1 ? NULL : pool_reserve();

        if (page)
            cpu_l1[number * CPU_PAGES + i] =
                physical_address(page) | PTE_PRESENT | PTE_WRITE | PTE_GLOBAL | PTE_NX;
        else if (i != CPU_PAGES - CPU_STACK_PAGES - 1)
            return NULL;
    }
    return (char *)CPU_BASE + (uint64_t)number * CPU_AREA;
}

#define LOW_FIRST 0x1000u
#define LOW_LAST  0x9e000u

static bool is_free_ram(const struct boot_info *info, uint64_t base)
{
    bool ram = false;

    for (uint32_t i = 0; i < info->regions; i++) {
        const struct boot_region *region = &info->region[i];

        if (region->type == BOOT_REGION_RAM && base >= region->base &&
            base + PAGE_SIZE <= region->base + region->length)
            ram = true;
    }
    for (uint32_t i = 0; i < info->modules; i++)
        if (base < info->module[i].base + info->module[i].length && info->module[i].base < base + PAGE_SIZE)
            return false;
    return ram;
}

uint64_t memory_low_page(const struct boot_info *info)
{
    for (uint64_t base = LOW_LAST; base >= LOW_FIRST; base -= PAGE_SIZE)
        if (is_free_ram(info, base))
            return base;
    return 0;
}

volatile void *memory_map_device(uint64_t physical)
{
    uint64_t page = physical & ~(PAGE_SIZE - 1ul);
    unsigned slot = 0;

    while (slot < devices && (device_l1[slot] & PTE_ADDRESS) != page)
        slot++;
    if (slot == MEMORY_DEVICES)
        panic("more than %u device pages", MEMORY_DEVICES);
    if (slot == devices) {
        device_l1[slot] = page | PTE_PRESENT | PTE_WRITE | PTE_PCD | PTE_PWT | PTE_NX;
        devices++;
        take(page, PAGE_SIZE);
    }
    return (volatile char *)DEVICE_BASE + slot * PAGE_SIZE + physical % PAGE_SIZE;
}

void memory_devices(struct boot_info *info)
{
    while (info->devices < devices) {
        info->device[info->devices] = device_l1[info->devices] & PTE_ADDRESS;
        info->devices++;
    }
}
