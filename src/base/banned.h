/* Functions that have a safer way here: using one is a compile error. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll gmtime localtime ctime \
    asctime
#pragma GCC poison strncpy strncat gets tmpnam mktemp

#endif
