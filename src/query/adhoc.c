/* Single files as flame graphs: see adhoc.h.
 *
 *     bytes ─► gunzip ─► which format? ─► pprof: decode, check, normalise ─► struct profile ─┐
 *                                      └► text: stacks and counts ─────────► text_stacks ────┴►
 * name tree
 *
 * The tree is made when it is asked for, of one type. Thread: the caller's. Failure: statuses. */
#include "query/adhoc.h"

#include <inttypes.h>

#include "codec/gzip.h"
#include "codec/pprof.h"
#include "query/query_int.h"

enum { SNIFF_BYTES = 4096, TYPES_MAX = 64 };

/* ── reading ── */

static bool is_text(struct str s)
{
    for (size_t i = 0; i < MIN(s.n, (size_t)SNIFF_BYTES); i++)
        if ((uint8_t)s.p[i] < 0x20 && s.p[i] != '\t' && s.p[i] != '\n' && s.p[i] != '\r')
            return false;
    return true;
}

static enum status one_type(
    struct query *q, struct str type, struct str unit, struct adhoc *a, struct error *err)
{
    a->types = ARENA_NEW(q->arena, struct prof_type);
    if (!a->types)
        return query_full(q, err);
    a->types[0] = (struct prof_type){type, unit};
    a->n_types = 1;
    return ST_OK;
}

static enum status open_pprof(
    struct query *q, struct str bytes, uint64_t bytes_max, struct adhoc *a, struct error *err)
{
    static const struct pprof_limits no_limits;
    struct pprof *p;
    struct profile *profile;
    enum pprof_reason reason;
    uint64_t cut = 0;
    TRY(pprof_decode(bytes, bytes_max, q->arena, &p, err));
    TRY(pprof_check(p, &no_limits, STR_EMPTY, q->arena, &reason, &cut, &cut, err));
    TRY(pprof_to_profile(p, q->arena, &profile, err));
    if (profile->n_types == 0 || profile->n_types > TYPES_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "the profile has %u sample types", profile->n_types);
    a->profile = profile;
    a->types = profile->types;
    a->n_types = profile->n_types;
    return ST_OK;
}

static enum status open_json(struct query *q, struct str bytes, struct adhoc *a, struct error *err)
{
    struct flamebearer f;
    TRY(flamebearer_decode(bytes, q->arena, &f, err));
    a->stacks = f.stacks;
    return one_type(q, f.name.n ? f.name : STR("samples"), f.units, a, err);
}

static enum status open_text(
    struct query *q, struct str name, struct str bytes, struct adhoc *a, struct error *err)
{
    static const struct text_limits no_limits;
    struct str event;
    bool folded = str_ends(name, STR(".collapsed")) || str_ends(name, STR(".folded"));
    if (!folded && perf_script_detect(bytes)) {
        TRY(perf_script_decode(bytes, q->arena, &a->stacks, &event, err));
        return one_type(q, event.n ? event : STR("samples"), STR("samples"), a, err);
    }
    TRY(text_decode(TEXT_FOLDED, bytes, &no_limits, q->arena, &a->stacks, err));
    if (a->stacks.n_stacks == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "there are no stacks in it");
    return one_type(q, STR("samples"), STR("samples"), a, err);
}

static enum status read_any(struct query *q, struct str name, struct str bytes, uint64_t bytes_max,
    struct adhoc *a, struct error *err)
{
    if (gzip_detect(bytes))
        TRY(gzip_inflate(bytes, bytes_max, q->arena, &bytes, err));
    if (!is_text(bytes))
        return open_pprof(q, bytes, bytes_max, a, err);
    struct str text = str_trim(bytes);
    if (text.n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "there is nothing in it");
    return text.p[0] == '{' ? open_json(q, text, a, err) : open_text(q, name, bytes, a, err);
}

enum status adhoc_open(struct query *q, struct str name, struct str bytes, uint64_t bytes_max,
    struct adhoc *ret_adhoc, struct error *err)
{
    struct adhoc a = {0};
    enum status st = read_any(q, name, bytes, bytes_max, &a, err);
    if (st == ST_RESOURCE_EXHAUSTED && q->arena->full)
        return query_full(q, err);
    if (st != ST_OK) {
        err->code = ST_INVALID_ARGUMENT;
        return error_wrap(err, ST_INVALID_ARGUMENT, "failed to parse profile");
    }
    *ret_adhoc = a;
    return ST_OK;
}

enum status adhoc_type(
    const struct adhoc *a, struct str name, uint32_t *ret_type, struct error *err)
{
    *ret_type = 0;
    if (name.n == 0)
        return ST_OK;
    for (uint32_t i = 0; i < a->n_types; i++) {
        if (!str_eq(a->types[i].type, name))
            continue;
        *ret_type = i;
        return ST_OK;
    }
    FAIL(err, ST_INVALID_ARGUMENT, "the profile has no profile type \"%.*s\"",
        STR_ARG(str_head(name, 100)));
}

/* ── trees ── */

struct path {
    struct str *v;
    uint32_t n, cap;
};

static enum status add_frame(
    struct query *q, const struct prof_symbols *sym, uint32_t location, struct path *p)
{
    const struct prof_location *loc = &sym->locations[location];
    for (uint32_t i = loc->n_lines; i-- > 0;) {
        struct str *slot = VEC_PUSH(q->arena, *p);
        if (!slot)
            return ST_RESOURCE_EXHAUSTED;
        *slot = sym->strings[sym->functions[sym->lines[loc->first_line + i].function].name];
    }
    if (loc->n_lines)
        return ST_OK;
    struct str file = loc->mapping == PROF_NONE
                          ? STR_EMPTY
                          : sym->strings[sym->mappings[loc->mapping].filename];
    size_t slash = str_rfind_char(file, '/');
    file = slash == STR_NPOS ? file : str_skip(file, slash + 1);
    struct str *slot = VEC_PUSH(q->arena, *p);
    if (slot)
        *slot = arena_printf(
            q->arena, "%.*s!0x%" PRIx64, STR_ARG(file.n ? file : STR("unknown")), loc->address);
    return slot && slot->p ? ST_OK : ST_RESOURCE_EXHAUSTED;
}

static enum status add_profile(
    struct query *q, const struct profile *f, uint32_t type, struct nametree *t, struct error *err)
{
    const struct prof_symbols *sym = f->sym;
    struct path p = {0};
    for (uint32_t i = 0; i < f->n_samples; i++) {
        int64_t value = f->values[(size_t)i * f->n_types + type];
        struct prof_stack s = sym->stacks[f->samples[i].stack];
        TRY(query_alive(q, err));
        p.n = 0;
        for (uint32_t k = s.n; value && k-- > 0;)
            if (add_frame(q, sym, sym->frames[s.first + k], &p) != ST_OK)
                return query_full(q, err);
        if (p.n)
            TRY(nametree_add_path(t, p.v, p.n, value, err));
    }
    return ST_OK;
}

static enum status add_stacks(
    struct query *q, const struct text_stacks *in, struct nametree *t, struct error *err)
{
    struct path p = {0};
    for (uint32_t i = 0; i < in->n_stacks; i++) {
        const struct text_stack *s = &in->stacks[i];
        TRY(query_alive(q, err));
        p.n = 0;
        for (uint32_t k = 0; k < s->n; k++) {
            struct str *slot = VEC_PUSH(q->arena, p);
            if (!slot)
                return query_full(q, err);
            *slot = in->names[in->frames[s->first + k]];
        }
        TRY(nametree_add_path(t, p.v, p.n, s->value, err));
    }
    return ST_OK;
}

static enum status make_tree(
    struct query *q, const struct adhoc *a, uint32_t type, struct nametree *t, struct error *err)
{
    enum status st = a->profile ? add_profile(q, a->profile, type, t, err)
                                : add_stacks(q, &a->stacks, t, err);
    if (st == ST_OK)
        st = nametree_finish(t, err);
    return query_status(q, st, err);
}

/* ── answers ── */

enum status adhoc_render(struct query *q, const struct adhoc *a, uint32_t type, int64_t max_nodes,
    struct buf *out, struct error *err)
{
    struct nametree t;
    struct m_flamegraph *g = NULL;
    int64_t nodes;
    ASSERT(type < a->n_types);
    TRY(query_nodes_check(q, max_nodes, &nodes, err));
    nametree_init(&t, q->arena);
    enum status st = make_tree(q, a, type, &t, err);
    if (st == ST_OK)
        st = tree_draw(q, &t, nodes, max_nodes, &g, err);
    nametree_done(&t);
    TRY(st);
    flame_json_graph(out, g);
    flame_json_metadata(out, a->types[type].type, a->types[type].unit, "single");
    buf_str(out, STR(",\"timeline\":null,\"groups\":null,\"heatmap\":null}"));
    return out->failed ? query_full(q, err) : ST_OK;
}

enum status adhoc_diff(struct query *q, struct adhoc_side left, struct adhoc_side right,
    int64_t max_nodes, struct buf *out, struct error *err)
{
    struct nametree trees[2];
    struct m_flamegraph_diff *g = NULL;
    const struct prof_type *type = &left.a->types[left.type];
    int64_t nodes;
    TRY(query_nodes_check(q, max_nodes, &nodes, err));
    nametree_init(&trees[0], q->arena);
    nametree_init(&trees[1], q->arena);
    enum status st = make_tree(q, left.a, left.type, &trees[0], err);
    if (st == ST_OK)
        st = make_tree(q, right.a, right.type, &trees[1], err);
    if (st == ST_OK)
        st = tree_draw_diff(q, &trees[0], &trees[1], nodes, &g, err);
    nametree_done(&trees[0]);
    nametree_done(&trees[1]);
    TRY(st);
    flame_json_diff(out, g, type->type, type->unit);
    return out->failed ? query_full(q, err) : ST_OK;
}
