/* See metrics.h. One lock guards all cells: it is taken a few times per request, never per sample.
 * Cells are found by a linear walk of short per-family lists hashed on the label values. These come
 * from clients, also before they are checked: long ones are clipped, and one that is not UTF-8, for
 * which a reader would refuse all of the text, is made so. */
#include "base/metrics.h"

#include <math.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/utf8.h"

enum { METRIC_CELLS_MAX = 2000, LABELS_MAX = 4, BUCKETS_MAX = 16, BUCKET_HEADS = 64 };
enum { VALUE_BYTES_MAX = 256 };

struct cell {
    struct cell *next;
    struct str values[LABELS_MAX]; /* owned, one block behind the cell */
    double sum;
    uint64_t count;
    uint64_t in_bucket[BUCKETS_MAX];
};

struct family {
    enum metric_type type;
    const char *name, *labels, *buckets, *help;
};

static const struct family families[] = {
#define X(id, type, name, labels, buckets, help) {type, name, labels, buckets, help},
    METRICS_LIST(X)
#undef X
};

/* Upper bounds of the buckets, parsed once. */
static struct {
    double v[BUCKETS_MAX];
    uint32_t n;
} bounds_of[METRIC_COUNT];

static struct {
    struct cell *heads[METRIC_COUNT][BUCKET_HEADS];
    uint32_t cells[METRIC_COUNT];
    struct mutex lock;
    pthread_once_t once;
} all = {.once = PTHREAD_ONCE_INIT};

static void setup(void)
{
    mutex_init(&all.lock, "metrics", RANK_METRICS);
    for (uint32_t id = 0; id < METRIC_COUNT; id++) {
        const char *text = families[id].buckets;
        while (*text && bounds_of[id].n < BUCKETS_MAX) {
            char *end;
            bounds_of[id].v[bounds_of[id].n++] = strtod(text, &end);
            text = *end == ',' ? end + 1 : end;
        }
    }
}

static uint32_t label_count(const char *names)
{
    uint32_t n = *names != 0;
    for (; *names; names++)
        n += *names == ',';
    return n;
}

static struct cell *cell_new(const struct str *values, uint32_t n)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < n; i++)
        bytes += values[i].n;
    struct cell *c = mem_new(sizeof *c + bytes);
    char *at = (char *)(c + 1);
    for (uint32_t i = 0; i < n; i++) {
        if (values[i].n)
            memcpy(at, values[i].p, values[i].n);
        c->values[i] = str_make(at, values[i].n);
        at += values[i].n;
    }
    return c;
}

/* At a character, if it is UTF-8. */
static struct str clip(struct str s)
{
    size_t n = MIN(s.n, (size_t)VALUE_BYTES_MAX);
    for (int i = 0; i < 3 && n < s.n && ((unsigned char)s.p[n] & 0xC0) == 0x80; i++)
        n--;
    return str_head(s, n);
}

/* Under the lock. */
static struct cell *cell_locked(enum metric_id id, const struct str *labels, bool create)
{
    static const struct str other = STR("other");
    uint32_t n = label_count(families[id].labels);
    struct str values[LABELS_MAX];
    uint64_t h = 0;
    bool all_other = true;
    ASSERT(n <= LABELS_MAX);
    for (uint32_t i = 0; i < n; i++) {
        ASSERT(labels[i].p);
        values[i] = clip(labels[i]);
        all_other = all_other && str_eq(values[i], other);
        h = hash_u64(h, hash_str(values[i]));
    }
    struct cell **head = &all.heads[id][h % BUCKET_HEADS];
    for (struct cell *c = *head; c; c = c->next) {
        uint32_t same = 0;
        while (same < n && str_eq(c->values[same], values[same]))
            same++;
        if (same == n)
            return c;
    }
    if (!create)
        return NULL;
    if (all.cells[id] >= METRIC_CELLS_MAX && !all_other)
        return cell_locked(id, (const struct str[LABELS_MAX]){other, other, other, other}, true);
    struct cell *c = cell_new(values, n);
    c->next = *head;
    *head = c;
    all.cells[id]++;
    return c;
}

static void lock(void)
{
    pthread_once(&all.once, setup);
    mutex_lock(&all.lock);
}

void metric_add_(enum metric_id id, double v, const struct str *labels)
{
    lock();
    cell_locked(id, labels, true)->sum += v;
    mutex_unlock(&all.lock);
}

void metric_set_(enum metric_id id, double v, const struct str *labels)
{
    lock();
    cell_locked(id, labels, true)->sum = v;
    mutex_unlock(&all.lock);
}

double metric_get_(enum metric_id id, const struct str *labels)
{
    lock();
    struct cell *c = cell_locked(id, labels, false);
    double v = c ? c->sum : 0;
    mutex_unlock(&all.lock);
    return v;
}

void metric_observe_(enum metric_id id, double v, const struct str *labels)
{
    uint32_t b = 0;
    lock();
    uint32_t n = bounds_of[id].n;
    while (b < n && v > bounds_of[id].v[b])
        b++;
    struct cell *c = cell_locked(id, labels, true);
    c->sum += v;
    c->count++;
    if (b < n)
        c->in_bucket[b]++;
    mutex_unlock(&all.lock);
}

static void put_value(struct buf *out, struct str s)
{
    while (s.n) {
        uint32_t cp = 0;
        size_t n = utf8_decode(s, &cp);
        if (n == 0)
            buf_str(out, STR("\xEF\xBF\xBD"));
        else if (cp == '\n')
            buf_str(out, STR("\\n"));
        else if (cp == '\\' || cp == '"')
            buf_printf(out, "\\%c", (int)cp);
        else
            buf_add(out, s.p, n);
        s = str_skip(s, MAX(n, (size_t)1));
    }
}

static void put_labels(
    struct buf *out, const struct family *f, const struct cell *c, const char *extra)
{
    struct str_split it = {str_from(f->labels), *f->labels == 0};
    struct str name;
    const char *sep = "{";
    for (uint32_t i = 0; str_split_next(&it, ',', &name); i++) {
        buf_printf(out, "%s%.*s=\"", sep, STR_ARG(name));
        put_value(out, c->values[i]);
        buf_byte(out, '"');
        sep = ",";
    }
    if (extra)
        buf_printf(out, "%s%s", sep, extra);
    if (extra || *sep == ',')
        buf_byte(out, '}');
}

static void put_number(struct buf *out, double v)
{
    if (v == floor(v) && fabs(v) < 1e15)
        buf_printf(out, " %.0f\n", v);
    else if (isinf(v))
        buf_printf(out, " %cInf\n", v < 0 ? '-' : '+');
    else
        buf_printf(out, " %.9g\n", v);
}

static void put_histogram(struct buf *out, uint32_t id, const struct cell *c)
{
    const struct family *f = &families[id];
    uint32_t n = bounds_of[id].n;
    uint64_t below = 0;
    char le[64];
    for (uint32_t i = 0; i <= n; i++) {
        if (i < n) {
            below += c->in_bucket[i];
            snprintf(le, sizeof le, "le=\"%.9g\"", bounds_of[id].v[i]);
        } else {
            below = c->count;
            snprintf(le, sizeof le, "le=\"+Inf\"");
        }
        buf_printf(out, "%s_bucket", f->name);
        put_labels(out, f, c, le);
        put_number(out, (double)below);
    }
    buf_printf(out, "%s_sum", f->name);
    put_labels(out, f, c, NULL);
    put_number(out, c->sum);
    buf_printf(out, "%s_count", f->name);
    put_labels(out, f, c, NULL);
    put_number(out, (double)c->count);
}

static const char *const type_names[] = {"counter", "gauge", "histogram"};

static const struct {
    const char *name;
    enum metric_id of;
    enum metric_part part;
} aliases[] = {
#define A(name, id, part) {name, M_##id, part},
    METRIC_ALIASES(A)
#undef A
};

/* Under the lock. */
static void put_aliases(struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        enum metric_id id = aliases[i].of;
        double v = 0;
        if (!all.cells[id])
            continue;
        for (uint32_t h = 0; h < BUCKET_HEADS; h++)
            for (const struct cell *c = all.heads[id][h]; c; c = c->next)
                v += aliases[i].part == METRIC_SUM ? c->sum : (double)c->count;
        bool gauge = families[id].type == METRIC_GAUGE;
        buf_printf(out, "# HELP %s Sum of %s.\n# TYPE %s %s\n%s", aliases[i].name,
            families[id].name, aliases[i].name, type_names[gauge ? METRIC_GAUGE : METRIC_COUNTER],
            aliases[i].name);
        put_number(out, v);
    }
}

void metrics_render(struct buf *out)
{
    lock();
    for (uint32_t id = 0; id < METRIC_COUNT; id++) {
        const struct family *f = &families[id];
        if (!all.cells[id])
            continue;
        buf_printf(
            out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, type_names[f->type]);
        for (uint32_t h = 0; h < BUCKET_HEADS; h++) {
            for (struct cell *c = all.heads[id][h]; c; c = c->next) {
                if (f->type == METRIC_HISTOGRAM) {
                    put_histogram(out, id, c);
                    continue;
                }
                buf_str(out, str_from(f->name));
                put_labels(out, f, c, NULL);
                put_number(out, c->sum);
            }
        }
    }
    put_aliases(out);
    mutex_unlock(&all.lock);
}
