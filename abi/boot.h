/* SPDX-License-Identifier: ISC */
/*
 * The boot information page: what the kernel tells the root task about the machine. It is mapped read-only at
 * BOOT_INFO_ADDRESS in the root task's HST space. Numbers are little-endian, addresses physical.
 */
#pragma once

#include <stdint.h>

#define BOOT_INFO_MAGIC    0x4a4e4f4au
#define BOOT_INFO_ADDRESS  0x7fffffffe000u
#define ROOT_UTCB_ADDRESS  0x7fffffffd000u
#define USER_ADDRESS_LIMIT 0x7fffffffd000u /* the kernel gives addresses from here to the root task only */

#define BOOT_REGIONS     48
#define BOOT_MODULES     24
#define BOOT_MODULE_NAME 64
#define BOOT_UNITIES     16
#define BOOT_DEVICES     32

enum boot_feature {
    BOOT_FEATURE_SVM = 1u << 0,       /* virtual machines can run: SVM with nested paging */
    BOOT_FEATURE_VMX = 1u << 1,       /* the same: VT-x with EPT */
    BOOT_FEATURE_FPU_XSAVE = 1u << 2, /* else FXSAVE */
    BOOT_FEATURE_IOMMU = 1u << 3,     /* devices reach what they are given; else all memory */
};

#define BOOT_FEATURE_VM (BOOT_FEATURE_SVM | BOOT_FEATURE_VMX)

/* Without BOOT_FEATURE_VM: what virtual machines lack here, in the bits from BOOT_LACKS_SHIFT on. */
#define BOOT_LACKS_SHIFT     8
#define BOOT_LACKS(features) ((features) >> BOOT_LACKS_SHIFT & 7)
enum boot_lacks {
    BOOT_LACKS_ALL,          /* neither SVM nor VT-x */
    BOOT_LACKS_FIRMWARE,     /* the firmware has switched it off */
    BOOT_LACKS_NPT,          /* SVM without nested paging */
    BOOT_LACKS_EPT,          /* VT-x without EPT */
    BOOT_LACKS_UNRESTRICTED, /* VT-x without unrestricted guest */
    BOOT_LACKS_CONTROL,      /* VT-x without some smaller part; the kernel's log says which */
};

enum boot_region_type {
    BOOT_REGION_RAM = 1, /* free for use; the kernel and its pool are cut out, modules are not */
    BOOT_REGION_RESERVED = 2,
    BOOT_REGION_ACPI = 3, /* ACPI tables */
    BOOT_REGION_NVS = 4,
    BOOT_REGION_BAD = 5,
    BOOT_REGION_KERNEL = 6, /* the kernel's image and pool; never to be had */
};

struct boot_region {
    uint64_t base, length;
    uint64_t type;
};

struct boot_module {
    uint64_t base, length;
    char name[BOOT_MODULE_NAME]; /* last word of its command line, NUL at the end */
};

/* Memory that a device's firmware uses by DMA at all times (ACPI: IVMD, RMRR): whoever assigns one of the
 * devices to a DMA space enters it there at its own address. */
struct boot_unity {
    uint64_t base, length;
    uint16_t first, last; /* devices: bus, device, function in 8, 5, 3 bits */
    uint32_t reserved;
};

struct boot_info {
    uint32_t magic;
    uint16_t version_major, version_minor; /* of this interface: ABI_VERSION_* */
    uint32_t size;                         /* of this structure */
    uint32_t features;                     /* enum boot_feature */
    uint32_t cpus;
    uint32_t gsis; /* pins of all IOAPICs */
    uint64_t tsc_hz;
    uint64_t wall_seconds; /* since 1970-01-01 UTC, from the CMOS clock ... */
    uint64_t wall_tsc;     /* ... at this TSC value */
    uint64_t acpi_rsdp;    /* 0: none found */
    uint64_t framebuffer;  /* 0: none; else 32 bits per pixel */
    uint32_t framebuffer_width, framebuffer_height, framebuffer_pitch, framebuffer_bpp;
    uint32_t isa_gsi[16]; /* GSI | INTERRUPT_* of each ISA interrupt */
    uint32_t regions, modules;
    uint32_t unities, devices;
    struct boot_region region[BOOT_REGIONS];
    struct boot_module module[BOOT_MODULES];
    struct boot_unity unity[BOOT_UNITIES];
    uint64_t device[BOOT_DEVICES]; /* pages of registers that the kernel uses: APICs, IOMMUs */
};

_Static_assert(sizeof(struct boot_info) <= 4096, "the boot information is one page");
