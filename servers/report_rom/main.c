/* SPDX-License-Identifier: ISC */
/*
 * report_rom: keeps what components report and gives it to others as ROMs that change:
 *
 *   <config>
 *     <report label="state" bytes="16K"/>       what one component may report under this label
 *     <report label="inner" first="inner.xml" log="yes"/>
 *     <rom label="settings" report="inner"/>    who opens the ROM "settings" reads that
 *   </config>
 *
 * There is nothing else: a report that is not listed is refused, and without <rom> nobody reads it. Who may open which
 * label is decided by the routes. A report stays when its writer has gone; until there is one, it is what the boot
 * module `first` holds, or nothing. With log="yes" each new text is shown on the log (tools/run --report).
 */
#include "base/include/config.h"
#include "base/include/dataspace.h"
#include "base/include/log.h"
#include "base/include/rom.h"
#include "base/include/server.h"
#include "base/include/session/report.h"
#include "servers/report_rom/config.h"

#include <string.h>

#define READERS 32u
#define PLACES  (KEPT_REPORTS + READERS)
#define TURNS   100u /* a second */
#define SHOWN   160u /* bytes of a line on the log; the rest comes on the next */

/* What is kept of report i, whose writer has place i. */
struct kept {
    char *text, *spare; /* as long as the header and the longest text */
    size_t bytes;
    uint64_t version; /* of the writer's */
    bool there, told;
};

static struct kept_config config;
static struct kept kept[KEPT_REPORTS];
static unsigned reads[READERS]; /* the report that the reader in place KEPT_REPORTS + i gets */
static struct server_place places[PLACES];

static unsigned choose(void *context, const struct server_request *request);
static enum error opened(void *context, unsigned place);
static void serve(void *context, unsigned place);

static struct server server = {
    .place = places,
    .places = PLACES,
    .signal = CAP_FREE,
    .bit = 1,
    .choose = choose,
    .open = opened,
    .serve = serve,
};

static unsigned choose_reader(const char *label)
{
    for (unsigned i = 0; i < config.roms; i++) {
        if (strcmp(config.rom[i].label, label) != 0)
            continue;
        for (unsigned j = 0; j < READERS; j++)
            if (!places[KEPT_REPORTS + j].open) {
                reads[j] = config.rom[i].report;
                return KEPT_REPORTS + j;
            }
        return PLACES;
    }
    return SERVER_NO_PLACE;
}

static unsigned choose(void *context, const struct server_request *request)
{
    (void)context;
    if (strcmp(request->service, ROM_SERVICE) == 0)
        return choose_reader(request->label);
    for (unsigned i = 0; strcmp(request->service, REPORT_SERVICE) == 0 && i < config.reports; i++)
        if (strcmp(config.report[i].label, request->label) == 0)
            return i;
    return SERVER_NO_PLACE;
}

/* A text that does not fit is kept from the reader: half a text is none. */
static void give(unsigned place)
{
    const unsigned report = reads[place - KEPT_REPORTS];
    const struct kept *content = &kept[report];

    if (!content->there)
        return;
    if (content->bytes > places[place].session.bytes - sizeof(struct rom_header)) {
        log_line("'%s': a reader has room for %lu bytes, there are %zu", config.report[report].label,
                 places[place].session.bytes - sizeof(struct rom_header), content->bytes);
        return;
    }
    rom_put(places[place].memory, places[place].session.bytes, content->text, content->bytes);
    server_signal(&server, place);
}

static enum error opened(void *context, unsigned place)
{
    (void)context;
    if (place < KEPT_REPORTS) {
        kept[place].version = 0;
        kept[place].told = false;
    } else {
        give(place);
    }
    return ERROR_OK;
}

static void show(unsigned report)
{
    const char *label = config.report[report].label, *line = kept[report].text;
    const char *end = line + kept[report].bytes;
    unsigned lines = 0;

    while (line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((next ? next : end) - line);

        log_line("report %s%c %.*s", label, length > SHOWN ? '+' : '|',
                 (int)(length > SHOWN ? SHOWN : length), line);
        line += length > SHOWN ? SHOWN : next ? length + 1 : length;
        lines++;
    }
    log_line("report %s: %u lines", label, lines);
}

static void changed(unsigned report)
{
    for (unsigned i = 0; i < READERS; i++)
        if (places[KEPT_REPORTS + i].served && reads[i] == report)
            give(KEPT_REPORTS + i);
    if (config.report[report].log)
        show(report);
}

/* The writer has signalled. */
static void serve(void *context, unsigned place)
{
    const struct rom_header *header = places[place].memory;
    struct kept *content = &kept[place];
    size_t bytes, most = config.report[place].bytes + sizeof(*header);

    (void)context;
    if (place >= KEPT_REPORTS)
        return;
    most = most < places[place].session.bytes ? most : places[place].session.bytes;
    if (!rom_take(header, most, &content->version, content->spare, &bytes)) {
        uint64_t length = __atomic_load_n(&header->bytes, __ATOMIC_RELAXED);

        if (length > most - sizeof(*header) && !content->told)
            log_line("report '%s': expected at most %zu bytes, found %lu", config.report[place].label,
                     most - sizeof(*header), length);
        content->told |= length > most - sizeof(*header);
        return;
    }
    if (content->there && content->bytes == bytes && memcmp(content->text, content->spare, bytes) == 0)
        return;
    char *text = content->spare;
    content->spare = content->text;
    content->text = text;
    content->bytes = bytes;
    content->there = true;
    changed(place);
}

static enum error kept_init(unsigned number)
{
    const struct kept_report *report = &config.report[number];
    const uint64_t room = (report->bytes + sizeof(struct rom_header) + 0xfff) & ~0xfffull;
    struct dataspace dataspace;
    void *memory;
    struct rom rom;
    enum error error = memory_alloc(2 * room, &dataspace, &memory);

    if (error)
        return error;
    kept[number].text = memory;
    kept[number].spare = (char *)memory + room;
    if (!report->first[0])
        return ERROR_OK;
    error = rom_open(report->first, &rom);
    if (error)
        return error;
    if (rom.bytes > report->bytes) {
        log_line("report '%s': expected at most %lu bytes in the ROM '%s', found %zu", report->label,
                 report->bytes, report->first, rom.bytes);
        return ERROR_LIMIT;
    }
    if (rom.bytes)
        memcpy(kept[number].text, rom.data, rom.bytes);
    kept[number].bytes = rom.bytes;
    kept[number].there = true;
    return rom_close(&rom);
}

int component_main(void)
{
    struct pd_info info;
    enum error error = pd_info(&info);

    if (!config_load(kept_config_read, &config))
        return 1;
    for (unsigned i = 0; i < config.reports && !error; i++) {
        error = kept_init(i);
        if (error)
            log_line("report '%s': %s", config.report[i].label, error_text(error));
    }
    if (error)
        return 1;
    server.period = info.tsc_hz / TURNS;
    server_start(&server);
    event_loop();
}
