/* SPDX-License-Identifier: ISC */
#include "vmm/firmware/reset_vector.h"

#define VECTOR 0xffff0u
#define CODE   0xfffd0u

/* jmp far F000:FFD0, which is as good for a CS of FFFF. */
static const uint8_t vector[] = {0xea, 0xd0, 0xff, 0x00, 0xf0};

/* PIIX3's reset control: bit 2 going from 0 to 1. */
static const uint8_t code[] = {
    0xba, 0xf9, 0x0c, /* mov dx, 0xcf9 */
    0xb0, 0x02,       /* mov al, 2 */
    0xee,             /* out dx, al */
    0xb0, 0x06,       /* mov al, 6 */
    0xee,             /* out dx, al */
    0xfa,             /* cli */
    0xf4,             /* 1: hlt */
    0xeb, 0xfd,       /* jmp 1b */
};

bool reset_vector_write(const struct guest_ram *ram)
{
    return guest_ram_write(ram, CODE, code, sizeof(code)) &&
           guest_ram_write(ram, VECTOR, vector, sizeof(vector));
}
