/* Classes of the metadata as programs: unfolded once, run for every value.
 *
 * A value is its fields in order, and a field may be an inline class with fields of its own.
 * Walking the metadata for each of 30,000 events would cost more than the events; so a class
 * becomes a short list of steps, neighbouring varints as one step, arrays of inline classes as a
 * loop:
 *
 *     StackTrace{boolean truncated; StackFrame[] frames}   →   BYTES 1 · SKIP_ARRAY 4 · END
 *
 * A program that picks fields ends after the last one it wants. Invariants:
 *  1. Every step but MARK and NEXT consumes a byte, MARK is outside of loops and no loop is empty:
 *     time is in proportion to the bytes consumed, whatever counts the input claims.
 *  2. Unfolding keeps a stack of its own, at most JFR_NEST_MAX deep (a class inside itself fails
 *     there), visits at most JFR_FIELDS_MAX fields for a class and JFR_VISITS_MAX for a metadata.
 */
#include "codec/jfr_int.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { WINDOW = 64 };

struct level {
    uint32_t class, field; /* the next one */
    uint32_t loop;         /* of an array: its step; else PROF_NONE */
};

struct unfold {
    struct jfr_dec *d;
    struct jfr_meta *m;
    const struct jfr_want *wants;
    uint32_t n_wants, visits, found; /* found: a bit for each want */
    uint32_t used;                   /* steps up to the last wanted one */
    struct level levels[JFR_NEST_MAX];
    uint32_t n_levels;
};

static enum status emit(struct unfold *u, enum jfr_op_kind kind, uint32_t n)
{
    struct jfr_op *last = u->m->ops.n ? &u->m->ops.v[u->m->ops.n - 1] : NULL;
    bool joins = last && last->kind == kind;
    if (joins && (kind == JFR_OP_SKIP || kind == JFR_OP_BYTES)) {
        last->n += n;
        return ST_OK;
    }
    if (joins && kind == JFR_OP_READ) {
        last->n |= n << (4 * last->count++);
        return ST_OK;
    }
    struct jfr_op *op = VEC_PUSH(u->d->arena, u->m->ops);
    if (!op)
        JFR_FULL(u->d);
    *op = (struct jfr_op){(uint16_t)kind, 1, n};
    return ST_OK;
}

/* A loop over nothing, over varints or over bytes is one step. */
static enum status end_loop(struct unfold *u, uint32_t loop)
{
    struct jfr_op *op = &u->m->ops.v[loop], body = {JFR_OP_END, 1, 0};
    uint32_t steps = u->m->ops.n - loop - 1;
    if (steps == 1)
        body = op[1];
    if (steps > 1 || (steps == 1 && body.kind != JFR_OP_SKIP && body.kind != JFR_OP_BYTES)) {
        TRY(emit(u, JFR_OP_NEXT, 0));
        u->m->ops.v[loop].n = u->m->ops.n - loop;
        return ST_OK;
    }
    u->m->ops.n = loop;
    if (steps == 0)
        return emit(u, JFR_OP_SKIP, 1);
    return emit(u, body.kind == JFR_OP_SKIP ? JFR_OP_SKIP_ARRAY : JFR_OP_BYTES_ARRAY, body.n);
}

/* Bytes of a fixed-size primitive, 0 for a varint. */
static uint32_t width(enum jfr_type type)
{
    switch (type) {
    case JFR_T_BYTE:
    case JFR_T_BOOLEAN:
        return 1;
    case JFR_T_FLOAT:
        return 4;
    case JFR_T_DOUBLE:
        return 8;
    default:
        return 0;
    }
}

static enum status enter(struct unfold *u, uint32_t class, uint32_t loop)
{
    if (u->n_levels == JFR_NEST_MAX)
        JFR_FAIL(u->d, "classes are nested too deeply");
    u->levels[u->n_levels++] = (struct level){class, 0, loop};
    return ST_OK;
}

static enum status emit_primitive(struct unfold *u, enum jfr_type type, bool array)
{
    if (type == JFR_T_STRING && array) {
        TRY(emit(u, JFR_OP_LOOP, 3));
        TRY(emit(u, JFR_OP_STRING, 0));
        return emit(u, JFR_OP_NEXT, 0);
    }
    if (type == JFR_T_STRING)
        return emit(u, JFR_OP_STRING, 0);
    uint32_t bytes = width(type);
    if (array)
        return emit(u, bytes ? JFR_OP_BYTES_ARRAY : JFR_OP_SKIP_ARRAY, bytes ? bytes : 1);
    return emit(u, bytes ? JFR_OP_BYTES : JFR_OP_SKIP, bytes ? bytes : 1);
}

/* One element or array of a class: steps now, or a level to go on with. */
static enum status unfold_element(struct unfold *u, uint32_t class, bool cp, bool array)
{
    if (!cp && class == PROF_NONE)
        JFR_FAIL(u->d, "a field has an unknown class");
    enum jfr_type type = cp ? JFR_T_LONG : u->m->classes.v[class].type;
    if (type >= JFR_T_INT && type <= JFR_T_STRING)
        return emit_primitive(u, type, array);
    uint32_t loop = array ? u->m->ops.n : PROF_NONE;
    if (array)
        TRY(emit(u, JFR_OP_LOOP, 0));
    return enter(u, class, loop);
}

static const struct jfr_want *wanted(const struct unfold *u, const struct jfr_field *f)
{
    enum jfr_type type = f->class == PROF_NONE ? JFR_T_OTHER : u->m->classes.v[f->class].type;
    for (uint32_t i = 0; u->n_levels == 1 && i < u->n_wants; i++)
        if (u->wants[i].type == type && u->wants[i].cp == f->cp && u->wants[i].array == f->array &&
            str_eq(u->wants[i].name, f->name))
            return &u->wants[i];
    return NULL;
}

static enum status unfold_field(struct unfold *u, const struct jfr_field *f)
{
    const struct jfr_want *w = wanted(u, f);
    uint32_t i = w ? (uint32_t)(w - u->wants) : 0;
    if (!w || u->found >> i & 1)
        return unfold_element(u, f->class, f->cp, f->array);
    u->found |= 1u << i;
    bool value = !f->array && (f->cp || f->class == PROF_NONE || w->type < JFR_T_STRING);
    TRY(emit(u, value ? JFR_OP_READ : JFR_OP_MARK, i));
    u->used = u->m->ops.n;
    return value ? ST_OK : unfold_element(u, f->class, f->cp, f->array);
}

static enum status unfold_next(struct unfold *u)
{
    struct level *l = &u->levels[u->n_levels - 1];
    const struct jfr_class *class = &u->m->classes.v[l->class];
    if (++u->visits > JFR_FIELDS_MAX || ++u->m->visits > JFR_VISITS_MAX)
        JFR_FAIL(u->d, "a class has too many fields");
    if (l->field < class->n_fields)
        return unfold_field(u, &u->m->fields.v[class->first_field + l->field++]);
    uint32_t loop = l->loop;
    u->n_levels--;
    return loop == PROF_NONE ? ST_OK : end_loop(u, loop);
}

/* Of a program of nothing but varints: whom each is for. Others have none. */
static enum status flatten(struct jfr_dec *d, const struct jfr_op *ops, struct jfr_prog *prog)
{
    uint32_t n = 0;
    const struct jfr_op *op = ops;
    for (; op->kind == JFR_OP_SKIP || op->kind == JFR_OP_READ; op++)
        n += op->kind == JFR_OP_SKIP ? op->n : op->count;
    *prog = (struct jfr_prog){.ops = ops};
    if (op->kind != JFR_OP_END || n > WINDOW)
        return ST_OK;
    uint8_t *to = arena_alloc(d->arena, n);
    if (!to)
        JFR_FULL(d);
    prog->to = to;
    prog->varints = n;
    for (op = ops; op->kind != JFR_OP_END; op++) {
        bool read = op->kind == JFR_OP_READ;
        uint32_t wants = op->n;
        for (n = read ? op->count : op->n; n; n--, wants >>= 4)
            *to++ = read ? wants & 15 : JFR_TO_NOBODY;
    }
    return ST_OK;
}

enum status jfr_prog_compile(struct jfr_dec *d, struct jfr_meta *m, uint32_t class,
    const struct jfr_want *wants, uint32_t n_wants, struct jfr_prog *ret_prog)
{
    ASSERT(class < m->classes.n && n_wants <= JFR_WANTS_MAX);
    struct unfold u = {.d = d, .m = m, .wants = wants, .n_wants = n_wants};
    m->ops.n = 0;
    enum jfr_type type = m->classes.v[class].type;
    if (type >= JFR_T_INT && type <= JFR_T_STRING && !n_wants)
        TRY(emit_primitive(&u, type, false));
    else
        TRY(enter(&u, class, PROF_NONE));
    while (u.n_levels)
        TRY(unfold_next(&u));
    if (wants)
        m->ops.n = u.used;
    TRY(emit(&u, JFR_OP_END, 0));
    struct jfr_op *ops = ARENA_ARRAY(d->arena, struct jfr_op, m->ops.n);
    if (!ops)
        JFR_FULL(d);
    memcpy(ops, m->ops.v, m->ops.n * sizeof *ops);
    return flatten(d, ops, ret_prog);
}

struct loop {
    const struct jfr_op *body;
    uint64_t left;
};

static const struct jfr_op *start_loop(
    const struct jfr_op *op, struct jfr_reader *r, struct loop *loops, uint32_t *n_loops)
{
    uint64_t count = jfr_read_int(r);
    if (count == 0)
        return op + op->n;
    ASSERT(*n_loops < JFR_NEST_MAX);
    loops[(*n_loops)++] = (struct loop){op + 1, count};
    return op + 1;
}

static void skip_array(struct jfr_reader *r, const struct jfr_op *op)
{
    uint64_t n = (uint64_t)jfr_read_int(r) * op->n;
    if (op->kind == JFR_OP_SKIP_ARRAY)
        jfr_skip_varints(r, n);
    else
        jfr_skip_bytes(r, n);
}

static inline void read_wants(struct jfr_reader *r, const struct jfr_op *op, uint64_t *out)
{
    const uint8_t *p = r->p;
    uint32_t to = op->n;
    for (uint32_t i = op->count; i; i--, to >>= 4) {
        struct jfr_got got = jfr_get(p, r->end);
        if (UNLIKELY(!got.p)) {
            jfr_fail(r);
            return;
        }
        out[to & 15] = got.v;
        p = got.p;
    }
    r->p = p;
}

/* Those that fields of events seldom need. */
static const struct jfr_op *rare_step(
    const struct jfr_op *op, struct jfr_reader *r, struct loop *loops, uint32_t *n_loops)
{
    switch (op->kind) {
    case JFR_OP_BYTES:
        jfr_skip_bytes(r, op->n);
        break;
    case JFR_OP_STRING:
        jfr_skip_string(r);
        break;
    case JFR_OP_SKIP_ARRAY:
    case JFR_OP_BYTES_ARRAY:
        skip_array(r, op);
        break;
    case JFR_OP_LOOP:
        return start_loop(op, r, loops, n_loops);
    case JFR_OP_NEXT:
        if (--loops[*n_loops - 1].left)
            return loops[*n_loops - 1].body;
        --*n_loops;
        break;
    default:
        ASSERT(false);
    }
    return op + 1;
}

#ifdef __SSE2__
static inline uint64_t high_bits(const uint8_t *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (uint32_t)_mm_movemask_epi8(v);
}
#else
static inline uint64_t high_bits(const uint8_t *p)
{
    uint64_t low = (load_u64le(p) & JFR_HIGH) >> 7, high = (load_u64le(p + 8) & JFR_HIGH) >> 7;
    return (low * 0x0102040810204080u >> 56) | (high * 0x0102040810204080u >> 56) << 8;
}
#endif

/* Bit i: byte i ends a varint (its high bit is clear). */
static inline uint64_t ends_of(const uint8_t *p)
{
    return ~(
        high_bits(p) | high_bits(p + 16) << 16 | high_bits(p + 32) << 32 | high_bits(p + 48) << 48);
}

/* The varint of `n` bytes at p, more than one; eight more bytes are readable. */
static inline uint64_t value_of(const uint8_t *p, uint64_t n)
{
    uint64_t w = load_u64le(p);
    if (LIKELY(n <= 3)) {
        w &= n == 2 ? 0x7F7F : 0x7F7F7F;
        return (w & 0x7F) | (w & 0x7F00) >> 1 | (w & 0x7F0000) >> 2;
    }
    if (n < 8)
        return jfr_squeeze(w & (((uint64_t)1 << (8 * n)) - 1));
    return n == 8 ? jfr_squeeze(w) : jfr_squeeze(w) | (uint64_t)p[8] << 56;
}

/* A program of nothing but varints, over one window. Where values end is found for all of them at
 * once; bit 0 of `ends` is the byte at p. Most values have one byte, the correlation ids at the end
 * above all. NULL: the window is too short for this one. */
static inline const uint8_t *run_window(
    const struct jfr_prog *prog, const uint8_t *p, uint64_t *out)
{
    uint64_t ends = ends_of(p);
    const uint8_t *to = prog->to, *last = to + prog->varints;
    for (; to < last; to++) {
        uint64_t n = 1, v = *p;
        if (!(ends & 1)) {
            if (UNLIKELY(!ends))
                return NULL;
            n = (uint64_t)__builtin_ctzll(ends) + 1;
            n = MIN(n, JFR_VARINT_MAX); /* the ninth byte gives all its bits, the high one too */
            if (*to != JFR_TO_NOBODY)
                v = value_of(p, n);
        }
        if (*to != JFR_TO_NOBODY)
            out[*to] = v;
        p += n;
        ends >>= n;
    }
    return p;
}

bool jfr_prog_run(
    const struct jfr_prog *prog, struct jfr_reader *r, const char *base, uint64_t *out)
{
    if (LIKELY(prog->varints && jfr_left(r) >= WINDOW + 2 * JFR_VARINT_MAX)) {
        const uint8_t *after = run_window(prog, r->p, out);
        if (LIKELY(after)) {
            r->p = after;
            return true;
        }
    }
    struct loop loops[JFR_NEST_MAX];
    uint32_t n_loops = 0;
    for (const struct jfr_op *op = prog->ops; !r->bad;) {
        switch (op->kind) {
        case JFR_OP_END:
            return true;
        case JFR_OP_SKIP:
            jfr_skip_varints(r, op->n);
            op++;
            break;
        case JFR_OP_READ:
            read_wants(r, op, out);
            op++;
            break;
        case JFR_OP_MARK:
            out[op->n] = (uint64_t)((const char *)r->p - base);
            op++;
            break;
        default:
            op = rare_step(op, r, loops, &n_loops);
        }
    }
    return false;
}
