/* SPDX-License-Identifier: ISC */
/*
 * What the tests of the exit handlers share: a whole machine with one vCPU, and the kernel played by the
 * test, which fills in the state page as an exit would and looks at what the handler made of it.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/include/log.h"
#include "vmm/cpu/vcpu.h"

#define RAM_SIZE (8u << 20)
#define CODE     0x200000u

static char logged[512];
static char console[256];
static size_t console_length;

struct bench {
    struct machine machine;
    struct vcpu vcpu;
    struct vcpu_state state;
    uint8_t *ram;
};

void log_line(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(logged, sizeof logged, format, arguments);
    va_end(arguments);
}

size_t format_text(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(buffer, size, format, arguments);
    va_end(arguments);
    return length < (int)size ? (size_t)length : size - 1;
}

static inline void transmit(void *context, uint8_t byte)
{
    (void)context;
    if (console_length < sizeof console - 1)
        console[console_length++] = (char)byte;
    console[console_length] = '\0';
}

static inline int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct machine_config config = {.name = "test", .console = {.transmit = transmit}};
    struct vcpu_link link = {0};
    struct guest_entry entry = vcpu_entry_protected(CODE);

    console_length = 0;
    logged[0] = '\0';
    bench->ram = calloc(1, RAM_SIZE);
    clock_init(&config.clock, clock_read_tsc(), 2000000000);
    assert_true(e820_layout(RAM_SIZE, &config.map));
    config.ram = (struct guest_ram){.low = bench->ram, .low_size = RAM_SIZE};
    assert_true(machine_init(&bench->machine, &config));
    machine_start_tsc(&bench->machine, clock_read_tsc());
    vcpu_init(&bench->vcpu, 0, &bench->state, &bench->machine, &link);
    vcpu_init_policy(&bench->vcpu, false);
    bench->vcpu.tells_next_rip = true; /* whatever this machine's processor does */
    vcpu_reset(&bench->vcpu);
    vcpu_start(&bench->vcpu, &entry);
    bench->state.want[VCPU_EXIT_MMIO] = VCPU_EMULATE_GROUPS; /* as after the first access that was no MOV */
    bus_write(&bench->machine.bus, BUS_PORT, MACHINE_COM1 + 3, 1, 3, 0, 0); /* LCR: eight bits */
    *state = bench;
    return 0;
}

static inline int tear_down(void **state)
{
    struct bench *bench = *state;

    free(bench->ram);
    free(bench);
    return 0;
}

/* As an exit leaves the page. */
static inline bool leave(struct bench *bench, enum vcpu_exit exit, uint64_t info0, uint64_t next_rip)
{
    bench->state.exit = exit;
    bench->state.info[0] = info0;
    bench->state.next_rip = next_rip;
    bench->state.valid = VCPU_GPR | VCPU_RIP | bench->state.want[exit];
    bench->state.dirty = 0;
    return vcpu_exit_handlers[exit](&bench->vcpu);
}

static inline bool leave_write(struct bench *bench, uint64_t physical)
{
    bench->state.info[1] = VCPU_MMIO_WRITE;
    if (!leave(bench, VCPU_EXIT_MMIO, physical, 0))
        return false;
    bench->state.info[1] = 0;
    return true;
}

static inline void put_code(struct bench *bench, uint64_t at, const char *bytes, size_t length)
{
    memcpy(bench->ram + at, bytes, length);
}

static inline uint64_t io_info(uint16_t port, unsigned size, unsigned flags)
{
    return (uint64_t)port << 16 | size << 4 | flags;
}

static inline void out(struct bench *bench, uint16_t port, uint8_t value)
{
    bus_write(&bench->machine.bus, BUS_PORT, port, 1, value, 0, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
