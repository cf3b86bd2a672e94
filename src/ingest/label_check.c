/* Validation of a final label set (spec/ingest.md §7.3): which sets may become series.
 *
 * The checks run in the order of that table, first the set as a whole, then label by label; the
 * first failure wins and its text is the reference's. With sanitising on, a '.' in a name becomes
 * '_' on the way; a rewritten name may meet an existing one, which is fine only when the values
 * agree.
 *
 * Invariants: 1. The set is sorted before and after. 2. On failure the set is of no further use.
 * Pure but for one metric; failures are ST_INVALID_ARGUMENT with the reason of §7.7, or a full
 * arena. */
#include "ingest/ingest_int.h"

#include <inttypes.h>

#include "base/metrics.h"
#include "base/utf8.h"

enum { LABEL_TEXT_MAX = 300 };

static enum status bad_label(struct ingest_request *rq, struct labels set, const char *what,
    struct str which, struct error *err)
{
    struct str text = ingest_labels_text(rq->arena, set);
    struct str clip = ingest_clip(rq->arena, which, LABEL_TEXT_MAX);
    FAIL(err, ST_INVALID_ARGUMENT, "profile with labels '%.*s' has %s: '%.*s'", STR_ARG(text), what,
        STR_ARG(clip));
}

static enum status bad_set(
    struct ingest_request *rq, struct labels set, const char *why, struct error *err)
{
    struct str text = ingest_labels_text(rq->arena, set);
    FAIL(err, ST_INVALID_ARGUMENT, "invalid labels '%.*s' with error: %s", STR_ARG(text), why);
}

static enum status bad_part(struct ingest_request *rq, struct labels set, const char *what,
    struct str which, struct error *err)
{
    struct str text = ingest_labels_text(rq->arena, set);
    struct str clip = ingest_clip(rq->arena, which, LABEL_TEXT_MAX);
    FAIL(err, ST_INVALID_ARGUMENT, "invalid labels '%.*s' with error: invalid label %s '%.*s'",
        STR_ARG(text), what, STR_ARG(clip));
}

static bool name_valid(struct str s, bool sanitize)
{
    if (!sanitize)
        return s.n > 0 && utf8_valid(s);
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.';
        if (!alpha && !(i > 0 && c >= '0' && c <= '9'))
            return false;
    }
    return s.n > 0;
}

static enum status check_set(
    struct ingest_request *rq, struct labels set, struct str *ret_reason, struct error *err)
{
    uint64_t max = rq->limits.labels_per_series_max;
    if (set.n == 0) {
        *ret_reason = STR("missing_labels");
        FAIL(err, ST_INVALID_ARGUMENT, "error at least one label pair is required per profile");
    }
    if (max && set.n > max) {
        *ret_reason = STR("max_label_names_per_series");
        struct str text = ingest_labels_text(rq->arena, set);
        FAIL(err, ST_INVALID_ARGUMENT, "profile series '%.*s' has %u label names; limit %" PRIu64,
            STR_ARG(text), set.n, max);
    }
    struct str name = labels_get(set, STR("__name__"));
    if (name.n == 0 || !utf8_valid(name)) {
        *ret_reason = STR("invalid_labels");
        return bad_set(rq, set, "invalid metric name", err);
    }
    if (labels_get(set, STR("service_name")).n == 0) {
        *ret_reason = STR("missing_labels");
        return bad_set(rq, set, "service name is not provided", err);
    }
    return ST_OK;
}

static enum status check_label(struct ingest_request *rq, struct labels set, uint32_t i,
    struct str *ret_reason, struct error *err)
{
    const struct ingest_limits *l = &rq->limits;
    struct label at = set.v[i];
    if (l->label_name_bytes_max && at.name.n > l->label_name_bytes_max) {
        *ret_reason = STR("label_name_too_long");
        return bad_label(rq, set, "label name too long", at.name, err);
    }
    if (l->label_value_bytes_max && at.value.n > l->label_value_bytes_max) {
        *ret_reason = STR("label_value_too_long");
        return bad_label(rq, set, "label value too long", at.value, err);
    }
    *ret_reason = STR("invalid_labels");
    if (!name_valid(at.name, l->label_sanitization))
        return bad_part(rq, set, "name", at.name, err);
    if (!utf8_valid(at.value))
        return bad_part(rq, set, "value", at.value, err);
    if (i > 0 && str_eq(at.name, set.v[i - 1].name)) {
        *ret_reason = STR("duplicate_label_names");
        return bad_label(rq, set, "duplicate label name", at.name, err);
    }
    return ST_OK;
}

static struct str underscored(struct arena *arena, struct str name)
{
    char *p = arena_alloc(arena, name.n);
    if (!p)
        return (struct str){NULL, 0};
    for (size_t i = 0; i < name.n; i++)
        p[i] = name.p[i] == '.' ? '_' : name.p[i];
    return str_make(p, name.n);
}

/* Two labels of `was` became `name` and differ in value. */
static enum status sanitized_duplicate(
    struct ingest_request *rq, struct labels was, struct str name, struct error *err)
{
    struct str from = name;
    for (uint32_t i = 0; i < was.n; i++) {
        struct str to = underscored(rq->arena, was.v[i].name);
        if (to.p && str_eq(to, name) && !str_eq(was.v[i].name, name))
            from = was.v[i].name;
    }
    struct str text = ingest_labels_text(rq->arena, was);
    name = ingest_clip(rq->arena, name, LABEL_TEXT_MAX);
    from = ingest_clip(rq->arena, from, LABEL_TEXT_MAX);
    FAIL(err, ST_INVALID_ARGUMENT,
        "profile with labels '%.*s' has duplicate label name '%.*s' after label name sanitization "
        "from '%.*s'",
        STR_ARG(text), STR_ARG(name), STR_ARG(from));
}

/* `was` is the set before, for the text. */
static enum status sanitize(struct ingest_request *rq, struct label_set *set, struct labels was,
    struct str *ret_reason, struct error *err)
{
    for (uint32_t i = 0; i < set->n; i++) {
        if (str_find_char(set->v[i].name, '.') == STR_NPOS)
            continue;
        set->v[i].name = underscored(rq->arena, set->v[i].name);
        if (!set->v[i].name.p)
            return ingest_arena_full(rq->arena, err);
        metric_add(M_SANITIZED_NAMES, 1, rq->tenant);
    }
    labels_sort(set->v, set->n);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < set->n; i++) {
        struct label at = set->v[i];
        if (kept == 0 || !str_eq(set->v[kept - 1].name, at.name)) {
            set->v[kept++] = at;
        } else if (!str_eq(set->v[kept - 1].value, at.value)) {
            *ret_reason = STR("duplicate_label_names");
            return sanitized_duplicate(rq, was, at.name, err);
        }
    }
    set->n = kept;
    return ST_OK;
}

static bool has_dots(struct labels set)
{
    for (uint32_t i = 0; i < set.n; i++)
        if (str_find_char(set.v[i].name, '.') != STR_NPOS)
            return true;
    return false;
}

enum status ingest_check_labels(
    struct ingest_request *rq, struct label_set *set, struct str *ret_reason, struct error *err)
{
    struct labels view = label_set_view(set);
    TRY(check_set(rq, view, ret_reason, err));
    for (uint32_t i = 0; i < view.n; i++)
        TRY(check_label(rq, view, i, ret_reason, err));
    if (!rq->limits.label_sanitization || !has_dots(view))
        return ST_OK;
    struct label *was = ARENA_ARRAY(rq->arena, struct label, view.n);
    if (!was)
        return ingest_arena_full(rq->arena, err);
    memcpy(was, view.v, view.n * sizeof *was);
    return sanitize(rq, set, (struct labels){was, view.n}, ret_reason, err);
}
