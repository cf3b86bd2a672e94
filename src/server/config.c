/* Loading and checking the settings: see config.h.
 *
 * 1. Every member of struct config that a setting names has that setting's default.
 * 2. The file is applied over it, then the command line again, so the command line wins.
 * 3. Nothing that changes what a user would get is ignored in silence: what this version cannot do
 *    and what would lose or expose data is an error (another backend, TLS, another target); what
 *    merely has no effect is named in one warning.
 *
 * Runs on main's thread at start. Strings live in the config's arena. */
#include "server/config_int.h"
#include "server/tls_config.h"

#include <errno.h>

#include "base/log.h"
#include "base/mem.h"

enum { CONFIG_ARENA_BYTES = 8 << 20, CONFIG_FILE_BYTES = 1 << 20, WARN_BYTES = 200 };

bool config_set(struct config *c, int i, struct str text, enum config_source source)
{
    const struct config_setting *s = &config_settings[i];
    struct config_value v;
    bool range;
    if (!config_value_parse(s->type, text, &v, &range))
        return false;
    struct config_mark *m = &c->marks[i];
    m->source = source;
    m->text = arena_str(&c->arena, text);
    if (!m->text.p)
        return false;
    return s->offset == CONFIG_NO_MEMBER ||
           config_value_store(s->type, &v, config_member(c, s), &c->arena);
}

struct config *config_new(void)
{
    struct config *c = NEW(struct config);
    arena_init(&c->arena, CONFIG_ARENA_BYTES);
    c->marks = ARENA_ZARRAY(&c->arena, struct config_mark, config_settings_n);
    ASSERT(c->marks);
    c->rest = STR_EMPTY;
    for (uint32_t i = 0; i < config_settings_n; i++) {
        const struct config_setting *s = &config_settings[i];
        if (s->offset != CONFIG_NO_MEMBER && !s->alias_of)
            ASSERT(config_set(c, (int)i, str_from(s->initial), CONFIG_FROM_DEFAULT));
    }
    return c;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    arena_done(&c->arena);
    mem_free(c);
}

static bool set_from_file(void *ctx, int row, struct str text)
{
    return config_set(ctx, row, text, CONFIG_FROM_FILE);
}

enum status config_yaml(struct config *c, struct str text, const char *name, struct error *err)
{
    struct config_sink sink = {.ctx = c, .set = set_from_file};
    return config_yaml_read(text, name, &sink, err);
}

static enum status load_file(struct config *c, struct error *err)
{
    char *path = arena_cstr(&c->arena, c->config_file);
    if (!path)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the path is too long");
    struct buf text, expanded;
    buf_init(&text, CONFIG_FILE_BYTES);
    buf_init(&expanded, CONFIG_FILE_BYTES);
    struct error cause = {0};
    enum status st = fs_read_all(&fs_real, path, CONFIG_FILE_BYTES, &text, &cause);
    if (st != ST_OK && cause.os_errno)
        st = error_set(err, st, __FILE__, __LINE__, "open %s: %s", path,
            cause.os_errno == ENOENT ? "no such file or directory" : strerror(cause.os_errno));
    else if (st != ST_OK)
        st = error_set(err, st, __FILE__, __LINE__, "%s", cause.msg);
    if (st == ST_OK && c->config_expand_env)
        st = config_expand_env(buf_view(&text), &expanded, err);
    if (st == ST_OK)
        st = config_yaml(c, buf_view(c->config_expand_env ? &expanded : &text), path, err);
    buf_done(&text);
    buf_done(&expanded);
    return st;
}

enum status config_load(struct config *c, int argc, char **argv, int *ret_exit, struct error *err)
{
    *ret_exit = CONFIG_EXIT_FLAGS;
    TRY(config_flags_parse(c, argc, argv, false, err));
    if (c->version || c->modules || c->help || c->help_all || c->help_docs)
        return ST_OK;
    *ret_exit = CONFIG_EXIT_CONFIG;
    if (c->config_file.n) {
        enum status st = load_file(c, err);
        if (st != ST_OK)
            return error_wrap(err, st, "failed parsing config");
    }
    *ret_exit = CONFIG_EXIT_FLAGS;
    return config_flags_parse(c, argc, argv, true, err);
}

static enum status check_target(struct str target, struct error *err)
{
    static const char *const parts[] = {"distributor", "ingester", "compactor", "store-gateway",
        "query-frontend", "query-scheduler", "querier", "overrides-exporter", "ruler",
        "segment-writer", "metastore", "compaction-worker", "query-backend", "symbolizer",
        "tenant-settings", "ad-hoc-profiles", "admin", "usage-stats", "feature-flags",
        "embedded-grafana"};
    struct str_split it = {target, false};
    struct str name;
    if (str_trim(target).n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "failed creating everflame: no modules specified");
    while (str_split_next(&it, ',', &name)) {
        name = str_trim(name);
        if (str_eq(name, STR("all")))
            continue;
        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
            if (str_eq(name, str_from(parts[i])))
                FAIL(err, ST_INVALID_ARGUMENT,
                    "failed running everflame: module %s cannot run on its own in this version: "
                    "use -target=all",
                    parts[i]);
        FAIL(err, ST_INVALID_ARGUMENT, "failed running everflame: unrecognised module name: %.*s",
            STR_ARG(name));
    }
    return ST_OK;
}

static enum status check_backend(struct str backend, struct error *err)
{
    static const char *const later[] = {"s3", "gcs", "azure", "swift", "cos"};
    if (str_eq(backend, STR("filesystem")))
        return ST_OK;
    if (backend.n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "failed creating everflame: storage.backend is required");
    for (size_t i = 0; i < ARRAY_LEN(later); i++)
        if (str_eq(backend, str_from(later[i])))
            FAIL(err, ST_INVALID_ARGUMENT,
                "failed creating everflame: storage.backend=%s is not in this version: use "
                "filesystem",
                later[i]);
    FAIL(err, ST_INVALID_ARGUMENT, "failed creating everflame: unsupported storage backend: %.*s",
        STR_ARG(backend));
}

enum status config_validate(const struct config *c, struct error *err)
{
    enum log_level level;
    TRY(check_target(c->target, err));
    TRY(check_backend(c->storage_backend, err));
    if (!log_level_parse(c->log_level, &level))
        FAIL(err, ST_INVALID_ARGUMENT,
            "failed creating everflame: unrecognized log level \"%.*s\": use debug, info, warn or "
            "error",
            STR_ARG(c->log_level));
    if (c->http_port < 0 || c->http_port > UINT16_MAX)
        FAIL(err, ST_INVALID_ARGUMENT,
            "failed creating everflame: server.http_listen_port %lld is not a port (0 to 65535)",
            (long long)c->http_port);
    struct http_tls_config tls = {0};
    TRY(config_tls(c, &tls, err));
    if (c->path_prefix.n && c->path_prefix.p[0] != '/')
        FAIL(err, ST_INVALID_ARGUMENT,
            "failed creating everflame: server.http_path_prefix must begin with /");
    if (c->http_connections_max < 0 || c->http_workers < 0 || c->query_concurrency < 0 ||
        c->query_queue_max < 0 || c->http_connections_max > INT32_MAX || c->http_workers > 1024 ||
        c->query_concurrency > 1024 || c->query_queue_max > INT32_MAX)
        FAIL(err, ST_INVALID_ARGUMENT,
            "failed creating everflame: connection, worker or query limit out of range");
    return ST_OK;
}

static const char *setting_name(const struct config_setting *s, const struct config_mark *m)
{
    return m->source == CONFIG_FROM_FILE || !s->flag ? s->yaml : s->flag;
}

/* Collects names and logs them when the line is full. */
struct name_list {
    char text[WARN_BYTES + 128];
    size_t n;
};

static void names_flush(struct name_list *l)
{
    if (l->n)
        LOG_WARN("settings that are accepted but have no effect here", "settings=%s",
            LOG_STR(str_make(l->text, l->n)));
    l->n = 0;
}

static void names_add(struct name_list *l, const char *name)
{
    int n = snprintf(l->text + l->n, sizeof l->text - l->n, "%s%s", l->n ? " " : "", name);
    l->n = MIN(l->n + (size_t)MAX(n, 0), sizeof l->text - 1);
    if (l->n >= WARN_BYTES)
        names_flush(l);
}

static void warn_setting(const struct config *c, uint32_t i, struct name_list *idle)
{
    const struct config_setting *s = &config_settings[i];
    const struct config_mark *m = &c->marks[i];
    if (m->source == CONFIG_FROM_DEFAULT)
        return;
    if (s->alias_of)
        LOG_WARN("setting is taken for another", "setting=%s use=%s why=\"%s\"", setting_name(s, m),
            s->alias_of, s->help);
    if (s->offset == CONFIG_NO_MEMBER)
        names_add(idle, setting_name(s, m));
    if (!c->config_expand_env && m->source == CONFIG_FROM_FILE && s->type != CONFIG_USAGE_GROUPS &&
        str_contains(m->text, STR("${")))
        LOG_WARN(
            "value with ${ is taken as it is: -config.expand-env is off", "setting=%s", s->yaml);
}

void config_warn(const struct config *c)
{
    struct name_list idle = {.n = 0};
    for (uint32_t i = 0; i < config_settings_n; i++)
        warn_setting(c, i, &idle);
    names_flush(&idle);
    if (c->rest.n)
        LOG_WARN("arguments after the flags are ignored", "first=%s", LOG_STR(c->rest));
    struct str dir = config_data_dir(c);
    if (c->filesystem_dir.n && dir.p != c->filesystem_dir.p)
        LOG_WARN("setting is ignored: data-dir is given", "setting=storage.filesystem.dir");
    if (c->pyroscopedb_dir.n && dir.p != c->pyroscopedb_dir.p)
        LOG_WARN(
            "setting is ignored: another data directory is given", "setting=pyroscopedb.data_path");
}

struct str config_data_dir(const struct config *c)
{
    if (c->data_dir.n)
        return c->data_dir;
    if (c->filesystem_dir.n)
        return c->filesystem_dir;
    return c->pyroscopedb_dir.n ? c->pyroscopedb_dir : STR("./data");
}

static uint64_t at_least_0(int64_t v)
{
    return v < 0 ? 0 : (uint64_t)v;
}

static double mib(double mb)
{
    return mb < 0 ? 0 : mb * (double)MIB;
}

/* What is older than retention is refused: never acknowledged and then deleted. 0: no bound. */
static int64_t oldest_accepted_ns(const struct config_limits *l)
{
    int64_t window = MAX(l->reject_older_than_ns, 0), kept = config_limits_retention_ns(l);
    if (window == 0 || kept == 0)
        return MAX(window, kept);
    return MIN(window, kept);
}

void config_limits_ingest(const struct config_limits *l, struct ingest_limits *ret)
{
    *ret = (struct ingest_limits){
        .rate_bytes_per_s = mib(l->ingestion_rate_mb),
        .burst_bytes = mib(l->ingestion_burst_size_mb),
        .body_bytes_max = (uint64_t)MIN(mib(l->ingestion_body_limit_mb), 9e18),
        .profile_bytes_max = at_least_0(l->max_profile_size_bytes),
        .profile_samples_max = at_least_0(l->max_profile_samples),
        .sample_labels_max = at_least_0(l->max_sample_labels),
        .stack_depth_max = at_least_0(l->max_stack_depth),
        .string_bytes_max = at_least_0(l->max_string_bytes),
        .label_name_bytes_max = at_least_0(l->max_label_name_bytes),
        .label_value_bytes_max = at_least_0(l->max_label_value_bytes),
        .labels_per_series_max = at_least_0(l->max_labels_per_series),
        .sessions_per_series_max = at_least_0(l->max_sessions_per_series),
        .label_sanitization = !l->disable_label_sanitization,
        .reject_older_than_ns = oldest_accepted_ns(l),
        .reject_newer_than_ns = MAX(l->reject_newer_than_ns, 0),
        .active_series_max = at_least_0(l->max_active_series),
        .active_services_max = at_least_0(l->max_active_services),
        .head_bytes_max = l->max_head_bytes,
        .quota = {.reached = l->quota_reached,
            .period_bytes = (uint64_t)MIN(mib(MAX(l->quota_mb, 0)), 9e18),
            .period = (enum ingest_period)l->quota_period,
            .reset_s = l->quota_reset_s,
            .requests = at_least_0(l->quota_requests),
            .requests_period_ns = l->quota_requests_period_ns},
        .usage_groups = l->usage_groups,
        .group_quotas = l->group_quotas,
        .group_sampling = l->group_sampling,
        .keep_stripped = l->keep_stripped,
        .relabel_rules = l->relabel_rules,
        .sample_type_rules = l->sample_type_rules,
        .default_rules = (enum ingest_default_rules)l->default_rules,
    };
}

int64_t config_limits_retention_ns(const struct config_limits *l)
{
    int64_t initial = 0;
    int row = config_find_yaml(STR("limits.retention_period"));
    ASSERT(row >= 0);
    ASSERT(config_xduration_parse(str_from(config_settings[row].initial), &initial));
    if (l->compactor_retention_ns > 0 && l->retention_ns == initial)
        return l->compactor_retention_ns;
    return MAX(l->retention_ns, 0);
}

void config_limits_query(const struct config_limits *l, struct query_limits *ret)
{
    *ret = (struct query_limits){
        .max_query_lookback_ns = l->max_query_lookback_ns > 0 ? l->max_query_lookback_ns
                                                              : config_limits_retention_ns(l),
        .max_query_length_ns = MAX(l->max_query_length_ns, 0),
        .max_nodes_default = MAX(l->max_nodes_default, 0),
        .max_nodes_max = MAX(l->max_nodes_max, 0),
        .max_nodes_on_select_merge_profile = l->max_nodes_on_select_merge_profile,
        .include_stripped = l->include_stripped,
    };
}
