#!/usr/bin/env python3
"""The same fault over every transport (POST /ingest, push and OTLP; Connect, gRPC, gRPC-Web, plain HTTP, protobuf and
JSON, HTTP/1.1 and HTTP/2): what is counted as received, decoded and discarded, and what is on record as refused, is
the same for all of them, be it refused by HTTP itself, by the form of a call or by a limit.

    test_refusals.py BUILD
"""
import base64
import json
import os
import re
import socket
import struct
import sys
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
from server import Server  # noqa: E402
from test_bombs import (  # noqa: E402
    EXPORT, OTLP, PUSH, envelope, field, otlp, otlp_json, otlp_profile, pprof, push_body, sample, varint)
from test_http2 import DATA, END_HEADERS, HEADERS, PING, START, fields, frame  # noqa: E402
from test_limits import refusals  # noqa: E402

SECONDS = 30
passed = failed = 0


def check(what, ok, shown=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print("FAIL", what, str(shown)[:1000], flush=True)


# ── one profile in every form ──

def as_pprof(time_ns):
    return pprof(sample()) + varint(9 << 3) + varint(time_ns)


def as_push_json(body, service):
    labels = [{"name": "service_name", "value": service}, {"name": "__name__", "value": "process_cpu"}]
    return json.dumps({"series": [{"labels": labels, "samples": [{"rawProfile": base64.b64encode(body).decode()}]}]}).encode()


GARBAGE = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"


def message(kind, service, time_ns, garbage=False):
    raw = GARBAGE if garbage else as_pprof(time_ns)
    if kind == "pprof":
        return raw
    if kind == "push":
        return push_body(raw, (("service_name", service), ("__name__", "process_cpu")))
    if kind == "push-json":
        return as_push_json(raw, service)
    if garbage:
        return GARBAGE
    if kind == "otlp-json":
        return otlp_json(service=service, time_ns=time_ns)
    return otlp(field(2, otlp_profile(time_ns=time_ns)), service=service.encode())


# name: (path, content type, kind of message, what wraps it)
TRANSPORTS = {
    "ingest": ("/ingest", "application/octet-stream", "pprof", bytes),
    "connect": (PUSH, "application/proto", "push", bytes),
    "connect-json": (PUSH, "application/json", "push-json", bytes),
    "grpc": (PUSH, "application/grpc", "push", envelope),
    "grpc-web": (PUSH, "application/grpc-web+proto", "push", envelope),
    "grpc-web-text": (PUSH, "application/grpc-web-text", "push", lambda m: base64.b64encode(envelope(m))),
    "otlp": (OTLP, "application/x-protobuf", "otlp", bytes),
    "otlp-json": (OTLP, "application/json", "otlp-json", bytes),
    "otlp-grpc": (EXPORT, "application/grpc", "otlp", envelope),
    "otlp-grpc-web": (EXPORT, "application/grpc-web", "otlp", envelope),
}


def send(s, transport, tenant, service="shop", time_ns=None, garbage=False, body=None, more=()):
    """True: accepted."""
    time_ns = time_ns or time.time_ns()
    path, kind, form, wrap = TRANSPORTS[transport]
    headers = {"Content-Type": kind, **dict(more)}
    if tenant is not None:
        headers["X-Scope-OrgID"] = tenant
    if transport == "ingest":
        t = time_ns // 10**9
        path += "?" + urllib.parse.urlencode({"name": service, "from": t - 10, "until": t, "format": "pprof"})
    data = wrap(message(form, service, time_ns, garbage)) if body is None else body
    if kind == "application/grpc":
        return s.call(path, headers, data, SECONDS)[0] == 0
    status, _, text = s.request("POST", path, headers, data)
    if kind.endswith("text") and status == 200:
        text = base64.b64decode(text)
    return status == 200 and ("grpc" not in kind or b"grpc-status: 0\r\n" in text)


# ── what is counted ──

COUNTERS = {"received": "pyroscope_distributor_profiles_received_total",
            "sized": "pyroscope_distributor_received_decompressed_bytes_count",
            "sent": "pyroscope_distributor_received_compressed_bytes_count",
            "parsed": "pyroscope_distributor_parse_duration_seconds_count",
            "samples": "pyroscope_distributor_received_samples_count",
            "stored": "everflame_profiles_stored_total"}


def counted(s, tenant):
    """The counters above, discarded and refused profiles by their labels."""
    out = {name: 0 for name in COUNTERS}
    names = {v: k for k, v in COUNTERS.items()}
    for line in s.request("GET", "/metrics")[2].decode().splitlines():
        m = re.match(r"(\w+)\{(.*)\} (\S+)$", line)
        if not m:
            continue
        labels = dict(re.findall(r'(\w+)="([^"]*)"', m.group(2)))
        if labels.pop("tenant", None) != tenant:
            continue
        if m.group(1) in names:
            out[names[m.group(1)]] += float(m.group(3))
        elif m.group(1) in ("pyroscope_discarded_samples_total", "everflame_refused_profiles_total"):
            out[m.group(1).split("_")[1], *sorted(labels.items())] = float(m.group(3))
    return out


def gained(before, after):
    return {k: int(after.get(k, 0) - before.get(k, 0)) for k in after if after.get(k, 0) != before.get(k, 0)}


def expected(passed_by, service, reason, setting):
    """passed_by: the counters that went up by one."""
    out = {k: 1 for k in passed_by.split()}
    if reason:
        out["discarded", ("reason", reason)] = 1
        out["refused", ("reason", reason), ("service", service), ("setting", setting)] = 1
    return out


DECODED = "received sized sent parsed"
RULE = "[{source_labels: [service_name], regex: shop, action: drop}]"
SWITCH = "{limit_reached: true, period_type: hour, period_limit_mb: 1, limit_reset_time: 1767225600, sampling: {num_requests: 0, period: 1h}}"
LONG = "a-service-with-a-long-name"
HOURS = 3 * 3600 * 10**9
# fault: (limits of the tenant, what is sent, accepted, counters that rise, reason, setting)
FAULTS = {
    "none": ({}, {}, True, DECODED + " samples stored", "", ""),
    "garbage": ({}, {"garbage": True}, False, "", "malformed_profile", ""),
    "old": ({}, {"age": HOURS}, False, DECODED, "not_in_ingestion_window", "limits.reject_older_than"),
    "long": ({"max_label_value_length": 15}, {"service": LONG}, False, DECODED + " samples",
             "label_value_too_long", "limits.max_label_value_length"),
    "rate": ({"ingestion_rate_mb": 0.00001, "ingestion_burst_size_mb": 0.00001}, {}, False, DECODED,
             "rate_limited", "limits.ingestion_rate_mb"),
    "switch": ({"ingestion_limit": SWITCH}, {}, False, DECODED,
               "ingest_limit_reached", "limits.ingestion_limit.limit_reached"),
    "rule": ({"ingestion_relabeling_rules": RULE}, {}, True, DECODED + " samples",
             "dropped_by_relabel_rules", "limits.ingestion_relabeling_rules"),
    "services": ({"max_active_services": 1}, {}, False, DECODED + " samples",
                 "services_limit", "limits.max_active_services"),
    "large": ({}, {"body": bytes(3 << 20)}, False, "", "body_size_limit_exceeded", "limits.ingestion_body_limit_mb"),
    "accept": ({}, {"more": {"Accept": "/"}}, False, "", "malformed_request", ""),
}


def has_service(fault, transport):
    """Where a profile cannot be decoded, the parameters of /ingest name a service, and the labels beside it in a push."""
    beside = fault == "garbage" and TRANSPORTS[transport][0] == PUSH
    return transport == "ingest" or beside or FAULTS[fault][3]


def one_fault(s, fault, transport):
    tenant = f"{fault}-{transport}"
    _, sent, accepted, rises, reason, setting = FAULTS[fault]
    sent = dict(sent)
    sent["time_ns"] = time.time_ns() - sent.pop("age", 0)
    if fault == "services":
        check("another service for " + tenant, send(s, "ingest", tenant, "other"))
    before = counted(s, tenant)
    check(f"{tenant} is {'' if accepted else 'not '}accepted", send(s, transport, tenant, **sent) == accepted)
    service = sent.get("service", "shop") if has_service(fault, transport) else ""
    got, want = gained(before, counted(s, tenant)), expected(rises, service, reason, setting)
    check("counters of " + tenant, got == want, (got, want))
    on_record = [(service, reason, setting, 1)] if reason else []
    check("refusals of " + tenant, refusals(s, tenant) == on_record, refusals(s, tenant))


def nobody(s, transport):
    """Without a tenant: in the metrics only."""
    before = counted(s, "")
    check("no tenant, " + transport, not send(s, transport, None))
    service = "shop" if transport == "ingest" else ""
    got, want = gained(before, counted(s, "")), expected("", service, "unauthenticated", "")
    check("counters of nobody, " + transport, got == want, (got, want))


def pipeline(build):
    with tempfile.TemporaryDirectory(prefix="everflame-test-") as folder:
        path = os.path.join(folder, "overrides.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write("overrides:\n")
            for fault, (limits, *_) in FAULTS.items():
                for transport in TRANSPORTS if limits else ():
                    f.write(f"  {fault}-{transport}:\n" + "".join(f"    {k}: {v}\n" for k, v in limits.items()))
        with Server(build, ["-auth.multitenancy-enabled=true", "-runtime-config.file=" + path,
                            "-distributor.ingestion-body-limit-mb=2"]) as s:
            for transport in TRANSPORTS:
                for fault in FAULTS:
                    if fault != "accept" or not transport.startswith("otlp-grpc"):  # gRPC has no Accept
                        one_fault(s, fault, transport)
                nobody(s, transport)
            calls(s)
            dirty_names(s)


def dirty_names(s):
    """What clients call their services does not break the pages that show it."""
    now = time.time_ns()
    for service in (b"\xff\xfe\x80\"\n\\", b"x" * 10**6, "ü".encode() * 10**5):
        for name in (b"process_cpu", service):
            body = push_body(as_pprof(now), (("service_name", service), ("__name__", name)))
            check("a dirty name is refused", not send(s, "connect", "dirty", body=body))
    text = s.request("GET", "/metrics")[2]
    check("metrics are UTF-8", text.decode(errors="replace").encode() == text)
    longest = max(len(line) for line in text.split(b"\n"))
    check("and lines are short", longest < 2000, longest)
    check("metrics are lines", all(re.match(r'(#|\w+(\{(\w+="([^"\\\n]|\\["\\n])*",?)*\})? \S+$|$)', line)
                                   for line in text.decode(errors="replace").split("\n")))
    check("refusals are JSON", len(refusals(s, "dirty")) >= 3, refusals(s, "dirty"))


def aliases(build):
    """Names that dashboards know say the same."""
    with Server(build, ["-auth.multitenancy-enabled=true"]) as s:
        for tenant in ("a", "b"):
            check("upload of " + tenant, send(s, "connect", tenant))
        send(s, "connect", "a", garbage=True)
        text = s.request("GET", "/metrics")[2].decode()
        shown = dict(re.findall(r"^(pyroscope_\w+) (\S+)$", text, re.M))
        for name, want in [("ingestion_received_profiles_total", 2), ("ingestion_attempted_profiles_total", 2),
                           ("ingestion_errors_total", 1), ("distributor_received_profiles_total", 2),
                           ("ingester_ingested_sample_count", 2), ("tsdb_head_samples_appended_total", 2)]:
            check(name, float(shown.get("pyroscope_" + name, -1)) == want, shown.get("pyroscope_" + name))
        used, total = (float(shown.get(f"pyroscope_storage_{x}_bytes", 0)) for x in ("used", "total"))
        check("the file system", 0 < used <= total, (used, total))


def calls(s):
    """A call's result is its own, not HTTP's 200."""
    text = s.request("GET", "/metrics")[2].decode()
    for route in ("push_v1_pusherservice_push", "opentelemetry_profilesservice_export"):
        for result in ("success", "error"):
            m = re.search(r'request_duration_seconds_count\{method="gRPC",route="%s",status_code="%s",ws="false"\} (\d+)'
                          % (route, result), text)
            check(f"{result} of {route}", m and int(m.group(1)) > 0)
    check("no call is HTTP's 200", not re.search('method="gRPC",[^}]*status_code="200"', text))


# ── what HTTP itself refuses ──

ROUTES = {"ingest": ("/ingest?name=shop", "text/plain"), "connect": (PUSH, "application/proto"),
          "grpc": (PUSH, "application/grpc"), "otlp": (OTLP, "application/x-protobuf"), "otlp-grpc": (EXPORT, "application/grpc")}


def literal(name, value):
    """Values below 127 bytes."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


class Client:
    """One request that is not what it should be, over HTTP/1.1 or HTTP/2."""

    def __init__(self, s, version, route, tenant):
        self.path, self.kind = ROUTES[route]
        self.h2, self.tenant = version == "h2", tenant
        self.c = socket.create_connection(("127.0.0.1", s.port), SECONDS)
        if self.h2:
            self.c.sendall(START)

    def head(self, length=None, more=(), end=True):
        headers = {"X-Scope-OrgID": self.tenant, "Content-Type": self.kind, **dict(more)}
        if length is not None:
            headers["Content-Length"] = str(length)
        if self.h2:
            block = fields("POST", self.path.encode()) + b"".join(literal(k.lower(), v) for k, v in headers.items())
            self.c.sendall(frame(HEADERS, END_HEADERS if end else 0, 1, block))
        else:
            lines = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
            self.c.sendall(f"POST {self.path} HTTP/1.1\r\nHost: x\r\n{lines}{'' if not end else chr(13) + chr(10)}".encode())

    def body(self, data):
        self.c.sendall(frame(DATA, 0, 1, data) if self.h2 else data)


def slow_body(c):
    c.head(100)
    c.body(b"a;b")


def slow_header(c):
    c.head(100, end=False)


def large_header(c):
    """On HTTP/2 as many fields as are too much, with the same names as before."""
    c.head(0, {f"x-{i}": "y" * 100 for i in range(130)})


def cut_body(c):
    c.head(100)
    c.c.sendall(b"half")
    c.c.shutdown(socket.SHUT_WR)


def bad_chunk(c):
    c.head(None, {"Transfer-Encoding": "chunked"})
    c.c.sendall(b"zz\r\n")


def flood(c):
    """Pings until the connection ends; a body has begun meanwhile."""
    slow_body(c)
    until = time.monotonic() + SECONDS
    try:
        while time.monotonic() < until:
            c.c.sendall(frame(PING, 0, 0, b"12345678") * 1000)
    except OSError:
        pass


HTTP_FAULTS = {  # (what is done, versions, reason, setting)
    "slow-body": (slow_body, ("h1", "h2"), "body_timeout", "server.http_server_read_timeout"),
    "slow-header": (slow_header, ("h1", "h2"), "header_timeout", "server.http_server_read_header_timeout"),
    "large-header": (large_header, ("h1", "h2"), "header_too_large", ""),
    "cut-body": (cut_body, ("h1",), "incomplete_body", ""),
    "bad-chunk": (bad_chunk, ("h1",), "malformed_request", ""),
    "flood": (flood, ("h2",), "http2_flood", ""),
}


def settled(s, tenant):
    """Refusals, as soon as there are some."""
    until = time.monotonic() + SECONDS
    while not refusals(s, tenant) and time.monotonic() < until:
        time.sleep(0.05)
    return refusals(s, tenant)


def on_record(s, fault, version, route, reason, setting):
    tenant, service = f"{fault}-{version}-{route}", "shop" if route == "ingest" else ""
    got = settled(s, tenant)
    check("refusals of " + tenant, got == [(service, reason, setting, 1)], got)
    got, want = gained({}, counted(s, tenant)), expected("", service, reason, setting)
    check("counters of " + tenant, got == want, (got, want))


def by_http(build):
    with Server(build, ["-auth.multitenancy-enabled=true", "-server.http-read-timeout=1s"]) as s:
        held = []
        for fault, (do, versions, *_) in HTTP_FAULTS.items():
            for version in versions:
                for route in ROUTES:
                    c = Client(s, version, route, f"{fault}-{version}-{route}")
                    do(c)
                    held.append(c)  # open until it is looked at
        for fault, (_, versions, reason, setting) in HTTP_FAULTS.items():
            for version in versions:
                for route in ROUTES:
                    on_record(s, fault, version, route, reason, setting)
        for c in held:
            c.c.close()


def no_budget(build):
    """One body takes all the room there is."""
    with Server(build, ["-auth.multitenancy-enabled=true", "-server.body-budget=1MiB"]) as s:
        first = Client(s, "h1", "ingest", "first")
        first.head(1 << 20)
        first.body(b"a")
        until = time.monotonic() + SECONDS
        while b"everflame_body_bytes 1048576\n" not in s.request("GET", "/metrics")[2] and time.monotonic() < until:
            time.sleep(0.02)
        clients = []
        for version in ("h1", "h2"):
            for route in ROUTES:
                c = Client(s, version, route, f"budget-{version}-{route}")
                c.head(1 << 19)
                c.body(b"a")
                clients.append(c)
        for version in ("h1", "h2"):
            for route in ROUTES:
                on_record(s, "budget", version, route, "body_budget_exceeded", "server.body_budget_bytes")
        for c in [first, *clients]:
            c.c.close()


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else "build"
    pipeline(build)
    by_http(build)
    no_budget(build)
    aliases(build)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
