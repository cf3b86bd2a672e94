/* Messages as tables: one description drives protobuf and proto3 JSON, both ways, into and out of
 * plain C structs. Field order on output is field number order.
 *
 * C types by kind: INT32 int32_t · INT64 int64_t · UINT32 uint32_t · UINT64 uint64_t · BOOL bool ·
 * DOUBLE double · ENUM int32_t · STRING, BYTES struct str · MESSAGE pointer to the struct (NULL =
 * absent) · JSON struct str. Repeated fields are MSG_LIST(element); repeated messages hold structs
 * by value.
 *
 * Newer parts of the protocol are known by their JSON names only. Fields and enum values whose
 * numbers nobody knows have numbers from MSG_JSON_ONLY on, which protobuf cannot express: they are
 * read from JSON and written to it, and protobuf goes without. A field of kind JSON is such a field
 * whose value was made by whoever filled it: its text is written as it is, and never read.
 *
 * Decoded data lives in the arena or is a view of the input, which must live as long. Strings of
 * protobuf are not checked to be UTF-8 (those of JSON are): who stores or shows them checks. */
#ifndef CODEC_MSG_H
#define CODEC_MSG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

enum msg_kind {
    MSG_INT32,
    MSG_INT64,
    MSG_UINT32,
    MSG_UINT64,
    MSG_BOOL,
    MSG_DOUBLE,
    MSG_ENUM,
    MSG_STRING,
    MSG_BYTES,
    MSG_MESSAGE,
    MSG_JSON,
};

#define MSG_LIST(type)   \
    struct {             \
        type *v;         \
        uint32_t n, cap; \
    }

struct msg_list { /* any MSG_LIST, for generic code */
    void *v;
    uint32_t n, cap;
} __attribute__((may_alias));

struct msg_enum {
    const char *const *names; /* by number, NULL where there is none */
    uint32_t n;
    const char *const *json_names; /* by number - MSG_JSON_ONLY */
    uint32_t n_json;
    const char *name; /* types.v1.ExemplarType; an enum of a message: pkg.Message.Enum */
};

/* The first number that is none: see above. */
#define MSG_JSON_ONLY (1 << 29)
#define MSG_NO_HAS UINT32_MAX

struct msg_field {
    const char *name; /* proto: label_selector */
    const char *json; /* labelSelector */
    uint32_t number;
    enum msg_kind kind;
    bool repeated;
    uint32_t offset;
    uint32_t has_offset; /* of a bool: `optional` scalar; MSG_NO_HAS otherwise */
    const struct msg_desc *sub;
    const struct msg_enum *values;
};

struct msg_desc {
    const char *name; /* querier.v1.SeriesRequest */
    uint32_t size;
    const struct msg_field *fields; /* by rising number */
    uint32_t n_fields;              /* at most MSG_FIELDS_MAX */
};

enum { MSG_DEPTH_MAX = 32, MSG_FIELDS_MAX = 64 };

/* ST_INVALID_ARGUMENT with the reason; ST_RESOURCE_EXHAUSTED when the arena is full. *ret_msg is a
 * struct of desc->size in the arena, zero where nothing was set. Unknown fields are skipped.
 *
 * Protobuf: lists packed or not, repeated singular messages merge, the last scalar wins, a known
 * field of another wire type is an error. JSON: names in either spelling, null is absent, a field
 * given twice is an error, an enum name that is not known leaves the field unset. In both, an enum
 * given by a number from MSG_JSON_ONLY on is INT32_MAX: those values have names only. */
enum status msg_decode_proto(const struct msg_desc *desc, struct str in, struct arena *arena,
    void **ret_msg, struct error *err);
enum status msg_decode_json(const struct msg_desc *desc, struct str in, struct arena *arena,
    void **ret_msg, struct error *err);
/* Fields at their default are omitted, `optional` ones written whenever set. Fails only through
 * out->failed. */
void msg_encode_proto(const struct msg_desc *desc, const void *msg, struct buf *out);
void msg_encode_json(const struct msg_desc *desc, const void *msg, struct buf *out);

#endif
