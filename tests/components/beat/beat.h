/* SPDX-License-Identifier: ISC */
/* Beat: the session's memory is a word that grows by one every BEAT_MILLISECONDS, of which the client is told. */
#pragma once

#define BEAT_SERVICE      "Beat"
#define BEAT_DONATION     0x1000u
#define BEAT_MILLISECONDS 5u
