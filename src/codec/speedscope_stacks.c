/* From a speedscope file to stacks: see text.h.
 *
 *     profiles ─► groups of equal (name, type, unit, startValue), in order of startValue
 *              ─► samples and weights, or events, into a tree of stacks ─► text_stacks
 *
 * A group is one profile whose samples, weights and events are those of its members, one after the
 * other. Weights are cut to integers and then multiplied by the factor of their unit. Times of
 * events are multiplied first and rounded then, so that nothing is lost between events; the time
 * counts for the stack that is open, on O as well as on C. Nanoseconds are stored as they are.
 *
 * Invariants: 1. Frame indexes are checked before use. 2. An event costs two look-ups, whatever the
 * depth of the stack. 3. Names are interned once for all profiles. Sums saturate.
 * Thread: the caller's. Failure: ST_INVALID_ARGUMENT; a full arena. */
#include "codec/speedscope_int.h"

#include "base/hash.h"

enum { RATE_DEFAULT = 100 };

struct unit {
    struct str name;
    int64_t factor;
    uint32_t rate; /* in place of the default rate */
};

struct open_frame {
    int64_t frame;
    uint32_t node;
};

struct converter {
    const struct speedscope_file *f;
    struct text_tree t;
    uint32_t *names; /* by frame */
};

static const struct unit *unit_find(struct str name)
{
    static const struct unit units[] = {
        {{"seconds", 7}, 100, 100},
        {{"milliseconds", 12}, 100, 100000},
        {{"microseconds", 12}, 100, 100000000},
        {{"nanoseconds", 11}, 1, 1000000000},
        {{"none", 4}, 100, 10000},
        {{"bytes", 5}, 1, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq(units[i].name, name))
            return &units[i];
    return NULL;
}

static int64_t to_int(double v)
{
    if (v >= 9.2e18)
        return INT64_MAX;
    return v <= -9.2e18 ? INT64_MIN : (int64_t)v;
}

static int64_t scale(int64_t v, int64_t factor)
{
    int64_t r;
    return __builtin_mul_overflow(v, factor, &r) ? INT64_MAX : r;
}

/* ── groups ── */

static uint64_t group_hash(const struct speedscope_raw *p)
{
    double start = p->start + 0.0; /* -0 and 0 are equal */
    uint64_t key[4] = {hash_str(p->name), hash_str(p->type), hash_str(p->unit)};
    memcpy(&key[3], &start, sizeof start);
    return hash_bytes(key, sizeof key);
}

static bool same_group(const struct speedscope_raw *a, const struct speedscope_raw *b)
{
    return str_eq(a->name, b->name) && str_eq(a->type, b->type) && str_eq(a->unit, b->unit) &&
           a->start == b->start;
}

static int by_start(const void *x, const void *y)
{
    const struct speedscope_raw *const *a = x, *const *b = y;
    if ((*a)->start != (*b)->start)
        return (*a)->start < (*b)->start ? -1 : 1;
    return (*a > *b) - (*a < *b); /* of one array: the order of the file */
}

/* The first of each group, ordered. */
static enum status make_groups(
    struct speedscope_file *f, struct speedscope_raw ***ret_heads, uint32_t *ret_n)
{
    struct idmap seen;
    idmap_init(&seen, NULL);
    uint32_t n = 0;
    struct speedscope_raw **heads = ARENA_ARRAY(f->arena, struct speedscope_raw *, f->profiles.n);
    if (!heads || !arena_map_reserve(&seen, f->arena, f->profiles.n))
        return text_full(f->err);
    for (uint32_t i = 0; i < f->profiles.n; i++) {
        struct speedscope_raw *p = &f->profiles.v[i];
        uint64_t hash = group_hash(p);
        struct idmap_probe probe = idmap_start(&seen, hash);
        uint32_t k = 0;
        bool found = false;
        while (!found && idmap_next(&seen, &probe, &k))
            found = same_group(heads[k], p);
        if (found) {
            heads[k]->last->next = p;
            heads[k]->last = p;
            continue;
        }
        p->last = p;
        heads[n] = p;
        if (!arena_map_put(&seen, f->arena, hash, n++))
            return text_full(f->err);
    }
    if (n)
        qsort(heads, n, sizeof(struct speedscope_raw *), by_start);
    *ret_heads = heads;
    *ret_n = n;
    return ST_OK;
}

/* ── sampled ── */

static enum status frame_name(struct converter *c, int64_t frame, uint32_t *ret_name)
{
    if ((uint64_t)frame >= c->f->frames.n)
        FAIL(c->t.err, ST_INVALID_ARGUMENT, "frame index %lld is out of range", (long long)frame);
    *ret_name = c->names[frame];
    return ST_OK;
}

static enum status add_sample(
    struct converter *c, struct speedscope_range sample, double weight, int64_t factor)
{
    uint32_t node = 0, name = 0;
    if (weight < 0)
        FAIL(c->t.err, ST_INVALID_ARGUMENT, "negative weight in a sampled profile");
    for (uint32_t i = 0; i < sample.n; i++) {
        TRY(frame_name(c, c->f->indexes.v[sample.first + i], &name));
        TRY(text_child(&c->t, node, name, &node));
    }
    text_add(&c->t, node, scale(to_int(weight), factor));
    return ST_OK;
}

/* The members' samples and weights need to match only as a whole. */
static enum status convert_sampled(
    struct converter *c, const struct speedscope_raw *group, int64_t factor)
{
    uint64_t samples = 0, weights = 0;
    for (const struct speedscope_raw *p = group; p; p = p->next) {
        samples += p->samples.n;
        weights += p->weights.n;
    }
    if (samples != weights)
        FAIL(c->t.err, ST_INVALID_ARGUMENT, "%llu samples but %llu weights",
            (unsigned long long)samples, (unsigned long long)weights);
    const struct speedscope_raw *p = group, *w = group;
    for (uint32_t i = 0, k = 0; samples; samples--) {
        for (; i == p->samples.n; i = 0)
            p = p->next;
        for (; k == w->weights.n; k = 0)
            w = w->next;
        TRY(add_sample(c, c->f->samples.v[p->samples.first + i++],
            c->f->weights.v[w->weights.first + k++], factor));
    }
    return ST_OK;
}

/* ── evented ── */

struct replay {
    SPEEDSCOPE_VEC(struct open_frame) open;
    double at;
    int64_t ticks;
    bool begun;
};

static enum status replay_event(
    struct converter *c, struct replay *r, const struct speedscope_event *e, int64_t factor)
{
    struct text_tree *t = &c->t;
    int64_t ticks = to_int(e->at * (double)factor + 0.5), delta;
    if (r->begun && e->at < r->at)
        FAIL(t->err, ST_INVALID_ARGUMENT, "events are out of order");
    uint32_t node = r->open.n ? r->open.v[r->open.n - 1].node : 0;
    if (r->begun)
        text_add(t, node, __builtin_sub_overflow(ticks, r->ticks, &delta) ? INT64_MAX : delta);
    r->begun = true;
    r->at = e->at;
    r->ticks = ticks;
    if (!e->open) {
        if (r->open.n == 0 || r->open.v[r->open.n - 1].frame != e->frame)
            FAIL(t->err, ST_INVALID_ARGUMENT, "a frame is closed that is not the innermost open");
        r->open.n--;
        return ST_OK;
    }
    uint32_t name = 0;
    TRY(frame_name(c, e->frame, &name));
    TRY(text_child(t, node, name, &node));
    struct open_frame *opened = VEC_PUSH(t->arena, r->open);
    if (!opened)
        return text_full(t->err);
    *opened = (struct open_frame){e->frame, node};
    return ST_OK;
}

static enum status convert_evented(
    struct converter *c, const struct speedscope_raw *group, int64_t factor)
{
    struct replay r = {0};
    for (const struct speedscope_raw *p = group; p; p = p->next)
        for (uint32_t i = 0; i < p->events.n; i++)
            TRY(replay_event(c, &r, &c->f->events.v[p->events.first + i], factor));
    return ST_OK;
}

/* ── the whole ── */

static enum status convert(struct converter *c, const struct speedscope_raw *group, uint32_t rate,
    struct speedscope_profile *ret_profile)
{
    struct error *err = c->t.err;
    const struct unit *unit = unit_find(group->unit);
    if (!unit)
        FAIL(err, ST_INVALID_ARGUMENT, "unknown unit: %.*s", STR_ARG(str_head(group->unit, 200)));
    TRY(text_restart(&c->t));
    if (str_eq(group->type, STR("sampled")))
        TRY(convert_sampled(c, group, unit->factor));
    else if (str_eq(group->type, STR("evented")))
        TRY(convert_evented(c, group, unit->factor));
    else
        FAIL(err, ST_INVALID_ARGUMENT, "unknown profile type: %.*s",
            STR_ARG(str_head(group->type, 200)));
    *ret_profile = (struct speedscope_profile){.name = group->name,
        .unit = group->unit,
        .sample_rate = rate == RATE_DEFAULT ? unit->rate : rate};
    return text_finish(&c->t, &ret_profile->stacks);
}

static enum status intern_frames(struct converter *c)
{
    const struct speedscope_file *f = c->f;
    c->names = ARENA_ARRAY(f->arena, uint32_t, f->frames.n);
    if (!c->names)
        return text_full(f->err);
    for (uint32_t i = 0; i < f->frames.n; i++)
        TRY(text_name(&c->t, f->frames.v[i], false, &c->names[i]));
    return ST_OK;
}

enum status speedscope_decode(struct str json, uint32_t sample_rate, struct arena *arena,
    struct speedscope_profile **ret_profiles, uint32_t *ret_n, struct error *err)
{
    struct speedscope_file *f = ARENA_NEW(arena, struct speedscope_file);
    if (!f)
        return text_full(err);
    f->arena = arena;
    f->err = err;
    f->schema = STR_EMPTY;
    json_start(&f->r, json, arena);
    TRY(speedscope_read(f));
    struct converter c = {.f = f};
    TRY(text_tree_init(&c.t, arena, err));
    TRY(intern_frames(&c));
    struct speedscope_raw **groups = NULL;
    uint32_t n = 0;
    TRY(make_groups(f, &groups, &n));
    struct speedscope_profile *profiles = ARENA_ARRAY(arena, struct speedscope_profile, n);
    if (!profiles)
        return text_full(err);
    for (uint32_t i = 0; i < n; i++)
        TRY(convert(&c, groups[i], sample_rate, &profiles[i]));
    *ret_profiles = profiles;
    *ret_n = n;
    return ST_OK;
}
