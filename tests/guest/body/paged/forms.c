/* SPDX-License-Identifier: ISC */
/* Forms with a VEX prefix, which real mode has not, and some that QEMU takes for 16-bit ones there. */
#include "tests/guest/body/forms.h"

/* QEMU 7.2 has the carry of BLSR, BLSMSK and BLSI wrong (mended in version 8). */
#define CARRY    0x1u
#define ZERO     0x40u
#define OVERFLOW 0x800u
#define ALL      0x8d5u
#define LOGIC    0x8c5u /* all but AF */
#define ROTATE1  0x8d5u
#define ROTATE   0xd5u
#define SHIFT1   0x8c5u
#define SHIFT    0xc5u

/* clang-format off */
FORM(andn, "andnl " M ", %ecx, %eax");
FORM(bextr, "bextrl %ecx, " M ", %eax");
FORM(blsr, "blsrl " M ", %eax");
FORM(blsmsk, "blsmskl " M ", %eax");
FORM(blsi, "blsil " M ", %eax");
FORM(bzhi, "bzhil %ecx, " M ", %eax");
FORM(pdep, "pdepl " M ", %ecx, %eax");
FORM(pext, "pextl " M ", %ecx, %eax");
FORM(rorx, "rorxl $9, " M ", %eax");
FORM(sarx, "sarxl %ecx, " M ", %eax");
FORM(shlx, "shlxl %ecx, " M ", %eax");
FORM(shrx, "shrxl %ecx, " M ", %eax");
FORM(mulx, "mulxl " M ", %ecx, %eax");
FORM(movbe_load, "movbel " M ", %eax");
FORM(movbe_store, "movbel %eax, " M "");
FORM(crc32, "crc32l " M ", %eax");
FORM(adcx, "adcxl " M ", %eax");
FORM(adox, "adoxl " M ", %eax");
FORM(movnti, "movntil %eax, " M "");

const struct form vex_forms[] = {
    {"andn", form_andn, ZERO|CARRY, FORM_REGISTER},
    {"bextr", form_bextr, ZERO|CARRY, FORM_REGISTER},
    {"blsr", form_blsr, ZERO, FORM_REGISTER},
    {"blsmsk", form_blsmsk, ZERO, FORM_REGISTER},
    {"blsi", form_blsi, ZERO, FORM_REGISTER},
    {"bzhi", form_bzhi, ZERO|CARRY, FORM_REGISTER},
    {"pdep", form_pdep, ALL, FORM_REGISTER},
    {"pext", form_pext, ALL, FORM_REGISTER},
    {"rorx", form_rorx, ALL, FORM_REGISTER},
    {"sarx", form_sarx, ALL, FORM_REGISTER},
    {"shlx", form_shlx, ALL, FORM_REGISTER},
    {"shrx", form_shrx, ALL, FORM_REGISTER},
    {"mulx", form_mulx, ALL, FORM_REGISTER},
    {"movbe_load", form_movbe_load, ALL, FORM_REGISTER},
    {"movbe_store", form_movbe_store, ALL, FORM_REGISTER},
    {"crc32", form_crc32, ALL, FORM_REGISTER},
    {"adcx", form_adcx, ALL, FORM_REGISTER},
    {"adox", form_adox, ALL, FORM_REGISTER},
    {"movnti", form_movnti, ALL, FORM_REGISTER},
    {NULL, NULL, 0, 0},
};
