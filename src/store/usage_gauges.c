/* What is stored, for /metrics: once a minute, by the maintainer.
 *
 * Tenants are told apart up to TENANTS_SHOWN: the largest there were at the first look, later ones
 * while there is room. One that was shown stays, at 0 when it has nothing any more, until the
 * process ends; all others are "other". So the number of time series has a bound, and none stops.
 */
#include <math.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "store/store_int.h"
#include "store/usage_int.h"

enum { TENANTS_SHOWN = 100, NAME_BYTES_MAX = 160 };
#define ARENA_BYTES (256 * MIB)

struct usage_shown {
    uint32_t n;
    struct {
        char name[NAME_BYTES_MAX];
        uint64_t bytes[USAGE_LEVELS];
    } v[TENANTS_SHOWN + 1]; /* the last: others */
};

/* The place of a tenant, a new one if there is room, else that of the others. */
static uint32_t place_of(struct usage_shown *shown, struct str name)
{
    for (uint32_t i = 0; i < shown->n; i++)
        if (str_eq(str_from(shown->v[i].name), name))
            return i;
    if (shown->n == TENANTS_SHOWN || name.n >= NAME_BYTES_MAX || memchr(name.p, 0, name.n))
        return TENANTS_SHOWN;
    snprintf(shown->v[shown->n].name, NAME_BYTES_MAX, "%.*s", STR_ARG(name));
    return shown->n++;
}

static void set_tenants(struct usage_shown *shown, const struct usage *u)
{
    for (uint32_t i = 0; i <= TENANTS_SHOWN; i++)
        memset(shown->v[i].bytes, 0, sizeof shown->v[i].bytes);
    for (uint32_t i = 0; i < u->n_tenants; i++) {
        uint32_t at = place_of(shown, u->tenants[i].name);
        for (uint32_t k = 0; k < USAGE_LEVELS; k++)
            shown->v[at].bytes[k] += u->tenants[i].levels[k].bytes;
    }
    for (uint32_t i = 0; i <= TENANTS_SHOWN; i++) {
        struct str name = i == TENANTS_SHOWN ? STR("other") : str_from(shown->v[i].name);
        for (uint32_t k = 0; k < USAGE_LEVELS && (i < shown->n || i == TENANTS_SHOWN); k++)
            metric_set(M_TENANT_BLOCK_BYTES, (double)shown->v[i].bytes[k], name,
                str_from(block_levels[k].name));
    }
}

static void set_files(const struct usage *u)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < USAGE_FILE_KINDS; i++) {
        metric_set(M_STORAGE_BYTES, (double)u->files[i].bytes, str_from(usage_file_names[i]));
        metric_set(M_STORAGE_FILES, (double)u->files[i].n, str_from(usage_file_names[i]));
        bytes += u->files[i].bytes;
    }
    metric_set(M_STORAGE_DISK_BYTES, (double)bytes);
    metric_set(M_WAL_DISK_BYTES, (double)u->files[USAGE_LOG].bytes);
}

static void set_forecast(const struct usage_forecast *f)
{
    metric_set(M_STORAGE_GROWTH, f->bytes_per_day);
    metric_set(M_STORAGE_DAYS, f->fills ? f->days_left : INFINITY);
}

void usage_gauges(struct store *s)
{
    struct arena arena;
    struct usage u;
    struct error err;
    arena_init(&arena, ARENA_BYTES);
    const struct usage_question q = {.now_ns = clock_wall_ns(), .arena = &arena};
    if (!s->usage_shown)
        s->usage_shown = NEW(struct usage_shown);
    if (store_usage(s, &q, &u, &err) == ST_OK) {
        set_files(&u);
        set_tenants(s->usage_shown, &u);
        set_forecast(&u.forecast);
    } else {
        LOG_WARN("what is stored was not added up", "err=%s", LOG_STR(error_str(&err)));
    }
    arena_done(&arena);
}
