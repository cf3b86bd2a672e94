#!/usr/bin/env python3
"""Whether merging blocks disturbs: uploads and questions with compaction at work and without it.

  compaction.py [--build build] [--dir DIR] [--rate N] [--seconds 60] [--pairs 2] [--mix java-rfc]
                [--days 3] [--services 4] [--interval 300] [--flag=-NAME=VALUE]... [--out FILE]

Generates hour blocks of whole days that are over, so that all of them want merging. Each run has a copy
of its own and a fresh server that merges, or does not (-store.compaction=false), in turns. From the
moment it is ready it gets uploads at a steady rate over 48 connections, and every 100 ms a flame graph
of one hour, of one service and of all in turn, going through the hours; each total is checked against
what was generated. Without --rate the rate is half of what a server takes that answers these questions
and does not merge. The report is Markdown, on stdout and in --out.
The exit status is 1 when no merge came to its end with compaction, or one ran without it; when an upload
was not answered 200; when a flame graph is wrong.
"""
import argparse
import concurrent.futures
import contextlib
import json
import os
import shutil
import signal
import statistics
import sys
import threading
import time

import client
from bench import MIXES, QUERIER, ROOT, WINDOW_S, disk, load, percentile
from month import Out, Sums, check, flame, generate, number, scopes

DAY_S, QUESTION_S = 86400, 0.1
COUNTERS = {"merges": 'everflame_compactions_total{', "bytes_in": 'everflame_compaction_bytes_total{direction="in"',
            "bytes_out": 'everflame_compaction_bytes_total{direction="out"',
            "merging_s": "everflame_compaction_seconds_sum{",
            "completed": "pyroscope_compactor_runs_completed_total"}


def counters(server):
    """What the compactor did so far."""
    with client.Client(server.port) as c:
        status, text = c.send("GET", "/metrics", b"")
    if status != 200:
        raise SystemExit(f"/metrics was answered {status}")
    samples = [line.rsplit(" ", 1) for line in text.decode().splitlines() if line and line[0] != "#"]
    return {name: sum(float(v) for series, v in samples
                      if series.startswith(prefix) and 'result="failed"' not in series)
            for name, prefix in COUNTERS.items()}


def ask(server, sums, stop):
    """Milliseconds of the questions about one service and about all, until `stop`. A question is due
    every 100 ms; while one takes longer, those that were due meanwhile are left out."""
    busy, everything = scopes(sums)[0], scopes(sums)[-2]
    hours = range(sums.begin_s, sums.end_s, 3600)
    times, begun, asked = {"one": [], "all": []}, time.perf_counter(), 0
    with client.Client(server.port) as c:
        while not stop.wait(max(0, QUESTION_S - (time.perf_counter() - begun) % QUESTION_S)):
            name, scope = (("one", busy), ("all", everything))[asked % 2]
            from_s = hours[asked // 2 % len(hours)]
            method, message = flame(scope, from_s, from_s + 3600)
            sent = time.perf_counter()
            status, answer = c.send("POST", QUERIER + method, message)
            times[name].append((time.perf_counter() - sent) * 1e3)
            if status != 200:
                raise SystemExit(f"{method} was answered {status}: {answer[:300]!r}")
            check(answer, sums.total(scope, from_s, from_s + 3600), f"{scope.name}, hour {from_s}")
            asked += 1
    return times


@contextlib.contextmanager
def questions(server, sums):
    """Asks while the body runs; yields where the times will be."""
    stop, result = threading.Event(), {}
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask, server, sums, stop)
        try:
            yield result
        finally:
            stop.set()
        result.update(asking.result())


@contextlib.contextmanager
def serve(opt, folder, compaction):
    """A ready server on a copy of the directory, with nothing of it left to write back."""
    flags = opt.flag + ([] if compaction else ["-store.compaction=false"])
    with client.Server(opt.binary, opt.dir, flags) as server:
        shutil.copytree(folder, server.data)
        os.sync()
        server.start()
        yield server


def now_s():
    return int(time.time()) // WINDOW_S * WINDOW_S


def half_of_most(opt, folder, sums):
    """Uploads per second."""
    with serve(opt, folder, False) as server, questions(server, sums):
        uploads = 3240
        return uploads / load(opt, server, opt.mix, now_s(), uploads)["seconds"] / 2


def measure(opt, folder, sums, compaction):
    r = {"compaction": compaction}
    with serve(opt, folder, compaction) as server:
        cpu, begun, before = server.cpu(), time.perf_counter(), counters(server)
        with questions(server, sums) as times:
            r["load"] = load(opt, server, opt.mix, now_s(), int(opt.rate * opt.seconds) + 1, opt.rate)
            seconds = time.perf_counter() - begun
            r["cpu_s"] = server.cpu() - cpu
            after = counters(server)
        r["disk"] = disk(opt.dir, 0.5)
    for name, values in times.items():
        values.sort()
        r[name] = {"p50_ms": percentile(values, 50), "p99_ms": percentile(values, 99), "asked": len(values)}
    r.update({name: after[name] - before[name] for name in COUNTERS})
    r["merging"] = min(1, r["merging_s"] / seconds) if r["completed"] or not compaction else 1
    print("#", json.dumps(r), file=sys.stderr, flush=True)
    if compaction and not r["merges"]:
        raise SystemExit(f"no merge came to its end in {seconds:.0f} s: this run says nothing about merging")
    if not compaction and r["bytes_in"]:
        raise SystemExit("blocks were merged although compaction was off")
    return r


# ---- the report ----

COLUMNS = [("acknowledgement p50 ms", lambda r: r["load"]["p50_ms"]), ("p99", lambda r: r["load"]["p99_ms"]),
           ("most", lambda r: r["load"]["max_ms"]),
           ("one service p50 ms", lambda r: r["one"]["p50_ms"]), ("p99", lambda r: r["one"]["p99_ms"]),
           ("all p50 ms", lambda r: r["all"]["p50_ms"]), ("p99", lambda r: r["all"]["p99_ms"]),
           ("asked", lambda r: r["one"]["asked"] + r["all"]["asked"]), ("CPU s", lambda r: r["cpu_s"]),
           ("merges", lambda r: r["merges"]), ("MB in", lambda r: r["bytes_in"] / 1e6),
           ("MB out", lambda r: r["bytes_out"] / 1e6), ("merging, % of time", lambda r: r["merging"] * 100),
           ("fdatasync p50 ms", lambda r: r["disk"]["p50_ms"]), ("p99", lambda r: r["disk"]["p99_ms"])]


def cell(v):
    return f"{v:,.0f}" if v == int(v) else number(v)


def print_report(opt, rest, results, out):
    out.say("# Uploads and questions while blocks are merged", "",
            f"{os.cpu_count()} processors. {rest['blocks']:,} blocks of an hour, {rest['bytes'] / 1e6:,.0f} MB; "
            f"{opt.rate:,.0f} uploads of {opt.mix} per second for {opt.seconds:g} s; flame graphs of one hour "
            f"every {QUESTION_S * 1e3:.0f} ms.", "",
            "| compaction | " + " | ".join(name for name, _ in COLUMNS) + " |",
            "|---|" + "---:|" * len(COLUMNS))
    for name, rows in results:
        values = [statistics.median(value(r) for r in rows) for _, value in COLUMNS]
        out.say(f"| {name} | " + " | ".join(cell(v) for v in values) + " |")


def options():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--build", default="build")
    p.add_argument("--dir", help="where data goes; default: the build directory")
    p.add_argument("--rate", type=float, help="uploads per second; default: half of what the machine takes")
    p.add_argument("--seconds", type=float, default=60, help="of one run")
    p.add_argument("--pairs", type=int, default=2, help="runs with and without")
    p.add_argument("--mix", default="java-rfc", choices=MIXES)
    p.add_argument("--days", type=int, default=3)
    p.add_argument("--services", type=int, default=4, help="two of the first four are busy ones")
    p.add_argument("--interval", type=int, default=300)
    p.add_argument("--flag", action="append", default=[], help="for the server")
    p.add_argument("--out", help="a file for the report")
    opt = p.parse_args()
    if opt.services < 2:
        p.error("--services: at least 2")
    opt.build = os.path.join(ROOT, opt.build)
    opt.dir = os.path.abspath(opt.dir or opt.build)
    candidates = [os.path.join(opt.build, "src", "everflame"), os.path.join(opt.build, "everflame")]
    opt.binary = next(c for c in candidates if os.path.exists(c))
    return opt


def run(opt, folder, out):
    end_s = int(time.time()) // DAY_S * DAY_S - 2 * DAY_S  # the last day is over for long
    generate(opt, folder, merged=False, days=opt.days, services=opt.services, first=5, interval=opt.interval,
             end=end_s)
    sums, rest = Sums(folder + ".sums"), client.at_rest(opt.binary, folder)
    opt.rate = opt.rate or half_of_most(opt, folder, sums)
    rows = [measure(opt, folder, sums, compaction) for _ in range(opt.pairs) for compaction in (True, False)]
    on, off = [r for r in rows if r["compaction"]], [r for r in rows if not r["compaction"]]
    results = [("on" if r["compaction"] else "off", [r]) for r in rows]
    print_report(opt, rest, results + [("**on, median**", on), ("**off, median**", off)], out)


def main():
    opt = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers end with it
    os.makedirs(opt.dir, exist_ok=True)
    folder = os.path.join(opt.dir, f"compaction-{os.getpid()}")
    try:
        run(opt, folder, Out(opt.out))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if os.path.exists(folder + ".sums"):
            os.unlink(folder + ".sums")


if __name__ == "__main__":
    main()
