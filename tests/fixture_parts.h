/* Parts made by hand, for tests of what reads them; and a store that hands them out, in place of
 * the real one: the store functions that a query calls are defined here.
 *
 * Samples are text, one per line: the stack root first, then a value per type, then perhaps a span
 * id and a trace id in hex:
 *
 *     main;handler:12;outer+inlined 5 10 @00000000000000aa #…32 digits
 *
 * `name:12` is line 12, `a+b` one location with two lines (b inlined into a), `!1f` a location
 * without symbols at address 0x1f, a single `-` the empty stack. */
#ifndef TESTS_FIXTURE_PARTS_H
#define TESTS_FIXTURE_PARTS_H

#include "base/arena.h"
#include "store/store.h"

enum { FIXTURE_PARTS_MAX = 64 };

struct store {
    struct arena arena;
    struct part *parts[FIXTURE_PARTS_MAX];
    uint32_t n_parts;
    struct part *light[FIXTURE_PARTS_MAX]; /* of parts that were made blocks */
    bool damaged[FIXTURE_PARTS_MAX];       /* such a part cannot be entered */
    bool fail_enter;
    uint64_t next_seq;
    int views, entered; /* acquired and not released */
};

void fixture_init(struct store *f);
/* Asserts that no view is left. */
void fixture_done(struct store *f);
struct part *fixture_part(struct store *f, const char *tenant, const char *service);
/* labels: "a=1,b=2", service_name is added; types: "cpu:nanoseconds,samples:count"; period as a
 * type, or "" for none. Returns its id. */
uint32_t fixture_series(struct store *f, struct part *p, const char *name, const char *labels,
    const char *types, const char *period);
/* Returns the row's seq. */
uint64_t fixture_row(
    struct store *f, struct part *p, uint32_t series, int64_t time_ns, const char *samples);
/* A row of samples that the caller made, for random tests; v is reordered. */
uint64_t fixture_row_samples(struct store *f, struct part *p, uint32_t series, int64_t time_ns,
    struct sample_in *v, uint32_t n);
/* From now on views show the part without stacks and samples, as parts of blocks are; it takes no
 * more rows. */
void fixture_make_block(struct store *f, struct part *p);
/* The node of a stack in the grammar above. */
uint32_t fixture_stack(struct part *p, const char *text, size_t n);

#endif
