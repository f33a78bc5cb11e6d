/* SPDX-License-Identifier: ISC */
/*
 * Starting, waking, stopping the vCPUs' threads; see crew.h. With one vCPU there is only its loop.
 */
#include "vmm/host/crew.h"

#include "base/include/component.h"
#include "base/include/log.h"

#define STACK  0x10000u
#define FAILED "the kernel does not run a vCPU"

/* A thread that has died with the component need not be woken. */
static void signal_nt(selector nt)
{
    enum status status = nt_signal(nt);

    (void)status;
}

static void wait_nt(selector nt)
{
    uint64_t bits;
    enum status status = nt_wait(nt, DEADLINE_NEVER, &bits);

    (void)status; /* a waiting thread checks its condition again */
}

static void lock_wait(void *context, unsigned cpu)
{
    (void)context;
    wait_nt(CREW_SLEEP(cpu));
}

static void lock_wake(void *context, unsigned cpu)
{
    (void)context;
    signal_nt(CREW_SLEEP(cpu));
}

/* A thread checks its own attention before it runs its vCPU. */
static void wake(void *context, unsigned cpu)
{
    const struct crew *crew = context;

    if (crew->member[cpu].thread != thread_number())
        signal_nt(CREW_RUN(cpu));
}

void crew_init(struct crew *crew, struct vcpu *vcpu, unsigned count, uint64_t hosts)
{
    for (unsigned i = 0; i < count; i++)
        crew->member[i] = (struct crew_member){.crew = crew, .vcpu = &vcpu[i]};
    crew->count = count;
    crew->hosts = hosts ? hosts : 1;
}

void crew_wire(struct crew *crew, struct machine_config *config)
{
    static const struct lock lock = {.wait = lock_wait, .wake = lock_wake};

    config->lock = &lock;
    config->wake = wake;
    config->wake_context = crew;
}

static void thread_main(void *argument)
{
    struct crew_member *member = argument;
    struct crew *crew = member->crew;
    unsigned cpu = member->vcpu->number;
    uint32_t round = 0;

    member->thread = thread_number();
    for (;;) {
        while (__atomic_load_n(&crew->round, __ATOMIC_ACQUIRE) == round)
            wait_nt(CREW_SLEEP(cpu));
        round++;
        if (vcpu_loop(member->vcpu) != VCPU_STOP_REQUEST)
            machine_request(crew->machine, MACHINE_FAILED, FAILED);
        __atomic_add_fetch(&crew->parked, 1, __ATOMIC_RELEASE);
        signal_nt(CREW_SLEEP(0));
    }
}

static enum error create_member(struct crew *crew, unsigned cpu, unsigned priority)
{
    enum error error = notification_create(CREW_SLEEP(cpu), NULL);

    if (error == ERROR_OK && cpu > 0)
        error = notification_create(CREW_RUN(cpu), NULL);
    if (error == ERROR_OK && cpu > 0)
        error = thread_create(thread_main, &crew->member[cpu], priority, STACK, crew_host(crew, cpu));
    return error;
}

bool crew_create(struct crew *crew, struct machine *machine, unsigned priority)
{
    enum error error = ERROR_OK;

    crew->machine = machine;
    if (crew->count == 1)
        return true;
    if (nt_narrow(CAP_NT, CREW_RUN(0), BIT_WAKE) != STATUS_OK)
        error = ERROR_FAULT;
    for (unsigned cpu = 0; cpu < crew->count && error == ERROR_OK; cpu++)
        error = create_member(crew, cpu, priority);
    if (error != ERROR_OK) {
        log_line("vm %s: threads for %u vCPUs: %s", machine->name, crew->count, error_text(error));
        return false;
    }
    return true;
}

enum vcpu_stop crew_run(struct crew *crew)
{
    enum vcpu_stop stop;

    if (crew->count == 1)
        return vcpu_loop(crew->member[0].vcpu);
    __atomic_store_n(&crew->parked, 0, __ATOMIC_RELAXED);
    __atomic_add_fetch(&crew->round, 1, __ATOMIC_RELEASE);
    for (unsigned cpu = 1; cpu < crew->count; cpu++)
        signal_nt(CREW_SLEEP(cpu));
    stop = vcpu_loop(crew->member[0].vcpu);
    if (stop != VCPU_STOP_REQUEST)
        machine_request(crew->machine, MACHINE_FAILED, FAILED);
    while (__atomic_load_n(&crew->parked, __ATOMIC_ACQUIRE) < crew->count - 1)
        wait_nt(CREW_SLEEP(0));
    return stop;
}
