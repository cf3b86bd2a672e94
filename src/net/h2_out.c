/* What leaves on HTTP/2: replies become frames, frames become one write.
 *
 * A reply's fields are text, "Name: value\r\n"; here they become name-value pairs in lower case.
 * The content is not given to nghttp2: it makes the head of a DATA frame, and h2_out_data copies
 * that and the bytes behind it straight into the buffer that is written.
 *
 * Invariants: 1. h2_out_fill runs only when nothing is left to be written, so at most H2_FILL_BYTES
 * and one frame wait. 2. `sent` counts what frames were made for. Thread: the loop. Failure: the
 * session fails and the connection is closed. */
#include "net/h2_int.h"

enum { FRAME_HEAD_BYTES = 9, OWN_FIELDS = 3, DIGITS_MAX = 20, OUT_BYTES = 512 };

/* ---- fields ---- */

static nghttp2_nv nv_make(struct str name, struct str value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name.p, (uint8_t *)(uintptr_t)value.p, name.n,
        value.n, NGHTTP2_NV_FLAG_NONE};
}

/* Decimal, written from the end of text. */
static struct str digits(char text[DIGITS_MAX], uint64_t v)
{
    size_t at = DIGITS_MAX;
    do
        text[--at] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    return str_make(text + at, DIGITS_MAX - at);
}

static void lower(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] |= 0x20;
}

/* Appends the fields of that text; false when there are too many. */
static bool put_fields(struct buf *text, nghttp2_nv *v, size_t *n, size_t max)
{
    struct str rest = buf_view(text);
    while (rest.n) {
        size_t end = str_find_char(rest, '\r'), colon = str_find_char(rest, ':');
        ASSERT(end != STR_NPOS && colon < end);
        if (*n == max)
            return false;
        lower(text->p + (rest.p - text->p), colon);
        struct str name = str_head(rest, colon);
        struct str value = str_trim(str_skip(str_head(rest, end), colon + 2));
        v[(*n)++] = nv_make(name, value);
        rest = str_skip(rest, end + 2);
    }
    return true;
}

/* ---- content ---- */

static int submit_trailers(struct h2_stream *s)
{
    nghttp2_nv v[HEADERS_MAX];
    size_t n = 0;
    if (!put_fields(&s->rq->trailers, v, &n, HEADERS_MAX))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return nghttp2_submit_trailer(s->h2->session, s->id, v, n);
}

/* How long the next DATA frame is. */
static ssize_t read_content(nghttp2_session *session, int32_t id, uint8_t *p, size_t n,
    uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct h2_stream *s = source->ptr;
    size_t left = s->rq->content.n - s->sent, take = MIN(n, left);
    bool more = s->state == H2_LIVE && !s->ended;
    (void)session, (void)id, (void)p, (void)user;
    if (more && left == 0)
        return NGHTTP2_ERR_DEFERRED;
    s->sent += take;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (take < left || more)
        return (ssize_t)take;
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (s->rq->trailers.n) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        if (submit_trailers(s) != 0)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return (ssize_t)take;
}

int h2_out_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head, size_t n,
    nghttp2_data_source *source, void *user)
{
    struct h2 *h = user;
    struct h2_stream *s = source->ptr;
    (void)session;
    if (h->out->n >= H2_FILL_BYTES)
        return NGHTTP2_ERR_WOULDBLOCK;
    ASSERT(frame->data.padlen == 0 && s->sent >= n);
    buf_add(h->out, head, FRAME_HEAD_BYTES);
    if (n) /* the last frame may only end the stream */
        buf_add(h->out, s->rq->content.p + (s->sent - n), n);
    s->copied = s->sent;
    h->tokens += (int64_t)(n / H2_TOKEN_BYTES);
    h->progress = true;
    return 0;
}

/* ---- replies ---- */

/* The status and the fields, with the length of what is there; `more`: content or trailers. */
static void submit_fields(struct h2_stream *s, bool with_length, bool more)
{
    struct h2 *h = s->h2;
    struct request *r = s->rq;
    nghttp2_nv v[HEADERS_MAX];
    size_t n = 0;
    char status[DIGITS_MAX], length[DIGITS_MAX];
    v[n++] = nv_make(STR(":status"), digits(status, (uint64_t)r->status));
    v[n++] = nv_make(STR("date"), loop_date(h->c->loop));
    if (!put_fields(&r->fields, v, &n, HEADERS_MAX - OWN_FIELDS)) {
        h->failed = true;
        return;
    }
    if (with_length)
        v[n++] = nv_make(STR("content-length"), digits(length, r->content.n));
    nghttp2_data_provider data = {.source = {.ptr = s}, .read_callback = read_content};
    h->failed |= nghttp2_submit_response(h->session, s->id, v, n, more ? &data : NULL) != 0;
}

void h2_out_reply(struct h2_stream *s)
{
    struct h2 *h = s->h2;
    struct request *r = s->rq;
    bool bodiless = r->status == 204 || r->status == 304;
    bool content = !bodiless && r->pub.method != HTTP_M_HEAD && r->content.n;
    if (r->abandoned)
        h->failed |= nghttp2_submit_rst_stream(
                         h->session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR) != 0;
    else
        submit_fields(s, !bodiless && !r->trailers.n, content || (r->trailers.n && !bodiless));
}

void h2_out_begin(struct h2_stream *s)
{
    submit_fields(s, false, true);
}

void h2_out_fill(struct h2 *h)
{
    struct buf out;
    const uint8_t *p;
    ssize_t n = 1;
    if (!nghttp2_session_want_write(h->session))
        return;
    buf_init(&out, 2 * MIB);
    buf_reserve(&out, OUT_BYTES);
    h->out = &out;
    while (out.n < H2_FILL_BYTES && (n = nghttp2_session_mem_send(h->session, &p)) > 0)
        buf_add(&out, p, (size_t)n);
    h->out = NULL;
    h->failed |= n < 0 || out.failed;
    if (out.n)
        conn_send(h->c, &out);
    else
        buf_done(&out);
}
