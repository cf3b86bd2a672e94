/* Usage groups at work: which a series is in, whether one of them is over its quota, and whether
 * the series is kept (spec/ingest.md §6.4 steps 6 and 7).
 *
 *     labels ─selectors─► names ─┬─► quota: the first group that is over
 *                                ├─► sampling: the smallest probability of all
 *                                └─► metrics, by a bounded set of names
 *
 * A series is in every group whose selector holds, and in `other` when in none. A name with
 * ${labels.x} becomes one by the series' labels; without that label the series is not in the group.
 * Rules are looked up by the name so made, then by the name as written. Where a tenant has neither
 * groups nor rules nothing is done.
 *
 * Made names come from clients, and metrics live as long as the process: of each tenant the first
 * NAMES_MAX are counted by name, further ones, long ones and those of further tenants as
 * `overflow`. Quotas and sampling are not affected.
 *
 * Threads: any; one lock around the set of names, taken for made names only. Failure: a full
 * arena. */
#include "ingest/groups_int.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "base/utf8.h"

enum { NAMES_MAX = 64, TENANTS_MAX = 512, METRIC_NAME_BYTES_MAX = 200 };

/* ── the names that metrics know ── */

struct group_names {
    struct mutex lock;
    struct {
        uint64_t tenant; /* hash; 0: free */
        uint32_t n;
        uint64_t names[NAMES_MAX]; /* hashes */
    } v[TENANTS_MAX];              /* lock; open addressing by the tenant's hash */
};

struct group_names *group_names_new(void)
{
    struct group_names *n = NEW(struct group_names);
    mutex_init(&n->lock, "group_names", RANK_TENANTS);
    return n;
}

void group_names_free(struct group_names *n)
{
    if (!n)
        return;
    mutex_done(&n->lock);
    mem_free(n);
}

/* Whether the name is among the tenant's first ones; true makes it so for ever. */
static bool known_locked(struct group_names *g, uint64_t tenant, uint64_t name)
{
    uint32_t at = (uint32_t)(tenant >> 32) % TENANTS_MAX, tried = 0;
    while (g->v[at].tenant && g->v[at].tenant != tenant && ++tried < TENANTS_MAX)
        at = (at + 1) % TENANTS_MAX;
    if (tried == TENANTS_MAX)
        return false;
    g->v[at].tenant = tenant;
    for (uint32_t i = 0; i < g->v[at].n; i++)
        if (g->v[at].names[i] == name)
            return true;
    if (g->v[at].n == NAMES_MAX)
        return false;
    g->v[at].names[g->v[at].n++] = name;
    return true;
}

static struct str metric_name(struct group_names *g, struct str tenant, struct str name)
{
    bool known = false;
    if (name.n <= METRIC_NAME_BYTES_MAX && utf8_valid(name)) {
        mutex_lock(&g->lock);
        known = known_locked(g, hash_str(tenant) | 1, hash_str(name));
        mutex_unlock(&g->lock);
    }
    return known ? name : STR("overflow");
}

/* ── the groups of a series ── */

static struct str value_of(struct labels labels, struct str name)
{
    struct str v = labels_get(labels, name);
    return v.p ? v : STR_EMPTY;
}

static bool holds(const struct selector *sel, struct labels labels)
{
    for (uint32_t i = 0; i < sel->n; i++)
        if (!matcher_holds(&sel->v[i], value_of(labels, sel->v[i].name)))
            return false;
    return true;
}

/* Empty: a label is missing. p NULL: arena full. */
static struct str made_name(const struct usage_group *g, struct labels labels, struct arena *arena)
{
    size_t n = 0;
    for (uint32_t i = 0; i < g->parts.n; i++) {
        const struct group_part *part = &g->parts.v[i];
        struct str text = part->label ? value_of(labels, part->text) : part->text;
        if (text.n == 0)
            return STR_EMPTY;
        n += text.n;
    }
    char *name = arena_alloc(arena, n), *at = name;
    for (uint32_t i = 0; name && i < g->parts.n; i++) {
        const struct group_part *part = &g->parts.v[i];
        struct str text = part->label ? value_of(labels, part->text) : part->text;
        memcpy(at, text.p, text.n);
        at += text.n;
    }
    return str_make(name, name ? n : 0);
}

static bool add_group(struct ingest_request *rq, const struct usage_group *g,
    struct ingest_series *s, struct ingest_group *v)
{
    struct ingest_group *to = &v[s->n_groups];
    *to = (struct ingest_group){g->name, g->name, g->name};
    if (g->parts.n) {
        to->name = made_name(g, s->labels, rq->arena);
        if (!to->name.p)
            return false;
        if (to->name.n == 0)
            return true;
        for (uint32_t i = 0; i < s->n_groups; i++)
            if (str_eq(v[i].name, to->name))
                return true;
        to->metric = metric_name(rq->group_names, rq->tenant, to->name);
    }
    s->n_groups++;
    return true;
}

bool ingest_groups_find(struct ingest_request *rq, struct ingest_series *s)
{
    const struct ingest_limits *l = &rq->limits;
    if (!l->usage_groups && !l->group_quotas && !l->group_sampling)
        return true;
    uint32_t n = l->usage_groups ? l->usage_groups->groups.n : 0;
    struct ingest_group *v = ARENA_ARRAY(rq->arena, struct ingest_group, (size_t)n + 1);
    if (!v)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const struct usage_group *g = &l->usage_groups->groups.v[i];
        if (holds(&g->selector, s->labels) && !add_group(rq, g, s, v))
            return false;
    }
    if (s->n_groups == 0)
        v[s->n_groups++] = (struct ingest_group){STR("other"), STR("other"), STR("other")};
    s->groups = v;
    return true;
}

/* ── what holds for them ── */

static int rule_order(const void *name, const void *rule)
{
    return str_cmp(*(const struct str *)name, ((const struct group_rule *)rule)->name);
}

static const struct group_rule *find_rule(
    const struct group_rules *rules, const struct ingest_group *g)
{
    const struct group_rule *r = bsearch(
        &g->name, rules->rules.v, rules->rules.n, sizeof *r, rule_order);
    if (!r && !str_eq(g->name, g->written))
        r = bsearch(&g->written, rules->rules.v, rules->rules.n, sizeof *r, rule_order);
    return r;
}

const struct ingest_group *ingest_groups_over(
    const struct ingest_request *rq, const struct ingest_series *s, uint64_t *ret_period_bytes)
{
    const struct group_rules *quotas = rq->limits.group_quotas;
    for (uint32_t i = 0; quotas && i < s->n_groups; i++) {
        const struct group_rule *r = find_rule(quotas, &s->groups[i]);
        if (!r || !r->limit_reached)
            continue;
        *ret_period_bytes = r->period_bytes;
        return &s->groups[i];
    }
    return NULL;
}

double ingest_groups_probability(const struct ingest_request *rq, const struct ingest_series *s,
    const struct ingest_group **ret_group)
{
    const struct group_rules *sampling = rq->limits.group_sampling;
    double smallest = 1;
    for (uint32_t i = 0; sampling && i < s->n_groups; i++) {
        const struct group_rule *r = find_rule(sampling, &s->groups[i]);
        if (!r || r->probability >= smallest)
            continue;
        smallest = r->probability;
        *ret_group = &s->groups[i];
    }
    return smallest;
}

void ingest_groups_received(const struct ingest_request *rq, const struct ingest_series *s)
{
    struct str type = s->n_groups ? ingest_metric_type(rq, s) : STR_EMPTY;
    for (uint32_t i = 0; i < s->n_groups; i++)
        metric_add(M_GROUP_RECEIVED, (double)s->size_bytes, type, rq->tenant, s->groups[i].metric);
}

void ingest_groups_discarded(
    const struct ingest_request *rq, const struct ingest_series *s, struct str reason)
{
    for (uint32_t i = 0; i < s->n_groups; i++)
        metric_add(
            M_GROUP_DISCARDED, (double)s->size_bytes, reason, rq->tenant, s->groups[i].metric);
}
