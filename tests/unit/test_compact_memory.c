/* What a merge takes does not grow with the blocks: a child that may not have half as much memory
 * as the blocks are large merges them all. */
#include "test.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "fixture_blocks.h"
#include "store/compact_int.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#define DAY0 (T0 - 22 * HOUR_NS)
enum {
    HOURS = 16,
    PER_HOUR = 30,
    SAMPLES = 30000,
    SOURCE_BYTES = 96 << 20, /* what there is at least */
    MERGE_BYTES = 8 << 20,
    MEMORY = 48 << 20, /* of the child, more than it has when it begins */
};

static char dir[] = "/tmp/everflame-test-compact-XXXXXX";

static struct store *open_real(void)
{
    const struct store_config cfg = {.dir = dir,
        .fs = &fs_real,
        .head_bytes_max = GIB,
        .segment_bytes_max = 64 * MIB,
        .queue_bytes_max = 64 * MIB,
        .no_maintenance = true};
    struct store *s = NULL;
    assert_int_equal(store_open(&cfg, &s, NULL), ST_OK);
    return s;
}

/* A row of samples that do not compress: each of a span of its own. */
static void upload_large(struct store *s, int64_t time_ns, uint64_t *rng)
{
    static const char *const stacks[] = {"abc", "abd", "x"};
    static const int64_t values[3] = {1, 1, 1};
    struct request rq;
    request_init(&rq, "one", stacks, values, 3, 1);
    rq.prof.time_ns = time_ns;
    rq.prof.n_samples = SAMPLES;
    rq.prof.samples = mem_new(SAMPLES * sizeof *rq.prof.samples);
    rq.prof.values = mem_new(SAMPLES * sizeof *rq.prof.values);
    memset(rq.prof.samples, 0, SAMPLES * sizeof *rq.prof.samples);
    for (uint32_t i = 0; i < SAMPLES; i++) {
        *rng = *rng * 6364136223846793005u + 1442695040888963407u;
        rq.prof.samples[i].stack = i % 3;
        rq.prof.samples[i].span = *rng | 1;
        rq.prof.values[i] = 1 + (int64_t)(i % 100);
    }
    assert_int_equal(append_wait(s, STR("anonymous"), &rq.row), ST_OK);
    mem_free(rq.prof.samples);
    mem_free(rq.prof.values);
    arena_done(&rq.arena);
}

static uint64_t fill(void)
{
    struct store *s = open_real();
    uint64_t bytes = 0, rng = 1;
    for (int64_t hour = 0; hour < HOURS; hour++) {
        for (int i = 0; i < PER_HOUR; i++)
            upload_large(s, DAY0 + hour * HOUR_NS + i, &rng);
        assert_int_equal(store_cut(s, "test", NULL), ST_OK);
    }
    for (uint32_t i = 0; i < s->n_blocks; i++)
        bytes += s->blocks[i]->file_bytes;
    store_close(s);
    return bytes;
}

static uint64_t virtual_bytes(void)
{
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%llu", &pages), 1);
    fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The child; its exit code. */
static int merge_within(uint64_t bytes)
{
    struct error err = {0};
    mallopt(M_ARENA_MAX, 1);          /* a thread's arena reserves 64 MiB of addresses */
    mallopt(M_MMAP_THRESHOLD, 65536); /* what is freed is given back */
    struct store *s = open_real();
    s->compaction->merge_bytes = MERGE_BYTES;
    const struct rlimit limit = {virtual_bytes() + bytes, virtual_bytes() + bytes};
    if (setrlimit(RLIMIT_AS, &limit) != 0)
        return 3;
    enum status st = store_compact(s, true, NULL, NULL, &err);
    if (st != ST_OK)
        fprintf(stderr, "store_compact: %s\n", err.msg);
    bool one = s->n_blocks == 1 && s->blocks[0]->level == BLOCK_24H;
    store_close(s);
    return st != ST_OK ? 1 : one ? 0 : 2;
}

static int run_child(uint64_t bytes)
{
    int code = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* a program of its own: without what malloc has kept here */
        char text[32];
        snprintf(text, sizeof text, "%llu", (unsigned long long)bytes);
        execl("/proc/self/exe", "test_compact_memory", dir, text, (char *)NULL);
        _exit(9);
    }
    assert_int_equal(waitpid(pid, &code, 0), pid);
    return code;
}

static void test_memory_is_bounded(void **state)
{
    char command[200];
    (void)state;
    if (SANITIZED)
        skip(); /* they reserve the whole address space */
    assert_non_null(mkdtemp(dir));
    uint64_t bytes = fill();
    assert_true(bytes >= SOURCE_BYTES);
    assert_int_not_equal(run_child(MIB), 0); /* the bound bounds */
    assert_int_equal(run_child(MEMORY), 0);
    struct store *s = open_real();
    assert_int_equal(s->n_blocks, 1);
    assert_int_equal(rows_shown(s, "anonymous"), HOURS * PER_HOUR);
    assert_int_equal(block_verify(s->blocks[0], NULL), ST_OK);
    store_close(s);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory_is_bounded)};
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    if (argc == 3) {
        snprintf(dir, sizeof dir, "%s", argv[1]);
        return merge_within(strtoull(argv[2], NULL, 10));
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
