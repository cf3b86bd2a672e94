/* OTLP/JSON becomes the protobuf of the same message, so that there is one reader of OTLP: see
 * otlp.h.
 *
 *     token ─► field of the open message ─► tag and value at the end of the output
 *     { or [ opens: tag, one byte for the length;  } or ] closes: the length is put in its place
 *
 * A length of 128 and more needs a second byte: what was written moves up. That happens once per
 * level of nesting, and levels are few and bounded.
 *
 * Both spellings of names are taken (lowerCamel and the proto's); null is absent; a field given
 * twice is an error; unknown members are skipped. Numbers stand bare or in strings. Ids of traces,
 * spans and profiles are hexadecimal in OTLP/JSON and base64 in proto3 JSON: digits of exactly the
 * id's length are hexadecimal (as base64 they would be of a length that no id has), all else is
 * base64.
 *
 * Invariants: 1. Nothing recurses. 2. The output is at most about 5 bytes per byte of the input (a
 * negative number takes 10), and bounded by the arena. Thread: the caller's. */
#include "codec/json.h"
#include "codec/otlp_int.h"
#include "codec/otlp_json_int.h"

#include "codec/base64.h"

enum { DEPTH_MAX = 32, NUMBER_BYTES_MAX = 32 };

struct frame {
    const struct otlp_json_message *message;
    const struct otlp_json_field *list; /* inside it; NULL when not */
    size_t start, list_start;           /* of the contents; list_start: of packed numbers */
    uint32_t seen;
    uint32_t next; /* the field that is likely to come */
};

struct writer {
    struct json_reader r;
    struct arena *arena;
    struct error *err;
    uint8_t *p;
    size_t n, cap;
    uint32_t depth;
    struct frame stack[DEPTH_MAX];
};

/* ── output ── */

static enum status reserve(struct writer *w, size_t more)
{
    if (LIKELY(more <= w->cap - w->n))
        return ST_OK;
    size_t want = MAX(w->cap * 2, w->n + more);
    uint8_t *p = ARENA_ARRAY(w->arena, uint8_t, want);
    if (!p)
        return otlp_full(w->err);
    if (w->n)
        memcpy(p, w->p, w->n);
    w->p = p;
    w->cap = want;
    return ST_OK;
}

/* Callers have reserved. */
static void put_varint(struct writer *w, uint64_t v)
{
    w->n += varint_put(w->p + w->n, v);
}

static void put_tag(struct writer *w, const struct otlp_json_field *f, unsigned wire)
{
    put_varint(w, TAG((uint64_t)f->number, wire));
}

static enum status put_bytes(struct writer *w, const struct otlp_json_field *f, struct str s)
{
    TRY(reserve(w, 2 * VARINT_MAX + s.n));
    put_tag(w, f, WIRE_BYTES);
    put_varint(w, s.n);
    if (s.n)
        memcpy(w->p + w->n, s.p, s.n);
    w->n += s.n;
    return ST_OK;
}

/* Tag and room for a short length. */
static enum status begin(struct writer *w, const struct otlp_json_field *f, size_t *ret_start)
{
    TRY(reserve(w, VARINT_MAX + 1));
    put_tag(w, f, WIRE_BYTES);
    *ret_start = ++w->n;
    return ST_OK;
}

static enum status end(struct writer *w, size_t start)
{
    size_t n = w->n - start, length = varint_size(n);
    TRY(reserve(w, length - 1));
    if (length > 1 && n)
        memmove(w->p + start + length - 1, w->p + start, n);
    varint_put(w->p + start - 1, n);
    w->n += length - 1;
    return ST_OK;
}

/* ── scalars ── */

static enum status invalid(struct writer *w, const struct otlp_json_field *f)
{
    uint32_t line, column;
    json_position(&w->r, &line, &column);
    struct str shown = json_shown(&w->r);
    FAIL(w->err, ST_INVALID_ARGUMENT, "(line %u:%u): invalid value for field %s: %.*s", line,
        column, f->name, STR_ARG(shown));
}

static bool to_number(const struct otlp_json_field *f, struct str text, uint64_t *ret_value)
{
    int64_t v;
    switch (f->kind) {
    case OTLP_JSON_INT32:
        if (!json_to_i64(text, &v) || v < INT32_MIN || v > INT32_MAX)
            return false;
        *ret_value = (uint64_t)v;
        return true;
    case OTLP_JSON_INT64:
        if (!json_to_i64(text, &v))
            return false;
        *ret_value = (uint64_t)v;
        return true;
    case OTLP_JSON_UINT32:
        return json_to_u64(text, ret_value) && *ret_value <= UINT32_MAX;
    default:
        return json_to_u64(text, ret_value);
    }
}

/* A double is a number or one of three words; nobody reads its value here. */
static bool to_double(enum json_token token, struct str text, uint64_t *ret_bits)
{
    double v = 0;
    bool word = token == JSON_STRING &&
                (str_eq(text, STR("NaN")) || str_eq(text, STR("Infinity")) ||
                    str_eq(text, STR("-Infinity")));
    if (!word && !(json_is_number(text) && json_to_double(text, &v)))
        return false;
    memcpy(ret_bits, &v, sizeof v);
    return true;
}

static void put_fixed64(struct writer *w, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        w->p[w->n++] = (uint8_t)(v >> (8 * i));
}

static enum status put_number(
    struct writer *w, const struct otlp_json_field *f, enum json_token token, bool packed)
{
    uint64_t v = 0;
    bool fixed = f->kind == OTLP_JSON_FIXED64 || f->kind == OTLP_JSON_DOUBLE, good;
    if (f->kind == OTLP_JSON_BOOL) {
        good = token == JSON_TRUE || token == JSON_FALSE;
        v = token == JSON_TRUE;
    } else {
        good = (token == JSON_NUMBER || token == JSON_STRING) &&
               (f->kind == OTLP_JSON_DOUBLE ? to_double(token, w->r.text, &v)
                                            : to_number(f, w->r.text, &v));
    }
    if (!good)
        return invalid(w, f);
    TRY(reserve(w, 2 * VARINT_MAX));
    if (!packed)
        put_tag(w, f, fixed ? WIRE_FIXED64 : WIRE_VARINT);
    if (fixed)
        put_fixed64(w, v);
    else
        put_varint(w, v);
    return ST_OK;
}

static bool read_bytes(struct writer *w, const struct otlp_json_field *f, struct str *ret_bytes)
{
    struct str text = w->r.text;
    if (f->id_bytes && text.n == 2 * (size_t)f->id_bytes) {
        uint8_t *id = arena_alloc(w->arena, f->id_bytes);
        if (id && str_to_bytes(text, id, f->id_bytes)) {
            *ret_bytes = str_make(id, f->id_bytes);
            return true;
        }
    }
    return base64_decode(text, w->arena, ret_bytes);
}

static enum status put_scalar(
    struct writer *w, const struct otlp_json_field *f, enum json_token token, bool packed)
{
    struct str bytes = w->r.text;
    if (f->kind != OTLP_JSON_STRING && f->kind != OTLP_JSON_BYTES)
        return put_number(w, f, token, packed);
    if (token != JSON_STRING || (f->kind == OTLP_JSON_BYTES && !read_bytes(w, f, &bytes)))
        return w->arena->full ? otlp_full(w->err) : invalid(w, f);
    return put_bytes(w, f, bytes);
}

/* ── messages and lists ── */

static bool is_packed(const struct otlp_json_field *f)
{
    return f->kind != OTLP_JSON_STRING && f->kind != OTLP_JSON_BYTES &&
           f->kind != OTLP_JSON_MESSAGE;
}

static enum status open_message(struct writer *w, const struct otlp_json_field *f)
{
    if (w->depth == DEPTH_MAX)
        FAIL(w->err, ST_INVALID_ARGUMENT, "exceeded max recursion depth");
    struct frame *top = &w->stack[w->depth++];
    *top = (struct frame){.message = f->sub};
    return begin(w, f, &top->start);
}

static enum status take_element(struct writer *w, struct frame *top, enum json_token token)
{
    const struct otlp_json_field *f = top->list;
    if (token == JSON_ARRAY_END) {
        top->list = NULL;
        return is_packed(f) ? end(w, top->list_start) : ST_OK;
    }
    if (f->kind != OTLP_JSON_MESSAGE)
        return put_scalar(w, f, token, is_packed(f));
    return token == JSON_OBJECT ? open_message(w, f) : json_unexpected(&w->r, w->err);
}

static enum status take_value(struct writer *w, struct frame *top, const struct otlp_json_field *f)
{
    enum json_token token;
    TRY(json_next(&w->r, &token, w->err));
    if (token == JSON_NULL)
        return ST_OK;
    if (f->repeated) {
        if (token != JSON_ARRAY)
            return json_unexpected(&w->r, w->err);
        top->list = f;
        return is_packed(f) ? begin(w, f, &top->list_start) : ST_OK;
    }
    if (f->kind == OTLP_JSON_MESSAGE)
        return token == JSON_OBJECT ? open_message(w, f) : json_unexpected(&w->r, w->err);
    return put_scalar(w, f, token, false);
}

static bool named(const struct otlp_json_field *f, struct str name)
{
    return str_eq(name, str_from(f->json)) || str_eq(name, str_from(f->name));
}

/* Writers keep the order of fields, so the search begins behind the last one. */
static const struct otlp_json_field *find_field(struct frame *top, struct str name)
{
    const struct otlp_json_message *m = top->message;
    for (uint32_t i = 0; i < m->n_fields; i++) {
        uint32_t at = top->next + i < m->n_fields ? top->next + i : top->next + i - m->n_fields;
        if (named(&m->fields[at], name)) {
            top->next = at + 1 < m->n_fields ? at + 1 : 0;
            return &m->fields[at];
        }
    }
    return NULL;
}

static enum status take_member(struct writer *w, struct frame *top)
{
    const struct otlp_json_field *f = find_field(top, w->r.text);
    if (!f)
        return json_skip(&w->r, w->err);
    uint32_t bit = 1u << (f - top->message->fields);
    if (top->seen & bit) {
        uint32_t line, column;
        json_position(&w->r, &line, &column);
        FAIL(w->err, ST_INVALID_ARGUMENT, "(line %u:%u): duplicate field \"%.*s\"", line, column,
            STR_ARG(w->r.text));
    }
    top->seen |= bit;
    return take_value(w, top, f);
}

static enum status transcode(struct writer *w)
{
    enum json_token token;
    TRY(json_next(&w->r, &token, w->err));
    if (token != JSON_OBJECT)
        return json_unexpected(&w->r, w->err);
    w->stack[0] = (struct frame){.message = &otlp_json_request};
    w->depth = 1;
    while (w->depth > 0) {
        struct frame *top = &w->stack[w->depth - 1];
        TRY(json_next(&w->r, &token, w->err));
        if (top->list) {
            TRY(take_element(w, top, token));
        } else if (token == JSON_OBJECT_END) {
            if (--w->depth > 0)
                TRY(end(w, top->start));
        } else {
            TRY(take_member(w, top));
        }
    }
    return json_next(&w->r, &token, w->err); /* nothing may follow */
}

enum status otlp_from_json(
    struct str json, struct arena *arena, struct str *ret_message, struct error *err)
{
    struct writer *w = ARENA_NEW(arena, struct writer);
    if (!w)
        return otlp_full(err);
    w->arena = arena;
    w->err = err;
    json_start(&w->r, json, arena);
    TRY(reserve(w, json.n / 2 + NUMBER_BYTES_MAX));
    enum status st = transcode(w);
    if (st != ST_OK)
        return error_wrap(err, st, "proto");
    *ret_message = str_make(w->p, w->n);
    return ST_OK;
}
