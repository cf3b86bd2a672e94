/* Private to net: TLS of the listener. tls.c keeps certificates, tls_transport.c moves bytes. */
#ifndef NET_TLS_INT_H
#define NET_TLS_INT_H

#include <openssl/ssl.h>

#include "net/net_int.h"

struct tls;

/* Reads the certificates, and again whenever their files change, in a thread of its own. */
enum status tls_open(const struct http_tls_config *cfg, struct tls **ret_tls, struct error *err);
void tls_close(struct tls *t);
/* Begins a connection of transport_tls. */
void tls_accept(struct tls *t, struct conn *c);

extern const struct transport_ops transport_tls;

/* ---- between the two files ---- */

SSL *tls_session_new(struct tls *t); /* with what is valid now */

#endif
