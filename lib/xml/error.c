/* SPDX-License-Identifier: ISC */
/*
 * Messages about refused text. Their arguments come from that text, so they are shortened, and bytes that
 * could play tricks on the terminal that shows the log are replaced.
 */
#include "lib/xml/xml.h"

/* Longer arguments end in "...": the line's number finds the rest. */
#define ARGUMENT_MAX 40

struct message {
    char *text;
    size_t size, length;
};

static void append(struct message *message, char byte)
{
    if (message->length + 1 < message->size) {
        message->text[message->length] = byte;
        message->length++;
    }
}

static void append_argument(struct message *message, const char *argument)
{
    for (size_t i = 0; argument[i] != '\0'; i++) {
        if (i == ARGUMENT_MAX) {
            for (unsigned dot = 0; dot < 3; dot++)
                append(message, '.');
            return;
        }
        append(message, argument[i] >= ' ' && argument[i] <= '~' ? argument[i] : '?');
    }
}

bool xml_fail_list(struct xml_error *error, uint32_t line, const char *const *list)
{
    struct message message = {.text = error->reason, .size = sizeof(error->reason)};
    const char *const *argument = list + 1;

    for (const char *format = list[0]; *format != '\0'; format++) {
        if (*format != '%')
            append(&message, *format);
        else if (*argument != NULL)
            append_argument(&message, *argument++);
    }
    message.text[message.length] = '\0';
    error->line = line;
    return false;
}
