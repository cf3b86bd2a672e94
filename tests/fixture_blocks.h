/* For tests of blocks: a store on a simulated disk, uploads, and everything it shows as text. */
#ifndef TESTS_FIXTURE_BLOCKS_H
#define TESTS_FIXTURE_BLOCKS_H

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/fs_sim.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "fixture_store.h"
#include "model/stack_group.h"
#include "store/store_int.h"

#define HOUR_NS (3600 * NS_PER_S)
#define T0 (472222 * HOUR_NS) /* 2023-11-14T22:00Z */

struct waiter {
    atomic_int calls;
    enum status st;
};

static inline void waiter_done(void *ctx, enum status st, const struct error *err)
{
    struct waiter *w = ctx;
    (void)err;
    w->st = st;
    ASSERT(atomic_fetch_add(&w->calls, 1) == 0);
}

static inline enum status append_wait(
    struct store *s, struct str tenant, const struct store_row *row)
{
    struct waiter w = {0};
    enum status st = store_append(s, tenant, row, 1, waiter_done, &w, NULL);
    while (st == ST_OK && !atomic_load(&w.calls))
        sched_yield();
    return st == ST_OK ? w.st : st;
}

/* One upload of the stacks abc, abd and x with values that follow from `salt`. Spans and traces
 * where salt is a multiple of 5. */
static inline enum status upload(struct store *s, const char *tenant, const char *service,
    int64_t time_ns, uint32_t n_types, uint32_t salt)
{
    static const char *const stacks[] = {"abc", "abd", "x"};
    struct request rq;
    int64_t values[3 * 8];
    for (uint32_t i = 0; i < 3 * n_types; i++)
        values[i] = 1 + (int64_t)(salt * 7 + i * 3) % 100;
    request_init(&rq, service, stacks, values, 3, n_types);
    rq.prof.time_ns = time_ns;
    for (uint32_t i = 0; i < 3 && salt % 5 == 0; i++) {
        rq.prof.samples[i].span = i ? 0x1000u + salt + i : 0;
        rq.prof.samples[i].trace_hi = i == 2 ? 77 : 0;
        rq.prof.samples[i].trace_lo = i == 2 ? salt + 1 : 0;
    }
    enum status st = append_wait(s, str_from(tenant), &rq.row);
    arena_done(&rq.arena);
    return st;
}

static inline struct store_config sim_config(struct fs_sim *sim)
{
    return (struct store_config){.dir = "data",
        .fs = fs_sim_fs(sim),
        .head_bytes_max = GIB,
        .segment_bytes_max = 4096,
        .queue_bytes_max = 64 * MIB,
        .log_retry_ns = NS_PER_MS,
        .no_maintenance = true};
}

static inline struct store *open_sim(struct fs_sim *sim)
{
    const struct store_config cfg = sim_config(sim);
    struct store *s = NULL;
    struct error err = {0};
    enum status st = store_open(&cfg, &s, &err);
    if (st != ST_OK)
        fail_msg("store_open: %s", err.msg);
    return s;
}

/* What a store shows of a tenant, one line per row and type and one per sample, sorted. */

static inline void put_location(struct buf *out, const struct symtab *sym, uint32_t id)
{
    const struct sym_location *loc = sym_location(sym, id);
    for (uint32_t k = 0; k < loc->n_lines; k++) {
        const struct sym_line *l = sym_line(sym, loc->first_line + k);
        const struct sym_function *f = sym_function(sym, l->function);
        buf_printf(out, "%s%.*s:%lld", k ? "=" : "<", STR_ARG(sym_string(sym, f->name)),
            (long long)l->line);
    }
    if (loc->folded || loc->address)
        buf_printf(out, "%s@%llx", loc->folded ? "~" : "", (unsigned long long)loc->address);
    if (loc->mapping == SYM_NONE)
        return;
    const struct sym_mapping *m = sym_mapping(sym, loc->mapping);
    buf_printf(out, "[%llx %llx %llx %u %.*s %.*s]", (unsigned long long)m->start,
        (unsigned long long)m->limit, (unsigned long long)m->offset, m->flags,
        STR_ARG(sym_string(sym, m->filename)), STR_ARG(sym_string(sym, m->build_id)));
}

static inline void put_stack(struct buf *out, const struct symtab *sym, uint32_t node)
{
    for (; node; node = sym_node(sym, node).parent)
        put_location(out, sym, sym_node(sym, node).location);
}

/* The bytes of a row, also of one in a group. */
static inline struct str row_bytes(
    const struct part *p, const struct part_row *row, struct arena *arena)
{
    struct buf out;
    if (row->bytes)
        return str_make(row->bytes, row->n_bytes);
    for (uint32_t i = 0; i < p->n_groups; i++) {
        const struct part_group *g = &p->groups[i];
        uint32_t *n = ARENA_ARRAY(arena, uint32_t, g->n_rows), at = UINT32_MAX;
        uint32_t *bytes = ARENA_ARRAY(arena, uint32_t, g->n_rows);
        for (uint32_t k = 0; k < g->n_rows; k++) {
            n[k] = part_row(p, g->rows[k])->n_samples;
            at = part_row(p, g->rows[k]) == row ? k : at;
        }
        if (at == UINT32_MAX)
            continue;
        buf_init(&out, GIB);
        assert_int_equal(stack_group_decode(g->bytes, n, g->n_rows, g->n_types, p->sym.nodes.n,
                             arena, &out, bytes, NULL),
            ST_OK);
        size_t begin = 0;
        for (uint32_t k = 0; k < at; k++)
            begin += bytes[k];
        struct str copy = arena_str(arena, str_make(out.p + begin, bytes[at]));
        buf_done(&out);
        return copy;
    }
    fail_msg("a row is in no group");
    return STR_EMPTY;
}

static inline void put_row(
    struct buf *out, const struct part *p, const struct part_row *r, uint32_t k)
{
    const struct part_series *se = part_series(p, r->series);
    struct arena arena;
    struct samples v;
    buf_printf(out, "%.*s %lld seq %llu %.*s total %lld of", STR_ARG(p->service),
        (long long)r->time_ns, (unsigned long long)r->seq, STR_ARG(se->types[k].type),
        (long long)r->totals[k]);
    for (uint32_t i = 0; i < se->n_labels; i++)
        buf_printf(out, " %.*s=%.*s", STR_ARG(se->labels[i].name), STR_ARG(se->labels[i].value));
    buf_byte(out, '\n');
    arena_init(&arena, GIB);
    assert_int_equal(
        samples_decode(row_bytes(p, r, &arena), se->n_types, k, &arena, &v, NULL), ST_OK);
    assert_int_equal(v.n, r->n_samples);
    for (uint32_t i = 0; i < v.n; i++) {
        buf_printf(out, "%.*s %lld seq %llu %.*s ", STR_ARG(p->service), (long long)r->time_ns,
            (unsigned long long)r->seq, STR_ARG(se->types[k].type));
        put_stack(out, &p->sym, v.nodes[i]);
        buf_printf(out, " %lld span %llx trace %llx/%llx\n", (long long)v.values[i],
            (unsigned long long)(v.spans ? v.spans[i] : 0),
            (unsigned long long)(v.trace_hi ? v.trace_hi[i] : 0),
            (unsigned long long)(v.trace_lo ? v.trace_lo[i] : 0));
    }
    arena_done(&arena);
}

static inline int cmp_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted lines; the caller frees with mem_free. */
static inline char *shown_view(struct store *s, const struct store_view *v)
{
    struct buf text;
    buf_init(&text, GIB);
    struct row_walk walk = {.s = s, .v = v, .what = STORE_SAMPLES};
    const struct part *of;
    const struct part_row *row;
    while (row_walk_next(&walk, &of, &row))
        for (uint32_t t = 0; t < part_series(of, row->series)->n_types; t++)
            put_row(&text, of, row, t);
    buf_byte(&text, 0);
    uint32_t n = 0, at = 0;
    for (size_t i = 0; i < text.n; i++)
        n += text.p[i] == '\n';
    char **lines = mem_new((n + 1) * sizeof *lines), *out = mem_new(text.n + 1), *to = out;
    for (char *p = text.p; at < n; p = strchr(p, 0) + 1) {
        lines[at++] = p;
        *strchr(p, '\n') = 0;
    }
    qsort(lines, n, sizeof *lines, cmp_lines);
    for (uint32_t i = 0; i < n; i++) {
        size_t len = strlen(lines[i]);
        memcpy(to, lines[i], len);
        to[len] = '\n';
        to += len + 1;
    }
    mem_free(lines);
    buf_done(&text);
    return out;
}

static inline char *shown(struct store *s, const char *tenant)
{
    const struct store_view *v = NULL;
    assert_int_equal(
        store_view_acquire(s, str_from(tenant), STR_EMPTY, INT64_MIN, INT64_MAX, &v, NULL), ST_OK);
    char *text = shown_view(s, v);
    store_view_release(s, v);
    return text;
}

static inline void assert_shown(struct store *s, const char *tenant, const char *expected)
{
    char *now = shown(s, tenant);
    assert_string_equal(now, expected);
    mem_free(now);
}

/* Rows, without their samples. */
static inline uint32_t rows_shown(struct store *s, const char *tenant)
{
    const struct store_view *v = NULL;
    assert_int_equal(
        store_view_acquire(s, str_from(tenant), STR_EMPTY, INT64_MIN, INT64_MAX, &v, NULL), ST_OK);
    uint32_t n = view_rows(s, v, STORE_TOTALS);
    store_view_release(s, v);
    return n;
}

/* Files of the simulated disk whose path contains `what`. */
struct found {
    const char *what;
    char paths[256][600];
    uint64_t sizes[256];
    uint32_t n;
};

static inline void found_one(void *ctx, const char *path, uint64_t size)
{
    struct found *f = ctx;
    if (!strstr(path, f->what))
        return;
    ASSERT(f->n < ARRAY_LEN(f->paths));
    snprintf(f->paths[f->n], sizeof f->paths[0], "%s", path);
    f->sizes[f->n++] = size;
}

static inline struct found *find_files(struct fs_sim *sim, const char *what)
{
    struct found *f = NEW(struct found);
    f->what = what;
    fs_sim_files(sim, found_one, f);
    return f;
}

static inline uint32_t count_files(struct fs_sim *sim, const char *what)
{
    struct found *f = find_files(sim, what);
    uint32_t n = f->n;
    mem_free(f);
    return n;
}

static inline void read_file(struct fs *fs, const char *path, struct buf *out)
{
    buf_init(out, GIB);
    assert_int_equal(fs_read_all(fs, path, GIB, out, NULL), ST_OK);
}

/* Makes or replaces a file, durable. */
static inline void put_file(struct fs *fs, const char *path, struct str bytes)
{
    struct fs_file *f = NULL;
    char dir[4096];
    fs->unlink(fs, path);
    assert_int_equal(fs->file_open(fs, path, FS_CREATE, &f), 0);
    assert_int_equal(fs->file_write(fs, f, 0, bytes.p, bytes.n), 0);
    assert_int_equal(fs->file_sync(fs, f), 0);
    fs->file_close(fs, f);
    snprintf(dir, sizeof dir, "%s", path);
    *strrchr(dir, '/') = 0;
    assert_int_equal(fs->dir_sync(fs, dir), 0);
}

#endif
