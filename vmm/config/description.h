/* SPDX-License-Identifier: ISC */
/*
 * What a machine is to be: plain data, which a reader of some format fills (config.h for our own). The limits
 * are the description's; what builds the machine checks that it has as many.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/firmware/cmos.h"

#define DESCRIPTION_NAME    32u
#define DESCRIPTION_ROM     64u
#define DESCRIPTION_COMMAND 2048u /* Linux: COMMAND_LINE_SIZE */
#define DESCRIPTION_MODULES 8u
#define DESCRIPTION_VCPUS   8u
#define DESCRIPTION_FILES   8u
#define DESCRIPTION_FILE    56u
#define DESCRIPTION_DISKS   4u

struct vm_module {
    char rom[DESCRIPTION_ROM];
    char cmdline[DESCRIPTION_COMMAND];
};

/* What firmware finds under a name. */
struct vm_file {
    char name[DESCRIPTION_FILE];
    char rom[DESCRIPTION_ROM]; /* "": the number */
    uint64_t number;
};

enum vm_disk_type { VM_HARD_DISK, VM_DVD };

struct vm_disk {
    char label[DESCRIPTION_ROM]; /* of the Block session; of a DVD drive "": without medium */
    enum vm_disk_type type;
    uint64_t port, device; /* of IDE: cable, 0 or 1; drive, 0 or 1 */
};

struct vm_description {
    char name[DESCRIPTION_NAME];
    uint64_t memory;                /* bytes, a multiple of 4096 */
    uint64_t vram;                  /* bytes of the screen's memory, a power of two; 0: no screen */
    uint64_t vcpus;                 /* 1 to DESCRIPTION_VCPUS */
    char firmware[DESCRIPTION_ROM]; /* "": none, the guest is started directly */
    enum cmos_boot boot[CMOS_BOOT_ORDER];
    bool boot_menu;
    bool debug; /* port */
    size_t files;
    struct vm_file file[DESCRIPTION_FILES];
    char kernel[DESCRIPTION_ROM]; /* "": a built-in guest */
    char initrd[DESCRIPTION_ROM]; /* "": none */
    char cmdline[DESCRIPTION_COMMAND];
    char guest[DESCRIPTION_NAME]; /* "": a kernel */
    char exits[DESCRIPTION_NAME]; /* "": at the end only */
    char terminal[DESCRIPTION_NAME];
    uint64_t churn; /* ms; 0: never */
    size_t modules;
    struct vm_module module[DESCRIPTION_MODULES];
    size_t disks; /* at a place each */
    struct vm_disk disk[DESCRIPTION_DISKS];
};
