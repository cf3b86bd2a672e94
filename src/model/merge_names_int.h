/* Private to model: the names of one merge of trees, numbered over all of its sources. */
#ifndef MODEL_MERGE_NAMES_INT_H
#define MODEL_MERGE_NAMES_INT_H

#include "model/tree_merge.h"

#define MERGE_NONE UINT32_MAX

struct merge_name {
    struct str text;   /* a view of the source's */
    uint32_t in_trees; /* its id there, MERGE_NONE as long as no node has it */
};

/* What the number of rollup_name_numbers stands for. */
struct merge_number {
    uint32_t number; /* 0: empty */
    uint32_t name;
};

struct merge_names {
    struct arena *arena;
    struct nametree *trees;
    unsigned n_sides;
    struct {
        struct merge_name *v;
        uint32_t n, cap;
    } all;
    struct idmap ids;             /* on the heap: merge_names_done */
    struct merge_number *numbers; /* by their lowest bits; NULL: not worth it */
    uint32_t other;               /* the name `other`, MERGE_NONE as long as no source has it */
};

void merge_names_init(
    struct merge_names *n, struct arena *arena, struct nametree *trees, unsigned n_sides);
void merge_names_done(struct merge_names *n);
/* Remember numbers: sources have names in common. */
enum status merge_names_number(struct merge_names *n, struct error *err);
/* A new id when the text is new: ids are 0, 1, … */
enum status merge_names_add(
    struct merge_names *n, struct str text, uint32_t *ret_name, struct error *err);
/* Of the names of a source: id there → name plus one, 0 as long as it is not known; of each chunk
 * whether its numbers were looked at. */
struct merge_ids {
    uint32_t *names;
    bool *looked;
};
/* Makes the name of an id of a source known, and those of its chunk that cost nothing. */
enum status merge_names_find(struct merge_names *n, const struct tree_source *s,
    struct merge_ids *ids, uint32_t id, struct error *err);
/* The id that a name has in all trees, from now on. */
enum status merge_names_in_trees(
    struct merge_names *n, uint32_t name, uint32_t *ret_id, struct error *err);

static inline enum status merge_no_memory(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "merging trees exceeds the memory of the query");
}

#endif
