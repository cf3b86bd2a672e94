/* Profile type ids: name:sample_type:sample_unit:period_type:period_unit, and an ignored sixth
 * part. */
#ifndef MODEL_PROFILE_TYPE_H
#define MODEL_PROFILE_TYPE_H

#include "base/arena.h"
#include "base/status.h"

struct profile_type {
    struct str id; /* as given, with a sixth part if there was one */
    struct str name, sample_type, sample_unit, period_type, period_unit;
};

/* Views into `id`. ST_INVALID_ARGUMENT with the text of the reference otherwise. */
enum status profile_type_parse(struct str id, struct profile_type *ret_type, struct error *err);

#endif
