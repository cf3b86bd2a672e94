/* Interning of the symbols of one dataset: see symtab.h.
 *
 * Every kind is a segmented vector plus an id map over it; lookups compare against the vector, so
 * nothing is stored twice. A whole stack is looked up by the hash of its location ids first: in a
 * steady service nearly every stack is known, and a hit costs one probe and a walk from the node to
 * the root that verifies it (hash collisions are therefore harmless).
 *
 * Invariants:
 *  1. ids are dense and never change; the first ones are those of symtab.h.
 *  2. nodes[i].parent < i for i > 0; every id an element holds existed before the element.
 *  3. `bytes` counts every chunk, table and text chunk.
 * Failure: an exhausted id space or no memory gives SYM_NONE or false and leaves the tables valid.
 * The store reserves by symtab_growth first, so that this does not happen half-way through. */
#include "model/symtab.h"

#include "base/hash.h"
#include "base/mem.h"

enum { SYM_MAX = 1 << 28, TEXT_FIRST = 4 * 1024, TEXT_CHUNK = 64 * 1024 };

struct sym_text {
    struct sym_text *older;
    size_t used, size;
    char data[];
};

void symtab_init(struct symtab *st)
{
    *st = (struct symtab){0};
    segvec_init(&st->strings, sizeof(struct str), SYM_MAX, &st->bytes);
    segvec_init(&st->functions, sizeof(struct sym_function), SYM_MAX, &st->bytes);
    segvec_init(&st->mappings, sizeof(struct sym_mapping), SYM_MAX, &st->bytes);
    segvec_init(&st->lines, sizeof(struct sym_line), SYM_MAX, &st->bytes);
    segvec_init(&st->locations, sizeof(struct sym_location), SYM_MAX, &st->bytes);
    segvec_init(&st->nodes, sizeof(struct sym_node), SYM_MAX, &st->bytes);
    struct idmap *maps[] = {&st->string_ids, &st->function_ids, &st->mapping_ids, &st->location_ids,
        &st->node_ids, &st->stack_ids};
    for (size_t i = 0; i < ARRAY_LEN(maps); i++)
        idmap_init(maps[i], &st->bytes);
    const struct sym_function lost = {.name = SYM_STRING_DAMAGED};
    const struct sym_location nowhere = {.mapping = SYM_NONE};
    const struct sym_line line = {SYM_FUNCTION_DAMAGED, 0};
    ASSERT(symtab_add_string(st, STR_EMPTY, true) &&
           symtab_add_string(st, STR(SYM_DAMAGED), true) && symtab_add_function(st, &lost, true) &&
           symtab_add_location(st, &nowhere, &line, 1, true));
    struct sym_node *root = segvec_push(&st->nodes);
    ASSERT(root);
    *root = (struct sym_node){0, SYM_NONE};
}

static void free_indexes(struct symtab *st)
{
    struct idmap *maps[] = {&st->string_ids, &st->function_ids, &st->mapping_ids, &st->location_ids,
        &st->node_ids, &st->stack_ids};
    for (size_t i = 0; i < ARRAY_LEN(maps); i++)
        idmap_done(maps[i]);
}

void symtab_done(struct symtab *st)
{
    free_indexes(st);
    struct segvec *vecs[] = {
        &st->strings, &st->functions, &st->mappings, &st->lines, &st->locations, &st->nodes};
    for (size_t i = 0; i < ARRAY_LEN(vecs); i++)
        segvec_done(vecs[i]);
    for (struct sym_text *t = st->text, *older; t; t = older) {
        older = t->older;
        mem_free(t);
    }
    *st = (struct symtab){0};
}

void symtab_seal(struct symtab *st)
{
    free_indexes(st);
    st->sealed = true;
}

struct sym_counts symtab_counts(const struct symtab *st)
{
    return (struct sym_counts){
        st->strings.n, st->functions.n, st->mappings.n, st->lines.n, st->locations.n, st->nodes.n};
}

/* Strings */

static const char *text_put(struct symtab *st, struct str s)
{
    struct sym_text *t = st->text;
    if (!t || t->size - t->used < s.n) {
        size_t next = t ? MIN(t->size * 2, (size_t)TEXT_CHUNK) : (size_t)TEXT_FIRST;
        size_t size = MAX(s.n, next);
        struct sym_text *fresh = mem_try(sizeof *fresh + size);
        if (!fresh)
            return NULL;
        *fresh = (struct sym_text){t, 0, size};
        st->text = t = fresh;
        st->bytes += sizeof *fresh + size;
    }
    char *p = t->data + t->used;
    if (s.n)
        memcpy(p, s.p, s.n);
    t->used += s.n;
    return p;
}

static uint32_t add_string(struct symtab *st, struct str s, uint64_t hash, bool index)
{
    const char *p = text_put(st, s);
    struct str *e = p ? segvec_push(&st->strings) : NULL;
    if (!e)
        return SYM_NONE;
    *e = str_make(p, s.n);
    uint32_t id = st->strings.n - 1;
    return !index || idmap_put(&st->string_ids, hash, id) ? id : SYM_NONE;
}

static uint32_t find_string(const struct symtab *st, struct str s, uint64_t hash)
{
    uint32_t id;
    struct idmap_probe p = idmap_start(&st->string_ids, hash);
    while (idmap_next(&st->string_ids, &p, &id))
        if (str_eq(sym_string(st, id), s))
            return id;
    return SYM_NONE;
}

uint32_t symtab_find_string(const struct symtab *st, struct str s)
{
    return find_string(st, s, hash_str(s));
}

uint32_t symtab_string(struct symtab *st, struct str s)
{
    uint64_t h = hash_str(s);
    uint32_t id = find_string(st, s, h);
    return id != SYM_NONE ? id : add_string(st, s, h, true);
}

bool symtab_add_string(struct symtab *st, struct str s, bool index)
{
    return add_string(st, s, index ? hash_str(s) : 0, index) != SYM_NONE;
}

/* Functions */

static uint64_t function_hash(const struct sym_function *f)
{
    uint64_t h = hash_u64((uint64_t)f->name << 32 | f->filename, f->system_name);
    return hash_u64(h, (uint64_t)f->start_line);
}

static uint32_t add_function(struct symtab *st, const struct sym_function *f, bool index)
{
    struct sym_function *e = segvec_push(&st->functions);
    if (!e)
        return SYM_NONE;
    *e = *f;
    uint32_t id = st->functions.n - 1;
    return !index || idmap_put(&st->function_ids, function_hash(f), id) ? id : SYM_NONE;
}

uint32_t symtab_function(struct symtab *st, const struct sym_function *f)
{
    uint32_t id;
    struct idmap_probe p = idmap_start(&st->function_ids, function_hash(f));
    while (idmap_next(&st->function_ids, &p, &id)) {
        const struct sym_function *e = sym_function(st, id);
        if (e->name == f->name && e->system_name == f->system_name && e->filename == f->filename &&
            e->start_line == f->start_line)
            return id;
    }
    return add_function(st, f, true);
}

bool symtab_add_function(struct symtab *st, const struct sym_function *f, bool index)
{
    return add_function(st, f, index) != SYM_NONE;
}

/* Mappings */

static uint64_t mapping_hash(const struct sym_mapping *m)
{
    uint64_t h = hash_u64(m->start, m->limit);
    h = hash_u64(h, m->offset);
    return hash_u64(h, (uint64_t)m->filename << 32 | (m->build_id ^ m->flags << 28));
}

static uint32_t add_mapping(struct symtab *st, const struct sym_mapping *m, bool index)
{
    struct sym_mapping *e = segvec_push(&st->mappings);
    if (!e)
        return SYM_NONE;
    *e = *m;
    uint32_t id = st->mappings.n - 1;
    return !index || idmap_put(&st->mapping_ids, mapping_hash(m), id) ? id : SYM_NONE;
}

uint32_t symtab_mapping(struct symtab *st, const struct sym_mapping *m)
{
    uint32_t id;
    struct idmap_probe p = idmap_start(&st->mapping_ids, mapping_hash(m));
    while (idmap_next(&st->mapping_ids, &p, &id)) {
        const struct sym_mapping *e = sym_mapping(st, id);
        if (e->start == m->start && e->limit == m->limit && e->offset == m->offset &&
            e->filename == m->filename && e->build_id == m->build_id && e->flags == m->flags)
            return id;
    }
    return add_mapping(st, m, true);
}

bool symtab_add_mapping(struct symtab *st, const struct sym_mapping *m, bool index)
{
    return add_mapping(st, m, index) != SYM_NONE;
}

/* Locations */

static uint64_t location_hash(
    const struct sym_location *loc, const struct sym_line *lines, uint32_t n)
{
    uint64_t h = hash_u64(loc->address, (uint64_t)loc->mapping << 1 | loc->folded);
    for (uint32_t i = 0; i < n; i++)
        h = hash_u64(h ^ lines[i].function, (uint64_t)lines[i].line);
    return h;
}

static bool location_eq(const struct symtab *st, const struct sym_location *e,
    const struct sym_location *loc, const struct sym_line *lines, uint32_t n)
{
    if (e->address != loc->address || e->mapping != loc->mapping || e->folded != loc->folded ||
        e->n_lines != n)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        const struct sym_line *l = sym_line(st, e->first_line + i);
        if (l->function != lines[i].function || l->line != lines[i].line)
            return false;
    }
    return true;
}

static uint32_t add_location(struct symtab *st, const struct sym_location *loc,
    const struct sym_line *lines, uint32_t n, bool index)
{
    uint32_t first = st->lines.n;
    for (uint32_t i = 0; i < n; i++) {
        struct sym_line *l = segvec_push(&st->lines);
        if (!l)
            return SYM_NONE;
        *l = lines[i];
    }
    struct sym_location *e = segvec_push(&st->locations);
    if (!e)
        return SYM_NONE;
    *e = *loc;
    e->first_line = first;
    e->n_lines = n;
    uint32_t id = st->locations.n - 1;
    return !index || idmap_put(&st->location_ids, location_hash(loc, lines, n), id) ? id : SYM_NONE;
}

uint32_t symtab_location(
    struct symtab *st, const struct sym_location *loc, const struct sym_line *lines, uint32_t n)
{
    uint32_t id;
    struct idmap_probe p = idmap_start(&st->location_ids, location_hash(loc, lines, n));
    while (idmap_next(&st->location_ids, &p, &id))
        if (location_eq(st, sym_location(st, id), loc, lines, n))
            return id;
    return add_location(st, loc, lines, n, true);
}

bool symtab_add_location(struct symtab *st, const struct sym_location *loc,
    const struct sym_line *lines, uint32_t n, bool index)
{
    return add_location(st, loc, lines, n, index) != SYM_NONE;
}

/* The stack tree */

static uint64_t node_hash(uint32_t parent, uint32_t location)
{
    return hash_u64(parent, (uint64_t)location << 32 | parent);
}

static uint32_t add_node(struct symtab *st, uint32_t parent, uint32_t location, bool index)
{
    struct sym_node *e = segvec_push(&st->nodes);
    if (!e)
        return SYM_NONE;
    *e = (struct sym_node){parent, location};
    uint32_t id = st->nodes.n - 1;
    ASSERT(parent < id);
    return !index || idmap_put(&st->node_ids, node_hash(parent, location), id) ? id : SYM_NONE;
}

uint32_t symtab_node(struct symtab *st, uint32_t parent, uint32_t location)
{
    uint32_t id;
    struct idmap_probe p = idmap_start(&st->node_ids, node_hash(parent, location));
    while (idmap_next(&st->node_ids, &p, &id)) {
        struct sym_node e = sym_node(st, id);
        if (e.parent == parent && e.location == location)
            return id;
    }
    return add_node(st, parent, location, true);
}

bool symtab_add_node(struct symtab *st, uint32_t parent, uint32_t location, bool index)
{
    return add_node(st, parent, location, index) != SYM_NONE;
}

static bool stack_is(const struct symtab *st, uint32_t node, const uint32_t *locations, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct sym_node e = sym_node(st, node);
        if (node == 0 || e.location != locations[i])
            return false;
        node = e.parent;
    }
    return node == 0;
}

uint32_t symtab_stack(struct symtab *st, const uint32_t *locations, uint32_t n)
{
    if (n == 0)
        return 0;
    uint64_t h = hash_bytes(locations, (size_t)n * sizeof *locations);
    uint32_t node;
    struct idmap_probe p = idmap_start(&st->stack_ids, h);
    while (idmap_next(&st->stack_ids, &p, &node))
        if (stack_is(st, node, locations, n))
            return node;
    node = 0;
    for (uint32_t i = n; i-- > 0 && node != SYM_NONE;)
        node = symtab_node(st, node, locations[i]);
    if (node == SYM_NONE || !idmap_put(&st->stack_ids, h, node))
        return SYM_NONE;
    return node;
}

size_t symtab_growth(const struct symtab *st, const struct sym_demand *d)
{
    /* Text: full chunks, plus one that may be started for the rest, plus the tail that is left. */
    size_t text = d->text_bytes ? d->text_bytes * 2 + TEXT_CHUNK + sizeof(struct sym_text) : 0;
    return text + segvec_growth(&st->strings, d->strings) +
           idmap_growth(&st->string_ids, d->strings) + segvec_growth(&st->functions, d->functions) +
           idmap_growth(&st->function_ids, d->functions) +
           segvec_growth(&st->mappings, d->mappings) + idmap_growth(&st->mapping_ids, d->mappings) +
           segvec_growth(&st->lines, d->lines) + segvec_growth(&st->locations, d->locations) +
           idmap_growth(&st->location_ids, d->locations) + segvec_growth(&st->nodes, d->nodes) +
           idmap_growth(&st->node_ids, d->nodes) + idmap_growth(&st->stack_ids, d->stacks);
}
