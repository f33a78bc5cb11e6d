/* SPDX-License-Identifier: ISC */
/* A machine for tests of core: machine.h. */
#include "tests/core/machine.h"
#include "abi/port.h"
#include "base/include/session/parent.h"
#include "base/include/session/pd.h"

#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>

#define RAM_BASE     0x100000ul
#define CORE_AT      0x200000ul
#define INIT_AT      0x300000ul
#define INIT_BYTES   0x3000ul
#define DATA_AT      0x400000ul
#define KERNEL_PAGES 4000u
#define STEPS_MAX    100000u
#define STEP_WORK    400u /* calls of the kernel and pages that they enter or remove, at most in a step */

struct boot_info model_boot;
uint64_t model_utcb[512];
struct pd *machine_init;
struct reply answer;
static uint64_t before_init; /* free pages */

/* ---- chips */

static struct config {
    unsigned id;
    uint32_t word[64], mask[64]; /* mask: what can be written */
} function[] = {{.id = 0}, {.id = MACHINE_DISK}, {.id = MACHINE_EDU}};
#define FUNCTIONS (sizeof(function) / sizeof(*function))

static uint32_t config_address;

static void functions_start(void)
{
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        struct config *config = &function[i];
        memset(config->word, 0, sizeof(config->word));
        memset(config->mask, 0, sizeof(config->mask));
        config->word[0] = 0x12341100u + i;
        config->word[2] = i == 0 ? 0x06000000u : i == 1 ? 0x01080200u : 0x00ff0000u;
        config->mask[1] = 0x7ffu;
        if (i == 0)
            continue;
        config->word[1] = 0x00100002u; /* capabilities; decodes memory */
        config->word[4] = 0xf0000000u + i * 0x100000u;
        config->mask[4] = 0xffffc000u; /* 16 KiB */
        config->word[13] = 0x40;
        config->word[16] = 0x00000005u; /* MSI, 32 bits, one message */
        config->mask[16] = 0x00710000u;
        config->mask[17] = 0xfffffffcu;
        config->mask[18] = 0xffffu;
    }
}

static uint32_t *config_word(uint32_t **mask)
{
    for (unsigned i = 0; i < FUNCTIONS; i++)
        if (config_address >> 31 && function[i].id == (config_address >> 8 & 0xffff)) {
            *mask = &function[i].mask[config_address >> 2 & 63];
            return &function[i].word[config_address >> 2 & 63];
        }
    return NULL;
}

void port_out32(uint16_t port, uint32_t value)
{
    uint32_t *mask, *word;

    if (port == 0xcf8)
        config_address = value;
    else if ((word = config_word(&mask)))
        *word = (*word & ~*mask) | (value & *mask);
}

uint32_t port_in32(uint16_t port)
{
    uint32_t *mask, *word = config_word(&mask);

    return port == 0xcfc && word ? *word : UINT32_MAX;
}

uint32_t machine_config(unsigned id, unsigned offset)
{
    config_address = 1u << 31 | id << 8 | offset;
    return port_in32(0xcfc);
}

void port_out8(uint16_t port, uint8_t value)
{
    (void)port, (void)value;
}

uint8_t port_in8(uint16_t port)
{
    (void)port;
    return 0x60;
}

/* ---- start and end */

/* A program of two segments: a page of code, and data of which two pages are not in the file. */
static void program_write(uint64_t *file)
{
    uint8_t *bytes = (uint8_t *)file;

    memset(file, 0x5a, INIT_BYTES);
    memset(file, 0, 256);
    memcpy(file,
           "\x7f"
           "ELF\2\1\1",
           7);
    file[2] = 2 | 62ull << 16 | 1ull << 32;
    file[3] = 0x400010;
    file[4] = 64;
    bytes[52] = 64;
    bytes[54] = 56;
    bytes[56] = 2;
    memcpy(bytes + 64, (const uint64_t[]){1 | 5ull << 32, 0x1000, 0x400000, 0x400000, 0x1000, 0x1000, 0x1000},
           56);
    memcpy(bytes + 120, (const uint64_t[]){1 | 6ull << 32, 0x2000, 0x500000, 0x500000, 0x800, 0x2800, 0x1000},
           56);
}

static void module_add(const char *name, uint64_t base, uint64_t length)
{
    struct boot_module *module = &model_boot.module[model_boot.modules++];

    module->base = base;
    module->length = length;
    memcpy(module->name, name, strlen(name) + 1);
}

static void memory_start(void)
{
    void *place = physical_pointer(0);
    void *found = mmap(place, RAM_BASE + MACHINE_RAM, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

    assert_ptr_equal(found, place);
}

static void boot_start(void)
{
    model_boot = (struct boot_info){.magic = BOOT_INFO_MAGIC,
                                    .version_major = ABI_VERSION_MAJOR,
                                    .features = BOOT_FEATURE_SVM | BOOT_FEATURE_IOMMU,
                                    .cpus = 2,
                                    .gsis = 24,
                                    .tsc_hz = 1000000000,
                                    .regions = 1,
                                    .region = {{RAM_BASE, MACHINE_RAM, BOOT_REGION_RAM}}};
    for (unsigned i = 0; i < 16; i++)
        model_boot.isa_gsi[i] = i;
    module_add("core", CORE_AT, 0x2000);
    module_add("init", INIT_AT, INIT_BYTES);
    module_add("data", DATA_AT, MACHINE_DATA);
    program_write(physical_pointer(INIT_AT));
}

int machine_start(void **state)
{
    struct handle rom = {.kind = HANDLE_ROM};
    struct reply reply = {0};
    enum error error;

    (void)state;
    memory_start();
    boot_start();
    functions_start();
    model_start(KERNEL_PAGES);
    memset(pds, 0, PDS * sizeof(*pds));
    handle_services = services;
    log_init();
    assert_true(book_start());
    book_trim_modules();
    assert_int_equal(create_nt(CORE_NT, ROOT_ACCOUNT), STATUS_OK);
    for (unsigned cpu = 0; cpu < 2; cpu++)
        assert_int_equal(create_ec(CORE_ENTRY_EC + cpu, ROOT_ACCOUNT, ROOT_PD, (cpu + 1) * 0x1000,
                                   cpu << EC_CPU_SHIFT, 0, 0),
                         STATUS_OK);
    core_utcb = model_utcb;
    devices_start();
    before_init = free_memory.free;
    rom.memory.run[0] = module_run(module_find("init"));
    rom.memory.bytes = INIT_BYTES;
    machine_init = NULL;
    assert_int_equal(pd_create(NULL,
                               &(struct pd_request){.rom = &rom,
                                                    .ram = free_memory.free,
                                                    .kernel = KERNEL_PAGES - 256,
                                                    .priority = 62,
                                                    .cpus = 3,
                                                    .children = PDS - 2,
                                                    .watch_bits = 1,
                                                    .label = "init"},
                               &machine_init, &reply),
                     ERROR_OK);
    while (!machine_init->started)
        assert_true((error = pd_start(machine_init, 0)) == ERROR_OK || error == ERROR_MORE);
    assert_int_equal(CALL(machine_init, PD_ENTRY, 0x400010, 0x4000), ERROR_OK);
    machine_check();
    return 0;
}

int machine_end(void **state)
{
    (void)state;
    machine_check();
    model.fail = 0;
    while (pd_destroy(machine_init) == ERROR_MORE)
        machine_check();
    machine_check();
    assert_int_equal(free_memory.free, before_init);
    model_end();
    assert_int_equal(munmap(physical_pointer(0), RAM_BASE + MACHINE_RAM), 0);
    return 0;
}

/* ---- requests */

static enum error request(struct pd *pd, struct message *message)
{
    struct message read = message_at(message->words, message->at);

    answer = (struct reply){0};
    return request_serve(pd, &read, &answer);
}

enum error machine_call(struct pd *pd, const uint64_t *words)
{
    uint64_t page[8];
    struct message message = message_at(page, 8);

    for (unsigned i = 0; i < 8; i++)
        message_put(&message, words[i]);
    return request(pd, &message);
}

enum error machine_repeat(struct pd *pd, const uint64_t *words, unsigned *steps)
{
    enum error error = ERROR_MORE;
    unsigned count = 0;
    uint64_t again[8];

    memcpy(again, words, sizeof(again));
    for (; error == ERROR_MORE; count++) {
        uint64_t work = model.work;
        assert_true(count < STEPS_MAX);
        error = machine_call(pd, again);
        if (again[0] == PD_ATTACH)
            again[4] = answer.word[0];
        assert_in_range(model.work - work, 0, STEP_WORK);
    }
    if (steps)
        *steps = count;
    return error;
}

enum error machine_open(uint64_t child, uint64_t at, uint64_t bits, const char *service, const char *label,
                        const char *arguments)
{
    uint64_t page[128];
    struct message message = message_at(page, 128);

    message_put(&message, PARENT_OPEN);
    message_put(&message, at);
    message_put(&message, 0);
    message_put(&message, bits);
    message_put(&message, child);
    message_put_string(&message, service);
    message_put_string(&message, label);
    message_put_string(&message, arguments);
    return request(machine_init, &message);
}

unsigned machine_children;

enum error machine_child_create(const char *name, uint64_t ram, uint64_t kernel, uint64_t news,
                                uint64_t *handle)
{
    return machine_create(machine_init, 0, name, ram, kernel, news, handle);
}

enum error machine_create(struct pd *creator, uint64_t path, const char *name, uint64_t ram, uint64_t kernel,
                          uint64_t news, uint64_t *handle)
{
    uint64_t page[128], rom;
    struct message message = message_at(page, 128);
    enum error error = machine_open(path, 0, 0, "ROM", "init", "");

    if (error)
        return error;
    rom = answer.word[0];
    message_put(&message, CHILD_CREATE);
    message_put(&message, rom);
    message_put(&message, ram * PAGE);
    message_put(&message, kernel);
    message_put(&message, 20);
    message_put(&message, 2);
    message_put(&message, news);
    message_put(&message, 2); /* CPU 1 */
    message_put(&message, creator == machine_init ? machine_children : 0);
    message_put_string(&message, name);
    error = request(creator, &message);
    *handle = answer.word[0];
    assert_int_equal(handle_close(creator, (unsigned)rom), ERROR_OK);
    return error;
}

struct pd *machine_child(const char *name, uint64_t ram, uint64_t kernel, uint64_t *handle)
{
    static uint64_t news = 1000;

    assert_int_equal(machine_child_create(name, ram, kernel, news++, handle), ERROR_OK);
    assert_int_equal(WHOLE(machine_init, CHILD_START, *handle, 7), ERROR_OK);
    return machine_init->handle[*handle].child;
}

/* ---- what must be true */

static uint8_t owned[(RAM_BASE + MACHINE_RAM) / PAGE];

static uint64_t own(const struct run *run, unsigned runs)
{
    uint64_t pages = 0;

    for (unsigned i = 0; i < runs; i++)
        for (uint64_t page = run[i].page; page < run[i].page + run[i].count; page++) {
            assert_in_range(page, RAM_BASE / PAGE, sizeof(owned) - 1);
            if (owned[page])
                fail_msg("page 0x%lx has two owners", page);
            if (free_memory.map[page / 64] >> page % 64 & 1)
                fail_msg("page 0x%lx is free and has an owner", page);
            owned[page] = 1;
            pages++;
        }
    return pages;
}

/* The dataspace behind a handle, whatever state it is in. */
static const struct handle *memory_of(const struct pd *pd, unsigned handle)
{
    const struct handle *found = &pd->handle[handle];

    if (found->kind == HANDLE_SHARE)
        found = &found->share.owner->handle[found->share.handle];
    return found->kind == HANDLE_RAM || found->kind == HANDLE_ROM || found->kind == HANDLE_BAR ? found : NULL;
}

/* Whether the dataspace has these pages of RAM, side by side. */
static bool memory_has(const struct handle *memory, uint64_t page, uint64_t count)
{
    for (unsigned i = 0; i < RUNS; i++) {
        const struct run *run = &memory->memory.run[i];
        if (page >= run->page && page < run->page + run->count) {
            uint64_t here = run->page + run->count - page;
            return here >= count || memory_has(memory, page + here, count - here);
        }
    }
    return false;
}

static bool range_attached(const struct pd *pd, unsigned vm, const struct model_range *range)
{
    for (unsigned i = 0; i < pd->attachments; i++) {
        const struct attachment *attachment = &pd->attachment[i];
        const struct handle *memory = memory_of(pd, attachment->handle);
        if (!memory || attachment->vm != vm || range->at < attachment->page + attachment->from ||
            range->at + range->count > attachment->page + attachment->to)
            continue;
        return memory_has(memory, range->source, range->count) &&
               !(range->rights & 7 & ~(uint64_t)pd->handle[attachment->handle].rights);
    }
    return false;
}

static bool run_has(const struct run *run, const struct model_range *range)
{
    return range->source >= run->page && range->source + range->count <= run->page + run->count;
}

static void space_check(const struct pd *pd, unsigned vm)
{
    const struct model_object *space = model_object(vm ? handle_selector(pd, vm) : pd_selector(pd, SEL_HST));

    for (unsigned i = 0; space && i < space->ranges; i++) {
        const struct model_range *range = &space->range[i];
        bool found = range_attached(pd, vm, range);
        for (unsigned j = 0; !vm && j < ELF_SEGMENTS; j++)
            found |= run_has(&pd->image[j], range) && range->at < ELF_LIMIT / PAGE;
        for (unsigned j = 0; !vm && j < THREADS; j++)
            found |= run_has(&pd->stack[j], range) && range->at >= THREAD_BASE / PAGE;
        if (!found)
            fail_msg("%s: space %u: page 0x%lx: %lu pages of 0x%lx: no handle has them", pd->label, vm,
                     range->at, range->count, range->source);
    }
}

/* Why a component has a capability at this selector; NULL: for nothing. */
static const char *capability_reason(const struct pd *pd, uint64_t at)
{
    if (at == CAP_NT || at == CAP_CORE || (at == CAP_PARENT && pd->started))
        return "its own";
    for (unsigned i = 1; i < HANDLES; i++) {
        unsigned kind = pd->handle[i].kind;
        if ((kind == HANDLE_NT || kind == HANDLE_PORTAL || kind == HANDLE_IRQ || kind == HANDLE_VCPU ||
             kind == HANDLE_MESSAGE) &&
            pd->handle[i].object.client == at)
            return "a handle's";
    }
    for (unsigned i = 1; i < PDS; i++)
        for (const struct connection *c = pds[i] ? pds[i]->signallers : NULL; c; c = c->next)
            if (c->holder == pd && c->at == at)
                return "a connection";
    return NULL;
}

static void capabilities_check(const struct pd *pd)
{
    const struct model_object *obj = model_object(pd_selector(pd, SEL_OBJ));

    for (uint64_t at = 0; obj && at < 4096; at++)
        if (model_capability(obj, at)->object && !model_capability(obj, at)->object->dead &&
            !capability_reason(pd, at))
            fail_msg("%s: a capability at %lu of type %u that nothing is known of", pd->label, at,
                     model_capability(obj, at)->object->type);
    for (unsigned i = 1; i < HANDLES; i++)
        if (pd->handle[i].kind == HANDLE_NONE &&
            (model_object(handle_selector(pd, i)) || model_object(handle_selector(pd, i) + 1)))
            fail_msg("%s: handle %u is free and has a kernel object", pd->label, i);
}

static void shares_check(const struct pd *pd, unsigned handle)
{
    const struct handle *found = &pd->handle[handle];

    if (found->kind == HANDLE_RAM)
        for (struct handle *const *link = &found->memory.shares; *link; link = &(*link)->share.next) {
            assert_int_equal((*link)->kind, HANDLE_SHARE);
            assert_ptr_equal((*link)->share.link, link);
            assert_ptr_equal((*link)->share.owner, pd);
            assert_int_equal((*link)->share.handle, handle);
        }
    if (found->kind == HANDLE_SHARE) {
        assert_ptr_equal(found->share.holder, pd);
        assert_ptr_equal(*found->share.link, found);
        assert_ptr_equal(pds[found->share.owner->index], found->share.owner);
    }
}

static void pd_check(const struct pd *pd)
{
    uint64_t pages = own(&pd->pages, 1) + own(pd->stack, THREADS) + own(pd->image, ELF_SEGMENTS);

    for (unsigned i = 1; i < pd->attachments; i++) {
        const struct attachment *one = &pd->attachment[i - 1], *next = one + 1;
        assert_true(one->vm < next->vm || (one->vm == next->vm && one->page + one->pages <= next->page));
    }
    for (unsigned i = 0; i < pd->places; i++)
        assert_true(!pd->connection[i].holder || *pd->connection[i].link == &pd->connection[i]);
    for (unsigned i = 1; i < pd->places; i++) {
        if (pd->handle[i].kind == HANDLE_RAM)
            pages += own(pd->handle[i].memory.run, RUNS);
        if (pd->handle[i].kind == HANDLE_CHILD)
            pages += pd->handle[i].child->ram_limit;
        if (pd->handle[i].kind == HANDLE_VM || pd->handle[i].kind == HANDLE_DEVICE)
            space_check(pd, i);
        shares_check(pd, i);
    }
    if (pages != pd->ram_used || pd->ram_used > pd->ram_limit)
        fail_msg("%s: %lu pages are charged, %lu are in use, %lu its limit", pd->label, pd->ram_used, pages,
                 pd->ram_limit);
    space_check(pd, 0);
    capabilities_check(pd);
}

void machine_check(void)
{
    uint64_t free_pages = 0, used = 0;

    memset(owned, 0, sizeof(owned));
    for (unsigned i = 1; i < PDS; i++)
        if (pds[i]) {
            assert_int_equal(pds[i]->index, i);
            pd_check(pds[i]);
        }
    for (uint64_t i = 0; i < free_memory.pages; i++)
        free_pages += free_memory.map[i / 64] >> i % 64 & 1;
    for (unsigned i = 0; i < sizeof(owned); i++)
        used += owned[i];
    assert_int_equal(free_pages, free_memory.free);
    assert_int_equal(free_pages + used, before_init);
}

struct snapshot machine_snapshot(void)
{
    struct snapshot snapshot = {.free_pages = free_memory.free,
                                .kernel_free = model_object(ROOT_ACCOUNT)->free};

    for (const struct model_object *object = model.objects; object; object = object->next) {
        snapshot.objects++;
        snapshot.ranges += object->ranges;
        if (object->type == OBJECT_SPACE && object->kind == SPACE_OBJ)
            snapshot.capabilities += model_capabilities(object);
    }
    for (unsigned i = 1; i < PDS; i++) {
        snapshot.ram_used += pds[i] ? pds[i]->ram_used : 0;
        for (unsigned j = 1; pds[i] && j < pds[i]->places; j++)
            snapshot.handles += pds[i]->handle[j].kind != HANDLE_NONE;
        snapshot.attachments += pds[i] ? pds[i]->attachments : 0;
        for (const struct connection *c = pds[i] ? pds[i]->signallers : NULL; c; c = c->next)
            snapshot.connections++;
    }
    return snapshot;
}

void snapshot_same(const struct snapshot *before, const struct snapshot *now)
{
    assert_int_equal(now->free_pages, before->free_pages);
    assert_int_equal(now->ram_used, before->ram_used);
    assert_int_equal(now->handles, before->handles);
    assert_int_equal(now->attachments, before->attachments);
    assert_int_equal(now->connections, before->connections);
    assert_int_equal(now->objects, before->objects);
    assert_int_equal(now->capabilities, before->capabilities);
    assert_int_equal(now->ranges, before->ranges);
    assert_int_equal(now->kernel_free, before->kernel_free);
}

/* The kernel would enter core here. */
void core_entry(void)
{
}
