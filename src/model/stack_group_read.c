/* Stacks back to rows, or to sums without rows: see stack_group.h.
 *
 *     columns ─► per row an array of its nodes, which come in rising order ─► bytes of the row
 *     columns ─► per node the sum over the rows that are wanted
 *
 * Rows need no sort: nodes rise, so whatever a row gets next is larger than what it has. Decoded
 * rows have the unit of the group, which divides their own. Sums read of each sample its row, and
 * its value only where the node's values differ: a few instructions, where rows take dozens.
 * Nothing is kept; all scratch lies in the caller's arena. */
#include "model/samples_int.h"
#include "model/stack_group.h"

static enum status no_memory(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "out of memory for the samples of many profiles");
}

/* Of a row: from its first one on. A sample is one piece of memory, because where the next one goes
 * is rarely in the cache. */
struct places {
    uint32_t first, next, end;
};

struct ungrouper {
    uint32_t n, n_rows, n_types, n_nodes;
    uint64_t n_runs;
    struct cursor nodes, counts, rows;
    uint64_t units[SAMPLE_TYPES_MAX];
    struct cursor factors[SAMPLE_TYPES_MAX], listed[SAMPLE_TYPES_MAX];
    struct places *places; /* per row */
    uint32_t width;
    uint64_t *samples; /* by place `width` numbers: the node, the value of each type */
    bool out_of_range;
};

static enum status bad(struct error *err)
{
    FAIL(err, ST_DATA_LOSS, "damaged samples");
}

/* `in` then stands behind the group. */
static bool read_columns(struct ungrouper *u, struct cursor *in)
{
    u->n_runs = cursor_uvarint(in);
    if (cursor_uvarint(in) != u->n_types)
        return false;
    for (uint32_t k = 0; k < u->n_types; k++)
        u->units[k] = cursor_uvarint(in);
    u->nodes = samples_column_take(in);
    u->counts = samples_column_take(in);
    u->rows = samples_column_take(in);
    for (uint32_t k = 0; k < u->n_types; k++) {
        if (!u->units[k])
            continue;
        u->factors[k] = samples_column_take(in);
        u->listed[k] = samples_column_take(in);
    }
    return !in->bad;
}

static bool make_places(struct ungrouper *u, const uint32_t *n_samples, struct arena *scratch)
{
    u->width = 1 + u->n_types;
    u->places = ARENA_ARRAY(scratch, struct places, u->n_rows);
    u->samples = ARENA_ARRAY(scratch, uint64_t, u->n * (size_t)u->width);
    if (scratch->full)
        return false;
    for (uint32_t i = 0, at = 0; i < u->n_rows; at += n_samples[i++])
        u->places[i] = (struct places){at, at, at + n_samples[i]};
    return true;
}

/* The values of one sample; false: one leaves 64 bits. */
static inline bool read_values(struct ungrouper *u, const uint64_t *factors, uint64_t *values)
{
    uint64_t base = 1;
    for (uint32_t k = 0; k < u->n_types; base = values[k++]) {
        if (factors[k]) {
            if (__builtin_mul_overflow(factors[k], base, &values[k]))
                return false;
        } else {
            values[k] = u->units[k] ? cursor_uvarint(&u->listed[k]) : 0;
        }
    }
    return true;
}

/* One node in all its rows; *left is how many samples may still come. */
static bool read_run(struct ungrouper *u, uint32_t node, uint32_t *left)
{
    uint64_t factors[SAMPLE_TYPES_MAX], row = 0, count = cursor_uvarint(&u->counts);
    if (count >= *left)
        return false;
    *left -= (uint32_t)count + 1;
    for (uint32_t k = 0; k < u->n_types; k++)
        factors[k] = u->units[k] ? cursor_uvarint(&u->factors[k]) : 0;
    for (uint64_t i = 0; i <= count; i++, row++) {
        uint64_t step = cursor_uvarint(&u->rows);
        if (step >= u->n_rows || (row += step) >= u->n_rows)
            return false;
        struct places *at = &u->places[row];
        if (at->next == at->end)
            return false;
        uint64_t *sample = u->samples + (size_t)at->next++ * u->width;
        sample[0] = node;
        if (!read_values(u, factors, sample + 1))
            return false;
    }
    return true;
}

static bool is_read(const struct cursor *c)
{
    return !c->bad && cursor_left(c) == 0;
}

static bool read_runs(struct ungrouper *u)
{
    uint32_t left = u->n;
    uint64_t node = 0;
    for (uint64_t i = 0; i < u->n_runs; i++, node++) {
        uint64_t step = cursor_uvarint(&u->nodes);
        if (step >= u->n_nodes || (node += step) >= u->n_nodes ||
            !read_run(u, (uint32_t)node, &left))
            return false;
    }
    bool ok = left == 0 && is_read(&u->nodes) && is_read(&u->counts) && is_read(&u->rows);
    for (uint32_t k = 0; k < u->n_types; k++)
        ok = ok && is_read(&u->factors[k]) && is_read(&u->listed[k]);
    return ok;
}

/* Room for the whole row is made once: a call per number would cost as much as all else. */
static void put_row(const struct ungrouper *u, uint32_t row, struct buf *out)
{
    enum { NODE_BYTES = 5 };
    uint32_t n = u->places[row].end - u->places[row].first;
    const uint64_t *v = u->samples + (size_t)u->places[row].first * u->width,
                   *end = v + (size_t)n * u->width;
    size_t each = NODE_BYTES + u->n_types * (size_t)VARINT_MAX;
    if (!buf_reserve(out, (n + (size_t)4) * each))
        return;
    buf_uvarint(out, n);
    buf_uvarint(out, (uint64_t)u->n_types << 2);
    struct samples_column c = samples_column_begin(out);
    uint8_t *p = (uint8_t *)out->p + out->n;
    uint64_t last = 0;
    for (const uint64_t *at = v; at < end; last = *at, at += u->width)
        p += varint_put(p, *at - last);
    out->n = (size_t)(p - (uint8_t *)out->p);
    samples_column_end(out, c);
    for (uint32_t k = 0; k < u->n_types; k++) {
        buf_uvarint(out, u->units[k]);
        c = samples_column_begin(out);
        p = (uint8_t *)out->p + out->n;
        for (const uint64_t *at = v; at < end; at += u->width)
            p += varint_put(p, at[1 + k]);
        out->n = (size_t)(p - (uint8_t *)out->p);
        samples_column_end(out, c);
    }
}

enum status stack_group_decode(struct str bytes, const uint32_t *n_samples, uint32_t n,
    uint32_t n_types, uint32_t n_nodes, struct arena *scratch, struct buf *out, uint32_t *ret_bytes,
    struct error *err)
{
    struct ungrouper u = {.n_rows = n, .n_types = n_types, .n_nodes = n_nodes};
    struct cursor in = cursor_make(bytes);
    size_t all = 0;
    for (uint32_t i = 0; i < n; i++)
        all += n_samples[i];
    ASSERT(all <= STACK_GROUP_SAMPLES_MAX);
    u.n = (uint32_t)all;
    if (!read_columns(&u, &in) || cursor_left(&in))
        return bad(err);
    if (!make_places(&u, n_samples, scratch))
        return no_memory(err);
    if (!read_runs(&u))
        return bad(err);
    for (uint32_t i = 0; i < n; i++) {
        size_t before = out->n;
        put_row(&u, i, out);
        ret_bytes[i] = (uint32_t)(out->n - before);
    }
    return out->failed ? no_memory(err) : ST_OK;
}

enum status stack_group_take(
    struct cursor *in, uint32_t n_types, struct str *ret_bytes, struct error *err)
{
    struct ungrouper u = {.n_types = n_types};
    const char *begin = (const char *)in->p;
    if (!read_columns(&u, in))
        return bad(err);
    *ret_bytes = str_make(begin, (size_t)((const char *)in->p - begin));
    return ST_OK;
}

/* To sums */

/* The next number of a column that is held in registers; *ok is false once one is bad. Most have
 * one byte or two, in no order that could be foretold: so both are read alike, without a branch. */
static inline const uint8_t *next_number(
    const uint8_t *p, const uint8_t *end, uint64_t *v, bool *ok)
{
    if (LIKELY(end - p >= 2)) {
        uint32_t two = p[0] >> 7, high = p[1] & -two;
        if (LIKELY(high < 0x80)) {
            *v = (p[0] & 0x7fu) | high << 7;
            return p + 1 + two;
        }
    }
    struct cursor c = {p, end, false};
    *v = cursor_uvarint(&c);
    *ok = *ok && !c.bad;
    return c.p;
}

/* How many of the rows of a run are wanted. */
static bool count_wanted(struct ungrouper *u, uint64_t n, const uint8_t *wanted, uint64_t *ret)
{
    const uint8_t *p = u->rows.p, *end = u->rows.end;
    uint64_t row = 0, step, sum = 0;
    bool ok = true;
    for (uint64_t i = 0; i < n && ok; i++, row++) {
        p = next_number(p, end, &step, &ok);
        if (UNLIKELY(!ok || step >= u->n_rows || (row += step) >= u->n_rows))
            return false;
        sum += wanted[row];
    }
    u->rows.p = p;
    *ret = sum;
    return ok;
}

/* The same where each sample has a value of its own, which is listed. */
static bool sum_listed(
    struct ungrouper *u, uint64_t n, const uint8_t *wanted, uint32_t type, uint64_t *ret)
{
    const uint8_t *p = u->rows.p, *end = u->rows.end;
    const uint8_t *v = u->listed[type].p, *v_end = u->listed[type].end;
    uint64_t row = 0, step, value, sum = 0;
    bool ok = true;
    for (uint64_t i = 0; i < n && ok; i++, row++) {
        p = next_number(p, end, &step, &ok);
        v = next_number(v, v_end, &value, &ok);
        if (UNLIKELY(!ok || step >= u->n_rows || (row += step) >= u->n_rows))
            return false;
        u->out_of_range |= wanted[row] && __builtin_add_overflow(sum, value, &sum);
    }
    u->rows.p = p;
    u->listed[type].p = v;
    *ret = sum;
    return ok;
}

static void skip_numbers(struct cursor *c, uint64_t n)
{
    for (uint64_t i = 0; i < n && !c->bad; i++)
        cursor_uvarint(c);
}

/* The sum of a run. Where each type's value is a factor times that of the type before,
 * down to one that is listed, or to 1, so is the sum. */
static bool sum_run(struct ungrouper *u, const uint8_t *wanted, uint32_t type, uint64_t *ret)
{
    uint64_t factors[SAMPLE_TYPES_MAX], factor = 1, n = cursor_uvarint(&u->counts);
    uint32_t base = type + 1; /* the type behind the listed one; 0: there is none */
    if (n >= cursor_left(&u->rows))
        return false;
    n++;
    for (uint32_t k = 0; k <= type; k++)
        factors[k] = u->units[k] ? cursor_uvarint(&u->factors[k]) : 0;
    for (; base && factors[base - 1]; base--)
        u->out_of_range |= __builtin_mul_overflow(factor, factors[base - 1], &factor);
    for (uint32_t k = 0; k + 1 < base; k++)
        if (u->units[k] && !factors[k])
            skip_numbers(&u->listed[k], n);
    uint64_t sum = 0;
    bool ok = true;
    if (!base)
        ok = count_wanted(u, n, wanted, &sum);
    else if (u->units[base - 1])
        ok = sum_listed(u, n, wanted, base - 1, &sum);
    else
        skip_numbers(&u->rows, n);
    u->out_of_range |= __builtin_mul_overflow(sum, factor, &sum);
    u->out_of_range |= __builtin_mul_overflow(sum, u->units[type], ret) || *ret > INT64_MAX;
    return ok && !u->rows.bad;
}

static bool sum_runs(struct ungrouper *u, const uint8_t *wanted, uint32_t type, int64_t *sums)
{
    uint64_t node = 0, sum;
    for (uint64_t i = 0; i < u->n_runs; i++, node++) {
        uint64_t step = cursor_uvarint(&u->nodes);
        if (step >= u->n_nodes || (node += step) >= u->n_nodes || !sum_run(u, wanted, type, &sum))
            return false;
        u->out_of_range |= __builtin_add_overflow(sums[node], (int64_t)sum, &sums[node]);
    }
    bool ok = is_read(&u->nodes) && is_read(&u->counts) && is_read(&u->rows);
    for (uint32_t k = 0; k <= type; k++)
        ok = ok && is_read(&u->factors[k]) && !u->listed[k].bad;
    return ok;
}

enum status stack_group_sum(struct str bytes, const uint8_t *wanted, uint32_t n, uint32_t n_types,
    uint32_t type, int64_t *sums, uint32_t n_nodes, struct error *err)
{
    struct ungrouper u = {.n_rows = n, .n_types = n_types, .n_nodes = n_nodes};
    struct cursor in = cursor_make(bytes);
    ASSERT(type < n_types);
    if (!read_columns(&u, &in) || cursor_left(&in))
        return bad(err);
    if (u.units[type] && !sum_runs(&u, wanted, type, sums))
        return bad(err);
    if (u.out_of_range)
        FAIL(err, ST_OUT_OF_RANGE, "a sum of samples leaves the range of int64");
    return ST_OK;
}
