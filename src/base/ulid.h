/* ULIDs: 48 bits of time in milliseconds and 80 of whatever tells apart, as 26 characters that sort
 * by time. */
#ifndef BASE_ULID_H
#define BASE_ULID_H

#include "base/str.h"

enum { ULID_CHARS = 26 };

/* The lower 40 bits of hi and of lo count. */
void ulid_put(char out[ULID_CHARS + 1], int64_t ms, uint64_t hi, uint64_t lo);
/* False when s is none, in upper case. */
bool ulid_parse(struct str s, int64_t *ret_ms);

#endif
