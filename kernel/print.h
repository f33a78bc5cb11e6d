/* SPDX-License-Identifier: ISC */
/* The kernel's boot and fatal messages, on COM1 (115200 8N1), polled. */
#pragma once

void print_init(void);

/* A line on the console. Knows %s, %c, %u, %d, %x, each with l for 64 bits, and a width with or without 0. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The kernel's own mistake or a machine that cannot be used: print it and stop. No action of a user program
 * leads here. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Sends the other CPUs an NMI, upon which they call panic_stop(). NULL: there are none yet. */
extern void (*panic_interrupts_others)(void);

/* Another CPU has panicked, if so: stop for good. */
void panic_stop(void);
