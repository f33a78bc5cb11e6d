/* SPDX-License-Identifier: ISC */
/* Capabilities in an OBJ space. See cap.h. */
#include "kernel/cap.h"

#include "kernel/account.h"
#include "kernel/space.h"

enum status cap_prepare(struct space *space, uint64_t selector)
{
    struct cap **leaf;

    if (selector >= OBJ_SELECTORS)
        return STATUS_BAD_ARG;
    if (space->object.dead)
        return STATUS_DEAD;
    leaf = &space->obj.table[selector / CAPS_PER_LEAF];
    if (!*leaf)
        *leaf = account_page(space->object.account);
    if (!*leaf)
        return STATUS_NO_MEMORY;
    if (selector / CAPS_PER_LEAF >= space->obj.leaves)
        space->obj.leaves = selector / CAPS_PER_LEAF + 1;
    return (*leaf)[selector % CAPS_PER_LEAF].word ? STATUS_EXISTS : STATUS_OK;
}

void cap_insert(struct space *space, uint64_t selector, struct object *object, unsigned permissions,
                uint64_t bits)
{
    struct cap *cap = &space->obj.table[selector / CAPS_PER_LEAF][selector % CAPS_PER_LEAF];

    object_reference(object);
    cap->bits = bits;
    __atomic_store_n(&cap->word, cap_word(object, permissions),
                     __ATOMIC_RELEASE); /* others look without a lock */
}

void cap_remove(struct space *space, uint64_t selector)
{
    struct cap *leaf = selector < OBJ_SELECTORS ? space->obj.table[selector / CAPS_PER_LEAF] : NULL;
    struct cap *cap;
    struct object *object;

    if (!leaf || !leaf[selector % CAPS_PER_LEAF].word)
        return;
    cap = &leaf[selector % CAPS_PER_LEAF];
    object = cap_object(cap->word);
    __atomic_store_n(&cap->word, 0, __ATOMIC_RELEASE);
    object_release(object);
}

bool cap_clear(struct space *space)
{
    uint64_t leaf = space->obj.clear / CAPS_PER_LEAF;

    for (; leaf < space->obj.leaves; leaf++)
        if (space->obj.table[leaf])
            break;
    if (leaf >= space->obj.leaves)
        return true;
    for (uint64_t i = 0; i < CAPS_PER_LEAF; i++)
        cap_remove(space, leaf * CAPS_PER_LEAF + i);
    object_free_page(space->obj.table[leaf]);
    space->obj.table[leaf] = NULL;
    space->obj.clear = (leaf + 1) * CAPS_PER_LEAF;
    return false;
}
