/* ingest: root frames that Go's profilers cut come back. Frames are numbered 1 (root) to n; a stack
 * is leaf first, so "9..40" is the profiler's view of a stack of 40 frames when it keeps 32. */
#include "test.h"

#include "ingest_fixture.h"

#include "base/metrics.h"

enum { STACKS_MAX = 400, IDS = 64 * 1024 };

/* A profile under construction. */
static struct pprof prof;
static struct pprof_sample stacks[STACKS_MAX];
static uint64_t ids[IDS];
static struct str strings[3];
static struct pprof_value_type type;
static uint64_t repaired;

static void begin(const char *name)
{
    memset(&prof, 0, sizeof prof);
    memset(ids, 0, sizeof ids);
    strings[0] = STR_EMPTY;
    strings[1] = str_from(name);
    strings[2] = STR("count");
    type = (struct pprof_value_type){1, 2};
    prof.strings = strings;
    prof.n_strings = 3;
    prof.sample_types = &type;
    prof.n_sample_types = 1;
    prof.samples = stacks;
    prof.location_ids = ids;
    repaired = 0;
}

static void add_ids(const uint64_t *v, uint32_t n)
{
    assert_true(prof.n_samples < STACKS_MAX && prof.n_location_ids + n <= IDS);
    memcpy(ids + prof.n_location_ids, v, n * sizeof *v);
    stacks[prof.n_samples++] = (struct pprof_sample){
        .first_location = prof.n_location_ids, .n_locations = n};
    prof.n_location_ids += n;
}

/* Frames `root` to `leaf` of the call path; `leaf` is the first id. */
static void add(uint64_t root, uint64_t leaf)
{
    uint64_t v[200];
    uint32_t n = 0;
    for (uint64_t id = leaf; id >= root; id--)
        v[n++] = id;
    add_ids(v, n);
}

static void fix(void)
{
    struct error err;
    assert_int_equal(ingest_fix_go_stacks(&prof, &test_arena, &repaired, &err), ST_OK);
}

/* Stack i is `leaf` down to `root`, without a gap. */
static void expect(uint32_t i, uint64_t root, uint64_t leaf)
{
    const struct pprof_sample *s = &prof.samples[i];
    assert_int_equal(s->n_locations, leaf - root + 1);
    for (uint32_t k = 0; k < s->n_locations; k++)
        assert_int_equal(prof.location_ids[s->first_location + k], leaf - k);
}

static void test_distances(void **state)
{
    (void)state;
    for (uint64_t d = 1; d <= 9; d++) {
        begin("inuse_space");
        add(1, 28);         /* whole; its last 24 are 24..1 */
        add(1 + d, 32 + d); /* cut by d */
        fix();
        expect(0, 1, 28);
        expect(1, d <= 8 ? 1 : 1 + d, 32 + d); /* at 9 the 16 frames do not meet */
        assert_int_equal(repaired, d <= 8);
    }
}

static void test_chain(void **state)
{
    (void)state;
    begin("alloc_objects");
    add(25, 56); /* continues in the next, that in the one behind it, that in the whole one */
    add(17, 48);
    add(9, 40);
    add(1, 30);
    add(17, 47); /* another leaf on the same way: the same group */
    fix();
    for (uint32_t i = 0; i < 5; i++)
        expect(i, 1, (const uint64_t[]){56, 48, 40, 30, 47}[i]);
    assert_int_equal(repaired, 4);
}

/* The whole stack differs only leafwards of the frames that are compared. */
static void test_other_branch(void **state)
{
    (void)state;
    uint64_t v[28];
    begin("inuse_objects");
    for (uint32_t k = 0; k < 28; k++)
        v[k] = k < 4 ? 1000 + k : 28 - k; /* 1000..1003, then 24..1 */
    add_ids(v, 28);
    add(6, 37);
    add(500, 531); /* of somewhere else */
    fix();
    expect(1, 1, 37);
    expect(2, 500, 531);
    assert_int_equal(repaired, 1);
}

/* The same window at two distances: the larger one wins. */
static void test_larger_distance(void **state)
{
    (void)state;
    uint64_t near[24], far[24];
    begin("inuse_space");
    for (uint32_t k = 0; k < 24; k++) {
        near[k] = k < 5 ? 900 + k : k < 21 ? 120 - k : 7; /* 115..100, then three more */
        far[k] = k < 1 ? 800 : k < 17 ? 116 - k : 30 - k; /* 115..100, then 13..7 */
    }
    add_ids(near, 24);
    add_ids(far, 24);
    add(100, 131);
    fix();
    assert_int_equal(repaired, 1);
    assert_int_equal(prof.samples[2].n_locations, 32 + 7);
    for (uint64_t k = 0; k < 7; k++)
        assert_int_equal(prof.location_ids[prof.samples[2].first_location + 32 + k], far[17 + k]);
}

/* §6.6: which profiles are looked at. */
static void test_gate(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        uint32_t deepest;
        bool tried;
    } cases[] = {{"alloc_space", 32, true}, {"alloc_space", 28, true}, {"alloc_space", 27, false},
        {"alloc_space", 33, false}, {"inuse_space", 64, false}, {"cpu", 60, true},
        {"cpu", 128, true}, {"cpu", 59, false}, {"delay", 64, false}, {"samples", 64, false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        begin(cases[i].type);
        add(1, 24);
        add(9, 8 + cases[i].deepest);
        fix();
        expect(1, cases[i].tried ? 1 : 9, 8 + cases[i].deepest);
    }
    begin("cpu");
    add(1, 23); /* too short to be of help */
    add(8, 70);
    fix();
    expect(1, 8, 70);
}

/* Recursion: chains that do not end and windows of the group itself change nothing. */
static void test_cycles(void **state)
{
    (void)state;
    uint64_t v[32], w[32], x[32];
    begin("inuse_space");
    for (uint32_t k = 0; k < 32; k++) {
        v[k] = 1 + k % 2;
        w[k] = 2 - k % 2;
        x[k] = 5;
    }
    add_ids(v, 32);
    add_ids(w, 32);
    add_ids(x, 32);
    fix();
    assert_int_equal(repaired, 0);
    assert_ptr_equal(prof.location_ids, ids);
    assert_int_equal(prof.samples[0].n_locations, 32);
}

/* A chain of 55 links is followed, one of 56 is not. */
static void test_long_chain(void **state)
{
    (void)state;
    begin("inuse_space");
    add(1, 30);
    for (uint64_t i = 1; i <= 56; i++)
        add(1 + 8 * i, 32 + 8 * i);
    fix();
    expect(55, 1, 32 + 8 * 55);
    expect(56, 1 + 8 * 56, 32 + 8 * 56);
    assert_int_equal(repaired, 55);
}

/* ---- a model: the text of the specification, slowly ---- */

static const uint64_t *tail_of(uint32_t i)
{
    return ids + stacks[i].first_location + stacks[i].n_locations - 24;
}

static int compare(uint32_t a, uint32_t b)
{
    for (int k = 0; k < 24; k++)
        if (tail_of(a)[k] != tail_of(b)[k])
            return tail_of(a)[k] < tail_of(b)[k] ? -1 : 1;
    return 0;
}

/* The stack whose group continues that of stack i, by *ret_d; -1: none. The first in the order of
 * tails among those at the largest distance. */
static int continues(uint32_t i, uint32_t n, uint32_t *ret_d)
{
    for (uint32_t d = 8; d > 0; d--) {
        int best = -1;
        for (uint32_t k = 0; k < n; k++)
            if (stacks[k].n_locations >= 24 &&
                memcmp(tail_of(k) + 8 - d, tail_of(i) + 8, 16 * sizeof(uint64_t)) == 0 &&
                (best < 0 || compare(k, (uint32_t)best) < 0))
                best = (int)k;
        *ret_d = d;
        if (best >= 0)
            return compare((uint32_t)best, i) == 0 ? -1 : best;
    }
    return -1;
}

static uint32_t model(uint32_t i, uint32_t n, uint64_t *out)
{
    uint32_t len = stacks[i].n_locations, d, links = 0;
    memcpy(out, ids + stacks[i].first_location, len * sizeof *out);
    uint32_t whole = len;
    for (int k = (int)i; len >= 24 && (k = continues((uint32_t)k, n, &d)) >= 0;) {
        if (++links == 56)
            return whole;
        memcpy(out + len, tail_of((uint32_t)k) + 24 - d, d * sizeof *out);
        len += d;
    }
    return len;
}

static void test_random(void **state)
{
    (void)state;
    uint32_t rng = 12345, total = 0;
    for (int round = 0; round < 300; round++) {
        static uint64_t want[STACKS_MAX][600];
        static uint32_t want_n[STACKS_MAX];
        uint32_t n = 2 + (uint32_t)round % 60;
        begin("alloc_space");
        for (uint32_t i = 0; i < n; i++) {
            uint64_t v[32];
            rng = rng * 1664525u + 1013904223u;
            uint32_t len = 20 + (rng >> 8) % 13, at = (rng >> 16) % 24;
            for (uint32_t k = 0; k < len; k++) /* few ways, some of them rings */
                v[k] = round % 3 ? 100 - at - k : (at + k) % (uint32_t)(5 + round % 20);
            if ((rng >> 28) == 0)
                v[len / 2] = 7777;
            add_ids(v, len);
        }
        add(200, 231);
        n++;
        for (uint32_t i = 0; i < n; i++)
            want_n[i] = model(i, n, want[i]);
        fix();
        for (uint32_t i = 0; i < n; i++) {
            const struct pprof_sample *s = &prof.samples[i];
            assert_int_equal(s->n_locations, want_n[i]);
            assert_memory_equal(
                prof.location_ids + s->first_location, want[i], want_n[i] * sizeof(uint64_t));
        }
        total += (uint32_t)repaired;
        arena_reset(&test_arena);
    }
    assert_true(total > 500); /* the rounds are not empty */
}

/* ---- through the pipeline ---- */

static struct str deep_pprof(void)
{
    struct pprof_text t;
    pt_begin(&t, "inuse_space", "bytes");
    for (uint32_t i = 1; i <= 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", i);
        pt_frame(&t, i, pt_string(&t, name), 0);
    }
    for (int whole = 0; whole < 2; whole++) {
        struct buf sub;
        buf_init(&sub, 1000);
        for (uint32_t id = whole ? 24 : 40; id >= (whole ? 1u : 9u); id--)
            pb_uint(&sub, 1, id);
        pb_uint(&sub, 2, whole ? 5 : 7);
        pb_bytes(&t.b, 2, buf_view(&sub));
        buf_done(&sub);
    }
    return pt_end(&t, NOW_NS - NS_PER_S);
}

static void push_of(const char *spy)
{
    struct m_label_pair pairs[] = {{STR("__name__"), STR("memory")},
        {STR("service_name"), STR("s")}, {STR("pyroscope_spy"), str_from(spy)}};
    struct m_raw_sample sample = {.raw_profile = deep_pprof()};
    struct m_raw_series series = {0};
    struct m_push_request request = {0};
    series.labels.v = pairs;
    series.labels.n = ARRAY_LEN(pairs);
    series.samples.v = &sample;
    series.samples.n = 1;
    request.series.v = &series;
    request.series.n = 1;
    struct ingest_push p = {STR("t"), &request, &test_arena, NOW_NS};
    ingest_push(test_ingest, &p, outcome_set, &outcome);
    assert_int_equal(outcome.st, ST_OK);
}

static void test_only_go(void **state)
{
    (void)state;
    double before = metric_get(M_REPAIRED_STACKS, STR("t"));
    push_of("gospy");
    push_of("pyroscope-rs");
    assert_int_equal(fake.n_rows, 2);
    assert_non_null(strstr(fake.rows[0], "\n;f1;f2;f3;f4;f5;f6;f7;f8;f9;f10;"));
    assert_null(strstr(fake.rows[0], "\n;f9;f10;"));
    assert_non_null(strstr(fake.rows[1], "\n;f9;f10;"));
    assert_int_equal(metric_get(M_REPAIRED_STACKS, STR("t")) - before, 1);
}

/* Groups that all share their windows: time and memory stay linear, and where the repair would take
 * too much, it is left out. */
static void hostile(uint32_t n, uint64_t want_repaired, size_t bytes_max)
{
    enum { DEEP = 60 };
    begin("cpu");
    prof.samples = ARENA_ZARRAY(&test_arena, struct pprof_sample, n);
    prof.location_ids = ARENA_ARRAY(&test_arena, uint64_t, (size_t)n * DEEP);
    prof.n_samples = n;
    prof.n_location_ids = n * DEEP;
    for (uint32_t i = 0; i < n; i++) {
        prof.samples[i].first_location = i * DEEP;
        prof.samples[i].n_locations = DEEP;
        for (uint32_t k = 0; k < DEEP; k++)
            prof.location_ids[i * DEEP + k] = k < 37 ? i + 100 : 1 + (k & 1);
    }
    size_t before = test_arena.used;
    fix();
    assert_int_equal(repaired, want_repaired);
    assert_true(test_arena.used - before < bytes_max);
    arena_reset(&test_arena);
}

static void test_hostile(void **state)
{
    (void)state;
    hostile(20000, 19999, 32 * MIB);
    hostile(200000, 0, 64 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(test_distances),
        TEST_OF(test_chain),
        TEST_OF(test_other_branch),
        TEST_OF(test_larger_distance),
        TEST_OF(test_gate),
        TEST_OF(test_cycles),
        TEST_OF(test_long_chain),
        TEST_OF(test_random),
        TEST_OF(test_only_go),
        TEST_OF(test_hostile),
    };
    return cmocka_run_group_tests_name("ingest: go stacks", tests, NULL, NULL);
}
