/* The command line, by the rules of Go's flag package: -x v, -x=v, --x=v; booleans never take the
 * next argument; parsing stops at the first argument that is not a flag, and at `--`.
 *
 * It is read twice: once for the flags that decide how to go on (the file, help), and again over
 * what the file said, so that the command line always wins. Runs on main's thread at start; a bad
 * flag is an error whose text ends with the hint where to look. */
#include "server/config_int.h"

#define HINT "\nRun with -help to get a list of available parameters"

/* Settings that are read before the file. */
static bool is_early(const struct config_setting *s)
{
    return s->offset == offsetof(struct config, config_file) ||
           s->offset == offsetof(struct config, config_expand_env) ||
           s->offset == offsetof(struct config, version) ||
           s->offset == offsetof(struct config, modules) ||
           s->offset == offsetof(struct config, help) ||
           s->offset == offsetof(struct config, help_all) ||
           s->offset == offsetof(struct config, help_docs);
}

struct flag_arg {
    struct str name, value;
    bool has_value;
};

/* Splits "--name=value"; false when the argument is not a flag. */
static bool split_flag(struct str arg, struct flag_arg *ret)
{
    if (arg.n < 2 || arg.p[0] != '-')
        return false;
    struct str rest = str_skip(arg, arg.p[1] == '-' ? 2 : 1);
    size_t eq = str_find_char(rest, '=');
    ret->has_value = eq != STR_NPOS;
    ret->name = ret->has_value ? str_head(rest, eq) : rest;
    ret->value = ret->has_value ? str_skip(rest, eq + 1) : STR_EMPTY;
    return true;
}

static enum status set_flag(
    struct config *c, int row, const struct flag_arg *f, bool apply_all, struct error *err)
{
    const struct config_setting *s = &config_settings[row];
    struct config_value v;
    bool range;
    if (!config_value_parse(s->type, f->value, &v, &range)) {
        const char *why = range ? "value out of range" : "parse error";
        if (s->type == CONFIG_BOOL)
            FAIL(err, ST_INVALID_ARGUMENT, "invalid boolean value \"%.*s\" for -%.*s: %s" HINT,
                STR_ARG(f->value), STR_ARG(f->name), why);
        FAIL(err, ST_INVALID_ARGUMENT, "invalid value \"%.*s\" for flag -%.*s: %s" HINT,
            STR_ARG(f->value), STR_ARG(f->name), why);
    }
    if ((apply_all || is_early(s)) && !config_set(c, row, f->value, CONFIG_FROM_FLAG))
        FAIL(err, ST_RESOURCE_EXHAUSTED, "the command line is too long");
    return ST_OK;
}

enum status config_flags_parse(
    struct config *c, int argc, char **argv, bool apply_all, struct error *err)
{
    for (int i = 1; i < argc; i++) {
        struct str arg = str_from(argv[i]);
        struct flag_arg f;
        if (str_eq(arg, STR("--")) || !split_flag(arg, &f)) {
            i += str_eq(arg, STR("--"));
            c->rest = arena_str(&c->arena, i < argc ? str_from(argv[i]) : STR_EMPTY);
            return ST_OK;
        }
        if (f.name.n == 0 || f.name.p[0] == '-')
            FAIL(err, ST_INVALID_ARGUMENT, "bad flag syntax: %.*s" HINT, STR_ARG(arg));
        int row = config_find_flag(f.name);
        if (row < 0)
            FAIL(err, ST_INVALID_ARGUMENT, "flag provided but not defined: -%.*s" HINT,
                STR_ARG(f.name));
        if (!f.has_value && config_settings[row].type == CONFIG_BOOL) {
            f.value = STR("true");
        } else if (!f.has_value) {
            if (++i >= argc)
                FAIL(err, ST_INVALID_ARGUMENT, "flag needs an argument: -%.*s" HINT,
                    STR_ARG(f.name));
            f.value = str_from(argv[i]);
        }
        TRY(set_flag(c, row, &f, apply_all, err));
    }
    return ST_OK;
}
