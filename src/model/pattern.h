/* A regular expression of a matcher or a frame filter: Go's syntax, RE2's guarantees.
 *
 * Words, and words separated by `|`, are compared and never compiled; so are `.*` and `.+`. */
#ifndef MODEL_PATTERN_H
#define MODEL_PATTERN_H

#include "base/arena.h"
#include "base/status.h"

enum { PATTERN_BYTES_MAX = 64 * 1024 };

enum pattern_kind {
    PATTERN_ANY,      /* .* */
    PATTERN_NONEMPTY, /* .+ over the whole text */
    PATTERN_WORDS,
    PATTERN_RE2,
};

struct re2_shim;

struct pattern {
    enum pattern_kind kind;
    bool whole;
    struct str *words; /* sorted; in the arena */
    uint32_t n_words;
    struct re2_shim *re; /* on the heap: pattern_done */
};

/* whole: the pattern must match all of the text (label matchers), and `.` matches a newline;
 * otherwise any part of it (frame filters). The pattern refers to no input afterwards.
 * ST_INVALID_ARGUMENT with "error parsing regexp: …", ST_RESOURCE_EXHAUSTED when the arena is full.
 */
enum status pattern_compile(struct str text, bool whole, struct arena *arena,
    struct pattern *ret_pattern, struct error *err);
bool pattern_match(const struct pattern *p, struct str text);
void pattern_done(struct pattern *p);

#endif
