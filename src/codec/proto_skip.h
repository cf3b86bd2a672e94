/* Skipping protobuf fields that a streaming reader does not know: pprof and OTLP. */
#ifndef CODEC_PROTO_SKIP_H
#define CODEC_PROTO_SKIP_H

#include "base/varint.h"

enum { WIRE_VARINT, WIRE_FIXED64, WIRE_BYTES, WIRE_GROUP, WIRE_GROUP_END, WIRE_FIXED32 };

/* Behind the value of the field whose tag was just read. Groups nest, without recursion; their
 * numbers are not compared. Another wire type makes the cursor bad. */
void proto_skip(struct cursor *c, uint64_t tag);

#endif
