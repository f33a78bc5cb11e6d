/* SPDX-License-Identifier: ISC */
/*
 * What the tests that hold the decoder against objdump share: a line of its output, and how to ask for it.
 */
#ifndef LIB_X86_OBJDUMP_H
#define LIB_X86_OBJDUMP_H

#include "lib/x86/x86.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct objdump_line {
    uint64_t address;
    unsigned length;
    char text[160]; /* mnemonic and operands */
};

static inline bool objdump_is_installed(void)
{
    return system("objdump --version >/dev/null 2>&1") == 0;
}

/* For objdump's -m; it takes the default sizes of code from it. */
static inline const char *objdump_machine(enum x86_mode mode)
{
    return mode == X86_MODE_64 ? "i386:x86-64" : mode == X86_MODE_32 ? "i386" : "i8086";
}

/* "  26380:\t50                   \tpush   %rax"; false for headings and for what is not an instruction. */
static inline bool objdump_parse(const char *input, struct objdump_line *line)
{
    char *end;
    const char *tab;

    line->address = strtoull(input, &end, 16);
    if (end == input || end[0] != ':' || end[1] != '\t')
        return false;
    tab = strchr(end + 2, '\t');
    line->length = 0;
    for (const char *byte = end + 2; byte[0] > ' ' && byte[1] > ' ' && byte[2] == ' '; byte += 3)
        line->length++;
    line->text[0] = 0;
    if (tab)
        strncat(line->text, tab + 1, sizeof(line->text) - 1);
    line->text[strcspn(line->text, "\n")] = 0;
    return line->length > 0;
}

static inline bool objdump_starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* No instruction to objdump, or one with an operand that does not exist. */
static inline bool objdump_is_bad(const struct objdump_line *line)
{
    return strstr(line->text, "(bad)") != NULL;
}

/* Nothing but prefixes, by the names that objdump gives them. */
static inline bool objdump_is_only_prefixes(const struct objdump_line *line)
{
    static const char *const names[] = {"addr16", "addr32", "data16",   "data32",  "lock", "repz",
                                        "repnz",  "cs",     "ds",       "es",      "fs",   "gs",
                                        "ss",     "rex",    "xacquire", "xrelease"};
    char copy[sizeof(line->text)];
    char *rest = NULL;

    memcpy(copy, line->text, sizeof(copy));
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        bool known = false;

        word[strcspn(word, ".")] = 0;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
            known = known || strcmp(word, names[i]) == 0;
        if (!known)
            return false;
    }
    return true;
}

#endif
