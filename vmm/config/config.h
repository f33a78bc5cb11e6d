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
 * firmware="..." instead of kernel names a ROM that the guest begins with, as a PC does: SeaBIOS, for example.
 *
 *       <vm name="pc" memory="256" firmware="bios" boot="dvd disk" menu="yes" debug="yes">
 *         <file name="vgaroms/vgabios.bin" rom="vgabios"/>
 *         <file name="etc/boot-fail-wait" number="5000"/>
 *       </vm>
 *
 * boot: what it tries, in this order: up to three of floppy, disk, dvd and network, by default "disk dvd".
 * menu: whether it offers a boot menu. file: what it finds by fw_cfg, the bytes of a ROM or a number of eight bytes.
 * debug: the guest has ports 0x402 and 0xe9, whose output goes to the log.
 *
 * A machine can have disks, each a Block session of that label, at the IDE controller: port is the cable, device
 * the drive (0 or 1; both are 0 if they are not there). A DVD drive needs no label: it is empty then.
 *
 *       <vm name="debian" memory="256" kernel="vmlinuz">
 *         <disk label="root" controller="ide"/>
 *         <disk label="cd" controller="ide" port="1" type="dvd"/>
 *       </vm>
 *
 * vram="16": a screen with so many MiB of memory, a power of two up to 256; without it there is none.
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

#include "lib/xml/xml.h"
#include "vmm/config/description.h"

#define CONFIG_TERMINAL "console"
#define CONFIG_TEXT_MAX 16384u

/* Reads a configuration; `text` (CONFIG_TEXT_MAX bytes at most) is changed. False: *error names element,
 * line, what was expected and what was found. Whether a built-in guest of the name exists is not checked
 * here. */
XML_CHECKED bool config_read(struct vm_description *config, char *text, size_t size, struct xml_error *error);
