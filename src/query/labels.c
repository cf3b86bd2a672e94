/* Label questions: ProfileTypes, LabelNames, LabelValues, Series.
 *
 * All four look at the series that match and have a row in the time range. Whether they have one is
 * decided by the rows, exactly, unless all of a part lies in the range; the scan of a part ends as
 * soon as every candidate was seen, which is mostly after the first few rows. Results are sets of
 * texts or of label sets, copied into the answer, sorted bytewise.
 *
 * The sets' indexes are on the heap, bounded by what the query's budget has left. */
#include <stdlib.h>

#include "base/hash.h"
#include "model/labels.h"
#include "query/query_int.h"

static bool index_put(struct query *q, struct idmap *m, uint64_t hash, uint32_t id)
{
    return idmap_growth(m, 1) <= query_left(q) && idmap_put(m, hash, id);
}

/* Sets of texts */

struct text_set {
    MSG_LIST(struct str) list;
    struct idmap ids;
};

static enum status text_add(struct query *q, struct text_set *set, struct str s, struct error *err)
{
    uint64_t hash = hash_str(s);
    uint32_t id;
    struct idmap_probe p = idmap_start(&set->ids, hash);
    while (idmap_next(&set->ids, &p, &id))
        if (str_eq(set->list.v[id], s))
            return ST_OK;
    struct str *slot = VEC_PUSH(q->arena, set->list);
    if (!slot)
        return query_full(q, err);
    TRY(query_copy(q, s, slot, err));
    return index_put(q, &set->ids, hash, set->list.n - 1) ? ST_OK : query_full(q, err);
}

static int text_order(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void text_finish(struct text_set *set, struct str **ret_v, uint32_t *ret_n)
{
    if (set->list.n)
        qsort(set->list.v, set->list.n, sizeof *set->list.v, text_order);
    *ret_v = set->list.v;
    *ret_n = set->list.n;
}

/* Series with rows */

/* What is still to be seen of a part. */
struct seen {
    uint8_t *v; /* per series: types that have a row in range */
    uint32_t missing;
};

static void see_row(const struct exec_part *ep, const struct part_row *row, struct seen *seen)
{
    uint32_t fresh = ep->masks[row->series] & ~(uint32_t)seen->v[row->series];
    for (uint32_t k = 0; fresh >> k; k++) {
        if (!(fresh >> k & 1) || row->totals[k] <= 0)
            continue;
        seen->v[row->series] |= (uint8_t)(1u << k);
        seen->missing--;
    }
}

static enum status see_slot(
    struct exec *x, const struct exec_part *ep, uint32_t slot, struct seen *seen, struct error *err)
{
    const struct part *rows = NULL;
    uint32_t n;
    TRY(exec_slot_enter(x, ep, slot, &rows, &n, err));
    enum status st = ST_OK;
    for (uint32_t i = 0; i < n && seen->missing && st == ST_OK; i++) {
        const struct part_row *row = part_row(rows, i);
        st = query_alive(x->q, err);
        if (row->time_ns >= x->from_ns && row->time_ns < x->until_ns)
            see_row(ep, row, seen);
    }
    exec_slot_leave(x);
    return st;
}

/* Narrows the masks of a part to the types that have a row in the range. What a part has at all is
 * in them already: of one that lies in the range as a whole no row is looked at. */
static enum status keep_seen(struct exec *x, struct exec_part *ep, struct error *err)
{
    struct seen seen = {.v = arena_zalloc(x->q->arena, ep->n_series)};
    if (atomic_load_explicit(&ep->part->time_min, memory_order_relaxed) >= x->from_ns &&
        atomic_load_explicit(&ep->part->time_max, memory_order_relaxed) < x->until_ns)
        return ST_OK;
    if (!seen.v)
        return query_full(x->q, err);
    for (uint32_t i = 0; i < ep->n_series; i++)
        seen.missing += (uint32_t)__builtin_popcount(ep->masks[i]);
    for (uint32_t i = 0; i < part_n_slots(ep->part) && seen.missing; i++)
        TRY(see_slot(x, ep, i, &seen, err));
    ep->masks = seen.v;
    return ST_OK;
}

typedef enum status (*series_fn)(
    void *ctx, struct exec *x, const struct part_series *s, uint32_t k, struct error *err);

/* Calls fn for every (series, type) that matches and has a row in range; equal ones of several
 * parts come several times. */
static enum status each_series(struct exec *x, series_fn fn, void *ctx, struct error *err)
{
    for (uint32_t p = 0; p < x->parts.n; p++) {
        struct exec_part *ep = &x->parts.v[p];
        TRY(keep_seen(x, ep, err));
        for (uint32_t i = 0; i < ep->n_series; i++) {
            TRY(query_alive(x->q, err));
            for (uint32_t k = 0; ep->masks[i] >> k; k++)
                if (ep->masks[i] >> k & 1)
                    TRY(fn(ctx, x, part_series(ep->part, i), k, err));
        }
    }
    return ST_OK;
}

static enum status open_matching(struct query *q, struct exec *x, struct selector *sel,
    const struct str *matchers, uint32_t n, const struct query_range *r, struct error *err)
{
    for (uint32_t i = 0; i < n; i++)
        TRY(query_selector_parse(q, matchers[i], "failed to parse label selector", sel, err));
    int64_t from = query_ms_to_ns(r->start_ms);
    int64_t until = r->empty ? from : query_range_until(r);
    return exec_open(x, q, from, until, sel, NULL, err);
}

/* Values */

struct value_ctx {
    struct text_set set;
    struct str name;
    enum label_kind kind;
};

static enum status add_value(
    void *ctx, struct exec *x, const struct part_series *s, uint32_t k, struct error *err)
{
    struct value_ctx *c = ctx;
    struct str v = series_label(s, k, c->kind, c->name, &x->scratch);
    return v.n ? text_add(x->q, &c->set, v, err) : ST_OK;
}

enum status label_values(
    struct exec *x, struct str name, struct str **ret_values, uint32_t *ret_n, struct error *err)
{
    struct value_ctx c = {.name = name, .kind = label_kind(name)};
    idmap_init(&c.set.ids, NULL);
    enum status st = each_series(x, add_value, &c, err);
    text_finish(&c.set, ret_values, ret_n);
    idmap_done(&c.set.ids);
    return st;
}

enum status query_label_values(struct query *q, const struct m_label_values_request *rq,
    struct m_names_response *rs, struct error *err)
{
    struct query_range r;
    struct selector sel = {0};
    struct exec x = {0};
    TRY(query_range_check(q, rq->start, rq->end, &r, err));
    if (rq->name.n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "name is required");
    enum status st = open_matching(q, &x, &sel, rq->matchers.v, rq->matchers.n, &r, err);
    if (st == ST_OK)
        st = label_values(&x, rq->name, &rs->names.v, &rs->names.n, err);
    exec_close(&x);
    selector_done(&sel);
    return st;
}

static enum status fill_type(struct str id, struct m_profile_type *ret, struct error *err)
{
    struct profile_type t;
    enum status st = profile_type_parse(id, &t, err);
    if (st == ST_OK)
        *ret = (struct m_profile_type){
            id, t.name, t.sample_type, t.sample_unit, t.period_type, t.period_unit};
    return st;
}

enum status query_profile_types(struct query *q, const struct m_profile_types_request *rq,
    struct m_profile_types_response *rs, struct error *err)
{
    static const int64_t DEFAULT_RANGE_MS = 3600 * 1000;
    struct query_range r;
    struct selector none = {0};
    struct exec x = {0};
    struct str *ids = NULL;
    uint32_t n = 0;
    int64_t start = rq->start, end = rq->end;
    if (start == 0 && end == 0) {
        end = q->now_ns / NS_PER_MS;
        start = end - DEFAULT_RANGE_MS;
    }
    TRY(query_range_check(q, start, end, &r, err));
    enum status st = open_matching(q, &x, &none, NULL, 0, &r, err);
    if (st == ST_OK)
        st = label_values(&x, STR("__profile_type__"), &ids, &n, err);
    exec_close(&x);
    TRY(st);
    rs->profile_types.v = ARENA_ZARRAY(q->arena, struct m_profile_type, n);
    if (!rs->profile_types.v)
        return query_full(q, err);
    /* Names and types are any text: an id that does not split into five parts cannot be queried by
     * id, so it is not offered as one. */
    for (uint32_t i = 0; i < n; i++)
        if (fill_type(ids[i], &rs->profile_types.v[rs->profile_types.n], NULL) == ST_OK)
            rs->profile_types.n++;
    return ST_OK;
}

/* Names */

static bool plain_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return s.n > 0;
}

static enum status add_names(
    void *ctx, struct exec *x, const struct part_series *s, uint32_t k, struct error *err)
{
    static const char *const always[] = {
        "__type__", "__unit__", "__profile_type__", "__service_name__"};
    struct text_set *set = ctx;
    (void)k;
    for (size_t i = 0; i < ARRAY_LEN(always); i++)
        TRY(text_add(x->q, set, str_from(always[i]), err));
    if (s->period.type.n || s->period.unit.n) {
        TRY(text_add(x->q, set, STR("__period_type__"), err));
        TRY(text_add(x->q, set, STR("__period_unit__"), err));
    }
    for (uint32_t i = 0; i < s->n_labels; i++) {
        struct str name = s->labels[i].name;
        if (label_kind(name) == LABEL_STORED && (x->q->utf8_names || plain_name(name)))
            TRY(text_add(x->q, set, name, err));
    }
    return ST_OK;
}

enum status query_label_names(struct query *q, const struct m_label_names_request *rq,
    struct m_names_response *rs, struct error *err)
{
    struct query_range r;
    struct selector sel = {0};
    struct exec x = {0};
    struct text_set set = {0};
    TRY(query_range_check(q, rq->start, rq->end, &r, err));
    idmap_init(&set.ids, NULL);
    enum status st = open_matching(q, &x, &sel, rq->matchers.v, rq->matchers.n, &r, err);
    if (st == ST_OK)
        st = each_series(&x, add_names, &set, err);
    text_finish(&set, &rs->names.v, &rs->names.n);
    idmap_done(&set.ids);
    exec_close(&x);
    selector_done(&sel);
    return st;
}

/* Series */

struct series_ctx {
    const struct str *wanted; /* names; NULL = all */
    uint32_t n_wanted;
    struct label *row; /* of the series at hand: views */
    uint32_t cap_row;
    MSG_LIST(struct labels) sets;
    struct idmap ids;
};

static bool in_list(const struct str *v, uint32_t n, struct str name)
{
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(v[i], name))
            return true;
    return false;
}

static enum status copy_labels(
    struct query *q, struct labels ls, struct labels *ret, struct error *err)
{
    struct label *v = ARENA_ARRAY(q->arena, struct label, ls.n);
    if (!v)
        return query_full(q, err);
    for (uint32_t i = 0; i < ls.n; i++) {
        TRY(query_copy(q, ls.v[i].name, &v[i].name, err));
        TRY(query_copy(q, ls.v[i].value, &v[i].value, err));
    }
    *ret = (struct labels){v, ls.n};
    return ST_OK;
}

static enum status add_set(
    struct query *q, struct series_ctx *c, struct labels ls, struct error *err)
{
    uint64_t hash = labels_hash(ls);
    uint32_t id;
    struct idmap_probe p = idmap_start(&c->ids, hash);
    while (idmap_next(&c->ids, &p, &id))
        if (labels_eq(c->sets.v[id], ls))
            return ST_OK;
    struct labels *slot = VEC_PUSH(q->arena, c->sets);
    if (!slot)
        return query_full(q, err);
    TRY(copy_labels(q, ls, slot, err));
    return index_put(q, &c->ids, hash, c->sets.n - 1) ? ST_OK : query_full(q, err);
}

/* Adds the labels of (series, type) that are asked for; a set without any is no answer. */
static enum status add_projected(
    void *ctx, struct exec *x, const struct part_series *s, uint32_t k, struct error *err)
{
    struct series_ctx *c = ctx;
    if (s->n_labels + LABELS_SYNTHETIC > c->cap_row) {
        c->cap_row = 2 * (s->n_labels + LABELS_SYNTHETIC);
        c->row = ARENA_ARRAY(x->q->arena, struct label, c->cap_row);
        if (!c->row)
            return query_full(x->q, err);
    }
    uint32_t kept = 0, n = series_labels(s, k, &x->scratch, c->row);
    for (uint32_t i = 0; i < n; i++) {
        bool shown = x->q->utf8_names || plain_name(c->row[i].name);
        if (shown && (!c->wanted || in_list(c->wanted, c->n_wanted, c->row[i].name)))
            c->row[kept++] = c->row[i];
    }
    return kept ? add_set(x->q, c, (struct labels){c->row, kept}, err) : ST_OK;
}

static int set_order(const void *a, const void *b)
{
    return labels_cmp(*(const struct labels *)a, *(const struct labels *)b);
}

static enum status fill_set(
    struct query *q, struct labels ls, struct m_labels *ret, struct error *err)
{
    ret->labels.v = ARENA_ARRAY(q->arena, struct m_label_pair, ls.n);
    if (!ret->labels.v)
        return query_full(q, err);
    ret->labels.n = ls.n;
    for (uint32_t i = 0; i < ls.n; i++)
        ret->labels.v[i] = (struct m_label_pair){ls.v[i].name, ls.v[i].value};
    return ST_OK;
}

static enum status fill_series(
    struct query *q, struct series_ctx *c, struct m_series_response *rs, struct error *err)
{
    if (c->sets.n)
        qsort(c->sets.v, c->sets.n, sizeof *c->sets.v, set_order);
    rs->labels_set.v = ARENA_ZARRAY(q->arena, struct m_labels, c->sets.n);
    if (!rs->labels_set.v)
        return query_full(q, err);
    rs->labels_set.n = c->sets.n;
    for (uint32_t i = 0; i < c->sets.n; i++)
        TRY(fill_set(q, c->sets.v[i], &rs->labels_set.v[i], err));
    return ST_OK;
}

enum status query_series(struct query *q, const struct m_series_request *rq,
    struct m_series_response *rs, struct error *err)
{
    struct query_range r;
    struct selector sel = {0};
    struct exec x = {0};
    struct series_ctx c = {
        .wanted = rq->label_names.n ? rq->label_names.v : NULL, .n_wanted = rq->label_names.n};
    TRY(query_range_check(q, rq->start, rq->end, &r, err));
    idmap_init(&c.ids, NULL);
    enum status st = open_matching(q, &x, &sel, rq->matchers.v, rq->matchers.n, &r, err);
    if (st == ST_OK)
        st = each_series(&x, add_projected, &c, err);
    idmap_done(&c.ids);
    exec_close(&x);
    selector_done(&sel);
    TRY(st);
    return fill_series(q, &c, rs, err);
}
