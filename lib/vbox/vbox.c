/* SPDX-License-Identifier: ISC */
/*
 * The settings file as a whole: its version, and the machine with its media, hardware and storage.
 */
#include "lib/vbox/read.h"

#include <string.h>

#define OLDEST 12u
#define NEWEST 20u

/* "1.18-linux": what follows the number is free. */
static bool read_version(const struct vbox_reader *reader, const struct xml_node *root)
{
    const char *text = xml_get_string_or(root, "version", ""), *digit = text + 2;
    uint32_t minor = 0;

    if (strncmp(text, "1.", 2) != 0 || *digit < '0' || *digit > '9')
        return xml_fail(reader->error, root->line,
                        "<VirtualBox>: expected a version 1.12 to 1.20, found \"%\"", text);
    for (; *digit >= '0' && *digit <= '9' && minor < 1000; digit++)
        minor = minor * 10 + (uint32_t)(*digit - '0');
    reader->machine->version = minor;
    if (minor < OLDEST)
        vbox_tell(reader, root->line, "<VirtualBox>: version % is old, and is tried", text);
    else if (minor > NEWEST)
        vbox_tell(reader, root->line, "<VirtualBox>: version % is newer than what is known, and is tried",
                  text);
    return true;
}

static bool read_extra(const struct vbox_reader *reader, const struct xml_node *extra)
{
    for (const struct xml_node *item = extra ? xml_child(extra, "ExtraDataItem") : NULL; item;
         item = xml_next(item, "ExtraDataItem"))
        if (strncmp(xml_get_string_or(item, "name", ""), "VBoxInternal", strlen("VBoxInternal")) == 0)
            vbox_tell(reader, item->line, "<ExtraDataItem>: % has no meaning here",
                      xml_get_string_or(item, "name", ""));
    return true;
}

static bool read_machine(const struct vbox_reader *reader, const struct xml_node *node)
{
    struct vbox_machine *machine = reader->machine;
    const struct xml_node *hardware = xml_child(node, "Hardware");
    const struct xml_node *storage = xml_child(node, "StorageControllers");

    if (!vbox_uuid(reader, node, "uuid", true, machine->uuid) ||
        !vbox_text(reader, node, "name", machine->name, sizeof(machine->name)) ||
        !vbox_text(reader, node, "OSType", machine->os_type, sizeof(machine->os_type)))
        return false;
    if (!machine->name[0])
        return xml_fail(reader->error, node->line, "<Machine>: expected a name, found none");
    if (!hardware)
        return xml_fail(reader->error, node->line, "<Machine>: expected <Hardware>, found none");
    if (xml_attribute(node, "stateFile"))
        vbox_tell(reader, node->line, "<Machine>: its saved state is not offered: it begins anew");
    if (!storage)
        storage = xml_child(hardware, "StorageControllers"); /* from 1.19 on */
    return read_extra(reader, xml_child(node, "ExtraData")) &&
           vbox_read_media(reader, xml_child(node, "MediaRegistry")) &&
           vbox_read_hardware(reader, hardware) && vbox_read_storage(reader, storage);
}

bool vbox_read(struct vbox_machine *machine, struct xml_document *document, char *text, size_t size,
               vbox_note *note, void *context, struct xml_error *error)
{
    unsigned notes = 0;
    const struct vbox_reader reader = {
        .machine = machine, .note = note, .context = context, .error = error, .notes = &notes};
    const struct xml_node *root, *node;

    memset(machine, 0, sizeof(*machine));
    vbox_cut_snapshots(text, size);
    if (!xml_parse(document, text, size, error))
        return false;
    root = document->root;
    if (strcmp(root->name, "VirtualBox") != 0)
        return xml_fail(error, root->line, "expected <VirtualBox>, found <%>", root->name);
    if (!read_version(&reader, root))
        return false;
    if (xml_child(root, "MachineEncrypted"))
        return xml_fail(error, root->line, "<VirtualBox>: the machine is encrypted");
    node = xml_child(root, "Machine");
    if (!node)
        return xml_fail(error, root->line, "<VirtualBox>: expected <Machine>, found none");
    if (xml_next(node, "Machine"))
        return xml_fail(error, xml_next(node, "Machine")->line,
                        "<VirtualBox>: expected one <Machine>, found more");
    return read_machine(&reader, node);
}
