#!/usr/bin/env python3
"""What many series, and many stacks, cost: uploads over HTTP, the disk, merging, starts, questions.

  cardinality.py [--build build] [--dir DIR] [--only REGEX] [--flag=-NAME=VALUE]... [--quick] [--out FILE]

Three shapes, each pushed as pprof to a fresh server over eight connections:
  one-service        100,000 label sets of one service: 1,000 pods by 100 endpoints, in two hours
  hundred-services   the same of a hundred services of ten pods
  stacks             one service of three pods and 1,000,000 different stacks of 30 frames, in a day
For each: the uploads; questions to the profiles in memory; a kill and the start that replays the log; the
stop that writes blocks; merging; a start; questions to what was merged, cold (a fresh process with the
pages of all files dropped) and warm. One more server has its default limits and is pushed series until it
refuses. Every answer is checked against sums of the generator. --quick: a hundredth of it, for trying.
The report is Markdown, on stdout and in --out. The exit status is 1 when an answer is wrong, an upload
was not taken, or the limit not kept.
"""
import argparse
import collections
import concurrent.futures
import functools
import json
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

import client
import month
from bench import CPU_TYPE, ROOT
from month import Out, number

DAY_S, CONNECTIONS = 86400, 8
FUNCTIONS, STACKS_MAX, TICK_NS = 8000, 1 << 20, 10_000_000
# Of 30 frames the first 7 are the same in all stacks, the last 4 in none; between them stacks part in two.
SHIFTS = [20] * 7 + list(range(19, 0, -1)) + [0] * 4
MASK = (1 << 64) - 1


# ---- profiles ----

@functools.lru_cache(maxsize=1 << 16)
def frames(stack):
    """Functions, leaf first. Two stacks that part do it with functions that differ: 2^20 are distinct."""
    scrambled = stack * 0x9E3779B1 % STACKS_MAX
    return [(((scrambled >> shift) * 0x9E3779B97F4A7C15 + depth * 0xC2B2AE3D27D4EB4F & MASK) >> 40) % FUNCTIONS
            for depth, shift in enumerate(SHIFTS)][::-1]


# Of a function, by its number: what a sample, the tables of locations and functions, and that of strings say.
SAMPLE_IDS = [client.varint(f + 1) for f in range(FUNCTIONS)]
LOCATIONS = [client.field(4, client.field(1, f + 1) + client.field(2, 1) + client.field(
    4, client.field(1, f + 1) + client.field(2, 10 + f % 990))) for f in range(FUNCTIONS)]
FUNCTION_HEADS = [client.field(5, client.field(1, f + 1) + client.field(2, 128))[:-2] for f in range(FUNCTIONS)]
FUNCTION_NAMES = [client.field(6, f"com/example/shop/part{f % 40}/Handler{f // 40:03}.process{f:05}")
                  for f in range(FUNCTIONS)]
STRING_IDS = [bytes([i & 127 | 128, i >> 7]) for i in range(1 << 14)]  # as varints, all of two bytes


@functools.lru_cache(maxsize=1 << 16)
def location_ids(stack):
    return client.field(1, b"".join(SAMPLE_IDS[f] for f in frames(stack)))


def pprof(samples, time_s):
    """Of (stack, endpoint or None, count)."""
    strings = {"": 0}

    def text(s):
        return strings.setdefault(s, len(strings))

    ticks, cpu = ((client.field(1, text(a)) + client.field(2, text(b)))
                  for a, b in (("samples", "count"), ("cpu", "nanoseconds")))
    out = [client.field(1, ticks), client.field(1, cpu), client.field(3, client.field(1, 1) + client.field(
        5, text("/usr/bin/service")) + client.field(7, 1))]
    for stack, endpoint, count in samples:
        values = client.field(2, client.varint(count) + client.varint(count * TICK_NS))
        label = b"" if endpoint is None else client.field(
            3, client.field(1, text("endpoint")) + client.field(2, text(f"/api/resource-{endpoint}")))
        out.append(client.field(2, location_ids(stack) + values + label))
    out += [client.field(6, s) for s in strings]
    used = set().union(*(frames(stack) for stack, _, _ in samples))
    for name, f in enumerate(used, len(strings)):
        out += [LOCATIONS[f], FUNCTION_HEADS[f], STRING_IDS[name], FUNCTION_NAMES[f]]
    return b"".join(out) + (client.field(9, time_s * 10 ** 9) + client.field(10, 10 ** 10) +
                            client.field(11, cpu) + client.field(12, TICK_NS))


class Shape:
    """What is pushed: upload k is of pod k mod pods; times run evenly through `hours` that end with a day."""

    def __init__(self, name, services, pods, endpoints, uploads, hours, samples, fresh=0):
        self.name, self.services, self.pods, self.endpoints = name, services, pods, endpoints
        self.uploads, self.hours, self.samples, self.fresh = uploads, hours, samples, fresh
        self.series = pods * max(endpoints, 1)
        self.end_s = int(time.time()) // DAY_S * DAY_S - 2 * DAY_S
        self.begin_s = self.end_s - hours * 3600

    def labels(self, pod):
        return {"__name__": "process_cpu", "service_name": f"shop-{pod % self.services}", "pod": f"pod-{pod:05}",
                "version": f"v1.{pod // self.services % 10}", "zone": "abc"[pod % 3]}

    def draw(self, k):
        """The samples of upload k: of every endpoint some of its 40 stacks; or `fresh` stacks that never
        were before and as many of the first 20,000, the first of those most."""
        r = random.Random(k)
        if self.endpoints:
            return [(e * 40 + j, e, r.randrange(1, 20)) for e in range(self.endpoints)
                    for j in r.sample(range(40), self.samples)]
        first = k * self.fresh
        old = {int(r.random() ** 3 * min(first, 20000)) for _ in range(self.samples)}
        return [(s, None, r.randrange(1, 20)) for s in sorted(old.union(range(first, first + self.fresh)))]

    def upload(self, k, sums):
        """The body of a push; adds to {(pod, endpoint, hour): CPU}."""
        pod, time_s = k % self.pods, self.begin_s + k * (self.end_s - self.begin_s) // self.uploads
        samples = self.draw(k)
        for _, endpoint, count in samples:
            sums[pod, endpoint, time_s // 3600] += count * TICK_NS
        labels = b"".join(client.field(1, client.field(1, n) + client.field(2, v))
                          for n, v in sorted(self.labels(pod).items()))
        return client.field(1, labels + client.field(2, client.field(1, pprof(samples, time_s))))


def shapes(quick):
    q = 10 if quick else 1
    many = {"pods": 1000 // q, "endpoints": 100 // q, "uploads": 4000 // q, "hours": 2, "samples": 4}
    return [Shape("one-service", 1, **many), Shape("hundred-services", 100 // q, **many),
            Shape("stacks", 1, 3, 0, 1000 // q, 24, 1000, fresh=1000 // q)]


# ---- uploads ----

PUSH = "/push.v1.PusherService/Push"


def push(server, shape, numbers):
    """Pushes those uploads; the sums of what was in them, bytes, latencies, answers other than 200."""
    todo = iter(numbers)

    def worker():
        sums, size, times, refused = collections.Counter(), 0, [], []
        with client.Client(server.port) as c:
            for k in iter(lambda: next(todo, None), None):
                body = shape.upload(k, sums)
                size += len(body)
                begun = time.perf_counter()
                status, answer = c.send("POST", PUSH, body)
                times.append((time.perf_counter() - begun) * 1e3)
                if status != 200:
                    refused.append((status, answer))
        return sums, size, times, refused

    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        workers = [pool.submit(worker) for _ in range(CONNECTIONS)]
        done = [w.result() for w in workers]
    sums, size, times, refused = done[0]
    for more in done[1:]:
        sums.update(more[0])
        size, times, refused = size + more[1], times + more[2], refused + more[3]
    return sums, size, sorted(times), refused


def ingest(server, shape):
    cpu, begun = server.cpu(), time.perf_counter()
    sums, size, times, refused = push(server, shape, range(shape.uploads))
    if refused:
        raise SystemExit(f"{shape.name}: {len(refused)} uploads were not taken, the first: {refused[0]}")
    time.sleep(2)
    cpu, rows = server.cpu() - cpu, shape.uploads * max(shape.endpoints, 1)
    rss, peak = server.memory_mb()
    return sums, {"uploads": shape.uploads, "rows": rows, "upload_kb": size / shape.uploads / 1e3, "cpu_s": cpu,
                  "uploads_per_cpu_s": shape.uploads / cpu, "rows_per_cpu_s": rows / cpu,
                  "ack_p50_ms": month.percentile(times, 50), "ack_p99_ms": month.percentile(times, 99),
                  "seconds": time.perf_counter() - begun - 2, "rss_mb": rss, "peak_mb": peak,
                  "log_mb": server.data_mb()[0]}


# ---- processes ----

def watch(process):
    """Waits for the end of a process; seconds, and the most memory that it had."""
    begun, peak = time.perf_counter(), 0
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/status", encoding="ascii") as f:
                peak = max([peak] + [int(line.split()[1]) * 1024 / 1e6 for line in f if line.startswith("VmHWM")])
        except OSError:
            pass
        time.sleep(0.005)
    if process.returncode:
        raise SystemExit(f"{process.args[0]} ended with {process.returncode}")
    return time.perf_counter() - begun, peak


def stop(server):
    server.peak_reset()
    server.process.send_signal(signal.SIGTERM)
    return watch(server.process)


def merge(opt, folder):
    cpu = sum(os.times()[2:4])
    seconds, peak = watch(subprocess.Popen([opt.binary, "storage", "compact", folder], stdout=subprocess.DEVNULL))
    return {"merge_s": seconds, "merge_cpu_s": sum(os.times()[2:4]) - cpu, "merge_peak_mb": peak}


# ---- questions ----

STEP = client.field(6, 15.0)
NAMES = ["__name__", "__period_type__", "__period_unit__", "__profile_type__", "__service_name__", "__type__",
         "__unit__", "pod", "service_name", "version", "zone"]


def groups(answer):
    """Per series of a timeline its labels, as bytes, and the sum of its points."""
    out = {}
    for _, series in client.fields(answer):
        labels = tuple(v for n, v in client.fields(series) if n == 1)
        points = [dict(client.fields(p)) for n, p in client.fields(series) if n == 2]
        out[labels] = sum(int(struct.unpack("<d", p[1])[0]) for p in points)
    return out


def texts(answer):
    return [v.decode() for _, v in client.fields(answer)]


def sets(answer):
    """How many label sets, all different."""
    return len({v for _, v in client.fields(answer)})


def pprof_total(answer):
    """Of the only value of its samples."""
    return sum(client.read_varint(dict(client.fields(v))[2], 0)[0] for n, v in client.fields(answer) if n == 2)


class Scope:
    """A selector, and which of the generator's sums it keeps: a function of pod, endpoint and hour."""

    def __init__(self, name, selector, keep):
        self.name, self.selector, self.keep = name, selector, keep


def scopes(shape):
    pod, endpoint, service = shape.pods - 1, shape.endpoints - 1, shape.services - 1
    one = f'{{pod="pod-{pod:05}"' + (f',endpoint="/api/resource-{endpoint}"}}' if shape.endpoints else "}")
    out = [Scope("all", "{}", lambda *_: True),
           Scope("a third (zone a)", '{zone="a"}', lambda p, e, h: p % 3 == 0),
           Scope(f"1 of {shape.series:,} series", one,
                 lambda p, e, h: p == pod and (not shape.endpoints or e == endpoint))]
    if service:
        out.append(Scope(f"1 of {shape.services} services", f'{{service_name="shop-{service}"}}',
                         lambda p, e, h: p % shape.services == service))
    return out


def questions(shape, sums):
    """(name, of what, method, message, how the answer is read, what it must say)"""
    begin, end = shape.begin_s, shape.end_s
    span, last_hour = month.span(begin, end), end - 3600

    def of(keep):
        return sum(v for key, v in sums.items() if keep(*key))

    def timeline(group=b""):
        return client.field(1, CPU_TYPE) + client.field(2, "{}") + month.span(begin, end + 15) + group + STEP

    everything, by_pod = of(lambda *_: True), collections.Counter()
    for (pod, _, _), v in sums.items():
        by_pod[client.field(1, "pod") + client.field(2, f"pod-{pod:05}"),] += v
    out = [("flame graph", s.name, "SelectMergeStacktraces", month.merge(s.selector, begin, end),
            client.flame_total, of(s.keep)) for s in scopes(shape)]
    out += [("flame graph", "all, last hour", "SelectMergeStacktraces", month.merge("{}", last_hour, end),
             client.flame_total, of(lambda p, e, h: h * 3600 == last_hour)),
            ("timeline", "all", "SelectSeries", timeline(), groups, {(): everything}),
            ("timeline", f"all by pod ({shape.pods:,})", "SelectSeries", timeline(client.field(5, "pod")), groups,
             dict(by_pod)),
            ("label names", "all", "LabelNames", client.field(2, begin * 1000) + client.field(3, end * 1000), texts,
             sorted(NAMES + ["endpoint"] * bool(shape.endpoints))),
            ("label values", f"pod ({shape.pods:,})", "LabelValues", client.field(1, "pod") + span, texts,
             [f"pod-{p:05}" for p in range(shape.pods)]),
            ("Series", "service and type", "Series", client.field(2, "service_name") +
             client.field(2, "__profile_type__") + span, sets, shape.services * 2),
            ("Series", "all labels", "Series", span, sets, shape.series * 2)]
    if shape.fresh:
        out.append(("pprof", "all", "SelectMergeProfile", client.field(1, CPU_TYPE) + client.field(2, "{}") + span,
                    pprof_total, everything))
    return out


def check(answer, read, want, where):
    got = read(answer)
    if got != want:
        raise SystemExit(f"{where}: the answer says {str(got)[:300]}, {str(want)[:300]} was pushed")


def ask_all(opt, server, shape, sums, state):
    rows = []
    for name, what, method, message, read, want in questions(shape, sums):
        r, answer = month.measure(server, (method, message), opt)
        rows.append(dict(r, question=name, scope=what, state=state))
        print("#", json.dumps(dict(rows[-1], shape=shape.name)), file=sys.stderr, flush=True)
        if "refused" not in r:
            check(answer, read, want, f"{shape.name}, {state}, {name}, {what}")
    return rows


# ---- a shape ----

def run(opt, shape):
    folder = os.path.join(opt.dir, f"cardinality-{os.getpid()}")
    opt.flags = [*opt.flag, "-validation.max-active-series=0", "-store.compaction=false"]
    try:
        with month.Server(opt, folder) as server:
            server.start()
            sums, r = ingest(server, shape)
            print("#", shape.name, json.dumps(r), file=sys.stderr, flush=True)
            opt.cold = 0
            rows = ask_all(opt, server, shape, sums, "in memory")
            server.kill()
            r["replay_ms"], r["replay_peak_mb"] = server.start() * 1e3, server.memory_mb()[1]
            r["stop_s"], r["stop_peak_mb"] = stop(server)
            rest = client.at_rest(opt.binary, folder)
            r.update(blocks=rest["blocks"], blocks_mb=rest["bytes"] / 1e6, samples=rest["samples"])
            r.update(merge(opt, folder))
            rest = client.at_rest(opt.binary, folder)
            r.update(merged_blocks=rest["blocks"], merged_mb=rest["bytes"] / 1e6, merged_samples=rest["samples"])
            print("#", shape.name, json.dumps(r), file=sys.stderr, flush=True)
            opt.cold = opt.cold_starts
            rows += ask_all(opt, server, shape, sums, "merged")
            server.ready_ms.sort()
            r["ready_ms"], r["ready_most_ms"] = month.percentile(server.ready_ms, 50), server.ready_ms[-1]
        return r, rows
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refuse(opt, shape):
    """A server with default limits gets as many series as it takes, and as many again."""
    with client.Server(opt.binary, opt.dir, opt.flag) as server:
        server.start()
        _, _, _, refused = push(server, shape, range(shape.pods))
        if refused:
            raise SystemExit(f"refused below the limit: {refused[0]}")
        before = server.memory_mb()
        more = Shape(shape.name, shape.services, 2 * shape.pods, shape.endpoints, 2 * shape.pods, shape.hours,
                     shape.samples)
        cpu = server.cpu()
        _, _, _, refused = push(server, more, range(shape.pods, 2 * shape.pods))
        cpu = server.cpu() - cpu
        if len(refused) != shape.pods or {status for status, _ in refused} != {429}:
            raise SystemExit(f"{len(refused)} of {shape.pods} uploads over the limit were refused: {refused[:1]}")
        return {"refused": len(refused), "cpu_ms_each": cpu / len(refused) * 1e3, "rss_before_mb": before[0],
                "rss_mb": server.memory_mb()[0], "answer": refused[0][1].decode(errors="replace")}


# ---- the report ----

FIGURES = [("uploads", "uploads"), ("rows", "rows"), ("KB per upload", "upload_kb"), ("samples", "samples"),
           ("uploads per CPU-second", "uploads_per_cpu_s"), ("rows per CPU-second", "rows_per_cpu_s"),
           ("acknowledged, p50 ms", "ack_p50_ms"), ("p99", "ack_p99_ms"),
           ("resident after the uploads, MB", "rss_mb"), ("peak", "peak_mb"), ("log, MB", "log_mb"),
           ("start after a kill (replay), ms", "replay_ms"), ("peak, MB", "replay_peak_mb"),
           ("stop (writes blocks), s", "stop_s"), ("peak, MB", "stop_peak_mb"),
           ("blocks before merging", "blocks"), ("MB", "blocks_mb"), ("merging, s", "merge_s"),
           ("CPU s", "merge_cpu_s"), ("peak, MB", "merge_peak_mb"), ("blocks after", "merged_blocks"),
           ("MB", "merged_mb"), ("start to ready, p50 ms", "ready_ms"), ("worst", "ready_most_ms")]


def cell(v):
    return f"{v:,}" if isinstance(v, int) else number(v)


def question_line(shape, r):
    cold = r["cold_ms"]
    cells = [shape, r["state"], r["question"], r["scope"]]
    cells += [number(month.percentile(cold, 50)), number(r["cold_peak_mb"])] if cold else ["–", "–"]
    cells += ["refused: " + r["refused"].replace("|", "/")] + [""] * 6 if "refused" in r else [
        number(r["p50_ms"]), number(r["p99_ms"]), str(r["asked"]), number(r["cpu_ms"]), number(r["rss_mb"]),
        number(r["peak_mb"]), number(r["bytes"] / 1e3)]
    return "| " + " | ".join(cells) + " |"


def tables(results, names, out):
    out.say("", "| | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names))
    for title, key in FIGURES:
        out.say(f"| {title} | " + " | ".join(cell(results[n][0][key]) for n in names) + " |")
    out.say("", "| shape | data | question | of | cold ms | cold peak MB | warm p50 ms | p99 | asked | CPU ms | "
            "resident MB | peak MB | answer KB |", "|---|---|---|---|" + "---:|" * 9)
    for name, (_, rows) in results.items():
        out.say(*(question_line(name, r) for r in rows))


def report(opt, results, limit, out):
    names = list(results)
    out.say("# High cardinality", "", month.machine(opt) + ".")
    if results:
        tables(results, names, out)
    if limit:
        out.say("", f"Default limits: {limit['refused']:,} uploads over max_active_series were refused, "
                f"{number(limit['cpu_ms_each'])} ms of CPU each, resident {number(limit['rss_before_mb'])} MB before "
                f"and {number(limit['rss_mb'])} after: 429 `{limit['answer']}`")


def options():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--build", default="build")
    p.add_argument("--dir", help="where data goes; default: the build directory")
    p.add_argument("--only", default="", help="a regular expression for shapes, or `limit`")
    p.add_argument("--flag", action="append", default=[], help="for the server")
    p.add_argument("--keep-caches", action="store_true", help="cold: a fresh process, the files in memory")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--out", help="a file for the report")
    opt = p.parse_args()
    opt.build = os.path.join(ROOT, opt.build)
    opt.dir = os.path.abspath(opt.dir or opt.build)
    candidates = [os.path.join(opt.build, "src", "everflame"), os.path.join(opt.build, "everflame")]
    opt.binary = next(c for c in candidates if os.path.exists(c))
    opt.flags = opt.flag
    opt.cold_starts, opt.ask, opt.ask_most = (1, 0.1, 3) if opt.quick else (3, 0.5, 15)
    return opt


def main():
    opt, results, limit = options(), {}, None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # servers end with it
    os.makedirs(opt.dir, exist_ok=True)
    out = Out(opt.out)
    for shape in shapes(opt.quick):
        if re.search(opt.only, shape.name):
            results[shape.name] = run(opt, shape)
    if re.search(opt.only, "limit"):
        default = [] if not opt.quick else ["-validation.max-active-series=1000"]
        opt.flag = opt.flag + default
        limit = refuse(opt, shapes(opt.quick)[0])
    report(opt, results, limit, out)


if __name__ == "__main__":
    main()
