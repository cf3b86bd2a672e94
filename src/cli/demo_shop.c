/* See demo_shop.h.
 *
 *     thread ─► worker ─► checkout | cart | search | cache ─► steps that cost what the table says
 *                             └──────┴─ one lock: inventory
 *
 * A step computes for a given number of microseconds, converted to rounds of a loop that is timed
 * once at the start, and half as much or as little more by chance, as customers differ: work of
 * exact lengths would beat with the period of the sampling. Shares are therefore those of the
 * table, on any machine. The cache keeps what it is given until it has CACHE_BYTES_MAX and then
 * forgets everything: a leak with a bound.
 *
 * Functions have the names that a reader of a profile would hope for, are never inlined, and add up
 * what they call, so that no call becomes a jump and every frame is there.
 *
 * Threads: those of shop_open or shop_rush; `release` and `closing` are read by all. */
#include "cli/demo_shop.h"

#include <stdatomic.h>
#include <time.h>

#include "agents/core/counters.h"
#include "base/clock.h"
#include "base/mem.h"

#define STEP static __attribute__((noinline)) uint64_t
#define CACHE_BYTES_MAX (32 * MIB)

enum { WORKERS_MAX = 4, CACHE_ENTRY_BYTES = 16384, CACHE_ENTRIES_MAX = 2048, DISK_US = 3000 };

enum cost {
    CHECKOUT_VALIDATE,
    CHECKOUT_COUPONS,
    CHECKOUT_PRICE,
    CHECKOUT_RESERVE,
    CHECKOUT_JSON,
    CART_LOAD,
    CART_STOCK,
    CART_JSON,
    SEARCH_PARSE,
    SEARCH_MATCH,
    SEARCH_RANK,
    CACHE_LOOKUP,
    CACHE_STORE,
    COSTS,
};

/* Microseconds of CPU time, in even and in odd releases. */
static const uint32_t costs_us[COSTS][2] = {
    [CHECKOUT_VALIDATE] = {1000, 1000},
    [CHECKOUT_COUPONS] = {500, 8000},
    [CHECKOUT_PRICE] = {1500, 1500},
    [CHECKOUT_RESERVE] = {1500, 1500},
    [CHECKOUT_JSON] = {1000, 1000},
    [CART_LOAD] = {500, 500},
    [CART_STOCK] = {1000, 1000},
    [CART_JSON] = {700, 700},
    [SEARCH_PARSE] = {400, 400},
    [SEARCH_MATCH] = {3000, 3000},
    [SEARCH_RANK] = {5000, 1500},
    [CACHE_LOOKUP] = {300, 300},
    [CACHE_STORE] = {500, 500},
};

enum endpoint { CHECKOUT, CART, SEARCH, CACHE, ENDPOINTS };

struct shop {
    _Atomic uint32_t release;
    atomic_bool closing;
    bool rushing; /* set while there are no workers */
    double rounds_per_us;
    struct agent_mutex inventory;
    uint32_t labels[ENDPOINTS][2]; /* by region */

    struct mutex cache_lock; /* of the two below */
    void *cache[CACHE_ENTRIES_MAX];
    uint32_t n_cache;

    struct worker {
        struct shop *shop;
        int only; /* an endpoint, or -1: all in turn, without pause */
        pthread_t thread;
        uint64_t result; /* so that the work is not optimised away */
    } workers[WORKERS_MAX];
    uint32_t n_workers;
};

static inline __attribute__((always_inline)) uint64_t spin(uint64_t rounds)
{
    uint64_t x = rounds;
    for (uint64_t i = 0; i < rounds; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(x)); /* every round counts, and takes the same time */
    }
    return x;
}

static _Thread_local uint64_t dice; /* of a worker; not 0 */

/* 0.5 to 1.5: xorshift. */
static inline __attribute__((always_inline)) double throw_dice(void)
{
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return 0.5 + (double)(dice >> 40) / (double)(1 << 24);
}

static inline __attribute__((always_inline)) uint64_t work(const struct shop *s, enum cost c)
{
    uint32_t us = costs_us[c][atomic_load(&s->release) % 2];
    return spin((uint64_t)(us * s->rounds_per_us * throw_dice()));
}

static void pause_us(int64_t us)
{
    struct timespec ts = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&ts, NULL); /* interrupted: a little early, which is as good */
}

/* ── what is done ── */

STEP json_encode(const struct shop *s, enum cost c)
{
    return work(s, c);
}

STEP checkout_validate_card(const struct shop *s)
{
    return work(s, CHECKOUT_VALIDATE);
}

STEP checkout_apply_coupons(const struct shop *s)
{
    return work(s, CHECKOUT_COUPONS);
}

STEP checkout_price_items(const struct shop *s)
{
    return checkout_apply_coupons(s) + work(s, CHECKOUT_PRICE);
}

/* At the normal pace it "writes to disk" while it holds the lock: the others wait. */
STEP checkout_reserve_stock(struct shop *s)
{
    agent_mutex_lock(&s->inventory);
    uint64_t sum = work(s, CHECKOUT_RESERVE);
    if (!s->rushing)
        pause_us(DISK_US);
    agent_mutex_unlock(&s->inventory);
    return sum;
}

STEP checkout_write_order(const struct shop *s)
{
    return 1 + json_encode(s, CHECKOUT_JSON);
}

STEP handle_checkout(struct shop *s)
{
    return checkout_validate_card(s) + checkout_price_items(s) + checkout_reserve_stock(s) +
           checkout_write_order(s);
}

STEP cart_load(const struct shop *s)
{
    return work(s, CART_LOAD);
}

STEP cart_check_stock(struct shop *s)
{
    agent_mutex_lock(&s->inventory);
    uint64_t sum = work(s, CART_STOCK);
    agent_mutex_unlock(&s->inventory);
    return sum;
}

STEP handle_cart(struct shop *s)
{
    return cart_load(s) + cart_check_stock(s) + json_encode(s, CART_JSON);
}

STEP search_parse_query(const struct shop *s)
{
    return work(s, SEARCH_PARSE);
}

STEP search_match_documents(const struct shop *s)
{
    return work(s, SEARCH_MATCH);
}

STEP search_rank_results(const struct shop *s)
{
    return work(s, SEARCH_RANK);
}

STEP handle_search(struct shop *s)
{
    return search_parse_query(s) + search_match_documents(s) + search_rank_results(s);
}

STEP cache_lookup(const struct shop *s)
{
    return work(s, CACHE_LOOKUP);
}

static void cache_forget_locked(struct shop *s)
{
    while (s->n_cache)
        agent_heap_free(s->cache[--s->n_cache]);
}

STEP cache_store_session(struct shop *s)
{
    void *entry = agent_heap_alloc(CACHE_ENTRY_BYTES);
    if (!entry)
        return 0;
    memset(entry, 1, CACHE_ENTRY_BYTES);
    mutex_lock(&s->cache_lock);
    if (s->n_cache == CACHE_ENTRIES_MAX)
        cache_forget_locked(s);
    s->cache[s->n_cache++] = entry;
    mutex_unlock(&s->cache_lock);
    return work(s, CACHE_STORE);
}
_Static_assert(CACHE_ENTRIES_MAX *CACHE_ENTRY_BYTES == CACHE_BYTES_MAX, "the bound of the leak");

STEP handle_cache(struct shop *s)
{
    return cache_lookup(s) + cache_store_session(s);
}

/* ── who does it ── */

static const struct {
    const char *path;
    uint32_t per_second;
    uint64_t (*handle)(struct shop *s);
    enum cost first, last;
} endpoints[ENDPOINTS] = {
    [CHECKOUT] = {"/checkout", 20, handle_checkout, CHECKOUT_VALIDATE, CHECKOUT_JSON},
    [CART] = {"/cart", 40, handle_cart, CART_LOAD, CART_JSON},
    [SEARCH] = {"/search", 25, handle_search, SEARCH_PARSE, SEARCH_RANK},
    [CACHE] = {"/cache", 30, handle_cache, CACHE_LOOKUP, CACHE_STORE},
};

double shop_cores(uint32_t release)
{
    double us = 0;
    for (uint32_t e = 0; e < ENDPOINTS; e++)
        for (uint32_t c = endpoints[e].first; c <= endpoints[e].last; c++)
            us += costs_us[c][release % 2] * (double)endpoints[e].per_second;
    return us / 1e6;
}

/* Who has waited longest in proportion to its rate is next. */
static enum endpoint next_endpoint(int64_t credit[ENDPOINTS])
{
    uint32_t best = 0, all = 0;
    for (uint32_t e = 0; e < ENDPOINTS; e++) {
        credit[e] += endpoints[e].per_second;
        all += endpoints[e].per_second;
        if (credit[e] > credit[best])
            best = e;
    }
    credit[best] -= all;
    return best;
}

static void wait_for_customer(int64_t *due_ns, enum endpoint e)
{
    int64_t now = clock_mono_ns();
    *due_ns = MAX(*due_ns + NS_PER_S / endpoints[e].per_second, now);
    pause_us((*due_ns - now) / NS_PER_US);
}

static void *worker(void *arg)
{
    struct worker *w = arg;
    dice = ((uint64_t)clock_wall_ns() ^ (uintptr_t)w) | 1;
    int64_t credit[ENDPOINTS] = {0}, due_ns = clock_mono_ns();
    for (uint32_t n = 0; !atomic_load(&w->shop->closing); n++) {
        enum endpoint e = w->only < 0 ? next_endpoint(credit) : (enum endpoint)w->only;
        agent_labels_use(w->shop->labels[e][n % 3 == 0]);
        w->result += endpoints[e].handle(w->shop);
        if (w->only >= 0)
            wait_for_customer(&due_ns, e);
    }
    return NULL;
}

static enum status hire(struct shop *s, int only, struct error *err)
{
    struct worker *w = &s->workers[s->n_workers];
    ASSERT(s->n_workers < WORKERS_MAX);
    *w = (struct worker){.shop = s, .only = only};
    TRY(thread_start(&w->thread, "shop", worker, w, err));
    s->n_workers++;
    return ST_OK;
}

enum status shop_open(struct shop *s, struct error *err)
{
    atomic_store(&s->closing, false);
    s->rushing = false;
    for (int e = 0; e < ENDPOINTS; e++)
        TRY(hire(s, e, err));
    return ST_OK;
}

enum status shop_rush(struct shop *s, struct error *err)
{
    atomic_store(&s->closing, false);
    s->rushing = true;
    for (int i = 0; i < 2; i++)
        TRY(hire(s, -1, err));
    return ST_OK;
}

void shop_close(struct shop *s)
{
    atomic_store(&s->closing, true);
    while (s->n_workers)
        thread_join(s->workers[--s->n_workers].thread);
}

/* ── the shop ── */

/* The best of several tries: others may have had the processor meanwhile. */
static double measure_rounds(void)
{
    enum { ROUNDS = 2000000 };
    int64_t best = INT64_MAX;
    volatile uint64_t keep;
    for (int i = 0; i < 5; i++) {
        int64_t begun = clock_mono_ns();
        keep = spin(ROUNDS);
        best = MIN(best, MAX(clock_mono_ns() - begun, 1));
    }
    (void)keep;
    return (double)ROUNDS * 1000 / (double)best;
}

struct shop *shop_new(uint32_t release)
{
    static const char *const regions[2] = {"eu", "us"};
    struct shop *s = NEW(struct shop);
    atomic_store(&s->release, release);
    s->rounds_per_us = measure_rounds();
    agent_mutex_init(&s->inventory, "inventory", RANK_SERVER);
    mutex_init(&s->cache_lock, "sessions", RANK_POOL);
    for (uint32_t e = 0; e < ENDPOINTS; e++)
        for (uint32_t r = 0; r < 2; r++) {
            const struct agent_label labels[] = {
                {"endpoint", endpoints[e].path}, {"region", regions[r]}};
            s->labels[e][r] = agent_labels_add(labels, ARRAY_LEN(labels));
        }
    return s;
}

void shop_free(struct shop *s)
{
    if (!s)
        return;
    shop_close(s);
    mutex_lock(&s->cache_lock);
    cache_forget_locked(s);
    mutex_unlock(&s->cache_lock);
    mutex_done(&s->cache_lock);
    agent_mutex_done(&s->inventory);
    mem_free(s);
}

void shop_set_release(struct shop *s, uint32_t release)
{
    atomic_store(&s->release, release);
}
