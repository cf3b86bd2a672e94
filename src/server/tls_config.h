/* server.http_tls_config for the listener. */
#ifndef SERVER_TLS_CONFIG_H
#define SERVER_TLS_CONFIG_H

#include "net/http.h"
#include "server/config.h"

/* Fills what the settings say; views of c. Fails where they contradict each other. */
enum status config_tls(const struct config *c, struct http_tls_config *tls, struct error *err);

#endif
