/* From code addresses of this process to functions, by the symbols of its executable and libraries.
 * One thread at a time. */
#ifndef AGENTS_CORE_SYMBOLS_H
#define AGENTS_CORE_SYMBOLS_H

#include "base/str.h"

struct prof_symbols;

/* Functions that stand for what is no function. */
enum {
    PROF_FN_LOST,       /* [lost] samples for which there was no room */
    PROF_FN_INCOMPLETE, /* [incomplete] as the outermost frame: the callers were not found */
    PROF_FN_TRUNCATED,  /* [truncated]: there are more callers */
    PROF_FN_UNKNOWN,    /* [unknown]: an address in no file */
    PROF_FN_FIRST_REAL,
};

struct prof_function {
    struct str name;
    uint32_t module;  /* UINT32_MAX: none */
    uint64_t address; /* of its first byte, as linked */
};

struct prof_symbols *prof_symbols_new(void);
void prof_symbols_free(struct prof_symbols *s);

/* The function of the code at pc; for a return address pass it less 1. Without a symbol it is the
 * file, in brackets. Ids are small numbers that stay. */
uint32_t prof_symbols_function(struct prof_symbols *s, uintptr_t pc);
uint32_t prof_symbols_count(const struct prof_symbols *s);
/* Good until the symbols are freed. */
const struct prof_function *prof_symbols_get(const struct prof_symbols *s, uint32_t id);
struct str prof_symbols_module(const struct prof_symbols *s, uint32_t module, uint64_t *ret_bytes);

#endif
