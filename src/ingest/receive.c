/* What is counted of every profile that is received, whatever becomes of it (spec/ingest.md §7.7):
 * sizes, time of decoding, and which client sent it.
 *
 * Clients say who they are with the labels otel.scope.name and otel.scope.version. They end as
 * labels of a metric, so a name that is none of the known ones counts as `unknown`, and a version
 * must be a semantic one and short. Any thread; nothing can fail. */
#include "ingest/ingest_int.h"

#include "base/metrics.h"

enum { VERSION_BYTES_MAX = 40 };

static const struct str scopes[] = {{"com.grafana.pyroscope/go", 24},
    {"com.grafana.pyroscope/godeltaprof", 33}, {"com.grafana.pyroscope/java", 26},
    {"com.grafana.pyroscope/dotnet", 28}, {"com.grafana.pyroscope/rust", 26},
    {"com.grafana.pyroscope/python", 28}, {"com.grafana.pyroscope/ruby", 26},
    {"com.grafana.pyroscope/nodejs", 28}, {"com.grafana.alloy/pyroscope.scrape", 34},
    {"com.grafana.alloy/pyroscope.ebpf", 32}, {"com.grafana.alloy/pyroscope.java", 32}};

struct str ingest_scope_name(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++)
        if (str_eq(name, scopes[i]))
            return scopes[i];
    return STR("unknown");
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Takes a number without leading zeros off *s. */
static bool take_number(struct str *s)
{
    size_t n = 0;
    while (n < s->n && is_digit(s->p[n]))
        n++;
    if (n == 0 || (n > 1 && s->p[0] == '0'))
        return false;
    *s = str_skip(*s, n);
    return true;
}

/* What may follow a '-' or a '+': words of letters, digits and dashes between dots. */
static bool words_ok(struct str s)
{
    struct str_split it = {s, false};
    struct str word;
    while (str_split_next(&it, '.', &word)) {
        if (word.n == 0)
            return false;
        for (size_t i = 0; i < word.n; i++) {
            char c = word.p[i], low = (char)(c | 0x20);
            if (!is_digit(c) && !(low >= 'a' && low <= 'z') && c != '-')
                return false;
        }
    }
    return true;
}

struct str ingest_scope_version(struct str version)
{
    struct str rest = str_starts(version, STR("v")) ? str_skip(version, 1) : version;
    if (version.n > VERSION_BYTES_MAX)
        return STR_EMPTY;
    for (int i = 0; i < 3; i++) {
        if (i > 0 && (rest.n == 0 || rest.p[0] != '.'))
            return STR_EMPTY;
        rest = str_skip(rest, i > 0);
        if (!take_number(&rest))
            return STR_EMPTY;
    }
    size_t plus = str_find_char(rest, '+');
    struct str before = str_head(rest, plus);
    if (plus != STR_NPOS && !words_ok(str_skip(rest, plus + 1)))
        return STR_EMPTY;
    if (before.n && (before.p[0] != '-' || !words_ok(str_skip(before, 1))))
        return STR_EMPTY;
    return version;
}

struct str ingest_metric_type(const struct ingest_request *rq, const struct ingest_series *s)
{
    struct str name = rq->type.n ? rq->type : labels_get(s->labels, STR("__name__"));
    return name.p ? name : STR_EMPTY;
}

static struct str label(const struct ingest_series *s, struct str name)
{
    struct str v = labels_get(s->labels, name);
    return v.p ? v : STR_EMPTY;
}

void ingest_count_received(const struct ingest_request *rq, const struct ingest_series *s)
{
    struct str type = ingest_metric_type(rq, s);
    uint64_t profile = s->size_bytes - ingest_labels_bytes(s->labels);
    if (rq->family == FAMILY_PUSH)
        metric_observe(M_RECEIVED_COMPRESSED, (double)s->received_bytes, type, rq->tenant);
    else if (s == rq->series.v)
        metric_observe(M_RECEIVED_COMPRESSED, (double)rq->received_bytes, type, rq->tenant);
    metric_observe(M_RECEIVED_DECOMPRESSED, (double)profile, type, rq->tenant);
    metric_observe(M_RECEIVED_STAGE, (double)profile, rq->tenant, STR("received"));
    ingest_groups_received(rq, s);
    metric_add(M_PROFILES_RECEIVED, 1, rq->tenant,
        ingest_scope_name(label(s, STR("otel.scope.name"))),
        ingest_scope_version(label(s, STR("otel.scope.version"))));
}

void ingest_count_samples(const struct ingest_request *rq, const struct ingest_series *s)
{
    struct str type = ingest_metric_type(rq, s);
    const struct profile *p = s->prof;
    metric_observe(M_RECEIVED_SAMPLES, p->n_samples, type, rq->tenant);
    metric_observe(M_RECEIVED_SAMPLE_BYTES, (double)p->sample_bytes, type, rq->tenant);
    metric_observe(
        M_RECEIVED_SYMBOL_BYTES, (double)(p->size_bytes - p->sample_bytes), type, rq->tenant);
}

void ingest_count_parsed(
    const struct ingest_request *rq, const struct ingest_series *s, int64_t took_ns)
{
    metric_observe(
        M_PARSE_SECONDS, (double)took_ns / NS_PER_S, ingest_metric_type(rq, s), rq->tenant);
}
