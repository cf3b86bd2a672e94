/* RE2 for C: one compiled expression. Both sides of the language border include it, so it has plain
 * types only. */
#ifndef QUERY_RE2_SHIM_H
#define QUERY_RE2_SHIM_H

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
void re2_shim_free(struct re2_shim *re); /* NULL is fine */

#ifdef __cplusplus
}
#endif

#endif
