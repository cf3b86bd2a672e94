/* Queries run on threads of their own, so that they never hold up uploads: a bounded number at
 * once, a bounded number waiting, each with a memory budget and a deadline that waiting counts
 * against. */
#ifndef SERVER_QUERY_POOL_H
#define SERVER_QUERY_POOL_H

#include "net/http.h"
#include "query/query.h"
#include "server/overrides.h"
#include "server/tenants.h"

struct query_job;

/* Answers the request and returns ST_OK, after which the job is gone; or returns an error without
 * having answered. */
typedef enum status (*query_run_fn)(struct query_job *job, struct query *q, struct error *err);
/* Answers the request with the error. */
typedef void (*query_fail_fn)(struct query_job *job, const struct error *err);

/* Lives in the request's arena. */
struct query_job {
    struct http_request *rq;
    const char *name; /* for metrics; static */
    query_run_fn run;
    query_fail_fn fail;
    void *ctx;
    struct tenant_list tenants;
    int64_t deadline_mono_ns; /* of the client; 0: none */
    bool utf8_names;
    struct query_job *next; /* of the queue */
};

struct query_pool_config {
    struct store *store;
    struct overrides *overrides;
    uint32_t threads, queue_max;
    uint64_t memory_bytes; /* of one query */
    int64_t timeout_ns;    /* 0: none */
};

struct query_pool;
enum status query_pool_start(
    const struct query_pool_config *cfg, struct query_pool **ret_pool, struct error *err);
/* After the HTTP server stopped: nothing waits any more. NULL is fine. */
void query_pool_stop(struct query_pool *p);
/* The job is answered exactly once, now or later: at once, with 429, when too many wait. */
void query_pool_submit(struct query_pool *p, struct query_job *job);

#endif
