/* SPDX-License-Identifier: ISC */
/*
 * Files, and disks made of them: lib/vdi's operations done at once, one after the other. Each function says
 * in one line on the standard error what is wrong, and returns false.
 */
#pragma once

#include "lib/vdi/disk.h"

#define IMAGES_MAX 64

struct file {
    const char *name;
    int descriptor;
    uint64_t size;
};

/* A disk of a VDI and its parents, or of a raw file (image_count 0). */
struct disk {
    struct file files[IMAGES_MAX];
    uint32_t file_count, image_count;
    uint64_t size;
    struct vdi_image images[IMAGES_MAX];
    struct vdi_disk vdi;
    struct vdi_operation operations[8];
    struct vdi_change change;
    uint8_t *bounce;
    uint8_t header[VDI_HEADER_BYTES];
};

MUST_CHECK bool fail(const char *name, const char *what);

MUST_CHECK bool file_open(struct file *file, const char *name, bool writable);
/* A new file; one that is there already is an error. */
MUST_CHECK bool file_create(struct file *file, const char *name);
/* What lies behind the end reads as zeros. */
MUST_CHECK bool file_read(struct file *file, uint64_t offset, void *bytes, uint64_t count);
MUST_CHECK bool file_write(struct file *file, uint64_t offset, const void *bytes, uint64_t count);
MUST_CHECK bool file_resize(struct file *file, uint64_t size);
MUST_CHECK bool file_flush(struct file *file);

/* Reads and checks the header of an image. */
MUST_CHECK bool image_header(struct file *file, struct vdi_header *header);
/* The image `name` with all its parents, child first; a raw file if it has no VDI's signature. */
MUST_CHECK bool disk_open(struct disk *disk, char *const *names, uint32_t count, bool writable);
/* One request, done when it returns. */
MUST_CHECK bool disk_do(struct disk *disk, enum vdi_action action, uint64_t offset, uint64_t length,
                        void *bytes);
void disk_close(struct disk *disk);
