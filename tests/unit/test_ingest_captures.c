/* ingest: what real clients sent, through the whole path. Every recorded upload is taken, and of
 * every pprof the sums per sample type are those that an independent reader (the recorder) wrote
 * into the manifest: nothing is lost or counted twice between the body and the rows. */
#include "test.h"

#include "ingest_fixture.h"

#include "base/varint.h"
#include "codec/gzip.h"
#include "codec/json.h"

#define CAPTURES "tests/conformance/captures/"

enum { NOTE_WHOLE_MAX = 1500 }; /* the recorder cut longer ones */

static uint32_t checked_profiles;

struct capture {
    int64_t at_ns;
    struct str path, query, body_name, note, content_type, content_encoding;
    struct str body;
};

static struct str read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("cannot open %s", path);
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    assert_true(n >= 0);
    rewind(f);
    char *p = arena_alloc(&test_arena, (size_t)n + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, (size_t)n, f), (size_t)n);
    fclose(f);
    return str_make(p, (size_t)n);
}

/* Percent-decoded form value. */
static struct str unescape(struct str s)
{
    char *p = arena_alloc(&test_arena, s.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned byte;
        if (s.p[i] == '%' && i + 2 < s.n && sscanf(s.p + i + 1, "%2x", &byte) == 1) {
            p[n++] = (char)byte;
            i += 2;
        } else {
            p[n++] = s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    return str_make(p, n);
}

static struct str param(struct str query, const char *name)
{
    struct str_split it = {query, false};
    struct str piece;
    while (str_split_next(&it, '&', &piece)) {
        size_t eq = str_find_char(piece, '=');
        if (eq != STR_NPOS && str_eq(str_head(piece, eq), str_from(name)))
            return unescape(str_skip(piece, eq + 1));
    }
    return (struct str){NULL, 0};
}

static void read_header(struct json_reader *r, struct capture *c)
{
    enum json_token t;
    assert_int_equal(json_next(r, &t, NULL), ST_OK);
    struct str name = r->text;
    assert_int_equal(json_next(r, &t, NULL), ST_OK);
    struct str value = r->text;
    assert_int_equal(json_next(r, &t, NULL), ST_OK);
    assert_int_equal(t, JSON_ARRAY_END);
    if (str_eq_nocase(name, STR("content-type")))
        c->content_type = value;
    if (str_eq_nocase(name, STR("content-encoding")))
        c->content_encoding = value;
}

static void read_member(struct json_reader *r, struct capture *c)
{
    enum json_token t;
    struct str key = r->text;
    assert_int_equal(json_next(r, &t, NULL), ST_OK);
    if (str_eq(key, STR("at_ns"))) {
        assert_true(json_to_i64(r->text, &c->at_ns));
    } else if (str_eq(key, STR("target"))) {
        size_t q = str_find_char(r->text, '?');
        c->path = q == STR_NPOS ? r->text : str_head(r->text, q);
        c->query = q == STR_NPOS ? STR_EMPTY : str_skip(r->text, q + 1);
    } else if (str_eq(key, STR("body"))) {
        c->body_name = r->text;
    } else if (str_eq(key, STR("note"))) {
        c->note = r->text;
    } else if (str_eq(key, STR("headers"))) {
        assert_int_equal(t, JSON_ARRAY);
        while (json_next(r, &t, NULL) == ST_OK && t == JSON_ARRAY)
            read_header(r, c);
        assert_int_equal(t, JSON_ARRAY_END);
    }
}

static struct capture read_capture(const char *client, struct str line)
{
    struct capture c = {.content_type = STR_EMPTY, .content_encoding = STR_EMPTY};
    struct json_reader r;
    enum json_token t;
    json_start(&r, line, &test_arena);
    assert_int_equal(json_next(&r, &t, NULL), ST_OK);
    while (json_next(&r, &t, NULL) == ST_OK && t == JSON_NAME)
        read_member(&r, &c);
    assert_int_equal(t, JSON_OBJECT_END);
    char path[256];
    snprintf(path, sizeof path, CAPTURES "%s/%.*s", client, STR_ARG(c.body_name));
    c.body = read_file(path);
    return c;
}

static void send_push(const struct capture *c)
{
    struct str body = c->body;
    struct error err;
    void *msg;
    if (str_eq(c->content_encoding, STR("gzip")))
        assert_int_equal(gzip_inflate(body, 64 * MIB, &test_arena, &body, &err), ST_OK);
    if (str_starts(c->content_type, STR("application/grpc"))) { /* flag, length, message */
        assert_true(body.n >= 5 && (body.p[0] == 0 || body.p[0] == 1));
        bool gzip = body.p[0] == 1;
        uint32_t n = __builtin_bswap32(load_u32le(body.p + 1));
        body = str_head(str_skip(body, 5), n);
        if (gzip)
            assert_int_equal(gzip_inflate(body, 64 * MIB, &test_arena, &body, &err), ST_OK);
    }
    bool json = str_starts(c->content_type, STR("application/json"));
    enum status st = json ? msg_decode_json(&m_push_request_desc, body, &test_arena, &msg, &err)
                          : msg_decode_proto(&m_push_request_desc, body, &test_arena, &msg, &err);
    if (st != ST_OK)
        fail_msg("%.*s: %s", STR_ARG(c->body_name), err.msg);
    struct ingest_push p = {STR("t"), msg, &test_arena, c->at_ns};
    ingest_push(test_ingest, &p, outcome_set, &outcome);
}

static void send_upload(const struct capture *c)
{
    struct ingest_upload up = {.tenant = STR("t"),
        .name = param(c->query, "name"),
        .from = param(c->query, "from"),
        .until = param(c->query, "until"),
        .sample_rate = param(c->query, "sampleRate"),
        .spy_name = param(c->query, "spyName"),
        .format = param(c->query, "format"),
        .content_type = c->content_type,
        .body = c->body,
        .arena = &test_arena,
        .now_ns = c->at_ns};
    ingest_upload(test_ingest, &up, outcome_set, &outcome);
}

/* The next "sums=[1, 2]" of the note; its numbers. */
static bool next_sums(struct str *note, int64_t sums[16], uint32_t *ret_n)
{
    size_t at = str_find(*note, STR("sums=["));
    if (at == STR_NPOS)
        return false;
    *note = str_skip(*note, at + 6);
    size_t end = str_find_char(*note, ']');
    assert_true(end != STR_NPOS);
    struct str_split it = {str_head(*note, end), false};
    struct str piece;
    for (*ret_n = 0; str_split_next(&it, ',', &piece); (*ret_n)++) {
        assert_true(*ret_n < 16);
        assert_true(str_to_i64(str_trim(piece), &sums[*ret_n]));
    }
    return true;
}

/* A profile whose sums are all 0 has no rows and does not show. Long notes end early: then there
 * are more profiles than sums. */
static void check_sums(const char *client, const struct capture *c)
{
    struct str note = c->note;
    int64_t sums[16];
    uint32_t n, profile = 0, seen = 0;
    for (; next_sums(&note, sums, &n); seen++) {
        bool any = false;
        for (uint32_t k = 0; k < n; k++)
            any = any || sums[k] != 0;
        if (!any)
            continue;
        assert_true(profile < fake.n_profiles);
        assert_int_equal(fake.profiles[profile]->n_types, n);
        for (uint32_t k = 0; k < n; k++)
            if (fake.totals[profile][k] != sums[k])
                fail_msg("%s %.*s, profile %u, type %u: %" PRId64 ", expected %" PRId64, client,
                    STR_ARG(c->body_name), profile, k, fake.totals[profile][k], sums[k]);
        profile++;
    }
    checked_profiles += profile;
    if (seen > 0 && c->note.n < NOTE_WHOLE_MAX)
        assert_int_equal(profile, fake.n_profiles);
}

static void replay(const char *client, struct str line)
{
    memset(&outcome, 0, sizeof outcome);
    fake_reset();
    struct capture c = read_capture(client, line);
    if (str_starts(c.path, STR("/push.v1.PusherService/")))
        send_push(&c);
    else
        send_upload(&c);
    assert_int_equal(outcome.calls, 1);
    if (outcome.st != ST_OK)
        fail_msg("%s %.*s: %s", client, STR_ARG(c.body_name), outcome.msg);
    bool jfr = str_eq(param(c.query, "format"), STR("jfr"));
    if (jfr)
        assert_true(fake.n_rows > 0);
    check_sums(client, &c);
}

static void replay_client(const char *client)
{
    char path[256];
    snprintf(path, sizeof path, CAPTURES "%s/manifest.jsonl", client);
    for (uint32_t at = 0;; at++) {
        arena_reset(&test_arena);
        struct str_split it = {read_file(path), false};
        struct str line = STR_EMPTY;
        for (uint32_t i = 0; i <= at; i++)
            if (!str_split_next(&it, '\n', &line))
                return;
        if (line.n)
            replay(client, line);
    }
}

static void test_captures(void **state)
{
    (void)state;
    static const char *const clients[] = {"go-auth", "go-legacy", "go-sdk", "ingest-curl",
        "java-auth", "java-collapsed", "java-ctimer", "java-extra", "java-legacy", "java-live",
        "java-rfc", "java-sampling", "java-spring", "java-wall", "node", "node-legacy", "push-go",
        "python", "python-legacy", "python-mem", "python-wall", "rust", "rust-mem"};
    for (size_t i = 0; i < ARRAY_LEN(clients); i++)
        replay_client(clients[i]);
    assert_int_equal(checked_profiles, 155); /* the manifests have not become unreadable */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(test_captures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
