/* A load generator: sends prepared uploads over keep-alive connections and times the answers.
 *
 *     load --port P --mix DIR|drifting [--connections 48] [--services 9] [--uploads 3240]
 *          [--start SECONDS] [--rate PER_SECOND] [--seed N]
 *
 * Without --rate every connection sends its next upload when the last one was answered. With it,
 * upload k is due at k / rate, whatever the server does, and its latency counts from then: a server
 * that stalls is not spared the uploads that should have come meanwhile.
 *
 *     idle ──take an upload──► sending ──all sent──► waiting ──answer complete──► idle
 *
 * Everything is made before the clock starts (uploads.c, drift.c), so that the generator costs
 * little of the processors it shares with the server. One thread, one epoll, edge-triggered.
 * Answers need a Content-Length. A connection that breaks is counted, its upload is given up and
 * the connection opened again. The result is one line of JSON. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "uploads.h"

#include "base/clock.h"
#include "base/mem.h"

enum { CONNECTIONS_MAX = 1024, ANSWER_MAX = 16384, STATUS_MAX = 600, EVENTS = 64 };

struct conn {
    int fd;
    bool busy;
    uint32_t upload;
    size_t sent;
    int64_t start_ns;
    size_t n;
    char answer[ANSWER_MAX];
};

struct load {
    int epoll;
    uint16_t port;
    uint32_t n_conns, idle[CONNECTIONS_MAX], n_idle;
    struct conn *conns;
    const struct uploads *uploads;
    double rate; /* 0: as fast as possible */
    uint32_t next, done, broken;
    int64_t begin_ns;
    uint32_t statuses[STATUS_MAX];
    uint32_t *latency_us; /* by order of completion */
};

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void conn_open(struct load *l, uint32_t i)
{
    struct conn *c = &l->conns[i];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(l->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    int on = 1;
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.u32 = i};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &ev) != 0)
        die("epoll_ctl");
    c->busy = false;
    c->n = 0;
    l->idle[l->n_idle++] = i;
}

static void conn_broken(struct load *l, uint32_t i)
{
    close(l->conns[i].fd);
    if (l->conns[i].busy) {
        l->broken++;
        l->done++;
        conn_open(l, i);
        return;
    }
    for (uint32_t k = 0; k < l->n_idle; k++)
        if (l->idle[k] == i)
            l->idle[k] = l->idle[--l->n_idle];
    conn_open(l, i);
}

static void conn_send(struct load *l, uint32_t i)
{
    struct conn *c = &l->conns[i];
    const struct upload *u = &l->uploads->v[c->upload];
    while (c->busy && c->sent < u->head.n + u->body.n) {
        struct str head = str_skip(u->head, c->sent);
        struct str body = str_skip(u->body, c->sent > u->head.n ? c->sent - u->head.n : 0);
        struct iovec iov[2] = {
            {(void *)(uintptr_t)head.p, head.n}, {(void *)(uintptr_t)body.p, body.n}};
        struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
        ssize_t n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            conn_broken(l, i);
            return;
        }
        c->sent += (size_t)n;
    }
}

/* Whether the answer is complete; *ret_status is 0 when it is not one that is understood. */
static bool answer_complete(struct str in, unsigned *ret_status)
{
    size_t end = str_find(in, STR("\r\n\r\n"));
    if (end == STR_NPOS)
        return false;
    struct str_split lines = {.rest = str_head(in, end)};
    struct str line;
    uint64_t status = 0, length = 0;
    *ret_status = 0;
    str_split_next(&lines, '\n', &line);
    if (!str_to_u64(str_head(str_skip(line, 9), 3), &status) || status >= STATUS_MAX)
        return true;
    while (str_split_next(&lines, '\n', &line)) {
        size_t colon = str_find_char(line, ':');
        if (colon == STR_NPOS)
            continue;
        struct str name = str_head(line, colon);
        if (str_eq_nocase(name, STR("Transfer-Encoding")))
            return true;
        if (str_eq_nocase(name, STR("Content-Length")) &&
            !str_to_u64(str_trim(str_skip(line, colon + 1)), &length))
            return true;
    }
    *ret_status = (unsigned)status;
    return in.n - end - 4 >= length;
}

static void conn_receive(struct load *l, uint32_t i)
{
    struct conn *c = &l->conns[i];
    for (;;) {
        ssize_t n = recv(c->fd, c->answer + c->n, sizeof c->answer - c->n, 0);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0 || !c->busy) {
            conn_broken(l, i);
            return;
        }
        c->n += (size_t)n;
        unsigned status;
        if (!answer_complete(str_make(c->answer, c->n), &status))
            continue;
        if (l->statuses[status]++ == 0 && status != 200)
            fprintf(stderr, "load: %.*s\n", (int)c->n, c->answer);
        l->latency_us[l->done - l->broken] =
            (uint32_t)((clock_mono_ns() - c->start_ns) / NS_PER_US);
        l->done++;
        c->busy = false;
        c->n = 0;
        l->idle[l->n_idle++] = i;
    }
}

static int64_t due_ns(const struct load *l, uint32_t k)
{
    return l->begin_ns + (int64_t)((double)k * 1e9 / l->rate);
}

/* Hands out what is due to the idle; returns how long to wait for more, -1: for events only. */
static int64_t take_uploads(struct load *l)
{
    while (l->n_idle && l->next < l->uploads->n) {
        int64_t now = clock_mono_ns(), start = l->rate > 0 ? due_ns(l, l->next) : now;
        if (start > now)
            return start - now;
        uint32_t i = l->idle[--l->n_idle];
        struct conn *c = &l->conns[i];
        c->busy = true;
        c->upload = l->next++;
        c->sent = 0;
        c->start_ns = start;
        conn_send(l, i);
    }
    return -1;
}

static void run(struct load *l)
{
    struct epoll_event events[EVENTS];
    l->begin_ns = clock_mono_ns();
    while (l->done < l->uploads->n) {
        int64_t wait_ns = take_uploads(l);
        struct timespec wait = {wait_ns / NS_PER_S, wait_ns % NS_PER_S};
        int n = epoll_pwait2(l->epoll, events, EVENTS, wait_ns < 0 ? NULL : &wait, NULL);
        if (n < 0 && errno != EINTR)
            die("epoll_pwait2");
        for (int i = 0; i < n; i++) {
            if (events[i].events & EPOLLOUT)
                conn_send(l, events[i].data.u32);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                conn_receive(l, events[i].data.u32);
        }
    }
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void report(struct load *l, double seconds, double cpu_s)
{
    uint32_t n = l->done - l->broken;
    qsort(l->latency_us, n, sizeof *l->latency_us, compare_u32);
    double p50 = n ? l->latency_us[n / 2] / 1e3 : 0, max = n ? l->latency_us[n - 1] / 1e3 : 0;
    double p99 = n ? l->latency_us[(uint64_t)n * 99 / 100] / 1e3 : 0;
    printf(
        "{\"uploads\": %u, \"seconds\": %.4f, \"content_bytes\": %llu, \"p50_ms\": %.3f, "
        "\"p99_ms\": %.3f, \"max_ms\": %.3f, \"generator_cpu_s\": %.3f, \"new_nodes_min\": %llu, "
        "\"broken\": %u, \"statuses\": {",
        l->done, seconds, (unsigned long long)l->uploads->content_bytes, p50, p99, max, cpu_s,
        (unsigned long long)l->uploads->new_nodes, l->broken);
    const char *sep = "";
    for (unsigned s = 0; s < STATUS_MAX; s++) {
        if (l->statuses[s] == 0)
            continue;
        printf("%s\"%u\": %u", sep, s, l->statuses[s]);
        sep = ", ";
    }
    printf("}}\n");
}

static bool number(const char *text, uint64_t most, uint64_t *ret_value)
{
    return str_to_u64(str_from(text), ret_value) && *ret_value <= most;
}

static bool read_flags(int argc, char **argv, struct uploads_plan *plan, struct load *l)
{
    const char *mix = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *flag = argv[i], *value = argv[i + 1];
        uint64_t v = 0;
        if (!strcmp(flag, "--mix")) {
            mix = value;
            continue;
        }
        if (!strcmp(flag, "--rate")) {
            l->rate = strtod(value, NULL);
            continue;
        }
        if (!number(value, INT64_MAX / NS_PER_S, &v))
            return false;
        if (!strcmp(flag, "--port"))
            l->port = (uint16_t)v;
        else if (!strcmp(flag, "--connections"))
            l->n_conns = (uint32_t)v;
        else if (!strcmp(flag, "--services"))
            plan->services = (uint32_t)v;
        else if (!strcmp(flag, "--uploads"))
            plan->uploads = (uint32_t)v;
        else if (!strcmp(flag, "--start"))
            plan->start_s = (int64_t)v;
        else if (!strcmp(flag, "--seed"))
            plan->seed = v;
        else
            return false;
    }
    plan->captures = mix && strcmp(mix, "drifting") ? mix : NULL;
    return mix && argc % 2 == 1 && l->port && l->n_conns && l->n_conns <= CONNECTIONS_MAX &&
           plan->services && plan->uploads <= 10000000;
}

int main(int argc, char **argv)
{
    struct uploads uploads = {0};
    struct load l = {.n_conns = 48, .uploads = &uploads};
    int64_t now_s = clock_wall_ns() / NS_PER_S;
    struct uploads_plan plan = {NULL, 9, 3240, (now_s / WINDOW_S - 360) * WINDOW_S, 1};
    struct error err;
    if (!read_flags(argc, argv, &plan, &l)) {
        fprintf(stderr, "usage: load --port P --mix DIR|drifting [--connections N] [--services N] "
                        "[--uploads N] [--start SECONDS] [--rate PER_SECOND] [--seed N]\n");
        return 2;
    }
    enum status st = plan.captures ? uploads_recorded(&plan, &uploads, &err)
                                   : uploads_drifting(&plan, &uploads, &err);
    if (st != ST_OK) {
        fprintf(stderr, "load: %s\n", err.msg);
        return 1;
    }
    l.epoll = epoll_create1(0);
    l.conns = mem_new(l.n_conns * sizeof *l.conns);
    l.latency_us = mem_new((plan.uploads + 1) * sizeof *l.latency_us);
    for (uint32_t i = 0; i < l.n_conns; i++)
        conn_open(&l, i);
    int64_t cpu_ns = clock_cpu_ns();
    run(&l);
    report(
        &l, (double)(clock_mono_ns() - l.begin_ns) / 1e9, (double)(clock_cpu_ns() - cpu_ns) / 1e9);
    arena_done(&uploads.arena);
    mem_free(l.conns);
    mem_free(l.latency_us);
    return 0;
}
