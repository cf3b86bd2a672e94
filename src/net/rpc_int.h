/* Private to net: what the forms of a call have in common (connect.c) and the gRPC forms (grpc.c).
 * A form reads its headers and its body into one message, and writes a message or an error. */
#ifndef NET_RPC_INT_H
#define NET_RPC_INT_H

#include "net/connect.h"

#define RPC_RESPONSE_BYTES_MAX (512 * MIB)
/* Half the time of level 4 for a twelfth more bytes: of a flame graph that took a quarter. */
enum { RPC_GZIP_LEVEL = 1 };

uint64_t rpc_message_max(const struct connect_method *m);
/* Tokens between commas and blanks; one with a q-value is another token, as in the reference. */
bool rpc_accepts_gzip(const struct http_request *rq, struct str header);
/* "gzip", "identity" or nothing; else ST_UNIMPLEMENTED. */
enum status rpc_read_encoding(struct str value, bool *ret_gzip, struct error *err);
/* At most the method's maximum, before and after. */
enum status rpc_inflate(struct connect_call *call, struct str *body, struct error *err);
enum status rpc_too_large(uint64_t size, uint64_t max, struct error *err);
enum status rpc_decode(
    struct connect_call *call, struct str body, void **ret_message, struct error *err);
/* Into out, which fails by its limit. */
void rpc_encode(const struct connect_call *call, const void *response, struct buf *out);

/* A message of gRPC: flags (bit 0: compressed), length (4 bytes, big endian), bytes. */
enum { GRPC_PREFIX_BYTES = 5, GRPC_COMPRESSED = 1 };
/* Sets the prefix of the message that begins at `at` and ends where out does. */
void grpc_put_prefix(struct buf *out, size_t at, uint8_t flags);
/* Percent-encoded: printable ASCII stays, what is not UTF-8 becomes U+FFFD. */
void grpc_put_percent(struct buf *out, struct str s);
/* grpc-timeout: one to eight digits and a unit. What is too far away is no deadline: 0 stays. */
enum status grpc_read_timeout(
    const struct http_request *rq, int64_t *ret_deadline_mono_ns, struct error *err);

/* For http_response.grpc_result. */
const char *grpc_result_of(const struct http_request *rq, enum status code);

/* One of the gRPC content types: *ret_json, *ret_form. */
bool grpc_content_type(const struct http_request *rq, bool *ret_json, enum rpc_form *ret_form);
enum status grpc_read(struct connect_call *call, void **ret_message, struct error *err);
void grpc_reply(struct connect_call *call, const void *response);
/* For a call that was not read, too. retry_s: as connect_fail_later, or 0. */
void grpc_fail(
    struct http_request *rq, enum rpc_form form, const struct error *err, uint32_t retry_s);

#endif
