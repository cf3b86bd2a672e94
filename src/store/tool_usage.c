/* What a directory holds, without opening it as a store: see usage.h. Blocks are opened one by one
 * and judged by tool.c; a cache of its own loads the names of types. One thread. */
#include "store/store_int.h"
#include "store/tool.h"
#include "store/usage_int.h"

#define CACHE_BYTES (32 * MIB)

struct tool_usage {
    struct usage_build b;
    enum status st;
    struct error *err;
};

static void take_entry(void *ctx, const struct tool_entry *e)
{
    struct tool_usage *t = ctx;
    if (t->st == ST_OK && e->block && e->served)
        t->st = usage_block(&t->b, e->block, t->err);
}

enum status tool_usage(struct fs *fs, const char *dir, const struct usage_question *q,
    struct usage *ret_usage, struct error *err)
{
    struct tool_usage t = {.err = err};
    struct usage_room room = {0};
    struct block_cache cache;
    block_cache_init(&cache, CACHE_BYTES);
    usage_begin(&t.b, q, fs, dir, &cache);
    enum status st = tool_walk(fs, dir, false, take_entry, &t, err);
    if (st == ST_OK)
        st = t.st;
    if (st == ST_OK && q->n_tenants == 0) {
        st = usage_files(&t.b, err);
        usage_match(&t.b);
        room.known = fs->space(fs, dir, &room.disk_free, &room.disk_total) == 0;
    }
    if (st == ST_OK) {
        usage_end(&t.b, &room, NULL, NULL);
        *ret_usage = t.b.out;
    }
    block_cache_done(&cache);
    usage_done(&t.b);
    return st;
}
