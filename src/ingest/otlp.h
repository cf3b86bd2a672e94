/* OTLP profiles, from the bytes of an ExportProfilesServiceRequest on; which transport brought them
 * does not matter. The answer to a success is an ExportProfilesServiceResponse without fields, that
 * is: no bytes. */
#ifndef INGEST_OTLP_H
#define INGEST_OTLP_H

#include "ingest/ingest.h"

struct ingest_otlp {
    struct str tenant;
    struct str message;      /* protobuf or JSON, not compressed; lives until done */
    bool json;               /* as the content type says */
    uint64_t received_bytes; /* as sent, for metrics */
    struct arena *arena;
    int64_t now_ns;
};

/* `done` as in ingest.h. A message that is none, or refers to what is not there, is refused as a
 * whole (400), as is one over the tenant's body limit (413). Otherwise series are independent as in
 * a push: a 4xx names the first bad one while the good ones are stored, 429 and 5xx mean that
 * nothing was stored. There is no partial success: what is not stored entirely is an error. */
void ingest_otlp(
    struct ingest *ig, const struct ingest_otlp *request, ingest_done_fn done, void *ctx);

/* 413: "[uncompressed ]profile payload size exceeds limit of N MB". */
enum status ingest_otlp_too_large(const char *what, uint64_t bytes_max, struct error *err);

#endif
