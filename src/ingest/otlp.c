/* OTLP profiles (spec/ingest.md §5): every Profile becomes a series of the request, or several when
 * its samples name services; then the pipeline of ingest.c runs.
 *
 *     JSON? ─► protobuf ─► codec/otlp ─► (labels, profile) ─► ingest_request_run
 *
 * Labels, of a name the first: __delta__, __otel__, __name__, attributes of the resource, of the
 * scope, service_name. Names keep their dots.
 *
 * What the codec found wrong with one Profile is remembered with its series, so that the others go
 * on. Strings that are too long were cut by the codec, which also checked that they are UTF-8; here
 * that is counted. Runs on the caller's thread; see ingest.c for failures. */
#include "ingest/otlp.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "codec/otlp.h"
#include "ingest/ingest_int.h"

enum { HEX_BYTES_MAX = 256, ID_BYTES_MAX = 100 };

enum status ingest_otlp_too_large(const char *what, uint64_t bytes_max, struct error *err)
{
    char text[32];
    ingest_size_text(bytes_max, 1000, text);
    error_set(err, ST_INVALID_ARGUMENT, __FILE__, __LINE__,
        "%sprofile payload size exceeds limit of %s", what, text);
    err->http = 413;
    return ST_INVALID_ARGUMENT;
}

/* ── labels ── */

static bool add(struct label_set *set, struct arena *arena, struct str name, struct str value)
{
    struct label *l = VEC_PUSH(arena, *set);
    if (l)
        *l = (struct label){name, value};
    return l != NULL;
}

static bool add_all(struct label_set *set, struct arena *arena, const struct otlp_attrs *attrs)
{
    for (uint32_t i = 0; i < attrs->n; i++)
        if (!add(set, arena, attrs->v[i].key, attrs->v[i].value))
            return false;
    return true;
}

static enum status make_labels(
    struct arena *arena, const struct otlp_profile *p, struct labels *ret_labels, struct error *err)
{
    struct label_set set = {0};
    bool ok = add(&set, arena, STR("__delta__"), STR("false")) &&
              add(&set, arena, STR("__otel__"), STR("true")) &&
              add(&set, arena, STR("__name__"), p->name) && add_all(&set, arena, p->resource) &&
              add_all(&set, arena, p->scope) && add(&set, arena, STR("service_name"), p->service);
    if (!ok)
        return ingest_arena_full(arena, err);
    labels_sort(set.v, set.n); /* keeps the order of equal names */
    uint32_t kept = 0;
    for (uint32_t i = 0; i < set.n; i++)
        if (kept == 0 || !str_eq(set.v[kept - 1].name, set.v[i].name))
            set.v[kept++] = set.v[i];
    set.n = kept;
    return ingest_labels_finish(&set, arena, ret_labels, err);
}

/* ── what the codec complains about ── */

static enum status utf8_error(struct str bad, struct error *err)
{
    char hex[2 * HEX_BYTES_MAX + 1];
    size_t n = MIN(bad.n, (size_t)HEX_BYTES_MAX);
    for (size_t i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)bad.p[i]);
    hex[2 * n] = 0;
    FAIL(err, ST_INVALID_ARGUMENT, "invalid utf8 string hex: %s%s", hex, n < bad.n ? "…" : "");
}

/* The words of §6.5. */
static enum status problem_error(struct ingest_request *rq, struct ingest_series *s,
    const struct otlp_profile *p, struct str bad_string, struct error *err)
{
    switch (p->problem) {
    case OTLP_VALUE_COUNT:
        FAIL(err, ST_INVALID_ARGUMENT, "sample value length mismatch");
    case OTLP_DASH:
        FAIL(err, ST_INVALID_ARGUMENT, "sample type contains -");
    case OTLP_UTF8:
        return utf8_error(bad_string, err);
    case OTLP_LABELS_MAX:
        s->reason = STR("sample_labels_limit");
        struct str labels = ingest_labels_text(rq->arena, s->labels);
        FAIL(err, ST_INVALID_ARGUMENT,
            "the profile with labels '%.*s' exceeds the sample labels limit "
            "(max_profile_stacktrace_sample_labels, actual: %u, limit: %llu)",
            STR_ARG(labels), p->n_labels, (unsigned long long)rq->limits.sample_labels_max);
    case OTLP_OK:
        break;
    }
    return ST_OK;
}

/* ── series ── */

struct maker {
    struct ingest_request *rq;
    struct str bad_string;
    struct error *shared[OTLP_LABELS_MAX]; /* complaints that say nothing of their series */
};

/* What a series failed with: its own error, or the one of all with that problem. */
static struct error *failure(struct maker *m, const struct otlp_profile *p, const struct error *err)
{
    bool shared = p->problem < OTLP_LABELS_MAX;
    struct error *e = shared ? m->shared[p->problem] : NULL;
    if (e)
        return e;
    e = ARENA_NEW(m->rq->arena, struct error);
    if (e)
        *e = *err;
    if (shared)
        m->shared[p->problem] = e;
    return e;
}

static enum status add_series(
    struct maker *m, struct otlp_profile *p, uint32_t index, struct error *err)
{
    struct ingest_request *rq = m->rq;
    struct ingest_series *s = ingest_request_add(rq);
    if (!s)
        return ingest_arena_full(rq->arena, err);
    s->prof = &p->profile;
    s->index = index;
    s->id = arena_printf(rq->arena, "%.*s/%.*s", STR_ARG(str_head(p->service, ID_BYTES_MAX)),
        STR_ARG(str_head(p->name, ID_BYTES_MAX)));
    if (!s->id.p)
        return ingest_arena_full(rq->arena, err);
    TRY(make_labels(rq->arena, p, &s->labels, err));
    if (problem_error(rq, s, p, m->bad_string, err) == ST_OK)
        return ST_OK;
    s->failed = failure(m, p, err);
    if (!s->failed)
        return ingest_arena_full(rq->arena, err);
    s->size_bytes = p->profile.size_bytes;
    return ST_OK;
}

/* Each series its share of what was sent. */
static void share_received(struct ingest_request *rq, uint64_t received, uint64_t message)
{
    for (uint32_t i = 0; i < rq->series.n; i++) {
        struct ingest_series *s = &rq->series.v[i];
        double share = (double)s->prof->size_bytes / (double)MAX(message, 1u);
        s->received_bytes = (uint64_t)(share * (double)received + 0.5);
    }
}

static void count_cuts(const struct ingest_request *rq, const struct otlp *otlp)
{
    if (otlp->strings_cut)
        metric_add(M_TRUNCATED, (double)otlp->strings_cut, STR("string"), rq->tenant);
}

static enum status read_message(struct ingest_request *rq, const struct ingest_otlp *request,
    struct str *ret_message, struct error *err)
{
    uint64_t max = rq->limits.body_bytes_max;
    if (max && request->message.n > max)
        return ingest_otlp_too_large("uncompressed ", max, err);
    *ret_message = request->message;
    enum status st = request->json ? otlp_from_json(request->message, rq->arena, ret_message, err)
                                   : ST_OK;
    return st == ST_OK ? ST_OK : error_wrap(err, st, "Failed to parse JSON request");
}

static enum status decode(
    struct ingest_request *rq, const struct ingest_otlp *request, struct error *err)
{
    const struct ingest_limits *l = &rq->limits;
    struct otlp_options opt = {l->stack_depth_max, l->string_bytes_max, l->sample_labels_max};
    struct otlp *otlp = ARENA_NEW(rq->arena, struct otlp);
    struct str message = STR_EMPTY;
    if (!otlp)
        return ingest_arena_full(rq->arena, err);
    TRY(read_message(rq, request, &message, err));
    enum status st = otlp_decode(message, &opt, rq->arena, otlp, err);
    if (st != ST_OK && str_starts(error_str(err), STR("proto: ")))
        return error_wrap(err, st, "Failed to parse protobuf request");
    TRY(st);
    count_cuts(rq, otlp);
    rq->stacks_cut = otlp->stacks_cut;
    struct maker m = {.rq = rq, .bad_string = otlp->bad_string};
    for (uint32_t i = 0; i < otlp->n; i++)
        TRY(add_series(&m, &otlp->v[i], i, err));
    share_received(rq, request->received_bytes, message.n);
    return ST_OK;
}

void ingest_otlp(
    struct ingest *ig, const struct ingest_otlp *request, ingest_done_fn done, void *ctx)
{
    struct error err = {0};
    struct ingest_request *rq = ingest_request_new(
        ig, request->tenant, request->arena, request->now_ns, done, ctx);
    if (!rq) {
        ingest_arena_full(request->arena, &err);
        done(ctx, err.code, &err);
        return;
    }
    rq->family = FAMILY_PUSH;
    rq->type = STR("otel");
    int64_t begun_ns = clock_mono_ns();
    enum status st = decode(rq, request, &err);
    if (st == ST_OK) {
        if (rq->series.n)
            ingest_count_parsed(rq, rq->series.v, clock_mono_ns() - begun_ns);
        ingest_request_run(rq);
        return;
    }
    struct str reason = STR("malformed_profile");
    if (rq->arena->full) {
        reason = STR("profile_size_limit");
        st = ingest_shape_arena_full(rq, &err);
    } else if (err.http == 413) {
        reason = STR("body_size_limit_exceeded");
    }
    ingest_count_discarded(rq, STR_EMPTY, reason, 1, (double)request->message.n, &err);
    ingest_request_end(rq, st, &err);
}
