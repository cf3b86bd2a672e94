/* Rules from their JSON text: see relabel.h.
 *
 * What YAML and flags say arrives here as JSON; numbers and booleans count as the text they are
 * written as. Every rule is checked as Prometheus checks it, so that a bad one stops the start (or
 * the reload) and never a request. Who keeps them: compiled.h.
 *
 * Threads: any. Failure: ST_INVALID_ARGUMENT with the rule's number. */
#include "ingest/relabel_int.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "codec/json.h"
#include "model/re2_shim.h"

enum { RULES_MAX = 200, SOURCES_MAX = 64 };

static const struct str actions[] = {[RELABEL_REPLACE] = {"replace", 7},
    [RELABEL_KEEP] = {"keep", 4},
    [RELABEL_DROP] = {"drop", 4},
    [RELABEL_KEEPEQUAL] = {"keepequal", 9},
    [RELABEL_DROPEQUAL] = {"dropequal", 9},
    [RELABEL_HASHMOD] = {"hashmod", 7},
    [RELABEL_LABELMAP] = {"labelmap", 8},
    [RELABEL_LABELDROP] = {"labeldrop", 9},
    [RELABEL_LABELKEEP] = {"labelkeep", 9},
    [RELABEL_LOWERCASE] = {"lowercase", 9},
    [RELABEL_UPPERCASE] = {"uppercase", 9}};

struct parser {
    struct json_reader jr;
    struct relabel *to;
    struct error *err;
};

static enum status read_action(struct parser *p, struct relabel_rule *r)
{
    char low[16] = "";
    for (size_t i = 0; i < p->jr.text.n && i < sizeof low - 1; i++)
        low[i] = (char)(p->jr.text.p[i] | (p->jr.text.p[i] >= 'A' && p->jr.text.p[i] <= 'Z') << 5);
    for (uint32_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (!str_eq(str_from(low), actions[i]))
            continue;
        r->action = (enum relabel_action)i;
        return ST_OK;
    }
    FAIL(p->err, ST_INVALID_ARGUMENT, "unknown relabel action \"%.*s\"",
        STR_ARG(str_head(p->jr.text, 50)));
}

static enum status read_sources(struct parser *p, struct relabel_rule *r)
{
    enum json_token tok;
    for (;;) {
        TRY(json_next(&p->jr, &tok, p->err));
        if (tok == JSON_ARRAY_END)
            return ST_OK;
        if (tok != JSON_STRING || r->source.n == SOURCES_MAX)
            FAIL(p->err, ST_INVALID_ARGUMENT, "source_labels is not a list of at most %d names",
                SOURCES_MAX);
        struct str *s = VEC_PUSH(&p->to->base.arena, r->source);
        if (!s)
            FAIL(p->err, ST_RESOURCE_EXHAUSTED, "the rules are too large");
        *s = p->jr.text;
    }
}

static enum status read_text(struct parser *p, struct relabel_rule *r, struct str key)
{
    const struct {
        struct str name;
        struct str *to;
    } texts[] = {{STR("separator"), &r->separator}, {STR("target_label"), &r->target},
        {STR("regex"), &r->regex}, {STR("replacement"), &r->replacement}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (!str_eq(key, texts[i].name))
            continue;
        *texts[i].to = p->jr.text;
        return ST_OK;
    }
    if (str_eq(key, STR("action")))
        return read_action(p, r);
    if (str_eq(key, STR("modulus"))) {
        if (str_to_u64(p->jr.text, &r->modulus))
            return ST_OK;
        FAIL(p->err, ST_INVALID_ARGUMENT, "modulus is not a whole number");
    }
    FAIL(p->err, ST_INVALID_ARGUMENT, "field %.*s not found in type relabel.Config",
        STR_ARG(str_head(key, 50)));
}

static enum status read_rule(struct parser *p, struct relabel_rule *r)
{
    enum json_token tok;
    for (;;) {
        TRY(json_next(&p->jr, &tok, p->err));
        if (tok == JSON_OBJECT_END)
            return ST_OK;
        struct str key = p->jr.text;
        TRY(json_next(&p->jr, &tok, p->err));
        if (str_eq(key, STR("source_labels")) && tok == JSON_ARRAY)
            TRY(read_sources(p, r));
        else if (tok == JSON_STRING || tok == JSON_NUMBER)
            TRY(read_text(p, r, key));
        else if (tok != JSON_NULL)
            FAIL(
                p->err, ST_INVALID_ARGUMENT, "%.*s has the wrong type", STR_ARG(str_head(key, 50)));
    }
}

static bool needs_target(enum relabel_action a)
{
    return a == RELABEL_REPLACE || a == RELABEL_HASHMOD || a == RELABEL_LOWERCASE ||
           a == RELABEL_UPPERCASE || a == RELABEL_KEEPEQUAL || a == RELABEL_DROPEQUAL;
}

static enum status check_rule(struct parser *p, struct relabel_rule *r)
{
    char why[256];
    struct str action = actions[r->action];
    bool names = r->action == RELABEL_LABELDROP || r->action == RELABEL_LABELKEEP;
    if (p->to->types && r->action != RELABEL_DROP && r->action != RELABEL_KEEP)
        FAIL(p->err, ST_INVALID_ARGUMENT, "only the actions drop and keep are allowed here");
    if (r->action == RELABEL_HASHMOD && r->modulus == 0)
        FAIL(p->err, ST_INVALID_ARGUMENT,
            "relabel configuration for hashmod requires non-zero modulus");
    if (needs_target(r->action) && r->target.n == 0)
        FAIL(p->err, ST_INVALID_ARGUMENT,
            "relabel configuration for %.*s action requires 'target_label' value", STR_ARG(action));
    if (names && (r->source.n || r->target.n))
        FAIL(p->err, ST_INVALID_ARGUMENT, "%.*s action requires only 'regex', and no other fields",
            STR_ARG(action));
    if (!utf8_valid(r->regex))
        FAIL(p->err, ST_INVALID_ARGUMENT, "error parsing regexp: invalid UTF-8");
    r->re = re2_shim_new(r->regex.p, r->regex.n, true, why, sizeof why);
    if (!r->re)
        FAIL(p->err, ST_INVALID_ARGUMENT, "error parsing regexp: %s", why);
    r->n_groups = re2_shim_groups(r->re);
    if (r->n_groups > RE2_SHIM_GROUPS_MAX)
        FAIL(p->err, ST_INVALID_ARGUMENT, "the regex has more than %d groups",
            RE2_SHIM_GROUPS_MAX - 1);
    return ST_OK;
}

static enum status read_rules(struct parser *p)
{
    enum json_token tok;
    TRY(json_next(&p->jr, &tok, p->err));
    if (tok != JSON_ARRAY)
        FAIL(p->err, ST_INVALID_ARGUMENT, "relabelling rules are not a list");
    for (;;) {
        TRY(json_next(&p->jr, &tok, p->err));
        if (tok == JSON_ARRAY_END)
            return json_next(&p->jr, &tok, p->err);
        if (tok != JSON_OBJECT)
            FAIL(p->err, ST_INVALID_ARGUMENT, "rule %u is not a mapping", p->to->rules.n + 1);
        if (p->to->rules.n == RULES_MAX)
            FAIL(p->err, ST_INVALID_ARGUMENT, "more than %d relabelling rules", RULES_MAX);
        struct relabel_rule *r = VEC_PUSH(&p->to->base.arena, p->to->rules);
        if (!r)
            FAIL(p->err, ST_RESOURCE_EXHAUSTED, "the rules are too large");
        *r = (struct relabel_rule){
            .separator = STR(";"), .regex = STR("(.*)"), .replacement = STR("$1")};
        enum status st = read_rule(p, r);
        if (st == ST_OK)
            st = check_rule(p, r);
        if (st != ST_OK)
            return error_wrap(p->err, st, "relabelling rule %u", p->to->rules.n);
    }
}

static enum status parse(struct compiled *c, struct error *err)
{
    struct parser *p = NEW(struct parser);
    p->to = (struct relabel *)c;
    p->err = err;
    json_start(&p->jr, c->text, &c->arena);
    enum status st = read_rules(p);
    mem_free(p);
    return st;
}

static enum status parse_types(struct compiled *c, struct error *err)
{
    ((struct relabel *)c)->types = true;
    return parse(c, err);
}

static void done(struct compiled *c)
{
    struct relabel *rl = (struct relabel *)c;
    for (uint32_t i = 0; i < rl->rules.n; i++)
        re2_shim_free(rl->rules.v[i].re);
}

enum status relabel_compile(
    struct str json, bool types, const struct relabel **ret_rules, struct error *err)
{
    static const struct compiled_kind kinds[] = {
        {"relabelling rules", sizeof(struct relabel), parse, done},
        {"relabelling rules", sizeof(struct relabel), parse_types, done}};
    const struct compiled *c = NULL;
    TRY(compiled_get(&kinds[types], json, &c, err));
    const struct relabel *rl = (const struct relabel *)c;
    *ret_rules = rl && rl->rules.n ? rl : NULL;
    return ST_OK;
}

struct str relabel_text(const struct relabel *rules)
{
    return rules ? rules->base.text : STR_EMPTY;
}
