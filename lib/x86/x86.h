/* SPDX-License-Identifier: ISC */
/*
 * x86 instructions in software: a decoder, an executor and a walker of guest page tables.
 *
 * A monitor uses them where the hardware hands it an instruction instead of its effect: accesses to device
 * memory and, depending on the processor, ports. Everything is a pure function of its arguments; memory,
 * ports and their faults come from callbacks, so that the same code runs under the tests and in the monitor.
 * The instruction bytes, the register state and the page tables belong to the guest and are taken to be
 * hostile: no input reads outside a buffer, and one call does a bounded amount of work.
 *
 * Manuals: AMD64 APM vol. 2 (system) and vol. 3 (instructions), Intel SDM vol. 2 and vol. 3.
 */
#ifndef LIB_X86_X86_H
#define LIB_X86_X86_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define X86_MUST_USE __attribute__((warn_unused_result))

/* General registers in the order of their encoding (APM vol. 3, 1.4.2). */
enum x86_register {
    X86_RAX,
    X86_RCX,
    X86_RDX,
    X86_RBX,
    X86_RSP,
    X86_RBP,
    X86_RSI,
    X86_RDI,
    X86_R8,
    X86_R9,
    X86_R10,
    X86_R11,
    X86_R12,
    X86_R13,
    X86_R14,
    X86_R15,
    X86_GPR_COUNT,
    X86_REGISTER_NONE = 0xff
};

/* Segment registers in the order of their encoding. */
enum x86_segment_register { X86_ES, X86_CS, X86_SS, X86_DS, X86_FS, X86_GS, X86_SEGMENT_COUNT };

/* Exception vectors that the executor raises itself (APM vol. 2, 8.2). */
enum x86_vector {
    X86_VECTOR_DE = 0,
    X86_VECTOR_BP = 3,
    X86_VECTOR_OF = 4,
    X86_VECTOR_BR = 5,
    X86_VECTOR_UD = 6,
    X86_VECTOR_SS = 12,
    X86_VECTOR_GP = 13,
    X86_VECTOR_PF = 14,
    X86_VECTOR_AC = 17
};

#define X86_RFLAGS_CF   (1ull << 0)
#define X86_RFLAGS_ONE  (1ull << 1)
#define X86_RFLAGS_PF   (1ull << 2)
#define X86_RFLAGS_AF   (1ull << 4)
#define X86_RFLAGS_ZF   (1ull << 6)
#define X86_RFLAGS_SF   (1ull << 7)
#define X86_RFLAGS_TF   (1ull << 8)
#define X86_RFLAGS_IF   (1ull << 9)
#define X86_RFLAGS_DF   (1ull << 10)
#define X86_RFLAGS_OF   (1ull << 11)
#define X86_RFLAGS_IOPL (3ull << 12)
#define X86_RFLAGS_NT   (1ull << 14)
#define X86_RFLAGS_RF   (1ull << 16)
#define X86_RFLAGS_VM   (1ull << 17)
#define X86_RFLAGS_AC   (1ull << 18)
#define X86_RFLAGS_VIF  (1ull << 19)
#define X86_RFLAGS_VIP  (1ull << 20)
#define X86_RFLAGS_ID   (1ull << 21)

#define X86_CR0_PE (1ull << 0)
#define X86_CR0_WP (1ull << 16)
#define X86_CR0_AM (1ull << 18)
#define X86_CR0_PG (1ull << 31)

#define X86_CR4_VME  (1ull << 0)
#define X86_CR4_PVI  (1ull << 1)
#define X86_CR4_PSE  (1ull << 4)
#define X86_CR4_PAE  (1ull << 5)
#define X86_CR4_UMIP (1ull << 11)
#define X86_CR4_LA57 (1ull << 12)
#define X86_CR4_SMEP (1ull << 20)
#define X86_CR4_SMAP (1ull << 21)

#define X86_EFER_LME (1ull << 8)
#define X86_EFER_LMA (1ull << 10)
#define X86_EFER_NXE (1ull << 11)

/* Segment attributes as in the VMCB: descriptor bits 55:52 and 47:40 put together (APM vol. 2, 15.5.1). */
#define X86_SEGMENT_ACCESSED (1u << 0)
#define X86_SEGMENT_WRITABLE (1u << 1) /* data; in a code segment: readable */
#define X86_SEGMENT_EXPAND   (1u << 2) /* data: expand-down; code: conforming */
#define X86_SEGMENT_CODE     (1u << 3)
#define X86_SEGMENT_S        (1u << 4)
#define X86_SEGMENT_DPL      (3u << 5)
#define X86_SEGMENT_PRESENT  (1u << 7)
#define X86_SEGMENT_LONG     (1u << 9)
#define X86_SEGMENT_BIG      (1u << 10)
#define X86_SEGMENT_4K       (1u << 11)

/* The limit is in bytes, already scaled by the G bit. */
struct x86_segment {
    uint16_t selector;
    uint16_t attributes;
    uint32_t limit;
    uint64_t base;
};

/* The part of a processor's state that the executor reads and changes. */
struct x86_cpu {
    uint64_t gpr[X86_GPR_COUNT];
    uint64_t rip;
    uint64_t rflags;
    uint64_t cr0;
    uint64_t cr4;
    uint64_t efer;
    uint8_t cpl;
    struct x86_segment segment[X86_SEGMENT_COUNT];
    /*
     * The caller takes segment and interrupt_shadow back after X86_DONE. If false, an instruction that would
     * change them is X86_UNSUPPORTED.
     */
    bool takes_segments;
    bool interrupt_shadow; /* set by the executor: no interrupt before the next instruction is done */
    /* The interrupt vector table of real mode, for INT, INT3 and INTO, which are X86_UNSUPPORTED without. */
    bool has_idtr;
    uint16_t idtr_limit;
    uint64_t idtr_base;
};

/* ---- decoder
 * ------------------------------------------------------------------------------------------------ */

#define X86_INSN_MAX 15 /* bytes (APM vol. 3, 1.1) */

/* Default operand and address size: by CS.D, or 64-bit mode (EFER.LMA and CS.L). */
enum x86_mode { X86_MODE_16, X86_MODE_32, X86_MODE_64 };

enum x86_decode_status {
    X86_DECODE_OK,
    X86_DECODE_TRUNCATED, /* more bytes are needed than were given; less than 15 were given */
    X86_DECODE_TOO_LONG,  /* more than 15 bytes: #GP(0) on hardware */
    X86_DECODE_UNDEFINED  /* no instruction in this mode: #UD on hardware */
};

enum x86_encoding { X86_ENCODING_LEGACY, X86_ENCODING_VEX, X86_ENCODING_EVEX, X86_ENCODING_XOP };

/* Opcode maps. Values up to 10 are the numbers of VEX.mmmmm, EVEX.mmm and XOP.mmmmm. */
enum x86_map {
    X86_MAP_ONE = 0,
    X86_MAP_0F = 1,
    X86_MAP_0F38 = 2,
    X86_MAP_0F3A = 3,
    X86_MAP_EVEX5 = 5,
    X86_MAP_EVEX6 = 6,
    X86_MAP_XOP8 = 8,
    X86_MAP_XOP9 = 9,
    X86_MAP_XOPA = 10
};

#define X86_PREFIX_LOCK    (1u << 0)
#define X86_PREFIX_REP     (1u << 1) /* F3; the last of F2 and F3 counts */
#define X86_PREFIX_REPNE   (1u << 2) /* F2 */
#define X86_PREFIX_OPERAND (1u << 3) /* 66 */
#define X86_PREFIX_ADDRESS (1u << 4) /* 67 */
#define X86_PREFIX_SEGMENT (1u << 5) /* an override that this mode does not ignore */

#define X86_REX_B (1u << 0)
#define X86_REX_X (1u << 1)
#define X86_REX_R (1u << 2)
#define X86_REX_W (1u << 3)

/* One decoded instruction. Register numbers contain their REX, VEX or EVEX extension. */
struct x86_insn {
    uint8_t length;   /* in bytes, 1 to 15; after UNDEFINED the bytes that were looked at */
    uint8_t mode;     /* enum x86_mode */
    uint8_t encoding; /* enum x86_encoding */
    uint8_t map;      /* enum x86_map */
    uint8_t opcode;
    uint8_t prefixes; /* X86_PREFIX_* */
    uint8_t rex;      /* the whole REX byte, or 0 if there is none */

    uint8_t operand_size; /* in bytes: 1, 2, 4 or 8 */
    uint8_t address_size; /* in bytes: 2, 4 or 8 */

    uint8_t vector_prefix;   /* VEX, EVEX, XOP: 0, or 1, 2, 3 for 66, F3, F2 */
    uint8_t vector_register; /* likewise: the register in vvvv, 0 to 15 */
    bool vector_long;        /* VEX, XOP: L */

    bool has_modrm;
    uint8_t modrm; /* as it stands in the code */
    uint8_t reg;   /* 0 to 15 */
    uint8_t rm;    /* 0 to 15, if is_memory is false */

    bool is_memory; /* a ModRM memory operand or a direct offset (moffs) */
    bool is_rip_relative;
    uint8_t segment; /* enum x86_segment_register: override or default, of the memory operand */
    uint8_t base;    /* enum x86_register, or X86_REGISTER_NONE */
    uint8_t index;   /* likewise */
    uint8_t scale;   /* shift count, 0 to 3 */

    uint8_t displacement_size; /* in bytes, 0 if there is none */
    uint8_t immediate_size;    /* likewise */
    uint64_t displacement;     /* sign extended; a direct offset is zero extended */
    uint64_t immediate;  /* sign extended, but the word of RET, RETF and ENTER zero extended; relative targets
                            too */
    uint16_t immediate2; /* ENTER: level. Far pointer: selector. EXTRQ, INSERTQ: second byte */
};

/*
 * Decodes the instruction at bytes, of which available may be read; at most 15 are. All of insn is written,
 * whatever the status, and is complete only after X86_DECODE_OK.
 *
 * OK says that the length is known, not that the instruction exists in every detail: an undefined row of a
 * group such as FE /7 decodes, and the executor refuses it. A near branch with prefix 66 in 64-bit mode is
 * taken as AMD takes it (16-bit operand); Intel ignores the prefix there.
 */
enum x86_decode_status x86_decode(enum x86_mode mode, const uint8_t *bytes, size_t available,
                                  struct x86_insn *insn) X86_MUST_USE;

/* The mode to decode in: 64-bit mode by EFER.LMA and CS.L, else by CS.D. */
enum x86_mode x86_cpu_mode(const struct x86_cpu *cpu);

/* ---- executor
 * ----------------------------------------------------------------------------------------------- */

enum x86_result {
    X86_DONE,  /* executed; RIP is that of the next instruction */
    X86_AGAIN, /* a repeated string instruction did its share; state is consistent, RIP unchanged: call again
                */
    X86_FAULT, /* the fault is described; RIP unchanged. State too, but for iterations that were complete */
    X86_RETRY, /* a callback asked for it; state as for FAULT: execute the instruction once more */
    X86_UNSUPPORTED /* not known to the executor, or an operand wraps around the address space; state as for
                       FAULT */
};

struct x86_fault {
    uint8_t vector;
    bool has_error; /* false in real mode and for vectors without error code */
    uint32_t error;
    uint64_t address; /* for CR2, with X86_VECTOR_PF only */
};

enum x86_access {
    X86_ACCESS_READ,
    X86_ACCESS_MODIFY, /* a read by an instruction that will write: must fault, and be reported, as a write */
    X86_ACCESS_WRITE,
    X86_ACCESS_FETCH /* not used by the executor: for the caller's own fetch */
};

/* Most iterations of one string instruction in one call. */
#define X86_STRING_LIMIT 4096

/*
 * What an instruction can reach. Each returns X86_DONE, or X86_FAULT with all of fault filled in, or
 * X86_RETRY having done nothing. size is 1, 2, 4 or 8 bytes (ports: 1, 2, 4). A linear range may cross a page
 * boundary, but does not wrap: the callback looks at both pages before it changes either. Values are zero
 * extended.
 */
struct x86_ops {
    enum x86_result (*read)(void *context, uint64_t linear, unsigned size, enum x86_access access,
                            uint64_t *value, struct x86_fault *fault);
    enum x86_result (*write)(void *context, uint64_t linear, unsigned size, uint64_t value,
                             struct x86_fault *fault);
    /*
     * The write of a locked instruction: stores desired if the location still holds expected, atomically
     * towards other processors, else returns X86_RETRY. May be NULL: then write is used (right for device
     * memory).
     */
    enum x86_result (*compare_exchange)(void *context, uint64_t linear, unsigned size, uint64_t expected,
                                        uint64_t desired, struct x86_fault *fault);
    /*
     * The same of LOCK CMPXCHG16B, aligned to 16 bytes. If it is NULL while compare_exchange is not, the
     * instruction is X86_UNSUPPORTED.
     */
    enum x86_result (*compare_exchange16)(void *context, uint64_t linear, const uint64_t expected[2],
                                          const uint64_t desired[2], struct x86_fault *fault);
    /*
     * Would a write fault? Asked before an INS takes a value from a port, for the port cannot take it back.
     * May be NULL.
     */
    enum x86_result (*probe_write)(void *context, uint64_t linear, unsigned size, struct x86_fault *fault);
    /*
     * Of an instruction that names memory and neither reads nor changes it (CLFLUSH): would a read of this
     * byte fault? May be NULL.
     */
    enum x86_result (*touch)(void *context, uint64_t linear, struct x86_fault *fault);
    /* port + size can pass 0x10000. NULL: port instructions are X86_UNSUPPORTED. */
    enum x86_result (*port_in)(void *context, uint16_t port, unsigned size, uint32_t *value,
                               struct x86_fault *fault);
    enum x86_result (*port_out)(void *context, uint16_t port, unsigned size, uint32_t value,
                                struct x86_fault *fault);
    /*
     * Elements of a repeated INS or OUTS at once: `count` of them, which lie one behind the other from `linear` on in
     * one page. Returns how many were transferred; the first one that was not is tried alone next. May be NULL.
     */
    uint64_t (*port_block)(void *context, uint16_t port, unsigned size, bool in, uint64_t linear,
                           uint64_t count);
    /*
     * The I/O permission bitmap of the TSS, asked when CPL is above IOPL or in virtual-8086 mode (APM vol. 2,
     * 12.2.4). NULL: #GP(0).
     */
    enum x86_result (*port_allowed)(void *context, uint16_t port, unsigned size, struct x86_fault *fault);
};

/*
 * Executes one decoded instruction on cpu. insn must come from x86_decode in cpu's present mode (else
 * X86_UNSUPPORTED). fault is written when X86_FAULT is returned and is undefined otherwise. Segment limits
 * and rights, canonical addresses and alignment (#AC) are checked here, paging by the callbacks.
 *
 * X86_UNSUPPORTED are: all that reads a descriptor (segment loads, far branches, INT and IRET in protected
 * and long mode; INT and IRET in virtual-8086 mode too), PUSHF and POPF with CR4.VME in virtual-8086 mode;
 * access to control, debug and model-specific registers and to descriptor tables, but for SMSW to memory;
 * HLT, CPUID, RDTSC, SYSCALL, UD2 and their like; MOVDIRI and MOVDIR64B; x87, MMX, SSE and all vector
 * instructions. What has a CPUID bit of its own (LZCNT, TZCNT, POPCNT, MOVBE, CRC32, ADX, BMI, CMPXCHG16B) is
 * executed without a look at it.
 *
 * Not done here: single stepping (RFLAGS.TF) and debug registers; RF is cleared at X86_DONE.
 */
enum x86_result x86_execute(struct x86_cpu *cpu, const struct x86_insn *insn, const struct x86_ops *ops,
                            void *context, struct x86_fault *fault) X86_MUST_USE;

/*
 * Why an instruction is X86_UNSUPPORTED, in words that follow its name ("it reads a descriptor"); NULL: it is
 * none, or of an extension that is not considered here. Some of them are executed in real mode.
 */
const char *x86_refusal(const struct x86_insn *insn);

/* ---- page-table walker
 * -------------------------------------------------------------------------------------- */

struct x86_paging {
    uint64_t cr0;
    uint64_t cr3;
    uint64_t cr4;
    uint64_t efer;
    uint64_t rflags;       /* AC counts for SMAP */
    uint8_t physical_bits; /* width of a guest-physical address, 32 to 52: CPUID 8000_0008h EAX[7:0] */
    bool has_1g_pages;     /* CPUID 8000_0001h EDX[26]; else PS in a PDPTE is reserved */
};

struct x86_walk_access {
    bool write;
    bool user;     /* CPL 3, and not an implicit access */
    bool fetch;    /* of an instruction; then write is false */
    bool implicit; /* by the processor to its tables: RFLAGS.AC does not lift SMAP */
};

/* Guest-physical memory, as the walker sees it. */
struct x86_walk_ops {
    /* Reads 4 or 8 bytes, naturally aligned. false: there is no memory. */
    bool (*read)(void *context, uint64_t physical, unsigned size, uint64_t *value);
    /*
     * Sets accessed and dirty bits: stores desired if the entry still is expected, atomically; false if it is
     * not. NULL: the bits are left alone.
     */
    bool (*update)(void *context, uint64_t physical, unsigned size, uint64_t expected, uint64_t desired);
};

enum x86_walk_status {
    X86_WALK_OK,
    X86_WALK_FAULT,         /* page fault: error is set */
    X86_WALK_NON_CANONICAL, /* #GP or #SS on hardware; the walker cannot know which */
    X86_WALK_NO_MEMORY,     /* a table lies outside of memory: table is set */
    X86_WALK_RETRY          /* an entry changed while its accessed or dirty bit was to be set: walk again */
};

#define X86_PF_PRESENT  (1u << 0)
#define X86_PF_WRITE    (1u << 1)
#define X86_PF_USER     (1u << 2)
#define X86_PF_RESERVED (1u << 3)
#define X86_PF_FETCH    (1u << 4)

struct x86_walk_result {
    uint64_t physical;  /* of the byte at linear */
    uint64_t page_size; /* 4 KiB, 2 MiB, 4 MiB or 1 GiB; 4 KiB without paging */
    bool writable;      /* by the rights of all levels; says nothing on CR0.WP */
    bool user;
    bool executable;
    bool dirty;     /* the leaf's dirty bit, as it is after the walk; true without paging */
    uint32_t error; /* X86_PF_*, with X86_WALK_FAULT */
    uint64_t table; /* physical address of the entry that could not be read, with X86_WALK_NO_MEMORY */
};

/*
 * Translates linear (APM vol. 2, chapter 5): no paging, 32-bit with and without PSE, PAE, 4 and 5 levels.
 * Checks WP, NX, SMEP, SMAP and reserved bits; protection keys and shadow stacks are not known. All of result
 * is written. PDPTEs of PAE are read from memory at each walk, and not as they were when CR3 was loaded.
 */
enum x86_walk_status x86_walk(const struct x86_paging *paging, uint64_t linear, struct x86_walk_access access,
                              const struct x86_walk_ops *ops, void *context,
                              struct x86_walk_result *result) X86_MUST_USE;

#endif
