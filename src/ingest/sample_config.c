/* The form part `sample_type_config`, and the choice of __name__ that it influences (spec §2.7).
 *
 * The part is a JSON object: sample type → {units, display-name, aggregation, cumulative, sampled}.
 * Only display-name has an effect, on the name of the series, and the mere presence of a type tells
 * old .NET clients. Without the part a built-in map is used; a part replaces it entirely.
 *
 * Known members are checked for their kind, unknown ones are skipped whatever they hold. Strings
 * are views of the form or in the arena. Pure; failures are ST_INVALID_ARGUMENT with the place, and
 * a full arena. */
#include "ingest/ingest_int.h"

#include "codec/json.h"

enum { CONFIG_ENTRIES_MAX = 1024 };

/* The value of a known member: `want` or null, which means absent. */
static enum status read_scalar(
    struct json_reader *r, bool boolean, struct str *ret_text, struct error *err)
{
    enum json_token t;
    TRY(json_next(r, &t, err));
    *ret_text = STR_EMPTY;
    if (t == JSON_NULL)
        return ST_OK;
    if (boolean && (t == JSON_TRUE || t == JSON_FALSE))
        return ST_OK;
    if (boolean || t != JSON_STRING)
        FAIL(err, ST_INVALID_ARGUMENT,
            "json: wrong kind of value in a sample type configuration: %.*s",
            STR_ARG(json_shown(r)));
    *ret_text = r->text;
    return ST_OK;
}

static enum status read_member(
    struct json_reader *r, struct str key, struct sample_config_entry *e, struct error *err)
{
    struct str text;
    if (str_eq(key, STR("display-name"))) {
        TRY(read_scalar(r, false, &text, err));
        e->display_name = text;
        return ST_OK;
    }
    if (str_eq(key, STR("units")) || str_eq(key, STR("aggregation")))
        return read_scalar(r, false, &text, err);
    if (str_eq(key, STR("cumulative")) || str_eq(key, STR("sampled")))
        return read_scalar(r, true, &text, err);
    return json_skip(r, err);
}

/* An object, or null for nothing. True: its first member comes next. */
static enum status open_object(struct json_reader *r, bool *ret_open, struct error *err)
{
    enum json_token t;
    TRY(json_next(r, &t, err));
    *ret_open = t == JSON_OBJECT;
    if (t == JSON_OBJECT || t == JSON_NULL)
        return ST_OK;
    FAIL(err, ST_INVALID_ARGUMENT, "json: a sample type configuration is an object, not %.*s",
        STR_ARG(json_shown(r)));
}

static enum status read_entry(
    struct json_reader *r, struct sample_config_entry *e, struct error *err)
{
    bool open;
    enum json_token t;
    TRY(open_object(r, &open, err));
    while (open) {
        TRY(json_next(r, &t, err));
        if (t == JSON_OBJECT_END)
            break;
        TRY(read_member(r, r->text, e, err));
    }
    return ST_OK;
}

static enum status parse(
    struct str json, struct arena *arena, struct sample_config *config, struct error *err)
{
    struct json_reader r;
    enum json_token t;
    bool open;
    json_start(&r, json, arena);
    TRY(open_object(&r, &open, err));
    while (open) {
        TRY(json_next(&r, &t, err));
        if (t == JSON_OBJECT_END)
            break;
        if (config->n >= CONFIG_ENTRIES_MAX)
            FAIL(err, ST_INVALID_ARGUMENT, "json: more than %d sample types are configured",
                CONFIG_ENTRIES_MAX);
        struct sample_config_entry *e = VEC_PUSH(arena, *config);
        if (!e)
            return ingest_arena_full(arena, err);
        *e = (struct sample_config_entry){.type = r.text, .display_name = STR_EMPTY};
        TRY(read_entry(&r, e, err));
    }
    return json_next(&r, &t, err); /* nothing may follow */
}

enum status sample_config_parse(
    struct str json, struct arena *arena, struct sample_config *ret_config, struct error *err)
{
    static const struct sample_config_entry builtin[] = {
        {{"samples", 7}, {"cpu", 3}},
        {{"goroutine", 9}, {"goroutines", 10}},
        {{"contentions", 11}, {"mutex_count", 11}},
        {{"delay", 5}, {"mutex_duration", 14}},
        {{"inuse_objects", 13}, {"", 0}},
        {{"alloc_objects", 13}, {"", 0}},
        {{"inuse_space", 11}, {"", 0}},
        {{"alloc_space", 11}, {"", 0}},
    };
    struct sample_config config = {0};
    if (json.n > 0) {
        TRY(parse(json, arena, &config, err));
        *ret_config = config;
        return ST_OK;
    }
    config.v = ARENA_ARRAY(arena, struct sample_config_entry, ARRAY_LEN(builtin));
    if (!config.v)
        return ingest_arena_full(arena, err);
    memcpy(config.v, builtin, sizeof builtin);
    config.n = config.cap = ARRAY_LEN(builtin);
    *ret_config = config;
    return ST_OK;
}

/* Of a type that occurs twice the last counts. */
const struct sample_config_entry *sample_config_find(
    const struct sample_config *config, struct str type)
{
    for (uint32_t i = config->n; i-- > 0;)
        if (str_eq(config->v[i].type, type))
            return &config->v[i];
    return NULL;
}

static struct str metric_of(struct str type)
{
    static const struct {
        struct str part, metric;
    } tests[] = {
        {{"cpu", 3}, {"process_cpu", 11}},
        {{"alloc_", 6}, {"memory", 6}},
        {{"inuse_", 6}, {"memory", 6}},
        {{"mutex_", 6}, {"mutex", 5}},
        {{"block_", 6}, {"block", 5}},
        {{"goroutines", 10}, {"goroutines", 10}},
    };
    if (str_eq(type, STR("space")) || str_eq(type, STR("objects")))
        return STR("memory");
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        if (str_contains(type, tests[i].part))
            return tests[i].metric;
    return STR_EMPTY;
}

static struct str type_name(const struct pprof *p, uint32_t i)
{
    int64_t at = p->sample_types[i].type;
    return at >= 0 && (uint64_t)at < p->n_strings ? p->strings[at] : STR_EMPTY;
}

struct str sample_config_metric(const struct sample_config *config, const struct pprof *p)
{
    uint32_t n = MIN(p->n_sample_types, (uint32_t)INGEST_SAMPLE_TYPES_MAX);
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(type_name(p, i), STR("wall")))
            return STR("wall");
    struct str last = STR_EMPTY;
    for (uint32_t i = 0; i < n; i++) {
        last = type_name(p, i);
        const struct sample_config_entry *e = sample_config_find(config, last);
        if (e && e->display_name.n)
            last = e->display_name;
        struct str metric = metric_of(last);
        if (metric.n)
            return metric;
    }
    return last;
}
