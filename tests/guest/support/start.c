/* SPDX-License-Identifier: ISC */
/* A guest's beginning and end in C, and its way to power the machine off. */
#include "tests/guest/guest.h"

#define PM_BASE    0x600u
#define PM_CONTROL (PM_BASE + 4)
#define SLP_EN     0x2000u

/* The type that means S5 is the firmware's choice; each is tried. */
void power_off(void)
{
    irq_off();
    for (unsigned type = 0; type < 8; type++)
        out16(PM_CONTROL, (uint16_t)(SLP_EN | type << 10));
    halt_forever();
}

void halt_forever(void)
{
    for (;;)
        __asm__ volatile("cli; hlt" : : : "memory");
}

bool option(const char *word)
{
    const char *at = boot_command_line;
    size_t length = strlen(word);

    /* Real mode's compiler would address it by 16 bits. */
    __asm__("" : "+r"(at));
    while (*at) {
        size_t i = 0;

        while (i < length && at[i] == word[i])
            i++;
        if (i == length && (at[i] == ' ' || at[i] == '\0'))
            return true;
        while (*at && *at != ' ')
            at++;
        while (*at == ' ')
            at++;
    }
    return false;
}

void guest_start(void)
{
    for (unsigned vector = 0; vector < 256; vector++)
        gate_set(vector, (word_t)(uintptr_t)trap_stubs + vector * STUB_BYTES, 0);
    gates_load();
    pic_init();
    guest_main();
    power_off();
}
