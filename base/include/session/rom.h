/* SPDX-License-Identifier: ISC */
/*
 * ROM: read-only bytes by name. Label: the name of a boot module, or "config" for the component's own
 * configuration, which the parent provides. The session is the dataspace: handle and length in bytes come
 * with PARENT_OPEN. Rights: MEM_READ. No operations.
 */
#pragma once

#define ROM_SERVICE "ROM"
