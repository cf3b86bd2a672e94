/* codec/pprof_to_profile: rules one by one, random profiles against a naive model, real captures.
 *
 * The model knows nothing of indexes: it turns each sample into a text of all that it means,
 * applies the rules to the texts and sums equal ones in a plain list. */
#include "test.h"

#include "base/hash.h"
#include "base/varint.h"
#include "codec/multipart.h"
#include "jfr_capture.h"
#include "pprof_make.h"
#include "prof_check.h"

static struct arena arena;
static struct buf m, t;
static struct error err;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, GIB);
    buf_init(&m, 256 * MIB);
    buf_init(&t, 256 * MIB);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    buf_done(&m);
    buf_done(&t);
    return 0;
}

static struct profile *normalised(const struct pprof *p)
{
    struct profile *out = NULL;
    assert_int_equal(pprof_to_profile(p, &arena, &out, &err), ST_OK);
    prof_check(out);
    return out;
}

/* ── the naive model ── */

enum { SUMS_MAX = 512, TYPES_MAX = 3 };

struct sums {
    struct str keys[SUMS_MAX];
    int64_t values[SUMS_MAX][TYPES_MAX];
    uint32_t n;
};

static void sums_add(struct sums *s, struct str key, const int64_t *values, uint32_t n)
{
    uint32_t i = 0;
    while (i < s->n && !str_eq(s->keys[i], key))
        i++;
    if (i == s->n) {
        assert_true(s->n < SUMS_MAX);
        memset(s->values[i], 0, sizeof s->values[i]);
        s->keys[s->n++] = arena_str(&arena, key);
    }
    for (uint32_t k = 0; k < n; k++)
        s->values[i][k] += values[k];
}

static struct str string_at(const struct pprof *p, int64_t i)
{
    return i >= 0 && i < p->n_strings ? p->strings[i] : STR_EMPTY;
}

static const struct pprof_function *function_at(const struct pprof *p, uint64_t id)
{
    for (uint32_t i = p->n_functions; id && i-- > 0;)
        if (p->functions[i].id == id)
            return &p->functions[i];
    return NULL;
}

static void put_line(struct buf *out, struct str name, struct str system, struct str file,
    int64_t start, int64_t line)
{
    buf_printf(out, " %.*s/%.*s/%.*s:%lld@%lld", STR_ARG(name), STR_ARG(system), STR_ARG(file),
        (long long)start, (long long)line);
}

static void put_mapping(struct buf *out, uint64_t start, uint64_t limit, uint64_t offset,
    struct str file, struct str build, uint32_t flags)
{
    buf_printf(out, " [%llu-%llu+%llu %.*s %.*s %u]", (unsigned long long)start,
        (unsigned long long)limit, (unsigned long long)offset, STR_ARG(file), STR_ARG(build),
        flags);
}

/* False: the location is removed. */
static bool model_location(struct buf *out, const struct pprof *p, uint64_t id)
{
    const struct pprof_location *l = NULL;
    const struct pprof_mapping *g = NULL;
    for (uint32_t i = 0; id && i < p->n_locations; i++)
        l = p->locations[i].id == id ? &p->locations[i] : l;
    if (!l || (l->n_lines == 0 && l->address == 0))
        return false;
    for (uint32_t i = 0; i < p->n_mappings; i++)
        g = p->mappings[i].id == l->mapping_id ? &p->mappings[i] : g;
    if (l->mapping_id && !g)
        return false;
    bool functions = l->mapping_id && g->flags & PROF_HAS_FUNCTIONS;
    buf_printf(
        out, "; %llu %d", functions && l->n_lines ? 0 : (unsigned long long)l->address, l->folded);
    if (!l->mapping_id)
        put_mapping(out, 0, 0, 0, STR_EMPTY, STR_EMPTY, 0);
    else
        put_mapping(out, functions ? 0 : g->start, functions ? 0 : g->limit,
            functions ? 0 : g->offset, string_at(p, g->filename), string_at(p, g->build_id),
            g->flags);
    for (uint32_t k = 0; k < l->n_lines; k++) {
        const struct pprof_function *f = function_at(p, p->lines[l->first_line + k].function_id);
        if (!f)
            return false;
        put_line(out, string_at(p, f->name), string_at(p, f->system_name),
            string_at(p, f->filename), f->start_line, p->lines[l->first_line + k].line);
    }
    return true;
}

static uint64_t hex_number(struct str s, bool little)
{
    uint64_t v = 0;
    for (size_t i = 0; i < 8; i++) {
        char two[3] = {s.p[2 * i], s.p[2 * i + 1], 0};
        uint64_t byte = strtoul(two, NULL, 16);
        v = little ? v | byte << (8 * i) : v << 8 | byte;
    }
    return v;
}

static bool all_hex(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("0123456789abcdefABCDEF", s.p[i]))
            return false;
    return true;
}

static void model_labels(struct buf *out, const struct pprof *p, const struct pprof_sample *s)
{
    struct pprof_label v[64];
    uint32_t n = 0;
    uint64_t span = 0, hi = 0, lo = 0;
    bool has_span = false, has_trace = false;
    for (uint32_t k = 0; k < s->n_labels; k++) { /* by insertion */
        struct pprof_label l = p->labels[s->first_label + k];
        uint32_t at = n;
        if (l.str == 0)
            continue;
        while (at && (v[at - 1].key > l.key || (v[at - 1].key == l.key && v[at - 1].str > l.str)))
            at--;
        memmove(&v[at + 1], &v[at], (n - at) * sizeof *v);
        v[at] = l;
        n++;
    }
    buf_str(out, STR(" |"));
    for (uint32_t k = 0; k < n; k++) {
        struct str key = string_at(p, v[k].key), value = string_at(p, v[k].str);
        if (str_eq(key, STR("span_id")) || str_eq(key, STR("profile_id"))) {
            if (!has_span && value.n == 16 && all_hex(value))
                span = hex_number(value, true);
            has_span = true;
        } else if (str_eq(key, STR("trace_id"))) {
            if (!has_trace && value.n == 32 && all_hex(value)) {
                hi = hex_number(value, false);
                lo = hex_number(str_skip(value, 16), false);
            }
            has_trace = true;
        } else {
            buf_printf(out, " %.*s=%.*s", STR_ARG(key), STR_ARG(value));
        }
    }
    buf_printf(out, " | %llx %llx%016llx", (unsigned long long)span, (unsigned long long)hi,
        (unsigned long long)lo);
}

static void model(const struct pprof *p, struct sums *out)
{
    struct buf key;
    buf_init(&key, MIB);
    out->n = 0;
    for (uint32_t i = 0; i < p->n_samples; i++) {
        const struct pprof_sample *s = &p->samples[i];
        bool keep = s->n_values == p->n_sample_types, zero = true;
        for (uint32_t k = 0; k < s->n_values; k++) {
            keep = keep && p->values[s->first_value + k] >= 0;
            zero = zero && p->values[s->first_value + k] == 0;
        }
        buf_clear(&key);
        for (uint32_t k = 0; keep && k < s->n_locations; k++)
            keep = model_location(&key, p, p->location_ids[s->first_location + k]);
        if (!keep || zero)
            continue;
        model_labels(&key, p, s);
        sums_add(out, buf_view(&key), &p->values[s->first_value], p->n_sample_types);
    }
    buf_done(&key);
}

/* The same texts from the result; no two samples may have the same. */
static void shown(const struct profile *q, struct sums *out)
{
    const struct prof_symbols *sym = q->sym;
    struct buf key;
    buf_init(&key, MIB);
    out->n = 0;
    for (uint32_t i = 0; i < q->n_samples; i++) {
        const struct prof_sample *s = &q->samples[i];
        struct prof_stack stack = sym->stacks[s->stack];
        struct prof_labelset set = sym->labelsets[s->labelset];
        buf_clear(&key);
        for (uint32_t k = 0; k < stack.n; k++) {
            const struct prof_location *l = &sym->locations[sym->frames[stack.first + k]];
            const struct prof_mapping *g = &sym->mappings[l->mapping];
            buf_printf(&key, "; %llu %d", (unsigned long long)l->address, l->folded);
            put_mapping(&key, g->start, g->limit, g->offset, sym->strings[g->filename],
                sym->strings[g->build_id], g->flags);
            for (uint32_t j = 0; j < l->n_lines; j++) {
                const struct prof_line *line = &sym->lines[l->first_line + j];
                const struct prof_function *f = &sym->functions[line->function];
                put_line(&key, sym->strings[f->name], sym->strings[f->system_name],
                    sym->strings[f->filename], f->start_line, line->line);
            }
        }
        buf_str(&key, STR(" |"));
        for (uint32_t k = 0; k < set.n; k++)
            buf_printf(&key, " %.*s=%.*s", STR_ARG(sym->strings[sym->labels[set.first + k].key]),
                STR_ARG(sym->strings[sym->labels[set.first + k].value]));
        buf_printf(&key, " | %llx %llx%016llx", (unsigned long long)s->span,
            (unsigned long long)s->trace_hi, (unsigned long long)s->trace_lo);
        uint32_t before = out->n;
        sums_add(out, buf_view(&key), &q->values[(size_t)i * q->n_types], q->n_types);
        assert_int_equal(out->n, before + 1);
    }
    buf_done(&key);
}

static void assert_same_sums(const struct sums *want, const struct sums *got, uint64_t seed)
{
    if (want->n != got->n)
        fail_msg("seed %llu: %u samples, not %u", (unsigned long long)seed, got->n, want->n);
    for (uint32_t i = 0; i < want->n; i++) {
        uint32_t k = 0;
        while (k < got->n && !str_eq(got->keys[k], want->keys[i]))
            k++;
        if (k == got->n || memcmp(got->values[k], want->values[i], sizeof want->values[i]) != 0)
            fail_msg("seed %llu: missing or other sum: %.*s", (unsigned long long)seed,
                STR_ARG(want->keys[i]));
    }
}

/* ── random profiles ── */

static uint64_t rng_state;

static uint64_t rng(uint64_t below)
{
    rng_state = rng_state * 6364136223846793005u + 1442695040888963407u;
    return (rng_state >> 33) % below;
}

/* Ids that may be dense, sparse, unknown, zero or doubled. */
static uint64_t random_id(uint32_t n, bool sparse)
{
    uint64_t i = rng(20) ? 1 + rng(n) : rng(2) * rng(n + 3);
    return sparse && i ? i * 0x9E3779B97F4A7C15u | 1 : i;
}

static void random_strings(struct pprof *p)
{
    static const struct str words[] = {{"", 0}, {"a", 1}, {"b", 1}, {"a", 1}, {"", 0},
        {"span_id", 7}, {"profile_id", 10}, {"trace_id", 8}, {"0123456789abcdef", 16},
        {"FEDCBA9876543210", 16}, {"00112233445566778899aabbccddeeff", 32}, {"key", 3},
        {"value", 5}, {"0123456789abcdeg", 16}};
    p->strings = ARENA_ARRAY(&arena, struct str, ARRAY_LEN(words));
    memcpy(p->strings, words, sizeof words);
    p->n_strings = ARRAY_LEN(words);
}

static int64_t random_string(const struct pprof *p)
{
    return rng(30) ? (int64_t)rng(p->n_strings) : (int64_t)rng(40) - 20;
}

static void random_symbols(struct pprof *p, bool sparse)
{
    p->n_functions = 1 + (uint32_t)rng(6);
    p->n_mappings = (uint32_t)rng(4);
    p->n_locations = 1 + (uint32_t)rng(8);
    p->functions = ARENA_ZARRAY(&arena, struct pprof_function, p->n_functions);
    p->mappings = ARENA_ZARRAY(&arena, struct pprof_mapping, p->n_mappings);
    p->locations = ARENA_ZARRAY(&arena, struct pprof_location, p->n_locations);
    p->lines = ARENA_ZARRAY(&arena, struct pprof_line, 3 * (size_t)p->n_locations);
    for (uint32_t i = 0; i < p->n_functions; i++)
        p->functions[i] = (struct pprof_function){random_id(p->n_functions, sparse),
            random_string(p), random_string(p), random_string(p), (int64_t)rng(2)};
    for (uint32_t i = 0; i < p->n_mappings; i++)
        p->mappings[i] = (struct pprof_mapping){random_id(p->n_mappings, sparse), rng(2), rng(2),
            rng(2), random_string(p), random_string(p), (uint32_t)rng(4)};
    for (uint32_t i = 0; i < p->n_locations; i++) {
        struct pprof_location *l = &p->locations[i];
        *l = (struct pprof_location){random_id(p->n_locations, sparse),
            rng(2) ? random_id(3, sparse) : 0, rng(3), p->n_lines, (uint32_t)rng(4), rng(5) == 0};
        for (uint32_t k = 0; k < l->n_lines; k++)
            p->lines[p->n_lines++] = (struct pprof_line){
                random_id(p->n_functions, sparse), (int64_t)rng(2)};
    }
}

static void random_samples(struct pprof *p, bool sparse)
{
    p->n_samples = (uint32_t)rng(40);
    p->samples = ARENA_ZARRAY(&arena, struct pprof_sample, p->n_samples);
    p->location_ids = ARENA_ZARRAY(&arena, uint64_t, 5 * (size_t)p->n_samples);
    p->values = ARENA_ZARRAY(&arena, int64_t, (TYPES_MAX + 1) * (size_t)p->n_samples);
    p->labels = ARENA_ZARRAY(&arena, struct pprof_label, 40 * (size_t)p->n_samples);
    for (uint32_t i = 0; i < p->n_samples; i++) {
        uint32_t values = rng(10) ? p->n_sample_types : (uint32_t)rng(TYPES_MAX + 1);
        uint32_t labels = rng(8) ? (uint32_t)rng(4) : (uint32_t)rng(40);
        struct pprof_sample *s = &p->samples[i];
        *s = (struct pprof_sample){
            p->n_location_ids, (uint32_t)rng(5), p->n_values, values, p->n_labels, labels};
        for (uint32_t k = 0; k < s->n_locations; k++)
            p->location_ids[p->n_location_ids++] = random_id(p->n_locations, sparse);
        for (uint32_t k = 0; k < values; k++)
            p->values[p->n_values++] = (int64_t)rng(4) - (rng(15) == 0);
        for (uint32_t k = 0; k < labels; k++)
            p->labels[p->n_labels++] = (struct pprof_label){
                random_string(p), rng(4) ? random_string(p) : 0, (int64_t)rng(2), 0};
    }
}

static struct pprof *random_profile(uint64_t seed)
{
    struct pprof *p = ARENA_NEW(&arena, struct pprof);
    bool sparse = seed % 3 == 0;
    rng_state = seed * 77;
    random_strings(p);
    p->n_sample_types = (uint32_t)rng(TYPES_MAX + 1);
    p->sample_types = ARENA_ZARRAY(&arena, struct pprof_value_type, p->n_sample_types);
    for (uint32_t i = 0; i < p->n_sample_types; i++)
        p->sample_types[i] = (struct pprof_value_type){random_string(p), random_string(p)};
    random_symbols(p, sparse);
    random_samples(p, sparse);
    return p;
}

static void test_random(void **state)
{
    (void)state;
    struct sums *want = ARENA_NEW(&arena, struct sums), *got = ARENA_NEW(&arena, struct sums);
    uint64_t kept = 0;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct arena outer = arena; /* what a round takes goes with it */
        arena_init(&arena, 64 * MIB);
        hash_seed = seed;
        struct pprof *p = random_profile(seed), *q = NULL;
        model(p, want);
        shown(normalised(p), got);
        assert_same_sums(want, got, seed);
        kept += got->n;
        buf_clear(&m); /* and the way over the wire changes nothing */
        pprof_make(&m, p);
        if (m.n >= 10) {
            assert_int_equal(pprof_decode(buf_view(&m), MIB, &arena, &q, &err), ST_OK);
            shown(normalised(q), got);
            assert_same_sums(want, got, seed);
        }
        arena_done(&arena);
        arena = outer;
    }
    hash_seed = 0;
    assert_in_range(kept, 9000, 60000);
}

/* ── single rules ── */

static void test_header(void **state)
{
    (void)state;
    struct pprof p = {.time_ns = 5, .duration_ns = 6, .period = 7, .size_bytes = 8};
    struct pprof_value_type types[] = {{11, 12}, {99, -1}};
    random_strings(&p);
    p.sample_types = types;
    p.n_sample_types = 2;
    struct profile *q = normalised(&p);
    assert_int_equal(q->n_samples, 0);
    assert_int_equal(q->n_types, 2);
    assert_true(str_eq(q->types[0].type, STR("key")) && str_eq(q->types[0].unit, STR("value")));
    assert_true(q->types[1].type.n == 0 && q->types[1].unit.n == 0);
    assert_true(q->period_type.type.n == 0 && q->period_type.unit.n == 0);
    assert_true(q->time_ns == 5 && q->duration_ns == 6 && q->period == 7 && q->size_bytes == 8);
    p.has_period_type = true;
    p.period_type = types[0];
    assert_true(str_eq(normalised(&p)->period_type.unit, STR("value")));
}

/* A profile of one function; sample i has the given stack. */
static struct pprof one_function(
    uint64_t *ids, int64_t *values, struct pprof_sample *samples, uint32_t n)
{
    static struct str strings[] = {{"", 0}, {"f", 1}};
    static struct pprof_value_type type = {1, 1};
    static struct pprof_location location = {1, 0, 0, 0, 1, false};
    static struct pprof_line line = {1, 1};
    static struct pprof_function function = {1, 1, 1, 1, 1};
    return (struct pprof){.sample_types = &type,
        .samples = samples,
        .location_ids = ids,
        .values = values,
        .locations = &location,
        .lines = &line,
        .functions = &function,
        .strings = strings,
        .n_sample_types = 1,
        .n_samples = n,
        .n_location_ids = n,
        .n_values = n,
        .n_locations = 1,
        .n_lines = 1,
        .n_functions = 1,
        .n_strings = 2};
}

static void test_sums_saturate(void **state)
{
    (void)state;
    uint64_t ids[] = {1, 1};
    int64_t values[] = {INT64_MAX, INT64_MAX};
    struct pprof_sample samples[] = {{0, 1, 0, 1, 0, 0}, {1, 1, 1, 1, 0, 0}};
    struct pprof p = one_function(ids, values, samples, 2);
    struct profile *q = normalised(&p);
    assert_int_equal(q->n_samples, 1);
    assert_true(q->values[0] == INT64_MAX);
}

static void test_deep_stack(void **state)
{
    (void)state;
    enum { DEPTH = 1000000 };
    uint64_t *ids = ARENA_ARRAY(&arena, uint64_t, DEPTH);
    for (uint32_t i = 0; i < DEPTH; i++)
        ids[i] = 1;
    int64_t value = 3;
    struct pprof_sample sample = {0, DEPTH, 0, 1, 0, 0};
    struct pprof p = one_function(ids, &value, &sample, 1), *q;
    p.n_location_ids = DEPTH;
    pprof_make(&m, &p);
    assert_int_equal(pprof_decode(buf_view(&m), MIB, &arena, &q, &err), ST_OK);
    struct profile *out = normalised(q);
    assert_int_equal(out->sym->stacks[0].n, DEPTH);
    struct arena small_arena;
    arena_init(&small_arena, MIB);
    assert_int_equal(pprof_to_profile(q, &small_arena, &out, &err), ST_RESOURCE_EXHAUSTED);
    arena_done(&small_arena);
}

static void test_many_labels(void **state)
{
    (void)state;
    enum { LABELS = 300000 };
    uint64_t id = 1;
    int64_t value = 3;
    struct pprof_sample sample = {0, 1, 0, 1, 0, LABELS};
    struct pprof p = one_function(&id, &value, &sample, 1);
    p.n_strings = LABELS + 1;
    p.strings = ARENA_ARRAY(&arena, struct str, LABELS + 1);
    p.labels = ARENA_ZARRAY(&arena, struct pprof_label, LABELS);
    p.n_labels = LABELS;
    p.strings[0] = STR_EMPTY;
    for (uint32_t i = 0; i < LABELS; i++) {
        p.strings[i + 1] = arena_printf(&arena, "%u", i);
        p.labels[i].key = p.labels[i].str = LABELS - i;
    }
    struct profile *q = normalised(&p);
    assert_int_equal(q->sym->n_labelsets, 2);
    assert_int_equal(q->sym->labelsets[1].n, LABELS);
    for (uint32_t i = 0; i < LABELS; i++)
        assert_true(str_eq(q->sym->strings[q->sym->labels[i].key], p.strings[i + 1]));
}

/* With every smaller arena each step fails cleanly, and the first that is large enough agrees. */
static void test_any_arena(void **state)
{
    (void)state;
    struct sums *want = ARENA_NEW(&arena, struct sums), *got = ARENA_NEW(&arena, struct sums);
    struct pprof *p = random_profile(7), *q;
    struct profile *out;
    uint32_t failures = 0;
    model(p, want);
    pprof_make(&m, p);
    for (size_t limit = 0;; limit += 256) {
        struct arena tight;
        arena_init(&tight, limit);
        enum status st = pprof_decode(buf_view(&m), MIB, &tight, &q, &err);
        if (st == ST_OK)
            st = pprof_to_profile(q, &tight, &out, &err);
        if (st == ST_OK) {
            shown(out, got);
            assert_same_sums(want, got, limit);
            arena_done(&tight);
            break;
        }
        assert_int_equal(st, ST_RESOURCE_EXHAUSTED);
        arena_done(&tight);
        failures++;
    }
    assert_true(failures > 20);
}

/* ── captures ── */

struct totals {
    struct str kind;
    int64_t values[8];
};

static void add_capture(struct totals *sums, uint32_t *n_sums, struct str profile, bool go)
{
    struct pprof *p = NULL;
    enum pprof_reason reason;
    uint64_t cut = 0;
    static const struct pprof_limits limits = {4 * MIB, 16000, 100, 1000, 65535};
    enum status st = pprof_decode(profile, 4 * MIB, &arena, &p, &err);
    if (st != ST_OK)
        fail_msg("%s", err.msg);
    assert_int_equal(pprof_check(p, &limits, STR("{}"), &arena, &reason, &cut, &cut, &err), ST_OK);
    assert_int_equal(cut, 0);
    if (go)
        pprof_strip_go_shapes(p, &arena);
    struct profile *q = normalised(p);
    struct buf kind;
    buf_init(&kind, KIB);
    for (uint32_t k = 0; k < q->n_types; k++)
        buf_printf(&kind, "%s%.*s/%.*s", k ? "," : "", STR_ARG(q->types[k].type),
            STR_ARG(q->types[k].unit));
    uint32_t at = 0;
    while (at < *n_sums && !str_eq(sums[at].kind, buf_view(&kind)))
        at++;
    if (at == *n_sums)
        sums[(*n_sums)++] = (struct totals){arena_str(&arena, buf_view(&kind)), {0}};
    for (uint32_t i = 0; i < q->n_samples; i++)
        for (uint32_t k = 0; k < q->n_types; k++)
            sums[at].values[k] += q->values[(size_t)i * q->n_types + k];
    buf_done(&kind);
}

/* series[].samples[].raw_profile of a PushRequest */
static void add_push(struct totals *sums, uint32_t *n_sums, struct str message, int depth)
{
    static const uint64_t path[] = {1, 2, 1};
    struct cursor c = cursor_make(message);
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        assert_int_equal(tag & 7, 2);
        struct str inner = cursor_bytes(&c, cursor_uvarint(&c));
        if (tag >> 3 != path[depth])
            continue;
        if (depth == 2)
            add_capture(sums, n_sums, inner, false);
        else
            add_push(sums, n_sums, inner, depth + 1);
    }
    assert_false(c.bad);
}

static void add_body(struct totals *sums, uint32_t *n_sums, struct str body, const char *folder)
{
    if (strncmp(folder, "rust", 4) == 0) {
        struct str inflated;
        assert_int_equal(gzip_inflate(body, 64 * MIB, &arena, &inflated, &err), ST_OK);
        add_push(sums, n_sums, inflated, 0);
        return;
    }
    if (strncmp(folder, "go", 2) != 0) {
        add_capture(sums, n_sums, body, false);
        return;
    }
    struct multipart form;
    struct str boundary = str_skip(str_head(body, str_find(body, STR("\r\n"))), 2);
    struct str type = arena_str_join(&arena, STR("multipart/form-data; boundary="), boundary);
    assert_int_equal(multipart_parse(type, body, &form, &err), ST_OK);
    struct str profile = multipart_get(&form, STR("profile"));
    assert_true(profile.n > 0);
    add_capture(sums, n_sums, profile, true);
}

static void one_folder(const char *folder, int bodies, const struct totals *want, uint32_t n_want)
{
    struct totals sums[8];
    uint32_t n = 0;
    for (int i = 1; i <= bodies; i++) {
        char path[256];
        snprintf(path, sizeof path, "tests/conformance/captures/%s/%03d.bin", folder, i);
        struct str body = capture_read(path, &arena);
        assert_non_null(body.p);
        add_body(sums, &n, body, folder);
    }
    assert_int_equal(n, n_want);
    for (uint32_t i = 0; i < n_want; i++) {
        uint32_t k = 0;
        while (k < n && !str_eq(sums[k].kind, want[i].kind))
            k++;
        assert_true(k < n);
        for (uint32_t v = 0; v < ARRAY_LEN(want->values); v++)
            if (sums[k].values[v] != want[i].values[v])
                fail_msg("%s %.*s %u: %lld", folder, STR_ARG(want[i].kind), v,
                    (long long)sums[k].values[v]);
    }
}

/* The totals that an independent decoder found, see about.md of each. */
static void test_captures(void **state)
{
    (void)state;
    const struct totals go[] = {
        {STR("goroutine/count"), {143}},
        {STR("contentions/count,delay/nanoseconds"), {34612, 1245230976763}},
        {STR("alloc_objects/count,alloc_space/bytes,inuse_objects/count,inuse_space/bytes"),
            {349006557, 39534509942, 728898, 1209141894}},
        {STR("samples/count,cpu/nanoseconds"), {6504, 65040000000}},
    };
    const struct totals node[] = {
        {STR("inuse_objects/count,inuse_space/bytes"), {2951650, 296104629}},
        {STR("samples/count,wall/nanoseconds,cpu/nanoseconds"), {4064, 26802899000, 26023350606}},
    };
    const struct totals python[] = {{STR("cpu/nanoseconds"), {34890000000}}};
    const struct totals rust[] = {{STR("cpu/nanoseconds"), {18200000000}}};
    one_folder("go-sdk", 33, go, ARRAY_LEN(go));
    one_folder("node", 9, node, ARRAY_LEN(node));
    one_folder("python-legacy", 6, python, ARRAY_LEN(python));
    one_folder("rust", 5, rust, ARRAY_LEN(rust));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_header, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sums_saturate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deep_stack, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_labels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_any_arena, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_captures, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
