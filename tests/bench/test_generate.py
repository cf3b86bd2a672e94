#!/usr/bin/env python3
"""The generator of the benchmarks: the same twice, and a server that reads it answers with its sums.

    tests/bench/test_generate.py [BUILD_DIRECTORY]        (default: build)

One day of a small and of a busy service, one upload a minute. Standard library only. The last line is
'N passed, N failed'.
"""
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), "bench"))
import plot  # noqa: E402
from query import CPU, rpc  # noqa: E402
from server import OLD_DATA, ROOT, Server  # noqa: E402

BUILD = sys.argv[1] if len(sys.argv) > 1 else "build"
FLAGS = [f for f in OLD_DATA if "multitenancy" not in f] + ["-querier.max-flamegraph-nodes-max=0"]
SERVICES = ["java-rfc-6", "java-spring-7"]
END_S = 1795478400  # 2026-11-24 00:00
HOUR_S = 3600
CASES = []


def case(fn):
    CASES.append(fn)
    return fn


def equal(got, want):
    if got != want:
        raise AssertionError("got %r\n      want %r" % (got, want))


def generate(folder, *more):
    return subprocess.run(
        [os.path.join(ROOT, BUILD, "bench", "generate"), "--dir", folder, "--days", "1", "--services", "2",
         "--first", "6", "--interval", "60", "--end", str(END_S), *more],
        capture_output=True, text=True, timeout=200)


class Made:
    """Two directories from one seed, made in different strides, and what the generator says is in them."""

    def __init__(self, parent):
        self.dirs = [os.path.join(parent, n) for n in ("a", "b")]
        self.runs = [generate(self.dirs[0]), generate(self.dirs[1], "--batch", "7")]
        self.parent, self.other_dir = parent, os.path.join(parent, "c")
        self.other = generate(self.other_dir, "--seed", "2")
        for r in (*self.runs, self.other):
            equal((r.returncode, r.stderr if r.returncode else ""), (0, ""))
        self.sums = [json.loads(line) for line in self.runs[0].stdout.splitlines()]
        self.servers = []

    def total(self, service, kind, from_s, until_s, key="total"):
        return sum(s[key] for s in self.sums if s["service"] == service and s["type"] == kind and
                   from_s <= s["hour_s"] < until_s)


def asked(s, kind, selector, from_s, until_s):
    """The answer for from <= t < until; both ends of a question are included."""
    return rpc(s, "SelectMergeStacktraces", {
        "profileTypeID": kind, "labelSelector": selector, "start": from_s * 1000,
        "end": until_s * 1000 - 1, "maxNodes": 16384})


def total(answer):
    return int(answer.get("flamegraph", {}).get("total", 0))


def kinds(m, service):
    return sorted({s["type"] for s in m.sums if s["service"] == service})


@case
def same_seed_same_sums(m):
    equal(m.runs[0].stdout, m.runs[1].stdout)
    if m.runs[0].stdout == m.other.stdout:
        raise AssertionError("another seed gives the same sums")


@case
def every_service_type_and_hour_is_said_once(m):
    keys = collections.Counter((s["service"], s["type"], s["hour_s"]) for s in m.sums)
    equal(set(keys.values()), {1})
    equal({k[0] for k in keys}, set(SERVICES))
    equal({k[2] for k in keys}, {END_S - h * HOUR_S for h in range(1, 25)})
    equal([len(kinds(m, s)) for s in SERVICES], [7, 7])
    equal({s["uploads"] for s in m.sums}, {60})


@case
def a_directory_that_is_not_empty_is_left_alone(m):
    r = generate(m.dirs[0])
    equal((r.returncode, r.stdout, r.stderr), (1, "", "generate: the directory is not empty\n"))


@case
def totals_of_the_day_by_type(m):
    for service in SERVICES:
        for kind in kinds(m, service):
            got = total(asked(m.servers[0], kind, '{service_name="%s"}' % service, END_S - 86400, END_S))
            equal((service, kind, got), (service, kind, m.total(service, kind, END_S - 86400, END_S)))


@case
def totals_by_hour(m):
    for service in SERVICES:
        for hour in range(END_S - 86400, END_S, HOUR_S):
            got = total(asked(m.servers[0], CPU, '{service_name="%s"}' % service, hour, hour + HOUR_S))
            equal((service, hour, got), (service, hour, m.total(service, CPU, hour, hour + HOUR_S)))


@case
def totals_of_one_zone(m):
    for service in SERVICES:
        want = m.total(service, CPU, END_S - 86400, END_S, "zone_a")
        selector = '{service_name="%s",zone="a"}' % service
        equal(total(asked(m.servers[0], CPU, selector, END_S - 86400, END_S)), want)
        whole = m.total(service, CPU, END_S - 86400, END_S)
        if not whole / 5 < want < whole * 2 / 3:
            raise AssertionError("zone a has %d of %d" % (want, whole))


@case
def the_timeline_adds_up(m):
    for service in SERVICES:
        got = rpc(m.servers[0], "SelectSeries", {
            "profileTypeID": CPU, "labelSelector": '{service_name="%s"}' % service, "step": 3600.0,
            "start": (END_S - 86400) * 1000, "end": END_S * 1000})
        points = [p["value"] for s in got["series"] for p in s["points"]]
        equal(int(sum(points)), m.total(service, CPU, END_S - 86400, END_S))


@case
def both_directories_give_the_same_answers(m):
    for selector in ('{service_name="java-rfc-6"}', '{service_name="java-spring-7",zone="a"}', "{}"):
        a, b = (asked(s, CPU, selector, END_S - 5 * HOUR_S, END_S - 2 * HOUR_S) for s in m.servers)
        if len(a["flamegraph"]["names"]) < 100 and "rfc" not in selector:
            raise AssertionError("a small flame graph")
        equal(a == b, True)


@case
def pods_come_and_go_and_stacks_drift(m):
    def pods(from_s, until_s):
        r = rpc(m.servers[0], "LabelValues", {
            "name": "pod", "matchers": ['{service_name="java-spring-7"}'], "start": from_s * 1000,
            "end": until_s * 1000})
        return set(r["names"])

    day, hour = pods(END_S - 86400, END_S), pods(END_S - 86400, END_S - 23 * HOUR_S)
    equal(hour < day and 2 <= len(hour) <= 8, True)

    def names(hours):
        a = asked(m.servers[0], CPU, '{service_name="java-spring-7"}', END_S - 86400,
                  END_S - 86400 + hours * HOUR_S)
        return set(a["flamegraph"]["names"])

    first, more = names(1), names(6)
    equal(len(more - first) > 20, True)


def ask_month(m, sums):
    with open(m.other_dir + ".sums", "w", encoding="utf-8") as f:
        f.write(sums)
    return subprocess.run(
        [sys.executable, os.path.join(ROOT, "bench", "month.py"), "--build", BUILD, "--quick",
         "--keep-caches", "--data", m.other_dir, "--dir", m.parent],
        capture_output=True, text=True, timeout=200)


@case
def the_month_is_asked(m):
    r = ask_month(m, m.other.stdout)
    equal((r.returncode, "refused" in r.stdout), (0, False))
    rows = [line.split(" | ")[:3] for line in r.stdout.splitlines() if line.startswith("| ")][1:]
    equal(len(rows), 40)
    equal(len({tuple(r) for r in rows}), 40)


@case
def the_month_notices_a_wrong_total(m):
    lines = [json.loads(line) for line in m.other.stdout.splitlines()]
    for s in lines:
        s["total"] += s["type"] == CPU and s["hour_s"] == END_S - HOUR_S
    r = ask_month(m, "".join(json.dumps(s) + "\n" for s in lines))
    equal((r.returncode, "was generated" in r.stderr), (1, True))


def merging(m, *more):
    return subprocess.run(
        [sys.executable, os.path.join(ROOT, "bench", "compaction.py"), "--build", BUILD, "--dir", m.parent,
         "--days", "1", "--services", "2", "--interval", "3600", "--pairs", "1", "--rate", "20", *more],
        capture_output=True, text=True, timeout=200)


@case
def runs_with_and_without_merging_are_compared(m):
    r = merging(m, "--seconds", "15")
    equal((r.returncode, r.stderr if r.returncode else ""), (0, ""))
    rows = [line.strip("| ").split(" | ") for line in r.stdout.splitlines() if line.startswith("| ")]
    merges = rows[0].index("merges")
    equal([(row[0], row[merges]) for row in rows[1:]],
          [("on", "1"), ("off", "0"), ("**on, median**", "1"), ("**off, median**", "0")])
    equal([n for n in os.listdir(m.parent) if n.startswith(("compaction-", "bench-"))], [])


@case
def a_run_in_which_nothing_was_merged_fails(m):
    r = merging(m, "--seconds", "1", "--flag=-store.compaction=false")
    equal((r.returncode, "no merge came to its end" in r.stderr, r.stdout), (1, True, ""))


@case
def a_plot_is_well_formed(m):
    svg = xml.fromstring(plot.growth_svg(
        [("days", {"a & b": [(1, 2.5), (10, 30)], "c": []}), ("services", {"a & b": [(1, 0.2)], "c": []})]))
    tag = "{http://www.w3.org/2000/svg}"
    equal(len(svg.findall(tag + "polyline")), 4)
    equal(len(svg.findall(tag + "circle")), 3)
    equal("a & b" in [t.text for t in svg.findall(tag + "text")], True)


def main():
    passed = failed = 0
    parent = tempfile.mkdtemp(prefix="everflame-generate-")
    try:
        m = Made(parent)
        with Server(BUILD, FLAGS, data=m.dirs[0]) as a, Server(BUILD, FLAGS, data=m.dirs[1]) as b:
            m.servers = [a, b]
            for fn in CASES:
                try:
                    fn(m)
                    passed += 1
                except Exception as e:  # noqa: BLE001: any failure is the case's
                    failed += 1
                    print(f"FAIL {fn.__name__}: {type(e).__name__}: {e}")
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
