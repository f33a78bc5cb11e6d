/* SPDX-License-Identifier: ISC */
/*
 * The state of init's components as a Report, to the server that its parent routes that to: each component's
 * state, its quotas and CPU time, its sessions with other components here and how often it was started again. init does not
 * wait for the server; without one there is no report.
 */
#include "init/init.h"

#include "base/include/component.h"
#include "base/include/link.h"
#include "base/include/log.h"
#include "base/include/rom.h"
#include "base/include/session/report.h"

#define REPORT_BYTES 0x4000u
#define LINE         256u /* the longest of a component, its name included */

_Static_assert(REPORT_BYTES - sizeof(struct rom_header) >= (CONFIG_STARTS + 1) * LINE, "a report fits");

static size_t report_child(struct init *init, unsigned index, char *line)
{
    static const char *const states[] = {"ended", "stopped", "runs", "exiting"};
    struct child *child = &init->child[index];
    uint64_t info[5] = {0};
    if (child->handle != 0 && core_call(CHILD_INFO, child->handle, 0, 0, 0, 0) == ERROR_OK)
        for (unsigned i = 0; i < 5; i++)
            info[i] = utcb()[i + 1];
    return format_text(line, LINE,
                       "  <child name=\"%s\" state=\"%s\" restarts=\"%u\" sessions=\"%u\" ram-free=\"%lu\" "
                       "ram-used=\"%lu\" kernel-free=\"%lu\" kernel-used=\"%lu\" milliseconds=\"%lu\"/>\n",
                       init->config->start[index].name, states[child->state],
                       child->generation != 0 ? child->generation - 1 : 0, sessions_count(init, index),
                       info[0], info[1], info[2], info[3], info[4] / (init->tsc_hz / 1000));
}

static void report_write(struct init *init, void *memory, size_t size)
{
    static char text[(CONFIG_STARTS + 1) * LINE];
    size_t length = format_text(text, LINE, "<state>\n");
    for (unsigned i = 0; i < CONFIG_STARTS; i++)
        if (init->config->start[i].name[0] != '\0')
            length += report_child(init, i, text + length);
    length += format_text(text + length, LINE, "</state>\n");
    rom_put(memory, size, text, length);
    creator_signal(INIT_CAP_REPORT);
}

uint64_t report_work(struct init *init)
{
    static struct link link = {.request = {.service = REPORT_SERVICE,
                                           .label = "state",
                                           .donation = REPORT_BYTES,
                                           .base = INIT_CAP_REPORT,
                                           .bits = INIT_WORK},
                               .rights = MEM_READ | MEM_WRITE};
    static uint64_t next;
    if (init->config->report == 0)
        return DEADLINE_NEVER;
    if (tsc_read() < next)
        return next;
    enum error error = link_poll(&link);
    if (error == ERROR_OK)
        report_write(init, link.memory, link.session.bytes);
    else if (error != ERROR_PENDING)
        link_close(&link); /* to be asked for again */
    next = tsc_read() + init->config->report * (init->tsc_hz / 1000);
    return next;
}
