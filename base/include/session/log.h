/* SPDX-License-Identifier: ISC */
/*
 * LOG: lines of text on the machine's log, each with the component's label in front. The session's label,
 * when not empty, is added to it.
 */
#pragma once

#define LOG_SERVICE "LOG"
#define LOG_LINE    240u /* bytes of a line that are shown */

enum log_operation {
    LOG_WRITE, /* string: one line; control characters are shown as '?' */
};
