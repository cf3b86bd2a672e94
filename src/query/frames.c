/* Which stacks a stack_trace_selector keeps, decided per node of a part's stack tree.
 *
 * Call site: a list of function names from the root. State of a node: how many names of the list
 * its path has matched so far, or FAILED. A node's state follows from its parent's and the lines of
 * its own location, outermost first; a path that has matched the whole list keeps everything below
 * it.
 *
 * Frame filter: conditions, each an exact name or an expression. Every function gets a mask of the
 * conditions that it meets, once; a location has the union of its lines', a node the union of its
 * path's. Kept are nodes that meet every include condition and no exclude condition. The empty
 * stack is never kept.
 *
 * Both work on published nodes only, and learn from them which locations and functions there are:
 * the counts of a live symbol table belong to its writer. Cost: two passes over the nodes and one
 * match per function and condition, and 4-8 bytes per node, location and function from the arena.
 *
 * A location without lines reads like nametree draws it, `<base name of mapping>!0x<address>`. */
#include <inttypes.h>

#include "query/query_int.h"

#define CALL_FAILED UINT32_MAX
#define MASK_UNKNOWN UINT64_MAX

static enum status add_conditions(struct query *q, struct frame_rules *r, const struct str *names,
    uint32_t n, bool regex, const char *verb, struct error *err)
{
    for (uint32_t i = 0; i < n; i++) {
        if (r->n_conditions == FRAME_CONDITIONS_MAX)
            FAIL(err, ST_INVALID_ARGUMENT, "more than %d conditions in a frame filter",
                FRAME_CONDITIONS_MAX);
        struct frame_condition *c = &r->conditions[r->n_conditions];
        *c = (struct frame_condition){.name = names[i], .is_regex = regex};
        enum status st = regex ? pattern_compile(names[i], false, q->arena, &c->pattern, err)
                               : ST_OK;
        if (st == ST_INVALID_ARGUMENT)
            return error_wrap(err, st, "invalid %s function name regex \"%.*s\"", verb,
                STR_ARG(str_head(names[i], 200)));
        TRY(query_status(q, st, err));
        r->n_conditions++;
        r->n_compiled += c->pattern.re != NULL;
        if (r->n_compiled > SELECTOR_REGEXES_MAX)
            FAIL(err, ST_INVALID_ARGUMENT, "more than %d regular expressions in a frame filter",
                SELECTOR_REGEXES_MAX);
    }
    return ST_OK;
}

static enum status add_filter(
    struct query *q, struct frame_rules *r, const struct m_frame_filter *f, struct error *err)
{
    r->conditions = ARENA_ZARRAY(q->arena, struct frame_condition, FRAME_CONDITIONS_MAX);
    if (!r->conditions)
        return query_full(q, err);
    TRY(add_conditions(
        q, r, f->includeFunctionNames.v, f->includeFunctionNames.n, false, "include", err));
    TRY(add_conditions(q, r, f->includeFunctionNameRegexes.v, f->includeFunctionNameRegexes.n, true,
        "include", err));
    r->n_includes = r->n_conditions;
    TRY(add_conditions(
        q, r, f->excludeFunctionNames.v, f->excludeFunctionNames.n, false, "exclude", err));
    return add_conditions(q, r, f->excludeFunctionNameRegexes.v, f->excludeFunctionNameRegexes.n,
        true, "exclude", err);
}

enum status frame_rules_init(struct query *q, const struct m_stack_trace_selector *in,
    struct frame_rules *ret_rules, struct error *err)
{
    *ret_rules = (struct frame_rules){0};
    if (!in)
        return ST_OK;
    if (!in->go_pgo) {
        ret_rules->call_site = in->call_site.v;
        ret_rules->n_call_site = in->call_site.n;
    }
    enum status st = ST_OK;
    if (in->frame_filter)
        st = add_filter(q, ret_rules, in->frame_filter, err);
    ret_rules->any = ret_rules->n_call_site || ret_rules->n_conditions;
    return st;
}

void frame_rules_done(struct frame_rules *r)
{
    for (uint32_t i = 0; i < r->n_conditions; i++)
        if (r->conditions[i].is_regex)
            pattern_done(&r->conditions[i].pattern);
    *r = (struct frame_rules){0};
}

/* Names */

static struct str function_name(const struct symtab *sym, uint32_t line)
{
    return sym_string(sym, sym_function(sym, sym_line(sym, line)->function)->name);
}

static struct str address_name(
    const struct symtab *sym, const struct sym_location *loc, struct buf *scratch)
{
    struct str file = loc->mapping == SYM_NONE
                          ? STR_EMPTY
                          : sym_string(sym, sym_mapping(sym, loc->mapping)->filename);
    size_t slash = str_rfind_char(file, '/');
    struct str base = slash == STR_NPOS ? file : str_skip(file, slash + 1);
    buf_clear(scratch);
    buf_str(scratch, base.n ? base : STR("unknown"));
    buf_printf(scratch, "!0x%" PRIx64, loc->address);
    return buf_view(scratch);
}

/* Call site */

static uint32_t step_name(const struct frame_rules *r, uint32_t matched, struct str name)
{
    if (matched == CALL_FAILED || matched == r->n_call_site)
        return matched;
    return str_eq(r->call_site[matched].name, name) ? matched + 1 : CALL_FAILED;
}

static uint32_t step_location(const struct frame_rules *r, const struct symtab *sym,
    uint32_t matched, uint32_t location, struct buf *scratch)
{
    if (matched == CALL_FAILED || matched == r->n_call_site)
        return matched;
    const struct sym_location *loc = sym_location(sym, location);
    if (loc->n_lines == 0)
        return step_name(r, matched, address_name(sym, loc, scratch));
    for (uint32_t i = loc->n_lines; i-- > 0;)
        matched = step_name(r, matched, function_name(sym, loc->first_line + i));
    return matched;
}

/* What both kinds of rules work with. */
struct keeper {
    struct query *q;
    const struct frame_rules *rules;
    const struct exec_part *ep;
    struct arena *arena;
    uint8_t *keep;
    struct buf scratch;
};

static void drop(struct keeper *k, uint32_t node)
{
    k->keep[node >> 3] &= (uint8_t) ~(1u << (node & 7));
}

static enum status keep_call_site(struct keeper *k, struct error *err)
{
    const struct symtab *sym = &k->ep->part->sym;
    uint32_t *matched = ARENA_ARRAY(k->arena, uint32_t, k->ep->n_nodes);
    if (!matched)
        return query_full(k->q, err);
    matched[0] = 0;
    for (uint32_t i = 1; i < k->ep->n_nodes; i++) {
        struct sym_node node = sym_node(sym, i);
        TRY(query_alive(k->q, err));
        matched[i] = step_location(k->rules, sym, matched[node.parent], node.location, &k->scratch);
        if (matched[i] != k->rules->n_call_site)
            drop(k, i);
    }
    drop(k, 0);
    return ST_OK;
}

/* Frame filter */

static uint64_t name_mask(const struct frame_rules *r, struct str name)
{
    uint64_t mask = 0;
    for (uint32_t i = 0; i < r->n_conditions; i++) {
        const struct frame_condition *c = &r->conditions[i];
        bool hit = c->is_regex ? pattern_match(&c->pattern, name) : str_eq(c->name, name);
        mask |= (uint64_t)hit << i;
    }
    return mask;
}

struct masks { /* by id; MASK_UNKNOWN where not looked at yet */
    uint64_t *locations, *functions;
};

static uint64_t location_mask(const struct frame_rules *r, const struct symtab *sym,
    struct masks *m, uint32_t location, struct buf *scratch)
{
    uint64_t mask = 0;
    if (m->locations[location] != MASK_UNKNOWN)
        return m->locations[location];
    const struct sym_location *loc = sym_location(sym, location);
    if (loc->n_lines == 0)
        mask = name_mask(r, address_name(sym, loc, scratch));
    for (uint32_t i = 0; i < loc->n_lines; i++) {
        uint32_t f = sym_line(sym, loc->first_line + i)->function;
        if (m->functions[f] == MASK_UNKNOWN)
            m->functions[f] = name_mask(r, function_name(sym, loc->first_line + i));
        mask |= m->functions[f];
    }
    return m->locations[location] = mask;
}

static enum status new_masks(struct keeper *k, struct masks *ret, struct error *err)
{
    const struct symtab *sym = &k->ep->part->sym;
    size_t locations = 0, functions = 0;
    for (uint32_t i = 1; i < k->ep->n_nodes; i++)
        locations = MAX(locations, (size_t)sym_node(sym, i).location + 1);
    for (uint32_t i = 0; i < locations; i++) {
        const struct sym_location *loc = sym_location(sym, i);
        for (uint32_t n = 0; n < loc->n_lines; n++)
            functions = MAX(functions, (size_t)sym_line(sym, loc->first_line + n)->function + 1);
    }
    ret->locations = ARENA_ARRAY(k->arena, uint64_t, locations);
    ret->functions = ARENA_ARRAY(k->arena, uint64_t, functions);
    if (!ret->locations || !ret->functions)
        return query_full(k->q, err);
    memset(ret->locations, 0xFF, locations * sizeof(uint64_t));
    memset(ret->functions, 0xFF, functions * sizeof(uint64_t));
    return ST_OK;
}

static enum status keep_filtered(struct keeper *k, struct error *err)
{
    const struct symtab *sym = &k->ep->part->sym;
    uint64_t includes = ((uint64_t)1 << k->rules->n_includes) - 1;
    struct masks m;
    TRY(new_masks(k, &m, err));
    uint64_t *met = ARENA_ARRAY(k->arena, uint64_t, k->ep->n_nodes);
    if (!met)
        return query_full(k->q, err);
    met[0] = 0;
    for (uint32_t i = 1; i < k->ep->n_nodes; i++) {
        struct sym_node node = sym_node(sym, i);
        TRY(query_alive(k->q, err));
        met[i] = met[node.parent] | location_mask(k->rules, sym, &m, node.location, &k->scratch);
        if (met[i] != includes)
            drop(k, i);
    }
    drop(k, 0);
    return ST_OK;
}

enum status frame_rules_keep(struct query *q, const struct frame_rules *r,
    const struct exec_part *ep, struct arena *scratch, uint8_t *keep, struct error *err)
{
    struct keeper k = {.q = q, .rules = r, .ep = ep, .arena = scratch, .keep = keep};
    enum status st = ST_OK;
    memset(keep, 0xFF, (size_t)ep->n_nodes / 8 + 1);
    buf_init(&k.scratch, MIB);
    if (r->n_call_site)
        st = keep_call_site(&k, err);
    if (st == ST_OK && r->n_conditions)
        st = keep_filtered(&k, err);
    buf_done(&k.scratch);
    return st;
}
