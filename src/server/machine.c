/* See machine.h. Memory is the smaller of the machine's and of the control group's (v2, then v1);
 * processors are those that the scheduler lets us run on. All reads are small files of the kernel;
 * what cannot be read counts as absent. Any thread. */
#include "server/machine.h"

#include <dirent.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/metrics.h"

enum { PROC_FILE_BYTES = 4096, LIST_AGAIN_S = 5 };

/* Files of /proc have no size: read until the end, cut at the buffer. */
static struct str read_small(const char *path, char out[PROC_FILE_BYTES])
{
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(out, 1, PROC_FILE_BYTES, f) : 0;
    if (f)
        fclose(f);
    return str_make(out, n);
}

static uint64_t group_limit(const char *path)
{
    char raw[PROC_FILE_BYTES];
    uint64_t v;
    return str_to_u64(str_trim(read_small(path, raw)), &v) && v ? v : UINT64_MAX;
}

uint64_t machine_memory_bytes(void)
{
    uint64_t all = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    all = MIN(all, group_limit("/sys/fs/cgroup/memory.max"));
    return MIN(all, group_limit("/sys/fs/cgroup/memory/memory.limit_in_bytes"));
}

uint32_t machine_processors(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return (uint32_t)MAX(n, 1);
}

/* The n-th word of a line, from 0. */
static uint64_t word_u64(struct str s, int n)
{
    struct str_split it = {s, false};
    struct str w;
    uint64_t v = 0;
    for (int i = 0; i <= n && str_split_next(&it, ' ', &w); i++)
        if (i == n && !str_to_u64(str_trim(w), &v))
            v = 0;
    return v;
}

static uint32_t list_files(void)
{
    DIR *d = opendir("/proc/self/fd");
    uint32_t n = 0;
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n > 3 ? n - 3 : 0; /* ".", ".." and the one that counts */
}

static void metrics_memory(void)
{
    char raw[PROC_FILE_BYTES];
    struct str s = read_small("/proc/self/statm", raw);
    double page = (double)sysconf(_SC_PAGESIZE);
    metric_set(M_PROCESS_VIRT, (double)word_u64(s, 0) * page);
    metric_set(M_PROCESS_RSS, (double)word_u64(s, 1) * page);
}

/* Scrapes run on the event loop, and listing ten thousand descriptors takes milliseconds: kernels
 * since 6.2 say how many there are, for older ones the list is made at most every few seconds. */
static void metrics_files(void)
{
    static _Atomic int64_t listed_ns;
    struct stat st = {0};
    struct rlimit lim = {0};
    int64_t now = clock_mono_ns(), last = atomic_load(&listed_ns);
    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0) {
        metric_set(M_PROCESS_FDS, (double)st.st_size);
    } else if (last == 0 || now - last > LIST_AGAIN_S * NS_PER_S) {
        atomic_store(&listed_ns, now);
        metric_set(M_PROCESS_FDS, list_files());
    }
    getrlimit(RLIMIT_NOFILE, &lim);
    metric_set(M_PROCESS_FDS_MAX, (double)lim.rlim_cur);
}

uint64_t machine_raise_files(void)
{
    struct rlimit lim = {0};
    getrlimit(RLIMIT_NOFILE, &lim);
    rlim_t soft = lim.rlim_cur;
    lim.rlim_cur = lim.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &lim) == 0 ? lim.rlim_max : soft;
}

void machine_metrics(void)
{
    metric_set(M_PROCESS_CPU, (double)clock_cpu_ns() / (double)NS_PER_S);
    metrics_memory();
    metrics_files();
}
