/* The time grammar of from/until (spec/ingest.md §2.3, spec/query.md §4.3): never fails, what is
 * not understood means now. */
#ifndef CODEC_WHEN_H
#define CODEC_WHEN_H

#include "base/str.h"

int64_t when_parse_ns(struct str text, int64_t now_ns);

#endif
