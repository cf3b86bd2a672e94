/* What the query tests share: a query over fixture parts, with a budget and nothing else set. */
#ifndef TESTS_FIXTURE_QUERY_H
#define TESTS_FIXTURE_QUERY_H

#include "fixture_parts.h"
#include "query/query.h"

struct setup {
    struct store store;
    struct arena arena;
    struct query q;
    struct str tenants[2];
    struct error err;
};

#define CPU "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
#define MS_NS 1000000LL

static inline void setup_query(struct setup *s)
{
    arena_done(&s->arena);
    arena_init(&s->arena, 64 * MIB);
    s->err = (struct error){0};
    s->q.checks = 0;
}

static inline void setup_init(struct setup *s)
{
    *s = (struct setup){.tenants = {STR("anonymous"), STR("other")}};
    fixture_init(&s->store);
    arena_init(&s->arena, 64 * MIB);
    s->q = (struct query){.store = &s->store,
        .tenants = s->tenants,
        .n_tenants = 1,
        .arena = &s->arena,
        .now_ns = 100000 * NS_PER_S,
        .limits = {.max_nodes_default = 8192, .max_nodes_max = 1048576},
        .utf8_names = true};
}

static inline void setup_done(struct setup *s)
{
    fixture_done(&s->store);
    arena_done(&s->arena);
}

/* One part, one series of process_cpu with one type. */
static inline struct part *setup_cpu(struct setup *s)
{
    struct part *p = fixture_part(&s->store, "anonymous", "app");
    fixture_series(&s->store, p, "process_cpu", "", "cpu:nanoseconds", "cpu:nanoseconds");
    return p;
}

#define CHECK_OK(s, expr)                                 \
    do {                                                  \
        enum status check_st_ = (expr);                   \
        if (check_st_ != ST_OK)                           \
            print_error("%s: %s\n", #expr, (s)->err.msg); \
        assert_int_equal(check_st_, ST_OK);               \
    } while (0)

#define CHECK_FAILS(s, expr, code, text)                                 \
    do {                                                                 \
        (s)->err = (struct error){0};                                    \
        assert_int_equal((expr), (code));                                \
        if (!str_contains(error_str(&(s)->err), str_from(text)))         \
            print_error("%s does not say %s\n", (s)->err.msg, (text));   \
        assert_true(str_contains(error_str(&(s)->err), str_from(text))); \
    } while (0)

#endif
