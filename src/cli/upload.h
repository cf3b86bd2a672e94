/* What a file holds, by its content. Pure. */
#ifndef CLI_UPLOAD_H
#define CLI_UPLOAD_H

#include "base/arena.h"
#include "base/status.h"

enum upload_format {
    UPLOAD_UNKNOWN,
    UPLOAD_PPROF,
    UPLOAD_JFR,
    UPLOAD_FOLDED,
    UPLOAD_SPEEDSCOPE,
    UPLOAD_FORMATS,
};
extern const char *const upload_format_names[UPLOAD_FORMATS];

/* `content` is inflated already. Text in which every line ends in a number is collapsed stacks. */
enum upload_format upload_detect(struct str content, struct arena *arena);

/* The service a file name stands for: its last part up to the first dot, other characters than
 * /ingest takes replaced by `-`. Empty when nothing is left. */
struct str upload_service(struct str path, struct arena *arena);

#endif
