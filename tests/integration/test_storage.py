#!/usr/bin/env python3
"""What is stored, as a server and the command line say it, against the files themselves.

    tests/integration/test_storage.py [BUILD_DIRECTORY]        (default: build)

Nine days of data are generated once; every number that is expected is added up here from the files and
folders. Standard library only. The last line is 'N passed, N failed'.
"""
import collections
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from server import ROOT, Server, binary  # noqa: E402

BUILD = sys.argv[1] if len(sys.argv) > 1 else "build"
PROGRAM = os.path.abspath(binary(BUILD))
PATH = "/api/everflame/v1/storage"
DAY_S = 86400
# No compaction meanwhile, no bound of the disk: what is there stays as it is.
STILL = ["-store.compaction=false", "-store.retention-disk-percent=0"]
CASES = []


def case(fn):
    CASES.append(fn)
    return fn


def equal(got, want):
    if got != want:
        raise AssertionError("got %r\n      want %r" % (got, want))


def near(got, want, by):
    if abs(got - want) > by:
        raise AssertionError("%r is not within %r of %r" % (got, by, want))


class Made:
    """A directory of eight full days and today so far, to be copied."""

    def __init__(self, parent):
        self.parent, self.n = parent, 0
        self.dir = os.path.join(parent, "made")
        now = int(time.time())
        if now % DAY_S > DAY_S - 600:  # or a day would end while its forecasts are compared
            time.sleep(DAY_S - now % DAY_S)
            now = int(time.time())
        self.end = now // DAY_S * DAY_S + (3600 if now % DAY_S >= 3600 else 0)
        subprocess.run([os.path.join(ROOT, BUILD, "bench", "generate"), "--dir", self.dir, "--days", "9", "--services",
                        "3", "--first", "5", "--interval", "1800", "--end", str(self.end)],
                       check=True, capture_output=True, timeout=300)

    def copy(self):
        self.n += 1
        to = os.path.join(self.parent, "copy%d" % self.n)
        shutil.copytree(self.dir, to)
        return to


def walk(folder):
    """Path below the folder → bytes. A server may remove one meanwhile."""
    out = {}
    for at, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            with contextlib.suppress(FileNotFoundError):
                out[os.path.relpath(path, folder)] = os.lstat(path).st_size
    return out


def blocks(files):
    return {p: n for p, n in files.items() if p.endswith(".efb")}


def ask(s, headers=(), status=200, **params):
    got, head, body = s.request("GET", PATH + "?" + urllib.parse.urlencode(params), headers)
    if got != status:
        raise AssertionError((got, body))
    equal(head["content-type"], "application/json")
    return json.loads(body)


def quiet(s, folder):
    """An answer that is true of the files just before and just after it."""
    for _ in range(200):
        before = walk(folder)
        answer = ask(s, by="tenant,service,type,level,day", n=10000)
        if walk(folder) == before and answer["bytes"] == sum(before.values()):
            return answer, before
        time.sleep(0.1)
    raise AssertionError((answer["files"], sum(before.values())))


def storage(*args, code=0):
    p = subprocess.run([PROGRAM, "storage", "usage", *args], capture_output=True, text=True, timeout=120)
    if p.returncode != code:
        raise AssertionError((args, p.returncode, p.stdout, p.stderr))
    return p.stdout if code == 0 else p.stderr


def daily(files):
    days = collections.Counter()
    for path, n in blocks(files).items():
        days[path.split("/")[3]] += n
    return days


def full_days(files, n=7):
    """Bytes of the last full days, the newest first."""
    today = int(time.time()) // DAY_S
    names = [time.strftime("%Y-%m-%d", time.gmtime((today - i) * DAY_S)) for i in range(1, n + 1)]
    days = daily(files)
    return [days[name] for name in names]


@case
def every_byte_is_counted(m):
    folder = m.copy()
    os.makedirs(os.path.join(folder, "mine", "deep"))
    os.symlink("/nowhere", os.path.join(folder, "link"))
    os.mkfifo(os.path.join(folder, "mine", "pipe"))
    for path, n in (("notes", 100), ("mine/deep/notes", 1000), ("blocks/notes", 10), ("quarantine/x.wal", 50)):
        with open(os.path.join(folder, path), "wb") as f:
            f.write(b"x" * n)
    with Server(BUILD, STILL, data=folder) as s:
        answer, files = quiet(s, folder)
        kinds = {k["kind"]: (k["files"], k["bytes"]) for k in answer["files"]}
        equal(sum(k[1] for k in kinds.values()), sum(files.values()))
        equal(sum(k[0] for k in kinds.values()), len(files))
        equal(kinds["foreign"], (5, 1110 + len("/nowhere")))
        equal(kinds["quarantine"], (1, 50))
        equal(kinds["blocks"], (len(blocks(files)), sum(blocks(files).values())))
        equal(kinds["log"][1], sum(n for p, n in files.items() if p.endswith(".wal") and p.startswith("wal/")))
        equal(answer["unreadable"], 0)
        for path in ("notes", "mine/deep/notes", "blocks/notes", "link", "mine/pipe"):
            equal((path, os.path.lexists(os.path.join(folder, path))), (path, True))


@case
def rows_add_up_to_the_blocks(m):
    folder = m.copy()
    with Server(BUILD, STILL, data=folder) as s:
        all_rows, files = quiet(s, folder)
        total = sum(blocks(files).values())
        equal(all_rows["blocks"]["bytes"], total)
        for by in ("tenant", "service", "type", "level", "day", "service,type", "day,level,tenant"):
            answer = ask(s, by=by, n=10000)
            equal((by, sum(r["bytes"] for r in answer["rows"])), (by, total))
            equal(answer["other"], {"rows": 0, "bytes": 0})
            want = collections.Counter()
            for r in all_rows["rows"]:
                want[tuple(r[k] for k in by.split(","))] += r["bytes"]
            equal({tuple(r[k] for k in by.split(",")): r["bytes"] for r in answer["rows"]}, dict(want))
            few = ask(s, by=by, n=1)
            equal(few["rows"], answer["rows"][:1])
            equal(few["other"], {"rows": len(answer["rows"]) - 1, "bytes": total - few["rows"][0]["bytes"]})
        equal({r["day"]: r["bytes"] for r in ask(s, by="day", n=100)["rows"]}, dict(daily(files)))
        types = {r["type"] for r in ask(s, by="type")["rows"]}
        equal("process_cpu:cpu:nanoseconds:cpu:nanoseconds" in types and all(t.count(":") == 4 for t in types), True)
        equal(len(ask(s)["rows"]), 3)  # by service


@case
def what_is_asked_wrong_is_refused(m):
    folder = m.copy()
    with Server(BUILD, STILL, data=folder) as s:
        for params in ({"by": "host"}, {"n": "many"}, {"n": "-1"}, {"n": "10001"}, {"by": "service,,"}):
            equal(ask(s, status=400, **params)["code"], "invalid_argument")
        equal(ask(s, tenant="nobody")["blocks"]["bytes"], 0)


@case
def forecast_by_bytes(m):
    folder = m.copy()
    per_day = sum(full_days(walk(folder))) / 7
    total = sum(blocks(walk(folder)).values())
    bound = int(total + 10.5 * per_day)
    with Server(BUILD, STILL + ["-retention-period=0", "-store.retention-bytes=%d" % bound], data=folder) as s:
        f = ask(s)["forecast"]
        equal((f["full_days"], f["compacted"], f["limit"]), (7, False, "store.retention-bytes"))
        near(f["bytes_per_day"], per_day, 1)
        equal(f["limit_bytes"], bound)
        near(f["days_until_full"], 10.5, 0.06)
        equal(f["settles_at_bytes"], None)


@case
def forecast_by_age(m):
    folder = m.copy()
    per_day = sum(full_days(walk(folder))) / 7
    with Server(BUILD, STILL + ["-retention-period=20d"], data=folder) as s:
        f = ask(s)["forecast"]
        equal((f["limit"], f["days_until_full"]), ("retention-period", None))
        near(f["settles_at_bytes"], 21 * per_day, 25)


@case
def compaction_is_seen(m):
    folder = m.copy()
    subprocess.run([PROGRAM, "storage", "compact", "--force", folder], check=True, capture_output=True, timeout=300)
    with Server(BUILD, STILL, data=folder) as s:
        answer, files = quiet(s, folder)
        levels = {r["level"]: (r["blocks"], r["bytes"]) for r in answer["levels"]}
        equal(levels, {"1h": (0, 0), "6h": (0, 0), "24h": (len(blocks(files)), sum(blocks(files).values()))})
        equal((answer["forecast"]["compacted"], answer["forecast"]["full_days"]), (True, 7))
        near(answer["forecast"]["bytes_per_day"], sum(full_days(files)) / 7, 1)


@case
def a_tenant_sees_its_own(m):
    with Server(BUILD, ["-auth.multitenancy-enabled=true", *STILL]) as s:
        for tenant, n in (("a", 3), ("b", 5)):
            for i in range(n):
                now = int(time.time())
                status, _, _ = s.request("POST", "/ingest?name=shop%d&from=%d&until=%d" % (i, now - 10, now),
                                         {"X-Scope-OrgID": tenant}, b"main;work 10\n")
                equal(status, 200)
        s.stop()  # what is in memory becomes blocks
        s.start()
        files = blocks(walk(s.data))
        for tenant, n in (("a", 3), ("b", 5)):
            answer = ask(s, {"X-Scope-OrgID": tenant}, by="tenant,service")
            own = sum(v for p, v in files.items() if p.startswith("blocks/%s/" % tenant))
            equal((answer["blocks"]["bytes"], sum(r["bytes"] for r in answer["rows"])), (own, own))
            equal({(r["tenant"], r["service"]) for r in answer["rows"]},
                  {(tenant, "shop%d" % i) for i in range(n)})
            equal([k for k in ("files", "bytes", "unreadable") if k in answer], [])
            equal(answer["forecast"]["limit_bytes"], None)
        both = {"X-Scope-OrgID": "a|b"}
        equal(ask(s, both, by="tenant")["blocks"]["bytes"], sum(files.values()))
        equal([r["tenant"] for r in ask(s, both, by="tenant", tenant="b")["rows"]], ["b"])
        equal(ask(s, {"X-Scope-OrgID": "a"}, status=403, tenant="b")["code"], "permission_denied")
        equal(ask(s, status=401)["code"], "unauthenticated")
        got = json.loads(storage(s.url, "--tenant-id", "a", "--by", "service", "-o", "json"))
        equal(len(got["rows"]), 3)


@case
def metrics_say_the_same(m):
    folder = m.copy()
    with Server(BUILD, STILL, data=folder) as s:
        answer, _ = quiet(s, folder)
        for _ in range(100):
            _, _, page = s.request("GET", "/metrics")
            lines = dict(line.rsplit(" ", 1) for line in page.decode().splitlines() if not line.startswith("#"))
            if "everflame_storage_days_until_full" in lines:
                break
            time.sleep(0.1)
        equal(float(lines['everflame_storage_bytes{kind="blocks"}']), answer["blocks"]["bytes"])
        equal(float(lines['everflame_storage_files{kind="blocks"}']), answer["blocks"]["blocks"])
        equal(float(lines['everflame_tenant_block_bytes{tenant="anonymous",level="1h"}']), answer["blocks"]["bytes"])
        near(float(lines["everflame_storage_growth_bytes_per_day"]), answer["forecast"]["bytes_per_day"], 1)
        equal(lines["everflame_storage_days_until_full"], "+Inf")
        near(float(lines["pyroscope_oldest_block_timestamp_seconds"]) * 1000, answer["blocks"]["oldest_ms"], 1)


@case
def the_command_line(m):
    folder = m.copy()
    with Server(BUILD, STILL, data=folder) as s:
        _, files = quiet(s, folder)
        online = json.loads(storage(s.url, "--by", "service", "--by", "type", "-o", "json"))
        offline = json.loads(storage(folder, "--by", "service,type", "-o", "json"))
        for key in ("files", "bytes", "blocks", "levels", "rows", "other"):
            equal((key, online[key]), (key, offline[key]))
        equal(offline["bytes"], sum(files.values()))
        equal(online["forecast"]["limit"], "retention-period")
        disk = os.statvfs(folder)  # a directory does not know what a server would keep
        years = disk.f_bavail * disk.f_frsize / offline["forecast"]["bytes_per_day"] / 365
        equal(offline["forecast"]["limit"], "disk" if years < 100 else "")
        equal(offline["forecast"]["settles_at_bytes"], None)
        text = storage(s.url)
        for part in ("SERVICE", "java-rfc-5", "blocks", "all", "of the last 7 full days, not yet compacted",
                     "Never full: blocks stay at about"):
            if part not in text:
                raise AssertionError((part, text))
        one = storage(folder, "--by", "day", "-n", "2")
        equal("DAY" in one and "more with" in one, True)
        equal("java" in storage(folder, "--tenant-id", "nobody"), False)
    storage(folder, "--by", "host", code=2)
    storage(folder, folder, code=2)
    storage(os.path.join(m.parent, "nowhere"), code=1)
    storage("http://127.0.0.1:1", code=1)


def main():
    failed = 0
    parent = tempfile.mkdtemp(prefix="everflame-test-storage-")
    try:
        made = Made(parent)
        for fn in CASES:
            try:
                fn(made)
            except Exception as e:  # pylint: disable=broad-except
                failed += 1
                print("FAIL %s: %s: %s" % (fn.__name__, type(e).__name__, e), flush=True)
    finally:
        shutil.rmtree(parent, ignore_errors=True)
    print("%d passed, %d failed" % (len(CASES) - failed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
