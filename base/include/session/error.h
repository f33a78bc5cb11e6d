/* SPDX-License-Identifier: ISC */
/*
 * The result of a request to the parent or to core: word 0 of every reply.
 */
#pragma once

#include "base/include/check.h"

enum error {
    ERROR_OK,
    ERROR_DENIED,  /* no route, or not for this caller */
    ERROR_NO_RAM,  /* RAM quota; word 1: bytes needed, word 2: bytes there */
    ERROR_NO_KMEM, /* kernel pages; word 1: pages needed (0: not known), word 2: pages there */
    ERROR_BAD_ARGUMENT,
    ERROR_BAD_OPERATION, /* no such operation */
    ERROR_NOT_FOUND,     /* nothing by this handle, name or address */
    ERROR_PENDING,       /* wait for NT_PARENT_NEWS, then PARENT_POLL */
    ERROR_MORE,          /* partly done: ask again */
    ERROR_LIMIT,         /* a table is full */
    ERROR_BUSY,          /* another component has it, or it is not ready */
    ERROR_EXISTS,        /* the place is taken */
    ERROR_CLOSED,        /* the peer has closed or died */
    ERROR_BAD_ELF,       /* a reason follows as a string from word 1 on */
    ERROR_UNSUPPORTED,   /* this machine cannot do it */
    ERROR_FAULT,         /* the kernel refused a call that should succeed; or a malformed answer */
    ERRORS
};

/* A few words for people: "out of RAM quota". */
const char *error_text(enum error error) __attribute__((const));
