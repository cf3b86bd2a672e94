/* All rows that a view shows, one after the other, slot by slot. */
#ifndef TESTS_FIXTURE_ROWS_H
#define TESTS_FIXTURE_ROWS_H

#include "store/store.h"

struct row_walk {
    struct store *s;
    const struct store_view *v;
    enum store_rows what;
    uint32_t part, slot, row;
    const struct part *rows; /* entered */
};

/* The next row and the part that it is of; false at the end. Whoever stops before leaves
 * walk->rows. What is damaged is skipped. */
static inline bool row_walk_next(
    struct row_walk *w, const struct part **ret_part, const struct part_row **ret_row)
{
    for (; w->part < w->v->n; w->part++, w->slot = 0) {
        for (; w->slot < part_n_slots(w->v->parts[w->part]); w->slot++, w->row = 0) {
            const struct part *part = w->v->parts[w->part];
            if (!w->rows && w->row == 0)
                ASSERT(store_slot_enter(w->s, part, w->slot, w->what, &w->rows, NULL) == ST_OK);
            if (w->rows && w->row < part_rows(w->rows)) {
                *ret_part = w->rows;
                *ret_row = part_row(w->rows, w->row++);
                return true;
            }
            if (w->rows)
                store_part_leave(w->s, w->rows);
            w->rows = NULL;
        }
    }
    return false;
}

static inline uint32_t view_rows(struct store *s, const struct store_view *v, enum store_rows what)
{
    struct row_walk w = {.s = s, .v = v, .what = what};
    const struct part *p;
    const struct part_row *r;
    uint32_t n = 0;
    while (row_walk_next(&w, &p, &r))
        n++;
    return n;
}

#endif
