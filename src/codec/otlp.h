/* OTLP profiles (ExportProfilesServiceRequest, v1development): decode, and nothing else that reads
 * them.
 *
 *     JSON ─otlp_from_json─► protobuf ─otlp_decode─► profiles over the symbols of their resource
 *
 * A request has one dictionary, on which resources, scopes, profiles and samples depend by index.
 * It is read once; of each resource only what its samples use becomes symbols. What breaks the
 * message as a whole (a bad index, a missing sample type) fails the decoder; what a profile alone
 * is guilty of is told with that profile. Sources: spec/ingest.md §5. */
#ifndef CODEC_OTLP_H
#define CODEC_OTLP_H

#include "codec/profile.h"

struct otlp_options { /* 0 = off */
    uint64_t stack_depth_max, string_bytes_max, sample_labels_max;
};

/* An attribute whose value is label text (§5.3). */
struct otlp_attr {
    struct str key, value;
};
struct otlp_attrs {
    struct otlp_attr *v;
    uint32_t n, cap;
};

enum otlp_problem {
    OTLP_OK,
    OTLP_VALUE_COUNT, /* a sample has not one value */
    OTLP_DASH,        /* in the name of the sample type */
    OTLP_UTF8,        /* a string that it uses is not; see otlp.bad_string */
    OTLP_LABELS_MAX,  /* a sample has `n_labels`, more than the limit */
};

/* The samples of one Profile that belong to one service. */
struct otlp_profile {
    const struct otlp_attrs *resource, *scope;
    struct str service; /* what service_name becomes; never empty */
    struct str name;    /* __name__; may be empty */
    enum otlp_problem problem;
    uint32_t n_labels;
    struct profile profile; /* complete also where there is a problem */
};

struct otlp {
    struct otlp_profile *v;
    uint32_t n, cap;
    uint64_t stacks_cut, strings_cut;
    struct str bad_string; /* the first that is not UTF-8 */
};

/* Profiles without samples are left out; so are samples with a negative value, with none but zero,
 * and with a location that has neither lines nor an address. The sizes of all profiles add up to
 * the message's. Views of `message` stay in the result.
 *
 * ST_INVALID_ARGUMENT: "proto: …" when it is no such message, "missing …", or "failed to convert
 * otel profile: …"; ST_RESOURCE_EXHAUSTED when the arena is full. */
enum status otlp_decode(struct str message, const struct otlp_options *opt, struct arena *arena,
    struct otlp *ret_otlp, struct error *err);

/* Trace, span and profile ids in hexadecimal (OTLP/JSON) or base64 (proto3 JSON); names in either
 * spelling; unknown members are passed over. The message is in the arena. */
enum status otlp_from_json(
    struct str json, struct arena *arena, struct str *ret_message, struct error *err);

#endif
