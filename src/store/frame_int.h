/* Private to store: frames, the payload of the log. Pure: bytes from datasets, datasets from bytes.
 * The layout of every byte is docs/formats/wal.md. */
#ifndef STORE_FRAME_INT_H
#define STORE_FRAME_INT_H

#include "base/buf.h"
#include "base/status.h"
#include "store/epoch_int.h"

enum frame_kind { FRAME_UPLOAD = 1, FRAME_EPOCH = 2 };

/* An upload: a head and one section per dataset, each bringing what the log does not have yet. */
void frame_upload_head(struct buf *out, uint64_t seq, int64_t base_ns, uint32_t n_sections);
/* Everything of the dataset above ds->logged. Under its lock; the caller then advances logged. */
void frame_upload_section(struct buf *out, const struct dataset *ds, int64_t base_ns);

/* The ranges of a section, as blocks have them too. */
void frame_put_strings(struct buf *out, const struct symtab *sym, uint32_t from, uint32_t to);
void frame_put_symbols(struct buf *out, const struct symtab *sym, const struct sym_counts *from,
    const struct sym_counts *to);
void frame_put_nodes(struct buf *out, const struct symtab *sym, uint32_t from, uint32_t to);
void frame_put_series(struct buf *out, const struct part *p, uint32_t from, uint32_t to);

/* Reading them back, from a block: each takes the whole of `bytes`. Gaps are damage there. */
enum frame_range { FRAME_STRINGS, FRAME_SYMBOLS, FRAME_NODES, FRAME_SERIES };
enum status frame_get(
    enum frame_range what, struct str bytes, struct dataset *ds, struct error *err);

/* The first frame of an epoch: which one came before and how far it counts. */
struct frame_epoch {
    uint64_t epoch;
    uint64_t previous, previous_batch; /* 0, 0: none; batches after that one never happened */
};
void frame_epoch_put(struct buf *out, const struct frame_epoch *fe);

enum frame_kind frame_kind(struct str frame);
enum status frame_epoch_get(struct str frame, struct frame_epoch *ret_epoch, struct error *err);

/* Replays one upload into an epoch nobody else sees. What lies before a section and is missing (its
 * frame was damaged) is filled: strings and functions read "[damaged]". Rows are published at once.
 * ST_DATA_LOSS: the frame is not ours or damaged; what was applied of it stays unpublished. */
struct frame_stats {
    uint64_t seq; /* of the upload */
    uint64_t rows, samples, filled;
};
enum status frame_apply(struct epoch *ep, struct str frame, struct arena *scratch,
    struct frame_stats *ret_stats, struct error *err);

#endif
