/* The dictionary of an OTLP request: see otlp_int.h.
 *
 *     count the tables ─► exact arrays ─► one pass that fills them ─► flags of the mappings
 *
 * A singular message that occurs twice is merged, so several dictionaries are one, table after
 * table. Tables may come in any order; nothing is looked up before all of them are there. Indexes
 * are kept as they came and checked by whoever follows them.
 *
 * Flags say of a mapping that all its locations have lines with a function, a line number, a file
 * name. The reference reckons them per sample; here they are of the whole dictionary, so that a
 * mapping is the same for all samples. Locations that nothing can refer to sensibly (no lines, no
 * address: by convention the one at 0) do not count.
 *
 * Invariants: 1. Both passes skip by the same function: no array overflows (asserted). 2. Strings
 * are views of the message. Memory is at most about 30 bytes per byte of the message, and bounded
 * by the arena. Thread: the caller's. Failure: otlp_malformed. */
#include "codec/otlp_int.h"

#include <inttypes.h>

static bool read_mapping(struct otlp_decoder *d, struct cursor c, struct otlp_mapping *m)
{
    struct otlp_list32 *list = &d->dict.mapping_attributes;
    *m = (struct otlp_mapping){.first_attribute = list->n};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        switch (tag) {
        case TAG(1, WIRE_VARINT):
            m->start = cursor_uvarint(&c);
            break;
        case TAG(2, WIRE_VARINT):
            m->limit = cursor_uvarint(&c);
            break;
        case TAG(3, WIRE_VARINT):
            m->offset = cursor_uvarint(&c);
            break;
        case TAG(4, WIRE_VARINT):
            m->filename = (int32_t)cursor_uvarint(&c);
            break;
        case TAG(5, WIRE_VARINT):
        case TAG(5, WIRE_BYTES):
            if (!otlp_list(list, d->arena, &c, (tag & 7) == WIRE_BYTES))
                return false;
            break;
        default:
            otlp_skip(&c, tag);
        }
    }
    m->n_attributes = list->n - m->first_attribute;
    return !c.bad;
}

static bool read_line(struct otlp_decoder *d, struct cursor c)
{
    struct otlp_line *l = VEC_PUSH(d->arena, d->dict.lines);
    if (!l)
        return false;
    *l = (struct otlp_line){0};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        switch (tag) {
        case TAG(1, WIRE_VARINT):
            l->function = (int32_t)cursor_uvarint(&c);
            break;
        case TAG(2, WIRE_VARINT):
            l->line = (int64_t)cursor_uvarint(&c);
            break;
        default:
            otlp_skip(&c, tag);
        }
    }
    return !c.bad;
}

static bool read_location(struct otlp_decoder *d, struct cursor c, struct otlp_location *l)
{
    *l = (struct otlp_location){.first_line = d->dict.lines.n};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        switch (tag) {
        case TAG(1, WIRE_VARINT):
            l->mapping = (int32_t)cursor_uvarint(&c);
            break;
        case TAG(2, WIRE_VARINT):
            l->address = cursor_uvarint(&c);
            break;
        case TAG(3, WIRE_BYTES):
            if (!read_line(d, otlp_sub(&c)))
                return false;
            break;
        default:
            otlp_skip(&c, tag);
        }
    }
    l->n_lines = d->dict.lines.n - l->first_line;
    return !c.bad;
}

static bool read_function(struct cursor c, struct otlp_function *f)
{
    *f = (struct otlp_function){0};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        switch (tag) {
        case TAG(1, WIRE_VARINT):
            f->name = (int32_t)cursor_uvarint(&c);
            break;
        case TAG(2, WIRE_VARINT):
            f->system_name = (int32_t)cursor_uvarint(&c);
            break;
        case TAG(3, WIRE_VARINT):
            f->filename = (int32_t)cursor_uvarint(&c);
            break;
        case TAG(4, WIRE_VARINT):
            f->start_line = (int64_t)cursor_uvarint(&c);
            break;
        default:
            otlp_skip(&c, tag);
        }
    }
    return !c.bad;
}

/* Ids of another length are none. */
static bool read_link(struct cursor c, struct otlp_link *l)
{
    *l = (struct otlp_link){0};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag != TAG(1, WIRE_BYTES) && tag != TAG(2, WIRE_BYTES)) {
            otlp_skip(&c, tag);
            continue;
        }
        struct str id = cursor_bytes(&c, cursor_uvarint(&c));
        const uint8_t *p = (const uint8_t *)id.p;
        if (tag == TAG(2, WIRE_BYTES)) {
            l->span = id.n == 8 ? load_u64le(p) : 0;
        } else {
            l->trace_hi = id.n == 16 ? otlp_u64be(p) : 0;
            l->trace_lo = id.n == 16 ? otlp_u64be(p + 8) : 0;
        }
    }
    return !c.bad;
}

static bool read_attribute(struct cursor c, struct otlp_attribute *a)
{
    *a = (struct otlp_attribute){0};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag == TAG(1, WIRE_VARINT)) {
            a->key = (int32_t)cursor_uvarint(&c);
        } else if (tag == TAG(2, WIRE_BYTES)) {
            struct cursor value = otlp_sub(&c);
            a->value = otlp_read_any(&value);
            if (value.bad)
                return false;
        } else {
            otlp_skip(&c, tag);
        }
    }
    return !c.bad;
}

static bool read_stack(struct otlp_decoder *d, struct cursor c, struct otlp_stack *s)
{
    struct otlp_list32 *list = &d->dict.stack_locations;
    *s = (struct otlp_stack){.first = list->n};
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag != TAG(1, WIRE_VARINT) && tag != TAG(1, WIRE_BYTES))
            otlp_skip(&c, tag);
        else if (!otlp_list(list, d->arena, &c, (tag & 7) == WIRE_BYTES))
            return false;
    }
    s->n = list->n - s->first;
    return !c.bad;
}

/* One entry of a table. False: malformed, or the arena is full. */
static bool read_entry(struct otlp_decoder *d, uint64_t tag, struct cursor *c)
{
    struct otlp_dict *t = &d->dict;
    switch (tag) {
    case TAG(1, WIRE_BYTES):
        return read_mapping(d, otlp_sub(c), &t->mappings[t->n_mappings++]);
    case TAG(2, WIRE_BYTES):
        return read_location(d, otlp_sub(c), &t->locations[t->n_locations++]);
    case TAG(3, WIRE_BYTES):
        return read_function(otlp_sub(c), &t->functions[t->n_functions++]);
    case TAG(4, WIRE_BYTES):
        return read_link(otlp_sub(c), &t->links[t->n_links++]);
    case TAG(5, WIRE_BYTES):
        t->strings[t->n_strings++] = cursor_bytes(c, cursor_uvarint(c));
        return true;
    case TAG(6, WIRE_BYTES):
        return read_attribute(otlp_sub(c), &t->attributes[t->n_attributes++]);
    case TAG(7, WIRE_BYTES):
        return read_stack(d, otlp_sub(c), &t->stacks[t->n_stacks++]);
    default:
        otlp_skip(c, tag);
        return true;
    }
}

/* ── the whole ── */

struct counts {
    uint32_t fields[8]; /* by number */
};

static void count_entries(struct cursor c, struct counts *n)
{
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag >= TAG(1, WIRE_BYTES) && tag <= TAG(7, WIRE_BYTES) && (tag & 7) == WIRE_BYTES)
            n->fields[tag >> 3]++;
        otlp_skip(&c, tag);
    }
}

static bool allocate(struct otlp_decoder *d, const struct counts *n)
{
    struct otlp_dict *t = &d->dict;
    struct arena *a = d->arena;
    t->mappings = ARENA_ARRAY(a, struct otlp_mapping, n->fields[1]);
    t->locations = ARENA_ARRAY(a, struct otlp_location, n->fields[2]);
    t->functions = ARENA_ARRAY(a, struct otlp_function, n->fields[3]);
    t->links = ARENA_ARRAY(a, struct otlp_link, n->fields[4]);
    t->strings = ARENA_ARRAY(a, struct str, n->fields[5]);
    t->attributes = ARENA_ARRAY(a, struct otlp_attribute, n->fields[6]);
    t->stacks = ARENA_ARRAY(a, struct otlp_stack, n->fields[7]);
    return !a->full;
}

static uint32_t line_flags(const struct otlp_dict *t, const struct otlp_line *l)
{
    uint32_t flags = l->line > 0 ? PROF_HAS_LINE_NUMBERS : 0;
    if (l->function <= 0 || (uint32_t)l->function >= t->n_functions)
        return flags;
    flags |= PROF_HAS_FUNCTIONS;
    return t->functions[l->function].filename > 0 ? flags | PROF_HAS_FILENAMES : flags;
}

static void flag_mappings(struct otlp_dict *t)
{
    for (uint32_t i = 0; i < t->n_mappings; i++)
        t->mappings[i].flags = PROF_HAS_FUNCTIONS | PROF_HAS_FILENAMES | PROF_HAS_LINE_NUMBERS;
    for (uint32_t i = 0; i < t->n_locations; i++) {
        const struct otlp_location *l = &t->locations[i];
        if ((uint32_t)l->mapping >= t->n_mappings || (l->n_lines == 0 && l->address == 0))
            continue;
        uint32_t flags = l->n_lines ? UINT32_MAX : 0;
        for (uint32_t k = 0; k < l->n_lines; k++)
            flags &= line_flags(t, &t->lines.v[l->first_line + k]);
        t->mappings[l->mapping].flags &= flags;
    }
}

static enum status read_tables(struct otlp_decoder *d, struct cursor c)
{
    while (c.p < c.end) {
        uint64_t tag = cursor_uvarint(&c);
        if (!read_entry(d, tag, &c))
            return d->arena->full ? otlp_full(d->err) : otlp_malformed(d->err);
    }
    return c.bad ? otlp_malformed(d->err) : ST_OK;
}

enum status otlp_dict_read(struct otlp_decoder *d, struct str message)
{
    struct counts n = {0};
    for (struct cursor c = cursor_make(message); c.p < c.end;) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag == TAG(2, WIRE_BYTES))
            count_entries(otlp_sub(&c), &n);
        else
            otlp_skip(&c, tag);
    }
    if (!allocate(d, &n))
        return otlp_full(d->err);
    for (struct cursor c = cursor_make(message); c.p < c.end;) {
        uint64_t tag = cursor_uvarint(&c);
        if (tag == TAG(2, WIRE_BYTES))
            TRY(read_tables(d, otlp_sub(&c)));
        else
            otlp_skip(&c, tag);
    }
    ASSERT(d->dict.n_strings == n.fields[5] && d->dict.n_locations == n.fields[2]);
    flag_mappings(&d->dict);
    return ST_OK;
}

enum status otlp_dict_string(struct otlp_decoder *d, int32_t i, struct str *ret_text)
{
    if ((uint32_t)i >= d->dict.n_strings)
        return otlp_range(d, "string", i);
    *ret_text = d->dict.strings[i];
    return ST_OK;
}

enum status otlp_text(struct otlp_decoder *d, const struct otlp_any *any, struct str *ret_text)
{
    *ret_text = STR_EMPTY;
    switch (any->kind) {
    case OTLP_ANY_STRING:
        *ret_text = any->text;
        return ST_OK;
    case OTLP_ANY_INT:
        *ret_text = arena_printf(d->arena, "%" PRId64, any->number);
        return ret_text->p ? ST_OK : otlp_full(d->err);
    case OTLP_ANY_STRINDEX:
        return otlp_dict_string(d, (int32_t)any->number, ret_text);
    case OTLP_ANY_NONE:
        break;
    }
    return ST_OK;
}
