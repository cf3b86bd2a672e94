/* What the files of this module share. Read exec.c first: every question goes through it. */
#ifndef QUERY_QUERY_INT_H
#define QUERY_QUERY_INT_H

#include "model/flamegraph.h"
#include "model/labels.h"
#include "model/profile_type.h"
#include "model/selector.h"
#include "model/tree_merge.h"
#include "query/query.h"

/* budget.c: deadline, memory, texts */

/* ST_RESOURCE_EXHAUSTED with the budget and what would help. */
enum status query_full(const struct query *q, struct error *err);
/* A status of a lower layer; a full arena there is our budget and gets our words. */
enum status query_status(const struct query *q, enum status st, struct error *err);
/* A copy in the answer's arena. */
enum status query_copy(struct query *q, struct str s, struct str *ret, struct error *err);
enum status query_overflow(struct error *err);
/* Brings the next look at the clock nearer by this many checks. */
static inline void query_work(struct query *q, uint32_t checks)
{
    q->checks -= MIN(q->checks, checks);
}
/* How much of the budget is left. */
size_t query_left(const struct query *q);
/* False when the index, which is on the heap, would outgrow it. */
bool query_index_put(const struct query *q, struct idmap *m, uint64_t hash, uint32_t id);

/* time.c: ranges and limits of §2.2 */

struct query_range {
    int64_t start_ms, end_ms; /* both inclusive, after clamping */
    bool empty;               /* wholly before the lookback limit: no data, no error */
};
enum status query_range_check(struct query *q, int64_t start_ms, int64_t end_ms,
    struct query_range *ret_range, struct error *err);
/* The number of nodes to draw; <= 0 is unlimited. */
enum status query_nodes_check(
    const struct query *q, int64_t max_nodes, int64_t *ret_nodes, struct error *err);
int64_t query_ms_to_ns(int64_t ms); /* saturates */
static inline int64_t query_ns_to_ms(int64_t ns)
{
    return ns / NS_PER_MS - (ns % NS_PER_MS < 0);
}
/* A step in seconds as whole milliseconds; one that is longer than any range is one slot. */
enum status query_step(double step, int64_t *ret_ms, struct error *err);
/* The first nanosecond behind the range. */
static inline int64_t query_range_until(const struct query_range *r)
{
    return query_ms_to_ns(r->end_ms == INT64_MAX ? r->end_ms : r->end_ms + 1);
}
enum { DURATION_TEXT = 48 };
/* Go's Duration.String(). */
void query_format_duration(int64_t ns, char out[DURATION_TEXT]);

/* match.c: labels as users see them */

enum label_kind {
    LABEL_STORED,
    LABEL_ANNOTATION, /* stored, but no label to the outside: always absent */
    LABEL_SERVICE,
    LABEL_PERIOD_TYPE,
    LABEL_PERIOD_UNIT,
    LABEL_TYPE, /* from here on they differ between the types of a series */
    LABEL_UNIT,
    LABEL_PROFILE_TYPE,
};
enum label_kind label_kind(struct str name);
/* The value of a label of (series, type k), "" when it is absent. May be a view of scratch. */
struct str series_label(const struct part_series *s, uint32_t k, enum label_kind kind,
    struct str name, struct buf *scratch);
/* Bit k: type k of the series satisfies every matcher. */
uint32_t series_match(const struct part_series *s, const struct selector *sel, struct buf *scratch);
/* Whether a part of this service can have a matching series at all. */
bool service_may_match(struct str service, const struct selector *sel);
enum { LABELS_SYNTHETIC = 6 };
/* The whole label set of (series, type k), sorted by name: views, into v[n_labels +
 * LABELS_SYNTHETIC]. Returns how many. */
uint32_t series_labels(
    const struct part_series *s, uint32_t k, struct buf *scratch, struct label *v);

/* annotations.c: of points */

struct exec_part;
struct annotations {
    MSG_LIST(struct m_annotation) list;
};
/* Whether a series that matches has one. */
bool annotations_any(const struct exec_part *ep);
/* Adds those of the series that *to does not have; *to is NULL while there are none. */
enum status annotations_add(
    struct query *q, const struct part_series *s, struct annotations **to, struct error *err);
/* By key, then by value. */
void annotations_sort(struct annotations *a);

/* ids.c: span, trace and profile ids of requests */

struct id_filter {
    const struct str *profiles; /* 36 characters, lower case, sorted */
    const uint64_t *spans;      /* sorted */
    const uint64_t *traces;     /* pairs hi, lo; sorted */
    uint32_t n_profiles, n_spans, n_traces;
};
struct id_lists { /* as the request has them */
    const struct str *profiles, *spans, *traces;
    uint32_t n_profiles, n_spans, n_traces;
};
enum status ids_parse(
    struct query *q, const struct id_lists *in, struct id_filter *ret_filter, struct error *err);
bool ids_has_profile(const struct id_filter *f, const char uuid[37]);
bool ids_has_sample(const struct id_filter *f, const struct samples *s, uint32_t i);

/* frames.c: which stacks of a part a stack_trace_selector keeps */

enum { FRAME_CONDITIONS_MAX = 63 };

struct frame_condition {
    struct str name;
    struct pattern pattern;
    bool is_regex;
};
struct frame_rules {
    const struct m_location_name *call_site;
    uint32_t n_call_site;
    struct frame_condition *conditions; /* includes first */
    uint32_t n_conditions, n_includes, n_compiled;
    bool any; /* there is something to check */
};
enum status frame_rules_init(struct query *q, const struct m_stack_trace_selector *in,
    struct frame_rules *ret_rules, struct error *err);
void frame_rules_done(struct frame_rules *r);

/* exec.c */

struct exec_part {
    const struct part *part;   /* with stacks only between enter and leave */
    uint32_t n_rows, n_series; /* published when the query began; n_rows: of a live part */
    uint32_t n_nodes;          /* once entered */
    uint8_t *masks;            /* per series: bit k, type k matches */
    uint8_t *covered;          /* bit i: slot i is answered from roll-ups; NULL: none is */
};
struct exec {
    struct query *q;
    int64_t from_ns, until_ns;
    const struct store_view **views; /* per tenant */
    uint32_t n_views;
    MSG_LIST(struct exec_part) parts; /* those with a matching series */
    struct exec_part *entered;        /* or NULL */
    const struct part *light;         /* what the entered part was in the view */
    const struct part *slot;          /* entered, or NULL */
    uint32_t row;                     /* the number in its slot of the row at hand */
    const struct id_filter *ids;      /* or NULL */
    struct buf scratch;               /* for composed label values */
    struct arena rows;                /* decoded samples; emptied for every row */
};
/* Takes the views and the published counts of the parts, and matches their series. Close it also
 * after a failure. Rows are those with from_ns <= time < until_ns. */
enum status exec_open(struct exec *x, struct query *q, int64_t from_ns, int64_t until_ns,
    const struct selector *sel, const struct id_filter *ids, struct error *err);
void exec_close(struct exec *x);

/* Called for every row of the slots that are not covered and every type of it that matches and has
 * a value. */
typedef enum status (*exec_row_fn)(void *ctx, const struct exec_part *ep,
    const struct part_row *row, uint32_t k, struct error *err);
enum status exec_rows(
    struct exec *x, const struct exec_part *ep, exec_row_fn fn, void *ctx, struct error *err);
/* The same by hand: rows [0, *ret_n) of *ret_rows, of any time; 0 when the slot has none in range
 * or is damaged. Leave it before the next. */
enum status exec_slot_enter(struct exec *x, const struct exec_part *ep, uint32_t slot,
    const struct part **ret_rows, uint32_t *ret_n, struct error *err);
void exec_slot_leave(struct exec *x);

/* Makes the stacks and samples of a part available, one part at a time. *ret_any is false, and
 * there is nothing to leave, when no row of it matters or it is damaged. exec_close leaves as well.
 */
enum status exec_enter(struct exec *x, struct exec_part *ep, bool *ret_any, struct error *err);
void exec_leave(struct exec *x);

/* All of these between enter and leave. */

/* The samples of one type of a row, checked; they live until the next call. For who wants spans or
 * traces: rows in groups, which have none, seem to have no samples. */
enum status exec_row_samples(struct exec *x, const struct exec_part *ep, const struct part_row *row,
    uint32_t k, struct samples *ret_samples, struct error *err);
/* Self values per stack node of one part, over all matching rows; reused from part to part. */
struct exec_sums {
    int64_t *v; /* ep->n_nodes of them */
    uint32_t cap;
    bool any; /* there is a value at all */
};
enum status exec_sum_part(struct exec *x, const struct exec_part *ep,
    const struct frame_rules *rules, struct exec_sums *sums, struct error *err);

/* Bit i: the stack of node i is kept; keep has room for ep->n_nodes bits. */
enum status frame_rules_keep(struct query *q, const struct frame_rules *r,
    const struct exec_part *ep, struct arena *scratch, uint8_t *keep, struct error *err);
/* The same in new memory of the query, with the scratch of x. */
enum status exec_keep(struct exec *x, const struct exec_part *ep, const struct frame_rules *rules,
    uint8_t **ret_keep, struct error *err);
static inline bool keep_has(const uint8_t *keep, uint32_t node)
{
    return keep[node >> 3] >> (node & 7) & 1;
}

/* flats.c: the sums of parts as trees */

struct flat_set {
    struct query *q;
    struct rollup_names names; /* of all trees */
    struct arena arena;        /* the trees */
    MSG_LIST(struct flat_tree) trees;
    size_t lent;   /* what is taken off the budget for them */
    size_t folded; /* what they had when they became one the last time */
};
void flat_set_init(struct flat_set *f, struct query *q);
/* Also after a failure, also when only zeroed. Before the arena of the query goes. */
void flat_set_done(struct flat_set *f);
/* The sums are used up: flat_tree_make. */
enum status flat_set_add(struct flat_set *f, const struct symtab *sym, int64_t *sums,
    uint32_t n_nodes, struct error *err);

/* rollups.c: what need not be summed */

struct function_sum;
struct selection;

/* Which profile types of the part's roll-ups the matching series are, all of them: *ret_types has
 * *ret_n. *ret_any is false when roll-ups cannot answer for this part: it has none, or a type is
 * matched by some of its series only. */
enum status rollups_match(struct query *q, const struct exec_part *ep, uint32_t **ret_types,
    uint32_t *ret_n, bool *ret_any, struct error *err);

/* Trees of a selection, to be merged: roll-ups where they answer, and flat trees of the rows that
 * are left. */
struct tree_set {
    struct query *q;
    struct flat_set flats;
    MSG_LIST(struct store_tree *) trees;
    struct function_sum *functions; /* where to add tables up, in place of all trees */
};
/* All zero but `functions` before. Done with tree_set_done, also after a failure. */
enum status tree_set_gather(
    struct query *q, const struct selection *s, struct tree_set *set, struct error *err);
void tree_set_done(struct tree_set *set);
/* Adds a tree of a part, or in place of it the table that comes with it. *ret_any is false when it
 * is damaged: then it is left out. */
enum status tree_set_take(struct tree_set *set, struct exec *x, const struct part *part,
    const struct part_tree *t, bool *ret_any, struct error *err);
/* Whether slots [slot, slot + n) lie in the range as a whole and none is answered yet; and that
 * they are answered from now on. */
bool exec_may_cover(const struct exec *x, const struct exec_part *ep, uint32_t slot, uint32_t n);
enum status exec_cover(
    struct exec *x, struct exec_part *ep, uint32_t slot, uint32_t n, struct error *err);
/* digests.c: takes the digests that answer for whole parts of the selection, and covers these. */
enum status digests_take(struct tree_set *set, struct exec *x, struct error *err);
/* Merges a set per side as far as `budget` nodes need (<= 0: all of them); ret_trees are
 * initialised, and finished. */
enum status tree_sets_merge(struct query *q, struct tree_set *sets, uint32_t n_sides,
    int64_t budget, struct nametree *ret_trees, struct error *err);

/* select.c: what all Select* requests share */

/* Appends; an error reads `<what> "<text>": <reason>`. */
enum status query_selector_parse(
    struct query *q, struct str text, const char *what, struct selector *sel, struct error *err);

struct selection {
    struct query_range range;
    struct profile_type type; /* of the request, or found for a bare name */
    struct selector sel;      /* with the type, without sampled totals */
    struct id_filter ids;
    struct frame_rules rules;
};
struct selection_request {
    struct str type_id, selector;
    const struct m_stack_trace_selector *frames; /* or NULL */
    struct id_lists ids;
    bool stripped; /* also profiles of which only totals were kept */
};
/* range must be set. Call selection_done also after a failure. */
enum status selection_init(
    struct query *q, const struct selection_request *rq, struct selection *s, struct error *err);
void selection_done(struct selection *s);
enum status selection_open(
    struct query *q, const struct selection *s, struct exec *x, struct error *err);

/* groups.c: series by the labels that a question splits by */

struct groups {
    struct query *q;
    struct buf *scratch;
    const struct str *names; /* as asked */
    uint32_t n_names;
    enum label_kind *kinds;
    struct label *key;
    MSG_LIST(struct labels) list; /* by id */
    struct idmap ids;
};
/* names must stay. Done with groups_done, also after a failure, also when only zeroed. */
enum status groups_init(struct groups *g, struct query *q, struct buf *scratch,
    const struct str *names, uint32_t n_names, struct error *err);
void groups_done(struct groups *g);
/* The group of (series, type k). */
enum status groups_find(struct groups *g, const struct part_series *s, uint32_t k,
    uint32_t *ret_group, struct error *err);
enum status group_labels(
    struct query *q, struct labels ls, struct m_label_pair **ret_pairs, struct error *err);

/* points.c: profiles and spans, one by one */

enum { POINT_IDS = 4 };

struct point_origin {
    const struct part_series *series;
    uint32_t k;
    struct point_origin *next;
};
struct point {
    uint32_t group;
    bool is_span;
    uint64_t id[POINT_IDS]; /* of a profile: its upload; of a span: profile's time, span, trace */
    int64_t time_ns, value;
    uint32_t series, k; /* of the row at hand */
    struct point_origin origin;
};
struct points {
    struct exec *x;
    MSG_LIST(struct point) list;
    struct idmap ids;
};
void points_init(struct points *p, struct exec *x);
void points_done(struct points *p);
/* `origin` need not be set. What has the same group and ids is added up. */
enum status points_add(
    struct points *p, const struct exec_part *ep, struct point point, struct error *err);
/* Whether a is shown rather than b. */
bool point_better(const struct point *a, const struct point *b);
/* With the labels that it was not grouped by; before exec_close. */
enum status point_exemplar(struct points *p, const struct groups *g, const struct point *point,
    struct m_exemplar *ret_exemplar, struct error *err);

/* flame_json.c: {"version":1,"flamebearer":{…} and then ,"metadata":{…}: the object stays open */
void flame_json_graph(struct buf *out, const struct m_flamegraph *g);
void flame_json_metadata(
    struct buf *out, struct str sample_type, struct str sample_unit, const char *format);

/* The whole object. */
void flame_json_diff(struct buf *out, const struct m_flamegraph_diff *d, struct str sample_type,
    struct str sample_unit);

/* labels.c */

/* Distinct values of a label of the matching series with rows in range, sorted. */
enum status label_values(
    struct exec *x, struct str name, struct str **ret_values, uint32_t *ret_n, struct error *err);

/* stacktraces.c, pprof_out.c, functions.c, sandwich.c */

/* A finished tree as a flame graph, and two of them. */
enum status tree_draw(struct query *q, const struct nametree *t, int64_t budget, int64_t raw_budget,
    struct m_flamegraph **ret, struct error *err);
enum status tree_draw_diff(struct query *q, const struct nametree *left,
    const struct nametree *right, int64_t nodes, struct m_flamegraph_diff **ret, struct error *err);
/* The name tree of a selection as far as `budget` nodes need, finished; t is initialised. */
enum status selection_tree(struct query *q, const struct selection *s, int64_t budget,
    struct nametree *t, struct error *err);
/* max_nodes > 0 truncates. No data: an empty message. */
enum status selection_pprof(struct query *q, const struct selection *s, int64_t max_nodes,
    const struct m_go_pgo *pgo, struct m_profile *ret_profile, struct error *err);
/* Adds the exact function table of a selection up; sum is initialised. */
enum status selection_functions(
    struct query *q, const struct selection *s, struct function_sum *sum, struct error *err);
/* The table by falling self, at most `rows` of it (<= 0: all). */
enum status selection_function_table(struct query *q, const struct selection *s, int64_t rows,
    struct m_function_table **ret_table, struct error *err);
/* At most `rows` of the rows of either side, those with the larger shares first. */
enum status function_sums_diff(struct query *q, const struct function_sum *left,
    const struct function_sum *right, int64_t rows, struct m_function_diff_table **ret_table,
    struct error *err);
/* Callers and callees of a function as JSON, either half cut to `nodes` (<= 0: uncut). */
enum status selection_sandwich(struct query *q, const struct selection *s, struct str function,
    int64_t nodes, struct str *ret_json, struct error *err);
/* Untouched when there is no data. */
enum status selection_dot(struct query *q, const struct selection *s, int64_t max_nodes,
    struct str *ret_dot, struct error *err);

#endif
