/* codec/speedscope: both kinds of profiles, units, grouping, damage, floods, captures. */
#include "test.h"

#include "base/buf.h"
#include "codec/text.h"
#include "jfr_capture.h"

static struct arena arena;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 512 * MIB);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

/* "name/unit/rate: a;b 1|c 2\n" for each profile, or the error. */
static struct str shown(struct str json, uint32_t rate)
{
    struct speedscope_profile *p = NULL;
    uint32_t n = 0;
    struct buf out;
    if (speedscope_decode(json, rate, &arena, &p, &n, &err) != ST_OK)
        return error_str(&err);
    buf_init(&out, MIB);
    for (uint32_t i = 0; i < n; i++) {
        const struct text_stacks *s = &p[i].stacks;
        buf_printf(&out, "%s%.*s/%.*s/%u:", i ? "\n" : "", STR_ARG(p[i].name), STR_ARG(p[i].unit),
            p[i].sample_rate);
        for (uint32_t k = 0; k < s->n_stacks; k++) {
            for (uint32_t f = 0; f < s->stacks[k].n; f++)
                buf_printf(&out, "%s%.*s",
                    f   ? ";"
                    : k ? "|"
                        : " ",
                    STR_ARG(s->names[s->frames[s->stacks[k].first + f]]));
            buf_printf(&out, " %lld", (long long)s->stacks[k].value);
        }
    }
    struct str text = arena_str(&arena, buf_view(&out));
    buf_done(&out);
    return text;
}

#define SCHEMA "\"$schema\":\"https://www.speedscope.app/file-format-schema.json\""
#define FRAMES \
    "\"shared\":{\"frames\":[{\"name\":\"a\",\"line\":1},{\"name\":\"b\"},{\"name\":\"a\"}]}"
#define FILE_(profiles) "{" SCHEMA "," FRAMES ",\"profiles\":[" profiles "]}"
#define SAMPLED(unit, samples, weights)                     \
    "{\"type\":\"sampled\",\"name\":\"n\",\"unit\":\"" unit \
    "\",\"startValue\":0,\"samples\":[" samples "],\"weights\":[" weights "]}"
#define EVENTED(events)                                                                      \
    "{\"type\":\"evented\",\"name\":\"e\",\"unit\":\"seconds\",\"startValue\":0,\"events\":" \
    "[" events "]}"
#define EV(type, at, frame) "{\"type\":\"" type "\",\"at\":" at ",\"frame\":" frame "}"

static void assert_shown_at(struct str json, uint32_t rate, const char *want)
{
    struct str got = shown(json, rate);
    if (!str_eq(got, str_from(want)))
        fail_msg("%.*s\n%.*s\nnot %s", STR_ARG(json), STR_ARG(got), want);
}

static void assert_shown(struct str json, const char *want)
{
    assert_shown_at(json, 100, want);
}

static void test_sampled(void **state)
{
    (void)state;
    assert_shown(STR(FILE_(SAMPLED("seconds", "[0,1],[2],[0,1],[]", "3.9,1,2,5"))),
        "n/seconds/100: a 100|a;b 500");
    assert_shown(STR(FILE_(SAMPLED("milliseconds", "[1]", "2"))), "n/milliseconds/100000: b 200");
    assert_shown(
        STR(FILE_(SAMPLED("microseconds", "[1]", "2"))), "n/microseconds/100000000: b 200");
    assert_shown(STR(FILE_(SAMPLED("nanoseconds", "[1]", "2"))), "n/nanoseconds/1000000000: b 2");
    assert_shown(STR(FILE_(SAMPLED("none", "[1]", "2"))), "n/none/10000: b 200");
    assert_shown(STR(FILE_(SAMPLED("bytes", "[1]", "2"))), "n/bytes/0: b 2");
    assert_shown_at(STR(FILE_(SAMPLED("seconds", "[1]", "2"))), 7, "n/seconds/7: b 200");
    assert_shown(STR(FILE_(SAMPLED("seconds", "[1]", "0"))), "n/seconds/100:");
    assert_shown(
        STR(FILE_(SAMPLED("bytes", "[1],[1]", "1e30,1e30"))), "n/bytes/0: b 9223372036854775807");
    assert_shown(STR(FILE_("")), "");
    assert_shown(STR("{" SCHEMA "}"), "");
    assert_shown(STR("{" SCHEMA ",\"shared\":null,\"profiles\":null,\"x\":[{}]}"), "");
}

static void test_evented(void **state)
{
    (void)state;
    assert_shown(STR(FILE_(EVENTED(EV("O", "1", "0") "," EV("O", "3", "1") "," EV("C", "3.25",
                     "1") "," EV("O", "3.25", "1") "," EV("C", "3.3", "1") "," EV("C", "4", "0")))),
        "e/seconds/100: a 270|a;b 30");
    assert_shown(STR(FILE_(EVENTED(EV("O", "0", "0") "," EV("C", "1", "0") "," EV(
                     "O", "5", "0") "," EV("C", "6", "0")))),
        "e/seconds/100: a 200");
    assert_shown(
        STR(FILE_(EVENTED(EV("O", "2", "0") "," EV("C", "1", "0")))), "events are out of order");
    assert_shown(STR(FILE_(EVENTED(EV("O", "2", "0") "," EV("C", "3", "1")))),
        "a frame is closed that is not the innermost open");
    assert_shown(
        STR(FILE_(EVENTED(EV("C", "3", "1")))), "a frame is closed that is not the innermost open");
    assert_shown(STR(FILE_(EVENTED(EV("O", "2", "3")))), "frame index 3 is out of range");
    assert_shown(STR(FILE_(EVENTED(EV("X", "2", "0")))), "unknown event type: X");
    assert_shown(STR(FILE_(EVENTED("{}"))), "unknown event type: ");
}

static void test_groups(void **state)
{
    (void)state;
#define AT(name, start, samples, weights)                                                      \
    "{\"weights\":[" weights "],\"unit\":\"none\",\"name\":\"" name "\",\"startValue\":" start \
    ",\"samples\":[" samples "],\"type\":\"sampled\"}"
    assert_shown(STR(FILE_(AT("x", "5", "[0]", "1") "," AT("y", "-1", "[1]", "2") "," AT(
                     "x", "5.0", "[0],[1]", "3,4") "," AT("x", "-1", "[1]", "9"))),
        "y/none/10000: b 200\nx/none/10000: b 900\nx/none/10000: a 400|b 400");
    assert_shown(STR(FILE_(AT("x", "0", "[0],[1]", "1") "," AT("x", "-0.0", "[0]", "3,4"))),
        "x/none/10000: a 500|b 300");
    assert_shown(STR(FILE_(AT("x", "0", "[0],[1]", "1") "," AT("x", "1", "[0]", "3,4"))),
        "2 samples but 1 weights");
    assert_shown(STR("{\"profiles\":[" AT("x", "0", "[1]", "1") "]," FRAMES "," SCHEMA "}"),
        "x/none/10000: b 100");
#undef AT
}

static void test_refused(void **state)
{
    (void)state;
    assert_shown(STR("{}"), "Unknown schema: ");
    assert_shown(STR("null"), "Unknown schema: ");
    assert_shown(STR("{\"$schema\":\"x\"}"), "Unknown schema: x");
    assert_shown(STR("nope"), "syntax error (line 1:1): unexpected token n");
    assert_shown(STR(""), "unexpected EOF");
    assert_shown(STR("[]"), "json: cannot read [ as an object");
    assert_shown(STR(FILE_(SAMPLED("seconds", "[3]", "1"))), "frame index 3 is out of range");
    assert_shown(STR(FILE_(SAMPLED("seconds", "[-1]", "1"))), "frame index -1 is out of range");
    assert_shown(
        STR(FILE_(SAMPLED("seconds", "[1.5]", "1"))), "json: cannot read 1.5 as a frame index");
    assert_shown(
        STR(FILE_(SAMPLED("seconds", "[1]", "-1"))), "negative weight in a sampled profile");
    assert_shown(
        STR(FILE_(SAMPLED("seconds", "[1]", "\"1\""))), "json: cannot read \"1\" as a number");
    assert_shown(STR(FILE_(SAMPLED("seconds", "1", "1"))), "json: cannot read 1 as a sample");
    assert_shown(STR(FILE_(SAMPLED("furlongs", "", ""))), "unknown unit: furlongs");
    assert_shown(STR(FILE_("{\"type\":\"odd\",\"unit\":\"none\"}")), "unknown profile type: odd");
    assert_shown(STR(FILE_("7")), "json: cannot read 7 as a profile");
    assert_shown(STR("{" SCHEMA ",\"shared\":{\"frames\":[1]}}"), "json: cannot read 1 as a frame");
}

static struct str capture(const char *file)
{
    char path[256];
    snprintf(path, sizeof path, "tests/conformance/captures/ingest-curl/%s.bin", file);
    struct str body = capture_read(path, &arena);
    assert_non_null(body.p);
    return body;
}

static void test_captures(void **state)
{
    (void)state;
    assert_shown(
        capture("008"), "thread 1/seconds/100: main;orders;spin 300|main;billing;spin 100");
    assert_shown(capture("009"),
        "m/milliseconds/100000: main;orders 10000|main;orders;spin 30000|main;billing 10000");
}

/* A hundred thousand open frames; then the innermost closes and opens as often. */
static void test_deep_events(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    struct buf json;
    struct speedscope_profile *p;
    uint32_t n;
    buf_init(&json, 64 * MIB);
    buf_str(
        &json, STR("{" SCHEMA "," FRAMES ",\"profiles\":[{\"type\":\"evented\",\"unit\":\"none\","
                   "\"events\":["));
    for (int i = 0; i < DEPTH; i++)
        buf_str(&json, STR(EV("O", "0", "0") ","));
    for (int i = 1; i <= DEPTH; i++)
        buf_printf(&json, EV("C", "%d", "0") "," EV("O", "%d", "0") ",", i, i);
    buf_str(&json, STR(EV("C", "100000", "0") "]}]}"));
    assert_int_equal(speedscope_decode(buf_view(&json), 100, &arena, &p, &n, &err), ST_OK);
    assert_int_equal(n, 1);
    assert_int_equal(p->stacks.n_stacks, 1);
    assert_int_equal(p->stacks.stacks[0].n, DEPTH);
    assert_int_equal(p->stacks.stacks[0].value, 100 * DEPTH);
    buf_done(&json);
}

static void test_many_profiles(void **state)
{
    (void)state;
    struct buf json;
    struct speedscope_profile *p;
    uint32_t n;
    buf_init(&json, 64 * MIB);
    buf_str(&json, STR("{" SCHEMA "," FRAMES ",\"profiles\":["));
    for (int i = 0; i < 100000; i++)
        buf_printf(&json,
            "%s{\"type\":\"sampled\",\"unit\":\"none\",\"startValue\":%d,\"samples\":[[0]],"
            "\"weights\":[1]}",
            i ? "," : "", (i * 7919) % 50000);
    buf_str(&json, STR("]}"));
    assert_int_equal(speedscope_decode(buf_view(&json), 100, &arena, &p, &n, &err), ST_OK);
    assert_int_equal(n, 50000);
    assert_int_equal(p[0].stacks.stacks[0].value, 200);
    buf_done(&json);
}

/* With every smaller arena decoding fails cleanly. */
static void test_any_arena(void **state)
{
    (void)state;
    static const char *const files[] = {"008", "009"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct str json = capture(files[i]);
        uint32_t failures = 0;
        for (size_t limit = 0;; limit += 128) {
            struct speedscope_profile *p;
            uint32_t n;
            struct arena tight;
            arena_init(&tight, limit);
            enum status st = speedscope_decode(json, 100, &tight, &p, &n, &err);
            arena_done(&tight);
            if (st == ST_OK)
                break;
            assert_int_equal(st, ST_RESOURCE_EXHAUSTED);
            failures++;
        }
        assert_true(failures > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sampled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_evented, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_captures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deep_events, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_profiles, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_any_arena, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
