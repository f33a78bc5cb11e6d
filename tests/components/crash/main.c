/* SPDX-License-Identifier: ISC */
/*
 * Dies on purpose, in the way that its configuration names: <config><fault kind="kernel-read"/></config>.
 * Each kind is something that the processor or the kernel must stop. A component that lives on says so, which
 * is a failure.
 */
#include "base/include/component.h"
#include "base/include/config.h"
#include "base/include/log.h"

#include <string.h>

static const char *const fault_attributes[] = {"kind!", NULL};
static const struct xml_schema fault_schema = {.name = "fault", .attributes = fault_attributes};
static const struct xml_child_rule config_children[] = {{&fault_schema, 1, 1}, {NULL, 0, 0}};
static const struct xml_schema config_schema = {.name = "config", .children = config_children};

static void fault_null(void)
{
    __asm__ volatile("movl $1, 0x10");
}

static void fault_kernel_read(void)
{
    (void)*(volatile uint32_t *)0xffffffff80000000;
}

static void fault_kernel_write(void)
{
    *(volatile uint32_t *)0xffffffff80100000 = 0;
}

static void fault_noncanonical(void)
{
    (void)*(volatile uint32_t *)0x800000000000;
}

static void fault_code_write(void)
{
    *(volatile uint8_t *)(uintptr_t)component_main = 0x90;
}

static void fault_stack_execute(void)
{
    volatile uint8_t code[16] = {0xc3};
    ((void (*)(void))(uintptr_t)code)();
}

static void fault_stack_overflow(void)
{
    volatile uint8_t page[4096];
    for (uintptr_t at = (uintptr_t)page;; at -= sizeof page) {
        *(volatile uint8_t *)at = 1;
    }
}

static void fault_ud2(void)
{
    __asm__ volatile("ud2");
}

static void fault_divide(void)
{
    __asm__ volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx" : : : "eax", "ecx", "edx");
}

static void fault_hlt(void)
{
    __asm__ volatile("hlt");
}

static void fault_cli(void)
{
    __asm__ volatile("cli");
}

static void fault_port(void)
{
    uint8_t value;
    __asm__ volatile("inb $0x60, %0" : "=a"(value));
}

static void fault_msr(void)
{
    __asm__ volatile("rdmsr" : : "c"(0xc0000080) : "eax", "edx");
}

static void fault_cr3(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
}

static void fault_interrupt(void)
{
    __asm__ volatile("int $0x80");
}

static void fault_fpu(void)
{
    __asm__ volatile("fninit");
}

/* The kernel must not trust the stack pointer that it is called with. */
static void fault_stack_pointer(void)
{
    __asm__ volatile("mov %0, %%rsp; mov $1000, %%eax; syscall; push %%rax"
                     :
                     : "r"(0xffffffff80000100)
                     : "memory");
}

/* Nor may a single step reach into it. */
static void fault_trap_flag(void)
{
    __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; mov $1000, %%eax; syscall"
                     :
                     :
                     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
}

static const struct {
    const char *kind;
    void (*act)(void);
} faults[] = {
    {"null", fault_null},
    {"kernel-read", fault_kernel_read},
    {"kernel-write", fault_kernel_write},
    {"noncanonical", fault_noncanonical},
    {"code-write", fault_code_write},
    {"stack-execute", fault_stack_execute},
    {"stack-overflow", fault_stack_overflow},
    {"ud2", fault_ud2},
    {"divide", fault_divide},
    {"hlt", fault_hlt},
    {"cli", fault_cli},
    {"port", fault_port},
    {"msr", fault_msr},
    {"cr3", fault_cr3},
    {"interrupt", fault_interrupt},
    {"fpu", fault_fpu},
    {"stack-pointer", fault_stack_pointer},
    {"trap-flag", fault_trap_flag},
};

/* *config: the kind's name, which lies in the text. */
static bool read_kind(void *config, char *text, size_t bytes, struct xml_error *error)
{
    const struct xml_node *root = config_parse(text, bytes, &config_schema, error);

    if (root)
        *(const char **)config = xml_get_string_or(xml_child(root, "fault"), "kind", "");
    return root;
}

int component_main(void)
{
    const char *kind = "";

    if (!config_load(read_kind, &kind))
        return 1;
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (strcmp(faults[i].kind, kind) == 0) {
            log_line("crash: %s", kind);
            faults[i].act();
            log_line("crash: failed: %s was let through", kind);
            return 1;
        }
    }
    log_line("crash: unknown kind '%s'", kind);
    return 1;
}
