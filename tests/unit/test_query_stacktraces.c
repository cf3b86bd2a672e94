/* query: flame graphs, tree bytes, diffs, selectors of samples and stacks, bare names; deadline,
 * cancellation, budget and overflow. */
#include "test.h"

#include "base/clock.h"
#include "fixture_query.h"
#include "query/query_int.h"

typedef struct m_select_merge_stacktraces_request request;
typedef struct m_select_merge_stacktraces_response response;

static request flame(const char *type, const char *selector)
{
    return (request){.profile_typeID = str_from(type),
        .label_selector = str_from(selector),
        .start = 1000,
        .end = 9000};
}

/* "names | row / row | total max_self" */
static const char *graph_text(const struct m_flamegraph *g)
{
    static char out[8192];
    size_t n = 0;
    for (uint32_t i = 0; i < g->names.n; i++)
        n += (size_t)snprintf(
            out + n, sizeof out - n, "%s%.*s", i ? "," : "", STR_ARG(g->names.v[i]));
    for (uint32_t i = 0; i < g->levels.n; i++) {
        n += (size_t)snprintf(out + n, sizeof out - n, " |");
        for (uint32_t k = 0; k < g->levels.v[i].values.n; k++)
            n += (size_t)snprintf(
                out + n, sizeof out - n, " %lld", (long long)g->levels.v[i].values.v[k]);
    }
    snprintf(out + n, sizeof out - n, " | %lld %lld", (long long)g->total, (long long)g->max_self);
    return out;
}

static const char *ask(struct setup *s, request rq)
{
    response rs = {0};
    setup_query(s);
    CHECK_OK(s, query_select_merge_stacktraces(&s->q, &rq, &rs, &s->err));
    assert_non_null(rs.flamegraph);
    return graph_text(rs.flamegraph);
}

#define NO_DATA "total | 0 0 0 0 | 0 0"

/* The example of the protocol, over two series and two parts. */
static void fill(struct setup *s)
{
    setup_init(s);
    struct part *a = setup_cpu(s), *b = fixture_part(&s->store, "anonymous", "app");
    fixture_series(
        &s->store, a, "process_cpu", "env=dev", "samples:count,cpu:nanoseconds", "cpu:nanoseconds");
    fixture_series(&s->store, b, "process_cpu", "env=prod", "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_row(&s->store, a, 0, 1000 * MS_NS, "a;b;e 1");
    fixture_row(&s->store, a, 1, 2000 * MS_NS, "a;c 100 1");
    fixture_row(&s->store, b, 0, 9000 * MS_NS + 999999, "a;c 1\na;c;d 1");
    fixture_row(&s->store, b, 0, 9001 * MS_NS, "late 1000");
    fixture_row(&s->store, b, 0, 1000 * MS_NS - 1, "early 1000");
}

static void test_example(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    request rq = flame(CPU, "{}");
    assert_string_equal(ask(&s, rq),
        "total,a,c,d,b,e | 0 4 0 0 | 0 4 0 1 | 0 1 0 4 0 3 2 2 | 0 1 1 5 2 1 1 3 | 4 2");
    rq.max_nodes = 3;
    assert_string_equal(ask(&s, rq),
        "total,a,c,d,b,e | 0 4 0 0 | 0 4 0 1 | 0 1 0 4 0 3 2 2 | 0 1 1 5 2 1 1 3 | 4 2");
    rq.max_nodes = 2;
    assert_string_equal(
        ask(&s, rq), "total,a,other,c | 0 4 0 0 | 0 4 0 1 | 0 3 2 3 0 1 1 2 | 2 1 1 2 | 4 2");
    rq.max_nodes = 1;
    assert_string_equal(ask(&s, rq), "total,a,other | 0 4 0 0 | 0 4 0 1 | 0 4 4 2 | 4 4");
    assert_string_equal(
        ask(&s, flame(CPU, "{env=\"dev\"}")), "total,a,c | 0 1 0 0 | 0 1 0 1 | 0 1 1 2 | 1 1");
    assert_string_equal(ask(&s, flame("process_cpu:samples:count:cpu:nanoseconds:delta", "{}")),
        "total,a,c | 0 100 0 0 | 0 100 0 1 | 0 100 100 2 | 100 100");
    assert_string_equal(ask(&s, flame("a:b:c:d:e", "{}")), NO_DATA);
    assert_string_equal(ask(&s, flame(CPU, "{env=\"none\"}")), NO_DATA);
    rq = flame(CPU, "{}");
    rq.format = 99;
    rq.start = 1001;
    rq.end = 1999;
    assert_string_equal(ask(&s, rq), NO_DATA);
    rq.end = 8999;
    s.q.limits.max_query_lookback_ns = NS_PER_S; /* everything is older */
    assert_string_equal(ask(&s, rq), NO_DATA);
    setup_done(&s);
}

static void test_tree(void **state)
{
    (void)state;
    static const char want[] = "\0\0\1\1a\0\2\1c\2\1\1d\1\0\1b\0\1\1e\1"; /* and a final 0 */
    struct setup s;
    response rs = {0};
    fill(&s);
    request rq = flame(CPU, "{}");
    rq.format = M_FORMAT_TREE;
    CHECK_OK(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err));
    assert_null(rs.flamegraph);
    assert_int_equal(rs.tree.n, sizeof want);
    assert_memory_equal(rs.tree.p, want, sizeof want);
    rs = (response){0};
    rq.end = 1001;
    rq.start = 1001;
    CHECK_OK(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err));
    assert_int_equal(rs.tree.n, 0);
    setup_done(&s);
}

static void test_dot(void **state)
{
    (void)state;
    struct setup s;
    response rs = {0};
    fill(&s);
    request rq = flame(CPU, "{}");
    rq.format = M_FORMAT_DOT;
    rq.max_nodes = -7; /* not a flame graph's limit */
    CHECK_OK(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err));
    assert_true(str_starts(rs.dot, STR("digraph ")));
    assert_null(rs.flamegraph);
    rs = (response){0};
    rq.start = rq.end = 1001;
    CHECK_OK(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err));
    assert_int_equal(rs.dot.n, 0);
    setup_done(&s);
}

/* What is wrong with a request, in the order in which it is noticed. */
static void test_errors(void **state)
{
    (void)state;
    struct setup s;
    response rs = {0};
    struct str span = STR("00000000000000aa"), trace = STR("xyz");
    fill(&s);
    request rq = {.max_nodes = -1};
    rq.span_selector.v = &span;
    rq.span_selector.n = 1;
    rq.trace_id_selector.v = &trace;
    rq.trace_id_selector.n = 1;
#define FAILS(text) \
    CHECK_FAILS(    \
        &s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT, text)
    FAILS("span_selector and trace_id_selector cannot be combined");
    rq.span_selector.n = 0;
    FAILS("missing time range in the query");
    rq.start = 1000;
    rq.end = 9000;
    FAILS("max flamegraph nodes limit must be set (max allowed 1048576)");
    rq.max_nodes = 0;
    FAILS("profile-type selection must be of the form <name>:<sample-type>:<sample-unit>:"
          "<period-type>:<period-unit>(:delta), got(1): \"\"");
    rq.profile_typeID = STR("a:b:c:d");
    FAILS("got(4): \"a:b:c:d\"");
    rq.profile_typeID = STR(CPU);
    FAILS("parsing label selector \"\": unknown position: parse error: unexpected end of input");
    rq.label_selector = STR("{a=}");
    FAILS("parsing label selector \"{a=}\": 1:4: parse error: unexpected \"}\" in label matching, "
          "expected string");
    rq.label_selector = STR("{}");
    FAILS("invalid trace id \"xyz\"");
    trace = STR("0123456789abcdef0123456789abcdeg");
    FAILS("invalid trace id");
    rq.trace_id_selector.n = 0;
    rq.span_selector.n = 1;
    span = STR("0000000000000a");
    FAILS("invalid span id \"0000000000000a\"");
    rq.span_selector.n = 0;
    rq.profile_id_selector.v = &span;
    rq.profile_id_selector.n = 1;
    FAILS("invalid profile id \"0000000000000a\"");
    rq.profile_id_selector.n = 0;
    struct str bad = STR("[");
    struct m_frame_filter filter = {0};
    struct m_stack_trace_selector stacks = {.frame_filter = &filter};
    filter.excludeFunctionNameRegexes.v = &bad;
    filter.excludeFunctionNameRegexes.n = 1;
    rq.stack_trace_selector = &stacks;
    FAILS("invalid exclude function name regex \"[\": ");
    setup_done(&s);
}

static void test_bare_name(void **state)
{
    (void)state;
    struct setup s;
    response rs = {0};
    fill(&s);
    request rq = flame("process_cpu", "{}");
    FAILS("got(1): \"process_cpu\"; a bare name stands for one type, there are several: " CPU
          ", process_cpu:samples:count:cpu:nanoseconds");
    assert_string_equal(ask(&s, flame("process_cpu", "{__type__=\"samples\"}")),
        "total,a,c | 0 100 0 0 | 0 100 0 1 | 0 100 100 2 | 100 100");
    rq.start = 8000; /* only cpu there */
    assert_string_equal(ask(&s, rq), "total,a,c,d | 0 2 0 0 | 0 2 0 1 | 0 2 1 2 | 1 1 1 3 | 2 1");
    rq = flame("memory", "{}");
    FAILS("got(1): \"memory\"; no series of the selection has that name in the time range");
    setup_done(&s);
}

static void test_metric_in_selector(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    assert_string_equal(ask(&s, flame(CPU, "process_cpu{env=\"dev\"}")),
        "total,a,c | 0 1 0 0 | 0 1 0 1 | 0 1 1 2 | 1 1");
    assert_string_equal(
        ask(&s, flame(CPU, CPU "{env=\"dev\"}")), "total,a,c | 0 1 0 0 | 0 1 0 1 | 0 1 1 2 | 1 1");
    assert_string_equal(ask(&s, flame(CPU, "memory{env=\"dev\"}")), NO_DATA);
    setup_done(&s);
}

/* Totals of series that were reduced by sampling have no stacks. */
static void test_sampled_left_out(void **state)
{
    (void)state;
    struct setup s;
    setup_init(&s);
    struct part *p = setup_cpu(&s);
    fixture_series(
        &s.store, p, "process_cpu", "__sampled__=true", "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_series(
        &s.store, p, "process_cpu", "__sampled__=false", "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_row(&s.store, p, 0, 2000 * MS_NS, "a 1");
    fixture_row(&s.store, p, 1, 2000 * MS_NS, "a 10");
    fixture_row(&s.store, p, 2, 2000 * MS_NS, "a 100");
    assert_string_equal(ask(&s, flame(CPU, "{}")), "total,a | 0 101 0 0 | 0 101 101 1 | 101 101");
    setup_done(&s);
}

static void test_tenants(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    struct part *p = fixture_part(&s.store, "other", "app");
    fixture_series(&s.store, p, "process_cpu", "", "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_row(&s.store, p, 0, 2000 * MS_NS, "a;c 10");
    request rq = flame(CPU, "{env=\"\"}");
    assert_string_equal(ask(&s, rq), "total,a,b,e | 0 1 0 0 | 0 1 0 1 | 0 1 0 2 | 0 1 1 3 | 1 1");
    s.q.n_tenants = 2;
    assert_string_equal(
        ask(&s, rq), "total,a,c,b,e | 0 11 0 0 | 0 11 0 1 | 0 1 0 3 0 10 10 2 | 0 1 1 4 | 11 10");
    setup_done(&s);
}

#define SPAN_A "00000000000000aa"
#define SPAN_B "ffee000000000001"
#define TRACE_A "0102030405060708090a0b0c0d0e0f10"

static void test_ids(void **state)
{
    (void)state;
    struct setup s;
    response rs = {0};
    setup_init(&s);
    struct part *p = setup_cpu(&s);
    uint64_t first = fixture_row(&s.store, p, 0, 2000 * MS_NS,
        "a 1\na 10 @" SPAN_A "\nb 100 @" SPAN_B " #" TRACE_A "\nc 1000 #" TRACE_A);
    fixture_row(&s.store, p, 0, 3000 * MS_NS, "a 10000");
    request rq = flame(CPU, "{}");
    assert_string_equal(ask(&s, rq),
        "total,c,b,a | 0 11111 0 0 | 0 10011 10011 3 0 100 100 2 0 1000 1000 1 | 11111 10011");
    struct str spans[] = {STR("00000000000000AA"), STR(SPAN_B)};
    rq.span_selector.v = spans;
    rq.span_selector.n = 1;
    assert_string_equal(ask(&s, rq), "total,a | 0 10 0 0 | 0 10 10 1 | 10 10");
    rq.span_selector.n = 2;
    assert_string_equal(ask(&s, rq), "total,b,a | 0 110 0 0 | 0 10 10 2 0 100 100 1 | 110 100");
    spans[0] = STR("0000000000000000"); /* what samples without a span have */
    rq.span_selector.n = 1;
    assert_string_equal(ask(&s, rq), NO_DATA);
    struct m_select_merge_span_profile_request old = {.profile_typeID = STR(CPU),
        .label_selector = STR("{}"),
        .start = 1000,
        .end = 9000,
        .format = M_FORMAT_PPROF};
    struct m_select_merge_span_profile_response old_rs = {0};
    CHECK_OK(&s, query_select_merge_span_profile(&s.q, &old, &old_rs, &s.err));
    assert_int_equal(old_rs.flamegraph->total, 11111);
    old.span_selector.v = spans + 1;
    old.span_selector.n = 1;
    CHECK_OK(&s, query_select_merge_span_profile(&s.q, &old, &old_rs, &s.err));
    assert_int_equal(old_rs.flamegraph->total, 100);
    old.format = M_FORMAT_TREE;
    old_rs = (struct m_select_merge_span_profile_response){0};
    CHECK_OK(&s, query_select_merge_span_profile(&s.q, &old, &old_rs, &s.err));
    assert_null(old_rs.flamegraph);
    assert_int_equal(old_rs.tree.n, 3 + 4);
    /* Traces */
    struct str traces[] = {STR("0102030405060708090A0B0C0D0E0F10")};
    rq = flame(CPU, "{}");
    rq.trace_id_selector.v = traces;
    rq.trace_id_selector.n = 1;
    assert_string_equal(
        ask(&s, rq), "total,c,b | 0 1100 0 0 | 0 100 100 2 0 1000 1000 1 | 1100 1000");
    traces[0] = STR("00000000000000000000000000000000");
    assert_string_equal(ask(&s, rq), NO_DATA);
    /* Profiles */
    char uuid[37];
    store_profile_id(&s.store, first, uuid);
    struct str profiles[] = {STR("00000000-0000-0000-0000-000000000000"), str_make(uuid, 36)};
    rq = flame(CPU, "{}");
    rq.profile_id_selector.v = profiles;
    rq.profile_id_selector.n = 2;
    CHECK_OK(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err));
    assert_int_equal(rs.flamegraph->total, 1111);
    rq.profile_id_selector.n = 1;
    assert_string_equal(ask(&s, rq), NO_DATA);
    setup_done(&s);
}

static const char *ask_frames(
    struct setup *s, const char *const *site, uint32_t n_site, const struct m_frame_filter *filter)
{
    struct m_location_name names[8];
    struct m_stack_trace_selector stacks = {
        .frame_filter = (struct m_frame_filter *)(uintptr_t)filter};
    request rq = flame(CPU, "{}");
    for (uint32_t i = 0; i < n_site; i++)
        names[i].name = str_from(site[i]);
    stacks.call_site.v = names;
    stacks.call_site.n = n_site;
    rq.stack_trace_selector = &stacks;
    return ask(s, rq);
}

/* main(1) ─ a(10), a+b+c(100), b(1000), !1f(10000), app!0x1f as text */
static void fill_frames(struct setup *s)
{
    setup_init(s);
    struct part *p = setup_cpu(s);
    fixture_row(&s->store, p, 0, 2000 * MS_NS,
        "main 1\nmain;a 10\nmain;a+b;c 100\nmain;b 1000\nmain;!1f 10000\nx;main;a 100000");
}

static void test_call_site(void **state)
{
    (void)state;
    struct setup s;
    static const char *const path[] = {"main", "a", "b", "c"};
    static const char *const address[] = {"main", "app!0x1f"};
    fill_frames(&s);
    assert_true(strstr(ask_frames(&s, path, 0, NULL), "| 111111 "));
    assert_string_equal(ask_frames(&s, path, 1, NULL),
        "total,main,b,app!0x1f,a,c | 0 11111 0 0 | 0 11111 1 1 | "
        "1 110 10 4 0 10000 10000 3 0 1000 1000 2 | 11 100 0 2 | 11 100 100 5 | 11111 10000");
    assert_string_equal(ask_frames(&s, path, 2, NULL),
        "total,main,a,b,c | 0 110 0 0 | 0 110 0 1 | 0 110 10 2 | 10 100 0 3 | 10 100 100 4 | 110 "
        "100");
    assert_true(strstr(ask_frames(&s, path, 3, NULL), "| 100 100"));
    assert_true(strstr(ask_frames(&s, path, 4, NULL), "| 100 100"));
    assert_true(strstr(ask_frames(&s, address, 2, NULL), "| 10000 10000"));
    assert_string_equal(ask_frames(&s, path + 1, 1, NULL), NO_DATA);
    setup_done(&s);
}

static void test_frame_filter(void **state)
{
    (void)state;
    struct setup s;
    struct str a[] = {STR("a"), STR("c")}, b[] = {STR("b"), STR("x")};
    struct str re[] = {STR("^[bc]$"), STR("0x[0-9a-f]+")};
    static const char *const site[] = {"main"};
    struct m_frame_filter f = {0};
    fill_frames(&s);
    f.includeFunctionNames.v = a;
    f.includeFunctionNames.n = 1;
    assert_true(strstr(ask_frames(&s, NULL, 0, &f), "| 100110 "));
    assert_true(strstr(ask_frames(&s, site, 1, &f), "| 110 "));
    f.includeFunctionNames.n = 2; /* each by some frame */
    assert_true(strstr(ask_frames(&s, NULL, 0, &f), "| 100 "));
    f.includeFunctionNames.n = 1;
    f.excludeFunctionNames.v = b;
    f.excludeFunctionNames.n = 1; /* inlined ones too */
    assert_true(strstr(ask_frames(&s, NULL, 0, &f), "| 100010 "));
    f.excludeFunctionNames.n = 2;
    assert_true(strstr(ask_frames(&s, NULL, 0, &f), "| 10 "));
    f = (struct m_frame_filter){0};
    f.includeFunctionNameRegexes.v = re;
    f.includeFunctionNameRegexes.n = 1; /* one frame may satisfy several */
    assert_true(strstr(ask_frames(&s, NULL, 0, &f), "| 1100 "));
    f = (struct m_frame_filter){0};
    f.excludeFunctionNameRegexes.v = re;
    f.excludeFunctionNameRegexes.n = 2;
    assert_true(strstr(ask_frames(&s, NULL, 0, &f), "| 100011 "));
    static struct str many[FRAME_CONDITIONS_MAX + 1];
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = STR("main");
    f = (struct m_frame_filter){0};
    f.includeFunctionNames.v = many;
    f.includeFunctionNames.n = FRAME_CONDITIONS_MAX;
    assert_true(strstr(ask_frames(&s, NULL, 0, &f), "| 111111 "));
    f.includeFunctionNames.n++;
    struct m_stack_trace_selector stacks = {.frame_filter = &f};
    request rq = flame(CPU, "{}");
    response rs = {0};
    rq.stack_trace_selector = &stacks;
    FAILS("more than 63 conditions");
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = STR("m.*n");
    f = (struct m_frame_filter){0};
    f.includeFunctionNameRegexes.v = many;
    f.includeFunctionNameRegexes.n = 32;
    assert_true(strstr(ask_frames(&s, NULL, 0, &f), "| 111111 "));
    f.includeFunctionNameRegexes.n = 33;
    FAILS("more than 32 regular expressions");
    setup_done(&s);
}

/* The example of the protocol: left a;b=1, a;c=2; right a;b=4, a;c=8. */
static void test_diff(void **state)
{
    (void)state;
    struct setup s;
    struct m_diff_response rs = {0};
    setup_init(&s);
    struct part *p = setup_cpu(&s);
    fixture_row(&s.store, p, 0, 2000 * MS_NS, "a;b 1\na;c 2");
    fixture_row(&s.store, p, 0, 5000 * MS_NS, "a;b 4\na;c 8");
    request left = flame(CPU, "{}"), right = flame(CPU, "{}");
    left.end = 3000;
    right.start = 3001;
    struct m_diff_request rq = {&left, &right};
    CHECK_OK(&s, query_diff(&s.q, &rq, &rs, &s.err));
    struct m_flamegraph g = {.total = rs.flamegraph->total, .max_self = rs.flamegraph->max_self};
    g.names.v = rs.flamegraph->names.v;
    g.names.n = rs.flamegraph->names.n;
    g.levels.v = rs.flamegraph->levels.v;
    g.levels.n = rs.flamegraph->levels.n;
    assert_string_equal(graph_text(&g),
        "total,a,c,b | 0 3 0 0 12 0 0 | 0 3 0 0 12 0 1 | 0 1 1 0 4 4 3 0 2 2 0 8 8 2 | 15 8");
    assert_int_equal(rs.flamegraph->leftTicks, 3);
    assert_int_equal(rs.flamegraph->rightTicks, 12);
    left.start = left.end = right.start = right.end = 100;
    CHECK_OK(&s, query_diff(&s.q, &rq, &rs, &s.err));
    assert_int_equal(rs.flamegraph->levels.n, 1);
    assert_int_equal(rs.flamegraph->levels.v[0].values.n, 7);
#define DIFF_FAILS(text) \
    CHECK_FAILS(&s, query_diff(&s.q, &rq, &rs, &s.err), ST_INVALID_ARGUMENT, text)
    right.max_nodes = 2000000;
    DIFF_FAILS("limit 2000000 is greater than allowed");
    right.max_nodes = 0;
    right.label_selector = STR("{");
    DIFF_FAILS("parsing label selector");
    right.start = 0;
    DIFF_FAILS("missing time range");
    rq.right = NULL;
    DIFF_FAILS("got(1): \"\"");
    rq.left = NULL;
    DIFF_FAILS("got(1): \"\"");
    setup_done(&s);
}

/* The clock is looked at, also in the middle of a scan; so is the client. */
static void test_deadline_and_cancel(void **state)
{
    (void)state;
    struct setup s;
    response rs = {0};
    atomic_bool gone = true;
    fill(&s);
    request rq = flame(CPU, "{}");
    s.q.deadline_mono_ns = clock_mono_ns() - 1;
    CHECK_FAILS(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err), ST_DEADLINE_EXCEEDED,
        "deadline");
    s.q.checks = 3; /* noticed later */
    CHECK_FAILS(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err), ST_DEADLINE_EXCEEDED,
        "deadline");
    s.q.deadline_mono_ns = clock_mono_ns() + 3600 * NS_PER_S;
    CHECK_OK(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err));
    s.q.gone = &gone;
    CHECK_FAILS(
        &s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err), ST_CANCELED, "went away");
    struct m_select_series_request sr = {.profile_typeID = STR(CPU),
        .label_selector = STR("{}"),
        .start = 1000,
        .end = 9000,
        .step = 1};
    struct m_select_series_response srs = {0};
    CHECK_FAILS(&s, query_select_series(&s.q, &sr, &srs, &s.err), ST_CANCELED, "went away");
    setup_done(&s);
}

/* How many checks each question makes: at least one per row, so that the clock is looked at in
 * time. Counted by giving it credit for n checks and seeing whether an expired deadline is noticed.
 */
static uint32_t checks_of(struct setup *s, enum status (*fn)(struct setup *s))
{
    uint32_t n = 0;
    s->q.deadline_mono_ns = clock_mono_ns() - 1;
    for (;; n++) {
        setup_query(s);
        s->q.checks = n;
        if (fn(s) != ST_DEADLINE_EXCEEDED)
            break;
    }
    s->q.deadline_mono_ns = 0;
    return n;
}

static enum status run_flame(struct setup *s)
{
    request rq = flame(CPU, "{}");
    response rs = {0};
    return query_select_merge_stacktraces(&s->q, &rq, &rs, &s->err);
}

static enum status run_pprof(struct setup *s)
{
    request rq = flame(CPU, "{}");
    response rs = {0};
    rq.format = M_FORMAT_PPROF;
    return query_select_merge_stacktraces(&s->q, &rq, &rs, &s->err);
}

static enum status run_series(struct setup *s)
{
    struct m_select_series_response rs = {0};
    struct m_select_series_request rq = {.profile_typeID = STR(CPU),
        .label_selector = STR("{}"),
        .start = 1000,
        .end = 9000,
        .step = 1};
    return query_select_series(&s->q, &rq, &rs, &s->err);
}

static enum status run_call_site(struct setup *s)
{
    struct m_location_name site = {STR("a")};
    struct m_stack_trace_selector stacks = {0};
    request rq = flame(CPU, "{}");
    response rs = {0};
    stacks.call_site.v = &site;
    stacks.call_site.n = 1;
    rq.stack_trace_selector = &stacks;
    return query_select_merge_stacktraces(&s->q, &rq, &rs, &s->err);
}

static enum status run_labels(struct setup *s)
{
    struct m_names_response rs = {0};
    struct m_label_values_request rq = {.name = STR("x"), .start = 1000, .end = 9000};
    return query_label_values(&s->q, &rq, &rs, &s->err);
}

static void test_every_loop_is_checked(void **state)
{
    (void)state;
    struct setup s;
    enum { ROWS = 50 };
    setup_init(&s);
    struct part *p = setup_cpu(&s);
    fixture_row(&s.store, p, 0, 2000 * MS_NS, "a 1");
    uint32_t one[] = {
        checks_of(&s, run_flame), checks_of(&s, run_pprof), checks_of(&s, run_series)};
    uint32_t labels = checks_of(&s, run_labels);
    for (int i = 0; i < ROWS; i++)
        fixture_row(&s.store, p, 0, 20000 * MS_NS, "a 1");
    assert_true(checks_of(&s, run_flame) >= one[0] + ROWS);
    assert_true(checks_of(&s, run_pprof) >= one[1] + ROWS);
    assert_true(checks_of(&s, run_series) >= one[2] + ROWS);
    for (int i = 0; i < ROWS; i++) {
        char name[32];
        snprintf(name, sizeof name, "i=%d", i);
        fixture_series(&s.store, p, "process_cpu", name, "cpu:nanoseconds", "cpu:nanoseconds");
    }
    assert_true(checks_of(&s, run_labels) >= labels + ROWS);
    assert_true(checks_of(&s, run_flame) >= one[0] + 2 * ROWS);
    /* A series that is nowhere in the range: all rows are looked at for it. */
    labels = checks_of(&s, run_labels);
    fixture_row(&s.store, p, 1, 20000 * MS_NS, "a 1");
    assert_true(checks_of(&s, run_labels) >= labels + ROWS);
    /* Stacks of a part, when its symbols are merged or filtered. */
    one[0] = checks_of(&s, run_call_site);
    one[1] = checks_of(&s, run_pprof);
    for (int i = 0; i < ROWS; i++) {
        char name[32];
        snprintf(name, sizeof name, "a;f%d", i);
        fixture_stack(p, name, strlen(name));
    }
    fixture_row(&s.store, p, 1, 20000 * MS_NS, "a 1");
    assert_true(checks_of(&s, run_call_site) >= one[0] + ROWS);
    assert_true(checks_of(&s, run_pprof) >= one[1] + ROWS);
    setup_done(&s);
}

/* From too little to enough: a clear refusal, then the whole answer; the reservation is returned.
 */
static void test_budget(void **state)
{
    (void)state;
    static enum status (*const fns[])(struct setup *) = {
        run_flame, run_pprof, run_series, run_labels};
    struct setup s;
    setup_init(&s);
    struct part *p = setup_cpu(&s);
    for (int i = 0; i < 200; i++) {
        char stack[64];
        snprintf(stack, sizeof stack, "main;f%d;g%d;h 1", i, i % 17);
        fixture_row(&s.store, p, 0, (2000 + i) * MS_NS, stack);
    }
    for (size_t f = 0; f < ARRAY_LEN(fns); f++) {
        bool ok = false;
        for (size_t limit = 256; !ok && limit < 8 * MIB; limit += limit / 4 + 64) {
            setup_query(&s);
            s.arena.limit = limit;
            enum status st = fns[f](&s);
            ok = st == ST_OK;
            assert_int_equal(s.arena.limit, limit);
            assert_int_equal(s.store.views, 0);
            assert_true(limit > 256 || st == ST_RESOURCE_EXHAUSTED);
            if (ok)
                continue;
            char budget[64];
            snprintf(budget, sizeof budget, "budget of %zu bytes", limit);
            assert_int_equal(st, ST_RESOURCE_EXHAUSTED);
            assert_true(str_contains(error_str(&s.err), str_from(budget)));
        }
        assert_true(ok);
    }
    setup_done(&s);
}

/* Parts with the same stacks, as the hours of unmerged days have; every one has its own values. */
static void add_like_parts(struct setup *s, uint32_t n)
{
    enum { STACKS = 1500, PER_ROW = 50 };
    for (uint32_t i = 0; i < n; i++) {
        struct part *p = setup_cpu(s);
        struct buf text;
        buf_init(&text, MIB);
        for (uint32_t k = 0; k < STACKS; k++) {
            buf_printf(&text, "main;f%u;leaf_%u %u\n", k % 30, k, 1 + (k + i) % 9);
            if ((k + 1) % PER_ROW)
                continue;
            text.p[text.n - 1] = 0;
            fixture_row(&s->store, p, 0, (2000 + (int64_t)i) * MS_NS, text.p);
            buf_clear(&text);
        }
        buf_done(&text);
    }
}

/* ST_OK: *ret has the answer, in the arena. */
static enum status whole_tree(struct setup *s, size_t limit, bool dot, struct str *ret)
{
    request rq = flame(CPU, "{}");
    response rs = {0};
    setup_query(s);
    s->arena.limit = limit;
    rq.format = dot ? M_FORMAT_DOT : M_FORMAT_SANDWICH;
    rq.sandwich_function = STR("f7");
    enum status st = query_select_merge_stacktraces(&s->q, &rq, &rs, &s->err);
    assert_int_equal(s->arena.limit, limit);
    assert_true(st == ST_OK || st == ST_RESOURCE_EXHAUSTED);
    *ret = dot ? rs.dot : rs.sandwich;
    return st;
}

/* The least budget, in steps, with which there is an answer; it is the one of any other budget. */
static size_t least_budget(uint32_t n_parts, bool dot)
{
    struct setup s;
    struct str answer;
    struct buf want;
    size_t limit = 64 * KIB;
    setup_init(&s);
    buf_init(&want, MIB);
    add_like_parts(&s, n_parts);
    assert_int_equal(whole_tree(&s, 64 * MIB, dot, &answer), ST_OK);
    buf_str(&want, answer);
    assert_true(want.n > 1000);
    while (whole_tree(&s, limit, dot, &answer) != ST_OK)
        limit += limit / 8;
    assert_true(str_eq(answer, buf_view(&want)));
    buf_done(&want);
    setup_done(&s);
    return limit;
}

/* What looks at all nodes takes memory for the result, not for every part. */
static void test_many_parts(void **state)
{
    (void)state;
    for (int dot = 0; dot < 2; dot++)
        assert_in_range(least_budget(60, dot), 64 * KIB, least_budget(6, dot) * 2);
}

static void overflow(const char *first, const char *second)
{
    struct setup s;
    setup_init(&s);
    struct part *p = setup_cpu(&s);
    fixture_row(&s.store, p, 0, 2000 * MS_NS, first);
    fixture_row(&s.store, p, 0, 2000 * MS_NS, second);
    assert_int_equal(run_flame(&s), ST_OUT_OF_RANGE);
    assert_true(str_contains(error_str(&s.err), STR("64-bit")));
    assert_int_equal(run_series(&s), ST_OUT_OF_RANGE);
    setup_done(&s);
}

static void test_overflow(void **state)
{
    (void)state;
    overflow("a 9223372036854775807", "a 1");
    overflow("a 9223372036854775807", "b 1");
    /* Across parts, and by span. */
    struct setup s;
    setup_init(&s);
    for (int i = 0; i < 2; i++) {
        struct part *p = setup_cpu(&s);
        fixture_row(&s.store, p, 0, 2000 * MS_NS, "a 4611686018427387904 @" SPAN_A);
    }
    assert_int_equal(run_flame(&s), ST_OUT_OF_RANGE);
    assert_int_equal(run_pprof(&s), ST_OUT_OF_RANGE);
    assert_int_equal(run_series(&s), ST_OUT_OF_RANGE);
    /* Four more, so that a sum that wraps is above zero again. */
    for (int i = 0; i < 4; i++)
        fixture_row(&s.store, s.store.parts[0], 0, 5000 * MS_NS, "a 4611686018427387904 @" SPAN_A);
    request rq = flame(CPU, "{}");
    response rs = {0};
    struct str span = STR(SPAN_A);
    rq.span_selector.v = &span;
    rq.span_selector.n = 1;
    CHECK_FAILS(
        &s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err), ST_OUT_OF_RANGE, "64-bit");
    setup_done(&s);
}

/* Parts of blocks have their stacks and samples only once they are entered. */
static void test_blocks(void **state)
{
    (void)state;
    struct setup s;
    response rs = {0};
    struct str b = STR("b");
    struct m_frame_filter filter = {0};
    struct m_stack_trace_selector stacks = {.frame_filter = &filter};
    struct m_select_series_response srs = {0};
    fill(&s);
    fixture_make_block(&s.store, s.store.parts[0]);
    request rq = flame(CPU, "{}");
    assert_string_equal(ask(&s, rq),
        "total,a,c,d,b,e | 0 4 0 0 | 0 4 0 1 | 0 1 0 4 0 3 2 2 | 0 1 1 5 2 1 1 3 | 4 2");
    assert_int_equal(s.store.entered, 0);
    assert_int_equal(run_pprof(&s), ST_OK);
    assert_int_equal(run_series(&s), ST_OK);
    filter.excludeFunctionNames.v = &b;
    filter.excludeFunctionNames.n = 1;
    struct m_select_series_request sr = {.profile_typeID = STR(CPU),
        .label_selector = STR("{}"),
        .start = 2000,
        .end = 9000,
        .step = 1,
        .stack_trace_selector = &stacks};
    CHECK_OK(&s, query_select_series(&s.q, &sr, &srs, &s.err));
    assert_true(srs.series.n == 1 && srs.series.v[0].points.n == 2);
    /* What has no row in the range, or none of the profile, is not entered. */
    s.store.fail_enter = true;
    rq.start = 1001;
    rq.end = 1999;
    assert_string_equal(ask(&s, rq), NO_DATA);
    rq.end = 9000;
    CHECK_FAILS(&s, query_select_merge_stacktraces(&s.q, &rq, &rs, &s.err), ST_UNAVAILABLE, "disk");
    struct str none = STR("00000000-0000-0000-0000-000000000000");
    rq.profile_id_selector.v = &none;
    rq.profile_id_selector.n = 1;
    assert_string_equal(ask(&s, rq), NO_DATA);
    /* Damaged ones are left out; the store has said so. */
    s.store.fail_enter = false;
    s.store.damaged[0] = true;
    assert_string_equal(
        ask(&s, flame(CPU, "{}")), "total,a,c,d | 0 2 0 0 | 0 2 0 1 | 0 2 1 2 | 1 1 1 3 | 2 1");
    assert_int_equal(run_pprof(&s), ST_OK);
    CHECK_OK(&s, query_select_series(&s.q, &sr, &srs, &s.err));
    setup_done(&s);
}

/* The store is told of the one service that a selector is about. */
static void test_one_service(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    struct part *p = fixture_part(&s.store, "anonymous", "web");
    fixture_series(&s.store, p, "process_cpu", "", "cpu:nanoseconds", "cpu:nanoseconds");
    fixture_row(&s.store, p, 0, 2000 * MS_NS, "w 10");
    static const char web[] = "total,w | 0 10 0 0 | 0 10 10 1 | 10 10";
    assert_string_equal(ask(&s, flame(CPU, "{service_name=\"web\"}")), web);
    assert_string_equal(ask(&s, flame(CPU, "{__service_name__=\"web\"}")), web);
    assert_string_equal(ask(&s, flame(CPU, "{service_name=~\"w.*\"}")), web);
    assert_string_equal(
        ask(&s, flame(CPU, "{service_name=\"web\",service_name=\"app\"}")), NO_DATA);
    assert_string_equal(ask(&s, flame(CPU, "{service_name=\"\"}")), NO_DATA);
    setup_done(&s);
}

static void test_damaged_row(void **state)
{
    (void)state;
    struct setup s;
    fill(&s);
    struct part_row *row = SEGVEC_AT(&s.store.parts[0]->rows, struct part_row, 0);
    row->n_bytes--;
    assert_int_equal(run_flame(&s), ST_DATA_LOSS);
    setup_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_dot),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_bare_name),
        cmocka_unit_test(test_metric_in_selector),
        cmocka_unit_test(test_sampled_left_out),
        cmocka_unit_test(test_tenants),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_call_site),
        cmocka_unit_test(test_frame_filter),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_deadline_and_cancel),
        cmocka_unit_test(test_every_loop_is_checked),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_many_parts),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_one_service),
        cmocka_unit_test(test_damaged_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
