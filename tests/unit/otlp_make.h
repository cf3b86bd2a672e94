/* OTLP messages by hand, for tests: a dictionary that grows, and Profiles over it. */
#ifndef TESTS_UNIT_OTLP_MAKE_H
#define TESTS_UNIT_OTLP_MAKE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/varint.h"

static __attribute__((unused)) void om_uint(struct buf *b, unsigned field, uint64_t v)
{
    buf_uvarint(b, field << 3);
    buf_uvarint(b, v);
}

static __attribute__((unused)) void om_fixed(struct buf *b, unsigned field, uint64_t v)
{
    buf_uvarint(b, field << 3 | 1);
    buf_u64le(b, v);
}

static __attribute__((unused)) void om_bytes(struct buf *b, unsigned field, struct str s)
{
    buf_uvarint(b, field << 3 | 2);
    buf_uvarint(b, s.n);
    buf_str(b, s);
}

/* Takes the inner message. */
static __attribute__((unused)) void om_sub(struct buf *b, unsigned field, struct buf *inner)
{
    om_bytes(b, field, buf_view(inner));
    buf_done(inner);
}

static __attribute__((unused)) struct buf om_buf(void)
{
    struct buf b;
    buf_init(&b, 64 * MIB);
    return b;
}

/* All tables begin with their zero value; n[field] is the next index of a table. */
struct otlp_make {
    struct buf dict;
    uint32_t n[8];
};

static __attribute__((unused)) uint32_t om_entry(
    struct otlp_make *m, unsigned table, struct buf *inner)
{
    om_sub(&m->dict, table, inner);
    return m->n[table]++;
}

static __attribute__((unused)) uint32_t om_string(struct otlp_make *m, const char *s)
{
    om_bytes(&m->dict, 5, str_from(s));
    return m->n[5]++;
}

static __attribute__((unused)) void om_begin(struct otlp_make *m)
{
    *m = (struct otlp_make){.dict = om_buf()};
    for (unsigned table = 1; table < 8; table++) {
        struct buf empty = om_buf();
        om_entry(m, table, &empty);
    }
}

/* KeyValueAndUnit with a text; attribute table. */
static __attribute__((unused)) uint32_t om_attr(
    struct otlp_make *m, const char *key, const char *value)
{
    struct buf any = om_buf(), b = om_buf();
    om_uint(&b, 1, om_string(m, key));
    om_bytes(&any, 1, str_from(value));
    om_sub(&b, 2, &any);
    return om_entry(m, 6, &b);
}

/* build_id empty: no attribute. */
static __attribute__((unused)) uint32_t om_mapping(
    struct otlp_make *m, uint64_t start, const char *file, const char *build_id)
{
    struct buf b = om_buf();
    uint32_t id = build_id[0] ? om_attr(m, "process.executable.build_id.gnu", build_id) : 0;
    om_uint(&b, 1, start);
    om_uint(&b, 2, start + 4096);
    om_uint(&b, 4, om_string(m, file));
    if (id)
        om_uint(&b, 5, id);
    return om_entry(m, 1, &b);
}

static __attribute__((unused)) uint32_t om_function(struct otlp_make *m, const char *name)
{
    struct buf b = om_buf();
    om_uint(&b, 1, om_string(m, name));
    om_uint(&b, 3, om_string(m, "x.c"));
    return om_entry(m, 3, &b);
}

/* function 0: no line. */
static __attribute__((unused)) uint32_t om_location(
    struct otlp_make *m, uint32_t mapping, uint64_t address, uint32_t function)
{
    struct buf b = om_buf();
    om_uint(&b, 1, mapping);
    om_uint(&b, 2, address);
    if (function) {
        struct buf line = om_buf();
        om_uint(&line, 1, function);
        om_uint(&line, 2, 10 + function);
        om_sub(&b, 3, &line);
    }
    return om_entry(m, 2, &b);
}

/* Leaf first; packed when there is more than one. */
static __attribute__((unused)) uint32_t om_stack(
    struct otlp_make *m, uint32_t n, const uint32_t *locations)
{
    struct buf b = om_buf(), packed = om_buf();
    if (n == 1)
        om_uint(&b, 1, locations[0]);
    for (uint32_t i = 0; i < n; i++)
        buf_uvarint(&packed, locations[i]);
    if (n > 1)
        om_bytes(&b, 1, buf_view(&packed));
    buf_done(&packed);
    return om_entry(m, 7, &b);
}

/* A stack of one frame with that function, in no mapping. */
static __attribute__((unused)) uint32_t om_frame(struct otlp_make *m, const char *name)
{
    uint32_t l = om_location(m, 0, 0, om_function(m, name));
    return om_stack(m, 1, &l);
}

/* ---- profiles ---- */

static __attribute__((unused)) void om_type(
    struct otlp_make *m, struct buf *profile, unsigned field, const char *type, const char *unit)
{
    struct buf b = om_buf();
    om_uint(&b, 1, om_string(m, type));
    om_uint(&b, 2, om_string(m, unit));
    om_sub(profile, field, &b);
}

/* type NULL: none; period_type NULL: none. */
static __attribute__((unused)) struct buf om_profile(struct otlp_make *m, const char *type,
    const char *unit, const char *period_type, const char *period_unit, uint64_t period,
    int64_t time_ns)
{
    struct buf p = om_buf();
    if (type)
        om_type(m, &p, 1, type, unit);
    om_fixed(&p, 3, (uint64_t)time_ns);
    if (period_type)
        om_type(m, &p, 5, period_type, period_unit);
    om_uint(&p, 6, period);
    return p;
}

struct om_sample {
    uint32_t stack, link, n_attributes, n_values, n_times;
    uint32_t attributes[8];
    int64_t values[8];
};

static __attribute__((unused)) void om_sample(struct buf *profile, const struct om_sample *s)
{
    struct buf b = om_buf(), times = om_buf();
    om_uint(&b, 1, s->stack);
    for (uint32_t i = 0; i < s->n_attributes; i++)
        om_uint(&b, 2, s->attributes[i]);
    om_uint(&b, 3, s->link);
    for (uint32_t i = 0; i < s->n_values; i++)
        om_uint(&b, 4, (uint64_t)s->values[i]);
    for (uint32_t i = 0; i < s->n_times; i++)
        buf_u64le(&times, 1795382100000000000u + i);
    if (s->n_times)
        om_bytes(&b, 5, buf_view(&times));
    buf_done(&times);
    om_sub(profile, 2, &b);
}

static __attribute__((unused)) void om_value(struct buf *profile, uint32_t stack, int64_t value)
{
    om_sample(profile, &(struct om_sample){.stack = stack, .n_values = 1, .values = {value}});
}

/* ---- resources ---- */

/* KeyValue with text, as field `field` of the owner. */
static __attribute__((unused)) void om_key_value(
    struct buf *owner, unsigned field, const char *key, const char *value)
{
    struct buf any = om_buf(), b = om_buf();
    om_bytes(&b, 1, str_from(key));
    om_bytes(&any, 1, str_from(value));
    om_sub(&b, 2, &any);
    om_sub(owner, field, &b);
}

/* ResourceProfiles of one scope; `resource` and `scope` are messages, `profiles` those of a
 * ScopeProfiles (fields 2). All are taken. */
static __attribute__((unused)) void om_resource(
    struct buf *message, struct buf *resource, struct buf *scope, struct buf *profiles)
{
    struct buf sp = om_buf(), rp = om_buf();
    om_sub(&sp, 1, scope);
    buf_str(&sp, buf_view(profiles));
    buf_done(profiles);
    om_sub(&rp, 1, resource);
    om_sub(&rp, 2, &sp);
    om_sub(message, 1, &rp);
}

/* Takes everything; the bytes are in the arena. */
static __attribute__((unused)) struct str om_end(
    struct otlp_make *m, struct buf *message, struct arena *arena)
{
    om_sub(message, 2, &m->dict);
    ASSERT(!message->failed);
    struct str s = arena_str(arena, buf_view(message));
    buf_done(message);
    return s;
}

/* The usual: one resource with a service, one profile. Takes m and the profile. */
static __attribute__((unused)) struct str om_message(
    struct otlp_make *m, const char *service, struct buf *profile, struct arena *arena)
{
    struct buf message = om_buf(), resource = om_buf(), scope = om_buf(), profiles = om_buf();
    if (service[0])
        om_key_value(&resource, 1, "service.name", service);
    om_sub(&profiles, 2, profile);
    om_resource(&message, &resource, &scope, &profiles);
    return om_end(m, &message, arena);
}

#endif
