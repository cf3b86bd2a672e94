/* The write path before the store: one upload in, rows appended, one answer out.
 *
 *     decode → repair → check → normalise → split by sample labels → label rules → store_append
 *
 * Stateless but for rate limiters and counters per tenant; any thread. `done` is called exactly
 * once: at once when the upload is refused, else from the store's committer when it is durable. The
 * error carries the code, the HTTP status where the reference's differs from the code's (err->http:
 * 408, 413, 422) and the text of spec/ingest.md §2.9, §4.4, §7. ST_DATA_LOSS from the store: the
 * caller closes the connection without an answer. */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include "codec/messages.h"
#include "ingest/groups.h"
#include "ingest/refusals.h"
#include "ingest/relabel.h"
#include "store/store.h"

/* Where the built-in relabelling rules stand among a tenant's. */
enum ingest_default_rules { DEFAULT_RULES_FIRST, DEFAULT_RULES_LAST, DEFAULT_RULES_DISABLED };

enum ingest_period {
    INGEST_SECOND,
    INGEST_MINUTE,
    INGEST_HOUR,
    INGEST_DAY,
    INGEST_WEEK,
    INGEST_MONTH,
    INGEST_YEAR,
    INGEST_PERIODS
};
extern const struct str ingest_periods[INGEST_PERIODS]; /* "second" … "year" */

/* A switch that somebody else sets, who counts what a tenant sends. The other members are what the
 * answer says, and how many uploads pass nevertheless. */
struct ingest_quota {
    bool reached;
    uint64_t period_bytes;
    enum ingest_period period;
    int64_t reset_s;
    uint64_t requests; /* that pass in each requests_period_ns */
    int64_t requests_period_ns;
};

/* Of a tenant; 0 = off unless said. Defaults in ingest_limits_default. */
struct ingest_limits {
    double rate_bytes_per_s;          /* 64 MiB/s */
    double burst_bytes;               /* 64 MiB */
    uint64_t body_bytes_max;          /* 256 MiB */
    uint64_t profile_bytes_max;       /* 32 MiB, uncompressed */
    uint64_t profile_samples_max;     /* 200,000, after contexts with equal labels are merged */
    uint64_t sample_labels_max;       /* 100 */
    uint64_t stack_depth_max;         /* 1000 */
    uint64_t string_bytes_max;        /* 65535 */
    uint64_t label_name_bytes_max;    /* 1024 */
    uint64_t label_value_bytes_max;   /* 2048 */
    uint64_t labels_per_series_max;   /* 30 */
    uint64_t sessions_per_series_max; /* 0: the session label is removed */
    bool label_sanitization;          /* false: UTF-8 names are kept as they are */
    int64_t reject_older_than_ns;     /* 1 h */
    int64_t reject_newer_than_ns;     /* 10 min */
    uint64_t active_series_max;       /* 100,000: since the last cut, see store_quota */
    uint64_t active_services_max;     /* 1,000 */
    const struct relabel *relabel_rules, *sample_type_rules; /* NULL: none */
    enum ingest_default_rules default_rules;
    uint64_t head_bytes_max; /* the server makes it a quarter of the head */
    struct ingest_quota quota;
    const struct usage_groups *usage_groups; /* NULL: none, as the next two */
    const struct group_rules *group_quotas, *group_sampling;
    bool keep_stripped; /* of what sampling drops the totals stay */
};
void ingest_limits_default(struct ingest_limits *l);

struct ingest_config {
    struct store *store;
    /* The limits of a tenant now; called once per upload. */
    void (*limits)(void *ctx, struct str tenant, struct ingest_limits *ret_limits);
    /* A number from 0 to below 1, by which sampling decides; NULL: a random one. */
    double (*draw)(void *ctx);
    void *ctx;
    struct refusals *refusals; /* told of everything that is not stored; may be NULL */
};

struct ingest;
struct ingest *ingest_new(const struct ingest_config *cfg);
void ingest_free(struct ingest *ig);

typedef void (*ingest_done_fn)(void *ctx, enum status st, const struct error *err);

/* POST /ingest, decoded query parameters ({NULL, 0} = absent); body and arena live until done. */
struct ingest_upload {
    struct str tenant, name, from, until, sample_rate, spy_name, format, content_type, body;
    struct arena *arena;
    int64_t now_ns;
};
void ingest_upload(
    struct ingest *ig, const struct ingest_upload *up, ingest_done_fn done, void *ctx);

/* An upload that never came as far as its decoder: counts it as refused, for the service that its
 * parameters name. Parameters as in ingest_upload; tenant empty: unknown. */
struct ingest_refusal {
    struct str tenant, name, format, content_type, reason;
    uint64_t bytes;
    int64_t now_ns;
};
void ingest_refuse(struct ingest *ig, const struct ingest_refusal *r, struct arena *arena,
    const struct error *err);

/* push.v1.PusherService/Push. A 4xx names the bad series while the good ones are stored; 429 and
 * 5xx mean that nothing was stored. */
struct ingest_push {
    struct str tenant;
    const struct m_push_request *request;
    struct arena *arena;
    int64_t now_ns;
};
void ingest_push(struct ingest *ig, const struct ingest_push *push, ingest_done_fn done, void *ctx);

#endif
