/* SPDX-License-Identifier: ISC */
/* Memory that is not there, or is a device: data, code, stack, tables; and all that is there, page by page.
 */
#include "tests/guest/hostile/hostile.h"

#define SIZE_2M 0x200000u

/* Makes a page of the window lead to a guest-physical address. */
static volatile uint8_t *window_at(unsigned page, uint64_t physical)
{
    window_set(page, (physical & ~0xfffull) | PTE_P | PTE_W | PTE_U);
    return window(page) + (physical & 0xfff);
}

static void access_all(volatile uint8_t *at)
{
    *(volatile uint64_t *)at = ~0ull;
    *(volatile uint32_t *)at = 0;
    *(volatile uint16_t *)at = 0x55aa;
    *at = 1;
    (void)*(volatile uint64_t *)at;
    (void)*(volatile uint32_t *)at;
    (void)*(volatile uint16_t *)at;
    (void)*at;
    TRAP("lock addl $1, (%0)", : : "r"(at) : "memory");
    TRAP("lock cmpxchg16b (%0)", : : "r"(at) : "rax", "rdx", "memory");
    TRAP("xchg %%rax, (%0)", : : "r"(at) : "rax", "memory");
    TRAP("movups %%xmm0, (%0)", : : "r"(at) : "memory");
    TRAP("fxsave (%0)", : : "r"(at) : "memory");
    TRAP("fildll (%0)", : : "r"(at) : "memory");
    TRAP("sgdt (%0)", : : "r"(at) : "memory");
    TRAP_STACK("push (%0)\n pop (%0)", : : "r"(at) : "r15", "memory");
    TRAP("invlpg (%0)", : : "r"(at) : "memory");
    TRAP("prefetchw (%0)\n clflush (%0)", : : "r"(at) : "memory");
}

/* All widths, aligned and over the end of the page, in the holes and in the VGA window. */
static void mmio_hole(void)
{
    static const uint64_t bases[] = {HOLE,       0xa0000,    0xc0000000, 0xfec01000,
                                     0xfed00000, 0xfffff000, HOLE_HIGH,  0xffffffe000};

    while (!attack_over()) {
        uint64_t base = bases[attack_random() % 8];

        window_set(0, base | PTE_P | PTE_W);
        window_set(1, (base + 0x1000) | PTE_P | PTE_W);
        access_all(window(0));
        access_all(window(0) + 0xffe + attack_random() % 2);
        access_all(window(0) + attack_random() % 0xff0);
    }
}

/* The registers of the APICs by every width and alignment, over their page's end into nothing. */
static void mmio_widths(void)
{
    while (!attack_over()) {
        uint64_t base = attack_random() & 1 ? LAPIC_BASE : IOAPIC_BASE;
        volatile uint8_t *at;

        window_set(0, base | PTE_P | PTE_W);
        window_set(1, (base + 0x1000) | PTE_P | PTE_W);
        at = window(0) + attack_random() % 0x1000;
        (void)*at;
        (void)*(volatile uint16_t *)at;
        (void)*(volatile uint32_t *)at;
        (void)*(volatile uint64_t *)at;
        at = window(0) + 0xffc + attack_random() % 4; /* its last register is nothing */
        *(volatile uint64_t *)at = attack_random();
        *(volatile uint16_t *)at = 0;
    }
}

static void fetch_hole(void)
{
    while (!attack_over()) {
        volatile uint8_t *code = window_at(0, HOLE);

        TRAP("jmp *%0", : : "r"(code) : "memory");
        code = window_at(0, HOLE_HIGH);
        TRAP_STACK("call *%0", : : "r"(code) : "r15", "memory");
        code = window_at(0, LAPIC_BASE);
        TRAP("jmp *%0", : : "r"(code) : "memory");
        code = window_at(0, 0xa0000);
        TRAP("jmp *%0", : : "r"(code) : "memory");
    }
}

static void stack_hole(void)
{
    uint64_t saved;

    while (!attack_over()) {
        volatile uint8_t *stack = window_at(0, attack_random() & 1 ? HOLE : LAPIC_BASE);

        __asm__ volatile("mov %%rsp, %0\n lea 0x800(%1), %%rsp\n mov %%rsp, %%rbp\n push %%rax\n pushfq\n "
                         "pop %%rax\n pop %%rax\n"
                         "call 1f\n 1: pop %%rax\n enter $16, $3\n leave\n mov %0, %%rsp"
                         : "=&r"(saved)
                         : "r"(stack)
                         : "rax", "rbp", "memory", "cc");
    }
}

/* Page tables in absent memory and in the registers of the APICs. */
static void tables_hole(void)
{
    static const uint64_t bases[] = {HOLE, HOLE_HIGH, LAPIC_BASE, IOAPIC_BASE, 0xa0000};
    volatile uint64_t *directory;
    uint64_t cr3 = read_cr3(), entry;
    const uint64_t *level4 = (const uint64_t *)cr3;
    const uint64_t *pointers = (const uint64_t *)(level4[0] & ~0xfffull);

    directory = (volatile uint64_t *)(pointers[3] & ~0xfffull);
    entry = directory[0];
    while (!attack_over()) {
        directory[0] = bases[attack_random() % 5] | 7;
        write_cr3(cr3);
        TRAP("mov (%0), %%al", : : "r"(0xc0000000ul + attack_random() % SIZE_2M) : "rax", "memory");
        TRAP("mov %%al, (%0)", : : "r"(0xc0000000ul + attack_random() % SIZE_2M) : "memory");
        TRAP("jmp *%0", : : "r"(0xc0000000ul) : "memory");
        directory[0] = attack_random() | 1; /* reserved bits, any address */
        write_cr3(cr3);
        TRAP("mov (%0), %%al", : : "r"(0xc0000000ul + attack_random() % SIZE_2M) : "rax", "memory");
    }
    directory[0] = entry;
    write_cr3(cr3);
}

/* A directory that is its own table, writes to it through itself, and accessed bits in what is no RAM. */
static void tables_self(void)
{
    uint64_t cr3 = read_cr3();
    volatile uint64_t *level4 = (volatile uint64_t *)cr3;

    while (!attack_over()) {
        volatile uint64_t *mapped = (volatile uint64_t *)0xffffff7fbfdfe000ul;

        level4[510] = cr3 | 3;
        write_cr3(cr3);
        mapped[100] = attack_random() & ~0xfffull; /* not present */
        mapped[511] = 0xfffffffffffff003u;
        TRAP("mov (%0), %%al", : : "r"(0xfffffffffffff000ul) : "rax", "memory");
        TRAP("mov %%al, (%0)", : : "r"(0xffffff7fffffffffull) : "memory");
        level4[511] = 0;
        level4[510] = 0;
        level4[100] = 0;
    }
    write_cr3(cr3);
}

/* Strings without end over device memory. */
static void rep_mmio(void)
{
    uint64_t end = attack_end, part = (end - rdtsc()) / 4, rsi = RAM_SCRATCH, rdi = (uint64_t)window(0),
             rcx = 1ull << 32;

    for (unsigned page = 0; page < WINDOW_PAGES; page++)
        window_set(page, (HOLE + page * 4096u) | PTE_P | PTE_W);
    attack_end = rdtsc() + part;
    UNTIL_ALARM("rep movsb", : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
    rdi = (uint64_t)window(0), rcx = ~0ull;
    attack_end = rdtsc() + part;
    UNTIL_ALARM("rep stosq", : "+D"(rdi), "+c"(rcx) : "a"(0) : "memory");
    rsi = HOLE, rdi = HOLE + 0x8000000, rcx = ~0ull;
    attack_end = rdtsc() + part;
    UNTIL_ALARM("rep movsq", : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
    rsi = HOLE, rdi = HOLE + 0x8000000, rcx = ~0ull;
    attack_end = rdtsc() + part;
    UNTIL_ALARM("repe cmpsb", : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
}

/* From the APIC's registers to nothing and back. */
static void rep_apic(void)
{
    while (!attack_over()) {
        uint64_t rsi = LAPIC_BASE, rdi = HOLE, rcx = 0x1000;

        TRAP("rep movsb", : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
        rsi = IOAPIC_BASE, rdi = LAPIC_BASE + 0x400, rcx = 0x100;
        TRAP("rep movsl", : "+S"(rsi), "+D"(rdi), "+c"(rcx) : : "memory");
        rdi = IOAPIC_BASE, rcx = 0x1000;
        TRAP("rep stosl", : "+D"(rdi), "+c"(rcx) : "a"(IOAPIC_MASKED) : "memory");
    }
}

/* Every page of RAM, then every 2 MiB of what is not: faults of the nested tables as fast as they come. */
static void touch_all(void)
{
    while (!attack_over()) {
        for (uint32_t page = 0x600000; page < 0xc00000; page += 4096)
            *(volatile uint8_t *)(uintptr_t)page = 1;
        for (uint32_t page = 0x1000000; page < 0xfe000000u && !attack_over(); page += SIZE_2M)
            *(volatile uint8_t *)(uintptr_t)(page |
                                             (page >= WINDOW && page < WINDOW + SIZE_2M ? SIZE_2M : 0)) = 1;
        for (uint64_t physical = 1ull << 32; physical < 1ull << 52 && !attack_over(); physical <<= 1) {
            volatile uint8_t *at = window_at(0, physical);

            TRAP("movb $1, (%0)", : : "r"(at) : "memory");
        }
    }
}

/* An instruction across the border to a page that is not there, to one that is no RAM, and code that changes
 * itself. */
static void code_edge(void)
{
    uint8_t *page = (uint8_t *)RAM_SCRATCH;
    uint64_t rsi, rdi, rcx;

    while (!attack_over()) {
        page[0xfff] = 0x0f; /* the second byte is in the next page */
        window_set(0, RAM_SCRATCH | PTE_P | PTE_W);
        window_set(1, 0);
        TRAP("jmp *%0", : : "r"(window(0) + 0xfff), "a"(HOLE) : "memory");
        window_set(1, HOLE | PTE_P | PTE_W);
        TRAP("jmp *%0", : : "r"(window(0) + 0xfff), "a"(HOLE) : "memory");
        memset(page + 0xff0, 0x66, 16); /* an access to the APIC behind as many prefixes as fit in the page */
        TRAP("jmp *%0", : : "r"(window(0) + 0xff1 + attack_random() % 14), "a"(HOLE) : "memory");
        /* REP MOVSB to the APIC that writes over itself on the way */
        page[0x100] = 0xf3, page[0x101] = 0xa4, page[0x102] = 0x0f, page[0x103] = 0x0b;
        window_set(1, RAM_SCRATCH | PTE_P | PTE_W);
        rsi = RAM_SCRATCH + 0x80, rdi = RAM_SCRATCH + 0x40, rcx = 0x200;
        TRAP("jmp *%3", : "+S"(rsi), "+D"(rdi), "+c"(rcx) : "r"(window(1) + 0x100), "a"(HOLE) : "memory");
        page[0x100] = 0xf3, page[0x101] = 0xa4, page[0x102] = 0x0f, page[0x103] = 0x0b;
        window_set(1, RAM_SCRATCH | PTE_P | PTE_W);
        rsi = HOLE, rdi = RAM_SCRATCH + 0x40, rcx = 0x200;
        TRAP("jmp *%3", : "+S"(rsi), "+D"(rdi), "+c"(rcx) : "r"(window(1) + 0x100), "a"(HOLE) : "memory");
    }
}

const struct attack attacks_memory[] = {
    {"mmio-hole", mmio_hole},
    {"mmio-widths", mmio_widths},
    {"fetch-hole", fetch_hole},
    {"stack-hole", stack_hole},
    {"tables-hole", tables_hole},
    {"tables-self", tables_self},
    {"rep-mmio", rep_mmio},
    {"rep-apic", rep_apic},
    {"touch-all", touch_all},
    {"code-edge", code_edge},
    {0},
};
