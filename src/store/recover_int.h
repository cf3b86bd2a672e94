/* Private to the store's recovery of blocks: what recover.c finds, and recover_merged.c judges. */
#ifndef STORE_RECOVER_INT_H
#define STORE_RECOVER_INT_H

#include "store/compact_int.h"

/* A block that a valid marker lists. */
struct listed {
    struct marker_entry entry;
    uint64_t epoch; /* of the marker */
    bool found, served;
};

/* A block that a merge made superfluous. */
struct replaced {
    struct str path;
    struct str by; /* the block that it is in */
    bool on_disk;
};

struct blocks {
    struct store *s;
    struct arena arena;
    struct {
        struct listed *v;
        uint32_t n, cap;
    } listed; /* sorted by path once complete */
    struct {
        struct replaced *v;
        uint32_t n, cap;
    } replaced; /* the same */
    struct {
        struct block **v;
        uint32_t n, cap;
    } merged; /* without a marker of their own; references */
    char root[2100];
    uint32_t served, unlisted, damaged, missing;
};

struct listed *recover_listed(struct blocks *b, struct str path); /* NULL: it is not */
void recover_serve(struct blocks *b, struct block *block);        /* takes the reference */
void recover_bad_block(struct blocks *b, const char *path, const struct error *err);
void recover_foreign(const char *where, struct str name);
void recover_remove_file(struct blocks *b, struct str path);

/* recover_merged.c */
/* A valid marker: notes what it replaces. */
void recover_note_replaced(struct blocks *b, const struct marker *m);
void recover_sort_replaced(struct blocks *b);
struct replaced *recover_replaced(struct blocks *b, struct str path); /* NULL: it is not */
/* When all files were looked at: what becomes of merged blocks without a marker, and of the files
 * that merges made superfluous. */
void recover_merged(struct blocks *b);

#endif
