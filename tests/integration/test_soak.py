#!/usr/bin/env python3
"""Ten times the load of nine Java services, with merges and retention at work, against an exact ledger.

    tests/integration/test_soak.py [BUILD_DIRECTORY] [--rounds N] [--days D] [--seed S]

In a round, one a second, nine services upload a recorded flight recording each: what they send in real life
every ten seconds. Profile time goes D days in N rounds and ends now; every tenth upload is late by up to 36
hours. The retention of the tenant follows KEEP days behind, by the file of limits that the server reads
again, so days expire as they are merged. The head is small and has at most 64 hours: cuts under way all the
time. A thread asks all along: timelines, flame graphs and label values over an hour up to two days, each
answer bounded by what was acknowledged before the question and what had been sent after it.

What a recording becomes (totals and stacks) is learned on a server of its own. From that and from what was
acknowledged follows what must be there, per profile type, service and hour, once: within the retention exactly
that, beyond it no more than that, and nothing of days that are wholly beyond it. The same after a restart.

Nothing depends on how long something takes; a round is late on a slow machine, and waiting ends with a failure
after minutes. Standard library only. The last line is 'N passed, N failed'.
"""
import argparse
import collections
import http.client
import json
import os
import queue
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from query import CPU, Wrong, flame, rpc  # noqa: E402
from server import OLD_DATA, Server, binary  # noqa: E402

SERVICES, SENDERS, TENANT = ["soak-%d" % i for i in range(9)], 3, "soak"
HOUR, DAY = 3600, 24 * 3600
KEEP, LATE, RECENT = 3 * DAY, 36 * HOUR, 2 * DAY  # what is late, and what is asked for, is well within
WAIT_S = 150
# Resident memory: most at all, and most that the last quarter may have above the second one.
MOST_MB, GROWTH_MB = 300, 32
FLAGS = [f for f in OLD_DATA if "retention" not in f and "lookback" not in f] + [
    "-querier.max-query-lookback=90d", "-store.head-bytes=24MB", "-store.cache-bytes=32MB",
    "-runtime-config.reload-period=100ms"]
CAPTURES = os.path.join(os.path.dirname(HERE), "conformance", "captures", "java-rfc")
RESULTS = collections.Counter()


def check(what, ok, detail=""):
    RESULTS["passed" if ok else "failed"] += 1
    print("%s  %s%s" % ("ok  " if ok else "FAIL", what, ": %s" % (detail,) if detail else ""), flush=True)


def hour_of(t):
    return t // HOUR * HOUR


# Recordings.


class Recording:
    """A recorded upload; `rows` {type: total} and `trees` {type: {path: self}} are what it becomes."""

    def __init__(self, entry):
        path, _, query = entry["target"].partition("?")
        self.path, self.query = path, dict(urllib.parse.parse_qsl(query))
        self.headers = {"Content-Type": dict(entry["headers"])["Content-Type"], "X-Scope-OrgID": TENANT}
        with open(os.path.join(CAPTURES, entry["body"]), "rb") as f:
            self.body = f.read()

    def send(self, connection, service, seconds):
        name = self.query["name"].replace("my-service", service)
        query = dict(self.query, name=name, **{"from": seconds, "until": seconds + 10})
        connection.request("POST", self.path + "?" + urllib.parse.urlencode(query), self.body, self.headers)
        r = connection.getresponse()
        return r.status, r.read()


def learn(build):
    with open(os.path.join(CAPTURES, "manifest.jsonl"), encoding="utf-8") as f:
        recordings = [Recording(json.loads(line)) for line in f]
    base = hour_of(int(time.time())) - DAY
    with Server(build, FLAGS) as s:
        for i, r in enumerate(recordings):
            service, at = "learned-%d" % i, base + i * HOUR
            status, text = r.send(s.connection(60), service, at + 1)
            if status != 200:
                raise Wrong("recording %d was answered %d: %s" % (i, status, text))
            cells = read_cells(s, types(s), at, at + HOUR)
            r.rows = {kind: value for (kind, _, _), value in cells.items()}
            r.trees = {k: flame(s, k, selector(service), at * 1000, (at + HOUR) * 1000, TENANT) for k in r.rows}
            if {(svc, h) for _, svc, h in cells} != {(service, at)} or len(cells) < 5 or CPU not in r.rows:
                raise Wrong("recording %d became %r" % (i, cells))
            if any(sum(r.trees[k].values()) != v for k, v in r.rows.items()):
                raise Wrong("timeline and flame graph of recording %d differ" % i)
    return recordings


# Questions.


def selector(service):
    return '{service_name="%s"}' % service


def types(s):
    q = {"start": 1000, "end": int(time.time() + DAY) * 1000}
    return sorted(t["ID"] for t in rpc(s, "ProfileTypes", q, TENANT).get("profileTypes", []))


def read_cells(s, kinds, start, end):
    """{(type, service, hour): total} of whole hours. A point is the hour that ends with it; the first is of before."""
    out = {}
    for kind in kinds:
        q = {"profileTypeID": kind, "labelSelector": "{}", "start": start * 1000, "end": end * 1000,
             "step": HOUR, "groupBy": ["service_name"]}
        for one in rpc(s, "SelectSeries", q, TENANT).get("series", []):
            service = one["labels"][0]["value"]
            for p in one.get("points", []):
                hour = int(p["timestamp"]) // 1000 - HOUR
                if p["value"] and hour >= start:
                    out[(kind, service, hour)] = p["value"]
    return out


def metrics(s):
    text = s.request("GET", "/metrics")[2].decode()
    return {k: float(v) for k, v in re.findall(r"^([a-z_]+(?:\{[^}]*\})?) (\S+)$", text, re.M)}


def total(values, name, *labels):
    return int(sum(v for k, v in values.items()
                   if k.partition("{")[0] == name and all(label in k for label in labels)))


def merges(values, *labels):
    return total(values, "everflame_compactions_total", 'result="ok"', *labels)


def retired(values):
    return total(values, "everflame_retired_blocks_total", 'reason="age"')


def complaints(s):
    bad = [line for line in s.logged().split("\n") if re.search("level=(warn|error)|Sanitizer", line)]
    values = metrics(s)
    for name in ("everflame_wal_damaged_batches_total", "everflame_blocks_damaged", "everflame_foreign_files",
                 "everflame_wal_failures_total", "pyroscope_compactor_runs_failed_total"):
        bad += [name] * (total(values, name) > 0)
    bad += [k for k, v in values.items() if v and re.search('status_code="5..".*', k) and "_count" in k]
    kept = os.path.join(s.data, "quarantine")
    return bad + ["quarantine/" + n for n in (os.listdir(kept) if os.path.isdir(kept) else [])]


# The ledger.


class Ledger:
    def __init__(self, recordings):
        self.recordings, self.lock = recordings, threading.Lock()
        self.sent, self.stored = collections.Counter(), collections.Counter()  # (service, hour, recording)
        self.kinds = sorted({k for r in recordings for k in r.rows})

    def note(self, which, service, seconds, recording):
        with self.lock:
            which[(service, hour_of(seconds), recording)] += 1

    def copy(self, which):
        with self.lock:
            return dict(which)

    def cells(self, uploads, kinds):
        out = collections.Counter()
        for (service, hour, i), n in uploads.items():
            for kind in kinds:
                if self.recordings[i].rows.get(kind):
                    out[(kind, service, hour)] += n * self.recordings[i].rows[kind]
        return out

    def tree(self, kind, service, start, end):
        out = collections.Counter()
        for (svc, hour, i), n in self.stored.items():
            if svc == service and start <= hour < end:
                for path, value in self.recordings[i].trees.get(kind, {}).items():
                    out[path] += n * value
        return dict(out)


class Soak:
    def __init__(self, build, rounds, days, seed):
        self.rng, self.rounds, self.days = random.Random(seed), rounds, days
        self.ledger = Ledger(learn(build))
        self.build, self.folder = build, tempfile.mkdtemp(prefix="everflame-test-")
        self.limits = os.path.join(self.folder, "limits.yaml")
        self.begun = int(time.time())
        self.begin = self.begun - days * DAY
        self.at = self.begin  # profile time
        self.keep_behind()
        self.server = Server(build, FLAGS + ["-runtime-config.file=" + self.limits])
        self.jobs, self.over = queue.Queue(), threading.Event()
        self.errors, self.counts, self.resident = [], collections.Counter(), []
        self.loaded = {}  # the metrics of the process that had the load

    # Load.

    def keep_behind(self):
        """Profiles go that are KEEP behind those that come."""
        self.retention = int(time.time()) - self.at + KEEP
        with open(self.limits + ".new", "w", encoding="utf-8") as f:
            f.write("overrides:\n  %s:\n    retention_period: %ds\n" % (TENANT, self.retention))
        os.rename(self.limits + ".new", self.limits)

    def bound(self):
        """What is older may go."""
        return time.time() - self.retention

    def guard(self, fn):
        try:
            fn()
        except Exception as x:  # a thread may fail in any way; the case of the load says so
            self.errors.append("%s: %s" % (type(x).__name__, x))

    def send_all(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
        for service, seconds, i in iter(self.jobs.get, None):
            self.ledger.note(self.ledger.sent, service, seconds, i)
            status, text = 0, b""
            while status != 200:
                status, text = self.ledger.recordings[i].send(connection, service, seconds)
                self.counts["answered %d" % status] += 1
                if status not in (200, 429):
                    raise Wrong("an upload was answered %d: %s" % (status, text[:300]))
                if status == 429 and self.over.wait(0.1):
                    raise Wrong("an upload was refused to the end: %s" % text[:300])
            self.ledger.note(self.ledger.stored, service, seconds, i)

    def ask_all(self):
        for n in range(self.rounds * 100):
            if self.over.wait(1):
                return
            self.ask(n, (HOUR, 6 * HOUR, DAY, RECENT)[n % 4])

    def ask(self, n, span):
        s, service = self.server, SERVICES[n % len(SERVICES)]
        start, end = hour_of(self.at - span), hour_of(int(time.time())) + DAY
        kind = self.ledger.kinds[n % len(self.ledger.kinds)]
        before = self.ledger.copy(self.ledger.stored)
        have = read_cells(s, [kind], start, end)
        tree = sum(flame(s, kind, selector(service), start * 1000, end * 1000, TENANT).values())
        q = {"name": "service_name", "start": start * 1000, "end": end * 1000}
        names = rpc(s, "LabelValues", q, TENANT).get("names", [])
        after = self.ledger.copy(self.ledger.sent)
        if self.bound() > start:  # the machine stood still for many rounds
            return
        self.counts["questions"] += 3
        low, high = (self.ledger.cells({k: v for k, v in up.items() if k[1] >= start}, [kind])
                     for up in (before, after))
        for key in set(have) | set(low):
            if not low.get(key, 0) <= have.get(key, 0) <= high.get(key, 0):
                raise Wrong("%r is %r, not within %r and %r" % (
                    key, have.get(key), low.get(key), high.get(key)))
        mine = [sum(v for k, v in c.items() if k[1] == service) for c in (low, high)]
        if not mine[0] <= tree <= mine[1]:
            raise Wrong("the flame graph of %s %s is of %d, not within %r" % (service, kind, tree, mine))
        known = [{k[0] for k in up if k[1] >= start} for up in (before, after)]
        if not known[0] <= set(names) <= known[1]:
            raise Wrong("services %r, not within %r" % (names, known))

    def one_round(self, n):
        step = self.days * DAY / self.rounds
        self.at = int(self.begin + n * step)
        self.keep_behind()
        for i, service in enumerate(SERVICES):
            seconds = int(self.at + step * i / len(SERVICES))
            if self.rng.random() < 0.1:
                seconds = max(self.begin, seconds - self.rng.randrange(LATE))
                self.counts["late"] += 1
            seconds += seconds % HOUR == 0  # what is at the full hour is in the point of the hour before
            self.jobs.put((service, seconds, self.rng.randrange(len(self.ledger.recordings))))
        with open("/proc/%d/status" % self.server.process.pid, encoding="ascii") as f:
            self.resident.append(int(re.search(r"VmRSS:\s+(\d+) kB", f.read()).group(1)) / 1024)

    def load(self):
        threads = [threading.Thread(target=self.guard, args=(fn,)) for fn in [self.send_all] * SENDERS]
        asker = threading.Thread(target=self.guard, args=(self.ask_all,))
        for t in threads + [asker]:
            t.start()
        begun = time.monotonic()
        for n in range(self.rounds):
            time.sleep(max(0, begun + n - time.monotonic()))
            self.one_round(n)
            if self.errors:
                break
        for _ in threads:
            self.jobs.put(None)
        for t in threads:
            t.join()
        self.over.set()
        asker.join()
        want = self.rounds * len(SERVICES)
        have = sum(self.ledger.stored.values())
        check("%d uploads acknowledged, answers right meanwhile" % want, have == want and not self.errors
              and self.counts["questions"], "%d %s %s" % (have, dict(self.counts), self.errors[:2]))

    # What there must be.

    def wrong_cells(self, s):
        """Of the retention exactly what was acknowledged, of before no more; returns (exact, wrong)."""
        start, end = hour_of(self.begin) - DAY, hour_of(int(time.time())) + DAY
        want = self.ledger.cells(self.ledger.stored, self.ledger.kinds)
        have, bound = read_cells(s, types(s), start, end), self.bound()
        wrong = [(key, have.get(key), want.get(key)) for key in set(have) | set(want)
                 if have.get(key, 0) > want.get(key, 0)
                 or (key[2] > bound and have.get(key, 0) != want.get(key, 0))]
        return sum(key[2] > bound for key in want), wrong

    def wrong_trees(self, s):
        """All stacks by service and type, and those of some hours."""
        now, wrong = hour_of(int(time.time())), []
        start = hour_of(int(self.bound())) + 2 * HOUR
        asked = [(svc, k, start, now + DAY) for svc in SERVICES for k in self.ledger.kinds]
        hours = sorted({(svc, h) for svc, h, _ in self.ledger.stored if h >= start})
        for svc, h in self.rng.sample(hours, min(40, len(hours))):
            asked += [(svc, k, h, h + HOUR) for k in self.ledger.kinds]
        for svc, kind, a, b in asked:
            if flame(s, kind, selector(svc), a * 1000, b * 1000 - 1, TENANT) != self.ledger.tree(kind, svc, a, b):
                wrong.append((svc, kind, a, b))
        return len(asked), wrong

    def check_sums(self, when):
        exact, wrong = self.wrong_cells(self.server)
        check("%d totals of type, service and hour are exact %s" % (exact, when), exact and not wrong, wrong[:3] or "")
        asked, wrong = self.wrong_trees(self.server)
        check("%d flame graphs are exact, stack by stack, %s" % (asked, when), asked and not wrong, wrong[:3] or "")

    def check_gone(self):
        """Days wholly beyond the retention: the ledger knows them, the server does not."""
        first = hour_of(self.begin) // DAY * DAY
        gone = int(self.bound()) // DAY * DAY
        due = {k for k in self.ledger.cells(self.ledger.stored, [CPU]) if k[2] < gone}
        wait_until(lambda: not read_cells(self.server, self.ledger.kinds, first, gone))
        there = read_cells(self.server, self.ledger.kinds, first, gone)
        check("%d days beyond the retention are gone" % ((gone - first) // DAY), due and not there, len(there) or "")

    def check_work(self):
        """Merges and retirements, by the server's own counters, in the process that had the load."""
        least = (self.days // 4, (self.days - KEEP // DAY) // 2)

        def done():
            values = metrics(self.server)
            return merges(values) >= least[0] and retired(values) >= least[1]

        wait_until(done)
        v = self.loaded = metrics(self.server)
        check("at least %d merges and %d blocks retired" % least, done(),
              "%d (%d to six hours) and %d; %d cuts, %d blocks" % (
                  merges(v), merges(v, 'level="6h"'), retired(v), total(v, "everflame_cuts_total"),
                  total(v, "everflame_blocks")))

    def check_quarters(self):
        """Today's six hours that are over have become one block, if the day was this one all along."""
        if self.begun % DAY < 6 * HOUR + 2400:
            return

        def quarters():
            return merges(metrics(self.server), 'level="6h"') + merges(self.loaded, 'level="6h"')

        wait_until(quarters)
        if int(time.time()) // DAY == self.begun // DAY:
            check("hours became six hours", quarters(), quarters())

    def check_memory(self):
        n = len(self.resident) // 4
        quarters = [max(self.resident[i * n:(i + 1) * n] or [0]) for i in range(4)]
        check("resident memory is flat (at most %d MB more in the last quarter) and below %d MB" % (
            GROWTH_MB, MOST_MB), n and quarters[3] <= quarters[1] + GROWTH_MB and max(self.resident) < MOST_MB,
            "quarters " + ", ".join("%.0f" % q for q in quarters))

    def check_files(self):
        check("the server ends well", self.server.stop() == 0)
        r = subprocess.run([binary(self.build), "storage", "verify", self.server.data],
                           capture_output=True, text=True, check=False)
        check("storage verify", r.returncode == 0, (r.stdout + r.stderr).strip().split("\n")[-1])

    def run(self):
        s = self.server
        s.start()
        self.load()
        self.check_memory()
        self.check_work()
        self.check_sums("after the load")
        check("no damage, no warnings, no 5xx", not complaints(s), complaints(s)[-5:] or "")
        self.check_files()
        s.start()
        self.check_gone()
        self.check_sums("after the restart")
        self.check_quarters()
        check("no damage after the restart", not complaints(s), complaints(s)[-5:] or "")
        self.check_files()


def wait_until(condition):
    until = time.monotonic() + WAIT_S
    while not condition() and time.monotonic() < until:
        time.sleep(0.5)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build", nargs="?", default="build")
    p.add_argument("--rounds", type=int, default=72)
    p.add_argument("--days", type=int, default=8)
    p.add_argument("--seed", type=int, default=struct.unpack("<I", os.urandom(4))[0])
    a = p.parse_args()
    print("seed %d" % a.seed, flush=True)
    soak = Soak(a.build, a.rounds, a.days, a.seed)
    try:
        soak.run()
    except Exception as x:  # what was not checked counts as failed
        check("the run", False, "%s: %s\n%s" % (type(x).__name__, x, soak.server.logged()[-3000:]))
    finally:
        soak.server.stop()
        shutil.rmtree(soak.server.dir, ignore_errors=True)
        shutil.rmtree(soak.folder, ignore_errors=True)
    print("%d passed, %d failed" % (RESULTS["passed"], RESULTS["failed"]))
    return 1 if RESULTS["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
