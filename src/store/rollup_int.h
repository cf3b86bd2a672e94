/* Private to store: what blocks sum beforehand, as it is read. rollup_put.c writes it. */
#ifndef STORE_ROLLUP_INT_H
#define STORE_ROLLUP_INT_H

#include "store/block_int.h"
#include "store/store.h"

/* A type's totals over all series, as columns: uvarint n, n svarints (time − the one before), n
 * uvarints (rows at that time), n uvarints (their total). */
void timeline_encode(const struct store_timeline *t, struct buf *out);
enum status timeline_decode(
    struct str bytes, struct arena *arena, struct store_timeline *ret, struct error *err);

/* What the section of a digest says; ST_DATA_LOSS: it is damaged. */
enum status digest_read(const struct block_dataset *bd, struct arena *arena,
    struct store_digested **ret_v, uint32_t *ret_n, struct error *err);

/* Every roll-up of a dataset, read to the last byte and compared with its rows. */
enum status rollups_verify(
    const struct block_dataset *bd, const struct part *stacks, struct error *err);

#endif
