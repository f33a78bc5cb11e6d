/* SPDX-License-Identifier: ISC */
/* What IDENTIFY tells of a controller and its namespaces (NVM Express 1.4, 5.15.2). */
#include "drivers/nvme/engine.h"

#include <string.h>

#define CONTROLLER_SERIAL     4u
#define CONTROLLER_MODEL      24u
#define CONTROLLER_TRANSFER   77u  /* MDTS: log2 of pages; 0: no limit */
#define CONTROLLER_NAMESPACES 516u /* NN */
#define CONTROLLER_COMMANDS   520u /* ONCS */
#define CONTROLLER_CACHE      525u /* VWC */
#define ONCS_DISCARD          (1u << 2)
#define ONCS_ZEROES           (1u << 3)
#define NAMESPACE_LAST        25u                /* NLBAF: the highest number of a format */
#define NAMESPACE_FORMAT      26u                /* FLBAS: the one that is used */
#define NAMESPACE_ATTRIBUTES  99u                /* NSATTR */
#define NAMESPACE_FORMATS     128u               /* LBAF: each in four bytes */
#define FORMATS               64u                /* that there can be */
#define FORMAT_METADATA(f)    ((f)&0xffff)       /* bytes a block */
#define FORMAT_SHIFT(f)       ((f) >> 16 & 0xff) /* log2 of a block's bytes */
#define FORMAT(last, flbas)   (((flbas)&0xf) | ((last) > 15 ? (flbas) >> 1 & 0x30 : 0))
#define SECTORS_BITS          63u    /* of the disk's bytes */
#define ZEROES_MOST           65536u /* blocks of one command */
#define LISTED                (NVME_PAGE / 4)

static uint32_t word_at(const uint8_t *data, unsigned offset)
{
    uint32_t word;

    memcpy(&word, data + offset, sizeof(word));
    return word;
}

/* Blanks at both ends do not count, nor do characters that no text has. */
static void text_read(const uint8_t *data, unsigned length, char *text)
{
    unsigned used = 0;

    for (unsigned i = 0; i < length; i++) {
        char character = (char)data[i];

        if (character < ' ' || character > '~')
            character = ' ';
        if (character != ' ' || used)
            text[used++] = character;
    }
    while (used && text[used - 1] == ' ')
        used--;
    text[used] = '\0';
}

void identify_controller(const uint8_t *data, struct nvme_identity *identity)
{
    unsigned shift = data[CONTROLLER_TRANSFER];
    uint32_t commands = word_at(data, CONTROLLER_COMMANDS);

    *identity = (struct nvme_identity){.flushes = data[CONTROLLER_CACHE] & 1,
                                       .discards = commands & ONCS_DISCARD,
                                       .zeroes = commands & ONCS_ZEROES,
                                       .most = UINT32_MAX,
                                       .count = word_at(data, CONTROLLER_NAMESPACES)};
    if (shift && shift < 20)
        identity->most = (uint64_t)NVME_PAGE << shift;
    text_read(data + CONTROLLER_SERIAL, sizeof(identity->serial) - 1, identity->serial);
    text_read(data + CONTROLLER_MODEL, sizeof(identity->model) - 1, identity->model);
}

/* A list has an end by a zero. Numbers that come twice are named once: they are in order. */
void identify_list(const uint8_t *data, struct nvme_identity *identity)
{
    uint32_t before = 0, listed = 0;

    for (unsigned i = 0; i < LISTED && (data || i < identity->count); i++) {
        uint32_t id = data ? word_at(data, 4 * i) : i + 1;

        if (id <= before || id == UINT32_MAX)
            break;
        before = id;
        listed++;
        if (identity->namespaces < NVME_NAMESPACES)
            identity->namespace[identity->namespaces++].id = id;
    }
    identity->count = listed;
}

static const char *namespace_read(const uint8_t *data, const struct nvme_identity *identity,
                                  struct nvme_namespace *namespace)
{
    unsigned last = data[NAMESPACE_LAST], number = FORMAT(last, data[NAMESPACE_FORMAT]);
    uint32_t format = number < FORMATS ? word_at(data, NAMESPACE_FORMATS + 4 * number) : 0;
    uint64_t most = identity->most < NVME_MOST ? identity->most : NVME_MOST, zeroes = ZEROES_MOST;

    memcpy(&namespace->sectors, data, sizeof(namespace->sectors));
    if (number > last)
        return "it is in a format that it does not list";
    if (FORMAT_METADATA(format) != 0)
        return "it has metadata, in its blocks or beside them: expected none";
    if (FORMAT_SHIFT(format) < 9 || FORMAT_SHIFT(format) > 12)
        return "its blocks are not of 512 to 4096 bytes";
    if (!namespace->sectors || namespace->sectors >> (SECTORS_BITS - FORMAT_SHIFT(format)))
        return "it says that it has no blocks, or more than can be named";
    namespace->bytes = 1u << FORMAT_SHIFT(format);
    namespace->most = (uint32_t)(most / namespace->bytes);
    if (zeroes > identity->most / namespace->bytes)
        zeroes = identity->most / namespace->bytes;
    namespace->most_zeroes = identity->zeroes ? (uint32_t)zeroes : 0;
    namespace->read_only = data[NAMESPACE_ATTRIBUTES] & 1;
    return NULL;
}

void identify_namespace(const uint8_t *data, const struct nvme_identity *identity,
                        struct nvme_namespace *namespace)
{
    *namespace = (struct nvme_namespace){.id = namespace->id};
    namespace->wrong = data ? namespace_read(data, identity, namespace) : "it does not identify itself";
}

/* What requests were checked by. */
bool identity_same(const struct nvme_identity *a, const struct nvme_identity *b)
{
    if (strcmp(a->serial, b->serial) != 0 || strcmp(a->model, b->model) != 0 || a->flushes != b->flushes ||
        a->discards != b->discards || a->namespaces != b->namespaces)
        return false;
    for (unsigned i = 0; i < a->namespaces; i++) {
        const struct nvme_namespace *of_a = &a->namespace[i], *of_b = &b->namespace[i];

        if (of_a->id != of_b->id || of_a->wrong != of_b->wrong || of_a->sectors != of_b->sectors ||
            of_a->bytes != of_b->bytes || of_a->most != of_b->most ||
            of_a->most_zeroes != of_b->most_zeroes || of_a->read_only != of_b->read_only)
            return false;
    }
    return true;
}
