/* The uploads of a service that does not exist, shaped like recorded ones: see synth.h.
 *
 * Recorded were two programs under the Java agent 2.9.2 with CPU, allocations and locks (the
 * conformance captures java-rfc and java-spring); `describe` printed of them, per upload:
 *
 *                        rows  samples  stacks  frames per stack  nodes after 1 .. 5 or 6 uploads
 *     rfc     cpu         8.0     31.6    23.6        45.3           418 ..    769
 *             memory      1.0     11.0    11.0        10.2            34 ..    168
 *             mutex       1.0      1.2     1.2         6.3             6 ..     13
 *             block       1.0      1.0     1.0        12.0            12 ..     12
 *     spring  cpu        12.7   1106.7  1106.3        49.4         10821 ..  29165
 *             memory     13.0   1405.2  1405.2        72.4         24544 ..  34945
 *             mutex       2.8     23.8    23.8        50.5          1082 ..   1183
 *             block       1.0      3.8     3.8        28.8            83 ..    311
 *
 * spring's stacks after 1 .. 6 uploads: cpu 803, 1971, 2991, 3823, 4661, 5367; memory 1220, 2388,
 * 3065, 3523, 3841, 4108. Values per sample: rfc cpu 164 ms, 726 objects of 0.69 MB; spring cpu
 * 15.9 ms, 15.9 objects of 0.52 MB. A longer recording had about 0.2 million nodes after an hour
 * and 0.5 million after a day. Functions: 7,300 of a name of 53 characters (spring), 306 (rfc).
 *
 * The model: an upload draws `draws` stacks (more by day, fewer by night); equal ones add up. The
 * stacks of a shape lie in bands of rising size and falling share; the bands were fitted to the
 * numbers of distinct stacks above, so that common stacks dominate and new ones come all day and
 * all month. What a stack consists of is code.c. Uploads go round the service's 2 to 4 pods, each
 * of which lives between three hours and three days and not longer than its release; a release
 * comes once a week, at an hour of its own for each service.
 *
 * Invariant: what synth_upload adds is a function of (seed, service, time, interval). Memory is
 * bounded by the draws between two synth_clear. */
#include "synth.h"

#include "base/clock.h"
#include "base/idmap.h"
#include "base/mem.h"
#include "code.h"

enum {
    BANDS_MAX = 9,
    PROFILES = 4, /* of an upload */
    SETS_MAX = 13,
    LABELS_MAX = 12,
    SUMS_MAX = 7,
    TICK_NS = 10 * 1000 * 1000,
    TLAB_BYTES = 512 * 1024,
};
#define WEEK_NS (7 * 24 * 3600 * NS_PER_S)
#define HOUR_NS (3600 * NS_PER_S)

struct band {
    uint32_t stacks, share; /* of 10,000 draws */
};

enum value { VALUE_TICKS, VALUE_OBJECTS, VALUE_DELAY };

struct sort {
    struct str name;
    const char *ids[2]; /* of the types, in full */
    struct prof_type types[2];
    uint32_t n_types;
    struct prof_type period;
    uint32_t draws, weight; /* of an upload; mean of the weight of a draw */
    enum value value;
    uint32_t n_sets; /* label sets among the first of the kind */
    struct band bands[BANDS_MAX];
};

struct kind {
    const char *name;
    struct sort sorts[PROFILES];
    struct code_shape shapes[PROFILES];
    struct label sets[SETS_MAX][2]; /* labels of samples; name.n 0: none */
};

#define S(literal)                   \
    {                                \
        literal, sizeof(literal) - 1 \
    }
#define CPU_SORT                                                                                   \
    .name = S("process_cpu"), .ids = {"process_cpu:cpu:nanoseconds:cpu:nanoseconds"},              \
    .types = {{S("cpu"), S("nanoseconds")}}, .n_types = 1, .period = {S("cpu"), S("nanoseconds")}, \
    .value = VALUE_TICKS
#define MEMORY_SORT                                               \
    .name = S("memory"),                                          \
    .ids = {"memory:alloc_in_new_tlab_objects:count:space:bytes", \
        "memory:alloc_in_new_tlab_bytes:bytes:space:bytes"},      \
    .types = {{S("alloc_in_new_tlab_objects"), S("count")},       \
        {S("alloc_in_new_tlab_bytes"), S("bytes")}},              \
    .n_types = 2, .period = {S("space"), S("bytes")}, .value = VALUE_OBJECTS
#define LOCK_SORT(n)                                                                               \
    .name = S(n), .ids = {n ":contentions:count:" n ":count", n ":delay:nanoseconds:" n ":count"}, \
    .types = {{S("contentions"), S("count")}, {S("delay"), S("nanoseconds")}}, .n_types = 2,       \
    .period = {S(n), S("count")}, .value = VALUE_DELAY
#define SET(n, v)      \
    {                  \
        {              \
            S(n), S(v) \
        }              \
    }
#define USER(v)                         \
    {                                   \
        {S("path"), S("/a/b c?d=e&f")}, \
        {                               \
            S("user"), S(v)             \
        }                               \
    }

static const struct kind kinds[] = {
    {.name = "java-rfc",
        .sorts = {{CPU_SORT, .draws = 60, .weight = 8, .n_sets = 8,
                      .bands = {{4, 6459}, {16, 1178}, {64, 1203}, {256, 1081}, {1024, 70},
                          {4096, 6}, {16384, 3}}},
            {MEMORY_SORT, .draws = 24, .weight = 330, .n_sets = 1,
                .bands = {{4, 5000}, {8, 4000}, {32, 900}, {256, 100}}},
            {LOCK_SORT("mutex"), .draws = 4, .weight = 94, .n_sets = 1,
                .bands = {{1, 9400}, {4, 600}}},
            {LOCK_SORT("block"), .draws = 3, .weight = 94, .n_sets = 1, .bands = {{1, 10000}}}},
        .shapes = {{32, 40, 24, 6, 400, 900}, {8, 10, 4, 3, 120, 300}, {1, 5, 1, 1, 30, 30},
            {1, 11, 1, 1, 30, 30}},
        .sets = {{{{NULL, 0}, {NULL, 0}}}, SET("controller", "order"), SET("controller", "billing"),
            USER("user-0"), USER("user-1"), USER("user-2"), USER("user-3"), USER("user-4")}},
    {.name = "java-spring",
        .sorts = {{CPU_SORT, .draws = 1750, .weight = 1, .n_sets = 13,
                      .bands = {{16, 2493}, {64, 1241}, {256, 505}, {1024, 698}, {4096, 1622},
                          {16384, 3132}, {65536, 290}, {262144, 14}, {1048576, 5}}},
            {MEMORY_SORT, .draws = 1900, .weight = 12, .n_sets = 13,
                .bands = {{16, 603}, {64, 729}, {256, 1264}, {1024, 3159}, {4096, 4178},
                    {16384, 67}}},
            {LOCK_SORT("mutex"), .draws = 40, .weight = 6, .n_sets = 3,
                .bands = {{32, 8900}, {64, 1000}, {1024, 100}}},
            {LOCK_SORT("block"), .draws = 5, .weight = 6, .n_sets = 1,
                .bands = {{6, 9000}, {64, 1000}}}},
        .shapes = {{512, 46, 28, 6, 9000, 24000}, {512, 70, 36, 5, 9000, 16000},
            {16, 48, 24, 4, 900, 900}, {8, 28, 16, 4, 300, 300}},
        .sets = {{{{NULL, 0}, {NULL, 0}}}, SET("controller", "buy"), SET("controller", "cache"),
            SET("controller", "create"), SET("controller", "fail"), SET("controller", "format"),
            SET("controller", "hash"), SET("controller", "regex"), SET("controller", "report"),
            SET("controller", "search"), SET("controller", "sort"), SET("controller", "xml"),
            SET("controller", "zip")}},
};

/* A stack that the present symbols have. */
struct known {
    uint64_t key;
    uint32_t stack, trunk;
};

#define LIST(type)       \
    struct {             \
        type *v;         \
        uint32_t n, cap; \
    }

struct synth {
    const struct kind *kind;
    uint64_t seed, random;
    uint32_t pods;
    int64_t interval_ns;
    char name[32];
    struct code code;
    struct arena arena; /* of the uploads since synth_clear, but for the lists */
    LIST(struct str) strings;
    LIST(struct prof_function) functions;
    LIST(struct prof_line) lines; /* and locations: one is of the other */
    LIST(struct prof_location) locations;
    LIST(uint32_t) frames;
    LIST(struct prof_stack) stacks;
    LIST(struct known) known;
    LIST(struct store_row) rows;
    struct idmap known_ids;
    uint32_t *function_of, *location_of; /* by method, by frame: index + 1, 0: not yet */
    struct prof_symbols sym;
    struct prof_mapping mapping;
    struct prof_labelset no_labels;
    struct synth_sum sums[SUMS_MAX];
    uint32_t n_sums;
};

static void *grow(void *v, uint32_t *cap, size_t size)
{
    *cap = *cap ? *cap * 2 : 256;
    v = mem_grow(v, *cap * size);
    ASSERT(v);
    return v;
}
#define PUSH(list)                  \
    ((list).n < (list).cap          \
            ? &(list).v[(list).n++] \
            : ((list).v = grow((list).v, &(list).cap, sizeof *(list).v), &(list).v[(list).n++]))

static uint64_t draw(struct synth *y)
{
    return code_mix(y->random++, y->seed);
}

struct synth *synth_new(uint64_t seed, uint32_t service, int64_t interval_ns)
{
    static const uint8_t pods[9] = {3, 2, 4, 3, 2, 4, 2, 3, 4};
    struct synth *y = NEW(struct synth);
    y->kind = &kinds[service % 9 >= 7];
    y->seed = code_mix(seed, service);
    y->pods = pods[service % 9];
    y->interval_ns = interval_ns;
    snprintf(y->name, sizeof y->name, "%s-%u", y->kind->name, service);
    code_init(&y->code, y->seed, y->kind->shapes, PROFILES);
    arena_init(&y->arena, GIB);
    idmap_init(&y->known_ids, NULL);
    y->function_of = mem_new(y->code.n_methods * sizeof *y->function_of);
    y->location_of = mem_new(y->code.n_methods * sizeof *y->location_of * CODE_LINES);
    y->mapping.flags = PROF_HAS_FUNCTIONS;
    for (uint32_t i = 0; i < PROFILES; i++)
        for (uint32_t k = 0; k < y->kind->sorts[i].n_types; k++)
            y->sums[y->n_sums++].type = y->kind->sorts[i].ids[k];
    synth_clear(y);
    return y;
}

void synth_free(struct synth *y)
{
    code_done(&y->code);
    arena_done(&y->arena);
    idmap_done(&y->known_ids);
    void *all[] = {y->strings.v, y->functions.v, y->lines.v, y->locations.v, y->frames.v,
        y->stacks.v, y->known.v, y->rows.v, y->function_of, y->location_of};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        mem_free(all[i]);
    mem_free(y);
}

struct str synth_name(const struct synth *y)
{
    return str_from(y->name);
}

void synth_clear(struct synth *y)
{
    memset(y->function_of, 0, y->code.n_methods * sizeof *y->function_of);
    memset(y->location_of, 0, y->code.n_methods * sizeof *y->location_of * CODE_LINES);
    y->strings.n = y->functions.n = y->lines.n = y->locations.n = 0;
    y->frames.n = y->stacks.n = y->known.n = y->rows.n = 0;
    idmap_clear(&y->known_ids);
    arena_reset(&y->arena);
    *PUSH(y->strings) = STR_EMPTY;
}

/* ---- symbols ---- */

static uint32_t function_index(struct synth *y, uint32_t method)
{
    if (!y->function_of[method]) {
        *PUSH(y->strings) = code_name(&y->code, method);
        *PUSH(y->functions) = (struct prof_function){.name = y->strings.n - 1};
        y->function_of[method] = y->functions.n;
    }
    return y->function_of[method] - 1;
}

static uint32_t location_index(struct synth *y, uint32_t frame)
{
    if (!y->location_of[frame]) {
        uint32_t function = function_index(y, frame / CODE_LINES);
        *PUSH(y->lines) = (struct prof_line){function, code_line(&y->code, frame)};
        *PUSH(y->locations) = (struct prof_location){.first_line = y->lines.n - 1, .n_lines = 1};
        y->location_of[frame] = y->locations.n;
    }
    return y->location_of[frame] - 1;
}

static struct known stack_get(struct synth *y, uint32_t sort, uint64_t id)
{
    uint64_t key = id * PROFILES + sort, hash = code_mix(key, 3);
    uint32_t i, frames[CODE_STACK_MAX];
    struct idmap_probe p = idmap_start(&y->known_ids, hash);
    while (idmap_next(&y->known_ids, &p, &i))
        if (y->known.v[i].key == key)
            return y->known.v[i];
    struct known *k = PUSH(y->known);
    *k = (struct known){.key = key, .stack = y->stacks.n};
    uint32_t n = code_stack(&y->code, sort, id, frames, &k->trunk);
    *PUSH(y->stacks) = (struct prof_stack){y->frames.n, n};
    for (i = 0; i < n; i++)
        *PUSH(y->frames) = location_index(y, frames[i]);
    ASSERT(idmap_put(&y->known_ids, hash, y->known.n - 1));
    return *k;
}

/* ---- samples ---- */

/* A band by its share, then any stack of it. */
static uint64_t draw_stack(struct synth *y, const struct sort *sort)
{
    uint64_t h = draw(y), first = 0;
    uint32_t at = (uint32_t)(h >> 32) % 10000, b = 0;
    while (b + 1 < BANDS_MAX && at >= sort->bands[b].share && sort->bands[b + 1].stacks) {
        at -= sort->bands[b].share;
        first += sort->bands[b++].stacks;
    }
    return first + code_even(h, sort->bands[b].stacks);
}

static void draw_values(struct synth *y, const struct sort *sort, uint64_t stack, int64_t *values)
{
    uint64_t h = draw(y);
    int64_t weight = 1 + code_cube(h, 4 * (sort->weight - 1) + 1);
    switch (sort->value) {
    case VALUE_TICKS:
        values[0] = weight * TICK_NS;
        break;
    case VALUE_OBJECTS: /* most are small and count as one buffer; some sites make large ones */
        values[0] = weight;
        values[1] = weight * (TLAB_BYTES + (stack % 400 ? 0 : (int64_t)(stack % 63 * 48 * 1024)));
        break;
    case VALUE_DELAY:
        values[0] = weight;
        values[1] = weight * (4000000 + (int64_t)(h >> 43));
        break;
    }
}

/* Code mostly runs below one label set; a quarter of the trunks is below all. */
static uint32_t draw_set(struct synth *y, const struct sort *sort, uint32_t trunk)
{
    uint64_t h = trunk % 4 ? code_mix(trunk, 17) : draw(y);
    return code_even(h, sort->n_sets);
}

/* 70 % at midnight, 130 % at noon. */
static uint32_t draws_at(const struct sort *sort, int64_t time_ns)
{
    int64_t minute = time_ns / (60 * NS_PER_S) % 1440;
    int64_t day = minute < 720 ? minute : 1440 - minute; /* 0 .. 720 */
    uint32_t n = (uint32_t)(sort->draws * (840 + day) / 1200);
    return MAX(n, 1);
}

static void add(struct label *to, uint32_t *n, struct str name, struct str value)
{
    ASSERT(*n < LABELS_MAX);
    to[(*n)++] = (struct label){name, value};
}

static int64_t release_at(const struct synth *y, int64_t time_ns)
{
    return (time_ns + (int64_t)(code_mix(y->seed, 21) % 168) * HOUR_NS) / WEEK_NS;
}

static uint32_t pod_at(const struct synth *y, int64_t time_ns)
{
    return (uint32_t)(time_ns / y->interval_ns % y->pods);
}

static bool in_zone_a(const struct synth *y, uint32_t pod)
{
    return (pod + (y->pods == 4)) % 3 == 0;
}

/* The labels of every series of an upload, and of one set of sample labels. */
static struct labels make_labels(
    struct synth *y, const struct sort *sort, const struct label set[2], int64_t time_ns)
{
    static const char *const zones[] = {"a", "b", "c"};
    struct label *v = ARENA_ARRAY(&y->arena, struct label, LABELS_MAX);
    uint32_t n = 0, pod = pod_at(y, time_ns);
    int64_t release = release_at(y, time_ns);
    uint64_t slot = code_mix(y->seed, pod + 50);
    int64_t life = (int64_t)(3 + slot % 70) * HOUR_NS;
    uint64_t birth = code_mix(slot, (uint64_t)((time_ns + (int64_t)(slot >> 12)) / life));
    struct str name = arena_printf(&y->arena, "%s-%08x-%05x", y->name,
        (unsigned)code_mix(y->seed, (uint64_t)release), (unsigned)(birth & 0xFFFFF));
    struct str version = arena_printf(&y->arena, "1.%lld.0", (long long)release);
    ASSERT(v && name.p && version.p);
    add(v, &n, STR("__name__"), sort->name);
    for (uint32_t i = 0; i < 2; i++)
        if (set[i].name.n)
            add(v, &n, set[i].name, set[i].value);
    add(v, &n, STR("jfr_event"), STR("itimer"));
    add(v, &n, STR("pod"), name);
    add(v, &n, STR("pyroscope_spy"), STR("javaspy"));
    add(v, &n, STR("service_name"), str_from(y->name));
    add(v, &n, STR("version"), version);
    add(v, &n, STR("zone"), str_from(zones[(pod + (y->pods == 4)) % 3]));
    labels_sort(v, n);
    return (struct labels){v, n};
}

/* One row per label set that occurs. */
static void add_rows(struct synth *y, const struct sort *sort, const struct profile *prof,
    const uint8_t *sets, int64_t time_ns)
{
    uint32_t counts[SETS_MAX] = {0}, next[SETS_MAX], at = 0;
    uint32_t *indexes = ARENA_ARRAY(&y->arena, uint32_t, prof->n_samples);
    ASSERT(indexes);
    for (uint32_t i = 0; i < prof->n_samples; i++)
        counts[sets[i]]++;
    for (uint32_t s = 0; s < sort->n_sets; s++) {
        next[s] = at;
        at += counts[s];
        if (counts[s])
            *PUSH(y->rows) = (struct store_row){make_labels(y, sort, y->kind->sets[s], time_ns),
                prof, indexes + next[s], counts[s]};
    }
    for (uint32_t i = 0; i < prof->n_samples; i++)
        indexes[next[sets[i]]++] = i;
}

static void add_profile(struct synth *y, uint32_t k, struct synth_sum *sums, int64_t time_ns)
{
    const struct sort *sort = &y->kind->sorts[k];
    uint32_t n = draws_at(sort, time_ns);
    bool zone_a = in_zone_a(y, pod_at(y, time_ns));
    struct profile *p = ARENA_NEW(&y->arena, struct profile);
    uint8_t *sets = ARENA_ARRAY(&y->arena, uint8_t, n);
    ASSERT(p && sets);
    *p = (struct profile){.sym = &y->sym,
        .types = (struct prof_type *)(uintptr_t)sort->types,
        .n_types = sort->n_types,
        .period_type = sort->period,
        .time_ns = time_ns,
        .n_samples = n,
        .samples = ARENA_ZARRAY(&y->arena, struct prof_sample, n),
        .values = ARENA_ARRAY(&y->arena, int64_t, (size_t)n * sort->n_types)};
    ASSERT(p->samples && p->values);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t id = draw_stack(y, sort);
        struct known stack = stack_get(y, k, id);
        int64_t *values = &p->values[(size_t)i * sort->n_types];
        p->samples[i].stack = stack.stack;
        draw_values(y, sort, id, values);
        sets[i] = (uint8_t)draw_set(y, sort, stack.trunk);
        for (uint32_t t = 0; t < sort->n_types; t++) {
            sums[t].total += values[t];
            sums[t].zone_a += zone_a ? values[t] : 0;
            sums[t].samples++;
        }
    }
    add_rows(y, sort, p, sets, time_ns);
}

void synth_upload(struct synth *y, int64_t time_ns)
{
    struct synth_sum *sums = y->sums;
    y->random = code_mix((uint64_t)time_ns, 1);
    code_checkout(&y->code, release_at(y, time_ns));
    for (uint32_t k = 0; k < PROFILES; k++) {
        add_profile(y, k, sums, time_ns);
        sums += y->kind->sorts[k].n_types;
    }
}

const struct store_row *synth_rows(struct synth *y, uint32_t *ret_n)
{
    y->sym = (struct prof_symbols){
        .strings = y->strings.v,
        .functions = y->functions.v,
        .mappings = &y->mapping,
        .lines = y->lines.v,
        .locations = y->locations.v,
        .frames = y->frames.v,
        .stacks = y->stacks.v,
        .labelsets = &y->no_labels,
        .n_strings = y->strings.n,
        .n_functions = y->functions.n,
        .n_mappings = 1,
        .n_lines = y->lines.n,
        .n_locations = y->locations.n,
        .n_frames = y->frames.n,
        .n_stacks = y->stacks.n,
        .n_labelsets = 1,
    };
    *ret_n = y->rows.n;
    return y->rows.v;
}

const struct synth_sum *synth_sums(const struct synth *y, uint32_t *ret_n)
{
    *ret_n = y->n_sums;
    return y->sums;
}

void synth_sums_clear(struct synth *y)
{
    for (uint32_t i = 0; i < y->n_sums; i++)
        y->sums[i] = (struct synth_sum){.type = y->sums[i].type};
}
