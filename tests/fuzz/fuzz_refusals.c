/* A tenant's file of past refusals, from anywhere: it is read or not, what is shown is bounded
 * JSON, and a refusal that follows is among them. */
#include "base/fs_sim.h"
#include "base/log.h"
#include "base/mem.h"
#include "codec/json.h"
#include "ingest/refusals.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_file(struct fs *fs, struct str text)
{
    struct fs_file *f = NULL;
    static const char *const dirs[] = {"d", "d/state", "d/state/t"};
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        fs->dir_make(fs, dirs[i]);
    ASSERT(fs->file_open(fs, "d/state/t/refusals.json", FS_CREATE, &f) == 0);
    ASSERT(text.n == 0 || fs->file_write(fs, f, 0, text.p, text.n) == 0);
    fs->file_close(fs, f);
}

static void check_json(struct str text)
{
    struct arena arena;
    struct json_reader *r = NEW(struct json_reader);
    enum json_token tok;
    arena_init(&arena, MIB);
    json_start(r, text, &arena);
    do
        ASSERT(json_next(r, &tok, NULL) == ST_OK);
    while (tok != JSON_END);
    arena_done(&arena);
    mem_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct refusals *r = NULL;
    struct buf out;
    if (size > 32768)
        return 0;
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    struct fs_sim *sim = fs_sim_new(1);
    put_file(fs_sim_fs(sim), str_make(data, size));
    ASSERT(refusals_open(fs_sim_fs(sim), "d", &r, NULL) == ST_OK);
    buf_init(&out, MIB);
    refusals_json(r, STR("t"), &out);
    check_json(buf_view(&out));
    buf_clear(&out);
    refusals_note(r, STR("t"), STR("new"), STR("rate_limited"), 1, STR("m"), INT64_MAX);
    refusals_json(r, STR("t"), &out);
    ASSERT(str_contains(buf_view(&out), STR("\n{\"service\":\"new\",\"reason\":\"rate_limited\"")));
    buf_done(&out);
    refusals_close(r);
    fs_sim_free(sim);
    return 0;
}
