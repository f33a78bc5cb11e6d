/* SPDX-License-Identifier: ISC */
/* The kernel's beginning: from the boot loader's information to the root task. */
#include "abi/boot.h"
#include "kernel/account.h"
#include "kernel/acpi.h"
#include "kernel/arch.h"
#include "kernel/cpu.h"
#include "kernel/ec.h"
#include "kernel/interrupt.h"
#include "kernel/iommu.h"
#include "kernel/lapic.h"
#include "kernel/memory.h"
#include "kernel/multiboot.h"
#include "kernel/nt.h"
#include "kernel/platform.h"
#include "kernel/print.h"
#include "kernel/root.h"
#include "kernel/sched.h"
#include "kernel/smp.h"
#include "kernel/space.h"
#include "kernel/vcpu.h"

#define PIC1_DATA 0x21
#define PIC2_DATA 0xa1

extern char boot_cpu_stack_end[];

static const struct object_operations *const types[OBJECT_TYPES] = {
    [OBJECT_ACCOUNT] = &account_operations,
    [OBJECT_PD] = &pd_operations,
    [OBJECT_SPACE] = &space_operations,
    [OBJECT_EC] = &ec_operations,
    [OBJECT_SC] = &sc_operations,
    [OBJECT_PT] = &pt_operations,
    [OBJECT_NT] = &nt_operations,
    [OBJECT_INTERRUPT] = &interrupt_operations,
    [OBJECT_VCPU] = &vcpu_operations,
    [OBJECT_DEVICE] = &device_operations,
    [OBJECT_PLATFORM] = &platform_operations,
};

static struct boot_info info;
static struct cpu boot_cpu;

void start(uint32_t magic, uint32_t address);

void start(uint32_t magic, uint32_t address)
{
    print_init();
    print("Donjon, interface %u.%u", ABI_VERSION_MAJOR, ABI_VERSION_MINOR);
    cpu_init(&boot_cpu, boot_cpu_stack_end);
    multiboot_read(magic, address, &info);
    object_types = types;
    acpi_unities(&info, &platform.iommu);
    memory_init(&info);
    port_out8(PIC1_DATA, 0xff); /* the 8259s are not used */
    port_out8(PIC2_DATA, 0xff);
    acpi_init(&info, &platform);
    cpu_features.tsc_hz = platform_measure_tsc();
    lapic_init();
    virt_init();
    smp_start(&info);
    iommu_init(&platform.iommu);
    memory_devices(&info);

    info.magic = BOOT_INFO_MAGIC;
    info.version_major = ABI_VERSION_MAJOR;
    info.version_minor = ABI_VERSION_MINOR;
    info.size = sizeof(info);
    info.features = virt ? virt->feature : (uint32_t)cpu_features.vm_lacks << BOOT_LACKS_SHIFT;
    info.features |= cpu_features.xsave ? BOOT_FEATURE_FPU_XSAVE : 0;
    info.features |= iommu ? BOOT_FEATURE_IOMMU : 0;
    info.cpus = cpu_count;
    info.tsc_hz = cpu_features.tsc_hz;
    info.wall_seconds = platform_wall_seconds();
    info.wall_tsc = rdtsc();
    print("%u CPU%s, TSC %lu MHz, %u interrupt pins, %s%s", cpu_count, cpu_count == 1 ? "" : "s",
          info.tsc_hz / 1000000, info.gsis, virt ? "virtual machines by " : "no virtual machines",
          virt ? virt->name : "");
    root_create(&info);
    memory_drop_identity();
    stack_restart(schedule);
}
