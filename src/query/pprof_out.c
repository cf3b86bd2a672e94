/* pprof output: the stacks of all parts of a selection as one google.v1.Profile.
 *
 * Parts have symbols of their own, so their stacks are interned into one symbol table first, in
 * which equal location lists are one node:
 *
 *     part: sums[node] ─► merged: symtab + sums[node] ─► (cut) ─► samples, locations, functions …
 *
 * What the request asks for is done on the way: Go PGO keeps the leaf-most locations of a stack
 * (and forgets the leaf's line), the cut moves the values of nodes below the threshold of the name
 * tree to a child `other` of their last node that stays. Only what a sample refers to is written,
 * with dense ids from 1 in the order of first use.
 *
 * Invariants: the sum of all samples is the sum of the selection (empty stacks, which flame graphs
 * do not draw either, excepted). Memory: the table is on the heap and held against what the query's
 * budget has left; all else is in the arena; the answer owns its texts.
 * Failure: a status; the table is freed. */
#include "codec/profile.h"
#include "model/symtab.h"
#include "query/query_int.h"

enum { CHECK_BYTES_EVERY = 1024 };

struct merged {
    struct query *q;
    const struct m_go_pgo *pgo; /* or NULL */
    struct symtab sym;
    MSG_LIST(int64_t) sums; /* by node of sym */
};

/* Part ids to ids of the merged table, SYM_NONE where not met yet; in scratch, one part at a time.
 */
struct id_maps {
    const struct symtab *from;
    uint32_t *locations, *nodes;
    struct arena *scratch;
    MSG_LIST(struct sym_line) lines;
    MSG_LIST(uint32_t) stack;
};

static bool over_budget(const struct merged *m)
{
    return m->sym.bytes > query_left(m->q);
}

static enum status add_sum(struct merged *m, uint32_t node, int64_t value, struct error *err)
{
    while (m->sums.n <= node) {
        int64_t *slot = VEC_PUSH(m->q->arena, m->sums);
        if (!slot)
            return query_full(m->q, err);
        *slot = 0;
    }
    if (__builtin_add_overflow(m->sums.v[node], value, &m->sums.v[node]))
        return query_overflow(err);
    return ST_OK;
}

/* Interning a part */

static uint32_t move_string(struct merged *m, const struct id_maps *ids, uint32_t string)
{
    return symtab_string(&m->sym, sym_string(ids->from, string));
}

static uint32_t move_function(struct merged *m, const struct id_maps *ids, uint32_t function)
{
    const struct sym_function *f = sym_function(ids->from, function);
    struct sym_function copy = {.name = move_string(m, ids, f->name),
        .system_name = move_string(m, ids, f->system_name),
        .filename = move_string(m, ids, f->filename),
        .start_line = f->start_line};
    if (copy.name == SYM_NONE || copy.system_name == SYM_NONE || copy.filename == SYM_NONE)
        return SYM_NONE;
    return symtab_function(&m->sym, &copy);
}

static uint32_t move_mapping(struct merged *m, const struct id_maps *ids, uint32_t mapping)
{
    struct sym_mapping copy = *sym_mapping(ids->from, mapping);
    copy.filename = move_string(m, ids, copy.filename);
    copy.build_id = move_string(m, ids, copy.build_id);
    if (copy.filename == SYM_NONE || copy.build_id == SYM_NONE)
        return SYM_NONE;
    return symtab_mapping(&m->sym, &copy);
}

/* `no_line`: the line numbers and the address are dropped, so that samples of one function meet. */
static uint32_t move_location(
    struct merged *m, struct id_maps *ids, uint32_t location, bool no_line)
{
    const struct sym_location *loc = sym_location(ids->from, location);
    struct sym_location copy = *loc;
    ids->lines.n = 0;
    for (uint32_t i = 0; i < loc->n_lines; i++) {
        struct sym_line *line = VEC_PUSH(ids->scratch, ids->lines);
        if (!line)
            return SYM_NONE;
        *line = *sym_line(ids->from, loc->first_line + i);
        line->line = no_line ? 0 : line->line;
        line->function = move_function(m, ids, line->function);
        if (line->function == SYM_NONE)
            return SYM_NONE;
    }
    if (no_line && loc->n_lines)
        copy.address = 0;
    if (copy.mapping != SYM_NONE) {
        copy.mapping = move_mapping(m, ids, copy.mapping);
        if (copy.mapping == SYM_NONE)
            return SYM_NONE;
    }
    return symtab_location(&m->sym, &copy, ids->lines.v, ids->lines.n);
}

static uint32_t known_location(struct merged *m, struct id_maps *ids, uint32_t location)
{
    if (ids->locations[location] == SYM_NONE)
        ids->locations[location] = move_location(m, ids, location, false);
    return ids->locations[location];
}

/* The leaf-most locations of a stack, as a stack. */
static uint32_t move_pgo_stack(struct merged *m, struct id_maps *ids, uint32_t node)
{
    uint32_t left = m->pgo->keep_locations ? m->pgo->keep_locations : UINT32_MAX;
    ids->stack.n = 0;
    for (; node && left; left--) {
        struct sym_node at = sym_node(ids->from, node);
        bool leaf = ids->stack.n == 0 && m->pgo->aggregate_callees;
        uint32_t *slot = VEC_PUSH(ids->scratch, ids->stack);
        uint32_t location = leaf ? move_location(m, ids, at.location, true)
                                 : known_location(m, ids, at.location);
        if (!slot || location == SYM_NONE)
            return SYM_NONE;
        *slot = location;
        node = at.parent;
    }
    return symtab_stack(&m->sym, ids->stack.v, ids->stack.n);
}

static bool init_maps(struct id_maps *ids, const struct exec_part *ep, struct arena *scratch)
{
    *ids = (struct id_maps){.from = &ep->part->sym, .scratch = scratch};
    size_t locations = 0;
    for (uint32_t i = 1; i < ep->n_nodes; i++)
        locations = MAX(locations, (size_t)sym_node(ids->from, i).location + 1);
    ids->locations = ARENA_ARRAY(scratch, uint32_t, locations);
    ids->nodes = ARENA_ZARRAY(scratch, uint32_t, ep->n_nodes);
    if (!ids->locations || !ids->nodes)
        return false;
    memset(ids->locations, 0xFF, locations * sizeof(uint32_t));
    return true;
}

/* nodes[i] = 1 where a value is at or below. */
static void mark_used(struct id_maps *ids, const int64_t *sums, uint32_t n_nodes)
{
    for (uint32_t i = n_nodes; i-- > 1;) {
        if (sums[i] == 0 && ids->nodes[i] == 0)
            continue;
        ids->nodes[i] = 1;
        ids->nodes[sym_node(ids->from, i).parent] = 1;
    }
    ids->nodes[0] = 0;
}

static enum status merge_part(struct merged *m, const struct exec_part *ep, const int64_t *sums,
    struct arena *scratch, struct error *err)
{
    struct id_maps ids;
    if (!init_maps(&ids, ep, scratch))
        return query_full(m->q, err);
    if (!m->pgo)
        mark_used(&ids, sums, ep->n_nodes);
    for (uint32_t i = 1; i < ep->n_nodes; i++) {
        uint32_t node = SYM_NONE;
        TRY(query_alive(m->q, err));
        if (m->pgo ? sums[i] == 0 : ids.nodes[i] == 0)
            continue;
        if (i % CHECK_BYTES_EVERY == 0 && over_budget(m))
            return query_full(m->q, err);
        if (m->pgo) {
            node = move_pgo_stack(m, &ids, i);
        } else {
            struct sym_node at = sym_node(ids.from, i);
            uint32_t location = known_location(m, &ids, at.location);
            if (location != SYM_NONE)
                node = symtab_node(&m->sym, ids.nodes[at.parent], location);
            ids.nodes[i] = node;
        }
        if (node == SYM_NONE)
            return query_full(m->q, err);
        TRY(add_sum(m, node, sums[i], err));
    }
    return over_budget(m) ? query_full(m->q, err) : ST_OK;
}

/* Cutting */

/* The name node of `location` called from `at`; SYM_NONE without memory. */
static uint32_t name_node(
    struct nametree *t, const struct symtab *sym, uint32_t at, uint32_t location)
{
    const struct sym_location *loc = sym_location(sym, location);
    if (loc->n_lines == 0) {
        /* Only equality counts here: one name per unsymbolised location. */
        char text[32];
        int n = snprintf(text, sizeof text, "!%u", location);
        uint32_t name = nametree_name(t, str_make(text, (size_t)n));
        return name == SYM_NONE ? SYM_NONE : nametree_child(t, at, name);
    }
    for (uint32_t i = loc->n_lines; i-- > 0 && at != SYM_NONE;) {
        uint32_t f = sym_line(sym, loc->first_line + i)->function;
        uint32_t name = nametree_name(t, sym_string(sym, sym_function(sym, f)->name));
        at = name == SYM_NONE ? SYM_NONE : nametree_child(t, at, name);
    }
    return at;
}

/* names[i] = name node of node i. */
static enum status name_nodes(
    struct merged *m, struct nametree *t, uint32_t *names, struct error *err)
{
    names[0] = 0;
    for (uint32_t i = 1; i < m->sums.n; i++) {
        struct sym_node node = sym_node(&m->sym, i);
        TRY(query_alive(m->q, err));
        names[i] = name_node(t, &m->sym, names[node.parent], node.location);
        if (names[i] == SYM_NONE)
            return query_full(m->q, err);
        int64_t *self = &t->nodes[names[i]].self;
        if (__builtin_add_overflow(*self, m->sums.v[i], self))
            return query_overflow(err);
    }
    return query_status(m->q, nametree_finish(t, err), err);
}

/* Moves the value of every node that is cut to the `other` below its last kept node. */
static enum status move_to_other(struct merged *m, const struct nametree *t, const uint32_t *names,
    int64_t min, struct error *err)
{
    struct sym_function f = {.name = symtab_string(&m->sym, STR("other"))};
    f.system_name = f.name;
    struct sym_line line = {.function = symtab_function(&m->sym, &f)};
    struct sym_location loc = {.mapping = SYM_NONE};
    uint32_t other = symtab_location(&m->sym, &loc, &line, 1), n = m->sums.n;
    uint32_t *last = ARENA_ARRAY(m->q->arena, uint32_t, n);
    if (other == SYM_NONE || !last)
        return query_full(m->q, err);
    last[0] = 0;
    for (uint32_t i = 1; i < n; i++) {
        uint32_t parent = sym_node(&m->sym, i).parent;
        bool kept = t->nodes[names[i]].total >= min; /* then so are its ancestors */
        last[i] = kept ? i : last[parent];
        int64_t value = m->sums.v[i];
        if (kept || value == 0)
            continue;
        uint32_t to = symtab_node(&m->sym, last[i], other);
        if (to == SYM_NONE)
            return query_full(m->q, err);
        m->sums.v[i] = 0;
        TRY(add_sum(m, to, value, err));
    }
    return ST_OK;
}

static enum status cut(struct merged *m, int64_t max_nodes, struct error *err)
{
    uint32_t *names = ARENA_ARRAY(m->q->arena, uint32_t, m->sums.n + 1);
    struct nametree t;
    if (!names)
        return query_full(m->q, err);
    nametree_init(&t, m->q->arena);
    enum status st = name_nodes(m, &t, names, err);
    if (st == ST_OK) {
        int64_t min = nametree_threshold(&t, max_nodes, m->q->arena);
        if (min < 0)
            st = query_full(m->q, err);
        else if (min > 0)
            st = move_to_other(m, &t, names, min, err);
    }
    nametree_done(&t);
    return st;
}

/* Writing */

struct writer {
    struct query *q;
    const struct symtab *sym;
    struct m_profile *out;
    /* Merged id → id of the output, 0 where it has none yet. */
    uint32_t *strings, *functions, *mappings, *locations;
};

static enum status out_string(struct writer *w, uint32_t string, int64_t *ret, struct error *err)
{
    if (string && !w->strings[string]) {
        struct str *slot = VEC_PUSH(w->q->arena, w->out->string_table);
        if (!slot)
            return query_full(w->q, err);
        TRY(query_copy(w->q, sym_string(w->sym, string), slot, err));
        w->strings[string] = w->out->string_table.n - 1;
    }
    *ret = w->strings[string];
    return ST_OK;
}

static enum status out_function(
    struct writer *w, uint32_t function, uint64_t *ret, struct error *err)
{
    if (!w->functions[function]) {
        const struct sym_function *f = sym_function(w->sym, function);
        struct m_pprof_function *slot = VEC_PUSH(w->q->arena, w->out->function);
        if (!slot)
            return query_full(w->q, err);
        w->functions[function] = w->out->function.n;
        *slot = (struct m_pprof_function){.id = w->out->function.n, .start_line = f->start_line};
        TRY(out_string(w, f->name, &slot->name, err));
        TRY(out_string(w, f->system_name, &slot->system_name, err));
        TRY(out_string(w, f->filename, &slot->filename, err));
    }
    *ret = w->functions[function];
    return ST_OK;
}

static enum status out_mapping(struct writer *w, uint32_t mapping, uint64_t *ret, struct error *err)
{
    if (!w->mappings[mapping]) {
        const struct sym_mapping *m = sym_mapping(w->sym, mapping);
        struct m_pprof_mapping *slot = VEC_PUSH(w->q->arena, w->out->mapping);
        if (!slot)
            return query_full(w->q, err);
        w->mappings[mapping] = w->out->mapping.n;
        *slot = (struct m_pprof_mapping){.id = w->out->mapping.n,
            .memory_start = m->start,
            .memory_limit = m->limit,
            .file_offset = m->offset,
            .has_functions = m->flags & PROF_HAS_FUNCTIONS,
            .has_filenames = m->flags & PROF_HAS_FILENAMES,
            .has_line_numbers = m->flags & PROF_HAS_LINE_NUMBERS,
            .has_inline_frames = m->flags & PROF_HAS_INLINE_FRAMES};
        TRY(out_string(w, m->filename, &slot->filename, err));
        TRY(out_string(w, m->build_id, &slot->build_id, err));
    }
    *ret = w->mappings[mapping];
    return ST_OK;
}

static enum status out_lines(struct writer *w, const struct sym_location *loc,
    struct m_pprof_location *out, struct error *err)
{
    out->line.v = ARENA_ZARRAY(w->q->arena, struct m_pprof_line, loc->n_lines);
    if (!out->line.v)
        return query_full(w->q, err);
    out->line.n = loc->n_lines;
    for (uint32_t i = 0; i < loc->n_lines; i++) {
        const struct sym_line *line = sym_line(w->sym, loc->first_line + i);
        out->line.v[i].line = line->line;
        TRY(out_function(w, line->function, &out->line.v[i].function_id, err));
    }
    return ST_OK;
}

static enum status out_location(
    struct writer *w, uint32_t location, uint64_t *ret, struct error *err)
{
    if (!w->locations[location]) {
        const struct sym_location *loc = sym_location(w->sym, location);
        struct m_pprof_location *slot = VEC_PUSH(w->q->arena, w->out->location);
        if (!slot)
            return query_full(w->q, err);
        w->locations[location] = w->out->location.n;
        *slot = (struct m_pprof_location){
            .id = w->out->location.n, .address = loc->address, .is_folded = loc->folded};
        TRY(out_lines(w, loc, slot, err));
        if (loc->mapping != SYM_NONE)
            TRY(out_mapping(w, loc->mapping, &slot->mapping_id, err));
    }
    *ret = w->locations[location];
    return ST_OK;
}

static enum status out_sample(struct writer *w, uint32_t node, int64_t value, struct error *err)
{
    uint32_t depth = 0;
    for (uint32_t at = node; at; at = sym_node(w->sym, at).parent)
        depth++;
    struct m_pprof_sample *slot = VEC_PUSH(w->q->arena, w->out->sample);
    int64_t *v = arena_alloc(w->q->arena, sizeof *v);
    uint64_t *ids = ARENA_ARRAY(w->q->arena, uint64_t, depth);
    if (!slot || !v || !ids)
        return query_full(w->q, err);
    *v = value;
    *slot = (struct m_pprof_sample){.location_id = {ids, depth, depth}, .value = {v, 1, 1}};
    for (uint32_t at = node; at; at = sym_node(w->sym, at).parent)
        TRY(out_location(w, sym_node(w->sym, at).location, ids++, err));
    return ST_OK;
}

static enum status out_header(
    struct writer *w, struct symtab *sym, const struct selection *s, struct error *err)
{
    struct m_value_type *sample = ARENA_NEW(w->q->arena, struct m_value_type);
    struct m_value_type *period = ARENA_NEW(w->q->arena, struct m_value_type);
    struct str *empty = VEC_PUSH(w->q->arena, w->out->string_table);
    if (!sample || !period || !empty)
        return query_full(w->q, err);
    *empty = STR_EMPTY;
    struct str texts[] = {
        s->type.sample_type, s->type.sample_unit, s->type.period_type, s->type.period_unit};
    int64_t *to[] = {&sample->type, &sample->unit, &period->type, &period->unit};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        TRY(out_string(w, symtab_string(sym, texts[i]), to[i], err));
    w->out->sample_type.v = sample;
    w->out->sample_type.n = 1;
    w->out->default_sample_type = sample->type;
    w->out->period_type = period;
    w->out->time_nanos = query_ms_to_ns(s->range.end_ms);
    w->out->period = str_eq(s->type.name, STR("process_cpu")) ? NS_PER_S
                     : str_eq(s->type.name, STR("memory"))    ? 524288
                                                              : 1;
    return ST_OK;
}

static enum status write_profile(
    struct merged *m, const struct selection *s, struct m_profile *out, struct error *err)
{
    struct arena *arena = m->q->arena;
    struct str texts[] = {
        s->type.sample_type, s->type.sample_unit, s->type.period_type, s->type.period_unit};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (symtab_string(&m->sym, texts[i]) == SYM_NONE)
            return query_full(m->q, err);
    struct sym_counts n = symtab_counts(&m->sym);
    struct writer w = {.q = m->q, .sym = &m->sym, .out = out};
    w.strings = ARENA_ZARRAY(arena, uint32_t, n.strings);
    w.functions = ARENA_ZARRAY(arena, uint32_t, n.functions);
    w.mappings = ARENA_ZARRAY(arena, uint32_t, n.mappings);
    w.locations = ARENA_ZARRAY(arena, uint32_t, n.locations);
    if (!w.strings || !w.functions || !w.mappings || !w.locations)
        return query_full(m->q, err);
    TRY(out_header(&w, &m->sym, s, err));
    for (uint32_t i = 1; i < m->sums.n; i++) {
        TRY(query_alive(m->q, err));
        if (m->sums.v[i])
            TRY(out_sample(&w, i, m->sums.v[i], err));
    }
    return ST_OK;
}

static bool has_values(const struct merged *m)
{
    for (uint32_t i = 1; i < m->sums.n; i++)
        if (m->sums.v[i])
            return true;
    return false;
}

static enum status merge_all(
    struct merged *m, const struct selection *s, struct exec *x, struct error *err)
{
    struct exec_sums sums = {0};
    TRY(selection_open(m->q, s, x, err));
    for (uint32_t i = 0; i < x->parts.n; i++) {
        struct exec_part *ep = &x->parts.v[i];
        bool any;
        TRY(exec_enter(x, ep, &any, err));
        if (!any)
            continue;
        TRY(exec_sum_part(x, ep, &s->rules, &sums, err));
        arena_reset(&x->rows);
        if (sums.any)
            TRY(merge_part(m, ep, sums.v, &x->rows, err));
        exec_leave(x);
    }
    return ST_OK;
}

enum status selection_pprof(struct query *q, const struct selection *s, int64_t max_nodes,
    const struct m_go_pgo *pgo, struct m_profile *ret_profile, struct error *err)
{
    struct merged m = {.q = q, .pgo = pgo};
    struct exec x = {0};
    struct m_profile profile = {0};
    symtab_init(&m.sym);
    enum status st = merge_all(&m, s, &x, err);
    exec_close(&x);
    if (st == ST_OK && has_values(&m)) {
        if (max_nodes > 0)
            st = cut(&m, max_nodes, err);
        if (st == ST_OK)
            st = write_profile(&m, s, &profile, err);
    }
    symtab_done(&m.sym);
    if (st == ST_OK)
        *ret_profile = profile;
    return st;
}
