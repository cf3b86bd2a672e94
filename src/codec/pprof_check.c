/* What a profile must satisfy before it is used: see pprof.h.
 *
 * The checks run in the order in which the reference makes them, for that decides which complaint a
 * client reads. Stacks and strings that are too long are cut, in place: a stack keeps its root
 * side, a string its end (which may split a character and is then refused as invalid UTF-8).
 *
 * Indexes may be negative or huge; all are compared as unsigned. One pass over each array. Thread:
 * the caller's. Failure: ST_INVALID_ARGUMENT, the reason for the metrics beside it. */
#include "codec/pprof.h"

#include "base/utf8.h"

enum { HEX_BYTES_MAX = 512 };

struct checker {
    struct pprof *p;
    const struct pprof_limits *limits;
    struct str labels;
    struct arena *arena;
    struct error *err;
    enum pprof_reason reason;
};

static bool string_ok(const struct pprof *p, int64_t i)
{
    return (uint64_t)i < p->n_strings;
}

static enum status malformed(struct checker *c, const char *what)
{
    c->reason = PPROF_MALFORMED;
    FAIL(c->err, ST_INVALID_ARGUMENT, "%s", what);
}

static enum status over_limit(struct checker *c, enum pprof_reason reason, const char *what,
    const char *key, uint64_t actual, uint64_t limit)
{
    c->reason = reason;
    FAIL(c->err, ST_INVALID_ARGUMENT,
        "the profile with labels '%.*s' exceeds the %s limit (%s, actual: %llu, limit: %llu)",
        STR_ARG(c->labels), what, key, (unsigned long long)actual, (unsigned long long)limit);
}

static bool exceeds(uint64_t actual, uint64_t limit)
{
    return limit && actual > limit;
}

static enum status check_size(struct checker *c)
{
    struct pprof *p = c->p;
    if (exceeds(p->size_bytes, c->limits->size_bytes_max))
        return over_limit(c, PPROF_SIZE_LIMIT, "size", "max_profile_size_byte", p->size_bytes,
            c->limits->size_bytes_max);
    if (exceeds(p->n_samples, c->limits->samples_max))
        return over_limit(c, PPROF_SAMPLES_LIMIT, "samples count", "max_profile_stacktrace_samples",
            p->n_samples, c->limits->samples_max);
    return ST_OK;
}

static enum status check_samples(struct checker *c, uint64_t *stacks_cut)
{
    struct pprof *p = c->p;
    uint64_t depth_max = c->limits->stack_depth_max, labels_max = c->limits->sample_labels_max;
    for (uint32_t i = 0; i < p->n_samples; i++) {
        struct pprof_sample *s = &p->samples[i];
        if (exceeds(s->n_locations, depth_max)) {
            s->first_location += s->n_locations - (uint32_t)depth_max;
            s->n_locations = (uint32_t)depth_max;
            ++*stacks_cut;
        }
        if (exceeds(s->n_labels, labels_max))
            return over_limit(c, PPROF_LABELS_LIMIT, "sample labels",
                "max_profile_stacktrace_sample_labels", s->n_labels, labels_max);
    }
    return ST_OK;
}

static void cut_strings(struct checker *c, uint64_t *strings_cut)
{
    struct pprof *p = c->p;
    uint64_t max = c->limits->string_bytes_max;
    for (uint32_t i = 0; max && i < p->n_strings; i++) {
        struct str *s = &p->strings[i];
        if (s->n <= max)
            continue;
        *s = str_skip(*s, s->n - (size_t)max);
        ++*strings_cut;
    }
}

static enum status check_ids(struct checker *c)
{
    const struct pprof *p = c->p;
    for (uint32_t i = 0; i < p->n_locations; i++)
        if (p->locations[i].id == 0)
            return malformed(c, "location id is 0");
    for (uint32_t i = 0; i < p->n_functions; i++)
        if (p->functions[i].id == 0)
            return malformed(c, "function id is 0");
    for (uint32_t i = 0; i < p->n_samples; i++)
        if (p->samples[i].n_values != p->n_sample_types)
            return malformed(c, "sample value length mismatch");
    return ST_OK;
}

static enum status check_indexes(struct checker *c)
{
    const struct pprof *p = c->p;
    if (p->n_strings == 0 || p->strings[0].n != 0)
        return malformed(c, "string 0 should be empty string");
    for (uint32_t i = 0; i < p->n_sample_types; i++)
        if (!string_ok(p, p->sample_types[i].type))
            return malformed(c, "sample type type string index out of range");
    for (uint32_t i = 0; i < p->n_samples; i++) {
        const struct pprof_sample *s = &p->samples[i];
        for (uint32_t k = 0; k < s->n_labels; k++) {
            const struct pprof_label *l = &p->labels[s->first_label + k];
            if (!string_ok(p, l->key) || !string_ok(p, l->str))
                return malformed(c, "sample label string index out of range");
        }
    }
    for (uint32_t i = 0; i < p->n_functions; i++) {
        const struct pprof_function *f = &p->functions[i];
        if (!string_ok(p, f->name))
            return malformed(c, "function name string index out of range");
        if (!string_ok(p, f->system_name))
            return malformed(c, "function system name index string out of range");
        if (!string_ok(p, f->filename))
            return malformed(c, "function file name string index out of range");
    }
    for (uint32_t i = 0; i < p->n_mappings; i++) {
        if (!string_ok(p, p->mappings[i].filename))
            return malformed(c, "mapping file name string index out of range");
        if (!string_ok(p, p->mappings[i].build_id))
            return malformed(c, "mapping build id string index out of range");
    }
    return ST_OK;
}

static enum status bad_utf8(struct checker *c, struct str s)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = MIN(s.n, HEX_BYTES_MAX);
    char *hex = arena_alloc(c->arena, 2 * n);
    for (size_t i = 0; hex && i < n; i++) {
        hex[2 * i] = digits[(uint8_t)s.p[i] >> 4];
        hex[2 * i + 1] = digits[(uint8_t)s.p[i] & 15];
    }
    c->reason = PPROF_MALFORMED;
    FAIL(c->err, ST_INVALID_ARGUMENT, "invalid utf8 string hex: %.*s", hex ? (int)(2 * n) : 0,
        hex ? hex : "");
}

static enum status check_strings(struct checker *c)
{
    const struct pprof *p = c->p;
    for (uint32_t i = 0; i < p->n_sample_types; i++)
        if (str_find_char(p->strings[p->sample_types[i].type], '-') != STR_NPOS)
            return malformed(c, "sample type contains -");
    for (uint32_t i = 0; i < p->n_strings; i++)
        if (!utf8_valid(p->strings[i]))
            return bad_utf8(c, p->strings[i]);
    return ST_OK;
}

static enum status check_all(struct checker *c, uint64_t *stacks_cut, uint64_t *strings_cut)
{
    TRY(check_size(c));
    TRY(check_samples(c, stacks_cut));
    cut_strings(c, strings_cut);
    TRY(check_ids(c));
    TRY(check_indexes(c));
    return check_strings(c);
}

enum status pprof_check(struct pprof *p, const struct pprof_limits *limits, struct str labels_text,
    struct arena *arena, enum pprof_reason *ret_reason, uint64_t *stacks_cut, uint64_t *strings_cut,
    struct error *err)
{
    struct checker c = {
        .p = p, .limits = limits, .labels = labels_text, .arena = arena, .err = err};
    enum status st = check_all(&c, stacks_cut, strings_cut);
    *ret_reason = c.reason;
    return st;
}
