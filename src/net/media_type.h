/* Media types of headers: "type/subtype; name=value", in place. */
#ifndef NET_MEDIA_TYPE_H
#define NET_MEDIA_TYPE_H

#include "base/status.h"

enum { MEDIA_PARAMS_MAX = 16 };

struct media_param {
    struct str name, value; /* views; of quoted values what is between the quotes, as written */
};

struct media_type {
    struct str name; /* a view, as written: compare without case */
    struct media_param params[MEDIA_PARAMS_MAX];
    uint32_t n;
};

/* ST_INVALID_ARGUMENT: "mime: …", what is wrong. A lone type without '/' and one ';' at the end
 * are let through. */
enum status media_type_parse(struct str text, struct media_type *ret_type, struct error *err);

#endif
