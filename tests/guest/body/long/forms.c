/* SPDX-License-Identifier: ISC */
/* 64-bit forms. */
#include "tests/guest/body/forms.h"

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
FORM(add_load_q, "addq " M ", %rax");
FORM(add_store_q, "addq %rax, " M "");
FORM(add_immediate_q, "addq $-77, " M "");
FORM(or_load_q, "orq " M ", %rax");
FORM(or_store_q, "orq %rax, " M "");
FORM(or_immediate_q, "orq $-77, " M "");
FORM(adc_load_q, "adcq " M ", %rax");
FORM(adc_store_q, "adcq %rax, " M "");
FORM(adc_immediate_q, "adcq $-77, " M "");
FORM(sbb_load_q, "sbbq " M ", %rax");
FORM(sbb_store_q, "sbbq %rax, " M "");
FORM(sbb_immediate_q, "sbbq $-77, " M "");
FORM(and_load_q, "andq " M ", %rax");
FORM(and_store_q, "andq %rax, " M "");
FORM(and_immediate_q, "andq $-77, " M "");
FORM(sub_load_q, "subq " M ", %rax");
FORM(sub_store_q, "subq %rax, " M "");
FORM(sub_immediate_q, "subq $-77, " M "");
FORM(xor_load_q, "xorq " M ", %rax");
FORM(xor_store_q, "xorq %rax, " M "");
FORM(xor_immediate_q, "xorq $-77, " M "");
FORM(cmp_load_q, "cmpq " M ", %rax");
FORM(cmp_store_q, "cmpq %rax, " M "");
FORM(cmp_immediate_q, "cmpq $-77, " M "");
FORM(mov_load_q, "movq " M ", %rax");
FORM(mov_store_q, "movq %rax, " M "");
FORM(mov_immediate_q, "movq $-2, " M "");
FORM(movslq, "movslq " M ", %rax");
FORM(movzbq, "movzbq " M ", %rax");
FORM(movsbq, "movsbq " M ", %rax");
FORM(movswq, "movswq " M ", %rax");
FORM(xchg_q, "xchgq %rax, " M "");
FORM(xadd_q, "lock; xaddq %rax, " M "");
FORM(cmpxchg_q, "cmpxchgq %rcx, " M "");
FORM(neg_q, "negq " M "");
FORM(inc_q, "incq " M "");
FORM(shl_q, "shlq " M "");
FORM(bts_q, "btsq $63, " M "");
FORM(mul_q, "mulq " M "");
FORM(lodsq, "movl $3, %ecx\n rep lodsq");
FORM(stosq, "mov %rsi, %rdi\n movl $3, %ecx\n rep stosq");
FORM(movl_r8, "movl " M ", %r8d\n mov %r8, %rax");
FORM(mov_sib, "xor %edi, %edi\n movl 0(%rsi,%rdi,8), %eax");
FORM(addr32, "addr32 movl (%esi), %eax");
FORM(movbe_q, "movbeq " M ", %rax");

const struct form long_forms[] = {
    {"add_load_q", form_add_load_q, ALL, FORM_ABSENT},
    {"add_store_q", form_add_store_q, ALL, FORM_ABSENT},
    {"add_immediate_q", form_add_immediate_q, ALL, FORM_ABSENT},
    {"or_load_q", form_or_load_q, LOGIC, FORM_ABSENT},
    {"or_store_q", form_or_store_q, LOGIC, FORM_ABSENT},
    {"or_immediate_q", form_or_immediate_q, LOGIC, FORM_ABSENT},
    {"adc_load_q", form_adc_load_q, ALL, FORM_ABSENT},
    {"adc_store_q", form_adc_store_q, ALL, FORM_ABSENT},
    {"adc_immediate_q", form_adc_immediate_q, ALL, FORM_ABSENT},
    {"sbb_load_q", form_sbb_load_q, ALL, FORM_ABSENT},
    {"sbb_store_q", form_sbb_store_q, ALL, FORM_ABSENT},
    {"sbb_immediate_q", form_sbb_immediate_q, ALL, FORM_ABSENT},
    {"and_load_q", form_and_load_q, LOGIC, FORM_ABSENT},
    {"and_store_q", form_and_store_q, LOGIC, FORM_ABSENT},
    {"and_immediate_q", form_and_immediate_q, LOGIC, FORM_ABSENT},
    {"sub_load_q", form_sub_load_q, ALL, FORM_ABSENT},
    {"sub_store_q", form_sub_store_q, ALL, FORM_ABSENT},
    {"sub_immediate_q", form_sub_immediate_q, ALL, FORM_ABSENT},
    {"xor_load_q", form_xor_load_q, LOGIC, FORM_ABSENT},
    {"xor_store_q", form_xor_store_q, LOGIC, FORM_ABSENT},
    {"xor_immediate_q", form_xor_immediate_q, LOGIC, FORM_ABSENT},
    {"cmp_load_q", form_cmp_load_q, ALL, FORM_ABSENT},
    {"cmp_store_q", form_cmp_store_q, ALL, FORM_ABSENT},
    {"cmp_immediate_q", form_cmp_immediate_q, ALL, FORM_ABSENT},
    {"mov_load_q", form_mov_load_q, ALL, FORM_ABSENT},
    {"mov_store_q", form_mov_store_q, ALL, FORM_ABSENT},
    {"mov_immediate_q", form_mov_immediate_q, ALL, FORM_ABSENT},
    {"movslq", form_movslq, ALL, FORM_ABSENT},
    {"movzbq", form_movzbq, ALL, FORM_ABSENT},
    {"movsbq", form_movsbq, ALL, FORM_ABSENT},
    {"movswq", form_movswq, ALL, FORM_ABSENT},
    {"xchg_q", form_xchg_q, ALL, FORM_ABSENT},
    {"xadd_q", form_xadd_q, ALL, FORM_ABSENT},
    {"cmpxchg_q", form_cmpxchg_q, ALL, FORM_ABSENT},
    {"neg_q", form_neg_q, ALL, FORM_ABSENT},
    {"inc_q", form_inc_q, ALL, FORM_ABSENT},
    {"shl_q", form_shl_q, SHIFT1, FORM_ABSENT},
    {"bts_q", form_bts_q, CARRY, FORM_ABSENT},
    {"mul_q", form_mul_q, CARRY|OVERFLOW, FORM_ABSENT},
    {"lodsq", form_lodsq, ALL, FORM_ABSENT},
    {"stosq", form_stosq, ALL, FORM_ABSENT},
    {"movl_r8", form_movl_r8, ALL, FORM_REGISTER},
    {"mov_sib", form_mov_sib, ALL, FORM_REGISTER},
    {"addr32", form_addr32, ALL, FORM_REGISTER},
    {"movbe_q", form_movbe_q, ALL, FORM_ABSENT},
    {NULL, NULL, 0, 0},
};
