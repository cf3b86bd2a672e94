/* Descriptors from tables: the bytes by hand for a small one, and for all messages what must hold.
 */
#include "test.h"

#include "codec/descriptor.h"
#include "codec/messages.h"
#include "codec/msg_table.h"

enum { ARENA_BYTES = 4 << 20 };

struct t_inner {
    int32_t kind;
};
struct t_ask {
    int64_t n;
    bool has_n;
    MSG_LIST(struct t_inner) inner;
    struct str text; /* JSON only */
};
static const char *const kinds[] = {"K_A", NULL, "K_C"};
static const struct msg_enum kind = {.names = kinds, .n = 3, .name = "a.v1.Inner.Kind"};
static const struct msg_field t_inner_fields[] = {ENUM(t_inner, kind, "kind", 1, kind)};
static DESC(t_inner, "a.v1.Inner");
static const struct msg_field t_ask_fields[] = {
    OPTIONAL(t_ask, n, "n", 1, INT64),
    SUBS(t_ask, inner, "inner", 3, t_inner),
    ONE(t_ask, text, "text", MSG_JSON_ONLY, STRING),
};
static DESC(t_ask, "b.v1.Ask");
static DESC_EMPTY(t_answer, "b.v1.Answer");

static const struct descriptor_method method = {
    STR("/b.v1.S/M"), &t_ask_desc, &t_answer_desc, true, false};

/* Written by hand from descriptor.proto. */
static const char file_a[] = "\x0a\x0c"
                             "a/v1/a.proto"
                             "\x12\x04"
                             "a.v1"
                             "\x22\x47"
                             "\x0a\x05"
                             "Inner"
                             "\x12\x24"
                             "\x0a\x04"
                             "kind"
                             "\x18\x01\x20\x01\x28\x0e"
                             "\x32\x10"
                             ".a.v1.Inner.Kind"
                             "\x52\x04"
                             "kind"
                             "\x22\x18"
                             "\x0a\x04"
                             "Kind"
                             "\x12\x07\x0a\x03"
                             "K_A"
                             "\x10\x00"
                             "\x12\x07\x0a\x03"
                             "K_C"
                             "\x10\x02"
                             "\x62\x06"
                             "proto3";
static const char file_b[] = "\x0a\x0c"
                             "b/v1/b.proto"
                             "\x12\x04"
                             "b.v1"
                             "\x1a\x0c"
                             "a/v1/a.proto"
                             "\x22\x41"
                             "\x0a\x03"
                             "Ask"
                             "\x12\x11"
                             "\x0a\x01"
                             "n"
                             "\x18\x01\x20\x01\x28\x03\x48\x00"
                             "\x52\x01"
                             "n"
                             "\x88\x01\x01"
                             "\x12\x21"
                             "\x0a\x05"
                             "inner"
                             "\x18\x03\x20\x03\x28\x0b"
                             "\x32\x0b"
                             ".a.v1.Inner"
                             "\x52\x05"
                             "inner"
                             "\x42\x04\x0a\x02"
                             "_n"
                             "\x22\x08"
                             "\x0a\x06"
                             "Answer"
                             "\x32\x23"
                             "\x0a\x01"
                             "S"
                             "\x12\x1e"
                             "\x0a\x01"
                             "M"
                             "\x12\x09"
                             ".b.v1.Ask"
                             "\x1a\x0c"
                             ".b.v1.Answer"
                             "\x28\x01"
                             "\x62\x06"
                             "proto3";

static struct str literal(const char *p, size_t size)
{
    return str_make(p, size - 1);
}

static void test_bytes(void **state)
{
    struct arena arena;
    struct descriptor_set set;
    (void)state;
    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(descriptor_set_build(&method, 1, &arena, &set, NULL), ST_OK);
    assert_int_equal(set.n_files, 2);
    const struct descriptor_file *a = descriptor_find_file(&set, STR("a/v1/a.proto"));
    const struct descriptor_file *b = descriptor_find_file(&set, STR("b/v1/b.proto"));
    assert_true(a && str_eq(a->bytes, literal(file_a, sizeof file_a)));
    assert_true(b && str_eq(b->bytes, literal(file_b, sizeof file_b)));
    assert_int_equal(a->with_deps, 1u << (a - set.files));
    assert_int_equal(b->with_deps, 3);
    assert_int_equal(set.n_services, 1);
    assert_true(str_eq(set.services[0], STR("b.v1.S")));
    arena_done(&arena);
}

static void test_questions(void **state)
{
    static const char *const in_a[] = {
        "a.v1.Inner", "a.v1.Inner.kind", "a.v1.Inner.Kind", "a.v1.Inner.Kind.K_A"};
    static const char *const in_b[] = {"b.v1.Ask", "b.v1.Ask.n", "b.v1.S", "b.v1.S.M"};
    static const char *const nowhere[] = {
        "", ".", "a", "a.v1", "Inner", ".a.v1.Inner", "b.v1.Asks", "a.v1.Inner.x.y.z", "b.v1"};
    struct arena arena;
    struct descriptor_set set;
    (void)state;
    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(descriptor_set_build(&method, 1, &arena, &set, NULL), ST_OK);
    for (size_t i = 0; i < ARRAY_LEN(in_a); i++)
        assert_true(str_eq(descriptor_find_symbol(&set, str_from(in_a[i]))->package, STR("a.v1")));
    for (size_t i = 0; i < ARRAY_LEN(in_b); i++)
        assert_true(str_eq(descriptor_find_symbol(&set, str_from(in_b[i]))->package, STR("b.v1")));
    for (size_t i = 0; i < ARRAY_LEN(nowhere); i++)
        assert_null(descriptor_find_symbol(&set, str_from(nowhere[i])));
    assert_null(descriptor_find_file(&set, STR("a.proto")));
    arena_done(&arena);
}

/* Three packages, as the server's. */
static void test_real_tables(void **state)
{
    static const struct descriptor_method methods[] = {
        {STR("/querier.v1.QuerierService/SelectMergeStacktraces"),
            &m_select_merge_stacktraces_request_desc, &m_select_merge_stacktraces_response_desc,
            false, false},
        {STR("/querier.v1.QuerierService/LabelValues"), &m_label_values_request_desc,
            &m_label_values_response_desc, false, false}};
    struct arena arena;
    struct descriptor_set set;
    (void)state;
    arena_init(&arena, ARENA_BYTES);
    assert_int_equal(descriptor_set_build(methods, 2, &arena, &set, NULL), ST_OK);
    const struct descriptor_file *f = descriptor_find_symbol(
        &set, STR("querier.v1.QuerierService"));
    assert_non_null(f);
    assert_int_equal(set.n_files, 3);
    assert_int_equal(f->with_deps, 7);
    assert_true(str_contains(f->bytes, STR("PROFILE_FORMAT_PPROF")));
    assert_false(str_contains(f->bytes, STR("PROFILE_FORMAT_FUNCTIONS")));
    assert_false(str_contains(f->bytes, STR("FunctionTable")));
    assert_null(descriptor_find_symbol(&set, STR("querier.v1.FunctionTable")));
    arena_done(&arena);
}

static void test_no_memory(void **state)
{
    struct arena arena;
    struct descriptor_set set;
    (void)state;
    for (size_t bytes = 1; bytes < 200 * KIB; bytes += 16 * KIB) {
        arena_init(&arena, bytes);
        enum status st = descriptor_set_build(&method, 1, &arena, &set, NULL);
        assert_true(st == ST_OK || st == ST_RESOURCE_EXHAUSTED);
        assert_int_equal(st == ST_RESOURCE_EXHAUSTED, arena.full);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_real_tables),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
