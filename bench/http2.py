#!/usr/bin/env python3
"""What a call costs over HTTP/2, against the same call over HTTP/1.1: the server's CPU per request and, under
callgrind, its instructions. Connect (proto) and gRPC; a recorded upload, gzip, and the health check, which is hardly
more than its transport; eight connections with one request at a time each, and one connection with eight streams.

    http2.py [--build build] [--dir DIR] [--requests 20000] [--rounds 3] [--counted 400]

Needs h2load (nghttp2) and valgrind. Each round asks each form once, so that all of them meet the same machine and the
same store; the ratio is of the sums. The exit status is 1 when a request was not answered 200, or when a push takes
more than 20 % more instructions over HTTP/2.
"""
import argparse
import os
import re
import struct
import subprocess
import sys

import client

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
RECORDED = os.path.join(ROOT, "tests/conformance/captures/python/001.bin")
PUSH, HEALTH = "/push.v1.PusherService/Push", "/grpc.health.v1.Health/Check"
CONNECT = ["content-type: application/proto", "connect-protocol-version: 1"]
GRPC = ["content-type: application/grpc+proto", "te: trailers"]
# name → path, headers, the message, whether it is in a frame of gRPC
FORMS = {
    "push, Connect": (PUSH, [*CONNECT, "content-encoding: gzip"], RECORDED, False),
    "push, gRPC": (PUSH, [*GRPC, "grpc-encoding: gzip"], RECORDED, True),
    "health, Connect": (HEALTH, CONNECT, None, False),
    "health, gRPC": (HEALTH, GRPC, None, True),
}
KINDS = {"HTTP/1.1": ["--h1", "-c8"], "HTTP/2": ["-c8", "-m1"], "HTTP/2, 8 streams": ["-c1", "-m8"]}
MOST = 1.20


def write_body(form, path):
    _, _, recorded, framed = FORMS[form]
    message = b"\x0a\x00"  # service: ""; h2load does not send nothing
    if recorded:
        with open(recorded, "rb") as f:
            message = f.read()
    with open(path, "wb") as f:  # the message is compressed, if it is any
        f.write((struct.pack(">BI", bool(recorded), len(message)) if framed else b"") + message)


def call(server, form, kind, requests):
    path, headers = FORMS[form][:2]
    body = os.path.join(server.dir, "body")
    write_body(form, body)
    command = ["h2load", "-n", str(requests), "-d", body, *KINDS[kind]]
    command += [word for h in headers for word in ("-H", h)]
    out = subprocess.run([*command, f"http://127.0.0.1:{server.port}{path}"], check=True, capture_output=True,
                         text=True).stdout
    if f"status codes: {requests} 2xx" not in out or f"{requests} succeeded" not in out:
        raise SystemExit(f"{form}, {kind}: {out}")


def cpu_us(opt):
    """Microseconds of the server's CPU per request, by (form, kind)."""
    sums = dict.fromkeys([(f, k) for f in FORMS for k in KINDS], 0.0)
    with client.Server(opt.binary, opt.dir) as server:
        server.start()
        for f, k in sums:
            call(server, f, k, 500)
        for _ in range(opt.rounds):
            for f, k in sums:
                before = server.cpu()
                call(server, f, k, opt.requests)
                sums[f, k] += server.cpu() - before
        server.stop()
    return {key: s / opt.rounds / opt.requests * 1e6 for key, s in sums.items()}


def instructions(opt, form, kind, requests):
    """Of a whole process that was asked so often."""
    out = os.path.join(opt.dir, "callgrind.out")
    under = ["valgrind", "-q", "--tool=callgrind", "--callgrind-out-file=" + out]
    with client.Server(opt.binary, opt.dir, under=under) as server:
        server.start()
        call(server, form, kind, requests)
        server.stop()
    with open(out, encoding="ascii", errors="replace") as f:
        total = int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M).group(1))
    os.unlink(out)
    return total


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--build", default="build")
    p.add_argument("--dir", help="where data goes; default: the build directory")
    p.add_argument("--requests", type=int, default=20000)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--counted", type=int, default=400)
    opt = p.parse_args()
    opt.build = os.path.join(ROOT, opt.build)
    opt.binary = os.path.join(opt.build, "src", "everflame")
    opt.dir = opt.dir or opt.build
    worst = 0.0
    micros = cpu_us(opt)
    print(f"{'per request':36}{'CPU, µs':>10}{'ratio':>8}{'instructions':>14}{'ratio':>8}")
    for form in FORMS:
        base = None
        for kind in KINDS:
            few = instructions(opt, form, kind, 8)
            n = (instructions(opt, form, kind, 8 + opt.counted) - few) / opt.counted
            base = base or n
            ratios = micros[form, kind] / micros[form, "HTTP/1.1"], n / base
            worst = max(worst, ratios[1] if form.startswith("push") else 0)
            print(f"{form + ', ' + kind:36}{micros[form, kind]:10.1f}{ratios[0]:8.2f}{n:14,.0f}{ratios[1]:8.2f}",
                  flush=True)
    return 1 if worst > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
