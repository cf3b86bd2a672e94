/* The metadata event: which classes a chunk has and which fields, in wire order.
 *
 *     size · type 0 · start · duration · metadata id · strings · one tree of elements
 *     element = name, attributes (key, value)…, children…      all indexes of the strings
 *     root ▸ metadata ▸ class{id, name} ▸ field{name, class, constantPool?, dimension?}
 *
 * Only elements `class` and, directly below them, `field` matter; everything else is walked over.
 * Missing classes are no error here: what needs them finds nothing. Of a class with a pool in use
 * there is only one, so that its values are always read as they were passed over. When the bytes
 * equal those of the chunk before, its metadata is used again together with the programs compiled
 * for it.
 *
 * Strings are views of the recording where they can be. The walk keeps a stack of its own, at most
 * JFR_ELEMENTS_MAX deep. Anything malformed is ST_INVALID_ARGUMENT. */
#include "codec/jfr_int.h"

enum word { W_OTHER, W_CLASS, W_FIELD, W_ID, W_NAME, W_CONSTANT_POOL, W_DIMENSION };

struct text {
    struct str s;
    enum word word;
};

struct element {
    uint64_t children; /* still to come */
    bool is_class;
};

struct walk {
    struct jfr_dec *d;
    struct jfr_meta *m;
    struct jfr_reader r;
    struct {
        struct text *v;
        uint32_t n, cap;
    } texts;
    struct element open[JFR_ELEMENTS_MAX];
    uint32_t n_open;
};

struct attributes {
    struct str id, name, class, dimension;
    bool constant_pool;
};

static enum word word_of(struct str s)
{
    static const struct {
        struct str text;
        enum word word;
    } words[] = {
        {{"class", 5}, W_CLASS},
        {{"field", 5}, W_FIELD},
        {{"id", 2}, W_ID},
        {{"name", 4}, W_NAME},
        {{"constantPool", 12}, W_CONSTANT_POOL},
        {{"dimension", 9}, W_DIMENSION},
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(s, words[i].text))
            return words[i].word;
    return W_OTHER;
}

static enum jfr_type type_of(struct str name)
{
    static const struct str names[] = {[JFR_T_OTHER] = {"", 0},
#define X(type, text) [JFR_T_##type] = {text, sizeof(text) - 1},
        JFR_TYPE_TABLE(X)
#undef X
    };
    for (uint32_t i = JFR_T_OTHER + 1; i < JFR_T_N; i++)
        if (str_eq(name, names[i]))
            return (enum jfr_type)i;
    return JFR_T_OTHER;
}

static enum status read_texts(struct walk *w)
{
    uint64_t n = jfr_read_int(&w->r);
    for (uint64_t i = 0; i < n && !w->r.bad; i++) {
        struct text *t = VEC_PUSH(w->d->arena, w->texts);
        if (!t)
            JFR_FULL(w->d);
        *t = (struct text){STR_EMPTY, W_OTHER};
        TRY(jfr_string(w->d, NULL, &w->r, &t->s));
        t->word = word_of(t->s);
    }
    return ST_OK;
}

static enum status bad_text(const struct walk *w, uint32_t i)
{
    if (w->r.bad)
        JFR_FAIL(w->d, "error reading metadata: unexpected EOF");
    JFR_FAIL(w->d, "error reading metadata: string index %u out of range", i);
}

/* 3,300 times for the metadata of an agent. */
static inline __attribute__((always_inline)) enum status read_text(
    struct walk *w, const struct text **ret_text)
{
    uint32_t i = jfr_read_int(&w->r);
    if (UNLIKELY(w->r.bad || i >= w->texts.n))
        return bad_text(w, i);
    *ret_text = &w->texts.v[i];
    return ST_OK;
}

static enum status read_attributes(struct walk *w, struct attributes *ret)
{
    uint64_t n = jfr_read_int(&w->r);
    for (uint64_t i = 0; i < n; i++) {
        const struct text *key = NULL, *value = NULL;
        TRY(read_text(w, &key));
        TRY(read_text(w, &value));
        if (key->word == W_ID)
            ret->id = value->s;
        else if (key->word == W_NAME)
            ret->name = value->s;
        else if (key->word == W_CLASS)
            ret->class = value->s;
        else if (key->word == W_DIMENSION)
            ret->dimension = value->s;
        else if (key->word == W_CONSTANT_POOL)
            ret->constant_pool = str_eq(value->s, STR("true"));
    }
    return ST_OK;
}

/* Decimal, as Java prints a long. */
static enum status read_id(struct jfr_dec *d, struct str s, uint64_t *ret_id)
{
    int64_t id;
    if (!str_to_i64(s, &id))
        JFR_FAIL(d, "error reading metadata: bad class id '%.*s'", (int)MIN(s.n, 40u), s.p);
    *ret_id = (uint64_t)id;
    return ST_OK;
}

static enum status add_class(struct walk *w, const struct attributes *a)
{
    struct jfr_meta *m = w->m;
    uint64_t id = 0;
    TRY(read_id(w->d, a->id, &id));
    uint32_t i = m->classes.n;
    struct jfr_class *c = VEC_PUSH(w->d->arena, m->classes);
    if (!c || !jfr_index_add(&m->by_id, w->d->arena, id, i))
        JFR_FULL(w->d);
    *c = (struct jfr_class){.first_field = m->fields.n, .type = type_of(a->name)};
    bool has_pool = c->type > JFR_T_STRING && c->type < JFR_T_EXECUTION;
    if (has_pool && m->known[c->type] != PROF_NONE)
        JFR_FAIL(w->d, "error reading metadata: two classes of one name");
    m->known[c->type] = i;
    return ST_OK;
}

static enum status add_field(struct walk *w, const struct attributes *a)
{
    struct jfr_meta *m = w->m;
    struct jfr_field f = {.name = a->name, .class = PROF_NONE, .cp = a->constant_pool};
    TRY(read_id(w->d, a->class, &f.type_id));
    f.array = str_eq(a->dimension, STR("1"));
    if (a->dimension.n && !f.array)
        JFR_FAIL(w->d, "error reading metadata: unsupported dimension");
    struct jfr_field *at = VEC_PUSH(w->d->arena, m->fields);
    if (!at)
        JFR_FULL(w->d);
    *at = f;
    m->classes.v[m->classes.n - 1].n_fields++;
    return ST_OK;
}

/* One element, and it is open when it has children. */
static enum status read_element(struct walk *w)
{
    const struct text *name = NULL;
    struct attributes a = {0};
    TRY(read_text(w, &name));
    TRY(read_attributes(w, &a));
    uint64_t children = jfr_read_int(&w->r);
    bool in_class = w->n_open && w->open[w->n_open - 1].is_class;
    bool is_class = name->word == W_CLASS && !in_class;
    if (is_class)
        TRY(add_class(w, &a));
    if (name->word == W_FIELD && in_class)
        TRY(add_field(w, &a));
    if (children == 0)
        return ST_OK;
    if (w->n_open == JFR_ELEMENTS_MAX)
        JFR_FAIL(w->d, "error reading metadata: elements are nested too deeply");
    w->open[w->n_open++] = (struct element){children, is_class};
    return ST_OK;
}

/* The last class of an id holds for all fields; with that, classes know each other. */
static enum status bind_fields(struct jfr_dec *d, struct jfr_meta *m)
{
    if (!jfr_index_build(&m->by_id, d->arena))
        JFR_FULL(d);
    for (uint32_t i = 0; i < m->fields.n; i++) {
        const struct jfr_entry *e = jfr_index_find(&m->by_id, m->fields.v[i].type_id);
        m->fields.v[i].class = e ? e->at : PROF_NONE;
    }
    return ST_OK;
}

static bool is_plain(const struct jfr_meta *m, const struct jfr_field *f)
{
    if (f->array)
        return false;
    enum jfr_type type = f->class == PROF_NONE ? JFR_T_OTHER : m->classes.v[f->class].type;
    return f->cp || (type >= JFR_T_INT && type <= JFR_T_LONG);
}

/* All known producers write frames so; others take the general path. */
static bool has_plain_frames(const struct jfr_meta *m)
{
    uint32_t i = m->known[JFR_T_STACK_FRAME];
    if (i == PROF_NONE || m->classes.v[i].n_fields != 4)
        return false;
    const struct jfr_field *f = &m->fields.v[m->classes.v[i].first_field];
    for (uint32_t k = 0; k < 4; k++)
        if (!is_plain(m, &f[k]))
            return false;
    return f[0].cp && f[0].class != PROF_NONE && m->classes.v[f[0].class].type == JFR_T_METHOD &&
           str_eq(f[0].name, STR("method")) && !f[1].cp &&
           m->classes.v[f[1].class].type == JFR_T_INT && str_eq(f[1].name, STR("lineNumber"));
}

static enum status parse_tree(struct walk *w)
{
    TRY(read_texts(w));
    do {
        TRY(read_element(w));
        while (w->n_open && w->open[w->n_open - 1].children == 0)
            w->n_open--;
        if (w->n_open)
            w->open[w->n_open - 1].children--;
    } while (w->n_open);
    if (w->r.bad)
        JFR_FAIL(w->d, "error reading metadata: unexpected EOF");
    return ST_OK;
}

enum status jfr_meta_parse(
    struct jfr_dec *d, struct str chunk, size_t offset, struct jfr_meta **ret_meta)
{
    struct jfr_reader r = jfr_reader_make(chunk, offset);
    uint64_t size = jfr_read(&r);
    if (r.bad || size > chunk.n - offset)
        JFR_FAIL(d, "error reading metadata: unexpected EOF");
    r.end = (const uint8_t *)chunk.p + offset + size;
    r.p = MIN(r.p, r.end);
    if (jfr_read(&r) != 0)
        JFR_FAIL(d, "error reading metadata: unexpected event type");
    jfr_skip_varints(&r, 2);
    struct str bytes = str_make(r.p, jfr_left(&r));
    if (d->meta && str_eq(d->meta->bytes, bytes)) {
        *ret_meta = d->meta;
        return ST_OK;
    }
    struct walk w = {.d = d, .m = ARENA_NEW(d->arena, struct jfr_meta), .r = r};
    if (!w.m)
        JFR_FULL(d);
    w.m->bytes = bytes;
    for (uint32_t i = 0; i < JFR_T_N; i++)
        w.m->known[i] = PROF_NONE;
    jfr_read(&w.r); /* metadata id */
    TRY(parse_tree(&w));
    TRY(bind_fields(d, w.m));
    w.m->plain_frames = has_plain_frames(w.m);
    *ret_meta = w.m;
    return ST_OK;
}
