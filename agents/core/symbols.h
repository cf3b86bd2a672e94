/* From code addresses of this process to functions, by the symbols of its executable and libraries.
 * One thread at a time. */
#ifndef AGENTS_CORE_SYMBOLS_H
#define AGENTS_CORE_SYMBOLS_H

#include "base/str.h"

struct agent_symbols;

/* Functions that stand for what is no function. */
enum {
    AGENT_FN_LOST,       /* [lost] samples for which there was no room */
    AGENT_FN_INCOMPLETE, /* [incomplete] as the outermost frame: the callers were not found */
    AGENT_FN_TRUNCATED,  /* [truncated]: there are more callers */
    AGENT_FN_UNKNOWN,    /* [unknown]: an address in no file */
    AGENT_FN_FIRST_REAL,
};

struct agent_function {
    struct str name;
    uint32_t module;  /* UINT32_MAX: none */
    uint64_t address; /* of its first byte, as linked */
    bool frameless;   /* of the executable, and sets up no frame pointer */
};

struct agent_symbols *agent_symbols_new(void);
void agent_symbols_free(struct agent_symbols *s);

/* The function of the code at pc; for a return address pass it less 1. Without a symbol it is the
 * file, in brackets. Ids are small numbers that stay. */
uint32_t agent_symbols_function(struct agent_symbols *s, uintptr_t pc);
uint32_t agent_symbols_count(const struct agent_symbols *s);
/* Good until the symbols are freed. */
const struct agent_function *agent_symbols_get(const struct agent_symbols *s, uint32_t id);
struct str agent_symbols_module(
    const struct agent_symbols *s, uint32_t module, uint64_t *ret_bytes);

#endif
