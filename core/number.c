/* SPDX-License-Identifier: ISC */
/* Numbers in labels: see number.h. */
#include "core/number.h"

bool number_read(const char *text, unsigned *value)
{
    unsigned base = 10;
    *value = 0;
    if (text[0] == '0' && text[1] == 'x') {
        base = 16;
        text += 2;
    }
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned digit = *text >= '0' && *text <= '9'   ? (unsigned)(*text - '0')
                         : *text >= 'a' && *text <= 'f' ? (unsigned)(*text - 'a') + 10
                                                        : 16;
        if (digit >= base)
            return false;
        *value = *value * base + digit;
        if (*value > 0xffff)
            return false;
    }
    return true;
}
