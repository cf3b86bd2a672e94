/* Logs: one line per event on stderr, logfmt or JSON, at most LOG_RATE per second and call site.
 *
 *     LOG_INFO("wal segment opened", "epoch=%" PRIu64 " segment=%u", epoch, n);
 *
 * The first string is the constant message, the rest formats key=value pairs; values with spaces
 * are the caller's to quote, with LOG_STR for text from outside (escaped, cut at 256 bytes).
 * Suppressed lines are counted and reported with the next line of the site. Any thread. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <inttypes.h>
#include <stdatomic.h>

#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_site {
    const char *file;
    int line;
    _Atomic int64_t second;
    _Atomic uint32_t in_second, suppressed;
};

extern _Atomic int log_level_min;
void log_setup(enum log_level min, enum log_format format);
bool log_level_parse(struct str name, enum log_level *ret_level);
void log_write(struct log_site *site, enum log_level level, const char *msg, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Escapes into a small per-thread ring of buffers; good until 8 more calls on this thread. */
const char *log_escape(struct str s);
#define LOG_STR(s) log_escape(s)

#define LOG_AT(level, msg, ...)                                                           \
    do {                                                                                  \
        if ((int)(level) >= atomic_load_explicit(&log_level_min, memory_order_relaxed)) { \
            static struct log_site site_ = {.file = __FILE__, .line = __LINE__};          \
            log_write(&site_, (level), (msg), __VA_ARGS__);                               \
        }                                                                                 \
    } while (0)
#define LOG_DEBUG(msg, ...) LOG_AT(LOG_DEBUG, msg, __VA_ARGS__)
#define LOG_INFO(msg, ...) LOG_AT(LOG_INFO, msg, __VA_ARGS__)
#define LOG_WARN(msg, ...) LOG_AT(LOG_WARN, msg, __VA_ARGS__)
#define LOG_ERROR(msg, ...) LOG_AT(LOG_ERROR, msg, __VA_ARGS__)

#endif
