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
#include "kernel/string.h"

#define ROOT_PRIORITY  (SC_PRIORITIES - 1)
#define ROOT_BUDGET_HZ 100 /* ten milliseconds */

struct elf_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_headers, section_headers;
    uint32_t flags;
    uint16_t size, program_header_size, program_header_count;
};

struct elf_program_header {
    uint32_t type, flags;
    uint64_t offset, address, physical, file_size, memory_size, align;
};

#define ELF_EXEC   2
#define ELF_X86_64 62
#define PT_LOAD    1
#define PF_X       1u
#define PF_W       2u
#define PF_R       4u

static _Noreturn void refuse(const struct boot_module *module, const char *expected)
{
    panic("boot module \"%s\" cannot be the root task: %s", module->name, expected);
}

static void map(struct space *hst, const struct boot_module *module, uint64_t address, uint64_t physical,
                uint64_t bytes, unsigned rights)
{
    uint64_t bits = pagetable_bits(rights);
    struct removal removal = {0}; /* nothing stands there yet */

    for (uint64_t at = 0; at < bytes; at += PAGE_SIZE) {
        if (pagetable_enter(hst->memory.root, hst->object.account, (address + at) / PAGE_SIZE, physical + at,
                            1, bits, &removal) != STATUS_OK)
            refuse(module, "it is larger than the kernel's memory allows");
    }
}

static void load_segment(struct space *hst, const struct boot_module *module,
                         const struct elf_program_header *ph)
{
    unsigned rights = (ph->flags & PF_R ? MEM_READ : 0) | (ph->flags & PF_W ? MEM_WRITE : 0) |
                      (ph->flags & PF_X ? MEM_EXECUTE : 0);

    if (ph->type != PT_LOAD || !ph->memory_size)
        return;
    if (ph->file_size != ph->memory_size)
        refuse(module, "a segment is longer in memory than in the file");
    if (ph->offset > module->length || ph->file_size > module->length - ph->offset)
        refuse(module, "the file is truncated");
    if ((ph->address | ph->offset) % PAGE_SIZE)
        refuse(module, "a segment does not begin at a page");
    if (ph->address >= ROOT_UTCB_ADDRESS || ph->memory_size > ROOT_UTCB_ADDRESS - ph->address)
        refuse(module, "a segment lies outside user memory");
    if (!(rights & (MEM_READ | MEM_EXECUTE)) || ((rights & MEM_WRITE) && (rights & MEM_EXECUTE)))
        refuse(module, "a segment is writable and executable, or neither readable");
    map(hst, module, ph->address, module->base + ph->offset, ph->memory_size, rights);
}

static uint64_t load(struct space *hst, const struct boot_module *module)
{
    const struct elf_header *elf = (const struct elf_header *)module->base;

    if (module->length < sizeof(*elf) || memcmp(elf->ident, "\177ELF\2\1", 6))
        refuse(module, "it is no 64-bit ELF file");
    if (elf->type != ELF_EXEC || elf->machine != ELF_X86_64)
        refuse(module, "it is no x86-64 executable");
    if (module->base % PAGE_SIZE)
        refuse(module, "the boot loader put it not at a page");
    if (elf->program_header_size != sizeof(struct elf_program_header) ||
        elf->program_headers > module->length ||
        elf->program_header_count >
            (module->length - elf->program_headers) / sizeof(struct elf_program_header))
        refuse(module, "the file is truncated");
    if (elf->entry >= ROOT_UTCB_ADDRESS)
        refuse(module, "its entry lies outside user memory");
    for (unsigned i = 0; i < elf->program_header_count; i++)
        load_segment(hst, module,
                     (const struct elf_program_header *)(module->base + elf->program_headers) + i);
    return elf->entry;
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
