/* See arena.h. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { CHUNK_FIRST = 16 * 1024, CHUNK_LAST = 1024 * 1024 };

struct arena_chunk {
    struct arena_chunk *older;
    size_t size; /* of data */
    _Alignas(16) char data[];
};

void arena_init(struct arena *a, size_t limit_bytes)
{
    *a = (struct arena){.limit = limit_bytes, .next = CHUNK_FIRST};
}

void arena_done(struct arena *a)
{
    for (struct arena_chunk *c = a->chunks, *older; c; c = older) {
        older = c->older;
        mem_free(c);
    }
    size_t limit = a->limit;
    arena_init(a, limit);
}

void arena_reset(struct arena *a)
{
    struct arena_chunk *first = a->chunks;
    while (first && first->older) {
        struct arena_chunk *older = first->older;
        mem_free(first);
        first = older;
    }
    size_t limit = a->limit;
    arena_init(a, limit);
    if (!first)
        return;
    ASAN_UNPOISON_MEMORY_REGION(first->data, first->size);
    a->chunks = first;
    a->at = first->data;
    a->end = first->data + first->size;
    a->used = first->size;
}

void *arena_alloc_slow(struct arena *a, size_t n)
{
    size_t need = (n + 15) & ~(size_t)15;
    if (need < n || need > a->limit || a->used > a->limit - need) {
        a->full = true;
        return NULL;
    }
    bool own = need > a->next / 2;
    size_t size = own ? need : MIN(a->next, a->limit - a->used);
    struct arena_chunk *c = mem_try(sizeof *c + size);
    if (!c) {
        a->full = true;
        return NULL;
    }
    c->size = size;
    a->used += size;
    if (own && a->chunks) { /* keep bumping in the current chunk */
        c->older = a->chunks->older;
        a->chunks->older = c;
        return c->data;
    }
    c->older = a->chunks;
    a->chunks = c;
    a->at = c->data + need;
    a->end = c->data + size;
    if (!own && a->next < CHUNK_LAST)
        a->next *= 2;
    return c->data;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);
    return p ? memset(p, 0, n) : NULL;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        a->full = true;
        return NULL;
    }
    return arena_alloc(a, bytes);
}

void *arena_zarray(struct arena *a, size_t n, size_t size)
{
    void *p = arena_array(a, n, size);
    return p ? memset(p, 0, n * size) : NULL;
}

struct str arena_str(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n);
    if (!p)
        return (struct str){0};
    if (s.n)
        memcpy(p, s.p, s.n);
    return str_make(p, s.n);
}

struct str arena_str_join(struct arena *a, struct str x, struct str y)
{
    char *p = arena_alloc(a, x.n + y.n);
    if (!p)
        return (struct str){0};
    if (x.n)
        memcpy(p, x.p, x.n);
    if (y.n)
        memcpy(p + x.n, y.p, y.n);
    return str_make(p, x.n + y.n);
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    ASSERT(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1);
    if (!p)
        return (struct str){0};
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return str_make(p, (size_t)n);
}

char *arena_cstr(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (!p)
        return NULL;
    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}

static size_t rounded(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

/* A large vector that has a chunk of its own is resized with it, most often without a copy. NULL:
 * it has none, or there is no memory. */
static void *grow_chunk(struct arena *a, void *old, size_t bytes, size_t want)
{
    struct arena_chunk **at = &a->chunks;
    while (*at && (*at)->data != old)
        at = &(*at)->older;
    if (!*at || (*at)->size != rounded(bytes) || rounded(want) - (*at)->size > a->limit - a->used)
        return NULL;
    struct arena_chunk *c = mem_grow(*at, sizeof *c + rounded(want));
    if (!c)
        return NULL;
    if (at == &a->chunks)
        a->at = a->end = c->data + rounded(want);
    a->used += rounded(want) - c->size;
    c->size = rounded(want);
    return (*at = c)->data;
}

void *arena_vec_grow(struct arena *a, void *old, uint32_t n, uint32_t *cap, size_t size)
{
    uint32_t want = *cap ? *cap * 2 : 8;
    size_t bytes = *cap * size, more;
    if (want <= *cap || __builtin_mul_overflow(want, size, &more) || more > SIZE_MAX - 15)
        return NULL;
    void *p = bytes < CHUNK_LAST ? NULL : grow_chunk(a, old, bytes, more);
    if (!p) {
        p = arena_alloc(a, more);
        if (!p)
            return NULL;
        if (n)
            memcpy(p, old, (size_t)n * size);
        if (old)
            ASAN_POISON_MEMORY_REGION(old, bytes);
    }
    *cap = want;
    return p;
}
