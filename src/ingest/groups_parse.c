/* Usage groups, and what holds for each, from their JSON texts: see groups.h.
 *
 * What YAML says arrives here as JSON; numbers and booleans may be written as strings. A selector
 * that does not parse, a name that is reserved or a probability that is none stops the start (or
 * the reload) and never a request. Who keeps what is compiled: compiled.h.
 *
 * Threads: any. Failure: ST_INVALID_ARGUMENT with the group's name. */
#include "ingest/groups_int.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "codec/json.h"

enum { NAME_BYTES_MAX = 200 };

struct parser {
    struct json_reader jr;
    struct arena *arena;
    struct error *err;
};

static enum status too_large(struct parser *p)
{
    FAIL(p->err, ST_RESOURCE_EXHAUSTED, "the usage groups are too large");
}

static enum status check_name(struct parser *p, struct str name)
{
    if (name.n == 0 || name.n > NAME_BYTES_MAX || !utf8_valid(name))
        FAIL(p->err, ST_INVALID_ARGUMENT, "the name of a usage group has 1 to %d bytes",
            NAME_BYTES_MAX);
    return ST_OK;
}

/* ── names and selectors ── */

static bool add_part(struct parser *p, struct usage_group *g, bool label, struct str text)
{
    struct group_part *part = VEC_PUSH(p->arena, g->parts);
    if (part)
        *part = (struct group_part){label, text};
    return part != NULL;
}

static enum status read_name(struct parser *p, struct usage_group *g)
{
    struct str open = STR("${labels."), rest = g->name;
    for (size_t at; (at = str_find(rest, STR("${"))) != STR_NPOS;) {
        struct str place = str_skip(rest, at);
        size_t end = str_find_char(place, '}');
        if (!str_starts(place, open) || end == STR_NPOS || end == open.n)
            FAIL(p->err, ST_INVALID_ARGUMENT, "what ${ begins in a name is ${labels.<name>}");
        bool ok = (at == 0 || add_part(p, g, false, str_head(rest, at))) &&
                  add_part(p, g, true, str_skip(str_head(place, end), open.n));
        if (!ok)
            return too_large(p);
        rest = str_skip(place, end + 1);
    }
    if (g->parts.n && rest.n && !add_part(p, g, false, rest))
        return too_large(p);
    return ST_OK;
}

static enum status read_group(struct parser *p, struct usage_groups *to)
{
    enum json_token tok;
    if (to->groups.n == USAGE_GROUPS_MAX)
        FAIL(p->err, ST_INVALID_ARGUMENT, "more than %d usage groups", USAGE_GROUPS_MAX);
    for (uint32_t i = 0; i < to->groups.n; i++)
        if (str_eq(to->groups.v[i].name, p->jr.text))
            FAIL(p->err, ST_INVALID_ARGUMENT, "it stands there twice");
    if (str_eq(p->jr.text, STR("other")))
        FAIL(p->err, ST_INVALID_ARGUMENT, "the name is taken for what is in no group");
    struct usage_group *g = VEC_PUSH(p->arena, to->groups);
    if (!g)
        return too_large(p);
    *g = (struct usage_group){.name = p->jr.text};
    TRY(check_name(p, g->name));
    TRY(read_name(p, g));
    TRY(json_next(&p->jr, &tok, p->err));
    if (tok != JSON_STRING)
        FAIL(p->err, ST_INVALID_ARGUMENT, "its selector is not a string");
    return selector_parse(p->jr.text, p->arena, &g->selector, p->err);
}

/* ── rules ── */

static bool read_bool(const struct parser *p, enum json_token tok, bool *ret)
{
    struct str s = tok == JSON_STRING ? p->jr.text : STR_EMPTY;
    *ret = tok == JSON_TRUE || str_eq(s, STR("true"));
    return *ret || tok == JSON_FALSE || str_eq(s, STR("false"));
}

static bool read_number(const struct parser *p, enum json_token tok, double max, double *ret)
{
    double v;
    if ((tok != JSON_NUMBER && tok != JSON_STRING) || !json_is_number(p->jr.text) ||
        !json_to_double(p->jr.text, &v) || v < 0 || v > max)
        return false;
    *ret = v;
    return true;
}

/* The members of one object. */
static enum status read_members(struct parser *p, struct group_rule *r, bool quotas)
{
    for (enum json_token tok;;) {
        TRY(json_next(&p->jr, &tok, p->err));
        if (tok == JSON_OBJECT_END)
            return ST_OK;
        struct str key = p->jr.text;
        double mb = 0;
        bool ok = true;
        TRY(json_next(&p->jr, &tok, p->err));
        if (tok == JSON_NULL)
            continue;
        if (!quotas && str_eq(key, STR("probability")))
            ok = read_number(p, tok, 1, &r->probability);
        else if (quotas && str_eq(key, STR("limit_reached")))
            ok = read_bool(p, tok, &r->limit_reached);
        else if (quotas && str_eq(key, STR("period_limit_mb")))
            ok = read_number(p, tok, 9e12, &mb);
        else
            FAIL(p->err, ST_INVALID_ARGUMENT, "there is no setting %.*s",
                STR_ARG(str_head(key, 50)));
        if (!ok)
            FAIL(p->err, ST_INVALID_ARGUMENT, "%.*s is %s", STR_ARG(str_head(key, 50)),
                quotas ? "out of its range" : "not a number from 0 to 1");
        r->period_bytes = mb > 0 ? (uint64_t)(mb * (double)MIB) : r->period_bytes;
    }
}

static enum status read_rule(struct parser *p, struct group_rules *to, bool quotas)
{
    enum json_token tok;
    if (to->rules.n == GROUP_RULES_MAX)
        FAIL(p->err, ST_INVALID_ARGUMENT, "more than %d usage groups", GROUP_RULES_MAX);
    TRY(check_name(p, p->jr.text));
    struct group_rule *r = VEC_PUSH(p->arena, to->rules);
    if (!r)
        return too_large(p);
    *r = (struct group_rule){.name = p->jr.text, .probability = 1};
    TRY(json_next(&p->jr, &tok, p->err));
    if (tok != JSON_OBJECT)
        FAIL(p->err, ST_INVALID_ARGUMENT, "it is not a mapping");
    return read_members(p, r, quotas);
}

static int rule_order(const void *a, const void *b)
{
    return str_cmp(((const struct group_rule *)a)->name, ((const struct group_rule *)b)->name);
}

static enum status sort_rules(struct parser *p, struct group_rules *to)
{
    if (to->rules.n)
        qsort(to->rules.v, to->rules.n, sizeof *to->rules.v, rule_order);
    for (uint32_t i = 1; i < to->rules.n; i++)
        if (str_eq(to->rules.v[i - 1].name, to->rules.v[i].name))
            FAIL(p->err, ST_INVALID_ARGUMENT, "usage group \"%.*s\" stands there twice",
                STR_ARG(to->rules.v[i].name));
    return ST_OK;
}

/* ── all of them ── */

enum what { GROUPS, SAMPLING, QUOTAS };

static enum status read_one(struct parser *p, struct compiled *c, enum what what)
{
    struct str name = str_head(p->jr.text, NAME_BYTES_MAX);
    enum status st = what == GROUPS ? read_group(p, (struct usage_groups *)c)
                                    : read_rule(p, (struct group_rules *)c, what == QUOTAS);
    return st == ST_OK ? st : error_wrap(p->err, st, "usage group \"%.*s\"", STR_ARG(name));
}

static enum status read_all(struct parser *p, struct compiled *c, enum what what)
{
    enum json_token tok;
    TRY(json_next(&p->jr, &tok, p->err));
    if (tok != JSON_OBJECT)
        FAIL(p->err, ST_INVALID_ARGUMENT, "usage groups are not a mapping");
    for (;;) {
        TRY(json_next(&p->jr, &tok, p->err));
        if (tok == JSON_OBJECT_END)
            break;
        TRY(read_one(p, c, what));
    }
    TRY(json_next(&p->jr, &tok, p->err));
    return what == GROUPS ? ST_OK : sort_rules(p, (struct group_rules *)c);
}

static enum status parse(struct compiled *c, enum what what, struct error *err)
{
    struct parser *p = NEW(struct parser);
    p->arena = &c->arena;
    p->err = err;
    json_start(&p->jr, c->text, &c->arena);
    enum status st = read_all(p, c, what);
    mem_free(p);
    return st;
}

static enum status parse_groups(struct compiled *c, struct error *err)
{
    return parse(c, GROUPS, err);
}

static enum status parse_sampling(struct compiled *c, struct error *err)
{
    return parse(c, SAMPLING, err);
}

static enum status parse_quotas(struct compiled *c, struct error *err)
{
    return parse(c, QUOTAS, err);
}

static void groups_done(struct compiled *c)
{
    struct usage_groups *g = (struct usage_groups *)c;
    for (uint32_t i = 0; i < g->groups.n; i++)
        selector_done(&g->groups.v[i].selector);
}

static void rules_done(struct compiled *c)
{
    (void)c;
}

enum status usage_groups_compile(
    struct str json, const struct usage_groups **ret, struct error *err)
{
    static const struct compiled_kind kind = {
        "usage groups", sizeof(struct usage_groups), parse_groups, groups_done};
    const struct compiled *c = NULL;
    TRY(compiled_get(&kind, json, &c, err));
    const struct usage_groups *g = (const struct usage_groups *)c;
    *ret = g && g->groups.n ? g : NULL;
    return ST_OK;
}

static enum status rules_compile(const struct compiled_kind *kind, struct str json,
    const struct group_rules **ret, struct error *err)
{
    const struct compiled *c = NULL;
    TRY(compiled_get(kind, json, &c, err));
    const struct group_rules *r = (const struct group_rules *)c;
    *ret = r && r->rules.n ? r : NULL;
    return ST_OK;
}

enum status group_sampling_compile(
    struct str json, const struct group_rules **ret, struct error *err)
{
    static const struct compiled_kind kind = {
        "sampling rules", sizeof(struct group_rules), parse_sampling, rules_done};
    return rules_compile(&kind, json, ret, err);
}

enum status group_quotas_compile(struct str json, const struct group_rules **ret, struct error *err)
{
    static const struct compiled_kind kind = {
        "quotas of usage groups", sizeof(struct group_rules), parse_quotas, rules_done};
    return rules_compile(&kind, json, ret, err);
}

struct str usage_groups_text(const struct usage_groups *g)
{
    return g ? g->base.text : STR_EMPTY;
}

struct str group_rules_text(const struct group_rules *r)
{
    return r ? r->base.text : STR_EMPTY;
}
