/* codec/pprof: decoding, checks and their texts, Go shapes, damage. */
#include "test.h"

#include "base/hash.h"
#include "codec/gzip.h"
#include "pprof_make.h"

static struct arena arena;
static struct buf m, t;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 512 * MIB);
    buf_init(&m, 256 * MIB);
    buf_init(&t, 256 * MIB);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    buf_done(&m);
    buf_done(&t);
    return 0;
}

/* One sample of two frames, labels, a mapping: everything a check can look at. */
static struct pprof *small(void)
{
    static const struct str words[] = {{"", 0}, {"cpu", 3}, {"nanoseconds", 11}, {"main", 4},
        {"work", 4}, {"main.go", 7}, {"key", 3}, {"value", 5}, {"/bin/app", 8}, {"b1d", 3}};
    struct pprof *p = ARENA_NEW(&arena, struct pprof);
    p->strings = ARENA_ARRAY(&arena, struct str, ARRAY_LEN(words));
    memcpy(p->strings, words, sizeof words);
    p->n_strings = ARRAY_LEN(words);
    p->sample_types = ARENA_NEW(&arena, struct pprof_value_type);
    p->sample_types[0] = (struct pprof_value_type){1, 2};
    p->samples = ARENA_NEW(&arena, struct pprof_sample);
    p->samples[0] = (struct pprof_sample){0, 2, 0, 1, 0, 1};
    p->location_ids = ARENA_ZARRAY(&arena, uint64_t, 2);
    p->location_ids[0] = 7;
    p->location_ids[1] = 300;
    p->values = ARENA_NEW(&arena, int64_t);
    p->values[0] = 10000000;
    p->labels = ARENA_NEW(&arena, struct pprof_label);
    p->labels[0] = (struct pprof_label){6, 7, 0, 0};
    p->mappings = ARENA_NEW(&arena, struct pprof_mapping);
    p->mappings[0] = (struct pprof_mapping){1, 4096, 8192, 64, 8, 9, 5};
    p->locations = ARENA_ZARRAY(&arena, struct pprof_location, 2);
    p->locations[0] = (struct pprof_location){7, 1, 4100, 0, 1, false};
    p->locations[1] = (struct pprof_location){300, 1, 4200, 1, 2, true};
    p->lines = ARENA_ZARRAY(&arena, struct pprof_line, 3);
    p->lines[0] = (struct pprof_line){1, 10};
    p->lines[1] = (struct pprof_line){2, -5};
    p->lines[2] = (struct pprof_line){1, 12};
    p->functions = ARENA_ZARRAY(&arena, struct pprof_function, 2);
    p->functions[0] = (struct pprof_function){1, 3, 3, 5, 1};
    p->functions[1] = (struct pprof_function){2, 4, 4, 5, 9};
    p->n_sample_types = p->n_samples = p->n_values = p->n_labels = p->n_mappings = 1;
    p->n_location_ids = p->n_locations = p->n_functions = 2;
    p->n_lines = 3;
    p->time_ns = 1700000000123456789;
    p->duration_ns = 10 * NS_PER_S;
    p->period = 10000000;
    p->period_type = (struct pprof_value_type){1, 2};
    p->has_period_type = true;
    p->default_sample_type = 1;
    return p;
}

static struct pprof *decoded(struct str in)
{
    struct pprof *p = NULL;
    enum status st = pprof_decode(in, 64 * MIB, &arena, &p, &err);
    if (st != ST_OK)
        fail_msg("%.*s", STR_ARG(error_str(&err)));
    return p;
}

static void assert_same(const struct pprof *a, const struct pprof *b)
{
#define SAME(array, n)                  \
    assert_int_equal(a->n, b->n);       \
    for (uint32_t i = 0; i < a->n; i++) \
    assert_memory_equal(&a->array[i], &b->array[i], sizeof a->array[i])
    SAME(sample_types, n_sample_types);
    SAME(samples, n_samples);
    SAME(location_ids, n_location_ids);
    SAME(values, n_values);
    SAME(labels, n_labels);
    SAME(lines, n_lines);
    SAME(functions, n_functions);
#undef SAME
    assert_int_equal(a->n_strings, b->n_strings);
    for (uint32_t i = 0; i < a->n_strings; i++)
        assert_true(str_eq(a->strings[i], b->strings[i]));
    assert_int_equal(a->n_locations, b->n_locations);
    for (uint32_t i = 0; i < a->n_locations; i++) {
        const struct pprof_location *x = &a->locations[i], *y = &b->locations[i];
        assert_true(x->id == y->id && x->mapping_id == y->mapping_id && x->address == y->address);
        assert_true(x->first_line == y->first_line && x->n_lines == y->n_lines);
        assert_true(x->folded == y->folded);
    }
    assert_int_equal(a->n_mappings, b->n_mappings);
    for (uint32_t i = 0; i < a->n_mappings; i++) {
        const struct pprof_mapping *x = &a->mappings[i], *y = &b->mappings[i];
        assert_true(x->id == y->id && x->start == y->start && x->limit == y->limit);
        assert_true(x->offset == y->offset && x->filename == y->filename);
        assert_true(x->build_id == y->build_id && x->flags == y->flags);
    }
    assert_true(a->time_ns == b->time_ns && a->duration_ns == b->duration_ns);
    assert_true(a->period == b->period && a->has_period_type == b->has_period_type);
    assert_true(a->default_sample_type == b->default_sample_type);
    assert_memory_equal(&a->period_type, &b->period_type, sizeof a->period_type);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct pprof *p = small();
    pprof_make(&m, p);
    struct pprof *q = decoded(buf_view(&m));
    assert_same(p, q);
    assert_int_equal(q->size_bytes, m.n);
    assert_int_equal(gzip_deflate(buf_view(&m), 6, &t, &err), ST_OK);
    q = decoded(buf_view(&t));
    assert_same(p, q);
    assert_int_equal(q->size_bytes, m.n);
    assert_int_equal(pprof_decode(buf_view(&t), m.n - 1, &arena, &q, &err), ST_RESOURCE_EXHAUSTED);
}

/* Packed, unpacked, mixed; merged and repeated singular fields; unknown fields and groups. */
static void test_wire_forms(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x12, 18, 0x08, 1, 0x0A, 3, 2, 0x83, 0x01, 0x08, 4, 0x10, 5,
        0x12, 1, 6, 0x1A, 2, 0x08, 1,             /* sample: ids 1,2,131,4; values 5,6; a label */
        0x5A, 2, 0x08, 1, 0x5A, 2, 0x10, 2,       /* period type, in two pieces */
        0x48, 9, 0x48, 10,                        /* time, twice */
        0x68, 1, 0x6A, 2, 1, 2, 0x38, 1, 0x40, 1, /* comments, frames to drop and keep */
        0xA3, 6, 0xAB, 6, 8, 1, 0xAC, 6, 0xA4, 6, /* an unknown group in a group */
        0xA5, 6, 1, 2, 3, 4, 0xA1, 6, 1, 2, 3, 4, 5, 6, 7, 8, 0xA2, 6, 1, 0xFF, 0xA0, 6, 0x80, 1,
        0x12, 14, 0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0x0A, 1, 9};
    struct pprof *p = decoded(str_make(bytes, sizeof bytes));
    static const uint64_t ids[] = {1, 2, 131, 4, 9};
    assert_int_equal(p->n_location_ids, 5);
    assert_memory_equal(p->location_ids, ids, sizeof ids);
    assert_int_equal(p->n_samples, 2);
    assert_int_equal(p->samples[0].n_values, 2);
    assert_int_equal(p->values[1], 6);
    assert_int_equal(p->samples[0].n_labels, 1);
    assert_int_equal(p->samples[1].first_location, 4);
    assert_int_equal(p->samples[1].n_locations, 1);
    assert_true(p->values[2] == -1);
    assert_true(p->has_period_type && p->period_type.type == 1 && p->period_type.unit == 2);
    assert_int_equal(p->time_ns, 10);
}

static void assert_fails(struct str in, const char *text)
{
    struct pprof *p;
    enum status st = pprof_decode(in, 64 * MIB, &arena, &p, &err);
    if (st != ST_INVALID_ARGUMENT || strcmp(err.msg, text) != 0)
        fail_msg("status %d, %s, not %s", st, err.msg, text);
}

static void test_damage(void **state)
{
    (void)state;
    assert_fails(STR(""), "gzip reset: EOF");
    assert_fails(STR("\xff\xff\xff"), "gzip reset: unexpected EOF");
    assert_fails(STR("\x1f\x8b\x08garbage"), "gzip reset: unexpected EOF");
    assert_fails(STR("\x1f\x8b\x08garbage garbage garbage"),
        "gzip reset: gzip: data is truncated or damaged");
    assert_fails(
        STR("--XX\r\nContent-Disposition"), "proto: wrong wireType = 5 for field Function");
    assert_fails(STR("\x12\x7fxxxxxxxxxxx"), "unexpected EOF");
    assert_fails(STR("\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
        "proto: Profile: illegal tag 0 (wire type 0)");
    assert_fails(STR("\x7c\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
        "proto: Profile: wiretype end group for non-group");
    assert_fails(STR("\x7f\x00\x00\x00\x00\x00\x00\x00\x00\x00"), "proto: illegal wireType 7");
    assert_fails(STR("\x12\x02\x0d\x00\x00\x00\x00\x00\x00\x00"),
        "proto: wrong wireType = 5 for field LocationId");
    assert_fails(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "unexpected EOF");
    pprof_make(&m, small());
    for (size_t n = 0; n < m.n; n++) { /* every cut is an error or a shorter profile */
        struct pprof *p = NULL;
        char *exact = arena_alloc(&arena, n);
        memcpy(exact, m.p, n);
        enum status st = pprof_decode(str_make(exact, n), MIB, &arena, &p, &err);
        assert_true(st == ST_OK ? p->size_bytes == n : st == ST_INVALID_ARGUMENT);
    }
}

static void test_nesting(void **state)
{
    (void)state;
    for (int i = 0; i < 1000000; i++)
        buf_add(&m, "\xA3\x06", 2); /* begins group 100 */
    assert_fails(buf_view(&m), "unexpected EOF");
    for (int i = 0; i < 1000000; i++)
        buf_add(&m, "\xA4\x06", 2);
    assert_int_equal(decoded(buf_view(&m))->n_samples, 0);
    buf_clear(&m);
    for (int i = 0; i < 1000000; i++) /* message fields inside each other are bytes to us */
        buf_add(&m, "\xA2\x06", 2);
    struct pprof *p;
    assert_int_equal(pprof_decode(buf_view(&m), MIB, &arena, &p, &err), ST_INVALID_ARGUMENT);
}

/* Small input that needs much memory stops at the arena's limit. */
static void test_expansion(void **state)
{
    (void)state;
    for (int i = 0; i < 4000000; i++)
        buf_add(&m, "\x22\x00", 2); /* an empty location */
    struct arena tight;
    struct pprof *p;
    arena_init(&tight, 64 * MIB);
    assert_int_equal(pprof_decode(buf_view(&m), MIB, &tight, &p, &err), ST_RESOURCE_EXHAUSTED);
    assert_true(tight.used <= 64 * MIB);
    arena_done(&tight);
    assert_int_equal(decoded(buf_view(&m))->n_locations, 4000000);
}

/* ── checks ── */

static struct pprof_limits limits;
static enum pprof_reason reason;
static uint64_t stacks_cut, strings_cut;

static enum status check(struct pprof *p)
{
    stacks_cut = strings_cut = 0;
    err.len = 0;
    err.msg[0] = 0;
    return pprof_check(
        p, &limits, STR("{a=\"b\"}"), &arena, &reason, &stacks_cut, &strings_cut, &err);
}

static void assert_refused(struct pprof *p, enum pprof_reason want, const char *text)
{
    assert_int_equal(check(p), ST_INVALID_ARGUMENT);
    assert_string_equal(err.msg, text);
    assert_int_equal(reason, want);
}

static void test_check_limits(void **state)
{
    (void)state;
    limits = (struct pprof_limits){0};
    struct pprof *p = small();
    p->size_bytes = 100;
    assert_int_equal(check(p), ST_OK);
    assert_int_equal(reason, PPROF_OK);
    limits = (struct pprof_limits){100, 1, 1, 2, 11};
    assert_int_equal(check(p), ST_OK);
    assert_true(stacks_cut == 0 && strings_cut == 0);
    p->size_bytes = 101;
    assert_refused(p, PPROF_SIZE_LIMIT,
        "the profile with labels '{a=\"b\"}' exceeds the size limit "
        "(max_profile_size_byte, actual: 101, limit: 100)");
    p->size_bytes = 100;
    p->n_samples = 2;
    assert_refused(p, PPROF_SAMPLES_LIMIT,
        "the profile with labels '{a=\"b\"}' exceeds the samples count limit "
        "(max_profile_stacktrace_samples, actual: 2, limit: 1)");
    p->n_samples = 1;
    p->samples[0].n_labels = 2;
    assert_refused(p, PPROF_LABELS_LIMIT,
        "the profile with labels '{a=\"b\"}' exceeds the sample labels limit "
        "(max_profile_stacktrace_sample_labels, actual: 2, limit: 1)");
    p->samples[0].n_labels = 1;
    limits = (struct pprof_limits){.stack_depth_max = 1, .string_bytes_max = 4};
    assert_int_equal(check(p), ST_OK);
    assert_int_equal(stacks_cut, 1);
    assert_int_equal(strings_cut, 4);
    assert_int_equal(p->samples[0].n_locations, 1); /* the root side stays */
    assert_int_equal(p->location_ids[p->samples[0].first_location], 300);
    assert_true(str_eq(p->strings[2], STR("onds")));
    assert_true(str_eq(p->strings[5], STR("n.go")));
    limits = (struct pprof_limits){.string_bytes_max = 3};
    p->strings[4] = STR("a\xC3\xB6yy"); /* cut inside the character */
    assert_refused(p, PPROF_MALFORMED, "invalid utf8 string hex: b67979");
}

static void test_check_order(void **state)
{
    (void)state;
    limits = (struct pprof_limits){0};
#define REFUSED(change, text)                     \
    do {                                          \
        struct pprof *p = small();                \
        change;                                   \
        assert_refused(p, PPROF_MALFORMED, text); \
    } while (0)
    REFUSED(p->locations[1].id = 0, "location id is 0");
    REFUSED(p->functions[1].id = 0, "function id is 0");
    REFUSED(p->samples[0].n_values = 0, "sample value length mismatch");
    REFUSED(p->n_strings = 0, "string 0 should be empty string");
    REFUSED(p->strings[0] = STR("x"), "string 0 should be empty string");
    REFUSED(p->sample_types[0].type = 10, "sample type type string index out of range");
    REFUSED(p->sample_types[0].type = -1, "sample type type string index out of range");
    REFUSED(p->labels[0].key = 10, "sample label string index out of range");
    REFUSED(p->labels[0].str = INT64_MIN, "sample label string index out of range");
    REFUSED(p->functions[0].name = 10, "function name string index out of range");
    REFUSED(p->functions[0].system_name = 10, "function system name index string out of range");
    REFUSED(p->functions[0].filename = -3, "function file name string index out of range");
    REFUSED(p->mappings[0].filename = 10, "mapping file name string index out of range");
    REFUSED(p->mappings[0].build_id = 10, "mapping build id string index out of range");
    REFUSED(p->strings[1] = STR("alloc-space"), "sample type contains -");
    REFUSED(p->strings[6] = STR("k\xC0\x80"), "invalid utf8 string hex: 6bc080");
    REFUSED((p->locations[0].id = 0, p->strings[0] = STR("x")), "location id is 0");
#undef REFUSED
    struct pprof *p = small(); /* what is sanitised later instead */
    p->sample_types[0].unit = p->period_type.type = p->default_sample_type = 1000;
    p->labels[0].num_unit = -1;
    assert_int_equal(check(p), ST_OK);
}

static void test_check_hex_is_bounded(void **state)
{
    (void)state;
    char *junk = arena_alloc(&arena, MIB);
    memset(junk, 0xFE, MIB);
    struct pprof *p = small();
    p->strings[3] = str_make(junk, MIB);
    limits = (struct pprof_limits){0};
    assert_int_equal(check(p), ST_INVALID_ARGUMENT);
    assert_true(err.len > 1000 && err.len < ERROR_MSG_MAX);
}

static void test_go_shapes(void **state)
{
    (void)state;
    static const struct {
        const char *in, *want;
    } table[] = {
        {"x[go.shape.int].foo", "x.foo"},
        {"main.sum[go.shape.[]uint8]", "main.sum"},
        {"a[go.shape.struct { x [4]int }]b[go.shape.int_0]c", "abc"},
        {"a[go.shape.int", "a[go.shape.int"},
        {"a[go.shape.int]b[go.shape.[4]int", "ab[go.shape.[4]int"},
        {"a[...]", "a[...]"},
        {"a[[go.shape.int]]", "a[]"},
        {"[go.shape.int]", ""},
        {"", ""},
    };
    struct pprof p = {.strings = ARENA_ARRAY(&arena, struct str, ARRAY_LEN(table)),
        .n_strings = ARRAY_LEN(table)};
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        p.strings[i] = str_from(table[i].in);
    assert_true(pprof_strip_go_shapes(&p, &arena));
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (!str_eq(p.strings[i], str_from(table[i].want)))
            fail_msg("%s: %.*s", table[i].in, STR_ARG(p.strings[i]));
    assert_false(pprof_strip_go_shapes(&p, &arena));
    for (int i = 0; i < 500000; i++) /* neither deep nor many groups cost more than their bytes */
        buf_str(&m, STR("[go.shape."));
    p.n_strings = 1;
    p.strings[0] = buf_view(&m);
    assert_false(pprof_strip_go_shapes(&p, &arena));
    for (int i = 0; i < 500000; i++)
        buf_str(&m, STR("]"));
    p.strings[0] = buf_view(&m);
    assert_true(pprof_strip_go_shapes(&p, &arena));
    assert_int_equal(p.strings[0].n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wire_forms, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nesting, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expansion, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check_hex_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_go_shapes, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
