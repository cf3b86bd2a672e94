/* What the protobuf and the JSON side of msg.h share: slots, lists, sizes. */
#ifndef CODEC_MSG_INT_H
#define CODEC_MSG_INT_H

#include "codec/msg.h"

/* The pointer in a field of kind MESSAGE, whatever its type there. */
typedef void *msg_ptr __attribute__((may_alias));

static inline void *msg_slot(void *msg, const struct msg_field *f)
{
    return (char *)msg + f->offset;
}

static inline const void *msg_slot_view(const void *msg, const struct msg_field *f)
{
    return (const char *)msg + f->offset;
}

static inline void msg_set_has(void *msg, const struct msg_field *f)
{
    if (f->has_offset != MSG_NO_HAS)
        *(bool *)((char *)msg + f->has_offset) = true;
}

/* What a number on the wire means for an enum. */
static inline int32_t msg_enum_number(int32_t v)
{
    return v >= MSG_JSON_ONLY ? INT32_MAX : v;
}

/* Bytes of one value, or of one element of a list. */
size_t msg_value_size(const struct msg_field *f);
/* Room for `more` elements at once; false when the arena is full. */
bool msg_list_reserve(struct arena *a, struct msg_list *list, size_t more, size_t size);
/* A new zeroed element, NULL when the arena is full. */
void *msg_list_push(struct arena *a, struct msg_list *list, size_t size);
/* The message in f's slot of msg, or a new one there; NULL when the arena is full. */
void *msg_sub(struct arena *a, void *msg, const struct msg_field *f);
/* Whether a field that is not repeated is to be written: set, or not at its default. */
bool msg_present(const void *msg, const struct msg_field *f);

#endif
