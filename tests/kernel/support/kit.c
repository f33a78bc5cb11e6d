/* SPDX-License-Identifier: ISC */
/* An account and what is needed beside it to make an object of each type. See test.h. */
#include "tests/kernel/support/test.h"

#define FREE_GSI 9u

enum status kit_make(const struct kit *kit, enum object_type type, selector target, unsigned number)
{
    uint64_t address = WINDOW + (uint64_t)number * PAGE;

    switch (type) {
    case OBJECT_ACCOUNT:
        return create_account(target, kit->account, 0);
    case OBJECT_PD:
        return create_pd(target, kit->account);
    case OBJECT_SPACE:
        return create_space(target, kit->account, SPACE_GST, 0);
    case OBJECT_EC:
        return create_ec(target, kit->account, kit->pd, address, number % 2 ? EC_FPU : 0, 0, 0x400000);
    case OBJECT_SC:
        return create_sc(target, kit->account, kit->global, 0, SC_BUDGET_MIN);
    case OBJECT_PT:
        return create_pt(target, kit->account, kit->local, 0x400000, 0);
    case OBJECT_NT:
        return create_nt(target, kit->account);
    case OBJECT_INTERRUPT:
        return create_interrupt(target, kit->account, ROOT_PLATFORM, FREE_GSI);
    case OBJECT_VCPU:
        return create_vcpu(target, kit->account, kit->pd, kit->gst, address);
    default:
        return STATUS_BAD_ARG;
    }
}

struct kit kit_create(uint64_t pages)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    struct kit kit = {
        .account = fresh(), .pd = child.pd, .gst = fresh(), .local = fresh(), .global = fresh()};

    OK(create_account(kit.account, ROOT_ACCOUNT, pages));
    OK(create_space(kit.gst, ROOT_ACCOUNT, SPACE_GST, 0));
    OK(create_ec(kit.local, ROOT_ACCOUNT, child.pd, UTCB_BASE, 0, 0, 0x400000));
    OK(create_ec(kit.global, ROOT_ACCOUNT, child.pd, UTCB_BASE + PAGE, EC_GLOBAL, 0, 0x400000));
    /* The tables that state pages and UTCBs need are the space's, not the account's. */
    OK(create_ec(SELECTOR_END - 1, ROOT_ACCOUNT, child.pd, WINDOW, 0, 0, 0x400000));
    OK(destroy(SELECTOR_END - 1));
    OK(space_remove(ROOT_OBJ, SELECTOR_END - 1, 1));
    return kit;
}

bool kit_has(enum object_type type)
{
    return type != OBJECT_VCPU || (BOOT->features & BOOT_FEATURE_VM);
}
