/* How fast OTLP becomes dense profiles: bench_otlp [--rounds N] FILE… (protobuf or JSON, raw or
 * gzip).
 *
 * Prints one line per file: the best of many rounds of each step, and of all per byte of protobuf.
 */
#include "../tests/jfr_capture.h"
#include "base/clock.h"
#include "codec/gzip.h"
#include "codec/otlp.h"

enum { ROUNDS = 300, STEPS = 3 };

struct result {
    uint64_t ns[STEPS]; /* inflate, JSON to protobuf, decode */
    uint64_t bytes, samples, profiles, arena;
};

static void must(enum status st, const struct error *err)
{
    if (st == ST_OK)
        return;
    fprintf(stderr, "%s\n", err->msg);
    exit(1);
}

static void one_round(struct str in, struct result *r)
{
    static const struct otlp_options opt = {1000, 65535, 100};
    struct arena arena;
    struct error err;
    struct otlp out;
    arena_init(&arena, GIB);
    int64_t t[STEPS + 1] = {clock_cpu_ns()};
    if (gzip_detect(in))
        must(gzip_inflate(in, GIB, &arena, &in, &err), &err);
    t[1] = clock_cpu_ns();
    if (in.n && in.p[0] == '{')
        must(otlp_from_json(in, &arena, &in, &err), &err);
    t[2] = clock_cpu_ns();
    must(otlp_decode(in, &opt, &arena, &out, &err), &err);
    t[3] = clock_cpu_ns();
    for (int i = 0; i < STEPS; i++)
        r->ns[i] = MIN(r->ns[i], (uint64_t)(t[i + 1] - t[i]));
    r->bytes = in.n;
    r->profiles = out.n;
    r->arena = arena.used;
    r->samples = 0;
    for (uint32_t i = 0; i < out.n; i++)
        r->samples += out.v[i].profile.n_samples;
    arena_done(&arena);
}

int main(int argc, char **argv)
{
    struct arena files;
    uint64_t rounds = ROUNDS;
    int first = 1;
    if (argc > 2 && strcmp(argv[1], "--rounds") == 0 && str_to_u64(str_from(argv[2]), &rounds))
        first = 3;
    arena_init(&files, 4 * GIB);
    for (int i = first; i < argc; i++) {
        struct str in = capture_read(argv[i], &files);
        struct result r = {.ns = {UINT64_MAX, UINT64_MAX, UINT64_MAX}};
        for (uint64_t k = 0; in.p && k < rounds; k++)
            one_round(in, &r);
        double all = (double)(r.ns[0] + r.ns[1] + r.ns[2]);
        printf("%s: %.1f us = inflate %.1f + JSON %.1f + decode %.1f; %.2f ns/byte (%llu bytes, "
               "%llu profiles, %llu samples, arena %llu KiB)\n",
            argv[i], all / 1e3, (double)r.ns[0] / 1e3, (double)r.ns[1] / 1e3, (double)r.ns[2] / 1e3,
            all / (double)MAX(r.bytes, 1u), (unsigned long long)r.bytes,
            (unsigned long long)r.profiles, (unsigned long long)r.samples,
            (unsigned long long)r.arena / 1024);
    }
    arena_done(&files);
    return 0;
}
