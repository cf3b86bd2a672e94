/* Private to net: connections, their transports and protocols, the loop, the pool, the server.
 *
 * A connection is a transport (how bytes move) and a protocol (what they mean). Both are tables of
 * operations, so that TLS is one more transport and HTTP/2 one more protocol; handlers see neither.
 * Everything here belongs to the loop thread unless it says otherwise. */
#ifndef NET_NET_INT_H
#define NET_NET_INT_H

#include <netinet/in.h>
#include <sys/uio.h>

#include "base/thread.h"
#include "net/http.h"

enum {
    HEADERS_MAX = 128,
    HEAD_FREE_BYTES = 4 * 1024,      /* of a header, outside the budget */
    SCRATCH_BYTES = 64 * 1024,       /* the loop's read buffer: also the bound of pipelined input */
    TURN_BYTES = 1024 * 1024,        /* a connection moves in one turn of the loop, each way */
    BUDGET_STEP = 1024 * 1024,       /* a body reserves this much ahead of what arrived */
    SKIP_BYTES = 256 * 1024,         /* unread rest of a refused body that is read to keep alive */
    LINGER_BYTES = 64 * 1024 * 1024, /* read and dropped before a refused sender is cut off */
    ACCEPTS_PER_TURN = 64,
    COSTLY_PER_TURN = 1, /* reads of costly connections */
    OUT_IOVECS = 16,
};
#define LINGER_NS (2 * NS_PER_S)
#define LIVE_TICK_NS (5 * NS_PER_S)
#define ACCEPT_PAUSE_NS (100 * NS_PER_MS)

struct conn;
struct loop;

/* ---- requests ---- */

/* The private side of a request: the handler sees `pub`. Until http_reply it belongs to the
 * handler (but for `conn` and `next`), afterwards to the loop. */
struct request {
    struct http_request pub; /* first: http_reply finds the request by it */
    struct http_server *server;
    struct conn *conn;    /* loop only; NULL once the connection is gone */
    void *stream;         /* loop only; the protocol's, where a connection has several requests */
    struct request *next; /* in the pool's queue, then among the loop's messages */
    struct buf head;      /* as received; header views point here */
    struct buf body;
    uint64_t charged;      /* bytes taken from the server's budget, for the body */
    uint64_t head_charged; /* and for a header beyond HEAD_FREE_BYTES */
    atomic_bool replied;
    atomic_bool dropped; /* the client took it back: no need to begin */
    bool keep_alive;
    bool http10;
    /* The reply, set by http_reply before it is posted. */
    bool abandoned;
    int status;
    const char *grpc_result;
    int64_t send_at_ns; /* 0: at once */
    struct buf fields;  /* "Name: value
"… */
    struct buf content;
    struct buf trailers; /* as fields; empty: none */
};

struct request *request_new(struct http_server *s, struct conn *c, int64_t now_ns);
/* Arena, head, body and their share of the budget: any thread, once. */
void request_release_input(struct request *r);
void request_free(struct request *r);
/* Metrics and log of a request that has been answered; before its input is released. */
void request_account(struct request *r);
/* "Name: value\r\n", line ends in the value made harmless. */
void request_add_field(struct buf *fields, struct str name, struct str value);

/* ---- the budget of bodies in flight: taken by the loop, given back by any thread ---- */

bool budget_take(struct http_server *s, uint64_t bytes);
void budget_give(struct http_server *s, uint64_t bytes);
/* Charges up to `bytes` in all for the body; false when there is no room now. */
bool request_charge(struct request *r, uint64_t bytes);
bool request_charge_head(struct request *r);             /* what its buffer has grown to */
void request_uncharge(struct request *r, uint64_t keep); /* gives back what is beyond `keep` */

/* ---- connections ---- */

/* read and writev: bytes, 0 at the end of input, or a negative errno (-EAGAIN: not now). */
struct transport_ops {
    ssize_t (*read)(struct conn *c, void *p, size_t n);
    ssize_t (*writev)(struct conn *c, const struct iovec *v, int n);
    void (*shutdown)(struct conn *c); /* of the writing side */
    void (*close)(struct conn *c);
    bool framed; /* a short read does not mean that nothing more is there */
};
extern const struct transport_ops transport_tcp;

/* Each connection has exactly one timer; all of one kind run equally long, so a list in order of
 * arming is a list in order of deadlines. */
enum conn_timer {
    CONN_T_NONE,
    CONN_T_IDLE,
    CONN_T_HEAD,
    CONN_T_BODY,
    CONN_T_BUDGET,
    CONN_T_WRITE,
    CONN_T_LINGER,
    CONN_T_LIVE, /* calls are open, nothing moves: how often deadlines are looked at */
    CONN_TIMERS
};

struct protocol_ops {
    const char *name;
    void (*open)(struct conn *c);
    void (*free)(struct conn *c); /* lets go of requests, frees c->proto */
    /* Whether to read now, and where to: *ret_p NULL = anywhere. Not more than *ret_n bytes. */
    bool (*want)(struct conn *c, char **ret_p, size_t *ret_n);
    void (*on_data)(struct conn *c, const char *p, size_t n);
    /* Everything is written: conn_send what there is to send, if anything. May be NULL. */
    void (*fill)(struct conn *c);
    void (*on_eof)(struct conn *c);
    void (*on_gone)(struct conn *c);    /* the client closed its side, or we close */
    void (*on_written)(struct conn *c); /* everything that was sent has left */
    /* Takes r; also on a closed one. The loop calls conn_run afterwards, unless c->ready. */
    void (*on_reply)(struct conn *c, struct request *r);
    void (*on_budget)(struct conn *c); /* there may be room again */
    void (*on_timeout)(struct conn *c, enum conn_timer kind);
    void (*on_stop)(struct conn *c); /* the server stops: close when nothing is in flight */
};
extern const struct protocol_ops protocol_http1, protocol_http2;
/* Until the first bytes tell: becomes one of the two. */
extern const struct protocol_ops protocol_first;

struct out {
    struct out *next;
    struct buf b;
    size_t at;
};

struct conn {
    struct loop *loop;
    const struct transport_ops *transport;
    const struct protocol_ops *protocol;
    void *proto, *io;         /* state of the protocol; of a transport other than TCP */
    struct conn *prev, *next; /* the timer's list */
    int64_t deadline_ns;
    struct conn *ready_next; /* among those with more to do in the next turn, or the costly ones */
    struct out *out_first, *out_last;
    int fd;
    uint16_t port;
    uint8_t addr[16]; /* IPv6, or IPv4 mapped into it */
    uint8_t timer;    /* enum conn_timer */
    bool readable, writable, peer_done, closed, ready;
    bool read_when_writable; /* set by a transport whose read has to write first */
    bool costly;             /* set by a transport: a read takes as long as a whole turn may */
};

struct conn *conn_new(struct loop *l, const struct transport_ops *transport,
    const struct protocol_ops *protocol, int fd);
/* Another protocol from now on; the old one has not sent or kept anything. */
void conn_become(struct conn *c, const struct protocol_ops *protocol);
/* conn_run in this turn or the next; many calls make one. */
void conn_ready(struct conn *c);
/* Events of the transport: what became possible, and that the peer closed or the socket broke. */
void conn_event(struct conn *c, bool readable, bool writable, bool peer_done, bool broken);
/* Reads and writes as far as it goes, at most TURN_BYTES each way; a costly one only gets in line.
 */
void conn_run(struct conn *c);
void conn_run_costly(struct conn *c); /* its turn: one read, then as above */
/* Takes the buffer's memory; it is written by conn_flush in order. */
void conn_send(struct conn *c, struct buf *take);
void conn_flush(struct conn *c);
void conn_timer(struct conn *c, enum conn_timer kind); /* (re)arms */
/* Idempotent; the memory goes at the end of the loop's turn. */
void conn_close(struct conn *c);
void conn_free(struct conn *c);
struct str conn_peer(const struct conn *c, struct arena *a);

/* ---- replies that are held back (delay.c) ---- */

struct held {
    struct request **v;
    uint32_t n, cap;
};
bool held_put(struct held *h, struct request *r);          /* by send_at_ns; false: no memory */
struct request *held_take(struct held *h, int64_t now_ns); /* one that is due, or NULL */
int64_t held_next_ns(const struct held *h);                /* when; INT64_MAX: none */
void held_done(struct held *h);                            /* must be empty */

/* ---- the loop ---- */

struct conn_list {
    struct conn *first, *last;
};

struct loop {
    struct http_server *server;
    int epoll_fd, wake_fd, listen_fd; /* -1: none (in-memory tests) */
    pthread_t thread;                 /* set by itself, before any request leaves it */
    bool running;
    int64_t now_ns;
    struct conn_list timers[CONN_TIMERS];
    struct conn *ready, *dead;
    struct conn *costly, **costly_end; /* first come, first served */
    struct held held;
    uint32_t n_conns, n_inflight; /* requests between dispatch and reply */
    uint32_t n_live;              /* streams of http_stream_ops */
    int64_t accept_again_ns;      /* 0: accepting */
    bool stop_seen;
    uint64_t seen_gives, shown_body;
    uint32_t shown_conns;
    int64_t date_s;
    char date[32];
    char *scratch; /* SCRATCH_BYTES */
    struct mutex lock;
    struct request *replies_first, *replies_last; /* lock */
};

enum status loop_init(struct loop *l, struct http_server *s, struct error *err);
enum status loop_open(struct loop *l, int listen_fd, struct error *err);
void loop_done(struct loop *l);
void *loop_main(void *l);
/* Any thread: hands a replied request to the loop. */
void loop_post(struct loop *l, struct request *r);
void loop_wake(struct loop *l); /* any thread */
/* The parts of a turn, for in-memory tests: replies, waiting bodies, timers, closed connections. */
void loop_settle(struct loop *l);
int64_t loop_timeout_ns(const struct loop *l, enum conn_timer kind);
struct str loop_date(struct loop *l); /* "Sun, 06 Nov 1994 08:49:37 GMT" */

/* ---- workers ---- */

struct pool {
    struct mutex lock;
    struct cond wake;
    struct request *first, *last; /* lock */
    uint32_t n, n_max;            /* lock: n */
    bool stop;                    /* lock */
    pthread_t *threads;
    uint32_t n_threads;
};

enum status pool_start(struct pool *p, uint32_t n_threads, uint32_t n_max, struct error *err);
bool pool_push(struct pool *p, struct request *r); /* false: full */
void pool_stop(struct pool *p);                    /* the queue must be empty */

/* ---- the server ---- */

struct http_server {
    struct http_server_config cfg; /* strings point to own copies */
    char *address, *path_prefix;
    struct tls *tls; /* NULL: plain */
    struct http_route *routes;
    uint32_t n_routes;
    struct pool pool;
    struct loop loop;
    pthread_t loop_thread;
    _Atomic uint64_t body_used;    /* of cfg.body_budget_bytes */
    _Atomic uint64_t budget_gives; /* how often some came back */
    atomic_bool stopping;
    _Atomic int64_t stop_at_ns; /* when stopping: cut off what is still there */
    uint16_t port;
};

enum status server_new(const struct http_server_config *cfg, const struct http_route *routes,
    uint32_t n_routes, struct http_server **ret_server, struct error *err);
void server_free(struct http_server *s);
/* Accepts what waits; called by the loop. */
void server_accept(struct http_server *s);

/* ---- routing ---- */

/* Strips the prefix, asks cfg.check and finds the route into pub.route; false: it has replied. */
bool router_admit(struct request *r);
uint64_t router_body_max(const struct request *r);
void router_too_large(struct request *r, uint64_t seen);
/* The body is complete: on the loop, by a worker, or 503. */
void router_dispatch(struct request *r);
struct str http_method_name(enum http_method m);
enum http_method http_method_of(struct str name);
/* target into path and query */
void request_split_target(struct http_request *rq);
/* What the server itself refuses: tells the route and replies. */
void http_refuse(struct request *r, enum http_refusal why, const char *msg);
/* The same where there is nobody to reply to. */
void router_tell_refused(struct request *r, enum http_refusal why, const char *msg);
/* Splits the target of a header that is not complete and finds the route, if it has one. */
void router_glimpse(struct request *r);

#endif
