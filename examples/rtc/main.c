/* SPDX-License-Identifier: ISC */
/*
 * rtc: the example of a driver (doc/driver.md). It serves the PC's real-time clock as a Clock session to one
 * client. The chip interrupts once a second, when it has updated its registers; they are stable for the rest
 * of that second.
 *
 * Source: Motorola, MC146818A data sheet (1984), sections "Address Map" and "Registers".
 */
#include "abi/port.h"
#include "base/include/log.h"
#include "base/include/server.h"
#include "base/include/session/io_port.h"
#include "base/include/session/irq.h"
#include "examples/clock.h"

#define RTC_INDEX 0x70u
#define RTC_DATA  0x71u

enum rtc_register { RTC_SECONDS = 0x00, RTC_MINUTES = 0x02, RTC_HOURS = 0x04, RTC_B = 0x0b, RTC_C = 0x0c };

#define RTC_B_24H 0x02u
#define RTC_B_DM  0x04u /* numbers are binary, not BCD */
#define RTC_B_UIE 0x10u /* an interrupt after each update */

/* Selectors, and bits of CAP_NT. */
#define CAP_IRQ    CAP_FREE
#define CAP_CLIENT (CAP_FREE + 1)
#define BIT_IRQ    1ull
#define BIT_CLIENT 1 /* its number */

static uint8_t mode; /* RTC_B */
static uint32_t tick;
static struct server_place client;

static uint8_t rtc_read(enum rtc_register number)
{
    port_out8(RTC_INDEX, (uint8_t)number);
    return port_in8(RTC_DATA);
}

static void rtc_write(enum rtc_register number, uint8_t value)
{
    port_out8(RTC_INDEX, (uint8_t)number);
    port_out8(RTC_DATA, value);
}

static unsigned rtc_number(enum rtc_register number)
{
    unsigned value = rtc_read(number);

    return mode & RTC_B_DM ? value : value / 16 * 10 + value % 16;
}

static struct server server = {
    .service = CLOCK_SERVICE,
    .place = &client,
    .places = 1,
    .signal = CAP_CLIENT,
    .bit = BIT_CLIENT,
};

static void interrupted(void *context, uint64_t bits)
{
    enum status status = interrupt_ack(CAP_IRQ);

    (void)context;
    (void)bits;
    (void)status;    /* it was good at the start */
    rtc_read(RTC_C); /* the chip interrupts again only after this */
    tick++;
    if (!client.served)
        return;
    clock_write(client.memory,
                (uint64_t)tick << 32 |
                    (rtc_number(RTC_HOURS) * 3600 + rtc_number(RTC_MINUTES) * 60 + rtc_number(RTC_SECONDS)));
    server_signal(&server, 0);
}

static enum error rtc_open(void)
{
    struct session session;
    enum error error = session_open(
        &(struct session_request){.service = IO_PORT_SERVICE, .label = "0x70", .arguments = "2"}, &session);

    if (error)
        return error;
    return session_open(
        &(struct session_request){.service = IRQ_SERVICE, .label = "8", .base = CAP_IRQ, .bits = BIT_IRQ},
        &session);
}

int component_main(void)
{
    static struct event interrupt = {.bits = BIT_IRQ, .handle = interrupted}; /* the first one at once */
    enum error error = rtc_open();

    if (error) {
        log_line("rtc: ports or interrupt: %s", error_text(error));
        return 1;
    }
    mode = rtc_read(RTC_B);
    if (!(mode & RTC_B_24H)) {
        log_line("rtc: the clock counts to 12 hours, expected 24");
        return 1;
    }
    rtc_write(RTC_B, mode | RTC_B_UIE);
    event_add(&interrupt);
    server_start(&server);
    event_loop();
}
