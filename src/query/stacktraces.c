/* Flame graphs, tree bytes, graphs and diffs of selections.
 *
 *     selection ─► trees of blocks and of rows ─► one name tree ─► shape
 *
 * The tree has what its shape needs; what it leaves out is in the totals of its leaves, so totals
 * are exact at every max_nodes (model/tree_merge.h). It owns its texts, so parts are let go before
 * the shape is drawn. */
#include "model/dot.h"
#include "model/function_table.h"
#include "query/query_int.h"

enum status selection_tree(struct query *q, const struct selection *s, int64_t budget,
    struct nametree *t, struct error *err)
{
    struct tree_set set = {0};
    enum status st = tree_set_gather(q, s, &set, err);
    if (st == ST_OK)
        st = tree_sets_merge(q, &set, 1, budget, t, err);
    tree_set_done(&set);
    return st;
}

/* Shapes as messages */

static enum status fill_levels(
    struct query *q, const struct flamegraph *g, struct m_level **ret_levels, struct error *err)
{
    struct m_level *v = ARENA_ZARRAY(q->arena, struct m_level, g->n_levels);
    if (!v)
        return query_full(q, err);
    for (uint32_t i = 0; i < g->n_levels; i++) {
        v[i].values.v = g->levels[i].values;
        v[i].values.n = g->levels[i].n;
    }
    *ret_levels = v;
    return ST_OK;
}

enum status tree_draw(struct query *q, const struct nametree *t, int64_t budget, int64_t raw_budget,
    struct m_flamegraph **ret, struct error *err)
{
    struct flamegraph g;
    struct m_flamegraph *m = ARENA_NEW(q->arena, struct m_flamegraph);
    if (!m)
        return query_full(q, err);
    TRY(query_status(q, flamegraph_build(t, budget, raw_budget, q->arena, &g, err), err));
    m->names.v = g.names;
    m->names.n = g.n_names;
    m->total = g.total;
    m->max_self = g.max_self;
    m->levels.n = g.n_levels;
    TRY(fill_levels(q, &g, &m->levels.v, err));
    *ret = m;
    return ST_OK;
}

static enum status encode(
    struct query *q, const struct nametree *t, int64_t budget, struct str *ret, struct error *err)
{
    struct buf out;
    buf_init(&out, query_left(q));
    enum status st = query_status(q, nametree_encode(t, budget, &out, err), err);
    if (st == ST_OK)
        st = query_copy(q, buf_view(&out), ret, err);
    buf_done(&out);
    return st;
}

enum status selection_dot(struct query *q, const struct selection *s, int64_t max_nodes,
    struct str *ret_dot, struct error *err)
{
    struct nametree t;
    struct buf out;
    nametree_init(&t, q->arena);
    buf_init(&out, query_left(q));
    enum status st = selection_tree(q, s, 0, &t, err);
    if (st == ST_OK)
        st = query_status(
            q, dot_build(&t, max_nodes, s->type.sample_type, s->type.sample_unit, &out, err), err);
    if (st == ST_OK && out.n)
        st = query_copy(q, buf_view(&out), ret_dot, err);
    buf_done(&out);
    nametree_done(&t);
    return st;
}

/* Requests */

typedef struct m_select_merge_stacktraces_request stacktraces_request;
typedef struct m_select_merge_stacktraces_response stacktraces_response;

static enum status check_ids(const stacktraces_request *rq, struct error *err)
{
    if (rq->span_selector.n && rq->trace_id_selector.n)
        FAIL(err, ST_INVALID_ARGUMENT, "span_selector and trace_id_selector cannot be combined");
    return ST_OK;
}

/* s->range is set; what follows it in the reference's order of checks. */
static enum status prepare(
    struct query *q, const stacktraces_request *rq, struct selection *s, struct error *err)
{
    struct selection_request sr = {.type_id = rq->profile_typeID,
        .selector = rq->label_selector,
        .frames = rq->stack_trace_selector,
        .ids = {.profiles = rq->profile_id_selector.v,
            .n_profiles = rq->profile_id_selector.n,
            .spans = rq->span_selector.v,
            .n_spans = rq->span_selector.n,
            .traces = rq->trace_id_selector.v,
            .n_traces = rq->trace_id_selector.n}};
    return selection_init(q, &sr, s, err);
}

/* pprof is cut only by a number in the request, unless the limits are made to govern it. */
static enum status pprof_nodes(
    const struct query *q, int64_t max_nodes, int64_t *ret_nodes, struct error *err)
{
    if (q->limits.max_nodes_on_select_merge_profile)
        return query_nodes_check(q, max_nodes, ret_nodes, err);
    *ret_nodes = MAX(max_nodes, (int64_t)0);
    return ST_OK;
}

static const struct m_go_pgo *pgo_of(const struct m_stack_trace_selector *s)
{
    return s ? s->go_pgo : NULL;
}

static enum status answer_pprof(struct query *q, const stacktraces_request *rq,
    const struct selection *s, int64_t nodes, stacktraces_response *rs, struct error *err)
{
    rs->pprof = ARENA_NEW(q->arena, struct m_pprof_profile);
    struct m_profile *profile = ARENA_NEW(q->arena, struct m_profile);
    if (!rs->pprof || !profile)
        return query_full(q, err);
    rs->pprof->profile = profile;
    return selection_pprof(q, s, nodes, pgo_of(rq->stack_trace_selector), profile, err);
}

static enum status answer_tree(struct query *q, const stacktraces_request *rq,
    const struct selection *s, int64_t nodes, stacktraces_response *rs, struct error *err)
{
    struct nametree t;
    int64_t budget = rq->format == M_FORMAT_TREE ? nodes : tree_merge_budget(nodes, rq->max_nodes);
    nametree_init(&t, q->arena);
    enum status st = selection_tree(q, s, budget, &t, err);
    if (st == ST_OK && rq->format == M_FORMAT_TREE)
        st = encode(q, &t, nodes, &rs->tree, err);
    else if (st == ST_OK)
        st = tree_draw(q, &t, nodes, rq->max_nodes, &rs->flamegraph, err);
    nametree_done(&t);
    return st;
}

static enum status answer(struct query *q, const stacktraces_request *rq, const struct selection *s,
    int64_t nodes, stacktraces_response *rs, struct error *err)
{
    switch (rq->format) {
    case M_FORMAT_PPROF:
        return answer_pprof(q, rq, s, nodes, rs, err);
    case M_FORMAT_DOT:
        return selection_dot(q, s, nodes, &rs->dot, err);
    case M_FORMAT_FUNCTIONS:
        return selection_function_table(q, s, nodes, &rs->functions, err);
    case M_FORMAT_SANDWICH:
        return selection_sandwich(q, s, rq->sandwich_function, nodes, &rs->sandwich, err);
    default:
        return answer_tree(q, rq, s, nodes, rs, err);
    }
}

enum status query_select_merge_stacktraces(
    struct query *q, const stacktraces_request *rq, stacktraces_response *rs, struct error *err)
{
    struct selection s = {0};
    int64_t nodes = rq->max_nodes;
    TRY(check_ids(rq, err));
    TRY(query_range_check(q, rq->start, rq->end, &s.range, err));
    if (rq->format == M_FORMAT_PPROF)
        TRY(pprof_nodes(q, rq->max_nodes, &nodes, err));
    else if (rq->format != M_FORMAT_DOT)
        TRY(query_nodes_check(q, rq->max_nodes, &nodes, err));
    if (rq->format == M_FORMAT_SANDWICH && rq->sandwich_function.n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "sandwich_function is required");
    enum status st = prepare(q, rq, &s, err);
    if (st == ST_OK)
        st = answer(q, rq, &s, nodes, rs, err);
    selection_done(&s);
    return st;
}

enum status query_select_merge_span_profile(struct query *q,
    const struct m_select_merge_span_profile_request *rq,
    struct m_select_merge_span_profile_response *rs, struct error *err)
{
    stacktraces_response full = {0};
    stacktraces_request as = {.profile_typeID = rq->profile_typeID,
        .label_selector = rq->label_selector,
        .start = rq->start,
        .end = rq->end,
        .max_nodes = rq->max_nodes,
        .format = rq->format == M_FORMAT_TREE ? M_FORMAT_TREE : M_FORMAT_FLAMEGRAPH};
    as.span_selector.v = rq->span_selector.v;
    as.span_selector.n = rq->span_selector.n;
    TRY(query_select_merge_stacktraces(q, &as, &full, err));
    rs->flamegraph = full.flamegraph;
    rs->tree = full.tree;
    return ST_OK;
}

enum status query_select_merge_profile(struct query *q,
    const struct m_select_merge_profile_request *rq, struct m_profile *rs, struct error *err)
{
    struct selection s = {0};
    int64_t nodes;
    stacktraces_request as = {.profile_typeID = rq->profile_typeID,
        .label_selector = rq->label_selector,
        .stack_trace_selector = rq->stack_trace_selector};
    as.profile_id_selector.v = rq->profile_id_selector.v;
    as.profile_id_selector.n = rq->profile_id_selector.n;
    as.trace_id_selector.v = rq->trace_id_selector.v;
    as.trace_id_selector.n = rq->trace_id_selector.n;
    TRY(query_range_check(q, rq->start, rq->end, &s.range, err));
    TRY(pprof_nodes(q, rq->max_nodes, &nodes, err));
    enum status st = prepare(q, &as, &s, err);
    if (st == ST_OK)
        st = selection_pprof(q, &s, nodes, pgo_of(rq->stack_trace_selector), rs, err);
    selection_done(&s);
    return st;
}

/* Diff */

static enum status check_type(struct str id, struct error *err)
{
    struct profile_type t;
    bool bare = id.n && str_find_char(id, ':') == STR_NPOS;
    return bare ? ST_OK : profile_type_parse(id, &t, err);
}

/* Where one side goes: one of them. */
struct side {
    struct tree_set *trees;
    struct function_sum *functions;
};

static enum status take_side(
    struct query *q, const stacktraces_request *rq, struct side to, struct error *err)
{
    struct selection s = {0};
    TRY(check_ids(rq, err));
    TRY(query_range_check(q, rq->start, rq->end, &s.range, err));
    enum status st = prepare(q, rq, &s, err);
    if (st == ST_OK && to.functions)
        st = selection_functions(q, &s, to.functions, err);
    else if (st == ST_OK)
        st = tree_set_gather(q, &s, to.trees, err);
    selection_done(&s);
    return st;
}

enum status tree_draw_diff(struct query *q, const struct nametree *left,
    const struct nametree *right, int64_t nodes, struct m_flamegraph_diff **ret, struct error *err)
{
    struct flamegraph g;
    struct m_flamegraph_diff *m = ARENA_NEW(q->arena, struct m_flamegraph_diff);
    if (!m)
        return query_full(q, err);
    TRY(query_status(q, flamegraph_diff(left, right, nodes, q->arena, &g, err), err));
    m->names.v = g.names;
    m->names.n = g.n_names;
    m->total = g.total;
    m->max_self = g.max_self;
    m->leftTicks = g.left_ticks;
    m->rightTicks = g.right_ticks;
    m->levels.n = g.n_levels;
    TRY(fill_levels(q, &g, &m->levels.v, err));
    *ret = m;
    return ST_OK;
}

static enum status diff_functions(struct query *q, const stacktraces_request *left,
    const stacktraces_request *right, int64_t rows, struct m_function_diff_table **ret,
    struct error *err)
{
    struct function_sum sides[2];
    function_sum_init(&sides[0], q->arena);
    function_sum_init(&sides[1], q->arena);
    enum status st = take_side(q, left, (struct side){.functions = &sides[0]}, err);
    if (st == ST_OK)
        st = take_side(q, right, (struct side){.functions = &sides[1]}, err);
    if (st == ST_OK)
        st = function_sums_diff(q, &sides[0], &sides[1], rows, ret, err);
    function_sum_done(&sides[0]);
    function_sum_done(&sides[1]);
    return st;
}

static enum status diff_trees(struct query *q, const stacktraces_request *left,
    const stacktraces_request *right, int64_t nodes, struct m_flamegraph_diff **ret,
    struct error *err)
{
    struct nametree trees[2];
    struct tree_set sides[2] = {0};
    nametree_init(&trees[0], q->arena);
    nametree_init(&trees[1], q->arena);
    enum status st = take_side(q, left, (struct side){.trees = &sides[0]}, err);
    if (st == ST_OK)
        st = take_side(q, right, (struct side){.trees = &sides[1]}, err);
    if (st == ST_OK)
        st = tree_sets_merge(q, sides, 2, nodes, trees, err);
    if (st == ST_OK)
        st = tree_draw_diff(q, &trees[0], &trees[1], nodes, ret, err);
    tree_set_done(&sides[0]);
    tree_set_done(&sides[1]);
    nametree_done(&trees[0]);
    nametree_done(&trees[1]);
    return st;
}

/* A table has a number of rows of its own; a picture is cut by the larger of all that are given. */
enum status query_diff(
    struct query *q, const struct m_diff_request *rq, struct m_diff_response *rs, struct error *err)
{
    static const stacktraces_request nothing;
    const stacktraces_request *left = rq->left ? rq->left : &nothing;
    const stacktraces_request *right = rq->right ? rq->right : &nothing;
    bool table = rq->format == M_FORMAT_FUNCTIONS;
    int64_t nodes = table ? rq->max_nodes
                          : MAX(rq->max_nodes, MAX(left->max_nodes, right->max_nodes));
    if (rq->format >= M_FORMAT_TREE && rq->format <= M_FORMAT_PPROF)
        FAIL(err, ST_UNIMPLEMENTED, "a diff is a flame graph or a table of functions");
    if (rq->format == M_FORMAT_SANDWICH)
        FAIL(err, ST_UNIMPLEMENTED, "there is no sandwich of a diff");
    TRY(check_type(left->profile_typeID, err));
    TRY(check_type(right->profile_typeID, err));
    TRY(query_nodes_check(q, nodes, &nodes, err));
    return table ? diff_functions(q, left, right, nodes, &rs->functions, err)
                 : diff_trees(q, left, right, nodes, &rs->flamegraph, err);
}
