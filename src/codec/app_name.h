/* The `name` parameter of /ingest: app.name{key=value,…} (spec/ingest.md §2.2). */
#ifndef CODEC_APP_NAME_H
#define CODEC_APP_NAME_H

#include "base/arena.h"
#include "base/status.h"

struct app_name_label {
    struct str key, value;
};

struct app_name {
    struct str name;
    struct app_name_label *labels; /* in order of first appearance; later duplicates overwrote */
    uint32_t n;
};

/* Views of `text`. ST_INVALID_ARGUMENT with the texts of §2.2 (without the "name: " prefix). */
enum status app_name_parse(
    struct str text, struct arena *arena, struct app_name *ret_name, struct error *err);

#endif
