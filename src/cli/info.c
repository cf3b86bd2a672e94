/* `everflame services`, `labels`, `ready`, `version`: what there is.
 *
 * When a service was last seen is read from its series: the last step with a profile, known to the
 * step, so a service of the newest step reads `< 15 s ago`. A service that is listed but has no
 * profile in the range (the server's list may be a little wider) is shown without a time. Thread:
 * one. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli_int.h"
#include "cli/units.h"
#include "codec/json.h"

enum { SEEN_STEPS = 1000, SEEN_STEP_MIN_MS = 15000, CELL_MAX = 256 };

struct seen {
    struct str service, type;
    int64_t last_ms; /* end of the step; 0: not known */
};

struct seen_list {
    MSG_LIST(struct seen) rows;
    int64_t step_ms;
};

static int by_service(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    int order = str_cmp(x->service, y->service);
    return order ? order : str_cmp(x->type, y->type);
}

static int by_type(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;
    int order = str_cmp(x->type, y->type);
    return order ? order : str_cmp(x->service, y->service);
}

static struct str label_of(const struct m_label_pair *v, uint32_t n, struct str name)
{
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(v[i].name, name))
            return v[i].value;
    return STR_EMPTY;
}

static enum status list_services(
    struct cli *c, struct str selector, struct time_range r, struct seen_list *list)
{
    struct str names[] = {STR("__profile_type__"), STR("service_name")};
    struct m_series_request rq = {.start = r.from_ns / NS_PER_MS, .end = r.until_ns / NS_PER_MS};
    void *rs;
    rq.matchers.v = &selector;
    rq.matchers.n = 1;
    rq.label_names.v = names;
    rq.label_names.n = ARRAY_LEN(names);
    TRY(client_ask(c, "Series", &m_series_request_desc, &rq, &m_series_response_desc, &rs, NULL));
    const struct m_series_response *series = rs;
    for (uint32_t i = 0; i < series->labels_set.n; i++) {
        const struct m_labels *ls = &series->labels_set.v[i];
        struct seen *slot = VEC_PUSH(&c->arena, list->rows);
        if (!slot)
            return cli_no_memory(c);
        *slot = (struct seen){label_of(ls->labels.v, ls->labels.n, names[1]),
            label_of(ls->labels.v, ls->labels.n, names[0]), 0};
    }
    return ST_OK;
}

/* When each service of rows (all of one type, n of them) was last seen. */
static enum status ask_seen(struct cli *c, struct str selector, struct time_range r, int64_t step,
    struct seen *rows, uint32_t n)
{
    struct str by = STR("service_name");
    int64_t length = (r.until_ns - r.from_ns) / NS_PER_MS, end = r.until_ns / NS_PER_MS;
    struct m_select_series_request rq = {
        .profile_typeID = rows[0].type,
        .label_selector = selector,
        .start = end - length / step * step,
        .end = end,
        .step = (double)step / 1000,
    };
    void *rs;
    rq.group_by.v = &by;
    rq.group_by.n = 1;
    TRY(client_ask(c, "SelectSeries", &m_select_series_request_desc, &rq,
        &m_select_series_response_desc, &rs, NULL));
    const struct m_select_series_response *answer = rs;
    for (uint32_t i = 0; i < answer->series.n; i++) {
        const struct m_series *s = &answer->series.v[i];
        struct seen key = {label_of(s->labels.v, s->labels.n, by), rows[0].type, 0};
        struct seen *hit = bsearch(&key, rows, n, sizeof *rows, by_type);
        if (hit && s->points.n)
            hit->last_ms = s->points.v[s->points.n - 1].timestamp;
    }
    return ST_OK;
}

static enum status ask_all_seen(
    struct cli *c, struct str selector, struct time_range r, struct seen_list *list)
{
    struct seen *v = list->rows.v;
    list->step_ms = MAX((r.until_ns - r.from_ns) / NS_PER_MS / SEEN_STEPS, SEEN_STEP_MIN_MS);
    qsort(v, list->rows.n, sizeof *v, by_type);
    for (uint32_t i = 0, end; i < list->rows.n; i = end) {
        for (end = i; end < list->rows.n && str_eq(v[end].type, v[i].type);)
            end++;
        TRY(ask_seen(c, selector, r, list->step_ms, v + i, end - i));
    }
    qsort(v, list->rows.n, sizeof *v, by_service);
    return ST_OK;
}

static struct str age(struct cli *c, int64_t last_ms, int64_t step_ms)
{
    struct buf b;
    int64_t age_ns = c->now_ns - last_ms * NS_PER_MS;
    if (!last_ms)
        return STR("-");
    buf_init(&b, CELL_MAX);
    if (age_ns < step_ms * NS_PER_MS / 2)
        buf_str(&b, STR("< "));
    units_put_span(&b, MAX(age_ns, step_ms * NS_PER_MS));
    buf_str(&b, STR(" ago"));
    return keep_text(&c->arena, &b);
}

static void put_services(struct cli *c, const struct seen_list *list)
{
    struct table t = {.arena = &c->arena, .columns = 3, .align = "lll"};
    table_cell(&t, STR("SERVICE"));
    table_cell(&t, STR("TYPE"));
    table_cell(&t, STR("LAST SEEN"));
    for (uint32_t i = 0; i < list->rows.n; i++) {
        const struct seen *row = &list->rows.v[i];
        bool again = i > 0 && str_eq(row->service, row[-1].service);
        table_cell(&t, again ? STR_EMPTY : row->service);
        table_cell(&t, row->type);
        table_cell(&t, age(c, row->last_ms, list->step_ms));
    }
    table_put(&t, &c->out);
}

static void put_services_json(struct cli *c, const struct seen_list *list)
{
    struct buf *out = &c->out;
    buf_byte(out, '[');
    for (uint32_t i = 0; i < list->rows.n; i++) {
        const struct seen *row = &list->rows.v[i];
        buf_str(out, i ? STR(",\n{\"service\":") : STR("\n{\"service\":"));
        json_put_string(out, row->service);
        buf_str(out, STR(",\"type\":"));
        json_put_string(out, row->type);
        buf_str(out, STR(",\"last_seen_ms\":"));
        if (row->last_ms)
            json_put_i64(out, row->last_ms);
        else
            buf_str(out, STR("null"));
        buf_printf(out, ",\"known_to_ms\":%lld}", (long long)list->step_ms);
    }
    buf_str(out, STR("]\n"));
}

static enum status no_profiles(struct cli *c, struct time_range r)
{
    struct buf b;
    struct str url = http_url(c->http);
    buf_init(&b, CELL_MAX);
    time_range_put(&b, r);
    struct str when = keep_text(&c->arena, &b);
    FAIL(&c->err, ST_NOT_FOUND,
        "there is nothing from %.*s at %.*s: look further back with --since 7d, or send some: "
        "`everflame upload FILE --name SERVICE`, or point a Pyroscope SDK at %.*s",
        STR_ARG(when), STR_ARG(url), STR_ARG(url));
}

enum status cmd_services(struct cli *c)
{
    struct time_range r;
    struct seen_list list = {0};
    struct str selector;
    bool has_service;
    TRY(time_range_get(c, &r));
    TRY(select_labels(c, &selector, &has_service));
    TRY(list_services(c, selector, r, &list));
    if (list.rows.n == 0)
        return no_profiles(c, r);
    TRY(ask_all_seen(c, selector, r, &list));
    if (opt_json(c))
        put_services_json(c, &list);
    else
        put_services(c, &list);
    return ST_OK;
}

static enum status ask_names(
    struct cli *c, struct str selector, struct time_range r, struct m_names_response **ret_names)
{
    struct m_label_names_request rq = {
        .start = r.from_ns / NS_PER_MS, .end = r.until_ns / NS_PER_MS};
    void *rs;
    rq.matchers.v = &selector;
    rq.matchers.n = 1;
    TRY(client_ask(
        c, "LabelNames", &m_label_names_request_desc, &rq, &m_names_response_desc, &rs, NULL));
    *ret_names = rs;
    return ST_OK;
}

enum status cmd_labels(struct cli *c)
{
    struct time_range r;
    struct str selector;
    struct m_names_response *names;
    bool has_service, values = c->args.n > 0;
    TRY(time_range_get(c, &r));
    TRY(select_labels(c, &selector, &has_service));
    if (values)
        TRY(client_label_values(c, c->args.v[0], selector, r, &names));
    else
        TRY(ask_names(c, selector, r, &names));
    if (names->names.n == 0 && !values)
        return no_profiles(c, r);
    if (names->names.n == 0)
        FAIL(&c->err, ST_NOT_FOUND,
            "no profile of this time range has a label %.*s: `everflame labels` lists those there "
            "are",
            STR_ARG(c->args.v[0]));
    uint32_t n = 0, most = opt_rows(c, 0);
    if (opt_json(c))
        buf_byte(&c->out, '[');
    for (uint32_t i = 0; i < names->names.n && n < most; i++) {
        struct str s = names->names.v[i];
        if (!values && !opt_has(c, OPT_ALL) && str_starts(s, STR("__")))
            continue;
        if (opt_json(c)) {
            buf_str(&c->out, n ? STR(",") : STR_EMPTY);
            json_put_string(&c->out, s);
        } else {
            text_put(&c->out, s);
            buf_byte(&c->out, '\n');
        }
        n++;
    }
    if (opt_json(c))
        buf_str(&c->out, STR("]\n"));
    return ST_OK;
}

enum status cmd_ready(struct cli *c)
{
    struct http_answer a;
    TRY(http_send(c->http, "/ready", NULL, STR_EMPTY, &c->arena, &a, &c->err));
    if (a.status != 200) {
        struct str url = http_url(c->http), body = str_head(str_trim(a.body), 300);
        FAIL(&c->err, ST_UNAVAILABLE, "%.*s is not ready (HTTP status %d): %.*s", STR_ARG(url),
            a.status, STR_ARG(body));
    }
    buf_str(&c->out, opt_json(c) ? STR("{\"ready\":true}\n") : STR("ready\n"));
    return ST_OK;
}

enum status cmd_version(struct cli *c)
{
    buf_str(&c->out, opt_json(c) ? STR("{\"version\":\"" EVERFLAME_VERSION "\"}\n")
                                 : STR("everflame " EVERFLAME_VERSION "\n"));
    return ST_OK;
}
