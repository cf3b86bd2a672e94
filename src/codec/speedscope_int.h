/* A speedscope file as read, for speedscope.c (reads) and speedscope_stacks.c (uses). Nobody else
 * includes this. */
#ifndef CODEC_SPEEDSCOPE_INT_H
#define CODEC_SPEEDSCOPE_INT_H

#include "codec/json.h"
#include "codec/text_int.h"

struct speedscope_event {
    double at;
    int64_t frame;
    bool open;
};

struct speedscope_range {
    uint32_t first, n;
};

struct speedscope_raw {
    struct str name, type, unit;
    double start;
    struct speedscope_range samples, weights, events;
    struct speedscope_raw *next; /* of the same group */
    struct speedscope_raw *last; /* of the group, in its first */
};

#define SPEEDSCOPE_VEC(type) \
    struct {                 \
        type *v;             \
        uint32_t n, cap;     \
    }

struct speedscope_file {
    struct json_reader r;
    struct arena *arena;
    struct error *err;
    struct str schema;
    SPEEDSCOPE_VEC(struct str) frames;
    SPEEDSCOPE_VEC(struct speedscope_raw) profiles;
    SPEEDSCOPE_VEC(struct speedscope_range) samples; /* of indexes */
    SPEEDSCOPE_VEC(int64_t) indexes;
    SPEEDSCOPE_VEC(double) weights;
    SPEEDSCOPE_VEC(struct speedscope_event) events;
};

/* The whole text, and that it says to be of this format. */
enum status speedscope_read(struct speedscope_file *f);

#endif
