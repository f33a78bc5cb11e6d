/* SPDX-License-Identifier: ISC */
/*
 * A machine for tests of core: memory, boot modules and PCI functions beside the model of the kernel;
 * requests as components make them; and what must be true of core's book at any time.
 */
#pragma once

#include "core/core.h"
#include "tests/core/kernel.h"

#define MACHINE_RAM  (64ul << 20) /* from 1 MiB on */
#define MACHINE_DATA 5000u        /* bytes of the module "data" */
#define MACHINE_DISK 0x20u        /* PCI function 00:04.0, with a BAR and MSI, of class 010802 */
#define MACHINE_EDU  0x28u        /* 00:05.0, the same with another class */

/* Core started as core_main() does it, and init, which has all memory. */
extern struct pd *machine_init;
int machine_start(void **state);
/* Everything ends; checks that nothing is left. */
int machine_end(void **state);

/* The answer to the last request. */
extern struct reply answer;
#define CALL(pd, ...) machine_call(pd, (const uint64_t[8]){__VA_ARGS__})
enum error machine_call(struct pd *pd, const uint64_t *words);
/* The same again until it is done; *steps, which may be NULL: how often. `work` of the model's and core's
 * loops is kept within a step's bound. */
enum error machine_repeat(struct pd *pd, const uint64_t *words, unsigned *steps);
#define WHOLE(pd, ...) machine_repeat(pd, (const uint64_t[8]){__VA_ARGS__}, NULL)

/* A started child of init; ram in pages. *handle: of init's. */
struct pd *machine_child(const char *name, uint64_t ram, uint64_t kernel, uint64_t *handle);
enum error machine_child_create(const char *name, uint64_t ram, uint64_t kernel, uint64_t news,
                                uint64_t *handle);
/* A child, not started, of init's or of the child of init's that `path` names. */
extern unsigned machine_children; /* that a child of init's may have; 0 without */
enum error machine_create(struct pd *creator, uint64_t path, const char *name, uint64_t ram, uint64_t kernel,
                          uint64_t news, uint64_t *handle);
/* A session with core. */
enum error machine_open(uint64_t child, uint64_t at, uint64_t bits, const char *service, const char *label,
                        const char *arguments);

/* Configuration space as it is now. */
uint32_t machine_config(unsigned id, unsigned offset);

/* Sums of the book and of the model agree, no page has two owners, and no space or table has what it should
 * not. */
void machine_check(void);

/* What exists; two of them are compared. */
struct snapshot {
    uint64_t free_pages, kernel_free, objects, capabilities, ranges, ram_used, handles, attachments,
        connections;
};
struct snapshot machine_snapshot(void);
void snapshot_same(const struct snapshot *before, const struct snapshot *now);
