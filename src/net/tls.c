/* Certificates of the listener: loaded at start, loaded again when their files change.
 *
 * Everything of one loading is one SSL_CTX. A connection takes the current one with it, so that a
 * change touches only new connections. A thread looks at the files (size, time, inode: also a
 * swapped symbolic link shows) every reload_ns; when they differ from those tried last it loads
 * them aside and, if all of it is valid, puts the result in place. Certificate and key may be
 * replaced one after the other: in between the pair does not fit, the old one stays, and the next
 * change is tried again.
 *
 * Lock "tls" guards the current context, taken by the loop for a moment per connection. Failure:
 * at start an error that names the file; later a line in the log, a metric, and the old ones. */
#include "net/tls_int.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"

enum { FILES = 3 };

struct file_state {
    int64_t size, mtime_ns;
    uint64_t inode;
};

struct tls {
    struct http_tls_config cfg; /* strings point to own copies */
    char *copies[8];
    uint32_t n_copies;
    struct file_state tried[FILES];
    pthread_t thread;
    bool started;
    struct mutex lock;
    struct cond wake;
    SSL_CTX *current; /* lock */
    bool stop;        /* lock */
};

/* ---- loading ---- */

static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text ? text : "unknown error";
}

/* The file, or the text that was given instead. */
static enum status source_open(
    struct str file, struct str text, const char *what, BIO **ret_bio, struct error *err)
{
    ERR_clear_error();
    errno = 0;
    BIO *bio = file.n ? BIO_new_file(file.p, "r") : BIO_new_mem_buf(text.p, (int)text.n);
    if (!bio) /* not as os_errno: that would speak of the port */
        FAIL(err, ST_INVALID_ARGUMENT, "cannot read the %s %.*s: %s", what, STR_ARG(file),
            strerror(errno));
    *ret_bio = bio;
    return ST_OK;
}

static enum status bad_source(struct str file, const char *what, struct error *err)
{
    FAIL(err, ST_INVALID_ARGUMENT, "the %s %.*s cannot be used: %s", what, STR_ARG(file), reason());
}

static void show_expiry(const X509 *cert)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
        return;
    int64_t days = clock_days_from_civil(
        tm.tm_year + 1900, (unsigned)tm.tm_mon + 1, (unsigned)tm.tm_mday);
    metric_set(
        M_TLS_EXPIRY, (double)(days * 86400 + tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec));
}

/* The certificate first, then those that lead to the authority. */
static enum status load_chain(const struct tls *t, SSL_CTX *ctx, struct error *err)
{
    BIO *bio = NULL;
    X509 *cert, *more;
    TRY(source_open(t->cfg.cert_file, t->cfg.cert, "certificate", &bio, err));
    cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    bool ok = cert && SSL_CTX_use_certificate(ctx, cert) == 1;
    while (ok && (more = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        ok = SSL_CTX_add0_chain_cert(ctx, more) == 1;
    BIO_free(bio);
    if (!ok) {
        X509_free(cert);
        return bad_source(t->cfg.cert_file, "certificate", err);
    }
    show_expiry(cert);
    X509_free(cert);
    return ST_OK;
}

static enum status load_key(const struct tls *t, SSL_CTX *ctx, struct error *err)
{
    BIO *bio = NULL;
    TRY(source_open(t->cfg.key_file, t->cfg.key, "private key", &bio, err));
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, (void *)(uintptr_t) "");
    BIO_free(bio);
    bool ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    return ok ? ST_OK : bad_source(t->cfg.key_file, "private key", err);
}

static enum status load_authorities(const struct tls *t, SSL_CTX *ctx, struct error *err)
{
    BIO *bio = NULL;
    X509 *cert;
    uint32_t n = 0;
    if (t->cfg.client_ca_file.n == 0 && t->cfg.client_ca.n == 0)
        return ST_OK;
    TRY(source_open(t->cfg.client_ca_file, t->cfg.client_ca, "client authority", &bio, err));
    bool ok = true;
    while (ok && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        ok = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), cert) == 1 &&
             SSL_CTX_add_client_CA(ctx, cert) == 1;
        X509_free(cert);
        n++;
    }
    BIO_free(bio);
    return ok && n ? ST_OK : bad_source(t->cfg.client_ca_file, "client authority", err);
}

/* ---- what is spoken ---- */

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
    const unsigned char *in, unsigned in_n, void *arg)
{
    static const unsigned char ours[] = "\x02h2\x08http/1.1";
    unsigned char *picked;
    (void)ssl, (void)arg;
    int r = SSL_select_next_proto(&picked, out_n, ours, sizeof ours - 1, in, in_n);
    if (r != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = picked;
    return SSL_TLSEXT_ERR_OK;
}

static int take_any(int verified, X509_STORE_CTX *store)
{
    (void)verified, (void)store;
    return 1; /* any certificate will do */
}

static void set_client_auth(const struct tls *t, SSL_CTX *ctx)
{
    static const int modes[] = {
        [HTTP_CLIENT_NONE] = SSL_VERIFY_NONE,
        [HTTP_CLIENT_REQUEST] = SSL_VERIFY_PEER,
        [HTTP_CLIENT_REQUIRE] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
        [HTTP_CLIENT_VERIFY_IF_GIVEN] = SSL_VERIFY_PEER,
        [HTTP_CLIENT_VERIFY] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    };
    enum http_client_auth auth = t->cfg.client_auth;
    bool any = auth == HTTP_CLIENT_REQUEST || auth == HTTP_CLIENT_REQUIRE;
    SSL_CTX_set_verify(ctx, modes[auth], any ? take_any : NULL);
}

/* Names of the standard, separated by commas, for TLS 1.2 and before; empty: OpenSSL's. */
static enum status set_ciphers(const struct tls *t, SSL_CTX *ctx, struct error *err)
{
    struct str_split it = {t->cfg.cipher_suites, false};
    struct str name;
    char list[2048], standard[128];
    size_t n = 0;
    while (t->cfg.cipher_suites.n && str_split_next(&it, ',', &name)) {
        name = str_trim(name);
        const char *tail = str_ends(name, STR("CHACHA20_POLY1305")) ? "_SHA256" : "";
        snprintf(standard, sizeof standard, "%.*s%s", STR_ARG(str_head(name, 100)), tail);
        const char *ours = OPENSSL_cipher_name(standard);
        size_t room = sizeof list - n;
        if (strcmp(ours, "(NONE)") == 0 || strlen(ours) + 2 > room)
            FAIL(err, ST_INVALID_ARGUMENT, "cipher suite %.*s is not known", STR_ARG(name));
        n += (size_t)snprintf(list + n, room, "%s%s", n ? ":" : "", ours);
    }
    if (n && SSL_CTX_set_cipher_list(ctx, list) != 1)
        FAIL(err, ST_INVALID_ARGUMENT, "no cipher suite of %s can be used: %s", list, reason());
    return ST_OK;
}

static enum status fill(const struct tls *t, SSL_CTX *ctx, struct error *err)
{
    static const unsigned char id[] = "everflame";
    SSL_CTX_set_options(
        ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets: the client keeps them */
    SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
    SSL_CTX_set_session_id_context(ctx, id, sizeof id - 1);
    int version = t->cfg.min_version ? TLS1_VERSION + t->cfg.min_version - 10 : TLS1_2_VERSION;
    if (SSL_CTX_set_min_proto_version(ctx, version) != 1)
        FAIL(err, ST_INVALID_ARGUMENT, "TLS version %#x cannot be used", (unsigned)version);
    TRY(set_ciphers(t, ctx, err));
    set_client_auth(t, ctx);
    TRY(load_authorities(t, ctx, err));
    TRY(load_chain(t, ctx, err));
    return load_key(t, ctx, err);
}

static enum status load(const struct tls *t, SSL_CTX **ret_ctx, struct error *err)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx)
        FAIL(err, ST_UNAVAILABLE, "no memory for TLS");
    enum status st = fill(t, ctx, err);
    if (st != ST_OK) {
        SSL_CTX_free(ctx);
        return st;
    }
    *ret_ctx = ctx;
    return ST_OK;
}

/* ---- again ---- */

static void look(const struct tls *t, struct file_state states[FILES])
{
    const struct str files[FILES] = {t->cfg.cert_file, t->cfg.key_file, t->cfg.client_ca_file};
    memset(states, 0, FILES * sizeof *states);
    for (int i = 0; i < FILES; i++) {
        struct stat st;
        if (files[i].n == 0 || stat(files[i].p, &st) != 0)
            continue;
        states[i].size = st.st_size;
        states[i].mtime_ns = st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec;
        states[i].inode = st.st_ino;
    }
}

static void reload(struct tls *t)
{
    struct file_state now[FILES];
    struct error err = {0};
    SSL_CTX *fresh, *old;
    look(t, now);
    if (memcmp(now, t->tried, sizeof now) == 0)
        return;
    memcpy(t->tried, now, sizeof now);
    if (load(t, &fresh, &err) != ST_OK) {
        metric_add(M_TLS_RELOADS, 1, STR("failed"));
        LOG_ERROR("certificates changed and cannot be used; the old ones stay", "err=%s",
            LOG_STR(error_str(&err)));
        return;
    }
    mutex_lock(&t->lock);
    old = t->current;
    t->current = fresh;
    mutex_unlock(&t->lock);
    SSL_CTX_free(old);
    metric_add(M_TLS_RELOADS, 1, STR("ok"));
    LOG_INFO("certificates reloaded", "cert=%s", LOG_STR(t->cfg.cert_file));
}

static void *watch(void *arg)
{
    struct tls *t = arg;
    for (;;) {
        int64_t until = clock_mono_ns() + t->cfg.reload_ns;
        mutex_lock(&t->lock);
        while (!t->stop && cond_wait_until(&t->wake, &t->lock, until))
            continue;
        bool stop = t->stop;
        mutex_unlock(&t->lock);
        if (stop)
            return NULL;
        reload(t);
    }
}

SSL *tls_session_new(struct tls *t)
{
    mutex_lock(&t->lock);
    SSL *ssl = SSL_new(t->current);
    mutex_unlock(&t->lock);
    return ssl;
}

/* ---- the object ---- */

/* NUL-terminated, as the C library wants file names. */
static struct str keep(struct tls *t, struct str s)
{
    char *p = mem_new(s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    ASSERT(t->n_copies < ARRAY_LEN(t->copies));
    t->copies[t->n_copies++] = p;
    return str_make(p, s.n);
}

static enum status start(struct tls *t, struct error *err)
{
    look(t, t->tried); /* before loading: a change in between is seen */
    TRY(load(t, &t->current, err));
    if (t->cfg.reload_ns <= 0)
        return ST_OK;
    TRY(thread_start(&t->thread, "tls-reload", watch, t, err));
    t->started = true;
    return ST_OK;
}

enum status tls_open(const struct http_tls_config *cfg, struct tls **ret_tls, struct error *err)
{
    struct tls *t = NEW(struct tls);
    t->cfg = *cfg;
    t->cfg.cert_file = keep(t, cfg->cert_file);
    t->cfg.key_file = keep(t, cfg->key_file);
    t->cfg.client_ca_file = keep(t, cfg->client_ca_file);
    t->cfg.cert = keep(t, cfg->cert);
    t->cfg.key = keep(t, cfg->key);
    t->cfg.client_ca = keep(t, cfg->client_ca);
    t->cfg.cipher_suites = keep(t, cfg->cipher_suites);
    mutex_init(&t->lock, "tls", RANK_CONN);
    cond_init(&t->wake);
    enum status st = start(t, err);
    if (st != ST_OK) {
        tls_close(t);
        return st;
    }
    *ret_tls = t;
    return ST_OK;
}

void tls_close(struct tls *t)
{
    if (!t)
        return;
    mutex_lock(&t->lock);
    t->stop = true;
    mutex_unlock(&t->lock);
    cond_broadcast(&t->wake);
    if (t->started)
        thread_join(t->thread);
    SSL_CTX_free(t->current);
    cond_done(&t->wake);
    mutex_done(&t->lock);
    for (uint32_t i = 0; i < t->n_copies; i++)
        mem_free(t->copies[i]);
    mem_free(t);
}
