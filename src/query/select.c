/* What all Select* requests share: profile type, selector, sample filters; in the reference's
 * order.
 *
 * A request names one profile type, which becomes a matcher of __profile_type__, and a selector. A
 * bare profile name (`process_cpu`) in place of the type is taken for the type that it can only
 * mean: the one of that name that the selector finds in the range; with several, or none, the
 * answer names them. Series of totals without stacks (__sampled__="true") are left out, but for
 * timelines of tenants that want them. */
#include "query/query_int.h"

enum { QUOTED_MAX = 400, CANDIDATES_SHOWN = 20 };

enum status query_selector_parse(
    struct query *q, struct str text, const char *what, struct selector *sel, struct error *err)
{
    enum status st = selector_parse(text, q->arena, sel, err);
    if (st == ST_OK)
        selector_rewrite_types(sel);
    if (st != ST_INVALID_ARGUMENT)
        return query_status(q, st, err);
    struct buf quoted;
    buf_init(&quoted, 8 * KIB);
    quote_go(str_head(text, QUOTED_MAX), &quoted);
    error_wrap(err, st, "%s %.*s", what, STR_ARG(buf_view(&quoted)));
    buf_done(&quoted);
    return st;
}

static enum status add_matcher(struct query *q, struct selector *sel, struct str name,
    enum match_op op, struct str value, struct error *err)
{
    return query_status(q, selector_add(sel, name, op, value, q->arena, err), err);
}

static enum status not_one_type(
    struct str name, const struct str *types, uint32_t n, struct error *err)
{
    struct buf list;
    struct str shown = str_head(name, QUOTED_MAX);
    buf_init(&list, 8 * KIB);
    for (uint32_t i = 0; i < n && i < CANDIDATES_SHOWN; i++)
        buf_printf(&list, "%s%.*s", i ? ", " : "", STR_ARG(str_head(types[i], QUOTED_MAX)));
    struct str text = buf_view(&list);
    error_set(err, ST_INVALID_ARGUMENT, __FILE__, __LINE__,
        "profile-type selection must be of the form <name>:<sample-type>:<sample-unit>:"
        "<period-type>:<period-unit>(:delta), got(1): \"%.*s\"; %s%.*s%s",
        STR_ARG(shown),
        n ? "a bare name stands for one type, there are several: "
          : "no series of the selection has that name in the time range",
        STR_ARG(text), n > CANDIDATES_SHOWN ? ", …" : "");
    buf_done(&list);
    return ST_INVALID_ARGUMENT;
}

static enum status find_type(
    struct query *q, struct selection *s, struct str name, struct error *err)
{
    struct exec x = {0};
    struct str *types;
    uint32_t n = 0;
    TRY(add_matcher(q, &s->sel, STR("__name__"), MATCH_EQ, name, err));
    enum status st = selection_open(q, s, &x, err);
    if (st == ST_OK)
        st = label_values(&x, STR("__profile_type__"), &types, &n, err);
    exec_close(&x);
    TRY(st);
    if (n != 1)
        return not_one_type(name, types, n, err);
    return profile_type_parse(types[0], &s->type, err);
}

enum status selection_init(
    struct query *q, const struct selection_request *rq, struct selection *s, struct error *err)
{
    struct str id = rq->type_id;
    bool bare = id.n && str_find_char(id, ':') == STR_NPOS;
    if (!bare)
        TRY(profile_type_parse(id, &s->type, err));
    TRY(query_selector_parse(q, rq->selector, "parsing label selector", &s->sel, err));
    TRY(ids_parse(q, &rq->ids, &s->ids, err));
    TRY(frame_rules_init(q, rq->frames, &s->rules, err));
    if (!rq->stripped)
        TRY(add_matcher(q, &s->sel, STR("__sampled__"), MATCH_NE, STR("true"), err));
    if (bare)
        TRY(find_type(q, s, id, err));
    const char *end = s->type.period_unit.p + s->type.period_unit.n;
    struct str five = str_make(s->type.id.p, (size_t)(end - s->type.id.p));
    return add_matcher(q, &s->sel, STR("__profile_type__"), MATCH_EQ, five, err);
}

void selection_done(struct selection *s)
{
    selector_done(&s->sel);
    frame_rules_done(&s->rules);
}

enum status selection_open(
    struct query *q, const struct selection *s, struct exec *x, struct error *err)
{
    int64_t from = query_ms_to_ns(s->range.start_ms);
    int64_t until = query_range_until(&s->range);
    return exec_open(x, q, from, s->range.empty ? from : until, &s->sel, &s->ids, err);
}
