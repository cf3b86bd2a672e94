/* The code of a service that does not exist: methods, the stacks they make, and releases. */
#ifndef BENCH_CODE_H
#define BENCH_CODE_H

#include "base/arena.h"

enum { CODE_STACK_MAX = 256, CODE_LINES = 4, CODE_SHAPES_MAX = 4 };

/* What stacks of one sort (CPU, allocations …) look like. */
struct code_shape {
    uint32_t trunks;       /* a power of two: the ways into the code that are taken every day */
    uint32_t depth;        /* frames of a trunk, on average */
    uint32_t shared;       /* frames over which trunks part from one another */
    uint32_t tail;         /* most frames that a stack has of its own */
    uint32_t methods;      /* that trunks are made of */
    uint32_t methods_tail; /* that tails are made of */
};

struct code_trunk {
    uint32_t *frames; /* leaf first */
    uint32_t n;
};

struct code {
    uint64_t seed;
    const struct code_shape *shapes;
    uint32_t n_shapes, n_methods;
    struct code_trunk *trunks[CODE_SHAPES_MAX];
    int64_t release;
    struct str *names;         /* by method; p NULL: not made */
    uint16_t *moved, *renamed; /* by method: in which release, counted back to CODE_RELEASES */
    struct arena arena;
};

void code_init(struct code *c, uint64_t seed, const struct code_shape *shapes, uint32_t n);
void code_done(struct code *c);
/* The code as of that release: a twelfth of the service's own methods changes with each. */
void code_checkout(struct code *c, int64_t release);

/* Frames of stack `id`, leaf first: method * CODE_LINES + line; ret_trunk: which trunk. */
uint32_t code_stack(const struct code *c, uint32_t shape, uint64_t id,
    uint32_t ret_frames[CODE_STACK_MAX], uint32_t *ret_trunk);
struct str code_name(struct code *c, uint32_t method);
int64_t code_line(const struct code *c, uint32_t frame);

/* Random numbers by position: equal keys give equal numbers. */
static inline uint64_t code_mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * 0x9E3779B97F4A7C15u + b + 0x632BE59BD9B4E019u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* 0 .. n - 1 from 32 random bits: evenly, by their square, by their cube (small ones are likely).
 */
static inline uint32_t code_even(uint64_t h, uint32_t n)
{
    return (uint32_t)((h & UINT32_MAX) * n >> 32);
}
static inline uint32_t code_square(uint64_t h, uint32_t n)
{
    uint64_t u = h & UINT32_MAX;
    return (uint32_t)((u * u >> 32) * n >> 32);
}
static inline uint32_t code_cube(uint64_t h, uint32_t n)
{
    uint64_t u = h & UINT32_MAX;
    return (uint32_t)(((u * u >> 32) * u >> 32) * n >> 32);
}

#endif
