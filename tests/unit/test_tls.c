/* TLS of the listener with real sockets and OpenSSL's client: ALPN, both protocols, certificates of
 * clients, new certificates in running connections' place, plain HTTP. Authorities and certificates
 * are made here. Nothing sleeps for luck: tests wait for bytes or for a metric. */
#include "test.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "net/tls_int.h"

/* ---- certificates ---- */

struct identity {
    EVP_PKEY *key;
    X509 *cert;
};
static struct identity ours, theirs, server_a, server_b, client, stranger;
static long serial;

/* Signed by the authority, or by itself. */
static void identity_make(struct identity *id, const char *name, const struct identity *authority)
{
    id->key = EVP_EC_gen("P-256");
    id->cert = X509_new();
    assert_true(id->key && id->cert);
    X509_set_version(id->cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(id->cert), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(id->cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(id->cert), 86400 + serial * 3600);
    X509_NAME *subject = X509_get_subject_name(id->cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_pubkey(id->cert, id->key);
    X509_set_issuer_name(id->cert, authority ? X509_get_subject_name(authority->cert) : subject);
    const char *constraint = authority ? "CA:FALSE" : "critical,CA:TRUE";
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, constraint);
    X509_add_ext(id->cert, e, -1);
    X509_EXTENSION_free(e);
    assert_true(X509_sign(id->cert, authority ? authority->key : id->key, EVP_sha256()) > 0);
}

static char dir[64], cert_path[96], key_path[96], ca_path[96];

/* In place at once, as rename does it. */
static void write_pem(const char *path, const X509 *cert, EVP_PKEY *key)
{
    char aside[112];
    snprintf(aside, sizeof aside, "%s.new", path);
    FILE *f = fopen(aside, "w");
    assert_non_null(f);
    if (cert)
        assert_int_equal(PEM_write_X509(f, cert), 1);
    if (key)
        assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    assert_int_equal(rename(aside, path), 0);
}

static int make_all(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    identity_make(&ours, "ours", NULL);
    identity_make(&theirs, "theirs", NULL);
    identity_make(&server_a, "a", &ours);
    identity_make(&server_b, "b", &ours);
    identity_make(&client, "client", &ours);
    identity_make(&stranger, "stranger", &theirs);
    snprintf(dir, sizeof dir, "/tmp/everflame-tls-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(cert_path, sizeof cert_path, "%s/cert.pem", dir);
    snprintf(key_path, sizeof key_path, "%s/key.pem", dir);
    snprintf(ca_path, sizeof ca_path, "%s/ca.pem", dir);
    return 0;
}

static int remove_all(void **state)
{
    struct identity *all[] = {&ours, &theirs, &server_a, &server_b, &client, &stranger};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        EVP_PKEY_free(all[i]->key);
        X509_free(all[i]->cert);
    }
    remove(cert_path);
    remove(key_path);
    remove(ca_path);
    return rmdir(dir);
}

/* ---- the server ---- */

static struct http_server *server;

static void on_echo(struct http_request *rq, void *ctx)
{
    (void)ctx;
    http_reply_text(rq, 200, STR("text/plain"), rq->body);
}

static struct http_server_config config(void)
{
    struct http_server_config cfg;
    http_server_config_init(&cfg);
    cfg.address = STR("127.0.0.1");
    cfg.port = 0;
    cfg.workers = 2;
    cfg.tls.cert_file = str_from(cert_path);
    cfg.tls.key_file = str_from(key_path);
    cfg.tls.reload_ns = 2 * NS_PER_MS;
    write_pem(cert_path, server_a.cert, NULL);
    write_pem(key_path, NULL, server_a.key);
    write_pem(ca_path, ours.cert, NULL);
    return cfg;
}

static void start(const struct http_server_config *cfg)
{
    static const struct http_route routes[] = {
        {HTTP_M_GET | HTTP_M_POST, "/echo", "echo", on_echo, NULL, false, NULL, 0}};
    struct error err = {0};
    if (http_server_start(cfg, routes, 1, &server, &err) != ST_OK)
        fail_msg("%s", err.msg);
}

/* ---- the client ---- */

struct link {
    int fd;
    SSL_CTX *ctx;
    SSL *ssl;
};

static int tcp_connect(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET,
        .sin_port = htons(http_server_port(server)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {20, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    return fd;
}

/* The result of the handshake, and of the first read in TLS 1.3, where refusals come late. */
static bool link_open(struct link *l, const struct identity *id, const char *alpn, int version)
{
    *l = (struct link){.fd = tcp_connect(), .ctx = SSL_CTX_new(TLS_client_method())};
    X509_STORE_add_cert(SSL_CTX_get_cert_store(l->ctx), ours.cert);
    SSL_CTX_set_verify(l->ctx, SSL_VERIFY_PEER, NULL);
    if (version)
        SSL_CTX_set_max_proto_version(l->ctx, version);
    if (version == TLS1_1_VERSION) {
        SSL_CTX_set_min_proto_version(l->ctx, version);
        SSL_CTX_set_security_level(l->ctx, 0);
    }
    if (id) {
        assert_int_equal(SSL_CTX_use_certificate(l->ctx, id->cert), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(l->ctx, id->key), 1);
    }
    if (alpn)
        SSL_CTX_set_alpn_protos(l->ctx, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    l->ssl = SSL_new(l->ctx);
    SSL_set_fd(l->ssl, l->fd);
    return SSL_connect(l->ssl) == 1;
}

static void link_close(struct link *l)
{
    SSL_free(l->ssl);
    SSL_CTX_free(l->ctx);
    close(l->fd);
    ERR_clear_error();
}

static bool send_all(struct link *l, const char *p, size_t n)
{
    return SSL_write(l->ssl, p, (int)n) == (int)n;
}

/* Reads until `want` was seen, into out. */
static bool read_until(struct link *l, struct str want, struct buf *out)
{
    char chunk[4096];
    while (!str_contains(buf_view(out), want)) {
        int n = SSL_read(l->ssl, chunk, sizeof chunk);
        if (n <= 0)
            return false;
        buf_add(out, chunk, (size_t)n);
    }
    return true;
}

#define HELLO "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"

static bool hello(struct link *l)
{
    struct buf out;
    buf_init(&out, 64 * KIB);
    bool ok = send_all(l, HELLO, strlen(HELLO)) && read_until(l, STR("\r\n\r\nhello"), &out);
    buf_done(&out);
    return ok;
}

/* A whole connection: handshake and one request. */
static bool works(const struct identity *id, int version)
{
    struct link l;
    bool ok = link_open(&l, id, NULL, version) && hello(&l);
    link_close(&l);
    return ok;
}

/* ---- tests ---- */

static void test_versions_and_protocols(void **state)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
                                  "\0\0\x08\6\0\0\0\0\0pingpong";
    (void)state;
    struct http_server_config cfg = config();
    struct link l;
    struct buf out;
    const unsigned char *alpn;
    unsigned alpn_n;
    start(&cfg);
    assert_true(works(NULL, 0));
    assert_true(works(NULL, TLS1_2_VERSION));
    assert_false(works(NULL, TLS1_1_VERSION));
    assert_true(link_open(&l, NULL, "\x08http/1.1\x02h2", 0));
    SSL_get0_alpn_selected(l.ssl, &alpn, &alpn_n);
    assert_true(str_eq(str_make((const char *)alpn, alpn_n), STR("h2")));
    buf_init(&out, 64 * KIB);
    assert_true(send_all(&l, preface, sizeof preface - 1));
    assert_true(read_until(&l, STR("\0\0\x08\6\1\0\0\0\0pingpong"), &out));
    buf_done(&out);
    link_close(&l);
    assert_true(link_open(&l, NULL, "\x08http/1.1", 0));
    SSL_get0_alpn_selected(l.ssl, &alpn, &alpn_n);
    assert_true(str_eq(str_make((const char *)alpn, alpn_n), STR("http/1.1")));
    assert_true(hello(&l) && hello(&l));
    link_close(&l);
    assert_false(link_open(&l, NULL, "\x06spdy/1", 0));
    link_close(&l);
    http_server_stop(server, 0);
}

static void test_large_bodies(void **state)
{
    enum { BYTES = 3 * 1024 * 1024 };
    (void)state;
    struct http_server_config cfg = config();
    struct link l;
    struct buf rq, out;
    start(&cfg);
    buf_init(&rq, 8 * MIB);
    buf_init(&out, 8 * MIB);
    buf_printf(&rq, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", BYTES);
    size_t head = rq.n;
    for (size_t i = 0; i < BYTES; i++)
        buf_byte(&rq, (uint8_t)(i * 31 + i / 251));
    memcpy(rq.p + rq.n - 8, "the end.", 8);
    assert_true(link_open(&l, NULL, NULL, 0));
    for (int i = 0; i < 2; i++) {
        assert_true(send_all(&l, rq.p, rq.n));
        buf_clear(&out);
        assert_true(read_until(&l, STR("the end."), &out));
        size_t at = str_find(buf_view(&out), STR("\r\n\r\n")) + 4;
        assert_int_equal(out.n - at, BYTES);
        assert_memory_equal(out.p + at, rq.p + head, BYTES);
    }
    link_close(&l);
    buf_done(&rq);
    buf_done(&out);
    http_server_stop(server, 0);
}

static void test_plain_http_is_told(void **state)
{
    char text[256] = "";
    (void)state;
    struct http_server_config cfg = config();
    start(&cfg);
    int fd = tcp_connect();
    assert_int_equal(write(fd, HELLO, strlen(HELLO)), (ssize_t)strlen(HELLO));
    ssize_t n = read(fd, text, sizeof text - 1);
    assert_true(n > 0);
    assert_true(str_starts(str_from(text), STR("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an")));
    close(fd);
    assert_true(works(NULL, 0));
    http_server_stop(server, 0);
}

static void test_handshake_timeout(void **state)
{
    char byte;
    (void)state;
    struct http_server_config cfg = config();
    cfg.header_timeout_ns = 50 * NS_PER_MS;
    start(&cfg);
    int fd = tcp_connect();
    assert_int_equal(write(fd, "\x16\x03", 2), 2);
    assert_int_equal(read(fd, &byte, 1), 0);
    close(fd);
    http_server_stop(server, 0);
}

static void test_certificates_of_clients(void **state)
{
    static const struct {
        enum http_client_auth auth;
        bool none, good, foreign;
    } rows[] = {
        {HTTP_CLIENT_NONE, true, true, true},
        {HTTP_CLIENT_REQUEST, true, true, true},
        {HTTP_CLIENT_REQUIRE, false, true, true},
        {HTTP_CLIENT_VERIFY_IF_GIVEN, true, true, false},
        {HTTP_CLIENT_VERIFY, false, true, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct http_server_config cfg = config();
        cfg.tls.client_auth = rows[i].auth;
        if (rows[i].auth >= HTTP_CLIENT_VERIFY_IF_GIVEN)
            cfg.tls.client_ca_file = str_from(ca_path);
        start(&cfg);
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            assert_int_equal(works(NULL, version), rows[i].none);
            assert_int_equal(works(&client, version), rows[i].good);
            assert_int_equal(works(&stranger, version), rows[i].foreign);
        }
        http_server_stop(server, 0);
    }
}

static bool shows(const struct identity *id)
{
    struct link l;
    assert_true(link_open(&l, NULL, NULL, 0));
    X509 *got = SSL_get1_peer_certificate(l.ssl);
    bool same = X509_cmp(got, id->cert) == 0;
    X509_free(got);
    link_close(&l);
    return same;
}

static void wait_for_reload(const char *result, double before)
{
    int64_t until = clock_mono_ns() + 20 * NS_PER_S;
    while (metric_get(M_TLS_RELOADS, str_from(result)) <= before)
        assert_true(clock_mono_ns() < until);
}

static void test_new_certificates(void **state)
{
    (void)state;
    struct http_server_config cfg = config();
    struct link old;
    start(&cfg);
    assert_true(shows(&server_a));
    double end_a = metric_get(M_TLS_EXPIRY);
    assert_true(link_open(&old, NULL, NULL, 0) && hello(&old));
    double failed = metric_get(M_TLS_RELOADS, STR("failed"));
    double ok = metric_get(M_TLS_RELOADS, STR("ok"));
    write_pem(cert_path, server_b.cert, NULL); /* whose key is not there yet */
    wait_for_reload("failed", failed);
    assert_true(shows(&server_a));
    write_pem(key_path, NULL, server_b.key);
    wait_for_reload("ok", ok);
    assert_true(shows(&server_b));
    assert_true(hello(&old)); /* goes on */
    assert_true(metric_get(M_TLS_EXPIRY) == end_a + 3600);
    failed = metric_get(M_TLS_RELOADS, STR("failed"));
    assert_int_equal(remove(cert_path), 0);
    wait_for_reload("failed", failed);
    assert_true(shows(&server_b));
    link_close(&old);
    http_server_stop(server, 0);
}

static void refuses(const struct http_server_config *cfg, const char *text)
{
    struct error err = {0};
    assert_int_equal(http_server_start(cfg, NULL, 0, &server, &err), ST_INVALID_ARGUMENT);
    if (!str_contains(error_str(&err), str_from(text)))
        fail_msg("%s", err.msg);
}

static void test_start_fails(void **state)
{
    (void)state;
    struct http_server_config cfg = config();
    cfg.tls.key_file = STR("/no/key.pem");
    refuses(&cfg, "cannot read the private key /no/key.pem: No such file or directory");
    cfg = config();
    write_pem(key_path, NULL, server_b.key);
    refuses(&cfg, "the private key ");
    cfg = config();
    write_pem(cert_path, NULL, server_a.key);
    refuses(&cfg, "cert.pem cannot be used: no start line");
    cfg = config();
    cfg.tls.cipher_suites = STR("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_NONE");
    refuses(&cfg, "cipher suite TLS_NONE is not known");
    cfg = config();
    cfg.tls.client_ca_file = str_from(key_path);
    refuses(&cfg, "the client authority ");
}

static void test_settings(void **state)
{
    char cert[4096] = "", key[4096] = "";
    (void)state;
    struct http_server_config cfg = config();
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, server_b.cert);
    assert_true(BIO_read(bio, cert, sizeof cert - 1) > 0);
    PEM_write_bio_PrivateKey(bio, server_b.key, NULL, NULL, 0, NULL, NULL);
    assert_true(BIO_read(bio, key, sizeof key - 1) > 0);
    BIO_free(bio);
    cfg.tls.cert_file = cfg.tls.key_file = STR_EMPTY;
    cfg.tls.cert = str_from(cert);
    cfg.tls.key = str_from(key);
    cfg.tls.cipher_suites = STR(
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305");
    start(&cfg);
    struct link l;
    assert_true(link_open(&l, NULL, NULL, TLS1_2_VERSION) && hello(&l));
    assert_string_equal(SSL_get_cipher(l.ssl), "ECDHE-ECDSA-AES256-GCM-SHA384");
    link_close(&l);
    assert_true(shows(&server_b));
    http_server_stop(server, 0);
    cfg.tls.min_version = 13;
    start(&cfg);
    assert_false(works(NULL, TLS1_2_VERSION));
    assert_true(works(NULL, TLS1_3_VERSION));
    http_server_stop(server, 0);
}

/* A second connection of a client that has been here needs no certificate of ours. */
static void test_resumption(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    (void)state;
    struct http_server_config cfg = config();
    start(&cfg);
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct link l;
        assert_true(link_open(&l, NULL, NULL, versions[i]) && hello(&l));
        assert_false(SSL_session_reused(l.ssl));
        SSL_SESSION *session = SSL_get1_session(l.ssl);
        SSL_shutdown(l.ssl); /* else OpenSSL will not use the session again */
        SSL_free(l.ssl);
        close(l.fd);
        l.fd = tcp_connect();
        l.ssl = SSL_new(l.ctx);
        SSL_set_fd(l.ssl, l.fd);
        assert_int_equal(SSL_set_session(l.ssl, session), 1);
        assert_true(SSL_connect(l.ssl) == 1 && hello(&l));
        assert_true(SSL_session_reused(l.ssl));
        SSL_SESSION_free(session);
        link_close(&l);
    }
    http_server_stop(server, 0);
}

/* ---- turns of a loop without threads ---- */

enum { CROWD = 40 };

struct pair {
    SSL *ssl; /* the client's side, never blocking */
    int fd;
    struct conn *conn;
};

static void pair_open(struct pair *p, struct http_server *s, SSL_CTX *ctx)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    p->fd = fds[0];
    p->conn = conn_new(&s->loop, &transport_tls, &protocol_first, fds[1]);
    tls_accept(s->tls, p->conn);
    p->ssl = SSL_new(ctx);
    SSL_set_fd(p->ssl, p->fd);
    SSL_set_connect_state(p->ssl);
}

static void pair_close(struct pair *p)
{
    SSL_free(p->ssl);
    close(p->fd);
}

/* What a turn of the loop does with an event of that connection. */
static void turn(struct http_server *s, struct pair *p)
{
    conn_event(p->conn, true, true, false, false);
    loop_settle(&s->loop);
}

static bool has_bytes(const struct pair *p)
{
    char c;
    return recv(p->fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
}

static void each_closed(struct http_server *s, struct pair *p, int n)
{
    for (int i = 0; i < n; i++) {
        conn_close(p[i].conn);
        pair_close(&p[i]);
    }
    loop_settle(&s->loop);
}

/* One request, answered in the turn in which it came. */
static bool served(struct http_server *s, struct pair *p)
{
    static const char get[] = "GET /now HTTP/1.1\r\nHost: x\r\n\r\n";
    char answer[1024];
    if (SSL_write(p->ssl, get, sizeof get - 1) != sizeof get - 1)
        return false;
    turn(s, p);
    int n = SSL_read(p->ssl, answer, sizeof answer);
    return n > 12 && memcmp(answer, "HTTP/1.1 200", 12) == 0;
}

static void establish(struct http_server *s, struct pair *p)
{
    for (int i = 0; SSL_do_handshake(p->ssl) != 1; i++) {
        assert_true(i < 4);
        turn(s, p);
    }
    turn(s, p); /* the client's last words */
    assert_false(p->conn->costly);
}

static struct http_server *start_without_threads(SSL_CTX **ret_client)
{
    static const struct http_route routes[] = {
        {HTTP_M_GET, "/now", "now", on_echo, NULL, true, NULL, 0}};
    struct http_server_config cfg = config();
    struct http_server *s;
    cfg.tls.reload_ns = 0;
    assert_int_equal(server_new(&cfg, routes, 1, &s, NULL), ST_OK);
    assert_int_equal(tls_open(&s->cfg.tls, &s->tls, NULL), ST_OK);
    *ret_client = SSL_CTX_new(TLS_client_method());
    return s;
}

/* A crowd of clients begins its handshakes at once. In every turn one of them, the first, gets on,
 * and a client that was there before is answered in the turn in which it asks. */
static void test_storm_of_handshakes(void **state)
{
    struct pair before, crowd[CROWD];
    SSL_CTX *ctx;
    (void)state;
    struct http_server *s = start_without_threads(&ctx);
    pair_open(&before, s, ctx);
    establish(s, &before);
    for (int i = 0; i < CROWD; i++) {
        pair_open(&crowd[i], s, ctx);
        assert_int_equal(SSL_do_handshake(crowd[i].ssl), -1);
        conn_event(crowd[i].conn, true, true, false, false);
    }
    for (int k = 0; k < CROWD; k++) {
        assert_true(served(s, &before));
        for (int i = 0; i < CROWD; i++)
            assert_int_equal(has_bytes(&crowd[i]), i <= k);
    }
    assert_true(served(s, &before));
    for (int i = 0; i < CROWD; i++) {
        establish(s, &crowd[i]);
        assert_true(served(s, &crowd[i]));
    }
    each_closed(s, &before, 1);
    each_closed(s, crowd, CROWD);
    SSL_CTX_free(ctx);
    server_free(s);
}

/* Those that go while they wait in line cost nobody a turn. */
static void test_gone_while_in_line(void **state)
{
    struct pair crowd[CROWD];
    SSL_CTX *ctx;
    (void)state;
    struct http_server *s = start_without_threads(&ctx);
    for (int i = 0; i < CROWD; i++) {
        pair_open(&crowd[i], s, ctx);
        assert_int_equal(SSL_do_handshake(crowd[i].ssl), -1);
        conn_event(crowd[i].conn, true, true, false, false);
    }
    for (int i = 0; i < CROWD - 1; i++)
        conn_event(crowd[i].conn, false, false, true, true);
    loop_settle(&s->loop);
    loop_settle(&s->loop);
    assert_int_equal(s->loop.n_conns, 1);
    assert_true(has_bytes(&crowd[CROWD - 1]));
    s->loop.now_ns += 11 * NS_PER_S; /* more than a handshake may take */
    loop_settle(&s->loop);
    assert_int_equal(s->loop.n_conns, 0);
    for (int i = 0; i < CROWD; i++)
        pair_close(&crowd[i]);
    SSL_CTX_free(ctx);
    server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions_and_protocols),
        cmocka_unit_test(test_large_bodies),
        cmocka_unit_test(test_plain_http_is_told),
        cmocka_unit_test(test_handshake_timeout),
        cmocka_unit_test(test_certificates_of_clients),
        cmocka_unit_test(test_new_certificates),
        cmocka_unit_test(test_start_fails),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_storm_of_handshakes),
        cmocka_unit_test(test_gone_while_in_line),
    };
    return cmocka_run_group_tests(tests, make_all, remove_all);
}
