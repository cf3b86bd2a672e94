#!/usr/bin/env python3
"""Builds every configuration and runs every test; the last line is 'N passed, N failed'.

    run.py            what `make test` runs
    run.py --quick    lint and the unit tests of the release build
    run.py --long     what `make test-long` runs: the same programs with large counts
    run.py --only X   suites whose name contains X (after building what they need)

A suite is a row of SUITES: a name, the configurations it needs, when it runs, and a command whose last
matching line is 'N passed, N failed'. Its output goes to build/test-logs/NAME.log; the end of it is
shown when something failed. A suite that prints no such line, dies or runs out of time has failed.
Suites that are marked `beside` run one by one beside the others: those that mostly wait for an agent's next
upload or the next second, and as many more as make both rows equally long.

Configurations: build (gcc, release), build-asan (clang, ASan + UBSan), build-tsan (clang, TSan).
Standard library only.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LOGS = os.path.join(ROOT, "build", "test-logs")
CLANG = {"CC": "clang", "CXX": "clang++"}
CONFIGS = {
    "build": ({"CC": "gcc", "CXX": "g++"}, []),
    "build-asan": (CLANG, ["-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dbuildtype=debugoptimized"]),
    "build-tsan": (CLANG, ["-Db_sanitize=thread", "-Db_lundef=false", "-Dbuildtype=debugoptimized"]),
}
# Sanitizer findings must end the process with a failure, everywhere.
SANITIZERS = {
    "ASAN_OPTIONS": "abort_on_error=0:exitcode=99:detect_leaks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "halt_on_error=1:exitcode=99:print_stacktrace=1",
    "TSAN_OPTIONS": "exitcode=99:halt_on_error=1:second_deadlock_stack=1:suppressions="
                    + os.path.join(ROOT, "tests", "tsan.supp"),
}
THREADED = "store|http|query|sim|pool|connect|blocks|cut|quota|refusals|damage|golden|tool|codec_gzip|tls"  # unit tests that run under TSan
PY = sys.executable
SPEAKER = threading.Lock()
ALWAYS, FULL, LONG = {"quick", "test", "long"}, {"test", "long"}, {"long"}

# name, configurations, when, seconds, command ({unit:DIR[:FILTER]} runs a build's unit tests), beside
SUITES = [
    ("lint", ["build"], ALWAYS, 300, [PY, "scripts/lint.py"], False),
    ("unit", ["build"], ALWAYS, 900, "{unit:build}", False),
    ("unit-asan", ["build-asan"], FULL, 1200, "{unit:build-asan}", False),
    ("unit-tsan", ["build-tsan"], FULL, 1200, "{unit:build-tsan:" + THREADED + "}", False),
]


def suites():
    """SUITES and those that other folders add: tests/*/suites.json, rows of the same shape."""
    rows = list(SUITES)
    for folder in sorted(os.listdir(os.path.join(ROOT, "tests"))):
        path = os.path.join(ROOT, "tests", folder, "suites.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                for s in json.load(f):
                    when = {"always": ALWAYS, "test": FULL, "long": LONG, "test-only": {"test"}}[s["when"]]
                    command = [PY if w == "python3" else w for w in s["command"]]
                    rows.append((s["name"], s["configs"], when, s["seconds"], command, s.get("beside", False)))
    return rows


def say(text):
    with SPEAKER:
        print(text, flush=True)


def build(name):
    env, options = CONFIGS[name]
    path = os.path.join(ROOT, name)
    log = os.path.join(LOGS, name + ".log")
    with open(log, "w", encoding="utf-8") as out:
        if not os.path.exists(os.path.join(path, "build.ninja")):
            r = subprocess.run(["meson", "setup", path, *options], cwd=ROOT, env=dict(os.environ, **env),
                               stdout=out, stderr=subprocess.STDOUT)
            if r.returncode:
                return log
        r = subprocess.run(["ninja", "-C", path], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT)
    return log if r.returncode else None


def unit_command(spec):
    """One process that runs a build's unit tests and ends with the counting line."""
    folder, _, pattern = spec[len("{unit:"):-1].partition(":")
    return [PY, os.path.abspath(__file__), "--unit", folder, pattern]


def run_unit(folder, pattern):
    tests = json.loads(subprocess.run(["meson", "introspect", "--tests", folder], cwd=ROOT, check=True,
                                      capture_output=True, text=True).stdout)
    wrap = ["setarch", "-R"] if folder.endswith("tsan") else []
    passed = failed = 0
    running = []
    todo = [t for t in tests if re.search(pattern or ".", t["name"]) and
            not (folder.endswith("tsan") and t["name"].startswith("fuzz_"))]
    if not todo:
        say("no unit tests found")
        failed += 1
    while todo or running:
        while todo and len(running) < 2:
            t = todo.pop(0)
            out = open(os.path.join(LOGS, f"{folder}-{t['name']}.log"), "w+", encoding="utf-8",
                       errors="replace")
            p = subprocess.Popen([*wrap, *t["cmd"]], cwd=t.get("workdir") or ROOT, stdout=out,
                                 stderr=subprocess.STDOUT, env=dict(os.environ, **SANITIZERS))
            running.append((t, p, out, time.monotonic()))
        time.sleep(0.02)
        for entry in list(running):
            t, p, out, begun = entry
            late = time.monotonic() - begun > 600
            if p.poll() is None and not late:
                continue
            if p.poll() is None:
                p.kill()
                p.wait()
            running.remove(entry)
            out.seek(0)
            text = out.read()
            out.close()
            good = sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", text))
            bad = sum(int(n) for n in re.findall(r"\[  FAILED  \] (\d+) test", text))
            if p.returncode != 0 and not bad:
                bad = 1
            passed += good if good or bad else 1  # a corpus replay counts as one
            failed += bad
            if bad:
                say(f"FAIL {t['name']} (exit {p.returncode}{', too late' if late else ''})")
                say("\n".join("    " + line for line in text.split("\n")[-40:]))
    say(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def run_suite(name, seconds, command):
    log = os.path.join(LOGS, name + ".log")
    begun = time.monotonic()
    with open(log, "w", encoding="utf-8") as out:
        try:
            r = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, timeout=seconds,
                               env=dict(os.environ, **SANITIZERS), stdin=subprocess.DEVNULL)
            code = r.returncode
        except subprocess.TimeoutExpired:
            code = "timeout"
    with open(log, encoding="utf-8", errors="replace") as f:
        text = f.read()
    counts = re.findall(r"^(\d+) passed, (\d+) failed", text, flags=re.M)
    passed, failed = (int(counts[-1][0]), int(counts[-1][1])) if counts else (0, 0)
    if (code != 0 and failed == 0) or not counts:
        failed += 1
    lines = [f"{'ok  ' if not failed else 'FAIL'} {name:24} {passed} passed, {failed} failed in "
             f"{time.monotonic() - begun:.0f} s"]
    if failed:
        lines += [f"--- the end of {os.path.relpath(log, ROOT)} (exit {code})", *text.split("\n")[-60:]]
    say("\n".join(lines))
    return passed, failed


def run_lane(rows, results):
    for name, _, _, seconds, command, _ in rows:
        if isinstance(command, str):
            command = unit_command(command)
        results.append(run_suite(name, seconds, command))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--quick", action="store_true")
    p.add_argument("--long", action="store_true")
    p.add_argument("--only")
    p.add_argument("--unit", nargs=2, metavar=("DIR", "FILTER"), help=argparse.SUPPRESS)
    a = p.parse_args()
    os.makedirs(LOGS, exist_ok=True)
    if a.unit:
        return run_unit(*a.unit)
    when = "quick" if a.quick else "long" if a.long else "test"
    rows = [s for s in suites() if when in s[2] and (not a.only or a.only in s[0])]
    passed = failed = 0
    for config in CONFIGS:
        if not any(config in s[1] for s in rows):
            continue
        begun = time.monotonic()
        log = build(config)
        say(f"{'FAIL' if log else 'ok  '} {config:24} built in {time.monotonic() - begun:.0f} s")
        if log:
            with open(log, encoding="utf-8", errors="replace") as f:
                say("\n".join(f.read().split("\n")[-40:]))
            say(f"{passed} passed, {failed + 1} failed")
            return 1
        passed += 1
    results = []
    beside = threading.Thread(target=run_lane, args=([s for s in rows if s[5]], results))
    beside.start()
    run_lane([s for s in rows if not s[5]], results)
    beside.join()
    if len(results) != len(rows):
        results.append((0, 1))
    passed += sum(good for good, _ in results)
    failed += sum(bad for _, bad in results)
    say(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
