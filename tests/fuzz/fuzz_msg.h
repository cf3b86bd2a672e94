/* What fuzz_msg_proto and fuzz_msg_json share: the table, chosen by the first byte, and round
 * trips of whatever could be decoded. */
#ifndef TESTS_FUZZ_MSG_H
#define TESTS_FUZZ_MSG_H

#include "codec/messages.h"

enum { FUZZ_ARENA_BYTES = 32 * 1024 * 1024, FUZZ_OUT_BYTES = 64 * 1024 * 1024 };

static const struct msg_desc *const fuzz_descs[] = {&m_select_merge_stacktraces_request_desc,
    &m_select_merge_stacktraces_response_desc, &m_select_series_request_desc,
    &m_select_series_response_desc, &m_series_response_desc, &m_profile_desc, &m_push_request_desc,
    &m_diff_request_desc, &m_diff_response_desc, &m_empty_desc};

typedef void (*fuzz_encode_fn)(const struct msg_desc *, const void *, struct buf *);
typedef enum status (*fuzz_decode_fn)(
    const struct msg_desc *, struct str, struct arena *, void **, struct error *);

/* Encodes msg, decodes that, encodes again: must work and give the same bytes. */
static void fuzz_round_trip(const struct msg_desc *desc, const void *msg, struct arena *arena,
    fuzz_encode_fn encode, fuzz_decode_fn decode)
{
    struct buf first, second;
    struct error err;
    void *again;
    buf_init(&first, FUZZ_OUT_BYTES);
    buf_init(&second, FUZZ_OUT_BYTES);
    encode(desc, msg, &first);
    ASSERT(!first.failed);
    enum status st = decode(desc, buf_view(&first), arena, &again, &err);
    ASSERT(st == ST_OK || st == ST_RESOURCE_EXHAUSTED);
    if (st == ST_OK) {
        encode(desc, again, &second);
        ASSERT(str_eq(buf_view(&first), buf_view(&second)));
    }
    buf_done(&first);
    buf_done(&second);
}

static int fuzz_msg(const uint8_t *data, size_t size, fuzz_decode_fn decode)
{
    if (size == 0)
        return 0;
    const struct msg_desc *desc = fuzz_descs[data[0] % ARRAY_LEN(fuzz_descs)];
    struct arena arena;
    struct error err;
    void *msg = NULL;
    arena_init(&arena, FUZZ_ARENA_BYTES);
    enum status st = decode(desc, str_make(data + 1, size - 1), &arena, &msg, &err);
    ASSERT(st == ST_OK || (err.code == st && err.len > 0 && msg == NULL));
    if (st == ST_OK) {
        fuzz_round_trip(desc, msg, &arena, msg_encode_proto, msg_decode_proto);
        fuzz_round_trip(desc, msg, &arena, msg_encode_json, msg_decode_json);
    }
    arena_done(&arena);
    return 0;
}

#endif
