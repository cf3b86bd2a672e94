/* Every setting that does something here, and the aliases. Included by config_table.c only, after
 * it has defined the macros:
 *
 *   W(flag, yaml, type, member, category, default, help)   works
 *   A(flag, yaml, type, member, of, note)                  another name for `of`; note: the warning
 *
 * What other components of Pyroscope have and we only accept is in config_table_accepted.h. */

/* The process */
W("config.file", NULL, STRING, config_file, BASIC, "", "YAML file to read.")
W("config.expand-env", NULL, BOOL, config_expand_env, BASIC, "false",
    "Replace ${VAR} and ${VAR:-default} in the file by environment variables.")
W("target", "target", LIST, target, BASIC, "all",
    "Modules to run. This version runs them all in one process: `all`.")
W("version", NULL, BOOL, version, BASIC, "false", "Print the version and exit.")
W("modules", NULL, BOOL, modules, BASIC, "false", "List the modules and exit.")
W("h", NULL, BOOL, help, HIDDEN, "false", "As -help.")
W("help", NULL, BOOL, help, BASIC, "false", "Print the basic flags and exit.")
W("help-all", NULL, BOOL, help_all, BASIC, "false", "Print all flags and exit.")
W("help-docs", NULL, BOOL, help_docs, HIDDEN, "false", "Print the reference page and exit.")
W("log.level", "server.log_level", STRING, log_level, BASIC, "info", "debug, info, warn or error.")
W("log.format", "server.log_format", STRING, log_format, BASIC, "logfmt", "logfmt or json.")
W("config.show_banner", "show_banner", BOOL, show_banner, ADVANCED, "true",
    "Print at start where the server listens, where the data is and what to try.")
W("shutdown-delay", "shutdown_delay", DURATION, shutdown_delay_ns, ADVANCED, "0s",
    "How long to go on serving after SIGTERM.")
W("auth.multitenancy-enabled", "multitenancy_enabled", BOOL, multitenancy_enabled, BASIC, "false",
    "Take the tenant from the header X-Scope-OrgID; otherwise all is tenant `anonymous`.")

/* HTTP */
W("server.http-listen-address", "server.http_listen_address", STRING, http_address, BASIC, "",
    "Address to listen on. Empty: all of them.")
W("server.http-listen-port", "server.http_listen_port", INT, http_port, BASIC, "4040",
    "Port to listen on. 0: any free one.")
W("server.path-prefix", "server.http_path_prefix", STRING, path_prefix, ADVANCED, "",
    "Prefix of every path, as /profiles.")
W("server.http-conn-limit", "server.http_listen_conn_limit", INT, http_connections_max, ADVANCED,
    "0", "Most connections at once. 0: 16384.")
W("server.http-workers", "server.http_workers", INT, http_workers, ADVANCED, "0",
    "Threads that decode uploads and run handlers. 0: one per processor, at least 2.")
W("server.http-read-timeout", "server.http_server_read_timeout", DURATION, http_read_timeout_ns,
    ADVANCED, "30s", "Longest time for a request to arrive.")
W("server.http-read-header-timeout", "server.http_server_read_header_timeout", DURATION,
    http_header_timeout_ns, ADVANCED, "0s", "The same for its headers. 0: the read timeout.")
W("server.http-write-timeout", "server.http_server_write_timeout", DURATION, http_write_timeout_ns,
    ADVANCED, "30s", "Longest time for an answer to be taken.")
W("server.http-idle-timeout", "server.http_server_idle_timeout", DURATION, http_idle_timeout_ns,
    ADVANCED, "2m0s", "How long an idle connection is kept.")
W("server.graceful-shutdown-timeout", "server.graceful_shutdown_timeout", DURATION,
    graceful_shutdown_timeout_ns, ADVANCED, "30s", "Longest time for requests to end at shutdown.")
W("server.body-budget", "server.body_budget_bytes", BYTES, body_budget_bytes, ADVANCED, "0",
    "Memory for all request bodies in flight. 0: 1/8 of the machine's.")
W("server.http-tls-cert-path", "server.http_tls_config.cert_file", STRING, tls_cert_file, ADVANCED,
    "", "Not built into this version; giving it is an error. Put a proxy in front.")

/* Data */
W("data-dir", "data_dir", STRING, data_dir, BASIC, "",
    "Directory of all data. Empty: storage.filesystem.dir, else pyroscopedb.data_path, "
    "else ./data.")
W("storage.backend", "storage.backend", STRING, storage_backend, BASIC, "filesystem",
    "Where data is kept. This version knows `filesystem`.")
W("storage.filesystem.dir", "storage.filesystem.dir", STRING, filesystem_dir, BASIC, "",
    "Directory of all data when data-dir is not given.")
A(NULL, "storage.filesystem.data_path", STRING, filesystem_dir, "storage.filesystem.dir",
    "not a key of Pyroscope")
W("pyroscopedb.data-path", "pyroscopedb.data_path", STRING, pyroscopedb_dir, ADVANCED, "",
    "Directory of all data when neither data-dir nor storage.filesystem.dir is given.")
W("store.head-bytes", "store.head_bytes", BYTES, head_bytes, ADVANCED, "0",
    "Memory for profiles that are not yet in blocks. 0: 1/4 of the machine's.")

/* Queries */
W("query.memory-budget", "query.memory_budget_bytes", BYTES, query_memory_bytes, ADVANCED, "0",
    "Most memory of one query. 0: 1/4 of the machine's, divided by the concurrency.")
W("query.timeout", "query.timeout", DURATION, query_timeout_ns, ADVANCED, "1m0s",
    "Longest time of one query, waiting included. 0: none.")
W("query.concurrency", "query.concurrency", INT, query_concurrency, ADVANCED, "0",
    "Queries that run at once. 0: one per processor, at least 2.")
W("query.queue-max", "query.queue_max", INT, query_queue_max, ADVANCED, "128",
    "Queries that may wait; further ones get 429.")

/* Others */
W("self-profiling.disable-push", "self_profiling.disable_push", BOOL, self_profiling_disable_push,
    BASIC, "false", "Accepted. This version does not profile itself.")
W("runtime-config.file", "runtime_config.file", LIST, runtime_file, BASIC, "",
    "YAML files with the limits of single tenants, below `overrides:`. Read again when changed.")
W("runtime-config.reload-period", "runtime_config.period", DURATION, runtime_period_ns, ADVANCED,
    "10s", "How often they are read.")

/* Limits of a tenant: uploads */
W("distributor.ingestion-rate-limit-mb", "limits.ingestion_rate_mb", FLOAT,
    limits.ingestion_rate_mb, BASIC, "64", "MiB per second of profiles and labels. 0: no limit.")
W("distributor.ingestion-burst-size-mb", "limits.ingestion_burst_size_mb", FLOAT,
    limits.ingestion_burst_size_mb, BASIC, "64", "MiB that may come at once.")
W("distributor.ingestion-body-limit-mb", "limits.ingestion_body_limit_mb", FLOAT,
    limits.ingestion_body_limit_mb, ADVANCED, "256", "MiB of one request body.")
W("validation.max-profile-size-bytes", "limits.max_profile_size_bytes", INT,
    limits.max_profile_size_bytes, BASIC, "33554432", "Bytes of one uncompressed profile. 0: off.")
W("validation.max-profile-stacktrace-samples", "limits.max_profile_stacktrace_samples", INT,
    limits.max_profile_samples, BASIC, "200000", "Samples of one profile. 0: off.")
W("validation.max-profile-stacktrace-sample-labels", "limits.max_profile_stacktrace_sample_labels",
    INT, limits.max_sample_labels, ADVANCED, "100", "Labels of one sample. 0: off.")
W("validation.max-profile-stacktrace-depth", "limits.max_profile_stacktrace_depth", INT,
    limits.max_stack_depth, ADVANCED, "1000", "Frames of one stack; deeper ones are cut. 0: off.")
W("validation.max-profile-symbol-value-length", "limits.max_profile_symbol_value_length", INT,
    limits.max_string_bytes, ADVANCED, "65535", "Bytes of one symbol; longer ones are cut. 0: off.")
W("validation.max-length-label-name", "limits.max_label_name_length", INT,
    limits.max_label_name_bytes, ADVANCED, "1024", "Bytes of a label name.")
W("validation.max-length-label-value", "limits.max_label_value_length", INT,
    limits.max_label_value_bytes, ADVANCED, "2048", "Bytes of a label value.")
W("validation.max-label-names-per-series", "limits.max_label_names_per_series", INT,
    limits.max_labels_per_series, ADVANCED, "30", "Labels of one series.")
W("validation.max-sessions-per-series", "limits.max_sessions_per_series", INT,
    limits.max_sessions_per_series, ADVANCED, "0", "0: the session label is removed.")
W("validation.disable-label-sanitization", "limits.disable_label_sanitization", BOOL,
    limits.disable_label_sanitization, ADVANCED, "true", "Keep UTF-8 label names as they are.")
W("validation.reject-older-than", "limits.reject_older_than", XDURATION,
    limits.reject_older_than_ns, BASIC, "1h", "Oldest profile that is taken. 0: off.")
W("validation.reject-newer-than", "limits.reject_newer_than", XDURATION,
    limits.reject_newer_than_ns, BASIC, "10m", "Profiles further in the future are refused. 0: off.")

/* Limits of a tenant: queries and storage */
W("querier.max-query-lookback", "limits.max_query_lookback", XDURATION,
    limits.max_query_lookback_ns, BASIC, "0s", "How far back queries reach. 0: the retention.")
W("querier.max-query-length", "limits.max_query_length", XDURATION, limits.max_query_length_ns,
    BASIC, "0s", "Longest time range of a query. 0: off.")
W("querier.max-flamegraph-nodes-default", "limits.max_flamegraph_nodes_default", INT,
    limits.max_nodes_default, ADVANCED, "8192", "Nodes of a flame graph when not asked for.")
W("querier.max-flamegraph-nodes-max", "limits.max_flamegraph_nodes_max", INT, limits.max_nodes_max,
    ADVANCED, "1048576", "Most nodes that may be asked for. 0: off.")
W("querier.max-flamegraph-nodes-on-select-merge-profile",
    "limits.max_flamegraph_nodes_on_select_merge_profile", BOOL,
    limits.max_nodes_on_select_merge_profile, ADVANCED, "false",
    "Whether the two above hold for pprof answers.")
W("retention-period", "limits.retention_period", XDURATION, limits.retention_ns, BASIC, "31d",
    "How long profiles are kept. 0: for ever.")
W("compactor.blocks-retention-period", "limits.compactor_blocks_retention_period", XDURATION,
    limits.compactor_retention_ns, ADVANCED, "0s",
    "Pyroscope 1.x's name of the retention; used when retention_period has its default.")
A(NULL, "compactor.blocks_retention_period", XDURATION, limits.compactor_retention_ns,
    "limits.retention_period", "not a key of Pyroscope")
