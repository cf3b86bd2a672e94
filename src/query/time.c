/* Time ranges and limits: the order of checks is what clients see.
 *
 *     missing → reversed → before the lookback: empty → clamp to the lookback → too long
 *
 * Times of requests are milliseconds, both ends inclusive; rows have nanoseconds. Arithmetic
 * saturates, so that a hostile number is a range like any other. */
#include <math.h>

#include "query/query_int.h"

static int64_t sub_sat(int64_t a, int64_t b)
{
    int64_t r;
    if (__builtin_sub_overflow(a, b, &r))
        return b > 0 ? INT64_MIN : INT64_MAX;
    return r;
}

int64_t query_ms_to_ns(int64_t ms)
{
    int64_t r;
    if (__builtin_mul_overflow(ms, NS_PER_MS, &r))
        return ms > 0 ? INT64_MAX : INT64_MIN;
    return r;
}

/* "<whole>.<rest>unit", the fraction without trailing zeros. */
static void put_fraction(
    uint64_t ns, uint64_t unit, int digits, const char *name, char *out, size_t size)
{
    uint64_t rest = ns % unit;
    unsigned long long whole = ns / unit;
    while (digits && rest % 10 == 0) {
        rest /= 10;
        digits--;
    }
    if (digits)
        snprintf(out, size, "%llu.%0*llu%s", whole, digits, (unsigned long long)rest, name);
    else
        snprintf(out, size, "%llu%s", whole, name);
}

void query_format_duration(int64_t ns, char out[DURATION_TEXT])
{
    uint64_t u = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    unsigned long long minutes = u / (60 * (uint64_t)NS_PER_S);
    size_t n = 0, size = DURATION_TEXT;
    if (ns < 0)
        out[n++] = '-';
    if (minutes >= 60)
        n += (size_t)snprintf(out + n, size - n, "%lluh", minutes / 60);
    if (minutes)
        n += (size_t)snprintf(out + n, size - n, "%llum", minutes % 60);
    if (u >= (uint64_t)NS_PER_S || u == 0)
        put_fraction(u % (60 * (uint64_t)NS_PER_S), NS_PER_S, 9, "s", out + n, size - n);
    else if (u >= (uint64_t)NS_PER_MS)
        put_fraction(u, NS_PER_MS, 6, "ms", out + n, size - n);
    else if (u >= (uint64_t)NS_PER_US)
        put_fraction(u, NS_PER_US, 3, "µs", out + n, size - n);
    else
        put_fraction(u, 1, 0, "ns", out + n, size - n);
}

enum status query_range_check(struct query *q, int64_t start_ms, int64_t end_ms,
    struct query_range *ret_range, struct error *err)
{
    struct query_range r = {.start_ms = start_ms, .end_ms = end_ms};
    if (start_ms == 0 || end_ms == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "missing time range in the query");
    if (start_ms > end_ms)
        FAIL(err, ST_INVALID_ARGUMENT, "query start time is after end time");
    if (q->limits.max_query_lookback_ns > 0) {
        int64_t oldest = sub_sat(q->now_ns, q->limits.max_query_lookback_ns) / NS_PER_MS;
        r.empty = end_ms < oldest;
        r.start_ms = MIN(MAX(start_ms, oldest), end_ms);
    }
    int64_t length = query_ms_to_ns(sub_sat(r.end_ms, r.start_ms));
    if (!r.empty && q->limits.max_query_length_ns > 0 && length > q->limits.max_query_length_ns) {
        char actual[DURATION_TEXT], limit[DURATION_TEXT];
        query_format_duration(length, actual);
        query_format_duration(q->limits.max_query_length_ns, limit);
        FAIL(err, ST_INVALID_ARGUMENT,
            "the query time range exceeds the limit (max_query_length, actual: %s, limit: %s)",
            actual, limit);
    }
    *ret_range = r;
    return ST_OK;
}

enum status query_step(double step, int64_t *ret_ms, struct error *err)
{
    static const double STEP_MAX = 1e15;
    if (!(step >= 0.001))
        FAIL(err, ST_INVALID_ARGUMENT, "step must be >= 1ms, got %f", step);
    *ret_ms = (int64_t)trunc(fmin(step, STEP_MAX) * 1000);
    return ST_OK;
}

enum status query_nodes_check(
    const struct query *q, int64_t max_nodes, int64_t *ret_nodes, struct error *err)
{
    int64_t most = q->limits.max_nodes_max;
    if (max_nodes == 0)
        max_nodes = q->limits.max_nodes_default;
    if (most > 0 && max_nodes > most)
        FAIL(err, ST_INVALID_ARGUMENT,
            "max flamegraph nodes limit %lld is greater than allowed %lld", (long long)max_nodes,
            (long long)most);
    if (most > 0 && max_nodes < 0)
        FAIL(err, ST_INVALID_ARGUMENT, "max flamegraph nodes limit must be set (max allowed %lld)",
            (long long)most);
    *ret_nodes = max_nodes;
    return ST_OK;
}
