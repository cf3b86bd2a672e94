#!/usr/bin/env python3
"""Measures Everflame by the method of README.md and sets the reference's figures beside it.

  bench.py [--build build] [--mix NAME]... [--quick] [--save] [--dir DIR]

--quick runs one small mix in less than 30 seconds, for trying. --save writes results/latest.json.
The exit status is 1 when an upload was not answered 200 or an answer is wrong.
"""
import argparse
import json
import os
import subprocess
import sys
import time

import client

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
MIXES = ["java-rfc", "java-spring", "go-sdk", "python", "rust", "otlp-go", "drifting"]
MORE_SERVICES = {"otlp-go": 1}  # whose resource names none
CPU_TYPE = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
WINDOW_S, SERVICES = 10, 9
QUERIER = "/querier.v1.QuerierService/"


def yardstick():
    return float(subprocess.run([sys.executable, os.path.join(HERE, "yardstick.py")], check=True,
                                capture_output=True, text=True).stdout)


def percentile(sorted_values, p):
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * p / 100))]


def disk(folder, seconds):
    """Milliseconds of appending 64 KiB and fdatasync, the disk's own price of a durable answer."""
    path, times = os.path.join(folder, "disk"), []
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        begun = time.perf_counter()
        os.write(fd, b"x" * 65536)
        os.fdatasync(fd)
        times.append((time.perf_counter() - begun) * 1e3)
    os.close(fd)
    os.unlink(path)
    times.sort()
    return {"p50_ms": percentile(times, 50), "p99_ms": percentile(times, 99)}


def load(opt, server, mix, start_s, uploads, rate=0):
    folder = mix if mix == "drifting" else os.path.join(ROOT, "tests/conformance/captures", mix)
    out = subprocess.run(
        [os.path.join(opt.build, "bench", "load"), "--port", str(server.port), "--mix", folder,
         "--start", str(start_s), "--uploads", str(uploads), *(["--rate", str(rate)] if rate else [])],
        check=True, stdout=subprocess.PIPE, text=True).stdout
    got = json.loads(out)
    if got["statuses"] != {"200": uploads}:
        raise SystemExit(f"{mix}: not all uploads were answered 200: {out}")
    return got


def questions(start_s, end_s):
    """Name → (path, message). Flame graphs with 8,192 nodes unless said; timelines in 15 s steps."""
    def merge(selector, seconds, nodes=None):
        m = (client.field(1, CPU_TYPE) + client.field(2, selector) +
             client.field(3, (end_s - seconds) * 1000) + client.field(4, end_s * 1000))
        return QUERIER + "SelectMergeStacktraces", m + (client.field(5, nodes) if nodes else b"")

    def timeline(selector):
        return QUERIER + "SelectSeries", (
            client.field(1, CPU_TYPE) + client.field(2, selector) + client.field(3, start_s * 1000) +
            client.field(4, end_s * 1000) + client.field(6, 15.0))

    one, every, hour = '{service_name="service-0"}', "{}", end_s - start_s
    return {
        "flame 1h one": merge(one, hour), "flame 1h all": merge(every, hour),
        "flame 1h one, 16384 nodes": merge(one, hour, 16384),
        "flame 1h all, 16384 nodes": merge(every, hour, 16384),
        "flame 15m one": merge(one, hour // 4), "flame 15m all": merge(every, hour // 4),
        "timeline 1h one": timeline(one), "timeline 1h all": timeline(every),
        "label values": (QUERIER + "LabelValues",
                         client.field(1, "service_name") + client.field(3, start_s * 1000) +
                         client.field(4, end_s * 1000))}


def enough(times, least, seconds):
    """Asked `least` times and for `seconds`; slow ones, beyond ten seconds, at least three times."""
    spent = sum(times) / 1e3
    return len(times) >= least and spent >= seconds or len(times) >= 500 or (
        len(times) >= 3 and spent > 10)


def ask(server, path, message, least, seconds):
    """Latencies and the server's CPU per question."""
    times = []
    with client.Client(server.port) as c:
        cpu = server.cpu()
        while not enough(times, least, seconds):
            begun = time.perf_counter()
            status, answer = c.send("POST", path, message)
            times.append((time.perf_counter() - begun) * 1e3)
            if status != 200:
                raise SystemExit(f"{path} was answered {status}: {answer[:300]!r}")
        cpu = server.cpu() - cpu
    first = times[0]
    times.sort()
    return {"first_ms": first, "p50_ms": percentile(times, 50), "p99_ms": percentile(times, 99),
            "cpu_ms": cpu * 1e3 / len(times), "asked": len(times), "bytes": len(answer)}, answer


def measure(opt, mix, uploads):
    """One mix on a fresh server: load, costs, questions, steady rate, restart."""
    start_s = int(time.time()) // WINDOW_S * WINDOW_S - uploads // SERVICES * WINDOW_S
    end_s = start_s + uploads // SERVICES * WINDOW_S
    r = {}
    with client.Server(opt.binary, opt.dir) as server:
        r["start_empty_ms"] = server.start() * 1e3
        r["empty_rss_mb"] = server.memory_mb()[0]
        cpu = server.cpu()
        r["load"] = load(opt, server, mix, start_s, uploads)
        time.sleep(opt.settle)
        r["cpu_s"] = server.cpu() - cpu
        r["rss_mb"], r["peak_mb"] = server.memory_mb()
        r["apparent_mb"], r["allocated_mb"] = server.data_mb()
        r["questions"], totals = {}, {}
        asked = questions(start_s, end_s)
        for name, (path, message) in asked.items():
            r["questions"][name], answer = ask(server, path, message, 10, opt.ask)
            if path.endswith("Stacktraces"):
                totals[name] = client.flame_total(answer)
        if len(list(client.fields(answer))) != SERVICES + MORE_SERVICES.get(mix, 0):
            raise SystemExit(f"{mix}: the label values are wrong: {answer!r}")
        if totals["flame 1h all"] <= totals["flame 1h one"] or not totals["flame 1h one"]:
            raise SystemExit(f"{mix}: the flame graphs are wrong: {totals}")
        rate = uploads / r["load"]["seconds"] / 2
        later_s = end_s + WINDOW_S  # ranges include their end
        r["steady"] = load(opt, server, mix, later_s, min(uploads, int(rate * opt.steady) + 1), rate)
        r["steady"]["rate"] = rate
        r["disk"] = disk(opt.dir, 0.5)  # what an acknowledgement waited for, at that time
        r["asked_rss_mb"], r["asked_peak_mb"] = server.memory_mb()
        server.kill()
        r["start_killed_ms"] = server.start() * 1e3
        r["cold_killed"], killed = ask(server, *asked["flame 1h all"], 1, 0)
        r["stop_ms"] = server.stop() * 1e3
        r["start_ms"] = server.start() * 1e3
        r["start_rss_mb"] = server.memory_mb()[0]
        r["start_apparent_mb"] = server.data_mb()[0]
        r["rest"] = client.at_rest(opt.binary, server.data)
        r["cold"], stopped = ask(server, *asked["flame 1h all"], 1, 0)
        if {client.flame_total(a) for a in (killed, stopped)} != {totals["flame 1h all"]}:
            raise SystemExit(f"{mix}: the flame graph changed over a restart")
        r["idle"] = idle(server, opt.idle) if mix == opt.mixes[0] else None
        server.stop()
    return r


def idle(server, seconds):
    cpu = server.cpu()
    time.sleep(seconds)
    return {"cpu_percent": (server.cpu() - cpu) / seconds * 100, "rss_mb": server.memory_mb()[0]}


class Table:
    """Rows of ours, ours at the reference's speed of machine, the reference's, times better."""

    def __init__(self, speed):
        self.speed = speed  # seconds there per second here

    def title(self, text):
        print(f"\n{text}\n{'':34}{'ours':>11}{'corrected':>11}{'reference':>11}{'better':>9}")

    def row(self, name, ours, theirs=None, cpu=False, more_is_better=False):
        corrected = ours
        if cpu:
            corrected = ours / self.speed if more_is_better else ours * self.speed
        better = ""
        if theirs and corrected:
            better = f"{corrected / theirs if more_is_better else theirs / corrected:.1f}x"
        print(f"{name:34}{self.text(ours):>11}{self.text(corrected) if cpu else '':>11}"
              f"{self.text(theirs) if theirs else '':>11}{better:>9}")

    @staticmethod
    def text(v):
        return f"{v:,.0f}" if v >= 100 else f"{v:.1f}" if v >= 10 else f"{v:.3f}"


def print_mix(table, mix, r, ref):
    up, secs = r["load"]["uploads"], r["load"]["seconds"]
    table.title(f"{mix}: {up} uploads, {r['load']['content_bytes'] / up / 1e3:.1f} KB each, in "
                f"{secs:.1f} s; generator {r['load']['generator_cpu_s']:.1f} s of CPU")
    more = {"cpu": True, "more_is_better": True}
    table.row("uploads per CPU-second", up / r["cpu_s"], ref.get("uploads_per_cpu_s"), **more)
    table.row("MB received per CPU-second", r["load"]["content_bytes"] / 1e6 / r["cpu_s"],
              ref.get("mb_per_cpu_s"), **more)
    table.row("acknowledgement p50, ms", r["load"]["p50_ms"], ref.get("ack_p50_ms"))
    table.row("acknowledgement p99, ms", r["load"]["p99_ms"], ref.get("ack_p99_ms"))
    for p in ("p50", "p99", "max"):
        table.row(f"  at {r['steady']['rate']:.0f} per second: {p}, ms", r["steady"][p + "_ms"])
    for p in ("p50", "p99"):
        table.row(f"    fdatasync then: {p}, ms", r["disk"][p + "_ms"])
    table.row("resident after, MB", r["rss_mb"], ref.get("rss_mb"))
    table.row("resident peak, MB", r["peak_mb"], ref.get("peak_mb"))
    table.row("data, apparent, MB", r["apparent_mb"], ref.get("apparent_mb"))
    table.row("data, allocated, MB", r["allocated_mb"])
    table.row("samples in blocks after a stop", r["rest"]["samples"])
    table.row("  bytes per sample at rest", r["rest"]["bytes"] / r["rest"]["samples"])
    for name, q in r["questions"].items():
        theirs = ref.get("questions", {}).get(name, {})
        table.row(f"{name}: p50, ms", q["p50_ms"], theirs.get("p50_ms"))
        table.row("    p99, ms", q["p99_ms"], theirs.get("p99_ms"))
        table.row("    CPU, ms", q["cpu_ms"], theirs.get("cpu_ms"), cpu=True)
    table.row("resident after questions, MB", r["asked_rss_mb"])
    table.row("resident peak of questions, MB", r["asked_peak_mb"])
    table.row("first flame 1h all after a kill", r["cold_killed"]["first_ms"])
    table.row("first flame 1h all after a stop", r["cold"]["first_ms"])


def print_process(table, results, reference):
    table.title("process")
    for mix, r in results.items():
        table.row(f"{mix}: ready after a kill, ms", r["start_killed_ms"])
        table.row("    stop, ms", r["stop_ms"], reference["stop_ms"])
        table.row("    ready after a stop, ms", r["start_ms"])
        table.row("    resident then, MB", r["start_rss_mb"])
        table.row("    data then, apparent, MB", r["start_apparent_mb"])
        if r["idle"]:
            table.row("    idle, % of a processor", r["idle"]["cpu_percent"])
            table.row("    idle, resident, MB", r["idle"]["rss_mb"])
    empty = min(results.values(), key=lambda r: r["start_empty_ms"])
    table.row("start to ready, empty, ms", empty["start_empty_ms"], reference["start_ready_ms"])
    table.row("resident, empty, MB", empty["empty_rss_mb"], reference["idle_rss_mb"])


def options():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--build", default="build")
    p.add_argument("--mix", action="append", choices=MIXES)
    p.add_argument("--uploads", type=int, default=3240)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--save", action="store_true")
    p.add_argument("--dir", help="where data goes; default: the build directory")
    opt = p.parse_args()
    opt.build = os.path.join(ROOT, opt.build)
    opt.binary = os.path.join(opt.build, "src", "everflame")
    if not os.path.exists(opt.binary):
        opt.binary = os.path.join(opt.build, "everflame")
    opt.dir = opt.dir or opt.build
    opt.mixes = opt.mix or (["java-rfc"] if opt.quick else MIXES)
    opt.uploads = 360 if opt.quick else opt.uploads
    opt.settle, opt.ask, opt.steady, opt.idle = (1, 0.1, 2, 2) if opt.quick else (5, 0.5, 6, 20)
    return opt


def main():
    opt = options()
    with open(os.path.join(HERE, "reference.json"), encoding="utf-8") as f:
        reference = json.load(f)
    yard, disks, results = [yardstick()], [disk(opt.dir, 1)], {}
    for mix in opt.mixes:
        results[mix] = r = measure(opt, mix, opt.uploads)
        print(f"# {mix}: {opt.uploads / r['cpu_s']:.0f} uploads per CPU-second here", file=sys.stderr)
    if not opt.quick:
        yard.append(yardstick())
    disks.append(disk(opt.dir, 1))
    table = Table(reference["yardstick_s"] / (sum(yard) / len(yard)))
    for mix, r in results.items():
        print_mix(table, mix, r, reference["mixes"].get(mix, {}))
    print_process(table, results, reference)
    print(f"\nyardstick {yard[0]:.2f} s before, {yard[-1]:.2f} s after, reference "
          f"{reference['yardstick_s']} s; 'corrected' is CPU at the reference's speed")
    print("disk, 64 KiB and fdatasync, p50 / p99 ms: " +
          ", ".join(f"{d['p50_ms']:.2f} / {d['p99_ms']:.2f}" for d in disks))
    if opt.save:
        path = os.path.join(HERE, "results", "latest.json")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"yardstick_s": yard, "disk": disks, "mixes": results}, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
