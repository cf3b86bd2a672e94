/* `everflame upload`: sends files of profiles to /ingest.
 *
 *     file ─► inflated ─► format, by content ─► name{labels}, time ─► POST /ingest
 *
 * The application name of /ingest carries the kind of collapsed stacks as its last part, so `.cpu`
 * (or what --type says) is put behind the service. A pprof profile has its own time, which --from
 * replaces in it; the others take --from, or now.
 *
 * Thread: one. Failure: the first file that cannot be sent ends the command; those before it are
 * stored, and the message says which file it was. */
#include "cli/upload.h"

#include <errno.h>
#include <stdio.h>

#include "cli/cli_int.h"
#include "cli/units.h"
#include "codec/gzip.h"
#include "codec/json.h"
#include "codec/pprof.h"

#define UPLOAD_BYTES_MAX GIB

enum { TARGET_MAX = 64 * 1024 };

const char *const upload_format_names[UPLOAD_FORMATS] = {
    "unknown", "pprof", "jfr", "folded", "speedscope"};

struct upload {
    struct str path, service, content;
    enum upload_format format;
    size_t bytes; /* of the file */
};

/* Detection */

static bool is_count_line(struct str line)
{
    uint64_t count;
    line = str_trim(line);
    size_t blank = str_rfind_char(line, ' ');
    return blank != STR_NPOS && blank > 0 && str_to_u64(str_skip(line, blank + 1), &count);
}

static bool is_folded(struct str content)
{
    struct str_split it = {.rest = content};
    struct str line;
    uint32_t lines = 0;
    if (memchr(content.p, 0, content.n))
        return false;
    while (str_split_next(&it, '\n', &line)) {
        if (str_trim(line).n == 0)
            continue;
        if (!is_count_line(line))
            return false;
        lines++;
    }
    return lines > 0;
}

enum upload_format upload_detect(struct str content, struct arena *arena)
{
    struct pprof *p;
    if (content.n == 0)
        return UPLOAD_UNKNOWN;
    if (str_starts(content, str_make("FLR\0", 4)))
        return UPLOAD_JFR;
    if (str_starts(str_trim(content), STR("{")))
        return str_contains(content, STR("speedscope.app/file-format-schema")) ? UPLOAD_SPEEDSCOPE
                                                                               : UPLOAD_UNKNOWN;
    if (is_folded(content))
        return UPLOAD_FOLDED;
    if (pprof_decode(content, UPLOAD_BYTES_MAX, arena, &p, NULL) == ST_OK && p->n_sample_types > 0)
        return UPLOAD_PPROF;
    return UPLOAD_UNKNOWN;
}

static bool name_char(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           ch == '_' || ch == '.' || ch == '-' || ch == '/';
}

struct str upload_service(struct str path, struct arena *arena)
{
    size_t slash = str_rfind_char(path, '/');
    struct str name = slash == STR_NPOS ? path : str_skip(path, slash + 1);
    size_t dot = str_find_char(name, '.');
    char *z = arena_cstr(arena, dot == STR_NPOS ? name : str_head(name, dot));
    if (!z)
        return STR_EMPTY;
    for (char *p = z; *p; p++)
        if (!name_char(*p))
            *p = '-';
    return str_from(z);
}

/* Reading */

static enum status read_stream(struct cli *c, FILE *f, struct buf *out, struct str path)
{
    size_t got;
    do {
        if (!buf_reserve(out, 64 * KIB))
            FAIL(&c->err, ST_RESOURCE_EXHAUSTED, "%.*s is larger than %llu MiB", STR_ARG(path),
                (unsigned long long)(UPLOAD_BYTES_MAX / MIB));
        got = fread(out->p + out->n, 1, out->cap - out->n, f);
        out->n += got;
    } while (got > 0);
    if (ferror(f))
        FAIL_ERRNO(&c->err, ST_INTERNAL, "cannot read %.*s", STR_ARG(path));
    return ST_OK;
}

static enum status read_file(struct cli *c, struct upload *u)
{
    struct buf raw;
    bool from_stdin = str_eq(u->path, STR("-"));
    char *z = arena_cstr(&c->arena, u->path);
    FILE *f = !z ? NULL : from_stdin ? stdin : fopen(z, "re");
    if (!f)
        FAIL_ERRNO(&c->err, ST_NOT_FOUND, "cannot read %.*s", STR_ARG(u->path));
    buf_init(&raw, UPLOAD_BYTES_MAX);
    enum status st = read_stream(c, f, &raw, u->path);
    if (!from_stdin)
        fclose(f);
    u->bytes = raw.n;
    if (st == ST_OK && gzip_detect(buf_view(&raw))) {
        st = gzip_inflate(buf_view(&raw), UPLOAD_BYTES_MAX, &c->arena, &u->content, &c->err);
        if (st != ST_OK)
            st = error_wrap(&c->err, st, "%.*s", STR_ARG(u->path));
    } else if (st == ST_OK) {
        u->content = arena_str(&c->arena, buf_view(&raw));
        st = u->content.p ? ST_OK : cli_no_memory(c);
    }
    buf_done(&raw);
    return st;
}

/* Sending */

static void put_encoded(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (name_char(s.p[i]))
            buf_byte(out, (uint8_t)s.p[i]);
        else
            buf_printf(out, "%%%02X", (unsigned char)s.p[i]);
}

/* The kind of collapsed stacks, as /ingest names it. */
static enum status kind_of(struct cli *c, const struct upload *u, struct str *ret_kind)
{
    static const struct {
        const char *word, *kind;
    } kinds[] = {{"cpu", "cpu"}, {"wall", "wall"}, {"alloc", "alloc_space"},
        {"inuse", "inuse_space"}, {"lock", "mutex_duration"}, {"block", "block_duration"},
        {"goroutine", "goroutines"}};
    struct str type = opt_get(c, OPT_TYPE);
    *ret_kind = STR_EMPTY;
    bool says_itself = u->format != UPLOAD_FOLDED && u->format != UPLOAD_SPEEDSCOPE;
    if (says_itself && type.p)
        return cli_misuse(c, "--type is for collapsed stacks, but %.*s is %s and says itself",
            STR_ARG(u->path), upload_format_names[u->format]);
    if (says_itself)
        return ST_OK;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (str_eq(type.p ? type : STR("cpu"), str_from(kinds[i].word))) {
            *ret_kind = str_from(kinds[i].kind);
            return ST_OK;
        }
    return cli_misuse(c,
        "--type of an upload is one of cpu, wall, alloc, inuse, lock, block, "
        "goroutine, not %.*s",
        STR_ARG(type));
}

static enum status put_labels(struct cli *c, struct buf *out)
{
    buf_byte(out, '{');
    for (uint32_t i = 0; i < c->options[OPT_LABEL].given.n; i++) {
        struct str given = c->options[OPT_LABEL].given.v[i];
        size_t equals = str_find_char(given, '=');
        if (equals == STR_NPOS || equals == 0)
            return cli_misuse(c, "--label wants NAME=VALUE, not %.*s", STR_ARG(given));
        if (str_find_char(given, ',') != STR_NPOS || str_find_char(given, '}') != STR_NPOS)
            return cli_misuse(
                c, "--label %.*s: a label of an upload cannot hold `,` or `}`", STR_ARG(given));
        if (i)
            buf_byte(out, ',');
        buf_str(out, given);
    }
    buf_byte(out, '}');
    return ST_OK;
}

/* --from inside a pprof profile, which has a time of its own. */
static enum status set_time(struct cli *c, struct upload *u, int64_t from_ns)
{
    struct buf out;
    void *profile;
    TRY(msg_decode_proto(&m_profile_desc, u->content, &c->arena, &profile, &c->err));
    ((struct m_profile *)profile)->time_nanos = from_ns;
    buf_init(&out, UPLOAD_BYTES_MAX);
    msg_encode_proto(&m_profile_desc, profile, &out);
    u->content = keep_text(&c->arena, &out);
    return u->content.n ? ST_OK : cli_no_memory(c);
}

static enum status times(struct cli *c, struct upload *u, int64_t *ret_from, int64_t *ret_until)
{
    struct str from = opt_get(c, OPT_FROM), until = opt_get(c, OPT_UNTIL);
    *ret_from = *ret_until = c->now_ns;
    if (until.p && !time_parse(until, c->now_ns, ret_until))
        return cli_misuse(c, "--until does not understand the time `%.*s`", STR_ARG(until));
    if (from.p && !time_parse(from, c->now_ns, ret_from))
        return cli_misuse(c, "--from does not understand the time `%.*s`", STR_ARG(from));
    if (!from.p)
        *ret_from = *ret_until;
    if (*ret_from > *ret_until)
        return cli_misuse(c, "--from must not be after --until");
    return from.p && u->format == UPLOAD_PPROF ? set_time(c, u, *ret_from) : ST_OK;
}

static enum status make_target(struct cli *c, struct upload *u, struct buf *out)
{
    struct buf name;
    struct str kind, rate = opt_get(c, OPT_SAMPLE_RATE);
    int64_t from, until;
    TRY(kind_of(c, u, &kind));
    TRY(times(c, u, &from, &until));
    buf_init(&name, TARGET_MAX);
    buf_printf(&name, "%.*s%s%.*s", STR_ARG(u->service), kind.n ? "." : "", STR_ARG(kind));
    enum status st = put_labels(c, &name);
    buf_str(out, STR("/ingest?name="));
    put_encoded(out, buf_view(&name));
    buf_done(&name);
    TRY(st);
    buf_printf(out, "&from=%lld&until=%lld&spyName=everflame&sampleRate=%.*s&format=%s",
        (long long)from, (long long)until, STR_ARG(rate.p ? rate : STR("100")),
        upload_format_names[u->format]);
    buf_byte(out, 0);
    return out->failed ? cli_misuse(c, "the labels are too long") : ST_OK;
}

static enum status send_one(struct cli *c, struct upload *u)
{
    struct buf target;
    struct http_answer a;
    TRY(read_file(c, u));
    u->format = upload_detect(u->content, &c->arena);
    if (u->format == UPLOAD_UNKNOWN)
        FAIL(&c->err, ST_INVALID_ARGUMENT,
            "%.*s is no profile: pprof, JFR, speedscope and collapsed stacks are understood, "
            "compressed by gzip or not",
            STR_ARG(u->path));
    u->service = opt_has(c, OPT_NAME) ? opt_get(c, OPT_NAME) : upload_service(u->path, &c->arena);
    if (u->service.n == 0 || (str_eq(u->path, STR("-")) && !opt_has(c, OPT_NAME)))
        return cli_misuse(c, "say which service was profiled: --name SERVICE");
    buf_init(&target, TARGET_MAX);
    enum status st = make_target(c, u, &target);
    if (st == ST_OK)
        st = http_send(
            c->http, target.p, "application/octet-stream", u->content, &c->arena, &a, &c->err);
    buf_done(&target);
    if (st != ST_OK || a.status / 100 == 2)
        return st;
    st = client_refused(c, &a);
    return error_wrap(&c->err, st, "%.*s", STR_ARG(u->path));
}

static void put_result(struct cli *c, const struct upload *u, bool first)
{
    struct buf *out = &c->out;
    if (!opt_json(c)) {
        buf_str(out, STR("sent "));
        text_put(out, u->path);
        buf_printf(out, " (%s, ", upload_format_names[u->format]);
        units_put(out, STR("bytes"), (double)u->bytes);
        buf_str(out, STR(") as service "));
        text_put(out, u->service);
        buf_byte(out, '\n');
        return;
    }
    buf_str(out, first ? STR("{\"file\":") : STR(",\n{\"file\":"));
    json_put_string(out, u->path);
    buf_str(out, STR(",\"service\":"));
    json_put_string(out, u->service);
    buf_printf(out, ",\"format\":\"%s\",\"bytes\":%zu}", upload_format_names[u->format], u->bytes);
}

enum status cmd_upload(struct cli *c)
{
    if (opt_json(c))
        buf_byte(&c->out, '[');
    for (uint32_t i = 0; i < c->args.n; i++) {
        struct upload u = {.path = c->args.v[i]};
        enum status st = send_one(c, &u);
        if (st != ST_OK && i > 0)
            return error_wrap(&c->err, st, "after %u files that are stored", i);
        TRY(st);
        put_result(c, &u, i == 0);
    }
    if (opt_json(c))
        buf_str(&c->out, STR("]\n"));
    return ST_OK;
}
