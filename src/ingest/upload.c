/* POST /ingest: parameters, the choice of the decoder, and the shape of its errors
 * (spec/ingest.md §2.1-§2.4, §2.9).
 *
 * Only `name` can make a request fail; every other parameter has a value that it falls back to. The
 * first matching row of the table in §2.4 decides the decoder; Content-Encoding is not looked at.
 * The decoder adds series to the request, then the pipeline of ingest.c runs.
 *
 * Failure: a bad name is 400, a body over the limit or one that needs too much memory 413, what
 * cannot be decoded 422 with the code `unknown`. Runs on the caller's thread. */
#include "ingest/ingest_int.h"

#include "base/clock.h"
#include "codec/when.h"

enum { SAMPLE_RATE_DEFAULT = 100 };

enum status upload_unprocessable(struct error *err, const char *prefix)
{
    struct error bare = *err;
    error_set(err, ST_UNKNOWN, bare.file, bare.line, "%s%s", prefix, bare.msg);
    err->http = 422;
    return ST_UNKNOWN;
}

/* Signed decimal; what is not understood or negative means the default, 0 stays. */
static uint32_t parse_rate(struct str text)
{
    int64_t v;
    if (!str_to_i64(text, &v) || v < 0)
        return SAMPLE_RATE_DEFAULT;
    return (uint32_t)v;
}

static int64_t parse_time(struct str text, int64_t now_ns)
{
    return text.n ? when_parse_ns(text, now_ns) : now_ns;
}

static enum status read_parameters(struct upload_ctx *u, struct error *err)
{
    const struct ingest_upload *up = u->up;
    enum status st = app_name_parse(up->name, u->rq->arena, &u->name, err);
    if (st != ST_OK)
        return error_wrap(err, st, "name");
    u->spy = up->spy_name.n ? up->spy_name : STR("unknown");
    u->sample_rate = parse_rate(up->sample_rate);
    u->from_ns = parse_time(up->from, up->now_ns);
    u->until_ns = parse_time(up->until, up->now_ns);
    return ST_OK;
}

enum decoder {
    DECODE_TRIE,
    DECODE_TREE,
    DECODE_LINES,
    DECODE_JFR,
    DECODE_JFR_FORM,
    DECODE_PPROF,
    DECODE_PPROF_FORM,
    DECODE_SPEEDSCOPE,
    DECODE_FOLDED,
};

/* §2.4 */
static enum decoder choose_decoder(struct str format, struct str type)
{
    bool multipart = str_contains(type, STR("multipart/form-data"));
    if (str_eq(format, STR("trie")) || str_eq(type, STR("binary/octet-stream+trie")))
        return DECODE_TRIE;
    if (str_eq(format, STR("tree")) || str_eq(type, STR("binary/octet-stream+tree")))
        return DECODE_TREE;
    if (str_eq(format, STR("lines")))
        return DECODE_LINES;
    if (str_eq(format, STR("jfr")))
        return multipart ? DECODE_JFR_FORM : DECODE_JFR;
    if (str_eq(format, STR("pprof")))
        return DECODE_PPROF;
    if (str_eq(format, STR("speedscope")))
        return DECODE_SPEEDSCOPE;
    return multipart ? DECODE_PPROF_FORM : DECODE_FOLDED;
}

static enum ingest_family family_of(enum decoder decoder)
{
    switch (decoder) {
    case DECODE_JFR:
    case DECODE_JFR_FORM:
    case DECODE_PPROF:
    case DECODE_PPROF_FORM:
        return FAMILY_PPROF;
    case DECODE_SPEEDSCOPE:
        return FAMILY_SPEEDSCOPE;
    default:
        return FAMILY_TEXT;
    }
}

static enum status decode_body(struct upload_ctx *u, enum decoder decoder, struct error *err)
{
    switch (decoder) {
    case DECODE_TRIE:
        return upload_text(u, TEXT_TRIE, err);
    case DECODE_TREE:
        return upload_text(u, TEXT_TREE, err);
    case DECODE_LINES:
        return upload_text(u, TEXT_LINES, err);
    case DECODE_FOLDED:
        return upload_text(u, TEXT_FOLDED, err);
    case DECODE_JFR:
    case DECODE_JFR_FORM:
        return upload_jfr(u, decoder == DECODE_JFR_FORM, err);
    case DECODE_PPROF:
    case DECODE_PPROF_FORM:
        return upload_pprof(u, decoder == DECODE_PPROF_FORM, err);
    case DECODE_SPEEDSCOPE:
        return upload_speedscope(u, err);
    }
    FAIL(err, ST_INTERNAL, "no such decoder");
}

/* The service that an upload is for, as far as its name says. */
static struct str service_of(const struct app_name *name, enum decoder decoder)
{
    for (uint32_t i = 0; i < name->n; i++)
        if (str_eq(name->labels[i].key, STR("service_name")) && name->labels[i].value.n)
            return name->labels[i].value;
    return family_of(decoder) == FAMILY_PPROF ? name->name : put_app(name->name);
}

static enum status check_body(struct upload_ctx *u, struct error *err)
{
    uint64_t max = u->rq->limits.body_bytes_max;
    if (max == 0 || u->up->body.n <= max)
        return ST_OK;
    u->reason = STR("body_size_limit_exceeded");
    error_set(err, ST_INVALID_ARGUMENT, __FILE__, __LINE__,
        "request body too large: %zu bytes, limit %llu", u->up->body.n, (unsigned long long)max);
    err->http = 413;
    return ST_INVALID_ARGUMENT;
}

static enum status upload(struct upload_ctx *u, struct error *err)
{
    enum decoder decoder = choose_decoder(u->up->format, u->up->content_type);
    double bytes = (double)u->up->body.n;
    enum status st = read_parameters(u, err);
    if (st != ST_OK) {
        ingest_count_discarded(u->rq, STR_EMPTY, STR("invalid_name"), 1, bytes, err);
        return st;
    }
    u->rq->family = family_of(decoder);
    int64_t begun_ns = clock_mono_ns();
    st = check_body(u, err);
    if (st == ST_OK)
        st = decode_body(u, decoder, err);
    if (st == ST_OK) {
        if (u->rq->series.n)
            ingest_count_parsed(u->rq, u->rq->series.v, clock_mono_ns() - begun_ns);
        return ST_OK;
    }
    if (u->rq->arena->full) {
        u->reason = STR("profile_size_limit");
        st = ingest_shape_arena_full(u->rq, err);
    }
    ingest_count_discarded(u->rq, service_of(&u->name, decoder), u->reason, 1, bytes, err);
    return st;
}

void ingest_refuse(
    struct ingest *ig, const struct ingest_refusal *r, struct arena *arena, const struct error *err)
{
    struct app_name name = {0};
    struct error unused;
    struct str service = STR_EMPTY;
    if (r->name.n && app_name_parse(r->name, arena, &name, &unused) == ST_OK)
        service = service_of(&name, choose_decoder(r->format, r->content_type));
    ingest_discarded(ig, r->tenant, service, r->reason, 1, (double)r->bytes, r->now_ns, err);
}

void ingest_upload(
    struct ingest *ig, const struct ingest_upload *up, ingest_done_fn done, void *ctx)
{
    struct error err = {0};
    struct ingest_request *rq = ingest_request_new(
        ig, up->tenant, up->arena, up->now_ns, done, ctx);
    if (!rq) {
        ingest_arena_full(up->arena, &err);
        done(ctx, err.code, &err);
        return;
    }
    rq->received_bytes = up->body.n;
    struct upload_ctx u = {.rq = rq, .up = up, .reason = STR("malformed_profile")};
    enum status st = upload(&u, &err);
    if (st != ST_OK)
        ingest_request_end(rq, st, &err);
    else
        ingest_request_run(rq);
}
