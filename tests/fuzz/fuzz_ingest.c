/* The whole way of an upload: parameters, decoder, repairs, checks, split, up to the store.
 *
 * Input: one byte chooses the format, the next the spy; the rest is the body. Whatever comes, there
 * is exactly one answer, it is no surprise, and what reaches the store is sound: every index in
 * range, values positive, labels sorted, every sample in at most one row. */
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "ingest/ingest.h"

#define MUST(x) ((x) ? (void)0 : abort())

static void check_symbols(const struct prof_symbols *sym)
{
    MUST(sym->n_strings > 0 && sym->strings[0].n == 0);
    for (uint32_t i = 0; i < sym->n_functions; i++) {
        const struct prof_function *f = &sym->functions[i];
        MUST(f->name < sym->n_strings && f->system_name < sym->n_strings);
        MUST(f->filename < sym->n_strings);
    }
    for (uint32_t i = 0; i < sym->n_mappings; i++) {
        MUST(sym->mappings[i].filename < sym->n_strings);
        MUST(sym->mappings[i].build_id < sym->n_strings);
    }
    for (uint32_t i = 0; i < sym->n_locations; i++) {
        const struct prof_location *l = &sym->locations[i];
        MUST(l->mapping == PROF_NONE || l->mapping < sym->n_mappings);
        MUST(l->first_line <= sym->n_lines && l->n_lines <= sym->n_lines - l->first_line);
        MUST(l->n_lines > 0 || l->address != 0);
    }
    for (uint32_t i = 0; i < sym->n_lines; i++)
        MUST(sym->lines[i].function < sym->n_functions);
    for (uint32_t i = 0; i < sym->n_frames; i++)
        MUST(sym->frames[i] < sym->n_locations);
    for (uint32_t i = 0; i < sym->n_stacks; i++)
        MUST(sym->stacks[i].first <= sym->n_frames &&
             sym->stacks[i].n <= sym->n_frames - sym->stacks[i].first);
    for (uint32_t i = 0; i < sym->n_labelsets; i++)
        MUST(sym->labelsets[i].first <= sym->n_labels &&
             sym->labelsets[i].n <= sym->n_labels - sym->labelsets[i].first);
}

static void check_row(const struct store_row *row)
{
    const struct profile *p = row->prof;
    MUST(row->n_samples > 0 && row->n_samples <= p->n_samples && p->n_types > 0 && p->time_ns > 0);
    for (uint32_t i = 1; i < row->labels.n; i++)
        MUST(str_cmp(row->labels.v[i - 1].name, row->labels.v[i].name) < 0);
    for (uint32_t i = 0; i < row->n_samples; i++) {
        uint32_t at = row->samples ? row->samples[i] : i;
        bool some = false;
        MUST(at < p->n_samples && p->samples[at].stack < p->sym->n_stacks);
        MUST(p->samples[at].labelset < p->sym->n_labelsets);
        for (uint32_t k = 0; k < p->n_types; k++) {
            MUST(p->values[(size_t)at * p->n_types + k] >= 0);
            some = some || p->values[(size_t)at * p->n_types + k] > 0;
        }
        MUST(some);
    }
}

enum status store_append_within(struct store *s, struct str tenant, const struct store_quota *quota,
    const struct store_row *rows, uint32_t n_rows, store_done_fn done, void *ctx,
    enum store_refused *ret_refused, struct error *err)
{
    (void)quota;
    *ret_refused = STORE_REFUSED_OTHER;
    (void)s;
    (void)tenant;
    (void)err;
    MUST(n_rows > 0);
    for (uint32_t i = 0; i < n_rows; i++) {
        if (i == 0 || rows[i].prof->sym != rows[i - 1].prof->sym)
            check_symbols(rows[i].prof->sym);
        check_row(&rows[i]);
    }
    done(ctx, ST_OK, NULL);
    return ST_OK;
}

static void give_limits(void *ctx, struct str tenant, struct ingest_limits *ret_limits)
{
    (void)ctx;
    (void)tenant;
    ingest_limits_default(ret_limits);
    ret_limits->rate_bytes_per_s = 0;
    ret_limits->reject_older_than_ns = 0;
    ret_limits->reject_newer_than_ns = 0;
    ret_limits->stack_depth_max = 200;
    ret_limits->string_bytes_max = 500;
    ret_limits->sessions_per_series_max = 4;
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
    MUST(http == 400 || http == 413 || http == 422);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const formats[] = {
        "pprof", "jfr", "", "trie", "tree", "lines", "speedscope", "form", "jfr-form"};
    static const char *const spies[] = {"gospy", "rbspy", "pyspy", "dotnetspy", ""};
    if (size < 2)
        return 0;
    struct ingest_config cfg = {.store = (struct store *)1, .limits = give_limits};
    struct ingest *ig = ingest_new(&cfg);
    struct arena arena;
    arena_init(&arena, 64 * MIB);
    unsigned format = data[0] % ARRAY_LEN(formats);
    int calls = 0;
    struct ingest_upload up = {.tenant = STR("t"),
        .name = STR("app.cpu{a.b=c,__session_id__=0600000000000000,service_git_ref=x}"),
        .from = STR("1795382000"),
        .until = STR("1795382010"),
        .spy_name = str_from(spies[data[1] % ARRAY_LEN(spies)]),
        .format = format == 7   ? STR_EMPTY
                  : format == 8 ? STR("jfr")
                                : str_from(formats[format]),
        .content_type = format >= 7 ? STR("multipart/form-data; boundary=XX") : STR_EMPTY,
        .body = str_make(data + 2, size - 2),
        .arena = &arena,
        .now_ns = 1795382010 * NS_PER_S};
    ingest_upload(ig, &up, on_done, &calls);
    MUST(calls == 1);
    arena_done(&arena);
    ingest_free(ig);
    return 0;
}
