/* codec/multipart: framing as Go reads it, the visible parts, damage and floods. */
#include "test.h"

#include "base/buf.h"
#include "codec/multipart.h"

static struct multipart m;
static struct error err;
static const struct str ct = {"multipart/form-data; boundary=XX", 32};

#define PART(name, file, data) \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"" file "\r\n\r\n" data "\r\n"
#define FILE_ "; filename=\"f\""

static enum status parse(struct str body)
{
    memset(&m, 0, sizeof m);
    return multipart_parse(ct, body, &m, &err);
}

static void assert_part(const char *name, const char *data)
{
    struct str got = multipart_get(&m, str_from(name));
    if (!data) {
        assert_null(got.p);
        return;
    }
    assert_non_null(got.p);
    assert_true(str_eq(got, str_from(data)));
}

static void assert_text(const char *want)
{
    assert_string_equal(err.msg, want);
}

static void test_parts(void **state)
{
    (void)state;
    assert_int_equal(
        parse(STR(PART("profile", FILE_, "one\r\n--X\r\n\r\n--XXX") PART("value", "", "hidden")
                PART("profile", FILE_, "second") PART("empty", FILE_, "")
                    PART("empty", FILE_, "late") PART("noname", "; filename=\"\"", "x") "--XX--")),
        ST_OK);
    assert_part("profile", "one\r\n--X\r\n\r\n--XXX");
    assert_part("value", NULL);
    assert_part("empty", NULL);
    assert_part("noname", NULL);
    assert_part("absent", NULL);
    assert_int_equal(m.n, 2);
    assert_true(str_eq(m.parts[0].filename, STR("f")));
}

static void test_framing(void **state)
{
    (void)state;
    assert_int_equal(parse(STR("--XX--\r\n")), ST_OK);
    assert_int_equal(m.n, 0);
    assert_int_equal(
        parse(STR("preamble\r\nmore\r\n" PART("a", FILE_, "1") "--XX--\r\nepilogue --XX\r\n")),
        ST_OK);
    assert_part("a", "1");
    assert_int_equal(parse(STR("--XX \t\r\ncontent-DISPOSITION:form-data;name=a;filename=b\r\n"
                               "X: y\r\n\r\ndata\r\n--XX-- \r\n")),
        ST_OK);
    assert_part("a", "data");
    assert_int_equal(parse(STR("--XX\r\nContent-Disposition: form-data;\r\n name=\"a\";\r\n"
                               "\tfilename=\"b\"\r\n\r\n--XX--")),
        ST_OK);
    assert_int_equal(m.n, 1);
    assert_part("a", NULL);
    assert_int_equal(parse(STR("--XX\nContent-Disposition: form-data; name=a; filename*=utf-8''b"
                               "\n\nd\r\n--XX--\n")),
        ST_OK);
    assert_part("a", "d\r");
    assert_int_equal(parse(STR("--XX\r\nContent-Disposition: attachment; name=a; filename=b"
                               "\r\n\r\nd\r\n--XX--\r\n")),
        ST_OK);
    assert_int_equal(m.n, 0);
}

static void test_boundaries(void **state)
{
    (void)state;
    static const char *const good[] = {"multipart/form-data; boundary=\"XX\"",
        "multipart/form-data;charset=x ;  BOUNDARY=XX", "multipart/form-data; boundary=XX; a=b",
        "multipart/form-data; boundary=\"\\X\\X\"",
        "multipart/form-data; a=\";boundary=no\"; boundary=XX"};
    static const char *const bad[] = {"", "multipart/form-data", "multipart/form-data; boundary",
        "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\""};
    struct str body = STR(PART("a", FILE_, "1") "--XX--\r\n");
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(multipart_parse(str_from(good[i]), body, &m, &err), ST_OK);
        assert_part("a", "1");
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(multipart_parse(str_from(bad[i]), body, &m, &err), ST_INVALID_ARGUMENT);
        assert_text("malformed multipart content type header");
    }
    char huge[4096] = "multipart/form-data; boundary=";
    memset(huge + 30, 'x', sizeof huge - 31);
    assert_int_equal(
        multipart_parse(str_make(huge, sizeof huge - 1), body, &m, &err), ST_INVALID_ARGUMENT);
}

static void test_damage(void **state)
{
    (void)state;
    struct str whole = STR(PART("a", FILE_, "data") "--XX--\r\n");
    for (size_t n = 0; n < whole.n - 2; n++) {
        m.n = 77;
        assert_int_equal(multipart_parse(ct, str_head(whole, n), &m, &err), ST_INVALID_ARGUMENT);
        assert_int_equal(m.n, 77);
    }
    assert_int_equal(parse(STR(PART("a", FILE_, "data"))), ST_INVALID_ARGUMENT);
    assert_text("unexpected EOF");
    assert_int_equal(parse(STR("--XX\r\nno colon\r\n\r\nx\r\n--XX--")), ST_INVALID_ARGUMENT);
    assert_text("malformed MIME header line: no colon");
    assert_int_equal(parse(STR(PART("a", FILE_, "1") "--XX zzz\r\n")), ST_INVALID_ARGUMENT);
    assert_text("multipart: expecting a new Part; got line --XX zzz");
}

static void test_floods(void **state)
{
    (void)state;
    struct buf body;
    buf_init(&body, 256 * MIB);
    for (int i = 0; i < 1000000; i++)
        buf_str(&body, STR(PART("v", "", "")));
    assert_int_equal(parse(buf_view(&body)), ST_INVALID_ARGUMENT);
    assert_text("multipart: message too large");
    buf_clear(&body);
    for (int i = 0; i < MULTIPART_PARTS_MAX + 1; i++)
        buf_printf(
            &body, "--XX\r\nContent-Disposition: form-data; name=n%d; filename=f\r\n\r\nd\r\n", i);
    buf_str(&body, STR("--XX--"));
    assert_int_equal(parse(buf_view(&body)), ST_INVALID_ARGUMENT);
    assert_text("multipart: more than 64 files");
    buf_clear(&body);
    buf_str(&body, STR("--XX\r\nContent-Disposition: form-data; name=a; filename=f\r\n\r\n"));
    for (int i = 0; i < 4000000; i++) /* near misses */
        buf_str(&body, STR("\r\n--XX."));
    assert_int_equal(parse(buf_view(&body)), ST_INVALID_ARGUMENT);
    assert_text("unexpected EOF");
    buf_done(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_framing),
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_floods),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
