/* Relabelling: the examples of Prometheus' documentation and tests, what is refused, and what
 * becomes of uploads. */
#include "test.h"

#include "codec/md5.h"
#include "ingest/relabel_int.h"
#include "ingest_fixture.h"

static int end(void **state)
{
    compiled_forget();
    return fixture_end(state);
}
#define T(fn) cmocka_unit_test_setup_teardown(fn, fixture_begin, end)

static const struct relabel *rules_of(const char *json)
{
    const struct relabel *rules = NULL;
    struct error err = {0};
    if (relabel_compile(str_from(json), false, &rules, &err) != ST_OK)
        fail_msg("%s", err.msg);
    return rules;
}

/* "a=1 b=2" → the same form, sorted; "dropped". */
static const char *apply(const char *json, const char *labels)
{
    struct label_set set = {0};
    struct str_split it = {str_from(labels), false};
    struct str pair;
    bool keep;
    while (str_split_next(&it, ' ', &pair)) {
        size_t eq = str_find_char(pair, '=');
        assert_true(label_set_put(&set, &test_arena, str_head(pair, eq), str_skip(pair, eq + 1)));
    }
    assert_true(relabel_apply(rules_of(json), &set, &test_arena, &keep));
    if (!keep)
        return "dropped";
    struct buf b;
    buf_init(&b, MIB);
    for (uint32_t i = 0; i < set.n; i++)
        buf_printf(
            &b, "%s%.*s=%.*s", i ? " " : "", STR_ARG(set.v[i].name), STR_ARG(set.v[i].value));
    const char *text = arena_cstr(&test_arena, buf_view(&b));
    buf_done(&b);
    return text;
}

static const struct {
    const char *rules, *in, *out;
} examples[] = {
    {"", "a=foo", "a=foo"},
    {"[]", "a=foo", "a=foo"},
    {"[{\"source_labels\":[\"a\"],\"regex\":\"f(.*)\",\"target_label\":\"d\","
     "\"replacement\":\"ch${1}-ch${1}\",\"action\":\"replace\"}]",
        "a=foo b=bar c=baz", "a=foo b=bar c=baz d=choo-choo"},
    {"[{\"source_labels\":[\"a\",\"b\"],\"regex\":\"f(.*);(.*)r\",\"target_label\":\"a\","
     "\"replacement\":\"b${1}${2}m\"},"
     "{\"source_labels\":[\"c\",\"a\"],\"regex\":\"(b).*b(.*)ba(.*)\","
     "\"target_label\":\"d\",\"replacement\":\"$1$2$2$3\"}]",
        "a=foo b=bar c=baz", "a=boobam b=bar c=baz d=boooom"},
    {"[{\"source_labels\":[\"a\"],\"regex\":\".*o.*\",\"action\":\"drop\"},"
     "{\"source_labels\":[\"a\"],\"target_label\":\"d\",\"replacement\":\"x\"}]",
        "a=foo", "dropped"},
    {"[{\"source_labels\":[\"a\"],\"regex\":\"no\",\"action\":\"drop\"}]", "a=foo", "a=foo"},
    {"[{\"source_labels\":[\"a\"],\"regex\":\"f|o\",\"action\":\"drop\"}]", "a=foo", "a=foo"},
    {"[{\"source_labels\":[\"a\"],\"regex\":\"no-match\",\"action\":\"keep\"}]", "a=foo",
        "dropped"},
    {"[{\"source_labels\":[\"a\"],\"regex\":\"f.*\",\"action\":\"Keep\"}]", "a=foo", "a=foo"},
    /* no match: nothing is replaced */
    {"[{\"source_labels\":[\"a\"],\"regex\":\"x\",\"target_label\":\"b\","
     "\"replacement\":\"y\"}]",
        "a=foo b=bar", "a=foo b=bar"},
    /* an empty result deletes */
    {"[{\"source_labels\":[\"a\"],\"regex\":\"(f).*\",\"target_label\":\"b\","
     "\"replacement\":\"$2\"}]",
        "a=foo b=bar", "a=foo"},
    {"[{\"target_label\":\"a\",\"replacement\":\"\"}]", "a=foo b=bar", "b=bar"},
    /* the defaults: copy the value */
    {"[{\"source_labels\":[\"a\"],\"target_label\":\"d\"}]", "a=foo", "a=foo d=foo"},
    {"[{\"source_labels\":[\"a\",\"x\",\"b\"],\"separator\":\"-\",\"target_label\":\"d\"}]",
        "a=1 b=2", "a=1 b=2 d=1--2"},
    {"[{\"source_labels\":[\"c\"],\"target_label\":\"d\",\"modulus\":1000,"
     "\"action\":\"hashmod\"}]",
        "a=foo b=bar c=baz", "a=foo b=bar c=baz d=976"},
    {"[{\"regex\":\"(b.*)\",\"replacement\":\"bar_${1}\",\"action\":\"labelmap\"}]",
        "a=foo b1=bar b2=baz", "a=foo b1=bar b2=baz bar_b1=bar bar_b2=baz"},
    {"[{\"regex\":\"__meta_(my.*)\",\"action\":\"labelmap\"}]",
        "__meta_my_bar=aaa __meta_my_baz=bbb __meta_other=ccc",
        "__meta_my_bar=aaa __meta_my_baz=bbb __meta_other=ccc my_bar=aaa my_baz=bbb"},
    {"[{\"source_labels\":[\"a\"],\"regex\":\"some-([^-]+)-([^,]+)\","
     "\"replacement\":\"${2}\",\"target_label\":\"${1}\"}]",
        "a=some-name-value", "a=some-name-value name=value"},
    {"[{\"source_labels\":[\"a\"],\"regex\":\"some-([^-]+)-([^,]+)\","
     "\"replacement\":\"${1}\",\"target_label\":\"${3}\"}]",
        "a=some-name-value", "a=some-name-value"},
    {"[{\"source_labels\":[\"a\"],\"regex\":\"(?P<first>f)(o+)\","
     "\"replacement\":\"$first-$2-$$1-$1x-$\",\"target_label\":\"b\"}]",
        "a=foo", "a=foo b=f-oo-$1--$"},
    {"[{\"regex\":\"(b.*)\",\"action\":\"labeldrop\"}]", "a=1 b1=2 b2=3", "a=1"},
    {"[{\"regex\":\"(b.*)\",\"action\":\"labelkeep\"}]", "a=1 b1=2 b2=3", "b1=2 b2=3"},
    {"[{\"source_labels\":[\"f\"],\"target_label\":\"u\",\"action\":\"uppercase\"},"
     "{\"source_labels\":[\"f\"],\"target_label\":\"l\",\"action\":\"lowercase\"}]",
        "f=bAr123Foo@[`{", "f=bAr123Foo@[`{ l=bar123foo@[`{ u=BAR123FOO@[`{"},
    {"[{\"source_labels\":[\"p\"],\"target_label\":\"q\",\"action\":\"keepequal\"}]", "p=1 q=1",
        "p=1 q=1"},
    {"[{\"source_labels\":[\"p\"],\"target_label\":\"q\",\"action\":\"keepequal\"}]", "p=1 q=2",
        "dropped"},
    {"[{\"source_labels\":[\"p\"],\"target_label\":\"q\",\"action\":\"dropequal\"}]", "p=1 q=1",
        "dropped"},
    {"[{\"source_labels\":[\"p\"],\"target_label\":\"q\",\"action\":\"dropequal\"}]", "p=1 q=2",
        "p=1 q=2"},
    /* `.` takes a newline: the whole value is matched */
    {"[{\"source_labels\":[\"a\"],\"regex\":\"x(.*)\",\"target_label\":\"b\"}]", "a=x\ny",
        "a=x\ny b=\ny"},
};

static void rules_do_what_prometheus_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(examples); i++)
        assert_string_equal(apply(examples[i].rules, examples[i].in), examples[i].out);
}

static void bad_rules_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *rules, *text;
        bool types;
    } cases[] = {
        {"{}", "relabelling rules are not a list"},
        {"[7]", "rule 1 is not a mapping"},
        {"[{\"target_label\":\"a\"},{\"x\":\"y\"}]",
            "relabelling rule 2: field x not found in type relabel.Config"},
        {"[{\"action\":\"explode\"}]", "relabelling rule 1: unknown relabel action \"explode\""},
        {"[{\"action\":\"replace\"}]",
            "relabelling rule 1: relabel configuration for replace action requires 'target_label' "
            "value"},
        {"[{\"action\":\"hashmod\",\"target_label\":\"x\"}]",
            "relabelling rule 1: relabel configuration for hashmod requires non-zero modulus"},
        {"[{\"action\":\"hashmod\",\"target_label\":\"x\",\"modulus\":-1}]",
            "relabelling rule 1: modulus is not a whole number"},
        {"[{\"action\":\"labeldrop\",\"regex\":\"a\",\"source_labels\":[\"b\"]}]",
            "relabelling rule 1: labeldrop action requires only 'regex', and no other fields"},
        {"[{\"action\":\"drop\",\"regex\":\"a)|(b\"}]",
            "relabelling rule 1: error parsing regexp: unexpected ): a)|(b"},
        {"[{\"action\":\"drop\",\"regex\":[]}]", "relabelling rule 1: regex has the wrong type"},
        {"[{\"action\":\"replace\",\"target_label\":\"a\"}]",
            "relabelling rule 1: only the actions drop and keep are allowed here", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct error err = {0};
        const struct relabel *rules = NULL;
        assert_int_equal(relabel_compile(str_from(cases[i].rules), cases[i].types, &rules, &err),
            ST_INVALID_ARGUMENT);
        assert_string_equal(err.msg, cases[i].text);
    }
}

static void equal_texts_are_compiled_once(void **state)
{
    (void)state;
    const char *json = "[{\"action\":\"drop\",\"regex\":\"a\"}]";
    assert_ptr_equal(rules_of(json), rules_of(json));
    assert_true(str_eq(relabel_text(rules_of(json)), str_from(json)));
    assert_null(rules_of(" "));
    assert_null(rules_of("[]"));
}

static void md5_of(const char *text, const char *hex)
{
    uint8_t sum[16];
    char out[33];
    md5(str_from(text), sum);
    for (unsigned i = 0; i < 16; i++)
        snprintf(out + 2 * i, 3, "%02x", sum[i]);
    assert_string_equal(out, hex);
}

/* The test suite of RFC 1321. */
static void md5_is_md5(void **state)
{
    (void)state;
    md5_of("", "d41d8cd98f00b204e9800998ecf8427e");
    md5_of("a", "0cc175b9c0f1b6a831c399e269772661");
    md5_of("message digest", "f96b697d7cb7938d525a2f31aaf161d0");
    md5_of("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b");
    md5_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
        "d174ab98d277d9f5a5611c2c9f419d9f");
    md5_of("12345678901234567890123456789012345678901234567890123456789012345678901234567890",
        "57edf4a22be3c955ac49da2e2107b67a");
}

/* ── uploads ── */

static void push(const char *name, const char *body)
{
    memset(&outcome, 0, sizeof outcome);
    const struct ingest_upload up = {.tenant = STR("t"),
        .name = str_from(name),
        .from = STR("1795382000"),
        .until = STR("1795382010"),
        .sample_rate = STR("100"),
        .spy_name = STR("ebpfspy"),
        .format = STR("groups"),
        .body = str_from(body),
        .arena = &test_arena,
        .now_ns = NOW_NS};
    ingest_upload(test_ingest, &up, outcome_set, &outcome);
    assert_int_equal(outcome.calls, 1);
}

static void uploads_are_relabelled(void **state)
{
    (void)state;
    test_limits.relabel_rules = rules_of(
        "[{\"action\":\"drop\",\"source_labels\":[\"env\"],\"regex\":\"dev\"},"
        "{\"action\":\"labeldrop\",\"regex\":\"pod\"}]");
    push("shop{env=prod,pod=x17}", "a;b 1\n");
    assert_int_equal(outcome.st, ST_OK);
    assert_int_equal(fake.n_rows, 1);
    assert_non_null(strstr(fake.rows[0], "env=\"prod\""));
    assert_null(strstr(fake.rows[0], "pod="));
    push("shop{env=dev,pod=x17}", "a;b 1\n"); /* no failure, and nothing stored */
    assert_int_equal(outcome.st, ST_OK);
    assert_int_equal(fake.n_rows, 1);
}

static void the_built_in_rules_have_a_place(void **state)
{
    (void)state;
    const char *see = "[{\"source_labels\":[\"__name__\"],\"target_label\":\"seen\"}]";
    test_limits.relabel_rules = rules_of(see);
    static const char *const seen[] = {[DEFAULT_RULES_FIRST] = "memory",
        [DEFAULT_RULES_LAST] = "godeltaprof_memory",
        [DEFAULT_RULES_DISABLED] = "godeltaprof_memory"};
    for (int i = 0; i < 3; i++) {
        struct error err = {0};
        struct label labels[] = {
            {STR("__name__"), STR("godeltaprof_memory")}, {STR("service_name"), STR("a")}};
        struct ingest_request *rq;
        test_limits.default_rules = (enum ingest_default_rules)i;
        rq = bare_request();
        struct ingest_series *s = ingest_request_add(rq);
        static struct prof_labelset sets[1];
        static struct str strings[] = {{"", 0}};
        static struct prof_symbols sym = {
            .strings = strings, .n_strings = 1, .labelsets = sets, .n_labelsets = 1};
        struct prof_sample sample = {0};
        struct profile prof = {.sym = &sym, .samples = &sample, .n_samples = 1};
        s->labels = (struct labels){labels, 2};
        s->prof = &prof;
        assert_int_equal(ingest_split(rq, s, &err), ST_OK);
        assert_int_equal(rq->rows.n, 1);
        struct str got = labels_get(rq->rows.v[0].labels, STR("seen"));
        assert_true(str_eq(got, str_from(seen[i])));
        assert_true(str_eq(labels_get(rq->rows.v[0].labels, STR("__name__")),
            i == DEFAULT_RULES_DISABLED ? STR("godeltaprof_memory") : STR("memory")));
    }
}

static void sample_types_are_dropped(void **state)
{
    (void)state;
    struct error err = {0};
    struct prof_type types[] = {
        {STR("alloc"), STR("bytes")}, {STR("inuse"), STR("bytes")}, {STR("count"), STR("count")}};
    int64_t values[] = {1, 2, 3, 4, 5, 6};
    struct profile prof = {.types = types, .n_types = 3, .values = values, .n_samples = 2};
    struct label labels[] = {{STR("service_name"), STR("a")}};
    const struct relabel *rules;
    assert_int_equal(relabel_compile(STR("[{\"action\":\"drop\",\"source_labels\":[\"__type__\","
                                         "\"__unit__\",\"service_name\"],"
                                         "\"regex\":\"inuse;bytes;a\"}]"),
                         true, &rules, &err),
        ST_OK);
    test_limits.sample_type_rules = rules;
    struct ingest_request *rq = bare_request();
    struct ingest_series *s = ingest_request_add(rq);
    s->labels = (struct labels){labels, 1};
    s->prof = &prof;
    assert_int_equal(ingest_drop_types(rq, s, &err), ST_OK);
    assert_int_equal(prof.n_types, 2);
    assert_true(str_eq(prof.types[1].type, STR("count")));
    static const int64_t want[] = {1, 3, 4, 6};
    assert_memory_equal(prof.values, want, sizeof want);
    assert_true(str_eq(types[1].type, STR("inuse"))); /* shared ones are left alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(rules_do_what_prometheus_does),
        T(bad_rules_are_named),
        T(equal_texts_are_compiled_once),
        T(md5_is_md5),
        T(uploads_are_relabelled),
        T(the_built_in_rules_have_a_place),
        T(sample_types_are_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
