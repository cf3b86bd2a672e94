#!/usr/bin/env python3
"""kill -9 under load, again and again on one directory, against a ledger of our own.

    tests/integration/test_kill.py [BUILD_DIRECTORY] [--rounds N] [--seed S]

Eight threads upload (folded text, push JSON with several series, a recorded Java flight recording), each
upload with a time and values of its own. At a random moment the server is killed. After the restart, by
queries alone:

    answered 2xx            there, whole, once
    answered 429 or 503     not there ("nothing stored"), unless a retry was answered otherwise
    unanswered at the kill  whole and once, or not at all; what it was found to be it stays
    anything else           not there: no other time, label set, profile type, stack or value

Some uploads go to tenants of their own, with times that the retention is about to pass: they must be there until
then, may go afterwards, whole, and never come back.

A round starts the server, checks everything since the first round (from the 30th on only every tenth round
does, the others what the last three rounds uploaded), loads and kills. Some kills hit a server that is just
starting (replay, the cut of what earlier rounds left, retention) or is asked to stop (the cut at shutdown), some
just when a log, a block or a marker appears or goes. The head is small, so that cuts happen under load too. Nothing
a kill leaves may be called damaged.

What a kill met is read off the disk and the log of the dead server: blocks without a marker, a marker beside its
log, files half written (cut); some expired blocks gone and some not, or called retired and still there
(retention); no word of a finished replay. Twenty rounds or more must have met each of them.

Standard library only. The last line is 'N passed, N failed'; a round is a case. The seed is printed, but
which upload meets the kill is up to the scheduler.
"""
import argparse
import base64
import collections
import http.client
import json
import os
import random
import re
import shutil
import signal
import struct
import sys
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from query import CPU, Wrong, flame, rpc  # noqa: E402
from server import OLD_DATA, Server  # noqa: E402

T0 = (int(time.time()) // 3600 - 24) * 3600000  # ms; upload i is at T0 + i seconds
UPLOADERS, TENANTS, PER_ROUND = 8, ("red", "green", "blue"), 4000
EXPIRING, DAYS, SOON_MS = tuple("old-%d" % i for i in range(8)), 30, 1500
FLAGS = [f for f in OLD_DATA if "retention" not in f and "lookback" not in f] + [
    "-store.head-bytes=24MB", "-retention-period=%dd" % DAYS, "-querier.max-query-lookback=%dd" % (2 * DAYS)]
GROUP = ["service_name", "kind", "controller", "user"]
SAMPLES = "process_cpu:samples:count:cpu:nanoseconds"
HEAP = "memory:inuse_space:bytes::"
RECORDING = os.path.join(os.path.dirname(HERE), "conformance", "captures", "java-rfc")


# Uploads: bytes to send and what they must become.


class Upload:
    """rows: {(type, labels): value}; stacks: {(type, service): {path: self}}; all at `ms`."""

    def __init__(self, number, tenant):
        self.number, self.tenant, self.ms = number, tenant, T0 + number * 1000
        self.rows, self.stacks = {}, {}
        self.target = self.headers = self.body = None

    def row(self, kind, labels, stacks, scale=1):
        key = (kind, tuple(labels.get(name, "") for name in GROUP))
        self.rows[key] = self.rows.get(key, 0) + scale * sum(stacks.values())
        tree = self.stacks.setdefault((kind, labels["service_name"]), {})
        for path, value in stacks.items():
            tree[path] = tree.get(path, 0) + scale * value

    def drop_request(self):
        self.target = self.headers = self.body = None


def stacks_of(number, salt):
    """Three stacks, one below a frame that is rare, so that each upload brings symbols of its own."""
    own = "u%d" % (number % 509)
    return {("main", "shared", own, "leaf"): number + 1 + salt,
            ("main", own, "x%d" % (number % 7)): number * 7919 % 1000 + 1,
            ("main", "idle"): 1 + salt}


def ingest_target(name, ms, **more):
    query = dict({"name": name, "from": ms, "until": ms + 1000}, **more)
    return "/ingest?" + urllib.parse.urlencode(query)


def folded(number, tenant):
    u = Upload(number, tenant)
    heap = number % 3 == 0
    service, kind = "folded-%d" % (number % 4), "k%d" % (number % 5)
    stacks = stacks_of(number, 0)
    u.row(HEAP if heap else CPU, {"service_name": service, "kind": kind}, stacks, 1 if heap else 10000000)
    u.target = ingest_target("%s.%s{kind=%s}" % (service, "inuse_space" if heap else "cpu", kind), u.ms)
    u.headers = {}
    u.body = "".join("%s %d\n" % (";".join(p), v) for p, v in stacks.items()).encode()
    return u


def varint(x):
    out = b""
    while x > 127:
        out += bytes([x & 127 | 128])
        x >>= 7
    return out + bytes([x])


def field(n, value):
    if isinstance(value, int):
        return varint(n << 3) + varint(value)
    return varint(n << 3 | 2) + varint(len(value)) + value


def pprof(stacks, ms, period):
    """A profile with the sample types samples/count and cpu/nanoseconds, written by hand."""
    strings = ["", "samples", "count", "cpu", "nanoseconds"]
    frames, out = {}, field(1, field(1, 1) + field(2, 2)) + field(1, field(1, 3) + field(2, 4))
    for path, value in stacks.items():
        for frame in path:
            if frame not in frames:
                frames[frame] = len(frames) + 1
                strings.append(frame)
        ids = b"".join(varint(frames[f]) for f in reversed(path))
        out += field(2, field(1, ids) + field(2, varint(value) + varint(value * period)))
    for frame, n in frames.items():
        out += field(4, field(1, n) + field(4, field(1, n)))
        out += field(5, field(1, n) + field(2, strings.index(frame)))
    for s in strings:
        out += field(6, s.encode())
    return out + field(9, ms * 1000000) + field(11, field(1, 3) + field(2, 4)) + field(12, period)


def pushed(number, tenant):
    """One request, three series in two services: whole or not at all."""
    u, series = Upload(number, tenant), []
    for i, service in enumerate(("push-a", "push-a", "push-b")):
        stacks = stacks_of(number, i)
        labels = {"__name__": "process_cpu", "service_name": service, "kind": "p%d" % i}
        for kind, scale in ((SAMPLES, 1), (CPU, 1000)):
            u.row(kind, labels, stacks, scale)
        raw = base64.b64encode(pprof(stacks, u.ms, 1000)).decode()
        series.append({"labels": [{"name": k, "value": v} for k, v in labels.items()],
                       "samples": [{"rawProfile": raw}]})
    u.target, u.headers = "/push.v1.PusherService/Push", {"Content-Type": "application/json"}
    u.body = json.dumps({"series": series}).encode()
    return u


class Recording:
    """A recorded upload of the Java agent. What it becomes is learned once, on a server nobody kills."""

    def __init__(self, build):
        with open(os.path.join(RECORDING, "manifest.jsonl"), encoding="utf-8") as f:
            entry = json.loads(f.readline())
        with open(os.path.join(RECORDING, entry["body"]), "rb") as f:
            self.body = f.read()
        self.content_type = dict(entry["headers"])["Content-Type"]
        u = Upload(0, "red")
        self.request(u)
        with Server(build, FLAGS) as s:
            answer = Client(s.port).send(u)
            if answer != 200:
                raise Wrong("the recording was answered %s" % answer)
            have, trees = read_series(s, "red"), read_trees(s, "red", *FOREVER)
        self.rows = {key: points[T0] for key, points in have.items()}
        self.stacks = trees
        times = {t for points in have.values() for t in points}
        if times != {T0} or len(self.rows) < 10 or len(trees) < 4 or CPU not in {k for k, _ in trees}:
            raise Wrong("the recording became %r" % self.rows)

    def request(self, u):
        u.target = ingest_target("jvm{kind=jfr}", u.ms, format="jfr", spyName="javaspy", sampleRate=100)
        u.headers, u.body = {"Content-Type": self.content_type}, self.body

    def upload(self, number, tenant):
        u = Upload(number, tenant)
        u.rows, u.stacks = self.rows, self.stacks
        self.request(u)
        return u


# Talking to the server.


class Client:
    """One connection. send() returns a status, "unsent" (nothing left this process) or "unanswered"."""

    def __init__(self, port):
        self.port, self.http = port, None

    def send(self, u):
        if self.http is None:
            self.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                self.http.connect()
            except OSError:
                self.http = None
                return "unsent"
        try:
            self.http.request("POST", u.target, u.body, dict(u.headers, **{"X-Scope-OrgID": u.tenant}))
            r = self.http.getresponse()
            self.text = r.read()
            return r.status
        except (OSError, http.client.HTTPException):
            self.http.close()
            self.http = None
            return "unanswered"


FOREVER = (1000, T0 * 2)
SERIES_UNTIL = T0 + 60 * 24 * 3600000  # the grid of SelectSeries has an end


def datasets(s, tenant, start, end):
    """{type: [service]}"""
    out = {}
    q = {"start": start, "end": end, "matchers": ["{}"], "labelNames": ["service_name", "__profile_type__"]}
    for one in rpc(s, "Series", q, tenant).get("labelsSet", []):
        labels = {p["name"]: p["value"] for p in one["labels"]}
        out.setdefault(labels["__profile_type__"], []).append(labels["service_name"])
    return out


def read_series(s, tenant, start=T0, end=SERIES_UNTIL):
    """{(type, labels): {ms: value}}; a point is one second, so one upload, or what should not be.

    The first point of an answer is of more than a second: one more is asked for, and left out.
    """
    out = {}
    for kind in datasets(s, tenant, start, end):
        q = {"profileTypeID": kind, "labelSelector": "{}", "start": start - 1000, "end": end, "step": 1,
             "groupBy": GROUP}
        for one in rpc(s, "SelectSeries", q, tenant).get("series", []):
            labels = {p["name"]: p["value"] for p in one.get("labels", [])}
            points = out.setdefault((kind, tuple(labels.get(n, "") for n in GROUP)), {})
            points.update((int(p["timestamp"]), p["value"]) for p in one.get("points", [])
                          if int(p["timestamp"]) >= start)
    return {key: points for key, points in out.items() if points}


def read_trees(s, tenant, start, end):
    """{(type, service): {path: self}}"""
    out = {}
    for kind, services in datasets(s, tenant, start, end).items():
        for service in services:
            tree = flame(s, kind, '{service_name="%s"}' % service, start, end, tenant)
            if tree:
                out[(kind, service)] = tree
    return out


def add_trees(to, stacks):
    for key, tree in stacks.items():
        mine = to.setdefault(key, {})
        for path, value in tree.items():
            mine[path] = mine.get(path, 0) + value


# The ledger: what must be there, and what may be.


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.number = 0  # of the last upload; the first is 1
        self.counts = collections.Counter()
        self.points = {t: {} for t in TENANTS}  # {(type, labels): {ms: value}}
        self.trees = {t: {} for t in TENANTS}  # {(type, service): {path: self}}
        self.recent = {t: [] for t in TENANTS}  # uploads of the last rounds
        self.begins = [0]  # the first upload of each round
        self.open = []  # unanswered
        self.acknowledged = {t: collections.deque(maxlen=400) for t in TENANTS}

    def next_number(self):
        with self.lock:
            self.number += 1
            return self.number

    def is_there(self, u):
        """From now on it must be."""
        with self.lock:
            for key, value in u.rows.items():
                self.points[u.tenant].setdefault(key, {})[u.ms] = value
            add_trees(self.trees[u.tenant], u.stacks)
            u.drop_request()
            self.recent[u.tenant].append(u)
            self.acknowledged[u.tenant].append(u)

    def settle(self, tenant, have):
        """Unanswered uploads: whole, or not at all."""
        for u in [u for u in self.open if u.tenant == tenant]:
            found = {key for key in u.rows if u.ms in have.get(key, {})}
            if found and found != set(u.rows):
                raise Wrong("upload %d of %s is there in part: %d of %d rows, without %r" % (
                    u.number, tenant, len(found), len(u.rows), sorted(set(u.rows) - found)[:3]))
            self.open.remove(u)
            self.counts["unanswered and stored" if found else "unanswered and not stored"] += 1
            if found:
                self.is_there(u)

    def check(self, s):
        """Everything there is."""
        for tenant in TENANTS:
            have = read_series(s, tenant)
            self.settle(tenant, have)
            same(have, self.points[tenant], "points of " + tenant)
            same(read_trees(s, tenant, *FOREVER), self.trees[tenant], "stacks of " + tenant)

    def check_last_rounds(self, s):
        """What the last rounds uploaded; the same questions about less time."""
        first = self.begins[-min(3, len(self.begins))]
        start = T0 + first * 1000
        for tenant in TENANTS:
            have, trees = read_series(s, tenant, start), {}
            self.settle(tenant, have)
            points = {key: {ms: v for ms, v in p.items() if ms >= start} for key, p in self.points[tenant].items()}
            same(have, {key: p for key, p in points.items() if p}, "points of " + tenant)
            self.recent[tenant] = [u for u in self.recent[tenant] if u.number >= first]
            for u in self.recent[tenant]:
                add_trees(trees, u.stacks)
            same(read_trees(s, tenant, start, FOREVER[1]), trees, "stacks of " + tenant)

    def next_round(self):
        self.begins.append(self.number + 1)

    def check_recent(self, s, tenant):
        """While uploads come: what was acknowledged before the question is in the answer."""
        with self.lock:
            due = list(self.acknowledged[tenant])
        if not due:
            return
        first, last = min(u.ms for u in due), max(u.ms for u in due)
        have = read_series(s, tenant, first, last)
        for u in due:
            for key, value in u.rows.items():
                got = have.get(key, {}).get(u.ms)
                if got != value:
                    raise Wrong("upload %d of %s was acknowledged; a query then finds %r, not %r, for %r" % (
                        u.number, tenant, got, value, key))


def same(have, want, what):
    if have == want:
        return
    lines = []
    for key in sorted(set(have) | set(want)):
        a, b = have.get(key, {}), want.get(key, {})
        for at in sorted(set(a) | set(b)):
            if a.get(at) != b.get(at):
                lines.append("%r at %r: there is %r, should be %r" % (key, at, a.get(at), b.get(at)))
    raise Wrong("%s: %d differences\n    %s" % (what, len(lines), "\n    ".join(lines[:10])))


class Expiring:
    """Uploads that the retention is about to pass: {tenant: {ms: value}}."""

    def __init__(self):
        self.lock, self.last, self.counts = threading.Lock(), 0, collections.Counter()
        self.stored, self.open = {t: {} for t in EXPIRING}, {t: {} for t in EXPIRING}

    def upload(self, client, rng):
        u = Upload(0, rng.choice(EXPIRING))
        with self.lock:  # no two have one time
            self.last = u.ms = max(self.last + 1, expired_ms() + SOON_MS)
        value = u.ms % 997 + 1
        u.target, u.headers = ingest_target("expiring.cpu", u.ms), {}
        u.body = b"main;old %d\n" % value
        answer = client.send(u)
        self.counts[str(answer)] += 1
        if answer == 200:
            self.stored[u.tenant][u.ms] = value * 10000000
        elif answer == "unanswered":
            self.open[u.tenant][u.ms] = value * 10000000
        elif answer not in ("unsent", 400, 422, 429, 503):
            raise Wrong("an upload of %s was answered %s: %s" % (u.tenant, answer, client.text[:500]))

    def check(self, s):
        """What is due may be gone; what is not is there; what was gone, or never was, does not come."""
        for tenant in EXPIRING:
            stored, due = self.stored[tenant], expired_ms()
            have = self.read(s, tenant)
            for ms, value in have.items():
                if stored.get(ms, self.open[tenant].get(ms)) != value:
                    raise Wrong("%s has %r at %d, not %r" % (tenant, value, ms, stored.get(ms)))
            gone = [ms for ms in stored if ms not in have]
            if any(ms > due for ms in gone):
                raise Wrong("%s: %r is gone before its time, %d" % (tenant, max(gone), due))
            self.counts["expired"] += len(gone)
            self.stored[tenant], self.open[tenant] = have, {}

    @staticmethod
    def read(s, tenant):
        out, start, end = {}, expired_ms() - 40 * 60000, expired_ms() + 60000
        for kind in datasets(s, tenant, start, end):
            q = {"profileTypeID": kind, "labelSelector": "{}", "start": start, "end": end, "step": 0.001}
            for one in rpc(s, "SelectSeries", q, tenant).get("series", []):
                out.update((int(p["timestamp"]), p["value"]) for p in one.get("points", []))
        return out


def expired_ms():
    """What is older may go."""
    return int(time.time() * 1000) - DAYS * 86400000


# A round.


class Load:
    def __init__(self, server, ledger, recording, expiring, seed):
        self.server, self.ledger, self.recording, self.seed = server, ledger, recording, seed
        self.expiring = expiring
        self.over = threading.Event()  # set before the kill
        self.left, self.errors = PER_ROUND, []
        self.threads = [threading.Thread(target=self.guard, args=(self.upload_all, i)) for i in range(UPLOADERS)]
        self.threads.append(threading.Thread(target=self.guard, args=(self.ask_all, UPLOADERS)))
        for t in self.threads:
            t.start()

    def join(self):
        self.over.set()
        for t in self.threads:
            t.join()
        if self.errors:
            raise self.errors[0]

    def guard(self, fn, i):
        try:
            fn(random.Random("%s %d" % (self.seed, i)))
        except Exception as x:  # a thread may fail in any way; the round reports it
            self.errors.append(x)

    def make(self, rng):
        number, tenant, dice = self.ledger.next_number(), rng.choice(TENANTS), rng.random()
        if dice < 0.02:
            return self.recording.upload(number, tenant)
        return pushed(number, tenant) if dice < 0.2 else folded(number, tenant)

    def upload_all(self, rng):
        client = Client(self.server.port)
        while not self.over.is_set() and self.left > 0:
            self.left -= 1
            if rng.random() < 0.05:
                self.expiring.upload(client, rng)
            else:
                self.upload(client, self.make(rng))

    def upload(self, client, u):
        while True:
            answer = client.send(u)
            self.ledger.counts[str(answer)] += 1
            if answer == 200:
                return self.ledger.is_there(u)
            if answer == "unanswered":
                u.drop_request()
                self.ledger.open.append(u)
                if not self.over.is_set():
                    raise Wrong("upload %d was not answered though the server lives" % u.number)
                return None
            if answer == "unsent" and not self.over.is_set():
                raise Wrong("no connection though the server lives")
            if answer not in ("unsent", 429, 503):
                raise Wrong("upload %d was answered %s: %s" % (u.number, answer, client.text[:500]))
            if self.over.wait(0.01):
                return None

    def ask_all(self, rng):
        while not self.over.is_set():
            try:
                self.ledger.check_recent(self.server, rng.choice(TENANTS))
            except (OSError, http.client.HTTPException):
                if not self.over.is_set():
                    raise
            self.over.wait(0.05)


def complaints(s):
    """What no kill of the process may lead to. The kernel may stop the last write of a log between two
    pages: that tail was acknowledged to nobody, or the ledger would say so."""
    wrong = re.compile(r"level=(warn|error)|damaged=[1-9]|Sanitizer")
    usual = re.compile(r'msg="(request|torn tail of the write-ahead log left out)')
    bad = [line for line in s.logged().split("\n") if wrong.search(line) and not usual.search(line)]
    text = s.request("GET", "/metrics")[2].decode()
    for name in ("everflame_wal_damaged_batches_total", "everflame_blocks_damaged", "everflame_foreign_files"):
        m = re.search(r"^%s(?:\{[^}]*\})? (\S+)$" % name, text, re.M)
        if m and float(m.group(1)):
            bad.append(m.group(0))
    kept = os.path.join(s.data, "quarantine")
    bad += ["quarantine/" + n for n in (os.listdir(kept) if os.path.isdir(kept) else [])]
    if bad:
        raise Wrong("after kills the server complains:\n    " + "\n    ".join(bad[-10:]))


# What a kill meets.


def files_below(folder):
    return {os.path.relpath(os.path.join(d, n), folder) for d, _, names in os.walk(folder) for n in names}


def markers(data):
    """{epoch}, {paths of blocks}, {paths of retired blocks}"""
    epochs, blocks, retired = set(), set(), set()
    for name in files_below(os.path.join(data, "epochs")):
        epochs.add(name.split(".")[0])
        with open(os.path.join(data, "epochs", name), encoding="utf-8") as f:
            for line in f:
                words = line.split()
                if words[0] == "block":
                    blocks.add(words[3])
                elif words[0] == "retired":
                    retired.add(words[1])
    return epochs, blocks, retired


def note_kill(s, log_from, met):
    """Counts what the dead server was in the middle of, as its directory and its log show."""
    epochs, blocks, retired = markers(s.data)
    files, logs = files_below(os.path.join(s.data, "blocks")), files_below(os.path.join(s.data, "wal"))
    half = files_below(os.path.join(s.data, "tmp"))
    log = s.logged()[log_from:]
    met["cut: a block half written"] += any(n.endswith(".efb") for n in half)
    met["cut: blocks without a marker"] += bool(files - blocks - retired)
    met["cut: a marker beside its log"] += any(n.split("-")[0] in epochs for n in logs)
    met["retention: called retired, still there"] += bool(files & retired)
    met["retention: some gone, some not"] += "block retired" in log and any(
        b.startswith(EXPIRING) for b in blocks & files)
    met["replay: not over"] += bool(logs) and "write-ahead log replayed" not in log


def wait_for(condition, seconds):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        pass


def moment_of(s, what, rng):
    """Returns when the starting server is at it, or at a random moment."""
    if what == "replay":
        time.sleep(rng.uniform(0, 0.02))
        return
    below = os.path.join(s.data, {"marker": "epochs", "log": "wal", "blocks": "blocks", "expiry": "blocks"}[what])
    before = files_below(below)
    if what == "expiry":
        wait_for(lambda: before.difference(files_below(below)) or before.update(files_below(below)), 1.5)
    else:
        wait_for(lambda: files_below(below) != before, 1.5)
    time.sleep(rng.choice((0, 0, rng.uniform(0, 0.003))))


def kill_while_starting(s, rng, what, met):
    begun = os.path.getsize(s.log) if os.path.exists(s.log) else 0

    def strike():
        while s.process is None:
            time.sleep(0.0005)
        process = s.process
        moment_of(s, what, rng)
        process.kill()

    t = threading.Thread(target=strike)
    t.start()
    try:
        s.start()
    except AssertionError:
        pass  # it died before it was ready, as it should
    t.join()
    if s.process:
        s.process.wait()
        s.process = None
    note_kill(s, begun, met)


MOMENTS = ("blocks", "expiry", "replay", "expiry", "marker", "log")


def one_round(s, ledgers, recording, rng, way, everything, met):
    ledger, expiring = ledgers
    begun = os.path.getsize(s.log) if os.path.exists(s.log) else 0
    s.start()
    ledger.check(s) if everything else ledger.check_last_rounds(s)
    expiring.check(s)
    ledger.next_round()
    complaints(s)
    load = Load(s, ledger, recording, expiring, rng.random())
    time.sleep(rng.uniform(0.05, 0.7))
    load.over.set()
    if way == "stopping":
        s.process.send_signal(signal.SIGTERM)
        time.sleep(rng.uniform(0, 0.08))
    s.kill()
    load.join()
    note_kill(s, begun, met)
    if way == "starting":
        for what in rng.sample(MOMENTS, 3):
            kill_while_starting(s, rng, what, met)


def finish(s, ledger, expiring):
    """What the last kill left; and the same after a stop that was not a kill."""
    for _ in range(2):
        s.start()
        ledger.check(s)
        expiring.check(s)
        complaints(s)
        code = s.stop()
        if code:
            raise Wrong("the server ended with %d" % code)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build", nargs="?", default="build")
    p.add_argument("--rounds", type=int, default=20)
    p.add_argument("--seed", type=int, default=struct.unpack("<I", os.urandom(4))[0])
    a = p.parse_args()
    print("seed %d" % a.seed, flush=True)
    rng, ledger, recording, expiring = random.Random(a.seed), Ledger(), Recording(a.build), Expiring()
    s = Server(a.build, FLAGS)
    passed = failed = 0
    ways, met = collections.Counter(), collections.Counter()
    try:
        for n in range(a.rounds):
            way = ("loaded", "starting", "loaded", "stopping", "starting")[n % 5]
            ways[way] += 1
            one_round(s, (ledger, expiring), recording, rng, way, n < 30 or n % 10 == 0, met)
            passed += 1
        finish(s, ledger, expiring)
        for part in ("cut", "retention", "replay"):
            if a.rounds >= 20 and not sum(n for what, n in met.items() if what.startswith(part)):
                raise Wrong("no kill met the %s" % part)
        passed += 1
    except Exception as x:  # the state is no longer known: no further rounds
        failed += 1
        print("FAIL round %d: %s: %s\n%s" % (passed, type(x).__name__, x, s.logged()[-3000:]))
    finally:
        s.stop()
        shutil.rmtree(s.dir, ignore_errors=True)
    print("%d uploads, %s; rounds %s" % (ledger.number, dict(ledger.counts), dict(ways)))
    print("expiring %s; kills met %s" % (dict(expiring.counts), dict(met)))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
