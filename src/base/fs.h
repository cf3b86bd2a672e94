/* Files, through a table of operations: the real one (fs_real) and a fault-injecting twin for
 * tests (base/fs_sim.h). Everything durable goes through it.
 *
 * Every call returns 0 or a positive errno (reads and writes are whole: short ones are retried
 * inside). Paths are NUL-terminated. What a file_ or dir_sync covers: file_sync = data and size of
 * the file; dir_sync = entries of the directory. Handles are used by one thread at a time, except
 * file_read, which any thread may call. */
#ifndef BASE_FS_H
#define BASE_FS_H

#include "base/buf.h"
#include "base/status.h"

struct fs_file; /* opaque to all but the implementation */

enum fs_mode {
    FS_READ,
    FS_CREATE, /* new, for writing; EEXIST when there */
    FS_APPEND, /* existing or new, for writing */
    FS_LOCK,   /* create if absent and hold an exclusive lock until closed; EWOULDBLOCK if held */
};

typedef void (*fs_list_fn)(void *ctx, const char *name, bool is_dir);

struct fs {
    int (*file_open)(struct fs *fs, const char *path, enum fs_mode mode, struct fs_file **ret_file);
    void (*file_close)(struct fs *fs, struct fs_file *f);
    int (*file_write)(struct fs *fs, struct fs_file *f, uint64_t off, const void *p, size_t n);
    int (*file_sync)(struct fs *fs, struct fs_file *f);
    /* Reads up to n bytes; *ret_n < n only at the end of the file. */
    int (*file_read)(
        struct fs *fs, struct fs_file *f, uint64_t off, void *p, size_t n, size_t *ret_n);
    int (*file_size)(struct fs *fs, struct fs_file *f, uint64_t *ret_bytes);
    int (*file_truncate)(struct fs *fs, struct fs_file *f, uint64_t bytes);
    int (*dir_make)(struct fs *fs, const char *path); /* 0700; 0 also when there */
    int (*dir_remove)(
        struct fs *fs, const char *path); /* ENOTEMPTY when there is something in it */
    int (*dir_sync)(struct fs *fs, const char *path);
    int (*dir_list)(struct fs *fs, const char *path, fs_list_fn fn, void *ctx);
    /* Bytes of an entry of any sort, without opening it: a link's are those of its text. */
    int (*path_bytes)(struct fs *fs, const char *path, uint64_t *ret_bytes);
    int (*rename)(struct fs *fs, const char *from, const char *to);
    int (*unlink)(struct fs *fs, const char *path); /* fs_real: an empty directory as well */
    /* Free and total bytes of the file system below path. */
    int (*space)(struct fs *fs, const char *path, uint64_t *ret_free, uint64_t *ret_total);
};

extern struct fs fs_real;

/* Conveniences over any implementation. */
enum status fs_read_all(
    struct fs *fs, const char *path, size_t limit, struct buf *out, struct error *err);
/* Writes `tmp`, syncs it, renames it to `path`, syncs `dir`. */
enum status fs_write_atomic(struct fs *fs, const char *dir, const char *tmp, const char *path,
    struct str data, struct error *err);
/* Joins with '/'; ENAMETOOLONG-safe: false when it does not fit. */
bool fs_path(char *out, size_t cap, const char *a, const char *b);

#endif
