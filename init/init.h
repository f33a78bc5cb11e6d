/* SPDX-License-Identifier: ISC */
/*
 * init's state and how its parts share it. There is one `struct init`, in init.c; everything runs on the
 * entry EC, one handler at a time, so nothing is locked. Nothing here waits.
 *
 *   init.c     reads the configuration, answers the children's requests, receives notifications
 *   change.c   applies another configuration
 *   child.c    a component's life: start, death, restart
 *   report.c   reports the components' states to other components
 *   session.c  sessions between two components: bundle, news, closing
 *   config.c   the configuration; route.c: which server a request goes to; creator.c: core's operations on children
 */
#pragma once

#include "base/include/dataspace.h"
#include "base/include/session/parent.h"
#include "init/config.h"
#include "init/creator.h"
#include "init/denials.h"

#define INIT_SESSIONS        (CONFIG_STARTS * PARENT_SESSIONS)
#define INIT_SESSION_BLOCK   64u          /* sessions whose memory comes at once */
#define INIT_RAM_RESERVE     0x200000u    /* of init's own quota, kept from ram="rest" */
#define INIT_WORK            (1ull << 62) /* bit of CAP_NT: something is left to do outside of a request */
#define INIT_OWN_SESSION     (1ull << 32) /* set in ids of sessions that core does not know */
#define INIT_PASSED_ON       (1ull << 40) /* added to the ids of the parent, once for each init between */
#define INIT_CONFIG_SESSION  (INIT_OWN_SESSION | 0xffffffffu)
#define INIT_CAP_WORK        CAP_FREE
#define INIT_CAP_CLIENT      (CAP_FREE + 1) /* while a client further below is signalled */
#define INIT_CAP_ROM         (CAP_FREE + 2) /* unused: init has nothing to tell its configuration's server */
#define INIT_CAP_REPORT      (CAP_FREE + 3) /* signals the server of reports */
#define INIT_CAP_NEWS(index) (CAP_FREE + 4 + (index))
#define INIT_ROM_CHANGED     (1ull << 61)

_Static_assert(CONFIG_STARTS <= 48, "each component has a fault bit of its own");

enum child_state {
    CHILD_ENDED,   /* for good, or there is none */
    CHILD_STOPPED, /* not started yet, or could not be; restart_at says when it is tried again */
    CHILD_RUNS,
    CHILD_EXITING, /* it has called PARENT_EXIT; to be destroyed outside of its own request */
};

struct child {
    enum child_state state;
    uint64_t handle;     /* at core, while it runs */
    uint32_t generation; /* counts starts */
    uint64_t exit_code;
    struct dataspace config; /* its <config> as a ROM; handle 0: not made yet */
    size_t config_bytes;
    uint64_t config_handle; /* the same in its own table */
    uint64_t ram;           /* bytes it was created with; 0 while it does not run */
    uint64_t started;       /* TSC */
    uint64_t restart_at;    /* TSC; DEADLINE_NEVER: not to be started */
    uint64_t backoff;       /* ticks until the next restart after a failure */
    struct denials denials; /* of all its lives */
};

enum session_state {
    SESSION_FREE,
    SESSION_CLEARED,   /* its memory is, and then it is requested */
    SESSION_REQUESTED, /* the server has not heard of it */
    SESSION_OFFERED,   /* it has, and has not answered */
    SESSION_READY,
    SESSION_ENDED, /* waits until both sides have let go of it and of the dataspace */
};

struct session_entry {
    enum session_state state;
    uint32_t generation, index;
    unsigned client, server; /* indices of children */
    uint64_t who;            /* the client's path: the child's handle, and what of it is below */
    uint32_t client_generation;
    bool client_here, server_here; /* that side still knows the session */
    enum error reason;             /* why it has ended */
    uint64_t donation, wanted;     /* wanted: by the server that has refused */
    struct dataspace dataspace;
    uint64_t client_handle;
    selector client_base, server_base;
    uint64_t client_bits;
    char service[SERVICE_SIZE], label[LABEL_SIZE], arguments[ARGS_SIZE];
    char served[LABEL_SIZE]; /* the label, as the server sees it */
};

struct init;

/* The extension that tests have; NULL without. */
struct init_extension {
    struct config_more config;
    void (*begin)(struct init *init);                  /* a configuration is there */
    void (*starts)(struct init *init, unsigned index); /* a component is to be started */
    uint64_t (*work)(struct init *init); /* returns the TSC at which it wants to be called again */
};

struct init {
    const struct init_extension *extension;
    const struct init_config *config; /* its places are those of child[] */
    const char *text;                 /* its XML */
    struct child child[CONFIG_STARTS];
    struct session_entry *session[INIT_SESSIONS / INIT_SESSION_BLOCK];
    unsigned sessions; /* for which there is memory */
    uint64_t tsc_hz;
    uint64_t cpus; /* bit a CPU that it may use */
};

/* init.c: runs init; returns only after a failure. */
int init_run(const struct init_extension *extension);

static inline uint64_t init_earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* child.c */

/* The path of one below a child, of whom the child speaks by `client`; 0: the path would be too long. */
uint64_t child_path(const struct init *init, unsigned index, uint64_t client);
/* The id of a child's portal, which tells its requests from others'. */
uint64_t child_portal_id(const struct init *init, unsigned index);
/* False: no running child has this portal. */
bool child_by_portal(const struct init *init, uint64_t id, unsigned *index);
/* Signals NT_PARENT_NEWS to the child. Nothing happens if it does not run. */
void child_signal(const struct init *init, unsigned index);
bool child_will_run(const struct init *init, unsigned index);
/* A read-only handle to its configuration in its own table. ERROR_NOT_FOUND: it has none. */
MUST_CHECK enum error child_config(struct init *init, unsigned index, uint64_t *handle, uint64_t *bytes);
/* The child has called PARENT_EXIT: it is done (0) or has failed. */
void child_exits(struct init *init, unsigned index, uint64_t code);
/* Destroys all that exists of it. restart_at: when it is to be started again; DEADLINE_NEVER: not at all. */
void child_stop(struct init *init, unsigned index, uint64_t restart_at);
/* Faults, exits and starts. Returns the TSC at which it wants to be called again. */
uint64_t children_work(struct init *init, uint64_t bits);

/* change.c */

/* Components that both configurations have alike go on undisturbed; text: the new one's XML. */
void init_change(struct init *init, const struct init_config *config, const char *text);

/* report.c: returns the TSC at which it wants to be called again. */
uint64_t report_work(struct init *init);

/* session.c */

/* Of which this child, or one below it, is the client. */
unsigned sessions_count(const struct init *init, unsigned client);

/* A request of `client` or, by wanted->who, of one below it, routed to `server`. ERROR_PENDING: *id is the
 * session. */
MUST_CHECK enum error session_request(struct init *init, unsigned client, unsigned server,
                                      const struct session_entry *wanted, uint64_t *id);
MUST_CHECK enum error session_state_of(struct init *init, uint64_t who, uint64_t id, uint64_t *handle,
                                       uint64_t *bytes);
MUST_CHECK enum error session_client_closes(struct init *init, uint64_t who, uint64_t id);
/* One below a child is to be destroyed by its parent, with all below it. */
void sessions_client_gone(struct init *init, uint64_t who);
/* The next thing that a server has to hear: its entry, or NULL. *closed: it is to be closed, not opened. What
 * ends comes first: it may make room for what begins. */
const struct session_entry *session_next(struct init *init, unsigned server, uint64_t *id, bool *closed);
MUST_CHECK enum error session_server_ready(struct init *init, unsigned server, uint64_t id, selector base,
                                           uint64_t bits, uint64_t *handle, uint64_t *bytes);
MUST_CHECK enum error session_server_refuses(struct init *init, unsigned server, uint64_t id,
                                             enum error reason, uint64_t wanted);
/* Ends those that the configuration does not allow. */
void sessions_check(struct init *init);
/* The component is dead, its handles and capabilities are gone with it. */
void sessions_child_died(struct init *init, unsigned index);
/* Clears memory for new ones, frees what both sides of others have let go of. Returns the TSC at which it wants to be called again. */
uint64_t sessions_reap(struct init *init);
