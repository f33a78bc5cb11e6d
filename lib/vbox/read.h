/* SPDX-License-Identifier: ISC */
/*
 * What the readers of settings share.
 */
#pragma once

#include "lib/vbox/vbox.h"

struct vbox_reader {
    struct vbox_machine *machine;
    vbox_note *note;
    void *context;
    struct xml_error *error;
    unsigned *notes; /* told so far */
};

#define VBOX_NOTES 64u /* that are told; the rest is one line */

/* A note; the arguments as for xml_fail. */
#define vbox_tell(reader, line, ...) vbox_tell_list(reader, line, (const char *const[]){__VA_ARGS__, NULL})
void vbox_tell_list(const struct vbox_reader *reader, uint32_t line, const char *const *list);

/* Attributes. False: *error says why. */
XML_CHECKED bool vbox_text(const struct vbox_reader *reader, const struct xml_node *node, const char *name,
                           char *to, size_t size);
XML_CHECKED bool vbox_uuid(const struct vbox_reader *reader, const struct xml_node *node, const char *name,
                           bool needed, char uuid[VBOX_UUID]);
XML_CHECKED bool vbox_number(const struct vbox_reader *reader, const struct xml_node *node, const char *name,
                             uint64_t min, uint64_t max, uint64_t fallback, uint32_t *value);
/* "true" or "1", "false" or "0". */
XML_CHECKED bool vbox_bool(const struct vbox_reader *reader, const struct xml_node *node, const char *name,
                           bool fallback, bool *value);

/* The index of an attribute among words of a NULL-terminated list; `fallback` if it is missing, `unknown` with a note
 * if it is none of them. */
unsigned vbox_choice(const struct vbox_reader *reader, const struct xml_node *node, const char *name,
                     const char *const *words, unsigned fallback, unsigned unknown);

/* enabled="true" of a child; `fallback` if child or attribute is missing. */
XML_CHECKED bool vbox_child_enabled(const struct vbox_reader *reader, const struct xml_node *node,
                                    const char *child, bool fallback, bool *value);

/* The parts of a machine. */
XML_CHECKED bool vbox_read_media(const struct vbox_reader *reader, const struct xml_node *registry);
XML_CHECKED bool vbox_read_storage(const struct vbox_reader *reader, const struct xml_node *controllers);
XML_CHECKED bool vbox_read_hardware(const struct vbox_reader *reader, const struct xml_node *hardware);
XML_CHECKED bool vbox_read_network(const struct vbox_reader *reader, const struct xml_node *network);
XML_CHECKED bool vbox_read_uarts(const struct vbox_reader *reader, const struct xml_node *uart);
XML_CHECKED bool vbox_read_folders(const struct vbox_reader *reader, const struct xml_node *folders);

/* Blanks what `<Snapshot>` elements of a text hold, line ends aside: their trees are deeper than the parser goes. */
void vbox_cut_snapshots(char *text, size_t size);
