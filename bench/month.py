#!/usr/bin/env python3
"""Questions over a month of generated data: what each costs, and how cost grows with data.

  month.py [--build build] [--dir DIR] [--data DIR] [--days 30] [--services 9] [--interval 10]
           [--grow] [--quick] [--keep-caches] [--flag=-NAME=VALUE]...
           [--only REGEX] [--out FILE]

Without --data the data is generated below --dir first (bench/README.md says how long that takes) and
removed at the end; with --data an existing directory is asked (and generated there when it is absent),
and left. DIR.sums, the generator's own totals, is checked against the flame graphs where it is there.
--grow measures 1, 3, 10, 30 days and 1, 10, 100 services instead, each in a directory of its own, and
draws DIR/growth.svg. --only takes the rows whose `question, of, range` matches. The report is Markdown, on stdout and in --out. --quick is a small run, for trying.
The exit status is 1 when an answer is wrong; a question that the server refuses is said in its row.
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import client
from bench import CPU_TYPE, QUERIER, ROOT, percentile
from plot import growth_svg

RANGES = [("15 min", 900), ("1 h", 3600), ("24 h", 86400), ("7 d", 7 * 86400), ("30 d", 30 * 86400)]
NODES = 16384
# Limits of queries are off (client.FLAGS); only time is bounded, so that a slow question gets an answer.
FLAGS = ["-query.timeout=15m"]
TYPE = CPU_TYPE


# ---- data ----

def generate(opt, folder, merged=True, **plan):
    """Fills a directory; its sums lie beside it. Unless `merged` its blocks stay those of hours."""
    command = [os.path.join(opt.build, "bench", "generate"), "--dir", folder]
    for name, value in plan.items():
        command += ["--" + name, str(value)]
    begun = time.perf_counter()
    with open(folder + ".sums", "w", encoding="utf-8") as out:
        p = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, text=True, check=False)
    if p.returncode:
        raise SystemExit(f"generate: {p.stderr}")
    said = json.loads(p.stderr.splitlines()[-1])
    print(f"# generated {folder}: {said['uploads']} uploads in {time.perf_counter() - begun:.0f} s, "
          f"{said['cpu']:.0f} s of CPU", file=sys.stderr, flush=True)
    if merged:
        compact(opt, folder)
    return said


def compact(opt, folder):
    """The one place for work on a directory before it is asked: what a server would do in the background
    over a month. Nothing, as long as there is no such command."""
    said = subprocess.run([opt.binary, "storage", "--help"], capture_output=True, text=True, check=False)
    if "compact" not in said.stdout:
        return
    begun, cpu = time.perf_counter(), os.times().children_user + os.times().children_system
    subprocess.run([opt.binary, "storage", "compact", folder], check=True, stdout=subprocess.DEVNULL)
    cpu = os.times().children_user + os.times().children_system - cpu
    print(f"# compacted {folder} in {time.perf_counter() - begun:.0f} s, {cpu:.0f} s of CPU",
          file=sys.stderr, flush=True)


class Sums:
    """The generator's totals of TYPE: {(service, hour): (total, zone_a)}; also from when to when."""

    def __init__(self, path):
        self.sums, hours = {}, set()
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                for line in f:
                    s = json.loads(line)
                    hours.add(s["hour_s"])
                    if s["type"] == TYPE:
                        self.sums[s["service"], s["hour_s"]] = (s["total"], s["zone_a"])
        if not hours:
            raise SystemExit(f"{path} is missing: it says when the data ends")
        self.services = sorted({k[0] for k in self.sums})
        self.begin_s, self.end_s = min(hours), max(hours) + 3600

    def total(self, scope, from_s, until_s):
        """None where only the server can know (the range does not consist of whole hours)."""
        if from_s % 3600 or until_s % 3600:
            return None
        return sum(v[scope.zone] for (service, hour), v in self.sums.items()
                   if (not scope.service or service == scope.service) and from_s <= hour < until_s)


class Scope:
    def __init__(self, name, service="", zone=0):
        self.name, self.service, self.zone = name, service, zone
        parts = ([f'service_name="{service}"'] if service else []) + (['zone="a"'] if zone else [])
        self.selector = "{" + ",".join(parts) + "}"


def scopes(sums):
    busy = next((s for s in sums.services if "spring" in s), sums.services[0])
    small = next((s for s in sums.services if "spring" not in s), busy)
    out = [Scope("busy service", busy)]
    if small != busy:
        out.append(Scope("small service", small))
    if len(sums.services) > 1:
        out.append(Scope(f"all {len(sums.services)}"))
    return out + [Scope("busy, zone a", busy, 1)]


# ---- questions ----

def span(from_s, until_s):
    """Fields 3 and 4; the end of a question is included, that of a range is not."""
    return client.field(3, from_s * 1000) + client.field(4, until_s * 1000 - 1)


def merge(selector, from_s, until_s):
    return (client.field(1, TYPE) + client.field(2, selector) + span(from_s, until_s) +
            client.field(5, NODES))


def flame(scope, from_s, until_s):
    return "SelectMergeStacktraces", merge(scope.selector, from_s, until_s)


def functions(scope, from_s, until_s):
    """The exact table, of JSON only: 16,384 functions, which is all of them."""
    return "SelectMergeStacktraces", {
        "profileTypeID": TYPE, "labelSelector": scope.selector, "start": from_s * 1000, "end": until_s * 1000 - 1,
        "maxNodes": NODES, "format": "PROFILE_FORMAT_FUNCTIONS"}


def diff(scope, from_s, until_s):
    """The first half of the range against the second."""
    middle = (from_s + until_s) // 2
    return "Diff", (client.field(1, merge(scope.selector, from_s, middle)) +
                    client.field(2, merge(scope.selector, middle, until_s)))


def timeline(scope, from_s, until_s):
    step = max(15.0, float((until_s - from_s) // 240))
    return "SelectSeries", (client.field(1, TYPE) + client.field(2, scope.selector) +
                            span(from_s, until_s) + client.field(6, step))


def label_values(scope, from_s, until_s):
    return "LabelValues", (client.field(1, "pod") + client.field(2, scope.selector) + span(from_s, until_s))


QUESTIONS = [("flame graph", flame), ("function table", functions), ("diff", diff), ("timeline", timeline), ("label values", label_values)]


class Refused(Exception):
    pass


def ask(server, question):
    """Milliseconds, the server's CPU milliseconds, the answer."""
    method, message = question
    with client.Client(server.port, 1000) as c:
        cpu, begun = server.cpu(), time.perf_counter()
        status, answer = c.send("POST", QUERIER + method, message)
        took, cpu = (time.perf_counter() - begun) * 1e3, (server.cpu() - cpu) * 1e3
    if status != 200:
        raise Refused(f"{status}: {answer[:160].decode(errors='replace')}")
    return took, cpu, answer


def drop_caches(opt):
    """Whether the pages of files are gone from memory."""
    if opt.keep_caches:
        return False
    try:
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
            f.write("3")
        return True
    except OSError:
        return False


class Server(client.Server):
    """A server on a directory that is there and stays."""

    def __init__(self, opt, folder):
        super().__init__(opt.binary, opt.dir, FLAGS + opt.flags)
        self.opt, self.data, self.ready_ms = opt, folder, []

    def restart(self):
        if self.process and self.process.poll() is None:
            self.stop()
        dropped = drop_caches(self.opt)
        self.ready_ms.append(self.start() * 1e3)
        return dropped

    def peak_reset(self):
        with open(f"/proc/{self.process.pid}/clear_refs", "w", encoding="ascii") as f:
            f.write("5")


def warm(server, question, opt):
    """Asked ten times and for half a second at least; a slow one less often."""
    times, cpus, begun = [], [], time.perf_counter()
    while True:
        spent = time.perf_counter() - begun
        if len(times) >= 10 and spent > opt.ask or times and spent > opt.ask_most or len(times) >= 300:
            break
        took, cpu, answer = ask(server, question)
        times.append(took)
        cpus.append(cpu)
    times.sort()
    return {"p50_ms": percentile(times, 50), "p99_ms": percentile(times, 99), "asked": len(times),
            "cpu_ms": sum(cpus) / len(cpus)}, answer


def measure(server, question, opt):
    """One row: cold on fresh processes, then warm on the last of them."""
    r = {"cold_ms": [], "dropped": True}
    try:
        for _ in range(opt.cold):
            r["dropped"] &= server.restart()
            r["cold_ms"].append(ask(server, question)[0])
            if sum(r["cold_ms"]) > opt.ask_most * 1e3:
                break
        if r["cold_ms"]:
            r["cold_peak_mb"] = server.memory_mb()[1]
        server.peak_reset()
        more, answer = warm(server, question, opt)
        r.update(more, bytes=len(answer))
        r["rss_mb"], r["peak_mb"] = server.memory_mb()
    except (Refused, OSError) as e:
        r["refused"], answer = str(e) or type(e).__name__, b""
        if server.process.poll() is not None:
            r["refused"] = f"the server died ({server.process.returncode})"
    r["cold_ms"].sort()
    return r, answer


# ---- the month ----

def ranges(opt, sums):
    have = sums.end_s - sums.begin_s
    out = [(n, s) for n, s in RANGES if s <= have]
    if have not in (s for _, s in out):
        out.append((f"all {have // 86400} d", have))
    return out if not opt.quick else [out[1], out[-1]]


def check(answer, want, where, total=client.flame_total):
    got = total(answer)
    if want is not None and got != want:
        raise SystemExit(f"{where}: the total is {got}, {want} was generated")


def table_total(answer):
    return int(json.loads(answer)["functions"]["total"])


TOTALS = {flame: client.flame_total, functions: table_total}


def month(opt, folder, out):
    sums, rows = Sums(folder + ".sums"), []
    with Server(opt, folder) as server:
        for name, make in QUESTIONS:
            for scope in scopes(sums):
                for range_name, seconds in ranges(opt, sums):
                    if not re.search(opt.only, f"{name}, {scope.name}, {range_name}"):
                        continue
                    from_s = sums.end_s - seconds
                    r, answer = measure(server, make(scope, from_s, sums.end_s), opt)
                    if make in TOTALS and "refused" not in r:
                        check(answer, sums.total(scope, from_s, sums.end_s), f"{name}, {scope.name}, {range_name}",
                              TOTALS[make])
                    rows.append(dict(r, question=name, scope=scope.name, range=range_name))
                    print("#", json.dumps(rows[-1]), file=sys.stderr, flush=True)
        ready = sorted(server.ready_ms)
    print_month(opt, folder, sums, rows, ready, out)
    return rows


def number(v):
    return f"{v:,.0f}" if v >= 100 else f"{v:.1f}" if v >= 10 else f"{v:.2f}"


def machine(opt):
    with open("/proc/meminfo", encoding="ascii") as f:
        total = int(f.readline().split()[1]) / 2 ** 20
    cpus = os.cpu_count()
    budget = next((f.split("=")[1] for f in opt.flags if "memory-budget" in f),
                  f"{total / 4 / max(cpus, 2):.1f} GiB (the default: a quarter of memory by {max(cpus, 2)} "
                  "queries at once)")
    return f"{cpus} processors, {total:.0f} GiB; memory budget of a query {budget}; limits of range and age off"


def rest_line(opt, folder, sums):
    rest = client.at_rest(opt.binary, folder)
    days = (sums.end_s - sums.begin_s) / 86400
    return (f"{rest['blocks']:,} blocks, {rest['bytes'] / 1e6:,.0f} MB for {days:g} days of {len(sums.services)} "
            f"services: {rest['bytes'] / days / 1e6:,.1f} MB per day, {rest['profiles']:,} rows, "
            f"{rest['samples']:,} samples, {rest['bytes'] / rest['samples']:.2f} bytes per sample at rest")


def start_line(ready, dropped):
    return (f"Start to ready: p50 {number(percentile(ready, 50))} ms, most {number(ready[-1])} ms, {len(ready)} "
            "starts, " + ("each with the pages of files dropped." if dropped else
                          "pages of files not dropped (that takes root): cold means a fresh process only."))


def row_line(r):
    cold = r["cold_ms"]
    cells = [r["question"], r["scope"], r["range"]]
    cells += [number(percentile(cold, 50)), number(cold[-1])] if cold else ["–", "–"]
    if "refused" in r:
        cells += ["refused: " + r["refused"].replace("|", "/")] + [""] * 6
    else:
        cells += [number(r["p50_ms"]), number(r["p99_ms"]), str(r["asked"]), number(r["cpu_ms"]),
                  number(r["rss_mb"]), number(r["peak_mb"]), number(r["bytes"] / 1e3)]
    return "| " + " | ".join(cells) + " |"


def print_month(opt, folder, sums, rows, ready, out):
    out.say("# Questions over a month", "", machine(opt) + ".", rest_line(opt, folder, sums) + ".",
            start_line(ready, rows[0]["dropped"]),
            f"Flame graphs and diffs of {NODES:,} nodes, `process_cpu:cpu`; a diff is of the two halves of the "
            "range. Cold: first question to a fresh process, middle and worst. CPU: the server's, per warm "
            "question. Peak: of resident memory while it was asked warm.", "",
            "| question | of | range | cold ms | worst | warm p50 ms | p99 | asked | CPU ms | resident MB | "
            "peak MB | answer KB |", "|---|---|---|" + "---:|" * 9, *(row_line(r) for r in rows))


# ---- how cost grows ----

GROW = [("flame graph, busy service", flame, 0), ("flame graph, all services", flame, -2),
        ("timeline, all services", timeline, -2), ("label values, busy service", label_values, 0)]


def grow_one(opt, **plan):
    """Everything there is, asked of a directory that is made for it."""
    folder = os.path.join(opt.dir, "grow")
    try:
        generate(opt, folder, interval=60, **plan)
        sums, r = Sums(folder + ".sums"), {}
        with Server(opt, folder) as server:
            for name, make, scope in GROW:
                s = scopes(sums)[scope]
                got, answer = measure(server, make(s, sums.begin_s, sums.end_s), opt)
                if make is flame and "refused" not in got:
                    check(answer, sums.total(s, sums.begin_s, sums.end_s), name)
                r[name] = got
                print("#", plan, name, json.dumps(got), file=sys.stderr, flush=True)
            r["ready_ms"] = percentile(sorted(server.ready_ms), 50)
        r["rest"] = client.at_rest(opt.binary, folder)
        return r
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if os.path.exists(folder + ".sums"):
            os.unlink(folder + ".sums")


def grow_table(out, title, unit, results):
    out.say("", f"## {title}", "", f"| {unit} | MB | bytes per sample | ready ms | " + " | ".join(
        f"{name}: cold ms | warm p50 | CPU ms | peak MB" for name, _, _ in GROW) + " |",
        "|---:|---:|---:|---:|" + "---:|" * 4 * len(GROW))
    for n, r in results.items():
        cells = [f"{n}", number(r["rest"]["bytes"] / 1e6),
                 f"{r['rest']['bytes'] / r['rest']['samples']:.2f}", number(r["ready_ms"])]
        for name, _, _ in GROW:
            q = r[name]
            cells += [q["refused"], "", "", ""] if "refused" in q else [
                number(percentile(q["cold_ms"], 50)), number(q["p50_ms"]), number(q["cpu_ms"]),
                number(q["peak_mb"])]
        out.say("| " + " | ".join(cells) + " |")


def lines_of(results):
    return {name: [(n, r[name]["p50_ms"]) for n, r in results.items() if "refused" not in r[name]]
            for name, _, _ in GROW}


def grow(opt, out):
    days = {n: grow_one(opt, days=n, services=9) for n in ([1, 3] if opt.quick else [1, 3, 10, 30])}
    many = {n: grow_one(opt, days=1, services=n, first=7)
            for n in ([1, 3] if opt.quick else [1, 10, 100])}
    out.say("# How cost grows", "", machine(opt) + ". One upload per service and minute; each question is of "
            "everything there is; columns as in the table of a month.")
    grow_table(out, "Days, of nine services", "days", days)
    grow_table(out, "Services, for a day; more than two of nine are busy", "services", many)
    path = os.path.join(opt.dir, "growth.svg")
    with open(path, "w", encoding="utf-8") as f:
        f.write(growth_svg([("days of nine services", lines_of(days)), ("services, one day", lines_of(many))]))
    out.say("", f"![warm p50 against the amount of data]({os.path.basename(path)})")
    return {"days": days, "services": many}


# ---- the program ----

class Out:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8") if path else None

    def say(self, *lines):
        for line in lines:
            print(line, flush=True)
            if self.file:
                print(line, file=self.file, flush=True)


def options():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--build", default="build")
    p.add_argument("--binary", help="another server than that of the build")
    p.add_argument("--dir", help="where data and plots go; default: the build directory")
    p.add_argument("--data", help="an existing directory with its .sums, or where to make them")
    p.add_argument("--days", type=int, default=30)
    p.add_argument("--services", type=int, default=9)
    p.add_argument("--interval", type=int, default=10)
    p.add_argument("--flag", action="append", default=[], help="for the server, e.g. -query.memory-budget=…")
    p.add_argument("--keep-caches", action="store_true", help="cold: a fresh process, the files in memory")
    p.add_argument("--grow", action="store_true")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--only", default="", help="a regular expression, e.g. 'flame graph, all.*30 d'")
    p.add_argument("--out", help="a file for the report")
    opt = p.parse_args()
    opt.build = os.path.join(ROOT, opt.build)
    opt.dir = os.path.abspath(opt.dir or opt.build)
    candidates = [os.path.join(opt.build, "src", "everflame"), os.path.join(opt.build, "everflame")]
    opt.binary = opt.binary or next(c for c in candidates if os.path.exists(c))
    opt.flags = opt.flag
    opt.cold, opt.ask, opt.ask_most = (1, 0.1, 3) if opt.quick else (5, 0.5, 15)
    if opt.quick and not opt.data:
        opt.days, opt.services, opt.interval = 1, 9, 60
    return opt


def main():
    opt = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers end with it
    os.makedirs(opt.dir, exist_ok=True)
    out = Out(opt.out)
    if opt.grow:
        grow(opt, out)
        return
    folder = os.path.abspath(opt.data or os.path.join(opt.dir, "month"))
    if not os.path.exists(folder):
        generate(opt, folder, days=opt.days, services=opt.services, interval=opt.interval)
    try:
        month(opt, folder, out)
    finally:
        if not opt.data:
            shutil.rmtree(folder, ignore_errors=True)
            os.unlink(folder + ".sums")


if __name__ == "__main__":
    main()
