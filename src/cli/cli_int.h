/* What the commands share: the run, the two tables, questions to the server, output. */
#ifndef CLI_CLI_INT_H
#define CLI_CLI_INT_H

#include "cli/cli.h"
#include "cli/http.h"
#include "codec/messages.h"
#include "model/profile_type.h"

/* Options: the table is in options.c. */
enum option_id {
    OPT_URL,
    OPT_TENANT_ID,
    OPT_TOKEN,
    OPT_USERNAME,
    OPT_PASSWORD,
    OPT_SERVICE,
    OPT_TYPE,
    OPT_SELECTOR,
    OPT_LABEL,
    OPT_SINCE,
    OPT_FROM,
    OPT_UNTIL,
    OPT_BY,
    OPT_SORT,
    OPT_COLLAPSED,
    OPT_PPROF,
    OPT_SVG,
    OPT_BEFORE,
    OPT_AFTER,
    OPT_AT,
    OPT_FLAME,
    OPT_NAME,
    OPT_SAMPLE_RATE,
    OPT_ALL,
    OPT_MARKDOWN,
    OPT_MAN,
    OPT_ROWS,
    OPT_OUTPUT,
    OPT_ONCE,
    OPT_FORCE,
    OPT_HELP,
    OPT_COUNT
};

#define BIT(opt) ((uint64_t)1 << (opt))
#define OPTS_SERVER \
    (BIT(OPT_URL) | BIT(OPT_TENANT_ID) | BIT(OPT_TOKEN) | BIT(OPT_USERNAME) | BIT(OPT_PASSWORD))
#define OPTS_RANGE (BIT(OPT_SINCE) | BIT(OPT_FROM) | BIT(OPT_UNTIL))
#define OPTS_LABELS (BIT(OPT_SERVICE) | BIT(OPT_SELECTOR) | BIT(OPT_LABEL))

struct option_def {
    const char *name, *value; /* value: what it wants, NULL for a switch */
    char letter;              /* 0: none */
    bool repeats;
    const char *env; /* where its value comes from when it is not given; or NULL */
    const char *text;
};
extern const struct option_def option_defs[OPT_COUNT];

/* Commands: the table is in commands.c. */
struct cli;
struct example {
    const char *line, *what;
};
struct command {
    const char *name, *args, *summary, *text;
    struct example examples[5];
    uint64_t options;
    uint32_t args_min, args_max;
    enum status (*run)(struct cli *c);
};
extern const struct command commands[];
extern const uint32_t n_commands;
const struct command *command_find(struct str name);
/* The one with the name most like it. */
const struct command *command_nearest(struct str name);

/* The terminal that stdout is, or not. */
struct term {
    bool is_terminal, colour;
    uint32_t columns, lines; /* lines 0: no limit */
};

/* One run of the command line; on the stack of cli_main. */
struct cli {
    const struct command *command;
    struct {
        MSG_LIST(struct str) given;
    } options[OPT_COUNT];
    MSG_LIST(struct str) args;
    struct arena arena; /* everything that lives as long as the run */
    struct buf out;     /* stdout, written at the end if the command went well */
    struct term term;
    struct http *http;
    int64_t now_ns;
    bool cut;     /* a profile was not whole: said on stderr */
    bool misused; /* the failure is one of usage: exit code 2 */
    struct error err;
};

/* A failure of usage: c->err and c->misused; returns the status to return. */
enum status cli_misuse(struct cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
enum status cli_no_memory(struct cli *c);

enum status options_parse(struct cli *c, int argc, char **argv);
/* Writes `--name VALUE` as help shows it. */
void option_put(struct buf *out, enum option_id id);
bool opt_has(const struct cli *c, enum option_id id);
/* The last value given, else that of the environment, else {NULL, 0}. */
struct str opt_get(const struct cli *c, enum option_id id);
bool opt_json(const struct cli *c);
/* -n: 0 means all. `missing` when it is not given. */
uint32_t opt_rows(const struct cli *c, uint32_t missing);

/* Times: time_range.c */
struct time_range {
    int64_t from_ns, until_ns;
};
/* The grammar of codec/when.h, but what it would take for "now" without understanding it is
 * refused; and RFC 3339. */
bool time_parse(struct str text, int64_t now_ns, int64_t *ret_ns);
bool span_parse(struct str text, int64_t *ret_ns); /* 90s, 1h30m, 2d */
enum status time_range_get(struct cli *c, struct time_range *ret_range);
enum status time_range_pair(struct cli *c, struct time_range *before, struct time_range *after);
void time_range_put(struct buf *out, struct time_range r);

/* Questions to the server: client.c */
enum status client_open(struct cli *c);
/* One RPC of the querier; *ret_raw (may be NULL) is the answer as it came. */
enum status client_ask(struct cli *c, const char *method, const struct msg_desc *rq_desc,
    const void *rq, const struct msg_desc *rs_desc, void **ret_rs, struct str *ret_raw);
/* The same in JSON, for what a server may not know: *ret_rs is NULL when it refuses or answers with
 * something else. */
enum status client_try_json(struct cli *c, const char *method, const struct msg_desc *rq_desc,
    const void *rq, const struct msg_desc *rs_desc, void **ret_rs);
/* The server's refusal as a sentence. */
enum status client_refused(struct cli *c, const struct http_answer *a);
enum status client_label_values(struct cli *c, struct str name, struct str selector,
    struct time_range r, struct m_names_response **ret_names);

/* What is asked about: select.c */
struct selection {
    struct str service; /* {NULL, 0}: several */
    struct str selector;
    struct profile_type type;
    struct time_range range;
};
/* --service, --label and --selector as one selector; and whether it says which service. */
enum status select_labels(struct cli *c, struct str *ret_selector, bool *ret_has_service);
/* All of it, with the defaults; any_service: several are no failure. */
enum status select_all(
    struct cli *c, struct time_range r, bool any_service, struct selection *ret_selection);
/* Merged over the range; fails when there is nothing. `raw` is the pprof message as it came. */
enum status select_profile(struct cli *c, const struct selection *sel, struct time_range r,
    struct m_profile **ret_profile, struct str *ret_raw);
/* "service shop, process_cpu:…, 2026-11-22 10:00 to 11:00 UTC" without a newline. */
void selection_put(struct buf *out, const struct selection *sel);
/* The members "service", "type", "unit", "from_ms", "until_ms" of a JSON object, with a comma
 * behind each. */
void selection_put_json(struct buf *out, const struct selection *sel);

/* Short names of profile types: types.c */
struct type_word {
    const char *word, *meaning;
    struct {
        const char *name, *sample_type; /* name NULL: any */
    } fits[5];                          /* best first */
};
extern const struct type_word type_words[];
extern const uint32_t n_type_words;
/* The stored ids that `word` means, best row of the table only; without a row: id, sample type or
 * name equal. In the arena; 0 when none fits. */
uint32_t types_match(struct str word, const struct str *ids, uint32_t n, struct str *ret_matches);

/* A state at a moment (memory in use, goroutines) rather than something that adds up. */
bool type_is_state(const struct profile_type *t);

/* Output: output.c */
void term_look(struct term *t);
/* Rows of cells in columns; a column is as wide as its widest cell. */
struct table {
    struct arena *arena;
    uint32_t columns;
    const char *align; /* 'l' or 'r' per column */
    MSG_LIST(struct str) cells;
};
/* False: no memory, which table_put reports by writing nothing more. */
void table_cell(struct table *t, struct str text);
void table_put(const struct table *t, struct buf *out);
/* A text made with buf functions, kept in the arena: begin, write to the buffer, keep. */
struct str keep_text(struct arena *arena, struct buf *b);
enum status write_file(struct cli *c, struct str path, struct str data);

/* The commands */
enum status cmd_top(struct cli *c);
enum status cmd_flame(struct cli *c);
enum status cmd_diff(struct cli *c);
enum status cmd_series(struct cli *c);
enum status cmd_labels(struct cli *c);
enum status cmd_services(struct cli *c);
enum status cmd_upload(struct cli *c);
enum status cmd_ready(struct cli *c);
enum status cmd_demo(struct cli *c);
enum status cmd_storage(struct cli *c);
enum status storage_usage(struct cli *c); /* of cmd_storage */
enum status cmd_help(struct cli *c);
enum status cmd_version(struct cli *c);

/* help.c */
void help_overview(struct buf *out);
void help_command(const struct command *cmd, struct buf *out);

#endif
