/* Reads speedscope's JSON file format: see text.h; speedscope_stacks.c makes stacks of it.
 *
 *     {"$schema": …, "shared": {"frames": [{"name"}]}, "profiles": [
 *        {"type": "sampled", name, unit, startValue, "samples": [[frame…]…], "weights": [n…]}
 *        {"type": "evented", name, unit, startValue, "events": [{"type": "O"|"C", "at",
 * "frame"}…]}]}
 *
 * Members come in any order, so the text is read into flat arrays (speedscope_int.h) and nothing is
 * checked here but its kinds; unknown members are skipped, null stands for nothing.
 *
 * Invariants: 1. Every array is bounded by the text and the arena. 2. Nothing is recursive; what
 * may nest is skipped by the reader. Thread: the caller's. Failure: ST_INVALID_ARGUMENT. */
#include "codec/speedscope_int.h"

#define SCHEMA "https://www.speedscope.app/file-format-schema.json"

static enum status next_token(struct speedscope_file *f, enum json_token *ret_token)
{
    return json_next(&f->r, ret_token, f->err);
}

static enum status wrong_type(struct speedscope_file *f, const char *want)
{
    FAIL(f->err, ST_INVALID_ARGUMENT, "json: cannot read %.*s as %s", STR_ARG(json_shown(&f->r)),
        want);
}

/* True: an object or array has begun. null stands for nothing. */
static enum status open_value(struct speedscope_file *f, enum json_token want, bool *ret_open)
{
    enum json_token t;
    TRY(next_token(f, &t));
    *ret_open = t == want;
    if (t == want || t == JSON_NULL)
        return ST_OK;
    return wrong_type(f, want == JSON_OBJECT ? "an object" : "an array");
}

static enum status read_string(struct speedscope_file *f, struct str *ret)
{
    enum json_token t;
    TRY(next_token(f, &t));
    if (t == JSON_NULL)
        return ST_OK;
    if (t != JSON_STRING)
        return wrong_type(f, "a string");
    *ret = f->r.text;
    return ST_OK;
}

static enum status to_double(struct speedscope_file *f, enum json_token t, double *ret)
{
    if (t != JSON_NUMBER || !json_to_double(f->r.text, ret))
        return wrong_type(f, "a number");
    return ST_OK;
}

static enum status to_index(struct speedscope_file *f, enum json_token t, int64_t *ret)
{
    if (t != JSON_NUMBER || !json_to_i64(f->r.text, ret))
        return wrong_type(f, "a frame index");
    return ST_OK;
}

static enum status read_double(struct speedscope_file *f, double *ret)
{
    enum json_token t;
    TRY(next_token(f, &t));
    return to_double(f, t, ret);
}

static enum status read_frame(struct speedscope_file *f, struct str *ret_name)
{
    enum json_token t;
    *ret_name = STR_EMPTY;
    for (;;) {
        TRY(next_token(f, &t));
        if (t == JSON_OBJECT_END)
            return ST_OK;
        if (str_eq(f->r.text, STR("name")))
            TRY(read_string(f, ret_name));
        else
            TRY(json_skip(&f->r, f->err));
    }
}

static enum status read_frames(struct speedscope_file *f)
{
    bool open;
    enum json_token t;
    TRY(open_value(f, JSON_ARRAY, &open));
    f->frames.n = 0;
    while (open) {
        TRY(next_token(f, &t));
        if (t == JSON_ARRAY_END)
            break;
        if (t != JSON_OBJECT)
            return wrong_type(f, "a frame");
        struct str *frame = VEC_PUSH(f->arena, f->frames);
        if (!frame)
            return text_full(f->err);
        TRY(read_frame(f, frame));
    }
    return ST_OK;
}

static enum status read_shared(struct speedscope_file *f)
{
    bool open;
    enum json_token t;
    TRY(open_value(f, JSON_OBJECT, &open));
    while (open) {
        TRY(next_token(f, &t));
        if (t == JSON_OBJECT_END)
            break;
        if (str_eq(f->r.text, STR("frames")))
            TRY(read_frames(f));
        else
            TRY(json_skip(&f->r, f->err));
    }
    return ST_OK;
}

/* The frame indexes of one sample. */
static enum status read_sample(struct speedscope_file *f)
{
    enum json_token t;
    struct speedscope_range *sample = VEC_PUSH(f->arena, f->samples);
    if (!sample)
        return text_full(f->err);
    *sample = (struct speedscope_range){f->indexes.n, 0};
    for (;;) {
        TRY(next_token(f, &t));
        if (t == JSON_ARRAY_END)
            break;
        int64_t *index = VEC_PUSH(f->arena, f->indexes);
        if (!index)
            return text_full(f->err);
        TRY(to_index(f, t, index));
    }
    sample->n = f->indexes.n - sample->first;
    return ST_OK;
}

static enum status read_samples(struct speedscope_file *f, struct speedscope_range *ret_range)
{
    bool open;
    enum json_token t;
    TRY(open_value(f, JSON_ARRAY, &open));
    *ret_range = (struct speedscope_range){f->samples.n, 0};
    while (open) {
        TRY(next_token(f, &t));
        if (t == JSON_ARRAY_END)
            break;
        if (t != JSON_ARRAY)
            return wrong_type(f, "a sample");
        TRY(read_sample(f));
    }
    ret_range->n = f->samples.n - ret_range->first;
    return ST_OK;
}

static enum status read_weights(struct speedscope_file *f, struct speedscope_range *ret_range)
{
    bool open;
    enum json_token t;
    TRY(open_value(f, JSON_ARRAY, &open));
    *ret_range = (struct speedscope_range){f->weights.n, 0};
    while (open) {
        TRY(next_token(f, &t));
        if (t == JSON_ARRAY_END)
            break;
        double *weight = VEC_PUSH(f->arena, f->weights);
        if (!weight)
            return text_full(f->err);
        TRY(to_double(f, t, weight));
    }
    ret_range->n = f->weights.n - ret_range->first;
    return ST_OK;
}

static enum status read_event(struct speedscope_file *f, struct speedscope_event *ret_event)
{
    enum json_token t;
    struct str type = STR_EMPTY;
    struct speedscope_event e = {0};
    for (;;) {
        TRY(next_token(f, &t));
        if (t == JSON_OBJECT_END)
            break;
        if (str_eq(f->r.text, STR("type"))) {
            TRY(read_string(f, &type));
        } else if (str_eq(f->r.text, STR("at"))) {
            TRY(read_double(f, &e.at));
        } else if (str_eq(f->r.text, STR("frame"))) {
            TRY(next_token(f, &t));
            TRY(to_index(f, t, &e.frame));
        } else {
            TRY(json_skip(&f->r, f->err));
        }
    }
    e.open = str_eq(type, STR("O"));
    if (!e.open && !str_eq(type, STR("C")))
        FAIL(f->err, ST_INVALID_ARGUMENT, "unknown event type: %.*s", STR_ARG(str_head(type, 100)));
    *ret_event = e;
    return ST_OK;
}

static enum status read_events(struct speedscope_file *f, struct speedscope_range *ret_range)
{
    bool open;
    enum json_token t;
    TRY(open_value(f, JSON_ARRAY, &open));
    *ret_range = (struct speedscope_range){f->events.n, 0};
    while (open) {
        TRY(next_token(f, &t));
        if (t == JSON_ARRAY_END)
            break;
        if (t != JSON_OBJECT)
            return wrong_type(f, "an event");
        struct speedscope_event *event = VEC_PUSH(f->arena, f->events);
        if (!event)
            return text_full(f->err);
        TRY(read_event(f, event));
    }
    ret_range->n = f->events.n - ret_range->first;
    return ST_OK;
}

static enum status read_profile_member(struct speedscope_file *f, struct speedscope_raw *p)
{
    struct str name = f->r.text;
    if (str_eq(name, STR("name")))
        return read_string(f, &p->name);
    if (str_eq(name, STR("type")))
        return read_string(f, &p->type);
    if (str_eq(name, STR("unit")))
        return read_string(f, &p->unit);
    if (str_eq(name, STR("startValue")))
        return read_double(f, &p->start);
    if (str_eq(name, STR("samples")))
        return read_samples(f, &p->samples);
    if (str_eq(name, STR("weights")))
        return read_weights(f, &p->weights);
    if (str_eq(name, STR("events")))
        return read_events(f, &p->events);
    return json_skip(&f->r, f->err);
}

static enum status read_profiles(struct speedscope_file *f)
{
    bool open;
    enum json_token t;
    TRY(open_value(f, JSON_ARRAY, &open));
    f->profiles.n = 0;
    while (open) {
        TRY(next_token(f, &t));
        if (t == JSON_ARRAY_END)
            break;
        if (t != JSON_OBJECT)
            return wrong_type(f, "a profile");
        struct speedscope_raw *p = VEC_PUSH(f->arena, f->profiles);
        if (!p)
            return text_full(f->err);
        *p = (struct speedscope_raw){.name = STR_EMPTY, .type = STR_EMPTY, .unit = STR_EMPTY};
        for (;;) {
            TRY(next_token(f, &t));
            if (t == JSON_OBJECT_END)
                break;
            TRY(read_profile_member(f, p));
        }
    }
    return ST_OK;
}

enum status speedscope_read(struct speedscope_file *f)
{
    bool open;
    enum json_token t;
    TRY(open_value(f, JSON_OBJECT, &open));
    while (open) {
        TRY(next_token(f, &t));
        if (t == JSON_OBJECT_END)
            break;
        if (str_eq(f->r.text, STR("$schema")))
            TRY(read_string(f, &f->schema));
        else if (str_eq(f->r.text, STR("shared")))
            TRY(read_shared(f));
        else if (str_eq(f->r.text, STR("profiles")))
            TRY(read_profiles(f));
        else
            TRY(json_skip(&f->r, f->err));
    }
    TRY(next_token(f, &t));
    if (!str_eq(f->schema, STR(SCHEMA)))
        FAIL(
            f->err, ST_INVALID_ARGUMENT, "Unknown schema: %.*s", STR_ARG(str_head(f->schema, 200)));
    return ST_OK;
}
