/* Skipping protobuf fields: see proto_skip.h. Every loop consumes input. */
#include "codec/proto_skip.h"

static void skip_plain(struct cursor *c, unsigned wire)
{
    if (wire == WIRE_VARINT)
        cursor_uvarint(c);
    else if (wire == WIRE_FIXED64)
        cursor_bytes(c, 8);
    else if (wire == WIRE_FIXED32)
        cursor_bytes(c, 4);
    else if (wire == WIRE_BYTES)
        cursor_bytes(c, cursor_uvarint(c));
    else
        cursor_fail(c);
}

/* Behind the end of the group that has just begun. */
static void skip_group(struct cursor *c)
{
    for (size_t depth = 1; depth && !c->bad;) {
        unsigned wire = (unsigned)(cursor_uvarint(c) & 7);
        if (wire == WIRE_GROUP)
            depth++;
        else if (wire == WIRE_GROUP_END)
            depth--;
        else
            skip_plain(c, wire);
    }
}

void proto_skip(struct cursor *c, uint64_t tag)
{
    if ((tag & 7) == WIRE_GROUP)
        skip_group(c);
    else
        skip_plain(c, (unsigned)(tag & 7));
}
