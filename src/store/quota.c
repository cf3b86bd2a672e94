/* What one tenant may have: see store_quota in store.h.
 *
 *     admit (gate only) ─► datasets are made ─► reserve (dataset locks) ─► rows ─► release
 *
 * An epoch counts per tenant (struct tenant_use): services when a dataset is made, series when one
 * is added, live or by replay; appends in flight add what they may still make to series_coming. So
 * the sum is never below what will be there, and a limit is never passed.
 *
 * Counting the new series of a request exactly costs a look-up per row and is done only near the
 * limit: far from it the bound "one per row and block of sample types" is enough. Nothing is
 * interned before the reservation stands, so refused uploads leave nothing behind; the one
 * exception is a dataset without rows, when an upload brings a new service and fails for the series
 * of another one, and it counts as a service until the cut.
 *
 * Threads: any, as store_append. Failure: ST_RESOURCE_EXHAUSTED, with q->refused set. */
#include "store/store_int.h"

#include <inttypes.h>

#include "base/hash.h"

static enum status full(struct quota *q)
{
    FAIL(q->err, ST_RESOURCE_EXHAUSTED, "out of memory for one upload");
}

static uint32_t bound32(uint64_t max)
{
    return max == 0 || max > UINT32_MAX ? UINT32_MAX : (uint32_t)max;
}

static uint32_t blocks_of_types(const struct store_row *row)
{
    return (row->prof->n_types + SAMPLE_TYPES_MAX - 1) / SAMPLE_TYPES_MAX;
}

static uint64_t series_bound(const struct store_row *rows, uint32_t n_rows)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < n_rows; i++)
        n += blocks_of_types(&rows[i]);
    return n;
}

static enum status refuse_series(struct quota *q, uint64_t now, uint64_t more)
{
    q->refused = STORE_REFUSED_SERIES;
    FAIL(q->err, ST_RESOURCE_EXHAUSTED,
        "too many active series: %" PRIu64 " more would exceed the limit, current: %" PRIu64
        ", limit: %" PRIu64 " (max_active_series)",
        more, now, q->limit.series_max);
}

static enum status refuse_services(struct quota *q, uint64_t now, uint64_t more)
{
    q->refused = STORE_REFUSED_SERVICES;
    FAIL(q->err, ST_RESOURCE_EXHAUSTED,
        "too many active services: %" PRIu64 " more would exceed the limit, current: %" PRIu64
        ", limit: %" PRIu64 " (max_active_services)",
        more, now, q->limit.services_max);
}

static enum status refuse_tenant(struct quota *q, uint32_t now)
{
    q->refused = STORE_REFUSED_TENANTS;
    FAIL(q->err, ST_RESOURCE_EXHAUSTED,
        "too many active tenants: %.*s would be one more, current: %u, limit: %u "
        "(store.max-tenants)",
        STR_ARG(q->tenant), now, q->s->cfg.tenants_max);
}

/* Rows that would make a series, each label set with the same types once. */
struct fresh {
    struct idmap seen;
    const struct store_row **v;
    uint32_t n;
    uint64_t series;
};

static bool same_types(const struct profile *a, const struct profile *b)
{
    if (a == b)
        return true;
    if (a->n_types != b->n_types || !str_eq(a->period_type.type, b->period_type.type) ||
        !str_eq(a->period_type.unit, b->period_type.unit))
        return false;
    for (uint32_t k = 0; k < a->n_types; k++)
        if (!str_eq(a->types[k].type, b->types[k].type) ||
            !str_eq(a->types[k].unit, b->types[k].unit))
            return false;
    return true;
}

static bool fresh_add(struct fresh *f, const struct store_row *row, uint32_t series)
{
    uint64_t h = labels_hash(row->labels);
    struct idmap_probe p = idmap_start(&f->seen, h);
    for (uint32_t i; idmap_next(&f->seen, &p, &i);)
        if (labels_eq(f->v[i]->labels, row->labels) && same_types(f->v[i]->prof, row->prof))
            return true;
    f->v[f->n] = row;
    f->series += series;
    return idmap_put(&f->seen, h, f->n++);
}

/* The ids of one block of the row's types in ds; false: a string of it is not there. */
static bool find_ids(const struct symtab *sym, const struct store_row *row, uint32_t first,
    uint32_t n, uint32_t *ids)
{
    uint32_t at = 0;
    const struct profile *p = row->prof;
    for (uint32_t i = 0; i < row->labels.n; i++) {
        ids[at++] = symtab_find_string(sym, row->labels.v[i].name);
        ids[at++] = symtab_find_string(sym, row->labels.v[i].value);
    }
    for (uint32_t k = first; k < first + n; k++) {
        ids[at++] = symtab_find_string(sym, p->types[k].type);
        ids[at++] = symtab_find_string(sym, p->types[k].unit);
    }
    ids[at++] = symtab_find_string(sym, p->period_type.type);
    ids[at++] = symtab_find_string(sym, p->period_type.unit);
    for (uint32_t i = 0; i < at; i++)
        if (ids[i] == SYM_NONE)
            return false;
    return true;
}

/* How many series the row would add to ds; UINT32_MAX: no memory. */
static uint32_t missing_in(struct quota *q, const struct dataset *ds, const struct store_row *row)
{
    uint32_t missing = 0, n_types = row->prof->n_types;
    for (uint32_t first = 0; first < n_types; first += SAMPLE_TYPES_MAX) {
        uint32_t n = MIN((uint32_t)SAMPLE_TYPES_MAX, n_types - first);
        uint32_t *ids = ARENA_ARRAY(q->arena, uint32_t, 2 * ((size_t)row->labels.n + n + 1));
        if (!ids)
            return UINT32_MAX;
        if (!find_ids(&ds->part.sym, row, first, n, ids) ||
            !dataset_has_series(ds, ids, row->labels.n, n))
            missing++;
    }
    return missing;
}

static enum status fresh_begin(struct quota *q, struct fresh *f, uint32_t n_rows)
{
    *f = (struct fresh){.v = ARENA_ARRAY(q->arena, const struct store_row *, n_rows)};
    idmap_init(&f->seen, NULL);
    return f->v ? ST_OK : full(q);
}

static bool series_fit(const struct quota *q, uint64_t more, uint64_t *ret_now)
{
    *ret_now = q->use ? atomic_load(&q->use->series) + atomic_load(&q->use->series_coming) : 0;
    return q->limit.series_max == 0 || *ret_now + more <= q->limit.series_max;
}

/* ── before datasets are made ── */

/* Texts, each once. */
struct names {
    struct {
        struct str *v;
        uint32_t n, cap;
    } list;
    struct idmap ids;
};

static bool names_add(struct names *names, struct arena *arena, struct str name)
{
    uint64_t hash = hash_str(name);
    uint32_t id;
    struct idmap_probe p = idmap_start(&names->ids, hash);
    while (idmap_next(&names->ids, &p, &id))
        if (str_eq(names->list.v[id], name))
            return true;
    struct str *slot = VEC_PUSH(arena, names->list);
    if (!slot)
        return false;
    *slot = name;
    return idmap_put(&names->ids, hash, names->list.n - 1);
}

/* Rows of services that are not there, and how many services these are. */
static enum status new_services(struct quota *q, const struct store_row *rows, uint32_t n_rows,
    struct fresh *ret_fresh, uint32_t *ret_n)
{
    struct names names = {0};
    struct str last = {0};
    bool is_new = false, fits = true;
    idmap_init(&names.ids, NULL);
    for (uint32_t i = 0; i < n_rows && fits; i++) {
        struct str service = labels_get(rows[i].labels, STR("service_name"));
        bool other = i == 0 || !str_eq(service, last);
        if (other)
            is_new = !epoch_dataset_find(q->s->epoch, q->tenant, service);
        if (is_new)
            fits = (!other || names_add(&names, q->arena, service)) &&
                   fresh_add(ret_fresh, &rows[i], blocks_of_types(&rows[i]));
        last = service;
    }
    *ret_n = names.list.n;
    idmap_done(&names.ids);
    return fits ? ST_OK : full(q);
}

/* The tenant's bytes over all epochs in memory. */
static enum status count_bytes(struct quota *q)
{
    uint32_t n;
    struct epoch **v = store_epochs_hold(q->s, q->arena, &n);
    if (!v)
        return full(q);
    for (uint32_t i = 0; i < n; i++) {
        const struct tenant_use *use = epoch_tenant_find(v[i], q->tenant, NULL);
        if (use)
            q->head_bytes += atomic_load(&use->bytes);
    }
    store_epochs_release(v, n);
    if (q->head_bytes > q->limit.head_bytes_max / 2)
        atomic_store(&q->s->tenant_half, true);
    return ST_OK;
}

static enum status check_new(struct quota *q, const struct store_row *rows, uint32_t n_rows)
{
    struct fresh f;
    uint32_t services = 0;
    uint64_t now = q->use ? atomic_load(&q->use->services) : 0;
    enum status st = fresh_begin(q, &f, n_rows);
    if (st == ST_OK)
        st = new_services(q, rows, n_rows, &f, &services);
    idmap_done(&f.seen);
    TRY(st);
    if (services && q->limit.services_max && now + services > q->limit.services_max)
        return refuse_services(q, now, services);
    if (!series_fit(q, f.series, &now))
        return refuse_series(q, now, f.series);
    return ST_OK;
}

enum status quota_admit(struct quota *q, const struct store_row *rows, uint32_t n_rows)
{
    uint32_t tenants;
    uint64_t now;
    q->use = epoch_tenant_find(q->s->epoch, q->tenant, &tenants);
    if (!q->use && q->s->cfg.tenants_max && tenants >= q->s->cfg.tenants_max)
        return refuse_tenant(q, tenants);
    if (q->limit.head_bytes_max)
        TRY(count_bytes(q));
    TRY(hours_admit(q, rows, n_rows));
    bool roomy = series_fit(q, series_bound(rows, n_rows), &now) &&
                 (!q->limit.services_max ||
                     (q->use ? atomic_load(&q->use->services) : 0) + (uint64_t)n_rows <=
                         q->limit.services_max);
    return roomy ? ST_OK : check_new(q, rows, n_rows);
}

enum status quota_dataset(struct quota *q, struct str service, struct dataset **ret_ds)
{
    uint32_t tenants;
    struct epoch *ep = q->s->epoch;
    struct dataset *ds = epoch_dataset_get_within(
        ep, q->tenant, service, bound32(q->limit.services_max), bound32(q->s->cfg.tenants_max));
    struct tenant_use *use = epoch_tenant_find(ep, q->tenant, &tenants);
    if (!ds && !use)
        return refuse_tenant(q, tenants);
    if (!ds && q->limit.services_max && atomic_load(&use->services) >= q->limit.services_max)
        return refuse_services(q, atomic_load(&use->services), 1);
    if (!ds)
        FAIL(q->err, ST_RESOURCE_EXHAUSTED, "more than %d services", DATASETS_MAX);
    q->use = use;
    *ret_ds = ds;
    return ST_OK;
}

/* ── with the locks ── */

static bool take_series(struct quota *q, uint64_t n, uint64_t *ret_now)
{
    if (n > UINT32_MAX / 2 || !series_fit(q, n, ret_now))
        return false;
    atomic_fetch_add(&q->use->series_coming, (uint32_t)n);
    q->series_coming = (uint32_t)n;
    if (series_fit(q, 0, ret_now))
        return true;
    quota_release(q); /* another append was faster */
    return false;
}

static enum status reserve_exactly(struct quota *q, const struct store_row *rows, uint32_t n_rows,
    struct dataset *(*dataset_of)(const void *ctx, const struct store_row *row), const void *ctx)
{
    struct fresh f;
    uint64_t now = 0;
    enum status st = fresh_begin(q, &f, n_rows);
    for (uint32_t i = 0; i < n_rows && st == ST_OK; i++) {
        uint32_t missing = missing_in(q, dataset_of(ctx, &rows[i]), &rows[i]);
        if (missing == UINT32_MAX || (missing && !fresh_add(&f, &rows[i], missing)))
            st = full(q);
    }
    idmap_done(&f.seen);
    if (st != ST_OK || f.series == 0 || take_series(q, f.series, &now))
        return st;
    return refuse_series(q, now, f.series);
}

enum status quota_reserve(struct quota *q, const struct store_row *rows, uint32_t n_rows,
    struct dataset *(*dataset_of)(const void *ctx, const struct store_row *row), const void *ctx,
    size_t bytes)
{
    uint64_t now;
    if (q->limit.head_bytes_max && q->head_bytes + bytes > q->limit.head_bytes_max) {
        q->refused = STORE_REFUSED_HEAD;
        atomic_store(&q->s->tenant_half, true);
        FAIL(q->err, ST_RESOURCE_EXHAUSTED,
            "too many bytes in memory: %zu more may exceed the tenant's share, current: %zu, "
            "limit: %" PRIu64 " (max_head_bytes); they are written into blocks, try again",
            bytes, q->head_bytes, q->limit.head_bytes_max);
    }
    if (q->limit.series_max && n_rows && !take_series(q, series_bound(rows, n_rows), &now))
        TRY(reserve_exactly(q, rows, n_rows, dataset_of, ctx));
    return hours_open(q);
}

void quota_release(struct quota *q)
{
    if (q->series_coming)
        atomic_fetch_sub(&q->use->series_coming, q->series_coming);
    q->series_coming = 0;
}
