#!/usr/bin/env python3
"""A real OpenTelemetry Collector between the Go stubs and the server: its exporters otlp_grpc and otlp_http, protobuf
and JSON, gzip (their default) and none. What came in by the stubs must be found in each exporter's tenant, also when
the server was not there at first, or refused for a while.

    tests/e2e/collector.py [BUILD_DIRECTORY]

otlp/collector is a Collector of one receiver and these exporters, as its builder makes them; otlp/go.mod and otlp/go.sum
pin it. Modules and build results are kept in build/e2e-cache. A missing Go is a failure. The last line is 'N passed,
N failed'.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

from sdk import HERE, Report, go_build
from otlp import ADDRESS, BUILD_ID, TREES, Stubs, address, found, merged, services
from server import Server

PATIENCE_S = 90
TENANTED = ["-auth.multitenancy-enabled=true"]
EXPORTERS = {"grpc": ("otlp_grpc", {}), "grpc-plain": ("otlp_grpc", {"compression": "none"}),
             "http": ("otlp_http", {"encoding": "proto"}), "json": ("otlp_http", {"encoding": "json"}),
             "http-plain": ("otlp_http", {"encoding": "proto", "compression": "none"})}


def configuration(receiver, server, exporters):
    """YAML. Each exporter has a tenant of its name."""
    lines = ["receivers:", "  otlp:", "    protocols:", "      grpc: {transport: unix, endpoint: %s}" % receiver,
             "exporters:"]
    for tenant, (kind, options) in exporters.items():
        endpoint = server if kind == "otlp_grpc" else "http://" + server
        lines += ["  %s/%s:" % (kind, tenant), "    endpoint: " + endpoint, "    tls: {insecure: true}",
                  "    headers: {X-Scope-OrgID: %s}" % tenant,
                  "    retry_on_failure: {initial_interval: 100ms, max_interval: 500ms}"]
        lines += ["    %s: %s" % option for option in options.items()]
    names = ", ".join("%s/%s" % (kind, tenant) for tenant, (kind, _) in exporters.items())
    lines += ["service:", "  telemetry: {metrics: {level: none}}", "  pipelines:",
              "    profiles: {receivers: [otlp], exporters: [%s]}" % names]
    return "\n".join(lines) + "\n"


class Collector:
    """Runs until the end of the block; its log is in .log."""

    def __init__(self, folder, server, exporters):
        self.socket, self.log = os.path.join(folder, "socket"), os.path.join(folder, "log")
        config = os.path.join(folder, "config.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write(configuration(self.socket, server, exporters))
        self.command = [go_build(os.path.join(HERE, "otlp"), "./collector", "collector"), "--config=" + config,
                        "--feature-gates=+service.profilesSupport"]

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def __exit__(self, *exc):
        self.process.terminate()
        self.process.wait(60)

    def logged(self):
        with open(self.log, encoding="utf-8") as f:
            return f.read()


def until(good, collector):
    """Asks until it is so, or for as long as patience lasts."""
    begun, so = time.monotonic(), good()
    while not so and time.monotonic() - begun < PATIENCE_S and collector.process.poll() is None:
        time.sleep(0.1)
        so = good()
    return so


def send(report, stubs, collector, service):
    """Into the collector, which may still be starting."""
    got = {}

    def sent():
        got.update(stubs.send("unix:" + collector.socket, service, Form="grpc", Gzip=True))
        return got["Code"] == ""
    good = until(sent, collector)
    report.row("%s: taken by the collector: %r" % (service, got), good)


def arrived(report, server, collector, service, tenants):
    for tenant in tenants:
        until(lambda t=tenant: service in services(server, t) and not found(server, service, t), collector)
        wrong = found(server, service, tenant)
        report.row("%s: %s: %d answers are what was sent%s" % (
            service, tenant, len(TREES), "".join("\n     %r" % (w,) for w in wrong)), not wrong)
        if not wrong:
            ids, addresses = merged(server, service, tenant)
            report.row("%s: %s: the frame without symbols: %r %r" % (service, tenant, ids, addresses),
                       BUILD_ID in ids and addresses == {ADDRESS})


def check_exporters(report, build, stubs, folder):
    with Server(build, TENANTED) as server, Collector(folder, address(server), EXPORTERS) as collector:
        send(report, stubs, collector, "through")
        arrived(report, server, collector, "through", EXPORTERS)
        others = {t: services(server, t) for t in EXPORTERS}
        report.row("nothing else is there: %r" % others, all(v == ["through"] for v in others.values()))
        report.row("no complaint in the collector's log", "error" not in collector.logged())


def limits(path, lines):
    """Written whole: the server reads it when it likes."""
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write("overrides:\n" + "".join("  %s: {%s}\n" % line for line in lines))
    os.replace(path + ".new", path)


def refused(server, tenant):
    _, _, text = server.request("GET", "/api/everflame/v1/refusals", {"X-Scope-OrgID": tenant})
    return {r["reason"] for r in json.loads(text)["refusals"]}


def check_patience(report, build, stubs, folder):
    """A tenant whose rate is so low that nothing gets through, until it is raised."""
    path = os.path.join(folder, "limits.yaml")
    limits(path, [(t, "ingestion_rate_mb: 0.0001, ingestion_burst_size_mb: 0.0001") for t in EXPORTERS])
    flags = TENANTED + ["-runtime-config.file=" + path, "-runtime-config.reload-period=100ms"]
    with Server(build, flags) as server, Collector(folder, address(server), EXPORTERS) as collector:
        send(report, stubs, collector, "patient")
        for tenant in EXPORTERS:
            good = until(lambda t=tenant: "rate_limited" in refused(server, t), collector)
            report.row("patient: %s: refused at first, and nothing is stored" % tenant,
                       good and not services(server, tenant))
        for form, code in (("grpc", "ResourceExhausted"), ("proto", "429"), ("json", "429")):
            got = stubs.send(address(server), "direct", Form=form, Headers={"X-Scope-OrgID": "grpc"})
            report.row("patient: without a collector: %r" % got, (got["Code"], got["RetryMs"]) == (code, 1000))
        limits(path, [(t, "ingestion_rate_mb: 10") for t in EXPORTERS])
        arrived(report, server, collector, "patient", EXPORTERS)


def main(build):
    report = Report()
    with report:
        with Stubs() as stubs, tempfile.TemporaryDirectory() as folder:
            check_exporters(report, build, stubs, folder)
            check_patience(report, build, stubs, folder)
    return report.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "build"))
