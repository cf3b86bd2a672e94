/* A flame graph laid out in columns: which frame covers which cells of which row. Pure. */
#ifndef CLI_LAYOUT_H
#define CLI_LAYOUT_H

#include "model/nametree.h"

#define CELL_MERGED UINT32_MAX

struct flame_cell {
    uint32_t row, col, width;
    uint32_t node;   /* of the tree, or CELL_MERGED: children of `parent` too narrow to show */
    uint32_t parent; /* node */
    uint32_t n;      /* frames that are merged; 1 for a frame */
    double weight;
};

struct flame_layout {
    struct flame_cell *v; /* row by row, from left to right */
    uint32_t n, cap;
    uint32_t rows;        /* laid out */
    uint32_t rows_hidden; /* below them, in what is drawn only up to rows_max */
};

/* Row 0 is the root over all columns. `weights` are by node; a node's is at least the sum of its
 * children's. Children stand by falling weight from the left end of their parent, what is left of
 * it being its own; those narrower than `narrow` columns become one cell at the end, which is left
 * out when it is narrower than one column. At most rows_max rows. In t->arena. */
enum status flame_layout_make(const struct nametree *t, const double *weights, uint32_t columns,
    uint32_t narrow, uint32_t rows_max, struct flame_layout *ret_layout, struct error *err);

#endif
