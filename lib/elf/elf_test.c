/* SPDX-License-Identifier: ISC */
/* Programs good and bad: every refusal has its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/elf/elf.h"

#include <elf.h>
#include <string.h>

struct file {
    Elf64_Ehdr header;
    Elf64_Phdr program[3];
    uint8_t rest[0x3000];
};

static struct file good(void)
{
    struct file file = {.header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                                   .e_type = ET_EXEC,
                                   .e_machine = EM_X86_64,
                                   .e_version = 1,
                                   .e_entry = 0x400010,
                                   .e_phoff = sizeof(Elf64_Ehdr),
                                   .e_phentsize = sizeof(Elf64_Phdr),
                                   .e_phnum = 3},
                        .program = {{PT_LOAD, PF_R | PF_X, 0x1000, 0x400000, 0x400000, 0x800, 0x800, 0x1000},
                                    {PT_LOAD, PF_R | PF_W, 0x2000, 0x402010, 0x402010, 0x100, 0x2000, 0x1000},
                                    {PT_GNU_STACK, PF_R | PF_W, 0, 0, 0, 0, 0, 16}}};
    return file;
}

static void program_is_taken(void **state)
{
    (void)state;
    struct elf elf;
    struct file file = good();
    assert_null(elf_parse(&file, sizeof(file), &elf));
    assert_int_equal(elf.segments, 2);
    assert_int_equal(elf.entry, 0x400010);
    assert_int_equal(elf.pages, 1 + 3);
    assert_true(elf.segment[0].executable && !elf.segment[0].writable);
    assert_int_equal(elf.segment[1].address, 0x402000);
    assert_int_equal(elf.segment[1].skip, 0x10);
    assert_int_equal(elf.segment[1].pages, 3);
    assert_int_equal(elf.segment[1].file_bytes, 0x100);
}

static void refused(const struct file *file, size_t bytes, const char *why)
{
    struct elf elf;
    const char *reason = elf_parse(file, bytes, &elf);
    assert_non_null(reason);
    assert_non_null(strstr(reason, why));
}

static void headers_are_checked(void **state)
{
    (void)state;
    struct file file = good();
    refused(&file, 0, "too short");
    refused(&file, 63, "too short");
    refused(&file, 100, "truncated");
    refused(&file, 0x1700, "truncated");
    file.header.e_ident[1] = 'e';
    refused(&file, sizeof(file), "no ELF");
    file = good();
    file.header.e_ident[4] = ELFCLASS32;
    refused(&file, sizeof(file), "64 bits");
    for (Elf64_Word version = 0; version <= 2; version += 2) {
        file = good();
        file.header.e_version = version;
        refused(&file, sizeof(file), "version 1");
    }
    file = good();
    file.header.e_type = ET_DYN;
    refused(&file, sizeof(file), "static");
    file = good();
    file.header.e_machine = EM_AARCH64;
    refused(&file, sizeof(file), "x86-64");
    file = good();
    file.header.e_phnum = 0;
    refused(&file, sizeof(file), "program headers");
    file = good();
    file.header.e_phnum = 0xffff;
    refused(&file, sizeof(file), "truncated");
    file = good();
    file.header.e_phoff = UINT64_MAX - 10;
    refused(&file, sizeof(file), "truncated");
    file = good();
    file.program[2].p_type = PT_INTERP;
    refused(&file, sizeof(file), "dynamic");
}

/* .bss in a segment of its own: some linkers leave any offset there. */
static void nothing_in_the_file_may_lie_anywhere(void **state)
{
    static const Elf64_Off offsets[] = {0, sizeof(struct file), sizeof(struct file) + 1, UINT64_MAX};
    (void)state;
    for (unsigned i = 0; i < sizeof(offsets) / sizeof(*offsets); i++) {
        struct elf elf;
        struct file file = good();
        file.program[1].p_offset = offsets[i];
        file.program[1].p_filesz = 0;
        assert_null(elf_parse(&file, sizeof(file), &elf));
        assert_int_equal(elf.segments, 2);
        assert_int_equal(elf.segment[1].offset, 0);
        assert_int_equal(elf.segment[1].file_bytes, 0);
        assert_int_equal(elf.segment[1].pages, 3);
        file.program[1].p_memsz = 0;
        assert_null(elf_parse(&file, sizeof(file), &elf));
        assert_int_equal(elf.segments, 1);
        file.program[1].p_filesz = 1;
        refused(&file, sizeof(file), "more in the file");
    }
}

static void segments_are_checked(void **state)
{
    (void)state;
    struct file file = good();
    file.program[0].p_flags = PF_R | PF_W | PF_X;
    refused(&file, sizeof(file), "writable and executable");
    file = good();
    file.program[1].p_filesz = 0x2001;
    refused(&file, sizeof(file), "more in the file");
    file = good();
    file.program[1].p_offset = UINT64_MAX - 0x80;
    refused(&file, sizeof(file), "truncated");
    file = good();
    file.program[1].p_vaddr = 0x400800;
    refused(&file, sizeof(file), "overlaps");
    file = good();
    file.program[0].p_vaddr = 0x1000;
    refused(&file, sizeof(file), "too low");
    file = good();
    file.program[1].p_memsz = UINT64_MAX - 5;
    refused(&file, sizeof(file), "too high");
    file = good();
    file.program[1].p_vaddr = 0x7fffffff0000;
    refused(&file, sizeof(file), "too high");
    file = good();
    file.program[1].p_memsz = ELF_MEMORY - 0x1000 - 0x10;
    struct elf elf;
    assert_null(elf_parse(&file, sizeof(file), &elf));
    assert_int_equal(elf.pages, ELF_MEMORY / 4096);
    file.program[1].p_memsz++;
    refused(&file, sizeof(file), "more memory than 16 MiB");
    file = good();
    file.header.e_entry = 0x402010;
    refused(&file, sizeof(file), "entry");
    file = good();
    file.header.e_entry = 0x400800;
    refused(&file, sizeof(file), "entry");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program_is_taken),
        cmocka_unit_test(headers_are_checked),
        cmocka_unit_test(nothing_in_the_file_may_lie_anywhere),
        cmocka_unit_test(segments_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
