/* A tenant's relabelling rules. The first byte says whether they are for sample types; up to the
 * first zero byte is the JSON of the rules; the rest are labels, "name=value" by lines. Bad rules
 * have a reason; good ones, applied, leave a sorted set without doubles and empty values, twice the
 * same one. */
#include "base/mem.h"
#include "ingest/relabel_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LABELS_MAX = 40 };

static struct label_set read_labels(struct str text, struct arena *arena)
{
    struct label_set set = {0};
    struct str_split lines = {text, text.n == 0};
    struct str line;
    while (str_split_next(&lines, '\n', &line) && set.n < LABELS_MAX) {
        size_t eq = str_find_char(line, '=');
        struct str name = str_head(line, eq),
                   value = eq == STR_NPOS ? STR_EMPTY : str_skip(line, eq + 1);
        if (value.n)
            ASSERT(label_set_put(&set, arena, name, value));
    }
    return set;
}

static void check_set(const struct label_set *set)
{
    for (uint32_t i = 0; i < set->n; i++) {
        ASSERT(set->v[i].value.n > 0);
        ASSERT(i == 0 || str_cmp(set->v[i - 1].name, set->v[i].name) < 0);
    }
}

static void apply(const struct relabel *rules, struct str text, bool types)
{
    struct arena arena;
    bool keep[2];
    struct label_set set[2];
    arena_init(&arena, 64 * MIB);
    for (int i = 0; i < 2; i++) {
        set[i] = read_labels(text, &arena);
        uint64_t before = labels_hash(label_set_view(&set[i]));
        if (!relabel_apply(rules, &set[i], &arena, &keep[i])) {
            ASSERT(arena.full);
            arena_done(&arena);
            return;
        }
        check_set(&set[i]);
        ASSERT(!types || labels_hash(label_set_view(&set[i])) == before);
    }
    ASSERT(keep[0] == keep[1]);
    ASSERT(labels_eq(label_set_view(&set[0]), label_set_view(&set[1])));
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct relabel *rules = NULL, *again = NULL;
    struct error err = {0};
    if (size == 0 || size > 16384)
        return 0;
    bool types = data[0] & 1;
    struct str rest = str_make(data + 1, size - 1);
    size_t zero = str_find_char(rest, 0);
    struct str json = str_head(rest, zero);
    struct str labels = zero == STR_NPOS ? STR_EMPTY : str_skip(rest, zero + 1);
    enum status st = relabel_compile(json, types, &rules, &err);
    if (st == ST_OK) {
        ASSERT(relabel_compile(json, types, &again, &err) == ST_OK && again == rules);
        ASSERT(!rules || str_eq(relabel_text(rules), str_trim(json)));
        if (rules)
            apply(rules, labels, types);
    } else {
        ASSERT(st == ST_INVALID_ARGUMENT || st == ST_RESOURCE_EXHAUSTED);
        ASSERT(err.code == st && err.len > 0);
    }
    compiled_forget();
    return 0;
}
