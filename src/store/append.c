/* An upload becomes a frame: store_append.
 *
 *     rows ─► datasets (by service, locked in id order) ─► reserve ─► intern ─► rows ─► frame ─►
 * queue
 *
 * A request's symbols are dense indexes; for each (symbols, dataset) pair a table maps them to the
 * dataset's ids, filled as rows need them, so a string is hashed once per request and a stack
 * walked at most once. All limits are checked before the first id is handed out. If a row fails
 * after that (a sum leaves int64), the rows pushed so far are taken back; symbols may stay, they
 * are harmless and go into the log with the next frame, because a frame brings everything above
 * dataset.logged. */
#include "store/store_int.h"

#include "base/mem.h"
#include "store/frame_int.h"

enum { TARGETS_MAX = 1024, XLATS_MAX = 4096 };

/* A dataset that the request writes to. */
struct target {
    struct dataset *ds;
    uint32_t rows_before;
};

/* The request's indexes → the dataset's ids; SYM_NONE where not asked for yet. */
struct xlat {
    const struct prof_symbols *sym;
    struct dataset *ds;
    uint32_t *strings, *functions, *mappings, *locations, *stacks;
};

struct append {
    struct store *s;
    struct arena arena; /* scratch, gone with the call */
    struct target *targets;
    uint32_t n_targets;
    struct xlat *xlats;
    uint32_t n_xlats, cap_xlats;
    struct buf bytes; /* one row's samples */
    struct quota quota;
    uint32_t n_rows;
    uint64_t n_samples, seq;
    struct error *err;
};

static enum status no_memory(struct append *a)
{
    FAIL(a->err, ST_RESOURCE_EXHAUSTED, "out of memory for one upload");
}

static struct xlat *xlat_get(struct append *a, const struct prof_symbols *sym, struct dataset *ds)
{
    for (uint32_t i = a->n_xlats; i-- > 0;)
        if (a->xlats[i].sym == sym && a->xlats[i].ds == ds)
            return &a->xlats[i];
    if (a->n_xlats == a->cap_xlats) {
        void *grown = arena_vec_grow(
            &a->arena, a->xlats, a->n_xlats, &a->cap_xlats, sizeof *a->xlats);
        if (!grown)
            return NULL;
        a->xlats = grown;
    }
    struct xlat *x = &a->xlats[a->n_xlats];
    const uint32_t n[] = {
        sym->n_strings, sym->n_functions, sym->n_mappings, sym->n_locations, sym->n_stacks};
    uint32_t **tables[] = {&x->strings, &x->functions, &x->mappings, &x->locations, &x->stacks};
    for (size_t i = 0; i < ARRAY_LEN(n); i++) {
        *tables[i] = ARENA_ARRAY(&a->arena, uint32_t, n[i]);
        if (!*tables[i])
            return NULL;
        memset(*tables[i], 0xFF, n[i] * sizeof **tables[i]);
    }
    x->sym = sym;
    x->ds = ds;
    a->n_xlats++;
    return x;
}

/* Interning by table. After the reservation these cannot fail: an id space or the memory of the
 * machine running out here is asserted. */

static uint32_t x_string(struct xlat *x, uint32_t i)
{
    if (x->strings[i] == SYM_NONE)
        x->strings[i] = symtab_string(&x->ds->part.sym, x->sym->strings[i]);
    ASSERT(x->strings[i] != SYM_NONE);
    return x->strings[i];
}

static uint32_t x_function(struct xlat *x, uint32_t i)
{
    if (x->functions[i] == SYM_NONE) {
        const struct prof_function *f = &x->sym->functions[i];
        const struct sym_function sf = {x_string(x, f->name), x_string(x, f->system_name),
            x_string(x, f->filename), f->start_line};
        x->functions[i] = symtab_function(&x->ds->part.sym, &sf);
    }
    ASSERT(x->functions[i] != SYM_NONE);
    return x->functions[i];
}

static uint32_t x_mapping(struct xlat *x, uint32_t i)
{
    if (i == PROF_NONE)
        return SYM_NONE;
    if (x->mappings[i] == SYM_NONE) {
        const struct prof_mapping *m = &x->sym->mappings[i];
        const struct sym_mapping sm = {m->start, m->limit, m->offset, x_string(x, m->filename),
            x_string(x, m->build_id), m->flags};
        x->mappings[i] = symtab_mapping(&x->ds->part.sym, &sm);
    }
    ASSERT(x->mappings[i] != SYM_NONE);
    return x->mappings[i];
}

static uint32_t x_location(struct xlat *x, uint32_t i)
{
    enum { LINES_FEW = 16 };
    if (x->locations[i] != SYM_NONE)
        return x->locations[i];
    const struct prof_location *l = &x->sym->locations[i];
    const struct sym_location loc = {
        .address = l->address, .mapping = x_mapping(x, l->mapping), .folded = l->folded};
    struct sym_line few[LINES_FEW], *lines = few;
    if (l->n_lines > LINES_FEW)
        lines = mem_new(l->n_lines * sizeof *lines);
    for (uint32_t k = 0; k < l->n_lines; k++) {
        const struct prof_line *pl = &x->sym->lines[l->first_line + k];
        lines[k] = (struct sym_line){x_function(x, pl->function), pl->line};
    }
    x->locations[i] = symtab_location(&x->ds->part.sym, &loc, lines, l->n_lines);
    ASSERT(x->locations[i] != SYM_NONE);
    if (lines != few)
        mem_free(lines);
    return x->locations[i];
}

static enum status x_stack(struct append *a, struct xlat *x, uint32_t i, uint32_t *ret_node)
{
    if (x->stacks[i] == SYM_NONE) {
        const struct prof_stack *st = &x->sym->stacks[i];
        uint32_t *locations = ARENA_ARRAY(&a->arena, uint32_t, st->n);
        if (!locations)
            return no_memory(a);
        for (uint32_t k = 0; k < st->n; k++)
            locations[k] = x_location(x, x->sym->frames[st->first + k]);
        x->stacks[i] = symtab_stack(&x->ds->part.sym, locations, st->n);
    }
    ASSERT(x->stacks[i] != SYM_NONE);
    *ret_node = x->stacks[i];
    return ST_OK;
}

static uint32_t own_string(struct dataset *ds, struct str s)
{
    uint32_t id = symtab_string(&ds->part.sym, s);
    ASSERT(id != SYM_NONE);
    return id;
}

/* The series of types [first, first + n) of the profile. */
static enum status series_of(struct append *a, struct dataset *ds, const struct store_row *row,
    uint32_t first, uint32_t n, uint32_t *ret_series)
{
    uint32_t n_ids = 2 * (row->labels.n + n + 1), at = 0;
    uint32_t *ids = ARENA_ARRAY(&a->arena, uint32_t, n_ids);
    if (!ids)
        return no_memory(a);
    for (uint32_t i = 0; i < row->labels.n; i++) {
        ids[at++] = own_string(ds, row->labels.v[i].name);
        ids[at++] = own_string(ds, row->labels.v[i].value);
    }
    for (uint32_t k = first; k < first + n; k++) {
        ids[at++] = own_string(ds, row->prof->types[k].type);
        ids[at++] = own_string(ds, row->prof->types[k].unit);
    }
    ids[at++] = own_string(ds, row->prof->period_type.type);
    ids[at++] = own_string(ds, row->prof->period_type.unit);
    *ret_series = dataset_series(ds, ids, row->labels.n, n, true);
    if (*ret_series == UINT32_MAX)
        FAIL(a->err, ST_RESOURCE_EXHAUSTED, "service %.*s has too many series in one hour",
            STR_ARG(ds->part.service));
    return ST_OK;
}

/* The samples of the row with the columns [first, first + n); those without a value in any of them
 * are left out. */
static enum status gather(struct append *a, struct xlat *x, const struct store_row *row,
    uint32_t first, uint32_t n, struct sample_in **ret_v, uint32_t *ret_n)
{
    const struct profile *prof = row->prof;
    uint32_t n_in = row->samples ? row->n_samples : prof->n_samples, kept = 0;
    struct sample_in *v = ARENA_ARRAY(&a->arena, struct sample_in, n_in);
    if (!v)
        return no_memory(a);
    for (uint32_t i = 0; i < n_in; i++) {
        uint32_t at = row->samples ? row->samples[i] : i;
        const struct prof_sample *in = &prof->samples[at];
        const int64_t *values = &prof->values[(size_t)at * prof->n_types + first];
        int64_t any = 0;
        struct sample_in *out = &v[kept];
        for (uint32_t k = 0; k < n; k++)
            any |= out->values[k] = values[k];
        if (!any)
            continue;
        TRY(x_stack(a, x, in->stack, &out->node));
        out->span = in->span;
        out->trace_hi = in->trace_hi;
        out->trace_lo = in->trace_lo;
        kept++;
    }
    *ret_v = v;
    *ret_n = kept;
    return ST_OK;
}

static enum status append_columns(
    struct append *a, struct dataset *ds, const struct store_row *row, uint32_t first, uint32_t n)
{
    struct xlat *x = xlat_get(a, row->prof->sym, ds);
    struct part_row r = {.time_ns = row->prof->time_ns, .seq = a->seq};
    struct sample_in *v = NULL;
    if (!x)
        return no_memory(a);
    TRY(gather(a, x, row, first, n, &v, &r.n_samples));
    if (r.n_samples == 0)
        return ST_OK;
    buf_clear(&a->bytes);
    TRY(samples_encode(v, &r.n_samples, n, &a->arena, &a->bytes, r.totals, a->err));
    TRY(series_of(a, ds, row, first, n, &r.series));
    r.bytes = (const uint8_t *)a->bytes.p;
    r.n_bytes = (uint32_t)a->bytes.n;
    if (!dataset_row(ds, &r))
        return no_memory(a);
    a->n_rows++;
    a->n_samples += r.n_samples;
    return ST_OK;
}

static enum status append_row(struct append *a, struct dataset *ds, const struct store_row *row)
{
    for (uint32_t first = 0; first < row->prof->n_types; first += SAMPLE_TYPES_MAX) {
        uint32_t n = MIN((uint32_t)SAMPLE_TYPES_MAX, row->prof->n_types - first);
        TRY(append_columns(a, ds, row, first, n));
    }
    return ST_OK;
}

/* Datasets */

static struct dataset *target_of(const struct append *a, const struct store_row *row)
{
    struct str service = labels_get(row->labels, STR("service_name"));
    for (uint32_t i = 0; i < a->n_targets; i++)
        if (str_eq(a->targets[i].ds->part.service, service))
            return a->targets[i].ds;
    return NULL;
}

static struct dataset *dataset_of(const void *ctx, const struct store_row *row)
{
    return target_of(ctx, row);
}

static int cmp_targets(const void *pa, const void *pb)
{
    const struct target *a = pa, *b = pb;
    return (a->ds->id > b->ds->id) - (a->ds->id < b->ds->id);
}

static enum status find_targets(struct append *a, const struct store_row *rows, uint32_t n_rows)
{
    TRY(quota_admit(&a->quota, rows, n_rows));
    a->targets = ARENA_ARRAY(&a->arena, struct target, MIN(n_rows, (uint32_t)TARGETS_MAX));
    if (!a->targets)
        return no_memory(a);
    for (uint32_t i = 0; i < n_rows; i++) {
        if (target_of(a, &rows[i]))
            continue;
        if (a->n_targets == TARGETS_MAX)
            FAIL(a->err, ST_RESOURCE_EXHAUSTED, "an upload has more than %d services", TARGETS_MAX);
        struct str service = labels_get(rows[i].labels, STR("service_name"));
        struct dataset *ds = NULL;
        TRY(quota_dataset(&a->quota, service, &ds));
        a->targets[a->n_targets++] = (struct target){.ds = ds};
    }
    qsort(a->targets, a->n_targets, sizeof *a->targets, cmp_targets);
    return ST_OK;
}

static void lock_targets(struct append *a)
{
    for (uint32_t i = 0; i < a->n_targets; i++) {
        mutex_lock_next(&a->targets[i].ds->lock);
        a->targets[i].rows_before = a->targets[i].ds->part.rows.n;
    }
}

static void unlock_targets(struct append *a)
{
    for (uint32_t i = a->n_targets; i-- > 0;) {
        dataset_charge(a->targets[i].ds);
        mutex_unlock(&a->targets[i].ds->lock);
    }
}

/* The most that one row could add to its dataset, its symbols not counted twice per request. */
static size_t row_demand(const struct store_row *row, bool symbols, struct sym_demand *d)
{
    uint32_t n = row->samples ? row->n_samples : row->prof->n_samples;
    size_t bytes = n * (size_t)(5 + 42 + 10 * row->prof->n_types) + 4096;
    d->strings += 2 * row->labels.n + 2 * row->prof->n_types + 2;
    for (uint32_t i = 0; i < row->labels.n; i++)
        d->text_bytes += row->labels.v[i].name.n + row->labels.v[i].value.n;
    if (!symbols)
        return bytes;
    const struct prof_symbols *sym = row->prof->sym;
    d->strings += sym->n_strings;
    d->functions += sym->n_functions;
    d->mappings += sym->n_mappings;
    d->lines += sym->n_lines;
    d->locations += sym->n_locations;
    d->nodes += sym->n_frames;
    d->stacks += sym->n_stacks;
    for (uint32_t i = 0; i < sym->n_strings; i++)
        d->text_bytes += sym->strings[i].n;
    return bytes;
}

static enum status reserve(struct append *a, const struct store_row *rows, uint32_t n_rows)
{
    struct sym_demand d = {0};
    size_t bytes = 0;
    for (uint32_t i = 0; i < n_rows; i++) {
        bool first = i == 0 || rows[i].prof->sym != rows[i - 1].prof->sym ||
                     target_of(a, &rows[i]) != target_of(a, &rows[i - 1]);
        bytes += row_demand(&rows[i], first, &d);
    }
    for (uint32_t i = 0; i < a->n_targets; i++)
        bytes += symtab_growth(&a->targets[i].ds->part.sym, &d) +
                 dataset_growth(a->targets[i].ds, n_rows);
    size_t used = store_head_bytes(a->s);
    if (used + bytes > a->s->cfg.head_bytes_max)
        FAIL(a->err, ST_UNAVAILABLE,
            "the head is full: %zu bytes in use, %zu needed, %llu allowed (store.head-bytes)", used,
            bytes, (unsigned long long)a->s->cfg.head_bytes_max);
    return quota_reserve(&a->quota, rows, n_rows, dataset_of, a, bytes);
}

static struct commit_item *make_item(struct append *a, int64_t base_ns)
{
    struct commit_item *item = mem_new(sizeof *item + a->n_targets * sizeof item->sections[0]);
    uint32_t n = 0;
    buf_init(&item->frame, FRAME_BYTES_MAX);
    for (uint32_t i = 0; i < a->n_targets; i++)
        n += a->targets[i].ds->part.rows.n > a->targets[i].rows_before;
    frame_upload_head(&item->frame, a->seq, base_ns, n);
    for (uint32_t i = 0; i < a->n_targets; i++) {
        struct dataset *ds = a->targets[i].ds;
        if (ds->part.rows.n == a->targets[i].rows_before)
            continue;
        frame_upload_section(&item->frame, ds, base_ns);
        item->sections[item->n_sections++] = (struct commit_section){ds, dataset_marks(ds)};
    }
    item->n_rows = a->n_rows;
    item->n_samples = a->n_samples;
    return item;
}

/* With all target locks held. On failure the rows are taken back. */
static enum status append_locked(
    struct append *a, const struct store_row *rows, uint32_t n_rows, store_done_fn done, void *ctx)
{
    enum status st = reserve(a, rows, n_rows);
    for (uint32_t i = 0; i < n_rows && st == ST_OK; i++)
        st = append_row(a, target_of(a, &rows[i]), &rows[i]);
    if (st == ST_OK && a->n_rows) {
        struct commit_item *item = make_item(a, n_rows ? rows[0].prof->time_ns : 0);
        item->epoch = epoch_ref(a->s->epoch);
        item->done = done;
        item->ctx = ctx;
        bool fits = !item->frame.failed;
        if (fits && commit_enqueue(a->s, item)) { /* the item is the committer's from here on */
            for (uint32_t i = 0; i < a->n_targets; i++)
                if (a->targets[i].ds->part.rows.n > a->targets[i].rows_before)
                    a->targets[i].ds->logged = dataset_marks(a->targets[i].ds);
            return ST_OK;
        }
        epoch_unref(item->epoch);
        buf_done(&item->frame);
        mem_free(item);
        st = fits ? ST_UNAVAILABLE : ST_RESOURCE_EXHAUSTED;
        error_set(a->err, st, __FILE__, __LINE__, "%s",
            fits ? "the disk does not keep up: too many bytes wait for the write-ahead log"
                 : "an upload is too large for one frame of the write-ahead log");
    }
    for (uint32_t i = 0; i < a->n_targets; i++)
        a->targets[i].ds->part.rows.n = a->targets[i].rows_before;
    return st;
}

/* All rows or none: see store.h. An upload without any sample is durable at once. */
enum status append_once(struct store *s, struct str tenant, const struct store_quota *quota,
    const struct store_row *rows, uint32_t n_rows, store_done_fn done, void *ctx,
    enum store_refused *ret_refused, bool *ret_hours_full, struct error *err)
{
    struct append a = {.s = s, .err = err};
    a.quota = (struct quota){
        .s = s, .tenant = tenant, .limit = *quota, .arena = &a.arena, .err = err};
    arena_init(&a.arena, GIB);
    buf_init(&a.bytes, FRAME_BYTES_MAX);
    gate_enter(&s->gate);
    enum status st = ST_OK;
    if (!s->writable)
        st = error_set(err, ST_UNAVAILABLE, __FILE__, __LINE__, "%s", s->why_not);
    if (st == ST_OK)
        st = find_targets(&a, rows, n_rows);
    if (st == ST_OK) {
        a.seq = atomic_fetch_add(&s->next_seq, 1);
        lock_targets(&a);
        st = append_locked(&a, rows, n_rows, done, ctx);
        quota_release(&a.quota);
        unlock_targets(&a);
    }
    *ret_refused = a.quota.refused;
    *ret_hours_full = a.quota.hours_full;
    gate_leave(&s->gate);
    buf_done(&a.bytes);
    arena_done(&a.arena);
    if (st == ST_OK && a.n_rows == 0)
        done(ctx, ST_OK, NULL);
    return st;
}

enum status store_append_within(struct store *s, struct str tenant, const struct store_quota *quota,
    const struct store_row *rows, uint32_t n_rows, store_done_fn done, void *ctx,
    enum store_refused *ret_refused, struct error *err)
{
    bool hours_full = false;
    enum status st = append_once(
        s, tenant, quota, rows, n_rows, done, ctx, ret_refused, &hours_full, err);
    if (st != ST_OK && hours_full && hours_wait(s, tenant, quota, rows, n_rows, done, ctx))
        return ST_OK;
    return st;
}

enum status store_append(struct store *s, struct str tenant, const struct store_row *rows,
    uint32_t n_rows, store_done_fn done, void *ctx, struct error *err)
{
    const struct store_quota none = {0};
    enum store_refused refused;
    return store_append_within(s, tenant, &none, rows, n_rows, done, ctx, &refused, err);
}
