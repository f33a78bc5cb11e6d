/* SPDX-License-Identifier: ISC */
/*
 * Requests to parent and core. First those by which a component would get what its configuration does not
 * give: each must be refused. Then random ones, with lengths that lie: whatever they do to us, nobody else
 * may notice.
 */
#include "tests/components/evil/evil.h"

#include "base/include/component.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"
#include "base/include/session.h"
#include "base/include/session/device.h"
#include "base/include/session/log.h"
#include "base/include/session/pd.h"
#include "base/include/session/platform.h"
#include "base/include/session/vm.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void must_fail(struct evil *evil, const char *what, enum error error)
{
    evil->requests++;
    if ((error == ERROR_OK || error == ERROR_PENDING || error == ERROR_MORE) &&
        ++evil->failures <= EVIL_LINES) {
        log_line("evil: %s was granted", what);
    }
}

static void open_at_parent(struct evil *evil, const char *service, const char *label, const char *arguments)
{
    struct session session;
    const struct session_request request = {.service = service,
                                            .label = label,
                                            .arguments = arguments,
                                            .donation = 4096,
                                            .base = CAP_FREE,
                                            .bits = 1};
    must_fail(evil, service, session_open(&request, &session));
}

/* Past init, straight at core, as only init may. */
static void open_at_core(struct evil *evil, const char *service, const char *label, const char *arguments)
{
    for (uint64_t child = 0; child < 4; child++) {
        struct message message = message_at(utcb(), UTCB_WORDS);
        message_put(&message, PARENT_OPEN);
        message_put(&message, CAP_FREE);
        message_put(&message, 0);
        message_put(&message, 1);
        message_put(&message, child);
        message_put_string(&message, service);
        message_put_string(&message, label);
        message_put_string(&message, arguments);
        must_fail(evil, service, portal_call(CAP_CORE, &message, NULL));
    }
}

static void unrouted(struct evil *evil)
{
    static const char *const open[][3] = {
        {"IO_PORT", "0x60", "1"},
        {"IO_PORT", "0x3f8", "8"},
        {"IRQ", "1", ""},
        {"ROM", "core", ""},
        {"ROM", "init", ""},
        {"PLATFORM", "", ""},
        {"DEVICE", "00:04.0", ""},
        {"INFO", "", ""},
        {"VM", "", ""},
        {"Terminal", "", ""},
        {"", "", ""},
        {"PD", "init", ""},
        {"ROM", "../config", ""},
    };
    for (unsigned i = 0; i < COUNT(open); i++) {
        open_at_parent(evil, open[i][0], open[i][1], open[i][2]);
        open_at_core(evil, open[i][0], open[i][1], open[i][2]);
    }
}

/* A LOG session's first operation answers without a word: that is evil's own line. What another session gives
 * has some. */
static enum error session_ask(uint64_t handle, uint64_t operation, uint64_t a, uint64_t b, uint64_t c,
                              uint64_t d)
{
    struct message message = message_at(utcb(), UTCB_WORDS);
    unsigned count = 0;
    const uint64_t words[] = {session_operation(handle, operation), a, b, c, d, 0};
    for (unsigned i = 0; i < COUNT(words); i++)
        message_put(&message, words[i]);
    enum error error = portal_call(CAP_CORE, &message, &count);
    return error == ERROR_OK && count <= 1 ? ERROR_NOT_FOUND : error;
}

/* A path below us that is too long must not become somebody else's, least of all init itself. */
static void sessions_of_others(struct evil *evil)
{
    static const uint64_t paths[] = {1ull << 52, 1ull << 63, UINT64_MAX << 52};

    for (unsigned i = 0; i < COUNT(paths); i++)
        for (uint64_t id = 1; id < 140; id++) {
            must_fail(evil, "a session of init's", session_close_of(paths[i], id));
            must_fail(evil, "a session of init's",
                      session_poll(&(struct session){.id = id, .client = paths[i]}));
        }
}

static void creator_operations(struct evil *evil)
{
    sessions_of_others(evil);
    for (uint64_t operation = CHILD_CREATE; operation <= CHILD_CAPABILITIES; operation++) {
        for (uint64_t child = 0; child < 8; child++) {
            must_fail(evil, "an operation of init's", core_call(operation, child, CAP_FREE, 2, 1, 0));
        }
    }
    for (uint64_t handle = 1; handle < 140; handle++) {
        must_fail(evil, "power off", session_ask(handle, PLATFORM_OFF, 0, 0, 0, 0));
        must_fail(evil, "reset", session_ask(handle, PLATFORM_RESTART, 0, 0, 0, 0));
        must_fail(evil, "information", session_ask(handle, INFO_READ, 0, 0, 0, 0));
        must_fail(evil, "a vCPU", session_ask(handle, VM_VCPU, CAP_FREE, 0, 0, 0));
        for (uint64_t operation = DEVICE_INFO; operation <= DEVICE_UNMAP; operation++) {
            must_fail(evil, "a device", session_ask(handle, operation, 1, 0, 4096, 0));
        }
        must_fail(evil, "guest memory", session_ask(handle, VM_ATTACH, 1, 0, 4096, 0));
    }
}

/* Selectors, addresses and rights that are not a component's to choose. */
static void own_domain(struct evil *evil)
{
    static const uint64_t addresses[] = {
        1,
        0x1000,
        IMAGE_BASE,
        THREAD_BASE,
        0x7fffffffd000,
        0x7fffffffe000,
        0x7ffffffff000,
        0x800000000000,
        0xffff800000000000,
        0xffffffff80000000,
        UINT64_MAX - 4095,
        ATTACH_LIMIT,
    };
    struct rom rom;
    must_fail(evil, "a thread above the own priority",
              core_call(PD_THREAD, (uintptr_t)own_domain, 0, 0, SC_PRIORITIES - 1, 4096));
    must_fail(evil, "a thread in the kernel", core_call(PD_THREAD, 0xffffffff80000000, 0, 0, 0, 4096));
    for (uint64_t at = 0; at < CAP_FREE; at++) {
        must_fail(evil, "dropping a given capability", core_call(PD_DROP, at, 0, 0, 0, 0));
        must_fail(evil, "replacing a given capability", core_call(PD_NOTIFICATION, at, 0, 0, 0, 0));
    }
    must_fail(evil, "a selector out of range", core_call(PD_NOTIFICATION, OBJ_SELECTORS, 0, 0, 0, 0));
    must_fail(evil, "all memory", core_call(PD_DATASPACE_ALLOC, UINT64_MAX, 0, 0, 0, 0));
    must_fail(evil, "much memory", core_call(PD_DATASPACE_ALLOC, UINT64_C(1) << 40, 0, 0, 0, 0));
    if (rom_open("config", &rom) != ERROR_OK) {
        evil->failures++;
        log_line("evil: no configuration to attack");
        return;
    }
    must_fail(evil, "writing to a ROM", core_call(PD_ATTACH, rom.handle, 0, 0, 0, MEM_READ | MEM_WRITE));
    must_fail(evil, "running a ROM", core_call(PD_ATTACH, rom.handle, 0, 0, 0, MEM_READ | MEM_EXECUTE));
    must_fail(evil, "reading behind a ROM", core_call(PD_ATTACH, rom.handle, 1 << 20, 4096, 0, MEM_READ));
    must_fail(evil, "a ROM that is larger", core_call(PD_ATTACH, rom.handle, 0, 1 << 20, 0, MEM_READ));
    must_fail(evil, "a wrap", core_call(PD_ATTACH, rom.handle, 4096, UINT64_MAX - 4095, 0, MEM_READ));
    for (unsigned i = 0; i < COUNT(addresses); i++) {
        must_fail(evil, "an address", core_call(PD_ATTACH, rom.handle, 0, 0, addresses[i], MEM_READ));
        must_fail(evil, "detaching", core_call(PD_DETACH, addresses[i], 0, 0, 0, 0));
    }
}

static uint64_t word_pick(struct evil *evil)
{
    switch (evil_random(evil) % 4) {
    case 0:
        return evil_random(evil) % 24;
    case 1:
        return evil_random(evil) % 1024;
    case 2:
        return evil_random(evil) & ~UINT64_C(0xfff);
    default:
        return evil_random(evil) >> (evil_random(evil) % 64);
    }
}

/* One line, which nobody can take for another's. */
static void log_attack(void)
{
    static const char text[] = "evil: a line\n[core] not core's\r\033[2J";
    log_put(text, sizeof(text) - 1);
}

/* What would end or silence us, or fill the log, is no attack on others. */
static uint64_t operation_pick(struct evil *evil, bool to_parent)
{
    static const uint64_t ranges[] = {PD_INFO, CHILD_CREATE};
    uint64_t operation;
    do {
        if (to_parent || evil_random(evil) % 8 == 0) {
            operation = PARENT_OPEN + evil_random(evil) % 10;
        } else if (evil_random(evil) % 2 == 0) { /* some handle's; the first is our log's */
            operation =
                session_operation(1 + evil_random(evil) % 140, LOG_WRITE + 1 + evil_random(evil) % 10);
        } else {
            operation = evil_pick(evil, ranges, COUNT(ranges)) + evil_random(evil) % 14;
        }
        if (evil_random(evil) % 32 == 0) {
            operation = evil_random(evil);
        }
    } while (operation == PD_THREAD || operation == PARENT_EXIT ||
             (operation >> OPERATION_BITS && (operation & 0xffff) == LOG_WRITE));
    return operation;
}

static void random_request(struct evil *evil)
{
    bool to_parent = evil_random(evil) % 2 == 0;
    uint64_t *words = utcb(), size = evil_random(evil) % 8 == 0 ? UTCB_WORDS : 16;
    uint64_t operation = operation_pick(evil, to_parent);
    unsigned count = (unsigned)(evil_random(evil) % (size + 1)), reply;
    words[0] = operation;
    for (unsigned i = 1; i < size; i++) {
        words[i] = word_pick(evil);
    }
    if (operation == PARENT_CLOSE) {
        words[1] |= 1u << 20; /* not the session of our log */
    }
    if (count == 0) {
        words[0] = 0; /* nothing of ours is to be taken for the operation */
    }
    evil->requests++;
    enum status status = ipc_call(to_parent ? CAP_PARENT : CAP_CORE, count, &reply);
    if (status != STATUS_OK && ++evil->failures <= EVIL_LINES) {
        log_line("evil: request 0x%lx with %u words gave status %u", operation, count, status);
    }
}

/* More words than a UTCB has: the kernel's to refuse. */
static void too_many_words(struct evil *evil)
{
    static const uint64_t counts[] = {UTCB_WORDS + 1, 0x10000, 0x100000001, UINT64_MAX};
    for (unsigned i = 0; i < COUNT(counts); i++) {
        enum status status = system_call_status(CALL_IPC_CALL, CAP_PARENT, counts[i], 0, 0, 0, 0);
        evil->requests++;
        if (status == STATUS_OK && ++evil->failures <= EVIL_LINES) {
            log_line("evil: 0x%lx words were taken", counts[i]);
        }
    }
}

void evil_requests(struct evil *evil, unsigned count)
{
    unrouted(evil);
    creator_operations(evil);
    own_domain(evil);
    too_many_words(evil);
    log_attack();
    for (unsigned i = 0; i < count; i++) {
        random_request(evil);
    }
}
