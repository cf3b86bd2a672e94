/* MD5, for hashes that Prometheus defines by it; not for anything secret. */
#ifndef CODEC_MD5_H
#define CODEC_MD5_H

#include "base/str.h"

void md5(struct str s, uint8_t out[16]);

#endif
