/* SPDX-License-Identifier: ISC */
/*
 * VirtualBox's machine settings (.vbox), settings versions 1.12 to 1.20, as a plain description.
 *
 * The text is parsed in place and not needed afterwards. Every element that a PIIX3 machine uses is read. What we do
 * not offer is a note with element and line; what cannot work is an error. Guest properties, extra data and
 * snapshots are passed over: the current state stands outside of the snapshots.
 *
 * After VirtualBox's manual and its settings schema (VirtualBox-settings.xsd).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/xml/xml.h"

#define VBOX_NAME        64u
#define VBOX_UUID        37u /* 36 characters in lower case, and the end */
#define VBOX_PATH        512u
#define VBOX_MEDIA       32u
#define VBOX_CONTROLLERS 8u
#define VBOX_DEVICES     32u
#define VBOX_ADAPTERS    8u
#define VBOX_PORTS       4u
#define VBOX_FOLDERS     8u
#define VBOX_BOOT        4u
#define VBOX_NONE        UINT32_MAX /* no medium */

/* What xml_parse needs for settings of some 60 KB: room for the caller to provide. */
#define VBOX_NODES      4096u
#define VBOX_ATTRIBUTES 16384u

enum vbox_boot { VBOX_BOOT_NONE, VBOX_BOOT_FLOPPY, VBOX_BOOT_DVD, VBOX_BOOT_DISK, VBOX_BOOT_NETWORK };
enum vbox_chipset { VBOX_PIIX3, VBOX_ICH9 };
enum vbox_graphics { VBOX_VGA, VBOX_SVGA, VBOX_VMSVGA, VBOX_NO_GRAPHICS };
enum vbox_paravirt {
    VBOX_PARAVIRT_NONE,
    VBOX_PARAVIRT_DEFAULT,
    VBOX_PARAVIRT_LEGACY,
    VBOX_PARAVIRT_MINIMAL,
    VBOX_PARAVIRT_HYPERV,
    VBOX_PARAVIRT_KVM
};
enum vbox_pointing { VBOX_PS2_MOUSE, VBOX_USB_MOUSE, VBOX_USB_TABLET, VBOX_OTHER_POINTING };
enum vbox_medium_kind { VBOX_HARD_DISK, VBOX_DVD, VBOX_FLOPPY };
enum vbox_medium_type {
    VBOX_NORMAL,
    VBOX_IMMUTABLE,
    VBOX_WRITETHROUGH,
    VBOX_SHAREABLE,
    VBOX_READONLY,
    VBOX_MULTIATTACH
};
enum vbox_controller_type {
    VBOX_AHCI,
    VBOX_PIIX3_IDE,
    VBOX_PIIX4_IDE,
    VBOX_ICH6_IDE,
    VBOX_I82078,
    VBOX_NVME,
    VBOX_OTHER_CONTROLLER
};
enum vbox_adapter_type {
    VBOX_AM79C970A,
    VBOX_AM79C973,
    VBOX_82540EM,
    VBOX_82543GC,
    VBOX_82545EM,
    VBOX_VIRTIO,
    VBOX_OTHER_ADAPTER
};
enum vbox_network {
    VBOX_NOT_ATTACHED,
    VBOX_NAT,
    VBOX_BRIDGED,
    VBOX_INTERNAL,
    VBOX_HOST_ONLY,
    VBOX_NAT_NETWORK,
    VBOX_GENERIC
};

struct vbox_medium {
    char uuid[VBOX_UUID];
    char location[VBOX_PATH]; /* as it is written: with drive letters and backslashes, or relative */
    char format[VBOX_NAME];   /* of hard disks: "VDI" */
    enum vbox_medium_kind kind;
    enum vbox_medium_type type;
    uint32_t parent; /* index, of a differencing image; VBOX_NONE: none */
    uint32_t line;
};

struct vbox_controller {
    char name[VBOX_NAME];
    enum vbox_controller_type type;
    uint32_t ports;
    uint32_t line;
};

struct vbox_device {
    uint32_t controller; /* index */
    uint32_t port, device;
    enum vbox_medium_kind kind;
    char uuid[VBOX_UUID]; /* of its image; "": none, an empty drive */
    uint32_t medium;      /* index; VBOX_NONE: none, or not registered here */
    bool non_rotational, discard;
    uint32_t line;
};

struct vbox_adapter { /* an enabled one */
    uint32_t slot;
    enum vbox_adapter_type type;
    enum vbox_network network;
    uint8_t mac[6];
    bool cable;
    uint32_t line;
};

struct vbox_uart { /* an enabled one */
    uint32_t slot, base, irq;
    char mode[VBOX_NAME]; /* "Disconnected", "RawFile", "HostPipe", "HostDevice", "TCP" */
    char path[VBOX_PATH];
    uint32_t line;
};

struct vbox_folder {
    char name[VBOX_NAME];
    char path[VBOX_PATH];
    bool writable, auto_mount;
    uint32_t line;
};

struct vbox_machine {
    uint32_t version; /* the settings' minor one: 12 of "1.12-linux" */
    char uuid[VBOX_UUID], name[VBOX_NAME], os_type[VBOX_NAME];
    uint32_t cpus;
    uint64_t memory; /* MiB */
    bool pae, long_mode, ioapic, hpet, boot_menu, utc;
    int64_t time_offset; /* ms */
    enum vbox_chipset chipset;
    enum vbox_paravirt paravirt;
    enum vbox_pointing pointing;
    enum vbox_graphics graphics;
    uint32_t vram; /* MiB */
    enum vbox_boot boot[VBOX_BOOT];
    size_t media, controllers, devices, adapters, uarts, folders;
    struct vbox_medium medium[VBOX_MEDIA];
    struct vbox_controller controller[VBOX_CONTROLLERS];
    struct vbox_device device[VBOX_DEVICES];
    struct vbox_adapter adapter[VBOX_ADAPTERS];
    struct vbox_uart uart[VBOX_PORTS];
    struct vbox_folder folder[VBOX_FOLDERS];
};

/* Called for what is not offered: a line of the text and a sentence. */
typedef void vbox_note(void *context, uint32_t line, const char *text);

/* Reads settings; `text` is changed, `document` needs its arrays only. False: *error has line and reason, and
 * *machine is undefined. */
XML_CHECKED bool vbox_read(struct vbox_machine *machine, struct xml_document *document, char *text,
                           size_t size, vbox_note *note, void *context, struct xml_error *error);
