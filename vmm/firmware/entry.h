/* SPDX-License-Identifier: ISC */
/*
 * Where and how a guest begins: what every loader says and the vCPU is set to.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Attributes are descriptor bits 47..40 in bits 7..0 and 55..52 in bits 11..8, as SVM has them; VT-x has the
 * upper four in bits 15..12. */
struct guest_segment {
    uint16_t selector;
    uint16_t attributes;
    uint32_t limit; /* bytes, as after scaling */
    uint64_t base;
};

/* What a vCPU has to be set to. Interrupts are off, RFLAGS 2, IDT limit 0, all other registers 0. */
struct guest_entry {
    uint64_t rip;
    uint64_t rsp;
    uint64_t rsi;      /* Linux: boot_params */
    uint64_t rax, rbx; /* Multiboot: magic and information */
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    struct guest_segment cs;
    struct guest_segment data; /* DS, ES, SS, FS and GS */
    struct guest_segment tr;
    uint64_t gdt_base;
    uint16_t gdt_limit;
    bool long_mode;
};
