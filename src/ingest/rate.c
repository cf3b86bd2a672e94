/* Token buckets, one per tenant, in a table of fixed size.
 *
 * A bucket holds up to `burst` bytes and fills at `per_s`. A request takes all of its bytes or
 * none; one larger than the burst never passes, as in the reference. A table of its own counts
 * uploads in periods instead (rate_take_one): tokens are what is left of the period that began at
 * at_ns.
 *
 * The table is set-associative: the seeded hash of the tenant picks a set of WAYS slots and is also
 * the key. When a set is full, the bucket that was used longest ago is given away; its tenant then
 * starts with a full bucket, which errs on the side of accepting. So memory is constant however
 * many tenants there are, and nothing is allocated on the way.
 *
 * Invariants: 1. 0 <= tokens <= burst at its last use. 2. key 0 means free.
 * Time is what the caller passes; when it goes backwards nothing fills until it is passed again.
 * Any thread; one lock, held for a few loads and stores. Nothing can fail. */
#include "ingest/ingest_int.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"

enum { RATE_SETS = 4096, RATE_WAYS = 4 };

struct rate_bucket {
    uint64_t key;
    int64_t at_ns;
    double tokens;
};

struct rate {
    struct mutex lock;
    struct rate_bucket sets[RATE_SETS][RATE_WAYS];
};

struct rate *rate_new(void)
{
    struct rate *r = NEW(struct rate);
    mutex_init(&r->lock, "rate", RANK_TENANTS);
    return r;
}

void rate_free(struct rate *r)
{
    if (!r)
        return;
    mutex_done(&r->lock);
    mem_free(r);
}

/* The bucket of `key`, made full when it is new. */
static struct rate_bucket *bucket_find(
    struct rate_bucket *set, uint64_t key, double burst, int64_t now_ns)
{
    struct rate_bucket *oldest = &set[0];
    for (int i = 0; i < RATE_WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (set[i].key == 0 || (oldest->key != 0 && set[i].at_ns < oldest->at_ns))
            oldest = &set[i];
    }
    *oldest = (struct rate_bucket){.key = key, .at_ns = now_ns, .tokens = burst};
    return oldest;
}

bool rate_take_one(struct rate *r, struct str tenant, uint64_t n, int64_t period_ns, int64_t now_ns)
{
    if (n == 0 || period_ns <= 0)
        return false;
    uint64_t key = hash_str(tenant) | 1;
    mutex_lock(&r->lock);
    struct rate_bucket *b = bucket_find(r->sets[(key >> 32) % RATE_SETS], key, (double)n, now_ns);
    if (now_ns - b->at_ns >= period_ns)
        *b = (struct rate_bucket){.key = key, .at_ns = now_ns, .tokens = (double)n};
    b->tokens = MIN(b->tokens, (double)n);
    bool ok = b->tokens >= 1;
    if (ok)
        b->tokens -= 1;
    mutex_unlock(&r->lock);
    return ok;
}

bool rate_take(
    struct rate *r, struct str tenant, double per_s, double burst, uint64_t bytes, int64_t now_ns)
{
    if (per_s <= 0 || burst <= 0)
        return true;
    uint64_t key = hash_str(tenant) | 1;
    mutex_lock(&r->lock);
    struct rate_bucket *b = bucket_find(r->sets[(key >> 32) % RATE_SETS], key, burst, now_ns);
    if (now_ns > b->at_ns)
        b->tokens += (double)(now_ns - b->at_ns) / NS_PER_S * per_s;
    b->at_ns = MAX(b->at_ns, now_ns);
    b->tokens = MIN(b->tokens, burst);
    bool ok = (double)bytes <= b->tokens;
    if (ok)
        b->tokens -= (double)bytes;
    mutex_unlock(&r->lock);
    return ok;
}
