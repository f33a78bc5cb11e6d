/* SPDX-License-Identifier: ISC */
/*
 * The root task's start: memory, the entry EC that serves every request, and init, which gets all the rest.
 * After that the main thread sends the log's lines, and waits for init's death and for refusals of the
 * IOMMUs.
 */
#include "base/include/component.h"
#include "core/core.h"
#include "core/log_queue.h"

#include <string.h>

#define MAIN_PRIORITY 62u  /* of init; core's own thread has 63 */
#define KERNEL_KEEP   256u /* kernel pages that core keeps: tables for its own selectors */
#define STACK         0x8000u
#define FAULT_LOOKS   10u /* a second, while drivers have devices: a device cannot make it more */

/* Where start.S begins. Stacks have no guard below, so nothing here recurses. */
uint8_t main_stack[0x4000] __attribute__((aligned(4096)));

/* Of the book. Its holder comes to its reply, whatever becomes ready or dies meanwhile: that is what the ceiling is for.
 * So other CPUs wait for a few steps. On one CPU none waits. */
static bool locked;

/* On a CPU; above all others' priority, if there are other CPUs to wait for it. */
static enum status entry_start(unsigned cpu)
{
    struct run stack;
    if (!memory_alloc(&free_memory, STACK / PAGE, &stack, 1))
        return STATUS_NO_MEMORY;
    enum status status =
        create_ec(CORE_ENTRY_EC + cpu, ROOT_ACCOUNT, ROOT_PD, CORE_UTCB(cpu), (uint64_t)cpu << EC_CPU_SHIFT,
                  (uintptr_t)physical_pointer(stack.page * PAGE) + STACK, (uintptr_t)core_entry);
    return status || BOOT_INFO->cpus == 1 ? status : ec_ceiling(CORE_ENTRY_EC + cpu, SC_PRIORITIES - 1);
}

static enum status entries_start(void)
{
    enum status status = create_nt(CORE_NT, ROOT_ACCOUNT);
    for (unsigned cpu = 0; cpu < BOOT_INFO->cpus; cpu++)
        status = status ? status : entry_start(cpu);
    status = status ? status : nt_narrow(CORE_NT, CORE_LOG, CORE_LOG_BIT);
    status = status ? status : nt_narrow(CORE_NT, CORE_WATCH, CORE_DEAD_BIT);
    status = status ? status : pd_watch(ROOT_PD, CORE_WATCH);
    status = status ? status : create_pt(CORE_SELF, ROOT_ACCOUNT, CORE_ENTRY_EC, (uintptr_t)core_entry, 0);
    return status;
}

static void init_start(void)
{
    struct handle rom = {.kind = HANDLE_ROM};
    struct reply reply = {0};
    struct pd *init = NULL;
    uint64_t pages, used;
    const struct boot_module *module = module_find("init");
    if (!module) {
        log_core("no module init: nothing to start");
        return;
    }
    rom.memory.run[0] = module_run(module);
    rom.memory.bytes = module->length;
    if (account_info(ROOT_ACCOUNT, &pages, &used) != STATUS_OK || pages < 2 * KERNEL_KEEP) {
        log_core("no kernel memory for init");
        return;
    }
    struct pd_request request = {.rom = &rom,
                                 .ram = free_memory.free,
                                 .kernel = pages - KERNEL_KEEP,
                                 .priority = MAIN_PRIORITY,
                                 .cpus = UINT64_MAX >> (CPUS_MAX - BOOT_INFO->cpus),
                                 .children = PDS - 2,
                                 .watch_bits = 1,
                                 .label = "init"};
    enum error error = pd_create(NULL, &request, &init, &reply);
    do
        error = error && error != ERROR_MORE ? error : pd_start(init, 0);
    while (error == ERROR_MORE);
    if (error)
        log_core("init cannot start: %s%s%s", error_text(error), reply.text ? ": " : "",
                 reply.text ? reply.text : "");
}

/* utcb: of who asks. False: it lives. */
static bool death_tell(const char *name, selector pd, const uint64_t *utcb)
{
    uint64_t fault = 0, address = 0;
    if (pd_fault(pd, &fault, &address) != STATUS_OK || !(fault & PD_FAULT_VALID))
        return false;
    log_core("%s has died: exception %lu, error 0x%lx, IP 0x%lx, address 0x%lx", name, fault & 0xff,
             fault >> 32, address, utcb[0]);
    return true;
}

static void init_dead(void)
{
    static bool said;
    if (!said && pds[1])
        said = death_tell("init", pd_selector(pds[1], SEL_PD), core_utcb);
}

/* What only the main thread is woken for. */
static void main_look(void)
{
    init_dead();
    device_faults();
}

/* id: PORTAL_ID, serial 0 for core's own main thread. */
void core_request(uint64_t id, uint64_t words)
{
    uint64_t *page = (uint64_t *)CORE_UTCB(id >> 8 & 0xff); /* NOLINT: an address */
    struct message message = message_at(page, words < UTCB_WORDS ? (unsigned)words : UTCB_WORDS);
    struct reply reply = {0};
    enum error error = ERROR_OK;
    uint64_t left[4];
    while (__atomic_exchange_n(&locked, true, __ATOMIC_ACQUIRE))
        while (__atomic_load_n(&locked, __ATOMIC_RELAXED))
            ; /* an emulator may leave its loop for PAUSE */
    core_utcb = page;
    struct pd *pd = pds[id & 0xff];
    if (id >> 16 == 0)
        main_look();
    else
        error = pd && pd->serial == id >> 16 ? request_serve(pd, &message, &reply) : ERROR_DENIED;
    if (error == ERROR_NO_KMEM && !reply.words && quota_info(pd, left) == ERROR_OK)
        reply = (struct reply){.word = {0, left[2]}, .words = 2};
    message = message_at(page, UTCB_WORDS);
    message_put(&message, error);
    message_put_words(&message, reply.word, reply.words);
    if (reply.text)
        message_put_string(&message, reply.text);
    __atomic_store_n(&locked, false, __ATOMIC_RELEASE);
    enum status status = system_call_status(CALL_IPC_REPLY, message.at, 0, 0, 0, 0, 0);
    (void)status;
    __builtin_trap();
}

void core_main(void)
{
    log_init();
    handle_services = services;
    if (BOOT_INFO->magic != BOOT_INFO_MAGIC || BOOT_INFO->version_major != ABI_VERSION_MAJOR)
        log_core("the kernel speaks interface %u.%u, not %u", BOOT_INFO->version_major,
                 BOOT_INFO->version_minor, ABI_VERSION_MAJOR);
    else if (!book_start())
        log_core("no memory for the book of memory");
    else if (entries_start() != STATUS_OK)
        log_core("the kernel refuses core's own objects");
    else {
        book_trim_modules();
        log_core("%lu MiB free, %u modules, %u CPU, TSC %lu MHz", free_memory.free / 256, BOOT_INFO->modules,
                 BOOT_INFO->cpus, BOOT_INFO->tsc_hz / 1000000);
        devices_start();
        init_start();
    }
    for (uint64_t look = DEADLINE_NEVER;;) {
        uint64_t bits, turn = log_send() ? tsc_read() + BOOT_INFO->tsc_hz / LOG_TURNS : DEADLINE_NEVER;
        unsigned words;
        if (!devices_there())
            look = DEADLINE_NEVER;
        else if (look == DEADLINE_NEVER)
            look = tsc_read() + BOOT_INFO->tsc_hz / FAULT_LOOKS;
        enum status status = nt_wait(CORE_NT, look < turn ? look : turn, &bits);
        platform_end();
        if (bits & CORE_DEAD_BIT)
            (void)death_tell("core", ROOT_PD,
                             (const uint64_t *)ROOT_UTCB_ADDRESS); /* NOLINT: it has, and nobody asks twice */
        if (!(bits & ~(uint64_t)CORE_LOG_BIT) && tsc_read() < look)
            continue;
        look = DEADLINE_NEVER;
        status = ipc_call(CORE_SELF, 0, &words);
        (void)status; /* it is looked again at the next turn */
    }
}
