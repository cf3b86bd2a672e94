/* Settings that are texts to compile: relabelling rules, usage groups. Each text is compiled once
 * and kept until compiled_forget: whoever has a pointer never owns it, so settings may be copied
 * and reloaded freely. Immutable once made; any thread. */
#ifndef INGEST_COMPILED_H
#define INGEST_COMPILED_H

#include "base/arena.h"
#include "base/status.h"

struct compiled_kind;

/* The first member of what a kind compiles to. */
struct compiled {
    const struct compiled_kind *kind;
    struct compiled *next;
    struct arena arena;
    struct str text; /* in the arena */
};

struct compiled_kind {
    const char *what; /* for messages: "relabelling rules" */
    size_t size;      /* of the whole struct, which begins zeroed */
    enum status (*parse)(struct compiled *c, struct error *err); /* c->text */
    void (*done)(struct compiled *c); /* what is not in the arena; also of one that failed */
};

/* Blanks around the text do not count; *ret is NULL for an empty one. */
enum status compiled_get(const struct compiled_kind *kind, struct str text,
    const struct compiled **ret, struct error *err);
/* The process ends: frees all of them. */
void compiled_forget(void);

#endif
