/* How fast pprof becomes a dense profile: bench_pprof FILE… (raw protobuf or gzip).
 *
 * Prints one line per file: the best of many rounds of each step, and of all per byte of protobuf.
 * Inflating is the difference between a gzip file and the same file raw. */
#include "../tests/jfr_capture.h"
#include "base/clock.h"
#include "codec/pprof.h"

enum { ROUNDS = 300, STEPS = 3 };

struct result {
    uint64_t ns[STEPS]; /* decode, check, normalise */
    uint64_t bytes, samples, frames, stacks, arena;
};

static void fail(const struct error *err)
{
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

static void one_round(struct str in, struct result *r)
{
    static const struct pprof_limits limits = {0, 0, 100, 1000, 65535};
    struct arena arena;
    struct error err;
    struct pprof *p;
    struct profile *out;
    enum pprof_reason reason;
    uint64_t cut = 0;
    arena_init(&arena, GIB);
    int64_t t[STEPS + 1] = {clock_cpu_ns()};
    if (pprof_decode(in, GIB, &arena, &p, &err) != ST_OK)
        fail(&err);
    t[1] = clock_cpu_ns();
    if (pprof_check(p, &limits, STR("{}"), &arena, &reason, &cut, &cut, &err) != ST_OK)
        fail(&err);
    t[2] = clock_cpu_ns();
    if (pprof_to_profile(p, &arena, &out, &err) != ST_OK)
        fail(&err);
    t[3] = clock_cpu_ns();
    for (int i = 0; i < STEPS; i++)
        r->ns[i] = MIN(r->ns[i], (uint64_t)(t[i + 1] - t[i]));
    r->bytes = p->size_bytes;
    r->samples = p->n_samples;
    r->frames = p->n_location_ids;
    r->stacks = out->sym->n_stacks;
    r->arena = arena.used;
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    struct arena files;
    arena_init(&files, 4 * GIB);
    for (int i = 1; i < argc; i++) {
        struct str in = capture_read(argv[i], &files);
        struct result r = {.ns = {UINT64_MAX, UINT64_MAX, UINT64_MAX}};
        for (int k = 0; in.p && k < ROUNDS; k++)
            one_round(in, &r);
        double all = (double)(r.ns[0] + r.ns[1] + r.ns[2]);
        printf("%s: %.3f ms = decode %.3f + check %.3f + normalise %.3f; %.2f ns/byte, %.0f "
               "ns/sample (%llu bytes, %llu samples, %llu frames, %llu stacks, arena %llu KiB)\n",
            argv[i], all / 1e6, (double)r.ns[0] / 1e6, (double)r.ns[1] / 1e6, (double)r.ns[2] / 1e6,
            all / (double)MAX(r.bytes, 1u), all / (double)MAX(r.samples, 1u),
            (unsigned long long)r.bytes, (unsigned long long)r.samples,
            (unsigned long long)r.frames, (unsigned long long)r.stacks,
            (unsigned long long)r.arena / 1024);
    }
    arena_done(&files);
    return 0;
}
