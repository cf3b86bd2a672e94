/* Descriptors from tables: see descriptor.h.
 *
 *     methods ─► all messages reachable (a list that grows while it is walked)
 *             ─► per package: messages with their own enums, enums, services ─► bytes
 *
 * The descriptors are messages themselves, with tables of their own, so they are encoded like any
 * other. An `optional` scalar is what protobuf makes of it: the one member of a oneof.
 *
 * Invariants: 1. Of a name there is one table. 2. What a file names is in it or in a file of its
 * dependencies. Thread: the caller's. Failure: the arena is full. */
#include "codec/descriptor.h"

#include <stdlib.h>

#include "codec/msg_table.h"

/* google.protobuf, what we need of it */
struct d_value {
    struct str name;
    int32_t number;
    bool has_number;
};
struct d_enum {
    struct str name;
    MSG_LIST(struct d_value) value;
};
struct d_field {
    struct str name;
    int32_t number, label, type;
    struct str type_name;
    int32_t oneof_index;
    bool has_oneof_index;
    struct str json_name;
    bool proto3_optional;
};
struct d_oneof {
    struct str name;
};
struct d_message {
    struct str name;
    MSG_LIST(struct d_field) field;
    MSG_LIST(struct d_enum) enum_type;
    MSG_LIST(struct d_oneof) oneof_decl;
};
struct d_method {
    struct str name, input_type, output_type;
    bool client_streaming, server_streaming;
};
struct d_service {
    struct str name;
    MSG_LIST(struct d_method) method;
};
struct d_file {
    struct str name, package;
    MSG_LIST(struct str) dependency;
    MSG_LIST(struct d_message) message_type;
    MSG_LIST(struct d_enum) enum_type;
    MSG_LIST(struct d_service) service;
    struct str syntax;
};

static const struct msg_field d_value_fields[] = {
    ONE(d_value, name, "name", 1, STRING),
    OPTIONAL(d_value, number, "number", 2, INT32),
};
static DESC(d_value, "google.protobuf.EnumValueDescriptorProto");
static const struct msg_field d_enum_fields[] = {
    ONE(d_enum, name, "name", 1, STRING),
    SUBS(d_enum, value, "value", 2, d_value),
};
static DESC(d_enum, "google.protobuf.EnumDescriptorProto");
static const struct msg_field d_field_fields[] = {
    ONE(d_field, name, "name", 1, STRING),
    ONE(d_field, number, "number", 3, INT32),
    ONE(d_field, label, "label", 4, INT32),
    ONE(d_field, type, "type", 5, INT32),
    ONE(d_field, type_name, "typeName", 6, STRING),
    OPTIONAL(d_field, oneof_index, "oneofIndex", 9, INT32),
    ONE(d_field, json_name, "jsonName", 10, STRING),
    ONE(d_field, proto3_optional, "proto3Optional", 17, BOOL),
};
static DESC(d_field, "google.protobuf.FieldDescriptorProto");
static const struct msg_field d_oneof_fields[] = {
    ONE(d_oneof, name, "name", 1, STRING),
};
static DESC(d_oneof, "google.protobuf.OneofDescriptorProto");
static const struct msg_field d_message_fields[] = {
    ONE(d_message, name, "name", 1, STRING),
    SUBS(d_message, field, "field", 2, d_field),
    SUBS(d_message, enum_type, "enumType", 4, d_enum),
    SUBS(d_message, oneof_decl, "oneofDecl", 8, d_oneof),
};
static DESC(d_message, "google.protobuf.DescriptorProto");
static const struct msg_field d_method_fields[] = {
    ONE(d_method, name, "name", 1, STRING),
    ONE(d_method, input_type, "inputType", 2, STRING),
    ONE(d_method, output_type, "outputType", 3, STRING),
    ONE(d_method, client_streaming, "clientStreaming", 5, BOOL),
    ONE(d_method, server_streaming, "serverStreaming", 6, BOOL),
};
static DESC(d_method, "google.protobuf.MethodDescriptorProto");
static const struct msg_field d_service_fields[] = {
    ONE(d_service, name, "name", 1, STRING),
    SUBS(d_service, method, "method", 2, d_method),
};
static DESC(d_service, "google.protobuf.ServiceDescriptorProto");
static const struct msg_field d_file_fields[] = {
    ONE(d_file, name, "name", 1, STRING),
    ONE(d_file, package, "package", 2, STRING),
    MANY(d_file, dependency, "dependency", 3, STRING),
    SUBS(d_file, message_type, "messageType", 4, d_message),
    SUBS(d_file, enum_type, "enumType", 5, d_enum),
    SUBS(d_file, service, "service", 6, d_service),
    ONE(d_file, syntax, "syntax", 12, STRING),
};
static DESC(d_file, "google.protobuf.FileDescriptorProto");

enum { LABEL_OPTIONAL = 1, LABEL_REPEATED = 3 };
static const int32_t type_numbers[] = {
    [MSG_DOUBLE] = 1,
    [MSG_INT64] = 3,
    [MSG_UINT64] = 4,
    [MSG_INT32] = 5,
    [MSG_BOOL] = 8,
    [MSG_STRING] = 9,
    [MSG_MESSAGE] = 11,
    [MSG_BYTES] = 12,
    [MSG_UINT32] = 13,
    [MSG_ENUM] = 14,
};

struct file { /* while it is built */
    struct str package;
    struct d_file d;
    uint64_t needs;
};

struct build {
    struct arena *arena;
    MSG_LIST(const struct msg_desc *) descs;
    MSG_LIST(struct descriptor_symbol) symbols;
    struct file files[DESCRIPTOR_FILES_MAX];
    uint32_t n_files;
};

/* ── names ── */

static struct str scope_of(struct str name)
{
    size_t dot = str_rfind_char(name, '.');
    return dot == STR_NPOS ? STR_EMPTY : str_head(name, dot);
}

static struct str last_of(struct str name)
{
    size_t dot = str_rfind_char(name, '.');
    return dot == STR_NPOS ? name : str_skip(name, dot + 1);
}

/* ".querier.v1.Level": how descriptors name types. */
static struct str absolute(struct build *b, const char *name)
{
    return arena_str_join(b->arena, STR("."), str_from(name));
}

static struct str file_name(struct build *b, struct str package)
{
    struct str word = last_of(scope_of(package));
    struct str name = arena_printf(b->arena, "%.*s/%.*s.proto", STR_ARG(package), STR_ARG(word));
    for (size_t i = 0; i < MIN(package.n, name.n); i++)
        if (name.p[i] == '.')
            ((char *)(uintptr_t)name.p)[i] = '/'; /* ours, in the arena */
    return name;
}

static uint32_t file_of(struct build *b, struct str package)
{
    for (uint32_t i = 0; i < b->n_files; i++)
        if (str_eq(b->files[i].package, package))
            return i;
    ASSERT(b->n_files < DESCRIPTOR_FILES_MAX);
    struct file *f = &b->files[b->n_files];
    f->package = package;
    f->d = (struct d_file){
        .name = file_name(b, package), .package = package, .syntax = STR("proto3")};
    f->needs = 1ull << b->n_files;
    return b->n_files++;
}

static void add_symbol(struct build *b, struct str name, uint32_t file)
{
    struct descriptor_symbol *s = VEC_PUSH(b->arena, b->symbols);
    if (s)
        *s = (struct descriptor_symbol){name, file};
}

/* ── messages ── */

static void add_desc(struct build *b, const struct msg_desc *desc)
{
    for (uint32_t i = 0; i < b->descs.n; i++) {
        if (b->descs.v[i] == desc)
            return;
        ASSERT(strcmp(b->descs.v[i]->name, desc->name) != 0);
    }
    const struct msg_desc **slot = VEC_PUSH(b->arena, b->descs);
    if (slot)
        *slot = desc;
}

static bool described(const struct msg_field *f)
{
    return f->number < MSG_JSON_ONLY && f->kind != MSG_JSON;
}

static void add_reachable(struct build *b)
{
    for (uint32_t i = 0; i < b->descs.n; i++) {
        const struct msg_desc *d = b->descs.v[i];
        for (uint32_t k = 0; k < d->n_fields; k++)
            if (described(&d->fields[k]) && d->fields[k].sub)
                add_desc(b, d->fields[k].sub);
    }
}

static void fill_enum(struct build *b, const struct msg_enum *e, struct d_enum *out)
{
    *out = (struct d_enum){.name = last_of(str_from(e->name))};
    for (uint32_t i = 0; i < e->n; i++) {
        struct d_value *v = e->names[i] ? VEC_PUSH(b->arena, out->value) : NULL;
        if (v)
            *v = (struct d_value){str_from(e->names[i]), (int32_t)i, true};
    }
}

/* Once, in the message that it belongs to or in the file. */
static void add_enum(
    struct build *b, const struct msg_enum *e, const struct msg_desc *in, struct d_message *m)
{
    struct str name = str_from(e->name), scope = scope_of(name);
    bool own = str_eq(scope, str_from(in->name));
    uint32_t file = file_of(b, own ? scope_of(scope) : scope);
    for (uint32_t i = 0; i < b->symbols.n; i++)
        if (str_eq(b->symbols.v[i].name, name))
            return;
    add_symbol(b, name, file);
    struct d_enum *out = own ? VEC_PUSH(b->arena, m->enum_type)
                             : VEC_PUSH(b->arena, b->files[file].d.enum_type);
    if (out)
        fill_enum(b, e, out);
}

static void add_optional(struct build *b, struct d_message *m, struct d_field *f)
{
    struct d_oneof *one = VEC_PUSH(b->arena, m->oneof_decl);
    if (!one)
        return;
    one->name = arena_str_join(b->arena, STR("_"), f->name);
    f->oneof_index = (int32_t)(m->oneof_decl.n - 1);
    f->has_oneof_index = f->proto3_optional = true;
}

static void add_field(struct build *b, const struct msg_desc *in, const struct msg_field *f,
    struct file *file, struct d_message *m)
{
    struct d_field *out = VEC_PUSH(b->arena, m->field);
    if (!out)
        return;
    *out = (struct d_field){.name = str_from(f->name),
        .number = (int32_t)f->number,
        .label = f->repeated ? LABEL_REPEATED : LABEL_OPTIONAL,
        .type = type_numbers[f->kind],
        .json_name = str_from(f->json)};
    if (f->kind == MSG_MESSAGE) {
        out->type_name = absolute(b, f->sub->name);
        file->needs |= 1ull << file_of(b, scope_of(str_from(f->sub->name)));
    } else if (f->kind == MSG_ENUM) {
        ASSERT(f->values->name);
        out->type_name = absolute(b, f->values->name);
        struct str scope = scope_of(str_from(f->values->name));
        if (!str_eq(scope, str_from(in->name)))
            file->needs |= 1ull << file_of(b, scope);
        add_enum(b, f->values, in, m);
    }
    if (f->has_offset != MSG_NO_HAS && f->kind != MSG_MESSAGE)
        add_optional(b, m, out);
}

static void add_message(struct build *b, const struct msg_desc *desc)
{
    struct str name = str_from(desc->name);
    uint32_t at = file_of(b, scope_of(name));
    struct d_message *m = VEC_PUSH(b->arena, b->files[at].d.message_type);
    if (!m)
        return;
    *m = (struct d_message){.name = last_of(name)};
    add_symbol(b, name, at);
    for (uint32_t i = 0; i < desc->n_fields; i++)
        if (described(&desc->fields[i]))
            add_field(b, desc, &desc->fields[i], &b->files[at], m);
}

/* ── services ── */

static struct d_service *service_of(struct build *b, struct str full, uint32_t *ret_file)
{
    uint32_t at = file_of(b, scope_of(full));
    struct d_file *d = &b->files[at].d;
    *ret_file = at;
    for (uint32_t i = 0; i < d->service.n; i++)
        if (str_eq(d->service.v[i].name, last_of(full)))
            return &d->service.v[i];
    struct d_service *s = VEC_PUSH(b->arena, d->service);
    if (s)
        *s = (struct d_service){.name = last_of(full)};
    add_symbol(b, full, at);
    return s;
}

static void add_method(struct build *b, const struct descriptor_method *m)
{
    size_t slash = str_rfind_char(m->path, '/');
    uint32_t file;
    ASSERT(m->path.n && m->path.p[0] == '/' && slash > 1 && m->request && m->response);
    struct d_service *s = service_of(b, str_skip(str_head(m->path, slash), 1), &file);
    struct d_method *out = s ? VEC_PUSH(b->arena, s->method) : NULL;
    if (!out)
        return;
    *out = (struct d_method){.name = str_skip(m->path, slash + 1),
        .input_type = absolute(b, m->request->name),
        .output_type = absolute(b, m->response->name),
        .client_streaming = m->client_streams,
        .server_streaming = m->server_streams};
    b->files[file].needs |= 1ull << file_of(b, scope_of(str_from(m->request->name)));
    b->files[file].needs |= 1ull << file_of(b, scope_of(str_from(m->response->name)));
}

/* ── the set ── */

static enum status encode(struct build *b, uint32_t at, struct str *ret_bytes)
{
    struct file *f = &b->files[at];
    struct buf out;
    for (uint32_t i = 0; i < b->n_files; i++) {
        struct str *slot = i != at && (f->needs >> i & 1) ? VEC_PUSH(b->arena, f->d.dependency)
                                                          : NULL;
        if (slot)
            *slot = b->files[i].d.name;
    }
    buf_init(&out, MIB);
    msg_encode_proto(&d_file_desc, &f->d, &out);
    *ret_bytes = arena_str(b->arena, buf_view(&out));
    bool ok = !out.failed && !b->arena->full;
    buf_done(&out);
    return ok ? ST_OK : ST_RESOURCE_EXHAUSTED;
}

/* What is needed by what is needed. */
static void close_over(struct build *b)
{
    for (uint32_t round = 0; round < b->n_files; round++)
        for (uint32_t i = 0; i < b->n_files; i++)
            for (uint32_t k = 0; k < b->n_files; k++)
                if (b->files[i].needs >> k & 1)
                    b->files[i].needs |= b->files[k].needs;
}

static int symbol_order(const void *a, const void *b)
{
    return str_cmp(
        ((const struct descriptor_symbol *)a)->name, ((const struct descriptor_symbol *)b)->name);
}

static int text_order(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static void list_services(struct build *b, struct descriptor_set *set)
{
    MSG_LIST(struct str) names = {0};
    for (uint32_t i = 0; i < b->n_files; i++)
        for (uint32_t k = 0; k < b->files[i].d.service.n; k++) {
            struct str *slot = VEC_PUSH(b->arena, names);
            if (slot)
                *slot = arena_printf(b->arena, "%.*s.%.*s", STR_ARG(b->files[i].package),
                    STR_ARG(b->files[i].d.service.v[k].name));
        }
    if (names.n)
        qsort(names.v, names.n, sizeof *names.v, text_order);
    set->services = names.v;
    set->n_services = names.n;
}

static enum status finish(struct build *b, struct descriptor_set *set)
{
    *set = (struct descriptor_set){.symbols = b->symbols.v,
        .n_symbols = b->symbols.n,
        .files = ARENA_ZARRAY(b->arena, struct descriptor_file, b->n_files),
        .n_files = b->n_files};
    if (!set->files)
        return ST_RESOURCE_EXHAUSTED;
    for (uint32_t i = 0; i < b->n_files; i++) {
        set->files[i].name = b->files[i].d.name;
        set->files[i].package = b->files[i].package;
        TRY(encode(b, i, &set->files[i].bytes));
    }
    close_over(b);
    for (uint32_t i = 0; i < b->n_files; i++)
        set->files[i].with_deps = b->files[i].needs;
    if (b->symbols.n)
        qsort(b->symbols.v, b->symbols.n, sizeof *b->symbols.v, symbol_order);
    list_services(b, set);
    return b->arena->full ? ST_RESOURCE_EXHAUSTED : ST_OK;
}

enum status descriptor_set_build(const struct descriptor_method *methods, uint32_t n_methods,
    struct arena *arena, struct descriptor_set *ret_set, struct error *err)
{
    struct build *b = ARENA_NEW(arena, struct build);
    struct descriptor_set set;
    if (!b)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for descriptors");
    b->arena = arena;
    for (uint32_t i = 0; i < n_methods; i++) {
        add_desc(b, methods[i].request);
        add_desc(b, methods[i].response);
    }
    add_reachable(b);
    for (uint32_t i = 0; i < b->descs.n; i++)
        add_message(b, b->descs.v[i]);
    for (uint32_t i = 0; i < n_methods; i++)
        add_method(b, &methods[i]);
    if (finish(b, &set) != ST_OK)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for descriptors");
    *ret_set = set;
    return ST_OK;
}

/* ── questions ── */

const struct descriptor_file *descriptor_find_file(
    const struct descriptor_set *set, struct str name)
{
    for (uint32_t i = 0; i < set->n_files; i++)
        if (str_eq(set->files[i].name, name))
            return &set->files[i];
    return NULL;
}

const struct descriptor_file *descriptor_find_symbol(
    const struct descriptor_set *set, struct str name)
{
    enum { MEMBERS_DEPTH = 2 }; /* a value of an enum of a message */
    for (int i = 0; i <= MEMBERS_DEPTH && name.n && set->n_symbols; i++) {
        struct descriptor_symbol key = {name, 0}, *found = bsearch(&key, set->symbols,
                                                      set->n_symbols, sizeof key, symbol_order);
        if (found)
            return &set->files[found->file];
        name = scope_of(name);
    }
    return NULL;
}
