#!/usr/bin/env python3
"""`everflame demo`, scripts/run.sh and the server's profile of itself: what a newcomer sees first.

    tests/integration/test_demo.py [BUILD_DIRECTORY]        (default: build)

Standard library only. The last line is 'N passed, N failed'. The costs of the shop's functions are those
of the table in src/cli/demo_shop.c.
"""
import json
import os
import pty
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))
from server import Server, binary  # noqa: E402

BUILD = sys.argv[1] if len(sys.argv) > 1 else "build"
PROGRAM = os.path.abspath(binary(BUILD))
ENV = {k: v for k, v in os.environ.items() if not k.startswith("EVERFLAME_")}
CASES = []
RATES = {"checkout": 20, "cart": 40, "search": 25, "cache": 30}
# Microseconds per request, in even and odd releases.
COSTS = {("checkout", "checkout_validate_card"): (1000, 1000), ("checkout", "checkout_apply_coupons"): (500, 8000),
         ("checkout", "checkout_price_items"): (1500, 1500), ("checkout", "checkout_reserve_stock"): (1500, 1500),
         ("checkout", "json_encode"): (1000, 1000), ("cart", "cart_load"): (500, 500),
         ("cart", "cart_check_stock"): (1000, 1000), ("cart", "json_encode"): (700, 700),
         ("search", "search_parse_query"): (400, 400), ("search", "search_match_documents"): (3000, 3000),
         ("search", "search_rank_results"): (5000, 1500), ("cache", "cache_lookup"): (300, 300),
         ("cache", "cache_store_session"): (500, 500)}


def case(fn):
    CASES.append(fn)
    return fn


def equal(got, want):
    if got != want:
        raise AssertionError("got %r\n      want %r" % (got, want))


def has(text, part):
    if part not in text:
        raise AssertionError("%r is not in\n%s" % (part, text[-3000:]))


def run(s, *args, code=0, seconds=120):
    p = subprocess.run([PROGRAM, *args, *(["--url", s.url] if s and "--url" not in args else [])], env=ENV,
                       capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)
    if p.returncode != code:
        raise AssertionError("%s: exit %d\n%s%s" % (" ".join(args), p.returncode, p.stdout, p.stderr))
    return p.stdout if code == 0 else p.stderr


def ask(s, *args):
    return json.loads(run(s, *args, "-o", "json"))


def expected_share(function, release):
    cost = {f: 0 for _, f in COSTS}
    for (endpoint, f), us in COSTS.items():
        cost[f] += us[release] * RATES[endpoint]
    return cost[function] / sum(cost.values())


@case
def history_can_be_compared_at_once():
    with Server(BUILD) as s:
        out = run(s, "demo", "--once")
        lines = [shlex.split(x) for x in re.findall(r"^  everflame (.*)$", out, flags=re.M)]
        equal([x[0] for x in lines], ["flame", "diff", "top", "series"])
        for line in lines:
            run(s, *line)
        diff = ask(s, *lines[1])
        rows = {r["name"]: r for r in diff["functions"]}
        # By how much it changed: first what became slow, then what became fast.
        equal([r["name"] for r in diff["functions"][:2]], ["checkout_apply_coupons", "search_rank_results"])
        assert diff["functions"][0]["self_change_points"] > 15
        assert diff["functions"][1]["self_change_points"] < -10
        for name in {f for _, f in COSTS}:
            for i, side in enumerate(("before", "after")):
                share = rows[name]["self_" + side] / diff[side]["total"]
                want = expected_share(name, i)
                # Recorded: 3 s of two threads, 150 samples even on a busy machine. Five sigma.
                if abs(share - want) > 5 * (want * (1 - want) / 150) ** 0.5:
                    raise AssertionError("%s %s: %.3f instead of %.3f" % (name, side, share, want))
        # 15 minutes at 0.43 and 0.49 cores, give or take the ups and downs of the day.
        for side, cores in (("before", 0.432), ("after", 0.4945)):
            assert abs(diff[side]["total"] / 1e9 / 900 / cores - 1) < 0.05, diff[side]
        stacks = run(s, "flame", "--service", "shop", "--collapsed")
        has(stacks, "thread_main;worker;handle_checkout;checkout_price_items;checkout_apply_coupons ")
        has(stacks, "thread_main;worker;handle_cart;json_encode ")
        for label, values in (("endpoint", ["/cache", "/cart", "/checkout", "/search"]), ("region", ["eu", "us"]),
                              ("version", ["1.4.0", "1.5.0"]), ("service_name", ["shop"])):
            equal(run(s, "labels", label).split(), values)
        names = {f["name"] for f in ask(s, "top", "--label", "endpoint=/search")["functions"]}
        assert "handle_search" in names and "handle_cart" not in names, names
        memory = ask(s, "top", "--type", "inuse")
        equal(memory["functions"][0]["name"], "cache_store_session")
        waits = {f["name"] for f in ask(s, "top", "--type", "lock")["functions"] if f["self"]}
        assert waits and waits <= {"cart_check_stock", "checkout_reserve_stock"}, waits


@case
def live_until_interrupted():
    with Server(BUILD) as s:
        p = subprocess.Popen([PROGRAM, "demo", "--url", s.url], env=ENV, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        try:
            lines = []
            for line in p.stdout:
                lines.append(line)
                if "the shop is open" in line:
                    break
            opened = re.search(r"--after \S+\.\.(\S+)", "".join(lines)).group(1)
            time.sleep(7)
        finally:
            p.send_signal(signal.SIGINT)
            _, err = p.communicate(timeout=60)
        equal((p.returncode, err), (0, ""))
        live = ask(s, "top", "--service", "shop", "--from", opened)
        total = live["total"]
        assert total > 0.5e9, total  # of 7 s at half a core
        names = {f["name"] for f in live["functions"]}
        assert {"handle_checkout", "checkout_apply_coupons", "search_match_documents"} <= names, names


@case
def says_what_is_wrong():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        begun = time.monotonic()
        err = run(None, "demo", "--url", "http://127.0.0.1:%d" % port, code=1)
        has(err, "cannot reach")
        assert time.monotonic() - begun < 5  # not after the recording


def upload_until(s, headers, stop):
    """Work for the server: stacks that are new every time."""
    dice = random.Random(1)
    while not stop.is_set():
        body = "".join("main;f%d;g%d;h%d %d\n" % (dice.randrange(999), dice.randrange(9999), i, i + 1)
                       for i in range(5000)).encode()
        now = int(time.time())
        status, _, text = s.request("POST", "/ingest?name=busy&from=%d&until=%d" % (now - 10, now), headers, body)
        equal((status, text), (200, b""))


def wait_for_itself(s, *args, seconds=90):
    """The names of functions in the server's profile of itself, once there are some."""
    until = time.monotonic() + seconds
    while True:
        p = subprocess.run([PROGRAM, "top", "--url", s.url, "--service", "everflame", "-n", "0", "-o", "json", *args],
                           env=ENV, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if p.returncode == 0:
            return {f["name"] for f in json.loads(p.stdout)["functions"]}
        if time.monotonic() > until:
            raise AssertionError("no profile of the server:\n" + p.stderr)
        time.sleep(0.5)


@case
def server_profiles_itself():
    stop = threading.Event()
    tenants = ["-auth.multitenancy-enabled=true", "-self-profiling.tenant-id=ops"]
    with Server(BUILD, ["-self-profiling.disable-push=false"]) as one, Server(BUILD, tenants) as many:
        work = [threading.Thread(target=upload_until, args=(one, {}, stop)),
                threading.Thread(target=upload_until, args=(many, {"X-Scope-OrgID": "a"}, stop))]
        for w in work:
            w.start()
        try:
            for s, args in ((one, ()), (many, ("--tenant-id", "ops"))):
                names = wait_for_itself(s, *args)
                assert {"thread_main", "ingest_upload"} <= names, names
        finally:
            stop.set()
            for w in work:
                w.join()
        has(run(one, "services"), "everflame")
        equal(run(one, "labels", "target", "--service", "everflame").split(), ["all"])
        # The only other service is the default.
        names = {f["name"] for f in ask(one, "top", "-n", "0")["functions"]}
        assert "main" in names and "thread_main" not in names
        # Nobody else's tenant sees it.
        equal(run(many, "labels", "service_name", "--tenant-id", "a").split(), ["busy"])
        equal(run(many, "labels", "service_name", "--tenant-id", "ops").split(), ["everflame"])
        _, _, metrics = one.request("GET", "/metrics")
        has(metrics.decode(), 'everflame_self_profiles_total{result="stored"}')
        has(metrics.decode(), "everflame_self_profile_lost_samples_total 0")


@case
def bad_tenant_of_its_own():
    p = subprocess.run([PROGRAM, "-auth.multitenancy-enabled=true", "-self-profiling.tenant-id=a b"],
                       capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    equal(p.returncode, 1)
    has(p.stderr, "self_profiling.tenant_id: ")


def gone(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0


@case
def make_run_stops_both():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="everflame-test-") as folder:
        pid, fd = pty.fork()
        if pid == 0:
            for sig in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):  # whoever runs the tests may ignore them,
                signal.signal(sig, signal.SIG_DFL)                     # and a shell cannot undo that
            os.execve(os.path.join(ROOT, "scripts", "run.sh"), ["run.sh"],
                      dict(ENV, PORT=str(port), BUILD=BUILD, DATA=os.path.join(folder, "data")))
        out = b""
        code = None
        try:
            while b"the shop is open" not in out:
                out += os.read(fd, 4096)
            os.write(fd, b"\x03")
            while True:
                chunk = os.read(fd, 4096)
                out += chunk
                if not chunk:
                    break
        except OSError:  # the terminal closes with the last process that has it
            pass
        finally:
            _, status = os.waitpid(pid, 0)
            code = os.waitstatus_to_exitcode(status)
            os.close(fd)
        equal((code, gone(port)), (130, True))
        text = out.decode("utf-8", "replace")
        has(text, "everflame diff --service shop --before ")
        if "cannot reach" in text or "went wrong" in text:
            raise AssertionError(text)


def main():
    passed = failed = 0
    for fn in CASES:
        begun = time.monotonic()
        try:
            fn()
            passed += 1
            print("ok   %s (%.1f s)" % (fn.__name__, time.monotonic() - begun), flush=True)
        except (AssertionError, OSError, subprocess.TimeoutExpired, KeyError, ValueError) as e:
            failed += 1
            print("FAIL %s: %s: %s" % (fn.__name__, type(e).__name__, e), flush=True)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
