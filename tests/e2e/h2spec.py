#!/usr/bin/env python3
"""h2spec, the conformance tests of HTTP/2, against the server, plain (prior knowledge) and over TLS.

    tests/e2e/h2spec.py [BUILD_DIRECTORY]

h2spec/go.mod and h2spec/go.sum pin it; modules and build results are kept in build/e2e-cache. Every test must pass but
those in FAILS, which must fail, and those in RACES, whose outcome is the network's. The last line is
'N passed, N failed'.
"""
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from grpc_go import TLSServer, make_certificates  # noqa: E402
from sdk import Report, go_build  # noqa: E402
from server import Server  # noqa: E402

TESTS = 146

FAILS = {
    "http2/3.5/2": "what is no preface is HTTP/1, on the same port: it is answered 400 there, then closed",
    "http2/5.1/8": "DATA on a stream that the client has reset: RFC 9113, 5.1, leaves the error to us; it is dropped",
    "http2/5.1/11": "DATA on a stream that has ended: as before",
    "http2/5.3.1/2": "a stream that depends on itself: RFC 9113, 5.3, has done away with priorities",
}
RACES = {
    "http2/5.1/5": "DATA behind the end of a request: STREAM_CLOSED while the answer is not out, else as 5.1/11",
    "http2/6.1/2": "as 5.1/5",
}


def build():
    return go_build(os.path.join(HERE, "h2spec"), ".", "h2spec")


def start(program, server, kind):
    return subprocess.Popen([program, str(server.port), kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, stdin=subprocess.DEVNULL)


def check(report, kind, process):
    out, err = process.communicate(timeout=300)
    results = [json.loads(line) for line in out.splitlines()]
    report.row("%s: h2spec ends well: %d %s" % (kind, process.returncode, err), process.returncode == 0 and not err)
    report.row("%s: %d tests" % (kind, len(results)), len({r["ID"] for r in results}) == TESTS == len(results))
    for r in results:
        text = "%s: %s %s: %s %s" % (kind, r["ID"], r["Title"], r["Verdict"], r["Actual"])
        if r["ID"] in RACES:
            report.row(text + " (%s)" % RACES[r["ID"]], r["Verdict"] in ("passed", "failed"))
        elif r["ID"] in FAILS:
            report.row(text + " (%s)" % FAILS[r["ID"]], r["Verdict"] == "failed")
        elif r["Verdict"] != "passed":
            report.row(text, False)
    known = {r["ID"] for r in results}
    report.row("%s: what is expected exists" % kind, known.issuperset(set(FAILS) | set(RACES)))


def main(folder):
    report = Report()
    with report:
        program = build()
        with tempfile.TemporaryDirectory() as certificates:
            make_certificates(certificates)
            flags = ["-server.http-tls-%s=%s" % (name, os.path.join(certificates, file)) for name, file in (
                ("cert-path", "server.pem"), ("key-path", "server.key"))]
            with Server(folder) as plain, TLSServer(folder, flags, certificates) as tls:
                both = [(kind, start(program, server, kind)) for kind, server in (("plain", plain), ("tls", tls))]
                for kind, process in both:
                    check(report, kind, process)
    return report.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "build"))
