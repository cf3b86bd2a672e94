/* The server as one of its own services: `everflame`, CPU time, by agents/core. */
#ifndef SERVER_SELF_PROFILE_H
#define SERVER_SELF_PROFILE_H

#include "ingest/ingest.h"
#include "server/config.h"

struct self_profile; /* opaque; every function takes NULL, which stands for "off" */

/* Before the first thread is started: those to come are sampled. *ret_profile is NULL when it is
 * switched off or cannot work here, which is logged. Fails for a tenant id that is none. */
enum status self_profile_begin(
    const struct config *c, struct self_profile **ret_profile, struct error *err);
/* Starts to append to the store. */
enum status self_profile_start(struct self_profile *sp, struct ingest *ingest, struct error *err);
/* Stops appending; the last profile is durable, or refused, when it returns. */
void self_profile_stop(struct self_profile *sp);
/* After the last thread has ended. */
void self_profile_end(struct self_profile *sp);

#endif
