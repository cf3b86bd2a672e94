/* The tree of stacks behind the text formats: see text_int.h.
 *
 * Invariants: 1. A parent has a smaller id than its children, and depth = parent's depth + 1.
 * 2. Names and (parent, name) are each once; both are found by seeded hashes. 3. Everything is in
 * the arena. Thread: the caller's. Failure: a full arena, or more than 2^32 frames. */
#include "codec/text_int.h"

#include "base/hash.h"

enum status text_full(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "the stacks need more memory than a request may use");
}

enum status text_restart(struct text_tree *t)
{
    memset(&t->nodes, 0, sizeof t->nodes);
    idmap_init(&t->by_child, NULL);
    struct text_node *root = VEC_PUSH(t->arena, t->nodes);
    if (!root)
        return text_full(t->err);
    *root = (struct text_node){0};
    return ST_OK;
}

enum status text_tree_init(struct text_tree *t, struct arena *arena, struct error *err)
{
    *t = (struct text_tree){.arena = arena, .err = err};
    return text_restart(t);
}

enum status text_name(struct text_tree *t, struct str name, bool copy, uint32_t *ret_name)
{
    uint64_t hash = hash_str(name);
    struct idmap_probe probe = idmap_start(&t->by_name, hash);
    while (idmap_next(&t->by_name, &probe, ret_name))
        if (str_eq(t->names.v[*ret_name], name))
            return ST_OK;
    struct str *made = VEC_PUSH(t->arena, t->names);
    if (!made || !arena_map_put(&t->by_name, t->arena, hash, t->names.n - 1))
        return text_full(t->err);
    *made = copy ? arena_str(t->arena, name) : name;
    if (!made->p)
        return text_full(t->err);
    *ret_name = t->names.n - 1;
    return ST_OK;
}

enum status text_child(struct text_tree *t, uint32_t parent, uint32_t name, uint32_t *ret_node)
{
    uint32_t key[] = {parent, name};
    uint64_t hash = hash_bytes(key, sizeof key);
    struct idmap_probe probe = idmap_start(&t->by_child, hash);
    while (idmap_next(&t->by_child, &probe, ret_node))
        if (t->nodes.v[*ret_node].parent == parent && t->nodes.v[*ret_node].name == name)
            return ST_OK;
    struct text_node *made = VEC_PUSH(t->arena, t->nodes);
    if (!made || !arena_map_put(&t->by_child, t->arena, hash, t->nodes.n - 1))
        return text_full(t->err);
    *made = (struct text_node){
        .parent = parent, .name = name, .depth = t->nodes.v[parent].depth + 1};
    *ret_node = t->nodes.n - 1;
    return ST_OK;
}

enum status text_path(struct text_tree *t, struct str path, uint32_t *ret_node)
{
    uint32_t node = 0, name;
    while (path.n) {
        size_t n = MIN(str_find_char(path, ';'), path.n);
        TRY(text_name(t, str_head(path, n), false, &name));
        TRY(text_child(t, node, name, &node));
        path = str_skip(path, n + 1);
    }
    *ret_node = node;
    return ST_OK;
}

void text_add(struct text_tree *t, uint32_t node, int64_t value)
{
    int64_t *sum = &t->nodes.v[node].value;
    if (__builtin_add_overflow(*sum, value, sum))
        *sum = value > 0 ? INT64_MAX : INT64_MIN;
}

static void write_stack(const struct text_tree *t, uint32_t node, uint32_t *last)
{
    for (; node; node = t->nodes.v[node].parent)
        *last-- = t->nodes.v[node].name;
}

enum status text_finish(const struct text_tree *t, struct text_stacks *ret_stacks)
{
    uint64_t frames = 0;
    uint32_t stacks = 0;
    for (uint32_t i = 1; i < t->nodes.n; i++) {
        frames += t->nodes.v[i].value > 0 ? t->nodes.v[i].depth : 0;
        stacks += t->nodes.v[i].value > 0;
    }
    struct text_stacks out = {.names = t->names.v, .n_names = t->names.n};
    if (frames >= UINT32_MAX)
        return text_full(t->err);
    out.frames = ARENA_ARRAY(t->arena, uint32_t, frames);
    out.stacks = ARENA_ARRAY(t->arena, struct text_stack, stacks);
    if (!out.frames || !out.stacks)
        return text_full(t->err);
    for (uint32_t i = 1; i < t->nodes.n; i++) {
        const struct text_node *node = &t->nodes.v[i];
        if (node->value <= 0)
            continue;
        out.stacks[out.n_stacks++] = (struct text_stack){out.n_frames, node->depth, node->value};
        out.n_frames += node->depth;
        write_stack(t, i, &out.frames[out.n_frames - 1]);
    }
    *ret_stacks = out;
    return ST_OK;
}
