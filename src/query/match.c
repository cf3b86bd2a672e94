/* The labels that a user sees, and matching them.
 *
 * A stored series has up to four sample types; each (series, type) is a series of its own to the
 * outside, with labels that are not stored but follow from the type: __type__, __unit__,
 * __profile_type__; and some that follow from the series: __period_type__, __period_unit__ (only if
 * there is a period type), __service_name__. They win over stored labels of the same name.
 *
 * A label that is absent has the value "" for every operator. Matchers of labels that are equal for
 * all types of a series are asked once per series; matching happens once per series, never per row.
 */
#include "query/query_int.h"

enum label_kind label_kind(struct str name)
{
    static const struct {
        struct str name;
        enum label_kind kind;
    } synthetic[] = {
        {{"__type__", 8}, LABEL_TYPE},
        {{"__unit__", 8}, LABEL_UNIT},
        {{"__period_type__", 15}, LABEL_PERIOD_TYPE},
        {{"__period_unit__", 15}, LABEL_PERIOD_UNIT},
        {{"__profile_type__", 16}, LABEL_PROFILE_TYPE},
        {{"__service_name__", 16}, LABEL_SERVICE},
    };
    for (size_t i = 0; i < ARRAY_LEN(synthetic); i++)
        if (str_eq(name, synthetic[i].name))
            return synthetic[i].kind;
    return label_is_annotation(name) ? LABEL_ANNOTATION : LABEL_STORED;
}

static struct str stored(const struct part_series *s, struct str name)
{
    struct str v = labels_get((struct labels){s->labels, s->n_labels}, name);
    return v.p ? v : STR_EMPTY;
}

static struct str profile_type(const struct part_series *s, uint32_t k, struct buf *scratch)
{
    struct str parts[] = {stored(s, STR("__name__")), s->types[k].type, s->types[k].unit,
        s->period.type, s->period.unit};
    buf_clear(scratch);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (i)
            buf_byte(scratch, ':');
        buf_str(scratch, parts[i]);
    }
    return buf_view(scratch);
}

struct str series_label(const struct part_series *s, uint32_t k, enum label_kind kind,
    struct str name, struct buf *scratch)
{
    ASSERT(k < s->n_types);
    switch (kind) {
    case LABEL_STORED:
        return stored(s, name);
    case LABEL_ANNOTATION:
        return STR_EMPTY;
    case LABEL_SERVICE:
        return stored(s, STR("service_name"));
    case LABEL_PERIOD_TYPE:
        return s->period.type;
    case LABEL_PERIOD_UNIT:
        return s->period.unit;
    case LABEL_TYPE:
        return s->types[k].type;
    case LABEL_UNIT:
        return s->types[k].unit;
    case LABEL_PROFILE_TYPE:
        break;
    }
    return profile_type(s, k, scratch);
}

uint32_t series_match(const struct part_series *s, const struct selector *sel, struct buf *scratch)
{
    uint32_t mask = (1u << s->n_types) - 1;
    for (uint32_t i = 0; i < sel->n && mask; i++) {
        const struct matcher *m = &sel->v[i];
        enum label_kind kind = label_kind(m->name);
        if (kind < LABEL_TYPE) {
            if (!matcher_holds(m, series_label(s, 0, kind, m->name, scratch)))
                return 0;
            continue;
        }
        for (uint32_t k = 0; k < s->n_types; k++)
            if (mask >> k & 1 && !matcher_holds(m, series_label(s, k, kind, m->name, scratch)))
                mask &= ~(1u << k);
    }
    return mask;
}

bool service_may_match(struct str service, const struct selector *sel)
{
    for (uint32_t i = 0; i < sel->n; i++) {
        const struct matcher *m = &sel->v[i];
        bool is_service = str_eq(m->name, STR("service_name")) ||
                          label_kind(m->name) == LABEL_SERVICE;
        if (is_service && !matcher_holds(m, service))
            return false;
    }
    return true;
}

uint32_t series_labels(
    const struct part_series *s, uint32_t k, struct buf *scratch, struct label *v)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_labels; i++)
        if (label_kind(s->labels[i].name) == LABEL_STORED)
            v[n++] = s->labels[i];
    v[n++] = (struct label){STR("__type__"), s->types[k].type};
    v[n++] = (struct label){STR("__unit__"), s->types[k].unit};
    v[n++] = (struct label){STR("__profile_type__"), profile_type(s, k, scratch)};
    v[n++] = (struct label){STR("__service_name__"), stored(s, STR("service_name"))};
    if (s->period.type.n || s->period.unit.n) {
        v[n++] = (struct label){STR("__period_type__"), s->period.type};
        v[n++] = (struct label){STR("__period_unit__"), s->period.unit};
    }
    labels_sort(v, n);
    return n;
}
