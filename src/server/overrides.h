/* Limits per tenant: the defaults of the configuration, and the files of runtime_config.file over
 * them, read again while the server runs. Any thread asks; one thread of its own reloads. */
#ifndef SERVER_OVERRIDES_H
#define SERVER_OVERRIDES_H

#include "server/config.h"

struct overrides;

/* Reads the files; failing is fatal at start: "failed to load runtime config: …". The config must
 * outlive it. */
enum status overrides_open(const struct config *c, struct overrides **ret_ov, struct error *err);
/* Reads every period from now on. */
enum status overrides_start(struct overrides *ov, struct error *err);
void overrides_close(struct overrides *ov); /* NULL is fine */

/* Reads the files once more. On failure the limits stay as they were. */
enum status overrides_reload(struct overrides *ov, struct error *err);

void overrides_limits(struct overrides *ov, struct str tenant, struct config_limits *ret_limits);
/* Limits of a query over several tenants: the smallest of each that is not off. */
void overrides_query_limits(
    struct overrides *ov, const struct str *tenants, uint32_t n, struct query_limits *ret_limits);
/* The largest body limit of any tenant; 0 = one has none. */
double overrides_body_limit_mb(struct overrides *ov);
/* YAML of the tenants' own limits: what differs from the defaults. */
void overrides_dump(struct overrides *ov, struct buf *out);
/* YAML of all limits of a tenant, those that it has by default as well. */
void overrides_tenant_dump(struct overrides *ov, struct str tenant, struct buf *out);

#endif
