/* Flame graphs as JSON, read back into stacks:
 *
 *     {"flamebearer": {"names": […], "levels": [[offset, total, self, name, …], …]},
 *      "metadata": {"format": "single", "units": …, "name": …, …}, …}
 *
 * A bar stands `offset` right of the end of the one before it; its parent is the bar above it that
 * it is within. The first level is the whole, not a frame. Bars of no width are left out, with what
 * would be below them. Linear in the input, and in what the stacks need. Thread: the caller's.
 * Failure: ST_INVALID_ARGUMENT with the reason; a full arena. */
#include "codec/json.h"
#include "codec/text_int.h"

enum { BAR = 4 };

struct bar {
    int64_t begin, end;
    uint32_t node;
};

struct graph {
    struct json_reader r;
    struct arena *arena;
    struct error *err;
    struct str format;
    struct {
        struct str *v;
        uint32_t n, cap;
    } names;
    struct {
        int64_t *v;
        uint32_t n, cap;
    } values;
    struct {
        uint32_t *v;
        uint32_t n, cap;
    } ends; /* of levels, in values */
};

/* ── JSON ── */

static enum status expect(struct graph *g, enum json_token want)
{
    enum json_token token;
    TRY(json_next(&g->r, &token, g->err));
    return token == want ? ST_OK : json_unexpected(&g->r, g->err);
}

static enum status read_names(struct graph *g)
{
    enum json_token token;
    TRY(expect(g, JSON_ARRAY));
    for (;;) {
        TRY(json_next(&g->r, &token, g->err));
        if (token == JSON_ARRAY_END)
            return ST_OK;
        if (token != JSON_STRING)
            return json_unexpected(&g->r, g->err);
        struct str *name = VEC_PUSH(g->arena, g->names);
        if (!name)
            return text_full(g->err);
        *name = g->r.text;
    }
}

static enum status read_level(struct graph *g)
{
    enum json_token token;
    for (;;) {
        TRY(json_next(&g->r, &token, g->err));
        if (token == JSON_ARRAY_END)
            break;
        int64_t v;
        if (token != JSON_NUMBER || !json_to_i64(g->r.text, &v) || v < 0)
            return json_unexpected(&g->r, g->err);
        int64_t *slot = VEC_PUSH(g->arena, g->values);
        if (!slot)
            return text_full(g->err);
        *slot = v;
    }
    uint32_t *end = VEC_PUSH(g->arena, g->ends);
    if (!end)
        return text_full(g->err);
    *end = g->values.n;
    return ST_OK;
}

static enum status read_levels(struct graph *g)
{
    enum json_token token;
    TRY(expect(g, JSON_ARRAY));
    for (;;) {
        TRY(json_next(&g->r, &token, g->err));
        if (token == JSON_ARRAY_END)
            return ST_OK;
        if (token != JSON_ARRAY)
            return json_unexpected(&g->r, g->err);
        TRY(read_level(g));
    }
}

typedef enum status (*member_fn)(struct graph *g, struct str name, struct flamebearer *out);

/* The members of an object that comes next. */
static enum status read_object(struct graph *g, member_fn member, struct flamebearer *out)
{
    enum json_token token;
    TRY(expect(g, JSON_OBJECT));
    for (;;) {
        TRY(json_next(&g->r, &token, g->err));
        if (token == JSON_OBJECT_END)
            return ST_OK;
        TRY(member(g, g->r.text, out));
    }
}

static enum status read_text(struct graph *g, struct str *ret)
{
    TRY(expect(g, JSON_STRING));
    *ret = g->r.text;
    return ST_OK;
}

static enum status in_flamebearer(struct graph *g, struct str name, struct flamebearer *out)
{
    (void)out;
    if (str_eq(name, STR("names")) && g->names.n == 0)
        return read_names(g);
    if (str_eq(name, STR("levels")) && g->ends.n == 0)
        return read_levels(g);
    return json_skip(&g->r, g->err);
}

static enum status in_metadata(struct graph *g, struct str name, struct flamebearer *out)
{
    if (str_eq(name, STR("format")))
        return read_text(g, &g->format);
    if (str_eq(name, STR("name")))
        return read_text(g, &out->name);
    if (str_eq(name, STR("units")))
        return read_text(g, &out->units);
    return json_skip(&g->r, g->err);
}

static enum status in_document(struct graph *g, struct str name, struct flamebearer *out)
{
    if (str_eq(name, STR("flamebearer")))
        return read_object(g, in_flamebearer, out);
    if (str_eq(name, STR("metadata")))
        return read_object(g, in_metadata, out);
    return json_skip(&g->r, g->err);
}

/* ── bars ── */

struct row {
    struct bar *v;
    uint32_t n;
};

static enum status wrong(struct graph *g, uint32_t level, const char *what)
{
    FAIL(g->err, ST_INVALID_ARGUMENT, "flamebearer: level %u: %s", level, what);
}

/* The bar of 4 numbers, behind x. */
static enum status place(struct graph *g, struct text_tree *t, uint32_t level, const int64_t v[BAR],
    int64_t *x, const struct row *above, uint32_t *parent, struct row *out)
{
    struct bar b;
    uint32_t name;
    if (__builtin_add_overflow(*x, v[0], &b.begin) || __builtin_add_overflow(b.begin, v[1], &b.end))
        return wrong(g, level, "the numbers are too large");
    *x = b.end;
    if (v[1] == 0)
        return ST_OK;
    if ((uint64_t)v[3] >= g->names.n || v[2] > v[1])
        return wrong(g, level, "a bar has no such name, or more of its own than in all");
    if (level == 0) {
        b.node = 0;
        out->v[out->n++] = b;
        return ST_OK;
    }
    while (*parent < above->n && above->v[*parent].end <= b.begin)
        ++*parent;
    if (*parent == above->n || b.begin < above->v[*parent].begin || b.end > above->v[*parent].end)
        return wrong(g, level, "a bar is not below another");
    TRY(text_name(t, g->names.v[v[3]], false, &name));
    TRY(text_child(t, above->v[*parent].node, name, &b.node));
    text_add(t, b.node, v[2]);
    out->v[out->n++] = b;
    return ST_OK;
}

static enum status build(struct graph *g, struct text_stacks *ret_stacks)
{
    struct text_tree t;
    struct row rows[2] = {0};
    uint32_t most = 0, at = 0;
    for (uint32_t i = 0; i < g->ends.n; i++)
        most = MAX(most, (g->ends.v[i] - (i ? g->ends.v[i - 1] : 0)) / BAR);
    rows[0].v = ARENA_ARRAY(g->arena, struct bar, most + 1);
    rows[1].v = ARENA_ARRAY(g->arena, struct bar, most + 1);
    if (!rows[0].v || !rows[1].v)
        return text_full(g->err);
    TRY(text_tree_init(&t, g->arena, g->err));
    for (uint32_t i = 0; i < g->ends.n; i++) {
        struct row *out = &rows[i & 1], *above = &rows[!(i & 1)];
        int64_t x = 0;
        uint32_t parent = 0;
        out->n = 0;
        if ((g->ends.v[i] - at) % BAR)
            return wrong(g, i, "the length is no multiple of 4");
        for (; at < g->ends.v[i]; at += BAR)
            TRY(place(g, &t, i, &g->values.v[at], &x, above, &parent, out));
    }
    return text_finish(&t, ret_stacks);
}

enum status flamebearer_decode(
    struct str json, struct arena *arena, struct flamebearer *ret_graph, struct error *err)
{
    struct flamebearer out = {.name = STR_EMPTY, .units = STR_EMPTY};
    struct graph *g = ARENA_NEW(arena, struct graph);
    if (!g)
        return text_full(err);
    g->arena = arena;
    g->err = err;
    json_start(&g->r, json, arena);
    TRY(read_object(g, in_document, &out));
    TRY(expect(g, JSON_END));
    if (g->format.n && !str_eq(g->format, STR("single")))
        FAIL(err, ST_INVALID_ARGUMENT, "flamebearer: the format \"%.*s\" is not one flame graph",
            STR_ARG(str_head(g->format, 50)));
    if (g->ends.n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "flamebearer: there are no levels");
    TRY(build(g, &out.stacks));
    *ret_graph = out;
    return ST_OK;
}
