/* SPDX-License-Identifier: ISC */
/*
 * Devices behind an IOMMU: what is not assigned is refused, and reported; what was taken away is gone when
 * the call returns; a device sends the interrupts that were made for it, and no others. The device is QEMU's
 * edu, which copies between memory and a buffer of its own on command. Without an IOMMU there is nothing to
 * test; without edu only the calls.
 */
#include "tests/kernel/tests.h"

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define EDU_ID         0x11e81234u
#define COMMAND        0x04
#define COMMAND_ON     0x06u /* memory, bus master */
#define BAR0           0x10
#define MSI_CAPABILITY 0x05u

/* edu's registers and buffer */
#define EDU_RAISE   0x60
#define EDU_LOWER   0x64
#define EDU_SOURCE  0x80
#define EDU_TARGET  0x88
#define EDU_COUNT   0x90
#define EDU_COMMAND 0x98
#define EDU_RUN     1u
#define EDU_OUT     2u /* from the buffer to memory */
#define EDU_BUFFER  0x40000u

#define OTHER     0xfau /* of a function that does nothing: the SATA controller of a q35 */
#define IOVA      0x345000ul
#define GATE      0x346000ul /* always mapped, to see what is in the buffer */
#define MSI_RANGE 0xfee00000ul
#define PATTERN   0x6f6a6e6f44ul
#define LONG      1000u /* milliseconds for what has to come ... */
#define SHORT     5u    /* ... and what must not */
#define FAULTS    1000u /* more than an IOMMU keeps */
#define MARK      0x6b72616dul
#define NOBODY    0x09u /* a function that is not there */
#define IOAPIC    0xa0u /* as which the IOAPIC of an AMD machine sends */
#define RAM       8u    /* index of the page of RAM at IOVA; the gate's is behind it */

static struct {
    bool there;
    uint64_t id;
    volatile char *registers;
} edu;

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t in32(uint16_t port)
{
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static uint32_t config_read(uint64_t id, unsigned offset)
{
    out32(CONFIG_ADDRESS, (uint32_t)(1u << 31 | id << 8 | (offset & 0xfcu)));
    return in32(CONFIG_DATA);
}

static void config_write(uint64_t id, unsigned offset, uint32_t value)
{
    out32(CONFIG_ADDRESS, (uint32_t)(1u << 31 | id << 8 | (offset & 0xfcu)));
    out32(CONFIG_DATA, value);
}

static bool has_iommu(void)
{
    return BOOT->features & BOOT_FEATURE_IOMMU;
}

/* Find it, and have its registers at WINDOW_LAST. */
static bool edu_find(void)
{
    OK(space_copy(ROOT_PORTS, CONFIG_ADDRESS, ROOT_PIO, CONFIG_ADDRESS, 8, 0));
    for (uint64_t id = 0; id < 256 && has_iommu() && !edu.there; id += 8) {
        if (config_read(id, 0) != EDU_ID)
            continue;
        edu.there = true;
        edu.id = id;
    }
    if (!edu.there)
        return false;
    OK(space_copy(ROOT_MEM, (config_read(edu.id, BAR0) & ~0xfffu) / PAGE, ROOT_HST, WINDOW_LAST / PAGE, 1,
                  MEM_READ | MEM_WRITE | MEM_UNCACHED));
    config_write(edu.id, COMMAND, COMMAND_ON);
    edu.registers = (volatile char *)WINDOW_LAST;
    return true;
}

static void edu_write(unsigned offset, uint64_t value)
{
    *(volatile uint64_t *)(edu.registers + offset) = value;
}

/* Let it copy 8 bytes; it does so a tenth of a second later. */
static void edu_begin(uint64_t source, uint64_t target, uint64_t direction)
{
    edu_write(EDU_SOURCE, source);
    edu_write(EDU_TARGET, target);
    edu_write(EDU_COUNT, 8);
    edu_write(EDU_COMMAND, EDU_RUN | direction);
}

static void edu_end(void)
{
    for (unsigned i = 0; i < 100 && (*(volatile uint64_t *)(edu.registers + EDU_COMMAND) & EDU_RUN); i++)
        pass(milliseconds(20));
}

static void edu_copy(uint64_t source, uint64_t target, uint64_t direction)
{
    edu_begin(source, target, direction);
    edu_end();
}

static void faults_clear(void)
{
    uint64_t fault = DMA_FAULT_VALID, address;

    for (unsigned i = 0; i < FAULTS && (fault & DMA_FAULT_VALID); i++)
        OK(platform_control(ROOT_PLATFORM, PLATFORM_DMA_FAULT, 0, &fault, &address));
    EXPECT(fault & DMA_FAULT_VALID, 0);
}

/* The device has been refused this page since, and it was told. */
static void expect_fault(uint64_t page)
{
    uint64_t fault, address;

    if (!parameter("faults", 1))
        return;
    OK(platform_control(ROOT_PLATFORM, PLATFORM_DMA_FAULT, 0, &fault, &address));
    EXPECT(fault & (DMA_FAULT_VALID | 0xffff), DMA_FAULT_VALID | edu.id);
    EXPECT(address & ~(PAGE - 1), page);
    faults_clear();
}

static void expect_no_fault(void)
{
    uint64_t fault, address;

    OK(platform_control(ROOT_PLATFORM, PLATFORM_DMA_FAULT, 0, &fault, &address));
    EXPECT(fault, 0);
}

static volatile uint64_t *word(unsigned page)
{
    return ram_map(RAM + page);
}

/* Into the buffer and out of it again, through the gate. */
static void load(uint64_t value)
{
    *word(1) = value;
    edu_copy(GATE, EDU_BUFFER, 0);
}

static uint64_t loaded(void)
{
    *word(1) = 0;
    edu_copy(EDU_BUFFER, GATE, EDU_OUT);
    return *word(1);
}

/* The device writes there what is in its buffer: does it reach RAM? */
static bool writes(uint64_t iova)
{
    *word(0) = MARK;
    edu_copy(EDU_BUFFER, iova, EDU_OUT);
    return *word(0) != MARK;
}

static bool reads(uint64_t iova)
{
    bool good;

    *word(0) = ~PATTERN;
    edu_copy(iova, EDU_BUFFER, 0);
    good = loaded() == ~PATTERN;
    load(PATTERN);
    return good;
}

/* A DMA space with a page of RAM at IOVA and the gate; the device is assigned to it and has the pattern. */
static selector space_of(selector device, uint64_t rights)
{
    selector space = fresh();

    OK(create_space(space, ROOT_ACCOUNT, SPACE_DMA, 0));
    OK(space_copy(ROOT_MEM, ram_page(RAM), space, IOVA / PAGE, 1, rights));
    OK(space_copy(ROOT_MEM, ram_page(RAM + 1), space, GATE / PAGE, 1, MEM_READ | MEM_WRITE));
    OK(device_assign(device, space));
    load(PATTERN);
    faults_clear();
    return space;
}

static selector device_of(uint64_t id)
{
    selector device = fresh();

    EXPECT_CALL(CALL_CREATE_DEVICE, create_device(device, ROOT_ACCOUNT, ROOT_PLATFORM, id), STATUS_OK);
    return device;
}

static void refused(void)
{
    selector device, weak = fresh(), space = fresh(), gst = fresh(), poor = fresh(), target = fresh(),
                     dead = fresh();
    uint64_t address, data;

    if (!has_iommu())
        return;
    device = device_of(OTHER);
    OK(create_space(space, ROOT_ACCOUNT, SPACE_DMA, 0));
    OK(create_space(dead, ROOT_ACCOUNT, SPACE_DMA, 0));
    OK(destroy(dead));
    OK(create_space(gst, ROOT_ACCOUNT, SPACE_GST, 0));
    OK(create_account(poor, ROOT_ACCOUNT, 0));
    EXPECT_CALL(CALL_CREATE_DEVICE, create_device(target, ROOT_ACCOUNT, ROOT_PLATFORM, OTHER), STATUS_BUSY);
    EXPECT_CALL(CALL_CREATE_DEVICE, create_device(target, ROOT_ACCOUNT, ROOT_PLATFORM, 0x10000),
                STATUS_BAD_ARG);
    EXPECT_CALL(CALL_CREATE_DEVICE, create_device(target, ROOT_ACCOUNT, ROOT_PLATFORM, 1ull << 32 | OTHER),
                STATUS_BAD_ARG);
    EXPECT_CALL(CALL_CREATE_DEVICE, create_device(target, ROOT_ACCOUNT, ROOT_PLATFORM, NOBODY),
                STATUS_BAD_ARG);
    EXPECT_CALL(CALL_CREATE_DEVICE, create_device(target, ROOT_ACCOUNT, ROOT_PLATFORM, IOAPIC),
                STATUS_BAD_ARG);
    EXPECT_CALL(CALL_CREATE_DEVICE, create_device(target, poor, ROOT_PLATFORM, OTHER + 1), STATUS_NO_MEMORY);
    EXPECT_CALL(CALL_CREATE_DEVICE, create_device(device, ROOT_ACCOUNT, ROOT_PLATFORM, OTHER + 1),
                STATUS_EXISTS);
    EXPECT_CALL(CALL_DEVICE_ASSIGN, device_assign(target, space), STATUS_BAD_CAP);
    EXPECT_CALL(CALL_DEVICE_ASSIGN, device_assign(space, space), STATUS_BAD_CAP);
    EXPECT_CALL(CALL_DEVICE_ASSIGN, device_assign(device, device), STATUS_BAD_CAP);
    EXPECT_CALL(CALL_DEVICE_ASSIGN, device_assign(device, gst), STATUS_BAD_ARG);
    EXPECT_CALL(CALL_DEVICE_ASSIGN, device_assign(device, dead), STATUS_DEAD);
    OK(space_copy(ROOT_OBJ, device, ROOT_OBJ, weak, 1, PERM_ALL & ~(uint64_t)PERM_DEVICE_ASSIGN));
    EXPECT_CALL(CALL_DEVICE_ASSIGN, device_assign(weak, space), STATUS_BAD_PERM);
    OK(space_remove(ROOT_OBJ, weak, 1));
    OK(space_copy(ROOT_OBJ, space, ROOT_OBJ, weak, 1, PERM_ALL & ~(uint64_t)PERM_SPACE_ASSIGN));
    EXPECT_CALL(CALL_DEVICE_ASSIGN, device_assign(device, weak), STATUS_BAD_PERM);
    OK(space_remove(ROOT_OBJ, weak, 1));
    EXPECT_CALL(CALL_DEVICE_ASSIGN, device_assign(device, space), STATUS_OK);
    EXPECT_CALL(CALL_DEVICE_ASSIGN, device_assign(device, 0), STATUS_OK);
    EXPECT_STATUS(space_copy(ROOT_MEM, ram_page(RAM), space, IOVA / PAGE, 1, MEM_READ | MEM_EXECUTE),
                  STATUS_BAD_ARG);
    EXPECT_STATUS(space_copy(ROOT_MEM, ram_page(RAM), space, IOVA / PAGE, 1, MEM_WRITE), STATUS_BAD_ARG);
    /* Messages need a device, pins have none. */
    EXPECT_STATUS(create_message(target, ROOT_ACCOUNT, ROOT_PLATFORM, 0, 0, &address, &data), STATUS_BAD_ARG);
    EXPECT_STATUS(create_message(target, ROOT_ACCOUNT, ROOT_PLATFORM, 0, space, &address, &data),
                  STATUS_BAD_CAP);
    OK(space_copy(ROOT_OBJ, device, ROOT_OBJ, weak, 1, PERM_ALL & ~(uint64_t)PERM_DEVICE_INTERRUPT));
    EXPECT_STATUS(create_message(target, ROOT_ACCOUNT, ROOT_PLATFORM, 0, weak, &address, &data),
                  STATUS_BAD_PERM);
    EXPECT_STATUS(system_call(CALL_CREATE_INTERRUPT, target, ROOT_ACCOUNT, ROOT_PLATFORM, 5, device, 0,
                              &address, &data),
                  STATUS_BAD_ARG);
    OK(destroy(device));
    EXPECT_CALL(CALL_DEVICE_ASSIGN, device_assign(device, space), STATUS_DEAD);
    EXPECT_STATUS(create_message(target, ROOT_ACCOUNT, ROOT_PLATFORM, 0, device, &address, &data),
                  STATUS_DEAD);
    /* It can be had again at once. */
    (void)device_of(OTHER);
}

static void memory(void)
{
    uint64_t physical = ram_page(RAM) * PAGE;
    selector device, space;

    if (!edu_find())
        return;
    faults_clear();
    EXPECT(writes(physical), false); /* nobody has opened anything */
    expect_fault(physical);
    device = device_of(edu.id);
    EXPECT(writes(physical), false); /* an object alone does not */
    expect_fault(physical);
    space = space_of(device, MEM_READ | MEM_WRITE);
    EXPECT(writes(IOVA), true);
    EXPECT(reads(IOVA), true);
    expect_no_fault();
    EXPECT(writes(physical), false); /* only what is entered, where it is entered */
    expect_fault(physical);
    EXPECT(writes(1ul << 40), false);
    expect_fault(1ul << 40);
    OK(space_remove(space, IOVA / PAGE, 1));
    EXPECT(writes(IOVA), false);
    expect_fault(IOVA);
    OK(space_copy(ROOT_MEM, ram_page(RAM), space, IOVA / PAGE, 1, MEM_READ));
    EXPECT(reads(IOVA), true);
    EXPECT(writes(IOVA), false);
    faults_clear(); /* QEMU's AMD-Vi does not report writes to what may be read */
    OK(space_copy(ROOT_MEM, ram_page(RAM + 2), space, IOVA / PAGE, 1,
                  MEM_READ | MEM_WRITE)); /* another page */
    EXPECT(writes(IOVA), false);
    EXPECT(*word(2), PATTERN);
}

/* Each way for a device to lose its memory. */
static void revoked(void)
{
    selector device, space, other;

    if (!edu_find())
        return;
    device = device_of(edu.id);
    space = space_of(device, MEM_READ | MEM_WRITE);
    EXPECT(writes(IOVA), true);
    OK(device_assign(device, 0));
    EXPECT(writes(IOVA), false);
    expect_fault(IOVA);
    OK(device_assign(device, space));
    EXPECT(writes(IOVA), true);
    other = fresh(); /* another space, without that page */
    OK(create_space(other, ROOT_ACCOUNT, SPACE_DMA, 0));
    OK(device_assign(device, other));
    EXPECT(writes(IOVA), false);
    expect_fault(IOVA);
    OK(device_assign(device, space));
    EXPECT(writes(IOVA), true);
    OK(destroy(space));
    EXPECT(writes(IOVA), false);
    expect_fault(IOVA);
    space = space_of(device, MEM_READ | MEM_WRITE);
    EXPECT(writes(IOVA), true);
    OK(destroy(device));
    EXPECT(writes(IOVA), false);
    expect_fault(IOVA);
    device = device_of(edu.id); /* the last capability goes: as if it was destroyed */
    OK(device_assign(device, space));
    EXPECT(writes(IOVA), true);
    OK(space_remove(ROOT_OBJ, device, 1));
    EXPECT(writes(IOVA), false);
    expect_fault(IOVA);
}

/* It is under way when its memory is taken away. */
static void under_way(void)
{
    selector device, space;

    if (!edu_find())
        return;
    device = device_of(edu.id);
    space = space_of(device, MEM_READ | MEM_WRITE);
    for (unsigned way = 0; way < 4; way++) {
        *word(0) = MARK;
        edu_begin(EDU_BUFFER, IOVA, EDU_OUT);
        if (way == 1)
            OK(space_remove(space, IOVA / PAGE, 1));
        if (way == 2)
            OK(device_assign(device, 0));
        if (way == 3)
            OK(destroy(device));
        EXPECT(*word(0), MARK); /* not yet, in any case */
        edu_end();
        EXPECT(*word(0), way ? MARK : PATTERN);
        OK(space_copy(ROOT_MEM, ram_page(RAM), space, IOVA / PAGE, 1, MEM_READ | MEM_WRITE));
        if (way < 3)
            OK(device_assign(device, space));
    }
    faults_clear();
}

/* Pages of 2 MiB, and what becomes of the tables when they are replaced by one. */
static void large(void)
{
    uint64_t base = ram_page(0) & ~(LARGE / PAGE - 1);
    selector device, space;

    if (!edu_find())
        return;
    device = device_of(edu.id);
    space = space_of(device, MEM_READ | MEM_WRITE);
    OK(space_copy(ROOT_MEM, ram_page(RAM), space, LARGE / PAGE + 7, 1, MEM_READ | MEM_WRITE));
    EXPECT(writes(LARGE + 7 * PAGE), true);
    OK(space_copy(ROOT_MEM, base, space, LARGE / PAGE, LARGE / PAGE, MEM_READ | MEM_WRITE));
    EXPECT(writes(LARGE + (ram_page(RAM) - base) * PAGE), true);
    OK(space_remove(space, LARGE / PAGE, LARGE / PAGE));
    EXPECT(writes(LARGE + (ram_page(RAM) - base) * PAGE), false);
    expect_fault(LARGE + (ram_page(RAM) - base) * PAGE);
}

/* The function's message, as it is told to send it; it sends one when its register is written. */
static void message_set(uint64_t address, uint64_t data)
{
    unsigned at = config_read(edu.id, 0x34) & 0xfc;

    while (at && (config_read(edu.id, at) & 0xff) != MSI_CAPABILITY)
        at = config_read(edu.id, at) >> 8 & 0xfc;
    config_write(edu.id, at + 4, (uint32_t)address);
    config_write(edu.id, at + 8, (uint32_t)(address >> 32));
    config_write(edu.id, at + 12, (uint32_t)data);
    config_write(edu.id, at, config_read(edu.id, at) | 1u << 16);
}

/* Whether one comes within so many milliseconds. */
static bool interrupts(selector nt, unsigned within)
{
    uint64_t bits;

    *(volatile uint32_t *)(edu.registers + EDU_RAISE) = 1;
    *(volatile uint32_t *)(edu.registers + EDU_LOWER) = 1;
    return nt_wait(nt, now() + milliseconds(within), &bits) == STATUS_OK;
}

static void messages(void)
{
    selector device, other, interrupt = fresh(), foreign = fresh(), nt, foreign_nt, space;
    uint64_t address, data, foreign_address, foreign_data, bits;

    if (!edu_find())
        return;
    device = device_of(edu.id);
    other = device_of(OTHER);
    nt = notification();
    foreign_nt = notification();
    OK(create_message(interrupt, ROOT_ACCOUNT, ROOT_PLATFORM, 0, device, &address, &data));
    OK(create_message(foreign, ROOT_ACCOUNT, ROOT_PLATFORM, 0, other, &foreign_address, &foreign_data));
    OK(interrupt_bind(interrupt, nt));
    OK(interrupt_bind(foreign, foreign_nt));
    message_set(address, data);
    EXPECT(interrupts(nt, LONG), true);
    EXPECT(interrupts(nt, LONG), true);
    message_set(foreign_address, foreign_data); /* another's message is not its to send */
    EXPECT(interrupts(nt, SHORT), false);
    EXPECT_STATUS(nt_wait(foreign_nt, 0, &bits), STATUS_TIMEOUT);
    for (unsigned vector = 32; vector < 0xff; vector++) { /* nor is any that names a vector itself */
        message_set(MSI_RANGE, vector);
        (void)interrupts(SELECTOR_PASS, 0);
    }
    EXPECT_STATUS(nt_wait(foreign_nt, 0, &bits),
                  parameter("passes-old-form", 0) ? STATUS_OK : STATUS_TIMEOUT);
    (void)!nt_wait(nt, 0, &bits);
    message_set(address, data);
    EXPECT(interrupts(nt, LONG), true);
    OK(destroy(interrupt));
    EXPECT(interrupts(nt, SHORT), false);
    interrupt = fresh(); /* another's, which gets the vector that is free now */
    OK(create_message(interrupt, ROOT_ACCOUNT, ROOT_PLATFORM, 0, other, &address, &data));
    OK(interrupt_bind(interrupt, nt));
    EXPECT(interrupts(nt, SHORT), false);
    OK(destroy(interrupt));
    interrupt = fresh();
    OK(create_message(interrupt, ROOT_ACCOUNT, ROOT_PLATFORM, 0, device, &address, &data));
    OK(interrupt_bind(interrupt, nt));
    message_set(address, data);
    EXPECT(interrupts(nt, LONG), true);
    OK(destroy(device));
    EXPECT(interrupts(nt, SHORT), false);
    /* The same message as data that it writes where messages go, though all its pages lead there. */
    device = device_of(edu.id);
    space = space_of(device, MEM_READ | MEM_WRITE);
    load(foreign_data);
    EXPECT(loaded(), foreign_data);
    edu_copy(EDU_BUFFER, foreign_address, EDU_OUT);
    EXPECT_STATUS(nt_wait(foreign_nt, now() + milliseconds(20), &bits),
                  parameter("passes-writes", 0) ? STATUS_OK : STATUS_TIMEOUT);
    OK(destroy(space));
    message_set(0, 0);
}

/* One space more than there are tags, then many one after another. */
static void tags(void)
{
    selector device[160], space[160];
    unsigned count = 0, i;
    enum status status = STATUS_OK;

    if (!has_iommu())
        return;
    for (i = 0; i < 256 && count < COUNT(device); i++) {
        selector at = fresh();

        if (create_device(at, ROOT_ACCOUNT, ROOT_PLATFORM, i) != STATUS_OK)
            continue; /* nothing stands there, or the IOAPIC does */
        device[count] = at;
        space[count] = fresh();
        OK(create_space(space[count], ROOT_ACCOUNT, SPACE_DMA, 0));
        count++;
    }
    for (i = 0; i < count && status == STATUS_OK; i++)
        status = device_assign(device[i], space[i]);
    say("ktest: %u DMA spaces with devices", status == STATUS_OK ? count : i - 1);
    if (status != STATUS_OK)
        EXPECT_CALL(CALL_DEVICE_ASSIGN, status, STATUS_BUSY);
    for (i = 0; i < 2000 && count > 1; i++)
        OK(device_assign(device[0], space[i % 2]));
}

void test_iommu(void)
{
    static const struct test tests[] = {
        {"iommu: refusals", refused},    {"iommu: memory", memory},     {"iommu: revoked", revoked},
        {"iommu: under way", under_way}, {"iommu: large pages", large}, {"iommu: messages", messages},
        {"iommu: tags", tags},
    };

    run_tests(tests, COUNT(tests));
}
