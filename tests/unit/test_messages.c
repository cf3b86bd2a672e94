/* The tables of codec/messages.c against the texts in proto/: every message, field, number, type
 * and enum name is in both, and JSON names follow from the proto names. What has no number known is
 * in no text. */
#include "test.h"

#include "base/fs.h"
#include "codec/messages.h"

enum { DESCS_MAX = 80, ENUMS_MAX = 12, ENUM_NAMES_MAX = 16 };

static const struct msg_desc *descs[DESCS_MAX];
static bool seen[DESCS_MAX];
static uint32_t n_descs;

struct enum_text {
    char name[80];
    char names[ENUM_NAMES_MAX][64];
    uint32_t n;
};
static struct enum_text enums[ENUMS_MAX];
static uint32_t n_enums, n_messages;

/* desc and all that it refers to; small and acyclic. */
static void collect(const struct msg_desc *desc)
{
    for (uint32_t i = 0; i < n_descs; i++) {
        if (descs[i] == desc)
            return;
    }
    assert_true(n_descs < DESCS_MAX);
    descs[n_descs++] = desc;
    for (uint32_t i = 0; i < desc->n_fields; i++) {
        if (desc->fields[i].sub)
            collect(desc->fields[i].sub);
    }
}

/* ── the text ── */

struct text {
    const char *p;
    char package[40];
};

static bool word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

/* The next word or sign, "" at the end. */
static bool next(struct text *t, char token[80])
{
    for (;;) {
        while (*t->p == ' ' || *t->p == '\n')
            t->p++;
        if (strncmp(t->p, "//", 2) != 0)
            break;
        t->p += strcspn(t->p, "\n");
    }
    size_t n = 0;
    if (*t->p == '"')
        n = strcspn(t->p + 1, "\"") + 2;
    else if (word_char(*t->p))
        while (word_char(t->p[n]))
            n++;
    else
        n = *t->p != 0;
    assert_true(n < 80);
    memcpy(token, t->p, n);
    token[n] = 0;
    t->p += n;
    return n > 0;
}

static void expect(struct text *t, const char *want)
{
    char token[80];
    assert_true(next(t, token));
    assert_string_equal(token, want);
}

static void full_name(const struct text *t, const char *name, char out[80])
{
    if (strchr(name, '.'))
        snprintf(out, 80, "%s", name);
    else
        snprintf(out, 80, "%.30s.%.48s", t->package, name);
}

static const struct msg_desc *desc_of(const char *name)
{
    for (uint32_t i = 0; i < n_descs; i++) {
        if (strcmp(descs[i]->name, name) == 0) {
            seen[i] = true;
            return descs[i];
        }
    }
    fail_msg("no table for message %s", name);
    return NULL;
}

/* ── comparison ── */

static void check_json_name(const struct msg_field *f)
{
    char want[80];
    size_t n = 0;
    bool upper = false;
    for (const char *p = f->name; *p; p++) {
        if (*p == '_') {
            upper = true;
            continue;
        }
        want[n++] = upper && *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
        upper = false;
    }
    want[n] = 0;
    assert_string_equal(f->json, want);
}

static void check_enum(const struct msg_enum *values, const char *name)
{
    for (uint32_t i = 0; i < n_enums; i++) {
        if (strcmp(enums[i].name, name) != 0)
            continue;
        assert_string_equal(values->name, name);
        assert_int_equal(values->n, enums[i].n);
        for (uint32_t k = 0; k < values->n; k++)
            assert_string_equal(values->names[k], enums[i].names[k]);
        return;
    }
    fail_msg("no enum %s", name);
}

static void check_type(const struct text *t, const struct msg_field *f, const char *type)
{
    static const char *const scalars[] = {[MSG_INT32] = "int32",
        [MSG_INT64] = "int64",
        [MSG_UINT32] = "uint32",
        [MSG_UINT64] = "uint64",
        [MSG_BOOL] = "bool",
        [MSG_DOUBLE] = "double",
        [MSG_STRING] = "string",
        [MSG_BYTES] = "bytes"};
    char full[80];
    full_name(t, type, full);
    if (f->kind == MSG_ENUM)
        check_enum(f->values, full);
    else if (f->kind == MSG_MESSAGE)
        assert_string_equal(f->sub->name, full);
    else
        assert_string_equal(scalars[f->kind], type);
}

static void check_field(struct text *t, const struct msg_desc *desc, char *token)
{
    bool optional = strcmp(token, "optional") == 0, repeated = strcmp(token, "repeated") == 0;
    char type[80], name[80];
    if (optional || repeated)
        assert_true(next(t, token));
    memcpy(type, token, sizeof type);
    assert_true(next(t, name));
    expect(t, "=");
    assert_true(next(t, token));
    for (uint32_t i = 0; i < desc->n_fields; i++) {
        const struct msg_field *f = &desc->fields[i];
        if (strcmp(f->name, name) != 0)
            continue;
        assert_int_equal(f->number, strtol(token, NULL, 10));
        assert_int_equal(f->repeated, repeated);
        if (f->kind != MSG_MESSAGE)
            assert_int_equal(f->has_offset != MSG_NO_HAS, optional);
        check_type(t, f, type);
        check_json_name(f);
        expect(t, ";");
        return;
    }
    fail_msg("%s has no field %s", desc->name, name);
}

static void check_message(struct text *t)
{
    char token[80], full[80];
    assert_true(next(t, token));
    full_name(t, token, full);
    const struct msg_desc *desc = desc_of(full);
    uint32_t n = 0;
    expect(t, "{");
    while (next(t, token) && strcmp(token, "}") != 0) {
        if (strcmp(token, "reserved") == 0) {
            assert_true(next(t, token));
            expect(t, ";");
            continue;
        }
        check_field(t, desc, token);
        n++;
    }
    for (uint32_t i = 0; i < desc->n_fields; i++)
        n += desc->fields[i].number >= MSG_JSON_ONLY;
    assert_int_equal(n, desc->n_fields);
    n_messages++;
}

static void read_enum(struct text *t)
{
    assert_true(n_enums < ENUMS_MAX);
    struct enum_text *e = &enums[n_enums++];
    char token[80];
    assert_true(next(t, token));
    full_name(t, token, e->name);
    expect(t, "{");
    while (next(t, token) && strcmp(token, "}") != 0) {
        assert_true(e->n < ENUM_NAMES_MAX);
        snprintf(e->names[e->n], sizeof e->names[0], "%.60s", token);
        expect(t, "=");
        assert_true(next(t, token));
        assert_int_equal(strtol(token, NULL, 10), e->n++);
        expect(t, ";");
    }
}

/* Enums first, for they may stand behind their use. */
static void check_file(const char *path, bool enums_only)
{
    struct buf b;
    struct error err;
    buf_init(&b, 1 * MIB);
    assert_int_equal(fs_read_all(&fs_real, path, 1 * MIB, &b, &err), ST_OK);
    buf_byte(&b, 0);
    struct text t = {.p = b.p};
    char token[80];
    while (next(&t, token)) {
        if (strcmp(token, "package") == 0) {
            assert_true(next(&t, token));
            snprintf(t.package, sizeof t.package, "%.39s", token);
        } else if (strcmp(token, "message") == 0 && !enums_only) {
            check_message(&t);
        } else if (strcmp(token, "enum") == 0 && enums_only) {
            read_enum(&t);
        }
    }
    buf_done(&b);
}

static void test_texts(void **state)
{
    (void)state;
    static const struct msg_desc *const roots[] = {&m_label_pair_desc,
        &m_profile_types_request_desc, &m_profile_types_response_desc, &m_label_names_request_desc,
        &m_names_response_desc, &m_label_values_request_desc, &m_label_values_response_desc,
        &m_series_request_desc, &m_series_response_desc, &m_select_merge_stacktraces_request_desc,
        &m_select_merge_stacktraces_response_desc, &m_select_merge_span_profile_request_desc,
        &m_select_merge_span_profile_response_desc, &m_select_merge_profile_request_desc,
        &m_profile_desc, &m_select_series_request_desc, &m_select_series_response_desc,
        &m_select_heatmap_request_desc, &m_select_heatmap_response_desc,
        &m_get_profile_stats_request_desc, &m_get_profile_stats_response_desc,
        &m_analyze_query_request_desc, &m_analyze_query_response_desc, &m_diff_request_desc,
        &m_diff_response_desc, &m_push_request_desc, &m_empty_desc};
    static const char *const files[] = {"proto/types/v1/types.proto",
        "proto/google/v1/profile.proto", "proto/querier/v1/querier.proto",
        "proto/push/v1/push.proto"};
    for (size_t i = 0; i < ARRAY_LEN(roots); i++)
        collect(roots[i]);
    for (size_t i = 0; i < 2 * ARRAY_LEN(files); i++)
        check_file(files[i % ARRAY_LEN(files)], i < ARRAY_LEN(files));
    uint32_t n_json = 0;
    for (uint32_t i = 0; i < n_descs; i++) {
        bool json_only = descs[i]->n_fields && descs[i]->fields[0].number >= MSG_JSON_ONLY;
        n_json += json_only;
        if (seen[i] == json_only)
            fail_msg("%s text for table %s", seen[i] ? "a" : "no", descs[i]->name);
    }
    assert_int_equal(n_messages, n_descs - n_json);
}

static void test_tables_in_order(void **state)
{
    (void)state;
    assert_true(n_descs > 0);
    for (uint32_t i = 0; i < n_descs; i++) {
        assert_true(descs[i]->n_fields <= MSG_FIELDS_MAX);
        for (uint32_t k = 1; k < descs[i]->n_fields; k++)
            assert_true(descs[i]->fields[k - 1].number < descs[i]->fields[k].number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_tables_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
