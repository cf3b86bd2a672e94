/* What is in a data directory, as figures: the shape of uploads and how stacks drift.
 *
 *     describe DIR          a directory that no server is using; one line of JSON per service and
 *                           profile name
 *
 * The model of generate.c was made from what this prints about recorded uploads, and the same
 * figures of a generated directory say how near it came. Parts are taken in order of time. Stacks
 * and nodes are counted over all parts by 64-bit hashes of (parent, function name, line), because
 * ids mean nothing outside a part.
 *
 * Rows of one profile name and time are one upload. Figures: uploads, rows and samples per upload;
 * distinct stacks per upload; frames per stack (weighted by samples); distinct nodes, stacks and
 * functions after 1, 6, 60, 360 … uploads of the service; bytes of sample columns per sample; the
 * mean value per sample and type.
 *
 * One thread; failures end the program. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store.h"

enum { NAMES_MAX = 8 };

/* A set of 64-bit keys, open addressing; 0 is free. */
struct keys {
    uint64_t *v;
    uint64_t n, mask;
};

/* One profile name of a service. */
struct shape {
    struct str name;
    int64_t last_ns;
    uint64_t uploads, rows, samples, bytes, stacks, frames;
    uint32_t n_types;
    double totals[SAMPLE_TYPES_MAX];
    struct keys nodes, functions, stacks_all, stacks_upload;
    struct buf growth; /* [uploads, nodes, stacks, functions] so far, at some numbers of uploads */
    uint64_t depth_max;
};

struct service {
    struct str name;
    struct shape shapes[NAMES_MAX];
    uint32_t n;
};

/* Of one part, by node id. */
struct paths {
    uint64_t *hash;
    uint32_t *depth;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "describe: %s\n", what);
    exit(1);
}

static void keys_put(struct keys *k, uint64_t key);

static void keys_grow(struct keys *k)
{
    struct keys bigger = {.mask = k->v ? k->mask * 2 + 1 : 1023};
    bigger.v = mem_new((bigger.mask + 1) * sizeof *bigger.v);
    for (uint64_t i = 0; k->v && i <= k->mask; i++)
        if (k->v[i])
            keys_put(&bigger, k->v[i]);
    mem_free(k->v);
    *k = bigger;
}

static void keys_put(struct keys *k, uint64_t key)
{
    if (!k->v || k->n * 2 > k->mask)
        keys_grow(k);
    key += key == 0;
    for (uint64_t at = key & k->mask;; at = (at + 1) & k->mask) {
        if (k->v[at] == key)
            return;
        if (k->v[at] == 0) {
            k->v[at] = key;
            k->n++;
            return;
        }
    }
}

static void keys_clear(struct keys *k)
{
    if (k->v && k->n)
        memset(k->v, 0, (k->mask + 1) * sizeof *k->v);
    k->n = 0;
}

static uint64_t location_hash(const struct symtab *sym, const struct sym_location *l)
{
    uint64_t h = l->address;
    for (uint32_t i = 0; i < l->n_lines; i++) {
        const struct sym_line *line = sym_line(sym, l->first_line + i);
        const struct sym_function *f = sym_function(sym, line->function);
        h = hash_u64(h ^ hash_str(sym_string(sym, f->name)), (uint64_t)line->line + 1);
    }
    return h;
}

static void paths_init(struct paths *p, const struct part *part)
{
    uint32_t n = part_nodes(part);
    p->hash = mem_new(n * sizeof *p->hash);
    p->depth = mem_new(n * sizeof *p->depth);
    for (uint32_t i = 1; i < n; i++) {
        struct sym_node node = sym_node(&part->sym, i);
        const struct sym_location *l = sym_location(&part->sym, node.location);
        p->hash[i] = hash_u64(p->hash[node.parent] + 1, location_hash(&part->sym, l));
        p->depth[i] = p->depth[node.parent] + 1;
    }
}

static struct shape *shape_of(struct service *sv, struct str name)
{
    for (uint32_t i = 0; i < sv->n; i++)
        if (str_eq(sv->shapes[i].name, name))
            return &sv->shapes[i];
    if (sv->n == NAMES_MAX)
        die("a service has too many profile names");
    struct shape *sh = &sv->shapes[sv->n++];
    char *copy = mem_new(name.n + 1);
    memcpy(copy, name.p, name.n);
    sh->name = str_make(copy, name.n);
    buf_init(&sh->growth, MIB);
    return sh;
}

static bool worth_noting(uint64_t uploads)
{
    static const uint64_t at[] = {1, 2, 3, 4, 5, 6, 12, 30, 60, 180, 360, 720, 2160, 4320, 8640};
    for (size_t i = 0; i < ARRAY_LEN(at); i++)
        if (uploads == at[i])
            return true;
    return uploads % 8640 == 0;
}

static void upload_ends(struct shape *sh)
{
    sh->stacks += sh->stacks_upload.n;
    keys_clear(&sh->stacks_upload);
    if (worth_noting(sh->uploads))
        buf_printf(&sh->growth, "%s[%llu, %llu, %llu, %llu]", sh->growth.n ? ", " : "",
            (unsigned long long)sh->uploads, (unsigned long long)sh->nodes.n,
            (unsigned long long)sh->stacks_all.n, (unsigned long long)sh->functions.n);
}

static void add_stack(
    struct shape *sh, const struct part *part, const struct paths *paths, uint32_t node)
{
    sh->frames += paths->depth[node];
    sh->depth_max = MAX(sh->depth_max, paths->depth[node]);
    keys_put(&sh->stacks_upload, paths->hash[node]);
    keys_put(&sh->stacks_all, paths->hash[node]);
    for (; node; node = sym_node(&part->sym, node).parent) {
        uint64_t before = sh->nodes.n;
        keys_put(&sh->nodes, paths->hash[node]);
        if (sh->nodes.n == before) /* its parents are known, too */
            return;
        const struct sym_location *l = sym_location(
            &part->sym, sym_node(&part->sym, node).location);
        for (uint32_t i = 0; i < l->n_lines; i++) {
            uint32_t f = sym_line(&part->sym, l->first_line + i)->function;
            keys_put(&sh->functions,
                hash_str(sym_string(&part->sym, sym_function(&part->sym, f)->name)));
        }
    }
}

static void add_row(struct service *sv, const struct part *part, const struct paths *paths,
    const struct part_row *row, struct arena *arena)
{
    const struct part_series *series = part_series(part, row->series);
    struct labels labels = {series->labels, series->n_labels};
    struct shape *sh = shape_of(sv, labels_get(labels, STR("__name__")));
    struct samples s;
    struct error err;
    if (sh->uploads == 0 || sh->last_ns != row->time_ns) {
        if (sh->uploads)
            upload_ends(sh);
        sh->uploads++;
        sh->last_ns = row->time_ns;
    }
    struct str bytes = str_make(row->bytes, row->n_bytes);
    if (samples_decode(bytes, series->n_types, 0, arena, &s, &err) != ST_OK)
        die(err.msg);
    sh->rows++;
    sh->samples += s.n;
    sh->bytes += row->n_bytes;
    sh->n_types = MAX(sh->n_types, series->n_types);
    for (uint32_t k = 0; k < series->n_types; k++)
        sh->totals[k] += (double)row->totals[k];
    for (uint32_t i = 0; i < s.n; i++)
        add_stack(sh, part, paths, s.nodes[i]);
}

struct row_order {
    int64_t time_ns;
    uint64_t seq;
    uint32_t row;
};

static int cmp_rows(const void *pa, const void *pb)
{
    const struct row_order *a = pa, *b = pb;
    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns ? -1 : 1;
    return a->seq != b->seq ? (a->seq < b->seq ? -1 : 1) : (a->row > b->row) - (a->row < b->row);
}

static void add_part(struct service *sv, const struct part *part)
{
    uint32_t n = part_rows(part);
    struct row_order *order = mem_new((n + 1) * sizeof *order);
    struct paths paths;
    struct arena arena;
    arena_init(&arena, GIB);
    paths_init(&paths, part);
    for (uint32_t i = 0; i < n; i++)
        order[i] = (struct row_order){part_row(part, i)->time_ns, part_row(part, i)->seq, i};
    qsort(order, n, sizeof *order, cmp_rows);
    for (uint32_t i = 0; i < n; i++) {
        add_row(sv, part, &paths, part_row(part, order[i].row), &arena);
        arena_reset(&arena);
    }
    arena_done(&arena);
    mem_free(paths.hash);
    mem_free(paths.depth);
    mem_free(order);
}

static void report(struct service *sv)
{
    for (uint32_t i = 0; i < sv->n; i++) {
        struct shape *sh = &sv->shapes[i];
        upload_ends(sh);
        double up = (double)sh->uploads, samples = (double)sh->samples;
        printf("{\"service\": \"%.*s\", \"profile\": \"%.*s\", \"uploads\": %llu, "
               "\"rows_per_upload\": %.1f, \"samples_per_upload\": %.1f, "
               "\"stacks_per_upload\": %.1f, \"frames_per_stack\": %.1f, \"depth_max\": %llu, "
               "\"bytes_per_sample\": %.3f, \"value_per_sample\": [",
            STR_ARG(sv->name), STR_ARG(sh->name), (unsigned long long)sh->uploads,
            (double)sh->rows / up, samples / up, (double)sh->stacks / up,
            (double)sh->frames / samples, (unsigned long long)sh->depth_max,
            (double)sh->bytes / samples);
        for (uint32_t k = 0; k < sh->n_types; k++)
            printf("%s%.1f", k ? ", " : "", sh->totals[k] / samples);
        printf(
            "],\n  \"uploads_nodes_stacks_functions\": [%.*s]}\n", STR_ARG(buf_view(&sh->growth)));
        mem_free((void *)(uintptr_t)sh->name.p);
        struct keys *all[] = {&sh->nodes, &sh->functions, &sh->stacks_all, &sh->stacks_upload};
        for (size_t k = 0; k < ARRAY_LEN(all); k++)
            mem_free(all[k]->v);
        buf_done(&sh->growth);
    }
}

static int cmp_parts(const void *pa, const void *pb)
{
    const struct part *a = *(const struct part *const *)pa, *b = *(const struct part *const *)pb;
    int c = str_cmp(a->service, b->service);
    return c ? c : (a->time_min > b->time_min) - (a->time_min < b->time_min);
}

static void describe(struct store *s, const struct store_view *view)
{
    const struct part **parts = mem_new((view->n + 1) * sizeof *parts);
    struct error err;
    memcpy(parts, view->parts, view->n * sizeof *parts);
    qsort(parts, view->n, sizeof *parts, cmp_parts);
    struct service sv = {0};
    for (uint32_t i = 0; i < view->n; i++) {
        const struct part *full;
        if (i == 0 || !str_eq(sv.name, parts[i]->service)) {
            report(&sv);
            sv = (struct service){.name = parts[i]->service};
        }
        if (store_part_enter(s, parts[i], &full, &err) != ST_OK || !full)
            die("a block cannot be read");
        add_part(&sv, full);
        store_part_leave(s, full);
    }
    report(&sv);
    mem_free(parts);
}

int main(int argc, char **argv)
{
    struct store *s;
    struct error err;
    const struct store_view *view;
    if (argc != 2) {
        fprintf(stderr, "usage: describe DIR\n");
        return 2;
    }
    log_setup(LOG_WARN, LOG_LOGFMT);
    struct store_config cfg = {.dir = argv[1],
        .fs = &fs_real,
        .head_bytes_max = 8 * GIB,
        .segment_bytes_max = 64 * MIB,
        .queue_bytes_max = 64 * MIB,
        .no_maintenance = true};
    if (store_open(&cfg, &s, &err) != ST_OK ||
        store_view_acquire(s, STR("anonymous"), STR_EMPTY, 0, INT64_MAX, &view, &err) != ST_OK)
        die(err.msg);
    describe(s, view);
    store_view_release(s, view);
    store_close(s);
    return 0;
}
