/* Damage: every bit or byte of the log, blocks, markers and FORMAT is flipped, files are cut short,
 * taken away or made unreadable. Always: no crash, it is noticed and counted, and everything that
 * does not lie in the damaged unit is there as before. */
#include "test.h"

#include "base/clock.h"
#include "base/log.h"
#include "fixture_blocks.h"

/* A data directory as bytes, to start from again and again. */
struct image {
    uint32_t n;
    struct {
        char path[200];
        struct buf bytes;
    } files[64];
};

static void image_add(void *ctx, const char *path, uint64_t size)
{
    struct image *im = ctx;
    (void)size;
    ASSERT(im->n < ARRAY_LEN(im->files) && strlen(path) < sizeof im->files[0].path);
    snprintf(im->files[im->n++].path, sizeof im->files[0].path, "%s", path);
}

static struct image *image_take(struct fs_sim *sim)
{
    struct image *im = NEW(struct image);
    fs_sim_files(sim, image_add, im);
    for (uint32_t i = 0; i < im->n; i++)
        read_file(fs_sim_fs(sim), im->files[i].path, &im->files[i].bytes);
    fs_sim_free(sim);
    return im;
}

static void image_free(struct image *im)
{
    for (uint32_t i = 0; i < im->n; i++)
        buf_done(&im->files[i].bytes);
    mem_free(im);
}

static void make_parents(struct fs *fs, const char *path)
{
    char dir[200];
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
        fs->dir_make(fs, dir);
    }
}

static struct fs_sim *image_start(const struct image *im)
{
    struct fs_sim *sim = fs_sim_new(1);
    for (uint32_t i = 0; i < im->n; i++) {
        make_parents(fs_sim_fs(sim), im->files[i].path);
        put_file(fs_sim_fs(sim), im->files[i].path, buf_view(&im->files[i].bytes));
    }
    return sim;
}

/* The file whose path contains `what`; there is one. */
static uint32_t image_find(const struct image *im, const char *what)
{
    uint32_t found = UINT32_MAX;
    for (uint32_t i = 0; i < im->n; i++)
        if (strstr(im->files[i].path, what)) {
            assert_int_equal(found, UINT32_MAX);
            found = i;
        }
    assert_int_not_equal(found, UINT32_MAX);
    return found;
}

static unsigned some_bit(uint64_t at)
{
    return (unsigned)(at * 0x9E3779B97F4A7C15u >> 61);
}

/* Lines of `all` that `part` does not have; all lines of `part` must be in `all`. Both sorted. */
static uint32_t missing_lines(const char *all, const char *part, bool (*may_miss)(const char *line))
{
    uint32_t missing = 0;
    while (*all) {
        size_t n = (size_t)(strchr(all, '\n') - all) + 1;
        if (strncmp(all, part, n) == 0) {
            part += n;
        } else {
            if (!may_miss(all))
                fail_msg("lost: %.*s", (int)n, all);
            missing++;
        }
        all += n;
    }
    if (*part)
        fail_msg("not there before: %.200s", part);
    return missing;
}

/* The log. Uploads 1 … LOG_ROWS of two services in turn; each is a batch of its own, batch n + 1.
 */

enum { LOG_ROWS = 24 };

static struct store *open_big_segments(struct fs_sim *sim)
{
    struct store_config cfg = sim_config(sim);
    struct store *s = NULL;
    cfg.segment_bytes_max = MIB;
    assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
    return s;
}

static struct image *log_image(char **ret_shown)
{
    struct fs_sim *sim = fs_sim_new(9);
    struct store *s = open_big_segments(sim);
    for (uint32_t i = 0; i < LOG_ROWS; i++)
        assert_int_equal(upload(s, "anonymous", i % 2 ? "one" : "two", T0 + i + 1, 2, i), ST_OK);
    *ret_shown = shown(s, "anonymous");
    store_close(s);
    return image_take(sim);
}

struct batches {
    size_t begin[LOG_ROWS + 3], end[LOG_ROWS + 3];
    uint32_t n;
};

static struct batches batches_of(struct str log)
{
    struct batches b = {0};
    struct wal_batch one;
    for (size_t at = WAL_HEAD_BYTES; wal_batch_at(log, at, &one); at = one.end) {
        b.begin[b.n] = one.begin;
        b.end[b.n++] = one.end;
    }
    assert_int_equal(b.n, LOG_ROWS + 1);
    assert_int_equal(b.end[b.n - 1], log.n);
    return b;
}

static uint64_t lost_seq; /* of the damaged batch; 0: none */

static bool of_lost_upload(const char *line)
{
    char seq[40];
    snprintf(seq, sizeof seq, " seq %llu ", (unsigned long long)lost_seq);
    return strstr(line, seq) != NULL;
}

static void check_rows(struct store *s)
{
    uint32_t seen[LOG_ROWS + 2] = {0};
    const struct store_view *v = all_parts(s);
    struct row_walk walk = {.s = s, .v = v};
    const struct part *p;
    const struct part_row *r;
    while (row_walk_next(&walk, &p, &r)) {
        assert_in_range(r->seq, 1, LOG_ROWS);
        assert_int_equal(r->time_ns, T0 + (int64_t)r->seq);
        assert_string_equal(
            part_series(p, r->series)->labels[1].value.n ? "labels" : "none", "labels");
        int64_t total = 0;
        for (int64_t j = 0; j < 3; j++)
            total += 1 + ((int64_t)(r->seq - 1) * 7 + j * 6) % 100;
        assert_int_equal(r->totals[0], total);
        seen[r->seq]++;
    }
    for (uint64_t seq = 1; seq <= LOG_ROWS; seq++)
        assert_int_equal(seen[seq], seq != lost_seq);
    store_view_release(s, v);
}

static void check_log_flip(const struct image *im, const char *expected, uint32_t file, size_t at,
    const struct batches *b, bool later_log)
{
    struct fs_sim *sim = image_start(im);
    double damage = metric_get(M_WAL_DAMAGE), torn = metric_get(M_WAL_TORN);
    assert_true(fs_sim_flip(sim, im->files[file].path, at, some_bit(at)));
    struct store *s = open_big_segments(sim);
    uint32_t hit = 0; /* batches before it; the first is the epoch's */
    while (hit < b->n && at >= b->end[hit])
        hit++;
    bool in_head = at < WAL_HEAD_BYTES, is_last = hit == b->n - 1;
    lost_seq = in_head ? 0 : hit;
    assert_int_equal(metric_get(M_WAL_TORN) - torn, is_last && !in_head);
    assert_int_equal(metric_get(M_WAL_DAMAGE) - damage, in_head || !is_last || later_log);
    check_rows(s);
    char *now = shown(s, "anonymous");
    if (lost_seq == 0)
        assert_string_equal(now, expected);
    else if (lost_seq > 2)
        assert_int_not_equal(missing_lines(expected, now, of_lost_upload), 0);
    mem_free(now);
    /* after a cut the damaged file is kept, a torn one is not */
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    check_rows(s);
    assert_int_equal(count_files(sim, "quarantine/"), in_head || !is_last || later_log ? 1 : 0);
    store_close(s);
    fs_sim_free(sim);
}

static void test_flips_in_the_log(void **state)
{
    char *expected;
    struct image *im = log_image(&expected);
    uint32_t file = image_find(im, "data/wal/");
    struct str log = buf_view(&im->files[file].bytes);
    struct batches b = batches_of(log);
    (void)state;
    for (size_t at = 0; at < log.n; at++)
        check_log_flip(im, expected, file, at, &b, false);
    image_free(im);
    mem_free(expected);
}

/* The epoch after it says how far it counted: then the last batch is no torn tail but damage. */
static void test_flips_in_the_last_batch_of_an_old_log(void **state)
{
    char *expected;
    struct image *im = log_image(&expected);
    uint32_t file = image_find(im, "data/wal/");
    struct batches b = batches_of(buf_view(&im->files[file].bytes));
    char path[200];
    (void)state;
    snprintf(path, sizeof path, "%s", im->files[file].path);
    struct fs_sim *sim = image_start(im);
    image_free(im);
    store_close(open_big_segments(sim));
    im = image_take(sim);
    file = image_find(im, path);
    for (size_t at = b.begin[b.n - 1]; at < b.end[b.n - 1]; at += 3)
        check_log_flip(im, expected, file, at, &b, true);
    image_free(im);
    mem_free(expected);
}

/* Of the lines, sorted, those of "one" come first. */
static void check_lost_service(struct store *s, const char *expected, bool one)
{
    char *now = shown(s, "anonymous");
    const char *two = strstr(expected, "two ");
    assert_non_null(strstr(now, "<[damaged]:0"));
    if (one)
        assert_string_equal(strstr(now, "two "), two);
    else
        assert_int_equal(strncmp(now, expected, (size_t)(two - expected)), 0);
    mem_free(now);
}

/* While a service's first upload is lost, the other service keeps everything. */
static void test_lost_symbols_stay_with_their_service(void **state)
{
    char *expected;
    struct image *im = log_image(&expected);
    uint32_t file = image_find(im, "data/wal/");
    struct batches b = batches_of(buf_view(&im->files[file].bytes));
    (void)state;
    for (lost_seq = 1; lost_seq <= 2; lost_seq++) {
        struct fs_sim *sim = image_start(im);
        assert_true(fs_sim_flip(sim, im->files[file].path, b.end[lost_seq] - 1, 0));
        struct store *s = open_big_segments(sim);
        check_rows(s);
        check_lost_service(s, expected, lost_seq == 2);
        s->target.dataset_bytes_max = 900; /* blocks are copied, in pieces */
        assert_int_equal(store_cut(s, "test", NULL), ST_OK);
        check_rows(s);
        check_lost_service(s, expected, lost_seq == 2);
        for (uint32_t i = 0; i < s->n_blocks; i++)
            assert_int_equal(block_verify(s->blocks[i], NULL), ST_OK);
        store_close(s);
        fs_sim_free(sim);
    }
    image_free(im);
    mem_free(expected);
}

static void test_log_cut_short_anywhere(void **state)
{
    char *expected;
    struct image *im = log_image(&expected);
    uint32_t file = image_find(im, "data/wal/");
    struct buf *log = &im->files[file].bytes;
    struct batches b = batches_of(buf_view(log));
    const size_t whole = log->n;
    (void)state;
    for (size_t n = 0; n < whole; n++) {
        double damage = metric_get(M_WAL_DAMAGE), torn = metric_get(M_WAL_TORN);
        uint32_t left = 0;
        bool clean = n == WAL_HEAD_BYTES || n == 0;
        log->n = n;
        struct fs_sim *sim = image_start(im);
        struct store *s = open_big_segments(sim);
        for (uint32_t i = 0; i < b.n; i++) {
            left += b.end[i] <= n;
            clean |= b.end[i] == n;
        }
        assert_int_equal(rows_shown(s, "anonymous"), left ? left - 1 : 0);
        assert_int_equal(metric_get(M_WAL_DAMAGE) - damage, 0);
        assert_int_equal(metric_get(M_WAL_TORN) - torn, !clean);
        store_close(s);
        fs_sim_free(sim);
    }
    log->n = whole;
    image_free(im);
    mem_free(expected);
}

/* Bytes that are no batch, in the middle: what follows is found again. */
static void test_garbage_in_the_middle_of_the_log(void **state)
{
    char *expected;
    struct image *im = log_image(&expected);
    uint32_t file = image_find(im, "data/wal/");
    struct buf *log = &im->files[file].bytes, damaged;
    struct batches b = batches_of(buf_view(log));
    (void)state;
    for (uint32_t i = 3; i < b.n - 1; i++) {
        buf_init(&damaged, MIB);
        buf_add(&damaged, log->p, b.begin[i]);
        for (uint32_t k = 0; k < 100 * i; k++) /* with what looks like a batch */
            buf_str(&damaged, k % 7 ? STR("\0\xff") : STR("EFB1\x10\0\0\0"));
        buf_add(&damaged, log->p + b.end[i], log->n - b.end[i]);
        struct fs_sim *sim = image_start(im);
        put_file(fs_sim_fs(sim), im->files[file].path, buf_view(&damaged));
        double damage = metric_get(M_WAL_DAMAGE);
        struct store *s = open_big_segments(sim);
        lost_seq = i;
        check_rows(s);
        assert_int_equal(metric_get(M_WAL_DAMAGE) - damage, 1);
        store_close(s);
        fs_sim_free(sim);
        buf_done(&damaged);
    }
    image_free(im);
    mem_free(expected);
}

/* Whole segments and whole logs that are not there. */
static void test_missing_logs(void **state)
{
    struct fs_sim *sim = fs_sim_new(12);
    struct store_config cfg = sim_config(sim);
    struct store *s;
    (void)state;
    cfg.segment_bytes_max = 700;
    assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
    for (uint32_t i = 0; i < 90; i++) {
        assert_int_equal(upload(s, "anonymous", "one", T0 + i, 1, i), ST_OK);
        if (i % 30 == 29)
            store_seal(s);
    }
    store_close(s);
    struct image *im = image_take(sim);
    uint32_t logs = 0;
    for (uint32_t f = 0; f < im->n; f++) {
        if (!strstr(im->files[f].path, "data/wal/"))
            continue;
        sim = image_start(im);
        assert_int_equal(fs_sim_fs(sim)->unlink(fs_sim_fs(sim), im->files[f].path), 0);
        double damage = metric_get(M_WAL_DAMAGE);
        s = open_sim(sim);
        bool last = f == im->n - 1 || !strstr(im->files[f + 1].path, "data/wal/");
        assert_in_range(rows_shown(s, "anonymous"), 50, 89);
        if (!last) /* of the last segment nothing else knows */
            assert_true(metric_get(M_WAL_DAMAGE) > damage);
        store_close(s);
        fs_sim_free(sim);
        logs++;
    }
    assert_true(logs > 8);
    sim = image_start(im); /* now all segments of the second epoch */
    for (uint32_t f = 0; f < im->n; f++)
        if (strstr(im->files[f].path, "data/wal/0000000000000002-"))
            assert_int_equal(fs_sim_fs(sim)->unlink(fs_sim_fs(sim), im->files[f].path), 0);
    double damage = metric_get(M_WAL_DAMAGE);
    s = open_sim(sim);
    assert_int_equal(rows_shown(s, "anonymous"), 60);
    assert_int_equal(metric_get(M_WAL_DAMAGE) - damage, 1);
    store_close(s);
    fs_sim_free(sim);
    image_free(im);
}

/* Blocks */

enum { UPLOADS = 12 };

static struct image *block_image(char **ret_shown)
{
    struct fs_sim *sim = fs_sim_new(10);
    struct store *s = open_sim(sim);
    for (uint32_t i = 0; i < UPLOADS; i++)
        assert_int_equal(
            upload(s, "anonymous", i % 2 ? "one" : "two", T0 + i % 3 * HOUR_NS + i, 2, i), ST_OK);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    *ret_shown = shown(s, "anonymous");
    store_close(s);
    return image_take(sim);
}

static uint32_t first_block(const struct image *im)
{
    for (uint32_t i = 0; i < im->n; i++)
        if (strstr(im->files[i].path, ".efb"))
            return i;
    fail();
    return 0;
}

/* Every bit of a block file, by the block reader alone. */
static void test_every_bit_of_a_block(void **state)
{
    char *expected;
    struct image *im = block_image(&expected);
    uint32_t file = first_block(im);
    const char *path = im->files[file].path;
    struct fs_sim *sim = image_start(im);
    struct block *b = NULL;
    (void)state;
    assert_int_equal(
        block_open(fs_sim_fs(sim), "data/blocks", path + strlen("data/blocks/"), &b, NULL), ST_OK);
    assert_int_equal(block_verify(b, NULL), ST_OK);
    block_unref(b);
    for (size_t at = 0; at < im->files[file].bytes.n; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            struct error err = {0};
            assert_true(fs_sim_flip(sim, path, at, bit));
            enum status st = block_open(
                fs_sim_fs(sim), "data/blocks", path + strlen("data/blocks/"), &b, &err);
            if (st == ST_OK) {
                st = block_verify(b, &err);
                block_unref(b);
            }
            if (st != ST_DATA_LOSS)
                fail_msg("bit %u of byte %zu is not noticed (status %d)", bit, at, st);
            assert_non_null(strstr(err.msg, ".efb"));
            assert_true(fs_sim_flip(sim, path, at, bit));
        }
    fs_sim_free(sim);
    image_free(im);
    mem_free(expected);
}

static bool derived; /* in a section that is summed beforehand: rows are read without it */
static int64_t damaged_hour;
static struct str damaged_service; /* empty: the whole block */

static bool of_damaged_unit(const char *line)
{
    long long time_ns = 0;
    char service[40];
    assert_int_equal(sscanf(line, "%39s %lld", service, &time_ns), 2);
    return block_hour(time_ns) == damaged_hour &&
           (damaged_service.n == 0 || str_eq(str_from(service), damaged_service));
}

/* Which dataset a byte belongs to; empty: head, directory, foot. */
static void find_unit(const struct image *im, uint32_t file, size_t at)
{
    static char service[40];
    struct fs_sim *sim = image_start(im);
    struct block *b = NULL;
    assert_int_equal(block_open(fs_sim_fs(sim), "data/blocks",
                         im->files[file].path + strlen("data/blocks/"), &b, NULL),
        ST_OK);
    damaged_hour = b->start_ns;
    damaged_service = STR_EMPTY;
    derived = false;
    for (uint32_t i = 0; i < b->n_datasets; i++)
        for (uint32_t k = 0; k < b->datasets[i].n_sections; k++) {
            const struct block_section *r = &b->datasets[i].sections[k];
            if (at < r->offset || at - r->offset >= r->stored_bytes)
                continue;
            derived = r->kind >= BLOCK_TIMELINE;
            snprintf(service, sizeof service, "%.*s", STR_ARG(b->datasets[i].service));
            damaged_service = str_from(service);
        }
    block_unref(b);
    fs_sim_free(sim);
}

/* A store over a block with a flipped bit shows everything else. */
static void test_flips_in_a_served_block(void **state)
{
    char *expected;
    struct image *im = block_image(&expected);
    uint32_t file = first_block(im);
    (void)state;
    for (size_t at = 0; at < im->files[file].bytes.n; at++) {
        double bad = metric_get(M_BLOCKS_BAD);
        struct fs_sim *sim = image_start(im);
        assert_true(fs_sim_flip(sim, im->files[file].path, at, some_bit(at)));
        struct store *s = open_sim(sim);
        char *now = shown(s, "anonymous");
        find_unit(im, file, at);
        assert_int_equal(missing_lines(expected, now, of_damaged_unit) > 0, !derived);
        assert_true(metric_get(M_BLOCKS_BAD) == bad + !derived);
        mem_free(now);
        now = shown(s, "anonymous"); /* and again, without reading it again */
        assert_int_equal(missing_lines(expected, now, of_damaged_unit) > 0, !derived);
        assert_true(metric_get(M_BLOCKS_BAD) == bad + !derived);
        mem_free(now);
        store_close(s);
        assert_int_equal(count_files(sim, ".efb"), 3); /* left in place */
        fs_sim_free(sim);
    }
    image_free(im);
    mem_free(expected);
}

static void test_block_cut_short_anywhere(void **state)
{
    char *expected;
    struct image *im = block_image(&expected);
    uint32_t file = first_block(im);
    struct buf *block = &im->files[file].bytes;
    const size_t whole = block->n;
    (void)state;
    find_unit(im, file, 0);
    for (size_t n = 0; n < whole; n += n < 100 || n > whole - 100 ? 1 : 13) {
        block->n = n;
        struct fs_sim *sim = image_start(im);
        struct store *s = open_sim(sim);
        char *now = shown(s, "anonymous");
        assert_int_not_equal(missing_lines(expected, now, of_damaged_unit), 0);
        mem_free(now);
        store_close(s);
        fs_sim_free(sim);
    }
    block->n = whole;
    image_free(im);
    mem_free(expected);
}

/* Markers and FORMAT: every bit. */
static void test_every_bit_of_a_marker(void **state)
{
    char *expected;
    struct image *im = block_image(&expected);
    uint32_t file = image_find(im, ".done");
    (void)state;
    for (size_t i = 0; i < im->files[file].bytes.n * 8; i++) {
        double bad = metric_get(M_BLOCKS_BAD);
        struct fs_sim *sim = image_start(im);
        assert_true(fs_sim_flip(sim, im->files[file].path, i / 8, i % 8));
        struct store *s = open_sim(sim);
        if (metric_get(M_BLOCKS_BAD) != bad + 1)
            fail_msg("bit %zu of byte %zu is not noticed", i % 8, i / 8);
        assert_shown(s, "anonymous", expected);
        assert_int_equal(count_files(sim, "quarantine/"), 1);
        store_close(s);
        fs_sim_free(sim);
    }
    image_free(im);
    mem_free(expected);
}

static void test_every_bit_of_format(void **state)
{
    char *expected;
    struct image *im = block_image(&expected);
    uint32_t file = image_find(im, "data/FORMAT");
    (void)state;
    for (size_t i = 0; i < im->files[file].bytes.n * 8; i++) {
        struct fs_sim *sim = image_start(im);
        struct store_config cfg = sim_config(sim);
        struct store *s = NULL;
        struct error err = {0};
        assert_true(fs_sim_flip(sim, im->files[file].path, i / 8, i % 8));
        enum status st = store_open(&cfg, &s, &err);
        if (st != ST_DATA_LOSS && st != ST_FAILED_PRECONDITION)
            fail_msg("bit %zu of byte %zu is not noticed", i % 8, i / 8);
        assert_non_null(strstr(err.msg, "data/FORMAT"));
        assert_int_equal(count_files(sim, ".efb"), 3);
        fs_sim_free(sim);
    }
    image_free(im);
    mem_free(expected);
}

/* Other trouble */

static void expect_refusal(const struct image *im, const char *path, int error, const char *says)
{
    struct fs_sim *sim = image_start(im);
    struct store_config cfg = sim_config(sim);
    struct store *s = NULL;
    struct error err = {0};
    fs_sim_break(sim, path, error);
    assert_int_equal(store_open(&cfg, &s, &err), ST_UNAVAILABLE);
    if (!strstr(err.msg, says) || !strstr(err.msg, strerror(error)))
        fail_msg("the error does not say what is wrong: %s", err.msg);
    fs_sim_break(sim, path, 0);
    s = open_sim(sim);
    assert_true(rows_shown(s, "anonymous") > 0);
    assert_int_equal(count_files(sim, "quarantine/"), 0);
    store_close(s);
    fs_sim_free(sim);
}

/* What decides what is lost or counted twice must be readable; it is not damage when it is not. */
static void test_unreadable_at_start(void **state)
{
    char *a, *b;
    struct image *blocks = block_image(&a), *log = log_image(&b);
    (void)state;
    const char *marker = blocks->files[image_find(blocks, ".done")].path;
    const char *segment = log->files[image_find(log, "data/wal/")].path;
    expect_refusal(blocks, marker, EACCES, marker);
    expect_refusal(blocks, "data/epochs", EACCES, "data/epochs");
    expect_refusal(blocks, "data/FORMAT", EACCES, "data/FORMAT");
    expect_refusal(log, segment, EIO, segment);
    expect_refusal(log, "data/wal", EACCES, "data/wal");
    image_free(blocks);
    image_free(log);
    mem_free(a);
    mem_free(b);
}

/* A block is the smallest unit: the rest is served without it. */
static void test_unreadable_blocks(void **state)
{
    char *expected;
    struct image *im = block_image(&expected);
    uint32_t file = first_block(im);
    static const char *const folders[] = {
        "data/blocks/anonymous/1h/2023-11-14", "data/blocks/anonymous", "data/blocks"};
    (void)state;
    find_unit(im, file, 0);
    double bad = metric_get(M_BLOCKS_BAD);
    struct fs_sim *sim = image_start(im);
    fs_sim_break(sim, im->files[file].path, EACCES);
    struct store *s = open_sim(sim);
    char *now = shown(s, "anonymous");
    assert_int_not_equal(missing_lines(expected, now, of_damaged_unit), 0);
    assert_true(metric_get(M_BLOCKS_BAD) == bad + 1);
    mem_free(now);
    store_close(s);
    fs_sim_free(sim);
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        bad = metric_get(M_BLOCKS_BAD);
        sim = image_start(im);
        make_parents(fs_sim_fs(sim), im->files[file].path);
        fs_sim_break(sim, folders[i], EACCES);
        s = open_sim(sim);
        assert_true(metric_get(M_BLOCKS_BAD) > bad);
        assert_in_range(rows_shown(s, "anonymous"), 0, UPLOADS - 1);
        assert_int_equal(upload(s, "anonymous", "one", T0, 1, 1), ST_OK);
        store_close(s);
        fs_sim_free(sim);
    }
    image_free(im);
    mem_free(expected);
}

/* A block that cannot be read for a while is left out and comes back by itself. */
static void test_block_comes_back(void **state)
{
    char *expected;
    struct image *im = block_image(&expected);
    uint32_t file = first_block(im);
    struct fs_sim *sim = image_start(im);
    struct store *s = open_sim(sim);
    double bad = metric_get(M_BLOCKS_BAD);
    (void)state;
    find_unit(im, file, 0);
    fs_sim_break(sim, im->files[file].path, EIO);
    char *now = shown(s, "anonymous");
    assert_int_not_equal(missing_lines(expected, now, of_damaged_unit), 0);
    mem_free(now);
    assert_true(metric_get(M_BLOCKS_BAD) == bad + 2); /* both services */
    fs_sim_break(sim, im->files[file].path, 0);
    for (uint32_t i = 0; i < s->n_blocks; i++)
        for (uint32_t k = 0; k < s->blocks[i]->n_datasets; k++) {
            struct block_dataset *bd = &s->blocks[i]->datasets[k];
            int64_t left = bd->aside_until_ns ? bd->aside_until_ns - clock_mono_ns() : 0;
            assert_true(left >= 0 && left <= BLOCK_RETRY_NS);
            if (bd->aside_until_ns)
                bd->aside_until_ns = 1; /* the pause is over */
        }
    assert_shown(s, "anonymous", expected);
    assert_true(metric_get(M_BLOCKS_BAD) == bad);
    store_close(s);
    fs_sim_free(sim);
    image_free(im);
    mem_free(expected);
}

static void test_newer_version(void **state)
{
    char *expected;
    struct image *im = block_image(&expected);
    struct fs_sim *sim = image_start(im);
    struct store_config cfg = sim_config(sim);
    struct store *s = NULL;
    struct error err = {0};
    (void)state;
    put_file(fs_sim_fs(sim), "data/FORMAT", STR("everflame 2\nwhat comes then is new\n"));
    assert_int_equal(store_open(&cfg, &s, &err), ST_FAILED_PRECONDITION);
    assert_non_null(strstr(err.msg, "use a newer everflame"));
    fs_sim_free(sim);
    image_free(im);
    mem_free(expected);
}

/* A segment of another store under a name of ours. */
static void test_log_of_another_store(void **state)
{
    char *a;
    struct image *im = log_image(&a);
    struct fs_sim *sim = fs_sim_new(13);
    (void)state;
    store_close(open_sim(sim));
    uint32_t file = image_find(im, "data/wal/");
    put_file(
        fs_sim_fs(sim), "data/wal/0000000000000009-00000000.wal", buf_view(&im->files[file].bytes));
    double damage = metric_get(M_WAL_DAMAGE);
    struct store *s = open_sim(sim);
    assert_int_equal(rows_shown(s, "anonymous"), 0);
    assert_int_equal(metric_get(M_WAL_DAMAGE) - damage, 1);
    assert_int_equal(upload(s, "anonymous", "one", T0, 1, 1), ST_OK);
    assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    assert_int_equal(count_files(sim, "quarantine/0000000000000009-00000000.wal"), 1);
    store_close(s);
    fs_sim_free(sim);
    image_free(im);
    mem_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flips_in_the_log),
        cmocka_unit_test(test_flips_in_the_last_batch_of_an_old_log),
        cmocka_unit_test(test_lost_symbols_stay_with_their_service),
        cmocka_unit_test(test_log_cut_short_anywhere),
        cmocka_unit_test(test_garbage_in_the_middle_of_the_log),
        cmocka_unit_test(test_missing_logs),
        cmocka_unit_test(test_every_bit_of_a_block),
        cmocka_unit_test(test_flips_in_a_served_block),
        cmocka_unit_test(test_block_cut_short_anywhere),
        cmocka_unit_test(test_every_bit_of_a_marker),
        cmocka_unit_test(test_every_bit_of_format),
        cmocka_unit_test(test_unreadable_at_start),
        cmocka_unit_test(test_unreadable_blocks),
        cmocka_unit_test(test_block_comes_back),
        cmocka_unit_test(test_newer_version),
        cmocka_unit_test(test_log_of_another_store),
    };
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
