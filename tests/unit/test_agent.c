/* The sampler, its names and its counters: agents/core. Work has known shares, ticks are sent by
 * hand where their number matters. */
#include "test.h"

#include <dlfcn.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agents/core/counters.h"
#include "agents/core/elf_int.h"
#include "agents/core/agent.h"
#include "agents/core/report.h"
#include "base/clock.h"
#include "base/fs.h"
#include "codec/messages.h"

#define NOINLINE __attribute__((noinline))
/* Keeps the call before it from becoming a jump. */
#define KEEP_FRAME() __asm__ volatile("" ::: "memory")

static struct agent_symbols *symbols;
static struct agent_stacks stacks;
static struct agent_stats stats;

static bool begin(uint32_t ring_words)
{
    struct agent_config cfg = {.ring_words = ring_words};
    struct error err = {0};
    enum status st = agent_start(&cfg, &err);
    if (st == ST_UNIMPLEMENTED)
        return false;
    assert_int_equal(st, ST_OK);
    symbols = agent_symbols_new();
    agent_stacks_init(&stacks, 4 * MIB);
    stats = (struct agent_stats){0};
    return true;
}

static void end(void)
{
    agent_stop();
    agent_stacks_done(&stacks);
    agent_symbols_free(symbols);
}

#define BEGIN(words)       \
    do {                   \
        if (!begin(words)) \
            skip();        \
    } while (0)

/* A tick of the timer, as the kernel would send it. */
static NOINLINE void tick(int overrun)
{
    siginfo_t info = {.si_signo = SIGPROF, .si_code = SI_TIMER};
    info.si_overrun = overrun;
    assert_int_equal(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGPROF, &info), 0);
    KEEP_FRAME();
}

static struct str name_at(const struct agent_stack *s, uint32_t i)
{
    return agent_symbols_get(symbols, (uint32_t)s->frames[i])->name;
}

static bool has_frame(const struct agent_stack *s, const char *name)
{
    for (uint32_t i = 0; i < s->n; i++)
        if (str_eq(name_at(s, i), str_from(name)))
            return true;
    return false;
}

static int64_t samples_with(const char *name)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < stacks.list.n; i++)
        if (has_frame(&stacks.list.v[i], name))
            sum += stacks.list.v[i].values[0];
    return sum;
}

static int64_t samples_in_all(void)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < stacks.list.n; i++)
        sum += stacks.list.v[i].values[0];
    return sum;
}

/* The one stack with this frame that was ticked by hand. */
static const struct agent_stack *stack_with(const char *name)
{
    for (uint32_t i = 0; i < stacks.list.n; i++)
        if (has_frame(&stacks.list.v[i], name))
            return &stacks.list.v[i];
    fail_msg("no stack with %s", name);
    return NULL;
}

/* ── shares ── */

static volatile uint64_t sink;

static inline __attribute__((always_inline)) void burn_until(int64_t cpu_ns, uint64_t add)
{
    uint64_t x = sink;
    while (clock_cpu_ns() < cpu_ns)
        for (int i = 0; i < 20000; i++)
            x = x * 6364136223846793005u + add; /* differs, or the compiler merges the two */
    sink = x;
}

static NOINLINE void heavy(int64_t until)
{
    burn_until(until, 1442695040888963407u);
}

static NOINLINE void light(int64_t until)
{
    burn_until(until, 1);
}

/* 3:1 by the clock the timers run on. The samples of a phase are its length over the period, give
 * or take one tick of the kernel, so three sigma of a sample of this size are far away. */
static void shares_are_true(void **state)
{
    (void)state;
    BEGIN(0);
    agent_thread_begin();
    int64_t t = clock_cpu_ns(), begun = t;
    for (int i = 0; i < 4; i++) {
        heavy(t += 300 * NS_PER_MS);
        light(t += 100 * NS_PER_MS);
        agent_drain(symbols, &stacks, &stats);
    }
    int64_t used = clock_cpu_ns() - begun;
    agent_thread_end();
    agent_drain(symbols, &stacks, &stats);
    double n_heavy = (double)samples_with("heavy"), n_light = (double)samples_with("light");
    double n = n_heavy + n_light, sigma_squared = n * 0.75 * 0.25;
    double off = n_heavy - 0.75 * n;
    assert_true(n > 100);
    if (off * off > 9 * sigma_squared)
        fail_msg("%.0f to %.0f samples", n_heavy, n_light);
    /* Every tick of the CPU clock counts, none twice. */
    assert_int_equal(stats.lost, 0);
    assert_int_equal(stats.taken, samples_in_all());
    int64_t ticks = used / (10 * NS_PER_MS), taken = (int64_t)stats.taken;
    if (taken < ticks - 3 || taken > ticks + 3)
        fail_msg("%lld samples of %lld ticks", (long long)taken, (long long)ticks);
    end();
}

/* ── stacks ── */

static NOINLINE void inner(void)
{
    tick(0);
    KEEP_FRAME();
}

static NOINLINE void outer(void)
{
    inner();
    KEEP_FRAME();
}

static void stacks_are_whole(void **state)
{
    (void)state;
    BEGIN(0);
    agent_thread_begin();
    outer();
    tick(4);
    agent_thread_end();
    tick(0); /* too late: ignored */
    agent_drain(symbols, &stacks, &stats);
    assert_int_equal(stats.taken, 1 + 5);
    const struct agent_stack *s = stack_with("inner");
    /* Whatever the system call is in, then our functions, then the one that began. */
    uint32_t at = s->n - 4;
    assert_true(s->n >= 5);
    assert_true(str_eq(name_at(s, at), STR("tick")));
    assert_true(str_eq(name_at(s, at + 1), STR("inner")));
    assert_true(str_eq(name_at(s, at + 2), STR("outer")));
    assert_true(str_eq(name_at(s, at + 3), STR("stacks_are_whole")));
    assert_int_equal(s->values[0], 1);
    assert_int_equal(s->values[1], 10 * NS_PER_MS);
    end();
}

static int compare(const void *a, const void *b)
{
    static int calls;
    if (calls++ == 3)
        tick(0);
    KEEP_FRAME();
    return *(const int *)a - *(const int *)b;
}

static NOINLINE void sorts(void)
{
    int v[64];
    for (int i = 0; i < 64; i++)
        v[i] = (i * 37) % 64;
    qsort(v, 64, sizeof *v, compare);
    assert_int_equal(v[63], 63);
}

/* The C library has no frame pointers; its caller is found all the same. */
static void walks_through_libraries(void **state)
{
    (void)state;
    BEGIN(0);
    agent_thread_begin();
    sorts();
    agent_thread_end();
    agent_drain(symbols, &stacks, &stats);
    const struct agent_stack *s = stack_with("compare");
    assert_true(has_frame(s, "sorts"));
    assert_true(str_eq(name_at(s, s->n - 1), STR("walks_through_libraries")));
    end();
}

static NOINLINE uint32_t deep(uint32_t n)
{
    uint32_t below = 0;
    if (n > 0)
        below = deep(n - 1);
    else
        tick(0);
    KEEP_FRAME();
    return below + 1;
}

static void deep_stacks_are_marked(void **state)
{
    (void)state;
    BEGIN(0);
    agent_thread_begin();
    assert_int_equal(deep(300), 301);
    agent_thread_end();
    agent_drain(symbols, &stacks, &stats);
    const struct agent_stack *s = stack_with("deep");
    assert_int_equal(s->n, AGENT_FRAMES_MAX + 1);
    assert_int_equal(s->frames[s->n - 1], AGENT_FN_TRUNCATED);
    end();
}

/* gcc leaves the frame pointer out of functions like this one. */
static NOINLINE uint64_t leaf(uint64_t n)
{
    uint64_t x = n;
    for (uint64_t i = 0; i < n; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(x));
    }
    return x;
}

static NOINLINE uint64_t calls_leaf(uint64_t n)
{
    return leaf(n) + 1;
}

static void leaves_have_callers(void **state)
{
    (void)state;
    BEGIN(0);
    agent_thread_begin();
    for (int64_t until = clock_cpu_ns() + 300 * NS_PER_MS; clock_cpu_ns() < until;)
        sink += calls_leaf(1000000);
    agent_thread_end();
    agent_drain(symbols, &stacks, &stats);
    int64_t n = samples_with("leaf");
    assert_true(n > 20);
    for (uint32_t i = 0; i < stacks.list.n; i++) {
        const struct agent_stack *s = &stacks.list.v[i];
        if (!has_frame(s, "leaf"))
            continue;
        assert_int_equal(s->n, 3);
        assert_true(str_eq(name_at(s, 0), STR("leaf")));
        assert_true(str_eq(name_at(s, 1), STR("calls_leaf")));
        assert_true(str_eq(name_at(s, 2), STR("leaves_have_callers")));
    }
    end();
}

/* ── bounds ── */

static void full_ring_counts(void **state)
{
    (void)state;
    enum { TICKS = 400 };
    BEGIN(256);
    agent_thread_begin();
    for (int i = 0; i < TICKS; i++)
        tick(1);
    agent_thread_end();
    agent_drain(symbols, &stacks, &stats);
    assert_int_equal(stats.taken, 2 * TICKS);
    assert_true(stats.lost > 0 && stats.lost < stats.taken);
    assert_int_equal(samples_with("[lost]"), stats.lost);
    assert_int_equal(samples_in_all(), stats.taken);
    end();
}

static void full_table_counts(void **state)
{
    (void)state;
    BEGIN(0);
    agent_stacks_done(&stacks);
    agent_stacks_init(&stacks, 1); /* no room at all */
    agent_thread_begin();
    tick(0);
    agent_thread_end();
    agent_drain(symbols, &stacks, &stats);
    assert_int_equal(stats.taken, 1);
    assert_int_equal(stats.lost, 1);
    end();
}

static void *ticks_once(void *arg)
{
    tick(0);
    KEEP_FRAME();
    return arg;
}

/* Threads come and go; their samples stay until the drain. */
static void hooked_threads_are_sampled(void **state)
{
    static const struct thread_hooks hooks = {agent_thread_begin, agent_thread_end};
    (void)state;
    BEGIN(0);
    thread_hooks_set(&hooks);
    for (int i = 0; i < 3; i++) {
        pthread_t t;
        assert_int_equal(thread_start(&t, "ticks", ticks_once, NULL, NULL), ST_OK);
        thread_join(t);
    }
    thread_hooks_set(NULL);
    agent_drain(symbols, &stacks, &stats);
    const struct agent_stack *s = stack_with("ticks_once");
    assert_int_equal(s->values[0], 3);
    assert_true(str_eq(name_at(s, s->n - 1), STR("thread_main")));
    end();
}

/* ── names ── */

static void names_static_functions(void **state)
{
    (void)state;
    symbols = agent_symbols_new();
    uint32_t a = agent_symbols_function(symbols, (uintptr_t)heavy + 1);
    uint32_t b = agent_symbols_function(symbols, (uintptr_t)light);
    assert_true(str_eq(agent_symbols_get(symbols, a)->name, STR("heavy")));
    assert_true(str_eq(agent_symbols_get(symbols, b)->name, STR("light")));
    assert_int_equal(agent_symbols_function(symbols, (uintptr_t)heavy), a);
    assert_int_equal(agent_symbols_function(symbols, 16), AGENT_FN_UNKNOWN);
    uint32_t libc = agent_symbols_function(symbols, (uintptr_t)dlsym(RTLD_DEFAULT, "qsort"));
    assert_true(str_contains(agent_symbols_get(symbols, libc)->name, STR("qsort")));
    agent_symbols_free(symbols);
}

struct image {
    char *p;
    size_t n;
};

static bool read_image(void *ctx, uint64_t off, void *p, size_t n)
{
    const struct image *m = ctx;
    if (off > m->n || n > m->n - off)
        return false;
    memcpy(p, m->p + off, n);
    return true;
}

/* Whatever a file says, reading it ends and stays inside. */
static void survives_damaged_files(void **state)
{
    (void)state;
    struct buf file;
    struct error err = {0};
    uint64_t seed = 1;
    buf_init(&file, 256 * MIB);
    assert_int_equal(fs_read_all(&fs_real, "/proc/self/exe", 256 * MIB, &file, &err), ST_OK);
    struct image m = {file.p, file.n};
    for (int round = 0; round < 300; round++) {
        struct arena arena;
        struct elf_symbols s = {0};
        char saved[16];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        /* Into the header, or the section headers at the end of the file. */
        size_t at = round % 2 ? (seed >> 33) % 64 : m.n - 17 - (seed >> 33) % 4096;
        memcpy(saved, m.p + at, sizeof saved);
        m.p[at] = (char)(seed >> 20);
        if (round % 3 == 0)
            memset(m.p + at, (int)(seed >> 12), 8);
        arena_init(&arena, 64 * MIB);
        enum status st = elf_symbols_read(read_image, &m, &arena, &s, &err);
        for (uint32_t i = 0; st == ST_OK && i < s.n; i++)
            assert_true(elf_symbol_name(&s, &s.v[i]).n > 0);
        (void)elf_symbols_find(&s, seed);
        arena_done(&arena);
        memcpy(m.p + at, saved, sizeof saved);
    }
    buf_done(&file);
}

/* ── pprof ── */

static const struct m_profile *encoded(
    const struct agent_kind *kind, struct arena *arena, struct buf *out)
{
    struct agent_report r = {kind, 1000, 2000, 10 * NS_PER_MS};
    struct error err = {0};
    void *p;
    assert_int_equal(agent_encode(&r, &stacks, symbols, out, &err), ST_OK);
    assert_int_equal(msg_decode_proto(&m_profile_desc, buf_view(out), arena, &p, &err), ST_OK);
    return p;
}

static struct str text(const struct m_profile *p, int64_t id)
{
    assert_true(id >= 0 && id < p->string_table.n);
    return p->string_table.v[id];
}

static void writes_pprof_with_labels(void **state)
{
    static const struct agent_label labels[] = {{"endpoint", "/cart"}, {"region", "eu"}};
    struct arena arena;
    struct buf out;
    (void)state;
    BEGIN(0);
    uint32_t id = agent_labels_add(labels, 2);
    assert_int_equal(id, 1);
    agent_thread_begin();
    agent_labels_use(id);
    outer();
    agent_labels_use(0);
    agent_thread_end();
    agent_drain(symbols, &stacks, &stats);
    arena_init(&arena, MIB);
    buf_init(&out, MIB);
    const struct m_profile *p = encoded(&agent_kind_cpu, &arena, &out);
    assert_int_equal(p->sample_type.n, 2);
    assert_true(str_eq(text(p, p->sample_type.v[1].type), STR("cpu")));
    assert_true(str_eq(text(p, p->period_type->unit), STR("nanoseconds")));
    assert_int_equal(p->time_nanos, 1000);
    assert_int_equal(p->sample.n, 1);
    const struct m_pprof_sample *s = &p->sample.v[0];
    assert_int_equal(s->value.v[1], 10 * NS_PER_MS);
    assert_int_equal(s->label.n, 2);
    assert_true(str_eq(text(p, s->label.v[1].key), STR("region")));
    assert_true(str_eq(text(p, s->label.v[1].str), STR("eu")));
    uint64_t outermost = s->location_id.v[s->location_id.n - 1];
    assert_in_range(outermost, 1, p->location.n);
    const struct m_pprof_location *l = &p->location.v[outermost - 1];
    assert_true(str_eq(text(p, p->function.v[l->line.v[0].function_id - 1].name),
        STR("writes_pprof_with_labels")));
    buf_done(&out);
    arena_done(&arena);
    end();
}

/* ── counters ── */

static NOINLINE void *allocates(size_t n)
{
    void *p = agent_heap_alloc(n);
    assert_non_null(p);
    KEEP_FRAME();
    return p;
}

static void counts_memory_exactly(void **state)
{
    (void)state;
    BEGIN(0);
    agent_counters_init();
    agent_thread_begin();
    void *a = allocates(1000), *b = allocates(24);
    agent_heap_free(a);
    agent_heap_report(symbols, &stacks);
    const struct agent_stack *s = stack_with("allocates");
    assert_true(str_eq(name_at(s, 0), STR("allocates")));
    assert_true(has_frame(s, "counts_memory_exactly"));
    const int64_t want[] = {2, 1024, 1, 24};
    int64_t got[4] = {0};
    for (uint32_t i = 0; i < stacks.list.n; i++)
        for (int k = 0; k < 4; k++)
            got[k] += stacks.list.v[i].values[k];
    assert_memory_equal(got, want, sizeof want);
    agent_heap_free(b);
    agent_stacks_clear(&stacks);
    agent_heap_report(symbols, &stacks);
    for (uint32_t i = 0; i < stacks.list.n; i++)
        for (int k = 0; k < 4; k++)
            assert_int_equal(stacks.list.v[i].values[k], 0);
    agent_thread_end();
    agent_counters_done();
    end();
}

static struct agent_mutex shared;
static const int64_t held_ns = 100 * NS_PER_MS;

static void *waits_for_it(void *arg)
{
    agent_mutex_lock(&shared);
    agent_mutex_unlock(&shared);
    return arg;
}

static void counts_waits(void **state)
{
    static const struct thread_hooks hooks = {agent_thread_begin, agent_thread_end};
    pthread_t t;
    (void)state;
    BEGIN(0);
    agent_counters_init();
    agent_mutex_init(&shared, "shared", RANK_SERVER);
    thread_hooks_set(&hooks);
    waits_for_it(NULL); /* free: no wait */
    agent_mutex_lock(&shared);
    assert_int_equal(thread_start(&t, "waits", waits_for_it, NULL, NULL), ST_OK);
    while (atomic_load(&shared.users) < 2)
        sched_yield();
    for (int64_t until = clock_mono_ns() + held_ns; clock_mono_ns() < until;)
        sched_yield();
    agent_mutex_unlock(&shared);
    thread_join(t);
    thread_hooks_set(NULL);
    agent_mutex_report(symbols, &stacks);
    const struct agent_stack *s = stack_with("waits_for_it");
    assert_true(str_eq(name_at(s, 0), STR("waits_for_it")));
    assert_int_equal(s->values[0], 1);
    assert_true(s->values[1] > held_ns / 4);
    agent_mutex_done(&shared);
    agent_counters_done();
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_true),
        cmocka_unit_test(stacks_are_whole),
        cmocka_unit_test(walks_through_libraries),
        cmocka_unit_test(deep_stacks_are_marked),
        cmocka_unit_test(leaves_have_callers),
        cmocka_unit_test(full_ring_counts),
        cmocka_unit_test(full_table_counts),
        cmocka_unit_test(hooked_threads_are_sampled),
        cmocka_unit_test(names_static_functions),
        cmocka_unit_test(survives_damaged_files),
        cmocka_unit_test(writes_pprof_with_labels),
        cmocka_unit_test(counts_memory_exactly),
        cmocka_unit_test(counts_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
