/* The Accept header: see accept.h.
 *
 * Elements are separated by commas, also inside quotes, as the reference does it; empty elements,
 * which HTTP allows in lists, count for nothing. q-values and types are not looked at.
 * Thread: any; never blocks. Failure: a status with the answer's text. */
#include "net/accept.h"

#include "net/media_type.h"

static bool allows_utf8(const struct media_type *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (str_eq_nocase(t->params[i].name, STR("allow-utf8-labelnames")))
            return str_eq(t->params[i].value, STR("true"));
    }
    return false;
}

static enum status check_value(struct str value, bool *utf8, struct error *err)
{
    struct str_split it = {value, false};
    struct str element;
    while (str_split_next(&it, ',', &element)) {
        struct media_type t;
        element = str_trim(element);
        if (element.n == 0)
            continue;
        enum status st = media_type_parse(element, &t, err);
        if (st != ST_OK)
            return error_wrap(err, st, "Invalid header format");
        *utf8 = *utf8 || allows_utf8(&t);
    }
    return ST_OK;
}

enum status connect_accept_check(
    const struct http_request *rq, bool *ret_utf8_names, struct error *err)
{
    bool utf8 = false;
    for (uint32_t i = 0; i < rq->n_headers; i++) {
        if (str_eq_nocase(rq->headers[i].name, STR("Accept")))
            TRY(check_value(rq->headers[i].value, &utf8, err));
    }
    *ret_utf8_names = utf8;
    return ST_OK;
}
