/* SPDX-License-Identifier: ISC */
/* Spaces: what goes from one to another, what is there then, and what may never be had. */
#include "tests/kernel/tests.h"

#define CHILD_SELECTOR 5u
#define RSDP_BYTES     36u
#define PATTERN        0x5a5aa5a5deadbeeful

static volatile uint64_t *at(uint64_t address)
{
    return (volatile uint64_t *)address;
}

static void capabilities(void)
{
    selector nt = notification(), copy = fresh(), narrow = fresh(), last = OBJ_SELECTORS - 1;
    struct pd_space child = child_create(ROOT_ACCOUNT);
    uint64_t info, bits;

    OK(cap_info(ROOT_OBJ, nt, &info, &bits));
    EXPECT(info, OBJECT_NT | PERM_ALL << 8);
    EXPECT(bits, UINT64_MAX);
    OK(cap_info(ROOT_OBJ, copy, &info, &bits));
    EXPECT(info, OBJECT_NONE);
    OK(space_copy(ROOT_OBJ, nt, ROOT_OBJ, copy, 1, PERM_NT_WAIT));
    OK(cap_info(ROOT_OBJ, copy, &info, &bits));
    EXPECT(info, OBJECT_NT | PERM_NT_WAIT << 8);
    /* A copy only loses. */
    give(&child, copy, CHILD_SELECTOR, PERM_ALL);
    OK(cap_info(child.obj, CHILD_SELECTOR, &info, &bits));
    EXPECT(info, OBJECT_NT | PERM_NT_WAIT << 8);
    EXPECT_STATUS(destroy(copy), STATUS_BAD_PERM);
    OK(nt_narrow(nt, narrow, 0xf0));
    OK(cap_info(ROOT_OBJ, narrow, &info, &bits));
    EXPECT(bits, 0xf0);
    OK(space_remove(ROOT_OBJ, copy, 1));
    OK(nt_narrow(narrow, copy, 0x3c));
    OK(cap_info(ROOT_OBJ, copy, &info, &bits));
    EXPECT(bits, 0x30);
    /* The last selector there is. */
    give(&child, nt, last, PERM_ALL);
    OK(cap_info(child.obj, last, &info, &bits));
    EXPECT(info & 0xff, OBJECT_NT);
    OK(space_remove(child.obj, last, 1));
    OK(cap_info(child.obj, last, &info, &bits));
    EXPECT(info, OBJECT_NONE);
    OK(space_remove(child.obj, 0, OBJ_SELECTORS));
    OK(cap_info(child.obj, CHILD_SELECTOR, &info, &bits));
    EXPECT(info, OBJECT_NONE);
    /* The object lives as long as one capability. */
    OK(space_remove(ROOT_OBJ, nt, 1));
    OK(nt_signal(narrow));
    OK(nt_wait(narrow, 0, &bits));
    EXPECT(bits, 0xf0);
}

/* GRUB's copy of it lies in RAM, where core would give its page to somebody and look there at power-off. */
static void rsdp_is_kept(void)
{
    EXPECT(BOOT->acpi_rsdp != 0, 1);
    for (uint32_t i = 0; i < BOOT->regions; i++) {
        const struct boot_region *region = &BOOT->region[i];
        uint64_t end = region->base + region->length;

        EXPECT(region->type == BOOT_REGION_RAM && region->base < BOOT->acpi_rsdp + RSDP_BYTES &&
                   BOOT->acpi_rsdp < end,
               0);
        for (uint32_t j = 0; j < BOOT->modules && region->type == BOOT_REGION_ACPI; j++)
            EXPECT(BOOT->module[j].base < region->base + region->length &&
                       region->base < BOOT->module[j].base + BOOT->module[j].length,
                   0);
    }
}

static void capability_ranges(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    selector nt = notification();
    uint64_t info, bits;

    /* More than a batch, with holes; and into a place that is taken in the middle. */
    for (unsigned i = 0; i < 1000; i++) {
        if (i % 3)
            OK(space_copy(ROOT_OBJ, nt, child.obj, 10 + i, 1, i % 8));
    }
    OK(space_copy(child.obj, 10, child.obj, 2000, 1000, PERM_ALL));
    for (unsigned i = 0; i < 1000; i++) {
        OK(cap_info(child.obj, 2000 + i, &info, &bits));
        if (!EXPECT(info, i % 3 ? (uint64_t)OBJECT_NT | (uint64_t)(i % 8) << 8 : OBJECT_NONE))
            break;
    }
    OK(space_remove(child.obj, 2000, 500));
    EXPECT_STATUS(space_copy(child.obj, 10, child.obj, 2000, 1000, PERM_ALL), STATUS_EXISTS);
    OK(cap_info(child.obj, 2499, &info, &bits));
    EXPECT(info & 0xff, OBJECT_NT);
    OK(space_copy(child.obj, 10, child.obj, 5000, 0, PERM_ALL));
}

static void memory(void)
{
    volatile uint64_t *alias = ram_map(10);

    OK(space_copy(ROOT_MEM, ram_page(10), ROOT_HST, WINDOW / PAGE, 2, MEM_READ | MEM_WRITE));
    *at(WINDOW) = PATTERN;
    EXPECT(*alias, PATTERN);
    *at(WINDOW + PAGE) = PATTERN + 1;
    EXPECT(alias[PAGE / 8], PATTERN + 1);
    /* What stands there is replaced, and no old translation is left. */
    OK(space_copy(ROOT_MEM, ram_page(11), ROOT_HST, WINDOW / PAGE, 1, MEM_READ | MEM_WRITE));
    EXPECT(*at(WINDOW), PATTERN + 1);
    *alias = 7;
    OK(space_copy(ROOT_MEM, ram_page(10), ROOT_HST, WINDOW / PAGE, 1, MEM_READ | MEM_UNCACHED));
    EXPECT(*at(WINDOW), 7);
    OK(space_copy(ROOT_MEM, ram_page(10), ROOT_HST, WINDOW / PAGE, 1,
                  MEM_READ | MEM_WRITE | MEM_WRITE_COMBINE));
    *at(WINDOW) = 8;
    EXPECT(*alias, 8);
    OK(space_remove(ROOT_HST, WINDOW / PAGE, 2));
}

/* In a child: touch the address; a fault is its end. */
static volatile uint64_t touched;

static void toucher(uint64_t address)
{
    uint64_t value = *at(address & ~1ul);

    if (address & 1)
        *at(address & ~1ul) = value;
    touched = 1;
    thread_end();
}

/* Whether a child, with what its HST has now, can read (or write) there. */
static bool can_touch(const struct pd_space *child, unsigned slot, uint64_t address, bool write)
{
    selector ec;

    touched = 0;
    ec = thread_start(child, slot, toucher, address | write, 40, 0);
    pass(milliseconds(1));
    OK(destroy(ec));
    return touched != 0;
}

static void memory_rights(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);

    OK(space_copy(ROOT_MEM, ram_page(10), child.hst, WINDOW / PAGE, 1, MEM_READ));
    EXPECT(can_touch(&child, 1, WINDOW, false), true);
    EXPECT(can_touch(&child, 2, WINDOW, true), false);
    EXPECT(can_touch(&child, 3, WINDOW + PAGE, false), false);
    OK(space_copy(ROOT_MEM, ram_page(10), child.hst, WINDOW / PAGE, 1, MEM_READ | MEM_WRITE));
    EXPECT(can_touch(&child, 4, WINDOW, true), true);
    OK(space_remove(child.hst, WINDOW / PAGE, 1));
    EXPECT(can_touch(&child, 5, WINDOW, false), false);
    /* Not more than was asked for, where a large page begins but does not end. */
    OK(space_copy(ROOT_MEM, ram_page(0), child.hst, WINDOW / PAGE, 300, MEM_READ));
    EXPECT(can_touch(&child, 7, WINDOW + 299 * PAGE, false), true);
    EXPECT(can_touch(&child, 8, WINDOW + 300 * PAGE, false), false);
    /* Code and constants of the image are what they were mapped as. */
    EXPECT(can_touch(&child, 6, 0x400000, true), false);
}

static void large_pages(void)
{
    uint64_t free_before, free_after, count = 0;

    OK(space_copy(ROOT_MEM, ram_page(0), ROOT_HST, WINDOW / PAGE, 1024, MEM_READ | MEM_WRITE));
    free_before = free_pages();
    for (unsigned i = 0; i < 1024; i++) {
        *at(WINDOW + i * PAGE) = i;
        count += *at(WINDOW + i * PAGE) == i;
    }
    EXPECT(count, 1024);
    EXPECT(*(volatile uint64_t *)ram_map(511), 511);
    /* One small page in the middle: the large one goes whole, its neighbour stays. */
    OK(space_copy(ROOT_MEM, ram_page(0), ROOT_HST, WINDOW / PAGE + 600, 1, MEM_READ));
    EXPECT(free_pages(), free_before - 1);
    EXPECT(*at(WINDOW + 600 * PAGE), 0);
    EXPECT(*at(WINDOW), 0);
    EXPECT(*at(WINDOW + 511 * PAGE), 511);
    OK(space_copy(ROOT_MEM, ram_page(0), ROOT_HST, WINDOW / PAGE + 512, 512, MEM_READ));
    EXPECT(free_pages(), free_before); /* the table came back */
    EXPECT(*at(WINDOW + 600 * PAGE), 88);
    OK(space_remove(ROOT_HST, WINDOW / PAGE, 1)); /* goes whole */
    OK(space_copy(ROOT_MEM, ram_page(3), ROOT_HST, WINDOW / PAGE, 1, MEM_READ));
    EXPECT(*at(WINDOW), 3);
    free_after = free_pages();
    EXPECT(free_after, free_before - 1);
    OK(space_remove(ROOT_HST, WINDOW / PAGE, 1024));
    /* A source that does not lie as its place does goes in small pages. */
    OK(space_copy(ROOT_MEM, ram_page(1), ROOT_HST, WINDOW / PAGE, 512, MEM_READ));
    EXPECT(*at(WINDOW), 1);
    EXPECT(*at(WINDOW + 510 * PAGE), 511);
    OK(space_remove(ROOT_HST, WINDOW / PAGE, 512));
    /* As it was: the windows' tables are kept. */
    OK(space_copy(ROOT_MEM, ram_page(3), ROOT_HST, WINDOW / PAGE, 1, MEM_READ));
    OK(space_copy(ROOT_MEM, ram_page(3), ROOT_HST, WINDOW / PAGE + 512, 1, MEM_READ));
    OK(space_remove(ROOT_HST, WINDOW / PAGE, 1024));
}

/* A UTCB or a state page does not throw out a large page. */
static void large_page_is_taken(void)
{
    selector ec = fresh();

    OK(space_copy(ROOT_MEM, ram_page(0), ROOT_HST, WINDOW_LAST / PAGE, 512, MEM_READ | MEM_WRITE));
    EXPECT_STATUS(create_ec(ec, ROOT_ACCOUNT, ROOT_PD, WINDOW_LAST + PAGE, 0, 0, 0x400000), STATUS_EXISTS);
    OK(space_remove(ROOT_HST, WINDOW_LAST / PAGE, 512));
}

static void forbidden_memory(void)
{
    uint64_t refused = 0, tried = 0;

    for (uint32_t i = 0; i < BOOT->regions; i++) {
        const struct boot_region *region = &BOOT->region[i];

        if (region->type != BOOT_REGION_KERNEL)
            continue;
        for (uint64_t page = region->base / PAGE; page < (region->base + region->length) / PAGE; page += 61) {
            tried++;
            refused += space_copy(ROOT_MEM, page, ROOT_HST, WINDOW / PAGE, 1, MEM_READ) == STATUS_BAD_ARG;
        }
        /* Ranges that hold it, or only touch it. */
        EXPECT_STATUS(space_copy(ROOT_MEM, region->base / PAGE - 1, ROOT_HST, WINDOW / PAGE, 2, MEM_READ),
                      STATUS_BAD_ARG);
        EXPECT_STATUS(space_copy(ROOT_MEM, (region->base + region->length) / PAGE - 1, ROOT_HST,
                                 WINDOW / PAGE, 2, MEM_READ),
                      STATUS_BAD_ARG);
        EXPECT_STATUS(space_copy(ROOT_MEM, 0, ROOT_HST, WINDOW / PAGE, 1ul << 24, MEM_READ), STATUS_BAD_ARG);
    }
    EXPECT(refused, tried);
    expect_range("kernel pages", tried, 10, UINT64_MAX);
    EXPECT_STATUS(space_copy(ROOT_MEM, 0xfee00, ROOT_HST, WINDOW / PAGE, 1, MEM_READ),
                  STATUS_BAD_ARG); /* LAPIC */
    EXPECT_STATUS(space_copy(ROOT_MEM, 0xfec00, ROOT_HST, WINDOW / PAGE, 1, MEM_READ),
                  STATUS_BAD_ARG); /* IOAPIC */
    /* Physical addresses have 40 bits here, 52 at most. */
    EXPECT_STATUS(space_copy(ROOT_MEM, 1ul << 28, ROOT_HST, WINDOW / PAGE, 1, MEM_READ), STATUS_BAD_ARG);
    EXPECT_STATUS(space_copy(ROOT_MEM, (1ul << 28) - 1, ROOT_HST, WINDOW / PAGE, 2, MEM_READ),
                  STATUS_BAD_ARG);
    EXPECT_STATUS(space_copy(ROOT_MEM, 1ul << 40, ROOT_HST, WINDOW / PAGE, 1, MEM_READ), STATUS_BAD_ARG);
    EXPECT_STATUS(space_copy(ROOT_MEM, UINT64_MAX >> 12, ROOT_HST, WINDOW / PAGE, 1, MEM_READ),
                  STATUS_BAD_ARG);
}

/* A DMA space is filled like a guest's, by its own account. */
static void dma(void)
{
    selector account = fresh(), space = fresh();
    uint64_t before;

    OK(create_account(account, ROOT_ACCOUNT, 20));
    OK(create_space(space, account, SPACE_DMA, 0));
    before = account_free(account);
    OK(space_copy(ROOT_MEM, ram_page(0), space, 0, 512, MEM_READ | MEM_WRITE));
    expect_range("pages for tables", before - account_free(account), 2, 3);
    OK(space_copy(ROOT_MEM, ram_page(1), space, 600, 3, MEM_READ));
    OK(space_remove(space, 0, GST_PAGES));
    EXPECT_STATUS(space_copy(ROOT_MEM, ram_page(0), space, GST_PAGES, 1, MEM_READ), STATUS_BAD_ARG);
    OK(destroy(space));
    EXPECT(account_free(account), before + 1);
}

/* The ports that a child has are those of its own PIO space, also in the place of another that is gone. */
static volatile uint64_t port_read;

static void port_reader(uint64_t port)
{
    port_read = in8((uint16_t)port);
    port_read = 1000;
    thread_end();
}

static bool can_read_port(const struct pd_space *child, unsigned slot, uint16_t port)
{
    selector ec;

    port_read = 0;
    ec = thread_start(child, slot, port_reader, port, 40, 0);
    pass(milliseconds(1));
    OK(destroy(ec));
    return port_read == 1000;
}

static void ports(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    selector pio = fresh();

    EXPECT(can_read_port(&child, 1, 0x61), false);
    OK(create_space(pio, ROOT_ACCOUNT, SPACE_PIO, child.pd));
    EXPECT(can_read_port(&child, 2, 0x61), false);
    OK(space_copy(ROOT_PORTS, 0x61, pio, 0x61, 1, 0));
    EXPECT(can_read_port(&child, 3, 0x61), true);
    EXPECT(can_read_port(&child, 4, 0x60), false);
    EXPECT(can_read_port(&child, 5, 0x62), false);
    OK(space_copy(ROOT_PORTS, 0xffff, pio, 0xffff, 1, 0));
    EXPECT(can_read_port(&child, 6, 0xffff), true);
    OK(space_remove(pio, 0x61, 1));
    EXPECT(can_read_port(&child, 7, 0x61), false);
    EXPECT(can_read_port(&child, 8, 0xffff), true);
    OK(space_remove(pio, 0, PIO_PORTS));
    EXPECT(can_read_port(&child, 9, 0xffff), false);
    /* Our own are ours still. */
    (void)in8(0x61);
}

/* One that takes a port away from itself has it no more in the next instruction. */
static void gives_up_port(uint64_t pio)
{
    port_read = in8(0x61);
    port_read = 1;
    if (space_remove(pio, 0x61, 1) == STATUS_OK)
        port_read = 2;
    (void)in8(0x61);
    port_read = 1000;
    thread_end();
}

static void ports_given_up(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    selector pio = fresh();

    OK(create_space(pio, ROOT_ACCOUNT, SPACE_PIO, child.pd));
    OK(space_copy(ROOT_PORTS, 0x61, pio, 0x61, 1, 0));
    give(&child, pio, 3, PERM_ALL);
    (void)thread_start(&child, 1, gives_up_port, 3, 40, 0);
    pass(milliseconds(1));
    EXPECT(port_read, 2);
}

/* The same for all of them, with their space. */
static void destroys_ports(uint64_t pio)
{
    port_read = in8(0x61);
    port_read = 1;
    if (destroy(pio) == STATUS_OK)
        port_read = 2;
    (void)in8(0x61);
    port_read = 1000;
    thread_end();
}

static void ports_destroyed(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    selector pio = fresh();

    OK(create_space(pio, ROOT_ACCOUNT, SPACE_PIO, child.pd));
    OK(space_copy(ROOT_PORTS, 0x61, pio, 0x61, 1, 0));
    give(&child, pio, 3, PERM_ALL);
    (void)thread_start(&child, 1, destroys_ports, 3, 40, 0);
    pass(milliseconds(1));
    EXPECT(port_read, 2);
}

static void ports_of_the_dead(void)
{
    struct pd_space child = child_create(ROOT_ACCOUNT);
    selector pio = fresh();

    OK(create_space(pio, ROOT_ACCOUNT, SPACE_PIO, child.pd));
    OK(space_copy(ROOT_PORTS, 0x61, pio, 0x61, 1, 0));
    EXPECT(can_read_port(&child, 1, 0x61), true);
    OK(destroy(pio));
    EXPECT(can_read_port(&child, 2, 0x61), false);
}

static void ports_after_another(void)
{
    /* A PIO space in the very place of one that had as many changes. The main thread has no ports of its own
     * to load in between, since its own PIO space is the same throughout: two children take turns. */
    for (unsigned round = 0; round < 2; round++) {
        struct pd_space child = child_create(ROOT_ACCOUNT);
        selector pio = fresh(), ec;
        uint16_t mine = round ? 0x21 : 0x61, other = round ? 0x61 : 0x21;

        OK(create_space(pio, ROOT_ACCOUNT, SPACE_PIO, child.pd));
        OK(space_copy(ROOT_PORTS, mine, pio, mine, 1, 0));
        port_read = 0;
        ec = thread_start(&child, round, port_reader, round ? other : mine, 40, 0);
        (void)ec;
        pass(milliseconds(1));
        EXPECT(port_read == 1000, round == 0);
        OK(destroy(child.pd));
        OK(space_remove(ROOT_OBJ, child.pd, pio - child.pd + 3));
    }
}

void test_spaces(void)
{
    static const struct test tests[] = {
        {"memory: the RSDP is not given out as RAM", rsdp_is_kept},
        {"capabilities: copy, narrow, remove, info", capabilities},
        {"capabilities: ranges", capability_ranges},
        {"memory: map, write, remap, remove", memory},
        {"memory: rights", memory_rights},
        {"memory: large pages", large_pages},
        {"memory: a large page is a taken place", large_page_is_taken},
        {"memory: what nobody may have", forbidden_memory},
        {"memory: a DMA space", dma},
        {"ports", ports},
        {"ports: given up", ports_given_up},
        {"ports: their space is destroyed", ports_destroyed},
        {"ports: of a destroyed space", ports_of_the_dead},
        {"ports: of a space in the place of another", ports_after_another},
    };

    run_tests(tests, COUNT(tests));
}
