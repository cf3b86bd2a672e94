/* Flame graphs as SVG: see draw.h.
 *
 * One <g> per frame: its title (the full name and numbers, shown by browsers on hovering), a
 * rectangle and a text that fits it. Places are in thousandths of the width; the script keeps them
 * in data-x and data-w and, on a click, scales what belongs to the frame to the whole width and
 * hides the rest. Without scripts the picture is complete but does not zoom. Colours are readable
 * on light and dark pages, the text is real text.
 *
 * Names come from outside: they are escaped, and what XML does not allow becomes U+FFFD.
 *
 * Thread: any. Failure: a full arena or buffer. */
#include <math.h>

#include "cli/draw.h"
#include "cli/units.h"

enum {
    COLUMNS = 100000,
    NARROW = 25,
    WIDTH = 1200,
    ROW = 18,
    TOP = 44,
    LETTER = 7,
    NUMBERS_MAX = 1024
};

static const char script[] =
    "<script><![CDATA[\n"
    "const W=1200,L=7,svg=document.documentElement,all=[...svg.querySelectorAll('g.f')];\n"
    "const back=document.getElementById('back');\n"
    "function show(g,x,w){\n"
    "  const r=g.querySelector('rect'),t=g.querySelector('text');\n"
    "  g.style.display=w<0.5?'none':'';\n"
    "  r.setAttribute('x',x);r.setAttribute('width',Math.max(w-0.5,0.3));\n"
    "  const n=g.dataset.n,k=Math.floor((w-6)/L);\n"
    "  t.setAttribute('x',x+3);\n"
    "  t.textContent=k<2?'':n.length<=k?n:n.slice(0,k-1)+'\\u2026';\n"
    "}\n"
    "function zoom(z){\n"
    "  const zx=+z.dataset.x,zw=+z.dataset.w,zr=+z.dataset.r;\n"
    "  for(const g of all){\n"
    "    const x=+g.dataset.x,w=+g.dataset.w,r=+g.dataset.r;\n"
    "    if(r<zr&&x<=zx&&x+w>=zx+zw)show(g,0,W);\n"
    "    else if(r>=zr&&x>=zx&&x+w<=zx+zw)show(g,(x-zx)/zw*W,w/zw*W);\n"
    "    else g.style.display='none';\n"
    "  }\n"
    "  back.style.display=z===all[0]?'none':'';\n"
    "}\n"
    "for(const g of all)g.addEventListener('click',()=>zoom(g));\n"
    "back.addEventListener('click',()=>zoom(all[0]));\n"
    "]]></script>\n";

static void put_xml(struct buf *out, struct str s)
{
    struct buf safe;
    buf_init(&safe, 4 * s.n + 16);
    text_put(&safe, s);
    struct str text = buf_view(&safe);
    for (size_t i = 0; i < text.n; i++) {
        switch (text.p[i]) {
        case '<':
            buf_str(out, STR("&lt;"));
            break;
        case '>':
            buf_str(out, STR("&gt;"));
            break;
        case '&':
            buf_str(out, STR("&amp;"));
            break;
        case '"':
            buf_str(out, STR("&quot;"));
            break;
        default:
            buf_byte(out, (uint8_t)text.p[i]);
        }
    }
    buf_done(&safe);
}

/* #rrggbb, from one colour to another. */
static void put_between(const uint8_t from[3], const uint8_t to[3], double part, struct buf *out)
{
    buf_byte(out, '#');
    for (int i = 0; i < 3; i++)
        buf_printf(out, "%02x", (unsigned)lround(from[i] + part * (to[i] - from[i])));
}

static void put_colour(const struct drawing *d, const struct flame_cell *cell, struct buf *out)
{
    static const uint8_t orange[3] = {0xf2, 0x8e, 0x4b}, yellow[3] = {0xfa, 0xd8, 0x66};
    static const uint8_t grey[3] = {0xd0, 0xd0, 0xd0}, grown[3] = {0xf0, 0x6a, 0x5a},
                         shrunk[3] = {0x6a, 0xa2, 0xf0};
    if (cell->node == CELL_MERGED || cell->node == 0) {
        put_between(grey, grey, 0, out);
    } else if (!d->b) {
        uint32_t hue = draw_hue(d->tree->names[d->tree->nodes[cell->node].name]);
        put_between(orange, yellow, (double)hue / (DRAW_HUES - 1), out);
    } else {
        double change = draw_change(d, cell->node);
        put_between(grey, change > 0 ? grown : shrunk, MIN(fabs(change) / 10, 1), out);
    }
}

static void put_numbers(const struct drawing *d, const struct flame_cell *cell, struct buf *out)
{
    if (cell->node == CELL_MERGED) {
        buf_printf(out, " (%u frames too narrow to draw, ", cell->n);
        units_put_percent(out, cell->weight, d->weights[0]);
        buf_byte(out, ')');
        return;
    }
    buf_str(out, STR(" ("));
    units_put(out, d->unit, (double)d->a->total[cell->node]);
    buf_str(out, STR(", "));
    units_put_percent(out, (double)d->a->total[cell->node], (double)d->a->sum);
    if (d->b) {
        buf_str(out, STR(" \xE2\x86\x92 "));
        units_put(out, d->unit, (double)d->b->total[cell->node]);
        buf_str(out, STR(", "));
        units_put_percent(out, (double)d->b->total[cell->node], (double)d->b->sum);
    } else {
        buf_str(out, STR(", self "));
        units_put(out, d->unit, (double)d->a->self[cell->node]);
    }
    buf_byte(out, ')');
}

static void put_frame(const struct drawing *d, const struct flame_cell *cell, struct buf *out)
{
    double scale = (double)WIDTH / COLUMNS, x = cell->col * scale, w = cell->width * scale;
    uint32_t letters = w < 20 ? 0 : (uint32_t)((w - 6) / LETTER);
    uint32_t y = TOP + cell->row * ROW;
    struct str name = STR("all");
    if (cell->node == CELL_MERGED)
        name = STR("\xE2\x80\xA6");
    else if (cell->node != 0)
        name = d->tree->names[d->tree->nodes[cell->node].name];
    struct buf cut, numbers;
    buf_init(&cut, 4 * (uint64_t)name.n + 16);
    text_put_cut(&cut, name, letters);
    buf_printf(out, "<g class=\"f\" data-r=\"%u\" data-x=\"%u\" data-w=\"%u\" data-n=\"", cell->row,
        cell->col, cell->width);
    put_xml(out, name);
    buf_str(out, STR("\"><title>"));
    put_xml(out, name);
    buf_init(&numbers, NUMBERS_MAX);
    put_numbers(d, cell, &numbers);
    put_xml(out, buf_view(&numbers)); /* "<0.1%" */
    buf_done(&numbers);
    buf_printf(out, "</title><rect x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"%d\" fill=\"", x, y,
        MAX(w - 0.5, 0.3), ROW - 1);
    put_colour(d, cell, out);
    buf_printf(out, "\"/><text x=\"%.2f\" y=\"%u\">", x + 3, y + 13);
    put_xml(out, buf_view(&cut));
    buf_str(out, STR("</text></g>\n"));
    buf_done(&cut);
}

enum status draw_svg(const struct drawing *d, struct buf *out, struct error *err)
{
    struct flame_layout layout;
    TRY(flame_layout_make(d->tree, d->weights, COLUMNS, NARROW, UINT32_MAX, &layout, err));
    uint32_t height = TOP + layout.rows * ROW + 8;
    buf_printf(out,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %u\" width=\"%d\" "
        "height=\"%u\" font-family=\"ui-monospace,Menlo,Consolas,monospace\" font-size=\"11.5\">\n",
        WIDTH, height, WIDTH, height);
    buf_str(out, STR("<style>g.f{cursor:pointer}g.f:hover rect{stroke:#000}"
                     "g.f text{pointer-events:none}#back{cursor:pointer}</style>\n"
                     "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
                     "<text x=\"4\" y=\"16\" font-weight=\"bold\">"));
    put_xml(out, d->title);
    buf_str(out, STR("</text>\n<text x=\"4\" y=\"34\" fill=\"#555\">"));
    buf_str(out, d->b ? STR("widths: the mean share of both; red grew, blue shrank")
                      : STR("widths: the share of the whole, callers above; click to zoom"));
    buf_str(out, STR("</text>\n<text id=\"back\" x=\"1080\" y=\"34\" fill=\"#06c\" "
                     "style=\"display:none\">show all again</text>\n"));
    for (uint32_t i = 0; i < layout.n; i++)
        put_frame(d, &layout.v[i], out);
    buf_str(out, str_make(script, sizeof script - 1));
    buf_str(out, STR("</svg>\n"));
    return ST_OK;
}
