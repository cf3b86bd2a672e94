/* The HTTP server: an event loop that owns connections, a bounded pool of workers that run
 * handlers, and replies from any thread. Handlers never see a socket, nor which HTTP version.
 *
 * A request belongs to its handler from the call until http_reply; its arena, headers and body live
 * that long. Exactly one reply per request, from any thread; http_abandon closes the connection
 * without an answer. */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

enum http_method {
    HTTP_M_GET = 1,
    HTTP_M_HEAD = 2,
    HTTP_M_POST = 4,
    HTTP_M_PUT = 8,
    HTTP_M_DELETE = 16,
    HTTP_M_OPTIONS = 32,
    HTTP_M_OTHER = 64,
};

struct http_header {
    struct str name, value; /* as sent; values trimmed */
};

struct http_request {
    enum http_method method;
    struct str target; /* as sent */
    struct str path;   /* before '?', not decoded */
    struct str query;  /* after '?', not decoded */
    const struct http_header *headers;
    uint32_t n_headers;
    struct str body; /* whole; chunking removed, content encoding not */
    struct str peer; /* address:port */
    int64_t start_mono_ns;
    struct arena arena;
    /* A 2xx answer is not sent before this time has passed since the start; its Server-Timing says
     * how long it was held back. Set before http_reply; 0: at once. */
    int64_t pad_ns;
    atomic_bool gone;   /* the client left: long work should stop */
    void *stream_state; /* of http_stream_ops: the handler's */
    const struct http_route *route;
};

/* Case-insensitive; the first one; {NULL, 0} when absent. */
struct str http_header_get(const struct http_request *rq, struct str name);
/* Form decoding ('+', %XX) of the first parameter of that name; false when absent. */
bool http_query_get(struct http_request *rq, struct str name, struct str *ret_value);
/* All values of that name, decoded, in the arena. */
uint32_t http_query_all(struct http_request *rq, struct str name, struct str **ret_values);

enum http_gzip { HTTP_GZIP_AUTO, HTTP_GZIP_ALWAYS, HTTP_GZIP_NEVER };

/* Start from {.status = 200}; http_reply takes the body buffer over and leaves it empty. */
struct http_response {
    int status;
    struct str content_type;                /* empty: no header */
    const struct http_header *more_headers; /* copied by http_reply */
    uint32_t n_more_headers;
    /* After the body, to whoever speaks at least HTTP/1.1; copied by http_reply. */
    const struct http_header *trailers;
    uint32_t n_trailers;
    /* Of a call over gRPC, whose HTTP status says nothing: its result, for metrics and log. A
     * constant; NULL: the HTTP status. */
    const char *grpc_result;
    struct buf body;
    enum http_gzip
        gzip; /* AUTO: when accepted and the body has 1400 bytes or more. ALWAYS: forced */
};

void http_reply(struct http_request *rq, struct http_response *rs);
void http_abandon(struct http_request *rq);

/* {"code":"…","message":"…"}\n with nosniff; the code is err->code's text, the status err->http or
 * the one of the code. */
void http_reply_error(struct http_request *rq, const struct error *err);
void http_reply_text(struct http_request *rq, int status, struct str content_type, struct str body);

typedef void (*http_handler_fn)(struct http_request *rq, void *ctx);

/* What the server itself refuses, before a handler has the request. */
enum http_refusal {
    HTTP_REFUSED_HEADER,      /* too large, or too many fields: 431 */
    HTTP_REFUSED_SLOW_HEADER, /* 408; HTTP/2: closed */
    HTTP_REFUSED_SLOW_BODY,   /* 408 */
    HTTP_REFUSED_CUT_BODY,    /* the client ended it: 408 */
    HTTP_REFUSED_BAD_BODY,    /* its framing: 400 */
    HTTP_REFUSED_BUDGET,      /* no room among the bodies in flight: 503 */
    HTTP_REFUSED_QUEUE,       /* too many wait for a worker: 503 */
    HTTP_REFUSED_MEMORY,      /* 503 */
    HTTP_REFUSED_STREAM,      /* HTTP/2: more at once than is allowed, REFUSED_STREAM */
    HTTP_REFUSED_FLOOD,       /* HTTP/2: frames for nothing, GOAWAY ENHANCE_YOUR_CALM */
    HTTP_REFUSALS
};

/* Requests whose body is read, and whose answer is written, in pieces while both sides stay: over
 * HTTP/2 only (below it 505). No thread is held: everything happens on the loop, so nothing here
 * may block, and what a piece costs must be small. Of a client that does not read, at most
 * HTTP_STREAM_UNREAD bytes wait before nothing more is taken from it; at most HTTP_STREAM_INPUT
 * that it sent wait to be taken. */
enum { HTTP_STREAM_UNREAD = 64 * 1024, HTTP_STREAM_INPUT = 65535 };

struct http_stream_ops {
    /* The header is there (the body is empty): answers with http_stream_begin. */
    void (*open)(struct http_request *rq, void *ctx);
    /* How many bytes from the front of what has arrived were used; 0: more are needed. */
    size_t (*take)(struct http_request *rq, struct str in);
    /* The client has sent everything; `rest` is what was not taken. */
    void (*end)(struct http_request *rq, struct str rest);
    /* Some time has passed: deadlines. */
    void (*tick)(struct http_request *rq, int64_t now_mono_ns);
    /* The server stops: should end soon. */
    void (*stop)(struct http_request *rq);
    /* The last call, however it ended: frees stream_state. */
    void (*close)(struct http_request *rq);
};

/* From the callbacks only, in this order. begin: status, content_type and more_headers count, and
 * grpc_result for the case that it never ends. */
void http_stream_begin(struct http_request *rq, const struct http_response *rs);
/* Nothing happens any more once it has ended, which it may by itself. */
void http_stream_write(struct http_request *rq, struct str bytes);
/* trailers and grpc_result count; they are NULL and 0 where there are none. */
void http_stream_end(struct http_request *rq, const struct http_response *rs);

struct http_route {
    uint32_t methods; /* HTTP_M_… or-ed; others: 405 with Allow */
    const char *path; /* exact */
    const char *name; /* for metrics: "ingest" */
    http_handler_fn handler;
    void *ctx;
    bool on_loop; /* cheap and never blocks: run without a worker */
    /* Replies for a body over body_bytes_max (rq->body is empty; *_seen: bytes announced or read).
     * Runs on the loop: must not block. NULL: 413 JSON "request body too large". */
    void (*too_large)(struct http_request *rq, uint64_t seen, uint64_t max);
    uint64_t body_bytes_max; /* 0: the server's */
    /* Told of what the server itself refuses; must not reply. `rq` has what arrived, as far as
     * it is known. On the loop: must not block. May be NULL. */
    void (*refused)(struct http_request *rq, enum http_refusal why, const struct error *err);
    const struct http_stream_ops *stream; /* not NULL: in place of the handler */
    bool prefix;                          /* the path is one, and more must follow it */
};

enum http_client_auth {
    HTTP_CLIENT_NONE,            /* certificates of clients are not asked for */
    HTTP_CLIENT_REQUEST,         /* asked for, and not looked at */
    HTTP_CLIENT_REQUIRE,         /* any */
    HTTP_CLIENT_VERIFY_IF_GIVEN, /* one of the authority, or none */
    HTTP_CLIENT_VERIFY,          /* one of the authority */
};

/* Files in PEM, or their text; the file wins. Files are read again when they change. */
struct http_tls_config {
    struct str cert_file, key_file, client_ca_file;
    struct str cert, key, client_ca;
    enum http_client_auth client_auth;
    int min_version;          /* 10 to 13: TLS 1.0 to 1.3; 0: 1.2 */
    struct str cipher_suites; /* "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,…"; empty: the library's */
    int64_t reload_ns;        /* how often files are looked at; 0: never */
};

struct http_server_config {
    struct str address;         /* empty: all, IPv6 and IPv4 */
    uint16_t port;              /* 0: any free one, see http_server_port */
    uint32_t workers;           /* 0: number of processors */
    uint32_t connections_max;   /* default 16384 */
    uint32_t header_bytes_max;  /* default 64 KiB */
    uint64_t body_bytes_max;    /* default 256 MiB */
    uint64_t body_budget_bytes; /* all bodies in flight; 0: 1/8 of memory, at least 64 MiB */
    uint32_t queue_max;         /* requests that wait for a worker; then 503 */
    /* Whole header; body and reply between two signs of progress; between two requests. */
    int64_t header_timeout_ns, body_timeout_ns, write_timeout_ns, idle_timeout_ns;
    int64_t budget_timeout_ns;  /* how long a body waits for room in the budget; then 503 */
    struct http_tls_config tls; /* without a certificate: plain HTTP */
    struct str path_prefix;     /* "/x": stripped from every path; others 404 */
    /* Runs before routing on every request, when its header is complete (the body is still empty);
     * not ST_OK: the error is the answer. On the loop: must not block. May be NULL. */
    enum status (*check)(struct http_request *rq, struct error *err);
};

/* A request body may not be larger than the budget either, whatever the other limits say. */
struct http_server;
void http_server_config_init(struct http_server_config *cfg); /* the defaults */
enum status http_server_start(const struct http_server_config *cfg, const struct http_route *routes,
    uint32_t n_routes, struct http_server **ret_server, struct error *err);
uint16_t http_server_port(const struct http_server *s);
/* Stops listening, finishes what is in flight (at most drain_ns), closes, joins its threads. */
void http_server_stop(struct http_server *s, int64_t drain_ns);

#endif
