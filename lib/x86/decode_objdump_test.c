/* SPDX-License-Identifier: ISC */
/*
 * The decoder's lengths against objdump over the code of large programs: what compilers and assembly authors
 * really write, vector code included, judged by a decoder that shares no line and no table with ours. Each
 * difference fails, but for the few kinds in explained(), where the two mean different things by an
 * instruction. Programs that are not installed are left out; without objdump the test is skipped.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/x86/x86.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM_BYTES   (3u << 20) /* of each program's .text, at most */
#define PROGRAMS_NEEDED 3u
#define PRINTED_MOST    20u

struct program {
    const char *path;
    bool has_constants; /* in .text: explained differences are expected */
};

/* Of packages that a build machine has: libc6, python3 and its libssl3, gcc, qemu-system-x86. */
static const struct program programs[] = {
    {"/usr/lib/x86_64-linux-gnu/libc.so.6", false},
    {"/usr/bin/python3", false},
    {"/usr/bin/qemu-system-x86_64", false},
    {"/usr/lib/gcc/x86_64-linux-gnu/12/cc1", false},
    {"/usr/lib/x86_64-linux-gnu/libcrypto.so.3", true},
};

struct text {
    const uint8_t *file;
    size_t file_size;
    const uint8_t *bytes;
    uint64_t address;
    size_t size;
};

struct tally {
    unsigned long instructions;
    unsigned explained;
    unsigned different;
};

/* One line of objdump. */
struct line {
    uint64_t address;
    unsigned length;
    char text[160]; /* mnemonic and operands */
};

/* ---- the program ---- */

static const Elf64_Shdr *section(const struct text *text, const Elf64_Ehdr *header, unsigned index)
{
    uint64_t at = header->e_shoff + (uint64_t)index * sizeof(Elf64_Shdr);

    assert_true(at + sizeof(Elf64_Shdr) <= text->file_size);
    return (const Elf64_Shdr *)(const void *)(text->file + at);
}

static void find_text(struct text *text)
{
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)(const void *)text->file;
    const Elf64_Shdr *names;

    assert_true(text->file_size >= sizeof(*header) && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0);
    assert_int_equal(header->e_ident[EI_CLASS], ELFCLASS64);
    names = section(text, header, header->e_shstrndx);
    for (unsigned i = 0; i < header->e_shnum; i++) {
        const Elf64_Shdr *s = section(text, header, i);

        if (s->sh_type != SHT_PROGBITS ||
            strcmp((const char *)text->file + names->sh_offset + s->sh_name, ".text") != 0)
            continue;
        assert_true(s->sh_offset + s->sh_size <= text->file_size);
        text->bytes = text->file + s->sh_offset;
        text->address = s->sh_addr;
        text->size = s->sh_size;
    }
    assert_non_null(text->bytes);
}

static bool open_text(const char *path, struct text *text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;

    *text = (struct text){0};
    if (fd < 0)
        return false;
    assert_int_equal(fstat(fd, &status), 0);
    text->file_size = (size_t)status.st_size;
    text->file = mmap(NULL, text->file_size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(text->file != MAP_FAILED);
    close(fd);
    find_text(text);
    return true;
}

/* ---- objdump ---- */

/* "  26380:\t50                   \tpush   %rax"; false for headings and for what is not an instruction. */
static bool parse_line(const char *input, struct line *line)
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
    snprintf(line->text, sizeof(line->text), "%s", tab ? tab + 1 : "");
    line->text[strcspn(line->text, "\n")] = 0;
    return line->length > 0;
}

static bool starts(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Nothing but prefixes, by the names that objdump gives them. */
static bool is_only_prefixes(const char *text)
{
    static const char *const names[] = {"addr32", "data16", "lock", "repz", "repnz", "cs",
                                        "ds",     "es",     "fs",   "gs",   "ss",    "rex"};
    char copy[sizeof(((struct line *)NULL)->text)];
    char *rest = NULL;

    snprintf(copy, sizeof(copy), "%s", text);
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

/*
 * The reviewed kinds of difference. All of them come from constants that lie between the instructions of
 * libcrypto's assembly code; compiled code shows none.
 */
static bool explained(const struct line *line, const uint8_t *bytes, enum x86_decode_status status,
                      const struct x86_insn *insn)
{
    /* No instruction to objdump, which goes on at the next byte; the decoder's OK is about the length. */
    if (strstr(line->text, "(bad)"))
        return true;
    /* A symbol begins within the instruction, and objdump cuts it there. */
    if (starts(line->text, ".byte"))
        return true;
    /* A REX before another prefix is ignored. objdump prints it alone, the decoder reads on as processors do.
     */
    if (is_only_prefixes(line->text) && (status != X86_DECODE_OK || insn->length > line->length))
        return true;
    /* FWAIT is an instruction; objdump shows it with the x87 instruction behind it, as assemblers name both.
     */
    if (bytes[0] == 0x9b && status == X86_DECODE_OK && insn->length == 1)
        return true;
    /* REX before VEX is #UD (SDM vol. 2, 2.3.2); objdump prints the instruction. */
    return starts(line->text, "rex") && status == X86_DECODE_UNDEFINED && insn->encoding == X86_ENCODING_VEX;
}

static void check_line(const struct text *text, const struct line *line, struct tally *tally)
{
    uint64_t offset = line->address - text->address;
    const uint8_t *bytes = text->bytes + offset;
    struct x86_insn insn;
    enum x86_decode_status status;

    assert_true(offset < text->size && line->length <= text->size - offset);
    tally->instructions++;
    status = x86_decode(X86_MODE_64, bytes, text->size - offset, &insn);
    if (status == X86_DECODE_OK && insn.length == line->length)
        return;
    if (explained(line, bytes, status, &insn)) {
        tally->explained++;
        return;
    }
    if (tally->different++ >= PRINTED_MOST)
        return;
    print_error("%llx: status %u, length %u; objdump: %u, %s; bytes", (unsigned long long)line->address,
                status, insn.length, line->length, line->text);
    for (unsigned i = 0; i < X86_INSN_MAX && i < text->size - offset; i++)
        print_error(" %02x", bytes[i]);
    print_error("\n");
}

/* objdump stops in the middle of the code, so the last instructions before that are not looked at. */
static void check_program(const char *path, const struct text *text, struct tally *tally)
{
    size_t size = text->size < PROGRAM_BYTES ? text->size : PROGRAM_BYTES;
    char command[256], input[512];
    struct line line;
    FILE *objdump;

    snprintf(command, sizeof(command), "LC_ALL=C objdump -d -w -j .text --stop-address=0x%llx %s",
             (unsigned long long)(text->address + size), path);
    objdump = popen(command, "r");
    assert_non_null(objdump);
    while (fgets(input, sizeof(input), objdump))
        if (parse_line(input, &line) && line.address - text->address < size - X86_INSN_MAX)
            check_line(text, &line, tally);
    assert_int_equal(pclose(objdump), 0);
}

static void agrees_with_objdump(void **state)
{
    unsigned found = 0, different = 0;

    (void)state;
    if (system("objdump --version >/dev/null 2>&1") != 0) {
        print_message("objdump (package binutils) is not installed: skipped\n");
        skip();
    }
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        struct tally tally = {0};
        const char *path = programs[i].path;
        struct text text;

        if (!open_text(path, &text)) {
            print_message("%s: not installed\n", path);
            continue;
        }
        check_program(path, &text, &tally);
        print_message("%s: %lu instructions, %u explained differences, %u others\n", path, tally.instructions,
                      tally.explained, tally.different);
        assert_true(tally.instructions > 0);
        munmap((void *)(uintptr_t)text.file, text.file_size);
        different += tally.different + (programs[i].has_constants ? 0 : tally.explained);
        found++;
    }
    assert_int_equal(different, 0);
    if (found < PROGRAMS_NEEDED) {
        print_message("only %u of the programs are installed, of %u needed: skipped\n", found,
                      PROGRAMS_NEEDED);
        skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_objdump),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
