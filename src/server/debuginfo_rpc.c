/* debuginfo.v1alpha1.DebuginfoService, as a server has it that takes no debug information: uploads
 * are declined with the words that the reference's command line knows, and there is nothing to
 * list, finish or delete. Programs are symbolised before they upload, or not at all: nothing here
 * would read a file.
 *
 * What is malformed is told so first, and a tenant is needed, as where uploads are taken.
 * Thread: a worker. Failure: statuses. */
#include "codec/msg_table.h"
#include "server/server_int.h"

enum { ID_MIN = 2, ID_MAX = 40, TYPE_FULL = 1, TYPE_NO_TEXT = 2 };
#define UPLOAD_PATH "/debuginfo.v1alpha1.DebuginfoService/Upload/"
#define PACKAGE "debuginfo.v1alpha1."

struct d_file {
    struct str gnu_build_id, go_build_id, otel_file_id, name;
    int32_t type;
};
struct d_should_request {
    struct d_file *file;
};
struct d_should_response {
    bool should_initiate_upload;
    struct str reason;
};
struct d_id {
    struct str gnu_build_id;
};
struct d_object {
    struct d_file *file;
};
struct d_objects {
    MSG_LIST(struct d_object) object;
};

static const char *const type_names[] = {
    "TYPE_UNSPECIFIED", "TYPE_EXECUTABLE_FULL", "TYPE_EXECUTABLE_NO_TEXT"};
static const struct msg_enum types = {
    .names = type_names, .n = ARRAY_LEN(type_names), .name = PACKAGE "FileMetadata.Type"};
static const struct msg_field d_file_fields[] = {
    ONE(d_file, gnu_build_id, "gnuBuildId", 1, STRING),
    ONE(d_file, go_build_id, "goBuildId", 2, STRING),
    ONE(d_file, otel_file_id, "otelFileId", 3, STRING),
    ONE(d_file, name, "name", 4, STRING),
    ENUM(d_file, type, "type", 5, types),
};
static DESC(d_file, PACKAGE "FileMetadata");
static const struct msg_field d_should_request_fields[] = {
    SUB(d_should_request, file, "file", 1, d_file),
};
static DESC(d_should_request, PACKAGE "ShouldInitiateUploadRequest");
static const struct msg_field d_should_response_fields[] = {
    ONE(d_should_response, should_initiate_upload, "shouldInitiateUpload", 1, BOOL),
    ONE(d_should_response, reason, "reason", 2, STRING),
};
static DESC(d_should_response, PACKAGE "ShouldInitiateUploadResponse");
static const struct msg_field d_id_fields[] = {
    ONE(d_id, gnu_build_id, "gnuBuildId", 1, STRING),
};
static DESC_LIKE(d_finished_request, d_id, PACKAGE "UploadFinishedRequest");
static DESC_EMPTY(d_finished_response, PACKAGE "UploadFinishedResponse");
static DESC_LIKE(d_delete_request, d_id, PACKAGE "DeleteDebuginfoRequest");
static DESC_EMPTY(d_delete_response, PACKAGE "DeleteDebuginfoResponse");
static DESC_EMPTY(d_list_request, PACKAGE "ListDebuginfoRequest");
static const struct msg_field d_object_fields[] = {
    SUB(d_object, file, "file", 1, d_file),
};
static DESC(d_object, PACKAGE "ObjectMetadata");
static const struct msg_field d_objects_fields[] = {
    SUBS(d_objects, object, "object", 1, d_object),
};
static DESC(d_objects, PACKAGE "ListDebuginfoResponse");

static enum status check_id(struct str id, struct error *err)
{
    bool ok = id.n >= ID_MIN && id.n <= ID_MAX;
    for (size_t i = 0; ok && i < id.n; i++)
        ok = id.p[i] && strchr("0123456789abcdefABCDEF", id.p[i]);
    if (!ok)
        FAIL(err, ST_INVALID_ARGUMENT, "invalid gnu_build_id \"%.*s\"", STR_ARG(str_head(id, 100)));
    return ST_OK;
}

/* ── methods ── */

static enum status do_should(const void *request, const void **ret_rs, struct error *err)
{
    static const struct d_should_response no_id = {false, STR("the file has no gnu_build_id")};
    static const struct d_should_response off = {false, STR("DebugInfo upload disabled")};
    const struct d_file *f = ((const struct d_should_request *)request)->file;
    if (!f)
        FAIL(err, ST_INVALID_ARGUMENT, "the file is missing");
    *ret_rs = f->gnu_build_id.n ? &off : &no_id;
    if (f->gnu_build_id.n)
        TRY(check_id(f->gnu_build_id, err));
    if (f->type != TYPE_FULL && f->type != TYPE_NO_TEXT)
        FAIL(err, ST_INVALID_ARGUMENT, "the type of the file is not one that can be uploaded");
    return ST_OK;
}

static enum status do_finished(const void *request, const void **ret_rs, struct error *err)
{
    struct str id = ((const struct d_id *)request)->gnu_build_id;
    (void)ret_rs;
    TRY(check_id(id, err));
    FAIL(err, ST_NOT_FOUND, "there is no upload of %.*s", STR_ARG(id));
}

static enum status do_delete(const void *request, const void **ret_rs, struct error *err)
{
    static const struct m_empty empty;
    *ret_rs = &empty;
    return check_id(((const struct d_id *)request)->gnu_build_id, err);
}

static enum status do_list(const void *request, const void **ret_rs, struct error *err)
{
    static const struct d_objects none;
    (void)request;
    (void)err;
    *ret_rs = &none;
    return ST_OK;
}

struct debuginfo_method {
    struct rpc_row rpc;
    enum status (*fn)(const void *request, const void **ret_rs, struct error *err);
};
static const struct debuginfo_method methods[] = {
    {{"/debuginfo.v1alpha1.DebuginfoService/ShouldInitiateUpload",
         "debuginfo_v1alpha1_debuginfoservice_shouldinitiateupload", &d_should_request_desc,
         &d_should_response_desc},
        do_should},
    {{"/debuginfo.v1alpha1.DebuginfoService/UploadFinished",
         "debuginfo_v1alpha1_debuginfoservice_uploadfinished", &d_finished_request_desc,
         &d_finished_response_desc},
        do_finished},
    {{"/debuginfo.v1alpha1.DebuginfoService/ListDebuginfo",
         "debuginfo_v1alpha1_debuginfoservice_listdebuginfo", &d_list_request_desc,
         &d_objects_desc},
        do_list},
    {{"/debuginfo.v1alpha1.DebuginfoService/DeleteDebuginfo",
         "debuginfo_v1alpha1_debuginfoservice_deletedebuginfo", &d_delete_request_desc,
         &d_delete_response_desc},
        do_delete},
};

static void handle(struct connect_call *call, const void *request, void *ctx)
{
    struct error err = {0};
    struct str tenant;
    const void *rs = NULL;
    const struct debuginfo_method *m = call->method->row;
    enum status st = handler_only_tenant(ctx, call->rq, &tenant, &err);
    if (st == ST_OK)
        st = m->fn(request, &rs, &err);
    if (st == ST_OK)
        connect_reply(call, rs);
    else
        connect_fail(call, &err);
}

/* Bytes of a file, which nobody was asked for. */
static void handle_upload(struct http_request *rq, void *ctx)
{
    struct error err = {0};
    struct str tenant;
    if (handler_only_tenant(ctx, rq, &tenant, &err) == ST_OK &&
        check_id(str_skip(rq->path, sizeof UPLOAD_PATH - 1), &err) == ST_OK) {
        (void)error_set(&err, ST_FAILED_PRECONDITION, __FILE__, __LINE__,
            "no upload of this file was begun: DebugInfo upload disabled");
        err.http = 412;
    }
    http_reply_error(rq, &err);
}

void debuginfo_rpc_routes(struct server *s, struct route_list *l)
{
    route_add_service(l,
        &(struct connect_method){.fn = handle, .ctx = s, .message_bytes_max = 5 * MIB}, methods,
        sizeof *methods, ARRAY_LEN(methods));
    struct http_route upload = {
        .methods = HTTP_M_POST,
        .path = UPLOAD_PATH,
        .name = "debuginfo_v1alpha1_debuginfoservice_upload",
        .handler = handle_upload,
        .ctx = s,
        .body_bytes_max = 64 * KIB, /* a file is larger: 413, and it is not read */
        .prefix = true,
    };
    route_add(l, &upload);
}
