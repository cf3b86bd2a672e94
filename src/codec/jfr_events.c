/* Events to samples. The rules are a table: which fields an event class has for us, and which
 * profile its value goes to.
 *
 * The events of a chunk are walked by their size; of the classes in the table the wanted fields are
 * read by a program (jfr_prog.c), all others are passed over. An event becomes the numbers (stack,
 * label set, span, trace), and equal ones accumulate in one sample of a builder. Per event nothing
 * is allocated but the first of its kind's sample.
 *
 * Most events differ from one before in their start time only, so what an event adds to which
 * samples is remembered by the bytes behind it (struct jfr_again): nine of ten events of a small
 * service, and half of those of a busy one, cost a comparison instead of eleven fields and five
 * tables.
 *
 * Values wrap like machine integers while they accumulate; samples that end with a negative value,
 * or with zeros only, are left out at the end, as normalisation does. */
#include "codec/jfr_int.h"

enum want {
    WANT_STACK,
    WANT_STATE,
    WANT_VALUE,
    WANT_CONTEXT,
    WANT_SPAN,
    WANT_SPAN_NAME,
    WANT_TRACE_HI,
    WANT_TRACE_LO,
    WANT_N,
    WANT_NAME = 0, /* of settings */
    WANT_SETTING = 1,
};

#define F(text)                \
    {                          \
        text, sizeof(text) - 1 \
    }
#define STACK                                           \
    {                                                   \
        F("stackTrace"), JFR_T_STACK_TRACE, true, false \
    }
#define STATE                                       \
    {                                               \
        F("state"), JFR_T_THREAD_STATE, true, false \
    }
#define LONG(text)                        \
    {                                     \
        F(text), JFR_T_LONG, false, false \
    }
#define NOTHING                          \
    {                                    \
        F(""), JFR_T_OTHER, false, false \
    }
#define CORRELATION \
    LONG("contextId"), LONG("spanId"), LONG("spanName"), LONG("traceIdHi"), LONG("traceIdLo")

struct event_class {
    struct jfr_want wants[WANT_N];
    uint32_t n_wants;
    enum jfr_builder_kind builder;
};

static const struct event_class event_classes[JFR_T_N] = {
    [JFR_T_EXECUTION] = {{STACK, STATE, NOTHING, CORRELATION}, WANT_N, JFR_B_CPU},
    [JFR_T_WALL_CLOCK] = {{STACK, STATE, {F("samples"), JFR_T_INT, false, false}, CORRELATION},
        WANT_N, JFR_B_WALL},
    [JFR_T_NEW_TLAB] = {{STACK, NOTHING, LONG("tlabSize"), CORRELATION}, WANT_N, JFR_B_NEW_TLAB},
    [JFR_T_OUTSIDE_TLAB] = {{STACK, NOTHING, LONG("allocationSize"), CORRELATION}, WANT_N,
        JFR_B_OUTSIDE_TLAB},
    [JFR_T_ALLOCATION] = {{STACK, NOTHING, LONG("weight")}, WANT_VALUE + 1, JFR_B_ALLOCATION},
    [JFR_T_MONITOR_ENTER] = {{STACK, NOTHING, LONG("duration"), CORRELATION}, WANT_N, JFR_B_LOCK},
    [JFR_T_THREAD_PARK] = {{STACK, NOTHING, LONG("duration")}, WANT_VALUE + 1, JFR_B_PARK},
    [JFR_T_LIVE_OBJECT] = {{STACK}, 1, JFR_B_LIVE},
    [JFR_T_MALLOC] = {{STACK, NOTHING, LONG("size")}, WANT_VALUE + 1, JFR_B_MALLOC},
    [JFR_T_ACTIVE_SETTING] = {{{F("name"), JFR_T_STRING, false, false},
                                  {F("value"), JFR_T_STRING, false, false}},
        WANT_SETTING + 1, JFR_B_N},
};

struct event {
    enum jfr_type type;
    uint64_t v[JFR_WANTS_MAX];
};

/* ---- builders ---- */

static const uint8_t builder_types[JFR_B_N] = {
    [JFR_B_CPU] = 1,
    [JFR_B_WALL] = 1,
    [JFR_B_NEW_TLAB] = 2,
    [JFR_B_OUTSIDE_TLAB] = 2,
    [JFR_B_ALLOCATION] = 2,
    [JFR_B_LOCK] = 2,
    [JFR_B_PARK] = 2,
    [JFR_B_LIVE] = 1,
    [JFR_B_MALLOC] = 2,
};

static bool same_sample(const struct prof_sample *a, const struct prof_sample *b)
{
    return a->stack == b->stack && a->labelset == b->labelset && a->span == b->span &&
           a->trace_hi == b->trace_hi && a->trace_lo == b->trace_lo;
}

static void accumulate(int64_t *sum, int64_t value)
{
    *sum = (int64_t)((uint64_t)*sum + (uint64_t)value);
}

/* What an event adds to one sample. */
struct effect {
    struct jfr_builder *builder;
    uint32_t sample;
    struct jfr_sums sums;
};
struct effects {
    uint32_t n;
    struct effect v[2];
};

static inline void apply(const struct effects *fx)
{
    for (uint32_t i = 0; i < fx->n; i++) {
        const struct effect *e = &fx->v[i];
        struct jfr_sums *sums = &e->builder->sums.v[e->sample];
        accumulate(&sums->v[0], e->sums.v[0]);
        accumulate(&sums->v[1], e->sums.v[1]);
    }
}

static enum status new_sample(
    struct jfr_dec *d, struct jfr_builder *b, const struct prof_sample *s, uint32_t *ret_i)
{
    *ret_i = b->samples.n;
    struct prof_sample *at = VEC_PUSH(d->arena, b->samples);
    struct jfr_sums *sums = VEC_PUSH(d->arena, b->sums);
    if (!at || !sums)
        JFR_FULL(d);
    *at = *s;
    *sums = (struct jfr_sums){0};
    return ST_OK;
}

/* Stack and label set say it all. */
static enum status plain_sample(
    struct jfr_dec *d, struct jfr_builder *b, const struct prof_sample *s, uint32_t *ret_i)
{
    uint64_t key = (uint64_t)s->stack << 32 | s->labelset;
    if (LIKELY(jfr_map_get(&b->plain, key, ret_i)))
        return ST_OK;
    if (!jfr_map_put(&b->plain, d->arena, key, b->samples.n))
        JFR_FULL(d);
    return new_sample(d, b, s, ret_i);
}

static enum status traced_sample(
    struct jfr_dec *d, struct jfr_builder *b, const struct prof_sample *s, uint32_t *ret_i)
{
    uint64_t hash = hash_u64((uint64_t)s->stack << 32 | s->labelset, s->span);
    hash = hash_u64(hash ^ s->trace_hi, s->trace_lo);
    struct idmap_probe p = idmap_start(&b->ids, hash);
    while (idmap_next(&b->ids, &p, ret_i))
        if (same_sample(&b->samples.v[*ret_i], s))
            return ST_OK;
    if (!arena_map_put(&b->ids, d->arena, hash, b->samples.n))
        JFR_FULL(d);
    return new_sample(d, b, s, ret_i);
}

static enum status add_effect(struct jfr_dec *d, enum jfr_builder_kind kind,
    const struct prof_sample *s, int64_t v0, int64_t v1, struct effects *fx)
{
    struct jfr_builder *b = &d->builders[kind];
    struct effect *e = &fx->v[fx->n++];
    ASSERT(fx->n <= ARRAY_LEN(fx->v));
    *e = (struct effect){.builder = b, .sums = {{v0, v1}}};
    bool plain = LIKELY(!(s->span | s->trace_hi | s->trace_lo));
    return plain ? plain_sample(d, b, s, &e->sample) : traced_sample(d, b, s, &e->sample);
}

/* ---- events ---- */

enum state { STATE_NONE, STATE_OTHER, STATE_RUNNABLE, STATE_SLEEPING };

static enum status thread_state(
    struct jfr_dec *d, struct jfr_chunk *c, uint64_t key, enum state *ret_state)
{
    struct jfr_entry *e = jfr_index_find(&c->pools[JFR_T_THREAD_STATE], key);
    *ret_state = STATE_NONE;
    if (!e)
        return ST_OK;
    if (!e->memo_plus_1) {
        uint64_t v[JFR_WANTS_MAX];
        struct str name = STR_EMPTY;
        struct jfr_reader r = jfr_reader_make(c->bytes, e->at);
        TRY(jfr_pool_fields(d, c, JFR_T_THREAD_STATE, &r, v));
        r = jfr_reader_make(c->bytes, v[0]);
        if (v[0])
            TRY(jfr_string(d, c, &r, &name));
        e->memo_plus_1 = 1 + (str_eq(name, STR("STATE_RUNNABLE"))      ? STATE_RUNNABLE
                                 : str_eq(name, STR("STATE_SLEEPING")) ? STATE_SLEEPING
                                                                       : STATE_OTHER);
    }
    *ret_state = (enum state)(e->memo_plus_1 - 1);
    return ST_OK;
}

static int64_t ticks_to_ns(const struct jfr_chunk *c, uint64_t ticks)
{
    if (c->ticks_per_s <= 0 || c->ticks_per_s == NS_PER_S)
        return (int64_t)ticks;
    __int128 ns = (__int128)(int64_t)ticks * NS_PER_S / c->ticks_per_s;
    return ns > INT64_MAX ? INT64_MAX : ns < INT64_MIN ? INT64_MIN : (int64_t)ns;
}

/* cpu: threads that run; wall: all of them, when the profiler's clock was wall time. */
static enum status time_effects(struct jfr_dec *d, struct jfr_chunk *c, const struct event *e,
    const struct prof_sample *s, struct effects *fx)
{
    enum state state = STATE_NONE;
    TRY(thread_state(d, c, e->v[WANT_STATE], &state));
    bool sampled = e->type == JFR_T_EXECUTION;
    int64_t count = sampled ? 1 : (int32_t)(uint32_t)e->v[WANT_VALUE];
    int64_t ns = (int64_t)((uint64_t)count * (uint64_t)d->period_ns);
    bool cpu = sampled ? state != STATE_NONE && state != STATE_SLEEPING
                       : state == STATE_RUNNABLE && d->event_is_wall;
    if (cpu)
        TRY(add_effect(d, JFR_B_CPU, s, ns, 0, fx));
    if (!sampled || d->event_is_wall)
        TRY(add_effect(d, JFR_B_WALL, s, ns, 0, fx));
    return ST_OK;
}

/* None when its stack does not resolve. */
static enum status event_effects(
    struct jfr_dec *d, struct jfr_chunk *c, const struct event *e, struct effects *fx)
{
    struct prof_sample s = {0};
    const struct jfr_context *ctx = NULL;
    TRY(jfr_stack(d, c, e->v[WANT_STACK], &s.stack));
    if (s.stack == PROF_NONE)
        return ST_OK;
    TRY(jfr_context(d, e->v[WANT_CONTEXT], e->v[WANT_SPAN_NAME], &ctx));
    s.labelset = ctx->labelset;
    /* The id is shown as hex digits, high first; those eight bytes are read low first. */
    s.span = e->v[WANT_SPAN] ? __builtin_bswap64(e->v[WANT_SPAN]) : ctx->span;
    bool traced = (e->v[WANT_TRACE_HI] | e->v[WANT_TRACE_LO]) != 0;
    s.trace_hi = traced ? e->v[WANT_TRACE_HI] : ctx->trace_hi;
    s.trace_lo = traced ? e->v[WANT_TRACE_LO] : ctx->trace_lo;
    if (e->type == JFR_T_EXECUTION || e->type == JFR_T_WALL_CLOCK)
        return time_effects(d, c, e, &s, fx);
    int64_t value = (int64_t)e->v[WANT_VALUE];
    if (e->type == JFR_T_MONITOR_ENTER || e->type == JFR_T_THREAD_PARK)
        value = ticks_to_ns(c, e->v[WANT_VALUE]);
    return add_effect(d, event_classes[e->type].builder, &s, 1, value, fx);
}

static enum status setting_event(struct jfr_dec *d, struct jfr_chunk *c, const struct event *e)
{
    if (!e->v[WANT_NAME])
        return ST_OK;
    struct str name, value = STR_EMPTY;
    struct jfr_reader r = jfr_reader_make(c->bytes, e->v[WANT_NAME]);
    TRY(jfr_string(d, c, &r, &name));
    if (!str_eq(name, STR("event")))
        return ST_OK;
    r = jfr_reader_make(c->bytes, e->v[WANT_SETTING]);
    if (e->v[WANT_SETTING])
        TRY(jfr_string(d, c, &r, &value));
    d->event = value;
    d->event_is_wall = str_eq(value, STR("wall"));
    d->again_now++;
    return ST_OK;
}

/* ---- events that are there again ---- */

enum {
    AGAIN_SLOTS_LOG2 = 8,
    AGAIN_BYTES = 24,
    AGAIN_WINDOW = 3 * JFR_VARINT_MAX + AGAIN_BYTES, /* size, type, start and the rest */
};

/* All of an event but the first varint of its class: those bytes, and in one number how many they
 * are, the type, and `again_now`, which is another one for each chunk and setting, for nothing else
 * decides about the effects. A slot holds the last event that fell on it. */
struct again_key {
    uint64_t a, b, c, what;
};
struct jfr_again {
    struct again_key key;
    struct effects effects;
};

/* Of the event at r, which ends at *ret_end. NULL: it is too long, too near to the end of the chunk
 * or of a strange type. */
static inline struct jfr_again *again_slot(struct jfr_dec *d, const struct jfr_reader *r,
    struct again_key *ret_key, const uint8_t **ret_end)
{
    static const uint8_t keep[2 * AGAIN_BYTES] = {[0 ... AGAIN_BYTES - 1] = 0xFF};
    const uint8_t *p = r->p;
    *ret_key = (struct again_key){0};
    if (UNLIKELY(jfr_left(r) < AGAIN_WINDOW))
        return NULL;
    struct jfr_got size = jfr_get(p, p + JFR_VARINT_MAX);
    struct jfr_got type = jfr_get(size.p, size.p + JFR_VARINT_MAX);
    const uint8_t *from = jfr_pass(type.p, type.p + JFR_VARINT_MAX);
    uint64_t n = size.v - (uint64_t)(from - p);
    if (UNLIKELY(n > AGAIN_BYTES || type.v >> 24))
        return NULL;
    const uint8_t *mask = keep + AGAIN_BYTES - n;
    struct again_key k = {
        .a = load_u64le(from) & load_u64le(mask),
        .b = load_u64le(from + 8) & load_u64le(mask + 8),
        .c = load_u64le(from + 16) & load_u64le(mask + 16),
        .what = (uint64_t)d->again_now << 32 | type.v << 8 | n,
    };
    uint64_t hash = (k.a ^ (k.b << 21 | k.b >> 43) ^ (k.c << 42 | k.c >> 22)) * 0x9E3779B97F4A7C15u;
    *ret_key = k;
    *ret_end = from + n;
    return &d->again[hash >> (64 - AGAIN_SLOTS_LOG2)];
}

static inline bool again_is(const struct again_key *x, const struct again_key *y)
{
    return !((x->a ^ y->a) | (x->b ^ y->b) | (x->c ^ y->c) | (x->what ^ y->what));
}

/* ---- a chunk's events ---- */

/* Fields from r on; the next event begins at `end`. */
static enum status read_event(struct jfr_dec *d, struct jfr_chunk *c, struct jfr_class *class,
    struct jfr_reader r, const uint8_t *end, struct effects *fx)
{
    if (UNLIKELY(!class->read.ops)) {
        const struct event_class *ec = &event_classes[class->type];
        uint32_t i = (uint32_t)(class - c->meta->classes.v);
        TRY(jfr_prog_compile(d, c->meta, i, ec->wants, ec->n_wants, &class->read));
    }
    struct event e = {.type = class->type};
    if (!jfr_prog_run(&class->read, &r, c->bytes.p, e.v) || r.p > end)
        JFR_FAIL(d, "error reading an event: unexpected EOF");
    if (UNLIKELY(class->type == JFR_T_ACTIVE_SETTING))
        return setting_event(d, c, &e);
    TRY(event_effects(d, c, &e, fx));
    apply(fx);
    return ST_OK;
}

/* Passes over the event at *r; slot NULL: it need not be remembered. */
static enum status new_event(struct jfr_dec *d, struct jfr_chunk *c, struct jfr_reader *r,
    const struct again_key *key, struct jfr_again *slot)
{
    const uint8_t *start = r->p;
    uint64_t size = jfr_read(r);
    uint64_t type = jfr_read(r);
    if (r->bad || size > (uint64_t)(r->end - start) || size < (uint64_t)(r->p - start))
        JFR_FAIL(d, "error reading an event: bad size %llu", (unsigned long long)size);
    const struct jfr_entry *e = jfr_index_find(&c->meta->by_id, type);
    struct jfr_class *class = e ? &c->meta->classes.v[e->at] : NULL;
    if (class && class->type >= JFR_T_EXECUTION) {
        struct effects fx = {0};
        TRY(read_event(d, c, class, *r, start + size, &fx));
        if (slot && class->read.ops->kind == JFR_OP_SKIP)
            *slot = (struct jfr_again){*key, fx};
    }
    r->p = start + size;
    return ST_OK;
}

enum status jfr_events_read(struct jfr_dec *d, struct jfr_chunk *c)
{
    struct jfr_reader r = jfr_reader_make(c->bytes, JFR_HEADER_BYTES);
    if (!d->again && !(d->again = ARENA_ZARRAY(d->arena, struct jfr_again, 1 << AGAIN_SLOTS_LOG2)))
        JFR_FULL(d);
    d->again_now++;
    while (jfr_left(&r)) {
        struct again_key key;
        const uint8_t *end = NULL;
        struct jfr_again *slot = again_slot(d, &r, &key, &end);
        if (LIKELY(slot && again_is(&slot->key, &key))) {
            apply(&slot->effects);
            r.p = end;
        } else {
            TRY(new_event(d, c, &r, &key, slot));
        }
    }
    return ST_OK;
}

/* ---- profiles ---- */

#define T(text, unit)    \
    {                    \
        F(text), F(unit) \
    }
static const struct {
    struct str name;
    struct prof_type types[2];
    struct prof_type period;
} profile_kinds[JFR_B_N] = {
    [JFR_B_CPU] = {F("process_cpu"), {T("cpu", "nanoseconds")}, T("cpu", "nanoseconds")},
    [JFR_B_WALL] = {F("wall"), {T("wall", "nanoseconds")}, T("wall", "nanoseconds")},
    [JFR_B_NEW_TLAB] = {F("memory"),
        {T("alloc_in_new_tlab_objects", "count"), T("alloc_in_new_tlab_bytes", "bytes")},
        T("space", "bytes")},
    [JFR_B_OUTSIDE_TLAB] = {F("memory"),
        {T("alloc_outside_tlab_objects", "count"), T("alloc_outside_tlab_bytes", "bytes")},
        T("space", "bytes")},
    [JFR_B_ALLOCATION] = {F("memory"),
        {T("alloc_sample_objects", "count"), T("alloc_sample_bytes", "bytes")},
        T("space", "bytes")},
    [JFR_B_LOCK] = {F("mutex"), {T("contentions", "count"), T("delay", "nanoseconds")},
        T("mutex", "count")},
    [JFR_B_PARK] = {F("block"), {T("contentions", "count"), T("delay", "nanoseconds")},
        T("block", "count")},
    [JFR_B_LIVE] = {F("memory"), {T("live", "count")}, T("objects", "count")},
    [JFR_B_MALLOC] = {F("memory"), {T("malloc_objects", "count"), T("malloc_bytes", "bytes")},
        T("", "")},
};

/* The values as a profile has them, without the samples that normalisation would remove. */
static enum status finish_samples(
    struct jfr_dec *d, struct jfr_builder *b, uint32_t n_types, int64_t **ret_values)
{
    int64_t *values = ARENA_ARRAY(d->arena, int64_t, (size_t)b->samples.n * n_types);
    if (!values)
        JFR_FULL(d);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->samples.n; i++) {
        const int64_t *from = b->sums.v[i].v;
        if (MIN(from[0], from[1]) < 0 || (from[0] | from[1]) == 0)
            continue;
        memcpy(&values[(size_t)kept * n_types], from, n_types * sizeof *values);
        b->samples.v[kept++] = b->samples.v[i];
    }
    b->samples.n = kept;
    *ret_values = values;
    return ST_OK;
}

/* About what pprof would need: a few bytes per value, two per frame. */
static uint64_t sample_bytes(const struct jfr_dec *d, const struct jfr_builder *b, uint32_t n_types)
{
    uint64_t bytes = (uint64_t)b->samples.n * (6 + 4 * n_types);
    for (uint32_t i = 0; i < b->samples.n; i++) {
        bytes += 2 * (uint64_t)d->sym.stacks.v[b->samples.v[i].stack].n;
        bytes += 8 * (uint64_t)d->sym.labelsets.v[b->samples.v[i].labelset].n;
    }
    return bytes;
}

/* Symbols are shared between the profiles of a request and counted with the first of them. */
static uint64_t symbol_bytes(const struct jfr_dec *d)
{
    return d->sym.string_bytes + 2 * (uint64_t)d->sym.strings.n + 8 * (uint64_t)d->sym.functions.n +
           14 * (uint64_t)d->sym.lines.n;
}

enum status jfr_builders_finish(struct jfr_dec *d, const struct prof_symbols *sym, struct jfr *ret)
{
    for (uint32_t k = 0; k < JFR_B_N; k++) {
        struct jfr_builder *b = &d->builders[k];
        int64_t *values = NULL;
        TRY(finish_samples(d, b, builder_types[k], &values));
        if (b->samples.n == 0)
            continue;
        if (d->opt->samples_max && b->samples.n > d->opt->samples_max)
            FAIL(d->err, ST_INVALID_ARGUMENT,
                "the profile exceeds the samples count limit "
                "(max_profile_stacktrace_samples, actual: %u, limit: %llu)",
                b->samples.n, (unsigned long long)d->opt->samples_max);
        struct prof_type *types = ARENA_ARRAY(d->arena, struct prof_type, 2);
        if (!types)
            JFR_FULL(d);
        memcpy(types, profile_kinds[k].types, 2 * sizeof *types);
        struct jfr_profile *out = &ret->profiles[ret->n++];
        out->name = profile_kinds[k].name;
        out->profile = (struct profile){
            .sym = sym,
            .types = types,
            .n_types = builder_types[k],
            .period_type = profile_kinds[k].period,
            .time_ns = d->opt->from_ns,
            .duration_ns = d->opt->until_ns - d->opt->from_ns,
            .samples = b->samples.v,
            .values = values,
            .n_samples = b->samples.n,
            .sample_bytes = sample_bytes(d, b, builder_types[k]),
        };
        out->profile.size_bytes = out->profile.sample_bytes + (ret->n == 1 ? symbol_bytes(d) : 0);
    }
    return ST_OK;
}
