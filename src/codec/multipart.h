/* multipart/form-data: the file parts of a body, in place (spec/ingest.md §2.5). */
#ifndef CODEC_MULTIPART_H
#define CODEC_MULTIPART_H

#include "base/arena.h"
#include "base/status.h"

enum { MULTIPART_PARTS_MAX = 64 };

struct multipart_part {
    struct str name, filename; /* only parts with a non-empty filename are kept */
    struct str data;           /* view of the body */
};

struct multipart {
    struct multipart_part parts[MULTIPART_PARTS_MAX]; /* first of each name; empty data = absent */
    uint32_t n;
};

/* The boundary comes from the Content-Type header value. ST_INVALID_ARGUMENT on a missing boundary
 * ("malformed multipart content type header"), bad framing or too many parts. */
enum status multipart_parse(
    struct str content_type, struct str body, struct multipart *ret_parts, struct error *err);
/* {NULL, 0} when absent or empty. */
struct str multipart_get(const struct multipart *m, struct str name);

#endif
