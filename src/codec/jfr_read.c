/* The lowest layer of the JFR decoder: passing over varints and strings, tables by key.
 *
 * Constant pools carry no length, so every byte of them must be walked to find the next entry; a
 * busy recording has a megabyte of stack frames, all varints. jfr_skip_varints therefore counts the
 * bytes that end a varint, eight or 64 at a time. That is exact as long as no varint has nine
 * bytes, the only case where the last byte may have its high bit set: a word in which some aligned
 * four bytes end none is left to the slow path. Everything is bounded by the bytes present. */
#include "codec/jfr_int.h"

struct jfr_got jfr_get_slow(const uint8_t *p, const uint8_t *end)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < 9 && p < end; i++) {
        uint64_t b = *p++;
        if (i == 8 || b < 0x80)
            return (struct jfr_got){p, v | b << (7 * i)};
        v |= (b & 0x7F) << (7 * i);
    }
    return (struct jfr_got){NULL, 0};
}

/* A bit at the bottom of each byte that ends a varint; 0 when one may have nine bytes. */
static inline uint64_t ends_in(const uint8_t *p)
{
    uint64_t ends = (~load_u64le(p) & JFR_HIGH) >> 7;
    return (uint32_t)ends && ends >> 32 ? ends : 0;
}

/* Passes over the whole varints in the next `words` * 8 bytes, at most n; false: cannot. */
static bool skip_words(struct jfr_reader *r, unsigned words, uint64_t *n)
{
    uint64_t sum = 0, ends = 0;
    for (unsigned i = 0; i < words; i++) {
        ends = ends_in(r->p + 8 * i);
        if (UNLIKELY(!ends))
            return false;
        sum += ends;
    }
    *n -= (sum * 0x0101010101010101u) >> 56;
    r->p += 8 * words - (unsigned)(__builtin_clzll(ends) >> 3);
    return true;
}

void jfr_skip_varints(struct jfr_reader *r, uint64_t n)
{
    while (n >= 64 && jfr_left(r) >= 64 && skip_words(r, 8, &n))
        continue;
    while (n >= 8 && jfr_left(r) >= 8) {
        if (UNLIKELY(!skip_words(r, 1, &n))) {
            jfr_read(r);
            n--;
        }
    }
    const uint8_t *p = r->p;
    for (; n && p; n--)
        p = jfr_pass(p, r->end);
    if (LIKELY(p))
        r->p = p;
    else
        jfr_fail(r);
}

void jfr_skip_bytes(struct jfr_reader *r, uint64_t n)
{
    if (UNLIKELY(n > jfr_left(r)))
        jfr_fail(r);
    else
        r->p += n;
}

void jfr_skip_string(struct jfr_reader *r)
{
    switch (jfr_read_byte(r)) {
    case 0:
    case 1:
        return;
    case 2:
        jfr_read(r);
        return;
    case 3:
    case 5:
        jfr_skip_bytes(r, jfr_read_int(r));
        return;
    case 4:
        jfr_skip_varints(r, jfr_read_int(r));
        return;
    default:
        jfr_fail(r);
    }
}

static void map_insert(struct jfr_map *m, struct jfr_slot s)
{
    uint32_t at = (uint32_t)hash_u64(s.key, 0) & m->mask;
    while (m->slots[at].value_plus_1 && m->slots[at].key != s.key)
        at = (at + 1) & m->mask;
    m->n += m->slots[at].value_plus_1 == 0;
    m->slots[at] = s;
}

static bool map_grow(struct jfr_map *m, struct arena *a, uint64_t slots)
{
    struct jfr_map old = *m;
    struct jfr_slot *fresh = slots <= UINT32_MAX ? ARENA_ZARRAY(a, struct jfr_slot, slots) : NULL;
    if (!fresh)
        return false;
    *m = (struct jfr_map){fresh, 0, (uint32_t)slots - 1};
    for (uint32_t i = 0; old.slots && i <= old.mask; i++)
        if (old.slots[i].value_plus_1)
            map_insert(m, old.slots[i]);
    return true;
}

/* At most three quarters full. */
bool jfr_map_reserve(struct jfr_map *m, struct arena *a, uint64_t more)
{
    uint64_t slots = m->slots ? (uint64_t)m->mask + 1 : 64, have = m->slots ? slots : 0;
    while (slots / 4 * 3 < m->n + more)
        slots *= 2;
    return slots == have || map_grow(m, a, slots);
}

bool jfr_map_put(struct jfr_map *m, struct arena *a, uint64_t key, uint32_t value)
{
    if (UNLIKELY(m->n >= m->mask / 4 * 3) && !jfr_map_reserve(m, a, 1))
        return false;
    map_insert(m, (struct jfr_slot){key, value + 1});
    return true;
}

bool jfr_index_reserve(struct jfr_index *x, struct arena *a, uint32_t more)
{
    uint64_t need = (uint64_t)x->n + more;
    if (need <= x->cap)
        return true;
    need = MAX(need, (uint64_t)x->cap * 2);
    struct jfr_entry *v = need <= UINT32_MAX ? ARENA_ARRAY(a, struct jfr_entry, need) : NULL;
    if (!v)
        return false;
    if (x->n)
        memcpy(v, x->v, x->n * sizeof *v);
    x->v = v;
    x->cap = (uint32_t)need;
    return true;
}

bool jfr_index_add(struct jfr_index *x, struct arena *a, uint64_t key, uint32_t at)
{
    struct jfr_entry *e = VEC_PUSH(a, *x);
    if (!e)
        return false;
    *e = (struct jfr_entry){.key = key, .at = at};
    x->least = x->n == 1 ? key : MIN(x->least, key);
    x->most = x->n == 1 ? key : MAX(x->most, key);
    return true;
}

bool jfr_index_build(struct jfr_index *x, struct arena *a)
{
    if (x->n == 0)
        return true;
    uint64_t range = x->most - x->least;
    if (range < (uint64_t)x->n * JFR_DENSE_FACTOR) {
        x->dense = ARENA_ZARRAY(a, uint32_t, range + 1);
        if (!x->dense)
            return false;
        for (uint32_t i = 0; i < x->n; i++)
            x->dense[x->v[i].key - x->least] = i + 1;
        return true;
    }
    if (!jfr_map_reserve(&x->map, a, x->n))
        return false;
    for (uint32_t i = 0; i < x->n; i++)
        map_insert(&x->map, (struct jfr_slot){x->v[i].key, i + 1});
    return true;
}
