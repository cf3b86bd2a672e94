/* store/tool.h: what a directory holds is listed, and every flipped bit of every file is found. */
#include "test.h"

#include "base/log.h"
#include "fixture_blocks.h"
#include "store/tool.h"

struct list {
    uint32_t n, kinds[8], problems, notes;
    uint64_t profiles, samples, bytes;
    char what[40][300]; /* "path: problem or note" */
};

static void note(void *ctx, const struct tool_entry *e)
{
    struct list *l = ctx;
    ASSERT(l->n < ARRAY_LEN(l->what) && !(e->problem.n && e->note.n && e->kind == TOOL_FORMAT));
    snprintf(l->what[l->n++], sizeof l->what[0], "%.*s: %.*s%.*s", STR_ARG(e->path),
        STR_ARG(e->problem), STR_ARG(e->note));
    l->kinds[e->kind]++;
    l->problems += e->problem.n > 0;
    l->notes += e->note.n > 0;
    l->profiles += e->profiles;
    l->samples += e->samples;
    l->bytes += e->bytes;
}

static struct list walk(struct fs_sim *sim, bool verify)
{
    struct list l = {0};
    assert_int_equal(tool_walk(fs_sim_fs(sim), "data", verify, note, &l, NULL), ST_OK);
    return l;
}

static bool has(const struct list *l, const char *what)
{
    for (uint32_t i = 0; i < l->n; i++)
        if (strstr(l->what[i], what))
            return true;
    return false;
}

/* Three blocks, and a log with ten uploads more. */
static struct fs_sim *make_store(void)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct store *s = open_sim(sim);
    for (uint32_t i = 0; i < 9; i++)
        assert_int_equal(
            upload(s, i % 3 ? "anonymous" : "b", "one", T0 + i % 2 * HOUR_NS, 2, i), ST_OK);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(upload(s, "anonymous", "one", T0, 1, i), ST_OK);
    store_close(s);
    return sim;
}

static void test_lists_everything(void **state)
{
    struct fs_sim *sim = make_store();
    (void)state;
    for (int verify = 0; verify < 2; verify++) {
        struct list l = walk(sim, verify);
        assert_int_equal(l.problems, 0);
        assert_int_equal(l.notes, 0);
        assert_int_equal(l.kinds[TOOL_FORMAT], 1);
        assert_int_equal(l.kinds[TOOL_BLOCK], 4);
        assert_int_equal(l.kinds[TOOL_MARKER], 1);
        assert_int_equal(l.kinds[TOOL_SEGMENT], 1);
        assert_int_equal(l.kinds[TOOL_FOREIGN], 0);
        assert_int_equal(l.profiles, 9);
        assert_int_equal(l.samples, 27);
    }
    fs_sim_free(sim);
}

static void test_finds_every_bit(void **state)
{
    struct fs_sim *sim = make_store();
    struct found *files = find_files(sim, "data/");
    (void)state;
    for (uint32_t f = 0; f < files->n; f++) {
        const char *path = files->paths[f];
        for (uint64_t i = 0; i < files->sizes[f] * 8; i++) {
            assert_true(fs_sim_flip(sim, path, i / 8, i % 8));
            struct list l = {0};
            enum status st = tool_walk(fs_sim_fs(sim), "data", true, note, &l, NULL);
            /* the last batch of a log may be a torn tail: noted, not a problem */
            bool noticed = strstr(path, "wal/") ? l.problems + l.notes > 0 : l.problems > 0;
            if (strstr(path, "FORMAT")) /* the version may read as a newer one */
                noticed |= st == ST_FAILED_PRECONDITION;
            if (!noticed || (st == ST_OK && !has(&l, path + strlen("data/"))))
                fail_msg("%s: bit %u of byte %u is not noticed", path, (unsigned)(i % 8),
                    (unsigned)(i / 8));
            assert_true(fs_sim_flip(sim, path, i / 8, i % 8));
        }
    }
    mem_free(files);
    fs_sim_free(sim);
}

static void test_missing_and_foreign(void **state)
{
    struct fs_sim *sim = make_store();
    struct fs *fs = fs_sim_fs(sim);
    struct found *blocks = find_files(sim, ".efb"), *logs = find_files(sim, "data/wal/");
    struct buf block, log;
    char path[700];
    (void)state;
    read_file(fs, blocks->paths[1], &block);
    read_file(fs, logs->paths[0], &log);
    assert_int_equal(fs->unlink(fs, blocks->paths[0]), 0);
    snprintf(path, sizeof path, "%s", blocks->paths[1]);
    memcpy(strrchr(path, '/') + 1, "00000000000000000000000000", 26);
    put_file(fs, path, buf_view(&block));
    put_file(fs, "data/blocks/notes", STR("mine"));
    put_file(fs, "data/epochs/notes", STR("mine"));
    put_file(fs, "data/quarantine/x.wal", STR("old"));
    put_file(fs, logs->paths[0], str_head(buf_view(&log), log.n - 10));
    struct list l = walk(sim, true);
    assert_int_equal(l.problems, 1);
    assert_true(has(&l, "missing: its marker names it"));
    assert_true(has(&l, "0.efb: not listed in the marker of its epoch, or a copy"));
    assert_true(has(&l, "bytes at the end are no whole batch"));
    assert_int_equal(l.kinds[TOOL_FOREIGN], 2);
    assert_int_equal(l.kinds[TOOL_QUARANTINE], 1);
    buf_done(&block);
    buf_done(&log);
    mem_free(blocks);
    mem_free(logs);
    fs_sim_free(sim);
}

static void test_single_files(void **state)
{
    struct fs_sim *sim = make_store();
    struct fs *fs = fs_sim_fs(sim);
    static const char *const kinds[] = {".efb", ".wal", ".done", "FORMAT"};
    static const char *const says[] = {"service one: profiles", "upload 10:", "everflame epoch"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct found *files = find_files(sim, kinds[i]);
        struct list l = {0};
        struct buf out;
        buf_init(&out, MIB);
        enum status st = tool_file(fs, files->paths[0], true, note, &l, NULL);
        assert_int_equal(st, i < 2 ? ST_OK : ST_INVALID_ARGUMENT);
        assert_int_equal(l.n, i < 2);
        assert_int_equal(l.problems, 0);
        st = tool_inspect(fs, files->paths[0], &out, NULL);
        assert_int_equal(st, i < 3 ? ST_OK : ST_INVALID_ARGUMENT);
        buf_byte(&out, 0);
        if (i < 3)
            assert_non_null(strstr(out.p, says[i]));
        buf_done(&out);
        if (i < 2) {
            assert_true(fs_sim_flip(sim, files->paths[0], 100, 0));
            assert_int_equal(tool_file(fs, files->paths[0], true, note, &l, NULL), ST_OK);
            assert_int_equal(l.problems, 1);
        }
        mem_free(files);
    }
    struct list l = {0};
    struct error err;
    assert_int_equal(tool_walk(fs, "elsewhere", true, note, &l, &err), ST_NOT_FOUND);
    assert_non_null(strstr(err.msg, "no data directory"));
    fs_sim_free(sim);
}

static void count_job(void *ctx, const struct store_compacted *job)
{
    uint32_t *n = ctx;
    assert_true(job->n_sources >= 1 && job->bytes_in && job->bytes_out);
    ++*n;
}

/* Log and blocks become one block per tenant and day; files of sources that are still there are no
 * problem, and blocks that went because of a merge are not missing. */
static void test_compact(void **state)
{
    struct fs_sim *sim = make_store();
    struct fs *fs = fs_sim_fs(sim);
    struct found *before = find_files(sim, ".efb");
    struct buf block;
    uint32_t jobs = 0;
    (void)state;
    read_file(fs, before->paths[0], &block);
    uint64_t profiles = 9 + 10;
    assert_int_equal(tool_compact(fs, "data", true, count_job, &jobs, NULL), ST_OK);
    assert_int_equal(jobs, 2);
    struct list l = walk(sim, true);
    assert_int_equal(l.problems, 0);
    assert_int_equal(l.kinds[TOOL_BLOCK], 2);
    assert_int_equal(l.profiles, profiles);
    fs->dir_make(fs, "data/blocks/anonymous/1h");
    fs->dir_make(fs, "data/blocks/anonymous/1h/2023-11-14");
    fs->dir_make(fs, "data/blocks/b/1h");
    fs->dir_make(fs, "data/blocks/b/1h/2023-11-14");
    put_file(fs, before->paths[0], buf_view(&block));
    l = walk(sim, true);
    assert_int_equal(l.problems, 0);
    assert_true(has(&l, "retired"));
    jobs = 0;
    assert_int_equal(tool_compact(fs, "data", true, count_job, &jobs, NULL), ST_OK);
    assert_int_equal(jobs, 0);
    struct store *s = open_sim(sim);
    assert_int_equal(tool_compact(fs, "data", true, NULL, NULL, NULL), ST_FAILED_PRECONDITION);
    store_close(s);
    assert_int_equal(tool_compact(fs, "elsewhere", true, NULL, NULL, NULL), ST_NOT_FOUND);
    buf_done(&block);
    mem_free(before);
    fs_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_everything),
        cmocka_unit_test(test_finds_every_bit),
        cmocka_unit_test(test_missing_and_foreign),
        cmocka_unit_test(test_single_files),
        cmocka_unit_test(test_compact),
    };
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
