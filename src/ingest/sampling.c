/* What usage groups decide about a request (spec/ingest.md §6.4 steps 6 and 7): quotas, and which
 * profiles are kept, dropped or stripped to their totals.
 *
 * Quotas: where a series is in a group whose quota is reached, /ingest answers 429 and stores
 * nothing. So does push when all its series are; otherwise the others are stored, and the answer is
 * a failure that nobody repeats: a client that sent them again would store them twice.
 *
 * Sampling is decided per series and costs a random number. A stripped profile goes on with one
 * sample per label set, without a stack; the label __sampled__ is added when its rows are made.
 * Either way the profile counts as discarded, once; a stripped one when nothing was found wrong
 * with the request.
 *
 * Thread: the request's. Failure: see ingest.c. */
#include "ingest/ingest_int.h"

#include "base/metrics.h"

/* ── quotas ── */

static enum status quota_error(
    struct ingest_request *rq, const struct ingest_series *s, enum status code, struct error *err)
{
    const struct ingest_quota *q = &rq->limits.quota;
    char limit[32], reset[32];
    ingest_size_text(s->over_bytes, 1024, limit);
    ingest_reset_text(q->reset_s, reset);
    struct str name = ingest_clip(rq->arena, s->over->name, 300);
    error_set(err, code, __FILE__, __LINE__,
        "limit of %s/%s reached for usage group %.*s, next reset at %s", limit,
        ingest_periods[q->period].p, STR_ARG(name), reset);
    return code;
}

static void refuse_some(struct ingest_request *rq, struct error *err)
{
    for (uint32_t i = 0; i < rq->series.n; i++) {
        struct ingest_series *s = &rq->series.v[i];
        if (!s->over)
            continue;
        quota_error(rq, s, ST_FAILED_PRECONDITION, err);
        ingest_discard_series(rq, s, STR("usage_group_limit_reached"), err);
        ingest_refuse_series(rq, s, err);
    }
}

enum status ingest_check_group_quotas(struct ingest_request *rq, struct error *err)
{
    struct ingest_series *first = NULL;
    uint32_t n = 0, n_over = 0;
    /* What passed the tenant's own quota was one of its few already. */
    if (!rq->limits.group_quotas || rq->limits.quota.reached)
        return ST_OK;
    for (uint32_t i = 0; i < rq->series.n; i++) {
        struct ingest_series *s = &rq->series.v[i];
        s->over = ingest_groups_over(rq, s, &s->over_bytes);
        n += !s->failed;
        n_over += s->over != NULL;
        first = first || !s->over ? first : s;
    }
    if (n_over == 0 || ingest_passes_quota(rq))
        return ST_OK;
    if (rq->family == FAMILY_PUSH && n_over < n) {
        refuse_some(rq, err);
        return ST_OK;
    }
    quota_error(rq, first, ST_RESOURCE_EXHAUSTED, err);
    ingest_discard_all(rq, STR("usage_group_limit_reached"), err);
    return ingest_shape_error(rq, 0, ST_RESOURCE_EXHAUSTED, err);
}

/* ── sampling ── */

static void count_sampled_out(struct ingest_request *rq, const struct ingest_series *s)
{
    const struct ingest_group *group = NULL;
    double p = ingest_groups_probability(rq, s, &group);
    struct error why = {0};
    struct str name = ingest_clip(rq->arena, group->name, 200);
    error_set(&why, ST_OK, __FILE__, __LINE__, "sampling of usage group %.*s, probability %.4g%s",
        STR_ARG(name), p, s->stripped ? ": only totals are kept" : "");
    ingest_discard_series(rq, s, STR("dropped_by_sampling_rules"), &why);
}

static void sample_one(struct ingest_request *rq, struct ingest_series *s)
{
    const struct ingest_group *group = NULL;
    double p = ingest_groups_probability(rq, s, &group);
    if (p >= 1 || ingest_draw(rq) < p) {
        uint64_t profile = s->size_bytes - ingest_labels_bytes(s->labels);
        metric_observe(M_RECEIVED_STAGE, (double)profile, rq->tenant, STR("sampled"));
        return;
    }
    s->stripped = rq->limits.keep_stripped;
    s->dropped = !s->stripped;
    if (s->dropped)
        count_sampled_out(rq, s);
}

void ingest_sample(struct ingest_request *rq)
{
    for (uint32_t i = 0; i < rq->series.n; i++)
        if (!rq->series.v[i].failed && !rq->series.v[i].refused)
            sample_one(rq, &rq->series.v[i]);
}

void ingest_count_stripped(struct ingest_request *rq)
{
    for (uint32_t i = 0; rq->limits.group_sampling && i < rq->series.n; i++) {
        struct ingest_series *s = &rq->series.v[i];
        if (!s->stripped || s->refused || s->n_rows == 0)
            continue;
        count_sampled_out(rq, s);
        s->dropped = true;
    }
}

/* ── totals ── */

/* The same strings and label sets over one stack without frames. */
static const struct prof_symbols *without_stacks(
    const struct prof_symbols *sym, struct arena *arena)
{
    struct prof_symbols *bare = ARENA_NEW(arena, struct prof_symbols);
    struct prof_stack *stack = ARENA_NEW(arena, struct prof_stack);
    if (!bare || !stack)
        return NULL;
    *bare = (struct prof_symbols){.strings = sym->strings,
        .n_strings = sym->n_strings,
        .labels = sym->labels,
        .n_labels = sym->n_labels,
        .labelsets = sym->labelsets,
        .n_labelsets = sym->n_labelsets,
        .stacks = stack,
        .n_stacks = 1};
    return bare;
}

static bool add_values(int64_t *to, const int64_t *from, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++)
        if (__builtin_add_overflow(to[k], from[k], &to[k]))
            return false;
    return true;
}

enum status ingest_strip(struct ingest_request *rq, struct ingest_series *s, struct error *err)
{
    const struct profile *from = s->prof;
    uint32_t n_sets = from->sym->n_labelsets, n_types = from->n_types;
    uint32_t *sample_of = ARENA_ZARRAY(rq->arena, uint32_t, n_sets); /* + 1; 0: none yet */
    uint32_t n_max = MIN(n_sets, from->n_samples);
    struct profile *to = ARENA_NEW(rq->arena, struct profile);
    struct prof_sample *samples = ARENA_ARRAY(rq->arena, struct prof_sample, n_max);
    int64_t *values = ARENA_ZARRAY(rq->arena, int64_t, (size_t)n_max * n_types);
    const struct prof_symbols *bare = without_stacks(from->sym, rq->arena);
    if (!sample_of || !to || !samples || !values || !bare)
        return ingest_arena_full(rq->arena, err);
    uint32_t n = 0;
    for (uint32_t i = 0; i < from->n_samples; i++) {
        uint32_t set = from->samples[i].labelset;
        if (sample_of[set] == 0) {
            samples[n] = (struct prof_sample){.labelset = set};
            sample_of[set] = ++n;
        }
        int64_t *sum = &values[(size_t)(sample_of[set] - 1) * n_types];
        if (!add_values(sum, &from->values[(size_t)i * n_types], n_types))
            FAIL(err, ST_INVALID_ARGUMENT, "the profile has values whose sum exceeds 64 bits");
    }
    *to = *from;
    to->sym = bare;
    to->samples = samples;
    to->values = values;
    to->n_samples = n;
    s->prof = to;
    return ST_OK;
}
