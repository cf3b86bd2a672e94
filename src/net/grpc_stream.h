/* gRPC calls of many messages, over HTTP/2: a method gets messages as they come and may answer
 * each, or later, from callbacks of the loop. No thread is held; nothing here may block. Answers
 * are not compressed. Facts of the protocol: gRPC over HTTP/2. */
#ifndef NET_GRPC_STREAM_H
#define NET_GRPC_STREAM_H

#include "codec/msg.h"
#include "net/http.h"

struct grpc_stream {
    struct http_request *rq;
    const struct grpc_stream_method *method;
    int64_t deadline_mono_ns; /* of the client; 0: none */
    int64_t heard_mono_ns;    /* when its last message came */
    uint64_t n_messages;      /* so far */
    bool json, gzip;
};

struct grpc_stream_method {
    const char *path; /* "/grpc.health.v1.Health/Watch" */
    const char *name; /* for metrics */
    const struct msg_desc *request, *response;
    /* A message of the client. It lives until this returns. */
    void (*message)(struct grpc_stream *st, const void *request, void *ctx);
    /* The server stops: the last that may be sent. NULL: nothing. */
    void (*stop)(struct grpc_stream *st, void *ctx);
    void *ctx;
    bool one_request;   /* the client sends one message, and is answered until somebody ends */
    int64_t silence_ns; /* how long the client may be silent; then the call is ended */
};

/* For http_route: .stream, with the method as .ctx. */
extern const struct http_stream_ops grpc_stream_ops;

void grpc_stream_send(struct grpc_stream *st, const void *response);
/* Nothing may be sent afterwards; st lives until the callback returns. */
void grpc_stream_end(struct grpc_stream *st, enum status code, struct str message);

#endif
