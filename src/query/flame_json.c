/* The parts of the legacy JSON that render.c and adhoc.c share: the flame graph and its metadata,
 * in the field order of the reference, without blanks. Thread: the caller's. Failure: out->failed.
 */
#include "codec/json.h"
#include "query/query_int.h"

static void put_levels(struct buf *out, const struct m_level *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        buf_str(out, i ? STR(",[") : STR("["));
        for (uint32_t k = 0; k < v[i].values.n; k++) {
            if (k)
                buf_byte(out, ',');
            json_put_i64(out, v[i].values.v[k]);
        }
        buf_byte(out, ']');
    }
}

void flame_json_graph(struct buf *out, const struct m_flamegraph *g)
{
    buf_str(out, STR("{\"version\":1,\"flamebearer\":{\"names\":["));
    for (uint32_t i = 0; i < g->names.n; i++) {
        if (i)
            buf_byte(out, ',');
        json_put_string(out, g->names.v[i]);
    }
    buf_str(out, STR("],\"levels\":["));
    put_levels(out, g->levels.v, g->levels.n);
    buf_printf(
        out, "],\"numTicks\":%lld,\"maxSelf\":%lld}", (long long)g->total, (long long)g->max_self);
}

void flame_json_metadata(
    struct buf *out, struct str sample_type, struct str sample_unit, const char *format)
{
    static const char *const objects[] = {"inuse_objects", "alloc_objects", "goroutine", "samples"};
    struct str units = sample_unit;
    bool cpu = str_eq(sample_type, STR("cpu"));
    for (size_t i = 0; i < ARRAY_LEN(objects); i++)
        if (str_eq(sample_type, str_from(objects[i])))
            units = STR("objects");
    if (cpu)
        units = STR("samples");
    buf_printf(out,
        ",\"metadata\":{\"format\":\"%s\",\"spyName\":\"\",\"sampleRate\":%d,\"units\":", format,
        cpu ? 1000000000 : 100);
    json_put_string(out, units);
    buf_str(out, STR(",\"name\":"));
    json_put_string(out, sample_type);
    buf_byte(out, '}');
}

void flame_json_diff(struct buf *out, const struct m_flamegraph_diff *d, struct str sample_type,
    struct str sample_unit)
{
    struct m_flamegraph g = {.total = d->total, .max_self = d->max_self};
    g.names.v = d->names.v;
    g.names.n = d->names.n;
    g.levels.v = d->levels.v;
    g.levels.n = d->levels.n;
    flame_json_graph(out, &g);
    flame_json_metadata(out, sample_type, sample_unit, "double");
    buf_str(out, STR(",\"timeline\":null,\"groups\":null,\"heatmap\":null"));
    if (d->leftTicks)
        buf_printf(out, ",\"leftTicks\":%lld", (long long)d->leftTicks);
    if (d->rightTicks)
        buf_printf(out, ",\"rightTicks\":%lld", (long long)d->rightTicks);
    buf_byte(out, '}');
}
