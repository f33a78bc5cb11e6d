/* SPDX-License-Identifier: ISC */
/*
 * Report: a text that a component has others read. The session's memory is that of a ROM that changes
 * (base/include/session/rom.h) with the client as the one that writes and signals; the label says what it is.
 */
#pragma once

#define REPORT_SERVICE "Report"
