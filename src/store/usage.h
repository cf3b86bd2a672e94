/* What is stored: bytes by tenant, service, profile type, level and day, files by kind, and how
 * long the disk lasts. Every byte below the data directory is counted once.
 *
 * Bytes of a block that belong to nobody alone are divided, exactly: the parts add up to the file.
 * Its head, directory and foot go to its services in the proportion of their sections; what the
 * types of a service share (strings, series, symbols, stacks, rows, samples, names) goes to them in
 * the proportion of what each has alone (timeline, trees, function tables), evenly where none has
 * anything. Each share is rounded so that all up to it are right together. */
#ifndef STORE_USAGE_H
#define STORE_USAGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/store.h"

enum usage_dim {
    USAGE_TENANT,
    USAGE_SERVICE,
    USAGE_TYPE,
    USAGE_LEVEL,
    USAGE_DAY, /* UTC, of profile time */
    USAGE_DIMS
};
extern const char *const usage_dim_names[USAGE_DIMS];

enum usage_file {
    USAGE_BLOCKS,   /* that are served */
    USAGE_UNSERVED, /* files of blocks that are not: damaged, another store's, merged and in use */
    USAGE_LOG,
    USAGE_MARKERS,
    USAGE_STATE,
    USAGE_QUARANTINE,
    USAGE_TMP,
    USAGE_META, /* LOCK, FORMAT */
    USAGE_FOREIGN,
    USAGE_FILE_KINDS
};
extern const char *const usage_file_names[USAGE_FILE_KINDS];

enum { USAGE_LEVELS = 3, USAGE_WEEK = 7 };

struct usage_question {
    const struct str *tenants; /* whose blocks; none: of all, and the files too */
    uint32_t n_tenants;
    uint32_t by;       /* bits 1 << enum usage_dim: a row per combination */
    uint32_t rows_max; /* the largest; what is over becomes `other` */
    int64_t now_ns;
    struct arena *arena; /* of the answer; its limit is that of the work as well */
    /* Called often; an error ends the work. May be NULL. */
    enum status (*alive)(void *ctx, struct error *err);
    void *ctx;
};

struct usage_sum {
    uint64_t n, bytes;
};
struct usage_row {
    struct str key[USAGE_DIMS]; /* of what was not asked for, or is not known: empty */
    uint64_t bytes;
    int64_t oldest_ns, newest_ns; /* profile time of its services */
};

/* What a tenant has, and what a day of it takes. */
struct usage_tenant {
    struct str name;
    struct usage_sum levels[USAGE_LEVELS];
    uint64_t bytes;
    int64_t oldest_ns;
    /* Of the day that is i days ago, and how much of it is in blocks of a day; 0: today. */
    uint64_t day[USAGE_WEEK + 1], rest[USAGE_WEEK + 1];
    struct store_keep keep;
};

/* usage_forecast.c. Pure. */
enum usage_limit {
    USAGE_NO_LIMIT,    /* nothing does, in a hundred years */
    USAGE_LIMIT_KEEP,  /* what tenants may keep, by age or bytes */
    USAGE_LIMIT_BYTES, /* of all blocks */
    USAGE_LIMIT_DISK,  /* of the disk in use */
    USAGE_LIMIT_FREE,  /* the disk itself */
};
extern const char *const usage_limit_names[];
struct usage_room {
    uint64_t bytes_max; /* of all blocks; 0: no bound */
    uint64_t disk_free, disk_total;
    uint32_t disk_percent; /* 0: no bound but the disk */
    bool known;            /* the disk is */
};
struct usage_forecast {
    double bytes_per_day;
    uint32_t days;   /* full ones that were looked at; 0: less than one, stretched */
    bool at_rest;    /* all of them are compacted */
    uint64_t bytes;  /* of blocks, now */
    bool is_bounded; /* the next */
    uint64_t bytes_max;
    enum usage_limit limit; /* what ends the growth */
    bool settles;           /* at the next, if the bound lets it */
    double settles_at;
    bool fills; /* up to the bound, in the next */
    double days_left;
};
void usage_forecast(const struct usage_tenant *tenants, uint32_t n, const struct usage_room *room,
    int64_t now_ns, struct usage_forecast *ret_forecast);

struct usage {
    struct usage_sum files[USAGE_FILE_KINDS];
    uint64_t unreadable; /* entries that could not be looked at, and are missing above */
    struct usage_sum levels[USAGE_LEVELS], blocks;
    uint64_t profiles, samples;
    int64_t oldest_ns, newest_ns; /* profile time in blocks; 0, 0: none */
    struct usage_row *rows;       /* the largest first */
    uint32_t n_rows, n_other;
    uint64_t other_bytes;
    struct usage_tenant *tenants; /* the largest first */
    uint32_t n_tenants;
    struct usage_forecast forecast;
};

/* "tenant,service" as bits; ST_INVALID_ARGUMENT says what there is. */
enum status usage_by_parse(struct str text, uint32_t *ret_by, struct error *err);

/* Of an open store. Any thread; takes no lock for long. */
enum status store_usage(
    struct store *s, const struct usage_question *q, struct usage *ret_usage, struct error *err);
/* Of a directory, also while a server runs on it. What tenants may keep is not known here. */
enum status tool_usage(struct fs *fs, const char *dir, const struct usage_question *q,
    struct usage *ret_usage, struct error *err);
/* The answer of /api/everflame/v1/storage: docs/operating.md. */
void usage_json(const struct usage *u, const struct usage_question *q, struct buf *out);

#endif
