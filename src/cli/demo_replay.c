/* Recorded profiles as those of another time: see demo.h. Pure but for the random state passed in;
 * one thread. */
#include "cli/demo.h"

int64_t demo_recording_samples(const struct demo_recording *r)
{
    const struct agent_stacks *cpu = &r->kinds[DEMO_CPU];
    int64_t sum = 0;
    for (uint32_t i = 0; i < cpu->list.n; i++)
        sum += cpu->list.v[i].values[0];
    return sum;
}

/* 0 to 1, without 1: xorshift. */
static double draw(uint64_t *state)
{
    ASSERT(*state);
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (double)(*state >> 11) / (double)((uint64_t)1 << 53);
}

/* v in whole numbers; on average v. */
static int64_t round_by_chance(double v, uint64_t *random)
{
    int64_t whole = (int64_t)v;
    return whole + (draw(random) < v - (double)whole);
}

/* values[at] counts things, values[at + 1] what they amount to. */
static void set_pair(int64_t *values, uint32_t at, int64_t count, const int64_t recorded[2])
{
    values[at] = count;
    values[at + 1] = recorded[0]
                         ? (int64_t)((double)recorded[1] / (double)recorded[0] * (double)count)
                         : 0;
}

bool demo_replay(const struct demo_recording *r, enum demo_kind kind, struct demo_replay *how,
    struct agent_stacks *ret_stacks)
{
    const struct agent_stacks *from = &r->kinds[kind];
    agent_stacks_clear(ret_stacks);
    for (uint32_t i = 0; i < from->list.n; i++) {
        const struct agent_stack *e = &from->list.v[i];
        double n = (double)e->values[0] * how->scale;
        uint32_t at = agent_stacks_find(ret_stacks, e->frames, e->n, e->labels);
        if (at == UINT32_MAX)
            return false;
        int64_t *values = ret_stacks->list.v[at].values;
        set_pair(values, 0, round_by_chance(n, &how->random), e->values);
        /* All that was allocated since the cache was emptied is still there. */
        if (kind == DEMO_HEAP)
            set_pair(values, 2, round_by_chance(n * how->age, &how->random), e->values);
    }
    return true;
}
