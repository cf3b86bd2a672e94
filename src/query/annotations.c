/* Annotations of points: what ingestion noted about the profiles in them.
 *
 * Notes are stored as labels of series (see label_is_annotation), so all rows of a series have the
 * same. A point has each pair of key and value once, of which there are few: those of a limit that
 * is reached differ by the period in which it was. Points keep the first hundred.
 * Texts are copied into the query's arena. */
#include <stdlib.h>

#include "model/labels.h"
#include "query/query_int.h"

enum { ANNOTATIONS_MAX = 100 }; /* per point */

static bool annotated(const struct part_series *s)
{
    for (uint32_t i = 0; i < s->n_labels; i++)
        if (label_is_annotation(s->labels[i].name))
            return true;
    return false;
}

bool annotations_any(const struct exec_part *ep)
{
    for (uint32_t i = 0; i < ep->n_series; i++)
        if (ep->masks[i] && annotated(part_series(ep->part, i)))
            return true;
    return false;
}

static bool has(const struct annotations *a, struct label l)
{
    for (uint32_t i = 0; i < a->list.n; i++)
        if (str_eq(a->list.v[i].key, l.name) && str_eq(a->list.v[i].value, l.value))
            return true;
    return false;
}

static enum status add_one(
    struct query *q, struct label l, struct annotations **to, struct error *err)
{
    if (!*to && !(*to = ARENA_ZARRAY(q->arena, struct annotations, 1)))
        return query_full(q, err);
    if ((*to)->list.n == ANNOTATIONS_MAX || has(*to, l))
        return ST_OK;
    struct m_annotation *slot = VEC_PUSH(q->arena, (*to)->list);
    if (!slot)
        return query_full(q, err);
    TRY(query_copy(q, l.name, &slot->key, err));
    return query_copy(q, l.value, &slot->value, err);
}

enum status annotations_add(
    struct query *q, const struct part_series *s, struct annotations **to, struct error *err)
{
    for (uint32_t i = 0; i < s->n_labels; i++)
        if (label_is_annotation(s->labels[i].name))
            TRY(add_one(q, s->labels[i], to, err));
    return ST_OK;
}

static int order(const void *a, const void *b)
{
    const struct m_annotation *x = a, *y = b;
    int by_key = str_cmp(x->key, y->key);
    return by_key ? by_key : str_cmp(x->value, y->value);
}

void annotations_sort(struct annotations *a)
{
    if (a)
        qsort(a->list.v, a->list.n, sizeof *a->list.v, order);
}
