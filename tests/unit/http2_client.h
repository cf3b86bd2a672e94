/* An HTTP/2 client without a socket, for test_http2.c: nghttp2's session and what it has seen. */
#ifndef TESTS_HTTP2_CLIENT_H
#define TESTS_HTTP2_CLIENT_H

#include <nghttp2/nghttp2.h>

#include "base/buf.h"
#include "base/str.h"

enum { STREAMS = 2048, NOT_CLOSED = -1 };

struct seen {
    int status;
    struct buf headers, body; /* headers and trailers: "name: value\n" */
    int64_t code;             /* of the end of the stream */
};

static struct client {
    nghttp2_session *session;
    struct seen streams[STREAMS]; /* by (id - 1) / 2 */
    int n;
    int goaways;
    uint32_t goaway_code;
    struct str body; /* of the request that is being sent */
    size_t sent;
    bool hold_body; /* no end of the body */
    size_t out_at;  /* of fx.io.out that was read */
} cl;

static struct seen *seen_of(int32_t id)
{
    assert_true(id > 0 && (id - 1) / 2 < STREAMS);
    return &cl.streams[(id - 1) / 2];
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_n, const uint8_t *value, size_t value_n, uint8_t flags, void *user)
{
    (void)session, (void)flags, (void)user;
    struct seen *s = seen_of(frame->hd.stream_id);
    uint64_t status;
    if (str_eq(str_make((const char *)name, name_n), STR(":status")) &&
        str_to_u64(str_make((const char *)value, value_n), &status))
        s->status = (int)status;
    buf_printf(&s->headers, "%.*s: %.*s\n", (int)name_n, name, (int)value_n, value);
    return 0;
}

static int on_chunk(
    nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *user)
{
    (void)session, (void)flags, (void)user;
    buf_add(&seen_of(id)->body, p, n);
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
    (void)session, (void)user;
    seen_of(id)->code = code;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    (void)session, (void)user;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        cl.goaways++;
        cl.goaway_code = frame->goaway.error_code;
    }
    return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *p, size_t n,
    uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session, (void)id, (void)source, (void)user;
    size_t left = cl.body.n - cl.sent, take = MIN(n, left);
    if (left == 0 && cl.hold_body)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(p, cl.body.p + cl.sent, take);
    cl.sent += take;
    if (cl.sent == cl.body.n && !cl.hold_body)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)take;
}

static void client_open(bool manual_windows)
{
    nghttp2_session_callbacks *call;
    nghttp2_option *option;
    cl = (struct client){0};
    for (int i = 0; i < STREAMS; i++) {
        buf_init(&cl.streams[i].headers, 64 * KIB);
        buf_init(&cl.streams[i].body, 64 * MIB);
        cl.streams[i].code = NOT_CLOSED;
    }
    nghttp2_session_callbacks_new(&call);
    nghttp2_session_callbacks_set_on_header_callback(call, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(call, on_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(call, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(call, on_frame);
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, manual_windows);
    nghttp2_option_set_peer_max_concurrent_streams(option, STREAMS);
    assert_int_equal(nghttp2_session_client_new2(&cl.session, call, NULL, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(call);
    nghttp2_submit_settings(cl.session, NGHTTP2_FLAG_NONE, NULL, 0);
}

#define NV(name, value)                                                                           \
    {                                                                                             \
        (uint8_t *)(uintptr_t)(name), (uint8_t *)(uintptr_t)(value), strlen(name), strlen(value), \
            NGHTTP2_NV_FLAG_NONE                                                                  \
    }

/* Submits a request; its body is cl.body, if that has any bytes or is held. */
__attribute__((unused)) static int32_t submit(
    const char *method, const char *path, const char *name, const char *value)
{
    nghttp2_nv v[] = {NV(":method", method), NV(":scheme", "http"), NV(":path", path),
        NV(":authority", "there"), NV(name ? name : "a", value ? value : "b")};
    nghttp2_data_provider data = {.read_callback = read_body};
    bool has = cl.body.n || cl.hold_body;
    cl.sent = 0;
    int32_t id = nghttp2_submit_request(
        cl.session, NULL, v, ARRAY_LEN(v), has ? &data : NULL, NULL);
    assert_true(id > 0);
    return id;
}

/* Without a body, and without touching the one that is being sent. */
__attribute__((unused)) static int32_t submit_get(const char *path)
{
    nghttp2_nv v[] = {
        NV(":method", "GET"), NV(":scheme", "http"), NV(":path", path), NV(":authority", "there")};
    int32_t id = nghttp2_submit_request(cl.session, NULL, v, ARRAY_LEN(v), NULL, NULL);
    assert_true(id > 0);
    return id;
}

#endif
