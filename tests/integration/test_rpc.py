#!/usr/bin/env python3
"""Every query RPC, asked in JSON and in protobuf, with and without gzip both ways: all answers mean the
same, and they are right for data that is known. The protobuf side is tests/protolite.py, which knows
nothing of the server's code.

    test_rpc.py BUILD
"""
import gzip
import json
import os
import sys
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from protolite import Schema  # noqa: E402
from server import OLD_DATA, Server  # noqa: E402

QUERIER = "/querier.v1.QuerierService/"
CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
T0 = 1_700_000_000
RANGE = {"start": str((T0 - 60) * 1000), "end": str((T0 + 60) * 1000)}
STACKS = "a;b;e 1\na;c 2\na;c;d 1\n"  # the example of the flame graph's specification
SIDE = dict(RANGE, profileTypeID=CPU, labelSelector='{service_name="shop"}')
PAIR = [{"name": "service_name", "value": "shop"}]

# method, request, what the answer must be (a function of the JSON answer)
CASES = [
    ("ProfileTypes", RANGE, lambda a: [t["ID"] for t in a["profileTypes"]] == [CPU]),
    ("LabelNames", dict(RANGE, matchers=["{}"]), lambda a: "service_name" in a["names"] and "env" in a["names"]),
    ("LabelValues", dict(RANGE, name="env"), lambda a: a == {"names": ["prod", "test"]}),
    ("Series", dict(RANGE, labelNames=["service_name"]), lambda a: a == {"labelsSet": [{"labels": PAIR}]}),
    ("SelectMergeStacktraces", dict(SIDE, labelSelector='{env="prod"}'), lambda a: a["flamegraph"] == {
        "names": ["total", "a", "c", "d", "b", "e"], "total": "40000000", "maxSelf": "20000000", "levels": [
            {"values": ["0", "40000000", "0", "0"]}, {"values": ["0", "40000000", "0", "1"]},
            {"values": ["0", "10000000", "0", "4", "0", "30000000", "20000000", "2"]},
            {"values": ["0", "10000000", "10000000", "5", "20000000", "10000000", "10000000", "3"]}]}),
    ("SelectMergeStacktraces", dict(SIDE, format="PROFILE_FORMAT_TREE", maxNodes="100"), lambda a: "tree" in a),
    ("SelectMergeStacktraces", dict(SIDE, format="PROFILE_FORMAT_DOT"), lambda a: "digraph" in a["dot"]),
    ("SelectMergeStacktraces", dict(SIDE, format="PROFILE_FORMAT_PPROF"),
     lambda a: sum(int(s["value"][0]) for s in a["pprof"]["profile"]["sample"]) == 80000000),
    ("SelectMergeStacktraces", dict(SIDE, labelSelector='{env="none"}'),
     lambda a: a == {"flamegraph": {"names": ["total"], "levels": [{"values": ["0", "0", "0", "0"]}]}}),
    ("SelectMergeSpanProfile", SIDE, lambda a: a["flamegraph"]["total"] == "80000000"),
    ("SelectMergeProfile", SIDE, lambda a: a["stringTable"][0] == "" and len(a["sample"]) == 3),
    ("SelectMergeProfile", dict(SIDE, labelSelector='{env="none"}'), lambda a: a == {}),
    ("SelectSeries", dict(SIDE, step=15, groupBy=["env"]), lambda a: sorted(
        (s["labels"][0]["value"], s["points"][0]["value"]) for s in a["series"]) == [
            ("prod", 40000000), ("test", 40000000)]),
    ("SelectSeries", dict(SIDE, step=15, exemplarType="EXEMPLAR_TYPE_INDIVIDUAL"), lambda a: [
        (e["timestamp"], e["value"], len(e["profileId"]), [x["value"] for x in e["labels"] if x["name"] == "env"])
        for p in a["series"][0]["points"] for e in p["exemplars"]] == [
            (str(T0 * 1000), "40000000", 36, ["prod"]), (str((T0 + 10) * 1000), "40000000", 36, ["test"])]),
    ("SelectHeatmap", dict(SIDE, step=15, queryType="HEATMAP_QUERY_TYPE_INDIVIDUAL",
                           exemplarType="EXEMPLAR_TYPE_INDIVIDUAL"), lambda a: [
        (s["timestamp"], s["counts"], len(s["yMin"]), len(s["exemplars"])) for s in a["series"][0]["slots"]] == [
            (str(T0 * 1000), [1] + [0] * 19, 20, 1), (str((T0 + 15) * 1000), [1] + [0] * 19, 20, 1)]),
    ("SelectHeatmap", dict(SIDE, step=15, queryType="HEATMAP_QUERY_TYPE_SPAN"), lambda a: a == {}),
    ("GetProfileStats", {}, lambda a: a == {"dataIngested": True, "oldestProfileTime": str(T0 * 1000),
                                            "newestProfileTime": str((T0 + 10) * 1000)}),
    ("AnalyzeQuery", dict(RANGE, query="{}"), lambda a: a == {}),
    ("Diff", {"left": SIDE, "right": dict(SIDE, labelSelector='{env="prod"}')},
     lambda a: (a["flamegraph"]["leftTicks"], a["flamegraph"]["rightTicks"]) == ("80000000", "40000000")),
]
ERRORS = [
    ("LabelNames", {}, 400, "invalid_argument"),
    ("SelectSeries", dict(SIDE, step=0), 400, "invalid_argument"),
    ("SelectMergeStacktraces", dict(SIDE, labelSelector="{"), 400, "invalid_argument"),
    ("SelectMergeStacktraces", dict(SIDE, maxNodes="2000000"), 400, "invalid_argument"),
    ("SelectSeries", dict(SIDE, step=15, exemplarType="EXEMPLAR_TYPE_SPAN"), 501, "unimplemented"),
    ("SelectHeatmap", dict(SIDE, step=15), 400, "invalid_argument"),
]


def ask(server, schema, method, request, proto, zip_request, zip_answer):
    path = QUERIER + method
    ask_type, answer_type = schema.rpcs[path]
    body = schema.encode(ask_type, request) if proto else json.dumps(request).encode()
    headers = {"Content-Type": "application/proto" if proto else "application/json", "X-Scope-OrgID": "t"}
    if zip_request:
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
    if zip_answer:
        headers["Accept-Encoding"] = "gzip"
    status, got, data = server.request("POST", path, headers, body)
    zipped = got.get("Content-Encoding") == "gzip"
    if status == 200:
        assert zipped == (zip_request or zip_answer), f"{method}: answer gzip {zipped}"
        assert got["Content-Type"] == headers["Content-Type"], got["Content-Type"]
    else:
        assert not zipped and got["Content-Type"] == "application/json", dict(got)
    data = gzip.decompress(data) if zipped else data
    if status != 200:
        return status, json.loads(data)
    return status, schema.decode(answer_type, data) if proto else json.loads(data)


def upload(server):
    for env, seconds in (("prod", 0), ("test", 10)):
        q = urllib.parse.urlencode({"name": "shop.cpu{env=%s}" % env, "from": T0 + seconds, "until": T0 + seconds})
        status, _, data = server.request("POST", "/ingest?" + q, {"X-Scope-OrgID": "t"}, STACKS.encode())
        assert status == 200, (status, data)


def main():
    passed = failed = 0
    schema = Schema()
    with Server(sys.argv[1], OLD_DATA) as s:
        upload(s)
        combinations = [(p, zr, za) for p in (False, True) for zr in (False, True) for za in (False, True)]
        for method, request, right in CASES:
            answers = []
            for c in combinations:
                try:
                    status, answer = ask(s, schema, method, request, *c)
                    ok = status == 200 and right(answer) and (not answers or answer == answers[0])
                    answers.append(answer)
                except (AssertionError, KeyError, ValueError, TypeError, IndexError) as e:
                    ok, answer = False, repr(e)
                passed, failed = passed + ok, failed + (not ok)
                if not ok:
                    print(f"FAIL {method} {request} proto,zip,zip={c}: {str(answer)[:400]}")
        for method, request, status, code in ERRORS:
            for c in combinations:
                got, answer = ask(s, schema, method, request, *c)
                ok = (got, answer.get("code")) == (status, code)
                passed, failed = passed + ok, failed + (not ok)
                if not ok:
                    print(f"FAIL {method} {request}: {got} {answer}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
