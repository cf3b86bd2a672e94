/* Repairs of what old clients send to /ingest (spec/ingest.md §2.7), on the wire form.
 *
 * time      old Rust-core clients sent microseconds: read as nanoseconds that is the year 1970
 * scripting pyspy, rbspy: function names become "<filename> <name>", one new function per distinct
 *           resulting name; lines point to the new ones, the old ones stay until normalisation
 * dotnet    all function ids 0 and as many functions as locations: ids are taken from the
 *           locations; dashes in sample types become underscores
 *
 * Invariants: 1. Indexes are checked here as well, for the repairs come before pprof_check; what
 * points nowhere is left as it is and refused there. 2. Body bytes are never written: changed
 * strings are copies. Time and memory are linear in the profile. Pure; failures are a full arena
 * and function ids that leave no room for new ones. */
#include "ingest/ingest_int.h"

#include "base/hash.h"
#include "base/idmap.h"

void ingest_fix_time(struct pprof *p, int64_t from_ns)
{
    if (p->time_ns >= 0 && p->time_ns < 365 * 86400 * NS_PER_S)
        p->time_ns = from_ns;
}

struct scripting {
    struct pprof *p;
    struct arena *arena;
    bool keep_absolute; /* pyspy */
    uint32_t n_old;     /* functions before */
    uint64_t next_id;
    uint64_t *new_id;     /* by old function: 0 = not asked yet; its own id = stays */
    struct idmap by_id;   /* old functions; of equal ids the last is found */
    struct idmap by_name; /* new functions, by resulting name */
};

static bool string_ok(const struct pprof *p, int64_t i)
{
    return i >= 0 && (uint64_t)i < p->n_strings;
}

/* Arrays with room for one more function and string per old function. */
static enum status scripting_grow(struct scripting *sc, struct error *err)
{
    struct pprof *p = sc->p;
    size_t n_functions = 2 * (size_t)p->n_functions;
    size_t n_strings = (size_t)p->n_strings + p->n_functions;
    struct pprof_function *functions = ARENA_ARRAY(sc->arena, struct pprof_function, n_functions);
    struct str *strings = ARENA_ARRAY(sc->arena, struct str, n_strings);
    sc->new_id = ARENA_ZARRAY(sc->arena, uint64_t, p->n_functions);
    if (!functions || !strings || !sc->new_id)
        return ingest_arena_full(sc->arena, err);
    if (n_functions >= UINT32_MAX || n_strings >= UINT32_MAX)
        FAIL(err, ST_INVALID_ARGUMENT, "too many functions");
    memcpy(functions, p->functions, p->n_functions * sizeof *functions);
    memcpy(strings, p->strings, p->n_strings * sizeof *strings);
    p->functions = functions;
    p->strings = strings;
    return ST_OK;
}

static enum status scripting_begin(struct scripting *sc, struct error *err)
{
    struct pprof *p = sc->p;
    uint64_t max = 0;
    sc->n_old = p->n_functions;
    TRY(scripting_grow(sc, err));
    for (uint32_t i = 0; i < sc->n_old; i++) {
        max = MAX(max, p->functions[i].id);
        if (!idmap_put(&sc->by_id, hash_u64(p->functions[i].id, 0), i))
            return ingest_arena_full(sc->arena, err);
    }
    if (max > UINT64_MAX - 1 - sc->n_old)
        FAIL(err, ST_INVALID_ARGUMENT, "function ids are too large");
    sc->next_id = max + 1;
    return ST_OK;
}

/* The last function with this id, PROF_NONE when there is none. */
static uint32_t function_by_id(const struct scripting *sc, uint64_t id)
{
    uint32_t found = PROF_NONE, i;
    struct idmap_probe probe = idmap_start(&sc->by_id, hash_u64(id, 0));
    while (idmap_next(&sc->by_id, &probe, &i))
        if (sc->p->functions[i].id == id && (found == PROF_NONE || i > found))
            found = i;
    return found;
}

/* The id of the function with this name, made from `old` if there is none. */
static enum status function_named(struct scripting *sc, const struct pprof_function *old,
    struct str name, uint64_t *ret_id, struct error *err)
{
    struct pprof *p = sc->p;
    uint64_t hash = hash_str(name);
    uint32_t i;
    struct idmap_probe probe = idmap_start(&sc->by_name, hash);
    while (idmap_next(&sc->by_name, &probe, &i)) {
        if (!str_eq(p->strings[p->functions[i].name], name))
            continue;
        *ret_id = p->functions[i].id;
        return ST_OK;
    }
    if (!idmap_put(&sc->by_name, hash, p->n_functions))
        return ingest_arena_full(sc->arena, err);
    struct pprof_function made = *old;
    made.id = sc->next_id++;
    made.name = p->n_strings;
    p->strings[p->n_strings++] = name;
    p->functions[p->n_functions++] = made;
    *ret_id = made.id;
    return ST_OK;
}

static enum status rename_function(struct scripting *sc, uint32_t i, struct error *err)
{
    struct pprof *p = sc->p;
    struct pprof_function old = p->functions[i];
    sc->new_id[i] = old.id;
    if (!string_ok(p, old.name) || !string_ok(p, old.filename))
        return ST_OK;
    struct str file = p->strings[old.filename], plain = p->strings[old.name];
    if (sc->keep_absolute && str_starts(file, STR("/")))
        return ST_OK;
    char *joined = arena_alloc(sc->arena, file.n + 1 + plain.n);
    if (!joined)
        return ingest_arena_full(sc->arena, err);
    if (file.n)
        memcpy(joined, file.p, file.n);
    joined[file.n] = ' ';
    if (plain.n)
        memcpy(joined + file.n + 1, plain.p, plain.n);
    return function_named(sc, &old, str_make(joined, file.n + 1 + plain.n), &sc->new_id[i], err);
}

static enum status scripting_lines(struct scripting *sc, struct error *err)
{
    struct pprof *p = sc->p;
    for (uint32_t i = 0; i < p->n_lines; i++) {
        uint32_t f = function_by_id(sc, p->lines[i].function_id);
        if (f == PROF_NONE || p->functions[f].id == 0)
            continue;
        if (sc->new_id[f] == 0)
            TRY(rename_function(sc, f, err));
        p->lines[i].function_id = sc->new_id[f];
    }
    return ST_OK;
}

enum status ingest_fix_scripting(
    struct pprof *p, struct str spy, struct arena *arena, struct error *err)
{
    bool pyspy = str_eq(spy, STR("pyspy"));
    if (!pyspy && !str_eq(spy, STR("rbspy")) && !str_eq(spy, STR("scripting")))
        return ST_OK;
    struct scripting sc = {.p = p, .arena = arena, .keep_absolute = pyspy};
    idmap_init(&sc.by_id, NULL);
    idmap_init(&sc.by_name, NULL);
    enum status st = scripting_begin(&sc, err);
    if (st == ST_OK)
        st = scripting_lines(&sc, err);
    idmap_done(&sc.by_id);
    idmap_done(&sc.by_name);
    return st;
}

static void dotnet_function_ids(struct pprof *p)
{
    if (p->n_functions != p->n_locations)
        return;
    for (uint32_t i = 0; i < p->n_functions; i++)
        if (p->functions[i].id != 0)
            return;
    for (uint32_t i = 0; i < p->n_functions; i++)
        p->functions[i].id = p->locations[i].id;
}

enum status ingest_fix_dotnet(struct pprof *p, struct arena *arena, struct error *err)
{
    dotnet_function_ids(p);
    uint32_t n = MIN(p->n_sample_types, (uint32_t)INGEST_SAMPLE_TYPES_MAX);
    for (uint32_t i = 0; i < n; i++) {
        int64_t at = p->sample_types[i].type;
        if (!string_ok(p, at) || str_find_char(p->strings[at], '-') == STR_NPOS)
            continue;
        struct str old = p->strings[at];
        char *fixed = arena_alloc(arena, old.n);
        if (!fixed)
            return ingest_arena_full(arena, err);
        for (size_t k = 0; k < old.n; k++)
            fixed[k] = old.p[k] == '-' ? '_' : old.p[k];
        p->strings[at] = str_make(fixed, old.n);
    }
    return ST_OK;
}
