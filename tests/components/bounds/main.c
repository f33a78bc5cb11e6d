/* SPDX-License-Identifier: ISC */
/*
 * How long one request holds core when much is made or given back. The program is its own child: as init it
 * makes one, which hoards all it can get, and ends it. Under deterministic time a tick is an instruction,
 * this component's own part of each call included.
 */
#include "base/include/component.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"
#include "base/include/message.h"
#include "base/include/session.h"
#include "base/include/session/pd.h"

#define INIT_PRIORITY 62u
#define NEWS          100u /* selector */
#define RIGHTS        (MEM_READ | MEM_WRITE)
#define SHARED        (4ul << 20)
#define HOARD         (16ul << 20)
#define PLACE         0x200000001000ul /* no multiple of 2 MiB */
#define PAGE          4096ul
#define HANDLES_MOST  1024u
#define THREADS_MADE  30u
#define OBJECTS       40u
#define MORE_OBJECTS  200u /* their first selector */

static unsigned failures;
static volatile uint8_t large[1u << 20]; /* a program takes some steps to be put in place */

static struct {
    unsigned requests;
    uint64_t longest;
} cost;

static enum error timed(uint64_t operation, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
    uint64_t begin = tsc_read();
    enum error error = core_call(operation, a, b, c, d, e);
    uint64_t ticks = tsc_read() - begin;

    cost.requests++;
    if (ticks > cost.longest)
        cost.longest = ticks;
    return error;
}

static void tell(const char *what, enum error error)
{
    failures += error != ERROR_OK;
    log_line("bounds: %s: %s, %u requests, the longest %lu", what, error_text(error), cost.requests,
             cost.longest);
    cost.requests = 0;
    cost.longest = 0;
}

static void repeat(const char *what, uint64_t operation, uint64_t a, uint64_t b)
{
    enum error error;

    do
        error = timed(operation, a, b, 0, 0, 0);
    while (error == ERROR_MORE);
    tell(what, error);
}

static uint64_t dirty(const char *what, uint64_t bytes, uint64_t place)
{
    enum error error = timed(PD_DATASPACE_ALLOC, bytes, 0, 0, 0, 0);
    uint64_t handle = utcb()[1];

    while (error == ERROR_MORE)
        error = timed(PD_DATASPACE_CLEAR, handle, 0, 0, 0, 0);
    if (what)
        tell(what, error);
    do
        error = core_call(PD_ATTACH, handle, 0, 0, place, RIGHTS);
    while (error == ERROR_MORE);
    failures += error != ERROR_OK;
    /* The last word of each page: whoever looks for it looks at all. */
    for (uint64_t at = place; at < place + bytes; at += PAGE)
        ((volatile uint64_t *)at)[PAGE / 8 - 1] = at; /* NOLINT: an address */
    return handle;
}

/* ---- the child */

static void idle(void *argument)
{
    uint64_t bits;

    (void)argument;
    for (;;) {
        enum status status = nt_wait(MORE_OBJECTS, DEADLINE_NEVER, &bits);
        (void)status;
    }
}

static void hoard(void)
{
    volatile uint64_t *shared = (volatile uint64_t *)(PLACE + 0x100000000ul); /* NOLINT: an address */
    enum error error = ERROR_NOT_FOUND;

    /* What is shared is somewhere in its table, whose size follows from the RAM. */
    for (unsigned handle = 1; handle < HANDLES_MOST && error; handle++)
        do
            error = core_call(PD_ATTACH, handle, 0, 0, (uintptr_t)shared, RIGHTS);
        while (error == ERROR_MORE);
    (void)dirty(NULL, HOARD, PLACE);
    (void)dirty(NULL, HOARD, PLACE + 2 * HOARD);
    for (unsigned i = 0; i < OBJECTS; i++)
        error = notification_create(MORE_OBJECTS + i, NULL);
    for (unsigned i = 0; i < THREADS_MADE && error == ERROR_OK; i++)
        error = thread_create(idle, NULL, 1, 0x10000, 0);
    shared[0] = error == ERROR_OK ? 1 : 2;
    idle(NULL);
}

/* ---- init */

static enum error create(uint64_t rom, uint64_t ram, uint64_t *child)
{
    struct message message = message_at(utcb(), UTCB_WORDS);
    const uint64_t words[] = {CHILD_CREATE, rom, ram, 1000, 10, 1, NEWS, 1, 0};
    unsigned count;
    uint64_t begin = tsc_read();

    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
        message_put(&message, words[i]);
    message_put_string(&message, "hoarder");
    enum status status = ipc_call(CAP_CORE, message.at, &count);
    cost.longest = tsc_read() - begin;
    cost.requests = 1;
    *child = utcb()[1];
    return status == STATUS_OK ? (enum error)utcb()[0] : ERROR_FAULT;
}

static enum error vm_open(uint64_t child)
{
    struct message message = message_at(utcb(), UTCB_WORDS);
    const uint64_t words[] = {PARENT_OPEN, 0, 0, 0, child};
    unsigned count;

    for (unsigned i = 0; i < sizeof(words) / sizeof(*words); i++)
        message_put(&message, words[i]);
    message_put_string(&message, "VM");
    message_put_string(&message, "");
    message_put_string(&message, "");
    enum status status = ipc_call(CAP_CORE, message.at, &count);
    return status == STATUS_OK ? (enum error)utcb()[0] : ERROR_FAULT;
}

static void capabilities(uint64_t child)
{
    enum error error;
    uint64_t at = 0;

    do {
        error = timed(CHILD_CAPABILITIES, child, at, 0, 0, 0);
        at = utcb()[1] + (error == ERROR_OK);
    } while (error == ERROR_OK || error == ERROR_MORE);
    tell("capabilities", error == ERROR_NOT_FOUND ? ERROR_OK : error);
}

static void family(void)
{
    struct rom program;
    uint64_t child, bits, memory;
    volatile uint64_t *shared = (volatile uint64_t *)PLACE; /* NOLINT: an address */
    struct pd_info info;

    failures += large[sizeof(large) - 1];
    if (component_serve(NULL) || pd_info(&info) || rom_open("init", &program)) {
        failures++;
        return;
    }
    tell("create", create(program.session, 64ul << 20, &child));
    memory = dirty("clear", SHARED, PLACE);
    shared[0] = 0;
    failures += core_call(CHILD_SHARE, child, memory, RIGHTS, 0, 0) != ERROR_OK;
    repeat("start", CHILD_START, child, 1);
    while (!shared[0]) {
        enum status status = nt_wait(CAP_NT, tsc_read() + info.tsc_hz / 100, &bits);
        (void)status;
    }
    failures += shared[0] != 1;
    failures += vm_open(child) != ERROR_OK;
    capabilities(child);
    repeat("free what is shared", PD_DATASPACE_FREE, memory, 0);
    repeat("destroy", CHILD_DESTROY, child, 0);
    memory = dirty("clear again", 2 * HOARD, PLACE);
    repeat("free", PD_DATASPACE_FREE, memory, 0);
    tell("thread", timed(PD_THREAD, (uintptr_t)idle, 0, 0, 1, THREAD_STACK_MAX));
}

int component_main(void)
{
    struct pd_info info;

    if (pd_info(&info) == ERROR_OK && info.priority != INIT_PRIORITY)
        hoard();
    family();
    log_line("bounds: done: %u failures", failures);
    return failures != 0;
}
