/* Profile type ids: see profile_type.h. Parts may be empty and are not validated otherwise; the
 * views live as long as the id. Pure; any thread. */
#include "model/profile_type.h"

#include "base/buf.h"
#include "model/labels.h"

enum { PARTS_MIN = 5, PARTS_MAX = 6 };

static enum status wrong_form(struct str id, uint64_t parts, struct error *err)
{
    struct buf quoted;
    /* A message holds less than this; a byte becomes four at most. */
    buf_init(&quoted, 4 * ERROR_MSG_MAX + 2);
    quote_go(str_head(id, ERROR_MSG_MAX), &quoted);
    struct str s = buf_view(&quoted);
    enum status st = error_set(err, ST_INVALID_ARGUMENT, __FILE__, __LINE__,
        "profile-type selection must be of the form "
        "<name>:<sample-type>:<sample-unit>:<period-type>:<period-unit>(:delta), got(%llu): %.*s",
        (unsigned long long)parts, STR_ARG(s));
    buf_done(&quoted);
    return st;
}

enum status profile_type_parse(struct str id, struct profile_type *ret_type, struct error *err)
{
    struct str part[PARTS_MAX], piece;
    struct str_split it = {.rest = id};
    uint64_t n = 0;
    while (str_split_next(&it, ':', &piece)) {
        if (n < PARTS_MAX)
            part[n] = piece;
        n++;
    }
    if (n < PARTS_MIN || n > PARTS_MAX)
        return wrong_form(id, n, err);
    *ret_type = (struct profile_type){id, part[0], part[1], part[2], part[3], part[4]};
    return ST_OK;
}
