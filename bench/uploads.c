/* Recorded requests of one client, replayed for many services over a stretch of time.
 *
 *     manifest.jsonl + bodies ─► struct request ─► for upload k: target, head, body
 *
 * The recorded requests are taken in turn, each service one further than the one before. In the
 * target the application's name, `from` and `until` change, in their unit. A pprof profile, in a
 * form or in a push, gets the time of its window: time_nanos is overwritten in place, for its nine
 * bytes stay nine. In a push service_name changes and every profile gets an id of its own. In OTLP,
 * protobuf or JSON, the times of profiles and the service are overwritten in place. Bodies of Java
 * uploads have no time inside and are shared. Chunked bodies are framed here; what was recorded on
 * HTTP/2 is left out.
 *
 * Invariant: whatever is sent was built before the first byte is sent. One thread. A recording that
 * does not look as expected ends the preparation with ST_INVALID_ARGUMENT. */
#include "uploads.h"

#include "base/fs.h"
#include "codec/gzip.h"
#include "codec/json.h"
#include "codec/messages.h"
#include "codec/multipart.h"
#include "codec/proto_skip.h"
#include "base/varint.h"

enum { REQUESTS_MAX = 256, HEADERS_MAX = 32, CHUNK_BYTES = 8192, PPROF_TIME_FIELD = 9 };
#define ARENA_BYTES (16 * GIB)
#define WORK_BYTES (256 * MIB)

struct header {
    struct str name, value;
};
struct request {
    struct str method, target, file, body;
    struct header headers[HEADERS_MAX];
    uint32_t n_headers;
    bool chunked, http2;
    struct str shared; /* the body as it is sent, when all uploads may share it */
};
struct recording {
    struct request v[REQUESTS_MAX];
    uint32_t n;
};
/* What making one upload needs. */
struct maker {
    const struct uploads_plan *plan;
    struct uploads *out;
    struct arena *work; /* emptied after each upload */
    uint32_t k;
    struct error *err;
};

static enum status read_file(
    const char *dir, struct str name, struct arena *arena, struct str *ret_bytes, struct error *err)
{
    char path[4096];
    char *file = arena_cstr(arena, name);
    if (!file || !fs_path(path, sizeof path, dir, file))
        FAIL(err, ST_INVALID_ARGUMENT, "the path of a recording is too long");
    struct buf bytes;
    buf_init(&bytes, GIB);
    enum status st = fs_read_all(&fs_real, path, GIB, &bytes, err);
    if (st == ST_OK)
        *ret_bytes = arena_str(arena, buf_view(&bytes));
    buf_done(&bytes);
    return st;
}

/* ---- the manifest ---- */

/* [[name, value], …] */
static enum status read_headers(struct json_reader *r, struct request *req, struct error *err)
{
    enum json_token t;
    struct header *h = NULL;
    TRY(json_next(r, &t, err));
    while (r->depth > 1) {
        TRY(json_next(r, &t, err));
        if (t == JSON_ARRAY) {
            if (req->n_headers == HEADERS_MAX)
                FAIL(err, ST_INVALID_ARGUMENT, "a recorded request has too many headers");
            h = &req->headers[req->n_headers++];
        } else if (t == JSON_STRING && h && !h->name.p) {
            h->name = r->text;
        } else if (t == JSON_STRING && h) {
            h->value = r->text;
        }
    }
    return ST_OK;
}

/* HTTP/2's frames are not recorded: its requests are passed over. */
static enum status read_version(struct json_reader *r, struct request *req, struct error *err)
{
    enum json_token t;
    TRY(json_next(r, &t, err));
    req->http2 = str_eq(r->text, STR("2"));
    return ST_OK;
}

static enum status read_request(
    struct str line, struct arena *arena, struct request *ret_req, struct error *err)
{
    struct json_reader r;
    enum json_token t;
    json_start(&r, line, arena);
    TRY(json_next(&r, &t, err));
    for (;;) {
        TRY(json_next(&r, &t, err));
        if (t != JSON_NAME)
            return ST_OK;
        struct str name = r.text;
        if (str_eq(name, STR("headers"))) {
            TRY(read_headers(&r, ret_req, err));
            continue;
        }
        if (str_eq(name, STR("http"))) {
            TRY(read_version(&r, ret_req, err));
            continue;
        }
        struct str *to = str_eq(name, STR("method"))   ? &ret_req->method
                         : str_eq(name, STR("target")) ? &ret_req->target
                         : str_eq(name, STR("body"))   ? &ret_req->file
                                                       : NULL;
        if (!to) {
            TRY(json_skip(&r, err));
            continue;
        }
        TRY(json_next(&r, &t, err));
        *to = r.text;
    }
}

static enum status read_recording(
    const char *dir, struct arena *arena, struct recording *ret, struct error *err)
{
    struct str text, line;
    TRY(read_file(dir, STR("manifest.jsonl"), arena, &text, err));
    struct str_split lines = {.rest = text};
    while (str_split_next(&lines, '\n', &line)) {
        if (line.n == 0)
            continue;
        if (ret->n == REQUESTS_MAX)
            FAIL(err, ST_INVALID_ARGUMENT, "too many recorded requests in %s", dir);
        struct request *req = &ret->v[ret->n++];
        TRY(read_request(line, arena, req, err));
        if (req->http2) {
            *req = (struct request){0};
            ret->n--;
            continue;
        }
        TRY(read_file(dir, req->file, arena, &req->body, err));
        for (uint32_t i = 0; i < req->n_headers; i++)
            req->chunked |= str_eq_nocase(req->headers[i].name, STR("Transfer-Encoding"));
    }
    if (ret->n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "no recorded requests in %s", dir);
    return ST_OK;
}

static struct str header_value(const struct request *req, struct str name)
{
    for (uint32_t i = 0; i < req->n_headers; i++)
        if (str_eq_nocase(req->headers[i].name, name))
            return req->headers[i].value;
    return STR_EMPTY;
}

/* ---- heads ---- */

static void put_param(const struct maker *m, struct str param, struct buf *out)
{
    int64_t from_s = uploads_from_s(m->plan, m->k);
    bool from = str_starts(param, STR("from=")), until = str_starts(param, STR("until="));
    if (from || until) {
        bool nanos = param.n - str_find_char(param, '=') - 1 > 10;
        buf_printf(out, "%s=%lld%s", from ? "from" : "until",
            (long long)(from_s + (until ? WINDOW_S : 0)), nanos ? "000000000" : "");
    } else if (str_starts(param, STR("name="))) {
        size_t brace = str_find(param, STR("%7B"));
        buf_printf(out, "name=service-%u", m->k % m->plan->services);
        buf_str(out, str_skip(param, MIN(brace, param.n)));
    } else {
        buf_str(out, param);
    }
}

static void put_target(const struct maker *m, struct str target, struct buf *out)
{
    size_t query = str_find_char(target, '?');
    buf_str(out, str_head(target, query));
    if (query == STR_NPOS)
        return;
    struct str_split params = {.rest = str_skip(target, query + 1)};
    struct str param;
    for (char sep = '?'; str_split_next(&params, '&', &param); sep = '&') {
        buf_byte(out, (uint8_t)sep);
        put_param(m, param, out);
    }
}

static struct str make_head(const struct maker *m, const struct request *req, size_t body_bytes)
{
    struct buf out;
    buf_init(&out, MIB);
    buf_str(&out, req->method);
    buf_byte(&out, ' ');
    put_target(m, req->target, &out);
    buf_str(&out, STR(" HTTP/1.1\r\n"));
    for (uint32_t i = 0; i < req->n_headers; i++) {
        struct header h = req->headers[i];
        if (str_eq_nocase(h.name, STR("Content-Length")))
            buf_printf(&out, "%.*s: %zu\r\n", STR_ARG(h.name), body_bytes);
        else
            buf_printf(&out, "%.*s: %.*s\r\n", STR_ARG(h.name), STR_ARG(h.value));
    }
    buf_str(&out, STR("\r\n"));
    struct str head = out.failed ? STR_EMPTY : arena_str(&m->out->arena, buf_view(&out));
    buf_done(&out);
    return head;
}

/* ---- bodies ---- */

static struct str make_chunks(struct str body, struct arena *arena)
{
    struct buf out;
    buf_init(&out, GIB);
    while (body.n) {
        struct str piece = str_head(body, CHUNK_BYTES);
        buf_printf(&out, "%zx\r\n", piece.n);
        buf_str(&out, piece);
        buf_str(&out, STR("\r\n"));
        body = str_skip(body, piece.n);
    }
    buf_str(&out, STR("0\r\n\r\n"));
    struct str chunks = arena_str(arena, buf_view(&out));
    buf_done(&out);
    return chunks;
}

static enum status pack(
    const struct maker *m, struct str raw, struct arena *arena, struct str *ret_packed)
{
    struct buf out;
    buf_init(&out, WORK_BYTES);
    enum status st = gzip_deflate(raw, 1, &out, m->err);
    if (st == ST_OK)
        *ret_packed = arena_str(arena, buf_view(&out));
    buf_done(&out);
    return st;
}

/* The profile with the time of the window, as gzip if it was; in the work arena. */
static enum status patch_pprof(const struct maker *m, struct str in, struct str *ret_out)
{
    bool gzip = gzip_detect(in);
    struct str raw = gzip ? STR_EMPTY : arena_str(m->work, in);
    if (gzip)
        TRY(gzip_inflate(in, WORK_BYTES / 4, m->work, &raw, m->err));
    uint64_t time_ns = (uint64_t)uploads_from_s(m->plan, m->k) * NS_PER_S;
    struct cursor c = cursor_make(raw);
    while (cursor_left(&c)) {
        uint64_t key = cursor_uvarint(&c);
        const uint8_t *at = c.p;
        uint64_t v = (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : cursor_uvarint(&c);
        if ((key & 7) != 0)
            cursor_bytes(&c, v);
        if (key != PPROF_TIME_FIELD << 3 || v == 0)
            continue;
        if (c.bad || (size_t)(c.p - at) != varint_size(time_ns))
            FAIL(m->err, ST_INVALID_ARGUMENT, "a profile's time has another length");
        varint_put((uint8_t *)(uintptr_t)at, time_ns);
    }
    if (c.bad)
        FAIL(m->err, ST_INVALID_ARGUMENT, "a recorded profile is damaged");
    *ret_out = raw;
    return gzip ? pack(m, raw, m->work, ret_out) : ST_OK;
}

/* A form with its part `profile` replaced. */
static enum status patch_form(
    const struct maker *m, struct str body, struct str part, struct str *ret_body)
{
    struct str profile;
    TRY(patch_pprof(m, part, &profile));
    size_t at = (size_t)(part.p - body.p);
    struct str head = arena_str_join(m->work, str_head(body, at), profile);
    *ret_body = arena_str_join(&m->out->arena, head, str_skip(body, at + part.n));
    return ST_OK;
}

static enum status patch_series(const struct maker *m, struct m_raw_series *series)
{
    for (uint32_t i = 0; i < series->labels.n; i++)
        if (str_eq(series->labels.v[i].name, STR("service_name")))
            series->labels.v[i].value = arena_printf(
                m->work, "service-%u", m->k % m->plan->services);
    for (uint32_t i = 0; i < series->samples.n; i++) {
        struct m_raw_sample *s = &series->samples.v[i];
        TRY(patch_pprof(m, s->raw_profile, &s->raw_profile));
        if (s->ID.n > 8)
            s->ID = arena_str_join(
                m->work, arena_printf(m->work, "%08x", m->k), str_skip(s->ID, 8));
    }
    return ST_OK;
}

static enum status patch_push(const struct maker *m, struct str body, struct str *ret_body)
{
    struct str raw;
    void *msg;
    TRY(gzip_inflate(body, WORK_BYTES / 4, m->work, &raw, m->err));
    TRY(msg_decode_proto(&m_push_request_desc, raw, m->work, &msg, m->err));
    struct m_push_request *push = msg;
    for (uint32_t i = 0; i < push->series.n; i++)
        TRY(patch_series(m, &push->series.v[i]));
    struct buf plain, packed;
    buf_init(&plain, WORK_BYTES);
    buf_init(&packed, WORK_BYTES);
    msg_encode_proto(&m_push_request_desc, push, &plain);
    enum status st = gzip_deflate(buf_view(&plain), 6, &packed, m->err);
    if (st == ST_OK)
        *ret_body = arena_str(&m->out->arena, buf_view(&packed));
    buf_done(&plain);
    buf_done(&packed);
    return st;
}

/* Follows the fields of `path` and overwrites the fixed64 that the last of them is; the depth is
 * the path's. How many there were is added to *n. */
static void set_fixed64(struct cursor c, const uint8_t *path, uint64_t value, uint32_t *n)
{
    while (cursor_left(&c)) {
        uint64_t tag = cursor_uvarint(&c);
        const uint8_t *at = c.p;
        if (tag >> 3 != path[0]) {
            proto_skip(&c, tag);
        } else if ((tag & 7) == WIRE_BYTES && path[1]) {
            set_fixed64(cursor_make(cursor_bytes(&c, cursor_uvarint(&c))), path + 1, value, n);
        } else if ((tag & 7) == WIRE_FIXED64 && cursor_bytes(&c, 8).n) {
            memcpy((uint8_t *)(uintptr_t)at, &value, sizeof value);
            ++*n;
        }
    }
}

/* Overwrites what stands behind each `mark` in a text of our own. */
static uint32_t set_text(struct str in, struct str mark, struct str value)
{
    uint32_t n = 0;
    size_t at;
    while ((at = str_find(in, mark)) != STR_NPOS && in.n - at - mark.n >= value.n) {
        in = str_skip(in, at + mark.n);
        memcpy((char *)(uintptr_t)in.p, value.p, value.n);
        n++;
    }
    return n;
}

/* resource_profiles, scope_profiles, profiles, time_unix_nano. The recorded service's name is as
 * long as ours. */
static enum status patch_otlp(const struct maker *m, const struct request *req, struct str *ret_out)
{
    static const uint8_t time_path[] = {1, 2, 2, 3, 0};
    const struct str shop = STR("otlp-shop");
    bool gzip = gzip_detect(req->body);
    struct str raw = gzip ? STR_EMPTY : arena_str(&m->out->arena, req->body);
    if (gzip)
        TRY(gzip_inflate(req->body, WORK_BYTES / 4, m->work, &raw, m->err));
    uint64_t time_ns = (uint64_t)uploads_from_s(m->plan, m->k) * NS_PER_S;
    struct str service = arena_printf(m->work, "service-%u", m->k % m->plan->services);
    uint32_t times = 0;
    if (str_starts(raw, STR("{")))
        times = set_text(raw, STR("\"timeUnixNano\":\""),
            arena_printf(m->work, "%llu", (unsigned long long)time_ns));
    else
        set_fixed64(cursor_make(raw), time_path, time_ns, &times);
    size_t at = str_find(raw, shop);
    if (times == 0 || at == STR_NPOS || service.n != shop.n)
        FAIL(m->err, ST_INVALID_ARGUMENT, "an OTLP recording is not as expected");
    memcpy((char *)(uintptr_t)raw.p + at, service.p, service.n);
    *ret_out = raw;
    return gzip ? pack(m, raw, &m->out->arena, ret_out) : ST_OK;
}

/* The body of one upload, without frames; req->shared is set when it is good for all. */
static enum status make_body(const struct maker *m, struct request *req, struct str *ret_body)
{
    if (str_starts(req->target, STR("/push.v1.")))
        return patch_push(m, req->body, ret_body);
    if (str_starts(req->target, STR("/v1development/profiles")))
        return patch_otlp(m, req, ret_body);
    struct str type = header_value(req, STR("Content-Type"));
    struct multipart *parts = ARENA_NEW(m->work, struct multipart);
    if (!parts)
        FAIL(m->err, ST_RESOURCE_EXHAUSTED, "no memory for a form");
    TRY(multipart_parse(type, req->body, parts, m->err));
    struct str profile = multipart_get(parts, STR("profile"));
    if (profile.n)
        return patch_form(m, req->body, profile, ret_body);
    *ret_body = req->body;
    req->shared = req->chunked ? make_chunks(req->body, &m->out->arena) : req->body;
    return ST_OK;
}

static enum status make_upload(const struct maker *m, struct request *req)
{
    struct upload *u = VEC_PUSH(&m->out->arena, *m->out);
    if (!u)
        FAIL(m->err, ST_RESOURCE_EXHAUSTED, "the uploads do not fit into memory");
    struct str body = req->body, framed = req->shared;
    if (!framed.p) {
        TRY(make_body(m, req, &body));
        framed = req->shared.p  ? req->shared
                 : req->chunked ? make_chunks(body, &m->out->arena)
                                : body;
    }
    *u = (struct upload){make_head(m, req, body.n), framed};
    m->out->content_bytes += body.n;
    if (!u->head.p || !u->body.p)
        FAIL(m->err, ST_RESOURCE_EXHAUSTED, "the uploads do not fit into memory");
    return ST_OK;
}

enum status uploads_recorded(
    const struct uploads_plan *plan, struct uploads *ret_uploads, struct error *err)
{
    struct arena work;
    arena_init(&ret_uploads->arena, ARENA_BYTES);
    struct recording *rec = ARENA_NEW(&ret_uploads->arena, struct recording);
    if (!rec)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for the recording");
    TRY(read_recording(plan->captures, &ret_uploads->arena, rec, err));
    arena_init(&work, WORK_BYTES);
    enum status st = ST_OK;
    struct maker m = {plan, ret_uploads, &work, 0, err};
    for (; st == ST_OK && m.k < plan->uploads; m.k++) {
        uint32_t turn = m.k / plan->services + m.k % plan->services;
        st = make_upload(&m, &rec->v[turn % rec->n]);
        arena_reset(&work);
    }
    arena_done(&work);
    return st;
}
