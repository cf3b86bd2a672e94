/* RE2 for C: one compiled expression. Both sides of the language border include it, so it has plain
 * types only. */
#ifndef MODEL_RE2_SHIM_H
#define MODEL_RE2_SHIM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct re2_shim;

/* `whole`: the text must match from start to end and `.` takes a newline (a label matcher, as if
 * written `^(?s:…)$`); otherwise the expression is searched for as it is. NULL when it does not
 * compile: the reason is written into err, NUL-terminated and cut to its size. */
struct re2_shim *re2_shim_new(
    const char *pattern, size_t n, bool whole, char *err, size_t err_size);
bool re2_shim_match(const struct re2_shim *re, const char *text, size_t n);
/* The groups of the expression, 0 (all of it) included. */
int re2_shim_groups(const struct re2_shim *re);
/* The number of a named group; -1 when there is none. */
int re2_shim_group_named(const struct re2_shim *re, const char *name, size_t n);
struct re2_shim_group {
    const char *p; /* NULL: took no part */
    size_t n;
};
enum { RE2_SHIM_GROUPS_MAX = 64 };
/* As re2_shim_match, and the first n groups of the leftmost match; n <= RE2_SHIM_GROUPS_MAX. */
bool re2_shim_match_groups(const struct re2_shim *re, const char *text, size_t text_n,
    struct re2_shim_group *ret_groups, int n);
void re2_shim_free(struct re2_shim *re); /* NULL is fine */

#ifdef __cplusplus
}
#endif

#endif
