/* SPDX-License-Identifier: ISC */
/*
 * Instruction forms: each is code that executes one instruction with given registers and flags on a
 * memory operand, so that the same instruction can be tried on RAM, where the processor executes it, and on
 * device memory, where the monitor does.
 */
#pragma once

#include "tests/guest/guest.h"

struct form_registers {
    word_t ax, cx, dx, flags;
};

/* What the operand may be. */
enum form_target {
    FORM_REGISTER, /* a 32-bit register of the local APIC that keeps what is written; compared afterwards */
    FORM_ABSENT,   /* any width, where nothing decodes; only reads matter */
};

struct form {
    const char *name;
    const uint8_t *code;
    uint16_t flags; /* those defined afterwards */
    uint8_t target;
};

/* Operand in assembler text, RSI and RDI or their halves. */
#if GUEST_MODE == MODE_LONG
#define M            "(%rsi)"
#define A            "%rax"
#define B            "%rbx"
#define SI           "%rsi"
#define DI           "%rdi"
#define SP           "%rsp"
#define RUN_CLOBBERS , "r8"
#else
#define M  "(%esi)"
#define A  "%eax"
#define B  "%ebx"
#define SI "%esi"
#define DI "%edi"
#define SP "%esp"
#define RUN_CLOBBERS
#endif

/* Free to change but for the four registers of struct form_registers: RDI and R8. */
#define FORM(id, text)                                                                                       \
    extern const uint8_t form_##id[];                                                                        \
    __asm__(".pushsection .text.forms, \"ax\"\nform_" #id ": " text "\n ret" W "\n.popsection\n")
