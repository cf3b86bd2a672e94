/* Names of frames: see frame_names.h.
 *
 *     location ── line ── function ── string ── name id
 *     └ locations ┘                   └─ strings ─┘
 *
 * The caches grow to the ids that are asked for, because the symbols may be growing under another
 * thread and their counts are not ours to read. */
#include "model/frame_names.h"

#include <inttypes.h>

#include "base/mem.h"

void frame_names_done(struct frame_names *f)
{
    mem_free(f->locations.v);
    mem_free(f->strings.v);
    f->locations = f->strings = (struct name_cache){0};
}

static uint32_t *cache_slot(struct name_cache *c, uint32_t id)
{
    if (LIKELY(id < c->n))
        return &c->v[id];
    size_t want = MAX(MAX((size_t)id + 1, (size_t)c->n * 2), (size_t)1024);
    uint32_t *v = want > UINT32_MAX ? NULL : mem_grow(c->v, want * sizeof *v);
    if (!v)
        return NULL;
    memset(v + c->n, 0xFF, (want - c->n) * sizeof *v);
    *c = (struct name_cache){v, (uint32_t)want};
    return &v[id];
}

uint32_t frame_names_line(struct frame_names *f, uint32_t line)
{
    uint32_t string = sym_function(f->sym, sym_line(f->sym, line)->function)->name;
    uint32_t *slot = cache_slot(&f->strings, string);
    if (!slot)
        return SYM_NONE;
    if (*slot == SYM_NONE)
        *slot = f->intern(f->ctx, sym_string(f->sym, string));
    return *slot;
}

static uint32_t address_name(struct frame_names *f, const struct sym_location *loc)
{
    struct str file = loc->mapping == SYM_NONE
                          ? STR_EMPTY
                          : sym_string(f->sym, sym_mapping(f->sym, loc->mapping)->filename);
    size_t slash = str_rfind_char(file, '/');
    struct str base = slash == STR_NPOS ? file : str_skip(file, slash + 1);
    char hex[32];
    int n = snprintf(hex, sizeof hex, "!0x%" PRIx64, loc->address);
    struct str name = arena_str_join(
        f->arena, base.n ? base : STR("unknown"), str_make(hex, (size_t)n));
    return name.p ? f->intern(f->ctx, name) : SYM_NONE;
}

uint32_t frame_names_location(struct frame_names *f, uint32_t location)
{
    uint32_t *slot = cache_slot(&f->locations, location);
    if (!slot || LIKELY(*slot != SYM_NONE))
        return slot ? *slot : SYM_NONE;
    const struct sym_location *loc = sym_location(f->sym, location);
    if (loc->n_lines == 0)
        *slot = address_name(f, loc);
    else if (loc->n_lines == 1)
        *slot = frame_names_line(f, loc->first_line);
    else
        *slot = FRAME_SEVERAL;
    return *slot;
}
