#!/usr/bin/env python3
"""A disk that is really full, or really read-only, below the real server, against the ledger of test_kill.py.

    tests/integration/test_disk.py [BUILD_DIRECTORY]

The script runs itself in a user and mount namespace of its own (`unshare -rm`) and gives the server a small
tmpfs as its data directory. Where that is not allowed the test fails: it is never skipped.

    full                an upload is answered 503 with the reason, /ready and the metric say so, questions are
                        answered; when there is room again uploads work, in the same process
    full under load     the same, again and again, while eight threads upload and one asks
    killed, full        kill -9 on the full disk; a start on it shows what is there and refuses uploads, until there
                        is room
    stopped, full       SIGTERM on the full disk: the cut cannot be written, the log has everything
    read-only           the directory becomes read-only: the next log or block cannot be made

After each: everything that was answered 200 is there, once, and nothing that was answered 503; also after a
restart. Uploads without an answer (nobody can know) are whole or not at all. Standard library only; the last
line is 'N passed, N failed'.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.dirname(HERE))
from query import Wrong  # noqa: E402
from server import OLD_DATA, Server  # noqa: E402
from test_kill import Client, Ledger, TENANTS, folded, pushed  # noqa: E402

SIZE_MB, LEFT_BYTES, PATIENCE_S = 48, 300 * 1024, 30
FULL, READ_ONLY = "No space left on device", "Read-only file system"


class Disk:
    """A tmpfs. Its first directory handle stays writable when a read-only mount lies above."""

    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="everflame-disk-")
        self.mount("-t", "tmpfs", "-o", "size=%dm" % SIZE_MB, "tmpfs")
        self.handle = os.open(self.path, os.O_RDONLY)
        self.above = False

    def mount(self, *options):
        subprocess.run(["mount", *options, self.path], check=True)

    def close(self):
        os.close(self.handle)
        for _ in range(1 + self.above):
            subprocess.run(["umount", "--lazy", self.path], check=True)
        os.rmdir(self.path)

    def fill(self):
        """All but a little, in steps: the server writes meanwhile."""
        with open("filler", "ab", opener=lambda n, f: os.open(n, f, 0o600, dir_fd=self.handle)) as f:
            while True:
                s = os.fstatvfs(self.handle)
                more = s.f_bavail * s.f_frsize - LEFT_BYTES
                if more <= 0:
                    return
                f.write(bytes(min(more, 1 << 20)))
                f.flush()

    def empty(self):
        os.unlink("filler", dir_fd=self.handle)

    def read_only(self, yes):
        if not self.above:
            self.mount("--bind", self.path)
            self.above = True
        self.mount("-o", "remount,bind," + ("ro" if yes else "rw"))


class OnDisk(Server):
    def start_refusing(self):
        """A start that does not wait for /ready."""
        self.ready = lambda: True
        self.start()
        del self.ready


class Uploads:
    """Threads that upload until they are told to stop; 503 is tried again with another upload."""

    def __init__(self, s, ledger, threads=8):
        self.s, self.ledger, self.over, self.errors = s, ledger, threading.Event(), []
        self.refused, self.stored, self.reason = 0, 0, ""
        self.threads = [threading.Thread(target=self.guard, args=(i,)) for i in range(threads)]
        for t in self.threads:
            t.start()

    def guard(self, i):
        try:
            self.run(Client(self.s.port), i)
        except Exception as x:  # reported by stop()
            self.errors.append(x)

    def run(self, client, i):
        while not self.over.is_set():
            n = self.ledger.next_number()
            u = (pushed if n % 5 == 0 else folded)(n, TENANTS[(n + i) % len(TENANTS)])
            answer = client.send(u)
            if answer == 200:
                self.ledger.is_there(u)
                self.stored += 1
            elif answer == 503:
                self.refused += 1
                self.reason = client.text.decode()
                self.over.wait(0.005)
            elif answer == "unanswered":
                u.drop_request()
                self.ledger.open.append(u)
            elif answer != "unsent" or not self.over.is_set():
                raise Wrong("upload %d was answered %s: %s" % (n, answer, getattr(client, "text", b"")[:300]))

    def until(self, what, condition):
        until = time.monotonic() + PATIENCE_S
        while not condition():
            if self.errors:
                raise self.errors[0]
            if time.monotonic() > until:
                raise Wrong("waited %d s for %s" % (PATIENCE_S, what))
            time.sleep(0.005)

    def stop(self):
        self.over.set()
        for t in self.threads:
            t.join()
        if self.errors:
            raise self.errors[0]


def metric(s, name):
    text = s.request("GET", "/metrics")[2].decode()
    return sum(float(v) for v in re.findall(r"^%s(?:\{[^}]*\})? (\S+)$" % name, text, re.M))


def refused(s, load, why):
    """Uploads are refused, for this reason, and whoever asks is told."""
    before = load.refused
    load.until("503", lambda: load.refused > before + 20 and why in load.reason)
    status, _, body = s.request("GET", "/ready")
    if status != 503 or why.encode() not in body:
        raise Wrong("/ready is %d %r while uploads are refused: %s" % (status, body, load.reason))
    if metric(s, "everflame_store_writable") != 0 or metric(s, "everflame_wal_failures_total") == 0:
        raise Wrong("the metrics do not say that uploads are refused")


def works(s, load):
    """By itself, in the same process."""
    before = load.stored
    load.until("uploads to work again", lambda: load.stored > before + 100 and s.ready())
    if s.process.poll() is not None or metric(s, "everflame_store_writable") != 1:
        raise Wrong("the server is not what it was")


def case_full(disk, s, ledger):
    s.start()
    load = Uploads(s, ledger)
    works(s, load)
    disk.fill()
    refused(s, load, FULL)
    load.stop()
    ledger.check(s)  # on the full disk
    if s.request("GET", "/ready")[0] != 503:
        raise Wrong("/ready is not 503 on a full disk")
    disk.empty()
    load = Uploads(s, ledger)
    works(s, load)
    load.stop()
    ledger.check(s)


def case_full_under_load(disk, s, ledger):
    s.start()
    load = Uploads(s, ledger)
    for _ in range(5):
        works(s, load)
        disk.fill()
        refused(s, load, FULL)
        ledger.check_recent(s, TENANTS[0])
        disk.empty()
    works(s, load)
    load.stop()
    ledger.check(s)


def filled(disk, s, ledger):
    s.start()
    load = Uploads(s, ledger)
    works(s, load)
    disk.fill()
    refused(s, load, FULL)
    return load


def case_killed_full(disk, s, ledger):
    load = filled(disk, s, ledger)
    load.over.set()
    s.kill()
    load.stop()
    s.start_refusing()
    load = Uploads(s, ledger)
    refused(s, load, FULL)
    load.stop()
    ledger.check(s)
    disk.empty()
    load = Uploads(s, ledger)
    works(s, load)
    load.stop()
    ledger.check(s)


def case_stopped_full(disk, s, ledger):
    load = filled(disk, s, ledger)
    load.stop()
    code = s.stop()
    if code:
        raise Wrong("the server ended with %d" % code)
    if not os.listdir(os.path.join(s.data, "wal")):
        raise Wrong("the log is gone though nothing could be cut")
    disk.empty()


def case_read_only(disk, s, ledger):
    s.flags.append("-store.head-bytes=24MB")  # so that a cut comes soon, and with it a new log
    s.start()
    load = Uploads(s, ledger)
    works(s, load)
    disk.read_only(True)
    refused(s, load, READ_ONLY)
    load.stop()
    ledger.check(s)
    disk.read_only(False)
    load = Uploads(s, ledger)
    works(s, load)
    load.stop()
    ledger.check(s)


def run(build, case):
    disk, ledger = Disk(), Ledger()
    s = OnDisk(build, OLD_DATA, data=os.path.join(disk.path, "data"))
    try:
        case(disk, s, ledger)
        for _ in range(2):  # what a stop or a kill left, then what a stop leaves
            code = s.stop()
            if code:
                raise Wrong("the server ended with %d" % code)
            s.start()
            ledger.check(s)
        return None
    except Exception as x:
        return "%s: %s\n%s" % (type(x).__name__, x, s.logged()[-2500:])
    finally:
        s.stop()
        shutil.rmtree(s.dir, ignore_errors=True)
        disk.close()
        print("%s: %d uploads, %d of them unanswered and %s" % (
            case.__name__, ledger.number, sum(ledger.counts.values()), dict(ledger.counts)), flush=True)


CASES = (case_full, case_full_under_load, case_killed_full, case_stopped_full, case_read_only)


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    if os.environ.get("EVERFLAME_NAMESPACE") != "1":
        done = subprocess.run(["unshare", "-rm", sys.executable, os.path.abspath(__file__), build],
                              env=dict(os.environ, EVERFLAME_NAMESPACE="1"))
        if done.returncode not in (0, 1):
            print("FAIL: no namespace with mounts of our own\n0 passed, 1 failed")
        return done.returncode and 1
    passed = failed = 0
    for case in CASES:
        why = run(build, case)
        passed, failed = passed + (why is None), failed + (why is not None)
        if why:
            print("FAIL %s: %s" % (case.__name__, why))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
