/* Writes a data directory as if services had been profiled for a month.
 *
 *     generate --dir DIR [--days 30] [--services 9] [--first 0] [--end SECONDS] [--seed 1]
 *              [--interval 10] [--batch 360]
 *
 * DIR is empty or absent. Every service sends one upload per interval (seconds) from `days` before
 * the end up to the end (default: the last whole hour). Services are numbered from --first on; of
 * nine seven are small (java-rfc-N) and two busy (java-spring-N); what they send is synth.c.
 *
 *     hour by hour: synth_upload ─► store_append ─► … ─► store_cut ─► expected totals
 *
 * Nothing goes through HTTP or JFR: rows are made in memory and handed to the store, which interns,
 * logs, publishes and cuts as in a server, but for two things. The store's file layer does not sync
 * (a generated directory is worth nothing after a power cut, it is made again), and N = --batch
 * consecutive uploads of a service, at most an hour of them, are one append: they share their
 * symbols and their sequence number, so the store looks a stack up once for N uploads. What is
 * stored is the same but for those numbers; with --batch 1 four times the CPU is spent, nearly all
 * of it on interning: every upload names some 2,500 stacks of 50 frames and 5,000 functions anew.
 *
 * On stdout, per service, hour and profile type: the total that was put in, the same of the pods in
 * zone "a", and the number of uploads; one line of JSON each. It is an independent truth: the sums
 * are made before the store sees a sample. On stderr: progress, and what took how long.
 *
 * Threads: this one and the store's committer, which counts down what is under way. A failure ends
 * the program. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "synth.h"

enum { SERVICES_MAX = 10000, UNDER_WAY_MAX = 256, BATCH_MAX = 360 };
#define HOUR_NS (3600 * NS_PER_S)

struct plan {
    const char *dir;
    uint64_t days, services, first, interval_s, end_s, seed, batch;
};

struct generate {
    struct plan plan;
    struct store *store;
    struct synth **services;
    struct mutex lock;
    struct cond wake;
    uint32_t under_way;        /* lock: appended, not yet in the log */
    enum status failed;        /* lock */
    struct error why;          /* lock */
    uint64_t uploads, samples; /* so far */
    int64_t make_ns, append_ns, cut_ns;
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "generate: %s\n", what);
    exit(1);
}

static int no_sync_file(struct fs *fs, struct fs_file *f)
{
    (void)fs;
    (void)f;
    return 0;
}

static int no_sync_dir(struct fs *fs, const char *path)
{
    (void)fs;
    (void)path;
    return 0;
}

static void count_entry(void *ctx, const char *name, bool is_dir)
{
    (void)name;
    (void)is_dir;
    ++*(uint32_t *)ctx;
}

static void appended(void *ctx, enum status st, const struct error *err)
{
    struct generate *g = ctx;
    mutex_lock(&g->lock);
    g->under_way--;
    if (st != ST_OK && g->failed == ST_OK) {
        g->failed = st;
        g->why = *err;
    }
    cond_signal(&g->wake);
    mutex_unlock(&g->lock);
}

/* Until fewer than `most` appends are under way. */
static void await(struct generate *g, uint32_t most)
{
    mutex_lock(&g->lock);
    while (g->under_way >= most)
        cond_wait(&g->wake, &g->lock);
    bool failed = g->failed != ST_OK;
    mutex_unlock(&g->lock);
    if (failed)
        die(g->why.msg);
}

/* The uploads of one service in [from, until), all in one hour, as one append. */
static void put(struct generate *g, uint32_t service, int64_t from_ns, int64_t until_ns)
{
    struct synth *y = g->services[service];
    int64_t interval_ns = (int64_t)g->plan.interval_s * NS_PER_S, begun = clock_mono_ns();
    struct error err;
    uint32_t n;
    synth_clear(y);
    for (int64_t at = from_ns; at < until_ns; at += interval_ns) {
        synth_upload(y, at + (int64_t)((g->plan.first + service) % g->plan.interval_s) * NS_PER_S);
        g->uploads++;
    }
    const struct store_row *rows = synth_rows(y, &n);
    g->make_ns += clock_mono_ns() - begun;
    await(g, UNDER_WAY_MAX);
    mutex_lock(&g->lock);
    g->under_way++;
    mutex_unlock(&g->lock);
    begun = clock_mono_ns();
    if (store_append(g->store, STR("anonymous"), rows, n, appended, g, &err) != ST_OK)
        die(err.msg);
    g->append_ns += clock_mono_ns() - begun;
}

static void print_sums(struct generate *g, uint32_t service, int64_t hour_ns, uint64_t uploads)
{
    uint32_t n;
    const struct synth_sum *sums = synth_sums(g->services[service], &n);
    for (uint32_t i = 0; i < n; i++) {
        printf("{\"service\": \"%.*s\", \"type\": \"%s\", \"hour_s\": %lld, \"total\": %lld, "
               "\"zone_a\": %lld, \"uploads\": %llu}\n",
            STR_ARG(synth_name(g->services[service])), sums[i].type,
            (long long)(hour_ns / NS_PER_S), (long long)sums[i].total, (long long)sums[i].zone_a,
            (unsigned long long)uploads);
        g->samples += sums[i].samples;
    }
    synth_sums_clear(g->services[service]);
}

static void hour(struct generate *g, int64_t hour_ns)
{
    int64_t interval_ns = (int64_t)g->plan.interval_s * NS_PER_S;
    int64_t step_ns = interval_ns * (int64_t)g->plan.batch;
    struct error err;
    for (int64_t at = hour_ns; at < hour_ns + HOUR_NS; at += step_ns)
        for (uint32_t i = 0; i < g->plan.services; i++)
            put(g, i, at, MIN(at + step_ns, hour_ns + HOUR_NS));
    await(g, 1);
    int64_t begun = clock_mono_ns();
    if (store_cut(g->store, "hour", &err) != ST_OK)
        die(err.msg);
    g->cut_ns += clock_mono_ns() - begun;
    for (uint32_t i = 0; i < g->plan.services; i++)
        print_sums(g, i, hour_ns, 3600 / g->plan.interval_s);
}

static void generate(struct generate *g)
{
    int64_t begun = clock_mono_ns();
    uint64_t hours = g->plan.days * 24;
    for (uint64_t h = 0; h < hours; h++) {
        hour(g, ((int64_t)g->plan.end_s - (int64_t)(hours - h) * 3600) * NS_PER_S);
        if ((h + 1) % 24 && h + 1 < hours)
            continue;
        fprintf(stderr,
            "{\"days\": %.2f, \"uploads\": %llu, \"values\": %llu, \"seconds\": %.1f, "
            "\"making\": %.1f, \"appending\": %.1f, \"cutting\": %.1f, \"cpu\": %.1f}\n",
            (double)(h + 1) / 24, (unsigned long long)g->uploads, (unsigned long long)g->samples,
            (double)(clock_mono_ns() - begun) / 1e9, (double)g->make_ns / 1e9,
            (double)g->append_ns / 1e9, (double)g->cut_ns / 1e9, (double)clock_cpu_ns() / 1e9);
    }
}

static bool read_flags(int argc, char **argv, struct plan *p)
{
    struct {
        const char *name;
        uint64_t *to, least, most;
    } flags[] = {{"--days", &p->days, 1, 3660}, {"--services", &p->services, 1, SERVICES_MAX},
        {"--first", &p->first, 0, SERVICES_MAX}, {"--interval", &p->interval_s, 1, 3600},
        {"--end", &p->end_s, 3660ull * 86400, INT32_MAX}, {"--seed", &p->seed, 0, UINT64_MAX},
        {"--batch", &p->batch, 1, BATCH_MAX}};
    for (int i = 1; i < argc; i += 2) {
        bool known = !strcmp(argv[i], "--dir");
        if (i + 1 == argc)
            return false;
        if (known)
            p->dir = argv[i + 1];
        for (size_t k = 0; k < ARRAY_LEN(flags); k++) {
            if (strcmp(argv[i], flags[k].name))
                continue;
            known = str_to_u64(str_from(argv[i + 1]), flags[k].to) &&
                    *flags[k].to >= flags[k].least && *flags[k].to <= flags[k].most;
        }
        if (!known)
            return false;
    }
    return p->dir && 3600 % p->interval_s == 0 && p->end_s % 3600 == 0;
}

int main(int argc, char **argv)
{
    struct generate g = {.plan = {NULL, 30, 9, 0, 10, 0, 1, BATCH_MAX}};
    struct fs fs = fs_real;
    struct error err;
    uint32_t entries = 0;
    g.plan.end_s = (uint64_t)(clock_wall_ns() / HOUR_NS * 3600);
    if (!read_flags(argc, argv, &g.plan)) {
        fprintf(stderr,
            "usage: generate --dir DIR [--days N] [--services N] [--first N] [--interval "
            "SECONDS, a part of 3600] [--end SECONDS, a whole hour] [--seed N] [--batch N]\n");
        return 2;
    }
    if (fs.dir_list(&fs, g.plan.dir, count_entry, &entries) == 0 && entries)
        die("the directory is not empty");
    fs.file_sync = no_sync_file;
    fs.dir_sync = no_sync_dir;
    log_setup(LOG_WARN, LOG_LOGFMT);
    struct store_config cfg = {.dir = g.plan.dir,
        .fs = &fs,
        .head_bytes_max = 8 * GIB,
        .segment_bytes_max = 64 * MIB,
        .queue_bytes_max = GIB,
        .no_maintenance = true};
    if (store_open(&cfg, &g.store, &err) != ST_OK)
        die(err.msg);
    mutex_init(&g.lock, "generate", RANK_LOOP);
    cond_init(&g.wake);
    g.services = mem_new(g.plan.services * sizeof *g.services);
    for (uint32_t i = 0; i < g.plan.services; i++)
        g.services[i] = synth_new(
            g.plan.seed, (uint32_t)(g.plan.first + i), (int64_t)g.plan.interval_s * NS_PER_S);
    generate(&g);
    for (uint32_t i = 0; i < g.plan.services; i++)
        synth_free(g.services[i]);
    mem_free(g.services);
    store_close(g.store);
    cond_done(&g.wake);
    mutex_done(&g.lock);
    return 0;
}
