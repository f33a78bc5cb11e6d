/* SPDX-License-Identifier: ISC */
/*
 * The monitor's configuration:
 *
 *     <config>
 *       <vm name="debian" memory="256" kernel="vmlinuz" initrd="initrd" cmdline="console=ttyS0"/>
 *     </config>
 *
 * memory: MiB, or with a suffix K, M or G. kernel and initrd name ROMs; kernel is a bzImage, or a
 * Multiboot ELF32 program, which takes no initrd but modules, each with a command line of its own:
 *
 *       <vm name="xen" memory="512" kernel="xen" cmdline="xen console=com1">
 *         <module rom="vmlinuz" cmdline="vmlinuz console=hvc0"/>
 *         <module rom="initrd"/>
 *       </vm>
 *
 * vcpus: how many processors the guest has, 1 (default) to 8. guest="..." instead of kernel runs one of the
 * guests that are part of the monitor (builtin.h). exits="TEXT": when the guest prints a line with
 * this text, the log gets the number of its exits by reason, as it always does at the guest's end.
 * churn="MS": a test that detaches guest memory under the running guest so often (churn.h). terminal: the
 * label under which the monitor asks for its Terminal session, where there are several.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/xml/xml.h"
#include "vmm/firmware/multiboot.h"

#define CONFIG_NAME_SIZE    32u
#define CONFIG_ROM_SIZE     64u
#define CONFIG_TERMINAL     "console"
#define CONFIG_CMDLINE_SIZE 2048u /* Linux: COMMAND_LINE_SIZE */
#define CONFIG_VM_MODULES   MULTIBOOT_MODULES_MAX
#define CONFIG_TEXT_MAX     16384u

struct vm_module {
    char rom[CONFIG_ROM_SIZE];
    char cmdline[CONFIG_CMDLINE_SIZE];
};

struct vm_config {
    char name[CONFIG_NAME_SIZE];
    uint64_t memory;              /* bytes, a multiple of 4096 */
    uint64_t vcpus;               /* 1 to MACHINE_CPUS */
    char kernel[CONFIG_ROM_SIZE]; /* "": a built-in guest */
    char initrd[CONFIG_ROM_SIZE]; /* "": none */
    char cmdline[CONFIG_CMDLINE_SIZE];
    char guest[CONFIG_NAME_SIZE]; /* "": a kernel */
    char exits[CONFIG_NAME_SIZE]; /* "": at the end only */
    char terminal[CONFIG_NAME_SIZE];
    uint64_t churn; /* ms; 0: never */
    size_t modules;
    struct vm_module module[CONFIG_VM_MODULES];
};

/* Reads a configuration; `text` (CONFIG_TEXT_MAX bytes at most) is changed. False: *error names element,
 * line, what was expected and what was found. Whether a built-in guest of the name exists is not checked
 * here. */
XML_CHECKED bool config_read(struct vm_config *config, char *text, size_t size, struct xml_error *error);
