/* The settings of server.http_tls_config as what net takes.
 *
 * Names and rules are those of Go's crypto/tls and of the exporter toolkit, which users know from
 * the reference. What would silently be less safe than it reads is an error: authorities without a
 * rule that uses them, a rule without authorities, a key without a certificate. */
#include "server/config_int.h"
#include "server/tls_config.h"

#define FAIL_TLS(err, text) \
    FAIL(err, ST_INVALID_ARGUMENT, "failed creating everflame: server.http_tls_config: " text)

static enum status read_client_auth(
    struct str name, enum http_client_auth *ret_auth, struct error *err)
{
    static const struct {
        const char *name;
        enum http_client_auth auth;
    } known[] = {
        {"", HTTP_CLIENT_NONE},
        {"NoClientCert", HTTP_CLIENT_NONE},
        {"RequestClientCert", HTTP_CLIENT_REQUEST},
        {"RequireClientCert", HTTP_CLIENT_REQUIRE},
        {"RequireAnyClientCert", HTTP_CLIENT_REQUIRE},
        {"VerifyClientCertIfGiven", HTTP_CLIENT_VERIFY_IF_GIVEN},
        {"RequireAndVerifyClientCert", HTTP_CLIENT_VERIFY},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eq(name, str_from(known[i].name))) {
            *ret_auth = known[i].auth;
            return ST_OK;
        }
    FAIL(err, ST_INVALID_ARGUMENT,
        "failed creating everflame: server.http_tls_config: client_auth_type \"%.*s\": use "
        "NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or "
        "RequireAndVerifyClientCert",
        STR_ARG(name));
}

static enum status read_version(struct str name, int *ret_version, struct error *err)
{
    static const char *const names[] = {
        "VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"};
    if (name.n == 0)
        return ST_OK;
    for (int i = 0; i < (int)ARRAY_LEN(names); i++)
        if (str_eq(name, str_from(names[i]))) {
            *ret_version = 10 + i;
            return ST_OK;
        }
    FAIL(err, ST_INVALID_ARGUMENT,
        "failed creating everflame: server.tls_min_version \"%.*s\": use VersionTLS10 to "
        "VersionTLS13",
        STR_ARG(name));
}

enum status config_tls(const struct config *c, struct http_tls_config *tls, struct error *err)
{
    tls->cert_file = c->tls_cert_file;
    tls->key_file = c->tls_key_file;
    tls->client_ca_file = c->tls_client_ca_file;
    tls->cert = c->tls_cert;
    tls->key = c->tls_key;
    tls->client_ca = c->tls_client_ca;
    tls->cipher_suites = c->tls_cipher_suites;
    TRY(read_client_auth(c->tls_client_auth, &tls->client_auth, err));
    TRY(read_version(c->tls_min_version, &tls->min_version, err));
    bool cert = c->tls_cert_file.n || c->tls_cert.n, key = c->tls_key_file.n || c->tls_key.n;
    bool ca = c->tls_client_ca_file.n || c->tls_client_ca.n;
    bool verifies = tls->client_auth == HTTP_CLIENT_VERIFY ||
                    tls->client_auth == HTTP_CLIENT_VERIFY_IF_GIVEN;
    if (cert != key)
        FAIL_TLS(err, "cert_file and key_file go together");
    if (!cert && (ca || tls->client_auth != HTTP_CLIENT_NONE))
        FAIL_TLS(err, "rules for clients need cert_file and key_file");
    if (ca && !verifies)
        FAIL_TLS(err, "client_ca_file needs client_auth_type RequireAndVerifyClientCert or "
                      "VerifyClientCertIfGiven");
    if (verifies && !ca)
        FAIL_TLS(err, "client_auth_type needs client_ca_file");
    return ST_OK;
}
