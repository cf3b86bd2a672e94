/* Who a request belongs to: the header X-Scope-OrgID. Pure; any thread. */
#ifndef SERVER_TENANTS_H
#define SERVER_TENANTS_H

#include "base/arena.h"
#include "base/status.h"

enum { TENANT_BYTES_MAX = 150, TENANTS_MAX = 64 };

struct tenant_list {
    struct str *v; /* sorted, no doubles; views of the header */
    uint32_t n;
};

/* `enabled` false: always `anonymous`, whatever the header says. Otherwise ids separated by '|',
 * each checked, metadata after ':' cut off. All failures are ST_UNAUTHENTICATED (401): "no org id"
 * and what is wrong with an id. */
enum status tenants_parse(bool enabled, struct str header, struct arena *arena,
    struct tenant_list *ret_list, struct error *err);
/* The same where there must be exactly one: "multiple org IDs present". */
enum status tenants_parse_one(bool enabled, struct str header, struct arena *arena,
    struct str *ret_tenant, struct error *err);

#endif
