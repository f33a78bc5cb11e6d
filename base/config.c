/* SPDX-License-Identifier: ISC */
/*
 * The configuration from its ROM. The parser changes its text, so it is copied.
 */
#include "base/include/config.h"

#include "base/include/dataspace.h"
#include "base/include/log.h"

#include <string.h>

bool config_load(config_reader read, void *config)
{
    static char text[CONFIG_BYTES];
    struct xml_error wrong;
    struct rom rom;
    enum error error = rom_open("config", &rom);
    size_t bytes;

    if (error || !rom.data || rom.bytes > sizeof(text)) {
        log_line("config: expected 1 to %zu bytes, found %zu: %s", sizeof(text), error ? 0 : rom.bytes,
                 error_text(error));
        return false;
    }
    bytes = rom.bytes;
    memcpy(text, rom.data, bytes);
    error = rom_close(&rom);
    (void)error; /* it then stays attached, which is harmless */
    if (read(config, text, bytes, &wrong))
        return true;
    log_line("config:%u: %s", wrong.line, wrong.reason);
    return false;
}
