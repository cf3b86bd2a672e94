/* Folded stacks and lines, and the choice among the text formats: see text.h.
 *
 *     folded   a;b;c 17 LF …      the count is behind the last blank
 *     lines    a;b;c LF …         every line is one sample
 *
 * Lines end as for Go's bufio.Scanner: a CR before the LF is dropped, a line of 64 KiB is too long.
 * Profilers repeat lines, so a whole line is looked up before it is taken apart. Names are views of
 * the input. Linear. Thread: the caller's. Failure: the texts of the reference. */
#include "codec/text.h"

#include "base/hash.h"
#include "codec/text_int.h"

enum { LINE_BYTES_MAX = 64 * 1024 - 1 };

struct seen_line {
    struct str path;
    uint32_t node;
};

struct lines {
    struct text_tree *t;
    struct {
        struct seen_line *v;
        uint32_t n, cap;
    } seen;
    struct idmap by_path;
};

static enum status line_node(struct lines *l, struct str path, uint32_t *ret_node)
{
    struct text_tree *t = l->t;
    uint64_t hash = hash_str(path);
    struct idmap_probe probe = idmap_start(&l->by_path, hash);
    uint32_t i;
    while (idmap_next(&l->by_path, &probe, &i)) {
        if (!str_eq(l->seen.v[i].path, path))
            continue;
        *ret_node = l->seen.v[i].node;
        return ST_OK;
    }
    TRY(text_path(t, path, ret_node));
    struct seen_line *made = VEC_PUSH(t->arena, l->seen);
    if (!made || !arena_map_put(&l->by_path, t->arena, hash, l->seen.n - 1))
        return text_full(t->err);
    *made = (struct seen_line){path, *ret_node};
    return ST_OK;
}

static bool is_integer(struct str s)
{
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+');
    if (i == s.n)
        return false;
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
        i++;
    return i == s.n;
}

static enum status parse_count(struct str s, int64_t *ret_count, struct error *err)
{
    if (!is_integer(s))
        FAIL(
            err, ST_INVALID_ARGUMENT, "strconv.Atoi: parsing \"%.*s\": invalid syntax", STR_ARG(s));
    if (!str_to_i64(s, ret_count))
        FAIL(err, ST_INVALID_ARGUMENT, "strconv.Atoi: parsing \"%.*s\": value out of range",
            STR_ARG(s));
    return ST_OK;
}

static enum status folded_line(struct lines *l, struct str line)
{
    size_t blank = str_rfind_char(line, ' ');
    int64_t count;
    uint32_t node;
    if (blank == STR_NPOS)
        return ST_OK;
    TRY(parse_count(str_skip(line, blank + 1), &count, l->t->err));
    TRY(line_node(l, str_head(line, blank), &node));
    text_add(l->t, node, count);
    return ST_OK;
}

static enum status plain_line(struct lines *l, struct str line)
{
    uint32_t node;
    if (line.n == 0)
        return ST_OK;
    TRY(line_node(l, line, &node));
    text_add(l->t, node, 1);
    return ST_OK;
}

static enum status decode_lines(bool folded, struct str in, struct text_tree *t)
{
    struct lines l = {.t = t};
    while (in.n) {
        size_t n = MIN(str_find_char(in, '\n'), in.n);
        struct str line = str_head(in, n);
        in = str_skip(in, n + 1);
        if (n > LINE_BYTES_MAX && folded)
            break; /* the reference keeps what it has and says nothing */
        if (n > LINE_BYTES_MAX)
            FAIL(t->err, ST_INVALID_ARGUMENT, "bufio.Scanner: token too long");
        if (str_ends(line, STR("\r")))
            line.n--;
        TRY(folded ? folded_line(&l, line) : plain_line(&l, line));
    }
    return ST_OK;
}

enum status text_decode(enum text_format format, struct str in, const struct text_limits *limits,
    struct arena *arena, struct text_stacks *ret_stacks, struct error *err)
{
    struct text_tree t;
    TRY(text_tree_init(&t, arena, err));
    switch (format) {
    case TEXT_FOLDED:
    case TEXT_LINES:
        TRY(decode_lines(format == TEXT_FOLDED, in, &t));
        break;
    case TEXT_TRIE:
        TRY(text_decode_trie(in, &t));
        break;
    case TEXT_TREE:
        TRY(text_decode_tree(in, limits, &t));
        break;
    }
    return text_finish(&t, ret_stacks);
}
