/* One binary: a first word without a dash is a command of the command line tool, everything else
 * runs the server. */
#include "cli/cli.h"
#include "server/server.h"

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] != '-' && argv[1][0] != 0)
        return cli_main(argc, argv);
    return server_main(argc, argv);
}
