/* SPDX-License-Identifier: ISC */
/*
 * Dataspaces and attachments. A dataspace is in its owner's table of handles; others reach it through a
 * handle that names owner and place, and is in the dataspace's list of shares. Work that grows with the memory
 * is done in steps.
 */
#include "core/core.h"

#include <string.h>

/* What one request does, for others wait for it: */
#define CLEAR_PAGES 48u  /* cleared */
#define STEP_PAGES  103u /* entered one by one, or taken out: a fifth of a large page */
#define STEP_LARGE  64u  /* entered as large pages */

struct handle *handle_memory(struct pd *pd, uint64_t handle, unsigned *rights)
{
    enum handle_kind kind = handle_kind(pd, handle);
    struct handle *found = &pd->handle[kind ? handle : 0];
    *rights = found->rights;
    if (kind == HANDLE_SHARE && !found->closing)
        found = &found->share.owner->handle[found->share.handle];
    return !found->closing &&
                   (found->kind == HANDLE_RAM || found->kind == HANDLE_ROM || found->kind == HANDLE_BAR)
               ? found
               : NULL;
}

unsigned dataspace_shares(const struct pd *owner, unsigned handle)
{
    unsigned count = 0;
    for (const struct handle *share = owner->handle[handle].memory.shares; share; share = share->share.next)
        count++;
    return count;
}

static uint64_t memory_pages(const struct handle *memory)
{
    return (memory->memory.bytes + PAGE - 1) / PAGE;
}

/* The space that an attachment is in. */
static selector attachment_space(const struct pd *pd, unsigned vm)
{
    return vm ? handle_selector(pd, vm) : pd_selector(pd, SEL_HST);
}

static void attachment_free(struct pd *pd, struct attachment *attachment)
{
    struct attachment *end = &pd->attachment[--pd->attachments];
    memmove(attachment, attachment + 1, (size_t)((char *)end - (char *)attachment));
}

/* A step; the place is free when all is out. */
static enum error attachment_drop(struct pd *pd, struct attachment *attachment)
{
    uint64_t left = attachment->to - attachment->from, pages = left < STEP_PAGES ? left : STEP_PAGES;
    enum status status =
        space_remove(attachment_space(pd, attachment->vm), attachment->page + attachment->from, pages);
    (void)status; /* the space has these pages */
    attachment->from += pages;
    if (attachment->from < attachment->to)
        return ERROR_MORE;
    attachment_free(pd, attachment);
    return ERROR_OK;
}

enum error attachments_drop(struct pd *pd, unsigned handle)
{
    bool dropped = false;
    for (unsigned i = 0; i < pd->attachments; i++) {
        if (pd->attachment[i].handle != handle)
            continue;
        if (dropped || attachment_drop(pd, &pd->attachment[i--]) == ERROR_MORE)
            return ERROR_MORE;
        dropped = true;
    }
    return ERROR_OK;
}

enum error dataspace_close(struct pd *pd, unsigned handle)
{
    struct handle *memory = &pd->handle[handle];
    if (attachments_drop(pd, handle) == ERROR_MORE)
        return ERROR_MORE;
    if (memory->kind == HANDLE_SHARE) {
        *memory->share.link = memory->share.next;
        if (memory->share.next)
            memory->share.next->share.link = memory->share.link;
    }
    if (memory->kind != HANDLE_RAM)
        return ERROR_OK;
    struct handle *share = memory->memory.shares;
    if (share) {
        (void)handle_close(share->share.holder, (unsigned)(share - share->share.holder->handle));
        return ERROR_MORE;
    }
    for (unsigned i = 0; i < RUNS; i++)
        pd->ram_used -= memory->memory.run[i].count;
    memory_free(&free_memory, memory->memory.run, RUNS);
    return ERROR_OK;
}

enum error dataspace_create(struct pd *pd, uint64_t bytes, unsigned *result, struct reply *reply)
{
    unsigned index;
    if (bytes == 0 || bytes > UINT64_MAX / 2)
        return ERROR_BAD_ARGUMENT;
    uint64_t pages = (bytes + PAGE - 1) / PAGE;
    enum error error = handle_new(pd, HANDLE_RAM, &index);
    if (error)
        return error;
    struct handle *handle = &pd->handle[index];
    error = ram_charge(pd, pages, reply);
    if (!error && !memory_alloc(&free_memory, pages, handle->memory.run, RUNS)) {
        pd->ram_used -= pages;
        *reply = (struct reply){.word = {pages * PAGE, free_memory.free * PAGE}, .words = 2};
        error = ERROR_NO_RAM;
    }
    if (error) {
        handle->kind = HANDLE_NONE;
        return error;
    }
    handle->rights = MEM_READ | MEM_WRITE | MEM_EXECUTE;
    handle->memory.bytes = pages * PAGE;
    *result = index;
    return dataspace_clear(handle);
}

/* Looks before it writes: memory that nobody has used yet is mostly zero, and an emulator need not come up
 * with it. */
static void page_clear(uint64_t *word)
{
    for (unsigned i = 0; i < PAGE / 8; i += 8)
        if (word[i] | word[i + 1] | word[i + 2] | word[i + 3] | word[i + 4] | word[i + 5] | word[i + 6] |
            word[i + 7]) {
            memset(word, 0, PAGE);
            return;
        }
}

enum error dataspace_clear(struct handle *handle)
{
    uint64_t skip = handle->memory.cleared, left = CLEAR_PAGES;
    for (unsigned i = 0; i < RUNS && left; i++) {
        struct run run = handle->memory.run[i];
        uint64_t from = skip < run.count ? skip : run.count;
        uint64_t count = run.count - from < left ? run.count - from : left;
        for (uint64_t page = run.page + from; page < run.page + from + count; page++)
            page_clear(physical_pointer(page * PAGE));
        handle->memory.cleared += count;
        left -= count;
        skip -= from;
    }
    return handle->memory.cleared * PAGE < handle->memory.bytes ? ERROR_MORE : ERROR_OK;
}

enum error dataspace_share(struct pd *owner, uint64_t handle, struct pd *to, unsigned rights,
                           unsigned *result)
{
    struct handle *own = handle_get(owner, handle, HANDLE_RAM);
    if (!own)
        return ERROR_NOT_FOUND;
    if (own->memory.cleared * PAGE < own->memory.bytes)
        return ERROR_BUSY;
    enum error error = handle_new(to, HANDLE_SHARE, result);
    if (error)
        return error;
    struct handle *share = &to->handle[*result];
    share->rights = (uint8_t)(rights & own->rights);
    share->share.owner = owner;
    share->share.handle = (unsigned)handle;
    share->share.holder = to;
    share->share.next = own->memory.shares;
    share->share.link = &own->memory.shares;
    if (share->share.next)
        share->share.next->share.link = &share->share.next;
    own->memory.shares = share;
    return ERROR_OK;
}

/* An attachment in the same space that has one of the pages; NULL: all free. */
static struct attachment *attachment_overlap(struct pd *pd, unsigned vm, uint64_t page, uint64_t pages)
{
    for (unsigned i = 0; i < pd->attachments; i++) {
        struct attachment *other = &pd->attachment[i];
        if (other->vm == vm && page < other->page + other->pages && other->page < page + pages)
            return other;
    }
    return NULL;
}

/* Where this many pages are free in the own HST space; 0: nowhere. */
static uint64_t attachment_place(const struct pd *pd, uint64_t pages)
{
    uint64_t align = pages >= LARGE_PAGES ? LARGE_PAGES : 1;
    uint64_t page = ATTACH_BASE / PAGE;
    for (unsigned i = 0; i < pd->attachments && pd->attachment[i].vm == 0; i++) {
        const struct attachment *other = &pd->attachment[i];
        if (other->page >= page + pages)
            break;
        if (other->page + other->pages > page)
            page = (other->page + other->pages + align - 1) / align * align;
    }
    return page + pages <= ATTACH_LIMIT / PAGE ? page : 0;
}

/* In its order; NULL: there is no place. */
static struct attachment *attachment_new(struct pd *pd, const struct attachment *wanted)
{
    unsigned i = pd->attachments;
    if (i == pd->places)
        return NULL;
    for (struct attachment *table = pd->attachment;
         i && (table[i - 1].vm > wanted->vm ||
               (table[i - 1].vm == wanted->vm && table[i - 1].page > wanted->page));
         i--)
        table[i] = table[i - 1];
    pd->attachments++;
    pd->attachment[i] = *wanted;
    return &pd->attachment[i];
}

enum error attachment_reserve(struct pd *pd, unsigned handle, uint64_t pages, uint64_t *page)
{
    *page = attachment_place(pd, pages);
    const struct attachment wanted = {.page = *page, .pages = pages, .to = pages, .handle = handle};
    return *page && attachment_new(pd, &wanted) ? ERROR_OK : ERROR_LIMIT;
}

/* How much is entered at one go, where `at` has the bits of source and place: as many pages of one size as
 * the kernel enters in some 20,000 instructions. An IOMMU need not have large ones. */
static uint64_t step_pages(uint64_t at, uint64_t place, uint64_t left, bool dma)
{
    uint64_t unit = at % GIANT_PAGES == 0 && left >= GIANT_PAGES && !dma ? GIANT_PAGES
                    : at % LARGE_PAGES == 0 && left >= LARGE_PAGES       ? LARGE_PAGES
                                                                         : 1;
    uint64_t limit = unit == 1 ? STEP_PAGES : unit == LARGE_PAGES && !dma ? STEP_LARGE * LARGE_PAGES : unit;
    uint64_t larger = unit == 1 ? LARGE_PAGES : GIANT_PAGES; /* may begin where its place does */
    uint64_t room = larger - place % larger;
    left -= left % unit;
    limit = limit < room ? limit : room;
    return left < limit ? left : limit;
}

/* The next pages of a dataspace, in one of its runs. What a failure has entered is taken out again. */
static enum error attachment_step(struct pd *pd, struct attachment *attachment, const struct handle *memory,
                                  const struct attach_request *request)
{
    bool dma = attachment->vm && pd->handle[attachment->vm].kind == HANDLE_DEVICE;
    uint64_t place = attachment->page + attachment->to, left = attachment->pages - attachment->to;
    uint64_t offset = request->offset + attachment->to;
    uint64_t rights = request->rights | (memory->kind == HANDLE_BAR ? MEM_UNCACHED : 0);
    selector space = attachment_space(pd, attachment->vm);
    unsigned i = 0;
    for (; i < RUNS - 1 && offset >= memory->memory.run[i].count; i++)
        offset -= memory->memory.run[i].count;
    uint64_t source = memory->memory.run[i].page + offset, room = memory->memory.run[i].count - offset;
    uint64_t count = step_pages(source | place, place, left < room ? left : room, dma);
    enum status status = space_copy(ROOT_MEM, source, space, place, count, rights);
    if (status != STATUS_OK) {
        enum status removed = space_remove(space, place, count);
        (void)removed; /* the space has these pages */
        return kernel_error(status);
    }
    attachment->to += count;
    return attachment->to < attachment->pages ? ERROR_MORE : ERROR_OK;
}

static bool place_valid(const struct attach_request *request, uint64_t pages)
{
    uint64_t limit = request->vm ? GST_PAGES : ATTACH_LIMIT / PAGE;
    uint64_t lowest = request->vm ? 0 : ELF_LIMIT / PAGE;
    return request->page >= lowest && request->page < limit && pages <= limit - request->page;
}

enum error attachment_create(struct pd *pd, const struct attach_request *request, uint64_t *page)
{
    unsigned rights;
    const struct handle *memory = handle_memory(pd, request->handle, &rights);
    if (!memory)
        return ERROR_NOT_FOUND;
    uint64_t all = memory_pages(memory), pages = request->pages ? request->pages : all - request->offset;
    if (request->offset >= all || pages > all - request->offset)
        return ERROR_BAD_ARGUMENT;
    if (request->rights & ~(uint64_t)rights)
        return ERROR_DENIED;
    if (!(request->rights & MEM_READ) ||
        (!request->vm && (request->rights & MEM_WRITE) && (request->rights & MEM_EXECUTE)))
        return ERROR_BAD_ARGUMENT;
    if (memory->kind == HANDLE_BAR && request->vm)
        return ERROR_DENIED; /* a device's registers are the driver's alone */
    if (memory->kind == HANDLE_RAM && memory->memory.cleared < all)
        return ERROR_BUSY;
    *page = request->page;
    struct attachment *attachment = NULL;
    if (!request->vm && !request->page)
        *page = attachment_place(pd, pages);
    else if (!place_valid(request, pages))
        return ERROR_BAD_ARGUMENT;
    else if ((attachment = attachment_overlap(pd, request->vm, request->page, pages)) &&
             (attachment->page != request->page || attachment->pages != pages ||
              attachment->handle != request->handle || attachment->from || attachment->to == pages))
        return ERROR_EXISTS;
    if (!attachment) {
        const struct attachment wanted = {
            .page = *page, .pages = pages, .handle = (unsigned)request->handle, .vm = request->vm};
        attachment = request->vm || *page ? attachment_new(pd, &wanted) : NULL;
        if (!attachment)
            return ERROR_LIMIT;
    }
    enum error error = attachment_step(pd, attachment, memory, request);
    if (!attachment->to)
        attachment_free(pd, attachment);
    return error;
}

enum error attachment_remove(struct pd *pd, unsigned vm, uint64_t page)
{
    for (unsigned i = 0; i < pd->attachments; i++) {
        struct attachment *attachment = &pd->attachment[i];
        if (attachment->vm == vm && attachment->page == page &&
            pd->handle[attachment->handle].kind != HANDLE_VCPU)
            return attachment_drop(pd, attachment);
    }
    return ERROR_NOT_FOUND;
}

enum error attachment_enter(struct pd *pd, unsigned vm, const uint64_t *words)
{
    const struct attach_request request = {.handle = words[0],
                                           .offset = words[1] / PAGE,
                                           .pages = words[2] / PAGE,
                                           .page = words[3] / PAGE,
                                           .vm = vm,
                                           .rights = words[4]};
    uint64_t page;
    if ((words[1] | words[2] | words[3]) % PAGE || !words[2])
        return ERROR_BAD_ARGUMENT;
    return attachment_create(pd, &request, &page);
}

void attachments_end(struct pd *pd, unsigned vm)
{
    unsigned left = 0;
    capability_remove(handle_selector(pd, vm));
    for (unsigned i = 0; i < pd->attachments; i++)
        if (pd->attachment[i].vm != vm)
            pd->attachment[left++] = pd->attachment[i];
    pd->attachments = left;
}
