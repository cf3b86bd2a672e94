/* Base64, RFC 4648. Decoding takes the standard and the URL alphabet, padding or none, and passes
 * over line ends; encoding writes the standard alphabet with padding. */
#ifndef CODEC_BASE64_H
#define CODEC_BASE64_H

#include "base/arena.h"
#include "base/buf.h"

/* Into the arena. False on bytes that are not base64, or (arena->full) without memory. */
bool base64_decode(struct str in, struct arena *arena, struct str *ret_out);
void base64_put(struct buf *out, struct str in);

#endif
