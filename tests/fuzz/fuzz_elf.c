/* The symbols of an ELF file, which the agent in a process reads of whatever is mapped there: any
 * bytes are read or refused; what is found covers the address and has a name within the names. */
#include "agents/core/elf_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_at(void *ctx, uint64_t off, void *p, size_t n)
{
    const struct str *file = ctx;
    if (off > file->n || n > file->n - off)
        return false;
    if (n)
        memcpy(p, file->p + off, n);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str file = str_make(data, size);
    struct arena arena;
    struct elf_symbols s;
    arena_init(&arena, 16 * MIB);
    if (elf_symbols_read(read_at, &file, &arena, &s, NULL) == ST_OK) {
        for (uint32_t i = 0; i < s.n; i++) {
            const struct elf_symbol *sym = elf_symbols_find(&s, s.v[i].address);
            ASSERT(i == 0 || s.v[i - 1].address <= s.v[i].address);
            if (!sym)
                continue;
            struct str name = elf_symbol_name(&s, sym);
            ASSERT(str_eq(name, STR("[no name]")) ||
                   (name.p >= s.names.p && name.p + name.n <= s.names.p + s.names.n));
        }
        (void)elf_symbols_find(&s, 0);
        (void)elf_symbols_find(&s, UINT64_MAX);
    }
    arena_done(&arena);
    return 0;
}
