/* What is not stored is counted with its reason (spec/ingest.md §7.7): in metrics, by usage group
 * where there are any, and for people (refusals.h). Any thread; nothing can fail. */
#include "ingest/ingest_int.h"

#include "base/metrics.h"

/* Two settings may be behind one reason of the metrics; people are told which. */
static struct str metric_reason(struct str reason)
{
    return str_eq(reason, STR("usage_group_limit_reached")) ? STR("ingest_limit_reached") : reason;
}

void ingest_discarded(struct ingest *ig, struct str tenant, struct str service, struct str reason,
    uint64_t profiles, double bytes, int64_t now_ns, const struct error *err)
{
    metric_add(M_DISCARDED_SAMPLES, (double)profiles, metric_reason(reason), tenant);
    metric_add(M_DISCARDED_BYTES, bytes, metric_reason(reason), tenant);
    if (profiles)
        metric_add(
            M_REFUSED_PROFILES, (double)profiles, tenant, service, reason, refusal_setting(reason));
    if (profiles && tenant.n)
        refusals_note(
            ingest_refusals(ig), tenant, service, reason, profiles, error_str(err), now_ns);
}

void ingest_count_discarded(struct ingest_request *rq, struct str service, struct str reason,
    uint64_t profiles, double bytes, const struct error *err)
{
    ingest_discarded(rq->ig, rq->tenant, service, reason, profiles, bytes, rq->now_ns, err);
}

static struct str service_of(const struct ingest_series *s)
{
    struct str service = labels_get(s->labels, STR("service_name"));
    return service.p ? service : STR_EMPTY;
}

void ingest_discard_series(struct ingest_request *rq, const struct ingest_series *s,
    struct str reason, const struct error *err)
{
    ingest_groups_discarded(rq, s, metric_reason(reason));
    ingest_count_discarded(rq, service_of(s), reason, 1, (double)s->size_bytes, err);
}

void ingest_discard_all(struct ingest_request *rq, struct str reason, const struct error *err)
{
    double bytes = 0;
    uint32_t n = 0;
    struct str service = STR_EMPTY;
    for (uint32_t i = 0; i < rq->series.n; i++) {
        struct ingest_series *s = &rq->series.v[i];
        if (s->refused || s->dropped)
            continue; /* counted when it was */
        if (n && !str_eq(service, service_of(s))) {
            ingest_count_discarded(rq, service, reason, n, bytes, err);
            bytes = n = 0;
        }
        service = service_of(s);
        bytes += (double)s->size_bytes;
        n++;
        ingest_groups_discarded(rq, s, metric_reason(reason));
    }
    ingest_count_discarded(rq, service, reason, n, bytes, err);
}

void ingest_count_dropped(struct ingest_request *rq, const struct ingest_series *s)
{
    struct error why = {0};
    error_set(&why, ST_OK, __FILE__, __LINE__, "the tenant's relabelling rules drop it");
    ingest_discard_series(rq, s, STR("dropped_by_relabel_rules"), &why);
}
