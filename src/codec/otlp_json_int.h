/* The OTLP messages as tables, for JSON: otlp_json_table.c; the same as text in proto/opentelemetry
 * (a test compares them). Private to codec. */
#ifndef CODEC_OTLP_JSON_INT_H
#define CODEC_OTLP_JSON_INT_H

#include "base/base.h"

enum otlp_json_kind {
    OTLP_JSON_INT32,
    OTLP_JSON_INT64,
    OTLP_JSON_UINT32,
    OTLP_JSON_UINT64,
    OTLP_JSON_FIXED64,
    OTLP_JSON_BOOL,
    OTLP_JSON_DOUBLE,
    OTLP_JSON_STRING,
    OTLP_JSON_BYTES,
    OTLP_JSON_MESSAGE,
};

struct otlp_json_message;
struct otlp_json_field {
    const char *name; /* proto: time_unix_nano */
    const char *json; /* timeUnixNano */
    uint8_t number;
    bool repeated;
    uint8_t id_bytes; /* BYTES: an id of that length; 0: any bytes */
    enum otlp_json_kind kind;
    const struct otlp_json_message *sub;
};
struct otlp_json_message {
    const char *name;
    const struct otlp_json_field *fields; /* by rising number */
    uint32_t n_fields;                    /* at most 32 */
};

extern const struct otlp_json_message otlp_json_request;

#endif
