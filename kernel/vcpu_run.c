/* SPDX-License-Identifier: ISC */
/*
 * VCPU_RUN: a guest on the time of the calling EC, until it exits, a signal is there or the deadline has
 * come. An interrupt of the host ends the stay in the guest but not the call: if somebody better is to run,
 * the call is taken back and begins anew, and neither guest nor monitor see it.
 */
#include "kernel/fpu.h"
#include "kernel/nt.h"
#include "kernel/space.h"
#include "kernel/syscall.h"
#include "kernel/vcpu.h"

/* With an event on its way to the guest, what would end the stay is put off by such a part of a second. */
#define DELIVERIES 50000

static void vcpu_leave(struct ec *ec, struct vcpu *vcpu, enum status status, uint64_t bits)
{
    ec->runs = NULL;
    vcpu->runner = NULL;
    if (ec->fpu)
        fpu_load(this_cpu(), ec->fpu); /* the guest's was in its place */
    finish_values(status, bits, 0);
}

/* The guest is not entered: a signal is there, or the deadline, or it is halted and one of them is waited
 * for. */
static void vcpu_rest(struct ec *ec, struct vcpu *vcpu, struct nt *nt, const uint64_t *arguments, bool signal,
                      uint64_t now)
{
    uint64_t deadline = arguments[2];

    if (signal || now >= deadline) {
        vcpu_look(vcpu);
        vcpu_leave(ec, vcpu, signal ? STATUS_SIGNAL : STATUS_TIMEOUT, signal ? nt_take(nt, 0) : 0);
        return;
    }
    __atomic_store_n(&ec->leaves, 0, __ATOMIC_RELAXED);
    if (!nt_enter(nt, ec)) {
        vcpu_leave(ec, vcpu, STATUS_BUSY, 0);
        return;
    }
    ec_restart(ec, CALL_VCPU_RUN, arguments[0], arguments[1], deadline, 0, 0, 0);
    if (nt_is_quiet(nt, 0))
        ec_wait(ec, nt, deadline);
}

/* What the processor does not switch. It stays while the EC that runs the guest works: the next EC puts back
 * what ECs have. */
static void __attribute__((noinline)) load_by_hand(struct cpu *cpu, const struct vcpu *vcpu)
{
    if (cpu->tsc_aux != vcpu->tsc_aux)
        wrmsr(MSR_TSC_AUX, cpu->tsc_aux = vcpu->tsc_aux);
    fpu_set_xcr0(cpu, vcpu->fpu->xcr0);
    cpu->extras = true;
}

void syscall_vcpu_run(uint64_t selector, uint64_t nt_selector, uint64_t deadline, UNUSED3)
{
    struct cpu *cpu = this_cpu();
    struct ec *ec = cpu->ec;
    enum virt_result result;
    struct vcpu *vcpu;
    struct nt *nt;
    enum status status = look_up(selector, OBJECT_VCPU, PERM_VCPU_RUN, &vcpu);

    if (ec->runs) /* this call has waited, or given way, and begins anew */
        ec->runs->runner = NULL;
    ec->runs = NULL;
    status = status ? status : look_up_wait(ec, nt_selector, &nt);
    if (status == STATUS_OK && vcpu->cpu != cpu->number)
        status = STATUS_BAD_CPU;
    if (status == STATUS_OK && vcpu->gst->object.dead)
        status = STATUS_DEAD;
    if (status == STATUS_OK && vcpu->runner)
        status = STATUS_BUSY;
    if (status != STATUS_OK) {
        if (ec->fpu)
            fpu_load(cpu, ec->fpu); /* the guest's may be there still, where the call has begun anew */
        finish_values(status, 0, 0);
        return;
    }
    ec->runs = vcpu;
    vcpu->runner = ec;
    nt_claim(nt, cpu->number);
    if (!vcpu_load(vcpu)) {
        vcpu_leave(ec, vcpu, STATUS_OK, 0);
        return;
    }
    for (;;) {
        uint64_t signal = __atomic_load_n(&nt->word, __ATOMIC_ACQUIRE), now = rdtsc();

        if (__builtin_expect(signal != 0, 0) || __builtin_expect(now >= deadline, 0) ||
            *(volatile uint32_t *)&vcpu->state->activity == VCPU_HALTED) {
            /* An event that is to be delivered gets there before the monitor can give another. */
            if (!vcpu->delivering) {
                vcpu_rest(ec, vcpu, nt, (const uint64_t[]){selector, nt_selector, deadline}, signal != 0,
                          now);
                return;
            }
            ec_set_deadline(ec, now + cpu_features.tsc_hz / DELIVERIES);
        } else {
            ec_set_deadline(ec, deadline);
        }
        if (cpu->fpu_owner != vcpu->fpu)
            fpu_load_guest(cpu, vcpu->fpu);
        if (__builtin_expect(cpu->tsc_aux != vcpu->tsc_aux || cpu->xcr0 != vcpu->fpu->xcr0, 0))
            load_by_hand(cpu, vcpu);
        result = virt->run(vcpu);
        if (cpu->fs_base) /* entering the guest has put 0 in its place */
            wrmsr(MSR_FS_BASE, cpu->fs_base);
        if (result == VIRT_EXIT) {
            vcpu_leave(ec, vcpu, STATUS_OK, 0);
            return;
        }
        interrupt_window();
        if (cpu->hazard) {
            ec_restart(ec, CALL_VCPU_RUN, selector, nt_selector, deadline, 0, 0, 0);
            return;
        }
    }
}
