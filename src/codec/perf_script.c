/* The text of `perf script`, as people keep it for flame graphs:
 *
 *     java 1234 [001] 4567.123456:     1 cycles:u:      comm, pid (or pid/tid), time: period event:
 *             7f01 Interpreter+0x1b (/lib/x.so)         indented, leaf first
 *             7f00 [unknown] (/lib/x.so)
 *     (a line without anything)                         ends the sample
 *
 * A sample becomes comm;…;Interpreter with the value 1; what is behind a name (+0x1b, the file) is
 * left out. Lines that begin with # are comments. Names are views of the input. Linear in the
 * input, and in what the stacks need. Thread: the caller's. Failure: the line that is not
 * understood. */
#include "codec/text_int.h"

struct perf {
    struct text_tree t;
    struct str comm, event;
    struct {
        struct str *v;
        uint32_t n, cap;
    } frames; /* of the sample at hand */
    uint64_t line;
    uint32_t n_samples;
    bool open; /* there is a sample at hand */
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool next_word(struct str *rest, struct str *ret_word)
{
    size_t from = 0, to;
    while (from < rest->n && is_blank(rest->p[from]))
        from++;
    for (to = from; to < rest->n && !is_blank(rest->p[to]); to++)
        ;
    *ret_word = str_make(rest->p + from, to - from);
    *rest = str_skip(*rest, to);
    return ret_word->n > 0;
}

static bool all_of(struct str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++)
        if (!s.p[i] || !strchr(set, s.p[i]))
            return false;
    return s.n > 0;
}

/* 1234 or 1234/1235 */
static bool is_pid(struct str s)
{
    size_t slash = str_find_char(s, '/');
    if (slash == STR_NPOS)
        return all_of(s, "0123456789");
    return all_of(str_head(s, slash), "0123456789") && all_of(str_skip(s, slash + 1), "0123456789");
}

/* The name of the process is what stands before its number, blanks and all. */
static bool read_header(struct str line, struct str *ret_comm, struct str *ret_event)
{
    struct str rest = str_trim(line), word, comm = STR_EMPTY, event = STR_EMPTY;
    const char *begin = rest.p;
    bool any = next_word(&rest, &word), timed = false;
    if (!any || is_blank(line.p[0]) || line.p[0] == '#')
        return false;
    while (next_word(&rest, &word)) {
        if (!comm.n && is_pid(word))
            comm = str_trim(str_make(begin, (size_t)(word.p - begin)));
        if (!str_ends(word, STR(":")))
            continue;
        word.n--;
        if (all_of(word, "0123456789."))
            timed = true;
        else
            event = word;
    }
    *ret_comm = comm;
    *ret_event = event;
    return comm.n > 0 && (timed || event.n);
}

/* Address, name, file. */
static bool read_frame(struct str line, struct str *ret_name)
{
    struct str rest = str_trim(line), address;
    if (!line.n || !is_blank(line.p[0]) || !next_word(&rest, &address) ||
        !all_of(address, "0123456789abcdefABCDEF"))
        return false;
    rest = str_trim(rest);
    size_t file = str_rfind_char(rest, '(');
    if (file != STR_NPOS && file > 0 && str_ends(rest, STR(")")))
        rest = str_trim(str_head(rest, file));
    size_t plus = str_rfind_char(rest, '+');
    if (plus != STR_NPOS && plus > 0 && str_starts(str_skip(rest, plus), STR("+0x")))
        rest = str_head(rest, plus);
    *ret_name = rest.n ? rest : STR("[unknown]");
    return true;
}

static enum status end_sample(struct perf *p)
{
    uint32_t node = 0, name;
    if (!p->open)
        return ST_OK;
    p->open = false;
    TRY(text_name(&p->t, p->comm, false, &name));
    TRY(text_child(&p->t, node, name, &node));
    for (uint32_t i = p->frames.n; i-- > 0;) {
        TRY(text_name(&p->t, p->frames.v[i], false, &name));
        TRY(text_child(&p->t, node, name, &node));
    }
    text_add(&p->t, node, 1);
    p->frames.n = 0;
    p->n_samples++;
    return ST_OK;
}

static enum status take_line(struct perf *p, struct str line, struct str *event, struct error *err)
{
    struct str name;
    if (str_trim(line).n == 0)
        return end_sample(p);
    if (line.p[0] == '#')
        return ST_OK;
    if (p->open && read_frame(line, &name)) {
        struct str *slot = VEC_PUSH(p->t.arena, p->frames);
        if (!slot)
            return text_full(err);
        *slot = name;
        return ST_OK;
    }
    TRY(end_sample(p));
    if (!read_header(line, &p->comm, &p->event))
        FAIL(err, ST_INVALID_ARGUMENT, "perf script: line %llu is not understood: %.*s",
            (unsigned long long)p->line, STR_ARG(str_head(line, 100)));
    if (p->n_samples == 0)
        *event = p->event;
    p->open = true;
    return ST_OK;
}

static bool next_line(struct str *rest, struct str *ret_line)
{
    if (rest->n == 0)
        return false;
    size_t end = str_find_char(*rest, '\n');
    *ret_line = str_head(*rest, MIN(end, rest->n));
    *rest = end == STR_NPOS ? str_skip(*rest, rest->n) : str_skip(*rest, end + 1);
    if (str_ends(*ret_line, STR("\r")))
        ret_line->n--;
    return true;
}

bool perf_script_detect(struct str in)
{
    struct str line, comm, event, name;
    while (next_line(&in, &line))
        if (str_trim(line).n && line.p[0] != '#')
            return read_header(line, &comm, &event) && next_line(&in, &line) &&
                   (str_trim(line).n == 0 || read_frame(line, &name));
    return false;
}

enum status perf_script_decode(struct str in, struct arena *arena, struct text_stacks *ret_stacks,
    struct str *ret_event, struct error *err)
{
    struct perf p = {0};
    struct str line, event = STR_EMPTY;
    TRY(text_tree_init(&p.t, arena, err));
    while (next_line(&in, &line)) {
        p.line++;
        TRY(take_line(&p, line, &event, err));
    }
    TRY(end_sample(&p));
    if (p.n_samples == 0)
        FAIL(err, ST_INVALID_ARGUMENT, "perf script: there is no sample");
    TRY(text_finish(&p.t, ret_stacks));
    *ret_event = event;
    return ST_OK;
}
