/* The one file that knows RE2: see re2_shim.h.
 *
 * RE2 matches in linear time and its memory is bounded by max_mem: a pattern whose program does not
 * fit is refused when it is compiled, and matching falls back to its slower machine when the cache
 * of states is full. Nothing is logged; error texts go to the caller.
 *
 * Anchoring is done by FullMatch over the bare pattern and not by writing `^(?s:` and `)$` around
 * it, so that `a)|(b` stays the error it is.
 *
 * Thread: a compiled pattern may be used by several threads. Failure: without memory for an object
 * the process ends, as everywhere in base; nothing here throws to C. */
#include "model/re2_shim.h"

#include <stdio.h>

#include <re2/re2.h>

static const int64_t MAX_MEM = 2 << 20;

struct re2_shim {
    re2_shim(const re2::StringPiece &pattern, const RE2::Options &options, bool whole_text)
        : re(pattern, options), whole(whole_text)
    {
    }
    RE2 re;
    bool whole;
};

extern "C" struct re2_shim *re2_shim_new(
    const char *pattern, size_t n, bool whole, char *err, size_t err_size)
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(MAX_MEM);
    options.set_dot_nl(whole);
    struct re2_shim *shim = new re2_shim(re2::StringPiece(pattern, n), options, whole);
    if (shim->re.ok())
        return shim;
    snprintf(err, err_size, "%s", shim->re.error().c_str());
    delete shim;
    return nullptr;
}

extern "C" bool re2_shim_match(const struct re2_shim *re, const char *text, size_t n)
{
    re2::StringPiece piece(text, n);
    return re->whole ? RE2::FullMatch(piece, re->re) : RE2::PartialMatch(piece, re->re);
}

extern "C" int re2_shim_groups(const struct re2_shim *re)
{
    return re->re.NumberOfCapturingGroups() + 1;
}

extern "C" int re2_shim_group_named(const struct re2_shim *re, const char *name, size_t n)
{
    const auto &names = re->re.NamedCapturingGroups();
    auto it = names.find(std::string(name, n));
    return it == names.end() ? -1 : it->second;
}

extern "C" bool re2_shim_match_groups(const struct re2_shim *re, const char *text, size_t text_n,
    struct re2_shim_group *ret_groups, int n)
{
    re2::StringPiece groups[RE2_SHIM_GROUPS_MAX];
    RE2::Anchor anchor = re->whole ? RE2::ANCHOR_BOTH : RE2::UNANCHORED;
    if (n < 0 || n > RE2_SHIM_GROUPS_MAX ||
        !re->re.Match(re2::StringPiece(text, text_n), 0, text_n, anchor, groups, n))
        return false;
    for (int i = 0; i < n; i++) {
        ret_groups[i].p = groups[i].data();
        ret_groups[i].n = groups[i].size();
    }
    return true;
}

extern "C" void re2_shim_free(struct re2_shim *re)
{
    delete re;
}
