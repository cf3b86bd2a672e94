/* The terminal, tables, files: see cli_int.h.
 *
 * Colour only where stdout is a terminal that has it and NO_COLOR is not set. The width is the
 * window's, else COLUMNS, else 80; the height counts only for a terminal. Output that is no text
 * goes through write_file, to stdout for `-`.
 *
 * Thread: one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli_int.h"
#include "cli/units.h"

enum { COLUMNS_MIN = 20, COLUMNS_MAX = 1000, GAP = 2 };

void term_look(struct term *t)
{
    const char *columns = getenv("COLUMNS"), *no_color = getenv("NO_COLOR"), *kind = getenv("TERM");
    struct winsize w = {0};
    uint64_t n;
    *t = (struct term){.columns = 80, .is_terminal = isatty(STDOUT_FILENO)};
    if (columns && str_to_u64(str_from(columns), &n) && n > 0)
        t->columns = (uint32_t)MIN(n, COLUMNS_MAX);
    if (t->is_terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0) {
        t->columns = w.ws_col;
        t->lines = w.ws_row;
    }
    t->columns = MAX(COLUMNS_MIN, MIN(t->columns, COLUMNS_MAX));
    t->colour = t->is_terminal && !(no_color && no_color[0]) && kind && strcmp(kind, "dumb") != 0;
}

struct str keep_text(struct arena *arena, struct buf *b)
{
    struct str s = b->failed ? (struct str){NULL, 0} : arena_str(arena, buf_view(b));
    buf_done(b);
    return s.p ? s : STR_EMPTY;
}

void table_cell(struct table *t, struct str text)
{
    struct str *slot = VEC_PUSH(t->arena, t->cells);
    if (slot)
        *slot = text;
}

void table_put(const struct table *t, struct buf *out)
{
    enum { TABLE_COLUMNS_MAX = 16 };
    uint32_t widths[TABLE_COLUMNS_MAX] = {0};
    ASSERT(t->columns > 0 && t->columns <= TABLE_COLUMNS_MAX);
    for (uint32_t i = 0; i < t->cells.n; i++)
        widths[i % t->columns] = MAX(widths[i % t->columns], text_width(t->cells.v[i]));
    for (uint32_t i = 0; i < t->cells.n; i++) {
        uint32_t col = i % t->columns, pad = widths[col] - text_width(t->cells.v[i]);
        bool last = col + 1 == t->columns;
        if (t->align[col] == 'r')
            text_put_spaces(out, pad);
        text_put(out, t->cells.v[i]);
        if (!last)
            text_put_spaces(out, GAP + (t->align[col] == 'r' ? 0 : pad));
        else
            buf_byte(out, '\n');
    }
}

enum status write_file(struct cli *c, struct str path, struct str data)
{
    if (str_eq(path, STR("-"))) {
        buf_str(&c->out, data);
        return ST_OK;
    }
    char *z = arena_cstr(&c->arena, path);
    FILE *f = z ? fopen(z, "we") : NULL;
    bool good = f && fwrite(data.p, 1, data.n, f) == data.n;
    int saved = errno;
    if (f && fclose(f) != 0 && good) {
        good = false;
        saved = errno;
    }
    errno = saved;
    if (!good)
        FAIL_ERRNO(&c->err, ST_INTERNAL, "cannot write %.*s", STR_ARG(path));
    return ST_OK;
}
