"""What the tests with real SDKs share: pinned tools in a cache, a program at work, shares and their bounds.

A program at work (java/Work.java, go/main.go, python/work.py, node/work.js) has a heavy and a light function, three
to one, each under a value of the label `controller`. It measures the CPU time of both itself, works until its
standard input ends and then prints what it measured as one line of JSON. The server's answers must show the same shares:
within three sigma of the number of samples, and five points at most.

Every expectation is a row (text, true or false) of a pure function of what was read. After it was met it is
asked again with the names of the two functions exchanged: then each row that names a function must be false.
Standard library only. The cache is build/e2e-cache.
"""
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from query import CPU, flame, rpc  # noqa: E402
from server import ROOT, Server, binary  # noqa: E402

CACHE = os.path.join(ROOT, "build", "e2e-cache")
PERIOD_NS = 10000000
LEAST_SAMPLES, PATIENCE_S = 250, 75
HEAVY, LIGHT = "orders", "billing"  # values of the label


class Missing(Exception):
    """A tool that the test needs is not there or does not work."""


def tool(name, package):
    path = shutil.which(name)
    if not path:
        raise Missing("%s is not installed: this test needs %s" % (name, package))
    return path


def run(command, what, timeout=600, **more):
    p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout,
                       stdin=subprocess.DEVNULL, **more)
    if p.returncode:
        raise Missing("%s failed (exit %d):\n%s" % (what, p.returncode, p.stdout[-3000:]))
    return p.stdout


def go_build(module, package, name):
    """Builds a program of a module of ours and returns its path. Modules and what is compiled are shared by all."""
    folder = os.path.join(CACHE, "go")
    os.makedirs(folder, exist_ok=True)
    env = {"GOMODCACHE": os.path.join(folder, "mod"), "GOCACHE": os.path.join(folder, "cache"), "GOTOOLCHAIN": "local",
           "GOFLAGS": "-modcacherw -mod=readonly -buildvcs=false", "CGO_ENABLED": "0"}
    program = os.path.join(folder, name)
    run([tool("go", "Go 1.26 or newer"), "build", "-ldflags=-s -w", "-o", program, package], "go build", timeout=1500,
        cwd=module, env=dict(os.environ, **env))
    return program


class GoProgram:
    """A program of a module of ours that answers each line of JSON by one."""

    def __init__(self, module, package, name):
        program = go_build(os.path.join(HERE, module), package, name)
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def line(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def sha256(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Program:
    """The program at work. finish() ends it and returns what it measured."""

    def __init__(self, command, env=None, cwd=None):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd,
                                        stderr=subprocess.PIPE, text=True, env=dict(os.environ, **(env or {})))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def lives(self):
        if self.process.poll() is not None:
            raise AssertionError("the program ended with %d:\n%s" % (
                self.process.returncode, self.process.communicate()[1][-3000:]))

    def finish(self):
        out, err = self.process.communicate("", timeout=60)
        lines = [line for line in out.split("\n") if line.startswith("{")]
        if self.process.returncode or not lines:
            raise AssertionError("the program ended with %d:\n%s\n%s" % (
                self.process.returncode, out, err[-3000:]))
        return json.loads(lines[-1])


# What the answers say.


def inclusive(tree, function):
    """The value of all stacks that have a frame that ends with the function's name."""
    return sum(v for path, v in tree.items() if any(is_frame(f, function) for f in path))


def is_frame(frame, function):
    return frame == function or (frame.endswith(function) and not frame[-len(function) - 1].isalnum())


def share(tree, function, other):
    a, b = inclusive(tree, function), inclusive(tree, other)
    return a / (a + b) if a + b else 0.0


def tolerance(expected, samples):
    if samples < 1:
        return 0.0
    return min(0.05, 3 * math.sqrt(expected * (1 - expected) / samples))


def near(text, got, expected, samples, bound=None):
    """A row: the share is the expected one."""
    bound = tolerance(expected, samples) if bound is None else bound
    return ("%s: %.3f, expected %.3f ± %.3f (of %d)" % (text, got, expected, bound, samples),
            abs(got - expected) <= bound)


class View:
    """Everything that is asked of the server about a service, read once."""

    def __init__(self, server, service, kinds=(), cpu=CPU):
        now = int(time.time() * 1000)
        self.start, self.end = now - 600000, now + 60000
        self.server, self.selector = server, '{service_name="%s"' % service
        self.cpu = self.tree(cpu)
        self.by_label = {value: self.tree(cpu, ',controller="%s"' % value) for value in (HEAVY, LIGHT)}
        times = {"start": self.start, "end": self.end}
        self.kinds = {t["ID"] for t in rpc(server, "ProfileTypes", times).get("profileTypes", [])}
        self.trees = {kind: self.tree(kind) for kind in kinds}
        q = dict(times, name="controller", matchers=[self.selector + "}"])
        self.values = rpc(server, "LabelValues", q).get("names", [])
        q = dict(times, profileTypeID=cpu, labelSelector=self.selector + "}", step=1, groupBy=["controller"])
        self.series = {}
        for s in rpc(server, "SelectSeries", q).get("series", []):
            key = "".join(p["value"] for p in s.get("labels", []))
            self.series[key] = sum(int(p["value"]) for p in s.get("points", []))

    def tree(self, kind, more=""):
        return flame(self.server, kind, self.selector + more + "}", self.start, self.end)


def alone(value, wanted, other, by_label, stray):
    """A row: the label's value selects one function, and of the other at most that part."""
    got = inclusive(by_label[value], wanted), inclusive(by_label[value], other)
    return ("controller=%s selects %s alone: %d and %d" % (value, wanted, *got),
            got[0] > 0 and got[1] <= stray * got[0])


def cpu_rows(view, measured, heavy, light, stray):
    """Rows that name the functions; all must be false when the names are exchanged."""
    samples = (inclusive(view.cpu, heavy) + inclusive(view.cpu, light)) // PERIOD_NS
    expected = measured["heavy"] / (measured["heavy"] + measured["light"])
    return [
        near("share of %s as measured" % heavy, share(view.cpu, heavy, light), expected, samples),
        near("share of %s as written" % heavy, share(view.cpu, heavy, light), 0.75, samples, 0.05),
        alone(HEAVY, heavy, light, view.by_label, stray),
        alone(LIGHT, light, heavy, view.by_label, stray),
    ]


def amount_row(view, measured, heavy, light):
    """Profiled and measured CPU time are alike; the last upload interval is not in the profile."""
    got = inclusive(view.cpu, heavy) + inclusive(view.cpu, light)
    used = measured["heavy"] + measured["light"]
    return "CPU time in the profile %.2f s, measured %.2f s" % (got / 1e9, used / 1e9), 0.4 < got / used < 1.1


def alloc_row(tree, measured, large, small):
    """Allocation is sampled by bytes, many samples a second, and not quite at random: three points."""
    expected, n = measured["large"] / (measured["large"] + measured["small"]), inclusive(tree, large)
    return near("share allocated by %s" % large, share(tree, large, small), expected, n, 0.03)


def agree(text, points, whole, stray):
    """A row: points sum up to the flame graph, but for samples without any frame, which only points count."""
    return "%s: %d in the series, %d in the flame graph" % (text, points, whole), (
        whole > 0 and 0 <= points - whole <= stray * whole)


def label_rows(view, stray):
    """Rows that name no function: labels, and answers that must agree with each other."""
    rows = [("values of controller: %r" % view.values, sorted(view.values) == sorted([HEAVY, LIGHT])),
            agree("all", sum(view.series.values()), sum(view.cpu.values()), stray)]
    return rows + [agree("controller=" + value, view.series.get(value, 0), sum(tree.values()), stray)
                   for value, tree in view.by_label.items()]


def wait_for_samples(server, program, service, heavy, light, enough, cpu):
    """Until the flame graph has enough of both functions."""
    begun = time.monotonic()
    while True:
        program.lives()
        now = int(time.time() * 1000)
        tree = flame(server, cpu, '{service_name="%s"}' % service, now - 600000, now + 60000)
        samples = (inclusive(tree, heavy) + inclusive(tree, light)) // PERIOD_NS
        if samples >= enough or time.monotonic() - begun > PATIENCE_S:
            return
        time.sleep(0.5)


def top_rows(build, server, service, heavy, light, view, cpu):
    """`everflame top`: the same totals as the flame graph."""
    out = run([os.path.abspath(binary(build)), "top", "--url", server.url, "--service", service, "--type", cpu,
               "--sort", "total", "--since", "10m", "-o", "json"], "everflame top")
    totals = {f["name"]: f["total"] for f in json.loads(out)["functions"]}
    rows = []
    for function in (heavy, light):
        got = sum(v for name, v in totals.items() if is_frame(name, function))
        want = inclusive(view.cpu, function)
        rows.append(("everflame top: %s %d, flame graph %d" % (function, got, want), got == want > 0))
    return rows


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, x, trace):
        """Whatever ended the test early is a failure with a text."""
        if isinstance(x, Exception):
            self.row("%s: %s" % (kind.__name__, x), False)
        return isinstance(x, Exception)

    def row(self, text, good):
        self.passed += bool(good)
        self.failed += not good
        print("%s %s" % ("ok  " if good else "FAIL", text), flush=True)

    def rows(self, rows):
        for text, good in rows:
            self.row(text, good)

    def exchanged(self, rows):
        """The checker checked: with two names exchanged every row must be false."""
        kept = [text for text, good in rows if good]
        self.row("with the names exchanged %d of %d checks fail%s" % (
            len(rows) - len(kept), len(rows), "".join("\n     not so: " + k for k in kept)), rows and not kept)

    def end(self):
        print("%d passed, %d failed" % (self.passed, self.failed))
        return 1 if self.failed else 0


def test(build, service, names, prepare, more_rows=None, kinds=(), enough=700, stray=0.0, by_cpu_time=True,
         cpu=CPU):
    """The whole test. prepare() installs and returns start(server) -> Program.

    more_rows(view, measured, exchanged): of this SDK. by_cpu_time: it samples CPU time, not the time for which
    a thread wants to run. stray: the part of its samples that may have the label of a moment ago, or no frame.
    cpu: the profile type with CPU time.
    """
    report = Report()
    heavy, light = names
    with report:
        start = prepare()
        with Server(build) as server:
            begun = time.monotonic()
            with start(server) as program:
                wait_for_samples(server, program, service, heavy, light, enough, cpu)
                seconds = time.monotonic() - begun
                measured = program.finish()
            view = View(server, service, kinds, cpu)
            print("after %.0f s; measured by the program: %r" % (seconds, measured))
            samples = (inclusive(view.cpu, heavy) + inclusive(view.cpu, light)) // PERIOD_NS
            report.row("at least %d samples: %d" % (LEAST_SAMPLES, samples), samples >= LEAST_SAMPLES)
            report.rows(label_rows(view, stray))
            if by_cpu_time:
                report.rows([amount_row(view, measured, heavy, light)])
            report.rows(cpu_rows(view, measured, heavy, light, stray))
            exchanged = cpu_rows(view, measured, light, heavy, stray)
            if more_rows:
                report.rows(more_rows(view, measured, False))
                exchanged += more_rows(view, measured, True)
            report.exchanged(exchanged)
            if has_top(build):
                report.rows(top_rows(build, server, service, heavy, light, view, cpu))
    return report.end()


def has_top(build):
    p = subprocess.run([os.path.abspath(binary(build)), "top", "--help"], capture_output=True, text=True,
                       timeout=20, stdin=subprocess.DEVNULL)
    return p.returncode == 0 and "--service" in p.stdout
