/* SPDX-License-Identifier: ISC */
/*
 * What firmware is told; see firmware.h. RAM is all that the memory map says: the firmware adds its own areas to it.
 */
#include "vmm/board/machine.h"

#define BOOT_MENU_ON 1u

static void put(uint8_t *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> i * 8);
}

/* The bytes of the file. */
static uint32_t write_e820(uint8_t *to, const struct e820_map *map)
{
    const struct {
        uint64_t base, bytes;
    } ram[] = {{0, map->low_size}, {RAM_ABOVE_4G, map->high_size}};
    uint32_t size = 0;

    for (unsigned i = 0; i < sizeof(ram) / sizeof(ram[0]); i++) {
        if (!ram[i].bytes)
            continue;
        put(to + size, ram[i].base, 8);
        put(to + size + 8, ram[i].bytes, 8);
        put(to + size + 16, E820_RAM, 4);
        size += 20;
    }
    return size;
}

static void write_cmos(struct machine *machine, const struct machine_firmware *firmware)
{
    uint8_t cmos[CMOS_SIZE];
    struct cmos_config config = {.map = &machine->map, .cpus = machine->cpus, .mouse = true};

    for (unsigned i = 0; i < CMOS_BOOT_ORDER; i++)
        config.boot[i] = firmware->boot[i];
    for (unsigned i = 0; i < CMOS_SIZE; i++)
        cmos[i] = mc146818_cmos_get(&machine->rtc, (uint8_t)i);
    cmos_fill(cmos, &config);
    for (unsigned i = 0; i < CMOS_SIZE; i++)
        mc146818_cmos_set(&machine->rtc, (uint8_t)i, cmos[i]);
}

static bool add_numbers(struct fw_cfg *fw, const struct machine *machine)
{
    return fw_cfg_add_number(fw, FW_CFG_RAM_SIZE, machine->map.low_size + machine->map.high_size, 8) &&
           fw_cfg_add_number(fw, FW_CFG_CPUS, machine->cpus, 2) &&
           fw_cfg_add_number(fw, FW_CFG_MAX_CPUS, machine->cpus, 2) &&
           fw_cfg_add_number(fw, FW_CFG_IRQ0_OVERRIDE, 1, 1) &&
           fw_cfg_add_number(fw, FW_CFG_BOOT_MENU, machine->firmware->boot_menu ? BOOT_MENU_ON : 0, 2);
}

static bool add_tables(struct fw_cfg *fw, struct machine *machine)
{
    struct firmware_tables *tables = &machine->firmware_tables;
    const struct acpi_config config = machine_acpi(machine);
    uint8_t *memory = tables->acpi.memory;

    return table_loader_build(&tables->acpi, &config) &&
           fw_cfg_add_file(fw, "etc/e820", tables->e820, write_e820(tables->e820, &machine->map)) &&
           fw_cfg_add_file(fw, TABLE_LOADER_TABLES, memory, TABLE_LOADER_BYTES) &&
           fw_cfg_add_file(fw, TABLE_LOADER_RSDP, memory + TABLE_LOADER_RSDP_AT, TABLE_LOADER_RSDP_LEN) &&
           fw_cfg_add_file(fw, TABLE_LOADER_SCRIPT, tables->acpi.script, tables->acpi.script_size);
}

bool firmware_offer(struct machine *machine)
{
    const struct machine_firmware *firmware = machine->firmware;
    struct fw_cfg *fw = &machine->fw_cfg;

    fw_cfg_init(fw, &machine->ram, firmware != NULL);
    if (!firmware)
        return true;
    write_cmos(machine, firmware);
    for (unsigned i = 0; i < firmware->files; i++) {
        const struct firmware_file *file = &firmware->file[i];

        if (!(file->data ? fw_cfg_add_file(fw, file->name, file->data, file->size)
                         : fw_cfg_add_file_number(fw, file->name, file->number, sizeof(file->number))))
            return false;
    }
    return add_numbers(fw, machine) && add_tables(fw, machine);
}
