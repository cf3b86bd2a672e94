/* Deadline, cancellation and memory of a query.
 *
 * `checks` is a credit: the clock is read when it is used up, so a call costs a decrement. Work
 * that is heavier than one step takes more of the credit (see exec.c). Whether the client is still
 * there is asked on every call.
 *
 * The memory budget is the limit of the arena. Whatever runs into it answers with its size and with
 * what would help, so that a person at a dashboard can do something about it. */
#include "base/clock.h"
#include "query/query_int.h"

enum { CHECKS_PER_CLOCK = 256 };

enum status query_alive(struct query *q, struct error *err)
{
    if (q->gone && atomic_load_explicit(q->gone, memory_order_relaxed))
        FAIL(err, ST_CANCELED, "the client went away");
    if (q->checks > 0) {
        q->checks--;
        return ST_OK;
    }
    q->checks = CHECKS_PER_CLOCK - 1;
    if (q->deadline_mono_ns && clock_mono_ns() >= q->deadline_mono_ns)
        FAIL(err, ST_DEADLINE_EXCEEDED,
            "the query ran past its deadline; a shorter time range or a narrower selector is "
            "faster");
    return ST_OK;
}

size_t query_left(const struct query *q)
{
    return q->arena->limit - MIN(q->arena->used, q->arena->limit);
}

bool query_index_put(const struct query *q, struct idmap *m, uint64_t hash, uint32_t id)
{
    return idmap_growth(m, 1) <= query_left(q) && idmap_put(m, hash, id);
}

enum status query_full(const struct query *q, struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED,
        "the query needs more memory than its budget of %zu bytes; a shorter time range, a "
        "narrower "
        "selector or fewer groups need less",
        q->arena->limit + q->reserved + q->lent);
}

enum status query_status(const struct query *q, enum status st, struct error *err)
{
    if (st == ST_RESOURCE_EXHAUSTED)
        return query_full(q, err);
    return st == ST_OUT_OF_RANGE ? query_overflow(err) : st;
}

enum status query_overflow(struct error *err)
{
    FAIL(err, ST_OUT_OF_RANGE,
        "the sum of the samples leaves the 64-bit range; ask for a shorter time range");
}

enum status query_copy(struct query *q, struct str s, struct str *ret, struct error *err)
{
    *ret = arena_str(q->arena, s);
    return ret->p ? ST_OK : query_full(q, err);
}
