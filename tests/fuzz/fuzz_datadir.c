/* Small files of the data directory, on a simulated disk. The first byte chooses: the marker of an
 * epoch, FORMAT, or a name of a file; its second bit makes the check at the end of the text right,
 * so that what lies behind it is reached. A marker that is read can be written and reads the same.
 */
#include <inttypes.h>

#include "base/fs_sim.h"
#include "base/hash.h"
#include "base/log.h"
#include "store/store_int.h"
#include "store/wal_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EPOCH = 5 };
static const uint8_t store_id[16] = {
    0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

static void put_file(struct fs *fs, const char *path, struct str text)
{
    struct fs_file *f = NULL;
    ASSERT(fs->file_open(fs, path, FS_CREATE, &f) == 0);
    ASSERT(text.n == 0 || fs->file_write(fs, f, 0, text.p, text.n) == 0);
    fs->file_close(fs, f);
}

static void marker(struct fs *fs, struct str text)
{
    struct block_target to = {fs, "d", store_id, 4096};
    struct arena arena;
    struct marker m, again;
    char path[64], name[32];
    marker_name(name, EPOCH);
    snprintf(path, sizeof path, "d/epochs/%s", name);
    put_file(fs, path, text);
    arena_init(&arena, 16 * MIB);
    if (marker_read(&to, EPOCH, &arena, &m, NULL) == ST_OK) {
        ASSERT(m.epoch == EPOCH);
        ASSERT(marker_write(&to, &m, NULL) == ST_OK);
        ASSERT(marker_read(&to, EPOCH, &arena, &again, NULL) == ST_OK);
        ASSERT(again.n == m.n && again.next_seq == m.next_seq && again.n_replaces == m.n_replaces);
        for (uint32_t i = 0; i < m.n; i++)
            ASSERT(str_eq(m.entries[i].path, again.entries[i].path) &&
                   m.entries[i].check == again.entries[i].check &&
                   m.entries[i].bytes == again.entries[i].bytes &&
                   m.entries[i].retired == again.entries[i].retired);
    }
    arena_done(&arena);
}

static void format(struct fs *fs, struct str text)
{
    uint8_t id[16];
    struct error err = {0};
    put_file(fs, "d/FORMAT", text);
    enum status st = datadir_format(fs, "d", id, &err);
    ASSERT(st == ST_OK || st == ST_DATA_LOSS || st == ST_FAILED_PRECONDITION ||
           st == ST_RESOURCE_EXHAUSTED);
    ASSERT(st == ST_OK || err.len > 0);
}

static void names(struct str text)
{
    char name[300];
    char again[WAL_PATH_MAX];
    uint64_t epoch;
    uint32_t segment;
    if (text.n >= sizeof name || memchr(text.p, 0, text.n))
        return;
    if (text.n)
        memcpy(name, text.p, text.n);
    name[text.n] = 0;
    if (marker_name_parse(name, &epoch)) {
        marker_name(again, epoch);
        ASSERT(strcmp(name, again) == 0);
    }
    (void)wal_segment_name_parse(name, &epoch, &segment);
}

/* The text with a last line that is its check. */
static struct str with_check(struct str text, char *out, size_t cap)
{
    size_t n = MIN(text.n, cap - 40);
    if (n)
        memcpy(out, text.p, n);
    if (n && out[n - 1] != '\n')
        out[n++] = '\n';
    n += (size_t)snprintf(out + n, cap - n, "check %016" PRIx64 "\n", hash_disk(out, n));
    return str_make(out, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char mended[8192 + 64];
    static const char *const dirs[] = {"d", "d/epochs", "d/tmp"};
    if (size == 0 || size > 8192)
        return 0;
    log_setup(LOG_ERROR + 1, LOG_LOGFMT);
    struct str text = str_make(data + 1, size - 1);
    if (data[0] & 2)
        text = with_check(text, mended, sizeof mended);
    struct fs_sim *sim = fs_sim_new(1);
    struct fs *fs = fs_sim_fs(sim);
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        fs->dir_make(fs, dirs[i]);
    if (data[0] & 4)
        names(text);
    else if (data[0] & 1)
        format(fs, text);
    else
        marker(fs, text);
    fs_sim_free(sim);
    return 0;
}
