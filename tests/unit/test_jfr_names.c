/* The rules for generated names: a table of examples, and the hand-written matcher against the
 * regular expressions it stands for, on names made to come close to them. */
#include "test.h"

#include <regex.h>

#include "codec/jfr_int.h"

static const struct {
    const char *in, *out; /* out NULL: stays */
} examples[] = {
    {"jdk/internal/reflect/GeneratedMethodAccessor31",
        "jdk/internal/reflect/GeneratedMethodAccessor_"},
    {"jdk/internal/reflect/GeneratedMethodAccessor", NULL},
    {"jdk/internal/reflect/GeneratedMethodAccessor3a", NULL},
    {"xjdk/internal/reflect/GeneratedMethodAccessor31", NULL},
    {"jdk/internal/reflect/GeneratedConstructorAccessor31", NULL},
    {"a/B$$Lambda$4/1283928880", "a/B$$Lambda_"},
    {"Fib$$Lambda.0x00007ffa600c4da0", "Fib$$Lambda_"},
    {"Fib$$Lambda/0x00007ffa600c4da0", "Fib$$Lambda_"},
    {"Fib$$Lambda$14.7f", "Fib$$Lambda_"},
    {"Fib$$Lambda12", "Fib$$Lambda_"},
    {"Fib$$Lambda$12", NULL},
    {"Fib$$Lambda$", NULL},
    {"Fib$$Lambda", NULL},
    {"Fib$$Lambda.", NULL},
    {"Fib$$Lambda.0x", NULL},
    {"Fib$$Lambda.0xG", NULL},
    {"Fib$$Lambda.0XA", NULL},
    {"Fib$$Lambda.AB", NULL},
    {"Fib$$Lambda$$Lambda1", "Fib$$Lambda$$Lambda_"},
    {"$$Lambda1", NULL},
    {"$$$Lambda1", "$$$Lambda_"},
    {"a\nb$$Lambda1", NULL},
    {"lambda$run$0", NULL},
    {"libzstd-jni-1.5.1-16931311898282279136.so", "libzstd-jni-_.so"},
    {"/tmp/libzstd-jni-1.5.1-16931311898282279136.so", "libzstd-jni-_.so"},
    {"./tmp/libzstd-jni-1.5.1-1.so (deleted)", "libzstd-jni-_.so"},
    {"x/tmp/libzstd-jni-1.5.1-1.so", NULL},
    {"libzstd-jni-1.5-1.so", NULL},
    {"libzstd-jni-1.5.1-.so", NULL},
    {"libzstd-jni-1.5.1-1.so(deleted)", NULL},
    {"libamazonCorrettoCryptoProvider109b39cf33c563eb.so", "libamazonCorrettoCryptoProvider_.so"},
    {"./tmp/amazonCorrettoCryptoProviderNativeLibraries.7382c2f79097f415/libcrypto.so (deleted)",
        "libamazonCorrettoCryptoProvider_.so"},
    {"amazonCorrettoCryptoProviderNativeLibraries.7382c2f79097f415/"
     "libamazonCorrettoCryptoProvider.so",
        "libamazonCorrettoCryptoProvider_.so"},
    {"libamazonCorrettoCryptoProvider109b39cf33c563e.so", NULL},
    {"libamazonCorrettoCryptoProvider109b39cf33c563ebf.so", NULL},
    {"libamazonCorrettoCryptoProvider109B39cf33c563eb.so", NULL},
    {"/tmp/libasyncProfiler-linux-arm64-17b9a1d8156277a98ccc871afa9a8f69215f92.so",
        "libasyncProfiler-_.so"},
    {"libasyncProfiler-linux-musl-x64-17b9a1d8156277a98ccc871afa9a8f69215f92.so (deleted)",
        "libasyncProfiler-_.so"},
    {"libasyncProfiler-macos-17b9a1d8156277a98ccc871afa9a8f69215f92.so", "libasyncProfiler-_.so"},
    {"libasyncProfiler-linux-x86-17b9a1d8156277a98ccc871afa9a8f69215f92.so", NULL},
    {"libasyncProfiler-linux-x64-17b9a1d8156277a98ccc871afa9a8f69215f93.so", NULL},
    {"Baz$$EnhancerBySpringCGLIB$$1234", "Baz$$EnhancerBySpringCGLIB$$_"},
    {"Baz$$EnhancerBySpringCGLIB$$", "Baz$$EnhancerBySpringCGLIB$$_"},
    {"Baz$$EnhancerBySpringCGLIB$$1$$EnhancerBySpringCGLIB$$2",
        "Baz$$EnhancerBySpringCGLIB$$1$$EnhancerBySpringCGLIB$$_"},
    {"Baz$$EnhancerBySpringCGLIB$$1$$Lambda$7/0x1f", "Baz$$EnhancerBySpringCGLIB$$_"},
    {"$$EnhancerBySpringCGLIB$$1", NULL},
    {"Baz$$EnhancerBySpringCGLIB$$1\n", NULL},
    {"java/util/HashMap", NULL},
    {"libjvm.so", NULL},
    {"", NULL},
};

static void test_examples(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, MIB);
    for (size_t i = 0; i < ARRAY_LEN(examples); i++) {
        struct str in = str_from(examples[i].in);
        struct str out = jfr_name_rewrite(in, &arena);
        if (examples[i].out)
            assert_true(str_eq(out, str_from(examples[i].out)));
        else
            assert_true(out.p == in.p && out.n == in.n);
    }
    arena_done(&arena);
}

/* POSIX has no \d, and its dot takes line feeds. */
#define TMP "^([.]?/tmp/)?"
#define SO "([.]so)( [(]deleted[)])?$"
static const struct {
    const char *pattern, *fixed; /* fixed NULL: the first group and "_" */
} rules[] = {
    {"^(jdk/internal/reflect/GeneratedMethodAccessor)([0-9]+)$", NULL},
    {"^([^\n]+[$][$]Lambda)([$]?[0-9]*[./](0x)?[0-9a-f]+|[0-9]+)$", NULL},
    {TMP "(libzstd-jni-[0-9]+[.][0-9]+[.][0-9]+-)([0-9]+)" SO, "libzstd-jni-_.so"},
    {TMP "(lib)?(amazonCorrettoCryptoProvider)(NativeLibraries[.])?([0-9a-f]{16})"
         "(/libcrypto|/libamazonCorrettoCryptoProvider)?" SO,
        "libamazonCorrettoCryptoProvider_.so"},
    {TMP "(libasyncProfiler)-(linux-arm64|linux-musl-x64|linux-x64|macos)-"
         "(17b9a1d8156277a98ccc871afa9a8f69215f92)" SO,
        "libasyncProfiler-_.so"},
    {"^([^\n]+[$][$]EnhancerBySpringCGLIB[$][$])([^\n]*)$", NULL},
};

static void by_expressions(const regex_t *compiled, char *name, size_t max)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        regmatch_t m[2];
        char out[512];
        if (regexec(&compiled[i], name, 2, m, 0) != 0)
            continue;
        if (rules[i].fixed)
            snprintf(out, sizeof out, "%s", rules[i].fixed);
        else
            snprintf(out, sizeof out, "%.*s_", (int)m[1].rm_eo, name);
        snprintf(name, max, "%s", out);
    }
}

/* Pieces that the rules are made of; random strings of them come near to all rules. */
static const char *const pieces[] = {
    "jdk/internal/reflect/GeneratedMethodAccessor",
    "$$Lambda",
    "$",
    "$$",
    ".",
    "/",
    "0x",
    "1",
    "27",
    "0a9f",
    "abcdef0123456789",
    "G",
    "x",
    "\n",
    "/tmp/",
    "./tmp/",
    "lib",
    "libzstd-jni-",
    "1.5.1-",
    "1.5.",
    "-",
    ".so",
    " (deleted)",
    "amazonCorrettoCryptoProvider",
    "NativeLibraries.",
    "/libcrypto",
    "/libamazonCorrettoCryptoProvider",
    "libasyncProfiler-",
    "linux-arm64",
    "linux-musl-x64",
    "linux-x64",
    "macos",
    "-17b9a1d8156277a98ccc871afa9a8f69215f92",
    "$$EnhancerBySpringCGLIB$$",
    "Foo",
    "_",
    "é",
};

static uint64_t seed = 0x2545F4914F6CDD1Du;

static uint32_t random_below(uint32_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 33) % n);
}

static void make_name(char *name, size_t max)
{
    /* Half of the time an example with one piece put in or a character taken out. */
    size_t n = 0;
    if (random_below(2)) {
        const char *from = examples[random_below(ARRAY_LEN(examples))].in;
        size_t len = strlen(from), cut = random_below((uint32_t)len + 1);
        const char *piece = random_below(2) ? pieces[random_below(ARRAY_LEN(pieces))] : "";
        size_t skip = MIN(random_below(2), len - cut);
        snprintf(name, max, "%.*s%s%s", (int)cut, from, piece, from + cut + skip);
        return;
    }
    for (uint32_t i = 1 + random_below(7); i; i--)
        n += (size_t)snprintf(name + n, max - n, "%s", pieces[random_below(ARRAY_LEN(pieces))]);
}

static void test_against_expressions(void **state)
{
    (void)state;
    regex_t compiled[ARRAY_LEN(rules)];
    struct arena arena;
    uint32_t changed = 0;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        assert_int_equal(regcomp(&compiled[i], rules[i].pattern, REG_EXTENDED), 0);
    arena_init(&arena, 64 * MIB);
    for (int i = 0; i < 60000; i++) {
        char name[512], want[512];
        make_name(name, sizeof name);
        snprintf(want, sizeof want, "%s", name);
        by_expressions(compiled, want, sizeof want);
        struct str out = jfr_name_rewrite(str_from(name), &arena);
        if (!str_eq(out, str_from(want)))
            fail_msg("'%s' became '%.*s', not '%s'", name, STR_ARG(out), want);
        changed += strcmp(name, want) != 0;
    }
    assert_true(changed > 5000); /* or the names are no test */
    arena_done(&arena);
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        regfree(&compiled[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_against_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
