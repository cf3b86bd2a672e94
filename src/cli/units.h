/* Numbers and texts as people read them. Pure: values in, bytes out. */
#ifndef CLI_UNITS_H
#define CLI_UNITS_H

#include "base/buf.h"

/* Three significant digits and a unit that fits: 1.23 s, 45.6 KiB, 7.89 M, 120. `unit` is that of
 * a profile type: nanoseconds, bytes, anything else is a count. */
void units_put(struct buf *out, struct str unit, double value);
/* 12.3%, <0.1%, 0%. Nothing of nothing is 0%. */
void units_put_percent(struct buf *out, double part, double whole);
/* 90 s, 5 min, 3 h, 2 d: whole units, for ages and steps. */
void units_put_span(struct buf *out, int64_t ns);
/* 2026-11-22 10:00:05, UTC; without the seconds when they are 0. */
void units_put_time(struct buf *out, int64_t wall_ns);

/* Bytes from outside for a terminal: control characters and what is not UTF-8 become U+FFFD. */
void text_put(struct buf *out, struct str s);
/* Columns that text_put's output takes. */
uint32_t text_width(struct str s);
/* At most `width` columns; what is cut ends in an ellipsis. Returns the columns written. */
uint32_t text_put_cut(struct buf *out, struct str s, uint32_t width);
void text_put_spaces(struct buf *out, uint32_t n);
/* Words wrapped at `width` columns, each line behind `indent` spaces; a line that begins with a
 * blank is kept as it is. Ends with a newline. */
void text_put_wrapped(struct buf *out, struct str s, uint32_t indent, uint32_t width);

/* One character per value: eight heights between 0 and the largest, a blank for NaN. */
void spark_put(struct buf *out, const double *values, uint32_t n);

/* Letters to insert, remove or change to make b of a; texts are cut at 32 bytes. */
uint32_t edit_distance(struct str a, struct str b);

#endif
