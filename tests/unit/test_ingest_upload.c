/* ingest: POST /ingest. Which decoder, which series, which values; every class of failure with its
 * status, code and text; and that a failure stores nothing. */
#include "test.h"

#include "ingest_fixture.h"

#include "codec/gzip.h"

#define FROM "1795382000"
#define UNTIL "1795382010"

static struct str folded_ok = {"main;a 3\nmain;b 7\n", 18};

static struct ingest_upload upload_of(const char *name, const char *format, struct str body)
{
    return (struct ingest_upload){.tenant = STR("t"),
        .name = str_from(name),
        .from = STR(FROM),
        .until = STR(UNTIL),
        .format = str_from(format),
        .body = body,
        .arena = &test_arena,
        .now_ns = NOW_NS};
}

static void run(struct ingest_upload up)
{
    fake.n_profiles = 0;
    memset(fake.totals, 0, sizeof fake.totals);
    memset(&outcome, 0, sizeof outcome);
    ingest_upload(test_ingest, &up, outcome_set, &outcome);
    assert_int_equal(outcome.calls, 1);
}

static void run_ok(struct ingest_upload up, uint32_t rows)
{
    fake_reset();
    run(up);
    if (outcome.st != ST_OK)
        fail_msg("refused: %s", outcome.msg);
    assert_int_equal(fake.n_rows, rows);
}

static void run_bad(struct ingest_upload up, int http, enum status st, const char *msg)
{
    fake_reset();
    run(up);
    assert_string_equal(outcome.msg, msg);
    assert_int_equal(outcome.st, st);
    assert_int_equal(outcome.http, http);
    assert_int_equal(fake.calls, 0);
}

/* As run_bad, for texts that end in a decoder's own words. */
static void run_bad_prefix(struct ingest_upload up, int http, enum status st, const char *prefix)
{
    fake_reset();
    run(up);
    if (strncmp(outcome.msg, prefix, strlen(prefix)) != 0)
        fail_msg("got '%s', not '%s…'", outcome.msg, prefix);
    assert_int_equal(outcome.st, st);
    assert_int_equal(outcome.http, http);
    assert_int_equal(fake.calls, 0);
}

#define PUT_LABELS(metric) \
    "{__name__=\"" metric "\", pyroscope_spy=\"unknown\", service_name=\"shop\"} "
#define AT " @1795382000000000000\n"

/* ---- text ---- */

static void test_put(void **state)
{
    (void)state;
    struct ingest_upload up = upload_of("shop.cpu{env=prod}", "", folded_ok);
    run_ok(up, 1);
    assert_string_equal(fake.rows[0],
        "{__name__=\"process_cpu\", env=\"prod\", pyroscope_spy=\"unknown\", "
        "service_name=\"shop\"} cpu/nanoseconds cpu/nanoseconds:10000000" AT
        ";main;a 30000000\n;main;b 70000000\n");
    run_ok(upload_of("shop.inuse_space", "", folded_ok), 1);
    assert_string_equal(
        fake.rows[0], PUT_LABELS("memory") "inuse_space/bytes /:0" AT ";main;a 3\n;main;b 7\n");
    run_ok(upload_of("shop", "folded", folded_ok), 1);
    assert_non_null(fake_row(PUT_LABELS("process_cpu") "cpu/nanoseconds"));
    run_ok(upload_of("shop.wall", "nonsense", folded_ok), 1);
    assert_non_null(fake_row(PUT_LABELS("wall") "wall/nanoseconds cpu/nanoseconds:10000000" AT));
    run_ok(upload_of("shop.lock_duration", "groups", folded_ok), 1);
    assert_non_null(fake_row(PUT_LABELS("block") "delay/nanoseconds /:0" AT));
    run_ok(upload_of("shop.goroutines", "groups", folded_ok), 1);
    assert_non_null(fake_row(PUT_LABELS("goroutine") "goroutines/count /:0" AT));
}

static void test_sample_rates(void **state)
{
    (void)state;
    static const struct {
        const char *rate, *types, *value;
    } cases[] = {
        {"", "cpu/nanoseconds cpu/nanoseconds:10000000", ";main;a 30000000\n"},
        {"fast", "cpu/nanoseconds cpu/nanoseconds:10000000", ";main;a 30000000\n"},
        {"-5", "cpu/nanoseconds cpu/nanoseconds:10000000", ";main;a 30000000\n"},
        {"50", "cpu/nanoseconds cpu/nanoseconds:20000000", ";main;a 60000000\n"},
        {"3", "cpu/nanoseconds cpu/nanoseconds:333333333", ";main;a 999999999\n"},
        {"0", "samples/count /:0", ";main;a 3\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ingest_upload up = upload_of("shop.cpu", "", folded_ok);
        up.sample_rate = str_from(cases[i].rate);
        run_ok(up, 1);
        assert_non_null(strstr(fake.rows[0], cases[i].types));
        assert_non_null(strstr(fake.rows[0], cases[i].value));
    }
    struct ingest_upload up = upload_of("shop.cpu", "", folded_ok);
    up.sample_rate = STR("2000000000"); /* a period of 0: everything is 0 */
    run_ok(up, 0);
    up.sample_rate = STR("1");
    up.body = STR("a 9223372036854775807\n");
    run_bad(
        up, 422, ST_UNKNOWN, "value out of range: 9223372036854775807 samples of 1000000000 ns");
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *from, *at;
    } cases[] = {
        {"", "@1795382100000000000"},
        {"yesterday", "@1795382100000000000"},
        {"now-10s", "@1795382090000000000"},
        {"1795382000123", "@1795382000123000000"},
        {"1795382000123456789", "@1795382000123456789"},
        {"0", "@1795382100000000000"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ingest_upload up = upload_of("shop.cpu", "", folded_ok);
        up.from = str_from(cases[i].from);
        run_ok(up, 1);
        assert_non_null(strstr(fake.rows[0], cases[i].at));
    }
}

static void test_text_formats(void **state)
{
    (void)state;
    run_ok(upload_of("shop.live", "lines", STR("a;b\na;b\na;c\n")), 1);
    assert_non_null(strstr(fake.rows[0], "\n;a;b 2\n;a;c 1\n"));
    struct str tree = STR("\x00\x00\x01\x01\x61\x00\x02\x01\x62\x01\x00\x01\x63\x02\x00");
    struct str trie = STR(
        "\x00\x00\x01\x06\x66\x6f\x6f\x3b\x62\x61\x00\x02\x01\x72\x03\x00\x01\x7a\x04\x00");
    run_ok(upload_of("shop.live", "tree", tree), 1);
    assert_non_null(strstr(fake.rows[0], "\n;a;b 1\n;a;c 2\n"));
    run_ok(upload_of("shop.live", "trie", trie), 1);
    assert_non_null(strstr(fake.rows[0], "\n;foo;bar 3\n;foo;baz 4\n"));
    struct ingest_upload up = upload_of("shop.live", "", tree);
    up.content_type = STR("binary/octet-stream+tree");
    run_ok(up, 1);
    up.body = trie;
    up.content_type = STR("binary/octet-stream+trie");
    run_ok(up, 1);
    run_ok(upload_of("shop.cpu", "", STR("")), 0);
    run_ok(upload_of("shop.cpu", "", STR("main;a\n")), 0);
    run_ok(upload_of("shop.cpu", "", STR("main;a -5\n")), 0);
    /* as the reference: a profile that belongs to a span is taken and not stored */
    run_ok(upload_of("shop.cpu{profile_id=7}", "", folded_ok), 0);
    run_ok(upload_of("shop.cpu{profile_id=}", "", folded_ok), 1);
}

static void test_text_limits(void **state)
{
    (void)state;
    test_limits.stack_depth_max = 2;
    test_limits.string_bytes_max = 3;
    run_ok(upload_of("shop.live", "", STR("root;mid;leaf 1\nroot;mid 2\n")), 1);
    assert_non_null(strstr(fake.rows[0], "\n;oot;mid 3\n")); /* root side of stacks, end of names */
    ingest_limits_default(&test_limits);
    test_limits.profile_samples_max = 1;
    run_bad(upload_of("shop.live", "", folded_ok), 400, ST_INVALID_ARGUMENT,
        "the profile with labels '{__delta__=\"false\", __name__=\"memory\", "
        "pyroscope_spy=\"unknown\", service_name=\"shop\"}' exceeds the samples count limit "
        "(max_profile_stacktrace_samples, actual: 2, limit: 1)");
    run_bad(upload_of("shop.live", "", STR("\xff\xfe;x 1\n")), 400, ST_INVALID_ARGUMENT,
        "invalid utf8 string hex: fffe");
}

/* ---- names, labels, statuses: §2.9 and §7.6 ---- */

static void test_name_errors(void **state)
{
    (void)state;
    static const struct {
        const char *name, *msg;
    } cases[] = {
        {"", "name: service name is required"},
        {"pro be.cpu", "name: invalid service name: pro be.cpu: character is not allowed: ' '"},
        {"x{gr\xc3\xb6=c}", "name: invalid label name: gr\xc3\xb6: character is not allowed: "
                            "'\xc3\xb6'"},
    };
    static const char *const formats[] = {"", "pprof", "jfr", "tree", "speedscope"};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (size_t f = 0; f < ARRAY_LEN(formats); f++)
            run_bad(upload_of(cases[i].name, formats[f], folded_ok), 400, ST_INVALID_ARGUMENT,
                cases[i].msg);
    struct ingest_upload up = upload_of("x", "", folded_ok);
    up.name = (struct str){NULL, 0};
    run_bad(up, 400, ST_INVALID_ARGUMENT, "name: service name is required");
}

static void test_suffix_errors(void **state)
{
    (void)state;
    const char *text = "pyroscopeIngesterAdapter failed to convert metadata: unknown profile "
                       "type: web";
    run_bad(upload_of("shop.web", "", folded_ok), 400, ST_INVALID_ARGUMENT, text);
    run_bad(upload_of("shop.web", "", STR("")), 400, ST_INVALID_ARGUMENT, text);
    struct str speed = STR(
        "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"shared\":{"
        "\"frames\":[{\"name\":\"a\"}]},\"profiles\":[{\"type\":\"sampled\",\"name\":\"p\","
        "\"unit\":"
        "\"bytes\",\"startValue\":0,\"endValue\":1,\"samples\":[[0]],\"weights\":[5]}]}");
    char prefixed[200];
    snprintf(prefixed, sizeof prefixed, "invalid_argument: %s", text);
    run_bad(upload_of("shop.web", "speedscope", speed), 422, ST_UNKNOWN, prefixed);
    run_ok(upload_of("shop.inuse_space", "speedscope", speed), 1);
    assert_string_equal(fake.rows[0],
        "{__name__=\"memory\", profile_name=\"p\", pyroscope_spy=\"unknown\", "
        "service_name=\"shop\"} inuse_space/bytes /:0" AT ";a 5\n");
}

/* Weights of a cpu or wall profile end as nanoseconds, whatever the file's unit. */
static void test_speedscope_units(void **state)
{
    (void)state;
    static const struct {
        const char *unit, *value;
    } cases[] = {{"seconds", "7000000000"}, {"milliseconds", "7000000"}, {"microseconds", "7000"},
        {"nanoseconds", "7"}, {"none", "70000000"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char json[600], want[64];
        int n = snprintf(json, sizeof json,
            "{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"shared\":{"
            "\"frames\":[{\"name\":\"a\"},{\"name\":\"b\"}]},\"profiles\":[{\"type\":\"sampled\","
            "\"name\":\"\",\"unit\":\"%s\",\"startValue\":0,\"endValue\":1,\"samples\":[[0,1]],"
            "\"weights\":[7]}]}",
            cases[i].unit);
        run_ok(upload_of("shop.wall", "speedscope", str_make(json, (size_t)n)), 1);
        snprintf(want, sizeof want, "\n;a;b %s\n", cases[i].value);
        assert_non_null(fake_row(PUT_LABELS("wall") "wall/nanoseconds cpu/nanoseconds:"));
        if (!strstr(fake.rows[0], want))
            fail_msg("%s: %s", cases[i].unit, fake.rows[0]);
    }
}

static void test_parse_errors(void **state)
{
    (void)state;
    run_bad(upload_of("s.cpu", "", STR("main;a 1.5\n")), 422, ST_UNKNOWN,
        "strconv.Atoi: parsing \"1.5\": invalid syntax");
    run_bad(upload_of("s.cpu", "", STR("main;a 99999999999999999999\n")), 422, ST_UNKNOWN,
        "strconv.Atoi: parsing \"99999999999999999999\": value out of range");
    struct str ff = STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    run_bad_prefix(upload_of("s.cpu", "trie", ff), 422, ST_UNKNOWN, "");
    run_bad_prefix(upload_of("s.cpu", "tree", ff), 422, ST_UNKNOWN, "");
    run_bad_prefix(upload_of("s", "speedscope", STR("{}")), 422, ST_UNKNOWN, "Unknown schema: ");
    run_bad_prefix(upload_of("s", "speedscope", STR("nope")), 422, ST_UNKNOWN, "");
    const char *parsing = "parsing IngestInput-pprof failed ";
    run_bad_prefix(upload_of("s", "pprof", STR("\xff\xff\xff")), 422, ST_UNKNOWN,
        "parsing IngestInput-pprof failed invalid_argument: ");
    run_bad_prefix(upload_of("s", "pprof", STR("\x1f\x8b\x08garbage")), 422, ST_UNKNOWN,
        "parsing IngestInput-pprof failed invalid_argument: ");
    run_bad_prefix(upload_of("s", "jfr", STR("not a recording")), 422, ST_UNKNOWN,
        "parsing IngestInput-pprof failed jfr parser ParseEvent error: ");
    run_ok(upload_of("s", "jfr", STR("")), 0);
    run_ok(upload_of("s", "pprof", STR("")), 0);
    struct ingest_upload up = upload_of("s", "jfr", STR("--XX--\r\n"));
    up.content_type = STR("multipart/form-data; boundary=XX");
    run_bad(up, 422, ST_UNKNOWN, "parsing IngestInput-pprof failed jfr field is required");
    up.content_type = STR("multipart/form-data");
    run_bad_prefix(up, 422, ST_UNKNOWN, parsing);
    up.format = STR("");
    run_bad(up, 422, ST_UNKNOWN,
        "parsing IngestInput-pprof failed failed to parse pprof /ingest multipart form malformed "
        "multipart content type header");
}

static void test_validation(void **state)
{
    (void)state;
    const char *text = "profile with labels '{__delta__=\"false\", __name__=\"process_cpu\", "
                       "pyroscope_spy=\"unknown\", pyroscope_spy=\"x\", service_name=\"shop\"}' "
                       "has duplicate label name: 'pyroscope_spy'";
    char prefixed[1000];
    snprintf(prefixed, sizeof prefixed,
        "pushing IngestInput-pprof failed push series with index 0 and id  failed: "
        "invalid_argument: %s",
        text);
    run_bad(upload_of("shop.cpu{pyroscope_spy=x}", "", folded_ok), 400, ST_INVALID_ARGUMENT, text);
    run_bad(upload_of("shop{pyroscope_spy=x}", "pprof", small_pprof("", "")), 422, ST_UNKNOWN,
        prefixed);
    /* the window */
    struct ingest_upload up = upload_of("shop.cpu", "", folded_ok);
    up.from = STR("now-2h");
    run_bad_prefix(up, 400, ST_INVALID_ARGUMENT,
        "profile with labels '{__delta__=\"false\", __name__=\"process_cpu\", "
        "pyroscope_spy=\"unknown\", service_name=\"shop\"}' is outside of ingestion window "
        "(profile "
        "timestamp: 2026-11-22 19:15:00 +0000 UTC, the ingestion window starts at ");
    /* __delta__ counts for the number of labels: 27 and 4 generated are 31 */
    struct buf b;
    buf_init(&b, MIB);
    buf_str(&b, STR("shop.cpu{"));
    for (int i = 0; i < 27; i++)
        buf_printf(&b, "l%d=v,", i);
    size_t without_one = b.n - strlen("l26=v,");
    up = upload_of("", "", folded_ok);
    up.name = arena_str_join(&test_arena, str_head(buf_view(&b), without_one), STR("}"));
    run_ok(up, 1);
    up.name = arena_str_join(&test_arena, buf_view(&b), STR("}"));
    run_bad_prefix(up, 400, ST_INVALID_ARGUMENT,
        "profile series '{__delta__=\"false\", __name__=\"process_cpu\", l0=\"v\", l1=\"v\", ");
    assert_non_null(strstr(outcome.msg, "' has 31 label names; limit 30"));
    buf_done(&b);
}

static void test_rate_limit(void **state)
{
    (void)state;
    test_limits.rate_bytes_per_s = 4 * MIB;
    test_limits.burst_bytes = 10;
    const char *bare = "push rate limit (4.0 MiB) exceeded while adding ";
    run_bad_prefix(upload_of("shop.cpu", "", folded_ok), 429, ST_RESOURCE_EXHAUSTED, bare);
    run_bad_prefix(upload_of("shop", "pprof", small_pprof("", "")), 429, ST_RESOURCE_EXHAUSTED,
        "pushing IngestInput-pprof failed push series with index 0 and id  failed: "
        "resource_exhausted: push rate limit (4.0 MiB) exceeded while adding ");
}

static void test_body_limit(void **state)
{
    (void)state;
    test_limits.body_bytes_max = 10;
    static const char *const formats[] = {"", "pprof", "jfr", "tree"};
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        run_bad(upload_of("shop.cpu", formats[i], folded_ok), 413, ST_INVALID_ARGUMENT,
            "request body too large: 18 bytes, limit 10");
}

static void test_store_outcomes(void **state)
{
    (void)state;
    static const struct {
        enum status st;
        int http;
    } cases[] = {{ST_UNAVAILABLE, 503}, {ST_RESOURCE_EXHAUSTED, 429}, {ST_DATA_LOSS, 500}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int late = 0; late < 2; late++) {
            fake_reset();
            if (late)
                fake.commit_status = cases[i].st;
            else
                fake.refuse_first = cases[i].st;
            fake.refuse_text = "the log is down";
            run(upload_of("shop", "pprof", small_pprof("", "")));
            assert_int_equal(outcome.st, cases[i].st);
            assert_int_equal(outcome.http, cases[i].http);
            assert_string_equal(outcome.msg, "the log is down");
        }
    /* sums that leave int64: two stacks that fit one by one */
    static const struct {
        const char *format;
        int http;
    } families[] = {{"", 400}, {"pprof", 422}};
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        fake_reset();
        fake.refuse_first = ST_OUT_OF_RANGE;
        fake.refuse_text = "sum";
        struct str body = STR("a 9223372036854775807\nb 1\n");
        if (i) {
            struct pprof_text t;
            pt_begin(&t, "cpu", "nanoseconds");
            uint32_t a = pt_string(&t, "a"), b = pt_string(&t, "b");
            pt_frame(&t, 1, a, 0);
            pt_frame(&t, 2, b, 0);
            pt_sample(&t, 1, INT64_MAX, 0, 0);
            pt_sample(&t, 2, 1, 0, 0);
            body = pt_end(&t, NOW_NS);
        }
        run(upload_of("shop.live", families[i].format, body));
        assert_int_equal(outcome.http, families[i].http);
        assert_non_null(strstr(outcome.msg, "has values whose sum exceeds 64 bits"));
        assert_int_equal(fake.appends, 0);
    }
}

static void test_small_arenas(void **state)
{
    (void)state;
    static const char *const formats[] = {"", "pprof"};
    for (size_t f = 0; f < ARRAY_LEN(formats); f++) {
        bool stored = false;
        struct str body = f ? small_pprof("k", "v") : folded_ok;
        for (size_t limit = 0; limit < 256 * KIB && !stored; limit += 512) {
            fake_reset();
            struct arena small;
            arena_init(&small, limit);
            struct ingest_upload up = upload_of("shop.cpu{a=b}", formats[f], body);
            up.arena = &small;
            run(up);
            stored = outcome.st == ST_OK;
            if (!stored)
                assert_true(outcome.http == 413 || outcome.http == 429);
            assert_int_equal(fake.calls, stored ? 1 : 0);
            arena_done(&small);
        }
        assert_true(stored);
    }
}

/* ---- pprof ---- */

static struct str one_type(const char *type)
{
    struct pprof_text t;
    pt_begin(&t, type, "count");
    pt_frame(&t, 1, pt_string(&t, "main"), 0);
    pt_sample(&t, 1, 5, 0, 0);
    return pt_end(&t, NOW_NS);
}

static void test_metric_names(void **state)
{
    (void)state;
    static const struct {
        const char *type, *metric;
    } cases[] = {{"cpu", "process_cpu"}, {"samples", "process_cpu"}, {"wall", "wall"},
        {"alloc_objects", "memory"}, {"inuse_space", "memory"}, {"space", "memory"},
        {"objects", "memory"}, {"contentions", "mutex"}, {"delay", "mutex"}, {"block_x", "block"},
        {"goroutine", "goroutines"}, {"goroutine_leak", "goroutine_leak"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        run_ok(upload_of("shop.web", "pprof", one_type(cases[i].type)), 1);
        char head[100];
        snprintf(head, sizeof head,
            "{__name__=\"%s\", pyroscope_spy=\"unknown\", "
            "service_name=\"shop.web\"} %s/count",
            cases[i].metric, cases[i].type);
        if (!fake_row(head))
            fail_msg("%s became %s", cases[i].type, fake.rows[0]);
    }
}

#define PART(name, filename) \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"" filename "\r\n\r\n"
#define FILE_PART(name) PART(name, "; filename=\"p\"")

/* A form of up to two file parts. */
static struct ingest_upload form_of(
    const char *head1, struct str part1, const char *head2, struct str part2, const char *end)
{
    struct buf b;
    buf_init(&b, MIB);
    buf_str(&b, str_from(head1));
    buf_str(&b, part1);
    if (head2) {
        buf_printf(&b, "\r\n%s", head2);
        buf_str(&b, part2);
    }
    buf_str(&b, str_from(end));
    struct ingest_upload up = upload_of("shop", "", arena_str(&test_arena, buf_view(&b)));
    buf_done(&b);
    up.content_type = STR("multipart/form-data; boundary=XX");
    return up;
}

static void test_forms(void **state)
{
    (void)state;
    struct str ok = one_type("delay");
    const char *end = "\r\n--XX--\r\n";
    run_ok(form_of(FILE_PART("profile"), ok, NULL, ok, end), 1);
    assert_non_null(fake_row("{__name__=\"mutex\""));
    run_ok(form_of(PART("profile", ""), ok, NULL, ok, end), 0); /* no file name: not seen */
    run_ok(form_of(FILE_PART("other"), ok, NULL, ok, end), 0);
    struct str config = STR("{\"delay\":{\"units\":\"lock_nanoseconds\",\"display-name\":"
                            "\"block_duration\",\"x\":[{\"y\":1}]}}");
    run_ok(form_of(FILE_PART("profile"), ok, FILE_PART("sample_type_config"), config, end), 1);
    assert_non_null(fake_row("{__name__=\"block\""));
    /* a config replaces the built-in map */
    run_ok(form_of(FILE_PART("profile"), ok, FILE_PART("sample_type_config"), STR("{}"), end), 1);
    assert_non_null(fake_row("{__name__=\"delay\""));
    static const char *const bad[] = {"{not json", "[]", "7", "{\"a\":[]}", "{\"a\":{\"units\":5}}",
        "{\"a\":{\"sampled\":\"yes\"}}", "{} x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        run_bad_prefix(form_of(FILE_PART("profile"), ok, FILE_PART("sample_type_config"),
                           str_from(bad[i]), end),
            422, ST_UNKNOWN,
            "parsing IngestInput-pprof failed failed to parse pprof /ingest multipart form ");
    run_bad_prefix(form_of(FILE_PART("profile"), ok, NULL, ok, "\r\n"), 422, ST_UNKNOWN,
        "parsing IngestInput-pprof failed failed to parse pprof /ingest multipart form ");
    run_bad_prefix(form_of(FILE_PART("profile"), ok, FILE_PART("prev_profile"), ok, end), 422,
        ST_UNKNOWN,
        "parsing IngestInput-pprof failed unsupported client version. Please update "
        "github.com/grafana/pyroscope-go to the latest version");
    struct ingest_upload up = form_of(FILE_PART("profile"), ok, NULL, ok, end);
    up.format = STR("pprof"); /* then the envelope is the profile */
    run_bad_prefix(up, 422, ST_UNKNOWN, "parsing IngestInput-pprof failed invalid_argument: ");
}

static void test_inflated_limit(void **state)
{
    (void)state;
    struct buf gz;
    buf_init(&gz, 4 * MIB);
    struct str zeros = str_make(arena_zalloc(&test_arena, MIB), MIB);
    assert_int_equal(gzip_deflate(zeros, 6, &gz, NULL), ST_OK);
    test_limits.profile_bytes_max = 100000;
    run_bad_prefix(upload_of("s", "pprof", buf_view(&gz)), 422, ST_UNKNOWN,
        "parsing IngestInput-pprof failed ");
    assert_non_null(
        strstr(outcome.msg, "decompressed size exceeds maximum allowed size of 100000 bytes"));
    struct ingest_upload up = form_of(
        FILE_PART("jfr"), buf_view(&gz), NULL, STR(""), "\r\n--XX--\r\n");
    up.format = STR("jfr");
    run_bad(up, 422, ST_UNKNOWN,
        "parsing IngestInput-pprof failed loadJFRFromForm failed to decompress jfr: decompressed "
        "size exceeds maximum allowed size of 100000 bytes");
    buf_done(&gz);
}

static struct str scripting_pprof(const char *filename)
{
    struct pprof_text t;
    pt_begin(&t, "cpu", "nanoseconds");
    uint32_t f = pt_string(&t, "f"), file = pt_string(&t, filename), other = pt_string(&t, "b.py");
    pt_frame(&t, 7, f, file);
    pt_frame(&t, 8, f, file);
    pt_frame(&t, 9, f, other);
    pt_sample(&t, 7, 5, 0, 0);
    pt_sample(&t, 8, 6, 0, 0);
    pt_sample(&t, 9, 1, 0, 0);
    return pt_end(&t, NOW_NS / 1000); /* microseconds, as old clients sent */
}

static void test_old_clients(void **state)
{
    (void)state;
    struct ingest_upload up = upload_of("shop", "pprof", scripting_pprof("a.py"));
    up.spy_name = STR("rbspy");
    run_ok(up, 1);
    assert_string_equal(fake.rows[0],
        "{__name__=\"process_cpu\", pyroscope_spy=\"rbspy\", service_name=\"shop\"} "
        "cpu/nanoseconds /:0" AT ";a.py f 11\n;b.py f 1\n");
    up.body = scripting_pprof("/usr/a.py");
    run_ok(up, 1);
    assert_non_null(strstr(fake.rows[0], "\n;/usr/a.py f 11\n;b.py f 1\n"));
    up.body = scripting_pprof("/usr/a.py");
    up.spy_name = STR("pyspy"); /* leaves absolute paths alone */
    run_ok(up, 1);
    assert_non_null(strstr(fake.rows[0], "\n;b.py f 1\n;f 11\n"));
    up.body = scripting_pprof("a.py");
    up.spy_name = STR("gospy");
    run_ok(up, 1);
    assert_non_null(strstr(fake.rows[0], "\n;f 12\n"));
}

static struct str dotnet_pprof(void)
{
    struct pprof_text t;
    pt_begin(&t, "alloc-space", "bytes");
    uint32_t a = pt_string(&t, "A"), b = pt_string(&t, "B");
    pt_frame(&t, 1, a, 0);
    pt_frame(&t, 2, b, 0);
    pt_sample(&t, 1, 5, 0, 0);
    pt_sample(&t, 2, 6, 0, 0);
    return pt_end(&t, NOW_NS);
}

static void test_dotnet(void **state)
{
    (void)state;
    struct ingest_upload up = upload_of("shop", "pprof", dotnet_pprof());
    up.spy_name = STR("dotnetspy");
    run_ok(up, 1);
    assert_non_null(fake_row("{__name__=\"memory\", pyroscope_spy=\"dotnetspy\", "
                             "service_name=\"shop\"} alloc_space/bytes"));
    up.spy_name = STR("");
    up.body = dotnet_pprof();
    run_bad(up, 422, ST_UNKNOWN,
        "pushing IngestInput-pprof failed push series with index 0 and id  failed: "
        "invalid_argument: sample type contains -");
    run_ok(form_of(FILE_PART("profile"), dotnet_pprof(), FILE_PART("sample_type_config"),
               STR("{\"inuse-space\":{}}"), "\r\n--XX--\r\n"),
        1);
    /* ids that are all 0 come from the locations */
    struct pprof_function functions[2] = {{.name = 1}, {.name = 2}};
    struct pprof_location locations[2] = {{.id = 7}, {.id = 9}};
    struct pprof p = {
        .functions = functions, .n_functions = 2, .locations = locations, .n_locations = 2};
    struct error err;
    assert_int_equal(ingest_fix_dotnet(&p, &test_arena, &err), ST_OK);
    assert_true(functions[0].id == 7 && functions[1].id == 9);
    functions[0].id = 0;
    assert_int_equal(ingest_fix_dotnet(&p, &test_arena, &err), ST_OK);
    assert_true(functions[0].id == 0 && functions[1].id == 9);
}

static void test_go(void **state)
{
    (void)state;
    struct pprof_text t;
    pt_begin(&t, "cpu", "nanoseconds");
    pt_frame(&t, 1, pt_string(&t, "x[go.shape.int].f"), 0);
    pt_frame(&t, 2, pt_string(&t, "x[go.shape.string].f"), 0);
    pt_sample(&t, 1, 5, 0, 0);
    pt_sample(&t, 2, 6, 0, 0);
    struct ingest_upload up = upload_of("shop", "pprof", pt_end(&t, NOW_NS));
    up.spy_name = STR("rbspy");
    run_ok(up, 1);
    assert_non_null(strstr(fake.rows[0], "go.shape"));
    up.spy_name = STR("gospy");
    run_ok(up, 1);
    assert_non_null(strstr(fake.rows[0], "\n;x.f 11\n"));
}

static bool is_go(const char *spy, const char *s1, const char *s2)
{
    struct label l = {STR("pyroscope_spy"), str_from(spy)};
    struct str strings[] = {STR(""), str_from(s1), str_from(s2)};
    struct pprof p = {.strings = strings, .n_strings = 3};
    return ingest_is_go((struct labels){&l, 1}, &p);
}

static void test_languages(void **state)
{
    (void)state;
    assert_true(is_go("gospy", "a.py", ""));
    assert_false(is_go("javaspy", "main.go", ""));
    assert_true(is_go("", "x", "/src/main.go"));
    assert_true(is_go("unknown", "/usr/local/go/src", "a.py"));
    assert_false(is_go("", "a.py", "main.go")); /* the first string decides */
    assert_false(is_go("", "x", "y"));
    assert_false(is_go("", "java/lang/Thread", "main.go"));
    assert_false(is_go("", "libs/core.rs", "main.go"));
}

static void test_sample_labels(void **state)
{
    (void)state;
    struct ingest_upload up = upload_of(
        "shop{env=prod}", "pprof", small_pprof("controller", "slow"));
    run_ok(up, 1);
    assert_non_null(fake_row("{__name__=\"process_cpu\", controller=\"slow\", env=\"prod\", "));
    up.body = small_pprof("env", "test"); /* the series wins */
    run_ok(up, 1);
    assert_non_null(fake_row("{__name__=\"process_cpu\", env=\"prod\", pyroscope_spy"));
    up.body = small_pprof("span_id", "0102030405060708");
    run_ok(up, 1);
    assert_non_null(strstr(fake.rows[0], ";main span=0807060504030201 5\n"));
    assert_null(strstr(fake.rows[0], "span_id"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(test_put),
        TEST_OF(test_sample_rates),
        TEST_OF(test_times),
        TEST_OF(test_text_formats),
        TEST_OF(test_text_limits),
        TEST_OF(test_name_errors),
        TEST_OF(test_suffix_errors),
        TEST_OF(test_speedscope_units),
        TEST_OF(test_parse_errors),
        TEST_OF(test_validation),
        TEST_OF(test_rate_limit),
        TEST_OF(test_body_limit),
        TEST_OF(test_store_outcomes),
        TEST_OF(test_small_arenas),
        TEST_OF(test_metric_names),
        TEST_OF(test_forms),
        TEST_OF(test_inflated_limit),
        TEST_OF(test_old_clients),
        TEST_OF(test_dotnet),
        TEST_OF(test_go),
        TEST_OF(test_languages),
        TEST_OF(test_sample_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
