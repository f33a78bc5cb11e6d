/* SPDX-License-Identifier: ISC */
/*
 * Take: the client writes a number into the first and the last word of the session's memory and signals; the server
 * adds them up in the second word and signals. It wants TAKE_DONATION of each client.
 */
#pragma once

#define TAKE_SERVICE  "Take"
#define TAKE_DONATION 0x2000u
#define TAKE_LABEL    "take"
