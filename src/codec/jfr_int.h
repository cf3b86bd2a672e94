/* Inside the JFR decoder; see jfr.c for how the parts fit. Nobody else includes this.
 *
 * The reader below differs from base's cursor in one thing: a JFR varint has at most nine bytes and
 * the ninth gives all its eight bits. Like the cursor it fails softly: past the end `bad` is set,
 * reads give 0, the position stays at the end. */
#ifndef CODEC_JFR_INT_H
#define CODEC_JFR_INT_H

#include "base/hash.h"
#include "base/varint.h"
#include "codec/arena_map_int.h"
#include "codec/jfr.h"

#define JFR_FAIL(d, ...) \
    FAIL((d)->err, ST_INVALID_ARGUMENT, "jfr parser ParseEvent error: " __VA_ARGS__)
#define JFR_FULL(d) \
    FAIL((d)->err, ST_RESOURCE_EXHAUSTED, "the recording needs more memory than a request may use")

enum {
    JFR_HEADER_BYTES = 68,
    JFR_VARINT_MAX = 9,
    JFR_NEST_MAX = 16,        /* inline classes and arrays inside each other */
    JFR_ELEMENTS_MAX = 32,    /* elements of the metadata inside each other */
    JFR_FIELDS_MAX = 4096,    /* one class with its inline classes unfolded */
    JFR_VISITS_MAX = 1 << 18, /* fields unfolded per metadata */
    JFR_LABELS_MAX = 128,     /* of a context */
    JFR_WANTS_MAX = 8,
    JFR_DENSE_FACTOR = 4, /* tables by key may be this many times the entries */
};
/* Remembers that there is nothing; like all values of tables it has room for the + 1. */
#define JFR_NOWHERE (UINT32_MAX - 1)
#define JFR_TO_NOBODY 0xFF

/* ---- reading ---- */

#define JFR_HIGH 0x8080808080808080u

struct jfr_reader {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct jfr_reader jfr_reader_make(struct str s, size_t from)
{
    return (struct jfr_reader){
        (const uint8_t *)s.p + MIN(from, s.n), (const uint8_t *)s.p + s.n, from > s.n};
}

static inline size_t jfr_left(const struct jfr_reader *r)
{
    return (size_t)(r->end - r->p);
}

static inline void jfr_fail(struct jfr_reader *r)
{
    r->bad = true;
    r->p = r->end;
}

/* What a hot loop keeps in registers: the value and what comes after it; p NULL: the end. */
struct jfr_got {
    const uint8_t *p;
    uint64_t v;
};

struct jfr_got jfr_get_slow(const uint8_t *p, const uint8_t *end);
/* n varints, exact about the ninth byte, many bytes at a time. */
void jfr_skip_varints(struct jfr_reader *r, uint64_t n);
void jfr_skip_bytes(struct jfr_reader *r, uint64_t n);
void jfr_skip_string(struct jfr_reader *r);

/* The seven low bits of each byte, pushed together. */
static inline uint64_t jfr_squeeze(uint64_t w)
{
    w = (w & 0x007F007F007F007Fu) | (w & 0x7F007F007F007F00u) >> 1;
    w = (w & 0x00003FFF00003FFFu) | (w & 0x3FFF00003FFF0000u) >> 2;
    return (w & 0x000000000FFFFFFFu) | (w & 0x0FFFFFFF00000000u) >> 4;
}

static inline struct jfr_got jfr_get(const uint8_t *p, const uint8_t *end)
{
    if (UNLIKELY(end - p < 8))
        return jfr_get_slow(p, end);
    uint64_t w = load_u64le(p);
    if (LIKELY(!(w & 0x80)))
        return (struct jfr_got){p + 1, w & 0x7F};
    if (LIKELY(!(w & 0x8000)))
        return (struct jfr_got){p + 2, (w & 0x7F) | (w & 0x7F00) >> 1};
    uint64_t stop = ~w & JFR_HIGH;
    if (UNLIKELY(!stop))
        return jfr_get_slow(p, end);
    p += (__builtin_ctzll(stop) >> 3) + 1;
    return (struct jfr_got){p, jfr_squeeze(w & (stop ^ (stop - 1)))};
}

/* Behind the varint at p; NULL: the end. */
static inline const uint8_t *jfr_pass(const uint8_t *p, const uint8_t *end)
{
    uint64_t stop = LIKELY(end - p >= 8) ? ~load_u64le(p) & JFR_HIGH : 0;
    return LIKELY(stop) ? p + (__builtin_ctzll(stop) >> 3) + 1 : jfr_get_slow(p, end).p;
}

static inline uint64_t jfr_read(struct jfr_reader *r)
{
    struct jfr_got got = jfr_get(r->p, r->end);
    if (UNLIKELY(!got.p)) {
        jfr_fail(r);
        return 0;
    }
    r->p = got.p;
    return got.v;
}

static inline uint32_t jfr_read_int(struct jfr_reader *r)
{
    return (uint32_t)jfr_read(r);
}

static inline uint8_t jfr_read_byte(struct jfr_reader *r)
{
    if (UNLIKELY(r->p >= r->end)) {
        jfr_fail(r);
        return 0;
    }
    return *r->p++;
}

/* ---- tables ---- */

/* From any 64-bit key to 32 bits, in the arena. */
struct jfr_slot {
    uint64_t key;
    uint32_t value_plus_1; /* 0 = empty */
};
struct jfr_map {
    struct jfr_slot *slots;
    uint32_t n, mask;
};

/* Room for `more` keys at once. */
bool jfr_map_reserve(struct jfr_map *m, struct arena *a, uint64_t more);
bool jfr_map_put(struct jfr_map *m, struct arena *a, uint64_t key, uint32_t value);

static inline bool jfr_map_get(const struct jfr_map *m, uint64_t key, uint32_t *ret_value)
{
    if (UNLIKELY(!m->slots))
        return false;
    uint32_t at = (uint32_t)hash_u64(key, 0) & m->mask;
    while (m->slots[at].value_plus_1) {
        if (LIKELY(m->slots[at].key == key)) {
            *ret_value = m->slots[at].value_plus_1 - 1;
            return true;
        }
        at = (at + 1) & m->mask;
    }
    return false;
}

/* What has a key and lies somewhere in the input: constants of a pool, contexts of the labels. */
struct jfr_entry {
    uint64_t key;
    uint32_t at;          /* offset of the value */
    uint32_t memo_plus_1; /* what the value was resolved to; 0 = not yet */
};
struct jfr_index {
    struct jfr_entry *v;
    uint32_t n, cap;
    uint64_t least, most;
    uint32_t *dense; /* by key - least: entry + 1; NULL: in the map */
    struct jfr_map map;
};

/* Room for `more` entries at once. */
bool jfr_index_reserve(struct jfr_index *x, struct arena *a, uint32_t more);
bool jfr_index_add(struct jfr_index *x, struct arena *a, uint64_t key, uint32_t at);
/* After the last add. Of equal keys the last added stays. */
bool jfr_index_build(struct jfr_index *x, struct arena *a);

static inline struct jfr_entry *jfr_index_find(const struct jfr_index *x, uint64_t key)
{
    uint32_t i;
    if (x->dense) {
        uint64_t k = key - x->least;
        return k <= x->most - x->least && x->dense[k] ? &x->v[x->dense[k] - 1] : NULL;
    }
    return jfr_map_get(&x->map, key, &i) ? &x->v[i] : NULL;
}

/* ---- metadata ---- */

/* The classes known by name. Those before STRING are read as one value, those from EXECUTION on are
 * events. */
#define JFR_TYPE_TABLE(X)                              \
    X(INT, "int")                                      \
    X(SHORT, "short")                                  \
    X(CHAR, "char")                                    \
    X(LONG, "long")                                    \
    X(BYTE, "byte")                                    \
    X(BOOLEAN, "boolean")                              \
    X(FLOAT, "float")                                  \
    X(DOUBLE, "double")                                \
    X(STRING, "java.lang.String")                      \
    X(SYMBOL, "jdk.types.Symbol")                      \
    X(CLASS, "java.lang.Class")                        \
    X(METHOD, "jdk.types.Method")                      \
    X(STACK_TRACE, "jdk.types.StackTrace")             \
    X(STACK_FRAME, "jdk.types.StackFrame")             \
    X(THREAD_STATE, "jdk.types.ThreadState")           \
    X(EXECUTION, "jdk.ExecutionSample")                \
    X(WALL_CLOCK, "profiler.WallClockSample")          \
    X(NEW_TLAB, "jdk.ObjectAllocationInNewTLAB")       \
    X(OUTSIDE_TLAB, "jdk.ObjectAllocationOutsideTLAB") \
    X(ALLOCATION, "jdk.ObjectAllocationSample")        \
    X(MONITOR_ENTER, "jdk.JavaMonitorEnter")           \
    X(THREAD_PARK, "jdk.ThreadPark")                   \
    X(LIVE_OBJECT, "profiler.LiveObject")              \
    X(MALLOC, "profiler.Malloc")                       \
    X(ACTIVE_SETTING, "jdk.ActiveSetting")

enum jfr_type {
    JFR_T_OTHER,
#define X(name, text) JFR_T_##name,
    JFR_TYPE_TABLE(X)
#undef X
        JFR_T_N,
};

/* A class unfolded into steps: how to pass over a value, or pick fields out of one. */
enum jfr_op_kind {
    JFR_OP_END,
    JFR_OP_SKIP,        /* n varints */
    JFR_OP_BYTES,       /* n bytes */
    JFR_OP_STRING,      /* one string */
    JFR_OP_SKIP_ARRAY,  /* a count, and n varints for each */
    JFR_OP_BYTES_ARRAY, /* a count, and n bytes for each */
    JFR_OP_LOOP,        /* a count; the steps up to NEXT for each; n = steps from here past NEXT */
    JFR_OP_NEXT,
    JFR_OP_READ, /* `count` varints, to the wants in the digits of n, base 16, lowest first */
    JFR_OP_MARK, /* to want n, the offset of what comes; what follows passes over it */
};
struct jfr_op {
    uint16_t kind, count;
    uint32_t n;
};
struct jfr_prog {
    const struct jfr_op *ops; /* NULL: not compiled yet */
    uint32_t varints;         /* how many, when all steps are SKIP or READ; else 0 */
    const uint8_t *to;        /* of each: the want, or JFR_TO_NOBODY */
};

struct jfr_want {
    struct str name;
    enum jfr_type type;
    bool cp, array;
};

struct jfr_field {
    struct str name;
    uint64_t type_id;
    uint32_t class; /* PROF_NONE when the metadata has no such class */
    bool cp, array;
};
struct jfr_class {
    uint32_t first_field, n_fields;
    enum jfr_type type;
    struct jfr_prog skip, read;
};
struct jfr_meta {
    struct str bytes; /* from the metadata id on: what makes two equal */
    struct {
        struct jfr_class *v;
        uint32_t n, cap;
    } classes;
    struct {
        struct jfr_field *v;
        uint32_t n, cap;
    } fields;
    struct {
        struct jfr_op *v;
        uint32_t n, cap;
    } ops;                   /* being compiled */
    struct jfr_index by_id;  /* at: class */
    uint32_t known[JFR_T_N]; /* class, or PROF_NONE */
    uint32_t visits;
    bool plain_frames; /* a StackFrame is four varints: method, line and two more */
};

/* ---- a chunk, and a request ---- */

struct jfr_chunk {
    struct str bytes;
    struct jfr_meta *meta;
    struct jfr_index pools[JFR_T_EXECUTION]; /* by type; only those that are used */
    struct jfr_map frames;                   /* bytes of method and line → location */
    struct {
        struct str *v;
        uint32_t n, cap;
    } class_names, strings; /* memos of pools CLASS (rewritten) and STRING */
    uint64_t stacks_bytes;  /* of pool STACK_TRACE */
    int64_t ticks_per_s;
};

enum jfr_builder_kind {
    JFR_B_CPU,
    JFR_B_WALL,
    JFR_B_NEW_TLAB,
    JFR_B_OUTSIDE_TLAB,
    JFR_B_ALLOCATION,
    JFR_B_LOCK,
    JFR_B_PARK,
    JFR_B_LIVE,
    JFR_B_MALLOC,
    JFR_B_N,
};
/* Of a sample; kinds of one type leave the second at 0. */
struct jfr_sums {
    int64_t v[2];
};
struct jfr_builder {
    struct {
        struct prof_sample *v;
        uint32_t n, cap;
    } samples;
    struct {
        struct jfr_sums *v;
        uint32_t n, cap;
    } sums;
    struct jfr_map plain; /* samples without span and trace: stack and label set → sample */
    struct idmap ids;     /* the others */
};

/* What a context says about a sample. */
struct jfr_context {
    uint32_t labelset;
    uint64_t span, trace_hi, trace_lo; /* of user labels profile_id, span_id, trace_id */
};
struct jfr_known {
    struct str bytes; /* the Context message */
    struct jfr_context context;
};
struct jfr_labels {
    struct str bytes;
    struct jfr_index contexts, strings; /* at: the length before the value, or JFR_NOWHERE */
    struct {
        struct jfr_known *v;
        uint32_t n, cap;
    } known;
    struct idmap known_ids;
    struct jfr_map with_span;   /* label set and span name → label set */
    struct jfr_context spanned; /* the last one with a span name */
};

struct jfr_symbols {
    struct {
        struct str *v;
        uint32_t n, cap;
    } strings;
    struct {
        uint32_t *v;
        uint32_t n, cap;
    } functions_of; /* by string: function + 1 */
    struct {
        struct prof_function *v;
        uint32_t n, cap;
    } functions;
    struct {
        struct prof_line *v;
        uint32_t n, cap;
    } lines; /* location i has line i */
    struct {
        uint32_t *v;
        uint32_t n, cap;
    } frames;
    struct {
        struct prof_stack *v;
        uint32_t n, cap;
    } stacks;
    struct {
        struct prof_label *v;
        uint32_t n, cap;
    } labels;
    struct {
        struct prof_labelset *v;
        uint32_t n, cap;
    } labelsets;
    struct idmap string_ids, stack_ids, labelset_ids;
    struct jfr_map locations; /* function and line → location */
    uint64_t string_bytes;
};

struct jfr_dec {
    const struct jfr_options *opt;
    struct arena *arena;
    struct error *err;
    int64_t period_ns;     /* of one cpu or wall sample */
    struct jfr_meta *meta; /* of the chunk before */
    struct jfr_symbols sym;
    struct jfr_labels labels;
    struct jfr_builder builders[JFR_B_N];
    struct jfr_again *again; /* jfr_events.c: events seen, their `now` being the chunk's */
    uint32_t again_now;
    struct str event;
    bool event_is_wall;
    uint64_t stacks_cut;
};

/* jfr_meta.c: the metadata event at `offset`. */
enum status jfr_meta_parse(
    struct jfr_dec *d, struct str chunk, size_t offset, struct jfr_meta **ret_meta);
/* Without wants: passes over a value. With wants: sets their places of `out`, or leaves them when
 * the class lacks the field or declares it otherwise. */
enum status jfr_prog_compile(struct jfr_dec *d, struct jfr_meta *m, uint32_t class,
    const struct jfr_want *wants, uint32_t n_wants, struct jfr_prog *ret_prog);
/* False when the bytes end too early. Marks count from `base`. */
bool jfr_prog_run(
    const struct jfr_prog *prog, struct jfr_reader *r, const char *base, uint64_t *out);

/* jfr_pools.c: all checkpoints from `offset` on backwards. */
enum status jfr_pools_read(struct jfr_dec *d, struct jfr_chunk *c, size_t offset);
/* The string at r in UTF-8, as far as the recording has it so. */
enum status jfr_string(
    struct jfr_dec *d, struct jfr_chunk *c, struct jfr_reader *r, struct str *ret_s);
/* The fields that matter of a value at r; those that the class lacks are 0, strings and arrays are
 * offsets in the chunk. r ends after the last of them. */
enum status jfr_pool_fields(struct jfr_dec *d, struct jfr_chunk *c, enum jfr_type type,
    struct jfr_reader *r, uint64_t v[JFR_WANTS_MAX]);

/* jfr_stacks.c */
enum status jfr_stack_new(struct jfr_dec *d, struct jfr_chunk *c, struct jfr_entry *e);
/* In UTF-8 for sure: the JVM's own variant is repaired, anything else fails. */
enum status jfr_string_id(struct jfr_dec *d, struct str s, uint32_t *ret_id);

/* jfr_names.c: {NULL, 0} when the arena is full. */
struct str jfr_name_rewrite(struct str symbol, struct arena *arena);

/* jfr_labels.c */
enum status jfr_labels_parse(struct jfr_dec *d, struct str labels);
enum status jfr_context_new(struct jfr_dec *d, struct jfr_entry *e);
enum status jfr_context_name(
    struct jfr_dec *d, uint64_t span_name, const struct jfr_context **context);

/* What is asked for each event: the stack of a key, PROF_NONE when there is none. */
static inline enum status jfr_stack(
    struct jfr_dec *d, struct jfr_chunk *c, uint64_t key, uint32_t *ret_stack)
{
    struct jfr_entry *e = jfr_index_find(&c->pools[JFR_T_STACK_TRACE], key);
    if (e && UNLIKELY(!e->memo_plus_1))
        TRY(jfr_stack_new(d, c, e));
    *ret_stack = e ? e->memo_plus_1 - 1 : PROF_NONE;
    return ST_OK;
}

/* *ret_context is good until the next call. */
static inline enum status jfr_context(
    struct jfr_dec *d, uint64_t id, uint64_t span_name, const struct jfr_context **ret_context)
{
    static const struct jfr_context none;
    struct jfr_entry *e = jfr_index_find(&d->labels.contexts, id);
    if (e && UNLIKELY(!e->memo_plus_1))
        TRY(jfr_context_new(d, e));
    *ret_context = e ? &d->labels.known.v[e->memo_plus_1 - 1].context : &none;
    return LIKELY(span_name == 0) ? ST_OK : jfr_context_name(d, span_name, ret_context);
}

/* jfr_events.c */
enum status jfr_events_read(struct jfr_dec *d, struct jfr_chunk *c);
enum status jfr_builders_finish(struct jfr_dec *d, const struct prof_symbols *sym, struct jfr *ret);

#endif
