/* Limits of one profile, and the texts that name them.
 *
 * A pprof profile is checked by the codec on its wire form; this file checks what came as JFR or
 * text in the same order (spec/ingest.md §6.5), and the ingestion window (§7.2) for all. Strings
 * and label sets belong to the request's symbols, which several profiles share: they are looked at
 * once per request.
 *
 * Sizes and times are written as the reference writes them, because people search for those texts.
 * Labels and names inside messages are clipped, so that the reason behind them is never cut off.
 * Pure but for metrics; any thread. Failures are ST_INVALID_ARGUMENT with s->reason set. */
#include "ingest/ingest_int.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/utf8.h"
#include "codec/json.h"

enum {
    LABELS_TEXT_MAX = 1200, /* of ERROR_MSG_MAX: leaves room for every reason and prefix */
    HEX_BYTES_MAX = 256,
};

const struct str ingest_periods[INGEST_PERIODS] = {[INGEST_SECOND] = {"second", 6},
    [INGEST_MINUTE] = {"minute", 6},
    [INGEST_HOUR] = {"hour", 4},
    [INGEST_DAY] = {"day", 3},
    [INGEST_WEEK] = {"week", 4},
    [INGEST_MONTH] = {"month", 5},
    [INGEST_YEAR] = {"year", 4}};

void ingest_limits_default(struct ingest_limits *l)
{
    *l = (struct ingest_limits){
        .rate_bytes_per_s = 64.0 * (double)MIB,
        .burst_bytes = 64.0 * (double)MIB,
        .body_bytes_max = 256 * MIB,
        .profile_bytes_max = 32 * MIB,
        .profile_samples_max = 200000,
        .sample_labels_max = 100,
        .stack_depth_max = 1000,
        .string_bytes_max = 65535,
        .label_name_bytes_max = 1024,
        .label_value_bytes_max = 2048,
        .labels_per_series_max = 30,
        .reject_older_than_ns = 3600 * NS_PER_S,
        .reject_newer_than_ns = 600 * NS_PER_S,
        .active_series_max = 100000,
        .active_services_max = 1000,
    };
}

void ingest_size_text(uint64_t bytes, unsigned base, char out[32])
{
    static const char *const binary[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    static const char *const decimal[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    double v = (double)bytes;
    unsigned unit = 0;
    while (v >= base) {
        v /= base;
        unit++;
    }
    /* Rounded to a tenth, half up; the same number then decides about the decimal. */
    v = (double)(uint64_t)(v * 10 + 0.5) / 10;
    const char *name = base == 1024 ? binary[unit] : decimal[unit];
    snprintf(out, 32, unit && v < 10 ? "%.1f %s" : "%.0f %s", v, name);
}

void ingest_reset_text(int64_t s, char out[32])
{
    char full[32];
    size_t n = clock_format_ms(MAX(MIN(s, INT64_MAX / NS_PER_S), 0) * NS_PER_S, full);
    ASSERT(n == 24); /* "2026-01-01T00:00:00.000Z" */
    snprintf(out, 32, "%.19sZ", full);
}

struct str ingest_throttled(const struct ingest_request *rq, const struct ingest_series *s)
{
    const struct ingest_quota *q = &rq->limits.quota;
    struct buf b;
    buf_init(&b, 4 * KIB);
    buf_printf(&b,
        "{\"body\":{\"periodType\":\"%s\",\"periodLimitMb\":%" PRIu64 ",\"limitResetTime\":%" PRId64
        ",\"samplingPeriodSec\":%" PRId64 ",\"samplingRequests\":%" PRIu64 ",\"usageGroup\":",
        ingest_periods[q->period].p, (s->over ? s->over_bytes : q->period_bytes) / MIB, q->reset_s,
        (int64_t)(q->requests_period_ns / NS_PER_S), q->requests);
    json_put_string(&b, s->over ? ingest_clip(rq->arena, s->over->name, 300) : STR_EMPTY);
    buf_str(&b, STR("}}"));
    struct str text = arena_str(rq->arena, buf_view(&b));
    buf_done(&b);
    return text;
}

void ingest_time_text(int64_t ms, char out[64])
{
    int64_t s = ms / 1000 - (ms % 1000 < 0);
    int64_t days = s / 86400 - (s % 86400 < 0);
    int fraction = (int)(ms - s * 1000), of_day = (int)(s - days * 86400);
    int64_t year;
    unsigned month, day;
    clock_civil_from_days(days, &year, &month, &day);
    char dec[16];
    int n = snprintf(dec, sizeof dec, ".%03d", fraction);
    while (n > 0 && (dec[n - 1] == '0' || dec[n - 1] == '.')) /* no trailing zeros */
        dec[--n] = 0;
    snprintf(out, 64, "%04" PRId64 "-%02u-%02u %02d:%02d:%02d%s +0000 UTC", year, month, day,
        of_day / 3600, of_day / 60 % 60, of_day % 60, dec);
}

struct str ingest_clip(struct arena *arena, struct str s, size_t max)
{
    if (s.n <= max)
        return s;
    while (max > 0 && ((unsigned char)s.p[max] & 0xC0) == 0x80)
        max--;
    struct str cut = arena_str_join(arena, str_head(s, max), STR("\xe2\x80\xa6"));
    return cut.p ? cut : STR_EMPTY;
}

struct str ingest_labels_text(struct arena *arena, struct labels labels)
{
    struct buf b;
    buf_init(&b, MIB);
    labels_format(labels, &b);
    struct str text = arena_str(arena, buf_view(&b));
    buf_done(&b);
    return text.p ? ingest_clip(arena, text, LABELS_TEXT_MAX) : STR_EMPTY;
}

uint64_t ingest_labels_bytes(struct labels labels)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < labels.n; i++)
        n += labels.v[i].name.n + labels.v[i].value.n;
    return n;
}

/* The window is compared at millisecond precision, strictly. */
static bool in_window(const struct ingest_limits *l, int64_t now_ms, int64_t ms)
{
    int64_t older_ms = l->reject_older_than_ns / NS_PER_MS;
    int64_t newer_ms = l->reject_newer_than_ns / NS_PER_MS;
    if (l->reject_older_than_ns > 0 && ms <= now_ms - older_ms)
        return false;
    return l->reject_newer_than_ns <= 0 || ms < now_ms + newer_ms;
}

static enum status window_error(
    const struct ingest_limits *l, int64_t now_ms, int64_t ms, struct str labels, struct error *err)
{
    char at[64], from[64], to[64];
    ingest_time_text(ms, at);
    ingest_time_text(now_ms - l->reject_older_than_ns / NS_PER_MS, from);
    ingest_time_text(now_ms + l->reject_newer_than_ns / NS_PER_MS, to);
    bool older = l->reject_older_than_ns > 0, newer = l->reject_newer_than_ns > 0;
    FAIL(err, ST_INVALID_ARGUMENT,
        "profile with labels '%.*s' is outside of ingestion window (profile timestamp: %s, "
        "the ingestion window%s%s%s%s%s)",
        STR_ARG(labels), at, older ? " starts at " : "", older ? from : "",
        older && newer ? " and" : "", newer ? " ends at " : "", newer ? to : "");
}

enum status ingest_check_time(
    struct ingest_request *rq, struct ingest_series *s, int64_t *time_ns, struct error *err)
{
    if (*time_ns <= 0) {
        *time_ns = rq->now_ns;
        return ST_OK;
    }
    int64_t now_ms = rq->now_ns / NS_PER_MS, ms = *time_ns / NS_PER_MS;
    if (in_window(&rq->limits, now_ms, ms))
        return ST_OK;
    s->reason = STR("not_in_ingestion_window");
    struct str text = ingest_labels_text(rq->arena, s->labels);
    return window_error(&rq->limits, now_ms, ms, text, err);
}

static enum status too_many(struct ingest_request *rq, struct ingest_series *s, struct str reason,
    const char *what, uint64_t actual, uint64_t limit, struct error *err)
{
    s->reason = reason;
    struct str text = ingest_labels_text(rq->arena, s->labels);
    FAIL(err, ST_INVALID_ARGUMENT,
        "the profile with labels '%.*s' exceeds the %s, actual: %" PRIu64 ", limit: %" PRIu64 ")",
        STR_ARG(text), what, actual, limit);
}

static enum status bad_utf8(struct ingest_series *s, struct str bad, struct error *err)
{
    s->reason = STR("malformed_profile");
    size_t n = MIN(bad.n, (size_t)HEX_BYTES_MAX);
    char hex[2 * HEX_BYTES_MAX + 1];
    for (size_t i = 0; i < n; i++)
        snprintf(hex + 2 * i, 3, "%02x", (unsigned char)bad.p[i]);
    hex[2 * n] = 0;
    FAIL(err, ST_INVALID_ARGUMENT, "invalid utf8 string hex: %s%s", hex, n < bad.n ? "…" : "");
}

/* Strings are cut in place: the request owns the array. */
static enum status check_strings(struct ingest_request *rq, struct ingest_series *s,
    const struct prof_symbols *sym, struct error *err)
{
    uint64_t max = rq->limits.string_bytes_max, cut = 0;
    for (uint32_t i = 0; i < sym->n_strings; i++) {
        struct str *t = &sym->strings[i];
        if (max && t->n > max) {
            *t = str_skip(*t, t->n - max);
            cut++;
        }
        if (!utf8_valid(*t))
            return bad_utf8(s, *t, err);
    }
    if (cut)
        metric_add(M_TRUNCATED, (double)cut, STR("string"), rq->tenant);
    return ST_OK;
}

static enum status check_symbols(struct ingest_request *rq, struct ingest_series *s,
    const struct prof_symbols *sym, struct error *err)
{
    uint64_t max = rq->limits.sample_labels_max;
    for (uint32_t i = 0; max && i < sym->n_labelsets; i++)
        if (sym->labelsets[i].n > max)
            return too_many(rq, s, STR("sample_labels_limit"),
                "sample labels limit (max_profile_stacktrace_sample_labels", sym->labelsets[i].n,
                max, err);
    return check_strings(rq, s, sym, err);
}

enum status ingest_check_profile(
    struct ingest_request *rq, struct ingest_series *s, struct error *err)
{
    struct profile *p = s->prof;
    const struct ingest_limits *l = &rq->limits;
    ASSERT(p && p->sym);
    if (p->n_types == 0) {
        s->reason = STR("malformed_profile");
        FAIL(err, ST_INVALID_ARGUMENT, "empty profile");
    }
    TRY(ingest_check_time(rq, s, &p->time_ns, err));
    if (l->profile_bytes_max && p->size_bytes > l->profile_bytes_max)
        return too_many(rq, s, STR("profile_size_limit"), "size limit (max_profile_size_byte",
            p->size_bytes, l->profile_bytes_max, err);
    if (l->profile_samples_max && p->n_samples > l->profile_samples_max)
        return too_many(rq, s, STR("samples_limit"),
            "samples count limit (max_profile_stacktrace_samples", p->n_samples,
            l->profile_samples_max, err);
    if (rq->checked_sym == p->sym)
        return ST_OK;
    TRY(check_symbols(rq, s, p->sym, err));
    rq->checked_sym = p->sym;
    return ST_OK;
}
