/* Borrowed bytes by value: pointer and length, no NUL. The owner is said where a str is stored.
 * NUL-terminated strings exist only at the edge of the OS and in literals. */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <string.h>

#include "base/base.h"

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_EMPTY ((struct str){"", 0})
/* For printf: "%.*s", STR_ARG(s) */
#define STR_ARG(s) (int)(s).n, (s).p

static inline struct str str_make(const void *p, size_t n)
{
    return (struct str){p, n};
}

static inline struct str str_from(const char *z)
{
    return (struct str){z, strlen(z)};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Bytewise order; a prefix comes first. */
static inline int str_cmp(struct str a, struct str b)
{
    size_t n = MIN(a.n, b.n);
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n &&
           (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

/* From index on; `from` beyond the end gives the empty string. */
static inline struct str str_skip(struct str s, size_t from)
{
    return from >= s.n ? str_make(s.p + s.n, 0) : str_make(s.p + from, s.n - from);
}

static inline struct str str_head(struct str s, size_t n)
{
    return str_make(s.p, MIN(n, s.n));
}

#define STR_NPOS ((size_t)-1)
size_t str_find_char(struct str s, char c);
size_t str_rfind_char(struct str s, char c);
size_t str_find(struct str s, struct str needle);
bool str_contains(struct str s, struct str needle);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
struct str str_trim(struct str s);              /* ASCII white space on both ends */

/* Whole string as a decimal number; false on anything else or on overflow. */
bool str_to_u64(struct str s, uint64_t *ret_value);
bool str_to_i64(struct str s, int64_t *ret_value);

/* 0 to 15, of either case; -1 when it is none. */
static inline int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* n bytes from exactly 2n digits. */
bool str_to_bytes(struct str hex, uint8_t *out, size_t n);

/* Cuts at the first `sep`: true and *ret_head, *rest advanced; at the end one last piece. Start
 * with *rest = whole string; done when it returns false. An empty string yields one empty piece. */
struct str_split {
    struct str rest;
    bool done;
};
bool str_split_next(struct str_split *it, char sep, struct str *ret_piece);

#endif
