/* codec/msg: both encodings, both ways: the rules one by one, then random messages round and round.
 * EVERFLAME_SEED repeats a run. */
#include "test.h"

#include <math.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "codec/messages.h"

static struct arena arena;
static struct error err;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 64 * MIB);
    err.len = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static void *from_json(const struct msg_desc *desc, const char *text)
{
    void *msg = NULL;
    enum status st = msg_decode_json(desc, str_from(text), &arena, &msg, &err);
    if (st != ST_OK)
        fail_msg("%s: %s", text, err.msg);
    return msg;
}

static void *from_proto(const struct msg_desc *desc, struct str in)
{
    void *msg = NULL;
    enum status st = msg_decode_proto(desc, in, &arena, &msg, &err);
    if (st != ST_OK)
        fail_msg("%s", err.msg);
    return msg;
}

static void refuse_json(const struct msg_desc *desc, const char *text, const char *want)
{
    void *msg = NULL;
    assert_int_equal(
        msg_decode_json(desc, str_from(text), &arena, &msg, &err), ST_INVALID_ARGUMENT);
    assert_string_equal(err.msg, want);
    assert_null(msg);
}

static void refuse_proto(const struct msg_desc *desc, struct str in, const char *want)
{
    void *msg = NULL;
    assert_int_equal(msg_decode_proto(desc, in, &arena, &msg, &err), ST_INVALID_ARGUMENT);
    assert_string_equal(err.msg, want);
    assert_null(msg);
}

/* Into the arena. */
static struct str encode(const struct msg_desc *desc, const void *msg, bool json)
{
    struct buf b;
    buf_init(&b, 64 * MIB);
    (json ? msg_encode_json : msg_encode_proto)(desc, msg, &b);
    assert_false(b.failed);
    struct str out = arena_str(&arena, buf_view(&b));
    buf_done(&b);
    return out;
}

static void assert_json(const struct msg_desc *desc, const void *msg, const char *want)
{
    struct str got = encode(desc, msg, true);
    char *text = arena_cstr(&arena, got);
    assert_string_equal(text, want);
}

static void assert_proto(const struct msg_desc *desc, const void *msg, struct str want)
{
    struct str got = encode(desc, msg, false);
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.p, want.p, want.n);
}

#define STACKTRACES &m_select_merge_stacktraces_request_desc
#define SERIES &m_select_series_request_desc

/* ── JSON in ── */

static void test_json_names(void **state)
{
    (void)state;
    const struct m_select_merge_stacktraces_request *rq = from_json(STACKTRACES,
        "{\"profileTypeID\":\"a\",\"label_selector\":\"{}\",\"start\":\"1\",\"end\":2,"
        "\"max_nodes\":0,\"other\":[{\"start\":[]},null],\"stackTraceSelector\":"
        "{\"call_site\":[{\"name\":\"x\"},{}],\"goPgo\":{\"keepLocations\":\"5\"}}}");
    assert_true(str_eq(rq->profile_typeID, STR("a")));
    assert_true(str_eq(rq->label_selector, STR("{}")));
    assert_int_equal(rq->start, 1);
    assert_int_equal(rq->end, 2);
    assert_true(rq->has_max_nodes && rq->max_nodes == 0);
    assert_int_equal(rq->stack_trace_selector->call_site.n, 2);
    assert_true(str_eq(rq->stack_trace_selector->call_site.v[0].name, STR("x")));
    assert_int_equal(rq->stack_trace_selector->go_pgo->keep_locations, 5);
    assert_null(rq->async);
    rq = from_json(STACKTRACES, "{\"profile_typeID\":\"b\"}");
    assert_true(str_eq(rq->profile_typeID, STR("b")));
    assert_false(rq->has_max_nodes);
}

static void test_json_numbers(void **state)
{
    (void)state;
    const struct m_select_series_request *rq = from_json(
        SERIES, "{\"start\":1e3,\"end\":\"10.0\",\"step\":\"1.5e1\",\"limit\":\"0\"}");
    assert_int_equal(rq->start, 1000);
    assert_int_equal(rq->end, 10);
    assert_true(rq->step == 15.0);
    assert_true(rq->has_limit && rq->limit == 0);
    rq = from_json(SERIES, "{\"step\":\"NaN\",\"end\":\"-9223372036854775808\"}");
    assert_true(isnan(rq->step));
    assert_true(rq->end == INT64_MIN);
    rq = from_json(SERIES, "{\"step\":\"-Infinity\"}");
    assert_true(isinf(rq->step) && rq->step < 0);
    refuse_json(
        SERIES, "{\"start\": 1.5}", "proto: (line 1:11): invalid value for int64 field start: 1.5");
    refuse_json(SERIES, "{\"start\": \"x\"}",
        "proto: (line 1:11): invalid value for int64 field start: \"x\"");
    refuse_json(SERIES, "{\"start\":9223372036854775808}",
        "proto: (line 1:10): invalid value for int64 field start: 9223372036854775808");
    refuse_json(SERIES, "{\"start\":\" 1\"}",
        "proto: (line 1:10): invalid value for int64 field start: \" 1\"");
    refuse_json(SERIES, "{\"start\":true}",
        "proto: (line 1:10): invalid value for int64 field start: true");
    refuse_json(
        SERIES, "{\"start\":[]}", "proto: (line 1:10): invalid value for int64 field start: [");
    refuse_json(SERIES, "{\"step\":\"nan\"}",
        "proto: (line 1:9): invalid value for double field step: \"nan\"");
    refuse_json(SERIES, "{\"step\":1e400}",
        "proto: (line 1:9): invalid value for double field step: 1e400");
    refuse_json(STACKTRACES, "{\"stackTraceSelector\":{\"goPgo\":{\"keepLocations\":4294967296}}}",
        "proto: (line 1:49): invalid value for uint32 field keepLocations: 4294967296");
    refuse_json(STACKTRACES, "{\"stackTraceSelector\":{\"goPgo\":{\"aggregateCallees\":1}}}",
        "proto: (line 1:52): invalid value for bool field aggregateCallees: 1");
}

static void test_json_null_and_duplicates(void **state)
{
    (void)state;
    const struct m_select_series_request *rq = from_json(SERIES,
        "{\"start\":null,\"groupBy\":null,\"limit\":null,\"stackTraceSelector\":null,"
        "\"aggregation\":null,\"step\":null,\"labelSelector\":null}");
    assert_false(rq->has_limit || rq->has_aggregation);
    assert_null(rq->stack_trace_selector);
    refuse_json(SERIES, "{\"groupBy\":[\"a\",null]}",
        "proto: syntax error (line 1:17): unexpected token null");
    refuse_json(&m_push_request_desc, "{\"series\":[null]}",
        "proto: syntax error (line 1:12): unexpected token null");
    refuse_json(
        SERIES, "{\"start\":1,\n\"start\":1}", "proto: (line 2:1): duplicate field \"start\"");
    refuse_json(SERIES, "{\"labelSelector\":\"\",\"label_selector\":\"\"}",
        "proto: (line 1:21): duplicate field \"label_selector\"");
    refuse_json(
        SERIES, "{\"start\":null,\"start\":1}", "proto: (line 1:15): duplicate field \"start\"");
    from_json(SERIES, "{\"what\":1,\"what\":2}");
}

static void test_json_enums(void **state)
{
    (void)state;
    const struct m_select_series_request *rq = from_json(
        SERIES, "{\"aggregation\":\"TIME_SERIES_AGGREGATION_TYPE_SUM\",\"exemplarType\":2}");
    assert_true(rq->has_aggregation && rq->aggregation == M_AGGREGATION_SUM);
    assert_int_equal(rq->exemplar_type, M_EXEMPLAR_INDIVIDUAL);
    rq = from_json(SERIES, "{\"aggregation\":\"NO_SUCH\",\"exemplarType\":\"EITHER\"}");
    assert_false(rq->has_aggregation);
    assert_int_equal(rq->exemplar_type, 0);
    rq = from_json(SERIES, "{\"exemplarType\":77}");
    assert_int_equal(rq->exemplar_type, 77);
    assert_json(SERIES, rq, "{\"exemplarType\":77}");
    refuse_json(SERIES, "{\"exemplarType\":true}",
        "proto: (line 1:17): invalid value for enum field exemplarType: true");
    const struct m_select_merge_stacktraces_request *st = from_json(
        STACKTRACES, "{\"format\":\"PROFILE_FORMAT_DOT\"}");
    assert_int_equal(st->format, M_FORMAT_DOT);
}

static void test_json_bytes_and_strings(void **state)
{
    (void)state;
    const struct m_push_request *rq = from_json(&m_push_request_desc,
        "{\"series\":[{\"labels\":[{\"name\":\"__name__\",\"value\":\"process_cpu\"},"
        "{\"name\":\"service_name\",\"value\":\"x\\u00fc\"}],\"samples\":[{\"rawProfile\":"
        "\"Zm9v\",\"ID\":\"u-1\"},{\"raw_profile\":\"-_-\\/\"},{\"raw_profile\":\"Zg\"}],"
        "\"annotations\":[{\"key\":\"k\"}]}]}");
    assert_int_equal(rq->series.n, 1);
    const struct m_raw_series *s = &rq->series.v[0];
    assert_int_equal(s->labels.n, 2);
    assert_true(str_eq(s->labels.v[1].value, STR("x\xc3\xbc")));
    assert_int_equal(s->samples.n, 3);
    assert_true(str_eq(s->samples.v[0].raw_profile, STR("foo")));
    assert_true(str_eq(s->samples.v[0].ID, STR("u-1")));
    assert_true(str_eq(s->samples.v[1].raw_profile, STR("\xfb\xff\xbf")));
    assert_true(str_eq(s->samples.v[2].raw_profile, STR("f")));
    assert_int_equal(s->annotations.n, 1);
    refuse_json(&m_push_request_desc, "{\"series\":[{\"samples\":[{\"rawProfile\":\"%%%\"}]}]}",
        "proto: (line 1:38): invalid value for bytes field rawProfile: \"%%%\"");
    refuse_json(&m_push_request_desc, "{\"series\":[{\"samples\":[{\"ID\":1}]}]}",
        "proto: (line 1:30): invalid value for string field ID: 1");
    refuse_json(SERIES, "{\"labelSelector\":\"\xff\"}",
        "proto: syntax error (line 1:18): invalid UTF-8 in string");
    refuse_json(
        SERIES, "{\"other\":\"\xff\"}", "proto: syntax error (line 1:10): invalid UTF-8 in string");
}

static void test_json_shapes(void **state)
{
    (void)state;
    refuse_json(SERIES, "", "zero-length payload is not a valid JSON object");
    refuse_json(SERIES, " ", "proto: unexpected EOF");
    refuse_json(SERIES, "[", "proto: syntax error (line 1:1): unexpected token [");
    refuse_json(SERIES, "null", "proto: syntax error (line 1:1): unexpected token null");
    refuse_json(SERIES, "{", "proto: unexpected EOF");
    refuse_json(SERIES, "{}{}", "proto: syntax error (line 1:3): unexpected token {");
    refuse_json(
        SERIES, "{\"groupBy\":\"a\"}", "proto: syntax error (line 1:12): unexpected token \"a\"");
    refuse_json(SERIES, "{\"stackTraceSelector\":[]}",
        "proto: syntax error (line 1:23): unexpected token [");
    refuse_json(&m_push_request_desc, "{\"series\":[1]}",
        "proto: syntax error (line 1:12): unexpected token 1");
    assert_json(SERIES, from_json(SERIES, " { } "), "{}");
    assert_json(&m_empty_desc, from_json(&m_empty_desc, "{\"a\":{}}"), "{}");
}

/* ── JSON out ── */

static void test_json_output(void **state)
{
    (void)state;
    int64_t values[] = {0, 4, 0, -1};
    struct m_level level = {.values = {values, 4, 4}};
    struct str names[] = {STR("total"), STR("a\"b"), STR("")};
    struct m_flamegraph fg = {.names = {names, 3, 3}, .levels = {&level, 1, 1}, .total = 4};
    struct m_select_merge_stacktraces_response rs = {.flamegraph = &fg, .tree = STR("\xfb\xff")};
    assert_json(&m_select_merge_stacktraces_response_desc, &rs,
        "{\"flamegraph\":{\"names\":[\"total\",\"a\\\"b\",\"\"],\"levels\":[{\"values\":[\"0\","
        "\"4\",\"0\",\"-1\"]}],\"total\":\"4\"},\"tree\":\"+/8=\"}");
    struct m_names_response empty = {0};
    assert_json(&m_names_response_desc, &empty, "{}");
    struct m_flamegraph nothing = {0};
    rs = (struct m_select_merge_stacktraces_response){.flamegraph = &nothing};
    assert_json(&m_select_merge_stacktraces_response_desc, &rs, "{\"flamegraph\":{}}");
    struct m_point points[] = {{.value = 0.5, .timestamp = 15}, {.value = -0.0}, {0}};
    struct m_series series = {.points = {points, 3, 3}};
    struct m_select_series_response sr = {.series = {&series, 1, 1}};
    assert_json(&m_select_series_response_desc, &sr,
        "{\"series\":[{\"points\":[{\"value\":0.5,\"timestamp\":\"15\"},{\"value\":-0.0},{}]}]}");
    struct m_select_series_request rq = {.has_limit = true, .has_aggregation = true};
    assert_json(
        SERIES, &rq, "{\"aggregation\":\"TIME_SERIES_AGGREGATION_TYPE_SUM\",\"limit\":\"0\"}");
}

/* ── protobuf ── */

static void test_proto_bytes(void **state)
{
    (void)state;
    int64_t values[] = {0, 300, -1};
    struct m_level level = {.values = {values, 3, 3}};
    struct m_flamegraph fg = {.levels = {&level, 1, 1}, .max_self = 1};
    struct m_select_merge_stacktraces_response rs = {.flamegraph = &fg, .dot = STR("d")};
    struct str want = STR("\x0a\x13\x12\x0f\x0a\x0d\x00\xac\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff"
                          "\x01\x20\x01\x1a\x01\x64");
    assert_proto(&m_select_merge_stacktraces_response_desc, &rs, want);
    struct m_select_series_request rq = {.step = 1.5, .has_limit = true, .has_aggregation = true};
    assert_proto(SERIES, &rq, STR("\x31\0\0\0\0\0\0\xf8\x3f\x38\x00\x48\x00"));
    struct m_select_merge_stacktraces_request negative = {.format = -1};
    assert_proto(STACKTRACES, &negative, STR("\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
    const struct m_select_merge_stacktraces_request *back = from_proto(
        STACKTRACES, encode(STACKTRACES, &negative, false));
    assert_int_equal(back->format, -1);
    const struct m_select_series_request *none = from_proto(SERIES, STR_EMPTY);
    assert_false(none->has_limit);
    from_proto(SERIES, (struct str){NULL, 0});
}

static void test_proto_lists(void **state)
{
    (void)state;
    /* value 1 unpacked, 2 and 300 packed, 4 unpacked; an empty packed list */
    const struct m_level *l = from_proto(
        m_select_merge_stacktraces_response_desc.fields[0].sub->fields[1].sub,
        STR("\x08\x01\x0a\x03\x02\xac\x02\x08\x04\x0a\x00"));
    assert_int_equal(l->values.n, 4);
    assert_int_equal(l->values.v[0], 1);
    assert_int_equal(l->values.v[1], 2);
    assert_int_equal(l->values.v[2], 300);
    assert_int_equal(l->values.v[3], 4);
}

static void test_proto_merge(void **state)
{
    (void)state;
    /* left {start 1, selector "a"}, left {start 2, span "s"}, left {span "t"} */
    const struct m_diff_request *rq = from_proto(&m_diff_request_desc,
        STR("\x0a\x05\x18\x01\x12\x01\x61\x0a\x05\x18\x02\x5a\x01\x73\x0a\x03\x5a\x01\x74"));
    assert_int_equal(rq->left->start, 2);
    assert_true(str_eq(rq->left->label_selector, STR("a")));
    assert_int_equal(rq->left->span_selector.n, 2);
    assert_null(rq->right);
}

static void test_proto_unknown(void **state)
{
    (void)state;
    /* 100: varint, fixed64, bytes, group { 1: varint, group 2 {}, fixed32 }, fixed32; start = 7 */
    const struct m_select_series_request *rq = from_proto(
        SERIES, STR("\xa0\x06\xff\x01\xa1\x06"
                    "12345678\xa2\x06\x02xy\xa3\x06\x08\x05\x13\x14\x1d"
                    "1234\xa4\x06\xa5\x06"
                    "1234\x18\x07"));
    assert_int_equal(rq->start, 7);
}

static void test_proto_refused(void **state)
{
    (void)state;
    static const char eof[] = "unexpected EOF or malformed integer";
    refuse_proto(SERIES, STR("\x18"), eof);
    refuse_proto(SERIES, STR("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), eof);
    refuse_proto(SERIES, STR("\x0a\x05xx"), eof);
    refuse_proto(SERIES, STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), eof);
    refuse_proto(SERIES, STR("\x31\0\0"), eof);
    refuse_proto(SERIES, STR("\xa3\x06\x08"), eof);
    refuse_proto(SERIES, STR("\x03"), "illegal tag 0 (wire type 3)");
    refuse_proto(SERIES, STR("\x0e"), "illegal tag 1 (wire type 6)");
    refuse_proto(SERIES, STR("\x80\x80\x80\x80\x10"), "illegal tag 536870912 (wire type 0)");
    refuse_proto(SERIES, STR("\xa4\x06"), "unexpected end of group");
    refuse_proto(SERIES, STR("\xa3\x06\x0c"), "unexpected end of group");
    refuse_proto(SERIES, STR("\x08\x01"), "wrong wireType = 0 for field profile_typeID");
    refuse_proto(SERIES, STR("\x1a\x00"), "wrong wireType = 2 for field start");
    refuse_proto(SERIES, STR("\x0b\x0c"), "wrong wireType = 3 for field profile_typeID");
    /* the inner message claims more than the outer one has */
    refuse_proto(&m_diff_request_desc, STR("\x0a\x02\x12\x05xxxxx"), eof);
    const struct msg_desc *response = &m_select_merge_stacktraces_response_desc;
    refuse_proto(response, STR("\x0a\x05\x12\x03\x0a\x01\x80"), eof);
    char deep[2 * (MSG_DEPTH_MAX + 1)];
    for (size_t i = 0; i < sizeof deep; i += 2)
        memcpy(deep + i, "\xa3\x06", 2);
    refuse_proto(SERIES, str_make(deep, sizeof deep), "exceeded max recursion depth");
}

/* A message type that contains itself, as none of ours does: depth must be limited all the same. */
struct nested {
    struct nested *in;
};
extern const struct msg_desc nested_desc;
static const struct msg_field nested_fields[] = {{"in", "in", 1, MSG_MESSAGE, false,
    offsetof(struct nested, in), MSG_NO_HAS, &nested_desc, NULL}};
const struct msg_desc nested_desc = {"Nested", sizeof(struct nested), nested_fields, 1};

static void test_depth(void **state)
{
    (void)state;
    char proto[2 * (MSG_DEPTH_MAX + 1)], json[6 * MSG_DEPTH_MAX + 1];
    for (size_t i = 0; i < MSG_DEPTH_MAX; i++) {
        proto[2 * i] = 0x0a;
        proto[2 * i + 1] = (char)(2 * (MSG_DEPTH_MAX - 1 - i));
        memcpy(json + 6 * i, "{\"in\":", 6);
    }
    from_proto(&nested_desc, str_make(proto + 2, 2 * (MSG_DEPTH_MAX - 1)));
    refuse_proto(
        &nested_desc, str_make(proto, 2 * (MSG_DEPTH_MAX)), "exceeded max recursion depth");
    json[sizeof json - 1] = '{';
    void *msg;
    assert_int_equal(msg_decode_json(&nested_desc, str_make(json, sizeof json), &arena, &msg, &err),
        ST_INVALID_ARGUMENT);
    assert_string_equal(err.msg, "proto: exceeded max recursion depth");
    assert_int_equal(
        msg_decode_json(&nested_desc, str_make(json + 6, sizeof json - 6), &arena, &msg, &err),
        ST_INVALID_ARGUMENT);
    assert_string_equal(err.msg, "proto: unexpected EOF");
}

/* ── JSON only ── */

static void test_json_only(void **state)
{
    (void)state;
    struct m_function f[] = {{STR("a"), 1, 2}};
    struct m_function_table table = {.total = 3};
    struct m_select_merge_stacktraces_response rs = {
        .dot = STR("d"), .functions = &table, .sandwich = STR("{\"total\":\"1\"}")};
    table.functions.v = f;
    table.functions.n = 1;
    const struct msg_desc *desc = &m_select_merge_stacktraces_response_desc;
    const char *json = "{\"dot\":\"d\",\"functions\":{\"functions\":[{\"name\":\"a\",\"self\":"
                       "\"1\",\"total\":\"2\"}],\"total\":\"3\"},\"sandwich\":{\"total\":\"1\"}}";
    assert_json(desc, &rs, json);
    assert_proto(desc, &rs, STR("\x1a\1d"));
    const struct m_select_merge_stacktraces_response *again = from_json(desc, json);
    assert_int_equal(again->functions->functions.n, 1);
    assert_int_equal(again->functions->functions.v[0].total, 2);
    assert_int_equal(again->sandwich.n, 0);
    refuse_json(desc, "{\"sandwich\":[}", "proto: syntax error (line 1:14): unexpected token }");
}

/* Enum values that have a name and no number. */
static void test_json_only_enum(void **state)
{
    (void)state;
    const struct m_select_merge_stacktraces_request *rq = from_json(
        STACKTRACES, "{\"format\":\"PROFILE_FORMAT_SANDWICH\",\"sandwich_function\":\"f\"}");
    assert_int_equal(rq->format, M_FORMAT_SANDWICH);
    assert_json(
        STACKTRACES, rq, "{\"format\":\"PROFILE_FORMAT_SANDWICH\",\"sandwichFunction\":\"f\"}");
    assert_proto(STACKTRACES, rq, STR_EMPTY);
    rq = from_json(STACKTRACES, "{\"format\":536870912}");
    assert_int_equal(rq->format, INT32_MAX);
    rq = from_proto(STACKTRACES, STR("\x30\x80\x80\x80\x80\x02"));
    assert_int_equal(rq->format, INT32_MAX);
    rq = from_json(STACKTRACES, "{\"format\":5}");
    assert_int_equal(rq->format, 5);
}

/* ── random messages ── */

static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed += 0x9E3779B97F4A7C15u;
    uint64_t z = seed;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return below ? z % below : z;
}

static struct str draw_string(bool text)
{
    static const uint32_t tops[] = {0x80, 0x80, 0x800, 0x10000, 0x110000};
    char *p = arena_alloc(&arena, 4 * 20);
    size_t n = 0;
    for (uint64_t left = draw(20); left > 0; left--) {
        uint32_t cp = (uint32_t)draw(tops[draw(ARRAY_LEN(tops))]);
        if (!text)
            p[n++] = (char)cp;
        else if (cp < 0xD800 || cp > 0xDFFF)
            n += utf8_encode(p + n, cp);
    }
    return str_make(p, n);
}

static double draw_double(void)
{
    static const double edges[] = {0, -0.0, 1, -1.5, 1e300, 5e-324, (double)NAN, (double)INFINITY,
        -(double)INFINITY, 9007199254740993.0};
    uint64_t bits = draw(0);
    double v;
    memcpy(&v, &bits, sizeof v);
    return draw(2) || isnan(v) ? edges[draw(ARRAY_LEN(edges))] : v;
}

static uint64_t draw_integer(void)
{
    return draw(3) ? draw(0) >> draw(64) : 0 - draw(5);
}

static void fill(const struct msg_desc *desc, void *msg, int depth);

static void draw_value(const struct msg_field *f, void *slot, int depth)
{
    switch (f->kind) {
    case MSG_INT32:
    case MSG_UINT32:
        *(uint32_t *)slot = (uint32_t)draw_integer();
        return;
    case MSG_ENUM:
        *(int32_t *)slot = (int32_t)draw(7) - 1;
        return;
    case MSG_INT64:
    case MSG_UINT64:
        *(uint64_t *)slot = draw_integer();
        return;
    case MSG_BOOL:
        *(bool *)slot = draw(2);
        return;
    case MSG_DOUBLE:
        *(double *)slot = draw_double();
        return;
    case MSG_STRING:
    case MSG_BYTES:
        *(struct str *)slot = draw_string(f->kind == MSG_STRING);
        return;
    case MSG_JSON:
        *(struct str *)slot = STR("{\"any\":[]}");
        return;
    case MSG_MESSAGE:
        fill(f->sub, slot, depth + 1);
        return;
    }
}

static size_t value_size(const struct msg_field *f)
{
    static const size_t sizes[] = {[MSG_INT32] = 4,
        [MSG_INT64] = 8,
        [MSG_UINT32] = 4,
        [MSG_UINT64] = 8,
        [MSG_BOOL] = sizeof(bool),
        [MSG_DOUBLE] = 8,
        [MSG_ENUM] = 4,
        [MSG_STRING] = sizeof(struct str),
        [MSG_BYTES] = sizeof(struct str),
        [MSG_JSON] = sizeof(struct str),
        [MSG_MESSAGE] = 0};
    return f->kind == MSG_MESSAGE ? f->sub->size : sizes[f->kind];
}

static void fill(const struct msg_desc *desc, void *msg, int depth)
{
    for (uint32_t i = 0; i < desc->n_fields; i++) {
        const struct msg_field *f = &desc->fields[i];
        char *slot = (char *)msg + f->offset;
        if (draw(3) == 0)
            continue;
        if (f->repeated) {
            struct msg_list *list = (struct msg_list *)(void *)slot;
            list->n = list->cap = (uint32_t)draw(depth < 2 ? 6 : 3);
            list->v = arena_zarray(&arena, list->n + 1, value_size(f));
            for (uint32_t k = 0; k < list->n; k++)
                draw_value(f, (char *)list->v + k * value_size(f), depth);
        } else if (f->kind == MSG_MESSAGE) {
            void *sub = arena_zalloc(&arena, f->sub->size);
            memcpy(slot, &sub, sizeof sub);
            draw_value(f, sub, depth);
        } else {
            draw_value(f, slot, depth);
            if (f->has_offset != MSG_NO_HAS)
                *((bool *)msg + f->has_offset) = true;
        }
    }
}

static const struct msg_desc *const all[] = {STACKTRACES, SERIES, &m_series_response_desc,
    &m_select_merge_stacktraces_response_desc, &m_select_series_response_desc, &m_diff_request_desc,
    &m_diff_response_desc, &m_profile_desc, &m_push_request_desc, &m_profile_types_response_desc,
    &m_select_merge_profile_request_desc, &m_label_values_request_desc};

static void test_round_trips(void **state)
{
    (void)state;
    const char *given = getenv("EVERFLAME_SEED");
    uint64_t first = given ? strtoull(given, NULL, 0) : 20240617;
    for (uint64_t round = 0; round < 3000; round++) {
        seed = first + round;
        const struct msg_desc *desc = all[round % ARRAY_LEN(all)];
        arena_reset(&arena);
        void *msg = arena_zalloc(&arena, desc->size);
        fill(desc, msg, 0);
        struct str proto = encode(desc, msg, false);
        struct str json = encode(desc, from_proto(desc, proto), true);
        void *again = from_json(desc, arena_cstr(&arena, json));
        struct str proto2 = encode(desc, again, false);
        struct str json2 = encode(desc, again, true);
        if (!str_eq(proto, proto2) || !str_eq(json, json2))
            fail_msg("seed %llu, %s: %.*s", (unsigned long long)(first + round), desc->name,
                STR_ARG(json));
    }
}

/* ── limits ── */

static void test_small_arenas(void **state)
{
    (void)state;
    seed = 7;
    struct m_profile *p = arena_zalloc(&arena, sizeof *p);
    for (int i = 0; i < 60; i++)
        fill(&m_profile_desc, p, 0);
    struct str in[] = {encode(&m_profile_desc, p, false), encode(&m_profile_desc, p, true)};
    for (int json = 0; json < 2; json++) {
        size_t limit = 0;
        enum status st;
        int refused = 0;
        do {
            struct arena small;
            arena_init(&small, limit);
            void *msg = NULL;
            st = (json ? msg_decode_json : msg_decode_proto)(
                &m_profile_desc, in[json], &small, &msg, &err);
            assert_true(st == ST_OK || (st == ST_RESOURCE_EXHAUSTED && !msg));
            refused += st != ST_OK;
            arena_done(&small);
            limit += 16;
        } while (st != ST_OK);
        assert_true(refused > 20);
    }
}

static void test_small_buffers(void **state)
{
    (void)state;
    int64_t values[500];
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        values[i] = (int64_t)i * 1000;
    struct m_level levels[2] = {{.values = {values, 500, 500}}, {.values = {values, 40, 40}}};
    struct m_flamegraph fg = {.levels = {levels, 2, 2}, .total = 5};
    struct m_select_merge_stacktraces_response rs = {.flamegraph = &fg, .tree = STR("tree")};
    const struct msg_desc *desc = &m_select_merge_stacktraces_response_desc;
    for (int json = 0; json < 2; json++) {
        size_t full = encode(desc, &rs, json).n;
        for (size_t limit = 0; limit < full; limit++) {
            struct buf b;
            buf_init(&b, limit);
            (json ? msg_encode_json : msg_encode_proto)(desc, &rs, &b);
            assert_true(b.failed && b.n <= limit);
            buf_done(&b);
        }
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_json_names),
        T(test_json_numbers),
        T(test_json_null_and_duplicates),
        T(test_json_enums),
        T(test_json_bytes_and_strings),
        T(test_json_shapes),
        T(test_json_output),
        T(test_proto_bytes),
        T(test_proto_lists),
        T(test_proto_merge),
        T(test_proto_unknown),
        T(test_proto_refused),
        T(test_depth),
        T(test_json_only),
        T(test_json_only_enum),
        T(test_round_trips),
        T(test_small_arenas),
        T(test_small_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
