/* Recordings made by hand: encodings and layouts that real ones allow, and what hostile ones try.
 */
#include "test.h"

#include "jfr_run.h"

/* ---- what is allowed ---- */

static void test_plain(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    put_names(&r.m);
    put_stack(&r.m);
    put_sample(&r, 1, 0);
    put_sample(&r, 1, 1);
    put_sample(&r, 1, 2); /* sleeps */
    put_sample(&r, 1, 9); /* no such state */
    put_sample(&r, 5, 1); /* no such stack */
    finish_ok(&r);
    assert_int_equal(r.jfr.n, 1);
    expect_one(&r, "process_cpu", 20 * NS_PER_MS, "a/B.run:7 a/B.go:300");
    r.opt.stack_depth_max = 1;
    assert_int_equal(decode(&r), ST_OK);
    expect_one(&r, "process_cpu", 20 * NS_PER_MS, "a/B.go:300");
    assert_int_equal(r.jfr.stacks_cut, 1);
    r.opt.sample_rate = 0; /* nothing but zeros */
    assert_int_equal(decode(&r), ST_OK);
    assert_int_equal(r.jfr.n, 0);
    end(&r);
}

static void test_samples_max(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    put_names(&r.m);
    make_pool(&r.m, 26, 2);
    buf_add(&r.m.pools, "\1\0\1\1\7\0\0", 7);
    buf_add(&r.m.pools, "\2\0\1\1\x8\0\0", 7);
    put_sample(&r, 1, 0);
    put_sample(&r, 2, 0);
    r.opt.samples_max = 2;
    finish_ok(&r);
    r.opt.samples_max = 1;
    assert_int_equal(decode(&r), ST_INVALID_ARGUMENT);
    assert_true(str_contains(
        error_str(&r.err), STR("(max_profile_stacktrace_samples, actual: 2, limit: 1)")));
    end(&r);
}

/* Wall mode: its samples are wall time, and cpu when they run; others are cpu only. */
static void test_modes(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    put_names(&r.m);
    put_stack(&r.m);
    put_wall(&r, 1, 3); /* before the setting: wall only */
    put_setting(&r, "other", 3, "wall");
    put_setting(&r, "event", 5, "wall");
    put_wall(&r, 1, 5);
    put_wall(&r, 2, 100);
    put_sample(&r, 1, 2);
    put_sample(&r, 1, 0);
    finish_ok(&r);
    assert_true(str_eq(r.jfr.event, STR("wall")));
    expect_one(&r, "wall", (3 + 5 + 100 + 2) * 10 * NS_PER_MS, "a/B.run:7 a/B.go:300");
    expect_one(&r, "process_cpu", (5 + 1) * 10 * NS_PER_MS, "a/B.run:7 a/B.go:300");

    /* The setting holds in the next chunk too, until it is null. */
    struct maker first = r.m;
    buf_init(&r.m.events, MIB);
    put_sample(&r, 1, 2);
    buf_clear(&r.fields);
    buf_add(&r.fields, "\0\0\3\5event\0", 10);
    make_event(&r.m, 108, &r.fields);
    put_sample(&r, 1, 2);
    finish_ok(&r);
    expect_one(&r, "wall", (3 + 5 + 100 + 2 + 1) * 10 * NS_PER_MS, "a/B.run:7 a/B.go:300");
    assert_int_equal(r.jfr.event.n, 0);
    buf_done(&first.events);
    end(&r);
}

static void test_negative(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    put_names(&r.m);
    put_stack(&r.m);
    put_wall(&r, 1, (uint32_t)-5);
    for (int i = 0; i < 2; i++) {
        buf_clear(&r.fields);
        put_long(&r.fields, 0);
        put_long(&r.fields, i ? (uint64_t)-1000 : 400);
        put_long(&r.fields, 1);
        make_event(&r.m, 104, &r.fields);
    }
    finish_ok(&r);
    assert_int_equal(r.jfr.n, 0);
    end(&r);
}

static void test_ticks(void **state)
{
    (void)state;
    static const struct {
        uint64_t ticks_per_s, ticks;
        int64_t ns;
    } cases[] = {
        {1000000000, 12345, 12345},
        {0, 12345, 12345},
        {2800000000, 2800, 1000},
        {1000000, 5, 5000},
        {1, INT64_MAX, INT64_MAX},
        {3, 1, 333333333},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct run r;
        begin(&r);
        put_names(&r.m);
        put_stack(&r.m);
        r.m.ticks_per_s = cases[i].ticks_per_s;
        put_long(&r.fields, 0);
        put_long(&r.fields, cases[i].ticks);
        put_long(&r.fields, 1);
        make_event(&r.m, 104, &r.fields);
        finish_ok(&r);
        expect_one(&r, "mutex", cases[i].ns, "a/B.run:7 a/B.go:300");
        end(&r);
    }
}

/* Symbols 1 to 3 with these bytes, strings in a pool of their own. */
static void expect_symbol(const char *bytes, size_t n, const char *name)
{
    struct run r;
    begin(&r);
    make_pool(&r.m, 20, 2);
    buf_add(&r.m.pools, "\x80\1\5\2\xe4\xf6", 6); /* 128: tag 5 */
    buf_add(&r.m.pools, "\3\2\3", 3);             /* 3: a reference to itself */
    put_names(&r.m);
    make_pool(&r.m, 31, 1);
    put_long(&r.m.pools, 2);
    buf_add(&r.m.pools, bytes, n);
    put_stack(&r.m);
    put_sample(&r, 1, 0);
    char want[64];
    snprintf(want, sizeof want, "a/B.%s:7 a/B.go:300", name);
    finish_ok(&r);
    expect_one(&r, "process_cpu", 10 * NS_PER_MS, want);
    end(&r);
}

#define SYMBOL(bytes, name) expect_symbol(bytes, sizeof(bytes) - 1, name)

static void test_strings(void **state)
{
    (void)state;
    SYMBOL("\0", "");
    SYMBOL("\1", "");
    SYMBOL("\2\x80\1", "äö");
    SYMBOL("\2\3", "");
    SYMBOL("\2\x7f", "");
    SYMBOL("\3\4\xc3\xb6xy", "öxy");
    SYMBOL("\3\x83\x80\0abc", "abc");
    SYMBOL("\4\3a\xe4\1z", "aäz");
    SYMBOL("\4\2\xbd\xb0\x3\x80\xb8\x3", "🐀");   /* D83D DC00 is U+1F400 */
    SYMBOL("\4\2\xbd\xb0\x3x", "\xef\xbf\xbdx"); /* half of a pair */
    SYMBOL("\5\2\xe9x", "éx");
    SYMBOL("\3\2\xc0\x80", ""); /* NUL, in the JVM's way; the text ends there */
    SYMBOL("\3\6\xed\xa0\xbd\xed\xb0\x80", "🐀");
    SYMBOL("\3\3\xed\xa0\xbd", "\xef\xbf\xbd");
    SYMBOL("\3\xb\x24\x24Lambda$1/", "$$Lambda$1/");
}

static void test_bad_strings(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *text;
    } cases[] = {
        {"\6", 1, "error reading constant pools: unexpected EOF"},
        {"\3\2\xff\xfe", 4, "invalid utf8 string hex: 612f422efffe"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct run r;
        begin(&r);
        put_names(&r.m);
        put_stack(&r.m);
        make_pool(&r.m, 31, 1);
        put_long(&r.m.pools, 2);
        buf_add(&r.m.pools, cases[i].bytes, cases[i].n);
        put_sample(&r, 1, 0);
        finish_bad(&r, cases[i].text);
    }
}

/* Keys use all 64 bits, and numbers more bytes than they need. */
static void test_keys(void **state)
{
    (void)state;
    static const uint64_t keys[] = {0, 1, 0x80, 0xFFFFFFFF, (uint64_t)1 << 32, (uint64_t)1 << 62,
        (uint64_t)1 << 63, 0x8080808080808080u, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct run r;
        begin(&r);
        struct buf *b = &r.m.pools;
        put_names(&r.m);
        make_pool(&r.m, 28, 2);
        put_long(b, keys[i]);
        buf_add(b, "\x81\x80\0\x82\0\0\0\0", 8); /* a/B.run */
        put_long(b, keys[i] ^ 0x40);
        buf_add(b, "\1\3\0\0\0", 5); /* a/B.go */
        make_pool(&r.m, 26, 1);
        put_long(b, keys[i]);
        buf_add(b, "\0\x84\x80\0", 4);
        for (int k = 0; k < 4; k++) { /* twice each, written in two ways */
            put_long(b, k & 1 ? keys[i] ^ 0x40 : keys[i]);
            put_padded(b, 9, k < 2 ? 1 : 5);
            put_padded(b, 0xFFFFFFF, 5);
            put_padded(b, 1, k < 2 ? 1 : 8);
        }
        put_sample(&r, keys[i], 0);
        finish_ok(&r);
        expect_one(&r, "process_cpu", 10 * NS_PER_MS, "a/B.run:9 a/B.go:9 a/B.run:9 a/B.go:9");
        assert_int_equal(profile(&r, "process_cpu")->sym->n_locations, 2);
        end(&r);
    }
}

/* Long stacks, so that the end of the chunk is near and far, with frames of all widths. */
static void test_long_stacks(void **state)
{
    (void)state;
    for (int width = 1; width <= 8; width++) {
        struct run r;
        begin(&r);
        put_names(&r.m);
        make_pool(&r.m, 26, 1);
        buf_add(&r.m.pools, "\1\1\xac\2", 4); /* 300 frames */
        for (int i = 0; i < 300; i++) {
            put_padded(&r.m.pools, 1 + (i & 1), width);
            put_padded(&r.m.pools, (uint64_t)(i % 100), MIN(1 + i % 9, 8));
            put_long(&r.m.pools, (uint64_t)i << (i % 60));
            put_long(&r.m.pools, i % 50 ? 1 : UINT64_MAX);
        }
        put_sample(&r, 1, 0);
        finish_ok(&r);
        const struct profile *p = profile(&r, "process_cpu");
        assert_int_equal(p->sym->stacks[p->samples[0].stack].n, 300);
        for (int i = 0; i < 300; i++) {
            const struct prof_line *l = &p->sym->lines[p->sym->frames[i]];
            assert_int_equal(l->line, i % 100);
            struct str name = p->sym->strings[p->sym->functions[l->function].name];
            assert_true(str_eq(name, i & 1 ? STR("a/B.go") : STR("a/B.run")));
        }
        end(&r);
    }
}

/* Other classes, other orders, values of all kinds before and between the wanted ones. */
static void test_layouts(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    make_class(&r.m, "40 x.Pair a:6 b:20 inner:41 list:41[]");
    make_class(&r.m, "41 x.Inner f:8 d:7 c:5");
    make_class(&r.m, "42 x.Empty");
    make_class_instead(
        &r.m, "27 jdk.types.StackFrame e:42 es:42[] lineNumber:10 f:6 method:28* p:40");
    make_class_instead(&r.m,
        "120 profiler.Malloc before:40 strings:20[] floats:6[] refs:31*[] stackTrace:26* "
        "byte:8 bytes:8[] size:11 after:40[]");
    put_names(&r.m);
    static const char pair[] = "\0\0\0\0\3\1x\1\2\3\4\5\6\7\x8\x9\x85\1\1"
                               "a12345678\x86\x80\0";
    struct buf *b = &r.m.pools;
    make_pool(&r.m, 26, 1);
    buf_add(b, "\1\0\2", 3);
    for (int i = 0; i < 2; i++) {
        buf_add(b, i ? "\x5\x8\0\0\0\0\2" : "\x5\x7\0\0\0\0\1", 7);
        buf_add(b, pair, sizeof pair - 1);
    }
    buf_add(&r.fields, pair, sizeof pair - 1);
    buf_add(&r.fields, "\2\3\1y\5\1z", 7); /* strings */
    buf_add(&r.fields, "\2abcdefgh", 9);   /* floats */
    buf_add(&r.fields, "\3\x80\1\2\3", 5); /* refs */
    buf_add(&r.fields, "\1\x7f\3abc", 6);  /* stackTrace, byte, bytes */
    put_long(&r.fields, 4096);
    make_event(&r.m, 120, &r.fields);
    finish_ok(&r);
    expect_one(&r, "memory", 4096, "a/B.run:7 a/B.go:8");
    assert_int_equal(profile(&r, "memory")->values[0], 1);
    assert_int_equal(profile(&r, "memory")->period_type.type.n, 0);
    end(&r);
}

/* A field of another shape is not the field: it is passed over and reads as 0. */
static void test_other_shapes(void **state)
{
    (void)state;
    static const char *const classes[] = {
        "120 profiler.Malloc startTime:11 stackTrace:26* size:10",
        "120 profiler.Malloc startTime:11 stackTrace:26* size:11*",
        "120 profiler.Malloc startTime:11 stackTrace:26* size:11[]",
        "120 profiler.Malloc startTime:11 stackTrace:26* Size:11",
    };
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        struct run r;
        begin(&r);
        make_class_instead(&r.m, classes[i]);
        put_names(&r.m);
        put_stack(&r.m);
        buf_add(&r.fields, "\0\1\1\5", i == 2 ? 4 : 3);
        make_event(&r.m, 120, &r.fields);
        finish_ok(&r);
        expect_one(&r, "memory", 0, "a/B.run:7 a/B.go:300");
        assert_int_equal(profile(&r, "memory")->values[0], 1);
        end(&r);
    }
}

/* Frames and classes that do not resolve. */
static void test_unresolved(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    put_names(&r.m);
    make_pool(&r.m, 28, 2);
    buf_add(&r.m.pools, "\3\x9\2\0\0\0", 6); /* no such class */
    buf_add(&r.m.pools, "\4\1\x9\0\0\0", 6); /* no such name */
    make_pool(&r.m, 26, 1);
    buf_add(&r.m.pools, "\1\1\4\3\1\0\0\4\2\0\0\5\3\0\0\2\4\0\0", 19);
    put_sample(&r, 1, 0);
    finish_ok(&r);
    expect_one(&r, "process_cpu", 10 * NS_PER_MS, "a/B.:2 a/B.go:4");
    end(&r);
}

/* Two checkpoints; the one read later, which is earlier in the file, wins. */
static void test_checkpoints(void **state)
{
    (void)state;
    struct run r;
    struct buf body, early;
    begin(&r);
    buf_init(&body, MIB);
    buf_init(&early, MIB);
    put_names(&r.m);
    put_stack(&r.m);
    put_long(&early, 31); /* symbol 2 again */
    put_long(&early, 1);
    put_long(&early, 2);
    put_text(&early, 3, "early");
    put_sample(&r, 1, 0);
    make_checkpoint(&body, 0, 1, buf_view(&early));
    int64_t delta = -(int64_t)body.n;
    uint64_t last = 68 + body.n;
    make_checkpoint(&body, delta, r.m.n_pools, buf_view(&r.m.pools));
    buf_str(&body, buf_view(&r.m.events));
    uint64_t metadata = 68 + body.n;
    make_metadata(&r.m, &body);
    make_chunk(&r.m, buf_view(&body), last, metadata, &r.file);
    assert_int_equal(decode(&r), ST_OK);
    expect_one(&r, "process_cpu", 10 * NS_PER_MS, "a/B.early:7 a/B.go:300");
    buf_done(&body);
    buf_done(&early);
    end(&r);
}

/* Ids mean something only in their chunk; equal names are one function. */
static void test_chunks_apart(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    put_names(&r.m);
    put_stack(&r.m);
    put_sample(&r, 1, 0);
    make_finish(&r.m, &r.file);
    buf_clear(&r.m.pools);
    buf_clear(&r.m.events);
    r.m.n_pools = r.m.n_classes = r.m.n_texts = 0;
    make_class(&r.m, "7 int");
    make_class(&r.m, "6 long");
    make_class(&r.m, "5 java.lang.String");
    make_class(&r.m, "4 jdk.types.Symbol string:5");
    make_class(&r.m, "3 java.lang.Class name:4*");
    make_class(&r.m, "2 jdk.types.Method type:3* name:4*");
    make_class(&r.m, "26 jdk.types.StackFrame method:2* lineNumber:7");
    make_class(&r.m, "27 jdk.types.StackTrace frames:26[]");
    make_class(&r.m, "31 jdk.types.ThreadState name:5");
    make_class(&r.m, "119 jdk.ExecutionSample state:31* stackTrace:27*");
    struct buf *b = &r.m.pools;
    make_pool(&r.m, 4, 2);
    put_long(b, 1);
    put_text(b, 3, "a/B");
    put_long(b, 2);
    put_text(b, 3, "go");
    make_pool(&r.m, 3, 1);
    buf_add(b, "\1\1", 2);
    make_pool(&r.m, 2, 1);
    buf_add(b, "\1\1\2", 3);
    make_pool(&r.m, 27, 1);
    buf_add(b, "\1\1\1\7", 4);
    make_pool(&r.m, 31, 1);
    put_long(b, 0);
    put_text(b, 3, "STATE_DEFAULT");
    buf_clear(&r.fields);
    buf_add(&r.fields, "\0\1", 2);
    make_event(&r.m, 119, &r.fields);
    finish_ok(&r);
    const struct profile *p = profile(&r, "process_cpu");
    assert_int_equal(p->n_samples, 2);
    assert_string_equal(stack_text(p, 0), "a/B.run:7 a/B.go:300");
    assert_string_equal(stack_text(p, 1), "a/B.go:7");
    assert_int_equal(p->sym->n_functions, 2);
    end(&r);
}

/* ---- what is not ---- */

static void test_bad_headers(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        const char *bytes;
        size_t n;
        const char *text;
    } cases[] = {
        {0, "FLS", 3, "unexpected magic 464c5300"},
        {4, "\0\1", 2, "unknown version"},
        {4, "\0\3", 2, "unknown version"},
        {8, "\0\0\0\0\0\0\0\0", 8, "not finished"},
        {16, "\0\0\0\0\0\0\0\0", 8, "not finished"},
        {24, "\0\0\0\0\0\0\0\0", 8, "not finished"},
        {8, "\xff\xff\xff\xff\xff\xff\xff\xff", 8, "unexpected EOF"},
        {8, "\0\0\0\0\0\0\0\x43", 8, ""},
        {16, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8, "unexpected EOF"},
        {24, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8, "unexpected EOF"},
        {24, "\0\0\0\0\0\0\0\x44", 8, "unexpected event type"},
        {64, "\0\0\0\0", 4, "not compressed"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct run r;
        begin(&r);
        put_names(&r.m);
        put_stack(&r.m);
        put_sample(&r, 1, 0);
        make_finish(&r.m, &r.file);
        memcpy(r.file.p + cases[i].at, cases[i].bytes, cases[i].n);
        assert_int_equal(decode(&r), ST_INVALID_ARGUMENT);
        if (!str_contains(error_str(&r.err), str_from(cases[i].text)))
            fail_msg("'%s' has not '%s'", r.err.msg, cases[i].text);
        end(&r);
    }
}

static void test_minor_version(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    make_finish(&r.m, &r.file);
    memcpy(r.file.p + 6, "\xff\xff", 2);
    assert_int_equal(decode(&r), ST_OK);
    assert_int_equal(r.jfr.n, 0);
    end(&r);
}

/* Counts and lengths that nothing stands behind. */
static void test_claims(void **state)
{
    (void)state;
    static const struct {
        uint64_t class;
        const char *bytes;
        size_t n;
    } cases[] = {
        {31, "\1\3\xff\xff\xff\xff\7", 7},  /* a string of 2 GB */
        {31, "\1\4\xff\xff\xff\xff\xf", 7}, /* of 4 G characters */
        {31, "\1\5\xff\xff\xff\xff\xf", 7}, /* of 4 GB */
        {26, "\1\0\x80\x94\xeb\xdc\3", 7},  /* 1e9 frames */
        {26, "\1\0\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct run r;
        begin(&r);
        make_pool(&r.m, cases[i].class, 1);
        buf_add(&r.m.pools, cases[i].bytes, cases[i].n);
        finish_bad(&r, "unexpected EOF");
    }
    struct run r;
    begin(&r);
    make_pool(&r.m, 31, 1000000000);
    finish_bad(&r, "unexpected EOF");
    begin(&r);
    r.m.n_pools = 1000000000;
    finish_bad(&r, "unexpected EOF");
    begin(&r);
    make_pool(&r.m, 99, 0);
    finish_bad(&r, "unknown class 99 of a constant pool");
}

/* Values of no bytes, as many as one likes. */
static void test_nothing(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    make_class(&r.m, "42 x.Empty");
    make_class(&r.m, "43 x.Nothing a:42[] b:44 c:44[]");
    make_class(&r.m, "44 x.None e:42 f:42");
    make_class_instead(&r.m, "27 jdk.types.StackFrame e:42");
    put_names(&r.m);
    make_pool(&r.m, 43, 2);
    buf_add(&r.m.pools, "\1\xff\xff\xff\xff\7\xff\xff\xff\xff\7", 11);
    buf_add(&r.m.pools, "\2\xff\xff\xff\xff\7\0", 7);
    make_pool(&r.m, 26, 1);
    buf_add(&r.m.pools, "\1\0\5", 3);
    put_sample(&r, 1, 0);
    finish_ok(&r);
    expect_one(&r, "process_cpu", 10 * NS_PER_MS, "");
    end(&r);
}

static void test_nesting(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    make_class(&r.m, "40 x.A b:41");
    make_class(&r.m, "41 x.B a:40[]");
    make_pool(&r.m, 40, 1);
    put_long(&r.m.pools, 1);
    finish_bad(&r, "nested too deeply");

    begin(&r);
    make_class(&r.m, "40 x.A self:40");
    make_pool(&r.m, 40, 1);
    finish_bad(&r, "nested too deeply");

    /* A circle that is not used is no fault. */
    begin(&r);
    make_class(&r.m, "40 x.A self:40");
    finish_ok(&r);
    end(&r);

    /* Ten times ten times … fields. */
    static char words[8][128];
    begin(&r);
    for (int i = 0; i < 8; i++) {
        size_t n = (size_t)snprintf(words[i], sizeof words[i], "%d x.C%d", 50 + i, i);
        for (int k = 0; k < 10; k++)
            n += (size_t)snprintf(words[i] + n, sizeof words[i] - n, " f:%d", i < 7 ? 51 + i : 4);
        make_class(&r.m, words[i]);
    }
    make_pool(&r.m, 50, 1);
    put_long(&r.m.pools, 1);
    finish_bad(&r, "too many fields");

    begin(&r);
    make_class(&r.m, "40 x.A b:77");
    make_pool(&r.m, 40, 1);
    finish_bad(&r, "unknown class");
}

static void test_bad_metadata(void **state)
{
    (void)state;
    static const struct {
        const char *class, *text;
    } cases[] = {
        {"x x.A", "bad class id 'x'"},
        {"40 x.A f:y", "bad class id 'y'"},
        {"40 jdk.types.Method name:31*", "two classes"},
        {"40 jdk.types.Symbol", "two classes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct run r;
        begin(&r);
        make_class(&r.m, cases[i].class);
        finish_bad(&r, cases[i].text);
    }
}

/* A metadata event with these bytes after its strings. */
static void expect_bad_tree(const char *bytes, size_t n, const char *text)
{
    struct run r;
    struct buf body;
    begin(&r);
    buf_init(&body, MIB);
    make_checkpoint(&body, 0, 0, STR_EMPTY);
    uint64_t metadata = 68 + body.n;
    put_padded(&body, 5 + 5 + 13 + n, 5);
    buf_add(&body, "\0\0\0\0\3\3\5class\3\3dim\1", 5 + 13);
    buf_add(&body, bytes, n);
    make_chunk(&r.m, buf_view(&body), 68, metadata, &r.file);
    assert_int_equal(decode(&r), ST_INVALID_ARGUMENT);
    if (!str_contains(error_str(&r.err), str_from(text)))
        fail_msg("'%s' has not '%s'", r.err.msg, text);
    buf_done(&body);
    end(&r);
}

static void test_bad_trees(void **state)
{
    (void)state;
    char deep[3 * 40];
    for (size_t i = 0; i < sizeof deep; i += 3)
        memcpy(deep + i, "\1\0\1", 3);
    expect_bad_tree(deep, sizeof deep, "nested too deeply");
    expect_bad_tree("\1\0\xff\xff\xff\xff\7", 7, "unexpected EOF");
    expect_bad_tree("\1\xff\xff\xff\xff\7", 6, "unexpected EOF");
    expect_bad_tree("\7\0\0", 3, "string index 7 out of range");
    expect_bad_tree("", 0, "unexpected EOF");
}

/* Checkpoints that go round, forwards, or lie in each other. */
static void test_bad_chains(void **state)
{
    (void)state;
    static const int64_t deltas[] = {1, 100, INT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(deltas); i++) {
        struct run r;
        struct buf body;
        begin(&r);
        buf_init(&body, MIB);
        make_checkpoint(&body, deltas[i], 0, STR_EMPTY);
        uint64_t metadata = 68 + body.n;
        make_metadata(&r.m, &body);
        make_chunk(&r.m, buf_view(&body), 68, metadata, &r.file);
        assert_int_equal(decode(&r), ST_INVALID_ARGUMENT);
        assert_true(str_contains(error_str(&r.err), STR("not chained backwards")));
        buf_done(&body);
        end(&r);
    }
    /* The first one lies in a string of the second. */
    struct run r;
    struct buf body, inner, pool;
    begin(&r);
    buf_init(&body, MIB);
    buf_init(&inner, MIB);
    buf_init(&pool, MIB);
    for (int64_t back = 1, i = 0; i < 2; i++) {
        buf_clear(&body);
        buf_clear(&inner);
        buf_clear(&pool);
        make_checkpoint(&inner, -back, 0, STR_EMPTY);
        buf_add(&pool, "\x14\1\1\3", 4);
        put_long(&pool, inner.n);
        buf_str(&pool, buf_view(&inner));
        make_checkpoint(&body, 0, 1, buf_view(&pool));
        back = (int64_t)(body.n - inner.n);
    }
    uint64_t first = 68 + body.n - inner.n, metadata = 68 + body.n;
    make_metadata(&r.m, &body);
    make_chunk(&r.m, buf_view(&body), first, metadata, &r.file);
    assert_int_equal(decode(&r), ST_INVALID_ARGUMENT);
    assert_true(str_contains(error_str(&r.err), STR("constant pools: unexpected EOF")));
    buf_clear(&r.file);
    make_chunk(&r.m, buf_view(&body), 68, metadata, &r.file); /* from the outer one it is fine */
    assert_int_equal(decode(&r), ST_OK);
    buf_done(&body);
    buf_done(&inner);
    buf_done(&pool);
    end(&r);
}

static void test_bad_events(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        {"\0\x65", 2},                 /* no size */
        {"\1\x65", 2},                 /* smaller than its head */
        {"\xff\xff\xff\xff\7\x65", 6}, /* 2 GB */
        {"\4\x65\0\1", 4},             /* fields beyond its size */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct run r;
        begin(&r);
        put_names(&r.m);
        put_stack(&r.m);
        buf_add(&r.m.events, cases[i].bytes, cases[i].n);
        finish_bad(&r, "error reading an event");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_samples_max),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_negative),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_bad_strings),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_long_stacks),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_other_shapes),
        cmocka_unit_test(test_unresolved),
        cmocka_unit_test(test_checkpoints),
        cmocka_unit_test(test_chunks_apart),
        cmocka_unit_test(test_bad_headers),
        cmocka_unit_test(test_minor_version),
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_bad_metadata),
        cmocka_unit_test(test_bad_trees),
        cmocka_unit_test(test_bad_chains),
        cmocka_unit_test(test_bad_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
