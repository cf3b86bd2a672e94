/* Flags and keys of Pyroscope that are accepted so that its files and command lines start here, and
 * that have no effect. Included by config_table.c only, after it has defined
 *
 *   N(flag, yaml, type, default)
 *
 * Families that several blocks share are macros of their own. */

/* clang-format off */
#define TLS_CLIENT(f, y)                                                                           \
    N(f "tls-enabled", y "tls_enabled", BOOL, "false")                                             \
    N(f "tls-cert-path", y "tls_cert_path", STRING, "")                                            \
    N(f "tls-key-path", y "tls_key_path", STRING, "")                                              \
    N(f "tls-ca-path", y "tls_ca_path", STRING, "")                                                \
    N(f "tls-server-name", y "tls_server_name", STRING, "")                                        \
    N(f "tls-insecure-skip-verify", y "tls_insecure_skip_verify", BOOL, "false")                   \
    N(f "tls-cipher-suites", y "tls_cipher_suites", STRING, "")                                    \
    N(f "tls-min-version", y "tls_min_version", STRING, "")

#define HTTP_CLIENT(f, y, idle, conns, per_host)                                                   \
    N(f "http.idle-conn-timeout", y "idle_conn_timeout", DURATION, idle)                           \
    N(f "http.response-header-timeout", y "response_header_timeout", DURATION, "2m")               \
    N(f "http.insecure-skip-verify", y "insecure_skip_verify", BOOL, "false")                      \
    N(f "tls-handshake-timeout", y "tls_handshake_timeout", DURATION, "10s")                       \
    N(f "expect-continue-timeout", y "expect_continue_timeout", DURATION, "1s")                    \
    N(f "max-idle-connections", y "max_idle_connections", INT, conns)                              \
    N(f "max-idle-connections-per-host", y "max_idle_connections_per_host", INT, per_host)         \
    N(f "max-connections-per-host", y "max_connections_per_host", INT, "0")

#define GRPC_CLIENT(f, y)                                                                          \
    N(f "grpc-max-recv-msg-size", y "max_recv_msg_size", INT, "104857600")                         \
    N(f "grpc-max-send-msg-size", y "max_send_msg_size", INT, "104857600")                         \
    N(f "grpc-compression", y "grpc_compression", STRING, "")                                      \
    N(f "grpc-client-rate-limit", y "rate_limit", FLOAT, "0")                                      \
    N(f "grpc-client-rate-limit-burst", y "rate_limit_burst", INT, "0")                            \
    N(f "backoff-on-ratelimits", y "backoff_on_ratelimits", BOOL, "false")                         \
    N(f "backoff-min-period", y "backoff_config.min_period", DURATION, "100ms")                    \
    N(f "backoff-max-period", y "backoff_config.max_period", DURATION, "10s")                      \
    N(f "backoff-retries", y "backoff_config.max_retries", INT, "10")                              \
    N(f "initial-stream-window-size", y "initial_stream_window_size", BYTES, "65535")              \
    N(f "initial-connection-window-size", y "initial_connection_window_size", BYTES, "65535")      \
    N(f "connect-timeout", y "connect_timeout", DURATION, "5s")                                    \
    N(f "connect-backoff-base-delay", y "connect_backoff_base_delay", DURATION, "1s")              \
    N(f "connect-backoff-max-delay", y "connect_backoff_max_delay", DURATION, "5s")                \
    N(f "cluster-validation.label", y "cluster_validation.label", STRING, "")                      \
    TLS_CLIENT(f, y)

/* f: prefix of consul, etcd and multi; s: of store and prefix */
#define KVSTORE(f, s, y)                                                                           \
    N(s "store", y "store", STRING, "memberlist")                                                  \
    N(s "prefix", y "prefix", STRING, "collectors/")                                               \
    N(f "consul.hostname", y "consul.host", STRING, "localhost:8500")                              \
    N(f "consul.acl-token", y "consul.acl_token", SECRET, "")                                      \
    N(f "consul.client-timeout", y "consul.http_client_timeout", DURATION, "20s")                  \
    N(f "consul.consistent-reads", y "consul.consistent_reads", BOOL, "false")                     \
    N(f "consul.watch-rate-limit", y "consul.watch_rate_limit", FLOAT, "1")                        \
    N(f "consul.watch-burst-size", y "consul.watch_burst_size", INT, "1")                          \
    N(f "consul.cas-retry-delay", y "consul.cas_retry_delay", DURATION, "1s")                      \
    N(f "etcd.endpoints", y "etcd.endpoints", LIST, "")                                            \
    N(f "etcd.dial-timeout", y "etcd.dial_timeout", DURATION, "10s")                               \
    N(f "etcd.max-retries", y "etcd.max_retries", INT, "10")                                       \
    N(f "etcd.username", y "etcd.username", STRING, "")                                            \
    N(f "etcd.password", y "etcd.password", SECRET, "")                                            \
    TLS_CLIENT(f "etcd.", y "etcd.")                                                               \
    N(f "multi.primary", y "multi.primary", STRING, "")                                            \
    N(f "multi.secondary", y "multi.secondary", STRING, "")                                        \
    N(f "multi.mirror-enabled", y "multi.mirror_enabled", BOOL, "false")                           \
    N(f "multi.mirror-timeout", y "multi.mirror_timeout", DURATION, "2s")

#define RING(f, y)                                                                                 \
    N(f "heartbeat-period", y "heartbeat_period", DURATION, "15s")                                 \
    N(f "heartbeat-timeout", y "heartbeat_timeout", DURATION, "1m")                                \
    N(f "instance-id", y "instance_id", STRING, "")                                                \
    N(f "instance-addr", y "instance_addr", STRING, "")                                            \
    N(f "instance-port", y "instance_port", INT, "0")                                              \
    N(f "instance-interface-names", y "instance_interface_names", LIST, "")                        \
    N(f "instance-enable-ipv6", y "instance_enable_ipv6", BOOL, "false")

/* server */
N("server.http-listen-network", "server.http_listen_network", STRING, "tcp")
N("server.grpc-listen-network", "server.grpc_listen_network", STRING, "tcp")
N("server.grpc-listen-port", "server.grpc_listen_port", INT, "9095")
N("server.grpc-listen-address", "server.grpc_listen_address", STRING, "")
N("server.grpc-conn-limit", "server.grpc_listen_conn_limit", INT, "0")
N("server.grpc-max-recv-msg-size-bytes", "server.grpc_server_max_recv_msg_size", INT, "104857600")
N("server.grpc-max-send-msg-size-bytes", "server.grpc_server_max_send_msg_size", INT, "104857600")
N("server.grpc-max-concurrent-streams", "server.grpc_server_max_concurrent_streams", INT, "100")
N("server.grpc-tls-cert-path", "server.grpc_tls_config.cert_file", STRING, "")
N("server.grpc-tls-key-path", "server.grpc_tls_config.key_file", STRING, "")
N("server.grpc-tls-ca-path", "server.grpc_tls_config.client_ca_file", STRING, "")
N("server.grpc-tls-client-auth", "server.grpc_tls_config.client_auth_type", STRING, "")
N(NULL, "server.grpc_tls_config.cert", STRING, "")
N(NULL, "server.grpc_tls_config.key", SECRET, "")
N(NULL, "server.grpc_tls_config.client_ca", STRING, "")
N("server.tls-cipher-suites", "server.tls_cipher_suites", STRING, "")
N("server.tls-min-version", "server.tls_min_version", STRING, "")
N("server.log-request-at-info-level-enabled",
    "server.log_request_at_info_level_enabled", BOOL, "false")
N("server.log-request-headers", "server.log_request_headers", BOOL, "false")
N("server.log-request-headers-exclude-list",
    "server.log_request_exclude_headers_list", STRING, "")
N("server.log-source-ips-enabled", "server.log_source_ips_enabled", BOOL, "false")
N("server.log-source-ips-full", "server.log_source_ips_full", BOOL, "false")
N("server.log-source-ips-header", "server.log_source_ips_header", STRING, "")
N("server.log-source-ips-regex", "server.log_source_ips_regex", STRING, "")
N("server.register-instrumentation", "server.register_instrumentation", BOOL, "true")
N("server.proxy-protocol-enabled", "server.proxy_protocol_enabled", BOOL, "false")
N("server.grpc-collect-max-streams-by-conn",
    "server.grpc_collect_max_streams_by_conn", BOOL, "true")
N("server.report-grpc-codes-in-instrumentation-label-enabled",
    "server.report_grpc_codes_in_instrumentation_label_enabled", BOOL, "false")
N("server.http-log-closed-connections-without-response-enabled",
    "server.http_log_closed_connections_without_response_enabled", BOOL, "false")
N("server.grpc.keepalive.max-connection-idle",
    "server.grpc_server_max_connection_idle", DURATION, "2562047h47m16.854775807s")
N("server.grpc.keepalive.max-connection-age",
    "server.grpc_server_max_connection_age", DURATION, "2562047h47m16.854775807s")
N("server.grpc.keepalive.max-connection-age-grace",
    "server.grpc_server_max_connection_age_grace", DURATION, "2562047h47m16.854775807s")
N("server.grpc.keepalive.time", "server.grpc_server_keepalive_time", DURATION, "2h")
N("server.grpc.keepalive.timeout", "server.grpc_server_keepalive_timeout", DURATION, "20s")
N("server.grpc.keepalive.min-time-between-pings",
    "server.grpc_server_min_time_between_pings", DURATION, "1s")
N("server.grpc.keepalive.ping-without-stream-allowed",
    "server.grpc_server_ping_without_stream_allowed", BOOL, "false")
N("server.grpc.num-workers", "server.grpc_server_num_workers", INT, "0")
N("server.grpc.stats-tracking-enabled", "server.grpc_server_stats_tracking_enabled", BOOL, "true")
N("server.grpc.recv-buffer-pools-enabled",
    "server.grpc_server_recv_buffer_pools_enabled", BOOL, "false")
N("server.grpc.read-buffer-size-bytes", "server.grpc_server_read_buffer_size", INT, "32768")
N("server.grpc.write-buffer-size-bytes", "server.grpc_server_write_buffer_size", INT, "32768")
N("server.trace-request-headers", "server.trace_request_headers", BOOL, "false")
N("server.trace-request-headers-exclude-list",
    "server.trace_request_exclude_headers_list", STRING, "")
N("server.cluster-validation.label", "server.cluster_validation.label", STRING, "")
N("server.cluster-validation.additional-labels",
    "server.cluster_validation.additional_labels", STRING, "")
N("server.cluster-validation.grpc.enabled",
    "server.cluster_validation.grpc.enabled", BOOL, "false")
N("server.cluster-validation.grpc.soft-validation",
    "server.cluster_validation.grpc.soft_validation", BOOL, "false")
N("server.cluster-validation.http.enabled",
    "server.cluster_validation.http.enabled", BOOL, "false")
N("server.cluster-validation.http.soft-validation",
    "server.cluster_validation.http.soft_validation", BOOL, "false")
N("server.cluster-validation.http.excluded-paths",
    "server.cluster_validation.http.excluded_paths", STRING, "")
N("server.cluster-validation.http.excluded-user-agents",
    "server.cluster_validation.http.excluded_user_agents", STRING, "")
N("server.create-new-traces", "server.create_new_traces", BOOL, "false")
N("server.throughput.unit", NULL, STRING, "samples_processed")
N("server.throughput.latency-cutoff", NULL, DURATION, "0s")
N("debug-info.enabled", NULL, BOOL, "true")
N("debug-info.max-upload-size", NULL, INT, "1073741824")
N("debug-info.upload-timeout", NULL, DURATION, "2m")
N("debug-info.upload-stale-period", NULL, DURATION, "5m")
/* storage */
N("storage.prefix", "storage.prefix", STRING, "")
N("storage.storage-prefix", "storage.storage_prefix", STRING, "")
N("storage.s3.endpoint", "storage.s3.endpoint", STRING, "")
N("storage.s3.region", "storage.s3.region", STRING, "")
N("storage.s3.bucket-name", "storage.s3.bucket_name", STRING, "")
N("storage.s3.access-key-id", "storage.s3.access_key_id", STRING, "")
N("storage.s3.secret-access-key", "storage.s3.secret_access_key", SECRET, "")
N("storage.s3.insecure", "storage.s3.insecure", BOOL, "false")
N("storage.s3.force-path-style", "storage.s3.force_path_style", BOOL, "false")
N("storage.s3.bucket-lookup-type", "storage.s3.bucket_lookup_type", STRING, "auto")
N("storage.s3.signature-version", "storage.s3.signature_version", STRING, "v4")
N("storage.s3.native-aws-auth-enabled", "storage.s3.native_aws_auth_enabled", BOOL, "false")
N("storage.s3.sse.type", "storage.s3.sse.type", STRING, "")
N("storage.s3.sse.kms-key-id", "storage.s3.sse.kms_key_id", STRING, "")
N("storage.s3.sse.kms-encryption-context", "storage.s3.sse.kms_encryption_context", STRING, "")
N("storage.gcs.bucket-name", "storage.gcs.bucket_name", STRING, "")
N("storage.gcs.service-account", "storage.gcs.service_account", SECRET, "")
N("storage.azure.az-tenant-id", "storage.azure.az_tenant_id", STRING, "")
N("storage.azure.client-id", "storage.azure.client_id", STRING, "")
N("storage.azure.client-secret", "storage.azure.client_secret", SECRET, "")
N("storage.azure.account-name", "storage.azure.account_name", STRING, "")
N("storage.azure.account-key", "storage.azure.account_key", SECRET, "")
N("storage.azure.connection-string", "storage.azure.connection_string", SECRET, "")
N("storage.azure.container-name", "storage.azure.container_name", STRING, "")
N("storage.azure.endpoint-suffix", "storage.azure.endpoint_suffix", STRING, "")
N("storage.azure.max-retries", "storage.azure.max_retries", INT, "3")
N("storage.azure.user-assigned-id", "storage.azure.user_assigned_id", STRING, "")
N("storage.swift.auth-version", "storage.swift.auth_version", INT, "0")
N("storage.swift.auth-url", "storage.swift.auth_url", STRING, "")
N("storage.swift.username", "storage.swift.username", STRING, "")
N("storage.swift.user-domain-name", "storage.swift.user_domain_name", STRING, "")
N("storage.swift.user-domain-id", "storage.swift.user_domain_id", STRING, "")
N("storage.swift.user-id", "storage.swift.user_id", STRING, "")
N("storage.swift.password", "storage.swift.password", SECRET, "")
N("storage.swift.domain-id", "storage.swift.domain_id", STRING, "")
N("storage.swift.domain-name", "storage.swift.domain_name", STRING, "")
N("storage.swift.project-id", "storage.swift.project_id", STRING, "")
N("storage.swift.project-name", "storage.swift.project_name", STRING, "")
N("storage.swift.project-domain-id", "storage.swift.project_domain_id", STRING, "")
N("storage.swift.project-domain-name", "storage.swift.project_domain_name", STRING, "")
N("storage.swift.region-name", "storage.swift.region_name", STRING, "")
N("storage.swift.container-name", "storage.swift.container_name", STRING, "")
N("storage.swift.max-retries", "storage.swift.max_retries", INT, "3")
N("storage.swift.connect-timeout", "storage.swift.connect_timeout", DURATION, "10s")
N("storage.swift.request-timeout", "storage.swift.request_timeout", DURATION, "5s")
N("storage.cos.bucket", "storage.cos.bucket", STRING, "")
N("storage.cos.region", "storage.cos.region", STRING, "")
N("storage.cos.app-id", "storage.cos.app_id", STRING, "")
N("storage.cos.endpoint", "storage.cos.endpoint", STRING, "")
N("storage.cos.secret-key", "storage.cos.secret_key", SECRET, "")
N("storage.cos.secret-id", "storage.cos.secret_id", SECRET, "")
HTTP_CLIENT("storage.s3.", "storage.s3.http.", "10m", "0", "1000")
HTTP_CLIENT("storage.gcs.", "storage.gcs.http.", "10m", "0", "1000")
HTTP_CLIENT("storage.azure.", "storage.azure.http.", "10m", "0", "1000")
HTTP_CLIENT("storage.cos.", "storage.cos.http.", "1m30s", "100", "100")
/* pyroscopedb */
N("pyroscopedb.max-block-duration", "pyroscopedb.max_block_duration", DURATION, "1h")
N("pyroscopedb.row-group-target-size", "pyroscopedb.row_group_target_size", INT, "1342177280")
N("pyroscopedb.symbols-partition-label", "pyroscopedb.symbols_partition_label", STRING, "")
N("pyroscopedb.retention-policy-min-free-disk-gb", "pyroscopedb.min_free_disk_gb", INT, "10")
N("pyroscopedb.retention-policy-min-disk-available-percentage",
    "pyroscopedb.min_disk_available_percentage", FLOAT, "0.05")
N("pyroscopedb.retention-policy-enforcement-interval",
    "pyroscopedb.enforcement_interval", DURATION, "5m")
N("pyroscopedb.retention-policy-disable", "pyroscopedb.disable_enforcement", BOOL, "false")
/* small blocks */
N("self-profiling.mutex-profile-fraction", "self_profiling.mutex_profile_fraction", INT, "5")
N("self-profiling.block-profile-rate", "self_profiling.block_profile_rate", INT, "5")
N("self-profiling.use-k6-middleware", "self_profiling.use_k6_middleware", BOOL, "false")
N("self-profiling.tenant-id", "self_profiling.tenant_id", STRING, "")
N("usage-stats.enabled", "analytics.reporting_enabled", BOOL, "true")
N("tracing.enabled", "tracing.enabled", BOOL, "true")
N("tracing.profiling-enabled", "tracing.profiling_enabled", BOOL, "false")
N("runtime-config.http-client-timeout", "runtime_config.http_client_timeout", DURATION, "30s")
N("runtime-config.http-client-disable-keep-alives",
    "runtime_config.http_client_disable_keep_alives", BOOL, "true")
N("runtime-config.http-client-cluster-validation.label",
    "runtime_config.http_client_cluster_validation.label", STRING, "")
N("tenant-settings.recording-rules.enabled",
    "tenant_settings.recording_rules.enabled", BOOL, "false")
N("admin-server.mode", "admin_server.mode", STRING, "disabled")
N("admin-server.http-listen-address", "admin_server.http_listen_address", STRING, "localhost")
N("admin-server.http-listen-port", "admin_server.http_listen_port", INT, "4042")
N("embedded-grafana.data-path",
    "embedded_grafana.data_path", STRING, "./data/__embedded_grafana/")
N("embedded-grafana.listen-port", "embedded_grafana.listen_port", INT, "4041")
N("embedded-grafana.pyroscope-url",
    "embedded_grafana.pyroscope_url", STRING, "http://localhost:4040")
N("architecture.storage", "architecture_storage", STRING, "v1-v2-dual")
N("api.base-url", "api.base-url", STRING, "")
/* memberlist */
N("memberlist.join", "memberlist.join_members", LIST, "")
N("memberlist.bind-addr", "memberlist.bind_addr", LIST, "")
N("memberlist.bind-port", "memberlist.bind_port", INT, "7946")
N("memberlist.advertise-addr", "memberlist.advertise_addr", STRING, "")
N("memberlist.advertise-port", "memberlist.advertise_port", INT, "7946")
N("memberlist.cluster-label", "memberlist.cluster_label", STRING, "")
N("memberlist.abort-if-join-fails", "memberlist.abort_if_cluster_join_fails", BOOL, "false")
N("memberlist.nodename", "memberlist.node_name", STRING, "")
N("memberlist.randomize-node-name", "memberlist.randomize_node_name", BOOL, "true")
N("memberlist.stream-timeout", "memberlist.stream_timeout", DURATION, "2s")
N("memberlist.retransmit-factor", "memberlist.retransmit_factor", INT, "4")
N("memberlist.pullpush-interval", "memberlist.pull_push_interval", DURATION, "30s")
N("memberlist.gossip-interval", "memberlist.gossip_interval", DURATION, "200ms")
N("memberlist.gossip-nodes", "memberlist.gossip_nodes", INT, "3")
N("memberlist.gossip-to-dead-nodes-time", "memberlist.gossip_to_dead_nodes_time", DURATION, "30s")
N("memberlist.dead-node-reclaim-time", "memberlist.dead_node_reclaim_time", DURATION, "0s")
N("memberlist.compression-enabled", "memberlist.compression_enabled", BOOL, "true")
N("memberlist.notify-interval", "memberlist.notify_interval", DURATION, "0s")
N("memberlist.received-messages-queue-size",
    "memberlist.received_messages_queue_size", INT, "1024")
N("memberlist.processed-messages-queue-size",
    "memberlist.processed_messages_queue_size", INT, "1024")
N("memberlist.compression-algorithm", "memberlist.compression_algorithm", STRING, "lzw")
N("memberlist.cluster-label-verification-disabled",
    "memberlist.cluster_label_verification_disabled", BOOL, "false")
N("memberlist.min-join-backoff", "memberlist.min_join_backoff", DURATION, "1s")
N("memberlist.max-join-backoff", "memberlist.max_join_backoff", DURATION, "1m")
N("memberlist.max-join-retries", "memberlist.max_join_retries", INT, "10")
N("memberlist.abort-if-fast-join-fails",
    "memberlist.abort_if_cluster_fast_join_fails", BOOL, "false")
N("memberlist.abort-if-fast-join-fails-min-nodes",
    "memberlist.abort_if_cluster_fast_join_fails_min_nodes", INT, "1")
N("memberlist.rejoin-interval", "memberlist.rejoin_interval", DURATION, "0s")
N("memberlist.rejoin-seed-nodes", "memberlist.rejoin_seed_nodes", STRING, "")
N("memberlist.left-ingesters-timeout", "memberlist.left_ingesters_timeout", DURATION, "5m")
N("memberlist.obsolete-entries-timeout", "memberlist.obsolete_entries_timeout", DURATION, "30s")
N("memberlist.leave-timeout", "memberlist.leave_timeout", DURATION, "20s")
N("memberlist.broadcast-timeout-for-local-updates-on-shutdown",
    "memberlist.broadcast_timeout_for_local_updates_on_shutdown", DURATION, "10s")
N("memberlist.message-history-buffer-bytes", "memberlist.message_history_buffer_bytes", INT, "0")
N("memberlist.watch-prefix-buffer-size", "memberlist.watch_prefix_buffer_size", INT, "128")
N("memberlist.packet-dial-timeout", "memberlist.packet_dial_timeout", DURATION, "2s")
N("memberlist.packet-write-timeout", "memberlist.packet_write_timeout", DURATION, "5s")
N("memberlist.max-concurrent-writes", "memberlist.max_concurrent_writes", INT, "3")
N("memberlist.acquire-writer-timeout", "memberlist.acquire_writer_timeout", DURATION, "250ms")
N("memberlist.zone-aware-routing.enabled", "memberlist.zone_aware_routing.enabled", BOOL, "false")
N("memberlist.zone-aware-routing.instance-availability-zone",
    "memberlist.zone_aware_routing.instance_availability_zone", STRING, "")
N("memberlist.zone-aware-routing.role", "memberlist.zone_aware_routing.role", STRING, "member")
N("memberlist.propagation-delay-tracker.enabled",
    "memberlist.propagation_delay_tracker.enabled", BOOL, "false")
N("memberlist.propagation-delay-tracker.beacon-interval",
    "memberlist.propagation_delay_tracker.beacon_interval", DURATION, "1m")
N("memberlist.propagation-delay-tracker.beacon-lifetime",
    "memberlist.propagation_delay_tracker.beacon_lifetime", DURATION, "10m")
N("memberlist.propagation-delay-tracker.log-beacons-latency-longer-than",
    "memberlist.propagation_delay_tracker.log_beacons_latency_longer_than", DURATION, "0s")
TLS_CLIENT("memberlist.", "memberlist.")
/* rings and clients of other components */
KVSTORE("distributor.ring.", "distributor.ring.", "distributor.ring.kvstore.")
RING("distributor.ring.", "distributor.ring.")
KVSTORE("", "ring.", "ingester.lifecycler.ring.kvstore.")
KVSTORE("segment-writer.", "segment-writer.", "segment_writer.lifecycler.ring.kvstore.")
KVSTORE("store-gateway.sharding-ring.",
    "store-gateway.sharding-ring.", "store_gateway.sharding_ring.kvstore.")
RING("store-gateway.sharding-ring.", "store_gateway.sharding_ring.")
KVSTORE("compactor.ring.", "compactor.ring.", "compactor.sharding_ring.kvstore.")
RING("compactor.ring.", "compactor.sharding_ring.")
KVSTORE("overrides-exporter.ring.",
    "overrides-exporter.ring.", "overrides_exporter.ring.kvstore.")
RING("overrides-exporter.ring.", "overrides_exporter.ring.")
N("query-scheduler.ring.store", NULL, STRING, "")
N("query-scheduler.ring.prefix", NULL, STRING, "")
N("query-scheduler.ring.heartbeat-period", NULL, STRING, "")
N("query-scheduler.ring.heartbeat-timeout", NULL, STRING, "")
N("query-scheduler.ring.instance-id", NULL, STRING, "")
N("query-scheduler.ring.instance-addr", NULL, STRING, "")
N("query-scheduler.ring.instance-port", NULL, STRING, "")
N("query-scheduler.ring.instance-interface-names", NULL, STRING, "")
N("query-scheduler.ring.instance-enable-ipv6", NULL, STRING, "")
N("query-scheduler.service-discovery-mode", NULL, STRING, "ring")
GRPC_CLIENT("segment-writer.grpc-client-config.", "segment_writer.grpc_client_config.")
GRPC_CLIENT("metastore.grpc-client-config.", "metastore.grpc_client_config.")
GRPC_CLIENT("query-backend.grpc-client-config.", "query_backend.grpc_client_config.")
GRPC_CLIENT("query-frontend.grpc-client-config.", "frontend.grpc_client_config.")
GRPC_CLIENT("query-scheduler.grpc-client-config.", "query_scheduler.grpc_client_config.")
GRPC_CLIENT("querier.frontend-client.", "frontend_worker.grpc_client_config.")
/* distributor */
N("distributor.push.timeout", "distributor.pushtimeout", DURATION, "5s")
N("distributor.client-cleanup-period",
    "distributor.pool_config.client_cleanup_period", DURATION, "15s")
N("distributor.health-check-ingesters",
    "distributor.pool_config.health_check_ingesters", BOOL, "true")
N("distributor.health-check-timeout", "distributor.pool_config.remote_timeout", DURATION, "5s")
/* ingester lifecycler */
N("ingester.num-tokens", "ingester.lifecycler.num_tokens", INT, "128")
N("ingester.heartbeat-period", "ingester.lifecycler.heartbeat_period", DURATION, "5s")
N("ingester.heartbeat-timeout", "ingester.lifecycler.heartbeat_timeout", DURATION, "1m")
N("ingester.observe-period", "ingester.lifecycler.observe_period", DURATION, "0s")
N("ingester.join-after", "ingester.lifecycler.join_after", DURATION, "0s")
N("ingester.min-ready-duration", "ingester.lifecycler.min_ready_duration", DURATION, "15s")
N("ingester.final-sleep", "ingester.lifecycler.final_sleep", DURATION, "0s")
N("ingester.tokens-file-path", "ingester.lifecycler.tokens_file_path", STRING, "")
N("ingester.availability-zone", "ingester.lifecycler.availability_zone", STRING, "")
N("ingester.unregister-on-shutdown", "ingester.lifecycler.unregister_on_shutdown", BOOL, "true")
N("ingester.readiness-check-ring-health",
    "ingester.lifecycler.readiness_check_ring_health", BOOL, "true")
N("ingester.lifecycler.addr", "ingester.lifecycler.address", STRING, "")
N("ingester.lifecycler.port", "ingester.lifecycler.port", INT, "0")
N("ingester.lifecycler.ID", "ingester.lifecycler.id", STRING, "")
N("ingester.lifecycler.interface", "ingester.lifecycler.interface_names", LIST, "")
N("ingester.enable-inet6", "ingester.lifecycler.enable_inet6", BOOL, "false")
/* ingester ring */
N("distributor.replication-factor", "ingester.lifecycler.ring.replication_factor", INT, "1")
N("distributor.zone-awareness-enabled",
    "ingester.lifecycler.ring.zone_awareness_enabled", BOOL, "false")
N("distributor.excluded-zones", "ingester.lifecycler.ring.excluded_zones", STRING, "")
N("ring.heartbeat-timeout", "ingester.lifecycler.ring.heartbeat_timeout", DURATION, "1m")
/* segment_writer lifecycler */
N("segment-writer.num-tokens", "segment_writer.lifecycler.num_tokens", INT, "4")
N("segment-writer.heartbeat-period", "segment_writer.lifecycler.heartbeat_period", DURATION, "5s")
N("segment-writer.heartbeat-timeout",
    "segment_writer.lifecycler.heartbeat_timeout", DURATION, "1m")
N("segment-writer.observe-period", "segment_writer.lifecycler.observe_period", DURATION, "0s")
N("segment-writer.join-after", "segment_writer.lifecycler.join_after", DURATION, "0s")
N("segment-writer.min-ready-duration",
    "segment_writer.lifecycler.min_ready_duration", DURATION, "30s")
N("segment-writer.final-sleep", "segment_writer.lifecycler.final_sleep", DURATION, "0s")
N("segment-writer.tokens-file-path", "segment_writer.lifecycler.tokens_file_path", STRING, "")
N("segment-writer.availability-zone", "segment_writer.lifecycler.availability_zone", STRING, "")
N("segment-writer.unregister-on-shutdown",
    "segment_writer.lifecycler.unregister_on_shutdown", BOOL, "false")
N("segment-writer.readiness-check-ring-health",
    "segment_writer.lifecycler.readiness_check_ring_health", BOOL, "true")
N("segment-writer.lifecycler.addr", "segment_writer.lifecycler.address", STRING, "")
N("segment-writer.lifecycler.port", "segment_writer.lifecycler.port", INT, "0")
N("segment-writer.lifecycler.ID", "segment_writer.lifecycler.id", STRING, "")
N("segment-writer.lifecycler.interface", "segment_writer.lifecycler.interface_names", LIST, "")
N("segment-writer.enable-inet6", "segment_writer.lifecycler.enable_inet6", BOOL, "false")
/* segment writer */
N("segment-writer.distributor.replication-factor",
    "segment_writer.lifecycler.ring.replication_factor", INT, "3")
N("segment-writer.distributor.zone-awareness-enabled",
    "segment_writer.lifecycler.ring.zone_awareness_enabled", BOOL, "false")
N("segment-writer.distributor.excluded-zones",
    "segment_writer.lifecycler.ring.excluded_zones", STRING, "")
N("segment-writer.ring.heartbeat-timeout",
    "segment_writer.lifecycler.ring.heartbeat_timeout", DURATION, "1m")
N("segment-writer.segment-duration", "segment_writer.segment_duration", DURATION, "500ms")
N("segment-writer.flush-concurrency", "segment_writer.flush_concurrency", INT, "0")
N("segment-writer.upload-timeout", "segment_writer.upload-timeout", DURATION, "2s")
N("segment-writer.upload-retry-max-retries", "segment_writer.upload-retry_max_retries", INT, "3")
N("segment-writer.upload-retry-min-period",
    "segment_writer.upload-retry_min_period", DURATION, "50ms")
N("segment-writer.upload-retry-max-period",
    "segment_writer.upload-retry_max_period", DURATION, "500ms")
N("segment-writer.upload-hedge-upload-after",
    "segment_writer.upload-hedge_upload_after", DURATION, "500ms")
N("segment-writer.upload-hedge-rate-max", "segment_writer.upload-hedge_rate_max", FLOAT, "2")
N("segment-writer.upload-hedge-rate-burst", "segment_writer.upload-hedge_rate_burst", INT, "10")
N("segment-writer.metadata-dlq-enabled", "segment_writer.metadata_dlq_enabled", BOOL, "true")
N("segment-writer.metadata-update-timeout",
    "segment_writer.metadata_update_timeout", DURATION, "2s")
N("segment-writer.bucket-health-check-enabled",
    "segment_writer.bucket_health_check_enabled", BOOL, "true")
N("segment-writer.bucket-health-check-timeout",
    "segment_writer.bucket_health_check_timeout", DURATION, "10s")
/* metastore */
N("metastore.address", "metastore.address", STRING, "localhost:9095")
N("metastore.min-ready-duration", "metastore.min_ready_duration", DURATION, "15s")
N("metastore.data-dir", "metastore.data_dir", STRING, "./data/v2/metastore/data")
N("metastore.snapshot-compression", "metastore.snapshot_compression", STRING, "zstd")
N("metastore.snapshot-rate-limit", "metastore.snapshot_rate_limit", INT, "15")
N("metastore.snapshot-compact-on-restore", "metastore.snapshot_compact_on_restore", BOOL, "false")
N("metastore.raft.dir", "metastore.raft.dir", STRING, "./data/v2/metastore/raft")
N("metastore.raft.bootstrap-peers", "metastore.raft.bootstrap_peers", LIST, "")
N("metastore.raft.bootstrap-expect-peers", "metastore.raft.bootstrap_expect_peers", INT, "1")
N("metastore.raft.auto-join", "metastore.raft.auto_join", BOOL, "false")
N("metastore.raft.server-id", "metastore.raft.server_id", STRING, "localhost:9099")
N("metastore.raft.bind-address", "metastore.raft.bind_address", STRING, "localhost:9099")
N("metastore.raft.advertise-address",
    "metastore.raft.advertise_address", STRING, "localhost:9099")
N("metastore.raft.snapshots-dir", "metastore.raft.snapshots_dir", STRING, "")
N("metastore.raft.snapshots-import-dir", "metastore.raft.snapshots_import_dir", STRING, "")
N("metastore.raft.apply-timeout", "metastore.raft.apply_timeout", DURATION, "5s")
N("metastore.raft.log-index-check-interval",
    "metastore.raft.log_index_check_interval", DURATION, "14ms")
N("metastore.raft.read-index-max-distance",
    "metastore.raft.read_index_max_distance", INT, "10240")
N("metastore.raft.wal-cache-entries", "metastore.raft.wal_cache_entries", INT, "512")
N("metastore.raft.trailing-logs", "metastore.raft.trailing_logs", INT, "18432")
N("metastore.raft.snapshots-retain", "metastore.raft.snapshots_retain", INT, "3")
N("metastore.raft.snapshot-interval", "metastore.raft.snapshot_interval", DURATION, "3m")
N("metastore.raft.snapshot-threshold", "metastore.raft.snapshot_threshold", INT, "8192")
N("metastore.raft.transport-conn-pool-size", "metastore.raft.transport_conn_pool_size", INT, "10")
N("metastore.raft.transport-timeout", "metastore.raft.transport_timeout", DURATION, "10s")
N("metastore.raft.log-store-timeout", "metastore.raft.log_store_timeout", DURATION, "10s")
N("metastore.index.shard-cache-size", "metastore.index.shard_cache_size", INT, "2000")
N("metastore.index.block-write-cache-size",
    "metastore.index.block_write_cache_size", INT, "10000")
N("metastore.index.block-read-cache-size", "metastore.index.block_read_cache_size", INT, "100000")
N("metastore.index.cleanup-max-partitions", "metastore.index.cleanup_max_partitions", INT, "32")
N("metastore.index.cleanup-grace-period", "metastore.index.cleanup_grace_period", DURATION, "6h")
N("metastore.index.cleanup-interval", "metastore.index.cleanup_interval", DURATION, "15m")
N("metastore.index.dlq-recovery-check-interval",
    "metastore.index.dlq_recovery_check_interval", DURATION, "15s")
N("metastore.compaction-max-failures", "metastore.compaction_max_failures", INT, "3")
N("metastore.compaction-job-lease-duration",
    "metastore.compaction_job_lease_duration", DURATION, "15s")
N("metastore.compaction-max-job-queue-size",
    "metastore.compaction_max_job_queue_size", INT, "10000")
N(NULL, "metastore.levels", ANY, "")
N(NULL, "metastore.cleanupbatchsize", INT, "2")
N(NULL, "metastore.cleanupdelay", DURATION, "30m")
N(NULL, "metastore.cleanupjobminlevel", INT, "0")
N(NULL, "metastore.cleanupjobmaxlevel", INT, "1")
/* compaction worker */
N("compaction-worker.job-concurrency", "compaction_worker.job_capacity", INT, "0")
N("compaction-worker.job-poll-interval", "compaction_worker.job_poll_interval", DURATION, "5s")
N("compaction-worker.small-object-size-bytes",
    "compaction_worker.small_object_size_bytes", INT, "8388608")
N("compaction-worker.temp-dir", "compaction_worker.temp_dir", STRING, "")
N("compaction-worker.request-timeout", "compaction_worker.request_timeout", DURATION, "5s")
N("compaction-worker.cleanup-max-duration",
    "compaction_worker.cleanup_max_duration", DURATION, "15s")
N("compaction-worker.metadata-source", "compaction_worker.metadata_source", STRING, "metastore")
N("compaction-worker.metadata-fetch-timeout",
    "compaction_worker.metadata_fetch_timeout", DURATION, "30s")
N("compaction-worker.metrics-exporter.enabled",
    "compaction_worker.metrics_exporter.enabled", BOOL, "false")
N("compaction-worker.metrics-exporter.rules-source.client-address",
    "compaction_worker.metrics_exporter.rules_source.client_address", STRING, "")
N("compaction-worker.metrics-exporter.remote-write-address",
    "compaction_worker.metrics_exporter.remote_write_address", STRING, "")
/* query path */
N("query-backend.address", "query_backend.address", STRING, "localhost:9095")
N("query-backend.client-timeout", "query_backend.client_timeout", DURATION, "30s")
N("query-frontend.scheduler-worker-concurrency",
    "frontend.scheduler_worker_concurrency", INT, "5")
N("query-frontend.async-queries-enabled", "frontend.async_queries_enabled", BOOL, "false")
N("query-frontend.instance-interface-names", "frontend.instance_interface_names", LIST, "")
N("query-frontend.instance-addr", "frontend.instance_addr", STRING, "")
N("query-frontend.instance-enable-ipv6", "frontend.instance_enable_ipv6", BOOL, "false")
N("query-frontend.instance-port", "frontend.instance_port", INT, "0")
N("querier.id", "frontend_worker.id", STRING, "")
N("querier.max-concurrent", "frontend_worker.max_concurrent", INT, "4")
N("querier.client-cleanup-period", "querier.pool_config.client_cleanup_period", DURATION, "15s")
N("querier.health-check-ingesters", "querier.pool_config.health_check_ingesters", BOOL, "true")
N("querier.health-check-timeout", "querier.pool_config.remote_timeout", DURATION, "5s")
N("querier.query-store-after", "querier.query_store_after", DURATION, "4h")
N("query-scheduler.max-outstanding-requests-per-tenant",
    "query_scheduler.max_outstanding_requests_per_tenant", INT, "100")
N("query-scheduler.querier-forget-delay", "query_scheduler.querier_forget_delay", DURATION, "0s")
N("query-scheduler.max-used-instances", "query_scheduler.max_used_instances", INT, "0")
/* store gateway */
N("store-gateway.sharding-ring.replication-factor",
    "store_gateway.sharding_ring.replication_factor", INT, "1")
N("store-gateway.sharding-ring.tokens-file-path",
    "store_gateway.sharding_ring.tokens_file_path", STRING, "")
N("store-gateway.sharding-ring.zone-awareness-enabled",
    "store_gateway.sharding_ring.zone_awareness_enabled", BOOL, "false")
N("store-gateway.sharding-ring.wait-stability-min-duration",
    "store_gateway.sharding_ring.wait_stability_min_duration", DURATION, "0s")
N("store-gateway.sharding-ring.wait-stability-max-duration",
    "store_gateway.sharding_ring.wait_stability_max_duration", DURATION, "5m")
N("store-gateway.sharding-ring.instance-availability-zone",
    "store_gateway.sharding_ring.instance_availability_zone", STRING, "")
N("store-gateway.sharding-ring.unregister-on-shutdown",
    "store_gateway.sharding_ring.unregister_on_shutdown", BOOL, "true")
N("blocks-storage.bucket-store.sync-dir",
    "store_gateway.bucket_store.sync_dir", STRING, "./data/pyroscope-sync/")
N("blocks-storage.bucket-store.sync-interval",
    "store_gateway.bucket_store.sync_interval", DURATION, "15m")
N("blocks-storage.bucket-store.tenant-sync-concurrency",
    "store_gateway.bucket_store.tenant_sync_concurrency", INT, "10")
N("blocks-storage.bucket-store.ignore-blocks-within",
    "store_gateway.bucket_store.ignore_blocks_within", DURATION, "3h")
N("blocks-storage.bucket-store.meta-sync-concurrency",
    "store_gateway.bucket_store.meta_sync_concurrency", INT, "20")
N("blocks-storage.bucket-store.ignore-deletion-marks-delay",
    "store_gateway.bucket_store.ignore_deletion_mark_delay", DURATION, "30m")
/* compactor */
N("compactor.block-ranges", "compactor.block_ranges", LIST, "1h,2h,8h")
N("compactor.block-sync-concurrency", "compactor.block_sync_concurrency", INT, "8")
N("compactor.meta-sync-concurrency", "compactor.meta_sync_concurrency", INT, "20")
N("compactor.data-dir", "compactor.data_dir", STRING, "./data-compactor")
N("compactor.compaction-interval", "compactor.compaction_interval", DURATION, "30m")
N("compactor.compaction-retries", "compactor.compaction_retries", INT, "3")
N("compactor.compaction-concurrency", "compactor.compaction_concurrency", INT, "1")
N("compactor.first-level-compaction-wait-period",
    "compactor.first_level_compaction_wait_period", DURATION, "25m")
N("compactor.cleanup-interval", "compactor.cleanup_interval", DURATION, "15m")
N("compactor.cleanup-concurrency", "compactor.cleanup_concurrency", INT, "20")
N("compactor.deletion-delay", "compactor.deletion_delay", DURATION, "12h")
N(NULL, "compactor.tenant_cleanup_delay", DURATION, "0s")
N("compactor.max-compaction-time", "compactor.max_compaction_time", DURATION, "1h")
N("compactor.shutdown-timeout", "compactor.shutdown_timeout", DURATION, "0s")
N("compactor.no-blocks-file-cleanup-enabled",
    "compactor.no_blocks_file_cleanup_enabled", BOOL, "false")
N("compactor.downsampler-enabled", "compactor.downsampler_enabled", BOOL, "false")
N("compactor.max-opening-blocks-concurrency",
    "compactor.max_opening_blocks_concurrency", INT, "16")
N("compactor.enabled-tenants", "compactor.enabled_tenants", LIST, "")
N("compactor.disabled-tenants", "compactor.disabled_tenants", LIST, "")
N("compactor.compaction-jobs-order",
    "compactor.compaction_jobs_order", STRING, "smallest-range-oldest-blocks-first")
N("compactor.compaction-split-by", "compactor.compaction_split_by", STRING, "fingerprint")
N("compactor.ring.wait-stability-min-duration",
    "compactor.sharding_ring.wait_stability_min_duration", DURATION, "0s")
N("compactor.ring.wait-stability-max-duration",
    "compactor.sharding_ring.wait_stability_max_duration", DURATION, "5m")
N("compactor.ring.wait-active-instance-timeout",
    "compactor.sharding_ring.wait_active_instance_timeout", DURATION, "10m")
/* others */
N("overrides-exporter.ring.wait-stability-min-duration",
    "overrides_exporter.ring.wait_stability_min_duration", DURATION, "0s")
N("overrides-exporter.ring.wait-stability-max-duration",
    "overrides_exporter.ring.wait_stability_max_duration", DURATION, "5m")
N("adaptive-placement.placement-rules-update-interval",
    "adaptive_placement.placement_rules_update_interval", DURATION, "15s")
N("adaptive-placement.placement-rules-retention-period",
    "adaptive_placement.placement_rules_retention_period", DURATION, "15m")
N("adaptive-placement.stats-confidence-period",
    "adaptive_placement.stats_confidence_period", DURATION, "0s")
N("adaptive-placement.stats-aggregation-window",
    "adaptive_placement.stats_aggregation_window", DURATION, "3m")
N("adaptive-placement.stats-retention-period",
    "adaptive_placement.stats_retention_period", DURATION, "15m")
N("adaptive-placement.export-shard-limit-metrics",
    "adaptive_placement.export_shard_limit_metrics", BOOL, "true")
N("adaptive-placement.export-shard-usage-metrics",
    "adaptive_placement.export_shard_usage_metrics", BOOL, "false")
N("adaptive-placement.export-shard-usage-breakdown-metrics",
    "adaptive_placement.export_shard_usage_breakdown_metrics", BOOL, "false")
N("symbolizer.debuginfod-url", "symbolizer.debuginfod_url", STRING, "")
N("symbolizer.max-debuginfod-concurrency", "symbolizer.max_debuginfod_concurrency", INT, "10")
N("symbolizer.resolve-timeout", "symbolizer.resolve_timeout", DURATION, "20s")
/* limits */
N(NULL, "limits.ingestion_limit", ANY, "")
N(NULL, "limits.distributor_sampling", ANY, "")
N("distributor.sampling.keep-stripped-profiles", "limits.keep_stripped_profiles", BOOL, "false")
N("query-backend.include-stripped-profiles", "limits.include_stripped_profiles", BOOL, "false")
N(NULL, "limits.distributor_usage_groups", ANY, "")
N("validation.enforce-labels-order", "limits.enforce_labels_order", BOOL, "false")
N("distributor.push.max-concurrency", "limits.push_max_concurrency", INT, "256")
N("distributor.aggregation-window", "limits.distributor_aggregation_window", XDURATION, "0s")
N("distributor.aggregation-period", "limits.distributor_aggregation_period", XDURATION, "0s")
N("distributor.ingestion-relabeling-rules", "limits.ingestion_relabeling_rules", ANY, "")
N("distributor.ingestion-relabeling-default-rules-position",
    "limits.ingestion_relabeling_default_rules_position", STRING, "first")
N("distributor.sample-type-relabeling-rules", "limits.sample_type_relabeling_rules", ANY, "")
N("distributor.ingestion-tenant-shard-size", "limits.ingestion_tenant_shard_size", INT, "0")
N("distributor.ingestion-artificial-delay", "limits.ingestion_artificial_delay", XDURATION, "0s")
N("ingester.max-local-series-per-tenant", "limits.max_local_series_per_tenant", INT, "0")
N("ingester.max-global-series-per-tenant", "limits.max_global_series_per_tenant", INT, "5000")
N("querier.max-query-parallelism", "limits.max_query_parallelism", INT, "0")
N("querier.split-queries-by-interval", "limits.split_queries_by_interval", XDURATION, "0s")
N("querier.sanitize-on-merge", "limits.query_sanitize_on_merge", BOOL, "true")
N("querier.query-analysis-enabled", "limits.query_analysis_enabled", BOOL, "true")
N("querier.query-analysis-series-enabled", "limits.query_analysis_series_enabled", BOOL, "false")
N("query-frontend.max-async-query-concurrency", "limits.max_async_query_concurrency", INT, "5")
N("store-gateway.tenant-shard-size", "limits.store_gateway_tenant_shard_size", INT, "0")
N("compactor.split-and-merge-shards", "limits.compactor_split_and_merge_shards", INT, "0")
N("compactor.split-and-merge-stage-size", "limits.compactor_split_and_merge_stage_size", INT, "0")
N("compactor.split-groups", "limits.compactor_split_groups", INT, "1")
N("compactor.compactor-tenant-shard-size", "limits.compactor_tenant_shard_size", INT, "0")
N("compactor.partial-block-deletion-delay",
    "limits.compactor_partial_block_deletion_delay", XDURATION, "1d")
N("compactor.compactor-downsampler-enabled", "limits.compactor_downsampler_enabled", BOOL, "true")
N(NULL, "limits.s3_sse_type", STRING, "")
N(NULL, "limits.s3_sse_kms_key_id", STRING, "")
N(NULL, "limits.s3_sse_kms_encryption_context", STRING, "")
N("write-path", "limits.write_path", STRING, "segment-writer")
N("write-path.ingester-weight", "limits.write_path_ingester_weight", FLOAT, "1")
N("write-path.segment-writer-weight", "limits.write_path_segment_writer_weight", FLOAT, "0")
N("write-path.segment-writer-timeout", "limits.write_path_segment_writer_timeout", DURATION, "5s")
N("write-path.compression", "limits.write_path_compression", STRING, "none")
N("async-ingest", "limits.async_ingest", BOOL, "false")
N("enable-query-backend", "limits.enable_query_backend", BOOL, "true")
N("enable-query-backend-from", "limits.enable_query_backend_from", STRING, "auto")
N("querier.query-tree-enabled", "limits.query_tree_enabled", BOOL, "false")
N("adaptive-placement.tenant-shards", "limits.adaptive_placement_tenant_shards", INT, "0")
N("adaptive-placement.default-dataset-shards",
    "limits.adaptive_placement_default_dataset_shards", INT, "1")
N("adaptive-placement.min-dataset-shards",
    "limits.adaptive_placement_min_dataset_shards", INT, "1")
N("adaptive-placement.max-dataset-shards",
    "limits.adaptive_placement_max_dataset_shards", INT, "1024")
N("adaptive-placement.unit-size-bytes",
    "limits.adaptive_placement_unit_size_bytes", INT, "131072")
N("adaptive-placement.burst-window", "limits.adaptive_placement_burst_window", DURATION, "17m")
N("adaptive-placement.decay-window", "limits.adaptive_placement_decay_window", DURATION, "19m")
N("adaptive-placement.load-balancing",
    "limits.adaptive_placement_load_balancing", STRING, "dynamic")
N("compaction-worker.metrics-exporter.rules-source.static", "limits.recording_rules", ANY, "")
N("recording-rules.max-rules-per-tenant", "limits.max_recording_rules", INT, "25")
N("symbolizer.enabled", "limits.symbolizer.enabled", BOOL, "false")
N("symbolizer.symbol-ref-trees-enabled",
    "limits.symbolizer.symbol_ref_trees_enabled", BOOL, "false")
N("symbolizer.max-unresolved-locations",
    "limits.symbolizer.max_unresolved_locations", INT, "1000000")
N("valdation.symbolizer.max-symbol-size-bytes",
    "limits.symbolizer.maxsymbolsizebytes", INT, "536870912")

/* TLS of the listener: with server.http_tls_config.cert_file */
N("server.http-tls-key-path", "server.http_tls_config.key_file", STRING, "")
N("server.http-tls-ca-path", "server.http_tls_config.client_ca_file", STRING, "")
N("server.http-tls-client-auth", "server.http_tls_config.client_auth_type", STRING, "")
N(NULL, "server.http_tls_config.cert", STRING, "")
N(NULL, "server.http_tls_config.key", SECRET, "")
N(NULL, "server.http_tls_config.client_ca", STRING, "")
/* clang-format on */

#undef TLS_CLIENT
#undef HTTP_CLIENT
#undef GRPC_CLIENT
#undef KVSTORE
#undef RING
