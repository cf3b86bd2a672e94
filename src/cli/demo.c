/* `everflame demo`: a service to look at, within seconds of starting a server.
 *
 *     record release 1.4.0, 1.5.0 (a rush) ─► replay as the last 30 minutes ─► push
 *     shop at its normal pace ─► every second drain, every 5 s push; every 4 minutes a release
 *
 * The history is made of samples that were really taken, a few seconds before, of the same code: it
 * is replayed with older times and at the rate of the normal pace. What follows is live.
 *
 * Labels: version on the series; endpoint and region on the samples. A release changes what is
 * slow, so that a comparison of two has something to show (demo_shop.c).
 *
 * Runs until SIGINT or SIGTERM, which it waits for with sigtimedwait: they are blocked in every
 * thread. Thread: one, beside those of the shop. Failure: to begin with, a sentence and exit
 * code 1. Later the server may be away for a while: that is said once, and what could not be sent
 * is dropped. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "agents/core/counters.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/demo.h"
#include "cli/demo_shop.h"

#define STEP_NS (10 * NS_PER_S)
#define DRAIN_NS NS_PER_S
#define PUSH_NS (5 * NS_PER_S)
#define RELEASE_NS (240 * NS_PER_S)
#define RECORD_NS (3 * NS_PER_S)

enum {
    STEPS = 180, /* of history: half an hour */
    STEPS_PER_REQUEST = 15,
    CACHE_STEPS = 7, /* until the cache is emptied */
    RELEASES = 2,
    FIRST_RELEASE = 4,
    STACK_BYTES_MAX = 8 << 20,
    TIME_BYTES = 32,
};
_Static_assert(STEPS_PER_REQUEST *DEMO_KINDS <= DEMO_BATCH_MAX, "a request of history");

struct demo {
    struct cli *c;
    struct shop *shop;
    struct agent_symbols *symbols;
    struct demo_recording now; /* since the last push */
    struct demo_recording recorded[RELEASES];
    struct agent_stacks scratch;
    struct agent_stats stats;
    struct demo_batch batch;
    int64_t start_ns;       /* where history ends */
    int64_t since_ns;       /* where `now` begins */
    int64_t due_release_ns; /* monotonic */
    uint32_t release;
    bool away; /* the server, and it was said */
    bool stop; /* a signal came */
};

/* ── small things ── */

static void recording_init(struct demo_recording *r)
{
    for (uint32_t k = 0; k < DEMO_KINDS; k++)
        agent_stacks_init(&r->kinds[k], STACK_BYTES_MAX);
}

static void recording_done(struct demo_recording *r)
{
    for (uint32_t k = 0; k < DEMO_KINDS; k++)
        agent_stacks_done(&r->kinds[k]);
}

static void recording_clear(struct demo_recording *r)
{
    for (uint32_t k = 0; k < DEMO_KINDS; k++)
        agent_stacks_clear(&r->kinds[k]);
}

/* Text at once, not at the end as other commands: this one has no end. */
static enum status say(struct demo *d)
{
    struct buf *out = &d->c->out;
    size_t n = fwrite(buf_view(out).p, 1, out->n, stdout);
    if (n != out->n || fflush(stdout) != 0)
        FAIL_ERRNO(&d->c->err, ST_INTERNAL, "cannot write the output");
    buf_clear(out);
    return ST_OK;
}

/* Sleeps until the monotonic time, or a signal to stop. */
static void wait_until(struct demo *d, int64_t mono_ns)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    while (!d->stop) {
        int64_t left = MAX(mono_ns - clock_mono_ns(), 0);
        struct timespec ts = {left / NS_PER_S, left % NS_PER_S};
        if (sigtimedwait(&set, NULL, &ts) > 0)
            d->stop = true;
        else if (errno == EAGAIN)
            return;
    }
}

static void drain(struct demo *d, struct demo_recording *into)
{
    agent_drain(d->symbols, &into->kinds[DEMO_CPU], &d->stats);
}

static void report_counters(struct demo *d, struct demo_recording *into)
{
    agent_heap_report(d->symbols, &into->kinds[DEMO_HEAP]);
    agent_mutex_report(d->symbols, &into->kinds[DEMO_MUTEX]);
}

/* ── history ── */

static enum status record(struct demo *d, uint32_t index)
{
    struct demo_recording *r = &d->recorded[index];
    int64_t until = clock_mono_ns() + RECORD_NS;
    shop_set_release(d->shop, FIRST_RELEASE + index);
    enum status st = shop_rush(d->shop, &d->c->err);
    while (st == ST_OK && !d->stop && clock_mono_ns() < until) {
        wait_until(d, MIN(until, clock_mono_ns() + DRAIN_NS / 2));
        drain(d, r);
    }
    shop_close(d->shop);
    drain(d, r);
    report_counters(d, r);
    TRY(st);
    if (demo_recording_samples(r) == 0 && !d->stop)
        FAIL(&d->c->err, ST_UNAVAILABLE, "no samples were taken: is the machine very busy?");
    return ST_OK;
}

static int64_t step_time(const struct demo *d, uint32_t step)
{
    return d->start_ns - (STEPS - (int64_t)step) * STEP_NS;
}

static uint32_t step_release(uint32_t step)
{
    return step / (STEPS / RELEASES);
}

static enum status add_step(struct demo *d, uint32_t step, uint64_t *random)
{
    uint32_t index = step_release(step);
    const struct demo_recording *r = &d->recorded[index];
    /* Some hours are busier than others: 90 to 110 % of the normal pace, and back. */
    double busy = 0.9 + 0.01 * (step % 40 < 20 ? step % 20 : 20 - step % 20);
    double samples = shop_cores(FIRST_RELEASE + index) * AGENT_HZ * STEP_NS / NS_PER_S * busy;
    struct demo_replay how = {.scale = samples / (double)demo_recording_samples(r),
        .age = step % CACHE_STEPS + 1,
        .random = *random};
    for (uint32_t k = 0; k < DEMO_KINDS; k++) {
        struct demo_profile p = {.kind = (enum demo_kind)k,
            .stacks = &d->scratch,
            .release = FIRST_RELEASE + index,
            .time_ns = step_time(d, step),
            .duration_ns = STEP_NS};
        if (!demo_replay(r, p.kind, &how, &d->scratch))
            return cli_no_memory(d->c);
        TRY(demo_batch_add(d->c, &d->batch, &p, d->symbols));
    }
    *random = how.random;
    return ST_OK;
}

static enum status push_history(struct demo *d)
{
    uint64_t random = (uint64_t)d->start_ns | 1;
    for (uint32_t step = 0; step < STEPS && !d->stop; step++) {
        TRY(add_step(d, step, &random));
        if ((step + 1) % STEPS_PER_REQUEST == 0 || step + 1 == STEPS)
            TRY(demo_batch_send(d->c, &d->batch));
        wait_until(d, 0);
    }
    return ST_OK;
}

static void put_time(struct buf *out, int64_t wall_ns)
{
    char text[TIME_BYTES];
    clock_format_ms(wall_ns, text);
    buf_printf(out, "%.19sZ", text);
}

/* Where the reader's commands must go, when it is not where they go by default. */
static void put_server(struct demo *d)
{
    if (opt_has(d->c, OPT_URL))
        buf_printf(&d->c->out, " --url %.*s", STR_ARG(http_url(d->c->http)));
    if (opt_has(d->c, OPT_TENANT_ID))
        buf_printf(&d->c->out, " --tenant-id %.*s", STR_ARG(opt_get(d->c, OPT_TENANT_ID)));
    buf_byte(&d->c->out, '\n');
}

static void put_range(struct demo *d, const char *option, uint32_t index)
{
    buf_printf(&d->c->out, " --%s ", option);
    put_time(&d->c->out, step_time(d, index * (STEPS / RELEASES)));
    buf_str(&d->c->out, STR(".."));
    put_time(&d->c->out, step_time(d, (index + 1) * (STEPS / RELEASES)));
}

static enum status explain(struct demo *d)
{
    struct buf *out = &d->c->out;
    buf_printf(out, "service shop: 30 minutes of history pushed to %.*s; version 1.%d.0 until ",
        STR_ARG(http_url(d->c->http)), FIRST_RELEASE);
    put_time(out, step_time(d, STEPS / RELEASES));
    buf_printf(
        out, ", 1.%d.0 since\ntype next:\n  everflame flame --service shop", FIRST_RELEASE + 1);
    put_server(d);
    buf_str(out, STR("  everflame diff --service shop"));
    put_range(d, "before", 0);
    put_range(d, "after", 1);
    put_server(d);
    buf_str(out, STR("  everflame top --service shop --type lock"));
    put_server(d);
    buf_str(out, STR("  everflame series --service shop --by endpoint"));
    put_server(d);
    return say(d);
}

/* ── live ── */

static enum status push_now(struct demo *d)
{
    int64_t now = clock_wall_ns();
    enum status st = ST_OK;
    drain(d, &d->now);
    report_counters(d, &d->now);
    for (uint32_t k = 0; k < DEMO_KINDS && st == ST_OK; k++) {
        struct demo_profile p = {.kind = (enum demo_kind)k,
            .stacks = &d->now.kinds[k],
            .release = d->release,
            .time_ns = d->since_ns,
            .duration_ns = MAX(now - d->since_ns, 0)};
        st = demo_batch_add(d->c, &d->batch, &p, d->symbols);
    }
    if (st == ST_OK)
        st = demo_batch_send(d->c, &d->batch);
    recording_clear(&d->now);
    d->since_ns = now;
    return st;
}

/* As push_now; a server that is away is waited for. */
static void push_or_complain(struct demo *d)
{
    enum status st = push_now(d);
    if (st != ST_OK && !d->away)
        fprintf(
            stderr, "everflame demo: %s; going on, what is not sent is dropped\n", d->c->err.msg);
    if (st == ST_OK && d->away)
        fprintf(stderr, "everflame demo: the server takes profiles again\n");
    d->away = st != ST_OK;
}

static enum status next_release(struct demo *d)
{
    push_or_complain(d); /* what belongs to the old one */
    d->release++;
    shop_set_release(d->shop, d->release);
    d->due_release_ns += RELEASE_NS;
    buf_printf(&d->c->out, "release 1.%u.0 at ", d->release);
    put_time(&d->c->out, d->since_ns);
    buf_str(&d->c->out, STR(": compare with\n  everflame diff --service shop --since 4m --at "));
    put_time(&d->c->out, d->since_ns);
    put_server(d);
    return say(d);
}

static enum status serve(struct demo *d, bool once)
{
    int64_t due_drain = clock_mono_ns() + DRAIN_NS, due_push = due_drain + PUSH_NS - DRAIN_NS;
    d->due_release_ns = clock_mono_ns() + RELEASE_NS;
    TRY(shop_open(d->shop, &d->c->err));
    for (;;) {
        wait_until(d, due_drain);
        if (d->stop || once)
            break;
        drain(d, &d->now);
        due_drain += DRAIN_NS;
        if (clock_mono_ns() < due_push)
            continue;
        if (clock_mono_ns() >= d->due_release_ns)
            TRY(next_release(d));
        else
            push_or_complain(d);
        due_drain = MAX(due_drain, clock_mono_ns());
        due_push = MAX(due_push + PUSH_NS, due_drain);
    }
    shop_close(d->shop);
    return push_now(d);
}

/* Rather than after the recording. */
static enum status check_server(struct cli *c)
{
    struct http_answer a;
    TRY(http_send(c->http, "/ready", NULL, STR_EMPTY, &c->arena, &a, &c->err));
    return a.status == 200 ? ST_OK : client_refused(c, &a);
}

static enum status run(struct demo *d, bool once)
{
    struct cli *c = d->c;
    TRY(check_server(c));
    d->shop = shop_new(FIRST_RELEASE);
    buf_printf(&c->out, "recording two releases of a pretend shop for %d s …\n",
        (int)(RELEASES * RECORD_NS / NS_PER_S));
    TRY(say(d));
    for (uint32_t i = 0; i < RELEASES && !d->stop; i++)
        TRY(record(d, i));
    if (d->stop)
        return ST_OK;
    d->start_ns = clock_wall_ns() / NS_PER_S * NS_PER_S;
    d->since_ns = d->start_ns;
    d->release = FIRST_RELEASE + RELEASES - 1;
    TRY(push_history(d));
    if (d->stop)
        return ST_OK;
    TRY(explain(d));
    if (!once) {
        buf_str(&c->out, STR("the shop is open and pushes every 5 s; ^C ends it\n"));
        TRY(say(d));
    }
    return serve(d, once);
}

static void demo_init(struct demo *d, struct cli *c)
{
    *d = (struct demo){.c = c};
    d->symbols = agent_symbols_new();
    recording_init(&d->now);
    for (uint32_t i = 0; i < RELEASES; i++)
        recording_init(&d->recorded[i]);
    agent_stacks_init(&d->scratch, STACK_BYTES_MAX);
    demo_batch_init(&d->batch);
    agent_counters_init();
}

static void demo_done(struct demo *d)
{
    shop_free(d->shop);
    agent_counters_done();
    demo_batch_done(&d->batch);
    agent_stacks_done(&d->scratch);
    for (uint32_t i = 0; i < RELEASES; i++)
        recording_done(&d->recorded[i]);
    recording_done(&d->now);
    agent_symbols_free(d->symbols);
}

enum status cmd_demo(struct cli *c)
{
    static const struct thread_hooks hooks = {agent_thread_begin, agent_thread_end};
    static const struct agent_config cfg = {.hz = AGENT_HZ};
    struct demo *d = NEW(struct demo);
    sigset_t set;
    enum status st = agent_start(&cfg, &c->err);
    if (st != ST_OK) {
        mem_free(d);
        return st;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    thread_hooks_set(&hooks);
    demo_init(d, c);
    st = run(d, opt_has(c, OPT_ONCE));
    demo_done(d);
    thread_hooks_set(NULL);
    agent_stop();
    mem_free(d);
    return st;
}
