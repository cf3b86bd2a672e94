/* Private to store: how a struct usage comes to be. Begin; blocks and files in any order; end, also
 * after a failure. */
#ifndef STORE_USAGE_INT_H
#define STORE_USAGE_INT_H

#include "base/idmap.h"
#include "store/block_int.h"
#include "store/usage.h"

struct usage_path { /* below blocks/ */
    struct str path;
    uint64_t bytes;
};
struct usage_paths {
    struct usage_path *v;
    uint32_t n, cap;
};

struct usage_build {
    const struct usage_question *q;
    struct block_target at;
    struct block_cache *cache; /* for the names of types */
    struct arena scratch;      /* of one dataset */
    struct idmap row_ids, tenant_ids;
    struct {
        struct usage_row *v;
        uint32_t n, cap;
    } rows;
    struct {
        struct usage_tenant *v;
        uint32_t n, cap;
    } tenants;
    struct usage_paths served, found; /* by the store; in the folder */
    struct usage out;
};

void usage_begin(struct usage_build *b, const struct usage_question *q, struct fs *fs,
    const char *dir, struct block_cache *cache);
/* One that is served. */
enum status usage_block(struct usage_build *b, struct block *block, struct error *err);
/* usage_files.c: every entry below the directory, but for block files: these are found. */
enum status usage_files(struct usage_build *b, struct error *err);
/* Which of what was found is served. */
void usage_match(struct usage_build *b);
/* Sorts, cuts, forecasts; `keep` is asked for each tenant and may be NULL. */
void usage_end(struct usage_build *b, const struct usage_room *room,
    void (*keep)(void *ctx, struct str tenant, struct store_keep *ret_keep), void *ctx);
void usage_done(struct usage_build *b);
/* Whether the question is about the tenant. */
bool usage_wants(const struct usage_question *q, struct str tenant);
enum status usage_no_memory(struct error *err);

#endif
