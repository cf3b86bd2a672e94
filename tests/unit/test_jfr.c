/* Recordings of real clients: what comes out is what the JDK's own tools read in them. */
#include "test.h"

#include "base/mem.h"
#include "codec/jfr.h"
#include "jfr_capture.h"
#include "jfr_check.h"

#define CAPTURES "tests/conformance/captures/"

enum { COLUMNS = 10, FROM_S = 1000, UNTIL_S = 1010 };

static const char *const functions[COLUMNS] = {
    "processOrder",
    "processInvoice",
    "berechneGröße",
    "recurse",
    "allocBuffers",
    "allocNodes",
    "leakStrings",
    "allocHuge",
    "holdMonitor",
    "holdReentrant",
};

/* Over all uploads of a capture: the sum of one value, and that below each function. */
struct row {
    const char *capture, *name, *type;
    int64_t unit; /* the values are counts of this */
    int64_t total;
    int64_t below[COLUMNS];
};

static const struct row rows[] = {
    {"java-rfc", "process_cpu", "cpu", 10 * NS_PER_MS, 2585,
        {1190, 399, 339, 335, 76, 158, 3, 20, 6, 2}},
    {"java-rfc", "memory", "alloc_in_new_tlab_objects", 1, 39954,
        {0, 0, 0, 0, 29842, 8917, 285, 872, 0, 10}},
    {"java-rfc", "memory", "alloc_in_new_tlab_bytes", 1, 27466237568, {[0] = -1}},
    {"java-rfc", "mutex", "contentions", 1, 1885, {[8] = 1884}},
    {"java-rfc", "mutex", "delay", 1, 8841645509, {[0] = -1}},
    {"java-rfc", "block", "contentions", 1, 1403, {[9] = 1403}},
    {"java-rfc", "block", "delay", 1, 6194470213, {[0] = -1}},
    {"java-live", "process_cpu", "cpu", 10 * NS_PER_MS, 2591,
        {1083, 355, 286, 304, 128, 159, 4, 25, 1, 3}},
    {"java-live", "memory", "alloc_in_new_tlab_objects", 1, 63935,
        {0, 0, 0, 0, 48439, 14177, 526, 729, 0, 13}},
    {"java-live", "memory", "live", 1, 1046, {0, 0, 0, 0, 594, 170, 201, 57, 0, 4}},
    {"java-extra", "process_cpu", "cpu", 10 * NS_PER_MS, 1926,
        {872, 288, 271, 258, 48, 118, 3, 13, 3, 3}},
    {"java-extra", "wall", "wall", 10 * NS_PER_MS, 22623,
        {194, 91, 66, 70, 11, 28, 4, 6, 1068, 841}},
    {"java-extra", "memory", "malloc_objects", 1, 116, {0}},
    /* Four sleeping samples of 60,911 have no stack and stand for 1,932. */
    {"java-wall", "wall", "wall", 20 * NS_PER_MS, 60911 - 1932,
        {547, 204, 160, 200, 27, 88, 11, 11, 2785, 2347}},
    {"java-wall", "process_cpu", "cpu", 20 * NS_PER_MS, 1749, {[0] = -1}},
    {"java-spring", "process_cpu", "cpu", 10 * NS_PER_MS, 10525, {[0] = -1}},
    {"java-spring", "memory", "alloc_in_new_tlab_objects", 1, 133725, {[0] = -1}},
    {"java-spring", "memory", "alloc_in_new_tlab_bytes", 1, 70110412800, {[0] = -1}},
    {"java-spring", "mutex", "contentions", 1, 1383, {[0] = -1}},
    {"java-spring", "mutex", "delay", 1, 6856785621, {[0] = -1}},
    {"java-spring", "block", "contentions", 1, 190, {[0] = -1}},
    {"java-spring", "block", "delay", 1, 1105457600, {[0] = -1}},
};

static struct jfr_options options(const char *capture)
{
    bool wall = str_eq(str_from(capture), STR("java-wall"));
    return (struct jfr_options){
        .sample_rate = wall ? 50 : 100,
        .from_ns = FROM_S * NS_PER_S,
        .until_ns = UNTIL_S * NS_PER_S,
        .stack_depth_max = 1000,
    };
}

struct decoded {
    struct arena arena;
    struct jfr jfr;
};

static void decode(
    struct str recording, struct str labels, const struct jfr_options *opt, struct decoded *ret)
{
    struct error err = {0};
    arena_init(&ret->arena, 1 << 30);
    enum status st = jfr_decode(recording, labels, opt, &ret->arena, &ret->jfr, &err);
    if (st != ST_OK)
        fail_msg("%s", err.msg);
    jfr_check(&ret->jfr, opt);
}

static bool has_function(const struct profile *p, uint32_t stack, struct str part)
{
    const struct prof_symbols *s = p->sym;
    for (uint32_t i = 0; i < s->stacks[stack].n; i++) {
        uint32_t location = s->frames[s->stacks[stack].first + i];
        uint32_t function = s->lines[s->locations[location].first_line].function;
        if (str_contains(s->strings[s->functions[function].name], part))
            return true;
    }
    return false;
}

/* Sum of the values of the samples that have this in a function's name. */
static int64_t sum_below(const struct jfr *jfr, const char *name, const char *type, struct str part)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < jfr->n; i++) {
        const struct profile *p = &jfr->profiles[i].profile;
        for (uint32_t k = 0; k < p->n_types; k++) {
            if (!str_eq(jfr->profiles[i].name, str_from(name)) ||
                !str_eq(p->types[k].type, str_from(type)))
                continue;
            for (uint32_t j = 0; j < p->n_samples; j++)
                if (part.n == 0 || has_function(p, p->samples[j].stack, part))
                    sum += p->values[(size_t)j * p->n_types + k];
        }
    }
    return sum;
}

static void test_totals(void **state)
{
    (void)state;
    for (size_t r = 0; r < ARRAY_LEN(rows); r++) {
        const struct row *row = &rows[r];
        struct jfr_options opt = options(row->capture);
        int64_t total = 0, below[COLUMNS] = {0};
        char folder[128];
        struct capture c;
        snprintf(folder, sizeof folder, CAPTURES "%s", row->capture);
        for (int i = 1; capture_load(folder, i, &c); i++) {
            struct decoded d;
            decode(c.recording, c.labels, &opt, &d);
            total += sum_below(&d.jfr, row->name, row->type, STR_EMPTY);
            for (int k = 0; k < COLUMNS && row->below[0] >= 0; k++)
                below[k] += sum_below(&d.jfr, row->name, row->type, str_from(functions[k]));
            arena_done(&d.arena);
            capture_free(&c);
        }
        assert_int_equal(total, row->total * row->unit);
        for (int k = 0; k < COLUMNS && row->below[0] >= 0; k++)
            assert_int_equal(below[k], row->below[k] * row->unit);
    }
}

static void load(const char *capture, int number, struct capture *ret)
{
    char folder[128];
    snprintf(folder, sizeof folder, CAPTURES "%s", capture);
    assert_true(capture_load(folder, number, ret));
}

static void test_profiles(void **state)
{
    (void)state;
    static const char *const names[] = {"process_cpu", "memory", "mutex", "block"};
    static const char *const periods[] = {"cpu", "space", "mutex", "block"};
    static const char *const units[] = {"nanoseconds", "bytes", "count", "count"};
    struct capture c;
    struct decoded d;
    load("java-rfc", 3, &c);
    struct jfr_options opt = options("java-rfc");
    decode(c.recording, c.labels, &opt, &d);
    assert_int_equal(d.jfr.n, 4);
    assert_true(str_eq(d.jfr.event, STR("itimer")));
    assert_int_equal(d.jfr.stacks_cut, 0);
    for (int i = 0; i < 4; i++) {
        const struct jfr_profile *p = &d.jfr.profiles[i];
        assert_true(str_eq(p->name, str_from(names[i])));
        assert_true(str_eq(p->profile.period_type.type, str_from(periods[i])));
        assert_true(str_eq(p->profile.period_type.unit, str_from(units[i])));
        assert_int_equal(p->profile.period, 0);
        assert_int_equal(p->profile.time_ns, FROM_S * NS_PER_S);
        assert_int_equal(p->profile.duration_ns, 10 * NS_PER_S);
    }
    arena_done(&d.arena);
    capture_free(&c);
}

static int64_t sum_labelled(
    const struct jfr *jfr, struct str key, struct str value, uint32_t *ret_sets)
{
    const struct profile *p = &jfr->profiles[0].profile;
    const struct prof_symbols *s = p->sym;
    int64_t sum = 0;
    for (uint32_t i = 0; i < p->n_samples; i++) {
        const struct prof_labelset *set = &s->labelsets[p->samples[i].labelset];
        for (uint32_t k = 0; k < set->n; k++) {
            const struct prof_label *l = &s->labels[set->first + k];
            if (str_eq(s->strings[l->key], key) && str_eq(s->strings[l->value], value))
                sum += p->values[i];
        }
    }
    *ret_sets = s->n_labelsets;
    return sum;
}

/* Hundreds of contexts are nine label sets: two controllers, five users, "outside" and none. */
static void test_labels(void **state)
{
    (void)state;
    struct jfr_options opt = options("java-rfc");
    int64_t order = 0, invoice = 0, user = 0, place = 0;
    struct capture c;
    for (int i = 1; capture_load(CAPTURES "java-rfc", i, &c); i++) {
        struct decoded d;
        uint32_t sets;
        decode(c.recording, c.labels, &opt, &d);
        order += sum_labelled(&d.jfr, STR("controller"), STR("order"), &sets);
        invoice += sum_labelled(&d.jfr, STR("controller"), STR("billing"), &sets);
        user += sum_labelled(&d.jfr, STR("user"), STR("user-3"), &sets);
        place += sum_labelled(&d.jfr, STR("stadt_teil"), STR("Größe ✓ 東京"), &sets);
        assert_in_range(sets, 2, 12);
        arena_done(&d.arena);
        capture_free(&c);
    }
    /* Labels are set around the functions of the table, with little else inside. */
    assert_in_range(order / (10 * NS_PER_MS), 1190, 1195);
    assert_in_range(invoice / (10 * NS_PER_MS), 399, 402);
    assert_in_range(place / (10 * NS_PER_MS), 339 + 335, 339 + 335 + 5);
    assert_in_range(user, place / 10, place / 2);
}

static struct str join(struct str a, struct str b)
{
    char *p = mem_new(a.n + b.n);
    memcpy(p, a.p, a.n);
    memcpy(p + a.n, b.p, b.n);
    return str_make(p, a.n + b.n);
}

/* Two recordings in one file add up, and share what they have in common. */
static void test_chunks(void **state)
{
    (void)state;
    struct jfr_options opt = options("java-rfc");
    struct capture c[2];
    struct decoded d[2], both;
    int64_t sum = 0;
    uint32_t functions_sum = 0;
    for (int i = 0; i < 2; i++) {
        load("java-rfc", 2 + i, &c[i]);
        decode(c[i].recording, STR_EMPTY, &opt, &d[i]);
        sum += sum_below(&d[i].jfr, "mutex", "delay", STR_EMPTY);
        functions_sum += d[i].jfr.profiles[0].profile.sym->n_functions;
    }
    struct str file = join(c[0].recording, c[1].recording);
    decode(file, STR_EMPTY, &opt, &both);
    assert_int_equal(sum_below(&both.jfr, "mutex", "delay", STR_EMPTY), sum);
    assert_int_equal(both.jfr.n, 4);
    const struct prof_symbols *s = both.jfr.profiles[0].profile.sym;
    assert_in_range(
        s->n_functions, d[0].jfr.profiles[0].profile.sym->n_functions + 1, functions_sum - 30);
    for (uint32_t i = 0; i < s->n_functions; i++)
        for (uint32_t k = 0; k < i; k++)
            assert_int_not_equal(s->functions[i].name, s->functions[k].name);
    arena_done(&both.arena);
    for (int i = 0; i < 2; i++) {
        arena_done(&d[i].arena);
        capture_free(&c[i]);
    }
    mem_free((char *)(uintptr_t)file.p);
}

/* The same file twice: every sample twice as heavy, nothing new. */
static void test_chunk_twice(void **state)
{
    (void)state;
    struct jfr_options opt = options("java-spring");
    struct capture c;
    struct decoded one, two;
    load("java-spring", 1, &c);
    decode(c.recording, c.labels, &opt, &one);
    struct str file = join(c.recording, c.recording);
    decode(file, c.labels, &opt, &two);
    assert_int_equal(one.jfr.n, two.jfr.n);
    for (uint32_t i = 0; i < one.jfr.n; i++) {
        const struct profile *a = &one.jfr.profiles[i].profile, *b = &two.jfr.profiles[i].profile;
        assert_int_equal(a->n_samples, b->n_samples);
        for (uint32_t k = 0; k < a->n_samples * a->n_types; k++)
            assert_int_equal(2 * a->values[k], b->values[k]);
    }
    assert_int_equal(
        one.jfr.profiles[0].profile.sym->n_frames, two.jfr.profiles[0].profile.sym->n_frames);
    arena_done(&one.arena);
    arena_done(&two.arena);
    capture_free(&c);
    mem_free((char *)(uintptr_t)file.p);
}

/* A clock of 500 MHz makes durations twice as long, and a rate of 0 says nothing. */
static void test_ticks(void **state)
{
    (void)state;
    struct jfr_options opt = options("java-rfc");
    struct capture c;
    struct decoded d;
    load("java-rfc", 2, &c);
    char *rate = (char *)(uintptr_t)c.recording.p + 56;
    decode(c.recording, STR_EMPTY, &opt, &d);
    int64_t delay = sum_below(&d.jfr, "block", "delay", STR_EMPTY);
    arena_done(&d.arena);
    memcpy(rate, "\0\0\0\0\x1d\xcd\x65\0", 8);
    decode(c.recording, STR_EMPTY, &opt, &d);
    assert_int_equal(sum_below(&d.jfr, "block", "delay", STR_EMPTY), 2 * delay);
    arena_done(&d.arena);
    memset(rate, 0, 8);
    decode(c.recording, STR_EMPTY, &opt, &d);
    assert_int_equal(sum_below(&d.jfr, "block", "delay", STR_EMPTY), delay);
    arena_done(&d.arena);
    capture_free(&c);
}

static enum status try(struct str recording, size_t limit, struct error *err)
{
    static const struct jfr_options opt = {.sample_rate = 100};
    struct arena arena;
    struct jfr jfr;
    arena_init(&arena, limit);
    enum status st = jfr_decode(recording, STR_EMPTY, &opt, &arena, &jfr, err);
    arena_done(&arena);
    return st;
}

static void test_truncated(void **state)
{
    (void)state;
    struct capture c;
    struct error err;
    load("java-collapsed", 1, &c);
    assert_int_equal(try(c.recording, 1 << 30, &err), ST_OK);
    for (size_t n = 1; n < c.recording.n; n++)
        assert_int_equal(try(str_head(c.recording, n), 1 << 30, &err), ST_INVALID_ARGUMENT);
    capture_free(&c);
}

/* Whatever the limit, memory that is not there is said so. */
static void test_memory(void **state)
{
    (void)state;
    struct capture c;
    struct error err;
    load("java-rfc", 1, &c);
    size_t limit = 0;
    for (; try(c.recording, limit, &err) != ST_OK; limit += 1024) {
        assert_int_equal(err.code, ST_RESOURCE_EXHAUSTED);
        assert_true(limit < MIB);
    }
    assert_true(limit > 100 * KIB);
    capture_free(&c);
}

static void test_texts(void **state)
{
    (void)state;
    struct error err;
    assert_int_equal(try(STR_EMPTY, MIB, &err), ST_OK);
    static const char eof[] =
        "jfr parser ParseEvent error: error reading chunk header: unexpected EOF";
    assert_int_equal(try(STR("not a recording"), MIB, &err), ST_INVALID_ARGUMENT);
    assert_string_equal(err.msg, eof);
    assert_int_equal(try(STR("FLR\0"), MIB, &err), ST_INVALID_ARGUMENT);
    assert_string_equal(err.msg, eof);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_totals),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_chunk_twice),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
