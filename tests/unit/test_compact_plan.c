/* compact_plan: the rules one by one, and over random sets of blocks what must always hold: only
 * what may be joined is joined, it comes to an end, and then nothing is left to do. */
#include "test.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"
#include "store/compact_int.h"

#define HOUR BLOCK_HOUR_NS
#define MINUTE (60 * NS_PER_S)
#define DAY0 (19000 * 24 * HOUR)

enum { BLOCKS_MAX = 4096 };

/* Blocks as they become fewer. */
struct set {
    struct compact_block v[BLOCKS_MAX];
    uint32_t n;
    uint64_t next_epoch;
    struct compact_rules rules;
    struct arena arena;
    struct compact_job job;
};

static struct set *set_new(int64_t now_ns)
{
    struct set *s = NEW(struct set);
    s->next_epoch = 100;
    s->rules.now_ns = now_ns;
    arena_init(&s->arena, GIB);
    return s;
}

static void set_free(struct set *s)
{
    arena_done(&s->arena);
    mem_free(s);
}

static void add(
    struct set *s, const char *tenant, enum block_level level, int64_t start_ns, uint64_t bytes)
{
    assert_true(s->n < BLOCKS_MAX);
    s->v[s->n++] = (struct compact_block){
        str_from(tenant), level, start_ns, bytes, s->next_epoch++, false};
}

static bool plan(struct set *s)
{
    return compact_plan(s->v, s->n, &s->rules, &s->arena, &s->job);
}

static bool is_source(const struct set *s, uint32_t i)
{
    for (uint32_t k = 0; k < s->job.n_sources; k++)
        if (s->job.sources[k] == i)
            return true;
    return false;
}

static uint64_t source_bytes(const struct set *s)
{
    uint64_t bytes = 0;
    for (uint32_t k = 0; k < s->job.n_sources; k++)
        bytes += s->v[s->job.sources[k]].bytes;
    return bytes;
}

/* The job is done: its sources go, one block comes. */
static void apply(struct set *s)
{
    const struct compact_block out = {s->v[s->job.sources[0]].tenant, s->job.level, s->job.start_ns,
        MAX(source_bytes(s) * 4 / 5, 1u), s->next_epoch++, false};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->n; i++)
        if (!is_source(s, i))
            s->v[kept++] = s->v[i];
    s->n = kept;
    s->v[s->n++] = out;
}

static void assert_job(struct set *s, enum block_level level, int64_t start_ns, uint32_t n)
{
    assert_true(plan(s));
    assert_int_equal(s->job.level, level);
    assert_int_equal(s->job.start_ns, start_ns);
    assert_int_equal(s->job.n_sources, n);
    apply(s);
}

static void assert_nothing(struct set *s)
{
    assert_false(plan(s));
}

static void test_nothing_to_do(void **state)
{
    struct set *s = set_new(DAY0 + 99 * HOUR);
    (void)state;
    assert_nothing(s);
    add(s, "a", BLOCK_24H, DAY0, 10);
    assert_nothing(s);
    s->rules.force = true;
    assert_nothing(s);
    set_free(s);
}

static void test_hour_with_many(void **state)
{
    struct set *s = set_new(DAY0 + 10 * MINUTE);
    (void)state;
    for (uint32_t i = 0; i < COMPACT_HOUR_BLOCKS; i++)
        add(s, "a", BLOCK_1H, DAY0, 10);
    assert_nothing(s);
    add(s, "a", BLOCK_1H, DAY0 + HOUR, 10); /* of another hour, another tenant */
    add(s, "b", BLOCK_1H, DAY0, 10);
    assert_nothing(s);
    add(s, "a", BLOCK_1H, DAY0, 10);
    assert_job(s, BLOCK_1H, DAY0, COMPACT_HOUR_BLOCKS + 1);
    assert_nothing(s);
    set_free(s);
}

static void test_quarter_of_a_day(void **state)
{
    struct set *s = set_new(DAY0 + 6 * HOUR + 30 * MINUTE - 1);
    (void)state;
    for (int h = 0; h < 7; h++)
        add(s, "a", BLOCK_1H, DAY0 + h * HOUR, 10);
    assert_nothing(s);
    s->rules.now_ns++;
    assert_job(s, BLOCK_6H, DAY0, 6);
    assert_nothing(s);
    s->rules.now_ns = DAY0 + 13 * HOUR; /* the one block of the second quarter waits for the day */
    assert_nothing(s);
    set_free(s);
}

static void test_day(void **state)
{
    struct set *s = set_new(DAY0 + 25 * HOUR - 1);
    (void)state;
    add(s, "a", BLOCK_6H, DAY0, 60);
    add(s, "a", BLOCK_6H, DAY0 + 6 * HOUR, 60);
    add(s, "a", BLOCK_1H, DAY0 + 23 * HOUR, 10);
    add(s, "a", BLOCK_1H, DAY0 + 24 * HOUR, 10);
    assert_nothing(s);
    s->rules.now_ns++;
    assert_job(s, BLOCK_24H, DAY0, 3);
    assert_nothing(s);
    set_free(s);
}

static void test_one_block_of_a_day_is_raised(void **state)
{
    struct set *s = set_new(DAY0 + 25 * HOUR);
    (void)state;
    add(s, "a", BLOCK_1H, DAY0 + 3 * HOUR, 10);
    add(s, "b", BLOCK_6H, DAY0 + 6 * HOUR, 10);
    assert_job(s, BLOCK_24H, DAY0, 1);
    assert_job(s, BLOCK_24H, DAY0, 1);
    assert_nothing(s);
    set_free(s);
}

static void test_late_data_waits(void **state)
{
    struct set *s = set_new(DAY0 + 60 * HOUR);
    (void)state;
    add(s, "a", BLOCK_24H, DAY0, 1000);
    for (int i = 0; i < 5; i++)
        add(s, "a", BLOCK_1H, DAY0 + i * HOUR, 50);
    assert_nothing(s); /* a quarter exactly */
    add(s, "a", BLOCK_1H, DAY0, 1);
    assert_job(s, BLOCK_24H, DAY0, 7);
    add(s, "a", BLOCK_1H, DAY0, 1);
    add(s, "a", BLOCK_1H, DAY0 + HOUR, 1);
    assert_nothing(s);
    s->rules.old_epoch = s->next_epoch - 3; /* before both */
    assert_nothing(s);
    s->rules.old_epoch++; /* the first is a day old: everything goes in at once */
    assert_job(s, BLOCK_24H, DAY0, 3);
    assert_nothing(s);
    set_free(s);
}

/* Late blocks that wait do not pile up in one hour, and are not joined to quarters meanwhile. */
static void test_late_data_that_waits_is_bounded(void **state)
{
    struct set *s = set_new(DAY0 + 60 * HOUR);
    (void)state;
    add(s, "a", BLOCK_24H, DAY0, 1000000);
    for (int i = 0; i < 20; i++)
        add(s, "a", BLOCK_1H, DAY0 + (i % 2) * HOUR, 1);
    assert_job(s, BLOCK_1H, DAY0, 10);
    assert_job(s, BLOCK_1H, DAY0 + HOUR, 10);
    assert_nothing(s);
    set_free(s);
}

static void test_late_data_of_a_quarter(void **state)
{
    struct set *s = set_new(DAY0 + 10 * HOUR);
    (void)state;
    add(s, "a", BLOCK_6H, DAY0, 1000);
    add(s, "a", BLOCK_1H, DAY0, 250);
    assert_nothing(s);
    add(s, "a", BLOCK_1H, DAY0, 1);
    assert_job(s, BLOCK_6H, DAY0, 3);
    set_free(s);
}

static void test_small_levels_first(void **state)
{
    struct set *s = set_new(DAY0 + 49 * HOUR);
    (void)state;
    for (int i = 0; i < 9; i++)
        add(s, "z", BLOCK_1H, DAY0 + 48 * HOUR, 1);
    add(s, "a", BLOCK_1H, DAY0, 1);
    for (int i = 0; i < 2; i++) {
        add(s, "a", BLOCK_1H, DAY0 + (24 + i) * HOUR, 1);
        add(s, "a", BLOCK_1H, DAY0 - (24 + i) * HOUR, 1);
    }
    s->rules.now_ns = DAY0 + 48 * HOUR + 30 * MINUTE;
    assert_job(s, BLOCK_1H, DAY0 + 48 * HOUR, 9);
    assert_job(s, BLOCK_6H, DAY0 + 24 * HOUR, 2); /* its day is not over for an hour */
    assert_job(s, BLOCK_24H, DAY0 - 48 * HOUR, 1);
    assert_job(s, BLOCK_24H, DAY0 - 24 * HOUR, 1);
    assert_job(s, BLOCK_24H, DAY0, 1);
    assert_nothing(s);
    set_free(s);
}

static void test_unfit_blocks_are_left_alone(void **state)
{
    struct set *s = set_new(DAY0 + 60 * HOUR);
    (void)state;
    for (int force = 0; force < 2; force++) {
        s->n = 0;
        s->rules.force = force;
        add(s, "a", BLOCK_1H, DAY0, 10);
        add(s, "a", BLOCK_24H, DAY0, 10);
        s->v[0].unfit = true;
        assert_nothing(s);
        s->v[1].unfit = true;
        s->v[0].unfit = false;
        assert_job(s, BLOCK_24H, DAY0, 1);
        assert_nothing(s);
        assert_int_equal(s->n, 2);
    }
    set_free(s);
}

static void test_far_ends_of_time(void **state)
{
    static const int64_t starts[] = {INT64_MIN, INT64_MIN + HOUR, INT64_MAX - HOUR, INT64_MAX};
    struct set *s = set_new(INT64_MAX);
    (void)state;
    for (int force = 0; force < 2; force++) {
        s->rules.force = force;
        for (int now = 0; now < 3; now++) {
            s->n = 0;
            s->rules.now_ns = now == 0 ? INT64_MIN : now == 1 ? 0 : INT64_MAX;
            for (size_t i = 0; i < ARRAY_LEN(starts); i++)
                for (int k = 0; k < 20; k++)
                    add(s, "a", BLOCK_1H, block_hour(starts[i]), 10);
            assert_nothing(s);
        }
    }
    set_free(s);
}

static void test_negative_times(void **state)
{
    struct set *s = set_new(0);
    (void)state;
    s->rules.now_ns = HOUR; /* the day that ends at 0 is over */
    add(s, "a", BLOCK_1H, -HOUR, 10);
    add(s, "a", BLOCK_1H, -24 * HOUR, 10);
    add(s, "a", BLOCK_1H, 0, 10);
    assert_job(s, BLOCK_24H, -24 * HOUR, 2);
    assert_nothing(s);
    set_free(s);
}

static void test_force(void **state)
{
    struct set *s = set_new(DAY0);
    (void)state;
    s->rules.force = true;
    add(s, "a", BLOCK_24H, DAY0, 1000);
    add(s, "a", BLOCK_1H, DAY0, 1);
    add(s, "a", BLOCK_6H, DAY0 + 6 * HOUR, 1);
    add(s, "a", BLOCK_1H, DAY0 + 30 * HOUR, 1); /* of tomorrow, alone */
    add(s, "b", BLOCK_1H, DAY0, 1);
    assert_job(s, BLOCK_24H, DAY0, 3);
    assert_job(s, BLOCK_24H, DAY0, 1);
    assert_job(s, BLOCK_24H, DAY0 + 24 * HOUR, 1);
    assert_nothing(s);
    set_free(s);
}

static void test_very_many(void **state)
{
    struct set *s = set_new(DAY0 + 60 * HOUR);
    (void)state;
    for (int i = 0; i < COMPACT_SOURCES_MAX * 3; i++)
        add(s, "a", BLOCK_1H, DAY0, 10);
    assert_job(s, BLOCK_24H, DAY0, COMPACT_SOURCES_MAX);
    assert_job(s, BLOCK_24H, DAY0, COMPACT_SOURCES_MAX);
    assert_job(s, BLOCK_24H, DAY0, COMPACT_SOURCES_MAX);
    assert_job(s, BLOCK_24H, DAY0, 3); /* the three */
    assert_nothing(s);
    set_free(s);
}

/* What must hold of every job. */
static void check_job(const struct set *s)
{
    const struct compact_job *j = &s->job;
    uint32_t of_level = 0;
    assert_in_range(j->n_sources, 1, COMPACT_SOURCES_MAX);
    assert_true(block_range_start(j->level, j->start_ns) == j->start_ns);
    for (uint32_t i = 0; i < j->n_sources; i++) {
        const struct compact_block *b = &s->v[j->sources[i]];
        assert_true(j->sources[i] < s->n);
        assert_true(str_eq(b->tenant, s->v[j->sources[0]].tenant));
        assert_true(b->level <= j->level);
        assert_true(block_range_start(j->level, b->start_ns) == j->start_ns);
        assert_false(b->unfit);
        of_level += b->level == j->level;
        for (uint32_t k = 0; k < i; k++)
            assert_int_not_equal(j->sources[k], j->sources[i]);
        if (!s->rules.force && j->level > BLOCK_1H)
            assert_true(s->rules.now_ns >= j->start_ns + block_levels[j->level].span_ns);
    }
    if (j->n_sources == 1)
        assert_true(j->level == BLOCK_24H && of_level == 0);
}

static uint64_t rng;
static uint64_t draw(uint64_t below)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (rng * 0x2545F4914F6CDD1Du >> 32) % below;
}

static void add_random(struct set *s, uint32_t n)
{
    static const char *const tenants[] = {"a", "b", "c"};
    for (uint32_t i = 0; i < n; i++) {
        enum block_level level = draw(6) ? BLOCK_1H : (enum block_level)draw(BLOCK_LEVELS);
        int64_t time = DAY0 + (int64_t)draw(72) * HOUR;
        if (draw(50) == 0)
            time = draw(2) ? INT64_MIN : INT64_MAX;
        add(s, tenants[draw(3)], level, block_range_start(level, time), 1 + draw(1u << draw(20)));
        s->v[s->n - 1].unfit = draw(20) == 0;
    }
}

/* When nothing is due: how many fit blocks a day of a tenant has left. */
static void check_end(const struct set *s, bool all_over)
{
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t same_day = 0, same_hour = 0;
        const struct compact_block *a = &s->v[i];
        int64_t day = block_range_start(BLOCK_24H, a->start_ns);
        if (a->unfit || day < DAY0 - 24 * HOUR || day > DAY0 + 99 * HOUR)
            continue;
        for (uint32_t k = 0; k < s->n; k++) {
            const struct compact_block *b = &s->v[k];
            if (b->unfit || !str_eq(a->tenant, b->tenant))
                continue;
            same_day += block_range_start(BLOCK_24H, b->start_ns) == day;
            same_hour += a->level == BLOCK_1H && b->level == BLOCK_1H && a->start_ns == b->start_ns;
        }
        assert_true(same_hour <= COMPACT_HOUR_BLOCKS);
        if (all_over)
            assert_true(same_day == 1 && a->level == BLOCK_24H);
    }
}

static void run_to_the_end(struct set *s)
{
    uint32_t jobs = 0, most = 2 * s->n;
    uint64_t unfit = 0, unfit_after = 0;
    for (uint32_t i = 0; i < s->n; i++)
        unfit += s->v[i].unfit;
    while (plan(s)) {
        check_job(s);
        apply(s);
        assert_true(++jobs <= most);
        arena_reset(&s->arena);
    }
    for (uint32_t i = 0; i < s->n; i++)
        unfit_after += s->v[i].unfit;
    assert_int_equal(unfit, unfit_after);
}

static void test_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        rng = seed * 0x9E3779B97F4A7C15u;
        struct set *s = set_new(DAY0);
        s->rules.force = seed % 5 == 0;
        for (int round = 0; round < 6; round++) { /* time goes on, data comes late */
            add_random(s, (uint32_t)draw(60));
            s->rules.now_ns += (int64_t)draw(20 * 60) * MINUTE;
            s->rules.old_epoch = draw(2) ? 0 : draw(s->next_epoch);
            run_to_the_end(s);
            check_end(s, s->rules.force);
        }
        s->rules.now_ns = DAY0 + 1000 * HOUR;
        s->rules.old_epoch = s->next_epoch;
        run_to_the_end(s);
        check_end(s, true);
        set_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_hour_with_many),
        cmocka_unit_test(test_quarter_of_a_day),
        cmocka_unit_test(test_day),
        cmocka_unit_test(test_one_block_of_a_day_is_raised),
        cmocka_unit_test(test_late_data_waits),
        cmocka_unit_test(test_late_data_that_waits_is_bounded),
        cmocka_unit_test(test_late_data_of_a_quarter),
        cmocka_unit_test(test_small_levels_first),
        cmocka_unit_test(test_unfit_blocks_are_left_alone),
        cmocka_unit_test(test_far_ends_of_time),
        cmocka_unit_test(test_negative_times),
        cmocka_unit_test(test_force),
        cmocka_unit_test(test_very_many),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
