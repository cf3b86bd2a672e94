/* HTTP by libcurl: see http.h.
 *
 * One easy handle, reused, so that the requests of one command share a connection. Redirects are
 * not followed: credentials go to the server that was named and nowhere else. Proxies come from
 * the environment as with curl, but never for a loopback address. The answer is collected in a
 * buffer with a limit and copied into the caller's arena.
 *
 * Thread: one. Failure: a status whose message says what to do. */
#include "cli/http.h"

#include <curl/curl.h>

#include "base/buf.h"
#include "base/mem.h"

enum { URL_BYTES_MAX = 4096, HEADER_BYTES_MAX = 16384 };

struct http {
    CURL *curl;
    char *url;
    char *shown;                /* the same without user and password: for messages */
    struct curl_slist *headers; /* of every request */
    char *userpwd[2];           /* user, password; NULL when not given */
    struct buf answer;
    char why[CURL_ERROR_SIZE];
};

static char *dup_z(struct str s)
{
    char *z = mem_new(s.n + 1);
    memcpy(z, s.p, s.n);
    return z;
}

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
    struct http *h = ctx;
    buf_add(&h->answer, p, size * n);
    return h->answer.failed ? 0 : size * n;
}

static enum status add_header(struct http *h, const char *name, struct str value, struct error *err)
{
    struct buf line;
    buf_init(&line, HEADER_BYTES_MAX);
    buf_printf(&line, "%s: %.*s", name, STR_ARG(value));
    buf_byte(&line, 0);
    bool bad = line.failed || strlen(line.p) + 1 != line.n || strpbrk(line.p, "\r\n");
    struct curl_slist *more = bad ? NULL : curl_slist_append(h->headers, line.p);
    buf_done(&line);
    if (!more)
        FAIL(err, ST_INVALID_ARGUMENT,
            "the value for %s cannot be sent: it is too long or has line breaks", name);
    h->headers = more;
    return ST_OK;
}

static void dont_proxy_loopback(struct http *h, const char *host)
{
    if (strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
        strcmp(host, "[::1]") == 0)
        curl_easy_setopt(h->curl, CURLOPT_PROXY, "");
}

/* Whether h->url is http or https without a query; then the shown URL is set. */
static bool check_url(struct http *h)
{
    CURLU *u = curl_url();
    char *scheme = NULL, *host = NULL, *query = NULL, *shown = NULL;
    bool good = u && curl_url_set(u, CURLUPART_URL, h->url, 0) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
                (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
                curl_url_get(u, CURLUPART_QUERY, &query, 0) != CURLUE_OK &&
                curl_url_set(u, CURLUPART_USER, NULL, 0) == CURLUE_OK &&
                curl_url_set(u, CURLUPART_PASSWORD, NULL, 0) == CURLUE_OK &&
                curl_url_get(u, CURLUPART_URL, &shown, 0) == CURLUE_OK;
    if (good) {
        dont_proxy_loopback(h, host);
        struct str s = str_from(shown);
        while (str_ends(s, STR("/")))
            s.n--;
        h->shown = dup_z(s);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(query);
    curl_free(shown);
    curl_url_cleanup(u);
    return good;
}

/* Completes and checks the URL. */
static enum status set_url(struct http *h, struct str url, struct error *err)
{
    bool has_scheme = str_contains(url, STR("://"));
    while (str_ends(url, STR("/")))
        url.n--;
    if (url.n == 0 || url.n > URL_BYTES_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "--url wants a URL such as http://127.0.0.1:4040");
    struct buf b;
    buf_init(&b, URL_BYTES_MAX + 16);
    buf_printf(&b, "%s%.*s", has_scheme ? "" : "http://", STR_ARG(url));
    h->url = dup_z(buf_view(&b));
    buf_done(&b);
    if (!check_url(h))
        FAIL(err, ST_INVALID_ARGUMENT,
            "--url is not a URL of a server: write one such as http://127.0.0.1:4040");
    return ST_OK;
}

static enum status set_identity(struct http *h, const struct http_settings *s, struct error *err)
{
    TRY(add_header(h, "Accept", STR("*/*;allow-utf8-labelnames=true"), err));
    TRY(add_header(h, "Expect", STR_EMPTY, err)); /* no 100-continue */
    if (s->tenant.n)
        TRY(add_header(h, "X-Scope-OrgID", s->tenant, err));
    if (s->username.n) {
        h->userpwd[0] = dup_z(s->username);
        h->userpwd[1] = dup_z(s->password);
        curl_easy_setopt(h->curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(h->curl, CURLOPT_USERNAME, h->userpwd[0]);
        curl_easy_setopt(h->curl, CURLOPT_PASSWORD, h->userpwd[1]);
        return ST_OK;
    }
    if (!s->token.n)
        return ST_OK;
    struct buf value;
    buf_init(&value, HEADER_BYTES_MAX);
    buf_printf(&value, "Bearer %.*s", STR_ARG(s->token));
    enum status st = add_header(h, "Authorization", buf_view(&value), err);
    buf_done(&value);
    return st;
}

enum status http_open(
    const struct http_settings *settings, struct http **ret_http, struct error *err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        FAIL(err, ST_INTERNAL, "libcurl did not start");
    struct http *h = NEW(struct http);
    buf_init(&h->answer, HTTP_ANSWER_BYTES_MAX);
    h->curl = curl_easy_init();
    enum status st = h->curl
                         ? set_url(h, settings->url, err)
                         : error_set(err, ST_INTERNAL, __FILE__, __LINE__, "libcurl did not start");
    if (st == ST_OK)
        st = set_identity(h, settings, err);
    if (st != ST_OK) {
        http_close(h);
        return st;
    }
    curl_easy_setopt(h->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h->curl, CURLOPT_TIMEOUT, (long)HTTP_TIMEOUT_S);
    curl_easy_setopt(h->curl, CURLOPT_CONNECTTIMEOUT, 10L);
    curl_easy_setopt(h->curl, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(h->curl, CURLOPT_USERAGENT, "everflame/" EVERFLAME_VERSION);
    curl_easy_setopt(h->curl, CURLOPT_ERRORBUFFER, h->why);
    curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, h);
    *ret_http = h;
    return ST_OK;
}

void http_close(struct http *h)
{
    if (!h)
        return;
    curl_slist_free_all(h->headers);
    curl_easy_cleanup(h->curl);
    buf_done(&h->answer);
    mem_free(h->url);
    mem_free(h->shown);
    mem_free(h->userpwd[0]);
    mem_free(h->userpwd[1]);
    mem_free(h);
    curl_global_cleanup();
}

struct str http_url(const struct http *h)
{
    return str_from(h->shown);
}

static enum status explain(const struct http *h, CURLcode code, struct error *err)
{
    const char *why = h->why[0] ? h->why : curl_easy_strerror(code);
    if (h->answer.failed)
        FAIL(err, ST_RESOURCE_EXHAUSTED,
            "the answer is larger than %llu MiB: shorten the time range or narrow the selector",
            (unsigned long long)(HTTP_ANSWER_BYTES_MAX / MIB));
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        FAIL(err, ST_UNAVAILABLE,
            "cannot reach %s (%s): start a server with `everflame`, or name another one with "
            "--url or EVERFLAME_URL",
            h->shown, why);
    case CURLE_OPERATION_TIMEDOUT:
        FAIL(err, ST_UNAVAILABLE,
            "no answer from %s in time (%s): shorten the time range, or look whether the server "
            "is well",
            h->shown, why);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
        FAIL(err, ST_UNAVAILABLE,
            "no trusted connection to %s (%s): check the certificate, or whether the server "
            "speaks http rather than https",
            h->shown, why);
    default:
        FAIL(err, ST_UNAVAILABLE,
            "talking to %s failed (%s): check --url, or look whether the server is well", h->shown,
            why);
    }
}

/* The headers of one request in front of those of every one; NULL without memory. */
static struct curl_slist *headers_for(const struct http *h, const char *content_type)
{
    struct buf line;
    buf_init(&line, HEADER_BYTES_MAX);
    buf_printf(&line, "Content-Type: %s", content_type);
    buf_byte(&line, 0);
    struct curl_slist *list = curl_slist_append(NULL, line.p);
    buf_done(&line);
    for (struct curl_slist *it = h->headers; list && it; it = it->next)
        if (!curl_slist_append(list, it->data)) {
            curl_slist_free_all(list);
            return NULL;
        }
    return list;
}

enum status http_send(struct http *h, const char *path, const char *content_type, struct str body,
    struct arena *arena, struct http_answer *ret_answer, struct error *err)
{
    struct str url = arena_printf(arena, "%s%s", h->url, path);
    char *url_z = url.p ? arena_cstr(arena, url) : NULL;
    struct curl_slist *own = content_type ? headers_for(h, content_type) : NULL;
    if (!url_z || (content_type && !own)) {
        curl_slist_free_all(own);
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for a request");
    }
    buf_clear(&h->answer);
    h->why[0] = 0;
    curl_easy_setopt(h->curl, CURLOPT_URL, url_z);
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, own ? own : h->headers);
    if (content_type) {
        curl_easy_setopt(h->curl, CURLOPT_POST, 1L);
        curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
        curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, body.n ? body.p : "");
    } else {
        curl_easy_setopt(h->curl, CURLOPT_HTTPGET, 1L);
    }
    CURLcode code = curl_easy_perform(h->curl);
    curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, h->headers);
    curl_slist_free_all(own);
    if (code != CURLE_OK)
        return explain(h, code, err);
    long status = 0;
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
    struct str copy = arena_str(arena, buf_view(&h->answer));
    if (!copy.p)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for the answer: shorten the time range");
    *ret_answer = (struct http_answer){(int)status, copy};
    return ST_OK;
}
