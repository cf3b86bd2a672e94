/* Strings, functions, mappings and locations of a pprof, sanitised and each once: see pprof.h.
 *
 *     location ──► lines ──► function ──► strings
 *         └──────► mapping ─────────────────┘
 *
 * Symbols are made when a kept sample first asks for them, so what only removed samples used never
 * appears. Each is looked up by content before it is added: equal functions of two ids become one,
 * and so do locations that differ only in what is cleared (the addresses of symbolised mappings).
 * Stacks that thereby become equal are summed, as they would be later anyway.
 *
 * Removed: locations with no line and no address, with an unknown mapping, or with a line whose
 * function is unknown. Locations without a mapping share one empty mapping.
 *
 * Invariants: 1. Arrays and maps have their final size from the start, nothing fails later
 * (asserted). 2. What is hashed are seeded hashes of bytes, so that input cannot aim at the maps.
 * 3. A location keeps its address when it has nothing else.
 * Thread: the caller's. Failure: only a full arena, at the start. */
#include "codec/pprof_int.h"

#include "base/hash.h"

enum { TABLE_FACTOR = 4, TABLE_MIN = 1024 };

/* ── ids ── */

static uint64_t id_at(const struct pprof_ids *ids, uint32_t i)
{
    uint64_t id;
    memcpy(&id, ids->first + i * ids->stride, sizeof id);
    return id;
}

uint32_t pprof_ids_find_sparse(const struct pprof_ids *ids, uint64_t id)
{
    struct idmap_probe probe = idmap_start(&ids->map, hash_bytes(&id, sizeof id));
    uint32_t i;
    while (idmap_next(&ids->map, &probe, &i))
        if (id_at(ids, i) == id)
            return i;
    return PROF_NONE;
}

static bool ids_map(struct pprof_ids *ids, struct arena *arena, uint32_t n)
{
    if (!arena_map_reserve(&ids->map, arena, n))
        return false;
    for (uint32_t i = n; i-- > 0;) {
        uint64_t id = id_at(ids, i);
        if (id == 0 || pprof_ids_find_sparse(ids, id) != PROF_NONE)
            continue;
        if (!arena_map_put(&ids->map, arena, hash_bytes(&id, sizeof id), i))
            return false;
    }
    return true;
}

static bool ids_init(
    struct pprof_ids *ids, const void *first, size_t stride, uint32_t n, struct arena *arena)
{
    uint64_t max = 0;
    *ids = (struct pprof_ids){.first = first, .stride = stride};
    for (uint32_t i = 0; i < n; i++)
        max = MAX(max, id_at(ids, i));
    if (max / TABLE_FACTOR > n && max > TABLE_MIN)
        return ids_map(ids, arena, n);
    ids->n_table = max + 1;
    ids->table = ARENA_ARRAY(arena, uint32_t, ids->n_table);
    if (!ids->table)
        return false;
    memset(ids->table, 0xFF, ids->n_table * sizeof *ids->table); /* PROF_NONE */
    for (uint32_t i = 0; i < n; i++)
        ids->table[id_at(ids, i)] = i;
    ids->table[0] = PROF_NONE;
    return true;
}

/* ── setting up ── */

static uint32_t *pending(struct arena *arena, uint32_t n)
{
    uint32_t *v = ARENA_ARRAY(arena, uint32_t, n);
    for (uint32_t i = 0; v && i < n; i++)
        v[i] = PPROF_PENDING;
    return v;
}

static bool arrays_init(struct pprof_norm *n)
{
    const struct pprof *p = n->p;
    struct prof_symbols *sym = n->sym;
    struct arena *a = n->arena;
    uint64_t lines = 0;
    for (uint32_t i = 0; i < p->n_locations; i++)
        lines += p->locations[i].n_lines;
    if (lines >= PPROF_PENDING)
        return false;
    n->string_of = pending(a, p->n_strings);
    n->location_of = pending(a, p->n_locations);
    n->function_of = pending(a, p->n_functions);
    n->mapping_of = pending(a, p->n_mappings);
    n->stub_mapping = PPROF_PENDING;
    sym->strings = ARENA_ARRAY(a, struct str, (size_t)p->n_strings + 1);
    sym->functions = ARENA_ARRAY(a, struct prof_function, p->n_functions);
    sym->mappings = ARENA_ARRAY(a, struct prof_mapping, (size_t)p->n_mappings + 1);
    sym->locations = ARENA_ARRAY(a, struct prof_location, p->n_locations);
    sym->lines = ARENA_ARRAY(a, struct prof_line, lines);
    return n->string_of && n->location_of && n->function_of && n->mapping_of && sym->strings &&
           sym->functions && sym->mappings && sym->locations && sym->lines;
}

bool pprof_symbols_init(struct pprof_norm *n)
{
    const struct pprof *p = n->p;
    struct arena *a = n->arena;
    bool ok = p->n_strings < PPROF_PENDING && p->n_mappings < PPROF_PENDING && arrays_init(n) &&
              ids_init(&n->locations, p->locations, sizeof *p->locations, p->n_locations, a) &&
              ids_init(&n->functions, p->functions, sizeof *p->functions, p->n_functions, a) &&
              ids_init(&n->mappings, p->mappings, sizeof *p->mappings, p->n_mappings, a) &&
              arena_map_reserve(&n->by_string, a, p->n_strings + 1) &&
              arena_map_reserve(&n->by_function, a, p->n_functions) &&
              arena_map_reserve(&n->by_mapping, a, p->n_mappings + 1) &&
              arena_map_reserve(&n->by_location, a, p->n_locations);
    if (!ok)
        return false;
    n->sym->strings[0] = STR_EMPTY;
    n->sym->n_strings = 1;
    return arena_map_put(&n->by_string, a, hash_str(STR_EMPTY), 0);
}

static void put(struct pprof_norm *n, struct idmap *m, uint64_t hash, uint32_t id)
{
    bool ok = arena_map_put(m, n->arena, hash, id);
    ASSERT(ok);
}

/* ── symbols ── */

static uint32_t string_intern(struct pprof_norm *n, struct str s)
{
    struct prof_symbols *sym = n->sym;
    uint64_t hash = hash_str(s);
    struct idmap_probe probe = idmap_start(&n->by_string, hash);
    uint32_t i;
    while (idmap_next(&n->by_string, &probe, &i))
        if (str_eq(sym->strings[i], s))
            return i;
    put(n, &n->by_string, hash, sym->n_strings);
    sym->strings[sym->n_strings] = s;
    return sym->n_strings++;
}

uint32_t pprof_string(struct pprof_norm *n, int64_t i)
{
    if ((uint64_t)i >= n->p->n_strings)
        return 0;
    if (n->string_of[i] == PPROF_PENDING)
        n->string_of[i] = string_intern(n, n->p->strings[i]);
    return n->string_of[i];
}

static uint32_t function_intern(struct pprof_norm *n, const struct prof_function *f)
{
    struct prof_symbols *sym = n->sym;
    uint64_t key[] = {f->name, f->system_name, f->filename, (uint64_t)f->start_line};
    uint64_t hash = hash_bytes(key, sizeof key);
    struct idmap_probe probe = idmap_start(&n->by_function, hash);
    uint32_t i;
    while (idmap_next(&n->by_function, &probe, &i)) {
        const struct prof_function *g = &sym->functions[i];
        if (g->name == f->name && g->system_name == f->system_name && g->filename == f->filename &&
            g->start_line == f->start_line)
            return i;
    }
    put(n, &n->by_function, hash, sym->n_functions);
    sym->functions[sym->n_functions] = *f;
    return sym->n_functions++;
}

/* PROF_NONE when there is no such function. */
static uint32_t function_of(struct pprof_norm *n, uint64_t id)
{
    uint32_t i = pprof_ids_find(&n->functions, id);
    if (i == PROF_NONE || n->function_of[i] != PPROF_PENDING)
        return i == PROF_NONE ? i : n->function_of[i];
    const struct pprof_function *f = &n->p->functions[i];
    struct prof_function made = {.name = pprof_string(n, f->name),
        .system_name = pprof_string(n, f->system_name),
        .filename = pprof_string(n, f->filename),
        .start_line = f->start_line};
    return n->function_of[i] = function_intern(n, &made);
}

static uint32_t mapping_intern(struct pprof_norm *n, const struct prof_mapping *m)
{
    struct prof_symbols *sym = n->sym;
    uint64_t key[] = {m->start, m->limit, m->offset, m->filename, m->build_id, m->flags};
    uint64_t hash = hash_bytes(key, sizeof key);
    struct idmap_probe probe = idmap_start(&n->by_mapping, hash);
    uint32_t i;
    while (idmap_next(&n->by_mapping, &probe, &i)) {
        const struct prof_mapping *o = &sym->mappings[i];
        if (o->start == m->start && o->limit == m->limit && o->offset == m->offset &&
            o->filename == m->filename && o->build_id == m->build_id && o->flags == m->flags)
            return i;
    }
    put(n, &n->by_mapping, hash, sym->n_mappings);
    sym->mappings[sym->n_mappings] = *m;
    return sym->n_mappings++;
}

static uint32_t stub_mapping(struct pprof_norm *n)
{
    static const struct prof_mapping none;
    if (n->stub_mapping == PPROF_PENDING)
        n->stub_mapping = mapping_intern(n, &none);
    return n->stub_mapping;
}

/* PROF_NONE when there is no such mapping. */
static uint32_t mapping_of(struct pprof_norm *n, uint64_t id)
{
    if (id == 0)
        return stub_mapping(n);
    uint32_t i = pprof_ids_find(&n->mappings, id);
    if (i == PROF_NONE || n->mapping_of[i] != PPROF_PENDING)
        return i == PROF_NONE ? i : n->mapping_of[i];
    const struct pprof_mapping *m = &n->p->mappings[i];
    struct prof_mapping made = {.filename = pprof_string(n, m->filename),
        .build_id = pprof_string(n, m->build_id),
        .flags = m->flags};
    if (!(m->flags & PROF_HAS_FUNCTIONS)) { /* so that equal frames of other builds unify */
        made.start = m->start;
        made.limit = m->limit;
        made.offset = m->offset;
    }
    return n->mapping_of[i] = mapping_intern(n, &made);
}

static bool location_eq(
    const struct prof_symbols *sym, const struct prof_location *a, const struct prof_location *b)
{
    if (a->address != b->address || a->mapping != b->mapping || a->n_lines != b->n_lines ||
        a->folded != b->folded)
        return false;
    for (uint32_t k = 0; k < a->n_lines; k++) {
        const struct prof_line *x = &sym->lines[a->first_line + k];
        const struct prof_line *y = &sym->lines[b->first_line + k];
        if (x->function != y->function || x->line != y->line)
            return false;
    }
    return true;
}

/* Its lines are the last of sym->lines and leave again when the location is known. */
static uint32_t location_intern(struct pprof_norm *n, const struct prof_location *l)
{
    struct prof_symbols *sym = n->sym;
    uint64_t head[] = {l->address, l->mapping, l->n_lines, l->folded};
    uint64_t hash = hash_bytes(head, sizeof head);
    for (uint32_t k = 0; k < l->n_lines; k++) {
        const struct prof_line *line = &sym->lines[l->first_line + k];
        uint64_t key[] = {hash, line->function, (uint64_t)line->line};
        hash = hash_bytes(key, sizeof key);
    }
    struct idmap_probe probe = idmap_start(&n->by_location, hash);
    uint32_t i;
    while (idmap_next(&n->by_location, &probe, &i)) {
        if (!location_eq(sym, &sym->locations[i], l))
            continue;
        sym->n_lines = l->first_line;
        return i;
    }
    put(n, &n->by_location, hash, sym->n_locations);
    sym->locations[sym->n_locations] = *l;
    return sym->n_locations++;
}

/* Appends the lines of l; false when one has no function. */
static bool lines_make(struct pprof_norm *n, const struct pprof_location *l)
{
    struct prof_symbols *sym = n->sym;
    for (uint32_t k = 0; k < l->n_lines; k++) {
        const struct pprof_line *line = &n->p->lines[l->first_line + k];
        uint32_t f = function_of(n, line->function_id);
        if (f == PROF_NONE)
            return false;
        sym->lines[sym->n_lines++] = (struct prof_line){.function = f, .line = line->line};
    }
    return true;
}

void pprof_location_make(struct pprof_norm *n, uint32_t i)
{
    struct prof_symbols *sym = n->sym;
    const struct pprof_location *l = &n->p->locations[i];
    uint32_t first_line = sym->n_lines;
    n->location_of[i] = PROF_NONE;
    if (l->n_lines == 0 && l->address == 0)
        return;
    uint32_t mapping = mapping_of(n, l->mapping_id);
    if (mapping == PROF_NONE)
        return;
    if (!lines_make(n, l)) {
        sym->n_lines = first_line;
        return;
    }
    bool symbolised = sym->mappings[mapping].flags & PROF_HAS_FUNCTIONS;
    struct prof_location made = {.address = symbolised && l->n_lines ? 0 : l->address,
        .mapping = mapping,
        .first_line = first_line,
        .n_lines = l->n_lines,
        .folded = l->folded};
    n->location_of[i] = location_intern(n, &made);
}
