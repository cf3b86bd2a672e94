/* The server object: configuration, the listening socket, start and stop.
 *
 * http_server_start binds, then starts the workers and the loop; from then on everything happens
 * there (loop.c). http_server_stop tells the loop, which stops listening, closes idle connections,
 * lets what is in flight finish until the deadline, closes the rest and waits until every request
 * has been replied to: so a handler must reply even when the server stops.
 *
 * Failure: starting undoes what it did. Running out of descriptors pauses accepting: the kernel's
 * backlog holds the clients meanwhile. */
#include "net/net_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "net/tls_int.h"

enum { BACKLOG = 4096 };

static uint64_t default_budget(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    return MAX(memory / 8, 64 * MIB);
}

void http_server_config_init(struct http_server_config *cfg)
{
    *cfg = (struct http_server_config){
        .address = STR_EMPTY,
        .port = 4040,
        .connections_max = 16384,
        .header_bytes_max = 64 * KIB,
        .body_bytes_max = 256 * MIB,
        .body_budget_bytes = default_budget(),
        .queue_max = 1024,
        .header_timeout_ns = 10 * NS_PER_S,
        .body_timeout_ns = 30 * NS_PER_S,
        .write_timeout_ns = 30 * NS_PER_S,
        .idle_timeout_ns = 120 * NS_PER_S,
        .budget_timeout_ns = 5 * NS_PER_S,
        .tls = {.reload_ns = 10 * NS_PER_S},
        .path_prefix = STR_EMPTY,
    };
}

/* ---- the object ---- */

static char *copy_cstr(struct str s)
{
    char *p = mem_new(s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    return p;
}

static void fill_defaults(struct http_server_config *cfg)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    if (cfg->workers == 0)
        cfg->workers = n > 0 ? (uint32_t)n : 1;
    if (cfg->body_budget_bytes == 0)
        cfg->body_budget_bytes = default_budget();
    while (cfg->path_prefix.n && cfg->path_prefix.p[cfg->path_prefix.n - 1] == '/')
        cfg->path_prefix.n--;
}

enum status server_new(const struct http_server_config *cfg, const struct http_route *routes,
    uint32_t n_routes, struct http_server **ret_server, struct error *err)
{
    struct http_server *s = NEW(struct http_server);
    s->cfg = *cfg;
    fill_defaults(&s->cfg);
    s->address = copy_cstr(s->cfg.address);
    s->path_prefix = copy_cstr(s->cfg.path_prefix);
    s->cfg.address = str_from(s->address);
    s->cfg.path_prefix = str_from(s->path_prefix);
    s->routes = mem_new(n_routes * sizeof *routes);
    if (n_routes)
        memcpy(s->routes, routes, n_routes * sizeof *routes);
    s->n_routes = n_routes;
    enum status st = loop_init(&s->loop, s, err);
    if (st != ST_OK) {
        server_free(s);
        return st;
    }
    *ret_server = s;
    return ST_OK;
}

void server_free(struct http_server *s)
{
    pool_stop(&s->pool);
    loop_done(&s->loop);
    tls_close(s->tls);
    mem_free(s->address);
    mem_free(s->path_prefix);
    mem_free(s->routes);
    mem_free(s);
}

/* ---- the listening socket ---- */

static int set_on(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value);
}

static int listen_on(const struct sockaddr *sa, socklen_t n)
{
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    bool ok = set_on(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0;
    /* Accepted sockets inherit it: replies go out at once. */
    ok = ok && set_on(fd, IPPROTO_TCP, TCP_NODELAY, 1) == 0;
    if (sa->sa_family == AF_INET6)
        ok = ok && set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) == 0;
    if (ok && bind(fd, sa, n) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int keep = errno;
    close(fd);
    errno = keep;
    return -1;
}

/* All addresses: IPv6 with IPv4 mapped in, or IPv4 where the machine has no IPv6. */
static int listen_any(uint16_t port)
{
    struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_any};
    struct sockaddr_in four = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_ANY)};
    int fd = listen_on((const struct sockaddr *)&six, sizeof six);
    if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL))
        fd = listen_on((const struct sockaddr *)&four, sizeof four);
    return fd;
}

static enum status listen_open(struct http_server *s, int *ret_fd, struct error *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", s->cfg.port);
    int fd = -1;
    if (s->cfg.address.n == 0) {
        fd = listen_any(s->cfg.port);
    } else {
        int r = getaddrinfo(s->address, port, &hints, &found);
        if (r)
            FAIL(err, ST_INVALID_ARGUMENT, "listen address %s: %s", s->address, gai_strerror(r));
        fd = listen_on(found->ai_addr, found->ai_addrlen);
        int keep = errno;
        freeaddrinfo(found);
        errno = keep;
    }
    if (fd < 0)
        FAIL_ERRNO(err, ST_UNAVAILABLE, "cannot listen on [%s]:%u", s->address, s->cfg.port);
    *ret_fd = fd;
    return ST_OK;
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;
    if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
        return 0;
    return ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&sa)->sin6_port
                                          : ((struct sockaddr_in *)&sa)->sin_port);
}

/* ---- accepting ---- */

static void set_peer(struct conn *c, const struct sockaddr_storage *sa)
{
    if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)sa;
        memcpy(c->addr, &six->sin6_addr, sizeof c->addr);
        c->port = ntohs(six->sin6_port);
        return;
    }
    const struct sockaddr_in *four = (const struct sockaddr_in *)sa;
    c->addr[10] = c->addr[11] = 0xFF;
    memcpy(c->addr + 12, &four->sin_addr, 4);
    c->port = ntohs(four->sin_port);
}

/* Over the limit: a short answer if it fits into the socket, which it does, and good-bye. */
static void turn_away(const struct http_server *s, int fd)
{
    static const char reply[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                "Content-Type: application/json\r\nContent-Length: 56\r\n"
                                "Connection: close\r\n\r\n"
                                "{\"code\":\"unavailable\",\"message\":\"too many connections\"}\n";
    metric_add(M_CONNECTIONS_REFUSED, 1, STR("connections_max")); /* before anybody can know */
    if (!s->tls) {
        ssize_t ignored = send(fd, reply, sizeof reply - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        (void)ignored;
    }
    close(fd);
}

static void admit(struct http_server *s, int fd, const struct sockaddr_storage *sa)
{
    struct loop *l = &s->loop;
    if (l->n_conns >= s->cfg.connections_max) {
        turn_away(s, fd);
        return;
    }
    struct conn *c = conn_new(l, s->tls ? &transport_tls : &transport_tcp, &protocol_first, fd);
    if (s->tls)
        tls_accept(s->tls, c);
    set_peer(c, sa);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        metric_add(M_CONNECTIONS_REFUSED, 1, STR("epoll"));
        conn_close(c);
    }
}

static void listen_watch(struct loop *l, bool on)
{
    struct epoll_event ev = {.events = on ? EPOLLIN : 0, .data.ptr = &l->listen_fd};
    int r = epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, l->listen_fd, &ev);
    ASSERT(r == 0);
}

void server_accept(struct http_server *s)
{
    struct loop *l = &s->loop;
    if (l->accept_again_ns) {
        if (l->now_ns < l->accept_again_ns)
            return;
        l->accept_again_ns = 0;
        listen_watch(l, true);
    }
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage sa;
        socklen_t n = sizeof sa;
        int fd = accept4(l->listen_fd, (struct sockaddr *)&sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(s, fd, &sa);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            metric_add(M_CONNECTIONS_REFUSED, 1, STR("descriptors"));
            l->accept_again_ns = l->now_ns + ACCEPT_PAUSE_NS;
            listen_watch(l, false);
            return;
        } else if (errno == EAGAIN) {
            return;
        } /* else that one client failed; the next */
    }
}

/* ---- start and stop ---- */

static enum status start(struct http_server *s, struct error *err)
{
    int fd = -1;
    if (s->cfg.tls.cert_file.n || s->cfg.tls.cert.n)
        TRY(tls_open(&s->cfg.tls, &s->tls, err));
    TRY(listen_open(s, &fd, err));
    s->port = bound_port(fd);
    s->loop.listen_fd = fd;
    TRY(loop_open(&s->loop, fd, err));
    TRY(pool_start(&s->pool, s->cfg.workers, s->cfg.queue_max, err));
    metric_set(M_TCP_CONNECTIONS_LIMIT, s->cfg.connections_max, STR("http"));
    metric_set(M_TCP_CONNECTIONS, 0, STR("http"));
    metric_set(M_BODY_BYTES_LIMIT, (double)s->cfg.body_budget_bytes);
    metric_set(M_BODY_BYTES, 0);
    metric_set(M_WORK_QUEUE, 0);
    return thread_start(&s->loop_thread, "http-loop", loop_main, &s->loop, err);
}

enum status http_server_start(const struct http_server_config *cfg, const struct http_route *routes,
    uint32_t n_routes, struct http_server **ret_server, struct error *err)
{
    struct http_server *s;
    TRY(server_new(cfg, routes, n_routes, &s, err));
    enum status st = start(s, err);
    if (st != ST_OK) {
        server_free(s);
        return st;
    }
    *ret_server = s;
    return ST_OK;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

void http_server_stop(struct http_server *s, int64_t drain_ns)
{
    if (!s)
        return;
    atomic_store(&s->stop_at_ns, clock_mono_ns() + drain_ns);
    atomic_store(&s->stopping, true);
    loop_wake(&s->loop);
    thread_join(s->loop_thread);
    server_free(s);
}
