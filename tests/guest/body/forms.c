/* SPDX-License-Identifier: ISC */
/* Forms of all modes; see forms.h. */
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
FORM(add_store, "addl %eax, " M "");
FORM(add_load, "addl " M ", %eax");
FORM(add_immediate, "addl $0x12345678, " M "");
FORM(add_byte, "addl $-5, " M "");
FORM(or_store, "orl %eax, " M "");
FORM(or_load, "orl " M ", %eax");
FORM(or_immediate, "orl $0x12345678, " M "");
FORM(or_byte, "orl $-5, " M "");
FORM(adc_store, "adcl %eax, " M "");
FORM(adc_load, "adcl " M ", %eax");
FORM(adc_immediate, "adcl $0x12345678, " M "");
FORM(adc_byte, "adcl $-5, " M "");
FORM(sbb_store, "sbbl %eax, " M "");
FORM(sbb_load, "sbbl " M ", %eax");
FORM(sbb_immediate, "sbbl $0x12345678, " M "");
FORM(sbb_byte, "sbbl $-5, " M "");
FORM(and_store, "andl %eax, " M "");
FORM(and_load, "andl " M ", %eax");
FORM(and_immediate, "andl $0x12345678, " M "");
FORM(and_byte, "andl $-5, " M "");
FORM(sub_store, "subl %eax, " M "");
FORM(sub_load, "subl " M ", %eax");
FORM(sub_immediate, "subl $0x12345678, " M "");
FORM(sub_byte, "subl $-5, " M "");
FORM(xor_store, "xorl %eax, " M "");
FORM(xor_load, "xorl " M ", %eax");
FORM(xor_immediate, "xorl $0x12345678, " M "");
FORM(xor_byte, "xorl $-5, " M "");
FORM(cmp_store, "cmpl %eax, " M "");
FORM(cmp_load, "cmpl " M ", %eax");
FORM(cmp_immediate, "cmpl $0x12345678, " M "");
FORM(cmp_byte, "cmpl $-5, " M "");
FORM(lock_add, "lock; addl %eax, " M "");
FORM(lock_or, "lock; orl %eax, " M "");
FORM(lock_adc, "lock; adcl %eax, " M "");
FORM(lock_sbb, "lock; sbbl %eax, " M "");
FORM(lock_and, "lock; andl %eax, " M "");
FORM(lock_sub, "lock; subl %eax, " M "");
FORM(lock_xor, "lock; xorl %eax, " M "");
FORM(test_register, "testl %eax, " M "");
FORM(test_immediate, "testl $0x80000001, " M "");
FORM(mov_load, "movl " M ", %eax");
FORM(mov_store, "movl %eax, " M "");
FORM(mov_immediate, "movl $0x89abcdef, " M "");
FORM(inc, "incl " M "");
FORM(dec, "decl " M "");
FORM(neg, "negl " M "");
FORM(not, "notl " M "");
FORM(rol_one, "roll " M "");
FORM(rol_five, "roll $5, " M "");
FORM(rol_cl, "roll %cl, " M "");
FORM(ror_one, "rorl " M "");
FORM(ror_five, "rorl $5, " M "");
FORM(ror_cl, "rorl %cl, " M "");
FORM(rcl_one, "rcll " M "");
FORM(rcl_five, "rcll $5, " M "");
FORM(rcl_cl, "rcll %cl, " M "");
FORM(rcr_one, "rcrl " M "");
FORM(rcr_five, "rcrl $5, " M "");
FORM(rcr_cl, "rcrl %cl, " M "");
FORM(shl_one, "shll " M "");
FORM(shl_five, "shll $5, " M "");
FORM(shl_cl, "andb $15, %cl\n incb %cl\n shll %cl, " M "");
FORM(shr_one, "shrl " M "");
FORM(shr_five, "shrl $5, " M "");
FORM(shr_cl, "andb $15, %cl\n incb %cl\n shrl %cl, " M "");
FORM(sar_one, "sarl " M "");
FORM(sar_five, "sarl $5, " M "");
FORM(sar_cl, "andb $15, %cl\n incb %cl\n sarl %cl, " M "");
FORM(shld_immediate, "shldl $7, %eax, " M "");
FORM(shld_cl, "andb $15, %cl\n incb %cl\n shldl %cl, %eax, " M "");
FORM(shrd_immediate, "shrdl $7, %eax, " M "");
FORM(shrd_cl, "andb $15, %cl\n incb %cl\n shrdl %cl, %eax, " M "");
FORM(xchg, "xchgl %eax, " M "");
FORM(xadd, "xaddl %eax, " M "");
FORM(lock_xadd, "lock; xaddl %eax, " M "");
FORM(cmpxchg_other, "cmpxchgl %ecx, " M "");
FORM(cmpxchg_equal, "movl " M ", %eax\n lock; cmpxchgl %ecx, " M "");
FORM(bt_immediate, "btl $17, " M "");
FORM(bt_register, "andl $31, %ecx\n btl %ecx, " M "");
FORM(bts_immediate, "btsl $17, " M "");
FORM(bts_register, "andl $31, %ecx\n btsl %ecx, " M "");
FORM(btr_immediate, "btrl $17, " M "");
FORM(btr_register, "andl $31, %ecx\n btrl %ecx, " M "");
FORM(btc_immediate, "btcl $17, " M "");
FORM(btc_register, "andl $31, %ecx\n btcl %ecx, " M "");
FORM(lock_bts, "lock; btsl $3, " M "");
FORM(bsf, "bsfl " M ", %eax");
FORM(bsr, "bsrl " M ", %eax");
FORM(popcnt, "popcntl " M ", %eax");
FORM(tzcnt, "tzcntl " M ", %eax");
FORM(lzcnt, "lzcntl " M ", %eax");
FORM(mul, "mull " M "");
FORM(imul, "imull " M "");
FORM(imul_register, "imull " M ", %eax");
FORM(imul_immediate, "imull $1234, " M ", %eax");
FORM(div, "movl $0, %edx\n orl $1, " M "\n divl " M "");
FORM(idiv, "movl $0, %edx\n shrl %eax\n orl $3, " M "\n idivl " M "");
FORM(cmovc, "cmovcl " M ", %eax");
FORM(cmovg, "cmovgl " M ", %eax");
FORM(lods, AS "lodsl");
FORM(stos, "mov" W " " SI ", " DI "\n " AS "stosl");
FORM(movs_from, "sub" W " $8, " SP "\n mov" W " " SP ", " DI "\n " AS "movsl\n mov" W " -4(" DI "), " A "\n add" W " $8, " SP "");
FORM(movs_to, "push" W " " A "\n mov" W " " SI ", " DI "\n mov" W " " SP ", " SI "\n " AS "movsl\n pop" W " " A "");
FORM(scas, "mov" W " " SI ", " DI "\n " AS "scasl");
FORM(cmps, "push" W " " A "\n mov" W " " SP ", " DI "\n " AS "cmpsl\n pop" W " " A "");
FORM(mov_load_b, "movb " M ", %al");
FORM(mov_store_b, "movb %al, " M "");
FORM(mov_immediate_b, "movb $0x5a, " M "");
FORM(add_load_b, "addb " M ", %al");
FORM(add_store_b, "addb %al, " M "");
FORM(add_immediate_b, "addb $0x21, " M "");
FORM(or_load_b, "orb " M ", %al");
FORM(or_store_b, "orb %al, " M "");
FORM(or_immediate_b, "orb $0x21, " M "");
FORM(adc_load_b, "adcb " M ", %al");
FORM(adc_store_b, "adcb %al, " M "");
FORM(adc_immediate_b, "adcb $0x21, " M "");
FORM(sbb_load_b, "sbbb " M ", %al");
FORM(sbb_store_b, "sbbb %al, " M "");
FORM(sbb_immediate_b, "sbbb $0x21, " M "");
FORM(and_load_b, "andb " M ", %al");
FORM(and_store_b, "andb %al, " M "");
FORM(and_immediate_b, "andb $0x21, " M "");
FORM(sub_load_b, "subb " M ", %al");
FORM(sub_store_b, "subb %al, " M "");
FORM(sub_immediate_b, "subb $0x21, " M "");
FORM(xor_load_b, "xorb " M ", %al");
FORM(xor_store_b, "xorb %al, " M "");
FORM(xor_immediate_b, "xorb $0x21, " M "");
FORM(cmp_load_b, "cmpb " M ", %al");
FORM(cmp_store_b, "cmpb %al, " M "");
FORM(cmp_immediate_b, "cmpb $0x21, " M "");
FORM(test_b, "testb %al, " M "");
FORM(inc_b, "incb " M "");
FORM(dec_b, "decb " M "");
FORM(neg_b, "negb " M "");
FORM(not_b, "notb " M "");
FORM(shl_b, "shlb " M "");
FORM(sar_b, "sarb $3, " M "");
FORM(rcr_b, "rcrb " M "");
FORM(xchg_b, "xchgb %al, " M "");
FORM(xadd_b, "xaddb %al, " M "");
FORM(cmpxchg_b, "cmpxchgb %cl, " M "");
FORM(mul_b, "mulb " M "");
FORM(mov_load_w, "movw " M ", %ax");
FORM(mov_store_w, "movw %ax, " M "");
FORM(mov_immediate_w, "movw $0x5a, " M "");
FORM(add_load_w, "addw " M ", %ax");
FORM(add_store_w, "addw %ax, " M "");
FORM(add_immediate_w, "addw $0x21, " M "");
FORM(or_load_w, "orw " M ", %ax");
FORM(or_store_w, "orw %ax, " M "");
FORM(or_immediate_w, "orw $0x21, " M "");
FORM(adc_load_w, "adcw " M ", %ax");
FORM(adc_store_w, "adcw %ax, " M "");
FORM(adc_immediate_w, "adcw $0x21, " M "");
FORM(sbb_load_w, "sbbw " M ", %ax");
FORM(sbb_store_w, "sbbw %ax, " M "");
FORM(sbb_immediate_w, "sbbw $0x21, " M "");
FORM(and_load_w, "andw " M ", %ax");
FORM(and_store_w, "andw %ax, " M "");
FORM(and_immediate_w, "andw $0x21, " M "");
FORM(sub_load_w, "subw " M ", %ax");
FORM(sub_store_w, "subw %ax, " M "");
FORM(sub_immediate_w, "subw $0x21, " M "");
FORM(xor_load_w, "xorw " M ", %ax");
FORM(xor_store_w, "xorw %ax, " M "");
FORM(xor_immediate_w, "xorw $0x21, " M "");
FORM(cmp_load_w, "cmpw " M ", %ax");
FORM(cmp_store_w, "cmpw %ax, " M "");
FORM(cmp_immediate_w, "cmpw $0x21, " M "");
FORM(test_w, "testw %ax, " M "");
FORM(inc_w, "incw " M "");
FORM(dec_w, "decw " M "");
FORM(neg_w, "negw " M "");
FORM(not_w, "notw " M "");
FORM(shl_w, "shlw " M "");
FORM(sar_w, "sarw $3, " M "");
FORM(rcr_w, "rcrw " M "");
FORM(xchg_w, "xchgw %ax, " M "");
FORM(xadd_w, "xaddw %ax, " M "");
FORM(cmpxchg_w, "cmpxchgw %cx, " M "");
FORM(mul_w, "mulw " M "");
FORM(movzbw, "movzbw " M ", %ax");
FORM(movsbw, "movsbw " M ", %ax");
FORM(movzbl, "movzbl " M ", %eax");
FORM(movsbl, "movsbl " M ", %eax");
FORM(movzwl, "movzwl " M ", %eax");
FORM(movswl, "movswl " M ", %eax");
FORM(setc, "setc " M "");
FORM(setle, "setle " M "");
FORM(bts_w, "btsw $9, " M "");
FORM(cmpxchg8b, "push" W " " B "\n mov $7, %ebx\n cmpxchg8b " M "\n pop" W " " B "");
FORM(push, "push" W " " M "\n pop" W " " A "");
FORM(pop, "push" W " " A "\n pop" W " " M "");
FORM(clflush, "clflush " M "");
FORM(clflushopt, "clflushopt " M "");
FORM(smsw, "smsw " M "");
FORM(mov_segment, "movw %ds, " M "");
FORM(rep_lodsb, "movl $5, %ecx\n " AS "rep; lodsb");
FORM(rep_stosb, "mov" W " " SI ", " DI "\n movl $5, %ecx\n " AS "rep; stosb");
FORM(repe_scasb, "mov" W " " SI ", " DI "\n movl $7, %ecx\n " AS "repe; scasb");
FORM(repne_scasb, "mov" W " " SI ", " DI "\n movl $7, %ecx\n " AS "repne; scasb");
FORM(std_lodsb, "std\n " AS "lodsb");
FORM(rep_lodsw, "movl $5, %ecx\n " AS "rep; lodsw");
FORM(rep_stosw, "mov" W " " SI ", " DI "\n movl $5, %ecx\n " AS "rep; stosw");
FORM(repe_scasw, "mov" W " " SI ", " DI "\n movl $7, %ecx\n " AS "repe; scasw");
FORM(repne_scasw, "mov" W " " SI ", " DI "\n movl $7, %ecx\n " AS "repne; scasw");
FORM(std_lodsw, "std\n " AS "lodsw");
FORM(rep_lodsl, "movl $5, %ecx\n " AS "rep; lodsl");
FORM(rep_stosl, "mov" W " " SI ", " DI "\n movl $5, %ecx\n " AS "rep; stosl");
FORM(repe_scasl, "mov" W " " SI ", " DI "\n movl $7, %ecx\n " AS "repe; scasl");
FORM(repne_scasl, "mov" W " " SI ", " DI "\n movl $7, %ecx\n " AS "repne; scasl");
FORM(std_lodsl, "std\n " AS "lodsl");

const struct form forms[] = {
    {"add_store", form_add_store, ALL, FORM_REGISTER},
    {"add_load", form_add_load, ALL, FORM_REGISTER},
    {"add_immediate", form_add_immediate, ALL, FORM_REGISTER},
    {"add_byte", form_add_byte, ALL, FORM_REGISTER},
    {"or_store", form_or_store, LOGIC, FORM_REGISTER},
    {"or_load", form_or_load, LOGIC, FORM_REGISTER},
    {"or_immediate", form_or_immediate, LOGIC, FORM_REGISTER},
    {"or_byte", form_or_byte, LOGIC, FORM_REGISTER},
    {"adc_store", form_adc_store, ALL, FORM_REGISTER},
    {"adc_load", form_adc_load, ALL, FORM_REGISTER},
    {"adc_immediate", form_adc_immediate, ALL, FORM_REGISTER},
    {"adc_byte", form_adc_byte, ALL, FORM_REGISTER},
    {"sbb_store", form_sbb_store, ALL, FORM_REGISTER},
    {"sbb_load", form_sbb_load, ALL, FORM_REGISTER},
    {"sbb_immediate", form_sbb_immediate, ALL, FORM_REGISTER},
    {"sbb_byte", form_sbb_byte, ALL, FORM_REGISTER},
    {"and_store", form_and_store, LOGIC, FORM_REGISTER},
    {"and_load", form_and_load, LOGIC, FORM_REGISTER},
    {"and_immediate", form_and_immediate, LOGIC, FORM_REGISTER},
    {"and_byte", form_and_byte, LOGIC, FORM_REGISTER},
    {"sub_store", form_sub_store, ALL, FORM_REGISTER},
    {"sub_load", form_sub_load, ALL, FORM_REGISTER},
    {"sub_immediate", form_sub_immediate, ALL, FORM_REGISTER},
    {"sub_byte", form_sub_byte, ALL, FORM_REGISTER},
    {"xor_store", form_xor_store, LOGIC, FORM_REGISTER},
    {"xor_load", form_xor_load, LOGIC, FORM_REGISTER},
    {"xor_immediate", form_xor_immediate, LOGIC, FORM_REGISTER},
    {"xor_byte", form_xor_byte, LOGIC, FORM_REGISTER},
    {"cmp_store", form_cmp_store, ALL, FORM_REGISTER},
    {"cmp_load", form_cmp_load, ALL, FORM_REGISTER},
    {"cmp_immediate", form_cmp_immediate, ALL, FORM_REGISTER},
    {"cmp_byte", form_cmp_byte, ALL, FORM_REGISTER},
    {"lock_add", form_lock_add, ALL, FORM_REGISTER},
    {"lock_or", form_lock_or, LOGIC, FORM_REGISTER},
    {"lock_adc", form_lock_adc, ALL, FORM_REGISTER},
    {"lock_sbb", form_lock_sbb, ALL, FORM_REGISTER},
    {"lock_and", form_lock_and, LOGIC, FORM_REGISTER},
    {"lock_sub", form_lock_sub, ALL, FORM_REGISTER},
    {"lock_xor", form_lock_xor, LOGIC, FORM_REGISTER},
    {"test_register", form_test_register, LOGIC, FORM_REGISTER},
    {"test_immediate", form_test_immediate, LOGIC, FORM_REGISTER},
    {"mov_load", form_mov_load, ALL, FORM_REGISTER},
    {"mov_store", form_mov_store, ALL, FORM_REGISTER},
    {"mov_immediate", form_mov_immediate, ALL, FORM_REGISTER},
    {"inc", form_inc, ALL, FORM_REGISTER},
    {"dec", form_dec, ALL, FORM_REGISTER},
    {"neg", form_neg, ALL, FORM_REGISTER},
    {"not", form_not, ALL, FORM_REGISTER},
    {"rol_one", form_rol_one, ROTATE1, FORM_REGISTER},
    {"rol_five", form_rol_five, ROTATE, FORM_REGISTER},
    {"rol_cl", form_rol_cl, ROTATE, FORM_REGISTER},
    {"ror_one", form_ror_one, ROTATE1, FORM_REGISTER},
    {"ror_five", form_ror_five, ROTATE, FORM_REGISTER},
    {"ror_cl", form_ror_cl, ROTATE, FORM_REGISTER},
    {"rcl_one", form_rcl_one, ROTATE1, FORM_REGISTER},
    {"rcl_five", form_rcl_five, ROTATE, FORM_REGISTER},
    {"rcl_cl", form_rcl_cl, ROTATE, FORM_REGISTER},
    {"rcr_one", form_rcr_one, ROTATE1, FORM_REGISTER},
    {"rcr_five", form_rcr_five, ROTATE, FORM_REGISTER},
    {"rcr_cl", form_rcr_cl, ROTATE, FORM_REGISTER},
    {"shl_one", form_shl_one, SHIFT1, FORM_REGISTER},
    {"shl_five", form_shl_five, SHIFT, FORM_REGISTER},
    {"shl_cl", form_shl_cl, SHIFT, FORM_REGISTER},
    {"shr_one", form_shr_one, SHIFT1, FORM_REGISTER},
    {"shr_five", form_shr_five, SHIFT, FORM_REGISTER},
    {"shr_cl", form_shr_cl, SHIFT, FORM_REGISTER},
    {"sar_one", form_sar_one, SHIFT1, FORM_REGISTER},
    {"sar_five", form_sar_five, SHIFT, FORM_REGISTER},
    {"sar_cl", form_sar_cl, SHIFT, FORM_REGISTER},
    {"shld_immediate", form_shld_immediate, SHIFT, FORM_REGISTER},
    {"shld_cl", form_shld_cl, SHIFT, FORM_REGISTER},
    {"shrd_immediate", form_shrd_immediate, SHIFT, FORM_REGISTER},
    {"shrd_cl", form_shrd_cl, SHIFT, FORM_REGISTER},
    {"xchg", form_xchg, ALL, FORM_REGISTER},
    {"xadd", form_xadd, ALL, FORM_REGISTER},
    {"lock_xadd", form_lock_xadd, ALL, FORM_REGISTER},
    {"cmpxchg_other", form_cmpxchg_other, ALL, FORM_REGISTER},
    {"cmpxchg_equal", form_cmpxchg_equal, ALL, FORM_REGISTER},
    {"bt_immediate", form_bt_immediate, CARRY, FORM_REGISTER},
    {"bt_register", form_bt_register, CARRY, FORM_REGISTER},
    {"bts_immediate", form_bts_immediate, CARRY, FORM_REGISTER},
    {"bts_register", form_bts_register, CARRY, FORM_REGISTER},
    {"btr_immediate", form_btr_immediate, CARRY, FORM_REGISTER},
    {"btr_register", form_btr_register, CARRY, FORM_REGISTER},
    {"btc_immediate", form_btc_immediate, CARRY, FORM_REGISTER},
    {"btc_register", form_btc_register, CARRY, FORM_REGISTER},
    {"lock_bts", form_lock_bts, CARRY, FORM_REGISTER},
    {"bsf", form_bsf, ZERO, FORM_REGISTER},
    {"bsr", form_bsr, ZERO, FORM_REGISTER},
    {"popcnt", form_popcnt, ALL, FORM_REGISTER},
    {"tzcnt", form_tzcnt, ZERO|CARRY, FORM_REGISTER},
    {"lzcnt", form_lzcnt, ZERO|CARRY, FORM_REGISTER},
    {"mul", form_mul, CARRY|OVERFLOW, FORM_REGISTER},
    {"imul", form_imul, CARRY|OVERFLOW, FORM_REGISTER},
    {"imul_register", form_imul_register, CARRY|OVERFLOW, FORM_REGISTER},
    {"imul_immediate", form_imul_immediate, CARRY|OVERFLOW, FORM_REGISTER},
    {"div", form_div, 0, FORM_REGISTER},
    {"idiv", form_idiv, 0, FORM_REGISTER},
    {"cmovc", form_cmovc, ALL, FORM_REGISTER},
    {"cmovg", form_cmovg, ALL, FORM_REGISTER},
    {"lods", form_lods, ALL, FORM_REGISTER},
    {"stos", form_stos, ALL, FORM_REGISTER},
    {"movs_from", form_movs_from, ALL, FORM_REGISTER},
    {"movs_to", form_movs_to, ALL, FORM_REGISTER},
    {"scas", form_scas, ALL, FORM_REGISTER},
    {"cmps", form_cmps, ALL, FORM_REGISTER},
    {"mov_load_b", form_mov_load_b, ALL, FORM_ABSENT},
    {"mov_store_b", form_mov_store_b, ALL, FORM_ABSENT},
    {"mov_immediate_b", form_mov_immediate_b, ALL, FORM_ABSENT},
    {"add_load_b", form_add_load_b, ALL, FORM_ABSENT},
    {"add_store_b", form_add_store_b, ALL, FORM_ABSENT},
    {"add_immediate_b", form_add_immediate_b, ALL, FORM_ABSENT},
    {"or_load_b", form_or_load_b, LOGIC, FORM_ABSENT},
    {"or_store_b", form_or_store_b, LOGIC, FORM_ABSENT},
    {"or_immediate_b", form_or_immediate_b, LOGIC, FORM_ABSENT},
    {"adc_load_b", form_adc_load_b, ALL, FORM_ABSENT},
    {"adc_store_b", form_adc_store_b, ALL, FORM_ABSENT},
    {"adc_immediate_b", form_adc_immediate_b, ALL, FORM_ABSENT},
    {"sbb_load_b", form_sbb_load_b, ALL, FORM_ABSENT},
    {"sbb_store_b", form_sbb_store_b, ALL, FORM_ABSENT},
    {"sbb_immediate_b", form_sbb_immediate_b, ALL, FORM_ABSENT},
    {"and_load_b", form_and_load_b, LOGIC, FORM_ABSENT},
    {"and_store_b", form_and_store_b, LOGIC, FORM_ABSENT},
    {"and_immediate_b", form_and_immediate_b, LOGIC, FORM_ABSENT},
    {"sub_load_b", form_sub_load_b, ALL, FORM_ABSENT},
    {"sub_store_b", form_sub_store_b, ALL, FORM_ABSENT},
    {"sub_immediate_b", form_sub_immediate_b, ALL, FORM_ABSENT},
    {"xor_load_b", form_xor_load_b, LOGIC, FORM_ABSENT},
    {"xor_store_b", form_xor_store_b, LOGIC, FORM_ABSENT},
    {"xor_immediate_b", form_xor_immediate_b, LOGIC, FORM_ABSENT},
    {"cmp_load_b", form_cmp_load_b, ALL, FORM_ABSENT},
    {"cmp_store_b", form_cmp_store_b, ALL, FORM_ABSENT},
    {"cmp_immediate_b", form_cmp_immediate_b, ALL, FORM_ABSENT},
    {"test_b", form_test_b, LOGIC, FORM_ABSENT},
    {"inc_b", form_inc_b, ALL, FORM_ABSENT},
    {"dec_b", form_dec_b, ALL, FORM_ABSENT},
    {"neg_b", form_neg_b, ALL, FORM_ABSENT},
    {"not_b", form_not_b, ALL, FORM_ABSENT},
    {"shl_b", form_shl_b, SHIFT1, FORM_ABSENT},
    {"sar_b", form_sar_b, SHIFT, FORM_ABSENT},
    {"rcr_b", form_rcr_b, ROTATE1, FORM_ABSENT},
    {"xchg_b", form_xchg_b, ALL, FORM_ABSENT},
    {"xadd_b", form_xadd_b, ALL, FORM_ABSENT},
    {"cmpxchg_b", form_cmpxchg_b, ALL, FORM_ABSENT},
    {"mul_b", form_mul_b, CARRY|OVERFLOW, FORM_ABSENT},
    {"mov_load_w", form_mov_load_w, ALL, FORM_ABSENT},
    {"mov_store_w", form_mov_store_w, ALL, FORM_ABSENT},
    {"mov_immediate_w", form_mov_immediate_w, ALL, FORM_ABSENT},
    {"add_load_w", form_add_load_w, ALL, FORM_ABSENT},
    {"add_store_w", form_add_store_w, ALL, FORM_ABSENT},
    {"add_immediate_w", form_add_immediate_w, ALL, FORM_ABSENT},
    {"or_load_w", form_or_load_w, LOGIC, FORM_ABSENT},
    {"or_store_w", form_or_store_w, LOGIC, FORM_ABSENT},
    {"or_immediate_w", form_or_immediate_w, LOGIC, FORM_ABSENT},
    {"adc_load_w", form_adc_load_w, ALL, FORM_ABSENT},
    {"adc_store_w", form_adc_store_w, ALL, FORM_ABSENT},
    {"adc_immediate_w", form_adc_immediate_w, ALL, FORM_ABSENT},
    {"sbb_load_w", form_sbb_load_w, ALL, FORM_ABSENT},
    {"sbb_store_w", form_sbb_store_w, ALL, FORM_ABSENT},
    {"sbb_immediate_w", form_sbb_immediate_w, ALL, FORM_ABSENT},
    {"and_load_w", form_and_load_w, LOGIC, FORM_ABSENT},
    {"and_store_w", form_and_store_w, LOGIC, FORM_ABSENT},
    {"and_immediate_w", form_and_immediate_w, LOGIC, FORM_ABSENT},
    {"sub_load_w", form_sub_load_w, ALL, FORM_ABSENT},
    {"sub_store_w", form_sub_store_w, ALL, FORM_ABSENT},
    {"sub_immediate_w", form_sub_immediate_w, ALL, FORM_ABSENT},
    {"xor_load_w", form_xor_load_w, LOGIC, FORM_ABSENT},
    {"xor_store_w", form_xor_store_w, LOGIC, FORM_ABSENT},
    {"xor_immediate_w", form_xor_immediate_w, LOGIC, FORM_ABSENT},
    {"cmp_load_w", form_cmp_load_w, ALL, FORM_ABSENT},
    {"cmp_store_w", form_cmp_store_w, ALL, FORM_ABSENT},
    {"cmp_immediate_w", form_cmp_immediate_w, ALL, FORM_ABSENT},
    {"test_w", form_test_w, LOGIC, FORM_ABSENT},
    {"inc_w", form_inc_w, ALL, FORM_ABSENT},
    {"dec_w", form_dec_w, ALL, FORM_ABSENT},
    {"neg_w", form_neg_w, ALL, FORM_ABSENT},
    {"not_w", form_not_w, ALL, FORM_ABSENT},
    {"shl_w", form_shl_w, SHIFT1, FORM_ABSENT},
    {"sar_w", form_sar_w, SHIFT, FORM_ABSENT},
    {"rcr_w", form_rcr_w, ROTATE1, FORM_ABSENT},
    {"xchg_w", form_xchg_w, ALL, FORM_ABSENT},
    {"xadd_w", form_xadd_w, ALL, FORM_ABSENT},
    {"cmpxchg_w", form_cmpxchg_w, ALL, FORM_ABSENT},
    {"mul_w", form_mul_w, CARRY|OVERFLOW, FORM_ABSENT},
    {"movzbw", form_movzbw, ALL, FORM_ABSENT},
    {"movsbw", form_movsbw, ALL, FORM_ABSENT},
    {"movzbl", form_movzbl, ALL, FORM_ABSENT},
    {"movsbl", form_movsbl, ALL, FORM_ABSENT},
    {"movzwl", form_movzwl, ALL, FORM_ABSENT},
    {"movswl", form_movswl, ALL, FORM_ABSENT},
    {"setc", form_setc, ALL, FORM_ABSENT},
    {"setle", form_setle, ALL, FORM_ABSENT},
    {"bts_w", form_bts_w, CARRY, FORM_ABSENT},
    {"cmpxchg8b", form_cmpxchg8b, ALL, FORM_ABSENT},
    {"push", form_push, ALL, FORM_ABSENT},
    {"pop", form_pop, ALL, FORM_ABSENT},
    {"clflush", form_clflush, ALL, FORM_ABSENT},
    {"clflushopt", form_clflushopt, ALL, FORM_ABSENT},
    {"smsw", form_smsw, ALL, FORM_ABSENT},
    {"mov_segment", form_mov_segment, ALL, FORM_ABSENT},
    {"rep_lodsb", form_rep_lodsb, ALL, FORM_ABSENT},
    {"rep_stosb", form_rep_stosb, ALL, FORM_ABSENT},
    {"repe_scasb", form_repe_scasb, ALL, FORM_ABSENT},
    {"repne_scasb", form_repne_scasb, ALL, FORM_ABSENT},
    {"std_lodsb", form_std_lodsb, ALL, FORM_ABSENT},
    {"rep_lodsw", form_rep_lodsw, ALL, FORM_ABSENT},
    {"rep_stosw", form_rep_stosw, ALL, FORM_ABSENT},
    {"repe_scasw", form_repe_scasw, ALL, FORM_ABSENT},
    {"repne_scasw", form_repne_scasw, ALL, FORM_ABSENT},
    {"std_lodsw", form_std_lodsw, ALL, FORM_ABSENT},
    {"rep_lodsl", form_rep_lodsl, ALL, FORM_ABSENT},
    {"rep_stosl", form_rep_stosl, ALL, FORM_ABSENT},
    {"repe_scasl", form_repe_scasl, ALL, FORM_ABSENT},
    {"repne_scasl", form_repne_scasl, ALL, FORM_ABSENT},
    {"std_lodsl", form_std_lodsl, ALL, FORM_ABSENT},
    {NULL, NULL, 0, 0},
};
