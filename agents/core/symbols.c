/* See symbols.h.
 *
 *     pc ─► cache of addresses ─► function
 *        └► module (ranges of dl_iterate_phdr) ─► its symbols, read when first needed ─► function
 *
 * A module stays known after it was unloaded; addresses in no known module make us look again, at
 * most once per change of the loader's list. The cache of addresses is emptied when it is full.
 * Symbols live in one arena with a limit; a module for which it has no room, or whose file cannot
 * be read (the vdso has none), is one function "[its name]".
 *
 * Failure: a name in brackets. Thread: the caller's, one at a time. */
#include "agents/core/symbols.h"

#include <errno.h>
#include <link.h>

#include "agents/core/elf_int.h"
#include "base/fs.h"
#include "base/hash.h"
#include "base/idmap.h"
#include "base/mem.h"

enum { MODULES_MAX = 256, CACHE_MAX = 16384, SYMBOL_BYTES_MAX = 64 << 20 };

struct module {
    uintptr_t lo, hi, bias;
    struct str path;
    struct str shown; /* the same, but for the executable its name */
    struct str label; /* the function of what has no symbol */
    struct elf_symbols symbols;
    bool main, looked;
};

struct cached {
    uintptr_t pc;
    uint32_t function;
};

struct agent_symbols {
    struct arena arena;
    struct module modules[MODULES_MAX];
    uint32_t n_modules;
    unsigned long long seen_adds; /* of the loader's list */
    struct {
        struct agent_function *v;
        uint32_t n, cap;
    } functions;
    struct idmap by_start; /* functions by (module, address) */
    struct cached cache[CACHE_MAX];
    struct idmap by_pc;
    uint32_t n_cache;
};

/* ── functions ── */

static uint32_t function_add(struct agent_symbols *s, const struct agent_function *f)
{
    struct agent_function *slot = VEC_PUSH(&s->arena, s->functions);
    if (!slot)
        return AGENT_FN_UNKNOWN;
    *slot = *f;
    return s->functions.n - 1;
}

static uint32_t function_of(struct agent_symbols *s, const struct agent_function *f)
{
    uint64_t hash = hash_u64(f->module, f->address);
    struct idmap_probe p = idmap_start(&s->by_start, hash);
    uint32_t i;
    while (idmap_next(&s->by_start, &p, &i)) {
        const struct agent_function *g = &s->functions.v[i];
        if (g->module == f->module && g->address == f->address)
            return i;
    }
    uint32_t id = function_add(s, f);
    if (id != AGENT_FN_UNKNOWN && !idmap_put(&s->by_start, hash, id))
        return AGENT_FN_UNKNOWN;
    return id;
}

struct agent_symbols *agent_symbols_new(void)
{
    static const char *const names[AGENT_FN_FIRST_REAL] = {
        [AGENT_FN_LOST] = "[lost]",
        [AGENT_FN_INCOMPLETE] = "[incomplete]",
        [AGENT_FN_TRUNCATED] = "[truncated]",
        [AGENT_FN_UNKNOWN] = "[unknown]",
    };
    struct agent_symbols *s = NEW(struct agent_symbols);
    arena_init(&s->arena, SYMBOL_BYTES_MAX);
    idmap_init(&s->by_start, NULL);
    idmap_init(&s->by_pc, NULL);
    for (uint32_t i = 0; i < AGENT_FN_FIRST_REAL; i++) {
        struct agent_function f = {.name = str_from(names[i]), .module = UINT32_MAX};
        (void)function_add(s, &f);
    }
    ASSERT(s->functions.n == AGENT_FN_FIRST_REAL);
    return s;
}

void agent_symbols_free(struct agent_symbols *s)
{
    if (!s)
        return;
    idmap_done(&s->by_start);
    idmap_done(&s->by_pc);
    arena_done(&s->arena);
    mem_free(s);
}

/* ── modules ── */

static void module_add(struct agent_symbols *s, const struct dl_phdr_info *info)
{
    uintptr_t lo = UINTPTR_MAX, hi = 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
        if (ph->p_type != PT_LOAD)
            continue;
        lo = MIN(lo, info->dlpi_addr + ph->p_vaddr);
        hi = MAX(hi, info->dlpi_addr + ph->p_vaddr + ph->p_memsz);
    }
    for (uint32_t i = 0; i < s->n_modules; i++)
        if (s->modules[i].lo == lo)
            return;
    if (lo >= hi || s->n_modules == MODULES_MAX)
        return;
    bool main = info->dlpi_name[0] == 0;
    struct str path = main ? STR("/proc/self/exe")
                           : arena_str(&s->arena, str_from(info->dlpi_name));
    struct str shown = main ? str_from(program_invocation_short_name) : path;
    size_t slash = str_rfind_char(shown, '/');
    struct str base = slash == STR_NPOS ? shown : str_skip(shown, slash + 1);
    struct str label = arena_printf(&s->arena, "[%.*s]", STR_ARG(base));
    if (path.p && label.p)
        s->modules[s->n_modules++] = (struct module){
            lo, hi, info->dlpi_addr, path, shown, label, .main = main};
}

static int visit(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct agent_symbols *s = ctx;
    (void)size;
    s->seen_adds = info->dlpi_adds;
    module_add(s, info);
    return 0;
}

static int peek(struct dl_phdr_info *info, size_t size, void *ctx)
{
    (void)size;
    *(unsigned long long *)ctx = info->dlpi_adds;
    return 1;
}

static uint32_t module_known(const struct agent_symbols *s, uintptr_t pc)
{
    for (uint32_t i = 0; i < s->n_modules; i++)
        if (pc >= s->modules[i].lo && pc < s->modules[i].hi)
            return i;
    return UINT32_MAX;
}

static uint32_t module_of(struct agent_symbols *s, uintptr_t pc)
{
    unsigned long long adds = 0;
    uint32_t m = module_known(s, pc);
    if (m != UINT32_MAX)
        return m;
    dl_iterate_phdr(peek, &adds);
    if (adds == s->seen_adds)
        return UINT32_MAX;
    dl_iterate_phdr(visit, s);
    return module_known(s, pc);
}

static bool read_file(void *ctx, uint64_t off, void *p, size_t n)
{
    size_t got;
    return fs_real.file_read(&fs_real, ctx, off, p, n, &got) == 0 && got == n;
}

static void load(struct agent_symbols *s, struct module *m)
{
    struct fs_file *f;
    char *path = arena_cstr(&s->arena, m->path);
    m->looked = true;
    if (!path || fs_real.file_open(&fs_real, path, FS_READ, &f) != 0)
        return;
    (void)elf_symbols_read(read_file, f, &s->arena, &m->symbols, NULL);
    fs_real.file_close(&fs_real, f);
}

/* Whether `mov %rsp,%rbp` is nowhere in the function's code, which is in memory. Of the executable
 * only: that its code can be read was known before. */
static bool is_frameless(const struct module *m, const struct elf_symbol *sym)
{
    static const char sets_frame[] = "\x48\x89\xE5";
    uintptr_t at = m->bias + sym->address;
    if (!m->main || sym->size == 0 || at < m->lo || at + sym->size > m->hi)
        return false;
    return !memmem((const void *)at, sym->size, sets_frame, sizeof sets_frame - 1);
}

static uint32_t resolve(struct agent_symbols *s, uintptr_t pc)
{
    uint32_t at = module_of(s, pc);
    if (at == UINT32_MAX)
        return AGENT_FN_UNKNOWN;
    struct module *m = &s->modules[at];
    if (!m->looked)
        load(s, m);
    const struct elf_symbol *sym = elf_symbols_find(&m->symbols, pc - m->bias);
    struct agent_function f = {.name = m->label, .module = at};
    if (sym) {
        f.name = elf_symbol_name(&m->symbols, sym);
        f.address = sym->address;
        f.frameless = is_frameless(m, sym);
    }
    return function_of(s, &f);
}

/* ── questions ── */

uint32_t agent_symbols_function(struct agent_symbols *s, uintptr_t pc)
{
    uint64_t hash = hash_u64(pc, 1);
    struct idmap_probe p = idmap_start(&s->by_pc, hash);
    uint32_t i;
    while (idmap_next(&s->by_pc, &p, &i))
        if (s->cache[i].pc == pc)
            return s->cache[i].function;
    uint32_t function = resolve(s, pc);
    if (s->n_cache == CACHE_MAX) {
        idmap_clear(&s->by_pc);
        s->n_cache = 0;
    }
    s->cache[s->n_cache] = (struct cached){pc, function};
    if (idmap_put(&s->by_pc, hash, s->n_cache))
        s->n_cache++;
    return function;
}

uint32_t agent_symbols_count(const struct agent_symbols *s)
{
    return s->functions.n;
}

const struct agent_function *agent_symbols_get(const struct agent_symbols *s, uint32_t id)
{
    ASSERT(id < s->functions.n);
    return &s->functions.v[id];
}

struct str agent_symbols_module(const struct agent_symbols *s, uint32_t module, uint64_t *ret_bytes)
{
    ASSERT(module < s->n_modules);
    *ret_bytes = s->modules[module].hi - s->modules[module].lo;
    return s->modules[module].shown;
}
