/* Constant pools, read in place: of each constant of a pool in use only its key and where its value
 * begins is kept; what it says is looked up when an event leads to it.
 *
 *     checkpoint = size · type 1 · start · duration · delta · flags · pools
 *     pool       = class id · entries (key, value)…
 *
 * Checkpoints form a chain that runs backwards by `delta` from the one named in the chunk header.
 * Invariants:
 *  1. A checkpoint ends before the one read before it begins, so all of them together are read once
 *     and a chain cannot be a circle.
 *  2. Of equal keys the one read last holds.
 *  3. Memory is in proportion to the entries present, never to the counts claimed. */
#include "base/utf8.h"
#include "codec/jfr_int.h"

/* ---- strings ---- */

static enum status utf16(struct jfr_dec *d, struct jfr_reader *r, struct str *ret_s)
{
    uint64_t n = jfr_read_int(r);
    if (n > jfr_left(r)) {
        jfr_fail(r);
        return ST_OK;
    }
    char *p = arena_alloc(d->arena, n * 3);
    if (!p)
        JFR_FULL(d);
    size_t len = 0;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t cp = jfr_read_int(r) & 0xFFFF;
        struct jfr_reader ahead = *r;
        uint32_t low = i + 1 < n && (cp & 0xFC00) == 0xD800 ? jfr_read_int(&ahead) & 0xFFFF : 0;
        if ((low & 0xFC00) == 0xDC00) {
            cp = 0x10000 + ((cp & 0x3FF) << 10) + (low & 0x3FF);
            *r = ahead;
            i++;
        } else if ((cp & 0xF800) == 0xD800) {
            cp = 0xFFFD; /* half of a pair */
        }
        len += utf8_encode(p + len, cp);
    }
    *ret_s = str_make(p, len);
    return ST_OK;
}

static enum status latin1(struct jfr_dec *d, struct str in, struct str *ret_s)
{
    size_t high = 0;
    for (size_t i = 0; i < in.n; i++)
        high += (uint8_t)in.p[i] >> 7;
    *ret_s = in;
    if (high == 0)
        return ST_OK;
    char *p = arena_alloc(d->arena, in.n + high);
    if (!p)
        JFR_FULL(d);
    size_t len = 0;
    for (size_t i = 0; i < in.n; i++)
        len += utf8_encode(p + len, (uint8_t)in.p[i]);
    *ret_s = str_make(p, len);
    return ST_OK;
}

static struct str view(struct jfr_reader *r)
{
    uint64_t n = jfr_read_int(r);
    const uint8_t *p = r->p;
    jfr_skip_bytes(r, n);
    return r->bad ? STR_EMPTY : str_make(p, n);
}

static enum status plain_string(
    struct jfr_dec *d, uint8_t tag, struct jfr_reader *r, struct str *ret_s)
{
    *ret_s = STR_EMPTY;
    switch (tag) {
    case 0:
    case 1:
        return ST_OK;
    case 3:
        *ret_s = view(r);
        return ST_OK;
    case 4:
        return utf16(d, r, ret_s);
    case 5:
        return latin1(d, view(r), ret_s);
    default:
        JFR_FAIL(d, "unknown string type %u", tag);
    }
}

/* Decoded once, however often it is referred to. One that is again a reference reads as empty. */
static enum status constant_string(
    struct jfr_dec *d, struct jfr_chunk *c, struct jfr_entry *e, struct str *ret_s)
{
    if (!e->memo_plus_1) {
        struct jfr_reader r = jfr_reader_make(c->bytes, e->at);
        uint8_t tag = jfr_read_byte(&r);
        struct str s = STR_EMPTY, *memo = VEC_PUSH(d->arena, c->strings);
        if (!memo)
            JFR_FULL(d);
        *memo = STR_EMPTY;
        if (tag != 2)
            TRY(plain_string(d, tag, &r, &s));
        *memo = s;
        e->memo_plus_1 = c->strings.n;
    }
    *ret_s = c->strings.v[e->memo_plus_1 - 1];
    return ST_OK;
}

/* A reference of the metadata, which comes before all pools, reads as empty. */
enum status jfr_string(
    struct jfr_dec *d, struct jfr_chunk *c, struct jfr_reader *r, struct str *ret_s)
{
    uint8_t tag = jfr_read_byte(r);
    if (r->bad)
        JFR_FAIL(d, "error reading a string: unexpected EOF");
    if (tag != 2)
        return plain_string(d, tag, r, ret_s);
    uint64_t key = jfr_read(r);
    struct jfr_entry *e = c ? jfr_index_find(&c->pools[JFR_T_STRING], key) : NULL;
    *ret_s = STR_EMPTY;
    return e ? constant_string(d, c, e, ret_s) : ST_OK;
}

/* ---- pools ---- */

static bool is_kept(enum jfr_type type)
{
    return type >= JFR_T_STRING && type < JFR_T_EXECUTION && type != JFR_T_STACK_FRAME;
}

static enum status read_entries(struct jfr_dec *d, struct jfr_chunk *c, struct jfr_reader *r,
    struct jfr_class *class, uint64_t n)
{
    struct jfr_index *x = is_kept(class->type) ? &c->pools[class->type] : NULL;
    if (n > jfr_left(r))
        JFR_FAIL(d, "error reading constant pools: unexpected EOF");
    if (x && !jfr_index_reserve(x, d->arena, (uint32_t)n))
        JFR_FULL(d);
    for (uint64_t i = 0; i < n; i++) {
        uint64_t key = jfr_read(r);
        uint32_t at = (uint32_t)((const char *)r->p - c->bytes.p);
        if (!jfr_prog_run(&class->skip, r, NULL, NULL) || r->bad)
            JFR_FAIL(d, "error reading constant pools: unexpected EOF");
        if (x && !jfr_index_add(x, d->arena, key, at))
            JFR_FULL(d);
    }
    return ST_OK;
}

static enum status read_pool(struct jfr_dec *d, struct jfr_chunk *c, struct jfr_reader *r)
{
    uint64_t id = jfr_read(r);
    uint64_t n = jfr_read_int(r);
    const struct jfr_entry *e = jfr_index_find(&c->meta->by_id, id);
    if (r->bad)
        JFR_FAIL(d, "error reading constant pools: unexpected EOF");
    if (!e)
        JFR_FAIL(d, "unknown class %lld of a constant pool", (long long)id);
    struct jfr_class *class = &c->meta->classes.v[e->at];
    if (n && !class->skip.ops)
        TRY(jfr_prog_compile(d, c->meta, e->at, NULL, 0, &class->skip));
    const uint8_t *start = r->p;
    TRY(read_entries(d, c, r, class, n));
    if (class->type == JFR_T_STACK_TRACE)
        c->stacks_bytes += (uint64_t)(r->p - start);
    return ST_OK;
}

/* *end is where the checkpoint must end at the latest; it becomes where this one began. */
static enum status read_checkpoint(
    struct jfr_dec *d, struct jfr_chunk *c, uint64_t offset, uint64_t *end, int64_t *ret_delta)
{
    struct jfr_reader r = jfr_reader_make(c->bytes, offset);
    uint64_t size = jfr_read(&r);
    if (r.bad || size > *end - offset)
        JFR_FAIL(d, "error reading constant pools: unexpected EOF");
    r.end = (const uint8_t *)c->bytes.p + offset + size;
    r.p = MIN(r.p, r.end);
    uint64_t type = jfr_read(&r);
    if (!r.bad && type != 1)
        JFR_FAIL(d, "unexpected checkpoint type %llu", (unsigned long long)type);
    jfr_skip_varints(&r, 2);
    *ret_delta = (int64_t)jfr_read(&r);
    jfr_read_byte(&r);
    uint64_t n = jfr_read_int(&r);
    for (uint64_t i = 0; i < n && !r.bad; i++)
        TRY(read_pool(d, c, &r));
    if (r.bad)
        JFR_FAIL(d, "error reading constant pools: unexpected EOF");
    *end = offset;
    return ST_OK;
}

enum status jfr_pools_read(struct jfr_dec *d, struct jfr_chunk *c, size_t offset)
{
    uint64_t at = offset, end = c->bytes.n;
    int64_t delta = 0;
    do {
        TRY(read_checkpoint(d, c, at, &end, &delta));
        if (delta > 0)
            JFR_FAIL(d, "constant pools are not chained backwards");
        if (delta == 0 || delta < -(int64_t)at)
            break;
        at -= (uint64_t)-delta;
    } while (true);
    for (uint32_t i = 0; i < JFR_T_EXECUTION; i++)
        if (!jfr_index_build(&c->pools[i], d->arena))
            JFR_FULL(d);
    return ST_OK;
}

/* ---- values ---- */

static const struct jfr_want want_symbol[] = {{{"string", 6}, JFR_T_STRING, false, false}};
static const struct jfr_want want_class[] = {{{"name", 4}, JFR_T_SYMBOL, true, false}};
static const struct jfr_want want_method[] = {
    {{"type", 4}, JFR_T_CLASS, true, false},
    {{"name", 4}, JFR_T_SYMBOL, true, false},
};
static const struct jfr_want want_stack[] = {{{"frames", 6}, JFR_T_STACK_FRAME, false, true}};
static const struct jfr_want want_frame[] = {
    {{"method", 6}, JFR_T_METHOD, true, false},
    {{"lineNumber", 10}, JFR_T_INT, false, false},
};
static const struct jfr_want want_state[] = {{{"name", 4}, JFR_T_STRING, false, false}};

static const struct {
    const struct jfr_want *v;
    uint32_t n;
} wants[JFR_T_EXECUTION] = {
    [JFR_T_SYMBOL] = {want_symbol, ARRAY_LEN(want_symbol)},
    [JFR_T_CLASS] = {want_class, ARRAY_LEN(want_class)},
    [JFR_T_METHOD] = {want_method, ARRAY_LEN(want_method)},
    [JFR_T_STACK_TRACE] = {want_stack, ARRAY_LEN(want_stack)},
    [JFR_T_STACK_FRAME] = {want_frame, ARRAY_LEN(want_frame)},
    [JFR_T_THREAD_STATE] = {want_state, ARRAY_LEN(want_state)},
};

enum status jfr_pool_fields(struct jfr_dec *d, struct jfr_chunk *c, enum jfr_type type,
    struct jfr_reader *r, uint64_t v[JFR_WANTS_MAX])
{
    ASSERT(type < JFR_T_EXECUTION && wants[type].n);
    memset(v, 0, JFR_WANTS_MAX * sizeof *v);
    uint32_t i = c->meta->known[type];
    if (i == PROF_NONE)
        return ST_OK;
    struct jfr_prog *prog = &c->meta->classes.v[i].read;
    if (UNLIKELY(!prog->ops))
        TRY(jfr_prog_compile(d, c->meta, i, wants[type].v, wants[type].n, prog));
    if (!jfr_prog_run(prog, r, c->bytes.p, v))
        JFR_FAIL(d, "error reading constant pools: unexpected EOF");
    return ST_OK;
}
