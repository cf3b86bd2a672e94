/* How fast the log becomes memory again: one recorded hour, repeated as the epochs of many hours.
 *
 *     bench_replay SEGMENT DIR [HOURS [RUNS]]
 *
 * SEGMENT is the log of an hour of uploads (bench_replay.py makes one), DIR does not exist yet.
 * Every batch of SEGMENT is written again for each hour, as an epoch of its own and with its times
 * moved, so that the log is what a server leaves that was killed before it could cut.
 *
 *   1. store_open over the log of HOURS hours, RUNS times; in turn with a memcpy, a check (XXH3) of
 *      the same bytes and a read of the files, so that ratios hold on a busy machine
 *   2. everything is cut to blocks, an hour of log written behind, and store_open timed again: the
 *      start of a server that was killed with HOURS hours on its disk
 *
 * One line of JSON per run and one at the end. Files are in the page cache: this measures work, not
 * the disk. */
#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/frame_int.h"
#include "store/store_int.h"

enum { SEGMENT_BYTES = 1 << 30, RUNS_MAX = 100 };

static struct fs fs_quick; /* fs_real without the syncs, for making the log */

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_replay: %s: %s\n", what, why);
    exit(1);
}

static int no_sync(struct fs *fs, struct fs_file *f)
{
    (void)fs;
    (void)f;
    return 0;
}

/* Both clocks of a piece of work: on a busy machine only the processor's says something. */
struct spent {
    int64_t wall_ns, cpu_ns;
};

static struct spent begin(void)
{
    return (struct spent){clock_mono_ns(), clock_cpu_ns()};
}

static struct spent since(struct spent begun)
{
    return (struct spent){clock_mono_ns() - begun.wall_ns, clock_cpu_ns() - begun.cpu_ns};
}

static double ms(int64_t ns)
{
    return (double)ns / (double)NS_PER_MS;
}

static struct store *open_store(const char *dir)
{
    const struct store_config cfg = {.dir = dir,
        .fs = &fs_real,
        .head_bytes_max = 64 * GIB,
        .segment_bytes_max = 64 * MIB,
        .queue_bytes_max = 64 * MIB,
        .no_maintenance = true};
    struct store *s;
    struct error err;
    if (store_open(&cfg, &s, &err) != ST_OK)
        die("store_open", err.msg);
    return s;
}

/* An upload's frame `hours` later, under its own number. */
static void shift_frame(struct str frame, int64_t hours, uint64_t *seq, struct buf *out)
{
    struct cursor c = cursor_make(frame);
    cursor_byte(&c);
    cursor_uvarint(&c);
    int64_t base_ns = cursor_svarint(&c);
    uint64_t sections = cursor_uvarint(&c);
    if (c.bad)
        die("the log", "a frame cannot be read");
    buf_clear(out);
    frame_upload_head(out, (*seq)++, base_ns + hours * BLOCK_HOUR_NS, (uint32_t)sections);
    buf_str(out, str_make(c.p, cursor_left(&c)));
}

static void write_frames(
    struct wal *w, struct str payload, int64_t hours, uint64_t *seq, struct buf *work)
{
    struct cursor c = cursor_make(payload);
    wal_batch_begin(w);
    while (cursor_left(&c)) {
        struct str frame = cursor_bytes(&c, cursor_uvarint(&c));
        if (frame_kind(frame) != FRAME_UPLOAD)
            continue;
        shift_frame(frame, hours, seq, work);
        wal_batch_frame(w, buf_view(work));
    }
    if (w->n_frames && wal_batch_commit(w) != 0)
        die("the log", strerror(errno));
}

/* The hour as epoch `epoch`, which follows `previous`. */
static void write_epoch(
    struct wal *w, struct str hour, uint64_t epoch, uint64_t previous, uint64_t *seq)
{
    struct buf work;
    struct wal_batch b;
    const struct frame_epoch fe = {epoch, previous, w->durable};
    buf_init(&work, GIB);
    wal_segment_close(w);
    if (wal_segment_open(w, epoch, 0) != 0)
        die("the log", strerror(errno));
    wal_batch_begin(w);
    frame_epoch_put(&work, &fe);
    wal_batch_frame(w, buf_view(&work));
    if (wal_batch_commit(w) != 0)
        die("the log", strerror(errno));
    for (size_t at = WAL_HEAD_BYTES; wal_batch_at(hour, at, &b); at = b.end)
        write_frames(w, b.payload, (int64_t)epoch, seq, &work);
    buf_done(&work);
}

/* Hours [0, n) as epochs from `first` on. */
static void write_hours(const char *dir, struct str hour, uint64_t first, uint32_t n)
{
    char wal_dir[2048];
    uint8_t id[16];
    struct error err;
    struct wal *w = NEW(struct wal);
    uint64_t seq = first << 32;
    if (datadir_format(&fs_real, dir, id, &err) != ST_OK)
        die(dir, err.msg);
    fs_quick = fs_real;
    fs_quick.file_sync = no_sync;
    snprintf(wal_dir, sizeof wal_dir, "%s/wal", dir);
    wal_init(w, &fs_quick, wal_dir, id);
    for (uint32_t i = 0; i < n; i++)
        write_epoch(w, hour, first + i, i ? first + i - 1 : 0, &seq);
    wal_done(w);
    sync(); /* or the first start waits for it */
    mem_free(w);
}

struct bytes {
    const char *dir;
    struct buf all;
};

static void read_one(void *ctx, const char *name, bool is_dir)
{
    struct bytes *b = ctx;
    char path[4096];
    struct error err;
    if (is_dir)
        return;
    snprintf(path, sizeof path, "%s/%s", b->dir, name);
    if (fs_read_all(&fs_real, path, SEGMENT_BYTES, &b->all, &err) != ST_OK)
        die(path, err.msg);
}

static void report(const char *what, size_t bytes, struct spent t)
{
    printf(", \"%s_mb_s\": %.0f, \"%s_mb_per_cpu_s\": %.0f", what,
        (double)bytes / 1e3 / ms(t.wall_ns), what, (double)bytes / 1e3 / ms(t.cpu_ns));
}

/* One replay and, beside it, what the machine can do with the same bytes. */
static void replay_once(const char *dir, uint32_t run)
{
    char wal_dir[2048];
    struct bytes b = {.dir = wal_dir};
    snprintf(wal_dir, sizeof wal_dir, "%s/wal", dir);
    buf_init(&b.all, 64 * GIB);
    struct spent begun = begin();
    struct store *s = open_store(dir);
    struct spent replay = since(begun);
    size_t head = store_head_bytes(s);
    store_close(s);
    begun = begin();
    if (fs_real.dir_list(&fs_real, wal_dir, read_one, &b) != 0)
        die(wal_dir, strerror(errno));
    struct spent reading = since(begun);
    char *copy = mem_new(b.all.n);
    memset(copy, 1, b.all.n);
    begun = begin();
    memcpy(copy, b.all.p, b.all.n);
    struct spent copying = since(begun);
    begun = begin();
    uint64_t check = hash_disk(copy, b.all.n);
    struct spent checking = since(begun);
    printf("{\"run\": %u, \"log_mb\": %.1f, \"head_mb\": %.1f, \"replay_ms\": %.0f, "
           "\"replay_cpu_ms\": %.0f",
        run, (double)b.all.n / 1e6, (double)head / 1e6, ms(replay.wall_ns), ms(replay.cpu_ns));
    report("replay", b.all.n, replay);
    report("read", b.all.n, reading);
    report("memcpy", b.all.n, copying);
    report("xxh3", b.all.n, checking);
    printf(", \"check\": \"%016llx\"}\n", (unsigned long long)check);
    mem_free(copy);
    buf_done(&b.all);
}

/* With everything in blocks and an hour of log behind. */
static void start_with_blocks(const char *dir, struct str hour, uint64_t epoch, uint32_t hours)
{
    struct error err;
    struct store *s = open_store(dir);
    struct spent begun = begin();
    if (store_cut(s, "bench", &err) != ST_OK)
        die("store_cut", err.msg);
    struct spent cut = since(begun);
    store_close(s);
    write_hours(dir, hour, epoch, 1);
    begun = begin();
    s = open_store(dir);
    struct spent start = since(begun);
    printf("{\"hours_in_blocks\": %u, \"blocks\": %u, \"hours_in_log\": 1, \"cut_ms\": %.0f, "
           "\"start_ms\": %.1f, \"start_cpu_ms\": %.1f}\n",
        hours, s->n_blocks, ms(cut.wall_ns), ms(start.wall_ns), ms(start.cpu_ns));
    store_close(s);
}

int main(int argc, char **argv)
{
    struct buf hour;
    struct error err;
    uint64_t hours = 26, runs = 3;
    if (argc < 3 || argc > 5 || (argc > 3 && !str_to_u64(str_from(argv[3]), &hours)) ||
        (argc > 4 && !str_to_u64(str_from(argv[4]), &runs)) || hours - 1 >= 1000 ||
        runs - 1 >= RUNS_MAX) {
        fprintf(stderr, "usage: bench_replay SEGMENT DIR [HOURS [RUNS]]\n");
        return 2;
    }
    log_setup(LOG_ERROR, LOG_LOGFMT);
    buf_init(&hour, SEGMENT_BYTES);
    if (fs_read_all(&fs_real, argv[1], SEGMENT_BYTES, &hour, &err) != ST_OK)
        die(argv[1], err.msg);
    store_close(open_store(argv[2])); /* makes the directory and its id; epoch 1 */
    write_hours(argv[2], buf_view(&hour), 1000, (uint32_t)hours);
    for (uint32_t i = 0; i < runs; i++)
        replay_once(argv[2], i);
    start_with_blocks(argv[2], buf_view(&hour), 1000000, (uint32_t)hours);
    buf_done(&hour);
    return 0;
}
