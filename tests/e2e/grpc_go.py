#!/usr/bin/env python3
"""Every RPC by the real clients connect-go and grpc-go, in every form and over every HTTP version that they speak:
all answers are the bytes that Connect over HTTP/1.1 gives, which test_rpc.py has checked.

    tests/e2e/grpc_go.py [BUILD_DIRECTORY]

grpc/go.mod and grpc/go.sum pin the clients; modules and build results are kept in build/e2e-cache. A missing Go is a
failure. The last line is 'N passed, N failed'.
"""
import base64
import http.client
import json
import os
import re
import ssl
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "integration")]
from sdk import GoProgram, Report, run, tool  # noqa: E402
from test_rpc import CASES, CPU, ERRORS, QUERIER, RANGE, SIDE, T0, upload  # noqa: E402
from protolite import Schema, sized, tag  # noqa: E402
from server import OLD_DATA, Server  # noqa: E402

HEALTH = "/grpc.health.v1.Health/Check"
PUSH = "/push.v1.PusherService/Push"
TENANT = {"X-Scope-OrgID": "t"}
# connect-go speaks gRPC over HTTP/1.1 as the reference's command line does.
FORMS = [(client, protocol, http, gzip)
         for client, protocol in (("connect-go", "connect"), ("connect-go", "grpc"), ("connect-go", "grpcweb"),
                                  ("grpc-go", "grpc"))
         for http in (1, 2) for gzip in (False, True) if client == "connect-go" or http == 2]


class Clients(GoProgram):
    """The program with the clients: one call a line."""

    def __init__(self, address):
        super().__init__("grpc", ".", "clients")
        self.address = address

    def ask(self, client, path, body, **more):
        return self.line(dict({"Client": client, "HTTP": 2, "Path": path, "Address": self.address,
                               "Body": base64.b64encode(body).decode(), "Headers": TENANT}, **more))

    def call(self, form, path, body, **more):
        client, protocol, http, gzip = form
        answer = self.ask(client, path, body, **dict({"Protocol": protocol, "HTTP": http, "Gzip": gzip}, **more))
        answer["Body"] = base64.b64decode(answer["Body"] or "")
        return answer


def plain(server, path, body):
    """The answer of Connect over HTTP/1.1 without any client library: (code, bytes)."""
    headers = dict(TENANT, **{"Content-Type": "application/proto"})
    status, _, data = server.request("POST", path, headers, body)
    return ("", data) if status == 200 else (json.loads(data)["code"], b"")


def check_rpcs(report, server, clients, schema, **more):
    calls = [(method, request, "") for method, request, _ in CASES]
    calls += [(method, request, code) for method, request, _, code in ERRORS]
    for form in FORMS:
        wrong = []
        for method, request, code in calls:
            path = QUERIER + method
            body = schema.encode(schema.rpcs[path][0], request)
            want = plain(server, path, body)
            got = clients.call(form, path, body, **more)
            if (got["Code"], got["Body"]) != want or got["Code"] != code:
                wrong.append((method, got, want))
        report.row("%s: %d calls%s" % (form, len(calls), "".join("\n     %r" % (w,) for w in wrong)), not wrong)


def check_push(report, clients, schema):
    """Each form stores its own, and finds it."""
    for n, form in enumerate(FORMS):
        service = "pushed-%d" % n
        profile = schema.encode("google.v1.Profile", {
            "sampleType": [{"type": 1, "unit": 2}], "periodType": {"type": 1, "unit": 2}, "period": "1",
            "timeNanos": str((T0 + n) * 10**9), "stringTable": ["", "cpu", "nanoseconds", "main"],
            "function": [{"id": "1", "name": "3"}], "location": [{"id": "1", "line": [{"functionId": "1"}]}],
            "sample": [{"locationId": ["1"], "value": ["7"]}]})
        request = {"series": [{"labels": [{"name": "__name__", "value": "process_cpu"},
                                          {"name": "service_name", "value": service}],
                               "samples": [{"rawProfile": base64.b64encode(profile).decode()}]}]}
        got = clients.call(form, PUSH, schema.encode("push.v1.PushRequest", request))
        path = QUERIER + "SelectMergeStacktraces"
        ask = schema.encode(schema.rpcs[path][0], dict(SIDE, labelSelector='{service_name="%s"}' % service))
        found = schema.decode(schema.rpcs[path][1], clients.call(form, path, ask)["Body"])
        report.row("%s: push, and found: %r %r" % (form, got["Code"], found.get("flamegraph", {}).get("total")),
                   not got["Code"] and found.get("flamegraph", {}).get("total") == "7")
        bad = clients.call(form, PUSH, b"")
        report.row("%s: nothing to push: %r" % (form, bad),
                   (bad["Code"], bad["Message"]) == ("invalid_argument", "no profiles received"))


def check_others(report, clients, schema):
    path = QUERIER + "ProfileTypes"
    body = schema.encode(schema.rpcs[path][0], RANGE)
    answer = schema.encode(schema.rpcs[path][1], {"profileTypes": [{"ID": CPU}]})[2:]
    for form in FORMS:
        got = clients.call(form, path, body, Repeat=200)
        report.row("%s: 200 calls at once, %d alike%s" % (form, got["Same"] + 1, got["Other"] and "; " + got["Other"]),
                   got["Same"] == 199 and answer[-len(CPU):] in got["Body"])
        got = clients.call(form, path, body, Headers={})
        report.row("%s: no tenant: %r" % (form, got), (got["Code"], got["Message"]) == ("unauthenticated", "no org id"))
        got = clients.call(form, path, b"\x0a" * (17 << 20))
        report.row("%s: 17 MiB: %s" % (form, got["Code"]), got["Code"] == "resource_exhausted")
        got = clients.call(form, QUERIER + "Nothing", body)
        report.row("%s: no such method: %s" % (form, got["Code"]), got["Code"] == "unimplemented")
        for service, want in (("", ("", b"\x08\x01")), ("querier.v1.QuerierService", ("", b"\x08\x01")),
                              ("x", ("not_found", b""))):
            got = clients.call(form, HEALTH, tag(1, 2) + sized(service.encode()))
            report.row("%s: health of %r: %r" % (form, service, got), (got["Code"], got["Body"]) == want)


def check_reflection(report, clients, schema, **more):
    """What reflection says of the methods is what proto/ says; a call by its descriptors alone; health, watched."""
    path = QUERIER + "SelectSeries"
    got = clients.ask("reflection", path, json.dumps(dict(SIDE, step=15, groupBy=["env"])).encode(), **more)
    told = dict(re.match(r"(\S+)\((.*)$", m).groups() for m in got["Methods"] or [])
    want = {rpc: "%s) returns (%s)" % types for rpc, types in schema.rpcs.items() if not rpc.startswith("/opentelemetry")}
    report.row("reflection: %d services, %d methods; %s" % (len(got["Services"] or []), len(told), got["Message"]),
               not got["Code"] and all(told.get(rpc) == types for rpc, types in want.items()))
    series = json.loads(got["Answer"] or "{}").get("series", [])
    report.row("reflection, then a call by JSON: %r" % series, sorted(
        (s["labels"][0]["value"], s["points"][0]["value"]) for s in series) == [
            ("prod", 40000000), ("test", 40000000)])
    for service, status in ((b"", "SERVING"), (b"querier.v1.QuerierService", "SERVING"), (b"x", "SERVICE_UNKNOWN")):
        got = clients.ask("watch", "", service, **more)
        report.row("watch of %r: %r" % (service, got), (got["Code"], got["Statuses"]) == ("", [status]))


def make_certificates(folder):
    """An authority, and what it signed for the server and a client; another one that signed a stranger."""
    def openssl(*words):
        run([tool("openssl", "openssl")] + list(words), "openssl", cwd=folder)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    with open(os.path.join(folder, "names"), "w", encoding="utf-8") as f:
        f.write("subjectAltName=DNS:localhost,IP:127.0.0.1")
    for authority, names in (("ours", ("server", "client")), ("theirs", ("stranger",))):
        openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=" + authority, "-keyout", authority + ".key",
                "-out", authority + ".pem")
        for name in names:
            openssl("req", *key, "-subj", "/CN=" + name, "-keyout", name + ".key", "-out", name + ".csr")
            openssl("x509", "-req", "-in", name + ".csr", "-CA", authority + ".pem", "-CAkey", authority + ".key",
                    "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", name + ".pem")


class TLSServer(Server):
    """Asks with the client's certificate."""

    def __init__(self, build, flags, certificates):
        super().__init__(build, flags)
        self.tls = ssl.create_default_context(cafile=os.path.join(certificates, "ours.pem"))
        self.tls.load_cert_chain(*[os.path.join(certificates, "client" + end) for end in (".pem", ".key")])

    def connection(self, timeout):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout, context=self.tls)


def check_tls(report, build, schema, folder):
    make_certificates(folder)
    flags = ["-server.http-tls-%s=%s" % (name, os.path.join(folder, file)) for name, file in (
        ("cert-path", "server.pem"), ("key-path", "server.key"), ("ca-path", "ours.pem"))]
    flags.append("-server.http-tls-client-auth=RequireAndVerifyClientCert")
    path = QUERIER + "ProfileTypes"
    with TLSServer(build, OLD_DATA + flags, folder) as server:
        upload(server)
        ca, pem, key = (os.path.join(folder, n) for n in ("ours.pem", "%s.pem", "%s.key"))
        with Clients("127.0.0.1:%d" % server.port) as clients:
            check_rpcs(report, server, clients, schema, CA=ca, Cert=pem % "client", Key=key % "client")
            check_reflection(report, clients, schema, CA=ca, Cert=pem % "client", Key=key % "client")
            for form in FORMS[1::2]:
                for who in ("stranger", ""):
                    more = {"Cert": pem % who, "Key": key % who} if who else {}
                    got = clients.call(form, path, b"", CA=ca, TimeoutMs=3000, **more)
                    report.row("%s as %r: %s" % (form, who, got["Code"]), got["Code"] and not got["Body"])
            metrics = server.request("GET", "/metrics")[2].decode()
            failed = int(re.search(r'tls_handshakes_total{result="failed"} (\d+)', metrics).group(1))
            report.row("%d handshakes failed" % failed, failed >= len(FORMS))


def main(build):
    report, schema = Report(), Schema()
    with report:
        # 200 calls at once are more than the default lets wait.
        with Server(build, OLD_DATA + ["-query.queue-max=256"]) as server:
            upload(server)
            with Clients("127.0.0.1:%d" % server.port) as clients:
                check_rpcs(report, server, clients, schema)
                check_push(report, clients, schema)
                check_others(report, clients, schema)
                check_reflection(report, clients, schema)
        with tempfile.TemporaryDirectory() as folder:
            check_tls(report, build, schema, folder)
    return report.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "build"))
