/* SPDX-License-Identifier: ISC */
/*
 * The decoder's lengths against objdump over the code of large programs: what compilers and assembly authors
 * really write, vector code included, judged by a decoder that shares no line and no table with ours. 64-bit
 * and 32-bit programs by their .text; firmware as a whole, in 16-bit mode too, where its data are so many
 * random bytes. Each difference fails, but for the few kinds in explained(), where the two mean different
 * things by an instruction. Programs that are not installed are left out; without objdump the test is
 * skipped.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/x86/objdump.h"
#include "lib/x86/x86.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM_BYTES (3u << 20) /* of each program's .text, at most */
#define PRINTED_MOST  20u

struct program {
    const char *path;
    enum x86_mode mode;
    bool is_raw;        /* no ELF file: all of it is taken as code */
    bool has_constants; /* among the code: explained differences are expected */
};

/* Of packages that a build machine has: libc6, python3 and its libssl3, gcc, qemu-system-x86 and its seabios,
 * libc6-i386, grub-pc-bin. */
static const struct program programs[] = {
    {"/usr/lib/x86_64-linux-gnu/libc.so.6", X86_MODE_64, false, false},
    {"/usr/bin/python3", X86_MODE_64, false, false},
    {"/usr/bin/qemu-system-x86_64", X86_MODE_64, false, false},
    {"/usr/lib/gcc/x86_64-linux-gnu/12/cc1", X86_MODE_64, false, false},
    {"/usr/lib/x86_64-linux-gnu/libcrypto.so.3", X86_MODE_64, false, true},
    {"/usr/lib32/libc.so.6", X86_MODE_32, false, false},
    {"/usr/lib32/libstdc++.so.6", X86_MODE_32, false, false},
    {"/usr/lib/grub/i386-pc/normal.mod", X86_MODE_32, false, false},
    {"/usr/share/seabios/bios.bin", X86_MODE_32, true, true},
    {"/usr/share/seabios/bios.bin", X86_MODE_16, true, true},
    {"/usr/share/seabios/vgabios-stdvga.bin", X86_MODE_16, true, true},
};

/* Fewer of a mode, and the test is not worth its name. */
static const unsigned programs_needed[] = {[X86_MODE_16] = 1, [X86_MODE_32] = 2, [X86_MODE_64] = 3};

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

/* ---- the program ---- */

/* A section header of either class. */
static Elf64_Shdr section(const struct text *text, unsigned index)
{
    const Elf64_Ehdr *wide = (const Elf64_Ehdr *)(const void *)text->file;
    const Elf32_Ehdr *narrow = (const Elf32_Ehdr *)(const void *)text->file;
    bool is_wide = text->file[EI_CLASS] == ELFCLASS64;
    size_t size = is_wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
    uint64_t at = (is_wide ? wide->e_shoff : narrow->e_shoff) + index * size;
    Elf64_Shdr result;
    Elf32_Shdr small;

    assert_true(at + size <= text->file_size);
    if (is_wide) {
        memcpy(&result, text->file + at, size);
        return result;
    }
    memcpy(&small, text->file + at, size);
    return (Elf64_Shdr){.sh_name = small.sh_name,
                        .sh_type = small.sh_type,
                        .sh_addr = small.sh_addr,
                        .sh_offset = small.sh_offset,
                        .sh_size = small.sh_size};
}

static void find_text(struct text *text, enum x86_mode mode)
{
    const Elf64_Ehdr *wide = (const Elf64_Ehdr *)(const void *)text->file;
    const Elf32_Ehdr *narrow = (const Elf32_Ehdr *)(const void *)text->file;
    bool is_wide = mode == X86_MODE_64;
    unsigned count = is_wide ? wide->e_shnum : narrow->e_shnum;
    Elf64_Shdr names;

    assert_true(text->file_size >= sizeof(*wide) && memcmp(text->file, ELFMAG, SELFMAG) == 0);
    assert_int_equal(text->file[EI_CLASS], is_wide ? ELFCLASS64 : ELFCLASS32);
    names = section(text, is_wide ? wide->e_shstrndx : narrow->e_shstrndx);
    for (unsigned i = 0; i < count; i++) {
        Elf64_Shdr s = section(text, i);

        if (s.sh_type != SHT_PROGBITS ||
            strcmp((const char *)text->file + names.sh_offset + s.sh_name, ".text") != 0)
            continue;
        assert_true(s.sh_offset + s.sh_size <= text->file_size);
        text->bytes = text->file + s.sh_offset;
        text->address = s.sh_addr;
        text->size = s.sh_size;
    }
    assert_non_null(text->bytes);
}

static bool open_text(const struct program *program, struct text *text)
{
    int fd = open(program->path, O_RDONLY | O_CLOEXEC);
    struct stat status;

    *text = (struct text){0};
    if (fd < 0)
        return false;
    assert_int_equal(fstat(fd, &status), 0);
    text->file_size = (size_t)status.st_size;
    text->file = mmap(NULL, text->file_size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(text->file != MAP_FAILED);
    close(fd);
    if (program->is_raw) {
        text->bytes = text->file;
        text->size = text->file_size;
    } else {
        find_text(text, program->mode);
    }
    return true;
}

/* ---- objdump ---- */

/*
 * The reviewed kinds of difference. All of them come from constants that lie between the instructions of
 * libcrypto's assembly code, and from the data of firmware; compiled code shows none.
 */
static bool explained(const struct objdump_line *line, const uint8_t *bytes, enum x86_decode_status status,
                      const struct x86_insn *insn)
{
    /* No instruction to objdump, which goes on at the next byte; the decoder's OK is about the length. */
    if (objdump_is_bad(line))
        return true;
    /* A symbol begins within the instruction, and objdump cuts it there. */
    if (objdump_starts(line->text, ".byte"))
        return true;
    /* A REX before another prefix is ignored. objdump prints it alone, the decoder reads on as processors do.
     */
    if (objdump_is_only_prefixes(line) && (status != X86_DECODE_OK || insn->length > line->length))
        return true;
    /* FWAIT is an instruction; objdump shows it with the x87 instruction behind it, as assemblers name both.
     */
    if (bytes[0] == 0x9b && status == X86_DECODE_OK && insn->length == 1)
        return true;
    /* REX before VEX is #UD (SDM vol. 2, 2.3.2); objdump prints the instruction. */
    return objdump_starts(line->text, "rex") && status == X86_DECODE_UNDEFINED &&
           insn->encoding == X86_ENCODING_VEX;
}

static void check_line(const struct text *text, enum x86_mode mode, const struct objdump_line *line,
                       struct tally *tally)
{
    uint64_t offset = line->address - text->address;
    const uint8_t *bytes = text->bytes + offset;
    struct x86_insn insn;
    enum x86_decode_status status;

    assert_true(offset < text->size && line->length <= text->size - offset);
    tally->instructions++;
    status = x86_decode(mode, bytes, text->size - offset, &insn);
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
static void check_program(const struct program *program, const struct text *text, struct tally *tally)
{
    size_t size = text->size < PROGRAM_BYTES ? text->size : PROGRAM_BYTES;
    char command[256], input[512];
    struct objdump_line line;
    FILE *objdump;

    if (program->is_raw)
        snprintf(command, sizeof(command), "LC_ALL=C objdump -D -w -z -b binary -m %s %s",
                 objdump_machine(program->mode), program->path);
    else
        snprintf(command, sizeof(command), "LC_ALL=C objdump -d -w -j .text --stop-address=0x%llx %s",
                 (unsigned long long)(text->address + size), program->path);
    objdump = popen(command, "r");
    assert_non_null(objdump);
    while (fgets(input, sizeof(input), objdump))
        if (objdump_parse(input, &line) && line.address - text->address < size - X86_INSN_MAX)
            check_line(text, program->mode, &line, tally);
    assert_int_equal(pclose(objdump), 0);
}

static void agrees_with_objdump(void **state)
{
    unsigned found[] = {0, 0, 0}, different = 0;

    (void)state;
    if (!objdump_is_installed()) {
        print_message("objdump (package binutils) is not installed: skipped\n");
        skip();
    }
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        const struct program *program = &programs[i];
        struct tally tally = {0};
        struct text text;

        if (!open_text(program, &text)) {
            print_message("%s: not installed\n", program->path);
            continue;
        }
        check_program(program, &text, &tally);
        print_message("%s, %u-bit: %lu instructions, %u explained differences, %u others\n", program->path,
                      16u << program->mode, tally.instructions, tally.explained, tally.different);
        assert_true(tally.instructions > 0);
        munmap((void *)(uintptr_t)text.file, text.file_size);
        different += tally.different + (program->has_constants ? 0 : tally.explained);
        found[program->mode]++;
    }
    assert_int_equal(different, 0);
    for (unsigned mode = X86_MODE_16; mode <= X86_MODE_64; mode++) {
        if (found[mode] >= programs_needed[mode])
            continue;
        print_message("only %u of the %u-bit programs are installed, of %u needed: skipped\n", found[mode],
                      16u << mode, programs_needed[mode]);
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
