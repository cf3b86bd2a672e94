/* Is it a Go profile? (spec/ingest.md §6.14) The answer only decides about Go's repairs, so all
 * other languages are one here; but they must be told apart in the reference's order, because the
 * first string that looks like any language decides.
 *
 * A string that starts or ends with a pattern decides; within a string the patterns are tried in
 * order. The spy's name decides first and for free; without one, strings are looked at until one
 * matches. A switch on the first and the last byte keeps that to a few nanoseconds per string.
 * Pure; cannot fail. */
#include "ingest/ingest_int.h"

static const struct {
    struct str pattern;
    bool go;
} patterns[] = {
    {{".go", 3}, true},
    {{"/usr/local/go/", 14}, true},
    {{"java/", 5}, false},
    {{"sun/", 4}, false},
    {{".rb", 3}, false},
    {{"gems/", 5}, false},
    {{"./node_modules/", 15}, false},
    {{".js", 3}, false},
    {{"System.", 7}, false},
    {{"Microsoft.", 10}, false},
    {{".py", 3}, false},
    {{"main.rs", 7}, false},
    {{"core.rs", 7}, false},
};

static const struct {
    struct str spy;
    bool go;
} spies[] = {
    {{"dotnetspy", 9}, false},
    {{"gospy", 5}, true},
    {{"phpspy", 6}, false},
    {{"pyspy", 5}, false},
    {{"rbspy", 5}, false},
    {{"nodespy", 7}, false},
    {{"javaspy", 7}, false},
    {{"grafana-agent.java", 18}, false},
    {{"pyroscope-rs", 12}, false},
};

/* False for strings that no pattern can match. */
static bool may_match(struct str s)
{
    if (s.n < 3)
        return false;
    switch (s.p[0]) {
    case '.':
    case '/':
    case 'j':
    case 's':
    case 'g':
    case 'S':
    case 'M':
    case 'm':
    case 'c':
        return true;
    default:
        break;
    }
    switch (s.p[s.n - 1]) {
    case 'o':
    case '/':
    case 'b':
    case 's':
    case '.':
    case 'y':
        return true;
    default:
        return false;
    }
}

bool ingest_is_go(struct labels labels, const struct pprof *p)
{
    struct str spy = labels_get(labels, STR("pyroscope_spy"));
    for (size_t i = 0; i < ARRAY_LEN(spies); i++)
        if (str_eq(spy, spies[i].spy))
            return spies[i].go;
    for (uint32_t i = 0; i < p->n_strings; i++) {
        if (!may_match(p->strings[i]))
            continue;
        for (size_t k = 0; k < ARRAY_LEN(patterns); k++)
            if (str_starts(p->strings[i], patterns[k].pattern) ||
                str_ends(p->strings[i], patterns[k].pattern))
                return patterns[k].go;
    }
    return false;
}
