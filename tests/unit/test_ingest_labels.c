/* ingest: label sets from the user's words to what is stored, their validation with exact texts,
 * and the splitting of a profile by them against a naive model. */
#include "test.h"

#include "ingest_fixture.h"

struct pair {
    const char *name, *value;
};

static struct label_set set_of(const struct pair *pairs, uint32_t n)
{
    struct label_set set = {0};
    for (uint32_t i = 0; i < n; i++) {
        struct label *l = VEC_PUSH(&test_arena, set);
        *l = (struct label){str_from(pairs[i].name), str_from(pairs[i].value)};
    }
    return set;
}

static const char *text_of(struct labels labels)
{
    struct buf b;
    buf_init(&b, MIB);
    labels_format(labels, &b);
    const char *z = arena_cstr(&test_arena, buf_view(&b));
    buf_done(&b);
    return z;
}

static const char *repeated(char c, size_t n)
{
    char *p = arena_alloc(&test_arena, n + 1);
    memset(p, c, n);
    p[n] = 0;
    return p;
}

/* ---- validation ---- */

struct check_case {
    struct pair pairs[6];
    uint32_t n;
    const char *reason, *text;
};

static void check(const struct pair *pairs, uint32_t n, const char *reason, const char *text)
{
    struct error err;
    struct str got = STR("none");
    struct label_set set = set_of(pairs, n);
    enum status st = ingest_check_labels(bare_request(), &set, &got, &err);
    if (!text) {
        assert_int_equal(st, ST_OK);
        return;
    }
    assert_int_equal(st, ST_INVALID_ARGUMENT);
    assert_string_equal(err.msg, text);
    assert_string_equal(arena_cstr(&test_arena, got), reason);
}

static void test_check_table(void **state)
{
    (void)state;
    static const struct check_case cases[] = {
        {{{"__name__", "cpu"}, {"service_name", "s"}}, 2, NULL, NULL},
        {{{"__name__", "cpu"}, {"a.b/c d", "x"}, {"größe", "ß"}, {"service_name", "s"}}, 4, NULL,
            NULL},
        {{{0}}, 0, "missing_labels", "error at least one label pair is required per profile"},
        {{{"service_name", "probe"}}, 1, "invalid_labels",
            "invalid labels '{service_name=\"probe\"}' with error: invalid metric name"},
        {{{"__name__", "\xff"}, {"service_name", "s"}}, 2, "invalid_labels",
            "invalid labels '{__name__=\"\\xff\", service_name=\"s\"}' with error: invalid metric "
            "name"},
        {{{"__name__", "cpu"}}, 1, "missing_labels",
            "invalid labels '{__name__=\"cpu\"}' with error: service name is not provided"},
        {{{"", "x"}, {"__name__", "cpu"}, {"service_name", "s"}}, 3, "invalid_labels",
            "invalid labels '{=\"x\", __name__=\"cpu\", service_name=\"s\"}' with error: invalid "
            "label name ''"},
        {{{"__name__", "cpu"}, {"a", "\xfe"}, {"service_name", "s"}}, 3, "invalid_labels",
            "invalid labels '{__name__=\"cpu\", a=\"\\xfe\", service_name=\"s\"}' with error: "
            "invalid label value '\xfe'"},
        {{{"__name__", "process_cpu"}, {"a", "1"}, {"a", "2"}, {"service_name", "probe"}}, 4,
            "duplicate_label_names",
            "profile with labels '{__name__=\"process_cpu\", a=\"1\", a=\"2\", "
            "service_name=\"probe\"}' has duplicate label name: 'a'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check(cases[i].pairs, cases[i].n, cases[i].reason, cases[i].text);
}

static void test_check_lengths(void **state)
{
    (void)state;
    struct pair p[] = {{"__name__", "cpu"}, {"a", "x"}, {"service_name", "s"}};
    test_limits.label_name_bytes_max = 12;
    test_limits.label_value_bytes_max = 4;
    p[1].value = "12345";
    check(p, 3, "label_value_too_long",
        "profile with labels '{__name__=\"cpu\", a=\"12345\", service_name=\"s\"}' has label value "
        "too long: '12345'");
    p[1] = (struct pair){"abcdefghijklm", "1234"};
    check(p, 3, "label_name_too_long",
        "profile with labels '{__name__=\"cpu\", abcdefghijklm=\"1234\", service_name=\"s\"}' has "
        "label name too long: 'abcdefghijklm'");
    p[1] = (struct pair){"abcdefghijkl", "1234"};
    check(p, 3, NULL, NULL);
    test_limits.labels_per_series_max = 2;
    check(p, 3, "max_label_names_per_series",
        "profile series '{__name__=\"cpu\", abcdefghijkl=\"1234\", service_name=\"s\"}' has 3 "
        "label names; limit 2");
}

/* However long the labels are, the message ends with what is wrong. */
static void test_check_clips(void **state)
{
    (void)state;
    struct pair p[] = {{"__name__", "cpu"}, {"a", NULL}, {"service_name", "s"}};
    p[1].value = repeated('v', 2049);
    struct error err;
    struct str reason;
    struct label_set set = set_of(p, 3);
    assert_int_equal(ingest_check_labels(bare_request(), &set, &reason, &err), ST_INVALID_ARGUMENT);
    assert_true(err.len < ERROR_MSG_MAX - 1);
    assert_non_null(strstr(err.msg, "has label value too long: 'vvv"));
    assert_non_null(strstr(err.msg, "profile with labels '{__name__=\"cpu\", a=\"vvv"));
}

static void test_sanitizing(void **state)
{
    (void)state;
    test_limits.label_sanitization = true;
    struct error err;
    struct str reason;
    struct pair ok[] = {
        {"__name__", "cpu"}, {"a.b", "x"}, {"a_b", "x"}, {"k.8.s", "y"}, {"service_name", "s"}};
    struct label_set set = set_of(ok, 5);
    assert_int_equal(ingest_check_labels(bare_request(), &set, &reason, &err), ST_OK);
    assert_string_equal(text_of(label_set_view(&set)),
        "{__name__=\"cpu\", a_b=\"x\", k_8_s=\"y\", service_name=\"s\"}");
    struct pair dup[] = {{"__name__", "cpu"}, {"a.b", "x"}, {"a_b", "z"}, {"service_name", "s"}};
    check(dup, 4, "duplicate_label_names",
        "profile with labels '{__name__=\"cpu\", a.b=\"x\", a_b=\"z\", service_name=\"s\"}' has "
        "duplicate label name 'a_b' after label name sanitization from 'a.b'");
    static const char *const bad[] = {"1a", "a-b", "a/b", "gr\xc3\xb6\xc3\x9f"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct pair p[] = {{"__name__", "cpu"}, {bad[i], "x"}, {"service_name", "s"}};
        set = set_of(p, 3);
        labels_sort(set.v, set.n);
        assert_int_equal(
            ingest_check_labels(bare_request(), &set, &reason, &err), ST_INVALID_ARGUMENT);
        assert_non_null(strstr(err.msg, "with error: invalid label name '"));
    }
}

/* ---- making and rewriting ---- */

static const char *made(enum ingest_naming naming, const char *name_text, const char *event)
{
    struct app_name name;
    struct labels labels;
    struct error err;
    assert_int_equal(app_name_parse(str_from(name_text), &test_arena, &name, &err), ST_OK);
    struct ingest_label_input in = {.naming = naming,
        .name = &name,
        .app = name.name,
        .metric = STR("wall"),
        .spy = STR("gospy"),
        .event = str_from(event),
        .profile_name = STR_EMPTY};
    assert_int_equal(ingest_labels_make(&in, &test_arena, &labels, &err), ST_OK);
    return text_of(labels);
}

static void test_make(void **state)
{
    (void)state;
#define BASE "{__delta__=\"false\", __name__=\"wall\", "
    assert_string_equal(made(NAMING_PPROF, "app{a=b,__x__=y}", ""),
        BASE "a=\"b\", pyroscope_spy=\"gospy\", service_name=\"app\"}");
    assert_string_equal(made(NAMING_PPROF, "app{service_name=other}", ""),
        BASE "pyroscope_spy=\"gospy\", service_name=\"other\"}");
    assert_string_equal(made(NAMING_PUT, "app{service_name=other}", ""),
        BASE "app_name=\"app\", pyroscope_spy=\"gospy\", service_name=\"other\"}");
    assert_string_equal(made(NAMING_JFR, "app{service_name=other,app_name=mine}", "itimer"),
        BASE "app_name=\"mine\", jfr_event=\"itimer\", pyroscope_spy=\"gospy\", "
             "service_name=\"other\"}");
    assert_string_equal(made(NAMING_JFR, "app{__session_id__=0600000000000000}", ""),
        "{__delta__=\"false\", __name__=\"wall\", __session_id__=\"0600000000000000\", "
        "pyroscope_spy=\"gospy\", service_name=\"app\"}");
    assert_string_equal(made(NAMING_PUT, "app{service_name=}", ""),
        BASE "app_name=\"app\", pyroscope_spy=\"gospy\", service_name=\"unknown_service\"}");
    /* a collision stays visible, for validation to refuse */
    assert_string_equal(made(NAMING_PPROF, "app{pyroscope_spy=x}", ""),
        BASE "pyroscope_spy=\"gospy\", pyroscope_spy=\"x\", service_name=\"app\"}");
#undef BASE
}

static void test_sessions(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
        uint64_t max;
    } cases[] = {
        {"0600000000000000", NULL, 0}, {"0600000000000000", "0200000000000000", 4},
        {"0100000000000000", "0100000000000000", 4}, {"06000000000000", NULL, 4},
        {"060000000000000g", NULL, 4}, {"0600000000000000", "0600000000000000", UINT64_MAX},
        {"FFFFFFFFFFFFFFFF", "ffffffffffffffff", 4}, /* -1 mod 4 = -1 */
        {"0000000000000080", "0000000000000000", 4}, /* the least number */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair p[] = {{"__name__", "cpu"}, {"__session_id__", cases[i].in}, {"a", "b"}};
        struct label_set set = set_of(p, 3);
        ingest_limit_session(&set, &test_arena, cases[i].max);
        struct str got = labels_get(label_set_view(&set), STR("__session_id__"));
        assert_int_equal(set.n, cases[i].out ? 3 : 2);
        if (cases[i].out)
            assert_true(str_eq(got, str_from(cases[i].out)));
        else
            assert_null(got.p);
    }
}

static void test_relabel(void **state)
{
    (void)state;
    static const struct {
        struct pair in[4];
        uint32_t n;
        const char *out;
    } cases[] = {
        {{{"__name__", "memory"}, {"z", "1"}}, 2, "{__name__=\"memory\", z=\"1\"}"},
        {{{"__name__", "godeltaprof_memory"}, {"z", "1"}}, 2,
            "{__delta__=\"false\", __name__=\"memory\", __name_replaced__=\"godeltaprof_memory\", "
            "z=\"1\"}"},
        {{{"__delta__", "true"}, {"__name__", "godeltaprof_mutex"}}, 2,
            "{__delta__=\"false\", __name__=\"mutex\", __name_replaced__=\"godeltaprof_mutex\"}"},
        {{{"__name__", "godeltaprof_"}}, 1,
            "{__delta__=\"false\", __name_replaced__=\"godeltaprof_\"}"},
        {{{"__name__", "wall"}, {"__type__", "cpu"}}, 2,
            "{__name__=\"process_cpu\", __name_replaced__=\"wall\", __type__=\"cpu\"}"},
        {{{"__name__", "wall"}, {"__type__", "wall"}}, 2, "{__name__=\"wall\", __type__=\"wall\"}"},
        {{{"__name__", "godeltaprof_wall"}, {"__type__", "cpu"}}, 2,
            "{__delta__=\"false\", __name__=\"process_cpu\", __name_replaced__=\"wall\", "
            "__type__=\"cpu\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct label_set set = set_of(cases[i].in, cases[i].n);
        assert_true(ingest_relabel(&set, &test_arena));
        assert_string_equal(text_of(label_set_view(&set)), cases[i].out);
    }
}

static void test_texts(void **state)
{
    (void)state;
    static const struct {
        uint64_t n;
        unsigned base;
        const char *text;
    } sizes[] = {{0, 1024, "0 B"}, {7, 1024, "7 B"}, {999, 1000, "999 B"}, {1023, 1024, "1023 B"},
        {4 << 20, 1024, "4.0 MiB"}, {5347738, 1024, "5.1 MiB"}, {64 << 20, 1024, "64 MiB"},
        {4194304, 1000, "4.2 MB"}, {268435456, 1000, "268 MB"}, {33554432, 1000, "34 MB"},
        {1 << 30, 1024, "1.0 GiB"}, {UINT64_MAX, 1024, "16 EiB"}, {UINT64_MAX, 1000, "18 EB"}};
    char out[64];
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        ingest_size_text(sizes[i].n, sizes[i].base, out);
        assert_string_equal(out, sizes[i].text);
    }
    ingest_time_text(1787306400123, out);
    assert_string_equal(out, "2026-08-21 10:00:00.123 +0000 UTC");
    ingest_time_text(1787306400120, out);
    assert_string_equal(out, "2026-08-21 10:00:00.12 +0000 UTC");
    ingest_time_text(1787306400000, out);
    assert_string_equal(out, "2026-08-21 10:00:00 +0000 UTC");
    ingest_time_text(-1, out);
    assert_string_equal(out, "1969-12-31 23:59:59.999 +0000 UTC");
    assert_true(str_eq(ingest_clip(&test_arena, STR("a\xc3\xb6z"), 2), STR("a\xe2\x80\xa6")));
    assert_true(str_eq(ingest_clip(&test_arena, STR("a\xc3\xb6"), 3), STR("a\xc3\xb6")));
}

/* ---- splitting, against a naive model ---- */

static uint64_t rng;

static uint32_t pick(uint32_t n)
{
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(rng >> 33) % n;
}

enum { STRINGS = 12, SETS = 40, SAMPLES = 300 };
static const char *const words[STRINGS] = {
    "", "a", "b", "c", "d", "x", "y", "z", "__delta__", "__type__", "service_name", "wall"};

static struct profile *random_profile(void)
{
    struct prof_symbols *sym = ARENA_NEW(&test_arena, struct prof_symbols);
    struct profile *p = ARENA_NEW(&test_arena, struct profile);
    sym->strings = ARENA_ARRAY(&test_arena, struct str, STRINGS);
    for (uint32_t i = 0; i < STRINGS; i++)
        sym->strings[i] = str_from(words[i]);
    sym->n_strings = STRINGS;
    sym->labelsets = ARENA_ZARRAY(&test_arena, struct prof_labelset, SETS);
    sym->labels = ARENA_ZARRAY(&test_arena, struct prof_label, SETS * 4);
    sym->n_labelsets = 1 + pick(SETS);
    for (uint32_t i = 1; i < sym->n_labelsets; i++) {
        sym->labelsets[i].first = sym->n_labels;
        sym->labelsets[i].n = pick(4);
        for (uint32_t k = 0; k < sym->labelsets[i].n; k++)
            sym->labels[sym->n_labels++] = (struct prof_label){
                1 + pick(STRINGS - 2), pick(STRINGS)};
    }
    sym->stacks = ARENA_ZARRAY(&test_arena, struct prof_stack, 1);
    sym->n_stacks = 1;
    p->sym = sym;
    p->types = ARENA_ZARRAY(&test_arena, struct prof_type, 1);
    p->n_types = 1;
    p->time_ns = NOW_NS;
    p->n_samples = pick(SAMPLES);
    p->samples = ARENA_ZARRAY(&test_arena, struct prof_sample, SAMPLES);
    p->values = ARENA_ZARRAY(&test_arena, int64_t, SAMPLES);
    for (uint32_t i = 0; i < p->n_samples; i++) {
        p->samples[i].labelset = pick(sym->n_labelsets);
        p->values[i] = 1 + pick(1000);
    }
    return p;
}

/* The final labels of one sample, written without any of the tricks of split.c. */
static const char *model_labels(
    const struct prof_symbols *sym, struct prof_labelset ls, struct labels series)
{
    struct label_set set = {0};
    for (uint32_t i = 0; i < series.n; i++)
        *VEC_PUSH(&test_arena, set) = series.v[i];
    for (uint32_t i = 0; i < ls.n; i++) {
        struct label l = {sym->strings[sym->labels[ls.first + i].key],
            sym->strings[sym->labels[ls.first + i].value]};
        bool have = l.value.n == 0;
        for (uint32_t k = 0; k < set.n; k++)
            have = have || str_eq(set.v[k].name, l.name);
        if (!have)
            *VEC_PUSH(&test_arena, set) = l;
    }
    labels_sort(set.v, set.n);
    assert_true(ingest_relabel(&set, &test_arena));
    label_set_drop(&set, STR("__delta__"));
    label_set_drop(&set, STR("__type__"));
    return text_of(label_set_view(&set));
}

static void check_split(const struct profile *p, struct labels series, struct ingest_request *rq)
{
    bool *seen = ARENA_ZARRAY(&test_arena, bool, SAMPLES);
    uint32_t total = 0;
    for (uint32_t r = 0; r < rq->rows.n; r++) {
        const struct store_row *row = &rq->rows.v[r];
        const char *labels = text_of(row->labels);
        assert_ptr_equal(row->prof, p);
        assert_true(row->n_samples > 0);
        for (uint32_t other = 0; other < r; other++)
            assert_false(labels_eq(rq->rows.v[other].labels, row->labels));
        for (uint32_t i = 0; i < row->n_samples; i++) {
            uint32_t at = row->samples ? row->samples[i] : i;
            assert_true(at < p->n_samples && !seen[at]);
            seen[at] = true;
            assert_string_equal(
                labels, model_labels(p->sym, p->sym->labelsets[p->samples[at].labelset], series));
        }
        total += row->n_samples;
    }
    assert_int_equal(total, p->n_samples);
}

static void test_split_model(void **state)
{
    (void)state;
    static const struct pair base[] = {
        {"__delta__", "false"}, {"__name__", "wall"}, {"b", "1"}, {"service_name", "s"}};
    for (uint64_t seed = 1; seed <= 500; seed++) {
        rng = seed;
        arena_reset(&test_arena);
        struct label_set set = set_of(base + pick(2), 3);
        struct profile *p = random_profile();
        struct ingest_request *rq = bare_request();
        struct ingest_series s = {.labels = label_set_view(&set), .prof = p};
        struct error err;
        if (set.v[set.n - 1].name.n != 12) /* without service_name validation refuses */
            set.v[set.n - 1] = (struct label){STR("service_name"), STR("s")};
        enum status st = ingest_split(rq, &s, &err);
        if (st != ST_OK)
            fail_msg("seed %" PRIu64 ": %s", seed, err.msg);
        check_split(p, s.labels, rq);
    }
}

/* A set that validation refuses refuses the profile: no row of it stays. */
static void test_split_refuses(void **state)
{
    (void)state;
    rng = 7;
    struct profile *p = NULL;
    while (!p || p->n_samples < 100 || p->sym->n_labelsets < 5)
        p = random_profile();
    test_limits.labels_per_series_max = 3;
    static const struct pair base[] = {{"__name__", "wall"}, {"q", "1"}, {"service_name", "s"}};
    struct label_set set = set_of(base, 3);
    struct ingest_request *rq = bare_request();
    struct ingest_series s = {.labels = label_set_view(&set), .prof = p};
    struct error err;
    assert_int_equal(ingest_split(rq, &s, &err), ST_INVALID_ARGUMENT);
    assert_int_equal(rq->rows.n, 0);
    assert_true(str_eq(s.reason, STR("max_label_names_per_series")));
}

static void test_versions(void **state)
{
    (void)state;
    struct prof_mapping mappings[3] = {{.build_id = 1}, {.build_id = 0}, {.build_id = 1}};
    struct str strings[2] = {STR(""), STR("abc")};
    struct prof_symbols sym = {
        .strings = strings, .n_strings = 2, .mappings = mappings, .n_mappings = 3};
    struct profile prof = {.sym = &sym};
    static const struct pair with[] = {{"service_git_ref", "v1\"x"}, {"service_repository", "r"}};
    static const struct pair without[] = {{"service_name", "s"}};
    struct label_set none = set_of(without, 1), both = set_of(with, 2);
    assert_true(ingest_inject_versions(&prof, label_set_view(&none), &test_arena));
    assert_ptr_equal(prof.sym, &sym);
    assert_true(ingest_inject_versions(&prof, label_set_view(&both), &test_arena));
    const struct prof_symbols *got = prof.sym;
    assert_int_equal(got->n_strings, 4);
    assert_true(str_eq(got->strings[got->mappings[0].build_id],
        STR("{\"repository\":\"r\",\"git_ref\":\"v1\\\"x\",\"build_id\":\"abc\"}")));
    assert_true(str_eq(got->strings[got->mappings[1].build_id],
        STR("{\"repository\":\"r\",\"git_ref\":\"v1\\\"x\"}")));
    assert_int_equal(got->mappings[2].build_id, got->mappings[0].build_id);
    assert_int_equal(mappings[0].build_id, 1); /* the shared symbols stay */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(test_check_table),
        TEST_OF(test_check_lengths),
        TEST_OF(test_check_clips),
        TEST_OF(test_sanitizing),
        TEST_OF(test_make),
        TEST_OF(test_sessions),
        TEST_OF(test_relabel),
        TEST_OF(test_texts),
        TEST_OF(test_split_model),
        TEST_OF(test_split_refuses),
        TEST_OF(test_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
