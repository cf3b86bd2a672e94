#!/usr/bin/env python3
"""Grafana works as it is: the requests of its data source, by the official generated client, and those of Profiles
Drilldown, through a proxy like Grafana's. Data are recorded uploads of real SDKs, under one tenant.

    tests/e2e/grafana.py [BUILD_DIRECTORY]

Checked are what is sent (headers and fields must be those that were observed of the data source), that the stubs
decode every answer, what the data source demands of answers (grafana_view.py), and the values: what the reference
answered to the same questions, or what the uploads hold.

grafana/go.mod and grafana/go.sum pin the client. A missing Go is a failure. The last line is 'N passed, N failed'.
"""
import base64
import gzip
import json
import os
import re
import sys
import tempfile
import textwrap

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path[:0] = [HERE, TESTS, os.path.join(TESTS, "conformance"), os.path.join(TESTS, "integration")]
import conformance  # noqa: E402
from grafana_drilldown import drilldown  # noqa: E402
from grafana_view import (Bad, call_site, factor, flame_rows, heatmap_frames, need, series_frames, stacks)  # noqa: E402
from grpc_go import TLSServer, make_certificates  # noqa: E402
from protolite import Schema, read_value, read_varint  # noqa: E402
from sdk import GoProgram, Report  # noqa: E402
from server import OLD_DATA, Server  # noqa: E402
from test_rpc import CASES, ERRORS, QUERIER, SIDE, upload  # noqa: E402

CAPTURES, ANSWERS = (os.path.join(TESTS, "conformance", n) for n in ("captures", "answers"))
DEPLOY = os.path.join(os.path.dirname(TESTS), "deploy", "grafana")
TENANT, CPU = "grafana", "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
SPACE = "memory:inuse_space:bytes:space:bytes"
ALLOCATED = "memory:alloc_in_new_tlab_bytes:bytes:space:bytes"
CLIENTS = ("java-rfc", "python", "push-go", "go-sdk")
AUTH = {"X-Scope-OrgID": TENANT, "Authorization": "Basic Z3JhZmFuYTpzZWNyZXQ="}
UTF8 = {"Accept": "*/*; allow-utf8-labelnames=true"}
# As observed: nothing else, and spelled by Go.
SENT = {"Content-Type": "application/proto", "Connect-Protocol-Version": "1", "Accept-Encoding": "gzip",
        "X-Scope-Orgid": TENANT, "Authorization": AUTH["Authorization"]}


class Source(GoProgram):
    """The data source: one line of calls at once."""

    def __init__(self, url):
        super().__init__("grafana", ".", "grafana")
        self.url = url

    def call(self, method, request, **more):
        path = method if method.startswith("/") else QUERIER + method
        return dict({"URL": self.url, "Path": path, "Protocol": "connect", "HTTP": 1, "Headers": AUTH,
                     "Request": request}, **more)

    def calls(self, *calls):
        answers = self.line({"Calls": calls})
        for a in answers:
            need("fields that the stubs know", not a["Unknown"])
        return answers

    def ask(self, method, request, **more):
        """The answer, decoded by the stubs."""
        a = self.calls(self.call(method, request, **more))[0]
        need("%s: %s: %s" % (method, a["Code"], a["Message"]), not a["Code"])
        return a["Response"]

    def rows(self, request, method="SelectMergeStacktraces", **more):
        return flame_rows(self.ask(method, request, **more))


def recorded(client):
    with gzip.open(os.path.join(ANSWERS, client + ".json.gz")) as f:
        return [q for q in json.load(f)["questions"] if q["request"] is not None]


def window(client):
    start, end = conformance.window(os.path.join(CAPTURES, client))
    return {"start": start, "end": end}


def truth(client, kind, selector="{}"):
    """What the reference's flame graph of it holds."""
    return next(q["answer"] for q in recorded(client) if q["method"] == "SelectMergeStacktraces" and
                q["request"]["profileTypeID"] == kind and q["request"]["labelSelector"] == selector)


def side(client, kind, selector="{}"):
    return dict(window(client), profileTypeID=kind, labelSelector=selector)


def numbers(data):
    """Numbers of the fields of a message, in their order, each once."""
    at, out = 0, []
    while at < len(data):
        key, at = read_varint(data, at)
        _, at = read_value(data, at, key & 7)
        if key >> 3 not in out:
            out.append(key >> 3)
    return out


# What the data source sends, and what it does with the answers.


def check_sent(report, source, answer, what, fields, accept=False):
    sent = {k: v[0] for k, v in answer["Sent"].items()}
    agent = sent.pop("User-Agent", "")
    want = dict(SENT, **UTF8) if accept else SENT
    got = numbers(base64.b64decode(answer["Body"] or ""))
    report.row("%s is sent as recorded: fields %r%s" % (what, got, "" if sent == want else ", %r" % sent),
               sent == want and agent.startswith("connect-go/1.21.0 (go1.") and got == fields)
    kind, coding = (answer["Got"].get(n, [""])[0] for n in ("Content-Type", "Content-Encoding"))
    report.row("%s: answered %d, %s, %s" % (what, answer["Status"], kind, coding),
               (answer["Status"], kind, coding) == (200, "application/proto", "gzip"))


def check_requests(report, source, schema):
    """The table of what was observed: trigger, RPC, request, numbers of the fields."""
    cpu, times = side("java-rfc", CPU, '{service_name="my-service"}'), window("java-rfc")
    selector = {"callSite": [{"name": "java/lang/Thread.run"}]}
    only = schema.encode("types.v1.StackTraceSelector", {"frameFilter": {"includeFunctionNames": ["Work.spin"]}})
    profile_id = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
    rows = [
        ("health check", "ProfileTypes", {"start": 1000, "end": 4000}, [1, 2], {}),
        ("profileTypes", "ProfileTypes", times, [1, 2], {}),
        ("labelNames", "LabelNames", dict(times, matchers=["{}"]), [1, 2, 3], {}),
        ("labelNames, UTF-8", "LabelNames", dict(times, matchers=["{}"]), [1, 2, 3], UTF8),
        ("labelValues", "LabelValues", dict(times, name="user", matchers=["{}"]), [1, 2, 3, 4], {}),
        ("metrics", "SelectSeries", dict(cpu, groupBy=["user"], step=15, limit=2, exemplarType="EXEMPLAR_TYPE_NONE"),
         [1, 2, 3, 4, 5, 6, 9, 10], {}),
        ("metrics, UTF-8", "SelectSeries", dict(cpu, step=15, exemplarType="EXEMPLAR_TYPE_INDIVIDUAL"),
         [1, 2, 3, 4, 6, 10], UTF8),
        ("heatmap", "SelectHeatmap", dict(cpu, step=15, queryType="HEATMAP_QUERY_TYPE_INDIVIDUAL",
                                          exemplarType="EXEMPLAR_TYPE_INDIVIDUAL"), [1, 2, 3, 4, 5, 7, 8], {}),
        ("profile", "SelectMergeStacktraces", cpu, [1, 2, 3, 4], {}),
        ("profile, all settings", "SelectMergeStacktraces", dict(
            cpu, maxNodes=8, stackTraceSelector=selector, profileIdSelector=[profile_id]), [1, 2, 3, 4, 5, 7, 8], {}),
        ("spanSelector", "SelectMergeStacktraces", dict(cpu, spanSelector=["9a517183f26a089d"]),
         [1, 2, 3, 4, 11], {}),
        ("spanSelector, older", "SelectMergeSpanProfile", dict(cpu, spanSelector=["9a517183f26a089d"]),
         [1, 2, 3, 4, 5], {}),
    ]
    for what, method, request, fields, accept in rows:
        call = source.call(method, request, Headers=dict(AUTH, **accept))
        check_sent(report, source, source.calls(call)[0], what, fields, accept)
    call = source.call("SelectMergeStacktraces", cpu, FrameFilter=base64.b64encode(only).decode())
    check_sent(report, source, source.calls(call)[0], "frame filter", [1, 2, 3, 4, 7])
    call = source.call("ProfileTypes", times, URL=source.url + "/")
    check_sent(report, source, source.calls(call)[0], "URL with a slash at its end", [1, 2])


def check_truth(report, source):
    """All that the reference was asked about two clients."""
    for client in ("java-rfc", "python"):
        wrong, questions = [], recorded(client)
        for q in questions:
            got = conformance.json_round(conformance.normalise(q["method"], 200, source.ask(q["method"], q["request"])))
            if got != q["answer"]:
                wrong.append(q["id"])
        report.row("%s: %d answers are the reference's%s" % (client, len(questions), ", but for %r" % wrong
                                                             if wrong else ""), not wrong and len(questions) > 20)


def check_resources(report, source):
    """Lists for the editor; names with __ are hidden there, not here."""
    times = window("java-rfc")
    by = {json.dumps([q["method"], q["request"].get("name"), q["request"].get("matchers")]): q["answer"]
          for q in recorded("java-rfc") if q["method"].startswith("Label")}
    for matcher in ("{}", '{service_name="my-service"}', '{__profile_type__="%s", service_name="my-service"}' % CPU):
        names = source.ask("LabelNames", dict(times, matchers=[matcher])).get("names", [])
        users = source.ask("LabelValues", dict(times, name="user", matchers=[matcher])).get("names", [])
        report.row("%s: %r, users %r" % (matcher, names, users),
                   set(names) <= set(by['["LabelNames", null, null]']) and {"user", "controller"} < set(names) and
                   users == by['["LabelValues", "user", null]'])
    names = [source.ask("LabelNames", dict(window("push-go"), matchers=["{}"]), Headers=dict(AUTH, **more))["names"]
             for more in ({}, UTF8)]
    report.row("host.name is a name only for who takes UTF-8", ["host.name" in n for n in names] == [False, True])
    kinds = source.ask("ProfileTypes", times)["profileTypes"]
    report.row("profile types: parts of %d ids" % len(kinds), len(kinds) == 7 and all(
        t["ID"] == ":".join(t.get(k, "") for k in ("name", "sampleType", "sampleUnit", "periodType", "periodUnit"))
        for t in kinds))


def check_metrics(report, source):
    minute = {"start": 1795382700000, "end": 1795382760000}
    cpu = dict(side("java-rfc", CPU, '{service_name="my-service"}'), step=60)
    total = truth("java-rfc", CPU)["total"]
    frames = series_frames(source.ask("SelectSeries", dict(cpu, groupBy=["service_name"])), CPU, 60)
    cores = sum(v for _, v in frames[0][2])
    report.row("one query: %r" % (frames,), len(frames) == 1 and frames[0][:2] == (
        {"service_name": "my-service"}, "cores") and abs(cores - total / 60e9) < 1e-9)
    one = series_frames(source.ask("SelectSeries", dict(cpu, **minute)), CPU, 60)[0]
    report.row("points stand at the grid of the range: %r" % (one,), [t for t, _ in one[2]] == [
        minute["start"], minute["end"]])
    each = series_frames(source.ask("SelectSeries", dict(cpu, groupBy=["user"])), CPU, 60)
    two = series_frames(source.ask("SelectSeries", dict(cpu, groupBy=["user"], limit=2)), CPU, 60)
    sums = [sum(v for _, v in f[2]) for f in each]
    report.row("by user: %d series, two with limit 2" % len(each), len(each) > 5 and two == each[:2] and
               sums == sorted(sums, reverse=True) and abs(sum(sums) - total / 60e9) < 1e-9)
    for kind, client, unit in ((ALLOCATED, "java-rfc", "binBps"), (SPACE, "go-sdk", "bytes")):
        selector = '{service_name="%s"}' % {"java-rfc": "my-service", "go-sdk": "go-app"}[client]
        frames = series_frames(source.ask("SelectSeries", dict(side(client, kind, selector), step=15)), kind, 15)
        want = truth(client, kind, selector)["total"] * factor(kind, 15)[0]
        got = sum(v for _, v in frames[0][2])
        report.row("%s: %r of %r %s" % (kind, got, want, unit), frames[0][1] == unit and abs(got / want - 1) < 1e-9)
    none = dict(cpu, labelSelector='{service_name="nobody"}')
    report.row("no such service: no series", source.ask("SelectSeries", none) == {})
    report.row("no such service: a root", [r[:4] for r in source.rows(
        {k: v for k, v in none.items() if k != "step"})] == [(0, 0, 0, "total")])


def check_exemplars(report, source):
    """From a point, and from a bucket of the heatmap, to the profile it is an example of."""
    cpu = side("java-rfc", CPU, '{service_name="my-service"}')
    ask = dict(cpu, step=15, exemplarType="EXEMPLAR_TYPE_INDIVIDUAL")
    found = [e for f in series_frames(source.ask("SelectSeries", ask), CPU, 15) for e in f[3]]
    totals = [source.rows(dict(cpu, profileIdSelector=[e["profileId"]]))[0][1] for e in found]
    report.row("%d exemplars of points" % len(found), len(found) > 2 and [int(e["value"]) for e in found] == totals)
    heat = dict(cpu, step=15, queryType="HEATMAP_QUERY_TYPE_INDIVIDUAL", exemplarType="EXEMPLAR_TYPE_INDIVIDUAL")
    frames = heatmap_frames(source.ask("SelectHeatmap", heat))
    found = frames[0][2][:5]
    totals = [source.rows(dict(cpu, profileIdSelector=[e["profileId"]]))[0][1] for e in found]
    report.row("exemplars of a heatmap: %r" % totals, len(found) == 5 and all(
        0 < int(e["value"]) <= t for e, t in zip(found, totals)))


def check_flame(report, source, schema):
    cpu, want = side("java-rfc", CPU), truth("java-rfc", CPU)
    rows = source.rows(cpu)
    report.row("a flame graph of %d rows" % len(rows), stacks(rows) == want["stacks"] and rows[0][1] == want["total"])
    small = source.rows(dict(cpu, maxNodes=8))
    report.row("of 8 nodes: %d rows, the same total" % len(small), 8 < len(small) < len(rows) and
               small[0][1] == want["total"] and any(r[3] == "other" for r in small))
    site, below = call_site(want["stacks"])
    ask = dict(cpu, stackTraceSelector={"callSite": [{"name": n} for n in site]})
    report.row("below a call site: %d of %d stacks" % (len(below), len(want["stacks"])),
               1 < len(below) < len(want["stacks"]) and stacks(source.rows(ask)) == below)
    only = schema.encode("types.v1.StackTraceSelector", {"frameFilter": {"includeFunctionNames": [
        "Work$Orders.processOrder"]}})
    having = {k: v for k, v in want["stacks"].items() if "Work$Orders.processOrder" in k.split(";")}
    got = stacks(source.rows(cpu, FrameFilter=base64.b64encode(only).decode()))
    report.row("with a frame: %d stacks" % len(having), having and got == having)


def check_errors(report, source):
    cpu = side("java-rfc", CPU)
    for what, method, request, text in (
            ("selector", "SelectSeries", dict(cpu, step=15, labelSelector="{a"), "parsing label selector"),
            ("type", "SelectMergeStacktraces", dict(cpu, profileTypeID="cpu"), "profile-type selection must be"),
            ("nodes", "SelectMergeStacktraces", dict(cpu, maxNodes=2000000), "greater than allowed 1048576"),
            ("span", "SelectMergeStacktraces", dict(cpu, spanSelector=["zzz"]), "zzz"),
            ("span, older", "SelectMergeSpanProfile", dict(cpu, spanSelector=["zzz"]), "zzz"),
            ("no range", "LabelValues", {"name": "user", "matchers": ["{}"]}, "missing time range in the query")):
        a = source.calls(source.call(method, request))[0]
        report.row("bad %s: %s: %s" % (what, a["Code"], a["Message"]), a["Code"] == "invalid_argument" and
                   text in a["Message"] and a["Status"] == 400 and a["Got"]["Content-Type"] == ["application/json"] and
                   "Content-Encoding" not in a["Got"])


def check_both(report, source):
    """The query type `both`: two calls at once, and when one fails the other one is dropped."""
    cpu = side("java-rfc", CPU)
    series, profile = source.call("SelectSeries", dict(cpu, step=15)), source.call("SelectMergeStacktraces", cpu)
    alone = [source.calls(c)[0]["Response"] for c in (series, profile)]
    for _ in range(10):
        if [a["Response"] for a in source.calls(series, profile)] != alone:
            report.row("both at once", False)
            return
    report.row("both at once, ten times", True)
    bad = source.call("SelectSeries", dict(cpu, step=15, labelSelector="{"))
    ends = [source.calls(bad, profile) for _ in range(20)]
    report.row("a bad half is named: %r" % ends[0][0]["Message"], all(a["Code"] == "invalid_argument" for a, _ in ends))
    report.row("the other half: %r" % sorted({b["Code"] for _, b in ends}), all(
        b["Code"] == "canceled" or not b["Code"] and b["Response"] == alone[1] for _, b in ends))
    ends = [source.calls(series, dict(profile, Cancel=True))[1] for _ in range(20)]
    report.row("taken back when sent: %r" % sorted({b["Code"] for b in ends}), all(
        b["Code"] == "canceled" or not b["Code"] and b["Response"] == alone[1] for b in ends))
    report.row("and both again", [a["Response"] for a in source.calls(series, profile)] == alone)


def check_spans(report, source):
    """Traces to profiles: a span's id and the range around it, `{}` as the selector."""
    cpu = side("push-go", CPU)
    heat = dict(cpu, step=15, queryType="HEATMAP_QUERY_TYPE_SPAN", exemplarType="EXEMPLAR_TYPE_SPAN")
    found = [e for f in heatmap_frames(source.ask("SelectHeatmap", heat)) for e in f[2]]
    spans, traces = ({e.get(k) for e in found} for k in ("spanId", "traceId"))
    report.row("exemplars of spans: %r of %r" % (spans, traces), len(spans) == len(traces) == 1 and None not in spans)
    span, trace = spans.pop(), traces.pop()
    # The synthetic profile has one stack under that span, of 25 samples of 10 ms; three go over HTTP/1.1.
    want = [(0, 750000000, 0, "total"), (1, 750000000, 0, "main"),
            (2, 750000000, 750000000, "libnosym.so.1!0x7f0000002abc")]
    for what, method, more in (("span", "SelectMergeStacktraces", {"spanSelector": [span]}),
                               ("span in capitals", "SelectMergeStacktraces", {"spanSelector": [span.upper()]}),
                               ("span, older", "SelectMergeSpanProfile", {"spanSelector": [span]}),
                               ("trace", "SelectMergeStacktraces", {"traceIdSelector": [trace]})):
        got = [r[:4] for r in source.rows(dict(cpu, **more), method)]
        report.row("%s: %r" % (what, got), got == want)
    for what, method in (("SelectMergeStacktraces",) * 2, ("older", "SelectMergeSpanProfile")):
        got = source.rows(dict(cpu, spanSelector=["00000000000000ff"]), method)
        report.row("a span without samples, %s" % what, [r[:4] for r in got] == [(0, 0, 0, "total")])


def check_services(report, source):
    setting = {"name": "theme", "value": "größe"}
    got = source.ask("/settings.v1.SettingsService/Set", {"setting": setting})["setting"]
    report.row("a setting is kept: %r" % got, int(got.pop("modifiedAt")) > 0 and got == setting and [
        s["value"] for s in source.ask("/settings.v1.SettingsService/Get", {})["settings"]] == ["größe"])
    source.ask("/settings.v1.SettingsService/Delete", {"name": "theme"})
    report.row("and deleted", source.ask("/settings.v1.SettingsService/Get", {}) == {})
    got = source.ask("/version.v1.Version/Version", {})
    report.row("version: %r" % got, got == {"QuerierAPI": "1"})
    got = {f["name"] for f in source.ask("/capabilities.v1.FeatureFlagsService/GetFeatureFlags", {})["featureFlags"]}
    report.row("features: %r" % sorted(got), {"utf8LabelNames", "v2StorageLayer"} <= got)


def check_view(report, source):
    """The checker checked: answers that would crash the data source, one demand each."""
    good = {"names": ["total", "a"], "levels": [{"values": [0, 4, 0, 0]}, {"values": [0, 4, 4, 1]}], "total": 4,
            "maxSelf": 4}
    flame_rows({"flamegraph": good})
    root = good["levels"][0]
    broken = [None, {}, dict(good, levels=[]), dict(good, levels=[root, {"values": []}]), dict(good, total=5),
              dict(good, maxSelf=3), dict(good, levels=[{"values": [0, 4, 0]}]), dict(good, levels=[root])]
    broken += [dict(good, levels=[root, {"values": v}]) for v in (
        [0, 4, 4], [0, 4, 4, 2], [1, 4, 4, 1], [0, 3, 3, 1], [0, 4, 5, 1], [-1, 4, 4, 1], [0, 2, 2, 1, 0, 3, 3, 1])]
    kept = []
    for flame in broken:
        try:
            flame_rows({"flamegraph": flame})
            kept.append(flame)
        except Bad:
            pass
    report.row("%d broken flame graphs are noticed%s" % (len(broken), kept and ", but for %r" % kept or ""), not kept)


# Every query by the generated stubs, in every form.


def check_forms(report, source, **more):
    forms = [(http, protocol, as_json) for http in (1, 2) for protocol in ("connect", "grpc", "grpcweb")
             for as_json in (False, True)]
    for http, protocol, as_json in forms:
        wrong = []
        form = dict(more, HTTP=http, Protocol=protocol, JSON=as_json, Headers={"X-Scope-OrgID": "t"})
        for method, request, right in CASES:
            a = source.calls(source.call(method, request, **form))[0]
            if a["Code"] or not right(a["Response"]):
                wrong.append((method, request, a["Code"], a["Message"], a["Response"]))
        for method, request, _, code in ERRORS:
            a = source.calls(source.call(method, request, **form))[0]
            if a["Code"] != code:
                wrong.append((method, request, a["Code"], a["Message"]))
        report.row("HTTP/%d%s, %s, %s: %d calls%s" % (
            http, " TLS" if "CA" in more else "", protocol, "JSON" if as_json else "protobuf", len(CASES) + len(ERRORS),
            "".join("\n     %r" % (w,) for w in wrong)), not wrong)


def check_tls(report, build, folder):
    make_certificates(folder)
    flags = ["-server.http-tls-%s=%s" % (name, os.path.join(folder, file))
             for name, file in (("cert-path", "server.pem"), ("key-path", "server.key"))]
    with TLSServer(build, OLD_DATA + flags, folder) as server:
        upload(server)
        with Source("https://127.0.0.1:%d" % server.port) as source:
            check_forms(report, source, CA=os.path.join(folder, "ours.pem"))


def check_new(report, build):
    """A server as it comes, with nothing in it: "Save & test" is content, and Drilldown shows how to begin."""
    with Server(build) as server, Source(server.url) as source:
        for what, method, request in (("health check", "ProfileTypes", {"start": 1000, "end": 4000}),
                                      ("names", "LabelNames", {"matchers": ["{}"], "start": 1000, "end": 4000}),
                                      ("stats", "GetProfileStats", {})):
            got = source.ask(method, request, Headers={})
            report.row("a new server, %s: %r" % (what, got), got == {})


def check_annotations(report, build, folder):
    """Points with profiles that passed although the tenant's limit was reached, with annotations switched on."""
    path = os.path.join(folder, "overrides.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write("overrides: {t: {ingestion_limit: {limit_reached: true, period_type: day, period_limit_mb: 5, "
                "limit_reset_time: 1767225600, sampling: {num_requests: 9, period: 1h}}}}")
    with Server(build, OLD_DATA + ["-runtime-config.file=" + path]) as server, Source(server.url) as source:
        upload(server)
        got = source.ask("SelectSeries", dict(SIDE, step=15), Headers={"X-Scope-OrgID": "t"})
        notes = [(a["key"], json.loads(a["value"])) for p in got["series"][0]["points"] for a in p["annotations"]]
        report.row("annotations: %r" % (notes,), notes == [("pyroscope.ingest.throttled", {"body": {
            "periodType": "day", "periodLimitMb": 5, "limitResetTime": 1767225600, "samplingPeriodSec": 3600,
            "samplingRequests": 9, "usageGroup": ""}})] * 2)


def placed(value, variables):
    """A query of the dashboard with its variables in place."""
    text = json.dumps(value)
    for name, v in variables.items():
        text = text.replace("$" + name, v)
    return json.loads(text)


def check_files(report, source, server):
    """What deploy/grafana has, and what docs/grafana.md shows: files that Grafana can read, and that fit the server."""
    status, _, text = server.request("GET", "/api/v1/status/config/default")
    default = source.line({"YAML": text.decode()})["server"]["http_listen_port"]
    with open(os.path.join(DEPLOY, "provisioning", "datasources", "everflame.yaml"), encoding="utf-8") as f:
        text = f.read()
    for what, shown in (("as it is", text), ("with a tenant", re.sub(r"^( *)# (?=( +|)(httpHeader|secureJson))", r"\1",
                                                                     text, flags=re.M))):
        got = source.line({"YAML": shown})
        mine = got["datasources"][0]
        report.row("provisioning %s: %r" % (what, mine), got["apiVersion"] == 1 and len(got["datasources"]) == 1 and
                   mine["type"] == "grafana-pyroscope-datasource" and mine["access"] == "proxy" and
                   mine["url"] == "http://localhost:%d" % default and status == 200)
    report.row("the tenant's header", (mine["jsonData"].get("httpHeaderName1"), mine.get("secureJsonData")) == (
        "X-Scope-OrgID", {"httpHeaderValue1": "my-tenant"}))
    with open(os.path.join(DEPLOY, "dashboards", "everflame.json"), encoding="utf-8") as f:
        board = json.load(f)
    names = {v["name"] for v in board["templating"]["list"]}
    cpu, given = side("java-rfc", CPU), {"service": "my-service", "type": CPU}
    for panel in board["panels"]:
        q = placed(panel["targets"][0], given)
        ask = dict(cpu, profileTypeID=q["profileTypeId"], labelSelector=q["labelSelector"])
        if q["queryType"] == "metrics":
            ask.update(step=15, groupBy=q["groupBy"], **({"limit": q["limit"]} if "limit" in q else {}))
            good = len(series_frames(source.ask("SelectSeries", ask), CPU, 15)) == 1
        else:
            good = len(source.rows(ask)) == 762
        report.row("panel %s" % panel["title"], good and set(re.findall(r"\$\{?(\w+)", json.dumps(panel))) <= names)
    with open(os.path.join(os.path.dirname(TESTS), "docs", "grafana.md"), encoding="utf-8") as f:
        blocks = re.findall(r"\n\n((?:    [^\n]*\n)+)", f.read())
    shown = [source.line({"YAML": textwrap.dedent(b)}) for b in blocks if "jsonData" in b]
    traces = shown[1]["datasources"][0]["jsonData"]["tracesToProfiles"]
    report.row("the page: %r" % traces, len(shown) == 2 and traces["profileTypeId"] == CPU and
               traces["datasourceUid"] == mine["uid"] and shown[0]["secureJsonData"] == mine["secureJsonData"])


def replay(report, server):
    for client in CLIENTS:
        sent, bad = conformance.replay(conformance.Server(server.url, TENANT), os.path.join(CAPTURES, client))
        report.row("%s: %d uploads, refused %r" % (client, sent, bad), sent and not bad)


def main(build):
    report, schema = Report(), Schema()
    with report:
        with Server(build, OLD_DATA) as server, Source(server.url) as source:
            replay(report, server)
            upload(server)
            steps = [(check_requests, (schema,)), (check_truth, ()), (check_resources, ()), (check_metrics, ()),
                     (check_exemplars, ()), (check_flame, (schema,)), (check_errors, ()), (check_both, ()),
                     (check_spans, ()), (check_services, ()), (check_view, ()), (check_forms, ())]
            for step, more in steps:
                step(report, source, *more)
            check_files(report, source, server)
            address = source.line({"Proxy": server.url})
            drilldown(report, address, schema, TENANT, side("java-rfc", CPU), truth("java-rfc", CPU))
        check_new(report, build)
        with tempfile.TemporaryDirectory() as folder:
            check_annotations(report, build, folder)
            check_tls(report, build, folder)
    return report.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "build"))
