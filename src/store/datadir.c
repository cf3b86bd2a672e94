/* The data directory: LOCK, FORMAT and the folders below it.
 *
 *     LOCK FORMAT wal/ epochs/ blocks/ state/ tmp/ quarantine/
 *
 * FORMAT is text: "everflame 1", the store's id, which profile ids are made of, and a check over
 * both lines. It is written once, whole, before anything else. A directory of a newer format is
 * refused; entries that are not ours are reported and left alone. */
#include "store/store_int.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

enum { FORMAT_VERSION = 1, FORMAT_BYTES_MAX = 4096, FORMAT_TEXT_BYTES = 128 };

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

/* 0: not a FORMAT. What follows the first line may be different in newer versions. */
static uint64_t format_version(struct str text)
{
    uint64_t version = 0;
    struct str line = str_head(text, str_find_char(text, '\n'));
    bool ok = str_starts(line, STR("everflame ")) && str_to_u64(str_skip(line, 10), &version);
    return ok ? version : 0;
}

static size_t print_format(const uint8_t id[16], char out[FORMAT_TEXT_BYTES])
{
    int n = snprintf(out, FORMAT_TEXT_BYTES, "everflame %d\nid ", FORMAT_VERSION);
    for (size_t i = 0; i < 16; i++)
        n += snprintf(out + n, FORMAT_TEXT_BYTES - (size_t)n, "%02x", id[i]);
    n += snprintf(out + n, FORMAT_TEXT_BYTES - (size_t)n, "\n");
    n += snprintf(out + n, FORMAT_TEXT_BYTES - (size_t)n, "check %016" PRIx64 "\n",
        hash_disk(out, (size_t)n));
    return (size_t)n;
}

/* The text must be what we would write for the id in it: so every flipped bit is found. */
static bool parse_format(struct str text, uint8_t id[16])
{
    char again[FORMAT_TEXT_BYTES];
    size_t at = str_find(text, STR("\nid "));
    return at != STR_NPOS && parse_id(str_head(str_skip(text, at + 4), 32), id) &&
           str_eq(text, str_make(again, print_format(id, again)));
}

enum status datadir_format(struct fs *fs, const char *dir, uint8_t ret_id[16], struct error *err)
{
    char path[WAL_PATH_MAX];
    struct buf text;
    uint8_t id[16];
    if (!fs_path(path, sizeof path, dir, "FORMAT"))
        FAIL(err, ST_INVALID_ARGUMENT, "the path of the data directory is too long");
    buf_init(&text, FORMAT_BYTES_MAX);
    enum status st = fs_read_all(fs, path, FORMAT_BYTES_MAX, &text, err);
    if (st == ST_OK) {
        uint64_t version = format_version(buf_view(&text));
        if (version > FORMAT_VERSION)
            st = error_set(err, ST_FAILED_PRECONDITION, __FILE__, __LINE__,
                "%s says format %" PRIu64 ", this everflame reads up to %d: use a newer everflame",
                path, version, FORMAT_VERSION);
        else if (version == 0 || !parse_format(buf_view(&text), id))
            st = error_set(err, ST_DATA_LOSS, __FILE__, __LINE__,
                "%s is damaged; restore it from a backup of the directory", path);
        else
            memcpy(ret_id, id, sizeof id);
    }
    buf_done(&text);
    return st;
}

static enum status write_format(struct store *s, const char *path, struct error *err)
{
    char text[FORMAT_TEXT_BYTES], tmp[WAL_PATH_MAX];
    if (getrandom(s->id, sizeof s->id, 0) != (ssize_t)sizeof s->id)
        FAIL_ERRNO(err, ST_UNAVAILABLE, "no random numbers from the system");
    size_t n = print_format(s->id, text);
    ASSERT(fs_path(tmp, sizeof tmp, s->dir, "tmp/FORMAT"));
    return fs_write_atomic(s->fs, s->dir, tmp, path, str_make(text, n), err);
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
    enum status st = datadir_format(s->fs, s->dir, s->id, err);
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

void datadir_quarantine(struct store *s, const char *below)
{
    char from[WAL_PATH_MAX], to[WAL_PATH_MAX];
    const char *slash = strrchr(below, '/');
    int n = snprintf(to, sizeof to, "%s/quarantine/%s", s->dir, slash ? slash + 1 : below);
    int e = n > 0 && (size_t)n < sizeof to && fs_path(from, sizeof from, s->dir, below)
                ? s->fs->rename(s->fs, from, to)
                : ENAMETOOLONG;
    if (e)
        LOG_ERROR("cannot move a file into quarantine", "path=%s err=%s", LOG_STR(str_from(below)),
            LOG_STR(str_from(strerror(e))));
    else
        LOG_WARN("moved into quarantine", "path=%s", LOG_STR(str_from(below)));
}

static void note_name(void *ctx, const char *name, bool is_dir)
{
    struct dir_names *n = ctx;
    struct str *slot = is_dir ? VEC_PUSH(&n->arena, n->folders) : VEC_PUSH(&n->arena, n->files);
    ASSERT(slot);
    *slot = arena_str(&n->arena, str_from(name));
    ASSERT(slot->p);
}

int dir_names_get(const struct block_target *to, const char *below, struct dir_names *ret_names)
{
    char path[WAL_PATH_MAX];
    *ret_names = (struct dir_names){0};
    arena_init(&ret_names->arena, GIB);
    if (!fs_path(path, sizeof path, to->dir, below))
        return ENAMETOOLONG;
    int e = to->fs->dir_list(to->fs, path, note_name, ret_names);
    return e == ENOENT ? 0 : e;
}

void dir_names_done(struct dir_names *n)
{
    arena_done(&n->arena);
}
