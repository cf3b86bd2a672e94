/* A bump allocator with a byte limit: one per request, query or flush; freed as a whole.
 *
 * Not thread-safe. Memory is 16-byte aligned and not zeroed. Past the limit, or when the machine
 * has no memory, allocation returns NULL and `arena_full` stays true: callers fail with
 * ST_RESOURCE_EXHAUSTED. Chunks double from 16 KiB to 1 MiB; a larger object gets its own. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    char *at, *end;
    size_t used;  /* bytes of all chunks */
    size_t limit; /* of `used` */
    size_t next;  /* size of the next chunk */
    bool full;
};

void arena_init(struct arena *a, size_t limit_bytes);
void arena_done(struct arena *a);
/* Frees all but the first chunk and starts again. */
void arena_reset(struct arena *a);

void *arena_alloc_slow(struct arena *a, size_t n);

static inline void *arena_alloc(struct arena *a, size_t n)
{
    size_t need = (n + 15) & ~(size_t)15;
    if (LIKELY(need >= n && need <= (size_t)(a->end - a->at) && a->at)) {
        void *p = a->at;
        a->at += need;
        return p;
    }
    return arena_alloc_slow(a, n);
}

void *arena_zalloc(struct arena *a, size_t n);
/* n objects of `size` bytes, zeroed or not; NULL also when the product overflows. */
void *arena_array(struct arena *a, size_t n, size_t size);
void *arena_zarray(struct arena *a, size_t n, size_t size);

#define ARENA_NEW(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_array((a), (n), sizeof(type)))
#define ARENA_ZARRAY(a, type, n) ((type *)arena_zarray((a), (n), sizeof(type)))

/* Copies; on a full arena the result is {NULL, 0}. */
struct str arena_str(struct arena *a, struct str s);
/* "a" + "b"; same failure. */
struct str arena_str_join(struct arena *a, struct str x, struct str y);
struct str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A NUL-terminated copy, for the OS. */
char *arena_cstr(struct arena *a, struct str s);

/* Growable arrays in an arena: declare `struct { type *v; uint32_t n, cap; } xs = {0}`.
 * VEC_PUSH gives a pointer to a new element (not zeroed), or NULL when the arena is full. Old
 * storage must not be used any more. Below a megabyte it stays in the arena until that goes, at
 * most the size of the array again; from there on the array is resized in place. */
void *arena_vec_grow(struct arena *a, void *old, uint32_t n, uint32_t *cap, size_t size);
#define VEC_PUSH(a, vec)                                                                        \
    (((vec).n < (vec).cap || ((vec).v = vec_keep((vec).v, arena_vec_grow((a), (vec).v, (vec).n, \
                                                              &(vec).cap, sizeof *(vec).v)),    \
                                 (vec).n < (vec).cap))                                          \
            ? &(vec).v[(vec).n++]                                                               \
            : NULL)
static inline void *vec_keep(void *old, void *grown)
{
    return grown ? grown : old;
}

#endif
