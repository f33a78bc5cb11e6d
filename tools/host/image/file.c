/* SPDX-License-Identifier: ISC */
/*
 * Files, and disks made of them.
 */
#include "tools/host/image/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOUNCE       (UINT32_C(1) << 20)
#define SIGNATURE_AT 0x40

bool fail(const char *name, const char *what)
{
    (void)fprintf(stderr, "donjon: %s: %s\n", name, what); /* no better place to say so */
    return false;
}

static bool open_as(struct file *file, const char *name, int flags)
{
    struct stat status;

    file->name = name;
    file->descriptor = open(name, flags | O_CLOEXEC, 0666);
    if (file->descriptor < 0)
        return fail(name, strerror(errno));
    if (fstat(file->descriptor, &status) || !S_ISREG(status.st_mode)) {
        (void)close(file->descriptor); /* nothing was written */
        file->descriptor = -1;
        return fail(name, "is no regular file");
    }
    file->size = (uint64_t)status.st_size;
    if (flock(file->descriptor, (flags & O_ACCMODE ? LOCK_EX : LOCK_SH) | LOCK_NB))
        return fail(name, "is in use by another program");
    return true;
}

bool file_open(struct file *file, const char *name, bool writable)
{
    return open_as(file, name, writable ? O_RDWR : O_RDONLY);
}

bool file_create(struct file *file, const char *name)
{
    return open_as(file, name, O_RDWR | O_CREAT | O_EXCL);
}

bool file_read(struct file *file, uint64_t offset, void *bytes, uint64_t count)
{
    uint8_t *at = bytes;

    while (count) {
        const ssize_t done = pread(file->descriptor, at, count, (off_t)offset);

        if (done < 0 && errno != EINTR)
            return fail(file->name, strerror(errno));
        if (!done) {
            memset(at, 0, count);
            return true;
        }
        if (done > 0) {
            at += done;
            offset += (uint64_t)done;
            count -= (uint64_t)done;
        }
    }
    return true;
}

bool file_write(struct file *file, uint64_t offset, const void *bytes, uint64_t count)
{
    const uint8_t *at = bytes;

    while (count) {
        const ssize_t done = pwrite(file->descriptor, at, count, (off_t)offset);

        if (done < 0 && errno != EINTR)
            return fail(file->name, strerror(errno));
        if (done > 0) {
            at += done;
            offset += (uint64_t)done;
            count -= (uint64_t)done;
        }
    }
    if (offset > file->size)
        file->size = offset;
    return true;
}

bool file_resize(struct file *file, uint64_t size)
{
    if (ftruncate(file->descriptor, (off_t)size))
        return fail(file->name, strerror(errno));
    file->size = size;
    return true;
}

bool file_flush(struct file *file)
{
    return !fdatasync(file->descriptor) || fail(file->name, strerror(errno));
}

static bool write_zeroes(struct file *file, uint64_t offset, uint64_t count)
{
    static const uint8_t zeros[64 << 10];

    if (offset + count > file->size && !file_resize(file, offset + count)) /* zeros without blocks */
        return false;
    while (count) {
        const uint64_t part = count < sizeof(zeros) ? count : sizeof(zeros);

        if (!file_write(file, offset, zeros, part))
            return false;
        offset += part;
        count -= part;
    }
    return true;
}

static void submit(void *context, struct vdi_operation *operation)
{
    struct disk *disk = context;
    struct file *file = &disk->files[operation->image];
    void *bytes = operation->memory ? operation->memory
                                    : (uint8_t *)(uintptr_t)(operation->buffer + operation->buffer_offset);
    bool done = true;

    switch (operation->action) {
    case VDI_READ:
        done = file_read(file, operation->offset, bytes, operation->length);
        break;
    case VDI_WRITE:
        done = file_write(file, operation->offset, bytes, operation->length);
        break;
    case VDI_WRITE_ZEROES:
        done = write_zeroes(file, operation->offset, operation->length);
        break;
    case VDI_CLEAR:
        memset(bytes, 0, operation->length);
        break;
    default:
        done = file_flush(file);
        break;
    }
    if (done && operation->fua)
        done = file_flush(file);
    vdi_done(&disk->vdi, operation, done ? VDI_OK : VDI_MEDIUM);
}

static void complete(void *context, struct vdi_request *request)
{
    (void)context;
    (void)request; /* its status is looked at by whoever submitted it */
}

bool image_header(struct file *file, struct vdi_header *header)
{
    uint8_t bytes[VDI_HEADER_BYTES];
    struct vdi_error error;
    const size_t count = file->size < sizeof(bytes) ? (size_t)file->size : sizeof(bytes);

    return file_read(file, 0, bytes, count) &&
           (vdi_header_parse(header, bytes, count, &error) || fail(file->name, error.text));
}

static bool open_image(struct file *file, struct vdi_image *image, bool writable)
{
    struct vdi_image_config config = {.size = file->size,
                                      .capacity = writable ? INT64_MAX : file->size,
                                      .unit = writable ? VDI_SECTOR : 1,
                                      .writable = writable};
    struct vdi_header header;
    struct vdi_error error;
    bool opened;

    if (!image_header(file, &header))
        return false;
    /* Nobody has to believe the header about how much memory its map takes. */
    if (header.map_offset + vdi_map_size(&header) > file->size)
        return fail(file->name, "image is cut: its map does not end before the file does");
    config.map = malloc(vdi_map_memory(&header, config.unit));
    config.used = malloc(vdi_used_memory(&header));
    opened = config.map && config.used &&
             file_read(file, header.map_offset, config.map, vdi_map_size(&header)) &&
             (vdi_image_open(image, &header, &config, &error) || fail(file->name, error.text));
    if (!opened) {
        free(config.map);
        free(config.used);
    }
    return opened;
}

static bool open_vdi(struct disk *disk, bool writable)
{
    const struct vdi_wiring wiring = {disk, submit, complete};
    struct vdi_disk_config config = {.wiring = &wiring,
                                     .images = disk->images,
                                     .header = disk->header,
                                     .changes = &disk->change,
                                     .change_count = 1,
                                     .bounce_size = BOUNCE,
                                     .operations = disk->operations,
                                     .operation_count =
                                         sizeof(disk->operations) / sizeof(disk->operations[0])};
    struct vdi_error error;

    while (disk->image_count < disk->file_count) {
        const uint32_t i = disk->image_count;

        if (!open_image(&disk->files[i], &disk->images[i], writable && !i))
            return false;
        disk->image_count++;
    }
    if (!vdi_chain_check(disk->images, disk->image_count, &error))
        return fail(disk->files[0].name, error.text);
    disk->size = disk->images[0].header.disk_size;
    disk->bounce = malloc(BOUNCE);
    config.bounce = disk->bounce;
    config.image_count = disk->image_count;
    if (getrandom(config.random, sizeof(config.random), 0) != (ssize_t)sizeof(config.random))
        return fail(disk->files[0].name, "no random bytes for its new state (uuidModify)");
    return file_read(&disk->files[0], 0, disk->header, sizeof(disk->header)) &&
           (vdi_disk_init(&disk->vdi, &config, &error) || fail(disk->files[0].name, error.text));
}

bool disk_open(struct disk *disk, char *const *names, uint32_t count, bool writable)
{
    static const uint8_t signature[] = {0x7f, 0x10, 0xda, 0xbe};
    uint8_t bytes[sizeof(signature)];

    memset(disk, 0, sizeof(*disk));
    if (count > IMAGES_MAX)
        return fail(names[0], "has more parents than 63");
    while (disk->file_count < count) {
        struct file *file = &disk->files[disk->file_count];

        if (!file_open(file, names[disk->file_count], writable && !disk->file_count))
            return false;
        disk->file_count++;
    }
    if (!file_read(&disk->files[0], SIGNATURE_AT, bytes, sizeof(bytes)))
        return false;
    if (count > 1 || writable || !memcmp(bytes, signature, sizeof(bytes)))
        return open_vdi(disk, writable);
    disk->size = (disk->files[0].size + VDI_SECTOR - 1) / VDI_SECTOR * VDI_SECTOR;
    return true;
}

bool disk_do(struct disk *disk, enum vdi_action action, uint64_t offset, uint64_t length, void *bytes)
{
    static const char *const reasons[] = {
        [VDI_INVALID] = "not a multiple of 512 bytes",  [VDI_OUT_OF_RANGE] = "beyond the disk's end",
        [VDI_READ_ONLY] = "the image is read only",     [VDI_NO_SPACE] = "no room for another block",
        [VDI_MEDIUM] = "reading or writing has failed",
    };
    struct vdi_request request = {
        .action = action, .offset = offset, .length = length, .buffer = (uintptr_t)bytes};
    enum vdi_status status;

    if (!disk->image_count)
        return file_read(&disk->files[0], offset, bytes, length);
    status = vdi_submit(&disk->vdi, &request);
    if (status == VDI_OK)
        status = request.status;
    return status == VDI_OK || fail(disk->files[0].name, reasons[status]);
}

void disk_close(struct disk *disk)
{
    for (uint32_t i = 0; i < disk->image_count; i++) {
        free(disk->images[i].map);
        free(disk->images[i].used);
    }
    for (uint32_t i = 0; i < disk->file_count; i++)
        (void)close(disk->files[i].descriptor); /* what was written was flushed */
    free(disk->bounce);
}
