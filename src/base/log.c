/* See log.h. A line is built on the stack and written with one write(2), so lines of several
 * threads never mix. JSON is made from the logfmt pairs: log_escape guarantees that a value is
 * either free of spaces or a quoted string that is a JSON string too. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

enum { LOG_RATE = 20, LINE_MAX_BYTES = 4096, ESCAPE_MAX = 256 };

_Atomic int log_level_min = LOG_INFO;
static _Atomic int log_format;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(enum log_level min, enum log_format format)
{
    atomic_store(&log_level_min, (int)min);
    atomic_store(&log_format, (int)format);
}

bool log_level_parse(struct str name, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (str_eq(name, str_from(level_names[i]))) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

const char *log_escape(struct str s)
{
    static _Thread_local char ring[8][2 * ESCAPE_MAX + 8];
    static _Thread_local unsigned turn;
    char *out = ring[turn++ % 8], *p = out;
    *p++ = '"';
    for (size_t i = 0; i < s.n && i < ESCAPE_MAX; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            *p++ = '\\';
        *p++ = c < 0x20 || c == 0x7F ? '?' : (char)c;
    }
    *p++ = '"';
    *p = 0;
    return out;
}

/* How many lines were held back before this one, or -1 when this one is held back too. */
static int64_t admit(struct log_site *site, int64_t second)
{
    if (atomic_exchange(&site->second, second) != second)
        atomic_store(&site->in_second, 0);
    if (atomic_fetch_add(&site->in_second, 1) < LOG_RATE)
        return atomic_exchange(&site->suppressed, 0);
    atomic_fetch_add(&site->suppressed, 1);
    return -1;
}

struct line {
    char p[LINE_MAX_BYTES];
    size_t n;
};

static void add(struct line *l, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add(struct line *l, const char *fmt, ...)
{
    size_t room = sizeof l->p - 2 - l->n;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->p + l->n, room, fmt, ap);
    va_end(ap);
    l->n += n < 0 ? 0 : MIN((size_t)n, room - 1);
}

/* key=value pairs to ,"key":"value" */
static void add_json_pairs(struct line *l, const char *pairs)
{
    while (*pairs) {
        while (*pairs == ' ')
            pairs++;
        const char *eq = strchr(pairs, '=');
        if (!eq)
            return;
        const char *end = eq + 1;
        bool quoted = *end == '"';
        for (end += quoted; *end && (quoted ? *end != '"' : *end != ' '); end++)
            end += *end == '\\' && end[1];
        end += quoted && *end;
        const char *q = quoted ? "" : "\"";
        add(l, ",\"%.*s\":%s%.*s%s", (int)(eq - pairs), pairs, q, (int)(end - eq - 1), eq + 1, q);
        pairs = end;
    }
}

void log_write(struct log_site *site, enum log_level level, const char *msg, const char *fmt, ...)
{
    int64_t now = clock_wall_ns(), held = admit(site, now / NS_PER_S);
    if (held < 0)
        return;
    char ts[32], pairs[LINE_MAX_BYTES - 512];
    clock_format_ms(now, ts);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(pairs, sizeof pairs, fmt, ap);
    va_end(ap);
    const char *file = strrchr(site->file, '/');
    struct line l = {.n = 0};
    if (atomic_load(&log_format) == LOG_JSON) {
        add(&l, "{\"ts\":\"%s\",\"caller\":\"%s:%d\",\"level\":\"%s\",\"msg\":\"%s\"", ts,
            file ? file + 1 : site->file, site->line, level_names[level], msg);
        add_json_pairs(&l, pairs);
        if (held)
            add(&l, ",\"suppressed\":\"%" PRId64 "\"", held);
        add(&l, "}");
    } else {
        add(&l, "ts=%s caller=%s:%d level=%s msg=\"%s\"%s%s", ts, file ? file + 1 : site->file,
            site->line, level_names[level], msg, *pairs ? " " : "", pairs);
        if (held)
            add(&l, " suppressed=%" PRId64, held);
    }
    l.p[l.n++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, l.p, l.n);
    (void)ignored;
}
