/* See fixture_parts.h. Everything is small, so there are no limits here but assertions. */
#include "fixture_parts.h"

#include "base/mem.h"
#include "model/labels.h"

static struct str keep(struct store *f, struct str s)
{
    struct str copy = arena_str(&f->arena, s);
    ASSERT(copy.p);
    return copy;
}

void fixture_init(struct store *f)
{
    *f = (struct store){.next_seq = 1};
    arena_init(&f->arena, 256 * MIB);
}

void fixture_done(struct store *f)
{
    ASSERT(f->views == 0 && f->entered == 0);
    for (uint32_t i = 0; i < f->n_parts; i++) {
        if (f->light[i])
            segvec_done(&f->light[i]->rows);
        mem_free(f->light[i]);
        symtab_done(&f->parts[i]->sym);
        segvec_done(&f->parts[i]->series);
        segvec_done(&f->parts[i]->rows);
        mem_free(f->parts[i]);
    }
    arena_done(&f->arena);
}

struct part *fixture_part(struct store *f, const char *tenant, const char *service)
{
    ASSERT(f->n_parts < FIXTURE_PARTS_MAX);
    struct part *p = NEW(struct part);
    p->tenant = keep(f, str_from(tenant));
    p->service = keep(f, str_from(service));
    symtab_init(&p->sym);
    segvec_init(&p->series, sizeof(struct part_series), 1 << 20, NULL);
    segvec_init(&p->rows, sizeof(struct part_row), 1 << 20, NULL);
    atomic_store(&p->time_min, INT64_MAX);
    atomic_store(&p->time_max, INT64_MIN);
    f->parts[f->n_parts++] = p;
    return p;
}

static struct part_type read_type(struct store *f, struct str s)
{
    size_t colon = str_find_char(s, ':');
    if (colon == STR_NPOS)
        return (struct part_type){STR_EMPTY, STR_EMPTY};
    return (struct part_type){keep(f, str_head(s, colon)), keep(f, str_skip(s, colon + 1))};
}

uint32_t fixture_series(struct store *f, struct part *p, const char *name, const char *labels,
    const char *types, const char *period)
{
    struct part_series *s = segvec_push(&p->series);
    struct label *v = ARENA_ARRAY(&f->arena, struct label, 64);
    struct str_split it = {.rest = str_from(labels)};
    struct str piece;
    uint32_t n = 0;
    ASSERT(s && v);
    v[n++] = (struct label){STR("__name__"), keep(f, str_from(name))};
    v[n++] = (struct label){STR("service_name"), p->service};
    while (labels[0] && str_split_next(&it, ',', &piece)) {
        size_t eq = str_find_char(piece, '=');
        ASSERT(eq != STR_NPOS && n < 64);
        v[n++] = (struct label){keep(f, str_head(piece, eq)), keep(f, str_skip(piece, eq + 1))};
    }
    labels_sort(v, n);
    s->labels = v;
    s->n_labels = n;
    it = (struct str_split){.rest = str_from(types)};
    while (str_split_next(&it, ',', &piece)) {
        ASSERT(s->n_types < SAMPLE_TYPES_MAX);
        s->types[s->n_types++] = read_type(f, piece);
    }
    s->period = read_type(f, str_from(period));
    atomic_store(&p->n_series_published, p->series.n);
    return p->series.n - 1;
}

/* Stacks */

static struct sym_line read_line(struct part *p, struct str s)
{
    size_t colon = str_find_char(s, ':');
    uint64_t line = 0;
    struct str name = colon == STR_NPOS ? s : str_head(s, colon);
    ASSERT(colon == STR_NPOS || str_to_u64(str_skip(s, colon + 1), &line));
    struct sym_function f = {.name = symtab_string(&p->sym, name)};
    f.system_name = f.name;
    f.filename = symtab_string(&p->sym, STR("main.c"));
    return (struct sym_line){symtab_function(&p->sym, &f), (int64_t)line};
}

static uint32_t read_location(struct part *p, struct str s)
{
    struct sym_mapping m = {.start = 0x1000,
        .limit = 0x2000,
        .filename = symtab_string(&p->sym, STR("/usr/bin/app")),
        .build_id = symtab_string(&p->sym, STR("b1")),
        .flags = PROF_HAS_FUNCTIONS};
    struct sym_location loc = {.mapping = symtab_mapping(&p->sym, &m)};
    struct sym_line lines[8];
    uint32_t n = 0;
    if (s.p[0] == '!') {
        for (size_t i = 1; i < s.n; i++)
            loc.address = loc.address << 4 |
                          (uint64_t)(s.p[i] <= '9' ? s.p[i] - '0' : s.p[i] - 'a' + 10);
        return symtab_location(&p->sym, &loc, NULL, 0);
    }
    struct str_split it = {.rest = s};
    struct str piece, outermost_first[8];
    while (str_split_next(&it, '+', &piece)) {
        ASSERT(n < 8);
        outermost_first[n++] = piece;
    }
    for (uint32_t i = 0; i < n; i++)
        lines[i] = read_line(p, outermost_first[n - 1 - i]);
    return symtab_location(&p->sym, &loc, lines, n);
}

uint32_t fixture_stack(struct part *p, const char *text, size_t n)
{
    struct str s = str_make(text, n), piece;
    struct str_split it = {.rest = s};
    uint32_t node = 0;
    while (!str_eq(s, STR("-")) && str_split_next(&it, ';', &piece))
        node = symtab_node(&p->sym, node, read_location(p, piece));
    ASSERT(node != SYM_NONE);
    return node;
}

/* Rows */

static uint64_t hex16(struct str s)
{
    uint64_t v = 0;
    ASSERT(s.n >= 16);
    for (size_t i = 0; i < 16; i++)
        v = v << 4 | (uint64_t)(s.p[i] <= '9' ? s.p[i] - '0' : (s.p[i] | 32) - 'a' + 10);
    return v;
}

static void read_sample(struct part *p, uint32_t n_types, struct str line, struct sample_in *ret)
{
    struct str_split it = {.rest = line};
    struct str piece;
    uint32_t k = 0;
    *ret = (struct sample_in){0};
    ASSERT(str_split_next(&it, ' ', &piece));
    ret->node = fixture_stack(p, piece.p, piece.n);
    while (str_split_next(&it, ' ', &piece)) {
        struct str rest = str_skip(piece, 1);
        if (piece.p[0] == '@') {
            ret->span = __builtin_bswap64(hex16(rest));
        } else if (piece.p[0] == '#') {
            ret->trace_hi = hex16(rest);
            ret->trace_lo = hex16(str_skip(rest, 16));
        } else {
            ASSERT(k < n_types && str_to_i64(piece, &ret->values[k++]));
        }
    }
    ASSERT(k == n_types);
}

uint64_t fixture_row(
    struct store *f, struct part *p, uint32_t series, int64_t time_ns, const char *samples)
{
    struct sample_in v[64];
    struct str_split it = {.rest = str_from(samples)};
    struct str line;
    uint32_t n = 0;
    while (str_split_next(&it, '\n', &line)) {
        ASSERT(n < 64);
        read_sample(p, part_series(p, series)->n_types, line, &v[n++]);
    }
    return fixture_row_samples(f, p, series, time_ns, v, n);
}

uint64_t fixture_row_samples(struct store *f, struct part *p, uint32_t series, int64_t time_ns,
    struct sample_in *v, uint32_t n)
{
    struct part_series *s = part_series(p, series);
    struct part_row *row = segvec_push(&p->rows);
    struct arena scratch;
    struct buf bytes;
    arena_init(&scratch, 64 * MIB);
    buf_init(&bytes, 64 * MIB);
    ASSERT(row);
    *row = (struct part_row){.time_ns = time_ns, .seq = f->next_seq++, .series = series};
    ASSERT(samples_encode(v, &n, s->n_types, &scratch, &bytes, row->totals, NULL) == ST_OK);
    struct str kept = keep(f, buf_view(&bytes));
    row->bytes = (const uint8_t *)kept.p;
    row->n_bytes = (uint32_t)kept.n;
    row->n_samples = n;
    for (uint32_t k = 0; k < s->n_types; k++)
        if (row->totals[k] > 0)
            atomic_fetch_or(&s->types_seen, 1u << k);
    atomic_store(&p->time_min, MIN(atomic_load(&p->time_min), time_ns));
    atomic_store(&p->time_max, MAX(atomic_load(&p->time_max), time_ns));
    atomic_store(&p->n_nodes_published, p->sym.nodes.n);
    atomic_store(&p->n_rows_published, p->rows.n);
    arena_done(&scratch);
    buf_done(&bytes);
    return row->seq;
}

/* The store */

enum status store_view_acquire(struct store *s, struct str tenant, struct str service,
    int64_t from_ns, int64_t until_ns, const struct store_view **ret_view, struct error *err)
{
    struct store_view *v = NEW(struct store_view);
    (void)err;
    v->parts = mem_new((FIXTURE_PARTS_MAX + 1) * sizeof *v->parts);
    for (uint32_t i = 0; i < s->n_parts; i++) {
        const struct part *p = s->light[i] ? s->light[i] : s->parts[i];
        if (str_eq(p->tenant, tenant) && (!service.n || str_eq(p->service, service)) &&
            atomic_load(&p->time_min) < until_ns && atomic_load(&p->time_max) >= from_ns)
            v->parts[v->n++] = p;
    }
    s->views++;
    *ret_view = v;
    return ST_OK;
}

void store_view_release(struct store *s, const struct store_view *v)
{
    s->views--;
    mem_free(v->parts);
    mem_free((void *)(uintptr_t)v);
}

void store_bounds(
    struct store *s, struct str tenant, int64_t *ret_oldest_ns, int64_t *ret_newest_ns)
{
    *ret_oldest_ns = INT64_MAX;
    *ret_newest_ns = INT64_MIN;
    for (uint32_t i = 0; i < s->n_parts; i++)
        if (str_eq(s->parts[i]->tenant, tenant)) {
            *ret_oldest_ns = MIN(*ret_oldest_ns, atomic_load(&s->parts[i]->time_min));
            *ret_newest_ns = MAX(*ret_newest_ns, atomic_load(&s->parts[i]->time_max));
        }
}

/* A light part has no node, and rows without bytes: using it in place of the full one shows. */
void fixture_make_block(struct store *f, struct part *p)
{
    uint32_t i = 0;
    while (f->parts[i] != p)
        i++;
    ASSERT(!f->light[i]);
    struct part *light = f->light[i] = NEW(struct part);
    *light = (struct part){.tenant = p->tenant, .service = p->service};
    segvec_init(&light->rows, sizeof(struct part_row), 1 << 20, NULL);
    light->series = p->series;
    for (uint32_t k = 0; k < p->rows.n; k++) {
        struct part_row *row = segvec_push(&light->rows);
        *row = *part_row(p, k);
        row->bytes = NULL;
        row->n_bytes = row->n_samples = 0;
    }
    struct part_slot *slot = ARENA_NEW(&f->arena, struct part_slot);
    *slot = (struct part_slot){
        atomic_load(&p->time_min), atomic_load(&p->time_max), part_rows(p), 0};
    light->slots = slot;
    light->n_slots = 1;
    atomic_store(&light->n_rows_published, part_rows(p));
    atomic_store(&light->n_series_published, part_n_series(p));
    atomic_store(&light->time_min, atomic_load(&p->time_min));
    atomic_store(&light->time_max, atomic_load(&p->time_max));
}

enum status store_slot_enter(struct store *s, const struct part *part, uint32_t slot,
    enum store_rows what, const struct part **ret_rows, struct error *err)
{
    ASSERT(slot == 0);
    if (what == STORE_SAMPLES)
        return store_part_enter(s, part, ret_rows, err);
    *ret_rows = part;
    s->entered++;
    return ST_OK;
}

/* Parts made by hand have no roll-ups. */
enum status store_tree_enter(struct store *s, const struct part *part, const struct part_tree *tree,
    struct arena *arena, struct store_tree **ret_tree, struct error *err)
{
    (void)s, (void)part, (void)tree, (void)arena, (void)err;
    *ret_tree = NULL;
    return ST_OK;
}

void store_tree_leave(struct store *s, struct store_tree *tree)
{
    (void)s, (void)tree;
}

enum status store_functions(struct store *s, const struct part *part, const struct part_tree *tree,
    struct arena *arena, struct function_table *ret_table, struct error *err)
{
    (void)s, (void)part, (void)tree, (void)arena, (void)err;
    *ret_table = (struct function_table){0};
    return ST_OK;
}

enum status store_digest(struct store *s, const struct part *part, struct arena *arena,
    struct store_digested **ret_v, uint32_t *ret_n, struct error *err)
{
    (void)s;
    (void)part;
    (void)arena;
    (void)ret_v;
    (void)err;
    *ret_n = 0;
    return ST_OK;
}

enum status store_timeline(struct store *s, const struct part *part, uint32_t type,
    struct arena *arena, struct store_timeline *ret_timeline, struct error *err)
{
    (void)s, (void)part, (void)type, (void)arena, (void)err;
    *ret_timeline = (struct store_timeline){0};
    return ST_OK;
}

enum status store_part_enter(
    struct store *s, const struct part *part, const struct part **ret_part, struct error *err)
{
    *ret_part = part;
    for (uint32_t i = 0; i < s->n_parts; i++)
        if (s->light[i] == part)
            *ret_part = s->damaged[i] ? NULL : s->parts[i];
    if (s->fail_enter)
        FAIL(err, ST_UNAVAILABLE, "the disk is gone");
    s->entered += *ret_part != NULL;
    return ST_OK;
}

void store_part_leave(struct store *s, const struct part *part)
{
    ASSERT(part);
    s->entered--;
}

void store_profile_id(struct store *s, uint64_t seq, char out[37])
{
    (void)s;
    snprintf(out, 37, "%08x-0000-4000-8000-%012llx", (unsigned)(seq * 2654435761u),
        (unsigned long long)seq);
}
