/* A block file whose checks are made right first, so that what lies behind them is reached:
 * opening, loading and verifying any bytes is safe; a block that verifies can be read to the last
 * sample. */
#include "base/fs_sim.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/varint.h"
#include "model/stack_group.h"
#include "store/block_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RAW_MAX = 4 << 20 };

static void store_u64le(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

/* One section's entry in the directory: its check is made right. Chunks inside keep theirs, which
 * the corpus has. False when it claims a large section. */
static bool mend_section(uint8_t *file, size_t size, struct cursor *c, uint64_t *at, bool version_1)
{
    for (int i = 0; i < (version_1 ? 0 : 4); i++)
        cursor_uvarint(c);
    uint64_t codec = cursor_uvarint(c);
    if (version_1)
        *at = cursor_uvarint(c);
    uint64_t stored = cursor_uvarint(c), raw = cursor_uvarint(c);
    struct str check = cursor_bytes(c, 8);
    if (c->bad || raw > RAW_MAX || *at > size || stored > size - *at)
        return false;
    uint64_t covered = codec == BLOCK_CHUNKS ? MIN(raw, stored) : stored;
    store_u64le(file + (check.p - (const char *)file), hash_disk(file + *at, covered));
    *at += stored;
    return true;
}

static void skip(struct cursor *c, uint64_t n)
{
    for (; n && !c->bad; n--)
        cursor_uvarint(c);
}

/* A count, and as many rows of so many numbers. */
static void skip_rows(struct cursor *c, uint64_t numbers)
{
    for (uint64_t n = cursor_uvarint(c); n && !c->bad; n--)
        skip(c, numbers);
}

/* False when it is not a directory, or claims a large section. */
static bool mend_sections(uint8_t *file, size_t size, struct str directory)
{
    struct cursor c = cursor_make(directory);
    bool version_1 = file[7] == 1, version_3 = file[7] > 2, ok = true;
    uint64_t at = BLOCK_HEAD_BYTES;
    cursor_bytes(&c, cursor_uvarint(&c));
    skip(&c, 3);
    for (uint64_t n = version_1 ? 0 : cursor_uvarint(&c); n && !c.bad; n--)
        cursor_bytes(&c, cursor_uvarint(&c));
    for (uint64_t n = version_3 ? cursor_uvarint(&c) : 0; n && !c.bad; n--)
        cursor_bytes(&c, cursor_uvarint(&c));
    for (uint64_t n = cursor_uvarint(&c); n && !c.bad && ok; n--) {
        uint64_t sections = 6;
        cursor_bytes(&c, cursor_uvarint(&c));
        if (version_1) {
            skip(&c, 5);
        } else {
            skip(&c, 1);
            skip_rows(&c, 4);
            skip_rows(&c, version_3 ? 6 : 5);
            sections = cursor_uvarint(&c);
        }
        for (; sections && !c.bad && ok; sections--)
            ok = mend_section(file, size, &c, &at, version_1);
    }
    return ok && !c.bad;
}

static bool mend(uint8_t *file, size_t size)
{
    if (size < BLOCK_HEAD_BYTES + BLOCK_FOOT_BYTES)
        return false;
    uint8_t *foot = file + size - BLOCK_FOOT_BYTES;
    uint64_t at = load_u64le(foot), n = load_u64le(foot + 8);
    if (at > size || n > size - at)
        return false;
    if (!mend_sections(file, size, str_make(file + at, n)))
        return false;
    store_u64le(file + BLOCK_HEAD_BYTES - 8, hash_disk(file, BLOCK_HEAD_BYTES - 8));
    store_u64le(foot + 16, hash_disk(file + at, n));
    return true;
}

static void read_part(const struct part *p)
{
    struct arena arena;
    arena_init(&arena, GIB);
    for (uint32_t i = 0; i < part_rows(p); i++) {
        const struct part_row *r = part_row(p, i);
        uint32_t n_types = part_series(p, r->series)->n_types;
        for (uint32_t k = 0; k < n_types; k++) {
            struct samples v;
            int64_t total = 0;
            arena_reset(&arena);
            ASSERT(samples_decode(str_make(r->bytes, r->n_bytes), n_types, k, &arena, &v, NULL) ==
                   ST_OK);
            for (uint32_t j = 0; j < v.n; j++) {
                total += v.values[j];
                for (uint32_t node = v.nodes[j]; node; node = sym_node(&p->sym, node).parent)
                    ASSERT(sym_location(&p->sym, sym_node(&p->sym, node).location));
            }
            ASSERT(total == r->totals[k]);
        }
    }
    arena_done(&arena);
}

/* Summed where they are, samples say the same as row by row. */
static void compare_groups(const struct part *grouped, const struct part *by_row, uint32_t n_nodes)
{
    int64_t *a = mem_new((n_nodes + (size_t)1) * sizeof *a),
            *b = mem_new((n_nodes + (size_t)1) * sizeof *b);
    uint8_t *wanted = mem_new(part_rows(grouped) + (size_t)1);
    for (uint32_t i = 0; i < grouped->n_groups; i++) {
        const struct part_group *g = &grouped->groups[i];
        for (uint32_t k = 0; k < g->n_types; k++) {
            bool fits = true;
            memset(a, 0, n_nodes * sizeof *a);
            memset(b, 0, n_nodes * sizeof *b);
            for (uint32_t r = 0; r < g->n_rows; r++) {
                const struct part_row *row = part_row(by_row, g->rows[r]);
                wanted[r] = (g->rows[r] + k) % 3 != 0;
                fits = fits && (!wanted[r] || samples_sum(str_make(row->bytes, row->n_bytes),
                                                  g->n_types, k, b, n_nodes, NULL) == ST_OK);
            }
            enum status st = stack_group_sum(
                g->bytes, wanted, g->n_rows, g->n_types, k, a, n_nodes, NULL);
            ASSERT((st == ST_OK) == fits);
            ASSERT(!fits || memcmp(a, b, n_nodes * sizeof *a) == 0);
        }
    }
    mem_free(wanted);
    mem_free(b);
    mem_free(a);
}

/* Whatever is in them. */
static void sum_groups(const struct part *p, uint32_t n_nodes)
{
    int64_t *sums = mem_new((n_nodes + (size_t)1) * sizeof *sums);
    uint8_t *wanted = mem_new(part_rows(p) + (size_t)1);
    memset(wanted, 1, part_rows(p));
    for (uint32_t i = 0; i < p->n_groups; i++)
        for (uint32_t k = 0; k < p->groups[i].n_types; k++)
            (void)stack_group_sum(p->groups[i].bytes, wanted, p->groups[i].n_rows,
                p->groups[i].n_types, k, sums, n_nodes, NULL);
    mem_free(wanted);
    mem_free(sums);
}

static void read_slots(const struct block_dataset *bd, const struct part *stacks, bool whole)
{
    for (uint32_t i = 0; i < bd->n_slots; i++) {
        struct block_rows *rows, *grouped = NULL;
        if (block_load_rows(bd, i, BLOCK_GROUPED, stacks, &grouped, NULL) == ST_OK)
            sum_groups(&grouped->part, part_nodes(stacks));
        if (block_load_rows(bd, i, BLOCK_BY_ROW, stacks, &rows, NULL) == ST_OK) {
            ASSERT(grouped);
            if (whole) {
                read_part(&rows->part);
                compare_groups(&grouped->part, &rows->part, part_nodes(stacks));
            }
            block_rows_free(rows);
        } else {
            ASSERT(!whole);
        }
        if (grouped)
            block_rows_free(grouped);
    }
}

static void read_block(struct block *b)
{
    bool whole = block_verify(b, NULL) == ST_OK;
    for (uint32_t i = 0; i < b->n_datasets; i++) {
        struct dataset *ds;
        if (block_load(&b->datasets[i], false, &ds, NULL) == ST_OK)
            dataset_free(ds);
        else
            ASSERT(!whole);
        if (block_load(&b->datasets[i], true, &ds, NULL) != ST_OK)
            continue;
        read_slots(&b->datasets[i], &ds->part, whole);
        dataset_free(ds);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 64 * KIB)
        return 0;
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    uint8_t *file = mem_new(size);
    memcpy(file, data, size);
    bool mended = mend(file, size);
    struct fs_sim *sim = fs_sim_new(1);
    struct fs *fs = fs_sim_fs(sim);
    struct fs_file *f = NULL;
    struct block *b = NULL;
    fs->dir_make(fs, "d");
    ASSERT(fs->file_open(fs, "d/x.efb", FS_CREATE, &f) == 0);
    ASSERT(fs->file_write(fs, f, 0, file, size) == 0);
    fs->file_close(fs, f);
    if (mended && block_open(fs, "d", "x.efb", &b, NULL) == ST_OK) {
        read_block(b);
        block_unref(b);
    }
    fs_sim_free(sim);
    mem_free(file);
    return 0;
}
