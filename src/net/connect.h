/* Unary RPC over any HTTP version, as Connect, gRPC or gRPC-Web, whichever the content type names:
 * compression, deadlines, errors.
 *
 * A method is one row of a table; its function gets a decoded request and ends the call exactly
 * once, now or later and from any thread, with connect_reply or connect_fail. Facts of the
 * protocol: the Connect specification (unary), and what the reference answers. */
#ifndef NET_CONNECT_H
#define NET_CONNECT_H

#include "codec/msg.h"
#include "net/http.h"

enum rpc_form { RPC_CONNECT, RPC_GRPC, RPC_GRPC_WEB, RPC_GRPC_WEB_TEXT };

struct connect_call {
    struct http_request *rq;
    const struct connect_method *method;
    struct arena *arena;      /* = &rq->arena */
    int64_t deadline_mono_ns; /* 0: none (Connect-Timeout-Ms, grpc-timeout) */
    enum rpc_form form;
    bool json; /* else proto */
    bool request_was_gzip;
};

typedef void (*connect_fn)(struct connect_call *call, const void *request, void *ctx);

struct connect_method {
    const char *path;               /* "/querier.v1.QuerierService/Series" */
    const char *name;               /* route name for metrics: "querier_v1_querierservice_series" */
    const struct msg_desc *request; /* NULL: fn gets a const struct str *, the message's bytes */
    const struct msg_desc *response;
    connect_fn fn;
    void *ctx;
    uint64_t message_bytes_max; /* before and after decompression; 0: 16 MiB */
    /* Told of a request that is answered with an error before fn; must not reply. May be NULL. */
    void (*refused)(struct http_request *rq, const struct error *err, void *ctx);
    bool unlisted;   /* clients that ask what there is do not hear of it */
    const void *row; /* the owner's, for fn */
};

/* What a body may have besides its message: the framing of gRPC. For http_route.body_bytes_max. */
enum { CONNECT_FRAMING_BYTES = 5 };

/* Route handler; route.ctx is the const struct connect_method. Register methods as HTTP_M_POST. */
void connect_handle(struct http_request *rq, void *method);
/* For http_route.too_large of such routes: resource_exhausted. */
void connect_too_large(struct http_request *rq, uint64_t seen, uint64_t max);

void connect_reply(struct connect_call *call, const void *response);
/* Connect: {"code":…,"message":…} as application/json, never compressed, status by the code's
 * table; gRPC: in the trailers. */
void connect_fail(struct connect_call *call, const struct error *err);
/* The same, and gRPC clients are told to try again in that many seconds (google.rpc.RetryInfo). */
void connect_fail_later(struct connect_call *call, const struct error *err, uint32_t retry_s);

#endif
