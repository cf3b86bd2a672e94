/* The real file layer: see fs.h. */
#include "base/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"

struct fs_file {
    int fd;
};

static int real_open(struct fs *fs, const char *path, enum fs_mode mode, struct fs_file **ret_file)
{
    static const int flags[] = {
        [FS_READ] = O_RDONLY,
        [FS_CREATE] = O_RDWR | O_CREAT | O_EXCL,
        [FS_APPEND] = O_RDWR | O_CREAT,
        [FS_LOCK] = O_RDWR | O_CREAT,
    };
    (void)fs;
    int fd = open(path, flags[mode] | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    if (mode == FS_LOCK && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int e = errno;
        close(fd);
        return e;
    }
    *ret_file = NEW(struct fs_file);
    (*ret_file)->fd = fd;
    return 0;
}

static void real_close(struct fs *fs, struct fs_file *f)
{
    (void)fs;
    if (!f)
        return;
    close(f->fd);
    mem_free(f);
}

static int real_write(struct fs *fs, struct fs_file *f, uint64_t off, const void *p, size_t n)
{
    (void)fs;
    for (size_t done = 0; done < n;) {
        ssize_t w = pwrite(f->fd, (const char *)p + done, n - done, (off_t)(off + done));
        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return w < 0 ? errno : EIO;
        done += (size_t)w;
    }
    return 0;
}

static int real_sync(struct fs *fs, struct fs_file *f)
{
    (void)fs;
    return fdatasync(f->fd) == 0 ? 0 : errno;
}

static int real_read(
    struct fs *fs, struct fs_file *f, uint64_t off, void *p, size_t n, size_t *ret_n)
{
    (void)fs;
    size_t done = 0;
    while (done < n) {
        ssize_t r = pread(f->fd, (char *)p + done, n - done, (off_t)(off + done));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return errno;
        if (r == 0)
            break;
        done += (size_t)r;
    }
    *ret_n = done;
    return 0;
}

static int real_size(struct fs *fs, struct fs_file *f, uint64_t *ret_bytes)
{
    struct stat st;
    (void)fs;
    if (fstat(f->fd, &st) != 0)
        return errno;
    *ret_bytes = (uint64_t)st.st_size;
    return 0;
}

static int real_truncate(struct fs *fs, struct fs_file *f, uint64_t bytes)
{
    (void)fs;
    return ftruncate(f->fd, (off_t)bytes) == 0 ? 0 : errno;
}

static int real_dir_make(struct fs *fs, const char *path)
{
    (void)fs;
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : errno;
}

/* POSIX allows two errors for a directory that is not empty; callers know one. */
static int real_dir_remove(struct fs *fs, const char *path)
{
    (void)fs;
    if (rmdir(path) == 0)
        return 0;
    return errno == EEXIST ? ENOTEMPTY : errno;
}

static int real_dir_sync(struct fs *fs, const char *path)
{
    (void)fs;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int e = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return e;
}

static int real_dir_list(struct fs *fs, const char *path, fs_list_fn fn, void *ctx)
{
    (void)fs;
    DIR *d = opendir(path);
    if (!d)
        return errno;
    for (;;) {
        errno = 0;
        struct dirent *e = readdir(d);
        if (!e)
            break;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        struct stat st;
        bool is_dir = fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                      S_ISDIR(st.st_mode);
        fn(ctx, e->d_name, is_dir);
        errno = 0;
    }
    int e = errno;
    closedir(d);
    return e;
}

static int real_path_bytes(struct fs *fs, const char *path, uint64_t *ret_bytes)
{
    struct stat st;
    (void)fs;
    if (lstat(path, &st) != 0)
        return errno;
    *ret_bytes = (uint64_t)st.st_size;
    return 0;
}

static int real_rename(struct fs *fs, const char *from, const char *to)
{
    (void)fs;
    return rename(from, to) == 0 ? 0 : errno;
}

static int real_unlink(struct fs *fs, const char *path)
{
    (void)fs;
    return unlink(path) == 0 ? 0 : errno;
}

static int real_space(struct fs *fs, const char *path, uint64_t *ret_free, uint64_t *ret_total)
{
    struct statvfs st;
    (void)fs;
    if (statvfs(path, &st) != 0)
        return errno;
    *ret_free = (uint64_t)st.f_bavail * st.f_frsize;
    *ret_total = (uint64_t)st.f_blocks * st.f_frsize;
    return 0;
}

struct fs fs_real = {
    .file_open = real_open,
    .file_close = real_close,
    .file_write = real_write,
    .file_sync = real_sync,
    .file_read = real_read,
    .file_size = real_size,
    .file_truncate = real_truncate,
    .dir_make = real_dir_make,
    .dir_remove = real_dir_remove,
    .dir_sync = real_dir_sync,
    .dir_list = real_dir_list,
    .path_bytes = real_path_bytes,
    .rename = real_rename,
    .unlink = real_unlink,
    .space = real_space,
};

enum status fs_read_all(
    struct fs *fs, const char *path, size_t limit, struct buf *out, struct error *err)
{
    struct fs_file *f;
    uint64_t size = 0;
    int e = fs->file_open(fs, path, FS_READ, &f);
    if (e)
        return error_set_errno(err, e == ENOENT ? ST_NOT_FOUND : ST_UNAVAILABLE, e, __FILE__,
            __LINE__, "cannot open %s", path);
    e = fs->file_size(fs, f, &size);
    bool fits = !e && size <= limit && buf_reserve(out, (size_t)size);
    size_t got = 0;
    if (fits && size)
        e = fs->file_read(fs, f, 0, out->p + out->n, (size_t)size, &got);
    fs->file_close(fs, f);
    if (e)
        return error_set_errno(err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "cannot read %s", path);
    if (!fits)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "%s: %llu bytes are more than %zu", path,
            (unsigned long long)size, limit);
    out->n += got;
    return ST_OK;
}

enum status fs_write_atomic(struct fs *fs, const char *dir, const char *tmp, const char *path,
    struct str data, struct error *err)
{
    struct fs_file *f;
    int e = fs->unlink(fs, tmp);
    e = fs->file_open(fs, tmp, FS_CREATE, &f);
    if (!e) {
        e = fs->file_write(fs, f, 0, data.p, data.n);
        if (!e)
            e = fs->file_sync(fs, f);
        fs->file_close(fs, f);
    }
    if (!e)
        e = fs->rename(fs, tmp, path);
    if (!e)
        e = fs->dir_sync(fs, dir);
    if (e)
        return error_set_errno(err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "cannot write %s", path);
    return ST_OK;
}

bool fs_path(char *out, size_t cap, const char *a, const char *b)
{
    int n = snprintf(out, cap, "%s/%s", a, b);
    return n > 0 && (size_t)n < cap;
}
