/* fs: removing directories, on the real disk and on the simulated one. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs_sim.h"

static void make_file(struct fs *fs, const char *path)
{
    struct fs_file *f = NULL;
    assert_int_equal(fs->file_open(fs, path, FS_CREATE, &f), 0);
    assert_int_equal(fs->file_sync(fs, f), 0);
    fs->file_close(fs, f);
}

static void count_name(void *ctx, const char *name, bool is_dir)
{
    uint32_t *n = ctx;
    (void)name;
    (void)is_dir;
    ++*n;
}

static uint32_t entries(struct fs *fs, const char *path)
{
    uint32_t n = 0;
    return fs->dir_list(fs, path, count_name, &n) == 0 ? n : UINT32_MAX;
}

static void check_dir_remove(struct fs *fs, const char *root)
{
    char dir[600], file[700];
    snprintf(dir, sizeof dir, "%s/d", root);
    snprintf(file, sizeof file, "%s/f", dir);
    assert_int_equal(fs->dir_remove(fs, dir), ENOENT);
    assert_int_equal(fs->dir_make(fs, dir), 0);
    make_file(fs, file);
    assert_int_equal(fs->dir_remove(fs, dir), ENOTEMPTY);
    assert_int_equal(entries(fs, dir), 1);
    assert_int_equal(fs->unlink(fs, file), 0);
    assert_int_equal(fs->dir_remove(fs, dir), 0);
    assert_int_equal(entries(fs, dir), UINT32_MAX);
    assert_int_equal(entries(fs, root), 0);
    assert_int_equal(fs->dir_make(fs, dir), 0); /* and again */
    assert_int_equal(entries(fs, dir), 0);
    assert_int_equal(fs->dir_remove(fs, dir), 0);
}

static void check_path_bytes(struct fs *fs, const char *root)
{
    struct fs_file *f = NULL;
    char path[600];
    uint64_t bytes = 77;
    snprintf(path, sizeof path, "%s/sized", root);
    assert_int_equal(fs->path_bytes(fs, path, &bytes), ENOENT);
    assert_int_equal(bytes, 77);
    make_file(fs, path);
    assert_int_equal(fs->path_bytes(fs, path, &bytes), 0);
    assert_int_equal(bytes, 0);
    assert_int_equal(fs->file_open(fs, path, FS_APPEND, &f), 0);
    assert_int_equal(fs->file_write(fs, f, 0, "12345", 5), 0);
    fs->file_close(fs, f);
    assert_int_equal(fs->path_bytes(fs, path, &bytes), 0);
    assert_int_equal(bytes, 5);
    assert_int_equal(fs->unlink(fs, path), 0);
}

/* A pipe that nobody writes would hold up who opens it; a link may lead anywhere. */
static void check_path_bytes_of_links_and_pipes(const char *root)
{
    char path[600];
    uint64_t bytes = 77;
    snprintf(path, sizeof path, "%s/pipe", root);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(fs_real.path_bytes(&fs_real, path, &bytes), 0);
    assert_int_equal(bytes, 0);
    assert_int_equal(fs_real.unlink(&fs_real, path), 0);
    assert_int_equal(symlink("/nowhere", path), 0);
    assert_int_equal(fs_real.path_bytes(&fs_real, path, &bytes), 0);
    assert_int_equal(bytes, strlen("/nowhere"));
    assert_int_equal(fs_real.unlink(&fs_real, path), 0);
}

static void test_real(void **state)
{
    char root[] = "/tmp/everflame-test-fs-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(root));
    check_dir_remove(&fs_real, root);
    check_path_bytes(&fs_real, root);
    check_path_bytes_of_links_and_pipes(root);
    assert_int_equal(fs_real.dir_remove(&fs_real, root), 0);
}

static void test_sim(void **state)
{
    struct fs_sim *sim = fs_sim_new(1);
    struct fs *fs = fs_sim_fs(sim);
    (void)state;
    assert_int_equal(fs->dir_make(fs, "r"), 0);
    check_dir_remove(fs, "r");
    check_path_bytes(fs, "r");
    fs_sim_free(sim);
}

/* What was removed and not synced comes back as a whole or not at all; synced, it stays away. */
static void test_sim_crash(void **state)
{
    uint32_t back = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 64; seed++) {
        struct fs_sim *sim = fs_sim_new(seed);
        struct fs *fs = fs_sim_fs(sim);
        fs->dir_make(fs, "r");
        fs->dir_make(fs, "r/a");
        fs->dir_make(fs, "r/a/b");
        make_file(fs, "r/a/b/f");
        assert_int_equal(fs->dir_sync(fs, "r/a/b"), 0);
        assert_int_equal(fs->unlink(fs, "r/a/b/f"), 0);
        assert_int_equal(fs->dir_remove(fs, "r/a/b"), 0);
        assert_int_equal(fs->dir_remove(fs, "r/a"), 0);
        if (seed % 2)
            assert_int_equal(fs->dir_sync(fs, "r"), 0);
        fs_sim_crash(sim, seed);
        struct fs_file *f = NULL;
        bool there = fs->file_open(fs, "r/a/b/f", FS_READ, &f) == 0;
        if (there)
            assert_int_equal(entries(fs, "r/a/b"), 1);
        if (seed % 2)
            assert_true(!there && entries(fs, "r") == 0);
        back += there;
        fs->file_close(fs, f);
        fs_sim_free(sim);
    }
    assert_in_range(back, 1, 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real),
        cmocka_unit_test(test_sim),
        cmocka_unit_test(test_sim_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
