/* net/connect, net/accept, net/media_type: headers, limits and answers, with an HTTP server that
 * only keeps the last reply. */
#include "test.h"

#include "base/clock.h"
#include "codec/gzip.h"
#include "codec/messages.h"
#include "net/accept.h"
#include "net/connect.h"
#include "net/media_type.h"

/* ── the HTTP server ── */

static struct {
    int n, status;
    struct str content_type;
    struct http_header headers[8];
    uint32_t n_headers;
    enum http_gzip gzip;
    struct buf body;
} last;

struct str http_header_get(const struct http_request *rq, struct str name)
{
    for (uint32_t i = 0; i < rq->n_headers; i++) {
        if (str_eq_nocase(rq->headers[i].name, name))
            return rq->headers[i].value;
    }
    return (struct str){NULL, 0};
}

void http_reply(struct http_request *rq, struct http_response *rs)
{
    (void)rq;
    last.n++;
    last.status = rs->status;
    last.content_type = rs->content_type;
    last.gzip = rs->gzip;
    assert_true(rs->n_more_headers <= ARRAY_LEN(last.headers));
    last.n_headers = rs->n_more_headers;
    for (uint32_t i = 0; i < rs->n_more_headers; i++)
        last.headers[i] = rs->more_headers[i];
    assert_false(rs->body.failed);
    buf_done(&last.body);
    last.body = rs->body;
    rs->body = (struct buf){0};
}

static struct str reply_header(struct str name)
{
    for (uint32_t i = 0; i < last.n_headers; i++) {
        if (str_eq(last.headers[i].name, name))
            return last.headers[i].value;
    }
    return STR_EMPTY;
}

/* ── the method ── */

static struct {
    int n;
    struct m_label_names_request rq;
    struct connect_call call;
} seen;

static enum { ANSWER_OK, ANSWER_ERROR, ANSWER_BARE_ERROR } answer;

static void label_names(struct connect_call *call, const void *request, void *ctx)
{
    assert_ptr_equal(ctx, &seen);
    const struct m_label_names_request *rq = request;
    seen.n++;
    seen.rq = *rq;
    seen.call = *call;
    if (answer == ANSWER_OK) {
        struct str names[] = {STR("service_name")};
        struct m_names_response rs = {.names = {names, rq->start != 0, 1}};
        connect_reply(call, &rs);
        return;
    }
    struct error err;
    error_set(&err, ST_NOT_FOUND, __FILE__, __LINE__, "%s",
        answer == ANSWER_ERROR ? "no \"such\" \xff thing" : "");
    connect_fail(call, &err);
}

static struct connect_method method = {.path = "/querier.v1.QuerierService/LabelNames",
    .name = "querier_v1_querierservice_labelnames",
    .request = &m_label_names_request_desc,
    .response = &m_names_response_desc,
    .fn = label_names,
    .ctx = &seen};

/* ── requests ── */

enum { HEADERS_MAX = 8 };

static struct http_request request;
static struct http_header headers[HEADERS_MAX];

static int setup(void **state)
{
    (void)state;
    request = (struct http_request){.method = HTTP_M_POST, .headers = headers};
    request.start_mono_ns = clock_mono_ns();
    arena_init(&request.arena, 16 * MIB);
    last.n = 0;
    seen.n = 0;
    answer = ANSWER_OK;
    method.message_bytes_max = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&request.arena);
    buf_done(&last.body);
    return 0;
}

static void header(const char *name, const char *value)
{
    assert_true(request.n_headers < HEADERS_MAX);
    headers[request.n_headers++] = (struct http_header){str_from(name), str_from(value)};
}

static void send_request(struct str body)
{
    request.body = body;
    last.n = 0;
    connect_handle(&request, &method);
    assert_int_equal(last.n, 1);
}

static void assert_body(struct str want)
{
    struct str got = buf_view(&last.body);
    if (!str_eq(got, want))
        fail_msg("got %.*s, not %.*s", STR_ARG(got), STR_ARG(want));
}

/* Sends and expects an error of that status, code and message. */
static void refused(struct str body, int status, const char *code, const char *message)
{
    char want[512];
    send_request(body);
    assert_int_equal(seen.n, 0);
    assert_int_equal(last.status, status);
    assert_true(str_eq(last.content_type, STR("application/json")));
    assert_int_equal(last.gzip, HTTP_GZIP_NEVER);
    snprintf(want, sizeof want, "{\"code\":\"%s\",\"message\":\"%s\"}", code, message);
    assert_body(str_from(want));
}

/* ── tests ── */

static void test_json(void **state)
{
    (void)state;
    header("content-type", "application/json");
    send_request(STR("{\"start\":\"5\",\"end\":6}"));
    assert_int_equal(last.status, 200);
    assert_true(str_eq(last.content_type, STR("application/json")));
    assert_true(str_eq(reply_header(STR("Accept-Encoding")), STR("gzip")));
    assert_int_equal(last.gzip, HTTP_GZIP_NEVER);
    assert_body(STR("{\"names\":[\"service_name\"]}"));
    assert_int_equal(seen.rq.start, 5);
    assert_int_equal(seen.rq.end, 6);
    assert_int_equal(seen.call.deadline_mono_ns, 0);
    assert_ptr_equal(seen.call.arena, &request.arena);
    send_request(STR("{}"));
    assert_body(STR("{}"));
}

static void test_proto(void **state)
{
    (void)state;
    header("Content-Type", "application/proto");
    header("Connect-Protocol-Version", "1");
    header("Content-Encoding", "identity");
    send_request(STR("\x10\x05"));
    assert_int_equal(last.status, 200);
    assert_true(str_eq(last.content_type, STR("application/proto")));
    assert_body(STR("\x0a\x0cservice_name"));
    send_request(STR_EMPTY);
    assert_int_equal(last.status, 200);
    assert_body(STR_EMPTY);
    assert_int_equal(seen.n, 2);
}

static void test_content_types(void **state)
{
    (void)state;
    static const char *const good[] = {"application/json; charset=utf-8",
        "application/json;charset=UTF-8", "Application/JSON", "application/json;",
        "application/json; charset=\"utf-8\""};
    static const char *const bad[] = {"text/plain", "", "application/json; charset=latin1",
        "application/json; x=y", "application/json; charset=utf-8; x=y",
        "application/proto; charset=utf-8", "application/connect+json", "application/grpcx",
        "application/jsonp", "application/json, text/plain", "/", ";"};
    request.n_headers = 1;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        headers[0] = (struct http_header){STR("Content-Type"), str_from(good[i])};
        send_request(STR("{}"));
        assert_int_equal(last.status, 200);
    }
    for (size_t i = 0; i <= ARRAY_LEN(bad); i++) {
        if (i < ARRAY_LEN(bad))
            headers[0].value = str_from(bad[i]);
        else
            request.n_headers = 0;
        send_request(STR("{}"));
        assert_int_equal(last.status, 415);
        assert_body(STR_EMPTY);
        assert_true(str_eq(reply_header(STR("Accept-Post")),
            STR("application/grpc, application/grpc+json, application/grpc+proto, "
                "application/grpc-web, application/grpc-web+json, application/grpc-web+proto, "
                "application/json, application/json; charset=utf-8, application/proto")));
    }
    assert_int_equal(seen.n, ARRAY_LEN(good));
}

static void test_headers_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        int status;
        const char *code, *message;
    } rows[] = {
        {"Content-Encoding", "br", 501, "unimplemented",
            "unknown compression \\\"br\\\": supported encodings are gzip"},
        {"Connect-Protocol-Version", "2", 400, "invalid_argument",
            "Connect-Protocol-Version must be \\\"1\\\": got \\\"2\\\""},
        {"Connect-Timeout-Ms", "12345678901", 400, "invalid_argument",
            "parse timeout: \\\"12345678901\\\" has >10 digits"},
        {"Connect-Timeout-Ms", "x", 400, "invalid_argument",
            "parse timeout: \\\"x\\\" is not a number of milliseconds"},
        {"Connect-Timeout-Ms", "-1", 400, "invalid_argument",
            "parse timeout: \\\"-1\\\" is not a number of milliseconds"},
        {"Connect-Timeout-Ms", "0", 504, "deadline_exceeded", "deadline exceeded"},
    };
    header("Content-Type", "application/json");
    header("Accept-Encoding", "gzip");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        request.n_headers = 2;
        header(rows[i].name, rows[i].value);
        refused(STR("{}"), rows[i].status, rows[i].code, rows[i].message);
    }
}

static void test_timeout(void **state)
{
    (void)state;
    header("Content-Type", "application/json");
    header("Connect-Timeout-Ms", "9999999999");
    send_request(STR("{}"));
    assert_int_equal(last.status, 200);
    assert_true(seen.call.deadline_mono_ns == request.start_mono_ns + 9999999999 * NS_PER_MS);
    /* the time in the queue counts */
    seen.n = 0;
    request.start_mono_ns -= 3 * NS_PER_S;
    headers[1].value = STR("2000");
    refused(STR("{}"), 504, "deadline_exceeded", "deadline exceeded");
    /* an empty header is none */
    headers[1].value = STR("");
    send_request(STR("{}"));
    assert_int_equal(last.status, 200);
    assert_int_equal(seen.call.deadline_mono_ns, 0);
}

static void test_gzip_reply(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        enum http_gzip want;
    } rows[] = {{"gzip", HTTP_GZIP_ALWAYS}, {"br,gzip", HTTP_GZIP_ALWAYS},
        {"deflate, gzip, br", HTTP_GZIP_ALWAYS}, {"gzip;q=1.0", HTTP_GZIP_NEVER},
        {"xgzip", HTTP_GZIP_NEVER}, {"", HTTP_GZIP_NEVER}, {"identity", HTTP_GZIP_NEVER}};
    header("Content-Type", "application/proto");
    header("Accept-Encoding", "");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        headers[1].value = str_from(rows[i].value);
        send_request(STR_EMPTY);
        assert_int_equal(last.gzip, rows[i].want);
    }
}

static struct str packed(struct str in)
{
    struct buf b;
    buf_init(&b, 1 * MIB);
    assert_int_equal(gzip_deflate(in, 6, &b, NULL), ST_OK);
    struct str out = arena_str(&request.arena, buf_view(&b));
    buf_done(&b);
    return out;
}

static void test_gzip_request(void **state)
{
    (void)state;
    header("Content-Type", "application/json");
    header("Content-Encoding", "gzip");
    send_request(packed(STR("{\"start\":7}")));
    assert_int_equal(last.status, 200);
    assert_int_equal(seen.rq.start, 7);
    assert_int_equal(last.gzip, HTTP_GZIP_ALWAYS); /* though Accept-Encoding is missing */
    seen.n = 0;
    refused(STR("{}"), 400, "invalid_argument", "get decompressor: gzip: invalid header");
    struct str cut = packed(STR("{\"start\":7,\"end\":8,\"matchers\":[\"{}\"]}"));
    cut.n -= 12;
    send_request(cut);
    assert_int_equal(last.status, 400);
    assert_true(str_starts(
        buf_view(&last.body), STR("{\"code\":\"invalid_argument\",\"message\":\"decompress: ")));
    headers[0].value = STR("application/proto");
    send_request(STR_EMPTY); /* nothing to unpack */
    assert_int_equal(last.status, 200);
}

static void test_limits(void **state)
{
    (void)state;
    method.message_bytes_max = 40;
    header("Content-Type", "application/json");
    char body[41];
    memset(body, ' ', sizeof body);
    memcpy(body, "{}", 2);
    send_request(str_make(body, 40));
    assert_int_equal(last.status, 200);
    seen.n = 0;
    refused(str_make(body, 41), 429, "resource_exhausted",
        "message size 41 is larger than configured max 40");
    header("Content-Encoding", "gzip");
    struct str small = packed(str_make(body, 41));
    assert_true(small.n <= 40);
    refused(small, 429, "resource_exhausted", "message size is larger than configured max 40");
    send_request(packed(str_make(body, 40)));
    assert_int_equal(last.status, 200);
    last.n = 0;
    connect_too_large(&request, 300, 200);
    assert_int_equal(last.n, 1);
    assert_int_equal(last.status, 429);
    assert_body(
        STR("{\"code\":\"resource_exhausted\",\"message\":\"message size 300 is larger than "
            "configured max 200\"}"));
}

static void test_small_arena(void **state)
{
    (void)state;
    header("Content-Type", "application/json");
    struct str body = STR("{\"matchers\":[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\"]}");
    int refusals = 0;
    for (size_t limit = 0; limit < 1024; limit += 16) {
        arena_done(&request.arena);
        arena_init(&request.arena, limit);
        send_request(body);
        assert_true(last.status == 200 || last.status == 429);
        refusals += last.status == 429;
    }
    assert_int_equal(last.status, 200);
    assert_true(refusals > 5);
}

static void test_bad_messages(void **state)
{
    (void)state;
    header("Content-Type", "application/json");
    refused(STR_EMPTY, 400, "invalid_argument",
        "unmarshal message: zero-length payload is not a valid JSON object");
    refused(STR("[]"), 400, "invalid_argument",
        "unmarshal message: proto: syntax error (line 1:1): unexpected token [");
    refused(STR("{\"start\": 1.5}"), 400, "invalid_argument",
        "unmarshal message: proto: (line 1:11): invalid value for int64 field start: 1.5");
    headers[0].value = STR("application/proto");
    refused(STR("\x10"), 400, "invalid_argument",
        "unmarshal message: unexpected EOF or malformed integer");
}

static void test_fail(void **state)
{
    (void)state;
    header("Content-Type", "application/proto");
    header("Accept-Encoding", "gzip");
    answer = ANSWER_ERROR;
    send_request(STR_EMPTY);
    assert_int_equal(last.status, 404);
    assert_int_equal(last.gzip, HTTP_GZIP_NEVER);
    assert_true(str_eq(last.content_type, STR("application/json")));
    assert_body(STR("{\"code\":\"not_found\",\"message\":\"no \\\"such\\\" \xef\xbf\xbd thing\"}"));
    answer = ANSWER_BARE_ERROR;
    send_request(STR_EMPTY);
    assert_body(STR("{\"code\":\"not_found\"}"));
}

static void test_media_types(void **state)
{
    (void)state;
    struct media_type t;
    struct error err;
    assert_int_equal(media_type_parse(STR("text/html ; a=b;C=\"d;\\\"e\" ;"), &t, &err), ST_OK);
    assert_true(str_eq(t.name, STR("text/html")));
    assert_int_equal(t.n, 2);
    assert_true(str_eq(t.params[1].name, STR("C")));
    assert_true(str_eq(t.params[1].value, STR("d;\\\"e")));
    assert_int_equal(media_type_parse(STR("form-data; a=b; A=b"), &t, &err), ST_OK);
    assert_int_equal(t.n, 1);
    static const struct {
        const char *text, *want;
    } bad[] = {{"", "mime: no media type"}, {"/x", "mime: no media type"},
        {"; a=b", "mime: no media type"}, {"a b", "mime: expected slash after first token"},
        {"a/", "mime: expected token after slash"},
        {"a/b c", "mime: unexpected content after media subtype"},
        {"a/b;;", "mime: invalid media parameter"}, {"a/b;c", "mime: invalid media parameter"},
        {"a/b;c=", "mime: invalid media parameter"}, {"a/b;=c", "mime: invalid media parameter"},
        {"a/b;c=\"d", "mime: invalid media parameter"},
        {"a/b;c=\"d\\\"", "mime: invalid media parameter"},
        {"a/b;c=d e", "mime: invalid media parameter"},
        {"a/b;c=d;C=e", "mime: duplicate parameter name"}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(media_type_parse(str_from(bad[i].text), &t, &err), ST_INVALID_ARGUMENT);
        assert_string_equal(err.msg, bad[i].want);
    }
    struct str many = STR("a/b;a=1;b=1;c=1;d=1;e=1;f=1;g=1;h=1;i=1;j=1;k=1;l=1;m=1;n=1;o=1;p=1"
                          ";q=1");
    assert_int_equal(media_type_parse(many, &t, &err), ST_INVALID_ARGUMENT);
    many.n -= 4;
    assert_int_equal(media_type_parse(many, &t, &err), ST_OK);
}

static void test_accept(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool utf8;
    } good[] = {{"*/*;allow-utf8-labelnames=true", true}, {"*/*; Allow-UTF8-LabelNames=true", true},
        {"text/html;q=0.9, application/json; allow-utf8-labelnames=true", true},
        {"*/*; allow-utf8-labelnames=\"true\"", true}, {"*/*; allow-utf8-labelnames=True", false},
        {"*/*; allow-utf8-labelnames=1", false}, {"text/html,*/*;q=0.8", false}, {"", false},
        {"a/b,,c/d", false}};
    struct error err;
    bool utf8 = true;
    assert_int_equal(connect_accept_check(&request, &utf8, &err), ST_OK);
    assert_false(utf8);
    request.n_headers = 1;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        headers[0] = (struct http_header){STR("accept"), str_from(good[i].value)};
        assert_int_equal(connect_accept_check(&request, &utf8, &err), ST_OK);
        assert_int_equal(utf8, good[i].utf8);
    }
    header("Accept", "*/*;allow-utf8-labelnames=true");
    assert_int_equal(connect_accept_check(&request, &utf8, &err), ST_OK);
    assert_true(utf8);
    header("Accept", "nonsense;;=,");
    assert_int_equal(connect_accept_check(&request, &utf8, &err), ST_INVALID_ARGUMENT);
    assert_string_equal(err.msg, "Invalid header format: mime: invalid media parameter");
    assert_true(utf8);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_json),
        T(test_proto),
        T(test_content_types),
        T(test_headers_refused),
        T(test_timeout),
        T(test_gzip_reply),
        T(test_gzip_request),
        T(test_limits),
        T(test_small_arena),
        T(test_bad_messages),
        T(test_fail),
        T(test_media_types),
        T(test_accept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
