/* One binary: a first word without a dash is a command of the command line tool, everything else
 * runs the server. */
#include <stdio.h>

#include "server/server.h"

#if __has_include("cli/cli.h")
#include "cli/cli.h"
#else
static int cli_main(int argc, char **argv)
{
    (void)argc;
    fprintf(
        stderr, "everflame has no command %s: run it without a command, or with -help\n", argv[1]);
    return 2;
}
#endif

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] != '-' && argv[1][0] != 0)
        return cli_main(argc, argv);
    return server_main(argc, argv);
}
