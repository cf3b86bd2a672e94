#!/usr/bin/env python3
"""OTLP profiles as a client meets them: content types, compression, statuses and texts over HTTP, codes over
gRPC, what is stored and what is on record as refused. Bodies are the recorded ones.

    test_otlp.py BUILD
"""
import gzip
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from server import OLD_DATA, Server  # noqa: E402

CAPTURES = os.path.join(os.path.dirname(HERE), "conformance", "captures")
PATH = "/v1development/profiles"
RPC = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
PROTO, JSON = "application/x-protobuf", "application/json"
RANGE = {"start": 1795383000000, "end": 1795384000000}
passed = failed = 0


def check(what, ok, shown=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print("FAIL", what, shown, flush=True)


def body(client, number):
    with open(os.path.join(CAPTURES, client, number + ".bin"), "rb") as f:
        return f.read()


def post(s, data, kind=PROTO, path=PATH, tenant="t", **more):
    headers = {"Content-Type": kind, **{k.replace("_", "-"): v for k, v in more.items()}}
    if tenant:
        headers["X-Scope-OrgID"] = tenant
    status, got, text = s.request("POST", path, headers, data)
    return status, got.get("Content-Type"), text.decode()


def ask(s, method, request, tenant="t"):
    _, _, text = s.request("POST", "/querier.v1.QuerierService/" + method,
                           {"X-Scope-OrgID": tenant, "Content-Type": JSON}, json.dumps(dict(RANGE, **request)).encode())
    return json.loads(text)


def services(s, tenant="t"):
    return sorted(ask(s, "LabelValues", {"name": "service_name"}, tenant).get("names", []))


def transport(s):
    proto, text = body("otlp-collector", "002"), body("otlp-collector", "003")
    plain = gzip.decompress(proto)
    ok = (200, PROTO, "")
    for what, got in [("gzip", post(s, proto, Content_Encoding="gzip")), ("GZIP", post(s, proto, Content_Encoding="GZIP")),
                      ("plain", post(s, plain)), ("other type", post(s, plain, "application/protobuf")),
                      ("other encoding", post(s, plain, Content_Encoding="br")), ("json", post(s, text, JSON)),
                      ("json gzip", post(s, gzip.compress(text), JSON, Content_Encoding="gzip")),
                      ("rpc path", post(s, plain, path=RPC))]:
        check("transport " + what, got == ok, got)
    for kind in (JSON + "; charset=utf-8", "application/X-protobuf", "text/plain", ""):
        got = post(s, plain, kind)
        check("415 " + kind, got == (415, "text/plain; charset=utf-8", f"Unsupported Content-Type: {kind}\n"), got)
    check("get", s.request("GET", PATH, {"X-Scope-OrgID": "t"})[0] == 405)
    got = post(s, plain, tenant=None)
    check("no tenant", got[:2] == (401, JSON) and json.loads(got[2])["code"] == "unauthenticated", got)
    got = post(s, plain, Content_Encoding="gzip")
    check("no gzip", got[0] == 400 and got[2] == "Failed to read request body: gzip: invalid header\n", got)
    got = post(s, proto[:200], Content_Encoding="gzip")
    check("half a gzip", got[0] == 400 and got[2].startswith("failed to read gzip-compressed request body: "), got)
    got = post(s, plain[:-3])
    check("half a message", got[0] == 400 and got[2].startswith("Failed to parse protobuf request: "), got)
    got = post(s, b"[1]", JSON)
    check("no object", got[0] == 400 and got[2].startswith("Failed to parse JSON request: "), got)
    for data, kind in [(b"", PROTO), (b"{}", JSON)]:
        got = post(s, data, kind)
        check("empty " + kind, got[0] == 400 and got[2] == "missing profile metadata dictionary\n", got)
    check("services", services(s) == ["collector-shop"], services(s))


def meaning(s):
    check("go", post(s, body("otlp-go", "003"), tenant="go")[0] == 200)
    profile = ask(s, "SelectMergeProfile", {"profileTypeID": "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
                                            "labelSelector": "{}"}, "go")
    strings = profile["stringTable"]
    ids = {strings[int(m["buildId"])] for m in profile["mapping"] if "buildId" in m}
    check("build id", "feedface" * 5 in ids, ids)
    addresses = {int(x["address"]) for x in profile["location"] if not x.get("line")}
    check("addresses", addresses == {0x7f0000012345, 0x7f0000023456}, addresses)


def partial(s):
    """Two resources; the profile of the second has a type that is refused."""
    def resource(name, kind):
        profile = {"sampleType": {"typeStrindex": kind, "unitStrindex": 2}, "samples": [{"stackIndex": 1, "values": [5]}],
                   "timeUnixNano": "1795383700000000000"}
        attribute = {"key": "service.name", "value": {"stringValue": name}}
        return {"resource": {"attributes": [attribute]}, "scopeProfiles": [{"profiles": [profile]}]}
    message = {"resourceProfiles": [resource("good", 1), resource("bad", 4)],
               "dictionary": {"stringTable": ["", "wall", "nanoseconds", "main", "a-b"], "mappingTable": [{}],
                              "functionTable": [{}, {"nameStrindex": 3}],
                              "locationTable": [{}, {"lines": [{"functionIndex": 1}]}],
                              "stackTable": [{}, {"locationIndices": [1]}]}}
    got = post(s, json.dumps(message).encode(), JSON, tenant="partial")
    want = "sample type contains - (series 1, id 'bad/a-b'): 1 of 2 profiles were refused\n"
    check("names the bad one", got == (400, "text/plain; charset=utf-8", want), got)
    check("stores the good one", services(s, "partial") == ["good"], services(s, "partial"))
    _, _, text = s.request("GET", "/api/everflame/v1/refusals", {"X-Scope-OrgID": "partial"})
    refused = [(r["service"], r["reason"]) for r in json.loads(text)["refusals"]]
    check("on record", refused == [("bad", "malformed_profile")], refused)
    message["dictionary"]["stackTable"].pop()
    got = post(s, json.dumps(message).encode(), JSON, tenant="whole")
    check("refused whole", got[0] == 400 and got[2] == "failed to convert otel profile: stack index out of bounds: 1\n", got)
    check("nothing stored", services(s, "whole") == [])


def too_large(s):
    data = b"\n" + b"\x80\x80\x80\x01" + b"\0" * (1 << 21)
    got = post(s, data)
    check("413", got == (413, "text/plain; charset=utf-8", "profile payload size exceeds limit of 1.0 MB\n"), got)
    got = post(s, gzip.compress(data), Content_Encoding="gzip")
    check("413 inflated", got == (413, "text/plain; charset=utf-8",
                                  "uncompressed profile payload size exceeds limit of 1.0 MB\n"), got)
    _, _, text = s.request("GET", "/api/everflame/v1/refusals", {"X-Scope-OrgID": "t"})
    refused = [(r["reason"], r["count"]) for r in json.loads(text)["refusals"]]
    check("413 on record", refused == [("body_size_limit_exceeded", 2)], refused)


def grpc(s, data, tenant="g", gzipped=False):
    headers = {"grpc-encoding": "gzip"} if gzipped else {}
    return s.call(RPC, {**headers, **({"x-scope-orgid": tenant} if tenant else {})}, data)


def over_grpc(s):
    for number, gzipped in [("001", True), ("004", True)]:
        got = grpc(s, body("otlp-collector", number), gzipped=gzipped)
        check("grpc collector " + number, got[0] == 0, got)
    for number, gzipped in [("001", False), ("002", True)]:
        got = grpc(s, body("otlp-go", number), gzipped=gzipped)
        check("grpc go " + number, got[0] == 0, got)
    check("grpc services", services(s, "g") == ["collector-shop", "otlp-shop", "unknown_service:shop"], services(s, "g"))
    got = grpc(s, b"\0\0\0\0\0")
    check("grpc empty", got[0] == 3 and "dictionary" in got[1], got)
    got = grpc(s, b"\0\0\0\0\1\xff")
    check("grpc garbage", got[0] == 3, got)
    got = grpc(s, b"\0\0\0\0\0", tenant=None)
    check("grpc tenant", got[0] == 16, got)


def main():
    with Server(sys.argv[1], OLD_DATA) as s:
        transport(s)
        meaning(s)
        partial(s)
        over_grpc(s)
    with Server(sys.argv[1], OLD_DATA + ["-distributor.ingestion-body-limit-mb=1"]) as s:
        too_large(s)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
