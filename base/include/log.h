/* SPDX-License-Identifier: ISC */
/* Lines for the log. */
#pragma once

#include "lib/format/format.h"

/*
 * One line to the LOG service, cut at LOG_LINE. The session is opened at the first line; a component without
 * a route to LOG stays silent. For the main thread and the entry EC's handlers.
 */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line as it is. */
void log_put(const char *line, size_t length);

/* From now on log_line() of every thread calls take(): threads on other CPUs than 0 cannot call core. The text
 * is gone when take() returns. */
struct log_diversion {
    void (*take)(void *context, const char *line, size_t length);
    void *context;
};
void log_divert(const struct log_diversion *diversion);
