/* From the dictionary of an OTLP request to the symbols of one resource: see otlp_int.h.
 *
 *     stack ─► locations ─► lines ─► functions ─► strings
 *                  └──────► mapping ─────────────────┘
 *
 * A profile of a whole machine has hundreds of resources over one dictionary, and each service gets
 * the symbols that its own samples use: the store pays per symbol of a profile and service. So
 * there is an index from the dictionary to the symbols of the resource at work; it is filled when a
 * sample first asks, and at the end of the resource only what was filled is emptied. Checks of
 * strings, what is removed and what is refused hold for the whole request.
 *
 * Not unified by content: the store does that, and equal entries of a dictionary are rare.
 * Addresses and ranges of mappings whose locations all have functions are cleared, so that equal
 * frames of other builds unify there.
 *
 * Removed: locations without lines and address, stacks with such a location. OTLP_BAD: what leads
 * to a string that is not UTF-8. Function names lose Go's type parameters here, whatever the
 * language is: nobody else writes "[go.shape.".
 *
 * Invariants: 1. All indexes of the symbols are in range. 2. `made` has room: an entry is made at
 * most once per resource. Thread: the caller's. Failure: an index out of range, a full arena. */
#include "codec/otlp_int.h"

#include "base/utf8.h"
#include "codec/pprof.h"

/* ── indexes ── */

static bool index_init(struct otlp_index *x, struct arena *arena, uint32_t n)
{
    x->of = ARENA_ARRAY(arena, uint32_t, n);
    x->made = ARENA_ARRAY(arena, uint32_t, n);
    x->n_made = 0;
    if (!x->of || !x->made)
        return false;
    for (uint32_t i = 0; i < n; i++)
        x->of[i] = OTLP_PENDING;
    return true;
}

bool otlp_indexes_init(struct otlp_decoder *d)
{
    struct arena *a = d->arena;
    const struct otlp_dict *t = &d->dict;
    return index_init(&d->string_of, a, t->n_strings) &&
           index_init(&d->function_of, a, t->n_functions) &&
           index_init(&d->mapping_of, a, t->n_mappings) &&
           index_init(&d->location_of, a, t->n_locations) &&
           index_init(&d->stack_of, a, t->n_stacks) && index_init(&d->value_of, a, t->n_attributes);
}

/* BAD and PROF_NONE are facts of the dictionary and stay. */
static void index_set(struct otlp_index *x, uint32_t i, uint32_t to)
{
    x->of[i] = to;
    if (to < OTLP_BAD)
        x->made[x->n_made++] = i;
}

static void index_forget(struct otlp_index *x)
{
    for (uint32_t i = 0; i < x->n_made; i++)
        x->of[x->made[i]] = OTLP_PENDING;
    x->n_made = 0;
}

/* ── the life of a resource's symbols ── */

enum status otlp_symbols_begin(struct otlp_decoder *d)
{
    struct otlp_symbols *s = &d->sym;
    *s = (struct otlp_symbols){.out = ARENA_NEW(d->arena, struct prof_symbols)};
    struct str *empty = VEC_PUSH(d->arena, s->strings);
    struct prof_labelset *none = VEC_PUSH(d->arena, s->labelsets);
    if (!s->out || !empty || !none)
        return otlp_full(d->err);
    *empty = STR_EMPTY;
    *none = (struct prof_labelset){0, 0};
    return ST_OK;
}

void otlp_symbols_end(struct otlp_decoder *d)
{
    struct otlp_symbols *s = &d->sym;
    if (!s->out)
        return;
    *s->out = (struct prof_symbols){.strings = s->strings.v,
        .functions = s->functions.v,
        .mappings = s->mappings.v,
        .lines = s->lines.v,
        .locations = s->locations.v,
        .frames = s->frames.v,
        .stacks = s->stacks.v,
        .labels = s->labels.v,
        .labelsets = s->labelsets.v,
        .n_strings = s->strings.n,
        .n_functions = s->functions.n,
        .n_mappings = s->mappings.n,
        .n_lines = s->lines.n,
        .n_locations = s->locations.n,
        .n_frames = s->frames.n,
        .n_stacks = s->stacks.n,
        .n_labels = s->labels.n,
        .n_labelsets = s->labelsets.n};
    s->out = NULL;
    struct otlp_index *all[] = {&d->string_of, &d->function_of, &d->mapping_of, &d->location_of,
        &d->stack_of, &d->value_of};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        index_forget(all[i]);
}

/* ── strings ── */

bool otlp_string_good(struct otlp_decoder *d, struct str *s)
{
    uint64_t max = d->opt->string_bytes_max;
    if (max && s->n > max) {
        *s = str_skip(*s, s->n - (size_t)max);
        d->out->strings_cut++;
    }
    if (utf8_valid(*s))
        return true;
    if (d->out->bad_string.n == 0)
        d->out->bad_string = *s;
    return false;
}

enum status otlp_string_add(struct otlp_decoder *d, struct str s, uint32_t *ret_index)
{
    struct str *to = VEC_PUSH(d->arena, d->sym.strings);
    if (!to)
        return otlp_full(d->err);
    *to = s;
    *ret_index = d->sym.strings.n - 1;
    return ST_OK;
}

enum status otlp_string(struct otlp_decoder *d, int32_t i, uint32_t *ret_index)
{
    if (UNLIKELY((uint32_t)i >= d->dict.n_strings))
        return otlp_range(d, "string", i);
    if (d->string_of.of[i] == OTLP_PENDING) {
        struct str *s = &d->dict.strings[i];
        uint32_t at = 0;
        if (!otlp_string_good(d, s))
            at = OTLP_BAD;
        else if (s->n)
            TRY(otlp_string_add(d, *s, &at));
        index_set(&d->string_of, (uint32_t)i, at);
    }
    *ret_index = d->string_of.of[i];
    return ST_OK;
}

/* ── functions and mappings ── */

static void strip_go(struct otlp_decoder *d, uint32_t string)
{
    struct str *s = &d->sym.strings.v[string];
    if (str_find_char(*s, '[') == STR_NPOS)
        return;
    struct pprof one = {.strings = s, .n_strings = 1};
    pprof_strip_go_shapes(&one, d->arena);
}

static enum status function_make(struct otlp_decoder *d, uint32_t i)
{
    const struct otlp_function *f = &d->dict.functions[i];
    struct prof_function made = {.start_line = f->start_line};
    TRY(otlp_string(d, f->name, &made.name));
    TRY(otlp_string(d, f->system_name, &made.system_name));
    TRY(otlp_string(d, f->filename, &made.filename));
    if (made.name == OTLP_BAD || made.system_name == OTLP_BAD || made.filename == OTLP_BAD) {
        index_set(&d->function_of, i, OTLP_BAD);
        return ST_OK;
    }
    strip_go(d, made.name);
    if (made.system_name != made.name)
        strip_go(d, made.system_name);
    struct prof_function *to = VEC_PUSH(d->arena, d->sym.functions);
    if (!to)
        return otlp_full(d->err);
    *to = made;
    index_set(&d->function_of, i, d->sym.functions.n - 1);
    return ST_OK;
}

static enum status function_of(struct otlp_decoder *d, int32_t i, uint32_t *ret_index)
{
    if ((uint32_t)i >= d->dict.n_functions)
        return otlp_range(d, "function", i);
    if (d->function_of.of[i] == OTLP_PENDING)
        TRY(function_make(d, (uint32_t)i));
    *ret_index = d->function_of.of[i];
    return ST_OK;
}

/* The GNU build id among the mapping's attributes; 0 when there is none. */
static enum status build_id_of(
    struct otlp_decoder *d, const struct otlp_mapping *m, uint32_t *ret_string)
{
    *ret_string = 0;
    for (uint32_t k = 0; k < m->n_attributes; k++) {
        uint32_t at = d->dict.mapping_attributes.v[m->first_attribute + k];
        struct str key, text;
        if (at >= d->dict.n_attributes)
            return otlp_range(d, "attribute", (int32_t)at);
        const struct otlp_attribute *a = &d->dict.attributes[at];
        TRY(otlp_dict_string(d, a->key, &key));
        if (!str_eq(key, STR("process.executable.build_id.gnu")) || *ret_string)
            continue;
        if (a->value.kind == OTLP_ANY_STRINDEX)
            return otlp_string(d, (int32_t)a->value.number, ret_string);
        TRY(otlp_text(d, &a->value, &text));
        if (!otlp_string_good(d, &text))
            *ret_string = OTLP_BAD;
        else if (text.n)
            TRY(otlp_string_add(d, text, ret_string));
    }
    return ST_OK;
}

static enum status mapping_make(struct otlp_decoder *d, uint32_t i)
{
    const struct otlp_mapping *m = &d->dict.mappings[i];
    struct prof_mapping made = {.flags = m->flags};
    TRY(otlp_string(d, m->filename, &made.filename));
    TRY(build_id_of(d, m, &made.build_id));
    if (made.filename == OTLP_BAD || made.build_id == OTLP_BAD) {
        index_set(&d->mapping_of, i, OTLP_BAD);
        return ST_OK;
    }
    if (!(m->flags & PROF_HAS_FUNCTIONS)) {
        made.start = m->start;
        made.limit = m->limit;
        made.offset = m->offset;
    }
    struct prof_mapping *to = VEC_PUSH(d->arena, d->sym.mappings);
    if (!to)
        return otlp_full(d->err);
    *to = made;
    index_set(&d->mapping_of, i, d->sym.mappings.n - 1);
    return ST_OK;
}

static enum status mapping_of(struct otlp_decoder *d, int32_t i, uint32_t *ret_index)
{
    if ((uint32_t)i >= d->dict.n_mappings)
        return otlp_range(d, "mapping", i);
    if (d->mapping_of.of[i] == OTLP_PENDING)
        TRY(mapping_make(d, (uint32_t)i));
    *ret_index = d->mapping_of.of[i];
    return ST_OK;
}

/* ── locations and stacks ── */

/* Appends the lines; *ret_bad: one of their functions is. */
static enum status lines_make(struct otlp_decoder *d, const struct otlp_location *l, bool *ret_bad)
{
    *ret_bad = false;
    for (uint32_t k = 0; k < l->n_lines; k++) {
        const struct otlp_line *from = &d->dict.lines.v[l->first_line + k];
        uint32_t f = 0;
        TRY(function_of(d, from->function, &f));
        struct prof_line *to = VEC_PUSH(d->arena, d->sym.lines);
        if (!to)
            return otlp_full(d->err);
        *to = (struct prof_line){.function = f, .line = from->line};
        *ret_bad = *ret_bad || f == OTLP_BAD;
    }
    return ST_OK;
}

static enum status location_make(struct otlp_decoder *d, uint32_t i)
{
    const struct otlp_location *l = &d->dict.locations[i];
    uint32_t first_line = d->sym.lines.n, mapping = 0;
    bool bad;
    TRY(mapping_of(d, l->mapping, &mapping));
    TRY(lines_make(d, l, &bad));
    if (bad || mapping == OTLP_BAD || (l->n_lines == 0 && l->address == 0)) {
        d->sym.lines.n = first_line;
        index_set(&d->location_of, i, bad || mapping == OTLP_BAD ? OTLP_BAD : PROF_NONE);
        return ST_OK;
    }
    struct prof_location *to = VEC_PUSH(d->arena, d->sym.locations);
    if (!to)
        return otlp_full(d->err);
    bool symbolised = d->dict.mappings[l->mapping].flags & PROF_HAS_FUNCTIONS;
    *to = (struct prof_location){.address = symbolised ? 0 : l->address,
        .mapping = mapping,
        .first_line = first_line,
        .n_lines = l->n_lines};
    index_set(&d->location_of, i, d->sym.locations.n - 1);
    return ST_OK;
}

static enum status location_of(struct otlp_decoder *d, uint32_t i, uint32_t *ret_index)
{
    if (i >= d->dict.n_locations)
        return otlp_range(d, "location", (int32_t)i);
    if (d->location_of.of[i] == OTLP_PENDING)
        TRY(location_make(d, i));
    *ret_index = d->location_of.of[i];
    return ST_OK;
}

/* Appends the frames; *ret_what: OTLP_BAD or PROF_NONE when one is, else 0. */
static enum status frames_make(
    struct otlp_decoder *d, const uint32_t *locations, uint32_t n, uint32_t *ret_what)
{
    *ret_what = 0;
    for (uint32_t k = 0; k < n; k++) {
        uint32_t l = 0;
        TRY(location_of(d, locations[k], &l));
        uint32_t *to = VEC_PUSH(d->arena, d->sym.frames);
        if (!to)
            return otlp_full(d->err);
        *to = l;
        if (UNLIKELY(l >= OTLP_BAD && *ret_what != OTLP_BAD))
            *ret_what = l;
    }
    return ST_OK;
}

enum status otlp_stack_make(struct otlp_decoder *d, uint32_t i)
{
    const struct otlp_stack *s = &d->dict.stacks[i];
    const uint32_t *locations = s->n ? &d->dict.stack_locations.v[s->first] : NULL;
    uint32_t first = d->sym.frames.n, n = s->n, what = 0;
    uint64_t max = d->opt->stack_depth_max;
    if (max && n > max) { /* the root side stays */
        uint32_t cut = n - (uint32_t)max;
        for (uint32_t k = 0; k < cut; k++)
            if (locations[k] >= d->dict.n_locations)
                return otlp_range(d, "location", (int32_t)locations[k]);
        locations += cut;
        n -= cut;
        d->out->stacks_cut++;
    }
    TRY(frames_make(d, locations, n, &what));
    if (what) {
        d->sym.frames.n = first;
        index_set(&d->stack_of, i, what);
        return ST_OK;
    }
    struct prof_stack *to = VEC_PUSH(d->arena, d->sym.stacks);
    if (!to)
        return otlp_full(d->err);
    *to = (struct prof_stack){first, n};
    index_set(&d->stack_of, i, d->sym.stacks.n - 1);
    return ST_OK;
}
