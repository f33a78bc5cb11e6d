/* SPDX-License-Identifier: ISC */
/*
 * One instruction on the processor that runs the test, in 64, 32 or 16-bit mode, from any state of its
 * registers to the trap after it or the fault within it: with registers as a signal handler returns them,
 * RFLAGS.TF set, and the next signal's registers as the outcome. Needs x86-64 Linux; 32-bit code needs its
 * code segment for 32-bit programs, 16-bit code modify_ldt(), and native_step_begin() says what there is.
 *
 * The instruction may change whatever a program can: segment registers and the base of FS, which the C
 * library needs, are set right before anything else happens; memory is the caller's business.
 */
#ifndef LIB_X86_NATIVE_STEP_H
#define LIB_X86_NATIVE_STEP_H

#include "lib/x86/x86.h"

#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Linux: __USER_CS, __USER32_CS, __USER_DS; and entries 0 to 2 of the LDT. */
#define NATIVE_CS64 0x33
#define NATIVE_CS32 0x23
#define NATIVE_DS   0x2b
#define NATIVE_CS16 0x07
#define NATIVE_DS16 0x0f
#define NATIVE_DS32 0x17

#define NATIVE_VECTOR_DB  1
#define NATIVE_SIGNALS    5
#define NATIVE_STACK_SIZE (256u << 10)

struct native_step {
    uint64_t gpr[X86_GPR_COUNT];
    uint64_t rip; /* 16-bit code: an offset into its segment */
    uint64_t rflags;
    bool runs_freely; /* without TF: an INT3 behind it ends it; for what TF would stop between repetitions */
    /* The outcome: the exception that ended it, NATIVE_VECTOR_DB if it was done. */
    unsigned vector;
    uint64_t error;
    uint64_t cr2;
};

struct native_stepper {
    bool has_mode[3];      /* by enum x86_mode */
    bool has_data_segment; /* of 32-bit code */
    uint16_t cs, ds;       /* DS, ES and SS alike */
    volatile bool is_running;
    struct native_step *step;
    uint64_t fs_base;
    greg_t saved[NGREG];
    struct sigaction before[NATIVE_SIGNALS + 1];
    stack_t stack_before;
    uint8_t stack[NATIVE_STACK_SIZE];
};

static struct native_stepper native_stepper;
static const int native_ends[NATIVE_SIGNALS] = {SIGTRAP, SIGSEGV, SIGBUS, SIGILL, SIGFPE};
/* Where a signal's registers stand in gregs[]: <sys/ucontext.h> names them for _GNU_SOURCE only. */
enum { GREG_RIP = 16, GREG_RFLAGS, GREG_SELECTORS, GREG_ERROR, GREG_VECTOR, GREG_CR2 = 22 };
/* General registers in the order of their encoding. */
static const uint8_t native_gregs[X86_GPR_COUNT] = {13, 14, 12, 11, 15, 10, 9, 8, 0, 1, 2, 3, 4, 5, 6, 7};

#define NATIVE_BARE __attribute__((no_sanitize("address", "undefined"), noinline))

/* The C library's calls would look for errno at FS. */
NATIVE_BARE static long native_arch_prctl(long code, uint64_t value)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"((long)SYS_arch_prctl), "D"(code), "S"(value)
                     : "rcx", "r11", "memory");
    return result;
}

NATIVE_BARE static void native_on_start(int number, siginfo_t *info, void *context)
{
    struct native_stepper *s = &native_stepper;
    greg_t *gregs = ((ucontext_t *)context)->uc_mcontext.gregs;

    (void)number;
    (void)info;
    for (unsigned i = 0; i < NGREG; i++)
        s->saved[i] = gregs[i];
    for (unsigned i = 0; i < X86_GPR_COUNT; i++)
        gregs[native_gregs[i]] = (greg_t)s->step->gpr[i];
    gregs[GREG_RIP] = (greg_t)s->step->rip;
    gregs[GREG_RFLAGS] = (greg_t)(s->step->rflags | (s->step->runs_freely ? 0 : X86_RFLAGS_TF));
    gregs[GREG_SELECTORS] =
        (greg_t)(((uint64_t)gregs[GREG_SELECTORS] & 0x0000ffffffff0000) | s->cs | (uint64_t)s->ds << 48);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"((unsigned)s->ds));
    s->is_running = true;
}

/*
 * A handler begins with RFLAGS.AC as it was, and the compiler takes unaligned accesses for granted. NT and ID
 * are not among what the return from a signal sets: they would stay.
 */
NATIVE_BARE static void native_clear_flags(void)
{
    __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\tandl $~0x244000, (%%rsp)\n\tpopfq\n\t"
                     "lea 128(%%rsp), %%rsp"
                     :
                     :
                     : "memory", "cc");
}

/* A signal of the test's own ends it as it would have. */
NATIVE_BARE static void native_on_end(int number, siginfo_t *info, void *context)
{
    struct native_stepper *s = &native_stepper;
    ucontext_t *user = context;
    greg_t *gregs = user->uc_mcontext.gregs;

    native_clear_flags();
    native_arch_prctl(ARCH_SET_FS, s->fs_base);
    (void)info;
    if (!s->is_running) {
        signal(number, SIG_DFL);
        return;
    }
    s->is_running = false;
    for (unsigned i = 0; i < X86_GPR_COUNT; i++)
        s->step->gpr[i] = (uint64_t)gregs[native_gregs[i]];
    s->step->rip = (uint64_t)gregs[GREG_RIP];
    s->step->rflags = (uint64_t)gregs[GREG_RFLAGS] & ~(X86_RFLAGS_TF | X86_RFLAGS_RF);
    s->step->vector = (unsigned)gregs[GREG_VECTOR];
    s->step->error = (uint64_t)gregs[GREG_ERROR];
    s->step->cr2 = (uint64_t)gregs[GREG_CR2];
    for (unsigned i = 0; i < NGREG; i++)
        gregs[i] = s->saved[i];
    if (user->uc_mcontext.fpregs) {
        user->uc_mcontext.fpregs->mxcsr = 0x1f80;
        user->uc_mcontext.fpregs->cwd = 0x37f;
        user->uc_mcontext.fpregs->swd = 0;
    }
}

static inline uint16_t native_data_selector(enum x86_mode mode)
{
    if (mode == X86_MODE_32 && native_stepper.has_data_segment)
        return NATIVE_DS32;
    return mode == X86_MODE_16 ? NATIVE_DS16 : NATIVE_DS;
}

static inline void native_step_run(enum x86_mode mode, struct native_step *step)
{
    native_stepper.cs = mode == X86_MODE_64 ? NATIVE_CS64 : mode == X86_MODE_32 ? NATIVE_CS32 : NATIVE_CS16;
    native_stepper.ds = native_data_selector(mode);
    native_stepper.step = step;
    raise(SIGUSR1);
}

/* Is a NOP done in that mode? */
static inline bool native_step_tries(enum x86_mode mode, uint8_t *code, uint64_t rip)
{
    struct native_step step = {.rip = rip, .rflags = X86_RFLAGS_ONE | X86_RFLAGS_IF};

    *code = 0x90;
    native_step_run(mode, &step);
    return step.vector == NATIVE_VECTOR_DB && step.rip == rip + 1;
}

/* 16-bit segments of 64 KiB, 32-bit segments of 4 GiB. */
static inline bool native_make_segment(unsigned entry, bool is_32, unsigned contents, uint32_t base)
{
    struct user_desc segment = {.entry_number = entry,
                                .base_addr = base,
                                .limit = is_32 ? 0xfffff : 0xffff,
                                .seg_32bit = is_32,
                                .contents = contents & 3,
                                .limit_in_pages = is_32,
                                .useable = 1};

    return syscall(SYS_modify_ldt, 1, &segment, sizeof(segment)) == 0;
}

/*
 * Takes the signals over. code is a page that can be written and executed. In 16-bit mode the code segment
 * begins there, and DS, ES and SS at data. In 32-bit mode they do so too if has_data_segment is true, else
 * they are flat. Both addresses lie below 4 GiB.
 */
static inline void native_step_begin(uint8_t *code, uint32_t data)
{
    struct native_stepper *s = &native_stepper;
    const stack_t stack = {.ss_sp = s->stack, .ss_size = sizeof(s->stack)};
    struct sigaction start = {.sa_sigaction = native_on_start, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct sigaction end = {.sa_sigaction = native_on_end, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    bool has_ldt = native_make_segment(0, false, MODIFY_LDT_CONTENTS_CODE, (uint32_t)(uintptr_t)code) &&
                   native_make_segment(1, false, MODIFY_LDT_CONTENTS_DATA, data);

    s->has_data_segment = native_make_segment(2, true, MODIFY_LDT_CONTENTS_DATA, data);
    native_arch_prctl(ARCH_GET_FS, (uint64_t)(uintptr_t)&s->fs_base);
    sigaltstack(&stack, &s->stack_before);
    for (unsigned i = 0; i < NATIVE_SIGNALS; i++)
        sigaction(native_ends[i], &end, &s->before[i]);
    sigaction(SIGUSR1, &start, &s->before[NATIVE_SIGNALS]);
    s->has_mode[X86_MODE_64] = native_step_tries(X86_MODE_64, code, (uintptr_t)code);
    s->has_mode[X86_MODE_32] = native_step_tries(X86_MODE_32, code, (uintptr_t)code);
    s->has_mode[X86_MODE_16] = has_ldt && native_step_tries(X86_MODE_16, code, 0);
}

static inline void native_step_end(void)
{
    struct native_stepper *s = &native_stepper;

    for (unsigned i = 0; i < NATIVE_SIGNALS; i++)
        sigaction(native_ends[i], &s->before[i], NULL);
    sigaction(SIGUSR1, &s->before[NATIVE_SIGNALS], NULL);
    sigaltstack(&s->stack_before, NULL);
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0));
}

#endif
