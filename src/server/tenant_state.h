/* Files of a tenant that are not profiles of the store: state/<tenant>/<name> below the data
 * directory, each replaced as a whole. Whoever reads and then writes holds server.state_lock
 * meanwhile. */
#ifndef SERVER_TENANT_STATE_H
#define SERVER_TENANT_STATE_H

#include "base/arena.h"
#include "base/fs.h"

enum { STATE_PATH_BYTES = 4096 };

struct state_file {
    char state[STATE_PATH_BYTES]; /* DATA/state */
    char top[STATE_PATH_BYTES];   /* DATA/state/TENANT */
    char dir[STATE_PATH_BYTES];   /* the same, or a folder in it */
    char file[STATE_PATH_BYTES];
    char tmp[STATE_PATH_BYTES];
};

/* Tenant ids are checked (tenants.c), so they are safe as a folder's name. `folder` may be empty;
 * it and `name` are ours, or checked as well. */
enum status state_file_at(struct str data_dir, struct str tenant, const char *folder,
    struct str name, struct state_file *ret, struct error *err);
/* Into the arena; *ret_any false, and nothing, when there is no such file. */
enum status state_read(const struct state_file *f, size_t bytes_max, struct arena *arena,
    struct str *ret_bytes, bool *ret_any, struct error *err);
/* Durable when it returns ST_OK. */
enum status state_write(const struct state_file *f, struct str bytes, struct error *err);

#endif
