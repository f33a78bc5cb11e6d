/* SPDX-License-Identifier: ISC */
/*
 * A component's life. It is created from its ROM with the quota that the configuration names. It is destroyed
 * when it has faulted, has exited, or has changed in the configuration; everything of it then comes back to
 * init. A failure is one line on the log and does not affect other components. After a failure a component with
 * restart="yes" is started again, with restart="always" after an orderly end, too. Each early end makes the next
 * start later, so a component that always ends at once leaves the machine to the others.
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

static const char *fault_name(unsigned exception)
{
    static const char names[] =
        "divide error\0debug exception\0NMI\0breakpoint\0overflow\0bound range exceeded\0"
        "invalid opcode\0FPU not available\0double fault\0exception\0invalid TSS\0"
        "segment not present\0stack fault\0general protection fault\0page fault\0"
        "exception\0x87 error\0alignment check\0machine check\0SIMD error\0exception";
    const char *name = names;
    while (exception-- > 0 && name + strlen(name) + 1 < names + sizeof names)
        name += strlen(name) + 1;
    return name;
}

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
    return *index < CONFIG_STARTS && init->child[*index].state == CHILD_RUNS &&
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
        return true;
    case CHILD_STOPPED:
        return child->restart_at != DEADLINE_NEVER;
    case CHILD_EXITING:
        return init->config->start[index].restart == RESTART_ALWAYS ||
               (child->exit_code != 0 && init->config->start[index].restart == RESTART_FAILED);
    default:
        return false;
    }
}

/* The text stands in the ROM with line feeds before it, so that lines are numbered as in the scenario's file.
 */
static enum error child_config_make(struct init *init, unsigned index)
{
    const struct config_start *start = &init->config->start[index];
    struct child *child = &init->child[index];
    size_t lines = start->config_line - 1;
    void *memory;
    enum error error = memory_alloc(lines + start->config_bytes, &child->config, &memory);
    if (error != ERROR_OK) {
        child->config = (struct dataspace){0};
        return error;
    }
    child->config_bytes = lines + start->config_bytes;
    memset(memory, '\n', lines);
    memcpy((char *)memory + lines, init->text + start->config_at, start->config_bytes);
    return dataspace_detach(memory);
}

enum error child_config(struct init *init, unsigned index, uint64_t *handle, uint64_t *bytes)
{
    const struct config_start *start = &init->config->start[index];
    struct child *child = &init->child[index];
    enum error error = ERROR_OK;
    if (start->config_bytes == 0)
        return ERROR_NOT_FOUND;
    if (child->config.handle == 0)
        error = child_config_make(init, index);
    if (error == ERROR_OK && child->config_handle == 0)
        error = creator_share(child->handle, child->config.handle, MEM_READ, &child->config_handle);
    *handle = child->config_handle;
    *bytes = child->config_bytes;
    return error;
}

/* RAM for ram="rest": what is free but for init's reserve and what components still to be started will take.
 */
static uint64_t child_ram(const struct init *init, unsigned index)
{
    const struct init_config *config = init->config;
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
    const struct config_start *start = &init->config->start[index];
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
        .cpus = start->cpus & init->cpus,
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
    const char *name = init->config->start[index].name;
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

void child_stop(struct init *init, unsigned index, uint64_t restart_at)
{
    struct child *child = &init->child[index];
    if (child->handle != 0)
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
        log_line("%s: starts again in %lu ms", init->config->start[index].name,
                 child->backoff / milliseconds(init, 1));
        child->backoff = init_earlier(child->backoff * 2, milliseconds(init, BACKOFF_MAXIMUM));
    }
    child_stop(init, index, restart_at);
}

static void child_failed(struct init *init, unsigned index)
{
    child_over(init, index, init->config->start[index].restart != RESTART_NEVER, BACKOFF_MILLISECONDS);
}

static void child_start(struct init *init, unsigned index)
{
    struct child *child = &init->child[index];
    child->generation = (child->generation + 1) & 0xffffff;
    child->started = tsc_read();
    enum error error = child_create(init, index);
    if (error == ERROR_OK) {
        child->state = CHILD_RUNS;
        child_signal(init, index); /* there may be requests that have waited for it */
        error = creator_start(child->handle, child_portal_id(init, index));
        if (error == ERROR_OK)
            return;
        log_line("%s: cannot be started: %s", init->config->start[index].name, error_text(error));
    }
    child_failed(init, index);
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
    log_line("%s: died: %s at 0x%lx, address 0x%lx, error code 0x%lx", init->config->start[index].name,
             fault_name(fault & 0x1f), instruction, address, fault >> 32);
    child_failed(init, index);
}

static void child_look_for_exit(struct init *init, unsigned index)
{
    uint64_t code = init->child[index].exit_code;
    if (code == 0) {
        log_line("%s: has ended", init->config->start[index].name);
        child_over(init, index, init->config->start[index].restart == RESTART_ALWAYS, GONE_MILLISECONDS);
        if (init->config->start[index].essential) {
            enum error error = platform_off();
            log_line("the machine cannot be powered off: %s", error_text(error));
        }
    } else {
        log_line("%s: has failed with code %ld", init->config->start[index].name, (int64_t)code);
        child_failed(init, index);
    }
}

uint64_t children_work(struct init *init, uint64_t bits)
{
    uint64_t deadline = init->extension != NULL ? init->extension->work(init) : DEADLINE_NEVER;
    for (unsigned i = 0; i < CONFIG_STARTS; i++)
        if (init->child[i].state == CHILD_EXITING)
            child_look_for_exit(init, i);
        else if (init->child[i].state == CHILD_RUNS && (bits & 1ull << i) != 0)
            child_look_for_fault(init, i);
    for (unsigned i = 0; i < CONFIG_STARTS; i++) {
        struct child *child = &init->child[i];
        if (child->state == CHILD_STOPPED && child->restart_at <= tsc_read()) {
            if (init->extension != NULL)
                init->extension->starts(init, i);
            child_start(init, i);
        }
        if (child->state == CHILD_STOPPED)
            deadline = init_earlier(deadline, child->restart_at);
    }
    return deadline;
}
