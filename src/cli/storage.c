/* `everflame storage`: looks at a data directory or merges its blocks, without a server. The work
 * is store/tool.h; here it becomes text or JSON. `usage` is in storage_usage.c. Thread: one. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/cli_int.h"
#include "cli/units.h"
#include "codec/json.h"
#include "store/tool.h"

struct storage {
    struct cli *c;
    const char **paths;
    uint32_t n_paths;
    struct table table;
    uint32_t files, problems;
    uint64_t bytes, profiles, samples;
    struct buf text; /* of verify: what is wrong, or of JSON */
    bool json;
};

static void put_range(struct buf *out, const struct tool_entry *e)
{
    char text[32];
    clock_format_ms(e->start_ns, text);
    buf_printf(out, "%.10s %.5s %s", text, text + 11, e->level);
}

static void count(struct storage *s, const struct tool_entry *e)
{
    s->files++;
    s->problems += e->problem.n > 0;
    s->bytes += e->bytes;
    if (e->kind == TOOL_BLOCK) {
        s->profiles += e->profiles;
        s->samples += e->samples;
    }
}

static void json_member(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, "\"%s\":", name);
    json_put_string(out, value);
    buf_byte(out, ',');
}

static void put_json(struct storage *s, const struct tool_entry *e)
{
    struct buf *out = &s->text;
    buf_printf(out, "%s{", s->files > 1 ? "," : "");
    json_member(out, "kind", str_from(tool_kind_name(e->kind)));
    json_member(out, "path", e->path);
    if (e->kind == TOOL_BLOCK && e->tenant.n) {
        json_member(out, "tenant", e->tenant);
        json_member(out, "level", str_from(e->level));
        buf_printf(out, "\"start_ms\":%lld,\"services\":%u,", (long long)(e->start_ns / NS_PER_MS),
            e->services);
        buf_printf(
            out, "\"profiles\":%" PRIu64 ",\"samples\":%" PRIu64 ",", e->profiles, e->samples);
    }
    if (e->epoch)
        buf_printf(out, "\"epoch\":%" PRIu64 ",", e->epoch);
    if (e->problem.n)
        json_member(out, "problem", e->problem);
    if (e->note.n)
        json_member(out, "note", e->note);
    buf_printf(out, "\"bytes\":%" PRIu64 "}", e->bytes);
}

/* A number as a cell; nothing where there is none. */
static void cell_number(struct storage *s, uint64_t n)
{
    table_cell(&s->table, n ? arena_printf(&s->c->arena, "%" PRIu64, n) : STR_EMPTY);
}

static void put_row(struct storage *s, const struct tool_entry *e)
{
    struct arena *arena = &s->c->arena;
    struct buf range;
    buf_init(&range, 64);
    if (e->tenant.n)
        put_range(&range, e);
    table_cell(&s->table, str_from(tool_kind_name(e->kind)));
    table_cell(&s->table, arena_str(arena, buf_view(&range)));
    table_cell(&s->table, arena_str(arena, e->tenant));
    cell_number(s, e->kind == TOOL_BLOCK ? e->services : 0);
    cell_number(s, e->profiles);
    cell_number(s, e->samples);
    cell_number(s, e->bytes);
    struct str said = e->problem.n ? arena_str_join(arena, STR("PROBLEM: "), e->problem) : e->note;
    struct str path = arena_str_join(arena, e->path, said.n ? STR("  ") : STR_EMPTY);
    table_cell(&s->table, arena_str_join(arena, path, said));
    buf_done(&range);
}

static void list_one(void *ctx, const struct tool_entry *e)
{
    struct storage *s = ctx;
    count(s, e);
    if (s->json)
        put_json(s, e);
    else
        put_row(s, e);
}

static void verify_one(void *ctx, const struct tool_entry *e)
{
    struct storage *s = ctx;
    count(s, e);
    if (s->json) {
        put_json(s, e);
    } else if (e->problem.n) {
        text_put(&s->text, e->path);
        buf_printf(&s->text, ": ");
        text_put(&s->text, e->problem);
        buf_byte(&s->text, '\n');
    }
}

/* Directories and single files. */
static enum status walk(struct storage *s, bool verify, tool_fn fn)
{
    struct error *err = &s->c->err;
    for (uint32_t i = 0; i < s->n_paths; i++) {
        const char *path = s->paths[i];
        bool file = str_ends(str_from(path), STR(".efb")) || str_ends(str_from(path), STR(".wal"));
        TRY(file ? tool_file(&fs_real, path, verify, fn, s, err)
                 : tool_walk(&fs_real, path, verify, fn, s, err));
    }
    return ST_OK;
}

static enum status ls(struct storage *s)
{
    static const char *const heads[] = {
        "KIND", "HOUR", "TENANT", "SERVICES", "PROFILES", "SAMPLES", "BYTES", "PATH"};
    for (size_t i = 0; i < ARRAY_LEN(heads) && !s->json; i++)
        table_cell(&s->table, str_from(heads[i]));
    TRY(walk(s, false, list_one));
    if (s->json) {
        buf_printf(&s->c->out, "[%.*s]\n", STR_ARG(buf_view(&s->text)));
        return ST_OK;
    }
    table_put(&s->table, &s->c->out);
    buf_printf(&s->c->out,
        "%u files, %" PRIu64 " bytes; in blocks %" PRIu64 " profiles, %" PRIu64 " samples\n",
        s->files, s->bytes, s->profiles, s->samples);
    return ST_OK;
}

/* Problems are the answer, so they go to stdout although the command fails. */
static enum status verify(struct storage *s)
{
    TRY(walk(s, true, verify_one));
    if (s->json)
        buf_printf(&s->c->out, "[%.*s]\n", STR_ARG(buf_view(&s->text)));
    else
        buf_str(&s->c->out, buf_view(&s->text));
    if (s->problems == 0) {
        if (!s->json)
            buf_printf(&s->c->out, "%u files, %" PRIu64 " bytes: every byte is right\n", s->files,
                s->bytes);
        return ST_OK;
    }
    if (fwrite(buf_view(&s->c->out).p, 1, s->c->out.n, stdout) != s->c->out.n)
        FAIL_ERRNO(&s->c->err, ST_INTERNAL, "cannot write the output");
    FAIL(&s->c->err, ST_DATA_LOSS, "%u of %u files have a problem", s->problems, s->files);
}

static enum status inspect(struct storage *s)
{
    if (s->c->args.n < 2)
        return cli_misuse(s->c, "which file? `everflame storage ls` lists them");
    for (uint32_t i = 0; i < s->n_paths; i++) {
        if (i)
            buf_byte(&s->c->out, '\n');
        TRY(tool_inspect(&fs_real, s->paths[i], &s->c->out, &s->c->err));
    }
    return ST_OK;
}

static void compacted(void *ctx, const struct store_compacted *job)
{
    struct storage *s = ctx;
    struct buf *out = &s->text;
    s->files++;
    if (s->json) {
        buf_printf(out, "%s{", s->files > 1 ? "," : "");
        json_member(out, "tenant", job->tenant);
        json_member(out, "level", str_from(job->level));
        buf_printf(out,
            "\"start_ms\":%lld,\"blocks\":%u,\"bytes_in\":%" PRIu64 ",\"bytes_out\":%" PRIu64 "}",
            (long long)(job->start_ns / NS_PER_MS), job->n_sources, job->bytes_in, job->bytes_out);
        return;
    }
    char text[32];
    clock_format_ms(job->start_ns, text);
    buf_printf(out, "%.10s %.5s  %s  ", text, text + 11, job->level);
    text_put(out, job->tenant);
    buf_printf(out, ": %u blocks, %" PRIu64 " bytes, became one of %" PRIu64 " bytes\n",
        job->n_sources, job->bytes_in, job->bytes_out);
}

static enum status compact(struct storage *s)
{
    enum status st = ST_OK;
    bool force = opt_has(s->c, OPT_FORCE);
    log_setup(LOG_WARN, LOG_LOGFMT); /* what is done is said on stdout */
    for (uint32_t i = 0; i < s->n_paths && st == ST_OK; i++)
        st = tool_compact(&fs_real, s->paths[i], force, compacted, s, &s->c->err);
    if (s->json)
        buf_printf(&s->c->out, "[%.*s]\n", STR_ARG(buf_view(&s->text)));
    else if (s->files)
        buf_str(&s->c->out, buf_view(&s->text));
    else if (st == ST_OK)
        buf_str(&s->c->out, STR("nothing to merge\n"));
    return st;
}

static enum status run(struct storage *s)
{
    struct cli *c = s->c;
    struct str what = c->args.v[0];
    if (str_eq(what, STR("usage")))
        return storage_usage(c);
    s->n_paths = c->args.n > 1 ? c->args.n - 1 : 1;
    s->paths = ARENA_ARRAY(&c->arena, const char *, s->n_paths);
    if (!s->paths)
        return cli_no_memory(c);
    s->paths[0] = "data";
    for (uint32_t i = 1; i < c->args.n; i++)
        if (!(s->paths[i - 1] = arena_cstr(&c->arena, c->args.v[i])))
            return cli_no_memory(c);
    if (str_eq(what, STR("ls")))
        return ls(s);
    if (str_eq(what, STR("verify")))
        return verify(s);
    if (str_eq(what, STR("inspect")))
        return inspect(s);
    if (str_eq(what, STR("compact")))
        return compact(s);
    return cli_misuse(
        c, "there is no `storage %.*s`, but usage, ls, inspect, verify and compact", STR_ARG(what));
}

enum status cmd_storage(struct cli *c)
{
    struct storage s = {.c = c, .json = opt_json(c)};
    s.table = (struct table){.arena = &c->arena, .columns = 8, .align = "lllrrrrl"};
    buf_init(&s.text, 256 * MIB);
    enum status st = run(&s);
    if (st == ST_OK && s.text.failed)
        st = cli_no_memory(c);
    buf_done(&s.text);
    return st;
}
