/* SPDX-License-Identifier: ISC */
/*
 * The root task's book: protection domains and all they hold. Every structure below lies in pages that its PD
 * pays for, so no component can use up another's room, and a PD's end is one sweep over its own tables.
 *
 * Core's entry ECs, one on each CPU, touch it under one lock (main.c): one request at a time. Under the lock nothing
 * waits. A request checks everything
 * before it changes anything. If the kernel runs out of pages in the middle, the request undoes its changes.
 */
#pragma once

#include "abi/boot.h"
#include "base/include/caps.h"
#include "base/include/log.h"
#include "base/include/message.h"
#include "base/include/session/error.h"
#include "core/memory.h"
#include "core/rate.h"
#include "lib/elf/elf.h"

#include <stdarg.h>
#include <stdbool.h>

#define PDS       64u
#define LOG_LABEL 48u

/*
 * A PD has as many places for handles, for attachments and for connections as its RAM quota says: one for each
 * PLACE_PAGES on top of the least. They lie behind its structure, and it pays for them. Handle 0 is none; those of
 * kernel objects are below HANDLES, where each has selectors of core's.
 */
#define HANDLES     128u
#define PLACES_MAX  960u
#define PLACE_PAGES 16u

#define CORE_UTCB(cpu) (ROOT_UTCB_ADDRESS - (1ull + (cpu)) * PAGE) /* of the entry EC there */

#define BOOT_INFO ((const struct boot_info *)BOOT_INFO_ADDRESS)

/* Core's own selectors: its few, then a block for each PD. */
enum core_selector { CORE_NT = ROOT_SELECTORS, CORE_SELF, CORE_LOG, CORE_WATCH, CORE_ENTRY_EC };
/* Bits of CORE_NT, beside init's death: lines wait to be sent, an EC of core has died. */
#define CORE_LOG_BIT  2u
#define CORE_DEAD_BIT 4u

#define PD_SELECTORS 512u
enum pd_selector {
    SEL_PD,
    SEL_OBJ,
    SEL_HST,
    SEL_PIO,
    SEL_ACCOUNT,
    SEL_NT,
    SEL_ENTRY, /* entry EC */
    SEL_WATCH, /* narrowed: the parent's NT, for faults */
    SEL_SCRATCH,
    SEL_THREADS = 16,  /* EC and SC of each */
    SEL_HANDLES = 128, /* object and narrowed NT of each handle */
};

enum handle_kind {
    HANDLE_NONE,
    HANDLE_RAM,   /* dataspace of its own */
    HANDLE_ROM,   /* boot module */
    HANDLE_SHARE, /* another PD's dataspace */
    HANDLE_CHILD,
    HANDLE_LOG,
    HANDLE_IRQ,
    HANDLE_IO_PORT,
    HANDLE_VM,
    HANDLE_VCPU,
    HANDLE_NT,
    HANDLE_PORTAL,
    HANDLE_PLATFORM,
    HANDLE_INFO,
    HANDLE_DEVICE,
    HANDLE_BAR,     /* dataspace of a device's registers */
    HANDLE_MESSAGE, /* interrupt of a device */
    HANDLE_KINDS
};

struct pd;

struct handle {
    uint8_t kind;
    uint8_t rights; /* MEM_*, of dataspaces */
    bool closing;   /* partly closed: only to be closed further */
    union {
        struct {
            struct run run[RUNS];
            uint64_t bytes;
            uint64_t cleared; /* pages from the start that are zero by now */
            unsigned device;  /* BAR: handle of its device */
            struct handle *shares;
        } memory; /* RAM, ROM, BAR */
        struct {
            struct pd *owner, *holder;
            unsigned handle;
            struct handle *next, **link; /* in the dataspace's list */
        } share;
        struct pd *child;
        char label[LOG_LABEL];
        struct {
            unsigned base, count;
        } ports;
        struct {
            unsigned id;
            bool open; /* it has the function's object */
        } device;
        struct {
            selector client; /* where the client has the capability */
            unsigned vm;     /* vCPU: handle of its VM; message: of its device */
            uint64_t page;   /* vCPU: of its state */
        } object;            /* IRQ, vCPU, NT, portal, message */
    };
};

struct attachment {
    uint64_t page, pages; /* in the space */
    uint64_t from, to;    /* these have been entered: `to` grows in steps, on removal `from` does */
    unsigned handle;      /* what is attached: dataspace, or vCPU for its state page */
    unsigned vm;          /* handle of the VM or device, 0: the own HST space */
};

/* A capability that its holder, in whose table this is, has to another PD's NT. */
struct connection {
    struct pd *holder, *target; /* NULL: unused */
    selector at;
    struct connection *next, **link; /* in the target's list */
};

struct pd {
    unsigned index;  /* in the table of PDs */
    uint64_t serial; /* of no other PD: a request may wait for the lock while another gets the index */
    struct pd *parent;
    struct run pages; /* of this structure */
    char label[LABEL_SIZE];
    uint64_t ram_limit, ram_used; /* pages; used: own, and given to children */
    uint64_t kernel_pages;
    unsigned priority; /* highest of its threads */
    uint64_t cpus; /* bit a CPU: its threads and vCPUs may be there and, as the main thread is, on CPU 0 */
    unsigned children; /* PDs that there may be below it: each counts for all above it */
    unsigned children_used;
    bool started, dying, told_no_iommu;
    struct elf elf;        /* the program */
    const uint8_t *file;   /* in a boot module */
    uint64_t loaded;       /* pages of it that are in place */
    uint64_t portal_entry; /* of its portals; 0: no entry EC */
    struct run image[ELF_SEGMENTS];
    struct run stack[THREADS];     /* count 0: no thread */
    unsigned places, attachments;  /* in each table, and of them in use */
    struct handle *handle;         /* [places] */
    struct attachment *attachment; /* [places], in the order of their spaces and pages */
    struct connection *connection; /* [places] */
    struct connection *signallers; /* connections to it */
    struct rate log_rate;          /* of its lines */
};

/* The reply to a request. */
struct reply {
    uint64_t word[11]; /* behind the error */
    unsigned words;
    const char *text; /* behind these; may be NULL */
};

extern struct memory free_memory;
extern uint64_t memory_total; /* pages that were free at the start */
extern struct pd *pds[PDS];   /* NULL: free; 0 is never used */

static inline selector pd_selector(const struct pd *pd, unsigned which)
{
    return (pd->index + 1ull) * PD_SELECTORS + which;
}

static inline selector handle_selector(const struct pd *pd, unsigned handle)
{
    return pd_selector(pd, SEL_HANDLES + 2 * handle);
}

/* main.c */
extern uint8_t main_stack[]; /* start.S knows its size */
void core_main(void) __attribute__((noreturn));
void core_entry(void); /* start.S */
/* Of its portals: the PD's serial and index, and the CPU between. */
#define PORTAL_ID(pd, cpu) ((pd)->serial << 16 | (uint64_t)(cpu) << 8 | (pd)->index)
void core_request(uint64_t id, uint64_t words) __attribute__((noreturn));

/* book.c */
bool book_start(void);                                   /* false: there is no memory for the book itself */
void book_trim_modules(void);                            /* clears the bytes behind each module's end */
const struct boot_module *module_find(const char *name); /* page-aligned and not empty; NULL: none */
struct run module_run(const struct boot_module *module); /* all pages that it touches */
/* Whether the firmware lets a device use some of it at all times. */
bool memory_is_devices(uint64_t base, uint64_t bytes);
void *physical_pointer(uint64_t physical);                 /* of RAM and modules, in core's window */
const void *physical_map(uint64_t physical, size_t bytes); /* other memory, read-only; NULL: cannot be */

/* capability.c */
enum error kernel_error(enum status status); /* a kernel call's failure as a client's error */
/* Destroys the object and empties core's selector; nothing where it is empty. */
void capability_remove(selector own);
void capability_forget(selector own); /* empties core's selector, the object lives on */

/* log.c */
void log_init(void);
/* One line: unprintable characters are shown as '?', a long line is cut off. rate: its component's, or NULL.
 * It waits in memory until the main thread sends it. */
void log_text(const char *label, const char *session, const char *text, size_t length, struct rate *rate);
/* Sends as much as the UART takes now. True: some is left; call again in 1 / LOG_TURNS s. Main thread. */
bool log_send(void);
/* Sends all that waits, however long it takes: before the machine ends. Main thread. */
void log_flush(void);
void log_core(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* pd.c */
/* word[4]: free and used bytes of RAM, free and used kernel pages. */
MUST_CHECK enum error quota_info(const struct pd *pd, uint64_t *word);
uint64_t pd_time(const struct pd *pd); /* TSC ticks that its threads have run */
MUST_CHECK enum error ram_charge(struct pd *pd, uint64_t pages, struct reply *reply);
struct pd_request {
    const struct handle *rom; /* the program */
    uint64_t ram, kernel;     /* pages */
    unsigned priority, children;
    uint64_t cpus;
    uint64_t watch_bits;
    selector news; /* in the parent's OBJ space */
    const char *label;
};
/* parent NULL: init, which no PD is charged for. Nothing remains of a PD that could not be made. */
MUST_CHECK enum error pd_create(struct pd *parent, const struct pd_request *request, struct pd **result,
                                struct reply *reply);
/* A step: ERROR_MORE until all of the program is in place and it runs. */
MUST_CHECK enum error pd_start(struct pd *pd, uint64_t parent_portal);
/* A step of its end: ERROR_MORE until it is gone. After the first step nothing of it runs. */
MUST_CHECK enum error pd_destroy(struct pd *pd);
struct thread_request {
    unsigned number; /* the thread's slot */
    bool time;       /* global with an SC, else the entry EC */
    uint64_t entry;
    uint64_t words[2]; /* on its stack */
    unsigned priority;
    uint64_t cpu;
    uint64_t stack; /* pages */
};
MUST_CHECK enum error pd_thread(struct pd *pd, const struct thread_request *request, struct reply *reply);
/* Whether it may have something there. */
bool pd_has_cpu(const struct pd *pd, uint64_t cpu);
MUST_CHECK enum error pd_install(struct pd *pd, selector own, selector at, unsigned permissions);
void pd_uninstall(struct pd *pd, selector at);
bool selector_usable(selector at); /* by a client, for a capability to come */
MUST_CHECK enum error pd_map(struct pd *pd, uint64_t page, const struct run *run, uint64_t rights);
MUST_CHECK enum error pd_connect(struct pd *holder, selector at, struct pd *target, uint64_t bits);
void pd_disconnect(struct pd *holder, selector at);

/* handle.c */
struct service;
extern const struct service *handle_services; /* by kind; set at the start */
MUST_CHECK enum error handle_new(struct pd *pd, enum handle_kind kind, unsigned *result);
struct handle *handle_get(struct pd *pd, uint64_t handle, enum handle_kind kind);
/* What it is, or was before it began to be closed; HANDLE_NONE: nothing. */
enum handle_kind handle_kind(const struct pd *pd, uint64_t handle);
/* A step: ERROR_MORE until the handle is free. After the first step it can only be closed further. */
enum error handle_close(struct pd *pd, unsigned handle);

/* dataspace.c */
/* The RAM or ROM behind a handle, and its holder's rights; NULL: none. */
struct handle *handle_memory(struct pd *pd, uint64_t handle, unsigned *rights);
MUST_CHECK enum error dataspace_create(struct pd *pd, uint64_t bytes, unsigned *result, struct reply *reply);
MUST_CHECK enum error dataspace_clear(struct handle *handle);
MUST_CHECK enum error dataspace_share(struct pd *owner, uint64_t handle, struct pd *to, unsigned rights,
                                      unsigned *result);
unsigned dataspace_shares(const struct pd *owner, unsigned handle);
struct attach_request {
    uint64_t handle;
    uint64_t offset, pages; /* in pages; pages 0: to the end */
    uint64_t page;          /* where; 0 in the own HST space: anywhere */
    unsigned vm;            /* 0: own HST space */
    uint64_t rights;
};
/* A step of it: ERROR_MORE until the same request, with *page for the page, has been made often enough. A
 * failure leaves what earlier steps have entered. */
MUST_CHECK enum error attachment_create(struct pd *pd, const struct attach_request *request, uint64_t *page);
/* Pages of the kernel, or unused ones, that are kept free of dataspaces. */
MUST_CHECK enum error attachment_reserve(struct pd *pd, unsigned handle, uint64_t pages, uint64_t *page);
/* A step, too. */
MUST_CHECK enum error attachment_remove(struct pd *pd, unsigned vm, uint64_t page);
/* words: dataspace, offset, bytes, address, rights. Into the space of a VM or device, all in whole pages. */
MUST_CHECK enum error attachment_enter(struct pd *pd, unsigned vm, const uint64_t *words);
/* A step; all attachments of a handle. */
MUST_CHECK enum error attachments_drop(struct pd *pd, unsigned handle);
/* The space of a VM or device goes, with all attachments in it. */
void attachments_end(struct pd *pd, unsigned vm);

/* object.c: objects to which the client has a capability, at object.client */
/* A notification or a portal of the component's own. */
MUST_CHECK enum error object_create(struct pd *pd, enum handle_kind kind, selector at, uint64_t id,
                                    struct reply *reply);

/*
 * services.c: the functions by which each kind of handle is opened, asked and closed. A request names a handle,
 * whose kind selects the service; operations count from 0 in each session's header.
 */
struct open_request {
    selector at;
    uint64_t bits;
    char service[SERVICE_SIZE], label[LABEL_SIZE], arguments[ARGS_SIZE];
};
struct request {
    uint64_t operation;
    uint64_t word[6];       /* behind it; 0 where the message is shorter */
    struct message message; /* the same, from the first word on */
};
/* The handle is there already, with nothing in it. A failure is followed by close. */
typedef enum error open_function(struct pd *pd, const struct open_request *request, unsigned handle);
typedef enum error request_function(struct pd *pd, unsigned handle, const struct request *request,
                                    struct reply *reply);
typedef enum error close_function(struct pd *pd, unsigned handle); /* a step, as handle_close() */
struct service {
    const char *name; /* of its sessions; NULL: it has none */
    open_function *open;
    request_function *request;
    close_function *close;
};
extern const struct service services[HANDLE_KINDS];
MUST_CHECK enum error service_open(struct pd *pd, const struct open_request *request, struct reply *reply);
MUST_CHECK enum error service_close(struct pd *pd, uint64_t handle);

/* log.c, platform.c, irq.c, io_port.c, vm.c, device.c: the services; and of other kinds of handle */
open_function log_open, irq_open, io_port_open, vm_open, device_open;
request_function log_request, platform_request, info_request, vm_request, device_request;
close_function io_port_close, vm_close, vcpu_close, device_close, dataspace_close, object_close, child_close;
void devices_start(void); /* before any has a driver */
bool devices_there(void);
void device_faults(void); /* logs what the IOMMUs have refused since the last call */

/* platform.c: the main thread ends the machine if a request has asked for that */
void platform_end(void);

/* request.c */
extern uint64_t *core_utcb; /* of the entry EC that has the lock */
MUST_CHECK enum error request_serve(struct pd *pd, struct message *message, struct reply *reply);

/* child.c */
MUST_CHECK enum error child_request(struct pd *pd, const struct request *request, struct reply *reply);
