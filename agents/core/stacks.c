/* See stacks.h. Frames are copied into the arena, which is also the bound. */
#include "agents/core/stacks.h"

#include "base/hash.h"

void agent_stacks_init(struct agent_stacks *s, size_t limit_bytes)
{
    *s = (struct agent_stacks){0};
    arena_init(&s->arena, limit_bytes);
    idmap_init(&s->map, NULL);
}

void agent_stacks_done(struct agent_stacks *s)
{
    arena_done(&s->arena);
    idmap_done(&s->map);
}

void agent_stacks_clear(struct agent_stacks *s)
{
    arena_reset(&s->arena);
    idmap_clear(&s->map);
    s->list.v = NULL;
    s->list.n = s->list.cap = 0;
}

uint32_t agent_stacks_find(
    struct agent_stacks *s, const uint64_t *frames, uint32_t n, uint32_t labels)
{
    size_t bytes = n * sizeof *frames;
    uint64_t hash = hash_u64(hash_bytes(frames, bytes), labels);
    struct idmap_probe p = idmap_start(&s->map, hash);
    uint32_t i;
    while (idmap_next(&s->map, &p, &i)) {
        const struct agent_stack *e = &s->list.v[i];
        if (e->n == n && e->labels == labels && (n == 0 || memcmp(e->frames, frames, bytes) == 0))
            return i;
    }
    uint64_t *copy = ARENA_ARRAY(&s->arena, uint64_t, n + 1u);
    struct agent_stack *e = copy ? VEC_PUSH(&s->arena, s->list) : NULL;
    if (!e)
        return UINT32_MAX;
    if (n)
        memcpy(copy, frames, bytes);
    *e = (struct agent_stack){.frames = copy, .n = n, .labels = labels};
    if (idmap_put(&s->map, hash, s->list.n - 1))
        return s->list.n - 1;
    s->list.n--;
    return UINT32_MAX;
}
