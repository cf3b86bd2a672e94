/* gzip, whole buffers: see gzip.h.
 *
 *     input  = member member …           (each: header, deflate blocks, CRC-32, ISIZE)
 *     output = their contents, one after the other
 *
 * libdeflate wants the room for a member's output before it starts and says only afterwards that it
 * was too small. The first room is what the trailer of the last member promises, but never more
 * than GUESS_RATIO times the input: who lies about the size must first prove it, by filling room
 * after room, each GROWTH times larger, up to the limit. Rooms that were too small stay in the
 * arena until it goes: at most a third of the last. A member that did not fit is inflated again, so
 * the work is at most GROWTH / (GROWTH - 1) times that of the output.
 *
 * Invariants: 1. No room exceeds the limit. 2. Every member consumes input.
 * Threads: any; compressor state is kept per thread and freed when the thread ends.
 * Failure: nothing is appended, the arena keeps what was taken. */
#include "codec/gzip.h"

#include <libdeflate.h>
#include <pthread.h>

#include "base/mem.h"

enum {
    MEMBER_MIN = 18, /* header and trailer; deflate data comes on top */
    ROOM_MIN = 4096,
    GUESS_RATIO = 16,
    GROWTH = 4,
};

struct gzip_state {
    struct libdeflate_decompressor *in;
    struct libdeflate_compressor *out;
    int out_level;
};

static pthread_once_t state_once = PTHREAD_ONCE_INIT;
static pthread_key_t state_key;

static void state_free(void *arg)
{
    struct gzip_state *s = arg;
    libdeflate_free_decompressor(s->in);
    libdeflate_free_compressor(s->out);
    mem_free(s);
}

static void state_key_create(void)
{
    int rc = pthread_key_create(&state_key, state_free);
    ASSERT(rc == 0);
}

static struct gzip_state *state_get(void)
{
    int rc = pthread_once(&state_once, state_key_create);
    ASSERT(rc == 0);
    struct gzip_state *s = pthread_getspecific(state_key);
    if (s)
        return s;
    s = NEW(struct gzip_state);
    rc = pthread_setspecific(state_key, s);
    ASSERT(rc == 0);
    return s;
}

bool gzip_detect(struct str in)
{
    return in.n >= 2 && (uint8_t)in.p[0] == 0x1F && (uint8_t)in.p[1] == 0x8B;
}

struct room {
    char *p;
    size_t n, cap;
};

/* A larger room with what the members before have filled. */
static enum status room_grow(
    struct room *room, uint64_t limit, struct arena *arena, struct error *err)
{
    if (room->cap >= limit)
        FAIL(err, ST_RESOURCE_EXHAUSTED,
            "decompressed size exceeds maximum allowed size of %llu bytes",
            (unsigned long long)limit);
    uint64_t want = MIN((uint64_t)room->cap * GROWTH, limit);
    char *p = arena_alloc(arena, (size_t)want);
    if (!p)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "not enough memory to decompress the request");
    if (room->n)
        memcpy(p, room->p, room->n);
    room->p = p;
    room->cap = (size_t)want;
    return ST_OK;
}

static enum status room_first(
    struct room *room, struct str in, uint64_t limit, struct arena *arena, struct error *err)
{
    uint8_t last[4] = {0};
    if (in.n >= sizeof last)
        memcpy(last, in.p + in.n - sizeof last, sizeof last);
    uint64_t promised = (uint64_t)last[0] | (uint64_t)last[1] << 8 | (uint64_t)last[2] << 16 |
                        (uint64_t)last[3] << 24;
    uint64_t want = MIN(promised, (uint64_t)in.n * GUESS_RATIO);
    want = MIN(MAX(want, ROOM_MIN), limit);
    *room = (struct room){.p = arena_alloc(arena, (size_t)want), .cap = (size_t)want};
    if (!room->p)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "not enough memory to decompress the request");
    return ST_OK;
}

/* One member from the start of *in, which moves behind it. */
static enum status inflate_member(struct libdeflate_decompressor *d, struct str *in,
    struct room *room, uint64_t limit, struct arena *arena, struct error *err)
{
    for (;;) {
        size_t used = 0, made = 0;
        enum libdeflate_result r = libdeflate_gzip_decompress_ex(
            d, in->p, in->n, room->p + room->n, room->cap - room->n, &used, &made);
        if (r == LIBDEFLATE_SUCCESS) {
            ASSERT(used > 0 && used <= in->n && made <= room->cap - room->n);
            *in = str_skip(*in, used);
            room->n += made;
            return ST_OK;
        }
        if (r != LIBDEFLATE_INSUFFICIENT_SPACE)
            FAIL(err, ST_INVALID_ARGUMENT, "gzip: data is truncated or damaged");
        TRY(room_grow(room, limit, arena, err));
    }
}

enum status gzip_inflate(
    struct str in, uint64_t limit, struct arena *arena, struct str *ret_out, struct error *err)
{
    struct gzip_state *s = state_get();
    struct room room;
    if (in.n < MEMBER_MIN)
        FAIL(err, ST_INVALID_ARGUMENT, "unexpected EOF");
    if (!s->in && !(s->in = libdeflate_alloc_decompressor()))
        FAIL(err, ST_RESOURCE_EXHAUSTED, "not enough memory to decompress the request");
    TRY(room_first(&room, in, limit, arena, err));
    do {
        if (!gzip_detect(in))
            FAIL(err, ST_INVALID_ARGUMENT, "gzip: invalid header");
        TRY(inflate_member(s->in, &in, &room, limit, arena, err));
    } while (in.n > 0);
    *ret_out = str_make(room.p, room.n);
    return ST_OK;
}

enum status gzip_deflate(struct str in, int level, struct buf *out, struct error *err)
{
    ASSERT(level >= 1 && level <= 12);
    struct gzip_state *s = state_get();
    if (s->out && s->out_level != level) {
        libdeflate_free_compressor(s->out);
        s->out = NULL;
    }
    if (!s->out && !(s->out = libdeflate_alloc_compressor(level)))
        FAIL(err, ST_RESOURCE_EXHAUSTED, "not enough memory to compress");
    s->out_level = level;
    size_t room = libdeflate_gzip_compress_bound(s->out, in.n);
    if (!buf_reserve(out, room))
        FAIL(err, ST_RESOURCE_EXHAUSTED, "compressed data would exceed %zu bytes", out->limit);
    size_t n = libdeflate_gzip_compress(s->out, in.p, in.n, out->p + out->n, room);
    ASSERT(n > 0 && n <= room);
    out->n += n;
    return ST_OK;
}
