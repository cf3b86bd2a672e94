/* Decodes profile.proto into struct pprof: see pprof.h.
 *
 *     gzip? ─► inflate ─► count the top-level fields ─► one pass that fills arrays
 *
 * The first walk looks only at tags and lengths of the outermost message; with its counts the
 * arrays of top-level messages are exact. The flat arrays that samples and locations share
 * (location ids, values, labels, lines) start at a guess from the same counts and double in the
 * arena.
 *
 * Repeated numbers are read packed, unpacked and mixed; singular messages that occur twice merge;
 * of scalars the last wins; unknown fields, groups too, are skipped.
 *
 * Invariants: 1. Both walks skip by the same function, so they see the same fields and no exact
 * array overflows (asserted). 2. Strings are views of the body or of what was inflated. 3. Nothing
 * is recursive; every loop consumes input. Memory is at most about 20 bytes per byte of protobuf,
 * and bounded by the arena. Thread: the caller's. Failure: ST_INVALID_ARGUMENT with the words of
 * Go's decoder. */
#include "codec/pprof.h"

#include "base/varint.h"
#include "codec/gzip.h"
#include "codec/proto_skip.h"

enum { GZIP_HEADER = 10 };
#define TAG(field, wire) ((field) << 3 | (wire))

struct u64s {
    uint64_t *v;
    size_t n, cap;
};

struct decoder {
    struct arena *arena;
    struct pprof *p;
    struct error *err;
    struct u64s ids, values;
    struct {
        struct pprof_label *v;
        uint32_t n, cap;
    } labels;
    struct {
        struct pprof_line *v;
        uint32_t n, cap;
    } lines;
};

/* A message's name and fields, for the texts of errors. */
struct message {
    const char *name;
    const char *fields[14];
};

static const struct message msg_profile = {
    "Profile", {"SampleType", "Sample", "Mapping", "Location", "Function", "StringTable",
                   "DropFrames", "KeepFrames", "TimeNanos", "DurationNanos", "PeriodType", "Period",
                   "Comment", "DefaultSampleType"}};
static const struct message msg_value_type = {"ValueType", {"Type", "Unit"}};
static const struct message msg_sample = {"Sample", {"LocationId", "Value", "Label"}};
static const struct message msg_label = {"Label", {"Key", "Str", "Num", "NumUnit"}};
static const struct message msg_mapping = {
    "Mapping", {"Id", "MemoryStart", "MemoryLimit", "FileOffset", "Filename", "BuildId",
                   "HasFunctions", "HasFilenames", "HasLineNumbers", "HasInlineFrames"}};
static const struct message msg_location = {
    "Location", {"Id", "MappingId", "Address", "Line", "IsFolded"}};
static const struct message msg_line = {"Line", {"FunctionId", "Line"}};
static const struct message msg_function = {
    "Function", {"Id", "Name", "SystemName", "Filename", "StartLine"}};

static enum status full(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "the profile needs more memory than a request may use");
}

static enum status eof(struct error *err)
{
    FAIL(err, ST_INVALID_ARGUMENT, "unexpected EOF");
}

/* Location ids and values are mostly one or two bytes. */
static inline uint64_t varint_short(struct cursor *c)
{
    const uint8_t *p = c->p;
    if (LIKELY(c->end - p >= 2)) {
        if (p[0] < 0x80) {
            c->p = p + 1;
            return p[0];
        }
        if (p[1] < 0x80) {
            c->p = p + 2;
            return (uint64_t)(p[0] & 0x7F) | (uint64_t)p[1] << 7;
        }
    }
    return cursor_uvarint_slow(c);
}

/* ── fields ── */

/* A tag that no case of the message took. */
static enum status other_field(
    struct cursor *c, uint64_t tag, const struct message *m, struct error *err)
{
    unsigned wire = (unsigned)(tag & 7);
    uint64_t field = tag >> 3;
    if (c->bad)
        return eof(err);
    if (wire == WIRE_GROUP_END)
        FAIL(err, ST_INVALID_ARGUMENT, "proto: %s: wiretype end group for non-group", m->name);
    if (field == 0 || field > INT32_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "proto: %s: illegal tag %d (wire type %u)", m->name,
            (int)(uint32_t)field, wire);
    if (field <= ARRAY_LEN(m->fields) && m->fields[field - 1])
        FAIL(err, ST_INVALID_ARGUMENT, "proto: wrong wireType = %u for field %s", wire,
            m->fields[field - 1]);
    if (wire > WIRE_FIXED32)
        FAIL(err, ST_INVALID_ARGUMENT, "proto: illegal wireType %u", wire);
    proto_skip(c, tag);
    return c->bad ? eof(err) : ST_OK;
}

static struct cursor sub_message(struct cursor *c)
{
    return cursor_make(cursor_bytes(c, cursor_uvarint(c)));
}

/* ── flat arrays ── */

static enum status u64s_reserve(struct decoder *d, struct u64s *a, size_t more)
{
    if (LIKELY(more <= a->cap - a->n))
        return ST_OK;
    size_t want = MAX(a->cap * 2, a->n + more);
    uint64_t *v = ARENA_ARRAY(d->arena, uint64_t, want);
    if (!v)
        return full(d->err);
    if (a->n)
        memcpy(v, a->v, a->n * sizeof *v);
    a->v = v;
    a->cap = want;
    return ST_OK;
}

static enum status u64s_one(struct decoder *d, struct u64s *a, struct cursor *c)
{
    TRY(u64s_reserve(d, a, 1));
    a->v[a->n++] = cursor_uvarint(c);
    return ST_OK;
}

static enum status u64s_packed(struct decoder *d, struct u64s *a, struct cursor *outer)
{
    struct cursor c = sub_message(outer);
    TRY(u64s_reserve(d, a, cursor_left(&c)));
    uint64_t *at = a->v + a->n;
    while (c.p < c.end)
        *at++ = varint_short(&c);
    a->n = (size_t)(at - a->v);
    return c.bad ? eof(d->err) : ST_OK;
}

/* ── messages ── */

static enum status read_value_type(
    struct decoder *d, struct cursor *outer, struct pprof_value_type *vt)
{
    struct cursor c = sub_message(outer);
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        switch (tag) {
        case TAG(1, WIRE_VARINT):
            vt->type = (int64_t)cursor_uvarint(&c);
            break;
        case TAG(2, WIRE_VARINT):
            vt->unit = (int64_t)cursor_uvarint(&c);
            break;
        default:
            TRY(other_field(&c, tag, &msg_value_type, d->err));
        }
    }
    return c.bad ? eof(d->err) : ST_OK;
}

static enum status read_label(struct decoder *d, struct cursor *outer)
{
    struct cursor c = sub_message(outer);
    struct pprof_label *l = VEC_PUSH(d->arena, d->labels);
    if (!l)
        return full(d->err);
    *l = (struct pprof_label){0};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        switch (tag) {
        case TAG(1, WIRE_VARINT):
            l->key = (int64_t)cursor_uvarint(&c);
            break;
        case TAG(2, WIRE_VARINT):
            l->str = (int64_t)cursor_uvarint(&c);
            break;
        case TAG(3, WIRE_VARINT):
            l->num = (int64_t)cursor_uvarint(&c);
            break;
        case TAG(4, WIRE_VARINT):
            l->num_unit = (int64_t)cursor_uvarint(&c);
            break;
        default:
            TRY(other_field(&c, tag, &msg_label, d->err));
        }
    }
    return c.bad ? eof(d->err) : ST_OK;
}

static enum status read_sample(struct decoder *d, struct cursor *outer, struct pprof_sample *s)
{
    struct cursor c = sub_message(outer);
    *s = (struct pprof_sample){.first_location = (uint32_t)d->ids.n,
        .first_value = (uint32_t)d->values.n,
        .first_label = d->labels.n};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        switch (tag) {
        case TAG(1, WIRE_VARINT):
            TRY(u64s_one(d, &d->ids, &c));
            break;
        case TAG(1, WIRE_BYTES):
            TRY(u64s_packed(d, &d->ids, &c));
            break;
        case TAG(2, WIRE_VARINT):
            TRY(u64s_one(d, &d->values, &c));
            break;
        case TAG(2, WIRE_BYTES):
            TRY(u64s_packed(d, &d->values, &c));
            break;
        case TAG(3, WIRE_BYTES):
            TRY(read_label(d, &c));
            break;
        default:
            TRY(other_field(&c, tag, &msg_sample, d->err));
        }
    }
    s->n_locations = (uint32_t)d->ids.n - s->first_location;
    s->n_values = (uint32_t)d->values.n - s->first_value;
    s->n_labels = d->labels.n - s->first_label;
    return c.bad ? eof(d->err) : ST_OK;
}

static void set_flag(uint32_t *flags, uint32_t flag, bool on)
{
    *flags = on ? *flags | flag : *flags & ~flag;
}

static enum status read_mapping(struct decoder *d, struct cursor *outer, struct pprof_mapping *m)
{
    struct cursor c = sub_message(outer);
    *m = (struct pprof_mapping){0};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if ((tag & 7) != WIRE_VARINT || tag < TAG(1, WIRE_VARINT) || tag > TAG(10, WIRE_VARINT)) {
            TRY(other_field(&c, tag, &msg_mapping, d->err));
            continue;
        }
        uint64_t v = cursor_uvarint(&c);
        switch (tag >> 3) {
        case 1:
            m->id = v;
            break;
        case 2:
            m->start = v;
            break;
        case 3:
            m->limit = v;
            break;
        case 4:
            m->offset = v;
            break;
        case 5:
            m->filename = (int64_t)v;
            break;
        case 6:
            m->build_id = (int64_t)v;
            break;
        default: /* 7..10: the flags, in their order */
            set_flag(&m->flags, 1u << ((tag >> 3) - 7), v != 0);
        }
    }
    return c.bad ? eof(d->err) : ST_OK;
}

static enum status read_line(struct decoder *d, struct cursor *outer)
{
    struct cursor c = sub_message(outer);
    struct pprof_line *l = VEC_PUSH(d->arena, d->lines);
    if (!l)
        return full(d->err);
    *l = (struct pprof_line){0};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        switch (tag) {
        case TAG(1, WIRE_VARINT):
            l->function_id = cursor_uvarint(&c);
            break;
        case TAG(2, WIRE_VARINT):
            l->line = (int64_t)cursor_uvarint(&c);
            break;
        default:
            TRY(other_field(&c, tag, &msg_line, d->err));
        }
    }
    return c.bad ? eof(d->err) : ST_OK;
}

static enum status read_location(struct decoder *d, struct cursor *outer, struct pprof_location *l)
{
    struct cursor c = sub_message(outer);
    *l = (struct pprof_location){.first_line = d->lines.n};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        switch (tag) {
        case TAG(1, WIRE_VARINT):
            l->id = cursor_uvarint(&c);
            break;
        case TAG(2, WIRE_VARINT):
            l->mapping_id = cursor_uvarint(&c);
            break;
        case TAG(3, WIRE_VARINT):
            l->address = cursor_uvarint(&c);
            break;
        case TAG(4, WIRE_BYTES):
            TRY(read_line(d, &c));
            break;
        case TAG(5, WIRE_VARINT):
            l->folded = cursor_uvarint(&c) != 0;
            break;
        default:
            TRY(other_field(&c, tag, &msg_location, d->err));
        }
    }
    l->n_lines = d->lines.n - l->first_line;
    return c.bad ? eof(d->err) : ST_OK;
}

static enum status read_function(struct decoder *d, struct cursor *outer, struct pprof_function *f)
{
    struct cursor c = sub_message(outer);
    *f = (struct pprof_function){0};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        switch (tag) {
        case TAG(1, WIRE_VARINT):
            f->id = cursor_uvarint(&c);
            break;
        case TAG(2, WIRE_VARINT):
            f->name = (int64_t)cursor_uvarint(&c);
            break;
        case TAG(3, WIRE_VARINT):
            f->system_name = (int64_t)cursor_uvarint(&c);
            break;
        case TAG(4, WIRE_VARINT):
            f->filename = (int64_t)cursor_uvarint(&c);
            break;
        case TAG(5, WIRE_VARINT):
            f->start_line = (int64_t)cursor_uvarint(&c);
            break;
        default:
            TRY(other_field(&c, tag, &msg_function, d->err));
        }
    }
    return c.bad ? eof(d->err) : ST_OK;
}

/* ── the outermost message ── */

struct counts {
    uint32_t fields[7]; /* by number */
    size_t sample_bytes, location_bytes;
};

/* Stops where the second walk will stop as well, which then says why. */
static struct counts count_fields(struct str in)
{
    struct counts n = {0};
    struct cursor c = cursor_make(in);
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if ((tag & 7) != WIRE_BYTES) {
            proto_skip(&c, tag);
            continue;
        }
        struct str body = cursor_bytes(&c, cursor_uvarint(&c));
        if (tag >= TAG(1, WIRE_BYTES) && tag <= TAG(6, WIRE_BYTES))
            n.fields[tag >> 3]++;
        if (tag == TAG(2, WIRE_BYTES))
            n.sample_bytes += body.n;
        if (tag == TAG(4, WIRE_BYTES))
            n.location_bytes += body.n;
    }
    return n;
}

static enum status allocate(struct decoder *d, const struct counts *n)
{
    struct pprof *p = d->p;
    struct arena *a = d->arena;
    uint64_t values = (uint64_t)n->fields[2] * MAX(n->fields[1], 1u);
    d->ids.cap = n->sample_bytes / 2;
    d->values.cap = (size_t)MIN(values, n->sample_bytes);
    d->lines.cap = (uint32_t)MIN((size_t)n->fields[4], n->location_bytes);
    p->sample_types = ARENA_ZARRAY(a, struct pprof_value_type, n->fields[1]);
    p->samples = ARENA_ARRAY(a, struct pprof_sample, n->fields[2]);
    p->mappings = ARENA_ARRAY(a, struct pprof_mapping, n->fields[3]);
    p->locations = ARENA_ARRAY(a, struct pprof_location, n->fields[4]);
    p->functions = ARENA_ARRAY(a, struct pprof_function, n->fields[5]);
    p->strings = ARENA_ARRAY(a, struct str, n->fields[6]);
    d->ids.v = ARENA_ARRAY(a, uint64_t, d->ids.cap);
    d->values.v = ARENA_ARRAY(a, uint64_t, d->values.cap);
    d->lines.v = ARENA_ARRAY(a, struct pprof_line, d->lines.cap);
    return a->full ? full(d->err) : ST_OK;
}

static enum status read_profile_field(
    struct decoder *d, struct cursor *c, uint64_t tag, const struct counts *max)
{
    struct pprof *p = d->p;
    switch (tag) {
    case TAG(1, WIRE_BYTES):
        ASSERT(p->n_sample_types < max->fields[1]);
        return read_value_type(d, c, &p->sample_types[p->n_sample_types++]);
    case TAG(2, WIRE_BYTES):
        ASSERT(p->n_samples < max->fields[2]);
        return read_sample(d, c, &p->samples[p->n_samples++]);
    case TAG(3, WIRE_BYTES):
        ASSERT(p->n_mappings < max->fields[3]);
        return read_mapping(d, c, &p->mappings[p->n_mappings++]);
    case TAG(4, WIRE_BYTES):
        ASSERT(p->n_locations < max->fields[4]);
        return read_location(d, c, &p->locations[p->n_locations++]);
    case TAG(5, WIRE_BYTES):
        ASSERT(p->n_functions < max->fields[5]);
        return read_function(d, c, &p->functions[p->n_functions++]);
    case TAG(6, WIRE_BYTES):
        ASSERT(p->n_strings < max->fields[6]);
        p->strings[p->n_strings++] = cursor_bytes(c, cursor_uvarint(c));
        return ST_OK;
    case TAG(11, WIRE_BYTES):
        p->has_period_type = true;
        return read_value_type(d, c, &p->period_type);
    case TAG(7, WIRE_VARINT): /* drop_frames and keep_frames are never applied at ingest, */
    case TAG(8, WIRE_VARINT): /* comments are not stored */
    case TAG(13, WIRE_VARINT):
        cursor_uvarint(c);
        return ST_OK;
    case TAG(13, WIRE_BYTES):
        cursor_bytes(c, cursor_uvarint(c));
        return ST_OK;
    case TAG(9, WIRE_VARINT):
        p->time_ns = (int64_t)cursor_uvarint(c);
        return ST_OK;
    case TAG(10, WIRE_VARINT):
        p->duration_ns = (int64_t)cursor_uvarint(c);
        return ST_OK;
    case TAG(12, WIRE_VARINT):
        p->period = (int64_t)cursor_uvarint(c);
        return ST_OK;
    case TAG(14, WIRE_VARINT):
        p->default_sample_type = (int64_t)cursor_uvarint(c);
        return ST_OK;
    default:
        return other_field(c, tag, &msg_profile, d->err);
    }
}

static enum status decode(struct str in, struct decoder *d)
{
    struct counts n = count_fields(in);
    struct pprof *p = d->p;
    TRY(allocate(d, &n));
    struct cursor c = cursor_make(in);
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        TRY(read_profile_field(d, &c, tag, &n));
    }
    if (c.bad)
        return eof(d->err);
    p->location_ids = d->ids.v;
    p->n_location_ids = (uint32_t)d->ids.n;
    p->values = (int64_t *)d->values.v;
    p->n_values = (uint32_t)d->values.n;
    p->labels = d->labels.v;
    p->n_labels = d->labels.n;
    p->lines = d->lines.v;
    p->n_lines = d->lines.n;
    p->size_bytes = in.n;
    p->sample_bytes = n.sample_bytes;
    return ST_OK;
}

enum status pprof_decode(struct str in, uint64_t limit_bytes, struct arena *arena,
    struct pprof **ret_pprof, struct error *err)
{
    if (in.n < GZIP_HEADER) /* the reference wants the room of a gzip header, whatever comes */
        FAIL(err, ST_INVALID_ARGUMENT, "gzip reset: %s", in.n ? "unexpected EOF" : "EOF");
    if (gzip_detect(in)) {
        enum status st = gzip_inflate(in, limit_bytes, arena, &in, err);
        if (st == ST_INVALID_ARGUMENT)
            return error_wrap(err, st, "gzip reset");
        TRY(st);
    }
    if (in.n >= UINT32_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "profiles of 4 GiB and more are not supported");
    struct decoder d = {.arena = arena, .err = err, .p = ARENA_NEW(arena, struct pprof)};
    if (!d.p)
        return full(err);
    TRY(decode(in, &d));
    *ret_pprof = d.p;
    return ST_OK;
}
