/* What both encodings of messages share: see msg.h and msg_int.h.
 *
 * Lists double, or take what a packed list announces at once; old storage stays in the arena, so a
 * list costs at most twice its size. A field whose bits are all zero is at its default, which makes
 * -0.0 a value of its own.
 * Thread: the caller's. Failure: NULL or false when the arena is full. */
#include "codec/msg_int.h"

size_t msg_value_size(const struct msg_field *f)
{
    switch (f->kind) {
    case MSG_INT32:
    case MSG_UINT32:
    case MSG_ENUM:
        return 4;
    case MSG_INT64:
    case MSG_UINT64:
    case MSG_DOUBLE:
        return 8;
    case MSG_BOOL:
        return sizeof(bool);
    case MSG_STRING:
    case MSG_BYTES:
    case MSG_JSON:
        return sizeof(struct str);
    case MSG_MESSAGE:
        break;
    }
    ASSERT(f->kind == MSG_MESSAGE);
    return f->repeated ? f->sub->size : sizeof(void *);
}

bool msg_list_reserve(struct arena *a, struct msg_list *list, size_t more, size_t size)
{
    if (more <= list->cap - list->n)
        return true;
    if (more > UINT32_MAX - list->n) {
        a->full = true;
        return false;
    }
    uint32_t need = list->n + (uint32_t)more;
    uint32_t cap = MAX(need, MIN(list->cap, UINT32_MAX / 2) * 2);
    void *v = arena_array(a, cap, size);
    if (!v)
        return false;
    if (list->n)
        memcpy(v, list->v, list->n * size);
    list->v = v;
    list->cap = cap;
    return true;
}

void *msg_list_push(struct arena *a, struct msg_list *list, size_t size)
{
    if (list->n == list->cap && !msg_list_reserve(a, list, list->cap ? 1 : 4, size))
        return NULL;
    return memset((char *)list->v + list->n++ * size, 0, size);
}

void *msg_sub(struct arena *a, void *msg, const struct msg_field *f)
{
    msg_ptr *slot = msg_slot(msg, f);
    if (!*slot)
        *slot = arena_zalloc(a, f->sub->size);
    return *slot;
}

bool msg_present(const void *msg, const struct msg_field *f)
{
    if (f->has_offset != MSG_NO_HAS)
        return *(const bool *)((const char *)msg + f->has_offset);
    const void *slot = msg_slot_view(msg, f);
    uint64_t wide;
    switch (f->kind) {
    case MSG_INT32:
    case MSG_UINT32:
    case MSG_ENUM:
        return *(const int32_t *)slot != 0;
    case MSG_INT64:
    case MSG_UINT64:
    case MSG_DOUBLE:
        memcpy(&wide, slot, sizeof wide);
        return wide != 0;
    case MSG_BOOL:
        return *(const bool *)slot;
    case MSG_STRING:
    case MSG_BYTES:
    case MSG_JSON:
        return ((const struct str *)slot)->n > 0;
    case MSG_MESSAGE:
        return *(const msg_ptr *)slot != NULL;
    }
    return false;
}
