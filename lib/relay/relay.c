/* SPDX-License-Identifier: ISC */
/*
 * Pieces and the pages of the data areas.
 */
#include "lib/relay/relay.h"

#include <string.h>

static bool has_bytes(enum relay_action action)
{
    return action == RELAY_READ || action == RELAY_WRITE;
}

/* A run of free pages, the first that is as long as wanted or else the longest there is; 0: none is free. */
static uint32_t find_pages(const struct relay_disk *disk, uint32_t wanted, uint32_t *first)
{
    const uint32_t pages = disk->pages < RELAY_PAGES ? disk->pages : RELAY_PAGES;
    uint32_t best = 0, run = 0;

    for (uint32_t page = 0; page < pages && best < wanted; page++) {
        run = disk->used[page] ? 0 : run + 1;
        if (run > best) {
            best = run;
            *first = page + 1 - run;
        }
    }
    return best;
}

static struct relay_piece *free_piece(struct relay *relay)
{
    for (uint32_t i = 0; i < RELAY_PIECES; i++)
        if (!relay->piece[i].transfer)
            return &relay->piece[i];
    return NULL;
}

/* Takes room in the area. False: there is none now. */
static bool take_room(struct relay_disk *disk, struct relay_piece *piece)
{
    const uint64_t most = piece->length < disk->longest ? piece->length : disk->longest;
    uint32_t first = 0, pages = find_pages(disk, (uint32_t)((most + RELAY_PAGE - 1) / RELAY_PAGE), &first);

    if (!pages)
        return false;
    piece->length = most < (uint64_t)pages * RELAY_PAGE ? most : (uint64_t)pages * RELAY_PAGE;
    piece->area = first * RELAY_PAGE;
    memset(disk->used + first, 1, (size_t)((piece->length + RELAY_PAGE - 1) / RELAY_PAGE));
    return true;
}

static void give_back(struct relay *relay, struct relay_piece *piece)
{
    struct relay_disk *disk = &relay->disk[piece->disk];

    disk->busy--;
    if (has_bytes(piece->action))
        memset(disk->used + piece->area / RELAY_PAGE, 0,
               (size_t)((piece->length + RELAY_PAGE - 1) / RELAY_PAGE));
    piece->transfer = NULL;
}

/* Sends the next piece of a transfer. False: there is no room now. */
static bool send_piece(struct relay *relay, struct relay_transfer *transfer)
{
    struct relay_disk *disk = &relay->disk[transfer->disk];
    struct relay_piece *piece = free_piece(relay);

    if (!piece || disk->busy >= disk->depth)
        return false;
    *piece = (struct relay_piece){.action = transfer->action,
                                  .fua = transfer->fua,
                                  .disk = transfer->disk,
                                  .offset = transfer->offset + transfer->cursor,
                                  .length = transfer->length - transfer->cursor};
    if (has_bytes(piece->action)) {
        if (!take_room(disk, piece))
            return false;
        piece->bytes = transfer->bytes + transfer->cursor;
        if (piece->action == RELAY_WRITE)
            memcpy(disk->area + piece->area, piece->bytes, (size_t)piece->length);
    } else if (piece->action != RELAY_FLUSH && piece->length > disk->longest_empty) {
        piece->length = disk->longest_empty;
    }
    piece->transfer = transfer;
    disk->busy++;
    transfer->cursor += piece->length;
    transfer->outstanding++;
    relay->submit(relay->context, piece);
    return true;
}

static void append(struct relay *relay, struct relay_transfer *transfer)
{
    transfer->next = NULL;
    transfer->waiting = true;
    if (relay->first)
        relay->last->next = transfer;
    else
        relay->first = transfer;
    relay->last = transfer;
}

static void finish(struct relay *relay, struct relay_transfer *transfer)
{
    if (!transfer->waiting && !transfer->outstanding)
        relay->complete(relay->context, transfer, transfer->status);
}

/* Takes the first of the list out of it. It is still `waiting`: a piece may end while it is sent. */
static struct relay_transfer *take_first(struct relay *relay)
{
    struct relay_transfer *transfer = relay->first;

    relay->first = transfer->next;
    return transfer;
}

/* A transfer that has failed or was forgotten sends nothing more. */
static bool wants_more(const struct relay_transfer *transfer)
{
    return transfer->status == RELAY_OK &&
           (transfer->cursor < transfer->length || (transfer->action == RELAY_FLUSH && !transfer->cursor));
}

/* Sends what there is room for, a piece of each transfer in turn, until each had to wait in this turn. */
static void run(struct relay *relay)
{
    const struct relay_transfer *stuck = NULL;

    if (relay->running)
        return; /* called from complete(); the turn under way sees it */
    relay->running = true;
    while (relay->first && relay->first != stuck) {
        struct relay_transfer *transfer = take_first(relay);
        const bool sent = wants_more(transfer) && send_piece(relay, transfer);

        if (sent && transfer->action == RELAY_FLUSH)
            transfer->cursor = 1;
        if (wants_more(transfer)) {
            append(relay, transfer);
            stuck = sent ? NULL : stuck ? stuck : transfer;
            continue;
        }
        transfer->waiting = false;
        finish(relay, transfer);
    }
    relay->running = false;
}

void relay_send(struct relay *relay, struct relay_transfer *transfer)
{
    transfer->cursor = 0;
    transfer->outstanding = 0;
    transfer->status = RELAY_OK;
    append(relay, transfer);
    run(relay);
}

void relay_done(struct relay *relay, struct relay_piece *piece, int status)
{
    struct relay_transfer *transfer = piece->transfer;

    if (status == RELAY_OK && piece->action == RELAY_READ && piece->bytes)
        memcpy(piece->bytes, relay->disk[piece->disk].area + piece->area, (size_t)piece->length);
    give_back(relay, piece);
    if (transfer->status == RELAY_OK)
        transfer->status = status;
    transfer->outstanding--;
    finish(relay, transfer);
    run(relay);
}

void relay_forget(struct relay *relay, struct relay_transfer *transfer)
{
    if (transfer->status == RELAY_OK)
        transfer->status = RELAY_FORGOTTEN;
    for (uint32_t i = 0; i < RELAY_PIECES; i++)
        if (relay->piece[i].transfer == transfer)
            relay->piece[i].bytes = NULL;
    run(relay);
}
