/* SPDX-License-Identifier: ISC */
/*
 * What the executor's files share: the state of one execution, operands, and the table rows that bind an
 * opcode to its operands and its handler.
 *
 * An instruction runs on a copy of the processor, which replaces the original only when the instruction is
 * done. So a handler may fault at any point and leaves nothing half changed; it must only do its memory write
 * after every other access that can fault. String instructions alone keep the copy after a fault: their steps
 * change it only when a step is complete.
 */
#ifndef LIB_X86_OPERATION_H
#define LIB_X86_OPERATION_H

#include "lib/x86/x86.h"

/* Returns from the calling handler unless the expression is X86_DONE. */
#define DO(expression)                                                                                       \
    do {                                                                                                     \
        enum x86_result do_result = (expression);                                                            \
        if (do_result != X86_DONE)                                                                           \
            return do_result;                                                                                \
    } while (0)

/* Where an operand comes from, by the letters of the opcode maps. */
enum operand_source {
    SOURCE_NONE,
    SOURCE_E,   /* ModRM.rm: register or memory */
    SOURCE_E8,  /* the same, but a byte */
    SOURCE_E16, /* a word */
    SOURCE_E32, /* a doubleword */
    SOURCE_G,   /* ModRM.reg */
    SOURCE_Z,   /* the low bits of the opcode */
    SOURCE_A,   /* accumulator */
    SOURCE_I,   /* immediate */
    SOURCE_ONE, /* the constant 1 */
    SOURCE_CL,  /* the register CL */
    SOURCE_O    /* memory at a direct offset */
};

enum operand_kind { OPERAND_REGISTER, OPERAND_MEMORY, OPERAND_CONSTANT };

struct operand {
    uint8_t kind;    /* enum operand_kind */
    uint8_t size;    /* in bytes */
    uint8_t reg;     /* register number; AH to BH are 16 to 19 */
    uint8_t segment; /* of memory */
    uint64_t value;  /* constant, or offset within the segment */
};

struct execution {
    struct x86_cpu cpu; /* the copy */
    uint64_t next_rip;  /* where execution goes on when the instruction is done */
    const struct x86_insn *insn;
    const struct x86_ops *ops;
    void *context;
    struct x86_fault *fault;
    struct operand destination;
    struct operand source;
};

struct operation;
typedef enum x86_result operation_run(struct execution *x, const struct operation *operation);

#define OPERATION_LOCK   (1u << 0) /* LOCK is allowed with a memory destination */
#define OPERATION_MEMORY (1u << 1) /* ModRM must be a memory operand, else #UD */
#define OPERATION_NO_REP (1u << 2) /* F2 and F3 make it another instruction, which is not known */
#define OPERATION_NO_66  (1u << 3) /* so does 66 */
#define OPERATION_STRING (1u << 4) /* state survives a fault */

/* One opcode. Either run is set, or group: eight rows by ModRM.reg. A row of zeros is not known. */
struct operation {
    operation_run *run;
    const struct operation *group;
    uint8_t destination; /* enum operand_source */
    uint8_t source;
    uint8_t argument; /* for a handler that serves several opcodes */
    uint8_t flags;
};

enum alu_argument { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST };
enum unary_argument { UNARY_NOT, UNARY_NEG, UNARY_INC, UNARY_DEC };
enum shift_argument {
    SHIFT_ROL,
    SHIFT_ROR,
    SHIFT_RCL,
    SHIFT_RCR,
    SHIFT_SHL,
    SHIFT_SHR,
    SHIFT_SHL2,
    SHIFT_SAR
};
enum bit_argument { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };
enum direction_argument { DIRECTION_LEFT, DIRECTION_RIGHT }; /* SHLD, BSF; SHRD, BSR */
enum string_argument {
    STRING_MOVS,
    STRING_CMPS,
    STRING_STOS,
    STRING_LODS,
    STRING_SCAS,
    STRING_INS,
    STRING_OUTS
};
enum flag_argument { FLAG_CLC, FLAG_STC, FLAG_CMC, FLAG_CLD, FLAG_STD };
enum loop_argument { LOOP_NE, LOOP_E, LOOP_ALWAYS, LOOP_JCXZ };

/* ---- operand.c ---- */

/* By the processor's linear address width: 48 bits, or 57 with CR4.LA57. */
bool x86_is_canonical(const struct x86_cpu *cpu, uint64_t linear);

uint64_t x86_size_mask(unsigned size);
uint64_t x86_sign_extend(uint64_t value, unsigned size);

/* Fills in the fault and returns X86_FAULT. The error code is left out in real mode. */
enum x86_result x86_raise(struct execution *x, enum x86_vector vector, uint32_t error);
enum x86_result x86_raise_undefined(struct execution *x);

uint64_t x86_register_read(const struct execution *x, unsigned reg, unsigned size);
void x86_register_write(struct execution *x, unsigned reg, unsigned size, uint64_t value);

/* Memory at an offset in a segment, after all checks of segmentation. */
enum x86_result x86_memory_read(struct execution *x, unsigned segment, uint64_t offset, unsigned size,
                                enum x86_access access, uint64_t *value);
enum x86_result x86_memory_write(struct execution *x, unsigned segment, uint64_t offset, unsigned size,
                                 uint64_t value);
/* The linear address of so many bytes, if segmentation and alignment allow the access. */
enum x86_result x86_memory_check(struct execution *x, unsigned segment, uint64_t offset, unsigned size,
                                 bool write, uint64_t *linear);
enum x86_result x86_memory_probe_write(struct execution *x, unsigned segment, uint64_t offset, unsigned size);
enum x86_result x86_memory_touch(struct execution *x, unsigned segment, uint64_t offset);

uint64_t x86_effective_address(const struct execution *x);
struct operand x86_operand_resolve(const struct execution *x, enum operand_source source);

enum x86_result x86_operand_read(struct execution *x, const struct operand *operand, uint64_t *value);
enum x86_result x86_operand_write(struct execution *x, const struct operand *operand, uint64_t value);

/*
 * A read with a write to follow, and that write. With a LOCK prefix, or locked true, the write is a compare
 * and exchange where the caller offers one.
 */
enum x86_result x86_operand_read_modify(struct execution *x, const struct operand *operand, uint64_t *value);
enum x86_result x86_operand_write_modify(struct execution *x, const struct operand *operand, bool locked,
                                         uint64_t old, uint64_t value);

enum x86_result x86_stack_push(struct execution *x, unsigned size, uint64_t value);
enum x86_result x86_stack_pop(struct execution *x, unsigned size, uint64_t *value);
void x86_stack_set(struct execution *x, uint64_t top);
uint64_t x86_stack_top(const struct execution *x);
/* An offset cut to the width of the stack pointer. */
uint64_t x86_stack_address(const struct execution *x, uint64_t offset);
void x86_stack_release(struct execution *x, uint64_t bytes);

/* ---- alu.c ---- */

/* Sets CF, PF, AF, ZF, SF, OF as the operation does, and returns the result, cut to size. */
uint64_t x86_alu_compute(enum alu_argument operation, unsigned size, uint64_t a, uint64_t b,
                         uint64_t *rflags);
/* ZF, SF and PF of a result. */
void x86_flags_set_result(uint64_t *rflags, unsigned size, uint64_t result);
void x86_flag_assign(uint64_t *rflags, uint64_t flag, bool value);
/* The condition of Jcc, SETcc and CMOVcc by the low four bits of their opcode. */
bool x86_condition_holds(uint64_t rflags, unsigned code);

/* Is memory at an offset in a segment of 64-bit mode aligned to a power of two? */
bool x86_memory_is_aligned(const struct execution *x, const struct operand *operand, unsigned alignment);

/* The write of CMPXCHG16B; whoever calls it knows that there is a callback for a locked one. */
enum x86_result x86_memory_exchange16(struct execution *x, const struct operand *operand,
                                      const uint64_t old[2], const uint64_t value[2]);

/* ---- stack.c ---- */

/* Faults unless count pushes of size bytes each will succeed, as far as can be known. */
enum x86_result x86_stack_reserve(struct execution *x, unsigned size, unsigned count);

/* ---- flags.c ---- */

/* What POPF and IRET do to RFLAGS at the present privilege. */
void x86_flags_load(struct execution *x, unsigned size, uint64_t value);

/* ---- real.c ---- */

/* X86_UNSUPPORTED where a descriptor would have to be read. */
enum x86_result x86_segment_load(struct execution *x, unsigned segment, uint16_t selector);

/* ---- port.c ---- */

/* #GP(0) unless CPL, IOPL and the permission bitmap allow the access. */
enum x86_result x86_port_check(struct execution *x, uint16_t port, unsigned size);

/* ---- handlers ---- */

/* alu.c */
operation_run x86_run_alu, x86_run_unary, x86_run_xadd, x86_run_cmpxchg, x86_run_cmpxchg8b, x86_run_flag;

/* shift.c */
operation_run x86_run_shift, x86_run_double_shift;

/* multiply.c */
operation_run x86_run_multiply, x86_run_imul, x86_run_divide, x86_run_convert_a, x86_run_convert_d;

/* bit.c */
operation_run x86_run_bit, x86_run_bit_scan, x86_run_popcnt, x86_run_bswap;

/* move.c */
operation_run x86_run_mov, x86_run_movnti, x86_run_movsx, x86_run_movbe, x86_run_mov_from_segment,
    x86_run_xchg, x86_run_lea, x86_run_cmov, x86_run_setcc, x86_run_nop, x86_run_lahf, x86_run_sahf,
    x86_run_xlat, x86_run_flush, x86_run_smsw;

/* branch.c */
operation_run x86_run_jump, x86_run_jcc, x86_run_call, x86_run_return, x86_run_loop;

/* stack.c */
operation_run x86_run_push, x86_run_pop, x86_run_leave, x86_run_push_segment, x86_run_pop_segment,
    x86_run_pusha, x86_run_popa, x86_run_enter;

/* flags.c */
operation_run x86_run_pushf, x86_run_popf, x86_run_interrupt_flag;

/* decimal.c */
operation_run x86_run_ascii_adjust, x86_run_ascii_multiply, x86_run_decimal_adjust, x86_run_salc;

/* real.c */
operation_run x86_run_mov_to_segment, x86_run_load_far, x86_run_far_branch, x86_run_far_return,
    x86_run_interrupt_return, x86_run_interrupt, x86_run_bound;

/* string.c */
operation_run x86_run_string;

/* port.c */
operation_run x86_run_in, x86_run_out;

#endif
