/* Compiled usage groups, as groups_parse.c makes and groups.c asks them. */
#ifndef INGEST_GROUPS_INT_H
#define INGEST_GROUPS_INT_H

#include "ingest/compiled.h"
#include "ingest/groups.h"
#include "ingest/ingest_int.h"
#include "model/selector.h"

/* A piece of a name: text, or the value of a label. */
struct group_part {
    bool label;
    struct str text;
};

struct usage_group {
    struct str name; /* as written */
    struct {
        struct group_part *v; /* none: the name is the same for all */
        uint32_t n, cap;
    } parts;
    struct selector selector;
};

struct usage_groups {
    struct compiled base;
    struct {
        struct usage_group *v;
        uint32_t n, cap;
    } groups;
};

struct group_rule {
    struct str name;
    double probability;
    bool limit_reached;
    uint64_t period_bytes;
};

struct group_rules {
    struct compiled base;
    struct {
        struct group_rule *v; /* sorted by name, which differ */
        uint32_t n, cap;
    } rules;
};

#endif
