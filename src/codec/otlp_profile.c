/* One Profile of OTLP becomes profiles over the symbols of its resource: see otlp_int.h, §5.6.
 *
 *     walk 1: types, period, times, how many samples ─► what it is called, what values mean
 *     walk 2: samples ─► stack, labels, value ─► one profile per service that they name
 *
 * Two walks, because the period comes behind the samples on the wire and decides what they mean:
 *
 *     type:unit:period type:period unit    __name__       stored as        value
 *     samples:count:cpu:nanoseconds        process_cpu    cpu/nanoseconds  value × period
 *     off_cpu:nanoseconds::                off_cpu        as it is         sum of the values
 *     anything else                        period type,   as it is         value
 *                                          or else type
 *
 * The period counts when there is a period type and it is not 0. A sample without values has as
 * many as it has timestamps; the timestamps themselves are not kept. Products and sums saturate.
 *
 * What makes a Profile no Profile (an index, no sample type, no value) fails the request, also in
 * samples that would be dropped. What is merely refused is told in `problem`, the first one found.
 * Thread: the caller's. Nothing is allocated per sample. */
#include "codec/otlp_int.h"

#define DURATION_DEFAULT_NS (10 * NS_PER_S)

enum rule { RULE_PLAIN, RULE_CPU, RULE_OFF_CPU };

struct value_type {
    int32_t type, unit;
};

/* Between the walks. */
struct head {
    struct value_type type, period_type;
    bool has_type, has_period_type;
    int64_t period;
    uint64_t time_ns, duration_ns;
    uint32_t n_samples;
};

struct sample {
    int32_t stack, link;
    uint64_t n_values, n_times;
    int64_t first, sum;
};

/* A Profile at work; `services` is beside the samples until they are split. */
struct work {
    struct otlp_profile made; /* the pattern of all parts */
    struct head head;
    enum rule rule;
    bool periodic;
    struct prof_sample *samples;
    int64_t *values;
    uint32_t *services;
    uint32_t n;
    bool split; /* some sample names a service */
};

/* ── walk 1 ── */

static void read_type(struct cursor *outer, struct value_type *t)
{
    struct cursor c = otlp_sub(outer);
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag == TAG(1, WIRE_VARINT))
            t->type = (int32_t)cursor_uvarint(&c);
        else if (tag == TAG(2, WIRE_VARINT))
            t->unit = (int32_t)cursor_uvarint(&c);
        else
            otlp_skip(&c, tag);
    }
    if (c.bad)
        cursor_fail(outer);
}

static enum status read_head(struct otlp_decoder *d, struct str bytes, struct head *h)
{
    struct cursor c = cursor_make(bytes);
    *h = (struct head){0};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        switch (tag) {
        case TAG(1, WIRE_BYTES):
            h->has_type = true;
            read_type(&c, &h->type);
            break;
        case TAG(2, WIRE_BYTES):
            h->n_samples++;
            cursor_bytes(&c, cursor_uvarint(&c));
            break;
        case TAG(3, WIRE_FIXED64):
            h->time_ns = cursor_u64le(&c);
            break;
        case TAG(4, WIRE_VARINT):
            h->duration_ns = cursor_uvarint(&c);
            break;
        case TAG(5, WIRE_BYTES):
            h->has_period_type = true;
            read_type(&c, &h->period_type);
            break;
        case TAG(6, WIRE_VARINT):
            h->period = (int64_t)cursor_uvarint(&c);
            break;
        default:
            otlp_skip(&c, tag);
        }
    }
    return c.bad ? otlp_malformed(d->err) : ST_OK;
}

static void blame(struct work *w, enum otlp_problem problem)
{
    if (w->made.problem == OTLP_OK)
        w->made.problem = problem;
}

/* Of a type; empty, and blamed, when it is not UTF-8. */
static enum status type_text(
    struct otlp_decoder *d, struct work *w, int32_t i, struct str *ret_text)
{
    uint32_t string;
    TRY(otlp_string(d, i, &string));
    if (string == OTLP_BAD)
        blame(w, OTLP_UTF8);
    *ret_text = string == OTLP_BAD ? STR_EMPTY : d->sym.strings.v[string];
    return ST_OK;
}

static enum status read_types(struct otlp_decoder *d, struct work *w, struct prof_type *type)
{
    const struct head *h = &w->head;
    struct prof_type *period = &w->made.profile.period_type;
    *period = (struct prof_type){STR_EMPTY, STR_EMPTY};
    TRY(type_text(d, w, h->type.type, &type->type));
    TRY(type_text(d, w, h->type.unit, &type->unit));
    if (h->has_period_type) {
        TRY(type_text(d, w, h->period_type.type, &period->type));
        TRY(type_text(d, w, h->period_type.unit, &period->unit));
    }
    w->periodic = h->has_period_type && h->period != 0;
    return ST_OK;
}

static bool type_is(const struct prof_type *t, struct str type, struct str unit)
{
    return str_eq(t->type, type) && str_eq(t->unit, unit);
}

static void apply_rule(struct work *w, struct prof_type *type)
{
    const struct prof_type *period = &w->made.profile.period_type;
    if (w->periodic && type_is(type, STR("samples"), STR("count")) &&
        type_is(period, STR("cpu"), STR("nanoseconds"))) {
        w->rule = RULE_CPU;
        w->made.name = STR("process_cpu");
        *type = (struct prof_type){STR("cpu"), STR("nanoseconds")};
    } else if (type_is(type, STR("off_cpu"), STR("nanoseconds")) &&
               (!w->periodic || (period->type.n == 0 && period->unit.n == 0))) {
        w->rule = RULE_OFF_CPU;
        w->made.name = STR("off_cpu");
    } else {
        w->made.name = w->periodic && period->type.n ? period->type : type->type;
    }
    if (str_find_char(type->type, '-') != STR_NPOS)
        blame(w, OTLP_DASH);
}

/* ── walk 2 ── */

static void add_value(struct sample *s, int64_t v)
{
    if (s->n_values++ == 0)
        s->first = v;
    if (__builtin_add_overflow(s->sum, v, &s->sum))
        s->sum = v > 0 ? INT64_MAX : INT64_MIN;
}

static void add_values(struct sample *s, struct cursor *c)
{
    struct cursor in = otlp_sub(c);
    while (in.p < in.end)
        add_value(s, (int64_t)cursor_uvarint(&in));
    if (in.bad)
        cursor_fail(c);
}

static void add_times(struct sample *s, struct cursor *c)
{
    struct str packed = cursor_bytes(c, cursor_uvarint(c));
    s->n_times += packed.n / 8;
    if (packed.n % 8)
        cursor_fail(c);
}

static enum status read_sample(struct otlp_decoder *d, struct cursor c, struct sample *s)
{
    *s = (struct sample){0};
    d->attributes.n = 0;
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        switch (tag) {
        case TAG(1, WIRE_VARINT):
            s->stack = (int32_t)cursor_uvarint(&c);
            break;
        case TAG(2, WIRE_VARINT):
        case TAG(2, WIRE_BYTES):
            if (!otlp_list(&d->attributes, d->arena, &c, (tag & 7) == WIRE_BYTES))
                return otlp_full(d->err);
            break;
        case TAG(3, WIRE_VARINT):
            s->link = (int32_t)cursor_uvarint(&c);
            break;
        case TAG(4, WIRE_VARINT):
            add_value(s, (int64_t)cursor_uvarint(&c));
            break;
        case TAG(4, WIRE_BYTES):
            add_values(s, &c);
            break;
        case TAG(5, WIRE_FIXED64):
            cursor_bytes(&c, 8);
            s->n_times++;
            break;
        case TAG(5, WIRE_BYTES):
            add_times(s, &c);
            break;
        default:
            otlp_skip(&c, tag);
        }
    }
    return c.bad ? otlp_malformed(d->err) : ST_OK;
}

static int64_t times_period(int64_t value, int64_t period)
{
    int64_t product;
    if (!__builtin_mul_overflow(value, period, &product))
        return product;
    return (value < 0) == (period < 0) ? INT64_MAX : INT64_MIN;
}

/* 0 when the sample is to be dropped or its profile is refused anyway. */
static enum status value_of(
    struct otlp_decoder *d, struct work *w, const struct sample *s, int64_t *ret_value)
{
    uint64_t n = s->n_values;
    int64_t value = s->first;
    if (n == 0 && s->n_times == 0)
        OTLP_CONVERT_FAIL(d, "sample value is required");
    if (n == 0) {
        value = (int64_t)s->n_times;
        n = 1;
    } else if (w->rule == RULE_OFF_CPU) {
        value = s->sum;
        n = 1;
    }
    if (n != 1 && w->periodic)
        OTLP_CONVERT_FAIL(d, "sample values length mismatch %llu 1", (unsigned long long)n);
    if (n != 1)
        blame(w, OTLP_VALUE_COUNT);
    *ret_value = w->rule == RULE_CPU ? times_period(value, w->head.period) : value;
    return ST_OK;
}

static void take_link(const struct otlp_link *l, struct prof_sample *to)
{
    if (l->span)
        to->span = l->span;
    if (l->trace_hi || l->trace_lo) {
        to->trace_hi = l->trace_hi;
        to->trace_lo = l->trace_lo;
    }
}

static enum status take_sample(struct otlp_decoder *d, struct work *w, const struct sample *s)
{
    const struct otlp_labels *labels = NULL;
    uint32_t stack = 0;
    int64_t value = 0;
    TRY(value_of(d, w, s, &value));
    TRY(otlp_stack(d, s->stack, &stack));
    TRY(otlp_labels(d, &labels));
    if ((uint32_t)s->link >= d->dict.n_links && s->link != 0)
        return otlp_range(d, "link", s->link);
    if (UNLIKELY(stack == OTLP_BAD || labels->bad))
        blame(w, OTLP_UTF8);
    uint64_t labels_max = d->opt->sample_labels_max;
    if (UNLIKELY(labels_max && labels->n_labels > labels_max)) {
        blame(w, OTLP_LABELS_MAX);
        w->made.n_labels = MAX(w->made.n_labels, labels->n_labels);
    }
    if (value <= 0 || stack >= OTLP_BAD)
        return ST_OK;
    struct prof_sample *to = &w->samples[w->n];
    *to = (struct prof_sample){.stack = stack,
        .labelset = labels->labelset,
        .span = labels->span,
        .trace_hi = labels->trace_hi,
        .trace_lo = labels->trace_lo};
    if (s->link)
        take_link(&d->dict.links[s->link], to);
    w->values[w->n] = value;
    w->services[w->n++] = labels->service;
    w->split = w->split || labels->service;
    return ST_OK;
}

static enum status read_samples(struct otlp_decoder *d, struct str bytes, struct work *w)
{
    struct cursor c = cursor_make(bytes);
    uint32_t n = w->head.n_samples;
    w->samples = ARENA_ARRAY(d->arena, struct prof_sample, n);
    w->values = ARENA_ARRAY(d->arena, int64_t, n);
    w->services = ARENA_ARRAY(d->arena, uint32_t, n);
    if (!w->samples || !w->values || !w->services)
        return otlp_full(d->err);
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag != TAG(2, WIRE_BYTES)) {
            otlp_skip(&c, tag);
            continue;
        }
        struct sample s;
        TRY(read_sample(d, otlp_sub(&c), &s));
        TRY(take_sample(d, w, &s));
    }
    return ST_OK;
}

/* ── the result ── */

static enum status add_part(
    struct otlp_decoder *d, const struct work *w, uint32_t service, uint32_t first, uint32_t n)
{
    struct otlp_profile *to = VEC_PUSH(d->arena, *d->out);
    if (!to)
        return otlp_full(d->err);
    *to = w->made;
    to->profile.samples = w->samples + first;
    to->profile.values = w->values + first;
    to->profile.n_samples = n;
    /* The bytes of the Profile, shared by samples: the first part takes what does not divide. */
    uint64_t bytes = w->made.profile.size_bytes;
    to->profile.size_bytes = w->n ? bytes / w->n * n + (first == 0 ? bytes % w->n : 0) : bytes;
    if (service)
        to->service = d->services.v[service];
    return ST_OK;
}

/* Room to find parts by service, all 0. */
static enum status reset_parts(struct otlp_decoder *d)
{
    if (d->n_part_of_service < d->services.n) {
        d->n_part_of_service = d->services.cap;
        d->part_of_service = ARENA_ZARRAY(d->arena, uint32_t, d->n_part_of_service);
    }
    return d->part_of_service ? ST_OK : otlp_full(d->err);
}

/* Orders the samples by service, in the order in which services first occur. */
static enum status split(struct otlp_decoder *d, struct work *w)
{
    struct otlp_list32 order = {0}, starts = {0};
    uint32_t n = w->n, at = 0;
    TRY(reset_parts(d));
    uint32_t *counts = d->part_of_service;
    for (uint32_t i = 0; i < n; i++) {
        if (counts[w->services[i]]++ > 0)
            continue;
        uint32_t *to = VEC_PUSH(d->arena, order);
        if (!to)
            return otlp_full(d->err);
        *to = w->services[i];
    }
    struct prof_sample *samples = ARENA_ARRAY(d->arena, struct prof_sample, n);
    int64_t *values = ARENA_ARRAY(d->arena, int64_t, n);
    starts.v = ARENA_ARRAY(d->arena, uint32_t, (size_t)order.n + 1);
    if (!samples || !values || !starts.v)
        return otlp_full(d->err);
    for (uint32_t k = 0; k < order.n; k++) { /* counts become the next free places */
        uint32_t count = counts[order.v[k]];
        counts[order.v[k]] = starts.v[k] = at;
        at += count;
    }
    starts.v[order.n] = at;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t to = counts[w->services[i]]++;
        samples[to] = w->samples[i];
        values[to] = w->values[i];
    }
    w->samples = samples;
    w->values = values;
    for (uint32_t k = 0; k < order.n; k++) {
        uint32_t first = starts.v[k];
        counts[order.v[k]] = 0;
        TRY(add_part(d, w, order.v[k], first, starts.v[k + 1] - first));
    }
    return ST_OK;
}

enum status otlp_profile_read(
    struct otlp_decoder *d, struct str bytes, const struct otlp_profile *labels)
{
    struct work w = {.made = *labels};
    const struct head *h = &w.head;
    TRY(read_head(d, bytes, &w.head));
    if (h->n_samples == 0)
        return ST_OK;
    if (!h->has_type)
        OTLP_CONVERT_FAIL(d, "sample type is missing");
    if (!d->sym.out)
        TRY(otlp_symbols_begin(d));
    struct profile *p = &w.made.profile;
    struct prof_type *type = ARENA_NEW(d->arena, struct prof_type);
    if (!type)
        return otlp_full(d->err);
    *p = (struct profile){.sym = d->sym.out,
        .types = type,
        .n_types = 1,
        .period = h->period,
        .time_ns = (int64_t)h->time_ns,
        .duration_ns = h->duration_ns ? (int64_t)h->duration_ns : DURATION_DEFAULT_NS,
        .size_bytes = bytes.n};
    TRY(read_types(d, &w, type));
    apply_rule(&w, type);
    TRY(read_samples(d, bytes, &w));
    if (w.split)
        return split(d, &w);
    return w.n || w.made.problem ? add_part(d, &w, 0, 0, w.n) : ST_OK;
}
