/* Makes small recordings for tests, with every freedom that real ones do not use.
 *
 * Classes are said in words: "28 jdk.types.Method type:21* name:31* hidden:4 tags:20[]" is class 28
 * with four fields; * = constant pool, [] = array. Pools and events are written by hand with the
 * put_ functions, into m.pools and m.events. make_finish adds header, metadata, checkpoint. */
#ifndef TESTS_JFR_MAKE_H
#define TESTS_JFR_MAKE_H

#include "base/buf.h"

enum { MAKE_CLASSES_MAX = 64, MAKE_STRINGS_MAX = 512 };

struct maker {
    struct str classes[MAKE_CLASSES_MAX];
    uint32_t n_classes, n_pools;
    struct buf pools, events;
    uint64_t ticks_per_s;
    struct str texts[MAKE_STRINGS_MAX]; /* of the metadata */
    uint32_t n_texts;
};

/* What all recordings have, with the ids of async-profiler. */
static const char *const make_standard[] = {
    "4 boolean",
    "5 char",
    "6 float",
    "7 double",
    "8 byte",
    "9 short",
    "10 int",
    "11 long",
    "20 java.lang.String",
    "21 java.lang.Class name:31*",
    "24 jdk.types.FrameType description:20",
    "25 jdk.types.ThreadState name:20",
    "26 jdk.types.StackTrace truncated:4 frames:27[]",
    "27 jdk.types.StackFrame method:28* lineNumber:10 bytecodeIndex:10 type:24*",
    "28 jdk.types.Method type:21* name:31* descriptor:31* modifiers:10 hidden:4",
    "31 jdk.types.Symbol string:20",
    ("101 jdk.ExecutionSample startTime:11 stackTrace:26* state:25* spanId:11 spanName:11 "
     "contextId:11 traceIdHi:11 traceIdLo:11"),
    "104 jdk.JavaMonitorEnter startTime:11 duration:11 stackTrace:26*",
    "108 jdk.ActiveSetting startTime:11 id:11 name:20 value:20",
    "119 profiler.WallClockSample startTime:11 stackTrace:26* state:25* samples:10",
    "120 profiler.Malloc startTime:11 stackTrace:26* size:11",
};

static inline void put_long(struct buf *b, uint64_t v)
{
    for (int i = 0; i < 8 && v >= 0x80; i++, v >>= 7)
        buf_byte(b, (uint8_t)(v | 0x80));
    buf_byte(b, (uint8_t)v); /* the ninth byte has eight bits */
}

/* The same in `width` bytes, at most eight. */
static inline void put_padded(struct buf *b, uint64_t v, int width)
{
    for (; width > 1; width--, v >>= 7)
        buf_byte(b, (uint8_t)(v | 0x80));
    buf_byte(b, (uint8_t)(v & 0x7F));
}

/* Tags 3 and 5. */
static inline void put_text(struct buf *b, uint8_t tag, const char *text)
{
    buf_byte(b, tag);
    put_long(b, strlen(text));
    buf_str(b, str_from(text));
}

static inline void make_init(struct maker *m)
{
    *m = (struct maker){.ticks_per_s = 1000000000};
    buf_init(&m->pools, MIB);
    buf_init(&m->events, MIB);
}

static inline void make_done(struct maker *m)
{
    buf_done(&m->pools);
    buf_done(&m->events);
}

static inline void make_class(struct maker *m, const char *words)
{
    ASSERT(m->n_classes < MAKE_CLASSES_MAX);
    m->classes[m->n_classes++] = str_from(words);
}

static inline void make_classes(struct maker *m)
{
    for (size_t i = 0; i < ARRAY_LEN(make_standard); i++)
        make_class(m, make_standard[i]);
}

/* Replaces the class of the same id. */
static inline void make_class_instead(struct maker *m, const char *words)
{
    struct str id = str_head(str_from(words), strcspn(words, " ") + 1);
    for (uint32_t i = 0; i < m->n_classes; i++)
        if (str_starts(m->classes[i], id))
            m->classes[i] = str_from(words);
}

static inline void make_pool(struct maker *m, uint64_t class, uint64_t n)
{
    m->n_pools++;
    put_long(&m->pools, class);
    put_long(&m->pools, n);
}

/* An event from the bytes of its fields. */
static inline void make_event(struct maker *m, uint64_t type, const struct buf *fields)
{
    struct buf head;
    buf_init(&head, 64);
    put_long(&head, type);
    put_padded(&m->events, 5 + head.n + fields->n, 5);
    buf_str(&m->events, buf_view(&head));
    buf_str(&m->events, buf_view(fields));
    buf_done(&head);
}

static inline uint32_t make_text(struct maker *m, struct str s)
{
    uint32_t i = 0;
    while (i < m->n_texts && !str_eq(m->texts[i], s))
        i++;
    ASSERT(i < MAKE_STRINGS_MAX);
    m->texts[i] = s;
    m->n_texts = MAX(m->n_texts, i + 1);
    return i;
}

static inline void make_attribute(struct maker *m, struct buf *b, const char *key, struct str value)
{
    put_long(b, make_text(m, str_from(key)));
    put_long(b, make_text(m, value));
}

static inline void make_field(struct maker *m, struct buf *b, struct str word)
{
    bool array = str_ends(word, STR("[]"));
    word = str_head(word, word.n - (array ? 2 : 0));
    bool cp = str_ends(word, STR("*"));
    word = str_head(word, word.n - (cp ? 1 : 0));
    size_t colon = str_find_char(word, ':');
    put_long(b, make_text(m, STR("field")));
    put_long(b, 2u + cp + array);
    make_attribute(m, b, "name", str_head(word, colon));
    make_attribute(m, b, "class", str_skip(word, colon + 1));
    if (cp)
        make_attribute(m, b, "constantPool", STR("true"));
    if (array)
        make_attribute(m, b, "dimension", STR("1"));
    put_long(b, 0);
}

static inline void make_class_element(struct maker *m, struct buf *b, struct str words)
{
    struct buf fields;
    struct str_split it = {words, false};
    struct str word, id = {0}, name = {0};
    uint64_t n = 0;
    buf_init(&fields, MIB);
    str_split_next(&it, ' ', &id);
    str_split_next(&it, ' ', &name);
    for (; str_split_next(&it, ' ', &word); n++)
        make_field(m, &fields, word);
    put_long(b, make_text(m, STR("class")));
    put_long(b, 2);
    make_attribute(m, b, "id", id);
    make_attribute(m, b, "name", name);
    put_long(b, n);
    buf_str(b, buf_view(&fields));
    buf_done(&fields);
}

static inline void make_u64be(struct buf *b, uint64_t v)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buf_byte(b, (uint8_t)(v >> shift));
}

/* The tree, and before it the strings it turned out to need. */
static inline void make_metadata(struct maker *m, struct buf *out)
{
    struct buf tree, event;
    buf_init(&tree, MIB);
    buf_init(&event, MIB);
    put_long(&tree, make_text(m, STR("root")));
    put_long(&tree, 0);
    put_long(&tree, 1);
    put_long(&tree, make_text(m, STR("metadata")));
    put_long(&tree, 0);
    put_long(&tree, m->n_classes);
    for (uint32_t i = 0; i < m->n_classes; i++)
        make_class_element(m, &tree, m->classes[i]);
    for (int i = 0; i < 4; i++)
        put_long(&event, 0); /* type, start, duration, id */
    put_long(&event, m->n_texts);
    for (uint32_t i = 0; i < m->n_texts; i++) {
        buf_byte(&event, 3);
        put_long(&event, m->texts[i].n);
        buf_str(&event, m->texts[i]);
    }
    buf_str(&event, buf_view(&tree));
    put_padded(out, event.n + 5, 5);
    buf_str(out, buf_view(&event));
    buf_done(&tree);
    buf_done(&event);
}

/* A checkpoint event with these pools. */
static inline void make_checkpoint(
    struct buf *out, int64_t delta, uint32_t n_pools, struct str pools)
{
    struct buf event;
    buf_init(&event, MIB);
    put_long(&event, 1);
    put_long(&event, 0);
    put_long(&event, 0);
    put_long(&event, (uint64_t)delta);
    buf_byte(&event, 0);
    put_long(&event, n_pools);
    buf_str(&event, pools);
    put_padded(out, event.n + 5, 5);
    buf_str(out, buf_view(&event));
    buf_done(&event);
}

/* Header and chunk; the constants are at `pools`, the metadata at `metadata`. */
static inline void make_chunk(
    const struct maker *m, struct str body, uint64_t pools, uint64_t metadata, struct buf *out)
{
    buf_add(out, "FLR\0\0\2\0\0", 8);
    make_u64be(out, 68 + body.n);
    make_u64be(out, pools);
    make_u64be(out, metadata);
    for (int i = 0; i < 3; i++)
        make_u64be(out, 0); /* start, duration, start ticks */
    make_u64be(out, m->ticks_per_s);
    buf_add(out, "\0\0\0\1", 4);
    buf_str(out, body);
}

/* Appends a chunk: events, checkpoint, metadata. */
static inline void make_finish(struct maker *m, struct buf *out)
{
    struct buf body;
    buf_init(&body, 4 * MIB);
    buf_str(&body, buf_view(&m->events));
    uint64_t pools = 68 + body.n;
    make_checkpoint(&body, 0, m->n_pools, buf_view(&m->pools));
    uint64_t metadata = 68 + body.n;
    make_metadata(m, &body);
    make_chunk(m, buf_view(&body), pools, metadata, out);
    buf_done(&body);
}

#endif
