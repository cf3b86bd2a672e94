/* Ad hoc profiles of a tenant as files: state/<tenant>/adhoc/<id>, the uploaded bytes behind a line
 * with their check. An id is a ULID, whose time is when it was uploaded, a minus sign and the name.
 */
#ifndef SERVER_ADHOC_FILES_H
#define SERVER_ADHOC_FILES_H

#include "base/ulid.h"
#include "server/tenant_state.h"

enum {
    ADHOC_FILES_MAX = 100, /* of a tenant: the oldest go */
    ADHOC_NAME_MAX = 100,
    ADHOC_FILE_BYTES = 16 * 1024 * 1024,
};
#define ADHOC_ALL_BYTES ((uint64_t)256 << 20) /* of a tenant: the oldest go */

struct adhoc_file {
    struct str id, name;
    int64_t uploaded_ms;
};
struct adhoc_list {
    struct adhoc_file *v; /* newest first */
    uint32_t n, cap;
};

/* ST_INVALID_ARGUMENT: no id. */
enum status adhoc_id_parse(struct str id, struct adhoc_file *ret_file, struct error *err);
/* What may not be in an id becomes '_'; cut at ADHOC_NAME_MAX. */
struct str adhoc_name(struct str name, struct arena *arena);

/* All of these under server.state_lock, results in the arena. */
enum status adhoc_files_list(struct str data_dir, struct str tenant, struct arena *arena,
    struct adhoc_list *ret_list, struct error *err);
enum status adhoc_files_read(struct str data_dir, struct str tenant, struct str id,
    struct arena *arena, struct str *ret_bytes, struct error *err);
/* Stores under a new id, then removes the oldest beyond the bounds. */
enum status adhoc_files_add(struct str data_dir, struct str tenant, struct str name,
    struct str bytes, struct arena *arena, struct adhoc_file *ret_file, struct error *err);

#endif
