/* Label selectors: `name{a="b",c=~"d.*"}` to a list of matchers that must all hold. */
#ifndef MODEL_SELECTOR_H
#define MODEL_SELECTOR_H

#include "model/pattern.h"

enum { SELECTOR_BYTES_MAX = 256 * 1024, SELECTOR_MATCHERS_MAX = 1000, SELECTOR_REGEXES_MAX = 32 };

enum match_op { MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE };

struct matcher {
    struct str name, value; /* in the arena */
    enum match_op op;
    struct pattern pattern; /* of MATCH_RE and MATCH_NRE */
};

struct selector {
    struct matcher *v;
    uint32_t n, cap;
    uint32_t n_regexes; /* compiled ones, each with memory of its own */
};

/* Appends the matchers of one text, so that several texts are ANDed. The name outside of the braces
 * comes last, as a matcher of __name__. ST_INVALID_ARGUMENT: "1:4: parse error: …" (line and
 * column, from 1). Whatever happened, selector_done frees what was compiled. */
enum status selector_parse(
    struct str text, struct arena *arena, struct selector *sel, struct error *err);
/* `name op value` without text. */
enum status selector_add(struct selector *sel, struct str name, enum match_op op, struct str value,
    struct arena *arena, struct error *err);
/* Whether a label with this value ("" for a label that is absent) satisfies the matcher. */
bool matcher_holds(const struct matcher *m, struct str value);
/* __name__="a:b:c:d:e" means __profile_type__="a:b:c:d:e"; a sixth part is ignored. */
void selector_rewrite_types(struct selector *sel);
/* Takes the last matcher of __name__ out and gives its value; false when there is none. All
 * matchers of __name__ are removed. */
bool selector_take_name(struct selector *sel, struct str *ret_name);
void selector_done(struct selector *sel);

#endif
