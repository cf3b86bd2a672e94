/* The command line's main: see cli.h.
 *
 *     word ─► command ─► options ─► run: asks the server, writes into c.out ─► stdout
 *                                        └─ fails: one sentence on stderr, exit code 1 or 2
 *
 * Output is collected and written only when the command went well, so a failure never leaves half
 * an answer behind a pipe. Thread: one. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/hash.h"
#include "cli/cli_int.h"
#include "cli/units.h"

#define ARENA_BYTES_MAX (8 * GIB)
#define OUTPUT_BYTES_MAX (2 * GIB)

enum { EXIT_DONE, EXIT_FAILED, EXIT_MISUSED };

enum status cli_misuse(struct cli *c, const char *fmt, ...)
{
    va_list ap;
    char text[ERROR_MSG_MAX];
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    c->misused = true;
    FAIL(&c->err, ST_INVALID_ARGUMENT, "%s", text);
}

enum status cli_no_memory(struct cli *c)
{
    FAIL(&c->err, ST_RESOURCE_EXHAUSTED,
        "the answer needs more memory than a command may use: narrow it down with --label or a "
        "shorter --since");
}

const struct command *command_find(struct str name)
{
    for (uint32_t i = 0; i < n_commands; i++)
        if (str_eq(name, str_from(commands[i].name)))
            return &commands[i];
    return NULL;
}

const struct command *command_nearest(struct str name)
{
    const struct command *best = &commands[0];
    uint32_t best_distance = UINT32_MAX;
    for (uint32_t i = 0; i < n_commands; i++) {
        uint32_t d = edit_distance(name, str_from(commands[i].name));
        if (d < best_distance) {
            best = &commands[i];
            best_distance = d;
        }
    }
    return best;
}

/* Errors may quote names from outside: they go through text_put as well. */
static void complain(const struct cli *c)
{
    struct buf line;
    buf_init(&line, 4 * ERROR_MSG_MAX);
    buf_printf(&line, "everflame %s: ", c->command->name);
    text_put(&line, error_str(&c->err));
    buf_byte(&line, '\n');
    fwrite(line.p, 1, line.n, stderr);
    buf_done(&line);
}

static enum status run(struct cli *c, int argc, char **argv)
{
    TRY(options_parse(c, argc, argv));
    if (opt_has(c, OPT_HELP)) {
        help_command(c->command, &c->out);
        return ST_OK;
    }
    if (c->command->options & BIT(OPT_URL))
        TRY(client_open(c));
    return c->command->run(c);
}

static enum status flush(struct cli *c)
{
    if (c->out.failed)
        return cli_no_memory(c);
    if (fwrite(buf_view(&c->out).p, 1, c->out.n, stdout) != c->out.n || fflush(stdout) != 0)
        FAIL_ERRNO(&c->err, ST_INTERNAL, "cannot write the output");
    return ST_OK;
}

int cli_main(int argc, char **argv)
{
    ASSERT(argc > 1);
    struct str word = str_from(argv[1]);
    struct cli c = {.command = command_find(word)};
    if (!c.command) {
        fprintf(stderr,
            "everflame: there is no command %.*s: did you mean `everflame %s`? `everflame help` "
            "lists them all\n",
            STR_ARG(word), command_nearest(word)->name);
        return EXIT_MISUSED;
    }
    hash_seed_init();
    arena_init(&c.arena, ARENA_BYTES_MAX);
    buf_init(&c.out, OUTPUT_BYTES_MAX);
    term_look(&c.term);
    c.now_ns = clock_wall_ns();
    enum status st = run(&c, argc - 2, argv + 2);
    if (st == ST_OK)
        st = flush(&c);
    if (st != ST_OK)
        complain(&c);
    else if (c.cut)
        fprintf(stderr,
            "everflame %s: the server cut the profile, so `other` stands for the functions it left "
            "out: -querier.max-flamegraph-nodes-on-select-merge-profile is on\n",
            c.command->name);
    http_close(c.http);
    buf_done(&c.out);
    arena_done(&c.arena);
    return st == ST_OK ? EXIT_DONE : c.misused ? EXIT_MISUSED : EXIT_FAILED;
}
