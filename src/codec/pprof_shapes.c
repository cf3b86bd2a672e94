/* Removes Go's type parameters from names: `x[go.shape.int].foo` becomes `x.foo` (see pprof.h).
 *
 * A group is a bracket that begins with [go.shape. up to its partner, brackets inside counted.
 * Where the partner is missing the rest stays. Changed strings are copies in the arena; when it is
 * full the string stays as it was. Equal functions are unified later, by pprof_to_profile. Linear.
 */
#include "codec/pprof.h"

static const struct str shape = {"[go.shape.", 10};

/* Length of the group at the start of s; 0 without a closing bracket. */
static size_t group_length(struct str s)
{
    size_t depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        depth += s.p[i] == '[';
        depth -= s.p[i] == ']';
        if (depth == 0)
            return i + 1;
    }
    return 0;
}

static bool strip(struct str *s, struct arena *arena)
{
    if (str_find_char(*s, shape.p[0]) == STR_NPOS) /* nearly all; a search for more costs more */
        return false;
    size_t at = str_find(*s, shape);
    if (at == STR_NPOS || group_length(str_skip(*s, at)) == 0)
        return false;
    char *out = arena_alloc(arena, s->n);
    if (!out)
        return false;
    struct str rest = *s;
    size_t n = 0;
    while (rest.n) {
        at = MIN(str_find(rest, shape), rest.n);
        size_t group = group_length(str_skip(rest, at));
        size_t kept = group ? at : rest.n;
        memcpy(out + n, rest.p, kept);
        n += kept;
        rest = str_skip(rest, kept + group);
    }
    *s = str_make(out, n);
    return true;
}

bool pprof_strip_go_shapes(struct pprof *p, struct arena *arena)
{
    bool changed = false;
    for (uint32_t i = 0; i < p->n_strings; i++)
        changed |= strip(&p->strings[i], arena);
    return changed;
}
