/* SPDX-License-Identifier: ISC */
/*
 * A driver that asks core's DEVICE service for what it must not get, and for too much of what it may. It says
 * what was not as it should be, then how much it tried. There is one NVMe disk, at 00:04.0.
 */
#include "base/include/component.h"
#include "base/include/device.h"
#include "base/include/log.h"
#include "base/include/session.h"
#include "base/include/session/device.h"
#include "base/include/session/log.h"

#define IO_ADDRESS 0x10000u
#define NVME_CLASS 0x010802u
#define NO_SESSION 100u /* a handle that nothing has */
#define NVME_ID    0x20u
#define MANY       300u
#define BEYOND     (1ull << 48)

static unsigned tried, wrong;

static void expect(const char *what, enum error got, enum error expected)
{
    tried++;
    if (got != expected) {
        wrong++;
        log_line("grabber: %s: expected '%s', got '%s'", what, error_text(expected), error_text(got));
    }
}

static enum error open_close(const char *label)
{
    struct device device;
    enum error error = device_open(label, &device);
    return error != ERROR_OK ? error : device_close(&device);
}

static enum error map(const struct device *device, uint64_t dataspace, uint64_t offset, uint64_t bytes,
                      uint64_t address, uint64_t rights)
{
    struct message message = message_at(utcb(), UTCB_WORDS);
    const uint64_t words[] = {
        session_operation(device->session, DEVICE_MAP), dataspace, offset, bytes, address, rights};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        message_put(&message, words[i]);
    }
    return portal_call(CAP_CORE, &message, NULL);
}

static void labels(void)
{
    static const char *const nonsense[] = {"",   "0",     "00:04",   "00:04.8", "00:20.0",
                                           "-1", "01080", "0108020", "hello"};
    static const char *const machine[] = {"00:00.0", "00:1f.0", "060000"};
    for (unsigned i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        expect(nonsense[i], open_close(nonsense[i]), ERROR_BAD_ARGUMENT);
    }
    for (unsigned i = 0; i < sizeof machine / sizeof *machine; i++) {
        expect(machine[i], open_close(machine[i]), ERROR_NOT_FOUND);
    }
    expect("a function that is not there", open_close("00:09.0"), ERROR_NOT_FOUND);
    expect("a bus that is not there", open_close("ff:00.0"), ERROR_NOT_FOUND);
    expect("a class that is not there", open_close("0c0310"), ERROR_NOT_FOUND);
}

static void memory(const struct device *device)
{
    struct dataspace own;
    void *attached;
    expect("memory", memory_alloc(0x4000, &own, &attached), ERROR_OK);
    expect("no dataspace", map(device, 0, 0, 0x1000, IO_ADDRESS, MEM_READ), ERROR_NOT_FOUND);
    expect("another one's dataspace", map(device, 100, 0, 0x1000, IO_ADDRESS, MEM_READ), ERROR_NOT_FOUND);
    expect("a session", map(device, device->session, 0, 0x1000, IO_ADDRESS, MEM_READ), ERROR_NOT_FOUND);
    expect("no bytes", map(device, own.handle, 0, 0, IO_ADDRESS, MEM_READ), ERROR_BAD_ARGUMENT);
    expect("half a page", map(device, own.handle, 0, 0x800, IO_ADDRESS, MEM_READ), ERROR_BAD_ARGUMENT);
    expect("not at a page", map(device, own.handle, 0, 0x1000, IO_ADDRESS + 8, MEM_READ), ERROR_BAD_ARGUMENT);
    expect("too much", map(device, own.handle, 0x1000, 0x4000, IO_ADDRESS, MEM_READ), ERROR_BAD_ARGUMENT);
    expect("from behind", map(device, own.handle, 0x4000, 0x1000, IO_ADDRESS, MEM_READ), ERROR_BAD_ARGUMENT);
    expect("all there is", map(device, own.handle, 0, 0ull - 0x1000, IO_ADDRESS, MEM_READ),
           ERROR_BAD_ARGUMENT);
    expect("to beyond", map(device, own.handle, 0, 0x1000, BEYOND, MEM_READ), ERROR_BAD_ARGUMENT);
    expect("across the end", map(device, own.handle, 0, 0x2000, BEYOND - 0x1000, MEM_READ),
           ERROR_BAD_ARGUMENT);
    expect("to execute", map(device, own.handle, 0, 0x1000, IO_ADDRESS, MEM_READ | MEM_EXECUTE),
           ERROR_BAD_ARGUMENT);
    expect("to write only", map(device, own.handle, 0, 0x1000, IO_ADDRESS, MEM_WRITE), ERROR_BAD_ARGUMENT);
    expect("memory of a device", map(device, own.handle, 0, 0x2000, IO_ADDRESS, MEM_READ), ERROR_OK);
    expect("twice there", map(device, own.handle, 0, 0x1000, IO_ADDRESS + 0x1000, MEM_READ), ERROR_EXISTS);
    expect("to take the middle", device_unmap(device, IO_ADDRESS + 0x1000), ERROR_NOT_FOUND);
    expect("to take it", device_unmap(device, IO_ADDRESS), ERROR_OK);
    expect("to take it twice", device_unmap(device, IO_ADDRESS), ERROR_NOT_FOUND);
    expect("it once more", map(device, own.handle, 0, 0x2000, IO_ADDRESS, MEM_READ | MEM_WRITE), ERROR_OK);
    expect("to give memory back that is a device's", dataspace_free(&own), ERROR_OK);
    expect("to take what went with it", device_unmap(device, IO_ADDRESS), ERROR_NOT_FOUND);
}

static void registers(const struct device *device)
{
    volatile void *bar;
    uint64_t bytes;
    uint32_t value;
    expect("BAR 0", device_bar(device, 0, &bar, &bytes), ERROR_OK);
    expect("BAR 6", core_call(session_operation(device->session, DEVICE_BAR), 6, 0, 0, 0, 0),
           ERROR_NOT_FOUND);
    expect("BAR 2^32", core_call(session_operation(device->session, DEVICE_BAR), 1ull << 32, 0, 0, 0, 0),
           ERROR_NOT_FOUND);
    expect("half a BAR", core_call(session_operation(device->session, DEVICE_BAR), 1, 0, 0, 0, 0),
           ERROR_NOT_FOUND);
    expect("BAR 0 again", core_call(session_operation(device->session, DEVICE_BAR), 0, 0, 0, 0, 0), ERROR_OK);
    expect("registers as its memory", map(device, utcb()[1], 0, 0x1000, IO_ADDRESS, MEM_READ), ERROR_DENIED);
    expect("configuration", device_read(device, 0, &value), ERROR_OK);
    expect("not four bytes", device_read(device, 2, &value), ERROR_BAD_ARGUMENT);
    expect("beyond configuration", device_read(device, 256, &value), ERROR_BAD_ARGUMENT);
}

/* As many as there are; they all go with the session. */
static void interrupts(const struct device *device)
{
    struct device_message message;
    enum error error = ERROR_OK;
    expect("selector 0", device_interrupt(device, 0, 1, &message), ERROR_BAD_ARGUMENT);
    expect("no bits", device_interrupt(device, CAP_FREE, 0, &message), ERROR_BAD_ARGUMENT);
    expect("an interrupt", device_interrupt(device, CAP_FREE, 1, &message), ERROR_OK);
    expect("a selector that is taken", device_interrupt(device, CAP_FREE, 1, &message), ERROR_EXISTS);
    for (unsigned i = 1; i < MANY && error == ERROR_OK; i++) {
        error = device_interrupt(device, CAP_FREE + i, 1, &message);
    }
    expect("all interrupts", error, ERROR_LIMIT);
}

static enum error session_call(uint64_t session, uint64_t operation)
{
    return core_call(session_operation(session, operation), 0, 0, 0, 0, 0);
}

static void sessions(const struct device *device)
{
    struct session log;
    expect("a LOG session", session_open(&(struct session_request){.service = "LOG"}, &log), ERROR_OK);
    for (uint64_t operation = DEVICE_INFO; operation <= DEVICE_UNMAP; operation++) {
        expect("no session", session_call(NO_SESSION, operation), ERROR_NOT_FOUND);
        expect("a session beyond", session_call(1ull << 32 | device->session, operation), ERROR_NOT_FOUND);
        if (operation > LOG_WRITE) {
            expect("another session", session_call(log.id, operation), ERROR_BAD_OPERATION);
        }
    }
    expect("an operation beyond", session_call(device->session, DEVICE_UNMAP + 1), ERROR_BAD_OPERATION);
    expect("it again", open_close("00:04.0"), ERROR_BUSY);
    expect("its class again", open_close("010802"), ERROR_BUSY);
}

int component_main(void)
{
    struct device device;
    labels();
    for (unsigned i = 0; i < MANY; i++) {
        expect("to open and close", open_close("00:04.0"), ERROR_OK);
    }
    for (unsigned i = 0; i < 3; i++) {
        enum error error = device_open("010802", &device);
        expect("the disk", error, ERROR_OK);
        if (error != ERROR_OK) {
            break;
        }
        expect("what was asked for",
               device.id == NVME_ID && device.class_code == NVME_CLASS ? ERROR_OK : ERROR_FAULT, ERROR_OK);
        memory(&device);
        registers(&device);
        sessions(&device);
        interrupts(&device);
        expect("to close", device_close(&device), ERROR_OK);
    }
    log_line("grabber: %u tried, %u wrong", tried, wrong);
    return wrong != 0;
}
