/* The part of drawing that flame graph and diff share: a stack of boxes, names in the order of
 * visits, rows from recorded boxes.
 *
 * Boxes are pushed left to right and visited last first, so each row is recorded from right to
 * left; finishing fills every row from its end and then turns absolute x into the distance to the
 * end of the box before it, per side.
 *
 *     row of n boxes, width 4: x delta, total, self, name
 *                     width 7: x delta, total, self (left), x delta, total, self (right), name
 *
 * Memory: all in the arena, proportional to what is drawn. Failure: ST_RESOURCE_EXHAUSTED. */
#include "model/flamegraph_int.h"

static uint32_t add_name(struct flame_draw *d, struct str name)
{
    struct str *slot = VEC_PUSH(d->arena, d->names);
    struct str copy = slot ? arena_str(d->arena, name) : (struct str){0};
    if (!copy.p)
        return SYM_NONE;
    *slot = copy;
    return d->names.n - 1;
}

enum status flame_draw_init(struct flame_draw *d, struct arena *arena, const struct nametree *t,
    unsigned sides, struct str root_key, struct error *err)
{
    ASSERT(t->finished && (sides == 1 || sides == 2));
    *d = (struct flame_draw){.arena = arena, .tree = t, .sides = sides};
    d->index_of = ARENA_ARRAY(arena, uint32_t, t->n_names);
    if (!d->index_of)
        return flame_no_memory(err);
    memset(d->index_of, 0xFF, (size_t)t->n_names * sizeof *d->index_of);
    d->other_name = nametree_find_name(t, flame_other_name());
    d->other_index = SYM_NONE;
    if (add_name(d, STR("total")) == SYM_NONE)
        return flame_no_memory(err);
    uint32_t key = nametree_find_name(t, root_key);
    if (key != SYM_NONE)
        d->index_of[key] = 0;
    return ST_OK;
}

enum status flame_draw_push(struct flame_draw *d, const struct flame_box *box, struct error *err)
{
    struct flame_box *slot = VEC_PUSH(d->arena, d->stack);
    if (!slot)
        return flame_no_memory(err);
    *slot = *box;
    return ST_OK;
}

/* Index into names of a box's name, new at its first visit; SYM_NONE without memory. */
static uint32_t name_index(struct flame_draw *d, const struct flame_box *box)
{
    if (box->level == 0)
        return 0;
    uint32_t name = box->node == FLAME_OTHER ? d->other_name : d->tree->nodes[box->node].name;
    uint32_t *slot = name == SYM_NONE ? &d->other_index : &d->index_of[name];
    if (*slot == SYM_NONE)
        *slot = add_name(d, name == SYM_NONE ? flame_other_name() : d->tree->names[name]);
    return *slot;
}

enum status flame_draw_visit(
    struct flame_draw *d, struct flame_box *ret_box, bool *ret_more, struct error *err)
{
    *ret_more = d->stack.n > 0;
    if (d->stack.n == 0)
        return ST_OK;
    struct flame_box box = d->stack.v[--d->stack.n];
    struct flame_box *record = VEC_PUSH(d->arena, d->boxes);
    uint32_t name = record ? name_index(d, &box) : SYM_NONE;
    if (name == SYM_NONE)
        return flame_no_memory(err);
    *record = box;
    record->node = name;
    for (unsigned s = 0; s < d->sides; s++)
        d->max_self = MAX(d->max_self, box.self[s]);
    *ret_box = box;
    return ST_OK;
}

/* Gives every level its part of `values` and leaves n = 0 in it, to be filled from the end. */
static uint32_t *place_rows(
    struct flame_draw *d, struct flamegraph *g, int64_t *values, unsigned width)
{
    uint32_t *ends = ARENA_ZARRAY(d->arena, uint32_t, g->n_levels);
    if (!ends)
        return NULL;
    for (uint32_t i = 0; i < d->boxes.n; i++)
        ends[d->boxes.v[i].level] += width;
    for (uint32_t k = 0; k < g->n_levels; k++) {
        g->levels[k] = (struct flame_level){values, ends[k]};
        values += ends[k];
    }
    return ends;
}

static void fill_row_value(const struct flame_box *box, unsigned sides, int64_t *at)
{
    for (unsigned s = 0; s < sides; s++) {
        *at++ = box->x[s];
        *at++ = box->total[s];
        *at++ = box->self[s];
    }
    *at = box->node;
}

static void make_x_relative(struct flame_level *level, unsigned sides, unsigned width)
{
    int64_t end[2] = {0, 0};
    for (int64_t *at = level->values; at < level->values + level->n; at += width) {
        for (unsigned s = 0; s < sides; s++) {
            int64_t x = at[s * 3];
            at[s * 3] = x - end[s];
            end[s] = x + at[s * 3 + 1];
        }
    }
}

enum status flame_draw_finish(struct flame_draw *d, struct flamegraph *ret_graph, struct error *err)
{
    struct flamegraph g = {.names = d->names.v, .n_names = d->names.n, .max_self = d->max_self};
    unsigned width = d->sides * 3 + 1;
    if (d->boxes.n > UINT32_MAX / width)
        return flame_no_memory(err);
    for (uint32_t i = 0; i < d->boxes.n; i++)
        g.n_levels = MAX(g.n_levels, d->boxes.v[i].level + 1);
    g.levels = ARENA_ARRAY(d->arena, struct flame_level, g.n_levels);
    int64_t *values = ARENA_ARRAY(d->arena, int64_t, (size_t)d->boxes.n * width);
    uint32_t *ends = g.levels && values ? place_rows(d, &g, values, width) : NULL;
    if (!ends)
        return flame_no_memory(err);
    for (uint32_t i = 0; i < d->boxes.n; i++) {
        const struct flame_box *box = &d->boxes.v[i];
        ends[box->level] -= width;
        fill_row_value(box, d->sides, g.levels[box->level].values + ends[box->level]);
    }
    for (uint32_t k = 0; k < g.n_levels; k++)
        make_x_relative(&g.levels[k], d->sides, width);
    *ret_graph = g;
    return ST_OK;
}
