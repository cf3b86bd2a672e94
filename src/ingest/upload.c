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

static enum status decode_text(struct upload_ctx *u, enum text_format format, struct error *err)
{
    u->rq->family = FAMILY_TEXT;
    return upload_text(u, format, err);
}

static enum status decode_body(struct upload_ctx *u, struct error *err)
{
    struct str format = u->up->format, type = u->up->content_type;
    bool multipart = str_contains(type, STR("multipart/form-data"));
    u->rq->family = FAMILY_PPROF;
    if (str_eq(format, STR("trie")) || str_eq(type, STR("binary/octet-stream+trie")))
        return decode_text(u, TEXT_TRIE, err);
    if (str_eq(format, STR("tree")) || str_eq(type, STR("binary/octet-stream+tree")))
        return decode_text(u, TEXT_TREE, err);
    if (str_eq(format, STR("lines")))
        return decode_text(u, TEXT_LINES, err);
    if (str_eq(format, STR("jfr")))
        return upload_jfr(u, multipart, err);
    if (str_eq(format, STR("pprof")))
        return upload_pprof(u, false, err);
    if (str_eq(format, STR("speedscope"))) {
        u->rq->family = FAMILY_SPEEDSCOPE;
        return upload_speedscope(u, err);
    }
    if (multipart)
        return upload_pprof(u, true, err);
    return decode_text(u, TEXT_FOLDED, err);
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
    TRY(read_parameters(u, err));
    enum status st = check_body(u, err);
    if (st == ST_OK)
        st = decode_body(u, err);
    if (st == ST_OK)
        return ST_OK;
    if (u->rq->arena->full) {
        u->reason = STR("profile_size_limit");
        st = ingest_shape_arena_full(u->rq, err);
    }
    ingest_count_discarded(u->rq, u->name.name, u->reason, 1, (double)u->up->body.n, err);
    return st;
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
