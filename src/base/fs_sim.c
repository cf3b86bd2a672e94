/* The fault-injecting file layer: see fs_sim.h for the model.
 *
 * Entries are a flat list of (path, node now, node durable): a path is created by putting a node
 * into `now`; dir_sync of its folder copies now to durable. Folders themselves are entries with
 * is_dir and durable at once when made (their loss is the loss of everything below, which no
 * program can mend). A removed one keeps was_dir until the folder it was in is synced; a crash
 * before that brings it back, or takes it with everything that was in it. Nodes live until the
 * simulator goes: tests are small. */
#include "base/fs_sim.h"

#include <errno.h>

#include "base/mem.h"
#include "base/thread.h"

enum { SECTOR = 512, ENTRIES_MAX = 4096, PATH_MAX_BYTES = 512 };

struct node {
    struct node *next;
    char *now, *durable;
    uint8_t *dirty; /* per sector */
    size_t size, size_durable, cap;
    bool locked;
    int broken; /* errno of open and read */
};

struct entry {
    char path[PATH_MAX_BYTES];
    struct node *now, *durable;
    bool is_dir, was_dir; /* now; as far as the disk knows */
    int broken;           /* errno of listing the folder */
};

struct fs_file {
    struct node *node;
    uint64_t generation;
    bool holds_lock;
};

struct fs_sim {
    struct fs fs; /* first */
    struct mutex lock;
    struct node *nodes;
    struct entry entries[ENTRIES_MAX];
    uint32_t n_entries;
    uint64_t rng, ops, generation;
    enum fs_sim_fault fault;
    uint64_t at, count;
    int error;
    bool fired;
    uint64_t disk_total, disk_others;
};

static uint64_t draw(struct fs_sim *sim)
{
    sim->rng ^= sim->rng << 13;
    sim->rng ^= sim->rng >> 7;
    sim->rng ^= sim->rng << 17;
    return sim->rng * 0x2545F4914F6CDD1Du >> 32;
}

static struct fs_sim *of(struct fs *fs)
{
    return (struct fs_sim *)fs;
}

/* Under the lock: counts an operation; an errno when it is to fail, -1 when the machine is gone. */
static int count_op(struct fs_sim *sim, bool is_write)
{
    sim->ops++;
    if (sim->fault == FS_SIM_NONE || sim->ops < sim->at)
        return 0;
    sim->fired = true;
    if (sim->fault == FS_SIM_DEAD)
        return -1;
    if (sim->fault == FS_SIM_FULL && !is_write)
        return 0;
    uint64_t count = sim->fault == FS_SIM_FAIL_ONCE ? 1 : sim->count;
    return sim->ops < sim->at + count ? sim->error : 0;
}

static int as_errno(int e)
{
    return e < 0 ? EIO : e;
}

static struct entry *find(struct fs_sim *sim, const char *path)
{
    for (uint32_t i = 0; i < sim->n_entries; i++)
        if (strcmp(sim->entries[i].path, path) == 0)
            return &sim->entries[i];
    return NULL;
}

static struct entry *find_or_add(struct fs_sim *sim, const char *path)
{
    struct entry *e = find(sim, path);
    if (e)
        return e;
    ASSERT(sim->n_entries < ENTRIES_MAX && strlen(path) < PATH_MAX_BYTES);
    e = &sim->entries[sim->n_entries++];
    snprintf(e->path, sizeof e->path, "%s", path);
    return e;
}

static bool dir_exists(struct fs_sim *sim, const char *path)
{
    struct entry *e = find(sim, path);
    return e && e->is_dir;
}

/* "a/b/c" → "a/b"; a path without a slash has no folder to be in. */
static bool folder_of(const char *path, char out[PATH_MAX_BYTES])
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return false;
    snprintf(out, PATH_MAX_BYTES, "%.*s", (int)(slash - path), path);
    return true;
}

static struct node *node_new(struct fs_sim *sim)
{
    struct node *n = NEW(struct node);
    n->next = sim->nodes;
    sim->nodes = n;
    return n;
}

static void node_reserve(struct node *n, size_t size)
{
    if (size <= n->cap)
        return;
    size_t cap = MAX(n->cap * 2, (size + SECTOR - 1) / SECTOR * SECTOR);
    n->now = mem_grow(n->now, cap);
    n->durable = mem_grow(n->durable, cap);
    n->dirty = mem_grow(n->dirty, cap / SECTOR);
    ASSERT(n->now && n->durable && n->dirty);
    memset(n->now + n->cap, 0, cap - n->cap);
    memset(n->durable + n->cap, 0, cap - n->cap);
    memset(n->dirty + n->cap / SECTOR, 0, (cap - n->cap) / SECTOR);
    n->cap = cap;
}

static int sim_open(struct fs *fs, const char *path, enum fs_mode mode, struct fs_file **ret_file)
{
    struct fs_sim *sim = of(fs);
    char folder[PATH_MAX_BYTES];
    int result = 0;
    mutex_lock(&sim->lock);
    struct entry *e = find(sim, path);
    struct node *n = e ? e->now : NULL;
    if (mode == FS_READ && !n)
        result = ENOENT;
    else if (mode == FS_CREATE && n)
        result = EEXIST;
    else if (folder_of(path, folder) && !dir_exists(sim, folder))
        result = ENOENT;
    else if (mode == FS_LOCK && n && n->locked)
        result = EWOULDBLOCK;
    else if (n && n->broken)
        result = n->broken;
    else if (mode != FS_READ && mode != FS_LOCK && !n)
        result = as_errno(count_op(sim, false));
    if (!result && !n)
        find_or_add(sim, path)->now = n = node_new(sim);
    if (!result) {
        struct fs_file *f = NEW(struct fs_file);
        *f = (struct fs_file){n, sim->generation, mode == FS_LOCK};
        n->locked |= mode == FS_LOCK;
        *ret_file = f;
    }
    mutex_unlock(&sim->lock);
    return result;
}

static void sim_close(struct fs *fs, struct fs_file *f)
{
    struct fs_sim *sim = of(fs);
    if (!f)
        return;
    mutex_lock(&sim->lock);
    if (f->holds_lock && f->generation == sim->generation)
        f->node->locked = false;
    mutex_unlock(&sim->lock);
    mem_free(f);
}

static void apply_write(struct node *n, uint64_t off, const void *p, size_t size)
{
    if (size == 0)
        return;
    node_reserve(n, off + size);
    memcpy(n->now + off, p, size);
    n->size = MAX(n->size, off + size);
    for (uint64_t s = off / SECTOR; s <= (off + size - 1) / SECTOR; s++)
        n->dirty[s] = 1;
}

static int sim_write(struct fs *fs, struct fs_file *f, uint64_t off, const void *p, size_t n)
{
    struct fs_sim *sim = of(fs);
    mutex_lock(&sim->lock);
    ASSERT(f->generation == sim->generation);
    int e = count_op(sim, true);
    if (e == 0)
        apply_write(f->node, off, p, n);
    else if (e > 0) /* a write that fails may have written a part */
        apply_write(f->node, off, p, (size_t)(draw(sim) % (n + 1)));
    mutex_unlock(&sim->lock);
    return as_errno(e);
}

static void sync_node(struct fs_sim *sim, struct node *n, bool fails)
{
    for (size_t s = 0; s * SECTOR < n->cap; s++) {
        bool kept = n->dirty[s] && (!fails || draw(sim) % 2);
        n->dirty[s] = 0;
        if (!kept)
            continue;
        memcpy(n->durable + s * SECTOR, n->now + s * SECTOR, SECTOR);
        n->size_durable = MAX(n->size_durable, MIN(n->size, (s + 1) * SECTOR));
    }
    if (!fails)
        n->size_durable = n->size;
}

static int sim_sync(struct fs *fs, struct fs_file *f)
{
    struct fs_sim *sim = of(fs);
    mutex_lock(&sim->lock);
    ASSERT(f->generation == sim->generation);
    int e = count_op(sim, false);
    if (e >= 0)
        sync_node(sim, f->node, e > 0);
    mutex_unlock(&sim->lock);
    return as_errno(e);
}

static int sim_read(
    struct fs *fs, struct fs_file *f, uint64_t off, void *p, size_t n, size_t *ret_n)
{
    struct fs_sim *sim = of(fs);
    mutex_lock(&sim->lock);
    ASSERT(f->generation == sim->generation);
    size_t left = off < f->node->size ? f->node->size - off : 0;
    *ret_n = MIN(n, left);
    int e = f->node->broken;
    if (*ret_n && !e)
        memcpy(p, f->node->now + off, *ret_n);
    mutex_unlock(&sim->lock);
    return e;
}

static int sim_size(struct fs *fs, struct fs_file *f, uint64_t *ret_bytes)
{
    struct fs_sim *sim = of(fs);
    mutex_lock(&sim->lock);
    *ret_bytes = f->node->size;
    mutex_unlock(&sim->lock);
    return 0;
}

static int sim_truncate(struct fs *fs, struct fs_file *f, uint64_t bytes)
{
    struct fs_sim *sim = of(fs);
    mutex_lock(&sim->lock);
    ASSERT(f->generation == sim->generation);
    int e = count_op(sim, false);
    if (e == 0) {
        node_reserve(f->node, bytes);
        if (bytes < f->node->size)
            memset(f->node->now + bytes, 0, f->node->size - bytes);
        f->node->size = bytes;
    }
    mutex_unlock(&sim->lock);
    return as_errno(e);
}

static int sim_dir_make(struct fs *fs, const char *path)
{
    struct fs_sim *sim = of(fs);
    mutex_lock(&sim->lock);
    struct entry *e = find_or_add(sim, path);
    e->is_dir = e->was_dir = true;
    mutex_unlock(&sim->lock);
    return 0;
}

static bool is_empty(struct fs_sim *sim, const char *path)
{
    char folder[PATH_MAX_BYTES];
    for (uint32_t i = 0; i < sim->n_entries; i++) {
        const struct entry *e = &sim->entries[i];
        if ((e->now || e->is_dir) && folder_of(e->path, folder) && strcmp(folder, path) == 0)
            return false;
    }
    return true;
}

static int sim_dir_remove(struct fs *fs, const char *path)
{
    struct fs_sim *sim = of(fs);
    mutex_lock(&sim->lock);
    struct entry *en = find(sim, path);
    int e = !en || !en->is_dir ? ENOENT : !is_empty(sim, path) ? ENOTEMPTY : count_op(sim, false);
    if (e == 0)
        en->is_dir = false;
    mutex_unlock(&sim->lock);
    return as_errno(e);
}

/* Under the lock. What was in it is gone for good. */
static void forget_dir(struct fs_sim *sim, struct entry *dir)
{
    size_t n = strlen(dir->path);
    dir->was_dir = false;
    for (uint32_t i = 0; i < sim->n_entries; i++) {
        struct entry *e = &sim->entries[i];
        if (strncmp(e->path, dir->path, n) == 0 && e->path[n] == '/') {
            e->durable = NULL;
            e->was_dir = false;
        }
    }
}

static int sim_dir_sync(struct fs *fs, const char *path)
{
    struct fs_sim *sim = of(fs);
    char folder[PATH_MAX_BYTES];
    mutex_lock(&sim->lock);
    int e = count_op(sim, false);
    for (uint32_t i = 0; i < sim->n_entries && e >= 0; i++) {
        struct entry *en = &sim->entries[i];
        if (!folder_of(en->path, folder) || strcmp(folder, path) != 0 || (e && draw(sim) % 2 == 0))
            continue;
        en->durable = en->now;
        if (en->was_dir && !en->is_dir)
            forget_dir(sim, en);
    }
    mutex_unlock(&sim->lock);
    return as_errno(e);
}

static int sim_dir_list(struct fs *fs, const char *path, fs_list_fn fn, void *ctx)
{
    struct fs_sim *sim = of(fs);
    char folder[PATH_MAX_BYTES];
    mutex_lock(&sim->lock);
    struct entry *dir = find(sim, path);
    bool there = dir && dir->is_dir && !dir->broken;
    int e = !dir || !dir->is_dir ? ENOENT : dir->broken;
    uint32_t n = sim->n_entries;
    mutex_unlock(&sim->lock);
    for (uint32_t i = 0; i < n && there; i++) { /* entries only grow; fn may use the fs */
        struct entry *en = &sim->entries[i];
        if ((en->now || en->is_dir) && folder_of(en->path, folder) && strcmp(folder, path) == 0)
            fn(ctx, strrchr(en->path, '/') + 1, en->is_dir);
    }
    return e;
}

static int sim_path_bytes(struct fs *fs, const char *path, uint64_t *ret_bytes)
{
    struct fs_sim *sim = of(fs);
    mutex_lock(&sim->lock);
    struct entry *en = find(sim, path);
    int e = en && (en->now || en->is_dir) ? 0 : ENOENT;
    if (e == 0)
        *ret_bytes = en->now ? en->now->size : 0;
    mutex_unlock(&sim->lock);
    return e;
}

static int sim_rename(struct fs *fs, const char *from, const char *to)
{
    struct fs_sim *sim = of(fs);
    mutex_lock(&sim->lock);
    struct entry *a = find(sim, from);
    int e = a && a->now ? count_op(sim, false) : ENOENT;
    if (e == 0) {
        find_or_add(sim, to)->now = a->now;
        find(sim, from)->now = NULL;
    }
    mutex_unlock(&sim->lock);
    return as_errno(e);
}

static int sim_unlink(struct fs *fs, const char *path)
{
    struct fs_sim *sim = of(fs);
    mutex_lock(&sim->lock);
    struct entry *en = find(sim, path);
    int e = en && en->now ? count_op(sim, false) : ENOENT;
    if (e == 0)
        en->now = NULL;
    mutex_unlock(&sim->lock);
    return as_errno(e);
}

static int sim_space(struct fs *fs, const char *path, uint64_t *ret_free, uint64_t *ret_total)
{
    struct fs_sim *sim = of(fs);
    (void)path;
    mutex_lock(&sim->lock);
    uint64_t total = sim->disk_total ? sim->disk_total : GIB, used = sim->disk_others;
    for (uint32_t i = 0; i < sim->n_entries && sim->disk_total; i++)
        used += sim->entries[i].now ? sim->entries[i].now->size : 0;
    mutex_unlock(&sim->lock);
    *ret_total = total;
    *ret_free = total - MIN(used, total);
    return 0;
}

void fs_sim_disk(struct fs_sim *sim, uint64_t total, uint64_t others)
{
    mutex_lock(&sim->lock);
    sim->disk_total = total;
    sim->disk_others = others;
    mutex_unlock(&sim->lock);
}

struct fs_sim *fs_sim_new(uint64_t seed)
{
    struct fs_sim *sim = NEW(struct fs_sim);
    sim->rng = seed * 2 + 1;
    mutex_init(&sim->lock, "fs_sim", RANK_SIM);
    sim->fs = (struct fs){
        .file_open = sim_open,
        .file_close = sim_close,
        .file_write = sim_write,
        .file_sync = sim_sync,
        .file_read = sim_read,
        .file_size = sim_size,
        .file_truncate = sim_truncate,
        .dir_make = sim_dir_make,
        .dir_remove = sim_dir_remove,
        .dir_sync = sim_dir_sync,
        .dir_list = sim_dir_list,
        .path_bytes = sim_path_bytes,
        .rename = sim_rename,
        .unlink = sim_unlink,
        .space = sim_space,
    };
    return sim;
}

void fs_sim_free(struct fs_sim *sim)
{
    for (struct node *n = sim->nodes, *next; n; n = next) {
        next = n->next;
        mem_free(n->now);
        mem_free(n->durable);
        mem_free(n->dirty);
        mem_free(n);
    }
    mutex_done(&sim->lock);
    mem_free(sim);
}

struct fs *fs_sim_fs(struct fs_sim *sim)
{
    return &sim->fs;
}

void fs_sim_plan(struct fs_sim *sim, enum fs_sim_fault fault, uint64_t n, uint64_t count, int error)
{
    mutex_lock(&sim->lock);
    sim->fault = fault;
    sim->at = n;
    sim->count = count;
    sim->error = error;
    sim->ops = 0;
    sim->fired = false;
    mutex_unlock(&sim->lock);
}

uint64_t fs_sim_ops(struct fs_sim *sim)
{
    mutex_lock(&sim->lock);
    uint64_t ops = sim->ops;
    mutex_unlock(&sim->lock);
    return ops;
}

bool fs_sim_fired(struct fs_sim *sim)
{
    mutex_lock(&sim->lock);
    bool fired = sim->fired;
    mutex_unlock(&sim->lock);
    return fired;
}

static void crash_node(struct fs_sim *sim, struct node *n)
{
    size_t low = MIN(n->size, n->size_durable), high = MAX(n->size, n->size_durable);
    size_t sizes[] = {n->size_durable, n->size, low + (high > low ? draw(sim) % (high - low) : 0)};
    size_t size = sizes[draw(sim) % 3];
    for (size_t s = 0; s * SECTOR < n->cap; s++)
        if (n->dirty[s] && draw(sim) % 2)
            memcpy(n->durable + s * SECTOR, n->now + s * SECTOR, SECTOR);
    if (size < n->cap)
        memset(n->durable + size, 0, n->cap - size);
    if (n->cap) {
        memcpy(n->now, n->durable, n->cap);
        memset(n->dirty, 0, n->cap / SECTOR);
    }
    n->size = n->size_durable = size;
    n->locked = false;
}

void fs_sim_crash(struct fs_sim *sim, uint64_t seed)
{
    mutex_lock(&sim->lock);
    sim->rng = seed * 2 + 1;
    for (int i = 0; i < 8; i++)
        draw(sim);
    sim->generation++;
    sim->fault = FS_SIM_NONE;
    for (struct node *n = sim->nodes; n; n = n->next)
        crash_node(sim, n);
    for (uint32_t i = 0; i < sim->n_entries; i++) {
        struct entry *e = &sim->entries[i];
        if (e->was_dir && !e->is_dir && draw(sim) % 2)
            forget_dir(sim, e);
    }
    for (uint32_t i = 0; i < sim->n_entries; i++)
        sim->entries[i].is_dir = sim->entries[i].was_dir;
    for (uint32_t i = 0; i < sim->n_entries; i++) {
        struct entry *e = &sim->entries[i];
        if (draw(sim) % 2)
            e->durable = e->now;
        e->now = e->durable;
    }
    mutex_unlock(&sim->lock);
}

void fs_sim_kill(struct fs_sim *sim)
{
    mutex_lock(&sim->lock);
    sim->generation++;
    sim->fault = FS_SIM_NONE;
    for (struct node *n = sim->nodes; n; n = n->next)
        n->locked = false;
    mutex_unlock(&sim->lock);
}

bool fs_sim_flip(struct fs_sim *sim, const char *path, uint64_t at, unsigned bit)
{
    mutex_lock(&sim->lock);
    struct entry *e = find(sim, path);
    bool there = e && e->now && at < e->now->size;
    if (there) {
        e->now->now[at] ^= (char)(1u << bit);
        e->now->durable[at] ^= (char)(1u << bit);
    }
    mutex_unlock(&sim->lock);
    return there;
}

void fs_sim_break(struct fs_sim *sim, const char *path, int error)
{
    mutex_lock(&sim->lock);
    struct entry *e = find(sim, path);
    ASSERT(e && (e->now || e->is_dir));
    if (e->now)
        e->now->broken = error;
    else
        e->broken = error;
    mutex_unlock(&sim->lock);
}

void fs_sim_files(
    struct fs_sim *sim, void (*fn)(void *ctx, const char *path, uint64_t size), void *ctx)
{
    for (uint32_t i = 0; i < sim->n_entries; i++)
        if (sim->entries[i].now)
            fn(ctx, sim->entries[i].path, sim->entries[i].now->size);
}
