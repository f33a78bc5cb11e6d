/* SPDX-License-Identifier: ISC */
/*
 * Terminal: bytes both ways between a client and a component that has a line. The session's dataspace is two
 * byte rings (lib/ring) of half its size each: the first from client to server, the second from server to
 * client. A fresh dataspace is all zeros, which is two empty rings. Each side signals the other when lib/ring
 * says so. Label: names the terminal where a server has several.
 */
#pragma once

#define TERMINAL_SERVICE  "Terminal"
#define TERMINAL_DONATION 0x4000u /* bytes that a client donates by default: a dataspace of this size */
