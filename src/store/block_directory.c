/* The directory of a block: what its datasets are and where their sections lie.
 *
 * The whole of it passed its checksum, but a file may have been written by something else: counts
 * are bounded by the bytes that are left, sections follow each other from the head to the
 * directory, every slot has its rows and samples and lies in one hour of the block's range, every
 * roll-up is about types and slots that are there. Version 2 did not name the types; version 1 had
 * six sections per dataset, without kinds, and one hour.
 *
 * Everything is kept in the block's memory. ST_DATA_LOSS without words: the caller has them. */
#include "store/block_int.h"

#include "base/varint.h"

enum {
    DATASET_LEAST_BYTES = 8,
    SLOT_LEAST_BYTES = 4,
    SECTION_LEAST_BYTES = 15,
    SECTIONS_V1 = 6,
    SECTION_RAW_MAX = 1 << 30
};

const char *const block_kind_names[BLOCK_KINDS] = {
    [BLOCK_STRINGS] = "strings",
    [BLOCK_SERIES] = "series",
    [BLOCK_ROWS] = "rows",
    [BLOCK_SYMBOLS] = "symbols",
    [BLOCK_NODES] = "nodes",
    [BLOCK_SAMPLES] = "samples",
    [BLOCK_SEEN] = "seen",
    [BLOCK_TIMELINE] = "timeline",
    [BLOCK_NAMES] = "names",
    [BLOCK_TREE] = "tree",
    [BLOCK_FUNCTIONS] = "functions",
    [BLOCK_STACKED] = "stacked",
    [BLOCK_DIGEST] = "digest",
    [BLOCK_DIGEST_TREE] = "digest tree",
    [BLOCK_DIGEST_FUNCTIONS] = "digest functions",
};

struct reader {
    struct block *b;
    uint8_t version;
    struct cursor c;
    uint64_t at, end; /* where the next section begins, where the last one ends */
    struct error *err;
};

static enum status no_memory(struct reader *r)
{
    FAIL(r->err, ST_RESOURCE_EXHAUSTED, "no memory for the directory of block %s", r->b->path);
}

/* A number; what is beyond `most` is so wrong that it may read as it. */
static uint64_t at_most(struct cursor *c, uint64_t most)
{
    uint64_t v = cursor_uvarint(c);
    return v < most ? v : most;
}

/* A count of things that take at least so many bytes each. */
static bool count(struct reader *r, size_t least, uint32_t *ret_n)
{
    uint64_t n = cursor_uvarint(&r->c);
    *ret_n = (uint32_t)n;
    return !r->c.bad && n <= cursor_left(&r->c) / least;
}

/* Where it lies follows from the ones before. */
static bool place(struct reader *r, struct block_section *s)
{
    s->offset = r->at;
    if (r->c.bad || s->codec > BLOCK_CHUNKS || s->stored_bytes > r->end - r->at ||
        s->raw_bytes > SECTION_RAW_MAX ||
        (s->codec == BLOCK_PLAIN && s->raw_bytes != s->stored_bytes) ||
        (s->codec == BLOCK_CHUNKS && s->raw_bytes > s->stored_bytes))
        return false;
    r->at += s->stored_bytes;
    return true;
}

const struct block_section *block_section(
    const struct block_dataset *bd, enum block_kind kind, uint32_t type, uint32_t slot)
{
    for (uint32_t i = 0; i < bd->n_sections; i++) {
        const struct block_section *s = &bd->sections[i];
        if (s->kind == kind && s->type == type && s->slot == slot)
            return s;
    }
    return NULL;
}

void part_type_name(const struct symtab *sym, const uint32_t ids[PART_TYPE_IDS], struct buf *out)
{
    for (uint32_t i = 0; i < PART_TYPE_IDS; i++) {
        if (i)
            buf_byte(out, ':');
        buf_str(out, sym_string(sym, ids[i]));
    }
}

static enum status make_units(struct reader *r, struct block_dataset *bd)
{
    bd->units = ARENA_ZARRAY(&r->b->memory, struct block_unit, block_n_units(bd));
    if (!bd->units)
        return no_memory(r);
    for (uint32_t i = 0; i < block_n_units(bd); i++)
        bd->units[i].of = bd;
    bd->units[UNIT_STACKS].form = BLOCK_STACKS_FORM;
    for (uint32_t i = 0; i < bd->n_slots; i++) {
        *block_unit_rows(bd, i) = (struct block_unit){
            .of = bd, .form = BLOCK_ROWS_FORM, .index = i};
        *block_unit_samples(bd, i) = (struct block_unit){
            .of = bd, .form = BLOCK_SAMPLES_FORM, .index = i};
    }
    for (uint32_t i = 0; i < bd->n_sections; i++)
        *block_unit_chunks(bd, i) = (struct block_unit){
            .of = bd, .form = BLOCK_CHUNKS_FORM, .index = i};
    return ST_OK;
}

/* Sums over the slots, which lie in rising hours of the block's range. */
static bool take_slots(struct reader *r, struct block_dataset *bd)
{
    int64_t last = INT64_MIN;
    bd->time_min = INT64_MAX;
    bd->time_max = INT64_MIN;
    for (uint32_t i = 0; i < bd->n_slots; i++) {
        const struct part_slot *s = &bd->slots[i];
        int64_t hour = block_hour(s->time_min);
        if (s->n_rows == 0 || s->time_min > s->time_max || hour != block_hour(s->time_max) ||
            block_range_start(r->b->level, s->time_min) != r->b->start_ns || (i && hour <= last))
            return false;
        last = hour;
        bd->time_min = MIN(bd->time_min, s->time_min);
        bd->time_max = MAX(bd->time_max, s->time_max);
        bd->n_rows += s->n_rows;
        bd->n_samples += s->n_samples;
    }
    return bd->n_rows <= ROWS_MAX;
}

/* Version 1 */

static enum status dataset_v1(struct reader *r, struct block_dataset *bd)
{
    struct arena *memory = &r->b->memory;
    bd->service = arena_str(memory, cursor_bytes(&r->c, cursor_uvarint(&r->c)));
    bd->slots = ARENA_ZARRAY(memory, struct part_slot, 1);
    bd->sections = ARENA_ZARRAY(memory, struct block_section, SECTIONS_V1);
    if (!bd->slots || !bd->sections)
        return no_memory(r);
    bd->n_slots = 1;
    bd->n_sections = SECTIONS_V1;
    bd->slots->time_min = cursor_svarint(&r->c);
    bd->slots->time_max = cursor_svarint(&r->c);
    bd->slots->n_rows = (uint32_t)at_most(&r->c, UINT32_MAX);
    bd->n_series = cursor_uvarint(&r->c);
    bd->slots->n_samples = cursor_uvarint(&r->c);
    for (uint32_t i = 0; i < SECTIONS_V1; i++) {
        struct block_section *s = &bd->sections[i];
        s->kind = i;
        s->codec = (enum block_codec)at_most(&r->c, BLOCK_CHUNKS);
        uint64_t offset = cursor_uvarint(&r->c);
        s->stored_bytes = cursor_uvarint(&r->c);
        s->raw_bytes = cursor_uvarint(&r->c);
        s->check = cursor_u64le(&r->c);
        if (offset != r->at || s->codec == BLOCK_CHUNKS || !place(r, s))
            return ST_DATA_LOSS;
    }
    return take_slots(r, bd) ? ST_OK : ST_DATA_LOSS;
}

/* Version 2 and 3 */

static enum status read_slots(struct reader *r, struct block_dataset *bd)
{
    if (!count(r, SLOT_LEAST_BYTES, &bd->n_slots))
        return ST_DATA_LOSS;
    bd->slots = ARENA_ZARRAY(&r->b->memory, struct part_slot, bd->n_slots);
    if (!bd->slots)
        return no_memory(r);
    for (uint32_t i = 0; i < bd->n_slots; i++) {
        struct part_slot *s = &bd->slots[i];
        s->time_min = cursor_svarint(&r->c);
        s->time_max = cursor_svarint(&r->c);
        s->n_rows = (uint32_t)at_most(&r->c, UINT32_MAX);
        s->n_samples = cursor_uvarint(&r->c);
    }
    return take_slots(r, bd) ? ST_OK : ST_DATA_LOSS;
}

static enum status read_types(struct reader *r, struct block_dataset *bd)
{
    struct part_rollups *ru = &bd->rollups;
    if (!count(r, PART_TYPE_IDS, &ru->n_types))
        return ST_DATA_LOSS;
    uint32_t(*types)[PART_TYPE_IDS] = arena_zalloc(
        &r->b->memory, (ru->n_types + (size_t)1) * sizeof *types);
    uint32_t *names = ARENA_ZARRAY(&r->b->memory, uint32_t, ru->n_types);
    if (!types || !names)
        return no_memory(r);
    for (uint32_t i = 0; i < ru->n_types; i++) {
        for (uint32_t k = 0; k < PART_TYPE_IDS; k++)
            types[i][k] = (uint32_t)at_most(&r->c, UINT32_MAX);
        names[i] = r->version > 2 ? (uint32_t)at_most(&r->c, UINT32_MAX) : 0;
        if (r->version > 2 && names[i] >= r->b->n_type_names)
            return ST_DATA_LOSS;
    }
    ru->types = types;
    bd->type_names = r->version > 2 ? names : NULL;
    return ST_OK;
}

/* Sections in chunks, and those that are about a type: of the dataset's, or of the block's. */
static const struct {
    bool chunks;
    enum { ABOUT_ALL, ABOUT_TYPE, ABOUT_TYPE_NAME } about;
} shapes[BLOCK_KINDS] = {
    [BLOCK_TIMELINE] = {.about = ABOUT_TYPE},
    [BLOCK_NAMES] = {.chunks = true},
    [BLOCK_TREE] = {true, ABOUT_TYPE},
    [BLOCK_FUNCTIONS] = {.about = ABOUT_TYPE},
    [BLOCK_DIGEST_TREE] = {true, ABOUT_TYPE_NAME},
    [BLOCK_DIGEST_FUNCTIONS] = {.about = ABOUT_TYPE_NAME},
};

/* Kinds that this version does not know may have any shape. */
static bool has_its_shape(
    const struct reader *r, const struct block_dataset *bd, const struct block_section *s)
{
    if (s->kind >= BLOCK_KINDS)
        return true;
    const uint32_t n_types[] = {
        [ABOUT_TYPE] = bd->rollups.n_types, [ABOUT_TYPE_NAME] = r->b->n_type_names};
    return shapes[s->kind].chunks == (s->codec == BLOCK_CHUNKS) &&
           (shapes[s->kind].about == ABOUT_ALL || s->type < n_types[shapes[s->kind].about]);
}

static bool read_section(struct reader *r, const struct block_dataset *bd, struct block_section *s)
{
    uint64_t v[7];
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        v[i] = cursor_uvarint(&r->c);
    for (size_t i = 0; i < 5; i++)
        if (v[i] > UINT32_MAX)
            return false;
    *s = (struct block_section){.kind = (uint32_t)v[0],
        .type = (uint32_t)v[1],
        .slot = (uint32_t)v[2],
        .n_slots = (uint32_t)v[3],
        .codec = (enum block_codec)MIN(v[4], (uint64_t)BLOCK_CHUNKS + 1),
        .stored_bytes = v[5],
        .raw_bytes = v[6],
        .check = cursor_u64le(&r->c)};
    return place(r, s) && has_its_shape(r, bd, s) && s->slot <= bd->n_slots &&
           s->n_slots <= bd->n_slots - s->slot;
}

static int by_slots(const void *pa, const void *pb)
{
    const struct part_tree *a = pa, *b = pb;
    return a->n_slots != b->n_slots ? (a->n_slots > b->n_slots ? -1 : 1)
                                    : (a->tree > b->tree) - (a->tree < b->tree);
}

/* A tree, with the function table behind it, of the same. */
static bool is_pair(const struct block_section *t, enum block_kind kind)
{
    const struct block_section *f = t + 1;
    return t->kind == kind && f->kind == kind + 1u && t->type == f->type && t->slot == f->slot &&
           t->n_slots == f->n_slots && (t->n_slots == 0) == (kind == BLOCK_DIGEST_TREE);
}

/* Trees come with a function table and need the names; what is incomplete is not used. */
static enum status find_trees(struct reader *r, struct block_dataset *bd)
{
    struct part_rollups *ru = &bd->rollups;
    struct part_tree *trees = ARENA_ZARRAY(&r->b->memory, struct part_tree, bd->n_sections);
    struct part_digest *digests = NULL;
    uint32_t n_digests = 0;
    for (uint32_t i = 0; i + 1 < bd->n_sections; i++)
        n_digests += is_pair(&bd->sections[i], BLOCK_DIGEST_TREE);
    digests = ARENA_ZARRAY(&r->b->memory, struct part_digest, n_digests);
    if (!trees || !digests)
        return no_memory(r);
    for (uint32_t i = 0; i + 1 < bd->n_sections; i++) {
        const struct block_section *t = &bd->sections[i];
        const struct part_tree tree = {t->type, t->slot, t->n_slots, i, i + 1};
        if (is_pair(t, BLOCK_TREE))
            trees[ru->n_trees++] = tree;
        else if (is_pair(t, BLOCK_DIGEST_TREE))
            digests[ru->n_digests++] = (struct part_digest){r->b->type_names[t->type], tree};
    }
    if (ru->n_trees)
        qsort(trees, ru->n_trees, sizeof *trees, by_slots);
    ru->trees = trees;
    ru->digests = digests;
    return ST_OK;
}

static uint32_t section_index(const struct block_dataset *bd, enum block_kind kind, uint32_t type)
{
    const struct block_section *s = block_section(bd, kind, type, 0);
    return s ? (uint32_t)(s - bd->sections) : SYM_NONE;
}

static enum status find_rollups(struct reader *r, struct block_dataset *bd)
{
    struct part_rollups *ru = &bd->rollups;
    uint32_t *timelines = ARENA_ZARRAY(&r->b->memory, uint32_t, ru->n_types);
    if (!timelines)
        return no_memory(r);
    for (uint32_t i = 0; i < ru->n_types; i++)
        timelines[i] = section_index(bd, BLOCK_TIMELINE, i);
    ru->timelines = timelines;
    ru->names = section_index(bd, BLOCK_NAMES, 0);
    ru->digest = section_index(bd, BLOCK_DIGEST, 0);
    if (ru->names != SYM_NONE)
        TRY(find_trees(r, bd));
    if (ru->digest == SYM_NONE)
        ru->n_digests = 0;
    return ST_OK;
}

/* The sections without which there is nothing to read; a codec of theirs is never CHUNKS. */
static bool is_complete(const struct block_dataset *bd)
{
    static const enum block_kind needed[] = {
        BLOCK_STRINGS, BLOCK_SERIES, BLOCK_SYMBOLS, BLOCK_NODES, BLOCK_SEEN};
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (!block_section(bd, needed[i], 0, 0))
            return false;
    for (uint32_t i = 0; i < bd->n_slots; i++)
        if (!block_section(bd, BLOCK_ROWS, 0, i) || !block_section(bd, BLOCK_SAMPLES, 0, i))
            return false;
    return bd->n_slots > 0;
}

static enum status dataset_v2(struct reader *r, struct block_dataset *bd)
{
    bd->service = arena_str(&r->b->memory, cursor_bytes(&r->c, cursor_uvarint(&r->c)));
    bd->n_series = cursor_uvarint(&r->c);
    TRY(read_slots(r, bd));
    TRY(read_types(r, bd));
    if (!count(r, SECTION_LEAST_BYTES, &bd->n_sections))
        return ST_DATA_LOSS;
    bd->sections = ARENA_ZARRAY(&r->b->memory, struct block_section, bd->n_sections);
    if (!bd->sections)
        return no_memory(r);
    for (uint32_t i = 0; i < bd->n_sections; i++)
        if (!read_section(r, bd, &bd->sections[i]))
            return ST_DATA_LOSS;
    return is_complete(bd) ? find_rollups(r, bd) : ST_DATA_LOSS;
}

static enum status read_strings(struct reader *r, struct str **ret_v, uint32_t *ret_n)
{
    struct arena *memory = &r->b->memory;
    if (!count(r, 1, ret_n))
        return ST_DATA_LOSS;
    *ret_v = ARENA_ZARRAY(memory, struct str, *ret_n);
    if (!*ret_v)
        return no_memory(r);
    for (uint32_t i = 0; i < *ret_n; i++)
        (*ret_v)[i] = arena_str(memory, cursor_bytes(&r->c, cursor_uvarint(&r->c)));
    return ST_OK;
}

static enum status read_datasets(struct reader *r)
{
    struct block *b = r->b;
    uint32_t n;
    if (!count(r, DATASET_LEAST_BYTES, &n))
        return ST_DATA_LOSS;
    b->datasets = ARENA_ZARRAY(&b->memory, struct block_dataset, n);
    if (!b->datasets)
        return no_memory(r);
    for (; b->n_datasets < n;) {
        struct block_dataset *bd = &b->datasets[b->n_datasets];
        bd->block = b;
        TRY(r->version == 1 ? dataset_v1(r, bd) : dataset_v2(r, bd));
        TRY(make_units(r, bd));
        mutex_init(&bd->lock, "store.block_dataset", RANK_BLOCK);
        b->n_datasets++;
    }
    return ST_OK;
}

enum status block_directory_parse(
    struct block *b, uint8_t version, struct str bytes, uint64_t at, struct error *err)
{
    struct reader r = {b, version, cursor_make(bytes), BLOCK_HEAD_BYTES, at, err};
    b->tenant = arena_str(&b->memory, cursor_bytes(&r.c, cursor_uvarint(&r.c)));
    b->time_min = cursor_svarint(&r.c);
    b->time_max = cursor_svarint(&r.c);
    b->seq_max = cursor_uvarint(&r.c);
    if (version > 1)
        TRY(read_strings(&r, &b->sources, &b->n_sources));
    if (version > 2)
        TRY(read_strings(&r, &b->type_names, &b->n_type_names));
    TRY(read_datasets(&r));
    return r.c.bad || cursor_left(&r.c) || r.at != r.end ? ST_DATA_LOSS : ST_OK;
}
