/* Epochs and datasets: see epoch_int.h.
 *
 * Who may touch what: workers intern and append under a dataset's lock; the committer publishes
 * without it, in the order of the log, by release stores of counts; readers look only below those
 * counts. A dataset is never removed from its epoch; an epoch goes with its last reference. */
#include "store/epoch_int.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"

struct epoch *epoch_new(uint64_t no)
{
    struct epoch *ep = NEW(struct epoch);
    ep->no = no;
    ep->refs = 1;
    ep->begun_mono_ns = clock_mono_ns();
    mutex_init(&ep->lock, "store.epoch", RANK_STORE);
    idmap_init(&ep->tenant_ids, &ep->index_bytes);
    segvec_init(&ep->tenants, sizeof(struct tenant_use *), DATASETS_MAX, &ep->index_bytes);
    idmap_init(&ep->dataset_ids, &ep->index_bytes);
    segvec_init(&ep->datasets, sizeof(struct dataset *), DATASETS_MAX, &ep->index_bytes);
    return ep;
}

struct epoch *epoch_ref(struct epoch *ep)
{
    atomic_fetch_add_explicit(&ep->refs, 1, memory_order_relaxed);
    return ep;
}

void dataset_free(struct dataset *ds)
{
    if (!ds)
        return;
    idmap_done(&ds->series_ids);
    symtab_done(&ds->part.sym);
    segvec_done(&ds->part.series);
    segvec_done(&ds->part.rows);
    arena_done(&ds->memory);
    mutex_done(&ds->lock);
    mem_free(ds);
}

void epoch_unref(struct epoch *ep)
{
    if (!ep || atomic_fetch_sub_explicit(&ep->refs, 1, memory_order_acq_rel) > 1)
        return;
    for (uint32_t i = 0; i < ep->n_datasets; i++)
        dataset_free(epoch_dataset(ep, i));
    for (uint32_t i = 0; i < ep->tenants.n; i++)
        mem_free(*SEGVEC_AT(&ep->tenants, struct tenant_use *, i));
    segvec_done(&ep->tenants);
    idmap_done(&ep->tenant_ids);
    segvec_done(&ep->datasets);
    idmap_done(&ep->dataset_ids);
    mutex_done(&ep->lock);
    mem_free(ep);
}

static struct tenant_use *find_tenant(const struct epoch *ep, struct str tenant)
{
    uint32_t i;
    struct idmap_probe p = idmap_start(&ep->tenant_ids, hash_str(tenant));
    while (idmap_next(&ep->tenant_ids, &p, &i)) {
        struct tenant_use *use = *SEGVEC_AT(&ep->tenants, struct tenant_use *, i);
        if (str_eq(use->tenant, tenant))
            return use;
    }
    return NULL;
}

/* The name is stored behind the struct. There are at most as many tenants as datasets. */
static struct tenant_use *get_tenant(struct epoch *ep, struct str tenant)
{
    struct tenant_use *use = find_tenant(ep, tenant);
    if (use)
        return use;
    use = mem_new(sizeof *use + tenant.n);
    char *name = (char *)(use + 1);
    if (tenant.n)
        memcpy(name, tenant.p, tenant.n);
    use->tenant = str_make(name, tenant.n);
    struct tenant_use **slot = segvec_push(&ep->tenants);
    ASSERT(slot);
    *slot = use;
    ASSERT(idmap_put(&ep->tenant_ids, hash_str(use->tenant), ep->tenants.n - 1));
    return use;
}

struct tenant_use *epoch_tenant_find(struct epoch *ep, struct str tenant, uint32_t *ret_tenants)
{
    mutex_lock(&ep->lock);
    struct tenant_use *use = find_tenant(ep, tenant);
    if (ret_tenants)
        *ret_tenants = ep->tenants.n;
    mutex_unlock(&ep->lock);
    return use;
}

struct dataset *dataset_new(struct epoch *ep, uint32_t id, struct str tenant, struct str service)
{
    struct dataset *ds = mem_new(sizeof *ds);
    ds->epoch = ep;
    ds->use = ep ? get_tenant(ep, tenant) : NULL;
    ds->id = id;
    arena_init(&ds->memory, SIZE_MAX);
    mutex_init(&ds->lock, "store.dataset", RANK_DATASET);
    idmap_init(&ds->series_ids, &ds->index_bytes);
    struct part *p = &ds->part;
    p->tenant = arena_str(&ds->memory, tenant);
    p->service = arena_str(&ds->memory, service);
    p->epoch = ep ? ep->no : 0;
    symtab_init(&p->sym);
    ASSERT(symtab_string(&p->sym, STR("__name__")) == DATASET_STRING_NAME &&
           symtab_string(&p->sym, STR("service_name")) == DATASET_STRING_SERVICE_NAME);
    symtab_string(&p->sym, service);
    segvec_init(&p->series, sizeof(struct part_series), SERIES_MAX, &ds->index_bytes);
    segvec_init(&p->rows, sizeof(struct part_row), ROWS_MAX, &ds->index_bytes);
    p->time_min = INT64_MAX;
    p->time_max = INT64_MIN;
    ds->logged.sym = symtab_counts(&p->sym);
    p->n_nodes_published = ds->logged.sym.nodes;
    dataset_charge(ds);
    return ds;
}

static struct dataset *find_dataset(
    const struct epoch *ep, uint64_t hash, struct str tenant, struct str service)
{
    uint32_t id;
    struct idmap_probe p = idmap_start(&ep->dataset_ids, hash);
    while (idmap_next(&ep->dataset_ids, &p, &id)) {
        struct dataset *d = epoch_dataset(ep, id);
        if (str_eq(d->part.tenant, tenant) && str_eq(d->part.service, service))
            return d;
    }
    return NULL;
}

static uint64_t dataset_hash(struct str tenant, struct str service)
{
    return hash_u64(hash_str(tenant), hash_str(service));
}

struct dataset *epoch_dataset_find(struct epoch *ep, struct str tenant, struct str service)
{
    mutex_lock(&ep->lock);
    struct dataset *ds = find_dataset(ep, dataset_hash(tenant, service), tenant, service);
    mutex_unlock(&ep->lock);
    return ds;
}

static struct dataset *make_dataset(
    struct epoch *ep, uint64_t hash, struct str tenant, struct str service)
{
    struct dataset **slot = segvec_push(&ep->datasets);
    if (!slot)
        return NULL;
    struct dataset *ds = *slot = dataset_new(ep, ep->datasets.n - 1, tenant, service);
    ASSERT(idmap_put(&ep->dataset_ids, hash, ds->id));
    atomic_fetch_add(&ds->use->services, 1);
    atomic_store_explicit(&ep->n_datasets, ep->datasets.n, memory_order_release);
    return ds;
}

struct dataset *epoch_dataset_get_within(struct epoch *ep, struct str tenant, struct str service,
    uint32_t services_max, uint32_t tenants_max)
{
    uint64_t h = dataset_hash(tenant, service);
    mutex_lock(&ep->lock);
    struct dataset *ds = find_dataset(ep, h, tenant, service);
    const struct tenant_use *use = ds ? ds->use : find_tenant(ep, tenant);
    if (!ds && (use ? use->services < services_max : ep->tenants.n < tenants_max))
        ds = make_dataset(ep, h, tenant, service);
    mutex_unlock(&ep->lock);
    return ds;
}

struct dataset *epoch_dataset_get(struct epoch *ep, struct str tenant, struct str service)
{
    return epoch_dataset_get_within(ep, tenant, service, UINT32_MAX, UINT32_MAX);
}

struct marks dataset_marks(const struct dataset *ds)
{
    return (struct marks){symtab_counts(&ds->part.sym), ds->part.series.n, ds->part.rows.n};
}

static struct part_type type_of(const struct symtab *sym, const uint32_t *ids)
{
    return (struct part_type){sym_string(sym, ids[0]), sym_string(sym, ids[1])};
}

static bool series_fill(struct dataset *ds, struct part_series *s, const uint32_t *ids,
    uint32_t n_labels, uint32_t n_types)
{
    const struct symtab *sym = &ds->part.sym;
    uint32_t n_ids = 2 * (n_labels + n_types + 1);
    uint32_t *own = ARENA_ARRAY(&ds->memory, uint32_t, n_ids);
    struct label *labels = ARENA_ARRAY(&ds->memory, struct label, n_labels);
    if (!own || !labels)
        return false;
    memcpy(own, ids, n_ids * sizeof *ids);
    for (uint32_t i = 0; i < n_labels; i++)
        labels[i] = (struct label){sym_string(sym, ids[2 * i]), sym_string(sym, ids[2 * i + 1])};
    s->labels = labels;
    s->n_labels = n_labels;
    s->n_types = n_types;
    for (uint32_t k = 0; k < n_types; k++)
        s->types[k] = type_of(sym, ids + 2 * (n_labels + k));
    s->period = type_of(sym, ids + 2 * (n_labels + n_types));
    s->ids = own;
    return true;
}

static uint64_t series_hash(const uint32_t *ids, uint32_t n_labels, uint32_t n_types)
{
    return hash_u64(hash_bytes(ids, 2 * (n_labels + n_types + 1) * sizeof *ids), n_types);
}

static uint32_t find_series(const struct dataset *ds, uint64_t hash, const uint32_t *ids,
    uint32_t n_labels, uint32_t n_types)
{
    uint32_t id;
    struct idmap_probe p = idmap_start(&ds->series_ids, hash);
    while (idmap_next(&ds->series_ids, &p, &id)) {
        const struct part_series *s = part_series(&ds->part, id);
        if (s->n_labels == n_labels && s->n_types == n_types &&
            memcmp(s->ids, ids, part_series_n_ids(s) * sizeof *ids) == 0)
            return id;
    }
    return UINT32_MAX;
}

bool dataset_has_series(
    const struct dataset *ds, const uint32_t *ids, uint32_t n_labels, uint32_t n_types)
{
    uint64_t h = series_hash(ids, n_labels, n_types);
    return find_series(ds, h, ids, n_labels, n_types) != UINT32_MAX;
}

uint32_t dataset_series(
    struct dataset *ds, const uint32_t *ids, uint32_t n_labels, uint32_t n_types, bool index)
{
    ASSERT(n_types >= 1 && n_types <= SAMPLE_TYPES_MAX);
    uint64_t h = index ? series_hash(ids, n_labels, n_types) : 0;
    uint32_t id = index ? find_series(ds, h, ids, n_labels, n_types) : UINT32_MAX;
    if (id != UINT32_MAX)
        return id;
    struct part_series *s = segvec_push(&ds->part.series);
    if (!s)
        return UINT32_MAX;
    id = ds->part.series.n - 1;
    if (!series_fill(ds, s, ids, n_labels, n_types) ||
        (index && !idmap_put(&ds->series_ids, h, id))) {
        ds->part.series.n--;
        return UINT32_MAX;
    }
    if (ds->use)
        atomic_fetch_add(&ds->use->series, 1);
    return id;
}

bool dataset_row(struct dataset *ds, const struct part_row *row)
{
    uint8_t *bytes = arena_alloc(&ds->memory, row->n_bytes);
    struct part_row *r = bytes ? segvec_push(&ds->part.rows) : NULL;
    if (!r)
        return false;
    *r = *row;
    memcpy(bytes, row->bytes, row->n_bytes);
    r->bytes = bytes;
    return true;
}

size_t dataset_growth(const struct dataset *ds, uint32_t rows)
{
    return segvec_growth(&ds->part.rows, rows) + segvec_growth(&ds->part.series, rows) +
           idmap_growth(&ds->series_ids, rows) + ds->memory.next;
}

void dataset_charge(struct dataset *ds)
{
    size_t now = sizeof *ds + ds->index_bytes + ds->memory.used + ds->part.sym.bytes;
    if (ds->epoch) {
        atomic_fetch_add(&ds->epoch->bytes, now - ds->charged);
        atomic_fetch_add(&ds->use->bytes, now - ds->charged);
    }
    ds->charged = now;
}

void dataset_seal(struct dataset *ds)
{
    mutex_lock(&ds->lock);
    symtab_seal(&ds->part.sym);
    idmap_done(&ds->series_ids);
    dataset_charge(ds);
    mutex_unlock(&ds->lock);
}

void dataset_publish(struct dataset *ds, const struct marks *to)
{
    struct part *p = &ds->part;
    int64_t time_min = atomic_load_explicit(&p->time_min, memory_order_relaxed);
    int64_t time_max = atomic_load_explicit(&p->time_max, memory_order_relaxed);
    for (uint32_t i = atomic_load_explicit(&p->n_rows_published, memory_order_relaxed);
         i < to->rows; i++) {
        const struct part_row *r = part_row(p, i);
        struct part_series *s = part_series(p, r->series);
        uint32_t seen = 0;
        for (uint32_t k = 0; k < s->n_types; k++)
            seen |= (uint32_t)(r->totals[k] > 0) << k;
        atomic_fetch_or_explicit(&s->types_seen, seen, memory_order_relaxed);
        time_min = MIN(time_min, r->time_ns);
        time_max = MAX(time_max, r->time_ns);
    }
    /* Release each: a reader may combine an older count of rows with newer ones of the others. */
    atomic_store_explicit(&p->time_min, time_min, memory_order_relaxed);
    atomic_store_explicit(&p->time_max, time_max, memory_order_relaxed);
    atomic_store_explicit(&p->n_nodes_published, to->sym.nodes, memory_order_release);
    atomic_store_explicit(&p->n_series_published, to->series, memory_order_release);
    atomic_store_explicit(&p->n_rows_published, to->rows, memory_order_release);
}
