/* The exact function table of a tree: per name, self (the sum of its nodes' selfs) and total
 * (every sample once, however often the name is on its stack: the sum of the totals of its nodes
 * that have no node of the same name above them). No row for the root, none for a name without a
 * node; a row of an `other` only if a function is called so.
 *
 * A table of one tree is made, encoded beside the tree's roll-up with ids of the same dictionary,
 * and read back; a sum adds up any number of them by the texts of names. */
#ifndef MODEL_FUNCTION_TABLE_H
#define MODEL_FUNCTION_TABLE_H

#include "model/nametree.h"
#include "model/rollup.h"

struct function_row {
    int64_t self, total;
    uint32_t name; /* id of the tree or of the dictionary: see where the table comes from */
};

struct function_table {
    struct function_row *v; /* by rising name */
    uint32_t n;
    int64_t total; /* of the whole profile: the sum of all selfs */
};

/* The table of a finished tree, names being ids of the tree; all in the arena, with 4 bytes of
 * scratch per node and 12 per name. */
enum status function_table_make(const struct nametree *t, struct arena *arena,
    struct function_table *ret_table, struct error *err);

/* Appends the table of `t` with ids of the dictionary: best after rollup_write of the same tree,
 * which gives its names small ids. Scratch in the arena. */
enum status function_table_encode(const struct nametree *t, const struct function_table *table,
    struct rollup_names *names, struct arena *arena, struct buf *out, struct error *err);
/* Reads what encode wrote, names being ids of the dictionary; the bytes must end with the table.
 * ST_DATA_LOSS when they are not a table. */
enum status function_table_decode(
    struct str bytes, struct arena *arena, struct function_table *ret_table, struct error *err);

/* Adding up */

struct function_total {
    struct str name; /* in the arena */
    int64_t self, total;
};

struct function_sum {
    struct arena *arena;
    struct {
        struct function_total *v;
        uint32_t n, cap;
    } rows;
    int64_t total;
    struct idmap ids; /* text → row, on the heap: function_sum_done */
};

void function_sum_init(struct function_sum *s, struct arena *arena);
void function_sum_done(struct function_sum *s);
/* ST_OUT_OF_RANGE when a sum leaves int64. After a failure the sum can only be done with. */
enum status function_sum_add(struct function_sum *s, const struct function_table *table,
    struct rollup_names_reader *names, struct error *err);
/* The table of the tree, which is finished, is made in the tree's arena. */
enum status function_sum_add_tree(
    struct function_sum *s, const struct nametree *t, struct error *err);
/* Sorts rows by falling self, then by name. */
void function_sum_sort(struct function_sum *s);

#endif
