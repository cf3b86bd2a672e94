/* See compiled.h.
 *
 * Everything compiled is kept by kind and text in one list for as long as the process runs: an
 * operator edits settings a few times a day at most, and nobody has to count references on the path
 * of uploads. The list is bounded; beyond the bound new texts are refused.
 *
 * Threads: any; one lock around the list, held while a text is compiled. Failure: that of the kind,
 * or ST_RESOURCE_EXHAUSTED at a bound; nothing is kept then. */
#include "ingest/compiled.h"

#include "base/mem.h"
#include "base/thread.h"

enum { TEXTS_MAX = 2000, ARENA_BYTES = 4 << 20 };

static struct {
    pthread_once_t once;
    struct mutex lock;
    struct compiled *first; /* lock */
    uint32_t n;             /* lock */
} all = {.once = PTHREAD_ONCE_INIT};

static void init_lock(void)
{
    mutex_init(&all.lock, "compiled", RANK_CACHE);
}

static struct compiled *find_locked(const struct compiled_kind *kind, struct str text)
{
    struct compiled *c = all.first;
    while (c && (c->kind != kind || !str_eq(c->text, text)))
        c = c->next;
    return c;
}

static void compiled_free(struct compiled *c)
{
    c->kind->done(c);
    arena_done(&c->arena);
    mem_free(c);
}

static enum status compile(
    const struct compiled_kind *kind, struct str text, struct compiled **ret, struct error *err)
{
    struct compiled *c = mem_new(kind->size);
    c->kind = kind;
    arena_init(&c->arena, ARENA_BYTES);
    c->text = arena_str(&c->arena, text);
    enum status st = c->text.p ? kind->parse(c, err)
                               : error_set(err, ST_RESOURCE_EXHAUSTED, __FILE__, __LINE__,
                                     "the %s are too large", kind->what);
    if (st != ST_OK)
        compiled_free(c);
    else
        *ret = c;
    return st;
}

static enum status get_locked(
    const struct compiled_kind *kind, struct str text, struct compiled **ret, struct error *err)
{
    *ret = find_locked(kind, text);
    if (*ret)
        return ST_OK;
    if (all.n == TEXTS_MAX)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "%s were changed %d times: restart the server", kind->what,
            TEXTS_MAX);
    TRY(compile(kind, text, ret, err));
    (*ret)->next = all.first;
    all.first = *ret;
    all.n++;
    return ST_OK;
}

enum status compiled_get(const struct compiled_kind *kind, struct str text,
    const struct compiled **ret, struct error *err)
{
    struct compiled *c = NULL;
    enum status st = ST_OK;
    text = str_trim(text);
    if (text.n) {
        pthread_once(&all.once, init_lock);
        mutex_lock(&all.lock);
        st = get_locked(kind, text, &c, err);
        mutex_unlock(&all.lock);
    }
    if (st == ST_OK)
        *ret = c;
    return st;
}

void compiled_forget(void)
{
    pthread_once(&all.once, init_lock);
    mutex_lock(&all.lock);
    for (struct compiled *c = all.first, *next; c; c = next) {
        next = c->next;
        compiled_free(c);
    }
    all.first = NULL;
    all.n = 0;
    mutex_unlock(&all.lock);
}
