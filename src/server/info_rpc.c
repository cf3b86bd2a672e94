/* Small services about the server itself: version.v1.Version, capabilities.v1.FeatureFlags, and
 * vcs.v1.VCSService, which there is no repository behind: clients ask and go without source code.
 * They need no tenant and answer from constants, on the worker that decoded the request. */
#include "codec/messages.h"
#include "codec/msg_table.h"
#include "server/server_int.h"

struct version_response {
    uint64_t QuerierAPI;
};

static const struct msg_field version_fields[] = {
    {"QuerierAPI", "QuerierAPI", 1, MSG_UINT64, false,
        offsetof(struct version_response, QuerierAPI), MSG_NO_HAS, NULL, NULL},
};
static const struct msg_desc version_desc = {"version.v1.VersionResponse",
    sizeof(struct version_response), version_fields, ARRAY_LEN(version_fields)};

struct feature_flag {
    struct str name;
    bool enabled;
};
struct flags_response {
    MSG_LIST(struct feature_flag) feature_flags;
};

static const struct msg_field flag_fields[] = {
    {"name", "name", 1, MSG_STRING, false, offsetof(struct feature_flag, name), MSG_NO_HAS, NULL,
        NULL},
    {"enabled", "enabled", 2, MSG_BOOL, false, offsetof(struct feature_flag, enabled), MSG_NO_HAS,
        NULL, NULL},
};
static const struct msg_desc flag_desc = {"capabilities.v1.FeatureFlag",
    sizeof(struct feature_flag), flag_fields, ARRAY_LEN(flag_fields)};
static const struct msg_field flags_fields[] = {
    {"feature_flags", "featureFlags", 1, MSG_MESSAGE, true,
        offsetof(struct flags_response, feature_flags), MSG_NO_HAS, &flag_desc, NULL},
};
static const struct msg_desc flags_desc = {"capabilities.v1.GetFeatureFlagsResponse",
    sizeof(struct flags_response), flags_fields, ARRAY_LEN(flags_fields)};

static DESC_EMPTY(version_request, "version.v1.VersionRequest");
static DESC_EMPTY(flags_request, "capabilities.v1.GetFeatureFlagsRequest");

static void handle_version(struct connect_call *call, const void *request, void *ctx)
{
    static const struct version_response rs = {1};
    (void)request;
    (void)ctx;
    connect_reply(call, &rs);
}

static void handle_flags(struct connect_call *call, const void *request, void *ctx)
{
    static struct feature_flag flags[] = {{STR("pyroscopeRuler"), false},
        {STR("pyroscopeRulerFunctions"), false}, {STR("utf8LabelNames"), true},
        {STR("v2StorageLayer"), true}};
    static const struct flags_response rs = {{flags, ARRAY_LEN(flags), ARRAY_LEN(flags)}};
    (void)request;
    (void)ctx;
    connect_reply(call, &rs);
}

static void handle_vcs(struct connect_call *call, const void *request, void *ctx)
{
    struct error err = {0};
    (void)request;
    (void)ctx;
    (void)error_set(
        &err, ST_UNIMPLEMENTED, __FILE__, __LINE__, "GitHub integration is not configured");
    connect_fail(call, &err);
}

static void vcs_routes(struct server *s, struct route_list *l)
{
    /* Whatever is asked. */
#define VCS(upper, lower)                                                                     \
    {                                                                                         \
        "/vcs.v1.VCSService/" upper, "vcs_v1_vcsservice_" lower, &m_empty_desc, &m_empty_desc \
    }
    static const struct rpc_row methods[] = {VCS("GithubApp", "githubapp"),
        VCS("GithubLogin", "githublogin"), VCS("GithubRefresh", "githubrefresh"),
        VCS("GetFile", "getfile"), VCS("GetCommit", "getcommit"), VCS("GetCommits", "getcommits")};
    route_add_service(l, &(struct connect_method){.fn = handle_vcs, .ctx = s, .unlisted = true},
        methods, sizeof *methods, ARRAY_LEN(methods));
}

void info_rpc_routes(struct server *s, struct route_list *l)
{
    vcs_routes(s, l);
    struct connect_method version = {
        .path = "/version.v1.Version/Version",
        .name = "version_v1_version_version",
        .request = &version_request_desc,
        .response = &version_desc,
        .fn = handle_version,
        .ctx = s,
    };
    struct connect_method flags = {
        .path = "/capabilities.v1.FeatureFlagsService/GetFeatureFlags",
        .name = "capabilities_v1_featureflagsservice_getfeatureflags",
        .request = &flags_request_desc,
        .response = &flags_desc,
        .fn = handle_flags,
        .ctx = s,
    };
    route_add_method(l, &version);
    route_add_method(l, &flags);
}
