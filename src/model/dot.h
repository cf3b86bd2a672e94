/* The call graph of a name tree as Graphviz text, in the manner of pprof's `-dot`. */
#ifndef MODEL_DOT_H
#define MODEL_DOT_H

#include "base/buf.h"
#include "model/nametree.h"

/* Functions are nodes, calls are edges; at most max_nodes functions (100 when <= 0), those with the
 * largest cumulative value. Writes nothing for a finished tree without data. Scratch is taken from
 * the tree's arena. ST_RESOURCE_EXHAUSTED when that or `out` is full. */
enum status dot_build(const struct nametree *t, int64_t max_nodes, struct str type, struct str unit,
    struct buf *out, struct error *err);

#endif
