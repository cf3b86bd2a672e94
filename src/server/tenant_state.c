/* See tenant_state.h. Writing: folders made and synced, a file beside the place written and synced,
 * renamed, the folder synced. Thread: any, under the caller's lock. Failure: the old file stays. */
#include "server/tenant_state.h"

enum status state_file_at(struct str data_dir, struct str tenant, const char *folder,
    struct str name, struct state_file *ret, struct error *err)
{
    int n = snprintf(ret->state, sizeof ret->state, "%.*s/state", STR_ARG(data_dir));
    int m = snprintf(
        ret->top, sizeof ret->top, "%.*s/state/%.*s", STR_ARG(data_dir), STR_ARG(tenant));
    int k = snprintf(ret->dir, sizeof ret->dir, "%.*s/state/%.*s%s%s", STR_ARG(data_dir),
        STR_ARG(tenant), *folder ? "/" : "", folder);
    char own[STATE_PATH_BYTES], tmp[STATE_PATH_BYTES];
    int i = snprintf(own, sizeof own, "%.*s", STR_ARG(name));
    int j = snprintf(tmp, sizeof tmp, "%s%s.tmp", *folder ? folder : "", *folder ? "" : own);
    bool fits = n >= 0 && m >= 0 && MAX(MAX(n, m), MAX(k, MAX(i, j))) < STATE_PATH_BYTES;
    if (!fits || !fs_path(ret->file, sizeof ret->file, ret->dir, own) ||
        !fs_path(ret->tmp, sizeof ret->tmp, ret->top, tmp))
        FAIL(err, ST_INTERNAL, "the path of the data directory is too long");
    return ST_OK;
}

enum status state_read(const struct state_file *f, size_t bytes_max, struct arena *arena,
    struct str *ret_bytes, bool *ret_any, struct error *err)
{
    struct buf raw;
    struct error why = {0};
    buf_init(&raw, bytes_max);
    enum status st = fs_read_all(&fs_real, f->file, bytes_max, &raw, &why);
    *ret_any = st == ST_OK;
    *ret_bytes = STR_EMPTY;
    if (st == ST_OK) {
        *ret_bytes = arena_str(arena, buf_view(&raw));
        if (!ret_bytes->p)
            st = error_set(&why, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__, "no memory");
    }
    buf_done(&raw);
    if (st == ST_OK || st == ST_NOT_FOUND)
        return ST_OK;
    FAIL(err, ST_INTERNAL, "%.*s", STR_ARG(error_str(&why)));
}

static int make_dirs(const struct state_file *f)
{
    int e = fs_real.dir_make(&fs_real, f->state);
    if (!e)
        e = fs_real.dir_make(&fs_real, f->top);
    if (!e)
        e = fs_real.dir_make(&fs_real, f->dir);
    if (!e)
        e = fs_real.dir_sync(&fs_real, f->state);
    return e ? e : fs_real.dir_sync(&fs_real, f->top);
}

enum status state_write(const struct state_file *f, struct str bytes, struct error *err)
{
    int e = make_dirs(f);
    if (e)
        return error_set_errno(
            err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "cannot make %s", f->dir);
    return fs_write_atomic(&fs_real, f->dir, f->tmp, f->file, bytes, err);
}
