/* SPDX-License-Identifier: ISC */
/*
 * What the calls refuse. A table says for each call which of its arguments are selectors, of which type and
 * with which permission, and arguments with which it is accepted but for one fault. From it come all the
 * refusals that selectors can earn; a second table has the other arguments at their edges. A refused call
 * must create nothing.
 */
#include "tests/kernel/tests.h"

#include <string.h>

#define ARGUMENTS 6
#define MAX_ROWS  64

/* Selectors, by type: one that works, one without permissions, one whose object is dead, and room for one
 * that lacks a single permission. */
#define LIVE(type) (SELECTOR_FIRST + (type))
#define DEAD(type) (SELECTOR_FIRST + 16u + (type))
#define LACKS      (SELECTOR_FIRST + 32u)
#define TARGET     (SELECTOR_FIRST + 33u) /* free */
#define GST        (SELECTOR_FIRST + 34u)
#define BARE_PD    (SELECTOR_FIRST + 35u) /* without spaces */
#define POOR       (SELECTOR_FIRST + 36u) /* an account without pages */
#define GLOBAL_EC  (SELECTOR_FIRST + 37u)
#define TIMED_EC   (SELECTOR_FIRST + 38u) /* has an SC, and dies as soon as it runs */
#define HST        (SELECTOR_FIRST + 39u)
#define PIO        (SELECTOR_FIRST + 40u)
#define EMPTY      (SELECTOR_FIRST + 41u)
#define DEAD_GST   (SELECTOR_FIRST + 42u)
#define WATCHED_PD (SELECTOR_FIRST + 43u)
#define MSR        (SELECTOR_FIRST + 45u)
#define BUSY_NT    (SELECTOR_FIRST + 44u)
#define WAITER     (SELECTOR_FIRST + 48u) /* has an SC, and waits for BUSY_NT */
#define OBJ        LIVE(OBJECT_SPACE)

#define FREE_GSI    9u /* nobody's in these tests */
#define FREE_DEVICE 0xfbu
#define MSR_STAR    0xc0000081u
#define MSR_PAT     0x277u /* not one that a guest can have */
#define NO_SLEEP    0x0707 /* SLP_TYP values without a meaning: the machine stays up */

struct selector_argument {
    uint8_t type, permission; /* type 0: none; permission 0: it needs none */
};

/* A call that would be accepted. `target`: its first argument has to be a free selector. */
struct call_row {
    const char *name;
    enum call call;
    bool target;
    struct selector_argument selector[ARGUMENTS];
    uint64_t argument[ARGUMENTS];
};

#define ACCOUNT_ARGUMENT                                                                                     \
    {                                                                                                        \
        OBJECT_ACCOUNT, PERM_ACCOUNT_USE                                                                     \
    }
#define NONE                                                                                                 \
    {                                                                                                        \
        0, 0                                                                                                 \
    }
#define ENTRY 0x400000u

static const struct call_row calls[] = {
    {"ipc_call", CALL_IPC_CALL, false, {{OBJECT_PT, PERM_PT_CALL}}, {LIVE(OBJECT_PT)}},
    {"create_account",
     CALL_CREATE_ACCOUNT,
     true,
     {NONE, ACCOUNT_ARGUMENT},
     {TARGET, LIVE(OBJECT_ACCOUNT), 1}},
    {"create_pd", CALL_CREATE_PD, true, {NONE, ACCOUNT_ARGUMENT}, {TARGET, LIVE(OBJECT_ACCOUNT)}},
    {"pd_watch",
     CALL_PD_WATCH,
     false,
     {{OBJECT_PD, PERM_PD_BIND}, {OBJECT_NT, PERM_NT_SIGNAL}},
     {LIVE(OBJECT_PD), LIVE(OBJECT_NT)}},
    {"pd_fault", CALL_PD_FAULT, false, {{OBJECT_PD, PERM_PD_BIND}}, {LIVE(OBJECT_PD)}},
    {"create_space",
     CALL_CREATE_SPACE,
     true,
     {NONE, ACCOUNT_ARGUMENT, NONE, {OBJECT_PD, PERM_PD_BIND}},
     {TARGET, LIVE(OBJECT_ACCOUNT), SPACE_OBJ, BARE_PD}},
    {"create_ec",
     CALL_CREATE_EC,
     true,
     {NONE, ACCOUNT_ARGUMENT, {OBJECT_PD, PERM_PD_BIND}},
     {TARGET, LIVE(OBJECT_ACCOUNT), LIVE(OBJECT_PD), WINDOW, 0, ENTRY}},
    {"create_sc",
     CALL_CREATE_SC,
     true,
     {NONE, ACCOUNT_ARGUMENT, {OBJECT_EC, PERM_EC_BIND_SC}},
     {TARGET, LIVE(OBJECT_ACCOUNT), GLOBAL_EC, 0, SC_BUDGET_MIN}},
    {"create_pt",
     CALL_CREATE_PT,
     true,
     {NONE, ACCOUNT_ARGUMENT, {OBJECT_EC, PERM_EC_BIND_PT}},
     {TARGET, LIVE(OBJECT_ACCOUNT), LIVE(OBJECT_EC), ENTRY, 0}},
    {"create_nt", CALL_CREATE_NT, true, {NONE, ACCOUNT_ARGUMENT}, {TARGET, LIVE(OBJECT_ACCOUNT)}},
    {"create_interrupt",
     CALL_CREATE_INTERRUPT,
     true,
     {NONE, ACCOUNT_ARGUMENT, {OBJECT_PLATFORM, PERM_PLATFORM_IRQ}},
     {TARGET, LIVE(OBJECT_ACCOUNT), LIVE(OBJECT_PLATFORM), FREE_GSI + 1}},
    {"create_device",
     CALL_CREATE_DEVICE,
     true,
     {NONE, ACCOUNT_ARGUMENT, {OBJECT_PLATFORM, PERM_PLATFORM_DEVICE}},
     {TARGET, LIVE(OBJECT_ACCOUNT), LIVE(OBJECT_PLATFORM), FREE_DEVICE}},
    {"create_vcpu",
     CALL_CREATE_VCPU,
     true,
     {NONE, ACCOUNT_ARGUMENT, {OBJECT_PD, PERM_PD_BIND}, {OBJECT_SPACE, PERM_SPACE_ASSIGN}},
     {TARGET, LIVE(OBJECT_ACCOUNT), LIVE(OBJECT_PD), GST, WINDOW}},
    {"create_vcpu with MSRs",
     CALL_CREATE_VCPU,
     true,
     {NONE,
      ACCOUNT_ARGUMENT,
      {OBJECT_PD, PERM_PD_BIND},
      {OBJECT_SPACE, PERM_SPACE_ASSIGN},
      NONE,
      {OBJECT_SPACE, PERM_SPACE_ASSIGN}},
     {TARGET, LIVE(OBJECT_ACCOUNT), LIVE(OBJECT_PD), GST, WINDOW, MSR}},
    {"space_copy",
     CALL_SPACE_COPY,
     false,
     {{OBJECT_SPACE, PERM_SPACE_TAKE}, NONE, {OBJECT_SPACE, PERM_SPACE_GRANT}},
     {ROOT_OBJ, EMPTY, OBJ, 0, 1, PERM_ALL}},
    {"space_remove", CALL_SPACE_REMOVE, false, {{OBJECT_SPACE, PERM_SPACE_GRANT}}, {OBJ, 0, 1}},
    {"cap_info", CALL_CAP_INFO, false, {{OBJECT_SPACE, PERM_SPACE_TAKE}}, {OBJ, 0}},
    {"nt_narrow", CALL_NT_NARROW, false, {{OBJECT_NT, PERM_NT_WAIT}}, {LIVE(OBJECT_NT), TARGET, 1}},
    {"nt_signal", CALL_NT_SIGNAL, false, {{OBJECT_NT, PERM_NT_SIGNAL}}, {LIVE(OBJECT_NT)}},
    {"nt_wait", CALL_NT_WAIT, false, {{OBJECT_NT, PERM_NT_WAIT}}, {LIVE(OBJECT_NT), 0}},
    {"interrupt_bind",
     CALL_INTERRUPT_BIND,
     false,
     {{OBJECT_INTERRUPT, PERM_INTERRUPT_BIND}, {OBJECT_NT, PERM_NT_SIGNAL}},
     {LIVE(OBJECT_INTERRUPT), LIVE(OBJECT_NT)}},
    {"interrupt_ack",
     CALL_INTERRUPT_ACK,
     false,
     {{OBJECT_INTERRUPT, PERM_INTERRUPT_ACK}},
     {LIVE(OBJECT_INTERRUPT)}},
    {"vcpu_run",
     CALL_VCPU_RUN,
     false,
     {{OBJECT_VCPU, PERM_VCPU_RUN}, {OBJECT_NT, PERM_NT_WAIT}},
     {LIVE(OBJECT_VCPU), LIVE(OBJECT_NT), 0}},
    {"account_info", CALL_ACCOUNT_INFO, false, {{OBJECT_ACCOUNT, PERM_ACCOUNT_INFO}}, {LIVE(OBJECT_ACCOUNT)}},
    {"account_move",
     CALL_ACCOUNT_MOVE,
     false,
     {{OBJECT_ACCOUNT, PERM_ACCOUNT_TAKE}, ACCOUNT_ARGUMENT},
     {LIVE(OBJECT_ACCOUNT), LIVE(OBJECT_ACCOUNT), 1}},
    {"ec_control",
     CALL_EC_CONTROL,
     false,
     {{OBJECT_EC, PERM_EC_CONTROL}},
     {LIVE(OBJECT_EC), EC_FS_BASE, WINDOW}},
    {"platform_control power off",
     CALL_PLATFORM_CONTROL,
     false,
     {{OBJECT_PLATFORM, PERM_PLATFORM_POWER}},
     {LIVE(OBJECT_PLATFORM), PLATFORM_POWER_OFF}},
    {"platform_control reset",
     CALL_PLATFORM_CONTROL,
     false,
     {{OBJECT_PLATFORM, PERM_PLATFORM_POWER}},
     {LIVE(OBJECT_PLATFORM), PLATFORM_RESET}},
    {"platform_control free pages",
     CALL_PLATFORM_CONTROL,
     false,
     {{OBJECT_PLATFORM, PERM_PLATFORM_INFO}},
     {LIVE(OBJECT_PLATFORM), PLATFORM_FREE_PAGES}},
    {"platform_control DMA fault",
     CALL_PLATFORM_CONTROL,
     false,
     {{OBJECT_PLATFORM, PERM_PLATFORM_DEVICE}},
     {LIVE(OBJECT_PLATFORM), PLATFORM_DMA_FAULT}},
};

#define LAST_ADDRESS USER_ADDRESS_LIMIT
#define ACCOUNT      LIVE(OBJECT_ACCOUNT)

/* Arguments that are no selectors, selectors of a wrong kind, places that are taken. */
static const struct {
    enum call call;
    enum status status;
    uint64_t argument[ARGUMENTS];
} edges[] = {
    {CALLS, STATUS_BAD_CALL, {0}},
    {(enum call)(CALLS + 1), STATUS_BAD_CALL, {0}},
    {CALL_IPC_CALL, STATUS_BAD_ARG, {LIVE(OBJECT_PT), UTCB_WORDS + 1}},
    {CALL_IPC_CALL, STATUS_BAD_ARG, {LIVE(OBJECT_PT), UINT64_MAX}},
    {CALL_IPC_CALL, STATUS_BAD_ARG, {LIVE(OBJECT_PT), 1ull << 32}},
    {CALL_IPC_REPLY, STATUS_BAD_ARG, {0}},
    {CALL_IPC_REPLY, STATUS_BAD_ARG, {UTCB_WORDS + 1}},
    {CALL_CREATE_ACCOUNT, STATUS_NO_MEMORY, {TARGET, ACCOUNT, 1u << 20}},
    {CALL_CREATE_ACCOUNT, STATUS_NO_MEMORY, {TARGET, ACCOUNT, UINT64_MAX}},
    {CALL_CREATE_ACCOUNT, STATUS_NO_MEMORY, {TARGET, POOR, 0}},
    {CALL_CREATE_PD, STATUS_NO_MEMORY, {TARGET, POOR}},
    {CALL_CREATE_NT, STATUS_NO_MEMORY, {TARGET, POOR}},
    {CALL_CREATE_SPACE, STATUS_NO_MEMORY, {TARGET, POOR, SPACE_GST}},
    {CALL_CREATE_EC, STATUS_NO_MEMORY, {TARGET, POOR, LIVE(OBJECT_PD), WINDOW, 0, ENTRY}},
    {CALL_CREATE_SC, STATUS_NO_MEMORY, {TARGET, POOR, GLOBAL_EC, 0, SC_BUDGET_MIN}},
    {CALL_CREATE_PT, STATUS_NO_MEMORY, {TARGET, POOR, LIVE(OBJECT_EC), ENTRY}},
    {CALL_CREATE_INTERRUPT, STATUS_NO_MEMORY, {TARGET, POOR, ROOT_PLATFORM, FREE_GSI + 1}},
    {CALL_CREATE_VCPU, STATUS_NO_MEMORY, {TARGET, POOR, LIVE(OBJECT_PD), GST, WINDOW}},
    {CALL_PD_WATCH, STATUS_EXISTS, {WATCHED_PD, LIVE(OBJECT_NT)}},
    {CALL_CREATE_SPACE, STATUS_EXISTS, {TARGET, ACCOUNT, SPACE_OBJ, LIVE(OBJECT_PD)}},
    {CALL_CREATE_SPACE, STATUS_EXISTS, {TARGET, ACCOUNT, SPACE_HST, LIVE(OBJECT_PD)}},
    {CALL_CREATE_SPACE, STATUS_EXISTS, {TARGET, ACCOUNT, SPACE_PIO, LIVE(OBJECT_PD)}},
    {CALL_CREATE_SPACE, STATUS_BAD_ARG, {TARGET, ACCOUNT, SPACE_MEM, BARE_PD}},
    {CALL_CREATE_SPACE, STATUS_BAD_ARG, {TARGET, ACCOUNT, SPACE_PORTS, BARE_PD}},
    {CALL_CREATE_SPACE, STATUS_BAD_ARG, {TARGET, ACCOUNT, SPACE_KINDS, BARE_PD}},
    {CALL_CREATE_SPACE, STATUS_BAD_ARG, {TARGET, ACCOUNT, 1ull << 32, BARE_PD}},
    {CALL_CREATE_EC, STATUS_BAD_ARG, {TARGET, ACCOUNT, BARE_PD, WINDOW, 0, ENTRY}},
    {CALL_CREATE_EC, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), WINDOW | 4, 0, ENTRY}},
    {CALL_CREATE_EC, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), WINDOW | 8, 0, ENTRY}},
    {CALL_CREATE_EC,
     STATUS_BAD_CPU,
     {TARGET, ACCOUNT, LIVE(OBJECT_PD), WINDOW | 63u << EC_CPU_SHIFT, 0, ENTRY}},
    {CALL_CREATE_EC, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), WINDOW | 0x800, 0, ENTRY}},
    {CALL_CREATE_EC, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), LAST_ADDRESS, 0, ENTRY}},
    {CALL_CREATE_EC, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), 1ull << 47, 0, ENTRY}},
    {CALL_CREATE_EC, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), UINT64_MAX << 12, 0, ENTRY}},
    {CALL_CREATE_EC, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), WINDOW, 0, LAST_ADDRESS}},
    {CALL_CREATE_EC, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), WINDOW, 0, 1ull << 47}},
    {CALL_CREATE_EC, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), WINDOW, LAST_ADDRESS + 1, ENTRY}},
    {CALL_CREATE_EC, STATUS_EXISTS, {TARGET, ACCOUNT, ROOT_PD, 0x400000, 0, ENTRY}},
    {CALL_CREATE_EC, STATUS_EXISTS, {TARGET, ACCOUNT, ROOT_PD, 0x400000 | EC_FPU | EC_GLOBAL, 0, ENTRY}},
    {CALL_CREATE_EC, STATUS_EXISTS, {TARGET, ACCOUNT, LIVE(OBJECT_PD), UTCB_BASE, 0, ENTRY}},
    {CALL_CREATE_SC, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_EC), 0, SC_BUDGET_MIN}},
    {CALL_CREATE_SC, STATUS_BAD_ARG, {TARGET, ACCOUNT, GLOBAL_EC, SC_PRIORITIES, SC_BUDGET_MIN}},
    {CALL_CREATE_SC, STATUS_BAD_ARG, {TARGET, ACCOUNT, GLOBAL_EC, 1ull << 32, SC_BUDGET_MIN}},
    {CALL_CREATE_SC, STATUS_BAD_ARG, {TARGET, ACCOUNT, GLOBAL_EC, 0, SC_BUDGET_MIN - 1}},
    {CALL_CREATE_SC, STATUS_BAD_ARG, {TARGET, ACCOUNT, GLOBAL_EC, 0, 0}},
    {CALL_CREATE_SC, STATUS_EXISTS, {TARGET, ACCOUNT, WAITER, 0, SC_BUDGET_MIN}},
    {CALL_CREATE_PT, STATUS_BAD_ARG, {TARGET, ACCOUNT, GLOBAL_EC, ENTRY}},
    {CALL_CREATE_PT, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_EC), LAST_ADDRESS}},
    {CALL_CREATE_PT, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_EC), UINT64_MAX}},
    {CALL_CREATE_INTERRUPT, STATUS_BAD_ARG, {TARGET, ACCOUNT, ROOT_PLATFORM, 0xffff}},
    {CALL_CREATE_INTERRUPT, STATUS_BAD_ARG, {TARGET, ACCOUNT, ROOT_PLATFORM, FREE_GSI | INTERRUPT_MSI}},
    {CALL_CREATE_INTERRUPT, STATUS_BAD_ARG, {TARGET, ACCOUNT, ROOT_PLATFORM, FREE_GSI | 0x80000}},
    {CALL_CREATE_INTERRUPT,
     STATUS_BAD_CPU,
     {TARGET, ACCOUNT, ROOT_PLATFORM, (FREE_GSI + 1) | 63u << INTERRUPT_CPU_SHIFT}},
    {CALL_CREATE_INTERRUPT, STATUS_BAD_ARG, {TARGET, ACCOUNT, ROOT_PLATFORM, FREE_GSI | 1ull << 32}},
    {CALL_CREATE_INTERRUPT, STATUS_BUSY, {TARGET, ACCOUNT, ROOT_PLATFORM, FREE_GSI}},
    {CALL_CREATE_VCPU, STATUS_BAD_ARG, {TARGET, ACCOUNT, BARE_PD, GST, WINDOW}},
    {CALL_CREATE_VCPU, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), HST, WINDOW}},
    {CALL_CREATE_VCPU, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), OBJ, WINDOW}},
    {CALL_CREATE_VCPU, STATUS_BAD_CPU, {TARGET, ACCOUNT, LIVE(OBJECT_PD), GST, WINDOW + 63}},
    {CALL_CREATE_VCPU, STATUS_BAD_CPU, {TARGET, ACCOUNT, LIVE(OBJECT_PD), GST, WINDOW + 0xfff}},
    {CALL_CREATE_VCPU, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), GST, WINDOW, GST}},
    {CALL_CREATE_VCPU, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), GST, LAST_ADDRESS}},
    {CALL_CREATE_VCPU, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), GST, 1ull << 47}},
    {CALL_CREATE_VCPU, STATUS_EXISTS, {TARGET, ACCOUNT, LIVE(OBJECT_PD), GST, UTCB_BASE}},
    {CALL_DESTROY, STATUS_BAD_CAP, {EMPTY}},
    {CALL_DESTROY, STATUS_BAD_CAP, {OBJ_SELECTORS}},
    {CALL_DESTROY, STATUS_BAD_CAP, {1ull << 32 | LIVE(OBJECT_NT)}},
    {CALL_DESTROY, STATUS_BAD_PERM, {ROOT_PLATFORM}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, OBJ, 0, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, PIO, 0, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_PORTS, 0, HST, 0, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_OBJ, 0, HST, 0, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_OBJ, 0, ROOT_MEM, 0, 1, PERM_ALL}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_HST, 0x400, HST, 0, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {GST, 0, HST, 0, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_PIO, 0, PIO, 0, 1, 0}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, ROOT_MEM, 0, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, HST, 0, 1, 0}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, HST, 0, 1, MEM_WRITE}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, HST, 0, 1, MEM_READ | 8}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, HST, 0, 1, MEM_READ | MEM_UNCACHED | MEM_WRITE_COMBINE}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, HST, 0, 1, MEM_READ | 1ull << 32}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, HST, HST_PAGES, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, HST, HST_PAGES - 1, 2, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, HST, 1, UINT64_MAX, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, HST, UINT64_MAX, 2, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, UINT64_MAX, HST, 0, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, HST, 0, 1ull << 36, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 1ull << 40, HST, 0, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, GST, GST_PAGES, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_PORTS, 1, PIO, 2, 1, 0}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_PORTS, PIO_PORTS, PIO, PIO_PORTS, 1, 0}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_PORTS, PIO_PORTS - 1, PIO, PIO_PORTS - 1, 2, 0}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_PORTS, 1, PIO, 1, UINT64_MAX, 0}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_OBJ, OBJ_SELECTORS, OBJ, 0, 1, PERM_ALL}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_OBJ, 0, OBJ, OBJ_SELECTORS, 1, PERM_ALL}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_OBJ, OBJ_SELECTORS - 1, OBJ, 0, 2, PERM_ALL}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_OBJ, 1, OBJ, 0, UINT64_MAX, PERM_ALL}},
    {CALL_SPACE_COPY, STATUS_EXISTS, {ROOT_OBJ, ROOT_PD, ROOT_OBJ, ROOT_PD, 1, PERM_ALL}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {ROOT_MEM, 0, 1}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {ROOT_PORTS, 0, 1}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {HST, HST_PAGES, 1}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {HST, 1, HST_PAGES}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {HST, 1, UINT64_MAX}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {GST, GST_PAGES, 1}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {GST, 1, GST_PAGES}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {PIO, PIO_PORTS, 1}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {PIO, 1, PIO_PORTS}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {OBJ, OBJ_SELECTORS, 1}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {OBJ, 1, OBJ_SELECTORS}},
    {CALL_CAP_INFO, STATUS_BAD_ARG, {OBJ, OBJ_SELECTORS}},
    {CALL_CAP_INFO, STATUS_BAD_ARG, {OBJ, UINT64_MAX}},
    {CALL_CAP_INFO, STATUS_BAD_ARG, {HST, 0}},
    {CALL_CAP_INFO, STATUS_BAD_ARG, {ROOT_MEM, 0}},
    {CALL_NT_NARROW, STATUS_BAD_ARG, {LIVE(OBJECT_NT), OBJ_SELECTORS, 1}},
    {CALL_NT_NARROW, STATUS_EXISTS, {LIVE(OBJECT_NT), LIVE(OBJECT_NT), 1}},
    {CALL_NT_WAIT, STATUS_TIMEOUT, {LIVE(OBJECT_NT), 0}},
    {CALL_NT_WAIT, STATUS_BUSY, {BUSY_NT, 0}},
    {CALL_VCPU_RUN, STATUS_BUSY, {LIVE(OBJECT_VCPU), BUSY_NT, 0}},
    {CALL_VCPU_RUN, STATUS_TIMEOUT, {LIVE(OBJECT_VCPU), LIVE(OBJECT_NT), 0}},
    {CALL_CREATE_VCPU, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), GST, WINDOW, GST}},
    {CALL_CREATE_VCPU, STATUS_BAD_ARG, {TARGET, ACCOUNT, LIVE(OBJECT_PD), MSR, WINDOW, MSR}},
    {CALL_CREATE_INTERRUPT,
     STATUS_BAD_ARG,
     {TARGET, ACCOUNT, ROOT_PLATFORM, INTERRUPT_MSI | INTERRUPT_LEVEL}},
    {CALL_CREATE_INTERRUPT, STATUS_BAD_ARG, {TARGET, ACCOUNT, ROOT_PLATFORM, INTERRUPT_MSI | INTERRUPT_LOW}},
    {CALL_CREATE_INTERRUPT, STATUS_BAD_CPU, {TARGET, ACCOUNT, ROOT_PLATFORM, INTERRUPT_MSI | 63u << 24}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MSRS, MSR_PAT, MSR, MSR_PAT, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MSRS, MSR_STAR, MSR, MSR_STAR, 5, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MSRS, MSR_STAR, MSR, MSR_STAR + 1, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MSRS, MSR_STAR, MSR, MSR_STAR, 1, MEM_READ | MEM_EXECUTE}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MSRS, MSR_STAR, MSR, MSR_STAR, 65, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MSRS, MSR_STAR, MSR, MSR_STAR, UINT64_MAX, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MSRS, UINT64_MAX, MSR, UINT64_MAX, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MSRS, MSR_STAR, GST, MSR_STAR, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {MSR, MSR_STAR, MSR, MSR_STAR, 1, MEM_READ}},
    {CALL_SPACE_COPY, STATUS_BAD_ARG, {ROOT_MEM, 0, MSR, 0, 1, MEM_READ}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {ROOT_MSRS, MSR_STAR, 1}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {MSR, MSR_PAT, 1}},
    {CALL_SPACE_REMOVE, STATUS_BAD_ARG, {MSR, MSR_STAR, UINT64_MAX}},
    {CALL_ACCOUNT_MOVE, STATUS_NO_MEMORY, {POOR, ACCOUNT, 1}},
    {CALL_ACCOUNT_MOVE, STATUS_NO_MEMORY, {ACCOUNT, POOR, 1u << 20}},
    {CALL_ACCOUNT_MOVE, STATUS_NO_MEMORY, {ACCOUNT, ACCOUNT, UINT64_MAX}},
    {CALL_EC_CONTROL, STATUS_BUSY, {ROOT_EC, EC_STATE}},
    {CALL_EC_CONTROL, STATUS_BAD_ARG, {LIVE(OBJECT_EC), EC_OPERATIONS}},
    {CALL_EC_CONTROL, STATUS_BAD_ARG, {LIVE(OBJECT_EC), UINT64_MAX}},
    {CALL_EC_CONTROL, STATUS_BAD_ARG, {ROOT_EC, EC_CEILING, 1}},
    {CALL_EC_CONTROL, STATUS_BAD_ARG, {LIVE(OBJECT_EC), EC_FS_BASE, LAST_ADDRESS}},
    {CALL_EC_CONTROL, STATUS_BAD_ARG, {LIVE(OBJECT_EC), EC_FS_BASE, 1ull << 47}},
    {CALL_EC_CONTROL, STATUS_BAD_ARG, {LIVE(OBJECT_EC), EC_FS_BASE, UINT64_MAX}},
    {CALL_PLATFORM_CONTROL, STATUS_BAD_ARG, {ROOT_PLATFORM, PLATFORM_OPERATIONS}},
    {CALL_PLATFORM_CONTROL, STATUS_BAD_ARG, {ROOT_PLATFORM, UINT64_MAX}},
    {CALL_PLATFORM_CONTROL, STATUS_BAD_ARG, {ROOT_PLATFORM, PLATFORM_IDLE_TIME, 64}},
    {CALL_PLATFORM_CONTROL, STATUS_BAD_ARG, {ROOT_PLATFORM, PLATFORM_OBJECTS, OBJECT_NONE}},
    {CALL_PLATFORM_CONTROL, STATUS_BAD_ARG, {ROOT_PLATFORM, PLATFORM_OBJECTS, OBJECT_TYPES}},
};

static _Noreturn void waits(uint64_t nt)
{
    uint64_t bits;

    (void)!nt_wait(nt, DEADLINE_NEVER, &bits);
    thread_end();
}

/* One object of each type, at `place(type)`, in a PD of its own. */
static void make_objects(unsigned base, uint64_t gsi, uint64_t at)
{
#define AT(type) (base + (type))
    OK(create_account(AT(OBJECT_ACCOUNT), ROOT_ACCOUNT, 400));
    OK(create_pd(AT(OBJECT_PD), ROOT_ACCOUNT));
    OK(create_space(AT(OBJECT_SPACE), ROOT_ACCOUNT, SPACE_OBJ, AT(OBJECT_PD)));
    OK(create_space(base == LIVE(0) ? HST : EMPTY, ROOT_ACCOUNT, SPACE_HST, AT(OBJECT_PD)));
    OK(create_ec(AT(OBJECT_EC), ROOT_ACCOUNT, AT(OBJECT_PD), at, 0, 0, ENTRY));
    OK(create_ec(base == LIVE(0) ? TIMED_EC : LACKS, ROOT_ACCOUNT, AT(OBJECT_PD), at + PAGE, EC_GLOBAL, 0,
                 ENTRY));
    OK(create_sc(AT(OBJECT_SC), ROOT_ACCOUNT, base == LIVE(0) ? TIMED_EC : LACKS, 0, SC_BUDGET_MIN));
    OK(create_pt(AT(OBJECT_PT), ROOT_ACCOUNT, AT(OBJECT_EC), ENTRY, 0));
    OK(create_nt(AT(OBJECT_NT), ROOT_ACCOUNT));
    OK(create_interrupt(AT(OBJECT_INTERRUPT), ROOT_ACCOUNT, ROOT_PLATFORM, gsi));
    if (base != LIVE(0))
        OK(create_space(DEAD_GST, ROOT_ACCOUNT, SPACE_GST, 0));
    OK(create_vcpu(AT(OBJECT_VCPU), ROOT_ACCOUNT, AT(OBJECT_PD), base == LIVE(0) ? GST : DEAD_GST,
                   at + 2 * PAGE));
#undef AT
}

static void make_fixture(void)
{
    uint64_t none, used;

    OK(create_space(GST, ROOT_ACCOUNT, SPACE_GST, 0));
    OK(create_space(MSR, ROOT_ACCOUNT, SPACE_MSR, 0));
    make_objects(LIVE(0), FREE_GSI, UTCB_BASE);
    OK(create_space(PIO, ROOT_ACCOUNT, SPACE_PIO, LIVE(OBJECT_PD)));
    OK(space_copy(ROOT_OBJ, ROOT_PLATFORM, ROOT_OBJ, LIVE(OBJECT_PLATFORM), 1, PERM_ALL));
    make_objects(DEAD(0), FREE_GSI - 1, UTCB_BASE);
    for (unsigned type = OBJECT_ACCOUNT; type < OBJECT_PLATFORM; type++)
        OK(destroy(DEAD(type)));
    OK(destroy(DEAD_GST));
    OK(space_remove(ROOT_OBJ, EMPTY, 1));
    OK(space_remove(ROOT_OBJ, LACKS, 1));
    OK(create_pd(BARE_PD, ROOT_ACCOUNT));
    OK(create_pd(WATCHED_PD, ROOT_ACCOUNT));
    OK(pd_watch(WATCHED_PD, LIVE(OBJECT_NT)));
    OK(create_account(POOR, ROOT_ACCOUNT, 0));
    OK(account_info(POOR, &none, &used));
    OK(create_ec(GLOBAL_EC, ROOT_ACCOUNT, LIVE(OBJECT_PD), UTCB_BASE + 8 * PAGE, EC_GLOBAL, 0, ENTRY));
    OK(create_nt(BUSY_NT, ROOT_ACCOUNT));
    for (unsigned i = 0; i < 48; i++)
        (void)fresh();
    (void)thread_start(&own, 0, waits, BUSY_NT, 62, 0);
    for (unsigned i = 0; i < 1000 && nt_wait(BUSY_NT, 0, &none) != STATUS_BUSY; i++)
        pass(milliseconds(2));
}

static struct {
    uint64_t done, wrong;
} result;

/* Make the call; it must be refused so, and create nothing. */
static void refused(const char *name, const char *why, enum call call, const uint64_t *a, enum status status)
{
    uint64_t first, second, info = 0, bits;
    enum status got = system_call(call, a[0], a[1], a[2], a[3], a[4], a[5], &first, &second);

    result.done++;
    OK(cap_info(ROOT_OBJ, TARGET, &info, &bits));
    if (got == status && !info) {
        covers(call, status);
        return;
    }
    result.wrong++;
    say("FAIL refusals: %s, %s (%x, %x, %x, %x): expected %s, got %s%s", name, why, a[0], a[1], a[2], a[3],
        status_name(status), status_name(got), info ? " and a capability" : "");
    if (info) {
        (void)!destroy(TARGET);
        (void)!space_remove(ROOT_OBJ, TARGET, 1);
    }
}

static void refuse_selector(const struct call_row *row, unsigned i)
{
    struct selector_argument need = row->selector[i];
    uint64_t a[ARGUMENTS];
    selector good = row->argument[i];

    memcpy(a, row->argument, sizeof(a));
    a[i] = EMPTY;
    refused(row->name, "empty selector", row->call, a, STATUS_BAD_CAP);
    a[i] = OBJ_SELECTORS;
    refused(row->name, "selector out of range", row->call, a, STATUS_BAD_CAP);
    a[i] = UINT64_MAX;
    refused(row->name, "selector out of range", row->call, a, STATUS_BAD_CAP);
    a[i] = good | 1ull << 32;
    refused(row->name, "selector with a high bit", row->call, a, STATUS_BAD_CAP);
    a[i] = OBJ_SELECTORS - 1;
    refused(row->name, "last selector", row->call, a, STATUS_BAD_CAP);
    for (unsigned type = OBJECT_ACCOUNT; type < OBJECT_TYPES; type++) {
        a[i] = LIVE(type);
        if (type != need.type)
            refused(row->name, "wrong type", row->call, a, STATUS_BAD_CAP);
    }
    if (need.permission) {
        OK(space_copy(ROOT_OBJ, good, ROOT_OBJ, LACKS, 1, PERM_ALL & ~(uint64_t)need.permission));
        a[i] = LACKS;
        refused(row->name, "permission missing", row->call, a, STATUS_BAD_PERM);
        OK(space_remove(ROOT_OBJ, LACKS, 1));
        OK(space_copy(ROOT_OBJ, good, ROOT_OBJ, LACKS, 1, 0));
        refused(row->name, "no permission", row->call, a, STATUS_BAD_PERM);
        OK(space_remove(ROOT_OBJ, LACKS, 1));
    }
    if (need.type == OBJECT_PLATFORM)
        return;
    a[i] = good == GST ? DEAD_GST : DEAD(need.type);
    refused(row->name, "dead object", row->call, a, STATUS_DEAD);
}

static void refuse_target(const struct call_row *row)
{
    static const struct {
        const char *why;
        selector target;
        enum status status;
    } targets[] = {
        {"target taken", LIVE(OBJECT_NT), STATUS_EXISTS},
        {"target taken by a dead object", DEAD(OBJECT_NT), STATUS_EXISTS},
        {"target out of range", OBJ_SELECTORS, STATUS_BAD_ARG},
        {"target out of range", UINT64_MAX, STATUS_BAD_ARG},
        {"target with a high bit", 1ull << 32 | TARGET, STATUS_BAD_ARG},
    };
    uint64_t a[ARGUMENTS];

    memcpy(a, row->argument, sizeof(a));
    for (unsigned i = 0; i < COUNT(targets); i++) {
        a[0] = targets[i].target;
        refused(row->name, targets[i].why, row->call, a, targets[i].status);
    }
}

static void refuse_destroy(void)
{
    for (unsigned type = OBJECT_ACCOUNT; type <= OBJECT_PLATFORM; type++) {
        uint64_t a[ARGUMENTS] = {LACKS};

        OK(space_copy(ROOT_OBJ, LIVE(type), ROOT_OBJ, LACKS, 1, PERM_ALL & ~(uint64_t)PERM_DESTROY));
        refused("destroy", "permission missing", CALL_DESTROY, a, STATUS_BAD_PERM);
        OK(space_remove(ROOT_OBJ, LACKS, 1));
        if (type != OBJECT_PLATFORM)
            EXPECT_CALL(CALL_DESTROY, destroy(DEAD(type)), STATUS_OK);
    }
}

static void refuse_all(void)
{
    memset(&result, 0, sizeof(result));
    make_fixture();
    for (unsigned r = 0; r < COUNT(calls); r++) {
        for (unsigned i = 0; i < COUNT(calls[r].selector); i++) {
            if (calls[r].selector[i].type)
                refuse_selector(&calls[r], i);
        }
        if (calls[r].target)
            refuse_target(&calls[r]);
    }
    refuse_destroy();
    for (unsigned i = 0; i < COUNT(edges); i++)
        refused("edges", "", edges[i].call, edges[i].argument, edges[i].status);
    say("ktest: %u refusals", result.done);
    EXPECT(result.wrong, 0);
}

/* The same fixture, every call as the table has it: it is the one fault that was refused, not all. */
static void accept_all(void)
{
    make_fixture();
    for (unsigned r = 0; r < COUNT(calls); r++) {
        const uint64_t *a = calls[r].argument;
        uint64_t first, second;
        enum status status;

        if (calls[r].call == CALL_PLATFORM_CONTROL && a[1] < PLATFORM_FREE_PAGES)
            continue;
        if (calls[r].call == CALL_IPC_CALL) /* the portal has no code behind it */
            continue;
        status = system_call(calls[r].call, a[0], a[1], a[2], a[3], a[4], a[5], &first, &second);
        if (calls[r].call == CALL_NT_WAIT || calls[r].call == CALL_VCPU_RUN)
            status = status == STATUS_TIMEOUT ? STATUS_OK : status;
        if (calls[r].call == CALL_CREATE_DEVICE && !(BOOT->features & BOOT_FEATURE_IOMMU)) {
            expect_call(calls[r].name, calls[r].call, status, STATUS_UNSUPPORTED);
            continue;
        }
        expect_call(calls[r].name, calls[r].call, status, STATUS_OK);
        if (calls[r].target || calls[r].call == CALL_NT_NARROW) {
            if (calls[r].call != CALL_NT_NARROW)
                (void)!destroy(TARGET);
            OK(space_remove(ROOT_OBJ, TARGET, 1));
        }
        if (calls[r].call == CALL_NT_SIGNAL)
            OK(nt_wait(LIVE(OBJECT_NT), 0, &first));
    }
}

static void power_stays(void)
{
    uint64_t first, second;

    EXPECT_CALL(CALL_PLATFORM_CONTROL,
                platform_control(ROOT_PLATFORM, PLATFORM_POWER_OFF, NO_SLEEP, &first, &second),
                STATUS_UNSUPPORTED);
}

/* A creating call that lacks a page for the selector: an OBJ space whose account is empty. Told are the
 * refused call and that it was the OBJ space's account. */
static struct {
    volatile enum status status[CALLS];
    volatile uint64_t payer[CALLS];
} poor;

#define POOR_PAGES 8u

static void creates_without_selectors(uint64_t rows)
{
    for (uint64_t r = 0; r < rows; r++) {
        const uint64_t *a = calls[r].argument;
        uint64_t payer = UINT64_MAX, none, target = OBJ_SELECTORS - 1;

        if (calls[r].target)
            poor.status[calls[r].call] =
                system_call(calls[r].call, target, a[1], a[2], a[3], a[4], a[5], &payer, &none);
        else if (calls[r].call == CALL_NT_NARROW)
            poor.status[calls[r].call] =
                system_call(calls[r].call, a[0], target, a[2], 0, 0, 0, &payer, &none);
        poor.payer[calls[r].call] = payer;
    }
    thread_end();
}

static void selectors_without_memory(void)
{
    struct pd_space child = {
        .pd = SELECTOR_FIRST + 60, .obj = SELECTOR_FIRST + 61, .hst = SELECTOR_FIRST + 62};
    selector account = SELECTOR_FIRST + 63;

    make_fixture();
    OK(create_account(account, ROOT_ACCOUNT, POOR_PAGES));
    child_create_at(&child, account);
    OK(space_copy(ROOT_OBJ, 0, child.obj, 0, SELECTOR_FIRST + 60, PERM_ALL));
    for (uint64_t leaf = 1; account_free(account); leaf++)
        give(&child, SELECTOR_PASS, 256 * leaf, PERM_ALL);
    for (unsigned call = 0; call < CALLS; call++)
        poor.status[call] = STATUSES;
    for (unsigned i = 0; i < 16; i++)
        (void)fresh();
    (void)thread_start(&child, 1, creates_without_selectors, COUNT(calls), 20, 0);
    pass(milliseconds(2));
    for (unsigned r = 0; r < COUNT(calls); r++) {
        if (!calls[r].target && calls[r].call != CALL_NT_NARROW)
            continue;
        expect_call(calls[r].name, calls[r].call, poor.status[calls[r].call], STATUS_NO_MEMORY);
        expect(calls[r].name, poor.payer[calls[r].call], PAYER_OBJECTS);
    }
}

void test_refusals(void)
{
    static const struct test tests[] = {
        {"refusals", refuse_all},
        {"refusals: the same calls without the fault", accept_all},
        {"refusals: no page for a selector", selectors_without_memory},
        {"refusals: no power-off", power_stays},
    };

    run_tests(tests, COUNT(tests));
}
