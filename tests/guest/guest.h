/* SPDX-License-Identifier: ISC */
/*
 * What a bare-metal guest is written with: the serial line, traps, interrupts, ports, device memory and the
 * verdict. The same source is compiled for every mode (mode.h). A guest defines guest_main(); what it returns
 * to powers the machine off.
 */
#pragma once

#include <stddef.h>

#include "tests/guest/mode.h"
#include "tests/guest/mode/layout.h"

/* ---- the serial line (COM1, polled) */

/* %s text, %u and %x uint32_t, %U and %X uint64_t. A line at most. */
void say(const char *format, ...);

/* ---- a table of tests */

struct test {
    const char *name;
    void (*run)(void);
};

/* Runs one and says 'guest: MODE: NAME ok', or FAILED with what was expected first. */
void test_run(const struct test *test);
/* In a test: false, and the test has failed, unless the two are equal. */
bool expect(const char *what, uint64_t expected, uint64_t found);
bool expect_between(const char *what, uint64_t low, uint64_t high, uint64_t found);
/* The test does not apply here: counts as neither passed nor failed. */
void test_skip(const char *why);
/* 'guest: verdict MODE: N passed, N failed' */
void verdict(void);

struct counts {
    uint32_t passed, failed, skipped;
};
extern struct counts counts;

extern char boot_command_line[COMMAND_LINE_BYTES];
/* Whether a word stands on the command line. */
bool option(const char *word);

/* ---- power */

void power_off(void) __attribute__((noreturn));
void halt_forever(void) __attribute__((noreturn));

/* ---- traps: every vector ends in trap_entry() */

enum vector {
    VECTOR_DE,
    VECTOR_DB,
    VECTOR_NMI,
    VECTOR_BP,
    VECTOR_OF,
    VECTOR_BR,
    VECTOR_UD,
    VECTOR_NM,
    VECTOR_DF,
    VECTOR_TS = 10,
    VECTOR_NP,
    VECTOR_SS,
    VECTOR_GP,
    VECTOR_PF,
    VECTOR_MF = 16,
    VECTOR_AC,
    VECTOR_MC,
    VECTOR_XM,
    VECTOR_PIC = 0x20, /* the 8259s' 16 lines, after pic_init */
};

typedef void trap_handler(struct frame *frame);

/* Called for a vector instead of what trap_entry() does by itself; NULL: none. */
extern trap_handler *volatile trap_handlers[256];
/* How often each vector came. */
extern volatile uint32_t trap_counts[256];

/* The last exception that nobody handled, while trap_resume was set (see TRAP). */
struct trap {
    uint32_t vector, error;
    uint64_t ip, flags, cr2, cs;
};
extern volatile struct trap trap;
extern volatile word_t trap_resume, trap_start;

/*
 * Around assembler text in which an exception is expected: it goes on behind it. TRAP("ud2", : : : "memory")
 * is for one instruction or several; trap_start is the first one's address. Afterwards trap.vector is NO_TRAP
 * or what came.
 */
#define NO_TRAP    0xffffffffu
#define TRAP_BEGIN "mov" W " $8f, trap_start\nmov" W " $9f, trap_resume\n8: "
#define TRAP_END   "\n9: mov" W " $0, trap_resume\n"
#define TRAP(text, ...)                                                                                      \
    do {                                                                                                     \
        trap.vector = NO_TRAP;                                                                               \
        __asm__ volatile(TRAP_BEGIN text TRAP_END __VA_ARGS__);                                              \
    } while (0)

/* In a test: the vector came (NO_TRAP: nothing), with this error code, at the first instruction. Real mode
 * has no error codes, and fewer exceptions. */
bool expect_trap(const char *what, uint32_t vector, uint32_t error);
/* The same, but so many bytes behind the start. */
bool expect_trap_at(const char *what, uint32_t vector, uint32_t error, unsigned offset);

/* Loads the tables; called once. */
void gates_load(void);
/* Sets a gate; by default each vector has its stub. dpl: 0 to 3, not in real mode. */
void gate_set(unsigned vector, word_t handler, unsigned dpl);
/* Takes away the present bit, or gives it back. Not in real mode. */
void gate_present(unsigned vector, bool present);
extern const uint8_t trap_stubs[];

/* ---- the machine */

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %w1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint16_t in16(uint16_t port)
{
    uint16_t value;

    __asm__ volatile("inw %w1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %w1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %w1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %w1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %w1" : : "a"(value), "Nd"(port) : "memory");
}

static inline volatile uint32_t *mmio32(uint32_t address)
{
    uintptr_t hidden = address;

    /* Real mode's assembler would make a 16-bit address of a constant. */
    __asm__("" : "+r"(hidden));
    return (volatile uint32_t *)hidden;
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static inline uint64_t rdmsr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid r;

    __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(subleaf));
    return r;
}

static inline void irq_on(void)
{
    __asm__ volatile("sti; nop" : : : "memory");
}

static inline void irq_off(void)
{
    __asm__ volatile("cli" : : : "memory");
}

/* STI and HLT without a gap; interrupts are off afterwards. */
static inline void halt(void)
{
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}

static inline word_t read_cr0(void)
{
    word_t value;

    __asm__ volatile("mov %%cr0, %0" : "=r"(value) : : "memory");
    return value;
}

static inline void write_cr0(word_t value)
{
    __asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

static inline word_t read_cr2(void)
{
    word_t value;

    __asm__ volatile("mov %%cr2, %0" : "=r"(value) : : "memory");
    return value;
}

static inline word_t read_cr3(void)
{
    word_t value;

    __asm__ volatile("mov %%cr3, %0" : "=r"(value) : : "memory");
    return value;
}

static inline void write_cr3(word_t value)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
}

static inline word_t read_cr4(void)
{
    word_t value;

    __asm__ volatile("mov %%cr4, %0" : "=r"(value) : : "memory");
    return value;
}

static inline void write_cr4(word_t value)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

/* The 8259s: vectors from VECTOR_PIC on, all masked. */
void pic_init(void);
/* One line of 0 to 15 let through, or not. */
void pic_mask(unsigned line, bool masked);
void pic_eoi(unsigned line);

#define LAPIC_BASE  0xfee00000u
#define IOAPIC_BASE 0xfec00000u

static inline uint32_t lapic_get(uint32_t offset)
{
    return *mmio32(LAPIC_BASE + offset);
}

static inline void lapic_set(uint32_t offset, uint32_t value)
{
    *mmio32(LAPIC_BASE + offset) = value;
}

/* ---- time, by the PM timer (3,579,545 Hz, 24 bits); needs no interrupt */

/* PM timer ticks since the start; must be called at least every four seconds. */
uint64_t now_ticks(void);
#define PM_HZ 3579545u
static inline uint32_t ticks_of_us(uint32_t us)
{
    return (uint32_t)(((uint64_t)us * 3665 + 1023) >> 10);
}
void wait_us(uint32_t us);

/* ---- pages (not in real mode): the window's entries */

extern pte_t page_table[WINDOW_PAGES];
#define PTE_P   1u
#define PTE_W   2u
#define PTE_U   4u
#define PTE_PWT 8u
#define PTE_PCD 0x10u
#define PTE_A   0x20u
#define PTE_D   0x40u
void window_set(unsigned page, pte_t entry);
static inline volatile uint8_t *window(unsigned page)
{
    return (volatile uint8_t *)(uintptr_t)(WINDOW + page * 4096u);
}

extern uint64_t gdt[];

uint64_t divide(uint64_t value, uint32_t by, uint32_t *rest);
void *memcpy(void *to, const void *from, size_t bytes);
void *memset(void *to, int byte, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);
size_t strlen(const char *text);

/* Called by the boot code; and what a guest defines. */
void guest_start(void) __attribute__((noreturn));
void trap_entry(struct frame *frame);
void guest_main(void);
