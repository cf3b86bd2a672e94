/* Where the source of a profile is: §6.10 puts the repository's labels into the build ids.
 *
 * When a series says where its source lives, the build id of every mapping becomes compact JSON
 * {"repository":…,"git_ref":…,"build_id":…,"root_path":…} with empty members left out, from which
 * the user interface finds the source. Equal old build ids share one new string.
 *
 * The symbols may be shared by other profiles, so the profile gets its own copy of the two arrays
 * that change; what they point to stays shared. Pure; the only failure is a full arena. */
#include "ingest/ingest_int.h"

#include "codec/json.h"

static void json_member(struct buf *out, struct str name, struct str value)
{
    if (value.n == 0)
        return;
    if (out->n > 1)
        buf_byte(out, ',');
    json_put_string(out, name);
    buf_byte(out, ':');
    json_put_string(out, value);
}

struct version {
    struct str repository, git_ref, root_path;
};

static struct str version_json(const struct version *v, struct str build_id, struct arena *arena)
{
    struct buf b;
    buf_init(&b, 8 * MIB);
    buf_byte(&b, '{');
    json_member(&b, STR("repository"), v->repository);
    json_member(&b, STR("git_ref"), v->git_ref);
    json_member(&b, STR("build_id"), build_id);
    json_member(&b, STR("root_path"), v->root_path);
    buf_byte(&b, '}');
    struct str text = b.failed ? (struct str){NULL, 0} : arena_str(arena, buf_view(&b));
    buf_done(&b);
    return text;
}

/* `to` maps old string ids to new ones, PROF_NONE where there is none yet. */
static bool replace_all(
    struct prof_symbols *sym, const struct version *v, uint32_t *to, struct arena *arena)
{
    for (uint32_t i = 0; i < sym->n_mappings; i++) {
        uint32_t old = sym->mappings[i].build_id;
        if (to[old] == PROF_NONE) {
            struct str text = version_json(v, sym->strings[old], arena);
            if (!text.p)
                return false;
            to[old] = sym->n_strings;
            sym->strings[sym->n_strings++] = text;
        }
        sym->mappings[i].build_id = to[old];
    }
    return true;
}

bool ingest_inject_versions(struct profile *prof, struct labels labels, struct arena *arena)
{
    struct version v = {labels_get(labels, STR("service_repository")),
        labels_get(labels, STR("service_git_ref")), labels_get(labels, STR("service_root_path"))};
    const struct prof_symbols *old = prof->sym;
    if ((v.repository.n == 0 && v.git_ref.n == 0 && v.root_path.n == 0) || old->n_mappings == 0)
        return true;
    struct prof_symbols *sym = ARENA_NEW(arena, struct prof_symbols);
    size_t n = (size_t)old->n_strings + old->n_mappings;
    struct str *strings = ARENA_ARRAY(arena, struct str, n);
    struct prof_mapping *mappings = ARENA_ARRAY(arena, struct prof_mapping, old->n_mappings);
    uint32_t *to = ARENA_ARRAY(arena, uint32_t, old->n_strings);
    if (!sym || !strings || !mappings || !to || n >= UINT32_MAX)
        return false;
    memcpy(strings, old->strings, old->n_strings * sizeof *strings);
    memcpy(mappings, old->mappings, old->n_mappings * sizeof *mappings);
    memset(to, 0xFF, old->n_strings * sizeof *to);
    *sym = *old;
    sym->strings = strings;
    sym->mappings = mappings;
    if (!replace_all(sym, &v, to, arena))
        return false;
    prof->sym = sym;
    return true;
}
