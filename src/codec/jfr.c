/* Java Flight Recorder files to profiles: the entry, and the chunks of a file.
 *
 *     recording = chunks; chunk = header · events (among them one metadata, and checkpoints)
 *
 *     jfr_read.c    varints, strings, tables by key      jfr_names.c   generated names merged
 *     jfr_meta.c    classes and fields                   jfr_stacks.c  keys → stacks, functions
 *     jfr_prog.c    classes as programs over bytes       jfr_labels.c  context ids → label sets
 *     jfr_pools.c   constants, read in place             jfr_events.c  events → samples, profiles
 *
 * Type ids and constants belong to their chunk and are forgotten after it; strings, functions,
 * locations, stacks and label sets belong to the request. The decoder sees hostile bytes: every
 * count is held against the bytes left, no part of a chunk is walked more than a fixed number of
 * times, and all memory is the arena's, in proportion to the input. Any fault refuses the whole
 * recording. One thread, no state outside of the call. */
#include "codec/jfr_int.h"

enum {
    HEADER_SIZE = 8,
    HEADER_POOLS = 16,
    HEADER_METADATA = 24,
    HEADER_TICKS_PER_S = 56,
    HEADER_FEATURES = 64,
};

static uint64_t load_u64be(const char *p)
{
    return __builtin_bswap64(load_u64le(p));
}

/* On success `rest` begins with a whole chunk of *ret_size bytes. */
static enum status check_header(struct jfr_dec *d, struct str rest, uint64_t *ret_size)
{
    if (rest.n < JFR_HEADER_BYTES)
        JFR_FAIL(d, "error reading chunk header: unexpected EOF");
    if (memcmp(rest.p, "FLR", 4) != 0)
        JFR_FAIL(d, "error reading chunk header: unexpected magic %08x",
            __builtin_bswap32(load_u32le(rest.p)));
    uint32_t version = __builtin_bswap32(load_u32le(rest.p + 4));
    if (version >> 16 != 2)
        JFR_FAIL(d, "error reading chunk header: unknown version %u", version);
    uint64_t size = load_u64be(rest.p + HEADER_SIZE);
    uint64_t pools = load_u64be(rest.p + HEADER_POOLS);
    uint64_t metadata = load_u64be(rest.p + HEADER_METADATA);
    if (size == 0 || pools == 0 || metadata == 0)
        JFR_FAIL(d, "error reading chunk header: the chunk is not finished");
    if (size > rest.n || pools >= size || metadata >= size)
        JFR_FAIL(d, "error reading chunk: unexpected EOF");
    if (size < JFR_HEADER_BYTES || size >= JFR_NOWHERE)
        JFR_FAIL(d, "error reading chunk header: bad chunk size");
    if (!(rest.p[HEADER_FEATURES + 3] & 1))
        JFR_FAIL(d, "error reading chunk header: integers are not compressed");
    *ret_size = size;
    return ST_OK;
}

static enum status read_chunk(struct jfr_dec *d, struct str bytes)
{
    struct jfr_chunk c = {.bytes = bytes};
    c.ticks_per_s = (int64_t)load_u64be(bytes.p + HEADER_TICKS_PER_S);
    TRY(jfr_meta_parse(d, bytes, load_u64be(bytes.p + HEADER_METADATA), &c.meta));
    d->meta = c.meta;
    TRY(jfr_pools_read(d, &c, load_u64be(bytes.p + HEADER_POOLS)));
    return jfr_events_read(d, &c);
}

/* String 0 is empty, label set 0 has no labels. */
static enum status begin(struct jfr_dec *d)
{
    uint32_t empty;
    struct prof_labelset *none = VEC_PUSH(d->arena, d->sym.labelsets);
    if (!none)
        JFR_FULL(d);
    *none = (struct prof_labelset){0};
    TRY(jfr_string_id(d, STR_EMPTY, &empty));
    ASSERT(empty == 0);
    return ST_OK;
}

/* Locations differ by function and line only, and all are of one mapping. */
static enum status finish_symbols(struct jfr_dec *d, struct prof_symbols **ret_sym)
{
    struct jfr_symbols *s = &d->sym;
    struct prof_symbols *out = ARENA_NEW(d->arena, struct prof_symbols);
    struct prof_mapping *mapping = ARENA_NEW(d->arena, struct prof_mapping);
    struct prof_location *locations = ARENA_ARRAY(d->arena, struct prof_location, s->lines.n);
    if (!out || !mapping || !locations)
        JFR_FULL(d);
    mapping->flags = PROF_HAS_FUNCTIONS;
    for (uint32_t i = 0; i < s->lines.n; i++)
        locations[i] = (struct prof_location){.first_line = i, .n_lines = 1};
    *out = (struct prof_symbols){
        .strings = s->strings.v,
        .functions = s->functions.v,
        .mappings = mapping,
        .lines = s->lines.v,
        .locations = locations,
        .frames = s->frames.v,
        .stacks = s->stacks.v,
        .labels = s->labels.v,
        .labelsets = s->labelsets.v,
        .n_strings = s->strings.n,
        .n_functions = s->functions.n,
        .n_mappings = 1,
        .n_lines = s->lines.n,
        .n_locations = s->lines.n,
        .n_frames = s->frames.n,
        .n_stacks = s->stacks.n,
        .n_labels = s->labels.n,
        .n_labelsets = s->labelsets.n,
    };
    *ret_sym = out;
    return ST_OK;
}

static enum status decode(
    struct jfr_dec *d, struct str recording, struct str labels, struct jfr *out)
{
    TRY(begin(d));
    TRY(jfr_labels_parse(d, labels));
    while (recording.n) {
        uint64_t size = 0;
        TRY(check_header(d, recording, &size));
        TRY(read_chunk(d, str_head(recording, size)));
        recording = str_skip(recording, size);
    }
    struct prof_symbols *sym = NULL;
    TRY(finish_symbols(d, &sym));
    TRY(jfr_builders_finish(d, sym, out));
    out->event = d->event;
    out->stacks_cut = d->stacks_cut;
    return ST_OK;
}

enum status jfr_decode(struct str recording, struct str labels, const struct jfr_options *opt,
    struct arena *arena, struct jfr *ret_jfr, struct error *err)
{
    struct jfr_dec d = {
        .opt = opt,
        .arena = arena,
        .err = err,
        .period_ns = opt->sample_rate ? NS_PER_S / opt->sample_rate : 0,
        .event = STR_EMPTY,
    };
    struct jfr out = {0};
    TRY(decode(&d, recording, labels, &out));
    *ret_jfr = out;
    return ST_OK;
}
