/* Decodes an OTLP export request: see otlp.h.
 *
 *     message ─► dictionary (last on the wire, first here) ─► per resource: attributes ─►
 *             per scope: attributes ─► per Profile: otlp_profile.c ─► symbols of the resource
 *
 * Each message is walked once per thing that others depend on: attributes before what they
 * describe. Unread fields (schema urls, entity refs, original payloads) are skipped.
 *
 * The Collector sends keys and values of resource attributes as references into the dictionary, the
 * OpenTelemetry SDKs as text; both are resolved here.
 *
 * Invariants: 1. Nothing recurses; every loop consumes input. 2. Memory is at most about 50 bytes
 * per byte of the message, and bounded by the arena. Thread: the caller's. Failure: see otlp.h; the
 * result is then of no use. */
#include "codec/otlp_int.h"

/* ── attributes of resources and scopes ── */

static enum status read_key_value(struct otlp_decoder *d, struct cursor c, struct otlp_attrs *to)
{
    struct str key = STR_EMPTY, text;
    int32_t key_index = 0;
    struct otlp_any any = {.kind = OTLP_ANY_NONE};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag == TAG(1, WIRE_BYTES)) {
            key = cursor_bytes(&c, cursor_uvarint(&c));
        } else if (tag == TAG(2, WIRE_BYTES)) {
            struct cursor value = otlp_sub(&c);
            any = otlp_read_any(&value);
            c.bad = c.bad || value.bad;
        } else if (tag == TAG(3, WIRE_VARINT)) {
            key_index = (int32_t)cursor_uvarint(&c);
        } else {
            otlp_skip(&c, tag);
        }
    }
    if (c.bad)
        return otlp_malformed(d->err);
    if (key.n == 0 && key_index != 0)
        TRY(otlp_dict_string(d, key_index, &key));
    TRY(otlp_text(d, &any, &text));
    if (text.n == 0)
        return ST_OK;
    struct otlp_attr *a = VEC_PUSH(d->arena, *to);
    if (!a)
        return otlp_full(d->err);
    *a = (struct otlp_attr){key, text};
    return ST_OK;
}

/* The KeyValues that are field `number` of the message. */
static enum status read_attributes(
    struct otlp_decoder *d, struct cursor c, unsigned number, struct otlp_attrs *to)
{
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag == TAG(number, WIRE_BYTES))
            TRY(read_key_value(d, otlp_sub(&c), to));
        else
            otlp_skip(&c, tag);
    }
    return c.bad ? otlp_malformed(d->err) : ST_OK;
}

/* The same for the message that is field 1, which counts as one however often it occurs. */
static enum status read_owner(
    struct otlp_decoder *d, struct cursor c, unsigned number, struct otlp_attrs **ret_attrs)
{
    struct otlp_attrs *to = ARENA_NEW(d->arena, struct otlp_attrs);
    if (!to)
        return otlp_full(d->err);
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag == TAG(1, WIRE_BYTES))
            TRY(read_attributes(d, otlp_sub(&c), number, to));
        else
            otlp_skip(&c, tag);
    }
    *ret_attrs = to;
    return c.bad ? otlp_malformed(d->err) : ST_OK;
}

static struct str attribute(const struct otlp_attrs *attrs, struct str key)
{
    for (uint32_t i = 0; i < attrs->n; i++)
        if (str_eq(attrs->v[i].key, key))
            return attrs->v[i].value;
    return STR_EMPTY;
}

static struct str service_of(struct arena *arena, const struct otlp_attrs *resource)
{
    struct str name = attribute(resource, STR("service.name"));
    if (name.n)
        return name;
    struct str program = attribute(resource, STR("process.executable.name"));
    return program.n ? arena_str_join(arena, STR("unknown_service:"), program)
                     : STR("unknown_service");
}

/* ── the nesting ── */

enum { SCOPE_ATTRIBUTES = 3, RESOURCE_ATTRIBUTES = 1 };

static enum status read_scope(
    struct otlp_decoder *d, struct cursor c, const struct otlp_profile *of_resource)
{
    struct otlp_profile labels = *of_resource;
    struct otlp_attrs *scope = NULL;
    TRY(read_owner(d, c, SCOPE_ATTRIBUTES, &scope));
    labels.scope = scope;
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag == TAG(2, WIRE_BYTES))
            TRY(otlp_profile_read(d, cursor_bytes(&c, cursor_uvarint(&c)), &labels));
        else
            otlp_skip(&c, tag);
    }
    return ST_OK;
}

static enum status read_resource(struct otlp_decoder *d, struct cursor c)
{
    struct otlp_attrs *resource = NULL;
    TRY(read_owner(d, c, RESOURCE_ATTRIBUTES, &resource));
    struct otlp_profile labels = {.resource = resource, .service = service_of(d->arena, resource)};
    if (!labels.service.p)
        return otlp_full(d->err);
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag == TAG(2, WIRE_BYTES))
            TRY(read_scope(d, otlp_sub(&c), &labels));
        else
            otlp_skip(&c, tag);
    }
    otlp_symbols_end(d);
    return ST_OK;
}

/* ── the message ── */

static enum status check_message(struct otlp_decoder *d, struct str message)
{
    bool dictionary = false, resources = false;
    struct cursor c = cursor_make(message);
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        resources = resources || tag == TAG(1, WIRE_BYTES);
        dictionary = dictionary || tag == TAG(2, WIRE_BYTES);
        otlp_skip(&c, tag);
    }
    if (c.bad)
        return otlp_malformed(d->err);
    if (!dictionary)
        FAIL(d->err, ST_INVALID_ARGUMENT, "missing profile metadata dictionary");
    if (!resources)
        FAIL(d->err, ST_INVALID_ARGUMENT, "missing resource profiles");
    return ST_OK;
}

/* A Profile is its samples; what is in none (dictionary, resources) is shared by all. */
static void share_size(struct otlp *out, uint64_t bytes)
{
    uint64_t own = 0;
    for (uint32_t i = 0; i < out->n; i++)
        own += out->v[i].profile.size_bytes;
    uint64_t rest = bytes - MIN(own, bytes);
    for (uint32_t i = 0; i < out->n; i++) {
        struct profile *p = &out->v[i].profile;
        p->sample_bytes = p->size_bytes;
        p->size_bytes += rest / out->n + (i == 0 ? rest % out->n : 0);
    }
}

enum status otlp_decode(struct str message, const struct otlp_options *opt, struct arena *arena,
    struct otlp *ret_otlp, struct error *err)
{
    struct otlp_decoder *d = ARENA_NEW(arena, struct otlp_decoder);
    *ret_otlp = (struct otlp){.bad_string = STR_EMPTY};
    if (!d)
        return otlp_full(err);
    *d = (struct otlp_decoder){.arena = arena, .opt = opt, .out = ret_otlp, .err = err};
    if (message.n >= UINT32_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "messages of 4 GiB and more are not supported");
    TRY(check_message(d, message));
    TRY(otlp_dict_read(d, message));
    struct str *no_service = VEC_PUSH(arena, d->services);
    if (!no_service || !otlp_indexes_init(d))
        return otlp_full(err);
    *no_service = STR_EMPTY;
    struct cursor c = cursor_make(message);
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag == TAG(1, WIRE_BYTES))
            TRY(read_resource(d, otlp_sub(&c)));
        else
            otlp_skip(&c, tag);
    }
    share_size(ret_otlp, message.n);
    return ST_OK;
}
