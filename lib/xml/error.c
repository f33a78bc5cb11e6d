/* SPDX-License-Identifier: ISC */
/*
 * Messages about refused text. Their arguments come from that text, so they are shortened, and bytes that
 * could play tricks on the terminal that shows the log are replaced.
 */
#include "lib/xml/xml.h"
#include <string.h>

/* Longer arguments end in "...": the line's number finds the rest. */
#define ARGUMENT_MAX 40

/* Up to `most` bytes, as many as fit; returns the message's end. */
static size_t append(struct xml_error *error, size_t length, const char *text, size_t most)
{
    for (; *text != '\0' && most != 0 && length + 1 < sizeof(error->reason); text++, most--)
        error->reason[length++] = *text >= ' ' && *text <= '~' ? *text : '?';
    return length;
}

bool xml_fail_list(struct xml_error *error, uint32_t line, const char *const *list)
{
    const char *const *argument = list + 1;
    size_t length = 0;

    for (const char *format = list[0]; *format != '\0'; format++) {
        if (*format != '%') {
            length = append(error, length, format, 1);
        } else if (*argument != NULL) {
            length = append(error, length, *argument, ARGUMENT_MAX);
            if (strlen(*argument++) > ARGUMENT_MAX)
                length = append(error, length, "...", 3);
        }
    }
    error->reason[length] = '\0';
    error->line = line;
    return false;
}
