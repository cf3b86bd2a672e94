/* See counters.h.
 *
 * A table of stacks (return addresses, behind a word that says how the walk ended) per kind, under
 * a lock of its own. An allocation has 16 bytes in front: the entry of its stack and its size. The
 * table is bounded; stacks for which it has no room share entry 0, which has no frames.
 *
 * Values: memory  allocated objects, bytes (since the last report), objects, bytes in use
 *         lock    waits, nanoseconds (since the last report)
 *
 * A wait is measured when somebody else holds or wants the lock at the moment it is asked for: an
 * uncontended lock costs one atomic addition. */
#include "agents/core/counters.h"

#include "agents/core/agent_int.h"
#include "base/clock.h"
#include "base/mem.h"

enum { TABLE_BYTES_MAX = 4 << 20, MAGIC = 0x70F1BEEF };

struct block {
    size_t bytes;
    uint32_t entry, magic;
};
_Static_assert(sizeof(struct block) == 16, "keeps the alignment of the heap");

static struct table {
    struct mutex lock;
    struct agent_stacks stacks;
} heap, waits;

static void table_init(struct table *t, const char *name)
{
    mutex_init(&t->lock, name, RANK_AGENT);
    agent_stacks_init(&t->stacks, TABLE_BYTES_MAX);
    ASSERT(agent_stacks_find(&t->stacks, NULL, 0, 0) == 0);
}

static void table_done(struct table *t)
{
    agent_stacks_done(&t->stacks);
    mutex_done(&t->lock);
}

void agent_counters_init(void)
{
    table_init(&heap, "agent heap");
    table_init(&waits, "agent waits");
}

void agent_counters_done(void)
{
    table_done(&heap);
    table_done(&waits);
}

/* key[0]: how the walk ended. Called with the lock held. */
static uint32_t entry_locked(struct table *t, const uint64_t *key, uint32_t n)
{
    uint32_t at = agent_stacks_find(&t->stacks, key, n, agent_labels_now());
    return at == UINT32_MAX ? 0 : at;
}

static void charge(struct table *t, uint32_t entry, int64_t count, int64_t amount, uint32_t from)
{
    t->stacks.list.v[entry].values[from] += count;
    t->stacks.list.v[entry].values[from + 1] += amount;
}

/* ── memory ── */

__attribute__((noinline)) void *agent_heap_alloc(size_t n)
{
    uint64_t key[1 + AGENT_FRAMES_MAX];
    enum unwind_end end;
    struct block *b = n < SIZE_MAX - sizeof *b ? mem_try(sizeof *b + n) : NULL;
    if (!b)
        return NULL;
    uint32_t depth = agent_stack_here(key + 1, AGENT_FRAMES_MAX, &end);
    key[0] = end;
    mutex_lock(&heap.lock);
    uint32_t entry = entry_locked(&heap, key, depth + 1);
    charge(&heap, entry, 1, (int64_t)n, 0);
    charge(&heap, entry, 1, (int64_t)n, 2);
    mutex_unlock(&heap.lock);
    *b = (struct block){n, entry, MAGIC};
    return b + 1;
}

void agent_heap_free(void *p)
{
    if (!p)
        return;
    struct block *b = (struct block *)p - 1;
    ASSERT(b->magic == MAGIC);
    mutex_lock(&heap.lock);
    charge(&heap, b->entry, -1, -(int64_t)b->bytes, 2);
    mutex_unlock(&heap.lock);
    b->magic = 0;
    mem_free(b);
}

/* ── locks ── */

void agent_mutex_init(struct agent_mutex *m, const char *name, enum lock_rank rank)
{
    ASSERT(rank < RANK_AGENT);
    mutex_init(&m->lock, name, rank);
    atomic_init(&m->users, 0);
}

void agent_mutex_done(struct agent_mutex *m)
{
    ASSERT(atomic_load(&m->users) == 0);
    mutex_done(&m->lock);
}

__attribute__((noinline)) void agent_mutex_lock(struct agent_mutex *m)
{
    uint64_t key[1 + AGENT_FRAMES_MAX];
    enum unwind_end end;
    if (atomic_fetch_add(&m->users, 1) == 0) {
        mutex_lock(&m->lock);
        return;
    }
    int64_t begun = clock_mono_ns();
    mutex_lock(&m->lock);
    int64_t waited = clock_mono_ns() - begun;
    uint32_t depth = agent_stack_here(key + 1, AGENT_FRAMES_MAX, &end);
    key[0] = end;
    mutex_lock(&waits.lock);
    charge(&waits, entry_locked(&waits, key, depth + 1), 1, waited, 0);
    mutex_unlock(&waits.lock);
}

void agent_mutex_unlock(struct agent_mutex *m)
{
    mutex_unlock(&m->lock);
    atomic_fetch_sub(&m->users, 1);
}

/* ── reports ── */

static uint32_t name_entry(
    struct agent_symbols *symbols, const struct agent_stack *e, uint64_t *ret_functions)
{
    if (e->n < 2) { /* entry 0, or a thread that is not sampled */
        ret_functions[0] = AGENT_FN_UNKNOWN;
        return 1;
    }
    struct unwound how = {.called = true, .end = (enum unwind_end)e->frames[0]};
    return agent_name_frames(symbols, e->frames + 1, e->n - 1, how, ret_functions);
}

static void report(struct table *t, struct agent_symbols *symbols, struct agent_stacks *into,
    uint32_t n_values, uint32_t n_resets)
{
    static const uint64_t lost[] = {AGENT_FN_LOST};
    uint64_t functions[AGENT_FRAMES_MAX + 1];
    mutex_lock(&t->lock);
    for (uint32_t i = 0; i < t->stacks.list.n; i++) {
        struct agent_stack *e = &t->stacks.list.v[i];
        uint32_t n = name_entry(symbols, e, functions);
        uint32_t at = agent_stacks_find(into, functions, n, e->labels);
        if (at == UINT32_MAX)
            at = agent_stacks_find(into, lost, 1, 0);
        for (uint32_t k = 0; k < n_values && at != UINT32_MAX; k++)
            into->list.v[at].values[k] += e->values[k];
        for (uint32_t k = 0; k < n_resets; k++)
            e->values[k] = 0;
    }
    mutex_unlock(&t->lock);
}

void agent_heap_report(struct agent_symbols *symbols, struct agent_stacks *into)
{
    report(&heap, symbols, into, 4, 2);
}

void agent_mutex_report(struct agent_symbols *symbols, struct agent_stacks *into)
{
    report(&waits, symbols, into, 2, 2);
}
