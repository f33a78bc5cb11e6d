/* SPDX-License-Identifier: ISC */
/*
 * The VGA by its ports and memory: the modes of a BIOS, fonts, planes, colours, DISPI and its limits, the picture,
 * saved state, and random accesses.
 */
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/device/i440fx.h"
#include "vmm/device/vga.h"

#define VRAM   0x100000u
#define BAR    0xe0000000u
#define TEXT   0xb8000u
#define CONFIG 0x80001000u

struct bench {
    struct bus bus;
    struct i440fx host;
    struct vga vga;
    uint8_t *memory; /* of exactly its size, so that a sanitizer sees what goes beyond */
    unsigned mapped;
};

static struct bench test, other;
static uint8_t picture[3 * 4096 * 1024];

static void mapping(void *context)
{
    ((struct bench *)context)->mapped++;
}

static void out(unsigned port, uint8_t value)
{
    bus_write(&test.bus, BUS_PORT, port, 1, value, 0, 0);
}

static uint8_t in(unsigned port)
{
    return (uint8_t)bus_read(&test.bus, BUS_PORT, port, 1, 0, 0);
}

static void set(unsigned port, uint8_t index, uint8_t value)
{
    out(port, index);
    out(port + 1, value);
}

static uint8_t get(unsigned port, uint8_t index)
{
    out(port, index);
    return in(port + 1);
}

static void set_dispi(uint16_t index, uint16_t value)
{
    bus_write(&test.bus, BUS_PORT, 0x1ce, 2, index, 0, 0);
    bus_write(&test.bus, BUS_PORT, 0x1cf, 2, value, 0, 0);
}

static uint16_t get_dispi(uint16_t index)
{
    bus_write(&test.bus, BUS_PORT, 0x1ce, 2, index, 0, 0);
    return (uint16_t)bus_read(&test.bus, BUS_PORT, 0x1cf, 2, 0, 0);
}

static void poke(uint64_t address, uint8_t value)
{
    bus_write(&test.bus, BUS_MMIO, address, 1, value, 0, 0);
}

static uint8_t peek(uint64_t address)
{
    return (uint8_t)bus_read(&test.bus, BUS_MMIO, address, 1, 0, 0);
}

static uint32_t config(unsigned at, uint32_t value, bool write)
{
    bus_write(&test.bus, BUS_PORT, 0xcf8, 4, CONFIG | at, 0, 0);
    if (write)
        bus_write(&test.bus, BUS_PORT, 0xcfc, 4, value, 0, 0);
    return (uint32_t)bus_read(&test.bus, BUS_PORT, 0xcfc, 4, 0, 0);
}

static void prepare(struct bench *bench)
{
    uint8_t *memory = realloc(bench->memory, VRAM + VGA_TEXT_SIZE);

    assert_non_null(memory);
    memset(bench, 0, sizeof(*bench));
    memset(memory, 0, VRAM + VGA_TEXT_SIZE);
    bench->memory = memory;
    bus_init(&bench->bus);
    i440fx_init(&bench->host, &(struct i440fx_wiring){0});
    vga_init(&bench->vga, &(struct vga_config){.memory = memory, .vram = VRAM, .slot = 2},
             &(struct vga_wiring){.pci = &bench->host.pci, .mapping = mapping, .context = bench});
    assert_int_equal(i440fx_attach(&bench->host, &bench->bus), BUS_OK);
    assert_int_equal(vga_class.attach(&bench->vga, &bench->bus), BUS_OK);
}

static void set_up(void)
{
    prepare(&test);
    (void)config(0x10, BAR, true);
    (void)config(4, PCI_COMMAND_MEMORY, true);
}

/* As a BIOS sets a mode. */
struct mode {
    uint8_t misc, sequencer[5], crtc[25], graphics[9], attribute[21];
};

static const struct mode mode_3 = {
    0x67,
    {3, 0, 3, 0, 2},
    {0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0,    0x4f, 0x0d, 0x0e, 0,
     0,    0,    0,    0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff},
    {0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff},
    {0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0, 0x0f, 8, 0}};
static const struct mode mode_12 = {
    0xe3,
    {3, 1, 0xf, 0, 6},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0,    0x40, 0,    0,   0,
     0,    0,    0,    0xea, 0x8c, 0xdf, 0x28, 0,    0xe7, 4,    0xe3, 0xff},
    {0, 0, 0, 0, 0, 0, 5, 0xf, 0xff},
    {0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 1, 0, 0x0f, 0, 0}};
static const struct mode mode_13 = {
    0x63,
    {3, 1, 0xf, 0, 0xe},
    {0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0,    0x41, 0,    0,   0,
     0,    0,    0,    0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff},
    {0, 0, 0, 0, 0, 0x40, 5, 0xf, 0xff},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0x41, 0, 0x0f, 0, 0}};

static void set_mode(const struct mode *mode)
{
    (void)in(0x3da);
    out(0x3c2, mode->misc);
    for (uint8_t i = 0; i < 5; i++)
        set(0x3c4, i, mode->sequencer[i]);
    set(0x3d4, 17, 0);
    for (uint8_t i = 0; i < 25; i++)
        set(0x3d4, i, mode->crtc[i]);
    for (uint8_t i = 0; i < 9; i++)
        set(0x3ce, i, mode->graphics[i]);
    for (uint8_t i = 0; i < 21; i++) {
        out(0x3c0, i);
        out(0x3c0, mode->attribute[i]);
    }
    out(0x3c0, 0x20);
    out(0x3c8, 0); /* a palette whose parts are seen apart: red the number, green its double, blue its half */
    for (unsigned i = 0; i < 256; i++) {
        out(0x3c9, i & 0x3f);
        out(0x3c9, i * 2 & 0x3f);
        out(0x3c9, i / 2 & 0x3f);
    }
}

/* The colour that the palette has at `index`. */
static uint32_t colour(unsigned index)
{
    unsigned parts[] = {index & 0x3f, index * 2 & 0x3f, index / 2 & 0x3f};
    uint32_t rgb = 0;

    for (unsigned i = 0; i < 3; i++)
        rgb = rgb << 8 | (parts[i] << 2 | parts[i] >> 4);
    return rgb;
}

static struct vga_size render(void)
{
    struct vga_size size = vga_size(&test.vga);

    assert_true((size_t)size.width * size.height * 3 <= sizeof(picture));
    vga_render(&test.vga, picture);
    return size;
}

static uint32_t pixel(struct vga_size size, unsigned x, unsigned y)
{
    const uint8_t *rgb = picture + 3 * ((size_t)y * size.width + x);

    return (uint32_t)rgb[0] << 16 | (uint32_t)rgb[1] << 8 | rgb[2];
}

static void test_identity(void **state)
{
    (void)state;
    set_up();
    assert_int_equal(config(0, 0, false), 0xbeef80ee);
    assert_int_equal(config(8, 0, false), 0x03000000);
    assert_int_equal(config(0x10, 0xffffffff, true), 0xfff00008);
    assert_int_equal(config(0x3c, 0, false), 0x0100);
    for (unsigned id = 0; id < 0x10000; id++) {
        uint16_t before = get_dispi(0);
        bool known = (id >= 0xb0c0 && id <= 0xb0c5) || (id >= 0xbe00 && id <= 0xbe02);

        set_dispi(0, (uint16_t)id);
        assert_int_equal(get_dispi(0), known ? id : before);
    }
    assert_int_equal(bus_read(&test.bus, BUS_PORT, 0x1cf, 4, 0, 0), VRAM);
    assert_int_equal(get_dispi(DISPI_MEMORY), VRAM >> 16);
    (void)config(0x10, BAR, true);
    assert_int_equal(get_dispi(DISPI_BASE), BAR >> 16);
    assert_int_equal(get_dispi(100), 0);
}

/* Without memory there is no such device. */
static void test_absent(void **state)
{
    (void)state;
    set_up();
    bus_init(&test.bus);
    i440fx_init(&test.host, &(struct i440fx_wiring){0});
    vga_init(&test.vga, &(struct vga_config){.slot = 2}, &(struct vga_wiring){.pci = &test.host.pci});
    assert_int_equal(vga_class.attach(&test.vga, &test.bus), BUS_OK);
    vga_class.reset(&test.vga, 0);
    assert_int_equal(in(0x3cc), 0xff);
    assert_int_equal(peek(TEXT), 0xff);
}

/* Where a font is written: plane 2 in the window at 0xa0000. */
static void select_font(bool write)
{
    set(0x3c4, 2, write ? 4 : 3);
    set(0x3c4, 4, write ? 7 : 2);
    set(0x3ce, 4, write ? 2 : 0);
    set(0x3ce, 5, write ? 0 : 0x10);
    set(0x3ce, 6, write ? 4 : 0x0e);
}

static void test_text(void **state)
{
    struct vga_mapping map;
    struct vga_size size;

    (void)state;
    set_up();
    assert_int_equal(vga_size(&test.vga).height, 0);
    set_mode(&mode_3);
    map = vga_text_mapping(&test.vga);
    assert_int_equal(map.at, TEXT);
    assert_int_equal(map.length, VGA_TEXT_SIZE);
    assert_int_equal(map.offset, VRAM);
    set(0x3ce, 6, 6); /* the planes by turns, in the window of graphics */
    assert_int_equal(vga_text_mapping(&test.vga).length, 0);
    set(0x3ce, 6, 0x0e);
    poke(TEXT, 'A');
    poke(TEXT + 1, 0x1e);
    test.memory[map.offset + 161] = 0x72; /* by the mapping */
    test.memory[map.offset + 160] = 0xc4;
    select_font(true);
    assert_int_equal(vga_text_mapping(&test.vga).length, 0);
    for (unsigned line = 0; line < 16; line++) {
        poke(VGA_WINDOW + 'A' * 32 + line, line ? 0x81 : 0xff);
        poke(VGA_WINDOW + 0xc4 * 32 + line, 0x01);
    }
    assert_int_equal(peek(VGA_WINDOW + 'A' * 32), 0xff);
    set(0x3c4, 2, 1); /* a character by its plane */
    poke(VGA_WINDOW + 5, 'Z');
    select_font(false);
    assert_int_equal(peek(TEXT + 10), 'Z');
    assert_int_equal(vga_text_mapping(&test.vga).at, TEXT);
    assert_true(test.mapped > 2);
    assert_int_equal(peek(TEXT), 'A');
    assert_int_equal(peek(TEXT + 161), 0x72);
    size = render();
    assert_int_equal(size.width, 720);
    assert_int_equal(size.height, 400);
    for (unsigned x = 0; x < 9; x++) {
        assert_int_equal(pixel(size, x, 0), colour(x < 8 ? 0x3e : 1));
        assert_int_equal(pixel(size, x, 1), colour(x == 0 || x == 7 ? 0x3e : 1));
        assert_int_equal(pixel(size, x, 16), colour(x >= 7 ? 2 : 7)); /* the ninth dot of line graphics */
    }
    assert_int_equal(pixel(size, 719, 399), colour(0));
    /* The cursor, lines 13 and 14 of the first character; then elsewhere; then off. */
    assert_int_equal(pixel(size, 3, 12), colour(1));
    assert_int_equal(pixel(size, 3, 13), colour(0x3e));
    assert_int_equal(pixel(size, 3, 15), colour(1));
    set(0x3d4, 15, 1);
    size = render();
    assert_int_equal(pixel(size, 3, 13), colour(1));
    set(0x3d4, 15, 0);
    set(0x3d4, 10, 0x2d);
    size = render();
    assert_int_equal(pixel(size, 3, 13), colour(1));
    /* Scrolled by a line, eight dots wide. */
    set(0x3d4, 13, 80);
    set(0x3c4, 1, 1);
    size = render();
    assert_int_equal(size.width, 640);
    assert_int_equal(pixel(size, 7, 0), colour(2));
    assert_int_equal(pixel(size, 6, 0), colour(7));
    set(0x3c4, 1, 0x21); /* off */
    assert_int_equal(vga_size(&test.vga).width, 0);
}

/* From the line behind the compared one on, the screen shows the start of the memory. */
static void test_split(void **state)
{
    struct vga_size size;

    (void)state;
    set_up();
    set_mode(&mode_3);
    for (unsigned i = 0; i < 4000; i += 2)
        poke(TEXT + i + 1, (uint8_t)(i / 160 << 4 & 0x70));
    set(0x3d4, 13, 160); /* from the third line on */
    set(0x3d4, 0x18, 31);
    set(0x3d4, 9, 0x0f);
    set(0x3d4, 7, 0x0f);
    size = render();
    assert_int_equal(pixel(size, 0, 31), colour(3));
    assert_int_equal(pixel(size, 0, 32), colour(0));
    assert_int_equal(pixel(size, 0, 48), colour(1));
}

/* Each write mode, function, mask and read mode by a processor's view of the planes. */
static void test_planes(void **state)
{
    const uint8_t *planes;
    struct vga_size size;

    (void)state;
    set_up();
    set_mode(&mode_12);
    planes = test.memory + 4 * 100;
    poke(VGA_WINDOW + 100, 0x81);
    assert_memory_equal(planes, "\x81\x81\x81\x81", 4);
    set(0x3c4, 2, 5);
    poke(VGA_WINDOW + 100, 0x0f);
    assert_memory_equal(planes, "\x0f\x81\x0f\x81", 4);
    set(0x3c4, 2, 15);
    set(0x3ce, 8, 0xf0); /* only these bits, the others from the latches */
    (void)peek(VGA_WINDOW + 100);
    poke(VGA_WINDOW + 100, 0x55);
    assert_memory_equal(planes, "\x5f\x51\x5f\x51", 4);
    set(0x3ce, 8, 0xff);
    set(0x3ce, 3, 0x18 | 4); /* exclusive or, rotated by four */
    poke(VGA_WINDOW + 100, 0xf0);
    assert_memory_equal(planes, "\x00\x8e\x00\x8e", 4);
    set(0x3ce, 3, 0x08);
    (void)peek(VGA_WINDOW + 100);
    poke(VGA_WINDOW + 100, 0x82);
    assert_memory_equal(planes, "\x00\x82\x00\x82", 4);
    set(0x3ce, 3, 0x10);
    (void)peek(VGA_WINDOW + 100);
    poke(VGA_WINDOW + 100, 0x01);
    assert_memory_equal(planes, "\x01\x83\x01\x83", 4);
    set(0x3ce, 3, 0);
    set(0x3ce, 0, 0x3); /* set and reset, for planes 0 to 2 */
    set(0x3ce, 1, 0x7);
    poke(VGA_WINDOW + 100, 0x33);
    assert_memory_equal(planes, "\xff\xff\x00\x33", 4);
    set(0x3ce, 1, 0);
    (void)peek(VGA_WINDOW + 100);
    set(0x3ce, 5, 1);
    poke(VGA_WINDOW + 101, 0x77);
    assert_memory_equal(planes + 4, "\xff\xff\x00\x33", 4);
    set(0x3ce, 5, 2);
    poke(VGA_WINDOW + 101, 0x0a);
    assert_memory_equal(planes + 4, "\x00\xff\x00\xff", 4);
    set(0x3ce, 5, 3);
    set(0x3ce, 0, 0x4);
    set(0x3ce, 8, 0x3c);
    (void)peek(VGA_WINDOW + 101);
    poke(VGA_WINDOW + 101, 0x18);
    assert_memory_equal(planes + 4, "\x00\xe7\x18\xe7", 4);
    set(0x3ce, 5, 0);
    for (uint8_t plane = 0; plane < 4; plane++) {
        set(0x3ce, 4, plane);
        assert_int_equal(peek(VGA_WINDOW + 101), planes[4 + plane]);
    }
    set(0x3ce, 5, 8);
    set(0x3ce, 2, 0x0a);
    set(0x3ce, 7, 0x0f);
    assert_int_equal(peek(VGA_WINDOW + 101), 0xe7);
    set(0x3ce, 7, 0x05);
    assert_int_equal(peek(VGA_WINDOW + 101), 0xe7);
    set(0x3ce, 7, 0);
    assert_int_equal(peek(VGA_WINDOW + 101), 0xff);
    size = render();
    assert_int_equal(size.width, 640);
    assert_int_equal(size.height, 480);
    assert_int_equal(pixel(size, 101 % 80 * 8, 1), colour(0x3a));
    assert_int_equal(pixel(size, 101 % 80 * 8 + 3, 1), colour(4));
    assert_int_equal(peek(TEXT), 0xff); /* not in the window */
}

static void test_256(void **state)
{
    struct vga_size size;

    (void)state;
    set_up();
    set_mode(&mode_13);
    poke(VGA_WINDOW, 0x21);
    poke(VGA_WINDOW + 320 * 199 + 319, 0xc3);
    size = render();
    assert_int_equal(size.width, 320);
    assert_int_equal(size.height, 200);
    assert_int_equal(pixel(size, 0, 0), colour(0x21));
    assert_int_equal(pixel(size, 319, 199), colour(0xc3));
    assert_int_equal(peek(VGA_WINDOW + 320 * 199 + 319), 0xc3);
    set(0x3c4, 4, 6); /* planes, four pixels an address */
    set(0x3c4, 2, 2);
    poke(VGA_WINDOW + 80, 0x44);
    size = render();
    assert_int_equal(pixel(size, 1, 1), colour(0x44));
    assert_int_equal(pixel(size, 0, 1), colour(0));
}

static void test_ports(void **state)
{
    (void)state;
    set_up();
    set(0x3d4, 17, 0x8e);
    set(0x3d4, 1, 0x33);
    assert_int_equal(get(0x3d4, 1), 0); /* protected */
    set(0x3d4, 7, 0xff);
    assert_int_equal(get(0x3d4, 7), 0x10);
    set(0x3d4, 0x40, 0x12);
    assert_int_equal(get(0x3d4, 0x40), 0);
    assert_int_equal(in(0x3b5), 0xff);
    out(0x3c2, 0x66); /* as on a monochrome adapter */
    assert_int_equal(in(0x3cc), 0x66);
    assert_int_equal(in(0x3d5), 0xff);
    set(0x3b4, 0x0e, 0x77);
    assert_int_equal(get(0x3b4, 0x0e), 0x77);
    for (unsigned index = 0; index < 256; index++) { /* whatever the index, nothing else than registers */
        set(0x3c4, (uint8_t)index, 0xff);
        set(0x3ce, (uint8_t)index, 0xff);
        (void)in(0x3ba);
        out(0x3c0, (uint8_t)index);
        out(0x3c0, 0xff);
        (void)in(0x3c1);
    }
    assert_int_equal(get(0x3c4, 1), 0x3d);
    assert_int_equal(get(0x3ce, 3), 0x1f);
    (void)in(0x3ba);
    out(0x3c0, 5);
    out(0x3c0, 0xff);
    assert_int_equal(in(0x3c1), 0x3f);
    out(0x3c0, 0x25); /* while the screen is on, the palette is not written */
    out(0x3c0, 0x01);
    assert_int_equal(in(0x3c1), 0x3f);
    out(0x3c7, 255);
    assert_int_equal(in(0x3c7), 3);
    out(0x3c8, 255);
    for (unsigned i = 1; i <= 4; i++)
        out(0x3c9, (uint8_t)(0xc0 | i));
    out(0x3c7, 255);
    assert_int_equal(in(0x3c9), 1);
    assert_int_equal(in(0x3c9), 2);
    assert_int_equal(in(0x3c9), 3);
    assert_int_equal(in(0x3c9), 4); /* of colour 0 */
    assert_int_equal(bus_read(&test.bus, BUS_PORT, 0x3ba, 1, 0, 1000) & 9, 9);
    assert_int_equal(bus_read(&test.bus, BUS_PORT, 0x3ba, 1, 0, 640000 + 20000) & 8, 0);
}

static void test_dispi(void **state)
{
    static const struct {
        uint16_t x, y, bpp;
        bool on;
    } modes[] = {{640, 480, 8, true},       {640, 480, 15, true},  {640, 480, 16, true},
                 {512, 512, 32, true},      {512, 513, 32, false}, {0, 480, 8, false},
                 {640, 0, 8, false},        {640, 480, 4, false},  {640, 480, 0, false},
                 {640, 480, 33, false},     {16384, 64, 8, true},  {16384, 65, 8, false},
                 {16384, 16384, 32, false}, {640, 400, 24, true}};

    (void)state;
    set_up();
    set_mode(&mode_3);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        set_dispi(DISPI_ENABLE, 0);
        memset(test.memory, 0x11, VRAM);
        set_dispi(DISPI_XRES, modes[i].x);
        set_dispi(DISPI_YRES, modes[i].y);
        set_dispi(DISPI_BPP, modes[i].bpp);
        set_dispi(DISPI_ENABLE, 0x41);
        assert_int_equal(get_dispi(DISPI_ENABLE), modes[i].on ? 0x41 : 0);
        if (!modes[i].on)
            continue;
        assert_int_equal(test.memory[0], 0);
        assert_int_equal(vga_size(&test.vga).width, modes[i].x);
        assert_int_equal(get_dispi(DISPI_VIRTUAL_WIDTH), modes[i].x);
        assert_int_equal(get_dispi(DISPI_VIRTUAL_HEIGHT), VRAM / (modes[i].x * ((modes[i].bpp + 7u) / 8)));
        set_dispi(DISPI_XRES, 100); /* not while it is on */
        assert_int_equal(get_dispi(DISPI_XRES), modes[i].x);
    }
    set_dispi(DISPI_ENABLE, 0x43);
    assert_int_equal(get_dispi(DISPI_XRES), 16384);
    set_dispi(DISPI_ENABLE, 0);
    assert_int_equal(vga_size(&test.vga).width, 720); /* text again */
}

static void test_dispi_picture(void **state)
{
    struct vga_size size;

    (void)state;
    set_up();
    set_dispi(DISPI_XRES, 256);
    set_dispi(DISPI_YRES, 200);
    set_dispi(DISPI_BPP, 32);
    set_dispi(DISPI_ENABLE, 0x41);
    bus_write(&test.bus, BUS_MMIO, BAR + 4 * (256 + 3), 4, 0xff123456, 0, 0);
    size = render();
    assert_int_equal(pixel(size, 3, 1), 0x123456);
    set_dispi(DISPI_VIRTUAL_WIDTH, 512);
    assert_int_equal(get_dispi(DISPI_VIRTUAL_HEIGHT), 512);
    set_dispi(DISPI_VIRTUAL_WIDTH, 100);  /* less than the screen */
    set_dispi(DISPI_VIRTUAL_WIDTH, 2000); /* more than the memory */
    assert_int_equal(get_dispi(DISPI_VIRTUAL_WIDTH), 512);
    set_dispi(DISPI_X_OFFSET, 250);
    size = render();
    assert_int_equal(pixel(size, 9, 0), 0x123456);
    set_dispi(DISPI_Y_OFFSET, 0xffff); /* the memory over again */
    (void)render();
    /* The window shows banks of 64 KiB, and none beyond the memory. */
    set_dispi(DISPI_BANK, 15);
    poke(VGA_WINDOW + 0xffff, 0x77);
    assert_int_equal(test.memory[VRAM - 1], 0x77);
    assert_int_equal(peek(BAR + VRAM - 1), 0x77);
    set_dispi(DISPI_BANK, 16);
    assert_int_equal(get_dispi(DISPI_BANK), 15);
    poke(VGA_WINDOW + 0x10000, 0x12); /* no window */
    assert_int_equal(peek(VGA_WINDOW + 0x10000), 0xff);
    set_dispi(DISPI_ENABLE, 0);
    set_dispi(DISPI_BPP, 16);
    set_dispi(DISPI_ENABLE, 0xc1); /* and nothing cleared */
    assert_int_equal(test.memory[VRAM - 1], 0x77);
    bus_write(&test.bus, BUS_MMIO, BAR, 2, 0xf81f, 0, 0);
    assert_int_equal(pixel(render(), 0, 0), 0xff00ff);
    set_dispi(DISPI_ENABLE, 0);
    set_dispi(DISPI_BPP, 8);
    set_dispi(DISPI_ENABLE, 0x61);
    out(0x3c8, 0);
    out(0x3c9, 0xab);
    out(0x3c9, 0xcd);
    out(0x3c9, 0xef);
    assert_int_equal(pixel(render(), 0, 0), 0xabcdef);
}

/* ---- saved state and random accesses */

static uint64_t next(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint64_t step(struct bench *bench, uint64_t *seed)
{
    static const uint16_t ports[] = {0x3c0, 0x3c2, 0x3c4, 0x3c5, 0x3c5, 0x3c8, 0x3c9, 0x3ce, 0x3cf,
                                     0x3cf, 0x3d4, 0x3d5, 0x3d5, 0x3da, 0x3b4, 0x3b5, 0x3ba};
    static const uint16_t values[] = {8,    15,   16, 24, 32,     640,   480, 1024,
                                      0x41, 0xc1, 0,  1,  0xffff, 16384, 4,   200};
    uint64_t choice = next(seed), value = next(seed);
    uint16_t port = ports[choice % (sizeof(ports) / sizeof(ports[0]))];
    uint64_t address = VGA_WINDOW + (value >> 32) % VGA_WINDOW_SIZE;
    uint8_t size = (uint8_t)(1u << (choice >> 8 & 3));
    bool write = choice >> 16 & 1;

    switch (choice >> 24 & 3) {
    case 0:
        if (choice >> 32 & 1)
            address = BAR + (value >> 32) % (VRAM + 8);
        if (write)
            bus_write(&bench->bus, BUS_MMIO, address, size, value, 0, 0);
        return write ? 0 : bus_read(&bench->bus, BUS_MMIO, address, size, 0, 0);
    case 1:
        if ((choice >> 32 & 7) == 0) {
            bus_write(&bench->bus, BUS_PORT, 0x1ce, 2, value & 15, 0, 0);
            bus_write(&bench->bus, BUS_PORT, 0x1cf, 2,
                      choice >> 40 & 1 ? values[value >> 8 & 15] : value >> 8 & 0xffff, 0, 0);
        }
        return bus_read(&bench->bus, BUS_PORT, 0x1cf, 2, 0, 0);
    default:
        if (write)
            bus_write(&bench->bus, BUS_PORT, port, choice >> 40 & 1 ? 1 : 2, value & 0xffff, 0, 0);
        return write ? 0 : bus_read(&bench->bus, BUS_PORT, port, 1, 0, value);
    }
}

static size_t save(struct bench *bench, uint8_t *bytes, size_t size)
{
    struct state state = {.bytes = bytes, .size = size};

    assert_int_equal(device_save(&vga_class, 0, &bench->vga, &state), DEVICE_OK);
    return state.at;
}

static bool load(struct bench *bench, uint8_t *bytes, size_t size)
{
    struct state state = {.bytes = bytes, .size = size, .loads = true};

    return device_load(&vga_class, 0, &bench->vga, &state) == DEVICE_OK;
}

static void render_small(const struct bench *bench)
{
    struct vga_size size = vga_size(&bench->vga);
    uint8_t *rgb;

    if (size.width == 0 || (uint64_t)size.width * size.height > 200000)
        return;
    rgb = malloc(3 * (size_t)size.width * size.height);
    vga_render(&bench->vga, rgb);
    free(rgb);
}

static void test_random(void **state)
{
    static uint8_t bytes[4096], again[4096];
    uint64_t seed = 77;
    unsigned linear = 0, text = 0;

    (void)state;
    set_up();
    for (unsigned round = 0; round < 1500; round++) {
        size_t size;

        if (round % 8 == 0)
            set_mode(round % 24 == 0 ? &mode_3 : round % 24 == 8 ? &mode_12 : &mode_13);
        for (unsigned i = 0; i < 200; i++)
            (void)step(&test, &seed);
        render_small(&test);
        linear += vga_is_linear(&test.vga);
        text += test.vga.reg.text;
        if (round % 16 < 14)
            continue;
        size = save(&test, bytes, sizeof(bytes));
        prepare(&other);
        memcpy(other.memory, test.memory, VRAM + VGA_TEXT_SIZE);
        assert_true(load(&other, bytes, size));
        assert_int_equal(save(&other, again, sizeof(again)), size);
        assert_memory_equal(bytes, again, size);
        for (unsigned i = 0; i < 200; i++) {
            uint64_t mine = seed;

            assert_true(step(&test, &seed) == step(&other, &mine));
        }
        assert_memory_equal(test.memory, other.memory, VRAM + VGA_TEXT_SIZE);
        if (round % 64 == 63) {
            vga_class.reset(&test.vga, 0);
            (void)config(0x10, BAR, true);
            (void)config(4, PCI_COMMAND_MEMORY, true);
        }
    }
    assert_true(linear > 20 && text > 20);
}

/* Each byte replaced: refused, and then nothing has changed, or taken, and then harmless. */
static void test_broken(void **state)
{
    static uint8_t bytes[4096], before[4096], after[4096];
    uint64_t seed = 5;
    unsigned refused = 0;

    (void)state;
    set_up();
    for (unsigned round = 0; round < 4; round++) {
        size_t size, clean;

        set_mode(round & 1 ? &mode_3 : &mode_12);
        if (round & 2) {
            set_dispi(DISPI_XRES, 640);
            set_dispi(DISPI_YRES, 400);
            set_dispi(DISPI_BPP, 32);
            set_dispi(DISPI_ENABLE, 0x41);
        }
        size = save(&test, bytes, sizeof(bytes));
        prepare(&other);
        clean = save(&other, before, sizeof(before));
        for (size_t at = 0; at < size * 2; at++) {
            uint8_t old = bytes[at / 2];

            bytes[at / 2] = (uint8_t)(at & 1 ? 0xff : next(&seed));
            if (load(&other, bytes, size)) {
                for (unsigned i = 0; i < 30; i++)
                    (void)step(&other, &seed);
                render_small(&other);
                prepare(&other);
            } else {
                refused++;
                assert_int_equal(save(&other, after, sizeof(after)), clean);
                assert_memory_equal(before, after, clean);
            }
            bytes[at / 2] = old;
        }
    }
    assert_true(refused > 100);
}

/* A mode of DISPI with one number each that it cannot have. */
static void test_refused(void **state)
{
    static const struct {
        unsigned index;
        uint16_t value;
    } wrong[] = {{DISPI_XRES, 0},
                 {DISPI_XRES, 16385},
                 {DISPI_YRES, 0},
                 {DISPI_YRES, 2000},
                 {DISPI_BPP, 7},
                 {DISPI_BPP, 0},
                 {DISPI_BANK, 16},
                 {DISPI_VIRTUAL_WIDTH, 255},
                 {DISPI_VIRTUAL_WIDTH, 0x3fff}};
    static uint8_t bytes[4096];
    size_t size, dispi = DEVICE_NAME + 12 + 846;

    (void)state;
    set_up();
    set_dispi(DISPI_XRES, 256);
    set_dispi(DISPI_YRES, 200);
    set_dispi(DISPI_BPP, 32);
    set_dispi(DISPI_ENABLE, 0x41);
    size = save(&test, bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t *field = bytes + dispi + 2 * wrong[i].index;
        uint16_t old;

        memcpy(&old, field, 2);
        memcpy(field, &wrong[i].value, 2);
        if (load(&test, bytes, size))
            fail_msg("register %u: %u was taken", wrong[i].index, wrong[i].value);
        memcpy(field, &old, 2);
    }
    assert_true(load(&test, bytes, size));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity), cmocka_unit_test(test_absent), cmocka_unit_test(test_text),
        cmocka_unit_test(test_split),    cmocka_unit_test(test_planes), cmocka_unit_test(test_256),
        cmocka_unit_test(test_ports),    cmocka_unit_test(test_dispi),  cmocka_unit_test(test_dispi_picture),
        cmocka_unit_test(test_random),   cmocka_unit_test(test_broken), cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
