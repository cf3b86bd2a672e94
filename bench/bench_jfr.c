/* How fast recordings are decoded: bench_jfr FOLDER [ROUNDS], a folder of captured Java uploads.
 *
 * Prints one line per upload and one for all: best round, per byte of the inflated recording, per
 * sample, per frame of the resulting stacks. Inflating is not counted. */
#include "../tests/jfr_capture.h"
#include "base/clock.h"
#include "codec/jfr.h"

enum { UPLOADS_MAX = 100 };

struct size {
    uint64_t ns, bytes, samples, stacks, frames, functions, arena;
};

static void measure(const struct capture *c, int rounds, struct size *ret)
{
    static const struct jfr_options opt = {.sample_rate = 100, .stack_depth_max = 1000};
    *ret = (struct size){.ns = UINT64_MAX, .bytes = c->recording.n + c->labels.n};
    for (int i = 0; i < rounds; i++) {
        struct arena arena;
        struct jfr jfr;
        struct error err;
        arena_init(&arena, 1 << 30);
        int64_t start = clock_cpu_ns();
        if (jfr_decode(c->recording, c->labels, &opt, &arena, &jfr, &err) != ST_OK) {
            fprintf(stderr, "%s\n", err.msg);
            exit(1);
        }
        ret->ns = MIN(ret->ns, (uint64_t)(clock_cpu_ns() - start));
        ret->samples = 0;
        for (uint32_t k = 0; k < jfr.n; k++)
            ret->samples += jfr.profiles[k].profile.n_samples;
        ret->stacks = jfr.n ? jfr.profiles[0].profile.sym->n_stacks : 0;
        ret->frames = jfr.n ? jfr.profiles[0].profile.sym->n_frames : 0;
        ret->functions = jfr.n ? jfr.profiles[0].profile.sym->n_functions : 0;
        ret->arena = arena.used;
        arena_done(&arena);
    }
}

static void print(const char *name, const struct size *s)
{
    printf("%-6s %8.3f ms  %6.2f ns/byte  %7.1f ns/sample  %6.2f ns/frame  "
           "(%llu bytes, %llu samples, %llu stacks, %llu frames, %llu functions, arena %llu KiB)\n",
        name, (double)s->ns / 1e6, (double)s->ns / (double)s->bytes,
        (double)s->ns / (double)MAX(s->samples, 1u), (double)s->ns / (double)MAX(s->frames, 1u),
        (unsigned long long)s->bytes, (unsigned long long)s->samples, (unsigned long long)s->stacks,
        (unsigned long long)s->frames, (unsigned long long)s->functions,
        (unsigned long long)s->arena / 1024);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench_jfr FOLDER [ROUNDS]\n");
        return 2;
    }
    long rounds = argc > 2 ? strtol(argv[2], NULL, 10) : 50;
    struct size all = {0};
    struct capture c;
    for (int i = 1; i < UPLOADS_MAX && capture_load(argv[1], i, &c); i++) {
        struct size s;
        char name[16];
        measure(&c, (int)MAX(rounds, 1), &s);
        snprintf(name, sizeof name, "%03d", i);
        print(name, &s);
        all.ns += s.ns;
        all.bytes += s.bytes;
        all.samples += s.samples;
        all.stacks += s.stacks;
        all.frames += s.frames;
        all.functions += s.functions;
        all.arena += s.arena;
        capture_free(&c);
    }
    print("all", &all);
    return 0;
}
