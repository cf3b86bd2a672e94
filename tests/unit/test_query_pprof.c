/* query: pprof output of SelectMergeProfile and of PROFILE_FORMAT_PPROF. */
#include "test.h"

#include "fixture_query.h"

typedef struct m_select_merge_profile_request request;

static request profile(const char *type)
{
    return (request){
        .profile_typeID = str_from(type), .label_selector = STR("{}"), .start = 1000, .end = 9000};
}

static struct str text_at(const struct m_profile *p, int64_t i)
{
    assert_true(i >= 0 && i < p->string_table.n);
    return p->string_table.v[i];
}

/* "leaf:line>…>root=value …", inlined lines joined by `+`, innermost first. Checks all ids. */
static const char *stacks_of(const struct m_profile *p)
{
    static char out[8192];
    size_t n = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < p->location.n; i++)
        assert_int_equal(p->location.v[i].id, i + 1);
    for (uint32_t i = 0; i < p->function.n; i++)
        assert_int_equal(p->function.v[i].id, i + 1);
    for (uint32_t i = 0; i < p->sample.n; i++) {
        const struct m_pprof_sample *s = &p->sample.v[i];
        assert_int_equal(s->value.n, 1);
        n += (size_t)snprintf(out + n, sizeof out - n, "%s", i ? " " : "");
        for (uint32_t k = 0; k < s->location_id.n; k++) {
            assert_in_range(s->location_id.v[k], 1, p->location.n);
            const struct m_pprof_location *loc = &p->location.v[s->location_id.v[k] - 1];
            n += (size_t)snprintf(out + n, sizeof out - n, "%s", k ? ">" : "");
            if (loc->line.n == 0)
                n += (size_t)snprintf(
                    out + n, sizeof out - n, "0x%llx", (unsigned long long)loc->address);
            for (uint32_t l = 0; l < loc->line.n; l++) {
                assert_in_range(loc->line.v[l].function_id, 1, p->function.n);
                const struct m_pprof_function *f = &p->function.v[loc->line.v[l].function_id - 1];
                n += (size_t)snprintf(
                    out + n, sizeof out - n, "%s%.*s", l ? "+" : "", STR_ARG(text_at(p, f->name)));
                if (loc->line.v[l].line)
                    n += (size_t)snprintf(
                        out + n, sizeof out - n, ":%lld", (long long)loc->line.v[l].line);
            }
        }
        n += (size_t)snprintf(out + n, sizeof out - n, "=%lld", (long long)s->value.v[0]);
    }
    return out;
}

static struct m_profile ask(struct setup *s, request rq)
{
    struct m_profile p = {0};
    setup_query(s);
    CHECK_OK(s, query_select_merge_profile(&s->q, &rq, &p, &s->err));
    return p;
}

static void fill(struct setup *s)
{
    setup_init(s);
    struct part *a = setup_cpu(s), *b = setup_cpu(s);
    fixture_row(&s->store, a, 0, 2000 * MS_NS, "main:1;a:2 1\nmain:1;a:3;b:4 10\nmain:1;!1f 100");
    fixture_row(&s->store, a, 0, 3000 * MS_NS, "main:1;a:2 2\n- 5");
    fixture_stack(b, "unused", 6);
    fixture_row(&s->store, b, 0, 4000 * MS_NS, "main:1;x:7+y:8 1000\nmain:1;a:2 4\nmain:1 10000");
}

static void test_merging(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    struct m_profile p = ask(&s, profile(CPU));
    assert_string_equal(stacks_of(&p),
        "main:1=10000 a:2>main:1=7 b:4>a:3>main:1=10 0x1f>main:1=100 y:8+x:7>main:1=1000");
    assert_int_equal(p.string_table.v[0].n, 0);
    assert_int_equal(p.sample_type.n, 1);
    assert_true(str_eq(text_at(&p, p.sample_type.v[0].type), STR("cpu")));
    assert_true(str_eq(text_at(&p, p.sample_type.v[0].unit), STR("nanoseconds")));
    assert_true(str_eq(text_at(&p, p.period_type->type), STR("cpu")));
    assert_true(str_eq(text_at(&p, p.period_type->unit), STR("nanoseconds")));
    assert_true(str_eq(text_at(&p, p.default_sample_type), STR("cpu")));
    assert_int_equal(p.time_nanos, 9000 * MS_NS);
    assert_int_equal(p.period, 1000000000);
    assert_int_equal(p.duration_nanos, 0);
    /* Only what is used, once. */
    assert_int_equal(p.function.n, 5);
    assert_int_equal(p.location.n, 6);
    assert_int_equal(p.mapping.n, 1);
    assert_int_equal(p.mapping.v[0].id, 1);
    assert_int_equal(p.mapping.v[0].memory_start, 0x1000);
    assert_true(p.mapping.v[0].has_functions);
    assert_false(p.mapping.v[0].has_filenames);
    assert_true(str_eq(text_at(&p, p.mapping.v[0].filename), STR("/usr/bin/app")));
    assert_true(str_eq(text_at(&p, p.mapping.v[0].build_id), STR("b1")));
    assert_int_equal(p.location.v[0].mapping_id, 1);
    assert_true(str_eq(text_at(&p, p.function.v[0].filename), STR("main.c")));
    for (uint32_t i = 0; i < p.string_table.n; i++)
        for (uint32_t k = 0; k < i; k++)
            assert_false(str_eq(p.string_table.v[i], p.string_table.v[k]));
    setup_done(&s);
}

static void test_periods_and_nothing(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    struct part *m = fixture_part(&s.store, "anonymous", "mem");
    fixture_series(&s.store, m, "memory", "", "space:bytes", "");
    fixture_series(&s.store, m, "wall", "", "wall:nanoseconds", "wall:nanoseconds");
    fixture_row(&s.store, m, 0, 2000 * MS_NS, "a 1");
    fixture_row(&s.store, m, 1, 2000 * MS_NS, "a 1");
    struct m_profile p = ask(&s, profile("memory:space:bytes::"));
    assert_int_equal(p.period, 524288);
    assert_int_equal(p.period_type->type, 0);
    p = ask(&s, profile("wall:wall:nanoseconds:wall:nanoseconds"));
    assert_int_equal(p.period, 1);
    p = ask(&s, profile("none:wall:nanoseconds:wall:nanoseconds"));
    static const struct m_profile empty;
    assert_memory_equal(&p, &empty, sizeof p);
    setup_done(&s);
}

static void test_truncation(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    request rq = profile(CPU);
    /* Names by total: main 11117, x 1000, y 1000, 0x1f 100, a 17, b 10. */
    rq.max_nodes = 6;
    struct m_profile p = ask(&s, rq);
    assert_string_equal(stacks_of(&p),
        "main:1=10000 a:2>main:1=7 b:4>a:3>main:1=10 0x1f>main:1=100 y:8+x:7>main:1=1000");
    rq.max_nodes = 5;
    p = ask(&s, rq);
    assert_string_equal(stacks_of(&p),
        "main:1=10000 a:2>main:1=7 0x1f>main:1=100 y:8+x:7>main:1=1000 other>a:3>main:1=10");
    rq.max_nodes = 4;
    p = ask(&s, rq);
    assert_string_equal(
        stacks_of(&p), "main:1=10000 0x1f>main:1=100 y:8+x:7>main:1=1000 other>main:1=17");
    const struct m_pprof_function *f = &p.function.v[p.function.n - 1];
    assert_true(str_eq(text_at(&p, f->name), STR("other")));
    assert_true(str_eq(text_at(&p, f->system_name), STR("other")));
    rq.max_nodes = 1;
    p = ask(&s, rq);
    assert_string_equal(stacks_of(&p), "main:1=10000 other>main:1=1117");
    rq.max_nodes = -1; /* not a limit here */
    p = ask(&s, rq);
    assert_int_equal(p.sample.n, 5);
    /* Two roots: what has nothing left becomes one sample. */
    fixture_row(&s.store, s.store.parts[0], 0, 2000 * MS_NS, "r;q 3\nz 4\nother 1");
    rq.max_nodes = 1;
    p = ask(&s, rq);
    assert_string_equal(stacks_of(&p), "main:1=10000 other>main:1=1117 other=8");
    setup_done(&s);
}

static void test_limits_when_told(void **state)
{
    (void)state;
    struct setup s;
    struct m_profile p = {0};
    fill(&s);
    request rq = profile(CPU);
    rq.max_nodes = 2000000;
    p = ask(&s, rq);
    s.q.limits.max_nodes_on_select_merge_profile = true;
    CHECK_FAILS(&s, query_select_merge_profile(&s.q, &rq, &p, &s.err), ST_INVALID_ARGUMENT,
        "limit 2000000 is greater than allowed");
    rq.max_nodes = 0;
    s.q.limits.max_nodes_default = 1;
    p = ask(&s, rq);
    assert_string_equal(stacks_of(&p), "main:1=10000 other>main:1=1117");
    setup_done(&s);
}

static void test_selectors(void **state)
{
    (void)state;
    struct setup s;
    struct m_location_name site[] = {{STR("main")}, {STR("a")}};
    struct m_stack_trace_selector stacks = {0};
    struct m_go_pgo pgo = {.keep_locations = 1};
    fill(&s);
    request rq = profile(CPU);
    rq.stack_trace_selector = &stacks;
    stacks.call_site.v = site;
    stacks.call_site.n = 2;
    struct m_profile p = ask(&s, rq);
    assert_string_equal(stacks_of(&p), "a:2>main:1=7 b:4>a:3>main:1=10");
    stacks.go_pgo = &pgo; /* the call site is ignored */
    p = ask(&s, rq);
    assert_string_equal(stacks_of(&p), "a:2=7 b:4=10 0x1f=100 main:1=10000 y:8+x:7=1000");
    fixture_row(&s.store, s.store.parts[0], 0, 2000 * MS_NS, "main:1;a:9 3");
    pgo.keep_locations = 2;
    pgo.aggregate_callees = true; /* a:2 and a:9 meet */
    p = ask(&s, rq);
    assert_string_equal(
        stacks_of(&p), "a>main:1=10 b>a:3=10 0x1f>main:1=100 main=10000 y+x>main:1=1000");
    pgo = (struct m_go_pgo){0}; /* no number: whole stacks */
    p = ask(&s, rq);
    assert_string_equal(stacks_of(&p),
        "main:1=10000 a:2>main:1=7 b:4>a:3>main:1=10 0x1f>main:1=100 a:9>main:1=3 "
        "y:8+x:7>main:1=1000");
    setup_done(&s);
}

static void test_format_pprof(void **state)
{
    (void)state;
    struct setup s;
    struct m_select_merge_stacktraces_response rs = {0};
    fill(&s);
    struct m_select_merge_stacktraces_request rq = {.profile_typeID = STR(CPU),
        .label_selector = STR("{}"),
        .start = 1000,
        .end = 9000,
        .max_nodes = 1,
        .format = M_FORMAT_PPROF};
    CHECK_OK(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err));
    assert_null(rs.flamegraph);
    assert_string_equal(stacks_of(rs.pprof->profile), "main:1=10000 other>main:1=1117");
    rq.max_nodes = -1; /* validated only when told so */
    CHECK_OK(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err));
    assert_int_equal(rs.pprof->profile->sample.n, 5);
    setup_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merging),
        cmocka_unit_test(test_periods_and_nothing),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_limits_when_told),
        cmocka_unit_test(test_selectors),
        cmocka_unit_test(test_format_pprof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
