/* Stacks with counts become a series: the "Put" step of /ingest (spec/ingest.md §2.6, §2.8).
 *
 * The application's name ends in the kind of profile (`shop.cpu`), which chooses name, type and
 * unit of the series; an unknown kind is an error. Counts of cpu and wall are samples at a rate and
 * become nanoseconds. Speedscope files go the same way, one series per profile in the file.
 *
 *     names  ─► strings 1…n, one function and one location each
 *     stacks ─► frames leaf first, cut to the root side; one sample each
 *
 * Invariants: 1. No sample is zero or negative. 2. A value that leaves int64 by scaling is an
 * error, never a wrap. Pure; everything is in the request's arena. Failures are 400 or 422 as the
 * reference answers them. */
#include "ingest/ingest_int.h"

#include <inttypes.h>

#include "base/metrics.h"

struct put_kind {
    struct str kind, metric, type, unit;
};

#define KIND(k, metric, type, unit)                                                 \
    {                                                                               \
        {k, sizeof(k) - 1}, {metric, sizeof(metric) - 1}, {type, sizeof(type) - 1}, \
        {                                                                           \
            unit, sizeof(unit) - 1                                                  \
        }                                                                           \
    }

static const struct put_kind kinds[] = {
    KIND("cpu", "process_cpu", "samples", "count"),
    KIND("itimer", "process_cpu", "samples", "count"),
    KIND("wall", "wall", "samples", "count"),
    KIND("seconds", "wall", "samples", "count"),
    KIND("milliseconds", "wall", "samples", "count"),
    KIND("microseconds", "wall", "samples", "count"),
    KIND("nanoseconds", "wall", "samples", "count"),
    KIND("inuse_objects", "memory", "inuse_objects", "count"),
    KIND("inuse_space", "memory", "inuse_space", "bytes"),
    KIND("alloc_objects", "memory", "alloc_objects", "count"),
    KIND("alloc_space", "memory", "alloc_space", "bytes"),
    KIND("alloc_in_new_tlab_objects", "memory", "alloc_in_new_tlab_objects", "count"),
    KIND("alloc_in_new_tlab_bytes", "memory", "alloc_in_new_tlab_bytes", "bytes"),
    KIND("alloc_outside_tlab_objects", "memory", "alloc_outside_tlab_objects", "count"),
    KIND("alloc_outside_tlab_bytes", "memory", "alloc_outside_tlab_bytes", "bytes"),
    KIND("live", "memory", "live", "count"),
    KIND("bytes", "memory", "samples", "bytes"),
    KIND("goroutines", "goroutine", "goroutines", "count"),
    KIND("mutex_count", "mutex", "contentions", "count"),
    KIND("mutex_duration", "mutex", "delay", "nanoseconds"),
    KIND("block_count", "block", "contentions", "count"),
    KIND("lock_count", "block", "contentions", "count"),
    KIND("block_duration", "block", "delay", "nanoseconds"),
    KIND("lock_duration", "block", "delay", "nanoseconds"),
    KIND("exceptions", "exceptions", "samples", "count"),
};

/* One series to be. */
struct put {
    struct upload_ctx *u;
    const struct text_stacks *stacks;
    struct str name; /* of the application, with its kind */
    struct str profile_name;
    uint32_t sample_rate;
    struct str app; /* without the kind */
    const struct put_kind *kind;
    bool scaled; /* counts are samples at sample_rate */
};

/* NULL: unknown. */
static const struct put_kind *kind_of(struct str name, struct str *ret_app, struct str *ret_kind)
{
    size_t dot = str_rfind_char(name, '.');
    *ret_kind = dot == STR_NPOS ? STR("cpu") : str_skip(name, dot + 1);
    *ret_app = dot == STR_NPOS ? name : str_head(name, dot);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(kinds[i].kind, *ret_kind))
            return &kinds[i];
    return NULL;
}

struct str put_app(struct str name)
{
    struct str app, kind;
    return kind_of(name, &app, &kind) ? app : name;
}

static enum status find_kind(struct put *put, struct error *err)
{
    struct str kind;
    put->kind = kind_of(put->name, &put->app, &kind);
    if (!put->kind) {
        kind = ingest_clip(put->u->rq->arena, kind, 1000);
        FAIL(err, ST_INVALID_ARGUMENT,
            "pyroscopeIngesterAdapter failed to convert metadata: unknown profile type: %.*s",
            STR_ARG(kind));
    }
    struct str metric = put->kind->metric;
    put->scaled = put->sample_rate != 0 &&
                  (str_eq(metric, STR("process_cpu")) || str_eq(metric, STR("wall")));
    return ST_OK;
}

static struct prof_symbols *alloc_symbols(struct arena *arena, const struct text_stacks *from)
{
    struct prof_symbols *sym = ARENA_NEW(arena, struct prof_symbols);
    if (!sym)
        return NULL;
    sym->strings = ARENA_ARRAY(arena, struct str, (size_t)from->n_names + 1);
    sym->functions = ARENA_ARRAY(arena, struct prof_function, from->n_names);
    sym->locations = ARENA_ARRAY(arena, struct prof_location, from->n_names);
    sym->lines = ARENA_ARRAY(arena, struct prof_line, from->n_names);
    sym->mappings = ARENA_ZARRAY(arena, struct prof_mapping, 1);
    sym->frames = ARENA_ARRAY(arena, uint32_t, from->n_frames);
    sym->stacks = ARENA_ARRAY(arena, struct prof_stack, from->n_stacks);
    sym->labelsets = ARENA_ZARRAY(arena, struct prof_labelset, 1);
    return arena->full ? NULL : sym;
}

/* Functions, locations and strings: one each per name. */
static void fill_names(struct prof_symbols *sym, const struct text_stacks *from)
{
    sym->strings[0] = STR_EMPTY;
    for (uint32_t i = 0; i < from->n_names; i++) {
        sym->strings[i + 1] = from->names[i];
        sym->functions[i] = (struct prof_function){.name = i + 1, .system_name = i + 1};
        sym->lines[i] = (struct prof_line){.function = i};
        sym->locations[i] = (struct prof_location){.first_line = i, .n_lines = 1};
    }
    sym->n_strings = from->n_names + 1;
    sym->n_functions = sym->n_locations = sym->n_lines = from->n_names;
    sym->n_mappings = sym->n_labelsets = 1;
}

/* A stack root first becomes one leaf first, without what is deeper than `depth_max`. */
static void add_stack(struct prof_symbols *sym, const struct text_stacks *from,
    const struct text_stack *stack, uint32_t n)
{
    sym->stacks[sym->n_stacks++] = (struct prof_stack){sym->n_frames, n};
    for (uint32_t k = n; k-- > 0;)
        sym->frames[sym->n_frames++] = from->frames[stack->first + k];
}

static enum status fill_samples(
    struct put *put, struct prof_symbols *sym, struct profile *prof, struct error *err)
{
    uint64_t depth_max = put->u->rq->limits.stack_depth_max;
    int64_t period = put->scaled ? prof->period : 1;
    for (uint32_t i = 0; i < put->stacks->n_stacks; i++) {
        const struct text_stack *stack = &put->stacks->stacks[i];
        int64_t value;
        if (__builtin_mul_overflow(stack->value, period, &value))
            FAIL(err, ST_INVALID_ARGUMENT,
                "value out of range: %" PRId64 " samples of %" PRId64 " ns", stack->value, period);
        if (value <= 0)
            continue;
        bool cut = depth_max && stack->n > depth_max;
        put->u->rq->stacks_cut += cut;
        prof->values[prof->n_samples] = value;
        prof->samples[prof->n_samples++] = (struct prof_sample){.stack = sym->n_stacks};
        add_stack(sym, put->stacks, stack, cut ? (uint32_t)depth_max : stack->n);
    }
    return ST_OK;
}

static void set_type(struct put *put, struct profile *prof)
{
    prof->types[0] = (struct prof_type){put->kind->type, put->kind->unit};
    prof->n_types = 1;
    if (!put->scaled)
        return;
    bool cpu = str_eq(put->kind->metric, STR("process_cpu"));
    prof->types[0] = (struct prof_type){cpu ? STR("cpu") : STR("wall"), STR("nanoseconds")};
    prof->period_type = (struct prof_type){STR("cpu"), STR("nanoseconds")};
    prof->period = NS_PER_S / put->sample_rate;
}

/* About what the profile would take as pprof. */
static uint64_t sample_bytes(const struct text_stacks *stacks)
{
    return (uint64_t)stacks->n_stacks * 10 + (uint64_t)stacks->n_frames * 2;
}

static uint64_t symbol_bytes(const struct text_stacks *stacks)
{
    uint64_t n = 64 + (uint64_t)stacks->n_names * 20;
    for (uint32_t i = 0; i < stacks->n_names; i++)
        n += stacks->names[i].n;
    return n;
}

static enum status build(struct put *put, struct profile **ret_prof, struct error *err)
{
    struct arena *arena = put->u->rq->arena;
    const struct text_stacks *from = put->stacks;
    struct prof_symbols *sym = alloc_symbols(arena, from);
    struct profile *prof = ARENA_NEW(arena, struct profile);
    if (!sym || !prof)
        return ingest_arena_full(arena, err);
    prof->types = ARENA_ARRAY(arena, struct prof_type, 1);
    prof->samples = ARENA_ARRAY(arena, struct prof_sample, from->n_stacks);
    prof->values = ARENA_ARRAY(arena, int64_t, from->n_stacks);
    if (arena->full)
        return ingest_arena_full(arena, err);
    prof->sym = sym;
    prof->time_ns = put->u->from_ns;
    prof->sample_bytes = sample_bytes(from);
    prof->size_bytes = prof->sample_bytes + symbol_bytes(from);
    set_type(put, prof);
    fill_names(sym, from);
    TRY(fill_samples(put, sym, prof, err));
    *ret_prof = prof;
    return ST_OK;
}

static struct str user_label(const struct app_name *name, struct str key)
{
    for (uint32_t i = 0; i < name->n; i++)
        if (str_eq(name->labels[i].key, key))
            return name->labels[i].value;
    return STR_EMPTY;
}

static enum status put_series(struct put *put, struct error *err)
{
    struct upload_ctx *u = put->u;
    struct profile *prof = NULL;
    if (user_label(&u->name, STR("profile_id")).n)
        return ST_OK; /* accepted and not stored, as the reference does */
    enum status st = find_kind(put, err);
    if (st != ST_OK)
        return u->rq->family == FAMILY_TEXT ? st : upload_unprocessable(err, "invalid_argument: ");
    if (build(put, &prof, err) != ST_OK)
        return upload_unprocessable(err, "");
    struct ingest_label_input in = {.naming = NAMING_PUT,
        .name = &u->name,
        .app = put->app,
        .metric = put->kind->metric,
        .spy = u->spy,
        .profile_name = put->profile_name};
    struct ingest_series *s = ingest_request_add(u->rq);
    if (!s)
        return ingest_arena_full(u->rq->arena, err);
    s->prof = prof;
    return ingest_labels_make(&in, u->rq->arena, &s->labels, err);
}

enum status upload_text(struct upload_ctx *u, enum text_format format, struct error *err)
{
    const struct ingest_limits *l = &u->rq->limits;
    struct text_limits limits = {l->string_bytes_max, l->profile_samples_max};
    struct text_stacks *stacks = ARENA_NEW(u->rq->arena, struct text_stacks);
    if (!stacks)
        return ingest_arena_full(u->rq->arena, err);
    if (text_decode(format, u->up->body, &limits, u->rq->arena, stacks, err) != ST_OK)
        return upload_unprocessable(err, "");
    struct put put = {.u = u,
        .stacks = stacks,
        .name = u->name.name,
        .profile_name = STR_EMPTY,
        .sample_rate = u->sample_rate};
    return put_series(&put, err);
}

enum status upload_speedscope(struct upload_ctx *u, struct error *err)
{
    struct arena *arena = u->rq->arena;
    struct speedscope_profile *profiles;
    uint32_t n;
    if (speedscope_decode(u->up->body, u->sample_rate, arena, &profiles, &n, err) != ST_OK)
        return upload_unprocessable(err, "");
    for (uint32_t i = 0; i < n; i++) {
        struct put put = {.u = u,
            .stacks = &profiles[i].stacks,
            .name = u->name.name,
            .profile_name = profiles[i].name,
            .sample_rate = profiles[i].sample_rate};
        if (n > 1) {
            struct str dot = arena_str_join(arena, u->name.name, STR("."));
            put.name = arena_str_join(arena, dot, profiles[i].unit);
        }
        if (arena->full)
            return ingest_arena_full(arena, err);
        TRY(put_series(&put, err));
    }
    return ST_OK;
}
