/* Answers from roll-ups equal answers from rows, always: random uploads over two days, random
 * questions, each asked of the head (rows only), of the blocks of hours, and of the merged blocks
 * of days; every byte of every answer must be the same.
 *
 * What a question may be about is drawn too: windows that cut hours, selectors that keep all, some
 * or none of the series of a type, group-bys, budgets, diffs, function tables, sandwiches. That
 * roll-ups were read is checked by what is loaded afterwards; else the property would hold for
 * nothing. */
#include "test.h"

#include "base/fs_sim.h"
#include "codec/msg.h"
#include "fixture_blocks.h"
#include "query/query.h"

enum {
    ROUNDS = 30,
    ROUNDS_LONG = 10,
    QUESTIONS = 60,
    UPLOADS = 150,
    UPLOADS_LONG = 1200,
    STACK_MAX = 12,
    SAMPLES = 8
};

static uint64_t rng_state;
static uint64_t span_s; /* of all uploads */

static uint64_t rng(uint64_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (rng_state >> 33) % below;
}

/* Uploads */

/* Few names, of which some mean something to those who draw. */
static void name_functions(struct request *rq)
{
    rq->sym.strings[1] = STR("other");
    rq->sym.strings[2] = STR("total");
    rq->sym.strings[3] = STR_EMPTY;
}

/* In at most 64 hours: in the long round two of each day. */
static int64_t random_time_ns(void)
{
    uint64_t at = rng(span_s);
    if (span_s > 64 * 3600)
        at = at / 86400 * 86400 + at % 7200;
    return T0 + (int64_t)at * NS_PER_S;
}

static void random_upload(struct store *s)
{
    static const char *const services[] = {"web", "db", "cart"}, *const names[] = {"cpu", "wall"};
    char text[SAMPLES][STACK_MAX + 1];
    const char *stacks[SAMPLES];
    int64_t values[SAMPLES * 2];
    uint32_t n = 1 + (uint32_t)rng(SAMPLES), n_types = 1 + (uint32_t)rng(2);
    struct request rq;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t depth = 1 + (uint32_t)rng(STACK_MAX);
        for (uint32_t k = 0; k < depth; k++)
            text[i][k] = (char)('a' + rng(k < 2 ? 3 : 9));
        text[i][depth] = 0;
        stacks[i] = text[i];
        for (uint32_t k = 0; k < n_types; k++)
            values[i * n_types + k] = rng(5) ? (int64_t)(rng(4) ? rng(5) : rng(100000)) : 0;
    }
    request_init(&rq, services[rng(3)], stacks, values, n, n_types);
    name_functions(&rq);
    struct label *ls = ARENA_ZARRAY(&rq.arena, struct label, 3);
    static const char *const envs[] = {"prod", "test", "dev"};
    ls[0] = (struct label){STR("__name__"), str_from(names[rng(2)])};
    ls[1] = (struct label){STR("env"), str_from(envs[rng(3)])};
    ls[2] = (struct label){STR("service_name"), rq.row.labels.v[1].value};
    rq.row.labels = (struct labels){ls, 3};
    rq.prof.time_ns = random_time_ns();
    assert_int_equal(append_wait(s, STR("anonymous"), &rq.row), ST_OK);
    arena_done(&rq.arena);
}

/* Questions */

struct question {
    struct str type, selector, right_selector, function;
    int64_t from_ms, until_ms, max_nodes;
    uint32_t group_by; /* how many of the labels below */
    double step;
    int kind;
};

static struct question random_question(void)
{
    static const char *const types[] = {
        "cpu:type0:count::", "cpu:type1:count::", "wall:type0:count::"};
    static const char *const selectors[] = {"{}", "{service_name=\"web\"}", "{env=\"prod\"}",
        "{service_name=\"db\",env!=\"dev\"}", "{service_name=~\"web|cart\"}", "{env=\"none\"}"};
    static const char *const functions[] = {"other", "total", "d", "f", "none"};
    static const int64_t budgets[] = {0, 1, 2, 5, 17, 60, 1000, -1};
    struct question q = {.type = str_from(types[rng(3)]), .kind = (int)rng(11)};
    q.selector = str_from(selectors[rng(6)]);
    q.right_selector = str_from(selectors[rng(6)]);
    int64_t a = (int64_t)rng(span_s), b = (int64_t)rng(span_s);
    bool all = rng(4) == 0;
    q.from_ms = T0 / NS_PER_MS + (all ? 0 : MIN(a, b) * 1000);
    q.until_ms = T0 / NS_PER_MS + (all ? (int64_t)span_s * 1000 : MAX(a, b) * 1000);
    q.max_nodes = budgets[rng(8)];
    q.group_by = (uint32_t)rng(3);
    q.step = (double)(1 + rng(7200));
    q.function = str_from(functions[rng(5)]);
    return q;
}

static const struct msg_desc *ask_series(struct query *q, const struct question *x, void **ret)
{
    static struct str names[] = {{"service_name", 12}, {"env", 3}};
    struct m_select_series_response *rs = ARENA_NEW(q->arena, struct m_select_series_response);
    struct error err = {0};
    struct m_select_series_request rq = {.profile_typeID = x->type,
        .label_selector = x->selector,
        .start = x->from_ms,
        .end = x->until_ms,
        .step = x->step,
        .aggregation = x->max_nodes > 5 ? M_AGGREGATION_AVERAGE : M_AGGREGATION_SUM,
        .exemplar_type = x->max_nodes % 2 ? M_EXEMPLAR_INDIVIDUAL : M_EXEMPLAR_NONE};
    rq.group_by.v = names;
    rq.group_by.n = x->group_by;
    assert_int_equal(query_select_series(q, &rq, rs, &err), ST_OK);
    *ret = rs;
    return &m_select_series_response_desc;
}

static const struct msg_desc *ask_heatmap(struct query *q, const struct question *x, void **ret)
{
    static struct str name = {"env", 3};
    struct m_select_heatmap_response *rs = ARENA_NEW(q->arena, struct m_select_heatmap_response);
    struct error err = {0};
    struct m_select_heatmap_request rq = {.profile_typeID = x->type,
        .label_selector = x->selector,
        .start = x->from_ms,
        .end = x->until_ms + 1,
        .step = x->step,
        .limit = x->group_by,
        .query_type = M_HEATMAP_INDIVIDUAL,
        .exemplar_type = M_EXEMPLAR_INDIVIDUAL};
    rq.group_by.v = &name;
    rq.group_by.n = x->max_nodes % 2 != 0;
    assert_int_equal(query_select_heatmap(q, &rq, rs, &err), ST_OK);
    *ret = rs;
    return &m_select_heatmap_response_desc;
}

static const struct msg_desc *ask_stats(struct query *q, void **ret)
{
    const struct m_empty rq = {0};
    struct error err = {0};
    *ret = ARENA_NEW(q->arena, struct m_get_profile_stats_response);
    assert_int_equal(query_get_profile_stats(q, &rq, *ret, &err), ST_OK);
    return &m_get_profile_stats_response_desc;
}

static struct m_select_merge_stacktraces_request tree_request(
    const struct question *x, struct str selector)
{
    return (struct m_select_merge_stacktraces_request){.profile_typeID = x->type,
        .label_selector = selector,
        .start = x->from_ms,
        .end = x->until_ms,
        .max_nodes = x->max_nodes};
}

static const struct msg_desc *ask_diff(struct query *q, const struct question *x, void **ret)
{
    struct m_diff_response *rs = ARENA_NEW(q->arena, struct m_diff_response);
    struct m_select_merge_stacktraces_request left = tree_request(x, x->selector),
                                              right = tree_request(x, x->right_selector);
    struct m_diff_request rq = {.left = &left, .right = &right};
    struct error err = {0};
    right.start -= 3600 * 1000;
    if (x->kind == 8)
        rq = (struct m_diff_request){&left, &right, M_FORMAT_FUNCTIONS, x->max_nodes};
    assert_int_equal(query_diff(q, &rq, rs, &err), ST_OK);
    *ret = rs;
    return &m_diff_response_desc;
}

static const struct msg_desc *ask_tree(struct query *q, const struct question *x, void **ret)
{
    struct m_select_merge_stacktraces_response *rs = ARENA_NEW(
        q->arena, struct m_select_merge_stacktraces_response);
    struct m_select_merge_stacktraces_request rq = tree_request(x, x->selector);
    struct error err = {0};
    static const int32_t formats[] = {M_FORMAT_TREE, M_FORMAT_DOT,
        M_FORMAT_FLAMEGRAPH, [6] = M_FORMAT_FUNCTIONS, [7] = M_FORMAT_SANDWICH};
    rq.format = formats[x->kind];
    rq.sandwich_function = x->function;
    if (x->kind == 1)
        rq.max_nodes = 20;
    assert_int_equal(query_select_merge_stacktraces(q, &rq, rs, &err), ST_OK);
    *ret = rs;
    return &m_select_merge_stacktraces_response_desc;
}

static const struct msg_desc *ask_labels(struct query *q, const struct question *x, void **ret)
{
    struct m_series_response *rs = ARENA_NEW(q->arena, struct m_series_response);
    struct m_series_request rq = {.start = x->from_ms, .end = x->until_ms};
    struct str matchers[] = {x->selector};
    struct error err = {0};
    rq.matchers.v = matchers;
    rq.matchers.n = 1;
    assert_int_equal(query_series(q, &rq, rs, &err), ST_OK);
    *ret = rs;
    return &m_series_response_desc;
}

/* The answer as JSON; the caller frees with mem_free. */
static char *answer(struct store *s, const struct question *x)
{
    struct arena arena;
    struct str tenant = STR("anonymous");
    struct buf out;
    void *rs = NULL;
    arena_init(&arena, 256 * MIB);
    struct query q = {.store = s, .tenants = &tenant, .n_tenants = 1, .arena = &arena};
    const struct msg_desc *desc = x->kind == 3                   ? ask_series(&q, x, &rs)
                                  : x->kind == 4 || x->kind == 8 ? ask_diff(&q, x, &rs)
                                  : x->kind == 5                 ? ask_labels(&q, x, &rs)
                                  : x->kind == 9                 ? ask_heatmap(&q, x, &rs)
                                  : x->kind == 10                ? ask_stats(&q, &rs)
                                                                 : ask_tree(&q, x, &rs);
    buf_init(&out, GIB);
    msg_encode_json(desc, rs, &out);
    assert_false(out.failed);
    char *text = mem_new(out.n + 1);
    memcpy(text, buf_view(&out).p, out.n);
    buf_done(&out);
    arena_done(&arena);
    return text;
}

/* Merging */

static uint32_t take_range(
    struct store *s, enum block_level level, int64_t start_ns, struct block **v)
{
    uint32_t n = 0, kept = 0;
    for (uint32_t i = 0; i < s->n_blocks; i++) {
        if (block_range_start(level, s->blocks[i]->start_ns) == start_ns)
            v[n++] = s->blocks[i];
        else
            s->blocks[kept++] = s->blocks[i];
    }
    s->n_blocks = kept;
    return n;
}

static int64_t first_range(const struct store *s, enum block_level level)
{
    int64_t first = INT64_MAX;
    for (uint32_t i = 0; i < s->n_blocks; i++)
        first = MIN(first, block_range_start(level, s->blocks[i]->start_ns));
    return first;
}

/* All blocks of a range become one; nobody else uses the store. */
static void merge_ranges(struct store *s, enum block_level level, size_t memory)
{
    struct block *v[64], *merged[64];
    uint32_t n_merged = 0;
    static uint64_t merges = 1000;
    while (s->n_blocks) {
        int64_t start_ns = first_range(s, level), from_ns;
        uint32_t n = take_range(s, level, start_ns, v), before = n_merged;
        bool host = block_digest_range(level, start_ns, &from_ns);
        while (host && before && merged[before - 1]->start_ns >= from_ns)
            before--;
        struct block_file file;
        struct error err = {0};
        const struct block_merge m = {.to = &s->target,
            .sources = v,
            .n_sources = n,
            .level = level,
            .start_ns = start_ns,
            .memory = memory,
            .digested = merged + before,
            .n_digested = host ? n_merged - before : 0,
            .epoch = merges++};
        if (block_merge(&m, &file, &err) != ST_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(
            block_open(s->fs, "data/blocks", file.path, &merged[n_merged], NULL), ST_OK);
        if (block_verify(merged[n_merged], &err) != ST_OK)
            fail_msg("%s", err.msg);
        assert_int_equal(merged[n_merged++]->n_sources, n);
        for (uint32_t i = 0; i < n; i++)
            block_unref(v[i]);
    }
    for (uint32_t i = 0; i < n_merged; i++)
        store_blocks_add_locked(s, merged[i]);
}

/* Every block that has no digest becomes another one of the same: digests are of blocks that are
 * no more. */
static void merge_again(struct store *s)
{
    int64_t from_ns;
    for (uint32_t i = 0; i < s->n_blocks; i++) {
        struct block *b = s->blocks[i];
        struct block_file file;
        const struct block_merge m = {.to = &s->target,
            .sources = &b,
            .n_sources = 1,
            .level = b->level,
            .start_ns = b->start_ns,
            .epoch = b->epoch + 1000000};
        if (block_digest_range(b->level, b->start_ns, &from_ns))
            continue;
        assert_int_equal(block_merge(&m, &file, NULL), ST_OK);
        assert_int_equal(block_open(s->fs, "data/blocks", file.path, &s->blocks[i], NULL), ST_OK);
        block_cache_forget(&s->cache, b);
        block_unref(b);
    }
}

/* Of the trees and timelines that there are. */
static uint32_t trees_loaded(const struct store *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_blocks; i++)
        for (uint32_t k = 0; k < s->blocks[i]->n_datasets; k++) {
            struct block_dataset *bd = &s->blocks[i]->datasets[k];
            for (uint32_t t = 0; t < bd->rollups.n_trees; t++)
                n += block_unit_chunks(bd, bd->rollups.trees[t].tree)->loaded != NULL;
        }
    return n;
}

static uint32_t digests_loaded(const struct store *s)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_blocks; i++)
        for (uint32_t k = 0; k < s->blocks[i]->n_datasets; k++) {
            struct block_dataset *bd = &s->blocks[i]->datasets[k];
            for (uint32_t t = 0; t < bd->rollups.n_digests; t++)
                n += block_unit_chunks(bd, bd->rollups.digests[t].tree.tree)->loaded != NULL;
        }
    return n;
}

static void compare(
    struct store *s, const struct question *x, char *const *expected, const char *of)
{
    for (int i = 0; i < QUESTIONS; i++) {
        char *now = answer(s, &x[i]);
        if (strcmp(now, expected[i]) != 0)
            fail_msg("%s, question %d (kind %d, %.*s %.*s, %lld to %lld, nodes %lld):\n%s\n%s", of,
                i, x[i].kind, STR_ARG(x[i].type), STR_ARG(x[i].selector), (long long)x[i].from_ms,
                (long long)x[i].until_ms, (long long)x[i].max_nodes, expected[i], now);
        mem_free(now);
    }
    assert_true(trees_loaded(s) > 0);
}

static void one_round(uint64_t seed)
{
    struct question x[QUESTIONS];
    char *expected[QUESTIONS];
    struct fs_sim *sim = fs_sim_new(seed);
    struct store *s = open_sim(sim);
    rng_state = seed;
    span_s = 46 * 3600;
    for (int i = 0; i < UPLOADS; i++)
        random_upload(s);
    for (int i = 0; i < QUESTIONS; i++) {
        x[i] = random_question();
        expected[i] = answer(s, &x[i]);
    }
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    compare(s, x, expected, "hours");
    /* Sometimes in pieces, so that a service has several datasets in a block. */
    merge_ranges(s, BLOCK_6H, rng(3) ? 0 : 40 << 10);
    compare(s, x, expected, "quarters of days");
    merge_ranges(s, BLOCK_24H, rng(3) ? 0 : 40 << 10);
    compare(s, x, expected, "days");
    for (int i = 0; i < QUESTIONS; i++)
        mem_free(expected[i]);
    store_close(s);
    fs_sim_free(sim);
}

/* Over two weeks and some days, so that digests answer; then over the same when the blocks that
 * these sum up are no longer those of the view. */
static void one_long_round(uint64_t seed)
{
    struct question x[QUESTIONS];
    char *expected[QUESTIONS];
    struct fs_sim *sim = fs_sim_new(seed);
    struct store *s = open_sim(sim);
    rng_state = seed;
    span_s = 16 * 24 * 3600;
    for (int i = 0; i < UPLOADS_LONG; i++)
        random_upload(s);
    for (int i = 0; i < QUESTIONS; i++) {
        x[i] = random_question();
        expected[i] = answer(s, &x[i]);
    }
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    merge_ranges(s, BLOCK_24H, 0);
    compare(s, x, expected, "weeks");
    assert_true(digests_loaded(s) > 0);
    for (uint32_t i = 0; i < s->n_blocks; i++)
        block_cache_forget(&s->cache, s->blocks[i]);
    merge_again(s);
    compare(s, x, expected, "weeks merged again");
    assert_int_equal(digests_loaded(s), 0);
    for (int i = 0; i < QUESTIONS; i++)
        mem_free(expected[i]);
    store_close(s);
    fs_sim_free(sim);
}

static void test_digests_are_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS_LONG; seed++)
        one_long_round(seed);
}

/* More types than have roll-ups: those behind are answered from rows, in blocks too. */
static void test_many_types(void **state)
{
    enum { TYPES = PART_ROLLUP_TYPES_MAX + 40, EVERY = 37 };
    char name[16], type[TYPES][40], *expected[TYPES] = {0};
    struct fs_sim *sim = fs_sim_new(1);
    struct store *s = open_sim(sim);
    struct question x = {.selector = STR("{}"),
        .kind = 2,
        .from_ms = T0 / NS_PER_MS,
        .until_ms = T0 / NS_PER_MS + 3600 * 1000};
    (void)state;
    for (int i = 0; i < TYPES; i++) {
        const char *stack = "abc";
        const int64_t value = 1 + i;
        struct request rq;
        snprintf(name, sizeof name, "n%d", i);
        snprintf(type[i], sizeof type[i], "n%d:type0:count::", i);
        request_init(&rq, "web", &stack, &value, 1, 1);
        struct label *ls = ARENA_ZARRAY(&rq.arena, struct label, 2);
        ls[0] = (struct label){STR("__name__"), str_from(name)};
        ls[1] = (struct label){STR("service_name"), STR("web")};
        rq.row.labels = (struct labels){ls, 2};
        rq.prof.time_ns = T0 + i * NS_PER_S;
        assert_int_equal(append_wait(s, STR("anonymous"), &rq.row), ST_OK);
        arena_done(&rq.arena);
    }
    for (int i = 0; i < TYPES; i += EVERY) {
        x.type = str_from(type[i]);
        expected[i] = answer(s, &x);
    }
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    merge_ranges(s, BLOCK_24H, 0);
    assert_int_equal(s->blocks[0]->datasets[0].rollups.n_trees, PART_ROLLUP_TYPES_MAX);
    for (int i = 0; i < TYPES; i += EVERY) {
        x.type = str_from(type[i]);
        char *now = answer(s, &x);
        assert_string_equal(now, expected[i]);
        mem_free(now);
        mem_free(expected[i]);
    }
    store_close(s);
    fs_sim_free(sim);
}

static void test_answers_are_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++)
        one_round(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers_are_the_same),
        cmocka_unit_test(test_digests_are_the_same), cmocka_unit_test(test_many_types)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
