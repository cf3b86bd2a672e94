/* LabelsSnapshot: context ids to label sets, spans and traces. */
#include "test.h"

#include "jfr_check.h"
#include "jfr_make.h"

static void put_field(struct buf *b, uint32_t number, struct str bytes)
{
    buf_uvarint(b, number << 3 | 2);
    buf_uvarint(b, bytes.n);
    buf_str(b, bytes);
}

static void put_string(struct buf *b, uint64_t id, const char *text)
{
    struct buf e;
    buf_init(&e, MIB);
    buf_uvarint(&e, 1 << 3);
    buf_uvarint(&e, id);
    put_field(&e, 2, str_from(text));
    put_field(b, 2, buf_view(&e));
    buf_done(&e);
}

/* n pairs of string ids. */
static void put_context(struct buf *b, uint64_t id, const uint64_t *pairs, uint32_t n)
{
    struct buf e, context, pair;
    buf_init(&e, MIB);
    buf_init(&context, MIB);
    buf_init(&pair, MIB);
    for (uint32_t i = 0; i < n; i++) {
        buf_clear(&pair);
        buf_uvarint(&pair, 1 << 3);
        buf_uvarint(&pair, pairs[2 * i]);
        buf_uvarint(&pair, 2 << 3);
        buf_uvarint(&pair, pairs[2 * i + 1]);
        put_field(&context, 1, buf_view(&pair));
    }
    buf_uvarint(&e, 1 << 3);
    buf_uvarint(&e, id);
    put_field(&e, 2, buf_view(&context));
    put_field(b, 1, buf_view(&e));
    buf_done(&e);
    buf_done(&context);
    buf_done(&pair);
}

#define CONTEXT(b, id, ...)                                 \
    put_context((b), (id), (const uint64_t[]){__VA_ARGS__}, \
        sizeof((const uint64_t[]){__VA_ARGS__}) / (2 * sizeof(uint64_t)))

struct ids {
    uint64_t context, span, span_name, trace_hi, trace_lo;
};

struct run {
    struct buf labels, file;
    struct arena arena;
    struct jfr jfr;
    struct error err;
};

static void begin(struct run *r)
{
    *r = (struct run){0};
    buf_init(&r->labels, MIB);
    buf_init(&r->file, 4 * MIB);
    arena_init(&r->arena, 64 * MIB);
}

static void end(struct run *r)
{
    buf_done(&r->labels);
    buf_done(&r->file);
    arena_done(&r->arena);
}

/* A recording of one stack and one event for each of the ids. */
static enum status decode(struct run *r, const struct ids *ids, uint32_t n)
{
    static const struct jfr_options opt = {.sample_rate = 100};
    struct maker m;
    struct buf f;
    make_init(&m);
    buf_init(&f, MIB);
    make_classes(&m);
    make_pool(&m, 31, 1);
    buf_add(&m.pools, "\1\3\1n", 4);
    make_pool(&m, 21, 1);
    buf_add(&m.pools, "\1\1", 2);
    make_pool(&m, 28, 1);
    buf_add(&m.pools, "\1\1\1\0\0\0", 6);
    make_pool(&m, 26, 1);
    buf_add(&m.pools, "\1\0\1\1\1\0\0", 7);
    make_pool(&m, 25, 1);
    put_long(&m.pools, 0);
    put_text(&m.pools, 3, "STATE_DEFAULT");
    for (uint32_t i = 0; i < n; i++) {
        buf_clear(&f);
        buf_add(&f, "\0\1\0", 3);
        put_long(&f, ids[i].span);
        put_long(&f, ids[i].span_name);
        put_long(&f, ids[i].context);
        put_long(&f, ids[i].trace_hi);
        put_long(&f, ids[i].trace_lo);
        make_event(&m, 101, &f);
    }
    buf_clear(&r->file);
    make_finish(&m, &r->file);
    buf_done(&f);
    make_done(&m);
    arena_reset(&r->arena);
    enum status st = jfr_decode(
        buf_view(&r->file), buf_view(&r->labels), &opt, &r->arena, &r->jfr, &r->err);
    if (st == ST_OK)
        jfr_check(&r->jfr, &opt);
    return st;
}

static const struct profile *decode_ok(struct run *r, const struct ids *ids, uint32_t n)
{
    if (decode(r, ids, n) != ST_OK)
        fail_msg("%s", r->err.msg);
    assert_int_equal(r->jfr.n, 1);
    return &r->jfr.profiles[0].profile;
}

/* "k=v l=w", in the order of the label set. */
static const char *labels_text(const struct profile *p, uint32_t sample)
{
    static char text[1024];
    const struct prof_symbols *s = p->sym;
    const struct prof_labelset *set = &s->labelsets[p->samples[sample].labelset];
    size_t n = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < set->n; i++) {
        const struct prof_label *l = &s->labels[set->first + i];
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s=%.*s", i ? " " : "",
            STR_ARG(s->strings[l->key]), STR_ARG(s->strings[l->value]));
    }
    return text;
}

static void put_strings(struct buf *b)
{
    static const char *const texts[] = {
        "", "controller", "order", "user", "lena", "", "GET /", "order", "controller"};
    for (size_t i = 1; i < ARRAY_LEN(texts); i++)
        put_string(b, i, texts[i]);
}

/* Equal sets are one, however they are written, and so are their samples. */
static void test_merged(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    CONTEXT(&r.labels, 100, 1, 2, 3, 4);
    CONTEXT(&r.labels, 101, 1, 2, 3, 4);
    CONTEXT(&r.labels, 102, 3, 4, 1, 2);
    CONTEXT(&r.labels, 103, 3, 4, 8, 7);
    CONTEXT(&r.labels, 104, 1, 2);
    CONTEXT(&r.labels, UINT64_MAX, 1, 2);
    put_context(&r.labels, 105, NULL, 0);
    put_strings(&r.labels);
    const struct ids ids[] = {
        {100}, {101}, {102}, {103}, {104}, {UINT64_MAX}, {105}, {0}, {99}, {104}};
    const struct profile *p = decode_ok(&r, ids, ARRAY_LEN(ids));
    assert_int_equal(p->n_samples, 3);
    assert_int_equal(p->sym->n_labelsets, 3);
    assert_string_equal(labels_text(p, 0), "controller=order user=lena");
    assert_int_equal(p->values[0], 4 * 10 * NS_PER_MS);
    assert_string_equal(labels_text(p, 1), "controller=order");
    assert_int_equal(p->values[1], 3 * 10 * NS_PER_MS);
    assert_string_equal(labels_text(p, 2), "");
    assert_int_equal(p->values[2], 3 * 10 * NS_PER_MS);
    end(&r);
}

/* Without a snapshot, and with context 0, which is as good as any. */
static void test_none(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    const struct ids ids[] = {{7}, {0}, {7, 0, 9}};
    const struct profile *p = decode_ok(&r, ids, ARRAY_LEN(ids));
    assert_int_equal(p->n_samples, 1);
    assert_string_equal(labels_text(p, 0), "");
    CONTEXT(&r.labels, 0, 1, 2);
    put_strings(&r.labels);
    p = decode_ok(&r, ids, ARRAY_LEN(ids));
    assert_int_equal(p->n_samples, 2);
    assert_string_equal(labels_text(p, 1), "controller=order");
    end(&r);
}

static void test_texts(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    CONTEXT(&r.labels, 1, 1, 99);            /* no such value: vanishes */
    CONTEXT(&r.labels, 2, 1, 5, 3, 4);       /* an empty one as well */
    CONTEXT(&r.labels, 3, 99, 2);            /* an empty key stays */
    CONTEXT(&r.labels, 4, 1, 4, 3, 4, 1, 2); /* the last of a key */
    CONTEXT(&r.labels, 5, 1, 2, 8, 4);       /* equal texts are two keys */
    CONTEXT(&r.labels, 6, 1, 4);             /* overwritten below */
    CONTEXT(&r.labels, 6, 3, 4);
    put_strings(&r.labels);
    put_string(&r.labels, 2, "last");
    static const char *const want[] = {"", "user=lena", "=last", "controller=last user=lena",
        "controller=last controller=lena", "user=lena"};
    for (uint64_t i = 0; i < ARRAY_LEN(want); i++) {
        const struct ids ids = {i + 1};
        const struct profile *p = decode_ok(&r, &ids, 1);
        assert_string_equal(labels_text(p, 0), want[i]);
    }
    end(&r);
}

/* Span 0x0102030405060708 is "0102030405060708", whose bytes are 01 02 … 08, low first. */
static void test_spans(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    CONTEXT(&r.labels, 1, 1, 2);
    put_strings(&r.labels);
    const struct ids ids[] = {
        {1, 0x0102030405060708, 6, 0x11, 0x22},
        {1, 0x0102030405060708, 6, 0x11, 0x22},
        {1, 0x0102030405060708, 6, 0x11, 0x23},
        {1, 0x0102030405060708, 6, 0, 0x22},
        {1, UINT64_MAX, 6, 0, 0},
        {1, 0, 6, 0, 0},
        {1, 0, 5, 0, 0}, /* an empty name is none */
        {1, 0, 99, 0, 0},
        {0, 0, 6, 0, 0},
        {0, 0, 2, 0, 0},
    };
    const struct profile *p = decode_ok(&r, ids, ARRAY_LEN(ids));
    assert_int_equal(p->n_samples, 8);
    assert_int_equal(p->values[0], 2 * 10 * NS_PER_MS);
    assert_true(p->samples[0].span == 0x0807060504030201);
    assert_int_equal(p->samples[0].trace_hi, 0x11);
    assert_int_equal(p->samples[0].trace_lo, 0x22);
    assert_int_equal(p->samples[1].trace_lo, 0x23);
    assert_int_equal(p->samples[2].trace_hi, 0);
    assert_int_equal(p->samples[2].trace_lo, 0x22);
    assert_true(p->samples[3].span == UINT64_MAX);
    assert_int_equal(p->samples[4].span, 0);
    for (uint32_t i = 0; i < 5; i++)
        assert_string_equal(labels_text(p, i), "controller=order span_name=GET /");
    assert_string_equal(labels_text(p, 5), "controller=order");
    assert_int_equal(p->values[5], 2 * 10 * NS_PER_MS);
    assert_string_equal(labels_text(p, 6), "span_name=GET /");
    assert_string_equal(labels_text(p, 7), "span_name=order");
    end(&r);
}

/* User labels of these names are spans and traces when they look so, and never labels. */
static void test_user_spans(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    put_strings(&r.labels);
    put_string(&r.labels, 20, "profile_id");
    put_string(&r.labels, 21, "span_id");
    put_string(&r.labels, 22, "trace_id");
    put_string(&r.labels, 23, "0102030405060708");
    put_string(&r.labels, 24,
        "0A0b0C0d0e0f1011"
        "1213141516171819");
    put_string(&r.labels, 25, "010203040506070");
    put_string(&r.labels, 26, "010203040506070g");
    CONTEXT(&r.labels, 1, 20, 23, 1, 2, 22, 24);
    CONTEXT(&r.labels, 2, 21, 23);
    CONTEXT(&r.labels, 3, 20, 25, 22, 23);
    CONTEXT(&r.labels, 4, 20, 26, 1, 2);
    const struct ids ids[] = {{1}, {2}, {3}, {4}, {1, 5, 0, 6, 7}};
    const struct profile *p = decode_ok(&r, ids, ARRAY_LEN(ids));
    assert_int_equal(p->n_samples, 5);
    assert_string_equal(labels_text(p, 0), "controller=order");
    assert_true(p->samples[0].span == 0x0807060504030201);
    assert_true(p->samples[0].trace_hi == 0x0A0b0C0d0e0f1011);
    assert_true(p->samples[0].trace_lo == 0x1213141516171819);
    assert_string_equal(labels_text(p, 1), "");
    assert_true(p->samples[1].span == 0x0807060504030201);
    assert_int_equal(p->samples[2].span, 0);
    assert_int_equal(p->samples[2].trace_lo, 0);
    assert_string_equal(labels_text(p, 3), "controller=order");
    assert_int_equal(p->samples[3].span, 0);
    assert_true(p->samples[4].span == (uint64_t)5 << 56);
    assert_int_equal(p->samples[4].trace_lo, 7);
    end(&r);
}

static void test_many(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    enum { N = 5000 };
    static struct ids ids[N];
    put_strings(&r.labels);
    for (uint64_t i = 0; i < N; i++) {
        ids[i].context = i * 0x100000001u; /* sparse */
        CONTEXT(&r.labels, ids[i].context, 1, i % 3 ? 2 : 4);
    }
    const struct profile *p = decode_ok(&r, ids, N);
    assert_int_equal(p->n_samples, 2);
    assert_int_equal(p->values[0] + p->values[1], (int64_t)N * 10 * NS_PER_MS);
    assert_int_equal(p->values[0], (int64_t)(N / 3 + 1) * 10 * NS_PER_MS);
    uint64_t pairs[2 * 129];
    for (uint32_t i = 0; i < 129; i++) {
        pairs[2 * i] = i;
        pairs[2 * i + 1] = 2;
    }
    buf_clear(&r.labels);
    put_strings(&r.labels);
    put_context(&r.labels, 0, pairs, 128);
    decode_ok(&r, ids, 1);
    put_context(&r.labels, 0, pairs, 129);
    assert_int_equal(decode(&r, ids, 1), ST_INVALID_ARGUMENT);
    end(&r);
}

/* Malformed bytes, of which those of a context matter only when it is used. */
static void test_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        bool ok;
    } cases[] = {
        {"\xa\2\x8\1", 4, true},                           /* a context without value */
        {"\xa\0", 2, true},                                /* without key */
        {"\x1a\2xy", 4, true},                             /* an unknown field */
        {"\xa", 1, false},                                 /* cut */
        {"\xa\5\x8\1", 4, false},                          /* beyond the end */
        {"\x8\1", 2, false},                               /* contexts as a number */
        {"\xa\2\x12", 3, false}, {"\xa\2\xa\0", 4, false}, /* the key as bytes */
        {"\xb\xc", 2, false},                              /* a group */
        {"\xa\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 11, false},
        {"\xa\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1", 12, false},
        {"\xa\6\x8\0\x12\2\x8\1", 8, false}, /* context 0: labels as a number */
        {"\xa\6\x8\1\x12\2\x8\1", 8, true},  /* context 1 is not used */
        {"\xa\x8\x8\0\x12\4\xa\2\xa\0", 10, false}, {"\2\0", 2, false}, /* field 0 */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct run r;
        const struct ids ids = {0};
        begin(&r);
        buf_add(&r.labels, cases[i].bytes, cases[i].n);
        enum status st = decode(&r, &ids, 1);
        assert_int_equal(st, cases[i].ok ? ST_OK : ST_INVALID_ARGUMENT);
        if (st != ST_OK)
            assert_string_equal(r.err.msg, "jfr labels: malformed LabelsSnapshot");
        end(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merged),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_user_spans),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
