/* gzip, whole buffers, with hard caps: libdeflate. Concatenated members are one stream.
 *
 * Memory is bounded by `limit` whatever the input claims: the output grows as it is produced. */
#ifndef CODEC_GZIP_H
#define CODEC_GZIP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

bool gzip_detect(struct str in); /* 1F 8B */

/* Into the arena. ST_RESOURCE_EXHAUSTED above `limit` bytes ("decompressed size exceeds maximum
 * allowed size of N bytes") or when the arena is full; ST_INVALID_ARGUMENT on bad data. */
enum status gzip_inflate(
    struct str in, uint64_t limit, struct arena *arena, struct str *ret_out, struct error *err);
/* Level 1..12; appends to out. */
enum status gzip_deflate(struct str in, int level, struct buf *out, struct error *err);

#endif
