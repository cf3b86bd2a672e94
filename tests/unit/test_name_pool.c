/* store/name_pool: equal numbers mean equal texts, whatever was forgotten meanwhile. */
#include "test.h"

#include "base/thread.h"
#include "store/name_pool_int.h"

enum { NAMES = 2000, THREADS = 4 };

static uint32_t number_of(struct name_pool *p, struct str text)
{
    uint32_t n;
    name_pool_number(p, &text, 1, &n);
    return n;
}

static struct str name(char *text, size_t n, uint32_t i)
{
    return str_make(text, (size_t)snprintf(text, n, "package.Class%u.method", i));
}

static void one_number_per_text(void **state)
{
    (void)state;
    struct name_pool p;
    char text[64];
    uint32_t first[NAMES];
    name_pool_init(&p, MIB);
    for (uint32_t i = 0; i < NAMES; i++) {
        first[i] = number_of(&p, name(text, sizeof text, i));
        assert_true(first[i] > (i ? first[i - 1] : 0));
    }
    for (uint32_t i = 0; i < NAMES; i++)
        assert_int_equal(number_of(&p, name(text, sizeof text, i)), first[i]);
    assert_true(number_of(&p, STR_EMPTY) > first[NAMES - 1]);
    name_pool_done(&p);
}

static void forgets_and_never_gives_a_number_twice(void **state)
{
    (void)state;
    struct name_pool p;
    char text[64];
    uint32_t last = 0;
    name_pool_init(&p, 64 * 1024);
    uint32_t old = number_of(&p, STR("old"));
    for (uint32_t i = 0; i < 20 * NAMES; i++) {
        uint32_t n = number_of(&p, name(text, sizeof text, i));
        assert_true(n > last);
        last = n;
        assert_true(p.memory.used + p.index_bytes <= 2 * p.bytes_max);
    }
    assert_true(number_of(&p, STR("old")) > last);
    assert_true(old < last);
    name_pool_done(&p);
}

static void what_does_not_fit_has_no_number(void **state)
{
    (void)state;
    struct name_pool p;
    static char large[100 * 1024];
    name_pool_init(&p, 64 * 1024);
    uint32_t n = number_of(&p, STR("small"));
    assert_int_equal(number_of(&p, str_make(large, sizeof large)), 0);
    assert_true(number_of(&p, STR("small")) > n);
    name_pool_done(&p);
}

static void *ask_all(void *arg)
{
    struct name_pool *p = arg;
    char text[64];
    for (uint32_t i = 0; i < NAMES; i++) {
        uint32_t n = number_of(p, name(text, sizeof text, i));
        ASSERT(n && n == number_of(p, name(text, sizeof text, i)));
    }
    return NULL;
}

static void threads_get_the_same(void **state)
{
    (void)state;
    struct name_pool p;
    pthread_t threads[THREADS];
    name_pool_init(&p, MIB);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(thread_start(&threads[i], "names", ask_all, &p, NULL), ST_OK);
    for (int i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    assert_int_equal(p.texts.n, NAMES);
    name_pool_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_number_per_text),
        cmocka_unit_test(forgets_and_never_gives_a_number_twice),
        cmocka_unit_test(what_does_not_fit_has_no_number), cmocka_unit_test(threads_get_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
