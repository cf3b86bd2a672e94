/* The Accept header, which tells what a client can take: label names in UTF-8. */
#ifndef NET_ACCEPT_H
#define NET_ACCEPT_H

#include "net/http.h"

/* Every Accept header, element by element. *ret_utf8_names: one of them has the parameter
 * allow-utf8-labelnames=true. ST_INVALID_ARGUMENT "Invalid header format: …" when an element is no
 * media type: the answer to any request then is 400, text/plain, that text and a line end. */
enum status connect_accept_check(
    const struct http_request *rq, bool *ret_utf8_names, struct error *err);

#endif
