/* The recordings of the captured uploads: files, parts of a multipart body, gzip. For tests and
 * benchmarks only: memory of a capture is freed by capture_free, failures end the program. */
#ifndef TESTS_JFR_CAPTURE_H
#define TESTS_JFR_CAPTURE_H

#include <libdeflate.h>

#include "base/mem.h"
#include "base/varint.h"

struct capture {
    struct str recording, labels; /* inflated; labels may be empty */
};

static inline struct str capture_read(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return (struct str){0};
    ASSERT(fseek(f, 0, SEEK_END) == 0);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *p = mem_new(n + 1);
    ASSERT(fread(p, 1, n, f) == n);
    fclose(f);
    return str_make(p, n);
}

/* The bytes of a part, in the body; empty when there is none. The first line is the boundary. */
static inline struct str capture_part(struct str body, const char *name)
{
    char mark[64];
    snprintf(mark, sizeof mark, "name=\"%s\"", name);
    size_t line = str_find(body, STR("\r\n"));
    size_t at = str_find(body, str_from(mark));
    if (line == STR_NPOS || at == STR_NPOS)
        return STR_EMPTY;
    struct str boundary = str_head(body, line), rest = str_skip(body, at);
    rest = str_skip(rest, str_find(rest, STR("\r\n\r\n")) + 4);
    return str_head(rest, str_find(rest, boundary) - 2);
}

/* A copy, inflated when it is gzip. */
static inline struct str capture_inflate(struct str in)
{
    bool gzip = in.n > 18 && (uint8_t)in.p[0] == 0x1F && (uint8_t)in.p[1] == 0x8B;
    size_t n = gzip ? load_u32le(in.p + in.n - 4) : in.n, got;
    char *p = mem_new(n + 1);
    if (!gzip) {
        if (n)
            memcpy(p, in.p, n);
        return str_make(p, n);
    }
    struct libdeflate_decompressor *z = libdeflate_alloc_decompressor();
    ASSERT(libdeflate_gzip_decompress(z, in.p, in.n, p, n, &got) == LIBDEFLATE_SUCCESS && got == n);
    libdeflate_free_decompressor(z);
    return str_make(p, n);
}

/* Upload `number` of the folder; false when there is no such file. */
static inline bool capture_load(const char *folder, int number, struct capture *ret)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%03d.bin", folder, number);
    struct str body = capture_read(path);
    if (!body.p)
        return false;
    ret->recording = capture_inflate(capture_part(body, "jfr"));
    ret->labels = capture_inflate(capture_part(body, "labels"));
    mem_free((char *)(uintptr_t)body.p);
    return true;
}

static inline void capture_free(struct capture *c)
{
    mem_free((char *)(uintptr_t)c->recording.p);
    mem_free((char *)(uintptr_t)c->labels.p);
}

#endif
