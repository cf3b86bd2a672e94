/* The function symbols of an ELF file. Private. */
#ifndef AGENTS_CORE_ELF_INT_H
#define AGENTS_CORE_ELF_INT_H

#include "base/arena.h"
#include "base/status.h"

/* Reads exactly n bytes at `off`; false when it cannot. */
typedef bool (*elf_read_fn)(void *ctx, uint64_t off, void *p, size_t n);

struct elf_symbol {
    uint64_t address; /* as linked */
    uint32_t size;    /* 0: not said */
    uint32_t name;    /* offset into names */
};

struct elf_symbols {
    struct elf_symbol *v; /* by address */
    uint32_t n;
    struct str names;
};

/* Of .symtab, or of .dynsym where there is none. 64-bit little-endian files only. Everything is
 * checked: a file that lies is ST_INVALID_ARGUMENT or has wrong names, nothing worse. */
enum status elf_symbols_read(elf_read_fn read, void *ctx, struct arena *arena,
    struct elf_symbols *ret_symbols, struct error *err);
/* The symbol that covers the address, or NULL. */
const struct elf_symbol *elf_symbols_find(const struct elf_symbols *s, uint64_t address);
/* Its name without what a compiler appends to parts of a function (.cold, .part.0, …). */
struct str elf_symbol_name(const struct elf_symbols *s, const struct elf_symbol *sym);

#endif
