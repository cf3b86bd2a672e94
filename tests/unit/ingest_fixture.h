/* For tests of src/ingest: a store that records, a done that remembers, and small profiles.
 *
 * store_append_within is defined here, so a test must be linked before the real store's archive (as
 * an executable always is). One include per test binary. */
#ifndef TESTS_UNIT_INGEST_FIXTURE_H
#define TESTS_UNIT_INGEST_FIXTURE_H

#include <inttypes.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "ingest/ingest_int.h"

#define NOW_S 1795382100LL /* 2026-11-22 */
#define NOW_NS (NOW_S * NS_PER_S)

/* ---- the store's double ---- */

enum { FAKE_ROWS_MAX = 4096, FAKE_PROFILES_MAX = 16 };

static struct fake_store {
    enum status refuse_first; /* answer of the first append, then ST_OK */
    const char *refuse_text;
    bool hold; /* done is called by fake_commit */
    enum status commit_status;
    int appends; /* that were taken */
    int calls;
    uint32_t n_rows;
    char *rows[FAKE_ROWS_MAX];                         /* row_text of each */
    const struct profile *profiles[FAKE_PROFILES_MAX]; /* in order of their first row */
    int64_t totals[FAKE_PROFILES_MAX][16];             /* per type, over all rows */
    uint32_t n_profiles;
    store_done_fn done;
    void *ctx;
} fake;

struct fake_stack {
    char *text;
    int64_t values[16];
};

static int fake_stack_cmp(const void *a, const void *b)
{
    const struct fake_stack *x = a, *y = b;
    return strcmp(x->text, y->text);
}

static char *fake_take(struct buf *b)
{
    assert_false(b->failed);
    char *text = mem_new(b->n + 1);
    if (b->n)
        memcpy(text, b->p, b->n);
    buf_done(b);
    return text;
}

/* Root first: "main;run;leaf", spans behind it. */
static char *fake_stack_text(const struct profile *p, const struct prof_sample *s)
{
    const struct prof_symbols *sym = p->sym;
    struct buf b;
    buf_init(&b, MIB);
    struct prof_stack st = sym->stacks[s->stack];
    for (uint32_t i = st.n; i-- > 0;) {
        const struct prof_location *l = &sym->locations[sym->frames[st.first + i]];
        if (l->n_lines == 0)
            buf_printf(&b, ";0x%" PRIx64, l->address);
        for (uint32_t k = l->n_lines; k-- > 0;) {
            buf_byte(&b, ';');
            buf_str(&b, sym->strings[sym->functions[sym->lines[l->first_line + k].function].name]);
        }
    }
    if (s->span)
        buf_printf(&b, " span=%016" PRIx64, s->span);
    return fake_take(&b);
}

/* {labels} type/unit,… period/unit:period @time then one line per stack, sorted, equal ones added:
 * "stack v1 v2". */
static char *fake_row_text(const struct store_row *row)
{
    const struct profile *p = row->prof;
    struct buf b;
    buf_init(&b, 64 * MIB);
    labels_format(row->labels, &b);
    assert_true(p->n_types <= 16);
    for (uint32_t k = 0; k < p->n_types; k++)
        buf_printf(
            &b, "%c%.*s/%.*s", k ? ',' : ' ', STR_ARG(p->types[k].type), STR_ARG(p->types[k].unit));
    buf_printf(&b, " %.*s/%.*s:%" PRId64 " @%" PRId64 "\n", STR_ARG(p->period_type.type),
        STR_ARG(p->period_type.unit), p->period, p->time_ns);
    struct fake_stack *v = mem_new(row->n_samples * sizeof *v + 1);
    for (uint32_t i = 0; i < row->n_samples; i++) {
        uint32_t at = row->samples ? row->samples[i] : i;
        assert_true(at < p->n_samples);
        v[i].text = fake_stack_text(p, &p->samples[at]);
        memcpy(v[i].values, &p->values[(size_t)at * p->n_types], p->n_types * sizeof(int64_t));
    }
    qsort(v, row->n_samples, sizeof *v, fake_stack_cmp);
    for (uint32_t i = 0; i < row->n_samples; i++) {
        if (i + 1 < row->n_samples && strcmp(v[i].text, v[i + 1].text) == 0) {
            for (uint32_t k = 0; k < p->n_types; k++)
                v[i + 1].values[k] += v[i].values[k];
        } else {
            buf_str(&b, str_from(v[i].text));
            for (uint32_t k = 0; k < p->n_types; k++)
                buf_printf(&b, " %" PRId64, v[i].values[k]);
            buf_byte(&b, '\n');
        }
        mem_free(v[i].text);
    }
    mem_free(v);
    return fake_take(&b);
}

static void fake_add_totals(const struct store_row *row)
{
    const struct profile *p = row->prof;
    uint32_t at = 0;
    while (at < fake.n_profiles && fake.profiles[at] != p)
        at++;
    assert_true(at < FAKE_PROFILES_MAX);
    fake.profiles[at] = p;
    fake.n_profiles = MAX(fake.n_profiles, at + 1);
    for (uint32_t i = 0; i < row->n_samples; i++)
        for (uint32_t k = 0; k < p->n_types; k++)
            fake.totals[at][k] +=
                p->values[(size_t)(row->samples ? row->samples[i] : i) * p->n_types + k];
}

enum status store_append_within(struct store *s, struct str tenant, const struct store_quota *quota,
    const struct store_row *rows, uint32_t n_rows, store_done_fn done, void *ctx,
    enum store_refused *ret_refused, struct error *err)
{
    (void)quota;
    *ret_refused = STORE_REFUSED_OTHER;
    assert_non_null(s);
    assert_true(tenant.n > 0 && n_rows > 0);
    fake.calls++;
    if (fake.refuse_first != ST_OK) {
        enum status st = fake.refuse_first;
        fake.refuse_first = ST_OK;
        return error_set(err, st, __FILE__, __LINE__, "%s", fake.refuse_text);
    }
    fake.appends++;
    for (uint32_t i = 0; i < n_rows; i++) {
        assert_true(rows[i].n_samples > 0 && rows[i].prof->time_ns > 0);
        assert_true(fake.n_rows < FAKE_ROWS_MAX);
        fake.rows[fake.n_rows++] = fake_row_text(&rows[i]);
        fake_add_totals(&rows[i]);
    }
    fake.done = done;
    fake.ctx = ctx;
    if (!fake.hold) {
        struct error why;
        error_set(&why, fake.commit_status, __FILE__, __LINE__, "the log is down");
        done(ctx, fake.commit_status, &why);
    }
    return ST_OK;
}

static __attribute__((unused)) void fake_commit(enum status st)
{
    struct error why;
    error_set(&why, st, __FILE__, __LINE__, "the log is down");
    fake.done(fake.ctx, st, &why);
}

static void fake_reset(void)
{
    for (uint32_t i = 0; i < fake.n_rows; i++)
        mem_free(fake.rows[i]);
    memset(&fake, 0, sizeof fake);
}

/* The recorded row that starts with `labels`, NULL if there is none. */
static __attribute__((unused)) const char *fake_row(const char *labels)
{
    for (uint32_t i = 0; i < fake.n_rows; i++)
        if (strncmp(fake.rows[i], labels, strlen(labels)) == 0)
            return fake.rows[i];
    return NULL;
}

/* ---- what the client sees ---- */

static struct outcome {
    int calls;
    enum status st;
    int http;
    char msg[ERROR_MSG_MAX];
} outcome;

static void outcome_set(void *ctx, enum status st, const struct error *err)
{
    assert_ptr_equal(ctx, &outcome);
    outcome.calls++;
    outcome.st = st;
    outcome.http = status_http(st);
    outcome.msg[0] = 0;
    assert_true((st == ST_OK) == (err == NULL));
    if (!err)
        return;
    assert_int_equal(err->code, st);
    assert_int_equal(strlen(err->msg), err->len);
    if (err->http)
        outcome.http = err->http;
    memcpy(outcome.msg, err->msg, err->len + 1);
}

static struct ingest_limits test_limits;

static void give_limits(void *ctx, struct str tenant, struct ingest_limits *ret_limits)
{
    (void)ctx;
    (void)tenant;
    *ret_limits = test_limits;
}

static struct arena test_arena;
static struct ingest *test_ingest;

static int fixture_begin(void **state)
{
    (void)state;
    fake_reset();
    memset(&outcome, 0, sizeof outcome);
    ingest_limits_default(&test_limits);
    arena_init(&test_arena, 256 * MIB);
    struct ingest_config cfg = {.store = (struct store *)&fake, .limits = give_limits};
    test_ingest = ingest_new(&cfg);
    return 0;
}

static int fixture_end(void **state)
{
    (void)state;
    ingest_free(test_ingest);
    arena_done(&test_arena);
    fake_reset();
    return 0;
}

#define TEST_OF(fn) cmocka_unit_test_setup_teardown(fn, fixture_begin, fixture_end)

/* A request that only the internal functions see. */
static __attribute__((unused)) struct ingest_request *bare_request(void)
{
    return ingest_request_new(test_ingest, STR("t"), &test_arena, NOW_NS, outcome_set, &outcome);
}

/* ---- pprof bytes ---- */

static void pb_uint(struct buf *b, unsigned field, uint64_t v)
{
    buf_uvarint(b, field << 3);
    buf_uvarint(b, v);
}

static void pb_bytes(struct buf *b, unsigned field, struct str s)
{
    buf_uvarint(b, field << 3 | 2);
    buf_uvarint(b, s.n);
    buf_str(b, s);
}

/* A profile with one sample type; strings by number: 0 "", 1 type, 2 unit, then what is added. */
struct pprof_text {
    struct buf b;
    uint32_t n_strings;
};

static uint32_t pt_string(struct pprof_text *t, const char *s)
{
    pb_bytes(&t->b, 6, str_from(s));
    return t->n_strings++;
}

static void pt_sub2(struct pprof_text *t, unsigned field, uint64_t a, uint64_t b)
{
    struct buf sub;
    buf_init(&sub, 100);
    pb_uint(&sub, 1, a);
    pb_uint(&sub, 2, b);
    pb_bytes(&t->b, field, buf_view(&sub));
    buf_done(&sub);
}

static void pt_begin(struct pprof_text *t, const char *type, const char *unit)
{
    memset(t, 0, sizeof *t);
    buf_init(&t->b, 64 * MIB);
    pt_string(t, "");
    uint32_t a = pt_string(t, type), b = pt_string(t, unit);
    pt_sub2(t, 1, a, b);
}

/* A function and a location with the same id. */
static void pt_frame(struct pprof_text *t, uint64_t id, uint32_t name, uint32_t filename)
{
    struct buf sub, line;
    buf_init(&sub, 100);
    buf_init(&line, 100);
    pb_uint(&line, 1, id);
    pb_uint(&sub, 1, id);
    pb_bytes(&sub, 4, buf_view(&line));
    pb_bytes(&t->b, 4, buf_view(&sub));
    buf_clear(&sub);
    pb_uint(&sub, 1, id);
    pb_uint(&sub, 2, name);
    pb_uint(&sub, 3, name);
    pb_uint(&sub, 4, filename);
    pb_bytes(&t->b, 5, buf_view(&sub));
    buf_done(&line);
    buf_done(&sub);
}

/* One location, one value, at most one label (key 0: none). */
static void pt_sample(
    struct pprof_text *t, uint64_t location, int64_t value, uint32_t key, uint32_t text)
{
    struct buf sub, label;
    buf_init(&sub, 100);
    buf_init(&label, 100);
    pb_uint(&sub, 1, location);
    pb_uint(&sub, 2, (uint64_t)value);
    if (key) {
        pb_uint(&label, 1, key);
        pb_uint(&label, 2, text);
        pb_bytes(&sub, 3, buf_view(&label));
    }
    pb_bytes(&t->b, 2, buf_view(&sub));
    buf_done(&label);
    buf_done(&sub);
}

/* The bytes, in the test's arena. */
static struct str pt_end(struct pprof_text *t, int64_t time_ns)
{
    if (time_ns)
        pb_uint(&t->b, 9, (uint64_t)time_ns);
    assert_false(t->b.failed);
    struct str s = arena_str(&test_arena, buf_view(&t->b));
    buf_done(&t->b);
    return s;
}

/* cpu/nanoseconds, main 5, with a label when `key` is not empty. */
static __attribute__((unused)) struct str small_pprof(const char *key, const char *value)
{
    struct pprof_text t;
    pt_begin(&t, "cpu", "nanoseconds");
    uint32_t name = pt_string(&t, "main"), k = 0, v = 0;
    if (key[0]) {
        k = pt_string(&t, key);
        v = pt_string(&t, value);
    }
    pt_frame(&t, 1, name, 0);
    pt_sample(&t, 1, 5, k, v);
    return pt_end(&t, NOW_NS - NS_PER_S);
}

#endif
