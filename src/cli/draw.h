/* Flame graphs as text with colours and as SVG: from a tree and a layout to bytes. Pure. */
#ifndef CLI_DRAW_H
#define CLI_DRAW_H

#include "cli/layout.h"
#include "cli/tree.h"

struct drawing {
    const struct nametree *tree;
    const double *weights;     /* by node: widths */
    const struct tree_side *a; /* of one profile; with b: before */
    const struct tree_side *b; /* after, or NULL */
    struct str unit;
    struct str title; /* of the SVG */
};

/* Rows of at most `columns` columns; at most rows_max of them, and a line about what is below. In
 * colour, frames are coloured cells; without, each begins with a bar. */
enum status draw_text(const struct drawing *d, uint32_t columns, uint32_t rows_max, bool colour,
    struct buf *out, struct error *err);
/* A picture that stands alone; a little script in it zooms on a click. */
enum status draw_svg(const struct drawing *d, struct buf *out, struct error *err);

/* By how much a frame's share of the whole grew, in percentage points. */
double draw_change(const struct drawing *d, uint32_t node);
/* 0..DRAW_HUES-1, by name. */
enum { DRAW_HUES = 12 };
uint32_t draw_hue(struct str name);

#endif
