#!/usr/bin/env python3
"""The Go stubs of OTLP profiles as senders: gRPC, and HTTP with protobuf and JSON, each with and without gzip, the
resource's attributes spelt out and as references into the dictionary. What was sent must be found: totals, frames
without symbols with their build id, labels, spans; what was refused must be said and not be stored.

    tests/e2e/otlp.py [BUILD_DIRECTORY]

otlp/go.mod and otlp/go.sum pin the stubs; modules and build results are kept in build/e2e-cache. A missing Go is a
failure. The last line is 'N passed, N failed'.
"""
import json
import os
import sys
import time

from sdk import CPU, GoProgram, Report
from query import flame, rpc
from server import Server

BUILD_ID, ADDRESS = "feedface" * 5, 0x7f0000012345
SPAN = b"spanspan".hex()
HEAVY, LIGHT = ("main.main", "main.processOrder", "main.spin"), ("main.main", "main.createInvoice", "main.spin")
UNKNOWN = ("main.main", "libc.so.6!%#x" % ADDRESS)
PERIOD_NS = 10000000
OFF_CPU, ALLOC = "off_cpu:off_cpu:nanoseconds::", "alloc_space:alloc_space:bytes::"
# What stubs/main.go sends: kind of profile, more of the selector, stacks.
TREES = [
    (CPU, "", {HEAVY: 75 * PERIOD_NS, LIGHT: 25 * PERIOD_NS, UNKNOWN: 5 * PERIOD_NS}),
    (CPU, ',controller="orders"', {HEAVY: 75 * PERIOD_NS}),
    (CPU, ',controller="billing"', {LIGHT: 25 * PERIOD_NS}),
    (CPU, ',"k8s.namespace.name"="größe"', {HEAVY: 75 * PERIOD_NS, LIGHT: 25 * PERIOD_NS, UNKNOWN: 5 * PERIOD_NS}),
    (OFF_CPU, "", {LIGHT: 3000}),
    (ALLOC, "", {HEAVY: 4096}),
]
FORMS = [{"Form": form, "Gzip": gzip, "References": references}
         for form in ("grpc", "proto", "json") for gzip in (False, True) for references in (False, True)]


class Stubs(GoProgram):
    """The program with the stubs: one call a line."""

    def __init__(self):
        super().__init__("otlp", "./stubs", "stubs")

    def send(self, address, service, **more):
        return self.line(dict(more, Address=address, Service=service))


def address(server):
    return "127.0.0.1:%d" % server.port


def times():
    now = int(time.time() * 1000)
    return {"start": now - 3600000, "end": now + 3600000}


def selector(service, more=""):
    return '{service_name="%s"%s}' % (service, more)


def services(server, tenant=None):
    return sorted(rpc(server, "LabelValues", dict(times(), name="service_name"), tenant).get("names", []))


def found(server, service, tenant=None):
    """What differs from TREES."""
    t = times()
    wrong = []
    for kind, more, want in TREES:
        got = flame(server, kind, selector(service, more), t["start"], t["end"], tenant)
        if got != want:
            wrong.append((kind, more, got))
    return wrong


def merged(server, service, tenant=None):
    """(build ids, addresses of frames without symbols) as pprof answers have them."""
    ask = dict(times(), profileTypeID=CPU, labelSelector=selector(service))
    profile = rpc(server, "SelectMergeProfile", ask, tenant)
    strings = profile["stringTable"]
    return ({strings[int(m["buildId"])] for m in profile["mapping"] if "buildId" in m},
            {int(x["address"]) for x in profile["location"] if not x.get("line")})


def of_span(server, service, span):
    ask = dict(times(), profileTypeID=CPU, labelSelector=selector(service), spanSelector=[span])
    return int(rpc(server, "SelectMergeSpanProfile", ask).get("flamegraph", {}).get("total", 0))


def check_form(report, server, stubs, form, service):
    what = "%s %s" % (form, service)
    got = stubs.send(address(server), service, **form)
    report.row("%s: sent: %r" % (what, got), got == {"Code": "", "Message": "", "Rejected": 0, "RetryMs": 0})
    wrong = found(server, service)
    report.row("%s: %d answers are what was sent%s" % (
        what, len(TREES), "".join("\n     %r" % (w,) for w in wrong)), not wrong)
    ids, addresses = merged(server, service)
    report.row("%s: the frame without symbols: %r %r" % (what, ids, addresses),
               BUILD_ID in ids and addresses == {ADDRESS})
    spans = of_span(server, service, SPAN), of_span(server, service, SPAN[::-1])
    report.row("%s: of the span, of another: %r" % (what, spans), spans == (75 * PERIOD_NS, 0))


def check_faults(report, server, stubs, form, service):
    """An index out of range: all is refused. A bad profile among good ones: it is named, they are stored."""
    what = "%s %s" % (form, service)
    code = "InvalidArgument" if form["Form"] == "grpc" else "400"
    got = stubs.send(address(server), service + "-none", Fault="stack", **form)
    report.row("%s: a bad index: %r" % (what, got), got["Code"] == code and "stack index out of bounds" in got["Message"])
    got = stubs.send(address(server), service, Fault="type", **form)
    report.row("%s: a bad type: %r" % (what, got), got["Code"] == code and "1 of 4 profiles" in got["Message"])
    wrong = found(server, service)
    report.row("%s: the good ones are stored%s" % (what, "".join("\n     %r" % (w,) for w in wrong)), not wrong)


def main(build):
    report = Report()
    with report:
        with Stubs() as stubs, Server(build) as server:
            names = ["sent-%d" % n for n in range(len(FORMS))]
            for form, service in zip(FORMS, names):
                check_form(report, server, stubs, form, service)
            faults = [f for f in FORMS if f["Gzip"] == f["References"]]
            bad = ["bad-%d" % n for n in range(len(faults))]
            for form, service in zip(faults, bad):
                check_faults(report, server, stubs, form, service)
            there = services(server)
            report.row("services: %r" % there, there == sorted(names + bad))
    return report.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "build"))
