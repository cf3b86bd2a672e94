/* Relabelling rules in Prometheus' form, compiled. Immutable; any thread.
 *
 * Deviation: lowercase and uppercase change ASCII letters only. */
#ifndef INGEST_RELABEL_H
#define INGEST_RELABEL_H

#include "base/status.h"

struct relabel;

/* `json`: an array of objects with the keys source_labels, separator, target_label, regex, modulus,
 * replacement, action; or empty. Compiled once per text and kept, see compiled.h. *ret_rules is
 * NULL when there are no rules. `types`: only drop and keep are allowed. Errors name the rule by
 * number. */
enum status relabel_compile(
    struct str json, bool types, const struct relabel **ret_rules, struct error *err);
/* The text it was compiled from. */
struct str relabel_text(const struct relabel *rules);

#endif
