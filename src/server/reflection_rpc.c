/* grpc.reflection: what this server speaks, for clients like grpcurl that bring no schema. Both
 * versions of the service, v1 and v1alpha, which differ in their names only.
 *
 *     routes ─(start)─► descriptors (codec/descriptor.h) ─► ServerReflectionInfo: a question, an
 *                                                           answer, as many as the client likes
 *
 * The descriptors are made from the tables that decode requests, so they cannot differ from them.
 * What is in no table is not described: OTLP's Export (its decoder has no table), methods that only
 * say unimplemented, and fields that protobuf has no number for. Extensions there are none of.
 * Needs no tenant. Thread: the loop; an answer is copied from memory. */
#include "base/clock.h"
#include "codec/msg_table.h"
#include "server/server_int.h"

#define SILENCE_NS (60 * NS_PER_S)
enum { DESCRIPTORS_BYTES = 16 << 20, ANSWER_ARENA_BYTES = 64 << 10 };

struct r_extension {
    struct str containing_type;
    int32_t extension_number;
};
struct r_request {
    struct str host;
    struct str file_by_filename, file_containing_symbol;
    bool has_file_by_filename, has_file_containing_symbol;
    struct r_extension *file_containing_extension;
    struct str all_extension_numbers_of_type, list_services;
    bool has_all_extension_numbers_of_type, has_list_services;
};
struct r_files {
    MSG_LIST(struct str) file_descriptor_proto;
};
struct r_numbers {
    struct str base_type_name;
    MSG_LIST(int32_t) extension_number;
};
struct r_service {
    struct str name;
};
struct r_services {
    MSG_LIST(struct r_service) service;
};
struct r_error {
    int32_t error_code;
    struct str error_message;
};
struct r_response {
    struct str valid_host;
    struct r_request *original_request;
    struct r_files *file_descriptor_response;
    struct r_numbers *all_extension_numbers_response;
    struct r_services *list_services_response;
    struct r_error *error_response;
};

/* The tables of one version: P is its package, V goes into the names. */
#define TABLES(V, P)                                                                               \
    static const struct msg_field V##_extension_fields[] = {                                       \
        ONE(r_extension, containing_type, "containingType", 1, STRING),                            \
        ONE(r_extension, extension_number, "extensionNumber", 2, INT32),                           \
    };                                                                                             \
    static const struct msg_desc V##_extension = {P ".ExtensionRequest",                           \
        sizeof(struct r_extension), V##_extension_fields, ARRAY_LEN(V##_extension_fields)};        \
    static const struct msg_field V##_request_fields[] = {                                         \
        ONE(r_request, host, "host", 1, STRING),                                                   \
        OPTIONAL(r_request, file_by_filename, "fileByFilename", 3, STRING),                        \
        OPTIONAL(r_request, file_containing_symbol, "fileContainingSymbol", 4, STRING),            \
        {"file_containing_extension", "fileContainingExtension", 5, MSG_MESSAGE, false,            \
            offsetof(struct r_request, file_containing_extension), MSG_NO_HAS, &V##_extension,     \
            NULL},                                                                                 \
        OPTIONAL(                                                                                  \
            r_request, all_extension_numbers_of_type, "allExtensionNumbersOfType", 6, STRING),     \
        OPTIONAL(r_request, list_services, "listServices", 7, STRING),                             \
    };                                                                                             \
    static const struct msg_desc V##_request = {P ".ServerReflectionRequest",                      \
        sizeof(struct r_request), V##_request_fields, ARRAY_LEN(V##_request_fields)};              \
    static const struct msg_field V##_files_fields[] = {                                           \
        MANY(r_files, file_descriptor_proto, "fileDescriptorProto", 1, BYTES),                     \
    };                                                                                             \
    static const struct msg_desc V##_files = {P ".FileDescriptorResponse", sizeof(struct r_files), \
        V##_files_fields, ARRAY_LEN(V##_files_fields)};                                            \
    static const struct msg_field V##_numbers_fields[] = {                                         \
        ONE(r_numbers, base_type_name, "baseTypeName", 1, STRING),                                 \
        MANY(r_numbers, extension_number, "extensionNumber", 2, INT32),                            \
    };                                                                                             \
    static const struct msg_desc V##_numbers = {P ".ExtensionNumberResponse",                      \
        sizeof(struct r_numbers), V##_numbers_fields, ARRAY_LEN(V##_numbers_fields)};              \
    static const struct msg_field V##_service_fields[] = {                                         \
        ONE(r_service, name, "name", 1, STRING),                                                   \
    };                                                                                             \
    static const struct msg_desc V##_service = {P ".ServiceResponse", sizeof(struct r_service),    \
        V##_service_fields, ARRAY_LEN(V##_service_fields)};                                        \
    static const struct msg_field V##_services_fields[] = {                                        \
        {"service", "service", 1, MSG_MESSAGE, true, offsetof(struct r_services, service),         \
            MSG_NO_HAS, &V##_service, NULL},                                                       \
    };                                                                                             \
    static const struct msg_desc V##_services = {P ".ListServiceResponse",                         \
        sizeof(struct r_services), V##_services_fields, ARRAY_LEN(V##_services_fields)};           \
    static const struct msg_field V##_error_fields[] = {                                           \
        ONE(r_error, error_code, "errorCode", 1, INT32),                                           \
        ONE(r_error, error_message, "errorMessage", 2, STRING),                                    \
    };                                                                                             \
    static const struct msg_desc V##_error = {P ".ErrorResponse", sizeof(struct r_error),          \
        V##_error_fields, ARRAY_LEN(V##_error_fields)};                                            \
    static const struct msg_field V##_response_fields[] = {                                        \
        ONE(r_response, valid_host, "validHost", 1, STRING),                                       \
        R_SUB("original_request", "originalRequest", 2, original_request, V##_request),            \
        R_SUB("file_descriptor_response", "fileDescriptorResponse", 4, file_descriptor_response,   \
            V##_files),                                                                            \
        R_SUB("all_extension_numbers_response", "allExtensionNumbersResponse", 5,                  \
            all_extension_numbers_response, V##_numbers),                                          \
        R_SUB("list_services_response", "listServicesResponse", 6, list_services_response,         \
            V##_services),                                                                         \
        R_SUB("error_response", "errorResponse", 7, error_response, V##_error),                    \
    };                                                                                             \
    static const struct msg_desc V##_response = {P ".ServerReflectionResponse",                    \
        sizeof(struct r_response), V##_response_fields, ARRAY_LEN(V##_response_fields)}
#define R_SUB(name, json, number, f, desc)                                                         \
    {                                                                                              \
        name, json, number, MSG_MESSAGE, false, offsetof(struct r_response, f), MSG_NO_HAS, &desc, \
            NULL                                                                                   \
    }
TABLES(v1, "grpc.reflection.v1");
TABLES(alpha, "grpc.reflection.v1alpha");

/* ── answers ── */

struct answer { /* and what it may point to */
    struct r_response rs;
    struct r_request original;
    struct r_files files;
    struct r_services services;
    struct r_error error;
};

static void say_error(struct answer *a, enum status code, struct str what)
{
    a->error = (struct r_error){(int32_t)code, what};
    a->rs.error_response = &a->error;
}

/* The file first, then what it needs. */
static void say_files(struct answer *a, const struct descriptor_set *set,
    const struct descriptor_file *file, struct str asked, struct arena *arena)
{
    if (!file) {
        say_error(a, ST_NOT_FOUND, arena_str_join(arena, STR("not found: "), asked));
        return;
    }
    struct str *first = VEC_PUSH(arena, a->files.file_descriptor_proto);
    if (first)
        *first = file->bytes;
    for (uint32_t i = 0; i < set->n_files; i++) {
        bool needed = file->with_deps >> i & 1 && file != &set->files[i];
        struct str *more = needed ? VEC_PUSH(arena, a->files.file_descriptor_proto) : NULL;
        if (more)
            *more = set->files[i].bytes;
    }
    a->rs.file_descriptor_response = &a->files;
}

static void say_services(struct answer *a, const struct descriptor_set *set, struct arena *arena)
{
    struct r_service *v = ARENA_ZARRAY(arena, struct r_service, set->n_services);
    for (uint32_t i = 0; v && i < set->n_services; i++)
        v[i].name = set->services[i];
    a->services.service.v = v;
    a->services.service.n = v ? set->n_services : 0;
    a->rs.list_services_response = &a->services;
}

static void on_question(struct grpc_stream *st, const void *request, void *ctx)
{
    const struct descriptor_set *set = &((struct server *)ctx)->descriptors;
    const struct r_request *rq = request;
    struct answer a = {0};
    struct arena arena;
    arena_init(&arena, ANSWER_ARENA_BYTES);
    a.original = *rq;
    a.rs.valid_host = rq->host;
    a.rs.original_request = &a.original;
    if (rq->has_file_by_filename)
        say_files(
            &a, set, descriptor_find_file(set, rq->file_by_filename), rq->file_by_filename, &arena);
    else if (rq->has_file_containing_symbol)
        say_files(&a, set, descriptor_find_symbol(set, rq->file_containing_symbol),
            rq->file_containing_symbol, &arena);
    else if (rq->has_list_services)
        say_services(&a, set, &arena);
    else if (rq->file_containing_extension || rq->has_all_extension_numbers_of_type)
        say_error(&a, ST_NOT_FOUND, STR("there are no extensions here"));
    else
        say_error(&a, ST_INVALID_ARGUMENT, STR("the request asks nothing"));
    if (arena.full)
        grpc_stream_end(st, ST_RESOURCE_EXHAUSTED, STR("no memory for the answer"));
    else
        grpc_stream_send(st, &a.rs);
    arena_done(&arena);
}

/* ── start ── */

static enum status describe(struct server *s, const struct route_list *l, struct error *err)
{
    struct descriptor_method all[SERVER_ROUTES_MAX + SERVER_STREAMS_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n_methods; i++) {
        const struct connect_method *m = &l->methods[i];
        if (m->request && !m->unlisted)
            all[n++] = (struct descriptor_method){
                .path = str_from(m->path), .request = m->request, .response = m->response};
    }
    for (uint32_t i = 0; i < l->n_streams; i++) {
        const struct grpc_stream_method *m = &l->streams[i];
        all[n++] = (struct descriptor_method){.path = str_from(m->path),
            .request = m->request,
            .response = m->response,
            .client_streams = !m->one_request,
            .server_streams = true};
    }
    arena_init(&s->descriptor_arena, DESCRIPTORS_BYTES);
    return descriptor_set_build(all, n, &s->descriptor_arena, &s->descriptors, err);
}

enum status reflection_rpc_routes(struct server *s, struct route_list *l, struct error *err)
{
    struct grpc_stream_method m = {
        .path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        .name = "grpc_reflection_v1_serverreflection_serverreflectioninfo",
        .request = &v1_request,
        .response = &v1_response,
        .message = on_question,
        .ctx = s,
        .silence_ns = SILENCE_NS,
    };
    route_add_stream(l, &m);
    m.path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
    m.name = "grpc_reflection_v1alpha_serverreflection_serverreflectioninfo";
    m.request = &alpha_request;
    m.response = &alpha_response;
    route_add_stream(l, &m);
    return describe(s, l, err);
}

bool reflection_has_service(const struct server *s, struct str name)
{
    for (uint32_t i = 0; i < s->descriptors.n_services; i++)
        if (str_eq(s->descriptors.services[i], name))
            return true;
    return false;
}
