/* Series labels: made by the decoders' rules, then rewritten by the pipeline's.
 *
 * `/ingest` gives each series generated labels and the user's; a user's label that collides with a
 * generated one is kept beside it and later refused as a duplicate, as in the reference. User
 * labels that start with "__" are dropped, except the session id. The rules per format are in
 * ingest_labels_make (spec/ingest.md §2.6 step 5, §2.7, §3.10).
 *
 * Invariants: 1. A finished set is sorted, has no empty value and has a service_name. 2. The
 * rewriting functions keep a sorted set sorted. 3. Finished sets may be shared between the profiles
 * of a push series: whoever rewrites works on a copy.
 *
 * Pure; everything in the request's arena; the only failure is a full arena. */
#include "ingest/ingest_int.h"

#include <inttypes.h>

static bool add(struct label_set *set, struct arena *arena, struct str name, struct str value)
{
    struct label *l = VEC_PUSH(arena, *set);
    if (!l)
        return false;
    *l = (struct label){name, value};
    return true;
}

static bool user_has(const struct app_name *name, struct str key)
{
    for (uint32_t i = 0; i < name->n; i++)
        if (str_eq(name->labels[i].key, key))
            return true;
    return false;
}

static bool add_user(struct label_set *set, struct arena *arena, const struct app_name *name)
{
    for (uint32_t i = 0; i < name->n; i++) {
        const struct app_name_label *l = &name->labels[i];
        if (str_starts(l->key, STR("__")) && !str_eq(l->key, STR("__session_id__")))
            continue;
        if (!add(set, arena, l->key, l->value))
            return false;
    }
    return true;
}

/* The application's own name goes to the first of service_name and app_name that is free. */
static bool add_app(struct label_set *set, struct arena *arena, const struct ingest_label_input *in)
{
    if (!user_has(in->name, STR("service_name")))
        return add(set, arena, STR("service_name"), in->app);
    if (in->naming == NAMING_PPROF || user_has(in->name, STR("app_name")))
        return true;
    return add(set, arena, STR("app_name"), in->app);
}

enum status ingest_labels_make(const struct ingest_label_input *in, struct arena *arena,
    struct labels *ret_labels, struct error *err)
{
    struct label_set set = {0};
    bool ok = add(&set, arena, STR("__name__"), in->metric) &&
              add(&set, arena, STR("__delta__"), STR("false")) &&
              add(&set, arena, STR("pyroscope_spy"), in->spy) &&
              add(&set, arena, STR("jfr_event"), in->event) &&
              add(&set, arena, STR("profile_name"), in->profile_name) &&
              add_user(&set, arena, in->name) && add_app(&set, arena, in);
    if (!ok)
        return ingest_arena_full(arena, err);
    return ingest_labels_finish(&set, arena, ret_labels, err);
}

enum status ingest_labels_finish(
    struct label_set *set, struct arena *arena, struct labels *ret_labels, struct error *err)
{
    uint32_t kept = 0;
    bool service = false;
    for (uint32_t i = 0; i < set->n; i++) {
        if (set->v[i].value.n == 0)
            continue;
        service = service || str_eq(set->v[i].name, STR("service_name"));
        set->v[kept++] = set->v[i];
    }
    set->n = kept;
    if (!service && !add(set, arena, STR("service_name"), STR("unknown_service")))
        return ingest_arena_full(arena, err);
    labels_sort(set->v, set->n);
    *ret_labels = label_set_view(set);
    return ST_OK;
}

/* The first index whose name is not below `name`. */
static uint32_t lower_bound(const struct label_set *set, struct str name)
{
    uint32_t lo = 0, hi = set->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (str_cmp(set->v[mid].name, name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool label_set_put(struct label_set *set, struct arena *arena, struct str name, struct str value)
{
    uint32_t at = lower_bound(set, name);
    if (at < set->n && str_eq(set->v[at].name, name)) {
        for (; at < set->n && str_eq(set->v[at].name, name); at++)
            set->v[at].value = value;
        return true;
    }
    struct label *last = VEC_PUSH(arena, *set);
    if (!last)
        return false;
    memmove(&set->v[at + 1], &set->v[at], (set->n - 1 - at) * sizeof *set->v);
    set->v[at] = (struct label){name, value};
    return true;
}

void label_set_drop(struct label_set *set, struct str name)
{
    uint32_t at = lower_bound(set, name), end = at;
    while (end < set->n && str_eq(set->v[end].name, name))
        end++;
    if (end == at)
        return;
    memmove(&set->v[at], &set->v[end], (set->n - end) * sizeof *set->v);
    set->n -= end - at;
}

/* 16 hex digits are 8 bytes, little-endian. */
static bool session_parse(struct str s, int64_t *ret_id)
{
    uint8_t bytes[8];
    if (!str_to_bytes(s, bytes, sizeof bytes))
        return false;
    *ret_id = (int64_t)load_u64le(bytes);
    return true;
}

void ingest_limit_session(struct label_set *set, struct arena *arena, uint64_t sessions_max)
{
    struct str key = STR("__session_id__");
    struct str value = labels_get(label_set_view(set), key);
    if (!value.p)
        return;
    int64_t id;
    if (sessions_max == 0 || !session_parse(value, &id)) {
        label_set_drop(set, key);
        return;
    }
    if (sessions_max <= INT64_MAX)
        id %= (int64_t)sessions_max;
    uint64_t bits = __builtin_bswap64((uint64_t)id);
    struct str text = arena_printf(arena, "%016" PRIx64, bits);
    if (text.p)
        label_set_put(set, arena, key, text);
    else
        label_set_drop(set, key);
}

bool ingest_relabel(struct label_set *set, struct arena *arena)
{
    struct str go_delta = STR("godeltaprof_"), replaced = STR("__name_replaced__");
    struct str name = labels_get(label_set_view(set), STR("__name__"));
    bool ok = true;
    if (str_starts(name, go_delta))
        ok = label_set_put(set, arena, replaced, name);
    if (ok && str_starts(labels_get(label_set_view(set), replaced), go_delta))
        ok = label_set_put(set, arena, STR("__delta__"), STR("false"));
    if (ok && name.n > go_delta.n && str_starts(name, go_delta))
        ok = label_set_put(set, arena, STR("__name__"), str_skip(name, go_delta.n));
    else if (ok && str_eq(name, go_delta))
        label_set_drop(set, STR("__name__"));
    if (!ok)
        return false;
    struct str type = labels_get(label_set_view(set), STR("__type__"));
    if (!str_eq(labels_get(label_set_view(set), STR("__name__")), STR("wall")) ||
        !str_eq(type, STR("cpu")))
        return true;
    return label_set_put(set, arena, replaced, STR("wall")) &&
           label_set_put(set, arena, STR("__name__"), STR("process_cpu"));
}
