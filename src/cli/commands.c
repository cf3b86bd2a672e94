/* The commands: one row each, from which dispatch, help, the manual page and docs/cli.md come.
 *
 * Texts are paragraphs divided by an empty line; `…` marks what is typed. Thread: one. */
#include "cli/cli_int.h"

#define ASKS \
    (OPTS_SERVER | OPTS_RANGE | OPTS_LABELS | BIT(OPT_TYPE) | BIT(OPT_ROWS) | BIT(OPT_OUTPUT))

const struct command commands[] = {
    {
        .name = "top",
        .args = "",
        .summary = "list the functions that cost most",
        .text =
            "Two numbers per function: what it used itself (self), and what it used together with "
            "all it called (total). A recursive function counts once per stack. The numbers are "
            "exact: they come from the whole profile, not from a picture that was cut.",
        .examples =
            {
                {"everflame top", "CPU time of the last hour, of the only service there is"},
                {"everflame top --service shop --type alloc --since 1d -n 50",
                    "what allocates memory"},
                {"everflame top --service shop --sort total --label region=eu", "with callees"},
                {"everflame top --service shop -o json | jq '.functions[0]'", "for programs"},
            },
        .options = ASKS | BIT(OPT_SORT),
        .run = cmd_top,
    },
    {
        .name = "flame",
        .args = "",
        .summary = "draw a flame graph",
        .text =
            "Callers are above, what they call below; the width of a frame is its share of the "
            "whole. Frames too narrow for the window are put together in a frame `…` at the right. "
            "The drawing takes the width of the window and, in a terminal, no more than its "
            "height; -n sets another number of rows. Colours need a terminal and are left out when "
            "NO_COLOR is set.\n\n"
            "Instead of drawing, --svg, --pprof and --collapsed write what other tools read. In "
            "collapsed stacks a `;` in a name becomes `:`.",
        .examples =
            {
                {"everflame flame --service shop --since 10m", "in the terminal"},
                {"everflame flame --service shop --svg shop.svg", "to look at in a browser"},
                {"everflame flame --service shop --pprof shop.pb.gz && go tool pprof -http=: "
                 "shop.pb.gz",
                    "with other tools"},
                {"everflame flame --service shop --collapsed | grep Checkout", "to search"},
            },
        .options = ASKS | BIT(OPT_COLLAPSED) | BIT(OPT_PPROF) | BIT(OPT_SVG),
        .run = cmd_flame,
    },
    {
        .name = "diff",
        .args = "",
        .summary = "show what changed between two time ranges",
        .text =
            "The functions whose share of the whole changed most, in percentage points: shares, "
            "not values, so that the ranges may differ in length and load. The order is that of "
            "the change of their own share (self), which points at the place that changed rather "
            "than at everything that calls it.\n\n"
            "--flame draws both at once: a frame is as wide as the mean of its two shares, red "
            "when it grew, blue when it shrank.",
        .examples =
            {
                {"everflame diff --service shop --at 2026-11-22T10:00:00Z --since 30m",
                    "half an hour before and after a deploy"},
                {"everflame diff --service shop --before now-2h..now-1h --after now-1h..now",
                    "two ranges"},
                {"everflame diff --service shop --at now-15m --flame", "as a flame graph"},
            },
        .options = (ASKS & ~(BIT(OPT_FROM) | BIT(OPT_UNTIL))) | BIT(OPT_AT) | BIT(OPT_BEFORE) |
                   BIT(OPT_AFTER) | BIT(OPT_FLAME) | BIT(OPT_SVG) | BIT(OPT_SORT),
        .run = cmd_diff,
    },
    {
        .name = "series",
        .args = "",
        .summary = "show how a value went over time",
        .text =
            "A line per group, drawn from 0 to its own highest value, with the average and the "
            "highest value. What adds up is shown per second: CPU time in cores, allocations in "
            "bytes. What is a state (memory in use, goroutines) is the average of the profiles of "
            "a step. A gap is a step without profiles. With several services and neither --service "
            "nor --by there is a line per service.",
        .examples =
            {
                {"everflame series --since 6h", "every service"},
                {"everflame series --service shop --by pod", "a line per pod"},
                {"everflame series --service shop --type inuse -o json", "the points themselves"},
            },
        .options = ASKS | BIT(OPT_BY),
        .run = cmd_series,
    },
    {
        .name = "services",
        .args = "",
        .summary = "list what there is: services, types, when last seen",
        .text = "The services with profiles in the time range, the types of their profiles, and "
                "how long ago the last one was taken, known to a thousandth of the time range.",
        .examples =
            {
                {"everflame services", "of the last hour"},
                {"everflame services --since 7d -o json", "of a week, for programs"},
            },
        .options = OPTS_SERVER | OPTS_RANGE | OPTS_LABELS | BIT(OPT_OUTPUT),
        .run = cmd_services,
    },
    {
        .name = "labels",
        .args = "[NAME]",
        .summary = "list label names, or the values of one",
        .text = "One per line. Without NAME: the names of labels that profiles in the time range "
                "have. With it: that label's values.",
        .examples =
            {
                {"everflame labels --service shop", "what can be selected by"},
                {"everflame labels pod --service shop", "the pods"},
            },
        .options = OPTS_SERVER | OPTS_RANGE | OPTS_LABELS | BIT(OPT_ALL) | BIT(OPT_ROWS) |
                   BIT(OPT_OUTPUT),
        .args_max = 1,
        .run = cmd_labels,
    },
    {
        .name = "upload",
        .args = "FILE…",
        .summary = "send profiles from files",
        .text =
            "pprof, JFR (Java flight recordings), speedscope and collapsed stacks "
            "(`main;work 12` on every line); which one is told from the content, and gzip is "
            "undone. FILE `-` is standard input.\n\n"
            "A pprof profile says itself what it measured and when; --from replaces the time. The "
            "others are taken as measured now, or --from to --until. Collapsed stacks count "
            "samples of --type cpu, wall, alloc, inuse, lock, block or goroutine; for cpu and wall "
            "--sample-rate says what time a sample stands for.\n\n"
            "A server refuses profiles that are older than its limit, one hour unless configured "
            "otherwise.",
        .examples =
            {
                {"everflame upload cpu.pb.gz --name shop", "a Go profile"},
                {"perf script | stackcollapse-perf.pl | everflame upload - --name shop",
                    "what Linux perf recorded"},
                {"everflame upload run.jfr --name shop --label env=test --from now-5m --until now",
                    "a Java recording of the last five minutes"},
            },
        .options = OPTS_SERVER | BIT(OPT_NAME) | BIT(OPT_LABEL) | BIT(OPT_FROM) | BIT(OPT_UNTIL) |
                   BIT(OPT_TYPE) | BIT(OPT_SAMPLE_RATE) | BIT(OPT_OUTPUT),
        .args_min = 1,
        .args_max = UINT32_MAX,
        .run = cmd_upload,
    },
    {
        .name = "storage",
        .args = "usage|ls|inspect|verify|compact [PATH…]",
        .summary = "say what is stored; list, verify or merge the files",
        .text =
            "Reads the files; a server may run on the directory, but for compact. PATH is a data "
            "directory (`data` unless given) or one of its files.\n\n"
            "usage adds up what is stored: files by kind, blocks by service (or --by tenant, "
            "service, type, level, day; several together), what a day of profiles takes, and how "
            "long the disk lasts. Every byte of every file is counted once. Instead of PATH it "
            "takes the URL of a running server, which knows what retention will do as well.\n\n"
            "ls lists every file: blocks with their hour, tenant, services, profiles and samples, "
            "logs, markers, what is in quarantine and what is not Everflame's. verify reads every "
            "byte against its checksum and decodes it; it names each file that is damaged, missing "
            "or unreadable, and the exit code is 1 if there is one. inspect shows what is in a "
            "block, a log or a marker. compact does while no server runs what a server does by "
            "itself: it turns the log into blocks and merges small blocks into large ones.",
        .examples =
            {
                {"everflame storage usage http://127.0.0.1:4040 --by service --by type",
                    "what takes the space, and how long the disk lasts"},
                {"everflame storage verify && echo fine", "before a backup, after a crash"},
                {"everflame storage inspect data/blocks/anonymous/1h/2026-11-24/*.efb | less",
                    "services and series of one hour"},
                {"everflame storage compact --force data", "before it is copied for an archive"},
            },
        .options = BIT(OPT_FORCE) | BIT(OPT_OUTPUT) | BIT(OPT_BY) | BIT(OPT_ROWS) |
                   BIT(OPT_TENANT_ID) | BIT(OPT_TOKEN) | BIT(OPT_USERNAME) | BIT(OPT_PASSWORD),
        .args_min = 1,
        .args_max = UINT32_MAX,
        .run = cmd_storage,
    },
    {
        .name = "ready",
        .args = "",
        .summary = "tell whether the server is ready",
        .text =
            "For scripts and health checks: the exit code is 0 when the server is ready to take "
            "profiles and questions, else 1.",
        .examples = {{"until everflame ready; do sleep 1; done", "wait for the server"}},
        .options = OPTS_SERVER | BIT(OPT_OUTPUT),
        .run = cmd_ready,
    },
    {
        .name = "demo",
        .args = "",
        .summary = "run a pretend shop that profiles itself",
        .text = "For trying things out: service `shop`, with CPU, memory and lock profiles and the "
                "labels version, endpoint and region. It begins with half an hour of history that "
                "holds two releases, so that they can be compared at once, then pushes every 5 s "
                "what it does, and makes another release every 4 minutes. It keeps about half a "
                "processor busy and holds up to 32 MiB. ^C ends it.",
        .examples =
            {
                {"everflame demo", "fill the server on this machine"},
                {"everflame demo --url http://profiles.example.com:4040", "another one"},
            },
        .options = OPTS_SERVER | BIT(OPT_ONCE),
        .run = cmd_demo,
    },
    {
        .name = "help",
        .args = "[COMMAND]",
        .summary = "explain a command, or list them",
        .text = "The flags of the server itself are listed by `everflame -help`.",
        .examples = {{"everflame help top", "all about top"}},
        .options = BIT(OPT_MARKDOWN) | BIT(OPT_MAN),
        .args_max = 1,
        .run = cmd_help,
    },
    {
        .name = "version",
        .args = "",
        .summary = "print the version",
        .text = "The version of this program; `GET /api/v1/status/buildinfo` has the server's.",
        .examples = {{"everflame version", "everflame x.y.z"}},
        .options = BIT(OPT_OUTPUT),
        .run = cmd_version,
    },
};
const uint32_t n_commands = ARRAY_LEN(commands);
