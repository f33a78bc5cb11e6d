/* SPDX-License-Identifier: ISC */
/*
 * A plugin of QEMU's TCG: the execution trace of marked paths, for tools/bench.py. Counting instructions
 * hides that some of them cost hundreds of cycles on a processor; the trace tells how many of those a path
 * has, and which functions the others belong to.
 *
 * A program marks a path with NOPs that no compiler makes: `nopl MARK | kind << 12 | id (%rax)`. From
 * MARK_BEGIN to MARK_END every instruction is recorded, whoever executes it: program, kernel or guest. A path
 * is run often: the first WARM runs are left out, and of the others the shortest is kept. From MARK_WATCH to
 * MARK_REST the longest stretch is kept in which the kernel executes with interrupts off: it ends with an
 * instruction of user level or of a guest, and where the kernel lets interrupts in; an interrupt that comes
 * there begins another.
 *
 * At the first MARK_EXITS the number of VMRUNs so far is noted, which is that of all exits of guests, also of
 * those that the kernel takes itself.
 *
 * Output, at the end of the machine: "path ID" or "stretch ID", then a line "ADDRESS CLASS" for each
 * instruction in order of execution, CLASS being "-" for ordinary ones; and "vmruns NUMBER".
 *
 * Arguments: out=FILE; only=vmrun leaves all but the last out, and costs next to nothing.
 *
 * QEMU's packages have no header for plugins: what is needed of the interface (version 1) is declared here.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The interface: QEMU's documentation, "QEMU TCG Plugins". */

#define VISIBLE __attribute__((visibility("default")))

struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

VISIBLE int qemu_plugin_version = 1;
VISIBLE int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*translate)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, void (*execute)(unsigned, void *),
                                            int flags, void *data);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*end)(uint64_t, void *), void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);

/* ---- What is recorded. */

#define MARK      0x0d0e0000u
#define MARK_MASK 0xffff0000u
#define KIND(m)   ((m) >> 12 & 0xf)
#define ID(m)     ((m)&0xfff)

#define IDS       64u
#define WARM      16u
#define STEPS_MAX (1u << 22) /* of one path */
#define KERNEL    (1ull << 63)

enum { MARK_BEGIN, MARK_END, MARK_WATCH, MARK_REST, MARK_EXITS };

enum class {
    PLAIN,
    RDTSC,
    CR3,
    WRMSR,
    XSAVE, /* or FXSAVE, XRSTOR, FXRSTOR: the FPU's state as a whole */
    VMRUN,
    VMCB, /* VMLOAD, VMSAVE; on Intel VMLAUNCH, VMRESUME, VMPTRLD, VMREAD, VMWRITE */
    STI,
    CLI,
    CLGI,
    STGI,
    MARKER
};
static const char *const class_names[] = {"-",    "rdtsc", "cr3", "wrmsr", "xsave", "vmrun",
                                          "vmcb", "sti",   "cli", "clgi",  "stgi",  "marker"};

struct insn {
    uint64_t address;
    uint32_t mark;
    uint8_t size, class;
};

struct steps {
    const struct insn **at;
    uint32_t count;
    bool cut;
};

static struct steps paths[IDS], stretches[IDS]; /* the best so far, by id */
static struct steps path, stretch;              /* what is going on */
static bool recording, watching;
static unsigned recorded_id, watched_id, runs[IDS];
static bool flag, gif = true; /* RFLAGS.IF, SVM's global interrupt flag */
static uint64_t window_next;  /* where execution goes on in a window if no interrupt comes */
#define NOTES 16
static uint64_t vmruns, vmruns_noted[NOTES];
static unsigned notes;
static bool only_vmrun;
static const char *out_path;

static void *need(void *memory)
{
    if (!memory) {
        fputs("bench_trace: out of memory\n", stderr);
        exit(1);
    }
    return memory;
}

static void add(struct steps *steps, const struct insn *insn)
{
    if (!steps->at)
        steps->at = need(calloc(STEPS_MAX, sizeof(*steps->at)));
    if (steps->count < STEPS_MAX)
        steps->at[steps->count++] = insn;
    else
        steps->cut = true;
}

static void swap(struct steps *a, struct steps *b)
{
    struct steps old = *a;

    *a = *b;
    *b = old;
}

/* ---- Interrupts off. */

static void stretch_end(void)
{
    if (watching && stretch.count > stretches[watched_id].count)
        swap(&stretch, &stretches[watched_id]);
    stretch.count = 0;
    stretch.cut = false;
}

static void watch(const struct insn *insn)
{
    if (insn->address < KERNEL) {
        if (stretch.count)
            stretch_end();
        flag = false; /* the next entry turns interrupts off */
        return;
    }
    /* Not in sequence: an interrupt has come in the window. */
    if (flag && insn->address != window_next)
        flag = false;
    if (insn->class == CLI)
        flag = false;
    if (insn->class == CLGI || insn->class == STGI)
        gif = insn->class == STGI;
    add(&stretch, insn);
    if (insn->class == STI) {
        flag = true;
        if (gif)
            stretch_end();
    }
    if (flag) {
        window_next = insn->address + insn->size;
        if (gif)
            stretch.count = 0;
    }
}

/* ---- Marks. */

static void mark(const struct insn *insn)
{
    unsigned id = ID(insn->mark) % IDS;

    switch (KIND(insn->mark)) {
    case MARK_BEGIN:
        recording = true;
        recorded_id = id;
        path.count = 0;
        path.cut = false;
        break;
    case MARK_END:
        if (!recording || id != recorded_id)
            break;
        recording = false;
        if (runs[id]++ >= WARM - 1 && !path.cut && path.count &&
            (!paths[id].count || path.count < paths[id].count))
            swap(&path, &paths[id]);
        break;
    case MARK_WATCH:
        watching = true;
        watched_id = id;
        stretch.count = 0;
        break;
    case MARK_REST:
        watching = false;
        break;
    case MARK_EXITS:
        if (notes < NOTES)
            vmruns_noted[notes++] = vmruns;
        break;
    default:
        break;
    }
}

static void execute(unsigned cpu, void *data)
{
    const struct insn *insn = data;

    (void)cpu;
    if (insn->class == VMRUN)
        vmruns++;
    if (watching)
        watch(insn);
    if (insn->class == MARKER)
        mark(insn);
    else if (recording)
        add(&path, insn);
}

/* ---- Translation: what an instruction is. */

static unsigned class_of_0f(const uint8_t *bytes, size_t size, bool prefixed)
{
    uint8_t modrm = size > 2 ? bytes[2] : 0, reg = modrm >> 3 & 7;

    switch (bytes[1]) {
    case 0x01:
        if (modrm == 0xd8)
            return VMRUN;
        if (modrm == 0xda || modrm == 0xdb || modrm == 0xc2 || modrm == 0xc3)
            return VMCB;
        return modrm == 0xdd ? CLGI : modrm == 0xdc ? STGI : PLAIN;
    case 0x22:
        return reg == 3 ? CR3 : PLAIN;
    case 0x30:
        return WRMSR;
    case 0x31:
        return RDTSC;
    case 0x78:
    case 0x79:
        return prefixed ? PLAIN : VMCB;
    case 0xae: /* memory forms /0 FXSAVE, /1 FXRSTOR, /4 XSAVE, /5 XRSTOR, /6 XSAVEOPT */
        return !prefixed && modrm < 0xc0 && (reg <= 1 || (reg >= 4 && reg <= 6)) ? XSAVE : PLAIN;
    case 0xc7: /* /3 XRSTORS, /4 XSAVEC, /5 XSAVES; /6 VMPTRLD */
        return modrm >= 0xc0 ? PLAIN : reg >= 3 && reg <= 5 ? XSAVE : reg == 6 && !prefixed ? VMCB : PLAIN;
    default:
        return PLAIN;
    }
}

static void classify(struct insn *insn, const uint8_t *bytes, size_t size)
{
    bool prefixed = false;

    if (size == 7 && bytes[0] == 0x0f && bytes[1] == 0x1f && bytes[2] == 0x80) {
        memcpy(&insn->mark, bytes + 3, sizeof(insn->mark));
        insn->class = (insn->mark & MARK_MASK) == MARK ? MARKER : PLAIN;
        return;
    }
    /* Operand size and repetition change what an opcode means, segments and REX do not. */
    for (; size > 1; bytes++, size--) {
        if (*bytes == 0x66 || *bytes == 0xf2 || *bytes == 0xf3)
            prefixed = true;
        else if (*bytes != 0x2e && *bytes != 0x3e && *bytes != 0x64 && *bytes != 0x65 && *bytes != 0x67 &&
                 (*bytes & 0xf0) != 0x40)
            break;
    }
    if (size == 1 && bytes[0] == 0xfb)
        insn->class = STI;
    else if (size == 1 && bytes[0] == 0xfa)
        insn->class = CLI;
    else if (size > 1 && bytes[0] == 0x0f)
        insn->class = (uint8_t)class_of_0f(bytes, size, prefixed);
}

/* What was translated is never given back: a trace may still name it. */
static void translate(uint64_t plugin, struct qemu_plugin_tb *tb)
{
    size_t count = qemu_plugin_tb_n_insns(tb);

    (void)plugin;
    for (size_t i = 0; i < count; i++) {
        struct qemu_plugin_insn *qemu = qemu_plugin_tb_get_insn(tb, i);
        struct insn fresh = {.address = qemu_plugin_insn_vaddr(qemu),
                             .size = (uint8_t)qemu_plugin_insn_size(qemu)};
        struct insn *insn;

        classify(&fresh, qemu_plugin_insn_data(qemu), fresh.size);
        if (only_vmrun && fresh.class != VMRUN && fresh.class != MARKER)
            continue;
        insn = need(malloc(sizeof(*insn)));
        *insn = fresh;
        qemu_plugin_register_vcpu_insn_exec_cb(qemu, execute, 0, insn);
    }
}

/* ---- The end. */

static void print(FILE *file, const char *what, unsigned id, const struct steps *steps)
{
    if (!steps->count)
        return;
    fprintf(file, "%s %u%s\n", what, id, steps->cut ? " cut" : "");
    for (uint32_t i = 0; i < steps->count; i++)
        fprintf(file, "%" PRIx64 " %s\n", steps->at[i]->address, class_names[steps->at[i]->class]);
}

static void end(uint64_t plugin, void *data)
{
    FILE *file = fopen(out_path, "w");

    (void)plugin;
    (void)data;
    if (!file) {
        perror(out_path);
        return;
    }
    for (unsigned id = 0; id < IDS; id++) {
        print(file, "path", id, &paths[id]);
        print(file, "stretch", id, &stretches[id]);
    }
    for (unsigned i = 0; i < notes; i++)
        fprintf(file, "vmruns %" PRIu64 "\n", vmruns_noted[i]);
    fclose(file);
}

int qemu_plugin_install(uint64_t id, const struct qemu_info *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0)
            out_path = strdup(argv[i] + 4);
        else if (strcmp(argv[i], "only=vmrun") == 0)
            only_vmrun = true;
    }
    if (!out_path) {
        fputs("bench_trace: expected out=FILE\n", stderr);
        return -1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, end, NULL);
    return 0;
}
