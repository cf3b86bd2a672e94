/* What our message tables are, in the words of protobuf: files of descriptors (descriptor.proto),
 * one per package, for clients that ask a server what it speaks.
 *
 * Made once from the methods; everything reachable from them is described, but for what has no
 * number in protobuf. A file is named after its package: querier.v1 is querier/v1/querier.proto. */
#ifndef CODEC_DESCRIPTOR_H
#define CODEC_DESCRIPTOR_H

#include "codec/msg.h"

struct descriptor_method {
    struct str path; /* "/querier.v1.QuerierService/Series" */
    const struct msg_desc *request, *response;
    bool client_streams, server_streams;
};

enum { DESCRIPTOR_FILES_MAX = 64 };

struct descriptor_file {
    struct str name, package;
    struct str bytes;   /* a google.protobuf.FileDescriptorProto */
    uint64_t with_deps; /* bit i: file i is it, or needed by it, however indirectly */
};

struct descriptor_symbol {
    struct str name; /* of a message, an enum or a service */
    uint32_t file;
};

struct descriptor_set {
    struct descriptor_file *files;
    struct str *services;              /* sorted */
    struct descriptor_symbol *symbols; /* sorted */
    uint32_t n_files, n_services, n_symbols;
};

/* In the arena, with views of the paths. Fails only for lack of memory; methods that cannot be
 * described, and more packages than DESCRIPTOR_FILES_MAX, are our mistakes. */
enum status descriptor_set_build(const struct descriptor_method *methods, uint32_t n_methods,
    struct arena *arena, struct descriptor_set *ret_set, struct error *err);

/* NULL: there is none. Symbols may also be members of those that have a name here. */
const struct descriptor_file *descriptor_find_file(
    const struct descriptor_set *set, struct str name);
const struct descriptor_file *descriptor_find_symbol(
    const struct descriptor_set *set, struct str name);

#endif
