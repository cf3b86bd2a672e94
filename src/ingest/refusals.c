/* See refusals.h.
 *
 *     note ─► tenant (of at most TENANTS_MAX) ─► entry (of at most ENTRIES_MAX) ─► dirty
 *     writer thread, every few seconds: dirty tenants ─► JSON ─► state/<tenant>/refusals.json
 *
 * Invariants: 1. Memory and files are bounded whatever is sent: when a table is full, what was
 * touched longest ago makes room; of a tenant its file goes as well, of an entry only one whose
 * reason has others, so that the last of each kind stays. 2. Texts are clipped at characters. 3.
 * note never waits for the disk: files are written from a copy, outside of the lock. 4. Times and
 * counts come from the callers and from files this wrote; a file that cannot be read counts as
 * absent and is logged.
 *
 * Threads: any; one lock. Failure: a file that cannot be written is logged and tried again. */
#include "ingest/refusals.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/utf8.h"
#include "codec/json.h"

enum {
    TENANTS_MAX = 512,
    ENTRIES_MAX = 64,
    TENANT_BYTES = 152,
    SERVICE_BYTES = 160,
    MESSAGE_BYTES = 480,
    FILE_BYTES = 256 << 10,
    PATH_BYTES = 4096,
    WRITE_S = 3,
};

const struct refusal_reason refusal_reasons[] = {
    {"unknown", ""},
    {"malformed_profile", ""},
    {"malformed_request", ""},
    {"invalid_name", ""},
    {"invalid_labels", ""},
    {"missing_labels", ""},
    {"duplicate_label_names", ""},
    {"rate_limited", "limits.ingestion_rate_mb"},
    {"ingest_limit_reached", "limits.ingestion_limit.limit_reached"},
    {"usage_group_limit_reached", "limits.ingestion_limit.usage_groups"},
    {"dropped_by_sampling_rules", "limits.distributor_sampling.usage_groups"},
    {"body_size_limit_exceeded", "limits.ingestion_body_limit_mb"},
    {"body_budget_exceeded", "server.body_budget_bytes"},
    {"header_too_large", ""},
    {"header_timeout", "server.http_server_read_header_timeout"},
    {"body_timeout", "server.http_server_read_timeout"},
    {"incomplete_body", ""},
    {"too_many_requests", "server.http_workers"},
    {"too_many_streams", ""},
    {"http2_flood", ""},
    {"out_of_memory", ""},
    {"store_unavailable", ""},
    {"not_in_ingestion_window", "limits.reject_older_than"},
    {"max_label_names_per_series", "limits.max_label_names_per_series"},
    {"label_name_too_long", "limits.max_label_name_length"},
    {"label_value_too_long", "limits.max_label_value_length"},
    {"profile_size_limit", "limits.max_profile_size_bytes"},
    {"samples_limit", "limits.max_profile_stacktrace_samples"},
    {"sample_labels_limit", "limits.max_profile_stacktrace_sample_labels"},
    {"series_limit", "limits.max_active_series"},
    {"services_limit", "limits.max_active_services"},
    {"tenants_limit", "store.max_tenants"},
    {"head_limit", "limits.max_head_bytes"},
    {"dropped_by_relabel_rules", "limits.ingestion_relabeling_rules"},
};
const uint32_t refusal_reasons_n = ARRAY_LEN(refusal_reasons);

struct entry {
    uint32_t reason; /* in the table */
    uint32_t service_n, message_n;
    uint64_t count;
    int64_t last_ms;
    char service[SERVICE_BYTES], message[MESSAGE_BYTES];
};

struct tenant {
    char name[TENANT_BYTES];
    uint32_t name_n, n, cap;
    uint64_t hash;
    int64_t touched;   /* rises with every note */
    bool dirty, filed; /* filed: it has a file, or soon will */
    struct entry *entries;
};

struct refusals {
    struct fs *fs;
    char state[PATH_BYTES]; /* empty: nothing is kept */
    struct mutex lock;
    struct cond wake;
    struct tenant *tenants[TENANTS_MAX]; /* lock */
    uint32_t n;                          /* lock */
    /* Whose files go. The writer empties it before it makes more files, so it has room for all. */
    char gone[TENANTS_MAX][TENANT_BYTES + 1]; /* lock */
    uint32_t n_gone;                          /* lock */
    int64_t clock;                            /* lock */
    bool stop;                                /* lock */
    bool started;
    pthread_t thread;
};

static uint32_t reason_index(struct str reason)
{
    for (uint32_t i = 0; i < refusal_reasons_n; i++)
        if (str_eq(reason, str_from(refusal_reasons[i].reason)))
            return i;
    return 0;
}

struct str refusal_setting(struct str reason)
{
    return str_from(refusal_reasons[reason_index(reason)].setting);
}

static uint32_t copy_clipped(char *to, size_t cap, struct str s)
{
    size_t n = MIN(s.n, cap);
    while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n--;
    if (n)
        memcpy(to, s.p, n);
    return (uint32_t)n;
}

static struct str name_of(const struct tenant *t)
{
    return str_make(t->name, t->name_n);
}

static void put_name(const struct tenant *t, char to[TENANT_BYTES + 1])
{
    memcpy(to, t->name, t->name_n);
    to[t->name_n] = 0;
}

static struct tenant *find_tenant(const struct refusals *r, struct str tenant)
{
    uint64_t h = hash_str(tenant);
    for (uint32_t i = 0; i < r->n; i++)
        if (r->tenants[i]->hash == h && str_eq(name_of(r->tenants[i]), tenant))
            return r->tenants[i];
    return NULL;
}

static void tenant_free(struct tenant *t)
{
    mem_free(t->entries);
    mem_free(t);
}

/* Where the next tenant goes: behind the last, or in place of the one touched longest ago. */
static struct tenant **free_slot(struct refusals *r)
{
    if (r->n < TENANTS_MAX)
        return &r->tenants[r->n++];
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < r->n; i++)
        if (r->tenants[i]->touched < r->tenants[oldest]->touched)
            oldest = i;
    struct tenant *t = r->tenants[oldest];
    if (t->filed && r->n_gone < TENANTS_MAX)
        put_name(t, r->gone[r->n_gone++]);
    tenant_free(t);
    return &r->tenants[oldest];
}

static struct tenant *get_tenant(struct refusals *r, struct str tenant)
{
    struct tenant *t = find_tenant(r, tenant);
    if (!t && tenant.n && tenant.n <= TENANT_BYTES) {
        t = NEW(struct tenant);
        t->name_n = copy_clipped(t->name, TENANT_BYTES, tenant);
        t->hash = hash_str(tenant);
        *free_slot(r) = t;
    }
    if (t)
        t->touched = ++r->clock;
    return t;
}

static struct entry *find_entry(struct tenant *t, uint32_t reason, struct str service)
{
    for (uint32_t i = 0; i < t->n; i++)
        if (t->entries[i].reason == reason &&
            str_eq(str_make(t->entries[i].service, t->entries[i].service_n), service))
            return &t->entries[i];
    return NULL;
}

/* The oldest entry whose reason has others; with fewer reasons than entries there is one. */
static struct entry *oldest_of_many(struct tenant *t)
{
    _Static_assert(ARRAY_LEN(refusal_reasons) < ENTRIES_MAX, "the last of each reason has room");
    uint32_t counts[ARRAY_LEN(refusal_reasons)] = {0};
    struct entry *oldest = NULL;
    for (uint32_t i = 0; i < t->n; i++)
        counts[t->entries[i].reason]++;
    for (uint32_t i = 0; i < t->n; i++) {
        struct entry *e = &t->entries[i];
        if (counts[e->reason] > 1 && (!oldest || e->last_ms < oldest->last_ms))
            oldest = e;
    }
    ASSERT(oldest);
    return oldest;
}

static struct entry *new_entry(struct tenant *t)
{
    if (t->n < t->cap)
        return &t->entries[t->n++];
    if (t->cap < ENTRIES_MAX) {
        t->cap = MIN(MAX(t->cap * 2, 4u), (uint32_t)ENTRIES_MAX);
        t->entries = mem_grow(t->entries, t->cap * sizeof *t->entries);
        ASSERT(t->entries);
        return &t->entries[t->n++];
    }
    return oldest_of_many(t);
}

static void add(struct tenant *t, const struct entry *add)
{
    struct entry *e = find_entry(t, add->reason, str_make(add->service, add->service_n));
    uint64_t count = e ? e->count : 0;
    if (!e)
        e = new_entry(t);
    *e = *add;
    if (__builtin_add_overflow(count, add->count, &e->count))
        e->count = UINT64_MAX;
}

void refusals_note(struct refusals *r, struct str tenant, struct str service, struct str reason,
    uint64_t profiles, struct str message, int64_t now_ns)
{
    if (!r)
        return;
    struct entry e = {
        .reason = reason_index(reason), .count = profiles, .last_ms = now_ns / NS_PER_MS};
    e.service_n = copy_clipped(e.service, sizeof e.service, service);
    e.message_n = copy_clipped(e.message, sizeof e.message, message);
    mutex_lock(&r->lock);
    struct tenant *t = get_tenant(r, tenant);
    if (t) {
        add(t, &e);
        t->dirty = true;
    }
    mutex_unlock(&r->lock);
}

/* ── JSON ── */

static int newest_first(const void *pa, const void *pb)
{
    const struct entry *a = pa, *b = pb;
    return (a->last_ms < b->last_ms) - (a->last_ms > b->last_ms);
}

static void put_entry(const struct entry *e, struct buf *out)
{
    char last[32];
    size_t n = clock_format_ms(e->last_ms * NS_PER_MS, last);
    buf_str(out, STR("{\"service\":"));
    json_put_string(out, str_make(e->service, e->service_n));
    buf_printf(out, ",\"reason\":\"%s\",\"setting\":\"%s\",\"count\":%" PRIu64,
        refusal_reasons[e->reason].reason, refusal_reasons[e->reason].setting, e->count);
    buf_printf(out, ",\"last\":\"%.*s\",\"lastUnixMs\":%" PRId64 ",\"message\":", (int)n, last,
        e->last_ms);
    json_put_string(out, str_make(e->message, e->message_n));
    buf_byte(out, '}');
}

static void put_tenant(struct tenant *t, struct buf *out)
{
    buf_str(out, STR("{\"refusals\":["));
    if (t && t->n)
        qsort(t->entries, t->n, sizeof *t->entries, newest_first);
    for (uint32_t i = 0; t && i < t->n; i++) {
        buf_str(out, i ? STR(",\n") : STR("\n"));
        put_entry(&t->entries[i], out);
    }
    buf_str(out, STR("]}\n"));
}

void refusals_json(struct refusals *r, struct str tenant, struct buf *out)
{
    mutex_lock(&r->lock);
    put_tenant(find_tenant(r, tenant), out);
    mutex_unlock(&r->lock);
}

/* ── files ── */

static void read_member(struct entry *e, struct str name, enum json_token tok, struct str text)
{
    if (tok == JSON_STRING && str_eq(name, STR("service")))
        e->service_n = copy_clipped(e->service, sizeof e->service, text);
    else if (tok == JSON_STRING && str_eq(name, STR("message")))
        e->message_n = copy_clipped(e->message, sizeof e->message, text);
    else if (tok == JSON_STRING && str_eq(name, STR("reason")))
        e->reason = reason_index(text);
    else if (tok == JSON_NUMBER && str_eq(name, STR("count")))
        json_to_u64(text, &e->count);
    else if (tok == JSON_NUMBER && str_eq(name, STR("lastUnixMs")) &&
             json_to_i64(text, &e->last_ms))
        e->last_ms = MAX(MIN(e->last_ms, INT64_MAX / NS_PER_MS), 0);
}

/* Objects inside the array are entries; everything of another shape is skipped. */
static enum status read_entries(struct tenant *t, struct str text, struct arena *arena,
    struct json_reader *jr, struct error *err)
{
    struct entry e = {0};
    struct str name = STR_EMPTY;
    enum json_token tok;
    json_start(jr, text, arena);
    do {
        TRY(json_next(jr, &tok, err));
        if (tok == JSON_NAME)
            name = jr->text;
        else if (tok == JSON_OBJECT && jr->depth > 1)
            e = (struct entry){0};
        else if (tok == JSON_OBJECT_END && jr->depth > 1 && t->n < ENTRIES_MAX)
            add(t, &e);
        else
            read_member(&e, name, tok, jr->text);
    } while (tok != JSON_END);
    return ST_OK;
}

static void read_tenant(void *ctx, const char *name, bool is_dir)
{
    struct refusals *r = ctx;
    char dir[PATH_BYTES], file[PATH_BYTES];
    if (!is_dir || r->n == TENANTS_MAX || !fs_path(dir, sizeof dir, r->state, name) ||
        !fs_path(file, sizeof file, dir, "refusals.json"))
        return;
    struct buf text;
    struct arena arena;
    struct error err = {0};
    buf_init(&text, FILE_BYTES);
    arena_init(&arena, 4 * FILE_BYTES);
    struct json_reader *jr = NEW(struct json_reader);
    enum status st = fs_read_all(r->fs, file, FILE_BYTES, &text, &err);
    struct tenant *t = st == ST_OK ? get_tenant(r, str_from(name)) : NULL;
    if (t) {
        t->filed = true;
        st = read_entries(t, buf_view(&text), &arena, jr, &err);
    }
    if (st != ST_OK && st != ST_NOT_FOUND)
        LOG_WARN("past refusals not read", "file=%s err=%s", file, LOG_STR(error_str(&err)));
    mem_free(jr);
    arena_done(&arena);
    buf_done(&text);
}

static enum status write_file(
    struct refusals *r, const char *name, struct str text, struct error *err)
{
    char dir[PATH_BYTES], file[PATH_BYTES], tmp[PATH_BYTES];
    if (!fs_path(dir, sizeof dir, r->state, name) ||
        !fs_path(file, sizeof file, dir, "refusals.json") ||
        !fs_path(tmp, sizeof tmp, dir, "refusals.tmp"))
        FAIL(err, ST_INTERNAL, "the path of the data directory is too long");
    int e = r->fs->dir_make(r->fs, r->state);
    if (!e)
        e = r->fs->dir_make(r->fs, dir);
    if (!e)
        e = r->fs->dir_sync(r->fs, r->state);
    if (e)
        return error_set_errno(err, ST_UNAVAILABLE, e, __FILE__, __LINE__, "cannot make %s", dir);
    return fs_write_atomic(r->fs, dir, tmp, file, text, err);
}

/* The next dirty tenant as text, its name NUL-terminated; false: none. */
static bool take_dirty(struct refusals *r, uint32_t *at, char name[TENANT_BYTES + 1], struct buf *b)
{
    mutex_lock(&r->lock);
    while (*at < r->n && !r->tenants[*at]->dirty)
        *at += 1;
    bool found = *at < r->n;
    if (found) {
        struct tenant *t = r->tenants[*at];
        t->dirty = false;
        t->filed = true;
        put_name(t, name);
        put_tenant(t, b);
    }
    mutex_unlock(&r->lock);
    return found;
}

/* The next tenant whose file goes; false: none. */
static bool take_gone(struct refusals *r, char name[TENANT_BYTES + 1])
{
    bool found = false;
    mutex_lock(&r->lock);
    while (!found && r->n_gone > 0) {
        memcpy(name, r->gone[--r->n_gone], TENANT_BYTES + 1);
        found = !find_tenant(r, str_from(name)); /* it may have come back */
    }
    mutex_unlock(&r->lock);
    return found;
}

/* A directory with something else in it stays; so does a file that cannot be removed. */
static void remove_gone(struct refusals *r)
{
    char name[TENANT_BYTES + 1], dir[PATH_BYTES], file[PATH_BYTES];
    while (take_gone(r, name)) {
        if (!fs_path(dir, sizeof dir, r->state, name) ||
            !fs_path(file, sizeof file, dir, "refusals.json"))
            continue;
        r->fs->unlink(r->fs, file);
        r->fs->dir_remove(r->fs, dir);
    }
}

static void write_dirty(struct refusals *r)
{
    char name[TENANT_BYTES + 1];
    struct buf text;
    struct error err = {0};
    buf_init(&text, FILE_BYTES);
    for (uint32_t at = 0; take_dirty(r, &at, name, &text); at++) {
        if (write_file(r, name, buf_view(&text), &err) != ST_OK) {
            LOG_WARN("refusals not written", "tenant=%s err=%s", name, LOG_STR(error_str(&err)));
            mutex_lock(&r->lock);
            struct tenant *t = find_tenant(r, str_from(name));
            if (t)
                t->dirty = true;
            mutex_unlock(&r->lock);
        }
        buf_clear(&text);
    }
    buf_done(&text);
}

static void *run(void *arg)
{
    struct refusals *r = arg;
    bool stop = false;
    while (!stop) {
        int64_t until = clock_mono_ns() + WRITE_S * NS_PER_S;
        mutex_lock(&r->lock);
        while (!r->stop && cond_wait_until(&r->wake, &r->lock, until))
            ;
        stop = r->stop;
        mutex_unlock(&r->lock);
        remove_gone(r);
        write_dirty(r);
    }
    return NULL;
}

enum status refusals_open(
    struct fs *fs, const char *dir, struct refusals **ret_r, struct error *err)
{
    struct refusals *r = NEW(struct refusals);
    r->fs = fs;
    mutex_init(&r->lock, "refusals", RANK_CACHE);
    cond_init(&r->wake);
    enum status st = ST_OK;
    if (dir && !fs_path(r->state, sizeof r->state, dir, "state"))
        st = error_set(err, ST_INVALID_ARGUMENT, __FILE__, __LINE__, "%s: too long", dir);
    if (st == ST_OK && dir) {
        fs->dir_list(fs, r->state, read_tenant, r); /* none yet: nothing was refused yet */
        st = thread_start(&r->thread, "refusals", run, r, err);
        r->started = st == ST_OK;
    }
    if (st != ST_OK) {
        refusals_close(r);
        return st;
    }
    *ret_r = r;
    return ST_OK;
}

void refusals_close(struct refusals *r)
{
    if (!r)
        return;
    mutex_lock(&r->lock);
    r->stop = true;
    cond_broadcast(&r->wake);
    mutex_unlock(&r->lock);
    if (r->started)
        thread_join(r->thread);
    for (uint32_t i = 0; i < r->n; i++)
        tenant_free(r->tenants[i]);
    cond_done(&r->wake);
    mutex_done(&r->lock);
    mem_free(r);
}
