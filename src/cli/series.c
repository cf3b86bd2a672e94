/* `everflame series`: how a value went over time, as sparklines.
 *
 * What adds up (CPU time, allocations, waits) is summed per step and shown per second; what is a
 * state (memory in use, goroutines) is averaged over the snapshots of a step, because the sum of
 * snapshots means nothing. A step without profiles is a gap, not a zero.
 *
 * Thread: one. */
#include <math.h>

#include "cli/cli_int.h"
#include "cli/units.h"
#include "codec/json.h"

enum { ROWS = 20, STATS = 46, SPARK_MIN = 12, SPARK_MAX = 120, STEP_MIN_S = 15, CELL_MAX = 4096 };

struct steps {
    int64_t start_ms, step_ms;
    uint32_t n; /* points at start + i * step, i in 0..n - 1; each covers the step before it */
};

/* Points end exactly at the end of the range: later profiles would be dropped. */
static struct steps steps_for(struct time_range r, uint32_t columns)
{
    int64_t length = (r.until_ns - r.from_ns) / NS_PER_MS;
    uint32_t n = MAX(SPARK_MIN, MIN(columns > STATS ? columns - STATS : 0, SPARK_MAX));
    int64_t step = (length + n - 1) / n;
    step = MAX((step + 999) / 1000 * 1000, STEP_MIN_S * 1000);
    n = (uint32_t)MAX((length + step - 1) / step, 1);
    int64_t until = r.until_ns / NS_PER_MS;
    return (struct steps){until - (n - 1) * step, step, n};
}

static double *values_of(struct cli *c, const struct m_series *s, const struct steps *st)
{
    double *v = ARENA_ARRAY(&c->arena, double, st->n);
    for (uint32_t i = 0; v && i < st->n; i++)
        v[i] = NAN;
    for (uint32_t i = 0; v && i < s->points.n; i++) {
        int64_t at = (s->points.v[i].timestamp - st->start_ms) / st->step_ms;
        if (at >= 0 && at < st->n)
            v[at] = s->points.v[i].value;
    }
    return v;
}

/* "12.3 cores", "4.5 MiB/s", "6.7 MiB" */
static struct str cell(struct cli *c, const struct profile_type *t, double value, int64_t step_ms)
{
    struct buf b;
    buf_init(&b, CELL_MAX);
    double seconds = (double)step_ms / 1000;
    bool time = str_eq(t->sample_unit, STR("nanoseconds"));
    if (type_is_state(t)) {
        units_put(&b, t->sample_unit, value);
    } else if (time) {
        double cores = value / seconds / 1e9;
        const char *what = str_eq(t->sample_type, STR("cpu")) ? "cores" : "s/s";
        if (cores > 0 && cores < 0.0005)
            buf_printf(&b, "<0.001 %s", what);
        else
            buf_printf(&b, "%.*f %s", cores < 10 ? 3 : 1, cores, what);
    } else {
        units_put(&b, t->sample_unit, value / seconds);
        buf_str(&b, STR("/s"));
    }
    return keep_text(&c->arena, &b);
}

static struct str group_name(struct cli *c, const struct m_series *s, struct str fallback)
{
    struct buf b;
    buf_init(&b, CELL_MAX);
    for (uint32_t i = 0; i < s->labels.n; i++) {
        buf_str(&b, i ? STR(", ") : STR_EMPTY);
        text_put(&b, s->labels.v[i].value);
    }
    if (s->labels.n == 0)
        text_put(&b, fallback);
    return keep_text(&c->arena, &b);
}

static enum status put_row(struct cli *c, struct table *t, const struct selection *sel,
    const struct m_series *s, const struct steps *st, bool grouped)
{
    double *v = values_of(c, s, st), sum = 0, max = 0;
    uint32_t n = 0;
    if (!v)
        return cli_no_memory(c);
    for (uint32_t i = 0; i < st->n; i++) {
        if (isnan(v[i]))
            continue;
        sum += v[i];
        max = v[i] > max ? v[i] : max;
        n++;
    }
    struct buf spark;
    buf_init(&spark, CELL_MAX);
    spark_put(&spark, v, st->n);
    struct str line = keep_text(&c->arena, &spark);
    double average = type_is_state(&sel->type) ? (n ? sum / n : 0) : sum / st->n;
    table_cell(t, group_name(c, s, grouped ? STR("(none)") : sel->service));
    table_cell(t, line);
    table_cell(t, cell(c, &sel->type, average, st->step_ms));
    table_cell(t, cell(c, &sel->type, max, st->step_ms));
    return ST_OK;
}

static enum status put_text(struct cli *c, const struct selection *sel,
    const struct m_select_series_response *rs, const struct steps *st, bool grouped)
{
    struct table t = {.arena = &c->arena, .columns = 4, .align = "llrr"};
    uint32_t shown = MIN(rs->series.n, opt_rows(c, ROWS));
    static const char *const heads[] = {"", "", "AVERAGE", "HIGHEST"};
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        table_cell(&t, str_from(heads[i]));
    for (uint32_t i = 0; i < shown; i++)
        TRY(put_row(c, &t, sel, &rs->series.v[i], st, grouped));
    selection_put(&c->out, sel);
    buf_str(&c->out, STR("  a step is "));
    units_put_span(&c->out, st->step_ms * NS_PER_MS);
    buf_str(&c->out, STR("\n\n"));
    table_put(&t, &c->out);
    if (shown < rs->series.n)
        buf_printf(&c->out, "\n%u more groups: -n 0 shows all\n", rs->series.n - shown);
    return ST_OK;
}

static void put_json(struct cli *c, const struct selection *sel,
    const struct m_select_series_response *rs, const struct steps *st)
{
    struct buf *out = &c->out;
    uint32_t shown = MIN(rs->series.n, opt_rows(c, 0));
    buf_byte(out, '{');
    selection_put_json(out, sel);
    buf_printf(out, "\"aggregation\":\"%s\",\"step_ms\":%lld,\"series\":[",
        type_is_state(&sel->type) ? "average" : "sum", (long long)st->step_ms);
    for (uint32_t i = 0; i < shown; i++) {
        const struct m_series *s = &rs->series.v[i];
        buf_str(out, i ? STR(",\n{\"labels\":{") : STR("\n{\"labels\":{"));
        for (uint32_t k = 0; k < s->labels.n; k++) {
            buf_str(out, k ? STR(",") : STR_EMPTY);
            json_put_string(out, s->labels.v[k].name);
            buf_byte(out, ':');
            json_put_string(out, s->labels.v[k].value);
        }
        buf_str(out, STR("},\"points\":["));
        for (uint32_t k = 0; k < s->points.n; k++) {
            buf_printf(out, "%s[%lld,", k ? "," : "", (long long)s->points.v[k].timestamp);
            json_put_double(out, s->points.v[k].value);
            buf_byte(out, ']');
        }
        buf_str(out, STR("]}"));
    }
    buf_str(out, STR("]}\n"));
}

enum status cmd_series(struct cli *c)
{
    struct time_range range;
    struct selection sel;
    TRY(time_range_get(c, &range));
    bool grouped = opt_has(c, OPT_BY);
    TRY(select_all(c, range, true, &sel));
    struct steps st = steps_for(range, c->term.columns);
    struct m_select_series_request rq = {
        .profile_typeID = sel.type.id,
        .label_selector = sel.selector,
        .start = st.start_ms,
        .end = range.until_ns / NS_PER_MS,
        .step = (double)st.step_ms / 1000,
        .aggregation = type_is_state(&sel.type) ? M_AGGREGATION_AVERAGE : M_AGGREGATION_SUM,
        .has_aggregation = true,
    };
    struct str by_service = STR("service_name");
    rq.group_by.v = grouped ? c->options[OPT_BY].given.v : &by_service;
    rq.group_by.n = grouped ? c->options[OPT_BY].given.n : !sel.service.p;
    void *rs;
    TRY(client_ask(c, "SelectSeries", &m_select_series_request_desc, &rq,
        &m_select_series_response_desc, &rs, NULL));
    if (((struct m_select_series_response *)rs)->series.n == 0)
        FAIL(&c->err, ST_NOT_FOUND,
            "there are no profiles in this time range: widen it, or see `everflame services`");
    if (!opt_json(c))
        return put_text(c, &sel, rs, &st, grouped || !sel.service.p);
    put_json(c, &sel, rs, &st);
    return ST_OK;
}
