/* Messages from proto3 JSON: see msg.h; the reader is json.h.
 *
 * An explicit stack of open messages; a message may be inside one of its lists. Every turn takes
 * one token and either stores a value, opens a message or list, or closes one.
 *
 *     in a message:  name ─► unknown: skip the value
 *                          ─► null: absent · scalar: stored · { opens · [ enters the list
 *     in its list:   value: appended · { opens an element · ] back in the message
 *
 * Invariants: 1. A field is taken once per message (bit of `seen`), under either name. 2. An open
 * message's struct does not move: its parent's list grows only when it is the innermost again.
 * Thread: the caller's. Failure: a status that says line and column; the arena keeps garbage. */
#include "codec/json.h"
#include "codec/msg_int.h"

#include <math.h>

#include "codec/base64.h"

struct json_frame {
    const struct msg_desc *desc;
    void *msg;
    const struct msg_field *list; /* inside it, NULL when not */
    uint64_t seen;
};

struct json_decoder {
    struct json_reader r;
    struct error *err;
    uint32_t depth;
    struct json_frame stack[MSG_DEPTH_MAX];
};

static enum status no_memory(struct json_decoder *d)
{
    FAIL(d->err, ST_RESOURCE_EXHAUSTED, "message needs more than %zu bytes of memory",
        d->r.arena->limit);
}

static enum status unexpected(struct json_decoder *d)
{
    return json_unexpected(&d->r, d->err);
}

static const char *kind_name(enum msg_kind kind)
{
    static const char *const names[] = {[MSG_INT32] = "int32",
        [MSG_INT64] = "int64",
        [MSG_UINT32] = "uint32",
        [MSG_UINT64] = "uint64",
        [MSG_BOOL] = "bool",
        [MSG_DOUBLE] = "double",
        [MSG_ENUM] = "enum",
        [MSG_STRING] = "string",
        [MSG_BYTES] = "bytes",
        [MSG_MESSAGE] = "message",
        [MSG_JSON] = "value"};
    return names[kind];
}

static enum status invalid_value(struct json_decoder *d, const struct msg_field *f)
{
    uint32_t line, column;
    json_position(&d->r, &line, &column);
    struct str shown = json_shown(&d->r);
    FAIL(d->err, ST_INVALID_ARGUMENT, "(line %u:%u): invalid value for %s field %s: %.*s", line,
        column, kind_name(f->kind), f->json, STR_ARG(shown));
}

/* ── scalars ── */

static bool to_int32(struct str number, int32_t *ret_value)
{
    int64_t v;
    if (!json_to_i64(number, &v) || v < INT32_MIN || v > INT32_MAX)
        return false;
    *ret_value = (int32_t)v;
    return true;
}

static bool to_uint32(struct str number, uint32_t *ret_value)
{
    uint64_t v;
    if (!json_to_u64(number, &v) || v > UINT32_MAX)
        return false;
    *ret_value = (uint32_t)v;
    return true;
}

static bool to_double(enum json_token token, struct str text, double *ret_value)
{
    if (token == JSON_STRING && str_eq(text, STR("NaN")))
        *ret_value = (double)NAN;
    else if (token == JSON_STRING && str_eq(text, STR("Infinity")))
        *ret_value = (double)INFINITY;
    else if (token == JSON_STRING && str_eq(text, STR("-Infinity")))
        *ret_value = -(double)INFINITY;
    else
        return json_to_double(text, ret_value);
    return true;
}

/* Numbers stand bare or in a string. */
static bool to_number(enum msg_kind kind, enum json_token token, struct str text, void *slot)
{
    if (token != JSON_NUMBER && token != JSON_STRING)
        return false;
    switch (kind) {
    case MSG_INT32:
        return to_int32(text, slot);
    case MSG_UINT32:
        return to_uint32(text, slot);
    case MSG_INT64:
        return json_to_i64(text, slot);
    case MSG_UINT64:
        return json_to_u64(text, slot);
    default:
        return to_double(token, text, slot);
    }
}

static bool to_enum(const struct msg_field *f, enum json_token token, struct str text, int32_t *ret,
    bool *ret_unset)
{
    const struct msg_enum *e = f->values;
    if (token == JSON_NUMBER) {
        bool good = to_int32(text, ret);
        *ret = good ? msg_enum_number(*ret) : *ret;
        return good;
    }
    *ret_unset = true;
    for (uint32_t i = 0; i < e->n + e->n_json && *ret_unset; i++) {
        const char *name = i < e->n ? e->names[i] : e->json_names[i - e->n];
        if (!name || !str_eq(text, str_from(name)))
            continue;
        *ret = (int32_t)(i < e->n ? i : MSG_JSON_ONLY + i - e->n);
        *ret_unset = false;
    }
    return token == JSON_STRING;
}

/* The current token into the slot; *ret_unset: an enum name we do not know, leave it alone. */
static enum status store(struct json_decoder *d, const struct msg_field *f, enum json_token token,
    void *slot, bool *ret_unset)
{
    bool good = false;
    switch (f->kind) {
    case MSG_BOOL:
        good = token == JSON_TRUE || token == JSON_FALSE;
        *(bool *)slot = token == JSON_TRUE;
        break;
    case MSG_STRING:
        good = token == JSON_STRING;
        *(struct str *)slot = d->r.text;
        break;
    case MSG_BYTES:
        good = token == JSON_STRING && base64_decode(d->r.text, d->r.arena, slot);
        if (!good && d->r.arena->full)
            return no_memory(d);
        break;
    case MSG_ENUM:
        good = to_enum(f, token, d->r.text, slot, ret_unset);
        break;
    default:
        good = to_number(f->kind, token, d->r.text, slot);
        break;
    }
    return good ? ST_OK : invalid_value(d, f);
}

/* ── messages and lists ── */

static enum status open_message(struct json_decoder *d, const struct msg_desc *desc, void *msg)
{
    if (!msg)
        return no_memory(d);
    if (d->depth == MSG_DEPTH_MAX)
        FAIL(d->err, ST_INVALID_ARGUMENT, "exceeded max recursion depth");
    ASSERT(desc->n_fields <= MSG_FIELDS_MAX);
    d->stack[d->depth++] = (struct json_frame){.desc = desc, .msg = msg};
    return ST_OK;
}

static enum status take_element(
    struct json_decoder *d, struct json_frame *top, enum json_token token)
{
    const struct msg_field *f = top->list;
    if (token == JSON_ARRAY_END) {
        top->list = NULL;
        return ST_OK;
    }
    if (token == JSON_NULL || (f->kind == MSG_MESSAGE && token != JSON_OBJECT))
        return unexpected(d);
    struct msg_list *list = msg_slot(top->msg, f);
    void *slot = msg_list_push(d->r.arena, list, msg_value_size(f));
    if (f->kind == MSG_MESSAGE)
        return open_message(d, f->sub, slot);
    if (!slot)
        return no_memory(d);
    bool unset = false;
    TRY(store(d, f, token, slot, &unset));
    list->n -= unset;
    return ST_OK;
}

static enum status take_value(
    struct json_decoder *d, struct json_frame *top, const struct msg_field *f)
{
    enum json_token token;
    if (f->kind == MSG_JSON)
        return json_skip(&d->r, d->err);
    TRY(json_next(&d->r, &token, d->err));
    if (token == JSON_NULL)
        return ST_OK;
    if (f->repeated) {
        if (token != JSON_ARRAY)
            return unexpected(d);
        top->list = f;
        return ST_OK;
    }
    if (f->kind == MSG_MESSAGE) {
        if (token != JSON_OBJECT)
            return unexpected(d);
        return open_message(d, f->sub, msg_sub(d->r.arena, top->msg, f));
    }
    bool unset = false;
    TRY(store(d, f, token, msg_slot(top->msg, f), &unset));
    if (!unset)
        msg_set_has(top->msg, f);
    return ST_OK;
}

static const struct msg_field *find_field(const struct msg_desc *desc, struct str name)
{
    for (uint32_t i = 0; i < desc->n_fields; i++) {
        const struct msg_field *f = &desc->fields[i];
        if (str_eq(name, str_from(f->json)) || str_eq(name, str_from(f->name)))
            return f;
    }
    return NULL;
}

static enum status take_member(struct json_decoder *d, struct json_frame *top)
{
    const struct msg_field *f = find_field(top->desc, d->r.text);
    if (!f)
        return json_skip(&d->r, d->err);
    uint64_t bit = (uint64_t)1 << (f - top->desc->fields);
    if (top->seen & bit) {
        uint32_t line, column;
        json_position(&d->r, &line, &column);
        FAIL(d->err, ST_INVALID_ARGUMENT, "(line %u:%u): duplicate field \"%.*s\"", line, column,
            STR_ARG(d->r.text));
    }
    top->seen |= bit;
    return take_value(d, top, f);
}

static enum status decode(struct json_decoder *d, const struct msg_desc *desc, void *msg)
{
    enum json_token token;
    TRY(json_next(&d->r, &token, d->err));
    if (token != JSON_OBJECT)
        return unexpected(d);
    TRY(open_message(d, desc, msg));
    while (d->depth > 0) {
        struct json_frame *top = &d->stack[d->depth - 1];
        TRY(json_next(&d->r, &token, d->err));
        if (top->list)
            TRY(take_element(d, top, token));
        else if (token == JSON_OBJECT_END)
            d->depth--;
        else
            TRY(take_member(d, top));
    }
    return json_next(&d->r, &token, d->err); /* nothing may follow */
}

enum status msg_decode_json(const struct msg_desc *desc, struct str in, struct arena *arena,
    void **ret_msg, struct error *err)
{
    if (in.n == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "zero-length payload is not a valid JSON object");
    struct json_decoder d;
    json_start(&d.r, in, arena);
    d.err = err;
    d.depth = 0;
    void *msg = arena_zalloc(arena, desc->size);
    enum status st = decode(&d, desc, msg);
    if (st != ST_OK)
        return error_wrap(err, st, "proto");
    *ret_msg = msg;
    return ST_OK;
}
