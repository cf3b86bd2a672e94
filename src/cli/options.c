/* The options and how they are read: see cli_int.h.
 *
 * `--name VALUE`, `--name=VALUE`, `-n VALUE`, `-nVALUE`; one dash before a long name is taken as
 * well, as the server's flags are written so. Options and arguments may be mixed; what follows
 * `--` is an argument. An option given twice counts the last time, but for those that repeat.
 *
 * Thread: one. Failure: one of usage, with the nearest option the command has. */
#include <stdlib.h>

#include "cli/cli_int.h"
#include "cli/units.h"

const struct option_def option_defs[OPT_COUNT] = {
    [OPT_URL] = {"url", "URL", 0, false, "EVERFLAME_URL",
        "The server to ask; http://127.0.0.1:4040 when not given. A path below which it is "
        "reached may follow the host."},
    [OPT_TENANT_ID] = {"tenant-id", "ID", 0, false, "EVERFLAME_TENANT_ID",
        "The tenant, for servers with more than one. Several, joined by `|`, are asked together."},
    [OPT_TOKEN] = {"token", "TOKEN", 0, false, "EVERFLAME_TOKEN",
        "A bearer token. The environment hides it from other users of the machine, an option does "
        "not."},
    [OPT_USERNAME] = {"username", "NAME", 0, false, "EVERFLAME_USERNAME",
        "The user for basic authentication; wins over --token."},
    [OPT_PASSWORD] = {"password", "WORD", 0, false, "EVERFLAME_PASSWORD", "That user's password."},
    [OPT_SERVICE] = {"service", "NAME", 0, false, NULL,
        "The service. When not given, top, flame and diff take the only one there is (`everflame` "
        "itself not counted)."},
    [OPT_TYPE] = {"type", "TYPE", 0, false, NULL,
        "What was measured, cpu when not given: a short name (see profile types), or a full id "
        "such as `process_cpu:cpu:nanoseconds:cpu:nanoseconds`. For upload: what collapsed stacks "
        "count."},
    [OPT_SELECTOR] = {"selector", "{…}", 0, false, NULL,
        "A label selector: `{pod=~\"web-.*\",env!=\"test\"}`."},
    [OPT_LABEL] = {"label", "NAME=VALUE", 0, true, NULL,
        "Only what has this label; for upload: a label to give. May be given several times."},
    [OPT_SINCE] = {"since", "LENGTH", 0, false, NULL,
        "How far back to look: `30s`, `5m`, `1h30m`, `2d`, `1w`; 1h when not given."},
    [OPT_FROM] = {"from", "TIME", 0, false, NULL,
        "Where the time range begins (see times); for upload: the time of the profile."},
    [OPT_UNTIL] = {"until", "TIME", 0, false, NULL, "Where it ends; now when not given."},
    [OPT_BY] = {"by", "LABEL", 0, true, NULL,
        "One row per value of this label. May be given several times."},
    [OPT_SORT] = {"sort", "self|total", 0, false, NULL,
        "By the function's own share (self, the default) or with all it calls (total)."},
    [OPT_COLLAPSED] = {"collapsed", NULL, 0, false, NULL,
        "Write collapsed stacks, `main;work;sort 120`, instead of drawing."},
    [OPT_PPROF] = {"pprof", "FILE", 0, false, NULL,
        "Write a gzip-compressed pprof profile to FILE (`-`: standard output)."},
    [OPT_SVG] = {"svg", "FILE", 0, false, NULL,
        "Write an SVG picture that stands alone to FILE (`-`: standard output). In a browser a "
        "click on a frame zooms in."},
    [OPT_BEFORE] = {"before", "A..B", 0, false, NULL, "The first time range."},
    [OPT_AFTER] = {"after", "C..D", 0, false, NULL, "The second time range."},
    [OPT_AT] = {"at", "TIME", 0, false, NULL,
        "Compare as much time before TIME as after it: --since long (1h when not given), or less "
        "when not so much has passed."},
    [OPT_FLAME] = {"flame", NULL, 0, false, NULL,
        "Draw a flame graph of both: red grew, blue shrank."},
    [OPT_NAME] = {"name", "SERVICE", 0, false, NULL,
        "The service that was profiled; the file's name up to the first dot when not given."},
    [OPT_SAMPLE_RATE] = {"sample-rate", "HZ", 0, false, NULL,
        "How many samples were taken per second, for formats that do not say; 100 when not given."},
    [OPT_ALL] = {"all", NULL, 0, false, NULL, "Also the labels that begin with two underscores."},
    [OPT_MARKDOWN] = {"markdown", NULL, 0, false, NULL, "The whole manual as Markdown."},
    [OPT_MAN] = {"man", NULL, 0, false, NULL, "The whole manual as a page for man(1)."},
    [OPT_ROWS] = {"rows", "ROWS", 'n', false, NULL,
        "Show at most this many rows; 0 shows all. When not given, text shows what is worth "
        "reading and JSON has everything."},
    [OPT_OUTPUT] = {"output", "text|json", 'o', false, NULL,
        "Text for people (the default), or JSON with exact numbers for programs."},
    [OPT_ONCE] = {"once", NULL, 0, false, NULL,
        "Push the history and one second of what is live, then end: for tests."},
    [OPT_FORCE] = {"force", NULL, 0, false, NULL,
        "Of compact: make one block of everything of a tenant and day, also of today."},
    [OPT_HELP] = {"help", NULL, 'h', false, NULL, "How to use the command."},
};

void option_put(struct buf *out, enum option_id id)
{
    const struct option_def *o = &option_defs[id];
    if (o->letter)
        buf_printf(out, "-%c, ", o->letter);
    buf_printf(out, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
}

static bool takes(const struct command *cmd, uint32_t id)
{
    return id == OPT_HELP || (cmd->options & BIT(id));
}

/* The option of `word` (without dashes) in this command, or OPT_COUNT. */
static uint32_t find(const struct command *cmd, struct str word, bool by_letter)
{
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        const struct option_def *o = &option_defs[i];
        if (!takes(cmd, i))
            continue;
        if (by_letter ? word.n > 0 && o->letter == word.p[0] : str_eq(word, str_from(o->name)))
            return i;
    }
    return OPT_COUNT;
}

static enum status unknown(struct cli *c, struct str arg, struct str name)
{
    uint32_t best = OPT_HELP, best_distance = UINT32_MAX;
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        if (!takes(c->command, i))
            continue;
        uint32_t d = edit_distance(name, str_from(option_defs[i].name));
        if (d < best_distance) {
            best = i;
            best_distance = d;
        }
    }
    for (uint32_t i = 0; i < OPT_COUNT; i++)
        if (str_eq(name, str_from(option_defs[i].name)))
            return cli_misuse(c, "this command has no option %.*s: see `everflame help %s`",
                STR_ARG(arg), c->command->name);
    return cli_misuse(c, "this command has no option %.*s: did you mean --%s?", STR_ARG(arg),
        option_defs[best].name);
}

static enum status give(struct cli *c, uint32_t id, struct str value)
{
    struct str *slot = VEC_PUSH(&c->arena, c->options[id].given);
    if (!slot)
        return cli_no_memory(c);
    *slot = value;
    return ST_OK;
}

/* One option at argv[*at], with its value. */
static enum status parse_option(struct cli *c, int argc, char **argv, int *at)
{
    struct str arg = str_from(argv[*at]);
    struct str name = str_skip(arg, str_starts(arg, STR("--")) ? 2 : 1);
    struct str value = {NULL, 0};
    size_t equals = str_find_char(name, '=');
    struct str head = equals == STR_NPOS ? name : str_head(name, equals);
    uint32_t id = find(c->command, head, false);
    if (id != OPT_COUNT && equals != STR_NPOS) {
        value = str_skip(name, equals + 1);
    } else if (id == OPT_COUNT && !str_starts(arg, STR("--"))) {
        id = find(c->command, name, true);
        if (id != OPT_COUNT && name.n > 1)
            value = str_skip(name, 1);
    }
    if (id == OPT_COUNT)
        return unknown(c, arg, head);
    const struct option_def *o = &option_defs[id];
    if (!o->value) {
        if (value.p)
            return cli_misuse(c, "--%s takes no value", o->name);
        return give(c, id, STR_EMPTY);
    }
    if (!value.p && *at + 1 >= argc)
        return cli_misuse(c, "--%s wants a value: --%s %s", o->name, o->name, o->value);
    if (!value.p)
        value = str_from(argv[++*at]);
    return give(c, id, value);
}

static enum status check_values(struct cli *c)
{
    struct str rows = opt_get(c, OPT_ROWS), output = opt_get(c, OPT_OUTPUT);
    struct str sort = opt_get(c, OPT_SORT), rate = opt_get(c, OPT_SAMPLE_RATE);
    uint64_t n;
    if (rows.p && (!str_to_u64(rows, &n) || n > UINT32_MAX))
        return cli_misuse(c, "-n wants a number of rows, not %.*s", STR_ARG(rows));
    if (rate.p && (!str_to_u64(rate, &n) || n == 0 || n > NS_PER_S))
        return cli_misuse(c, "--sample-rate wants samples per second, not %.*s", STR_ARG(rate));
    if (output.p && !str_eq(output, STR("text")) && !str_eq(output, STR("json")))
        return cli_misuse(c, "-o knows text and json, not %.*s", STR_ARG(output));
    if (sort.p && !str_eq(sort, STR("self")) && !str_eq(sort, STR("total")))
        return cli_misuse(c, "--sort knows self and total, not %.*s", STR_ARG(sort));
    return ST_OK;
}

enum status options_parse(struct cli *c, int argc, char **argv)
{
    bool options_over = false;
    for (int i = 0; i < argc; i++) {
        struct str arg = str_from(argv[i]);
        if (!options_over && str_eq(arg, STR("--"))) {
            options_over = true;
        } else if (!options_over && arg.n > 1 && arg.p[0] == '-') {
            TRY(parse_option(c, argc, argv, &i));
        } else {
            struct str *slot = VEC_PUSH(&c->arena, c->args);
            if (!slot)
                return cli_no_memory(c);
            *slot = arg;
        }
    }
    if (opt_has(c, OPT_HELP))
        return ST_OK;
    if (c->args.n < c->command->args_min)
        return cli_misuse(
            c, "%s is missing: see `everflame help %s`", c->command->args, c->command->name);
    if (c->args.n > c->command->args_max)
        return cli_misuse(c, "there is no use for %.*s: see `everflame help %s`",
            STR_ARG(c->args.v[c->command->args_max]), c->command->name);
    return check_values(c);
}

bool opt_has(const struct cli *c, enum option_id id)
{
    return c->options[id].given.n > 0;
}

struct str opt_get(const struct cli *c, enum option_id id)
{
    if (opt_has(c, id))
        return c->options[id].given.v[c->options[id].given.n - 1];
    const char *env = option_defs[id].env ? getenv(option_defs[id].env) : NULL;
    return env && env[0] ? str_from(env) : (struct str){NULL, 0};
}

bool opt_json(const struct cli *c)
{
    return str_eq(opt_get(c, OPT_OUTPUT), STR("json"));
}

uint32_t opt_rows(const struct cli *c, uint32_t missing)
{
    uint64_t n = missing;
    if (opt_has(c, OPT_ROWS) && !str_to_u64(opt_get(c, OPT_ROWS), &n))
        n = missing;
    return n == 0 ? UINT32_MAX : (uint32_t)n;
}
