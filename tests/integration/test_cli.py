#!/usr/bin/env python3
"""The command line against a server: every command, its exit code, its numbers, its forms of output.

    tests/integration/test_cli.py [BUILD_DIRECTORY]        (default: build)

Standard library only. The last line is 'N passed, N failed'. What is expected is computed here from the
uploaded stacks, not by the code under test.
"""
import collections
import fcntl
import gzip
import http.server
import json
import os
import pty
import random
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unicodedata
import xml.etree.ElementTree as ET

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.dirname(HERE))
from server import Server, binary  # noqa: E402

BUILD = sys.argv[1] if len(sys.argv) > 1 else "build"
PROGRAM = os.path.abspath(binary(BUILD))
CAPTURES = os.path.join(ROOT, "tests", "conformance", "captures")
CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
CASES = []
ENV = {k: v for k, v in os.environ.items() if not k.startswith("EVERFLAME_")
       and k not in ("NO_COLOR", "COLUMNS", "TERM")}


def case(fn):
    CASES.append(fn)
    return fn


def equal(got, want):
    if got != want:
        raise AssertionError("got %r\n      want %r" % (got, want))


def has(text, part):
    if part not in text:
        raise AssertionError("%r is not in\n%s" % (part, text[-3000:]))


def run(s, *args, env=None, stdin=None, raw=False):
    """Exit code, stdout, stderr of a command that asks server s (None: nobody)."""
    e = dict(ENV, **(env or {}))
    if s is not None:
        e.setdefault("EVERFLAME_URL", s.url)
    p = subprocess.run([PROGRAM, *args], capture_output=True, env=e, timeout=120, input=stdin or b"")
    out = p.stdout if raw else p.stdout.decode("utf-8")
    return p.returncode, out, p.stderr.decode("utf-8")


def good(s, *args, **kw):
    code, out, err = run(s, *args, **kw)
    if code or err:
        raise AssertionError("%r ended with %d: %s" % (args, code, err))
    return out


def bad(s, want_code, *args, **kw):
    """A failure is one line on stderr and nothing on stdout."""
    code, out, err = run(s, *args, **kw)
    equal((code, out), (want_code, ""))
    equal(err.count("\n"), 1)
    assert err.startswith("everflame"), err
    return err


def terminal(s, args, columns, lines, env=None):
    """Exit code and output of a command whose stdout is a terminal of this size."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    e = {**ENV, "EVERFLAME_URL": s.url, "TERM": "xterm-256color", **(env or {})}
    p = subprocess.Popen([PROGRAM, *args], stdin=side, stdout=side, stderr=subprocess.PIPE, env=e)
    os.close(side)
    got = b""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if not select.select([main], [], [], 1)[0]:
            continue
        try:
            part = os.read(main, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        got += part
    os.close(main)
    p.stderr.close()
    return p.wait(30), got.decode("utf-8").replace("\r\n", "\n")


def plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def columns(line):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in line)


class Files:
    """A directory for the files of one case."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="everflame-cli-")
        return self

    def __exit__(self, *exc):
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)


def folded(stacks):
    return "".join("%s %d\n" % x for x in stacks.items())


def some_stacks(seed, n=400):
    """Deep, wide, recursive and unpleasant names."""
    r = random.Random(seed)
    names = ["main", "work", "Sort", "java/util/HashMap.get", "github.com/x/y.(*T).Do", "fib", "漢字", "é",
             "a<b>&\"c\"", "std::vector<int, std::allocator<int> >::push_back", "esc\x1b[31m"]
    stacks = {}
    for _ in range(n):
        depth = r.randint(1, 30)
        stacks[";".join(["main"] + [r.choice(names) for _ in range(depth)])] = r.randint(1, 1000)
    return stacks


def functions(stacks, factor):
    """self and total by function, recursion once."""
    own, total = collections.Counter(), collections.Counter()
    for stack, n in stacks.items():
        frames = stack.split(";")
        own[frames[-1]] += n * factor
        for f in set(frames):
            total[f] += n * factor
    return {f: (own[f], total[f]) for f in total}


def upload(s, f, service, stacks, *args):
    path = f.write("%s-%d.txt" % (service, random.getrandbits(30)), folded(stacks))
    return good(s, "upload", path, "--name", service, *args)


def fields(b):
    """(number, value) of a protobuf message."""
    def varint(i):
        n = shift = 0
        while True:
            n |= (b[i] & 127) << shift
            shift += 7
            i += 1
            if b[i - 1] < 128:
                return n, i
    i = 0
    while i < len(b):
        key, i = varint(i)
        if key & 7 == 0:
            v, i = varint(i)
        else:
            equal(key & 7, 2)
            n, i = varint(i)
            v, i = b[i:i + n], i + n
        yield key >> 3, v


@case
def help_and_misuse():
    out = good(None, "help")
    for name in ("top", "flame", "diff", "series", "services", "labels", "upload", "ready", "help", "version"):
        assert re.search(r"^    %s +\S" % name, out, re.M), name
        page = good(None, "help", name)
        has(page, "USAGE\n    everflame " + name)
        has(page, "EXAMPLES")
        equal(good(None, name, "--help"), page)
    with open(os.path.join(ROOT, "docs", "cli.md"), encoding="utf-8") as f:
        equal(good(None, "help", "--markdown"), f.read())
    with open(os.path.join(ROOT, "man", "everflame.1"), encoding="utf-8") as f:
        equal(good(None, "help", "--man"), f.read())
    assert re.match(r"everflame \d+\.\d+", good(None, "version"))
    assert json.loads(good(None, "version", "-o", "json"))["version"]
    has(bad(None, 2, "flmae"), "`everflame flame`")
    has(bad(None, 2, "help", "uplod"), "everflame help upload")
    has(bad(None, 2, "top", "--servcie", "x"), "did you mean --service?")
    has(bad(None, 2, "top", "--by", "x"), "everflame help top")
    has(bad(None, 2, "top", "--service"), "--service wants a value")
    has(bad(None, 2, "flame", "--collapsed=yes"), "takes no value")
    has(bad(None, 2, "top", "extra"), "no use for extra")
    has(bad(None, 2, "upload"), "FILE")
    has(bad(None, 2, "top", "-n", "many"), "-n wants a number")
    has(bad(None, 2, "top", "-o", "xml"), "text and json")
    has(bad(None, 2, "top", "--sort", "name"), "self and total")
    for since in ("1", "hour", "-1h", "0s", "1x"):
        has(bad(None, 2, "top", "--since", since), "--since")
    has(bad(None, 2, "top", "--from", "yesterday"), "now-30m")
    has(bad(None, 2, "top", "--from", "now", "--until", "now-1h"), "before")
    has(bad(None, 2, "top", "--from", "now-2h", "--since", "1h"), "give one")
    has(bad(None, 2, "diff"), "--at")
    has(bad(None, 2, "diff", "--before", "now-2h..now-1h"), "--after")
    has(bad(None, 2, "diff", "--at", "now-1h", "--before", "a..b", "--after", "c..d"), "--at")
    has(bad(None, 2, "diff", "--before", "now-2h", "--after", "now-1h..now"), "two times")
    has(bad(None, 2, "diff", "--at", "now+1h"), "future")
    has(bad(None, 2, "flame", "--svg", "x", "--pprof", "y"), "exclude")
    has(bad(None, 2, "top", "--url", "ftp://x"), "not a URL")
    has(bad(None, 2, "top", "--url", "http://"), "not a URL")
    has(bad(None, 2, "top", "--selector", "{a="), "--selector")
    has(bad(None, 2, "top", "--label", "nonsense"), "NAME=VALUE")


@case
def nobody_there():
    for command in ("top", "flame", "series", "services", "labels", "ready"):
        err = bad(None, 1, command, "--url", "http://127.0.0.1:1")
        has(err, "cannot reach http://127.0.0.1:1")
        has(err, "--url")
    has(bad(None, 1, "top", "--url", "127.0.0.1:1"), "cannot reach http://127.0.0.1:1")
    err = bad(None, 1, "top", "--url", "http://me:secret@127.0.0.1:1/below/")
    has(err, "cannot reach http://127.0.0.1:1/below (")
    assert "secret" not in err


@case
def strange_answers():
    """Whatever answers, it is one sentence."""
    answers = {
        "garbage": (200, b"\xff\xff\xff garbage", "not Everflame"),
        "page": (200, b"<html>hello</html>", "not Everflame"),
        "moved": (302, b"", "not Everflame"),
        "missing": (404, b"404 page not found", "not Everflame"),
        "login": (401, b'{"code":"unauthenticated","message":"who are you"}', "--token"),
        "forbidden": (403, b"no", "--token"),
        "busy": (429, b'{"code":"resource_exhausted","message":"too many\\u001b[31m"}', "at a limit: too many\ufffd"),
        "broken": (500, b"\x1b]0;title\x07" + b"x" * 100000, "HTTP status 500"),
        "empty": (500, b"", "no reason given"),
        "nested": (400, b'{"details":[{"a":[1]}],"code":"invalid_argument","message":"bad"}', "bad"),
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            code, body, _ = answers[self.path.split("/")[1]]
            self.send_response(code)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    h = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=h.serve_forever, daemon=True).start()
    try:
        for name, (_, _, want) in answers.items():
            err = bad(None, 1, "top", "--url", "http://127.0.0.1:%d/%s" % (h.server_port, name))
            has(err, want)
            assert "\x1b" not in err and len(err) < 3000, err
    finally:
        h.shutdown()
        h.server_close()


@case
def a_cut_is_said():
    with Server(BUILD, ["-querier.max-flamegraph-nodes-on-select-merge-profile=true",
                        "-querier.max-flamegraph-nodes-default=8"]) as s, Files() as f:
        upload(s, f, "shop", some_stacks(3))
        code, out, err = run(s, "flame", "--collapsed", "--service", "shop")
        equal(code, 0)
        has(err, "the server cut the profile")
        has(out, "other ")
        # a function of that name is no cut, and a table has none
        upload(s, f, "small", {"main;other": 3})
        good(s, "flame", "--collapsed", "--service", "small")
        assert all(x["name"] != "other" for x in json.loads(good(s, "top", "--service", "shop", "-o", "json"))["functions"])


def without_tables(s, answer):
    """A server in front of s that gives this answer where function tables would come from."""
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            code, got, data = s.request("POST", self.path, {"Content-Type": self.headers["Content-Type"]}, body)
            if self.path.endswith("/SelectMergeStacktraces"):
                equal(json.loads(body)["format"], "PROFILE_FORMAT_FUNCTIONS")
                code, data = answer
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    h = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=h.serve_forever, daemon=True).start()
    return h


@case
def top_without_tables():
    graph = b'{"flamegraph":{"names":["total"],"levels":[{"values":["0","9","9","0"]}],"total":"9","maxSelf":"9"}}'
    with Server(BUILD) as s, Files() as f:
        upload(s, f, "shop", some_stacks(4))
        for args in (("-o", "json"), ("-n", "0"), ("--sort", "total", "-o", "json")):
            want = good(s, "top", "--since", "1d", *args)
            for answer in ((200, graph), (200, b"{}"), (501, b'{"code":"unimplemented"}'), (200, b"nonsense")):
                h = without_tables(s, answer)
                try:
                    got = good(s, "top", "--since", "1d", *args, "--url", "http://127.0.0.1:%d" % h.server_port)
                    cut = lambda t: re.sub(r'"(from|until)_ms":[0-9]+|[0-9-]+ [0-9:]+ to .*', "", t)
                    equal(cut(got), cut(want))
                finally:
                    h.shutdown()
                    h.server_close()


@case
def no_data():
    with Server(BUILD) as s, Files() as f:
        equal(good(s, "ready"), "ready\n")
        equal(json.loads(good(s, "ready", "-o", "json")), {"ready": True})
        for command in ("top", "flame", "series", "services", "labels"):
            has(bad(s, 1, command), "everflame upload")
        has(bad(s, 1, "diff", "--at", "now-10m"), "everflame upload")
        has(bad(s, 1, "upload", f.path("missing")), "No such file")
        has(bad(s, 1, "upload", f.write("x", b"\x00\x01\x02")), "is no profile")
        has(bad(s, 1, "upload", f.write("x", "hello world\n")), "is no profile")
        has(bad(s, 2, "upload", "-", stdin=b"a 1\n"), "--name")
        has(bad(s, 2, "upload", f.write("x", "a 1\n"), "--label", "a=b}c"), "cannot hold")
        has(bad(s, 1, "upload", f.write("x", "a 1\n"), "--from", "now-3h", "--until", "now-2h"),
            "outside of ingestion window")
        has(bad(s, 1, "top", "--url", s.url + "/nothing"), "not Everflame")


@case
def exact_numbers():
    stacks = some_stacks(1)
    want = functions(stacks, 10 ** 7)  # 100 samples a second
    whole = sum(stacks.values()) * 10 ** 7
    with Server(BUILD) as s, Files() as f:
        has(upload(s, f, "shop", stacks), "folded")
        top = json.loads(good(s, "top", "-o", "json"))
        equal((top["service"], top["type"], top["unit"], top["total"]), ("shop", CPU, "nanoseconds", whole))
        equal({x["name"]: (x["self"], x["total"]) for x in top["functions"]}, want)
        own = [x["self"] for x in top["functions"]]
        equal(own, sorted(own, reverse=True))
        by_total = json.loads(good(s, "top", "-o", "json", "--sort", "total", "-n", "3"))["functions"]
        equal(len(by_total), 3)
        equal(by_total[0]["name"], "main")
        equal(by_total[0]["total"], whole)
        # collapsed stacks come back as they were sent
        back = dict(x.rsplit(" ", 1) for x in good(s, "flame", "--collapsed").splitlines())
        equal({k: int(v) for k, v in back.items()}, {k: v * 10 ** 7 for k, v in stacks.items()})
        # and the frames of JSON add up to the same
        frames = json.loads(good(s, "flame", "-o", "json"))["frames"]
        paths = []
        for x in frames:
            paths.append((paths[x["parent"]] + ";" if x["parent"] >= 0 else "") + x["name"])
        equal({p: x["self"] for p, x in zip(paths, frames) if x["self"]},
              {k: v * 10 ** 7 for k, v in stacks.items()})
        equal(sum(x["total"] for x in frames if x["parent"] < 0), whole)
        # text: rows, and a line about the others
        text = good(s, "top", "-n", "2")
        has(text, "%d more functions" % (len(want) - 2))
        assert "\x1b" not in text
        equal(len(good(s, "top", "-n", "0").split("FUNCTION\n")[1].splitlines()), len(want))


@case
def pictures():
    stacks = some_stacks(2)
    with Server(BUILD) as s, Files() as f:
        upload(s, f, "shop", stacks)
        # SVG: well-formed, alone, every frame inside
        good(s, "flame", "--svg", f.path("x.svg"))
        for root in (ET.parse(f.path("x.svg")).getroot(), ET.fromstring(good(s, "flame", "--svg", "-"))):
            equal(root.tag, "{http://www.w3.org/2000/svg}svg")
            ns = "{http://www.w3.org/2000/svg}"
            groups = root.findall(ns + "g")
            assert len(groups) > 100, len(groups)
            titles = [g.find(ns + "title").text for g in groups]
            assert any(t.startswith('a<b>&"c" (') for t in titles)
            for g in groups:
                r = g.find(ns + "rect")
                assert 0 <= float(r.get("x")) and float(r.get("x")) + float(r.get("width")) <= 1200
            text = ET.tostring(root, encoding="unicode")
            assert "href" not in text and "url(" not in text
        # terminal: colour, in the window
        for wide, high in ((80, 24), (37, 12), (200, 60)):
            code, out = terminal(s, ["flame"], wide, high)
            equal(code, 0)
            has(out, "\x1b[48;5;")
            lines = plain(out).splitlines()
            assert len(lines) <= high, (len(lines), high)
            equal([x for x in lines[1:] if columns(x) > wide and not x.startswith("…")], [])
            equal(columns(lines[1]), wide)
            has(lines[1], "all ")
            assert not re.search(r"\x1b(?!\[(48;5;\d+|38;5;16|0)m)", out)
        upload(s, f, "deep", {";".join("f%d" % i for i in range(30)): 1})
        code, out = terminal(s, ["flame", "--service", "deep"], 80, 12)
        has(out, "up to 22 rows deeper")
        equal(len(out.splitlines()), 11)  # and one for the prompt
        code, out = terminal(s, ["flame", "--service", "deep", "-n", "0"], 80, 12)
        equal(len(out.splitlines()), 2 + 30)
        for env in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
            code, out = terminal(s, ["flame", "--service", "shop"], 80, 24, env)
            equal(code, 0)
            assert "\x1b" not in out
            has(out, "|main 100%")
        has(terminal(s, ["flame", "--service", "shop"], 80, 24, {"NO_COLOR": ""})[1], "\x1b[48;5;")
        # no terminal: no colour, COLUMNS wide, narrow frames together
        out = good(s, "flame", "--service", "shop", env={"COLUMNS": "50"})
        assert "\x1b" not in out
        has(out, "…")
        equal([x for x in out.splitlines()[1:] if columns(x) > 50], [])


@case
def pprof_for_other_tools():
    stacks = {"main;work;sort": 50, "main;work": 30, "main;idle": 20}
    with Server(BUILD) as s, Files() as f:
        upload(s, f, "shop", stacks)
        good(s, "flame", "--pprof", f.path("x.pb.gz"))
        for data in (open(f.path("x.pb.gz"), "rb").read(), good(s, "flame", "--pprof", "-", raw=True)):
            message = list(fields(gzip.decompress(data)))
            strings = [v for n, v in message if n == 6]
            assert b"sort" in strings and b"nanoseconds" in strings
            samples = [dict(fields(v)) for n, v in message if n == 2]
            equal(len(samples), 3)
            packed = [v if isinstance(v, int) else next(fields(b"\x08" + v))[1]
                      for v in (x[2] for x in samples)]
            equal(sum(packed), 10 ** 9)
        has(bad(s, 1, "flame", "--pprof", f.path("no/such/dir")), "cannot write")
        assert shutil.which("go"), "Go is missing: `go tool pprof` reads what we write in this test"
        p = subprocess.run(["go", "tool", "pprof", "-top", f.path("x.pb.gz")], capture_output=True, text=True,
                           timeout=300)
        equal(p.returncode, 0)
        has(p.stdout, "of 1000ms total")
        assert re.search(r"500ms 50\.00% 50\.00% +500ms 50\.00%  sort", p.stdout), p.stdout


@case
def what_changed():
    before = {"main;a": 60, "main;b": 30, "main;gone": 10}
    after = {"main;a": 100, "main;b": 700, "main;new": 200}
    with Server(BUILD) as s, Files() as f:
        upload(s, f, "shop", before, "--from", "now-15m")
        upload(s, f, "shop", after, "--from", "now-2m")
        for how in (("--at", "now-10m", "--since", "30m"),
                    ("--before", "now-30m..now-10m", "--after", "now-10m..now")):
            d = json.loads(good(s, "diff", *how, "-o", "json"))
            equal((d["before"]["total"], d["after"]["total"]), (10 ** 9, 10 ** 10))
            rows = {x["name"]: x for x in d["functions"]}
            equal([x["name"] for x in d["functions"]], ["a", "b", "new", "gone", "main"])
            equal((rows["b"]["self_before"], rows["b"]["self_after"]), (3 * 10 ** 8, 7 * 10 ** 9))
            equal((rows["main"]["total_before"], rows["main"]["total_after"]), (10 ** 9, 10 ** 10))
            equal(round(rows["a"]["self_change_points"], 6), -50)
            equal(round(rows["gone"]["total_change_points"], 6), -10)
        text = good(s, "diff", "--at", "now-10m", "-n", "1")
        assert re.search(r"-50\.0 +60\.0% +10\.0% +-50\.0 +60\.0% +10\.0%  a\n", text), text
        has(text, "4 more functions")
        text = good(s, "diff", "--at", "now-10m", "--flame", env={"COLUMNS": "100"})
        for part in ("|main +0.0", "|b +40.0", "|a -50.0", "|new +20.0"):
            has(text, part)
        code, out = terminal(s, ["diff", "--at", "now-10m", "--flame"], 100, 30)
        equal(code, 0)
        has(out, "\x1b[48;5;203m\x1b[38;5;16m b +40.0")
        has(out, "\x1b[48;5;75m\x1b[38;5;16m a -50.0")
        ET.fromstring(good(s, "diff", "--at", "now-10m", "--svg", "-"))
        # at most as much before as has passed after
        d = json.loads(good(s, "diff", "--at", "now-14m", "--since", "3h", "-o", "json"))
        length = d["after"]["until_ms"] - d["after"]["from_ms"]
        assert abs(length - 14 * 60000) < 30000, length
        assert abs(d["before"]["until_ms"] - d["before"]["from_ms"] - length) <= 1
        has(bad(s, 1, "diff", "--before", "now-30m..now-10m", "--after", "now-9m..now-8m"), "no samples")


@case
def what_there_is():
    with Server(BUILD) as s, Files() as f:
        upload(s, f, "shop", {"main;x": 10}, "--label", "pod=a", "--label", "zone=eu/1", "--from", "now-5m")
        upload(s, f, "shop", {"main;x": 30}, "--label", "pod=b")
        upload(s, f, "cart", {"main;y": 7}, "--type", "alloc")
        has(bad(s, 2, "top"), "cart, shop")
        has(bad(s, 1, "top", "--service", "shpo"), "the services there are: cart, shop")
        has(bad(s, 1, "top", "--service", "cart"), "memory:alloc_space:bytes::")
        has(bad(s, 2, "top", "--service", "cart", "--type", "wall"), "memory:alloc_space:bytes::")
        equal(json.loads(good(s, "top", "--service", "cart", "--type", "alloc", "-o", "json"))["total"], 7)
        has(good(s, "top", "--service", "cart", "--type", "memory"), "7 B")
        equal(json.loads(good(s, "services", "-o", "json"))[0]["service"], "cart")
        seen = {x["service"]: x["last_seen_ms"] for x in json.loads(good(s, "services", "-o", "json"))}
        assert all(0 <= time.time() * 1000 - v < 120000 for v in seen.values()), seen
        old = json.loads(good(s, "services", "--label", "pod=a", "-o", "json"))
        equal([x["service"] for x in old], ["shop"])
        assert 240000 < time.time() * 1000 - old[0]["last_seen_ms"] < 400000, old
        text = good(s, "services")
        has(text, "SERVICE")
        has(text, "cart     memory:alloc_space:bytes::                   < 15 s ago\n")
        has(good(s, "services", "--label", "pod=a"), "5 min ago\n")
        equal(good(s, "labels", "--service", "shop"), "pod\npyroscope_spy\nservice_name\nzone\n")
        has(good(s, "labels", "--all"), "__profile_type__\n")
        equal(json.loads(good(s, "labels", "pod", "-o", "json")), ["a", "b"])
        equal(good(s, "labels", "pod", "--label", "zone=eu/1"), "a\n")
        has(bad(s, 1, "labels", "nothing"), "everflame labels")
        # selection in its three forms
        for how in (("--label", "pod=b"), ("--selector", '{pod="b"}'), ("--selector", '{pod!="a",zone=""}'),
                    ("--selector", "{pod=~\"b|c\"}", "--service", "shop")):
            equal(json.loads(good(s, "top", *how, "--type", "cpu", "-o", "json",
                                  *([] if "--service" in how else ["--service", "shop"])))["total"],
                  30 * 10 ** 7)
        equal(json.loads(good(s, "top", "--label", "pod=a", "-o", "json"))["service"], "shop")
        # series: per service, per label, in total
        points = json.loads(good(s, "series", "--service", "shop", "-o", "json"))
        equal(points["aggregation"], "sum")
        equal(sum(v for _, v in points["series"][0]["points"]), 40 * 10 ** 7)
        by = json.loads(good(s, "series", "--service", "shop", "--by", "pod", "-o", "json"))["series"]
        equal({x["labels"]["pod"]: sum(v for _, v in x["points"]) for x in by},
              {"a": 10 ** 8, "b": 3 * 10 ** 8})
        text = good(s, "series", "--service", "shop", "--by", "pod")
        assert re.search(r"^b +[▁▂▃▄▅▆▇█ ]+ +<?[\d.]+ cores", text, re.M), text
        upload(s, f, "third", {"main;x": 1})
        text = good(s, "series")
        has(text, "all services  ")
        has(text, "third")
        has(text, "shop")


@case
def states_are_averaged():
    with Server(BUILD) as s, Files() as f:
        for value in (100, 300):
            upload(s, f, "shop", {"main;x": value * 1024}, "--type", "inuse", "--from", "now-4m")
        d = json.loads(good(s, "series", "--type", "inuse", "-o", "json"))
        equal(d["aggregation"], "average")
        equal([v for _, v in d["series"][0]["points"]], [200 * 1024])
        has(good(s, "series", "--type", "inuse"), "200 KiB")
        has(good(s, "top", "--type", "inuse"), "Every snapshot")


@case
def files_of_every_kind():
    def capture(name, number):
        with open(os.path.join(CAPTURES, name, number + ".bin"), "rb") as g:
            return g.read()
    with Server(BUILD) as s, Files() as f:
        compressed = capture("python-legacy", "002")
        sent = json.loads(good(s, "upload", f.write("py.pb.gz", compressed), "--from", "now-1m", "-o", "json"))
        equal(sent, [{"file": f.path("py.pb.gz"), "service": "py", "format": "pprof",
                      "bytes": len(compressed)}])
        equal(json.loads(good(s, "top", "-o", "json"))["total"], 8190000000)
        good(s, "upload", f.write("raw", gzip.decompress(compressed)), "--from", "now-1m", "--name", "raw.one")
        equal(json.loads(good(s, "top", "--service", "raw.one", "-o", "json"))["total"], 8190000000)
        # a flight recording out of the form an agent sent
        form = capture("java-rfc", "002")
        part = re.search(rb'name="jfr".*?\r\n\r\n', form, re.S).end()
        jfr = gzip.decompress(form[part:form.index(b"\r\n--", part)])
        for name, data in (("j.jfr", jfr), ("j2.jfr.gz", gzip.compress(jfr))):
            sent = json.loads(good(s, "upload", f.write(name, data), "-o", "json"))
            equal(sent[0]["format"], "jfr")
        one, two = (json.loads(good(s, "top", "--service", x, "-o", "json")) for x in ("j", "j2"))
        assert one["total"] > 0
        equal((one["total"], one["functions"]), (two["total"], two["functions"]))
        # its collapsed stacks agree with the server's own flame graph
        q = {"profileTypeID": CPU, "labelSelector": '{service_name="j"}', "start": one["from_ms"],
             "end": one["until_ms"]}
        status, _, body = s.request("POST", "/querier.v1.QuerierService/SelectMergeStacktraces",
                                    {"Content-Type": "application/json"}, json.dumps(q).encode())
        equal(status, 200)
        equal(int(json.loads(body)["flamegraph"]["total"]), one["total"])
        stacks = good(s, "flame", "--service", "j", "--collapsed").splitlines()
        equal(sum(int(x.rsplit(" ", 1)[1]) for x in stacks), one["total"])
        # speedscope, standard input, several files
        good(s, "upload", f.write("sp.json", capture("ingest-curl", "008")))
        assert json.loads(good(s, "top", "--service", "sp", "-o", "json"))["total"] > 0
        good(s, "upload", "-", "--name", "piped", "--sample-rate", "1000", stdin=b"a;b 3\n")
        equal(json.loads(good(s, "top", "--service", "piped", "-o", "json"))["total"], 3 * 10 ** 6)
        out = good(s, "upload", f.write("m1.txt", "a 1\n"), f.write("m2.txt", "a 2\n"))
        equal(out.count("\n"), 2)
        code, out, err = run(s, "upload", f.path("m1.txt"), f.write("m3.txt", "nonsense"))
        equal((code, out), (1, ""))
        has(err, "after 1 files that are stored")
        has(bad(s, 2, "upload", f.path("py.pb.gz"), "--type", "wall"), "says itself")


@case
def types_in_java():
    with Server(BUILD, ["-validation.reject-older-than=0", "-querier.max-query-lookback=0",
                        "-retention-period=0"]) as s:
        with open(os.path.join(CAPTURES, "java-rfc", "manifest.jsonl"), encoding="utf-8") as g:
            rows = [json.loads(x) for x in g]
        for row in rows:
            with open(os.path.join(CAPTURES, "java-rfc", row["body"]), "rb") as g:
                status = s.request("POST", row["target"], [(k, v) for k, v in row["headers"]
                                   if k == "Content-Type"], g.read())[0]
            equal(status, 200)
        when = ("--from", str(rows[0]["at_ns"] - 60 * 10 ** 9), "--until", str(rows[-1]["at_ns"]))
        types = set(good(s, "labels", "__profile_type__", *when).split())
        for word, want in (("cpu", CPU), ("alloc", "memory:alloc_in_new_tlab_bytes:bytes:space:bytes"),
                           ("lock", "mutex:delay:nanoseconds:mutex:count"),
                           ("block", "block:delay:nanoseconds:block:count")):
            if want not in types:
                err = bad(s, 2, "top", "--type", word, *when)
                has(err, CPU)
                continue
            equal(json.loads(good(s, "top", "--type", word, "-o", "json", *when))["type"], want)
        assert CPU in types and len(types) > 2, types
        for kind in types:
            equal(json.loads(good(s, "flame", "--type", kind, "-o", "json", *when))["type"], kind)


@case
def who_asks():
    """Options and environment become headers; options win."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(dict(self.headers))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    h = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=h.serve_forever, daemon=True).start()
    url = "http://127.0.0.1:%d" % h.server_port
    try:
        good(None, "ready", "--url", url + "/")
        assert "Authorization" not in seen[-1] and "X-Scope-OrgID" not in seen[-1]
        has(seen[-1]["User-Agent"], "everflame/")
        env = {"EVERFLAME_URL": url, "EVERFLAME_TENANT_ID": "t1", "EVERFLAME_TOKEN": "secret"}
        good(None, "ready", env=env)
        equal((seen[-1]["X-Scope-OrgID"], seen[-1]["Authorization"]), ("t1", "Bearer secret"))
        good(None, "ready", "--tenant-id=t2", "--token", "other", env=env)
        equal((seen[-1]["X-Scope-OrgID"], seen[-1]["Authorization"]), ("t2", "Bearer other"))
        env.update(EVERFLAME_USERNAME="u", EVERFLAME_PASSWORD="p")
        good(None, "ready", env=env)
        equal(seen[-1]["Authorization"], "Basic dTpw")
        good(None, "ready", env=dict(env, http_proxy="http://127.0.0.1:1"))
        has(bad(None, 2, "ready", "--tenant-id", "a\r\nX: y", env=env), "line breaks")
    finally:
        h.shutdown()
        h.server_close()


@case
def tenants():
    with Server(BUILD, ["-auth.multitenancy-enabled=true"]) as s, Files() as f:
        has(bad(s, 1, "top"), "--tenant-id")
        path = f.write("a.txt", "x;y 5\n")
        has(bad(s, 1, "upload", path), "--tenant-id")
        good(s, "upload", path, "--tenant-id", "one")
        good(s, "upload", path, env={"EVERFLAME_TENANT_ID": "two"})
        equal(json.loads(good(s, "top", "-o", "json", "--tenant-id", "one"))["total"], 5 * 10 ** 7)
        equal(json.loads(good(s, "top", "-o", "json", "--tenant-id", "one|two"))["total"], 10 ** 8)
        has(bad(s, 1, "top", "--tenant-id", "three"), "everflame upload")


def main():
    passed = failed = 0
    for fn in CASES:
        try:
            fn()
            passed += 1
        except Exception as x:  # a case may fail in any way; the others still run
            failed += 1
            print("FAIL %s: %s: %s" % (fn.__name__, type(x).__name__, x))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
