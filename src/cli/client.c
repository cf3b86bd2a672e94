/* Questions to the server: see cli_int.h.
 *
 * Connect unary calls with protobuf bodies, or JSON where there is no protobuf. What the server
 * refuses becomes one sentence with what to do about it. Thread: one. */
#include "cli/cli_int.h"
#include "codec/json.h"

#define PATH "/querier.v1.QuerierService/"

enum { REQUEST_BYTES_MAX = 1 << 20 };

enum status client_open(struct cli *c)
{
    struct http_settings s = {
        .url = opt_get(c, OPT_URL),
        .tenant = opt_get(c, OPT_TENANT_ID),
        .token = opt_get(c, OPT_TOKEN),
        .username = opt_get(c, OPT_USERNAME),
        .password = opt_get(c, OPT_PASSWORD),
    };
    if (!s.url.p)
        s.url = STR("http://127.0.0.1:4040");
    enum status st = http_open(&s, &c->http, &c->err);
    c->misused = st == ST_INVALID_ARGUMENT;
    return st;
}

/* The strings "code" and "message" of {"code":…,"message":…}; what is no such object leaves them
 * alone. */
static void read_refusal(
    struct str body, struct arena *arena, struct str *ret_code, struct str *ret_message)
{
    struct json_reader *r = ARENA_NEW(arena, struct json_reader);
    enum json_token token;
    if (!r)
        return;
    json_start(r, body, arena);
    if (json_next(r, &token, NULL) != ST_OK || token != JSON_OBJECT)
        return;
    while (json_next(r, &token, NULL) == ST_OK && token == JSON_NAME) {
        struct str *into = str_eq(r->text, STR("code"))      ? ret_code
                           : str_eq(r->text, STR("message")) ? ret_message
                                                             : NULL;
        if (!into) {
            if (json_skip(r, NULL) != ST_OK)
                return;
            continue;
        }
        if (json_next(r, &token, NULL) != ST_OK || token != JSON_STRING)
            return;
        *into = arena_str(arena, r->text);
    }
}

enum status client_refused(struct cli *c, const struct http_answer *a)
{
    struct str code = {NULL, 0}, message = {NULL, 0}, url = http_url(c->http);
    read_refusal(a->body, &c->arena, &code, &message);
    struct str words = message.p ? message : str_head(str_trim(a->body), 300);
    if (words.n == 0)
        words = code.p ? code : STR("no reason given");
    if (a->status == 401 && str_contains(words, STR("no org id")))
        FAIL(&c->err, ST_UNAUTHENTICATED,
            "the server has several tenants: say which with --tenant-id or EVERFLAME_TENANT_ID");
    if (a->status == 401 || a->status == 403)
        FAIL(&c->err, ST_UNAUTHENTICATED,
            "the server at %.*s lets nobody in without the right credentials (%.*s): give --token, "
            "or --username and --password",
            STR_ARG(url), STR_ARG(words));
    if (!code.p && (a->status == 404 || a->status == 405 || a->status / 100 == 3))
        FAIL(&c->err, ST_UNIMPLEMENTED,
            "what answers at %.*s is not Everflame (HTTP status %d): check --url", STR_ARG(url),
            a->status);
    if (a->status == 429 || a->status == 503)
        FAIL(&c->err, ST_RESOURCE_EXHAUSTED, "the server is at a limit: %.*s", STR_ARG(words));
    FAIL(&c->err, ST_UNKNOWN, "the server refused (HTTP status %d): %.*s", a->status,
        STR_ARG(words));
}

static enum status post(struct cli *c, const char *method, const char *type,
    void (*encode)(const struct msg_desc *, const void *, struct buf *),
    const struct msg_desc *rq_desc, const void *rq, struct http_answer *ret_answer)
{
    struct buf body;
    struct str path = arena_printf(&c->arena, PATH "%s", method);
    char *path_z = path.p ? arena_cstr(&c->arena, path) : NULL;
    if (!path_z)
        return cli_no_memory(c);
    buf_init(&body, REQUEST_BYTES_MAX);
    encode(rq_desc, rq, &body);
    enum status st = body.failed ? cli_misuse(c, "the selector is too long")
                                 : http_send(c->http, path_z, type, buf_view(&body), &c->arena,
                                       ret_answer, &c->err);
    buf_done(&body);
    return st;
}

enum status client_try_json(struct cli *c, const char *method, const struct msg_desc *rq_desc,
    const void *rq, const struct msg_desc *rs_desc, void **ret_rs)
{
    struct http_answer a;
    struct error ignored = {0};
    *ret_rs = NULL;
    TRY(post(c, method, "application/json", msg_encode_json, rq_desc, rq, &a));
    if (a.status != 200)
        return ST_OK;
    enum status st = msg_decode_json(rs_desc, a.body, &c->arena, ret_rs, &ignored);
    return st == ST_RESOURCE_EXHAUSTED ? cli_no_memory(c) : ST_OK;
}

enum status client_ask(struct cli *c, const char *method, const struct msg_desc *rq_desc,
    const void *rq, const struct msg_desc *rs_desc, void **ret_rs, struct str *ret_raw)
{
    struct http_answer a;
    TRY(post(c, method, "application/proto", msg_encode_proto, rq_desc, rq, &a));
    if (a.status != 200)
        return client_refused(c, &a);
    enum status st = msg_decode_proto(rs_desc, a.body, &c->arena, ret_rs, &c->err);
    if (st == ST_RESOURCE_EXHAUSTED)
        return cli_no_memory(c);
    if (st != ST_OK) {
        struct str url = http_url(c->http);
        FAIL(&c->err, st,
            "what answers at %.*s is not Everflame (its answer is no %s): check "
            "--url",
            STR_ARG(url), rs_desc->name);
    }
    if (ret_raw)
        *ret_raw = a.body;
    return ST_OK;
}

enum status client_label_values(struct cli *c, struct str name, struct str selector,
    struct time_range r, struct m_names_response **ret_names)
{
    struct m_label_values_request rq = {
        .name = name, .start = r.from_ns / NS_PER_MS, .end = r.until_ns / NS_PER_MS};
    void *rs;
    rq.matchers.v = &selector;
    rq.matchers.n = 1;
    TRY(client_ask(
        c, "LabelValues", &m_label_values_request_desc, &rq, &m_names_response_desc, &rs, NULL));
    *ret_names = rs;
    return ST_OK;
}
