/* What was refused and why, for people: per tenant the last refusals of each (service, reason),
 * with how many, when, the last message and the setting that would change it. Kept across restarts
 * in state/<tenant>/refusals.json, which is also what the API answers. Any thread. */
#ifndef INGEST_REFUSALS_H
#define INGEST_REFUSALS_H

#include "base/buf.h"
#include "base/fs.h"

struct refusals;

/* `dir`: the data directory; its files are read now and written by a thread of its own, every few
 * seconds while something changed and once more when it is closed. dir NULL: nothing is kept. */
enum status refusals_open(
    struct fs *fs, const char *dir, struct refusals **ret_r, struct error *err);
void refusals_close(struct refusals *r); /* NULL is fine */

/* `reason`: the label of pyroscope_discarded_samples_total. r may be NULL: nothing. */
void refusals_note(struct refusals *r, struct str tenant, struct str service, struct str reason,
    uint64_t profiles, struct str message, int64_t now_ns);
/* {"refusals":[…]}, the newest first; of an unknown tenant an empty list. */
void refusals_json(struct refusals *r, struct str tenant, struct buf *out);

/* The table behind `setting`: the YAML path that decides, "" when none does. */
struct refusal_reason {
    const char *reason, *setting;
};
extern const struct refusal_reason refusal_reasons[];
extern const uint32_t refusal_reasons_n;
struct str refusal_setting(struct str reason);

#endif
