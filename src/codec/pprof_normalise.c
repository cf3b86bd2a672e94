/* From the wire form to the dense profile: see pprof.h and profile.h.
 *
 *     sample ─ keep? ─► stack (locations, leaf first) ─┐
 *                  └──► label set, span, trace ────────┴─► (stack, labels, span, trace) ─► values
 *
 * Removed are samples with the wrong number of values, with a negative value, with nothing but
 * zeros, or with a location that is unknown or was removed. Labels without a string value are
 * dropped, the others ordered by their indexes on the wire. span_id (in old clients profile_id) and
 * trace_id leave the labels; the first of each counts, and is 0 when it is not hexadecimal of the
 * right length. What is then equal is summed; sums saturate.
 *
 * Stacks, label sets and samples are each once, found by the hash of their bytes; the candidate is
 * written at the end of its array and stays there only when it is new. So there is no allocation
 * per sample: everything has its final size from the start.
 *
 * Invariants: those of profile.h; all loops are linear in the profile but for sorting the labels of
 * a sample. Thread: the caller's. Failure: a full arena, before anything is returned. */
#include "codec/pprof_int.h"

#include "base/hash.h"
#include "base/varint.h"

enum { INSERTION_MAX = 16, SPAN_BYTES = 8, TRACE_BYTES = 16 };

static enum status full(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "the profile needs more memory than a request may use");
}

static bool sample_kept(const struct pprof *p, const struct pprof_sample *s)
{
    if (s->n_values != p->n_sample_types)
        return false;
    int64_t any = 0;
    for (uint32_t k = 0; k < s->n_values; k++) {
        int64_t v = p->values[s->first_value + k];
        if (v < 0)
            return false;
        any |= v;
    }
    return any != 0;
}

static void put(struct pprof_norm *n, struct idmap *m, uint64_t hash, uint32_t id)
{
    bool ok = arena_map_put(m, n->arena, hash, id);
    ASSERT(ok);
}

/* ── labels ── */

static bool label_after(const struct pprof_label *a, const struct pprof_label *b)
{
    return a->key != b->key ? a->key > b->key : a->str > b->str;
}

static void labels_sift(struct pprof_label *v, uint32_t at, uint32_t n)
{
    struct pprof_label moving = v[at];
    for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && label_after(&v[child + 1], &v[child]))
            child++;
        if (!label_after(&v[child], &moving))
            break;
        v[at] = v[child];
    }
    v[at] = moving;
}

/* Few labels are the rule; many are hostile and must not cost their square. */
static void labels_sort(struct pprof_label *v, uint32_t n)
{
    if (n > INSERTION_MAX) {
        for (uint32_t i = n / 2; i-- > 0;)
            labels_sift(v, i, n);
        for (uint32_t i = n; i-- > 1;) {
            struct pprof_label last = v[i];
            v[i] = v[0];
            v[0] = last;
            labels_sift(v, 0, i);
        }
        return;
    }
    for (uint32_t i = 1; i < n; i++) {
        struct pprof_label moving = v[i];
        uint32_t k = i;
        for (; k > 0 && label_after(&v[k - 1], &moving); k--)
            v[k] = v[k - 1];
        v[k] = moving;
    }
}

static uint64_t load_u64be(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

struct trace_ids {
    struct prof_sample *sample;
    bool has_span, has_trace;
};

/* True when the label is one of these and so does not stay a label. */
static bool take_trace_id(struct trace_ids *t, struct str key, struct str value)
{
    uint8_t bytes[TRACE_BYTES];
    if (str_eq(key, STR("span_id")) || str_eq(key, STR("profile_id"))) {
        if (!t->has_span && str_to_bytes(value, bytes, SPAN_BYTES))
            t->sample->span = load_u64le(bytes);
        return t->has_span = true;
    }
    if (!str_eq(key, STR("trace_id")))
        return false;
    if (!t->has_trace && str_to_bytes(value, bytes, TRACE_BYTES)) {
        t->sample->trace_hi = load_u64be(bytes);
        t->sample->trace_lo = load_u64be(bytes + 8);
    }
    return t->has_trace = true;
}

/* The `count` labels at the end of sym->labels. */
static uint32_t labelset_intern(struct pprof_norm *n, uint32_t count)
{
    struct prof_symbols *sym = n->sym;
    const struct prof_label *at = &sym->labels[sym->n_labels];
    if (count == 0)
        return 0;
    uint64_t hash = hash_bytes(at, count * sizeof *at);
    struct idmap_probe probe = idmap_start(&n->by_labelset, hash);
    uint32_t i;
    while (idmap_next(&n->by_labelset, &probe, &i)) {
        struct prof_labelset set = sym->labelsets[i];
        if (set.n == count && memcmp(&sym->labels[set.first], at, count * sizeof *at) == 0)
            return i;
    }
    put(n, &n->by_labelset, hash, sym->n_labelsets);
    sym->labelsets[sym->n_labelsets] = (struct prof_labelset){sym->n_labels, count};
    sym->n_labels += count;
    return sym->n_labelsets++;
}

static struct str wire_string(const struct pprof *p, int64_t i)
{
    return (uint64_t)i < p->n_strings ? p->strings[i] : STR_EMPTY;
}

/* Sets label set, span and trace of out. */
static void labels_make(struct pprof_norm *n, const struct pprof_sample *s, struct prof_sample *out)
{
    const struct pprof *p = n->p;
    struct trace_ids trace = {.sample = out};
    uint32_t n_sort = 0, count = 0;
    for (uint32_t k = 0; k < s->n_labels; k++)
        if (p->labels[s->first_label + k].str != 0)
            n->sort[n_sort++] = p->labels[s->first_label + k];
    labels_sort(n->sort, n_sort);
    for (uint32_t k = 0; k < n_sort; k++) {
        const struct pprof_label *l = &n->sort[k];
        if (take_trace_id(&trace, wire_string(p, l->key), wire_string(p, l->str)))
            continue;
        n->sym->labels[n->sym->n_labels + count++] = (struct prof_label){
            pprof_string(n, l->key), pprof_string(n, l->str)};
    }
    out->labelset = labelset_intern(n, count);
}

/* ── stacks ── */

/* The `count` frames at the end of sym->frames. */
static uint32_t stack_intern(struct pprof_norm *n, uint32_t count)
{
    struct prof_symbols *sym = n->sym;
    const uint32_t *at = &sym->frames[sym->n_frames];
    uint64_t hash = hash_bytes(at, count * sizeof *at);
    struct idmap_probe probe = idmap_start(&n->by_stack, hash);
    uint32_t i;
    while (idmap_next(&n->by_stack, &probe, &i)) {
        struct prof_stack stack = sym->stacks[i];
        if (stack.n == count && memcmp(&sym->frames[stack.first], at, count * sizeof *at) == 0)
            return i;
    }
    put(n, &n->by_stack, hash, sym->n_stacks);
    sym->stacks[sym->n_stacks] = (struct prof_stack){sym->n_frames, count};
    sym->n_frames += count;
    return sym->n_stacks++;
}

/* PROF_NONE when one of its locations is missing. */
static uint32_t stack_make(struct pprof_norm *n, const struct pprof_sample *s)
{
    const uint64_t *ids = &n->p->location_ids[s->first_location];
    uint32_t *at = &n->sym->frames[n->sym->n_frames];
    for (uint32_t k = 0; k < s->n_locations; k++) {
        uint32_t i = pprof_ids_find(&n->locations, ids[k]);
        if (UNLIKELY(i == PROF_NONE))
            return PROF_NONE;
        if (UNLIKELY(n->location_of[i] == PPROF_PENDING))
            pprof_location_make(n, i);
        at[k] = n->location_of[i];
        if (UNLIKELY(at[k] == PROF_NONE))
            return PROF_NONE;
    }
    return stack_intern(n, s->n_locations);
}

/* ── samples ── */

static uint32_t sample_intern(struct pprof_norm *n, const struct prof_sample *s)
{
    struct profile *out = n->out;
    uint64_t hash = hash_bytes(s, sizeof *s);
    struct idmap_probe probe = idmap_start(&n->by_sample, hash);
    uint32_t i;
    while (idmap_next(&n->by_sample, &probe, &i))
        if (memcmp(&out->samples[i], s, sizeof *s) == 0)
            return i;
    put(n, &n->by_sample, hash, out->n_samples);
    out->samples[out->n_samples] = *s;
    memset(
        &out->values[(size_t)out->n_samples * out->n_types], 0, out->n_types * sizeof *out->values);
    return out->n_samples++;
}

static void sample_make(struct pprof_norm *n, const struct pprof_sample *s)
{
    _Static_assert(sizeof(struct prof_sample) == 32, "hashed and compared as bytes: no padding");
    _Static_assert(sizeof(struct prof_label) == 8, "hashed and compared as bytes: no padding");
    struct profile *out = n->out;
    struct prof_sample made = {.stack = stack_make(n, s)};
    if (made.stack == PROF_NONE)
        return;
    if (s->n_labels)
        labels_make(n, s, &made);
    uint32_t i = sample_intern(n, &made);
    int64_t *sum = &out->values[(size_t)i * out->n_types];
    for (uint32_t k = 0; k < out->n_types; k++)
        if (__builtin_add_overflow(sum[k], n->p->values[s->first_value + k], &sum[k]))
            sum[k] = INT64_MAX;
}

/* ── the whole ── */

struct totals {
    uint64_t samples, frames, labels, labels_max;
};

static struct totals count_kept(const struct pprof *p)
{
    struct totals t = {0};
    for (uint32_t i = 0; i < p->n_samples; i++) {
        const struct pprof_sample *s = &p->samples[i];
        if (!sample_kept(p, s))
            continue;
        t.samples++;
        t.frames += s->n_locations;
        t.labels += s->n_labels;
        t.labels_max = MAX(t.labels_max, s->n_labels);
    }
    return t;
}

/* Arrays and maps for samples; false when the arena is full or indexes would not fit. */
static bool samples_init(struct pprof_norm *n, const struct totals *t)
{
    struct arena *a = n->arena;
    struct prof_symbols *sym = n->sym;
    struct profile *out = n->out;
    uint64_t values = t->samples * out->n_types; /* both are 32 bits */
    if (t->frames >= UINT32_MAX || t->labels >= UINT32_MAX || values >= UINT32_MAX)
        return false;
    sym->frames = ARENA_ARRAY(a, uint32_t, t->frames);
    sym->stacks = ARENA_ARRAY(a, struct prof_stack, t->samples);
    sym->labels = ARENA_ARRAY(a, struct prof_label, t->labels);
    sym->labelsets = ARENA_ARRAY(a, struct prof_labelset, t->samples + 1);
    out->samples = ARENA_ARRAY(a, struct prof_sample, t->samples);
    out->values = ARENA_ARRAY(a, int64_t, values);
    n->sort = ARENA_ARRAY(a, struct pprof_label, t->labels_max);
    if (!sym->frames || !sym->stacks || !sym->labels || !sym->labelsets || !out->samples ||
        !out->values || !n->sort)
        return false;
    sym->labelsets[0] = (struct prof_labelset){0, 0};
    sym->n_labelsets = 1;
    return arena_map_reserve(&n->by_stack, a, (uint32_t)t->samples) &&
           arena_map_reserve(&n->by_labelset, a, t->labels ? (uint32_t)t->samples : 0) &&
           arena_map_reserve(&n->by_sample, a, (uint32_t)t->samples);
}

static struct prof_type type_make(const struct pprof *p, const struct pprof_value_type *t)
{
    return (struct prof_type){wire_string(p, t->type), wire_string(p, t->unit)};
}

enum status pprof_to_profile(
    const struct pprof *p, struct arena *arena, struct profile **ret_profile, struct error *err)
{
    struct totals totals = count_kept(p);
    struct pprof_norm n = {.p = p,
        .arena = arena,
        .sym = ARENA_NEW(arena, struct prof_symbols),
        .out = ARENA_NEW(arena, struct profile)};
    struct prof_type *types = ARENA_ARRAY(arena, struct prof_type, p->n_sample_types);
    if (!n.sym || !n.out || !types)
        return full(err);
    for (uint32_t i = 0; i < p->n_sample_types; i++)
        types[i] = type_make(p, &p->sample_types[i]);
    struct prof_type none = {STR_EMPTY, STR_EMPTY};
    *n.out = (struct profile){.sym = n.sym,
        .types = types,
        .n_types = p->n_sample_types,
        .period_type = p->has_period_type ? type_make(p, &p->period_type) : none,
        .period = p->period,
        .time_ns = p->time_ns,
        .duration_ns = p->duration_ns,
        .size_bytes = p->size_bytes,
        .sample_bytes = p->sample_bytes};
    if (!pprof_symbols_init(&n) || !samples_init(&n, &totals))
        return full(err);
    for (uint32_t i = 0; i < p->n_samples; i++)
        if (sample_kept(p, &p->samples[i]))
            sample_make(&n, &p->samples[i]);
    *ret_profile = n.out;
    return ST_OK;
}
