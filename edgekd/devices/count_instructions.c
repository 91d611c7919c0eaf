/* A plugin for qemu's user mode: counts the instructions that the guest runs, and writes a line at each mark.

   gcc -O2 -shared -fPIC -o count.so count_instructions.c
   qemu-aarch64 -plugin count.so,out=FILE …

   A guest marks a place with the system call 9001 (which does not exist) and a number. A line of FILE is
   NUMBER TOTAL SDOT LOAD_STORE; the last has the number -1. SDOT counts signed and unsigned dot products of four
   bytes, by vector and by element (A64 only); LOAD_STORE likewise A64 only.

   The declarations below are the part of qemu's plugin interface (version 1) that is used here: no header needed. */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define MARK 9001
#define ADD_U64 0

typedef uint64_t plugin_id;
struct block;
struct instruction;
struct info {
    const char *target_name;
    struct { int lowest, current; } version;
    bool is_system;
    struct { int cpus, most_cpus; } system;
};

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct block *, int operation, void *counter, uint64_t value);
extern void qemu_plugin_register_vcpu_syscall_cb(
    plugin_id, void (*)(plugin_id, unsigned cpu, int64_t number, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t, uint64_t));
extern void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
extern size_t qemu_plugin_tb_n_insns(const struct block *);
extern struct instruction *qemu_plugin_tb_get_insn(const struct block *, size_t);
extern const void *qemu_plugin_insn_data(const struct instruction *);

EXPORT int qemu_plugin_version = 1;

enum { TOTAL, SDOT, LOAD_STORE, KINDS };
static uint64_t counters[KINDS];
static bool is_a64;
static FILE *out;

static bool is_dot(uint32_t word) {
    bool by_vector = (word & 0x9f20fc00) == 0x0e009400;
    bool by_element = (word & 0x9f00f400) == 0x0f00e000;
    return by_vector || by_element;
}

/* Classify a block once, when it is translated; each run of it then adds its sums. */
static void translated(plugin_id id, struct block *block) {
    (void)id;
    size_t count = qemu_plugin_tb_n_insns(block);
    uint64_t sums[KINDS] = {[TOTAL] = count};
    for (size_t i = 0; is_a64 && i < count; i++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, i)), sizeof word);
        sums[SDOT] += is_dot(word);
        sums[LOAD_STORE] += (word >> 25 & 5) == 4;
    }
    for (int kind = 0; kind < KINDS; kind++)
        if (sums[kind]) qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &counters[kind], sums[kind]);
}

static void write_line(int64_t number) {
    fprintf(out, "%" PRId64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", number, counters[TOTAL], counters[SDOT],
            counters[LOAD_STORE]);
    fflush(out);
}

static void called(plugin_id id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                   uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    (void)id, (void)cpu, (void)b, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (number == MARK) write_line((int64_t)a);
}

static void ended(plugin_id id, void *nothing) {
    (void)id, (void)nothing;
    write_line(-1);
}

EXPORT int qemu_plugin_install(plugin_id id, const struct info *info, int count, char **arguments) {
    for (int i = 0; i < count; i++)
        if (!strncmp(arguments[i], "out=", 4)) out = fopen(arguments[i] + 4, "w");
    if (!out) return 1;
    is_a64 = !strcmp(info->target_name, "aarch64");
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
