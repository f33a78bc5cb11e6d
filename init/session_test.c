/* SPDX-License-Identifier: ISC */
/*
 * Sessions between components against a model of core's book: whatever either side does or whenever it dies,
 * the other is told, no foreign session can be touched, and in the end every byte and every capability is
 * back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/include/session.h"
#include "init/init.h"

#define CHILDREN   3u
#define DATASPACES 512u
#define QUOTA      0x100000
#define CLIENT     0u
#define SERVER     1u
#define STRANGER   2u

/* The model. Handle of child i: 100 + i + 10 for each death. */
static struct {
    int64_t quota[CHILDREN]; /* of the child that lives */
    struct {
        bool live;
        uint64_t unclear;          /* steps until it is clear */
        unsigned holder[CHILDREN]; /* handles in the tables of children */
    } dataspace[DATASPACES];
    unsigned connected[CHILDREN]; /* capabilities that the child was given */
    unsigned signals[CHILDREN];
    unsigned fail_connect, fail_share; /* the n-th call from now fails; 0: none */
    bool gone[CHILDREN];               /* will not run again */
    uint64_t paid;                     /* path that was given quota last */
    uint64_t told;                     /* path of the last one below a child that was told something */
} book;

static struct init init;
static struct init_config config;

static unsigned by_handle(uint64_t handle)
{
    handle &= CHILD_MASK; /* what is done to one below is booked for the child */
    for (unsigned i = 0; i < CHILDREN; i++)
        if (init.child[i].ram != 0 && init.child[i].handle == handle)
            return i;
    fail_msg("no child has handle %lu", handle);
    return 0;
}

/* Entries come in blocks, which stay. */
static struct session_entry blocks[INIT_SESSIONS / INIT_SESSION_BLOCK][INIT_SESSION_BLOCK];
static unsigned used_blocks;

enum error memory_alloc(uint64_t bytes, struct dataspace *dataspace, void **attached)
{
    assert_int_equal(bytes, sizeof(blocks[0]));
    *dataspace = (struct dataspace){.handle = 1000, .bytes = bytes};
    *attached = blocks[used_blocks++];
    return ERROR_OK;
}

static bool fails(unsigned *count)
{
    return *count != 0 && --*count == 0;
}

enum error creator_quota(uint64_t child, int64_t bytes)
{
    unsigned index = by_handle(child);
    if (book.quota[index] + bytes < 0)
        return ERROR_NO_RAM;
    book.quota[index] += bytes;
    book.paid = child;
    return ERROR_OK;
}

enum error creator_alloc(uint64_t bytes, uint64_t *handle)
{
    for (unsigned i = 1; i < DATASPACES; i++) {
        if (!book.dataspace[i].live) {
            memset(&book.dataspace[i], 0, sizeof book.dataspace[i]);
            book.dataspace[i].live = true;
            book.dataspace[i].unclear = bytes / 0x100000;
            *handle = i;
            return book.dataspace[i].unclear != 0 ? ERROR_MORE : ERROR_OK;
        }
    }
    return ERROR_NO_RAM;
}

enum error creator_clear(uint64_t handle)
{
    assert_true(book.dataspace[handle].live && book.dataspace[handle].unclear > 0);
    return --book.dataspace[handle].unclear != 0 ? ERROR_MORE : ERROR_OK;
}

enum error dataspace_free(struct dataspace *dataspace)
{
    assert_true(book.dataspace[dataspace->handle].live);
    for (unsigned i = 0; i < CHILDREN; i++)
        assert_int_equal(book.dataspace[dataspace->handle].holder[i], 0);
    book.dataspace[dataspace->handle].live = false;
    *dataspace = (struct dataspace){0};
    return ERROR_OK;
}

enum error creator_share(uint64_t child, uint64_t dataspace, uint64_t rights, uint64_t *handle)
{
    assert_int_equal(rights, MEM_READ | MEM_WRITE);
    assert_true(book.dataspace[dataspace].live);
    if (fails(&book.fail_share))
        return ERROR_LIMIT;
    book.dataspace[dataspace].holder[by_handle(child)]++;
    *handle = dataspace;
    return ERROR_OK;
}

enum error creator_shares(uint64_t dataspace, uint64_t *count)
{
    *count = 0;
    for (unsigned i = 0; i < CHILDREN; i++)
        *count += book.dataspace[dataspace].holder[i];
    return ERROR_OK;
}

enum error creator_connect(uint64_t child, selector free, uint64_t other, uint64_t bits)
{
    if (child == 0) {
        assert_int_equal(bits, NT_PARENT_NEWS);
        assert_int_equal(free, INIT_CAP_CLIENT);
        book.told = other;
        return ERROR_OK;
    }
    (void)bits;
    (void)by_handle(other);
    if (fails(&book.fail_connect))
        return ERROR_EXISTS;
    book.connected[by_handle(child)]++;
    return ERROR_OK;
}

void creator_disconnect(uint64_t child, selector used)
{
    if (used == 0 || child == 0)
        return; /* core refuses the one; the other is init's own */
    unsigned index = by_handle(child);
    assert_true(book.connected[index] > 0);
    book.connected[index]--;
}

void creator_signal(selector nt)
{
    assert_true(nt == INIT_CAP_WORK || nt == INIT_CAP_CLIENT);
}

void child_signal(const struct init *of, unsigned index)
{
    book.signals[index] += of->child[index].state == CHILD_RUNS;
}

bool child_will_run(const struct init *of, unsigned index)
{
    (void)of;
    return !book.gone[index];
}

static uint64_t path_of(unsigned index)
{
    return init.child[index].handle;
}

/* What the components do. */

static void child_begins(unsigned index)
{
    init.child[index].state = CHILD_RUNS;
    init.child[index].generation++;
    init.child[index].handle = 100 + index + 10ull * init.child[index].generation;
    init.child[index].ram = QUOTA;
    book.quota[index] = QUOTA;
}

/* As core does it: handles and capabilities of a child go with it, and those that signal it too. */
static void child_dies(unsigned index)
{
    init.child[index].state = CHILD_STOPPED;
    init.child[index].ram = 0;
    init.child[index].handle = 0;
    book.connected[index] = 0;
    for (unsigned i = 0; i < DATASPACES; i++)
        book.dataspace[i].holder[index] = 0;
    sessions_child_died(&init, index);
}

static int setup(void **state)
{
    (void)state;
    memset(&init, 0, sizeof init);
    memset(blocks, 0, sizeof blocks);
    used_blocks = 0;
    memset(&book, 0, sizeof book);
    init.tsc_hz = 1000000000;
    init.config = &config;
    for (unsigned i = 0; i < CHILDREN; i++)
        child_begins(i);
    return 0;
}

static enum error request(unsigned client, unsigned server, uint64_t donation, uint64_t *id)
{
    struct session_entry wanted = {
        .donation = donation, .client_base = 20, .client_bits = 1, .who = path_of(client)};
    memcpy(wanted.service, "Terminal", 9);
    return session_request(&init, client, server, &wanted, id);
}

static void release(unsigned child, uint64_t handle)
{
    assert_true(book.dataspace[handle].holder[child] > 0);
    book.dataspace[handle].holder[child]--;
}

/* Nothing is left anywhere, but in the children that hold what the test says. */
static void assert_clean(void)
{
    (void)sessions_reap(&init);
    for (unsigned i = 0; i < used_blocks * INIT_SESSION_BLOCK; i++)
        assert_int_equal(blocks[i / INIT_SESSION_BLOCK][i % INIT_SESSION_BLOCK].state, SESSION_FREE);
    for (unsigned i = 0; i < DATASPACES; i++)
        assert_false(book.dataspace[i].live);
    for (unsigned i = 0; i < CHILDREN; i++) {
        assert_int_equal(book.connected[i], 0);
        if (init.child[i].ram != 0)
            assert_int_equal(book.quota[i], QUOTA);
    }
}

/* An open session; returns its id and both handles. */
static uint64_t opened(uint64_t *client_handle, uint64_t *server_handle)
{
    uint64_t id = 0, seen = 0, bytes = 0;
    bool closed = true;
    assert_int_equal(request(CLIENT, SERVER, 5000, &id), ERROR_PENDING);
    assert_int_equal(session_state_of(&init, path_of(CLIENT), id, client_handle, &bytes), ERROR_PENDING);
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    assert_false(closed);
    assert_int_equal(seen, id);
    assert_null(session_next(&init, SERVER, &seen, &closed));
    assert_int_equal(session_server_ready(&init, SERVER, id, 21, 2, server_handle, &bytes), ERROR_OK);
    assert_int_equal(bytes, 8192);
    assert_int_equal(session_state_of(&init, path_of(CLIENT), id, client_handle, &bytes), ERROR_OK);
    assert_int_equal(book.quota[CLIENT], QUOTA - 8192 - 4096);
    return id;
}

static void test_open_and_close(void **state)
{
    (void)state;
    uint64_t client, server, seen, bytes, id = opened(&client, &server);
    bool closed = false;
    assert_int_equal(book.signals[SERVER], 1);
    assert_int_equal(book.signals[CLIENT], 1);
    release(CLIENT, client);
    assert_int_equal(session_client_closes(&init, path_of(CLIENT), id), ERROR_OK);
    assert_int_equal(book.connected[CLIENT] + book.connected[SERVER], 0);
    assert_int_equal(session_state_of(&init, path_of(CLIENT), id, &client, &bytes), ERROR_NOT_FOUND);
    assert_int_equal(book.signals[SERVER], 2);
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    assert_true(closed);
    assert_int_equal(seen, id);
    assert_true(sessions_reap(&init) != DEADLINE_NEVER); /* the server holds the buffer still */
    assert_int_equal(book.quota[CLIENT], QUOTA - 8192 - 4096);
    release(SERVER, server);
    assert_clean();
    assert_int_equal(session_client_closes(&init, path_of(CLIENT), id), ERROR_NOT_FOUND);
}

static void test_closing_is_heard_before_opening(void **state)
{
    (void)state;
    uint64_t client, server, first = opened(&client, &server), second = 0, seen = 0;
    bool closed = false;
    release(CLIENT, client);
    assert_int_equal(session_client_closes(&init, path_of(CLIENT), first), ERROR_OK);
    assert_int_equal(request(CLIENT, SERVER, 0, &second), ERROR_PENDING);
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    assert_true(closed);
    assert_int_equal(seen, first);
    release(SERVER, server);
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    assert_false(closed);
    assert_int_equal(seen, second);
    assert_int_equal(session_server_refuses(&init, SERVER, second, ERROR_BUSY, 0), ERROR_OK);
    assert_int_equal(session_client_closes(&init, path_of(CLIENT), second), ERROR_OK);
    assert_clean();
}

static void test_server_dies(void **state)
{
    (void)state;
    uint64_t client, server, bytes, id = opened(&client, &server);
    child_dies(SERVER);
    assert_int_equal(session_state_of(&init, path_of(CLIENT), id, &client, &bytes), ERROR_CLOSED);
    assert_int_equal(session_state_of(&init, path_of(CLIENT), id, &client, &bytes), ERROR_CLOSED);
    child_begins(SERVER);
    assert_int_equal(session_client_closes(&init, path_of(CLIENT), id), ERROR_OK);
    release(CLIENT, client);
    assert_clean();
}

static void test_server_dies_before_it_answers(void **state)
{
    (void)state;
    uint64_t id = 0, seen = 0, handle, bytes;
    bool closed;
    assert_int_equal(request(CLIENT, SERVER, 0, &id), ERROR_PENDING);
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    child_dies(SERVER);
    child_begins(SERVER);
    assert_int_equal(session_state_of(&init, path_of(CLIENT), id, &handle, &bytes), ERROR_PENDING);
    assert_non_null(session_next(&init, SERVER, &seen, &closed)); /* the next one hears of it */
    assert_int_equal(seen, id);
    book.gone[SERVER] = true;
    child_dies(SERVER);
    assert_int_equal(session_state_of(&init, path_of(CLIENT), id, &handle, &bytes), ERROR_CLOSED);
    assert_clean();
    assert_int_equal(request(CLIENT, SERVER, 0, &id), ERROR_CLOSED);
}

/* The client has never seen its handle, and gets it with the news of the end: or it could not give it back. */
static void test_server_dies_before_the_client_asks(void **state)
{
    uint64_t id = 0, seen = 0, client = 0, server = 0, bytes = 0;
    bool closed;

    (void)state;
    assert_int_equal(request(CLIENT, SERVER, 0, &id), ERROR_PENDING);
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    assert_int_equal(session_server_ready(&init, SERVER, id, 21, 2, &server, &bytes), ERROR_OK);
    child_dies(SERVER);
    assert_int_equal(session_state_of(&init, path_of(CLIENT), id, &client, &bytes), ERROR_CLOSED);
    release(CLIENT, client);
    assert_int_equal(session_client_closes(&init, path_of(CLIENT), id), ERROR_OK);
    child_begins(SERVER);
    assert_clean();
}

static void test_client_dies(void **state)
{
    (void)state;
    uint64_t client, server, seen;
    bool closed = false;
    (void)opened(&client, &server);
    child_dies(CLIENT);
    child_begins(CLIENT); /* the next one must not get its predecessor's donation */
    assert_int_equal(book.connected[SERVER], 0);
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    assert_true(closed);
    release(SERVER, server);
    assert_clean();
}

static void test_refused(void **state)
{
    (void)state;
    uint64_t id = 0, seen = 0, handle, bytes;
    bool closed;
    assert_int_equal(request(CLIENT, SERVER, 0, &id), ERROR_PENDING);
    assert_int_equal(session_server_refuses(&init, SERVER, id, ERROR_BUSY, 0),
                     ERROR_NOT_FOUND); /* not offered */
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    assert_int_equal(session_server_refuses(&init, SERVER, id, ERROR_BUSY, 0), ERROR_OK);
    assert_int_equal(session_server_refuses(&init, SERVER, id, ERROR_BUSY, 0), ERROR_NOT_FOUND);
    assert_int_equal(session_state_of(&init, path_of(CLIENT), id, &handle, &bytes), ERROR_BUSY);
    assert_clean();
}

static void test_selector_of_the_client_is_taken(void **state)
{
    (void)state;
    uint64_t id = 0, seen = 0, handle, bytes;
    bool closed;
    assert_int_equal(request(CLIENT, SERVER, 0, &id), ERROR_PENDING);
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    book.fail_connect = 2;
    assert_int_equal(session_server_ready(&init, SERVER, id, 21, 2, &handle, &bytes), ERROR_CLOSED);
    assert_int_equal(session_state_of(&init, path_of(CLIENT), id, &handle, &bytes), ERROR_EXISTS);
    assert_clean();
}

static void test_selector_of_the_server_is_taken(void **state)
{
    (void)state;
    uint64_t id = 0, seen = 0, handle, bytes;
    bool closed;
    assert_int_equal(request(CLIENT, SERVER, 0, &id), ERROR_PENDING);
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    book.fail_connect = 1;
    assert_int_equal(session_server_ready(&init, SERVER, id, 21, 2, &handle, &bytes), ERROR_EXISTS);
    book.fail_share = 1;
    assert_int_equal(session_server_ready(&init, SERVER, id, 21, 2, &handle, &bytes), ERROR_LIMIT);
    assert_int_equal(session_server_refuses(&init, SERVER, id, ERROR_LIMIT, 0), ERROR_OK);
    assert_int_equal(session_client_closes(&init, path_of(CLIENT), id), ERROR_OK);
    assert_clean();
}

static void test_table_of_the_client_is_full(void **state)
{
    (void)state;
    uint64_t id = 0, seen = 0, handle, bytes, server;
    bool closed = false;
    assert_int_equal(request(CLIENT, SERVER, 0, &id), ERROR_PENDING);
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    book.fail_share = 2;
    assert_int_equal(session_server_ready(&init, SERVER, id, 21, 2, &server, &bytes), ERROR_OK);
    assert_int_equal(session_state_of(&init, path_of(CLIENT), id, &handle, &bytes), ERROR_LIMIT);
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    assert_true(closed);
    release(SERVER, server);
    assert_clean();
}

/* What the client's quota has room for, with a page for each session, and no more than its number. */
static void test_limits(void **state)
{
    (void)state;
    uint64_t ids[PARENT_SESSIONS], id = 0, handle = 0, bytes = 0;
    book.quota[CLIENT] = PARENT_SESSIONS * 8192 + 8191;
    assert_int_equal(request(CLIENT, SERVER, UINT64_MAX, &id), ERROR_BAD_ARGUMENT);
    assert_int_equal(request(CLIENT, SERVER, INT64_MAX, &id), ERROR_BAD_ARGUMENT);
    assert_int_equal(request(CLIENT, SERVER, PARENT_SESSIONS * 8192 + 4096, &id), ERROR_NO_RAM);
    for (unsigned i = 0; i < PARENT_SESSIONS; i++) {
        assert_int_equal(request(CLIENT, SERVER, 4096, &ids[i]), ERROR_PENDING);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(ids[j], ids[i]);
        assert_int_equal(session_state_of(&init, path_of(CLIENT), ids[i], &handle, &bytes), ERROR_PENDING);
    }
    assert_int_equal(book.quota[CLIENT], 8191);
    assert_int_equal(request(CLIENT, SERVER, 0, &id), ERROR_NO_RAM);
    book.quota[CLIENT] += 4096;
    assert_int_equal(request(CLIENT, SERVER, 0, &id), ERROR_LIMIT);
    assert_int_equal(book.quota[CLIENT], 8191 + 4096);
    assert_int_equal(request(STRANGER, SERVER, 0, &id), ERROR_PENDING); /* the others have theirs */
    assert_int_equal(session_client_closes(&init, path_of(STRANGER), id), ERROR_OK);
    for (unsigned i = 0; i < PARENT_SESSIONS; i++)
        assert_int_equal(session_client_closes(&init, path_of(CLIENT), ids[i]), ERROR_OK);
    (void)sessions_reap(&init);
    assert_int_equal(book.quota[CLIENT], PARENT_SESSIONS * 8192 + 8191 + 4096);
    book.quota[CLIENT] = QUOTA;
    assert_clean();
}

/* A large memory is cleared in turns; until then the server hears nothing, and it may end meanwhile. */
static void test_large(void **state)
{
    uint64_t id = 0, seen, handle, bytes;
    unsigned turns = 0;
    bool closed;

    (void)state;
    for (unsigned end = 0; end < 3; end++) {
        book.quota[CLIENT] = 65 << 20;
        assert_int_equal(request(CLIENT, SERVER, 64 << 20, &id), ERROR_PENDING);
        for (turns = 1; turns < 5; turns++) {
            assert_true(sessions_reap(&init) != DEADLINE_NEVER);
            assert_null(session_next(&init, SERVER, &seen, &closed));
            assert_int_equal(session_state_of(&init, path_of(CLIENT), id, &handle, &bytes), ERROR_PENDING);
        }
        if (end == 0) {
            book.gone[SERVER] = true;
            child_dies(SERVER);
            assert_int_equal(session_state_of(&init, path_of(CLIENT), id, &handle, &bytes), ERROR_CLOSED);
            book.gone[SERVER] = false;
            child_begins(SERVER);
        } else if (end == 1) {
            assert_int_equal(session_client_closes(&init, path_of(CLIENT), id), ERROR_OK);
        } else {
            while (sessions_reap(&init) != DEADLINE_NEVER)
                turns++;
            assert_int_equal(turns, 8); /* 64 steps, 8 a turn */
            assert_non_null(session_next(&init, SERVER, &seen, &closed));
            assert_false(closed);
            assert_int_equal(session_client_closes(&init, path_of(CLIENT), id), ERROR_OK);
            assert_non_null(session_next(&init, SERVER, &seen, &closed));
        }
        (void)sessions_reap(&init);
        assert_int_equal(book.quota[CLIENT], 65 << 20);
    }
    book.quota[CLIENT] = QUOTA;
    assert_clean();
}

/* What the server says that it wants comes to the client. */
static void test_wanted(void **state)
{
    uint64_t id = 0, seen, handle, bytes;
    bool closed;

    (void)state;
    assert_int_equal(request(CLIENT, SERVER, 4096, &id), ERROR_PENDING);
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    assert_int_equal(session_server_refuses(&init, SERVER, id, ERROR_NO_RAM, 12345), ERROR_OK);
    assert_int_equal(session_state_of(&init, path_of(CLIENT), id, &handle, &bytes), ERROR_NO_RAM);
    assert_int_equal(bytes, 12345);
    assert_clean();
}

static void test_foreign_sessions(void **state)
{
    (void)state;
    uint64_t client, server, handle, bytes, id = opened(&client, &server);
    assert_int_equal(session_state_of(&init, path_of(STRANGER), id, &handle, &bytes), ERROR_NOT_FOUND);
    assert_int_equal(session_state_of(&init, path_of(SERVER), id, &handle, &bytes), ERROR_NOT_FOUND);
    assert_int_equal(session_client_closes(&init, path_of(STRANGER), id), ERROR_NOT_FOUND);
    assert_int_equal(session_server_ready(&init, STRANGER, id, 1, 1, &handle, &bytes), ERROR_NOT_FOUND);
    assert_int_equal(session_server_ready(&init, SERVER, id, 1, 1, &handle, &bytes),
                     ERROR_NOT_FOUND); /* twice */
    assert_int_equal(session_server_refuses(&init, SERVER, id, ERROR_BUSY, 0), ERROR_NOT_FOUND);
    for (uint64_t other = 0; other < 0x300; other++)
        assert_int_equal(session_client_closes(&init, path_of(CLIENT), id ^ (other + 1)), ERROR_NOT_FOUND);
    assert_int_equal(session_client_closes(&init, path_of(CLIENT), UINT64_MAX), ERROR_NOT_FOUND);
    child_dies(CLIENT);
    child_dies(SERVER);
    assert_clean();
}

/* One below a child: only by its path is the session reached, news goes to it alone, and when it dies the child is
 * paid back, but nothing of the child's is touched. */
static void test_client_below(void **state)
{
    uint64_t below = path_of(CLIENT) | 5 << CHILD_BITS, deeper = below | 7ull << 2 * CHILD_BITS;
    uint64_t path[] = {below, deeper, path_of(CLIENT) | 6 << CHILD_BITS}, id[3], handle, bytes, seen;
    bool closed;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        const struct session_entry wanted = {
            .donation = 4096, .client_base = 20, .client_bits = 1, .who = path[i]};
        assert_int_equal(session_request(&init, CLIENT, SERVER, &wanted, &id[i]), ERROR_PENDING);
        assert_non_null(session_next(&init, SERVER, &seen, &closed));
        assert_int_equal(session_server_ready(&init, SERVER, id[i], 21 + i, 2, &handle, &bytes), ERROR_OK);
        assert_int_equal(book.told, path[i]);
        assert_int_equal(book.signals[CLIENT], 0);
    }
    assert_int_equal(session_state_of(&init, path_of(CLIENT), id[0], &handle, &bytes), ERROR_NOT_FOUND);
    assert_int_equal(session_client_closes(&init, deeper, id[0]), ERROR_NOT_FOUND);
    assert_int_equal(session_state_of(&init, below, id[0], &handle, &bytes), ERROR_OK);
    assert_int_equal(book.connected[CLIENT], 3);
    sessions_client_gone(&init, below); /* and the deeper one with it */
    book.connected[CLIENT] -= 2;        /* what core does */
    assert_int_equal(session_state_of(&init, below, id[0], &handle, &bytes), ERROR_NOT_FOUND);
    assert_int_equal(session_state_of(&init, path[2], id[2], &handle, &bytes), ERROR_OK);
    for (unsigned i = 0; i < 2; i++) {
        assert_non_null(session_next(&init, SERVER, &seen, &closed));
        assert_true(closed);
        release(SERVER, handle - 2 + i);
        release(CLIENT, handle - 2 + i);
    }
    assert_null(session_next(&init, SERVER, &seen, &closed));
    assert_int_equal(sessions_reap(&init), DEADLINE_NEVER);
    assert_int_equal(book.quota[CLIENT], QUOTA - 4096 - 4096);
    assert_int_equal(book.paid, path_of(CLIENT));
    assert_int_equal(session_client_closes(&init, path[2], id[2]), ERROR_OK);
    assert_non_null(session_next(&init, SERVER, &seen, &closed));
    release(SERVER, handle);
    release(CLIENT, handle);
    assert_clean();
}

/* Any order of anything, then both sides die: the book is balanced. */
static void test_random(void **state)
{
    uint32_t random = 1;
    for (unsigned run = 0; run < 300; run++) {
        uint64_t ids[4] = {0}, handle, bytes;
        bool closed;
        (void)setup(state);
        for (unsigned step = 0; step < 60; step++) {
            random = random * 1664525u + 1013904223u;
            unsigned what = random >> 28, which = random >> 20 & 3, who = (random >> 16 & 0xf) % CHILDREN;
            book.fail_connect = (random >> 8 & 0xf) < 2 ? (random >> 8 & 0xf) + 1 : 0;
            book.fail_share = (random >> 12 & 0xf) < 2 ? (random >> 12 & 0xf) + 1 : 0;
            enum error error = ERROR_OK;
            if (what < 3) {
                error = request(who, SERVER, random & 0xffff, &ids[which]);
            } else if (what < 5) {
                uint64_t id;
                if (session_next(&init, SERVER, &id, &closed) != NULL)
                    ids[which] = id;
            } else if (what < 8) {
                error = session_server_ready(&init, who != STRANGER ? SERVER : who, ids[which], 21, 2,
                                             &handle, &bytes);
            } else if (what == 8) {
                error = session_server_refuses(&init, SERVER, ids[which], ERROR_BUSY, 0);
            } else if (what < 11) {
                error = session_state_of(&init, path_of(who), ids[which], &handle, &bytes);
            } else if (what < 13) {
                error = session_client_closes(&init, path_of(who), ids[which]);
            } else if (what == 13) {
                child_dies(who);
                child_begins(who);
            } else {
                (void)sessions_reap(&init);
            }
            assert_true(error < ERRORS);
        }
        for (unsigned i = 0; i < CHILDREN; i++)
            child_dies(i);
        for (unsigned i = 0; i < CHILDREN; i++) {
            book.gone[i] = true;
            sessions_child_died(&init, i);
        }
        assert_clean();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_open_and_close, setup),
        cmocka_unit_test_setup(test_closing_is_heard_before_opening, setup),
        cmocka_unit_test_setup(test_server_dies, setup),
        cmocka_unit_test_setup(test_server_dies_before_it_answers, setup),
        cmocka_unit_test_setup(test_server_dies_before_the_client_asks, setup),
        cmocka_unit_test_setup(test_client_dies, setup),
        cmocka_unit_test_setup(test_refused, setup),
        cmocka_unit_test_setup(test_selector_of_the_client_is_taken, setup),
        cmocka_unit_test_setup(test_selector_of_the_server_is_taken, setup),
        cmocka_unit_test_setup(test_table_of_the_client_is_full, setup),
        cmocka_unit_test_setup(test_limits, setup),
        cmocka_unit_test_setup(test_large, setup),
        cmocka_unit_test_setup(test_wanted, setup),
        cmocka_unit_test_setup(test_foreign_sessions, setup),
        cmocka_unit_test_setup(test_client_below, setup),
        cmocka_unit_test_setup(test_random, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
