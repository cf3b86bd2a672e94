/* Profiles that are looked at by themselves, one file at a time: read, drawn, compared. Nothing of
 * the store is asked; memory, deadline and limits are the query's. */
#ifndef QUERY_ADHOC_H
#define QUERY_ADHOC_H

#include "codec/profile.h"
#include "codec/text.h"
#include "query/query.h"

struct adhoc {
    struct prof_type *types; /* what can be drawn, in the file's order; at least one */
    uint32_t n_types;
    const struct profile *profile; /* of a pprof, else NULL: */
    struct text_stacks stacks;
};

/* pprof (gzip or not), flame graph JSON, collapsed stacks, `perf script` (text may be gzip, too).
 * The name decides between the two texts when it ends in .collapsed or .folded. The result lives in
 * q->arena and refers to `bytes`. ST_INVALID_ARGUMENT: what is wrong with it; also more than
 * bytes_max once it is inflated. */
enum status adhoc_open(struct query *q, struct str name, struct str bytes, uint64_t bytes_max,
    struct adhoc *ret_adhoc, struct error *err);
/* The type of that name; the first one when there is none asked for. */
enum status adhoc_type(
    const struct adhoc *a, struct str name, uint32_t *ret_type, struct error *err);
/* JSON as of /pyroscope/render, without timeline. max_nodes as the client sent it. */
enum status adhoc_render(struct query *q, const struct adhoc *a, uint32_t type, int64_t max_nodes,
    struct buf *out, struct error *err);
struct adhoc_side {
    const struct adhoc *a;
    uint32_t type;
};
enum status adhoc_diff(struct query *q, struct adhoc_side left, struct adhoc_side right,
    int64_t max_nodes, struct buf *out, struct error *err);

#endif
