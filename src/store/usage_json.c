/* A struct usage as JSON, for the server and the command line alike: docs/operating.md says what
 * the members mean. Pure. */
#include <inttypes.h>

#include "base/clock.h"
#include "codec/json.h"
#include "store/block_int.h"
#include "store/usage.h"

static void put_sum(
    struct buf *out, const char *name, const char *value, const char *what, struct usage_sum s)
{
    buf_printf(out, "{\"%s\":\"%s\",\"%s\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", name, value, what,
        s.n, s.bytes);
}

static void put_files(const struct usage *u, struct buf *out)
{
    uint64_t bytes = 0;
    buf_printf(out, "\"files\":[");
    for (uint32_t i = 0; i < USAGE_FILE_KINDS; i++) {
        buf_printf(out, "%s", i ? "," : "");
        put_sum(out, "kind", usage_file_names[i], "files", u->files[i]);
        bytes += u->files[i].bytes;
    }
    buf_printf(out, "],\"bytes\":%" PRIu64 ",\"unreadable\":%" PRIu64 ",", bytes, u->unreadable);
}

static void put_times(struct buf *out, int64_t oldest_ns, int64_t newest_ns)
{
    buf_printf(out, "\"oldest_ms\":%lld,\"newest_ms\":%lld", (long long)(oldest_ns / NS_PER_MS),
        (long long)(newest_ns / NS_PER_MS));
}

static void put_blocks(const struct usage *u, struct buf *out)
{
    buf_printf(out,
        "\"blocks\":{\"blocks\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"profiles\":%" PRIu64
        ",\"samples\":%" PRIu64 ",",
        u->blocks.n, u->blocks.bytes, u->profiles, u->samples);
    put_times(out, u->oldest_ns, u->newest_ns);
    buf_printf(out, "},\"levels\":[");
    for (uint32_t i = 0; i < USAGE_LEVELS; i++) {
        buf_printf(out, "%s", i ? "," : "");
        put_sum(out, "level", block_levels[i].name, "blocks", u->levels[i]);
    }
    buf_printf(out, "],");
}

static void put_rows(const struct usage *u, const struct usage_question *q, struct buf *out)
{
    buf_printf(out, "\"rows\":[");
    for (uint32_t i = 0; i < u->n_rows; i++) {
        const struct usage_row *row = &u->rows[i];
        buf_printf(out, "%s{", i ? "," : "");
        for (uint32_t k = 0; k < USAGE_DIMS; k++) {
            if (!(q->by & 1u << k))
                continue;
            buf_printf(out, "\"%s\":", usage_dim_names[k]);
            json_put_string(out, row->key[k]);
            buf_byte(out, ',');
        }
        buf_printf(out, "\"bytes\":%" PRIu64 ",", row->bytes);
        put_times(out, row->oldest_ns, row->newest_ns);
        buf_byte(out, '}');
    }
    buf_printf(out, "],\"other\":{\"rows\":%u,\"bytes\":%" PRIu64 "},", u->n_other, u->other_bytes);
}

/* A number with so many digits behind the point, or null. */
static void put_number(struct buf *out, const char *name, bool is, double v, int digits)
{
    buf_printf(out, ",\"%s\":", name);
    if (is)
        buf_printf(out, "%.*f", digits, v);
    else
        buf_printf(out, "null");
}

static void put_forecast(const struct usage_forecast *f, struct buf *out)
{
    buf_printf(out, "\"forecast\":{\"full_days\":%u,\"compacted\":%s,\"limit\":\"%s\"", f->days,
        f->at_rest ? "true" : "false", usage_limit_names[f->limit]);
    put_number(out, "bytes_per_day", true, f->bytes_per_day, 0);
    put_number(out, "limit_bytes", f->is_bounded, (double)f->bytes_max, 0);
    put_number(out, "settles_at_bytes", f->settles, f->settles_at, 0);
    put_number(out, "days_until_full", f->fills, f->days_left, 1);
    buf_printf(out, "}}\n");
}

void usage_json(const struct usage *u, const struct usage_question *q, struct buf *out)
{
    buf_printf(out, "{\"now_ms\":%lld,", (long long)(q->now_ns / NS_PER_MS));
    if (q->n_tenants == 0)
        put_files(u, out);
    put_blocks(u, out);
    put_rows(u, q, out);
    put_forecast(&u->forecast, out);
}
