/* See overrides.h. A loaded set is immutable: tenants with their limits, a hash table over their
 * names, one arena. Reloading builds a new set and swaps it under the lock; readers copy one
 * struct of limits under the same lock, so there is nothing to count.
 *
 * 1. A reader sees one whole set, never parts of two.
 * 2. A bad file changes nothing; it is logged at every attempt, and the old limits stay.
 *
 * Thread: `run` wakes every period, or at once to end. Paths that are URLs are refused at start. */
#include "server/overrides.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/idmap.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "server/config_int.h"

enum { FILE_BYTES = 8 << 20, SET_BYTES = 64 << 20, VALUE_BYTES = 64 << 10, PATH_BYTES = 4096 };

struct tenant_limits {
    struct str tenant;
    struct config_limits limits;
};

struct limits_set {
    struct arena arena;
    struct {
        struct tenant_limits *v;
        uint32_t n, cap;
    } tenants;
    struct idmap ids;
    const struct config_limits *defaults;
    struct config_limits *now; /* of the tenant that is being read */
};

struct overrides {
    const struct config *config;
    struct mutex lock;
    struct cond wake;
    struct limits_set *set; /* lock */
    uint64_t text_hash;     /* of the files behind it; only the reloading thread */
    bool stop;              /* lock */
    bool started;
    pthread_t thread;
};

static struct limits_set *set_new(const struct config_limits *defaults)
{
    struct limits_set *s = NEW(struct limits_set);
    arena_init(&s->arena, SET_BYTES);
    idmap_init(&s->ids, NULL);
    s->defaults = defaults;
    return s;
}

static void set_free(struct limits_set *s)
{
    if (!s)
        return;
    idmap_done(&s->ids);
    arena_done(&s->arena);
    mem_free(s);
}

static struct tenant_limits *set_find(struct limits_set *s, struct str tenant)
{
    struct idmap_probe p = idmap_start(&s->ids, hash_str(tenant));
    for (uint32_t i; idmap_next(&s->ids, &p, &i);)
        if (str_eq(s->tenants.v[i].tenant, tenant))
            return &s->tenants.v[i];
    return NULL;
}

/* config_sink: a tenant's entry begins; a second file adds to what the first one said. */
static bool begin_tenant(void *ctx, struct str tenant, bool empty)
{
    struct limits_set *s = ctx;
    if (empty) {
        LOG_WARN("skipping empty tenant limit definition", "tenant=%s", LOG_STR(tenant));
        return true;
    }
    struct tenant_limits *t = set_find(s, tenant);
    if (!t) {
        struct str name = arena_str(&s->arena, tenant);
        t = VEC_PUSH(&s->arena, s->tenants);
        if (!t || !name.p || !idmap_put(&s->ids, hash_str(name), s->tenants.n - 1))
            return false;
        *t = (struct tenant_limits){name, *s->defaults};
    }
    s->now = &t->limits;
    return true;
}

static bool set_limit(void *ctx, int row, struct str text)
{
    struct limits_set *s = ctx;
    const struct config_setting *setting = &config_settings[row];
    struct config_value v;
    bool range;
    if (setting->offset == CONFIG_NO_MEMBER)
        return true;
    ASSERT(setting->offset >= offsetof(struct config, limits));
    char *p = (char *)s->now + (setting->offset - offsetof(struct config, limits));
    return config_value_parse(setting->type, text, &v, &range) &&
           config_value_store(setting->type, &v, p, &s->arena);
}

static enum status read_file(struct limits_set *s, struct str path, struct error *err)
{
    char *z = arena_cstr(&s->arena, path);
    if (!z)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the path is too long");
    if (str_contains(path, STR("://")))
        FAIL(err, ST_UNIMPLEMENTED, "%s: only files can be read in this version", z);
    struct buf text;
    buf_init(&text, FILE_BYTES);
    enum status st = fs_read_all(&fs_real, z, FILE_BYTES, &text, err);
    struct config_sink sink = {.ctx = s, .set = set_limit, .tenant = begin_tenant};
    if (st == ST_OK)
        st = config_yaml_read(buf_view(&text), z, &sink, err);
    buf_done(&text);
    return st;
}

/* A hash over the contents of all files; 0 when one cannot be read. */
static uint64_t hash_files(const struct config *c)
{
    struct str_split it = {c->runtime_file, c->runtime_file.n == 0};
    struct str path;
    uint64_t h = 1;
    while (h && str_split_next(&it, ',', &path)) {
        char z[PATH_BYTES];
        struct buf text;
        path = str_trim(path);
        if (snprintf(z, sizeof z, "%.*s", STR_ARG(path)) >= PATH_BYTES)
            return 0;
        buf_init(&text, FILE_BYTES);
        bool ok = fs_read_all(&fs_real, z, FILE_BYTES, &text, NULL) == ST_OK;
        h = ok ? hash_u64(h, hash_str(buf_view(&text))) | 1 : 0;
        buf_done(&text);
    }
    return h;
}

enum status overrides_reload(struct overrides *ov, struct error *err)
{
    uint64_t h = hash_files(ov->config);
    if (ov->set && h && h == ov->text_hash)
        return ST_OK;
    struct limits_set *s = set_new(&ov->config->limits);
    struct str_split it = {ov->config->runtime_file, ov->config->runtime_file.n == 0};
    struct str path;
    while (str_split_next(&it, ',', &path)) {
        path = str_trim(path);
        enum status st = path.n ? read_file(s, path, err) : ST_OK;
        if (st != ST_OK) {
            set_free(s);
            return error_wrap(err, st, "failed to load runtime config");
        }
    }
    mutex_lock(&ov->lock);
    struct limits_set *old = ov->set;
    ov->set = s;
    mutex_unlock(&ov->lock);
    ov->text_hash = h;
    set_free(old);
    return ST_OK;
}

enum status overrides_open(const struct config *c, struct overrides **ret_ov, struct error *err)
{
    struct overrides *ov = NEW(struct overrides);
    ov->config = c;
    mutex_init(&ov->lock, "overrides", RANK_TENANTS);
    cond_init(&ov->wake);
    enum status st = overrides_reload(ov, err);
    if (st != ST_OK) {
        overrides_close(ov);
        return st;
    }
    *ret_ov = ov;
    return ST_OK;
}

static void *run(void *arg)
{
    struct overrides *ov = arg;
    int64_t period = MAX(ov->config->runtime_period_ns, 100 * NS_PER_MS);
    for (;;) {
        int64_t until = clock_mono_ns() + period;
        mutex_lock(&ov->lock);
        while (!ov->stop && cond_wait_until(&ov->wake, &ov->lock, until))
            ;
        bool stop = ov->stop;
        mutex_unlock(&ov->lock);
        if (stop)
            return NULL;
        struct error err = {0};
        if (overrides_reload(ov, &err) != ST_OK)
            LOG_ERROR("limits of tenants not reloaded; the old ones stay", "err=%s",
                LOG_STR(error_str(&err)));
    }
}

enum status overrides_start(struct overrides *ov, struct error *err)
{
    if (!ov->config->runtime_file.n)
        return ST_OK;
    TRY(thread_start(&ov->thread, "overrides", run, ov, err));
    ov->started = true;
    return ST_OK;
}

void overrides_close(struct overrides *ov)
{
    if (!ov)
        return;
    mutex_lock(&ov->lock);
    ov->stop = true;
    cond_broadcast(&ov->wake);
    mutex_unlock(&ov->lock);
    if (ov->started)
        thread_join(ov->thread);
    set_free(ov->set);
    cond_done(&ov->wake);
    mutex_done(&ov->lock);
    mem_free(ov);
}

void overrides_limits(struct overrides *ov, struct str tenant, struct config_limits *ret_limits)
{
    mutex_lock(&ov->lock);
    const struct tenant_limits *t = set_find(ov->set, tenant);
    *ret_limits = t ? t->limits : ov->config->limits;
    mutex_unlock(&ov->lock);
}

static int64_t smallest(int64_t a, int64_t b)
{
    return a <= 0 ? b : b <= 0 ? a : MIN(a, b);
}

void overrides_query_limits(
    struct overrides *ov, const struct str *tenants, uint32_t n, struct query_limits *ret_limits)
{
    struct query_limits all = {0};
    for (uint32_t i = 0; i < n; i++) {
        struct config_limits l;
        struct query_limits q;
        overrides_limits(ov, tenants[i], &l);
        config_limits_query(&l, &q);
        all.max_query_lookback_ns = smallest(all.max_query_lookback_ns, q.max_query_lookback_ns);
        all.max_query_length_ns = smallest(all.max_query_length_ns, q.max_query_length_ns);
        all.max_nodes_default = smallest(all.max_nodes_default, q.max_nodes_default);
        all.max_nodes_max = smallest(all.max_nodes_max, q.max_nodes_max);
        all.max_nodes_on_select_merge_profile |= q.max_nodes_on_select_merge_profile;
        all.include_stripped |= q.include_stripped;
    }
    *ret_limits = all;
}

double overrides_body_limit_mb(struct overrides *ov)
{
    mutex_lock(&ov->lock);
    double most = ov->config->limits.ingestion_body_limit_mb;
    bool off = most <= 0;
    for (uint32_t i = 0; i < ov->set->tenants.n; i++) {
        double mb = ov->set->tenants.v[i].limits.ingestion_body_limit_mb;
        off |= mb <= 0;
        most = MAX(most, mb);
    }
    mutex_unlock(&ov->lock);
    return off ? 0 : most;
}

/* A line per limit: those unlike others, or all of them when there are none. */
static void dump_limits(const struct config_limits *limits, const struct config_limits *unlike,
    const char *indent, struct buf *out)
{
    struct buf own, common;
    buf_init(&own, VALUE_BYTES);
    buf_init(&common, VALUE_BYTES);
    for (uint32_t i = 0; i < config_settings_n; i++) {
        const struct config_setting *s = &config_settings[i];
        if (!s->yaml || s->alias_of || s->offset == CONFIG_NO_MEMBER ||
            !str_starts(str_from(s->yaml), STR("limits.")))
            continue;
        size_t off = s->offset - offsetof(struct config, limits);
        buf_clear(&own);
        buf_clear(&common);
        config_value_format(s->type, (const char *)limits + off, &own);
        if (unlike)
            config_value_format(s->type, (const char *)unlike + off, &common);
        if (!unlike || !str_eq(buf_view(&own), buf_view(&common)))
            buf_printf(out, "%s%s: %.*s\n", indent, s->yaml + 7, STR_ARG(buf_view(&own)));
    }
    buf_done(&own);
    buf_done(&common);
}

static void dump_tenant(
    const struct tenant_limits *t, const struct config_limits *defaults, struct buf *out)
{
    buf_printf(out, "  \"%.*s\":\n", STR_ARG(t->tenant));
    dump_limits(&t->limits, defaults, "    ", out);
}

void overrides_dump(struct overrides *ov, struct buf *out)
{
    buf_str(out, STR("overrides:\n"));
    mutex_lock(&ov->lock);
    for (uint32_t i = 0; i < ov->set->tenants.n; i++)
        dump_tenant(&ov->set->tenants.v[i], &ov->config->limits, out);
    mutex_unlock(&ov->lock);
}

void overrides_tenant_dump(struct overrides *ov, struct str tenant, struct buf *out)
{
    struct config_limits l;
    overrides_limits(ov, tenant, &l);
    dump_limits(&l, NULL, "", out);
}
