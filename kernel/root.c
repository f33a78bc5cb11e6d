/* SPDX-License-Identifier: ISC */
/*
 * The root task. Its ELF file is mapped in place, page by page, so its segments must be page-aligned and have
 * all their bytes in the file (core's linker script sees to it): the kernel needs no loader and no memory for
 * it.
 */
#include "kernel/root.h"

#include "abi/boot.h"
#include "kernel/account.h"
#include "kernel/arch.h"
#include "kernel/cap.h"
#include "kernel/cpu.h"
#include "kernel/ec.h"
#include "kernel/pagetable.h"
#include "kernel/platform.h"
#include "kernel/print.h"
#include "kernel/sched.h"
#include "kernel/space.h"
#include "lib/elf/elf.h"

#define ROOT_PRIORITY  (SC_PRIORITIES - 1)
#define ROOT_BUDGET_HZ 100 /* ten milliseconds */

static _Noreturn void refuse(const struct boot_module *module, const char *expected)
{
    panic("boot module \"%s\" cannot be the root task: %s", module->name, expected);
}

static void map(struct space *hst, const struct boot_module *module, uint64_t address, uint64_t physical,
                uint64_t bytes, unsigned rights)
{
    uint64_t bits = pagetable_bits(rights);
    struct removal removal = {0}; /* nothing stands there yet */

    for (uint64_t at = 0; at < bytes; at += PAGE_SIZE)
        if (pagetable_enter(hst->memory.root, hst->object.account, (address + at) / PAGE_SIZE, physical + at,
                            1, bits, &removal) != STATUS_OK)
            refuse(module, "it is larger than the kernel's memory allows");
}

static void load_segment(struct space *hst, const struct boot_module *module,
                         const struct elf_segment *segment)
{
    if (segment->file_bytes != segment->bytes)
        refuse(module, "a segment is longer in memory than in the file");
    if (segment->skip || segment->offset % PAGE_SIZE)
        refuse(module, "a segment does not begin at a page");
    map(hst, module, segment->address, module->base + segment->offset, segment->bytes,
        MEM_READ | (segment->writable ? MEM_WRITE : 0) | (segment->executable ? MEM_EXECUTE : 0));
}

static uint64_t load(struct space *hst, const struct boot_module *module)
{
    struct elf elf;
    const char *wrong = elf_parse((const void *)module->base, module->length, &elf);

    if (wrong)
        refuse(module, wrong);
    if (module->base % PAGE_SIZE)
        refuse(module, "the boot loader put it not at a page");
    for (unsigned i = 0; i < elf.segments; i++)
        load_segment(hst, module, &elf.segment[i]);
    return elf.entry;
}

/* Memory of the kernel is scarce at boot only if there is almost no RAM at all. */
static void *need(void *object)
{
    if (!object)
        panic("too little kernel memory for the root task");
    return object;
}

static void give(struct space *obj, enum root_selector selector, void *object)
{
    if (cap_prepare(obj, selector) != STATUS_OK)
        panic("too little kernel memory for the root task");
    cap_insert(obj, selector, object, PERM_ALL, UINT64_MAX);
    object_release(object);
}

static struct space *root_space(struct account *account, enum space_kind kind, struct space **place)
{
    struct space *space = need(space_create(account, kind));

    if (place) {
        object_reference(&space->object);
        *place = space;
    }
    return space;
}

void root_create(const struct boot_info *info)
{
    const struct boot_module *module = &info->module[0];
    struct account *account = account_create_root();
    struct pd *pd = need(pd_create(account));
    struct space *obj = root_space(account, SPACE_OBJ, &pd->obj);
    struct space *hst = root_space(account, SPACE_HST, &pd->hst);
    struct boot_info *page = need(account_page(account));
    enum payer payer;
    struct ec *ec;
    struct sc *sc;

    if (!info->modules)
        panic("no boot module: the first one has to be the root task");
    *page = *info;
    if (ec_create(account, pd, EC_GLOBAL, ROOT_UTCB_ADDRESS, 0, load(hst, module), &ec, &payer) != STATUS_OK)
        need(NULL);
    map(hst, module, BOOT_INFO_ADDRESS, physical_address(page), PAGE_SIZE, MEM_READ);
    sc = need(sc_create(account, ec, ROOT_PRIORITY, cpu_features.tsc_hz / ROOT_BUDGET_HZ));
    object_reference(&platform_object);
    object_reference(&account->object);
    give(obj, ROOT_PIO, root_space(account, SPACE_PIO, &pd->pio));
    give(obj, ROOT_MEM, root_space(account, SPACE_MEM, NULL));
    give(obj, ROOT_PORTS, root_space(account, SPACE_PORTS, NULL));
    give(obj, ROOT_MSRS, root_space(account, SPACE_MSRS, NULL));
    give(obj, ROOT_PD, pd);
    give(obj, ROOT_HST, hst);
    give(obj, ROOT_EC, ec);
    give(obj, ROOT_SC, sc);
    give(obj, ROOT_ACCOUNT, account);
    give(obj, ROOT_PLATFORM, &platform_object);
    give(obj, ROOT_OBJ, obj);
}
