/* SPDX-License-Identifier: ISC */
/* The processors; see smp.h. */
#include "tests/guest/smp/smp.h"

#if GUEST_MODE == MODE_LONG

struct __attribute__((packed)) start_data {
    uint16_t gdt_limit;
    uint32_t gdt_base;
    uint16_t unused;
    uint32_t entry, selector;
    uint32_t cr0, cr3, cr4, efer;
};

struct __attribute__((packed)) table_pointer {
    uint16_t limit;
    uint64_t base;
};

extern const uint8_t start_text[], start_end[];
extern const struct start_data start_data;
extern void start_64(void);
void start_c(uint32_t number) __attribute__((noreturn));

struct cpu cpus[CPUS_MAX];
uint32_t cpu_count;

static struct table_pointer idt;

static bool in_x2apic(void)
{
    return rdmsr(MSR_APIC_BASE) & X2APIC;
}

static void ping(struct frame *frame)
{
    (void)frame;
    __atomic_add_fetch(&cpus[cpu_self()].pings, 1, __ATOMIC_SEQ_CST);
    if (in_x2apic())
        wrmsr(MSR_X2EOI, 0);
    else
        lapic_set(APIC_EOI, 0);
}

/* Only ends HLT. */
static void wake(struct frame *frame)
{
    (void)frame;
    if (in_x2apic())
        wrmsr(MSR_X2EOI, 0);
    else
        lapic_set(APIC_EOI, 0);
}

static void nmi(struct frame *frame)
{
    (void)frame;
    __atomic_add_fetch(&cpus[cpu_self()].nmis, 1, __ATOMIC_SEQ_CST);
}

void start_c(uint32_t number)
{
    struct cpu *cpu = &cpus[number];

    __asm__ volatile("lidt %0" : : "m"(idt) : "memory");
    if (in_x2apic()) { /* INIT does not end it */
        wrmsr(MSR_APIC_BASE, 0xfee00000);
        wrmsr(MSR_APIC_BASE, 0xfee00800);
    }
    lapic_set(APIC_SVR, 0x1ff);
    lapic_set(APIC_LDR, 1u << (24 + number));
    cpu->task = NULL;
    __atomic_add_fetch(&cpu->starts, 1, __ATOMIC_SEQ_CST);
    irq_on();
    for (;;) {
        void (*task)(uint32_t) = cpu->task;

        if (task) {
            task(number);
            cpu->task = NULL;
            continue;
        }
        irq_off();
        if (!cpu->task) /* STI lets interrupts in behind HLT only */
            __asm__ volatile("sti; hlt" : : : "memory");
        irq_on();
    }
}

static void put_start(uint32_t page)
{
    volatile uint8_t *to = (volatile uint8_t *)mmio32(page);
    struct table_pointer tables;
    struct start_data data = start_data;
    uint64_t cr0, cr3, cr4;

    __asm__ volatile("sgdt %0" : "=m"(tables));
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    data.gdt_limit = tables.limit;
    data.gdt_base = (uint32_t)tables.base;
    data.entry = (uint32_t)(uintptr_t)start_64;
    data.cr0 = (uint32_t)cr0;
    data.cr3 = (uint32_t)cr3;
    data.cr4 = (uint32_t)cr4;
    data.efer = (uint32_t)rdmsr(0xc0000080) & 0x901;
    for (size_t i = 0; i < (size_t)(start_end - start_text); i++)
        to[i] = start_text[i];
    to += (const uint8_t *)&start_data - start_text;
    for (size_t i = 0; i < sizeof data; i++)
        to[i] = ((const uint8_t *)&data)[i];
}

void smp_prepare(void)
{
    cpu_count = cpuid(1, 0).ebx >> 16 & 0xff;
    if (cpu_count > CPUS_MAX)
        cpu_count = CPUS_MAX;
    for (uint32_t page = 0; page < 3; page++)
        put_start(START_PAGE + page * 0x1000);
    trap_handlers[VECTOR_PING] = ping;
    trap_handlers[VECTOR_WAKE] = wake;
    trap_handlers[VECTOR_NMI] = nmi;
    __asm__ volatile("sidt %0" : "=m"(idt));
    lapic_set(APIC_SVR, 0x1ff);
    lapic_set(APIC_LDR, 1u << 24);
}

void ipi(uint32_t destination, uint32_t low)
{
    if (in_x2apic()) {
        wrmsr(MSR_X2ICR, (uint64_t)destination << 32 | low);
        return;
    }
    lapic_set(APIC_ICR_HIGH, destination << 24);
    lapic_set(APIC_ICR, low);
}

bool comes_to(const volatile uint32_t *word, uint32_t value)
{
    for (unsigned i = 0; i < 10000 && *word != value; i++)
        wait_us(100);
    return *word == value;
}

void cpu_stop(uint32_t number)
{
    ipi(number, ICR_INIT);
}

bool cpu_start(uint32_t number)
{
    uint32_t before = cpus[number].starts;

    cpu_stop(number);
    ipi(number, ICR_STARTUP | START_VECTOR);
    return comes_to(&cpus[number].starts, before + 1);
}

void cpu_begin(uint32_t number, void (*task)(uint32_t number))
{
    cpus[number].task = task;
    ipi(number, VECTOR_WAKE);
}

bool cpu_finish(uint32_t number, uint32_t milliseconds)
{
    for (uint32_t i = 0; i < milliseconds && cpus[number].task; i++)
        wait_us(1000);
    return !cpus[number].task;
}

#endif
