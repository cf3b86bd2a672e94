/* JSON, strictly by RFC 8259: a pull reader over bytes and writers into a buffer.
 *
 * The reader gives one token per call and checks the grammar, UTF-8, escapes and nesting as it
 * goes. Strings without escapes are views of the input, others are decoded into the arena. Numbers
 * keep their text, so that nothing is lost before the caller knows the type. One thread. */
#ifndef CODEC_JSON_H
#define CODEC_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/status.h"

enum json_token {
    JSON_END, /* the text is over */
    JSON_OBJECT,
    JSON_OBJECT_END,
    JSON_ARRAY,
    JSON_ARRAY_END,
    JSON_NAME, /* of a member; its value comes next */
    JSON_STRING,
    JSON_NUMBER,
    JSON_TRUE,
    JSON_FALSE,
    JSON_NULL,
};

enum { JSON_DEPTH_MAX = 10000, JSON_NUMBER_MAX = 1000 };

struct json_reader {
    struct str in;
    size_t at;       /* next byte */
    size_t token_at; /* first byte of the current token */
    struct arena *arena;
    struct str text; /* NAME, STRING: decoded; NUMBER: as written */
    uint32_t depth;
    uint8_t state;
    uint8_t objects[JSON_DEPTH_MAX / 8]; /* bit: this level is an object */
};

void json_start(struct json_reader *r, struct str in, struct arena *arena);
/* ST_INVALID_ARGUMENT: "unexpected EOF" or "syntax error (line 1:7): …"; ST_RESOURCE_EXHAUSTED when
 * the arena is full. After a failure the reader is of no more use. */
enum status json_next(struct json_reader *r, enum json_token *ret_token, struct error *err);
/* The value that comes next, with all that is in it. */
enum status json_skip(struct json_reader *r, struct error *err);
/* The current token as written, quotes included, cut at 100 bytes: for messages. */
struct str json_shown(const struct json_reader *r);
/* Line and column (in code points), both from 1, of the current token. */
void json_position(const struct json_reader *r, uint32_t *ret_line, uint32_t *ret_column);
/* A complaint about the current token: "syntax error (line 1:1): unexpected token [". */
enum status json_unexpected(const struct json_reader *r, struct error *err);

/* Whether all of s is one number of the grammar, without blanks around it. */
bool json_is_number(struct str s);
/* A number's text as an integer, exactly: 10.0 and 1e3 are integers, 1.5 and overflow are not. */
bool json_to_i64(struct str number, int64_t *ret_value);
bool json_to_u64(struct str number, uint64_t *ret_value);
/* False when it is too large for a double. */
bool json_to_double(struct str number, double *ret_value);

/* Quoted; bytes that are not UTF-8 become U+FFFD, so that the output is always JSON. */
void json_put_string(struct buf *out, struct str s);
void json_put_i64(struct buf *out, int64_t v);
void json_put_u64(struct buf *out, uint64_t v);
/* The shortest text that reads back the same; "NaN", "Infinity", "-Infinity" in quotes. */
void json_put_double(struct buf *out, double v);

#endif
