/* The uploads of a benchmark, made before the clock starts: heads and bodies ready to be sent.
 *
 * Upload k belongs to window k / services and to service k % services; a window is ten seconds of
 * data. Everything lies in the arena of the set; bodies that are equal are shared. */
#ifndef BENCH_UPLOADS_H
#define BENCH_UPLOADS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

enum { WINDOW_S = 10 };

struct upload {
    struct str head, body;
};

struct uploads {
    struct arena arena;
    struct upload *v;
    uint32_t n, cap;
    uint64_t content_bytes; /* of all bodies, without the frames of chunked ones */
    uint64_t new_nodes;     /* drifting only: the least of any upload */
};

struct uploads_plan {
    const char *captures; /* folder of one client's recorded requests; NULL: the drifting mix */
    uint32_t services, uploads;
    int64_t start_s; /* of the first window, since the epoch */
    uint64_t seed;   /* of the drifting mix */
};

/* Both append to *ret_uploads, which is zeroed; the caller ends its arena. */
enum status uploads_recorded(
    const struct uploads_plan *plan, struct uploads *ret_uploads, struct error *err);
enum status uploads_drifting(
    const struct uploads_plan *plan, struct uploads *ret_uploads, struct error *err);

static inline int64_t uploads_from_s(const struct uploads_plan *plan, uint32_t k)
{
    return plan->start_s + (int64_t)(k / plan->services) * WINDOW_S;
}

#endif
