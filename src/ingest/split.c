/* One profile becomes one row per label set (spec/ingest.md §6.12).
 *
 *     samples ─count by label set of the symbols─► used sets ─build, relabel, validate─► groups
 *             ─prefix sum, scatter─► rows (labels, indexes of samples)
 *
 * A final label set is the series' labels plus those labels of the samples that the series does not
 * have; of a name that occurs twice in a sample the first counts. Different sets of the symbols may
 * end as equal sets: they become one group. Spans and traces stay on the samples. All per-sample
 * work is two passes over 32-bit integers; everything else is per distinct label set.
 *
 * Invariants: 1. Every sample is in exactly one row, unless the tenant's rules drop its labels. 2.
 * Label sets of a profile's rows differ.
 * 3. __delta__, __order__ and the type labels count for validation, and are never handed on. 4. One
 * invalid set refuses the whole profile: rows are appended only after all sets were checked.
 *
 * Pure; everything but one hash table is in the request's arena. */
#include "ingest/relabel_int.h"

#include "base/idmap.h"

enum { GROUP_DROPPED = UINT32_MAX };

struct group {
    struct labels labels;
    uint32_t n, first; /* samples, and where they begin in the scattered array */
};

struct split {
    struct ingest_request *rq;
    struct ingest_series *series;
    const struct profile *prof;
    struct label_set base;    /* of the series, after limiting sessions */
    struct label_set sampled; /* scratch: labels of one sample set */
    struct label_set set;     /* scratch: the final set */
    uint32_t *counts;         /* samples by label set of the symbols */
    uint32_t *group_of;       /* group by label set of the symbols */
    struct {
        struct group *v;
        uint32_t n, cap;
    } groups;
    struct idmap by_labels;
    uint32_t n_dropped;   /* samples */
    struct str throttled; /* annotation: a limit is reached, this is one of the few */
};

static enum status split_begin(struct split *sp, struct error *err)
{
    struct arena *arena = sp->rq->arena;
    struct labels from = sp->series->labels;
    uint32_t n_sets = sp->prof->sym->n_labelsets;
    sp->counts = ARENA_ZARRAY(arena, uint32_t, n_sets);
    sp->group_of = ARENA_ARRAY(arena, uint32_t, n_sets);
    sp->base.v = ARENA_ARRAY(arena, struct label, (size_t)from.n + 1);
    if (!sp->counts || !sp->group_of || !sp->base.v)
        return ingest_arena_full(arena, err);
    memcpy(sp->base.v, from.v, from.n * sizeof *from.v);
    sp->base.n = from.n;
    sp->base.cap = from.n + 1;
    ingest_limit_session(&sp->base, arena, sp->rq->limits.sessions_per_series_max);
    bool reached = sp->rq->limits.quota.reached || sp->series->over;
    if (reached && !(sp->throttled = ingest_throttled(sp->rq, sp->series)).p)
        return ingest_arena_full(arena, err);
    for (uint32_t i = 0; i < sp->prof->n_samples; i++)
        sp->counts[sp->prof->samples[i].labelset]++;
    return ST_OK;
}

static bool push_label(struct label_set *set, struct arena *arena, struct label l)
{
    struct label *to = VEC_PUSH(arena, *set);
    if (to)
        *to = l;
    return to != NULL;
}

/* The sample's labels that the series lacks, sorted, the first of each name. */
static bool build_sampled(struct split *sp, struct prof_labelset ls)
{
    const struct prof_symbols *sym = sp->prof->sym;
    struct label_set *out = &sp->sampled;
    out->n = 0;
    for (uint32_t i = 0; i < ls.n; i++) {
        struct prof_label pl = sym->labels[ls.first + i];
        struct label l = {sym->strings[pl.key], sym->strings[pl.value]};
        if (l.value.n == 0 || labels_get(label_set_view(&sp->base), l.name).n)
            continue;
        if (!push_label(out, sp->rq->arena, l))
            return false;
    }
    labels_sort(out->v, out->n);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < out->n; i++)
        if (kept == 0 || !str_eq(out->v[kept - 1].name, out->v[i].name))
            out->v[kept++] = out->v[i];
    out->n = kept;
    return true;
}

/* The built-in rules and the tenant's, in the order that it wants. */
static bool relabel(struct split *sp, bool *ret_keep)
{
    const struct ingest_limits *l = &sp->rq->limits;
    struct arena *arena = sp->rq->arena;
    *ret_keep = true;
    if (l->default_rules == DEFAULT_RULES_FIRST && !ingest_relabel(&sp->set, arena))
        return false;
    if (l->relabel_rules && !relabel_apply(l->relabel_rules, &sp->set, arena, ret_keep))
        return false;
    return l->default_rules != DEFAULT_RULES_LAST || ingest_relabel(&sp->set, arena);
}

/* sp->set = base and sampled merged, both sorted. */
static bool build_set(struct split *sp, struct prof_labelset ls, bool *ret_keep)
{
    struct arena *arena = sp->rq->arena;
    if (!build_sampled(sp, ls))
        return false;
    const struct label_set *a = &sp->base, *b = &sp->sampled;
    uint32_t i = 0, k = 0;
    sp->set.n = 0;
    while (i < a->n || k < b->n) {
        bool take_a = k == b->n || (i < a->n && str_cmp(a->v[i].name, b->v[k].name) < 0);
        if (!push_label(&sp->set, arena, take_a ? a->v[i++] : b->v[k++]))
            return false;
    }
    return relabel(sp, ret_keep);
}

/* The group of the labels in sp->set, made if there is none. */
static enum status find_group(struct split *sp, uint32_t *ret_group, struct error *err)
{
    struct arena *arena = sp->rq->arena;
    struct labels want = label_set_view(&sp->set);
    uint64_t hash = labels_hash(want);
    struct idmap_probe p = idmap_start(&sp->by_labels, hash);
    while (idmap_next(&sp->by_labels, &p, ret_group))
        if (labels_eq(sp->groups.v[*ret_group].labels, want))
            return ST_OK;
    struct group *g = VEC_PUSH(arena, sp->groups);
    struct label *copy = ARENA_ARRAY(arena, struct label, want.n);
    if (!g || !copy || !idmap_put(&sp->by_labels, hash, sp->groups.n - 1))
        return ingest_arena_full(arena, err);
    memcpy(copy, want.v, want.n * sizeof *copy);
    *g = (struct group){.labels = {copy, want.n}};
    *ret_group = sp->groups.n - 1;
    return ST_OK;
}

/* What is consumed here, what the store itself says about each type of a row, and annotations,
 * which are ours. */
static void drop_reserved(struct label_set *set)
{
    static const struct str reserved[] = {{"__delta__", 9}, {"__order__", 9}, {"__type__", 8},
        {"__unit__", 8}, {"__period_type__", 15}, {"__period_unit__", 15}, {"__profile_type__", 16},
        {"__service_name__", 16}};
    uint32_t kept = 0;
    for (uint32_t i = 0; i < set->n; i++) {
        bool drop = label_is_annotation(set->v[i].name);
        for (size_t k = 0; k < ARRAY_LEN(reserved); k++)
            drop = drop || str_eq(set->v[i].name, reserved[k]);
        if (!drop)
            set->v[kept++] = set->v[i];
    }
    set->n = kept;
}

static enum status make_groups(struct split *sp, struct error *err)
{
    const struct prof_symbols *sym = sp->prof->sym;
    for (uint32_t i = 0; i < sym->n_labelsets; i++) {
        if (sp->counts[i] == 0)
            continue;
        bool keep;
        if (!build_set(sp, sym->labelsets[i], &keep))
            return ingest_arena_full(sp->rq->arena, err);
        sp->group_of[i] = GROUP_DROPPED;
        sp->n_dropped += keep ? 0 : sp->counts[i];
        if (!keep)
            continue;
        TRY(ingest_check_labels(sp->rq, &sp->set, &sp->series->reason, err));
        drop_reserved(&sp->set);
        if (sp->throttled.n && !label_set_put(&sp->set, sp->rq->arena,
                                   STR("pyroscope.ingest.throttled"), sp->throttled))
            return ingest_arena_full(sp->rq->arena, err);
        if (sp->series->stripped &&
            !label_set_put(&sp->set, sp->rq->arena, STR("__sampled__"), STR("true")))
            return ingest_arena_full(sp->rq->arena, err);
        TRY(find_group(sp, &sp->group_of[i], err));
        sp->groups.v[sp->group_of[i]].n += sp->counts[i];
    }
    return ST_OK;
}

/* Sample indexes, group after group, rising within a group. */
static uint32_t *scatter(struct split *sp)
{
    uint32_t n = sp->prof->n_samples, at = 0;
    uint32_t *indexes = ARENA_ARRAY(sp->rq->arena, uint32_t, n);
    uint32_t *next = ARENA_ARRAY(sp->rq->arena, uint32_t, sp->groups.n);
    if (!indexes || !next)
        return NULL;
    for (uint32_t g = 0; g < sp->groups.n; g++) {
        sp->groups.v[g].first = next[g] = at;
        at += sp->groups.v[g].n;
    }
    ASSERT(at + sp->n_dropped == n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t group = sp->group_of[sp->prof->samples[i].labelset];
        if (group != GROUP_DROPPED)
            indexes[next[group]++] = i;
    }
    return indexes;
}

static enum status make_rows(struct split *sp, struct error *err)
{
    struct ingest_request *rq = sp->rq;
    uint32_t *indexes = NULL;
    bool all = sp->groups.n == 1 && sp->n_dropped == 0;
    if (!all && !(indexes = scatter(sp)))
        return ingest_arena_full(rq->arena, err);
    uint32_t before = rq->rows.n;
    for (uint32_t g = 0; g < sp->groups.n; g++) {
        struct group *from = &sp->groups.v[g];
        struct store_row *row = VEC_PUSH(rq->arena, rq->rows);
        if (!row) {
            rq->rows.n = before;
            return ingest_arena_full(rq->arena, err);
        }
        *row = (struct store_row){
            from->labels, sp->prof, indexes ? indexes + from->first : NULL, from->n};
    }
    sp->series->first_row = before;
    sp->series->n_rows = sp->groups.n;
    return ST_OK;
}

enum status ingest_split(struct ingest_request *rq, struct ingest_series *s, struct error *err)
{
    struct split sp = {.rq = rq, .series = s, .prof = s->prof};
    idmap_init(&sp.by_labels, NULL);
    enum status st = split_begin(&sp, err);
    if (st == ST_OK)
        st = make_groups(&sp, err);
    if (st == ST_OK && sp.groups.n == 0 && sp.n_dropped)
        ingest_count_dropped(rq, s);
    else if (st == ST_OK)
        st = make_rows(&sp, err);
    idmap_done(&sp.by_labels);
    return st;
}
