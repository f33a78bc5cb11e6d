/* SPDX-License-Identifier: ISC */
/*
 * A disk in a chain of images: a client's requests go through lib/vdi, whose operations go through lib/relay
 * to the stores. Nothing waits: requests of one client are under way together, and those that touch
 * different blocks do not wait for each other.
 *
 * A client's bytes are copied between its data area and a store's, once; what is in them is never looked at.
 */
#pragma once

#include "lib/relay/relay.h"
#include "servers/vdi/chain.h"

#define ENGINE_TAGS       64u /* requests of the client, under way */
#define ENGINE_OPERATIONS 64u
#define ENGINE_CHANGES    16u
#define ENGINE_BOUNCE     0x10000u /* bytes of each change */

struct engine {
    void *context;
    /* Sends a piece to a store; relay_done(&engine->relay) tells of its end. */
    void (*submit)(void *context, struct relay_piece *piece);
    /* A request has ended. */
    void (*answer)(void *context, uint32_t tag, enum vdi_status status);
    struct relay
        relay; /* relay.disk[i] is the store of image i, set by the caller; the rest is the engine's */
    struct vdi_disk disk;
    struct vdi_operation operation[ENGINE_OPERATIONS];
    struct relay_transfer transfer[ENGINE_OPERATIONS];
    struct vdi_change change[ENGINE_CHANGES];
    struct vdi_request request[ENGINE_TAGS];
    bool busy[ENGINE_TAGS];
    bool ended; /* the client has gone, what it began is not over yet */
};

/*
 * bounce: ENGINE_CHANGES * ENGINE_BOUNCE bytes, NULL for a chain that
 * is read only. random: 16 bytes, never the same twice.
 */
MUST_CHECK bool engine_init(struct engine *engine, struct chain *chain, uint8_t *bounce,
                            const uint8_t random[16], struct vdi_error *error);

/*
 * A client's request, whose action, fua, offset and length are set; `tag` is that of none under way. `bytes`: of
 * a read or write, the client's until the answer. VDI_OK: it is answered later, or was while this ran. Others: it
 * was refused, and answer() is not called.
 */
MUST_CHECK enum vdi_status engine_begin(struct engine *engine, const struct vdi_request *request,
                                        uint8_t *bytes, uint32_t tag);

/*
 * The client has gone: what of its requests is not under way is not begun any more, and its bytes are not touched
 * from here on. All are answered nevertheless; then the next client may come.
 */
void engine_end(struct engine *engine);
