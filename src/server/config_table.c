/* The table of settings, made from config_table.def and config_table_accepted.def, and look-ups in
 * it.
 *
 * A row that works names a member of struct config; that the member has the C type of the row is
 * checked when compiling. Look-ups are linear: they run a few hundred times at start and never on a
 * request. A test checks that flags and YAML paths are unique and that every default parses. */
#include "server/config_int.h"

typedef struct str ctype_STRING, ctype_SECRET, ctype_LIST;
typedef bool ctype_BOOL;
typedef int64_t ctype_INT, ctype_DURATION, ctype_XDURATION;
typedef uint64_t ctype_BYTES;
typedef double ctype_FLOAT;
typedef const struct relabel *ctype_RULES, *ctype_TYPE_RULES;
typedef const struct usage_groups *ctype_USAGE_GROUPS;
typedef const struct group_rules *ctype_GROUP_SAMPLING, *ctype_GROUP_QUOTAS;
typedef int64_t ctype_POSITION, ctype_PERIOD;

#define SAME_TYPE(type, member)                                                               \
    _Static_assert(                                                                           \
        __builtin_types_compatible_p(ctype_##type, __typeof__(((struct config *)0)->member)), \
        "the member of a setting has another type");
#define W(flag, yaml, type, member, cat, initial, help) SAME_TYPE(type, member)
#define A(flag, yaml, type, member, of, note) SAME_TYPE(type, member)
#include "server/config_table.def"
#undef W
#undef A

const struct config_setting config_settings[] = {
#define W(flag, yaml, type, member, cat, initial, help) \
    {flag, yaml, CONFIG_##type, CONFIG_##cat, offsetof(struct config, member), initial, NULL, help},
#define A(flag, yaml, type, member, of, note) \
    {flag, yaml, CONFIG_##type, CONFIG_HIDDEN, offsetof(struct config, member), NULL, of, note},
#define N(flag, yaml, type, initial) \
    {flag, yaml, CONFIG_##type, CONFIG_HIDDEN, CONFIG_NO_MEMBER, initial, NULL, NULL},
#include "server/config_table.def"
#include "server/config_table_accepted.def"
#undef W
#undef A
#undef N
};
const uint32_t config_settings_n = ARRAY_LEN(config_settings);

int config_find_flag(struct str flag)
{
    for (uint32_t i = 0; i < config_settings_n; i++)
        if (config_settings[i].flag && str_eq(str_from(config_settings[i].flag), flag))
            return (int)i;
    return -1;
}

int config_find_yaml(struct str path)
{
    for (uint32_t i = 0; i < config_settings_n; i++)
        if (config_settings[i].yaml && str_eq(str_from(config_settings[i].yaml), path))
            return (int)i;
    return -1;
}

bool config_is_block(struct str path)
{
    for (uint32_t i = 0; i < config_settings_n; i++) {
        if (!config_settings[i].yaml)
            continue;
        struct str y = str_from(config_settings[i].yaml);
        if (y.n > path.n && str_starts(y, path) && y.p[path.n] == '.')
            return true;
    }
    return false;
}
