/* The header of an HTTP/1 request: finding its end, then reading it with llhttp (strict mode).
 *
 * The bytes of a header are gathered in one buffer; http1_head_scan sees them first, in whatever
 * pieces they come, and refuses what two servers could read differently: a CR or LF alone, a folded
 * line, control characters. llhttp then reads the complete header once, so all its spans are whole
 * views of that buffer and nothing is copied. What strict llhttp 8.1 lets through is refused here:
 * empty header names, more than one space in the request line, other transfer codings than
 * chunked, Transfer-Encoding in HTTP/1.0, a missing or second Host.
 *
 * Pure; no thread of its own. Failure: an error with the HTTP status to answer. */
#include "net/http1_int.h"

#include <llhttp.h>

#include "net/net_int.h"

static bool is_text(char c)
{
    return ((unsigned char)c >= 0x20 && c != 0x7F) || c == '\t';
}

static enum head_scan_state scan_byte(enum head_scan_state s, char c)
{
    switch (s) {
    case HEAD_S_START:
        return c == '\r' ? HEAD_S_START_CR : is_text(c) && c > ' ' ? HEAD_S_LINE : HEAD_S_BAD;
    case HEAD_S_START_CR:
        return c == '\n' ? HEAD_S_START : HEAD_S_BAD;
    case HEAD_S_LINE:
        return c == '\r' ? HEAD_S_CR : is_text(c) ? HEAD_S_LINE : HEAD_S_BAD;
    case HEAD_S_CR:
        return c == '\n' ? HEAD_S_LINE_START : HEAD_S_BAD;
    case HEAD_S_LINE_START:
        return c == '\r' ? HEAD_S_END_CR : is_text(c) && c > ' ' ? HEAD_S_LINE : HEAD_S_BAD;
    case HEAD_S_END_CR:
        return c == '\n' ? HEAD_S_DONE : HEAD_S_BAD;
    default:
        return HEAD_S_BAD;
    }
}

size_t http1_head_scan(enum head_scan_state *state, const char *p, size_t n)
{
    size_t at = 0;
    enum head_scan_state s = *state;
    while (at < n && s != HEAD_S_DONE && s != HEAD_S_BAD)
        s = scan_byte(s, p[at++]);
    *state = s;
    return at;
}

struct parse {
    struct http1_head *head;
    uint32_t cap;
    bool bad, complete;
};

static int on_url(llhttp_t *p, const char *at, size_t n)
{
    struct parse *ps = p->data;
    ps->head->target = str_make(at, n);
    return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
    struct parse *ps = p->data;
    if (n == 0 || ps->head->n_headers == ps->cap) {
        ps->bad = true;
        return -1;
    }
    ps->head->headers[ps->head->n_headers++] = (struct http_header){str_make(at, n), STR_EMPTY};
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
    struct parse *ps = p->data;
    if (ps->head->n_headers == 0)
        return -1;
    ps->head->headers[ps->head->n_headers - 1].value = str_trim(str_make(at, n));
    return 0;
}

static int on_complete(llhttp_t *p)
{
    struct parse *ps = p->data;
    ps->complete = true;
    return HPE_PAUSED;
}

static enum http_method method_of(uint8_t m)
{
    switch (m) {
    case HTTP_GET:
        return HTTP_M_GET;
    case HTTP_HEAD:
        return HTTP_M_HEAD;
    case HTTP_POST:
        return HTTP_M_POST;
    case HTTP_PUT:
        return HTTP_M_PUT;
    case HTTP_DELETE:
        return HTTP_M_DELETE;
    case HTTP_OPTIONS:
        return HTTP_M_OPTIONS;
    default:
        return HTTP_M_OTHER;
    }
}

static enum status refuse(struct error *err, enum status code, int http, const char *why)
{
    error_set(err, code, __FILE__, __LINE__, "%s", why);
    err->http = http;
    return code;
}

/* "METHOD SP target SP HTTP/1.x": llhttp takes more spaces, other protocols and no version. */
static enum status check_request_line(struct str raw, struct error *err)
{
    struct str line = str_head(raw, str_find_char(raw, '\r'));
    size_t first = str_find_char(line, ' '), last = str_rfind_char(line, ' ');
    if (first == STR_NPOS || first == last ||
        str_find_char(str_skip(line, first + 1), ' ') != last - first - 1)
        return refuse(err, ST_INVALID_ARGUMENT, 400, "malformed request line");
    struct str version = str_skip(line, last + 1);
    if (str_eq(version, STR("HTTP/1.1")) || str_eq(version, STR("HTTP/1.0")))
        return ST_OK;
    if (str_starts(version, STR("HTTP/")))
        return refuse(err, ST_UNIMPLEMENTED, 505, "HTTP version not supported");
    return refuse(err, ST_INVALID_ARGUMENT, 400, "malformed request line");
}

/* What the framing and the answer depend on, over all headers. */
static enum status check_headers(struct http1_head *h, struct error *err)
{
    uint32_t hosts = 0, codings = 0;
    for (uint32_t i = 0; i < h->n_headers; i++) {
        struct str name = h->headers[i].name, value = h->headers[i].value;
        if (str_eq_nocase(name, STR("host"))) {
            hosts++;
        } else if (str_eq_nocase(name, STR("transfer-encoding"))) {
            if (codings++ || h->http10)
                return refuse(err, ST_INVALID_ARGUMENT, 400, "malformed transfer encoding");
            if (!str_eq_nocase(value, STR("chunked")))
                return refuse(err, ST_UNIMPLEMENTED, 501, "transfer encoding not supported");
        } else if (str_eq_nocase(name, STR("expect")) && !h->http10) {
            if (!str_eq_nocase(value, STR("100-continue")))
                return refuse(err, ST_INVALID_ARGUMENT, 417, "expectation not supported");
            h->expect_continue = true;
        }
    }
    if (hosts > 1 || (hosts == 0 && !h->http10))
        return refuse(err, ST_INVALID_ARGUMENT, 400, "one Host header is required");
    return ST_OK;
}

static struct str skip_empty_lines(struct str raw)
{
    while (str_starts(raw, STR("\r\n")))
        raw = str_skip(raw, 2);
    return raw;
}

enum status http1_head_parse(
    struct str raw, struct arena *arena, struct http1_head *ret_head, struct error *err)
{
    static const llhttp_settings_t settings = {.on_url = on_url,
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_headers_complete = on_complete};
    raw = skip_empty_lines(raw);
    TRY(check_request_line(raw, err));
    uint32_t lines = 0;
    for (size_t i = 0; i < raw.n; i++)
        lines += raw.p[i] == '\n';
    ASSERT(lines >= 2);
    struct http1_head head = {.target = STR_EMPTY};
    struct parse ps = {&head, lines - 2, false, false};
    if (ps.cap > HEADERS_MAX)
        return refuse(err, ST_RESOURCE_EXHAUSTED, 431, "too many request headers");
    head.headers = ARENA_ARRAY(arena, struct http_header, ps.cap);
    if (!head.headers)
        return refuse(err, ST_UNAVAILABLE, 503, "no memory for a request");
    llhttp_t p;
    llhttp_init(&p, HTTP_REQUEST, &settings);
    p.data = &ps;
    llhttp_execute(&p, raw.p, raw.n);
    if (!ps.complete || ps.bad) {
        error_set(err, ST_INVALID_ARGUMENT, __FILE__, __LINE__, "malformed request: %s",
            p.reason ? p.reason : "header");
        return ST_INVALID_ARGUMENT;
    }
    if (p.method == HTTP_CONNECT)
        return refuse(err, ST_UNIMPLEMENTED, 501, "CONNECT is not supported");
    head.method = method_of(p.method);
    head.http10 = p.http_minor == 0;
    head.keep_alive = llhttp_should_keep_alive(&p) != 0;
    head.chunked = (p.flags & F_CHUNKED) != 0;
    head.has_length = (p.flags & F_CONTENT_LENGTH) != 0;
    head.length = head.has_length ? p.content_length : 0;
    TRY(check_headers(&head, err));
    *ret_head = head;
    return ST_OK;
}

/* ---- what a refused header says ---- */

/* Cuts the next line off; at the end of what came, what there is of one. */
static struct str take_line(struct str *rest, bool *ret_whole)
{
    size_t end = str_find(*rest, STR("\r\n"));
    *ret_whole = end != STR_NPOS;
    struct str line = str_head(*rest, end);
    *rest = *ret_whole ? str_skip(*rest, end + 2) : STR_EMPTY;
    return line;
}

void http1_head_glimpse(struct str raw, struct arena *arena, struct http1_head *ret_head)
{
    bool whole;
    struct http1_head head = {.method = HTTP_M_OTHER};
    raw = skip_empty_lines(raw);
    struct str line = take_line(&raw, &whole);
    size_t space = str_find_char(line, ' ');
    if (space != STR_NPOS) {
        head.method = http_method_of(str_head(line, space));
        head.target = str_skip(line, space + 1);
        head.target = str_head(head.target, str_find_char(head.target, ' '));
    }
    head.headers = ARENA_ARRAY(arena, struct http_header, HEADERS_MAX);
    while (head.headers && head.n_headers < HEADERS_MAX) {
        line = take_line(&raw, &whole);
        size_t colon = str_find_char(line, ':');
        if (!whole || colon == STR_NPOS)
            break;
        head.headers[head.n_headers++] = (struct http_header){
            str_head(line, colon), str_trim(str_skip(line, colon + 1))};
    }
    *ret_head = head;
}
