/* Events that differ in their start only, which the decoder remembers, and those that nearly do. */
#include "test.h"

#include "base/mem.h"
#include "jfr_run.h"

static void put_traced(
    struct run *r, uint64_t start, uint64_t span, uint64_t trace_hi, uint64_t trace_lo)
{
    buf_clear(&r->fields);
    put_long(&r->fields, start);
    put_long(&r->fields, 1);
    put_long(&r->fields, 1);
    put_long(&r->fields, span);
    put_long(&r->fields, 0);
    put_long(&r->fields, 0);
    put_long(&r->fields, trace_hi);
    put_long(&r->fields, trace_lo);
    make_event(&r->m, 101, &r->fields);
}

/* Events that differ in their start only are one sample; those that differ in any later byte are
 * not, however long they are and however many. */
static void test_again(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    struct run r;
    begin(&r);
    put_names(&r.m);
    put_stack(&r.m);
    for (uint64_t start = 1; start; start <<= 16) {
        for (uint64_t i = 0; i < MANY; i++) {
            put_traced(&r, start, i, 0, 1);
            put_traced(&r, start, 1, UINT64_MAX - (i << 35), UINT64_MAX);
            put_traced(&r, start, 2, UINT64_MAX, UINT64_MAX - (i << 46));
            put_traced(&r, start, UINT64_MAX, UINT64_MAX, i);
        }
    }
    finish_ok(&r);
    const struct profile *p = profile(&r, "process_cpu");
    assert_int_equal(p->n_samples, 4 * MANY);
    for (uint64_t i = 0; i < p->n_samples; i++)
        assert_int_equal(p->values[i], 4 * 10 * NS_PER_MS);
    assert_int_equal(p->samples[4 * MANY - 2].trace_lo, UINT64_MAX - ((uint64_t)(MANY - 1) << 46));
    end(&r);
}

/* An event that ends in zeros, and the same without them. */
static void test_again_short(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    put_names(&r.m);
    put_stack(&r.m);
    put_sample(&r, 1, 0);
    buf_clear(&r.fields);
    buf_add(&r.fields, "\0\1\0\0\0\0", 6);
    make_event(&r.m, 101, &r.fields);
    finish_bad(&r, "error reading an event");
}

/* A lock for one tick at stack 1, one byte allocated at stack 1. */
static void test_again_classes(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    put_names(&r.m);
    put_stack(&r.m);
    buf_add(&r.fields, "\0\1\1", 3);
    make_event(&r.m, 104, &r.fields);
    make_event(&r.m, 120, &r.fields);
    make_event(&r.m, 104, &r.fields);
    finish_ok(&r);
    expect_one(&r, "mutex", 2, "a/B.run:7 a/B.go:300");
    expect_one(&r, "memory", 1, "a/B.run:7 a/B.go:300");
    end(&r);
}

/* A class that begins with a field of use. */
static void test_again_first_field(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    make_class_instead(&r.m, "101 jdk.ExecutionSample stackTrace:26* state:25*");
    put_names(&r.m);
    make_pool(&r.m, 26, 2);
    buf_add(&r.m.pools, "\1\0\1\1\7\0\0", 7);
    buf_add(&r.m.pools, "\2\0\1\1\x8\0\0", 7);
    for (uint64_t i = 0; i < 6; i++) {
        buf_clear(&r.fields);
        put_long(&r.fields, 1 + i % 2);
        put_long(&r.fields, 1);
        make_event(&r.m, 101, &r.fields);
    }
    finish_ok(&r);
    const struct profile *p = profile(&r, "process_cpu");
    assert_int_equal(p->n_samples, 2);
    assert_int_equal(p->values[0], 30 * NS_PER_MS);
    assert_int_equal(p->values[1], 30 * NS_PER_MS);
    end(&r);
}

/* Events are the last in the file, and nothing behind it is read. */
static void test_again_at_the_end(void **state)
{
    (void)state;
    struct run r;
    struct buf body;
    begin(&r);
    put_names(&r.m);
    put_stack(&r.m);
    for (int i = 0; i < 9; i++)
        put_sample(&r, 1, 1);
    buf_init(&body, MIB);
    make_checkpoint(&body, 0, r.m.n_pools, buf_view(&r.m.pools));
    uint64_t metadata = 68 + body.n;
    make_metadata(&r.m, &body);
    buf_str(&body, buf_view(&r.m.events));
    make_chunk(&r.m, buf_view(&body), 68, metadata, &r.file);
    char *exact = mem_new(r.file.n);
    memcpy(exact, r.file.p, r.file.n);
    struct str file = str_make(exact, r.file.n);
    assert_int_equal(jfr_decode(file, STR_EMPTY, &r.opt, &r.arena, &r.jfr, &r.err), ST_OK);
    expect_one(&r, "process_cpu", 90 * NS_PER_MS, "a/B.run:7 a/B.go:300");
    mem_free(exact);
    buf_done(&body);
    end(&r);
}

/* What was seen of an event holds in its chunk and until the next setting. */
static void test_again_elsewhere(void **state)
{
    (void)state;
    struct run r;
    begin(&r);
    put_names(&r.m);
    put_stack(&r.m);
    put_wall(&r, 1, 3);
    put_setting(&r, "event", 3, "wall");
    put_wall(&r, 1, 3);
    make_finish(&r.m, &r.file);
    buf_clear(&r.m.pools);
    buf_clear(&r.m.events);
    r.m.n_pools = 0;
    put_names(&r.m);
    make_pool(&r.m, 26, 1);
    buf_add(&r.m.pools, "\1\0\1\2\7\0\0", 7);
    put_wall(&r, 1, 3);
    finish_ok(&r);
    const struct profile *p = profile(&r, "wall");
    assert_int_equal(p->n_samples, 2);
    assert_int_equal(p->values[0], 60 * NS_PER_MS);
    assert_int_equal(p->values[1], 30 * NS_PER_MS);
    assert_string_equal(stack_text(p, 1), "a/B.go:7");
    assert_int_equal(profile(&r, "process_cpu")->values[0], 30 * NS_PER_MS);
    end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_again),
        cmocka_unit_test(test_again_short),
        cmocka_unit_test(test_again_classes),
        cmocka_unit_test(test_again_first_field),
        cmocka_unit_test(test_again_at_the_end),
        cmocka_unit_test(test_again_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
