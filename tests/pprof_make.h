/* Writes pprof protobuf by hand, for tests: `m` is the outer message, `t` scratch for an inner one.
 * Bytes are as Go writes them: zeros are omitted, lists are packed from three elements on. */
#ifndef TESTS_PPROF_MAKE_H
#define TESTS_PPROF_MAKE_H

#include "base/buf.h"
#include "codec/pprof.h"

static inline void pb_uint(struct buf *m, uint64_t field, uint64_t v)
{
    if (v == 0)
        return;
    buf_uvarint(m, field << 3);
    buf_uvarint(m, v);
}

static inline void pb_bytes(struct buf *m, uint64_t field, struct str s)
{
    buf_uvarint(m, field << 3 | 2);
    buf_uvarint(m, s.n);
    buf_str(m, s);
}

static inline void pb_message(struct buf *m, uint64_t field, struct buf *inner)
{
    pb_bytes(m, field, buf_view(inner));
    buf_clear(inner);
}

static inline void pb_list(struct buf *m, uint64_t field, const uint64_t *v, uint32_t n)
{
    struct buf packed;
    if (n <= 2) {
        for (uint32_t i = 0; i < n; i++) {
            buf_uvarint(m, field << 3);
            buf_uvarint(m, v[i]);
        }
        return;
    }
    buf_init(&packed, GIB);
    for (uint32_t i = 0; i < n; i++)
        buf_uvarint(&packed, v[i]);
    pb_message(m, field, &packed);
    buf_done(&packed);
}

static inline void pprof_make_sample(
    struct buf *m, struct buf *t, const struct pprof *p, const struct pprof_sample *s)
{
    struct buf label;
    buf_init(&label, MIB);
    pb_list(t, 1, &p->location_ids[s->first_location], s->n_locations);
    pb_list(t, 2, (const uint64_t *)&p->values[s->first_value], s->n_values);
    for (uint32_t k = 0; k < s->n_labels; k++) {
        const struct pprof_label *l = &p->labels[s->first_label + k];
        pb_uint(&label, 1, (uint64_t)l->key);
        pb_uint(&label, 2, (uint64_t)l->str);
        pb_uint(&label, 3, (uint64_t)l->num);
        pb_uint(&label, 4, (uint64_t)l->num_unit);
        pb_message(t, 3, &label);
    }
    pb_message(m, 2, t);
    buf_done(&label);
}

static inline void pprof_make_mapping(struct buf *m, struct buf *t, const struct pprof_mapping *g)
{
    pb_uint(t, 1, g->id);
    pb_uint(t, 2, g->start);
    pb_uint(t, 3, g->limit);
    pb_uint(t, 4, g->offset);
    pb_uint(t, 5, (uint64_t)g->filename);
    pb_uint(t, 6, (uint64_t)g->build_id);
    for (uint32_t k = 0; k < 4; k++)
        pb_uint(t, 7 + k, g->flags >> k & 1);
    pb_message(m, 3, t);
}

static inline void pprof_make_location(
    struct buf *m, struct buf *t, const struct pprof *p, const struct pprof_location *l)
{
    struct buf line;
    buf_init(&line, MIB);
    pb_uint(t, 1, l->id);
    pb_uint(t, 2, l->mapping_id);
    pb_uint(t, 3, l->address);
    for (uint32_t k = 0; k < l->n_lines; k++) {
        pb_uint(&line, 1, p->lines[l->first_line + k].function_id);
        pb_uint(&line, 2, (uint64_t)p->lines[l->first_line + k].line);
        pb_message(t, 4, &line);
    }
    pb_uint(t, 5, l->folded);
    pb_message(m, 4, t);
    buf_done(&line);
}

static inline void pprof_make_value_type(
    struct buf *m, struct buf *t, uint64_t field, const struct pprof_value_type *vt)
{
    pb_uint(t, 1, (uint64_t)vt->type);
    pb_uint(t, 2, (uint64_t)vt->unit);
    pb_message(m, field, t);
}

/* The protobuf of p. */
static inline void pprof_make(struct buf *m, const struct pprof *p)
{
    struct buf t;
    buf_init(&t, GIB);
    for (uint32_t i = 0; i < p->n_sample_types; i++)
        pprof_make_value_type(m, &t, 1, &p->sample_types[i]);
    for (uint32_t i = 0; i < p->n_samples; i++)
        pprof_make_sample(m, &t, p, &p->samples[i]);
    for (uint32_t i = 0; i < p->n_mappings; i++)
        pprof_make_mapping(m, &t, &p->mappings[i]);
    for (uint32_t i = 0; i < p->n_locations; i++)
        pprof_make_location(m, &t, p, &p->locations[i]);
    for (uint32_t i = 0; i < p->n_functions; i++) {
        const struct pprof_function *f = &p->functions[i];
        pb_uint(&t, 1, f->id);
        pb_uint(&t, 2, (uint64_t)f->name);
        pb_uint(&t, 3, (uint64_t)f->system_name);
        pb_uint(&t, 4, (uint64_t)f->filename);
        pb_uint(&t, 5, (uint64_t)f->start_line);
        pb_message(m, 5, &t);
    }
    for (uint32_t i = 0; i < p->n_strings; i++)
        pb_bytes(m, 6, p->strings[i]);
    pb_uint(m, 9, (uint64_t)p->time_ns);
    pb_uint(m, 10, (uint64_t)p->duration_ns);
    if (p->has_period_type)
        pprof_make_value_type(m, &t, 11, &p->period_type);
    pb_uint(m, 12, (uint64_t)p->period);
    pb_uint(m, 14, (uint64_t)p->default_sample_type);
    buf_done(&t);
}

#endif
