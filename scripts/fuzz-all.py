#!/usr/bin/env python3
"""Builds the fuzz targets (clang, libFuzzer, ASan, UBSan) into build-fuzz and runs each for a while.

    fuzz-all.py [-s SECONDS] [-j JOBS] [TARGET...]     default: 60 seconds, one job per processor, all
    fuzz-all.py --pick [TARGET...]                     from what was found before, choose new seeds

Prints a Markdown table (target, executions, coverage in edges, seconds, inputs that found something new,
findings) and ends with 'N passed, N failed'. Inputs that reach new code are kept in build-fuzz/corpus/TARGET
and used by the next run; the committed seeds are in tests/fuzz/corpus. What crashes, hangs (25 s) or takes more
than 4 GB is a finding: the input is in build-fuzz/findings, and `build-fuzz/tests/fuzz/fuzz_TARGET FILE` shows
it. --pick copies into tests/fuzz/corpus the few small inputs that add most edges to those of the seeds there.
Standard library only.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build-fuzz")
FINDINGS = os.path.join(BUILD, "findings")
SEEDS = os.path.join(ROOT, "tests", "fuzz", "corpus")
SEEDS_MAX, PICK_MAX, PICK_BYTES, PICK_EDGES = 40, 12, 6000, 2  # per target; bytes of one and edges it must add


def targets():
    """Names of the table in tests/fuzz/meson.build."""
    with open(os.path.join(ROOT, "tests", "fuzz", "meson.build"), encoding="utf-8") as f:
        table = f.read().split("fuzz_targets = {")[1].split("}")[0]
    return sorted(re.findall(r"^\s*'(\w+)':", table, flags=re.M))


def build(names, jobs):
    env = dict(os.environ, CC="clang", CXX="clang++")
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        subprocess.run(["meson", "setup", BUILD, "-Dfuzzing=true", "-Dbuildtype=debugoptimized"], cwd=ROOT, env=env,
                       check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, f"-j{jobs}", *("tests/fuzz/fuzz_" + n for n in names)], cwd=ROOT, check=True,
                   stdout=subprocess.DEVNULL)


def start(name, seconds):
    corpus = os.path.join(BUILD, "corpus", name)
    os.makedirs(corpus, exist_ok=True)
    os.makedirs(FINDINGS, exist_ok=True)
    log = open(os.path.join(FINDINGS, name + ".log"), "w+", encoding="utf-8", errors="replace")
    command = [os.path.join(BUILD, "tests", "fuzz", "fuzz_" + name), f"-max_total_time={seconds}", "-timeout=25",
               "-rss_limit_mb=4096", "-print_final_stats=1", f"-artifact_prefix={FINDINGS}/{name}-", corpus,
               os.path.join(SEEDS, name)]
    p = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=ROOT,
                         env=dict(os.environ, UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1"))
    return p, log


def artifacts(name):
    return {f for f in os.listdir(FINDINGS) if re.match(re.escape(name) + r"-(crash|timeout|oom|leak|slow)", f)}


def result(name, process, log, before):
    log.seek(0)
    text = log.read()
    log.close()

    def last(pattern):
        found = re.findall(pattern, text)
        return int(found[-1]) if found else 0
    new = sorted(a for a in artifacts(name) - before if "-slow-unit-" not in a)
    return {"name": name, "runs": last(r"number_of_executed_units:\s*(\d+)"), "cov": last(r"cov: (\d+)"),
            "seconds": last(r"in (\d+) second"), "units": last(r"new_units_added:\s*(\d+)"), "findings": new, "failed": process.returncode != 0, "text": text}


def run(names, seconds, jobs):
    todo, running, done = list(names), [], []
    while todo or running:
        while todo and len(running) < jobs:
            name = todo.pop(0)
            os.makedirs(FINDINGS, exist_ok=True)
            before = artifacts(name)
            running.append((name, before, *start(name, seconds)))
        time.sleep(0.05)
        for entry in list(running):
            name, before, process, log = entry
            if process.poll() is not None:
                running.remove(entry)
                done.append(result(name, process, log, before))
    return sorted(done, key=lambda r: r["name"])


def edges_added(name, seeds, found):
    """{file: edges} of the inputs that reach what neither the seeds nor smaller inputs reach."""
    with tempfile.TemporaryDirectory() as folder:
        control, base = os.path.join(folder, "control"), os.path.join(folder, "base")
        shutil.copytree(seeds, base)
        subprocess.run([os.path.join(BUILD, "tests", "fuzz", "fuzz_" + name), "-merge=1", "-timeout=60",
                        "-merge_control_file=" + control, f"-artifact_prefix={FINDINGS}/{name}-", base, found],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT, check=False)
        with open(control, encoding="utf-8") as f:
            lines = f.read().split("\n")
        files = lines[2:2 + int(lines[0])]
        words = [line.split() for line in lines[2 + len(files):] if line.startswith("COV")]
        return {files[int(w[1])]: len(w) - 2 for w in words if not files[int(w[1])].startswith(base)}


def pick(name):
    """Copies new seeds; how many."""
    seeds, found = os.path.join(SEEDS, name), os.path.join(BUILD, "corpus", name)
    if not os.path.isdir(found):
        return 0
    added = {f: n for f, n in edges_added(name, seeds, found).items()
             if n >= PICK_EDGES and os.path.getsize(f) <= PICK_BYTES}
    room = max(0, min(PICK_MAX, SEEDS_MAX - len(os.listdir(seeds))))
    chosen = sorted(added, key=lambda f: (-added[f], os.path.getsize(f)))[:room]
    for f in chosen:
        shutil.copy(f, seeds)
    return len(chosen)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("-s", "--seconds", type=int, default=60)
    p.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    p.add_argument("--pick", action="store_true")
    p.add_argument("targets", nargs="*")
    a = p.parse_args()
    names = a.targets or targets()
    build(names, a.jobs)
    if a.pick:
        for name in names:
            print(f"{name}: {pick(name)} new seeds", flush=True)
        return 0
    results = run(names, a.seconds, a.jobs)
    print("| target | executions | edges | seconds | new inputs | findings |\n|---|---:|---:|---:|---:|---|")
    for r in results:
        print(f"| {r['name']} | {r['runs']:,} | {r['cov']:,} | {r['seconds']:,} | {r['units']:,} | "
              f"{', '.join(r['findings']) or ('failed' if r['failed'] else '0')} |")
    for r in results:
        if r["failed"]:
            print(f"\n--- {r['name']}\n" + "\n".join(r["text"].split("\n")[-60:]))
    bad = sum(r["failed"] or not r["runs"] for r in results)
    print(f"\n{len(results) - bad} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
