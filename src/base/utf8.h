/* UTF-8 by RFC 3629: no surrogates, no overlong forms, at most U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/str.h"

bool utf8_valid(struct str s);
/* One code point; returns its length, 0 when the bytes are not valid. */
size_t utf8_decode(struct str s, uint32_t *ret_cp);
/* Writes 1-4 bytes; cp must be a scalar value (asserted). */
size_t utf8_encode(char out[4], uint32_t cp);

#endif
