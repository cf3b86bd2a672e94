/* What the files of the OTLP decoder share: the dictionary as it came, the symbols of the resource
 * at work, and how protobuf is walked. Nobody else includes this. */
#ifndef CODEC_OTLP_INT_H
#define CODEC_OTLP_INT_H

#include "base/varint.h"
#include "codec/arena_map_int.h"
#include "codec/otlp.h"
#include "codec/proto_skip.h"

#define TAG(field, wire) ((field) << 3 | (wire))

/* In place of an index: not looked at yet · refused for a string that is not UTF-8. PROF_NONE:
 * looked at and removed. */
#define OTLP_PENDING (UINT32_MAX - 1)
#define OTLP_BAD (UINT32_MAX - 2)

struct otlp_list32 {
    uint32_t *v;
    uint32_t n, cap;
};

/* ---- the dictionary, as on the wire; indexes are not checked yet ---- */

enum otlp_any_kind { OTLP_ANY_NONE, OTLP_ANY_STRING, OTLP_ANY_INT, OTLP_ANY_STRINDEX };
struct otlp_any { /* NONE: absent, or of a kind that is no label text */
    enum otlp_any_kind kind;
    struct str text;
    int64_t number;
};

enum otlp_meaning { /* of a sample's attribute */
    OTLP_MEANS_PENDING,
    OTLP_MEANS_NOTHING,
    OTLP_MEANS_LABEL,
    OTLP_MEANS_SERVICE,
    OTLP_MEANS_SPAN,
    OTLP_MEANS_TRACE,
    OTLP_MEANS_BAD,
};
struct otlp_attribute {
    int32_t key;
    enum otlp_meaning meaning;
    struct otlp_any value;
    struct str text; /* once the meaning is known */
};
struct otlp_mapping {
    uint64_t start, limit, offset;
    int32_t filename;
    uint32_t first_attribute, n_attributes; /* of mapping_attributes */
    uint32_t flags;                         /* over all locations of the dictionary */
};
struct otlp_location {
    uint64_t address;
    int32_t mapping;
    uint32_t first_line, n_lines;
};
struct otlp_line {
    int32_t function;
    int64_t line;
};
struct otlp_function {
    int32_t name, system_name, filename;
    int64_t start_line;
};
struct otlp_link {
    uint64_t span, trace_hi, trace_lo;
};
struct otlp_stack {
    uint32_t first, n; /* of stack_locations */
};

struct otlp_dict {
    struct otlp_mapping *mappings;
    struct otlp_location *locations;
    struct otlp_function *functions;
    struct otlp_link *links;
    struct str *strings;
    struct otlp_attribute *attributes;
    struct otlp_stack *stacks;
    uint32_t n_mappings, n_locations, n_functions, n_links, n_strings, n_attributes, n_stacks;
    struct {
        struct otlp_line *v;
        uint32_t n, cap;
    } lines;
    struct otlp_list32 stack_locations, mapping_attributes;
};

/* ---- symbols of one resource ---- */

/* From an index of the dictionary to one of the symbols. What holds for the whole request (BAD,
 * PROF_NONE) stays; what was `made` for a resource is forgotten at its end. */
struct otlp_index {
    uint32_t *of, *made;
    uint32_t n_made;
};

/* A list of attribute indexes that samples have, and what it comes to. */
struct otlp_labels {
    uint32_t first, n; /* of label_keys */
    uint32_t labelset, n_labels;
    uint32_t service; /* of services; 0: none */
    bool bad;
    uint64_t span, trace_hi, trace_lo;
};

struct otlp_symbols {
    struct prof_symbols *out; /* filled in at the end of the resource; NULL: not begun */
    struct {
        struct str *v;
        uint32_t n, cap;
    } strings;
    struct {
        struct prof_function *v;
        uint32_t n, cap;
    } functions;
    struct {
        struct prof_mapping *v;
        uint32_t n, cap;
    } mappings;
    struct {
        struct prof_line *v;
        uint32_t n, cap;
    } lines;
    struct {
        struct prof_location *v;
        uint32_t n, cap;
    } locations;
    struct {
        struct prof_stack *v;
        uint32_t n, cap;
    } stacks;
    struct {
        struct prof_label *v;
        uint32_t n, cap;
    } labels;
    struct {
        struct prof_labelset *v;
        uint32_t n, cap;
    } labelsets;
    struct {
        struct otlp_labels *v;
        uint32_t n, cap;
    } known_labels;
    struct otlp_list32 frames, label_keys;
    struct idmap by_labels; /* of known_labels */
};

struct otlp_decoder {
    struct arena *arena;
    const struct otlp_options *opt;
    struct otlp *out;
    struct error *err;
    struct otlp_dict dict;
    struct otlp_index string_of, function_of, mapping_of, location_of, stack_of;
    struct otlp_index value_of; /* of attributes with a text of their own: a string */
    struct otlp_symbols sym;
    struct {
        struct str *v;
        uint32_t n, cap;
    } services; /* that samples name; [0] is none */
    struct idmap by_service;
    uint32_t *part_of_service; /* scratch, of `services` when it was made */
    uint32_t n_part_of_service;
    struct otlp_list32 attributes; /* scratch: of the sample at work */
};

/* ---- otlp_wire.c ---- */

/* Behind a field that nobody wants; marks the cursor bad when it is none. */
void otlp_skip(struct cursor *c, uint64_t tag);
static inline struct cursor otlp_sub(struct cursor *c)
{
    return cursor_make(cursor_bytes(c, cursor_uvarint(c)));
}
/* A repeated int32, packed or not; false: arena full. */
MUST_USE bool otlp_list(struct otlp_list32 *l, struct arena *arena, struct cursor *c, bool packed);
struct otlp_any otlp_read_any(struct cursor *c);
uint64_t otlp_u64be(const uint8_t *p);

enum status otlp_malformed(struct error *err);
enum status otlp_full(struct error *err);
enum status otlp_range(struct otlp_decoder *d, const char *what, int64_t index);
#define OTLP_CONVERT_FAIL(d, ...) \
    FAIL((d)->err, ST_INVALID_ARGUMENT, "failed to convert otel profile: " __VA_ARGS__)

/* ---- otlp_dict.c ---- */

/* All occurrences of the dictionary in the message, of which there is at least one. */
enum status otlp_dict_read(struct otlp_decoder *d, struct str message);
/* Of the string table. */
enum status otlp_dict_string(struct otlp_decoder *d, int32_t i, struct str *ret_text);
/* Label text; empty when it is none. */
enum status otlp_text(struct otlp_decoder *d, const struct otlp_any *any, struct str *ret_text);

/* ---- otlp_symbols.c: all give an index, OTLP_BAD, or (locations, stacks) PROF_NONE ---- */

MUST_USE bool otlp_indexes_init(struct otlp_decoder *d);
enum status otlp_symbols_begin(struct otlp_decoder *d);
void otlp_symbols_end(struct otlp_decoder *d);
enum status otlp_string(struct otlp_decoder *d, int32_t i, uint32_t *ret_index);
enum status otlp_stack_make(struct otlp_decoder *d, uint32_t i);
static inline enum status otlp_stack(struct otlp_decoder *d, int32_t i, uint32_t *ret_index)
{
    if (UNLIKELY((uint32_t)i >= d->dict.n_stacks))
        return otlp_range(d, "stack", i);
    if (UNLIKELY(d->stack_of.of[i] == OTLP_PENDING))
        TRY(otlp_stack_make(d, (uint32_t)i));
    *ret_index = d->stack_of.of[i];
    return ST_OK;
}
/* Cuts a string that is too long; false: it is not UTF-8. */
bool otlp_string_good(struct otlp_decoder *d, struct str *s);
/* A new string of the symbols. */
enum status otlp_string_add(struct otlp_decoder *d, struct str s, uint32_t *ret_index);

/* ---- otlp_labels.c ---- */

/* What the attributes in d->attributes come to; the pointer lives until the next call. */
enum status otlp_labels(struct otlp_decoder *d, const struct otlp_labels **ret_labels);

/* ---- otlp_profile.c ---- */

/* Adds what the samples of a Profile become; its labels are told by the caller. */
enum status otlp_profile_read(
    struct otlp_decoder *d, struct str bytes, const struct otlp_profile *labels);

#endif
