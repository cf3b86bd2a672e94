/* The server process from its first line to its last: see server.h.
 *
 *     flags, file ─► overrides ─► store (lock, replay) ─► ingest ─► query pool ─► HTTP
 *
 * Before all this the profiler of the server itself is set up, which samples every thread that
 * starts after it; its own thread starts last and stops first.
 *
 * Stopping goes the other way: /ready says no, HTTP finishes what is in flight (bounded by
 * server.graceful-shutdown-timeout), then the queries' threads, then the store drains its queue and
 * closes. Every request in flight needs the parts below HTTP, so HTTP goes first.
 *
 * main's thread starts everything and then only waits for SIGTERM or SIGINT, which are blocked
 * everywhere. A failure to start is one sentence that says what to do; exit code 1. */
#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "ingest/compiled.h"
#include "server/machine.h"
#include "server/self_profile.h"
#include "server/server_int.h"
#include "server/tls_config.h"

enum {
    PAGE_BYTES = 1 << 20,
    QUERY_MEMORY_MIN = 64 << 20,
    WAL_SEGMENT_BYTES = 64 << 20,
    WAL_QUEUE_BYTES = 64 << 20,
    PATH_BYTES = 4096,
};
/* What a month of some services needs of trees and stacks; more is better used by the kernel. */
#define CACHE_BYTES ((uint64_t)160 << 20)

static uint32_t threads_or(int64_t given, uint32_t processors)
{
    return given > 0 ? (uint32_t)given : MAX(processors, 2u);
}

/* ── start ── */

/* The directories above the data directory; the store makes the last one. */
static void make_parents(char *path)
{
    for (char *p = path + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = 0;
        fs_real.dir_make(&fs_real, path); /* what fails here, the store reports */
        *p = '/';
    }
}

/* Of the store's threads. */
static void tenant_keeps(void *ctx, struct str tenant, struct store_keep *ret_keep)
{
    struct config_limits l;
    overrides_limits(ctx, tenant, &l);
    *ret_keep = (struct store_keep){config_limits_retention_ns(&l), l.retention_bytes};
}

static enum status open_store(struct server *s, struct error *err)
{
    const struct config *c = s->config;
    char dir[PATH_BYTES];
    struct str given = config_data_dir(c);
    if (snprintf(dir, sizeof dir, "%.*s", STR_ARG(given)) >= PATH_BYTES)
        FAIL(err, ST_INVALID_ARGUMENT, "the path of the data directory is too long");
    make_parents(dir);
    s->head_bytes = c->head_bytes ? c->head_bytes : machine_memory_bytes() / 4;
    struct store_config cfg = {
        .dir = dir,
        .fs = &fs_real,
        .head_bytes_max = s->head_bytes,
        .segment_bytes_max = WAL_SEGMENT_BYTES,
        .queue_bytes_max = WAL_QUEUE_BYTES,
        .cache_bytes_max = c->cache_bytes ? c->cache_bytes
                                          : MIN(machine_memory_bytes() / 16, CACHE_BYTES),
        .retention_ns = config_limits_retention_ns(&c->limits),
        .retention_bytes = c->retention_bytes,
        .retention_disk_percent = (uint32_t)MIN(MAX(c->retention_disk_percent, 0), 100),
        .keep = tenant_keeps,
        .keep_ctx = s->overrides,
        .tenants_max = (uint32_t)MIN(MAX(c->max_tenants, 0), INT32_MAX),
        .cut_on_close = true,
        .no_compaction = !c->compaction,
    };
    enum status st = store_open(&cfg, &s->store, err);
    if (st != ST_OK && err->os_errno &&
        (err->os_errno == EACCES || err->os_errno == EROFS || err->os_errno == EPERM))
        return error_set(err, st, __FILE__, __LINE__,
            "cannot write to the data directory %s: make it writable, or choose another with "
            "-data-dir",
            dir);
    return st;
}

static enum status open_refusals(struct server *s, struct error *err)
{
    char dir[PATH_BYTES];
    snprintf(dir, sizeof dir, "%.*s", STR_ARG(config_data_dir(s->config)));
    return refusals_open(&fs_real, dir, &s->refusals, err);
}

static enum status start_queries(struct server *s, uint32_t processors, struct error *err)
{
    const struct config *c = s->config;
    uint32_t n = threads_or(c->query_concurrency, processors);
    struct query_pool_config cfg = {
        .store = s->store,
        .overrides = s->overrides,
        .threads = n,
        .queue_max = (uint32_t)c->query_queue_max,
        .memory_bytes = c->query_memory_bytes
                            ? c->query_memory_bytes
                            : MAX(machine_memory_bytes() / 4 / n, (uint64_t)QUERY_MEMORY_MIN),
        .timeout_ns = c->query_timeout_ns,
    };
    return query_pool_start(&cfg, &s->queries, err);
}

static void fill_http(const struct server *s, uint32_t processors, struct http_server_config *cfg)
{
    const struct config *c = s->config;
    http_server_config_init(cfg);
    cfg->address = c->http_address;
    cfg->port = (uint16_t)c->http_port;
    cfg->workers = threads_or(c->http_workers, processors);
    if (c->http_connections_max > 0)
        cfg->connections_max = (uint32_t)c->http_connections_max;
    cfg->body_budget_bytes = c->body_budget_bytes ? c->body_budget_bytes
                                                  : machine_memory_bytes() / 8;
    cfg->body_timeout_ns = c->http_read_timeout_ns;
    cfg->header_timeout_ns = c->http_header_timeout_ns > 0 ? c->http_header_timeout_ns
                                                           : c->http_read_timeout_ns;
    cfg->write_timeout_ns = c->http_write_timeout_ns;
    cfg->idle_timeout_ns = c->http_idle_timeout_ns;
    cfg->path_prefix = c->path_prefix;
    while (str_ends(cfg->path_prefix, STR("/")))
        cfg->path_prefix.n--;
}

static enum status start_http(
    struct server *s, struct route_list *routes, uint32_t processors, struct error *err)
{
    struct http_server_config cfg;
    fill_http(s, processors, &cfg);
    TRY(config_tls(s->config, &cfg.tls, err));
    double mb = overrides_body_limit_mb(s->overrides);
    double bytes = mb * (double)MIB;
    s->body_bytes_max = mb > 0 && bytes < (double)cfg.body_budget_bytes ? (uint64_t)bytes
                                                                        : cfg.body_budget_bytes;
    ingest_http_routes(s, routes);
    otlp_http_routes(s, routes);
    querier_rpc_routes(s, routes);
    render_http_routes(s, routes);
    ops_http_routes(s, routes);
    info_rpc_routes(s, routes);
    health_rpc_routes(s, routes);
    settings_rpc_routes(s, routes);
    storage_http_routes(s, routes);
    adhoc_rpc_routes(s, routes);
    debuginfo_rpc_routes(s, routes);
    TRY(reflection_rpc_routes(s, routes, err));
    enum status st = http_server_start(&cfg, routes->v, routes->n, &s->http, err);
    if (st != ST_OK && err->os_errno == EADDRINUSE)
        return error_set(err, st, __FILE__, __LINE__,
            "port %u is in use: stop the other process, or choose another port with "
            "-server.http-listen-port",
            cfg.port);
    if (st != ST_OK && err->os_errno == EACCES)
        return error_set(err, st, __FILE__, __LINE__,
            "not allowed to listen on port %u: choose one above 1023 with "
            "-server.http-listen-port",
            cfg.port);
    return st;
}

static enum status start(struct server *s, struct route_list *routes, struct error *err)
{
    uint32_t processors = machine_processors();
    TRY(self_profile_begin(s->config, &s->self_profile, err));
    enum status st = overrides_open(s->config, &s->overrides, err);
    if (st == ST_OK)
        st = overrides_start(s->overrides, err);
    if (st != ST_OK)
        return error_wrap(err, st, "error initialising module: runtime-config");
    st = open_store(s, err); /* retention asks for the limits of tenants from the first moment */
    if (st != ST_OK)
        return error_wrap(err, st, "error initialising module: storage");
    st = open_refusals(s, err);
    if (st != ST_OK)
        return error_wrap(err, st, "error initialising module: distributor");
    s->ingest = handler_ingest_new(s);
    st = start_queries(s, processors, err);
    if (st != ST_OK)
        return error_wrap(err, st, "error initialising module: querier");
    st = start_http(s, routes, processors, err);
    if (st != ST_OK)
        return error_wrap(err, st, "error initialising module: server");
    return self_profile_start(s->self_profile, s->ingest, err);
}

/* ── stop ── */

static void stop(struct server *s)
{
    atomic_store(&s->stopping, true);
    self_profile_stop(s->self_profile);
    if (s->http)
        http_server_stop(s->http, s->config->graceful_shutdown_timeout_ns);
    query_pool_stop(s->queries);
    ingest_free(s->ingest);
    refusals_close(s->refusals);
    store_close(s->store);
    overrides_close(s->overrides);
    self_profile_end(s->self_profile);
}

static void sleep_ns(int64_t ns)
{
    struct timespec ts = {ns / NS_PER_S, ns % NS_PER_S};
    while (ns > 0 && nanosleep(&ts, &ts) != 0 && errno == EINTR)
        ;
}

static void wait_for_signal(const struct server *s, const sigset_t *set)
{
    int sig = 0;
    while (sigwait(set, &sig) != 0)
        ;
    LOG_INFO("=== received SIGINT/SIGTERM ===", "signal=%s delay_ms=%lld",
        sig == SIGINT ? "SIGINT" : "SIGTERM",
        (long long)(s->config->shutdown_delay_ns / NS_PER_MS));
    sleep_ns(s->config->shutdown_delay_ns);
}

/* ── the process ── */

static void print_start(const struct server *s)
{
    const struct config *c = s->config;
    char dir[PATH_BYTES], full[PATH_BYTES] = "";
    snprintf(dir, sizeof dir, "%.*s", STR_ARG(config_data_dir(c)));
    const char *shown = realpath(dir, full) ? full : dir;
    unsigned port = http_server_port(s->http);
    bool all = c->http_address.n == 0 || str_eq(c->http_address, STR("0.0.0.0")) ||
               str_eq(c->http_address, STR("::"));
    bool v6 = !all && str_find_char(c->http_address, ':') != STR_NPOS;
    struct str host = all ? STR("localhost") : c->http_address;
    const char *open = v6 ? "[" : "", *close = v6 ? "]" : "";
    const char *scheme = c->tls_cert_file.n || c->tls_cert.n ? "https" : "http";
    if (c->show_banner)
        fprintf(stderr,
            "everflame " EVERFLAME_VERSION " listens on %s://%s%.*s%s:%u%.*s%s\n"
            "data is kept in %s\n"
            "type next: curl %s://%s%.*s%s:%u%.*s/\n",
            scheme, open, STR_ARG(host), close, port, STR_ARG(c->path_prefix),
            all ? " (all addresses)" : "", shown, scheme, open, STR_ARG(host), close, port,
            STR_ARG(c->path_prefix));
    LOG_INFO("everflame started", "version=" EVERFLAME_VERSION " port=%u data=%s", port,
        LOG_STR(str_from(shown)));
}

static void constant_metrics(struct server *s)
{
    s->start_wall_ns = clock_wall_ns();
    metric_set(M_BUILD_INFO, 1, STR(EVERFLAME_VERSION), STR(""), STR(""), STR("none"));
    metric_set(M_PROCESS_START, (double)s->start_wall_ns / (double)NS_PER_S);
}

/* Connections, and some for files and directories. */
static void warn_about_files(const struct config *c)
{
    enum { FILES_SPARE = 64 };
    struct http_server_config cfg;
    http_server_config_init(&cfg);
    uint64_t connections = c->http_connections_max > 0 ? (uint64_t)c->http_connections_max
                                                       : cfg.connections_max;
    uint64_t files = machine_raise_files();
    if (files < connections + FILES_SPARE)
        LOG_WARN("fewer open files are allowed than connections; raise the hard limit (ulimit -Hn)",
            "files=%llu connections=%llu", (unsigned long long)files,
            (unsigned long long)connections);
}

static int run(struct config *c)
{
    struct error err = {0};
    struct server *s = NEW(struct server);
    struct route_list *routes = NEW(struct route_list);
    sigset_t set;
    s->config = c;
    mutex_init(&s->state_lock, "state", RANK_SERVER);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    constant_metrics(s);
    config_warn(c);
    warn_about_files(c);
    int code = 0;
    if (start(s, routes, &err) == ST_OK) {
        print_start(s);
        wait_for_signal(s, &set);
        stop(s);
        LOG_INFO("everflame stopped", "uptime_s=%lld",
            (long long)((clock_wall_ns() - s->start_wall_ns) / NS_PER_S));
    } else {
        fprintf(stderr, "failed running everflame: %s\n", err.msg);
        stop(s);
        code = 1;
    }
    mutex_done(&s->state_lock);
    arena_done(&s->descriptor_arena);
    mem_free(routes);
    mem_free(s);
    return code;
}

/* True when something was asked for and printed. */
static bool print_info(const struct config *c)
{
    struct buf out;
    buf_init(&out, PAGE_BYTES);
    if (c->version)
        buf_str(&out, STR("everflame, version " EVERFLAME_VERSION " (branch: , revision: )\n"
                          "  compiler:         " __VERSION__ "\n"));
    else if (c->modules)
        buf_str(&out, STR("all *\n\nModules marked with * are included in target All.\n"));
    else if (c->help || c->help_all)
        config_help(c->help_all, &out);
    else if (c->help_docs)
        config_docs(&out);
    bool any = out.n > 0;
    fwrite(out.p, 1, out.n, stdout);
    buf_done(&out);
    return any;
}

int server_main(int argc, char **argv)
{
    struct error err = {0};
    struct config *c = config_new();
    int code = 0;
    enum log_level level = LOG_INFO;
    hash_seed_init();
    mem_keep();
    if (config_load(c, argc, argv, &code, &err) != ST_OK) {
        fprintf(stderr, "%s\n", err.msg);
    } else if (print_info(c)) {
        code = 0;
    } else if (config_validate(c, &err) != ST_OK) {
        fprintf(stderr, "%s\n", err.msg);
        code = CONFIG_EXIT_CONFIG;
    } else {
        (void)log_level_parse(c->log_level, &level);
        log_setup(level, str_eq(c->log_format, STR("json")) ? LOG_JSON : LOG_LOGFMT);
        code = run(c);
    }
    config_free(c);
    compiled_forget();
    return code;
}
