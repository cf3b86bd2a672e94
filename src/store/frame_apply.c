/* Reading frames back: replay. See frame.c for the idea, docs/formats/wal.md for the bytes.
 *
 * Everything is checked before it is used: a frame that passes its batch's checksum can still be of
 * a newer kind or follow a gap. A gap (frames lost to damage) shows as a range that begins above
 * what the dataset has; it is filled with placeholders, so that rows after it keep their time,
 * labels and totals, and their lost frames read "[damaged]". A range that begins below what is
 * there is damage. */
#include "store/frame_int.h"

#include "store/block_int.h"

/* Most elements that may be missing before a frame, and of them series. What could be lost has
 * fewer; a frame that claims more is damaged itself. */
enum { GAP_MAX = 1 << 22, GAP_SERIES_MAX = 1 << 16 };

struct applier {
    struct cursor c;
    struct dataset *ds;
    uint32_t service_string;
    struct arena *scratch;
    struct error *err;
    struct frame_stats *stats;
    int64_t base_ns;
    uint32_t gap_max; /* 0: gaps are damage */
};

static enum status damaged(struct applier *a, const char *what)
{
    FAIL(a->err, ST_DATA_LOSS, "damaged frame: %s", what);
}

/* Where a range begins and how many elements follow; each has at least `least` bytes. */
static enum status range(struct applier *a, uint32_t have, size_t least, uint32_t *ret_missing,
    uint32_t *ret_n, const char *what)
{
    uint64_t begin = cursor_uvarint(&a->c), n = cursor_uvarint(&a->c);
    if (a->c.bad || begin < have || begin - have > a->gap_max - a->stats->filled ||
        n > cursor_left(&a->c) / least)
        return damaged(a, what);
    *ret_missing = (uint32_t)(begin - have);
    *ret_n = (uint32_t)n;
    a->stats->filled += *ret_missing;
    return ST_OK;
}

static enum status apply_strings(struct applier *a)
{
    struct symtab *sym = &a->ds->part.sym;
    uint32_t missing, n;
    TRY(range(a, sym->strings.n, 1, &missing, &n, "strings"));
    while (missing--)
        if (!symtab_add_string(sym, STR(SYM_DAMAGED), false))
            return damaged(a, "too many strings");
    while (n--) {
        struct str s = cursor_bytes(&a->c, cursor_uvarint(&a->c));
        if (a->c.bad || !symtab_add_string(sym, s, false))
            return damaged(a, "strings");
    }
    return ST_OK;
}

static enum status apply_functions(struct applier *a)
{
    struct symtab *sym = &a->ds->part.sym;
    uint32_t missing, n;
    TRY(range(a, sym->functions.n, 4, &missing, &n, "functions"));
    while (missing--)
        if (!symtab_add_function(sym, sym_function(sym, SYM_FUNCTION_DAMAGED), false))
            return damaged(a, "too many functions");
    while (n--) {
        uint64_t name = cursor_uvarint(&a->c), system = cursor_uvarint(&a->c);
        uint64_t file = cursor_uvarint(&a->c);
        int64_t line = cursor_svarint(&a->c);
        if (a->c.bad || name >= sym->strings.n || system >= sym->strings.n ||
            file >= sym->strings.n)
            return damaged(a, "functions");
        struct sym_function f = {(uint32_t)name, (uint32_t)system, (uint32_t)file, line};
        if (!symtab_add_function(sym, &f, false))
            return damaged(a, "too many functions");
    }
    return ST_OK;
}

static enum status apply_mappings(struct applier *a)
{
    struct symtab *sym = &a->ds->part.sym;
    uint32_t missing, n;
    TRY(range(a, sym->mappings.n, 6, &missing, &n, "mappings"));
    while (missing--)
        if (!symtab_add_mapping(sym, &(struct sym_mapping){0}, false))
            return damaged(a, "too many mappings");
    while (n--) {
        struct sym_mapping m = {.start = cursor_uvarint(&a->c)};
        m.limit = cursor_uvarint(&a->c);
        m.offset = cursor_uvarint(&a->c);
        uint64_t file = cursor_uvarint(&a->c), build = cursor_uvarint(&a->c);
        m.flags = (uint32_t)cursor_uvarint(&a->c);
        if (a->c.bad || file >= sym->strings.n || build >= sym->strings.n)
            return damaged(a, "mappings");
        m.filename = (uint32_t)file;
        m.build_id = (uint32_t)build;
        if (!symtab_add_mapping(sym, &m, false))
            return damaged(a, "too many mappings");
    }
    return ST_OK;
}

static enum status apply_location(struct applier *a)
{
    struct symtab *sym = &a->ds->part.sym;
    uint64_t mapping = cursor_uvarint(&a->c);
    struct sym_location loc = {.address = cursor_uvarint(&a->c)};
    uint64_t lines = cursor_uvarint(&a->c), n = lines >> 1;
    if (a->c.bad || mapping > sym->mappings.n || n > cursor_left(&a->c) / 2)
        return damaged(a, "locations");
    loc.mapping = mapping ? (uint32_t)mapping - 1 : SYM_NONE;
    loc.folded = lines & 1;
    struct sym_line few[8],
        *v = n <= ARRAY_LEN(few) ? few : ARENA_ARRAY(a->scratch, struct sym_line, n);
    if (!v)
        FAIL(a->err, ST_RESOURCE_EXHAUSTED, "out of memory in replay");
    for (uint64_t i = 0; i < n; i++) {
        uint64_t function = cursor_uvarint(&a->c);
        v[i] = (struct sym_line){(uint32_t)function, cursor_svarint(&a->c)};
        if (a->c.bad || function >= sym->functions.n)
            return damaged(a, "lines");
    }
    if (!symtab_add_location(sym, &loc, v, (uint32_t)n, false))
        return damaged(a, "too many locations");
    return ST_OK;
}

static enum status apply_locations(struct applier *a)
{
    struct symtab *sym = &a->ds->part.sym;
    uint32_t missing, n;
    TRY(range(a, sym->locations.n, 3, &missing, &n, "locations"));
    const struct sym_location lost = {.mapping = SYM_NONE};
    const struct sym_line line = {SYM_FUNCTION_DAMAGED, 0};
    while (missing--)
        if (!symtab_add_location(sym, &lost, &line, 1, false))
            return damaged(a, "too many locations");
    while (n--)
        TRY(apply_location(a));
    return ST_OK;
}

static enum status apply_nodes(struct applier *a)
{
    struct symtab *sym = &a->ds->part.sym;
    uint32_t missing, n;
    int64_t location = 0;
    TRY(range(a, sym->nodes.n, 2, &missing, &n, "nodes"));
    while (missing--) /* a lost stack is one lost frame on the root */
        if (!symtab_add_node(sym, 0, SYM_LOCATION_DAMAGED, false))
            return damaged(a, "too many nodes");
    while (n--) {
        uint64_t up = cursor_uvarint(&a->c);
        location += cursor_svarint(&a->c);
        if (a->c.bad || up == 0 || up > sym->nodes.n || location < 0 ||
            location >= sym->locations.n)
            return damaged(a, "nodes");
        if (!symtab_add_node(sym, sym->nodes.n - (uint32_t)up, (uint32_t)location, false))
            return damaged(a, "too many nodes");
    }
    return ST_OK;
}

/* A series that is lost keeps its service; its name and types read "[damaged]". */
static enum status lost_series(struct applier *a)
{
    uint32_t ids[4 + 2 * (SAMPLE_TYPES_MAX + 1)] = {
        DATASET_STRING_NAME, SYM_STRING_DAMAGED, DATASET_STRING_SERVICE_NAME, a->service_string};
    for (uint32_t i = 0; i < 2 * SAMPLE_TYPES_MAX; i++)
        ids[4 + i] = SYM_STRING_DAMAGED;
    if (dataset_series(a->ds, ids, 2, SAMPLE_TYPES_MAX, false) == UINT32_MAX)
        return damaged(a, "too many series");
    return ST_OK;
}

static enum status apply_series(struct applier *a)
{
    uint32_t missing, n;
    TRY(range(a, a->ds->part.series.n, 4, &missing, &n, "series"));
    if (missing > GAP_SERIES_MAX)
        return damaged(a, "series");
    while (missing--)
        TRY(lost_series(a));
    while (n--) {
        uint64_t labels = cursor_uvarint(&a->c), types = cursor_uvarint(&a->c);
        if (a->c.bad || types < 1 || types > SAMPLE_TYPES_MAX || labels > cursor_left(&a->c) / 2)
            return damaged(a, "series");
        uint32_t n_ids = 2 * ((uint32_t)labels + (uint32_t)types + 1);
        uint32_t *ids = ARENA_ARRAY(a->scratch, uint32_t, n_ids);
        if (!ids)
            FAIL(a->err, ST_RESOURCE_EXHAUSTED, "out of memory in replay");
        for (uint32_t i = 0; i < n_ids; i++) {
            uint64_t id = cursor_uvarint(&a->c);
            if (a->c.bad || id >= a->ds->part.sym.strings.n)
                return damaged(a, "labels of a series");
            ids[i] = (uint32_t)id;
        }
        if (dataset_series(a->ds, ids, (uint32_t)labels, (uint32_t)types, false) == UINT32_MAX)
            return damaged(a, "too many series");
    }
    return ST_OK;
}

static enum status apply_row(struct applier *a)
{
    struct part *p = &a->ds->part;
    uint64_t series = cursor_uvarint(&a->c);
    struct part_row r = {.seq = a->stats->seq};
    r.time_ns = (int64_t)((uint64_t)a->base_ns + (uint64_t)cursor_svarint(&a->c));
    struct str bytes = cursor_bytes(&a->c, cursor_uvarint(&a->c));
    if (a->c.bad || series >= p->series.n || bytes.n > UINT32_MAX)
        return damaged(a, "rows");
    r.series = (uint32_t)series;
    r.bytes = (const uint8_t *)bytes.p;
    r.n_bytes = (uint32_t)bytes.n;
    TRY(samples_check(
        bytes, part_series(p, r.series)->n_types, p->sym.nodes.n, &r.n_samples, r.totals, a->err));
    if (!dataset_row(a->ds, &r))
        FAIL(a->err, ST_RESOURCE_EXHAUSTED, "out of memory in replay");
    a->stats->rows++;
    a->stats->samples += r.n_samples;
    return ST_OK;
}

static enum status apply_rows(struct applier *a)
{
    uint64_t begin = cursor_uvarint(&a->c), n = cursor_uvarint(&a->c);
    (void)begin; /* rows have no ids outside their dataset: nothing refers to them */
    if (a->c.bad || n > cursor_left(&a->c) / 3)
        return damaged(a, "rows");
    while (n--)
        TRY(apply_row(a));
    return ST_OK;
}

static enum status find_dataset(struct applier *a, struct epoch *ep)
{
    struct str tenant = cursor_bytes(&a->c, cursor_uvarint(&a->c));
    struct str service = cursor_bytes(&a->c, cursor_uvarint(&a->c));
    if (a->c.bad || !block_tenant_ok(tenant))
        return damaged(a, "dataset");
    a->ds = epoch_dataset_get(ep, tenant, service);
    if (!a->ds)
        return damaged(a, "too many datasets");
    a->service_string = symtab_string(&a->ds->part.sym, service);
    return ST_OK;
}

static enum status apply_ranges(struct applier *a)
{
    TRY(apply_strings(a));
    TRY(apply_functions(a));
    TRY(apply_mappings(a));
    TRY(apply_locations(a));
    TRY(apply_nodes(a));
    TRY(apply_series(a));
    return apply_rows(a);
}

static void note_hours(const struct dataset *ds, uint32_t first_row)
{
    int64_t last = INT64_MIN;
    for (uint32_t i = first_row; i < ds->part.rows.n; i++) {
        int64_t hour = block_hour(part_row(&ds->part, i)->time_ns);
        if (hour != last)
            tenant_hour_open(ds->use, hour);
        last = hour;
    }
}

static enum status apply_section(struct applier *a, struct epoch *ep)
{
    TRY(find_dataset(a, ep));
    uint32_t rows = a->ds->part.rows.n;
    enum status st = apply_ranges(a);
    if (st != ST_OK) {
        a->ds->part.rows.n = rows;
        return st;
    }
    note_hours(a->ds, rows);
    struct marks to = dataset_marks(a->ds);
    dataset_publish(a->ds, &to);
    a->ds->logged = to;
    dataset_charge(a->ds);
    return ST_OK;
}

enum status frame_apply(struct epoch *ep, struct str frame, struct arena *scratch,
    struct frame_stats *ret_stats, struct error *err)
{
    struct applier a = {.c = cursor_make(frame),
        .scratch = scratch,
        .err = err,
        .stats = ret_stats,
        .gap_max = GAP_MAX};
    *ret_stats = (struct frame_stats){0};
    if (cursor_byte(&a.c) != FRAME_UPLOAD)
        return damaged(&a, "unknown kind");
    ret_stats->seq = cursor_uvarint(&a.c);
    a.base_ns = cursor_svarint(&a.c);
    uint64_t n = cursor_uvarint(&a.c);
    if (a.c.bad || n > cursor_left(&a.c))
        return damaged(&a, "head");
    while (n--)
        TRY(apply_section(&a, ep));
    return cursor_left(&a.c) ? damaged(&a, "trailing bytes") : ST_OK;
}

enum status frame_get(
    enum frame_range what, struct str bytes, struct dataset *ds, struct error *err)
{
    static enum status (*const appliers[][3])(struct applier *) = {
        [FRAME_STRINGS] = {apply_strings},
        [FRAME_SYMBOLS] = {apply_functions, apply_mappings, apply_locations},
        [FRAME_NODES] = {apply_nodes},
        [FRAME_SERIES] = {apply_series},
    };
    struct frame_stats stats = {0};
    struct applier a = {
        .c = cursor_make(bytes), .ds = ds, .scratch = &ds->memory, .err = err, .stats = &stats};
    for (size_t i = 0; i < ARRAY_LEN(appliers[what]) && appliers[what][i]; i++)
        TRY(appliers[what][i](&a));
    return cursor_left(&a.c) ? damaged(&a, "a section of a block") : ST_OK;
}
