/* Label sets: arrays of (name, value), sorted bytewise by name, names unique unless said. */
#ifndef MODEL_LABELS_H
#define MODEL_LABELS_H

#include "base/arena.h"
#include "base/buf.h"

struct label {
    struct str name, value;
};

struct labels {
    const struct label *v;
    uint32_t n;
};

void labels_sort(struct label *v, uint32_t n); /* stable by name */
/* The value of `name`, {NULL, 0} when absent; the set must be sorted. */
struct str labels_get(struct labels ls, struct str name);
bool labels_eq(struct labels a, struct labels b);
int labels_cmp(struct labels a, struct labels b); /* name, value, name, value …; a prefix first */
uint64_t labels_hash(struct labels ls);
/* What ingestion notes about profiles is kept in labels of these names, so that profiles with a
 * note are series of their own. To the outside they are annotations of points, and no labels. */
bool label_is_annotation(struct str name);
/* `{a="b", c="d"}` with Go's quoting of values. */
void labels_format(struct labels ls, struct buf *out);
/* Go's strconv.Quote. */
void quote_go(struct str s, struct buf *out);

#endif
