/* Golden files: what the writers make of a fixed input is byte for byte what tests/golden has, and
 * the readers make of the golden files what is written beside them as text. One set per format
 * version; those of older versions stay and are still read.
 *
 *     test_golden --write      writes tests/golden again, for a new version */
#include "test.h"

#include <stdio.h>
#include <zstd.h>

#include "base/hash.h"
#include "base/log.h"
#include "fixture_blocks.h"
#include "store/rollup_int.h"

static const char wal_path[] = "data/wal/0000000000000001-00000000.wal";
static const char marker_path[] = "data/epochs/0000000000000001.done";
static bool write_files;

/* The store's id is drawn when FORMAT is made: here it is there before. */
static struct fs_sim *new_disk(void)
{
    static const char *const dirs[] = {"data", "data/wal", "data/epochs", "data/tmp"};
    struct fs_sim *sim = fs_sim_new(1);
    char text[200];
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        fs_sim_fs(sim)->dir_make(fs_sim_fs(sim), dirs[i]);
    int n = snprintf(text, sizeof text, "everflame 1\nid 676f6c64656e2073746f726520696421\n");
    n += snprintf(text + n, sizeof text - (size_t)n, "check %016llx\n",
        (unsigned long long)hash_disk(text, (size_t)n));
    put_file(fs_sim_fs(sim), "data/FORMAT", str_make(text, (size_t)n));
    return sim;
}

/* Inlined lines, a folded location, one without symbols, a mapping; in another service. */
static void upload_native(struct store *s)
{
    static const char *const stacks[] = {"abc", "abx", "c"};
    const int64_t values[] = {INT64_MAX / 2, 0, 1, 3, 2, 5};
    struct prof_mapping mapping = {.start = 0x400000,
        .limit = 0x500000,
        .offset = 0x1000,
        .filename = 25,
        .build_id = 26,
        .flags = PROF_HAS_FUNCTIONS | PROF_HAS_LINE_NUMBERS};
    struct request rq;
    request_init(&rq, "native", stacks, values, 3, 2);
    rq.sym.mappings = &mapping;
    rq.sym.n_mappings = 1;
    rq.sym.strings[25] = STR("/usr/bin/worker");
    rq.sym.strings[26] = STR("b1946ac92492d2347c6235b4d2611184");
    rq.sym.locations[1].n_lines = 3;
    rq.sym.locations[1].folded = true;
    rq.sym.locations[1].mapping = 0;
    rq.sym.locations['x' - 'a'] = (struct prof_location){.address = 0x400123, .mapping = 0};
    rq.prof.time_ns = T0 + 1;
    rq.prof.period_type = (struct prof_type){STR("cpu"), STR("nanoseconds")};
    assert_int_equal(append_wait(s, STR("anonymous"), &rq.row), ST_OK);
    arena_done(&rq.arena);
}

static void upload_all(struct store *s)
{
    for (uint32_t i = 0; i < 12; i++)
        assert_int_equal(upload(s, "anonymous", i % 3 ? "service one" : "zwölf",
                             T0 + (int64_t)(i * 7 % 10) * NS_PER_S, 1 + i % 4, i),
            ST_OK);
    upload_native(s);
    assert_int_equal(upload(s, "anonymous", "zwölf", T0 + HOUR_NS - 1, 1, 12), ST_OK);
}

static struct buf golden(const char *name)
{
    char path[200];
    struct buf bytes;
    snprintf(path, sizeof path, "tests/golden/%s", name);
    read_file(&fs_real, path, &bytes);
    return bytes;
}

static void check_file(struct fs_sim *sim, const char *path, const char *name)
{
    struct buf now, then;
    read_file(fs_sim_fs(sim), path, &now);
    if (write_files) {
        char out[200];
        snprintf(out, sizeof out, "tests/golden/%s", name);
        fs_real.unlink(&fs_real, out);
        put_file(&fs_real, out, buf_view(&now));
    }
    then = golden(name);
    assert_int_equal(now.n, then.n);
    for (size_t i = 0; i < now.n; i++)
        if (now.p[i] != then.p[i])
            fail_msg("%s differs at byte %zu", name, i);
    buf_done(&then);
    buf_done(&now);
}

static struct found *the_block(struct fs_sim *sim)
{
    struct found *f = find_files(sim, ".efb");
    assert_int_equal(f->n, 1);
    return f;
}

static void test_writers(void **state)
{
    struct fs_sim *sim = new_disk();
    struct store *s = open_sim(sim);
    (void)state;
    upload_all(s);
    check_file(sim, wal_path, "wal-v1.wal");
    char *text = shown(s, "anonymous");
    put_file(fs_sim_fs(sim), "data/tmp/text", str_from(text));
    check_file(sim, "data/tmp/text", "shown-v1.txt");
    fs_sim_fs(sim)->unlink(fs_sim_fs(sim), "data/tmp/text");
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    struct found *block = the_block(sim);
    if (ZSTD_versionNumber() == 10504) { /* others may compress otherwise */
        check_file(sim, block->paths[0], "block-v3.efb");
        check_file(sim, marker_path, "marker-v3.done");
    }
    check_file(sim, "data/FORMAT", "format-v1");
    mem_free(block);
    assert_int_equal(store_compact(s, true, NULL, NULL, NULL), ST_OK);
    block = the_block(sim);
    if (ZSTD_versionNumber() == 10504)
        check_file(sim, block->paths[0], "block-v3-24h.efb");
    store_close(s);
    fs_sim_free(sim);
    mem_free(block);
    mem_free(text);
}

enum { DAILY = 6, DIGESTED_DAYS = 2 }; /* uploads, two services in turn */

/* Two days, and two days later one that sums them up in digests. */
static void test_writer_of_a_digest(void **state)
{
    static const int64_t hours[] = {-24, 0, 48};
    struct fs_sim *sim = new_disk();
    struct store *s = open_sim(sim);
    (void)state;
    for (uint32_t i = 0; i < ARRAY_LEN(hours) * DAILY; i++)
        assert_int_equal(upload(s, "anonymous", i % 2 ? "service one" : "zwölf",
                             T0 + hours[i / DAILY] * HOUR_NS + i * NS_PER_S, 1, i + 1),
            ST_OK);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    assert_int_equal(store_compact(s, true, NULL, NULL, NULL), ST_OK);
    struct found *blocks = find_files(sim, ".efb");
    const char *host = NULL;
    for (uint32_t i = 0; i < blocks->n; i++)
        if (strstr(blocks->paths[i], "/24h/2023-11-16/"))
            host = blocks->paths[i];
    assert_non_null(host);
    if (ZSTD_versionNumber() == 10504)
        check_file(sim, host, "block-v3-digest.efb");
    store_close(s);
    fs_sim_free(sim);
    mem_free(blocks);
}

/* Of uploads i = first, first + 2, …: each has three samples (fixture_blocks.h). */
static int64_t digested_total(uint32_t first)
{
    int64_t total = 0;
    for (uint32_t i = first; i < DIGESTED_DAYS * DAILY; i += 2)
        for (uint32_t k = 0; k < 3; k++)
            total += 1 + (int64_t)((i + 1) * 7 + k * 3) % 100;
    return total;
}

static void check_digest(const struct block_dataset *bd)
{
    struct arena arena;
    struct store_digested *v;
    struct block_chunks *tree;
    uint32_t n;
    arena_init(&arena, MIB);
    assert_int_equal(digest_read(bd, &arena, &v, &n, NULL), ST_OK);
    assert_int_equal(n, DIGESTED_DAYS);
    for (uint32_t i = 0; i < n; i++)
        assert_true(v[i].epoch == 3 + i && v[i].n_datasets == 1); /* merges, after one cut */
    assert_int_equal(bd->rollups.n_digests, 1);
    const struct part_digest *d = &bd->rollups.digests[0];
    assert_true(str_starts(d->type, STR("cpu:type0:count:")));
    assert_int_equal(block_chunks_open(bd, &bd->sections[d->tree.tree], &tree, NULL), ST_OK);
    bool zwoelf = str_eq(bd->service, STR("zwölf"));
    assert_int_equal(tree->tree.total, digested_total(zwoelf ? 0 : 1));
    block_chunks_free(tree);
    arena_done(&arena);
}

static void test_reader_of_a_digest(void **state)
{
    struct block *b = NULL;
    (void)state;
    assert_int_equal(block_open(&fs_real, "tests/golden", "block-v3-digest.efb", &b, NULL), ST_OK);
    assert_int_equal(block_verify(b, NULL), ST_OK);
    assert_int_equal(b->n_datasets, 2);
    for (uint32_t i = 0; i < b->n_datasets; i++)
        check_digest(&b->datasets[i]);
    block_unref(b);
}

static void check_shown(struct fs_sim *sim)
{
    struct buf text = golden("shown-v1.txt");
    struct store *s = open_sim(sim);
    buf_byte(&text, 0);
    assert_shown(s, "anonymous", text.p);
    store_close(s);
    buf_done(&text);
}

static void put_golden(struct fs_sim *sim, const char *path, const char *name)
{
    struct buf bytes = golden(name);
    put_file(fs_sim_fs(sim), path, buf_view(&bytes));
    buf_done(&bytes);
}

static void test_reader_of_the_log(void **state)
{
    struct fs_sim *sim = new_disk();
    double bad = metric_get(M_WAL_DAMAGE) + metric_get(M_WAL_TORN);
    (void)state;
    put_golden(sim, "data/FORMAT", "format-v1");
    put_golden(sim, wal_path, "wal-v1.wal");
    check_shown(sim);
    assert_true(metric_get(M_WAL_DAMAGE) + metric_get(M_WAL_TORN) == bad);
    fs_sim_free(sim);
}

/* What an older version wrote is merged like anything else. */
static void merge_blocks(struct fs_sim *sim)
{
    struct store *s = open_sim(sim);
    assert_int_equal(store_compact(s, true, NULL, NULL, NULL), ST_OK);
    assert_int_equal(s->n_blocks, 1);
    assert_int_equal(s->blocks[0]->level, BLOCK_24H);
    assert_int_equal(block_verify(s->blocks[0], NULL), ST_OK);
    store_close(s);
    check_shown(sim);
}

static void read_blocks(const char *block_name, const char *marker_name)
{
    static const char folder[] = "data/blocks/anonymous/1h/2023-11-14";
    struct fs_sim *sim = new_disk();
    struct fs *fs = fs_sim_fs(sim);
    double bad = metric_get(M_BLOCKS_BAD);
    char path[200] = "";
    for (size_t i = strlen("data/"); i <= strlen(folder); i++)
        if (folder[i] == '/' || !folder[i]) {
            snprintf(path, sizeof path, "%.*s", (int)i, folder);
            fs->dir_make(fs, path);
        }
    struct buf marker = golden(marker_name);
    const struct str text = buf_view(&marker);
    struct str name = str_skip(text, str_find(text, STR("2023-11-14/")) + strlen("2023-11-14/"));
    snprintf(path, sizeof path, "%s/%.*s", folder, (int)str_find_char(name, '\n'), name.p);
    put_golden(sim, "data/FORMAT", "format-v1");
    put_golden(sim, path, block_name);
    for (int with_marker = 0; with_marker < 2; with_marker++) {
        if (with_marker)
            put_file(fs, marker_path, text);
        check_shown(sim);
        assert_true(metric_get(M_BLOCKS_BAD) == bad);
        struct found *block = the_block(sim); /* found good and left alone */
        assert_string_equal(block->paths[0], path);
        mem_free(block);
    }
    merge_blocks(sim);
    buf_done(&marker);
    fs_sim_free(sim);
}

/* A merged block without a marker and without its sources: found, read to the last byte, served. */
static void test_reader_of_a_day(void **state)
{
    static const char *const folders[] = {"data/blocks", "data/blocks/anonymous",
        "data/blocks/anonymous/24h", "data/blocks/anonymous/24h/2023-11-14"};
    struct fs_sim *sim = new_disk();
    struct block *block = NULL;
    char path[BLOCK_PATH_MAX + 16];
    (void)state;
    assert_int_equal(block_open(&fs_real, "tests/golden", "block-v3-24h.efb", &block, NULL), ST_OK);
    assert_non_null(block_section(&block->datasets[0], BLOCK_STACKED, 0, 0));
    const struct block_target to = {.dir = "data", .store_id = block->store_id};
    char name[BLOCK_PATH_MAX];
    assert_true(block_path(&to, block->epoch, block->tenant, block->level, block->start_ns, name));
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        fs_sim_fs(sim)->dir_make(fs_sim_fs(sim), folders[i]);
    snprintf(path, sizeof path, "data/blocks/%s", name);
    put_golden(sim, "data/FORMAT", "format-v1");
    put_golden(sim, path, "block-v3-24h.efb");
    check_shown(sim);
    block_unref(block);
    fs_sim_free(sim);
}

static void test_readers_of_blocks(void **state)
{
    (void)state;
    read_blocks("block-v1.efb", "marker-v1.done");
    read_blocks("block-v2.efb", "marker-v2.done");
    read_blocks("block-v3.efb", "marker-v3.done");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writers),
        cmocka_unit_test(test_reader_of_the_log),
        cmocka_unit_test(test_readers_of_blocks),
        cmocka_unit_test(test_reader_of_a_day),
        cmocka_unit_test(test_writer_of_a_digest),
        cmocka_unit_test(test_reader_of_a_digest),
    };
    write_files = argc > 1 && strcmp(argv[1], "--write") == 0;
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
