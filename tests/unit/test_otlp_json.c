/* codec/otlp_json: JSON to protobuf, and its tables against the texts in proto/opentelemetry. */
#include "test.h"

#include "base/fs.h"
#include "codec/otlp.h"
#include "codec/otlp_json_int.h"

#include "otlp_make.h"

static struct arena arena;
static struct error err;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 64 * MIB);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

#define TEST_OF(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

static struct str convert(const char *json)
{
    struct str message;
    if (otlp_from_json(str_from(json), &arena, &message, &err) != ST_OK)
        fail_msg("%s: %s", json, err.msg);
    return message;
}

static void expect_same(const char *a, const char *b)
{
    struct str x = convert(a), y = convert(b);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.p, y.p, x.n);
}

static void expect_failure(const char *json, const char *text)
{
    struct str message;
    assert_int_equal(otlp_from_json(str_from(json), &arena, &message, &err), ST_INVALID_ARGUMENT);
    assert_string_equal(err.msg, text);
}

/* ── values ── */

static void test_bytes(void **state)
{
    (void)state;
    struct buf want = om_buf(), dict = om_buf(), stack = om_buf(), packed = om_buf();
    buf_uvarint(&packed, 1);
    buf_uvarint(&packed, 300);
    buf_uvarint(&packed, (uint64_t)-1);
    om_sub(&stack, 1, &packed);
    om_bytes(&dict, 5, STR(""));
    om_bytes(&dict, 5, STR("x\xc3\xa9"));
    om_sub(&dict, 7, &stack);
    om_sub(&want, 2, &dict);
    struct str got = convert("{\"dictionary\":{\"stringTable\":[\"\",\"x\\u00e9\"],"
                             "\"stackTable\":[{\"locationIndices\":[1,\"300\",-1.0]}]}}");
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.p, want.p, want.n);
    buf_done(&want);
}

/* Lengths of one, two, three and four bytes, nested. */
static void test_lengths(void **state)
{
    (void)state;
    for (size_t n = 1; n < 3000000; n *= 5) {
        struct buf json = om_buf(), want = om_buf(), dict = om_buf();
        char *text = arena_alloc(&arena, n);
        assert_non_null(text);
        memset(text, 'a', n);
        buf_printf(&json, "{\"dictionary\":{\"stringTable\":[\"");
        buf_add(&json, text, n);
        buf_printf(&json, "\"]}}");
        om_bytes(&dict, 5, str_make(text, n));
        om_sub(&want, 2, &dict);
        struct str got;
        assert_int_equal(otlp_from_json(buf_view(&json), &arena, &got, &err), ST_OK);
        assert_int_equal(got.n, want.n);
        assert_memory_equal(got.p, want.p, want.n);
        buf_done(&json);
        buf_done(&want);
    }
}

#define LINK(trace, span) \
    "{\"dictionary\":{\"linkTable\":[{\"traceId\":\"" trace "\",\"spanId\":\"" span "\"}]}}"

static void test_ids(void **state)
{
    (void)state;
    expect_same(LINK("0102030405060708090a0b0c0d0e0f10", "a1b2c3d4e5f60718"),
        LINK("AQIDBAUGBwgJCgsMDQ4PEA==", "obLD1OX2Bxg="));
    expect_same(LINK("0102030405060708090A0B0C0D0E0F10", "A1B2C3D4E5F60718"),
        LINK("AQIDBAUGBwgJCgsMDQ4PEA", "obLD1OX2Bxg"));
    expect_same(LINK("", ""), LINK("", ""));
    expect_failure(
        LINK("0102", "%%"), "proto: (line 1:56): invalid value for field span_id: \"%%\"");
    /* Other bytes are base64, also when they look like digits. */
    expect_same("{\"resourceProfiles\":[{\"resource\":{\"attributes\":[{\"value\":{\"bytesValue\":"
                "\"abcdabcdabcdabcd\"}}]}}]}",
        "{\"resourceProfiles\":[{\"resource\":{\"attributes\":[{\"value\":{\"bytes_value\":"
        "\"abcdabcdabcdabcd\"}}]}}]}");
}

#define PROFILE(members) \
    "{\"resourceProfiles\":[{\"scopeProfiles\":[{\"profiles\":[{" members "}]}]}]}"

static void test_spellings(void **state)
{
    (void)state;
    expect_same(PROFILE("\"timeUnixNano\":\"1795382100000000000\",\"durationNano\":5"),
        "{\"resource_profiles\":[{\"scope_profiles\":[{\"profiles\":[{"
        "\"time_unix_nano\":1795382100000000000,\"duration_nano\":\"5\"}]}]}]}");
    expect_same(PROFILE("\"period\":\"-3\""), PROFILE("\"period\":-3"));
    expect_same(PROFILE("\"period\":1e3"), PROFILE("\"period\":\"1000\""));
}

static void test_left_out(void **state)
{
    (void)state;
    expect_same(PROFILE("\"period\":1"),
        PROFILE("\"period\":1,\"sampleType\":null,\"unknown\":{\"a\":[1,{\"b\":null}]},"
                "\"other\":[[]]"));
}

static void test_failures(void **state)
{
    (void)state;
    expect_failure("", "proto: unexpected EOF");
    expect_failure("[]", "proto: syntax error (line 1:1): unexpected token [");
    expect_failure("{} x", "proto: syntax error (line 1:4): unexpected token x");
    expect_failure("{\"dictionary\":[]}", "proto: syntax error (line 1:15): unexpected token [");
    expect_failure("{\"dictionary\":{\"stackTable\":[null]}}",
        "proto: syntax error (line 1:30): unexpected token null");
    expect_failure("{\"dictionary\":{},\"dictionary\":{}}",
        "proto: (line 1:18): duplicate field \"dictionary\"");
    expect_failure(
        PROFILE("\"period\":1,\"period\":1"), "proto: (line 1:65): duplicate field \"period\"");
    expect_failure("{\"dictionary\":{\"stackTable\":[{\"locationIndices\":[2147483648]}]}}",
        "proto: (line 1:50): invalid value for field location_indices: 2147483648");
    expect_failure("{\"dictionary\":{\"stringTable\":[1]}}",
        "proto: (line 1:31): invalid value for field string_table: 1");
    expect_failure("{\"dictionary\":{\"locationTable\":[{\"address\":-1}]}}",
        "proto: (line 1:44): invalid value for field address: -1");
}

static void test_doubles(void **state)
{
    (void)state;
#define VALUE(v) \
    "{\"resourceProfiles\":[{\"resource\":{\"attributes\":[{\"key\":\"k\",\"value\":{" v "}}]}}]}"
    expect_same(VALUE("\"doubleValue\":1.5"), VALUE("\"doubleValue\":\"1.5\""));
    convert(VALUE("\"doubleValue\":\"NaN\""));
    expect_same(VALUE("\"boolValue\":true"), VALUE("\"bool_value\":true"));
    struct str message;
    assert_int_not_equal(
        otlp_from_json(STR(VALUE("\"doubleValue\":\"x\"")), &arena, &message, &err), ST_OK);
    assert_int_not_equal(
        otlp_from_json(STR(VALUE("\"boolValue\":1")), &arena, &message, &err), ST_OK);
}

static void test_depth(void **state)
{
    (void)state;
    for (unsigned depth = 1; depth < 40; depth += 38) {
        struct buf json = om_buf();
        buf_printf(&json, "{\"resourceProfiles\":[{\"resource\":{\"attributes\":[{\"value\":{");
        for (unsigned i = 0; i < depth; i++)
            buf_printf(&json, "\"arrayValue\":{\"values\":[{");
        for (unsigned i = 0; i < depth; i++)
            buf_printf(&json, "}]}");
        buf_printf(&json, "}}]}}]}");
        struct str message;
        enum status st = otlp_from_json(buf_view(&json), &arena, &message, &err);
        assert_int_equal(st, depth == 1 ? ST_OK : ST_INVALID_ARGUMENT);
        if (depth > 1)
            assert_string_equal(err.msg, "proto: exceeded max recursion depth");
        buf_done(&json);
    }
}

/* ── the tables ── */

enum { MESSAGES_MAX = 64 };

static const struct otlp_json_message *messages[MESSAGES_MAX];
static uint32_t n_messages, n_seen;

static void collect(const struct otlp_json_message *m)
{
    for (uint32_t i = 0; i < n_messages; i++)
        if (messages[i] == m)
            return;
    assert_true(n_messages < MESSAGES_MAX && m->n_fields <= 32);
    messages[n_messages++] = m;
    for (uint32_t i = 0; i < m->n_fields; i++)
        if (m->fields[i].sub)
            collect(m->fields[i].sub);
}

static void check_json_name(const struct otlp_json_field *f)
{
    char want[80];
    size_t n = 0;
    bool upper = false;
    for (const char *p = f->name; *p; p++) {
        if (*p != '_')
            want[n++] = upper ? (char)(*p - 'a' + 'A') : *p;
        upper = *p == '_';
    }
    want[n] = 0;
    assert_string_equal(f->json, want);
}

/* "repeated TYPE name = number;" against the row of that name. */
static void check_field(const struct otlp_json_message *m, const char *package, char *line)
{
    static const char *const scalars[] = {
        "int32", "int64", "uint32", "uint64", "fixed64", "bool", "double", "string", "bytes"};
    char type[100], name[80], full[180];
    unsigned number;
    bool repeated = strncmp(line, "repeated ", 9) == 0;
    assert_int_equal(sscanf(line + (repeated ? 9 : 0), "%99s %79s = %u;", type, name, &number), 3);
    for (uint32_t i = 0; i < m->n_fields; i++) {
        const struct otlp_json_field *f = &m->fields[i];
        if (strcmp(f->name, name) != 0)
            continue;
        assert_int_equal(f->number, number);
        assert_int_equal(f->repeated, repeated);
        assert_true((f->kind == OTLP_JSON_MESSAGE) == (f->sub != NULL));
        snprintf(full, sizeof full, "%s.%s", package, type);
        if (f->sub)
            assert_string_equal(f->sub->name, strchr(type, '.') ? type : full);
        else
            assert_string_equal(scalars[f->kind], type);
        assert_true(!f->id_bytes || f->kind == OTLP_JSON_BYTES);
        check_json_name(f);
        return;
    }
    fail_msg("%s has no field %s", m->name, name);
}

static const struct otlp_json_message *find_message(const char *package, const char *name)
{
    char full[180];
    snprintf(full, sizeof full, "%s.%s", package, name);
    for (uint32_t i = 0; i < n_messages; i++)
        if (strcmp(messages[i]->name, full) == 0)
            return messages[i];
    return NULL; /* an answer, which is never read */
}

static void check_text(char *text)
{
    char package[80] = "", name[80];
    const struct otlp_json_message *m = NULL;
    uint32_t n = 0;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        line += strspn(line, " ");
        if (sscanf(line, "package %79[^;];", package) == 1)
            continue;
        if (sscanf(line, "message %79s {", name) == 1) {
            m = find_message(package, name);
            n = 0;
        } else if (m && strstr(line, " = ")) {
            check_field(m, package, line);
            if (++n == m->n_fields)
                n_seen++;
        }
    }
}

static void test_tables(void **state)
{
    (void)state;
    static const char *const files[] = {"common/v1/common.proto", "resource/v1/resource.proto",
        "profiles/v1development/profiles.proto",
        "collector/profiles/v1development/profiles_service.proto"};
    collect(&otlp_json_request);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        char path[120];
        struct buf text = om_buf();
        snprintf(path, sizeof path, "proto/opentelemetry/proto/%s", files[i]);
        assert_int_equal(fs_read_all(&fs_real, path, 64 * KIB, &text, &err), ST_OK);
        buf_byte(&text, 0);
        check_text(text.p);
        buf_done(&text);
    }
    assert_int_equal(n_messages, 21);
    assert_int_equal(n_seen, n_messages); /* each has its text, whole */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(test_bytes),
        TEST_OF(test_lengths),
        TEST_OF(test_ids),
        TEST_OF(test_spellings),
        TEST_OF(test_left_out),
        TEST_OF(test_failures),
        TEST_OF(test_doubles),
        TEST_OF(test_depth),
        TEST_OF(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
