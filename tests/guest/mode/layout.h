/* SPDX-License-Identifier: ISC */
/* Numbers shared by assembler and C: selectors, and where things lie in guest RAM. */
#pragma once

#define SEL_CODE32   0x08
#define SEL_DATA32   0x10
#define SEL_CODE16   0x18
#define SEL_DATA16   0x20 /* 4 GiB, for the way to real mode */
#define SEL_CODE64   0x28
#define SEL_USER32   0x33
#define SEL_USERDATA 0x3b
#define SEL_USER64   0x43
#define SEL_TSS      0x48 /* takes two places */
#define SEL_TEST     0x58 /* from here on the tests' own */
#define SEL_TESTS    8
#define GDT_BYTES    (SEL_TEST + 8 * SEL_TESTS)

#define REAL_TEXT   0x3000 /* real mode: code from here to 64 KiB, the stack below */
#define REAL_STACK  0x3000
#define STUB_BYTES  16
#define STACK_BYTES 16384

/* Free RAM for tests, beyond every image. The persistent area is what a reset must not clear. */
#define RAM_SCRATCH       0x500000
#define RAM_SCRATCH_BYTES 0x100000
#define RAM_PERSISTENT    0x700000

/* Linear addresses mapped by 4 KiB pages, for tests to change; at first nothing is there. */
#define WINDOW       0x40000000
#define WINDOW_PAGES 512

#define USER_GATE 0x91 /* ends user mode */

#define COMMAND_LINE_BYTES 256
