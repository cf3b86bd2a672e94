/* codec/otlp: the dictionary, symbols per resource, what fails and what is merely refused. */
#include "test.h"

#include "codec/otlp.h"

#include "../prof_check.h"
#include "otlp_make.h"

static struct arena arena;
static struct otlp out;
static struct error err;
static struct otlp_options opt;
static struct otlp_make m;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena, 64 * MIB);
    opt = (struct otlp_options){0};
    om_begin(&m);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

#define TEST_OF(fn) cmocka_unit_test_setup_teardown(fn, begin, end)

static void decode(struct str message)
{
    enum status st = otlp_decode(message, &opt, &arena, &out, &err);
    if (st != ST_OK)
        fail_msg("%s", err.msg);
    for (uint32_t i = 0; i < out.n; i++)
        prof_check(&out.v[i].profile);
}

static void expect_failure(struct str message, const char *text)
{
    assert_int_equal(otlp_decode(message, &opt, &arena, &out, &err), ST_INVALID_ARGUMENT);
    assert_string_equal(err.msg, text);
}

static struct buf wall_profile(void)
{
    return om_profile(&m, "wall", "nanoseconds", "wall", "nanoseconds", 1, 1000);
}

static const struct prof_location *frame(uint32_t profile, uint32_t sample, uint32_t k)
{
    const struct profile *p = &out.v[profile].profile;
    struct prof_stack s = p->sym->stacks[p->samples[sample].stack];
    assert_true(k < s.n);
    return &p->sym->locations[p->sym->frames[s.first + k]];
}

static struct str function_name(uint32_t profile, uint32_t sample, uint32_t k)
{
    const struct prof_symbols *sym = out.v[profile].profile.sym;
    const struct prof_location *l = frame(profile, sample, k);
    assert_int_equal(l->n_lines, 1);
    return sym->strings[sym->functions[sym->lines[l->first_line].function].name];
}

static void assert_str(struct str s, const char *want)
{
    if (!str_eq(s, str_from(want)))
        fail_msg("'%.*s' is not '%s'", STR_ARG(s), want);
}

/* ── what is kept ── */

static void test_symbolised(void **state)
{
    (void)state;
    uint32_t map = om_mapping(&m, 0x400000, "/usr/bin/shop", "abc123");
    uint32_t at[2] = {om_location(&m, map, 0x400010, om_function(&m, "leaf")),
        om_location(&m, map, 0x400020, om_function(&m, "root"))};
    uint32_t stack = om_stack(&m, 2, at);
    struct buf p = wall_profile();
    om_value(&p, stack, 7);
    decode(om_message(&m, "shop", &p, &arena));
    assert_int_equal(out.n, 1);
    const struct profile *prof = &out.v[0].profile;
    assert_str(out.v[0].service, "shop");
    assert_str(out.v[0].name, "wall");
    assert_int_equal(prof->n_samples, 1);
    assert_int_equal(prof->values[0], 7);
    assert_int_equal(prof->time_ns, 1000);
    assert_int_equal(prof->duration_ns, 10 * NS_PER_S);
    assert_str(function_name(0, 0, 0), "leaf");
    assert_str(function_name(0, 0, 1), "root");
    const struct prof_mapping *pm = &prof->sym->mappings[frame(0, 0, 0)->mapping];
    assert_int_equal(pm->flags, PROF_HAS_FUNCTIONS | PROF_HAS_FILENAMES | PROF_HAS_LINE_NUMBERS);
    assert_int_equal(pm->start, 0); /* so that builds unify */
    assert_int_equal(frame(0, 0, 0)->address, 0);
    assert_str(prof->sym->strings[pm->build_id], "abc123");
    assert_str(prof->sym->strings[pm->filename], "/usr/bin/shop");
}

static void test_unsymbolised(void **state)
{
    (void)state;
    uint32_t map = om_mapping(&m, 0x7f0000000000, "/lib/libc.so.6", "feed");
    uint32_t at[2] = {om_location(&m, map, 0x7f0000000123, 0),
        om_location(&m, map, 0x7f0000000456, om_function(&m, "known"))};
    uint32_t stack = om_stack(&m, 2, at);
    struct buf p = wall_profile();
    om_value(&p, stack, 7);
    decode(om_message(&m, "shop", &p, &arena));
    const struct prof_symbols *sym = out.v[0].profile.sym;
    assert_int_equal(frame(0, 0, 0)->n_lines, 0);
    assert_int_equal(frame(0, 0, 0)->address, 0x7f0000000123);
    const struct prof_mapping *pm = &sym->mappings[frame(0, 0, 0)->mapping];
    assert_int_equal(pm->flags, 0);
    assert_int_equal(pm->start, 0x7f0000000000);
    assert_int_equal(pm->limit, 0x7f0000001000);
    assert_str(sym->strings[pm->build_id], "feed");
    /* A mapping without functions keeps all addresses. */
    assert_int_equal(frame(0, 0, 1)->address, 0x7f0000000456);
    assert_str(function_name(0, 0, 1), "known");
}

/* Location 0 has neither lines nor an address: the sample is not kept, and the mapping that it
 * names is not blamed for it. Stack 0 is empty and is kept. */
static void test_zero_location(void **state)
{
    (void)state;
    uint32_t zero = 0, stack = om_stack(&m, 1, &zero), good = om_frame(&m, "main");
    struct buf p = wall_profile();
    om_value(&p, stack, 1);
    om_value(&p, good, 2);
    om_value(&p, 0, 3);
    decode(om_message(&m, "shop", &p, &arena));
    const struct profile *prof = &out.v[0].profile;
    assert_int_equal(prof->n_samples, 2);
    assert_int_equal(prof->values[0], 2);
    assert_int_equal(prof->values[1], 3);
    assert_true(prof->sym->mappings[frame(0, 0, 0)->mapping].flags & PROF_HAS_FUNCTIONS);
    assert_int_equal(prof->sym->stacks[prof->samples[1].stack].n, 0);
}

static void test_dropped_samples(void **state)
{
    (void)state;
    uint32_t stack = om_frame(&m, "main");
    struct buf p = wall_profile();
    om_value(&p, stack, -5);
    om_value(&p, stack, 0);
    decode(om_message(&m, "shop", &p, &arena));
    assert_int_equal(out.n, 0);
}

static void test_no_samples(void **state)
{
    (void)state;
    struct buf p = om_buf(); /* not even a type */
    om_uint(&p, 6, 1);
    decode(om_message(&m, "shop", &p, &arena));
    assert_int_equal(out.n, 0);
}

static void test_go_shapes(void **state)
{
    (void)state;
    uint32_t stack = om_frame(&m, "slices.Sort[go.shape.[]int,go.shape.int].func1");
    struct buf p = wall_profile();
    om_value(&p, stack, 1);
    decode(om_message(&m, "shop", &p, &arena));
    assert_str(function_name(0, 0, 0), "slices.Sort.func1");
}

static void test_link(void **state)
{
    (void)state;
    uint32_t stack = om_frame(&m, "main"), links[3];
    for (uint32_t i = 0; i < 3; i++) {
        struct buf b = om_buf();
        om_bytes(&b, 1, i == 1 ? STR("short") : STR("0123456789abcdef"));
        om_bytes(&b, 2, i == 2 ? STR("tiny") : STR("\x01\x02\x03\x04\x05\x06\x07\x08"));
        links[i] = om_entry(&m, 4, &b);
    }
    uint32_t span = om_attr(&m, "profile_id", "00000000000000ff");
    uint32_t trace = om_attr(&m, "trace_id", "000102030405060708090a0b0c0d0e0f");
    struct buf p = wall_profile();
    for (uint32_t i = 0; i < 3; i++)
        om_sample(&p, &(struct om_sample){stack, links[i], 0, 1, 0, {0}, {1}});
    om_sample(&p, &(struct om_sample){stack, 0, 2, 1, 0, {span, trace}, {1}});
    decode(om_message(&m, "shop", &p, &arena));
    const struct prof_sample *s = out.v[0].profile.samples;
    assert_int_equal(s[0].span, 0x0807060504030201);
    assert_int_equal(s[0].trace_hi, 0x3031323334353637);
    assert_int_equal(s[0].trace_lo, 0x3839616263646566);
    assert_int_equal(s[1].span, 0x0807060504030201);
    assert_int_equal(s[1].trace_hi | s[1].trace_lo, 0);
    assert_int_equal(s[2].span, 0);
    assert_int_equal(s[3].span, 0xff00000000000000);
    assert_int_equal(s[3].trace_hi, 0x0001020304050607);
    assert_int_equal(s[3].trace_lo, 0x08090a0b0c0d0e0f);
    for (int i = 0; i < 4; i++)
        assert_int_equal(s[i].labelset, 0); /* ids are no labels */
}

/* ── symbols per resource ── */

static void test_resources(void **state)
{
    (void)state;
    uint32_t a = om_frame(&m, "a"), b = om_frame(&m, "b");
    struct buf message = om_buf();
    uint32_t stacks[4][2] = {{a, a}, {b, b}, {a, b}, {a, a}};
    for (int i = 0; i < 4; i++) {
        struct buf resource = om_buf(), scope = om_buf(), profiles = om_buf(), p = wall_profile();
        om_value(&p, stacks[i][0], 1);
        om_value(&p, stacks[i][1], 2);
        om_sub(&profiles, 2, &p);
        om_resource(&message, &resource, &scope, &profiles);
    }
    decode(om_end(&m, &message, &arena));
    assert_int_equal(out.n, 4);
    static const uint32_t n_functions[] = {1, 1, 2, 1};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(out.v[i].profile.sym->n_functions, n_functions[i]);
        assert_int_equal(out.v[i].profile.sym->n_stacks, n_functions[i]);
        assert_int_equal(out.v[i].profile.sym->strings[0].n, 0);
        assert_str(out.v[i].service, "unknown_service");
    }
    assert_str(function_name(0, 1, 0), "a");
    assert_str(function_name(1, 0, 0), "b");
    assert_str(function_name(2, 0, 0), "a");
    assert_str(function_name(2, 1, 0), "b");
    assert_str(function_name(3, 0, 0), "a");
}

/* Equal lists of attributes are one label set; the same attribute has one string. */
static void test_labelsets(void **state)
{
    (void)state;
    uint32_t stack = om_frame(&m, "main");
    uint32_t x = om_attr(&m, "x", "1"), y = om_attr(&m, "y", "2"), none = om_attr(&m, "z", "");
    struct buf p = wall_profile();
    const uint32_t lists[5][3] = {
        {x, y, none}, {x, none, none}, {x, y, none}, {y, x, none}, {none, none, none}};
    for (int i = 0; i < 5; i++) {
        struct om_sample s = {stack, 0, 3, 1, 0, {lists[i][0], lists[i][1], lists[i][2]}, {1}};
        om_sample(&p, &s);
    }
    decode(om_message(&m, "shop", &p, &arena));
    const struct profile *prof = &out.v[0].profile;
    const struct prof_symbols *sym = prof->sym;
    const struct prof_sample *s = prof->samples;
    assert_int_equal(s[0].labelset, s[2].labelset);
    assert_int_not_equal(s[0].labelset, s[1].labelset);
    assert_int_equal(s[4].labelset, 0);
    struct prof_labelset set = sym->labelsets[s[0].labelset];
    assert_int_equal(set.n, 2);
    assert_str(sym->strings[sym->labels[set.first].key], "x");
    assert_str(sym->strings[sym->labels[set.first + 1].value], "2");
    assert_int_equal(sym->n_labels, 2 + 1 + 2);
}

static void test_sizes(void **state)
{
    (void)state;
    uint32_t stack = om_frame(&m, "main"), other = om_attr(&m, "service.name", "other");
    struct buf message = om_buf(), resource = om_buf(), scope = om_buf(), profiles = om_buf();
    for (int i = 0; i < 3; i++) {
        struct buf p = wall_profile();
        om_value(&p, stack, 1);
        om_sample(&p, &(struct om_sample){stack, 0, 1, 1, 0, {other}, {1}});
        om_value(&p, stack, 1);
        om_sub(&profiles, 2, &p);
    }
    om_resource(&message, &resource, &scope, &profiles);
    struct str bytes = om_end(&m, &message, &arena);
    decode(bytes);
    assert_int_equal(out.n, 6);
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 6; i++)
        sum += out.v[i].profile.size_bytes;
    assert_int_equal(sum, bytes.n);
    assert_str(out.v[0].service, "unknown_service");
    assert_int_equal(out.v[0].profile.n_samples, 2);
    assert_str(out.v[1].service, "other");
    assert_int_equal(out.v[1].profile.n_samples, 1);
}

/* Tables of several dictionaries are one after the other, and may come before the resources. */
static void test_merged_dictionaries(void **state)
{
    (void)state;
    struct otlp_make second = m;
    second.dict = om_buf();
    uint32_t stack = om_frame(&second, "late");
    struct buf message = om_buf(), resource = om_buf(), scope = om_buf(), profiles = om_buf();
    struct buf p = om_profile(&second, "wall", "nanoseconds", NULL, NULL, 0, 0);
    om_value(&p, stack, 1);
    om_sub(&profiles, 2, &p);
    om_sub(&message, 2, &m.dict);
    om_resource(&message, &resource, &scope, &profiles);
    decode(om_end(&second, &message, &arena));
    assert_int_equal(out.n, 1);
    assert_str(function_name(0, 0, 0), "late");
    assert_int_equal(out.v[0].profile.time_ns, 0); /* ingest makes it now */
}

/* ── limits ── */

static void test_depth(void **state)
{
    (void)state;
    opt.stack_depth_max = 2;
    uint32_t at[4];
    const char *const names[] = {"leaf", "b", "c", "root"};
    for (int i = 0; i < 4; i++)
        at[i] = om_location(&m, 0, 0, om_function(&m, names[i]));
    uint32_t deep = om_stack(&m, 4, at), fits = om_stack(&m, 2, at);
    struct buf p = wall_profile();
    om_value(&p, deep, 1);
    om_value(&p, fits, 1);
    decode(om_message(&m, "shop", &p, &arena));
    assert_int_equal(out.stacks_cut, 1);
    assert_str(function_name(0, 0, 0), "c");
    assert_str(function_name(0, 0, 1), "root");
    assert_str(function_name(0, 1, 0), "leaf");
}

static void test_string_length(void **state)
{
    (void)state;
    opt.string_bytes_max = 11; /* nanoseconds */
    uint32_t stack = om_frame(&m, "0123456789abcdef"), label = om_attr(&m, "k", "0123456789abc");
    struct buf p = wall_profile();
    om_sample(&p, &(struct om_sample){stack, 0, 1, 1, 0, {label}, {1}});
    decode(om_message(&m, "shop", &p, &arena));
    const struct prof_symbols *sym = out.v[0].profile.sym;
    assert_int_equal(out.strings_cut, 2);
    assert_str(function_name(0, 0, 0), "56789abcdef"); /* the end stays */
    assert_str(sym->strings[sym->labels[0].value], "23456789abc");
}

static void test_label_limit(void **state)
{
    (void)state;
    opt.sample_labels_max = 2;
    uint32_t stack = om_frame(&m, "main");
    uint32_t a[3] = {om_attr(&m, "a", "1"), om_attr(&m, "b", "1"), om_attr(&m, "c", "1")};
    struct buf p = wall_profile();
    om_sample(&p, &(struct om_sample){stack, 0, 2, 1, 0, {a[0], a[1]}, {1}});
    om_sample(&p, &(struct om_sample){stack, 0, 3, 1, 0, {a[0], a[1], a[2]}, {1}});
    decode(om_message(&m, "shop", &p, &arena));
    assert_int_equal(out.v[0].problem, OTLP_LABELS_MAX);
    assert_int_equal(out.v[0].n_labels, 3);
}

/* ── refused with their profile only ── */

static void two_profiles(uint32_t bad_stack, uint32_t good_stack)
{
    struct buf message = om_buf(), resource = om_buf(), scope = om_buf(), profiles = om_buf();
    for (int i = 0; i < 2; i++) {
        struct buf p = wall_profile();
        om_value(&p, i == 0 ? bad_stack : good_stack, 1);
        om_sub(&profiles, 2, &p);
    }
    om_resource(&message, &resource, &scope, &profiles);
    decode(om_end(&m, &message, &arena));
    assert_int_equal(out.n, 2);
}

static void test_bad_utf8(void **state)
{
    (void)state;
    uint32_t bad = om_frame(&m, "a\xff"), good = om_frame(&m, "main");
    two_profiles(bad, good);
    assert_int_equal(out.v[0].problem, OTLP_UTF8);
    assert_int_equal(out.v[0].profile.n_samples, 0);
    assert_str(out.bad_string, "a\xff");
    assert_int_equal(out.v[1].problem, OTLP_OK);
    assert_int_equal(out.v[1].profile.n_samples, 1);
}

static void test_bad_utf8_in_mapping(void **state)
{
    (void)state;
    uint32_t at = om_location(&m, om_mapping(&m, 1, "x", "\xc3"), 5, 0);
    uint32_t bad = om_stack(&m, 1, &at), good = om_frame(&m, "main");
    two_profiles(bad, good);
    assert_int_equal(out.v[0].problem, OTLP_UTF8);
    assert_int_equal(out.v[1].problem, OTLP_OK);
}

static void test_bad_utf8_in_label(void **state)
{
    (void)state;
    uint32_t stack = om_frame(&m, "main"), bad = om_attr(&m, "k", "\x80");
    struct buf p = wall_profile();
    om_sample(&p, &(struct om_sample){stack, 0, 1, 1, 0, {bad}, {1}});
    decode(om_message(&m, "shop", &p, &arena));
    assert_int_equal(out.v[0].problem, OTLP_UTF8);
}

/* ── what fails ── */

static struct str one_sample(const struct om_sample *s)
{
    struct buf p = wall_profile();
    om_sample(&p, s);
    return om_message(&m, "shop", &p, &arena);
}

#define CONVERT "failed to convert otel profile: "

static void test_bad_stack(void **state)
{
    (void)state;
    expect_failure(one_sample(&(struct om_sample){.stack = 7, .n_values = 1}),
        CONVERT "stack index out of bounds: 7");
}

static void test_bad_attribute(void **state)
{
    (void)state;
    expect_failure(one_sample(&(struct om_sample){0, 0, 1, 1, 0, {9}, {1}}),
        CONVERT "attribute index out of bounds: 9");
}

static void test_bad_link(void **state)
{
    (void)state;
    expect_failure(one_sample(&(struct om_sample){0, 9, 0, 1, 0, {0}, {1}}),
        CONVERT "link index out of bounds: 9");
}

static void test_bad_location(void **state)
{
    (void)state;
    uint32_t at = 77, stack = om_stack(&m, 1, &at);
    expect_failure(one_sample(&(struct om_sample){stack, 0, 0, 1, 0, {0}, {1}}),
        CONVERT "location index out of bounds: 77");
}

/* Also where the depth limit cuts it off, and where the sample would be dropped. */
static void test_bad_location_cut(void **state)
{
    (void)state;
    opt.stack_depth_max = 1;
    uint32_t at[2] = {77, 0}, stack = om_stack(&m, 2, at);
    expect_failure(one_sample(&(struct om_sample){stack, 0, 0, 1, 0, {0}, {0}}),
        CONVERT "location index out of bounds: 77");
}

static void test_bad_mapping(void **state)
{
    (void)state;
    uint32_t at = om_location(&m, 5, 1, 0), stack = om_stack(&m, 1, &at);
    expect_failure(one_sample(&(struct om_sample){stack, 0, 0, 1, 0, {0}, {1}}),
        CONVERT "mapping index out of bounds: 5");
}

static void test_bad_function(void **state)
{
    (void)state;
    uint32_t at = om_location(&m, 0, 1, 5), stack = om_stack(&m, 1, &at);
    expect_failure(one_sample(&(struct om_sample){stack, 0, 0, 1, 0, {0}, {1}}),
        CONVERT "function index out of bounds: 5");
}

static void test_bad_string(void **state)
{
    (void)state;
    struct buf f = om_buf();
    om_uint(&f, 1, (uint64_t)-1);
    uint32_t at = om_location(&m, 0, 1, om_entry(&m, 3, &f)), stack = om_stack(&m, 1, &at);
    expect_failure(one_sample(&(struct om_sample){stack, 0, 0, 1, 0, {0}, {1}}),
        CONVERT "string index out of bounds: -1");
}

static void test_no_value(void **state)
{
    (void)state;
    expect_failure(one_sample(&(struct om_sample){0}), CONVERT "sample value is required");
}

static void test_two_values(void **state)
{
    (void)state;
    expect_failure(one_sample(&(struct om_sample){0, 0, 0, 2, 0, {0}, {1, 2}}),
        CONVERT "sample values length mismatch 2 1");
}

static void test_no_type(void **state)
{
    (void)state;
    struct buf p = om_profile(&m, NULL, NULL, NULL, NULL, 0, 0);
    om_value(&p, 0, 1);
    expect_failure(om_message(&m, "shop", &p, &arena), CONVERT "sample type is missing");
}

/* Nothing in the tables: not even mapping 0 of a location is there. */
static void test_no_tables(void **state)
{
    (void)state;
    buf_done(&m.dict);
    m = (struct otlp_make){.dict = om_buf()};
    struct buf p = om_buf(), type = om_buf(), location = om_buf();
    om_string(&m, "");
    om_entry(&m, 2, &location);
    uint32_t at = 0, stack = om_stack(&m, 1, &at);
    om_sub(&p, 1, &type);
    om_value(&p, stack, 1);
    expect_failure(om_message(&m, "", &p, &arena), CONVERT "mapping index out of bounds: 0");
}

static void test_missing_parts(void **state)
{
    (void)state;
    struct buf message = om_buf(), resource = om_buf(), scope = om_buf(), profiles = om_buf();
    om_resource(&message, &resource, &scope, &profiles);
    expect_failure(buf_view(&message), "missing profile metadata dictionary");
    buf_done(&message);
    expect_failure(STR_EMPTY, "missing profile metadata dictionary");
    message = om_buf();
    expect_failure(om_end(&m, &message, &arena), "missing resource profiles");
}

/* Every prefix of a message that ends inside of a field is malformed, whatever it ends in. */
static void test_truncated(void **state)
{
    (void)state;
    uint32_t stack = om_frame(&m, "main"), a = om_attr(&m, "k", "v");
    struct buf p = wall_profile();
    om_sample(&p, &(struct om_sample){stack, 0, 1, 1, 3, {a}, {1}});
    struct str whole = om_message(&m, "shop", &p, &arena);
    for (size_t n = 1; n < whole.n; n++) {
        enum status st = otlp_decode(str_head(whole, n), &opt, &arena, &out, &err);
        assert_int_equal(st, ST_INVALID_ARGUMENT);
    }
    decode(whole);
}

static void test_memory(void **state)
{
    (void)state;
    uint32_t stack = om_frame(&m, "main");
    struct buf p = wall_profile();
    for (int i = 0; i < 100; i++)
        om_value(&p, stack, 1);
    struct str message = om_message(&m, "shop", &p, &arena);
    bool done = false;
    for (size_t limit = 0; limit < 256 * KIB && !done; limit += 4 * KIB) {
        struct arena little;
        arena_init(&little, limit);
        enum status st = otlp_decode(message, &opt, &little, &out, &err);
        done = st == ST_OK;
        assert_true(done || (st == ST_RESOURCE_EXHAUSTED && little.full));
        arena_done(&little);
    }
    assert_true(done);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_OF(test_symbolised),
        TEST_OF(test_unsymbolised),
        TEST_OF(test_zero_location),
        TEST_OF(test_dropped_samples),
        TEST_OF(test_no_samples),
        TEST_OF(test_go_shapes),
        TEST_OF(test_link),
        TEST_OF(test_resources),
        TEST_OF(test_labelsets),
        TEST_OF(test_sizes),
        TEST_OF(test_merged_dictionaries),
        TEST_OF(test_depth),
        TEST_OF(test_string_length),
        TEST_OF(test_label_limit),
        TEST_OF(test_bad_utf8),
        TEST_OF(test_bad_utf8_in_mapping),
        TEST_OF(test_bad_utf8_in_label),
        TEST_OF(test_bad_stack),
        TEST_OF(test_bad_attribute),
        TEST_OF(test_bad_link),
        TEST_OF(test_bad_location),
        TEST_OF(test_bad_location_cut),
        TEST_OF(test_bad_mapping),
        TEST_OF(test_bad_function),
        TEST_OF(test_bad_string),
        TEST_OF(test_no_value),
        TEST_OF(test_two_values),
        TEST_OF(test_no_type),
        TEST_OF(test_no_tables),
        TEST_OF(test_missing_parts),
        TEST_OF(test_truncated),
        TEST_OF(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
