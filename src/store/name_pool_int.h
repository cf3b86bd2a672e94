/* Private to store: one number for each name of a function, whichever block it stands in.
 *
 * Names repeat from block to block. Who merges trees of many blocks compares numbers where the pool
 * has seen the name, in place of texts. Equal numbers mean equal texts; of equal texts the numbers
 * may differ, because a pool that is full forgets its texts and goes on counting. */
#ifndef STORE_NAME_POOL_INT_H
#define STORE_NAME_POOL_INT_H

#include "base/arena.h"
#include "base/idmap.h"
#include "base/thread.h"

struct name_pool {
    struct mutex lock; /* guards what follows */
    struct arena memory;
    struct {
        struct str *v;
        uint32_t n, cap;
    } texts;
    struct idmap ids;
    uint32_t first; /* number of texts.v[0], at least 1 */
    size_t index_bytes, bytes_max;
};

void name_pool_init(struct name_pool *p, size_t bytes_max);
void name_pool_done(struct name_pool *p);
/* A number per text; 0 where there is none to be had. Any thread. */
void name_pool_number(
    struct name_pool *p, const struct str *texts, uint32_t n, uint32_t *ret_numbers);

#endif
