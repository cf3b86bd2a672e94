/* What a command asks about: see cli_int.h.
 *
 *     --service, --label, --selector ─► one selector ─► the service ─► the stored types ─► the type
 *
 * The selector is parsed here and written again, so that one text comes out whatever was given and
 * mistakes are usage errors before anything is asked. Defaults never guess: a service or a type is
 * chosen only where there is one; otherwise the message lists what there is.
 *
 * Thread: one. Failure: usage (what was asked for is not clear or not there), or the server's. */
#include "cli/cli_int.h"
#include "cli/tree.h"
#include "cli/units.h"
#include "codec/json.h"
#include "model/labels.h"
#include "model/selector.h"

enum { SELECTOR_TEXT_MAX = 512 * 1024, LIST_MAX = 20 };

static const struct str service_name = STR("service_name");

/* Selectors */

static bool plain_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        bool good = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_' ||
                    (i > 0 && ch >= '0' && ch <= '9');
        if (!good)
            return false;
    }
    return s.n > 0;
}

static void put_matcher(struct buf *out, struct str name, enum match_op op, struct str value)
{
    static const char *const ops[] = {"=", "!=", "=~", "!~"};
    if (out->n > 1)
        buf_byte(out, ',');
    if (plain_name(name))
        buf_str(out, name);
    else
        quote_go(name, out);
    buf_str(out, str_from(ops[op]));
    quote_go(value, out);
}

static enum status put_given(struct cli *c, struct buf *out, bool *has_service)
{
    struct str service = opt_get(c, OPT_SERVICE);
    if (service.p) {
        put_matcher(out, service_name, MATCH_EQ, service);
        *has_service = true;
    }
    for (uint32_t i = 0; i < c->options[OPT_LABEL].given.n; i++) {
        struct str given = c->options[OPT_LABEL].given.v[i];
        size_t equals = str_find_char(given, '=');
        if (equals == STR_NPOS || equals == 0)
            return cli_misuse(c, "--label wants NAME=VALUE, not %.*s", STR_ARG(given));
        struct str name = str_head(given, equals);
        put_matcher(out, name, MATCH_EQ, str_skip(given, equals + 1));
        *has_service |= str_eq(name, service_name);
    }
    return ST_OK;
}

static enum status put_selector(struct cli *c, struct buf *out, bool *has_service)
{
    struct str text = opt_get(c, OPT_SELECTOR);
    struct selector sel = {0};
    struct error err;
    if (!text.p)
        return ST_OK;
    enum status st = selector_parse(text, &c->arena, &sel, &err);
    if (st == ST_OK)
        selector_rewrite_types(&sel);
    for (uint32_t i = 0; st == ST_OK && i < sel.n; i++) {
        put_matcher(out, sel.v[i].name, sel.v[i].op, sel.v[i].value);
        *has_service |= str_eq(sel.v[i].name, service_name) && sel.v[i].op != MATCH_NE &&
                        sel.v[i].op != MATCH_NRE;
    }
    selector_done(&sel);
    if (st != ST_OK)
        return cli_misuse(c, "--selector is not understood (%.*s): write {name=\"value\"}",
            STR_ARG(error_str(&err)));
    return ST_OK;
}

enum status select_labels(struct cli *c, struct str *ret_selector, bool *ret_has_service)
{
    struct buf out;
    bool has_service = false;
    buf_init(&out, SELECTOR_TEXT_MAX);
    buf_byte(&out, '{');
    enum status st = put_given(c, &out, &has_service);
    if (st == ST_OK)
        st = put_selector(c, &out, &has_service);
    buf_byte(&out, '}');
    struct str text = keep_text(&c->arena, &out);
    TRY(st);
    if (text.n == 0)
        return cli_no_memory(c);
    *ret_selector = text;
    *ret_has_service = has_service;
    return ST_OK;
}

static enum status add_service(struct cli *c, struct str service, struct str *selector)
{
    struct buf out;
    buf_init(&out, SELECTOR_TEXT_MAX);
    buf_byte(&out, '{');
    put_matcher(&out, service_name, MATCH_EQ, service);
    if (selector->n > 2)
        buf_byte(&out, ',');
    buf_str(&out, str_skip(*selector, 1));
    struct str text = keep_text(&c->arena, &out);
    if (text.n == 0)
        return cli_no_memory(c);
    *selector = text;
    return ST_OK;
}

/* What there is instead */

/* "a, b and 3 more" */
static struct str list_text(struct cli *c, const struct str *v, uint32_t n)
{
    struct buf out;
    buf_init(&out, SELECTOR_TEXT_MAX);
    uint32_t shown = n > LIST_MAX ? LIST_MAX - 1 : n;
    for (uint32_t i = 0; i < shown; i++) {
        buf_str(&out, i ? STR(", ") : STR_EMPTY);
        text_put(&out, v[i]);
    }
    if (shown < n)
        buf_printf(&out, " and %u more (`everflame services` lists them)", n - shown);
    return keep_text(&c->arena, &out);
}

static struct str range_text(struct cli *c, struct time_range r)
{
    struct buf out;
    buf_init(&out, 256);
    time_range_put(&out, r);
    return keep_text(&c->arena, &out);
}

/* Nothing matches: because there is nothing at all, or because of what was asked for. */
static enum status nothing(struct cli *c, struct str selector, struct time_range r)
{
    struct m_names_response *all;
    struct str url = http_url(c->http), when = range_text(c, r);
    TRY(client_label_values(c, service_name, STR("{}"), r, &all));
    if (all->names.n == 0)
        FAIL(&c->err, ST_NOT_FOUND,
            "there are no profiles from %.*s at %.*s: look further back with --since 7d, or send "
            "some: `everflame upload FILE --name SERVICE`, or point a Pyroscope SDK at %.*s",
            STR_ARG(when), STR_ARG(url), STR_ARG(url));
    struct str services = list_text(c, all->names.v, all->names.n);
    FAIL(&c->err, ST_NOT_FOUND, "nothing from %.*s matches %.*s; the services there are: %.*s",
        STR_ARG(when), STR_ARG(selector), STR_ARG(services));
}

/* Defaults */

static enum status choose_service(
    struct cli *c, struct time_range r, bool any_service, struct selection *sel)
{
    struct m_names_response *names;
    TRY(client_label_values(c, service_name, sel->selector, r, &names));
    struct str only = {NULL, 0};
    uint32_t others = 0;
    for (uint32_t i = 0; i < names->names.n; i++) {
        if (str_eq(names->names.v[i], STR("everflame")) && names->names.n > 1)
            continue;
        only = names->names.v[i];
        others++;
    }
    if (others == 0)
        return nothing(c, sel->selector, r);
    if (others > 1 && any_service)
        return ST_OK;
    struct str list = list_text(c, names->names.v, names->names.n);
    if (others > 1)
        return cli_misuse(
            c, "there are several services, say which with --service NAME: %.*s", STR_ARG(list));
    sel->service = only;
    return add_service(c, only, &sel->selector);
}

static enum status choose_type(struct cli *c, struct time_range r, struct selection *sel)
{
    struct m_names_response *ids;
    struct str word = opt_get(c, OPT_TYPE);
    if (!word.p)
        word = STR("cpu");
    TRY(client_label_values(c, STR("__profile_type__"), sel->selector, r, &ids));
    if (ids->names.n == 0)
        return nothing(c, sel->selector, r);
    struct str *matches = ARENA_ARRAY(&c->arena, struct str, ids->names.n);
    if (!matches)
        return cli_no_memory(c);
    uint32_t n = types_match(word, ids->names.v, ids->names.n, matches);
    struct str list = n ? list_text(c, matches, n) : list_text(c, ids->names.v, ids->names.n);
    if (n > 1)
        return cli_misuse(c, "several types fit `%.*s`, say which with --type ID: %.*s",
            STR_ARG(word), STR_ARG(list));
    if (n == 0) {
        c->misused = opt_has(c, OPT_TYPE);
        FAIL(&c->err, ST_NOT_FOUND, "there is nothing of type `%.*s`; with --type there are: %.*s",
            STR_ARG(word), STR_ARG(list));
    }
    return profile_type_parse(matches[0], &sel->type, &c->err);
}

enum status select_all(
    struct cli *c, struct time_range r, bool any_service, struct selection *ret_selection)
{
    struct selection sel = {.range = r, .service = {NULL, 0}};
    bool has_service;
    TRY(select_labels(c, &sel.selector, &has_service));
    if (opt_has(c, OPT_SERVICE))
        sel.service = opt_get(c, OPT_SERVICE);
    if (!has_service)
        TRY(choose_service(c, r, any_service, &sel));
    TRY(choose_type(c, r, &sel));
    *ret_selection = sel;
    return ST_OK;
}

enum status select_profile(struct cli *c, const struct selection *sel, struct time_range r,
    struct m_profile **ret_profile, struct str *ret_raw)
{
    struct m_select_merge_profile_request rq = {
        .profile_typeID = sel->type.id,
        .label_selector = sel->selector,
        .start = r.from_ns / NS_PER_MS,
        .end = r.until_ns / NS_PER_MS,
    };
    void *rs;
    TRY(client_ask(c, "SelectMergeProfile", &m_select_merge_profile_request_desc, &rq,
        &m_profile_desc, &rs, ret_raw));
    *ret_profile = rs;
    c->cut |= tree_profile_is_cut(*ret_profile);
    if ((*ret_profile)->sample.n > 0)
        return ST_OK;
    struct str when = range_text(c, r);
    FAIL(&c->err, ST_NOT_FOUND,
        "there are no samples of %.*s from %.*s that match %.*s: widen the time range, or see "
        "`everflame services`",
        STR_ARG(sel->type.id), STR_ARG(when), STR_ARG(sel->selector));
}

void selection_put(struct buf *out, const struct selection *sel)
{
    bool all = !sel->service.p && str_eq(sel->selector, STR("{}"));
    text_put(out, all ? STR("all services") : sel->service.p ? sel->service : sel->selector);
    buf_str(out, STR("  "));
    text_put(out, sel->type.id);
    buf_str(out, STR("  "));
    time_range_put(out, sel->range);
}

void selection_put_json(struct buf *out, const struct selection *sel)
{
    buf_str(out, STR("\"service\":"));
    if (sel->service.p)
        json_put_string(out, sel->service);
    else
        buf_str(out, STR("null"));
    buf_str(out, STR(",\"selector\":"));
    json_put_string(out, sel->selector);
    buf_str(out, STR(",\"type\":"));
    json_put_string(out, sel->type.id);
    buf_str(out, STR(",\"unit\":"));
    json_put_string(out, sel->type.sample_unit);
    buf_printf(out, ",\"from_ms\":%lld,\"until_ms\":%lld,",
        (long long)(sel->range.from_ns / NS_PER_MS), (long long)(sel->range.until_ns / NS_PER_MS));
}
