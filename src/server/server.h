/* The server process: settings in, exit code out. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

/* Runs until SIGTERM or SIGINT. 0: stopped cleanly, or something was printed; 1: the configuration
 * or the start failed; 2: a bad flag. Messages go to stderr, what was asked for to stdout. */
int server_main(int argc, char **argv);

#endif
