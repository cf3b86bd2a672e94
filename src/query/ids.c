/* Span, trace and profile ids of requests: hexadecimal text to sorted numbers.
 *
 * A span id is its 8 bytes read little-endian, a trace id the two big-endian halves of its 16
 * bytes, as ingest stores them. All zeros mean that a sample has none, so such an id matches
 * nothing. Malformed ids are ST_INVALID_ARGUMENT before any data is read. */
#include <stdlib.h>

#include "query/query_int.h"

/* 16 digits, the first byte highest. */
static bool read_u64(struct str s, uint64_t *ret)
{
    uint64_t v = 0;
    for (size_t i = 0; i < 16; i++) {
        int d = i < s.n ? hex_digit(s.p[i]) : -1;
        if (d < 0)
            return false;
        v = v << 4 | (uint64_t)d;
    }
    *ret = v;
    return true;
}

static int order_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int order_trace(const void *a, const void *b)
{
    int c = order_u64(a, b);
    return c ? c : order_u64((const uint64_t *)a + 1, (const uint64_t *)b + 1);
}

static int order_str(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static enum status parse_spans(
    struct query *q, const struct id_lists *in, struct id_filter *f, struct error *err)
{
    uint64_t *v = ARENA_ARRAY(q->arena, uint64_t, in->n_spans);
    if (!v)
        return query_full(q, err);
    for (uint32_t i = 0; i < in->n_spans; i++) {
        struct str s = in->spans[i];
        if (s.n != 16 || !read_u64(s, &v[i]))
            FAIL(err, ST_INVALID_ARGUMENT,
                "invalid span id \"%.*s\": 16 hexadecimal digits expected",
                STR_ARG(str_head(s, 100)));
        v[i] = __builtin_bswap64(v[i]);
    }
    qsort(v, in->n_spans, sizeof *v, order_u64);
    f->spans = v;
    f->n_spans = in->n_spans;
    return ST_OK;
}

static enum status parse_traces(
    struct query *q, const struct id_lists *in, struct id_filter *f, struct error *err)
{
    uint64_t *v = ARENA_ARRAY(q->arena, uint64_t, (size_t)in->n_traces * 2);
    if (!v)
        return query_full(q, err);
    for (uint32_t i = 0; i < in->n_traces; i++) {
        struct str s = in->traces[i];
        if (s.n != 32 || !read_u64(s, &v[2 * i]) || !read_u64(str_skip(s, 16), &v[2 * i + 1]))
            FAIL(err, ST_INVALID_ARGUMENT,
                "invalid trace id \"%.*s\": 32 hexadecimal digits expected",
                STR_ARG(str_head(s, 100)));
    }
    qsort(v, in->n_traces, 2 * sizeof *v, order_trace);
    f->traces = v;
    f->n_traces = in->n_traces;
    return ST_OK;
}

static bool read_uuid(struct str s, char out[36])
{
    if (s.n != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.p[i] != '-' : hex_digit(s.p[i]) < 0)
            return false;
        out[i] = dash ? '-' : "0123456789abcdef"[hex_digit(s.p[i])];
    }
    return true;
}

static enum status parse_profiles(
    struct query *q, const struct id_lists *in, struct id_filter *f, struct error *err)
{
    struct str *v = ARENA_ARRAY(q->arena, struct str, in->n_profiles);
    if (!v)
        return query_full(q, err);
    for (uint32_t i = 0; i < in->n_profiles; i++) {
        char *text = arena_alloc(q->arena, 36);
        if (!text)
            return query_full(q, err);
        if (!read_uuid(in->profiles[i], text))
            FAIL(err, ST_INVALID_ARGUMENT, "invalid profile id \"%.*s\": a UUID expected",
                STR_ARG(str_head(in->profiles[i], 100)));
        v[i] = str_make(text, 36);
    }
    qsort(v, in->n_profiles, sizeof *v, order_str);
    f->profiles = v;
    f->n_profiles = in->n_profiles;
    return ST_OK;
}

enum status ids_parse(
    struct query *q, const struct id_lists *in, struct id_filter *ret_filter, struct error *err)
{
    struct id_filter f = {0};
    if (in->n_spans)
        TRY(parse_spans(q, in, &f, err));
    if (in->n_traces)
        TRY(parse_traces(q, in, &f, err));
    if (in->n_profiles)
        TRY(parse_profiles(q, in, &f, err));
    *ret_filter = f;
    return ST_OK;
}

bool ids_has_profile(const struct id_filter *f, const char uuid[37])
{
    struct str key = str_make(uuid, 36);
    return bsearch(&key, f->profiles, f->n_profiles, sizeof key, order_str) != NULL;
}

bool ids_has_sample(const struct id_filter *f, const struct samples *s, uint32_t i)
{
    if (f->n_spans &&
        (!s->spans || !s->spans[i] ||
            !bsearch(&s->spans[i], f->spans, f->n_spans, sizeof(uint64_t), order_u64)))
        return false;
    if (!f->n_traces)
        return true;
    uint64_t key[2] = {s->trace_hi ? s->trace_hi[i] : 0, s->trace_lo ? s->trace_lo[i] : 0};
    return (key[0] || key[1]) &&
           bsearch(key, f->traces, f->n_traces, sizeof key, order_trace) != NULL;
}
