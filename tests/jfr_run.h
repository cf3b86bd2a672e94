/* A recording made by hand and what became of it, and the names and events that tests use most. */
#ifndef TESTS_JFR_RUN_H
#define TESTS_JFR_RUN_H

#include "jfr_check.h"
#include "jfr_make.h"

struct run {
    struct maker m;
    struct buf file, fields;
    struct arena arena;
    struct jfr jfr;
    struct error err;
    struct jfr_options opt;
};

static inline void begin(struct run *r)
{
    *r = (struct run){.opt = {.sample_rate = 100, .from_ns = 1, .until_ns = 2}};
    make_init(&r->m);
    make_classes(&r->m);
    buf_init(&r->file, 4 * MIB);
    buf_init(&r->fields, MIB);
    arena_init(&r->arena, 64 * MIB);
}

static inline void end(struct run *r)
{
    make_done(&r->m);
    buf_done(&r->file);
    buf_done(&r->fields);
    arena_done(&r->arena);
}

static inline enum status decode(struct run *r)
{
    arena_reset(&r->arena);
    enum status st = jfr_decode(
        buf_view(&r->file), STR_EMPTY, &r->opt, &r->arena, &r->jfr, &r->err);
    if (st == ST_OK)
        jfr_check(&r->jfr, &r->opt);
    return st;
}

static inline enum status finish(struct run *r)
{
    make_finish(&r->m, &r->file);
    return decode(r);
}

static inline void finish_ok(struct run *r)
{
    if (finish(r) != ST_OK)
        fail_msg("%s", r->err.msg);
}

static inline void finish_bad(struct run *r, const char *text)
{
    assert_int_equal(finish(r), ST_INVALID_ARGUMENT);
    if (!str_contains(error_str(&r->err), str_from(text)))
        fail_msg("'%s' has not '%s'", r->err.msg, text);
    end(r);
}

/* Class a/B (1), methods run (1) and go (2), states. */
static inline void put_names(struct maker *m)
{
    make_pool(m, 31, 3);
    put_long(&m->pools, 1);
    put_text(&m->pools, 3, "a/B");
    put_long(&m->pools, 2);
    put_text(&m->pools, 3, "run");
    put_long(&m->pools, 3);
    put_text(&m->pools, 3, "go");
    make_pool(m, 21, 1);
    put_long(&m->pools, 1);
    put_long(&m->pools, 1);
    make_pool(m, 28, 2);
    buf_add(&m->pools, "\1\1\2\0\0\0", 6);
    buf_add(&m->pools, "\2\1\3\0\0\0", 6);
    make_pool(m, 25, 3);
    put_long(&m->pools, 0);
    put_text(&m->pools, 3, "STATE_DEFAULT");
    put_long(&m->pools, 1);
    put_text(&m->pools, 5, "STATE_RUNNABLE");
    put_long(&m->pools, 2);
    put_text(&m->pools, 3, "STATE_SLEEPING");
}

/* Stack 1: run at line 7, below it go at line 300. */
static inline void put_stack(struct maker *m)
{
    make_pool(m, 26, 1);
    buf_add(&m->pools, "\1\0\2\1\7\0\0\2\xac\2\0\0", 12);
}

static inline void put_sample(struct run *r, uint64_t stack, uint64_t state)
{
    buf_clear(&r->fields);
    put_long(&r->fields, 0);
    put_long(&r->fields, stack);
    put_long(&r->fields, state);
    for (int i = 0; i < 5; i++)
        put_long(&r->fields, 0);
    make_event(&r->m, 101, &r->fields);
}

static inline void put_wall(struct run *r, uint64_t state, uint64_t samples)
{
    buf_clear(&r->fields);
    put_long(&r->fields, 0);
    put_long(&r->fields, 1);
    put_long(&r->fields, state);
    put_long(&r->fields, samples);
    make_event(&r->m, 119, &r->fields);
}

static inline void put_setting(struct run *r, const char *name, uint8_t tag, const char *value)
{
    buf_clear(&r->fields);
    put_long(&r->fields, 0);
    put_long(&r->fields, 0);
    put_text(&r->fields, 3, name);
    put_text(&r->fields, tag, value);
    make_event(&r->m, 108, &r->fields);
}

static inline const struct profile *profile(const struct run *r, const char *name)
{
    for (uint32_t i = 0; i < r->jfr.n; i++)
        if (str_eq(r->jfr.profiles[i].name, str_from(name)))
            return &r->jfr.profiles[i].profile;
    return NULL;
}

/* "a/B.run:7 a/B.go:300", leaf first. */
static inline const char *stack_text(const struct profile *p, uint32_t sample)
{
    static char text[1024];
    const struct prof_symbols *s = p->sym;
    const struct prof_stack *stack = &s->stacks[p->samples[sample].stack];
    size_t n = 0;
    text[0] = 0;
    for (uint32_t i = 0; i < stack->n; i++) {
        const struct prof_line *l = &s->lines[s->locations[s->frames[stack->first + i]].first_line];
        struct str name = s->strings[s->functions[l->function].name];
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s:%lld", i ? " " : "", STR_ARG(name),
            (long long)l->line);
    }
    return text;
}

static inline void expect_one(
    const struct run *r, const char *name, int64_t value, const char *stack)
{
    const struct profile *p = profile(r, name);
    assert_non_null(p);
    assert_int_equal(p->n_samples, 1);
    assert_int_equal(p->values[p->n_types - 1], value);
    assert_string_equal(stack_text(p, 0), stack);
}

#endif
