/* SPDX-License-Identifier: ISC */
/*
 * tools/image: makes, shows, checks, converts and compacts VDI images, by lib/vdi.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/vdi/create.h"
#include "tools/host/image/file.h"

#define STEP (UINT64_C(1) << 20)

static const char help[] =
    "VDI images of VirtualBox: made, shown, checked, converted, compacted.\n"
    "  tools/image create [--type dynamic|fixed] --size N[K|M|G|T] [--block-size N] FILE\n"
    "  tools/image create --type differencing FILE PARENT\n"
    "  tools/image info FILE\n"
    "  tools/image check FILE [PARENT...]      leaks are no error: writing uses them again\n"
    "  tools/image convert FROM [PARENT...] TO  TO is a VDI if it ends in .vdi, else raw; FROM is what it "
    "is\n"
    "  tools/image compact FILE [PARENT...]    fills the slots that discarded blocks left, with the last "
    "ones\n"
    "Parents are named child first; no image names the files of its parents.\n"
    "Exit status: 0 done, 1 an image or file is not as it must be (one line says why), 2 bad arguments.\n";

struct options {
    enum vdi_type type;
    uint64_t size, block_size;
};

static int usage(const char *what)
{
    return fail(what, "see tools/image --help") ? 0 : 2;
}

static bool parse_size(const char *text, uint64_t *size)
{
    static const char suffixes[] = "KMGT";
    const char *suffix;
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    *size = strtoull(text, &end, 10);
    suffix = *end ? strchr(suffixes, *end) : NULL;
    if (suffix)
        end++;
    if (*end || (suffix && *size >> (63 - 10 * (suffix - suffixes + 1))))
        return false;
    if (suffix)
        *size <<= 10 * (suffix - suffixes + 1);
    return true;
}

/* Writes a new image: map first, header last. */
static bool make_image(struct file *file, const char *name, const struct vdi_create_config *config)
{
    struct vdi_header header;
    struct vdi_error error;
    uint8_t bytes[VDI_HEADER_BYTES];
    uint32_t entries[1024];

    if (!vdi_create(&header, config, &error))
        return fail(name, error.text);
    if (!file_create(file, name) || !file_resize(file, vdi_create_size(&header)))
        return false;
    for (uint64_t block = 0; block < header.block_count; block += 1024) {
        vdi_create_map(&header, (uint32_t)block, 1024, entries);
        if (!file_write(file, header.map_offset + block * 4, entries, sizeof(entries)))
            return false;
    }
    vdi_header_build(bytes, &header);
    return file_flush(file) && file_write(file, 0, bytes, sizeof(bytes)) && file_flush(file);
}

static bool create(const struct options *options, char *const *names, uint32_t count)
{
    struct vdi_create_config config = {
        .type = options->type, .disk_size = options->size, .block_size = (uint32_t)options->block_size};
    struct vdi_header parent;
    struct file file = {.descriptor = -1};
    bool done;

    if (getrandom(config.random, sizeof(config.random), 0) != (ssize_t)sizeof(config.random))
        return fail(names[0], "no random bytes for its UUIDs");
    if (count > 1) {
        done = file_open(&file, names[1], false) && image_header(&file, &parent);
        if (file.descriptor >= 0)
            (void)close(file.descriptor); /* was only read */
        if (!done)
            return false;
        config.parent = &parent;
    }
    file.descriptor = -1;
    done = make_image(&file, names[0], &config);
    if (file.descriptor >= 0)
        (void)close(file.descriptor); /* was flushed */
    return done;
}

static void print_uuid(const char *name, const struct vdi_uuid *uuid)
{
    char text[37];

    vdi_uuid_text(uuid, text);
    (void)printf("%-14s %s\n", name, text);
}

static bool info(char *const *names)
{
    static const char *const types[] = {
        [VDI_DYNAMIC] = "dynamic", [VDI_FIXED] = "fixed", [VDI_DIFFERENCING] = "differencing"};
    struct file file = {.descriptor = -1};
    struct vdi_header header;
    const bool read = file_open(&file, names[0], false) && image_header(&file, &header);

    if (file.descriptor >= 0)
        (void)close(file.descriptor); /* was only read */
    if (!read)
        return false;
    (void)printf("%-14s %s, version %s\n", "type", types[header.type],
                 header.version == VDI_VERSION_1_1 ? "1.1" : "0.2");
    (void)printf("%-14s %lu bytes\n", "disk", header.disk_size);
    (void)printf("%-14s %u of %u bytes, %u of them have a slot by the header\n", "blocks", header.block_count,
                 header.block_size, header.slot_count);
    (void)printf("%-14s map %lu, data %lu\n", "offsets", header.map_offset, header.data_offset);
    print_uuid("UUID", &header.create);
    print_uuid("state", &header.modify);
    if (header.type == VDI_DIFFERENCING) {
        print_uuid("parent", &header.parent_create);
        print_uuid("parent's state", &header.parent_modify);
    }
    return true;
}

static bool check(char *const *names, uint32_t count)
{
    static struct disk disk;
    struct vdi_header header;
    struct vdi_error error = {""};
    bool good = disk_open(&disk, names, count, false);

    if (good && !disk.image_count)
        good = fail(names[0], "is no VDI image: there is no signature 0xbeda107f at 0x40");
    for (uint32_t i = 0; good && i < disk.image_count; i++) {
        const struct vdi_image *image = &disk.images[i];
        const uint32_t leaks = image->header.slot_count - (image->mapped - image->duplicates);

        (void)printf("%s: %u of %u blocks have a slot, %u slots leaked\n", names[i], image->mapped,
                     image->header.block_count, leaks);
        if (image->duplicates)
            good = vdi_fail(&error, "blocks that have the slot of another one", "0", image->duplicates);
        else if (image->count_was_low && image_header(&disk.files[i], &header))
            good = vdi_fail_bound(&error, "slots counted by the header", "at least", image->slots,
                                  header.slot_count);
        if (!good)
            good = fail(names[i], error.text);
    }
    disk_close(&disk);
    return good;
}

static bool all_zero(const uint8_t *bytes, uint64_t count)
{
    return !bytes[0] && !memcmp(bytes, bytes + 1, count - 1);
}

/* Copies what is not zero; the target reads as zeros elsewhere. */
static bool copy(struct disk *from, struct disk *vdi, struct file *raw)
{
    static uint8_t bytes[STEP];

    for (uint64_t at = 0; at < from->size; at += STEP) {
        const uint64_t count = from->size - at < STEP ? from->size - at : STEP;

        if (!disk_do(from, VDI_READ, at, count, bytes))
            return false;
        if (all_zero(bytes, count))
            continue;
        if (vdi ? !disk_do(vdi, VDI_WRITE, at, count, bytes) : !file_write(raw, at, bytes, count))
            return false;
    }
    return vdi ? disk_do(vdi, VDI_COMPACT, 0, 0, NULL) : file_flush(raw);
}

static bool convert_to_vdi(const struct options *options, struct disk *from, char *name)
{
    static struct disk to;
    const struct options made = {options->type, from->size, options->block_size};
    const bool done = create(&made, &name, 1) && disk_open(&to, &name, 1, true) && copy(from, &to, NULL);

    disk_close(&to);
    return done;
}

static bool convert(const struct options *options, char *const *names, uint32_t count)
{
    static struct disk from;
    char *const target = names[count - 1];
    const size_t length = strlen(target);
    struct file raw = {.descriptor = -1};
    bool done = disk_open(&from, names, count - 1, false);

    if (done && length > 4 && !strcmp(target + length - 4, ".vdi"))
        done = convert_to_vdi(options, &from, target);
    else if (done)
        done = file_create(&raw, target) && file_resize(&raw, from.size) && copy(&from, NULL, &raw);
    if (raw.descriptor >= 0)
        (void)close(raw.descriptor); /* was flushed */
    disk_close(&from);
    return done;
}

static bool compact(char *const *names, uint32_t count)
{
    static struct disk disk;
    bool done = disk_open(&disk, names, count, true) && disk_do(&disk, VDI_COMPACT, 0, 0, NULL);
    const struct vdi_header *header = &disk.images[0].header;

    if (done)
        done = file_resize(&disk.files[0], vdi_slot_offset(header, header->slot_count));
    disk_close(&disk);
    return done;
}

/* Takes the options from the command line. False: one is wrong. */
static bool parse(int count, char **words, struct options *options)
{
    static const struct option known[] = {{"type", required_argument, NULL, 't'},
                                          {"size", required_argument, NULL, 's'},
                                          {"block-size", required_argument, NULL, 'b'},
                                          {NULL, 0, NULL, 0}};
    int option;

    opterr = 0;
    while ((option = getopt_long(count, words, "", known, NULL)) != -1) {
        if (option == 't' && !strcmp(optarg, "dynamic"))
            options->type = VDI_DYNAMIC;
        else if (option == 't' && !strcmp(optarg, "fixed"))
            options->type = VDI_FIXED;
        else if (option == 't' && !strcmp(optarg, "differencing"))
            options->type = VDI_DIFFERENCING;
        else if (!(option == 's' && parse_size(optarg, &options->size)) &&
                 !(option == 'b' && parse_size(optarg, &options->block_size) &&
                   options->block_size <= UINT32_MAX))
            return false;
    }
    return true;
}

int main(int argument_count, char **arguments)
{
    struct options options = {.type = VDI_DYNAMIC};
    const char *command = argument_count > 1 ? arguments[1] : "no command";
    uint32_t count;
    char **names;

    if (!strcmp(command, "--help")) {
        (void)fputs(help, stdout); /* a full disk is its reader's affair */
        return 0;
    }
    if (argument_count < 3 || !parse(argument_count - 1, arguments + 1, &options))
        return usage(command);
    names = arguments + 1 + optind;
    count = (uint32_t)(argument_count - 1 - optind);
    if (!strcmp(command, "create") && count == (options.type == VDI_DIFFERENCING ? 2u : 1u) &&
        (options.size || options.type == VDI_DIFFERENCING))
        return create(&options, names, count) ? 0 : 1;
    if (!strcmp(command, "info") && count == 1)
        return info(names) ? 0 : 1;
    if (!strcmp(command, "check") && count >= 1)
        return check(names, count) ? 0 : 1;
    if (!strcmp(command, "convert") && count >= 2 && options.type != VDI_DIFFERENCING)
        return convert(&options, names, count) ? 0 : 1;
    if (!strcmp(command, "compact") && count >= 1)
        return compact(names, count) ? 0 : 1;
    return usage(command);
}
