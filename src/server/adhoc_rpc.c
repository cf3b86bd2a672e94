/* adhocprofiles.v1.AdHocProfileService: files that somebody uploads to look at, without a series, a
 * time range or a selector. They are kept (adhoc_files.h) until newer ones need their place.
 *
 *     Upload ─► base64 ─► read, draw ─► stored ─┐
 *     Get ────► stored ─► read, draw ───────────┴► id, types, JSON of the flame graph
 *     Diff ───► two stored ─► read, draw both;  List ─► names
 *
 * An upload that cannot be drawn is not stored. All of it is work of a query: a thread of that
 * pool, its deadline and its memory; the lock is held for the files only. Exactly one tenant.
 * Failure: statuses, nothing stored. */
#include "codec/base64.h"
#include "codec/msg_table.h"
#include "query/adhoc.h"
#include "server/adhoc_files.h"
#include "server/server_int.h"

enum { JSON_BYTES_MAX = 256 << 20 };
/* Of base64 in JSON. */
#define MESSAGE_BYTES_MAX (24 * MIB)

struct a_upload_request {
    struct str name, profile; /* profile: base64 */
    int64_t max_nodes;
    bool has_max_nodes;
};
struct a_get_request {
    struct str id, profile_type;
    bool has_profile_type;
    int64_t max_nodes;
    bool has_max_nodes;
};
struct a_get_response {
    struct str id, name;
    int64_t uploaded_at;
    struct str profile_type;
    MSG_LIST(struct str) profile_types;
    struct str flamebearer_profile;
};
struct a_metadata {
    struct str id, name;
    int64_t uploaded_at;
};
struct a_list_response {
    MSG_LIST(struct a_metadata) profiles;
};
struct a_diff_request {
    struct str left_id, right_id, profile_type;
    bool has_profile_type;
    int64_t max_nodes;
    bool has_max_nodes;
};
struct a_diff_response {
    MSG_LIST(struct str) profile_types;
    struct str flamebearer_profile;
};

#define PACKAGE "adhocprofiles.v1.AdHocProfiles"
static const struct msg_field a_upload_request_fields[] = {
    ONE(a_upload_request, name, "name", 1, STRING),
    ONE(a_upload_request, profile, "profile", 2, STRING),
    OPTIONAL(a_upload_request, max_nodes, "maxNodes", 3, INT64),
};
static DESC(a_upload_request, PACKAGE "UploadRequest");
static const struct msg_field a_get_request_fields[] = {
    ONE(a_get_request, id, "id", 1, STRING),
    OPTIONAL(a_get_request, profile_type, "profileType", 2, STRING),
    OPTIONAL(a_get_request, max_nodes, "maxNodes", 3, INT64),
};
static DESC(a_get_request, PACKAGE "GetRequest");
static const struct msg_field a_get_response_fields[] = {
    ONE(a_get_response, id, "id", 1, STRING),
    ONE(a_get_response, name, "name", 2, STRING),
    ONE(a_get_response, uploaded_at, "uploadedAt", 3, INT64),
    ONE(a_get_response, profile_type, "profileType", 4, STRING),
    MANY(a_get_response, profile_types, "profileTypes", 5, STRING),
    ONE(a_get_response, flamebearer_profile, "flamebearerProfile", 6, STRING),
};
static DESC(a_get_response, PACKAGE "GetResponse");
static DESC_EMPTY(a_list_request, PACKAGE "ListRequest");
static const struct msg_field a_metadata_fields[] = {
    ONE(a_metadata, id, "id", 1, STRING),
    ONE(a_metadata, name, "name", 2, STRING),
    ONE(a_metadata, uploaded_at, "uploadedAt", 3, INT64),
};
static DESC(a_metadata, PACKAGE "ProfileMetadata");
static const struct msg_field a_list_response_fields[] = {
    SUBS(a_list_response, profiles, "profiles", 1, a_metadata),
};
static DESC(a_list_response, PACKAGE "ListResponse");
static const struct msg_field a_diff_request_fields[] = {
    ONE(a_diff_request, left_id, "leftId", 1, STRING),
    ONE(a_diff_request, right_id, "rightId", 2, STRING),
    OPTIONAL(a_diff_request, profile_type, "profileType", 3, STRING),
    OPTIONAL(a_diff_request, max_nodes, "maxNodes", 4, INT64),
};
static DESC(a_diff_request, PACKAGE "DiffRequest");
static const struct msg_field a_diff_response_fields[] = {
    MANY(a_diff_response, profile_types, "profileTypes", 1, STRING),
    ONE(a_diff_response, flamebearer_profile, "flamebearerProfile", 2, STRING),
};
static DESC(a_diff_response, PACKAGE "DiffResponse");

/* A call on its way, in the request's arena. */
struct adhoc_call {
    struct query_job job; /* first */
    struct server *server;
    struct connect_call *call;
    const void *request;
    struct str tenant;
    struct query *q; /* while it runs */
    struct buf json; /* what the answer points to */
};
typedef enum status (*adhoc_fn)(struct adhoc_call *c, void *rs, struct error *err);

static enum status no_memory(struct error *err)
{
    FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for the answer");
}

static struct str data_dir(const struct adhoc_call *c)
{
    return config_data_dir(c->server->config);
}

static uint64_t bytes_max(const struct adhoc_call *c)
{
    struct config_limits l;
    overrides_limits(c->server->overrides, c->tenant, &l);
    bool bounded = l.max_profile_size_bytes > 0 && l.max_profile_size_bytes < ADHOC_FILE_BYTES;
    return bounded ? (uint64_t)l.max_profile_size_bytes : ADHOC_FILE_BYTES;
}

/* ── answers ── */

static enum status list_types(struct adhoc_call *c, const struct adhoc *a, const struct adhoc *both,
    struct str **ret_v, uint32_t *ret_n, struct error *err)
{
    struct str *v = ARENA_ARRAY(c->q->arena, struct str, a->n_types);
    uint32_t n = 0, ignored;
    if (!v)
        return no_memory(err);
    for (uint32_t i = 0; i < a->n_types; i++)
        if (!both || adhoc_type(both, a->types[i].type, &ignored, NULL) == ST_OK)
            v[n++] = a->types[i].type;
    *ret_v = v;
    *ret_n = n;
    return ST_OK;
}

static enum status draw(struct adhoc_call *c, const struct adhoc *a, struct str type,
    int64_t max_nodes, struct a_get_response *rs, struct error *err)
{
    uint32_t at;
    TRY(adhoc_type(a, type, &at, err));
    TRY(adhoc_render(c->q, a, at, max_nodes, &c->json, err));
    TRY(list_types(c, a, NULL, &rs->profile_types.v, &rs->profile_types.n, err));
    rs->profile_type = a->types[at].type;
    rs->flamebearer_profile = buf_view(&c->json);
    return ST_OK;
}

static void tell_file(const struct adhoc_file *f, struct a_get_response *rs)
{
    rs->id = f->id;
    rs->name = f->name;
    rs->uploaded_at = f->uploaded_ms;
}

static enum status open_stored(struct adhoc_call *c, struct str id, struct adhoc_file *ret_file,
    struct adhoc *ret_adhoc, struct error *err)
{
    struct str bytes;
    TRY(adhoc_id_parse(id, ret_file, err));
    mutex_lock(&c->server->state_lock);
    enum status st = adhoc_files_read(data_dir(c), c->tenant, id, c->q->arena, &bytes, err);
    mutex_unlock(&c->server->state_lock);
    TRY(st);
    return adhoc_open(c->q, ret_file->name, bytes, ADHOC_FILE_BYTES, ret_adhoc, err);
}

/* ── methods ── */

static enum status do_upload(struct adhoc_call *c, void *response, struct error *err)
{
    const struct a_upload_request *rq = c->request;
    struct a_get_response *rs = response;
    struct arena *arena = c->q->arena;
    struct adhoc_file f;
    struct adhoc a;
    struct str bytes;
    if (!rq->profile.n)
        FAIL(err, ST_INVALID_ARGUMENT, "profile is required");
    if (!base64_decode(rq->profile, arena, &bytes)) {
        if (arena->full)
            return no_memory(err);
        FAIL(err, ST_INVALID_ARGUMENT, "failed to upload profile: it is not base64");
    }
    if (bytes.n > bytes_max(c))
        FAIL(err, ST_INVALID_ARGUMENT, "profile payload size exceeds limit of %llu bytes",
            (unsigned long long)bytes_max(c));
    struct str name = adhoc_name(rq->name, arena);
    TRY(adhoc_open(c->q, name, bytes, bytes_max(c), &a, err));
    TRY(draw(c, &a, STR_EMPTY, rq->max_nodes, rs, err));
    mutex_lock(&c->server->state_lock);
    enum status st = adhoc_files_add(data_dir(c), c->tenant, name, bytes, arena, &f, err);
    mutex_unlock(&c->server->state_lock);
    TRY(st);
    tell_file(&f, rs);
    return ST_OK;
}

static enum status do_get(struct adhoc_call *c, void *response, struct error *err)
{
    const struct a_get_request *rq = c->request;
    struct adhoc_file f;
    struct adhoc a;
    TRY(open_stored(c, rq->id, &f, &a, err));
    TRY(draw(c, &a, rq->profile_type, rq->max_nodes, response, err));
    tell_file(&f, response);
    return ST_OK;
}

static enum status do_list(struct adhoc_call *c, void *response, struct error *err)
{
    struct a_list_response *rs = response;
    struct adhoc_list list = {0};
    mutex_lock(&c->server->state_lock);
    enum status st = adhoc_files_list(data_dir(c), c->tenant, c->q->arena, &list, err);
    mutex_unlock(&c->server->state_lock);
    TRY(st);
    rs->profiles.v = ARENA_ARRAY(c->q->arena, struct a_metadata, list.n);
    if (!rs->profiles.v)
        return no_memory(err);
    rs->profiles.n = list.n;
    for (uint32_t i = 0; i < list.n; i++)
        rs->profiles.v[i] = (struct a_metadata){
            list.v[i].id, list.v[i].name, list.v[i].uploaded_ms};
    return ST_OK;
}

static enum status do_diff(struct adhoc_call *c, void *response, struct error *err)
{
    const struct a_diff_request *rq = c->request;
    struct a_diff_response *rs = response;
    struct adhoc_file f;
    struct adhoc left, right;
    uint32_t l, r;
    TRY(open_stored(c, rq->left_id, &f, &left, err));
    TRY(open_stored(c, rq->right_id, &f, &right, err));
    TRY(list_types(c, &left, &right, &rs->profile_types.v, &rs->profile_types.n, err));
    if (!rs->profile_types.n)
        FAIL(err, ST_INVALID_ARGUMENT, "the profiles have no profile type in common");
    struct str type = rq->profile_type.n ? rq->profile_type : rs->profile_types.v[0];
    TRY(adhoc_type(&left, type, &l, err));
    TRY(adhoc_type(&right, type, &r, err));
    TRY(adhoc_diff(c->q, (struct adhoc_side){&left, l}, (struct adhoc_side){&right, r},
        rq->max_nodes, &c->json, err));
    rs->flamebearer_profile = buf_view(&c->json);
    return ST_OK;
}

struct adhoc_method {
    struct rpc_row rpc;
    adhoc_fn fn;
};
static const struct adhoc_method methods[] = {
    {{"/adhocprofiles.v1.AdHocProfileService/Upload", "adhocprofiles_v1_adhocprofileservice_upload",
         &a_upload_request_desc, &a_get_response_desc},
        do_upload},
    {{"/adhocprofiles.v1.AdHocProfileService/Get", "adhocprofiles_v1_adhocprofileservice_get",
         &a_get_request_desc, &a_get_response_desc},
        do_get},
    {{"/adhocprofiles.v1.AdHocProfileService/List", "adhocprofiles_v1_adhocprofileservice_list",
         &a_list_request_desc, &a_list_response_desc},
        do_list},
    {{"/adhocprofiles.v1.AdHocProfileService/Diff", "adhocprofiles_v1_adhocprofileservice_diff",
         &a_diff_request_desc, &a_diff_response_desc},
        do_diff},
};

/* ── the way of a call ── */

static enum status call_run(struct query_job *job, struct query *q, struct error *err)
{
    struct adhoc_call *c = (struct adhoc_call *)job;
    const struct adhoc_method *m = c->call->method->row;
    void *rs = arena_zalloc(q->arena, m->rpc.response->size);
    if (!rs)
        return no_memory(err);
    c->q = q;
    buf_init(&c->json, JSON_BYTES_MAX);
    enum status st = m->fn(c, rs, err);
    struct buf held = c->json; /* c is gone after the reply */
    if (st == ST_OK)
        connect_reply(c->call, rs);
    buf_done(&held);
    return st;
}

static void call_fail(struct query_job *job, const struct error *err)
{
    handler_log_failure(job->rq, err);
    connect_fail(((struct adhoc_call *)job)->call, err);
}

static void handle(struct connect_call *call, const void *request, void *ctx)
{
    struct server *s = ctx;
    struct error err = {0};
    struct adhoc_call *c = ARENA_NEW(call->arena, struct adhoc_call);
    enum status st = c ? ST_OK : no_memory(&err);
    if (st == ST_OK) {
        *c = (struct adhoc_call){.job = {.rq = call->rq,
                                     .name = call->method->name,
                                     .run = call_run,
                                     .fail = call_fail,
                                     .deadline_mono_ns = call->deadline_mono_ns},
            .server = s,
            .call = call,
            .request = request};
        st = handler_only_tenant(s, call->rq, &c->tenant, &err);
    }
    if (st == ST_OK)
        st = handler_tenants(s, call->rq, &c->job.tenants, &err);
    if (st == ST_OK)
        query_pool_submit(s->queries, &c->job);
    else
        connect_fail(call, &err);
}

void adhoc_rpc_routes(struct server *s, struct route_list *l)
{
    route_add_service(l,
        &(struct connect_method){.fn = handle, .ctx = s, .message_bytes_max = MESSAGE_BYTES_MAX},
        methods, sizeof *methods, ARRAY_LEN(methods));
}
