/* From the key of a stack trace to a stack of the profile: symbols, methods, locations, frames.
 *
 *     StackTrace ▸ frames (method, line) ▸ Method ▸ Class ▸ Symbol
 *                     │                     └──────────────▸ Symbol
 *                     └─ location (function, line), function "<class>.<method>"
 *
 * Each step is done once: a stack when the first event refers to it, a method when the first frame
 * does. Frames are the bulk (175,000 in a busy recording, 5,000 different): the bytes of the first
 * two varints, not decoded, are the key of a table of locations, so a frame costs one load, one
 * multiplication and one probe. Two ways to write the same numbers only cost a second table entry,
 * as the slow path ends in the table of (function, line), which lives for the whole request.
 *
 * Functions, locations and stacks are each there once, whatever the chunks call them: a function is
 * its name, which is all that a recording says about it.
 *
 * A stack that does not resolve is PROF_NONE, a frame that does not resolve is left out. */
#include "base/utf8.h"
#include "codec/jfr_int.h"

/* ---- strings ---- */

static bool find_string(
    const struct jfr_symbols *sym, struct str s, uint64_t hash, uint32_t *ret_id)
{
    struct idmap_probe p = idmap_start(&sym->string_ids, hash);
    uint32_t i;
    while (idmap_next(&sym->string_ids, &p, &i)) {
        if (str_eq(sym->strings.v[i], s)) {
            *ret_id = i;
            return true;
        }
    }
    return false;
}

static enum status add_string(struct jfr_dec *d, struct str s, uint64_t hash, uint32_t *ret_id)
{
    struct jfr_symbols *sym = &d->sym;
    uint32_t id = sym->strings.n;
    struct str *at = VEC_PUSH(d->arena, sym->strings);
    uint32_t *function = VEC_PUSH(d->arena, sym->functions_of);
    if (!at || !function || !arena_map_put(&sym->string_ids, d->arena, hash, id))
        JFR_FULL(d);
    *at = s;
    *function = 0;
    sym->string_bytes += s.n;
    *ret_id = id;
    return ST_OK;
}

static enum status fail_utf8(struct jfr_dec *d, struct str s)
{
    char hex[2 * 256 + 1];
    size_t n = MIN(s.n, sizeof hex / 2);
    for (size_t i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", (uint8_t)s.p[i]);
    FAIL(d->err, ST_INVALID_ARGUMENT, "invalid utf8 string hex: %.*s", (int)(2 * n), hex);
}

/* Half of a pair of surrogates, each written as three bytes; 0: no such thing. */
static uint32_t surrogate(struct str s)
{
    const uint8_t *p = (const uint8_t *)s.p;
    bool is = s.n >= 3 && p[0] == 0xED && p[1] >= 0xA0 && p[1] < 0xC0 && (p[2] & 0xC0) == 0x80;
    return is ? 0xD000u | (uint32_t)(p[1] & 0x3F) << 6 | (p[2] & 0x3F) : 0;
}

/* One character of the JVM's variant: NUL has two bytes, pairs are written half by half, and a half
 * alone is no character. Returns the bytes read, 0 when it is no UTF-8 of any kind. */
static size_t jvm_decode(struct str s, uint32_t *ret_cp)
{
    if (str_starts(s, STR("\xC0\x80"))) {
        *ret_cp = 0;
        return 2;
    }
    uint32_t half = surrogate(s), low = half ? surrogate(str_skip(s, 3)) : 0;
    if (!half)
        return utf8_decode(s, ret_cp);
    bool pair = half < 0xDC00 && low >= 0xDC00;
    *ret_cp = pair ? 0x10000 + ((half & 0x3FF) << 10) + (low & 0x3FF) : 0xFFFD;
    return pair ? 6 : 3;
}

static enum status repair_utf8(struct jfr_dec *d, struct str in, struct str *ret_s)
{
    char *p = arena_alloc(d->arena, in.n); /* no character gets longer */
    if (!p)
        JFR_FULL(d);
    size_t len = 0;
    for (struct str rest = in; rest.n;) {
        uint32_t cp;
        size_t n = jvm_decode(rest, &cp);
        if (n == 0)
            return fail_utf8(d, in);
        len += utf8_encode(p + len, cp);
        rest = str_skip(rest, n);
    }
    *ret_s = str_make(p, len);
    return ST_OK;
}

enum status jfr_string_id(struct jfr_dec *d, struct str s, uint32_t *ret_id)
{
    uint64_t hash = hash_str(s);
    if (find_string(&d->sym, s, hash, ret_id))
        return ST_OK;
    if (LIKELY(utf8_valid(s)))
        return add_string(d, s, hash, ret_id);
    TRY(repair_utf8(d, s, &s));
    hash = hash_str(s);
    return find_string(&d->sym, s, hash, ret_id) ? ST_OK : add_string(d, s, hash, ret_id);
}

/* ---- functions and locations ---- */

/* A symbol that does not resolve reads as empty. */
static enum status symbol(struct jfr_dec *d, struct jfr_chunk *c, uint64_t key, struct str *ret_s)
{
    uint64_t v[JFR_WANTS_MAX];
    *ret_s = STR_EMPTY;
    const struct jfr_entry *e = jfr_index_find(&c->pools[JFR_T_SYMBOL], key);
    if (!e)
        return ST_OK;
    struct jfr_reader r = jfr_reader_make(c->bytes, e->at);
    TRY(jfr_pool_fields(d, c, JFR_T_SYMBOL, &r, v));
    if (!v[0])
        return ST_OK;
    r = jfr_reader_make(c->bytes, v[0]);
    TRY(jfr_string(d, c, &r, ret_s));
    *ret_s = jfr_name_rewrite(*ret_s, d->arena);
    if (!ret_s->p)
        JFR_FULL(d);
    return ST_OK;
}

/* NULL when it does not resolve. */
static enum status class_name(
    struct jfr_dec *d, struct jfr_chunk *c, uint64_t key, const struct str **ret_name)
{
    uint64_t v[JFR_WANTS_MAX];
    *ret_name = NULL;
    struct jfr_entry *e = jfr_index_find(&c->pools[JFR_T_CLASS], key);
    if (!e)
        return ST_OK;
    if (!e->memo_plus_1) {
        struct jfr_reader r = jfr_reader_make(c->bytes, e->at);
        TRY(jfr_pool_fields(d, c, JFR_T_CLASS, &r, v));
        struct str *name = VEC_PUSH(d->arena, c->class_names);
        if (!name)
            JFR_FULL(d);
        e->memo_plus_1 = c->class_names.n;
        TRY(symbol(d, c, v[0], name));
    }
    *ret_name = &c->class_names.v[e->memo_plus_1 - 1];
    return ST_OK;
}

static enum status function(
    struct jfr_dec *d, struct str class, struct str method, uint32_t *ret_function)
{
    char *p = arena_alloc(d->arena, class.n + 1 + method.n);
    if (!p)
        JFR_FULL(d);
    if (class.n)
        memcpy(p, class.p, class.n);
    p[class.n] = '.';
    if (method.n)
        memcpy(p + class.n + 1, method.p, method.n);
    uint32_t name = 0;
    TRY(jfr_string_id(d, str_make(p, class.n + 1 + method.n), &name));
    uint32_t *known = &d->sym.functions_of.v[name];
    if (!*known) {
        struct prof_function *f = VEC_PUSH(d->arena, d->sym.functions);
        if (!f)
            JFR_FULL(d);
        *f = (struct prof_function){.name = name};
        *known = d->sym.functions.n;
    }
    *ret_function = *known - 1;
    return ST_OK;
}

/* JFR_NOWHERE when the method or its class does not resolve. */
static enum status method_function(
    struct jfr_dec *d, struct jfr_chunk *c, uint64_t key, uint32_t *ret_function)
{
    *ret_function = JFR_NOWHERE;
    struct jfr_entry *e = jfr_index_find(&c->pools[JFR_T_METHOD], key);
    if (!e)
        return ST_OK;
    if (!e->memo_plus_1) {
        uint64_t v[JFR_WANTS_MAX];
        struct jfr_reader r = jfr_reader_make(c->bytes, e->at);
        TRY(jfr_pool_fields(d, c, JFR_T_METHOD, &r, v));
        const struct str *class = NULL;
        struct str method;
        TRY(class_name(d, c, v[0], &class));
        if (class) {
            TRY(symbol(d, c, v[1], &method));
            TRY(function(d, *class, method, ret_function));
        }
        e->memo_plus_1 = *ret_function + 1;
    }
    *ret_function = e->memo_plus_1 - 1;
    return ST_OK;
}

static enum status location(
    struct jfr_dec *d, struct jfr_chunk *c, uint64_t method, uint32_t line, uint32_t *ret_location)
{
    uint32_t f = JFR_NOWHERE;
    TRY(method_function(d, c, method, &f));
    *ret_location = f;
    if (f == JFR_NOWHERE)
        return ST_OK;
    line = line > INT32_MAX ? 0 : line;
    uint64_t key = (uint64_t)f << 32 | line;
    if (jfr_map_get(&d->sym.locations, key, ret_location))
        return ST_OK;
    *ret_location = d->sym.lines.n;
    struct prof_line *l = VEC_PUSH(d->arena, d->sym.lines);
    if (!l || !jfr_map_put(&d->sym.locations, d->arena, key, *ret_location))
        JFR_FULL(d);
    *l = (struct prof_line){f, line};
    return ST_OK;
}

/* ---- stacks ---- */

/* The bytes of the first two varints, when a whole frame of four is in eight bytes; else 0. Key 0
 * is a real one, but costs no more than the slow path. */
static uint64_t frame_key(const struct jfr_reader *r)
{
    if (jfr_left(r) < 8)
        return 0;
    uint64_t w = load_u64le(r->p), end1 = ~w & JFR_HIGH;
    uint64_t end2 = end1 & (end1 - 1), end3 = end2 & (end2 - 1), end4 = end3 & (end3 - 1);
    return end4 ? w & (end2 ^ (end2 - 1)) : 0;
}

/* A frame that the table does not know, or that has no key. */
static enum status new_frame(
    struct jfr_dec *d, struct jfr_chunk *c, struct jfr_reader *r, uint32_t *ret_location)
{
    uint64_t key = frame_key(r);
    uint64_t method = jfr_read(r);
    uint32_t line = jfr_read_int(r);
    jfr_skip_varints(r, 2);
    if (r->bad)
        JFR_FAIL(d, "error reading a stack trace: unexpected EOF");
    TRY(location(d, c, method, line, ret_location));
    if (key && !jfr_map_put(&c->frames, d->arena, key, *ret_location))
        JFR_FULL(d);
    return ST_OK;
}

/* As many frames as have the usual form, need no look at the end and are known: the hot loop. */
static uint32_t known_frames(
    const struct jfr_map *known, struct jfr_reader *r, uint32_t count, uint32_t **out)
{
    const uint8_t *p = r->p;
    uint32_t *to = *out, n = (uint32_t)MIN(count, jfr_left(r) / 8);
    for (; n; n--) {
        uint32_t where;
        uint64_t w = load_u64le(p), end1 = ~w & JFR_HIGH;
        uint64_t end2 = end1 & (end1 - 1), end3 = end2 & (end2 - 1), end4 = end3 & (end3 - 1);
        uint64_t key = w & (end2 ^ (end2 - 1));
        if (UNLIKELY(!end4 || !jfr_map_get(known, key, &where)))
            break;
        *to = where;
        to += where != JFR_NOWHERE;
        p += (__builtin_ctzll(end4) >> 3) + 1;
    }
    n = (uint32_t)MIN(count, jfr_left(r) / 8) - n;
    r->p = p;
    *out = to;
    return n;
}

/* Frames of four varints. */
static enum status plain_frames(
    struct jfr_dec *d, struct jfr_chunk *c, struct jfr_reader r, uint32_t count, uint32_t *ret_n)
{
    uint32_t *start = d->sym.frames.v + d->sym.frames.n, *out = start;
    while (count -= known_frames(&c->frames, &r, count, &out)) {
        TRY(new_frame(d, c, &r, out));
        out += *out != JFR_NOWHERE;
        count--;
    }
    *ret_n = (uint32_t)(out - start);
    return ST_OK;
}

/* Frames of any other layout. */
static enum status odd_frames(
    struct jfr_dec *d, struct jfr_chunk *c, struct jfr_reader r, uint32_t count, uint32_t *ret_n)
{
    uint32_t *out = d->sym.frames.v + d->sym.frames.n, n = 0;
    uint32_t class = c->meta->known[JFR_T_STACK_FRAME];
    ASSERT(class != PROF_NONE);
    struct jfr_prog *skip = &c->meta->classes.v[class].skip;
    if (!skip->ops)
        TRY(jfr_prog_compile(d, c->meta, class, NULL, 0, skip));
    if (skip->ops->kind == JFR_OP_END)
        count = 0; /* frames of no bytes: any number of them */
    while (count--) {
        uint64_t v[JFR_WANTS_MAX];
        struct jfr_reader at = r;
        TRY(jfr_pool_fields(d, c, JFR_T_STACK_FRAME, &at, v));
        if (!jfr_prog_run(skip, &r, NULL, NULL))
            JFR_FAIL(d, "error reading a stack trace: unexpected EOF");
        TRY(location(d, c, v[0], (uint32_t)v[1], &out[n]));
        n += out[n] != JFR_NOWHERE;
    }
    *ret_n = n;
    return ST_OK;
}

/* The first time, room for all frames of the chunk: a frame has at least as many bytes as it has
 * fields, of which four are usual. Of its methods many are met at one line only. */
static enum status reserve_frames(struct jfr_dec *d, const struct jfr_chunk *c, uint32_t count)
{
    uint64_t need = (uint64_t)d->sym.frames.n + count;
    if (d->sym.frames.v && need <= d->sym.frames.cap)
        return ST_OK;
    need = MAX(need + c->stacks_bytes / 4, (uint64_t)d->sym.frames.cap * 2);
    uint32_t *v = need < UINT32_MAX ? ARENA_ARRAY(d->arena, uint32_t, need) : NULL;
    if (!v)
        JFR_FULL(d);
    if (d->sym.frames.n)
        memcpy(v, d->sym.frames.v, d->sym.frames.n * sizeof *v);
    d->sym.frames.v = v;
    d->sym.frames.cap = (uint32_t)need;
    return ST_OK;
}

/* The n frames behind the last stack: a new stack, or one that is there already. */
static enum status add_stack(struct jfr_dec *d, uint32_t n, uint32_t *ret_stack)
{
    struct jfr_symbols *sym = &d->sym;
    const uint32_t *frames = sym->frames.v + sym->frames.n;
    uint64_t hash = hash_bytes(frames, n * sizeof *frames);
    struct idmap_probe p = idmap_start(&sym->stack_ids, hash);
    while (idmap_next(&sym->stack_ids, &p, ret_stack)) {
        const struct prof_stack *s = &sym->stacks.v[*ret_stack];
        if (s->n == n && memcmp(sym->frames.v + s->first, frames, n * sizeof *frames) == 0)
            return ST_OK;
    }
    *ret_stack = sym->stacks.n;
    struct prof_stack *s = VEC_PUSH(d->arena, sym->stacks);
    if (!s || !arena_map_put(&sym->stack_ids, d->arena, hash, *ret_stack))
        JFR_FULL(d);
    *s = (struct prof_stack){sym->frames.n, n};
    sym->frames.n += n;
    return ST_OK;
}

enum status jfr_stack_new(struct jfr_dec *d, struct jfr_chunk *c, struct jfr_entry *e)
{
    uint64_t v[JFR_WANTS_MAX];
    struct jfr_reader r = jfr_reader_make(c->bytes, e->at);
    TRY(jfr_pool_fields(d, c, JFR_T_STACK_TRACE, &r, v));
    uint32_t count = 0, n = 0;
    if (v[0]) {
        r = jfr_reader_make(c->bytes, v[0]);
        count = jfr_read_int(&r);
    }
    if (r.bad || count > jfr_left(&r))
        JFR_FAIL(d, "error reading a stack trace: unexpected EOF");
    TRY(reserve_frames(d, c, count));
    if (!c->frames.slots &&
        (!jfr_map_reserve(&c->frames, d->arena, c->pools[JFR_T_METHOD].n) ||
            !jfr_map_reserve(&d->sym.locations, d->arena, c->pools[JFR_T_METHOD].n)))
        JFR_FULL(d);
    if (c->meta->plain_frames)
        TRY(plain_frames(d, c, r, count, &n));
    else if (count)
        TRY(odd_frames(d, c, r, count, &n));
    uint32_t max = d->opt->stack_depth_max;
    if (max && n > max) { /* the root side stays */
        uint32_t *frames = d->sym.frames.v + d->sym.frames.n;
        memmove(frames, frames + n - max, max * sizeof *frames);
        n = max;
        d->stacks_cut++;
    }
    uint32_t stack = 0;
    TRY(add_stack(d, n, &stack));
    e->memo_plus_1 = stack + 1;
    return ST_OK;
}
