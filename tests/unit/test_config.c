/* server: flags, YAML, precedence, environment, overrides, the printed forms. */
#include "test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/config_int.h"
#include "server/overrides.h"

static char dir[] = "/tmp/test_config_XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    static const char *const names[] = {"c.yaml", "o1.yaml", "o2.yaml"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char path[128];
        assert_true(fs_path(path, sizeof path, dir, names[i]));
        unlink(path);
    }
    return rmdir(dir);
}

static const char *write_file(const char *name, const char *text)
{
    static char path[2][128];
    static unsigned turn;
    char *p = path[turn++ % 2];
    assert_true(fs_path(p, sizeof path[0], dir, name));
    FILE *f = fopen(p, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return p;
}

static enum status load(
    struct config *c, int *ret_exit, struct error *err, const char *a, const char *b, const char *d)
{
    const char *all[] = {"everflame", a, b, d, NULL};
    char *argv[5];
    int n = 0;
    for (; n < 5 && all[n]; n++)
        argv[n] = strdup(all[n]);
    enum status st = config_load(c, n, argv, ret_exit, err);
    for (int i = 0; i < n; i++)
        free(argv[i]);
    return st;
}

/* Every row is sound: unique names, a default that parses, an alias that leads somewhere. */
static void test_table(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < config_settings_n; i++) {
        const struct config_setting *s = &config_settings[i];
        struct config_value v;
        bool range;
        assert_true(s->flag || s->yaml);
        if (s->flag)
            assert_int_equal(config_find_flag(str_from(s->flag)), i);
        if (s->yaml) {
            assert_int_equal(config_find_yaml(str_from(s->yaml)), i);
            assert_false(config_is_block(str_from(s->yaml)));
        }
        if (!s->alias_of) {
            bool ok = s->type == CONFIG_ANY ||
                      config_value_parse(s->type, str_from(s->initial), &v, &range);
            if (!ok && *s->initial)
                print_error("%s: bad default %s\n", s->flag ? s->flag : s->yaml, s->initial);
            assert_true(ok || (s->offset == CONFIG_NO_MEMBER && !*s->initial));
        } else {
            assert_true(config_find_yaml(str_from(s->alias_of)) >= 0);
        }
    }
}

static void test_flag_forms(void **state)
{
    (void)state;
    static const char *const forms[][2] = {{"-server.http-listen-port=80", NULL},
        {"--server.http-listen-port=80", NULL}, {"-server.http-listen-port", "80"},
        {"--server.http-listen-port", "80"}, {"-server.http-listen-port=0x50", NULL},
        {"-server.http-listen-port=0o120", NULL}, {"-server.http-listen-port=0b101_0000", NULL}};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct config *c = config_new();
        struct error err = {0};
        int code;
        assert_int_equal(load(c, &code, &err, forms[i][0], forms[i][1], NULL), ST_OK);
        assert_int_equal(c->http_port, 80);
        config_free(c);
    }
}

static void test_flag_rules(void **state)
{
    (void)state;
    struct error err = {0};
    int code;
    struct config *c = config_new();
    /* A boolean never takes the next argument; parsing stops there. */
    assert_int_equal(
        load(c, &code, &err, "-auth.multitenancy-enabled", "false", "-server.http-listen-port=1"),
        ST_OK);
    assert_true(c->multitenancy_enabled);
    assert_true(str_eq(c->rest, STR("false")));
    assert_int_equal(c->http_port, 4040);
    config_free(c);

    c = config_new(); /* the last one wins */
    assert_int_equal(load(c, &code, &err, "-server.http-listen-port=1",
                         "-server.http-listen-port=2", "-auth.multitenancy-enabled=T"),
        ST_OK);
    assert_int_equal(c->http_port, 2);
    assert_true(c->multitenancy_enabled);
    config_free(c);

    c = config_new();
    assert_int_equal(load(c, &code, &err, "-memberlist.join=", "--", "-nonsense"), ST_OK);
    config_free(c);
}

static void test_flag_errors(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *text;
    } cases[] = {
        {"-x", NULL, "flag provided but not defined: -x"},
        {"--x=1", NULL, "flag provided but not defined: -x"},
        {"-server.http-listen-port=abc", NULL,
            "invalid value \"abc\" for flag -server.http-listen-port: parse error"},
        {"-server.http-listen-port=99999999999999999999", NULL,
            "invalid value \"99999999999999999999\" for flag -server.http-listen-port: value out "
            "of range"},
        {"-config.file", NULL, "flag needs an argument: -config.file"},
        {"-auth.multitenancy-enabled=yes", NULL,
            "invalid boolean value \"yes\" for -auth.multitenancy-enabled: parse error"},
        {"-shutdown-delay=1d", NULL, "invalid value \"1d\" for flag -shutdown-delay: parse error"},
        {"---x", NULL, "bad flag syntax: ---x"},
        {"-=x", NULL, "bad flag syntax: -=x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config *c = config_new();
        struct error err = {0};
        int code = 0;
        char want[256];
        snprintf(want, sizeof want, "%s\nRun with -help to get a list of available parameters",
            cases[i].text);
        assert_int_equal(load(c, &code, &err, cases[i].a, cases[i].b, NULL), ST_INVALID_ARGUMENT);
        assert_string_equal(err.msg, want);
        assert_int_equal(code, 2);
        config_free(c);
    }
}

static void test_durations(void **state)
{
    (void)state;
    static const struct {
        const char *text, *shown;
        int64_t ns;
        bool extended, bad;
    } cases[] = {
        {"300ms", "300ms", 300 * NS_PER_MS, false, false},
        {"1.5h", "1h30m0s", 5400 * NS_PER_S, false, false},
        {"2h45m", "2h45m0s", 9900 * NS_PER_S, false, false},
        {"-1m", "-1m0s", -60 * NS_PER_S, false, false},
        {"0", "0s", 0, false, false},
        {"1.5s", "1.5s", 1500 * NS_PER_MS, false, false},
        {"1d", "", 0, false, true},
        {"5", "", 0, false, true},
        {"", "", 0, false, true},
        {"9999999h", "", 0, false, true},
        {".s", "", 0, false, true},
        {"30d", "30d", 30 * 86400 * NS_PER_S, true, false},
        {"31d", "31d", 31 * 86400 * NS_PER_S, true, false},
        {"7d", "1w", 7 * 86400 * NS_PER_S, true, false},
        {"721h", "721h", 721 * 3600 * NS_PER_S, true, false},
        {"1d12h", "1d12h", 36 * 3600 * NS_PER_S, true, false},
        {"1h", "1h", 3600 * NS_PER_S, true, false},
        {"0", "0s", 0, true, false},
        {"0s", "0s", 0, true, false},
        {"1.5h", "", 0, true, true},
        {"1m1h", "", 0, true, true},
        {"1h1h", "", 0, true, true},
        {"-1h", "", 0, true, true},
        {"300y", "", 0, true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ns = -7;
        struct str text = str_from(cases[i].text);
        bool ok = cases[i].extended ? config_xduration_parse(text, &ns)
                                    : config_duration_parse(text, &ns);
        if (ok == cases[i].bad)
            print_error("%s\n", cases[i].text);
        assert_int_equal(ok, !cases[i].bad);
        if (!ok)
            continue;
        assert_int_equal(ns, cases[i].ns);
        struct buf out;
        buf_init(&out, 100);
        config_value_format(cases[i].extended ? CONFIG_XDURATION : CONFIG_DURATION, &ns, &out);
        if (strcmp(cases[i].text, "1d12h") != 0) /* printed in hours, as Prometheus does */
            assert_true(str_eq(buf_view(&out), str_from(cases[i].shown)));
        buf_done(&out);
    }
}

/* The configuration of the adoption RFC, as written. */
static const char rfc_file[] = "# pyroscope-config.yaml\n"
                               "target: all                 # monolithic mode\n"
                               "server:\n"
                               "  http_listen_port: 4040\n"
                               "\n"
                               "storage:\n"
                               "  backend: filesystem\n"
                               "  filesystem:\n"
                               "    data_path: /data/pyroscope\n"
                               "\n"
                               "limits:\n"
                               "  max_query_lookback: 30d   # how far back queries can reach\n"
                               "  ingestion_rate_mb: 100    # per-tenant ingestion limit\n"
                               "\n"
                               "# Optional: enable self-monitoring metrics\n"
                               "self_profiling:\n"
                               "  disable_push: false\n";

static void test_rfc_file(void **state)
{
    (void)state;
    struct config *c = config_new();
    struct error err = {0};
    int code;
    char flag[256];
    snprintf(flag, sizeof flag, "-config.file=%s", write_file("c.yaml", rfc_file));
    assert_int_equal(load(c, &code, &err, flag, NULL, NULL), ST_OK);
    assert_int_equal(config_validate(c, &err), ST_OK);
    assert_int_equal(c->http_port, 4040);
    assert_true(str_eq(config_data_dir(c), STR("/data/pyroscope")));
    struct ingest_limits in;
    struct query_limits q;
    config_limits_ingest(&c->limits, &in);
    config_limits_query(&c->limits, &q);
    assert_true(in.rate_bytes_per_s == 100.0 * (double)MIB);
    assert_true(q.max_query_lookback_ns == 30 * 86400 * NS_PER_S);
    assert_int_equal(q.max_query_length_ns, 0);
    config_free(c);
}

static void test_precedence(void **state)
{
    (void)state;
    struct config *c = config_new();
    struct error err = {0};
    int code;
    char flag[256];
    snprintf(flag, sizeof flag, "-config.file=%s",
        write_file("c.yaml", "server:\n  http_listen_port: 1\n  log_level: debug\n"));
    assert_int_equal(load(c, &code, &err, "-server.http-listen-port=2", flag, NULL), ST_OK);
    assert_int_equal(c->http_port, 2);
    assert_true(str_eq(c->log_level, STR("debug")));
    config_free(c);
    c = config_new();
    assert_int_equal(
        load(c, &code, &err, "-config.file=/nowhere/x.yaml", NULL, NULL), ST_NOT_FOUND);
    assert_int_equal(code, 1);
    assert_string_equal(
        err.msg, "failed parsing config: open /nowhere/x.yaml: no such file or directory");
    config_free(c);
    c = config_new(); /* help does not read the file */
    assert_int_equal(load(c, &code, &err, "-config.file=/nowhere/x.yaml", "-help", NULL), ST_OK);
    assert_true(c->help);
    config_free(c);
}

static void test_yaml_errors(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *text;
    } cases[] = {
        {"nonsense: 1\n",
            "f: yaml: unmarshal errors:\n  line 1: field nonsense not found in type config"},
        {"server:\n  http_port: 1\n",
            "f: yaml: unmarshal errors:\n  line 2: field http_port not found in type server"},
        {"server:\n  http_listen_port: abc\n",
            "f: yaml: unmarshal errors:\n  line 2: cannot unmarshal !!str `abc` into int"},
        {"server:\n  http_listen_port: \"80\"\n",
            "f: yaml: unmarshal errors:\n  line 2: cannot unmarshal !!str `80` into int"},
        {"server:\n  http_listen_port: [1]\n",
            "f: yaml: unmarshal errors:\n  line 2: cannot unmarshal !!seq into int"},
        {"server: 5\n",
            "f: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!int `5` into server"},
        {"- a\n", "f: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!seq into config"},
        {"multitenancy_enabled: maybe\n",
            "f: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!str `maybe` into bool"},
        {"shutdown_delay: 5\n",
            "f: yaml: unmarshal errors:\n  line 1: cannot unmarshal !!int `5` into time.Duration"},
        {"limits:\n  max_query_lookback: a-very-long-text\n",
            "f: yaml: unmarshal errors:\n  line 2: cannot unmarshal !!str `a-very-...` into "
            "model.Duration"},
        {"target: all\ntarget: all\n",
            "f: yaml: unmarshal errors:\n  line 2: mapping key \"target\" already defined at line "
            "1"},
        {"a: 1\nserver:\n  b: 2\nlimits:\n  ingestion_rate_mb: x\n",
            "f: yaml: unmarshal errors:\n  line 1: field a not found in type config\n  line 3: "
            "field b not found in type server\n  line 5: cannot unmarshal !!str `x` into float64"},
        {"server.http_listen_port: 1\n",
            "f: yaml: unmarshal errors:\n  line 1: field server.http_listen_port not found in type "
            "config"},
        {"Server:\n  http_listen_port: 1\n",
            "f: yaml: unmarshal errors:\n  line 1: field Server not found in type config"},
        {"? [a]\n: 1\n", "f: yaml: unmarshal errors:\n  line 1: invalid map key"},
        {"target: \"all\n", "f: yaml: line 2: found unexpected end of stream"},
        {"limits:\n  distributor_usage_groups: [a]\n",
            "f: yaml: unmarshal errors:\n  line 2: cannot unmarshal !!seq into map[string]string"},
        {"limits:\n  distributor_usage_groups:\n    a: [b]\n",
            "f: yaml: unmarshal errors:\n  line 3: cannot unmarshal !!map into map[string]string"},
        {"limits:\n  distributor_usage_groups: {a: b c}\n",
            "f: yaml: unmarshal errors:\n  line 2: usage group \"a\": 1:3: parse error: unexpected "
            "identifier \"c\", expected end of input"},
        {"limits:\n  distributor_sampling: {usage_groups: {a: {probability: 2}}}\n",
            "f: yaml: unmarshal errors:\n  line 2: usage group \"a\": probability is not a number "
            "from 0 to 1"},
        {"overrides:\n  a: {}\n",
            "f: yaml: unmarshal errors:\n  line 1: field overrides not found in type config"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config *c = config_new();
        struct error err = {0};
        assert_int_equal(config_yaml(c, str_from(cases[i].yaml), "f", &err), ST_INVALID_ARGUMENT);
        assert_string_equal(err.msg, cases[i].text);
        config_free(c);
    }
}

static void test_yaml_accepts(void **state)
{
    (void)state;
    static const char *const files[] = {
        "",
        "# only comments\n",
        "server:\n",
        "server:\n  # nothing\nlimits: ~\n",
        "target: all\n---\nnonsense: 1\n",
        "memberlist:\n  join_members: [a:7946, b:7946]\n",
        "limits:\n  ingestion_relabeling_rules:\n    - action: drop\n      source_labels: [a, b]\n",
        "limits:\n  distributor_usage_groups: {a: '{b=\"c\"}', 'x-${labels.env}': '{}'}\n",
        "limits:\n  distributor_sampling:\n    usage_groups:\n      a: {probability: 0.5}\n",
        "limits:\n  ingestion_limit: {usage_groups: {a: {limit_reached: true}, b: {}}}\n",
        "limits: {ingestion_artificial_delay: 1s, keep_stripped_profiles: true}\n",
        "limits: {ingestion_rate_mb: 0x10, max_query_lookback: 0, reject_older_than: 0s}\n",
        "server: &s\n  http_listen_port: 7\n",
        "ingester:\n  lifecycler:\n    ring:\n      kvstore:\n        store: inmemory\n",
        "distributor:\n  ring:\n    kvstore:\n      etcd:\n        password: geheim\n",
        "analytics:\n  reporting_enabled: off\n",
        "compactor:\n  blocks_retention_period: 30d\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct config *c = config_new();
        struct error err = {0};
        enum status st = config_yaml(c, str_from(files[i]), "f", &err);
        if (st != ST_OK)
            print_error("%s\n", err.msg);
        assert_int_equal(st, ST_OK);
        config_free(c);
    }
}

/* The table's defaults are those that ingest would take by itself. */
static void test_ingest_defaults(void **state)
{
    (void)state;
    struct config *c = config_new();
    struct ingest_limits a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    config_limits_ingest(&c->limits, &a);
    ingest_limits_default(&b);
    assert_true(a.rate_bytes_per_s == b.rate_bytes_per_s && a.burst_bytes == b.burst_bytes);
    assert_int_equal(a.body_bytes_max, b.body_bytes_max);
    assert_int_equal(a.profile_bytes_max, b.profile_bytes_max);
    assert_int_equal(a.profile_samples_max, b.profile_samples_max);
    assert_int_equal(a.sample_labels_max, b.sample_labels_max);
    assert_int_equal(a.stack_depth_max, b.stack_depth_max);
    assert_int_equal(a.string_bytes_max, b.string_bytes_max);
    assert_int_equal(a.label_name_bytes_max, b.label_name_bytes_max);
    assert_int_equal(a.label_value_bytes_max, b.label_value_bytes_max);
    assert_int_equal(a.labels_per_series_max, b.labels_per_series_max);
    assert_int_equal(a.sessions_per_series_max, b.sessions_per_series_max);
    assert_int_equal(a.label_sanitization, b.label_sanitization);
    assert_int_equal(a.reject_older_than_ns, b.reject_older_than_ns);
    assert_int_equal(a.reject_newer_than_ns, b.reject_newer_than_ns);
    config_free(c);
}

static void test_retention(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        int64_t days;
    } cases[] = {{"", 31}, {"compactor: {blocks_retention_period: 30d}\n", 30},
        {"limits: {compactor_blocks_retention_period: 7d}\n", 7},
        {"limits: {compactor_blocks_retention_period: 7d, retention_period: 9d}\n", 9},
        {"limits: {retention_period: 0}\n", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config *c = config_new();
        struct error err = {0};
        struct query_limits q;
        assert_int_equal(config_yaml(c, str_from(cases[i].yaml), "f", &err), ST_OK);
        assert_int_equal(config_limits_retention_ns(&c->limits), cases[i].days * 86400 * NS_PER_S);
        config_limits_query(&c->limits, &q);
        assert_int_equal(q.max_query_lookback_ns, cases[i].days * 86400 * NS_PER_S);
        config_free(c);
    }
}

static void test_data_dir(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *dir;
    } cases[] = {{"", "./data"}, {"storage: {filesystem: {dir: /a}}", "/a"},
        {"storage: {filesystem: {data_path: /b}}", "/b"}, {"pyroscopedb: {data_path: /c}", "/c"},
        {"storage: {filesystem: {dir: /a}}\npyroscopedb: {data_path: /c}", "/a"},
        {"storage: {filesystem: {dir: /a}}\ndata_dir: /d", "/d"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config *c = config_new();
        struct error err = {0};
        assert_int_equal(config_yaml(c, str_from(cases[i].yaml), "f", &err), ST_OK);
        assert_true(str_eq(config_data_dir(c), str_from(cases[i].dir)));
        config_free(c);
    }
}

static void test_validate(void **state)
{
    (void)state;
    static const struct {
        const char *flag, *text;
    } cases[] = {
        {"-target=", "failed creating everflame: no modules specified"},
        {"-target=foo", "failed running everflame: unrecognised module name: foo"},
        {"-target=all,ingester", "failed running everflame: module ingester cannot run on its own "
                                 "in this version: use -target=all"},
        {"-storage.backend=s3", "failed creating everflame: storage.backend=s3 is not in this "
                                "version: use filesystem"},
        {"-storage.backend=tape", "failed creating everflame: unsupported storage backend: tape"},
        {"-server.http-listen-port=65536",
            "failed creating everflame: server.http_listen_port 65536 is not a port (0 to 65535)"},
        {"-log.level=loud", "failed creating everflame: unrecognized log level \"loud\": use "
                            "debug, info, warn or error"},
        {"-server.http-tls-cert-path=/x.pem",
            "failed creating everflame: server.http_tls_config: cert_file and key_file go "
            "together"},
        {"-server.http-tls-ca-path=/x.pem",
            "failed creating everflame: server.http_tls_config: rules for clients need cert_file "
            "and key_file"},
        {"-server.http-tls-client-auth=Maybe",
            "failed creating everflame: server.http_tls_config: client_auth_type \"Maybe\": use "
            "NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or "
            "RequireAndVerifyClientCert"},
        {"-server.tls-min-version=1.2",
            "failed creating everflame: server.tls_min_version \"1.2\": use VersionTLS10 to "
            "VersionTLS13"},
        {"-server.path-prefix=x",
            "failed creating everflame: server.http_path_prefix must begin with /"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct config *c = config_new();
        struct error err = {0};
        int code;
        assert_int_equal(load(c, &code, &err, cases[i].flag, NULL, NULL), ST_OK);
        assert_int_not_equal(config_validate(c, &err), ST_OK);
        assert_string_equal(err.msg, cases[i].text);
        config_free(c);
    }
}

static void test_expand(void **state)
{
    (void)state;
    setenv("EF_A", "one", 1);
    setenv("EF_EMPTY", "", 1);
    unsetenv("EF_NONE");
    static const struct {
        const char *in, *out;
    } cases[] = {{"a: ${EF_A}", "a: one"}, {"${EF_NONE}", ""}, {"${EF_NONE:-x y}", "x y"},
        {"${EF_EMPTY:-d}", "d"}, {"${EF_EMPTY-d}", ""}, {"${EF_NONE-d}", "d"},
        {"${EF_NONE:=http://h:1}", "http://h:1"}, {"${EF_A:-d}", "one"},
        {"$EF_A $ $$", "$EF_A $ $$"}, {"$${EF_A}", "${EF_A}"}, {"${EF_A}${EF_A}", "oneone"},
        {"${EF_NONE:-}", ""}};
    static const struct {
        const char *in, *text;
    } bad[] = {{"x\n${EF_A", "line 2: ${ without }"}, {"${EF_A\n}", "line 1: ${ without }"},
        {"${}", "line 1: cannot expand ${}: use ${NAME} or ${NAME:-default}"},
        {"${EF_A:-${EF_B}}",
            "line 1: cannot expand ${EF_A:-${EF_B}: use ${NAME} or ${NAME:-default}"},
        {"${EF_A^^}", "line 1: cannot expand ${EF_A^^}: use ${NAME} or ${NAME:-default}"}};
    struct buf out;
    struct error err = {0};
    buf_init(&out, 1000);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_clear(&out);
        assert_int_equal(config_expand_env(str_from(cases[i].in), &out, &err), ST_OK);
        assert_true(str_eq(buf_view(&out), str_from(cases[i].out)));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        buf_clear(&out);
        assert_int_equal(config_expand_env(str_from(bad[i].in), &out, &err), ST_INVALID_ARGUMENT);
        assert_string_equal(err.msg, bad[i].text);
    }
    buf_done(&out);
    struct config *c = config_new();
    int code;
    char flag[256];
    snprintf(flag, sizeof flag, "-config.file=%s",
        write_file("c.yaml", "data_dir: /x/${EF_A}\nserver: {http_listen_port: ${EF_P:-9}}\n"));
    assert_int_equal(load(c, &code, &err, flag, "-config.expand-env", NULL), ST_OK);
    assert_true(str_eq(c->data_dir, STR("/x/one")));
    assert_int_equal(c->http_port, 9);
    config_free(c);
}

static void test_overrides(void **state)
{
    (void)state;
    struct config *c = config_new();
    struct error err = {0};
    struct overrides *ov;
    int code;
    char flag[512];
    const char *o1 = write_file("o1.yaml", "overrides:\n  a:\n    ingestion_rate_mb: 10\n"
                                           "    max_query_lookback: 1d\n  empty:\n");
    const char *o2 = write_file("o2.yaml", "overrides:\n  a:\n    max_query_lookback: 2d\n  b:\n"
                                           "    max_query_length: 1h\n");
    snprintf(flag, sizeof flag, "-runtime-config.file=%s,%s", o1, o2);
    assert_int_equal(load(c, &code, &err, flag, "-distributor.ingestion-rate-limit-mb=7",
                         "-querier.max-query-length=5h"),
        ST_OK);
    assert_int_equal(overrides_open(c, &ov, &err), ST_OK);
    struct config_limits l;
    overrides_limits(ov, STR("a"), &l);
    assert_true(l.ingestion_rate_mb == 10);
    assert_int_equal(l.max_query_lookback_ns, 2 * 86400 * NS_PER_S);
    assert_int_equal(l.max_query_length_ns, 5 * 3600 * NS_PER_S); /* inherited */
    overrides_limits(ov, STR("empty"), &l);
    assert_true(l.ingestion_rate_mb == 7);
    overrides_limits(ov, STR("nobody"), &l);
    assert_true(l.ingestion_rate_mb == 7);

    struct query_limits q; /* the smallest of each */
    overrides_query_limits(ov, (struct str[]){STR("a"), STR("b")}, 2, &q);
    assert_int_equal(q.max_query_lookback_ns, 2 * 86400 * NS_PER_S);
    assert_int_equal(q.max_query_length_ns, 3600 * NS_PER_S);

    /* A bad file changes nothing; a good one replaces everything. */
    write_file("o2.yaml", "overrides:\n  a:\n    nonsense: 1\n");
    assert_int_equal(overrides_reload(ov, &err), ST_INVALID_ARGUMENT);
    assert_true(str_contains(error_str(&err), STR("failed to load runtime config: ")));
    assert_true(
        str_contains(error_str(&err), STR("\n  line 3: field nonsense not found in type limits")));
    overrides_limits(ov, STR("a"), &l);
    assert_int_equal(l.max_query_lookback_ns, 2 * 86400 * NS_PER_S);
    write_file("o2.yaml", "overrides:\n  a:\n    ingestion_rate_mb: 11\n");
    assert_int_equal(overrides_reload(ov, &err), ST_OK);
    overrides_limits(ov, STR("a"), &l);
    assert_true(l.ingestion_rate_mb == 11);
    assert_int_equal(l.max_query_lookback_ns, 86400 * NS_PER_S);
    overrides_limits(ov, STR("b"), &l);
    assert_int_equal(l.max_query_length_ns, 5 * 3600 * NS_PER_S);
    write_file("o2.yaml", "limits:\n  x: 1\n");
    assert_int_equal(overrides_reload(ov, &err), ST_INVALID_ARGUMENT);
    overrides_close(ov);
    config_free(c);
}

static void test_dump(void **state)
{
    (void)state;
    struct config *c = config_new();
    struct error err = {0};
    struct buf out;
    buf_init(&out, 1 << 20);
    config_dump(c, CONFIG_DUMP_DIFF, &out);
    assert_true(str_eq(buf_view(&out), STR("{}\n")));
    static const char yaml[] =
        "limits: {max_query_lookback: 30d}\n"
        "storage: {filesystem: {data_path: /b}, s3: {secret_access_key: k}}\n"
        "server: {http_listen_port: 1}\n";
    assert_int_equal(config_yaml(c, str_from(yaml), "f", &err), ST_OK);
    buf_clear(&out);
    config_dump(c, CONFIG_DUMP_DIFF, &out);
    static const char want[] = "limits:\n  max_query_lookback: 30d\nserver:\n"
                               "  http_listen_port: 1\nstorage:\n  filesystem:\n    dir: \"/b\"\n"
                               "  s3:\n    secret_access_key: \"********\"\n";
    assert_true(str_eq(buf_view(&out), str_from(want)));
    /* What is printed is a configuration that says the same. */
    buf_clear(&out);
    config_dump(c, CONFIG_DUMP_ALL, &out);
    struct config *again = config_new();
    assert_int_equal(config_yaml(again, buf_view(&out), "f", &err), ST_OK);
    assert_int_equal(again->http_port, 1);
    assert_int_equal(again->limits.max_query_lookback_ns, 30 * 86400 * NS_PER_S);
    config_free(again);
    buf_done(&out);
    config_free(c);
}

static void test_help(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 1 << 20);
    config_help(false, &out);
    assert_true(str_contains(buf_view(&out), STR("-config.file")));
    assert_false(str_contains(buf_view(&out), STR("-server.http-workers")));
    assert_true(str_ends(buf_view(&out), STR("use -help-all.\n")));
    buf_clear(&out);
    config_help(true, &out);
    assert_true(str_contains(buf_view(&out), STR("-server.http-workers")));
    buf_done(&out);
}

/* docs/reference/configuration.md is what the table says. Tests run at the root of the sources. */
static void test_docs(void **state)
{
    (void)state;
    struct buf made, file;
    struct error err = {0};
    buf_init(&made, 1 << 20);
    buf_init(&file, 1 << 20);
    config_docs(&made);
    assert_int_equal(
        fs_read_all(&fs_real, "docs/reference/configuration.md", 1 << 20, &file, &err), ST_OK);
    assert_true(str_eq(buf_view(&made), buf_view(&file)));
    buf_done(&made);
    buf_done(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_flag_forms),
        cmocka_unit_test(test_flag_rules),
        cmocka_unit_test(test_flag_errors),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_rfc_file),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_yaml_errors),
        cmocka_unit_test(test_yaml_accepts),
        cmocka_unit_test(test_ingest_defaults),
        cmocka_unit_test(test_retention),
        cmocka_unit_test(test_data_dir),
        cmocka_unit_test(test_validate),
        cmocka_unit_test(test_expand),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_dump),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_docs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
