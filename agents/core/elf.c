/* See elf_int.h. Reads the header, the section headers, then one symbol table and its strings: not
 * the file, which with debug information is many times larger. Pure but for the reader passed in.
 *
 * Names are offsets that are checked when used. Aliases (equal addresses) keep one, the largest,
 * then the one whose name comes first in the file's strings. */
#include "agents/core/elf_int.h"

#include <elf.h>
#include <stdlib.h>

enum { TABLE_BYTES_MAX = 64 << 20 };

static enum status bad(struct error *err, const char *what)
{
    FAIL(err, ST_INVALID_ARGUMENT, "not an ELF file as expected: %s", what);
}

static enum status read_bytes(elf_read_fn read, void *ctx, uint64_t off, uint64_t n,
    struct arena *arena, void **ret_bytes, struct error *err)
{
    if (n == 0 || n > TABLE_BYTES_MAX)
        return bad(err, "a table is empty or too large");
    void *p = arena_alloc(arena, n);
    if (!p)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for symbols");
    if (!read(ctx, off, p, n))
        return bad(err, "it ends early");
    *ret_bytes = p;
    return ST_OK;
}

static const Elf64_Shdr *find_section(const Elf64_Shdr *v, uint32_t n, uint32_t type)
{
    for (uint32_t i = 0; i < n; i++)
        if (v[i].sh_type == type && v[i].sh_link < n && v[i].sh_entsize == sizeof(Elf64_Sym))
            return &v[i];
    return NULL;
}

static bool is_function(const Elf64_Sym *s)
{
    unsigned type = ELF64_ST_TYPE(s->st_info);
    return (type == STT_FUNC || type == STT_GNU_IFUNC) && s->st_shndx != SHN_UNDEF && s->st_value;
}

static int by_address(const void *x, const void *y)
{
    const struct elf_symbol *a = x, *b = y;
    if (a->address != b->address)
        return a->address < b->address ? -1 : 1;
    if (a->size != b->size)
        return a->size > b->size ? -1 : 1;
    return (a->name > b->name) - (a->name < b->name);
}

static enum status keep_functions(const Elf64_Sym *table, uint64_t n, struct arena *arena,
    struct elf_symbols *s, struct error *err)
{
    s->v = ARENA_ARRAY(arena, struct elf_symbol, n);
    if (!s->v)
        FAIL(err, ST_RESOURCE_EXHAUSTED, "no memory for symbols");
    for (uint64_t i = 0; i < n; i++)
        if (is_function(&table[i]))
            s->v[s->n++] = (struct elf_symbol){
                table[i].st_value, (uint32_t)MIN(table[i].st_size, UINT32_MAX), table[i].st_name};
    qsort(s->v, s->n, sizeof *s->v, by_address);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->n; i++)
        if (kept == 0 || s->v[kept - 1].address != s->v[i].address)
            s->v[kept++] = s->v[i];
    s->n = kept;
    return ST_OK;
}

static enum status read_tables(elf_read_fn read, void *ctx, struct arena *scratch,
    struct arena *arena, struct elf_symbols *ret_symbols, struct error *err)
{
    Elf64_Ehdr h;
    void *sections, *table, *names;
    if (!read(ctx, 0, &h, sizeof h) || memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
        return bad(err, "the magic bytes");
    if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_ident[EI_DATA] != ELFDATA2LSB ||
        h.e_shentsize != sizeof(Elf64_Shdr))
        return bad(err, "its class");
    TRY(read_bytes(
        read, ctx, h.e_shoff, (uint64_t)h.e_shnum * sizeof(Elf64_Shdr), scratch, &sections, err));
    const Elf64_Shdr *symbols = find_section(sections, h.e_shnum, SHT_SYMTAB);
    if (!symbols)
        symbols = find_section(sections, h.e_shnum, SHT_DYNSYM);
    if (!symbols)
        return bad(err, "no symbols");
    const Elf64_Shdr *strings = (const Elf64_Shdr *)sections + symbols->sh_link;
    TRY(read_bytes(read, ctx, symbols->sh_offset, symbols->sh_size, scratch, &table, err));
    TRY(read_bytes(read, ctx, strings->sh_offset, strings->sh_size, arena, &names, err));
    struct elf_symbols s = {.names = str_make(names, strings->sh_size)};
    TRY(keep_functions(table, symbols->sh_size / sizeof(Elf64_Sym), arena, &s, err));
    *ret_symbols = s;
    return ST_OK;
}

enum status elf_symbols_read(elf_read_fn read, void *ctx, struct arena *arena,
    struct elf_symbols *ret_symbols, struct error *err)
{
    struct arena scratch;
    arena_init(&scratch, 3 * (size_t)TABLE_BYTES_MAX);
    enum status st = read_tables(read, ctx, &scratch, arena, ret_symbols, err);
    arena_done(&scratch);
    return st;
}

const struct elf_symbol *elf_symbols_find(const struct elf_symbols *s, uint64_t address)
{
    uint32_t lo = 0, hi = s->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (s->v[mid].address <= address)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == 0)
        return NULL;
    const struct elf_symbol *sym = &s->v[lo - 1];
    bool covers = sym->size == 0 || address - sym->address < sym->size;
    return covers ? sym : NULL;
}

struct str elf_symbol_name(const struct elf_symbols *s, const struct elf_symbol *sym)
{
    struct str rest = str_skip(s->names, sym->name);
    size_t n = 0;
    while (n < rest.n && rest.p[n] && (rest.p[n] != '.' || n == 0))
        n++;
    return n ? str_head(rest, n) : STR("[no name]");
}
