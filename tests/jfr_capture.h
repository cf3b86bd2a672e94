/* The recordings of the captured uploads: files, parts of a multipart body, gzip. For tests and
 * benchmarks only: a capture owns its memory until capture_free, failures end the program. */
#ifndef TESTS_JFR_CAPTURE_H
#define TESTS_JFR_CAPTURE_H

#include "codec/gzip.h"
#include "codec/multipart.h"

struct capture {
    struct arena arena;
    struct str recording, labels; /* inflated; labels may be empty */
};

static inline struct str capture_read(const char *path, struct arena *arena)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return (struct str){0};
    ASSERT(fseek(f, 0, SEEK_END) == 0);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *p = arena_alloc(arena, n);
    ASSERT(p && fread(p, 1, n, f) == n);
    fclose(f);
    return str_make(p, n);
}

static inline struct str capture_part(
    const struct multipart *m, struct str name, struct arena *arena)
{
    struct str in = multipart_get(m, name), out;
    if (!gzip_detect(in))
        return in.p ? in : STR_EMPTY;
    ASSERT(gzip_inflate(in, 64 * MIB, arena, &out, NULL) == ST_OK);
    return out;
}

/* Upload `number` of the folder; false when there is no such file. */
static inline bool capture_load(const char *folder, int number, struct capture *ret)
{
    char path[1024];
    struct multipart m;
    snprintf(path, sizeof path, "%s/%03d.bin", folder, number);
    arena_init(&ret->arena, GIB);
    struct str body = capture_read(path, &ret->arena);
    if (!body.p) {
        arena_done(&ret->arena);
        return false;
    }
    /* The first line is "--" and the boundary. */
    struct str line = str_skip(str_head(body, str_find(body, STR("\r\n"))), 2);
    struct str type = arena_str_join(&ret->arena, STR("multipart/form-data; boundary="), line);
    ASSERT(multipart_parse(type, body, &m, NULL) == ST_OK);
    ret->recording = capture_part(&m, STR("jfr"), &ret->arena);
    ret->labels = capture_part(&m, STR("labels"), &ret->arena);
    return true;
}

static inline void capture_free(struct capture *c)
{
    arena_done(&c->arena);
}

#endif
