/* Markers: epochs/<n>.done says that epoch n is in blocks, and which; or that the blocks it
 * replaces are in the one it lists.
 *
 *     everflame epoch 0000000000000005
 *     store 00112233445566778899aabbccddeeff
 *     seq 81234
 *     block 123456 0123456789abcdef anonymous/1h/2026-11-24/01H….efb
 *     retired anonymous/1h/2026-10-24/01G….efb
 *     replaces anonymous/1h/2026-11-24/01J….efb
 *     check 0123456789abcdef
 *
 * Once a marker is durable the epoch's log is superfluous: replay ignores it, and it is removed;
 * and so are the blocks it replaces. These lines stay as long as the marker. A marker is replaced
 * only as a whole. The check covers every byte before its line. A marker of another store is
 * refused: it must not make us drop a log of ours. */
#include "store/block_int.h"

#include <errno.h>
#include <inttypes.h>

#include "base/hash.h"
#include "base/log.h"

enum { MARKER_BYTES_MAX = 64 << 20 };

void marker_name(char out[32], uint64_t epoch)
{
    snprintf(out, 32, "%016" PRIx64 ".done", epoch);
}

bool marker_name_parse(const char *name, uint64_t *ret_epoch)
{
    char again[32];
    uint64_t epoch;
    if (sscanf(name, "%16" SCNx64 ".done", &epoch) != 1)
        return false;
    marker_name(again, epoch);
    if (strcmp(name, again) != 0)
        return false;
    *ret_epoch = epoch;
    return true;
}

static void marker_path(
    const struct block_target *to, const char *folder, uint64_t epoch, char out[4096])
{
    char name[32];
    marker_name(name, epoch);
    int n = snprintf(out, 4096, "%s/%s/%s", to->dir, folder, name);
    ASSERT(n > 0 && n < 4096);
}

enum status marker_write(const struct block_target *to, const struct marker *m, struct error *err)
{
    char path[4096], tmp[4096], dir[4096];
    struct buf text;
    buf_init(&text, MARKER_BYTES_MAX);
    buf_printf(&text, "everflame epoch %016" PRIx64 "\nstore ", m->epoch);
    for (int i = 0; i < 16; i++)
        buf_printf(&text, "%02x", to->store_id[i]);
    buf_printf(&text, "\nseq %" PRIu64 "\n", m->next_seq);
    for (uint32_t i = 0; i < m->n; i++) {
        const struct marker_entry *e = &m->entries[i];
        if (e->retired)
            buf_printf(&text, "retired %.*s\n", STR_ARG(e->path));
        else
            buf_printf(&text, "block %" PRIu64 " %016" PRIx64 " %.*s\n", e->bytes, e->check,
                STR_ARG(e->path));
    }
    for (uint32_t i = 0; i < m->n_replaces; i++)
        buf_printf(&text, "replaces %.*s\n", STR_ARG(m->replaces[i]));
    if (text.failed) {
        buf_done(&text);
        FAIL(err, ST_RESOURCE_EXHAUSTED, "a marker is too large");
    }
    buf_printf(&text, "check %016" PRIx64 "\n", hash_disk(text.p, text.n));
    marker_path(to, "epochs", m->epoch, path);
    marker_path(to, "tmp", m->epoch, tmp);
    snprintf(dir, sizeof dir, "%s/epochs", to->dir);
    enum status st = fs_write_atomic(to->fs, dir, tmp, path, buf_view(&text), err);
    buf_done(&text);
    return st;
}

int marker_remove(const struct block_target *to, uint64_t epoch)
{
    char path[4096];
    marker_path(to, "epochs", epoch, path);
    return to->fs->unlink(to->fs, path);
}

/* Exactly as we write it, so that no flipped bit of a digit passes. */
static bool parse_hex(struct str s, uint64_t *ret_value)
{
    uint64_t v = 0;
    if (s.n != 16)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        const char *digits = "0123456789abcdef", *d = memchr(digits, s.p[i], 16);
        if (!d)
            return false;
        v = v << 4 | (uint64_t)(d - digits);
    }
    *ret_value = v;
    return true;
}

static bool parse_line(struct str line, struct marker_entry *e)
{
    struct str_split words = {line, false};
    struct str kind, bytes, check;
    *e = (struct marker_entry){0};
    if (str_starts(line, STR("retired "))) {
        e->retired = true;
        e->path = str_skip(line, strlen("retired "));
        return e->path.n > 0;
    }
    if (!str_split_next(&words, ' ', &kind) || !str_eq(kind, STR("block")) ||
        !str_split_next(&words, ' ', &bytes) || !str_to_u64(bytes, &e->bytes) ||
        !str_split_next(&words, ' ', &check) || !parse_hex(check, &e->check))
        return false;
    e->path = words.rest;
    return !words.done && e->path.n > 0;
}

/* Whether the last line is "check HEX\n" over everything before it; cuts it off. */
static bool take_check(struct str *text)
{
    const size_t n = strlen("check 0123456789abcdef\n");
    uint64_t check;
    if (text->n < n || text->p[text->n - 1] != '\n')
        return false;
    struct str last = str_skip(*text, text->n - n);
    *text = str_head(*text, text->n - n);
    return str_starts(last, STR("check ")) && parse_hex(str_head(str_skip(last, 6), 16), &check) &&
           check == hash_disk(text->p, text->n);
}

/* The three lines at the beginning. */
static bool parse_head(struct str_split *lines, const struct block_target *to, struct marker *m)
{
    struct str line;
    char text[64];
    int n = snprintf(text, sizeof text, "everflame epoch %016" PRIx64, m->epoch);
    if (!str_split_next(lines, '\n', &line) || !str_eq(line, str_make(text, (size_t)n)))
        return false;
    n = snprintf(text, sizeof text, "store ");
    for (int i = 0; i < 16; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%02x", to->store_id[i]);
    return str_split_next(lines, '\n', &line) && str_eq(line, str_make(text, (size_t)n)) &&
           str_split_next(lines, '\n', &line) && str_starts(line, STR("seq ")) &&
           str_to_u64(str_skip(line, 4), &m->next_seq);
}

/* Whether it is a line "replaces PATH". */
static bool parse_replaces(struct str line, struct str *ret_path)
{
    if (!str_starts(line, STR("replaces ")))
        return false;
    *ret_path = str_skip(line, strlen("replaces "));
    return ret_path->n > 0;
}

static bool parse(struct str text, const struct block_target *to, uint64_t epoch,
    struct arena *arena, struct marker *m)
{
    struct {
        struct marker_entry *v;
        uint32_t n, cap;
    } entries = {0};
    struct {
        struct str *v;
        uint32_t n, cap;
    } replaces = {0};
    struct marker out = {.epoch = epoch};
    struct str line;
    if (!take_check(&text) || memchr(text.p, 0, text.n)) /* paths become names for the system */
        return false;
    struct str_split lines = {text, false};
    if (!parse_head(&lines, to, &out))
        return false;
    while (str_split_next(&lines, '\n', &line)) {
        if (line.n == 0 && lines.done)
            break;
        struct marker_entry e, *slot;
        struct str path, *source;
        if (parse_replaces(line, &path)) {
            if (!(source = VEC_PUSH(arena, replaces)))
                return false;
            *source = arena_str(arena, path);
            continue;
        }
        if (!parse_line(line, &e) || !(slot = VEC_PUSH(arena, entries)))
            return false;
        e.path = arena_str(arena, e.path);
        *slot = e;
    }
    out.entries = entries.v;
    out.n = entries.n;
    out.replaces = replaces.v;
    out.n_replaces = replaces.n;
    *m = out;
    return true;
}

enum status marker_read(const struct block_target *to, uint64_t epoch, struct arena *arena,
    struct marker *ret_marker, struct error *err)
{
    char path[4096];
    struct buf text;
    marker_path(to, "epochs", epoch, path);
    buf_init(&text, MARKER_BYTES_MAX);
    enum status st = fs_read_all(to->fs, path, MARKER_BYTES_MAX, &text, err);
    if (st == ST_OK && !parse(buf_view(&text), to, epoch, arena, ret_marker))
        st = error_set(err, ST_DATA_LOSS, __FILE__, __LINE__,
            "the marker %s is damaged, or of another store", path);
    buf_done(&text);
    return st;
}
