/* SPDX-License-Identifier: ISC */
/*
 * The words of a message: base/include/message.h. Nothing here trusts a length that it reads.
 */
#include "base/include/message.h"

#include <string.h>

struct message message_at(uint64_t *words, unsigned limit)
{
    return (struct message){.words = words, .limit = limit};
}

void message_put(struct message *message, uint64_t word)
{
    if (message->at >= message->limit)
        message->bad = true;
    else
        message->words[message->at++] = word;
}

void message_put_words(struct message *message, const uint64_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        message_put(message, words[i]);
}

void message_put_bytes(struct message *message, const char *bytes, size_t length)
{
    size_t room = message->limit - message->at;
    size_t words = length / 8 + (length % 8 != 0);
    if (message->bad || room == 0 || words > room - 1) {
        message->bad = true;
        return;
    }
    message->words[message->at++] = length;
    if (words) {
        message->words[message->at + words - 1] = 0;
        memcpy(message->words + message->at, bytes, length);
    }
    message->at += (unsigned)words;
}

void message_put_string(struct message *message, const char *string)
{
    message_put_bytes(message, string, strlen(string));
}

uint64_t message_get(struct message *message)
{
    if (message->bad || message->at >= message->limit) {
        message->bad = true;
        return 0;
    }
    return message->words[message->at++];
}

/* The bytes of a string; NULL: the message is bad. */
static const char *message_take(struct message *message, size_t *length)
{
    uint64_t bytes = message_get(message);
    size_t room = message->limit - message->at;
    size_t words = bytes / 8 + (bytes % 8 != 0);
    if (message->bad || words > room) {
        message->bad = true;
        return NULL;
    }
    const char *text = (const char *)(message->words + message->at);
    message->at += (unsigned)words;
    *length = bytes;
    return text;
}

size_t message_get_bytes(struct message *message, char *buffer, size_t size)
{
    size_t length = 0;
    const char *text = message_take(message, &length);
    if (!text)
        return 0;
    if (length > size)
        length = size;
    memcpy(buffer, text, length);
    return length;
}

void message_get_string(struct message *message, char *buffer, size_t size)
{
    size_t length = 0;
    const char *text = message_take(message, &length);
    buffer[0] = 0;
    if (!text)
        return;
    if (length >= size) {
        message->bad = true;
        return;
    }
    for (size_t i = 0; i < length; i++)
        if (text[i] < 0x20 || text[i] > 0x7e) {
            message->bad = true;
            return;
        }
    memcpy(buffer, text, length);
    buffer[length] = 0;
}
