/* See clock.h. */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>

static _Atomic int64_t fixed_wall_ns;

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t clock_wall_ns(void)
{
    int64_t fixed = atomic_load_explicit(&fixed_wall_ns, memory_order_relaxed);
    return fixed ? fixed : read_clock(CLOCK_REALTIME);
}

int64_t clock_mono_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void clock_wall_set_for_tests(int64_t ns)
{
    atomic_store(&fixed_wall_ns, ns);
}

/* Howard Hinnant's civil calendar algorithms: eras of 400 years. */
int64_t clock_days_from_civil(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    unsigned yoe = (unsigned)(y - era * 400);
    unsigned doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    unsigned doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + (int64_t)doe - 719468;
}

void clock_civil_from_days(int64_t z, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    z += 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned doe = (unsigned)(z - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *ret_day = doy - (153 * mp + 2) / 5 + 1;
    *ret_month = mp < 10 ? mp + 3 : mp - 9;
    *ret_year = (int64_t)yoe + era * 400 + (*ret_month <= 2);
}

size_t clock_format_ms(int64_t wall_ns, char out[32])
{
    int64_t ms = wall_ns / NS_PER_MS - (wall_ns % NS_PER_MS < 0);
    int64_t days = ms / 86400000 - (ms % 86400000 < 0);
    int64_t in_day = ms - days * 86400000, year;
    unsigned month, day;
    clock_civil_from_days(days, &year, &month, &day);
    year = MIN(MAX(year, 0), 9999);
    int n = snprintf(out, 32, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ", (int)year, month, day,
        (int)(in_day / 3600000), (int)(in_day / 60000 % 60), (int)(in_day / 1000 % 60),
        (int)(in_day % 1000));
    return (size_t)MIN(MAX(n, 0), 31);
}
