/* SPDX-License-Identifier: ISC */
/*
 * The paravirtual clock's two structures in guest RAM.
 *
 * While TSCs are unmoved, every vCPU gets the same pair of TSC and time, that of time 0: two vCPUs then
 * compute the same time from the same TSC to the last bit, which is what the stable flag promises. The
 * version is odd while a structure is being written.
 */
#include "vmm/kvm/kvmclock.h"

#include <string.h>

#define NS_PER_SECOND 1000000000ull
#define FLAG_STABLE   1u

/* struct pvclock_vcpu_time_info and struct pvclock_wall_clock, as the guest has them. */
struct time_info {
    uint32_t version;
    uint32_t pad0;
    uint64_t tsc_timestamp;
    uint64_t system_time;
    uint32_t mul;
    int8_t shift;
    uint8_t flags;
    uint8_t pad[2];
};

struct wall_clock {
    uint32_t version;
    uint32_t seconds;
    uint32_t nanoseconds;
};

_Static_assert(sizeof(struct time_info) == 32, "as in the guest");
_Static_assert(sizeof(struct wall_clock) == 12, "as in the guest");

/* 10^9 * 2^32 / hz, normalised to 32 bits by doubling either side. 10^9 * 2^32 has 62 bits, so one bit of
 * quotient at a time is enough beyond that. */
void kvmclock_scale(uint32_t tsc_khz, uint32_t *mul, int8_t *shift)
{
    uint64_t hz = tsc_khz * 1000ull;
    uint64_t dividend = NS_PER_SECOND << 32;
    uint64_t quotient, rest;
    int exponent = 0;

    while (dividend / hz >> 32) {
        hz <<= 1;
        exponent++;
    }
    quotient = dividend / hz;
    rest = dividend % hz;
    while (!(quotient >> 31)) {
        quotient <<= 1;
        rest <<= 1;
        if (rest >= hz) {
            quotient++;
            rest -= hz;
        }
        exponent--;
    }
    if (rest >= hz - rest && quotient < UINT32_MAX)
        quotient++;
    *mul = (uint32_t)quotient;
    *shift = (int8_t)exponent;
}

void kvmclock_init(struct kvmclock *clock, const struct guest_ram *ram, uint32_t tsc_khz,
                   uint64_t tsc_at_zero, uint64_t wall_at_zero, bool stable)
{
    *clock = (struct kvmclock){
        .ram = ram,
        .tsc_at_zero = tsc_at_zero,
        .wall_at_zero = wall_at_zero,
        .stable = stable,
    };
    kvmclock_scale(tsc_khz, &clock->mul, &clock->shift);
}

/* Both structures begin with their version. */
static void publish(void *to, const void *from, size_t length, uint32_t *version)
{
    uint32_t *place = to;

    __atomic_store_n(place, *version + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    memcpy((uint8_t *)to + sizeof *version, (const uint8_t *)from + sizeof *version,
           length - sizeof *version);
    *version += 2;
    __atomic_store_n(place, *version, __ATOMIC_RELEASE);
}

bool kvmclock_set_wall(struct kvmclock *clock, uint64_t value)
{
    struct wall_clock wall = {0, 0, 0};
    void *place = guest_ram_at(clock->ram, value, sizeof wall);

    if (!place || value % 4)
        return false;
    wall.seconds = (uint32_t)(clock->wall_at_zero / NS_PER_SECOND);
    wall.nanoseconds = (uint32_t)(clock->wall_at_zero % NS_PER_SECOND);
    clock->wall_msr = value;
    publish(place, &wall, sizeof wall, &clock->wall_version);
    return true;
}

void kvmclock_update(const struct kvmclock *clock, struct kvmclock_cpu *cpu, uint64_t now, uint64_t tsc)
{
    struct time_info info = {.mul = clock->mul, .shift = clock->shift};
    void *place = guest_ram_at(clock->ram, cpu->msr & ~(uint64_t)KVMCLOCK_ENABLED, sizeof info);

    if (!(cpu->msr & KVMCLOCK_ENABLED) || !place)
        return;
    if (clock->stable && !cpu->moved) {
        info.tsc_timestamp = clock->tsc_at_zero;
        info.flags = FLAG_STABLE;
    } else {
        info.tsc_timestamp = tsc;
        info.system_time = now;
    }
    publish(place, &info, sizeof info, &cpu->version);
}

bool kvmclock_set_system(const struct kvmclock *clock, struct kvmclock_cpu *cpu, uint64_t value, uint64_t now,
                         uint64_t tsc)
{
    uint64_t gpa = value & ~(uint64_t)KVMCLOCK_ENABLED;

    if (value & KVMCLOCK_ENABLED && (gpa % 4 || !guest_ram_at(clock->ram, gpa, sizeof(struct time_info))))
        return false;
    cpu->msr = value;
    kvmclock_update(clock, cpu, now, tsc);
    return true;
}

/* Versions go on, for a guest may still have the structures. */
static void reset_device(void *device, uint64_t now)
{
    struct kvmclock *clock = device;

    (void)now;
    clock->wall_msr = 0;
}

static void fields(struct state *state, struct kvmclock *clock)
{
    state_u64(state, &clock->tsc_at_zero);
    state_u64(state, &clock->wall_at_zero);
    state_u64(state, &clock->wall_msr);
    state_u32(state, &clock->wall_version);
}

static void save_device(const void *device, struct state *state)
{
    struct kvmclock clock = *(const struct kvmclock *)device;

    fields(state, &clock);
}

static bool load_device(void *device, struct state *state)
{
    struct kvmclock *clock = device, loaded = *clock;

    fields(state, &loaded);
    if (!state_is_whole(state) || loaded.wall_msr % 4 || loaded.wall_version % 2)
        return false;
    *clock = loaded;
    return true;
}

const struct device_class kvmclock_class = {
    .name = "kvmclock", .version = 1, .save = save_device, .load = load_device, .reset = reset_device};
