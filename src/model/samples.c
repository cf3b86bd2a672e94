/* Encoding and decoding of sample rows: the layout is in samples.h.
 *
 * Writing sorts by node with a radix sort (only as many passes as the largest node needs), so that
 * differences are small; samples with spans or traces are rare and sorted by comparison. Reading
 * one type runs two cursors in step, nodes and values, and never allocates. */
#include "model/samples_int.h"

enum { FLAG_SPANS = 1, FLAG_TRACES = 2, RADIX_BITS = 11, FEW = 64 };

static int cmp_samples(const void *pa, const void *pb)
{
    const struct sample_in *a = pa, *b = pb;
    if (a->node != b->node)
        return a->node < b->node ? -1 : 1;
    if (a->span != b->span)
        return a->span < b->span ? -1 : 1;
    if (a->trace_hi != b->trace_hi)
        return a->trace_hi < b->trace_hi ? -1 : 1;
    return (a->trace_lo > b->trace_lo) - (a->trace_lo < b->trace_lo);
}

uint64_t *samples_radix_sort(uint64_t *keys, uint64_t *other, uint32_t n, uint32_t largest)
{
    for (unsigned shift = 32; shift < 64 && (largest >> (shift - 32)) != 0; shift += RADIX_BITS) {
        uint32_t at[1 << RADIX_BITS] = {0}, sum = 0;
        const uint32_t mask = (1 << RADIX_BITS) - 1;
        for (uint32_t i = 0; i < n; i++)
            at[keys[i] >> shift & mask]++;
        for (uint32_t b = 0; b <= mask; b++) {
            uint32_t count = at[b];
            at[b] = sum;
            sum += count;
        }
        for (uint32_t i = 0; i < n; i++)
            other[at[keys[i] >> shift & mask]++] = keys[i];
        uint64_t *t = keys;
        keys = other;
        other = t;
    }
    return keys;
}

/* Small profiles: counting buckets would cost more than the samples. */
static uint64_t *insertion_sort(uint64_t *keys, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        uint64_t key = keys[i];
        uint32_t at = i;
        for (; at && keys[at - 1] > key; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
    return keys;
}

/* The order of the samples: indexes into v. NULL when scratch is full. */
static uint32_t *sorted_order(struct sample_in *v, uint32_t n, bool plain, struct arena *scratch)
{
    uint32_t *order = ARENA_ARRAY(scratch, uint32_t, n);
    if (!order)
        return NULL;
    if (!plain) {
        qsort(v, n, sizeof *v, cmp_samples);
        for (uint32_t i = 0; i < n; i++)
            order[i] = i;
        return order;
    }
    uint64_t *keys = ARENA_ARRAY(scratch, uint64_t, n), *other = ARENA_ARRAY(scratch, uint64_t, n);
    uint32_t largest = 0;
    if (!keys || !other)
        return NULL;
    for (uint32_t i = 0; i < n; i++) {
        keys[i] = (uint64_t)v[i].node << 32 | i;
        largest = MAX(largest, v[i].node);
    }
    keys = n <= FEW ? insertion_sort(keys, n) : samples_radix_sort(keys, other, n, largest);
    for (uint32_t i = 0; i < n; i++)
        order[i] = (uint32_t)keys[i];
    return order;
}

/* Adds equal neighbours into the first of them; order then lists the survivors. */
static enum status merge_equal(struct sample_in *v, uint32_t *order, uint32_t *n, uint32_t n_types,
    int64_t *totals, struct error *err)
{
    uint32_t kept = 0;
    for (uint32_t k = 0; k < SAMPLE_TYPES_MAX; k++)
        totals[k] = 0;
    for (uint32_t i = 0; i < *n; i++) {
        struct sample_in *s = &v[order[i]];
        for (uint32_t k = 0; k < n_types; k++) {
            ASSERT(s->values[k] >= 0);
            if (__builtin_add_overflow(totals[k], s->values[k], &totals[k]))
                FAIL(err, ST_OUT_OF_RANGE, "the total of a profile leaves the range of int64");
        }
        if (kept && cmp_samples(&v[order[kept - 1]], s) == 0) {
            for (uint32_t k = 0; k < n_types; k++)
                v[order[kept - 1]].values[k] += s->values[k];
            continue;
        }
        order[kept++] = order[i];
    }
    *n = kept;
    return ST_OK;
}

static void put_values(
    struct buf *out, const struct sample_in *v, const uint32_t *order, uint32_t n, uint32_t type)
{
    uint64_t unit = 0;
    for (uint32_t i = 0; i < n && unit != 1; i++)
        unit = samples_gcd((uint64_t)v[order[i]].values[type], unit);
    buf_uvarint(out, unit);
    struct samples_column c = samples_column_begin(out);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t value = (uint64_t)v[order[i]].values[type];
        buf_uvarint(out, unit > 1 ? value / unit : value);
    }
    samples_column_end(out, c);
}

/* Ids (spans or traces) by first appearance: a table and a column of references. Neighbours repeat,
 * so the last one is tried first; otherwise the table is searched from its end. */
struct id_table {
    uint64_t (*ids)[2];
    uint32_t n;
};

static uint32_t id_ref(struct id_table *t, uint64_t hi, uint64_t lo)
{
    if (!hi && !lo)
        return 0;
    for (uint32_t i = t->n; i-- > 0 && t->n - i <= 64;)
        if (t->ids[i][0] == hi && t->ids[i][1] == lo)
            return i + 1;
    t->ids[t->n][0] = hi;
    t->ids[t->n][1] = lo;
    return ++t->n;
}

static enum status put_ids(struct buf *out, const struct sample_in *v, const uint32_t *order,
    uint32_t n, bool traces, struct arena *scratch, struct error *err)
{
    struct id_table t = {arena_array(scratch, n, sizeof *t.ids), 0};
    uint32_t *refs = ARENA_ARRAY(scratch, uint32_t, n);
    if (!t.ids || !refs)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "out of memory for the samples of one profile");
    for (uint32_t i = 0; i < n; i++) {
        const struct sample_in *s = &v[order[i]];
        refs[i] = traces ? id_ref(&t, s->trace_hi, s->trace_lo) : id_ref(&t, 0, s->span);
    }
    buf_uvarint(out, t.n);
    for (uint32_t i = 0; i < t.n; i++) {
        if (traces)
            buf_u64le(out, t.ids[i][0]);
        buf_u64le(out, t.ids[i][1]);
    }
    struct samples_column c = samples_column_begin(out);
    for (uint32_t i = 0; i < n; i++)
        buf_uvarint(out, refs[i]);
    samples_column_end(out, c);
    return ST_OK;
}

enum status samples_encode(struct sample_in *v, uint32_t *n, uint32_t n_types,
    struct arena *scratch, struct buf *out, int64_t ret_totals[SAMPLE_TYPES_MAX], struct error *err)
{
    uint64_t any_span = 0, any_trace = 0;
    for (uint32_t i = 0; i < *n; i++) {
        any_span |= v[i].span;
        any_trace |= v[i].trace_hi | v[i].trace_lo;
    }
    uint32_t *order = sorted_order(v, *n, !any_span && !any_trace, scratch);
    if (!order)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "out of memory for the samples of one profile");
    TRY(merge_equal(v, order, n, n_types, ret_totals, err));
    buf_uvarint(out, *n);
    buf_uvarint(out, n_types << 2 | (any_span ? FLAG_SPANS : 0) | (any_trace ? FLAG_TRACES : 0));
    struct samples_column c = samples_column_begin(out);
    for (uint32_t i = 0, last = 0; i < *n; i++) {
        buf_uvarint(out, v[order[i]].node - last);
        last = v[order[i]].node;
    }
    samples_column_end(out, c);
    for (uint32_t k = 0; k < n_types; k++)
        put_values(out, v, order, *n, k);
    if (any_span)
        TRY(put_ids(out, v, order, *n, false, scratch, err));
    if (any_trace)
        TRY(put_ids(out, v, order, *n, true, scratch, err));
    if (out->failed)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the samples of one profile need more than %zu bytes",
            out->limit);
    return ST_OK;
}

/* Reading */

struct reader {
    uint32_t n, n_types;
    uint64_t flags;
    struct cursor nodes;
    struct cursor rest; /* behind the node column */
};

static enum status bad(struct error *err)
{
    FAIL(err, ST_DATA_LOSS, "damaged samples");
}

static enum status reader_open(
    struct str bytes, uint32_t n_types, struct reader *r, struct error *err)
{
    struct cursor c = cursor_make(bytes);
    uint64_t n = cursor_uvarint(&c);
    uint64_t head = cursor_uvarint(&c);
    r->flags = head & (FLAG_SPANS | FLAG_TRACES);
    r->nodes = samples_column_take(&c);
    r->rest = c;
    /* every sample has at least one byte in the node column */
    if (c.bad || n > cursor_left(&r->nodes) || head >> 2 > n_types)
        return bad(err);
    r->n = (uint32_t)n;
    r->n_types = (uint32_t)(head >> 2);
    return ST_OK;
}

/* The value column of `type`, and its unit; r->rest then stands behind it. */
static struct cursor reader_type(struct reader *r, uint32_t type, uint64_t *ret_unit)
{
    struct cursor values = {0};
    for (uint32_t k = 0; k <= type; k++) {
        *ret_unit = cursor_uvarint(&r->rest);
        values = samples_column_take(&r->rest);
    }
    return values;
}

enum status samples_sum(struct str bytes, uint32_t n_types, uint32_t type, int64_t *sums,
    uint32_t n_nodes, struct error *err)
{
    struct reader r;
    uint64_t unit = 0, node = 0;
    ASSERT(type < n_types);
    TRY(reader_open(bytes, n_types, &r, err));
    if (type >= r.n_types)
        return ST_OK;
    struct cursor values = reader_type(&r, type, &unit), nodes = r.nodes;
    if (r.rest.bad)
        return bad(err);
    if (unit == 0)
        return ST_OK;
    for (uint32_t i = 0; i < r.n; i++) {
        uint64_t value = cursor_uvarint(&values);
        node += cursor_uvarint(&nodes);
        if (UNLIKELY(node >= n_nodes))
            return bad(err);
        if (UNLIKELY(__builtin_mul_overflow(value, unit, &value) || value > INT64_MAX ||
                     __builtin_add_overflow(sums[node], (int64_t)value, &sums[node])))
            FAIL(err, ST_OUT_OF_RANGE, "a sum of samples leaves the range of int64");
    }
    return values.bad || nodes.bad ? bad(err) : ST_OK;
}

/* Resolves the references of one id column. */
static enum status decode_ids(
    struct reader *r, bool traces, uint64_t *hi, uint64_t *lo, struct error *err)
{
    uint64_t m = cursor_uvarint(&r->rest), width = traces ? 16 : 8;
    if (m > cursor_left(&r->rest) / width)
        return bad(err);
    struct str table = cursor_bytes(&r->rest, m * width);
    struct cursor refs = samples_column_take(&r->rest);
    for (uint32_t i = 0; i < r->n; i++) {
        uint64_t ref = cursor_uvarint(&refs);
        if (ref > m)
            return bad(err);
        const char *p = ref ? table.p + (ref - 1) * width : NULL;
        if (hi)
            hi[i] = p ? load_u64le(p) : 0;
        lo[i] = p ? load_u64le(p + width - 8) : 0;
    }
    return refs.bad || r->rest.bad ? bad(err) : ST_OK;
}

enum status samples_decode(struct str bytes, uint32_t n_types, uint32_t type, struct arena *arena,
    struct samples *ret_samples, struct error *err)
{
    struct reader r;
    uint64_t unit = 0, node = 0;
    ASSERT(type < n_types);
    TRY(reader_open(bytes, n_types, &r, err));
    struct cursor values = {0};
    bool has = type < r.n_types;
    if (has)
        values = reader_type(&r, type, &unit);
    for (uint32_t k = has ? type + 1 : 0; k < r.n_types; k++) {
        uint64_t skipped;
        reader_type(&r, 0, &skipped);
    }
    uint32_t *to_nodes = ARENA_ARRAY(arena, uint32_t, r.n);
    int64_t *to_values = ARENA_ARRAY(arena, int64_t, r.n);
    uint64_t *ids[3] = {0}; /* spans, trace hi, trace lo */
    for (uint32_t i = 0; i < 3; i++)
        if (r.flags & (i ? FLAG_TRACES : FLAG_SPANS))
            ids[i] = ARENA_ARRAY(arena, uint64_t, r.n);
    if (arena->full)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "out of memory for decoded samples");
    for (uint32_t i = 0; i < r.n; i++) {
        uint64_t value = 0;
        node += cursor_uvarint(&r.nodes);
        if (has && __builtin_mul_overflow(cursor_uvarint(&values), unit, &value))
            return bad(err);
        if (node > UINT32_MAX || value > INT64_MAX)
            return bad(err);
        to_nodes[i] = (uint32_t)node;
        to_values[i] = (int64_t)value;
    }
    if (values.bad || r.nodes.bad || r.rest.bad)
        return bad(err);
    if (r.flags & FLAG_SPANS)
        TRY(decode_ids(&r, false, NULL, ids[0], err));
    if (r.flags & FLAG_TRACES)
        TRY(decode_ids(&r, true, ids[1], ids[2], err));
    *ret_samples = (struct samples){r.n, to_nodes, to_values, ids[0], ids[1], ids[2]};
    return ST_OK;
}

/* Checking needs only counts and sums of columns, and those come without taking the varints apart:
 * a byte counts for its low seven bits, shifted by seven for every byte of its varint before it.
 * The bytes of a word of eight that have the same place in their varints are added at once. Most
 * varints are of one byte, so words of eight of them have a loop of their own. */

struct column_sum {
    uint64_t n, sum;
    unsigned place; /* of the next byte in its varint; 0: it begins one */
    bool over;      /* the sum has left 64 bits */
};

static const uint64_t each_byte = UINT64_C(0x0101010101010101);

/* Bytes to four numbers of 16 bits. */
static inline uint64_t pair_up(uint64_t w)
{
    const uint64_t even = UINT64_C(0x00FF00FF00FF00FF);
    return (w & even) + (w >> 8 & even);
}

static inline uint64_t sum_of_pairs(uint64_t v) /* it fits 16 bits */
{
    return v * UINT64_C(0x0001000100010001) >> 48;
}

static inline void sum_add(struct column_sum *s, uint64_t n, uint64_t sum)
{
    s->n += n;
    s->over |= __builtin_add_overflow(s->sum, sum, &s->sum);
}

/* Words of eight whole varints, from one varint's beginning; returns where it stopped. */
static inline const uint8_t *sum_singles(struct column_sum *s, const uint8_t *p, const uint8_t *end)
{
    enum { WORDS_MAX = 64 }; /* 64 x 8 x 127 fits 16 bits */
    for (size_t words = WORDS_MAX; words == WORDS_MAX;) {
        uint64_t w, pairs = 0;
        for (words = 0; words < WORDS_MAX && end - p >= 8; words++, p += 8) {
            if ((w = load_u64le(p)) & each_byte << 7)
                break;
            pairs += pair_up(w);
        }
        sum_add(s, 8 * words, sum_of_pairs(pairs));
    }
    return p;
}

/* Nothing is done, and false: a varint in it has more than PLACES bytes. */
static bool sum_word(struct column_sum *s, uint64_t w)
{
    enum { PLACES = 7 };
    uint64_t high = w & each_byte << 7, low = w & ~high, sum = 0, first = 0x80;
    uint64_t at = ~(high << 8) & each_byte << 7; /* 0x80 in every byte of the place */
    unsigned place = 0, last = 0;
    if (s->place)
        at &= ~first;
    for (; at || place < s->place; place++) {
        if (place == PLACES)
            return false;
        sum += sum_of_pairs(pair_up(low & (at - (at >> 7)))) << 7 * place;
        last = at >> 63 ? place : last;
        at = (at & high) << 8 | (place + 1 == s->place ? first : 0);
    }
    sum_add(s, 8 - ((high >> 7) * each_byte >> 56), sum);
    s->place = high >> 63 ? last + 1 : 0;
    return true;
}

/* False: a varint leaves 64 bits. */
static bool sum_bytes(struct column_sum *s, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s->place >= VARINT_MAX - 1 && p[i] > 1)
            return false;
        uint64_t part = (uint64_t)(p[i] & 0x7F) << 7 * s->place;
        sum_add(s, p[i] < 0x80, part);
        s->place = p[i] < 0x80 ? 0 : s->place + 1;
    }
    return true;
}

/* The n < 8 bytes at p and zeros. */
static inline uint64_t load_few(const uint8_t *p, size_t n)
{
    uint64_t w = 0;
    if (n & 4)
        w = load_u32le(p);
    for (size_t i = n & 4; i < n; i++)
        w |= (uint64_t)p[i] << 8 * i;
    return w;
}

/* Exactly n varints and nothing else. *ret_sum is UINT64_MAX when their sum is not below it. */
static bool column_sum(struct cursor c, uint32_t n, uint64_t *ret_sum)
{
    struct column_sum s = {0};
    if (cursor_left(&c) && c.end[-1] >= 0x80)
        return false; /* the last varint does not end */
    while (c.end - c.p >= 8) {
        if (s.place == 0)
            c.p = sum_singles(&s, c.p, c.end);
        if (c.end - c.p < 8)
            break;
        if (!sum_word(&s, load_u64le(c.p)) && !sum_bytes(&s, c.p, 8))
            return false;
        c.p += 8;
    }
    size_t left = cursor_left(&c);
    uint64_t few = load_few(c.p, left);
    if (!s.place && !(few & each_byte << 7))
        sum_add(&s, left, sum_of_pairs(pair_up(few)));
    else if (sum_word(&s, few))
        s.n -= 8 - left; /* zeros were added */
    else if (!sum_bytes(&s, c.p, left))
        return false;
    *ret_sum = s.over ? UINT64_MAX : s.sum;
    return s.n == n;
}

/* One id column without keeping anything. */
static bool ids_ok(struct reader *r, uint64_t width)
{
    uint64_t m = cursor_uvarint(&r->rest);
    if (m > cursor_left(&r->rest) / width)
        return false;
    cursor_bytes(&r->rest, m * width);
    struct cursor refs = samples_column_take(&r->rest);
    for (uint32_t i = 0; i < r->n; i++)
        if (cursor_uvarint(&refs) > m)
            return false;
    return !refs.bad && !r->rest.bad && cursor_left(&refs) == 0;
}

/* Nodes rise, so their differences may not add up to more than there are. Values are not negative,
 * so their sum times the unit says whether any of them, or the total, leaves the range. */
enum status samples_check(struct str bytes, uint32_t n_types, uint32_t n_nodes, uint32_t *ret_n,
    int64_t ret_totals[SAMPLE_TYPES_MAX], struct error *err)
{
    struct reader r;
    uint64_t last;
    TRY(reader_open(bytes, n_types, &r, err));
    if (!column_sum(r.nodes, r.n, &last) || (r.n && last >= n_nodes))
        return bad(err);
    for (uint32_t k = 0; k < n_types; k++)
        ret_totals[k] = 0;
    for (uint32_t k = 0; k < r.n_types; k++) {
        uint64_t unit, sum;
        struct cursor values = reader_type(&r, 0, &unit);
        if (r.rest.bad || !column_sum(values, r.n, &sum) || (unit && sum > INT64_MAX / unit))
            return bad(err);
        ret_totals[k] = (int64_t)(sum * unit);
    }
    if ((r.flags & FLAG_SPANS && !ids_ok(&r, 8)) || (r.flags & FLAG_TRACES && !ids_ok(&r, 16)) ||
        r.rest.bad || cursor_left(&r.rest))
        return bad(err);
    *ret_n = r.n;
    return ST_OK;
}
