/* The samples of one profile row as bytes: the same in the log, in memory and in blocks.
 *
 *     uvarint n, uvarint types << 2 | flags
 *     column of n uvarints: node, as difference to the one before (rising; equal only with spans)
 *     per type: uvarint unit, column of n uvarints: value / unit      (unit = gcd, 0 if all zero)
 *     flags & 1 (spans):  uvarint m, m × 8 bytes little-endian, column of n uvarints: 0 none, i + 1
 *     flags & 2 (traces): uvarint m, m × 16 bytes (hi, lo little-endian), column as for spans
 *
 * A column is its length in bytes (uvarint) and then the bytes, so that a reader that wants one
 * type skips the others. A stack costs one or two bytes, a value usually one. Reading is checked:
 * damaged bytes give ST_DATA_LOSS, never a bad access. */
#ifndef MODEL_SAMPLES_H
#define MODEL_SAMPLES_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"
#include "base/varint.h"

enum { SAMPLE_TYPES_MAX = 4 };

struct sample_in {
    uint32_t node;
    uint64_t span, trace_hi, trace_lo;
    int64_t values[SAMPLE_TYPES_MAX]; /* >= 0 */
};

/* Sorts by (node, span, trace), adds up equal ones, writes the bytes and the totals per type.
 * ST_OUT_OF_RANGE when a total leaves int64, ST_RESOURCE_EXHAUSTED when scratch or out is full.
 * *n becomes the merged count; v is reordered. */
enum status samples_encode(struct sample_in *v, uint32_t *n, uint32_t n_types,
    struct arena *scratch, struct buf *out, int64_t ret_totals[SAMPLE_TYPES_MAX],
    struct error *err);

/* Parallel arrays in the arena. spans/traces are NULL when the row has none. */
struct samples {
    uint32_t n;
    const uint32_t *nodes;
    const int64_t *values; /* of the wanted type */
    const uint64_t *spans;
    const uint64_t *trace_hi, *trace_lo;
};
enum status samples_decode(struct str bytes, uint32_t n_types, uint32_t type, struct arena *arena,
    struct samples *ret_samples, struct error *err);

/* Adds the wanted type's values into sums[node] without materialising; nodes must be < n_nodes.
 * ST_OUT_OF_RANGE on overflow, ST_DATA_LOSS on bad bytes. Rows with spans are summed over them. */
enum status samples_sum(struct str bytes, uint32_t n_types, uint32_t type, int64_t *sums,
    uint32_t n_nodes, struct error *err);

/* Reading takes the number of types of the series; a row with fewer columns reads 0 for the others
 * (rows of series that were lost to damage). */

/* Checks every byte; gives the number of samples and the totals per type. */
enum status samples_check(struct str bytes, uint32_t n_types, uint32_t n_nodes, uint32_t *ret_n,
    int64_t ret_totals[SAMPLE_TYPES_MAX], struct error *err);

#endif
