/* The samples of many rows stack by stack, as large blocks have them. A stack that is common is in
 * row after row, and with values that are alike: so written, a sample takes two thirds of the bytes
 * that it takes in its row (samples.h).
 *
 *     uvarint nodes, uvarint types, per type uvarint unit      (unit = gcd, 0 if all are zero)
 *     column per node: node − lowest possible       (rising: the lowest is 0, then the last plus 1)
 *     column per node: samples − 1
 *     column per node and sample: row − lowest possible            (rising; places in the group)
 *     per type with a unit:
 *         column per node: factor; 0: the values are listed
 *         column per node without a factor, and sample: value / unit
 *
 * With a factor all values of the node are the factor times the value of the type before, which for
 * the first type is 1; values in units. A column is its length in bytes and then the bytes. Reading
 * is checked: damaged bytes give ST_DATA_LOSS, never a bad access. */
#ifndef MODEL_STACK_GROUP_H
#define MODEL_STACK_GROUP_H

#include "model/samples.h"

/* Of all rows of a group together. It bounds the scratch of both directions: 52 bytes each. */
enum { STACK_GROUP_SAMPLES_MAX = 1 << 20 };

/* A row's samples as samples.h has them; at least one, none with a span or trace. */
struct stack_group_row {
    struct str bytes;
    uint32_t n_samples;
};
bool stack_group_takes(struct str bytes, uint32_t n_types);
enum status stack_group_encode(const struct stack_group_row *rows, uint32_t n, uint32_t n_types,
    struct arena *scratch, struct buf *out, struct error *err);

/* The bytes of the group that `in` stands at, which then stands behind it. */
enum status stack_group_take(
    struct cursor *in, uint32_t n_types, struct str *ret_bytes, struct error *err);

/* Adds the values of one type to sums[node], of the rows that are wanted: wanted[i] is 1 or 0 for
 * row i of n. Nodes must be below n_nodes. ST_OUT_OF_RANGE: a sum leaves int64. No scratch; each
 * sample is looked at once, where it is. */
enum status stack_group_sum(struct str bytes, const uint8_t *wanted, uint32_t n, uint32_t n_types,
    uint32_t type, int64_t *sums, uint32_t n_nodes, struct error *err);

/* Appends the samples of each row, in the form of samples.h, and says how many bytes each has.
 * The rows have n_samples[i] samples, together at most the maximum; nodes must be below n_nodes. */
enum status stack_group_decode(struct str bytes, const uint32_t *n_samples, uint32_t n,
    uint32_t n_types, uint32_t n_nodes, struct arena *scratch, struct buf *out, uint32_t *ret_bytes,
    struct error *err);

#endif
