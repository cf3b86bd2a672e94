/* How long the disk lasts: see usage.h. Pure: sums and limits in, a forecast out.
 *
 * What a tenant's day takes is the mean of the last seven full days, or of as many as there are,
 * from the first whole one on; of these only days at rest, whose blocks are merged, when there are
 * any: what is not merged yet is larger than it will be. A tenant of less than a day is stretched.
 *
 * A tenant grows by that until it has as much as it may keep (a day more than its age, because
 * whole blocks go) and stays there. All together grow until no tenant does any more, or until they
 * reach the first bound of the store or of the disk:
 *
 *     bytes │              ┌───────── settles
 *           │        ┌─────┘           a tenant has its age
 *           │   ╱────┘
 *           └──────────────────── days */
#include "store/usage.h"

#include "base/clock.h"

#define DAY_NS (24 * 3600 * NS_PER_S)

const char *const usage_limit_names[] = {
    [USAGE_NO_LIMIT] = "",
    [USAGE_LIMIT_KEEP] = "retention-period",
    [USAGE_LIMIT_BYTES] = "store.retention-bytes",
    [USAGE_LIMIT_DISK] = "store.retention-disk-percent",
    [USAGE_LIMIT_FREE] = "disk",
};

/* Growth that takes longer than this is none. */
#define DAYS_MAX 36500.0

static int64_t day_of(int64_t time_ns)
{
    return time_ns / DAY_NS - (time_ns % DAY_NS < 0);
}

struct pace {
    double per_day;
    uint32_t days;
    bool at_rest;
};

static bool is_at_rest(const struct usage_tenant *t, uint32_t ago)
{
    return t->rest[ago] >= t->day[ago] / 2;
}

/* Of data that began today or yesterday: by the hour. */
static struct pace stretched(const struct usage_tenant *t, int64_t now_ns)
{
    int64_t span;
    struct pace p = {0};
    if (!__builtin_sub_overflow(now_ns, t->oldest_ns, &span) && span >= DAY_NS / 24)
        p.per_day = (double)t->bytes * (double)DAY_NS / (double)span;
    return p;
}

static struct pace pace_of(const struct usage_tenant *t, int64_t now_ns)
{
    int64_t first = day_of(t->oldest_ns), today = day_of(now_ns);
    uint64_t bytes[2] = {0};
    uint32_t days[2] = {0};
    bool any_rest = false;
    first += t->oldest_ns - first * DAY_NS > DAY_NS / 24; /* a day that began late is no full one */
    uint32_t n = first >= today ? 0 : (uint32_t)MIN(today - first, (int64_t)USAGE_WEEK);
    for (uint32_t ago = 1; ago <= n; ago++) {
        bool rest = is_at_rest(t, ago);
        any_rest |= rest && t->day[ago];
        bytes[rest] += t->day[ago];
        days[rest]++;
    }
    if (n == 0)
        return stretched(t, now_ns);
    if (!any_rest) {
        bytes[true] += bytes[false];
        days[true] += days[false];
    }
    return (struct pace){
        (double)bytes[true] / days[true], days[true], any_rest || bytes[true] == 0};
}

/* Where a tenant stays; < 0: nowhere. */
static double settles_at(const struct usage_tenant *t, double per_day)
{
    double most = -1;
    if (t->keep.age_ns > 0)
        most = per_day * ((double)t->keep.age_ns / (double)DAY_NS + 1);
    if (t->keep.bytes && (most < 0 || most > (double)t->keep.bytes))
        most = (double)t->keep.bytes;
    return per_day <= 0 && most < 0 ? (double)t->bytes : most;
}

static double bytes_after(
    const struct usage_tenant *tenants, uint32_t n, int64_t now_ns, double days)
{
    double sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        double per_day = pace_of(&tenants[i], now_ns).per_day;
        double most = settles_at(&tenants[i], per_day), now = (double)tenants[i].bytes;
        double then = now + per_day * days;
        sum += most >= 0 && then > most ? MAX(most, now) : then;
    }
    return sum;
}

static void bound(struct usage_forecast *f, uint64_t bytes, enum usage_limit limit)
{
    if (f->is_bounded && f->bytes_max <= bytes)
        return;
    f->is_bounded = true;
    f->bytes_max = bytes;
    f->limit = limit;
}

static void find_bound(struct usage_forecast *f, const struct usage_room *room)
{
    if (room->bytes_max)
        bound(f, room->bytes_max, USAGE_LIMIT_BYTES);
    if (!room->known)
        return;
    bound(f, f->bytes + room->disk_free, USAGE_LIMIT_FREE);
    if (room->disk_percent == 0 || room->disk_percent >= 100)
        return;
    uint64_t used = room->disk_total - MIN(room->disk_free, room->disk_total);
    uint64_t most = room->disk_total / 100 * room->disk_percent;
    bound(f, most > used ? f->bytes + (most - used) : f->bytes - MIN(f->bytes, used - most),
        USAGE_LIMIT_DISK);
}

/* When the bound is reached: growth never falls, so halving finds it. */
static void find_day(
    struct usage_forecast *f, const struct usage_tenant *tenants, uint32_t n, int64_t now_ns)
{
    double low = 0, high = DAYS_MAX, bytes_max = (double)f->bytes_max;
    if (!f->is_bounded || bytes_after(tenants, n, now_ns, high) < bytes_max)
        return;
    f->fills = true;
    for (int i = 0; i < 40 && (double)f->bytes < bytes_max; i++) {
        double middle = (low + high) / 2;
        if (bytes_after(tenants, n, now_ns, middle) < bytes_max)
            low = middle;
        else
            high = middle;
    }
    f->days_left = (double)f->bytes < bytes_max ? high : 0;
}

void usage_forecast(const struct usage_tenant *tenants, uint32_t n, const struct usage_room *room,
    int64_t now_ns, struct usage_forecast *ret_forecast)
{
    struct usage_forecast f = {.at_rest = true, .settles = true};
    for (uint32_t i = 0; i < n; i++) {
        struct pace p = pace_of(&tenants[i], now_ns);
        double most = settles_at(&tenants[i], p.per_day);
        f.bytes += tenants[i].bytes;
        f.bytes_per_day += p.per_day;
        f.days = MAX(f.days, p.days);
        f.at_rest &= p.at_rest;
        f.settles &= most >= 0;
        f.settles_at += most;
    }
    find_bound(&f, room);
    find_day(&f, tenants, n, now_ns);
    if (!f.settles)
        f.settles_at = 0;
    if (!f.fills)
        f.limit = f.settles ? USAGE_LIMIT_KEEP : USAGE_NO_LIMIT;
    *ret_forecast = f;
}
