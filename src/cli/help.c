/* Help, the manual page and docs/cli.md: three forms of the same tables.
 *
 * A topic is what all commands share (times, types, environment, exit codes); its text is
 * paragraphs in which `…` marks what is typed, and lines that begin with a blank are tables, kept
 * as they are. Each form has its way of headings, paragraphs and options; the order is the same.
 *
 * Thread: one. */
#include <stdio.h>

#include "cli/cli_int.h"
#include "cli/units.h"

#define TEXT_BYTES_MAX MIB

enum { WIDTH = 90, INDENT = 4, OPTION_INDENT = 8 };

static const char intro[] =
    "Everflame keeps profiles of running programs and answers where time and memory go. Without a "
    "command, `everflame` is the server; with one, it asks a running server.\n\n"
    "Commands ask about one service, one type of profile and one time range. When not told "
    "otherwise: the only service there is, CPU time, the last hour.";

static const char start[] =
    "Start the server with `everflame`. It listens on port 4040 and speaks the protocols of "
    "Grafana Pyroscope, so point any Pyroscope SDK or agent at http://127.0.0.1:4040, or send a "
    "file: `everflame upload cpu.pb.gz --name shop`. Then `everflame services` says what has "
    "arrived, and `everflame top --service shop` where its time goes.";

static const char times[] =
    "A TIME is `now`, `now-30m`, `now-1h30m`, `2026-11-22`, `2026-11-22T10:00:00Z` (or with an "
    "offset such as +01:00), or a Unix time in seconds, milliseconds, microseconds or nanoseconds. "
    "Without an offset it is UTC. Units are s, m (or min), h, d, w, M (or mon, 30 days) and y. "
    "--since with --until ends there.";

static const char environment[] =
    "EVERFLAME_URL, EVERFLAME_TENANT_ID, EVERFLAME_TOKEN, EVERFLAME_USERNAME and "
    "EVERFLAME_PASSWORD stand for the options of the same names. NO_COLOR, when not empty, turns "
    "colours off. COLUMNS is the width where standard output is no terminal. http_proxy, "
    "https_proxy and no_proxy are those of curl; a loopback address is never asked through a "
    "proxy.";

static const char exit_codes[] =
    "0 when the command did what it was asked, 1 when it failed (no server, no data, refused), 2 "
    "when it was used wrongly (a mistyped option, a service or type that must be named).";

/* "  cpu        CPU time": the words of --type. */
static struct str types_text(struct buf *b)
{
    buf_str(b, STR("--type takes a full id or one of these words; a word means the first stored "
                   "type that fits, as clients name them differently. Any other word is looked for "
                   "among the names and sample types that are stored.\n"));
    for (uint32_t i = 0; i < n_type_words; i++)
        buf_printf(b, "\n  %-10s %s", type_words[i].word, type_words[i].meaning);
    return buf_view(b);
}

/* Plain text */

static void put_plain(struct buf *out, struct str s, uint32_t indent)
{
    text_put_wrapped(out, s, indent, WIDTH);
}

static void put_plain_options(struct buf *out, uint64_t options)
{
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        if (!(options & BIT(i)))
            continue;
        text_put_spaces(out, INDENT);
        option_put(out, i);
        buf_byte(out, '\n');
        put_plain(out, str_from(option_defs[i].text), OPTION_INDENT);
    }
}

static void put_plain_topic(struct buf *out, const char *head, struct str text)
{
    buf_printf(out, "\n%s\n", head);
    put_plain(out, text, INDENT);
}

/* What belongs to the question first, then what is the same everywhere. */
static void put_option_groups(struct buf *out, const struct command *cmd)
{
    uint64_t own = (cmd->options & ~OPTS_SERVER) | BIT(OPT_HELP);
    buf_str(out, STR("\nOPTIONS\n"));
    put_plain_options(out, own);
    if (!(cmd->options & OPTS_SERVER))
        return;
    buf_str(out, STR("\nWHICH SERVER\n"));
    put_plain_options(out, cmd->options & OPTS_SERVER);
}

void help_command(const struct command *cmd, struct buf *out)
{
    struct buf b;
    buf_printf(out, "everflame %s: %s\n\nUSAGE\n    everflame %s [OPTIONS]%s%s\n\n", cmd->name,
        cmd->summary, cmd->name, cmd->args[0] ? " " : "", cmd->args);
    put_plain(out, str_from(cmd->text), 0);
    buf_str(out, STR("\nEXAMPLES\n"));
    for (size_t i = 0; i < ARRAY_LEN(cmd->examples) && cmd->examples[i].line; i++)
        buf_printf(out, "    # %s\n    %s\n", cmd->examples[i].what, cmd->examples[i].line);
    put_option_groups(out, cmd);
    if (cmd->options & (BIT(OPT_FROM) | BIT(OPT_AT)))
        put_plain_topic(out, "TIMES", str_from(times));
    if ((cmd->options & BIT(OPT_TYPE)) && cmd->args_min == 0) {
        buf_init(&b, TEXT_BYTES_MAX);
        put_plain_topic(out, "PROFILE TYPES", types_text(&b));
        buf_done(&b);
    }
}

void help_overview(struct buf *out)
{
    buf_str(out, STR("everflame: continuous profiling\n\nUSAGE\n"
                     "    everflame COMMAND [OPTIONS]     ask a server\n"
                     "    everflame [FLAGS]               be the server (everflame -help)\n\n"));
    put_plain(out, str_from(intro), 0);
    buf_str(out, STR("\nCOMMANDS\n"));
    for (uint32_t i = 0; i < n_commands; i++)
        buf_printf(out, "    %-10s %s\n", commands[i].name, commands[i].summary);
    put_plain_topic(out, "TO BEGIN", str_from(start));
    put_plain_topic(out, "TIMES", str_from(times));
    put_plain_topic(out, "ENVIRONMENT", str_from(environment));
    put_plain_topic(out, "EXIT CODES", str_from(exit_codes));
    buf_str(
        out, STR("\neverflame help COMMAND explains one, with examples and all its options.\n"));
}

/* Markdown */

static void put_md_options(struct buf *out, uint64_t options)
{
    buf_str(out, STR("| Option | Environment | Meaning |\n|---|---|---|\n"));
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        if (!(options & BIT(i)))
            continue;
        struct buf name;
        buf_init(&name, TEXT_BYTES_MAX);
        option_put(&name, i);
        buf_str(out, STR("| `"));
        for (size_t k = 0; k < name.n; k++) {
            if (name.p[k] == '|')
                buf_byte(out, '\\');
            buf_byte(out, (uint8_t)name.p[k]);
        }
        const char *env = option_defs[i].env;
        buf_printf(out, "` | %s%s%s | ", env ? "`" : "", env ? env : "", env ? "`" : "");
        for (const char *p = option_defs[i].text; *p; p++) {
            if (*p == '|')
                buf_byte(out, '\\');
            buf_byte(out, (uint8_t)*p);
        }
        buf_str(out, STR(" |\n"));
        buf_done(&name);
    }
}

static void put_md_command(struct buf *out, const struct command *cmd)
{
    buf_printf(out, "\n### everflame %s\n\n`everflame %s [OPTIONS]%s%s`: %s.\n\n%s\n\n```sh\n",
        cmd->name, cmd->name, cmd->args[0] ? " " : "", cmd->args, cmd->summary, cmd->text);
    for (size_t i = 0; i < ARRAY_LEN(cmd->examples) && cmd->examples[i].line; i++)
        buf_printf(out, "%s  # %s\n", cmd->examples[i].line, cmd->examples[i].what);
    buf_str(out, STR("```\n"));
    if (cmd->options & ~OPTS_SERVER) {
        buf_byte(out, '\n');
        put_md_options(out, cmd->options & ~OPTS_SERVER);
    }
}

void cli_docs_markdown(struct buf *out)
{
    buf_printf(out,
        "# The command line\n\n"
        "<!-- Made by `everflame help --markdown`; a test compares. Change src/cli/commands.c, "
        "src/cli/options.c or src/cli/help.c, then make it again. -->\n\n%s\n\n%s\n\n"
        "| Command | What it does |\n|---|---|\n",
        intro, start);
    for (uint32_t i = 0; i < n_commands; i++)
        buf_printf(out, "| [`%s`](#everflame-%s) | %s |\n", commands[i].name, commands[i].name,
            commands[i].summary);
    buf_str(out, STR("\n## Which server\n\nEvery command that asks a server takes these.\n\n"));
    put_md_options(out, OPTS_SERVER);
    buf_printf(out, "\n## Times\n\n%s\n\n## Profile types\n\n", times);
    buf_str(out, STR("`--type` takes a full id or one of these words; a word means the first "
                     "stored type that fits, as clients name them differently. Any other word is "
                     "looked for among the names and sample types that are stored.\n\n"
                     "| Word | Meaning |\n|---|---|\n"));
    for (uint32_t i = 0; i < n_type_words; i++)
        buf_printf(out, "| `%s` | %s |\n", type_words[i].word, type_words[i].meaning);
    buf_printf(out, "\n## Environment\n\n%s\n\n## Exit codes\n\n%s\n\n## Commands\n", environment,
        exit_codes);
    for (uint32_t i = 0; i < n_commands; i++)
        put_md_command(out, &commands[i]);
}

/* man(7) */

/* Escapes what troff would act on; `…` becomes bold. */
static void put_man(struct buf *out, struct str s)
{
    bool bold = false, line_start = true;
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        if (line_start && (ch == '.' || ch == '\''))
            buf_str(out, STR("\\&"));
        line_start = ch == '\n';
        if (ch == '`') {
            bold = !bold;
            buf_str(out, bold ? STR("\\fB") : STR("\\fR"));
        } else if (ch == '\\') {
            buf_str(out, STR("\\e"));
        } else if (ch == '-') {
            buf_str(out, STR("\\-"));
        } else if (ch == '\n' && i + 1 < s.n && s.p[i + 1] == '\n') {
            buf_str(out, STR("\n.PP\n"));
            i++;
            line_start = true;
        } else {
            buf_byte(out, (uint8_t)ch);
        }
    }
    buf_byte(out, '\n');
}

static void put_man_section(struct buf *out, const char *head, struct str text)
{
    buf_printf(out, ".SH %s\n", head);
    put_man(out, text);
}

static void put_man_options(struct buf *out, uint64_t options)
{
    for (uint32_t i = 0; i < OPT_COUNT; i++) {
        if (!(options & BIT(i)))
            continue;
        struct buf name;
        buf_init(&name, TEXT_BYTES_MAX);
        buf_byte(&name, '`');
        option_put(&name, i);
        buf_byte(&name, '`');
        buf_str(out, STR(".TP\n"));
        put_man(out, buf_view(&name));
        put_man(out, str_from(option_defs[i].text));
        buf_done(&name);
    }
}

static void put_man_command(struct buf *out, const struct command *cmd)
{
    struct buf line;
    buf_init(&line, TEXT_BYTES_MAX);
    buf_printf(&line, "`everflame %s` [OPTIONS]%s%s: %s.", cmd->name, cmd->args[0] ? " " : "",
        cmd->args, cmd->summary);
    buf_printf(out, ".SS %s\n", cmd->name);
    put_man(out, buf_view(&line));
    buf_str(out, STR(".PP\n"));
    put_man(out, str_from(cmd->text));
    put_man_options(out, cmd->options & ~OPTS_SERVER);
    buf_str(out, STR(".PP\nFor example:\n.PP\n.nf\n.RS 2\n"));
    for (size_t i = 0; i < ARRAY_LEN(cmd->examples) && cmd->examples[i].line; i++) {
        buf_clear(&line);
        buf_printf(&line, "# %s", cmd->examples[i].what);
        put_man(out, buf_view(&line));
        put_man(out, str_from(cmd->examples[i].line));
    }
    buf_str(out, STR(".RE\n.fi\n"));
    buf_done(&line);
}

void cli_docs_man(struct buf *out)
{
    struct buf b;
    buf_str(out, STR(".\\\" Made by `everflame help --man`; a test compares.\n"
                     ".TH EVERFLAME 1 \"\" \"everflame " EVERFLAME_VERSION "\"\n"
                     ".SH NAME\neverflame \\- continuous profiling: server and command line\n"
                     ".SH SYNOPSIS\n\\fBeverflame\\fR COMMAND [OPTIONS]\n.br\n"
                     "\\fBeverflame\\fR [FLAGS]\n"));
    put_man_section(out, "DESCRIPTION", str_from(intro));
    buf_str(out, STR(".PP\n"));
    put_man(out, str_from(start));
    buf_str(out, STR(".SH COMMANDS\n"));
    for (uint32_t i = 0; i < n_commands; i++)
        put_man_command(out, &commands[i]);
    buf_str(out, STR(".SH WHICH SERVER\nEvery command that asks a server takes these.\n"));
    put_man_options(out, OPTS_SERVER);
    put_man_section(out, "TIMES", str_from(times));
    buf_init(&b, TEXT_BYTES_MAX);
    put_man_section(out, "PROFILE TYPES", types_text(&b));
    buf_done(&b);
    put_man_section(out, "ENVIRONMENT", str_from(environment));
    put_man_section(out, "EXIT STATUS", str_from(exit_codes));
    buf_str(out, STR(".SH SEE ALSO\n\\fBeverflame \\-help\\fR lists the flags of the server.\n"));
}

enum status cmd_help(struct cli *c)
{
    if (opt_has(c, OPT_MARKDOWN) && opt_has(c, OPT_MAN))
        return cli_misuse(c, "--markdown and --man exclude each other: give one");
    if (opt_has(c, OPT_MARKDOWN)) {
        cli_docs_markdown(&c->out);
    } else if (opt_has(c, OPT_MAN)) {
        cli_docs_man(&c->out);
    } else if (c->args.n == 0) {
        help_overview(&c->out);
    } else {
        const struct command *cmd = command_find(c->args.v[0]);
        if (!cmd)
            return cli_misuse(c, "there is no command %.*s: did you mean `everflame help %s`?",
                STR_ARG(c->args.v[0]), command_nearest(c->args.v[0])->name);
        help_command(cmd, &c->out);
    }
    return ST_OK;
}
