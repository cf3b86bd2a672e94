/* Settings: one table (config_table.def) of every flag and YAML key, and the struct they fill.
 *
 * Order: defaults → YAML file → command line. `struct config` owns every string it points to. It is
 * written only while it is loaded; afterwards any thread reads it. */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "ingest/ingest.h"
#include "query/query.h"

enum config_type {
    CONFIG_STRING,
    CONFIG_SECRET, /* a string that is never shown */
    CONFIG_LIST,   /* comma list; a flag may be repeated, YAML may be a sequence */
    CONFIG_BOOL,
    CONFIG_INT,
    CONFIG_BYTES, /* integer, or with KB MB GB KiB MiB GiB */
    CONFIG_FLOAT,
    CONFIG_DURATION,       /* Go: 1h30m, 300ms */
    CONFIG_XDURATION,      /* integers with y w d h m s ms: 30d, 1h30m; 0 */
    CONFIG_RULES,          /* relabelling rules: a sequence of mappings, or its JSON */
    CONFIG_TYPE_RULES,     /* the same, only drop and keep */
    CONFIG_POSITION,       /* first, last, disabled */
    CONFIG_PERIOD,         /* second, minute, … year */
    CONFIG_USAGE_GROUPS,   /* a mapping of names to selectors, or its JSON; as the next two */
    CONFIG_GROUP_SAMPLING, /* of names to probabilities */
    CONFIG_GROUP_QUOTAS,   /* of names to quotas */
    CONFIG_ANY,            /* any YAML, not looked at; only for settings without effect */
};

enum config_category { CONFIG_BASIC, CONFIG_ADVANCED, CONFIG_HIDDEN };

#define CONFIG_NO_MEMBER UINT32_MAX

struct config_setting {
    const char *flag; /* without the dash; NULL: YAML only */
    const char *yaml; /* path joined with dots; NULL: flag only */
    enum config_type type;
    enum config_category category;
    uint32_t offset;      /* in struct config; CONFIG_NO_MEMBER: accepted, no effect here */
    const char *initial;  /* the default as text; of an alias: its own, not applied */
    const char *alias_of; /* NULL, or the YAML path (or flag) it stands for */
    const char *help;
};

extern const struct config_setting config_settings[];
extern const uint32_t config_settings_n;

/* What a tenant may have of its own; units are those of the keys. */
struct config_limits {
    double ingestion_rate_mb, ingestion_burst_size_mb, ingestion_body_limit_mb;
    int64_t max_profile_size_bytes, max_profile_samples, max_sample_labels, max_stack_depth,
        max_string_bytes, max_label_name_bytes, max_label_value_bytes, max_labels_per_series,
        max_sessions_per_series;
    bool disable_label_sanitization;
    int64_t reject_older_than_ns, reject_newer_than_ns;
    int64_t max_active_series, max_active_services;
    bool quota_reached; /* ingestion_limit */
    double quota_mb;
    int64_t quota_period; /* enum ingest_period */
    int64_t quota_reset_s, quota_requests, quota_requests_period_ns;
    const struct relabel *relabel_rules, *sample_type_rules; /* of relabel_compile */
    const struct usage_groups *usage_groups;                 /* of usage_groups_compile; … */
    const struct group_rules *group_quotas, *group_sampling;
    bool keep_stripped, include_stripped;
    int64_t artificial_delay_ns;   /* of answers to uploads */
    int64_t default_rules;         /* enum ingest_default_rules */
    uint64_t max_head_bytes;       /* 0: a quarter of the head */
    int64_t max_query_lookback_ns; /* 0: the retention */
    int64_t max_query_length_ns, max_nodes_default, max_nodes_max;
    bool max_nodes_on_select_merge_profile;
    int64_t retention_ns, compactor_retention_ns;
    uint64_t retention_bytes; /* 0: no bound */
};

struct config {
    struct str config_file, target, log_level, log_format;
    bool config_expand_env, version, modules, help, help_all, help_docs;
    bool multitenancy_enabled, show_banner;
    int64_t shutdown_delay_ns;

    struct str http_address, path_prefix;
    struct str tls_cert_file, tls_key_file, tls_client_ca_file, tls_client_auth;
    struct str tls_cert, tls_key, tls_client_ca, tls_min_version, tls_cipher_suites;
    int64_t http_port, http_connections_max, http_workers;
    int64_t http_read_timeout_ns, http_header_timeout_ns, http_write_timeout_ns,
        http_idle_timeout_ns, graceful_shutdown_timeout_ns;
    uint64_t body_budget_bytes; /* 0: 1/8 of memory */

    struct str data_dir, filesystem_dir, pyroscopedb_dir, storage_backend;
    uint64_t head_bytes;  /* 0: 1/4 of memory */
    uint64_t cache_bytes; /* 0: 1/16 of memory, at most 160 MiB */
    uint64_t retention_bytes;
    int64_t retention_disk_percent;
    bool compaction;
    int64_t max_tenants;

    uint64_t query_memory_bytes; /* 0: 1/4 of memory over the concurrency */
    int64_t query_timeout_ns, query_concurrency, query_queue_max;

    bool self_profiling_disable_push;
    struct str self_profiling_tenant;
    struct str runtime_file;
    int64_t runtime_period_ns;

    struct config_limits limits;

    struct arena arena;
    struct config_mark *marks; /* one per setting */
    struct str rest;           /* the first argument after the flags, empty if none */
};

enum config_source { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_FLAG };

struct config_mark {
    enum config_source source;
    struct str text; /* as given */
};

/* How a process should end when loading fails, by who is to blame. */
enum { CONFIG_EXIT_CONFIG = 1, CONFIG_EXIT_FLAGS = 2 };

struct config *config_new(void); /* all defaults */
void config_free(struct config *c);
/* Command line and file. *ret_exit is set on failure; the error is complete, ready to print. When
 * version, modules or a help flag was given the file is not read. */
enum status config_load(struct config *c, int argc, char **argv, int *ret_exit, struct error *err);
/* What a process needs to start: target, backend, what is not built. */
enum status config_validate(const struct config *c, struct error *err);
/* One line per alias used, per unexpanded ${ and for the settings without effect. */
void config_warn(const struct config *c);

/* Where the data goes: data-dir, else storage.filesystem.dir, else pyroscopedb.data-path. */
struct str config_data_dir(const struct config *c);

/* The YAML text (strict) over c; `name` is for messages: "<name>: yaml: …". */
enum status config_yaml(struct config *c, struct str text, const char *name, struct error *err);
/* Replaces ${VAR}, ${VAR:-default}, ${VAR:=default}, ${VAR-default}; $${ stays ${. Only braces. */
enum status config_expand_env(struct str text, struct buf *out, struct error *err);

void config_limits_ingest(const struct config_limits *l, struct ingest_limits *ret_limits);
void config_limits_query(const struct config_limits *l, struct query_limits *ret_limits);
int64_t config_limits_retention_ns(const struct config_limits *l);

enum config_dump { CONFIG_DUMP_ALL, CONFIG_DUMP_DIFF, CONFIG_DUMP_DEFAULTS };
/* YAML of the settings that work here, and of the others those that were given. */
void config_dump(const struct config *c, enum config_dump what, struct buf *out);
void config_help(bool all, struct buf *out);
/* docs/reference/configuration.md */
void config_docs(struct buf *out);

#endif
