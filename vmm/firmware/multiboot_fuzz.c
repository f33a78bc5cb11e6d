/* SPDX-License-Identifier: ISC */
/*
 * Hostile images for the Multiboot loader: the input changes bytes of a good one, or with an odd first byte
 * is the image. The sanitizers watch file and guest RAM; here it is checked that the entry of what was
 * accepted and what it is told lie where they may, and that a refusal has its message.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/firmware/multiboot.h"

#define IMAGE 256u

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length);

/* A segment of 16 bytes at 2 MiB, the header behind the program headers. */
static void make_image(uint8_t image[IMAGE])
{
    static const uint32_t words[][2] = {
        {0, 0x464c457f}, {4, 0x010101},    {16, 0x30002},  {20, 1},
        {24, 0x200000},  {28, 52},         {40, 0x200034}, {44, 1},
        {52, 1},         {56, 128},        {64, 0x200000}, {68, 16},
        {72, 64},        {96, 0x1badb002}, {100, 2},       {104, (uint32_t) - (0x1badb002 + 2)},
    };

    memset(image, 0, IMAGE);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        memcpy(image + words[i][0], &words[i][1], 4);
}

static bool is_free(uint64_t gpa, const struct e820_map *map)
{
    return gpa >= MULTIBOOT_LOWEST && gpa < map->acpi_base && (gpa < E820_EBDA || gpa >= E820_HIGH_MEMORY);
}

static uint32_t get32(const uint8_t *bytes)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof(value));
    return value;
}

/* Both of the information's modules have their length and lie on pages, one behind the other. */
static bool are_modules(const uint8_t *info, size_t length, uint64_t end)
{
    const uint8_t *list = info + (get32(info + 24) & 0xfff); /* in the block's first page */
    uint32_t first, second;

    first = get32(list);
    second = get32(list + 16);
    return get32(info + 20) == 2 && first % 0x1000 == 0 && second % 0x1000 == 0 &&
           first >= E820_HIGH_MEMORY && get32(list + 4) - first == length && second >= get32(list + 4) &&
           get32(list + 20) - second == length * 0x1000 && get32(list + 20) <= end;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
    static uint8_t low[E820_MIN_RAM], large[E820_MIN_RAM];
    const struct guest_ram ram = {.low = low, .low_size = sizeof low};
    const struct multiboot_module module[] = {{input, length, "first"}, {large, length * 0x1000, NULL}};
    struct multiboot_config config = {
        .image = input, .size = length, .command_line = "x", .module = module, .modules = 2};
    char message[MESSAGE_BYTES];
    struct guest_entry entry;
    struct e820_map map;
    uint8_t image[IMAGE];

    if (!e820_layout(sizeof low, &map))
        abort();
    config.map = &map;
    make_image(image);
    for (size_t at = 1; at + 2 <= length; at += 2)
        image[input[at]] = input[at + 1];
    if (length == 0 || !(input[0] & 1)) {
        config.image = image;
        config.size = sizeof image;
        if (length <= 1 &&
            !multiboot_load(&ram, &(struct multiboot_config){.image = image, .size = IMAGE, .map = &map},
                            &entry, message))
            abort();
    }
    if (!multiboot_load(&ram, &config, &entry, message)) {
        if (!message[0])
            abort();
    } else if (!is_free(entry.rip, &map) || entry.rbx % 0x1000 || entry.rbx >= E820_EBDA ||
               !is_free(entry.rbx, &map) || !are_modules(low + entry.rbx, length, map.acpi_base)) {
        abort();
    }
    return 0;
}
