/* Writing the block of an hour: what one sealed epoch has of a tenant and an hour.
 *
 * A dataset whose rows are all of the hour is written as it is. Otherwise (an epoch that crosses
 * the hour, late data) its rows are copied into a dataset of their own first (block_copy.c). One
 * that is very large is copied in pieces: a service may have several datasets in a block, so that
 * no section comes near its limit. */
#include "store/block_writer_int.h"

/* Of the published rows those of the hour. */
struct hour_rows {
    uint32_t n;
    size_t bytes;
    bool others; /* the dataset has more than them */
};

static struct hour_rows count_hour(const struct part *p, int64_t hour_ns)
{
    struct hour_rows out = {0};
    uint32_t rows = part_rows(p);
    for (uint32_t i = 0; i < rows; i++) {
        const struct part_row *r = part_row(p, i);
        bool in = block_hour(r->time_ns) == hour_ns;
        out.n += in;
        out.bytes += in ? r->n_bytes : 0;
    }
    out.others = out.n != rows || p->rows.n != rows;
    return out;
}

static enum status put_copies(
    struct block_writer *w, const struct part *p, int64_t hour_ns, size_t piece_bytes)
{
    for (uint32_t at = 0; at < part_rows(p);) {
        struct dataset *copy = dataset_new(NULL, 0, p->tenant, p->service);
        enum status st = block_copy_rows(p, hour_ns, &at, piece_bytes, &w->pause, copy, w->err);
        if (st == ST_OK && copy->part.rows.n)
            st = block_put_dataset(w, copy, copy->part.rows.n);
        dataset_free(copy);
        TRY(st);
    }
    return ST_OK;
}

/* A piece has at most an eighth of the bound in samples: the rest is for the symbols it needs. */
static enum status put_epoch(
    struct block_writer *w, const struct epoch *ep, struct str tenant, int64_t hour_ns)
{
    size_t most = w->to->dataset_bytes_max ? w->to->dataset_bytes_max : BLOCK_DATASET_BYTES;
    for (uint32_t i = 0; i < ep->n_datasets; i++) {
        const struct dataset *ds = epoch_dataset(ep, i);
        if (!str_eq(ds->part.tenant, tenant))
            continue;
        struct hour_rows rows = count_hour(&ds->part, hour_ns);
        bool large = rows.bytes + ds->part.sym.bytes > most;
        if (rows.n && (large || rows.others))
            TRY(put_copies(w, &ds->part, hour_ns, large ? most / 8 : SIZE_MAX));
        else if (rows.n)
            TRY(block_put_dataset(w, ds, rows.n));
    }
    return ST_OK;
}

enum status block_write(const struct block_target *to, const struct epoch *ep, struct str tenant,
    int64_t hour_ns, struct block_file *ret_file, struct error *err)
{
    struct block_writer w;
    const struct block_place place = {tenant, BLOCK_1H, hour_ns, ep->no};
    enum status st = block_writer_begin(&w, to, &place, err);
    if (st == ST_OK)
        st = put_epoch(&w, ep, tenant, hour_ns);
    return block_writer_finish(&w, st, tenant, NULL, 0, ret_file);
}
