/* SPDX-License-Identifier: ISC */
/*
 * IO_PORT: a range of I/O ports, for the client alone. Label: the first port, "0x2f8"; arguments: how many,
 * decimal. The client then uses IN and OUT. No operations.
 */
#pragma once

#define IO_PORT_SERVICE "IO_PORT"
