/* The one table of metrics: id, type, name, label names (comma list), histogram buckets, help.
 * Names that the reference also has keep their name and meaning, so that dashboards work. */
#ifndef BASE_METRICS_LIST_H
#define BASE_METRICS_LIST_H

#define BUCKETS_SECONDS "0.005,0.01,0.025,0.05,0.1,0.25,0.5,1,2.5,5,10,25,50,100"
#define BUCKETS_BYTES "1024,4096,16384,65536,262144,1048576,4194304,16777216,67108864,268435456"

#define METRICS_LIST(X)                                                                            \
    X(BUILD_INFO, METRIC_GAUGE, "pyroscope_build_info", "version,revision,branch,goversion", "",   \
        "Constant 1; the build.")                                                                  \
    X(REQUEST_DURATION, METRIC_HISTOGRAM, "pyroscope_request_duration_seconds",                    \
        "method,route,status_code,ws", BUCKETS_SECONDS, "Time to answer a request.")               \
    X(TCP_CONNECTIONS, METRIC_GAUGE, "pyroscope_tcp_connections", "protocol", "",                  \
        "Open connections.")                                                                       \
    X(TCP_CONNECTIONS_LIMIT, METRIC_GAUGE, "pyroscope_tcp_connections_limit", "protocol", "",      \
        "Most connections at once.")                                                               \
    X(CONNECTIONS_REFUSED, METRIC_COUNTER, "everflame_connections_refused_total", "reason", "",    \
        "Connections closed by a limit.")                                                          \
    X(STREAMS_REFUSED, METRIC_COUNTER, "everflame_http2_streams_refused_total", "reason", "",      \
        "Streams of HTTP/2 refused by a limit of their connection.")                               \
    X(TLS_HANDSHAKES, METRIC_COUNTER, "everflame_tls_handshakes_total", "result", "",              \
        "TLS handshakes that ended.")                                                              \
    X(TLS_RELOADS, METRIC_COUNTER, "everflame_tls_reloads_total", "result", "",                    \
        "Changes of certificate files.")                                                           \
    X(TLS_EXPIRY, METRIC_GAUGE, "everflame_tls_certificate_expiry_seconds", "", "",                \
        "End of the certificate in use, seconds since the epoch.")                                 \
    X(BODY_BYTES, METRIC_GAUGE, "everflame_body_bytes", "", "",                                    \
        "Bytes of request bodies in flight.")                                                      \
    X(BODY_BYTES_LIMIT, METRIC_GAUGE, "everflame_body_bytes_limit", "", "",                        \
        "Budget for request bodies in flight.")                                                    \
    X(WORK_QUEUE, METRIC_GAUGE, "everflame_work_queue_requests", "", "",                           \
        "Requests that wait for a worker.")                                                        \
    X(DISCARDED_SAMPLES, METRIC_COUNTER, "pyroscope_discarded_samples_total", "reason,tenant", "", \
        "Profiles refused or dropped.")                                                            \
    X(DISCARDED_BYTES, METRIC_COUNTER, "pyroscope_discarded_bytes_total", "reason,tenant", "",     \
        "Bytes of profiles refused or dropped.")                                                   \
    X(REFUSED_PROFILES, METRIC_COUNTER, "everflame_refused_profiles_total",                        \
        "tenant,service,reason,setting", "",                                                       \
        "Profiles refused or dropped, with the setting that would change it.")                     \
    X(TRUNCATED, METRIC_COUNTER, "everflame_truncated_total", "what,tenant", "",                   \
        "Stacks or strings cut to their limit.")                                                   \
    X(REPAIRED_STACKS, METRIC_COUNTER, "everflame_repaired_stacks_total", "tenant", "",            \
        "Go stacks that got back root frames which the profiler had cut.")                         \
    X(SANITIZED_NAMES, METRIC_COUNTER, "pyroscope_sanitized_label_names_total", "tenant", "",      \
        "Label names rewritten.")                                                                  \
    X(PROFILES_RECEIVED, METRIC_COUNTER, "pyroscope_distributor_profiles_received_total",          \
        "tenant,scope_name,scope_version", "", "Profiles received, by the client that sent them.") \
    X(BATCH_SERIES, METRIC_HISTOGRAM, "pyroscope_distributor_push_batch_series", "tenant",         \
        "1,5,10,25,50,100,250,1000", "Profiles per upload.")                                       \
    X(PARSE_SECONDS, METRIC_HISTOGRAM, "pyroscope_distributor_parse_duration_seconds",             \
        "type,tenant", BUCKETS_SECONDS, "Time to decode a profile.")                               \
    X(RECEIVED_COMPRESSED, METRIC_HISTOGRAM, "pyroscope_distributor_received_compressed_bytes",    \
        "type,tenant", BUCKETS_BYTES, "Body bytes per upload, as sent.")                           \
    X(RECEIVED_DECOMPRESSED, METRIC_HISTOGRAM,                                                     \
        "pyroscope_distributor_received_decompressed_bytes", "type,tenant", BUCKETS_BYTES,         \
        "Bytes per profile after decompression.")                                                  \
    X(RECEIVED_SAMPLES, METRIC_HISTOGRAM, "pyroscope_distributor_received_samples", "type,tenant", \
        "100,300,1000,3000,10000,30000,100000,300000", "Samples per profile.")                     \
    X(RECEIVED_SAMPLE_BYTES, METRIC_HISTOGRAM, "pyroscope_distributor_received_samples_bytes",     \
        "type,tenant", BUCKETS_BYTES, "Bytes of the samples of a profile after decompression.")    \
    X(RECEIVED_SYMBOL_BYTES, METRIC_HISTOGRAM, "pyroscope_distributor_received_symbols_bytes",     \
        "type,tenant", BUCKETS_BYTES,                                                              \
        "Bytes of a profile after decompression that are not samples.")                            \
    X(RECEIVED_STAGE, METRIC_HISTOGRAM, "pyroscope_distributor_received_decompressed_bytes_total", \
        "tenant,stage", BUCKETS_BYTES,                                                             \
        "Bytes per profile after decompression: received, and what sampling keeps whole.")         \
    X(GROUP_RECEIVED, METRIC_COUNTER, "pyroscope_usage_group_received_decompressed_total",         \
        "type,tenant,usage_group", "", "Bytes of profiles and labels received, by usage group.")   \
    X(GROUP_DISCARDED, METRIC_COUNTER, "pyroscope_usage_group_discarded_bytes_total",              \
        "reason,tenant,usage_group", "", "Bytes of those refused or dropped, by usage group.")     \
    X(PROFILES_STORED, METRIC_COUNTER, "everflame_profiles_stored_total", "tenant", "",            \
        "Profile rows acknowledged as durable.")                                                   \
    X(SAMPLES_STORED, METRIC_COUNTER, "everflame_samples_stored_total", "tenant", "",              \
        "Samples acknowledged as durable.")                                                        \
    X(WAL_BYTES, METRIC_COUNTER, "everflame_wal_written_bytes_total", "", "",                      \
        "Bytes written to the write-ahead log.")                                                   \
    X(WAL_SYNCS, METRIC_COUNTER, "everflame_wal_syncs_total", "", "", "Calls of fdatasync.")       \
    X(WAL_SYNC_SECONDS, METRIC_HISTOGRAM, "everflame_wal_sync_seconds", "", BUCKETS_SECONDS,       \
        "Time of write and fdatasync of one batch.")                                               \
    X(WAL_BATCH_FRAMES, METRIC_HISTOGRAM, "everflame_wal_batch_frames", "",                        \
        "1,2,4,8,16,32,64,128", "Requests made durable by one fdatasync.")                         \
    X(WAL_FAILURES, METRIC_COUNTER, "everflame_wal_failures_total", "op", "",                      \
        "Failed openings, writes and syncs of the log.")                                           \
    X(WAL_DAMAGE, METRIC_COUNTER, "everflame_wal_damaged_batches_total", "", "",                   \
        "Batches skipped at replay because of damage.")                                            \
    X(WAL_TORN, METRIC_COUNTER, "everflame_wal_torn_tails_total", "", "",                          \
        "Log segments that ended in the middle of a batch nobody was told about.")                 \
    X(WAL_REPLAYED, METRIC_COUNTER, "everflame_wal_replayed_bytes_total", "", "",                  \
        "Bytes replayed at start.")                                                                \
    X(STORE_WRITABLE, METRIC_GAUGE, "everflame_store_writable", "", "",                            \
        "1 while uploads can be made durable.")                                                    \
    X(HEAD_BYTES, METRIC_GAUGE, "everflame_head_bytes", "", "", "Memory of the head.")             \
    X(HEAD_BYTES_LIMIT, METRIC_GAUGE, "everflame_head_bytes_limit", "", "", "Bound of the head.")  \
    X(HEAD_SERIES, METRIC_GAUGE, "everflame_head_series", "", "", "Series in the head.")           \
    X(HEAD_PROFILES, METRIC_GAUGE, "everflame_head_profiles", "", "", "Profile rows in the head.") \
    X(HEAD_WAITING, METRIC_GAUGE, "everflame_head_waiting_uploads", "", "",                        \
        "Uploads that wait for a cut: one hour of profile time too many.")                         \
    X(EPOCHS, METRIC_GAUGE, "everflame_head_epochs", "", "", "Epochs in memory.")                  \
    X(BLOCKS, METRIC_GAUGE, "everflame_blocks", "", "", "Blocks that are served.")                 \
    X(BLOCK_BYTES, METRIC_GAUGE, "everflame_block_bytes", "", "", "Bytes of blocks served.")       \
    X(BLOCKS_BAD, METRIC_GAUGE, "everflame_blocks_damaged", "", "",                                \
        "Blocks set aside because of damage.")                                                     \
    X(CUTS, METRIC_COUNTER, "everflame_cuts_total", "reason,result", "", "Cuts of the head.")      \
    X(CUT_SECONDS, METRIC_HISTOGRAM, "everflame_cut_seconds", "", BUCKETS_SECONDS,                 \
        "Time of a cut.")                                                                          \
    X(RETIRED_BLOCKS, METRIC_COUNTER, "everflame_retired_blocks_total", "reason", "",              \
        "Blocks removed by retention.")                                                            \
    X(OLDEST_BLOCK, METRIC_GAUGE, "pyroscope_oldest_block_timestamp_seconds", "", "",              \
        "Start of the oldest profile in blocks, seconds since the epoch. 0: none.")                \
    X(COMPACTIONS, METRIC_COUNTER, "everflame_compactions_total", "level,result", "",              \
        "Merges of blocks.")                                                                       \
    X(COMPACTION_BYTES, METRIC_COUNTER, "everflame_compaction_bytes_total", "direction", "",       \
        "Bytes of blocks that were merged (in) and of what they became (out).")                    \
    X(COMPACTION_SECONDS, METRIC_HISTOGRAM, "everflame_compaction_seconds", "level",               \
        BUCKETS_SECONDS, "Time of a merge, with the pauses in it.")                                \
    X(COMPACTOR_STARTED, METRIC_COUNTER, "pyroscope_compactor_runs_started_total", "", "",         \
        "Runs of the compactor: merging until there is nothing to merge.")                         \
    X(COMPACTOR_COMPLETED, METRIC_COUNTER, "pyroscope_compactor_runs_completed_total", "", "",     \
        "Runs that came to their end.")                                                            \
    X(COMPACTOR_FAILED, METRIC_COUNTER, "pyroscope_compactor_runs_failed_total", "reason", "",     \
        "Runs that ended with a failure, or with the process.")                                    \
    X(COMPACTOR_LAST, METRIC_GAUGE, "pyroscope_compactor_last_successful_run_timestamp_seconds",   \
        "", "", "End of the latest run that came to its end.")                                     \
    X(BLOCKS_CLEANED, METRIC_COUNTER, "pyroscope_compactor_blocks_cleaned_total", "", "",          \
        "Blocks that left: merged into another one, or removed by retention.")                     \
    X(DISK_FREE, METRIC_GAUGE, "everflame_disk_free_bytes", "", "",                                \
        "Free bytes below the data directory.")                                                    \
    X(STORAGE_USED, METRIC_GAUGE, "pyroscope_storage_used_bytes", "", "",                          \
        "Bytes in use on the file system of the data directory, whoever's they are.")              \
    X(STORAGE_TOTAL, METRIC_GAUGE, "pyroscope_storage_total_bytes", "", "",                        \
        "Size of that file system.")                                                               \
    X(WAL_DISK_BYTES, METRIC_GAUGE, "pyroscope_ingester_wal_disk_usage_bytes", "", "",             \
        "Bytes of the write-ahead log.")                                                           \
    X(STORAGE_BYTES, METRIC_GAUGE, "everflame_storage_bytes", "kind", "",                          \
        "Bytes of files below the data directory, by kind; together all of them.")                 \
    X(STORAGE_FILES, METRIC_GAUGE, "everflame_storage_files", "kind", "",                          \
        "Files below the data directory, by kind.")                                                \
    X(STORAGE_DISK_BYTES, METRIC_GAUGE, "pyroscope_storage_disk_bytes", "", "",                    \
        "Bytes of all files below the data directory.")                                            \
    X(TENANT_BLOCK_BYTES, METRIC_GAUGE, "everflame_tenant_block_bytes", "tenant,level", "",        \
        "Bytes of blocks served; of at most 100 tenants by name.")                                 \
    X(STORAGE_GROWTH, METRIC_GAUGE, "everflame_storage_growth_bytes_per_day", "", "",              \
        "Bytes of blocks that a day of profiles takes, compacted.")                                \
    X(STORAGE_DAYS, METRIC_GAUGE, "everflame_storage_days_until_full", "", "",                     \
        "Days until a bound of the store or of the disk is reached. +Inf: never.")                 \
    X(CACHE_BYTES, METRIC_GAUGE, "everflame_block_cache_bytes", "", "",                            \
        "Decoded block sections in memory.")                                                       \
    X(NAMES_BYTES, METRIC_GAUGE, "everflame_name_pool_bytes", "", "",                              \
        "Names of functions of blocks, once each, in memory.")                                     \
    X(FOREIGN_FILES, METRIC_GAUGE, "everflame_foreign_files", "", "",                              \
        "Entries below the data directory that are not ours.")                                     \
    X(QUERIES_RUNNING, METRIC_GAUGE, "everflame_queries_running", "", "", "Queries at work.")      \
    X(QUERY_SECONDS, METRIC_HISTOGRAM, "everflame_query_seconds", "method", BUCKETS_SECONDS,       \
        "Time of a query.")                                                                        \
    X(QUERIES_STOPPED, METRIC_COUNTER, "everflame_queries_stopped_total", "reason", "",            \
        "Queries ended by deadline, budget or a client that left.")                                \
    X(SELF_PROFILES, METRIC_COUNTER, "everflame_self_profiles_total", "result", "",                \
        "Profiles of the server itself.")                                                          \
    X(SELF_PROFILE_LOST, METRIC_COUNTER, "everflame_self_profile_lost_samples_total", "", "",      \
        "Samples of the server itself for which there was no room.")                               \
    X(PROCESS_CPU, METRIC_COUNTER, "process_cpu_seconds_total", "", "", "CPU time used.")          \
    X(PROCESS_RSS, METRIC_GAUGE, "process_resident_memory_bytes", "", "", "Resident memory.")      \
    X(PROCESS_VIRT, METRIC_GAUGE, "process_virtual_memory_bytes", "", "", "Virtual memory.")       \
    X(PROCESS_FDS, METRIC_GAUGE, "process_open_fds", "", "", "Open file descriptors.")             \
    X(PROCESS_FDS_MAX, METRIC_GAUGE, "process_max_fds", "", "", "Most file descriptors.")          \
    X(PROCESS_START, METRIC_GAUGE, "process_start_time_seconds", "", "",                           \
        "Start, seconds since the epoch.")

/* Names that dashboards know for what is counted above: the sum over all labels (of a histogram the
 * sum or the count of what was observed). */
enum metric_part { METRIC_SUM, METRIC_OBSERVED };
#define METRIC_ALIASES(A)                                                             \
    A("pyroscope_ingestion_received_bytes_total", RECEIVED_COMPRESSED, METRIC_SUM)    \
    A("pyroscope_ingestion_attempted_profiles_total", PROFILES_RECEIVED, METRIC_SUM)  \
    A("pyroscope_ingestion_received_profiles_total", PROFILES_STORED, METRIC_SUM)     \
    A("pyroscope_ingestion_errors_total", DISCARDED_SAMPLES, METRIC_SUM)              \
    A("pyroscope_ingester_ingested_sample_count", SAMPLES_STORED, METRIC_SUM)         \
    A("pyroscope_ingester_active_series", HEAD_SERIES, METRIC_SUM)                    \
    A("pyroscope_tsdb_active_series", HEAD_SERIES, METRIC_SUM)                        \
    A("pyroscope_tsdb_head_series", HEAD_SERIES, METRIC_SUM)                          \
    A("pyroscope_head_profiles", HEAD_PROFILES, METRIC_SUM)                           \
    A("pyroscope_tsdb_head_samples_appended_total", SAMPLES_STORED, METRIC_SUM)       \
    A("pyroscope_tsdb_compactions_total", COMPACTIONS, METRIC_SUM)                    \
    A("pyroscope_tsdb_blocks_loaded", BLOCKS, METRIC_SUM)                             \
    A("pyroscope_distributor_bytes_received_total", RECEIVED_COMPRESSED, METRIC_SUM)  \
    A("pyroscope_distributor_received_bytes_total", RECEIVED_COMPRESSED, METRIC_SUM)  \
    A("pyroscope_distributor_received_profiles_total", PROFILES_RECEIVED, METRIC_SUM) \
    A("pyroscope_query_total", QUERY_SECONDS, METRIC_OBSERVED)                        \
    A("pyroscope_query_frontend_queries_total", QUERY_SECONDS, METRIC_OBSERVED)

#endif
