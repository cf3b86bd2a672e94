/* What the table of settings prints: -help, -help-all, the reference page, the effective YAML.
 * Everything is derived from the table; a test compares docs/reference/configuration.md with it.
 * Pure; any thread. */
#include "server/config_int.h"

#include "base/mem.h"
#include "codec/json.h"

enum { VALUE_BYTES = 64 << 10 };

/* Rows in the order of their flag or path, for printing. */
struct row_list {
    uint16_t *v;
    uint32_t n;
};

typedef const char *(*key_fn)(const struct config_setting *s);

static const char *key_flag(const struct config_setting *s)
{
    return s->flag;
}

static const char *key_yaml(const struct config_setting *s)
{
    return s->yaml;
}

/* '.' sorts before all, so that a block stays together. */
static int path_cmp(const char *a, const char *b)
{
    for (;; a++, b++) {
        unsigned x = *a == '.' ? 1 : (unsigned char)*a, y = *b == '.' ? 1 : (unsigned char)*b;
        if (x != y || !x)
            return (x > y) - (x < y);
    }
}

static struct row_list rows_sorted(key_fn key, bool (*want)(const struct config_setting *))
{
    struct row_list l = {mem_new(config_settings_n * sizeof(uint16_t)), 0};
    for (uint32_t i = 0; i < config_settings_n; i++) {
        const struct config_setting *s = &config_settings[i];
        if (!key(s) || !want(s))
            continue;
        uint32_t at = l.n++;
        for (; at && path_cmp(key(&config_settings[l.v[at - 1]]), key(s)) > 0; at--)
            l.v[at] = l.v[at - 1];
        l.v[at] = (uint16_t)i;
    }
    return l;
}

static bool want_all(const struct config_setting *s)
{
    return !s->alias_of;
}

static bool want_basic(const struct config_setting *s)
{
    return s->category == CONFIG_BASIC;
}

static bool want_shown(const struct config_setting *s)
{
    return s->category != CONFIG_HIDDEN;
}

static bool want_accepted(const struct config_setting *s)
{
    return s->offset == CONFIG_NO_MEMBER;
}

/* Text of row i of c: canonical when it works here, as given otherwise. */
static void value_text(const struct config *c, uint32_t i, struct buf *out)
{
    const struct config_setting *s = &config_settings[i];
    if (s->offset != CONFIG_NO_MEMBER)
        config_value_format(s->type, (const char *)c + s->offset, out);
    else if (s->type == CONFIG_SECRET)
        buf_str(out, c->marks[i].text.n ? STR("********") : STR_EMPTY);
    else
        buf_str(out, c->marks[i].text);
}

static bool is_text(enum config_type t)
{
    return t == CONFIG_STRING || t == CONFIG_SECRET || t == CONFIG_LIST || t == CONFIG_ANY;
}

/* Is row i printed, and with which value? */
static bool dump_row(const struct config *c, const struct config *initial, uint32_t i,
    enum config_dump what, struct buf *value)
{
    const struct config_setting *s = &config_settings[i];
    bool given = c->marks[i].source != CONFIG_FROM_DEFAULT;
    buf_clear(value);
    value_text(c, i, value);
    if (s->offset == CONFIG_NO_MEMBER)
        return given && s->type != CONFIG_ANY;
    if (what != CONFIG_DUMP_DIFF)
        return true;
    struct buf other;
    buf_init(&other, VALUE_BYTES);
    value_text(initial, i, &other);
    bool differs = !str_eq(buf_view(value), buf_view(&other));
    buf_done(&other);
    return differs;
}

/* Opens the blocks of `path` that `last` was not in, and writes the key. */
static void dump_key(struct str last, struct str path, struct buf *out)
{
    size_t same = 0, depth = 0; /* bytes of common blocks, their number */
    for (size_t i = 0; i < path.n && i < last.n && path.p[i] == last.p[i]; i++)
        if (path.p[i] == '.')
            same = i + 1;
    for (size_t i = 0; i < same; i++)
        depth += path.p[i] == '.';
    for (struct str rest = str_skip(path, same);; depth++) {
        size_t dot = str_find_char(rest, '.');
        for (size_t i = 0; i < depth; i++)
            buf_str(out, STR("  "));
        if (dot == STR_NPOS) {
            buf_printf(out, "%.*s: ", STR_ARG(rest));
            return;
        }
        buf_printf(out, "%.*s:\n", STR_ARG(str_head(rest, dot)));
        rest = str_skip(rest, dot + 1);
    }
}

void config_dump(const struct config *c, enum config_dump what, struct buf *out)
{
    struct config *initial = config_new();
    const struct config *from = what == CONFIG_DUMP_DEFAULTS ? initial : c;
    struct row_list rows = rows_sorted(key_yaml, want_all);
    struct str last = STR_EMPTY;
    struct buf value;
    buf_init(&value, VALUE_BYTES);
    for (uint32_t k = 0; k < rows.n; k++) {
        const struct config_setting *s = &config_settings[rows.v[k]];
        if (!dump_row(from, initial, rows.v[k], what, &value))
            continue;
        dump_key(last, str_from(s->yaml), out);
        last = str_from(s->yaml);
        if (is_text(s->type))
            json_put_string(out, buf_view(&value));
        else
            buf_str(out, buf_view(&value));
        buf_byte(out, '\n');
    }
    if (!last.n)
        buf_str(out, STR("{}\n"));
    buf_done(&value);
    mem_free(rows.v);
    config_free(initial);
}

static const char *type_word(enum config_type t)
{
    static const char *const words[] = {
        [CONFIG_STRING] = "string",
        [CONFIG_SECRET] = "secret",
        [CONFIG_LIST] = "list",
        [CONFIG_BOOL] = "boolean",
        [CONFIG_INT] = "integer",
        [CONFIG_BYTES] = "bytes",
        [CONFIG_FLOAT] = "number",
        [CONFIG_DURATION] = "duration",
        [CONFIG_XDURATION] = "duration (d, w, y)",
        [CONFIG_RULES] = "list of rules",
        [CONFIG_TYPE_RULES] = "list of rules",
        [CONFIG_USAGE_GROUPS] = "selector by name",
        [CONFIG_GROUP_SAMPLING] = "probability by name",
        [CONFIG_GROUP_QUOTAS] = "quota by name",
        [CONFIG_POSITION] = "first, last, disabled",
        [CONFIG_PERIOD] = "second … year",
        [CONFIG_ANY] = "any",
    };
    return words[t];
}

static uint32_t accepted_count(void)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < config_settings_n; i++)
        n += config_settings[i].offset == CONFIG_NO_MEMBER && config_settings[i].flag;
    return n;
}

void config_help(bool all, struct buf *out)
{
    struct row_list rows = rows_sorted(key_flag, all ? want_shown : want_basic);
    buf_str(out, STR("Usage: everflame [flags]\n\n"));
    for (uint32_t i = 0; i < rows.n; i++) {
        const struct config_setting *s = &config_settings[rows.v[i]];
        buf_printf(out, "  -%s", s->flag);
        if (s->type != CONFIG_BOOL)
            buf_printf(out, " %s", type_word(s->type));
        buf_printf(out, "\n    \t%s", s->help);
        if (*s->initial && strcmp(s->initial, "false") != 0)
            buf_printf(out, " (default %s)", s->initial);
        buf_byte(out, '\n');
    }
    mem_free(rows.v);
    if (all)
        buf_printf(out,
            "\n%u further flags of Pyroscope are accepted and have no effect;\n"
            "docs/reference/configuration.md lists them.\n",
            accepted_count());
    else
        buf_str(out, STR("\nTo see all flags, use -help-all.\n"));
}

static void docs_name(const char *name, const char *prefix, struct buf *out)
{
    if (name)
        buf_printf(out, "`%s%s`", prefix, name);
}

static void docs_working(bool advanced, struct buf *out)
{
    buf_str(out, STR("| Flag | YAML | Type | Default | Meaning |\n|---|---|---|---|---|\n"));
    for (uint32_t i = 0; i < config_settings_n; i++) {
        const struct config_setting *s = &config_settings[i];
        if (s->category != (advanced ? CONFIG_ADVANCED : CONFIG_BASIC))
            continue;
        buf_str(out, STR("| "));
        docs_name(s->flag, "-", out);
        buf_str(out, STR(" | "));
        docs_name(s->yaml, "", out);
        buf_printf(out, " | %s | ", type_word(s->type));
        docs_name(*s->initial ? s->initial : NULL, "", out);
        buf_printf(out, " | %s |\n", s->help);
    }
}

static void docs_aliases(struct buf *out)
{
    buf_str(out, STR("| Key | Taken for | Note |\n|---|---|---|\n"));
    for (uint32_t i = 0; i < config_settings_n; i++) {
        const struct config_setting *s = &config_settings[i];
        if (s->alias_of)
            buf_printf(out, "| `%s` | `%s` | %s; a warning at start |\n",
                s->yaml ? s->yaml : s->flag, s->alias_of, s->help);
    }
}

static void docs_accepted(struct buf *out)
{
    struct row_list rows = rows_sorted(key_yaml, want_accepted);
    buf_str(out, STR("| YAML | Flag |\n|---|---|\n"));
    for (uint32_t i = 0; i < rows.n; i++) {
        const struct config_setting *s = &config_settings[rows.v[i]];
        buf_printf(out, "| `%s` | ", s->yaml);
        docs_name(s->flag, "-", out);
        buf_str(out, STR(" |\n"));
    }
    mem_free(rows.v);
    rows = rows_sorted(key_flag, want_accepted);
    buf_str(out, STR("\nFlags without a key:"));
    for (uint32_t i = 0; i < rows.n; i++)
        if (!config_settings[rows.v[i]].yaml)
            buf_printf(out, " `-%s`", config_settings[rows.v[i]].flag);
    buf_str(out, STR("\n"));
    mem_free(rows.v);
}

void config_docs(struct buf *out)
{
    buf_str(out,
        STR("# Configuration reference\n\n"
            "<!-- Made by `everflame -help-docs`; a test compares. Change "
            "src/server/config_table.def, "
            "then make it again. -->\n\n"
            "Settings come from the defaults, then the YAML file of `-config.file`, then the "
            "command "
            "line; the last one wins.\nNo flag is read from the environment; `-config.expand-env` "
            "expands `${VAR}` and `${VAR:-default}` in the file.\nUnknown keys and flags are "
            "errors."
            " Keys below `limits` may also stand below `overrides: <tenant>:` in the\nfiles of "
            "`-runtime-config.file`, which are read again while the server runs.\n\n"
            "## Basic\n\n"));
    docs_working(false, out);
    buf_str(out, STR("\n## Advanced\n\n"));
    docs_working(true, out);
    buf_str(out, STR("\n## Other names\n\n"));
    docs_aliases(out);
    buf_str(out,
        STR("\n## Accepted, without effect\n\n"
            "Flags and keys of Pyroscope that Everflame takes so that existing files and command "
            "lines work. Giving\none is named in a warning at start.\n\n"));
    docs_accepted(out);
}
