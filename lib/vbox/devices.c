/* SPDX-License-Identifier: ISC */
/*
 * Network adapters, serial ports and shared folders of settings. Those that are switched off are passed over.
 */
#include "lib/vbox/read.h"

#include <string.h>

/* 16: it is no digit. */
static unsigned hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return (unsigned)(digit - '0');
    if (digit >= 'a' && digit <= 'f')
        return (unsigned)(digit - 'a' + 10);
    return digit >= 'A' && digit <= 'F' ? (unsigned)(digit - 'A' + 10) : 16;
}

static bool read_mac(const struct vbox_reader *reader, const struct xml_node *node, uint8_t mac[6])
{
    const char *text = xml_get_string_or(node, "MACAddress", "");
    bool good = strlen(text) == 12;

    for (unsigned i = 0; i < 12 && good; i++) {
        unsigned value = hex_value(text[i]);

        good = value < 16;
        mac[i / 2] = (uint8_t)(i % 2 ? mac[i / 2] | value : value << 4);
    }
    if (!good || mac[0] & 1)
        return xml_fail(reader->error, node->line,
                        "<Adapter>: expected 12 hexadecimal digits of a station as MACAddress, found \"%\"",
                        text);
    return true;
}

/* Where it leads: an element of the adapter, not one among <DisabledModes>. */
static enum vbox_network network_of(const struct xml_node *node)
{
    static const struct {
        const char *name;
        enum vbox_network network;
    } modes[] = {{"NAT", VBOX_NAT},
                 {"BridgedInterface", VBOX_BRIDGED},
                 {"HostInterface", VBOX_BRIDGED},
                 {"InternalNetwork", VBOX_INTERNAL},
                 {"HostOnlyInterface", VBOX_HOST_ONLY},
                 {"HostOnlyNetwork", VBOX_HOST_ONLY},
                 {"NATNetwork", VBOX_NAT_NETWORK},
                 {"GenericInterface", VBOX_GENERIC}};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (xml_child(node, modes[i].name))
            return modes[i].network;
    return VBOX_NOT_ATTACHED;
}

static bool read_adapter(const struct vbox_reader *reader, const struct xml_node *node)
{
    static const char *const types[] = {"Am79C970A", "Am79C973", "82540EM", "82543GC",
                                        "82545EM",   "virtio",   NULL};
    struct vbox_machine *machine = reader->machine;
    struct vbox_adapter *adapter = &machine->adapter[machine->adapters];
    bool enabled;

    if (!vbox_bool(reader, node, "enabled", false, &enabled))
        return false;
    if (!enabled)
        return true;
    if (machine->adapters == VBOX_ADAPTERS)
        return xml_fail(reader->error, node->line,
                        "<Adapter>: expected at most 8 that are enabled, found more");
    if (!vbox_number(reader, node, "slot", 0, 35, 0, &adapter->slot) ||
        !read_mac(reader, node, adapter->mac) || !vbox_bool(reader, node, "cable", true, &adapter->cable))
        return false;
    for (size_t i = 0; i < machine->adapters; i++)
        if (machine->adapter[i].slot == adapter->slot)
            return xml_fail(reader->error, node->line, "<Adapter>: the slot % is there twice",
                            xml_get_string_or(node, "slot", "0"));
    adapter->type = vbox_choice(reader, node, "type", types, VBOX_AM79C973, VBOX_OTHER_ADAPTER);
    if (adapter->type == VBOX_AM79C970A || adapter->type == VBOX_AM79C973)
        vbox_tell(reader, node->line, "<Adapter>: the type Am79C97x is not offered");
    adapter->network = network_of(node);
    adapter->line = node->line;
    machine->adapters++;
    return true;
}

bool vbox_read_network(const struct vbox_reader *reader, const struct xml_node *network)
{
    for (const struct xml_node *node = network ? xml_child(network, "Adapter") : NULL; node;
         node = xml_next(node, "Adapter"))
        if (!read_adapter(reader, node))
            return false;
    return true;
}

static bool read_port(const struct vbox_reader *reader, const struct xml_node *node)
{
    struct vbox_machine *machine = reader->machine;
    struct vbox_uart *uart = &machine->uart[machine->uarts];
    bool enabled;

    if (!vbox_bool(reader, node, "enabled", false, &enabled))
        return false;
    if (!enabled)
        return true;
    if (machine->uarts == VBOX_PORTS)
        return xml_fail(reader->error, node->line, "<Port>: expected at most 4 that are enabled, found more");
    if (!vbox_number(reader, node, "slot", 0, VBOX_PORTS - 1, 0, &uart->slot) ||
        !vbox_number(reader, node, "IOBase", 1, 0xfff8, 0x3f8, &uart->base) ||
        !vbox_number(reader, node, "IRQ", 1, 15, 4, &uart->irq) ||
        !vbox_text(reader, node, "hostMode", uart->mode, sizeof(uart->mode)) ||
        !vbox_text(reader, node, "path", uart->path, sizeof(uart->path)))
        return false;
    for (size_t i = 0; i < machine->uarts; i++)
        if (machine->uart[i].slot == uart->slot ||
            (machine->uart[i].base < uart->base + 8 && uart->base < machine->uart[i].base + 8))
            return xml_fail(reader->error, node->line, "<Port>: its slot or its I/O ports are another one's");
    uart->line = node->line;
    machine->uarts++;
    return true;
}

bool vbox_read_uarts(const struct vbox_reader *reader, const struct xml_node *uart)
{
    for (const struct xml_node *node = uart ? xml_child(uart, "Port") : NULL; node;
         node = xml_next(node, "Port"))
        if (!read_port(reader, node))
            return false;
    return true;
}

bool vbox_read_folders(const struct vbox_reader *reader, const struct xml_node *folders)
{
    struct vbox_machine *machine = reader->machine;

    for (const struct xml_node *node = folders ? xml_child(folders, "SharedFolder") : NULL; node;
         node = xml_next(node, "SharedFolder")) {
        struct vbox_folder *folder = &machine->folder[machine->folders];

        if (machine->folders == VBOX_FOLDERS)
            return xml_fail(reader->error, node->line, "<SharedFolder>: expected at most 8, found more");
        if (!vbox_text(reader, node, "name", folder->name, sizeof(folder->name)) ||
            !vbox_text(reader, node, "hostPath", folder->path, sizeof(folder->path)) ||
            !vbox_bool(reader, node, "writable", false, &folder->writable) ||
            !vbox_bool(reader, node, "autoMount", false, &folder->auto_mount))
            return false;
        folder->line = node->line;
        vbox_tell(reader, node->line, "<SharedFolder>: shared folders are not offered: \"%\"", folder->name);
        machine->folders++;
    }
    return true;
}
