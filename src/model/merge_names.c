/* Names of a merge: see merge_names_int.h.
 *
 *     id of a source ─► number in the pool of all blocks ─► name          mostly
 *                    └► text ─► hash ─► compare ─────────► name          the first time
 *
 * A number says at once whether another source had the name. The first time that a name of a chunk
 * is asked for, all numbers of the chunk are gone through, as most will be wanted.
 *
 * Texts are views of what the sources hold; only a name of a node that is kept is copied into the
 * trees. Numbers are remembered in a table of fixed size by their lowest bits: one that was pushed
 * out by another is looked up by its text again. One thread. */
#include "model/merge_names_int.h"

#include "base/hash.h"

enum { NUMBERS = 1 << 16 };

void merge_names_init(
    struct merge_names *n, struct arena *arena, struct nametree *trees, unsigned n_sides)
{
    *n = (struct merge_names){
        .arena = arena, .trees = trees, .n_sides = n_sides, .other = MERGE_NONE};
    idmap_init(&n->ids, NULL);
}

void merge_names_done(struct merge_names *n)
{
    idmap_done(&n->ids);
}

enum status merge_names_number(struct merge_names *n, struct error *err)
{
    n->numbers = ARENA_ZARRAY(n->arena, struct merge_number, NUMBERS);
    return n->numbers ? ST_OK : merge_no_memory(err);
}

/* The index lives on the heap; the arena's limit bounds it all the same. */
static enum status add_new(
    struct merge_names *n, struct str text, uint64_t hash, uint32_t *ret_name, struct error *err)
{
    size_t index_bytes = idmap_growth(&n->ids, 1);
    struct merge_name *name = VEC_PUSH(n->arena, n->all);
    if (!name || index_bytes > n->arena->limit - n->arena->used ||
        !idmap_put(&n->ids, hash, n->all.n - 1))
        return merge_no_memory(err);
    *name = (struct merge_name){text, MERGE_NONE};
    *ret_name = n->all.n - 1;
    if (n->other == MERGE_NONE && str_eq(text, STR("other")))
        n->other = *ret_name;
    return ST_OK;
}

enum status merge_names_add(
    struct merge_names *n, struct str text, uint32_t *ret_name, struct error *err)
{
    uint32_t id;
    uint64_t hash = hash_str(text);
    struct idmap_probe p = idmap_start(&n->ids, hash);
    while (idmap_next(&n->ids, &p, &id)) {
        if (str_eq(n->all.v[id].text, text)) {
            *ret_name = id;
            return ST_OK;
        }
    }
    return add_new(n, text, hash, ret_name, err);
}

static struct merge_number *known_of(const struct merge_names *n, uint32_t number)
{
    return &n->numbers[number % NUMBERS];
}

/* What other sources had of the chunk. */
static void take_known(const struct merge_names *n, const struct rollup_names_head *h,
    uint32_t chunk, const uint32_t *numbers, uint32_t *names)
{
    uint32_t *at = names + h->first_ids[chunk];
    for (uint32_t i = 0, end = rollup_names_of_chunk(h, chunk); i < end; i++) {
        const struct merge_number *known = known_of(n, numbers[i]);
        if (known->number == numbers[i] && numbers[i])
            at[i] = known->name + 1;
    }
}

static enum status find_by_text(struct merge_names *n, const struct tree_source *s,
    struct merge_ids *ids, uint32_t id, struct error *err)
{
    struct str text;
    uint32_t name = 0;
    if (s->flat)
        text = s->texts->texts.v[id];
    else
        TRY(rollup_name(s->names, id, &text, err));
    TRY(merge_names_add(n, text, &name, err));
    ids->names[id] = name + 1;
    return ST_OK;
}

enum status merge_names_find(struct merge_names *n, const struct tree_source *s,
    struct merge_ids *ids, uint32_t id, struct error *err)
{
    uint32_t chunk = 0;
    bool numbered = n->numbers && !s->flat;
    const uint32_t *numbers = numbered ? rollup_name_numbers(s->names, id, &chunk) : NULL;
    if (!numbers)
        return find_by_text(n, s, ids, id, err);
    if (!ids->looked[chunk])
        take_known(n, &s->names->head, chunk, numbers, ids->names);
    ids->looked[chunk] = true;
    uint32_t number = numbers[id - s->names->head.first_ids[chunk]];
    struct merge_number *known = known_of(n, number);
    if (number && known->number == number)
        ids->names[id] = known->name + 1;
    if (ids->names[id] == 0)
        TRY(find_by_text(n, s, ids, id, err));
    if (number)
        *known = (struct merge_number){number, ids->names[id] - 1};
    return ST_OK;
}

enum status merge_names_in_trees(
    struct merge_names *n, uint32_t name, uint32_t *ret_id, struct error *err)
{
    struct merge_name *of = &n->all.v[name];
    for (unsigned side = 0; side < n->n_sides && of->in_trees == MERGE_NONE; side++) {
        uint32_t id = nametree_name(&n->trees[side], of->text);
        if (id == SYM_NONE)
            return merge_no_memory(err);
        ASSERT(side == 0 || id == *ret_id);
        *ret_id = id;
    }
    if (of->in_trees == MERGE_NONE)
        of->in_trees = *ret_id;
    *ret_id = of->in_trees;
    return ST_OK;
}
