/* Flame graphs for a terminal: see draw.h.
 *
 *     all 12.3 s
 *      main 100%
 *      work 60.1%                          idle 30.2%         …
 *
 * A frame shows its name and its share of the whole; if both do not fit, the name alone, without
 * the path in front of it (github.com/x/), then cut. The first column of a frame stays blank (or a
 * bar where there is no colour), so that neighbours are told apart.
 *
 * Thread: any. Failure: a full arena or buffer. */
#include <math.h>

#include "base/hash.h"
#include "cli/draw.h"
#include "cli/units.h"

enum { NARROW = 3, LABEL_MAX = 4096 };

double draw_change(const struct drawing *d, uint32_t node)
{
    double a = d->a->sum ? (double)d->a->total[node] / (double)d->a->sum : 0;
    double b = d->b->sum ? (double)d->b->total[node] / (double)d->b->sum : 0;
    return 100 * (b - a);
}

uint32_t draw_hue(struct str name)
{
    /* hash_disk: the same function has the same colour in every run. */
    return (uint32_t)(hash_disk(name.p, name.n) % DRAW_HUES);
}

/* Colours of the 256 that terminals have. */
static uint32_t colour_of(const struct drawing *d, const struct flame_cell *cell)
{
    static const uint8_t warm[DRAW_HUES] = {
        208, 214, 220, 209, 215, 221, 179, 173, 216, 222, 203, 180};
    static const uint8_t red[] = {224, 217, 210, 203}, blue[] = {189, 153, 111, 75};
    static const double steps[] = {0.1, 1, 3, 10};
    if (cell->node == CELL_MERGED || cell->node == 0)
        return 250;
    if (!d->b)
        return warm[draw_hue(d->tree->names[d->tree->nodes[cell->node].name])];
    double change = draw_change(d, cell->node);
    for (size_t i = ARRAY_LEN(steps); i-- > 0;)
        if (fabs(change) >= steps[i])
            return change > 0 ? red[i] : blue[i];
    return 252;
}

/* The share of a frame, or how it changed. */
static void put_share(const struct drawing *d, const struct flame_cell *cell, struct buf *out)
{
    if (!d->b || cell->node == CELL_MERGED) {
        units_put_percent(out, cell->weight, d->weights[0]);
        return;
    }
    double change = draw_change(d, cell->node);
    buf_printf(out, "%s%.1f", change < 0 ? "-" : "+", fabs(change));
}

static void put_root(const struct drawing *d, struct buf *out)
{
    buf_str(out, STR("all "));
    units_put(out, d->unit, (double)d->a->sum);
    if (d->b) {
        buf_str(out, STR(" \xE2\x86\x92 "));
        units_put(out, d->unit, (double)d->b->sum);
    }
}

/* What stands in a frame of `room` columns. */
static void put_label(
    const struct drawing *d, const struct flame_cell *cell, uint32_t room, struct buf *out)
{
    struct buf share;
    struct str name = STR("\xE2\x80\xA6");
    buf_init(&share, LABEL_MAX);
    if (cell->node == 0)
        put_root(d, &share);
    else
        put_share(d, cell, &share);
    uint32_t share_width = text_width(buf_view(&share));
    if (cell->node == 0)
        name = STR_EMPTY;
    else if (cell->node != CELL_MERGED)
        name = d->tree->names[d->tree->nodes[cell->node].name];
    uint32_t at = 0, gap = name.n ? 1 : 0;
    size_t slash = str_rfind_char(name, '/');
    if (text_width(name) + 1 + share_width > room && slash != STR_NPOS && slash + 1 < name.n)
        name = str_skip(name, slash + 1);
    if (text_width(name) + gap + share_width <= room) {
        at = text_put_cut(out, name, room);
        text_put_spaces(out, gap);
        at += gap + text_put_cut(out, buf_view(&share), room);
    } else {
        at = text_put_cut(out, name.n ? name : buf_view(&share), room);
    }
    text_put_spaces(out, room - at);
    buf_done(&share);
}

static void put_cell(const struct drawing *d, const struct flame_cell *cell, uint32_t *last_colour,
    bool colour, struct buf *out)
{
    if (!colour) {
        buf_byte(out, '|');
        put_label(d, cell, cell->width - 1, out);
        return;
    }
    uint32_t own = colour_of(d, cell);
    /* Neighbours of one colour would read as one frame. */
    if (own == *last_colour && cell->node == CELL_MERGED)
        own = 247;
    else if (own == *last_colour && !d->b)
        own = 223;
    *last_colour = own;
    buf_printf(out, "\x1b[48;5;%um\x1b[38;5;16m", own);
    text_put_spaces(out, cell->width > 1 ? 1 : 0);
    put_label(d, cell, cell->width > 1 ? cell->width - 1 : cell->width, out);
    buf_str(out, STR("\x1b[0m"));
}

/* Without blanks at the end, of which only a coloured line has none. */
static void end_line(struct buf *out)
{
    while (out->n > 0 && out->p[out->n - 1] == ' ')
        out->n--;
    buf_byte(out, '\n');
}

enum status draw_text(const struct drawing *d, uint32_t columns, uint32_t rows_max, bool colour,
    struct buf *out, struct error *err)
{
    struct flame_layout layout;
    TRY(flame_layout_make(d->tree, d->weights, columns, NARROW, rows_max, &layout, err));
    uint32_t row = 0, col = 0, last_colour = 0;
    for (uint32_t i = 0; i < layout.n; i++) {
        const struct flame_cell *cell = &layout.v[i];
        if (cell->row != row) {
            end_line(out);
            row = cell->row;
            col = 0;
        }
        if (cell->col != col)
            last_colour = 0;
        text_put_spaces(out, cell->col - col);
        put_cell(d, cell, &last_colour, colour, out);
        col = cell->col + cell->width;
    }
    end_line(out);
    if (layout.rows_hidden)
        buf_printf(out,
            "\xE2\x80\xA6 up to %u rows deeper: -n 0 shows all, --svg FILE draws them\n",
            layout.rows_hidden);
    return ST_OK;
}
