/* The common pipeline: from decoded series to one append (spec/ingest.md §6.4).
 *
 *     charge the whole request ─► per series: check, repair, normalise, versions, split
 *                              ─► one store_append for all rows ─► done
 *
 * /ingest is atomic: the first series that is refused ends the request, and nothing is stored. Push
 * is not: series that are refused (4xx) are remembered, the rows of the others are appended, and
 * when these are durable the client gets the first refusal. Whatever makes a client send the same
 * request again (429, 5xx) is decided for the request as a whole before anything is appended: the
 * rate limit, a full arena, a store that does not take it.
 *
 * Invariants: 1. `done` is called exactly once; nothing of the request is touched after it, nor
 * after store_append took the rows. 2. Rows of a refused series are never appended. 3. What is not
 * stored is counted with its reason.
 *
 * Sums that leave int64: the store notices and refuses the append without saying which row it was;
 * only then totals are added up here, the series at fault are refused, and the rest is appended.
 *
 * Threads: the entry points run on the caller's; `done` there as well when the request ends early,
 * else on the store's committer. The struct is immutable but for the rate limiter. */
#include "ingest/ingest_int.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

struct ingest {
    struct ingest_config cfg;
    struct rate *rate, *quota;
    struct group_names *group_names;
};

struct ingest *ingest_new(const struct ingest_config *cfg)
{
    ASSERT(cfg->store && cfg->limits);
    struct ingest *ig = NEW(struct ingest);
    ig->cfg = *cfg;
    ig->rate = rate_new();
    ig->quota = rate_new();
    ig->group_names = group_names_new();
    return ig;
}

void ingest_free(struct ingest *ig)
{
    if (!ig)
        return;
    rate_free(ig->rate);
    rate_free(ig->quota);
    group_names_free(ig->group_names);
    mem_free(ig);
}

struct ingest_request *ingest_request_new(struct ingest *ig, struct str tenant, struct arena *arena,
    int64_t now_ns, ingest_done_fn done, void *ctx)
{
    struct ingest_request *rq = ARENA_NEW(arena, struct ingest_request);
    if (!rq)
        return NULL;
    rq->ig = ig;
    rq->group_names = ig->group_names;
    rq->tenant = tenant;
    rq->arena = arena;
    rq->now_ns = now_ns;
    rq->done = done;
    rq->ctx = ctx;
    ig->cfg.limits(ig->cfg.ctx, tenant, &rq->limits);
    return rq;
}

struct ingest_series *ingest_request_add(struct ingest_request *rq)
{
    struct ingest_series *s = VEC_PUSH(rq->arena, rq->series);
    if (s)
        *s = (struct ingest_series){.reason = STR("malformed_profile")};
    return s;
}

enum status ingest_arena_full(const struct arena *arena, struct error *err)
{
    FAIL(
        err, ST_RESOURCE_EXHAUSTED, "the upload needs more than %zu bytes of memory", arena->limit);
}

void ingest_request_end(struct ingest_request *rq, enum status st, const struct error *err)
{
    if (st == ST_OK)
        LOG_DEBUG("upload stored", "tenant=%s profiles=%u rows=%u", LOG_STR(rq->tenant),
            rq->series.n, rq->rows.n);
    else
        LOG_DEBUG("upload refused", "tenant=%s profiles=%u code=%s reason=%s", LOG_STR(rq->tenant),
            rq->series.n, status_text(st), LOG_STR(error_str(err)));
    rq->done(rq->ctx, st, st == ST_OK ? NULL : err);
}

enum status ingest_shape_error(
    const struct ingest_request *rq, uint32_t index, enum status st, struct error *err)
{
    bool rate = st == ST_RESOURCE_EXHAUSTED;
    bool prefixed = rq->family == FAMILY_PPROF || (rq->family == FAMILY_SPEEDSCOPE && !rate);
    if (!prefixed)
        return st;
    struct error bare = *err;
    enum status code = rate ? ST_RESOURCE_EXHAUSTED : ST_UNKNOWN;
    error_set(err, code, bare.file, bare.line,
        "pushing IngestInput-pprof failed push series with index %u and id  failed: %s: %s", index,
        status_text(st), bare.msg);
    err->http = rate ? 0 : 422;
    return code;
}

/* Nothing is stored and a retry would not help /ingest; push must say 429, for its 4xx promise that
 * the good series were stored. */
enum status ingest_shape_arena_full(const struct ingest_request *rq, struct error *err)
{
    ingest_arena_full(rq->arena, err);
    if (rq->family == FAMILY_PUSH)
        return ST_RESOURCE_EXHAUSTED;
    err->code = ST_INVALID_ARGUMENT;
    err->http = 413;
    return ST_INVALID_ARGUMENT;
}

struct refusals *ingest_refusals(const struct ingest *ig)
{
    return ig->cfg.refusals;
}

bool ingest_passes_quota(struct ingest_request *rq)
{
    const struct ingest_quota *q = &rq->limits.quota;
    return rate_take_one(rq->ig->quota, rq->tenant, q->requests, q->requests_period_ns, rq->now_ns);
}

double ingest_draw(struct ingest_request *rq)
{
    const struct ingest *ig = rq->ig;
    return ig->cfg.draw ? ig->cfg.draw(ig->cfg.ctx) : hash_draw();
}

/* §6.4 step 4: the switch, and the few uploads that pass it. */
static enum status check_quota(struct ingest_request *rq, struct error *err)
{
    const struct ingest_quota *q = &rq->limits.quota;
    if (!q->reached || ingest_passes_quota(rq))
        return ST_OK;
    char limit[32], reset[32];
    ingest_size_text(q->period_bytes, 1024, limit);
    ingest_reset_text(q->reset_s, reset);
    error_set(err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__,
        "limit of %s/%s reached, next reset at %s", limit, ingest_periods[q->period].p, reset);
    ingest_discard_all(rq, STR("ingest_limit_reached"), err);
    return ingest_shape_error(rq, 0, ST_RESOURCE_EXHAUSTED, err);
}

static enum status check_rate(struct ingest_request *rq, uint64_t total, struct error *err)
{
    const struct ingest_limits *l = &rq->limits;
    if (rate_take(rq->ig->rate, rq->tenant, l->rate_bytes_per_s, l->burst_bytes, total, rq->now_ns))
        return ST_OK;
    char limit[32], adding[32];
    ingest_size_text((uint64_t)l->rate_bytes_per_s, 1024, limit);
    ingest_size_text(total, 1024, adding);
    error_set(err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__,
        "push rate limit (%s) exceeded while adding %s", limit, adding);
    ingest_discard_all(rq, STR("rate_limited"), err);
    return ingest_shape_error(rq, 0, ST_RESOURCE_EXHAUSTED, err);
}

/* §6.3, for all series at once, and what is decided before any is looked into. */
static enum status charge(struct ingest_request *rq, struct error *err)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < rq->series.n; i++) {
        struct ingest_series *s = &rq->series.v[i];
        if (s->failed)
            continue;
        uint64_t profile = s->pprof ? s->pprof->size_bytes : s->prof->size_bytes;
        s->size_bytes = profile + ingest_labels_bytes(s->labels);
        if (!ingest_groups_find(rq, s)) {
            enum status st = ingest_shape_arena_full(rq, err);
            ingest_discard_all(rq, STR("profile_size_limit"), err);
            return st;
        }
        ingest_count_received(rq, s);
        total += s->size_bytes;
    }
    metric_observe(M_BATCH_SERIES, rq->series.n, rq->tenant);
    if (rq->stacks_cut)
        metric_add(M_TRUNCATED, (double)rq->stacks_cut, STR("stack"), rq->tenant);
    TRY(check_quota(rq, err));
    TRY(check_rate(rq, total, err));
    TRY(ingest_check_group_quotas(rq, err));
    ingest_sample(rq);
    return ST_OK;
}

/* §6.6 */
static enum status repair_go(struct ingest_request *rq, struct pprof *p, struct error *err)
{
    uint64_t repaired = 0;
    pprof_strip_go_shapes(p, rq->arena);
    TRY(ingest_fix_go_stacks(p, rq->arena, &repaired, err));
    if (repaired)
        metric_add(M_REPAIRED_STACKS, (double)repaired, rq->tenant);
    return ST_OK;
}

/* §6.4 steps 8 to 12: from the wire form to a profile. */
static enum status normalise(struct ingest_request *rq, struct ingest_series *s, struct error *err)
{
    static const struct str reasons[] = {[PPROF_OK] = {"malformed_profile", 17},
        [PPROF_MALFORMED] = {"malformed_profile", 17},
        [PPROF_SIZE_LIMIT] = {"profile_size_limit", 18},
        [PPROF_SAMPLES_LIMIT] = {"samples_limit", 13},
        [PPROF_LABELS_LIMIT] = {"sample_labels_limit", 19}};
    const struct ingest_limits *l = &rq->limits;
    struct pprof_limits limits = {l->profile_bytes_max, l->profile_samples_max,
        l->sample_labels_max, l->stack_depth_max, l->string_bytes_max};
    struct pprof *p = s->pprof;
    enum pprof_reason reason = PPROF_OK;
    uint64_t stacks_cut = 0, strings_cut = 0;
    if (p->n_sample_types == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "empty profile");
    if (p->n_sample_types > INGEST_SAMPLE_TYPES_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "%u sample types, limit %d", p->n_sample_types,
            INGEST_SAMPLE_TYPES_MAX);
    TRY(ingest_check_time(rq, s, &p->time_ns, err));
    bool go = ingest_is_go(s->labels, p);
    struct str labels = ingest_labels_text(rq->arena, s->labels);
    enum status st = pprof_check(
        p, &limits, labels, rq->arena, &reason, &stacks_cut, &strings_cut, err);
    if (stacks_cut)
        metric_add(M_TRUNCATED, (double)stacks_cut, STR("stack"), rq->tenant);
    if (strings_cut)
        metric_add(M_TRUNCATED, (double)strings_cut, STR("string"), rq->tenant);
    s->reason = reasons[reason];
    TRY(st);
    s->reason = STR("malformed_profile");
    if (go)
        TRY(repair_go(rq, p, err));
    return pprof_to_profile(p, rq->arena, &s->prof, err);
}

static enum status process(struct ingest_request *rq, struct ingest_series *s, struct error *err)
{
    if (s->failed) {
        *err = *s->failed;
        return err->code;
    }
    if (s->pprof)
        TRY(normalise(rq, s, err));
    else
        TRY(ingest_check_profile(rq, s, err));
    ingest_count_samples(rq, s);
    TRY(ingest_drop_types(rq, s, err));
    if (s->prof->n_types == 0)
        ingest_count_dropped(rq, s);
    if (s->prof->n_samples == 0 || s->prof->n_types == 0)
        return ST_OK;
    if (s->stripped)
        TRY(ingest_strip(rq, s, err));
    if (!ingest_inject_versions(s->prof, s->labels, rq->arena))
        return ingest_arena_full(rq->arena, err);
    return ingest_split(rq, s, err);
}

void ingest_refuse_series(
    struct ingest_request *rq, struct ingest_series *s, const struct error *err)
{
    s->refused = true;
    rq->n_refused++;
    if (rq->refusal)
        return;
    rq->refusal = ARENA_NEW(rq->arena, struct error);
    if (!rq->refusal)
        return;
    *rq->refusal = *err;
    if (rq->series.n == 1)
        return;
    struct str id = ingest_clip(rq->arena, s->id, 100);
    error_set(rq->refusal, err->code, err->file, err->line, "%.1800s (series %u, id '%.*s')",
        err->msg, s->index, STR_ARG(id));
}

/* ST_OK: the rest of the request goes on; else the request ends with err. */
static enum status process_all(struct ingest_request *rq, struct error *err)
{
    for (uint32_t i = 0; i < rq->series.n; i++) {
        struct ingest_series *s = &rq->series.v[i];
        if (s->refused || s->dropped)
            continue;
        enum status st = process(rq, s, err);
        if (rq->arena->full) {
            st = ingest_shape_arena_full(rq, err);
            ingest_discard_all(rq, STR("profile_size_limit"), err);
            return st;
        }
        if (st == ST_OK)
            continue;
        if (rq->family != FAMILY_PUSH) {
            ingest_discard_all(rq, s->reason, err);
            return ingest_shape_error(rq, i, st, err);
        }
        ingest_discard_series(rq, s, s->reason, err);
        ingest_refuse_series(rq, s, err);
    }
    return rq->arena->full ? ingest_shape_arena_full(rq, err) : ST_OK;
}

/* The answer once the good rows are safe. */
static void end_stored(struct ingest_request *rq)
{
    if (!rq->refusal) {
        ingest_request_end(rq, ST_OK, NULL);
        return;
    }
    struct error err = *rq->refusal;
    if (rq->series.n > 1)
        error_set(&err, err.code, err.file, err.line, "%.1900s: %u of %u profiles were refused",
            rq->refusal->msg, rq->n_refused, rq->series.n);
    ingest_request_end(rq, err.code, &err);
}

static void on_stored(void *ctx, enum status st, const struct error *err)
{
    struct ingest_request *rq = ctx;
    if (st == ST_OK) {
        end_stored(rq);
        return;
    }
    if (st != ST_DATA_LOSS) /* of which nobody knows whether it is stored */
        ingest_discard_all(rq, STR("store_unavailable"), err);
    ingest_request_end(rq, st, err);
}

static bool row_overflows(const struct store_row *row)
{
    const struct profile *p = row->prof;
    for (uint32_t k = 0; k < p->n_types; k++) {
        int64_t sum = 0;
        for (uint32_t i = 0; i < row->n_samples; i++) {
            uint32_t at = row->samples ? row->samples[i] : i;
            if (__builtin_add_overflow(sum, p->values[(size_t)at * p->n_types + k], &sum))
                return true;
        }
    }
    return false;
}

static bool series_overflows(const struct ingest_request *rq, const struct ingest_series *s)
{
    for (uint32_t i = 0; i < s->n_rows; i++)
        if (row_overflows(&rq->rows.v[s->first_row + i]))
            return true;
    return false;
}

/* Refuses the series whose sums leave int64 and closes the gaps in the rows. Returns how many. */
static uint32_t refuse_overflows(struct ingest_request *rq)
{
    uint32_t kept = 0, refused = 0;
    for (uint32_t i = 0; i < rq->series.n; i++) {
        struct ingest_series *s = &rq->series.v[i];
        if (series_overflows(rq, s)) {
            struct error err;
            struct str labels = ingest_labels_text(rq->arena, s->labels);
            error_set(&err, ST_INVALID_ARGUMENT, __FILE__, __LINE__,
                "the profile with labels '%.*s' has values whose sum exceeds 64 bits",
                STR_ARG(labels));
            ingest_discard_series(rq, s, STR("malformed_profile"), &err);
            ingest_refuse_series(rq, s, &err);
            refused++;
            s->n_rows = 0;
        }
        if (s->n_rows && kept != s->first_row)
            memmove(&rq->rows.v[kept], &rq->rows.v[s->first_row], s->n_rows * sizeof *rq->rows.v);
        s->first_row = kept;
        kept += s->n_rows;
    }
    rq->rows.n = kept;
    return refused;
}

static enum status append(struct ingest_request *rq, struct error *err)
{
    const struct ingest_limits *l = &rq->limits;
    const struct store_quota quota = {
        l->active_services_max, l->active_series_max, l->head_bytes_max};
    /* By way of a local: once the rows are taken, the request may be gone. */
    enum store_refused refused;
    enum status st = store_append_within(rq->ig->cfg.store, rq->tenant, &quota, rq->rows.v,
        rq->rows.n, on_stored, rq, &refused, err);
    if (st != ST_OK)
        rq->store_refused = refused;
    return st;
}

static struct str store_reason(enum store_refused refused, enum status st)
{
    if (refused == STORE_REFUSED_OTHER && st == ST_UNAVAILABLE)
        return STR("store_unavailable");
    static const struct str reasons[] = {[STORE_REFUSED_OTHER] = {"unknown", 7},
        [STORE_REFUSED_TENANTS] = {"tenants_limit", 13},
        [STORE_REFUSED_SERVICES] = {"services_limit", 14},
        [STORE_REFUSED_SERIES] = {"series_limit", 12},
        [STORE_REFUSED_HEAD] = {"head_limit", 10}};
    return reasons[refused];
}

/* The store said ST_OUT_OF_RANGE. True: the request ended or its rows were taken. */
static bool append_without_overflows(struct ingest_request *rq, struct error *err)
{
    uint32_t n = refuse_overflows(rq);
    if (n == 0 || !rq->refusal)
        return false;
    if (rq->family != FAMILY_PUSH) {
        *err = *rq->refusal;
        enum status st = ingest_shape_error(rq, 0, ST_INVALID_ARGUMENT, err);
        ingest_request_end(rq, st, err);
        return true;
    }
    if (rq->rows.n == 0) {
        end_stored(rq);
        return true;
    }
    return append(rq, err) == ST_OK;
}

void ingest_request_run(struct ingest_request *rq)
{
    struct error err = {0};
    enum status st = charge(rq, &err);
    if (st == ST_OK)
        st = process_all(rq, &err);
    if (st != ST_OK) {
        ingest_request_end(rq, st, &err);
        return;
    }
    ingest_count_stripped(rq);
    if (rq->rows.n == 0) {
        end_stored(rq);
        return;
    }
    st = append(rq, &err);
    if (st == ST_OK || (st == ST_OUT_OF_RANGE && append_without_overflows(rq, &err)))
        return;
    ingest_discard_all(rq, store_reason(rq->store_refused, err.code), &err);
    ingest_request_end(rq, err.code, &err);
}
