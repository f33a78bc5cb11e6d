/* SPDX-License-Identifier: ISC */
/* Interrupts of the 8254 through the pin that the firmware names for it. */
#include "tests/kernel/tests.h"

#define PIT_CHANNEL0 0x40
#define PIT_COMMAND  0x43
#define PIT_PERIODIC 0x34 /* channel 0, both bytes, mode 2 */
#define PIT_ONCE     0x30 /* mode 0: high when it has counted down */
#define PIT_HZ       1193182u
#define GSI_MASK     0xffffu

static void pit_start(uint8_t mode, unsigned count)
{
    out8(PIT_COMMAND, mode);
    out8(PIT_CHANNEL0, count & 0xff);
    out8(PIT_CHANNEL0, (count >> 8) & 0xff);
}

static void pit_stop(void)
{
    out8(PIT_COMMAND, PIT_ONCE); /* waits for a count */
}

static selector timer_interrupt(uint64_t flags)
{
    selector interrupt = fresh();

    OK(create_interrupt(interrupt, ROOT_ACCOUNT, ROOT_PLATFORM, (BOOT->isa_gsi[0] & GSI_MASK) | flags));
    return interrupt;
}

/* How many times the notification is signalled within so many milliseconds; an acknowledgement each if asked.
 */
static unsigned arrivals(selector nt, unsigned ms, selector acknowledge)
{
    uint64_t end = now() + milliseconds(ms), bits;
    unsigned count = 0;

    while (nt_wait(nt, end, &bits) == STATUS_OK) {
        count++;
        if (acknowledge)
            OK(interrupt_ack(acknowledge));
    }
    return count;
}

static void edge(void)
{
    selector interrupt = timer_interrupt(0), nt = notification(), bit = fresh(), other = notification();
    uint64_t bits;

    OK(nt_narrow(nt, bit, 0x40));
    pit_start(PIT_PERIODIC, PIT_HZ / 1000);
    EXPECT(arrivals(nt, 10, 0), 0); /* nobody has bound it */
    OK(interrupt_bind(interrupt, bit));
    OK(nt_wait(nt, now() + milliseconds(1000), &bits));
    EXPECT(bits, 0x40);
    expect_range("interrupts in 50 ms", arrivals(nt, 50, 0), 10, 60);
    /* Bound anew: the old one is quiet. */
    OK(interrupt_bind(interrupt, other));
    (void)!nt_wait(nt, 0, &bits);
    expect_range("interrupts in 50 ms", arrivals(other, 50, 0), 10, 60);
    EXPECT(arrivals(nt, 5, 0), 0);
    /* Its notification dies: nothing happens, and it can be bound again. */
    OK(destroy(other));
    pass(milliseconds(5));
    OK(interrupt_bind(interrupt, nt));
    expect_range("interrupts in 50 ms", arrivals(nt, 50, 0), 10, 60);
    OK(destroy(interrupt));
    (void)!nt_wait(nt, 0, &bits);
    EXPECT(arrivals(nt, 10, 0), 0);
    EXPECT_STATUS(interrupt_ack(interrupt), STATUS_DEAD);
    pit_stop();
}

static void level(void)
{
    selector interrupt = timer_interrupt(INTERRUPT_LEVEL), nt = notification();
    uint64_t bits;

    OK(interrupt_bind(interrupt, nt));
    (void)!nt_wait(nt, 0, &bits);
    pit_start(PIT_ONCE, PIT_HZ / 1000); /* the line stays high */
    OK(nt_wait(nt, now() + milliseconds(1000), &bits));
    /* Masked until it is acknowledged; then it comes again, since the line is as it was. */
    EXPECT(arrivals(nt, 10, 0), 0);
    OK(interrupt_ack(interrupt));
    OK(nt_wait(nt, now() + milliseconds(1000), &bits));
    EXPECT(arrivals(nt, 10, 0), 0);
    pit_start(PIT_ONCE, 0xffff); /* low for 55 ms */
    OK(interrupt_ack(interrupt));
    EXPECT(arrivals(nt, 10, 0), 0);
}

static void pins(void)
{
    selector first = fresh(), second = fresh();

    /* One object a pin, as long as it lives; and one for each pin there is. */
    OK(create_interrupt(first, ROOT_ACCOUNT, ROOT_PLATFORM, 5));
    EXPECT_STATUS(create_interrupt(second, ROOT_ACCOUNT, ROOT_PLATFORM, 5), STATUS_BUSY);
    OK(destroy(first));
    OK(create_interrupt(second, ROOT_ACCOUNT, ROOT_PLATFORM, 5));
    OK(destroy(second));
    for (uint32_t gsi = 0; gsi < BOOT->gsis; gsi++)
        OK(create_interrupt(fresh(), ROOT_ACCOUNT, ROOT_PLATFORM, gsi));
    EXPECT_STATUS(create_interrupt(fresh(), ROOT_ACCOUNT, ROOT_PLATFORM, BOOT->gsis), STATUS_BAD_ARG);
}

/* Messages: an address and data each, no two alike; as many as there are vectors. */
static void messages(void)
{
    uint64_t address, data, first_data = 0;
    unsigned made = 0;
    enum status status;

    OK(system_call(CALL_CREATE_INTERRUPT, fresh(), ROOT_ACCOUNT, ROOT_PLATFORM, 5, 0, 0, &address, &data));
    EXPECT(address, 0);
    if (BOOT->features & BOOT_FEATURE_IOMMU)
        return; /* they need a device: iommu.c */
    do {
        selector interrupt = fresh();

        status = system_call(CALL_CREATE_INTERRUPT, interrupt, ROOT_ACCOUNT, ROOT_PLATFORM, INTERRUPT_MSI, 0,
                             0, &address, &data);
        if (status == STATUS_OK) {
            EXPECT(address >> 20, 0xfee);
            expect_range("vector", data, 32, 0xef);
            EXPECT(made && data == first_data, false);
            first_data = made ? first_data : data;
            made++;
        }
    } while (status == STATUS_OK && made < 256);
    EXPECT_STATUS(status, STATUS_BUSY);
    expect_range("messages", made, 16, 255);
}

static volatile uint64_t spins, woken;

static void spinner(uint64_t argument)
{
    (void)argument;
    for (;;)
        spins++;
}

static void driver(uint64_t nt)
{
    uint64_t bits;

    while (nt_wait(nt, DEADLINE_NEVER, &bits) == STATUS_OK)
        woken++;
    thread_end();
}

static void above_a_spinner(void)
{
    selector interrupt = timer_interrupt(0), nt = notification();

    spins = woken = 0;
    (void)thread_start(&own, 1, spinner, 0, 5, 0);
    (void)thread_start(&own, 2, driver, nt, 20, 0);
    OK(interrupt_bind(interrupt, nt));
    pit_start(PIT_PERIODIC, PIT_HZ / 1000);
    pass(milliseconds(50));
    expect_range("interrupts above a spinner", woken, 10, 60);
    expect_range("the spinner", spins, 1, UINT64_MAX);
    pit_stop();
}

void test_interrupts(void)
{
    static const struct test tests[] = {
        {"interrupts: edge", edge},
        {"interrupts: level", level},
        {"interrupts: pins", pins},
        {"interrupts: messages", messages},
        {"interrupts: above a spinner", above_a_spinner},
    };

    run_tests(tests, COUNT(tests));
}
