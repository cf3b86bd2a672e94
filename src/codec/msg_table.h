/* How tables of messages are written: one row per field, by rising number, checked by the compiler
 * against the struct. For the .c files that have such tables, and included by them last. */
#ifndef CODEC_MSG_TABLE_H
#define CODEC_MSG_TABLE_H

#include "codec/msg.h"

#define C_INT32 int32_t
#define C_INT64 int64_t
#define C_UINT32 uint32_t
#define C_UINT64 uint64_t
#define C_BOOL bool
#define C_DOUBLE double
#define C_ENUM int32_t
#define C_STRING struct str
#define C_BYTES struct str
#define C_JSON struct str

/* 1, or no array of that size. */
#define IS_TYPE(expr, type) \
    sizeof(char[__builtin_types_compatible_p(__typeof__(expr), type) ? 1 : -1])
#define AT(T, f, type) (uint32_t)(offsetof(struct T, f) + 0 * IS_TYPE(((struct T *)0)->f, type))
#define AT_LIST(T, f, type) \
    (uint32_t)(offsetof(struct T, f) + 0 * IS_TYPE(*((struct T *)0)->f.v, type))

#define ONE(T, f, json, number, kind)                                                   \
    {                                                                                   \
#f, json, number, MSG_##kind, false, AT(T, f, C_##kind), MSG_NO_HAS, NULL, NULL \
    }
#define OPTIONAL(T, f, json, number, kind)                                                        \
    {                                                                                             \
#f, json, number, MSG_##kind, false, AT(T, f, C_##kind), AT(T, has_##f, bool), NULL, NULL \
    }
#define MANY(T, f, json, number, kind)                                                      \
    {                                                                                       \
#f, json, number, MSG_##kind, true, AT_LIST(T, f, C_##kind), MSG_NO_HAS, NULL, NULL \
    }
#define ENUM(T, f, json, number, values)                                                  \
    {                                                                                     \
#f, json, number, MSG_ENUM, false, AT(T, f, int32_t), MSG_NO_HAS, NULL, &(values) \
    }
#define OPTIONAL_ENUM(T, f, json, number, values)                                         \
    {                                                                                     \
#f, json, number, MSG_ENUM, false, AT(T, f, int32_t), AT(T, has_##f, bool), NULL, \
            &(values)                                                                     \
    }
#define SUB(T, f, json, number, type)                                                            \
    {                                                                                            \
#f, json, number, MSG_MESSAGE, false, AT(T, f, struct type *), MSG_NO_HAS, &type##_desc, \
            NULL                                                                                 \
    }
#define SUBS(T, f, json, number, type)                                                             \
    {                                                                                              \
#f, json, number, MSG_MESSAGE, true, AT_LIST(T, f, struct type), MSG_NO_HAS, &type##_desc, \
            NULL                                                                                   \
    }

#define DESC(T, proto_name)            \
    const struct msg_desc T##_desc = { \
        proto_name, sizeof(struct T), T##_fields, ARRAY_LEN(T##_fields)}
/* One struct under two names: rows of `of`. */
#define DESC_LIKE(T, of, proto_name)   \
    const struct msg_desc T##_desc = { \
        proto_name, sizeof(struct of), of##_fields, ARRAY_LEN(of##_fields)}
/* No fields; the struct is m_empty. */
#define DESC_EMPTY(T, proto_name) const struct msg_desc T##_desc = {proto_name, 1, NULL, 0}

#endif
