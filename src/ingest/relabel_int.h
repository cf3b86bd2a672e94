/* Compiled rules, as relabel_parse.c makes and relabel.c applies them. */
#ifndef INGEST_RELABEL_INT_H
#define INGEST_RELABEL_INT_H

#include "ingest/compiled.h"
#include "ingest/ingest_int.h"
#include "ingest/relabel.h"

enum relabel_action {
    RELABEL_REPLACE,
    RELABEL_KEEP,
    RELABEL_DROP,
    RELABEL_KEEPEQUAL,
    RELABEL_DROPEQUAL,
    RELABEL_HASHMOD,
    RELABEL_LABELMAP,
    RELABEL_LABELDROP,
    RELABEL_LABELKEEP,
    RELABEL_LOWERCASE,
    RELABEL_UPPERCASE,
};

struct re2_shim;

struct relabel_rule {
    enum relabel_action action;
    struct {
        struct str *v;
        uint32_t n, cap;
    } source;
    struct str separator, target, regex, replacement;
    uint64_t modulus;
    struct re2_shim *re; /* the whole text must match */
    int n_groups;
};

struct relabel {
    struct compiled base;
    bool types;
    struct {
        struct relabel_rule *v;
        uint32_t n, cap;
    } rules;
};

/* Applies the rules to a sorted set. False: arena full. *ret_keep false: the set is dropped. */
bool relabel_apply(
    const struct relabel *rules, struct label_set *set, struct arena *arena, bool *ret_keep);

#endif
