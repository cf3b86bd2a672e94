/* `everflame storage usage`: what is stored, of a directory or of a running server.
 *
 *     directory ─► tool_usage ─► usage_json ─┐
 *     server ────► GET …/storage ────────────┴─► JSON: as it is, or decoded and drawn as text
 *
 * So both show the same, and text never knows more than JSON. Thread: one. */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/cli_int.h"
#include "cli/units.h"
#include "store/usage.h"

enum { ROWS_SHOWN = 20, ROWS_MAX = 10000, COLUMNS_MAX = USAGE_DIMS + 4 };
#define JSON_BYTES_MAX (64 * MIB)

/* The members of the JSON that text shows. */
struct m_sum {
    struct str kind, level;
    uint64_t files, blocks, rows, bytes, profiles, samples;
};
struct m_row {
    struct str key[USAGE_DIMS];
    uint64_t bytes;
    int64_t oldest_ms, newest_ms;
};
struct m_forecast {
    uint32_t full_days;
    bool compacted, has_limit_bytes, has_settles, has_days;
    struct str limit;
    double bytes_per_day, limit_bytes, settles, days;
};
struct m_usage {
    MSG_LIST(struct m_sum) files, levels;
    MSG_LIST(struct m_row) rows;
    uint64_t bytes, unreadable;
    struct m_sum *blocks, *other;
    struct m_forecast *forecast;
};

#define FIELD(T, f, name, number, kind, repeated, has, sub)                                       \
    {                                                                                             \
        name, name, number, MSG_##kind, repeated, (uint32_t)offsetof(struct T, f), has, sub, NULL \
    }
#define ONE(T, f, name, number, kind) FIELD(T, f, name, number, kind, false, MSG_NO_HAS, NULL)
#define MAYBE(T, f, name, number, kind) \
    FIELD(T, f, name, number, kind, false, (uint32_t)offsetof(struct T, has_##f), NULL)
#define DESC(T)                               \
    static const struct msg_desc T##_desc = { \
        #T, sizeof(struct T), T##_fields, ARRAY_LEN(T##_fields)}

static const struct msg_field m_sum_fields[] = {
    ONE(m_sum, kind, "kind", 1, STRING),
    ONE(m_sum, level, "level", 2, STRING),
    ONE(m_sum, files, "files", 3, UINT64),
    ONE(m_sum, blocks, "blocks", 4, UINT64),
    ONE(m_sum, rows, "rows", 5, UINT64),
    ONE(m_sum, bytes, "bytes", 6, UINT64),
    ONE(m_sum, profiles, "profiles", 7, UINT64),
    ONE(m_sum, samples, "samples", 8, UINT64),
};
DESC(m_sum);

static const struct msg_field m_row_fields[] = {
    ONE(m_row, key[USAGE_TENANT], "tenant", 1, STRING),
    ONE(m_row, key[USAGE_SERVICE], "service", 2, STRING),
    ONE(m_row, key[USAGE_TYPE], "type", 3, STRING),
    ONE(m_row, key[USAGE_LEVEL], "level", 4, STRING),
    ONE(m_row, key[USAGE_DAY], "day", 5, STRING),
    ONE(m_row, bytes, "bytes", 6, UINT64),
    ONE(m_row, oldest_ms, "oldest_ms", 7, INT64),
    ONE(m_row, newest_ms, "newest_ms", 8, INT64),
};
DESC(m_row);

static const struct msg_field m_forecast_fields[] = {
    ONE(m_forecast, full_days, "full_days", 1, UINT32),
    ONE(m_forecast, compacted, "compacted", 2, BOOL),
    ONE(m_forecast, limit, "limit", 3, STRING),
    ONE(m_forecast, bytes_per_day, "bytes_per_day", 4, DOUBLE),
    MAYBE(m_forecast, limit_bytes, "limit_bytes", 5, DOUBLE),
    MAYBE(m_forecast, settles, "settles_at_bytes", 6, DOUBLE),
    MAYBE(m_forecast, days, "days_until_full", 7, DOUBLE),
};
DESC(m_forecast);

static const struct msg_field m_usage_fields[] = {
    FIELD(m_usage, files, "files", 1, MESSAGE, true, MSG_NO_HAS, &m_sum_desc),
    FIELD(m_usage, levels, "levels", 2, MESSAGE, true, MSG_NO_HAS, &m_sum_desc),
    FIELD(m_usage, rows, "rows", 3, MESSAGE, true, MSG_NO_HAS, &m_row_desc),
    ONE(m_usage, bytes, "bytes", 4, UINT64),
    ONE(m_usage, unreadable, "unreadable", 5, UINT64),
    FIELD(m_usage, blocks, "blocks", 6, MESSAGE, false, MSG_NO_HAS, &m_sum_desc),
    FIELD(m_usage, other, "other", 7, MESSAGE, false, MSG_NO_HAS, &m_sum_desc),
    FIELD(m_usage, forecast, "forecast", 8, MESSAGE, false, MSG_NO_HAS, &m_forecast_desc),
};
DESC(m_usage);

/* Asking */

struct ask {
    struct cli *c;
    struct str where; /* directory or URL */
    uint32_t by, rows;
};

static bool is_url(struct str s)
{
    return str_starts(s, STR("http://")) || str_starts(s, STR("https://"));
}

static enum status read_options(struct ask *a)
{
    struct cli *c = a->c;
    uint32_t n = c->options[OPT_BY].given.n;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t by;
        if (usage_by_parse(c->options[OPT_BY].given.v[i], &by, &c->err) != ST_OK) {
            c->misused = true;
            return c->err.code;
        }
        a->by |= by;
    }
    if (n == 0)
        a->by = 1u << USAGE_SERVICE;
    a->rows = MIN(opt_rows(c, opt_json(c) ? 0 : ROWS_SHOWN), (uint32_t)ROWS_MAX);
    return ST_OK;
}

static enum status ask_server(struct ask *a, struct str *ret_json)
{
    struct cli *c = a->c;
    const struct http_settings settings = {.url = a->where,
        .tenant = opt_get(c, OPT_TENANT_ID),
        .token = opt_get(c, OPT_TOKEN),
        .username = opt_get(c, OPT_USERNAME),
        .password = opt_get(c, OPT_PASSWORD)};
    struct http_answer answer;
    char path[256];
    int n = snprintf(path, sizeof path, "/api/everflame/v1/storage?n=%u&by=", a->rows);
    for (uint32_t i = 0; i < USAGE_DIMS; i++)
        if (a->by & 1u << i)
            n += snprintf(path + n, sizeof path - (size_t)n, "%s,", usage_dim_names[i]);
    path[n - 1] = 0;
    enum status st = http_open(&settings, &c->http, &c->err);
    c->misused = st == ST_INVALID_ARGUMENT;
    TRY(st);
    TRY(http_send(c->http, path, NULL, STR_EMPTY, &c->arena, &answer, &c->err));
    if (answer.status != 200)
        return client_refused(c, &answer);
    *ret_json = answer.body;
    return ST_OK;
}

static enum status ask_directory(struct ask *a, struct str *ret_json)
{
    struct cli *c = a->c;
    struct usage u;
    struct buf json;
    struct str tenant = opt_get(c, OPT_TENANT_ID);
    const struct usage_question q = {.tenants = &tenant,
        .n_tenants = tenant.n > 0,
        .by = a->by,
        .rows_max = a->rows,
        .now_ns = c->now_ns,
        .arena = &c->arena};
    char *dir = arena_cstr(&c->arena, a->where);
    if (!dir)
        return cli_no_memory(c);
    TRY(tool_usage(&fs_real, dir, &q, &u, &c->err));
    buf_init(&json, JSON_BYTES_MAX);
    usage_json(&u, &q, &json);
    *ret_json = json.failed ? (struct str){0} : arena_str(&c->arena, buf_view(&json));
    buf_done(&json);
    return ret_json->p ? ST_OK : cli_no_memory(c);
}

/* Drawing */

static struct str bytes_text(struct cli *c, double bytes)
{
    struct buf text;
    buf_init(&text, 64);
    units_put(&text, STR("bytes"), bytes);
    return keep_text(&c->arena, &text);
}

static struct str time_text(struct cli *c, int64_t ms)
{
    struct buf text;
    buf_init(&text, 64);
    units_put_time(&text, ms / 60000 * 60 * NS_PER_S);
    return keep_text(&c->arena, &text);
}

static struct str share_text(struct cli *c, uint64_t part, uint64_t whole)
{
    struct buf text;
    buf_init(&text, 64);
    units_put_percent(&text, (double)part, (double)whole);
    return keep_text(&c->arena, &text);
}

static void put_files(struct cli *c, const struct m_usage *u)
{
    struct table t = {.arena = &c->arena, .columns = 3, .align = "lrr"};
    if (u->files.n == 0) /* one tenant's share of a server */
        return;
    table_cell(&t, STR("FILES"));
    table_cell(&t, STR("NUMBER"));
    table_cell(&t, STR("BYTES"));
    for (uint32_t i = 0; i < u->files.n; i++) {
        const struct m_sum *f = &u->files.v[i];
        if (f->files == 0)
            continue;
        table_cell(&t, f->kind);
        table_cell(&t, arena_printf(&c->arena, "%" PRIu64, f->files));
        table_cell(&t, bytes_text(c, (double)f->bytes));
    }
    table_cell(&t, STR("all"));
    table_cell(&t, STR_EMPTY);
    table_cell(&t, bytes_text(c, (double)u->bytes));
    table_put(&t, &c->out);
    if (u->unreadable)
        buf_printf(&c->out, "%" PRIu64 " entries could not be looked at\n", u->unreadable);
    buf_byte(&c->out, '\n');
}

static void put_rows(const struct ask *a, const struct m_usage *u)
{
    static const char *const heads[USAGE_DIMS] = {"TENANT", "SERVICE", "TYPE", "LEVEL", "DAY"};
    struct cli *c = a->c;
    char align[COLUMNS_MAX + 1] = "";
    struct table t = {.arena = &c->arena, .align = align};
    for (uint32_t k = 0; k < USAGE_DIMS; k++) {
        if (!(a->by & 1u << k))
            continue;
        align[t.columns++] = 'l';
        table_cell(&t, str_from(heads[k]));
    }
    uint32_t keys = t.columns;
    memcpy(align + keys, "rrll", 4);
    t.columns += 4;
    table_cell(&t, STR("BYTES"));
    table_cell(&t, STR("SHARE"));
    table_cell(&t, STR("OLDEST"));
    table_cell(&t, STR("NEWEST"));
    for (uint32_t i = 0; i < u->rows.n; i++) {
        const struct m_row *row = &u->rows.v[i];
        for (uint32_t k = 0; k < USAGE_DIMS; k++)
            if (a->by & 1u << k)
                table_cell(&t, row->key[k].n ? row->key[k] : STR("?"));
        table_cell(&t, bytes_text(c, (double)row->bytes));
        table_cell(&t, share_text(c, row->bytes, u->blocks->bytes));
        table_cell(&t, time_text(c, row->oldest_ms));
        table_cell(&t, time_text(c, row->newest_ms));
    }
    table_put(&t, &c->out);
    if (u->other->bytes)
        buf_printf(&c->out, "and %" PRIu64 " more with %.*s: -n 0 shows them\n", u->other->rows,
            STR_ARG(bytes_text(c, (double)u->other->bytes)));
}

static void put_blocks(struct cli *c, const struct m_usage *u)
{
    buf_printf(&c->out,
        "\n%" PRIu64 " blocks, %" PRIu64 " profiles, %" PRIu64 " samples:", u->blocks->blocks,
        u->blocks->profiles, u->blocks->samples);
    for (uint32_t i = 0; i < u->levels.n; i++)
        buf_printf(&c->out, "%s %" PRIu64 " of %.*s with %.*s", i ? "," : "", u->levels.v[i].blocks,
            STR_ARG(u->levels.v[i].level), STR_ARG(bytes_text(c, (double)u->levels.v[i].bytes)));
    buf_byte(&c->out, '\n');
}

static void put_forecast(struct cli *c, const struct m_forecast *f)
{
    struct str limit = bytes_text(c, f->limit_bytes), settles = bytes_text(c, f->settles);
    buf_printf(&c->out, "A day of profiles takes %.*s (", STR_ARG(bytes_text(c, f->bytes_per_day)));
    if (f->full_days)
        buf_printf(&c->out, "of the last %u full day%s%s).\n", f->full_days,
            f->full_days == 1 ? "" : "s", f->compacted ? "" : ", not yet compacted");
    else
        buf_printf(&c->out, "stretched: there is no full day yet).\n");
    if (f->has_days)
        buf_printf(&c->out, "Full in %.1f days: %.*s lets blocks have %.*s.\n", f->days,
            STR_ARG(f->limit), STR_ARG(limit));
    else if (f->has_settles)
        buf_printf(&c->out, "Never full: blocks stay at about %.*s.\n", STR_ARG(settles));
    else if (f->has_limit_bytes)
        buf_printf(&c->out, "Not full within a hundred years.\n");
}

static enum status put_text(const struct ask *a, struct str json)
{
    struct cli *c = a->c;
    void *decoded;
    enum status st = msg_decode_json(&m_usage_desc, json, &c->arena, &decoded, &c->err);
    const struct m_usage *u = decoded;
    if (st == ST_RESOURCE_EXHAUSTED)
        return cli_no_memory(c);
    if (st != ST_OK || !u->blocks || !u->other || !u->forecast)
        FAIL(&c->err, ST_UNKNOWN, "what answers at %.*s is not Everflame: check the URL",
            STR_ARG(a->where));
    put_files(c, u);
    put_rows(a, u);
    put_blocks(c, u);
    put_forecast(c, u->forecast);
    return ST_OK;
}

enum status storage_usage(struct cli *c)
{
    struct ask a = {.c = c, .where = c->args.n > 1 ? c->args.v[1] : STR("data")};
    struct str json;
    if (c->args.n > 2)
        return cli_misuse(c, "storage usage takes one directory or one URL");
    TRY(read_options(&a));
    TRY(is_url(a.where) ? ask_server(&a, &json) : ask_directory(&a, &json));
    if (!opt_json(c))
        return put_text(&a, json);
    buf_str(&c->out, json);
    return ST_OK;
}
