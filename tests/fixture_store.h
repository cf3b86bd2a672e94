/* Small uploads for store tests: stacks of single letters, one service, one or more types. */
#ifndef TESTS_FIXTURE_STORE_H
#define TESTS_FIXTURE_STORE_H

#include "base/arena.h"
#include "fixture_rows.h"
#include "model/labels.h"
#include "store/store.h"

/* A request with the given stacks of single letters: "abc" is root a, leaf c. */
struct request {
    struct arena arena;
    struct prof_symbols sym;
    struct profile prof;
    struct store_row row;
};

static inline void request_init(struct request *rq, const char *service, const char *const *stacks,
    const int64_t *values, uint32_t n, uint32_t n_types)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz";
    arena_init(&rq->arena, MIB);
    struct prof_symbols *sym = &rq->sym;
    *sym = (struct prof_symbols){.n_strings = 27,
        .n_functions = 26,
        .n_lines = 26,
        .n_locations = 26,
        .n_stacks = n,
        .n_labelsets = 1};
    sym->strings = ARENA_ZARRAY(&rq->arena, struct str, 27);
    sym->functions = ARENA_ZARRAY(&rq->arena, struct prof_function, 26);
    sym->lines = ARENA_ZARRAY(&rq->arena, struct prof_line, 26);
    sym->locations = ARENA_ZARRAY(&rq->arena, struct prof_location, 26);
    sym->stacks = ARENA_ZARRAY(&rq->arena, struct prof_stack, n);
    sym->frames = ARENA_ZARRAY(&rq->arena, uint32_t, 1000);
    sym->labelsets = ARENA_ZARRAY(&rq->arena, struct prof_labelset, 1);
    sym->strings[0] = STR_EMPTY;
    for (uint32_t i = 0; i < 26; i++) {
        sym->strings[i + 1] = str_make(alphabet + i, 1);
        sym->functions[i].name = i + 1;
        sym->lines[i] = (struct prof_line){i, (int64_t)i * 10};
        sym->locations[i] = (struct prof_location){
            .mapping = PROF_NONE, .first_line = i, .n_lines = 1};
    }
    struct profile *p = &rq->prof;
    *p = (struct profile){
        .sym = sym, .n_types = n_types, .n_samples = n, .time_ns = 1700000000000000000};
    p->types = ARENA_ZARRAY(&rq->arena, struct prof_type, n_types);
    for (uint32_t k = 0; k < n_types; k++)
        p->types[k] = (struct prof_type){arena_printf(&rq->arena, "type%u", k), STR("count")};
    p->period_type = (struct prof_type){STR_EMPTY, STR_EMPTY};
    p->samples = ARENA_ZARRAY(&rq->arena, struct prof_sample, n);
    p->values = ARENA_ZARRAY(&rq->arena, int64_t, (size_t)n * n_types);
    memcpy(p->values, values, (size_t)n * n_types * sizeof *values);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t len = (uint32_t)strlen(stacks[i]);
        sym->stacks[i] = (struct prof_stack){sym->n_frames, len};
        for (uint32_t k = len; k-- > 0;)
            sym->frames[sym->n_frames++] = (uint32_t)(stacks[i][k] - 'a');
        p->samples[i].stack = i;
    }
    struct label *ls = ARENA_ZARRAY(&rq->arena, struct label, 2);
    ls[0] = (struct label){STR("__name__"), STR("cpu")};
    ls[1] = (struct label){STR("service_name"), str_from(service)};
    rq->row = (struct store_row){.labels = {ls, 2}, .prof = p};
}

/* Everything the store shows of tenant anonymous. */
static inline const struct store_view *all_parts(struct store *s)
{
    const struct store_view *v = NULL;
    enum status st = store_view_acquire(
        s, STR("anonymous"), STR_EMPTY, INT64_MIN, INT64_MAX, &v, NULL);
    ASSERT(st == ST_OK);
    return v;
}

#endif
