/* Writing frames: the difference between a dataset and what the log has of it.
 *
 * Every id space is a vector that only grows, so the difference is a range per space; a section
 * names where each range begins, and a reader notices when something before it is missing. Ids in a
 * range may refer to the same section. Numbers are varints; nodes are written as distance to their
 * parent and zigzag distance to the location before, which makes most of them two or three bytes.
 */
#include "store/frame_int.h"

void frame_upload_head(struct buf *out, uint64_t seq, int64_t base_ns, uint32_t n_sections)
{
    buf_byte(out, FRAME_UPLOAD);
    buf_uvarint(out, seq);
    buf_svarint(out, base_ns);
    buf_uvarint(out, n_sections);
}

static void put_str(struct buf *out, struct str s)
{
    buf_uvarint(out, s.n);
    buf_str(out, s);
}

static void put_begin(struct buf *out, uint32_t from, uint32_t to)
{
    buf_uvarint(out, from);
    buf_uvarint(out, to - from);
}

void frame_put_strings(struct buf *out, const struct symtab *sym, uint32_t from, uint32_t to)
{
    put_begin(out, from, to);
    for (uint32_t i = from; i < to; i++)
        put_str(out, sym_string(sym, i));
}

static void put_functions(struct buf *out, const struct symtab *sym, uint32_t from, uint32_t to)
{
    put_begin(out, from, to);
    for (uint32_t i = from; i < to; i++) {
        const struct sym_function *f = sym_function(sym, i);
        buf_uvarint(out, f->name);
        buf_uvarint(out, f->system_name);
        buf_uvarint(out, f->filename);
        buf_svarint(out, f->start_line);
    }
}

static void put_mappings(struct buf *out, const struct symtab *sym, uint32_t from, uint32_t to)
{
    put_begin(out, from, to);
    for (uint32_t i = from; i < to; i++) {
        const struct sym_mapping *m = sym_mapping(sym, i);
        buf_uvarint(out, m->start);
        buf_uvarint(out, m->limit);
        buf_uvarint(out, m->offset);
        buf_uvarint(out, m->filename);
        buf_uvarint(out, m->build_id);
        buf_uvarint(out, m->flags);
    }
}

static void put_locations(struct buf *out, const struct symtab *sym, uint32_t from, uint32_t to)
{
    put_begin(out, from, to);
    for (uint32_t i = from; i < to; i++) {
        const struct sym_location *loc = sym_location(sym, i);
        buf_uvarint(out, loc->mapping == SYM_NONE ? 0 : (uint64_t)loc->mapping + 1);
        buf_uvarint(out, loc->address);
        buf_uvarint(out, (uint64_t)loc->n_lines << 1 | loc->folded);
        for (uint32_t k = 0; k < loc->n_lines; k++) {
            const struct sym_line *l = sym_line(sym, loc->first_line + k);
            buf_uvarint(out, l->function);
            buf_svarint(out, l->line);
        }
    }
}

void frame_put_symbols(struct buf *out, const struct symtab *sym, const struct sym_counts *from,
    const struct sym_counts *to)
{
    put_functions(out, sym, from->functions, to->functions);
    put_mappings(out, sym, from->mappings, to->mappings);
    put_locations(out, sym, from->locations, to->locations);
}

void frame_put_nodes(struct buf *out, const struct symtab *sym, uint32_t from, uint32_t to)
{
    put_begin(out, from, to);
    uint32_t last = 0;
    for (uint32_t i = from; i < to; i++) {
        struct sym_node n = sym_node(sym, i);
        buf_uvarint(out, i - n.parent);
        buf_svarint(out, (int64_t)n.location - last);
        last = n.location;
    }
}

void frame_put_series(struct buf *out, const struct part *p, uint32_t from, uint32_t to)
{
    put_begin(out, from, to);
    for (uint32_t i = from; i < to; i++) {
        const struct part_series *s = part_series(p, i);
        buf_uvarint(out, s->n_labels);
        buf_uvarint(out, s->n_types);
        for (uint32_t k = 0; k < part_series_n_ids(s); k++)
            buf_uvarint(out, s->ids[k]);
    }
}

static void put_rows(
    struct buf *out, const struct part *p, uint32_t from, uint32_t to, int64_t base_ns)
{
    put_begin(out, from, to);
    for (uint32_t i = from; i < to; i++) {
        const struct part_row *r = part_row(p, i);
        buf_uvarint(out, r->series);
        buf_svarint(out, (int64_t)((uint64_t)r->time_ns - (uint64_t)base_ns));
        put_str(out, str_make(r->bytes, r->n_bytes));
    }
}

void frame_upload_section(struct buf *out, const struct dataset *ds, int64_t base_ns)
{
    struct marks to = dataset_marks(ds);
    put_str(out, ds->part.tenant);
    put_str(out, ds->part.service);
    frame_put_strings(out, &ds->part.sym, ds->logged.sym.strings, to.sym.strings);
    frame_put_symbols(out, &ds->part.sym, &ds->logged.sym, &to.sym);
    frame_put_nodes(out, &ds->part.sym, ds->logged.sym.nodes, to.sym.nodes);
    frame_put_series(out, &ds->part, ds->logged.series, to.series);
    put_rows(out, &ds->part, ds->logged.rows, to.rows, base_ns);
}

void frame_epoch_put(struct buf *out, const struct frame_epoch *fe)
{
    buf_byte(out, FRAME_EPOCH);
    buf_uvarint(out, fe->epoch);
    buf_uvarint(out, fe->previous);
    buf_uvarint(out, fe->previous_batch);
}

enum frame_kind frame_kind(struct str frame)
{
    return frame.n ? (enum frame_kind)(uint8_t)frame.p[0] : 0;
}

enum status frame_epoch_get(struct str frame, struct frame_epoch *ret_epoch, struct error *err)
{
    struct cursor c = cursor_make(frame);
    if (cursor_byte(&c) != FRAME_EPOCH)
        FAIL(err, ST_DATA_LOSS, "the first frame of a log is not an epoch frame");
    struct frame_epoch fe = {.epoch = cursor_uvarint(&c)};
    fe.previous = cursor_uvarint(&c);
    fe.previous_batch = cursor_uvarint(&c);
    if (c.bad || cursor_left(&c))
        FAIL(err, ST_DATA_LOSS, "damaged epoch frame");
    *ret_epoch = fe;
    return ST_OK;
}
