/* SPDX-License-Identifier: ISC */
/* Lines for the log. */
#pragma once

#include "lib/format/format.h"

/*
 * One line to the LOG service, cut at LOG_LINE. The main thread's first line opens the session; a
 * component without a route to LOG stays silent. After that all threads can log.
 */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line as it is. */
void log_put(const char *line, size_t length);
