"""What Profiles Drilldown asks in the browser, through Grafana's proxy of data sources: plain JSON, integers as
numbers, names in both spellings, no header of any RPC protocol. Standard library only.
"""
import base64
import gzip
import http.client
import json
import urllib.parse

import conformance
from grafana_view import call_site, flame_rows, stacks

PREFIX = "/api/datasources/proxy/uid/everflame"
QUERIER = "/querier.v1.QuerierService/"
UTF8 = "application/json; allow-utf8-labelnames=true"


class Browser:
    def __init__(self, address, tenant):
        self.address, self.tenant = address, tenant

    def send(self, method, path, body=b"", **headers):
        """X-Scope-OrgID is what Grafana adds from the settings of the data source."""
        c = http.client.HTTPConnection(self.address, timeout=60)
        try:
            c.request(method, PREFIX + path, body, {
                "content-type": "application/json", "X-Scope-OrgID": self.tenant, "Accept-Encoding": "gzip, deflate",
                **{k.replace("_", "-"): v for k, v in headers.items()}})
            r = c.getresponse()
            data = r.read()
            return r.status, r.headers, gzip.decompress(data) if r.headers.get("Content-Encoding") == "gzip" else data
        finally:
            c.close()

    def post(self, path, request, **headers):
        status, _, data = self.send("POST", path if path.startswith("/") else QUERIER + path,
                                    json.dumps(request).encode(), **headers)
        return status, json.loads(data or b"null") if data[:1] in b"{[n" else data

    def get(self, path, **query):
        return self.send("GET", path + "?" + urllib.parse.urlencode(query))


def landing(report, browser, times):
    status, got = browser.post("Series", dict(times, labelNames=["service_name", "__profile_type__"], matchers=[]),
                               accept=UTF8)
    pairs = [{p["name"]: p["value"] for p in s["labels"]} for s in got["labelsSet"]]
    report.row("services and types: %d pairs" % len(pairs), status == 200 and len(pairs) == 7 and
               all(sorted(p) == ["__profile_type__", "service_name"] for p in pairs) and
               {p["service_name"] for p in pairs} == {"my-service"})
    status, got = browser.post("GetProfileStats", {})
    report.row("stats: %r" % got, status == 200 and got["dataIngested"] is True and
               int(got["oldestProfileTime"]) < times["end"] < int(got["newestProfileTime"]))
    status, got = browser.post("AnalyzeQuery", dict(times, query="{}"))
    report.row("cost of a query: %r" % got, status == 200 and isinstance(got, dict))


def labels(report, browser, cpu):
    times = {"start": cpu["start"], "end": cpu["end"]}
    strays = ['{__profile_type__="%s", service_name="my-service"%s}' % (cpu["profileTypeID"], end)
              for end in ("", ",", ", ")]
    for matcher in strays + [cpu["profileTypeID"] + '{service_name="my-service",}']:
        a = browser.post("LabelNames", dict(times, matchers=[matcher]), accept=UTF8)
        b = browser.post("LabelValues", dict(times, name="controller", matchers=[matcher]), accept=UTF8)
        report.row("labels of %s: %r %r" % (matcher, a, b), a[0] == b[0] == 200 and
                   "controller" in a[1]["names"] and b[1] == {"names": ["billing", "order"]})


def flames(report, browser, cpu, want):
    for spelling in (cpu, {"profile_typeID": cpu["profileTypeID"], "label_selector": cpu["labelSelector"],
                           "start": cpu["start"], "end": cpu["end"]}):
        for nodes in (16384, 1048576):
            status, got = browser.post("SelectMergeStacktraces", dict(spelling, maxNodes=nodes))
            report.row("a flame graph of %d nodes" % nodes, status == 200 and
                       stacks(flame_rows(got)) == want["stacks"])
    status, got = browser.post("SelectMergeStacktraces", dict(cpu, format="PROFILE_FORMAT_FUNCTIONS"))
    table = {f["name"]: int(f.get("self", 0)) for f in got["functions"]["functions"]}
    self_ = {}
    for path, v in want["stacks"].items():
        self_[path.split(";")[-1]] = self_.get(path.split(";")[-1], 0) + v
    report.row("a table of %d functions" % len(table), status == 200 and
               {k: v for k, v in table.items() if v} == self_ and int(got["functions"]["total"]) == want["total"])
    status, got = browser.post("SelectMergeStacktraces", dict(cpu, format="PROFILE_FORMAT_SANDWICH",
                                                              sandwichFunction="Work.spin"))
    spin = sum(v for k, v in want["stacks"].items() if "Work.spin" in k.split(";"))
    report.row("callers and callees: %r of %d" % (got["sandwich"]["total"], spin), status == 200 and
               int(got["sandwich"]["total"]) == spin)


def comparison(report, browser, cpu, want):
    half = (cpu["start"] + cpu["end"]) // 2
    left, right = dict(cpu, end=half), dict(cpu, start=half + 1)
    status, got = browser.post("Diff", {"left": left, "right": right})
    new = got["flamegraph"]
    report.row("comparison: %s and %s" % (new["leftTicks"], new["rightTicks"]), status == 200 and
               int(new["leftTicks"]) + int(new["rightTicks"]) == int(new["total"]) == want["total"])
    query = cpu["profileTypeID"] + '{service_name="my-service",}'
    status, _, data = browser.get("/pyroscope/render-diff", leftQuery=query, leftFrom=left["start"],
                                  leftUntil=left["end"], rightQuery=query, rightFrom=right["start"],
                                  rightUntil=right["end"], maxNodes=16384)
    old = json.loads(data)
    report.row("comparison, older", status == 200 and (old["leftTicks"], old["rightTicks"]) == (
        int(new["leftTicks"]), int(new["rightTicks"])) and old["metadata"]["format"] == "double")


def exports(report, browser, schema, cpu, want):
    query = {"query": cpu["profileTypeID"] + '{service_name="my-service"}', "from": cpu["start"], "until": cpu["end"]}
    status, headers, data = browser.get("/pyroscope/render", format="dot", **{"max-nodes": 100}, **query)
    report.row("DOT to explain: %d bytes" % len(data), status == 200 and data.startswith(b"digraph") and
               b"Work.spin" in data and headers["Content-Type"].startswith("text/plain"))
    ask, answer = schema.rpcs[QUERIER + "SelectMergeProfile"]
    status, headers, data = browser.send("POST", QUERIER + "SelectMergeProfile", schema.encode(ask, cpu),
                                         content_type="application/proto")
    profile = conformance.norm_profile(schema.decode(answer, data))
    report.row("pprof: %d stacks" % len(profile["stacks"]), status == 200 and
               headers["Content-Type"] == "application/proto" and profile["stacks"] == want["stacks"])
    site, below = call_site(want["stacks"])
    status, got = browser.post("SelectMergeProfile", {
        "profile_typeID": cpu["profileTypeID"], "label_selector": cpu["labelSelector"], "start": cpu["start"],
        "end": cpu["end"], "stackTraceSelector": {"call_site": [{"name": n} for n in site]}, "maxNodes": 500})
    report.row("details of a function: %d stacks" % len(below), status == 200 and
               conformance.norm_profile(got)["stacks"] == below)


def others(report, browser, cpu):
    value = json.dumps({"maxNodes": 16384, "größe": "✓"})
    status, got = browser.post("/settings.v1.SettingsService/Set", {"setting": {"name": "pluginSettings",
                                                                                "value": value}})
    again = browser.post("/settings.v1.SettingsService/Get", {})
    report.row("settings are kept: %r" % (again,), status == 200 and again == (200, {"settings": [got["setting"]]}) and
               got["setting"]["value"] == value)
    status, _ = browser.post("/settings.v1.RecordingRulesService/ListRecordingRules", {})
    report.row("no recording rules: %d" % status, status == 404)
    status, got = browser.post("/vcs.v1.VCSService/GithubApp", {})
    report.row("no source code: %d %r" % (status, got), status == 501 and got["code"] == "unimplemented")
    adhoc = "/adhocprofiles.v1.AdHocProfileService/"
    empty = browser.post(adhoc + "List", {})
    _, kept = browser.post(adhoc + "Upload", {"name": "dropped.txt", "profile": base64.b64encode(b"main;f 3\n").decode()})
    status, got = browser.post(adhoc + "List", {})
    report.row("an ad hoc profile: %r %r" % (empty, got), empty == (200, {}) and status == 200 and
               [(p["id"], p["name"]) for p in got["profiles"]] == [(kept["id"], "dropped.txt")])
    status, got = browser.post("SelectMergeStacktraces", dict(cpu, labelSelector="{"))
    report.row("errors have a text: %r" % got, status == 400 and got["code"] == "invalid_argument" and
               got["message"].startswith("parsing label selector"))


def drilldown(report, address, schema, tenant, cpu, want):
    """cpu: the selection; want: the truth of its flame graph."""
    browser = Browser(address, tenant)
    landing(report, browser, {"start": cpu["start"], "end": cpu["end"]})
    labels(report, browser, cpu)
    flames(report, browser, cpu, want)
    comparison(report, browser, cpu, want)
    exports(report, browser, schema, cpu, want)
    others(report, browser, cpu)
