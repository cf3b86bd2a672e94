/* push.v1.PusherService/Push (spec/ingest.md §4.3): every raw_profile becomes a series of the
 * request, then the pipeline runs.
 *
 * Series are independent: what cannot be decoded is remembered in its place and the others go on.
 * Three things refuse the request as a whole: nothing in it, more decompressed bytes than the
 * tenant's body limit, and more memory than the request's arena. Label sets are made once per
 * series and shared by its samples. Runs on the caller's thread; see ingest.c for failures. */
#include "ingest/ingest_int.h"

#include "base/clock.h"

static enum status make_labels(struct ingest_request *rq, const struct m_raw_series *series,
    struct labels *ret_labels, struct error *err)
{
    struct label_set set = {.cap = series->labels.n + 1};
    set.v = ARENA_ARRAY(rq->arena, struct label, (size_t)series->labels.n + 1);
    if (!set.v)
        return ingest_arena_full(rq->arena, err);
    for (uint32_t i = 0; i < series->labels.n; i++)
        set.v[set.n++] = (struct label){series->labels.v[i].name, series->labels.v[i].value};
    return ingest_labels_finish(&set, rq->arena, ret_labels, err);
}

static enum status decode(
    struct ingest_request *rq, struct ingest_series *s, struct str raw, struct error *err)
{
    uint64_t max = rq->limits.profile_bytes_max;
    enum status st = pprof_decode(
        raw, max ? max : INGEST_INFLATE_BYTES_MAX, rq->arena, &s->pprof, err);
    if (st == ST_RESOURCE_EXHAUSTED && !rq->arena->full) {
        char text[32];
        ingest_size_text(max ? max : INGEST_INFLATE_BYTES_MAX, 1000, text);
        s->reason = STR("profile_size_limit");
        FAIL(err, ST_INVALID_ARGUMENT, "uncompressed profile payload size exceeds limit of %s",
            text);
    }
    return st;
}

/* A copy for as long as the request, or the one of the series before if that says the same: there
 * may be a million. NULL: arena full. */
static const struct error *keep_error(const struct ingest_request *rq, const struct error *err)
{
    const struct error *before = rq->series.n > 1 ? rq->series.v[rq->series.n - 2].failed : NULL;
    if (before && before->code == err->code && str_eq(error_str(before), error_str(err)))
        return before;
    struct error *own = ARENA_NEW(rq->arena, struct error);
    if (own)
        *own = *err;
    return own;
}

static enum status add_sample(struct ingest_request *rq, uint32_t index, struct labels labels,
    const struct m_raw_sample *sample, struct error *err)
{
    struct ingest_series *s = ingest_request_add(rq);
    if (!s)
        return ingest_arena_full(rq->arena, err);
    s->labels = labels;
    s->index = index;
    s->id = sample->ID;
    s->received_bytes = sample->raw_profile.n;
    int64_t begun_ns = clock_mono_ns();
    if (decode(rq, s, sample->raw_profile, err) == ST_OK) {
        ingest_count_parsed(rq, s, clock_mono_ns() - begun_ns);
        return ST_OK;
    }
    s->failed = keep_error(rq, err);
    if (!s->failed || rq->arena->full)
        return ingest_arena_full(rq->arena, err);
    s->size_bytes = sample->raw_profile.n;
    return ST_OK;
}

static enum status over_body_limit(struct ingest_request *rq, uint64_t bytes, struct error *err)
{
    char text[32];
    ingest_size_text(rq->limits.body_bytes_max, 1000, text);
    error_set(err, ST_INVALID_ARGUMENT, __FILE__, __LINE__,
        "uncompressed batched profile payload size exceeds limit of %s", text);
    ingest_count_discarded(
        rq, STR_EMPTY, STR("body_size_limit_exceeded"), rq->series.n, (double)bytes, err);
    return ST_INVALID_ARGUMENT;
}

static enum status decode_all(
    struct ingest_request *rq, const struct m_push_request *request, struct error *err)
{
    uint64_t total = 0, max = rq->limits.body_bytes_max;
    for (uint32_t i = 0; i < request->series.n; i++) {
        const struct m_raw_series *series = &request->series.v[i];
        struct labels labels;
        if (series->samples.n)
            TRY(make_labels(rq, series, &labels, err));
        for (uint32_t k = 0; k < series->samples.n; k++) {
            TRY(add_sample(rq, i, labels, &series->samples.v[k], err));
            struct ingest_series *s = &rq->series.v[rq->series.n - 1];
            total += s->failed ? 0 : s->pprof->size_bytes;
            if (max && total > max)
                return over_body_limit(rq, total, err);
        }
    }
    if (rq->series.n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "no profiles received");
    return ST_OK;
}

/* Under one reason, whatever had become of them. */
static void discard_whole(
    struct ingest_request *rq, const struct m_push_request *request, const struct error *err)
{
    uint64_t n = 0, bytes = 0;
    for (uint32_t i = 0; i < request->series.n; i++) {
        const struct m_raw_series *series = &request->series.v[i];
        n += series->samples.n;
        for (uint32_t k = 0; k < series->samples.n; k++)
            bytes += series->samples.v[k].raw_profile.n;
    }
    ingest_count_discarded(rq, STR_EMPTY, STR("profile_size_limit"), n, (double)bytes, err);
}

void ingest_push(struct ingest *ig, const struct ingest_push *push, ingest_done_fn done, void *ctx)
{
    struct error err = {0};
    struct ingest_request *rq = ingest_request_new(
        ig, push->tenant, push->arena, push->now_ns, done, ctx);
    if (!rq) {
        ingest_arena_full(push->arena, &err);
        done(ctx, err.code, &err);
        return;
    }
    rq->family = FAMILY_PUSH;
    enum status st = decode_all(rq, push->request, &err);
    if (st == ST_OK) {
        ingest_request_run(rq);
        return;
    }
    if (rq->arena->full)
        discard_whole(rq, push->request, &err);
    ingest_request_end(rq, st, &err);
}
