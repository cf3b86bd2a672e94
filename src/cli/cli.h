/* The command line: `everflame top`, `everflame flame`, … ask a running server.
 *
 * One table of commands and one of options (commands.c, options.c) yield dispatch, help, the manual
 * page and docs/cli.md. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "base/buf.h"

/* argv[1] names the command. The exit code: 0 done, 1 failed, 2 used wrongly. Results go to
 * stdout, one sentence about what went wrong to stderr. */
int cli_main(int argc, char **argv);

/* The reference page (docs/cli.md) and the manual page (man/everflame.1), from the tables. */
void cli_docs_markdown(struct buf *out);
void cli_docs_man(struct buf *out);

#endif
