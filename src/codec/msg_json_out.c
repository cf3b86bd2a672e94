/* Messages to proto3 JSON: see msg.h.
 *
 * One walk over the table: what is set or not at its default is written under its JSON name, in
 * field order, without blanks. Recursion is by the tables, never by input.
 * Invariant: the output is valid JSON in UTF-8 whatever the strings hold (json_put_string).
 * Thread: the caller's. Failure: only out->failed. */
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/msg_int.h"

static void put_enum(struct buf *out, const struct msg_enum *values, int32_t v)
{
    if (v >= 0 && (uint32_t)v < values->n && values->names[v])
        json_put_string(out, str_from(values->names[v]));
    else if (v >= MSG_JSON_ONLY && (uint32_t)v - MSG_JSON_ONLY < values->n_json)
        json_put_string(out, str_from(values->json_names[v - MSG_JSON_ONLY]));
    else
        json_put_i64(out, v);
}

static void put_value(struct buf *out, const struct msg_field *f, const void *slot)
{
    switch (f->kind) {
    case MSG_INT32:
        json_put_i64(out, *(const int32_t *)slot);
        return;
    case MSG_UINT32:
        json_put_u64(out, *(const uint32_t *)slot);
        return;
    case MSG_INT64:
        buf_byte(out, '"');
        json_put_i64(out, *(const int64_t *)slot);
        buf_byte(out, '"');
        return;
    case MSG_UINT64:
        buf_byte(out, '"');
        json_put_u64(out, *(const uint64_t *)slot);
        buf_byte(out, '"');
        return;
    case MSG_BOOL:
        buf_str(out, *(const bool *)slot ? STR("true") : STR("false"));
        return;
    case MSG_DOUBLE:
        json_put_double(out, *(const double *)slot);
        return;
    case MSG_ENUM:
        put_enum(out, f->values, *(const int32_t *)slot);
        return;
    case MSG_STRING:
        json_put_string(out, *(const struct str *)slot);
        return;
    case MSG_BYTES:
        buf_byte(out, '"');
        base64_put(out, *(const struct str *)slot);
        buf_byte(out, '"');
        return;
    case MSG_JSON:
        buf_str(out, *(const struct str *)slot);
        return;
    case MSG_MESSAGE:
        msg_encode_json(f->sub, slot, out);
        return;
    }
}

static void put_list(struct buf *out, const struct msg_field *f, const struct msg_list *list)
{
    size_t size = msg_value_size(f);
    buf_byte(out, '[');
    for (uint32_t i = 0; i < list->n && !out->failed; i++) {
        if (i > 0)
            buf_byte(out, ',');
        put_value(out, f, (const char *)list->v + i * size);
    }
    buf_byte(out, ']');
}

static bool to_write(const void *msg, const struct msg_field *f)
{
    if (f->repeated)
        return ((const struct msg_list *)msg_slot_view(msg, f))->n > 0;
    return msg_present(msg, f);
}

void msg_encode_json(const struct msg_desc *desc, const void *msg, struct buf *out)
{
    bool first = true;
    buf_byte(out, '{');
    for (uint32_t i = 0; i < desc->n_fields && !out->failed; i++) {
        const struct msg_field *f = &desc->fields[i];
        if (!to_write(msg, f))
            continue;
        if (!first)
            buf_byte(out, ',');
        first = false;
        buf_byte(out, '"');
        buf_str(out, str_from(f->json));
        buf_str(out, STR("\":"));
        const void *slot = msg_slot_view(msg, f);
        if (f->repeated)
            put_list(out, f, slot);
        else if (f->kind == MSG_MESSAGE)
            put_value(out, f, *(const msg_ptr *)slot);
        else
            put_value(out, f, slot);
    }
    buf_byte(out, '}');
}
