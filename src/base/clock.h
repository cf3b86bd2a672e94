/* Time in nanoseconds: wall (since the epoch) and monotonic. Codecs and cores get times passed in;
 * only the edges read the clock. Tests may set the wall clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/base.h"

int64_t clock_wall_ns(void);
int64_t clock_mono_ns(void);
int64_t clock_cpu_ns(void);                /* of the process */
void clock_wall_set_for_tests(int64_t ns); /* 0 = real again */

/* "2026-11-22T01:02:03.456Z"; returns the length (24). Years 0..9999, else clamped. */
size_t clock_format_ms(int64_t wall_ns, char out[32]);
/* Days since 1970-01-01 of a civil date and back (proleptic Gregorian). */
int64_t clock_days_from_civil(int64_t year, unsigned month, unsigned day);
void clock_civil_from_days(int64_t days, int64_t *ret_year, unsigned *ret_month, unsigned *ret_day);

#endif
