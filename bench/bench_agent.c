/* What profiling ourselves costs: the time of one tick (kernel, handler, walk, ring), of draining
 * it, and the share of a busy thread that both are at 100 Hz.
 *
 *     bench_agent          depth of the stack: 8, 32, 100
 */
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agents/core/agent.h"
#include "base/clock.h"

enum { TICKS = 200, ROUNDS = 200 };

struct costs {
    int64_t tick_ns, call_ns, drain_ns, n;
};

static void send(int code)
{
    siginfo_t info = {.si_signo = SIGPROF, .si_code = code};
    (void)syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGPROF, &info);
}

/* The same system call with nothing to deliver, to be taken off. */
static void send_nothing(void)
{
    siginfo_t info = {.si_code = SI_TIMER};
    (void)syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), 0, &info);
}

static __attribute__((noinline)) void at_depth(uint32_t depth, struct costs *c)
{
    if (depth > 0) {
        at_depth(depth - 1, c);
        __asm__ volatile("" ::: "memory");
        return;
    }
    int64_t t0 = clock_cpu_ns();
    for (int i = 0; i < TICKS; i++)
        send(SI_TIMER);
    int64_t t1 = clock_cpu_ns();
    for (int i = 0; i < TICKS; i++)
        send_nothing();
    c->tick_ns += t1 - t0;
    c->call_ns += clock_cpu_ns() - t1;
    c->n += TICKS;
}

int main(void)
{
    static const uint32_t depths[] = {8, 32, 100};
    struct agent_config cfg = {.ring_words = 1 << 16};
    struct agent_stats stats = {0};
    struct agent_stacks stacks;
    struct error err = {0};
    if (agent_start(&cfg, &err) != ST_OK) {
        fprintf(stderr, "bench_agent: %s\n", err.msg);
        return 1;
    }
    struct agent_symbols *symbols = agent_symbols_new();
    agent_stacks_init(&stacks, 16 * MIB);
    agent_thread_begin();
    for (size_t i = 0; i < ARRAY_LEN(depths); i++) {
        struct costs c = {0};
        for (int round = 0; round < ROUNDS; round++) {
            at_depth(depths[i], &c);
            int64_t t = clock_cpu_ns();
            agent_drain(symbols, &stacks, &stats);
            c.drain_ns += clock_cpu_ns() - t;
        }
        double tick = (double)(c.tick_ns - c.call_ns) / (double)c.n;
        double drain = (double)c.drain_ns / (double)c.n;
        printf("depth %3u: %5.0f ns a tick, %5.0f ns to drain it: %.3f %% of a busy thread at 100 "
               "Hz\n",
            depths[i], tick, drain, (tick + drain) * 100 / 1e9 * 100);
    }
    agent_thread_end();
    printf(
        "taken %llu, lost %llu\n", (unsigned long long)stats.taken, (unsigned long long)stats.lost);
    agent_drain(symbols, &stacks, &stats);
    agent_stacks_done(&stacks);
    agent_symbols_free(symbols);
    agent_stop();
    return 0;
}
