/* Metrics: every family is one line of metrics_list.h; values by id and label values.
 *
 * Any thread. A family holds at most METRIC_CELLS_MAX label combinations; further ones are counted
 * under the value "other". Rendered as Prometheus text. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"
#include "base/metrics_list.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

enum metric_id {
#define X(id, type, name, labels, buckets, help) M_##id,
    METRICS_LIST(X)
#undef X
        METRIC_COUNT
};

/* The label values follow the label names of the list, as struct str, in order:
 *     metric_add(M_DISCARDED_SAMPLES, 1, STR("rate_limited"), tenant);
 * For histograms, metric_observe. */
#define METRIC_LABELS_(...) ((const struct str[]){__VA_ARGS__ __VA_OPT__(, ){NULL, 0}})
#define metric_add(id, v, ...) metric_add_((id), (v), METRIC_LABELS_(__VA_ARGS__))
#define metric_set(id, v, ...) metric_set_((id), (v), METRIC_LABELS_(__VA_ARGS__))
#define metric_observe(id, v, ...) metric_observe_((id), (v), METRIC_LABELS_(__VA_ARGS__))
#define metric_get(id, ...) metric_get_((id), METRIC_LABELS_(__VA_ARGS__))

void metric_add_(enum metric_id id, double v, const struct str *labels);
void metric_set_(enum metric_id id, double v, const struct str *labels);
void metric_observe_(enum metric_id id, double v, const struct str *labels);
double metric_get_(enum metric_id id, const struct str *labels); /* 0 when never set */

/* Label values are clipped at 256 bytes; what is not UTF-8 is rendered as U+FFFD. */
void metrics_render(struct buf *out);

#endif
