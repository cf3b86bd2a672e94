/* See mem.h. */
#include "base/mem.h"

#include <malloc.h>
#include <stdlib.h>
#include <unistd.h>

void *mem_new(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    ASSERT(p);
    return p;
}

void *mem_try(size_t n)
{
    return malloc(n ? n : 1);
}

void *mem_try_zeroed(size_t n)
{
    return calloc(1, n ? n : 1);
}

void *mem_grow(void *p, size_t n)
{
    return realloc(p, n ? n : 1);
}

void mem_free(void *p)
{
    free(p);
}

void mem_trim(void)
{
    malloc_trim(0);
}

void mem_keep(void)
{
    enum { KEEP_BYTES = 32 << 20, OWN_MAPPING_BYTES = 16 << 20, PROCESSORS_PER_HEAP = 8 };
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    mallopt(M_ARENA_MAX, 1 + (int)MAX(processors - 1, 0) / PROCESSORS_PER_HEAP);
    mallopt(M_TRIM_THRESHOLD, KEEP_BYTES);
    mallopt(M_MMAP_THRESHOLD, OWN_MAPPING_BYTES);
}
