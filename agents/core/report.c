/* See report.h. One location per function: without line numbers, several addresses of a function
 * tell nothing apart and only cost room where they are stored. The message is built in an arena and
 * written by the table-driven encoder. Pure; any thread. */
#include "agents/core/report.h"

#include "agents/core/agent.h"
#include "base/hash.h"
#include "codec/messages.h"

const struct agent_kind agent_kind_cpu = {
    .name = "process_cpu",
    .values = {{"samples", "count"}, {"cpu", "nanoseconds"}},
    .n_values = 2,
    .period_type = "cpu",
    .period_unit = "nanoseconds",
};
const struct agent_kind agent_kind_heap = {
    .name = "memory",
    .values = {{"alloc_objects", "count"}, {"alloc_space", "bytes"}, {"inuse_objects", "count"},
        {"inuse_space", "bytes"}},
    .n_values = 4,
    .period_type = "space",
    .period_unit = "bytes",
};
const struct agent_kind agent_kind_mutex = {
    .name = "mutex",
    .values = {{"contentions", "count"}, {"delay", "nanoseconds"}},
    .n_values = 2,
    .period_type = "contentions",
    .period_unit = "count",
};

#define REPORT_BYTES_MAX (64 * MIB)

struct builder {
    struct arena arena;
    struct m_profile p;
    struct m_value_type period_type;
    const struct agent_symbols *symbols;
    struct idmap strings;
    uint32_t *locations; /* by function: its number in the profile, or 0 */
    uint64_t *mappings;  /* by module */
    bool full;
};

static int64_t string_id(struct builder *b, struct str s)
{
    uint64_t hash = hash_str(s);
    struct idmap_probe probe = idmap_start(&b->strings, hash);
    uint32_t i;
    while (idmap_next(&b->strings, &probe, &i))
        if (str_eq(b->p.string_table.v[i], s))
            return i;
    struct str *slot = VEC_PUSH(&b->arena, b->p.string_table);
    if (!slot || !idmap_put(&b->strings, hash, b->p.string_table.n - 1)) {
        b->full = true;
        return 0;
    }
    *slot = s;
    return b->p.string_table.n - 1;
}

static uint64_t mapping_id(struct builder *b, uint32_t module)
{
    enum { MODULES = 256 };
    if (module == UINT32_MAX)
        return 0;
    if (!b->mappings)
        b->mappings = ARENA_ZARRAY(&b->arena, uint64_t, MODULES);
    if (!b->mappings || module >= MODULES)
        return 0;
    if (b->mappings[module])
        return b->mappings[module];
    struct m_pprof_mapping *m = VEC_PUSH(&b->arena, b->p.mapping);
    if (!m)
        return 0;
    *m = (struct m_pprof_mapping){.id = b->p.mapping.n, .has_functions = true};
    m->filename = string_id(b, agent_symbols_module(b->symbols, module, &m->memory_limit));
    return b->mappings[module] = m->id;
}

static uint64_t location_id(struct builder *b, uint32_t function)
{
    if (b->locations[function])
        return b->locations[function];
    const struct agent_function *f = agent_symbols_get(b->symbols, function);
    struct m_pprof_function *pf = VEC_PUSH(&b->arena, b->p.function);
    struct m_pprof_location *pl = VEC_PUSH(&b->arena, b->p.location);
    struct m_pprof_line *line = ARENA_NEW(&b->arena, struct m_pprof_line);
    if (!pf || !pl || !line) {
        b->full = true;
        return 0;
    }
    *pf = (struct m_pprof_function){.id = b->p.function.n, .name = string_id(b, f->name)};
    pf->system_name = pf->name;
    *pl = (struct m_pprof_location){.id = b->p.location.n, .address = f->address};
    pl->mapping_id = mapping_id(b, f->module);
    line->function_id = pf->id;
    pl->line.v = line;
    pl->line.n = 1;
    b->locations[function] = (uint32_t)pl->id;
    return pl->id;
}

static void put_labels(struct builder *b, uint32_t id, struct m_pprof_sample *sample)
{
    const struct agent_label *labels;
    uint32_t n = agent_labels_get(id, &labels);
    for (uint32_t i = 0; i < n; i++) {
        struct m_pprof_label *l = VEC_PUSH(&b->arena, sample->label);
        if (!l) {
            b->full = true;
            return;
        }
        *l = (struct m_pprof_label){.key = string_id(b, str_from(labels[i].key)),
            .str = string_id(b, str_from(labels[i].value))};
    }
}

static void put_sample(struct builder *b, const struct agent_stack *s, uint32_t n_values)
{
    bool any = false;
    for (uint32_t i = 0; i < n_values; i++)
        any |= s->values[i] != 0;
    if (!any)
        return;
    uint64_t *ids = ARENA_ARRAY(&b->arena, uint64_t, s->n + 1u);
    int64_t *values = ARENA_ARRAY(&b->arena, int64_t, n_values);
    struct m_pprof_sample *sample = VEC_PUSH(&b->arena, b->p.sample);
    if (!ids || !values || !sample) {
        b->full = true;
        return;
    }
    *sample = (struct m_pprof_sample){0};
    for (uint32_t i = 0; i < s->n; i++)
        ids[i] = location_id(b, (uint32_t)s->frames[i]);
    memcpy(values, s->values, n_values * sizeof *values);
    sample->location_id.v = ids;
    sample->location_id.n = s->n;
    sample->value.v = values;
    sample->value.n = n_values;
    put_labels(b, s->labels, sample);
}

static void put_head(struct builder *b, const struct agent_report *r)
{
    const struct agent_kind *k = r->kind;
    (void)string_id(b, STR_EMPTY); /* the first string is empty by definition */
    for (uint32_t i = 0; i < k->n_values; i++) {
        struct m_value_type *v = VEC_PUSH(&b->arena, b->p.sample_type);
        if (!v) {
            b->full = true;
            return;
        }
        *v = (struct m_value_type){
            string_id(b, str_from(k->values[i].type)), string_id(b, str_from(k->values[i].unit))};
    }
    b->period_type = (struct m_value_type){
        string_id(b, str_from(k->period_type)), string_id(b, str_from(k->period_unit))};
    b->p.period_type = &b->period_type;
    b->p.period = r->period;
    b->p.time_nanos = r->time_ns;
    b->p.duration_nanos = r->duration_ns;
}

enum status agent_encode(const struct agent_report *report, const struct agent_stacks *stacks,
    const struct agent_symbols *symbols, struct buf *out, struct error *err)
{
    struct builder b = {.symbols = symbols};
    arena_init(&b.arena, REPORT_BYTES_MAX);
    idmap_init(&b.strings, NULL);
    b.locations = ARENA_ZARRAY(&b.arena, uint32_t, agent_symbols_count(symbols));
    b.full = !b.locations;
    if (!b.full)
        put_head(&b, report);
    for (uint32_t i = 0; i < stacks->list.n && !b.full; i++)
        put_sample(&b, &stacks->list.v[i], report->kind->n_values);
    if (!b.full && b.p.sample.n)
        msg_encode_proto(&m_profile_desc, &b.p, out);
    bool failed = b.full || out->failed;
    idmap_done(&b.strings);
    arena_done(&b.arena);
    if (failed)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the profile is larger than it may be");
    return ST_OK;
}
