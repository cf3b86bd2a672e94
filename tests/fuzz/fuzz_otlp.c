/* OTLP: the decoder by itself, then the whole way of a request up to the store.
 *
 * Input: one byte of options (1: JSON, 2: small limits, 4: little memory), the rest is the message.
 * Whatever comes: every profile keeps the promises of codec/profile.h, sizes add up to the
 * message's, JSON becomes a message that decodes as well; there is exactly one answer, and rows
 * that reach the store are sound. */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "codec/otlp.h"
#include "ingest/otlp.h"

#include "../prof_check.h"

#define MUST(x) ((x) ? (void)0 : abort())

enum { JSON = 1, SMALL_LIMITS = 2, LITTLE_MEMORY = 4 };

static void check_row(const struct store_row *row)
{
    const struct profile *p = row->prof;
    prof_check(p);
    MUST(row->n_samples > 0 && row->n_samples <= p->n_samples && p->n_types == 1 && p->time_ns > 0);
    for (uint32_t i = 1; i < row->labels.n; i++)
        MUST(str_cmp(row->labels.v[i - 1].name, row->labels.v[i].name) < 0);
    for (uint32_t i = 0; row->samples && i < row->n_samples; i++)
        MUST(row->samples[i] < p->n_samples);
}

enum status store_append_within(struct store *s, struct str tenant, const struct store_quota *quota,
    const struct store_row *rows, uint32_t n_rows, store_done_fn done, void *ctx,
    enum store_refused *ret_refused, struct error *err)
{
    (void)s, (void)tenant, (void)quota, (void)err;
    *ret_refused = STORE_REFUSED_OTHER;
    MUST(n_rows > 0);
    for (uint32_t i = 0; i < n_rows; i++)
        check_row(&rows[i]);
    done(ctx, ST_OK, NULL);
    return ST_OK;
}

static unsigned options;

static void give_limits(void *ctx, struct str tenant, struct ingest_limits *ret_limits)
{
    (void)ctx, (void)tenant;
    ingest_limits_default(ret_limits);
    ret_limits->rate_bytes_per_s = 0;
    ret_limits->reject_older_than_ns = 0;
    ret_limits->reject_newer_than_ns = 0;
    if (!(options & SMALL_LIMITS))
        return;
    ret_limits->stack_depth_max = 3;
    ret_limits->string_bytes_max = 5;
    ret_limits->sample_labels_max = 2;
    ret_limits->label_sanitization = true;
}

static void on_done(void *ctx, enum status st, const struct error *err)
{
    int *calls = ctx;
    (*calls)++;
    MUST((st == ST_OK) == (err == NULL));
    if (!err)
        return;
    MUST(err->code == st && err->len == strlen(err->msg));
    int http = err->http ? err->http : status_http(st);
    MUST(http == 400 || http == 413 || http == 429);
}

static void check_decoder(struct str in, struct arena *arena)
{
    struct otlp_options opt = {0};
    struct otlp out;
    struct error err = {0};
    if (options & SMALL_LIMITS)
        opt = (struct otlp_options){3, 5, 2};
    if (options & JSON && otlp_from_json(in, arena, &in, &err) != ST_OK)
        return;
    if (otlp_decode(in, &opt, arena, &out, &err) != ST_OK) {
        MUST(err.len > 0 && (err.code == ST_INVALID_ARGUMENT || arena->full));
        return;
    }
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < out.n; i++) {
        prof_check(&out.v[i].profile);
        MUST(out.v[i].service.n > 0 && out.v[i].profile.n_types == 1);
        MUST(out.v[i].problem || out.v[i].profile.n_samples > 0);
        MUST(out.v[i].problem != OTLP_UTF8 || out.bad_string.n > 0);
        bytes += out.v[i].profile.size_bytes;
    }
    MUST(out.n == 0 || bytes == in.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    options = data[0];
    struct str in = str_make(data + 1, size - 1);
    size_t memory = options & LITTLE_MEMORY ? 64 * KIB : 64 * MIB;
    struct arena arena;
    arena_init(&arena, memory);
    check_decoder(in, &arena);
    arena_done(&arena);
    arena_init(&arena, memory);
    struct ingest_config cfg = {.store = (struct store *)1, .limits = give_limits};
    struct ingest *ig = ingest_new(&cfg);
    int calls = 0;
    struct ingest_otlp request = {.tenant = STR("t"),
        .message = in,
        .json = options & JSON,
        .received_bytes = size,
        .arena = &arena,
        .now_ns = 1795382010 * NS_PER_S};
    ingest_otlp(ig, &request, on_done, &calls);
    MUST(calls == 1);
    arena_done(&arena);
    ingest_free(ig);
    return 0;
}
