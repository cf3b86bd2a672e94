/* codec/text: folded, lines, trie, tree; the reference's texts; captures; depth and floods. */
#include "test.h"

#include "base/buf.h"
#include "base/mem.h"
#include "codec/text.h"
#include "jfr_capture.h"

static struct arena arena;
static struct buf m;
static struct error err;
static struct text_limits limits;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 512 * MIB);
    buf_init(&m, 256 * MIB);
    limits = (struct text_limits){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    buf_done(&m);
    return 0;
}

/* "a;b 1|c 2", or the error. */
static struct str shown(enum text_format format, struct str in)
{
    struct text_stacks s;
    struct buf out;
    if (text_decode(format, in, &limits, &arena, &s, &err) != ST_OK)
        return error_str(&err);
    buf_init(&out, 64 * MIB);
    for (uint32_t i = 0; i < s.n_stacks; i++) {
        const struct text_stack *k = &s.stacks[i];
        buf_str(&out, i ? STR("|") : STR_EMPTY);
        assert_true(k->n > 0 && k->value > 0 && (uint64_t)k->first + k->n <= s.n_frames);
        for (uint32_t f = 0; f < k->n; f++) {
            assert_true(s.frames[k->first + f] < s.n_names);
            buf_str(&out, f ? STR(";") : STR_EMPTY);
            buf_str(&out, s.names[s.frames[k->first + f]]);
        }
        buf_printf(&out, " %lld", (long long)k->value);
    }
    struct str text = arena_str(&arena, buf_view(&out));
    buf_done(&out);
    return text;
}

static void assert_shown(enum text_format format, struct str in, const char *want)
{
    struct str got = shown(format, in);
    if (!str_eq(got, str_from(want)))
        fail_msg("%.*s: %.*s, not %s", STR_ARG(in), STR_ARG(got), want);
}

#define FOLDED(in, want) assert_shown(TEXT_FOLDED, STR(in), want)
#define LINES(in, want) assert_shown(TEXT_LINES, STR(in), want)
#define TRIE(in, want) assert_shown(TEXT_TRIE, STR(in), want)
#define TREE(in, want) assert_shown(TEXT_TREE, STR(in), want)

static void test_folded(void **state)
{
    (void)state;
    FOLDED("", "");
    FOLDED("main;a 3\nmain;b 7\n", "main;a 3|main;b 7");
    FOLDED("main;a 3\r\nmain;a 4", "main;a 7");
    FOLDED("a b 5\n", "a b 5");
    FOLDED("nothing\n\n\na 1\n", "a 1");
    FOLDED("a; 1\na 2\na;; 4\n", "a 3|a; 4");
    FOLDED(";a 1\n", ";a 1");
    FOLDED("; 2\n 1\n", " 2"); /* one frame without a name; no frame at all is no stack */
    FOLDED("a;;b 1\n", "a;;b 1");
    FOLDED("main;a -5\n", "");
    FOLDED("main;a -5\nmain;a +7\n", "main;a 2");
    FOLDED("a 0\n", "");
    FOLDED("a 9223372036854775807\na 9223372036854775807\n", "a 9223372036854775807");
    FOLDED("main;a 1.5\n", "strconv.Atoi: parsing \"1.5\": invalid syntax");
    FOLDED("main;a \n", "strconv.Atoi: parsing \"\": invalid syntax");
    FOLDED("main;a -\n", "strconv.Atoi: parsing \"-\": invalid syntax");
    FOLDED("\x00\xFF\xFE nonsense", "strconv.Atoi: parsing \"nonsense\": invalid syntax");
    FOLDED("main;a 99999999999999999999\n",
        "strconv.Atoi: parsing \"99999999999999999999\": value out of range");
}

static void test_lines(void **state)
{
    (void)state;
    LINES("", "");
    LINES("a;b\na;b\na;c\n", "a;b 2|a;c 1");
    LINES("a;b\r\n\r\n\na;b", "a;b 2");
    LINES("a;b 7\n", "a;b 7 1");
    LINES("a;\na\n", "a 2");
}

/* The longest line is 65535 bytes, its CR included. */
static void test_long_lines(void **state)
{
    (void)state;
    for (size_t n = 65533; n < 65537; n++) {
        bool fits = n + 2 <= 65535;
        buf_clear(&m);
        buf_str(&m, STR("first 1\n"));
        for (size_t i = 0; i < n; i++)
            buf_byte(&m, 'x');
        buf_str(&m, STR(" 1\nlast 1\n"));
        struct text_stacks s;
        assert_int_equal(text_decode(TEXT_FOLDED, buf_view(&m), &limits, &arena, &s, &err), ST_OK);
        assert_int_equal(s.n_stacks, fits ? 3 : 1);
        enum status st = text_decode(TEXT_LINES, buf_view(&m), &limits, &arena, &s, &err);
        assert_int_equal(st, fits ? ST_OK : ST_INVALID_ARGUMENT);
        if (!fits)
            assert_string_equal(err.msg, "bufio.Scanner: token too long");
    }
}

static void test_trie(void **state)
{
    (void)state;
    TRIE("", "");
    TRIE("\x00\x00\x01\x06"
         "foo;ba\x00\x02\x01r\x03\x00\x01z\x04\x00",
        "foo;bar 3|foo;baz 4");
    TRIE("\x00\x00\x02\x02"
         "a;\x05\x01\x01"
         "b\x01\x00\x01"
         "c\x02\x00",
        "a 5|a;b 1|c 2");
    TRIE("\x00\x00\x01\x01;\x01\x01\x01;\x02\x00", " 1|; 2"); /* ";" is [""], ";;" is ["", ""] */
    TRIE("\x01x\x01\x00\x01y\x02\x00", "x 1|y 2");            /* more roots follow */
    TRIE("\x00\x07\x00", "");                                 /* the empty stack */
    TRIE("\x00\x00\x05\x01q\x01\x00", "q 1");                 /* fewer children than said */
    TRIE("\x01x\x01\x01\x00\x02\x01\x01y\x04\x00", "x 3|xy 4");
    TRIE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        "binary: varint overflows a 64-bit integer");
    TRIE("\xff\xff", "unexpected EOF");
    TRIE("\x05xyz", "unexpected EOF");
    TRIE("\x01x\x01", "unexpected EOF");
    TRIE("\x01x\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", "x 9223372036854775807");
}

static void test_tree(void **state)
{
    (void)state;
    TREE("\x00\x00\x01\x01"
         "a\x00\x02\x01"
         "b\x01\x00\x01"
         "c\x02\x00",
        "a;b 1|a;c 2");
    TREE("\x00\x09\x00", "");
    TREE("\x00\x00\x02\x01"
         "a\x01\x00\x01"
         "a\x02\x01\x00\x04\x00 trailing",
        "a 3|a; 4");
    TREE("", "unexpected EOF");
    TREE("\x00\x00\x01", "unexpected EOF");
    TREE("\x00\x00\x01\x05"
         "ab",
        "unexpected EOF");
    TREE("\x01r\x00\x00", "tree root has a name");
    TREE("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        "binary: varint overflows a 64-bit integer");
    limits = (struct text_limits){2, 1};
    TREE("\x00\x00\x01\x02"
         "ab\x01\x00",
        "ab 1");
    TREE("\x00\x00\x01\x03"
         "abc\x01\x00",
        "tree node name length 3 exceeds maximum 2");
    TREE("\x00\x00\x02", "tree node children count 2 exceeds maximum 1");
}

/* Every cut of a valid tree but the whole is an error; of a trie, an error or a part. */
static void test_cuts(void **state)
{
    (void)state;
    struct arena bodies;
    arena_init(&bodies, MIB);
    struct str body = capture_read("tests/conformance/captures/ingest-curl/004.bin", &bodies);
    struct text_stacks s;
    assert_non_null(body.p);
    for (size_t n = 0; n < body.n; n++) {
        char *exact = mem_new(n + 1); /* a block of its own, so that a sanitizer sees its end */
        memcpy(exact, body.p, n);
        assert_int_equal(text_decode(TEXT_TREE, str_make(exact, n), &limits, &arena, &s, &err),
            ST_INVALID_ARGUMENT);
        enum status st = text_decode(TEXT_TRIE, str_make(exact, n), &limits, &arena, &s, &err);
        assert_true(st == ST_OK || st == ST_INVALID_ARGUMENT);
        mem_free(exact);
        arena_reset(&arena);
    }
    arena_done(&bodies);
}

static int64_t total(const struct text_stacks *s)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < s->n_stacks; i++)
        sum += s->stacks[i].value;
    return sum;
}

/* Is the stack of `want` (which lives in the capture of folded text) among those of s? */
static bool has_stack(
    const struct text_stacks *s, const struct text_stacks *from, uint32_t i, int64_t value)
{
    const struct text_stack *w = &from->stacks[i];
    for (uint32_t k = 0; k < s->n_stacks; k++) {
        bool same = s->stacks[k].n == w->n && s->stacks[k].value == value;
        for (uint32_t f = 0; same && f < w->n; f++)
            same = str_eq(s->names[s->frames[s->stacks[k].first + f]],
                from->names[from->frames[w->first + f]]);
        if (same)
            return true;
    }
    return false;
}

/* The same eight stacks in four formats. */
static void test_captures(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        enum text_format format;
        int64_t divisor;
    } table[] = {
        {"001", TEXT_FOLDED, 1},
        {"003", TEXT_LINES, 5},
        {"004", TEXT_TREE, 1},
        {"006", TEXT_TRIE, 1},
        {"016", TEXT_FOLDED, 1},
    };
    struct text_stacks first = {0};
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char path[256];
        snprintf(path, sizeof path, "tests/conformance/captures/ingest-curl/%s.bin", table[i].file);
        struct str body = capture_read(path, &arena);
        struct text_stacks s;
        assert_non_null(body.p);
        assert_int_equal(text_decode(table[i].format, body, &limits, &arena, &s, &err), ST_OK);
        if (i == 0)
            first = s;
        assert_int_equal(first.n_stacks, 8);
        assert_int_equal(s.n_stacks, 8);
        assert_int_equal(total(&s), 535 / table[i].divisor);
        for (uint32_t k = 0; k < 8; k++)
            assert_true(has_stack(&s, &first, k, MAX(first.stacks[k].value / table[i].divisor, 1)));
    }
}

/* ── floods ── */

static void put_node(struct str name, uint64_t value, uint64_t children)
{
    buf_uvarint(&m, name.n);
    buf_str(&m, name);
    buf_uvarint(&m, value);
    buf_uvarint(&m, children);
}

enum { DEPTH = 1000000 };

/* A chain with a value only at its end is as cheap as its input. */
static void test_deep_chain(void **state)
{
    (void)state;
    struct text_stacks s;
    put_node(STR_EMPTY, 0, 1);
    for (int i = 1; i < DEPTH; i++)
        put_node(STR("f"), 0, 1);
    put_node(STR("f"), 3, 0);
    assert_int_equal(text_decode(TEXT_TREE, buf_view(&m), &limits, &arena, &s, &err), ST_OK);
    assert_int_equal(s.n_stacks, 1);
    assert_int_equal(s.stacks[0].n, DEPTH);
    buf_clear(&m);
    put_node(STR_EMPTY, 0, 1);
    for (int i = 0; i < DEPTH; i++)
        put_node(STR("f;"), i == DEPTH - 1, 1);
    assert_int_equal(text_decode(TEXT_TRIE, buf_view(&m), &limits, &arena, &s, &err), ST_OK);
    assert_int_equal(s.n_stacks, 1);
    assert_int_equal(s.stacks[0].n, DEPTH);
}

/* With a value at each level the result would be half a million million frames. */
static void test_deep_values(void **state)
{
    (void)state;
    struct text_stacks s;
    put_node(STR_EMPTY, 0, 1);
    for (int i = 0; i < DEPTH; i++)
        put_node(STR("f"), 1, 1);
    put_node(STR("f"), 1, 0);
    assert_int_equal(
        text_decode(TEXT_TREE, buf_view(&m), &limits, &arena, &s, &err), ST_RESOURCE_EXHAUSTED);
    buf_clear(&m);
    for (int i = 0; i < DEPTH; i++)
        put_node(STR("f;"), 1, 1);
    assert_int_equal(
        text_decode(TEXT_TRIE, buf_view(&m), &limits, &arena, &s, &err), ST_RESOURCE_EXHAUSTED);
}

static void test_wide(void **state)
{
    (void)state;
    struct text_stacks s;
    char name[16];
    put_node(STR_EMPTY, 0, DEPTH);
    for (int i = 0; i < DEPTH; i++) {
        snprintf(name, sizeof name, "%d", i);
        put_node(str_from(name), 1, 0);
    }
    for (int format = TEXT_TRIE; format <= TEXT_TREE; format++) {
        assert_int_equal(
            text_decode((enum text_format)format, buf_view(&m), &limits, &arena, &s, &err), ST_OK);
        assert_int_equal(s.n_stacks, DEPTH);
        assert_int_equal(s.n_names, DEPTH);
    }
}

/* A name of a megabyte that each of a million nodes would hash again. */
static void test_long_name(void **state)
{
    (void)state;
    struct text_stacks s;
    char *name = arena_alloc(&arena, MIB);
    memset(name, 'x', MIB);
    put_node(str_make(name, MIB), 0, DEPTH);
    for (int i = 0; i < DEPTH; i++)
        put_node(STR_EMPTY, 1, 0);
    assert_int_equal(
        text_decode(TEXT_TRIE, buf_view(&m), &limits, &arena, &s, &err), ST_INVALID_ARGUMENT);
    assert_string_equal(err.msg, "trie: names are too long");
}

/* With every smaller arena decoding fails cleanly. */
static void test_any_arena(void **state)
{
    (void)state;
    static const char *const files[] = {"001", "003", "006", "004"}; /* in the order of formats */
    for (int format = TEXT_FOLDED; format <= TEXT_TREE; format++) {
        char path[256];
        snprintf(path, sizeof path, "tests/conformance/captures/ingest-curl/%s.bin", files[format]);
        struct str read = capture_read(path, &arena);
        uint32_t failures = 0;
        assert_non_null(read.p);
        for (size_t limit = 0;; limit += 512) {
            struct text_stacks s;
            struct arena tight;
            arena_init(&tight, limit);
            enum status st = text_decode((enum text_format)format, read, &limits, &tight, &s, &err);
            arena_done(&tight);
            if (st == ST_OK)
                break;
            assert_int_equal(st, ST_RESOURCE_EXHAUSTED);
            failures++;
        }
        assert_true(failures > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_folded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_trie, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tree, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cuts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_captures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deep_chain, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deep_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wide, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_long_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_any_arena, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
