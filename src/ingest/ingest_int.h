/* What the files of src/ingest share: the request on its way to the store. */
#ifndef INGEST_INGEST_INT_H
#define INGEST_INGEST_INT_H

#include "codec/app_name.h"
#include "codec/pprof.h"
#include "codec/text.h"
#include "ingest/ingest.h"
#include "model/labels.h"

enum { INGEST_SAMPLE_TYPES_MAX = 256 }; /* of one profile; more are refused */

/* What is inflated never exceeds this, even where the tenant's limit is off. */
#define INGEST_INFLATE_BYTES_MAX GIB

/* Which texts and statuses an error gets (spec/ingest.md §2.9, §7.6). */
enum ingest_family {
    FAMILY_PUSH,       /* push.v1: series are independent */
    FAMILY_TEXT,       /* groups, lines, trie, tree */
    FAMILY_PPROF,      /* pprof, jfr */
    FAMILY_SPEEDSCOPE, /* 422 as pprof, 429 as text */
};

/* A label set under construction; VEC_PUSH works on it. */
struct label_set {
    struct label *v;
    uint32_t n, cap;
};

static inline struct labels label_set_view(const struct label_set *set)
{
    return (struct labels){set->v, set->n};
}

/* A usage group that a series is in. */
struct ingest_group {
    struct str name;    /* made by the series' labels */
    struct str written; /* as the settings have it */
    struct str metric;  /* label `usage_group` of the metrics */
};

/* One (labels, profile) of a request. Either `pprof` is set and is still to be checked and
 * normalised, or `prof` is set, or the decoder failed and `failed` says why. */
struct ingest_series {
    struct labels labels; /* sorted, no empty values, with service_name; names may repeat */
    struct pprof *pprof;
    struct profile *prof;
    const struct error *failed; /* may be shared by several */
    struct str id;              /* the client's, for texts */
    struct str reason;          /* label `reason` of the discard metrics, once it is refused */
    uint32_t index;             /* of the series in a push request */
    uint64_t size_bytes;        /* what the rate limiter takes */
    uint64_t received_bytes;    /* as sent; push only */
    uint32_t first_row, n_rows;
    uint32_t n_groups; /* 0: the tenant has no usage groups */
    const struct ingest_group *groups;
    const struct ingest_group *over; /* its quota, over_bytes, is reached; NULL: of none */
    uint64_t over_bytes;
    bool refused;
    bool dropped;  /* by sampling, and counted so */
    bool stripped; /* only its totals are stored */
};

/* Lives in the request's arena, from the entry point until `done`. */
struct ingest_request {
    struct ingest *ig;
    struct group_names *group_names;
    struct str tenant;
    struct arena *arena;
    int64_t now_ns;
    struct ingest_limits limits;
    enum ingest_family family;
    uint64_t received_bytes; /* as sent; /ingest only */
    uint64_t stacks_cut;     /* by the decoder */
    struct str type;         /* label `type` of the metrics; empty: each series' __name__ */
    ingest_done_fn done;
    void *ctx;
    struct {
        struct ingest_series *v;
        uint32_t n, cap;
    } series;
    struct {
        struct store_row *v;
        uint32_t n, cap;
    } rows;
    const struct prof_symbols *checked_sym; /* strings and label sets of it were checked */
    enum store_refused store_refused;       /* why the store did not take the rows */
    uint32_t n_refused;
    struct error *refusal; /* of the first refused series; push only */
};

/* ingest.c */
struct ingest_request *ingest_request_new(struct ingest *ig, struct str tenant, struct arena *arena,
    int64_t now_ns, ingest_done_fn done, void *ctx);
/* A zeroed series at the end of the request; NULL: arena full. */
struct ingest_series *ingest_request_add(struct ingest_request *rq);
/* Everything behind decoding; ends with `done`. */
void ingest_request_run(struct ingest_request *rq);
/* Ends a request that did not come as far: `st` and `err` as the client shall see them. */
void ingest_request_end(struct ingest_request *rq, enum status st, const struct error *err);
/* The status for a full arena; the edge decides by arena->full. */
enum status ingest_arena_full(const struct arena *arena, struct error *err);
/* The answer to a request whose arena is full. */
enum status ingest_shape_arena_full(const struct ingest_request *rq, struct error *err);

/* §2.9: how /ingest writes what the pipeline says about series `index`. */
enum status ingest_shape_error(
    const struct ingest_request *rq, uint32_t index, enum status st, struct error *err);
/* Remembers a series that is not stored while others may be; push only. */
void ingest_refuse_series(
    struct ingest_request *rq, struct ingest_series *s, const struct error *err);
/* One of the uploads that pass a quota although it is reached. */
bool ingest_passes_quota(struct ingest_request *rq);
/* NULL: nobody is told. */
struct refusals *ingest_refusals(const struct ingest *ig);
/* From 0 to below 1. */
double ingest_draw(struct ingest_request *rq);

/* discard.c */
/* Counts profiles of a tenant (empty: unknown) that will not be stored, tells the refusals why. */
void ingest_discarded(struct ingest *ig, struct str tenant, struct str service, struct str reason,
    uint64_t profiles, double bytes, int64_t now_ns, const struct error *err);
/* The same for a request that has no series yet. */
void ingest_count_discarded(struct ingest_request *rq, struct str service, struct str reason,
    uint64_t profiles, double bytes, const struct error *err);
void ingest_discard_series(struct ingest_request *rq, const struct ingest_series *s,
    struct str reason, const struct error *err);
/* All series that were not yet discarded. */
void ingest_discard_all(struct ingest_request *rq, struct str reason, const struct error *err);
/* The tenant's rules left nothing of the series; for the client that is no failure. */
void ingest_count_dropped(struct ingest_request *rq, const struct ingest_series *s);

/* groups.c */
struct group_names;
struct group_names *group_names_new(void);
void group_names_free(struct group_names *n);
/* Sets the groups of a series; false: arena full. */
bool ingest_groups_find(struct ingest_request *rq, struct ingest_series *s);
/* The first group whose quota is reached, and that quota; NULL: none. */
const struct ingest_group *ingest_groups_over(
    const struct ingest_request *rq, const struct ingest_series *s, uint64_t *ret_period_bytes);
/* How likely the series is kept; *ret_group is set when that is less than 1. */
double ingest_groups_probability(const struct ingest_request *rq, const struct ingest_series *s,
    const struct ingest_group **ret_group);
void ingest_groups_received(const struct ingest_request *rq, const struct ingest_series *s);
void ingest_groups_discarded(
    const struct ingest_request *rq, const struct ingest_series *s, struct str reason);

/* sampling.c */
/* §6.4 step 6; ST_OK: the request goes on, perhaps without some of its series. */
enum status ingest_check_group_quotas(struct ingest_request *rq, struct error *err);
/* §6.4 step 7: counts and marks what is dropped, marks what is stripped. */
void ingest_sample(struct ingest_request *rq);
/* Those that are stripped and will be stored. */
void ingest_count_stripped(struct ingest_request *rq);
/* Leaves of the profile one sample without a stack per label set. */
enum status ingest_strip(struct ingest_request *rq, struct ingest_series *s, struct error *err);

/* receive.c */
/* Label `type` of the metrics. */
struct str ingest_metric_type(const struct ingest_request *rq, const struct ingest_series *s);
void ingest_count_received(const struct ingest_request *rq, const struct ingest_series *s);
/* Of a profile that was checked. */
void ingest_count_samples(const struct ingest_request *rq, const struct ingest_series *s);
/* s was decoded (or the first of several that were decoded together). */
void ingest_count_parsed(
    const struct ingest_request *rq, const struct ingest_series *s, int64_t took_ns);
/* A known client's, else "unknown". */
struct str ingest_scope_name(struct str name);
/* A semantic version, else empty. */
struct str ingest_scope_version(struct str version);

/* limits.c */
/* ST_INVALID_ARGUMENT unless the time is inside the window (§7.2); 0 and less becomes now. */
enum status ingest_check_time(
    struct ingest_request *rq, struct ingest_series *s, int64_t *time_ns, struct error *err);
/* §6.5 for a profile that did not come as pprof. */
enum status ingest_check_profile(
    struct ingest_request *rq, struct ingest_series *s, struct error *err);
/* "4.0 MiB" (base 1024) or "4.2 MB" (base 1000): one decimal below 10, none above. */
void ingest_size_text(uint64_t bytes, unsigned base, char out[32]);
/* "2026-01-01T00:00:00Z" */
void ingest_reset_text(int64_t s, char out[32]);
/* What is noted about uploads that pass although a limit is reached, the tenant's or that of
 * s->over; {NULL, 0} when the arena is full. */
struct str ingest_throttled(const struct ingest_request *rq, const struct ingest_series *s);
/* "2026-08-21 10:00:00.123 +0000 UTC" */
void ingest_time_text(int64_t ms, char out[64]);
/* At most `max` bytes of s, cut at a character and marked with "…": so that the end of a message
 * (which says what is wrong) always fits. */
struct str ingest_clip(struct arena *arena, struct str s, size_t max);
/* `{a="b", c="d"}`, clipped. */
struct str ingest_labels_text(struct arena *arena, struct labels labels);
uint64_t ingest_labels_bytes(struct labels labels);

/* series_labels.c */
/* "%s" in the tables of §2.6, §2.7, §3.10: who generates which labels. */
enum ingest_naming {
    NAMING_PUT,   /* text: service_name is the app, else app_name is */
    NAMING_PPROF, /* service_name is the whole name; no app_name */
    NAMING_JFR,   /* as put, plus jfr_event */
};
struct ingest_label_input {
    enum ingest_naming naming;
    const struct app_name *name;
    struct str app;          /* becomes service_name or app_name */
    struct str metric;       /* __name__ */
    struct str spy, event;   /* pyroscope_spy, jfr_event */
    struct str profile_name; /* of speedscope; empty = none */
};
enum status ingest_labels_make(const struct ingest_label_input *in, struct arena *arena,
    struct labels *ret_labels, struct error *err);
/* Drops empty values, adds the default service_name, sorts. */
enum status ingest_labels_finish(
    struct label_set *set, struct arena *arena, struct labels *ret_labels, struct error *err);
/* In a sorted set: replaces every value of `name` or inserts one; false: arena full. */
bool label_set_put(struct label_set *set, struct arena *arena, struct str name, struct str value);
void label_set_drop(struct label_set *set, struct str name);
/* §6.11 */
void ingest_limit_session(struct label_set *set, struct arena *arena, uint64_t sessions_max);
/* The default rules of §7.5; false: arena full. */
bool ingest_relabel(struct label_set *set, struct arena *arena);

/* label_check.c */
/* §7.3 on a sorted set; with sanitising on, names are rewritten in place (and the set sorted). */
enum status ingest_check_labels(
    struct ingest_request *rq, struct label_set *set, struct str *ret_reason, struct error *err);

/* type_rules.c */
/* §6.7: the columns of dropped sample types go; there may be none left. */
enum status ingest_drop_types(
    struct ingest_request *rq, struct ingest_series *s, struct error *err);

/* split.c */
/* §6.12: appends the rows of a series to rq->rows. */
enum status ingest_split(struct ingest_request *rq, struct ingest_series *s, struct error *err);

/* lang.c */
bool ingest_is_go(struct labels labels, const struct pprof *p);

/* go_stacks.c */
/* §6.6, second part, on a checked profile: how many stacks got root frames back. */
enum status ingest_fix_go_stacks(
    struct pprof *p, struct arena *arena, uint64_t *ret_repaired, struct error *err);

/* version.c */
/* §6.10; false: arena full. */
bool ingest_inject_versions(struct profile *prof, struct labels labels, struct arena *arena);

/* pprof_fix.c */
void ingest_fix_time(struct pprof *p, int64_t from_ns);
enum status ingest_fix_scripting(
    struct pprof *p, struct str spy, struct arena *arena, struct error *err);
enum status ingest_fix_dotnet(struct pprof *p, struct arena *arena, struct error *err);

/* sample_config.c */
/* The part `sample_type_config` of a pprof form, as far as it has an effect. */
struct sample_config_entry {
    struct str type, display_name; /* display_name empty: none */
};
struct sample_config {
    struct sample_config_entry *v;
    uint32_t n, cap;
};
/* Empty text: the built-in map. */
enum status sample_config_parse(
    struct str json, struct arena *arena, struct sample_config *ret_config, struct error *err);
const struct sample_config_entry *sample_config_find(
    const struct sample_config *config, struct str type);
/* §2.7, "`__name__` selection" */
struct str sample_config_metric(const struct sample_config *config, const struct pprof *p);

/* upload.c: what the parts of an /ingest share */
struct upload_ctx {
    struct ingest_request *rq;
    const struct ingest_upload *up;
    struct app_name name;
    struct str spy;    /* never empty */
    struct str reason; /* of the discard metrics, should decoding fail */
    uint32_t sample_rate;
    int64_t from_ns, until_ns;
};
/* upload_pprof.c: decode into rq->series; errors as the client shall see them. */
enum status upload_pprof(struct upload_ctx *u, bool multipart, struct error *err);
enum status upload_jfr(struct upload_ctx *u, bool multipart, struct error *err);
/* text_put.c */
/* The application's name without the kind of profile at its end. */
struct str put_app(struct str name);
enum status upload_text(struct upload_ctx *u, enum text_format format, struct error *err);
enum status upload_speedscope(struct upload_ctx *u, struct error *err);
/* Makes err the 422 of /ingest, code unknown, with `prefix` put before its text. */
enum status upload_unprocessable(struct error *err, const char *prefix);

/* rate.c */
struct rate;
struct rate *rate_new(void);
void rate_free(struct rate *r);
/* Takes `bytes` from the tenant's bucket, or nothing and false. */
bool rate_take(
    struct rate *r, struct str tenant, double per_s, double burst, uint64_t bytes, int64_t now_ns);
/* One of the n that the tenant has in each period; a period begins with the first of them. */
bool rate_take_one(
    struct rate *r, struct str tenant, uint64_t n, int64_t period_ns, int64_t now_ns);

#endif
