/* Usage groups: names for parts of what a tenant sends, told apart by label selectors, and what
 * holds for each: a quota, a probability of being kept. Immutable once compiled; any thread. */
#ifndef INGEST_GROUPS_H
#define INGEST_GROUPS_H

#include "base/status.h"

enum { USAGE_GROUPS_MAX = 50, GROUP_RULES_MAX = 1000 };

struct usage_groups;
struct group_rules;

/* All take JSON, or nothing, and are compiled once per text and kept, see compiled.h. *ret is NULL
 * when there is none. Errors name the group.
 *
 * {"name": "{selector}", …}; ${labels.x} in a name stands for the value of that label. */
enum status usage_groups_compile(
    struct str json, const struct usage_groups **ret, struct error *err);
/* {"name": {"probability": 0.1}, …} */
enum status group_sampling_compile(
    struct str json, const struct group_rules **ret, struct error *err);
/* {"name": {"limit_reached": true, "period_limit_mb": 1024}, …} */
enum status group_quotas_compile(
    struct str json, const struct group_rules **ret, struct error *err);
struct str usage_groups_text(const struct usage_groups *g);
struct str group_rules_text(const struct group_rules *r);

#endif
