/* Runs every file of the folders given through the fuzz target once: the corpus as a plain test.
 * Fails when a folder is missing or empty, so that a lost corpus is noticed. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return 0;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    /* A block of the exact size, so that the sanitizer sees reads beyond the end. */
    uint8_t *p = malloc(n > 0 ? (size_t)n : 1);
    size_t got = p && n > 0 ? fread(p, 1, (size_t)n, f) : 0;
    fclose(f);
    LLVMFuzzerTestOneInput(p, got);
    free(p);
    return 1;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        if (!d) {
            fprintf(stderr, "no corpus %s\n", argv[i]);
            return 1;
        }
        int n = 0;
        for (struct dirent *e; (e = readdir(d));) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            n += run_file(path);
        }
        closedir(d);
        printf("%s: %d inputs\n", argv[i], n);
        if (n == 0)
            return 1;
    }
    return 0;
}
