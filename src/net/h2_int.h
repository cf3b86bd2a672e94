/* Private to net: HTTP/2 on one connection, in four files: the session (h2.c), what arrives
 * (h2_in.c), what is sent (h2_out.c), and calls that go on (h2_live.c). */
#ifndef NET_H2_INT_H
#define NET_H2_INT_H

#include <nghttp2/nghttp2.h>

#include "net/net_int.h"

enum {
    H2_STREAMS_MAX = 100,             /* at once, and requests with handlers */
    H2_WINDOW = 65535,                /* of the connection and of each stream, at first */
    H2_FILL_BYTES = 64 * 1024,        /* frames in one write */
    H2_QUEUE_MAX = 256,               /* frames that wait to be written; then nothing is read */
    H2_UNSENT_MAX = 32 * 1024 * 1024, /* of replies; then streams are refused */
    H2_TOKENS = 10000,                /* frames at once beyond what requests need, and a second */
    H2_TOKENS_REQUEST = 16,           /* given for each answered request */
    H2_TOKEN_BYTES = 256,             /* moved bytes that give one */
    H2_LIVE_MAX = 16,                 /* calls that go on, of a connection */
    H2_LIVE_ALL_MAX = 1024,           /* of the server */
};

enum h2_state {
    H2_HEAD,     /* the header arrives */
    H2_BODY,     /* the body arrives */
    H2_COMPLETE, /* but not yet paid for */
    H2_HANDLING, /* a handler or the server itself will reply; what still arrives is dropped */
    H2_REPLY,    /* the reply is on its way */
    H2_LIVE,     /* body and reply go on in pieces */
};

struct h2_stream {
    struct h2_stream *prev, *next;           /* all of the connection */
    struct h2_stream *wait_prev, *wait_next; /* in `list`, oldest progress first */
    struct h2_list *list;                    /* NULL: waits for nothing from the client */
    int64_t progress_ns;
    struct h2 *h2;
    struct request *rq; /* until the stream and the handler are both done with it */
    int32_t id;
    enum h2_state state;
    int header_fault; /* 0, or the status to answer when the header is complete */
    bool head;        /* the header is complete: another one is trailers */
    bool unwanted;    /* one stream too many: refused as soon as its header says whose it is */
    bool has_length, remote_done, closed;
    bool begun, heard_end,
        ended;         /* H2_LIVE: fields are sent; the body's end is told; no more writes */
    uint32_t window;   /* how much the client may send ahead */
    uint64_t length;   /* of the body, has_length; */
    uint64_t body_max; /* of this request */
    uint64_t unpaid;   /* bytes that arrived and were not given back to the window */
    size_t sent;       /* of the reply's content */
    size_t copied;     /* of sent: into what is written; H2_LIVE */
};

struct h2_list {
    struct h2_stream *first, *last;
};

struct h2 {
    struct conn *c;
    nghttp2_session *session;
    struct h2_stream *streams;
    struct h2_list receiving, starved; /* starved: no room in the budget */
    uint32_t n_handling, n_replying, n_live;
    uint64_t unsent;   /* bytes of the replies of n_replying */
    uint64_t windows;  /* what streams have beyond H2_WINDOW */
    struct buf *out;   /* being filled */
    uint64_t lingered; /* bytes dropped */
    int64_t tokens, tokens_ns;
    int32_t last_id, cut_id; /* the highest that was opened; that we have reset */
    bool progress;           /* of replies, since the timer was looked at */
    bool failed, lingering, stopping, stop_heard, flooded;
};

/* ---- h2.c ---- */

/* With its request; nobody else may have that now. */
void h2_stream_free(struct h2_stream *s);
/* The stream waits in that list (at its end), or in none. */
void h2_wait(struct h2_stream *s, struct h2_list *list);
/* From here until the reply nothing of the request is ours. */
void h2_handling(struct h2_stream *s);
void h2_refuse(struct h2_stream *s, enum http_refusal why, const char *msg);

/* ---- h2_in.c ---- */

struct h2_stream *h2_in_begin(struct h2 *h, int32_t id);
void h2_in_header(struct h2_stream *s, struct str name, struct str value);
void h2_in_head_done(struct h2_stream *s);
/* Tells the route of a stream whose request is not complete; what becomes of it is the caller's. */
void h2_in_tell_refused(struct h2_stream *s, enum http_refusal why, const char *msg);
void h2_in_data(struct h2_stream *s, const char *p, size_t n);
void h2_in_end(struct h2_stream *s);
/* The window of what the stream did not take, and its share of the connection's. */
void h2_in_close(struct h2_stream *s);
void h2_in_budget(struct h2 *h);
/* Streams without progress for too long are refused. */
void h2_in_expire(struct h2 *h);

/* ---- h2_live.c ---- */

/* Routed to http_stream_ops: opened, or refused when there are too many. */
void h2_live_open(struct h2_stream *s);
void h2_live_data(struct h2_stream *s, const char *p, size_t n);
void h2_live_end(struct h2_stream *s);
/* The stream is closed, or the connection is: the last that its handler hears. */
void h2_live_close(struct h2_stream *s);
/* What waited because the client did not read. */
void h2_live_written(struct h2 *h);
void h2_live_tick(struct h2 *h);
void h2_live_stop(struct h2 *h);
/* Something is to be sent that the client does not take. */
bool h2_live_unread(const struct h2 *h);

/* ---- h2_out.c ---- */

void h2_out_begin(struct h2_stream *s); /* the fields of a reply whose content comes in pieces */
void h2_out_reply(struct h2_stream *s);
void h2_out_fill(struct h2 *h);
int h2_out_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t n,
    nghttp2_data_source *source, void *user);

#endif
