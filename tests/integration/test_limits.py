#!/usr/bin/env python3
"""Limits as a client meets them: 429 with limit, value and setting, nothing stored, the refusal on record.

    test_limits.py BUILD
"""
import gzip
import json
import os
import re
import socket
import sys
import tempfile
import time
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from query import CPU, rpc
from server import Server

passed = failed = 0


def check(what, ok, shown=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print("FAIL", what, shown, flush=True)


def upload(s, tenant, name, body=b"main;work 10\n"):
    now = int(time.time())
    query = urllib.parse.urlencode({"name": name, "from": now - 10, "until": now, "sampleRate": 100})
    status, _, text = s.request("POST", "/ingest?" + query, {"X-Scope-OrgID": tenant}, body)
    return status, text.decode()


def refusals(s, tenant):
    status, headers, text = s.request("GET", "/api/everflame/v1/refusals", {"X-Scope-OrgID": tenant})
    assert status == 200 and headers["content-type"] == "application/json", (status, text)
    return [(r["service"], r["reason"], r["setting"], r["count"]) for r in json.loads(text)["refusals"]]


def services(s, tenant):
    now = int(time.time() * 1000)
    _, _, text = s.request("POST", "/querier.v1.QuerierService/LabelValues",
                           {"X-Scope-OrgID": tenant, "Content-Type": "application/json"},
                           json.dumps({"name": "service_name", "start": now - 3600000, "end": now + 60000}).encode())
    return sorted(json.loads(text).get("names", []))


def refused(what, answer, *texts):
    check(what, answer[0] == 429 and "resource_exhausted" in answer[1] and all(t in answer[1] for t in texts), answer)


RULES = """
overrides:
  t:
    ingestion_relabeling_rules:
      - source_labels: [env]
        regex: dev|test
        action: drop
      - source_labels: [service_name]
        regex: (.*)-v[0-9]+
        target_label: service_name
"""


def relabelling(build):
    with tempfile.TemporaryDirectory(prefix="everflame-test-") as folder:
        path = os.path.join(folder, "overrides.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(RULES)
        with Server(build, ["-auth.multitenancy-enabled=true", "-runtime-config.file=" + path]) as s:
            for name in ("shop-v17{env=prod}", "cart{env=dev}"):
                for tenant in "tu":
                    check("upload " + name, upload(s, tenant, name)[0] == 200)
            check("t is relabelled", services(s, "t") == ["shop"], services(s, "t"))
            check("u is not", services(s, "u") == ["cart", "shop-v17"], services(s, "u"))
            want = [("cart", "dropped_by_relabel_rules", "limits.ingestion_relabeling_rules", 1)]
            check("what was dropped is on record", refusals(s, "t") == want, refusals(s, "t"))
            _, _, text = s.request("GET", "/runtime_config")
            check("the rules are shown", b"ingestion_relabeling_rules: [{" in text, text)


def announce(s, path, headers):
    """A request whose body is announced and never comes."""
    with socket.create_connection(("127.0.0.1", s.port), timeout=20) as c:
        head = "".join(f"{k}: {v}\r\n" for k, v in {"Host": "x", "Content-Length": 3 << 20, **headers}.items())
        c.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode())
        return int(c.recv(100).split()[1])


def discarded(s, reason, tenant):
    """pyroscope_discarded_samples_total and ..._bytes_total."""
    text = s.request("GET", "/metrics")[2].decode()
    found = [re.search(r'pyroscope_discarded_%s_total\{reason="%s",tenant="%s"\} (\S+)' % (what, reason, tenant), text)
             for what in ("samples", "bytes")]
    return tuple(int(float(m.group(1))) if m else 0 for m in found)


def before_the_decoder(build):
    """What HTTP itself refuses is on record as well, and stays so."""
    push = "/push.v1.PusherService/Push"
    proto, body_limit = {"Content-Type": "application/proto"}, "limits.ingestion_body_limit_mb"
    flags = ["-auth.multitenancy-enabled=true", "-distributor.ingestion-body-limit-mb=2"]
    with Server(build, flags) as s:
        def post(tenant, path, headers=(), body=b""):
            return s.request("POST", path, {"X-Scope-OrgID": tenant, **dict(headers)}, body)[0]
        check("a bad name", upload(s, "a", "sh op")[0] == 400)
        check("no name", post("a", "/ingest?from=1", body=b"x 1\n") == 400)
        check("a bad escape", post("a", "/ingest?name=%zz", body=b"x 1\n") == 400)
        check("a bad Accept", post("a", "/ingest?name=x", {"Accept": "/"}) == 400)
        check("announced", announce(s, "/ingest?name=shop.cpu", {"X-Scope-OrgID": "b"}) == 413)
        check("announced for jfr", announce(s, "/ingest?name=shop.cpu&format=jfr", {"X-Scope-OrgID": "b"}) == 413)
        check("announced with a label", announce(
            s, "/ingest?name=shop.cpu%7Bservice_name=cart%7D", {"X-Scope-OrgID": "b"}) == 413)
        check("really sent", post("b", "/ingest?name=sent", body=bytes(3 << 20)) == 413)
        check("announced to push", announce(s, push, {"X-Scope-OrgID": "c", **proto}) == 429)
        check("gzip to push", post("c", push, {**proto, "Content-Encoding": "gzip"}, gzip.compress(bytes(3 << 20))) == 429)
        check("an encoding", post("d", push, {**proto, "Content-Encoding": "br"}, b"x") == 501)
        check("a content type", post("d", push, {"Content-Type": "text/plain"}, b"x") == 415)
        check("no message", post("d", push, proto, b"\xff") == 400)
        check("no JSON", post("d", push, {"Content-Type": "application/json"}, b"{") == 400)
        check("no tenant", upload(s, "", "shop")[0] == 401)
        check("no tenant, announced", announce(s, "/ingest?name=shop", {}) == 413)
        want = {"a": [("", "invalid_name", "", 3), ("x", "malformed_request", "", 1)],
                "b": [("cart", "body_size_limit_exceeded", body_limit, 1), ("sent", "body_size_limit_exceeded", body_limit, 1),
                      ("shop", "body_size_limit_exceeded", body_limit, 1),
                      ("shop.cpu", "body_size_limit_exceeded", body_limit, 1)],
                "c": [("", "body_size_limit_exceeded", body_limit, 2)], "d": [("", "malformed_request", "", 4)]}
        for tenant, rows in want.items():
            check("refusals of " + tenant, sorted(refusals(s, tenant)) == rows, refusals(s, tenant))
        check("metrics of a", discarded(s, "invalid_name", "a")[0] == 3, discarded(s, "invalid_name", "a"))
        check("metrics of b", discarded(s, "body_size_limit_exceeded", "b") == (4, 4 * (3 << 20)),
              discarded(s, "body_size_limit_exceeded", "b"))
        check("metrics of nobody", (discarded(s, "unauthenticated", "")[0], discarded(s, "body_size_limit_exceeded", ""))
              == (1, (1, 3 << 20)))
        s.stop()
        s.start()
        for tenant, rows in want.items():
            check("kept for " + tenant, sorted(refusals(s, tenant)) == rows, refusals(s, tenant))


def budget(build):
    """The bound is what all bodies may use together: another setting."""
    with Server(build, ["-server.body-budget=1MiB"]) as s:
        check("over the budget", announce(s, "/ingest?name=shop", {}) == 413)
        want = [("shop", "body_budget_exceeded", "server.body_budget_bytes", 1)]
        check("the setting", refusals(s, "") == want, refusals(s, ""))


def head_share(build):
    """A tenant may fill a quarter of the head; the only one, without multi-tenancy, all of it."""
    flags = ["-store.head-bytes=64MiB"]

    def fill(s, tenant, stacks):
        body = "".join(f"a{i};b{i};c{i};d{i} 1\n" for i in range(stacks)).encode()
        return upload(s, tenant, "shop", body)
    with Server(build, [*flags, "-auth.multitenancy-enabled=true"]) as s:
        check("a small part", fill(s, "t", 500)[0] == 200)
        refused("more than a quarter", fill(s, "u", 20000), "max_head_bytes", "limit: 16777216")
        check("on record", refusals(s, "u") == [("shop", "head_limit", "limits.max_head_bytes", 1)], refusals(s, "u"))
        check("others go on", fill(s, "t", 400)[0] == 200)
    with Server(build, flags) as s:
        check("the only tenant has more", fill(s, "", 20000)[0] == 200)
    with Server(build, [*flags, "-store.max-head-bytes-per-tenant=2MiB"]) as s:
        refused("a share that was set", fill(s, "", 5000), "max_head_bytes", "limit: 2097152")


QUOTA = """
overrides:
  t:
    ingestion_limit:
      limit_reached: true
      period_type: hour
      period_limit_mb: 1024
      limit_reset_time: 1767225600
      sampling:
        num_requests: 1
        period: 1h
      usage_groups:
        some:
          limit_reached: false
"""


def annotated(s, what):
    """What passed the switch is marked in timelines, other uploads are not, and the mark is no label."""
    now = int(time.time() * 1000)
    ask = {"start": now - 60000, "end": now + 60000, "step": 240, "profileTypeID": CPU, "labelSelector": "{}"}
    marks = {}
    for tenant in ("t", "u"):
        points = rpc(s, "SelectSeries", dict(ask, start=now - 180000, groupBy=["service_name"]), tenant)["series"][0]["points"]
        marks[tenant] = [(a["key"], json.loads(a["value"])) for p in points for a in p.get("annotations", [])]
    body = {"periodType": "hour", "periodLimitMb": 1024, "limitResetTime": 1767225600, "samplingPeriodSec": 3600,
            "samplingRequests": 1, "usageGroup": ""}
    check("annotation" + what, marks == {"t": [("pyroscope.ingest.throttled", {"body": body})], "u": []}, marks)
    names = rpc(s, "LabelNames", {"start": now - 60000, "end": now + 60000}, "t")["names"]
    sets = rpc(s, "Series", {"start": now - 60000, "end": now + 60000}, "t")["labelsSet"]
    check("no label" + what, "service_name" in names and not any("pyroscope." in n for n in names) and
          len(sets) == 1 and "throttled" not in json.dumps(sets), (names, sets))


def quota(build):
    with tempfile.TemporaryDirectory(prefix="everflame-test-") as folder:
        path = os.path.join(folder, "overrides.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(QUOTA)
        flags = ["-auth.multitenancy-enabled=true", "-runtime-config.reload-period=100ms", "-runtime-config.file=" + path]
        with Server(build, flags) as s:
            check("one passes", upload(s, "t", "shop")[0] == 200)
            refused("the next", upload(s, "t", "shop"), "limit of 1.0 GiB/hour reached, next reset at 2026-01-01T00:00:00Z")
            check("another tenant", upload(s, "u", "shop")[0] == 200)
            want = [("shop", "ingest_limit_reached", "limits.ingestion_limit.limit_reached", 1)]
            check("on record", refusals(s, "t") == want, refusals(s, "t"))
            with open(path, "w", encoding="utf-8") as f:
                f.write(QUOTA.replace("limit_reached: true", "limit_reached: false"))
            until = time.monotonic() + 20
            while upload(s, "t", "shop")[0] != 200 and time.monotonic() < until:
                time.sleep(0.05)
            check("the switch is off", upload(s, "t", "shop")[0] == 200)
            for what in ("", " from blocks"):
                annotated(s, what)
                s.stop()
                s.start()


GROUPS = """
overrides:
  t:
    distributor_usage_groups:
      shops: '{service_name=~"shop|cart"}'
      env/${labels.env}: '{env!=""}'
%s
"""
GROUP_QUOTA = """
    ingestion_limit:
      period_type: day
      limit_reset_time: 1767225600
      usage_groups:
        shops: {limit_reached: true, period_limit_mb: 1024}
"""
SAMPLING = """
    distributor_sampling:
      usage_groups:
        shops: {probability: 0}
        env/${labels.env}: {probability: 0.5}
        env/prod: {probability: 1}
    keep_stripped_profiles: %s
    include_stripped_profiles: %s
"""


def group_bytes(s, what, first, group):
    """A usage group's bytes: `received_decompressed` by type, `discarded_bytes` by reason."""
    text = s.request("GET", "/metrics")[2].decode()
    found = re.search(r'pyroscope_usage_group_%s_total\{(?:type|reason)="%s",tenant="t",usage_group="%s"\} (\S+)'
                      % (what, first, group), text)
    return int(float(found.group(1))) if found else 0


def totals(s, tenant, method):
    """The names of a flame graph, or the sum of a timeline."""
    now = int(time.time() * 1000)
    rq = {"profileTypeID": "process_cpu:cpu:nanoseconds:cpu:nanoseconds", "labelSelector": '{service_name="shop"}',
          "start": now - 3600000, "end": now + 60000}
    if method == "SelectSeries":
        rq["step"] = 3600
    _, _, text = s.request("POST", "/querier.v1.QuerierService/" + method,
                           {"X-Scope-OrgID": tenant, "Content-Type": "application/json"}, json.dumps(rq).encode())
    answer = json.loads(text)
    if method == "SelectSeries":
        return sum(int(p["value"]) for series in answer.get("series", []) for p in series["points"])
    return answer.get("flamegraph", {}).get("names", [])


class Overrides:
    """A file of overrides and a server that rereads it."""
    def __init__(self, build, folder, text):
        self.path = os.path.join(folder, "overrides.yaml")
        self.write(text)
        self.server = Server(build, ["-auth.multitenancy-enabled=true", "-runtime-config.reload-period=100ms",
                                     "-runtime-config.file=" + self.path])

    def write(self, text):
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(self.path + ".new", self.path)

    def change(self, text, seen):
        """Writes the file and waits until /runtime_config says what it says now."""
        self.write(text)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            if seen in self.server.request("GET", "/runtime_config")[2].decode():
                return
            time.sleep(0.05)
        check("reloaded: " + seen, False)


def usage_groups(build, folder):
    o = Overrides(build, folder, GROUPS % GROUP_QUOTA)
    with o.server as s:
        text = "limit of 1.0 GiB/day reached for usage group shops, next reset at 2026-01-01T00:00:00Z"
        refused("a group over its quota", upload(s, "t", "shop"), text)
        check("a service of no group", upload(s, "t", "fleet")[0] == 200)
        check("a made name", upload(s, "t", "fleet{env=prod}")[0] == 200)
        check("another tenant", upload(s, "u", "shop")[0] == 200)
        want = [("shop", "usage_group_limit_reached", "limits.ingestion_limit.usage_groups", 1)]
        check("on record", refusals(s, "t") == want, refusals(s, "t"))
        check("the metric's reason", discarded(s, "ingest_limit_reached", "t")[0] == 1)
        for group in ("shops", "env/prod", "other"):
            check("received of " + group, group_bytes(s, "received_decompressed", "process_cpu", group) > 0)
        lost = group_bytes(s, "discarded_bytes", "ingest_limit_reached", "shops")
        check("discarded of shops", lost == discarded(s, "ingest_limit_reached", "t")[1] > 0, lost)
        check("discarded of other", group_bytes(s, "discarded_bytes", "ingest_limit_reached", "other") == 0)
        for i in range(70):
            check("many names", upload(s, "t", "fleet{env=e%d}" % i)[0] == 200)
        check("a name in time", group_bytes(s, "received_decompressed", "process_cpu", "env/e62") > 0)
        check("a name too many", group_bytes(s, "received_decompressed", "process_cpu", "env/e63") == 0)
        check("overflow", group_bytes(s, "received_decompressed", "process_cpu", "overflow") > 0)
        text = s.request("GET", "/metrics")[2].decode()
        check("u has no groups", not re.search('usage_group.*tenant="u"', text))
        for bytes_of in ("samples", "symbols"):
            check(bytes_of + " bytes", 'pyroscope_distributor_received_%s_bytes_sum{type="process_cpu",tenant="t"}' % bytes_of
                  in text)
        o.change((GROUPS % GROUP_QUOTA).replace("limit_reached: true", "limit_reached: false"), '"limit_reached":"false"')
        check("the quota is off", upload(s, "t", "shop")[0] == 200)
        o.write((GROUPS % "").replace("=~", "=="))
        until = time.monotonic() + 20
        while "usage group" not in s.logged() and time.monotonic() < until:
            time.sleep(0.05)
        check("a bad selector is named", re.search('usage group .{0,2}shops.{0,2}: 1:1[0-9]: parse error', s.logged()))
        check("and changes nothing", "GiB" not in upload(s, "t", "shop")[1] and
              "usage_groups: {" in s.request("GET", "/runtime_config")[2].decode())


def sampling(build, folder):
    o = Overrides(build, folder, GROUPS % (SAMPLING % ("false", "false")))
    with o.server as s:
        check("dropped is fine", upload(s, "t", "shop") == (200, ""))
        check("in several groups the smallest counts", upload(s, "t", "cart{env=prod}")[0] == 200)
        check("a name as made goes before one as written", [upload(s, "t", "fleet{env=prod}")[0] for _ in range(20)] == [200] * 20)
        check("of no group", upload(s, "t", "fleet")[0] == 200)
        check("another tenant", upload(s, "u", "shop")[0] == 200)
        check("only one is there", services(s, "t") == ["fleet"], services(s, "t"))
        setting = "limits.distributor_sampling.usage_groups"
        want = [("cart", "dropped_by_sampling_rules", setting, 1), ("shop", "dropped_by_sampling_rules", setting, 1)]
        check("on record", sorted(refusals(s, "t")) == want, refusals(s, "t"))
        n, lost = discarded(s, "dropped_by_sampling_rules", "t")
        check("in the metrics", n == 2 and group_bytes(s, "discarded_bytes", "dropped_by_sampling_rules", "shops") == lost > 0)
        o.change(GROUPS % (SAMPLING % ("true", "false")), "keep_stripped_profiles: true")
        check("stripped is fine", upload(s, "t", "shop") == (200, ""))
        check("it is there", services(s, "t") == ["fleet", "shop"], services(s, "t"))
        check("without a stack", "work" not in totals(s, "t", "SelectMergeStacktraces"))
        check("not in timelines", totals(s, "t", "SelectSeries") == 0)
        check("counted", discarded(s, "dropped_by_sampling_rules", "t")[0] == 3)
        o.change(GROUPS % (SAMPLING % ("true", "true")), "include_stripped_profiles: true")
        check("in timelines", totals(s, "t", "SelectSeries") == totals(s, "u", "SelectSeries") > 0, totals(s, "t", "SelectSeries"))
        check("still without a stack", "work" not in totals(s, "t", "SelectMergeStacktraces"))
        o.change(GROUPS % "    max_sessions_per_series: 1", "max_sessions_per_series: 1")
        check("no sampling", upload(s, "t", "shop")[0] == 200 and "work" in totals(s, "t", "SelectMergeStacktraces"))


DELAY = """
overrides:
  t: {ingestion_artificial_delay: %s}
"""


def delay(build, folder):
    o = Overrides(build, folder, DELAY % "500ms")
    with o.server as s:
        def timed(tenant, name):
            begun, query = time.monotonic(), "/ingest?" + urllib.parse.urlencode({"name": name})
            status, headers, _ = s.request("POST", query, {"X-Scope-OrgID": tenant}, b"main;work 10\n")
            return status, time.monotonic() - begun, headers.get("server-timing", "")
        status, took, timing = timed("t", "shop")
        check("held back", status == 200 and took >= 0.45, took)
        found = re.fullmatch(r"artificial_delay;dur=(\d+\.\d+)", timing)
        check("says so", found and float(found.group(1)) <= 550, timing)
        status, _, timing = timed("t", "sh op")
        check("a refusal is not", status == 400 and not timing, timing)
        status, _, timing = timed("u", "shop")
        check("another tenant is not", status == 200 and not timing, timing)
        o.change(DELAY % "1m", "ingestion_artificial_delay: 1m")
        many = [socket.create_connection(("127.0.0.1", s.port), timeout=20) for _ in range(30)]
        for c in many:
            c.sendall(b"POST /ingest?name=shop HTTP/1.1\r\nHost: x\r\nX-Scope-OrgID: t\r\nContent-Length: 13\r\n\r\nmain;work 10\n")
        status, took, _ = timed("u", "shop")
        check("no worker waits", status == 200 and took < 20, took)
        until = time.monotonic() + 20
        while 'everflame_profiles_stored_total{tenant="t"} 31' not in s.request("GET", "/metrics")[2].decode() and \
                time.monotonic() < until:
            time.sleep(0.05)
        s.stop()
        check("a stop sends what is held", all(c.recv(100).startswith(b"HTTP/1.1 200") for c in many))
        for c in many:
            c.close()


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    flags = ["-auth.multitenancy-enabled=true", "-validation.max-active-series=3", "-validation.max-active-services=2",
             "-store.max-tenants=3"]
    with Server(build, flags) as s:
        for x in range(3):
            check(f"series {x}", upload(s, "t", "a{x=%d}" % x)[0] == 200)
        refused("the 4th series", upload(s, "t", "a{x=3}"), "current: 3", "limit: 3", "max_active_series")
        refused("a series of a new service", upload(s, "t", "b"), "max_active_series")
        check("known series go on", upload(s, "t", "a{x=1}")[0] == 200)
        check("nothing of the others is there", services(s, "t") == ["a"], services(s, "t"))
        check("services a, b", upload(s, "u", "a")[0] == 200 and upload(s, "u", "b")[0] == 200)
        refused("the 3rd service", upload(s, "u", "c"), "current: 2", "limit: 2", "max_active_services")
        check("a third tenant", upload(s, "v", "a")[0] == 200)
        refused("a 4th tenant", upload(s, "w", "a"), "current: 3", "limit: 3", "store.max-tenants")
        want = {"t": [("a", "series_limit", "limits.max_active_series", 1),
                      ("b", "series_limit", "limits.max_active_series", 1)],
                "u": [("c", "services_limit", "limits.max_active_services", 1)],
                "w": [("a", "tenants_limit", "store.max_tenants", 1)], "x": []}
        for tenant, rows in want.items():
            check("refusals of " + tenant, sorted(refusals(s, tenant)) == rows, refusals(s, tenant))
        s.stop()
        s.start()
        for tenant, rows in want.items():
            check("kept for " + tenant, sorted(refusals(s, tenant)) == rows, refusals(s, tenant))
        refused_body = upload(s, "t", "a{x=1}", b"")
        check("an empty body is no refusal", refused_body[0] in (200, 400, 422), refused_body)
    relabelling(build)
    before_the_decoder(build)
    budget(build)
    head_share(build)
    quota(build)
    for test in (usage_groups, sampling, delay):
        with tempfile.TemporaryDirectory(prefix="everflame-test-") as folder:
            test(build, folder)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
