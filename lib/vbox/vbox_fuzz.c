/* SPDX-License-Identifier: ISC */
/*
 * Hostile settings: what is read holds its own bounds, and its strings end.
 */
#include "lib/vbox/vbox.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct xml_node nodes[VBOX_NODES];
static struct xml_attribute attributes[VBOX_ATTRIBUTES];

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void note(void *context, uint32_t line, const char *text)
{
    unsigned *notes = context;

    ++*notes;
    require(line > 0 && strlen(text) < sizeof(((struct xml_error *)0)->reason));
}

static bool ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static bool is_uuid(const char *uuid)
{
    return ends(uuid, VBOX_UUID) && (strlen(uuid) == VBOX_UUID - 1 || !*uuid);
}

static void check_media(const struct vbox_machine *machine)
{
    require(machine->media <= VBOX_MEDIA);
    for (size_t i = 0; i < machine->media; i++) {
        const struct vbox_medium *medium = &machine->medium[i];

        require(is_uuid(medium->uuid) && *medium->uuid && *medium->location);
        require(ends(medium->location, VBOX_PATH) && ends(medium->format, VBOX_NAME));
        require(medium->parent == VBOX_NONE || medium->parent < i); /* so that no chain is a circle */
        require(medium->parent == VBOX_NONE || medium->kind == VBOX_HARD_DISK);
        for (size_t j = 0; j < i; j++)
            require(strcmp(machine->medium[j].uuid, medium->uuid) != 0);
    }
}

static void check_devices(const struct vbox_machine *machine)
{
    require(machine->controllers <= VBOX_CONTROLLERS && machine->devices <= VBOX_DEVICES);
    for (size_t i = 0; i < machine->devices; i++) {
        const struct vbox_device *device = &machine->device[i];

        require(device->controller < machine->controllers);
        require(device->port < machine->controller[device->controller].ports);
        require(is_uuid(device->uuid));
        require(device->medium == VBOX_NONE || device->medium < machine->media);
        require(device->medium == VBOX_NONE ||
                (machine->medium[device->medium].kind == device->kind &&
                 strcmp(machine->medium[device->medium].uuid, device->uuid) == 0));
        require(device->kind != VBOX_HARD_DISK || *device->uuid);
        for (size_t j = 0; j < i; j++)
            require(machine->device[j].controller != device->controller ||
                    machine->device[j].port != device->port || machine->device[j].device != device->device);
    }
}

static void check_machine(const struct vbox_machine *machine)
{
    require(is_uuid(machine->uuid) && ends(machine->name, VBOX_NAME) && ends(machine->os_type, VBOX_NAME));
    require(*machine->uuid && *machine->name);
    require(machine->cpus >= 1 && machine->cpus <= 64 && machine->memory >= 4 && machine->memory <= 2 << 20);
    require(machine->adapters <= VBOX_ADAPTERS && machine->uarts <= VBOX_PORTS &&
            machine->folders <= VBOX_FOLDERS);
    for (size_t i = 0; i < machine->adapters; i++)
        require(!(machine->adapter[i].mac[0] & 1) && machine->adapter[i].slot < 36);
    for (size_t i = 0; i < machine->uarts; i++)
        require(machine->uart[i].base <= 0xfff8 && machine->uart[i].irq < 16 &&
                machine->uart[i].slot < VBOX_PORTS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xml_document document = {.nodes = nodes,
                                    .attributes = attributes,
                                    .node_limit = VBOX_NODES,
                                    .attribute_limit = VBOX_ATTRIBUTES};
    struct vbox_machine *machine = malloc(sizeof(*machine));
    char *text = malloc(size ? size : 1);
    struct xml_error error = {.line = 0};
    unsigned notes = 0;

    require(machine && text);
    if (size)
        memcpy(text, data, size);
    if (vbox_read(machine, &document, text, size, note, &notes, &error)) {
        check_media(machine);
        check_devices(machine);
        check_machine(machine);
    } else {
        require(error.line > 0 && error.reason[0]);
    }
    require(notes <= 65);
    free(text);
    free(machine);
    return 0;
}
