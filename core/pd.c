/* SPDX-License-Identifier: ISC */
/*
 * Protection domains: from a program in a ROM to a running component, and back to nothing. Every kernel
 * object of a PD has a fixed selector in the PD's block, so its end needs no list of them.
 */
#include "core/core.h"

#include <string.h>

#define STACK_PAGES 16u /* of the main thread */
#define LOAD_PAGES  48u /* of a program, cleared, copied and entered in a step */
#define STEP_CAPS   32u /* capabilities taken from others */

/* Of threads of one priority on a CPU. A guest that waits for a processor whose thread has its turn later
 * waits this long, so they are short; a turn costs some hundred instructions. */
#define TURNS_MAIN  100u  /* a second, of a component's main thread: a turn's end interrupts its guest */
#define TURNS_OTHER 1000u /* and of others, which may wait for each other on one CPU: virtual CPUs */

struct pd *pds[PDS];
static uint64_t serials; /* given to PDs */

enum error quota_info(const struct pd *pd, uint64_t *word)
{
    word[0] = (pd->ram_limit - pd->ram_used) * PAGE;
    word[1] = pd->ram_used * PAGE;
    return kernel_error(account_info(pd_selector(pd, SEL_ACCOUNT), &word[2], &word[3]));
}

uint64_t pd_time(const struct pd *pd)
{
    uint64_t sum = 0, ticks;
    for (unsigned i = 0; i < THREADS; i++)
        if (pd->stack[i].count && ec_time(pd_selector(pd, SEL_THREADS + 2 * i), &ticks) == STATUS_OK)
            sum += ticks;
    return sum;
}

enum error ram_charge(struct pd *pd, uint64_t pages, struct reply *reply)
{
    uint64_t left = pd->ram_limit - pd->ram_used;
    if (pages > left) {
        *reply = (struct reply){.word = {pages * PAGE, left * PAGE}, .words = 2};
        return ERROR_NO_RAM;
    }
    pd->ram_used += pages;
    return ERROR_OK;
}

bool selector_usable(selector at)
{
    return at >= CAP_FREE && at < CAP_END;
}

enum error pd_install(struct pd *pd, selector own, selector at, unsigned permissions)
{
    return kernel_error(space_copy(ROOT_OBJ, own, pd_selector(pd, SEL_OBJ), at, 1, permissions));
}

void pd_uninstall(struct pd *pd, selector at)
{
    if (!at)
        return;
    enum status status = space_remove(pd_selector(pd, SEL_OBJ), at, 1);
    (void)status;
}

enum error pd_map(struct pd *pd, uint64_t page, const struct run *run, uint64_t rights)
{
    return kernel_error(space_copy(ROOT_MEM, run->page, pd_selector(pd, SEL_HST), page, run->count, rights));
}

enum error pd_connect(struct pd *holder, selector at, struct pd *target, uint64_t bits)
{
    selector scratch = pd_selector(target, SEL_SCRATCH);
    struct connection *place = NULL;
    if (!selector_usable(at) || !bits)
        return ERROR_BAD_ARGUMENT;
    for (unsigned i = 0; i < holder->places && !place; i++)
        place = holder->connection[i].holder ? NULL : &holder->connection[i];
    if (!place)
        return ERROR_LIMIT;
    enum error error = kernel_error(nt_narrow(pd_selector(target, SEL_NT), scratch, bits));
    if (error)
        return error;
    error = pd_install(holder, scratch, at, PERM_NT_SIGNAL);
    capability_forget(scratch);
    if (error)
        return error;
    *place = (struct connection){holder, target, at, target->signallers, &target->signallers};
    if (place->next)
        place->next->link = &place->next;
    target->signallers = place;
    return ERROR_OK;
}

static void connection_free(struct connection *connection)
{
    *connection->link = connection->next;
    if (connection->next)
        connection->next->link = connection->link;
    *connection = (struct connection){0};
}

void pd_disconnect(struct pd *holder, selector at)
{
    for (unsigned i = 0; i < holder->places; i++)
        if (holder->connection[i].holder && holder->connection[i].at == at)
            connection_free(&holder->connection[i]);
    pd_uninstall(holder, at);
}

/* It signals nobody, and nobody signals it any more. A step: false when it is to be called again. */
static bool connections_end(struct pd *pd)
{
    for (unsigned i = 0; i < pd->places; i++)
        if (pd->connection[i].holder)
            connection_free(&pd->connection[i]); /* the capability goes with its space */
    for (unsigned i = 0; pd->signallers && i < STEP_CAPS; i++) {
        pd_uninstall(pd->signallers->holder, pd->signallers->at);
        connection_free(pd->signallers);
    }
    return !pd->signallers;
}

/* A step: the next pages of one segment. */
static enum error image_load(struct pd *pd)
{
    uint64_t page = pd->loaded;
    const struct elf_segment *segment = pd->elf.segment;
    const struct run *image = pd->image;
    for (; page >= segment->pages; image++)
        page -= segment++->pages;
    struct run run = {image->page + page,
                      segment->pages - page < LOAD_PAGES ? segment->pages - page : LOAD_PAGES};
    uint64_t rights =
        MEM_READ | (segment->writable ? MEM_WRITE : 0) | (segment->executable ? MEM_EXECUTE : 0);
    uint64_t bytes = run.count * PAGE, skip = page ? 0 : segment->skip;
    uint64_t done = page ? page * PAGE - segment->skip : 0; /* of the file's */
    uint64_t left = done < segment->file_bytes ? segment->file_bytes - done : 0;
    uint8_t *memory = physical_pointer(run.page * PAGE);
    memset(memory, 0, bytes);
    memcpy(memory + skip, pd->file + segment->offset + done, left < bytes - skip ? left : bytes - skip);
    enum error error = pd_map(pd, segment->address / PAGE + page, &run, rights);
    if (error)
        return error;
    pd->loaded += run.count;
    return ERROR_MORE;
}

/* A portal for the component alone: core keeps no capability to it. */
static enum error portal_give(struct pd *pd, selector ec, uint64_t entry, uint64_t id, selector at)
{
    selector scratch = pd_selector(pd, SEL_SCRATCH);
    enum error error = kernel_error(create_pt(scratch, pd_selector(pd, SEL_ACCOUNT), ec, entry, id));
    error = error ? error : pd_install(pd, scratch, at, PERM_PT_CALL);
    capability_forget(scratch);
    return error;
}

static selector core_portal_at(unsigned cpu)
{
    return cpu ? CAP_CORE_OTHER(cpu) : CAP_CORE;
}

/* The kernel's objects, and what of them the component itself gets. */
static enum error objects_create(struct pd *pd)
{
    selector account = pd_selector(pd, SEL_ACCOUNT), self = pd_selector(pd, SEL_PD);
    selector payer = pd->parent ? pd_selector(pd->parent, SEL_ACCOUNT) : (selector)ROOT_ACCOUNT;
    enum status status = create_account(account, payer, pd->kernel_pages);
    status = status ? status : create_pd(self, account);
    status = status ? status : create_space(pd_selector(pd, SEL_OBJ), account, SPACE_OBJ, self);
    status = status ? status : create_space(pd_selector(pd, SEL_HST), account, SPACE_HST, self);
    status = status ? status : create_nt(pd_selector(pd, SEL_NT), account);
    enum error error = kernel_error(status);
    error = error ? error : pd_install(pd, pd_selector(pd, SEL_NT), CAP_NT, PERM_NT_SIGNAL | PERM_NT_WAIT);
    for (unsigned cpu = 0; cpu < CPUS_MAX && !error; cpu++)
        error = !pd_has_cpu(pd, cpu) ? ERROR_OK
                                     : portal_give(pd, CORE_ENTRY_EC + cpu, (uintptr_t)core_entry,
                                                   PORTAL_ID(pd, cpu), core_portal_at(cpu));
    if (!error && !pd->parent)
        error = portal_give(pd, CORE_ENTRY_EC, (uintptr_t)core_entry, PORTAL_ID(pd, 0), CAP_PARENT);
    return error;
}

/* A fault of the child signals its parent, and the parent can give it news. */
static enum error parent_link(struct pd *pd, const struct pd_request *request)
{
    selector watch = pd_selector(pd, SEL_WATCH);
    selector notification = pd->parent ? pd_selector(pd->parent, SEL_NT) : (selector)CORE_NT;
    enum status status = nt_narrow(notification, watch, request->watch_bits);
    status = status ? status : pd_watch(pd_selector(pd, SEL_PD), watch);
    enum error error = kernel_error(status);
    if (!error && pd->parent)
        error = pd_connect(pd->parent, request->news, pd, NT_PARENT_NEWS);
    return error;
}

static enum error pd_fill(struct pd *pd, const struct pd_request *request)
{
    enum error error = objects_create(pd);
    error = error ? error : parent_link(pd, request);
    for (unsigned i = 0; i < pd->elf.segments && !error; i++)
        if (!memory_alloc(&free_memory, pd->elf.segment[i].pages, &pd->image[i], 1))
            error = ERROR_NO_RAM;
    return error;
}

static unsigned index_free(void)
{
    for (unsigned i = 1; i < PDS; i++)
        if (!pds[i])
            return i;
    return 0;
}

/* What the request asks for is there, and what the component needs is in it. */
static enum error limits_check(const struct pd *parent, const struct pd_request *request, uint64_t need,
                               struct reply *reply)
{
    uint64_t left[4] = {request->ram * PAGE, 0, request->kernel, 0};
    enum error error = parent ? quota_info(parent, left) : ERROR_OK;
    if (error)
        return error;
    if (request->ram * PAGE > left[0] || need > request->ram) {
        bool lacks = request->ram * PAGE <= left[0];
        *reply = (struct reply){
            .word = {(lacks ? need : request->ram) * PAGE, lacks ? request->ram * PAGE : left[0]},
            .words = 2};
        return ERROR_NO_RAM;
    }
    if (request->kernel > left[2]) {
        *reply = (struct reply){.word = {request->kernel, left[2]}, .words = 2};
        return ERROR_NO_KMEM;
    }
    if (parent && request->children + 1 > parent->children - parent->children_used)
        return ERROR_LIMIT;
    if (parent && (!selector_usable(request->news) || !request->watch_bits ||
                   request->priority > parent->priority || request->cpus & ~(parent->cpus | 1)))
        return ERROR_BAD_ARGUMENT;
    return ERROR_OK;
}

enum error pd_create(struct pd *parent, const struct pd_request *request, struct pd **result,
                     struct reply *reply)
{
    struct elf elf;
    struct run run;
    uint64_t places =
        request->ram / PLACE_PAGES < PLACES_MAX - HANDLES ? HANDLES + request->ram / PLACE_PAGES : PLACES_MAX;
    uint64_t bytes = sizeof(struct pd) +
                     places * (sizeof(struct handle) + sizeof(struct attachment) + sizeof(struct connection));
    uint64_t own = (bytes + PAGE - 1) / PAGE;
    unsigned index = index_free();
    const struct handle *rom = request->rom;
    const char *reason = elf_parse(physical_pointer(rom->memory.run[0].page * PAGE), rom->memory.bytes, &elf);
    if (reason) {
        *reply = (struct reply){.text = reason};
        return ERROR_BAD_ELF;
    }
    enum error error = limits_check(parent, request, own + elf.pages + STACK_PAGES, reply);
    if (error)
        return error;
    if (!index)
        return ERROR_LIMIT;
    if (!memory_alloc(&free_memory, own, &run, 1))
        return ERROR_NO_RAM;
    struct pd *pd = physical_pointer(run.page * PAGE);
    memset(pd, 0, bytes);
    pd->places = (unsigned)places;
    pd->handle = (struct handle *)(pd + 1);
    pd->attachment = (struct attachment *)(pd->handle + places);
    pd->connection = (struct connection *)(pd->attachment + places);
    pd->elf = elf;
    pd->file = physical_pointer(rom->memory.run[0].page * PAGE);
    pd->index = index;
    pd->serial = ++serials;
    pd->parent = parent;
    pd->pages = run;
    pd->ram_limit = request->ram;
    pd->ram_used = own + elf.pages;
    pd->kernel_pages = request->kernel;
    pd->priority = request->priority;
    pd->cpus = request->cpus;
    pd->children = request->children;
    memcpy(pd->label, request->label, strnlen(request->label, LABEL_SIZE - 1));
    if (parent) {
        parent->ram_used += request->ram;
        parent->children_used += 1 + request->children;
    }
    pds[index] = pd;
    *result = pd;
    error = pd_fill(pd, request);
    while (error && pd_destroy(pd) == ERROR_MORE)
        ; /* there is little of it: no handle and no thread */
    return error;
}

bool pd_has_cpu(const struct pd *pd, uint64_t cpu)
{
    return !cpu || (cpu < CPUS_MAX && pd->cpus >> cpu & 1);
}

static enum error thread_objects(struct pd *pd, const struct thread_request *request, uint64_t stack)
{
    bool time = request->time;
    selector ec = pd_selector(pd, time ? SEL_THREADS + 2 * request->number : SEL_ENTRY);
    selector account = pd_selector(pd, SEL_ACCOUNT);
    uint64_t thread_utcb = THREAD_BASE + (request->number + 1ull) * THREAD_SLOT - PAGE;
    uint64_t flags = (time ? EC_GLOBAL : 0) | request->cpu << EC_CPU_SHIFT;
    enum status status =
        create_ec(ec, account, pd_selector(pd, SEL_PD), thread_utcb, flags, stack, request->entry);
    if (status == STATUS_OK && time)
        status = create_sc(ec + 1, account, ec, request->priority,
                           BOOT_INFO->tsc_hz / (request->number ? TURNS_OTHER : TURNS_MAIN));
    if (status != STATUS_OK)
        capability_remove(ec);
    return kernel_error(status);
}

enum error pd_thread(struct pd *pd, const struct thread_request *request, struct reply *reply)
{
    uint64_t top = THREAD_BASE + (request->number + 1ull) * THREAD_SLOT - PAGE, stack_pages = request->stack;
    struct run *stack = &pd->stack[request->number];
    if (!stack_pages || stack_pages > THREAD_STACK_MAX / PAGE || request->priority > pd->priority ||
        request->entry >= USER_ADDRESS_LIMIT || !pd_has_cpu(pd, request->cpu))
        return ERROR_BAD_ARGUMENT;
    enum error error = ram_charge(pd, stack_pages, reply);
    if (error)
        return error;
    if (!memory_alloc(&free_memory, stack_pages, stack, 1)) {
        pd->ram_used -= stack_pages;
        return ERROR_NO_RAM;
    }
    uint64_t *memory = physical_pointer((stack->page + stack_pages) * PAGE);
    memset(memory - stack_pages * (PAGE / 8), 0, stack_pages * PAGE);
    memory[-4] = request->words[0];
    memory[-3] = request->words[1];
    memory[-2] = request->cpu;
    memory[-1] = core_portal_at((unsigned)request->cpu);
    error = pd_map(pd, top / PAGE - stack_pages, stack, MEM_READ | MEM_WRITE);
    error = error ? error : thread_objects(pd, request, top - 32);
    if (error) {
        enum status status = space_remove(pd_selector(pd, SEL_HST), top / PAGE - stack_pages, stack_pages);
        (void)status;
        memory_free(&free_memory, stack, 1);
        pd->ram_used -= stack_pages;
    }
    return error;
}

enum error pd_start(struct pd *pd, uint64_t parent_portal)
{
    const struct thread_request main_thread = {
        .time = true, .entry = pd->elf.entry, .priority = pd->priority, .stack = STACK_PAGES};
    const struct pd *parent = pd->parent;
    struct reply reply;
    enum error error = ERROR_OK;
    if (pd->started)
        return ERROR_EXISTS;
    if (pd->loaded < pd->elf.pages)
        return image_load(pd);
    if (parent)
        error = !parent->portal_entry ? ERROR_NOT_FOUND
                                      : portal_give(pd, pd_selector(parent, SEL_ENTRY), parent->portal_entry,
                                                    parent_portal, CAP_PARENT);
    error = error ? error : pd_thread(pd, &main_thread, &reply);
    pd->started = !error;
    if (error && parent)
        pd_uninstall(pd, CAP_PARENT);
    return error;
}

/* The one to be closed next, 0: none. Devices, which may be at work in what the others are for, and VMs,
 * whose spaces go whole, come first. */
static unsigned handle_last(const struct pd *pd)
{
    unsigned found = 0;
    for (unsigned i = 1; i < pd->places; i++) {
        unsigned kind = pd->handle[i].kind;
        if (kind == HANDLE_DEVICE || kind == HANDLE_VM)
            return i;
        found = kind ? i : found;
    }
    return found;
}

/* What is left of its kernel objects once the PD itself is dead; the account last, as it pays for the others.
 */
static void objects_destroy(struct pd *pd)
{
    static const uint8_t objects[] = {SEL_ENTRY, SEL_NT, SEL_PIO, SEL_OBJ};
    for (unsigned i = 0; i < THREADS; i++)
        if (pd->stack[i].count) {
            capability_remove(pd_selector(pd, SEL_THREADS + 2 * i) + 1);
            capability_remove(pd_selector(pd, SEL_THREADS + 2 * i));
        }
    for (unsigned i = 0; i < sizeof(objects); i++)
        capability_remove(pd_selector(pd, objects[i]));
    capability_forget(pd_selector(pd, SEL_WATCH));
    capability_remove(pd_selector(pd, SEL_ACCOUNT));
}

enum error pd_destroy(struct pd *pd)
{
    struct run pages = pd->pages;
    unsigned handle = handle_last(pd), own = 0;
    if (!pd->dying) {
        pd->dying = true;
        capability_remove(pd_selector(pd, SEL_PD)); /* its threads end here */
        capability_remove(pd_selector(pd, SEL_HST));
        while (own < pd->attachments && !pd->attachment[own].vm)
            own++; /* they are the first */
        pd->attachments -= own;
        memmove(pd->attachment, pd->attachment + own, pd->attachments * sizeof(*pd->attachment));
        (void)connections_end(pd);
    } else if (!connections_end(pd)) {
        /* there are more */
    } else if (handle) {
        (void)handle_close(pd, handle);
    } else {
        objects_destroy(pd);
        memory_free(&free_memory, pd->stack, THREADS);
        memory_free(&free_memory, pd->image, ELF_SEGMENTS);
        pds[pd->index] = NULL;
        if (pd->parent) {
            pd->parent->ram_used -= pd->ram_limit;
            pd->parent->children_used -= 1 + pd->children;
        }
        memory_free(&free_memory, &pages, 1);
        return ERROR_OK;
    }
    return ERROR_MORE;
}
