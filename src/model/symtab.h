/* The symbols of one dataset in one epoch: interned strings, functions, mappings, locations and the
 * stack tree. Ids are dense, start at 0 and mean nothing outside the epoch.
 *
 * String 0 is empty, string 1, function 0 and location 0 are "[damaged]", what stands for symbols
 * lost to damage; node 0 is the root (the empty stack). A node is (parent, location); a parent
 * always has a smaller id than its children, so a pass over ids from high to low sums a tree.
 *
 * One writer at a time (the dataset's lock). Readers may look at any id that was published to them
 * (see store/part.h) without a lock: elements never move or change. The hash indexes exist only
 * while the epoch takes data; symtab_seal frees them. Everything is accounted in `bytes`. */
#ifndef MODEL_SYMTAB_H
#define MODEL_SYMTAB_H

#include "base/idmap.h"
#include "base/segvec.h"
#include "base/str.h"

#define SYM_NONE UINT32_MAX
#define SYM_DAMAGED "[damaged]"
enum { SYM_STRING_DAMAGED = 1, SYM_FUNCTION_DAMAGED = 0, SYM_LOCATION_DAMAGED = 0 };

struct sym_function {
    uint32_t name, system_name, filename;
    int64_t start_line;
};

struct sym_mapping {
    uint64_t start, limit, offset;
    uint32_t filename, build_id, flags; /* PROF_HAS_… */
};

struct sym_line {
    uint32_t function;
    int64_t line;
};

struct sym_location {
    uint64_t address;
    uint32_t mapping;             /* or SYM_NONE */
    uint32_t first_line, n_lines; /* of lines; innermost first */
    bool folded;
};

struct sym_node {
    uint32_t parent, location; /* of node 0: 0 and SYM_NONE */
};

/* How many of each there are: what a WAL record names before it adds to them. */
struct sym_counts {
    uint32_t strings, functions, mappings, lines, locations, nodes;
};

struct sym_text; /* chunks that hold the bytes of strings */

struct symtab {
    struct segvec strings;   /* struct str */
    struct segvec functions; /* struct sym_function */
    struct segvec mappings;
    struct segvec lines;
    struct segvec locations;
    struct segvec nodes;
    struct idmap string_ids, function_ids, mapping_ids, location_ids, node_ids, stack_ids;
    struct sym_text *text;
    size_t bytes;
    bool sealed;
};

void symtab_init(struct symtab *st);
void symtab_done(struct symtab *st);
void symtab_seal(struct symtab *st); /* no more interning; frees the indexes */
struct sym_counts symtab_counts(const struct symtab *st);

/* Interning: the id of an equal element, new if there is none; SYM_NONE when the id space or the
 * memory is exhausted. Strings are copied. */
uint32_t symtab_string(struct symtab *st, struct str s);
/* The id of an equal string, SYM_NONE when there is none. */
uint32_t symtab_find_string(const struct symtab *st, struct str s);
uint32_t symtab_function(struct symtab *st, const struct sym_function *f);
uint32_t symtab_mapping(struct symtab *st, const struct sym_mapping *m);
/* `lines` has n entries; loc->first_line and n_lines are filled here. */
uint32_t symtab_location(
    struct symtab *st, const struct sym_location *loc, const struct sym_line *lines, uint32_t n);
uint32_t symtab_node(struct symtab *st, uint32_t parent, uint32_t location);
/* A whole stack, leaf first; known stacks cost one lookup and a compare. */
uint32_t symtab_stack(struct symtab *st, const uint32_t *locations_leaf_first, uint32_t n);

/* Appending without lookup, for replay and block readers: ids are the caller's by order. False when
 * full. With `index`, the element can be found by interning later. */
bool symtab_add_string(struct symtab *st, struct str s, bool index);
bool symtab_add_function(struct symtab *st, const struct sym_function *f, bool index);
bool symtab_add_mapping(struct symtab *st, const struct sym_mapping *m, bool index);
bool symtab_add_location(struct symtab *st, const struct sym_location *loc,
    const struct sym_line *lines, uint32_t n, bool index);
bool symtab_add_node(struct symtab *st, uint32_t parent, uint32_t location, bool index);

/* Most bytes that interning these many new things could add (text_bytes: of strings). */
struct sym_demand {
    uint32_t strings, functions, mappings, lines, locations, nodes, stacks;
    size_t text_bytes;
};
size_t symtab_growth(const struct symtab *st, const struct sym_demand *d);

static inline struct str sym_string(const struct symtab *st, uint32_t id)
{
    return *SEGVEC_AT(&st->strings, struct str, id);
}
static inline const struct sym_function *sym_function(const struct symtab *st, uint32_t id)
{
    return SEGVEC_AT(&st->functions, const struct sym_function, id);
}
static inline const struct sym_mapping *sym_mapping(const struct symtab *st, uint32_t id)
{
    return SEGVEC_AT(&st->mappings, const struct sym_mapping, id);
}
static inline const struct sym_line *sym_line(const struct symtab *st, uint32_t id)
{
    return SEGVEC_AT(&st->lines, const struct sym_line, id);
}
static inline const struct sym_location *sym_location(const struct symtab *st, uint32_t id)
{
    return SEGVEC_AT(&st->locations, const struct sym_location, id);
}
static inline struct sym_node sym_node(const struct symtab *st, uint32_t id)
{
    return *SEGVEC_AT(&st->nodes, struct sym_node, id);
}

#endif
