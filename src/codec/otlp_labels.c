/* What the attributes of OTLP samples come to: see otlp_int.h.
 *
 *     attribute ─ once per request ─► meaning: label · service · span · trace · nothing
 *     list of attributes ─ once per resource ─► label set, service, span, trace
 *
 * A sample names its attributes by index, and most samples of a resource name one of a few lists.
 * So the list itself is the key: the one of the sample before is tried first, then a map. Only a
 * new list makes a label set; nothing is allocated per sample.
 *
 * An attribute whose value is no label text means nothing. span_id, trace_id and profile_id (an old
 * name of span_id) leave the labels, as in pprof; hexadecimal of the right length counts, the first
 * of each. Of `service.name` the first counts.
 *
 * Thread: the caller's. Failure: an index out of range, a full arena. */
#include "codec/otlp_int.h"

#include "base/hash.h"

enum { SPAN_BYTES = 8, TRACE_BYTES = 16 };

static enum otlp_meaning meaning_of(struct str key)
{
    if (str_eq(key, STR("service.name")))
        return OTLP_MEANS_SERVICE;
    if (str_eq(key, STR("span_id")) || str_eq(key, STR("profile_id")))
        return OTLP_MEANS_SPAN;
    return str_eq(key, STR("trace_id")) ? OTLP_MEANS_TRACE : OTLP_MEANS_LABEL;
}

static enum status understand(struct otlp_decoder *d, struct otlp_attribute *a)
{
    uint32_t key;
    TRY(otlp_string(d, a->key, &key));
    TRY(otlp_text(d, &a->value, &a->text));
    if (a->text.n == 0)
        a->meaning = OTLP_MEANS_NOTHING;
    else if (key == OTLP_BAD || !otlp_string_good(d, &a->text))
        a->meaning = OTLP_MEANS_BAD;
    else
        a->meaning = meaning_of(d->dict.strings[a->key]);
    return ST_OK;
}

/* An attribute's text as a string of the symbols. */
static enum status value_string(struct otlp_decoder *d, uint32_t i, uint32_t *ret_index)
{
    const struct otlp_attribute *a = &d->dict.attributes[i];
    struct otlp_index *x = &d->value_of;
    if (a->value.kind == OTLP_ANY_STRINDEX)
        return otlp_string(d, (int32_t)a->value.number, ret_index);
    if (x->of[i] == OTLP_PENDING) {
        TRY(otlp_string_add(d, a->text, &x->of[i]));
        x->made[x->n_made++] = i;
    }
    *ret_index = x->of[i];
    return ST_OK;
}

static enum status add_label(struct otlp_decoder *d, uint32_t i)
{
    struct prof_label made;
    TRY(otlp_string(d, d->dict.attributes[i].key, &made.key));
    TRY(value_string(d, i, &made.value));
    if (made.key == OTLP_BAD || made.value == OTLP_BAD)
        return ST_OK; /* understand() has found it */
    struct prof_label *to = VEC_PUSH(d->arena, d->sym.labels);
    if (!to)
        return otlp_full(d->err);
    *to = made;
    return ST_OK;
}

static enum status service_id(struct otlp_decoder *d, struct str service, uint32_t *ret_id)
{
    uint64_t hash = hash_str(service);
    struct idmap_probe probe = idmap_start(&d->by_service, hash);
    uint32_t i;
    while (idmap_next(&d->by_service, &probe, &i)) {
        if (str_eq(d->services.v[i], service)) {
            *ret_id = i;
            return ST_OK;
        }
    }
    struct str *to = VEC_PUSH(d->arena, d->services);
    if (!to || !arena_map_put(&d->by_service, d->arena, hash, d->services.n - 1))
        return otlp_full(d->err);
    *to = service;
    *ret_id = d->services.n - 1;
    return ST_OK;
}

static void take_ids(struct otlp_labels *l, const struct otlp_attribute *a, bool seen[2])
{
    uint8_t bytes[TRACE_BYTES];
    bool span = a->meaning == OTLP_MEANS_SPAN;
    size_t want = span ? SPAN_BYTES : TRACE_BYTES;
    if (seen[span])
        return;
    seen[span] = true;
    if (!str_to_bytes(a->text, bytes, want))
        return;
    if (span) {
        l->span = load_u64le(bytes);
    } else {
        l->trace_hi = otlp_u64be(bytes);
        l->trace_lo = otlp_u64be(bytes + 8);
    }
}

/* One attribute of a new list. */
static enum status take(struct otlp_decoder *d, uint32_t i, struct otlp_labels *l, bool seen[2])
{
    struct otlp_attribute *a = &d->dict.attributes[i];
    if (a->meaning == OTLP_MEANS_PENDING)
        TRY(understand(d, a));
    switch (a->meaning) {
    case OTLP_MEANS_LABEL:
        l->n_labels++;
        return add_label(d, i);
    case OTLP_MEANS_SERVICE:
        return l->service ? ST_OK : service_id(d, a->text, &l->service);
    case OTLP_MEANS_SPAN:
    case OTLP_MEANS_TRACE:
        l->n_labels++;
        take_ids(l, a, seen);
        return ST_OK;
    case OTLP_MEANS_BAD:
        l->bad = true;
        return ST_OK;
    case OTLP_MEANS_PENDING:
    case OTLP_MEANS_NOTHING:
        break;
    }
    return ST_OK;
}

static enum status make(struct otlp_decoder *d, struct otlp_labels *l)
{
    struct otlp_symbols *s = &d->sym;
    uint32_t first = s->labels.n;
    bool seen[2] = {false, false};
    for (uint32_t k = 0; k < d->attributes.n; k++) {
        uint32_t i = d->attributes.v[k];
        if (i >= d->dict.n_attributes)
            return otlp_range(d, "attribute", (int32_t)i);
        TRY(take(d, i, l, seen));
    }
    if (s->labels.n == first)
        return ST_OK;
    struct prof_labelset *set = VEC_PUSH(d->arena, s->labelsets);
    if (!set)
        return otlp_full(d->err);
    *set = (struct prof_labelset){first, s->labels.n - first};
    l->labelset = s->labelsets.n - 1;
    return ST_OK;
}

static bool same(const struct otlp_decoder *d, const struct otlp_labels *l)
{
    return l->n == d->attributes.n && memcmp(&d->sym.label_keys.v[l->first], d->attributes.v,
                                          l->n * sizeof *d->attributes.v) == 0;
}

static enum status add(struct otlp_decoder *d, uint64_t hash, const struct otlp_labels **ret_labels)
{
    struct otlp_symbols *s = &d->sym;
    struct otlp_labels made = {.first = s->label_keys.n, .n = d->attributes.n};
    TRY(make(d, &made));
    for (uint32_t k = 0; k < made.n; k++) {
        uint32_t *key = VEC_PUSH(d->arena, s->label_keys);
        if (!key)
            return otlp_full(d->err);
        *key = d->attributes.v[k];
    }
    struct otlp_labels *to = VEC_PUSH(d->arena, s->known_labels);
    if (!to || !arena_map_put(&s->by_labels, d->arena, hash, s->known_labels.n - 1))
        return otlp_full(d->err);
    *to = made;
    *ret_labels = to;
    return ST_OK;
}

enum status otlp_labels(struct otlp_decoder *d, const struct otlp_labels **ret_labels)
{
    static const struct otlp_labels none;
    const struct otlp_symbols *s = &d->sym;
    if (d->attributes.n == 0) {
        *ret_labels = &none;
        return ST_OK;
    }
    if (s->known_labels.n && same(d, &s->known_labels.v[s->known_labels.n - 1])) {
        *ret_labels = &s->known_labels.v[s->known_labels.n - 1];
        return ST_OK;
    }
    uint64_t hash = hash_bytes(d->attributes.v, d->attributes.n * sizeof *d->attributes.v);
    struct idmap_probe probe = idmap_start(&s->by_labels, hash);
    uint32_t i;
    while (idmap_next(&s->by_labels, &probe, &i)) {
        if (same(d, &s->known_labels.v[i])) {
            *ret_labels = &s->known_labels.v[i];
            return ST_OK;
        }
    }
    return add(d, hash, ret_labels);
}
