/* Methods and stacks of a service that does not exist: see code.h.
 *
 * A stack is a trunk cut off near its leaf, and a tail of its own:
 *
 *     root ── frames that all trunks share, then half of them, a quarter … ── own frames ─┐ cut
 *                                                                      tail: 1 .. n frames ┘
 *
 * Trunks are few hundred and make most of the nodes of one minute; tails are what is new all day.
 * Everything follows from hashes of (seed, shape, stack id), so that no stack is remembered and
 * an id always means the same stack. A third of the methods is the service's own, the others are
 * libraries, with names that all services share. With a release a twelfth of the own methods
 * moves to other lines, and of these one in eight gets another name: then the nodes above such a
 * frame are new, while a tree of names changes a little only.
 *
 * Names have the length and the form of those that a Spring service sends (53 characters on
 * average). One thread. */
#include "code.h"

#include "base/mem.h"

enum { RELEASES_BACK = 24, RELEASE_PERCENT = 8, RENAME_ONE_IN = 8, OWN_PERCENT = 33 };

static bool own(uint32_t method)
{
    return code_mix(method, 11) % 100 < OWN_PERCENT;
}

static void build_trunk(struct code *c, uint32_t shape, uint32_t t)
{
    const struct code_shape *s = &c->shapes[shape];
    uint64_t seed = code_mix(c->seed, shape + 1);
    uint32_t bits = (uint32_t)__builtin_ctz(s->trunks);
    struct code_trunk *out = &c->trunks[shape][t];
    out->n = s->depth / 2 + code_even(code_mix(seed, t), s->depth);
    out->n = MIN(MAX(out->n, 2), (uint32_t)CODE_STACK_MAX / 2);
    out->frames = ARENA_ARRAY(&c->arena, uint32_t, out->n);
    ASSERT(out->frames);
    for (uint32_t d = 0; d < out->n; d++) {
        uint32_t split = MIN(d * (bits + 1) / s->shared, bits);
        uint64_t h = code_mix(
            code_mix(seed, d + 1000), (uint64_t)(t >> (bits - split)) << 8 | split);
        uint32_t method = code_square(h, s->methods);
        out->frames[out->n - 1 - d] = method * CODE_LINES + (uint32_t)(h >> 62);
    }
}

void code_init(struct code *c, uint64_t seed, const struct code_shape *shapes, uint32_t n)
{
    *c = (struct code){.seed = seed, .shapes = shapes, .n_shapes = n, .release = -1};
    arena_init(&c->arena, GIB);
    for (uint32_t i = 0; i < n; i++) {
        ASSERT(i < CODE_SHAPES_MAX && __builtin_popcount(shapes[i].trunks) == 1);
        c->n_methods = MAX(c->n_methods, MAX(shapes[i].methods, shapes[i].methods_tail));
        c->trunks[i] = mem_new(shapes[i].trunks * sizeof *c->trunks[i]);
        for (uint32_t t = 0; t < shapes[i].trunks; t++)
            build_trunk(c, i, t);
    }
    c->names = mem_new(c->n_methods * sizeof *c->names);
    c->moved = mem_new(c->n_methods * sizeof *c->moved);
    c->renamed = mem_new(c->n_methods * sizeof *c->renamed);
}

void code_done(struct code *c)
{
    for (uint32_t i = 0; i < c->n_shapes; i++)
        mem_free(c->trunks[i]);
    mem_free(c->names);
    mem_free(c->moved);
    mem_free(c->renamed);
    arena_done(&c->arena);
}

/* The last release up to this one that changed the method in that way; 0: none for long. */
static uint16_t last_change(const struct code *c, uint32_t method, uint64_t salt, uint64_t one_in)
{
    for (int64_t r = c->release; r > 0 && r > c->release - RELEASES_BACK; r--) {
        uint64_t h = code_mix(code_mix(c->seed, method), (uint64_t)r);
        if (h % 100 < RELEASE_PERCENT && code_mix(h, salt) % one_in == 0)
            return (uint16_t)r;
    }
    return 0;
}

void code_checkout(struct code *c, int64_t release)
{
    if (c->release == release)
        return;
    c->release = release;
    for (uint32_t m = 0; m < c->n_methods; m++) {
        if (!own(m))
            continue;
        c->moved[m] = last_change(c, m, 1, 1);
        uint16_t renamed = last_change(c, m, 2, RENAME_ONE_IN);
        if (renamed != c->renamed[m])
            c->names[m] = (struct str){NULL, 0};
        c->renamed[m] = renamed;
    }
}

uint32_t code_stack(const struct code *c, uint32_t shape, uint64_t id,
    uint32_t ret_frames[CODE_STACK_MAX], uint32_t *ret_trunk)
{
    const struct code_shape *s = &c->shapes[shape];
    uint64_t h = code_mix(code_mix(c->seed, shape + 100), id);
    uint32_t t = code_square(h, s->trunks), n = 1 + (uint32_t)(h >> 40) % s->tail;
    const struct code_trunk *trunk = &c->trunks[shape][t];
    uint32_t cut = (uint32_t)(h >> 50) % MIN(6, trunk->n);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t f = code_mix(h, i + 1);
        ret_frames[i] = code_cube(f, s->methods_tail) * CODE_LINES + (uint32_t)(f >> 62);
    }
    memcpy(ret_frames + n, trunk->frames + cut, (trunk->n - cut) * sizeof *ret_frames);
    *ret_trunk = t;
    return n + trunk->n - cut;
}

/* ---- names ---- */

static const char *const library_roots[] = {"org/springframework/", "org/hibernate/", "java/util/",
    "org/apache/catalina/", "com/fasterxml/jackson/", "org/h2/", "jdk/internal/", "io/netty/"};
static const char *const packages[] = {"core/annotation", "context/support", "engine/internal",
    "concurrent", "databind/deser", "persister/entity", "web/servlet", "command/dml",
    "beans/factory", "handler/codec", "transaction", "event/spi"};
static const char *const firsts[] = {"Abstract", "Default", "Simple", "Standard", "Cached", "Lazy",
    "Composite", "Native", "Internal", "Concurrent", "Delegating", "Mutable"};
static const char *const seconds[] = {"BeanFactory", "EntityPersister", "HandlerAdapter", "Session",
    "TypeResolver", "QueryPlan", "MessageConverter", "Parser", "HashMap", "Filter", "Buffer",
    "Invoker"};
static const char *const verbs[] = {"doCreate", "invoke", "resolve", "getValue", "process",
    "hydrate", "lookup", "accept", "readObject", "run", "findAnnotation", "doFilterInternal", "put",
    "flush", "parse", "next"};
#define PICK(list, h) list[(h) % ARRAY_LEN(list)]

struct str code_name(struct code *c, uint32_t method)
{
    struct str *name = &c->names[method];
    if (name->p)
        return *name;
    uint64_t h = code_mix(method, 7);
    if (own(method)) {
        h = code_mix(code_mix(c->seed, method), c->renamed[method]);
        *name = arena_printf(&c->arena, "com/example/shop/%s/%s%s%x.%s%u", PICK(packages, h),
            PICK(firsts, h >> 8), PICK(seconds, h >> 16), method / 5, PICK(verbs, h >> 24),
            (unsigned)(c->renamed[method] + method % 5));
    } else {
        *name = arena_printf(&c->arena, "%s%s/%s%s%x.%s", PICK(library_roots, h),
            PICK(packages, h >> 8), PICK(firsts, h >> 16), PICK(seconds, h >> 24), method,
            PICK(verbs, h >> 32));
    }
    ASSERT(name->p);
    return *name;
}

int64_t code_line(const struct code *c, uint32_t frame)
{
    uint32_t method = frame / CODE_LINES;
    uint64_t h = code_mix(method, c->moved[method]);
    return 20 + (int64_t)code_square(h, 1500) + (int64_t)(frame % CODE_LINES) * 6;
}
