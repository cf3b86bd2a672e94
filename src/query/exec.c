/* Execution: from a selector to rows and sums.
 *
 *     selector ─► parts of the view ─► series that match (a mask of types each)
 *                                        └► slots ─► rows in range ─► sums[stack node]
 *
 * A part is looked at in two steps. exec_open takes the published counts once, rows first, and
 * matches every series once; parts without a match are forgotten. Then rows are scanned, slot by
 * slot where a part has slots; within one they do not lie in the order of time, so all of them are
 * looked at, which costs a comparison each. A row counts for type k only if its total of k is above
 * zero.
 *
 * Sums are one int64 per stack node, filled by decoding the columns straight into them; rows whose
 * samples are in groups are marked first, then each group is added up over its marked rows. A
 * stack_trace selector then clears the nodes it does not want. Samples are materialised only for
 * span and trace selectors, one row at a time in an arena of their own.
 *
 * Invariants:
 *  1. counts never grow during a query: rows refer only to series and nodes below them.
 *  2. the budget is q->arena's limit; what `rows` may take is subtracted from it until exec_close.
 *  3. views stay acquired until exec_close: labels may be looked at until then, stacks between
 *     exec_enter and exec_leave, rows while their slot is entered, with samples if the part is. At
 *     most one part and one slot are entered.
 * Thread: the caller's. Failure: a status; exec_close is always safe. */
#include "model/stack_group.h"
#include "query/query_int.h"

enum { SAMPLES_PER_CHECK = 1024, LABEL_TEXT_MAX = 1 << 20 };

static enum status match_part(struct exec *x, const struct part *p, const struct selector *sel,
    struct exec_part *ep, bool *ret_any, struct error *err)
{
    *ep = (struct exec_part){.part = p, .n_rows = part_rows(p)};
    ep->n_series = part_n_series(p);
    *ret_any = false;
    if ((ep->n_rows == 0 && !p->slots) || !service_may_match(p->service, sel))
        return ST_OK;
    ep->masks = arena_alloc(x->q->arena, ep->n_series);
    if (!ep->masks)
        return query_full(x->q, err);
    for (uint32_t i = 0; i < ep->n_series; i++) {
        const struct part_series *s = part_series(p, i);
        TRY(query_alive(x->q, err));
        ep->masks[i] = (uint8_t)(series_match(s, sel, &x->scratch) &
                                 atomic_load_explicit(&s->types_seen, memory_order_relaxed));
        *ret_any |= ep->masks[i] != 0;
    }
    return ST_OK;
}

static enum status open_view(
    struct exec *x, const struct store_view *v, const struct selector *sel, struct error *err)
{
    for (uint32_t i = 0; i < v->n; i++) {
        struct exec_part ep, *slot;
        bool any;
        TRY(query_alive(x->q, err));
        TRY(match_part(x, v->parts[i], sel, &ep, &any, err));
        if (!any)
            continue;
        slot = VEC_PUSH(x->q->arena, x->parts);
        if (!slot)
            return query_full(x->q, err);
        *slot = ep;
    }
    return ST_OK;
}

/* The service that the selector is about, or the empty text: the store need not look at others. */
static struct str one_service(const struct selector *sel)
{
    for (uint32_t i = 0; i < sel->n; i++) {
        const struct matcher *m = &sel->v[i];
        if (m->op == MATCH_EQ &&
            (str_eq(m->name, STR("service_name")) || label_kind(m->name) == LABEL_SERVICE))
            return m->value;
    }
    return STR_EMPTY;
}

enum status exec_open(struct exec *x, struct query *q, int64_t from_ns, int64_t until_ns,
    const struct selector *sel, const struct id_filter *ids, struct error *err)
{
    *x = (struct exec){.q = q, .from_ns = from_ns, .until_ns = until_ns, .ids = ids};
    buf_init(&x->scratch, LABEL_TEXT_MAX);
    ASSERT(q->reserved == 0);
    q->reserved = query_left(q) / 4;
    q->arena->limit -= q->reserved;
    arena_init(&x->rows, q->reserved);
    if (from_ns >= until_ns)
        return ST_OK;
    x->views = ARENA_ZARRAY(q->arena, const struct store_view *, q->n_tenants);
    if (!x->views)
        return query_full(q, err);
    struct str service = one_service(sel);
    for (; x->n_views < q->n_tenants; x->n_views++)
        TRY(store_view_acquire(q->store, q->tenants[x->n_views], service, from_ns, until_ns,
            &x->views[x->n_views], err));
    for (uint32_t i = 0; i < x->n_views; i++)
        TRY(open_view(x, x->views[i], sel, err));
    return ST_OK;
}

void exec_close(struct exec *x)
{
    if (!x->q)
        return;
    exec_leave(x);
    for (uint32_t i = 0; i < x->n_views; i++)
        store_view_release(x->q->store, x->views[i]);
    x->q->arena->limit += x->q->reserved;
    x->q->reserved = 0;
    arena_done(&x->rows);
    buf_done(&x->scratch);
    *x = (struct exec){0};
}

/* Rows */

/* Neighbouring rows are often of one upload, so the last answer is kept. */
struct profile_check {
    uint64_t seq;
    bool known, wanted;
};

static bool wanted_profile(struct exec *x, struct profile_check *last, uint64_t seq)
{
    if (!x->ids || x->ids->n_profiles == 0)
        return true;
    if (!last->known || last->seq != seq) {
        char uuid[37];
        store_profile_id(x->q->store, seq, uuid);
        *last = (struct profile_check){seq, true, ids_has_profile(x->ids, uuid)};
    }
    return last->wanted;
}

static bool in_range(const struct exec *x, const struct part_slot *s)
{
    return s->time_min < x->until_ns && s->time_max >= x->from_ns;
}

enum status exec_slot_enter(struct exec *x, const struct exec_part *ep, uint32_t slot,
    const struct part **ret_rows, uint32_t *ret_n, struct error *err)
{
    const struct part_slot s = part_slot(ep->part, slot);
    bool covered = ep->covered && keep_has(ep->covered, slot);
    ASSERT(!x->slot);
    *ret_n = 0;
    if (covered || !in_range(x, &s))
        return ST_OK;
    TRY(store_slot_enter(x->q->store, ep->part, slot,
        x->entered == ep ? STORE_SAMPLES : STORE_TOTALS, &x->slot, err));
    *ret_rows = x->slot;
    if (x->slot)
        *ret_n = ep->part->slots ? part_rows(x->slot) : ep->n_rows;
    return ST_OK;
}

void exec_slot_leave(struct exec *x)
{
    if (x->slot)
        store_part_leave(x->q->store, x->slot);
    x->slot = NULL;
}

static enum status slot_rows(struct exec *x, const struct exec_part *ep, const struct part *rows,
    uint32_t n, exec_row_fn fn, void *ctx, struct error *err)
{
    struct profile_check last = {0};
    for (uint32_t i = 0; i < n; i++) {
        TRY(query_alive(x->q, err));
        const struct part_row *row = part_row(rows, i);
        if (row->time_ns < x->from_ns || row->time_ns >= x->until_ns)
            continue;
        ASSERT(row->series < ep->n_series);
        uint32_t mask = ep->masks[row->series];
        if (!mask || !wanted_profile(x, &last, row->seq))
            continue;
        for (uint32_t k = 0; mask >> k; k++)
            if (mask >> k & 1 && row->totals[k] > 0) {
                x->row = i;
                TRY(fn(ctx, ep, row, k, err));
            }
    }
    return ST_OK;
}

enum status exec_rows(
    struct exec *x, const struct exec_part *ep, exec_row_fn fn, void *ctx, struct error *err)
{
    enum status st = ST_OK;
    for (uint32_t i = 0; i < part_n_slots(ep->part) && st == ST_OK; i++) {
        const struct part *rows = NULL;
        uint32_t n;
        st = exec_slot_enter(x, ep, i, &rows, &n, err);
        if (st == ST_OK)
            st = slot_rows(x, ep, rows, n, fn, ctx, err);
        exec_slot_leave(x);
    }
    return st;
}

static enum status note_row(void *ctx, const struct exec_part *ep, const struct part_row *row,
    uint32_t k, struct error *err)
{
    bool *any = ctx;
    (void)ep;
    (void)row;
    (void)k;
    (void)err;
    *any = true;
    return ST_OK;
}

/* Whether a row would be given to exec_rows' function. Of a slot that lies in the range as a whole
 * that goes without saying, unless a profile is looked for: rows are cheaper than stacks. */
static enum status any_rows(
    struct exec *x, const struct exec_part *ep, bool *ret_any, struct error *err)
{
    bool by_id = x->ids && x->ids->n_profiles;
    *ret_any = false;
    for (uint32_t i = 0; i < part_n_slots(ep->part) && !by_id && !*ret_any; i++) {
        const struct part_slot s = part_slot(ep->part, i);
        *ret_any = s.time_min >= x->from_ns && s.time_max < x->until_ns &&
                   !(ep->covered && keep_has(ep->covered, i));
    }
    return *ret_any ? ST_OK : exec_rows(x, ep, note_row, ret_any, err);
}

enum status exec_enter(struct exec *x, struct exec_part *ep, bool *ret_any, struct error *err)
{
    const struct part *stacks = NULL;
    ASSERT(!x->entered);
    TRY(any_rows(x, ep, ret_any, err));
    if (!*ret_any)
        return ST_OK;
    TRY(store_part_enter(x->q->store, ep->part, &stacks, err));
    *ret_any = stacks != NULL;
    if (!stacks)
        return ST_OK;
    x->light = ep->part;
    x->entered = ep;
    ep->part = stacks;
    ep->n_nodes = part_nodes(stacks);
    return ST_OK;
}

void exec_leave(struct exec *x)
{
    exec_slot_leave(x);
    if (!x->entered)
        return;
    store_part_leave(x->q->store, x->entered->part);
    x->entered->part = x->light;
    x->entered = NULL;
}

/* Sums */

struct sum_ctx {
    struct exec *x;
    int64_t *sums;
    uint8_t *marks;  /* per row of a slot with groups: bit k, type k is wanted */
    uint8_t *wanted; /* per row of a group */
    uint32_t cap;    /* of both */
    bool any;
};

enum status exec_row_samples(struct exec *x, const struct exec_part *ep, const struct part_row *row,
    uint32_t k, struct samples *ret, struct error *err)
{
    arena_reset(&x->rows);
    *ret = (struct samples){0};
    if (!row->bytes)
        return ST_OK;
    uint32_t n_types = part_series(ep->part, row->series)->n_types;
    TRY(query_status(x->q,
        samples_decode(str_make(row->bytes, row->n_bytes), n_types, k, &x->rows, ret, err), err));
    for (uint32_t i = 0; i < ret->n; i++)
        if (ret->nodes[i] >= ep->n_nodes)
            FAIL(err, ST_DATA_LOSS, "a row refers to a stack that is not there");
    return ST_OK;
}

static enum status sum_by_id(struct sum_ctx *c, const struct exec_part *ep,
    const struct part_row *row, uint32_t k, struct error *err)
{
    struct samples s;
    TRY(exec_row_samples(c->x, ep, row, k, &s, err));
    for (uint32_t i = 0; i < s.n; i++) {
        if (!ids_has_sample(c->x->ids, &s, i))
            continue;
        int64_t *sum = &c->sums[s.nodes[i]];
        if (__builtin_add_overflow(*sum, s.values[i], sum))
            return query_overflow(err);
        c->any = true;
    }
    return ST_OK;
}

static enum status sum_row(void *ctx, const struct exec_part *ep, const struct part_row *row,
    uint32_t k, struct error *err)
{
    struct sum_ctx *c = ctx;
    const struct id_filter *ids = c->x->ids;
    query_work(c->x->q, row->n_samples / SAMPLES_PER_CHECK);
    if (ids && (ids->n_spans || ids->n_traces))
        return sum_by_id(c, ep, row, k, err);
    c->any = true;
    if (!row->bytes) {
        c->marks[c->x->row] |= (uint8_t)(1u << k);
        return ST_OK;
    }
    uint32_t n_types = part_series(ep->part, row->series)->n_types;
    return query_status(c->x->q,
        samples_sum(str_make(row->bytes, row->n_bytes), n_types, k, c->sums, ep->n_nodes, err),
        err);
}

static enum status sum_group(
    struct sum_ctx *c, const struct exec_part *ep, const struct part_group *g, struct error *err)
{
    uint32_t types = 0;
    for (uint32_t i = 0; i < g->n_rows; i++)
        types |= c->marks[g->rows[i]];
    for (uint32_t k = 0; types >> k; k++) {
        if (!(types >> k & 1))
            continue;
        for (uint32_t i = 0; i < g->n_rows; i++)
            c->wanted[i] = c->marks[g->rows[i]] >> k & 1;
        TRY(query_alive(c->x->q, err));
        TRY(query_status(c->x->q,
            stack_group_sum(
                g->bytes, c->wanted, g->n_rows, g->n_types, k, c->sums, ep->n_nodes, err),
            err));
    }
    return ST_OK;
}

static enum status make_marks(struct sum_ctx *c, uint32_t n, struct error *err)
{
    if (n > c->cap) {
        c->cap = MAX(n, c->cap * 2);
        c->marks = arena_alloc(c->x->q->arena, c->cap);
        c->wanted = arena_alloc(c->x->q->arena, c->cap);
    }
    if (!c->marks || !c->wanted)
        return query_full(c->x->q, err);
    memset(c->marks, 0, n);
    return ST_OK;
}

static enum status sum_slot(
    struct sum_ctx *c, const struct exec_part *ep, uint32_t slot, struct error *err)
{
    const struct part *rows = NULL;
    uint32_t n;
    TRY(exec_slot_enter(c->x, ep, slot, &rows, &n, err));
    if (n == 0)
        return ST_OK;
    if (rows->n_groups)
        TRY(make_marks(c, n, err));
    TRY(slot_rows(c->x, ep, rows, n, sum_row, c, err));
    for (uint32_t i = 0; i < rows->n_groups; i++)
        TRY(sum_group(c, ep, &rows->groups[i], err));
    return ST_OK;
}

static enum status sum_slots(struct sum_ctx *c, const struct exec_part *ep, struct error *err)
{
    enum status st = ST_OK;
    for (uint32_t i = 0; i < part_n_slots(ep->part) && st == ST_OK; i++) {
        st = sum_slot(c, ep, i, err);
        exec_slot_leave(c->x);
    }
    return st;
}

enum status exec_keep(struct exec *x, const struct exec_part *ep, const struct frame_rules *rules,
    uint8_t **ret_keep, struct error *err)
{
    *ret_keep = arena_alloc(x->q->arena, (size_t)ep->n_nodes / 8 + 1);
    if (!*ret_keep)
        return query_full(x->q, err);
    arena_reset(&x->rows);
    return frame_rules_keep(x->q, rules, ep, &x->rows, *ret_keep, err);
}

static enum status clear_sums(
    struct exec *x, struct exec_sums *sums, uint32_t n_nodes, struct error *err)
{
    if (n_nodes > sums->cap) {
        sums->cap = MAX(n_nodes, sums->cap + sums->cap / 2);
        sums->v = ARENA_ARRAY(x->q->arena, int64_t, sums->cap);
        if (!sums->v)
            return query_full(x->q, err);
    }
    memset(sums->v, 0, (size_t)n_nodes * sizeof *sums->v);
    return ST_OK;
}

enum status exec_sum_part(struct exec *x, const struct exec_part *ep,
    const struct frame_rules *rules, struct exec_sums *sums, struct error *err)
{
    uint8_t *keep;
    TRY(clear_sums(x, sums, ep->n_nodes, err));
    struct sum_ctx c = {.x = x, .sums = sums->v};
    TRY(sum_slots(&c, ep, err));
    sums->any = c.any;
    if (!c.any || !rules->any)
        return ST_OK;
    TRY(exec_keep(x, ep, rules, &keep, err));
    for (uint32_t i = 0; i < ep->n_nodes; i++)
        if (!keep_has(keep, i))
            sums->v[i] = 0;
    return ST_OK;
}
