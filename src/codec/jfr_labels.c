/* LabelsSnapshot: from the context id of an event to the label set of its sample.
 *
 *     LabelsSnapshot { map<int64, Context> contexts = 1; map<int64, string> strings = 2; }
 *     Context        { map<int64, int64> labels = 1; }      string id of the key → of the value
 *
 * Agents make a context for every traced call: 8,000 in an upload, of which a dozen differ. The
 * snapshot is walked once, keeping where each context and string lies; a context is looked at when
 * the first event has it, and equal ones are recognised by their bytes before anything is decoded.
 * So samples carry dense label sets, each once, ordered by the ids of their strings.
 *
 * Labels with an empty value vanish. profile_id, span_id and trace_id never stay labels: they
 * become the span and trace of the sample when they have the right form. A missing string reads as
 * empty; of equal keys the last one holds. Malformed bytes are ST_INVALID_ARGUMENT. */
#include "codec/jfr_int.h"

#define LABELS_FAIL(d) FAIL((d)->err, ST_INVALID_ARGUMENT, "jfr labels: malformed LabelsSnapshot")

struct field {
    uint64_t number, value; /* value: of varints */
    uint32_t wire;
    const uint8_t *at; /* what follows the tag */
    struct str bytes;  /* of wire type 2 */
};

/* Varints of contexts have two or three bytes mostly. */
static inline __attribute__((always_inline)) uint64_t read_varint(struct cursor *c)
{
    if (cursor_left(c) >= 8) {
        struct jfr_got got = jfr_get(c->p, c->p + 8);
        if (LIKELY(got.p)) {
            c->p = got.p;
            return got.v;
        }
    }
    return cursor_uvarint(c);
}

static inline __attribute__((always_inline)) bool next_field(struct cursor *c, struct field *f)
{
    if (cursor_left(c) == 0)
        return false;
    uint64_t tag = read_varint(c);
    *f = (struct field){.number = tag >> 3, .wire = tag & 7, .at = c->p};
    switch (f->wire) {
    case 0:
        f->value = read_varint(c);
        break;
    case 1:
        cursor_bytes(c, 8);
        break;
    case 2:
        f->bytes = cursor_bytes(c, read_varint(c));
        break;
    case 5:
        cursor_bytes(c, 4);
        break;
    default:
        cursor_fail(c);
    }
    if (f->number == 0)
        cursor_fail(c);
    return !c->bad;
}

/* ---- the snapshot ---- */

static enum status add_entry(struct jfr_dec *d, struct jfr_index *x, struct str entry)
{
    struct cursor c = cursor_make(entry);
    struct field f;
    uint64_t key = 0;
    uint32_t at = JFR_NOWHERE;
    while (next_field(&c, &f)) {
        if (f.number > 2)
            continue;
        if (f.wire != (f.number == 1 ? 0 : 2))
            LABELS_FAIL(d);
        if (f.number == 1)
            key = f.value;
        else
            at = (uint32_t)((const char *)f.at - d->labels.bytes.p);
    }
    if (c.bad)
        LABELS_FAIL(d);
    if (!jfr_index_add(x, d->arena, key, at))
        JFR_FULL(d);
    return ST_OK;
}

enum status jfr_labels_parse(struct jfr_dec *d, struct str labels)
{
    struct jfr_labels *l = &d->labels;
    if (labels.n >= JFR_NOWHERE)
        LABELS_FAIL(d);
    l->bytes = labels;
    struct cursor c = cursor_make(labels);
    struct field f;
    while (next_field(&c, &f)) {
        if (f.number > 2)
            continue;
        if (f.wire != 2)
            LABELS_FAIL(d);
        TRY(add_entry(d, f.number == 1 ? &l->contexts : &l->strings, f.bytes));
    }
    if (c.bad)
        LABELS_FAIL(d);
    if (!jfr_index_build(&l->contexts, d->arena) || !jfr_index_build(&l->strings, d->arena))
        JFR_FULL(d);
    return ST_OK;
}

static struct str value_of(const struct jfr_labels *l, const struct jfr_entry *e)
{
    if (!e || e->at == JFR_NOWHERE)
        return STR_EMPTY;
    struct cursor c = cursor_make(str_skip(l->bytes, e->at));
    return cursor_bytes(&c, cursor_uvarint(&c));
}

/* The string of an id as a string of the profile; 0 is the empty one. */
static enum status string_of(struct jfr_dec *d, uint64_t id, uint32_t *ret_string)
{
    struct jfr_entry *e = jfr_index_find(&d->labels.strings, id);
    *ret_string = 0;
    if (!e)
        return ST_OK;
    if (!e->memo_plus_1) {
        TRY(jfr_string_id(d, value_of(&d->labels, e), ret_string));
        e->memo_plus_1 = *ret_string + 1;
    }
    *ret_string = e->memo_plus_1 - 1;
    return ST_OK;
}

/* ---- label sets ---- */

struct pair {
    uint64_t key, value; /* string ids of the snapshot */
};

static enum status read_pair(struct jfr_dec *d, struct str entry, struct pair *ret)
{
    struct cursor c = cursor_make(entry);
    struct field f;
    *ret = (struct pair){0};
    while (next_field(&c, &f)) {
        if (f.number > 2)
            continue;
        if (f.wire != 0)
            LABELS_FAIL(d);
        *(f.number == 1 ? &ret->key : &ret->value) = f.value;
    }
    if (c.bad)
        LABELS_FAIL(d);
    return ST_OK;
}

static enum status read_pairs(
    struct jfr_dec *d, struct str context, struct pair pairs[JFR_LABELS_MAX], uint32_t *ret_n)
{
    struct cursor c = cursor_make(context);
    struct field f;
    uint32_t n = 0;
    while (next_field(&c, &f)) {
        if (f.number != 1)
            continue;
        struct pair p;
        if (f.wire != 2)
            LABELS_FAIL(d);
        TRY(read_pair(d, f.bytes, &p));
        uint32_t i = 0;
        while (i < n && pairs[i].key != p.key)
            i++;
        if (i == JFR_LABELS_MAX)
            FAIL(d->err, ST_INVALID_ARGUMENT, "jfr labels: a context has more than %d labels",
                JFR_LABELS_MAX);
        pairs[i] = p;
        n = MAX(n, i + 1);
    }
    if (c.bad)
        LABELS_FAIL(d);
    *ret_n = n;
    return ST_OK;
}

static bool label_before(struct prof_label a, struct prof_label b)
{
    return a.key != b.key ? a.key < b.key : a.value < b.value;
}

static void insert_label(struct prof_label *labels, uint32_t n, struct prof_label l)
{
    while (n && label_before(l, labels[n - 1])) {
        labels[n] = labels[n - 1];
        n--;
    }
    labels[n] = l;
}

/* The set of these labels, which are in order; the empty set is number 0. */
static enum status labelset_of(
    struct jfr_dec *d, const struct prof_label *labels, uint32_t n, uint32_t *ret_set)
{
    struct jfr_symbols *sym = &d->sym;
    size_t bytes = n * sizeof *labels;
    uint64_t hash = hash_bytes(labels, bytes);
    struct idmap_probe p = idmap_start(&sym->labelset_ids, hash);
    *ret_set = 0;
    if (n == 0)
        return ST_OK;
    while (idmap_next(&sym->labelset_ids, &p, ret_set)) {
        const struct prof_labelset *s = &sym->labelsets.v[*ret_set];
        if (s->n == n && memcmp(sym->labels.v + s->first, labels, bytes) == 0)
            return ST_OK;
    }
    *ret_set = sym->labelsets.n;
    struct prof_labelset *s = VEC_PUSH(d->arena, sym->labelsets);
    if (!s || !arena_map_put(&sym->labelset_ids, d->arena, hash, *ret_set))
        JFR_FULL(d);
    *s = (struct prof_labelset){sym->labels.n, n};
    for (uint32_t i = 0; i < n; i++) {
        struct prof_label *l = VEC_PUSH(d->arena, sym->labels);
        if (!l)
            JFR_FULL(d);
        *l = labels[i];
    }
    return ST_OK;
}

/* True when the label is one of those that belong to the sample. */
static bool take_ids(struct str key, struct str value, struct jfr_context *ctx)
{
    uint8_t b[16];
    if (str_eq(key, STR("profile_id")) || str_eq(key, STR("span_id"))) {
        if (str_to_bytes(value, b, 8))
            ctx->span = load_u64le(b);
        return true;
    }
    if (!str_eq(key, STR("trace_id")))
        return false;
    if (str_to_bytes(value, b, 16)) {
        ctx->trace_hi = __builtin_bswap64(load_u64le(b));
        ctx->trace_lo = __builtin_bswap64(load_u64le(b + 8));
    }
    return true;
}

static enum status decode_context(
    struct jfr_dec *d, struct str bytes, struct jfr_context *ret_context)
{
    struct pair pairs[JFR_LABELS_MAX];
    struct prof_label labels[JFR_LABELS_MAX];
    uint32_t n_pairs = 0, n = 0;
    *ret_context = (struct jfr_context){0};
    TRY(read_pairs(d, bytes, pairs, &n_pairs));
    for (uint32_t i = 0; i < n_pairs; i++) {
        struct prof_label l;
        TRY(string_of(d, pairs[i].key, &l.key));
        TRY(string_of(d, pairs[i].value, &l.value));
        const struct str *texts = d->sym.strings.v;
        if (l.value && !take_ids(texts[l.key], texts[l.value], ret_context))
            insert_label(labels, n++, l);
    }
    return labelset_of(d, labels, n, &ret_context->labelset);
}

/* ---- events ---- */

enum status jfr_context_new(struct jfr_dec *d, struct jfr_entry *e)
{
    struct jfr_labels *l = &d->labels;
    struct str bytes = value_of(l, e);
    uint64_t hash = hash_str(bytes);
    struct idmap_probe p = idmap_start(&l->known_ids, hash);
    uint32_t i;
    while (idmap_next(&l->known_ids, &p, &i)) {
        if (str_eq(l->known.v[i].bytes, bytes)) {
            e->memo_plus_1 = i + 1;
            return ST_OK;
        }
    }
    struct jfr_known known = {.bytes = bytes};
    TRY(decode_context(d, bytes, &known.context));
    i = l->known.n;
    struct jfr_known *at = VEC_PUSH(d->arena, l->known);
    if (!at || !arena_map_put(&l->known_ids, d->arena, hash, i))
        JFR_FULL(d);
    *at = known;
    e->memo_plus_1 = i + 1;
    return ST_OK;
}

static enum status add_span_name(struct jfr_dec *d, uint32_t name, uint32_t *set)
{
    uint64_t key = (uint64_t)*set << 32 | name;
    if (jfr_map_get(&d->labels.with_span, key, set))
        return ST_OK;
    struct prof_label labels[JFR_LABELS_MAX + 1], span = {0, name};
    struct prof_labelset s = d->sym.labelsets.v[*set];
    TRY(jfr_string_id(d, STR("span_name"), &span.key));
    ASSERT(s.n <= JFR_LABELS_MAX);
    if (s.n)
        memcpy(labels, d->sym.labels.v + s.first, s.n * sizeof *labels);
    insert_label(labels, s.n, span);
    TRY(labelset_of(d, labels, s.n + 1, set));
    if (!jfr_map_put(&d->labels.with_span, d->arena, key, *set))
        JFR_FULL(d);
    return ST_OK;
}

/* The context as it is with the label span_name. */
enum status jfr_context_name(
    struct jfr_dec *d, uint64_t span_name, const struct jfr_context **context)
{
    uint32_t name = 0;
    TRY(string_of(d, span_name, &name));
    if (name == 0)
        return ST_OK;
    d->labels.spanned = **context;
    *context = &d->labels.spanned;
    return add_span_name(d, name, &d->labels.spanned.labelset);
}
