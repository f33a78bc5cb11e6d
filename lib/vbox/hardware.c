/* SPDX-License-Identifier: ISC */
/*
 * The element <Hardware>: processors, memory, firmware, chip set, screen, and what is not offered. One table says for
 * each child who reads it, so that what nobody reads is told.
 */
#include "lib/vbox/read.h"

#include <string.h>

#define MEMORY_MIN 4u /* MiB */
#define MEMORY_MAX (2u << 20)
#define VRAM_MAX   256u

typedef bool part_reader(const struct vbox_reader *reader, const struct xml_node *node);

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), wanted = strlen(end);

    return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

/* A guest for 64 bits cannot run without them. */
static bool read_cpu(const struct vbox_reader *reader, const struct xml_node *node)
{
    struct vbox_machine *machine = reader->machine;
    const struct xml_node *mode = xml_child(node, "LongMode"), *leaves = xml_child(node, "CpuIdTree");
    bool hot_plug;

    if (!vbox_number(reader, node, "count", 1, 64, 1, &machine->cpus) ||
        !vbox_bool(reader, node, "hotplug", false, &hot_plug) ||
        !vbox_child_enabled(reader, node, "PAE", true, &machine->pae) ||
        !vbox_child_enabled(reader, node, "LongMode", true, &machine->long_mode))
        return false;
    if (!machine->long_mode && ends_with(machine->os_type, "_64"))
        return xml_fail(reader->error, mode->line, "<LongMode>: expected true for OSType %, found false",
                        machine->os_type);
    if (hot_plug)
        vbox_tell(reader, node->line, "<CPU>: processors are not plugged while the machine runs");
    if (leaves && xml_child(leaves, NULL))
        vbox_tell(reader, leaves->line, "<CpuIdTree>: leaves of CPUID are not changed");
    return true;
}

static bool read_memory(const struct vbox_reader *reader, const struct xml_node *node)
{
    const struct xml_range range = {.min = MEMORY_MIN, .max = MEMORY_MAX};

    return xml_get_unsigned(node, "RAMSize", &range, &reader->machine->memory, reader->error);
}

static bool read_firmware(const struct vbox_reader *reader, const struct xml_node *node)
{
    const char *type = xml_get_string_or(node, "type", "BIOS");

    if (strcmp(type, "BIOS") == 0)
        return true;
    return xml_fail(reader->error, node->line, "<Firmware>: expected the type BIOS, found \"%\"", type);
}

static bool read_chipset(const struct vbox_reader *reader, const struct xml_node *node)
{
    static const char *const types[] = {"PIIX3", "ICH9", NULL};

    reader->machine->chipset = vbox_choice(reader, node, "type", types, VBOX_PIIX3, VBOX_PIIX3);
    if (reader->machine->chipset != VBOX_PIIX3)
        vbox_tell(reader, node->line, "<Chipset>: ICH9 is not offered: the machine gets a PIIX3");
    return true;
}

static bool read_hid(const struct vbox_reader *reader, const struct xml_node *node)
{
    static const char *const pointing[] = {"PS2Mouse", "USBMouse", "USBTablet", NULL};
    static const char *const keyboards[] = {"PS2Keyboard", NULL};

    reader->machine->pointing =
        vbox_choice(reader, node, "Pointing", pointing, VBOX_PS2_MOUSE, VBOX_OTHER_POINTING);
    if (reader->machine->pointing != VBOX_PS2_MOUSE)
        vbox_tell(reader, node->line, "<HID>: USB devices are not offered: the machine gets a PS/2 mouse");
    (void)vbox_choice(reader, node, "Keyboard", keyboards, 0, 0);
    return true;
}

static bool read_hpet(const struct vbox_reader *reader, const struct xml_node *node)
{
    if (!vbox_bool(reader, node, "enabled", false, &reader->machine->hpet))
        return false;
    if (reader->machine->hpet)
        vbox_tell(reader, node->line, "<HPET>: it is not offered");
    return true;
}

static bool read_paravirt(const struct vbox_reader *reader, const struct xml_node *node)
{
    static const char *const providers[] = {"None", "Default", "Legacy", "Minimal", "HyperV", "KVM", NULL};

    reader->machine->paravirt =
        vbox_choice(reader, node, "provider", providers, VBOX_PARAVIRT_DEFAULT, VBOX_PARAVIRT_DEFAULT);
    if (reader->machine->paravirt == VBOX_PARAVIRT_HYPERV)
        vbox_tell(reader, node->line, "<Paravirt>: HyperV is not offered: the guest finds KVM");
    return true;
}

static bool read_boot(const struct vbox_reader *reader, const struct xml_node *node)
{
    static const char *const devices[] = {"None", "Floppy", "DVD", "HardDisk", "Network", NULL};

    for (const struct xml_node *order = xml_child(node, "Order"); order; order = xml_next(order, "Order")) {
        uint32_t position;

        if (!vbox_number(reader, order, "position", 1, VBOX_BOOT, 1, &position))
            return false;
        reader->machine->boot[position - 1] =
            vbox_choice(reader, order, "device", devices, VBOX_BOOT_NONE, VBOX_BOOT_NONE);
        if (reader->machine->boot[position - 1] == VBOX_BOOT_NETWORK)
            vbox_tell(reader, order->line, "<Order>: booting from the network is not offered");
    }
    return true;
}

static bool read_display(const struct vbox_reader *reader, const struct xml_node *node)
{
    static const char *const controllers[] = {"VBoxVGA", "VBoxSVGA", "VMSVGA", "None", NULL};
    struct vbox_machine *machine = reader->machine;
    uint32_t monitors;
    bool accelerated;

    machine->graphics = vbox_choice(reader, node, "controller", controllers, VBOX_VGA, VBOX_SVGA);
    if (machine->graphics == VBOX_VMSVGA)
        vbox_tell(reader, node->line, "<Display>: VMSVGA is not offered: the machine gets a VBoxSVGA");
    if (!vbox_number(reader, node, "VRAMSize", 0, VRAM_MAX, 8, &machine->vram) ||
        !vbox_number(reader, node, "monitorCount", 1, 64, 1, &monitors) ||
        !vbox_bool(reader, node, "accelerate3D", false, &accelerated))
        return false;
    if (monitors > 1)
        vbox_tell(reader, node->line, "<Display>: more than one monitor is not offered");
    if (accelerated)
        vbox_tell(reader, node->line, "<Display>: 3D is not offered");
    return true;
}

/* Milliseconds, with a sign. */
static bool read_offset(const struct vbox_reader *reader, const struct xml_node *node)
{
    const char *text = xml_get_string_or(node, "value", "0"), *digit = text + (*text == '-');
    int64_t value = 0;

    if (!*digit || strlen(digit) > 15)
        return xml_fail(reader->error, node->line, "<TimeOffset>: expected milliseconds, found \"%\"", text);
    for (; *digit; digit++) {
        if (*digit < '0' || *digit > '9')
            return xml_fail(reader->error, node->line, "<TimeOffset>: expected milliseconds, found \"%\"",
                            text);
        value = value * 10 + (*digit - '0');
    }
    reader->machine->time_offset = *text == '-' ? -value : value;
    return true;
}

static bool read_bios(const struct vbox_reader *reader, const struct xml_node *node)
{
    static const char *const menus[] = {"Disabled", "MenuOnly", "MessageAndMenu", NULL};
    const struct xml_node *offset = xml_child(node, "TimeOffset"), *menu = xml_child(node, "BootMenu");
    bool acpi;

    if (!vbox_child_enabled(reader, node, "ACPI", true, &acpi) ||
        !vbox_child_enabled(reader, node, "IOAPIC", false, &reader->machine->ioapic) ||
        (offset && !read_offset(reader, offset)))
        return false;
    if (menu)
        reader->machine->boot_menu = vbox_choice(reader, menu, "mode", menus, 2, 2) != 0;
    if (!acpi)
        vbox_tell(reader, node->line, "<ACPI>: the machine has ACPI tables all the same");
    return true;
}

static bool read_rtc(const struct vbox_reader *reader, const struct xml_node *node)
{
    static const char *const zones[] = {"local", "UTC", NULL};

    reader->machine->utc = vbox_choice(reader, node, "localOrUTC", zones, 0, 0) == 1;
    if (!reader->machine->utc)
        vbox_tell(reader, node->line, "<RTC>: local time is not known: the clock has UTC");
    return true;
}

static bool read_usb(const struct vbox_reader *reader, const struct xml_node *node)
{
    const struct xml_node *controllers = xml_child(node, "Controllers");

    if (controllers && xml_child(controllers, "Controller"))
        vbox_tell(reader, controllers->line, "<Controllers>: USB is not offered");
    return true;
}

/* A device that is absent, if it is on. */
static bool read_absent(const struct vbox_reader *reader, const struct xml_node *node)
{
    const struct xml_node *port = xml_child(node, "Port");
    const struct xml_node *device = port ? port : node;
    bool enabled;

    if (!vbox_bool(reader, device, "enabled", false, &enabled))
        return false;
    if (enabled)
        vbox_tell(reader, device->line, "<%>: it is not offered", node->name);
    return true;
}

static bool read_shared(const struct vbox_reader *reader, const struct xml_node *node)
{
    if (strcmp(xml_get_string_or(node, "mode", "Disabled"), "Disabled") != 0)
        vbox_tell(reader, node->line, "<%>: it is not offered", node->name);
    return true;
}

static bool read_guest(const struct vbox_reader *reader, const struct xml_node *node)
{
    uint32_t balloon;

    if (!vbox_number(reader, node, "memoryBalloonSize", 0, UINT32_MAX, 0, &balloon))
        return false;
    if (balloon)
        vbox_tell(reader, node->line, "<Guest>: memory is not taken back");
    return true;
}

static bool pass_over(const struct vbox_reader *reader, const struct xml_node *node)
{
    (void)reader;
    (void)node;
    return true;
}

static bool read_platform(const struct vbox_reader *reader, const struct xml_node *node);

static const struct {
    const char *name;
    part_reader *read;
} parts[] = {
    {"CPU", read_cpu},
    {"Memory", read_memory},
    {"Firmware", read_firmware},
    {"Platform", read_platform},
    {"Chipset", read_chipset},
    {"HID", read_hid},
    {"HPET", read_hpet},
    {"Paravirt", read_paravirt},
    {"Boot", read_boot},
    {"Display", read_display},
    {"BIOS", read_bios},
    {"RTC", read_rtc},
    {"Network", vbox_read_network},
    {"UART", vbox_read_uarts},
    {"SharedFolders", vbox_read_folders},
    {"USB", read_usb},
    {"USBController", read_absent},
    {"LPT", read_absent},
    {"AudioAdapter", read_absent},
    {"RemoteDisplay", read_absent},
    {"Clipboard", read_shared},
    {"DragAndDrop", read_shared},
    {"Guest", read_guest},
    {"StorageControllers", pass_over}, /* the machine's reader looks here as well */
    {"GuestProperties", pass_over},
    {"VideoCapture", pass_over},
    {"Recording", pass_over},
    {"EmulatedUSB", pass_over},
    {"IO", pass_over},
    {"HostPci", pass_over},
    {"CpuIdTree", pass_over},
};

static bool read_parts(const struct vbox_reader *reader, const struct xml_node *node)
{
    for (const struct xml_node *child = xml_child(node, NULL); child; child = xml_next(child, NULL)) {
        size_t i = 0;

        while (i < sizeof(parts) / sizeof(parts[0]) && strcmp(parts[i].name, child->name) != 0)
            i++;
        if (i == sizeof(parts) / sizeof(parts[0]))
            vbox_tell(reader, child->line, "<%>: not known below <%>", child->name, node->name);
        else if (!parts[i].read(reader, child))
            return false;
    }
    return true;
}

/* Newest settings keep what depends on the processor's architecture in an element of its own. */
static bool read_platform(const struct vbox_reader *reader, const struct xml_node *node)
{
    const char *architecture = xml_get_string_or(node, "architecture", "x86");

    if (strcmp(architecture, "x86") != 0)
        return xml_fail(reader->error, node->line, "<Platform>: expected the architecture x86, found \"%\"",
                        architecture);
    for (const struct xml_node *child = xml_child(node, NULL); child; child = xml_next(child, NULL))
        if (strcmp(child->name, "Platform") == 0)
            return xml_fail(reader->error, child->line, "<Platform>: not expected in itself");
    return read_parts(reader, node);
}

bool vbox_read_hardware(const struct vbox_reader *reader, const struct xml_node *hardware)
{
    struct vbox_machine *machine = reader->machine;

    machine->cpus = 1;
    machine->pae = machine->long_mode = true;
    machine->paravirt = VBOX_PARAVIRT_DEFAULT;
    machine->vram = 8;
    machine->boot_menu = true;
    machine->boot[0] = VBOX_BOOT_FLOPPY;
    machine->boot[1] = VBOX_BOOT_DVD;
    machine->boot[2] = VBOX_BOOT_DISK;
    if (!read_parts(reader, hardware))
        return false;
    if (machine->memory == 0)
        return xml_fail(reader->error, hardware->line, "<Hardware>: expected <Memory RAMSize>, found none");
    return true;
}
