/* Walking protobuf, for the OTLP decoder: see otlp_int.h.
 *
 * A cursor stays bad once it is, so that a message is checked once, at its end. Fields that are not
 * known, or known but of another wire type, are skipped, groups too. Nothing recurses; every loop
 * consumes input. Thread: the caller's. */
#include "codec/otlp_int.h"

#include <inttypes.h>

enum status otlp_malformed(struct error *err)
{
    FAIL(err, ST_INVALID_ARGUMENT, "proto: cannot parse invalid wire-format data");
}

enum status otlp_full(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "the profiles need more memory than a request may use");
}

enum status otlp_range(struct otlp_decoder *d, const char *what, int64_t index)
{
    OTLP_CONVERT_FAIL(d, "%s index out of bounds: %" PRId64, what, index);
}

void otlp_skip(struct cursor *c, uint64_t tag)
{
    if (tag >> 3 == 0 || tag > UINT32_MAX)
        cursor_fail(c);
    else
        proto_skip(c, tag);
}

static bool list_push(struct otlp_list32 *l, struct arena *arena, uint32_t value)
{
    uint32_t *to = VEC_PUSH(arena, *l);
    if (to)
        *to = value;
    return to != NULL;
}

bool otlp_list(struct otlp_list32 *l, struct arena *arena, struct cursor *c, bool packed)
{
    if (!packed)
        return list_push(l, arena, (uint32_t)cursor_uvarint(c));
    struct cursor in = otlp_sub(c);
    while (in.p < in.end)
        if (!list_push(l, arena, (uint32_t)cursor_uvarint(&in)))
            return false;
    if (in.bad)
        cursor_fail(c);
    return true;
}

/* One value; an array is given back unread. Of a oneof the last counts. */
static struct otlp_any read_one(struct cursor *c, struct str *ret_array)
{
    struct otlp_any any = {.kind = OTLP_ANY_NONE};
    *ret_array = (struct str){0};
    while (c->p < c->end) {
        uint64_t tag = cursor_uvarint(c), field = tag >> 3;
        if (field >= 1 && field <= 8) {
            any = (struct otlp_any){.kind = OTLP_ANY_NONE};
            *ret_array = (struct str){0};
        }
        switch (tag) {
        case TAG(1, WIRE_BYTES):
            any.kind = OTLP_ANY_STRING;
            any.text = cursor_bytes(c, cursor_uvarint(c));
            break;
        case TAG(3, WIRE_VARINT):
            any.kind = OTLP_ANY_INT;
            any.number = (int64_t)cursor_uvarint(c);
            break;
        case TAG(5, WIRE_BYTES):
            *ret_array = cursor_bytes(c, cursor_uvarint(c));
            break;
        case TAG(8, WIRE_VARINT):
            any.kind = OTLP_ANY_STRINDEX;
            any.number = (int32_t)cursor_uvarint(c);
            break;
        default:
            otlp_skip(c, tag);
        }
    }
    return any;
}

struct otlp_any otlp_read_any(struct cursor *c)
{
    struct otlp_any any;
    struct str array, inner;
    any = read_one(c, &array);
    if (array.p == NULL)
        return any;
    struct cursor values = cursor_make(array), only = {0};
    uint32_t n = 0;
    while (values.p < values.end) {
        uint64_t tag = cursor_uvarint(&values);
        if (tag != TAG(1, WIRE_BYTES)) {
            otlp_skip(&values, tag);
            continue;
        }
        only = otlp_sub(&values);
        n++;
    }
    if (n == 1)
        any = read_one(&only, &inner);
    if (values.bad || only.bad)
        cursor_fail(c);
    return any;
}

uint64_t otlp_u64be(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}
