/* The drifting mix: pprof uploads that never repeat, from a seed.
 *
 * Recorded bodies are few and flatter every dictionary. Here each upload of a service brings at
 * least NEW_NODES nodes that the service's tree of stacks did not have: walks through a graph of
 * calls, half of them from a small stock of starting points (what a service does all day), the rest
 * new. A tenth of the functions of new walks are new themselves, as after a deployment. The pod is
 * a label of the series and lives five minutes; a quarter of the samples has no endpoint, the rest
 * one of twelve.
 *
 *     service ─► upload ─► walk: entry ── framework, few choices ──► own code, four choices ─►
 * leaf
 *
 * Function f, called on line k, calls a function that only f, k and the service determine, so the
 * graph needs no memory; known nodes are 64-bit hashes of (service, path) in one open table.
 *
 * Invariant: equal plans give equal bytes. One thread. ST_RESOURCE_EXHAUSTED without memory. */
#include "uploads.h"

#include "base/hash.h"
#include "base/idmap.h"
#include "base/mem.h"
#include "codec/gzip.h"
#include "codec/messages.h"

enum {
    NEW_NODES = 3000,
    WALKS_OLD = 200,
    WALKS_STOCK = 1000,  /* different old walks of a service */
    FUNCTIONS = 4000,    /* of all services; */
    FUNCTIONS_OWN = 800, /* and of each */
    FUNCTIONS_MAX = 1 << 15,
    DEPTH_FRAMEWORK = 12,
    DEPTH_MAX = 48,
    CHOICES = 4,
    ENDPOINTS = 12,
    POD_WINDOWS = 30,
    PODS = 3,
    FILE_FUNCTIONS = 12,
    SAMPLES_MAX = 4000,
};
#define ARENA_BYTES (16 * GIB)
#define WORK_BYTES (256 * MIB)

struct known {
    uint64_t *v; /* 0: free */
    uint64_t n, mask;
};

struct drift {
    const struct uploads_plan *plan;
    struct uploads *out;
    struct known known;
    struct arena work; /* of one upload */
    struct m_profile profile;
    struct idmap functions, locations; /* keys below, by index */
    MSG_LIST(uint64_t) location_keys;
    uint64_t random;
    uint32_t k, service;
    uint64_t new_nodes;
    uint32_t new_functions;
};

static uint64_t mix(uint64_t a, uint64_t b)
{
    return hash_u64(a * 0x9E3779B97F4A7C15u + 1, b + 0x632BE59BD9B4E019u);
}

static uint64_t draw(struct drift *d)
{
    return mix(d->random++, d->plan->seed);
}

static bool known_add(struct known *t, uint64_t key)
{
    uint64_t at = key & t->mask;
    for (; t->v[at]; at = (at + 1) & t->mask)
        if (t->v[at] == key)
            return false;
    t->v[at] = key;
    t->n++;
    return true;
}

/* ---- symbols ---- */

static int64_t add_string(struct drift *d, struct str s)
{
    struct str *to = VEC_PUSH(&d->work, d->profile.string_table);
    if (to)
        *to = s;
    return (int64_t)d->profile.string_table.n - 1;
}

/* Names of several packages and types; numbers beyond those of a service are of one upload. */
static struct str function_name(struct drift *d, uint64_t f)
{
    static const char *const verbs[] = {"Handle", "serve", "decodeFrame", "Get", "appendTo",
        "Close", "lookup", "WriteHeader", "marshal", "Scan", "resolvePath", "Exec"};
    static const char *const areas[] = {"checkout", "catalog", "session", "pricing",
        "transport/http2", "storage/btree", "metrics", "queue"};
    uint64_t h = mix(f, 77);
    return arena_printf(&d->work, "example.com/shop/%s/p%u.(*T%u).%s%llu", areas[h % 8],
        (unsigned)(f / 97), (unsigned)(f / 11), verbs[h / 8 % 12], (unsigned long long)f);
}

static uint64_t function_id(struct drift *d, uint64_t f)
{
    uint32_t i;
    uint64_t hash = mix(f, 5);
    struct idmap_probe p = idmap_start(&d->functions, hash);
    while (idmap_next(&d->functions, &p, &i))
        if (d->profile.function.v[i].start_line == (int64_t)f + 1)
            return i + 1;
    struct m_pprof_function *fn = VEC_PUSH(&d->work, d->profile.function);
    if (!fn || !idmap_put(&d->functions, hash, d->profile.function.n - 1))
        return 0;
    int64_t name = add_string(d, function_name(d, f));
    int64_t file = add_string(d, arena_printf(&d->work, "/src/shop/p%u/file%u.go",
                                     (unsigned)(f / 97), (unsigned)(f / FILE_FUNCTIONS)));
    *fn = (struct m_pprof_function){d->profile.function.n, name, name, file, (int64_t)f + 1};
    return d->profile.function.n;
}

static uint64_t location_id(struct drift *d, uint64_t f, uint32_t line)
{
    uint32_t i;
    uint64_t key = f << 10 | line, hash = mix(key, 6);
    struct idmap_probe p = idmap_start(&d->locations, hash);
    while (idmap_next(&d->locations, &p, &i))
        if (d->location_keys.v[i] == key)
            return i + 1;
    uint64_t *keep = VEC_PUSH(&d->work, d->location_keys);
    struct m_pprof_location *loc = VEC_PUSH(&d->work, d->profile.location);
    struct m_pprof_line *l = ARENA_NEW(&d->work, struct m_pprof_line);
    if (!keep || !loc || !l || !idmap_put(&d->locations, hash, d->location_keys.n - 1))
        return 0;
    *keep = key;
    *l = (struct m_pprof_line){function_id(d, f), (int64_t)(f % 400 + line * 3 + 1)};
    *loc = (struct m_pprof_location){.id = d->location_keys.n,
        .mapping_id = 1,
        .address = 0x400000 + key * 16,
        .line = {l, 1, 1}};
    return loc->id;
}

/* ---- walks ---- */

static uint64_t callee(const struct drift *d, uint64_t f, uint32_t line, uint32_t depth)
{
    uint64_t h = mix(f * CHOICES + line, 1000);
    if (depth < DEPTH_FRAMEWORK)
        return h % FUNCTIONS;
    return h % 4 == 0 ? h / 4 % FUNCTIONS
                      : FUNCTIONS + d->service * (uint64_t)FUNCTIONS_OWN + h / 4 % FUNCTIONS_OWN;
}

/* The location ids of a walk, leaf first, from its own random numbers. */
static enum status walk(struct drift *d, uint64_t seed, bool fresh, struct m_pprof_sample *ret)
{
    uint64_t ids[DEPTH_MAX], path = mix(d->service, 9), f = 0;
    uint32_t depth = DEPTH_FRAMEWORK + 8 + (uint32_t)(mix(seed, 1) % (DEPTH_MAX - 20));
    for (uint32_t i = 0; i < depth; i++) {
        uint64_t h = mix(seed, 100 + i);
        uint32_t choices = i < DEPTH_FRAMEWORK ? 2 : CHOICES;
        uint32_t line = (uint32_t)(h % choices);
        bool new_one = fresh && i >= DEPTH_FRAMEWORK && h / CHOICES % 10 == 0;
        ids[depth - 1 - i] = location_id(d, f, line);
        path = mix(path, f << 10 | line) | 1;
        d->new_nodes += known_add(&d->known, path);
        f = callee(d, f, line, i);
        if (new_one)
            f = FUNCTIONS_MAX * 8 + d->k * (uint64_t)64 + d->new_functions++ % 64;
    }
    ret->location_id.v = arena_alloc(&d->work, sizeof ids);
    ret->location_id.n = ret->location_id.cap = depth;
    if (!ret->location_id.v || d->work.full)
        return ST_RESOURCE_EXHAUSTED;
    memcpy(ret->location_id.v, ids, depth * sizeof *ids);
    return ST_OK;
}

static enum status add_sample(struct drift *d, uint64_t seed, bool fresh, int64_t endpoint_key)
{
    struct m_pprof_sample *s = VEC_PUSH(&d->work, d->profile.sample);
    int64_t *values = ARENA_ARRAY(&d->work, int64_t, 2);
    struct m_pprof_label *label = ARENA_NEW(&d->work, struct m_pprof_label);
    if (!s || !values || !label)
        return ST_RESOURCE_EXHAUSTED;
    uint64_t h = draw(d);
    values[0] = (int64_t)(h % 8 == 0 ? 1 + h / 8 % 40 : 1);
    values[1] = values[0] * 10 * NS_PER_MS;
    *s = (struct m_pprof_sample){.value = {values, 2, 2}};
    if (mix(seed, 3) % 4) {
        *label = (struct m_pprof_label){
            .key = endpoint_key, .str = endpoint_key + 1 + (int64_t)(mix(seed, 4) % ENDPOINTS)};
        s->label.v = label;
        s->label.n = s->label.cap = 1;
    }
    return walk(d, seed, fresh, s);
}

/* ---- uploads ---- */

static int64_t add_endpoints(struct drift *d)
{
    int64_t key = add_string(d, STR("endpoint"));
    for (unsigned i = 0; i < ENDPOINTS; i++)
        add_string(d, arena_printf(&d->work, "/api/v1/resource-%u", i));
    return key;
}

static enum status fill_profile(struct drift *d)
{
    static struct m_value_type types[2], period;
    static struct m_pprof_mapping mapping;
    struct m_profile *p = &d->profile;
    *p = (struct m_profile){0};
    add_string(d, STR_EMPTY);
    types[0] = (struct m_value_type){add_string(d, STR("samples")), add_string(d, STR("count"))};
    types[1] = (struct m_value_type){add_string(d, STR("cpu")), add_string(d, STR("nanoseconds"))};
    period = types[1];
    mapping = (struct m_pprof_mapping){.id = 1,
        .memory_start = 0x400000,
        .memory_limit = 0x40000000,
        .filename = add_string(d, STR("/usr/local/bin/service")),
        .has_functions = true};
    int64_t endpoint_key = add_endpoints(d);
    p->sample_type.v = types;
    p->sample_type.n = 2;
    p->mapping.v = &mapping;
    p->mapping.n = 1;
    p->period_type = &period;
    p->period = 10 * NS_PER_MS;
    p->duration_nanos = WINDOW_S * NS_PER_S;
    p->time_nanos = uploads_from_s(d->plan, d->k) * NS_PER_S;
    d->new_nodes = 0;
    d->new_functions = 0;
    for (uint32_t i = 0; i < WALKS_OLD; i++) {
        uint64_t stock = draw(d) % WALKS_STOCK * (draw(d) % WALKS_STOCK) / WALKS_STOCK;
        TRY(add_sample(d, mix(d->service, stock), false, endpoint_key));
    }
    while (d->new_nodes < NEW_NODES && p->sample.n < SAMPLES_MAX)
        TRY(add_sample(d, draw(d), true, endpoint_key));
    return d->work.full ? ST_RESOURCE_EXHAUSTED : ST_OK;
}

static struct str make_head(struct drift *d, size_t body_bytes)
{
    int64_t from_s = uploads_from_s(d->plan, d->k);
    uint32_t window = d->k / d->plan->services, pod = window % PODS;
    uint32_t life = (window + pod * POD_WINDOWS / PODS + d->service * 3) / POD_WINDOWS;
    uint64_t name = mix(mix(d->service, pod), life);
    return arena_printf(&d->out->arena,
        "POST "
        "/ingest?name=service-%u%%7Bpod%%3Dservice-%u-5d4f8c9b7-%05x%%2Cregion%%3Deu-west-1%%7D"
        "&from=%lld&until=%lld&spyName=gospy&sampleRate=100&format=pprof HTTP/1.1\r\n"
        "Host: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n"
        "Content-Length: %zu\r\n\r\n",
        d->service, d->service, (unsigned)(name & 0xFFFFF), (long long)from_s,
        (long long)(from_s + WINDOW_S), body_bytes);
}

static enum status make_upload(struct drift *d, struct error *err)
{
    d->service = d->k % d->plan->services;
    if (fill_profile(d) != ST_OK)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for a profile of the drifting mix");
    struct buf plain, packed;
    buf_init(&plain, WORK_BYTES);
    buf_init(&packed, WORK_BYTES);
    msg_encode_proto(&m_profile_desc, &d->profile, &plain);
    enum status st = gzip_deflate(buf_view(&plain), 1, &packed, err);
    struct upload *u = VEC_PUSH(&d->out->arena, *d->out);
    if (st == ST_OK && u)
        *u = (struct upload){make_head(d, packed.n), arena_str(&d->out->arena, buf_view(&packed))};
    d->out->content_bytes += packed.n;
    buf_done(&plain);
    buf_done(&packed);
    TRY(st);
    if (!u || !u->head.p || !u->body.p)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the uploads do not fit into memory");
    d->out->new_nodes = MIN(d->out->new_nodes, d->new_nodes);
    return ST_OK;
}

enum status uploads_drifting(
    const struct uploads_plan *plan, struct uploads *ret_uploads, struct error *err)
{
    struct drift *d = NEW(struct drift);
    d->plan = plan;
    d->out = ret_uploads;
    uint64_t nodes = (uint64_t)plan->uploads * (NEW_NODES + DEPTH_MAX) +
                     (uint64_t)plan->services * WALKS_STOCK * DEPTH_MAX;
    d->known.mask = 1024;
    while (d->known.mask < nodes * 2)
        d->known.mask *= 2;
    d->known.v = mem_new(d->known.mask * sizeof *d->known.v);
    d->known.mask--;
    arena_init(&ret_uploads->arena, ARENA_BYTES);
    ret_uploads->new_nodes = UINT64_MAX;
    arena_init(&d->work, WORK_BYTES);
    enum status st = ST_OK;
    for (; st == ST_OK && d->k < plan->uploads; d->k++) {
        idmap_init(&d->functions, NULL);
        idmap_init(&d->locations, NULL);
        memset(&d->location_keys, 0, sizeof d->location_keys);
        st = make_upload(d, err);
        idmap_done(&d->functions);
        idmap_done(&d->locations);
        arena_reset(&d->work);
    }
    arena_done(&d->work);
    mem_free(d->known.v);
    mem_free(d);
    return st;
}
