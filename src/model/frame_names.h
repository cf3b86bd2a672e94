/* What frames are called: the names of a location's lines, as ids of whoever collects names.
 *
 * Every name is looked up once per function, every location once; then it is an array load. A
 * location without symbols reads `<basename of mapping>!0x<address>`: no samples are lost. */
#ifndef MODEL_FRAME_NAMES_H
#define MODEL_FRAME_NAMES_H

#include "base/arena.h"
#include "model/symtab.h"

/* In place of a name: the location has several lines, inlined into each other. */
#define FRAME_SEVERAL (UINT32_MAX - 1)

/* Id by id, SYM_NONE where it was not asked for. */
struct name_cache {
    uint32_t *v;
    uint32_t n;
};

struct frame_names {
    const struct symtab *sym;
    struct arena *arena; /* of composed names */
    /* The id of a name, SYM_NONE without memory. */
    uint32_t (*intern)(void *ctx, struct str name);
    void *ctx;
    struct name_cache locations, strings; /* on the heap: frame_names_done */
};

void frame_names_done(struct frame_names *f);
/* A name id, FRAME_SEVERAL, or SYM_NONE without memory. */
uint32_t frame_names_location(struct frame_names *f, uint32_t location);
/* The name of a line's function, or SYM_NONE without memory. */
uint32_t frame_names_line(struct frame_names *f, uint32_t line);

#endif
