/* SPDX-License-Identifier: ISC */
/*
 * Report: a text that a component publishes. The session's memory is that of a ROM that changes
 * (base/include/session/rom.h), but the client writes and signals. The label names the text.
 */
#pragma once

#define REPORT_SERVICE "Report"
