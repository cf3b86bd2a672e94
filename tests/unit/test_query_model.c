/* query against a naive model: random parts, random questions, every answer recomputed sample by
 * sample. Paths are numbers in base 4 (four function names), so the model is a plain array. */
#include "test.h"

#include "fixture_query.h"
#include "query/query_int.h"

enum { DEPTH = 4, PATHS = 1 << (2 * (DEPTH + 1)), SAMPLES_MAX = 4000, ROUNDS = 300 };

/* One sample, in words that need no index to check. */
struct fact {
    const struct part_series *series;
    int64_t time_ms, values[2];
    uint32_t path; /* base 4 digits, root first, behind a leading 1 */
    uint64_t span, seq;
};

static struct fact facts[SAMPLES_MAX];
static uint32_t n_facts;
static uint64_t rng_state;

static uint64_t rng(uint64_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (rng_state >> 33) % below;
}

static uint32_t random_stack(struct part *p, uint32_t *ret_path)
{
    uint32_t path = 1;
    char text[4 * DEPTH];
    size_t n = 0;
    for (uint64_t left = 1 + rng(DEPTH); left; left--) {
        uint32_t f = (uint32_t)rng(4);
        /* Sometimes a name is inlined into its caller: another location, the same path. */
        char sep = !n ? 0 : rng(4) ? ';' : '+';
        if (sep)
            text[n++] = sep;
        text[n++] = (char)('a' + f);
        path = path << 2 | f;
    }
    *ret_path = path;
    return fixture_stack(p, text, n);
}

static void random_row(struct setup *s, struct part *p, uint32_t series)
{
    struct sample_in v[12];
    uint32_t n = 1 + (uint32_t)rng(12), first = n_facts;
    int64_t time_ms = 500 + (int64_t)rng(10000);
    struct part_series *ps = part_series(p, series);
    for (uint32_t i = 0; i < n; i++) {
        struct fact *f = &facts[n_facts++];
        *f = (struct fact){.series = ps, .time_ms = time_ms};
        v[i] = (struct sample_in){.node = random_stack(p, &f->path)};
        v[i].span = f->span = rng(3) ? 0 : 1 + rng(3);
        for (uint32_t k = 0; k < ps->n_types; k++)
            v[i].values[k] = f->values[k] = rng(4) ? (int64_t)rng(100) : 0;
    }
    uint64_t seq = fixture_row_samples(&s->store, p, series, time_ms * MS_NS, v, n);
    for (uint32_t i = first; i < n_facts; i++)
        facts[i].seq = seq;
}

static void random_store(struct setup *s)
{
    static const char *const labels[] = {"env=a", "env=b", "env=a,zone=x", "zone=x", "zone=y", ""};
    n_facts = 0;
    for (uint64_t parts = 1 + rng(4); parts; parts--) {
        struct part *p = fixture_part(&s->store, "anonymous", rng(2) ? "app" : "web");
        uint32_t n_series = 1 + (uint32_t)rng(5);
        for (uint32_t i = 0; i < n_series; i++)
            fixture_series(&s->store, p, "process_cpu", labels[rng(6)],
                rng(2) ? "cpu:nanoseconds,samples:count" : "samples:count,cpu:nanoseconds",
                "cpu:nanoseconds");
        for (uint64_t rows = rng(40); rows; rows--)
            random_row(s, p, (uint32_t)rng(n_series));
        if (rng(2))
            fixture_make_block(&s->store, p);
    }
}

/* The model */

struct question {
    const char *selector;
    bool (*holds)(const struct fact *f);
    int64_t start, end, step;
    uint64_t span;    /* 0: any */
    const char *site; /* NULL, or the name of the root function */
};

static struct str label_of(const struct fact *f, const char *name)
{
    struct str v = labels_get(
        (struct labels){f->series->labels, f->series->n_labels}, str_from(name));
    return v.p ? v : STR_EMPTY;
}

static bool all(const struct fact *f)
{
    (void)f;
    return true;
}
static bool env_a(const struct fact *f)
{
    return str_eq(label_of(f, "env"), STR("a"));
}
static bool not_env_a(const struct fact *f)
{
    return !env_a(f);
}
static bool zone_any_of_web(const struct fact *f)
{
    return label_of(f, "zone").n && str_eq(label_of(f, "service_name"), STR("web"));
}
static bool no_zone(const struct fact *f)
{
    return label_of(f, "zone").n == 0;
}

static uint32_t cpu_type(const struct fact *f)
{
    return str_eq(f->series->types[0].type, STR("cpu")) ? 0 : 1;
}

static uint32_t root_of(uint32_t path)
{
    while (path >= 16)
        path >>= 2;
    return path & 3;
}

static bool wanted(const struct question *w, const struct fact *f, int64_t from)
{
    return w->holds(f) && f->time_ms >= from && f->time_ms <= w->end &&
           (!w->span || f->span == w->span) &&
           (!w->site || root_of(f->path) == (uint32_t)(w->site[0] - 'a'));
}

static void model_paths(const struct question *w, int64_t sums[PATHS])
{
    memset(sums, 0, PATHS * sizeof *sums);
    for (uint32_t i = 0; i < n_facts; i++)
        if (wanted(w, &facts[i], w->start))
            sums[facts[i].path] += facts[i].values[cpu_type(&facts[i])];
}

/* Questions */

struct parameters {
    char span_text[17];
    struct str span;
    struct m_location_name site;
    struct m_stack_trace_selector stacks;
};

static struct selection_request request_of(const struct question *w, struct parameters *p)
{
    struct selection_request rq = {.type_id = STR(CPU), .selector = str_from(w->selector)};
    if (w->span) {
        snprintf(p->span_text, sizeof p->span_text, "%016llx",
            (unsigned long long)__builtin_bswap64(w->span));
        p->span = str_from(p->span_text);
        rq.ids.spans = &p->span;
        rq.ids.n_spans = 1;
    }
    if (w->site) {
        p->site.name = str_from(w->site);
        p->stacks = (struct m_stack_trace_selector){0};
        p->stacks.call_site.v = &p->site;
        p->stacks.call_site.n = 1;
        rq.frames = &p->stacks;
    }
    return rq;
}

static void check_tree(struct setup *s, const struct selection *sel, const int64_t want[PATHS])
{
    static uint32_t path_of[PATHS];
    int64_t got[PATHS] = {0};
    struct nametree t;
    nametree_init(&t, &s->arena);
    CHECK_OK(s, selection_tree(&s->q, sel, 0, &t, &s->err));
    assert_true(t.n_nodes <= PATHS);
    path_of[0] = 1;
    for (uint32_t i = 1; i < t.n_nodes; i++) {
        struct str name = t.names[t.nodes[i].name];
        assert_int_equal(name.n, 1);
        path_of[i] = path_of[t.nodes[i].parent] << 2 | (uint32_t)(name.p[0] - 'a');
        got[path_of[i]] += t.nodes[i].self;
    }
    nametree_done(&t);
    assert_memory_equal(got, want, sizeof got);
}

static void check_pprof(
    struct setup *s, const struct selection *sel, const int64_t want[PATHS], int64_t max_nodes)
{
    int64_t got[PATHS] = {0}, total = 0, want_total = 0;
    struct m_profile p = {0};
    CHECK_OK(s, selection_pprof(&s->q, sel, max_nodes, NULL, &p, &s->err));
    for (uint32_t i = 0; i < p.sample.n; i++) {
        uint32_t path = 1;
        const struct m_pprof_sample *sample = &p.sample.v[i];
        total += sample->value.v[0];
        for (uint32_t k = sample->location_id.n; k-- > 0;) {
            const struct m_pprof_location *loc = &p.location.v[sample->location_id.v[k] - 1];
            for (uint32_t l = loc->line.n; l-- > 0;) {
                int64_t name = p.function.v[loc->line.v[l].function_id - 1].name;
                path = path << 2 | ((uint32_t)(p.string_table.v[name].p[0] - 'a') & 3);
            }
        }
        if (max_nodes == 0)
            got[path] += sample->value.v[0];
    }
    for (uint32_t i = 0; i < PATHS; i++)
        want_total += want[i];
    assert_int_equal(total, want_total); /* whatever is cut */
    if (max_nodes == 0)
        assert_memory_equal(got, want, sizeof got);
}

static void check_stacks(struct setup *s, const struct question *w)
{
    static int64_t want[PATHS];
    struct parameters p;
    struct selection sel = {0};
    struct selection_request rq = request_of(w, &p);
    setup_query(s);
    model_paths(w, want);
    CHECK_OK(s, query_range_check(&s->q, w->start, w->end, &sel.range, &s->err));
    CHECK_OK(s, selection_init(&s->q, &rq, &sel, &s->err));
    check_tree(s, &sel, want);
    check_pprof(s, &sel, want, 0);
    check_pprof(s, &sel, want, 1 + (int64_t)rng(20));
    selection_done(&sel);
}

/* Sum and, for the average, uploads with a value: by bucket, over all groups. */
static void check_series(struct setup *s, const struct question *w, bool average)
{
    static int64_t sums[12000], rows[12000];
    static uint64_t last_row[12000];
    struct parameters p;
    struct selection_request sr = request_of(w, &p);
    struct m_select_series_response rs = {0};
    struct m_select_series_request rq = {.profile_typeID = sr.type_id,
        .label_selector = sr.selector,
        .start = w->start,
        .end = w->end,
        .step = (double)w->step / 1000,
        .aggregation = average,
        .stack_trace_selector = (struct m_stack_trace_selector *)(uintptr_t)sr.frames};
    setup_query(s);
    CHECK_OK(s, query_select_series(&s->q, &rq, &rs, &s->err));
    memset(sums, 0, sizeof sums);
    memset(rows, 0, sizeof rows);
    memset(last_row, 0, sizeof last_row);
    for (uint32_t i = 0; i < n_facts; i++) {
        const struct fact *f = &facts[i];
        int64_t bucket = 0, value = f->values[cpu_type(f)];
        while (w->start + bucket * w->step < f->time_ms)
            bucket++;
        if (!wanted(w, f, w->start - w->step) || w->start + bucket * w->step > w->end || !value)
            continue;
        sums[bucket] += value;
        rows[bucket] += last_row[bucket] != f->seq;
        last_row[bucket] = f->seq;
    }
    uint32_t n = 0;
    const struct m_series *got = rs.series.n ? &rs.series.v[0] : NULL;
    assert_true(rs.series.n <= 1);
    for (int64_t b = 0; b < 12000; b++) {
        if (!sums[b])
            continue;
        assert_true(got && n < got->points.n);
        assert_int_equal(got->points.v[n].timestamp, w->start + b * w->step);
        double want = average ? (double)sums[b] / (double)rows[b] : (double)sums[b];
        assert_true(got->points.v[n].value == want);
        n++;
    }
    assert_int_equal(n, got ? got->points.n : 0);
}

static void check_values(struct setup *s, const struct question *w)
{
    struct m_names_response rs = {0};
    struct m_label_values_request rq = {.name = STR("env"), .start = w->start, .end = w->end};
    struct str m = str_from(w->selector);
    bool seen[2] = {0};
    rq.matchers.v = &m;
    rq.matchers.n = 1;
    setup_query(s);
    CHECK_OK(s, query_label_values(&s->q, &rq, &rs, &s->err));
    for (uint32_t i = 0; i < n_facts; i++) {
        struct str env = label_of(&facts[i], "env");
        bool in = w->holds(&facts[i]) && facts[i].time_ms >= w->start && facts[i].time_ms <= w->end;
        if (in && env.n && (facts[i].values[0] || facts[i].values[1]))
            seen[env.p[0] - 'a'] = true;
    }
    assert_int_equal(rs.names.n, seen[0] + seen[1]);
    for (uint32_t i = 0; i < rs.names.n; i++)
        assert_true(seen[rs.names.v[i].p[0] - 'a']);
}

static void test_random(void **state)
{
    (void)state;
    static const struct question kinds[] = {
        {"{}", all, 0, 0, 0, 0, NULL},
        {"{env=\"a\"}", env_a, 0, 0, 0, 0, NULL},
        {"{env!=\"a\"}", not_env_a, 0, 0, 0, 0, NULL},
        {"process_cpu{zone=~\".+\",service_name=~\"w.*b\"}", zone_any_of_web, 0, 0, 0, 0, NULL},
        {"{zone=\"\"}", no_zone, 0, 0, 0, 0, NULL},
    };
    static const char *const sites[] = {NULL, "a", "b", "c", "d"};
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct setup s;
        rng_state = seed;
        setup_init(&s);
        random_store(&s);
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            struct question w = kinds[i];
            w.start = 1000 + (int64_t)rng(3000);
            w.end = w.start + (int64_t)rng(8000);
            w.step = rng(2) ? 125 * (1 + (int64_t)rng(30)) : 1; /* exact as seconds */
            w.site = sites[rng(5)];
            if (s.err.len)
                print_message("seed %llu: %s\n", (unsigned long long)seed, s.err.msg);
            check_series(&s, &w, rng(2));
            check_values(&s, &w);
            w.span = rng(2) ? rng(4) : 0;
            check_stacks(&s, &w);
        }
        setup_done(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
