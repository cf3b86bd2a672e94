#!/usr/bin/env python3
"""Acknowledged means synced, as the kernel sees it: the server runs under strace while uploads come.

    tests/integration/test_sync_order.py [BUILD_DIRECTORY] [--uploads N]

No layer of ours is trusted: from the system calls alone, for every upload that was answered 2xx,
  1. exactly one write to a file below wal/ has the upload's own frame name in it, and wrote all its bytes;
  2. an fdatasync (or fsync) of that file was begun after that write had returned, and returned 0;
  3. the directory wal/ was synced after that file was created, and that returned 0;
  4. only after 2 and 3 was the answer's first byte handed to the kernel.
strace stops a thread at the entry and the exit of each call, so a thread cannot act on a return that strace
has not written down yet: the order of lines is the order of causes. fdatasync is made slow (strace delays it),
so that uploads share batches and an answer that does not wait has time to be early.

The rules are first tried on traces written by hand, good and bad. Standard library only; strace and the right
to trace are needed. The last line is 'N passed, N failed'.
"""
import argparse
import collections
import http.client
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from server import OLD_DATA, Server  # noqa: E402

UPLOADERS = 8
# A small head: several epochs, so several log files, come and go meanwhile.
FLAGS = OLD_DATA + ["-store.head-bytes=4MB"]
CALLS = "openat,pwrite64,pwritev,pwritev2,write,writev,fdatasync,fsync,sendto,sendmsg"
WRITES, SYNCS, SENDS = {"pwrite64", "pwritev", "pwritev2", "write", "writev"}, {"fdatasync", "fsync"}, {
    "sendto", "sendmsg", "write", "writev"}

# One call: where it begins and ends in the trace (line numbers), its name, arguments as text, result.
Call = collections.namedtuple("Call", "begin end name args result")
WHOLE = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+|\?)(.*)$")
BEGUN = re.compile(r"^(\d+) +(\w+)\((.*?),? *<unfinished \.\.\.>$")
RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)\) += (-?\d+|\?)(.*)$")
IGNORED = re.compile(r"^\d+ +(\+\+\+|---|\?\?\?\?)|resumed>|<unfinished \.\.\.>$")


def parse(lines):
    """Calls in the order of their begin. A call that did not end has end None."""
    calls, open_calls = [], {}
    for n, line in enumerate(lines):
        m = WHOLE.match(line)
        if m and "resumed>" not in line:
            calls.append(Call(n, n, m[2], m[3] + m[5], m[4]))
            continue
        m = BEGUN.match(line)
        if m:
            open_calls[m[1]] = len(calls)
            calls.append(Call(n, None, m[2], m[3], "?"))
            continue
        m = RESUMED.match(line)
        if m and m[1] in open_calls:
            i = open_calls.pop(m[1])
            calls[i] = Call(calls[i].begin, n, m[2], calls[i].args + m[3] + m[5], m[4])
        elif not IGNORED.search(line):
            raise AssertionError("strace wrote a line that is not understood: %r" % line)
    return calls


def path_of(call):
    """What strace -yy shows of the first argument, a descriptor: a path or TCP:[from->to]."""
    m = re.match(r"-?\d+<(.*?)>(?:[,)]| *\(|$)", call.args)
    return m[1] if m else ""


def bytes_meant(call):
    m = re.search(r", (\d+)(?:, \d+)?(?: \(DELAYED\))?$", call.args)
    return m[1] if m else None


def answers_by_port(calls):
    """{client's port: [begin of each 2xx answer]}."""
    out = collections.defaultdict(list)
    for c in calls:
        m = re.search(r"->127\.0\.0\.1:(\d+)\]$", path_of(c))
        if c.name in SENDS and m and re.search(r'"HTTP/1\.1 2\d\d ', c.args):
            out[int(m[1])].append(c.begin)
    return out


class Trace:
    def __init__(self, lines):
        self.calls = parse(lines)
        self.answers = answers_by_port(self.calls)
        self.wal_writes = [c for c in self.calls if c.name in WRITES and "/wal/" in path_of(c)]
        self.syncs = [c for c in self.calls if c.name in SYNCS and c.result == "0"]
        self.created = {}
        for c in self.calls:
            m = re.search(r"O_CREAT.*", c.args) and re.search(r"<([^<>]*/wal/[^<>/]*)>[^<>]*$", c.args)
            if c.name == "openat" and m:
                self.created[m[1]] = c.end

    def synced_after(self, path, line):
        """Where the first sync of `path` that began after `line` returned; None: nowhere."""
        ends = [c.end for c in self.syncs if path_of(c) == path and line is not None and c.begin > line]
        return min(ends) if ends else None

    def wrong(self, marker, port, nth):
        """What is wrong with the upload `marker`, the nth on its connection; None: nothing."""
        answers = self.answers.get(port, [])
        if nth >= len(answers):
            return "no answer seen"
        writes = [c for c in self.wal_writes if marker in c.args]
        if len(writes) != 1:
            return "is in %d writes to the log" % len(writes)
        write = writes[0]
        if write.end is None or write.result != bytes_meant(write):
            return "its write did not write all (%s)" % write.result
        path = path_of(write)
        synced = self.synced_after(path, write.end)
        if synced is None or synced > answers[nth]:
            return "answered at line %d, synced at line %s" % (answers[nth], synced)
        entry = self.synced_after(os.path.dirname(path), self.created.get(path))
        if entry is None or entry > answers[nth]:
            return "answered at line %d, the entry of %s synced at line %s" % (answers[nth], path, entry)
        return None

    def batches(self, markers):
        """How many of the uploads each write to the log has."""
        found = [[m for m in markers if m in c.args] for c in self.wal_writes]
        return [len(f) for f in found if f]


# The rules on traces written by hand: 7 is the committer, 9 the loop.

LOG = "4</d/wal/1.wal>"
OPEN = "7 openat(AT_FDCWD</d>, \"/d/wal/1.wal\", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = " + LOG
DIRECTORY = "7 fsync(5</d/wal>) = 0"
WRITE = "7 pwrite64(" + LOG + ', "EFB1..up-1.", 11, 64) = 11'
SYNC = "7 fdatasync(" + LOG + ") = 0"
SEND = ('9 sendmsg(8<TCP:[127.0.0.1:4040->127.0.0.1:555]>, '
        '{msg_iov=[{iov_base="HTTP/1.1 200 OK", iov_len=15}]}, 0) = 15')
GOOD = [OPEN, DIRECTORY, WRITE, SYNC, SEND]
HALVES = ["7 fdatasync(" + LOG + " <unfinished ...>", "7 <... fdatasync resumed>) = 0 (DELAYED)"]
TRACES = [  # name, lines, a part of what must be wrong (None: nothing)
    ("good", GOOD, None),
    ("interrupted calls", GOOD[:3] + HALVES + [SEND], None),
    ("answer before the sync", [OPEN, DIRECTORY, WRITE, SEND, SYNC], "answered at"),
    ("answer during the sync", GOOD[:3] + [HALVES[0], SEND, HALVES[1]], "answered at"),
    ("no sync", [OPEN, DIRECTORY, WRITE, SEND], "synced at line None"),
    ("sync began before the write ended", [OPEN, DIRECTORY, HALVES[0], WRITE, HALVES[1], SEND], "line None"),
    ("sync failed", GOOD[:3] + [SYNC.replace("= 0", "= -1 EIO (Input/output error)"), SEND], "line None"),
    ("sync of another file", GOOD[:3] + [SYNC.replace("1.wal", "2.wal"), SEND], "line None"),
    ("short write", [OPEN, DIRECTORY, WRITE.replace("= 11", "= 7"), SYNC, SEND], "did not write all"),
    ("no write", [OPEN, DIRECTORY, SYNC, SEND], "in 0 writes"),
    ("written twice", GOOD[:3] + [WRITE, SYNC, SEND], "in 2 writes"),
    ("no answer", GOOD[:4], "no answer"),
    ("directory not synced", [OPEN, WRITE, SYNC, SEND], "the entry of"),
    ("directory synced too early", [DIRECTORY, OPEN, WRITE, SYNC, SEND], "the entry of"),
    ("directory synced too late", [OPEN, WRITE, SYNC, SEND, DIRECTORY], "the entry of"),
]


def check_the_rules():
    bad = []
    for name, lines, want in TRACES:
        got = Trace(lines).wrong("up-1.", 555, 0)
        if (got is None) != (want is None) or (want and want not in got):
            bad.append("hand-made trace '%s': %r, should be %r" % (name, got, want))
    return bad


# The real one.


def upload_all(port, uploader, n, sent, lock):
    """n uploads on one connection; notes (marker, local port, its place there) of those answered 200."""
    c, local = http.client.HTTPConnection("127.0.0.1", port, timeout=60), None
    c.connect()
    local = c.sock.getsockname()[1]
    for i in range(n):
        marker = "upload-%d-%d." % (uploader, i)
        wide = ";".join("%sframe%d" % (marker.replace(".", "_"), k) for k in range(60))
        status = None
        while status in (None, 429, 503):  # the small head may be full for a moment
            c.request("POST", "/ingest?name=sync%d.cpu&from=%d" % (uploader % 3, 1795000000 + i),
                      ("main;%s;%s 5\n" % (marker, wide)).encode(), {"X-Scope-OrgID": "t"})
            r = c.getresponse()
            r.read()
            status = r.status
            if status in (429, 503):
                time.sleep(0.02)
        with lock:
            sent.append((marker, local, i, status, c.sock and c.sock.getsockname()[1] == local))
    c.close()


def record(build, uploads):
    """Runs the server under strace; the trace's lines and what was sent."""
    folder = tempfile.mkdtemp(prefix="everflame-strace-")
    out = os.path.join(folder, "trace")
    wrap = ["strace", "-f", "-yy", "-s", "1000000", "-o", out, "-e", "trace=" + CALLS, "-e",
            "inject=fdatasync:delay_enter=4000"]
    sent, lock = [], threading.Lock()
    try:
        s = Server(build, FLAGS, wrap=wrap)
        try:
            s.start()
            threads = [threading.Thread(target=upload_all, args=(s.port, u, uploads // UPLOADERS, sent, lock))
                       for u in range(UPLOADERS)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
        finally:
            code = stop_below(s)
            shutil.rmtree(s.dir, ignore_errors=True)
        with open(out, encoding="latin-1") as f:
            return f.read().split("\n")[:-1], sent, code
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stop_below(s):
    """strace passes no signal on: the server itself is told; strace ends with its status."""
    if s.process and s.process.poll() is None:
        with open("/proc/%d/task/%d/children" % (s.process.pid, s.process.pid), encoding="ascii") as f:
            for child in f.read().split():
                os.kill(int(child), signal.SIGTERM)
        return s.process.wait(120)
    return s.stop()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build", nargs="?", default="build")
    p.add_argument("--uploads", type=int, default=800)
    a = p.parse_args()
    bad = check_the_rules()
    passed = len(TRACES) - len(bad)
    if not shutil.which("strace"):
        bad.append("strace is not installed (scripts/packages.txt names it)")
    else:
        lines, sent, code = record(a.build, a.uploads)
        trace = Trace(lines)
        found = [(marker, trace.wrong(marker, port, nth)) for marker, port, nth, _, _ in sent]
        bad += ["%s %s" % f for f in found if f[1]]
        passed += sum(1 for f in found if not f[1])
        batches = trace.batches([f[0] for f in found])
        files = {path_of(c) for c in trace.wal_writes if "upload-" in c.args}
        print("%d uploads in %d batches, the largest of %d; %d log files with uploads; %d lines of strace" % (
            len(sent), len(batches), max(batches or [0]), len(files), len(lines)))
        checks = [("the server ends with 0", code == 0), ("all were answered 200 on one connection", len(sent) ==
                  a.uploads // UPLOADERS * UPLOADERS and all(m[3] == 200 and m[4] for m in sent)),
                  ("uploads share batches", max(batches or [0]) > 1), ("several log files", len(files) > 1)]
        bad += ["not so: " + name for name, good in checks if not good]
        passed += sum(1 for _, good in checks if good)
    for line in bad[:20]:
        print("FAIL " + line)
    print("%d passed, %d failed" % (passed, len(bad)))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
