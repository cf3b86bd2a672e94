/* Short names of profile types: see cli_int.h.
 *
 * Clients name the same thing differently: allocated bytes are alloc_space in Go and
 * alloc_in_new_tlab_bytes in Java. A word stands for a list of them, best first; the first that is
 * stored is meant. Pure. */
#include "cli/cli_int.h"

const struct type_word type_words[] = {
    {"cpu", "CPU time", {{"process_cpu", "cpu"}, {"process_cpu", "samples"}, {NULL, "cpu"}}},
    {"alloc", "memory allocated",
        {{"memory", "alloc_space"}, {"memory", "alloc_in_new_tlab_bytes"},
            {"memory", "alloc_sample_bytes"}, {"memory", "malloc_bytes"},
            {"memory", "alloc_objects"}}},
    {"inuse", "memory in use",
        {{"memory", "inuse_space"}, {"memory", "inuse_objects"}, {"memory", "live"}}},
    {"lock", "waiting for locks",
        {{"mutex", "delay"}, {"mutex", "contentions"}, {NULL, "lock_time"}, {NULL, "lock_count"}}},
    {"block", "waiting, parked or blocked", {{"block", "delay"}, {"block", "contentions"}}},
    {"wall", "time passed, on the CPU or not", {{"wall", "wall"}, {"wall", "samples"}}},
    {"goroutine", "goroutines there are",
        {{"goroutine", "goroutine"}, {"goroutines", "goroutine"}, {"goroutine", "goroutines"},
            {"goroutines", "goroutines"}}},
};
const uint32_t n_type_words = ARRAY_LEN(type_words);

bool type_is_state(const struct profile_type *t)
{
    return str_starts(t->sample_type, STR("inuse")) || str_eq(t->sample_type, STR("live")) ||
           str_starts(t->name, STR("goroutine"));
}

/* Stored types with this sample type, and name unless it is NULL. */
static uint32_t match_parts(const char *name, const char *sample_type, const struct str *ids,
    uint32_t n, struct str *ret_matches)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct profile_type t;
        if (profile_type_parse(ids[i], &t, NULL) != ST_OK)
            continue;
        if (str_eq(t.sample_type, str_from(sample_type)) &&
            (!name || str_eq(t.name, str_from(name))))
            ret_matches[found++] = ids[i];
    }
    return found;
}

static bool means(struct str word, const struct profile_type *t)
{
    size_t colon = str_find_char(word, ':');
    struct str head = colon == STR_NPOS ? word : str_head(word, colon);
    if (colon == STR_NPOS)
        return str_eq(word, t->name) || str_eq(word, t->sample_type);
    return str_eq(head, t->name) && str_eq(str_skip(word, colon + 1), t->sample_type);
}

uint32_t types_match(struct str word, const struct str *ids, uint32_t n, struct str *ret_matches)
{
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(word, ids[i])) {
            ret_matches[0] = ids[i];
            return 1;
        }
    for (uint32_t w = 0; w < n_type_words; w++) {
        if (!str_eq(word, str_from(type_words[w].word)))
            continue;
        uint32_t found = 0;
        for (size_t k = 0; k < ARRAY_LEN(type_words[w].fits) && !found; k++)
            if (type_words[w].fits[k].sample_type)
                found = match_parts(type_words[w].fits[k].name, type_words[w].fits[k].sample_type,
                    ids, n, ret_matches);
        return found;
    }
    uint32_t found = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct profile_type t;
        if (profile_type_parse(ids[i], &t, NULL) == ST_OK && means(word, &t))
            ret_matches[found++] = ids[i];
    }
    return found;
}
