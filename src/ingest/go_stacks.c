/* Go stacks that lost their root frames get them back (spec/ingest.md §6.6, second part).
 *
 * Go's profilers keep a bounded number of frames, counted from the leaf: of a deeper stack the root
 * is missing, and it would begin in the middle of a flame graph. Other stacks of the same profile
 * often went through the same frames and are whole. So:
 *
 *     stack (leaf … root)   . . . . . . . . [········ last 24 ids ········]   equal ones: a group
 *     windows of a group                    [16 ids at distance 8    ]d=8
 *                                            …[16 ids at distance 1]……d=1
 *     another group whose 16 root-most ids are that window goes on, towards the root, as this one
 *     does in its last d frames; if this one continues in a third group, so does the other.
 *
 * One window is remembered once, with the largest distance at which it was seen, of the first group
 * in the order of ids. A group whose window is its own, or whose chain of groups does not end
 * within CHAIN_MAX (recursion), stays as it is. Locations are compared by id: what tells apart two
 * locations of one function and line in a Go profile is their address, so that removing type
 * parameters before makes no two of them equal.
 *
 * Invariants: 1. Frames are only appended at the root; values never change. 2. Work and memory are
 * linear in the number of stacks (times 24, 8 and 56); what is appended is bounded by IDS_MAX, and
 * a profile that would need more stays as it is. Pure; in the request's arena. Failure: full arena.
 */
#include "ingest/ingest_int.h"

#include "base/hash.h"
#include "base/idmap.h"

enum {
    TAIL = 24,
    WINDOW = 16,
    CHAIN_MAX = 56,
    HEAP_DEEP = 28, /* Go keeps 32 frames of a heap stack */
    HEAP_WHOLE = 33,
    CPU_DEEP = 60,     /* and 64 of others */
    IDS_MAX = 8 << 20, /* appended to one profile */
};

struct tail {
    const uint64_t *ids; /* TAIL of them */
    uint32_t sample;
};

struct group {
    const uint64_t *ids;
    uint32_t first, n;       /* of the tails */
    uint32_t next, distance; /* group that it goes on in, by so many frames; PROF_NONE: none */
};

struct window {
    const uint64_t *ids; /* WINDOW of them */
    uint32_t group, distance;
};

struct repair {
    struct pprof *p;
    struct arena *arena;
    struct tail *tails;
    struct group *groups;
    struct window *windows;
    uint32_t n_tails, n_groups, n_windows;
    struct idmap by_ids; /* windows */
};

static bool has_type(const struct pprof *p, struct str type)
{
    for (uint32_t i = 0; i < p->n_sample_types; i++)
        if (str_eq(p->strings[p->sample_types[i].type], type))
            return true;
    return false;
}

static bool may_be_cut(const struct pprof *p)
{
    uint32_t deepest = 0;
    for (uint32_t i = 0; i < p->n_samples; i++)
        deepest = MAX(deepest, p->samples[i].n_locations);
    if (has_type(p, STR("alloc_objects")) || has_type(p, STR("alloc_space")) ||
        has_type(p, STR("inuse_objects")) || has_type(p, STR("inuse_space")))
        return deepest >= HEAP_DEEP && deepest < HEAP_WHOLE;
    return deepest >= CPU_DEEP && has_type(p, STR("cpu"));
}

static int tail_cmp(const void *pa, const void *pb)
{
    const struct tail *a = pa, *b = pb;
    for (int i = 0; i < TAIL; i++)
        if (a->ids[i] != b->ids[i])
            return a->ids[i] < b->ids[i] ? -1 : 1;
    return (a->sample > b->sample) - (a->sample < b->sample);
}

static bool make_groups(struct repair *r)
{
    const struct pprof *p = r->p;
    r->tails = ARENA_ARRAY(r->arena, struct tail, p->n_samples);
    if (!r->tails)
        return false;
    for (uint32_t i = 0; i < p->n_samples; i++) {
        const struct pprof_sample *s = &p->samples[i];
        if (s->n_locations >= TAIL)
            r->tails[r->n_tails++] = (struct tail){
                p->location_ids + s->first_location + s->n_locations - TAIL, i};
    }
    qsort(r->tails, r->n_tails, sizeof *r->tails, tail_cmp);
    r->groups = ARENA_ARRAY(r->arena, struct group, r->n_tails);
    if (!r->groups)
        return false;
    for (uint32_t i = 0; i < r->n_tails; i++) {
        struct group *last = r->n_groups ? &r->groups[r->n_groups - 1] : NULL;
        if (last && memcmp(last->ids, r->tails[i].ids, TAIL * sizeof *last->ids) == 0)
            last->n++;
        else
            r->groups[r->n_groups++] = (struct group){r->tails[i].ids, i, 1, PROF_NONE, 0};
    }
    return true;
}

static struct window *find_window(const struct repair *r, const uint64_t *ids, uint64_t hash)
{
    uint32_t i;
    struct idmap_probe probe = idmap_start(&r->by_ids, hash);
    while (idmap_next(&r->by_ids, &probe, &i))
        if (memcmp(r->windows[i].ids, ids, WINDOW * sizeof *ids) == 0)
            return &r->windows[i];
    return NULL;
}

static uint64_t hash_window(const uint64_t *ids)
{
    return hash_bytes(ids, WINDOW * sizeof *ids);
}

static bool make_windows(struct repair *r)
{
    r->windows = ARENA_ARRAY(r->arena, struct window, (size_t)r->n_groups * (TAIL - WINDOW));
    if (!r->windows || r->n_groups > (UINT32_MAX >> 4))
        return false;
    for (uint32_t g = 0; g < r->n_groups; g++) {
        for (uint32_t d = TAIL - WINDOW; d > 0; d--) {
            const uint64_t *ids = r->groups[g].ids + TAIL - WINDOW - d;
            uint64_t hash = hash_window(ids);
            struct window *w = find_window(r, ids, hash);
            if (w && w->distance >= d)
                continue;
            if (!w && !idmap_put(&r->by_ids, hash, r->n_windows))
                return false;
            if (!w)
                w = &r->windows[r->n_windows++];
            *w = (struct window){ids, g, d};
        }
    }
    return true;
}

static void link_groups(struct repair *r)
{
    for (uint32_t g = 0; g < r->n_groups; g++) {
        const uint64_t *root = r->groups[g].ids + TAIL - WINDOW;
        const struct window *w = find_window(r, root, hash_window(root));
        if (!w || w->group == g)
            continue;
        r->groups[g].next = w->group;
        r->groups[g].distance = w->distance;
    }
}

/* The ids behind group g on the way to the root, into `out` where that is not NULL; how many. 0:
 * it is not cut, or its chain does not end. */
static uint32_t missing(const struct repair *r, uint32_t g, uint64_t *out)
{
    uint32_t n = 0, links = 0;
    while (r->groups[g].next != PROF_NONE) {
        uint32_t d = r->groups[g].distance;
        g = r->groups[g].next;
        if (++links == CHAIN_MAX)
            return 0;
        if (out)
            memcpy(out + n, r->groups[g].ids + TAIL - d, d * sizeof *out);
        n += d;
    }
    return n;
}

/* How many ids the repaired stacks of group g have together. */
static uint64_t repaired_ids(const struct repair *r, uint32_t g, uint32_t more)
{
    uint64_t n = 0;
    for (uint32_t i = 0; more && i < r->groups[g].n; i++)
        n += r->p->samples[r->tails[r->groups[g].first + i].sample].n_locations + more;
    return n;
}

static void append(struct repair *r, uint32_t g, const uint64_t *more, uint32_t n_more)
{
    struct pprof *p = r->p;
    for (uint32_t i = 0; i < r->groups[g].n; i++) {
        struct pprof_sample *s = &p->samples[r->tails[r->groups[g].first + i].sample];
        uint64_t *to = p->location_ids + p->n_location_ids;
        memcpy(to, p->location_ids + s->first_location, s->n_locations * sizeof *to);
        memcpy(to + s->n_locations, more, n_more * sizeof *to);
        s->first_location = p->n_location_ids;
        s->n_locations += n_more;
        p->n_location_ids += s->n_locations;
    }
}

/* Repaired stacks are written behind the others, into a larger array. */
static bool append_all(struct repair *r, uint64_t *ret_repaired)
{
    struct pprof *p = r->p;
    uint64_t total = 0, more[CHAIN_MAX * (TAIL - WINDOW)];
    for (uint32_t g = 0; g < r->n_groups; g++)
        total += repaired_ids(r, g, missing(r, g, NULL));
    if (total == 0 || total > IDS_MAX || p->n_location_ids + total >= UINT32_MAX)
        return true;
    uint64_t *ids = ARENA_ARRAY(r->arena, uint64_t, p->n_location_ids + total);
    if (!ids)
        return false;
    memcpy(ids, p->location_ids, p->n_location_ids * sizeof *ids);
    p->location_ids = ids;
    for (uint32_t g = 0; g < r->n_groups; g++) {
        uint32_t n = missing(r, g, more);
        if (n)
            append(r, g, more, n);
        *ret_repaired += n ? r->groups[g].n : 0;
    }
    return true;
}

enum status ingest_fix_go_stacks(
    struct pprof *p, struct arena *arena, uint64_t *ret_repaired, struct error *err)
{
    struct repair r = {.p = p, .arena = arena};
    uint64_t repaired = 0;
    if (!may_be_cut(p))
        return ST_OK;
    idmap_init(&r.by_ids, NULL);
    bool ok = make_groups(&r) && make_windows(&r);
    if (ok) {
        link_groups(&r);
        ok = append_all(&r, &repaired);
    }
    idmap_done(&r.by_ids);
    if (!ok)
        return ingest_arena_full(arena, err);
    *ret_repaired = repaired;
    return ST_OK;
}
