/* See agent.h.
 *
 *     timer of a thread ─SIGPROF─► on_tick, on that thread: unwind ─► its ring
 *     agent_drain, on one other thread: rings ─► functions ─► stacks
 *
 * The timer runs on the CPU clock of its thread, so a tick is 1/hz s of CPU time, and ticks that
 * came while one was pending are counted (the overrun) and added to its weight: the sum of weights
 * is the CPU time, whatever the kernel's own tick is.
 *
 * Invariants:
 * 1. on_tick touches only its own thread: `current` and what it points to. No locks, no malloc,
 *    errno is kept. A signal that is still under way when the thread has ended finds no `current`.
 * 2. A thread's ring lives until a drain after the thread's end has emptied it.
 * 3. The list of threads is under `lock`; label sets are written under it before their id is given
 *    out.
 *
 * Failure: a thread that gets no timer runs unsampled and is counted. */
#include "agents/core/agent.h"

#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "agents/core/agent_int.h"
#include "agents/core/ring_int.h"
#include "base/mem.h"
#include "base/thread.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#if defined(__x86_64__) && !defined(UNDER_TSAN)
#define CAN_SAMPLE 1
#else
#define CAN_SAMPLE 0
#endif

enum { RING_WORDS = 8192, RECORD_WORDS = 256 };
_Static_assert(AGENT_FRAMES_MAX + 1 <= RECORD_WORDS && AGENT_LABEL_SETS_MAX <= 65536, "ring_head");

struct agent_thread {
    struct agent_thread *next;
    struct ring ring;
    struct unwind_area area;
    timer_t timer;
    uint32_t labels; /* of this thread alone */
    atomic_bool ended;
    uint64_t lost_seen; /* by the drain */
};

struct label_set {
    struct agent_label v[AGENT_LABELS_MAX];
    uint32_t n;
};

static struct {
    atomic_bool running;
    struct mutex lock;
    uint32_t hz, ring_words;
    uintptr_t text_lo, text_hi;
    struct agent_thread *threads;
    uint32_t n_threads;
    uint64_t missed; /* threads without a timer */
    struct label_set sets[AGENT_LABEL_SETS_MAX];
    _Atomic uint32_t n_sets;
} agent;

/* Found without a call, as a handler must. */
static
    __attribute__((tls_model("initial-exec"))) _Thread_local struct agent_thread *volatile current;

/* ── on the sampled thread ── */

AGENT_IN_SIGNAL static void take_sample(
    struct agent_thread *t, const ucontext_t *at, uint32_t weight)
{
#if CAN_SAMPLE
    uint64_t record[1 + AGENT_FRAMES_MAX];
    struct unwound how = {.called = false};
    const greg_t *r = at->uc_mcontext.gregs;
    uint32_t n = unwind(&t->area, (uintptr_t)r[REG_RIP], (uintptr_t)r[REG_RBP],
        (uintptr_t)r[REG_RSP], record + 1, AGENT_FRAMES_MAX, &how);
    record[0] = ring_head(n, how.end, how.maybe, t->labels, weight);
    ring_put(&t->ring, record, n + 1);
#else
    (void)t, (void)at, (void)weight;
#endif
}

AGENT_IN_SIGNAL static void on_tick(int sig, siginfo_t *info, void *context)
{
    struct agent_thread *t = current;
    int saved = errno;
    (void)sig;
    if (t && info->si_code == SI_TIMER)
        take_sample(t, context, 1u + (info->si_overrun > 0 ? (uint32_t)info->si_overrun : 0));
    errno = saved;
}

uint32_t agent_stack_here(uint64_t *ret_frames, uint32_t max, enum unwind_end *ret_end)
{
    struct agent_thread *t = current;
    struct unwound how = {.called = true};
    uint32_t n = 0;
#if CAN_SAMPLE
    const uintptr_t *caller = *(uintptr_t **)__builtin_frame_address(0); /* frame: fp, return */
    if (t)
        n = unwind(&t->area, caller[1], caller[0], (uintptr_t)(caller + 2), ret_frames, max, &how);
#endif
    (void)t, (void)max, (void)ret_frames;
    *ret_end = how.end;
    return n;
}

/* ── threads ── */

static bool find_stack(struct unwind_area *a)
{
    pthread_attr_t attr;
    void *lo;
    size_t bytes;
    if (pthread_getattr_np(pthread_self(), &attr) != 0)
        return false;
    bool good = pthread_attr_getstack(&attr, &lo, &bytes) == 0;
    pthread_attr_destroy(&attr);
    if (!good)
        return false;
    a->stack_lo = (uintptr_t)lo;
    a->stack_hi = (uintptr_t)lo + bytes;
    return true;
}

static bool start_timer(struct agent_thread *t)
{
    struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF};
    ev._sigev_un._tid = gettid();
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &t->timer) != 0)
        return false;
    struct timespec period = {0, (long)(NS_PER_S / agent.hz)};
    if (agent.hz == 1)
        period = (struct timespec){1, 0};
    struct itimerspec spec = {period, period};
    if (timer_settime(t->timer, 0, &spec, NULL) == 0)
        return true;
    timer_delete(t->timer);
    return false;
}

static void mask_ticks(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPROF);
    pthread_sigmask(how, &set, NULL);
}

static void thread_free(struct agent_thread *t)
{
    ring_done(&t->ring);
    mem_free(t);
}

static struct agent_thread *thread_new(uintptr_t root_fp)
{
    struct agent_thread *t = NEW(struct agent_thread);
    t->area = (struct unwind_area){
        .root_fp = root_fp, .text_lo = agent.text_lo, .text_hi = agent.text_hi};
    ring_init(&t->ring, agent.ring_words);
    current = t;
    if (find_stack(&t->area) && start_timer(t))
        return t;
    current = NULL;
    thread_free(t);
    return NULL;
}

__attribute__((noinline)) void agent_thread_begin(void)
{
    if (!atomic_load(&agent.running) || current)
        return;
    /* Our own frame keeps the caller's frame pointer. */
    struct agent_thread *t = thread_new(*(uintptr_t *)__builtin_frame_address(0));
    mutex_lock(&agent.lock);
    if (t && agent.n_threads < AGENT_THREADS_MAX) {
        t->next = agent.threads;
        agent.threads = t;
        agent.n_threads++;
        mutex_unlock(&agent.lock);
        mask_ticks(SIG_UNBLOCK);
        return;
    }
    agent.missed++;
    mutex_unlock(&agent.lock);
    if (t) {
        current = NULL;
        timer_delete(t->timer);
        thread_free(t);
    }
}

void agent_thread_end(void)
{
    struct agent_thread *t = current;
    if (!t)
        return;
    mask_ticks(SIG_BLOCK);
    timer_delete(t->timer);
    current = NULL;
    atomic_store(&t->ended, true);
}

/* ── labels ── */

uint32_t agent_labels_add(const struct agent_label *labels, uint32_t n)
{
    if (!atomic_load(&agent.running) || n > AGENT_LABELS_MAX)
        return 0;
    mutex_lock(&agent.lock);
    uint32_t id = atomic_load(&agent.n_sets) + 1;
    if (id < AGENT_LABEL_SETS_MAX) {
        memcpy(agent.sets[id].v, labels, n * sizeof *labels);
        agent.sets[id].n = n;
        atomic_store(&agent.n_sets, id);
    }
    mutex_unlock(&agent.lock);
    return id < AGENT_LABEL_SETS_MAX ? id : 0;
}

uint32_t agent_labels_get(uint32_t id, const struct agent_label **ret_labels)
{
    if (id == 0 || id > atomic_load(&agent.n_sets))
        return 0;
    *ret_labels = agent.sets[id].v;
    return agent.sets[id].n;
}

void agent_labels_use(uint32_t id)
{
    struct agent_thread *t = current;
    if (t)
        t->labels = id;
}

uint32_t agent_labels_now(void)
{
    struct agent_thread *t = current;
    return t ? t->labels : 0;
}

/* ── start and stop ── */

/* The first object is the executable. */
static int find_text(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size, (void)ctx;
    agent.text_lo = UINTPTR_MAX;
    agent.text_hi = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type != PT_LOAD || !(ph->p_flags & PF_X))
            continue;
        agent.text_lo = MIN(agent.text_lo, info->dlpi_addr + ph->p_vaddr);
        agent.text_hi = MAX(agent.text_hi, info->dlpi_addr + ph->p_vaddr + ph->p_memsz);
    }
    return 1;
}

enum status agent_start(const struct agent_config *cfg, struct error *err)
{
    ASSERT(!atomic_load(&agent.running));
    if (!CAN_SAMPLE)
        FAIL(err, ST_UNIMPLEMENTED, "this build cannot sample itself");
    agent.hz = cfg->hz ? cfg->hz : AGENT_HZ;
    agent.ring_words = cfg->ring_words ? cfg->ring_words : RING_WORDS;
    agent.missed = 0;
    atomic_store(&agent.n_sets, 0);
    mutex_init(&agent.lock, "agent", RANK_AGENT);
    dl_iterate_phdr(find_text, NULL);
    /* Restarted system calls: a tick must not be seen by the code it interrupts. */
    struct sigaction sa = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigfillset(&sa.sa_mask);
    if (sigaction(SIGPROF, &sa, NULL) != 0)
        FAIL_ERRNO(err, ST_UNAVAILABLE, "cannot handle SIGPROF");
    atomic_store(&agent.running, true);
    return ST_OK;
}

void agent_stop(void)
{
    if (!atomic_load(&agent.running))
        return;
    atomic_store(&agent.running, false);
    for (struct agent_thread *t = agent.threads, *next; t; t = next) {
        next = t->next;
        ASSERT(atomic_load(&t->ended));
        thread_free(t);
    }
    agent.threads = NULL;
    agent.n_threads = 0;
    mutex_done(&agent.lock);
}

bool agent_running(void)
{
    return atomic_load(&agent.running);
}

/* ── on the thread that drains ── */

static void add(struct agent_stacks *into, uint32_t at, uint64_t weight)
{
    into->list.v[at].values[0] += (int64_t)weight;
    into->list.v[at].values[1] += (int64_t)weight * (NS_PER_S / agent.hz);
}

static void add_lost(struct agent_stacks *into, uint64_t weight, struct agent_stats *stats)
{
    static const uint64_t lost[] = {AGENT_FN_LOST};
    if (weight == 0)
        return;
    stats->lost += weight;
    uint32_t at = agent_stacks_find(into, lost, 1, 0);
    if (at != UINT32_MAX)
        add(into, at, weight);
}

uint32_t agent_name_frames(struct agent_symbols *symbols, const uint64_t *pcs, uint32_t n,
    struct unwound how, uint64_t *ret_functions)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i == 1 && how.maybe &&
            !agent_symbols_get(symbols, (uint32_t)ret_functions[0])->frameless)
            continue;
        ret_functions[kept++] = agent_symbols_function(
            symbols, pcs[i] - (i > 0 || how.called ? 1 : 0));
    }
    if (how.end != UNWIND_COMPLETE)
        ret_functions[kept++] = how.end == UNWIND_TRUNCATED ? AGENT_FN_TRUNCATED
                                                            : AGENT_FN_INCOMPLETE;
    return kept;
}

static void drain_record(struct agent_symbols *symbols, struct agent_stacks *into,
    const uint64_t *record, struct agent_stats *stats)
{
    uint64_t functions[AGENT_FRAMES_MAX + 1];
    uint32_t n = record[0] & 0xFF, weight = (uint32_t)(record[0] >> 32);
    ASSERT(n <= AGENT_FRAMES_MAX);
    struct unwound how = {
        .end = (enum unwind_end)(record[0] >> 8 & 0x7F), .maybe = record[0] >> 15 & 1};
    n = agent_name_frames(symbols, record + 1, n, how, functions);
    uint32_t at = agent_stacks_find(into, functions, n, record[0] >> 16 & 0xFFFF);
    stats->taken += weight;
    if (at == UINT32_MAX)
        add_lost(into, weight, stats);
    else
        add(into, at, weight);
}

static void drain_thread(struct agent_symbols *symbols, struct agent_stacks *into,
    struct agent_thread *t, struct agent_stats *stats)
{
    uint64_t record[RECORD_WORDS];
    while (ring_take(&t->ring, record))
        drain_record(symbols, into, record, stats);
    uint64_t lost = atomic_load(&t->ring.lost);
    stats->taken += lost - t->lost_seen;
    add_lost(into, lost - t->lost_seen, stats);
    t->lost_seen = lost;
}

void agent_drain(
    struct agent_symbols *symbols, struct agent_stacks *into, struct agent_stats *stats)
{
    if (!atomic_load(&agent.running))
        return;
    mutex_lock(&agent.lock);
    for (struct agent_thread **at = &agent.threads; *at;) {
        struct agent_thread *t = *at;
        bool ended = atomic_load(&t->ended); /* before the last records are taken */
        drain_thread(symbols, into, t, stats);
        if (ended) {
            *at = t->next;
            agent.n_threads--;
            thread_free(t);
        } else {
            at = &t->next;
        }
    }
    stats->threads = agent.missed;
    mutex_unlock(&agent.lock);
}
