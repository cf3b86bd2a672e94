/* The data directory: LOCK, FORMAT and the folders below it.
 *
 *     LOCK FORMAT wal/ epochs/ blocks/ state/ tmp/ quarantine/
 *
 * FORMAT is text: "everflame 1" and the store's id, which profile ids are made of. It is written
 * once, whole, before anything else. A directory of a newer format is refused; entries that are not
 * ours are reported and left alone. */
#include "store/store_int.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/random.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

enum { FORMAT_VERSION = 1, FORMAT_BYTES_MAX = 4096 };

static const char *const folders[] = {"wal", "epochs", "blocks", "state", "tmp", "quarantine"};

static enum status make_folders(struct store *s, struct error *err)
{
    char path[WAL_PATH_MAX];
    int e = s->fs->dir_make(s->fs, s->dir);
    for (size_t i = 0; i < ARRAY_LEN(folders) && !e; i++)
        e = fs_path(path, sizeof path, s->dir, folders[i]) ? s->fs->dir_make(s->fs, path)
                                                           : ENAMETOOLONG;
    if (!e)
        e = s->fs->dir_sync(s->fs, s->dir);
    if (e)
        return error_set_errno(err, ST_UNAVAILABLE, e, __FILE__, __LINE__,
            "cannot make the data directory %s (choose another with -data-dir)", s->dir);
    return ST_OK;
}

static enum status take_lock(struct store *s, struct error *err)
{
    char path[WAL_PATH_MAX];
    ASSERT(fs_path(path, sizeof path, s->dir, "LOCK"));
    int e = s->fs->file_open(s->fs, path, FS_LOCK, &s->lock_file);
    if (e == EWOULDBLOCK)
        FAIL(err, ST_FAILED_PRECONDITION,
            "the data directory %s is in use by another process; stop it, or choose another "
            "directory with -data-dir",
            s->dir);
    if (e)
        return error_set_errno(err, ST_UNAVAILABLE, e, __FILE__, __LINE__,
            "cannot write to the data directory %s (check its owner and mode, or choose another "
            "with -data-dir)",
            s->dir);
    return ST_OK;
}

static bool parse_id(struct str hex, uint8_t id[16])
{
    if (hex.n != 32)
        return false;
    for (size_t i = 0; i < 32; i++) {
        const char *digits = "0123456789abcdef", *d = memchr(digits, hex.p[i], 16);
        if (!d)
            return false;
        id[i / 2] = (uint8_t)(id[i / 2] << 4 | (d - digits));
    }
    return true;
}

static enum status read_format(struct store *s, const char *path, struct error *err)
{
    struct buf text;
    buf_init(&text, FORMAT_BYTES_MAX);
    enum status st = fs_read_all(s->fs, path, FORMAT_BYTES_MAX, &text, err);
    if (st == ST_OK) {
        struct str_split lines = {buf_view(&text), false};
        struct str first = STR_EMPTY, second = STR_EMPTY;
        uint64_t version;
        str_split_next(&lines, '\n', &first);
        str_split_next(&lines, '\n', &second);
        if (!str_starts(first, STR("everflame ")) || !str_to_u64(str_skip(first, 10), &version) ||
            !str_starts(second, STR("id ")) || !parse_id(str_skip(second, 3), s->id))
            st = error_set(err, ST_DATA_LOSS, __FILE__, __LINE__,
                "%s is damaged; restore it from a backup of the directory", path);
        else if (version > FORMAT_VERSION)
            st = error_set(err, ST_FAILED_PRECONDITION, __FILE__, __LINE__,
                "%s says format %" PRIu64 ", this everflame reads up to %d: use a newer everflame",
                path, version, FORMAT_VERSION);
    }
    buf_done(&text);
    return st;
}

static enum status write_format(struct store *s, const char *path, struct error *err)
{
    char text[128], tmp[WAL_PATH_MAX];
    if (getrandom(s->id, sizeof s->id, 0) != (ssize_t)sizeof s->id)
        FAIL_ERRNO(err, ST_UNAVAILABLE, "no random numbers from the system");
    int n = snprintf(text, sizeof text, "everflame %d\nid ", FORMAT_VERSION);
    for (size_t i = 0; i < sizeof s->id; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%02x", s->id[i]);
    text[n++] = '\n';
    ASSERT(fs_path(tmp, sizeof tmp, s->dir, "tmp/FORMAT"));
    return fs_write_atomic(s->fs, s->dir, tmp, path, str_make(text, (size_t)n), err);
}

struct foreign {
    uint32_t n;
    char first[128];
};

static void look_at_entry(void *ctx, const char *name, bool is_dir)
{
    struct foreign *f = ctx;
    bool ours = strcmp(name, "LOCK") == 0 || strcmp(name, "FORMAT") == 0;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++)
        ours |= is_dir && strcmp(name, folders[i]) == 0;
    if (!ours && f->n++ == 0)
        snprintf(f->first, sizeof f->first, "%s", name);
}

static void report_foreign(struct store *s)
{
    struct foreign f = {0};
    s->fs->dir_list(s->fs, s->dir, look_at_entry, &f);
    metric_set(M_FOREIGN_FILES, f.n);
    if (f.n)
        LOG_WARN("entries in the data directory are not ours, left alone", "dir=%s n=%u first=%s",
            LOG_STR(str_from(s->dir)), f.n, LOG_STR(str_from(f.first)));
}

enum status datadir_open(struct store *s, struct error *err)
{
    char path[WAL_PATH_MAX];
    int n = snprintf(s->dir, sizeof s->dir, "%s", s->cfg.dir);
    if (n <= 0 || (size_t)n >= sizeof s->dir - 64)
        FAIL(err, ST_INVALID_ARGUMENT, "the path of the data directory is empty or too long");
    TRY(make_folders(s, err));
    TRY(take_lock(s, err));
    ASSERT(fs_path(path, sizeof path, s->dir, "FORMAT"));
    enum status st = read_format(s, path, err);
    if (st == ST_NOT_FOUND)
        st = write_format(s, path, err);
    TRY(st);
    report_foreign(s);
    return ST_OK;
}

void datadir_close(struct store *s)
{
    if (s->lock_file)
        s->fs->file_close(s->fs, s->lock_file);
    s->lock_file = NULL;
}
