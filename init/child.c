/* SPDX-License-Identifier: ISC */
/*
 * A component's life. It is created from its ROM with the quota that the configuration names, and destroyed
 * when it has faulted, has said that it is done, or is killed by a <kill> test; everything of it then comes
 * back to init. One component's failure is one line on the log and nothing to the others. After a failure a
 * component with restart="yes" is started again, with restart="always" after an orderly end, too: the later
 * the oftener it ends early, however it ends, so that a loop leaves the machine to the others.
 */
#include "init/init.h"

#include "base/include/component.h"
#include "base/include/log.h"
#include "base/include/session.h"
#include "base/include/session/rom.h"

#include <string.h>

#define BACKOFF_MILLISECONDS 20u   /* until the first restart */
#define BACKOFF_MAXIMUM      2000u /* the wait doubles up to this */
#define LIVED_MILLISECONDS   1000u /* who lives as long begins with the first wait again */
#define GONE_MILLISECONDS    50u /* until the restart when nothing was wrong: its servers let go meanwhile */

static const char *const fault_names[32] = {
    "divide error",
    "debug exception",
    "NMI",
    "breakpoint",
    "overflow",
    "bound range exceeded",
    "invalid opcode",
    "FPU not available",
    "double fault",
    NULL,
    "invalid TSS",
    "segment not present",
    "stack fault",
    "general protection fault",
    "page fault",
    NULL,
    "x87 error",
    "alignment check",
    "machine check",
    "SIMD error",
};

static uint64_t milliseconds(const struct init *init, uint64_t count)
{
    return init->tsc_hz / 1000 * count;
}

uint64_t child_path(const struct init *init, unsigned index, uint64_t client)
{
    return client << CHILD_BITS >> CHILD_BITS == client ? init->child[index].handle | client << CHILD_BITS
                                                        : 0;
}

uint64_t child_portal_id(const struct init *init, unsigned index)
{
    return (uint64_t)init->child[index].generation << 8 | index;
}

bool child_by_portal(const struct init *init, uint64_t id, unsigned *index)
{
    *index = (unsigned)(id & 0xff);
    return *index < init->config.starts && init->child[*index].state == CHILD_RUNS &&
           child_portal_id(init, *index) == id;
}

void child_signal(const struct init *init, unsigned index)
{
    if (init->child[index].state == CHILD_RUNS)
        creator_signal(INIT_CAP_NEWS(index));
}

bool child_will_run(const struct init *init, unsigned index)
{
    const struct child *child = &init->child[index];
    switch (child->state) {
    case CHILD_RUNS:
    case CHILD_WAITS:
        return true;
    case CHILD_STOPPED:
        return child->restart_at != DEADLINE_NEVER;
    case CHILD_EXITING:
        return init->config.start[index].restart == RESTART_ALWAYS ||
               (child->exit_code != 0 && init->config.start[index].restart == RESTART_FAILED);
    default:
        return false;
    }
}

/* The text stands in the ROM with line feeds before it, so that lines are numbered as in the scenario's file.
 */
static enum error child_config_make(struct init *init, unsigned index)
{
    const struct config_start *start = &init->config.start[index];
    struct child *child = &init->child[index];
    size_t lines = start->config_line - 1;
    void *memory;
    enum error error = memory_alloc(lines + start->config_bytes, &child->config, &memory);
    if (error != ERROR_OK) {
        child->config = (struct dataspace){0};
        return error;
    }
    memset(memory, '\n', lines);
    memcpy((char *)memory + lines, init->text + start->config_at, start->config_bytes);
    return dataspace_detach(memory);
}

enum error child_config(struct init *init, unsigned index, uint64_t *handle, uint64_t *bytes)
{
    const struct config_start *start = &init->config.start[index];
    struct child *child = &init->child[index];
    enum error error = ERROR_OK;
    if (start->config_bytes == 0)
        return ERROR_NOT_FOUND;
    if (child->config.handle == 0)
        error = child_config_make(init, index);
    if (error == ERROR_OK && child->config_handle == 0)
        error = creator_share(child->handle, child->config.handle, MEM_READ, &child->config_handle);
    *handle = child->config_handle;
    *bytes = start->config_line - 1 + start->config_bytes;
    return error;
}

/* RAM for ram="rest": what is free but for init's reserve and what components still to be started will take.
 */
static uint64_t child_ram(const struct init *init, unsigned index)
{
    const struct init_config *config = &init->config;
    struct pd_info info;
    if (config->start[index].ram != CONFIG_RAM_REST)
        return config->start[index].ram;
    if (pd_info(&info) != ERROR_OK)
        return 0;
    uint64_t kept = INIT_RAM_RESERVE;
    for (unsigned i = 0; i < config->starts; i++)
        if (i != index && init->child[i].ram == 0 && child_will_run(init, i))
            kept += config->start[i].ram;
    return info.ram_free > kept ? (info.ram_free - kept) & ~UINT64_C(0xfff) : 0;
}

/* Creates and starts it. What went wrong has been said in a line when the result is not ERROR_OK. */
static enum error child_create(struct init *init, unsigned index)
{
    const struct config_start *start = &init->config.start[index];
    struct child *child = &init->child[index];
    struct session rom;
    const struct session_request request = {.service = ROM_SERVICE, .label = start->binary};
    enum error error = session_open(&request, &rom);
    if (error != ERROR_OK) {
        log_line("%s: binary '%s': %s", start->name, start->binary,
                 error == ERROR_NOT_FOUND ? "not among the boot modules" : error_text(error));
        return error;
    }
    const struct creator_request wanted = {
        .rom = rom.dataspace,
        .ram = child_ram(init, index),
        .kernel = start->kernel,
        .priority = start->priority,
        .cpus = start->cpus < init->cpus ? start->cpus : init->cpus,
        .children = start->children,
        .fault_bits = 1ull << index,
        .news = INIT_CAP_NEWS(index),
        .label = start->name,
    };
    uint64_t needed, there;
    char reason[LABEL_SIZE];
    error = creator_create(&wanted, &child->handle, &needed, &there, reason, sizeof reason);
    enum error closed = session_close(rom.id);
    if (error == ERROR_NO_RAM) {
        log_line("%s: RAM: needs %lu KiB, has %lu KiB", start->name, needed / 1024, there / 1024);
    } else if (error == ERROR_NO_KMEM && needed == 0) {
        log_line("%s: kernel memory: kernel=\"%lu\" is too little to start it", start->name, start->kernel);
    } else if (error == ERROR_NO_KMEM) {
        log_line("%s: kernel memory: needs %lu pages, has %lu", start->name, needed, there);
    } else if (error != ERROR_OK) {
        log_line("%s: binary '%s': %s%s%s", start->name, start->binary, error_text(error),
                 reason[0] != '\0' ? ": " : "", reason);
    } else if (closed != ERROR_OK) {
        log_line("%s: binary '%s' could not be closed: %s", start->name, start->binary, error_text(closed));
    }
    if (error == ERROR_OK)
        child->ram = wanted.ram;
    return error;
}

/* Gives back what init holds for a child that is not (any more) there. */
static void child_clear(struct init *init, unsigned index)
{
    struct child *child = &init->child[index];
    const char *name = init->config.start[index].name;
    creator_gone(child->handle);
    enum error error = creator_destroy(child->handle);
    if (error != ERROR_OK)
        log_line("%s: cannot be destroyed: %s", name, error_text(error));
    if (child->config.handle != 0) {
        error = dataspace_free(&child->config);
        if (error != ERROR_OK)
            log_line("%s: its configuration cannot be freed: %s", name, error_text(error));
    }
    child->handle = 0;
    child->ram = 0;
    child->config_handle = 0;
}

static void child_start(struct init *init, unsigned index)
{
    struct child *child = &init->child[index];
    child->generation = (child->generation + 1) & 0xffffff;
    child->restart_at = DEADLINE_NEVER;
    enum error error = child_create(init, index);
    if (error == ERROR_OK) {
        child->state = CHILD_RUNS;
        child->started = tsc_read();
        child_signal(init, index); /* there may be requests that have waited for it */
        error = creator_start(child->handle, child_portal_id(init, index));
        if (error == ERROR_OK)
            return;
        log_line("%s: cannot be started: %s", init->config.start[index].name, error_text(error));
        child_clear(init, index);
    }
    child->state = CHILD_ENDED;
    sessions_child_died(init, index);
}

/* Destroys it. restart_at: when it is to be started again. */
static void child_stop(struct init *init, unsigned index, uint64_t restart_at)
{
    struct child *child = &init->child[index];
    child_clear(init, index);
    child->state = restart_at == DEADLINE_NEVER ? CHILD_ENDED : CHILD_STOPPED;
    child->restart_at = restart_at;
    sessions_child_died(init, index);
}

/* It has ended: destroys it, and starts it again if it is to. first: the wait if it has lived for long. */
static void child_over(struct init *init, unsigned index, bool again, unsigned first)
{
    struct child *child = &init->child[index];
    uint64_t restart_at = DEADLINE_NEVER;
    if (again) {
        uint64_t now = tsc_read();
        if (child->backoff == 0 || now - child->started >= milliseconds(init, LIVED_MILLISECONDS))
            child->backoff = milliseconds(init, first);
        restart_at = now + child->backoff;
        log_line("%s: starts again in %lu ms", init->config.start[index].name,
                 child->backoff / milliseconds(init, 1));
        child->backoff = init_earlier(child->backoff * 2, milliseconds(init, BACKOFF_MAXIMUM));
    }
    child_stop(init, index, restart_at);
}

static void child_failed(struct init *init, unsigned index)
{
    child_over(init, index, init->config.start[index].restart != RESTART_NEVER, BACKOFF_MILLISECONDS);
}

void child_exits(struct init *init, unsigned index, uint64_t code)
{
    init->child[index].state = CHILD_EXITING;
    init->child[index].exit_code = code;
    creator_signal(INIT_CAP_WORK);
}

/* A fault is asked for, not believed: the bit alone proves nothing. */
static void child_look_for_fault(struct init *init, unsigned index)
{
    uint64_t fault, instruction, address;
    enum error error = creator_fault(init->child[index].handle, &fault, &instruction, &address);
    if (error != ERROR_OK || (fault & PD_FAULT_VALID) == 0)
        return;
    const char *name = fault_names[fault & 0x1f];
    log_line("%s: died: %s at 0x%lx, address 0x%lx, error code 0x%lx", init->config.start[index].name,
             name != NULL ? name : "exception", instruction, address, fault >> 32);
    child_failed(init, index);
}

static void child_look_for_exit(struct init *init, unsigned index)
{
    uint64_t code = init->child[index].exit_code;
    if (code == 0) {
        log_line("%s: has ended", init->config.start[index].name);
        child_over(init, index, init->config.start[index].restart == RESTART_ALWAYS, GONE_MILLISECONDS);
        if (init->config.start[index].essential) {
            enum error error = platform_off();
            log_line("the machine cannot be powered off: %s", error_text(error));
        }
    } else {
        log_line("%s: has failed with code %ld", init->config.start[index].name, (int64_t)code);
        child_failed(init, index);
    }
}

/* <kill>: the component dies at a random moment and comes back. */
static void kill_work(struct init *init, unsigned number)
{
    const struct config_kill *kill = &init->config.kill[number];
    struct child *child = &init->child[kill->start];
    uint64_t now = tsc_read();
    if (now < init->kill[number].at || child->state != CHILD_RUNS)
        return;
    init->kill[number].random = init->kill[number].random * 1664525u + 1013904223u;
    uint64_t random = (init->kill[number].random >> 8) % (kill->milliseconds * 1000 + 1);
    init->kill[number].done++;
    init->kill[number].at =
        init->kill[number].done < kill->times
            ? now + milliseconds(init, GONE_MILLISECONDS) + random * (init->tsc_hz / 1000000)
            : DEADLINE_NEVER;
    child_stop(init, kill->start, now + milliseconds(init, GONE_MILLISECONDS));
}

bool child_will_be_killed(const struct init *init, unsigned index)
{
    for (unsigned i = 0; i < init->config.kills; i++)
        if (init->config.kill[i].start == index && init->kill[i].done < init->config.kill[i].times)
            return true;
    return false;
}

/* The free counts with the killed component dead and its sessions closed, at the first and at the last time.
 */
static void kill_account(struct init *init, unsigned index)
{
    for (unsigned i = 0; i < init->config.kills; i++) {
        const struct config_kill *kill = &init->config.kill[i];
        struct free_info info;
        if (kill->start != index || init->kill[i].done == 0 || free_info(&info) != ERROR_OK)
            continue;
        if (init->kill[i].done == 1)
            init->kill[i].before = info;
        if (init->kill[i].done == kill->times) {
            log_line("%s: killed %u times: free pages of core %lu -> %lu, of the kernel %lu -> %lu",
                     kill->name, kill->times, init->kill[i].before.core_free, info.core_free,
                     init->kill[i].before.kernel_free, info.kernel_free);
            init->kill[i].done++; /* said once */
        }
    }
}

/* With <info>: what is free while the component is not there. It is the same each time if nothing leaks. */
static void start_account(const struct init *init, unsigned index)
{
    struct free_info info;
    if (init->config.info_seconds != 0 && free_info(&info) == ERROR_OK) {
        log_line("%s: starts; free pages: core %lu of %lu, kernel %lu of %lu", init->config.start[index].name,
                 info.core_free, info.core_pages, info.kernel_free, info.kernel_pages);
    }
}

/* <info>: a line about what the machine has free and how idle it was since the line before. */
static uint64_t info_work(struct init *init)
{
    uint64_t period = init->config.info_seconds * init->tsc_hz;
    if (period == 0)
        return DEADLINE_NEVER;
    if (tsc_read() < init->info_at)
        return init->info_at;
    struct free_info now, *last = &init->info_last;
    enum error error = free_info(&now);
    if (error != ERROR_OK) {
        log_line("info: %s", error_text(error));
        return DEADLINE_NEVER;
    }
    uint64_t ticks = now.tsc - last->tsc, idle = now.idle_ticks - last->idle_ticks;
    uint64_t share = ticks >= 1000 ? idle / (ticks / 1000) : 0;
    log_line("info: CPU idle %lu.%lu %% of %lu ms; free pages: core %lu of %lu, kernel %lu of %lu",
             share / 10, share % 10, ticks / milliseconds(init, 1), now.core_free, now.core_pages,
             now.kernel_free, now.kernel_pages);
    *last = now;
    init->info_at = tsc_read() + period;
    return init->info_at;
}

void children_init(struct init *init)
{
    for (unsigned i = 0; i < init->config.kills; i++) {
        init->kill[i].random = init->config.kill[i].seed;
        init->kill[i].at = tsc_read() + milliseconds(init, init->config.kill[i].milliseconds);
    }
    capabilities_init(init);
}

uint64_t children_work(struct init *init, uint64_t bits)
{
    uint64_t deadline = DEADLINE_NEVER;
    for (unsigned i = 0; i < init->config.starts; i++)
        if (init->child[i].state == CHILD_EXITING)
            child_look_for_exit(init, i);
        else if (init->child[i].state == CHILD_RUNS && (bits & 1ull << i) != 0)
            child_look_for_fault(init, i);
    for (unsigned i = 0; i < init->config.kills; i++)
        kill_work(init, i);
    for (unsigned i = 0; i < init->config.starts; i++) {
        struct child *child = &init->child[i];
        if (child->state == CHILD_STOPPED && child->restart_at <= tsc_read()) {
            kill_account(init, i);
            start_account(init, i);
            child_start(init, i);
        }
        if (child->state == CHILD_STOPPED)
            deadline = init_earlier(deadline, child->restart_at);
    }
    for (unsigned i = 0; i < init->config.kills; i++)
        if (init->child[init->config.kill[i].start].state == CHILD_RUNS)
            deadline = init_earlier(deadline, init->kill[i].at);
    deadline = init_earlier(deadline, capabilities_work(init));
    return init_earlier(deadline, info_work(init));
}
