/* A strict reader of YAML settings over libyaml's document tree: main's thread, or the overrides
 * thread. All problems of a file are collected and reported together, with their lines, in the
 * words of Pyroscope's reader. Nothing is applied to running limits before the whole file was read:
 * callers give a fresh target.
 *
 * 1. A key is known (a row of the table, or a block of rows), or it is a problem.
 * 2. A scalar has the type of its row, or it is a problem; null leaves the default.
 * 3. A key stands once in its mapping.
 * 4. Only the first document of the file is read; anchors work, as libyaml resolves them.
 *
 * No recursion: blocks nest on a small stack, and only as deep as the table's paths. */
#include "server/config_int.h"

#include <yaml.h>

#include "base/hash.h"
#include "base/idmap.h"
#include "codec/json.h"

enum {
    DEPTH_MAX = 12,
    PATH_MAX_BYTES = 256,
    PROBLEMS_MAX = 20,
    PROBLEM_BYTES = 16 << 10,
    RULES_BYTES = 1 << 20
};

enum frame_kind { FRAME_BLOCK, FRAME_RUNTIME, FRAME_TENANTS };

struct frame {
    yaml_node_t *map;
    yaml_node_pair_t *next;
    size_t path_n;
    enum frame_kind kind;
};

struct reader {
    yaml_document_t *doc;
    const struct config_sink *sink;
    struct buf problems;
    uint32_t n_problems;
    char path[PATH_MAX_BYTES];
    size_t path_n;
    struct frame stack[DEPTH_MAX];
    uint32_t depth;
    bool no_memory;
};

static void problem(struct reader *r, const yaml_node_t *at, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
static void problem(struct reader *r, const yaml_node_t *at, const char *fmt, ...)
{
    if (r->n_problems++ >= PROBLEMS_MAX)
        return;
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    buf_printf(&r->problems, "\n  line %zu: %s", at->start_mark.line + 1, text);
}

static struct str scalar(const yaml_node_t *n)
{
    return str_make(n->data.scalar.value, n->data.scalar.length);
}

static bool is_one_of(struct str s, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(s, str_from(list[i])))
            return true;
    return false;
}

static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
static const char *const yes[] = {
    "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"};
static const char *const no[] = {
    "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};

static bool is_plain(const yaml_node_t *n)
{
    return n->type == YAML_SCALAR_NODE && n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static bool is_null(const yaml_node_t *n)
{
    return is_plain(n) && is_one_of(scalar(n), nulls, ARRAY_LEN(nulls));
}

static const char *tag_of(const yaml_node_t *n)
{
    struct config_value v;
    bool range;
    if (n->type == YAML_MAPPING_NODE)
        return "!!map";
    if (n->type == YAML_SEQUENCE_NODE)
        return "!!seq";
    if (!is_plain(n))
        return "!!str";
    struct str s = scalar(n);
    if (str_eq_nocase(s, STR("true")) || str_eq_nocase(s, STR("false")))
        return "!!bool";
    if (config_value_parse(CONFIG_INT, s, &v, &range))
        return "!!int";
    return config_value_parse(CONFIG_FLOAT, s, &v, &range) ? "!!float" : "!!str";
}

static void wrong_type(struct reader *r, const yaml_node_t *n, const char *want)
{
    if (n->type != YAML_SCALAR_NODE) {
        problem(r, n, "cannot unmarshal %s into %s", tag_of(n), want);
        return;
    }
    struct str s = scalar(n);
    bool cut = s.n > 10;
    problem(r, n, "cannot unmarshal %s `%.*s%s` into %s", tag_of(n),
        STR_ARG(str_head(s, cut ? 7 : 10)), cut ? "..." : "", want);
}

static const char *type_name(enum config_type t)
{
    static const char *const names[] = {
        [CONFIG_STRING] = "string",
        [CONFIG_SECRET] = "string",
        [CONFIG_LIST] = "[]string",
        [CONFIG_BOOL] = "bool",
        [CONFIG_INT] = "int",
        [CONFIG_BYTES] = "int",
        [CONFIG_FLOAT] = "float64",
        [CONFIG_DURATION] = "time.Duration",
        [CONFIG_XDURATION] = "model.Duration",
        [CONFIG_RULES] = "[]*relabel.Config",
        [CONFIG_TYPE_RULES] = "[]*relabel.Config",
        [CONFIG_USAGE_GROUPS] = "map[string]string",
        [CONFIG_GROUP_SAMPLING] = "map[string]sampling.UsageGroupSampling",
        [CONFIG_GROUP_QUOTAS] = "map[string]ingestlimits.UsageGroup",
        [CONFIG_POSITION] = "first, last or disabled",
        [CONFIG_PERIOD] = "second, minute, hour, day, week, month or year",
        [CONFIG_ANY] = "any",
    };
    return names[t];
}

static void set(struct reader *r, int row, struct str text)
{
    if (!r->sink->set(r->sink->ctx, row, text))
        r->no_memory = true;
}

/* A sequence of scalars as a comma list. */
static void read_list(struct reader *r, int row, const yaml_node_t *seq)
{
    struct buf out;
    buf_init(&out, 64 << 10);
    for (yaml_node_item_t *it = seq->data.sequence.items.start; it < seq->data.sequence.items.top;
         it++) {
        const yaml_node_t *n = yaml_document_get_node(r->doc, *it);
        if (n->type != YAML_SCALAR_NODE) {
            wrong_type(r, n, "string");
            continue;
        }
        if (out.n)
            buf_byte(&out, ',');
        buf_str(&out, scalar(n));
    }
    if (out.failed)
        problem(r, seq, "the list is too long");
    else
        set(r, row, buf_view(&out));
    buf_done(&out);
}

/* Every second key of the same name in the mapping is a problem. */
static void check_duplicates(struct reader *r, const yaml_node_t *map)
{
    struct idmap seen;
    idmap_init(&seen, NULL);
    const yaml_node_pair_t *pairs = map->data.mapping.pairs.start;
    size_t n = (size_t)(map->data.mapping.pairs.top - pairs);
    for (uint32_t i = 0; i < n; i++) {
        const yaml_node_t *key = yaml_document_get_node(r->doc, pairs[i].key), *old = NULL;
        if (key->type != YAML_SCALAR_NODE)
            continue;
        uint64_t h = hash_str(scalar(key));
        struct idmap_probe p = idmap_start(&seen, h);
        for (uint32_t j; idmap_next(&seen, &p, &j) && !old;) {
            const yaml_node_t *k = yaml_document_get_node(r->doc, pairs[j].key);
            old = str_eq(scalar(k), scalar(key)) ? k : NULL;
        }
        if (old)
            problem(r, key, "mapping key \"%.*s\" already defined at line %zu",
                STR_ARG(str_head(scalar(key), 100)), old->start_mark.line + 1);
        else if (!idmap_put(&seen, h, i))
            r->no_memory = true;
    }
    idmap_done(&seen);
}

/* Writes the node as JSON; false: it has another shape. */
typedef bool (*put_fn)(struct reader *r, struct buf *out, const yaml_node_t *n);

static bool put_scalar(struct reader *r, struct buf *out, const yaml_node_t *n)
{
    (void)r;
    if (n->type != YAML_SCALAR_NODE)
        return false;
    if (is_null(n))
        buf_str(out, STR("null"));
    else
        json_put_string(out, scalar(n));
    return true;
}

static bool put_list_of(struct reader *r, struct buf *out, const yaml_node_t *seq, put_fn put)
{
    bool ok = seq->type == YAML_SEQUENCE_NODE;
    buf_byte(out, '[');
    for (yaml_node_item_t *it = ok ? seq->data.sequence.items.start : NULL;
         ok && it < seq->data.sequence.items.top; it++) {
        if (it > seq->data.sequence.items.start)
            buf_byte(out, ',');
        ok = put(r, out, yaml_document_get_node(r->doc, *it));
    }
    buf_byte(out, ']');
    return ok;
}

static bool put_map_of(struct reader *r, struct buf *out, const yaml_node_t *map, put_fn put)
{
    bool ok = map->type == YAML_MAPPING_NODE;
    if (ok)
        check_duplicates(r, map);
    buf_byte(out, '{');
    for (const yaml_node_pair_t *p = ok ? map->data.mapping.pairs.start : NULL;
         ok && p < map->data.mapping.pairs.top; p++) {
        const yaml_node_t *key = yaml_document_get_node(r->doc, p->key);
        if (p > map->data.mapping.pairs.start)
            buf_byte(out, ',');
        if (key->type != YAML_SCALAR_NODE)
            return false;
        json_put_string(out, scalar(key));
        buf_byte(out, ':');
        ok = put(r, out, yaml_document_get_node(r->doc, p->value));
    }
    buf_byte(out, '}');
    return ok;
}

static bool put_leaf(struct reader *r, struct buf *out, const yaml_node_t *n)
{
    return n->type == YAML_SEQUENCE_NODE ? put_list_of(r, out, n, put_scalar)
                                         : put_scalar(r, out, n);
}

static bool put_mapping(struct reader *r, struct buf *out, const yaml_node_t *n)
{
    return put_map_of(r, out, n, put_leaf);
}

/* Whatever is compiled becomes the JSON that config_compile reads. */
static void read_compiled(struct reader *r, int row, const yaml_node_t *n)
{
    enum config_type type = config_settings[row].type;
    struct buf out;
    struct error err = {0};
    const void *compiled;
    bool ok;
    buf_init(&out, RULES_BYTES);
    if (type == CONFIG_RULES || type == CONFIG_TYPE_RULES)
        ok = put_list_of(r, &out, n, put_mapping);
    else
        ok = put_map_of(r, &out, n, type == CONFIG_USAGE_GROUPS ? put_scalar : put_mapping);
    if (!ok)
        wrong_type(r, n, type_name(type));
    else if (out.failed)
        problem(r, n, "the rules are too long");
    else if (config_compile(type, buf_view(&out), &compiled, &err) != ST_OK)
        problem(r, n, "%s", err.msg);
    else
        set(r, row, buf_view(&out));
    buf_done(&out);
}

/* The scalar as text that config_value_parse takes for the type; false: it has another type. */
static bool scalar_text(const yaml_node_t *n, enum config_type type, struct str *ret)
{
    struct str s = scalar(n);
    struct config_value v;
    bool range;
    *ret = s;
    switch (type) {
    case CONFIG_BOOL:
        *ret = is_one_of(s, yes, ARRAY_LEN(yes)) ? STR("true") : STR("false");
        return is_plain(n) &&
               (is_one_of(s, yes, ARRAY_LEN(yes)) || is_one_of(s, no, ARRAY_LEN(no)));
    case CONFIG_INT:
    case CONFIG_FLOAT:
        return is_plain(n) && config_value_parse(type, s, &v, &range);
    default:
        return config_value_parse(type, s, &v, &range);
    }
}

static void read_leaf(struct reader *r, int row, const yaml_node_t *n)
{
    enum config_type type = config_settings[row].type;
    struct str text;
    if (is_null(n))
        return;
    if (config_is_compiled(type))
        read_compiled(r, row, n);
    else if (type == CONFIG_ANY)
        set(r, row, STR("(given)"));
    else if (type == CONFIG_LIST && n->type == YAML_SEQUENCE_NODE)
        read_list(r, row, n);
    else if (n->type != YAML_SCALAR_NODE || !scalar_text(n, type, &text))
        wrong_type(r, n, type_name(type));
    else
        set(r, row, text);
}

static void enter(struct reader *r, yaml_node_t *map, enum frame_kind kind)
{
    if (map->type != YAML_MAPPING_NODE) {
        wrong_type(r, map, r->path_n ? r->path : "config");
        return;
    }
    if (r->depth == DEPTH_MAX) {
        problem(r, map, "nested too deeply");
        return;
    }
    check_duplicates(r, map);
    r->stack[r->depth++] = (struct frame){map, map->data.mapping.pairs.start, r->path_n, kind};
}

static bool set_path(struct reader *r, size_t base, struct str key)
{
    int n = snprintf(
        r->path + base, sizeof r->path - base, "%s%.*s", base ? "." : "", STR_ARG(key));
    r->path_n = base + (size_t)MAX(n, 0);
    return r->path_n < sizeof r->path && !memchr(key.p, '.', key.n) && !memchr(key.p, 0, key.n);
}

static void read_block_key(
    struct reader *r, size_t base, const yaml_node_t *key, yaml_node_t *value)
{
    struct str name = scalar(key);
    bool fits = set_path(r, base, name);
    int row = fits ? config_find_yaml(str_make(r->path, r->path_n)) : -1;
    if (row >= 0) {
        read_leaf(r, row, value);
    } else if (fits && config_is_block(str_make(r->path, r->path_n))) {
        if (!is_null(value))
            enter(r, value, FRAME_BLOCK);
    } else {
        r->path[MIN(base, sizeof r->path - 1)] = 0;
        problem(r, key, "field %.*s not found in type %s", STR_ARG(str_head(name, 100)),
            base ? r->path : "config");
    }
}

/* One tenant's entry: its keys are those of the block `limits`. */
static void read_tenant(struct reader *r, const yaml_node_t *key, yaml_node_t *value)
{
    if (!r->sink->tenant(r->sink->ctx, scalar(key), is_null(value)))
        r->no_memory = true;
    r->path_n = (size_t)snprintf(r->path, sizeof r->path, "limits");
    if (!is_null(value))
        enter(r, value, FRAME_BLOCK);
}

static void read_pair(struct reader *r, struct frame *f, yaml_node_pair_t *pair)
{
    const yaml_node_t *key = yaml_document_get_node(r->doc, pair->key);
    yaml_node_t *value = yaml_document_get_node(r->doc, pair->value);
    if (key->type != YAML_SCALAR_NODE) {
        problem(r, key, "invalid map key");
        return;
    }
    if (f->kind == FRAME_TENANTS) {
        /* A mapping of tenant names never shares the stack with two tenants at once. */
        read_tenant(r, key, value);
    } else if (f->kind == FRAME_RUNTIME) {
        r->path_n = 0;
        if (!str_eq(scalar(key), STR("overrides")))
            problem(r, key, "field %.*s not found in type runtime config",
                STR_ARG(str_head(scalar(key), 100)));
        else if (!is_null(value))
            enter(r, value, FRAME_TENANTS);
    } else {
        read_block_key(r, f->path_n, key, value);
    }
}

static void walk(struct reader *r, yaml_node_t *root)
{
    if (is_null(root))
        return;
    enter(r, root, r->sink->tenant ? FRAME_RUNTIME : FRAME_BLOCK);
    while (r->depth && !r->no_memory) {
        struct frame *f = &r->stack[r->depth - 1];
        if (f->next == f->map->data.mapping.pairs.top) {
            r->depth--;
            continue;
        }
        read_pair(r, f, f->next++);
    }
}

static enum status read_document(
    yaml_document_t *doc, const char *name, const struct config_sink *sink, struct error *err)
{
    struct reader r = {.doc = doc, .sink = sink};
    buf_init(&r.problems, PROBLEM_BYTES);
    yaml_node_t *root = yaml_document_get_root_node(doc);
    if (root)
        walk(&r, root);
    enum status st = ST_OK;
    if (r.no_memory)
        st = error_set(err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__, "%s: too large", name);
    else if (r.n_problems)
        st = error_set(err, ST_INVALID_ARGUMENT, __FILE__, __LINE__,
            "%s: yaml: unmarshal errors:%.*s", name, STR_ARG(buf_view(&r.problems)));
    buf_done(&r.problems);
    return st;
}

enum status config_yaml_read(
    struct str text, const char *name, const struct config_sink *sink, struct error *err)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    if (!yaml_parser_initialize(&parser))
        FAIL(err, ST_RESOURCE_EXHAUSTED, "%s: no memory", name);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.p, text.n);
    enum status st = ST_OK;
    if (!yaml_parser_load(&parser, &doc)) {
        size_t line = parser.problem_mark.line + 1;
        st = error_set(err, ST_INVALID_ARGUMENT, __FILE__, __LINE__, "%s: yaml: line %zu: %s", name,
            line, parser.problem ? parser.problem : "cannot be read");
    } else {
        st = read_document(&doc, name, sink, err);
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    return st;
}
