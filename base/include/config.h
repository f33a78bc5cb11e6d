/* SPDX-License-Identifier: ISC */
/*
 * A component's configuration: the ROM "config", an XML element that init takes from the scenario, with empty
 * lines before it so that line numbers are the scenario's.
 */
#pragma once

#include "lib/xml/xml.h"

#define CONFIG_BYTES 32768u /* of text, the empty lines included */

/*
 * Reads the text, which is changed, into the structure that `config` points to. Each component has such a
 * function outside of main.c, so tools/check can read the same configuration before the system boots.
 */
typedef bool (*config_reader)(void *config, char *text, size_t bytes, struct xml_error *error);

/* Reads the component's configuration. False: the error is on the log, in one line. */
XML_CHECKED bool config_load(config_reader read, void *config);

/*
 * For a reader: parses the text and checks it by a schema. NULL: line and reason are in *error. The nodes are
 * good until the next call; names and values lie in the text.
 */
XML_CHECKED const struct xml_node *config_parse(char *text, size_t bytes, const struct xml_schema *schema,
                                                struct xml_error *error);
