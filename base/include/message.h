/* SPDX-License-Identifier: ISC */
/*
 * Writing and reading the words of a message. A string is one word with its length in bytes, then the bytes,
 * padded with zeros to whole words. Both sides use this. A word that does not fit or a malformed
 * string makes the message bad for good, so it suffices to check `bad` once at the end.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERVICE_SIZE 32u  /* bytes of a service's name, with its NUL */
#define LABEL_SIZE   128u /* of a label */
#define ARGS_SIZE    256u /* of a session's arguments */

struct message {
    uint64_t *words;
    unsigned limit; /* words to read, or room to write */
    unsigned at;
    bool bad;
};

/* words: a UTCB; limit: how many words came, or how many may be written. */
struct message message_at(uint64_t *words, unsigned limit);
void message_put(struct message *message, uint64_t word);
void message_put_words(struct message *message, const uint64_t *words, size_t count);
/* The words themselves. */
#define message_put_all(message, ...)                                                                        \
    message_put_words(message, (const uint64_t[]){__VA_ARGS__}, sizeof((uint64_t[]){__VA_ARGS__}) / 8)
void message_put_string(struct message *message, const char *string);
/* Not terminated, any bytes. */
void message_put_bytes(struct message *message, const char *bytes, size_t length);
/* 0 once the message is bad. */
uint64_t message_get(struct message *message);
/*
 * Copies a string with its NUL to buffer. Bad: longer than size - 1, beyond the message's end, or with
 * characters other than printable ASCII. The buffer then holds "".
 */
void message_get_string(struct message *message, char *buffer, size_t size);
/* Any bytes, cut at size; returns how many. */
size_t message_get_bytes(struct message *message, char *buffer, size_t size);
