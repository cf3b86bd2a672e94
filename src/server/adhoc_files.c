/* See adhoc_files.h. A file:
 *
 *     everflame adhoc 1 0123456789abcdef LF        the check: XXH3, 64 bits, no seed, of what
 * follows the bytes as they were uploaded
 *
 * 1. An id is given once: its time is later than that of every other one of the tenant.
 * 2. A file is whole or not there (tenant_state.c); what is damaged is data_loss, never shown.
 * 3. After an upload a tenant has at most ADHOC_FILES_MAX files of ADHOC_ALL_BYTES in all, but
 * always the new one. Files that are called otherwise are left alone.
 *
 * Thread: any, under the lock. Failure: statuses; the files stay as they are. */
#include "server/adhoc_files.h"

#include <errno.h>

#include <inttypes.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"

enum { HEAD_BYTES = 35 };
static const char head_format[] = "everflame adhoc 1 %016" PRIx64 "\n";

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

enum status adhoc_id_parse(struct str id, struct adhoc_file *ret_file, struct error *err)
{
    struct adhoc_file f = {.id = id, .name = str_skip(id, ULID_CHARS + 1)};
    bool ok = id.n > ULID_CHARS && id.p[ULID_CHARS] == '-' && f.name.n <= ADHOC_NAME_MAX &&
              ulid_parse(str_head(id, ULID_CHARS), &f.uploaded_ms);
    for (size_t i = 0; ok && i < f.name.n; i++)
        ok = name_char(f.name.p[i]);
    if (!ok)
        FAIL(err, ST_INVALID_ARGUMENT, "id '%.*s' is invalid", STR_ARG(str_head(id, 100)));
    *ret_file = f;
    return ST_OK;
}

struct str adhoc_name(struct str name, struct arena *arena)
{
    struct str out = arena_str(arena, str_head(name, ADHOC_NAME_MAX));
    for (size_t i = 0; i < out.n; i++)
        if (!name_char(out.p[i]))
            ((char *)(uintptr_t)out.p)[i] = '_'; /* ours, in the arena */
    return out;
}

/* ── the folder ── */

struct listing {
    struct arena *arena;
    struct adhoc_list list;
};

static void take(void *ctx, const char *name, bool is_dir)
{
    struct listing *l = ctx;
    struct adhoc_file f;
    if (is_dir || adhoc_id_parse(str_from(name), &f, NULL) != ST_OK ||
        adhoc_id_parse(arena_str(l->arena, f.id), &f, NULL) != ST_OK)
        return;
    struct adhoc_file *slot = VEC_PUSH(l->arena, l->list);
    if (slot)
        *slot = f;
}

static int newest_first(const void *a, const void *b)
{
    return -str_cmp(((const struct adhoc_file *)a)->id, ((const struct adhoc_file *)b)->id);
}

enum status adhoc_files_list(struct str data_dir, struct str tenant, struct arena *arena,
    struct adhoc_list *ret_list, struct error *err)
{
    struct state_file at;
    struct listing l = {.arena = arena};
    TRY(state_file_at(data_dir, tenant, "adhoc", STR_EMPTY, &at, err));
    int e = fs_real.dir_list(&fs_real, at.dir, take, &l);
    if (e && e != ENOENT)
        return error_set_errno(
            err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "ad hoc profiles cannot be listed");
    if (arena->full)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for the list of ad hoc profiles");
    if (l.list.n)
        qsort(l.list.v, l.list.n, sizeof *l.list.v, newest_first);
    *ret_list = l.list;
    return ST_OK;
}

/* ── files ── */

enum status adhoc_files_read(struct str data_dir, struct str tenant, struct str id,
    struct arena *arena, struct str *ret_bytes, struct error *err)
{
    struct state_file at;
    struct str all;
    char head[HEAD_BYTES + 1];
    bool any;
    TRY(state_file_at(data_dir, tenant, "adhoc", id, &at, err));
    TRY(state_read(&at, ADHOC_FILE_BYTES + HEAD_BYTES, arena, &all, &any, err));
    if (!any)
        FAIL(err, ST_NOT_FOUND, "there is no profile with the id %.*s", STR_ARG(id));
    struct str bytes = str_skip(all, HEAD_BYTES);
    snprintf(head, sizeof head, head_format, hash_disk(bytes.p, bytes.n));
    if (!str_eq(str_head(all, HEAD_BYTES), str_make(head, HEAD_BYTES)))
        FAIL(err, ST_DATA_LOSS, "the profile with the id %.*s is damaged on disk", STR_ARG(id));
    *ret_bytes = bytes;
    return ST_OK;
}

static void remove_oldest(
    struct str data_dir, struct str tenant, const struct adhoc_list *old, uint64_t bytes)
{
    for (uint32_t i = 0; i < old->n; i++) {
        struct state_file at;
        uint64_t size = 0;
        if (state_file_at(data_dir, tenant, "adhoc", old->v[i].id, &at, NULL) != ST_OK ||
            fs_real.path_bytes(&fs_real, at.file, &size) != 0)
            continue;
        bytes += size;
        if (i + 1 < ADHOC_FILES_MAX && bytes <= ADHOC_ALL_BYTES)
            continue;
        int e = fs_real.unlink(&fs_real, at.file);
        LOG_INFO("ad hoc profile removed: newer ones need its place", "tenant=%s id=%s errno=%d",
            LOG_STR(tenant), LOG_STR(old->v[i].id), e);
    }
}

static struct str make_id(const struct adhoc_list *old, struct str name, struct arena *arena)
{
    char text[ULID_CHARS + 1];
    uint64_t random[2] = {0};
    int64_t ms = clock_wall_ns() / NS_PER_MS;
    if (old->n)
        ms = MAX(ms, old->v[0].uploaded_ms + 1);
    ssize_t got = getrandom(random, sizeof random, 0); /* without it: still once per tenant */
    (void)got;
    ulid_put(text, ms, random[0], random[1]);
    return arena_printf(arena, "%s-%.*s", text, STR_ARG(name));
}

enum status adhoc_files_add(struct str data_dir, struct str tenant, struct str name,
    struct str bytes, struct arena *arena, struct adhoc_file *ret_file, struct error *err)
{
    struct adhoc_list old;
    struct state_file at;
    struct buf out;
    TRY(adhoc_files_list(data_dir, tenant, arena, &old, err));
    struct str id = make_id(&old, name, arena);
    if (!id.p)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for an id");
    TRY(state_file_at(data_dir, tenant, "adhoc", id, &at, err));
    buf_init(&out, ADHOC_FILE_BYTES + HEAD_BYTES);
    buf_printf(&out, head_format, hash_disk(bytes.p, bytes.n));
    buf_str(&out, bytes);
    enum status st = out.failed ? error_set(err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__,
                                      "no memory for the profile")
                                : state_write(&at, buf_view(&out), err);
    buf_done(&out);
    TRY(st);
    remove_oldest(data_dir, tenant, &old, bytes.n + HEAD_BYTES);
    return adhoc_id_parse(id, ret_file, err);
}
