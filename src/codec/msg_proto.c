/* Messages from and to protobuf: see msg.h.
 *
 * Decoding is one pass with an explicit stack of open messages: the cursor always ends where the
 * innermost one does, so no field can reach beyond its message.
 *
 *     tag ─► known? ─no─► skip (groups too)
 *              │yes
 *              ├─ scalar ──► slot, or one element of the list
 *              ├─ length ──► string, bytes · packed list · message: opened, becomes the innermost
 *              └─ another wire type: error
 *
 * Encoding writes a message behind one byte for its length and moves it by the few bytes that a
 * longer length needs: a byte moves at most once per level, and levels are those of the tables
 * (4), so nothing is quadratic and no sizes are kept. Packed lists are measured first.
 *
 * Invariants: 1. stack[depth-1].end == cursor.end. 2. An open message's struct does not move: only
 * its own list grows, and the parent is not read meanwhile. 3. Encoding recurses by the tables,
 * never by input.
 * Thread: the caller's. Failure: a status; what is in the arena by then is garbage. */
#include "codec/msg_int.h"

#include "base/varint.h"

enum wire { WIRE_VARINT, WIRE_I64, WIRE_LEN, WIRE_GROUP, WIRE_GROUP_END, WIRE_I32 };
#define FIELD_NUMBER_MAX ((1u << 29) - 1)

struct proto_frame {
    const struct msg_desc *desc;
    void *msg;
    const uint8_t *end;
};

struct proto_decoder {
    struct cursor c;
    struct arena *arena;
    struct error *err;
    uint32_t depth;
    struct proto_frame stack[MSG_DEPTH_MAX];
};

static enum status no_memory(struct proto_decoder *d)
{
    FAIL(d->err, ST_RESOURCE_EXHAUSTED, "message needs more than %zu bytes of memory",
        d->arena->limit);
}

static enum status cut_short(struct proto_decoder *d)
{
    FAIL(d->err, ST_INVALID_ARGUMENT, "unexpected EOF or malformed integer");
}

static enum wire wire_of(enum msg_kind kind)
{
    switch (kind) {
    case MSG_DOUBLE:
        return WIRE_I64;
    case MSG_STRING:
    case MSG_BYTES:
    case MSG_MESSAGE:
    case MSG_JSON:
        return WIRE_LEN;
    default:
        return WIRE_VARINT;
    }
}

/* Most tables number their fields from 1 without gaps. */
static const struct msg_field *find_field(const struct msg_desc *desc, uint32_t number)
{
    if (number <= desc->n_fields && desc->fields[number - 1].number == number)
        return &desc->fields[number - 1];
    for (uint32_t i = 0; i < desc->n_fields; i++) {
        if (desc->fields[i].number == number)
            return &desc->fields[i];
    }
    return NULL;
}

/* ── what we do not know ── */

static void skip_plain(struct cursor *c, enum wire wire)
{
    if (wire == WIRE_VARINT)
        cursor_uvarint(c);
    else if (wire == WIRE_I64)
        cursor_bytes(c, 8);
    else if (wire == WIRE_I32)
        cursor_bytes(c, 4);
    else
        cursor_bytes(c, cursor_uvarint(c));
}

/* A tag, checked; a bad cursor gives 0 and is the caller's to see. */
static enum status read_tag(struct proto_decoder *d, uint32_t *ret_number, enum wire *ret_wire)
{
    uint64_t tag = cursor_uvarint(&d->c);
    if (d->c.bad)
        return cut_short(d);
    uint64_t number = tag >> 3;
    if (number == 0 || number > FIELD_NUMBER_MAX || (tag & 7) > WIRE_I32)
        FAIL(d->err, ST_INVALID_ARGUMENT, "illegal tag %llu (wire type %u)",
            (unsigned long long)number, (unsigned)(tag & 7));
    *ret_number = (uint32_t)number;
    *ret_wire = (enum wire)(tag & 7);
    return ST_OK;
}

static enum status skip_group(struct proto_decoder *d, uint32_t number)
{
    uint32_t open[MSG_DEPTH_MAX] = {number}, depth = 1;
    while (depth > 0) {
        enum wire wire = WIRE_VARINT; /* gcc -O3 cannot see that FAIL never says ST_OK */
        TRY(read_tag(d, &number, &wire));
        if (wire == WIRE_GROUP_END && number != open[--depth])
            FAIL(d->err, ST_INVALID_ARGUMENT, "unexpected end of group");
        if (wire == WIRE_GROUP && depth == MSG_DEPTH_MAX)
            FAIL(d->err, ST_INVALID_ARGUMENT, "exceeded max recursion depth");
        if (wire == WIRE_GROUP)
            open[depth++] = number;
        else if (wire != WIRE_GROUP_END)
            skip_plain(&d->c, wire);
        if (d->c.bad)
            return cut_short(d);
    }
    return ST_OK;
}

static enum status skip_field(struct proto_decoder *d, uint32_t number, enum wire wire)
{
    if (wire == WIRE_GROUP_END)
        FAIL(d->err, ST_INVALID_ARGUMENT, "unexpected end of group");
    if (wire == WIRE_GROUP)
        return skip_group(d, number);
    skip_plain(&d->c, wire);
    return d->c.bad ? cut_short(d) : ST_OK;
}

/* ── what we know ── */

static enum status wrong_wire(struct proto_decoder *d, const struct msg_field *f, enum wire wire)
{
    FAIL(d->err, ST_INVALID_ARGUMENT, "wrong wireType = %d for field %s", (int)wire, f->name);
}

/* Where the next value of f goes; NULL when the arena is full. */
static void *value_slot(struct proto_decoder *d, void *msg, const struct msg_field *f)
{
    if (f->repeated)
        return msg_list_push(d->arena, msg_slot(msg, f), msg_value_size(f));
    msg_set_has(msg, f);
    return msg_slot(msg, f);
}

static void store(enum msg_kind kind, void *slot, uint64_t v)
{
    switch (kind) {
    case MSG_INT32:
    case MSG_UINT32:
    case MSG_ENUM:
        *(uint32_t *)slot = (uint32_t)v;
        return;
    case MSG_BOOL:
        *(bool *)slot = v != 0;
        return;
    default:
        memcpy(slot, &v, sizeof v);
        return;
    }
}

static enum status read_scalar(
    struct proto_decoder *d, void *msg, const struct msg_field *f, enum wire wire)
{
    if (wire != wire_of(f->kind))
        return wrong_wire(d, f, wire);
    uint64_t v = wire == WIRE_VARINT ? cursor_uvarint(&d->c) : cursor_u64le(&d->c);
    if (d->c.bad)
        return cut_short(d);
    if (f->kind == MSG_ENUM)
        v = (uint64_t)(int64_t)msg_enum_number((int32_t)v);
    void *slot = value_slot(d, msg, f);
    if (!slot)
        return no_memory(d);
    store(f->kind, slot, v);
    return ST_OK;
}

/* Every varint ends in one byte below 0x80: counting those sizes the list exactly. */
static size_t count_varints(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0x80) == 0;
    return n;
}

static enum status read_packed(
    struct proto_decoder *d, void *msg, const struct msg_field *f, struct str in)
{
    bool wide = f->kind == MSG_DOUBLE;
    size_t n = wide ? in.n / 8 : count_varints(in), size = msg_value_size(f);
    if (wide ? in.n % 8 != 0 : in.n > 0 && in.p[in.n - 1] & 0x80)
        return cut_short(d);
    if (n == 0)
        return ST_OK;
    struct msg_list *list = msg_slot(msg, f);
    if (!msg_list_reserve(d->arena, list, n, size))
        return no_memory(d);
    struct cursor c = cursor_make(in);
    char *out = (char *)list->v + list->n * size;
    if (f->kind == MSG_INT64 || f->kind == MSG_UINT64) {
        for (size_t i = 0; i < n; i++)
            ((uint64_t *)(void *)out)[i] = cursor_uvarint(&c);
    } else {
        for (size_t i = 0; i < n; i++)
            store(f->kind, out + i * size, wide ? cursor_u64le(&c) : cursor_uvarint(&c));
    }
    if (c.bad)
        return cut_short(d);
    list->n += (uint32_t)n;
    return ST_OK;
}

static enum status open_message(
    struct proto_decoder *d, const struct msg_desc *desc, void *msg, struct str in)
{
    if (!msg)
        return no_memory(d);
    if (d->depth == MSG_DEPTH_MAX)
        FAIL(d->err, ST_INVALID_ARGUMENT, "exceeded max recursion depth");
    d->c = cursor_make(in);
    d->stack[d->depth++] = (struct proto_frame){desc, msg, d->c.end};
    return ST_OK;
}

static void close_message(struct proto_decoder *d)
{
    if (--d->depth > 0)
        d->c.end = d->stack[d->depth - 1].end;
}

static enum status read_bytes(struct proto_decoder *d, void *msg, const struct msg_field *f)
{
    struct str in = cursor_bytes(&d->c, cursor_uvarint(&d->c));
    if (d->c.bad)
        return cut_short(d);
    if (f->kind == MSG_MESSAGE) {
        void *sub = f->repeated ? value_slot(d, msg, f) : msg_sub(d->arena, msg, f);
        return open_message(d, f->sub, sub, in);
    }
    if (f->kind != MSG_STRING && f->kind != MSG_BYTES)
        return f->repeated ? read_packed(d, msg, f, in) : wrong_wire(d, f, WIRE_LEN);
    struct str *slot = value_slot(d, msg, f);
    if (!slot)
        return no_memory(d);
    *slot = in;
    return ST_OK;
}

static enum status read_field(struct proto_decoder *d)
{
    const struct proto_frame *top = &d->stack[d->depth - 1];
    uint32_t number = 0;
    enum wire wire = WIRE_VARINT;
    TRY(read_tag(d, &number, &wire));
    const struct msg_field *f = find_field(top->desc, number);
    if (!f)
        return skip_field(d, number, wire);
    return wire == WIRE_LEN ? read_bytes(d, top->msg, f) : read_scalar(d, top->msg, f, wire);
}

enum status msg_decode_proto(const struct msg_desc *desc, struct str in, struct arena *arena,
    void **ret_msg, struct error *err)
{
    struct proto_decoder d;
    d.arena = arena;
    d.err = err;
    d.depth = 0;
    void *msg = arena_zalloc(arena, desc->size);
    TRY(open_message(&d, desc, msg, in.n ? in : STR_EMPTY));
    while (d.depth > 0) {
        if (d.c.p == d.c.end)
            close_message(&d);
        else
            TRY(read_field(&d));
    }
    *ret_msg = msg;
    return ST_OK;
}

/* ── encoding ── */

static void put_tag(struct buf *out, const struct msg_field *f, enum wire wire)
{
    buf_uvarint(out, (uint64_t)f->number << 3 | wire);
}

/* The 64 bits that stand on the wire. */
static uint64_t load(enum msg_kind kind, const void *slot)
{
    uint64_t wide;
    switch (kind) {
    case MSG_INT32:
    case MSG_ENUM:
        return (uint64_t)(int64_t) * (const int32_t *)slot;
    case MSG_UINT32:
        return *(const uint32_t *)slot;
    case MSG_BOOL:
        return *(const bool *)slot;
    default:
        memcpy(&wide, slot, sizeof wide);
        return wide;
    }
}

static void put_scalar(struct buf *out, const struct msg_field *f, const void *slot)
{
    put_tag(out, f, wire_of(f->kind));
    if (f->kind == MSG_DOUBLE)
        buf_u64le(out, load(f->kind, slot));
    else
        buf_uvarint(out, load(f->kind, slot));
}

static void put_bytes(struct buf *out, const struct msg_field *f, const struct str *s)
{
    put_tag(out, f, WIRE_LEN);
    buf_uvarint(out, s->n);
    buf_str(out, *s);
}

/* Writes 8 bytes, of which the first `n` are the varint of v < 2^56: its 7-bit groups are spread
 * over bytes by masks, so that the length costs no branch. */
static void put_spread(uint8_t *p, uint64_t v, size_t n)
{
    v = (v & 0x000000000FFFFFFF) | (v & 0x00FFFFFFF0000000) << 4;
    v = (v & 0x00003FFF00003FFF) | (v & 0x0FFFC0000FFFC000) << 2;
    v = (v & 0x007F007F007F007F) | (v & 0x3F803F803F803F80) << 1;
    v |= 0x8080808080808080 & (((uint64_t)1 << 8 * (n - 1)) - 1);
    v = load_u64le(&v);
    memcpy(p, &v, sizeof v);
}

/* The hot loop of flame graphs: measured, reserved once (with room for the last spread), written
 * without further checks. Lengths are random, so a loop per varint would mispredict each. */
static void put_packed_64(struct buf *out, const uint64_t *v, uint32_t n)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        bytes += varint_size(v[i]);
    buf_uvarint(out, bytes);
    if (!buf_reserve(out, bytes + sizeof *v))
        return;
    uint8_t *p = (uint8_t *)out->p + out->n;
    for (uint32_t i = 0; i < n; i++) {
        size_t size = varint_size(v[i]);
        if (LIKELY(size <= sizeof *v))
            put_spread(p, v[i], size);
        else
            varint_put(p, v[i]);
        p += size;
    }
    out->n += bytes;
}

static void put_packed(struct buf *out, const struct msg_field *f, const struct msg_list *list)
{
    size_t size = msg_value_size(f), bytes = 0;
    put_tag(out, f, WIRE_LEN);
    if (f->kind == MSG_INT64 || f->kind == MSG_UINT64) {
        put_packed_64(out, list->v, list->n);
        return;
    }
    bool wide = f->kind == MSG_DOUBLE;
    for (uint32_t i = 0; i < list->n; i++)
        bytes += wide ? 8 : varint_size(load(f->kind, (const char *)list->v + i * size));
    buf_uvarint(out, bytes);
    for (uint32_t i = 0; i < list->n; i++) {
        uint64_t v = load(f->kind, (const char *)list->v + i * size);
        if (wide)
            buf_u64le(out, v);
        else
            buf_uvarint(out, v);
    }
}

/* The message that starts behind the byte at `at` is complete: give it its length. */
static void put_length(struct buf *out, size_t at)
{
    if (out->failed)
        return;
    size_t n = out->n - at - 1, extra = varint_size(n) - 1;
    if (extra && !buf_reserve(out, extra))
        return;
    if (extra)
        memmove(out->p + at + 1 + extra, out->p + at + 1, n);
    varint_put((uint8_t *)out->p + at, n);
    out->n += extra;
}

static void put_message(struct buf *out, const struct msg_field *f, const void *msg)
{
    put_tag(out, f, WIRE_LEN);
    size_t at = out->n;
    buf_byte(out, 0);
    msg_encode_proto(f->sub, msg, out);
    put_length(out, at);
}

static void put_list(struct buf *out, const struct msg_field *f, const struct msg_list *list)
{
    if (list->n == 0)
        return;
    if (wire_of(f->kind) != WIRE_LEN) {
        put_packed(out, f, list);
        return;
    }
    size_t size = msg_value_size(f);
    for (uint32_t i = 0; i < list->n && !out->failed; i++) {
        const void *v = (const char *)list->v + i * size;
        if (f->kind == MSG_MESSAGE)
            put_message(out, f, v);
        else
            put_bytes(out, f, v);
    }
}

/* A value that has no number is not written. */
static bool to_write(const void *msg, const struct msg_field *f)
{
    if (f->kind == MSG_ENUM && *(const int32_t *)msg_slot_view(msg, f) >= MSG_JSON_ONLY)
        return false;
    return msg_present(msg, f);
}

void msg_encode_proto(const struct msg_desc *desc, const void *msg, struct buf *out)
{
    for (uint32_t i = 0; i < desc->n_fields && !out->failed; i++) {
        const struct msg_field *f = &desc->fields[i];
        const void *slot = msg_slot_view(msg, f);
        if (f->number >= MSG_JSON_ONLY)
            return; /* and so have those behind it */
        if (f->repeated)
            put_list(out, f, slot);
        else if (!to_write(msg, f))
            continue;
        else if (f->kind == MSG_MESSAGE)
            put_message(out, f, *(const msg_ptr *)slot);
        else if (wire_of(f->kind) == WIRE_LEN)
            put_bytes(out, f, slot);
        else
            put_scalar(out, f, slot);
    }
}
