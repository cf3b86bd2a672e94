/* The two binary formats of /ingest: pprof and JFR, as bare bodies or as multipart forms
 * (spec/ingest.md §2.5, §2.7, §3.1, §3.10).
 *
 * pprof: one series; its name follows from its sample types, its content is repaired for old
 * clients. JFR: up to nine series over one set of symbols. An absent or empty profile is a success
 * that stores nothing. Gzip is recognised by content, never by headers.
 *
 * All failures are 422 with the code `unknown` and the prefixes of the reference; upload.c turns a
 * full arena into 413. Runs on the caller's thread; everything is in the request's arena. */
#include "ingest/ingest_int.h"

#include "codec/gzip.h"
#include "codec/jfr.h"
#include "codec/multipart.h"

static uint64_t inflate_max(const struct upload_ctx *u)
{
    uint64_t max = u->rq->limits.profile_bytes_max;
    return max ? max : INGEST_INFLATE_BYTES_MAX;
}

/* A decoder that is out of something but memory met the size limit. */
static void note_size_limit(struct upload_ctx *u, enum status st)
{
    if (st == ST_RESOURCE_EXHAUSTED)
        u->reason = STR("profile_size_limit");
}

static enum status read_pprof_form(
    struct upload_ctx *u, struct str *ret_profile, struct str *ret_config, struct error *err)
{
    struct multipart form;
    if (multipart_parse(u->up->content_type, u->up->body, &form, err) != ST_OK)
        return upload_unprocessable(
            err, "parsing IngestInput-pprof failed failed to parse pprof /ingest multipart form ");
    if (multipart_get(&form, STR("prev_profile")).n > 0) {
        error_set(err, ST_UNKNOWN, __FILE__, __LINE__,
            "unsupported client version. Please update github.com/grafana/pyroscope-go to the "
            "latest version");
        return upload_unprocessable(err, "parsing IngestInput-pprof failed ");
    }
    *ret_profile = multipart_get(&form, STR("profile"));
    *ret_config = multipart_get(&form, STR("sample_type_config"));
    return ST_OK;
}

static enum status fix_pprof(
    struct upload_ctx *u, struct pprof *p, const struct sample_config *config, struct error *err)
{
    bool dotnet = str_eq(u->spy, STR("dotnetspy")) ||
                  (str_eq(u->spy, STR("unknown")) &&
                      sample_config_find(config, STR("inuse-space")));
    ingest_fix_time(p, u->from_ns);
    TRY(ingest_fix_scripting(p, u->spy, u->rq->arena, err));
    return dotnet ? ingest_fix_dotnet(p, u->rq->arena, err) : ST_OK;
}

static enum status add_pprof(
    struct upload_ctx *u, struct pprof *p, const struct sample_config *config, struct error *err)
{
    struct ingest_label_input in = {.naming = NAMING_PPROF,
        .name = &u->name,
        .app = u->name.name,
        .metric = sample_config_metric(config, p),
        .spy = u->spy};
    struct ingest_series *s = ingest_request_add(u->rq);
    if (!s)
        return ingest_arena_full(u->rq->arena, err);
    s->pprof = p;
    return ingest_labels_make(&in, u->rq->arena, &s->labels, err);
}

enum status upload_pprof(struct upload_ctx *u, bool multipart, struct error *err)
{
    struct str profile = u->up->body, config_text = {0};
    struct sample_config config;
    struct pprof *p;
    if (multipart)
        TRY(read_pprof_form(u, &profile, &config_text, err));
    if (sample_config_parse(config_text, u->rq->arena, &config, err) != ST_OK)
        return upload_unprocessable(
            err, "parsing IngestInput-pprof failed failed to parse pprof /ingest multipart form ");
    if (profile.n == 0)
        return ST_OK;
    enum status st = pprof_decode(profile, inflate_max(u), u->rq->arena, &p, err);
    note_size_limit(u, st);
    if (st == ST_OK)
        st = fix_pprof(u, p, &config, err);
    if (st != ST_OK)
        return upload_unprocessable(err, "parsing IngestInput-pprof failed invalid_argument: ");
    return add_pprof(u, p, &config, err);
}

/* In place, or inflated when it is gzip. */
static enum status inflate_part(
    struct upload_ctx *u, struct str *part, const char *prefix, struct error *err)
{
    if (!gzip_detect(*part))
        return ST_OK;
    enum status st = gzip_inflate(*part, inflate_max(u), u->rq->arena, part, err);
    note_size_limit(u, st);
    return st == ST_OK ? ST_OK : upload_unprocessable(err, prefix);
}

static enum status read_jfr_form(
    struct upload_ctx *u, struct str *ret_jfr, struct str *ret_labels, struct error *err)
{
    struct multipart form;
    if (multipart_parse(u->up->content_type, u->up->body, &form, err) != ST_OK)
        return upload_unprocessable(
            err, "parsing IngestInput-pprof failed failed to parse jfr /ingest multipart form ");
    *ret_jfr = multipart_get(&form, STR("jfr"));
    *ret_labels = multipart_get(&form, STR("labels"));
    if (ret_jfr->n == 0) {
        error_set(err, ST_UNKNOWN, __FILE__, __LINE__, "jfr field is required");
        return upload_unprocessable(err, "parsing IngestInput-pprof failed ");
    }
    if (ret_jfr->n < 2 || ret_labels->n == 1) {
        error_set(err, ST_UNKNOWN, __FILE__, __LINE__, "failed to read magic");
        return upload_unprocessable(err, "parsing IngestInput-pprof failed loadJFRFromForm ");
    }
    TRY(inflate_part(u, ret_jfr,
        "parsing IngestInput-pprof failed loadJFRFromForm failed to decompress jfr: ", err));
    return inflate_part(u, ret_labels,
        "parsing IngestInput-pprof failed loadJFRFromForm failed to decompress labels: ", err);
}

static enum status add_jfr(struct upload_ctx *u, struct jfr *jfr, struct error *err)
{
    for (uint32_t i = 0; i < jfr->n; i++) {
        struct ingest_label_input in = {.naming = NAMING_JFR,
            .name = &u->name,
            .app = u->name.name,
            .metric = jfr->profiles[i].name,
            .spy = u->spy,
            .event = jfr->event};
        struct ingest_series *s = ingest_request_add(u->rq);
        if (!s)
            return ingest_arena_full(u->rq->arena, err);
        s->prof = &jfr->profiles[i].profile;
        TRY(ingest_labels_make(&in, u->rq->arena, &s->labels, err));
    }
    return ST_OK;
}

enum status upload_jfr(struct upload_ctx *u, bool multipart, struct error *err)
{
    struct str recording = u->up->body, labels = STR_EMPTY;
    if (multipart)
        TRY(read_jfr_form(u, &recording, &labels, err));
    struct jfr_options opt = {.sample_rate = u->sample_rate,
        .from_ns = u->from_ns,
        .until_ns = u->until_ns,
        .stack_depth_max = (uint32_t)MIN(u->rq->limits.stack_depth_max, UINT32_MAX)};
    struct jfr *jfr = ARENA_NEW(u->rq->arena, struct jfr);
    if (!jfr)
        return ingest_arena_full(u->rq->arena, err);
    if (jfr_decode(recording, labels, &opt, u->rq->arena, jfr, err) != ST_OK)
        return upload_unprocessable(err, "parsing IngestInput-pprof failed ");
    u->rq->type = STR("jfr");
    u->rq->stacks_cut = jfr->stacks_cut;
    return add_jfr(u, jfr, err);
}
