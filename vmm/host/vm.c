/* SPDX-License-Identifier: ISC */
/*
 * The VM that core gives: its memory attached, its vCPUs created.
 */
#include "base/include/log.h"
#include "vmm/host/monitor.h"

/* With <vm churn> the memory above CHURN_BASE is attached in pieces. */
static enum error attach_memory(struct monitor *m)
{
    uint64_t low = m->memory.map.low_size;
    uint64_t whole = m->description.churn && low > CHURN_BASE ? CHURN_BASE : low;
    enum error status = host_memory_attach(&m->memory, &m->vm, whole);

    m->churn = (struct churn){.vm = &m->vm,
                              .dataspace = &m->memory.low,
                              .memory = m->memory.ram.low + CHURN_BASE,
                              .bytes = low - whole,
                              .rights = HOST_MEMORY_RIGHTS};
    for (unsigned i = 0; i < m->description.vcpus; i++)
        m->churn.written[m->churn.writers++] = &m->vcpu[i].msr.kvm.eoi;
    if (status == ERROR_OK && low > whole)
        status = churn_attach(&m->churn);
    return status;
}

bool monitor_open_vm(struct monitor *m)
{
    const char *what = "cannot be created";
    enum error status = vm_open(m->description.name, &m->vm);

    if (status == ERROR_OK) {
        what = "guest memory cannot be attached";
        status = attach_memory(m);
    }
    if (status == ERROR_OK) {
        what = "vCPU cannot be created";
        for (unsigned i = 0; i < m->description.vcpus && status == ERROR_OK; i++)
            status = vm_vcpu_create(&m->vm, CREW_VCPU(i), crew_host(&m->crew, i), &m->state[i]);
    }
    if (status != ERROR_OK)
        log_line("vm %s: %s: %s", m->description.name, what, error_text(status));
    return status == ERROR_OK;
}
