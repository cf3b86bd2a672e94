/* Applying relabelling rules to a label set, as Prometheus does (spec/ingest.md §7.5).
 *
 *     for each rule: source labels joined by the separator ─► regex over all of it ─► action
 *
 * A label set to the empty value is gone. Names that a rule makes and that are empty are not set;
 * whether a name is allowed at all is for the validation that follows.
 *
 * Pure; results are in the request's arena; the only failure is that it is full. */
#include "ingest/relabel_int.h"

#include "codec/md5.h"
#include "model/re2_shim.h"

struct run {
    struct label_set *set;
    struct arena *arena;
    bool drop;
};

static struct str value_of(const struct run *run, struct str name)
{
    struct str v = labels_get(label_set_view(run->set), name);
    return v.p ? v : STR_EMPTY;
}

static bool put(struct run *run, struct str name, struct str value)
{
    if (value.n)
        return label_set_put(run->set, run->arena, name, value);
    label_set_drop(run->set, name);
    return true;
}

/* {NULL, 0}: arena full. */
static struct str joined(const struct run *run, const struct relabel_rule *r)
{
    if (r->source.n == 1)
        return value_of(run, r->source.v[0]);
    size_t n = 0, at = 0;
    for (uint32_t i = 0; i < r->source.n; i++)
        n += value_of(run, r->source.v[i]).n + (i ? r->separator.n : 0);
    char *p = arena_alloc(run->arena, n + 1);
    if (!p)
        return (struct str){0};
    for (uint32_t i = 0; i < r->source.n; i++) {
        struct str parts[] = {i ? r->separator : STR_EMPTY, value_of(run, r->source.v[i])};
        for (size_t k = 0; k < 2; k++) {
            if (parts[k].n)
                memcpy(p + at, parts[k].p, parts[k].n);
            at += parts[k].n;
        }
    }
    return str_make(p, n);
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The name behind a '$' at s: "1", "{1}", "name", "{name}"; *ret_n is what it takes of s. False:
 * it is none, the '$' stands for itself. */
static bool group_name(struct str s, struct str *ret_name, size_t *ret_n)
{
    bool brace = s.n && s.p[0] == '{';
    size_t i = brace ? 1 : 0, begin = i;
    while (i < s.n && is_name_char(s.p[i]))
        i++;
    if (i == begin || (brace && (i == s.n || s.p[i] != '}')))
        return false;
    *ret_name = str_make(s.p + begin, i - begin);
    *ret_n = i + (brace ? 1 : 0);
    return true;
}

static struct str group_text(
    const struct relabel_rule *r, const struct re2_shim_group *groups, struct str name)
{
    uint64_t number;
    int i = str_to_u64(name, &number) ? (number < (uint64_t)r->n_groups ? (int)number : -1)
                                      : re2_shim_group_named(r->re, name.p, name.n);
    return i < 0 || !groups[i].p ? STR_EMPTY : str_make(groups[i].p, groups[i].n);
}

/* Go's Regexp.Expand. {NULL, 0}: arena full. */
static struct str expand(struct arena *arena, const struct relabel_rule *r,
    const struct re2_shim_group *groups, struct str template)
{
    struct buf out;
    if (str_find_char(template, '$') == STR_NPOS)
        return template;
    buf_init(&out, MIB);
    for (size_t i = 0; i < template.n; i++) {
        struct str name, rest = str_skip(template, i + 1);
        size_t n;
        if (template.p[i] != '$') {
            buf_byte(&out, template.p[i]);
        } else if (rest.n && rest.p[0] == '$') {
            buf_byte(&out, '$');
            i++;
        } else if (group_name(rest, &name, &n)) {
            buf_str(&out, group_text(r, groups, name));
            i += n;
        } else {
            buf_byte(&out, '$');
        }
    }
    struct str made = out.failed ? (struct str){0} : arena_str(arena, buf_view(&out));
    buf_done(&out);
    return made;
}

static bool replace(struct run *run, const struct relabel_rule *r, struct str value)
{
    struct re2_shim_group groups[RE2_SHIM_GROUPS_MAX];
    if (!re2_shim_match_groups(r->re, value.p, value.n, groups, r->n_groups))
        return true;
    struct str target = expand(run->arena, r, groups, r->target);
    struct str text = expand(run->arena, r, groups, r->replacement);
    if (!target.p || !text.p)
        return false;
    return target.n == 0 || put(run, target, text);
}

static bool hashmod(struct run *run, const struct relabel_rule *r, struct str value)
{
    uint8_t sum[16];
    uint64_t n = 0;
    md5(value, sum);
    for (unsigned i = 8; i < 16; i++)
        n = n << 8 | sum[i];
    struct str text = arena_printf(run->arena, "%llu", (unsigned long long)(n % r->modulus));
    return text.p && put(run, r->target, text);
}

static bool change_case(struct run *run, const struct relabel_rule *r, struct str value)
{
    char first = r->action == RELABEL_UPPERCASE ? 'a' : 'A';
    char *p = arena_alloc(run->arena, value.n + 1);
    if (!p)
        return false;
    for (size_t i = 0; i < value.n; i++)
        p[i] = (char)(value.p[i] ^ (value.p[i] >= first && value.p[i] <= first + 25 ? 0x20 : 0));
    return put(run, r->target, str_make(p, value.n));
}

/* labelmap, labeldrop, labelkeep: over the labels as they were. */
static bool by_name(struct run *run, const struct relabel_rule *r)
{
    struct re2_shim_group groups[RE2_SHIM_GROUPS_MAX];
    uint32_t n = run->set->n;
    struct label *before = ARENA_ARRAY(run->arena, struct label, n);
    if (!before)
        return false;
    if (n)
        memcpy(before, run->set->v, n * sizeof *before);
    for (uint32_t i = 0; i < n; i++) {
        struct str name = before[i].name;
        bool match = re2_shim_match_groups(r->re, name.p, name.n, groups, r->n_groups);
        if (r->action == RELABEL_LABELMAP && match) {
            struct str to = expand(run->arena, r, groups, r->replacement);
            if (!to.p || (to.n && !put(run, to, before[i].value)))
                return false;
        } else if (r->action != RELABEL_LABELMAP && match == (r->action == RELABEL_LABELDROP)) {
            label_set_drop(run->set, name);
        }
    }
    return true;
}

static bool apply(struct run *run, const struct relabel_rule *r)
{
    struct str value = joined(run, r);
    if (!value.p)
        return false;
    switch (r->action) {
    case RELABEL_DROP:
    case RELABEL_KEEP:
        run->drop = re2_shim_match(r->re, value.p, value.n) == (r->action == RELABEL_DROP);
        return true;
    case RELABEL_DROPEQUAL:
    case RELABEL_KEEPEQUAL:
        run->drop = str_eq(value_of(run, r->target), value) == (r->action == RELABEL_DROPEQUAL);
        return true;
    case RELABEL_REPLACE:
        return replace(run, r, value);
    case RELABEL_HASHMOD:
        return hashmod(run, r, value);
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE:
        return change_case(run, r, value);
    case RELABEL_LABELMAP:
    case RELABEL_LABELDROP:
    case RELABEL_LABELKEEP:
        return by_name(run, r);
    }
    return true;
}

bool relabel_apply(
    const struct relabel *rules, struct label_set *set, struct arena *arena, bool *ret_keep)
{
    struct run run = {set, arena, false};
    for (uint32_t i = 0; rules && i < rules->rules.n && !run.drop; i++)
        if (!apply(&run, &rules->rules.v[i]))
            return false;
    *ret_keep = !run.drop;
    return true;
}
